"""Where checks take place: a simulated exchange, the man in the middle, and the real engine, with times shortened.

Every ground is of its own, so that what one check does to the whole exchange disturbs no other. Which markets it has
comes from the simulator's listing: the liveliest of every product.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from bench.longtail import pointed
from feeds import pacing
from feeds.account import Credentials
from feeds.config import Config, ExchangeConfig
from feeds.engine import Engine
from feeds.exchange import Exchange, Facts
from feeds.longtail import checks as longtail_checks
from feeds.longtail import watched as longtail
from feeds.markets import keeper
from feeds.markets.venue import Venue
from feeds.simulator import Settings, SimulatorServer
from feeds.simulator.faults import Fault, Kind
from feeds.simulator.instruments import Instrument
from feeds.simulator.keys import DATA_KEYS
from feeds.simulator.sockets import SocketRules
from tests.conformance.between import Proxy
from tests.conformance.check import waived
from tests.conformance.judge import Judge, until
from tests.conformance.subject import Subject, registered
from tests.conformance.truth import Truth
from tests.shared import in_time

STALE_S, RECONNECT_S = 2.0, 4.0
FIRST_BACKOFF_S = 0.2
"""Instead of a second: the first step of the backoff, so also the unit of all others."""
OVERDUE_S = 3.0
HOLDER = "conformance"
KINDS = ("book", "quote", "trades", "candles@1m")


def chosen(subject: Subject, per_product: int) -> tuple[Instrument, ...]:
    """The liveliest markets of every product, none of whose names is part of another's: frames are told apart by it."""
    assert subject.simulator is not None
    found: list[Instrument] = []
    for product in dict.fromkeys(each.product for each in subject.simulator.listing):
        count = 0
        listed = [each for each in subject.simulator.listing if each.product == product]
        for each in sorted(listed, key=lambda each: -each.takers_per_s):
            clash = any(
                each.native in other.native or other.native in each.native
                for other in found
                if other.product == product
            )
            if not clash and count < per_product:
                found.append(each)
                count += 1
    return tuple(found)


def busiest(times_s: list[float], window_s: float) -> int:
    """The most of these times that lie within one window."""
    most = start = 0
    for end, at_s in enumerate(times_s):
        while times_s[start] <= at_s - window_s:
            start += 1
        most = max(most, end - start + 1)
    return most


class Ground:
    """Everything of one run. ``markets`` are what the simulator lists here; ``taken`` is for checks to share them."""

    def __init__(self, subject: Subject, markets: tuple[Instrument, ...]) -> None:
        self.subject = subject
        self.name = subject.name
        self.markets = markets
        self.products = list(dict.fromkeys(each.product for each in markets))
        self.locks: dict[str, asyncio.Lock] = {}
        self.server: SimulatorServer
        self.proxy: Proxy
        self.truth: Truth
        self.judge: Judge
        self.engine: Engine
        self._topics: dict[str, None] = {}

    # -- markets -----------------------------------------------------------------------------------------------------

    def of(self, product: str) -> list[Instrument]:
        """The markets of a product, liveliest first."""
        return [each for each in self.markets if each.product == product]

    @property
    def products_with_books(self) -> list[str]:
        return [product for product in self.products if self.of(product)[0].book]

    def lock(self, name: str) -> asyncio.Lock:
        return self.locks.setdefault(name, asyncio.Lock())

    def watch(self, *markets: Instrument, kinds: tuple[str, ...] = ("book",)) -> None:
        """Lease these markets' topics, with what was leased before; where there is no book, best prices instead."""
        for each in markets:
            asked = kinds if each.book else ["quote" if kind == "book" else kind for kind in kinds]
            self._topics |= {f"{kind}:{self.name}:{each.symbol}": None for kind in asked}
        self.engine.lease(HOLDER, list(self._topics), 3600)

    def leave(self, *markets: Instrument) -> None:
        gone = {each.symbol for each in markets}
        self._topics = {topic: None for topic in self._topics if topic.split(":", 2)[2] not in gone}
        self.engine.lease(HOLDER, list(self._topics), 3600)
        for symbol in gone:
            self.judge.forget(symbol)

    async def live(self, *markets: Instrument, seconds: float = 10.0) -> None:
        """Wait until all of these are in use."""
        for each in markets:
            await until(lambda each=each: self.judge.usable(each.symbol), self.plight(each), seconds)

    def plight(self, market: Instrument) -> str:
        return f"{market.symbol} becomes usable"

    async def usable(self, *markets: Instrument, seconds: float = 10.0) -> None:
        """Watch these and wait until they are in use."""
        self.watch(*markets)
        await self.live(*markets, seconds=seconds)
        self.right()

    def breaches(self) -> list[str]:
        """Where we went beyond the documented limits, as seen from the exchange: each a sentence."""
        found = []
        facts = self.subject.facts
        for pipe in self.proxy.pipes:
            most = busiest(pipe.sent_s, 1.0)
            if most > facts.messages_per_s:
                found.append(f"{most} messages in a second on one connection, {facts.messages_per_s:g} are allowed")
        most = busiest([at_s for at_s, _ in self.proxy.attempts_s], 60.0)
        if most > facts.connects_per_minute:
            found.append(f"{most} attempts to connect within a minute, {facts.connects_per_minute:g} are allowed")
        if 429 in self.proxy.refusals:
            found.append("the exchange refused a connection: too many attempts")
        codes = [f"{pipe.code} {pipe.reason}" for pipe in self.proxy.pipes if pipe.code in (1008, 1013)]
        if codes:
            found.append(f"the exchange closed a connection: {codes[0]}")
        return found

    def right(self) -> None:
        """Nothing that was shown as usable was wrong. Raises AssertionError with the first that was."""
        wrong = self.judge.wrong
        assert not wrong, f"{len(wrong)} usable frames were wrong, the first: {wrong[0]}"

    # -- the exchange ------------------------------------------------------------------------------------------------

    @property
    def venue(self) -> Venue:
        return self.engine.venues[self.name]

    @property
    def facts(self) -> Facts:
        return self.venue.adapter.facts

    def path(self, route: str) -> str:
        """The path at which connections of this route are opened."""
        return urlsplit(self.venue.adapter.url(route)).path

    def fault(self, kind: Kind, market: Instrument | None = None, **more: Any) -> Fault:
        """Let the simulator misbehave, in one market or as a whole."""
        where = {} if market is None else {"product": market.product, "symbol": market.native}
        fault = Fault(exchange=self.name, kind=kind, **where, **more)
        self.server.faults.add(fault)
        return fault

    def cut(self) -> None:
        """All connections: TCP aborted."""
        for socket in self.server.exchanges[self.name].open_sockets():
            socket.abort()

    def close(self) -> None:
        """All connections: closed, as by a server that is shut down."""
        for socket in self.server.exchanges[self.name].open_sockets():
            socket.close(1012, "service restart")

    def heal(self) -> None:
        self.server.faults.clear()


async def _look_for_stale(judge: Judge) -> None:
    while True:
        await asyncio.sleep(0.1)
        judge.look_for_stale()


@asynccontextmanager
async def simulated(ground: Ground, rules: SocketRules | None = None) -> AsyncIterator[None]:
    """Simulator, proxy and truth of a ground. ``rules`` replace those of all its connections."""
    name = ground.name
    keys = (name, *(f"{name}.{product}" for product in ground.products)) if rules is not None else ()
    settings = Settings(
        seed=7, exchanges=(name,), instruments=ground.markets, trader=False, rules={key: rules for key in keys if rules}
    )
    ground.server = SimulatorServer(settings)
    await ground.server.start(0)
    try:
        ground.truth = Truth(ground.server, name, mixed=waived(ground.subject, "deltas.whole"))
        natives = [each.native for each in ground.markets]
        ground.proxy = await Proxy(f"127.0.0.1:{ground.server.port}", natives).start()
        try:
            yield
        finally:
            await ground.proxy.stop()
    finally:
        await ground.server.stop()


@contextmanager
def shortened() -> Iterator[None]:
    """For everything in this process the backoff begins with less than a second, and a book that should come by stream
    is waited for a shorter time; one by ccxt that does not fit is compared again sooner."""
    usual = pacing.FIRST_S, keeper.SNAPSHOT_S, longtail.FIRST_BOOK_S, longtail_checks.AGAIN_S
    pacing.FIRST_S, keeper.SNAPSHOT_S = FIRST_BACKOFF_S, OVERDUE_S
    longtail.FIRST_BOOK_S, longtail_checks.AGAIN_S = OVERDUE_S, 1.0
    try:
        yield
    finally:
        pacing.FIRST_S, keeper.SNAPSHOT_S, longtail.FIRST_BOOK_S, longtail_checks.AGAIN_S = usual


def endpoints(ground: Ground) -> dict[str, str]:
    """The adapter's base URLs, all at the proxy."""
    assert ground.subject.simulator is not None
    host = f"127.0.0.1:{ground.proxy.port}"
    return dict(ground.subject.simulator.endpoints(f"ws://{host}", f"http://{host}"))


def key_of(ground: Ground, account: int = 0) -> Credentials | None:
    """The key of one of the simulator's accounts, where market data need one."""
    return Credentials(*DATA_KEYS[account]) if ground.subject.facts.needs_key else None


def _way(ground: Ground) -> dict[str, Any]:
    """How the configuration says that the exchange is followed."""
    if ground.subject.via:
        return {"via": ground.subject.via, "ccxt": pointed(ground.name, ground.proxy.port)}
    return {"endpoints": endpoints(ground), "credentials": key_of(ground)}


def adapter(ground: Ground, account: int = 0) -> Exchange:
    """The adapter, its base URLs at the proxy, with that account's key if it needs one."""
    key = key_of(ground, account)
    options = {} if key is None else {"credentials": key}
    return ground.subject.factory(endpoints(ground), **options)


def _engine(ground: Ground, config: Config, facts: Callable[[Facts], Facts] | None) -> Engine:
    """The engine makes its adapter by name: for that moment the registry holds one that states other facts."""

    def changed(*given: Any, **options: Any) -> Exchange:
        made = ground.subject.factory(*given, **options)
        if facts is not None:
            made.facts = facts(made.facts)
        return made

    with registered(ground.subject._replace(factory=changed)):
        return Engine(config, ground.judge)


@asynccontextmanager
async def engined(
    ground: Ground, facts: Callable[[Facts], Facts] | None = None, *, depth: int = 20
) -> AsyncIterator[None]:
    """The engine, connected through the proxy, its instruments loaded. ``facts`` changes the adapter's, ``depth`` is
    how many levels a side are shown and held against the truth."""
    with tempfile.TemporaryDirectory() as folder:
        products = tuple(ground.subject.factory().products)
        exchange = ExchangeConfig(
            name=ground.name,
            simulated=True,
            products=products,
            stale_s=STALE_S,
            reconnect_s=RECONNECT_S,
            budget_share=0.95,
            **_way(ground),
        )
        config = Config(
            path=None,
            exchanges={ground.name: exchange},
            depth=depth,
            conflation_ms=0,  # every change is seen, however short a state lasts
            linger_s=0.0,
            state_dir=Path(folder) / "state",
        )
        ground.judge = Judge(ground.name, ground.truth, STALE_S)
        ground.engine = _engine(ground, config, facts)
        feeds = ground.venue.feeds
        ground.judge.reason_of = lambda symbol: feeds[symbol].reason if symbol in feeds else ""
        looking = asyncio.create_task(_look_for_stale(ground.judge))
        try:
            await ground.engine.start(markets_timeout_s=in_time(10))
            missing = [each.symbol for each in ground.markets if each.symbol not in ground.venue.markets]
            assert not missing, f"not among the instruments that the adapter read: {', '.join(missing)}"
            yield
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
            await ground.engine.stop()


def smaller(facts: Facts, **changes: Any) -> Facts:
    return msgspec.structs.replace(facts, **changes)
