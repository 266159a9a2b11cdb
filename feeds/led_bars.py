"""Running candles of an exchange that has them by REST only: polled rows, led on by the trades as they come. Pure.

* A bar that began after its trades were followed is known trade by trade: it is told from the trades, exactly.
* Any other (the one that ran when we came) is the polled row, whose close, high and low the trades lead on; its volume
  is the polled one until the next row, since nothing says which trades a row holds.
* When the exchange's own row of a closed bar has other prices than ours, the exchange's holds.

Whatever breaks the trade stream (:meth:`LedBars.lost`) makes the running bars the second kind.
"""

from decimal import Decimal

from msgspec import structs

from feeds.domain import INTERVALS, Candle, Trade


class _Series:
    """The running bar of one interval."""

    __slots__ = ("bar", "first_ns", "interval", "led", "length_ms", "since_ms", "whole")

    def __init__(self, interval: str) -> None:
        self.interval = interval
        self.length_ms = INTERVALS[interval]
        self.bar: Candle | None = None
        self.whole = False  # every trade of the bar is known
        self.led = False  # its close is of a trade that came after the last row
        self.first_ns: int | None = None  # when the first trades came; a first frame may hold past ones
        self.since_ms = 0  # the newest of those: later ones are all known

    def lost(self) -> None:
        self.whole = self.led = False
        self.first_ns, self.since_ms = None, 0

    def take(self, trade: Trade, recv_ns: int) -> list[Candle]:
        open_ms = trade.exchange_ms // self.length_ms * self.length_ms
        if self.first_ns is None:
            self.first_ns = recv_ns
        if recv_ns == self.first_ns:
            self.since_ms = max(self.since_ms, trade.exchange_ms)
            return []  # the row may hold it already, or not
        bar, price = self.bar, trade.price
        if bar is not None and open_ms == bar.open_ms and not bar.closed:
            size = trade.size if self.whole else Decimal(0)
            high, low = max(bar.high, price), min(bar.low, price)
            self.bar = structs.replace(bar, high=high, low=low, close=price, base_volume=bar.base_volume + size)
            self.led = True
            return [self.bar]
        if open_ms <= self.since_ms or (bar is not None and open_ms <= bar.open_ms):
            return []
        closed = [] if bar is None or bar.closed else [structs.replace(bar, closed=True)]
        self.whole = self.led = True
        self.bar = Candle(
            symbol=trade.symbol,
            interval=self.interval,
            open_ms=open_ms,
            open=price,
            high=price,
            low=price,
            close=price,
            base_volume=trade.size,
        )
        return [*closed, self.bar]

    def join(self, row: Candle) -> Candle | None:
        bar = self.bar
        if bar is None or row.open_ms > bar.open_ms:
            self.bar, self.whole, self.led = row, False, False
            return row
        if row.open_ms < bar.open_ms:
            return row if row.closed else None
        if row.closed:
            if self.whole and (row.open, row.high, row.low, row.close) == (bar.open, bar.high, bar.low, bar.close):
                row = structs.replace(bar, closed=True)
            self.bar = row
            return row
        if self.whole or bar.closed:
            return None
        row = structs.replace(
            row,
            high=max(row.high, bar.high),
            low=min(row.low, bar.low),
            close=bar.close if self.led else row.close,
            base_volume=max(row.base_volume, bar.base_volume),
        )
        self.bar, self.led = row, False
        return row


class LedBars:
    """The polled candles of one market. An interval is followed from its first row on."""

    def __init__(self) -> None:
        self._series: dict[str, _Series] = {}

    def lost(self) -> None:
        """Trades were missed, or may have been."""
        for series in self._series.values():
            series.lost()

    def take(self, trade: Trade, recv_ns: int) -> list[Candle]:
        """What a trade makes of the running bars. Trades of one frame have one ``recv_ns``."""
        return [bar for series in self._series.values() for bar in series.take(trade, recv_ns)]

    def join(self, row: Candle) -> Candle | None:
        """A candle of the exchange's: what is to be shown of it, None if ours is better."""
        series = self._series.get(row.interval)
        if series is None:
            series = self._series[row.interval] = _Series(row.interval)
        return series.join(row)
