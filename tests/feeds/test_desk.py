"""What the topics of an account say of how well it is followed: what holds now, whatever the store knows of it."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from feeds.clock import SYSTEM
from feeds.config import Config
from feeds.domain import StreamState
from feeds.engine import Engine
from feeds.following import desk as module
from feeds.following.desk import Desk
from feeds.topics import ACCOUNT_KINDS, parse_topic
from tests.feeds.peer import until
from tests.feeds.test_engine import Sink

HEAD = {"id": 7, "exchange": "binance", "label": "Main", "state": "LIVE", "sentence": ""}
ROWS = {
    "balances": [{"asset": "BTC", "total": "1", "state": "LIVE"}],
    "fills": [{"row": 1, "symbol": "BTC/USDT", "id": "5"}],
}


class Store:
    """Has rows of an account, and lets us wait until it is ``free``."""

    def __init__(self) -> None:
        self.free = asyncio.Event()
        self.free.set()

    async def account_frame(self, account: int, kind: str) -> dict[str, Any]:
        await self.free.wait()
        return {"account": HEAD, kind: ROWS.get(kind, [])}


async def test_topics_say_how_well_the_account_is_followed_now():
    changed: list[str] = []
    store = Store()
    desk = Desk(store, {}, changed.append, lambda topics: None, SYSTEM)
    follower = SimpleNamespace(state=StreamState.LIVE, sentence="", position_symbols=set, spec=None)
    desk.followers[7] = follower
    draw = {kind: desk.renderer(parse_topic(f"{kind}:7")) for kind in ("balances", "fills")}
    await until(lambda: all(each() is not None for each in draw.values()))
    desk.tick()

    store.free.clear()  # whatever is asked of it now waits
    follower.state, follower.sentence = StreamState.STALE, "The database does not take the figures."
    changed.clear()
    desk.tick()
    assert sorted(changed) == sorted(f"{kind}:7" for kind in ACCOUNT_KINDS)
    for kind, each in draw.items():
        data = each().data
        assert data["account"] == HEAD | {"state": "STALE", "sentence": "The database does not take the figures."}
        assert len(data[kind]) == 1
    assert draw["balances"]().data["balances"] == [{"asset": "BTC", "total": "1", "state": "STALE"}]
    assert draw["fills"]().data["fills"] == ROWS["fills"]

    changed.clear()
    desk.tick()
    assert changed == []  # told once
    follower.state, follower.sentence = StreamState.LIVE, ""
    desk.tick()
    assert len(changed) == len(ACCOUNT_KINDS)
    assert draw["balances"]().data["account"] == HEAD

    desk.followers.clear()  # nobody follows it here: what the store says is all that is known
    assert draw["balances"]().data["account"] == HEAD
    store.free.set()
    await desk.stop()


async def test_a_live_profit_is_told_in_the_quote() -> None:
    """Whichever asset the contract settles in: 1,000 USDT are not 1,000 BTC."""
    stored = {"exchange": "lmex", "symbol": "BTC/USDT:USDT", "size": "1", "entry": "60000", "settle": "BTC"}
    row = stored | {"mark": None, "unrealised": None, "unrealised_asset": "BTC", "liquidation": None}
    of = SimpleNamespace(settle="BTC")
    feed = SimpleNamespace(market=of, mark=SimpleNamespace(mark=Decimal(61000)), mark_ns=SYSTEM.now_ns())
    venues: Any = {"lmex": SimpleNamespace(feeds={})}
    desk = Desk(Store(), venues, lambda topic: None, lambda topics: None, SYSTEM)
    assert desk._with_mark(row) == row
    venues["lmex"].feeds["BTC/USDT:USDT"] = feed
    told = desk._with_mark(row)
    assert (told["unrealised"], told["unrealised_asset"], told["settle"]) == ("1000", "USDT", "BTC")


async def test_a_pair_on_margin_is_valued_by_our_book_while_it_is_live() -> None:
    """It has no mark price."""
    stored = {"exchange": "kraken", "symbol": "BTC/USD", "size": "-2", "entry": "60000", "settle": None}
    row = stored | {"mark": None, "unrealised": "-7", "unrealised_asset": "USD", "liquidation": None}
    told_ns = SYSTEM.now_ns() - 3_000_000_000
    feed = SimpleNamespace(market=SimpleNamespace(settle=None), middle=lambda: (Decimal("61000.5"), told_ns))
    venues: Any = {"kraken": SimpleNamespace(feeds={"BTC/USD": feed})}
    desk = Desk(Store(), venues, lambda topic: None, lambda topics: None, SYSTEM)
    feed.state = StreamState.LIVE
    told = desk._with_mark(row)
    assert (told["mark"], told["unrealised"], told["unrealised_asset"]) == ("61000.5", "-2001", "USD")
    assert 3000 <= told["mark_age_ms"] < 60_000
    feed.state = StreamState.STALE
    assert desk._with_mark(row) == row
    feed.state, feed.middle = StreamState.LIVE, lambda: None
    assert desk._with_mark(row) == row


class Failing(Store):
    """Raises ``error`` while there is one."""

    def __init__(self) -> None:
        super().__init__()
        self.error: Exception | None = None
        self.asked = 0

    async def account_frame(self, account: int, kind: str) -> dict[str, Any]:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return await super().account_frame(account, kind)


@pytest.fixture
async def failing(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Failing, Desk]]:
    monkeypatch.setattr(module, "AGAIN_S", 0.01)
    store = Failing()
    desk = Desk(store, {}, lambda topic: None, lambda topics: None, SYSTEM)
    yield store, desk
    await desk.stop()


async def test_what_could_not_be_read_is_read_again(failing: tuple[Failing, Desk]) -> None:
    """A stored fill is to be seen, also if nothing else happens. Told in the log when it breaks and when it works."""
    store, desk = failing
    draw = desk.renderer(parse_topic("fills:7"))
    await until(lambda: draw() is not None)
    before, store.error = store.asked, OSError("database is locked")
    with structlog.testing.capture_logs() as logs:
        await desk.notify(7, "fills")
        await until(lambda: store.asked >= before + 3, what="read again")
        store.error = None
        await until(lambda: "account read again" in [each["event"] for each in logs])
    assert [each["event"] for each in logs] == ["account not read", "account read again"]
    after = store.asked
    await asyncio.sleep(0.05)
    assert store.asked == after


@pytest.mark.parametrize("why", ["gone", "closed", "never opened", "stopped"])
async def test_what_need_not_be_read_is_not_read_again(failing: tuple[Failing, Desk], why: str) -> None:
    store, desk = failing
    store.error = LookupError("There is no account 7.") if why == "gone" else OSError("database is locked")
    if why == "never opened":
        await desk.notify(7, "fills")
    else:
        desk.renderer(parse_topic("fills:7"))
    await until(lambda: store.asked == 1 and not desk._reading)
    if why == "closed":
        desk.close("fills:7")
    elif why == "stopped":
        await desk.stop()
        await desk.notify(7, "fills")  # a journal's last words
    await asyncio.sleep(0.05)
    assert store.asked == 1


async def test_the_engine_tells_when_nobody_watches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN_S", 0.01)
    store: Any = Failing()
    store.error = OSError("database is locked")
    engine = Engine(Config(path=None, exchanges={}, state_dir=tmp_path, linger_s=0.0), Sink(), store)
    engine.lease("browser", ["fills:7"], 60.0)
    await until(lambda: store.asked >= 3, what="read again")
    engine.lease("browser", [], 60.0)
    await asyncio.sleep(0.02)  # one may be under way
    asked = store.asked
    await asyncio.sleep(0.05)
    assert store.asked == asked
    await engine.stop()
