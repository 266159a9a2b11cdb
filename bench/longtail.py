"""The long tail against simulated exchanges that misbehave: the real engine, ccxt as it is installed, and every usable
frame held against the true book.

ccxt shows no number by which a frame's true book could be named, so the truth is a history of each market's best
levels, noted from the matching engine at every beat of the simulator. A usable frame must equal one of them in price
and size, and how long ago that one was the present one is its age.
"""

import asyncio
import json
import tempfile
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import ccxt.pro
import structlog

from bench import ccxt_clients
from bench.simulated import Trouble
from feeds.config import Config, ExchangeConfig
from feeds.domain import StreamState
from feeds.engine import Engine
from feeds.longtail.venue import LongTail
from feeds.simulator import Settings, SimulatorServer, endpoints
from feeds.simulator.sockets import SocketRules
from feeds.simulator.venues import REGISTRY

LEVELS = 5
"""So many best levels a side must be right."""

SETTLED_S = 0.5
GRACE_S = 40.0

Top = tuple[tuple[tuple[float, float], ...], tuple[tuple[float, float], ...]]


class Scene(NamedTuple):
    """``symbols`` of the simulated exchange are followed; the first one is struck where one is struck alone."""

    exchange: str
    symbols: tuple[str, ...]
    products: tuple[str, ...] = ("spot",)
    struck: str = ""  # its name for the faults, if that is another one


SCENES = {
    scene.exchange: scene
    for scene in (
        Scene("kraken", ("BTC/USD", "DOGE/USD")),
        Scene("bybit", ("BTC/USDT", "BTC/USDT:USDT"), ("spot", "swap")),
        Scene("coinbase", ("BTC/USD", "ETH/USD"), struck="BTC-USD"),
        Scene("binance", ("BTC/USDT", "BTC/USDT:USDT"), ("spot", "swap")),
    )
}


def pointed(exchange: str, port: int) -> dict[str, Any]:
    """What ccxt's object must be set to, to reach the simulator and to ask for nothing that it does not have."""
    settings = ccxt_clients.pointed(exchange, endpoints("127.0.0.1", port)[exchange])
    if exchange == "binance":
        settings["options"]["fetchMarkets"] = {"types": ["spot", "linear"]}
    return settings | ({"rateLimit": 50} if exchange == "kraken" else {})


def simulated(scene: Scene, seed: int = 1) -> SimulatorServer:
    """The scene's markets alone; limits of ccxt's own pace are none of the matter."""
    listing = tuple(each for each in REGISTRY[scene.exchange].listing if each.symbol in scene.symbols)
    settings = Settings(seed=seed, instruments=listing, trader=False)
    if scene.exchange == "coinbase":  # ccxt subscribes faster than is allowed
        settings = Settings(
            seed=seed,
            instruments=listing,
            trader=False,
            weights={"coinbase": 1000},
            rules={"coinbase": SocketRules()},
        )
    return SimulatorServer(settings)


def configured(scene: Scene, port: int, folder: Path, **changes: Any) -> Config:
    place = ExchangeConfig(
        name=scene.exchange,
        via="ccxt",
        simulated=True,
        products=scene.products,
        ccxt=pointed(scene.exchange, port),
        **{"stale_s": 2.0, "reconnect_s": 6.0, **changes},
    )
    return Config(path=None, exchanges={scene.exchange: place}, depth=25, state_dir=folder)


class Truth:
    """What the markets' best levels were, and until when (monotonic)."""

    def __init__(self, server: SimulatorServer, scene: Scene) -> None:
        self._markets = {
            market.instrument.symbol: market
            for (venue, _, _), market in server.market.markets.items()
            if venue == scene.exchange and market.instrument.symbol in scene.symbols
        }
        self._until: dict[str, dict[Top, float]] = {symbol: {} for symbol in self._markets}
        beat = server.beat

        def noting(now_ms: int) -> None:
            beat(now_ms)
            self.note()

        server.beat = noting
        self.note()

    def note(self) -> None:
        for symbol in self._markets:
            self._until[symbol][self.now(symbol)] = time.monotonic()

    def now(self, symbol: str) -> Top:
        engine, i = self._markets[symbol].engine, self._markets[symbol].instrument
        bids, asks = (
            tuple((float(price * i.tick), float(size * i.lot)) for price, size in side.top(LEVELS))
            for side in (engine.bids, engine.asks)
        )
        return bids, asks

    def age_s(self, symbol: str, shown: Top) -> float | None:
        """How long ago this was the truth; None: never."""
        until_s = self._until[symbol].get(shown)
        return None if until_s is None else max(0.0, time.monotonic() - until_s)


class Judge:
    """A sink that holds every usable book frame against the truth."""

    def __init__(self, truth: Truth, symbols: Sequence[str]) -> None:
        self._truth = truth
        self.frames = 0
        self.wrong: list[str] = []
        self.wrong_s = 0.0  # how long a wrong one stood, at most
        self.oldest_s = 0.0
        self.states: dict[str, list[tuple[float, StreamState, str]]] = {symbol: [] for symbol in symbols}
        self.shown: dict[str, tuple[StreamState, Top]] = {}
        self._wrong_since: dict[str, float] = {}
        self.other: dict[str, Any] = {}

    def publish(self, topic: str, frame: str) -> None:
        kind, _, rest = topic.partition(":")
        content = json.loads(frame)
        if kind != "book":
            self.other[topic] = content
            return
        symbol, data = rest.partition(":")[2], content["data"]
        state = StreamState(content["state"])
        bids, asks = (
            tuple((p / 10 ** data["price_decimals"], s / 10 ** data["size_decimals"]) for p, s in data[side][:LEVELS])
            for side in ("bids", "asks")
        )
        self.shown[symbol] = state, (bids, asks)
        if not self.states[symbol] or self.states[symbol][-1][1] is not state:
            self.states[symbol].append((time.monotonic(), state, ""))
        self.look(symbol, new=True)

    def publish_to(self, holder: str, topic: str, frame: str) -> None:
        self.publish(topic, frame)

    def refuse(self, holder: str, topic: str, reason: str) -> None:
        raise AssertionError(f"{topic} refused: {reason}")

    def look(self, symbol: str, *, new: bool = False) -> None:
        """Is what is shown at this moment true?"""
        state, top = self.shown[symbol]
        if not state.usable or state is StreamState.POLLED:  # asked now and then: its age is told
            self._wrong_since.pop(symbol, None)
            return
        self.frames += new
        age_s = self._truth.age_s(symbol, top)
        if age_s is None:
            since_s = self._wrong_since.setdefault(symbol, time.monotonic())
            self.wrong_s = max(self.wrong_s, time.monotonic() - since_s)
            if new:
                self.wrong.append(f"{state} {symbol}: {top[0][:1]} {top[1][:1]}")
        else:
            self._wrong_since.pop(symbol, None)
            self.oldest_s = max(self.oldest_s, age_s)

    def state(self, symbol: str) -> StreamState | None:
        return self.states[symbol][-1][1] if self.states[symbol] else None

    @property
    def live(self) -> bool:
        return all(self.state(symbol) in (StreamState.LIVE, StreamState.QUIET) for symbol in self.states)


class Seen(NamedTuple):
    """What a run showed. ``out_s`` is the longest that a market was out of use, and said so."""

    judge: Judge
    out_s: float
    told: set[str]  # states after the fault struck
    reasons: set[str]
    recovered: bool
    lanes: int
    left: int  # connections to the simulator after the stop


async def run_trouble(scene: Scene, trouble: Trouble, folder: Path, **changes: Any) -> Seen:
    server = await simulated(scene).start(0)
    truth = Truth(server, scene)
    judge = Judge(truth, scene.symbols)
    reasons: set[str] = set()
    engine = Engine(configured(scene, server.port, folder, **changes), judge)
    venue = engine.venues[scene.exchange]
    assert isinstance(venue, LongTail)
    topics = [f"{kind}:{scene.exchange}:{symbol}" for symbol in scene.symbols for kind in ("book", "quote", "trades")]
    struck_s = cleared_s = float("inf")
    lanes = 0
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as control:
            if trouble.at_start:
                struck_s = time.monotonic()
                await _strike(control, scene, trouble)
            await engine.start(markets_timeout_s=0.1)
            begun_s = time.monotonic()
            live_s = end_s = float("inf")
            while (now_s := time.monotonic()) < begun_s + GRACE_S and (now_s < end_s or not judge.live):
                engine.lease("judge", topics, 30)
                for symbol in judge.shown:
                    judge.look(symbol)
                lanes = max(lanes, len(venue.lanes))
                reasons |= {feed.reason for feed in venue.feeds.values() if feed.reason}
                if judge.live and live_s == float("inf"):
                    live_s = now_s
                    if trouble.at_start:
                        end_s = now_s + 1.0
                if struck_s == float("inf") and now_s > live_s + SETTLED_S:
                    struck_s, end_s = now_s, now_s + trouble.seconds
                    await _strike(control, scene, trouble)
                if trouble.lasts_s and now_s > struck_s + trouble.lasts_s and cleared_s == float("inf"):
                    cleared_s = now_s
                    await (await control.delete("/__sim/faults")).read()
                await asyncio.sleep(0.02)
        recovered = judge.live
    finally:
        await engine.stop()
        left = await _sockets_left(server, scene)
        await server.stop()
    told = {str(state) for rows in judge.states.values() for at_s, state, _ in rows if at_s >= struck_s}
    return Seen(judge, _out_s(judge), told, reasons, recovered, lanes, left)


async def _sockets_left(server: SimulatorServer, scene: Scene) -> int:
    """Connections that are still there a second later: the other side's close may be on its way."""
    for _ in range(50):
        if not server.exchanges[scene.exchange].open_sockets():
            break
        await asyncio.sleep(0.02)
    return len(server.exchanges[scene.exchange].open_sockets())


def tasks_left() -> list[str]:
    """Of this event loop, besides the caller: what engines and ccxt have left, once all of them are stopped."""
    return [repr(task) for task in asyncio.all_tasks() if task is not asyncio.current_task()]


def _out_s(judge: Judge) -> float:
    longest = 0.0
    for rows in judge.states.values():
        since_s: float | None = None
        begun = False
        for at_s, state, _ in [*rows, (time.monotonic(), StreamState.LIVE, "")]:
            if state.usable:
                longest = max(longest, at_s - since_s) if since_s is not None else longest
                since_s, begun = None, True
            elif begun and since_s is None:
                since_s = at_s
    return longest


async def _strike(control: aiohttp.ClientSession, scene: Scene, trouble: Trouble) -> None:
    for kind, fields in trouble.faults:
        async with control.post("/__sim/faults", json={"exchange": scene.exchange, "kind": kind, **fields}) as answer:
            if answer.status != 200:
                raise ValueError(f"{kind}: {await answer.text()}")


def troubles(symbol: str) -> dict[str, Trouble]:
    alone: Mapping[str, Any] = {"symbol": symbol}
    return {
        "none": Trouble(seconds=3),
        "cut": Trouble([("cut", {})], seconds=3),
        "close": Trouble([("close", {"value": 1012})], seconds=3),
        "mute": Trouble([("mute", {})], lasts_s=4, seconds=6),
        "mute one": Trouble([("mute", alone)], lasts_s=4, seconds=6),
        "crossed": Trouble([("crossed", alone)], seconds=3),
        "garbage": Trouble([("garbage", alone)], seconds=4),
        "drop_depth": Trouble([("drop_depth", alone)], seconds=5),
        "reject": Trouble([("reject", alone), ("cut", {})], lasts_s=3, seconds=5),
        "refuse": Trouble([("refuse", {}), ("cut", {})], lasts_s=3, seconds=5),
        "status 503": Trouble([("status", {"value": 503})], at_start=True, lasts_s=1.5),
        "delay": Trouble([("delay", {"value": 1.0})], lasts_s=2, seconds=4),
    }


def line(exchange: str, name: str, seen: Seen) -> str:
    judge = seen.judge
    return (
        f"{exchange:9} {name:11} {judge.frames:5} frames, {len(judge.wrong):3} wrong for {judge.wrong_s:.2f} s; old as "
        f"good at most {judge.oldest_s:.2f} s; out of use at most {seen.out_s:.2f} s; {', '.join(sorted(seen.told))}; "
        f"{'live again' if seen.recovered else 'NOT LIVE AGAIN'}; {seen.left} sockets left"
    )


async def run_troubles(
    scene: Scene, chosen: Mapping[str, Trouble], *, at_once: int = 4, **changes: Any
) -> dict[str, Seen]:
    limit, waiting = asyncio.Semaphore(at_once), deque(chosen)
    seen: dict[str, Seen] = {}

    async def one(name: str) -> None:
        async with limit:
            with tempfile.TemporaryDirectory() as folder:
                seen[name] = await run_trouble(scene, chosen[name], Path(folder), **changes)

    await asyncio.gather(*(one(name) for name in waiting))
    if left := tasks_left():
        raise AssertionError(f"tasks are left: {left}")
    return {name: seen[name] for name in chosen}


def run() -> list[dict[str, Any]]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    ccxt.pro.binance = ccxt_clients.Binance
    made = []
    for exchange, scene in SCENES.items():
        for name, seen in asyncio.run(run_troubles(scene, troubles(scene.struck or scene.symbols[0]))).items():
            print(line(exchange, name, seen))
            for what, unit, value in (
                ("wrong shown as good", "frames", len(seen.judge.wrong)),
                ("old shown as good", "s", round(seen.judge.oldest_s, 2)),
                ("out of use, and said so", "s", round(seen.out_s, 2)),
            ):
                row = {"name": f"ccxt, {exchange}, {name}: {what}", "value": value, "unit": unit}
                made.append({**row, "baseline": None, "baseline_value": None, "ratio": None})
    return made
