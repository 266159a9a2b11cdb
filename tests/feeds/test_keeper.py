"""What the keeper of a venue's books does by itself. With an engine around it: test_engine.py and the like."""

import asyncio
import socket
import threading
import time
from types import SimpleNamespace
from typing import Any

from feeds.clock import SYSTEM
from feeds.domain import StreamState
from feeds.markets.keeper import LOOK_S, BookKeeper
from feeds.sync import Want
from tests.feeds.peer import until


async def test_what_came_while_the_loop_was_held_up_is_read_before_a_market_is_looked_at() -> None:
    """Else it were taken for a silence, and the market for STALE, however quick the exchange is."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    held_up_s, came, seen = 0.0, asyncio.Event(), asyncio.Queue[bool]()

    async def read() -> None:
        """As long a way as a frame's: the socket, a reader, a drainer."""
        loop, received = asyncio.get_running_loop(), asyncio.Event()

        async def drain() -> None:
            await received.wait()
            came.set()

        drainer = asyncio.create_task(drain())
        await loop.sock_recv(ours, 1)
        received.set()
        await drainer

    def look() -> None:
        if held_up_s:
            seen.put_nowait(came.is_set())

    feed: Any = SimpleNamespace(
        evaluate=look, sync=SimpleNamespace(ready=False), overdue_s=lambda: 0.0, silent_s=lambda: 0.0, stale_s=1.0
    )
    feed.book_link = SimpleNamespace(state=None)
    facts = SimpleNamespace(probe_s=None, probe_by_rest=False)
    venue: Any = SimpleNamespace(
        feeds={"BTC/USD": feed}, fresh_books=SimpleNamespace(tick=lambda _: None), adapter=SimpleNamespace(facts=facts)
    )
    watching = asyncio.create_task(BookKeeper(venue, SYSTEM, lambda work, name: work.close()).watch())
    reading = asyncio.create_task(read())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    sender = threading.Timer(LOOK_S, theirs.send, (b"x",))
    sender.start()
    held_up_s = 4 * LOOK_S
    time.sleep(held_up_s)  # noqa: ASYNC251 - this is what is tested
    async with asyncio.timeout(5):
        assert await seen.get(), "the market was looked at before its frame was read"
    watching.cancel()
    await asyncio.gather(watching, reading, return_exceptions=True)
    sender.join()
    ours.close()
    theirs.close()


class TestWhoIsAskedAbout:
    """Of silent markets, at 0.25 probes a second."""

    def stage(self, count: int, **facts: Any) -> tuple[BookKeeper, list[Any], list[str]]:
        asked: list[str] = []
        feeds = [
            SimpleNamespace(
                market=SimpleNamespace(symbol=f"M{number}", product="spot"),
                stale_s=5.0,
                silent_s=lambda: 100.0,
                bbo_ns=0,
                trades_ns=0,
                data_ns=1,
            )
            for number in range(count)
        ]
        adapter = SimpleNamespace(
            facts=SimpleNamespace(probe_s=facts.get("probe_s")),
            probe_request=lambda market: SimpleNamespace(product="spot", weight=1),
            budgets=lambda: {"spot": SimpleNamespace(per_s=10)},
        )
        venue: Any = SimpleNamespace(
            adapter=adapter, name="x", rest=SimpleNamespace(usage=lambda: {"spot": {"allowed": 5}})
        )

        def spawn(work: Any, name: str) -> None:
            work.close()
            asked.append(name.removeprefix("probe "))

        return BookKeeper(venue, SYSTEM, spawn), feeds, asked

    def test_few_are_asked_about_as_soon_as_any(self) -> None:
        keeper, feeds, asked = self.stage(1)
        for now_s in (0.0, 4.9, 5.1):
            keeper._ask_about(feeds, now_s)
        assert asked == ["M0", "M0"]

    def test_many_are_asked_about_as_often_as_rest_bears(self) -> None:
        keeper, feeds, asked = self.stage(20)
        for now_s in range(0, 160, 2):
            keeper._ask_about(feeds, float(now_s))
        assert len(asked) == 40, "each every 80 seconds, which is 0.25 a second"

    def test_one_of_which_prints_came_is_asked_about_out_of_turn(self) -> None:
        keeper, feeds, asked = self.stage(20, probe_s=10)
        keeper._ask_about(feeds, 0.0)
        asked.clear()
        feeds[3].trades_ns = 2 * 10**9
        keeper._ask_about(feeds, 4.0)
        assert asked == []
        keeper._ask_about(feeds, 6.0)
        assert asked == ["M3"]

    def test_a_new_silence_is_asked_about_without_waiting_for_the_turn_of_the_old_one(self) -> None:
        keeper, feeds, asked = self.stage(1, probe_s=60)
        keeper._ask_about(feeds, 0.0)
        keeper._ask_about(feeds, 10.0)
        assert asked == ["M0"]
        feeds[0].silent_s = lambda: 3.5  # data came six seconds ago
        keeper._ask_about(feeds, 10.0)
        assert asked == ["M0", "M0"]


class Feed(SimpleNamespace):
    """As much of a market as a snapshot needs. Each is another one."""

    __hash__ = object.__hash__
    __eq__ = object.__eq__


async def test_a_market_that_is_opened_again_asks_for_its_own_book() -> None:
    """The request of its former life may wait for a minute, and what it brings is void."""
    asked: list[str] = []

    def feed(name: str) -> Any:
        link = SimpleNamespace(state=StreamState.LIVE)
        sync = SimpleNamespace(needs=Want.SNAPSHOT, resyncs=0)
        market = SimpleNamespace(symbol="BTC/USDT", name=name)
        return Feed(market=market, state=StreamState.SYNCING, sync=sync, book_link=link, generation=0)

    async def send(request: Any) -> Any:
        asked.append(request.name)
        await asyncio.Event().wait()

    first, second = feed("first"), feed("second")
    adapter = SimpleNamespace(snapshot_request=lambda market: market)
    venue: Any = SimpleNamespace(
        adapter=adapter, name="x", stopping=False, rest=SimpleNamespace(send=send), feeds={"BTC/USDT": first}
    )
    tasks: list[asyncio.Task[None]] = []
    keeper = BookKeeper(venue, SYSTEM, lambda work, name: tasks.append(asyncio.create_task(work)))
    keeper.wanted(first, Want.SNAPSHOT)
    await until(lambda: asked == ["first"])
    venue.feeds["BTC/USDT"] = second
    keeper.wanted(first, Want.SNAPSHOT)
    for _ in range(2):
        keeper.wanted(second, Want.SNAPSHOT)
    await until(lambda: asked == ["first", "second"])
    assert len(tasks) == 2
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
