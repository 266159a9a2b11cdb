"""The real engine against a simulated exchange that misbehaves; every usable frame is held against the true book.

For exchanges of which there is no recording (``fault_runs`` plays those that there are). The truth comes from a tap on
the simulator (``bench/taps``), exact for every state that was published, by the exchange's own number of it.

A new exchange needs a tap and a scene here, and its troubles: ``troubles()``, with what is its own.
"""

import asyncio
import heapq
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from bench.fault_runs import GRACE_S, Judge, Levels, Outcome, Truth, outcome_of
from bench.taps import TAPS, Side
from bench.truths.scene import DEPTH, Scene
from feeds.account import Credentials
from feeds.config import Config, ExchangeConfig
from feeds.engine import Engine
from feeds.exchanges import create
from feeds.rest import WAIT_429_S
from feeds.simulator import DATA_KEY, DATA_SECRET, Settings, SimulatorServer, endpoints
from feeds.simulator.faults import ONE_SHOT
from feeds.simulator.venues import REGISTRY

SETTLED_S = 0.7
"""So long everything goes well before a fault strikes."""


class Trouble(NamedTuple):
    """Faults, all struck at one moment: ``(kind, further fields)``, as ``POST /__sim/faults`` takes them.

    ``at_start``: before the engine starts. ``lasts_s`` later they are cleared. The engine is followed for ``seconds``
    from when all markets are in use, or from its start if the faults were there before.
    """

    faults: Sequence[tuple[str, Mapping[str, Any]]] = ()
    at_start: bool = False
    lasts_s: float = 0.0
    seconds: float = 5.0


class SimulatedTruth(Truth):
    """Filled by the tap while the simulator runs."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.states: dict[tuple[str, Any], tuple[Levels, Levels]] = {}
        self.newest: dict[str, list[tuple[float, Any]]] = {symbol: [] for symbol in scene.symbols}  # when, which
        self.differences: list[str] = []

    def note(self, symbol: str, number: Any, bids: Side, asks: Side) -> None:
        if symbol not in self.newest:
            return
        depth = self.scene.depth
        self.states[symbol, number] = (
            [(price, bids[price]) for price in heapq.nlargest(depth, bids)],
            [(price, asks[price]) for price in heapq.nsmallest(depth, asks)],
        )
        self.newest[symbol].append((time.monotonic(), number))

    def age_s(self, symbol: str, number: Any, now_s: float) -> float:
        """For how long the exchange has had a newer book than this one; 0 if it has none."""
        older = False
        for at_s, known in reversed(self.newest[symbol]):
            if known == number:
                return now_s - older if older else 0.0
            older = at_s
        return float("inf")


class SimulatedJudge(Judge):
    """Also measures how old a book was shown as good."""

    def __init__(self, truth: SimulatedTruth) -> None:
        super().__init__(truth)
        self.simulated = truth
        self.oldest_s = 0.0

    def look(self, engine: Engine) -> None:
        venue = engine.venues[self.truth.scene.exchange]
        now_s = time.monotonic()
        for symbol in self.truth.scene.symbols:
            feed = venue.feeds.get(symbol)
            if feed is not None and feed.state.usable and feed.sync.ready:
                book = feed.sync.book
                number = book.seq if book.seq is not None else (book.exchange_ms, book.checksum)
                age_s = self.simulated.age_s(symbol, number, now_s)
                self.oldest_s = max(self.oldest_s, age_s)


class Seen(NamedTuple):
    """What a run showed. ``oldest_s``: the longest that a book was usable although the exchange had a newer one."""

    outcome: Outcome
    oldest_s: float
    differences: list[str]
    statuses: Mapping[str, set[str]]


AWAY_S = 4.0
"""What is refused does not come back, and in the end is asked for by REST: a look after that long is enough."""


async def run_trouble(
    scene: Scene,
    name: str,
    trouble: Trouble,
    *,
    stale_s: float = 2.0,
    reconnect_s: float = 4.0,
    seed: int = 1,
    grace_s: float = GRACE_S,
) -> Seen:
    """Follow the scene's markets through this trouble, and on until all are usable again, ``grace_s`` at most; what the
    exchange refuses stays away."""
    if any(kind == "reject" for kind, _ in trouble.faults):
        grace_s = AWAY_S
    listing = tuple(each for each in REGISTRY[scene.exchange].listing if each.symbol in scene.symbols)
    server = await SimulatorServer(Settings(seed=seed, instruments=listing, trader=False)).start(0)
    truth = SimulatedTruth(scene)
    TAPS[scene.exchange](server.exchanges[scene.exchange], truth.note, truth.differences.append)
    judge = SimulatedJudge(truth)
    statuses: dict[str, set[str]] = {symbol: set() for symbol in scene.symbols}
    with tempfile.TemporaryDirectory() as folder:
        place = ExchangeConfig(
            name=scene.exchange,
            simulated=True,
            products=(scene.product,),
            endpoints=endpoints("127.0.0.1", server.port)[scene.exchange],
            credentials=Credentials(DATA_KEY, DATA_SECRET) if create(scene.exchange).facts.needs_key else None,
            stale_s=stale_s,
            reconnect_s=reconnect_s,
        )
        engine = Engine(
            Config(path=None, exchanges={scene.exchange: place}, depth=scene.depth, state_dir=Path(folder)), judge
        )
        topics = [f"{kind}:{scene.exchange}:{symbol}" for symbol in scene.symbols for kind in ("book", "quote")]
        struck_s = cleared_s = first_live_s = float("inf")
        try:
            async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as control:
                if trouble.at_start:
                    struck_s = time.monotonic()
                    await _strike(control, scene, trouble)
                await engine.start(markets_timeout_s=0.1)
                end_s = time.monotonic() + trouble.seconds
                while (now_s := time.monotonic()) < end_s or (not judge.live and now_s < end_s + grace_s):
                    engine.lease("judge", topics, 30)
                    judge.look(engine)
                    for market in engine.venues[scene.exchange].markets:
                        statuses[market.symbol].add(market.status)
                    if judge.live and first_live_s == float("inf"):
                        first_live_s = now_s - judge.began_s
                        if not trouble.at_start:
                            end_s = now_s + trouble.seconds  # a slow start leaves it no less time
                    if struck_s == float("inf") and now_s - judge.began_s > first_live_s + SETTLED_S:
                        struck_s = now_s
                        await _strike(control, scene, trouble)
                    if struck_s <= now_s < struck_s + grace_s and _waits(server):
                        end_s = max(end_s, now_s + trouble.seconds - SETTLED_S)  # it strikes a frame, which is late
                    if now_s > struck_s + trouble.lasts_s and cleared_s == float("inf") and trouble.lasts_s:
                        cleared_s = now_s
                        await (await control.delete("/__sim/faults")).read()
                    await asyncio.sleep(0.02)
            if judge.live and first_live_s == float("inf"):
                first_live_s = time.monotonic() - judge.began_s
            outcome = outcome_of(judge, engine.venues[scene.exchange], name, first_live_s)
            return Seen(outcome, judge.oldest_s, truth.differences, statuses)
        finally:
            await engine.stop()
            await server.stop()


def _waits(server: SimulatorServer) -> bool:
    """Is there a fault that has struck nothing yet?"""
    return any(fault.kind in ONE_SHOT for fault in server.faults.active())


async def _strike(control: aiohttp.ClientSession, scene: Scene, trouble: Trouble) -> None:
    for kind, fields in trouble.faults:
        async with control.post("/__sim/faults", json={"exchange": scene.exchange, "kind": kind, **fields}) as answer:
            if answer.status != 200:
                raise ValueError(f"{kind}: {await answer.text()}")


async def run_troubles(
    scene: Scene, troubles: Mapping[str, Trouble], *, at_once: int = 6, **options: float
) -> dict[str, Seen]:
    """Each trouble with a simulator and an engine of its own, a few at a time."""
    limit = asyncio.Semaphore(at_once)

    async def one(name: str, trouble: Trouble) -> Seen:
        async with limit:
            return await run_trouble(scene, name, trouble, **options)

    seen = await asyncio.gather(*(one(name, trouble) for name, trouble in troubles.items()))
    return dict(zip(troubles, seen, strict=True))


def troubles(symbol: str) -> dict[str, Trouble]:
    """What can befall any exchange; ``symbol`` is the market that is struck where one is struck alone."""
    alone = {"symbol": symbol}
    return {
        "none": Trouble(),
        "drop_depth": Trouble([("drop_depth", alone)]),
        "crossed": Trouble([("crossed", alone)]),
        "garbage": Trouble([("garbage", alone)]),
        "mute": Trouble([("mute", {})], lasts_s=4, seconds=7),
        "mute one": Trouble([("mute", alone)], lasts_s=4, seconds=7),
        "delay": Trouble([("delay", {"value": 1.0})], lasts_s=2, seconds=5),
        "no_ack": Trouble([("no_ack", {}), ("cut", {})], lasts_s=3, seconds=9),
        "reject": Trouble([("reject", alone), ("cut", {})], seconds=5),
        "cut": Trouble([("cut", {})]),
        "close": Trouble([("close", {"value": 1012})]),
        "refuse": Trouble([("refuse", {}), ("cut", {})], lasts_s=2, seconds=6),
        "status 503": Trouble([("status", {"value": 503})], at_start=True, lasts_s=1.5, seconds=6),
        "status 429": Trouble(
            [("status", {"value": 429, "count": 1})], at_start=True, lasts_s=1.5, seconds=WAIT_429_S + 4
        ),
        "shutdown": Trouble([("shutdown", {})], seconds=4),
    }


def line(place: str, seen: Seen) -> str:
    mine = seen.outcome
    return (
        f"{place:15} {mine.fault:11} {mine.frames:5} frames, {len(mine.wrong)} wrong; old as good at most "
        f"{seen.oldest_s:.2f} s; out of use at most {mine.worst_s:.2f} s; {mine.resyncs} rebuilt, "
        f"{mine.reconnects} reconnects"
    )


KRAKEN_FUTURES = Scene("krakenfutures", "futures", "", ("BTC/USD:USD", "ETH/USD:USD", "DOT/USD:USD"), DEPTH)
ALPACA = Scene("alpaca", "crypto", "", ("BTC/USD", "ETH/USD", "DOT/USD"), DEPTH)
BITSTAMP = Scene("bitstamp", "spot", "", ("BTC/USD", "ETH/USD", "DOGE/USD"), DEPTH)
LMEX = Scene("lmex", "futures", "", ("BTC/USDT:USDT", "ETH/USDT:USDT"), DEPTH, fewest=5)
"""Its snapshots have fifty levels, of which a leap of the price may leave few; below five the book is renewed."""
SCENES = {"Alpaca": ALPACA, "Bitstamp": BITSTAMP, "Kraken Futures": KRAKEN_FUTURES, "LMEX": LMEX}


PATIENCE_S = 75.0
"""Until a market is usable again: a 429 that names no time is obeyed for a minute."""


def play(scene: Scene) -> dict[str, Seen]:
    """All troubles of a scene, at the default times."""
    return asyncio.run(run_troubles(scene, troubles(scene.symbols[0]), at_once=8, grace_s=PATIENCE_S))


def rows(place: str, seen: Mapping[str, Seen]) -> list[dict[str, Any]]:
    made = []
    for each in seen.values():
        for what, unit, value in (
            ("wrong shown as good", "frames", len(each.outcome.wrong)),
            ("old shown as good", "s", round(each.oldest_s, 2)),
            ("out of use, and said so", "s", round(each.outcome.worst_s, 2)),
        ):
            row = {"name": f"faults, {place}, {each.outcome.fault}: {what}", "value": value, "unit": unit}
            made.append({**row, "baseline": None, "baseline_value": None, "ratio": None})
    return made
