"""Binance, orders placed and cancelled by REST, as a part of :class:`feeds.accounts.binance.api.BinanceAccount`.

Facts (sources: binance-spot-api-docs ``rest-api.md`` and ``errors.md``; developers.binance.com, USD-M futures, trade):

* ``newClientOrderId``: up to 36 of ``.A-Z:/a-z0-9_-``, unique among open orders. Asked by ``origClientOrderId``.
* In hedge mode an order must name its position (``positionSide`` LONG or SHORT) and may not have ``reduceOnly``: a sale
  from the long one closes it, a sale to the short one opens it. Which mode: open positions tell,
  and ``positionSide/dual`` (weight 30), for the whole account. -4061: the order does not fit the mode.
* A post-only order is type LIMIT_MAKER on spot, and timeInForce GTX on futures.
* Errors -1000, -1001 (internal), -1006 and -1007 (no answer from the matching engine) leave open what has become of it.
  So does HTTP 5xx, whatever it says. 429 and 418 (-1003, -1015) do not: 4xx is the sender's fault, by documentation,
  and of these two it says that the limit was broken, so that the request is turned away.
* The futures' conditional orders are another list: cancelled by ``algoOrder``, all of a market by ``algoOpenOrders``.
* -2013: order does not exist (asked for); -2011: unknown order (cancelled).
* ``DELETE openOrders`` answers -2011 where nothing is open on spot; the futures' ``allOpenOrders`` answers code 200.
* The dead man's switch is the futures' alone: ``countdownCancelAll``, per market, weight 10.
"""

import secrets
from typing import Any

from feeds.account_domain import Order
from feeds.account_reading import Wire
from feeds.accounts.binance import spot_rest, usdm_rest
from feeds.accounts.binance.wire import decode
from feeds.domain import Market
from feeds.errors import ExchangeError, ParseError, RateLimited
from feeds.exchange import MarketIndex, Request
from feeds.trading import NewOrder

NO_SUCH_ORDER = frozenset({-2011, -2013})
NOT_KNOWN = frozenset({-1000, -1001, -1006, -1007})

ORDER_PATHS = {"spot": "/api/v3/order", "usdm": "/fapi/v1/order"}
ALL_PATHS = {"spot": ("/api/v3/openOrders",), "usdm": ("/fapi/v1/allOpenOrders", "/fapi/v1/algoOpenOrders")}
ALGO_PATH = "/fapi/v1/algoOrder"
MODE = Request(path="/fapi/v1/positionSide/dual", product="usdm", weight=30)
WRONG_MODE = -4061


class _Placed(Wire, frozen=True, rename="camel"):
    """What the answers to a new order share, whatever their kind."""

    order_id: int


class _Mode(Wire, frozen=True, rename="camel"):
    """``{"dualSidePosition": true}``"""

    dual_side_position: bool


class BinanceTrading:
    """Needs ``_markets``. Fits :class:`feeds.trading.TradingApi` and ``HedgeMode``.

    ``hedged``: are long and short positions kept side by side? None: not told yet.
    """

    _markets: MarketIndex
    hedged: bool | None = None

    def _market(self, symbol: str) -> Market:
        market = self._markets.get(symbol)
        if market is None:
            raise ExchangeError(f"Binance lists no market {symbol}.")
        return market

    def new_client_id(self) -> str:
        return f"sb-{secrets.token_hex(14)}"

    def place_request(self, order: NewOrder) -> Request:
        market = self._market(order.symbol)
        spot = market.product == "spot"
        params = {"symbol": market.native, "side": order.side.upper()}
        if order.price is None:
            params["type"] = "MARKET"
        elif spot and order.post_only:
            params |= {"type": "LIMIT_MAKER", "price": f"{order.price:f}"}
        else:
            in_force = "GTX" if order.post_only else order.time_in_force
            params |= {"type": "LIMIT", "price": f"{order.price:f}", "timeInForce": in_force}
        params |= {"quantity": f"{order.size:f}", "newClientOrderId": order.client_id, "newOrderRespType": "RESULT"}
        if not spot:
            params |= self._position(order)
        return self._order_request("POST", market, params)

    def _position(self, order: NewOrder) -> dict[str, str]:
        if self.hedged is None:
            raise ExchangeError(
                "Binance has not told yet whether the account is in hedge mode, which an order must fit."
            )
        if self.hedged:
            return {"positionSide": order.hedged_side.upper()}
        return {"reduceOnly": "true"} if order.reduce_only else {}

    def mode_request(self, symbol: str) -> Request | None:
        return MODE if self.hedged is None and self._market(symbol).product == "usdm" else None

    def take_mode(self, symbol: str, raw: bytes) -> None:
        self.hedged = decode(raw, _Mode).dual_side_position

    def in_hedge_mode(self) -> bool:
        return bool(self.hedged)

    def doubt_mode(self, symbol: str, error: ExchangeError) -> None:
        if error.code == WRONG_MODE:
            self.hedged = None

    def _order_request(self, method: Any, market: Market, params: dict[str, str], weight: int = 1) -> Request:
        path = ORDER_PATHS[market.product]
        return Request(path=path, method=method, params=tuple(params.items()), product=market.product, weight=weight)

    def parse_placed(self, order: NewOrder, raw: bytes, asof_ms: int) -> Order:
        market = self._market(order.symbol)
        return Order(
            product=market.product,
            symbol=order.symbol,
            id=str(decode(raw, _Placed).order_id),
            client_id=order.client_id,
            side=order.side,
            type="market" if order.price is None else "limit",
            price=order.price,
            size=order.size,
            filled=order.size * 0,
            status="open",
            reduce_only=order.reduce_only,
            created_ms=asof_ms,
            updated_ms=asof_ms,
        )

    def find_request(self, symbol: str, client_id: str) -> Request:
        market = self._market(symbol)
        params = {"symbol": market.native, "origClientOrderId": client_id}
        return self._order_request("GET", market, params, weight=4 if market.product == "spot" else 1)

    def parse_found(self, symbol: str, client_id: str, raw: bytes) -> Order | None:
        spot = self._market(symbol).product == "spot"
        parse = spot_rest.parse_orders if spot else usdm_rest.parse_orders
        [found] = parse(b"[" + raw + b"]", self._markets)
        if found.client_id != client_id:
            raise ParseError(f"Binance told order {found.client_id!r} instead of {client_id!r}", raw)
        return found

    def unknown_order(self, error: ExchangeError) -> bool:
        return error.code in NO_SUCH_ORDER

    def leaves_open(self, error: ExchangeError | RateLimited) -> bool:
        if isinstance(error, RateLimited):
            return error.status is None or error.status >= 500
        return error.code in NOT_KNOWN

    def cancel_request(self, order: Order) -> Request:
        market = self._market(order.symbol)
        if (number := usdm_rest.algo_number(order.id)) is not None:
            return Request(path=ALGO_PATH, method="DELETE", params=(("algoId", number),), product=market.product)
        return self._order_request("DELETE", market, {"symbol": market.native, "orderId": order.id})

    def parse_cancelled(self, order: Order, raw: bytes) -> None:
        """What is refused is an HTTP error here."""

    def cancel_all_requests(self, symbols: tuple[str, ...]) -> list[Request]:
        markets = [self._market(symbol) for symbol in symbols]
        return [
            Request(path=path, method="DELETE", params=(("symbol", market.native),), product=market.product)
            for market in markets
            for path in ALL_PATHS[market.product]
        ]

    def parse_cancelled_all(self, request: Request, raw: bytes) -> None:
        """What is refused is an HTTP error here."""

    def dead_man_requests(self, timeout_s: int, symbols: tuple[str, ...]) -> list[Request]:
        markets = [market for market in map(self._market, symbols) if market.product == "usdm"]
        return [
            Request(
                path="/fapi/v1/countdownCancelAll",
                method="POST",
                params=(("symbol", market.native), ("countdownTime", str(timeout_s * 1000))),
                product="usdm",
                weight=10,
            )
            for market in markets
        ]
