"""Writing down what comes from the exchanges, in the format that ``recording`` reads.

A :class:`Recorder` is a :class:`~feeds.recordings.tap.Tap`. What it hears goes through a bounded queue to a thread of
its own, which redacts, packs and writes (``volumes``): the event loop never waits for a disk. Where the queue is full,
frames are dropped, counted, and told in the file and the log.

Files are of one exchange each. A file can be verified and played by itself, so a new one begins with the instruments
once more, and with whatever books are built from (:meth:`Recorder.turn`): where snapshots come by REST they are asked
for anew and nothing is interrupted; else the connections are opened anew, one after the other. What belongs to accounts
is in files apart, so that the others can be given away.
"""

import asyncio
import queue
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import structlog

from feeds import exchanges
from feeds.clock import SYSTEM, Clock
from feeds.config import ExchangeConfig
from feeds.errors import FeedError
from feeds.exchange import Request
from feeds.markets.venue import Venue
from feeds.recordings.redaction import Redactor
from feeds.recordings.scan import asks
from feeds.recordings.volumes import Close, Item, Library, Stop, Volume
from feeds.rest import encode

if TYPE_CHECKING:
    from feeds.engine import Engine

log = structlog.get_logger(__name__)

QUEUE_BYTES = 64 * 1024 * 1024
QUEUE_ITEMS = 200_000
LOOK_S = 0.5
AGAIN_S = 30.0
"""After frames were lost a new file begins, so that what follows can be verified: at most this often."""

STOP_S = 8.0


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """``rotate_bytes``: a new file begins beyond it. ``most_bytes``: of all recordings in the folder together."""

    rotate_bytes: int = 64_000_000
    most_bytes: int = 2_000_000_000
    queue_bytes: int = QUEUE_BYTES


def recordable(configs: Mapping[str, ExchangeConfig]) -> dict[str, ExchangeConfig]:
    """Those whose frames come to us. ccxt reads its sockets within its own objects: what these are sent cannot be read
    by anything else, so it could be neither verified nor played."""
    return {name: config for name, config in configs.items() if not config.via}


class _Spool:
    """One open connection's way into the present file."""

    def __init__(self, recorder: "Recorder", exchange: str, conn: str, *, private: bool) -> None:
        self.exchange = exchange
        self.conn = conn
        self.private = private
        self.volume = recorder.volume(exchange, private=private)
        self._recorder = recorder

    def frame(self, raw: bytes, recv_s: float) -> None:
        self._recorder.put(Item(self.volume, recv_s, "ws", self.conn, raw))

    def closed(self, reason: str) -> None:
        self._recorder.ended(self, reason)


class _AccountTap:
    """The tap for one account's connections."""

    def __init__(self, recorder: "Recorder", exchange: str, number: int) -> None:
        self._recorder = recorder
        self._exchange = exchange
        self._number = number

    def connected(self, name: str) -> _Spool:
        route = name.split("/")[1] if "/" in name else name  # the store's number of the account is left out
        return self._recorder.spool(self._exchange, f"account-{self._number}/{route}", private=True)

    def answered(self, exchange: str, request: Request, status: int, raw: bytes, *, private: bool) -> None:
        self._recorder.answered(exchange, request, status, raw, private=True)

    def account(self, exchange: str, *secrets: str) -> "_AccountTap":
        return self._recorder.account(exchange, *secrets)

    def hide(self, *secrets: str) -> None:
        self._recorder.hide(*secrets)


class Recorder:
    """Use from one event loop, from :meth:`start` to :meth:`stop`. ``configs`` are the exchanges of the configuration;
    those that are not :func:`recordable` are left out."""

    def __init__(
        self,
        folder: Path,
        configs: Mapping[str, ExchangeConfig],
        limits: Limits | None = None,
        *,
        clock: Clock = SYSTEM,
    ) -> None:
        self.limits = limits or Limits()
        self._configs = recordable(configs)
        self._clock = clock
        self._queue: queue.SimpleQueue[Item | Close | Stop] = queue.SimpleQueue()
        self._redactor = Redactor()
        self.library = Library(folder, self.limits.most_bytes, self._queue, self._redactor)
        self._thread = threading.Thread(target=self.library.run, name="recorder", daemon=True)
        self._volumes: dict[tuple[str, bool], Volume] = {}  # the present file, by exchange and privacy
        self._left: list[Volume] = []  # former files that connections still write to
        self._spools: set[_Spool] = set()
        self._lives: dict[str, int] = {}  # connections opened so far, by name
        self._accounts = 0
        self._lists = {name: exchanges.create(name).markets_requests() for name in self._configs}
        self._put_bytes = self._put_items = 0
        self._dropping = False
        self._turned_s: dict[str, float] = {}
        self._running = False
        self.dropped = 0
        """Frames and answers that were not recorded, because the queue was full."""

    # -- life --------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Raises OSError if the folder cannot be made, RecordingError if another recorder writes there."""
        self.library.open()
        self._running = True
        self._thread.start()
        log.info("recording", folder=str(self.library.folder), exchanges=sorted(self._configs))

    def finish(self) -> None:
        """Take nothing more. What connections tell when they are closed by ourselves is no part of a recording."""
        self._running = False

    async def stop(self) -> None:
        """Write what waits, close the files. Idempotent."""
        self.finish()
        if self._thread.is_alive():
            self._queue.put(Stop())
            await asyncio.to_thread(self._thread.join, STOP_S)
            if self._thread.is_alive():
                log.error("the recorder did not finish in time", waiting_bytes=self.waiting_bytes)
                return
            log.info("recording ended", files=len(self.library.written), dropped=self.dropped)

    @property
    def waiting_bytes(self) -> int:
        return self._put_bytes - self.library.taken_bytes

    # -- the tap -----------------------------------------------------------------------------------------------------

    def connected(self, name: str) -> _Spool:
        exchange, _, rest = name.partition("/")
        return self.spool(exchange, rest)

    def spool(self, exchange: str, name: str, *, private: bool = False) -> _Spool:
        life = self._lives[f"{exchange}/{name}"] = self._lives.get(f"{exchange}/{name}", 0) + 1
        spool = _Spool(self, exchange, f"{name}.{life}", private=private)
        self._spools.add(spool)
        return spool

    def answered(self, exchange: str, request: Request, status: int, raw: bytes, *, private: bool) -> None:
        """Answers go into every file of the exchange that is still written: nobody knows who needs them."""
        private = private or request.method != "GET"
        path = f"{request.path}?{encode(request.params)}" if request.params else request.path
        path = self._redactor.path(path, private=private)
        lists = self._lists.get(exchange, ()) if not private and status < 400 else ()
        listed = any(asks(each, path, wholly=False) for each in lists)
        former = [each for each in self._left if (each.exchange, each.private) == (exchange, private)]
        for volume in (*former, self.volume(exchange, private=private)):
            self.put(Item(volume, self._clock.monotonic_s(), "rest", "rest", raw, path, status, listed))

    def account(self, exchange: str, *secrets: str) -> _AccountTap:
        self.hide(*secrets)
        self._accounts += 1
        return _AccountTap(self, exchange, self._accounts)

    def hide(self, *secrets: str) -> None:
        self._redactor.know(secrets)

    # -- the way into the queue --------------------------------------------------------------------------------------

    def volume(self, exchange: str, *, private: bool) -> Volume:
        """The present file, begun if there is none."""
        volume = self._volumes.get((exchange, private))
        if volume is None:
            volume = self._volumes[exchange, private] = self._begin(exchange, private)
        return volume

    def _begin(self, exchange: str, private: bool) -> Volume:
        config = self._configs.get(exchange)
        return Volume(
            exchange=exchange,
            private=private,
            products=config.products if config is not None else (),
            simulated=config is not None and config.simulated,
            began_ns=self._clock.now_ns(),
            began_s=self._clock.monotonic_s(),
        )

    def put(self, item: Item) -> None:
        if not self._running:
            return
        size = len(item.raw) + 200
        waiting = self._put_items - self.library.taken_items
        if self.waiting_bytes + size > self.limits.queue_bytes or waiting >= QUEUE_ITEMS:
            self.dropped += 1
            item.volume.lost[item.conn] = item.volume.lost.get(item.conn, 0) + 1
            item.volume.holed = True
            if not self._dropping:
                self._dropping = True
                log.warning("recorder is too slow, frames are not recorded", waiting_bytes=self.waiting_bytes)
            return
        lost = item.volume.lost
        if lost:
            for conn, count in lost.items():
                self._queue.put(Item(item.volume, item.at_s, "lost", conn, b"", count=count))
            item.volume.lost = {}
        self._put_bytes += size
        self._put_items += 1
        item.size = size
        self._queue.put(item)

    def ended(self, spool: _Spool, reason: str) -> None:
        """A connection was closed. What a file's own end closes has not ended for the reader of that file."""
        self._spools.discard(spool)
        volume = spool.volume
        if volume not in self._left:
            self.put(Item(volume, self._clock.monotonic_s(), "closed", spool.conn, b"", reason=reason))
        self._close_left()

    def _close_left(self) -> None:
        """Close the former files that nobody writes to any more."""
        used = {spool.volume for spool in self._spools}
        for volume in [each for each in self._left if each not in used]:
            self._left.remove(volume)
            self._queue.put(Close(volume))

    # -- new files ---------------------------------------------------------------------------------------------------

    async def keep(self, engine: "Engine") -> None:
        """Begin new files when they are due, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            if self._dropping and self.waiting_bytes < self.limits.queue_bytes / 2:
                self._dropping = False
                log.info("recorder keeps up again", dropped=self.dropped)
            for (exchange, private), volume in list(self._volumes.items()):
                if volume.size >= self.limits.rotate_bytes or (volume.holed and self._may_heal(exchange)):
                    self._turned_s[exchange] = self._clock.monotonic_s()
                    await self.turn(engine, exchange, private=private)

    def _may_heal(self, exchange: str) -> bool:
        since_s = self._clock.monotonic_s() - self._turned_s.get(exchange, float("-inf"))
        return not self._dropping and since_s >= AGAIN_S

    async def turn(self, engine: "Engine", exchange: str, *, private: bool = False) -> None:
        """Begin a new file, with what books are built from. What the former one is still told, it takes."""
        before = self._volumes.pop((exchange, private), None)
        if before is None:
            return
        self._left.append(before)
        after = self.volume(exchange, private=private)
        log.info("recording goes on in a new file", exchange=exchange, accounts=private)
        venue = engine.venues.get(exchange)
        assert venue is None or isinstance(venue, Venue), "through ccxt nothing is recorded"
        stays = private or venue is None or venue.adapter.facts.snapshot_by_rest
        if stays:
            for spool in self._spools:
                if spool.volume is before:
                    spool.volume = after
        self._close_left()
        if venue is None or private:
            return
        if stays:
            await self._ask_for_books(venue)
            return
        for lane in list(venue.lanes):
            lane.connection.reconnect("the recording goes on in a new file")

    async def _ask_for_books(self, venue: Venue) -> None:
        for feed in list(venue.feeds.values()):
            try:
                await venue.rest.send(venue.adapter.snapshot_request(feed.market))
            except FeedError as error:
                log.warning("snapshot for the recording failed", market=feed.market.symbol, error=str(error))
                self.volume(venue.name, private=False).holed = True  # tried again, with another file
