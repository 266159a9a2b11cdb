"""A Kraken Futures account's private side for tests: the adapter, and a follower against the simulator."""

from contextlib import asynccontextmanager
from decimal import Decimal

from feeds.account import AccountSpec, Credentials
from feeds.accounts.krakenfutures import KrakenFuturesAccount
from feeds.domain import Market, StreamState
from feeds.exchange import MarketIndex
from feeds.exchanges import create
from feeds.following.follower import AccountFollower
from feeds.pacing import ConnectGate
from feeds.rest import RestClient, rest_bases
from feeds.simulator import endpoints
from feeds.simulator.krakenfutures.terms import TEST, fill_id
from tests.feeds.account_store import MemoryStore, StoreHandle
from tests.feeds.kraken_account import SECRET
from tests.feeds.peer import until
from tests.feeds.simulator_help import simulator
from tests.feeds.test_simulator_krakenfutures import FEW
from tests.shared import shared_file

KEY = Credentials("DUMMY_KEY_0123456789abcdef", SECRET)


def linear(native, base):
    return Market(
        exchange="krakenfutures",
        symbol=f"{base}/USD:USD",
        native=native,
        product="futures",
        base=base,
        quote="USD",
        settle="USD",
        tick=Decimal("0.5"),
        lot=Decimal("0.0001"),
    )


MARKETS = MarketIndex(
    [linear("PF_XBTUSD", "BTC"), linear("PF_ETHUSD", "ETH"), linear("PF_DEFIUSD", "DEFI"), linear("PF_LINKUSD", "LINK")]
)


def account(credentials=KEY, markets=MARKETS):
    spec = AccountSpec(id=1, exchange="krakenfutures", label="Main", credentials=credentials, products=("futures",))
    return KrakenFuturesAccount(spec, markets, create("krakenfutures", {}).endpoints)


def answer(name):
    """A documented answer, without method, path and whether it is signed."""
    text = shared_file(f"fixtures/kraken/{name}.txt").read_text("utf-8-sig")
    return (text.split("\n", 3)[3] if text.startswith(("GET", "POST", "PUT")) else text).encode()


class Followed:
    """A followed account of the simulator, and what the simulator says of it."""

    def __init__(self, client, follower, store, api):
        self.client, self.follower, self.store, self.api = client, follower, store, api
        self.account = client.server.accounts["krakenfutures"].by_name["test"]

    async def fills(self, count, *, symbol="PF_XBTUSD", per_s=1000.0):
        wanted = {"exchange": "krakenfutures", "account": "test", "product": "futures", "symbol": symbol}
        await self.client.post("/__sim/fills", wanted | {"count": count, "per_s": per_s, "wait": True})

    async def fault(self, kind, **more):
        await self.client.post("/__sim/faults", {"exchange": "krakenfutures", "kind": kind, **more})

    async def heal(self):
        await self.client.session.delete(self.client.base + "/__sim/faults")

    async def live(self, within_s=15.0):
        await until(lambda: self.follower.state is StreamState.LIVE, within_s=within_s, what="LIVE")

    def agrees(self):
        """Every fill with its fee, every balance and position, to the last digit."""
        fills = {
            (fill.order.market.instrument.symbol, fill_id(fill)): (fill.price, fill.size, fill.fee, fill.fee_asset)
            for fill in self.account.fills
        }
        stored = {
            (row["symbol"], row["id"]): (row["price"], row["size"], row["fee"], row["fee_asset"])
            for row in self.store.rows
        }
        wallet = self.account.futures
        sizes = {position.market.instrument.symbol: position.amount for position in wallet.open_positions()}
        totals = {("futures", a): wallet.cash.total(a) for a in wallet.cash.assets() if wallet.cash.total(a)}
        same = stored == fills and len(self.store.rows) == len(fills)
        return same and self.store.totals() == totals and self.store.sizes() == sizes

    async def must_agree(self, within_s=20.0):
        await until(self.agrees, within_s=within_s, what=f"the simulator's figures; {self.follower.sentence}")

    def open_orders(self):
        return {id for (_, id), order in self.store.orders.items() if order.status in ("open", "partial")}


@asynccontextmanager
async def followed(key=TEST, client=None, *, secret=None, **settings):
    if client is None:
        async with simulator(instruments=FEW, **settings) as client, followed(key, client, secret=secret) as account:
            yield account
        return
    adapter = create("krakenfutures", endpoints("127.0.0.1", client.server.port)["krakenfutures"])
    rest = RestClient("krakenfutures", rest_bases(adapter.endpoints), adapter.budgets(), adapter.error_of)
    store = MemoryStore()

    async def notify(account, kind):
        """Nobody is shown anything."""

    try:
        markets = MarketIndex()
        for request in adapter.markets_requests():
            markets.update(adapter.parse_markets(request, (await rest.send(request)).raw))
        spec = AccountSpec(
            id=1,
            exchange="krakenfutures",
            label="Main",
            credentials=Credentials(key.key, secret or key.secret),
            products=("futures",),
            poll_s=1.0,
        )
        api = KrakenFuturesAccount(spec, markets, adapter.endpoints)
        follower = AccountFollower(
            spec,
            api,
            rest,
            StoreHandle(store),
            notify,
            settle_s=1.0,
            gate=ConnectGate(6000),
            delays=lambda: iter(lambda: 0.1, None),
        )
        await follower.start()
        try:
            yield Followed(client, follower, store, api)
        finally:
            await follower.stop()
    finally:
        await rest.close()
