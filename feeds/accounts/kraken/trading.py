"""Kraken spot: orders placed and cancelled by REST.

Source: docs.kraken.com/api-reference/trading (AddOrder, CancelOrder, CancelAll, CancelAllOrdersAfter).

* ``cl_ord_id`` is a UUID, or up to 18 letters of one's own. No one call finds an order by it: ``OpenOrders`` finds what
  is open, ``ClosedOrders`` what is not any more.
* There is no fill-or-kill, and ``reduce_only`` is of margin orders, which are not placed here.
* The dead man's switch is in seconds, below a day; 0 disarms it. Advised: 60, every 15 to 30.
"""

from decimal import Decimal
from uuid import uuid4

from feeds.account_domain import Order
from feeds.accounts.kraken import rest
from feeds.accounts.kraken.names import Pairs, rest_name
from feeds.accounts.kraken.wire import PRODUCT
from feeds.errors import ExchangeError, RateLimited
from feeds.exchange import MarketIndex, Request
from feeds.trading import NewOrder

LONGEST_SWITCH_S = 86_399
UNKNOWN = "EOrder:Unknown order"
LEFT_OPEN = ("EGeneral:Internal error", "EGeneral:Unknown error")
TURNED_AWAY = (
    "EAPI:Rate limit exceeded",
    "EOrder:Rate limit exceeded",
    "EService:Throttled",
    "EService: Throttled",
    "EGeneral:Temporary lockout",
)
"""Counted before the request is looked at: the key's counter, requests at once, a key locked out. The
second is the matching engine's own counter, which refuses the order. HTTP 429 without one of them is not documented."""
NO_COST = frozenset({"AddOrder", "CancelOrder"})
"""What the key's counter does not count."""


def private(method: str, *params: tuple[str, str], weight: int = 1) -> Request:
    """A call of the private API; the nonce comes with the signature."""
    path = f"/0/private/{method}"
    return Request(path=path, params=params, method="POST", product="account", about=PRODUCT, weight=weight, body=True)


class Trading:
    """The part of the account that fits :class:`feeds.trading.TradingApi`."""

    _markets: MarketIndex
    _pairs: Pairs

    def new_client_id(self) -> str:
        return str(uuid4())

    def place_request(self, order: NewOrder) -> Request:
        market = self._markets.get(order.symbol)
        if market is None:
            raise ExchangeError(f"Kraken lists no market {order.symbol}")
        if order.time_in_force == "FOK":
            raise ExchangeError("Kraken has no fill-or-kill orders")
        if order.reduce_only:
            raise ExchangeError("Kraken's spot orders cannot be reduce-only")
        if order.post_only and (order.price is None or order.time_in_force != "GTC"):
            raise ExchangeError("a post-only order is a limit order that stays")
        params = [
            ("pair", rest_name(market)),
            ("type", order.side),
            ("ordertype", "market" if order.price is None else "limit"),
            ("volume", f"{order.size:f}"),
            ("cl_ord_id", order.client_id),
        ]
        if order.price is not None:
            params += [("price", f"{order.price:f}"), ("timeinforce", order.time_in_force)]
        if order.post_only:
            params.append(("oflags", "post"))
        return private("AddOrder", *params)

    def parse_placed(self, order: NewOrder, raw: bytes, asof_ms: int) -> Order:
        ids = rest.result(raw, rest.Accepted).txid
        if not ids:
            raise ExchangeError("Kraken accepted the order and told no id of it")
        return Order(
            product=PRODUCT,
            symbol=order.symbol,
            id=ids[0],
            client_id=order.client_id,
            side=order.side,
            type="market" if order.price is None else "limit",
            price=order.price,
            size=order.size,
            filled=Decimal(0),
            status="open",
            time_in_force=order.time_in_force,
            created_ms=asof_ms,
            updated_ms=asof_ms,
        )

    def find_request(self, symbol: str, client_id: str) -> Request:
        return private("OpenOrders", ("cl_ord_id", client_id))

    def find_closed_request(self, symbol: str, client_id: str) -> Request:
        return private("ClosedOrders", ("cl_ord_id", client_id))

    def parse_found(self, symbol: str, client_id: str, raw: bytes) -> Order | None:
        """Of either answer."""
        is_open = "open" in rest.result(raw, dict[str, object])
        orders = rest.parse_open(raw, self._pairs) if is_open else rest.parse_closed(raw, self._pairs)
        return next((order for order in orders if order.client_id == client_id), None)

    def unknown_order(self, error: ExchangeError) -> bool:
        return error.code == UNKNOWN

    def leaves_open(self, error: ExchangeError | RateLimited) -> bool:
        """What Kraken calls internal. ("EService:..." is trouble on the way: the order is looked for anyway.)"""
        code = str(error.code or "")
        if isinstance(error, RateLimited):
            return not code.startswith(TURNED_AWAY)
        return code.startswith(LEFT_OPEN)

    def cancel_request(self, order: Order) -> Request:
        return private("CancelOrder", ("txid", order.id))

    def parse_cancelled(self, order: Order, raw: bytes) -> None:
        if rest.result(raw, rest.Cancelled).count < 1:
            raise ExchangeError(f"Kraken cancelled nothing: order {order.id}", UNKNOWN)

    def cancel_all_requests(self, symbols: tuple[str, ...]) -> list[Request]:
        return [private("CancelAll")]

    def parse_cancelled_all(self, request: Request, raw: bytes) -> None:
        rest.result(raw, rest.Cancelled)

    def dead_man_requests(self, timeout_s: int, symbols: tuple[str, ...]) -> list[Request]:
        if not 0 <= timeout_s <= LONGEST_SWITCH_S:
            raise ExchangeError(f"Kraken's switch goes from 0 to {LONGEST_SWITCH_S} s, not {timeout_s}")
        return [private("CancelAllOrdersAfter", ("timeout", str(timeout_s)))]
