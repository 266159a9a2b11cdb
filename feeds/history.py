"""Histories of candles by REST, in one answer or in pages."""

from feeds.domain import Candle, Market
from feeds.exchange import Exchange, PagesCandles, Request
from feeds.rest import RestClient

MOST_PAGES = 10
"""An exchange whose pages never end must not be asked for ever."""


async def fetch_candles(
    adapter: Exchange, rest: RestClient, market: Market, interval: str, limit: int
) -> tuple[list[Candle], int]:
    """The bars, oldest first, and when the last of them were received (ns). Raises FeedError."""
    request: Request | None = adapter.candles_request(market, interval, limit)
    pages: list[bytes] = []
    recv_ns = 0
    while request is not None and len(pages) < MOST_PAGES:
        answer = await rest.send(request)
        pages.append(answer.raw)
        recv_ns = answer.recv_ns
        request = adapter.next_candles(request, answer.raw) if isinstance(adapter, PagesCandles) else None
    if isinstance(adapter, PagesCandles):
        return adapter.join_candles(market, interval, pages), recv_ns
    return adapter.parse_candles(market, interval, pages[0]), recv_ns
