"""A Kraken account's private side for tests: the adapter, and a follower against the simulator."""

from contextlib import asynccontextmanager
from decimal import Decimal
from unittest.mock import patch

from feeds.account import AccountSpec, Credentials, KeyLimits
from feeds.accounts.kraken import KrakenAccount
from feeds.accounts.kraken.api import LIMITS
from feeds.domain import Market, StreamState
from feeds.exchange import Budget, MarketIndex
from feeds.exchanges import create
from feeds.following.follower import AccountFollower
from feeds.pacing import ConnectGate
from feeds.rest import RestClient, rest_bases
from feeds.simulator import endpoints
from feeds.simulator.kraken import frames
from feeds.simulator.kraken.terms import TEST, fill_id
from tests.feeds.account_store import MemoryStore, StoreHandle
from tests.feeds.peer import until
from tests.feeds.simulator_help import simulator
from tests.shared import shared_file

SECRET = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw=="
KEY = Credentials("DUMMY_KEY_0123456789abcdef", SECRET)
QUICK = KeyLimits(most=1000, decay_per_s=100, one_at_a_time=True)
"""What the simulator allows where a test does not look at limits."""


def spot(symbol):
    base, quote = symbol.split("/")
    return Market(
        exchange="kraken",
        symbol=symbol,
        native=symbol,
        product="spot",
        base=base,
        quote=quote,
        tick=Decimal("0.1"),
        lot=Decimal("0.00000001"),
    )


PAIRS = "BTC/USD BTC/EUR BTC/USDT BTC/GBP ETH/USD ETH/BTC DOGE/USD ZRX/USD XTZ/USD ADX/USD SUI/USD"
MARKETS = MarketIndex(spot(symbol) for symbol in PAIRS.split())


def account(credentials=KEY, markets=MARKETS):
    spec = AccountSpec(id=1, exchange="kraken", label="Main", credentials=credentials, products=("spot",))
    return KrakenAccount(spec, markets, create("kraken", {}).endpoints)


def answer(name):
    """A documented answer: the file's body, behind method, path and whether it is signed."""
    text = shared_file(f"fixtures/kraken/{name}.txt").read_text("utf-8-sig")
    return (text.split("\n", 3)[3] if text.startswith("POST") else text).encode()


class Followed:
    """A followed account of the simulator, and what the simulator says of it."""

    def __init__(self, client, follower, store, api, rest):
        self.client, self.follower, self.store, self.api, self.rest = client, follower, store, api, rest
        self.account = client.server.accounts["kraken"].by_name["test"]

    async def fills(self, count, *, symbol="BTC/USD", per_s=1000.0):
        wanted = {"exchange": "kraken", "account": "test", "product": "spot", "symbol": symbol, "count": count}
        await self.client.post("/__sim/fills", wanted | {"per_s": per_s, "wait": True})

    async def fault(self, kind, **more):
        await self.client.post("/__sim/faults", {"exchange": "kraken", "kind": kind, **more})

    async def heal(self):
        await self.client.session.delete(self.client.base + "/__sim/faults")

    async def live(self, within_s=15.0):
        await until(lambda: self.follower.state is StreamState.LIVE, within_s=within_s, what="LIVE")

    def agrees(self):
        """Every fill with its fee, every balance, to the last digit."""
        fills = {
            (fill.order.market.instrument.symbol, fill_id(fill)): (fill.price, fill.size, fill.fee, fill.fee_asset)
            for fill in self.account.fills
        }
        stored = {
            (row["symbol"], row["id"]): (row["price"], row["size"], row["fee"], row["fee_asset"])
            for row in self.store.rows
        }
        cash = self.account.spot
        totals = {("spot", asset): cash.total(asset) for asset in cash.assets() if cash.total(asset)}
        return stored == fills and len(self.store.rows) == len(fills) and self.store.totals() == totals

    async def must_agree(self, within_s=20.0):
        await until(self.agrees, within_s=within_s, what=f"the simulator's figures; {self.follower.sentence}")

    def open_orders(self):
        return {id for (_, id), order in self.store.orders.items() if order.status in ("open", "partial")}


@asynccontextmanager
async def followed(key=TEST, client=None, *, limits=QUICK, poll_s=1.0, secret=None, **settings):
    if client is None:
        async with (
            simulator(weights={"kraken": 1000}, **settings) as client,
            followed(key, client, limits=limits, poll_s=poll_s, secret=secret) as account,
        ):
            yield account
        return
    adapter = create("kraken", endpoints("127.0.0.1", client.server.port)["kraken"])
    budgets = dict(adapter.budgets())
    if limits is QUICK:
        budgets["account"] = Budget(limit=1000, per_s=10)
    rest = RestClient("kraken", rest_bases(adapter.endpoints), budgets, adapter.error_of)
    store = MemoryStore()

    async def notify(account, kind):
        """Nobody is shown anything."""

    markets = MarketIndex()
    listed = list(client.server.market.of("kraken", "spot").values())
    [told] = adapter.session("spot", markets).parse(frames.instrument(listed))
    markets.update(told.markets)
    spec = AccountSpec(
        id=1,
        exchange="kraken",
        label="Main",
        credentials=Credentials(key.key, secret or key.secret),
        products=("spot",),
        poll_s=poll_s,
    )
    api = KrakenAccount(spec, markets, adapter.endpoints)
    api.key_limits = LIMITS if limits is None else limits
    with patch("feeds.following.signed_rest.HALVINGS", 1):
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
            yield Followed(client, follower, store, api, rest)
        finally:
            await follower.stop()
            await rest.close()
