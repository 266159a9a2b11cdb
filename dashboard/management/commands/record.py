"""``manage.py record``: write down what comes from the exchanges, for ``verify`` and ``replay``."""

import asyncio
import signal
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from dashboard import simulated
from dashboard.worker import configuration
from feeds.config import Config, load_config
from feeds.errors import ConfigError
from feeds.recordings import record
from feeds.recordings.recorder import Limits
from feeds.recordings.recording import RecordingError


class Command(BaseCommand):
    help = (
        "Record what the exchanges send, in files that verify and replay read. Needs neither the dashboard nor its "
        "database, and opens connections of its own. Ends on Ctrl+C, SIGTERM, or after --minutes."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "markets", nargs="*", metavar="exchange:symbol", help="like binance:BTC/USDT; default: the pinned markets"
        )
        parser.add_argument("--config", type=Path, help="another spreadboard.toml than SPREADBOARD_CONFIG says")
        parser.add_argument(
            "--dir", type=Path, default=Path(settings.VAR) / "recordings", help="folder of the files (var/recordings)"
        )
        parser.add_argument("--minutes", type=float, help="end after so long")
        record.add_limits(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        minutes = options["minutes"]
        if minutes is not None and minutes <= 0:
            raise CommandError(f"--minutes {minutes:g}: must be more than 0")
        try:
            config = load_config(options["config"], {}) if options["config"] else configuration()
            if not options["markets"] and (left_out := record.left_out(config.exchanges)):
                self.stderr.write(left_out)
            config = record.chosen(config, options["markets"])
            limits = record.limits_of(options["rotate_mb"], options["max_mb"], sorted(config.exchanges))
            files = self._record(config, options["dir"], limits, minutes)
        except (ConfigError, RecordingError, OSError) as error:
            raise CommandError(str(error)) from None
        for path in files:
            self.stdout.write(f"{path}  {path.stat().st_size / 1e6:.1f} MB")
        if files:
            self.stdout.write(f"manage.py verify {files[-1]}  says whether everything is there and right.")

    def _record(self, config: Config, folder: Path, limits: Limits, minutes: float | None) -> list[Path]:
        demo = config.demo
        config, process = simulated.start(config)
        try:
            if demo:
                self.stdout.write("Without a configuration the simulated exchanges are recorded.")
            for name, exchange in config.exchanges.items():
                self.stdout.write(f"Recording {name}: {', '.join(exchange.pinned)}")
            self.stdout.write(f"into {folder}. Ctrl+C ends it.")
            self.stdout.flush()
            return asyncio.run(self._until_told(config, folder, limits, minutes))
        finally:
            if process is not None:
                process.stop(1.0)

    async def _until_told(self, config: Config, folder: Path, limits: Limits, minutes: float | None) -> list[Path]:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        seconds = None if minutes is None else minutes * 60
        return await record.record(config, folder, limits, stop, seconds=seconds, say=self.stdout.write)
