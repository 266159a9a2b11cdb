"""An event loop whose time passes only while everybody waits: hours in milliseconds, and the same at every run.

For code without sockets and threads. ``run`` is like ``asyncio.run``; :class:`LoopClock` is a ``feeds.clock.Clock``.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

EPOCH_NS = 1_795_221_000_000_000_000


class Deadlock(Exception):
    """Everybody waits, and nothing is due."""


class _Selector(selectors.SelectSelector):
    """Instead of waiting, the time goes on."""

    loop: "WarpLoop"

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise Deadlock
        if timeout > 0:
            self.loop.now_s += timeout
        return super().select(0)


class WarpLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.now_s = 1000.0
        selector = _Selector()
        super().__init__(selector)
        selector.loop = self

    def time(self) -> float:
        return self.now_s


class LoopClock:
    """The loop's time. ``wall_s`` is how far the wall clock is off; set it to let the clock jump."""

    def __init__(self) -> None:
        self.wall_s = 0.0

    def monotonic_s(self) -> float:
        return asyncio.get_running_loop().time()

    def now_ns(self) -> int:
        return EPOCH_NS + round((self.monotonic_s() + self.wall_s) * 1e9)


def run(main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=WarpLoop) as runner:
        return runner.run(main)
