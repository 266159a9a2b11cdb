"""Hours in seconds, over real sockets: an event loop whose time goes on when nothing is left to do.

For servers and clients that live in one loop on this machine. What one side writes to a loopback socket can be read by
the other at once, so nobody is ever told that time has passed while his answer was still on its way; a thread's result
may be. All times must come from the loop or from :class:`LoopClock`; the machine's clocks know nothing of it.
"""

import asyncio
import selectors
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
THREADS_S = 1.0
"""How long is waited for a thread when nothing else is due, before it is looked again."""


class _Selector(selectors.DefaultSelector):
    loop: "HourLoop"

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            return super().select(THREADS_S)
        self.loop.now_s += max(timeout, 0.0)
        return super().select(0)


class HourLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.now_s = 1000.0
        selector = _Selector()
        super().__init__(selector)
        selector.loop = self

    def time(self) -> float:
        return self.now_s


class LoopClock:
    """The running loop's time; the time of day when it began is the machine's. Fits :class:`feeds.clock.Clock`."""

    def __init__(self) -> None:
        self._begun_ns = time.time_ns()

    def monotonic_s(self) -> float:
        return asyncio.get_running_loop().time()

    def now_ns(self) -> int:
        return self._begun_ns + round((self.monotonic_s() - 1000.0) * 1e9)

    def now_s(self) -> float:
        return self.now_ns() / 1e9

    def now_ms(self) -> int:
        return self.now_ns() // 1_000_000


def run(main: Coroutine[Any, Any, T]) -> T:
    """Like ``asyncio.run``."""
    with asyncio.Runner(loop_factory=HourLoop) as runner:
        return runner.run(main)
