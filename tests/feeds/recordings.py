"""What the tests of recording share: simulated exchanges that are recorded, and reading what was written."""

import gzip
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from feeds.config import Config, ExchangeConfig
from feeds.engine import Engine
from feeds.markets.opening import make_venue
from feeds.recordings.recorder import Limits, Recorder
from feeds.simulator import Settings, SimulatorServer, endpoints
from feeds.simulator.venues import listings
from tests.feeds.test_engine import Sink, until

MARKETS: Mapping[str, tuple[str, ...]] = {
    "binance": ("BTC/USDT", "ETH/USDT", "BTC/USDT:USDT"),
    "bybit": ("BTC/USDT", "BTC/USDT:USDT"),
    "coinbase": ("BTC/USD", "ETH/USD"),
    "kraken": ("BTC/USD", "ETH/USD"),
    "krakenfutures": ("BTC/USD:USD",),
}
"""Those that are recorded, of every exchange that can be."""


def place(name: str, port: int, **changes: Any) -> ExchangeConfig:
    symbols = MARKETS[name]
    given: dict[str, Any] = {
        "simulated": True,
        "products": tuple(dict.fromkeys(each.product for each in listings((name,)) if each.symbol in symbols)),
        "endpoints": endpoints("127.0.0.1", port)[name],
        "pinned": symbols,
    }
    return ExchangeConfig(name=name, **given | changes)


@asynccontextmanager
async def simulated(*names: str, **settings: Any) -> AsyncIterator[SimulatorServer]:
    few = tuple(each for each in listings(names) if each.symbol in MARKETS[each.venue])
    given = {"seed": 5, "exchanges": names, "instruments": few, "trader": False}
    server = await SimulatorServer(Settings(**given | settings)).start(0)
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def recorded(
    folder: Path, *places: ExchangeConfig, limits: Limits | None = None
) -> AsyncIterator[tuple[Engine, Recorder]]:
    """An engine whose exchanges are recorded, all pinned markets live. It is left to the test to :meth:`keep`."""
    config = Config(path=None, exchanges={each.name: each for each in places}, state_dir=folder / "state")
    recorder = Recorder(folder, config.exchanges, limits)
    recorder.start()
    engine = Engine(config, Sink(), venue_of=partial(make_venue, tap=recorder))
    try:
        await engine.start(markets_timeout_s=20)
        await until(lambda: all(row["state"] == "LIVE" for row in engine.health()["streams"]))
        yield engine, recorder
    finally:
        recorder.finish()
        await engine.stop()
        await recorder.stop()


async def grown(engine: Engine, frames: int) -> None:
    """Wait until every market's book has got so many frames more."""
    feeds = [feed for venue in engine.venues.values() for feed in venue.feeds.values()]
    before = [feed.frames for feed in feeds]
    await until(lambda: all(feed.frames >= was + frames for feed, was in zip(feeds, before, strict=True)), 30)


def lines(path: Path) -> list[dict[str, Any]]:
    """The header and the records of a file."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def everything(folder: Path) -> str:
    """The text of all recordings in a folder."""
    return "\n".join(gzip.open(path, "rt", encoding="utf-8").read() for path in sorted(folder.glob("*.jsonl.gz")))


def recordings(folder: Path, exchange: str) -> list[Path]:
    return sorted(folder.glob(f"{exchange}-*.jsonl.gz"), key=lambda path: (path.stat().st_mtime_ns, path.name))
