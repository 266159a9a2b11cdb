"""Running candles that no stream tells: asked for by REST, market by market, while somebody watches them."""

import asyncio
from typing import TYPE_CHECKING

import structlog

from feeds.clock import Clock
from feeds.errors import FeedError

if TYPE_CHECKING:
    from feeds.venue import Venue

log = structlog.get_logger(__name__)

POLL_S = 5.0
"""From one answer about a bar to the next question about it, at least."""
_TICK_S = 0.5
_BARS = 2  # the running one, and the one before it with its last figures


class CandlePolls:
    """The bars of ``Facts.polled_candles`` that a venue's open topics need. One question at a time, so that charts
    never use up the budget; a failure is logged once, and the bars stay as old as they say they are."""

    def __init__(self, venue: "Venue", clock: Clock) -> None:
        self._venue = venue
        self._clock = clock
        self._asked_s: dict[tuple[str, str], float] = {}  # by symbol and interval: when it was answered
        self._failing = False

    async def run(self) -> None:
        while True:
            wanted = self._wanted()
            self._asked_s = {bar: at_s for bar, at_s in self._asked_s.items() if bar in wanted}
            for symbol, interval in wanted:
                if self._clock.monotonic_s() - self._asked_s.get((symbol, interval), float("-inf")) >= POLL_S:
                    await self._ask(symbol, interval)
                    self._asked_s[symbol, interval] = self._clock.monotonic_s()
            await asyncio.sleep(_TICK_S)

    def _wanted(self) -> list[tuple[str, str]]:
        polled = self._venue.adapter.facts.polled_candles
        return sorted(
            {
                (symbol, topic.interval)
                for symbol, feed in self._venue.feeds.items()
                for topic in feed.watched()
                if topic.kind == "candles" and topic.interval in polled
            }
        )

    async def _ask(self, symbol: str, interval: str) -> None:
        try:
            bars = await self._venue.fetch_candles(symbol, interval, _BARS)
        except FeedError as error:
            if not self._failing:
                log.warning("candles not loaded", exchange=self._venue.name, market=symbol, error=str(error))
            self._failing = True
            return
        if self._failing:
            log.info("candles loaded again", exchange=self._venue.name, market=symbol)
        self._failing = False
        feed = self._venue.feeds.get(symbol)  # closed meanwhile, perhaps
        if feed is not None:
            for bar in bars[-_BARS:]:
                feed.on_candle(bar, self._clock.now_ns())
