"""An OKX account followed over real sockets: our REST client, our connections, the simulated OKX on loopback."""

from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

from feeds.account import AccountSpec, Credentials
from feeds.accounts import REGISTRY
from feeds.domain import StreamState
from feeds.exchange import Budget, MarketIndex
from feeds.exchanges import create
from feeds.following.follower import AccountFollower
from feeds.following.signed_rest import SignedRest
from feeds.rest import RestClient, rest_bases
from feeds.simulator import endpoints
from feeds.simulator.keys import ApiKey
from feeds.simulator.okx.listing import LISTING
from feeds.simulator.okx.terms import KEYS
from feeds.simulator.truth import truth
from tests.feeds.account_store import MemoryStore, StoreHandle
from tests.feeds.peer import until
from tests.feeds.simulator_help import Client, simulator

FEW = tuple(i for i in LISTING if i.native in {"BTC-USDT", "ETH-USDT", "BTC-USDT-SWAP", "XRP-USDT-SWAP"})
NATIVE = {"spot": "BTC-USDT", "swap": "BTC-USDT-SWAP"}


def credentials(key: ApiKey) -> Credentials:
    return Credentials(key.key, key.secret, key.passphrase)


TEST = credentials(KEYS.test)


class Account:
    """A followed account of the simulator, and what the simulator says of it."""

    def __init__(self, client: Client, follower: AccountFollower, api: Any, rest: RestClient, store: MemoryStore):
        self.client = client
        self.follower = follower
        self.api = api
        self.rest = rest
        self.signed = SignedRest("okx", api, rest)
        self.measured = False
        self.store = store
        self.account = client.server.accounts["okx"].by_name["test"]

    async def fills(self, count: int, *, product: str = "spot", per_s: float = 1000.0) -> None:
        wanted = {"exchange": "okx", "account": "test", "product": product, "symbol": NATIVE[product]}
        await self.client.post("/__sim/fills", wanted | {"count": count, "per_s": per_s, "wait": True})

    async def fault(self, kind: str, **more: Any) -> None:
        await self.client.post("/__sim/faults", {"exchange": "okx", "kind": kind, **more})

    async def heal(self) -> None:
        await self.client.session.delete(self.client.base + "/__sim/faults")

    async def live(self, within_s: float = 15.0) -> None:
        follower = self.follower
        await until(lambda: follower.state is StreamState.LIVE, within_s=within_s, what=f"LIVE: {follower.sentence}")

    async def ask(self, request: Any) -> bytes:
        """A signed question of the test's own."""
        if not self.measured:
            await self.signed.measure("private")
            self.measured = True
        return (await self.signed.ask(request)).raw

    def agrees(self) -> bool:
        """Every fill, balance and position, to the last digit."""
        told = truth(self.account)
        names = ("price", "size", "fee", "fee_asset", "maker", "exchange_ms", "order_id")
        fills = {
            (row["symbol"], row["id"]): (
                *(Decimal(row[name]) for name in names[:3]),
                *(row[name] for name in names[3:]),
            )
            for row in told["fills"]
        }
        stored = {(row["symbol"], row["id"]): tuple(row[name] for name in names) for row in self.store.rows}
        totals = {
            ("trading", asset): Decimal(row["free"]) + Decimal(row["locked"])
            for asset, row in told["balances"]["trading"].items()
        }
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
async def followed(
    keys: Credentials = TEST, client: Client | None = None, *, hasty: bool = True, **settings: Any
) -> Any:
    """``hasty``: all that the simulator allows at once, none of it left for another client of the account."""
    if client is None:
        usual = {"instruments": FEW, "connects": {"okx": 1000}}
        async with simulator(**(usual | settings)) as client, followed(keys, client, hasty=hasty) as account:
            yield account
        return
    adapter = create("okx", endpoints("127.0.0.1", client.server.port)["okx"])
    budgets = dict(adapter.budgets())
    if hasty:
        budgets["private"] = Budget(limit=600, per_s=2)
    rest = RestClient("okx", rest_bases(adapter.endpoints), budgets, adapter.error_of)
    store = MemoryStore()

    async def notify(account: int, kind: str) -> None:
        """The pictures are the database's business."""

    try:
        markets = MarketIndex()
        for request in adapter.markets_requests():
            markets.update(adapter.parse_markets(request, (await rest.send(request)).raw))
        spec = AccountSpec(id=1, exchange="okx", label="Main", credentials=keys, products=("spot", "swap"), poll_s=1.0)
        api = REGISTRY["okx"](spec, markets, adapter.endpoints)
        follower = AccountFollower(
            spec, api, rest, StoreHandle(store), notify, settle_s=1.0, delays=lambda: iter(lambda: 0.1, None)
        )
        await follower.start()
        try:
            yield Account(client, follower, api, rest, store)
        finally:
            await follower.stop()
    finally:
        await rest.close()
