"""Not too often: the backoff of reconnects, and gates that let so many through in so much time."""

import asyncio
import math
import random
from collections import deque
from collections.abc import Iterator

from feeds.clock import SYSTEM, Clock

FIRST_S = 1.0
LONGEST_S = 60.0


def backoff() -> Iterator[float]:
    """Seconds to wait before each further attempt: 1 to 60, doubling, the upper half of each step by chance.

    The chance keeps many connections that broke at one moment from coming back at one moment.
    """
    ceiling = 2 * FIRST_S
    while True:
        yield random.uniform(ceiling / 2, ceiling)
        ceiling = min(2 * ceiling, LONGEST_S)


def wait_s(retry_after: str | None, now_s: float) -> float | None:
    """A Retry-After in seconds; None if there is none, or a date in words.

    Some exchanges (BTSE's engine) tell the moment when the wait is over, in seconds or milliseconds since 1970.
    """
    text = (retry_after or "").strip()
    if not (text.isascii() and text.isdigit()) or len(text) > 15:
        return None
    told = float(text)
    if told >= 1e12:
        return max(0.0, told / 1000 - now_s)
    return max(0.0, told - now_s) if told >= 1e9 else told


class Gate:
    """Lets at most ``limit`` through in any ``window_s`` seconds; first come, first served."""

    def __init__(self, limit: int, window_s: float, *, clock: Clock = SYSTEM) -> None:
        if limit < 1:
            raise ValueError(f"limit is {limit}: a gate that lets nothing through")
        self._limit = limit
        self._window_s = window_s
        self._clock = clock
        self._passed: deque[float] = deque(maxlen=limit)
        self._turn = asyncio.Lock()  # its waiters queue in order

    async def wait(self) -> None:
        """Return when one more may pass now."""
        async with self._turn:
            if len(self._passed) == self._limit:
                delay = self._passed[0] + self._window_s - self._clock.monotonic_s()
                if delay > 0:
                    await asyncio.sleep(delay)
            self._passed.append(self._clock.monotonic_s())


class ConnectGate(Gate):
    """How often connections may be opened from this address; one is shared by all connections of an exchange.

    ``per_s``: and how many of them within a second, where the exchange counts so; its window is longer by a tenth.
    """

    def __init__(self, per_minute: float, per_s: float | None = None, *, clock: Clock = SYSTEM) -> None:
        super().__init__(max(1, math.floor(per_minute)), 60.0, clock=clock)
        self._burst = None if per_s is None else Gate(max(1, math.floor(per_s)), 1.1 * max(1.0, 1 / per_s), clock=clock)

    async def wait(self) -> None:
        await super().wait()
        if self._burst is not None:
            await self._burst.wait()


class SendGate(Gate):
    """How often one connection, or all from this address, may send, a little below what the exchange allows.

    One message a second is left for pongs, which the WebSocket library sends by itself and exchanges count too; the
    window is longer by a tenth, because messages may arrive closer together than they were sent.
    """

    def __init__(self, per_s: float, *, clock: Clock = SYSTEM) -> None:
        super().__init__(max(1, math.floor(per_s) - 1), 1.1 * max(1.0, 1 / per_s), clock=clock)
