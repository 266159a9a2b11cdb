"""Long bars put together from short ones, for exchanges that stream bars of some intervals only.

A long bar is told only if all short ones from its beginning to the present are known: by the stream, and before the
stream began by history (REST). The two are joined where one short bar ends and the next one begins, so nothing is
counted twice and nothing is left out, whatever the answer's own running bar holds.
"""

from collections.abc import Iterable, Sequence

from msgspec import structs

from feeds.domain import INTERVALS, Candle


def source_of(interval: str, streamed: Sequence[str]) -> str:
    """The streamed interval that bars of ``interval`` are made from: itself if it is streamed, else the longest one
    that fits into it. Raises ValueError if none does."""
    if interval in streamed:
        return interval
    fitting = [each for each in streamed if INTERVALS[interval] % INTERVALS[each] == 0]
    if not fitting:
        raise ValueError(f"bars of {interval} cannot be made from {', '.join(streamed) or 'nothing'}")
    return max(fitting, key=INTERVALS.__getitem__)


class LongBars:
    """One market's bars of ``interval``, made from those of ``source``."""

    def __init__(self, interval: str, source: str) -> None:
        self.source = source
        self._interval = interval
        self._length_ms = INTERVALS[interval]
        self._step_ms = INTERVALS[source]
        self._open_ms = 0  # of the running long bar
        self._from_ms: int | None = None  # short bars from here to the present are known; None: none is
        self._parts: dict[int, Candle] = {}  # the running long bar's short ones, by when they begin
        self._running: Candle | None = None  # the newest short bar

    @property
    def count(self) -> int:
        """How many short bars a history needs that begins with the running long one."""
        return self._length_ms // self._step_ms + 2

    @property
    def wants_history(self) -> bool:
        """The running long bar began before what is known."""
        return self._from_ms is not None and self._from_ms > self._open_ms

    def restart(self) -> None:
        """The stream begins anew: what is here may have missed something."""
        self._from_ms = self._running = None
        self._parts.clear()

    def take(self, bar: Candle) -> list[Candle]:
        """A short bar by stream; returns the long ones that are new by it."""
        last = self._running
        if last is not None and bar.open_ms < last.open_ms:
            if bar.open_ms not in self._parts:
                return []  # of a long bar that is over, or unknown
            self._parts[bar.open_ms] = bar
            return self._told()
        joins = last is not None and (
            bar.open_ms == last.open_ms or (last.closed and bar.open_ms == last.open_ms + self._step_ms)
        )
        if not joins:
            self._from_ms = bar.open_ms
            self._parts.clear()
        made = self._turn(bar.open_ms // self._length_ms * self._length_ms)
        self._running = self._parts[bar.open_ms] = bar
        return made + self._told()

    def seed(self, history: Iterable[Candle]) -> list[Candle]:
        """Short bars by REST, oldest first. Those from before the stream are taken if they reach up to it without a
        gap, and none of them is still open; else nothing is, and history is still wanted."""
        if self._from_ms is None or not self.wants_history:
            return []
        found = {bar.open_ms: bar for bar in history if bar.closed and self._open_ms <= bar.open_ms < self._from_ms}
        if len(found) != (self._from_ms - self._open_ms) // self._step_ms:
            return []
        self._parts |= found
        self._from_ms = self._open_ms
        return self._told()

    def _turn(self, open_ms: int) -> list[Candle]:
        """The running long bar is now the one that begins here; returns the one before, if it is known."""
        if open_ms == self._open_ms:
            return []
        made = [structs.replace(bar, closed=True) for bar in self._told()]
        self._open_ms = open_ms
        if self._from_ms is not None:
            self._from_ms = max(self._from_ms, open_ms)
        self._parts.clear()
        return made

    def _told(self) -> list[Candle]:
        if self._from_ms is None or self.wants_history or not self._parts:
            return []
        parts = [self._parts[open_ms] for open_ms in sorted(self._parts)]
        return [
            structs.replace(
                parts[0],
                interval=self._interval,
                open_ms=self._open_ms,
                high=max(part.high for part in parts),
                low=min(part.low for part in parts),
                close=parts[-1].close,
                base_volume=sum((part.base_volume for part in parts[1:]), parts[0].base_volume),
                closed=False,
            )
        ]


class BarKit:
    """A market's long bars: those that are watched and not streamed. ``streamed``: the intervals that are."""

    def __init__(self, streamed: Sequence[str]) -> None:
        self._streamed = streamed
        self._long: dict[str, LongBars] = {}

    def watch(self, interval: str) -> None:
        """Raises ValueError for bars that cannot be made."""
        source = source_of(interval, self._streamed)
        if source != interval and interval not in self._long:
            self._long[interval] = LongBars(interval, source)

    def source_of(self, interval: str) -> str:
        """The interval that is asked for, for these bars."""
        return self._long[interval].source if interval in self._long else interval

    def unwatch(self, interval: str) -> None:
        self._long.pop(interval, None)

    def restart(self) -> None:
        """The stream begins anew."""
        for long in self._long.values():
            long.restart()

    def take(self, bar: Candle) -> list[Candle]:
        """The long bars that are new by a streamed one."""
        return [made for long in self._long.values() if long.source == bar.interval for made in long.take(bar)]

    def seed(self, source: str, history: Sequence[Candle]) -> list[Candle]:
        return [made for long in self._long.values() if long.source == source for made in long.seed(history)]

    def wanted(self) -> dict[str, int]:
        """The histories that are lacking: interval of the short bars, and how many of them."""
        counts: dict[str, int] = {}
        for long in self._long.values():
            if long.wants_history:
                counts[long.source] = max(counts.get(long.source, 0), long.count)
        return counts
