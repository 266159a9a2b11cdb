"""The kill drill scaled out: Daphne, ``manage.py runfeeds``, Redis and a database, each a process of its own.

While fills pour in the worker is killed (-9), and besides one of these happens again and again:

* ``locked``: another process locks the database for five seconds (SQLite: ``BEGIN EXCLUSIVE``; PostgreSQL: the table
  of fills, for readers too);
* ``redis``: Redis is killed (-9) and started anew;
* ``web``: the web process is killed (-9) and started anew.

A client of ``/ws/`` looks on (``watcher.py``). Afterwards the exchange, the database, ``/api/fills/`` and what the
client was shown must say the same.
"""

import random
import secrets as random_texts
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Literal

import pytest

from tests.killtest.drill import (
    RUNFEEDS,
    Child,
    Deaths,
    Result,
    config_text,
    make_trouble,
    outcome,
    secrets,
    simulated,
    tail,
    wait,
    wait_until_equal,
    wait_until_live,
)
from tests.killtest.figures import Database, differences
from tests.killtest.places import PLACES
from tests.killtest.watcher import Site, Watcher
from tests.shared import ROOT
from tests.system.processes import environment, free_port, manage

Variant = Literal["locked", "redis", "web"]

LOCK_S = 5.0
NEWEST = 50
"""Rows of a frame of fills."""

_LOCK_SQLITE = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
time.sleep(float(sys.argv[2]))
connection.execute("ROLLBACK")
"""
_LOCK_POSTGRESQL = """
import sys, time
import psycopg
with psycopg.connect(sys.argv[1]) as connection:
    connection.execute("LOCK TABLE dashboard_fill IN ACCESS EXCLUSIVE MODE")
    print("locked", flush=True)
    time.sleep(float(sys.argv[2]))
"""


class Redis:
    """A Redis of the drill's own, which keeps its port when it is started anew. Skips the test where there is none."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("redis-server")
        if program is None:
            pytest.skip("needs Redis: no redis-server on the PATH")
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._command = [program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
        self._log = folder / "redis.log"
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as out:
            self._child = subprocess.Popen(self._command, stdout=out, stderr=out)
        wait(lambda: listens(self.port), 20, self._log.read_text)

    def kill(self) -> None:
        assert self._child is not None
        self._child.kill()
        self._child.wait(10)

    def stop(self) -> int:
        if self._child is None:
            return 0
        self._child.terminate()
        return self._child.wait(10)


class Locks:
    """Other processes that lock the database for a while, one after another."""

    def __init__(self, database: Database, lock_s: float) -> None:
        code = _LOCK_POSTGRESQL if database.url else _LOCK_SQLITE
        self._command = [sys.executable, "-c", code, database.url or str(database.path)]
        self._lock_s = lock_s
        self._children: list[subprocess.Popen[bytes]] = []

    def lock(self) -> None:
        """Begin; the kills go on meanwhile."""
        self._children.append(self._locker(self._lock_s))

    @contextmanager
    def held(self, longest_s: float) -> Iterator[None]:
        """It is locked until the end of the body."""
        with self._locker(longest_s) as child:
            assert child.stdout is not None and child.stdout.readline() == b"locked\n"
            try:
                yield
            finally:
                child.kill()

    def _locker(self, lock_s: float) -> subprocess.Popen[bytes]:
        return subprocess.Popen([*self._command, str(lock_s)], cwd=ROOT, stdout=subprocess.PIPE)

    def end(self) -> int:
        """Wait for all of them; how many really had the lock."""
        told = [child.communicate(timeout=90)[0] for child in self._children]
        self._children = []
        return told.count(b"locked\n")


def ordeal(
    folder: Path,
    trouble: Mapping[Variant, int],
    *,
    fills: int,
    per_s: float,
    kills: int,
    database_url: str = "",
    lock_s: float = LOCK_S,
    seed: int = 1,
) -> Result:
    """Run it; ``folder`` is empty, ``database_url`` that of an empty PostgreSQL (else it is SQLite). ``times``: how
    often the variant's trouble is made. Raises AssertionError if the figures do not come to agree."""
    place = PLACES["binance"]
    with ExitStack() as stack:
        exchange = stack.enter_context(simulated(place))
        redis = Redis(folder)
        redis.start()
        stack.callback(redis.stop)
        config = folder / "spreadboard.toml"
        config.write_text(config_text(exchange.process.port, place))
        (folder / "worker").mkdir()
        shared = {
            "DATABASE_URL": database_url or f"sqlite:///{folder / 'worker' / 'db.sqlite3'}",
            "REDIS_URL": redis.url,
            "SECRET_KEY": random_texts.token_hex(32),
            "LOG_FORMAT": "json",
        }
        port = free_port()
        web_env = environment(
            folder / "web", config, PORT=str(port), DJANGO_SETTINGS_MODULE="dashboard.settings", **shared
        )
        manage(web_env, "migrate", "--verbosity", "0")
        if not (ROOT / "staticfiles" / "staticfiles.json").exists():  # make test has collected them
            manage(web_env, "collectstatic", "--noinput", "--verbosity", "0")
        database = Database(database_url, folder / "worker")
        worker = Child(
            environment(folder / "worker", config, **shared, **secrets(place)), folder / "worker.log", RUNFEEDS
        )
        daphne = ("-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "-v", "0", "dashboard.asgi:application")
        web = Child(web_env, folder / "web.log", daphne)
        deaths = Deaths(worker, [database], place.dead_s, seed)
        locks = Locks(database, lock_s)
        stack.callback(locks.end)
        for child in (web, worker):
            stack.callback(child.stop)
            child.start()
        site = Site(port, manage(web_env, "apitoken").split()[-1])
        wait(lambda: listens(port), 60, lambda: tail(folder))
        wait(lambda: site.states() == {"LIVE"}, 60, lambda: f"{database.state()}\n{tail(folder)}")
        account = database.account()
        watcher = Watcher(site, account)
        watcher.start()
        stack.callback(watcher.end)

        rng = random.Random(seed)

        def redis_dies() -> None:
            redis.kill()
            time.sleep(rng.uniform(0.0, 1.0))
            redis.start()

        def web_dies() -> None:
            web.kill()
            time.sleep(rng.uniform(0.0, 1.0))
            web.start()

        exchange.fills(fills, per_s)
        happens = {"locked": locks.lock, "redis": redis_dies, "web": web_dies}
        plan = {"kill": (kills, deaths.die)} | {kind: (times, happens[kind]) for kind, times in trouble.items()}
        make_trouble(plan, fills / per_s, seed)
        locked = locks.end()
        wait(lambda: not exchange.fills_to_come(), 60, lambda: "the exchange did not execute all fills")
        ended_s, ended_ns = time.monotonic(), time.time_ns()
        wait_until_equal(exchange, database, folder)
        agreed_s = time.monotonic() - ended_s
        truth = exchange.figures()
        wait(
            lambda: not differences(watcher.figures(), truth, place) and set(watcher.state.values()) == {"LIVE"},
            60,
            lambda: "\n".join(
                [str(watcher.state), *differences(watcher.figures(), truth, place)[:20], *watcher.errors, tail(folder)]
            ),
        )
        shown_s = time.monotonic() - ended_s
        wait_until_live(database, folder, ended_ns)
        wait(lambda: site.states() == {"LIVE"}, 60, lambda: f"{database.state()}\n{tail(folder)}")
        paged = site.all_fills(account)
        watcher.end()
        stopped_s = time.monotonic()
        with locks.held(60.0) if "locked" in trouble else nullcontext():  # nobody may wait for that to end
            code = worker.stop()
        stopped_s = time.monotonic() - stopped_s
        codes = {"worker": code, "web": web.stop(), "redis": redis.stop()}
        newest = sorted(row["row"] for row in paged)[-NEWEST:]
        return Result(
            {
                "variant": f"{', '.join(trouble)}, on {'PostgreSQL' if database_url else 'SQLite'}",
                "fills a second": f"{per_s:g}",
                **outcome(exchange, database),
                "worker killed": len(deaths.stored),
                "stored when it was killed": [stored for (stored,) in deaths.stored],
                "database locked": locked,
                "Redis killed": trouble.get("redis", 0),
                "web process killed": trouble.get("web", 0),
                "seconds until all agreed": round(agreed_s, 1),
                "fills by paging /api/fills/": len({(row["symbol"], row["id"]) for row in paged}),
                "of them twice by paging": len(paged) - len({(row["symbol"], row["id"]) for row in paged}),
                "fills shown to the client": len(watcher.shown),
                "of them pushed by /ws/": len(watcher.pushed),
                "of them by REST alone": len(watcher.read - watcher.pushed),
                f"newest {NEWEST} not pushed": len(set(newest) - watcher.pushed),
                "connections of the client": watcher.connections,
                "times that it was told STALE": sum(state == "STALE" for _, state in watcher.told_ns),
                "seconds LIVE with a fill unshown": round(watcher.late_as_live_s(), 1),
                "errors of the client": watcher.errors,
                "seconds until the client had all": round(shown_s, 1),
                "seconds until the worker had stopped": round(stopped_s, 1),
                "exit codes": codes,
            }
        )


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
