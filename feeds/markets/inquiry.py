"""What a venue asks its exchange by REST beside books and candles: instruments, page by page, maintenance, and 24 h
figures where no stream has them."""

import asyncio
from collections.abc import Callable

import structlog

from feeds.domain import Market, Notice, Ticker
from feeds.errors import FeedError, ParseError
from feeds.exchange import Exchange, MarketIndex, Paged, Request, TellsDay, TellsStatus
from feeds.rest import RestClient

log = structlog.get_logger(__name__)

STATUS_S = 60.0
"""How often the exchange's status is asked for, where it is told by REST."""

DAY_S = 5.0
"""How often 24 h figures are asked for, where they are told by REST and somebody watches them."""

_IDLE_S = 0.25

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

    That all is well is told only when something was the matter before. What is not told any more is over.
    """
    told: dict[str, Notice] = {}  # by key
    failed = False
    while True:
        try:
            answer = await rest.send(adapter.status_request())
            notices = adapter.parse_status(answer.raw)
        except FeedError as error:
            if not failed:
                log.warning("status not known", exchange=name, error=str(error))
            failed = True
            await asyncio.sleep(STATUS_S)
            continue
        if failed:
            log.info("status known again", exchange=name)
        failed = False
        present = {notice.key: notice for notice in notices}
        for key in told.keys() - present.keys():
            present[key] = Notice(text="", key=key)
        for key, notice in present.items():
            if (notice.text and notice != told.get(key)) or (not notice.text and key in told):
                tell(notice)
        told = {key: notice for key, notice in present.items() if notice.text}
        await asyncio.sleep(STATUS_S)


async def watch_day(
    adapter: TellsDay,
    name: str,
    rest: RestClient,
    product: str,
    watched: Callable[[], MarketIndex],
    tell: Callable[[Ticker, int], None],
) -> None:
    """Ask for a product's 24 h figures while there are ``watched`` markets, for ever; ``tell`` is called with each and
    when it was received (ns). While the answers fail the figures stay as they were, with the time that they have."""
    failed = False
    while True:
        if not watched():
            await asyncio.sleep(_IDLE_S)
            continue
        try:
            answer = await rest.send(adapter.day_request(product))
            found = adapter.parse_day(answer.raw, watched())
        except FeedError as error:
            if not failed:
                log.warning("24 h figures not loaded", exchange=name, product=product, error=str(error))
            failed = True
            await asyncio.sleep(DAY_S)
            continue
        if failed:
            log.info("24 h figures loaded again", exchange=name, product=product)
        failed = False
        for ticker in found:
            tell(ticker, answer.recv_ns)
        await asyncio.sleep(DAY_S)
