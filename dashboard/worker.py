"""The worker: ``feeds.engine`` on Channels. It listens on the channel ``feeds``, and writes down what web pages need.

Hosted by ``manage.py runfeeds``, within ``manage.py serve``, or by Channels' own ``manage.py runworker feeds``, which
makes the consumer, and thereby the worker, at its first message.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import structlog
from channels.consumer import AsyncConsumer, get_handler_name
from channels.layers import get_channel_layer
from django import db
from django.conf import settings

from dashboard import logs, notes, records, simulated, spreads
from dashboard.answers import Answers
from dashboard.bridge import ChannelSink
from dashboard.ending import ended
from dashboard.groups import FEEDS_CHANNEL
from dashboard.outage import LAYER_ERRORS, Outage
from dashboard.roster import Roster
from dashboard.store import DjangoAccountStore, DjangoAcrossStore
from dashboard.worker_lock import WorkerRuns, worker_lock
from feeds.config import Config, load_config
from feeds.engine import Engine
from feeds.errors import ConfigError
from feeds.keys import KeyPair
from feeds.markets.opening import MakesVenue, make_venue
from feeds.recordings.player import Player
from feeds.recordings.recorder import Limits, Recorder
from feeds.recordings.recording import RecordingError
from feeds.recordings.replay import PlayedVenue
from feeds.simulator import SimulatorProcess

log = structlog.get_logger(__name__)

REPORT_S = 1.0
MARKETS_S = 60.0
CHANGES_S = 30.0
STOP_S = 4.0
RETRY_S = 1.0


def configuration() -> Config:
    """What the environment says: the file that it names, else ``spreadboard.toml`` of the project, else the demo.

    Raises ConfigError.
    """
    path = settings.SPREADBOARD_CONFIG
    if path is None and (usual := Path(settings.ROOT) / "spreadboard.toml").is_file():
        path = usual
    return load_config(None if settings.SPREADBOARD_DEMO else path, os.environ)


class FeedsWorker:
    """Everything that a worker process owns. :attr:`failed` is set, with a sentence, when it cannot go on.

    ``record``: a folder, and how much of it, to write down what comes. ``player``: plays a recording instead of
    following the exchanges; then there are no accounts.
    """

    current: ClassVar["FeedsWorker | None"] = None

    def __init__(
        self, config: Config, *, record: tuple[Path, Limits] | None = None, player: Player | None = None
    ) -> None:
        self.config = config
        self._player = player
        self._recorder = Recorder(record[0], config.exchanges, record[1]) if record is not None else None
        self.failed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.sink = ChannelSink(worker=time.time_ns() // 1_000_000)
        self.engine: Engine | None = None
        self._lock = worker_lock()
        self._store = DjangoAccountStore()
        self._roster: Roster | None = None
        self._simulator: SimulatorProcess | None = None
        self._leases: dict[str, tuple[frozenset[str], float]] = {}  # relay -> topics, until when
        self._written: dict[str, tuple[int, float]] = {}  # exchange -> instruments written, when
        self._tasks: list[asyncio.Task[None]] = []
        self._answers = Answers()
        self._accounts_changed = asyncio.Event()
        self._across_changed = asyncio.Event()
        self._database = Outage(log, "database")

    # -- life --------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Raises ConfigError, or WorkerRuns if there is one already; then nothing is left running."""
        FeedsWorker.current = self
        try:
            await asyncio.to_thread(self._lock.acquire)
            config, self._simulator = await asyncio.to_thread(simulated.start, self.config)
            if built_in := [name for name, exchange in self.config.exchanges.items() if exchange.built_in]:
                await self._store.run(notes.begun_anew, built_in, time.time_ns())
            for exchange in config.exchanges.values():
                if exchange.credentials is not None:
                    logs.hide(exchange.credentials.key, exchange.credentials.secret)
            across = DjangoAcrossStore(self._store)
            if self._player is not None:
                venue_of = partial(PlayedVenue, self._player)
                self.engine = Engine(config, self.sink, venue_of=venue_of)
            else:
                keys = KeyPair.load_or_create(Path(settings.VAR) / "worker.key")
                self.engine = Engine(config, self.sink, self._store, across, venue_of=self._recorded())
                self._roster = Roster(config, self.engine, self._store, keys)
            await self._store.run(records.keep_exchanges, list(config.exchanges))
            await self._write_settings(config)
            self.sink.start()
            await self.engine.start()
            await self._store.run(records.put_report, self._health(self.engine))  # first: it says what is pinned
            await self._write_markets()
            if self._roster is not None:
                await self._roster.start(os.environ)
        except BaseException:
            await self.stop()
            raise
        self._tasks = [
            asyncio.create_task(self._guarded(loop), name=f"worker {loop.__name__}")
            for loop in (self._report, self._look_at_accounts, self._look_at_across)
        ]
        if self._recorder is not None:
            self._tasks.append(asyncio.create_task(self._recorder.keep(self.engine), name="worker recording"))
        made_up = sorted(name for name, exchange in config.exchanges.items() if exchange.simulated)
        log.info("worker started", exchanges=sorted(config.exchanges), simulated=made_up)

    async def _write_settings(self, config: Config) -> None:
        """The fees and the threshold that hold without the user's own."""
        assert self.engine is not None
        followed = [(name, product) for name, exchange in config.exchanges.items() for product in exchange.products]
        fees = self.engine.together.fees
        await self._store.run(spreads.put_fees, {key: fees.without_user(*key) for key in followed})
        await self._store.run(spreads.put_threshold, config.across.threshold)

    def _recorded(self) -> MakesVenue:
        """How venues are made: with the recorder listening, if there is one. Raises ConfigError if it cannot begin."""
        if self._recorder is None:
            return make_venue
        try:
            self._recorder.start()
        except (OSError, RecordingError) as error:
            raise ConfigError(f"--record: {error}") from error
        return partial(make_venue, tap=self._recorder)

    async def stop(self) -> None:
        """Close every socket, write the state, let the lock go. Idempotent, within 5 s."""
        began_s = time.monotonic()
        tasks, self._tasks = self._tasks, []
        await asyncio.gather(ended(tasks), self._answers.stop())
        await self.sink.stop()
        if self._recorder is not None:
            self._recorder.finish()
        try:
            async with asyncio.timeout(STOP_S):
                if self._roster is not None:
                    await self._roster.stop()
                if self.engine is not None:
                    await self.engine.stop()
        except TimeoutError:
            log.error("feeds did not stop in time", seconds=STOP_S)
        if self._recorder is not None:
            await self._recorder.stop()
        if self._simulator is not None:
            await asyncio.to_thread(self._simulator.stop, 1.0)
            self._simulator = None
        await self._store.close()
        await asyncio.to_thread(self._lock.release)
        if FeedsWorker.current is self:
            FeedsWorker.current = None
            log.info("worker stopped", seconds=round(time.monotonic() - began_s, 2))

    def _fail(self, sentence: str) -> None:
        if not self.failed.done():
            self.failed.set_result(sentence)

    async def _guarded(self, loop: Callable[[], Awaitable[None]]) -> None:
        """No part of a worker may die alone: who looks at the screen would not know."""
        try:
            await loop()
        except WorkerRuns as error:
            self._fail(str(error))
        except Exception as error:
            log.exception("part of the worker failed", part=loop.__name__)
            self._fail(f"The worker failed: {error!r}.")

    # -- what the web side asks --------------------------------------------------------------------------------------

    def lease(self, relay: str, topics: list[str], again: list[str], ttl_s: float) -> None:
        assert self.engine is not None
        if self._player is not None and topics:
            self._player.begin()  # somebody looks
        before, _ = self._leases.get(relay, (frozenset[str](), 0.0))
        self._leases[relay] = (frozenset(topics), time.monotonic() + ttl_s)
        self._note_leases()
        self.engine.lease(relay, topics, ttl_s)
        for topic in sorted(before.intersection(again, topics)):  # the engine greets what is new to it by itself
            self.engine.publisher.greet(relay, topic)

    def release(self, relay: str) -> None:
        assert self.engine is not None
        self._leases.pop(relay, None)
        self._note_leases()
        self.engine.lease(relay, [], 0)

    def _note_leases(self) -> None:
        now_s = time.monotonic()
        self._leases = {relay: lease for relay, lease in self._leases.items() if lease[1] > now_s}
        self.sink.leased = frozenset().union(*(topics for topics, _ in self._leases.values()))

    def answer(self, question: dict[str, Any]) -> None:
        assert self.engine is not None
        self._answers.begin(self.engine, question)

    def accounts_changed(self) -> None:
        self._accounts_changed.set()

    def across_changed(self) -> None:
        self._across_changed.set()

    # -- what the web side reads -------------------------------------------------------------------------------------

    async def _report(self) -> None:
        """Every second: the health report, the instruments if they changed, and whether the lock is still ours."""
        assert self.engine is not None
        while True:
            self._note_leases()
            try:
                await self._store.run(records.put_report, self._health(self.engine))
                await self._write_markets()
                await asyncio.to_thread(self._lock.check)
            except db.Error as error:
                self._database.broke(error)
            else:
                self._database.works()
            await asyncio.sleep(REPORT_S)

    def _health(self, engine: Engine) -> dict[str, Any]:
        made_up = [name for name, exchange in self.config.exchanges.items() if exchange.simulated]
        relayed = {"leases": len(self._leases), "sent": self.sink.sent, "coalesced": self.sink.coalesced}
        pinned = [f"{name}:{symbol}" for name, each in self.config.exchanges.items() for symbol in each.pinned]
        told = {"simulated": made_up, "pinned": pinned, "relayed": relayed}
        return {**engine.health(), "metrics": engine.metrics(), **told}

    async def _write_markets(self) -> None:
        """The instruments of each exchange: when their number changes, and now and then for their details."""
        assert self.engine is not None
        now_s = time.monotonic()
        for name, venue in self.engine.venues.items():
            count, at_s = self._written.get(name, (0, float("-inf")))
            if len(venue.markets) and (len(venue.markets) != count or now_s - at_s >= MARKETS_S):
                rows = [row for row in self.engine.markets() if row["exchange"] == name]
                await self._store.run(records.put_markets, name, rows)
                self._written[name] = (len(venue.markets), now_s)

    # -- what the web side changes -----------------------------------------------------------------------------------

    async def _look_at_accounts(self) -> None:
        if self._roster is not None:
            await self._at_changes(self._accounts_changed, self._roster.refresh)

    async def _look_at_across(self) -> None:
        """Beside the accounts, whose exchanges may take their time: fees do not wait for those."""
        assert self.engine is not None
        await self._at_changes(self._across_changed, self.engine.together.reload)

    async def _at_changes(self, changed: asyncio.Event, look: Callable[[], Awaitable[None]]) -> None:
        """The web side tells of changes; should that get lost, this finds them."""
        while True:
            try:
                async with asyncio.timeout(CHANGES_S):
                    await changed.wait()
            except TimeoutError:
                pass
            changed.clear()  # first: what is told while we look is looked at again
            try:
                await look()
            except db.Error as error:
                self._database.broke(error)


class FeedsConsumer(AsyncConsumer):
    """The messages of docs/architecture.md section 4, handed to the worker of this process.

    They come one after another, so no handler waits for anything: behind it, leases would run out, and nobody could
    cancel an order.
    """

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if FeedsWorker.current is not None:
            await super().__call__(scope, receive, send)
            return
        worker = await _start_in_stock_host()
        try:
            await super().__call__(scope, receive, send)
        finally:
            await worker.stop()

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Instead of the base's, which looks after database connections before every message, in the thread that the
        whole process has for that: a query that hangs there would stop the leases. The handlers need no database."""
        try:
            handler = getattr(self, get_handler_name(message), None)
            if handler is None:
                raise ValueError(f"no handler for messages of type {message['type']!r}")
            await handler(message)
        except (KeyError, TypeError, ValueError):
            log.exception("message not understood", message_type=message.get("type"))
        except db.Error as error:
            log.error("message not handled, the database fails", message_type=message["type"], error=str(error))

    @property
    def worker(self) -> FeedsWorker:
        assert FeedsWorker.current is not None
        return FeedsWorker.current

    async def feeds_lease(self, message: dict[str, Any]) -> None:
        self.worker.lease(message["relay"], message["topics"], message["again"], message["ttl_s"])

    async def feeds_release(self, message: dict[str, Any]) -> None:
        self.worker.release(message["relay"])

    async def feeds_candles(self, message: dict[str, Any]) -> None:
        self.worker.answer(message)

    async def feeds_trade(self, message: dict[str, Any]) -> None:
        self.worker.answer(message)

    async def feeds_accounts_changed(self, message: dict[str, Any]) -> None:
        self.worker.accounts_changed()

    async def feeds_across_changed(self, message: dict[str, Any]) -> None:
        self.worker.across_changed()


async def _start_in_stock_host() -> FeedsWorker:
    """Within Channels' own ``runworker``: it knows Ctrl+C alone, so SIGTERM is made one; what fails ends the process.

    A shell starts its background jobs with Ctrl+C ignored, and then nobody handles it: SIGTERM must end those too.
    """
    loop = asyncio.get_running_loop()

    def end() -> None:
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.raise_signal(signal.SIGINT)

    loop.add_signal_handler(signal.SIGTERM, end)
    try:
        worker = FeedsWorker(configuration())
        await worker.start()
    except (ConfigError, WorkerRuns) as error:
        sys.exit(str(error))
    worker.failed.add_done_callback(lambda failed: sys.exit(failed.result()))
    return worker


async def host_feeds() -> None:
    """Give the messages of the channel ``feeds`` to a consumer, until cancelled, as ``runworker feeds`` does."""
    layer = get_channel_layer()
    outage = Outage(log, "channel layer")

    async def receive() -> Any:
        while True:
            try:
                message = await layer.receive(FEEDS_CHANNEL)
            except Exception as error:  # a layer may raise anything while it reconnects, as ``Uplink`` says
                outage.broke(error)
                await asyncio.sleep(RETRY_S)
            else:
                outage.works()
                return message

    async def send(message: Any) -> None:
        raise TypeError("nobody is there to send to")

    while True:
        try:
            await FeedsConsumer.as_asgi()({"type": "channel", "channel": FEEDS_CHANNEL}, receive, send)
        except LAYER_ERRORS as error:  # a consumer begins with a channel of its own, which the layer must give it
            outage.broke(error)
            await asyncio.sleep(RETRY_S)
        else:
            return
