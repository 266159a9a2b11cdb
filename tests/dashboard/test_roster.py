"""Whom the worker follows, where the engine takes its time."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from dashboard.roster import Roster
from feeds.account import AccountSpec, Credentials
from tests.dashboard.realtime import until


class Slow:
    """An engine whose followers end when the test says so."""

    def __init__(self) -> None:
        self.done: list[tuple[str, int]] = []
        self.ending: dict[int, asyncio.Future[None]] = {}

    async def follow(self, spec: AccountSpec) -> None:
        self.done.append(("follow", spec.id))

    async def unfollow(self, account: int) -> None:
        self.ending[account] = asyncio.get_running_loop().create_future()
        await self.ending[account]
        self.done.append(("unfollow", account))


class Rows:
    """A store with these accounts."""

    def __init__(self, *accounts: int) -> None:
        self.accounts = accounts

    async def run(self, _: Any) -> list[Any]:
        return [row(account) for account in self.accounts]


def row(account: int) -> SimpleNamespace:
    facts = {"exchange": "binance", "label": "Mine", "products": ["spot"], "symbols": [], "poll_s": 1.0}
    flags = {"trading": False, "only_here": False, "cancel_on_stop": False, "dead_man_s": 0}
    return SimpleNamespace(pk=account, name="main", **facts, **flags)


@pytest.fixture
def engine() -> Slow:
    return Slow()


@pytest.fixture
async def roster(engine: Slow) -> Roster:
    """It follows the accounts 1, 2 and 3."""
    nothing: Any = None
    stand_ins: tuple[Any, Any] = engine, Rows(1, 2, 3)
    roster = Roster(nothing, *stand_ins, nothing)
    roster._named["main"] = Credentials("k", "s")
    await roster.refresh()
    await until(lambda: len(engine.done) == 3, "all three")
    engine.done.clear()
    return roster


def now_has(roster: Roster, *accounts: int) -> None:
    rows: Any = Rows(*accounts)
    roster._store = rows


async def test_those_that_go_end_side_by_side_and_a_new_one_does_not_wait_for_them(
    roster: Roster, engine: Slow
) -> None:
    now_has(roster, 3, 4)
    refresh = asyncio.create_task(roster.refresh())
    await until(lambda: set(engine.ending) == {1, 2} and engine.done == [("follow", 4)], "both ends, and the beginning")
    for ending in engine.ending.values():
        ending.set_result(None)
    await refresh
    assert engine.done == [("follow", 4), ("unfollow", 1), ("unfollow", 2)]


async def test_none_is_followed_anew_before_its_old_follower_has_ended(roster: Roster, engine: Slow) -> None:
    now_has(roster, 2, 3)
    going = asyncio.create_task(roster.refresh())
    await until(lambda: engine.ending, "the end's beginning")
    now_has(roster, 1, 2, 3)
    coming = asyncio.create_task(roster.refresh())
    await asyncio.sleep(0.05)
    assert engine.done == []
    engine.ending[1].set_result(None)
    await asyncio.gather(going, coming)
    await until(lambda: engine.done == [("unfollow", 1), ("follow", 1)], "the new beginning")


async def test_an_end_that_fails_is_told_when_the_others_have_ended(roster: Roster, engine: Slow) -> None:
    now_has(roster, 3)
    refresh = asyncio.create_task(roster.refresh())
    await until(lambda: set(engine.ending) == {1, 2}, "both ends")
    engine.ending[1].set_exception(OSError("so it is"))
    await asyncio.sleep(0.05)
    assert not refresh.done()
    engine.ending[2].set_result(None)
    with pytest.raises(OSError, match="so it is"):
        await refresh
