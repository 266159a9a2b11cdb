"""A tiny Binance that keeps one account's books: what is true, what REST shows of it, what the streams tell.

It answers requests and fills frames as documented (../shared/exchanges/binance.md sections 7 and 8) and knows what
is true, so that a test can compare. It does no I/O: ``tests.feeds.account_peer`` puts sockets before it.
"""

import hashlib
import hmac
import json
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

from tests.feeds.binance_examples import KEY, MARKETS

Send = Callable[[str], None]


class FakeBinance:
    """``now_ms`` is its clock."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self.now_ms = now_ms
        self.secret = KEY.secret
        self.rights: dict[str, Any] | None = {"enableReading": True, "enableWithdrawals": False, "enableFutures": True}
        self.spot: dict[str, Decimal] = {"USDT": Decimal(100_000), "BTC": Decimal(5)}
        self.wallet = Decimal(50_000)
        self.positions: dict[str, tuple[Decimal, Decimal]] = {}  # native: (size, entry)
        self.fills: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)  # (product, native): REST rows
        self.orders: dict[tuple[str, int], dict[str, Any]] = {}  # open ones: (product, order id)
        self.deposits: list[dict[str, Any]] = []  # REST rows
        self.withdrawals: list[dict[str, Any]] = []
        self.income: list[dict[str, Any]] = []
        self.listen_key: str | None = None
        self.listeners: dict[str, list[Send]] = {"spot": [], "usdm": []}
        self.mute: set[str] = set()  # products whose stream stands and says nothing
        self.faults: dict[str, list[tuple[int, bytes, dict[str, str]]]] = defaultdict(list)  # path: answers, once each
        self.asked: list[tuple[str, str]] = []  # (method, path) of every request
        self._ids = 100
        self._keys = 0

    # What happens

    def trade(self, symbol: str, size: str, price: str = "100", *, hidden_ms: int = 0) -> int:
        """An execution; positive ``size`` buys. Returns its id. REST shows it only after ``hidden_ms``."""
        market = MARKETS[symbol]
        amount, at = Decimal(size), Decimal(price)
        self._ids += 1 + self._ids % 3
        now_ms = self.now_ms()
        row = {
            "symbol": market.native,
            "id": self._ids,
            "orderId": self._ids + 10_000,
            "price": price,
            "qty": str(abs(amount)),
            "commission": "0.01",
            "commissionAsset": "USDT",
            "time": now_ms,
            "hidden_ms": hidden_ms,  # no field of Binance's: unknown ones are ignored
        }
        if market.product == "spot":
            row |= {"isBuyer": amount > 0, "isMaker": True}
            self.spot[market.base] = self.spot.get(market.base, Decimal(0)) + amount
            self.spot["USDT"] = self.spot.get("USDT", Decimal(0)) - amount * at - Decimal("0.01")
        else:
            row |= {"side": "BUY" if amount > 0 else "SELL", "maker": True, "positionSide": "BOTH", "realizedPnl": "0"}
            held, _ = self.positions.get(market.native, (Decimal(0), at))
            self.positions[market.native] = (held + amount, at)
            self.wallet -= Decimal("0.01")
        self.fills[market.product, market.native].append(row)
        for frame in self._frames(market.product, row, market.base):
            self.tell(market.product, frame)
        return self._ids

    def tell(self, product: str, event: dict[str, Any]) -> None:
        """Send an event on the private streams of a product."""
        if product not in self.mute:
            message = json.dumps({"subscriptionId": 0, "event": event} if product == "spot" else event)
            for send in list(self.listeners[product]):
                send(message)

    def _frames(self, product: str, row: dict[str, Any], base: str) -> list[dict[str, Any]]:
        now_ms = row["time"]
        common = {
            "s": row["symbol"],
            "c": f"client-{row['orderId']}",
            "o": "LIMIT",
            "f": "GTC",
            "q": row["qty"],
            "p": row["price"],
            "x": "TRADE",
            "X": "FILLED",
            "i": row["orderId"],
            "l": row["qty"],
            "z": row["qty"],
            "L": row["price"],
            "n": row["commission"],
            "N": row["commissionAsset"],
            "T": now_ms,
            "t": row["id"],
            "m": True,
        }
        if product == "spot":
            report = {
                "e": "executionReport",
                "E": now_ms,
                **common,
                "S": "BUY" if row["isBuyer"] else "SELL",
                "Z": str(Decimal(row["qty"]) * Decimal(row["price"])),
                "C": "",
                "O": now_ms,
            }
            changed = [{"a": asset, "f": str(self.spot[asset]), "l": "0"} for asset in (base, "USDT")]
            return [report, {"e": "outboundAccountPosition", "E": now_ms, "u": now_ms, "B": changed}]
        order = {**common, "S": row["side"], "ap": row["price"], "R": False, "ps": "BOTH", "rp": row["realizedPnl"]}
        size, entry = self.positions[row["symbol"]]
        position = {"s": row["symbol"], "pa": str(size), "ep": str(entry), "up": "0", "mt": "cross", "ps": "BOTH"}
        lite = {key: order[key] for key in ("s", "q", "p", "m", "c", "S", "L", "l", "t", "i")}
        return [
            {"e": "TRADE_LITE", "E": now_ms, "T": now_ms, **lite},
            {
                "e": "ACCOUNT_UPDATE",
                "E": now_ms,
                "T": now_ms,
                "a": {"m": "ORDER", "B": [{"a": "USDT", "wb": str(self.wallet), "cw": "0"}], "P": [position]},
            },
            {"e": "ORDER_TRADE_UPDATE", "E": now_ms, "T": now_ms, "o": order},
        ]

    # What is true

    def true_fills(self) -> set[tuple[str, str]]:
        return {
            (MARKETS.native(product, native).symbol, str(row["id"]))
            for (product, native), rows in self.fills.items()
            for row in rows
        }

    def true_balances(self) -> dict[tuple[str, str], Decimal]:
        held = {("spot", asset): amount for asset, amount in self.spot.items() if amount}
        return held | {("usdm", "USDT"): self.wallet}

    def true_positions(self) -> dict[str, Decimal]:
        return {MARKETS.native("usdm", n).symbol: size for n, (size, _) in self.positions.items() if size}

    # What REST answers

    def answer(self, method: str, path: str, query: str, headers: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
        """(status, body, headers) of a request; ``query`` as it was sent."""
        self.asked.append((method, path))
        if self.faults[path]:
            return self.faults[path].pop(0)
        if path in ("/api/v3/time", "/fapi/v1/time"):
            return self._good({"serverTime": self.now_ms()})
        if headers.get("X-MBX-APIKEY") != KEY.key:
            return self.error(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        if path == "/fapi/v1/listenKey":
            return self._listen_key(method)
        params = dict(parse_qsl(query))
        payload, _, signature = query.rpartition("&signature=")
        if hmac.new(self.secret.encode(), payload.encode(), hashlib.sha256).hexdigest() != signature:
            return self.error(-1022, "Signature for this request is not valid.")
        if not -1000 < self.now_ms() - int(params["timestamp"]) <= int(params["recvWindow"]):
            return self.error(-1021, "Timestamp for this request is outside of the recvWindow.")
        if path == "/sapi/v1/account/apiRestrictions":
            return (404, b"<html>Not Found</html>", {}) if self.rights is None else self._good(self.rights)
        return self._good(self._signed(path, params))

    def _signed(self, path: str, params: dict[str, str]) -> Any:
        if path == "/api/v3/account":
            return {"balances": [{"asset": a, "free": str(v), "locked": "0"} for a, v in self.spot.items()]}
        if path == "/fapi/v3/balance":
            return [{"asset": "USDT", "balance": str(self.wallet), "availableBalance": str(self.wallet - 1)}]
        if path == "/fapi/v3/positionRisk":
            return [
                {
                    "symbol": native,
                    "positionSide": "BOTH",
                    "positionAmt": str(size),
                    "entryPrice": str(entry),
                    "markPrice": str(entry),
                    "unRealizedProfit": "0",
                    "liquidationPrice": "50",
                    "marginAsset": "USDT",
                }
                for native, (size, entry) in self.positions.items()
            ]
        if path == "/fapi/v1/symbolConfig":
            return [{"symbol": m.native, "marginType": "CROSSED", "leverage": 20} for m in MARKETS if m.settle]
        if path == "/api/v3/openOrders":
            return [row for (product, _), row in self.orders.items() if product == "spot"]
        if path == "/fapi/v1/openOrders":
            return [row for (product, _), row in self.orders.items() if product == "usdm"]
        if path == "/fapi/v1/openAlgoOrders":
            return []
        if path == "/sapi/v1/capital/deposit/hisrec":
            return [row for row in self.deposits if row["insertTime"] >= int(params["startTime"])]
        if path == "/sapi/v1/capital/withdraw/history":
            return self.withdrawals
        if path == "/fapi/v1/income":
            begin_ms, kind = int(params["startTime"]), params.get("incomeType")
            return [r for r in self.income if r["time"] >= begin_ms and kind in (None, r["incomeType"])]
        product = {"/api/v3/myTrades": "spot", "/fapi/v1/userTrades": "usdm"}[path]
        rows = self.fills[product, params["symbol"]]
        visible = [row for row in rows if row["time"] + row["hidden_ms"] <= self.now_ms()]
        return [row for row in visible if row["id"] >= int(params["fromId"])][: int(params["limit"])]

    def _listen_key(self, method: str) -> tuple[int, bytes, dict[str, str]]:
        if method == "POST":
            if self.listen_key is None:
                self._keys += 1
                self.listen_key = f"listen-key-{self._keys}"
        elif self.listen_key is None:
            return self.error(-1125, "This listenKey does not exist.")
        return self._good({"listenKey": self.listen_key})

    @staticmethod
    def _good(body: Any) -> tuple[int, bytes, dict[str, str]]:
        return 200, json.dumps(body).encode(), {}

    @staticmethod
    def error(code: int, text: str, status: int = 400) -> tuple[int, bytes, dict[str, str]]:
        return status, json.dumps({"code": code, "msg": text}).encode(), {}

    # What the sockets say

    def login(self, message: str) -> str:
        """The answer to a request on the spot WebSocket API."""
        request = json.loads(message)
        params = request["params"]
        payload = "&".join(f"{name}={params[name]}" for name in sorted(params) if name != "signature")
        good = hmac.new(self.secret.encode(), payload.encode(), hashlib.sha256).hexdigest() == params["signature"]
        if not good:
            error = {"code": -1022, "msg": "Signature for this request is not valid."}
            return json.dumps({"id": request["id"], "status": 400, "error": error})
        if not -1000 < self.now_ms() - params["timestamp"] <= params["recvWindow"]:
            error = {"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."}
            return json.dumps({"id": request["id"], "status": 400, "error": error})
        return json.dumps({"id": request["id"], "status": 200, "result": {"subscriptionId": 0}})

    def expire_listen_key(self) -> None:
        """The key is dead; the socket stays open and is told once."""
        self.tell("usdm", {"e": "listenKeyExpired", "E": self.now_ms(), "listenKey": self.listen_key})
        self.listen_key = None
        self.listeners["usdm"].clear()
