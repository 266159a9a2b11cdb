"""What an exchange allows each key by itself; and a clock that is told in whole seconds."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.account import KeyLimits
from feeds.errors import RateLimited
from feeds.exchange import Request
from feeds.following.key_gate import Counter, KeyGate, Turns
from feeds.following.signed_rest import SignedRest
from feeds.rest import Answer
from tests.feeds import warp
from tests.feeds.warp import EPOCH_NS, LoopClock

LIMITS = KeyLimits(most=15, decay_per_s=0.33, reserve=3, one_at_a_time=True)


class TestCounter:
    @given(st.lists(st.tuples(st.sampled_from([0, 1, 2]), st.booleans(), st.floats(0, 20)), max_size=60))
    def test_never_more_than_the_exchange_allows(self, asked):
        counter, now_s, theirs, at_s = Counter(LIMITS), 0.0, 0.0, 0.0
        for cost, urgent, pause_s in asked:
            now_s += pause_s
            now_s += counter.wait_s(cost, urgent, now_s)
            assert counter.wait_s(cost, urgent, now_s) == pytest.approx(0, abs=1e-9)
            counter.take(cost, now_s)
            theirs = max(0.0, theirs - (now_s - at_s) * LIMITS.decay_per_s) + cost
            at_s = now_s
            assert theirs <= LIMITS.most + 1e-6
            assert urgent or theirs <= LIMITS.most - LIMITS.reserve + 1e-6 or cost == 0 or theirs - cost > 11

    def test_the_reserve_is_for_what_is_urgent(self):
        counter = Counter(LIMITS)
        counter.take(12, 0)
        assert counter.wait_s(1, True, 0) == 0
        assert counter.wait_s(1, False, 0) == pytest.approx(1 / 0.33)
        counter.fill(0)
        assert counter.count(0) == 15
        assert counter.count(15 / 0.33) == pytest.approx(0)


def test_one_at_a_time_and_as_time_allows():
    async def main():
        clock = LoopClock()
        gate, inside, log = KeyGate("x", LIMITS, max_wait_s=200, clock=clock), 0, []

        async def ask(number):
            nonlocal inside
            async with gate.passing(1, urgent=False):
                assert not inside
                inside += 1
                await asyncio.sleep(0.1)
                inside -= 1
                log.append((number, clock.monotonic_s()))

        begun_s = clock.monotonic_s()
        await asyncio.gather(*(ask(number) for number in range(20)))
        assert len(log) == 20
        assert log[11][1] - begun_s == pytest.approx(1.2, abs=0.2)  # twelve at once, one after the other
        assert log[-1][1] - begun_s == pytest.approx((20 - 12) / 0.33, abs=1)

    warp.run(main())


@pytest.mark.parametrize("gone", [None, "urgent", "first", "both"])
def test_what_is_urgent_is_next(gone):
    """A cancel, and the dead man's switch, wait for the present request alone, however many polls are in the line."""

    async def main():
        limits = KeyLimits(most=1000, decay_per_s=1, one_at_a_time=True)
        gate, log = KeyGate("x", limits, clock=LoopClock()), []

        async def ask(name, *, urgent=False):
            async with gate.passing(1, urgent=urgent):
                log.append(name)
                await asyncio.sleep(9.5)

        polls = [asyncio.create_task(ask(n)) for n in range(5)]
        await asyncio.sleep(1)
        cancel = [asyncio.create_task(ask(name, urgent=True)) for name in ("cancel", "switch")]
        await asyncio.sleep(1)
        left = {None: [], "urgent": cancel[:1], "first": polls[:1], "both": [*polls[:2], cancel[0]]}[gone]
        for task in left:
            task.cancel()
        await asyncio.gather(*polls, *cancel, return_exceptions=True)
        before = [name for name in (0, "cancel", "switch", 1, 2, 3, 4) if name != "cancel" or cancel[0] not in left]
        assert log == [name for name in before if name != 1 or polls[1] not in left]
        async with asyncio.timeout(1), gate.passing(1, urgent=False):
            pass  # it is free again

    warp.run(main())


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 30), st.none() | st.integers(1, 60)), max_size=12))
def test_turns_are_one_at_a_time_whoever_leaves(asked):
    async def main():
        turns, inside = Turns(), 0

        async def ask(urgent, after, patience):
            nonlocal inside
            await asyncio.sleep(after)
            try:
                async with asyncio.timeout(patience), turns.turn(urgent=urgent):
                    inside += 1
                    try:
                        assert inside == 1
                        await asyncio.sleep(5)
                    finally:
                        inside -= 1
            except TimeoutError:
                pass

        await asyncio.gather(*(ask(*each) for each in asked))
        async with asyncio.timeout(1), turns.turn(urgent=False):
            assert inside == 0

    warp.run(main())


def test_who_would_wait_too_long_is_told():
    async def main():
        gate = KeyGate("x", LIMITS, max_wait_s=2, clock=LoopClock())
        with pytest.raises(RateLimited):
            async with gate.passing(1, urgent=True):
                raise RateLimited("said the exchange", 5)
        with pytest.raises(RateLimited, match="budget"):
            async with gate.passing(1, urgent=True):
                raise AssertionError("the exchange had said that it is full")

    warp.run(main())


class Seconds:
    """An exchange whose clock is ahead by ``ahead_ms`` and told in whole seconds; also the account's side of it."""

    def __init__(self, clock, ahead_ms):
        self.clock, self.ahead_ms, self.asked = clock, ahead_ms, 0

    def now_ms(self):
        return EPOCH_NS / 1e6 + self.clock.monotonic_s() * 1000 + self.ahead_ms

    def time_request(self, product):
        return Request(path="/time", product=product)

    def parse_time(self, product, raw):
        return int(raw)

    def blocked_s(self, product):
        return 0.0

    async def send(self, request, *, urgent=False, prepare=None, max_wait_s=None):
        request = prepare(request)
        self.asked += 1
        await asyncio.sleep(0.02)
        told = int(self.now_ms() // 1000 * 1000)
        await asyncio.sleep(0.03)
        return Answer(raw=str(told).encode(), status=200, sent_ns=0, recv_ns=0, headers={})


@pytest.mark.parametrize("ahead_ms", [0, 137, 499, 500, 998.5, -20_250.25])
def test_a_clock_in_whole_seconds_is_read_when_it_steps(ahead_ms):
    async def main():
        clock = LoopClock()
        await asyncio.sleep(0.777)
        exchange = Seconds(clock, ahead_ms)
        rest = SignedRest("x", exchange, exchange, clock=clock)
        await rest.measure("spot")
        true_ms = exchange.now_ms()
        assert exchange.asked == 6
        assert abs(rest.now_ms("spot") - true_ms) < 130
        earliest_ms = rest.at_least_ms("spot", clock.monotonic_s())
        assert true_ms - 260 < earliest_ms <= true_ms

    warp.run(main())
