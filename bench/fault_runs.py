"""The real engine against a recording that is played with faults; every frame is held against a naive replay.

The player is ``tools/capture_server.py`` beside the recordings: it shares no code with this project. The truth here
shares none either: dictionaries of decimals, replayed frame by frame, every state kept under the exchange's own
number of it (Binance, Bybit: the update id; Coinbase: the frame's number; Kraken: time and checksum). A frame that is
marked usable and differs is wrong.
"""

import asyncio
import gzip
import heapq
import json
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from bench.truths import REPLAYS, okx
from bench.truths.scene import SHARED, Scene
from feeds.config import load_config
from feeds.domain import StreamState
from feeds.engine import Engine
from feeds.markets.venue import Venue

PLAYER = SHARED / "tools" / "capture_server.py"
GRACE_S = 45.0
"""A run that ends while a book is rebuilt, or the recording begins anew, goes on until it is live, at most for this
long: a book that keeps failing is left for up to 30 s."""

Levels = list[tuple[Decimal, Decimal]]


SPOT = Scene("binance", "spot", "binance-spot-2024-08", ("BTC/USDT", "ETH/USDT"))
USDM = Scene("binance", "usdm", "binance-usdm-2024-08", ("ETH/USDT:USDT",))
BYBIT_SPOT = Scene("bybit", "spot", "bybit-2026-08", ("BTC/USDT",))
BYBIT_LINEAR = Scene("bybit", "linear", "bybit-2026-08", ("BTC/USDT:USDT",))
COINBASE = Scene("coinbase", "spot", "coinbase-advanced-2026-08", ("BTC/USD", "ETH/USD"))
KRAKEN = Scene("kraken", "spot", "kraken-v2-book-2026-09", ("BTC/USD",), 10, "/v2", "book_depth = 10")
OKX = Scene("okx", "spot", "okx-2022-05", ("BTC/USDT",), seconds=4.0)
OKX_TODAY = OKX._replace(rewrite=okx.numbered)


# -- the truth


class Truth:
    """Every state that the recorded books were in: (symbol, the exchange's own number of it) -> best bids and asks."""

    def __init__(self, scene: Scene, records: list[dict[str, Any]]) -> None:
        self.scene = scene
        self.states: dict[tuple[str, Any], tuple[Levels, Levels]] = {}
        for symbol, number, bids, asks in REPLAYS[scene.exchange](scene, records):
            best_bids, best_asks = heapq.nlargest(scene.depth, bids), heapq.nsmallest(scene.depth, asks)
            self.states[symbol, number] = [(p, bids[p]) for p in best_bids], [(p, asks[p]) for p in best_asks]

    def difference(self, symbol: str, number: Any, bids: Levels, asks: Levels) -> str | None:
        """None if these levels, as many as they are, are the book at that number."""
        known = self.states.get((symbol, number))
        if known is None:
            return f"{symbol}: the exchange had no state {number}"
        for side, ours, theirs in (("bids", bids, known[0]), ("asks", asks, known[1])):
            if ours != theirs[: len(ours)] or not ours:
                wrong = next((i for i, pair in enumerate(zip(ours, theirs, strict=False)) if pair[0] != pair[1]), 0)
                return f"{symbol} at {number}: {side}[{wrong}] is {ours[wrong:][:1]}, was {theirs[wrong:][:1]}"
        return None


def load(scene: Scene, seconds: float) -> tuple[str, list[dict[str, Any]]]:
    """Header and the records of the first ``seconds``, counted from the first frame of a stream."""
    with gzip.open(scene.path, "rt", encoding="utf-8") as file:
        header = next(file)
        records, began_s = [], None
        for line in file:
            record = json.loads(line)
            if began_s is None and record["via"] == "ws":
                began_s = record["t"]
            if began_s is None or record["t"] - began_s <= seconds:
                records.append(record)
    return header, records


def trimmed(scene: Scene, seconds: float, folder: Path) -> tuple[Path, Truth]:
    """The beginning of a recording as a file of its own, and its truth. Short files start fast.

    The recorded snapshots are moved to the beginning: the player builds later ones from them, but leaves out changes
    that it had sent before it came to the snapshot and that are newer than it, so its books would be wrong.
    """
    header, records = load(scene, min(seconds, scene.seconds))
    if scene.rewrite is not None:
        scene.rewrite(records)
    for record in records:
        if record["via"] == "rest":
            record["t"] = 0.0
    path = folder / f"{scene.recording}.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8", compresslevel=1) as file:
        file.write(header)
        file.writelines(json.dumps(record) + "\n" for record in records)
    return path, Truth(scene, records)


# -- the player


@asynccontextmanager
async def played(recording: Path, *faults: str) -> AsyncIterator[int]:
    """The recording as an exchange on a free port of this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = [option for fault in faults for option in ("--fault", fault)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(PLAYER), str(recording), "--port", str(port), *options, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        if not await asyncio.wait_for(process.stdout.readline(), 60):
            raise RuntimeError("the player did not start")
        yield port
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


# -- ours


def number_of(frame: Mapping[str, Any]) -> Any:
    """The exchange's own number of the state in a book frame."""
    return frame["seq"] if frame["seq"] is not None else (frame["exchange_ms"], frame["data"]["checksum"])


class Judge:
    """A sink that holds every book frame against the truth. Times are seconds since it was made."""

    def __init__(self, truth: Truth) -> None:
        self.truth = truth
        self.began_s = time.monotonic()
        self.wrong: list[str] = []
        self.frames = 0  # usable ones, judged
        self.states: dict[str, list[tuple[float, StreamState]]] = {symbol: [] for symbol in truth.scene.symbols}
        self.mute_s = 0.0  # the longest that a market was LIVE without news, before its first outage
        self._news: dict[str, tuple[float, Any]] = {}  # since when, which state of the book
        self._broken: set[str] = set()  # had an outage
        self.reconnected: Callable[[], bool] = lambda: False  # an outage can be too short to be published

    def publish(self, topic: str, frame: str) -> None:
        kind, _, rest = topic.partition(":")
        if kind != "book":
            return
        symbol = rest.partition(":")[2]
        content = json.loads(frame)
        state = StreamState(content["state"])
        changes = self.states[symbol]
        self._note_silence(symbol, content, changes)
        if not changes or changes[-1][1] is not state:
            changes.append((time.monotonic() - self.began_s, state))
        if state.usable:
            self.frames += 1
            if difference := self._difference(symbol, content):
                self.wrong.append(f"{state} {difference}")

    def publish_to(self, holder: str, topic: str, frame: str) -> None:
        self.publish(topic, frame)

    def refuse(self, holder: str, topic: str, reason: str) -> None:
        raise AssertionError(f"{topic} refused: {reason}")

    def _note_silence(self, symbol: str, frame: Mapping[str, Any], changes: list[tuple[float, StreamState]]) -> None:
        """After the first outage, or the first frame by another connection, the recording begins anew, and old news is
        rightly ignored."""
        now_s, known = time.monotonic(), self._news.get(symbol)
        first_outage = any(state.usable for _, state in changes) and not changes[-1][1].usable
        if known and changes[-1][1] is StreamState.LIVE and not first_outage and symbol not in self._broken:
            self.mute_s = max(self.mute_s, now_s - known[0])
        if first_outage or self.reconnected():
            self._broken.add(symbol)
        number = number_of(frame)
        if known is None or known[1] != number:
            self._news[symbol] = now_s, number

    def _difference(self, symbol: str, frame: Mapping[str, Any]) -> str | None:
        data = frame["data"]
        price, size = (Decimal(1).scaleb(-data[key]) for key in ("price_decimals", "size_decimals"))
        bids, asks = ([(p * price, q * size) for p, q in data[side]] for side in ("bids", "asks"))
        scene = self.truth.scene
        if min(len(bids), len(asks)) < min(scene.depth, scene.fewest):
            return f"{symbol}: only {len(bids)} bids and {len(asks)} asks"
        return self.truth.difference(symbol, number_of(frame), bids, asks)

    @property
    def live(self) -> bool:
        """All markets are usable now."""
        return all(changes and changes[-1][1].usable for changes in self.states.values())

    def outages(self) -> list[float]:
        """How long a market was not usable, once it had been; infinite if it still is not."""
        lengths = []
        for changes in self.states.values():
            was_live, since_s = False, None
            for at_s, state in changes:
                if state.usable:
                    if since_s is not None:
                        lengths.append(at_s - since_s)
                    was_live, since_s = True, None
                elif was_live and since_s is None:
                    since_s = at_s
            if since_s is not None:
                lengths.append(float("inf"))
        return lengths


class Outcome(NamedTuple):
    """What a run showed."""

    fault: str
    frames: int  # usable ones, judged
    wrong: list[str]
    first_live_s: float  # until all markets were usable for the first time
    outages: list[float]
    mute_s: float  # the longest that a market was LIVE without news
    states: dict[str, list[tuple[float, StreamState]]]
    reasons: dict[str, str]  # of the markets' last state
    resyncs: int
    most_resyncs: int  # of one market
    reconnects: int
    not_understood: int
    rest_failures: int

    @property
    def worst_s(self) -> float:
        """The longest outage; 0 if there was none."""
        return max(self.outages, default=0.0)

    @property
    def live_again(self) -> bool:
        """Are all markets usable at the end?"""
        return all(changes and changes[-1][1].usable for changes in self.states.values())


def outcome_of(judge: Judge, venue: Venue, fault: str, first_live_s: float) -> Outcome:
    """What the judge has seen of an exchange, and what its feeds and connections count."""
    return Outcome(
        fault=fault,
        frames=judge.frames,
        wrong=judge.wrong,
        first_live_s=first_live_s,
        outages=judge.outages(),
        mute_s=judge.mute_s,
        states=judge.states,
        reasons={symbol: feed.reason for symbol, feed in venue.feeds.items()},
        resyncs=sum(feed.sync.resyncs for feed in venue.feeds.values()),
        most_resyncs=max((feed.sync.resyncs for feed in venue.feeds.values()), default=0),
        reconnects=sum(lane.connection.reconnects for lane in venue.lanes),
        not_understood=sum(lane.connection.not_understood for lane in venue.lanes),
        rest_failures=int(sum(product["failures"] for product in venue.rest.usage().values())),
    )


async def run_ours(
    scene: Scene,
    recording: Path,
    truth: Truth,
    fault: str,
    *,
    seconds: float,
    stale_s: float = 5.0,
    reconnect_s: float = 30.0,
) -> Outcome:
    """Follow the played recording for ``seconds`` with the real engine, and on until it is live again if it is not just
    then. ``fault`` "" is none."""
    with tempfile.TemporaryDirectory() as folder:
        async with played(recording, *filter(None, [fault])) as port:
            ws = f"ws://127.0.0.1:{port}{scene.ws_path}"
            file = Path(folder) / "spreadboard.toml"
            file.write_text(
                f'[feeds]\ndepth = {scene.depth}\nstate_dir = "state"\n[exchanges.{scene.exchange}]\n'
                f'products = ["{scene.product}"]\nstale_s = {stale_s}\nreconnect_s = {reconnect_s}\n'
                f'ws_url = "{ws}"\nrest_url = "http://127.0.0.1:{port}"\n'
                f"{scene.settings}\n"
            )
            judge = Judge(truth)
            engine = Engine(load_config(file, {}), judge)
            await engine.start()
            lanes = engine.venues[scene.exchange].lanes
            judge.reconnected = lambda: any(lane.connection.reconnects for lane in lanes)
            topics = [f"book:{scene.exchange}:{symbol}" for symbol in scene.symbols]
            end_s = time.monotonic() + seconds
            first_live_s = float("inf")
            while time.monotonic() < end_s or (not judge.live and time.monotonic() < end_s + GRACE_S):
                engine.lease("judge", topics, 30)
                if judge.live and first_live_s == float("inf"):
                    first_live_s = time.monotonic() - judge.began_s
                await asyncio.sleep(0.02)
            outcome = outcome_of(judge, engine.venues[scene.exchange], fault or "none", first_live_s)
            await engine.stop()
            return outcome


async def run_all(
    scene: Scene, faults: Mapping[str, float], *, at_once: int = 4, **options: float
) -> dict[str, Outcome]:
    """Each fault and the seconds to follow it, a few at a time."""
    limit = asyncio.Semaphore(at_once)
    with tempfile.TemporaryDirectory() as folder:
        recording, truth = trimmed(scene, max(faults.values()) + 10, Path(folder))

        async def one(fault: str, seconds: float) -> Outcome:
            async with limit:
                return await run_ours(scene, recording, truth, fault, seconds=seconds, **options)

        outcomes = await asyncio.gather(*(one(fault, seconds) for fault, seconds in faults.items()))
    return dict(zip(faults, outcomes, strict=True))
