"""The kill drill: fills pour in at the exchange while the worker is killed (-9) and its connections are cut.

Real processes: the simulator, and ``manage.py runfeeds`` with a database of its own. Afterwards the database, read
with plain SQL, is held against what the exchange says. Used by ``test_kill.py`` and by ``bench/killtest.py``.
"""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from feeds.simulator import SimulatorProcess, endpoints, run
from feeds.simulator.keys import TEST_KEY, TEST_SECRET
from tests.shared import ROOT
from tests.system.processes import environment, migrated

ACCOUNT = "test"  # of the simulator: nobody trades in it but this drill
MARKETS = (("spot", "BTCUSDT"), ("spot", "ETHUSDT"), ("usdm", "BTCUSDT"), ("usdm", "ETHUSDT"))

Figures = dict[str, Any]
"""What is compared, in comparable form: fills by (symbol, id), balances by (product, asset), positions by symbol."""


class Exchange:
    """The simulator's controls."""

    def __init__(self, process: SimulatorProcess) -> None:
        self.process = process
        self.base = f"http://{process.host}:{process.port}"

    def call(self, path: str, body: dict[str, Any] | None = None, *, timeout_s: float = 60.0) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"} if data else {})
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:
            return json.load(answer)

    def fills(self, count: int, per_s: float) -> None:
        """Begin ``count`` executions in all, at ``per_s`` in all, spread over the markets."""
        for number, (product, symbol) in enumerate(MARKETS):
            share = count // len(MARKETS) + (number < count % len(MARKETS))
            wanted = {"account": ACCOUNT, "product": product, "symbol": symbol, "count": share}
            self.call("/__sim/fills", wanted | {"per_s": per_s / len(MARKETS)})

    def cut(self) -> None:
        self.call("/__sim/faults", {"exchange": "binance", "kind": "cut"})

    def fills_to_come(self) -> bool:
        return bool(self.call(f"/__sim/truth?account={ACCOUNT}")["fills_to_come"])

    def figures(self) -> Figures:
        told = self.call(f"/__sim/truth?account={ACCOUNT}")
        spot = {
            ("spot", asset): Decimal(row["free"]) + Decimal(row["locked"])
            for asset, row in told["balances"]["spot"].items()
        }
        usdm = {("usdm", asset): Decimal(row["total"]) for asset, row in told["balances"]["usdm"].items()}
        return {
            "fills": {(row["symbol"], row["id"]): _fill(row) for row in told["fills"]},
            "balances": {key: total for key, total in (spot | usdm).items() if total},
            "positions": {row["symbol"]: Decimal(row["size"]) for row in told["positions"]},
        }


def _fill(row: Any) -> tuple[Any, ...]:
    realised = row["realised"]
    return (
        row["product"],
        row["order_id"],
        row["side"],
        Decimal(row["price"]),
        Decimal(row["size"]),
        Decimal(row["fee"]),
        row["fee_asset"],
        bool(row["maker"]),
        None if realised is None else Decimal(realised),
        row["exchange_ms"],
    )


class Database:
    """The worker's database, read without any code of ours."""

    def __init__(self, url: str, var: Path) -> None:
        self._url = url
        self._path = var / "db.sqlite3"

    def rows(self, query: str) -> list[dict[str, Any]]:
        if not self._url:
            with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=20)) as connection:
                cursor = connection.execute(query)
                names = [column[0] for column in cursor.description]
                return [dict(zip(names, row, strict=True)) for row in cursor]
        import psycopg
        from psycopg.rows import dict_row

        with psycopg.connect(self._url, row_factory=dict_row) as connection:
            return connection.execute(query).fetchall()  # type: ignore[arg-type]

    def fill_rows(self) -> list[dict[str, Any]]:
        return self.rows("SELECT * FROM dashboard_fill ORDER BY id")

    def state(self) -> tuple[str, str]:
        rows = self.rows("SELECT state, sentence FROM dashboard_exchangeaccount")
        return (rows[0]["state"], rows[0]["sentence"]) if rows else ("", "no account yet")

    def figures(self) -> Figures:
        fills = {(row["symbol"], row["fill_id"]): _fill(row) for row in self.fill_rows()}
        balances = self.rows("SELECT product, asset, total FROM dashboard_balance")
        positions = self.rows("SELECT symbol, size FROM dashboard_position")
        return {
            "fills": fills,
            "balances": {(r["product"], r["asset"]): Decimal(r["total"]) for r in balances if Decimal(r["total"])},
            "positions": {r["symbol"]: Decimal(r["size"]) for r in positions if Decimal(r["size"])},
        }


class Worker:
    """``manage.py runfeeds``, started anew after each death."""

    def __init__(self, env: dict[str, str], log: Path) -> None:
        self._env = env
        self._log = log
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as out:
            self._child = subprocess.Popen(
                [sys.executable, "manage.py", "runfeeds"], cwd=ROOT, env=self._env, stdout=out, stderr=out
            )

    def kill(self) -> None:
        """-9: nothing is flushed, nothing is said."""
        assert self._child is not None
        self._child.send_signal(signal.SIGKILL)
        code = self._child.wait(10)
        if code != -signal.SIGKILL:
            raise AssertionError(f"the worker had ended by itself ({code}):\n{self._log.read_text()[-4000:]}")

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


def config_text(port: int, exchanges: Sequence[str] = ("binance",)) -> str:
    """A spreadboard.toml for the simulator at ``port``, with the account that the drill uses."""
    lines = []
    for name in exchanges:
        lines.append(f"[exchanges.{name}]")
        if name == "binance":
            lines.append('pinned = ["BTC/USDT"]')
        urls = endpoints("127.0.0.1", port)[name]
        for host in dict.fromkeys(key.partition(".")[0] for key in urls):
            lines.append(f"[exchanges.{name}.{host}]")
            lines += [
                f'{key.partition(".")[2]}_url = "{url}"' for key, url in urls.items() if key.startswith(f"{host}.")
            ]
    lines += ["[accounts.main]", 'exchange = "binance"', 'label = "Main"', 'products = ["spot", "usdm"]']
    return "\n".join(lines) + "\n"


class Result(dict[str, Any]):
    """The drill's figures, by name; ``str`` is a table."""

    def __str__(self) -> str:
        width = max(map(len, self))
        return "\n".join(f"{name.ljust(width)}  {value}" for name, value in self.items())


@contextmanager
def simulated(exchanges: Sequence[str] = ("binance",)) -> Iterator[Exchange]:
    process = run(exchanges=exchanges)
    try:
        yield Exchange(process)
    finally:
        process.stop()


def drill(
    folder: Path, *, fills: int, per_s: float, kills: int, cuts: int, database_url: str = "", seed: int = 1
) -> Result:
    """Run it; ``folder`` is empty. Raises AssertionError if the figures do not come to agree."""
    with simulated() as exchange:
        config = folder / "spreadboard.toml"
        config.write_text(config_text(exchange.process.port))
        secrets = {"SPREADBOARD_MAIN_KEY": TEST_KEY, "SPREADBOARD_MAIN_SECRET": TEST_SECRET}
        env = environment(folder / "var", config, DATABASE_URL=database_url, LOG_FORMAT="json", **secrets)
        migrated(env)
        database = Database(database_url, folder / "var")
        worker = Worker(env, folder / "worker.log")
        worker.start()
        try:
            _wait(lambda: database.state()[0] == "LIVE", 60, lambda: f"{database.state()}\n{_tail(folder)}")
            exchange.fills(fills, per_s)
            dead_s, killed_at = _make_trouble(exchange, worker, database, fills / per_s, kills, cuts, seed)
            _wait(lambda: not exchange.fills_to_come(), 60, lambda: "the exchange did not execute all fills")
            ended_s = time.monotonic()
            _wait(
                lambda: database.figures() == exchange.figures(),
                90,
                lambda: f"{_differences(database.figures(), exchange.figures())}\n{database.state()}\n{_tail(folder)}",
            )
            agreed_s = time.monotonic() - ended_s
            _wait(lambda: database.state()[0] == "LIVE", 60, lambda: f"{database.state()}\n{_tail(folder)}")
        finally:
            code = worker.stop()
        rows, true = database.fill_rows(), exchange.figures()
        keys = [(row["symbol"], row["fill_id"]) for row in rows]
        return Result(
            {
                "fills at the exchange": len(true["fills"]),
                "fills in the database": len(rows),
                "of them twice": len(keys) - len(set(keys)),
                "missing": len(true["fills"].keys() - set(keys)),
                "unknown to the exchange": len(set(keys) - true["fills"].keys()),
                "told first by stream": sum(row["source"] == "stream" for row in rows),
                "told first by REST": sum(row["source"] == "rest" for row in rows),
                "worker killed": len(killed_at),
                "stored when it was killed": killed_at,
                "connections cut": cuts,
                "seconds between death and next start": round(dead_s, 1),
                "figures that differ": len(_differences(database.figures(), true)),
                "balances compared": len(true["balances"]),
                "seconds until all agreed": round(agreed_s, 1),
                "exit code of the last worker": code,
            }
        )


def _make_trouble(
    exchange: Exchange, worker: Worker, database: Database, lasts_s: float, kills: int, cuts: int, seed: int
) -> tuple[float, list[int]]:
    """Kills and cuts at random moments of the time that the fills last, each in a part of it of its own."""
    rng = random.Random(seed)
    plan = [((number + rng.uniform(0.2, 0.8)) / kills * lasts_s, "kill") for number in range(kills)]
    plan += [((number + rng.uniform(0.2, 0.8)) / cuts * lasts_s, "cut") for number in range(cuts)]
    begun_s, dead_s, stored = time.monotonic(), 0.0, []
    for at_s, what in sorted(plan):
        time.sleep(max(0.0, begun_s + at_s - time.monotonic()))
        if what == "cut":
            exchange.cut()
            continue
        worker.kill()
        died_s = time.monotonic()
        stored.append(len(database.fill_rows()))
        time.sleep(rng.uniform(0.0, 0.5))
        worker.start()
        dead_s += time.monotonic() - died_s
    return dead_s, stored


def _differences(ours: Figures, theirs: Figures) -> list[str]:
    """Every figure that is not the same, as text."""
    found = []
    for kind in theirs:
        for key in sorted(ours[kind].keys() | theirs[kind].keys()):
            mine, true = ours[kind].get(key), theirs[kind].get(key)
            if mine != true:
                found.append(f"{kind} {key}: stored {mine}, exchange {true}")
    return found


def _wait(condition: Any, within_s: float, why: Any) -> None:
    end_s = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > end_s:
            raise AssertionError(f"not within {within_s:g} s: {str(why())[:6000]}")
        time.sleep(0.1)


def _tail(folder: Path) -> str:
    return "".join(
        f"--- {path.name}\n{path.read_text()[-3000:]}" for path in sorted(folder.glob("*.log")) if os.path.getsize(path)
    )
