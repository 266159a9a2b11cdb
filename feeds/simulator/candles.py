"""Candles of a market: a made-up past that joins the live bars, and the rolling 24 hours. Pure.

The past is drawn backwards from the present price, fine for the last day and coarser the older it is (:data:`PAST`),
once per asset, so all exchanges tell the same story. Coarse bars are sums of the finest ones that there are. What
grows old is summed up in the same steps, so that the number of bars stays the same however long the market lives.
Prices are in ticks, volumes in lots, values in ticks times lots: all exact.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import pairwise
from math import exp, sqrt
from random import Random
from typing import NamedTuple

from feeds.simulator.instruments import Asset

MINUTE = 60_000
DAY = 1440 * MINUTE
MONTH = 0
"""Stands for the calendar month, whose length varies."""

# (bar length, how many bars at least), newest first
PAST = (
    (MINUTE, 1500),
    (5 * MINUTE, 600),
    (15 * MINUTE, 500),
    (60 * MINUTE, 500),
    (240 * MINUTE, 500),
    (DAY, 500),
)
_YEAR_MS = 365 * DAY
_ID_EPOCH_MS = 1_704_067_200_000  # 2024-01-01

_MINUTES = (1, 3, 5, 15, 30, 60, 120, 240, 360, 480, 720, 1440, 4320, 10_080, 21_600)
INTERVALS = (*(minutes * MINUTE for minutes in _MINUTES), MONTH)
"""Every interval that one of the exchanges offers."""


def first_id(start_ms: int) -> int:
    """Where ids begin: one for every millisecond since 2024.

    So they rise across restarts, and whoever has stored fills of the last run never meets their ids again.
    """
    return start_ms - _ID_EPOCH_MS


def bucket(interval_ms: int, ms: int) -> int:
    """When the bar that ``ms`` falls into begins. Weeks begin on Monday, months on the first."""
    if interval_ms == MONTH:
        day = datetime.fromtimestamp(ms / 1000, UTC)
        return int(datetime(day.year, day.month, 1, tzinfo=UTC).timestamp() * 1000)
    offset = 4 * DAY if interval_ms == 7 * DAY else 0
    return (ms - offset) // interval_ms * interval_ms + offset


def bucket_end(interval_ms: int, open_ms: int) -> int:
    """When the bar that begins at ``open_ms`` is over (exclusive)."""
    return open_ms + interval_ms if interval_ms else bucket(MONTH, open_ms + 32 * DAY)


class PastBar(NamedTuple):
    """A bar of an asset's made-up past, in USD. ``weight`` scales volumes: 1 is an ordinary minute."""

    open_ms: int
    span_ms: int
    open: float
    high: float
    low: float
    close: float
    weight: float


def make_past(seed: int, assets: Mapping[str, Asset], start_ms: int) -> dict[str, list[PastBar]]:
    """The past of all assets, oldest first, ending with the minute before ``start_ms``'s."""
    common = Random(f"past {seed}")
    own = {name: Random(f"past {seed} {name}") for name in assets}
    result: dict[str, list[PastBar]] = {name: [] for name in assets}
    price = {name: asset.price for name, asset in assets.items()}
    end_ms = start_ms // MINUTE * MINUTE
    lively = 0.0
    for index, (span_ms, count) in enumerate(PAST):
        coarser = PAST[index + 1][0] if index + 1 < len(PAST) else span_ms
        begin_ms = (end_ms - count * span_ms) // coarser * coarser
        years = sqrt(span_ms / _YEAR_MS)
        for open_ms in range(end_ms - span_ms, begin_ms - span_ms, -span_ms):
            lively += -lively * 0.04 + 0.12 * common.gauss(0, 1)
            factor = common.gauss(0, 1)
            for name, asset in assets.items():
                draw, close = own[name], price[name]
                sd = asset.volatility * years * exp(lively if span_ms < DAY else 0.3 * lively)
                move = sd * (asset.beta * factor + sqrt(1 - asset.beta**2) * draw.gauss(0, 1))
                opened = close / exp(move)
                high = max(opened, close) * exp(0.45 * sd * abs(draw.gauss(0, 1)))
                low = min(opened, close) / exp(0.45 * sd * abs(draw.gauss(0, 1)))
                weight = span_ms / MINUTE * exp(0.8 * lively + 0.3 * draw.gauss(0, 1)) * (0.6 + min(3, abs(move) / sd))
                result[name].append(PastBar(open_ms, span_ms, opened, high, low, close, weight))
                price[name] = opened
        end_ms = begin_ms
    for bars in result.values():
        bars.reverse()
    return result


class Bar:
    """One bar. ``buy_*`` is what takers bought; ``first_id`` to ``last_id`` are its trades (-1: none)."""

    __slots__ = (
        "buy_value",
        "buy_volume",
        "close",
        "first_id",
        "high",
        "last_id",
        "low",
        "open",
        "open_ms",
        "trades",
        "value",
        "volume",
    )

    def __init__(self, open_ms: int, price: int) -> None:
        self.open_ms = open_ms
        self.open = self.high = self.low = self.close = price
        self.volume = self.value = self.trades = self.buy_volume = self.buy_value = 0
        self.first_id = self.last_id = -1

    def add(self, other: "Bar") -> None:
        """Append a later bar."""
        self.high = max(self.high, other.high)
        self.low = min(self.low, other.low)
        self.close = other.close
        self.volume += other.volume
        self.value += other.value
        self.trades += other.trades
        self.buy_volume += other.buy_volume
        self.buy_value += other.buy_value
        if other.first_id >= 0:
            self.first_id = other.first_id if self.first_id < 0 else self.first_id
            self.last_id = other.last_id

    def trade(self, id: int, price: int, size: int, taker_buys: bool) -> None:
        self.close = price
        self.high = max(self.high, price)
        self.low = min(self.low, price)
        self.volume += size
        self.value += price * size
        self.trades += 1
        if taker_buys:
            self.buy_volume += size
            self.buy_value += price * size
        if self.first_id < 0:
            self.first_id = id
        self.last_id = id


class Day(NamedTuple):
    """The rolling 24 hours: the running minute and the 1,439 before it."""

    open_ms: int
    open: int
    high: int
    low: int
    close: int
    volume: int
    value: int
    trades: int
    first_id: int
    last_id: int


_MINUTES_KEPT = PAST[0][1]
_FOLDED_AT_ONCE = 300


def _summed(interval_ms: int, sources: Iterable[Bar]) -> list[Bar]:
    """Bars of this interval, made of finer ones."""
    bars: list[Bar] = []
    for source in sources:
        open_ms = bucket(interval_ms, source.open_ms)
        if not bars or bars[-1].open_ms != open_ms:
            bars.append(Bar(open_ms, source.open))
        bars[-1].add(source)
    return bars


class Candles:
    """All bars of one market. ``next_id`` is the id that its first live trade shall have: the milliseconds since 2024.

    So ids rise across restarts too, and whoever has stored fills of the last run never meets their ids again.
    """

    def __init__(self, past: list[PastBar], scale: float, lots_per_minute: float, start_ms: int) -> None:
        """``scale`` turns the past's USD into ticks; ``lots_per_minute`` is an ordinary minute's volume."""
        self.next_id = first_id(start_ms)
        self._past = past
        self._scale = scale
        self._lots_per_minute = lots_per_minute
        self.minutes = self._take([row for row in past if row.span_ms == MINUTE], self.next_id)
        self._before_id = self.minutes[0].first_id
        self._lived: dict[int, list[Bar]] = {span_ms: [] for span_ms, _ in PAST[1:]}  # what was folded since then
        self.minutes.append(Bar(start_ms // MINUTE * MINUTE, self.minutes[-1].close))
        self._series: dict[int, list[Bar]] = {MINUTE: self.minutes}
        self._day: tuple[int, Day] | None = None

    def _take(self, rows: list[PastBar], before_id: int) -> list[Bar]:
        """Bars of these rows; their trades have the ids up to ``before_id``."""
        result = []
        for row in reversed(rows):
            bar = Bar(row.open_ms, max(1, round(row.open * self._scale)))
            bar.high, bar.low = max(1, round(row.high * self._scale)), max(1, round(row.low * self._scale))
            bar.close = max(1, round(row.close * self._scale))
            bar.volume = max(1, int(self._lots_per_minute * row.weight))
            bar.value = bar.volume * ((bar.open + bar.close) // 2)
            share = 0.5 + 0.3 * (bar.close - bar.open) / max(1, bar.high - bar.low)
            bar.buy_volume, bar.buy_value = int(bar.volume * share), int(bar.value * share)
            bar.trades = max(1, int(90 * row.weight))
            bar.last_id = before_id - 1
            bar.first_id = before_id = before_id - bar.trades
            result.append(bar)
        result.reverse()
        return result

    def series(self, interval_ms: int) -> list[Bar]:
        """The bars of this interval, oldest first; the last one runs. Kept up to date for some hours."""
        if (known := self._series.get(interval_ms)) is not None:
            return known
        sources = self._sources(interval_ms or 31 * DAY)
        bars = _summed(interval_ms, sources)
        if bars[0].open_ms != sources[0].open_ms:
            del bars[0]  # its beginning is missing
        self._series[interval_ms] = bars
        return bars

    def _sources(self, fine_enough_ms: int) -> list[Bar]:
        """All bars up to this length that join the present, oldest first."""
        parts = [self.minutes]
        for span_ms, bars in self._lived.items():
            if bars and span_ms > fine_enough_ms:
                break
            parts.append(bars)
        else:
            rows = [row for row in self._past if MINUTE < row.span_ms <= fine_enough_ms]
            parts.append(self._take(rows, self._before_id))
        return [bar for part in reversed(parts) for bar in part]

    def _fold(self) -> None:
        """Sum up what is old: of each length so many bars are kept as of the past, of days twice as many."""
        finer = self.minutes
        for (_, kept), (span_ms, _) in pairwise(PAST):
            if len(finer) > kept:
                begin_ms = bucket(span_ms, finer[-kept].open_ms)
                old = bisect_left(finer, begin_ms, key=lambda bar: bar.open_ms)
                self._lived[span_ms] += _summed(span_ms, finer[:old])
                del finer[:old]
            finer = self._lived[span_ms]
        del finer[: -2 * PAST[-1][1]]
        self._series = {MINUTE: self.minutes}  # made anew when asked for

    def roll(self, now_ms: int) -> None:
        """Begin the bars that have become due; one without trades is flat."""
        if len(self.minutes) >= _MINUTES_KEPT + _FOLDED_AT_ONCE:
            self._fold()
        for interval_ms, bars in self._series.items():
            while now_ms >= (end_ms := bucket_end(interval_ms, bars[-1].open_ms)):
                bars.append(Bar(end_ms, bars[-1].close))

    def trade(self, id: int, price: int, size: int, taker_buys: bool, now_ms: int) -> None:
        self.roll(now_ms)
        for bars in self._series.values():
            bars[-1].trade(id, price, size, taker_buys)

    def since(self, interval_ms: int, ms: int) -> list[Bar]:
        """The bars that begin at or after ``ms``."""
        bars = self.series(interval_ms)
        return bars[bisect_left(bars, ms, key=lambda bar: bar.open_ms) :]

    def day(self) -> Day:
        """The rolling 24 hours."""
        running = self.minutes[-1]
        if self._day is None or self._day[0] != running.open_ms:
            rows = self.minutes[-1440:-1]
            first_id = next((row.first_id for row in rows if row.first_id >= 0), -1)
            closed = Day(
                rows[0].open_ms,
                rows[0].open,
                max(row.high for row in rows),
                min(row.low for row in rows),
                rows[-1].close,
                sum(row.volume for row in rows),
                sum(row.value for row in rows),
                sum(row.trades for row in rows),
                first_id,
                max(row.last_id for row in rows),
            )
            self._day = (running.open_ms, closed)
        closed = self._day[1]
        return closed._replace(
            high=max(closed.high, running.high),
            low=min(closed.low, running.low),
            close=running.close,
            volume=closed.volume + running.volume,
            value=closed.value + running.value,
            trades=closed.trades + running.trades,
            last_id=max(closed.last_id, running.last_id),
        )
