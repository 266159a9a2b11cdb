"""Bars of a minute, made from prints: Kraken Futures streams none.

A minute is told only if every print in it was seen. That is so from the first whole minute after the oldest print of
the history with which the stream begins, and as long as the prints' numbers rise by one; after a hole, from the next
minute on. So a bar is right or it is not there.

A minute is over when a print of a later one comes, or when the exchange's heartbeats say so, ``LATE_MS`` later: prints
may still be on their way. One that comes even later corrects the bar before the running one.

A bar opens where the one before closed, not with its first print: so do the exchange's own (observed in published
answers of its charts; the documentation does not say), with which ours are joined.
"""

from collections.abc import Iterable
from decimal import Decimal

from feeds.domain import Candle
from feeds.exchanges.krakenfutures_messages import PRINTS, Trade

INTERVAL = "1m"
MINUTE_MS = 60_000
LATE_MS = 2_000
_LONGEST_MS = 120 * MINUTE_MS
"""A longer silence is not filled with flat bars: the clock jumped, or nobody trades here."""


class _Bar:
    """A minute begins where the one before ended (``open``); ``high`` and ``low`` are its prints'."""

    __slots__ = ("close", "high", "low", "open", "open_ms", "volume")

    def __init__(self, open_ms: int, price: Decimal) -> None:
        self.open_ms = open_ms
        self.open = self.close = price
        self.high: Decimal | None = None
        self.low: Decimal | None = None
        self.volume = Decimal(0)

    def add(self, price: Decimal, size: Decimal) -> None:
        self.high = price if self.high is None else max(self.high, price)
        self.low = price if self.low is None else min(self.low, price)
        self.close = price
        self.volume += size

    def begin_at(self, price: Decimal) -> None:
        """The minute before ended otherwise than it seemed."""
        self.open = price
        if self.high is None:
            self.close = price

    def candle(self, symbol: str, *, closed: bool) -> Candle:
        return Candle(
            symbol=symbol,
            interval=INTERVAL,
            open_ms=self.open_ms,
            open=self.open,
            high=self.open if self.high is None else max(self.open, self.high),
            low=self.open if self.low is None else min(self.open, self.low),
            close=self.close,
            base_volume=self.volume,
            closed=closed,
        )


class MinuteBars:
    """One market's. Every method returns the bars that it made or changed, oldest first."""

    def __init__(self, symbol: str) -> None:
        self._symbol = symbol
        self._seq: int | None = None  # of the last print
        self._whole_ms: int | None = None  # minutes from here on are known in full; None: not known yet
        self._bar: _Bar | None = None
        self._before: _Bar | None = None  # the minute before, closed
        self._last: Decimal | None = None  # price of the last print

    def begin(self, history: Iterable[Trade], now_ms: int | None) -> list[Candle]:
        """The stream begins (anew) with these prints, oldest first; ``now_ms`` is the exchange's clock, if known."""
        self._seq = self._whole_ms = self._bar = self._before = self._last = None
        made: dict[int, Candle] = {}
        empty = True
        for trade in history:
            empty = False
            made |= {bar.open_ms: bar for bar in self.take(trade)}
        if empty and now_ms is not None:
            self._whole_ms = _next_minute(now_ms)
        return [made[open_ms] for open_ms in sorted(made)]

    def take(self, trade: Trade) -> list[Candle]:
        """The next print. One that came before changes nothing."""
        if self._seq is not None and trade.seq <= self._seq:
            return []
        if (self._seq is None and self._whole_ms is None) or (self._seq is not None and trade.seq != self._seq + 1):
            self._whole_ms = _next_minute(trade.time)
            self._bar = self._before = None
        self._seq = trade.seq
        if trade.type not in PRINTS:
            return []
        before, self._last = self._last, trade.price
        minute_ms = trade.time // MINUTE_MS * MINUTE_MS
        if self._whole_ms is None or minute_ms < self._whole_ms:
            return []
        if self._bar is None:
            self._bar = _Bar(minute_ms, trade.price if before is None else before)
        if minute_ms < self._bar.open_ms:
            return self._correct(minute_ms, trade)
        made = self._go_on(minute_ms)
        self._bar.add(trade.price, trade.qty)
        return [*made, self._bar.candle(self._symbol, closed=False)]

    def advance(self, now_ms: int) -> list[Candle]:
        """The exchange's clock, by its heartbeats: minutes go by without prints, too."""
        minute_ms = (now_ms - LATE_MS) // MINUTE_MS * MINUTE_MS
        if self._bar is None:
            if self._last is None or self._whole_ms is None or minute_ms < self._whole_ms:
                return []
            self._bar = _Bar(minute_ms, self._last)
        elif minute_ms <= self._bar.open_ms:
            return []
        made = self._go_on(minute_ms)
        return [*made, self._bar.candle(self._symbol, closed=False)] if self._bar is not None else made

    def running(self) -> list[Candle]:
        """The running bar as it is."""
        return [] if self._bar is None else [self._bar.candle(self._symbol, closed=False)]

    def _go_on(self, minute_ms: int) -> list[Candle]:
        """Close the bars before this minute, and begin flat ones up to it."""
        made = []
        while (bar := self._bar) is not None and bar.open_ms < minute_ms:
            made.append(bar.candle(self._symbol, closed=True))
            skipped = minute_ms - bar.open_ms > _LONGEST_MS
            self._before = None if skipped else bar
            self._bar = _Bar(minute_ms if skipped else bar.open_ms + MINUTE_MS, bar.close)
        return made

    def _correct(self, minute_ms: int, trade: Trade) -> list[Candle]:
        """A print of a minute that was closed."""
        before, bar = self._before, self._bar
        if before is None or bar is None or before.open_ms != minute_ms:
            self._whole_ms = _next_minute(trade.time if bar is None else bar.open_ms)
            self._bar = self._before = None
            return []
        before.add(trade.price, trade.qty)
        bar.begin_at(before.close)
        return [before.candle(self._symbol, closed=True), *self.running()]


def _next_minute(ms: int) -> int:
    return ms // MINUTE_MS * MINUTE_MS + MINUTE_MS
