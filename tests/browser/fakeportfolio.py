"""What belongs to a user, for the stand-in server: portfolio, equity, transfers, notices, order history, settings, and
fills by time: docs/protocol.md sections 2.10 and 3."""

import time
from collections.abc import Callable
from typing import Any, Protocol

from aiohttp import web

from tests.browser.fakedata import Account

USER = 3
CURRENCIES = ["USD", "USDT", "USDC", "EUR", "BTC"]
HEAD = {"account": 7, "exchange": "binance", "label": "Main"}
MINUTE_MS = 60_000
UNTOLD = "The fills leave 190 SOL, of which 95 is here: what left, and what that had cost, was not told."
UNSOLD = "Main: the profit of 0.5 BTC sold is not in it: what they had cost in USDT is not known."
UNBEGUN = "No value of Main in USDT was complete yet today."
OUTSIDE = ("deposit", "withdrawal", "internal")
Row = dict[str, Any]


class Host(Protocol):
    """What is needed of the stand-in server."""

    accounts: dict[int, Account]
    posted: list[dict[str, Any]]

    def send(self, topic: str) -> None: ...


def _market(exchange: str, symbol: str) -> Row:
    return {"exchange": exchange, "symbol": symbol}


class Belongings:
    """The rows; a test changes them through the server's control."""

    def __init__(self) -> None:
        self.settings: Row = {"zone": "UTC", "currency": "USDT", "sound": False, "notifications": False}
        self.settings["title_profit"] = False
        self.complete = False
        self.equity = "61250.5"
        self.change: str | None = "310.2"
        self.untold = False  # coins left, and nobody told
        self.notices: list[Row] = []
        self.points: list[Row] | None = None
        self.now_ms = int(time.time() * 1000)
        moved = (
            ("deposit", "SOL", "95", 30),
            ("withdrawal", "USDT", "-750", 200),
            ("deposit", "USDT", "60000", 90_000),
            ("funding", "USDT", "-1.8342", 240),
        )
        self.transfers = [
            HEAD
            | {"row": number, "product": "spot", "id": f"70000{number}", "kind": kind, "asset": asset, "amount": amount}
            | {"symbol": "BTC/USDT:USDT" if kind == "funding" else None, "note": ""}
            | {"fee": None, "status": "done", "exchange_ms": self.now_ms - minutes * MINUTE_MS, "age_ms": 1}
            for number, (kind, asset, amount, minutes) in enumerate(moved, 1)
        ]

    def add_notice(self, **given: Any) -> Row:
        number = len(self.notices) + 1
        row = HEAD | {"row": number, "kind": "unexplained_balance", "count": 1, "asof_ms": self.now_ms}
        row |= {"sentence": "The balance of BTC differs from what was told.", "expected": "1.2048", "found": "1.2"}
        row |= {"opened_ms": self.now_ms - 90_000, "changed_ms": self.now_ms, "resolved_ms": None, "resolution": ""}
        row |= {"open": True, "age_ms": 90_000, **given}
        self.notices.insert(0, row)
        return row

    def resolve(self, number: int) -> None:
        for row in self.notices:
            if row["row"] == number:
                row |= {"open": False, "resolved_ms": self.now_ms, "resolution": "They agree again."}

    def data(self) -> Row:
        """The portfolio's frame."""
        problems = [] if self.complete else ["SHIB has no price in USDT."]
        source = {"price": "150", "path": ["SOL", "USDT"], "markets": [_market("binance", "SOL/USDT")]}
        live = {"price_age_ms": 40, "live": True}
        own = {"price": "1", "path": ["USDT"], "markets": [], "price_age_ms": 0, "live": True}
        account = HEAD | {"state": "LIVE", "equity": self.equity, "wallets": "61000", "unrealised": "250.5"}
        unpriced = {"account": 7, "exchange": "binance", "asset": "SHIB", "total": "1000"}
        amounts: Row = {"size": "90", "total": "95", "average": "120", "unrealised": "2700", "unrealised_ratio": "0.25"}
        amounts["reason"] = ""
        if self.untold:
            amounts |= {"size": "0", "average": None, "unrealised": None, "unrealised_ratio": None, "reason": UNTOLD}
        return {
            "user": USER,
            "currency": self.settings["currency"],
            "equity": self.equity,
            "complete": self.complete,
            "problems": problems,
            "accounts": [account | {"complete": self.complete, "problems": problems}],
            "assets": [
                {"asset": "SOL", "exchange": "binance", "total": "95", "value": "14250", **source, **live},
                {"asset": "USDT", "exchange": "binance", "total": "42750", "value": "42750", **own},
            ],
            "unpriced": [] if self.complete else [unpriced],
            "exposure": [{"asset": "SOL", "spot": "95", "derivatives": "-100", "net": "-5", "value": "-750"}],
            "holdings": [HEAD | {"asset": "SOL", "currency": "USDT", **amounts, **source, **live}],
            "day": {
                **{"since_ms": self.now_ms - 3_600_000, "zone": self.settings["zone"], "realised": "12.5"},
                **{"unrealised": "250.5", "change": self.change, "complete": not self.untold},
                "change_since_ms": None if self.change is None else self.now_ms - 3_000_000,
                "change_reason": UNBEGUN if self.change is None else "",
                "problems": [UNSOLD] if self.untold else [],
            },
        }

    def curve(self, from_ms: int, to_ms: int) -> list[Row]:
        """Points of minutes up to now: the last three hours, with a hole and an incomplete stretch."""
        if self.points is not None:
            return self.points
        first = max(from_ms, to_ms - 180 * MINUTE_MS) // MINUTE_MS * MINUTE_MS
        points = []
        for number, at_ms in enumerate(range(first, to_ms, MINUTE_MS)):
            complete = not 60 <= number < 80
            value = f"{61000 + (number * 37) % 211 + number}.5"
            if not 100 <= number < 115:
                reason = "" if complete else "SHIB has no price in USDT."
                points.append({"at_ms": at_ms, "value": value, "complete": complete, "reason": reason})
        return points


class PortfolioApi:
    """REST of these; what is changed is kept in ``posted`` with its CSRF token."""

    def __init__(self, server: Host, own: Callable[[], Belongings]) -> None:
        self._server = server
        self._own = own

    def add_to(self, router: web.UrlDispatcher) -> None:
        router.add_route("*", "/api/settings/", self.settings)
        router.add_get("/api/equity/", self.equity)
        router.add_get("/api/transfers/", self.transfers)
        router.add_get("/api/notices/", self.notices)
        router.add_get("/api/orders/", self.orders)

    async def settings(self, request: web.Request) -> web.Response:
        own = self._own()
        if request.method == "PUT":
            body = await request.json()
            self._server.posted.append({"body": body, "csrf": request.headers.get("X-CSRFToken"), "path": request.path})
            if body.get("currency") == "EUR":
                error = {"code": "bad_field", "message": "currency: the stand-in refuses EUR.", "field": "currency"}
                return web.json_response({"error": error}, status=400)
            own.settings |= body
            self._server.send(f"portfolio:{USER}")
        return web.json_response({**own.settings, "currencies": CURRENCIES, "user": USER})

    async def equity(self, request: web.Request) -> web.Response:
        from_ms, to_ms = int(request.query["from"]), int(request.query["to"])
        own = self._own()
        moved = [row for row in own.transfers if from_ms <= row["exchange_ms"] < to_ms and row["kind"] in OUTSIDE]
        body = {"currency": own.settings["currency"], "from_ms": from_ms, "to_ms": to_ms, "grain_s": 60}
        return web.json_response({**body, "points": own.curve(from_ms, to_ms), "transfers": moved})

    async def transfers(self, request: web.Request) -> web.Response:
        kinds = request.query.get("kind", "").split(",")
        told = [row for row in self._own().transfers if kinds == [""] or row["kind"] in kinds]
        return web.json_response({"transfers": told, "more": False, "next": None})

    async def notices(self, _: web.Request) -> web.Response:
        return web.json_response({"notices": self._own().notices, "more": False})

    async def orders(self, request: web.Request) -> web.Response:
        rows = [{**row, "row": number} for number, row in enumerate(self._server.accounts[7].data("orders")["orders"])]
        rows = [row for row in rows if row["symbol"] == request.query.get("symbol", row["symbol"])]
        return web.json_response({"orders": rows, "more": False, "next": None})


def fills_by_time(account: Account, query: Any) -> web.Response:
    """A page of fills by the exchange's time, of those that the filters let through."""
    newest_first = query["sort"] == "-time"
    rows = sorted(account.fills, key=lambda row: (row["exchange_ms"], row["row"]), reverse=newest_first)
    for name in ("symbol", "side"):
        rows = [row for row in rows if row[name] == query.get(name, row[name])]
    if "from" in query:
        rows = [row for row in rows if row["exchange_ms"] >= int(query["from"])]
    if "to" in query:
        rows = [row for row in rows if row["exchange_ms"] < int(query["to"])]
    if "cursor" in query:
        last = int(query["cursor"].split("-")[1])
        rows = rows[[row["row"] for row in rows].index(last) + 1 :]
    limit = int(query.get("limit", 100))
    page, more = rows[:limit], len(rows) > limit
    following = f"{page[-1]['exchange_ms']}-{page[-1]['row']}" if more else None
    return web.json_response(account.page(page, more=more) | {"next": following})
