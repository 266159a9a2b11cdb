"""Alpaca: placing and cancelling orders.

Facts (sources: docs.alpaca.markets, docs: working-with-orders, orders-at-alpaca, crypto-orders, fractional-trading;
reference: postorder, getorderbyclientorderid, deleteorderbyorderid, deleteallorders):

* ``client_order_id`` (up to 128 characters, 48 in older documents) must be unique: an order that is sent twice is
  refused the second time. An order is found by it whatever its state; one that is not there is HTTP 404.
* Crypto takes market, limit and stop-limit orders, good till cancelled or immediate-or-cancel. There are no post-only
  orders, and none that only reduce.
* Fractions of a share are taken for the day only. Orders for stocks outside trading hours wait for the opening, or are
  refused in Alpaca's words.
* An order that cannot be cancelled any more is HTTP 422. ``DELETE /v2/orders`` cancels everything, and answers 207 with
  a status for each order. There is no dead man's switch.
"""

import uuid

import msgspec

from feeds.account_domain import Order
from feeds.account_reading import Wire
from feeds.accounts.alpaca.rows import OrderRow
from feeds.accounts.alpaca.wire import ACCOUNT, CRYPTO, Names, decode
from feeds.domain import Market
from feeds.errors import ExchangeError, ParseError, RateLimited
from feeds.exchange import MarketIndex, Request
from feeds.trading import NewOrder

ORDERS_PATH = "/v2/orders"
FIND_PATH = "/v2/orders:by_client_order_id"
UNKNOWN_ORDER = frozenset({404, 40410000})


class _Cancelled(Wire, frozen=True):
    """``{"id":"61e69015-8549-4bfd-b9c3-01e75843f47d","status":200}``"""

    id: str
    status: int


class AlpacaTrading:
    """The part of :class:`feeds.accounts.alpaca.api.AlpacaAccount` that fits :class:`feeds.trading.TradingApi`.
    Needs ``_names`` and ``_markets``."""

    _markets: MarketIndex
    _names: Names

    def _market_of(self, symbol: str) -> Market:
        market = self._markets.get(symbol)
        if market is None:
            raise ExchangeError(f"Alpaca lists no market {symbol}.")
        return market

    def new_client_id(self) -> str:
        return f"sb-{uuid.uuid4().hex}"

    def place_request(self, order: NewOrder) -> Request:
        market = self._market_of(order.symbol)
        if order.post_only:
            raise ExchangeError("Alpaca has no post-only orders.")
        if order.reduce_only:
            raise ExchangeError("Alpaca has no orders that only reduce.")
        if market.product == CRYPTO and order.time_in_force == "FOK":
            raise ExchangeError("Alpaca takes orders for crypto as GTC or IOC, not as FOK.")
        if market.product != CRYPTO and order.size % 1:
            raise ExchangeError("Alpaca takes fractions of a share for the day only, which cannot be chosen here.")
        body = {
            "symbol": market.native,
            "qty": f"{order.size:f}",
            "side": order.side,
            "type": "market" if order.price is None else "limit",
            "time_in_force": order.time_in_force.lower(),
            "client_order_id": order.client_id,
        }
        if order.price is not None:
            body["limit_price"] = f"{order.price:f}"
        json = msgspec.json.encode(body)
        return Request(path=ORDERS_PATH, method="POST", json=json, product=ACCOUNT, about=market.product)

    def parse_placed(self, order: NewOrder, raw: bytes, asof_ms: int) -> Order:
        return decode(raw, OrderRow).order(self._names)

    def find_request(self, symbol: str, client_id: str) -> Request:
        product = self._market_of(symbol).product
        return Request(path=FIND_PATH, params=(("client_order_id", client_id),), product=ACCOUNT, about=product)

    def parse_found(self, symbol: str, client_id: str, raw: bytes) -> Order | None:
        found = decode(raw, OrderRow).order(self._names)
        if found.client_id != client_id:
            raise ParseError(f"Alpaca told order {found.client_id!r} instead of {client_id!r}", raw)
        return found

    def unknown_order(self, error: ExchangeError) -> bool:
        return error.code in UNKNOWN_ORDER

    def leaves_open(self, error: ExchangeError | RateLimited) -> bool:
        """Trouble inside is HTTP 5xx at Alpaca: no refusal, but no answer. 429 has the one documented meaning that the
        key's requests of the minute are used up, which is counted before a request is looked at."""
        return isinstance(error, RateLimited) and error.status != 429

    def cancel_request(self, order: Order) -> Request:
        return Request(path=f"{ORDERS_PATH}/{order.id}", method="DELETE", product=ACCOUNT, about=order.product)

    def parse_cancelled(self, order: Order, raw: bytes) -> None:
        """What is refused is an HTTP error here."""

    def cancel_all_requests(self, symbols: tuple[str, ...]) -> list[Request]:
        """Everything of the account, whatever the market."""
        return [Request(path=ORDERS_PATH, method="DELETE", product=ACCOUNT)]

    def parse_cancelled_all(self, request: Request, raw: bytes) -> None:
        failed = [row for row in decode(raw, list[_Cancelled]) if row.status >= 300] if raw.strip() else []
        if failed:
            raise ExchangeError(f"Alpaca could not cancel {len(failed)} orders.", failed[0].status)

    def dead_man_requests(self, timeout_s: int, symbols: tuple[str, ...]) -> list[Request]:
        return []
