"""An Alpaca account followed over real sockets: our REST client, our connection, the simulated Alpaca on loopback."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import ccxt.async_support as ccxt
import msgspec
import pytest

from bench import hours
from bench.ccxt_clients import client as client_of
from bench.limits_world import world as hours_world
from feeds.account import AccountSpec, Credentials
from feeds.accounts import REGISTRY
from feeds.domain import StreamState
from feeds.errors import CredentialsError, ExchangeError, TransportError
from feeds.exchange import MarketIndex, Request
from feeds.exchanges import create
from feeds.following import owed_fills
from feeds.following.follower import AccountFollower
from feeds.following.signed_rest import SignedRest
from feeds.rest import RestClient, rest_bases
from feeds.simulator import DATA_KEY, DATA_SECRET, endpoints
from feeds.simulator.alpaca import rows
from feeds.simulator.alpaca.terms import TERMS
from feeds.simulator.keys import ApiKey
from feeds.trading import NewOrder
from tests.feeds.account_store import MemoryStore, StoreHandle
from tests.feeds.peer import no_task_left, until  # noqa: F401 - a fixture
from tests.feeds.simulator_help import Client, simulator
from tests.feeds.test_simulator_alpaca import FEW

KEYS = TERMS.keys


class Account:
    """A followed account of the simulated Alpaca, and what the simulator says of it."""

    def __init__(self, client: Client, follower: AccountFollower, store: MemoryStore, rest: RestClient) -> None:
        self.client = client
        self.follower = follower
        self.store = store
        self.api: Any = follower._api
        self.asking = SignedRest("alpaca", self.api, rest)
        self.true = client.server.accounts["alpaca"].by_name["test"]

    async def fills(self, count: int, product: str = "crypto", symbol: str = "BTC/USD", per_s: float = 1000.0) -> None:
        wanted = {"exchange": "alpaca", "account": "test", "product": product, "symbol": symbol}
        await self.client.post("/__sim/fills", wanted | {"count": count, "per_s": per_s, "wait": True})

    async def fault(self, kind: str, **more: Any) -> None:
        await self.client.post("/__sim/faults", {"exchange": "alpaca", "kind": kind, **more})

    async def live(self) -> None:
        await until(lambda: self.follower.state is StreamState.LIVE, within_s=15, what=self.follower.sentence)

    async def ask(self, request: Request) -> bytes:
        await self.asking.measure("account")
        return (await self.asking.ask(request)).raw

    def wrong(self) -> str:
        """What the store has not to the last digit; "" if it has all."""
        fills = {
            (each.order.market.instrument.symbol, rows.activity_id("fill", each.number, each.ms)): (
                each.price,
                each.size,
                rows.order_id(each.order.id),
                each.ms,
            )
            for each in self.true.fills
        }
        stored = {
            (r["symbol"], r["id"]): (r["price"], r["size"], r["order_id"], r["exchange_ms"]) for r in self.store.rows
        }
        if stored != fills or len(self.store.rows) != len(fills):
            return f"fills: {len(self.store.rows)} of {len(fills)}"
        owned: dict[tuple[str, str], Decimal] = {}
        for product, suffix in (("crypto", ""), ("stocks", ".US")):
            cash = self.true.desks[product].wallet.cash
            for asset in cash.assets():
                name = asset if asset == "USD" else f"{asset}{suffix}"
                owned["account", name] = owned.get(("account", name), Decimal(0)) + cash.total(asset)
        if self.store.totals() != {key: total for key, total in owned.items() if total}:
            return f"balances: {self.store.totals()} for {owned}"
        resting = {rows.order_id(each.id) for each in self.true.open_orders()}
        still = {id for (_, id), order in self.store.orders.items() if order.status in ("open", "partial")}
        return "" if resting == still else f"orders: {still} for {resting}"

    async def must_agree(self) -> None:
        await until(lambda: not self.wrong(), within_s=20, what=f"{self.wrong()}; {self.follower.sentence}")


@asynccontextmanager
async def followed(key: ApiKey = KEYS.test, client: Client | None = None) -> AsyncIterator[Account]:
    if client is None:
        async with simulator(instruments=FEW) as client, followed(key, client) as account:
            yield account
        return
    data = Credentials(DATA_KEY, DATA_SECRET)
    adapter: Any = create("alpaca", endpoints("127.0.0.1", client.server.port)["alpaca"], credentials=data)
    rest = RestClient(
        "alpaca", rest_bases(adapter.endpoints), adapter.budgets(), adapter.error_of, prepare=adapter.authorise
    )
    store = MemoryStore()

    async def notify(account: int, kind: str) -> None:
        """Nobody looks."""

    try:
        markets = MarketIndex()
        for request in adapter.markets_requests():
            markets.update(adapter.parse_markets(request, (await rest.send(request)).raw))
        spec = AccountSpec(
            id=1,
            exchange="alpaca",
            label="Main",
            credentials=Credentials(key.key, key.secret),
            products=("crypto", "stocks"),
            poll_s=1.0,
        )
        api: Any = REGISTRY["alpaca"](spec, markets, adapter.endpoints)
        api.key_limits = msgspec.structs.replace(api.key_limits, decay_per_s=100.0)  # so that it polls every second
        follower = AccountFollower(
            spec, api, rest, StoreHandle(store), notify, settle_s=1.0, delays=lambda: iter(lambda: 0.1, None)
        )
        await follower.start()
        try:
            yield Account(client, follower, store, rest)
        finally:
            await follower.stop()
    finally:
        await rest.close()


def new(symbol: str, side: Any, size: str, price: str | None, client_id: str, **more: Any) -> NewOrder:
    of = None if price is None else Decimal(price)
    return NewOrder(symbol=symbol, side=side, size=Decimal(size), price=of, client_id=client_id, **more)


async def test_every_figure_is_the_exchanges():
    async with simulator(instruments=FEW) as client:
        for product, symbol in (("crypto", "BTC/USD"), ("stocks", "LTC")):
            wanted = {"exchange": "alpaca", "account": "test", "product": product, "symbol": symbol}
            await client.post("/__sim/fills", wanted | {"count": 230, "per_s": 1e6, "wait": True})  # three pages
        async with followed(client=client) as account:
            await account.live()
            await account.must_agree()
            await account.fills(20)
            await account.fills(5, "stocks", "LTC")
            await until(lambda: len(account.store.rows) == 485, within_s=3)  # at once, not with the next poll
            await account.must_agree()
            assert account.follower.state is StreamState.LIVE and account.follower.sentence == ""
            assert account.store.sizes() == {}
            [stream] = account.follower.streams
            before = len(account.store.rows)
            working = asyncio.create_task(account.fills(60, per_s=60))
            await until(lambda: len(account.store.rows) > before, within_s=5, what="the first of them")
            await account.fault("cut")
            await working
            await until(lambda: stream.connection.reconnects == 1, within_s=20, what="another connection")
            await account.must_agree()
            await account.live()
            await account.client.post(
                "/__sim/transfer",
                {"exchange": "alpaca", "account": "test", "product": "crypto", "asset": "USD", "amount": "12.5"},
            )
            await account.must_agree()
            [request] = account.api.transfers_requests(0)
            transfers = account.api.parse_transfers(request, await account.ask(request))
            assert {t.kind for t in transfers} == {"deposit", "withdrawal"}
            assert transfers[-1].amount == Decimal("12.5") and transfers[-1].asset == "USD"


async def test_orders_are_placed_found_filled_in_part_and_cancelled():
    async with followed() as account:
        await account.live()
        api = account.api
        client_id = api.new_client_id()
        order = new("BTC/USD", "buy", "0.001", "20000", client_id)
        placed = api.parse_placed(order, await account.ask(api.place_request(order)), 0)
        await account.must_agree()
        assert account.store.orders["BTC/USD", placed.id].client_id == client_id
        found = api.parse_found("BTC/USD", client_id, await account.ask(api.find_request("BTC/USD", client_id)))
        assert found == account.store.orders["BTC/USD", placed.id]
        with pytest.raises(ExchangeError, match="client_order_id must be unique"):
            await account.ask(api.place_request(order))
        with pytest.raises(ExchangeError, match="insufficient balance for USD") as refused:
            await account.ask(api.place_request(new("BTC/USD", "buy", "50", "20000", "much")))
        assert not isinstance(refused.value, CredentialsError) and not api.unknown_order(refused.value)
        with pytest.raises(ExchangeError) as unknown:
            await account.ask(api.find_request("BTC/USD", "nobody's"))
        assert api.unknown_order(unknown.value)

        lost = new("BTC/USD", "buy", "0.002", "19000", "lost")
        await account.fault("unanswered", symbol="orders", count=1)
        with pytest.raises(TransportError):
            await account.ask(api.place_request(lost))
        found = api.parse_found("BTC/USD", "lost", await account.ask(api.find_request("BTC/USD", "lost")))
        assert found is not None and (found.price, found.status) == (19000, "open")

        market = account.client.server.market.markets["alpaca", "crypto", "BTC/USD"]
        above = market.engine.asks.top(1)[0]
        half = above[1] * market.instrument.lot  # more than the best ask offers, at its price: filled in part, then IOC
        taking = new("BTC/USD", "buy", f"{half + Decimal('0.5')}", f"{above[0] * market.instrument.tick}", "taking")
        account.api.parse_placed(taking, await account.ask(api.place_request(taking)), 0)
        await account.must_agree()
        shares = new("LTC.US/USD", "buy", "3", None, "shares", time_in_force="IOC")
        api.parse_placed(shares, await account.ask(api.place_request(shares)), 0)
        await until(lambda: ("account", "LTC.US") in account.store.totals(), within_s=5)
        await account.must_agree()

        [everything] = api.cancel_all_requests(("BTC/USD",))
        api.parse_cancelled_all(everything, await account.ask(everything))
        await account.must_agree()
        assert account.true.open_orders() == []
        assert account.store.orders["BTC/USD", placed.id].status == "canceled"
        with pytest.raises(ExchangeError, match='already in "canceled" state'):
            await account.ask(api.cancel_request(placed))


async def test_a_fill_that_the_history_does_not_have_yet(monkeypatch):
    """What the stream told is looked for until it is there; meanwhile the account does not say that all is well."""
    monkeypatch.setattr(owed_fills, "OWED_S", 0.5)
    async with followed() as account:
        await account.live()
        late, parse = True, account.api.parse_fills

        def parse_late(*args: Any) -> Any:
            page = parse(*args)
            return msgspec.structs.replace(page, fills=[]) if late else page

        account.api.parse_fills = parse_late
        await account.fills(3)
        await until(lambda: account.follower.state is StreamState.STALE, within_s=5)
        assert "Fills that may have been missed are being read" in account.follower.sentence
        assert account.store.rows == []
        late = False
        await account.live()
        await account.must_agree()


def test_who_follows_crypto_alone_is_told_of_his_shares_too():
    """One wallet pays for both. The demo trader trades both, for ten minutes that pass as quickly as they can."""

    async def main() -> None:
        async with hours_world(["alpaca"]) as here:
            await here.follow("alpaca", 1)
            traded = here.server.accounts["alpaca"].by_name["demo 1"].fills
            await asyncio.sleep(600)
            here.server.traders["alpaca"].paused = True
            await asyncio.sleep(60)
            stocks = [each for each in traded if each.order.market.instrument.product == "stocks"]
            assert stocks and len(here.store.fills[1]) == len(traded)
            assert here.store.findings == {}

    hours.run(main())


async def test_a_mute_stream_is_replaced(monkeypatch):
    monkeypatch.setattr("feeds.following.private_stream.MUTE_S", 0.5)
    async with followed() as account:
        await account.live()
        [stream] = account.follower.streams
        standing_s = stream.standing_s
        await asyncio.sleep(1.1)  # fills of the first second may belong to the time before
        await account.fault("mute", product="account")
        await account.fills(2)
        account.follower._history.read_again("crypto")
        await until(lambda: stream.standing_s not in (None, standing_s), within_s=8)
        await account.must_agree()


async def test_keys():
    async with simulator(instruments=FEW) as client:
        async with followed(replace_secret(KEYS.test), client) as account:
            await until(lambda: account.follower.state is StreamState.DOWN)
            assert "Alpaca refuses this API key" in account.follower.sentence
            assert "request is not authorized" in account.follower.sentence
        async with followed(KEYS.read, client) as account:
            await account.live()
            await until(lambda: "blocked trading" in account.follower.sentence)
            with pytest.raises(ExchangeError, match="not allowed to trade"):
                await account.ask(account.api.place_request(new("BTC/USD", "buy", "1", "1", "x")))


def replace_secret(key: ApiKey) -> ApiKey:
    return msgspec.structs.replace(key, secret="x" * 40)


async def test_ccxt_sees_what_is_stored():
    """Only addresses are overridden. It knows no stocks."""
    async with followed() as account:
        await account.fills(7)
        urls = endpoints("127.0.0.1", account.client.server.port)["alpaca"]
        other = client_of(ccxt.alpaca, urls, KEYS.test)
        try:
            await other.load_markets()
            placed = await other.create_order("BTC/USD", "limit", "buy", 0.001, 20000)
            await account.live()
            await account.must_agree()
            balance = await other.fetch_balance()
            assert Decimal(str(balance["USD"]["total"])) == account.store.totals()["account", "USD"]
            assert Decimal(str(balance["BTC"]["total"])) == account.store.totals()["account", "BTC"]
            trades = await other.fetch_my_trades("BTC/USD")
            seen = {(t["symbol"], t["id"], Decimal(str(t["price"])), Decimal(str(t["amount"]))) for t in trades}
            assert seen == {(r["symbol"], r["id"], r["price"], r["size"]) for r in account.store.rows}
            [order] = await other.fetch_open_orders("BTC/USD")
            stored = account.store.orders["BTC/USD", placed["id"]]
            assert (order["id"], order["clientOrderId"], order["price"]) == (stored.id, stored.client_id, 20000)
            await other.cancel_order(placed["id"], "BTC/USD")
            await account.must_agree()
            assert account.store.orders["BTC/USD", placed["id"]].status == "canceled"
        finally:
            await other.close()
