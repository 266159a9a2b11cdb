"""How much of an exchange's REST budget is used, and who may go next.

Windows are the wall clock's (Binance: "minute windows start on the wall-clock minute"). Ordinary requests may use
``share`` of the limit, urgent ones nearly all of it: so an account's question is never behind a hundred snapshots.
Should our clock differ from the exchange's, both halves of two windows still fit into one at a share of a half.
"""

import asyncio
from collections import deque

from feeds.clock import Clock
from feeds.errors import FeedError, NotSent
from feeds.exchange import Budget

URGENT_SHARE = 0.95

EARLY_S = 1.0
"""In this first part of a window what the exchange tells may still be of its former one: clocks differ."""


class Weights:
    """The bookkeeping of one budget. No I/O; times are passed in."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._window = -1
        self._used = 0
        self._in_flight = 0  # weight of requests that are not answered yet
        self._told = 0  # what the exchange said last, in this window

    def allowed(self, urgent: bool) -> int:
        return int(self.budget.limit * (URGENT_SHARE if urgent else min(self.budget.share, URGENT_SHARE)))

    def used(self, now_ns: int) -> int:
        self._roll(now_ns)
        return self._used

    def left_s(self, now_ns: int) -> float:
        """Until the next window."""
        length = self.budget.per_s * 1_000_000_000
        return (length - now_ns % length) / 1e9

    def fits(self, weight: int, urgent: bool, now_ns: int) -> bool:
        return self.used(now_ns) + weight <= self.allowed(urgent)

    def take(self, weight: int, now_ns: int) -> None:
        self._roll(now_ns)
        self._used += weight
        self._in_flight += weight

    def give_back(self, weight: int, now_ns: int) -> None:
        """It was taken and not used."""
        self._roll(now_ns)
        self._in_flight -= weight
        self._used = max(0, self._used - weight)

    def answered(self, weight: int, told: int | None, sent_ns: int, now_ns: int) -> None:
        """A request of this weight was answered, or given up; ``told`` is the exchange's count, where it told it."""
        self._roll(now_ns)
        self._in_flight -= weight
        length = self.budget.per_s * 1_000_000_000
        early = now_ns % length < min(EARLY_S, self.budget.per_s / 10) * 1e9
        if told is None or early or sent_ns // length != self._window:
            return
        if told < self._told // 2:  # not an answer overtaken by another: the exchange's window began anew
            self._used = told + self._in_flight
        else:
            self._used = max(self._used, told + self._in_flight)
        self._told = told

    def _roll(self, now_ns: int) -> None:
        window = now_ns // (self.budget.per_s * 1_000_000_000)
        if window != self._window:
            self._window = window
            self._used = self._in_flight  # may be counted in either window: count it in both
            self._told = 0


class _Waiter:
    __slots__ = ("passed", "turn", "weight")

    def __init__(self, weight: int) -> None:
        self.weight = weight
        self.turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.passed = False  # its weight was taken


class WeightGate:
    """Lets requests through as the budget allows: urgent ones first, among equals first come, first served."""

    def __init__(self, name: str, budget: Budget, clock: Clock) -> None:
        self.name = name
        self.weights = Weights(budget)
        self._clock = clock
        self._queues: tuple[deque[_Waiter], deque[_Waiter]] = (deque(), deque())  # urgent, ordinary
        self._blocked_until_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        return sum(map(len, self._queues))

    @property
    def blocked_s(self) -> float:
        """How long nobody may pass."""
        return max(0.0, self._blocked_until_s - self._clock.monotonic_s())

    async def acquire(self, weight: int, *, urgent: bool, max_wait_s: float) -> None:
        """Wait for this much of the budget.

        Raises NotSent if the wait would be, or was, longer than ``max_wait_s``.
        """
        budget = self.weights.budget
        if weight > self.weights.allowed(urgent):
            allowed = self.weights.allowed(urgent)
            raise NotSent(f"{self.name}: a request of weight {weight} never fits into {allowed}", budget.per_s)
        if self.blocked_s > max_wait_s:
            raise NotSent(f"{self.name}: the exchange asked to wait", self.blocked_s)
        queue = self._queues[0 if urgent else 1]
        waiter = _Waiter(weight)
        queue.append(waiter)
        self._pump()
        try:
            async with asyncio.timeout(max_wait_s):
                await waiter.turn
        except BaseException as error:
            if waiter.passed:
                self.weights.give_back(weight, self._clock.now_ns())
            elif waiter in queue:
                queue.remove(waiter)
            self._pump()
            if isinstance(error, TimeoutError):
                wait_s = max(self.blocked_s, self.weights.left_s(self._clock.now_ns()))
                raise NotSent(f"{self.name}: the budget was used up for {max_wait_s:g} s", wait_s) from None
            raise

    def answered(self, weight: int, told: int | None, sent_ns: int) -> None:
        self.weights.answered(weight, told, sent_ns, self._clock.now_ns())
        self._pump()

    def block(self, seconds: float) -> None:
        """The exchange asks everybody to wait."""
        self._blocked_until_s = max(self._blocked_until_s, self._clock.monotonic_s() + seconds)
        self._pump()

    def close(self, error: FeedError) -> None:
        """All who wait get this error."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        for queue in self._queues:
            while queue:
                waiter = queue.popleft()
                if not waiter.turn.done():
                    waiter.turn.set_exception(error)

    def _pump(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        delay_s = self.blocked_s
        if not delay_s:
            now_ns = self._clock.now_ns()
            for queue, urgent in zip(self._queues, (True, False), strict=True):
                while queue and self.weights.fits(queue[0].weight, urgent, now_ns):
                    waiter = queue.popleft()
                    if not waiter.turn.done():
                        self.weights.take(waiter.weight, now_ns)
                        waiter.passed = True
                        waiter.turn.set_result(None)
            delay_s = self.weights.left_s(now_ns)
        if self.waiting:
            self._timer = asyncio.get_running_loop().call_later(delay_s + 0.001, self._pump)
