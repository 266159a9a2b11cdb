"""Coinbase: placing and cancelling orders.

Facts (docs.cdp.coinbase.com, api-reference/advanced-trade-api: create, cancel and list orders):

* Answers to orders have HTTP 200 also when they are refused: ``success`` tells. So do the rows of a cancellation.
* Price and size stand below the name of the kind of order, which contains its time in force.
* No question takes a ``client_order_id``: an order is found in the list of all orders of its market since some time. So
  our ids are of the form of UUIDs of version 7, which begin with the time.
* A ``client_order_id`` that was used before places nothing, whatever the answer is.
* Nothing cancels all orders: those that are open are named, 100 at a time. There is no dead man's switch.
"""

import re
import secrets
import time
import uuid
from collections.abc import Mapping
from decimal import Decimal

import msgspec

from feeds.account_domain import Order
from feeds.account_reading import Wire
from feeds.account_reading import iso_of as iso
from feeds.accounts.coinbase import rows
from feeds.accounts.coinbase.known import KnownOrders
from feeds.accounts.coinbase.wire import HOST, PRODUCT, reading
from feeds.domain import Market
from feeds.errors import ExchangeError, RateLimited
from feeds.exchange import MarketIndex, Request
from feeds.trading import NewOrder

REST = "/api/v3/brokerage"
BATCH = f"{REST}/orders/historical/batch"
PAGE = 250
CANCELS_AT_ONCE = 100
BEFORE_MS = 10 * 60_000
"""An order is looked for from so long before the time in its client id on."""

GONE = frozenset({"UNKNOWN_CANCEL_ORDER", "ORDER_IS_FULLY_FILLED"})
UNSURE = frozenset(
    {"UNKNOWN_FAILURE_REASON", "DUPLICATE_CLIENT_ORDER_ID", "INTERNAL", "UNKNOWN", "UNAVAILABLE", "DEADLINE_EXCEEDED"}
)
"""Of a refused order: the first says nothing, the second that there is an order, the others are trouble of its own."""
TURNED_AWAY = "rate_limit_exceeded"
"""The documented error of HTTP 429: requests of the user or the address are counted before they are looked at. Another
body of that status (a backend's "resource exhausted") says nothing of the order."""

_OUR_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class _Success(Wire, frozen=True):
    order_id: str
    client_order_id: str = ""


class _Refusal(Wire, frozen=True):
    error: str = ""
    message: str = ""
    error_details: str = ""
    preview_failure_reason: str = ""
    new_order_failure_reason: str = ""

    def as_error(self, what: str) -> ExchangeError:
        reasons = (self.error, self.new_order_failure_reason, self.preview_failure_reason)
        code = next((reason for reason in reasons if reason and not reason.startswith("UNKNOWN")), self.error)
        said = " ".join(text for text in (self.message, self.error_details) if text)[:300]
        return ExchangeError(f"Coinbase refused {what}: {said or 'no reason was given'} ({code})", code)


class _Placed(Wire, frozen=True):
    """``{"success":true,"success_response":{"order_id":"11111-00000-000000","product_id":"BTC-USD","side":"BUY",
    "client_order_id":"0000-00000-000000"}}``

    ``{"success":false,"error_response":{"error":"INSUFFICIENT_FUND","message":"Insufficient balance in source account",
    "error_details":"","preview_failure_reason":"PREVIEW_INSUFFICIENT_FUND"}}``
    """

    success: bool
    success_response: _Success | None = None
    error_response: _Refusal | None = None


class _Cancelled(Wire, frozen=True):
    """The reason is UNKNOWN_CANCEL_FAILURE_REASON where it succeeded."""

    success: bool
    order_id: str
    failure_reason: str = ""


class _Results(Wire, frozen=True):
    """``{"results":[{"success":true,"failure_reason":"UNKNOWN_CANCEL_FAILURE_REASON","order_id":"0000-00000"}]}``"""

    results: list[_Cancelled]


class CoinbaseTrading:
    """The part of :class:`feeds.accounts.coinbase.api.CoinbaseAccount` that fits :class:`feeds.trading.TradingApi`."""

    def __init__(self, markets: MarketIndex) -> None:
        self._markets = markets
        self._orders = KnownOrders()
        self._now_ms = 0  # the exchange's clock at the last signature

    def new_client_id(self) -> str:
        now_ms = self._now_ms or time.time_ns() // 1_000_000
        random = secrets.randbits(74)
        version, variant = 7 << 76, 2 << 62
        return str(uuid.UUID(int=now_ms << 80 | version | (random >> 62) << 64 | variant | random & (2**62 - 1)))

    def place_request(self, order: NewOrder) -> Request:
        market = self._market(order.symbol)
        body = {
            "client_order_id": order.client_id,
            "product_id": market.native,
            "side": "BUY" if order.side == "buy" else "SELL",
            "order_configuration": _configuration(order),
        }
        return _post(f"{REST}/orders", body)

    def parse_placed(self, order: NewOrder, raw: bytes, asof_ms: int) -> Order:
        with reading(raw, "placed order"):
            placed = msgspec.json.decode(raw, type=_Placed)
            if placed.success and placed.success_response is None:
                raise ValueError("the order is not named")
        if not placed.success or placed.success_response is None:
            raise (placed.error_response or _Refusal()).as_error("the order")
        found = Order(
            product=PRODUCT,
            symbol=order.symbol,
            id=placed.success_response.order_id,
            client_id=placed.success_response.client_order_id or order.client_id,
            side=order.side,
            type="market" if order.price is None else "limit",
            price=order.price,
            size=order.size,
            filled=Decimal(0),
            status="open",
            time_in_force=order.time_in_force if order.price is not None or order.time_in_force != "GTC" else "IOC",
            created_ms=asof_ms,
            updated_ms=asof_ms,
        )
        self._orders.listed(found.id, found.symbol, found.size, ended=False)
        return found

    def find_request(self, symbol: str, client_id: str) -> Request:
        params = [("product_ids", self._market(symbol).native), ("limit", str(PAGE))]
        if _OUR_ID.fullmatch(client_id):
            placed_ms = uuid.UUID(client_id).int >> 80
            params.append(("start_date", iso(max(0, placed_ms - BEFORE_MS))))
        return Request(path=BATCH, params=tuple(params), product=HOST, about=PRODUCT)

    def parse_found(self, symbol: str, client_id: str, raw: bytes) -> Order | None:
        """Raises ExchangeError if the list goes on and what is told of it does not have the order."""
        for order in rows.parse_orders(raw, self._markets):
            if order.client_id == client_id:
                return order
        if rows.parse_page(raw).has_next:
            raise ExchangeError(
                f"Coinbase lists more orders than fit one answer: whether {client_id} is one is not told"
            )
        return None

    def unknown_order(self, error: ExchangeError) -> bool:
        return error.code in GONE

    def leaves_open(self, error: ExchangeError | RateLimited) -> bool:
        if isinstance(error, RateLimited):
            return error.code != TURNED_AWAY
        return error.code in UNSURE or not error.code

    def cancel_request(self, order: Order) -> Request:
        return _post(f"{REST}/orders/batch_cancel", {"order_ids": [order.id]})

    def parse_cancelled(self, order: Order, raw: bytes) -> None:
        results = {row.order_id: row for row in self._results(raw)}
        row = results.get(order.id)
        if row is None:
            raise ExchangeError(f"Coinbase did not say whether it cancelled order {order.id}")
        if not row.success:
            raise ExchangeError(f"Coinbase did not cancel order {order.id}: {row.failure_reason}", row.failure_reason)

    def cancel_all_requests(self, symbols: tuple[str, ...]) -> list[Request]:
        """Of the orders that were listed or streamed: read the open orders before."""
        ids = self._orders.open_in(frozenset(symbols))
        parts = [ids[start : start + CANCELS_AT_ONCE] for start in range(0, len(ids), CANCELS_AT_ONCE)]
        return [_post(f"{REST}/orders/batch_cancel", {"order_ids": part}) for part in parts]

    def parse_cancelled_all(self, request: Request, raw: bytes) -> None:
        left = [row for row in self._results(raw) if not row.success and row.failure_reason not in GONE]
        if left:
            reasons = ", ".join(sorted({row.failure_reason for row in left}))
            raise ExchangeError(f"Coinbase did not cancel {len(left)} orders: {reasons}", left[0].failure_reason)

    def dead_man_requests(self, timeout_s: int, symbols: tuple[str, ...]) -> list[Request]:
        return []

    def _results(self, raw: bytes) -> list[_Cancelled]:
        with reading(raw, "cancelled orders"):
            results = msgspec.json.decode(raw, type=_Results).results
        for row in results:
            if not row.success and row.failure_reason in GONE:
                self._orders.gone(row.order_id)
        return results

    def _market(self, symbol: str) -> Market:
        market = self._markets.get(symbol)
        if market is None:
            raise ExchangeError(f"Coinbase lists no market {symbol}")
        return market


def _configuration(order: NewOrder) -> dict[str, dict[str, object]]:
    """``{"limit_limit_gtc":{"base_size":"0.001","limit_price":"10000.00","post_only":true}}``"""
    if order.reduce_only:
        raise ExchangeError(f"{order.symbol} is a spot market: nothing can be reduced there.")
    size = f"{order.size:f}"
    if order.price is None:
        if order.post_only:
            raise ExchangeError(f"A market order in {order.symbol} takes at once: it cannot be post-only.")
        return {f"market_market_{'fok' if order.time_in_force == 'FOK' else 'ioc'}": {"base_size": size}}
    limit: dict[str, object] = {"base_size": size, "limit_price": f"{order.price:f}"}
    if order.time_in_force == "GTC":
        return {"limit_limit_gtc": {**limit, "post_only": order.post_only}}
    if order.post_only:
        raise ExchangeError(f"At Coinbase a post-only order cannot be {order.time_in_force} as well.")
    return {"sor_limit_ioc" if order.time_in_force == "IOC" else "limit_limit_fok": limit}


def _post(path: str, body: Mapping[str, object]) -> Request:
    return Request(path=path, method="POST", json=msgspec.json.encode(body), product=HOST, about=PRODUCT)
