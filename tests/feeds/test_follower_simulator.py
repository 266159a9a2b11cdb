"""An account followed over real sockets: our REST client, our connections, the simulated Binance on loopback."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import pytest

from feeds.account import AccountSpec, Credentials
from feeds.accounts import REGISTRY
from feeds.domain import StreamState
from feeds.exchange import MarketIndex
from feeds.exchanges import create
from feeds.following.follower import AccountFollower
from feeds.rest import RestClient, rest_bases
from feeds.simulator import endpoints
from feeds.simulator.keys import READ_KEY, READ_SECRET, TEST_KEY, TEST_SECRET, WITHDRAW_KEY, WITHDRAW_SECRET
from feeds.simulator.truth import truth
from tests.feeds.account_store import MemoryStore, StoreHandle
from tests.feeds.peer import no_task_left, until  # noqa: F401 - a fixture
from tests.feeds.simulator_help import Client, simulator

TEST = Credentials(TEST_KEY, TEST_SECRET)


class Account:
    """A followed account of the simulator, and what the simulator says of it."""

    def __init__(self, client: Client, follower: AccountFollower, store: MemoryStore, told: list[str]) -> None:
        self.client = client
        self.follower = follower
        self.store = store
        self.told = told
        self.accounts = client.server.accounts["binance"]

    async def fills(self, count: int, *, product: str = "spot", per_s: float = 1000.0) -> None:
        wanted = {"account": "test", "product": product, "symbol": "BTCUSDT", "count": count, "per_s": per_s}
        await self.client.post("/__sim/fills", wanted | {"wait": True})

    async def fault(self, kind: str, **more: Any) -> None:
        await self.client.post("/__sim/faults", {"exchange": "binance", "kind": kind, **more})

    async def live(self, within_s: float = 15.0) -> None:
        await until(lambda: self.follower.state is StreamState.LIVE, within_s=within_s, what="LIVE")

    def agrees(self) -> bool:
        """Every fill, balance and position, to the last digit."""
        told = truth(self.accounts.by_name["test"])
        fills = {
            (row["symbol"], row["id"]): tuple(Decimal(row[name]) for name in ("price", "size", "fee"))
            for row in told["fills"]
        }
        stored = {(row["symbol"], row["id"]): (row["price"], row["size"], row["fee"]) for row in self.store.rows}
        spot = {
            ("spot", asset): Decimal(row["free"]) + Decimal(row["locked"])
            for asset, row in told["balances"]["spot"].items()
        }
        totals = spot | {("usdm", "USDT"): Decimal(told["balances"]["usdm"]["USDT"]["total"])}
        positions = {row["symbol"]: Decimal(row["size"]) for row in told["positions"]}
        return (
            stored == fills
            and len(self.store.rows) == len(fills)
            and self.store.totals() == {key: total for key, total in totals.items() if total}
            and self.store.sizes() == positions
        )

    async def must_agree(self, within_s: float = 20.0) -> None:
        await until(self.agrees, within_s=within_s, what=f"the simulator's figures; {self.follower.sentence}")


@asynccontextmanager
async def followed(credentials: Credentials = TEST, client: Client | None = None, **settings: Any) -> Any:
    if client is None:
        async with simulator(**settings) as client, followed(credentials, client) as account:
            yield account
        return
    adapter = create("binance", endpoints("127.0.0.1", client.server.port)["binance"])
    rest = RestClient("binance", rest_bases(adapter.endpoints), adapter.budgets(), adapter.error_of)
    store, told = MemoryStore(), []

    async def notify(account: int, kind: str) -> None:
        told.append(kind)

    try:
        markets = MarketIndex()
        for request in adapter.markets_requests():
            markets.update(adapter.parse_markets(request, (await rest.send(request)).raw))
        spec = AccountSpec(
            id=1, exchange="binance", label="Main", credentials=credentials, products=("spot", "usdm"), poll_s=1.0
        )
        api = REGISTRY["binance"](spec, markets, adapter.endpoints)
        follower = AccountFollower(
            spec, api, rest, StoreHandle(store), notify, settle_s=1.0, delays=lambda: iter(lambda: 0.1, None)
        )
        await follower.start()
        try:
            yield Account(client, follower, store, told)
        finally:
            await follower.stop()
    finally:
        await rest.close()


@pytest.fixture
async def account() -> AsyncIterator[Account]:
    async with followed() as account:
        await account.live()
        yield account


async def test_every_figure_is_the_exchanges(account):
    await account.fills(50)
    await account.fills(50, product="usdm")
    await until(lambda: len(account.store.rows) == 100)
    assert "stream" in {row["source"] for row in account.store.rows}
    await account.must_agree()
    assert account.follower.position_symbols() == set(account.store.sizes())
    assert account.follower.state is StreamState.LIVE


async def test_what_happened_before_is_read():
    async with simulator() as client:
        for product in ("spot", "usdm"):
            wanted = {"account": "test", "product": product, "symbol": "BTCUSDT", "count": 1203, "per_s": 1e6}
            await client.post("/__sim/fills", wanted | {"wait": True})
        async with followed(client=client) as account:
            await account.live()
            await account.must_agree()
            assert {row["source"] for row in account.store.rows} == {"rest"}


async def test_cut_while_fills_come(account):
    working = asyncio.create_task(account.fills(300, per_s=100))
    for _ in range(3):
        await asyncio.sleep(0.6)
        await account.fault("cut")
    await working
    await account.must_agree()
    await account.live()


ENDED = {
    "expire_listen_key": {"usdm"},
    "terminate_user_stream": {"spot"},
    "shutdown": {"spot"},
    "close": {"spot", "usdm"},
}
"""What ends, and of which products the streams."""


@pytest.mark.parametrize("kind", list(ENDED))
async def test_an_ended_stream_is_opened_anew(account, kind):
    ended = [stream for stream in account.follower.streams if stream.route.product in ENDED[kind]]
    await account.fills(3, product="usdm")
    await account.fault(kind)
    await account.fills(7)
    await account.fills(7, product="usdm")
    await account.must_agree()
    await until(
        lambda: all(s.connection.reconnects == 1 and s.standing_s is not None for s in ended),
        within_s=10,
        what="another connection",
    )
    await account.live()
    before = len(account.store.rows)
    await account.fills(2)
    await account.fills(2, product="usdm")
    await until(lambda: len(account.store.rows) == before + 4)
    fills = {(row["symbol"], row["id"]) for row in account.store.rows[-4:]}
    # REST may be the first to tell: the history is read again after every break. The stream tells all the same.
    await until(lambda: fills <= {fill for s in account.follower.streams for fill in s._told}, what="told by stream")


async def test_the_listen_key_outlives_its_hour():
    """Which is a second and a half here, renewed every half second."""
    with patch("feeds.accounts.binance.api.LISTEN_KEY_RENEW_S", 0.5):
        async with followed(listen_key_s=1.5) as account:
            await account.live()
            await asyncio.sleep(3)  # two of its lives
            stream = next(s for s in account.follower.streams if s.route.product == "usdm")
            assert stream.connection.reconnects == 0
            await account.fills(3, product="usdm")
            await until(lambda: len(account.store.rows) == 3)
            assert {row["source"] for row in account.store.rows} == {"stream"}


async def test_rest_is_away_and_comes_back(account):
    await account.fault("status", value=503)
    await until(lambda: account.follower.state is StreamState.STALE, within_s=10)
    await account.fills(5)
    await until(lambda: len(account.store.rows) == 5)
    await account.client.session.delete(account.client.base + "/__sim/faults")
    await account.live()
    await account.must_agree()


async def test_too_many_requests(account):
    await account.fault("status", value=429, count=1)
    await account.fills(5)
    await account.must_agree(within_s=30)
    await account.live()


async def test_a_deposit_shows(account):
    await account.client.post("/__sim/transfer", {"account": "test", "asset": "USDT", "amount": "123.45"})
    await account.client.post("/__sim/transfer", {"account": "test", "product": "usdm", "asset": "USDT", "amount": "7"})
    await account.must_agree()


async def test_a_key_that_may_only_read_is_enough():
    async with followed(Credentials(READ_KEY, READ_SECRET)) as account:
        await account.live()


async def test_a_key_that_may_withdraw_is_refused():
    async with followed(Credentials(WITHDRAW_KEY, WITHDRAW_SECRET)) as account:
        await until(lambda: account.follower.state is StreamState.DOWN)
        assert "enableWithdrawals" in account.follower.sentence
        assert not account.client.server.exchanges["binance"].open_sockets()


async def test_a_wrong_secret_is_told_and_asked_for_no_more():
    async with followed(Credentials(TEST_KEY, "wrong")) as account:
        await until(lambda: account.store.states[-1:] and account.store.states[-1][0] == "DOWN")
        assert account.follower.state is StreamState.DOWN
        assert "Signature for this request is not valid." in account.follower.sentence


async def test_nothing_is_left_of_a_stopped_one():
    async with simulator() as client:
        async with followed(client=client) as account:
            await account.live()
            assert len(client.server.exchanges["binance"].open_sockets()) == 2
        await until(lambda: not client.server.exchanges["binance"].open_sockets())
