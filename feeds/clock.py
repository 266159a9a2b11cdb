"""Where time comes from, so that tests can say what time it is."""

import time
from typing import Protocol


class Clock(Protocol):
    """Two clocks: one that tells the time of day and may jump, and one that only runs."""

    def now_ns(self) -> int:
        """Wall clock, UTC, nanoseconds since 1970."""

    def monotonic_s(self) -> float:
        """Seconds since some moment in the past; never goes back. For ages and timeouts."""


class SystemClock:
    """The machine's clocks."""

    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic_s(self) -> float:
        return time.monotonic()


class FakeClock:
    """A clock that stands still until it is told to go on."""

    def __init__(self, now_ns: int = 1_795_221_000_000_000_000, monotonic_s: float = 1000.0) -> None:
        self._now_ns = now_ns
        self._monotonic_s = monotonic_s

    def now_ns(self) -> int:
        return self._now_ns

    def monotonic_s(self) -> float:
        return self._monotonic_s

    def advance(self, seconds: float) -> None:
        """Both clocks go on by ``seconds``."""
        self._now_ns += round(seconds * 1e9)
        self._monotonic_s += seconds

    def jump(self, seconds: float) -> None:
        """The wall clock alone is set, as by NTP or a person."""
        self._now_ns += round(seconds * 1e9)


SYSTEM: Clock = SystemClock()
