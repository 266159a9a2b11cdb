"""A Bybit account followed over real sockets: our REST client, our connection, the simulated Bybit on loopback."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import pytest
from structlog.testing import capture_logs

from feeds.account import AccountSpec, Credentials
from feeds.account_domain import Order
from feeds.accounts import REGISTRY
from feeds.accounts.bybit import ledger, pages
from feeds.domain import StreamState
from feeds.exchange import Budget, MarketIndex
from feeds.exchanges import create
from feeds.following.follower import AccountFollower
from feeds.following.signed_rest import SignedRest
from feeds.rest import RestClient, rest_bases
from feeds.simulator import endpoints
from feeds.simulator.bybit import frames
from feeds.simulator.bybit.terms import BYBIT_KEYS
from feeds.simulator.keys import ApiKey
from feeds.simulator.venues import listings
from feeds.trading import NewOrder
from tests.feeds.account_store import MemoryStore, StoreHandle
from tests.feeds.peer import no_task_left, until  # noqa: F401 - a fixture
from tests.feeds.simulator_help import Client, simulator

BYBIT = tuple(each for each in listings(["bybit"]) if each.native in ("BTCUSDT", "ETHUSDT", "BTCPERP"))
PRODUCTS = ("spot", "linear")
FAR = 1_000_000
"""As many ms as no test lasts."""


def credentials(key: ApiKey) -> Credentials:
    return Credentials(key.key, key.secret)


class Account:
    """A followed account of the simulated Bybit, and what the simulator says of it."""

    def __init__(self, client: Client, follower: AccountFollower, store: MemoryStore, rest: RestClient) -> None:
        self.client = client
        self.follower = follower
        self.store = store
        self.api = follower._api
        self.asking = SignedRest("bybit", self.api, rest)
        self.true = client.server.accounts["bybit"].by_name["test"]

    async def fills(self, count: int, *, product: str = "spot", symbol: str = "BTCUSDT", per_s: float = 1000.0) -> None:
        wanted = {"exchange": "bybit", "account": "test", "product": product, "symbol": symbol}
        await self.client.post("/__sim/fills", wanted | {"count": count, "per_s": per_s, "wait": True})

    async def fault(self, kind: str, **more: Any) -> None:
        await self.client.post("/__sim/faults", {"exchange": "bybit", "kind": kind, **more})

    async def live(self, within_s: float = 15.0) -> None:
        await until(lambda: self.follower.state is StreamState.LIVE, within_s=within_s, what=self.follower.sentence)

    def wrong(self) -> str:
        """What the store has not to the last digit; "" if it has all."""
        fills = {
            (each.order.market.instrument.symbol, frames.trade_id(each.order.market, each)): (
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
        cash = self.true.cash["unified"]
        if self.store.totals() != {("unified", coin): cash.total(coin) for coin in cash.assets() if cash.total(coin)}:
            return f"balances {self.store.totals()}"
        held = {p.market.instrument.symbol: p.amount for p in self.true.desks["linear"].futures.open_positions()}
        return "" if self.store.sizes() == held else f"positions {self.store.sizes()}, not {held}"

    async def must_agree(self, within_s: float = 20.0) -> None:
        await until(lambda: not self.wrong(), within_s=within_s, what=f"the same figures; {self.wrong()}")


@contextlib.asynccontextmanager
async def followed(
    key: Credentials | None = None, client: Client | None = None, *, kept_days: int = 20, **settings: Any
) -> AsyncIterator[Account]:
    if client is None:
        async with (
            simulator(instruments=BYBIT, **settings) as client,
            followed(key, client, kept_days=kept_days) as account,
        ):
            yield account
        return
    adapter = create("bybit", endpoints("127.0.0.1", client.server.port)["bybit"])
    wide = dict.fromkeys(adapter.budgets(), Budget(limit=10_000, per_s=1))  # tests do not wait for the next window
    rest = RestClient("bybit", rest_bases(adapter.endpoints), wide, adapter.error_of)
    store = MemoryStore()

    async def notify(account: int, kind: str) -> None: ...

    try:
        markets = MarketIndex()
        for request in adapter.markets_requests():
            markets.update(adapter.parse_markets(request, (await rest.send(request)).raw))
        spec = AccountSpec(
            id=1,
            exchange="bybit",
            label="Main",
            credentials=key or credentials(BYBIT_KEYS.test),
            products=PRODUCTS,
            poll_s=1.0,
        )
        api = REGISTRY["bybit"](spec, markets, adapter.endpoints)
        follower = AccountFollower(
            spec, api, rest, StoreHandle(store), notify, settle_s=0.5, delays=lambda: iter(lambda: 0.1, None)
        )
        kept_ms = kept_days * 86_400_000  # three windows instead of a hundred
        with patch.object(pages, "KEPT_MS", kept_ms), patch.object(ledger, "BACK_MS", kept_ms):
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


async def test_a_long_history_is_read_within_the_limits_of_a_key() -> None:
    """Eighty windows of nothing: on this machine they could be asked for in a third of a second."""
    with capture_logs() as logs:
        async with followed(kept_days=40 * 7 - 1) as account:
            await account.live()
    assert [entry for entry in logs if entry["event"] in ("rest fails", "fills failed", "poll failed")] == []


async def test_every_figure_is_the_exchanges(account: Account) -> None:
    await account.fills(30)
    await account.fills(30, product="linear")
    await account.fills(5, product="linear", symbol="BTCPERP")
    await account.client.post("/__sim/funding", {"exchange": "bybit", "account": "test"})
    await until(lambda: len(account.store.rows) == 65)
    assert "stream" in {row["source"] for row in account.store.rows}
    await account.must_agree()
    assert account.follower.state is StreamState.LIVE
    locked = account.store.totals()
    assert ("unified", "USDT") in locked and ("unified", "USDC") in locked


async def test_what_happened_before_is_read_page_by_page() -> None:
    async with simulator(instruments=BYBIT) as client:
        for product in PRODUCTS:
            wanted = {"exchange": "bybit", "account": "test", "product": product, "symbol": "BTCUSDT"}
            await client.post("/__sim/fills", wanted | {"count": 230, "per_s": 1e6, "wait": True})
        async with followed(client=client) as account:
            await account.live()
            await account.must_agree()
            assert {row["source"] for row in account.store.rows} == {"rest"}


async def test_cut_while_fills_come(account: Account) -> None:
    working = asyncio.create_task(account.fills(120, per_s=100))
    for _ in range(2):
        await asyncio.sleep(0.4)
        await account.fault("cut")
    await working
    await account.must_agree()
    await account.live()
    await account.fault("close")
    await account.fills(3, product="linear")
    await account.must_agree()
    await account.live()
    before = len(account.store.rows)
    await account.fills(2)
    await until(lambda: len(account.store.rows) == before + 2)
    assert [row["source"] for row in account.store.rows[-2:]] == ["stream"] * 2


async def test_a_mute_stream_is_found_by_what_rest_tells(account: Account) -> None:
    with patch("feeds.following.private_stream.MUTE_S", 0.5), patch.object(account.follower._history, "_active_s", 0.5):
        await asyncio.sleep(1.1)  # what is younger than a second by the clock may be told either way
        await account.fault("mute", value="private")
        await account.fills(3)
        account.follower._history.read_again("spot")
        await until(lambda: account.follower.streams[0].connection.reconnects > 0, within_s=10)
        await account.client.session.delete(account.client.base + "/__sim/faults")
        await account.live()
        await account.must_agree()


async def test_trouble_with_rest(account: Account) -> None:
    await account.fault("status", value=503)
    await until(lambda: account.follower.state is StreamState.STALE, within_s=10)
    await account.fills(5)
    await until(lambda: len(account.store.rows) == 5)
    await account.client.session.delete(account.client.base + "/__sim/faults")
    await account.live()
    await account.fault("status", value=429, count=1)
    await account.client.post(
        "/__sim/transfer", {"exchange": "bybit", "account": "test", "asset": "USDT", "amount": "-123.45"}
    )
    await account.must_agree(within_s=30)
    await account.live()


async def test_a_login_that_is_refused_for_a_while_is_tried_again(account: Account) -> None:
    await account.fault("reject", product="unified")
    await account.fault("cut")
    await until(lambda: "Internal error" in account.follower.sentence)
    await account.client.session.delete(account.client.base + "/__sim/faults")
    await account.live()


async def test_orders_are_placed_found_and_cancelled(account: Account) -> None:
    api, ask = account.api, account.asking
    await ask.measure("unified")
    price = Decimal(account.client.server.market.markets["bybit", "spot", "BTCUSDT"].top.bid) / 20
    for symbol in ("BTC/USDT", "BTC/USDT:USDT"):
        wanted = NewOrder(
            symbol=symbol, side="buy", size=Decimal("0.02"), price=price.quantize(1), client_id=api.new_client_id()
        )
        if (mode := api.mode_request(symbol)) is not None:
            api.take_mode(symbol, (await ask.ask(mode)).raw)
        told = await ask.ask(api.place_request(wanted))
        placed = api.parse_placed(wanted, told.raw, told.asof_ms)
        await until(lambda key=(symbol, placed.id): key in account.store.orders)
        told = await ask.ask(api.find_request(symbol, wanted.client_id))
        found = api.parse_found(symbol, wanted.client_id, told.raw)
        assert isinstance(found, Order) and (found.id, found.status, found.price) == (placed.id, "open", wanted.price)
        with pytest.raises(Exception, match="uplicate"):
            await ask.ask(api.place_request(wanted))
        told = await ask.ask(api.find_request(symbol, "never"))
        assert api.parse_found(symbol, "never", told.raw) is None
        await until(lambda: not account.wrong())
        told = await ask.ask(api.cancel_request(found))
        api.parse_cancelled(found, told.raw)
        await until(lambda key=(symbol, placed.id): account.store.orders[key].status == "canceled")
        with pytest.raises(Exception) as refused:
            await ask.ask(api.cancel_request(found))
        assert api.unknown_order(refused.value)


async def test_more_open_orders_than_a_page(account: Account) -> None:
    desk = account.true.desks["spot"]
    market = account.client.server.market.markets["bybit", "spot", "BTCUSDT"]
    await account.fault("mute", value="private")
    for number in range(60):
        desk.place(market, buy=True, size=1000, price=market.top.bid // 2 - number)
    await account.fault("cut")
    await until(lambda: sum(order.status == "open" for order in account.store.orders.values()) == 60)
    api, ask = account.api, account.asking
    await ask.measure("unified")
    for request in api.cancel_all_requests(("BTC/USDT", "BTC/USDT:USDT", "BTC/USDC:USDC")):
        api.parse_cancelled_all(request, (await ask.ask(request)).raw)
    assert not desk.open_orders()


async def test_a_key_that_may_only_read_is_enough() -> None:
    async with followed(credentials(BYBIT_KEYS.read)) as account:
        await account.live()


async def test_a_key_that_may_withdraw_is_refused() -> None:
    async with followed(credentials(BYBIT_KEYS.withdraw)) as account:
        await until(lambda: account.follower.state is StreamState.DOWN)
        assert "Wallet: Withdraw" in account.follower.sentence
        assert not account.client.server.exchanges["bybit"].open_sockets()


@pytest.mark.parametrize(
    ("key", "said"),
    [(Credentials(BYBIT_KEYS.test.key, "wrong"), "error sign!"), (Credentials("unknown", "x"), "API key is invalid.")],
)
async def test_a_refused_key_is_told_and_asked_for_no_more(key: Credentials, said: str) -> None:
    async with followed(key) as account:
        await until(lambda: account.follower.state is StreamState.DOWN)
        assert said in account.follower.sentence


async def test_transfers_are_those_of_the_wallet() -> None:
    async with simulator(instruments=BYBIT) as client:
        body = {"exchange": "bybit", "account": "test", "asset": "USDT", "amount": "-7.5"}
        await client.post("/__sim/transfer", body)
        async with followed(client=client, kept_days=60) as account:
            moved = sorted((m.ms, m.asset, m.amount) for m in account.true.movements)
            assert len(moved) > 3

            def told() -> list[tuple[int, str, Decimal]]:
                return sorted((t.exchange_ms, t.asset, t.amount) for t in account.store.transfers.values())

            await until(lambda: told() == moved, within_s=30, what="the wallet's transfers")
            assert {t.kind for t in account.store.transfers.values()} == {"internal"}
