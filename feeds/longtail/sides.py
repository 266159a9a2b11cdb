"""What one market tells beside its book: prints, 24 h figures, mark price and candles. By stream where ccxt has one,
else by REST, again and again. A stream that fails says so on its own topic alone."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import structlog
from msgspec import structs

from feeds.domain import Candle, Channel, StreamState, Subscription
from feeds.longtail import convert
from feeds.longtail.convert import Listed
from feeds.longtail.lane import Lane
from feeds.longtail.library import Trouble
from feeds.longtail.stream import Stream
from feeds.markets.market import MarketFeed

if TYPE_CHECKING:
    from feeds.longtail.venue import LongTail

log = structlog.get_logger(__name__)

FUNDING_S = 10.0
TICKER_S = 5.0
CANDLE_S = 5.0
"""How often is asked for what no stream tells."""

ROWS = 3
"""So many of the newest candles are looked at."""


def watching(lane: Lane, method: str, *arguments: Any) -> Callable[[], Awaitable[Any]]:
    """The question to one of ccxt's ``watch…`` methods."""

    async def ask() -> Any:
        return await getattr(await lane.opened(), method)(*arguments)

    return ask


class Sides:
    """``came`` is called when anything was received."""

    def __init__(self, venue: "LongTail", of: Listed, feed: MarketFeed, came: Callable[[], None]) -> None:
        self._venue = venue
        self._clock = venue.clock
        self._of = of
        self._feed = feed
        self._came = came
        self._running: dict[str, Candle] = {}  # the newest bars, by interval
        self._log = log.bind(exchange=of.market.exchange, market=of.market.symbol)

    def forget(self) -> None:
        """The streams end: what comes next may have missed something."""
        self._running.clear()

    def stream(self, subscription: Subscription, lane: Lane) -> Stream | None:
        """How this is had from ccxt; None if it cannot be."""
        desk, symbol = self._venue.desk, subscription.symbol
        match subscription.channel:
            case Channel.TRADES:
                if not desk.has.get("watchTrades"):
                    self._feed.on_link("trades", StreamState.DOWN, "ccxt has no stream of this exchange's trades.")
                    return None
                return self._stream("trades", watching(lane, "watch_trades", symbol), self._trades)
            case Channel.TICKER:
                if desk.has.get("watchTicker"):
                    return self._stream("quote", watching(lane, "watch_ticker", symbol), self._ticker)
                if desk.has.get("watchTickers"):
                    return self._stream("quote", watching(lane, "watch_tickers", [symbol]), self._tickers)
                if desk.has.get("fetchTicker"):
                    return self._stream("quote", lambda: desk.fetch_ticker(symbol), self._ticker, TICKER_S)
                return None
            case Channel.MARK:
                return self._stream("", lambda: desk.fetch_funding_rate(symbol), self._mark, FUNDING_S)
            case _:
                return self._candle_stream(symbol, subscription.interval or "1m", lane)

    def _stream(
        self, kind: str, ask: Callable[[], Awaitable[Any]], take: Callable[[Any], None], every_s: float = 0.0
    ) -> Stream:
        return Stream(ask, take, lambda trouble, count: self._failed(kind, trouble, count), every_s=every_s)

    def _candle_stream(self, symbol: str, interval: str, lane: Lane) -> Stream | None:
        desk = self._venue.desk
        if not desk.has.get("watchOHLCV") and not desk.has.get("fetchOHLCV"):
            self._feed.on_link("candles", StreamState.DOWN, "ccxt has no candles of this exchange.")
            return None
        watched = watching(lane, "watch_ohlcv", symbol, interval)
        polled, asked_s = not desk.has.get("watchOHLCV"), float("-inf")

        async def ask() -> Any:
            nonlocal asked_s
            if not polled:
                return await watched()
            await asyncio.sleep(max(0.0, asked_s + CANDLE_S - self._clock.monotonic_s()))
            asked_s = self._clock.monotonic_s()
            return await desk.fetch_ohlcv(symbol, interval, limit=ROWS)

        def failed(trouble: Trouble, failures: int) -> bool:
            nonlocal polled
            if trouble.kind == "refused" and desk.has.get("fetchOHLCV"):
                polled = True  # the stream has other intervals only
            return self._failed("candles", trouble, failures)

        return Stream(ask, lambda rows: self._candles(interval, rows), failed)

    def _failed(self, kind: str, trouble: Trouble, failures: int) -> bool:
        if failures == 1:
            self._log.info("ccxt stream failed", kind=kind or "mark", reason=trouble.sentence)
        if kind:
            self._feed.on_link(kind, StreamState.CONNECTING if failures == 1 else StreamState.DOWN, trouble.sentence)
            if kind == "candles":
                self.forget()
        return True

    def _works(self, kind: str) -> None:
        link = self._feed.links.get(kind)
        if link is None or link.state is not StreamState.LIVE:
            if kind == "candles":
                self._feed.on_link(kind, StreamState.SYNCING, "")  # long bars are put together anew
            self._feed.on_link(kind, StreamState.LIVE, "")
        self._came()

    # -- what comes --------------------------------------------------------------------------------------------------

    def _trades(self, raw: Any) -> None:
        self._works("trades")
        for row in raw:
            trade = convert.trade(self._of, row)
            if trade is not None:
                self._feed.on_trade(trade, self._clock.now_ns())

    def _tickers(self, raw: Any) -> None:
        if self._of.market.symbol in raw:
            self._ticker(raw[self._of.market.symbol])

    def _ticker(self, raw: Any) -> None:
        self._works("quote")
        ticker = convert.ticker(self._of, raw)
        if ticker is not None:
            self._feed.on_ticker(ticker, self._clock.now_ns())

    def _mark(self, raw: Any) -> None:
        mark = convert.mark(self._of, raw)
        if mark is not None:
            self._feed.on_mark(mark, self._clock.now_ns())

    def _candles(self, interval: str, raw: Any) -> None:
        """The newest bars. The last one that was told is closed when a later one comes."""
        self._works("candles")
        for bar in convert.candles(self._of, interval, list(raw)[-ROWS:], 0):
            former = self._running.get(interval)
            if former is not None and former.open_ms > bar.open_ms:
                continue
            if former is not None and former.open_ms < bar.open_ms and not former.closed:
                self._feed.on_candle(structs.replace(former, closed=True), self._clock.now_ns())
            self._running[interval] = bar
            self._feed.on_candle(bar, self._clock.now_ns())
