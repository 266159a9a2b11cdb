"""Coinbase's running bars: those of one minute, which it does not stream, made of the prints; those of five, which it
does. All others are asked for by REST.

A market's trade ids rise by one, so it is known whether every print of a minute is here. A bar is told only if it is:
the minute in which we came, or in which prints were missed, is left to the history by REST until the next one begins,
unless the snapshot of the last hundred prints reaches back beyond its beginning.
"""

from collections.abc import Iterable
from decimal import Decimal

from msgspec import structs

from feeds.domain import Candle, Trade

MINUTE_MS = 60_000
POLLED = ("15m", "1h", "4h", "1d")
"""Intervals that no stream has."""
_MOST_FLAT = 2
"""Bars without a print that are told between two: the history has the others."""


class MinuteBars:
    """The one-minute bars of one market."""

    def __init__(self, symbol: str) -> None:
        self._symbol = symbol
        self._last: int | None = None  # id of the newest print
        self._open_ms = 0  # of the minute that it fell into
        self._bar: Candle | None = None  # that minute's, if all its prints are known

    def take(self, trades: Iterable[Trade], *, snapshot: bool) -> list[Candle]:
        """Prints, oldest first; the bars that they change, oldest first."""
        if snapshot and self._bar is None:
            self._last = None  # it may know the beginning of the minute, which we do not
        told: dict[int, Candle] = {}
        for trade in trades:
            number = int(trade.id)
            if self._last is not None and number <= self._last:
                continue
            follows = self._last is not None and number == self._last + 1
            self._last = number
            for bar in self._add(trade, follows=follows):
                told[bar.open_ms] = bar
        return [told[open_ms] for open_ms in sorted(told)]

    def _add(self, trade: Trade, *, follows: bool) -> list[Candle]:
        open_ms = trade.exchange_ms // MINUTE_MS * MINUTE_MS
        last, price = self._bar, trade.price
        if not follows:
            self._open_ms, self._bar = open_ms, None
            return []
        if open_ms > self._open_ms:
            self._open_ms = open_ms
            self._bar = Candle(
                symbol=self._symbol,
                interval="1m",
                open_ms=open_ms,
                open=price,
                high=price,
                low=price,
                close=price,
                base_volume=trade.size,
            )
            return [*_until(last, open_ms), self._bar]
        if last is None or open_ms < self._open_ms:
            return []  # a minute that is not whole; or one that is over, for a print that was numbered late
        self._bar = structs.replace(
            last,
            high=max(last.high, price),
            low=min(last.low, price),
            close=price,
            base_volume=last.base_volume + trade.size,
        )
        return [self._bar]


def _until(last: Candle | None, open_ms: int) -> list[Candle]:
    """``last``, which is closed now, and flat bars for minutes in which, by the prints' ids, nothing was traded."""
    if last is None:
        return []
    closed, price = structs.replace(last, closed=True), last.close
    flat = structs.replace(closed, open=price, high=price, low=price, base_volume=Decimal(0))
    quiet = range(last.open_ms + MINUTE_MS, open_ms, MINUTE_MS)
    return [closed, *(structs.replace(flat, open_ms=each) for each in quiet[-_MOST_FLAT:])]


class StreamedBars:
    """The bars of one market and interval as streamed: absolute, without a closed flag. One is closed when a later one
    comes. Where some are missing between two, that does not say that nothing was traded (the recorded snapshot of a
    lively market has such holes), so nothing is put there."""

    def __init__(self) -> None:
        self._last: Candle | None = None

    def take(self, bars: Iterable[Candle]) -> list[Candle]:
        """Bars, oldest first; of those that are news the newest two, oldest first."""
        told: list[Candle] = []
        for bar in bars:
            last = self._last
            if last is not None and bar.open_ms < last.open_ms:
                continue
            if last is not None and bar.open_ms > last.open_ms:
                told = [structs.replace(last, closed=True), bar]
            else:
                told = [*told[:-1], bar]  # the first, or the same with later figures
            self._last = bar
        return told
