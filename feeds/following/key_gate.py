"""What an exchange allows each API key by itself, kept: a counter that every request raises and time lowers, and the
order of nonces. The budget of a host (:mod:`feeds.budget`) is another matter: all keys share that.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from feeds.account import KeyLimits
from feeds.clock import SYSTEM, Clock
from feeds.errors import NotSent, RateLimited


class Counter:
    """The bookkeeping. No I/O; seconds are passed in and only rise."""

    def __init__(self, limits: KeyLimits) -> None:
        self._limits = limits
        self._count = 0.0
        self._at_s = 0.0

    def count(self, now_s: float) -> float:
        """What of it stands now."""
        self._count = max(0.0, self._count - (now_s - self._at_s) * self._limits.decay_per_s)
        self._at_s = now_s
        return self._count

    def wait_s(self, cost: float, urgent: bool, now_s: float) -> float:
        """Until there is room for this: 0 if there is. What is not urgent leaves the reserve alone."""
        room = self._limits.most - (0.0 if urgent else self._limits.reserve)
        over = self.count(now_s) + cost - max(room, cost)
        return max(0.0, over / self._limits.decay_per_s)

    def take(self, cost: float, now_s: float) -> None:
        self._count = self.count(now_s) + cost

    def fill(self, now_s: float) -> None:
        """The exchange says that it is full: others use the key, too."""
        self._count = max(self.count(now_s), self._limits.most)


class Turns:
    """One at a time. What is urgent is next, before all that waits and is not; else the first to come is the first."""

    def __init__(self) -> None:
        self._taken = False
        self._waiting: dict[bool, deque[asyncio.Future[None]]] = {True: deque(), False: deque()}

    @asynccontextmanager
    async def turn(self, *, urgent: bool) -> AsyncIterator[None]:
        if self._taken:
            mine = asyncio.get_running_loop().create_future()
            self._waiting[urgent].append(mine)
            try:
                await mine
            except asyncio.CancelledError:
                if not mine.cancelled():  # it was given to us in this moment
                    self._give()
                elif mine in self._waiting[urgent]:
                    self._waiting[urgent].remove(mine)
                raise
        self._taken = True
        try:
            yield
        finally:
            self._give()

    def _give(self) -> None:
        """To the next; nobody else can come between."""
        for waiting in self._waiting.values():
            while waiting:
                following = waiting.popleft()
                if not following.done():  # else it was cancelled in this moment
                    following.set_result(None)
                    return
        self._taken = False


class KeyGate:
    """Lets one key's requests through: as many as its counter allows and, if their order matters, one at a time.

    One at a time means that a request waits for those before it, up to ten seconds each where the exchange is slow: so
    cancelling and the dead man's switch, which are urgent, wait for the present one only.
    """

    def __init__(self, name: str, limits: KeyLimits, *, max_wait_s: float = 70.0, clock: Clock = SYSTEM) -> None:
        self._name = name
        self._counter = Counter(limits)
        self._turns = Turns() if limits.one_at_a_time else None
        self._max_wait_s = max_wait_s
        self._clock = clock

    @asynccontextmanager
    async def passing(self, cost: float, *, urgent: bool, max_wait_s: float | None = None) -> AsyncIterator[None]:
        """Wait for room, and for one's turn; the body is the request. Raises NotSent if the wait for room would be
        longer than ``max_wait_s`` (else the gate's own)."""
        begun_s = self._clock.monotonic_s()
        longest_s = self._max_wait_s if max_wait_s is None else max_wait_s
        while (wait_s := self._counter.wait_s(cost, urgent, now_s := self._clock.monotonic_s())) > 0:
            if now_s - begun_s + wait_s > longest_s:
                raise NotSent(f"{self._name}: this key's budget is used up", wait_s)
            await asyncio.sleep(wait_s + 0.001)
        self._counter.take(cost, now_s)
        try:
            if self._turns is None:
                yield
                return
            async with self._turns.turn(urgent=urgent):
                yield
        except RateLimited:
            self._counter.fill(self._clock.monotonic_s())
            raise
