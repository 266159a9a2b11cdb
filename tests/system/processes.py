"""Starting the real processes: the dashboard with a configuration, and the recording server."""

import atexit
import contextlib
import functools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.shared import ROOT, shared_file


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(var: Path, config: Path | None, **more: str) -> dict[str, str]:
    """The environment of a deployment of its own: nothing of this machine's settings leaks in."""
    keep = ("PATH", "HOME", "LANG", "TMPDIR")
    env = {name: os.environ[name] for name in keep if name in os.environ}
    env |= {"SPREADBOARD_VAR": str(var), "PYTHONUNBUFFERED": "1"}
    if config is not None:
        env["SPREADBOARD_CONFIG"] = str(config)
    return env | more


def manage(env: dict[str, str], *command: str) -> str:
    """Run a management command; its output. Raises CalledProcessError with what it printed."""
    done = subprocess.run(
        [sys.executable, "manage.py", *command], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
    )
    if done.returncode:
        raise AssertionError(f"manage.py {' '.join(command)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def migrated(env: dict[str, str]) -> None:
    """Make the database of this environment, with no row in it: SQLite's is a copy of one that is made once."""
    if env.get("DATABASE_URL"):
        manage(env, "migrate", "--verbosity", "0")
        return
    var = Path(env["SPREADBOARD_VAR"])
    var.mkdir(parents=True, exist_ok=True)
    shutil.copy(_template(), var / "db.sqlite3")


@functools.cache
def _template() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="spreadboard-migrated-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    manage(environment(folder, None), "migrate", "--verbosity", "0")
    return folder / "db.sqlite3"


@contextlib.contextmanager
def process(
    command: list[str], env: dict[str, str] | None, log: Path, *, stop_s: float = 8.0
) -> Iterator[subprocess.Popen]:
    """A child that is stopped by SIGTERM at the end; its output goes to ``log``."""
    with log.open("ab") as out:
        child = subprocess.Popen(command, cwd=ROOT, env=env, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
    try:
        yield child
    finally:
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(stop_s)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


class Deployment:
    """A running dashboard: ``url``, ``ws_url`` and a token of its user."""

    def __init__(self, port: int, env: dict[str, str], log: Path) -> None:
        self.port = port
        self.env = env
        self.log = log
        self.url = f"http://127.0.0.1:{port}"
        self.ws_url = f"ws://127.0.0.1:{port}/ws/"
        self.child: subprocess.Popen | None = None
        # The token is the last word that the command prints.
        self.token = manage(env, "apitoken").split()[-1]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def get(self, path: str) -> tuple[int, Any]:
        """Status and JSON body of a GET. Raises URLError while nobody listens."""
        request = urllib.request.Request(self.url + path, headers=self.headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def wait_until_it_answers(self, timeout_s: float = 40.0) -> None:
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                self.get("/healthz")
            except (urllib.error.URLError, OSError) as error:
                if time.monotonic() > deadline or (self.child is not None and self.child.poll() is not None):
                    printed = self.log.read_text()[-4000:]
                    raise AssertionError(f"no answer from the dashboard; its log:\n{printed}") from error
                time.sleep(0.1)
            else:
                return

    def sign_in_link(self) -> str:
        """An address that signs a browser in once."""
        return manage(self.env, "signinlink").split()[-1]


@contextlib.contextmanager
def dashboard(var: Path, config: Path | None, **more: str) -> Iterator[Deployment]:
    """``manage.py serve`` with a database of its own; the demo if ``config`` is None."""
    port = free_port()
    env = environment(var, config, HOST="127.0.0.1", PORT=str(port), **more)
    migrated(env)
    deployment = Deployment(port, env, var / "serve.log")
    with process([sys.executable, "manage.py", "serve"], env, deployment.log) as child:
        deployment.child = child
        deployment.wait_until_it_answers()
        yield deployment


@contextlib.contextmanager
def recording_server(recording: Path, log: Path, *arguments: str) -> Iterator[int]:
    """The independent server that plays a recording as if it were the exchange; its port."""
    port = free_port()
    server = shared_file("tools/capture_server.py")
    command = [sys.executable, str(server), str(recording), "--port", str(port), *arguments]
    with process(command, dict(os.environ), log):
        deadline = time.monotonic() + 30
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if time.monotonic() > deadline:
                raise AssertionError(f"the recording server did not start:\n{log.read_text()}")
            time.sleep(0.05)
        yield port
