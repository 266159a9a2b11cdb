"""The kill drill: fills pour in at the exchange while the worker is killed (-9) and its connections are cut.

Real processes: the simulator, and ``manage.py runfeeds`` with a database of its own. Afterwards the database, read
with plain SQL, is held against what the exchange says. Used by the tests beside it and by ``bench/killtest.py``; scaled
out, with other trouble: ``scaled.py``.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from feeds.simulator import endpoints, run
from tests.killtest.figures import Database, Exchange, differences
from tests.killtest.places import PLACES, Place
from tests.shared import ROOT
from tests.system.processes import environment, migrated

BINANCE = PLACES["binance"]
RUNFEEDS = ("manage.py", "runfeeds")


class Child:
    """A process of the deployment, started anew after each death."""

    def __init__(self, env: Mapping[str, str], log: Path, command: Sequence[str] = RUNFEEDS) -> None:
        self._env = env
        self._log = log
        self._command = [sys.executable, *command]
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as out:
            self._child = subprocess.Popen(self._command, cwd=ROOT, env=self._env, stdout=out, stderr=out)

    def kill(self) -> None:
        """-9: nothing is flushed, nothing is said."""
        assert self._child is not None
        self._child.send_signal(signal.SIGKILL)
        code = self._child.wait(10)
        if code != -signal.SIGKILL:
            raise AssertionError(f"it had ended by itself ({code}):\n{self._log.read_text()[-4000:]}")

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        if self._child is None or self._child.poll() is not None:
            return self._child.returncode if self._child else 0
        self._child.terminate()
        try:
            return self._child.wait(10)
        except subprocess.TimeoutExpired:
            self._child.kill()
            return self._child.wait()


def config_text(port: int, place: Place = BINANCE) -> str:
    """A spreadboard.toml for the simulator at ``port``, with the account that the drill uses."""
    products = "[" + ", ".join(f'"{product}"' for product in place.products) + "]"
    lines = [f"[exchanges.{place.exchange}]", f"products = {products}", f'pinned = ["{place.pinned}"]']
    hosts: dict[str, list[str]] = {}
    for key, url in endpoints("127.0.0.1", port)[place.exchange].items():
        host, _, kind = key.partition(".")
        hosts.setdefault(host, []).append(f'{kind}_url = "{url}"')
    for host, urls in hosts.items():
        lines += [f"[exchanges.{place.exchange}.{host}]", *urls]
    lines += ["[accounts.main]", f'exchange = "{place.exchange}"', 'label = "Main"', f"products = {products}"]
    return "\n".join(lines) + "\n"


def secrets(place: Place) -> dict[str, str]:
    """The environment of a worker that follows the account."""
    given = {"KEY": place.key.key, "SECRET": place.key.secret, "PASSPHRASE": place.key.passphrase}
    return {f"SPREADBOARD_MAIN_{name}": text for name, text in given.items() if text} | dict(place.secrets)


class Result(dict[str, Any]):
    """The drill's figures, by name; ``str`` is a table."""

    def __str__(self) -> str:
        width = max(map(len, self))
        return "\n".join(f"{name.ljust(width)}  {value}" for name, value in self.items())


@contextmanager
def simulated(place: Place = BINANCE) -> Iterator[Exchange]:
    process = run(exchanges=(place.exchange,))
    try:
        yield Exchange(process, place)
    finally:
        process.stop()


def drill(
    folder: Path,
    *,
    fills: int,
    per_s: float,
    kills: int,
    cuts: int,
    place: Place = BINANCE,
    database_url: str = "",
    seed: int = 1,
) -> Result:
    """Run it; ``folder`` is empty. Raises AssertionError if the figures do not come to agree."""
    with simulated(place) as exchange:
        config = folder / "spreadboard.toml"
        config.write_text(config_text(exchange.process.port, place))
        env = environment(folder / "var", config, DATABASE_URL=database_url, LOG_FORMAT="json", **secrets(place))
        migrated(env)
        database = Database(database_url, folder / "var")
        worker = Child(env, folder / "worker.log")
        deaths = Deaths(worker, database, seed, place.dead_s)
        worker.start()
        try:
            wait(lambda: database.state()[0] == "LIVE", 60, lambda: f"{database.state()}\n{tail(folder)}")
            exchange.fills(fills, per_s)
            trouble = {"kill": (kills, deaths.die), "cut": (cuts, exchange.cut)}
            make_trouble(trouble, fills / per_s, seed)
            agreed_s = wait_until_equal(exchange, database, folder)
            wait(lambda: database.state()[0] == "LIVE", 60, lambda: f"{database.state()}\n{tail(folder)}")
        finally:
            code = worker.stop()
        return Result(
            {
                "exchange": place.exchange,
                "fills a second": f"{per_s:g}",
                **outcome(exchange, database),
                "worker killed": len(deaths.stored),
                "stored when it was killed": deaths.stored,
                "connections cut": cuts,
                "seconds between death and next start": round(deaths.dead_s, 1),
                "seconds until all agreed": agreed_s,
                "exit code of the last worker": code,
            }
        )


class Deaths:
    """Kills the worker and starts the next one; knows what was stored at each death (None: nobody could look)."""

    def __init__(self, worker: Child, database: Database, seed: int, most_s: float) -> None:
        self._most_s = most_s
        self._worker = worker
        self._database = database
        self._rng = random.Random(-seed)
        self.stored: list[int | None] = []
        self.dead_s = 0.0

    def die(self) -> None:
        self._worker.kill()
        died_s = time.monotonic()
        self.stored.append(self._stored())
        time.sleep(self._rng.uniform(0.0, self._most_s))
        self._worker.start()
        self.dead_s += time.monotonic() - died_s

    def _stored(self) -> int | None:
        import psycopg

        try:
            return int(self._database.rows("SELECT count(*) AS n FROM dashboard_fill", lock_s=0.2)[0]["n"])
        except psycopg.errors.LockNotAvailable:
            return None


def make_trouble(trouble: Mapping[str, tuple[int, Callable[[], object]]], lasts_s: float, seed: int) -> None:
    """Each kind so many times, at random moments of the time that the fills last, each in a part of it of its own."""
    rng = random.Random(seed)
    plan = [
        ((number + rng.uniform(0.2, 0.8)) / count * lasts_s, kind)
        for kind, (count, _) in trouble.items()
        for number in range(count)
    ]
    begun_s = time.monotonic()
    for at_s, kind in sorted(plan):
        time.sleep(max(0.0, begun_s + at_s - time.monotonic()))
        trouble[kind][1]()


def wait_until_equal(exchange: Exchange, database: Database, folder: Path) -> float:
    """Until the exchange has executed all, and the database says the same; how many seconds after that."""
    wait(lambda: not exchange.fills_to_come(), 60, lambda: "the exchange did not execute all fills")
    ended_s = time.monotonic()
    true = len(exchange.figures()["fills"])
    wait(
        lambda: database.fill_count() >= true and not differences(database.figures(), exchange.figures(), exchange.place),
        90,
        lambda: "\n".join(
            [*differences(database.figures(), exchange.figures(), exchange.place)[:20], str(database.state()), tail(folder)]
        ),
    )
    return round(time.monotonic() - ended_s, 1)


def outcome(exchange: Exchange, database: Database) -> dict[str, Any]:
    """Counts, after everything has ended."""
    rows, true = database.fill_rows(), exchange.figures()
    keys = [(row["symbol"], row["fill_id"]) for row in rows]
    return {
        "fills at the exchange": len(true["fills"]),
        "fills in the database": len(rows),
        "of them twice": len(keys) - len(set(keys)),
        "missing": len(true["fills"].keys() - set(keys)),
        "unknown to the exchange": len(set(keys) - true["fills"].keys()),
        "told first by stream": sum(row["source"] == "stream" for row in rows),
        "told first by REST": sum(row["source"] == "rest" for row in rows),
        "figures that differ": len(differences(database.figures(), true, exchange.place)),
        "balances compared": len(true["balances"]),
        "positions compared": len(true["positions"]),
    }


def wait(condition: Callable[[], object], within_s: float, why: Callable[[], object]) -> None:
    end_s = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > end_s:
            raise AssertionError(f"not within {within_s:g} s: {str(why())[:6000]}")
        time.sleep(0.1)


def tail(folder: Path) -> str:
    return "".join(
        f"--- {path.name}\n{path.read_text()[-3000:]}" for path in sorted(folder.glob("*.log")) if os.path.getsize(path)
    )
