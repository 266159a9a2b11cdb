"""What the topics of an account say of how well it is followed: what holds now, whatever the store knows of it."""

import asyncio
from types import SimpleNamespace
from typing import Any

from feeds.clock import SYSTEM
from feeds.domain import StreamState
from feeds.following.desk import Desk
from feeds.topics import ACCOUNT_KINDS, parse_topic

HEAD = {"id": 7, "exchange": "binance", "label": "Main", "state": "LIVE", "sentence": ""}
ROWS = {
    "balances": [{"asset": "BTC", "total": "1", "state": "LIVE"}],
    "fills": [{"row": 1, "symbol": "BTC/USDT", "id": "5"}],
}


class Store:
    """Has rows of an account, and hangs when it is ``locked``."""

    locked = False

    async def account_frame(self, account: int, kind: str) -> dict[str, Any]:
        while self.locked:
            await asyncio.sleep(0.01)
        return {"account": HEAD, kind: ROWS.get(kind, [])}


async def test_topics_say_how_well_the_account_is_followed_now():
    changed: list[str] = []
    store = Store()
    desk = Desk(store, {}, changed.append, lambda topics: None, SYSTEM)
    follower = SimpleNamespace(state=StreamState.LIVE, sentence="", position_symbols=set, spec=None)
    desk.followers[7] = follower
    draw = {kind: desk.renderer(parse_topic(f"{kind}:7")) for kind in ("balances", "fills")}
    while any(each() is None for each in draw.values()):
        await asyncio.sleep(0)
    desk.tick()

    store.locked = True  # whatever is asked of it now waits
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
    store.locked = False
    await desk.stop()
