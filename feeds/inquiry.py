"""What a venue asks its exchange by REST beside books and candles: instruments, page by page, and maintenance."""

import asyncio
from collections.abc import Callable

import structlog

from feeds.domain import Market, Notice
from feeds.errors import FeedError, ParseError
from feeds.exchange import Exchange, Paged, Request, TellsStatus
from feeds.rest import RestClient

log = structlog.get_logger(__name__)

STATUS_S = 60.0
"""How often the exchange's status is asked for, where it is told by REST."""

MOST_PAGES = 100
"""More pages than this are no list of instruments."""


async def fetch_markets(adapter: Exchange, rest: RestClient, request: Request) -> list[Market]:
    """One list of instruments, whole. Raises FeedError; a list without its last page is none."""
    markets: list[Market] = []
    page = request
    for _ in range(MOST_PAGES):
        answer = await rest.send(page)
        markets += adapter.parse_markets(page, answer.raw)
        following = adapter.next_page(page, answer.raw) if isinstance(adapter, Paged) else None
        if following is None:
            return markets
        page = following
    raise ParseError(f"{adapter.name}, {request.path}: more than {MOST_PAGES} pages")


async def watch_status(adapter: TellsStatus, name: str, rest: RestClient, tell: Callable[[Notice], None]) -> None:
    """Ask for the exchange's status once a minute, for ever; ``tell`` is called with what is new.

    That all is well is told only when something was the matter before.
    """
    told, failed = "", False
    while True:
        try:
            answer = await rest.send(adapter.status_request())
            notice = adapter.parse_status(answer.raw)
        except FeedError as error:
            if not failed:
                log.warning("status not known", exchange=name, error=str(error))
            failed = True
            await asyncio.sleep(STATUS_S)
            continue
        if failed:
            log.info("status known again", exchange=name)
        failed = False
        if notice.text != told:
            told = notice.text
            tell(notice)
        await asyncio.sleep(STATUS_S)
