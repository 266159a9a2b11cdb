"""A day of errors in a minute, scaled out; then logs, database, pages and the web process's memory are searched for the
exchange keys. Nothing of them may be there: the web process knows a key only sealed.

That the search would find one is proven in the same run: in the worker's memory, where it must be.
``SPREADBOARD_KILLTEST=full`` makes the minute a whole one.
"""

import json
import os
import secrets as random_texts
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from typing import Any

import pytest
from websockets.sync.client import connect

from feeds.account import Credentials
from feeds.keys import seal
from tests.killtest.drill import Exchange, config_text, simulated
from tests.killtest.search import Secret, search, search_files, search_memory, search_texts
from tests.postgres import postgres_server
from tests.shared import ROOT
from tests.system.processes import environment, free_port, manage, process

pytestmark = [pytest.mark.slow, pytest.mark.redis, pytest.mark.postgres]

SECONDS = 60 if os.environ.get("SPREADBOARD_KILLTEST") == "full" else 12

TROUBLE: tuple[dict[str, Any], ...] = (
    {"kind": "status", "value": 503, "for_s": 1.0},
    {"kind": "cut"},
    {"kind": "status", "value": 429, "count": 2},
    {"kind": "expire_listen_key"},
    {"kind": "garbage", "count": 5},
    {"kind": "terminate_user_stream"},
    {"kind": "refuse", "value": 503, "for_s": 1.0},
    {"kind": "close", "value": 1011},
    {"kind": "status", "value": 403, "for_s": 0.5},
    {"kind": "no_ack", "for_s": 0.5},
    {"kind": "cut"},
    {"kind": "status", "value": 401, "for_s": 0.3},
    {"kind": "shutdown"},
)
PAGES = ("/", "/balances/", "/accounts/", "/healthz", "/api/accounts/", "/api/balances/", "/api/positions/")
PAGES += ("/api/orders/", "/api/fills/", "/api/sealing-key/", "/api/markets/", "/api/nothing/", "/login/")


@contextmanager
def redis_server(folder: Path) -> Iterator[tuple[str, int]]:
    """A Redis of this test's own: its URL and process."""
    program = which("redis-server")
    if program is None:
        pytest.skip("needs Redis: no redis-server on the PATH")
    port = free_port()
    command = [program, "--port", str(port), "--save", "", "--appendonly", "no", "--dir", str(folder)]
    with process(command, None, folder / "redis.log") as child:
        deadline = time.monotonic() + 20
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert time.monotonic() < deadline, (folder / "redis.log").read_text()
            time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}/0", child.pid


class Site:
    """The web process, as browsers see it; keeps everything that it ever answered."""

    def __init__(self, port: int, token: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.token = token
        self.seen: list[bytes] = []
        self._jar = urllib.request.HTTPCookieProcessor()
        self._browser = urllib.request.build_opener(self._jar)

    def call(self, path: str, body: Any = None, method: str | None = None) -> tuple[int, bytes]:
        """A program's request, with the token."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        return self._send(urllib.request.Request(self.url + path, data, headers, method=method), urllib.request.urlopen)

    def visit(self, path: str) -> tuple[int, bytes]:
        """A signed-in browser's request."""
        return self._send(urllib.request.Request(self.url + path), self._browser.open)

    def _send(self, request: urllib.request.Request, send: Any) -> tuple[int, bytes]:
        try:
            with send(request, timeout=20) as answer:
                status, body = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                status, body = error.code, error.read()
        self.seen.append(body)
        return status, body

    def sign_in(self, link: str) -> None:
        path = link.partition("/signin/")[2]
        _, page = self.visit(f"/signin/{path}")
        if b"csrfmiddlewaretoken" in page:  # it asks once more before it signs in
            token = page.split(b'name="csrfmiddlewaretoken" value="')[1].split(b'"')[0].decode()
            form = urllib.request.Request(f"{self.url}/signin/{path}", f"csrfmiddlewaretoken={token}".encode())
            self._send(form, self._browser.open)
        assert self.visit("/")[0] == 200

    def listen(self, seconds: float, accounts: list[int]) -> None:
        """A client of /ws/ that watches everything there is of these accounts."""
        kinds = ("balances", "positions", "orders", "fills")
        topics = ["streams", *(f"{kind}:{account}" for kind in kinds for account in accounts)]
        headers = {"Authorization": f"Bearer {self.token}"}
        with connect(self.url.replace("http", "ws") + "/ws/", additional_headers=headers) as ws:
            ws.send(json.dumps({"type": "subscribe", "id": 1, "topics": topics}))
            end_s = time.monotonic() + seconds
            while (left_s := end_s - time.monotonic()) > 0:
                try:
                    message = ws.recv(timeout=left_s)
                except TimeoutError:
                    break
                self.seen.append(message.encode() if isinstance(message, str) else message)
                bundle = json.loads(message)
                if bundle.get("type") == "bundle":
                    ws.send(json.dumps({"type": "drawn", "bundle": bundle["bundle"]}))


def random_key() -> Credentials:
    return Credentials(random_texts.token_hex(32), random_texts.token_hex(32))


def wait_for(condition: Any, within_s: float, why: Any) -> None:
    end_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end_s, why()
        time.sleep(0.2)


def add(site: Site, label: str, credentials: Credentials) -> int:
    """What the page for new accounts does: seal here, send only the box."""
    public_key = json.loads(site.call("/api/sealing-key/")[1])["public_key"]
    new = {
        "exchange": "binance",
        "label": label,
        "products": ["spot", "usdm"],
        "fingerprint": credentials.fingerprint,
        "sealed": seal(public_key, credentials),
    }
    status, body = site.call("/api/accounts/", new)
    assert status == 201, body
    return json.loads(body)["id"]


def trouble(exchange: Exchange, site: Site, wrong: Credentials, until_s: float) -> None:
    """Everything that goes wrong in a day: the exchange's faults, and a key that is refused again and again."""
    number = 0
    while time.monotonic() < until_s:
        exchange.call("/__sim/faults", {"exchange": "binance", **TROUBLE[number % len(TROUBLE)]})
        exchange.call("/__sim/fills", {"account": "test", "product": ("spot", "usdm")[number % 2], "count": 5})
        if number % 5 == 0:
            account = add(site, f"refused {number}", wrong)
        elif number % 5 == 4:
            site.call(f"/api/accounts/{account}/", method="DELETE")
        site.call("/api/accounts/", {"exchange": "binance", "label": "no box", "products": ["spot"], "sealed": "AAAA"})
        for path in PAGES:
            site.visit(path)
            site.call(path)
        number += 1
        time.sleep(0.3)


def states(site: Site) -> dict[str, str]:
    accounts = json.loads(site.call("/api/accounts/")[1])["accounts"]
    return {account["label"]: account["state"] for account in accounts}


def test_no_key_appears_anywhere(tmp_path: Path):
    from_environment, entered, wrong = random_key(), random_key(), random_key()
    canary = random_texts.token_hex(32)
    key_of = {"environment": from_environment, "entered": entered, "wrong": wrong}
    unwanted = [Secret(f"secret ({name})", each.secret) for name, each in key_of.items()]
    unwanted += [Secret(f"key ({name})", each.key) for name, each in key_of.items()]

    with simulated() as exchange, postgres_server() as database_url, redis_server(tmp_path) as (redis_url, redis_pid):
        for name, account in (("environment", "test"), ("entered", "demo")):
            keys = key_of[name]
            exchange.call("/__sim/keys", {"key": keys.key, "secret": keys.secret, "account": account, "trade": False})
        exchange.call("/__sim/keys", {"key": wrong.key, "secret": "another one", "account": "demo"})
        config = tmp_path / "spreadboard.toml"
        config.write_text(config_text(exchange.process.port))
        shared = {
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "SECRET_KEY": random_texts.token_hex(32),
            "LOG_FORMAT": "json",
            "LOG_LEVEL": "DEBUG",
        }
        port = free_port()
        web_env = environment(tmp_path / "web", config, PORT=str(port), CANARY=canary, **shared)
        worker_env = environment(
            tmp_path / "worker",
            config,
            SPREADBOARD_MAIN_BINANCE_KEY=from_environment.key,
            SPREADBOARD_MAIN_BINANCE_SECRET=from_environment.secret,
            **shared,
        )
        manage(web_env, "migrate", "--verbosity", "0")
        if not (ROOT / "staticfiles" / "staticfiles.json").exists():  # make test has collected them
            manage(web_env, "collectstatic", "--noinput", "--verbosity", "0")
        site = Site(port, manage(web_env, "apitoken").split()[-1])
        daphne = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "dashboard.asgi:application"]
        runfeeds = [sys.executable, "manage.py", "runfeeds"]
        with (
            process(daphne, {**web_env, "DJANGO_SETTINGS_MODULE": "dashboard.settings"}, tmp_path / "web.log") as web,
            process(runfeeds, worker_env, tmp_path / "worker.log") as worker,
        ):
            logs = lambda: "\n".join((tmp_path / f"{n}.log").read_text()[-3000:] for n in ("web", "worker"))  # noqa: E731
            wait_for(lambda: _listens(port), 40, logs)
            wait_for(lambda: states(site).get("Main") == "LIVE", 40, lambda: f"{states(site)}\n{logs()}")
            site.sign_in(manage(web_env, "signinlink").split()[-1])
            number = add(site, "Entered", entered)
            wait_for(lambda: states(site).get("Entered") == "LIVE", 40, lambda: f"{states(site)}\n{logs()}")

            listener = threading.Thread(target=site.listen, args=(SECONDS, [number]))
            listener.start()
            trouble(exchange, site, wrong, time.monotonic() + SECONDS)
            listener.join()
            urllib.request.urlopen(
                urllib.request.Request(f"{exchange.base}/__sim/faults", method="DELETE"), timeout=10
            ).close()
            wait_for(lambda: states(site).get("Entered") == "LIVE", 120, lambda: f"{states(site)}\n{logs()}")
            assert web.poll() is None and worker.poll() is None

            private_key = (tmp_path / "worker" / "worker.key").read_text().strip()
            unwanted.append(Secret("worker's private key", private_key))
            try:
                # The search finds what is there: in the worker both keys, in the web process what was planted.
                in_worker = search_memory(worker.pid, unwanted)
                assert {"secret (environment) as text", "secret (entered) as text"} <= set(in_worker)
                assert search_memory(web.pid, [Secret("canary", canary)])
                assert not search_memory(web.pid, unwanted)
                assert not search_memory(redis_pid, unwanted)
            except PermissionError:
                pytest.skip("this kernel does not let one process read another's memory")

            dump = _dump(database_url)
            sealed = _sealed(database_url)
            assert sealed and search(dump, [Secret("the sealed box", sealed)])  # so it is a dump of this database
            assert not search(dump, unwanted)

        assert b'"Entered"' in b"".join(site.seen) and len(site.seen) > 100
        assert not search_texts({f"answer {n}": text for n, text in enumerate(site.seen)}, unwanted)
        worker_log = (tmp_path / "worker.log").read_bytes()
        for event in (b"poll failed", b"key refused", b"login expired", b"stream state"):
            assert event in worker_log, f"no trouble of this kind: {event!r}"
        key_file = tmp_path / "worker" / "worker.key"
        assert search_files(tmp_path, unwanted) == [f"{key_file.name}: worker's private key as text"]


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _dump(database_url: str) -> bytes:
    program = which("pg_dump")
    if program is None:
        pytest.skip("needs PostgreSQL's pg_dump on the PATH")
    return subprocess.run([program, database_url], check=True, capture_output=True, cwd=ROOT).stdout


def _sealed(database_url: str) -> str:
    import psycopg

    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT sealed FROM dashboard_exchangeaccount WHERE label = 'Entered'").fetchone()
    return row[0] if row else ""
