"""Kraken Futures: orders placed and cancelled by REST.

Source: docs.kraken.com/api/docs/futures-api/trading (sendorder, cancelorder, cancelallorders, cancelallordersafter).

* A refused order is answered with ``"result":"success"`` and a ``sendStatus.status`` other than those of an
  order that stands. What was executed at once stands in ``orderEvents``: of such an order the stream need not tell
  anything but its fills.
* Open orders carry the client's id; where orders that have ended can be found by it is not documented. So an order that
  is not open cannot be said to be unknown.
* The dead man's switch is in seconds; 0 disarms it.
"""

from uuid import uuid4

from feeds.account_domain import Order
from feeds.accounts.krakenfutures import rest
from feeds.accounts.krakenfutures.wire import PRODUCT, decode, inverse
from feeds.errors import ExchangeError, RateLimited
from feeds.exchange import MarketIndex, Request
from feeds.trading import NewOrder

API = "/derivatives/api/v3"
HOST = "account"
STANDS = frozenset({"placed", "partiallyFilled", "filled"})
"""Of ``sendStatus.status``: it has become an order."""
TURNED_AWAY = "apiLimitExceeded"
"""The points of the key are used up: the request was not looked at. HTTP 429 without it is not documented."""
GONE = frozenset({"notFound", "filled"})


def ask(path: str, *, weight: int) -> Request:
    """A signed question."""
    return Request(path=f"{API}/{path}", product=HOST, about=PRODUCT, weight=weight)


def tell(path: str, *params: tuple[str, str], weight: int) -> Request:
    """A signed command, as a form."""
    return Request(
        path=f"{API}/{path}", params=params, method="POST", product=HOST, about=PRODUCT, weight=weight, body=True
    )


class Trading:
    """The part of the account that fits :class:`feeds.trading.TradingApi`."""

    _markets: MarketIndex

    def new_client_id(self) -> str:
        return str(uuid4())

    def place_request(self, order: NewOrder) -> Request:
        market = self._markets.get(order.symbol)
        if market is None or inverse(market.native):
            raise ExchangeError(f"Kraken Futures lists no linear contract {order.symbol}")
        if order.time_in_force == "FOK":
            raise ExchangeError("Kraken Futures has no fill-or-kill orders")
        if order.post_only and (order.price is None or order.time_in_force != "GTC"):
            raise ExchangeError("a post-only order is a limit order that stays")
        if order.price is None:
            kind = "mkt"
        else:
            kind = "post" if order.post_only else "ioc" if order.time_in_force == "IOC" else "lmt"
        params = [("orderType", kind), ("symbol", market.native), ("side", order.side), ("size", f"{order.size:f}")]
        if order.price is not None:
            params.append(("limitPrice", f"{order.price:f}"))
        params.append(("cliOrdId", order.client_id))
        if order.reduce_only:
            params.append(("reduceOnly", "true"))
        return tell("sendorder", *params, weight=10)

    def parse_placed(self, order: NewOrder, raw: bytes, asof_ms: int) -> Order:
        sent = decode(raw, rest.Sent).send_status
        if sent.status not in STANDS or sent.order_id is None:
            raise ExchangeError(f"Kraken Futures refused the order: {sent.status}", sent.status)
        return Order(
            product=PRODUCT,
            symbol=order.symbol,
            id=sent.order_id,
            client_id=order.client_id,
            side=order.side,
            type="market" if order.price is None else "limit",
            price=order.price,
            size=order.size,
            filled=sent.filled,
            status="filled" if sent.filled >= order.size else "partial" if sent.filled else "open",
            reduce_only=order.reduce_only,
            time_in_force=order.time_in_force,
            created_ms=asof_ms,
            updated_ms=asof_ms,
        )

    def find_request(self, symbol: str, client_id: str) -> Request:
        return ask("openorders", weight=2)

    def parse_found(self, symbol: str, client_id: str, raw: bytes) -> Order | None:
        """Raises ExchangeError if it is not open: whether it was, this answer does not tell."""
        for order in rest.parse_orders(raw, self._markets):
            if order.client_id == client_id:
                return order
        raise ExchangeError(f"the order {client_id} is not open; the fills tell whether it was filled at once")

    def unknown_order(self, error: ExchangeError) -> bool:
        return error.code in GONE

    def leaves_open(self, error: ExchangeError | RateLimited) -> bool:
        """An order that was placed, and of which no id was told."""
        if isinstance(error, RateLimited):
            return not str(error.code or "").startswith(TURNED_AWAY)
        return error.code in STANDS

    def cancel_request(self, order: Order) -> Request:
        return tell("cancelorder", ("order_id", order.id), weight=10)

    def parse_cancelled(self, order: Order, raw: bytes) -> None:
        status = decode(raw, rest.Cancelled).cancel_status.status
        if status != "cancelled":
            raise ExchangeError(f"Kraken Futures did not cancel {order.id}: {status}", status)

    def cancel_all_requests(self, symbols: tuple[str, ...]) -> list[Request]:
        return [tell("cancelallorders", weight=25)]

    def parse_cancelled_all(self, request: Request, raw: bytes) -> None:
        status = decode(raw, rest.Cancelled).cancel_status.status
        if status not in ("cancelled", "noOrdersToCancel"):
            raise ExchangeError(f"Kraken Futures did not cancel all orders: {status}", status)

    def dead_man_requests(self, timeout_s: int, symbols: tuple[str, ...]) -> list[Request]:
        if timeout_s < 0:
            raise ExchangeError(f"a switch cannot be set to {timeout_s} s")
        return [tell("cancelallordersafter", ("timeout", str(timeout_s)), weight=25)]
