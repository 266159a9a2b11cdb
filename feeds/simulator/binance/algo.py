"""Conditional orders of Binance's futures, which are a list of their own ("algo orders"): kept until their price comes.

Source: developers.binance.com, USD-M futures: New Algo Order, Cancel Algo Order, Current All Algo Open Orders, and the
event ALGO_UPDATE. Trailing orders are not simulated; the price that triggers is the middle of the book, whatever
``workingType`` says.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from itertools import count
from typing import Any

from feeds.simulator.accounts import Account
from feeds.simulator.binance import orders
from feeds.simulator.binance.rest import BinanceError
from feeds.simulator.market import LiveMarket
from feeds.simulator.orders import OwnOrder

KINDS = {"STOP": True, "STOP_MARKET": True, "TAKE_PROFIT": False, "TAKE_PROFIT_MARKET": False}
"""Does a sale wait for a price below? Purchases wait the other way."""
FIRST_ID = 3_000_000_000_000_001

Params = Mapping[str, str]


def _middle(market: LiveMarket) -> Decimal:
    return Decimal(market.mid()) * market.instrument.tick


class Conditional:
    """``params`` is the order that it will send; ``sent`` that order."""

    def __init__(self, number: int, account: Account, market: LiveMarket, params: Params, now_ms: int) -> None:
        self.id = number
        self.account = account
        self.market = market
        self.params = params
        self.trigger = Decimal(params["triggerPrice"])
        self.client_id = params.get("clientAlgoId") or f"algo{number}"
        self.status = "NEW"
        self.sent: OwnOrder | None = None
        self.created_ms = self.updated_ms = now_ms
        self.triggered_ms = 0

    @property
    def waits_below(self) -> bool:
        return KINDS[self.params["type"]] is (self.params["side"] == "SELL")

    def is_due(self, price: Decimal) -> bool:
        return price <= self.trigger if self.waits_below else price >= self.trigger

    def order(self) -> dict[str, str]:
        """As it would be sent by itself."""
        kind = "MARKET" if self.params["type"].endswith("MARKET") else "LIMIT"
        names = (
            "side",
            "positionSide",
            "quantity",
            "reduceOnly",
            *(("price", "timeInForce") if kind == "LIMIT" else ()),
        )
        told = {name: self.params[name] for name in names if name in self.params}
        return told | {"type": kind, "symbol": self.params["symbol"], "newClientOrderId": self.client_id}

    def row(self) -> dict[str, Any]:
        """In answers."""
        return {
            "algoId": self.id,
            "clientAlgoId": self.client_id,
            "algoType": "CONDITIONAL",
            "orderType": self.params["type"],
            "symbol": self.params["symbol"],
            "side": self.params["side"],
            "positionSide": self.params.get("positionSide", "BOTH"),
            "timeInForce": self.params.get("timeInForce", "GTC"),
            "quantity": self.params["quantity"],
            "algoStatus": self.status,
            "actualOrderId": "" if self.sent is None else str(self.sent.id),
            "actualPrice": "0.00000" if self.sent is None else f"{self.sent.average:.5f}",
            "triggerPrice": f"{self.trigger:f}",
            "price": self.params.get("price", "0.00"),
            "icebergQuantity": None,
            "selfTradePreventionMode": "EXPIRE_MAKER",
            "workingType": self.params.get("workingType", "CONTRACT_PRICE"),
            "priceMatch": "NONE",
            "closePosition": False,
            "priceProtect": False,
            "reduceOnly": self.params.get("reduceOnly", "false").lower() == "true",
            "createTime": self.created_ms,
            "updateTime": self.updated_ms,
            "triggerTime": self.triggered_ms,
            "goodTillDate": 0,
        }

    def event(self, now_ms: int, refused: str = "") -> dict[str, Any]:
        row, sent = self.row(), self.sent
        body = {
            "caid": self.client_id,
            "aid": self.id,
            "at": "CONDITIONAL",
            "o": row["orderType"],
            "s": row["symbol"],
            "S": row["side"],
            "ps": row["positionSide"],
            "f": row["timeInForce"],
            "q": row["quantity"],
            "X": self.status,
            "ai": row["actualOrderId"],
            "ap": row["actualPrice"],
            "aq": "0.00000" if sent is None else self.market.size_text(sent.filled),
            "act": "0" if sent is None else sent.type,
            "tp": row["triggerPrice"],
            "p": row["price"],
            "V": "EXPIRE_MAKER",
            "wt": row["workingType"],
            "pm": "NONE",
            "cp": False,
            "pP": False,
            "R": row["reduceOnly"],
            "tt": self.triggered_ms,
            "gtd": 0,
        }
        return {"e": "ALGO_UPDATE", "T": self.updated_ms, "E": now_ms, "o": body | ({"rm": refused} if refused else {})}


class AlgoOrders:
    """All of the exchange. ``tell`` sends an event to an account's streams."""

    def __init__(self, clock_ms: Callable[[], int], price_of: Callable[[LiveMarket], Decimal] = _middle) -> None:
        self.tell: Callable[[Account, dict[str, Any]], None] = lambda account, body: None
        self.price_of = price_of
        self._clock_ms = clock_ms
        self._ids = count(FIRST_ID)
        self._open: dict[int, Conditional] = {}

    def place(self, account: Account, market: LiveMarket, params: Params) -> dict[str, Any]:
        if orders.required(params, "algoType") != "CONDITIONAL":
            raise BinanceError(-1102, "Mandatory parameter 'algoType' was not sent, was empty/null, or malformed.")
        if orders.required(params, "type") not in KINDS:
            raise BinanceError(-1116, "Invalid orderType.")
        if orders.required(params, "side") not in ("BUY", "SELL"):
            raise BinanceError(-1117, "Invalid side.")
        for name in ("quantity", "triggerPrice"):
            orders.decimal(params, name)
        made = Conditional(next(self._ids), account, market, dict(params), self._clock_ms())
        orders.hold_of(account.desk_of(market), market, params)
        if made.is_due(self.price_of(market)):
            raise BinanceError(-2021, "Order would immediately trigger.")
        self._open[made.id] = made
        self.tell(account, made.event(self._clock_ms()))
        return made.row()

    def rows(self, account: Account, market: LiveMarket | None) -> list[dict[str, Any]]:
        """The open ones."""
        return [each.row() for each in self._of(account, market)]

    def _of(self, account: Account, market: LiveMarket | None) -> list[Conditional]:
        return [each for each in self._open.values() if each.account is account and market in (None, each.market)]

    def cancel(self, account: Account, params: Params) -> dict[str, Any]:
        wanted = (params.get("algoId", ""), params.get("clientAlgoId", ""))
        found = next((o for o in self._of(account, None) if str(o.id) == wanted[0] or o.client_id == wanted[1]), None)
        if found is None:
            raise BinanceError(-2011, "Unknown order sent.")
        self._end(found, "CANCELED")
        return found.row()

    def cancel_all(self, account: Account, market: LiveMarket) -> None:
        for each in self._of(account, market):
            self._end(each, "CANCELED")

    def _end(self, order: Conditional, status: str, refused: str = "") -> None:
        self._open.pop(order.id, None)
        order.status, order.updated_ms = status, self._clock_ms()
        self.tell(order.account, order.event(order.updated_ms, refused))

    def tick(self) -> None:
        """Send what is due."""
        for each in [each for each in self._open.values() if each.is_due(self.price_of(each.market))]:
            each.triggered_ms = self._clock_ms()
            try:
                each.sent = orders.place(each.account.desk_of(each.market), each.market, each.order())
            except BinanceError as error:
                self._end(each, "EXPIRED", str(error))
            else:
                self._end(each, "TRIGGERED")
                if each.sent.status not in ("NEW", "PARTIALLY_FILLED"):
                    self._end(each, "FINISHED")
