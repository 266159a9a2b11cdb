"""Asking the REST API in tests: the answer's form is checked at every question."""

import re
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.test import Client

from dashboard import ledger, records
from dashboard.models import ExchangeAccount
from dashboard.rows import Moment
from tests.dashboard.values import balance, fill, order, position

PROTOCOL = (Path(__file__).resolve().parents[2] / "docs" / "protocol.md").read_text()
LISTS = ("/api/balances/", "/api/positions/", "/api/orders/", "/api/fills/")


def documented(path: str, name: str) -> list[str]:
    """The field names of a row, as the table of section 3 lists them for ``name`` at ``path``."""
    line = next(line for line in PROTOCOL.splitlines() if line.startswith(f"| `{path}"))
    listed = re.search(rf'"{name}": \[{{(.*?)}}\]', line)
    assert listed, path
    return re.findall(r'"(\w+)"', listed[1])


def report(age_s: float = 0.3, **body: Any) -> None:
    """The worker's newest report, so old."""
    streams = [stream("BTC/USDT", "LIVE"), stream("ETH/USDT", "QUIET"), stream("SOL/USDT", "DOWN", pinned=False)]
    records.put_report({"started_ms": 1_795_220_000_000, "streams": streams, **body}, time.time_ns() - int(age_s * 1e9))


def stream(symbol: str, state: str, **fields: Any) -> dict[str, Any]:
    row = {
        "exchange": "binance",
        "symbol": symbol,
        "state": state,
        "age_ms": 60,
        "reason": "",
        "resyncs": 0,
        "differences": 0,
    }
    return {**row, "reconnects": 0, "messages": 9, "pinned": True, **fields}


def fill_up(account: ExchangeAccount) -> None:
    now_ns = time.time_ns()
    now_ms = now_ns // 1_000_000
    ledger.put_balances(account.pk, [balance("BTC", "1.50", now_ms, free=Decimal("1.2"))], now_ns, None, None)
    positions = [position("BTC/USDT:USDT", "-2", now_ms, mark=Decimal(59000), unrealised=Decimal(2000))]
    ledger.put_positions(account.pk, positions, now_ns, None, None)
    ledger.put_orders(account.pk, [order("5", "open", now_ms, client_id="mine")], now_ns, None, None)
    values = [fill(str(n), symbol="BTC/USDT" if n % 2 else "ETH/USDT", exchange_ms=now_ms) for n in range(10)]
    ledger.add_fills(account.pk, values, "rest", None, Moment(now_ns=now_ns))


def get(client: Client, path: str, status: int = 200, **headers: str) -> Any:
    answer = client.get(path, headers=headers)
    assert answer.status_code == status, (path, answer.content)
    assert answer["Content-Type"] == "application/json"
    assert answer["Cache-Control"] == "no-store"
    return answer.json()


def error(client: Client, path: str, status: int) -> tuple[str, str]:
    body = get(client, path, status)
    assert set(body) == {"error"}
    assert {"code", "message"} <= set(body["error"])
    return body["error"]["code"], body["error"]["message"]
