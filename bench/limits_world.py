"""Accounts of one simulated exchange, followed by the real engine over sockets, in time that passes by itself.

Time goes on when nobody has anything left to do (``hours``): an hour takes seconds, and every request that the product
sends in it is really sent and really answered.
"""

import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from bench.documented_limits import Asked
from bench.hours import LoopClock
from feeds.account import AccountSpec, Credentials, KeyRights
from feeds.account_domain import Balance, Checked, Fill, Finding, Order, Position, Transfer
from feeds.config import Config, ExchangeConfig
from feeds.demo import MARKETS
from feeds.engine import Engine
from feeds.exchanges import create
from feeds.markets.opening import make_venue
from feeds.simulator import DATA_KEY, DATA_SECRET, Settings, SimulatorServer, endpoints
from feeds.simulator.faults import ASKING
from feeds.simulator.keys import ApiKey
from feeds.simulator.venues import REGISTRY
from tests.keys import new_key

PULSE_S = 0.25
"""The simulated market moves so often: it is not what is measured."""
DEMOS = 9
LATENCY_S = 0.1
"""Every request takes so long, as over a network: nobody can ask page after page in no time."""


class Store:
    """An account store in memory, as far as following needs one: which fills are new, cursors, the last rows. All by
    account. ``rewritten`` are transfers that were done and came again otherwise; ``findings`` is all that was found."""

    def __init__(self) -> None:
        self.fills: dict[int, dict[tuple[str, str], Fill]] = {}
        self.kept: dict[int, dict[str, str]] = {}
        self.balances: dict[int, dict[tuple[str, str], Balance]] = {}
        self.transfers: dict[int, dict[tuple[str, str], Transfer]] = {}
        self.rewritten: dict[int, list[Transfer]] = {}
        self.findings: dict[int, list[Finding]] = {}
        self.states: dict[int, tuple[str, str]] = {}
        self.told_ns: dict[int, int] = {}  # when the exchange last answered, as the state was told

    async def add_fills(
        self, account: int, fills: Sequence[Fill], *, source: str, cursor: tuple[str, str] | None = None
    ) -> list[dict[str, Any]]:
        known, new = self.fills.setdefault(account, {}), []
        for fill in fills:
            if (fill.symbol, fill.id) not in known:
                known[fill.symbol, fill.id] = fill
                new.append({**msgspec.structs.asdict(fill), "source": source})
        if cursor is not None:
            self.kept.setdefault(account, {})[cursor[0]] = cursor[1]
        return new

    async def cursors(self, account: int) -> Mapping[str, str]:
        return dict(self.kept.get(account, {}))

    async def fill_symbols(self, account: int) -> set[str]:
        return {symbol for symbol, _ in self.fills.get(account, {})}

    async def put_balances(self, account: int, balances: Sequence[Balance], **_: Any) -> None:
        self.balances.setdefault(account, {}).update({(b.product, b.asset): b for b in balances})

    async def put_positions(self, account: int, positions: Sequence[Position], **_: Any) -> None: ...

    async def put_orders(self, account: int, orders: Sequence[Order], **_: Any) -> None: ...

    async def put_transfers(self, account: int, transfers: Sequence[Transfer], *, recv_ns: int) -> None:
        known = self.transfers.setdefault(account, {})
        for transfer in transfers:
            before = known.get((transfer.kind, transfer.id), transfer)
            if before.status == "done" and before != transfer:
                self.rewritten.setdefault(account, []).append(transfer)
            known[transfer.kind, transfer.id] = transfer

    async def put_rights(self, account: int, rights: KeyRights | None) -> None: ...

    async def put_finding(self, account: int, finding: Finding, *, now_ns: int) -> None:
        self.findings.setdefault(account, []).append(finding)

    async def resolve_finding(self, account: int, cause: str, sentence: str, *, now_ns: int) -> None: ...

    async def open_causes(self, account: int) -> set[str]:
        return set()

    async def put_checked(self, account: int, checked: Checked) -> None: ...

    async def checked(self, account: int) -> Sequence[Checked]:
        return ()

    async def told_since(self, account: int, since_ms: int) -> tuple[Sequence[Fill], Sequence[Transfer]]:
        return (), ()

    async def set_account_state(self, account: int, state: str, sentence: str, *, recv_ns: int) -> None:
        self.states[account] = state, sentence
        self.told_ns[account] = recv_ns

    async def account_frame(self, account: int, kind: str) -> dict[str, Any]:
        return {kind: []}


class Nobody:
    """Watches nothing; fits :class:`feeds.publisher.Sink`."""

    def publish(self, topic: str, frame: str) -> None: ...

    def publish_to(self, holder: str, topic: str, frame: str) -> None: ...

    def refuse(self, holder: str, topic: str, reason: str) -> None: ...


class Request(msgspec.Struct, frozen=True):
    """One that the simulator received: when, of which exchange, with which account's key ("" for none)."""

    at_s: float
    exchange: str
    asked: Asked
    key: str


class World:
    def __init__(self, clock: LoopClock, server: SimulatorServer, engine: Engine, store: Store) -> None:
        self.clock = clock
        self.server = server
        self.engine = engine
        self.store = store
        self.keys: dict[int, ApiKey] = {}  # by account
        self.received: list[Request] = []
        server.on_request = self._note

    def _note(self, exchange: str, request: web.Request) -> None:
        said = ASKING.get()
        key = next((key.key for key in self.keys.values() if key.key in said), "")
        path, _, query = request.raw_path.removeprefix(f"/{exchange}").partition("?")
        for extra in ("/spot", "/usdm", "/rest"):  # what the simulator puts before the documented path
            if path.startswith(f"{extra}/") and exchange == "binance":
                path = path.removeprefix(extra)
        self.received.append(Request(self.clock.monotonic_s(), exchange, Asked(request.method, path, query), key))

    async def follow(self, exchange: str, number: int, *, poll_s: float = 5.0) -> None:
        """With a key of its own, and limits of its own. They all show what the demo trader does."""
        new = new_key(exchange)
        key = ApiKey(key=new.key, secret=new.secret, passphrase=new.passphrase, account=f"demo {number}")
        self.server.accounts[exchange].keys[key.key] = self.keys[number] = key
        products, _ = MARKETS[exchange]
        label = f"{exchange} {number}"
        await self.engine.follow(
            AccountSpec(id=number, exchange=exchange, label=label, credentials=new, products=products, poll_s=poll_s)
        )

    def states(self) -> dict[int, tuple[str, str]]:
        return dict(self.engine.account_states())


@asynccontextmanager
async def world(
    exchanges: Sequence[str], *, symbols: Sequence[str] = (), pinned: bool = False, trader: bool = True
) -> AsyncIterator[World]:
    """``symbols``: list only these. ``pinned``: one market of each exchange is followed all the time."""
    clock = LoopClock()
    listing = tuple(
        each for name in exchanges for each in REGISTRY[name].listing if not symbols or each.symbol in symbols
    )
    settings = Settings(instruments=listing, trader=trader, connects=dict.fromkeys(exchanges, 10_000), demos=DEMOS)
    server = SimulatorServer(
        settings, clock=clock.monotonic_s, clock_ms=clock.now_ms, pulse_s=PULSE_S, latency_s=LATENCY_S
    )
    await server.start(0)
    places = endpoints("127.0.0.1", server.port)
    configs = {
        name: ExchangeConfig(
            name=name,
            simulated=True,
            products=MARKETS[name][0],
            pinned=(MARKETS[name][1].split()[0],) if pinned else (),
            endpoints=places[name],
            credentials=Credentials(DATA_KEY, DATA_SECRET) if create(name).facts.needs_key else None,
        )
        for name in exchanges
    }

    def venue_of(config: ExchangeConfig, **given: Any) -> Any:
        venue: Any = make_venue(config, **given)
        venue.adapter._now_s = clock.now_s  # the time of day by which a moment of release is told
        return venue

    store = Store()
    with tempfile.TemporaryDirectory() as folder:
        config = Config(path=None, exchanges=configs, state_dir=Path(folder), conflation_ms=250)
        engine = Engine(config, Nobody(), store, venue_of=venue_of, clock=clock)
        try:
            await engine.start()
            yield World(clock, server, engine, store)
        finally:
            await engine.stop()
            await server.stop()
