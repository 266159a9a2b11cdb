"""Recording without dashboard and database: the engine, a recorder, and nobody who watches.

What is recorded is what the pinned markets need, as a worker would follow them, and the history of their bars once a
file, so that a replay has a chart.
"""

import argparse
import asyncio
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import msgspec
import structlog

from feeds.config import Config, ExchangeConfig
from feeds.engine import Engine
from feeds.errors import ConfigError, FeedError
from feeds.markets.opening import make_venue
from feeds.recordings.recorder import Limits, Recorder, recordable

log = structlog.get_logger(__name__)

BARS = 500
SAY_S = 60.0


def add_limits(parser: argparse.ArgumentParser) -> None:
    """``--rotate-mb`` and ``--max-mb``."""
    parser.add_argument("--rotate-mb", type=_megabytes, default=64.0, help="begin a new file beyond this size (64)")
    parser.add_argument(
        "--max-mb", type=_megabytes, default=2000.0, help="of all recordings in the folder; the oldest go first (2000)"
    )


def left_out(configs: Mapping[str, ExchangeConfig]) -> str:
    """A sentence that names those that cannot be recorded; "" if there are none."""
    names = sorted(configs.keys() - recordable(configs).keys())
    if not names:
        return ""
    are = "is" if len(names) == 1 else "are"
    return (
        f"{', '.join(names)} {are} followed through ccxt and cannot be recorded: ccxt reads its sockets itself, and "
        "nothing else can read what they are sent."
    )


def limits_of(rotate_mb: float, max_mb: float, names: Sequence[str]) -> Limits:
    """Raises ConfigError if the open files alone could take up all: each exchange may have two, and its accounts'."""
    least = 3 * rotate_mb * max(1, len(names))
    if max_mb < least:
        raise ConfigError(
            f"--max-mb {max_mb:g} is too little: with --rotate-mb {rotate_mb:g}, the files that may be open for "
            f"{', '.join(names)} need {least:g}"
        )
    return Limits(rotate_bytes=round(rotate_mb * 1e6), most_bytes=round(max_mb * 1e6))


def _megabytes(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e7:
        raise argparse.ArgumentTypeError(f"{text} must be more than 0 MB")
    return value


def chosen(config: Config, markets: Sequence[str]) -> Config:
    """The configuration with these markets ("binance:BTC/USDT") pinned, and no other exchange; with none given, what it
    has pinned itself, but for what cannot be recorded. Raises ConfigError naming what is wrong."""
    wanted: dict[str, list[str]] = {}
    for text in markets:
        name, _, symbol = text.partition(":")
        if not symbol:
            raise ConfigError(f"{text!r} is not a market: give exchange and symbol, like binance:BTC/USDT")
        if name not in config.exchanges:
            known = ", ".join(sorted(config.exchanges))
            raise ConfigError(f"{text!r}: the configuration has no exchange {name!r}; it has {known}")
        if why := left_out({name: config.exchanges[name]}):
            raise ConfigError(f"{text!r}: {why}")
        wanted.setdefault(name, []).append(symbol)
    if not markets:
        pinned = {name: each for name, each in config.exchanges.items() if each.pinned}
        wanted = {name: list(each.pinned) for name, each in recordable(pinned).items()}
        if pinned and not wanted:
            raise ConfigError(left_out(pinned))
    if not wanted:
        raise ConfigError("no market is pinned in the configuration: name the markets to record")
    chosen = {
        name: msgspec.structs.replace(config.exchanges[name], pinned=tuple(dict.fromkeys(symbols)))
        for name, symbols in wanted.items()
    }
    return msgspec.structs.replace(config, exchanges=chosen, accounts=())


class _Nobody:
    """A sink: nobody watches."""

    def publish(self, topic: str, frame: str) -> None: ...

    def publish_to(self, holder: str, topic: str, frame: str) -> None: ...

    def refuse(self, holder: str, topic: str, reason: str) -> None: ...


async def record(
    config: Config,
    folder: Path,
    limits: Limits,
    stop: asyncio.Event,
    *,
    seconds: float | None,
    say: Callable[[str], object],
) -> list[Path]:
    """Record the pinned markets until ``stop``, or for so many seconds; returns the files. Raises ConfigError for a
    market that does not exist, RecordingError and OSError where the folder cannot be used."""
    recorder = Recorder(folder, config.exchanges, limits)
    recorder.start()
    with tempfile.TemporaryDirectory() as scratch:  # what a worker remembers is not ours to touch
        engine = Engine(
            msgspec.structs.replace(config, state_dir=Path(scratch)),
            _Nobody(),
            venue_of=partial(make_venue, tap=recorder),
        )
        try:
            await engine.start()
            tasks = [
                asyncio.create_task(recorder.keep(engine), name="recording"),
                asyncio.create_task(_ask_for_bars(engine, recorder), name="bars"),
                asyncio.create_task(_report(engine, recorder, say), name="report"),
            ]
            try:
                async with asyncio.timeout(seconds):
                    await stop.wait()
            except TimeoutError:
                pass
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            recorder.finish()
            await engine.stop()
            await recorder.stop()
    return recorder.library.written


async def _ask_for_bars(engine: Engine, recorder: Recorder) -> None:
    """The history of the pinned markets' bars, once in every file."""
    done: dict[str, object] = {}
    while True:
        for name, venue in engine.venues.items():
            volume = recorder.volume(name, private=False)
            if done.get(name) is volume or not venue.markets_loaded.is_set():
                continue
            done[name] = volume
            for symbol in (each for each in venue.config.pinned if each in venue.markets):
                for interval in venue.config.candles:
                    try:
                        await venue.fetch_candles(symbol, interval, BARS)
                    except FeedError as error:
                        log.warning("history not recorded", exchange=name, market=symbol, error=str(error))
        await asyncio.sleep(1.0)


async def _report(engine: Engine, recorder: Recorder, say: Callable[[str], object]) -> None:
    """What is recorded, now and then; a market that cannot be is said at once."""
    while True:
        await asyncio.sleep(SAY_S)
        rows = engine.health()["streams"]
        usable = sum(row["state"] in ("LIVE", "QUIET", "SLOW", "POLLED") for row in rows)
        lost = recorder.dropped + recorder.library.unwritten
        say(
            f"{usable} of {len(rows)} markets are live" + (f"; {lost:,} frames were not recorded" if lost else "") + "."
        )
