"""Bybit: placing and cancelling orders.

Facts (sources: bybit-exchange.github.io/docs/v5: order/{create-order,cancel-order,cancel-all,open-order,dcp}, error):

* Answers say that a request was accepted, no more: how an order is doing, the stream and the list of orders tell. A
  post-only order that would take is accepted and then cancelled.
* ``orderLinkId`` (up to 36 letters, digits, ``-`` and ``_``) is unique for ever: an order that is sent twice is refused
  the second time (110072, spot 170141).
* ``/v5/order/realtime`` finds an order by it whatever its state, the last 500 that ended included; those are forgotten
  when Bybit restarts its service.
* A spot market purchase is by value unless ``marketUnit`` is ``baseCoin``.
* In hedge mode ``positionIdx`` must name the position: 1 long, 2 short. Each contract has a mode of its own, which its
  rows in ``position/list`` tell, asked by ``symbol`` even where nothing is held. 10001: it does not fit the order.
* All of linear is cancelled by settlement coin, 500 at most at a time, picked at random; all of spot by kind of order.
* Disconnection protection (``disconnected-cancel-all``) is no dead man's switch as we mean it: it is for institutions
  only, acts when all connections that subscribe ``dcp.*`` are gone, not when nobody asks again, and cannot be switched
  off by API. A page that only looks on must not be what an account's orders hang on, so there is none here.
"""

import uuid
from collections.abc import Mapping

import msgspec

from feeds.account_domain import Order
from feeds.account_reading import Wire
from feeds.accounts.bybit.rows import POSITION_INDEXES, WALLET, OrderRow, PositionRow
from feeds.accounts.bybit.wire import reading, result
from feeds.domain import Market
from feeds.errors import ExchangeError, RateLimited
from feeds.exchange import MarketIndex, Request
from feeds.trading import NewOrder

UNKNOWN_ORDER = frozenset({110001, 170213})
WRONG_PARAMETER = 10001
OUTCOME_UNKNOWN = frozenset({10000, 10016, 170007, 170146})
"""The server timed out or broke, or the order's creation timed out: it may have been done."""
TURNED_AWAY = frozenset({10006, 10018})
"""A limit of the user or of the address was passed: counted before a request is looked at. 429, with the same error
class here, is another matter: the trading service is under high load, and that is no refusal."""
ADDRESS_BANNED = 403
"""HTTP status of every answer to an address that asked too often, whatever it asks."""
SPOT_KINDS = ("Order", "StopOrder", "tpslOrder", "OcoOrder", "BidirectionalTpslOrder")
"""Values of ``orderFilter``; without one only ``Order`` is cancelled."""


class _Placed(Wire, frozen=True):
    """``{"orderId":"1321003749386327552","orderLinkId":"my-order-1"}``"""

    orderId: str
    orderLinkId: str = ""


class _Orders(Wire, frozen=True):
    rows: list[OrderRow] = msgspec.field(name="list")


class _Positions(Wire, frozen=True):
    rows: list[PositionRow] = msgspec.field(name="list")


class _CancelledAll(Wire, frozen=True):
    """``{"list":[{"orderId":"1616024329462743808","orderLinkId":"1616024329462743809"}],"success":"1"}``"""

    success: str = "1"


class BybitTrading:
    """The part of :class:`feeds.accounts.bybit.api.BybitAccount` that fits :class:`feeds.trading.TradingApi` and
    ``HedgeMode``.

    ``hedged``: are the positions of a contract (Bybit's name) kept by side? As far as told.
    """

    def __init__(self, markets: MarketIndex) -> None:
        self._markets = markets
        self.hedged: dict[str, bool] = {}

    def saw(self, position: PositionRow) -> None:
        """Its contract is in hedge mode, or not."""
        self.hedged[position.symbol] = bool(position.positionIdx)

    def mode_request(self, symbol: str) -> Request | None:
        market = self._market(symbol)
        if market.product == "spot" or market.native in self.hedged:
            return None
        params = (("category", market.product), ("symbol", market.native))
        return Request(path="/v5/position/list", params=params, product=WALLET, about=market.product)

    def take_mode(self, symbol: str, raw: bytes) -> None:
        native = self._market(symbol).native
        with reading(raw, "positions"):
            rows = [row for row in result(raw, _Positions).rows if row.symbol == native]
            if not rows:
                raise ValueError(f"no position of {native} is told")
        self.saw(rows[0])

    def in_hedge_mode(self) -> bool:
        return any(self.hedged.values())

    def doubt_mode(self, symbol: str, error: ExchangeError) -> None:
        if error.code == WRONG_PARAMETER:
            self.hedged.pop(self._market(symbol).native, None)

    def new_client_id(self) -> str:
        return uuid.uuid4().hex

    def place_request(self, order: NewOrder) -> Request:
        market = self._market(order.symbol)
        body: dict[str, object] = {
            "category": market.product,
            "symbol": market.native,
            "side": "Buy" if order.side == "buy" else "Sell",
            "orderType": "Market" if order.price is None else "Limit",
            "qty": f"{order.size:f}",
        }
        if order.price is not None:
            body |= {"price": f"{order.price:f}", "timeInForce": "PostOnly" if order.post_only else order.time_in_force}
        elif order.post_only:
            raise ExchangeError(f"A market order in {order.symbol} takes at once: it cannot be post-only.")
        if order.post_only and order.time_in_force != "GTC":
            raise ExchangeError(f"At Bybit a post-only order cannot be {order.time_in_force} as well.")
        body["orderLinkId"] = order.client_id
        if market.product == "spot":
            if order.reduce_only:
                raise ExchangeError(f"{order.symbol} is a spot market: nothing can be reduced there.")
            if order.price is None:
                body["marketUnit"] = "baseCoin"
        else:
            if order.reduce_only:
                body["reduceOnly"] = True
            if (hedged := self.hedged.get(market.native)) is None:
                raise ExchangeError(f"Bybit has not told yet whether {order.symbol} is in hedge mode.")
            if hedged:
                body["positionIdx"] = POSITION_INDEXES[order.hedged_side]
        return _post("/v5/order/create", body)

    def parse_placed(self, order: NewOrder, raw: bytes, asof_ms: int) -> Order:
        with reading(raw, "placed order"):
            placed = result(raw, _Placed)
        return Order(
            product=self._market(order.symbol).product,
            symbol=order.symbol,
            id=placed.orderId,
            client_id=placed.orderLinkId or order.client_id,
            side=order.side,
            type="market" if order.price is None else "limit",
            price=order.price,
            size=order.size,
            filled=order.size - order.size,
            status="open",
            reduce_only=order.reduce_only,
            time_in_force="PostOnly" if order.post_only else order.time_in_force,
            created_ms=asof_ms,
            updated_ms=asof_ms,
        )

    def find_request(self, symbol: str, client_id: str) -> Request:
        market = self._market(symbol)
        params = (("category", market.product), ("symbol", market.native), ("orderLinkId", client_id))
        return Request(path="/v5/order/realtime", params=params, product=WALLET, about=market.product)

    def parse_found(self, symbol: str, client_id: str, raw: bytes) -> Order | None:
        product = self._market(symbol).product
        with reading(raw, "order"):
            orders = [row.order(product, self._markets) for row in result(raw, _Orders).rows]
        return next((order for order in orders if order.client_id == client_id), None)

    def unknown_order(self, error: ExchangeError) -> bool:
        return error.code in UNKNOWN_ORDER

    def leaves_open(self, error: ExchangeError | RateLimited) -> bool:
        if isinstance(error, RateLimited):
            return error.code not in TURNED_AWAY and error.status != ADDRESS_BANNED
        return error.code in OUTCOME_UNKNOWN

    def cancel_request(self, order: Order) -> Request:
        market = self._market(order.symbol)
        body: dict[str, object] = {"category": market.product, "symbol": market.native, "orderId": order.id}
        if market.product == "spot" and order.type not in ("limit", "market"):
            body["orderFilter"] = "tpslOrder" if order.type == "tpslorder" else "StopOrder"
        return _post("/v5/order/cancel", body)

    def parse_cancelled(self, order: Order, raw: bytes) -> None:
        with reading(raw, "cancelled order"):
            result(raw, _Placed)

    def cancel_all_requests(self, symbols: tuple[str, ...]) -> list[Request]:
        markets = [market for symbol in symbols if (market := self._markets.get(symbol)) is not None]
        settles = dict.fromkeys(market.settle for market in markets if market.settle is not None)
        bodies: list[dict[str, object]] = [{"category": "linear", "settleCoin": settle} for settle in settles]
        if any(market.settle is None for market in markets):
            bodies += [{"category": "spot", "orderFilter": kind} for kind in SPOT_KINDS]
        return [_post("/v5/order/cancel-all", body) for body in bodies]

    def parse_cancelled_all(self, request: Request, raw: bytes) -> None:
        with reading(raw, "cancelled orders"):
            answer = result(raw, _CancelledAll)
        if answer.success != "1":
            raise ExchangeError("Bybit did not cancel the orders, and did not say why.")

    def dead_man_requests(self, timeout_s: int, symbols: tuple[str, ...]) -> list[Request]:
        return []

    def _market(self, symbol: str) -> Market:
        market = self._markets.get(symbol)
        if market is None:
            raise ExchangeError(f"Bybit lists no market {symbol}")
        return market


def _post(path: str, body: Mapping[str, object]) -> Request:
    category = str(body["category"])
    return Request(path=path, method="POST", json=msgspec.json.encode(body), product=WALLET, about=category)
