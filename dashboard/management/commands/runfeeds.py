"""``manage.py runfeeds``: the worker in a process of its own, beside any number of web processes (needs REDIS_URL)."""

import asyncio
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor

from dashboard.ending import ended
from dashboard.worker import FeedsWorker, configuration, host_feeds
from dashboard.worker_lock import WorkerRuns
from feeds.config import Config
from feeds.errors import ConfigError
from feeds.recordings.record import add_limits, left_out, limits_of
from feeds.recordings.recorder import Limits, recordable

log = structlog.get_logger(__name__)


class Command(BaseCommand):
    help = "Run the worker: exchange connections, accounts, frames for the web processes. Ends on SIGTERM and Ctrl+C."

    def add_arguments(self, parser: CommandParser) -> None:
        add_recording(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        require_migrations()
        config = read_configuration()
        record = recording(options, config, self.stderr.write)
        if not settings.REDIS_URL:
            self.stderr.write("REDIS_URL is not set: no web process can reach this worker. manage.py serve runs both.")
        failure = asyncio.run(run(config, record))
        if failure:
            raise CommandError(failure)


def require_migrations() -> None:
    """Raises CommandError if the database cannot be used, or is not in the state that this version needs."""
    try:
        executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        raise CommandError(f"The database cannot be used: {error}".rstrip()) from error
    finally:
        connections.close_all()
    if missing:
        names = ", ".join(f"{migration.app_label}.{migration.name}" for migration, _ in missing[:3])
        more = ", ..." if len(missing) > 3 else ""
        raise CommandError(
            f"The database lacks {len(missing)} migrations ({names}{more}): run manage.py migrate first."
        )


def add_recording(parser: CommandParser) -> None:
    parser.add_argument(
        "--record", type=Path, metavar="DIR", help="write down what comes from the exchanges (docs/operations.md)"
    )
    add_limits(parser)


def recording(options: Mapping[str, Any], config: Config, say: Callable[[str], object]) -> tuple[Path, Limits] | None:
    """Where to record, and how much; ``say`` is told what of the configuration cannot be recorded. Raises
    CommandError, also if nothing of it can be."""
    if options["record"] is None:
        return None
    names, why = sorted(recordable(config.exchanges)), left_out(config.exchanges)
    if not names:
        raise CommandError(f"--record: {why}")
    if why:
        say(why)
    try:
        return options["record"], limits_of(options["rotate_mb"], options["max_mb"], names)
    except ConfigError as error:
        raise CommandError(str(error)) from None


def read_configuration() -> Config:
    try:
        return configuration()
    except ConfigError as error:
        raise CommandError(str(error)) from None


async def run(config: Config, record: tuple[Path, Limits] | None = None) -> str:
    """The worker from its start to the first signal; why it failed, or an empty text."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    worker = FeedsWorker(config, record=record)
    stopping = asyncio.create_task(stop.wait())
    starting = asyncio.create_task(worker.start())
    await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
    (outcome,) = await asyncio.gather(starting, return_exceptions=True)
    if isinstance(outcome, ConfigError | WorkerRuns):
        stopping.cancel()
        return str(outcome)
    if isinstance(outcome, Exception):
        raise outcome
    if outcome is not None:
        return ""  # stopped while it started
    hosting = asyncio.create_task(host_feeds())
    try:
        ends: list[asyncio.Future[Any]] = [stopping, hosting, worker.failed]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if hosting.done():
            hosting.result()  # it only ends by an error
        return worker.failed.result() if worker.failed.done() else ""
    finally:
        await ended([stopping, hosting])
        await worker.stop()
