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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from feeds.simulator import SimulatorProcess, endpoints, run
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


def config_text(port: int, *places: Place, watched: Sequence[Place] = ()) -> str:
    """A spreadboard.toml for the simulator at ``port``: an account at each of these exchanges, Binance if none;
    and those that are only ``watched``."""
    lines: list[str] = []
    followed = places or (BINANCE,)
    for place in (*followed, *watched):
        products = "[" + ", ".join(f'"{product}"' for product in place.products) + "]"
        lines += [f"[exchanges.{place.exchange}]", f"products = {products}", f'pinned = ["{place.pinned}"]']
        hosts: dict[str, list[str]] = {}
        for key, url in endpoints("127.0.0.1", port)[place.exchange].items():
            host, _, kind = key.partition(".")
            hosts.setdefault(host, []).append(f'{kind}_url = "{url}"')
        for host, urls in hosts.items():
            lines += [f"[exchanges.{place.exchange}.{host}]", *urls]
        if place in watched:
            continue
        account = [f'exchange = "{place.exchange}"', 'label = "Main"', f"products = {products}"]
        lines += [f"[accounts.{place.account}]", *account]
    return "\n".join(lines) + "\n"


def secrets(*places: Place) -> dict[str, str]:
    """The environment of a worker that follows the accounts at these exchanges."""
    env: dict[str, str] = {}
    for place in places:
        given = {"KEY": place.key.key, "SECRET": place.key.secret, "PASSPHRASE": place.key.passphrase}
        env |= {f"SPREADBOARD_{place.account.upper()}_{name}": text for name, text in given.items() if text}
        env |= place.secrets
    return env


class Result(dict[str, Any]):
    """The drill's figures, by name; ``str`` is a table."""

    def __str__(self) -> str:
        width = max(map(len, self))
        return "\n".join(f"{name.ljust(width)}  {value}" for name, value in self.items())


@contextmanager
def simulated(place: Place = BINANCE) -> Iterator[Exchange]:
    with simulator(place) as process:
        yield Exchange(process, place)


@contextmanager
def simulator(*places: Place) -> Iterator[SimulatorProcess]:
    process = run(exchanges=[place.exchange for place in places])
    try:
        yield process
    finally:
        process.stop()


class Pour(NamedTuple):
    """So many fills at one exchange, and how fast."""

    place: Place
    fills: int
    per_s: float


def drill(
    folder: Path, *, fills: int, per_s: float, place: Place = BINANCE, kills: int, cuts: int, database_url: str = ""
) -> Result:
    """:func:`drills` at one exchange."""
    (result,) = drills(folder, [Pour(place, fills, per_s)], kills=kills, cuts=cuts, database_url=database_url)
    return result


def drills(folder: Path, pours: Sequence[Pour], *, kills: int, cuts: int, database_url: str = "") -> list[Result]:
    """Run it with one worker for all of these exchanges; ``folder`` is empty.

    Fills come as soon as one account is LIVE: some exchanges have a long history to read before that.
    Raises AssertionError if the figures do not come to agree.
    """
    places = [pour.place for pour in pours]
    with simulator(*places) as process:
        config = folder / "spreadboard.toml"
        config.write_text(config_text(process.port, *places))
        env = environment(folder / "var", config, DATABASE_URL=database_url, LOG_FORMAT="json", **secrets(*places))
        migrated(env)
        exchanges = [Exchange(process, place) for place in places]
        databases = [Database(database_url, folder / "var", place.exchange) for place in places]
        worker = Child(env, folder / "worker.log")
        deaths = Deaths(worker, databases, max(place.dead_s for place in places))
        worker.start()
        try:
            wait(lambda: "LIVE" in {database.state()[0] for database in databases}, 60, lambda: tail(folder))
            for exchange, pour in zip(exchanges, pours, strict=True):
                exchange.fills(pour.fills, pour.per_s)
            lasts_s = max(pour.fills / pour.per_s for pour in pours)
            make_trouble({"kill": (kills, deaths.die), "cut": (cuts, lambda: cut(exchanges))}, lasts_s)
            wait(lambda: not exchanges[0].fills_to_come(), 60, lambda: "the exchanges did not execute all fills")
            ended_s, ended_ns = time.monotonic(), time.time_ns()
            agreed_s = []
            for exchange, database in zip(exchanges, databases, strict=True):
                wait_until_equal(exchange, database, folder)
                agreed_s.append(round(time.monotonic() - ended_s, 1))
            for database in databases:
                wait_until_live(database, folder, ended_ns)
        finally:
            code = worker.stop()
        return [
            Result(
                {
                    "exchange": exchange.place.exchange,
                    "fills a second": f"{pour.per_s:g}",
                    **outcome(exchange, database),
                    "worker killed": len(deaths.stored),
                    "stored when it was killed": [stored[number] for stored in deaths.stored],
                    "connections cut": cuts,
                    "seconds between death and next start": round(deaths.dead_s, 1),
                    "seconds until all agreed": agreed_s[number],
                    "exit code of the last worker": code,
                }
            )
            for number, (exchange, database, pour) in enumerate(zip(exchanges, databases, pours, strict=True))
        ]


def cut(exchanges: Iterable[Exchange]) -> None:
    for exchange in exchanges:
        exchange.cut()


class Deaths:
    """Kills the worker and starts the next one; knows how many fills were stored at each death, by database (None:
    nobody could look, as it was locked)."""

    def __init__(self, worker: Child, databases: Sequence[Database], most_s: float, seed: int = 1) -> None:
        self.stored: list[list[int | None]] = []
        self.dead_s = 0.0
        self._worker = worker
        self._databases = databases
        self._most_s = most_s
        self._rng = random.Random(-seed)

    def die(self) -> None:
        self._worker.kill()
        died_s = time.monotonic()
        self.stored.append([_stored(database) for database in self._databases])
        time.sleep(self._rng.uniform(0.0, self._most_s))
        self._worker.start()
        self.dead_s += time.monotonic() - died_s


def _stored(database: Database) -> int | None:
    import psycopg

    try:
        return database.fill_count(lock_s=0.2)
    except psycopg.errors.LockNotAvailable:
        return None


def make_trouble(trouble: Mapping[str, tuple[int, Callable[[], object]]], lasts_s: float, seed: int = 1) -> None:
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


def wait_until_equal(exchange: Exchange, database: Database, folder: Path) -> None:
    """Until the database says what the exchange does, to the last digit."""
    true, place = len(exchange.figures()["fills"]), exchange.place

    def wrong() -> list[str]:
        return differences(database.figures(), exchange.figures(), place)

    wait(
        lambda: database.fill_count() >= true and not wrong(),
        place.patience_s,
        lambda: "\n".join([*wrong()[:20], str(database.state()), tail(folder)]),
    )


def wait_until_live(database: Database, folder: Path, since_ns: int = 0) -> None:
    """Until a worker has written, after ``since_ns``, that the account is LIVE."""

    def live() -> bool:
        state, _, written_ns = database.state()
        return state == "LIVE" and written_ns > since_ns

    wait(live, 60, lambda: f"{database.state()}\n{tail(folder)}")


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
