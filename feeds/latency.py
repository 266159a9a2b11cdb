"""Quantiles of about the last minute, in fixed memory.

Values fall into buckets whose bounds grow by a tenth, from 0.01 ms to 100 s, so a quantile is right to 5 %. Negative
values (the exchange's clock ahead of ours) have buckets of their own, mirrored. The window is two halves: when the
running half is full, it replaces the older one.

Beside them stand coarse counts since the beginning, as Prometheus wants them.
"""

import math
from bisect import bisect_left
from itertools import accumulate
from typing import Any

from feeds.clock import SYSTEM, Clock

SMALLEST_MS = 0.01
LARGEST_MS = 100_000.0
GROWTH = 1.1

BOUNDS_MS = (1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 2_500.0, 5_000.0, 10_000.0)
"""Of the counts since the beginning: each bucket holds what is not above its bound, the last one the rest."""

_SIDE = math.ceil(math.log(LARGEST_MS / SMALLEST_MS, GROWTH)) + 1  # buckets of one sign
_LOG = math.log(GROWTH)


class Histogram:
    """Milliseconds of about the last ``window_s`` seconds."""

    def __init__(self, *, window_s: float = 60.0, clock: Clock = SYSTEM) -> None:
        self._half_s = window_s / 2
        self._clock = clock
        self._running = [0] * (2 * _SIDE + 1)
        self._former = [0] * (2 * _SIDE + 1)
        self.counts = [0] * (len(BOUNDS_MS) + 1)  # since the beginning
        self.sum_ms = 0.0  # negative values count as 0 here: a sum that falls is no counter
        self._since_s = clock.monotonic_s()

    def add(self, ms: float) -> None:
        """Count one value. Beyond 100 s it counts as 100 s; values below 0 keep their sign."""
        self._turn()
        self._running[_bucket(ms)] += 1
        self.counts[bisect_left(BOUNDS_MS, ms)] += 1
        if ms > 0:
            self.sum_ms += ms

    def quantile(self, q: float) -> float | None:
        """The q-quantile (0 to 1) in ms, None without values."""
        self._turn()
        counts = [a + b for a, b in zip(self._running, self._former, strict=True)]
        total = sum(counts)
        if not total:
            return None
        rank = min(total, max(1, math.ceil(q * total)))
        return next(_value(i) for i, below in enumerate(accumulate(counts)) if below >= rank)

    def summary(self) -> dict[str, float] | None:
        """``{"p50": 0.2, "p99": 1.1}``, rounded for the screen; None without values."""
        p50, p99 = self.quantile(0.5), self.quantile(0.99)
        if p50 is None or p99 is None:
            return None
        return {"p50": round(p50, 2), "p99": round(p99, 2)}

    def totals(self) -> dict[str, Any]:
        """``{"counts": [...], "sum_ms": 12.5}`` since the beginning, see ``BOUNDS_MS``."""
        return {"counts": list(self.counts), "sum_ms": round(self.sum_ms, 3)}

    def _turn(self) -> None:
        halves = int((self._clock.monotonic_s() - self._since_s) / self._half_s)
        if halves:
            self._former = self._running if halves == 1 else [0] * len(self._running)
            self._running = [0] * len(self._former)
            self._since_s += halves * self._half_s


def _bucket(ms: float) -> int:
    """Negative ones first, the largest of them at 0; zero in the middle."""
    size = min(abs(ms), LARGEST_MS)
    if size < SMALLEST_MS:
        return _SIDE
    step = 1 + int(math.log(size / SMALLEST_MS) / _LOG)
    return _SIDE + step if ms > 0 else _SIDE - step


def _value(bucket: int) -> float:
    """The middle of a bucket."""
    step = abs(bucket - _SIDE)
    size = SMALLEST_MS * GROWTH ** (step - 0.5) if step else 0.0
    return size if bucket > _SIDE else -size
