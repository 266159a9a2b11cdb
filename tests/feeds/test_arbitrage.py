"""Arbitrage events: what becomes one, how it ends, and that nothing is shown before it is stored."""

import asyncio
from collections.abc import Mapping
from decimal import Decimal as D
from typing import Any

import msgspec
import pytest

from feeds.across.arbitrage import ABANDONED, Event, Recorder, Threshold, Watch
from feeds.across.fees import Fee
from feeds.across.legs import Rate
from feeds.across.matrix import Matrix
from feeds.clock import FakeClock
from feeds.domain import StreamState
from tests.feeds.legs_help import LIVE, POLLED, STALE, Place
from tests.feeds.test_engine import until

SLOW = StreamState.SLOW


class World:
    """Two exchanges without fees, a matrix over them, and what is reported."""

    def __init__(self, bps: str = "5", duration_s: float = 2.0) -> None:
        self.clock = FakeClock()
        self.events: list[Event] = []
        self.watch = Watch(Threshold(bps=D(bps), duration_s=duration_s), self.events.append, self.clock)
        self.alpha = Place("alpha").book([(99.0, 10.0)], [(100.0, 10.0)])
        self.beta = Place("beta").book([(99.0, 10.0)], [(100.5, 10.0)])
        self.matrix = Matrix(
            "BTC/USDT",
            "BTC",
            "USDT",
            D(1),
            "taker",
            fee_of=lambda leg: Fee(maker_bps=D(0), taker_bps=D(0)),
            judge=self.watch,
            clock=self.clock,
        )
        self.matrix.set_legs([self.alpha.leg, self.beta.leg])
        self.matrix.compute()

    def bid(self, price: float, size: float = 10.0) -> None:
        self.beta.book([(price, size)], [(price + 1, 10.0)])
        self.matrix.compute()

    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.matrix.tick()

    @property
    def open(self) -> list[Event]:
        return [event for event in {e.key: e for e in self.events}.values() if event.ended_ns is None]


class TestOldLegs:
    """A spread against a book of seconds ago is shown, and is no event."""

    def test_a_leg_that_grows_old_opens_no_event(self) -> None:
        world = World(duration_s=1.0)
        world.alpha.state(POLLED)
        world.bid(100.2)
        for age_s in (0.6, 1.1, 1.6, 5.0, 14.0):  # asked for 0.1 s before it came
            world.alpha.holder.late_s = age_s
            world.wait(0.5)
        assert not world.events
        assert world.matrix.pairs[0].bps == D(20), "it is shown all the same"

    @pytest.mark.parametrize("state", [POLLED, SLOW])
    def test_one_that_is_open_ends_and_another_one_begins_anew(self, state: StreamState) -> None:
        world = World(duration_s=1.0)
        world.bid(100.2)
        world.wait(1.0)
        assert len(world.open) == 1
        world.alpha.state(state)
        world.alpha.holder.late_s = 1.1
        world.wait(0.5)
        assert not world.open
        assert world.events[-1].reason == f"A leg grew old: alpha BTC/USDT is {state}, its book may be older than 1 s."
        world.alpha.state(LIVE)
        world.alpha.holder.late_s = 0.0
        world.wait(0.5)
        assert not world.open, "it must last as long as any other"
        world.wait(1.0)
        assert len(world.open) == 1

    def test_a_rate_is_a_part_of_its_leg(self) -> None:
        world = World(duration_s=0.0)
        given = Place("gamma", "USDT/USD").book([(1.0, 10.0)], [(1.0001, 10.0)])
        world.beta.leg.rate = Rate("USD", "USDT", [given.source], par=False)
        given.holder.late_s = 3.0
        world.bid(100.2)
        assert not world.events
        given.holder.late_s = 0.5
        world.wait(0.5)
        assert len(world.open) == 1


class TestWatch:
    def test_long_enough_above_the_threshold_is_an_event(self) -> None:
        world = World()
        began_ns = world.clock.now_ns()
        world.bid(100.06)  # 6 bps
        world.wait(1)
        world.bid(100.10)
        largest_ns = world.clock.now_ns()
        world.wait(0.9)
        assert not world.events
        world.bid(100.05)  # 5 bps: at the threshold is above it
        world.wait(0.1)
        (event,) = world.open
        assert (event.started_ns, event.first_bps, event.largest_bps) == (began_ns, D(6), D(10))
        assert (event.largest_net, event.largest_ns) == (D("0.1"), largest_ns)
        assert (event.buy_exchange, event.sell_exchange, event.size, event.fees) == ("alpha", "beta", D(1), "taker")
        world.bid(100.2)
        assert (event.largest_bps, event.largest_net) == (D(20), D("0.2"))
        world.wait(3)
        world.bid(100.04)
        assert (event.ended_ns, event.reason) == (world.clock.now_ns(), "The net fell below the threshold.")

    def test_a_break_begins_anew(self) -> None:
        world = World()
        world.bid(100.06)
        world.wait(1.5)
        world.bid(100.0)
        world.bid(100.06)
        world.wait(1.5)
        assert not world.events
        world.wait(0.5)
        assert len(world.open) == 1

    def test_why_it_ended(self) -> None:
        for spoil, reason in (
            (lambda w: w.alpha.state(STALE, "No data for 5 s or more."),
             "A leg went stale: alpha BTC/USDT is STALE: No data for 5 s or more."),
            (lambda w: w.beta.book([(100.1, 0.4)], [(101.0, 9.0)]),
             "The depth no longer suffices: beta BTC/USDT bids: only 0.4 of 1 BTC."),
            (lambda w: w.matrix.end("Nobody watches this matrix any more."), "Nobody watches this matrix any more."),
            (lambda w: w.matrix.new_fees(), "The fees or the threshold were changed."),
        ):  # fmt: skip
            world = World()
            world.bid(100.06)
            world.wait(2)
            (event,) = world.open
            spoil(world)
            world.matrix.compute()
            assert event.reason == reason
            assert event.ended_ns == world.clock.now_ns()

    def test_a_threshold_that_is_set_anew_holds_from_then_on(self) -> None:
        world = World()
        world.bid(100.06)
        world.wait(1)
        world.watch.set(Threshold(bps=D(7), duration_s=0))
        world.matrix.new_fees()
        world.wait(5)
        assert not world.events
        world.bid(100.07)
        assert len(world.open) == 1, "a duration of 0 waits for nothing"


class Store:
    """Keeps events in memory; fails while it is told to."""

    def __init__(self) -> None:
        self.events: dict[str, Event] = {}
        self.broken = False
        self.writes = 0

    async def put_event(self, event: Event) -> None:
        await asyncio.sleep(0)
        if self.broken:
            raise OSError("database is locked")
        self.writes += 1
        self.events[event.key] = event

    async def close_abandoned(self, reason: str) -> int:
        left = [event for event in self.events.values() if event.ended_ns is None]
        for event in left:
            self.events[event.key] = msgspec.structs.replace(event, ended_ns=event.seen_ns, reason=reason)
        return len(left)

    async def newest_events(self, ended: int) -> list[dict[str, Any]]:
        return [
            {"key": e.key, "open": e.ended_ns is None, "started_ms": e.started_ns // 1_000_000, "reason": e.reason}
            for e in self.events.values()
        ]

    async def user_fees(self) -> Mapping[tuple[str, str], Fee]:
        return {}

    async def user_threshold(self) -> Threshold | None:
        return None


@pytest.fixture
async def recorder():
    store, changes, clock = Store(), [], FakeClock()
    made = Recorder(store, changes.append, clock)
    made.start()
    yield made, store, changes, clock
    await made.stop()


def event(key: str = "1", **more: Any) -> Event:
    given = {
        "key": key,
        "symbol": "BTC/USDT",
        "quote": "USDT",
        "size": D(1),
        "fees": "taker",
        "buy_exchange": "alpha",
        "buy_symbol": "BTC/USDT",
        "sell_exchange": "beta",
        "sell_symbol": "BTC/USDT",
        "threshold_bps": D(5),
        "started_ns": FakeClock().now_ns(),
        "first_bps": D(6),
        "largest_bps": D(6),
        "largest_net": D("0.06"),
        "largest_ns": 1,
        "seen_ns": 2,
    }
    return Event(**given | more)


def rows(made: Recorder) -> list[dict[str, Any]]:
    picture = made.draw(Threshold())
    return [] if picture is None else picture.data["events"]


class TestRecorder:
    async def test_stored_first_and_shown_then(self, recorder) -> None:
        made, store, changes, clock = recorder
        await until(lambda: changes == ["arbitrage"])
        assert rows(made) == []
        store.broken = True
        made.report(event())
        await asyncio.sleep(0.05)  # it is tried, and fails: nothing comes of it
        assert rows(made) == [], "what is not stored is not shown"
        store.broken = False
        await until(lambda: len(changes) > 1)
        clock.advance(3)
        (row,) = rows(made)
        assert (row["open"], row["lasted_ms"]) == (True, 3000)

    async def test_an_end_is_written_at_once_and_what_is_between_not(self, recorder) -> None:
        made, store, _, _ = recorder
        one = event()
        made.report(one)
        await until(lambda: store.writes == 1)
        for n in range(100):
            one.largest_bps = D(n)
            made.report(one)
            await asyncio.sleep(0)
        assert store.writes == 1
        one.ended_ns, one.reason = 5, "Over."
        made.report(one)
        await until(lambda: store.events["1"].ended_ns == 5)
        assert (store.events["1"].largest_bps, rows(made)[0]["open"]) == (D(99), False)

    async def test_many_changes_while_the_store_is_down_are_one_write(self, recorder) -> None:
        made, store, _, _ = recorder
        store.broken = True
        one = event()
        for _ in range(1000):
            made.report(one)
            await asyncio.sleep(0)
        store.broken = False
        await until(lambda: store.writes >= 1)
        assert store.writes <= 2

    async def test_the_stop_writes_the_ends(self) -> None:
        store = Store()
        made = Recorder(store, lambda _: None, FakeClock())
        made.start()
        one = event()
        made.report(one)
        await until(lambda: store.writes == 1)
        one.ended_ns, one.reason = 7, "The worker stopped."
        made.report(one)
        await made.stop()
        await made.stop()
        assert store.events["1"].reason == "The worker stopped."

    async def test_what_a_killed_worker_left_open_is_closed_at_the_start(self) -> None:
        store = Store()
        store.events["old"] = event("old", seen_ns=77)
        made = Recorder(store, lambda _: None, FakeClock())
        made.start()
        await until(lambda: rows(made))
        assert (store.events["old"].ended_ns, store.events["old"].reason) == (77, ABANDONED)
        await made.stop()
