"""What the topics of an account say of how well it is followed: what holds now, whatever the store knows of it."""

import asyncio
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from feeds.clock import SYSTEM
from feeds.domain import StreamState
from feeds.following.desk import Desk
from feeds.topics import ACCOUNT_KINDS, parse_topic
from tests.feeds.peer import until

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
