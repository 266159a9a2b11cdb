"""Hedge mode, end to end: ccxt and our trader order at one simulated account, long and short positions side by side.

ccxt switches the mode through the documented call and knows by itself how orders name their positions; our trader must
come to the same, and our follower must store what the exchange holds.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from typing import Any, NamedTuple

import ccxt.async_support as ccxt
import pytest

from bench import ccxt_clients
from feeds.account import AccountSpec, Credentials
from feeds.accounts import REGISTRY
from feeds.domain import StreamState
from feeds.exchange import Budget, MarketIndex
from feeds.exchanges import create
from feeds.following.follower import AccountFollower
from feeds.following.trader import Trader
from feeds.following.words import HEDGED
from feeds.rest import RestClient, rest_bases
from feeds.simulator import endpoints
from feeds.simulator.bybit.terms import BYBIT_KEYS
from feeds.simulator.keys import BINANCE_KEYS, ApiKey
from feeds.simulator.okx.terms import KEYS as OKX_KEYS
from feeds.simulator.venues import listings
from feeds.tickets import Ticket, Wish
from tests.feeds.account_store import MemoryStore, StoreHandle
from tests.feeds.peer import no_task_left, until  # noqa: F401 - a fixture
from tests.feeds.simulator_help import Client, simulator
from tests.feeds.test_trader import Tickets

D = Decimal
PERP = "BTC/USDT:USDT"


class Place(NamedTuple):
    """One exchange: its kind of derivatives, the name of the contract, the key, and ccxt's class, its word for the kind
    of markets, and its options."""

    name: str
    product: str
    native: str
    key: ApiKey
    kind: type
    markets: str
    options: Mapping[str, Any] = {}


PLACES = [
    Place("binance", "usdm", "BTCUSDT", BINANCE_KEYS.test, ccxt.binanceusdm, "linear"),
    Place("bybit", "linear", "BTCUSDT", BYBIT_KEYS.test, ccxt.bybit, "linear", {"enableUnifiedAccount": True}),
    Place("okx", "swap", "BTC-USDT-SWAP", OKX_KEYS.test, ccxt.okx, "swap"),
]


class World:
    """One account at one simulated exchange, followed and traded by us, and ccxt beside."""

    def __init__(self, place: Place, client: Client, follower: AccountFollower, trader: Trader, peer: Any) -> None:
        self.place = place
        self.client = client
        self.account = client.server.accounts[place.name].by_name["test"]
        self.follower = follower
        self.trader = trader
        self.settings = follower._api.settings_requests()
        self.peer = peer
        self.store: MemoryStore = follower.journal._store.store
        self.wallet = client.server.accounts[place.name].by_name["test"].desks[place.product].futures
        self.desk = client.server.accounts[place.name].by_name["test"].desks[place.product]
        self.market = client.server.market.markets[place.name, place.product, place.native]
        self._clicks = 0

    async def order(self, side: str, size: str, **more: Any) -> Ticket:
        """Placed by us, at market unless a price is given."""
        await until(lambda: self.follower.state is StreamState.LIVE, within_s=15.0, what="LIVE")
        self._clicks += 1
        wish = Wish(symbol=PERP, side=side, size=D(size), **more)
        return await self.trader.place(f"click-{self._clicks:04}", wish)

    async def theirs(self, side: str, size: str, **more: Any) -> Any:
        """Placed by ccxt, which counts in contracts."""
        contracts = float(D(size) / D(str(self.peer.market(PERP)["contractSize"])))
        return await self.peer.create_order(PERP, "market", side, contracts, None, {"hedged": True, **more})

    def held(self) -> dict[str, D]:
        """What the exchange holds, by side."""
        return {position.hold: position.amount for position in self.wallet.open_positions()}

    def stored(self) -> dict[str, D]:
        return {side: p.size for (symbol, side, *_), p in self.store.positions.items() if symbol == PERP and p.size}

    async def must_hold(self, **sides: str) -> None:
        wanted = {side: D(size) for side, size in sides.items()}
        assert self.held() == wanted
        await until(lambda: self.stored() == wanted, what=f"{wanted}; stored are {self.stored()}")

    def open_orders(self) -> list[Any]:
        return [order for order in self.store.orders.values() if order.status == "open"]


@asynccontextmanager
async def world(place: Place) -> AsyncIterator[World]:
    few = tuple(each for each in listings([place.name]) if each.native in (place.native, "BTCUSDT", "BTC-USDT"))
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(simulator(instruments=few))
        adapter = create(place.name, endpoints("127.0.0.1", client.server.port)[place.name])
        budgets = dict(adapter.budgets())
        if place.name != "okx":  # which counts each call in two seconds: what the others allow lasts a minute
            budgets = dict.fromkeys(budgets, Budget(limit=10_000, per_s=1))
        rest = RestClient(place.name, rest_bases(adapter.endpoints), budgets, adapter.error_of)
        stack.push_async_callback(rest.close)
        markets = MarketIndex()
        for request in adapter.markets_requests():
            markets.update(adapter.parse_markets(request, (await rest.send(request)).raw))
        key = place.key
        spec = AccountSpec(
            id=1,
            exchange=place.name,
            label="Main",
            credentials=Credentials(key.key, key.secret, key.passphrase),
            products=(place.product,),
            poll_s=0.5,
            trading=True,
        )
        api = REGISTRY[place.name](spec, markets, adapter.endpoints)

        async def notify(account: int, kind: str) -> None:
            """Nobody looks."""

        follower = AccountFollower(
            spec, api, rest, StoreHandle(MemoryStore()), notify, settle_s=0.5, delays=lambda: iter(lambda: 0.1, None)
        )
        trader = Trader(
            spec,
            api,
            follower.rest,
            follower.journal,
            markets,
            Tickets(),
            state=lambda: follower.state,
            on_orders=follower.polls.orders_again,
            delays=lambda: iter(lambda: 0.05, None),
        )
        at = endpoints("127.0.0.1", client.server.port)[place.name]
        markets = {"fetchMarkets": {"types": [place.markets]}}
        peer = ccxt_clients.client(place.kind, at, key, **markets, **place.options)
        stack.push_async_callback(peer.close)
        await stack.enter_async_context(asyncio.timeout(50))
        await peer.load_markets()
        stack.push_async_callback(follower.stop)
        await follower.start()
        made = World(place, client, follower, trader, peer)
        await until(lambda: follower.state is StreamState.LIVE, within_s=15.0, what="LIVE")
        yield made


@pytest.mark.parametrize("place", PLACES, ids=[each.name for each in PLACES])
async def test_long_and_short_side_by_side(place: Place) -> None:
    async with world(place) as at:
        await at.peer.set_position_mode(True, PERP)

        # Opened by us, on both sides. The mode may have been read before the switch: such an order is refused, and the
        # mode is asked for with the next.
        first = await at.order("buy", "0.03")
        if first.state == "refused":
            assert at.held() == {}
            first = await at.order("buy", "0.03")
        assert first.state == "placed"
        assert (await at.order("sell", "0.02")).state == "placed"
        await at.must_hold(long="0.03", short="-0.02")

        await until(lambda: at.follower.sentence == HEDGED, what=f"a remark instead of {at.follower.sentence!r}")

        # Closed in part, by us and by ccxt.
        assert (await at.order("sell", "0.01", reduce_only=True)).state == "placed"
        await at.must_hold(long="0.02", short="-0.02")
        await at.theirs("buy", "0.01", reduceOnly=True)
        await at.must_hold(long="0.02", short="-0.01")
        await at.theirs("buy", "0.01")
        await at.must_hold(long="0.03", short="-0.01")

        told = {row["side"]: abs(row["contracts"]) for row in await at.peer.fetch_positions([PERP]) if row["contracts"]}
        unit = D(str(at.peer.market(PERP)["contractSize"]))
        assert {side: D(str(size)) * unit for side, size in told.items()} == {"long": D("0.03"), "short": D("0.01")}
        for side, position in ((side, at.store.positions[PERP, side]) for side in ("long", "short")):
            true = at.wallet.position(at.market, side)
            assert position.entry == pytest.approx(true.entry) and position.leverage == at.wallet.leverage_of(at.market)

        # More than there is cannot be closed, and what rests binds its part.
        far = (int(at.market.mid()) * 13 // 10) * at.market.instrument.tick
        resting = await at.order("sell", "0.02", price=far, reduce_only=True)
        assert resting.state == "placed"
        await until(lambda: [order.reduce_only for order in at.open_orders()] == [True], what="one order that closes")
        too_much = await at.order("sell", "0.02", reduce_only=True)
        assert too_much.state == "refused" and too_much.sentence
        nothing = await at.order("buy", "0.05", reduce_only=True)
        assert nothing.state == "refused"
        with pytest.raises(ccxt.BaseError):
            await at.peer.set_position_mode(False, PERP)  # not with open orders and positions
        assert at.wallet.mode_of(at.market).hedged

        await at.trader.cancel_all()
        assert (await at.order("sell", "0.03", reduce_only=True)).state == "placed"
        assert (await at.order("buy", "0.01", reduce_only=True)).state == "placed"
        await at.must_hold()
        await until(lambda: len(at.store.rows) == len(at.desk.fills), what="all fills")
        if place.name != "bybit":  # whose executions do not tell
            sides = {(row["order_id"], row["position_side"]) for row in at.store.rows}
            assert (first.order_id, "long") in sides and len({side for _, side in sides}) == 2

        # Back to one position.
        await at.peer.set_position_mode(False, PERP)
        for _ in range(3):  # the mode is as new as before; and Bybit may say that this was too quick
            last = await at.order("sell", "0.02")
            if last.state == "placed":
                break
            assert last.state == "refused" and at.held() == {}
        assert last.state == "placed", last
        await at.must_hold(both="-0.02")
