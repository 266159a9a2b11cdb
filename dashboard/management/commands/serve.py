"""``manage.py serve``: pages, WebSockets and worker in one process and one event loop. The default way to run."""

import asyncio
import ipaddress
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from daphne import server as daphne  # first: it installs the reactor that runs on asyncio
from daphne.endpoints import build_endpoint_description_strings
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import Deferred

from dashboard import auth
from dashboard.ending import ended
from dashboard.management.commands.runfeeds import add_recording, read_configuration, recording, require_migrations
from dashboard.worker import FeedsWorker, host_feeds
from dashboard.worker_lock import WorkerRuns
from feeds.config import Config
from feeds.errors import ConfigError
from feeds.recordings.player import Player, Reel
from feeds.recordings.recording import RecordingError

log = structlog.get_logger(__name__)
reactor: Any = installed_reactor  # a module to the type checker, the running reactor in fact

PROXY_HEADERS = {
    "proxy_forwarded_address_header": "X-Forwarded-For",
    "proxy_forwarded_port_header": "X-Forwarded-Port",
    "proxy_forwarded_proto_header": "X-Forwarded-Proto",
}
"""What a reverse proxy before us tells of the client (TRUST_PROXY)."""


class Command(BaseCommand):
    help = "Run the whole of Spreadboard in this process. Ends on SIGTERM and Ctrl+C."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default=settings.HOST, help="address to listen on (HOST)")
        parser.add_argument("--port", type=int, default=settings.PORT, help="port to listen on (PORT)")
        add_recording(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        require_migrations()
        if settings.REDIS_URL:
            raise CommandError(
                "REDIS_URL is set, so worker and web run apart: start manage.py runfeeds and "
                "daphne dashboard.asgi:application instead, or unset REDIS_URL."
            )
        path = settings.SPREADBOARD_REPLAY
        config, player = (read_configuration(), None) if path is None else self._replay(path)
        if player is not None and options["record"] is not None:
            raise CommandError("SPREADBOARD_REPLAY is set: a recording that is played is not recorded again.")
        record = recording(options, config, self.stderr.write)
        embedded = Embedded(self, config, options["host"], options["port"])
        embedded.make_worker = partial(FeedsWorker, config, record=record, player=player)
        failure = embedded.run()
        if failure:
            raise CommandError(failure)

    def _replay(self, path: Path) -> tuple[Config, Player]:
        """What to play, and how fast (``manage.py replay``)."""
        try:
            reel = Reel(path)
        except RecordingError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"REPLAY of {path}: {', '.join(reel.symbols)}, {reel.length_s:.0f} s.")
        self.stdout.write("It begins when a page is opened. Nothing of this is live.")
        return reel.config(settings.VAR / "state"), Player(reel, settings.SPREADBOARD_REPLAY_SPEED)


class Embedded:
    """Daphne and the worker in one event loop. :meth:`run` returns at the end: why it failed, or an empty text."""

    def __init__(self, command: BaseCommand, config: Config, host: str, port: int) -> None:
        self._command = command
        self._config = config
        self._host = host
        self._port = port
        self._failure = ""
        self._tasks: list[asyncio.Task[None]] = []
        self._worker: FeedsWorker | None = None
        self.make_worker = partial(FeedsWorker, config)
        # Made before the loop runs: Django's database calls are not for an event loop.
        self._link = auth.start_link(auth.first_user())

    def run(self) -> str:
        from dashboard.asgi import application

        self._server = daphne.Server(
            application=application,
            endpoints=build_endpoint_description_strings(host=self._host, port=self._port),
            signal_handlers=True,
            ready_callable=self._listening,
            verbosity=0,
            server_name="",
            **(PROXY_HEADERS if settings.TRUST_PROXY else {}),
        )
        reactor.addSystemEventTrigger(
            "before", "shutdown", lambda: Deferred.fromFuture(asyncio.ensure_future(self._stop()))
        )
        self._server.run()
        if not self._tasks and not self._failure:
            return f"Nothing listens on {self._host}:{self._port}: the address is in use or not of this machine."
        return self._failure

    def _listening(self) -> None:
        self._tasks.append(asyncio.ensure_future(self._work()))

    async def _work(self) -> None:
        """The worker's life. Whatever ends it early ends the process, with the reason."""
        try:
            self._worker = self.make_worker()
            await self._worker.start()
            hosting = asyncio.ensure_future(host_feeds())
            self._tasks.append(hosting)
            self._announce()
            ends: list[asyncio.Future[Any]] = [hosting, self._worker.failed]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if hosting.done():
                hosting.result()  # it only ends by an error
            self._failure = self._worker.failed.result()
        except (ConfigError, WorkerRuns) as error:
            self._failure = str(error)
        except Exception as error:
            log.exception("the worker failed")
            self._failure = f"The worker failed: {error!r}."
        reactor.stop()

    def _announce(self) -> None:
        port = self._port
        if not port and self._server.listening_addresses:
            port = self._server.listening_addresses[0][1]
        say = self._command.stdout.write
        if not is_loopback(self._host) and not settings.HTTPS:
            say(
                f"Listening on {self._host} without TLS: passwords and positions can be read on the way. "
                "Put a reverse proxy with TLS before it, or use a VPN or SSH tunnel (docs/operations.md)."
            )
        if self._config.demo:
            say("Demo: the exchanges and the accounts are simulated. README.md says how to go live.")
        elif made_up := [name for name, exchange in self._config.exchanges.items() if exchange.simulated]:
            say(f"Simulated, as the configuration says: {', '.join(made_up)}. Nothing of that is real.")
        say(f"Spreadboard runs on {auth.address_of('/', port)}")
        say(f"Sign in, once, with {auth.address_of(self._link, port)}")
        self._command.stdout.flush()

    async def _stop(self) -> None:
        """Called when the reactor is about to stop: worker first, so that its last words still go out."""
        await ended(task for task in self._tasks if task is not asyncio.current_task())
        if self._worker is not None:
            await self._worker.stop()


def is_loopback(host: str) -> bool:
    """Is this an address of this machine alone?"""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
