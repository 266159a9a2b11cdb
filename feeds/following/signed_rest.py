"""Signed questions to an exchange, in its own time.

The exchange's clock is reckoned from its answer to a time request and our *monotonic* clock: a wall clock that is set
(by NTP, by a person) would put signatures and figures minutes into the wrong time. An answer speaks of the moment that
its question was sent, never later: of the two readings that the measurement allows the earlier one is used, so that a
stream event that happened after the question is never taken for older than the answer.

An exchange that tells its clock in whole seconds is asked a few times more, just when the second should change: each
answer halves what is unknown.
"""

import asyncio
from collections.abc import Iterable
from contextlib import nullcontext

import msgspec
import structlog

from feeds.account import AccountApi, LimitsKeys
from feeds.clock import SYSTEM, Clock
from feeds.errors import ExchangeError, NotSent, RateLimited
from feeds.exchange import Request
from feeds.following.key_gate import KeyGate
from feeds.pacing import LONGEST_S
from feeds.rest import RestClient

log = structlog.get_logger(__name__)

SAMPLES = 3
"""Time requests per measurement; the quickest answer is the most exact."""

HALVINGS = 3
"""More of them, where the clock is told in whole seconds: what is unknown then is an eighth of a second."""

PATIENCE_S = 70.0
"""What is urgent waits so long at most while the exchange tells this key to be silent."""

_SECOND_MS = 1000.0


class Told(msgspec.Struct, frozen=True):
    """An answer, and the exchange's time that it speaks of."""

    raw: bytes
    asof_ms: int
    recv_ns: int


class _Reading(msgspec.Struct, frozen=True):
    """The exchange's clock said ``exchange_ms`` at some moment between ``sent_s`` and ``recv_s`` of ours."""

    exchange_ms: int
    sent_s: float
    recv_s: float


def _within(readings: list[_Reading]) -> tuple[float, float, _Reading]:
    """Of readings in whole seconds: between what the exchange's clock minus ours (ms) must be, and the reading that
    gives the lower one."""
    latest = max(readings, key=lambda reading: reading.exchange_ms - reading.recv_s * 1000)
    upper = min(reading.exchange_ms + _SECOND_MS - reading.sent_s * 1000 for reading in readings)
    return latest.exchange_ms - latest.recv_s * 1000, upper, latest


class SignedRest:
    """Asks for one account. A product whose clock was not measured yet is measured before its first question."""

    def __init__(self, exchange: str, api: AccountApi, rest: RestClient, *, clock: Clock = SYSTEM) -> None:
        self.last_answer_ns: int | None = None
        self._api = api
        self._rest = rest
        self._clock = clock
        self._readings: dict[str, _Reading] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._silent_until_s = 0.0  # the exchange told this key to wait
        self._told_off = 0  # so often since its last good answer
        self._log = log.bind(exchange=exchange)
        self._api_limits = api if isinstance(api, LimitsKeys) else None
        self._gate = KeyGate(exchange, api.key_limits, clock=clock) if isinstance(api, LimitsKeys) else None

    async def measure_all(self, products: Iterable[str]) -> None:
        for product in products:
            await self.measure(product)

    async def measure(self, product: str, *, urgent: bool = False) -> None:
        """Read the exchange's clock. Raises what the REST client raises, and ParseError. It is urgent when something
        waits for it: eight accounts that begin together would pass a limit of 15 a second."""
        readings = [await self._read_clock(product, urgent) for _ in range(SAMPLES)]
        if all(reading.exchange_ms % _SECOND_MS == 0 for reading in readings):
            self._readings[product] = await self._halve(product, readings, urgent)
        else:
            self._readings[product] = min(readings, key=lambda reading: reading.recv_s - reading.sent_s)

    async def _halve(self, product: str, readings: list[_Reading], urgent: bool) -> _Reading:
        """The clock goes in steps of a second: look when they come."""
        for _ in range(HALVINGS):
            lower, upper, _latest = _within(readings)
            middle, now_ms = (lower + upper) / 2, self._clock.monotonic_s() * 1000
            flight_s = min(reading.recv_s - reading.sent_s for reading in readings)
            await asyncio.sleep(-(middle + now_ms + flight_s * 500) % _SECOND_MS / 1000)
            readings.append(await self._read_clock(product, urgent))
        lower, upper, latest = _within(readings)
        middle_s = (latest.exchange_ms - (lower + max(lower, upper)) / 2) / 1000  # when it showed this, at a guess
        return _Reading(latest.exchange_ms, 2 * middle_s - latest.recv_s, latest.recv_s)

    async def _read_clock(self, product: str, urgent: bool) -> _Reading:
        sent_s = 0.0

        def note(request: Request) -> Request:
            nonlocal sent_s
            sent_s = self._clock.monotonic_s()
            return request

        request = self._api.time_request(product)
        if blocked_s := self.blocked_s(request.product):
            raise NotSent(f"{request}: the exchange asked to wait", blocked_s)
        try:
            answer = await self._rest.send(request, urgent=urgent, prepare=note)
        except RateLimited as error:
            self._wait_as_told(error)
            raise
        return _Reading(self._api.parse_time(product, answer.raw), sent_s, self._clock.monotonic_s())

    def now_ms(self, product: str) -> int:
        """The exchange's clock now: the best guess, for signatures."""
        reading = self._readings[product]
        middle_s = (reading.sent_s + reading.recv_s) / 2
        return reading.exchange_ms + round((self._clock.monotonic_s() - middle_s) * 1000)

    def offset_ms(self, product: str) -> float | None:
        """The exchange's clock minus our wall clock; None while it is not measured."""
        return self.now_ms(product) - self._clock.now_ns() / 1e6 if product in self._readings else None

    def at_least_ms(self, product: str, monotonic_s: float) -> int:
        """The exchange's clock at a moment of ours: the earliest that it can have shown."""
        reading = self._readings[product]
        return reading.exchange_ms + int((monotonic_s - reading.recv_s) * 1000)

    async def ask(self, request: Request, *, urgent: bool = False, max_wait_s: float | None = None) -> Told:
        """Sign, send, and return the answer; one refused for its time is asked again after a new measurement.

        ``max_wait_s``: it is not sent later than that (NotSent is raised then), however long it had to wait.
        """
        try:
            return await self._ask(request, urgent, max_wait_s)
        except ExchangeError as error:
            if not self._api.clock_error(error):
                raise
            self._log.warning("clock refused", product=request.product, error=str(error))
        await self._measure_again(request.product)
        return await self._ask(request, urgent, max_wait_s)

    def blocked_s(self, product: str) -> float:
        """How long this account may not ask, because the exchange said so to its key or to all of us."""
        return max(0.0, self._silent_until_s - self._clock.monotonic_s(), self._rest.blocked_s(product))

    async def _ask(self, request: Request, urgent: bool, max_wait_s: float | None) -> Told:
        """Raises NotSent, and does not even queue, while the exchange wants it to wait for longer than
        ``max_wait_s``; if that is None, what is not urgent at once: who asks again and again is to know why there is
        no answer."""
        sent_s = 0.0
        asked_s = self._clock.monotonic_s()
        longest_s = max_wait_s if max_wait_s is not None else PATIENCE_S if urgent else 0.0
        while blocked_s := self.blocked_s(request.product):
            if blocked_s > longest_s - (self._clock.monotonic_s() - asked_s):
                raise NotSent(f"{request}: the exchange asked to wait", blocked_s)
            await asyncio.sleep(blocked_s)
        if request.product not in self._readings:  # who cancels does not wait until the account is followed
            await self._measure_before(request, urgent)

        def sign(request: Request) -> Request:
            nonlocal sent_s
            sent_s = self._clock.monotonic_s()
            if max_wait_s is not None and sent_s - asked_s > max_wait_s:
                raise NotSent(f"{request} waited for {sent_s - asked_s:.1f} s and is not sent any more", 0.0)
            return self._api.sign(request, self.now_ms(request.product))

        cost = self._api_limits.key_cost(request) if self._api_limits is not None else 0.0
        async with (
            self._gate.passing(cost, urgent=urgent, max_wait_s=max_wait_s) if self._gate is not None else nullcontext()
        ):
            try:
                answer = await self._rest.send(request, urgent=urgent, prepare=sign, max_wait_s=max_wait_s)
            except RateLimited as error:
                self._wait_as_told(error)
                raise
        self._told_off = 0
        self.last_answer_ns = answer.recv_ns
        return Told(answer.raw, self.at_least_ms(request.product, sent_s), answer.recv_ns)

    async def _measure_before(self, request: Request, urgent: bool) -> None:
        """Whatever the exchange answers to that: the request itself was not sent."""
        try:
            await self.measure(request.product, urgent=urgent)
        except RateLimited as error:
            raise NotSent(str(error), error.retry_after_s, of_key=error.of_key) from error

    def _wait_as_told(self, error: RateLimited) -> None:
        """A limit of this key alone: nobody else waits for it. Told so again and again, it waits longer each time:
        most exchanges do not say how long."""
        now_s = self._clock.monotonic_s()
        if not error.of_key or now_s < self._silent_until_s:  # one of several questions that were on their way
            return
        self._silent_until_s = now_s + max(error.retry_after_s, min(error.retry_after_s * 2**self._told_off, LONGEST_S))
        self._told_off += 1

    async def _measure_again(self, product: str) -> None:
        """Once for all questions that were refused together."""
        before = self._readings[product]
        async with self._locks.setdefault(product, asyncio.Lock()):
            if self._readings[product] is before:
                await self.measure(product, urgent=True)
