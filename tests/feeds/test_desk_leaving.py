"""An account that is ended: whoever waits for that no more, its streams end, and its orders go if so wished."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from feeds.clock import SYSTEM
from feeds.config import Config
from feeds.engine import Engine
from feeds.following.desk import Desk
from feeds.simulator import SimulatorServer
from tests.feeds.account_store import MemoryStore, StoreHandle
from tests.feeds.peer import no_task_left, until
from tests.feeds.recordings import place, simulated
from tests.feeds.test_engine import Sink
from tests.feeds.test_trader import SPEC, Tickets

__all__ = ["no_task_left"]  # a fixture for every test here

MINE = msgspec.structs.replace(SPEC, products=("spot",), cancel_on_stop=True, poll_s=0.5)
EDITED = msgspec.structs.replace(MINE, label="Renamed")


class Store(StoreHandle, Tickets):
    """Accounts and tickets in memory."""

    def __init__(self) -> None:
        StoreHandle.__init__(self, MemoryStore())
        Tickets.__init__(self)


class Bench:
    """An engine at the simulated Binance, and what that has of the account's orders."""

    def __init__(self, server: SimulatorServer, engine: Engine, desk: Desk) -> None:
        self.engine = engine
        self.desk = desk
        self._orders = server.accounts["binance"].by_name["test"].desks["spot"]
        self._market = server.market.of("binance", "spot")["BTCUSDT"]

    def order(self) -> None:
        """One far below the market, which rests."""
        price = int(self._market.mid()) * 7 // 10
        self._orders.place(self._market, buy=True, size=10, price=price, client_id="rests")

    @property
    def open(self) -> int:
        return len(self._orders.open_orders())

    async def live(self) -> None:
        await until(lambda: [state for state, _ in self.engine.account_states().values()] == ["LIVE"], what="live")

    async def edit_cancelled(self) -> asyncio.Event:
        """A restart that is cancelled while the old follower waits for its store; set the event, and that has it."""
        [follower] = self.desk.followers.values()
        journal: Any = follower.journal
        stop, reached, free = journal.stop, asyncio.Event(), asyncio.Event()

        async def slow_stop() -> None:
            reached.set()
            await free.wait()
            await stop()

        journal.stop = slow_stop
        edit = asyncio.create_task(self.engine.follow(EDITED))
        await reached.wait()
        edit.cancel()
        await asyncio.gather(edit, return_exceptions=True)
        return free


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with simulated("binance") as server:
        config = Config(path=None, exchanges={"binance": place("binance", server.port, pinned=())}, state_dir=tmp_path)
        engine = Engine(config, Sink(), Store())
        assert engine.desk is not None
        try:
            await engine.start()
            yield Bench(server, engine, engine.desk)
        finally:
            await engine.stop()


@pytest.mark.parametrize("end", ["removed", "engine stopped"])
async def test_removed_while_it_is_started_anew(bench: Bench, end: str) -> None:
    await bench.engine.follow(MINE)
    await bench.live()
    bench.order()
    old = bench.desk.followers[1]
    free = await bench.edit_cancelled()
    assert bench.open == 1  # an edit leaves orders alone
    last = asyncio.create_task(bench.engine.unfollow(1) if end == "removed" else bench.engine.stop())
    await until(lambda: bench.open == 0, what="cancelled")
    assert not last.done()
    free.set()
    await last
    assert not old.journal._tasks
    assert not bench.desk.followers


async def test_edited_again_while_it_is_started_anew(bench: Bench) -> None:
    await bench.engine.follow(MINE)
    await bench.live()
    bench.order()
    old = bench.desk.followers[1]
    free = await bench.edit_cancelled()
    again = asyncio.create_task(bench.engine.follow(EDITED))
    await asyncio.sleep(0.05)
    assert not bench.desk.followers  # one after the other
    free.set()
    await again
    assert not old.journal._tasks
    await bench.live()
    assert bench.open == 1
    await bench.engine.unfollow(1)
    assert bench.open == 0


@pytest.mark.parametrize("waits", ["cancelled", "goes on"])
async def test_removed_before_it_has_begun(bench: Bench, monkeypatch: pytest.MonkeyPatch, waits: str) -> None:
    """The exchange's list of markets is waited for."""
    bench.order()
    free = asyncio.Event()

    async def waiting(timeout_s: float) -> bool:
        return await free.wait()

    monkeypatch.setattr(bench.engine.venues["binance"], "wait_for_markets", waiting)
    begin = asyncio.create_task(bench.engine.follow(MINE))
    await until(lambda: bench.desk.followers)
    if waits == "cancelled":
        begin.cancel()
    await bench.engine.unfollow(1)
    assert bench.open == 0
    free.set()
    await asyncio.gather(begin, return_exceptions=True)
    assert not bench.desk.followers


async def test_a_stop_that_is_out_of_time_leaves_nothing_ending() -> None:
    store: Any = StoreHandle(MemoryStore())
    desk = Desk(store, {}, lambda topic: None, lambda topics: None, SYSTEM)
    never = asyncio.Event()
    follower: Any = SimpleNamespace(spec=MINE, stop=never.wait)
    desk.followers[1] = follower
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await desk.stop()
    assert [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("end of")] == []
