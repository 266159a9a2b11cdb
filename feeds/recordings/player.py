"""A recording made ready to be played, and its clock.

No I/O but reading the file: whoever plays it (``replay``) is handed one record after the other, when it is due.
"""

import asyncio
import heapq
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from feeds import exchanges
from feeds.config import Config, ExchangeConfig
from feeds.domain import BookDelta, BookSnapshot, Candle, Market
from feeds.exchange import Exchange, MarketIndex
from feeds.recordings.recording import BadLine, Record, Recording, RecordingError
from feeds.recordings.scan import Scan

SLICE_S = 0.005
"""Records are handed on for so long before others get the loop."""

NOWHERE = "replay.invalid"
"""Stands for every host (RFC 2606): should anything ever ask, nobody is asked."""

_BOOK = frozenset({BookDelta, BookSnapshot})


class Reel:
    """A recording, read once. Raises RecordingError if it cannot be played."""

    def __init__(self, path: Path) -> None:
        self.recording = Recording(path)
        header = self.recording.header
        name = exchanges.recorded_as(self.recording.venue)
        if name is None:
            known = ", ".join(sorted(exchanges.REGISTRY))
            raise RecordingError(
                f"{path} is a recording of {self.recording.venue!r}, which has no adapter; there are: {known}."
            )
        if header.private:
            raise RecordingError(f"{path} is a recording of an account's streams: there is no market in it to show.")
        self.exchange: Exchange = exchanges.create(name)
        self.scan = Scan(self.recording, self.exchange)
        self.length_s = self.scan.last_s
        self.symbols = tuple(sorted(self.scan.seen))
        if not self.symbols:
            raise RecordingError(f"{path}: nothing in it is about a market of {self.exchange.name} that is understood.")

    @property
    def markets(self) -> MarketIndex:
        """The recorded ones."""
        return MarketIndex(self.scan.market(symbol) for symbol in self.symbols)

    def has_book(self, market: Market) -> bool:
        return bool(self.scan.seen[market.symbol] & _BOOK)

    def config(self, state_dir: Path) -> Config:
        """What an engine needs to show it: this exchange alone, at no address, with every recorded market pinned."""
        bars = any(Candle in self.scan.seen[symbol] for symbol in self.symbols)
        place = ExchangeConfig(
            name=self.exchange.name,
            simulated=self.recording.header.simulated,
            replay=True,
            products=self.scan.products,
            endpoints={key: f"{url.partition('://')[0]}://{NOWHERE}" for key, url in self.exchange.endpoints.items()},
            pinned=self.symbols,
            candles=("1m",) if bars else (),
        )
        return Config(path=None, exchanges={place.name: place}, state_dir=state_dir)

    def __iter__(self) -> Iterator[Record]:
        """Everything in the order of time."""
        frames = (each for each in self.recording if not isinstance(each, BadLine) and each.via != "rest")
        return heapq.merge(frames, sorted(self.scan.rest, key=Record.when), key=Record.when)


class Played(msgspec.Struct, frozen=True, kw_only=True):
    """How far a replay is; see docs/protocol.md, ``streams``."""

    file: str
    state: Literal["waiting", "playing", "ended"]
    speed: float  # 0: as fast as possible
    at_s: float
    length_s: float
    at_ms: int | None  # the recording's time of day, where it is known
    recorded: str | None


class Player:
    """Hands a reel's records out at their pace times ``speed``; 0 is as fast as they can be taken."""

    def __init__(self, reel: Reel, speed: float = 1.0) -> None:
        if speed < 0:
            raise ValueError(f"speed is {speed}: it must be 0 or more")
        self.reel = reel
        self.speed = speed
        self.state: Literal["waiting", "playing", "ended"] = "waiting"
        self.told_ms: int | None = None  # the newest time of the exchange that was told
        self._at_s = 0.0
        self._began_s = 0.0
        self._begun = asyncio.Event()

    def begin(self) -> None:
        """Idempotent."""
        self._begun.set()

    @property
    def at_s(self) -> float:
        """Seconds since the recording's beginning."""
        if self.state != "playing" or not self.speed:
            return self._at_s
        return min(max(self._at_s, (time.monotonic() - self._began_s) * self.speed), self.reel.length_s)

    def played(self) -> Played:
        header = self.reel.recording.header
        at_s = self.at_s
        at_ms = self.told_ms if header.began_ms is None else header.began_ms + round(at_s * 1000)
        return Played(
            file=self.reel.recording.path.name,
            state=self.state,
            speed=self.speed,
            at_s=round(at_s, 1),
            length_s=round(self.reel.length_s, 1),
            at_ms=at_ms,
            recorded=header.recorded,
        )

    async def records(self) -> AsyncIterator[Record]:
        """Each when it is due, once playing has begun. While frames are late the loop still gets its turns."""
        await self._begun.wait()
        self.state, self._began_s = "playing", time.monotonic()
        turn_s = time.perf_counter()
        for record in self.reel:
            if self.speed:
                wait_s = self._began_s + record.t / self.speed - time.monotonic()
                if wait_s > 0:
                    await asyncio.sleep(wait_s)
                    turn_s = time.perf_counter()
            if time.perf_counter() - turn_s > SLICE_S:
                await asyncio.sleep(0)
                turn_s = time.perf_counter()
            self._at_s = record.t
            yield record
        self._at_s, self.state = self.reel.length_s, "ended"
