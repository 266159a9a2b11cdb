"""A day of errors in a minute, on accounts of all exchanges at once, scaled out; then logs, database, recordings, pages
and the memories of the web process and of Redis are searched for the exchange keys. Nothing of them may be there: the
web process knows a key only sealed.

Every part of every key holds one marker, in the middle, so that all of them are looked for at once, as text and
encoded, and what is made of them too: a secret's bytes behind its base64, a text that is signed. Coinbase's private
keys are looked for by themselves. What is not ours to choose (tokens, signatures, listen keys) is known by its form.

That the search would find a key is proven in the same run: in the worker's memory, where each of them must be.
``SPREADBOARD_KILLTEST=full`` makes the minute a whole one.
"""

import json
import os
import re
import secrets as random_texts
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from shutil import which
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from websockets.sync.client import connect

from feeds.account import Credentials
from feeds.demo import MARKETS
from feeds.keys import seal
from feeds.simulator import DATA_KEY, DATA_SECRET
from feeds.topics import ACCOUNT_KINDS
from tests.keys import EXCHANGES, new_key
from tests.killtest.drill import config_text, simulator
from tests.killtest.figures import Exchange
from tests.killtest.places import PLACES
from tests.killtest.search import Secret, contents, search, search_files, search_memory, search_texts
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
ELSEWHERE: tuple[dict[str, Any], ...] = (
    {"kind": "status", "value": 503, "for_s": 1.0},
    {"kind": "cut"},
    {"kind": "status", "value": 429, "count": 2},
    {"kind": "garbage", "count": 5},
    {"kind": "reject", "for_s": 1.0},
    {"kind": "refuse", "value": 503, "for_s": 1.0},
    {"kind": "close", "value": 1011},
    {"kind": "status", "value": 401, "count": 2},
)
"""At the exchanges besides Binance; the last ends an account for good."""
PAGES = ("/", "/balances/", "/accounts/", "/healthz", "/metrics", "/api/accounts/", "/api/balances/", "/api/positions/")
PAGES += ("/api/orders/", "/api/fills/", "/api/fills.csv", "/api/transfers/", "/api/notices/", "/api/portfolio/")
PAGES += ("/api/equity/", "/api/settings/", "/api/sealing-key/", "/api/markets/", "/api/nothing/", "/login/")

FORMS = {
    "a token that is signed (JWT)": re.compile(rb"eyJ[\w-]{10,}\.eyJ[\w-]{10,}"),
    "a listen key": re.compile(rb"listenKey[\"'=:\\ ]+[0-9A-Za-z]{20,}"),
    "a signature": re.compile(rb"(?i)(signature|api-?sign|authent|request-sign)[\"'=:\\ ]+[0-9A-Za-z+/=-]{30,}"),
}
"""What may stand in no log, answer or recording, whatever its value."""


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
            with send(request, timeout=60) as answer:
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
        topics = ["streams", *(f"{kind}:{account}" for kind in ACCOUNT_KINDS for account in accounts)]
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
                    time.sleep(0.15)  # more than ten messages a second are too many
                    ws.send(json.dumps({"type": "drawn", "bundle": bundle["bundle"]}))


def private_parts(name: str, credentials: Credentials) -> list[Secret]:
    """Of Coinbase's private key, in which no marker can stand: a line of the PEM text, and the number that it is."""
    number = load_pem_private_key(credentials.secret.encode(), None).private_numbers().private_value
    raw = number.to_bytes(32, "big")
    line = Secret(f"private key ({name})", credentials.secret.splitlines()[2])
    return [line, Secret.of_bytes(f"its number ({name})", raw)]


def wait_for(condition: Any, within_s: float, why: Any) -> None:
    end_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end_s, why()
        time.sleep(0.2)


def add(site: Site, label: str, credentials: Credentials, exchange: str = "binance") -> int:
    """What the page for new accounts does: seal here, send only the box."""
    public_key = json.loads(site.call("/api/sealing-key/")[1])["public_key"]
    new = {
        "exchange": exchange,
        "label": label,
        "products": list(MARKETS[exchange][0]),
        "fingerprint": credentials.fingerprint,
        "sealed": seal(public_key, credentials),
    }
    status, body = site.call("/api/accounts/", new)
    assert status == 201, body
    return json.loads(body)["id"]


def trouble(exchange: Exchange, site: Site, wrong: Mapping[str, Credentials], until_s: float) -> None:
    """Everything that goes wrong in a day: the exchanges' faults, and keys that are refused again and again."""
    number = 0
    others = [name for name in EXCHANGES if name != "binance"]
    refused = []
    while time.monotonic() < until_s or number < len(ELSEWHERE):
        exchange.call("/__sim/faults", {"exchange": "binance", **TROUBLE[number % len(TROUBLE)]})
        for name in others:
            exchange.call("/__sim/faults", {"exchange": name, **ELSEWHERE[number % len(ELSEWHERE)]})
        exchange.call("/__sim/fills", {"account": "test", "product": ("spot", "usdm")[number % 2], "count": 5})
        name = EXCHANGES[number % len(EXCHANGES)]
        refused.append(add(site, f"refused {number}", wrong[name], name))
        if number % 5 == 4:
            site.call(f"/api/accounts/{refused.pop(0)}/", method="DELETE")
        site.call("/api/accounts/", {"exchange": "binance", "label": "no box", "products": ["spot"], "sealed": "AAAA"})
        for path in (*PAGES, f"/api/accounts/{refused[0]}/", f"/accounts/{refused[0]}/sharing/"):
            site.visit(path)
            site.call(path)
        number += 1
        time.sleep(0.3)


def states(site: Site) -> dict[str, str]:
    accounts = json.loads(site.call("/api/accounts/")[1])["accounts"]
    return {account["label"]: account["state"] for account in accounts}


def followed(site: Site, labels: Iterable[str]) -> bool:
    """LIVE, or so far that only fills of long ago are still to be read."""
    accounts = {each["label"]: each for each in json.loads(site.call("/api/accounts/")[1])["accounts"]}
    found = [accounts.get(label, {"state": "", "sentence": ""}) for label in labels]
    return all(each["state"] == "LIVE" or "are being read" in each["sentence"] for each in found)


def test_no_key_appears_anywhere(tmp_path: Path):
    marker, canary = random_texts.token_hex(12), random_texts.token_hex(32)
    from_environment = new_key("binance", marker)
    entered = {name: new_key(name, marker) for name in EXCHANGES}
    wrong = {name: new_key(name, marker) for name in EXCHANGES}
    unwanted = [Secret("a key", marker)]
    for name, credentials in (("entered", entered["coinbase"]), ("wrong", wrong["coinbase"])):
        unwanted += private_parts(name, credentials)
    of_kraken = entered["kraken"], wrong["kraken"]
    tokens = [Secret(f"token {n}", kraken_token(each, n)) for each in of_kraken for n in range(1, 60)]

    with (
        simulator(*PLACES.values()) as simulated,
        postgres_server() as database_url,
        redis_server(tmp_path) as (redis_url, redis_pid),
    ):
        exchange = Exchange(simulated, PLACES["binance"])
        for name, account, keys in (
            ("binance", "test", from_environment),
            *((name, "demo", keys) for name, keys in entered.items()),
        ):
            known = {"key": keys.key, "secret": keys.secret, "passphrase": keys.passphrase, "account": account}
            exchange.call("/__sim/keys", known | {"exchange": name, "trade": name == "lmex"})
        for name, keys in wrong.items():
            other = new_key(name)
            known = {"key": keys.key, "secret": other.secret, "passphrase": "another one", "account": "demo"}
            exchange.call("/__sim/keys", known | {"exchange": name})
        config = tmp_path / "spreadboard.toml"
        others = [place for name, place in PLACES.items() if name != "binance"]
        config.write_text(config_text(simulated.port, PLACES["binance"], watched=others))
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
            SPREADBOARD_ALPACA_KEY=DATA_KEY,
            SPREADBOARD_ALPACA_SECRET=DATA_SECRET,
            **shared,
        )
        manage(web_env, "migrate", "--verbosity", "0")
        if not (ROOT / "staticfiles" / "staticfiles.json").exists():  # make test has collected them
            manage(web_env, "collectstatic", "--noinput", "--verbosity", "0")
        site = Site(port, manage(web_env, "apitoken").split()[-1])
        daphne = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "dashboard.asgi:application"]
        runfeeds = [sys.executable, "manage.py", "runfeeds", "--record", str(tmp_path / "recordings")]
        with (
            process(daphne, {**web_env, "DJANGO_SETTINGS_MODULE": "dashboard.settings"}, tmp_path / "web.log") as web,
            process(runfeeds, worker_env, tmp_path / "worker.log") as worker,
        ):
            logs = lambda: "\n".join((tmp_path / f"{n}.log").read_text()[-3000:] for n in ("web", "worker"))  # noqa: E731
            wait_for(lambda: _listens(port), 40, logs)
            wait_for(lambda: states(site).get("Main") == "LIVE", 60, lambda: f"{states(site)}\n{logs()}")
            site.sign_in(manage(web_env, "signinlink").split()[-1])
            numbers = [add(site, f"Entered {name}", keys, name) for name, keys in entered.items()]
            labels = [f"Entered {name}" for name in entered]
            wait_for(lambda: followed(site, labels), 90, lambda: f"{states(site)}\n{logs()}")

            listener = threading.Thread(target=site.listen, args=(SECONDS, numbers))
            listener.start()
            trouble(exchange, site, wrong, time.monotonic() + SECONDS)
            listener.join()
            urllib.request.urlopen(
                urllib.request.Request(f"{exchange.base}/__sim/faults", method="DELETE"), timeout=10
            ).close()
            wait_for(lambda: followed(site, labels[:1]), 120, lambda: f"{states(site)}\n{logs()}")
            assert web.poll() is None and worker.poll() is None

            private_key = (tmp_path / "worker" / "worker.key").read_text().strip()
            unwanted.append(Secret("worker's private key", private_key))
            try:
                # The search finds what is there: in the worker all keys, in the web process what was planted.
                each_key = [Secret.whole(f"{name}'s", keys.secret) for name, keys in entered.items()]
                assert set(search_memory(worker.pid, each_key)) == {f"{each.name} as text" for each in each_key}
                assert "a key as text" in search_memory(worker.pid, unwanted)
                assert search_memory(web.pid, [Secret("canary", canary)])
                assert not search_memory(web.pid, unwanted)
                assert not search_memory(redis_pid, unwanted)
            except PermissionError:
                pytest.skip("this kernel does not let one process read another's memory")

            dump = _dump(database_url)
            sealed = _sealed(database_url)
            assert sealed and search(dump, [Secret("the sealed box", sealed)])  # so it is a dump of this database
            assert not search(dump, unwanted)
            refusals = [sentence for label, sentence in sentences(site).items() if label.startswith("refused")]

        assert sum("refuses this API key" in sentence for sentence in refusals) >= len(EXCHANGES) // 2, refusals
        assert b'"Entered kraken"' in b"".join(site.seen) and len(site.seen) > 100
        answers = {f"answer {n}": text for n, text in enumerate(site.seen)}
        assert not search_texts(answers, [*unwanted, *tokens])
        worker_log = (tmp_path / "worker.log").read_bytes()
        for event in (b"poll failed", b"key refused", b"login expired", b"stream state"):
            assert event in worker_log, f"no trouble of this kind: {event!r}"
        recorded = b"".join(content for name, content in contents(tmp_path / "recordings") if "-accounts-" in name)
        for each in EXCHANGES:
            assert list((tmp_path / "recordings").glob(f"{each}-accounts-*")), f"no recording of {each}'s accounts"
        assert b"/0/private/GetWebSocketsToken" in recorded and b"(hidden)" in recorded
        key_file = tmp_path / "worker" / "worker.key"
        assert search_files(tmp_path, [*unwanted, *tokens]) == [f"{key_file.name}: worker's private key as text"]
        texts = {name: content for name, content in contents(tmp_path) if not name.endswith(".key")}
        found = {
            (name, what, hit[0][:40])
            for name, content in (answers | texts).items()
            for what, form in FORMS.items()
            if (hit := form.search(content))
        }
        assert not found


def kraken_token(credentials: Credentials, number: int) -> str:
    """The simulator's, by its own rule."""
    return urlsafe_b64encode(sha256(f"{credentials.key} {number}".encode()).digest()).decode().rstrip("=")


def sentences(site: Site) -> dict[str, str]:
    accounts = json.loads(site.call("/api/accounts/")[1])["accounts"]
    return {account["label"]: account["sentence"] for account in accounts}


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
        row = connection.execute("SELECT sealed FROM dashboard_exchangeaccount WHERE label = 'Entered okx'").fetchone()
    return row[0] if row else ""
