"""A Coinbase account followed over real sockets: our REST client and connection, the simulated Coinbase."""

import asyncio
import base64
import json
import time
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest

from feeds.account import AccountSpec, Credentials
from feeds.accounts import REGISTRY
from feeds.accounts.coinbase.keys import Signer
from feeds.domain import StreamState
from feeds.errors import ExchangeError
from feeds.exchange import MarketIndex
from feeds.exchanges import create
from feeds.following.follower import AccountFollower
from feeds.following.signed_rest import SignedRest
from feeds.rest import RestClient, rest_bases
from feeds.simulator import endpoints
from feeds.simulator.coinbase.auth import Gatekeeper, Unauthorized
from feeds.simulator.coinbase.terms import COINBASE_KEYS
from feeds.simulator.keys import ApiKey
from feeds.simulator.sockets import SocketRules
from feeds.simulator.truth import truth
from feeds.trading import NewOrder
from tests.feeds.account_store import MemoryStore, StoreHandle
from tests.feeds.coinbase_account import ED25519
from tests.feeds.coinbase_world import FEW
from tests.feeds.peer import no_task_left, until  # noqa: F401 - a fixture
from tests.feeds.simulator_help import Client, simulator

TEST = Credentials(COINBASE_KEYS.test.key, COINBASE_KEYS.test.secret)
LIMITS = {"weights": {"coinbase": 1000}, "connects": {"coinbase": 100}, "rules": {"coinbase": SocketRules(idle_s=75)}}


class Followed:
    """A followed account of the simulator, and what the simulator says of it."""

    def __init__(self, client: Client, follower: AccountFollower, store: MemoryStore, api: Any, rest: Any) -> None:
        self.client = client
        self.follower = follower
        self.store = store
        self.api = api
        self.rest = rest
        self.account = client.server.accounts["coinbase"].by_name["test"]

    async def fills(self, count: int, per_s: float = 1000.0) -> None:
        wanted = {"exchange": "coinbase", "account": "test", "product": "spot", "symbol": "BTC-USD"}
        await self.client.post("/__sim/fills", {**wanted, "count": count, "per_s": per_s, "wait": True})

    async def fault(self, kind: str, **more: Any) -> None:
        await self.client.post("/__sim/faults", {"exchange": "coinbase", "kind": kind, **more})

    async def live(self) -> None:
        await until(lambda: self.follower.state is StreamState.LIVE, within_s=15, what="LIVE")

    def agrees(self) -> bool:
        """Every fill, balance and open order, to the last digit."""
        told = truth(self.account)
        fills = {
            (row["symbol"], row["id"]): tuple(map(Decimal, (row["price"], row["size"], row["fee"])))
            for row in told["fills"]
        }
        stored = {(row["symbol"], row["id"]): (row["price"], row["size"], row["fee"]) for row in self.store.rows}
        totals = {
            ("spot", asset): Decimal(row["free"]) + Decimal(row["locked"])
            for asset, row in told["balances"]["spot"].items()
        }
        return (
            stored == fills
            and len(self.store.rows) == len(fills)
            and self.store.totals() == {key: total for key, total in totals.items() if total}
        )

    async def must_agree(self) -> None:
        await until(self.agrees, within_s=20, what=f"the simulator's figures; {self.follower.sentence}")


@asynccontextmanager
async def followed(credentials: Credentials = TEST, client: Client | None = None, **times: float) -> Any:
    if client is None:
        async with simulator(instruments=FEW, **LIMITS) as client, followed(credentials, client, **times) as account:
            yield account
        return
    adapter = create("coinbase", endpoints("127.0.0.1", client.server.port)["coinbase"])
    rest = RestClient("coinbase", rest_bases(adapter.endpoints), adapter.budgets(), adapter.error_of)
    store = MemoryStore()

    async def notify(account: int, kind: str) -> None:
        """Nobody watches."""

    try:
        markets = MarketIndex()
        for request in adapter.markets_requests():
            markets.update(adapter.parse_markets(request, (await rest.send(request)).raw))
        spec = AccountSpec(
            id=1, exchange="coinbase", label="Main", credentials=credentials, products=("spot",), poll_s=1.0
        )
        api = REGISTRY["coinbase"](spec, markets, adapter.endpoints)
        follower = AccountFollower(
            spec, api, rest, StoreHandle(store), notify, settle_s=1.0, delays=lambda: iter(lambda: 0.1, None), **times
        )
        await follower.start()
        try:
            yield Followed(client, follower, store, api, rest)
        finally:
            await follower.stop()
    finally:
        await rest.close()


async def test_a_session(monkeypatch):
    """One after the other on one account: fills as they happen, a cut, a lost frame, too many requests."""
    monkeypatch.setattr("feeds.following.private_stream.MUTE_S", 0.5)
    async with followed() as account:
        await account.live()
        stream, history = account.follower.streams[0], account.follower._history._markets["fills"]
        await until(lambda: not history.second_look and history.due_s > time.monotonic() + 30, within_s=10)
        await account.fills(20)  # nothing but their orders has the list of fills read now
        await until(lambda: len(account.store.rows) == 20, within_s=5, what="fills soon after their orders")
        await account.must_agree()
        await asyncio.sleep(1.5)  # time to be found mute
        assert account.follower.state is StreamState.LIVE
        assert stream.connection.reconnects == 0

        before = len(account.store.rows)
        working = asyncio.create_task(account.fills(60, per_s=60))
        await until(lambda: len(account.store.rows) > before, within_s=5, what="the first of them")
        await account.fault("cut")
        await working
        await account.must_agree()
        await account.live()

        before = stream.connection.reconnects
        await account.fault("drop_depth", product="private", count=1)
        await account.fills(3)
        await until(lambda: stream.connection.reconnects > before, within_s=5, what="a new connection for a lost frame")
        await account.must_agree()
        await account.live()

        await account.fault("status", value=429, count=2)
        await account.fills(4)
        await account.must_agree()
        await account.live()


async def test_what_happened_before_is_read_page_by_page():
    async with simulator(instruments=FEW, **LIMITS) as client:
        wanted = {"exchange": "coinbase", "account": "test", "product": "spot", "symbol": "BTC-USD"}
        await client.post("/__sim/fills", {**wanted, "count": 433, "per_s": 1e6, "wait": True})
        async with followed(client=client) as account:
            await account.live()
            await account.must_agree()
            assert {row["source"] for row in account.store.rows} == {"rest"}


async def test_a_mute_stream_is_replaced(monkeypatch):
    """Heartbeats go on: only the fills that REST tells, and it does not, prove that it is mute."""
    monkeypatch.setattr("feeds.following.private_stream.MUTE_S", 0.5)
    monkeypatch.setattr("feeds.following.fill_history.ACTIVE_ROUNDS", 0)
    async with followed() as account:
        await account.live()
        account.follower._history._idle_s = account.follower._history._active_s = 0.5
        await asyncio.sleep(1.2)  # what is younger than a second is not expected of the stream
        stream = account.follower.streams[0]
        await account.fault("mute", product="private", value="private")
        account.follower._history.read_again("spot")
        await account.fills(5)
        await until(lambda: stream.connection.reconnects > 0, within_s=10, what="another connection")
        await account.client.session.delete(account.client.base + "/__sim/faults")
        await account.must_agree()
        await account.live()


async def test_heartbeats_that_stop_end_the_connection():
    """Although pings are answered."""
    async with followed(stale_s=2.0, reconnect_s=3.0) as account:
        await account.live()
        await account.fault("mute", product="private")
        stream = account.follower.streams[0]
        await until(lambda: stream.connection.reconnects > 0, within_s=10, what="another connection")
        await account.client.session.delete(account.client.base + "/__sim/faults")
        await account.live()


async def test_keys():
    """One that may only look is enough, one of Ed25519 works; one that may withdraw, or is wrong, is refused."""
    async with simulator(instruments=FEW, **LIMITS) as client:
        client.server.accounts["coinbase"].keys["ed"] = ApiKey(key="ed", secret=ED25519, account="test")
        for key in (COINBASE_KEYS.read, client.server.accounts["coinbase"].keys["ed"]):
            async with followed(Credentials(key.key, key.secret.replace("\n", "\\n")), client) as account:
                await account.live()
        withdraw = COINBASE_KEYS.withdraw
        for credentials, said in (
            (Credentials(withdraw.key, withdraw.secret), "can_transfer"),
            (Credentials(TEST.key, withdraw.secret), "refuses this API key"),
            (Credentials("organizations/a/apiKeys/b", TEST.secret), "refuses this API key"),
            (Credentials(TEST.key, "hunter2"), "neither a private key in PEM form"),
        ):
            async with followed(credentials, client) as account:
                await until(lambda account=account: account.follower.state is StreamState.DOWN)
                assert said in account.follower.sentence
                assert credentials.secret not in account.follower.sentence
                assert not client.server.exchanges["coinbase"].open_sockets()


async def test_orders():
    """Placed, found, filled, cancelled: what the answers say, and what the store has by stream."""
    async with followed() as account:
        await account.live()
        api, rest = account.api, SignedRest("coinbase", account.api, account.rest)
        await rest.measure("private")

        async def place(**changes: Any) -> Any:
            fields = {"symbol": "BTC/USD", "side": "buy", "size": Decimal("0.01"), "price": Decimal("1000.00")}
            order = NewOrder(client_id=api.new_client_id(), **{**fields, **changes})
            told = await rest.ask(api.place_request(order))
            return order, api.parse_placed(order, told.raw, told.asof_ms)

        def stored(order: Any) -> Any:
            return account.store.orders.get((order.symbol, order.id))

        wish, resting = await place(post_only=True)
        told = await rest.ask(api.find_request("BTC/USD", wish.client_id))
        found = api.parse_found("BTC/USD", wish.client_id, told.raw)
        assert (found.id, found.size, found.price, found.status) == (resting.id, wish.size, wish.price, "open")
        assert api.parse_found("BTC/USD", api.new_client_id(), told.raw) is None
        again = await rest.ask(api.place_request(wish))
        assert api.parse_placed(wish, again.raw, 1).id == resting.id  # never a second one

        _, taken = await place(price=None, size=Decimal("0.02"))
        await until(lambda: sum(row["size"] for row in account.store.rows) == Decimal("0.02"), within_s=5)
        assert {row["order_id"] for row in account.store.rows} == {taken.id}
        await account.must_agree()

        with pytest.raises(ExchangeError, match="INSUFFICIENT_FUND"):
            await place(size=Decimal(500))
        with pytest.raises(ExchangeError, match="POST_ONLY"):
            await place(price=Decimal(9_000_000), size=Decimal("0.001"), post_only=True)

        told = await rest.ask(api.cancel_request(resting))
        api.parse_cancelled(resting, told.raw)
        again = await rest.ask(api.cancel_request(resting))
        with pytest.raises(ExchangeError) as caught:
            api.parse_cancelled(resting, again.raw)
        assert api.unknown_order(caught.value)

        placed = [(await place(price=Decimal(1000 + n)))[1] for n in range(3)]
        for request in api.orders_requests():
            api.parse_orders(request, (await rest.ask(request)).raw)
        for request in api.cancel_all_requests(("BTC/USD",)):
            api.parse_cancelled_all(request, (await rest.ask(request)).raw)
        assert account.account.open_orders() == []
        states = {order.id: order.status for order in account.store.orders.values()} if placed else {}
        await until(
            lambda: all(stored(order).status == "canceled" for order in placed), within_s=5, what=f"cancelled: {states}"
        )
        assert stored(resting).size == Decimal("0.01")


async def test_a_key_that_may_only_look_places_nothing():
    async with followed(Credentials(COINBASE_KEYS.read.key, COINBASE_KEYS.read.secret)) as account:
        await account.live()
        rest = SignedRest("coinbase", account.api, account.rest)
        await rest.measure("private")
        order = NewOrder(symbol="BTC/USD", side="buy", size=Decimal(1), price=Decimal(1), client_id="x")
        with pytest.raises(ExchangeError, match="PERMISSION_DENIED"):
            await rest.ask(account.api.place_request(order))


async def test_wallets_and_orders_in_pages(monkeypatch):
    """As of an account with more than fit one answer."""
    monkeypatch.setattr("feeds.accounts.coinbase.api.PAGE", 2)
    async with followed() as account:
        await account.live()
        await account.must_agree()
        assert len(account.store.totals()) > 2


def test_tokens_of_others_are_not_taken():
    now_ms = [1_700_000_000_000]
    gatekeeper = Gatekeeper({TEST.key: COINBASE_KEYS.test}, lambda: now_ms[0])
    uri = "GET host/path"
    token = Signer(TEST.key, TEST.secret).token(now_ms[0], uri)
    assert gatekeeper.check(token, uri) is COINBASE_KEYS.test
    header, claims, signature = token.split(".")
    other = json.loads(base64.urlsafe_b64decode(claims + "=="))
    forged = base64.urlsafe_b64encode(json.dumps({**other, "uri": "GET host/other"}).encode()).decode().rstrip("=")
    for bad, asked in (
        (token, "GET host/other"),
        (f"{header}.{forged}.{signature}", "GET host/other"),
        (f"{header}.{claims}", uri),
        (f"{header}.{claims}.AAAA", uri),
        ("x.y.z", uri),
        (Signer("another", TEST.secret).token(now_ms[0], uri), uri),
        (Signer(TEST.key, COINBASE_KEYS.demo.secret).token(now_ms[0], uri), uri),
        (Signer(TEST.key, ED25519).token(now_ms[0], uri), uri),
    ):
        with pytest.raises(Unauthorized):
            gatekeeper.check(bad, asked)
    for later_ms in (121_000, -10_000):
        now_ms[0] = 1_700_000_000_000 + later_ms
        with pytest.raises(Unauthorized, match="not valid now"):
            gatekeeper.check(token, uri)
