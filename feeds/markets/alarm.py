"""A stream that is later than usual: an alarm when it begins, and when it is over."""

from collections import deque
from statistics import median

from feeds.clock import Clock

USUAL_S = 600.0
"""The usual latency is the median of the last ten minutes' medians of a second."""

LEARN = 30
"""So many seconds with data must have passed before anything is unusual."""

LEAST_MS = 50.0
"""Below this nothing is late, whatever is usual."""

ACCEPTED_S = 3600.0
"""What has been late for an hour is usual now."""

MOST = 2_000
"""Values of one second that are looked at."""


class LatencyAlarm:
    """Latencies of one stream. It is late from when a second's median passes ``factor`` times the usual one, for
    ``for_s`` seconds in a row, until it has not for as long. ``factor`` 0: never."""

    def __init__(self, factor: float, for_s: float, clock: Clock) -> None:
        self.factor = factor
        self.for_s = for_s
        self.since_ns: int | None = None  # the alarm stands since then
        self.usual_ms: float | None = None
        self.now_ms: float | None = None  # the last second's median
        self._clock = clock
        self._recent: list[float] = []
        self._medians: deque[float] = deque(maxlen=round(USUAL_S))
        self._correction_ms = 0.0
        self._turned_s: float | None = None  # since when it is the other way than ``since_ns`` says

    def add(self, ms: float) -> None:
        if len(self._recent) < MOST:
            self._recent.append(ms)

    def settle(self, correction_ms: float) -> bool:
        """Once a second; True if the alarm begins or ends. ``correction_ms`` is what all values of this second were
        corrected by: when the clocks are measured better, what is usual moves with them."""
        moved_ms, self._correction_ms = correction_ms - self._correction_ms, correction_ms
        if moved_ms:
            self._medians = deque((value + moved_ms for value in self._medians), maxlen=self._medians.maxlen)
        recent, self._recent = self._recent, []
        if not recent or not self.factor:
            return False
        self.now_ms = median(recent)
        if len(self._medians) < LEARN:
            self._medians.append(self.now_ms)
            return False
        self.usual_ms = median(self._medians)
        late = self.now_ms > self.factor * max(self.usual_ms, LEAST_MS / self.factor)
        if not late:
            self._medians.append(self.now_ms)
        return self._judge(late)

    def _judge(self, late: bool) -> bool:
        now_s, stands = self._clock.monotonic_s(), self.since_ns is not None
        if stands and self._clock.now_ns() - (self.since_ns or 0) >= ACCEPTED_S * 1e9:  # learn anew, at once
            self._medians.clear()
            late = False
        if late is stands:
            self._turned_s = None
            return False
        if self._turned_s is None:
            self._turned_s = now_s
        if now_s - self._turned_s < self.for_s and self._medians:
            return False
        self._turned_s = None
        self.since_ns = self._clock.now_ns() if late else None
        return True
