"""``manage.py replay FILE``: show a recording on the dashboard.

It runs ``serve`` as a process of its own with a database of its own, beside whatever else runs here, and without the
accounts, keys and exchanges of this deployment.
"""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from dashboard import environment
from feeds.recordings.recording import Recording, RecordingError

_SECRET_ENDS = ("_KEY", "_SECRET", "_PASSPHRASE")
NOT_PASSED_ON = ("DATABASE_URL", "REDIS_URL", "SPREADBOARD_CONFIG", "SPREADBOARD_DEMO", "PORT")


class Command(BaseCommand):
    help = (
        "Show a recording on the dashboard, marked REPLAY, at its own pace or another. No exchange is reached and no "
        "account is followed. Ends on Ctrl+C and SIGTERM."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="a recording: JSON lines, plain or gzip")
        parser.add_argument("--speed", default="1", help="times the recorded pace; 0: as fast as possible")
        parser.add_argument("--host", default=settings.HOST, help="address to listen on (HOST)")
        parser.add_argument("--port", type=int, default=0, help="port to listen on; default: a free one")

    def handle(self, *args: Any, **options: Any) -> None:
        path = options["file"].resolve()
        try:
            Recording(path)  # the whole of it is read by the process below
            environment.SPREADBOARD_REPLAY_SPEED.parse(options["speed"])
        except RecordingError as error:
            raise CommandError(str(error)) from None
        except ValueError as error:
            raise CommandError(f"--speed {options['speed']}: {error}") from None
        with tempfile.TemporaryDirectory(prefix="spreadboard-replay-") as var:
            env = self._environment(path, options["speed"], var)
            self._run(env, "migrate", "--verbosity", "0")
            code = self._run(env, "serve", "--host", options["host"], "--port", str(options["port"]))
        if code:
            sys.exit(code)

    def _environment(self, path: Path, speed: str, var: str) -> dict[str, str]:
        accounts = [name for name in os.environ if name.startswith("SPREADBOARD_") and name.endswith(_SECRET_ENDS)]
        kept = {name: value for name, value in os.environ.items() if name not in (*NOT_PASSED_ON, *accounts)}
        return {
            **kept,
            "SPREADBOARD_VAR": var,
            "SPREADBOARD_REPLAY": str(path),
            "SPREADBOARD_REPLAY_SPEED": speed,
        }

    def _run(self, env: dict[str, str], *command: str) -> int:
        """Its exit code. A signal for us is one for it."""
        program = [sys.executable, str(settings.ROOT / "manage.py"), *command]
        child = subprocess.Popen(program, env=env, start_new_session=True)  # else Ctrl+C would reach it twice
        before = {
            number: signal.signal(number, lambda received, _: child.send_signal(received))
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            return child.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
