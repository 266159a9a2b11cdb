"""An LMEX account followed over real sockets: our REST client, our connections, the simulated LMEX on loopback."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import pytest

from feeds.account import AccountSpec, Credentials
from feeds.account_domain import Order
from feeds.accounts import REGISTRY
from feeds.accounts.lmex import history, wallet
from feeds.domain import StreamState
from feeds.errors import ExchangeError
from feeds.exchange import Budget, MarketIndex
from feeds.exchanges import create
from feeds.following.follower import AccountFollower
from feeds.following.signed_rest import SignedRest
from feeds.rest import RestClient, rest_bases
from feeds.simulator import endpoints
from feeds.simulator.keys import ApiKey
from feeds.simulator.lmex import rows
from feeds.simulator.lmex.terms import LMEX_KEYS
from feeds.simulator.venues import listings
from feeds.trading import NewOrder
from tests.feeds.account_store import MemoryStore, StoreHandle
from tests.feeds.peer import no_task_left, until  # noqa: F401 - a fixture
from tests.feeds.simulator_help import Client, simulator

LMEX = tuple(each for each in listings(["lmex"]) if each.native in ("BTC-USDT", "BTC-PERP", "ETH-PERP"))
PRODUCTS = ("spot", "futures")
SPOT, PERP = "BTC/USDT", "BTC/USDT:USDT"
NATIVE = {"spot": "BTC-USDT", "futures": "BTC-PERP"}
DAY_MS = 86_400_000


def credentials(key: ApiKey) -> Credentials:
    return Credentials(key.key, key.secret)


class Account:
    """A followed account of the simulated LMEX, and what the simulator says of it."""

    def __init__(self, client: Client, follower: AccountFollower, store: MemoryStore, rest: RestClient) -> None:
        self.client = client
        self.follower = follower
        self.store = store
        self.api = follower._api
        self.asking = SignedRest("lmex", self.api, rest)
        self.true = client.server.accounts["lmex"].by_name["test"]

    async def fills(self, count: int, *, product: str = "spot", per_s: float = 1000.0) -> None:
        wanted = {"exchange": "lmex", "account": "test", "product": product, "symbol": NATIVE[product]}
        await self.client.post("/__sim/fills", wanted | {"count": count, "per_s": per_s, "wait": True})

    async def fault(self, kind: str, **more: Any) -> None:
        await self.client.post("/__sim/faults", {"exchange": "lmex", "kind": kind, **more})

    async def no_faults(self) -> None:
        await self.client.session.delete(self.client.base + "/__sim/faults")

    async def live(self, within_s: float = 15.0) -> None:
        await until(lambda: self.follower.state is StreamState.LIVE, within_s=within_s, what=self.follower.sentence)

    def wrong(self) -> str:
        """What the store has not to the last digit; "" if it has all."""
        fills = {
            (each.order.market.instrument.symbol, rows.trade_id(each)): (
                each.price,
                each.size,
                each.fee,
                each.fee_asset,
            )
            for each in self.true.fills
        }
        stored = {(r["symbol"], r["id"]): (r["price"], r["size"], r["fee"], r["fee_asset"]) for r in self.store.rows}
        if stored != fills or len(self.store.rows) != len(fills):
            return f"fills: {len(self.store.rows)} of {len(fills)}"
        totals = {
            (name, asset): cash.total(asset)
            for name, cash in self.true.cash.items()
            for asset in cash.assets()
            if cash.total(asset)
        }
        if self.store.totals() != totals:
            return f"balances {self.store.totals()}, not {totals}"
        held = {p.market.instrument.symbol: p.amount for p in self.true.futures.open_positions()}
        return "" if self.store.sizes() == held else f"positions {self.store.sizes()}, not {held}"

    async def must_agree(self, within_s: float = 20.0) -> None:
        await until(lambda: not self.wrong(), within_s=within_s, what=f"the same figures; {self.wrong()}")


@contextlib.asynccontextmanager
async def followed(
    key: Credentials | None = None, client: Client | None = None, **settings: Any
) -> AsyncIterator[Account]:
    if client is None:
        async with simulator(instruments=LMEX, **settings) as client, followed(key, client) as account:
            yield account
        return
    adapter = create("lmex", endpoints("127.0.0.1", client.server.port)["lmex"])
    wide = dict.fromkeys(adapter.budgets(), Budget(limit=10_000, per_s=1))  # tests do not wait for the next window
    rest = RestClient("lmex", rest_bases(adapter.endpoints), wide, adapter.error_of)
    store = MemoryStore()

    async def notify(account: int, kind: str) -> None: ...

    try:
        markets = MarketIndex()
        for request in adapter.markets_requests():
            markets.update(adapter.parse_markets(request, (await rest.send(request)).raw))
        spec = AccountSpec(
            id=1,
            exchange="lmex",
            label="Main",
            credentials=key or credentials(LMEX_KEYS.test),
            products=PRODUCTS,
            poll_s=1.0,
        )
        api = REGISTRY["lmex"](spec, markets, adapter.endpoints)
        follower = AccountFollower(
            spec, api, rest, StoreHandle(store), notify, settle_s=0.5, delays=lambda: iter(lambda: 0.1, None)
        )
        with patch.object(history, "KEPT_MS", 10 * DAY_MS):  # two windows instead of many
            await follower.start()
            try:
                yield Account(client, follower, store, rest)
            finally:
                await follower.stop()
    finally:
        await rest.close()


@pytest.fixture
async def account() -> AsyncIterator[Account]:
    async with followed() as account:
        await account.live()
        yield account


async def test_every_figure_is_the_exchanges(account: Account) -> None:
    await account.fills(20)
    await account.fills(20, product="futures")
    await until(lambda: len(account.store.rows) == 40)
    assert {row["source"] for row in account.store.rows} == {"stream"}
    await account.client.post("/__sim/funding", {"exchange": "lmex", "account": "test"})
    await account.client.post(
        "/__sim/transfer", {"exchange": "lmex", "account": "test", "asset": "USDT", "amount": "-123.45"}
    )
    await account.must_agree()
    assert account.follower.state is StreamState.LIVE
    await account.fault("cut")
    await account.fills(30, per_s=200)
    await account.fills(3, product="futures")
    await account.must_agree()
    await account.live()


async def test_what_happened_before_is_read_page_by_page() -> None:
    async with simulator(instruments=LMEX) as client:
        for product in PRODUCTS:
            wanted = {"exchange": "lmex", "account": "test", "product": product, "symbol": NATIVE[product]}
            await client.post("/__sim/fills", wanted | {"count": 60, "per_s": 200, "wait": True})
        with patch.object(history, "PAGE", 40):
            async with followed(client=client) as account:
                await account.live()
                await account.must_agree()
                assert {row["source"] for row in account.store.rows} == {"rest"}
                assert all(row["maker"] is None for row in account.store.rows), "REST does not tell it"


async def test_a_mute_stream_is_found_by_what_rest_tells(account: Account) -> None:
    with patch("feeds.following.private_stream.MUTE_S", 0.5):
        await asyncio.sleep(1.1)  # what is younger than a second by the clock may be told either way
        await account.fault("mute", value="private")
        await account.fills(3)
        account.follower._history.read_again("spot")
        await until(lambda: account.follower.streams[0].connection.reconnects > 0, within_s=10)
        await account.no_faults()
        await account.live()
        await account.must_agree()


async def test_older_topics_and_the_other_form_of_a_futures_path() -> None:
    async with simulator(instruments=LMEX) as client:
        lmex = client.server.exchanges["lmex"]
        lmex.sockets.unknown |= {"notificationApiV4", "allPosition"}
        lmex.private.gatekeeper.whole_path = True
        async with followed(client=client) as account:
            await account.live()
            await account.fills(3, product="futures")
            await account.must_agree()
            assert {row["source"] for row in account.store.rows} == {"stream"}


async def test_orders_are_placed_found_and_cancelled(account: Account) -> None:
    api, ask = account.api, account.asking
    await ask.measure_all(PRODUCTS)
    price = Decimal(account.client.server.market.markets["lmex", "spot", "BTC-USDT"].top.bid) / 20
    for symbol in (SPOT, PERP):
        wanted = NewOrder(
            symbol=symbol, side="buy", size=Decimal("0.02"), price=price.quantize(1), client_id=api.new_client_id()
        )
        told = await ask.ask(api.place_request(wanted))
        placed = api.parse_placed(wanted, told.raw, told.asof_ms)
        await until(lambda key=(symbol, placed.id): key in account.store.orders)
        told = await ask.ask(api.find_request(symbol, wanted.client_id))
        found = api.parse_found(symbol, wanted.client_id, told.raw)
        assert isinstance(found, Order)
        assert (found.id, found.status, found.price, found.size) == (placed.id, "open", wanted.price, wanted.size)
        with pytest.raises(ExchangeError) as unknown:
            await ask.ask(api.find_request(symbol, "never"))
        assert api.unknown_order(unknown.value)
        too_much = NewOrder(
            symbol=symbol, side="buy", size=Decimal(900), price=price.quantize(1), client_id=api.new_client_id()
        )
        told = await ask.ask(api.place_request(too_much))
        with pytest.raises(ExchangeError) as refused:
            api.parse_placed(too_much, told.raw, told.asof_ms)
        assert refused.value.code == 8
        told = await ask.ask(api.cancel_request(found))
        api.parse_cancelled(found, told.raw)
        await until(lambda key=(symbol, placed.id): account.store.orders[key].status == "canceled")
        told = await ask.ask(api.cancel_request(found))
        with pytest.raises(ExchangeError) as refused:
            api.parse_cancelled(found, told.raw)
        assert api.unknown_order(refused.value)


async def test_the_dead_mans_switch(account: Account) -> None:
    api, ask = account.api, account.asking
    await ask.measure_all(PRODUCTS)
    price = Decimal(account.client.server.market.markets["lmex", "spot", "BTC-USDT"].top.bid) / 20
    for symbol in (SPOT, PERP):
        wanted = NewOrder(symbol=symbol, side="buy", size=Decimal("0.02"), price=price.quantize(1), client_id=symbol)
        await ask.ask(api.place_request(wanted))
    assert len(account.true.open_orders()) == 2
    for timeout_s in (1, 0):
        for request in api.dead_man_requests(timeout_s, (SPOT, PERP)):
            await ask.ask(request)
    [spot, _] = api.dead_man_requests(1, (SPOT, PERP))
    await ask.ask(spot)
    await until(lambda: len(account.true.open_orders()) == 1)
    for request in api.cancel_all_requests((SPOT, PERP)):
        api.parse_cancelled_all(request, (await ask.ask(request)).raw)
    assert not account.true.open_orders()


async def test_transfers_are_those_of_both_wallets(account: Account) -> None:
    api, ask = account.api, account.asking
    await ask.measure_all(PRODUCTS)
    await account.fills(5, product="futures")
    await account.client.post("/__sim/funding", {"exchange": "lmex", "account": "test"})
    told = []
    with patch.object(wallet, "KEPT_MS", 60 * DAY_MS):
        for page in api.transfers_requests(0):
            while page is not None:
                raw = (await ask.ask(page)).raw
                told += api.parse_transfers(page, raw)
                page = api.next_page(page, raw)
    moved = account.true.movements
    told = list({(each.kind, each.id): each for each in told}.values())
    assert sorted((t.product, t.exchange_ms, t.asset, t.amount) for t in told) == sorted(
        (m.wallet, m.ms, m.asset, m.amount) for m in moved
    )
    assert {each.kind for each in told} == {"internal", "deposit", "withdrawal", "funding"}


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (Credentials(LMEX_KEYS.test.key, "wrong"), "401"),
        (credentials(LMEX_KEYS.read), "Trading permission"),  # which lists of open spot orders need
    ],
)
async def test_a_refused_key_is_told(key: Credentials, said: str) -> None:
    async with followed(key) as account:
        await until(lambda: account.follower.state is StreamState.DOWN)
        assert said in account.follower.sentence
