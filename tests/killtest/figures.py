"""What an exchange says of an account and what a database holds of it, in comparable form.

The exchange's side comes from the simulator's controls, the database's by plain SQL: no code of ours stands between.
"""

import json
import sqlite3
import urllib.request
from collections.abc import Mapping
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

from feeds.simulator import SimulatorProcess
from tests.killtest.places import PLACES, Place

ACCOUNT = "test"  # of the simulator: nobody trades in it but this drill

Figures = Mapping[str, Mapping[Any, Any]]
"""Fills by (symbol, id), each by column; balances by (product, asset); positions by symbol."""


class Exchange:
    """The simulator's controls of one exchange."""

    def __init__(self, process: SimulatorProcess, place: Place = PLACES["binance"]) -> None:
        self.process = process
        self.place = place
        self.base = f"http://{process.host}:{process.port}"

    def call(self, path: str, body: dict[str, Any] | None = None, *, timeout_s: float = 60.0) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"} if data else {})
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:
            return json.load(answer)

    def fills(self, count: int, per_s: float) -> None:
        """Begin ``count`` executions in all, at ``per_s`` in all, spread over the markets."""
        markets = self.place.markets
        for share, (product, symbol) in zip(shares(count, len(markets)), markets, strict=True):
            wanted = {"exchange": self.place.exchange, "account": ACCOUNT, "product": product, "symbol": symbol}
            self.call("/__sim/fills", wanted | {"count": share, "per_s": per_s / len(markets)})

    def cut(self) -> None:
        self.call("/__sim/faults", {"exchange": self.place.exchange, "kind": "cut"})

    def truth(self) -> Any:
        return self.call(f"/__sim/truth?exchange={self.place.exchange}&account={ACCOUNT}")

    def fills_to_come(self) -> bool:
        return bool(self.truth()["fills_to_come"])

    def figures(self) -> Figures:
        told, place = self.truth(), self.place
        balances: dict[tuple[str, str], Decimal] = {}
        for wallet, assets in told["balances"].items():
            for asset, row in assets.items():
                total = sum(Decimal(row[name]) for name in ("free", "locked", "total") if name in row)
                key = place.balance(wallet, asset)
                balances[key] = balances.get(key, Decimal(0)) + total
        return {
            "fills": {
                (row["symbol"], place.fill_id(row)): fill_columns(row | {"order_id": place.order_id(row)})
                for row in told["fills"]
            },
            "balances": {key: total for key, total in balances.items() if total},
            "positions": {row["symbol"]: Decimal(row["size"]) for row in told["positions"]},
        }


def shares(count: int, markets: int) -> list[int]:
    """How many of ``count`` fills each market gets: odd numbers where it can be, so that as much is not sold as bought
    and positions remain."""
    result = [count // markets + (number < count % markets) for number in range(markets)]
    for number in range(0, markets - 1, 2):
        if result[number] % 2 == 0 and result[number + 1]:
            result[number] += 1
            result[number + 1] -= 1
    return result


def fill_columns(row: Mapping[str, Any]) -> dict[str, Any]:
    def number(name: str) -> Decimal | None:
        return None if row[name] is None else Decimal(row[name])

    return {
        **{name: row[name] for name in ("product", "order_id", "side", "exchange_ms")},
        **{name: number(name) for name in ("price", "size", "fee", "realised")},
        "fee_asset": row["fee_asset"] or None,
        "maker": None if row["maker"] is None else bool(row["maker"]),
    }


class Database:
    """The worker's database, PostgreSQL at ``url`` or SQLite in ``var``: the account at one exchange."""

    def __init__(self, url: str, var: Path, exchange: str = "binance") -> None:
        self.url = url
        self.path = var / "db.sqlite3"
        self._ours = f"account_id = (SELECT id FROM dashboard_exchangeaccount WHERE exchange = '{exchange}')"
        self._account = (
            f"SELECT id, state, sentence, state_recv_ns FROM dashboard_exchangeaccount WHERE exchange = '{exchange}'"
        )

    def rows(self, query: str, *, lock_s: float = 60.0) -> list[dict[str, Any]]:
        """``lock_s``: how long it may wait for one who has locked what it asks for."""
        if not self.url:
            with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=lock_s)) as connection:
                cursor = connection.execute(query)
                names = [column[0] for column in cursor.description]
                return [dict(zip(names, row, strict=True)) for row in cursor]
        import psycopg
        from psycopg.rows import dict_row

        with psycopg.connect(self.url, row_factory=dict_row) as connection:
            connection.execute(f"SET lock_timeout = {lock_s * 1000:.0f}")
            return connection.execute(query).fetchall()

    def fill_rows(self) -> list[dict[str, Any]]:
        return self.rows(f"SELECT * FROM dashboard_fill WHERE {self._ours} ORDER BY id")

    def fill_count(self, *, lock_s: float = 60.0) -> int:
        query = f"SELECT count(*) AS fills FROM dashboard_fill WHERE {self._ours}"
        return int(self.rows(query, lock_s=lock_s)[0]["fills"])

    def account(self) -> int:
        return int(self.rows(self._account)[0]["id"])

    def state(self) -> tuple[str, str, int]:
        """State, sentence, and when they were last known to hold, in ns."""
        rows = self.rows(self._account)
        if not rows:
            return "", "no account yet", 0
        return rows[0]["state"], rows[0]["sentence"], rows[0]["state_recv_ns"]

    def figures(self) -> Figures:
        fills = {(row["symbol"], row["fill_id"]): fill_columns(row) for row in self.fill_rows()}
        balances = self.rows(f"SELECT product, asset, total FROM dashboard_balance WHERE {self._ours}")
        positions = self.rows(f"SELECT symbol, size FROM dashboard_position WHERE {self._ours}")
        return {
            "fills": fills,
            "balances": {(r["product"], r["asset"]): Decimal(r["total"]) for r in balances if Decimal(r["total"])},
            "positions": {r["symbol"]: Decimal(r["size"]) for r in positions if Decimal(r["size"])},
        }


def differences(ours: Figures, theirs: Figures, place: Place) -> list[str]:
    """Every figure that is not the same, as text. What the exchange tells nobody must be unknown to us."""
    found = []
    for kind in theirs:
        for key in sorted(ours[kind].keys() | theirs[kind].keys()):
            mine, true = ours[kind].get(key), theirs[kind].get(key)
            if kind == "fills" and mine is not None and true is not None:
                unknown = {name for name in place.once if mine[name] is None} | place.untold
                true = true | dict.fromkeys(unknown)
            if mine != true:
                found.append(f"{kind} {key}: stored {mine}, exchange {true}")
    return found
