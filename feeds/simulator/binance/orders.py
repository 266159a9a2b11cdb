"""Orders as Binance's REST takes and shows them: filters, and the rows of spot and futures. Pure."""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from feeds.simulator import filters
from feeds.simulator.binance.rest import BinanceError
from feeds.simulator.binance.terms import refusal
from feeds.simulator.desk import Desk
from feeds.simulator.market import LiveMarket
from feeds.simulator.orders import Hold, OwnFill, OwnOrder, Rejected

_CLIENT_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")
_CONDITIONAL = ("STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET")
_HOLDS: Mapping[str, Hold] = {"BOTH": "both", "LONG": "long", "SHORT": "short"}
ZERO = Decimal(0)


def required(params: Mapping[str, str], name: str) -> str:
    value = params.get(name, "")
    if not value:
        raise BinanceError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
    return value


def decimal(params: Mapping[str, str], name: str) -> Decimal:
    """Raises BinanceError for what is missing or no number."""
    text = required(params, name)
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        raise BinanceError(-1100, f"Illegal characters found in parameter '{name}'.")
    return value


def place(desk: Desk, market: LiveMarket, params: Mapping[str, str]) -> OwnOrder:
    """Place an order from REST parameters. Raises BinanceError for what the filters or the desk refuse."""
    spot = desk.product == "spot"
    side, kind = required(params, "side"), required(params, "type")
    if side not in ("BUY", "SELL"):
        raise BinanceError(-1117, "Invalid side.")
    if not spot and kind in _CONDITIONAL:
        raise BinanceError(
            -4120, "Order type not supported for this endpoint. Please use the Algo Order API endpoints."
        )
    if kind not in (("LIMIT", "MARKET", "LIMIT_MAKER") if spot else ("LIMIT", "MARKET")):
        raise BinanceError(-1116, "Invalid orderType.")
    hold = None if spot else hold_of(desk, market, params)
    time_in_force = required(params, "timeInForce") if kind == "LIMIT" else "GTC"
    if time_in_force not in (("GTC", "IOC", "FOK") if spot else ("GTC", "IOC", "FOK", "GTX")):
        raise BinanceError(-1115, "Invalid timeInForce.")
    client_id = params.get("newClientOrderId", "")
    if client_id and not _CLIENT_ID.fullmatch(client_id):
        raise BinanceError(-1100, "Illegal characters found in parameter 'newClientOrderId'.")
    buy, reduce_only = side == "BUY", params.get("reduceOnly", "false").lower() == "true"
    quote_size = ZERO
    try:
        price = None if kind == "MARKET" else filters.ticks(market, decimal(params, "price"))
        if spot and kind == "MARKET" and "quoteOrderQty" in params and "quantity" not in params:
            quote_size = decimal(params, "quoteOrderQty")
            size = filters.affordable(market, buy, quote_size)
        else:
            size = filters.lots(market, decimal(params, "quantity"))
        filters.check_value(market, size, price, reduce_only=reduce_only)
        return desk.place(
            market,
            buy=buy,
            size=size,
            price=price,
            type=kind,
            time_in_force=time_in_force,
            client_id=client_id,
            reduce_only=reduce_only,
            quote_size=quote_size,
            hold=hold,
        )
    except Rejected as error:
        raise refusal(desk.product, error, market.instrument.min_notional) from error


def hold_of(desk: Desk, market: LiveMarket, params: Mapping[str, str]) -> Hold:
    """The position that the order is about: named in hedge mode, and there alone."""
    named = params.get("positionSide", "BOTH")
    if named not in _HOLDS or (named == "BOTH") is desk.futures.mode_of(market).hedged:
        raise BinanceError(-4061, "Order's position side does not match user's setting.")
    if named != "BOTH" and "reduceOnly" in params:
        raise BinanceError(-1106, "Parameter 'reduceonly' sent when not required.")
    return _HOLDS[named]


def order_of(desk: Desk, market: LiveMarket, params: Mapping[str, str], code: int, text: str) -> OwnOrder:
    """The order that ``orderId`` or ``origClientOrderId`` names. Raises BinanceError(code)."""
    number = params.get("orderId")
    if number is None and "origClientOrderId" not in params:
        raise BinanceError(-1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!")
    order = desk.find(market, int(number) if number and number.isdigit() else None, params.get("origClientOrderId"))
    if order is None:
        raise BinanceError(code, text)
    return order


# -- spot rows -------------------------------------------------------------------------------------------------------


def spot_order(order: OwnOrder) -> dict[str, Any]:
    """A row of openOrders, order, allOrders."""
    market = order.market
    return {
        "symbol": market.instrument.native,
        "orderId": order.id,
        "orderListId": -1,
        "clientOrderId": order.client_id,
        "price": market.price_text(order.price or 0),
        "origQty": market.size_text(order.size),
        "executedQty": market.size_text(order.filled),
        "cummulativeQuoteQty": f"{order.quote_filled:.8f}",
        "status": order.status,
        "timeInForce": order.time_in_force,
        "type": order.type,
        "side": order.side,
        "stopPrice": "0.00000000",
        "icebergQty": "0.00000000",
        "time": order.created_ms,
        "updateTime": order.updated_ms,
        "isWorking": True,
        "origQuoteOrderQty": f"{order.quote_size:.8f}",
        "workingTime": order.created_ms,
        "selfTradePreventionMode": "EXPIRE_MAKER",
    }


def spot_placed(order: OwnOrder, fills: list[OwnFill], kind: str) -> dict[str, Any]:
    """The answer to a new order: ACK, RESULT or FULL."""
    row = spot_order(order)
    head = {name: row[name] for name in ("symbol", "orderId", "orderListId", "clientOrderId")}
    head["transactTime"] = order.updated_ms
    if kind == "ACK":
        return head
    names = "price origQty executedQty origQuoteOrderQty cummulativeQuoteQty status timeInForce type side"
    body = head | {name: row[name] for name in (*names.split(), "workingTime", "selfTradePreventionMode")}
    if kind == "FULL":
        body["fills"] = [
            {
                "price": f"{fill.price:.8f}",
                "qty": f"{fill.size:.8f}",
                "commission": f"{fill.fee:.8f}",
                "commissionAsset": fill.fee_asset,
                "tradeId": fill.id,
            }
            for fill in fills
        ]
    return body


def spot_trade(fill: OwnFill) -> dict[str, Any]:
    """A row of myTrades."""
    return {
        "symbol": fill.order.market.instrument.native,
        "id": fill.id,
        "orderId": fill.order.id,
        "orderListId": -1,
        "price": f"{fill.price:.8f}",
        "qty": f"{fill.size:.8f}",
        "quoteQty": f"{fill.value:.8f}",
        "commission": f"{fill.fee:.8f}",
        "commissionAsset": fill.fee_asset,
        "time": fill.ms,
        "isBuyer": fill.order.buy,
        "isMaker": fill.maker,
        "isBestMatch": True,
    }


# -- futures rows ----------------------------------------------------------------------------------------------------


def futures_order(order: OwnOrder) -> dict[str, Any]:
    """A row of openOrders and order."""
    return futures_placed(order) | {
        "avgPrice": f"{order.average:.5f}",
        "cumQuote": f"{order.quote_filled:f}",
        "time": order.created_ms,
    }


def futures_placed(order: OwnOrder) -> dict[str, Any]:
    """The answer to a new or cancelled order; without ``avgPrice`` and ``cumQuote`` since July 2026."""
    market = order.market
    return {
        "clientOrderId": order.client_id,
        "cumQty": market.size_text(order.filled),
        "executedQty": market.size_text(order.filled),
        "orderId": order.id,
        "origQty": market.size_text(order.size),
        "price": market.price_text(order.price or 0),
        "reduceOnly": order.reduce_only,
        "side": order.side,
        "positionSide": order.hold.upper(),
        "status": order.status,
        "stopPrice": "0",
        "closePosition": False,
        "symbol": market.instrument.native,
        "timeInForce": order.time_in_force,
        "type": order.type,
        "origType": order.type,
        "updateTime": order.updated_ms,
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "priceMatch": "NONE",
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "goodTillDate": 0,
    }


def futures_trade(fill: OwnFill) -> dict[str, Any]:
    """A row of userTrades."""
    native = fill.order.market.instrument.native
    return {
        "buyer": fill.order.buy,
        "commission": f"{fill.fee:.8f}",
        "commissionAsset": fill.fee_asset,
        "id": fill.id,
        "maker": fill.maker,
        "orderId": fill.order.id,
        "price": f"{fill.price:f}",
        "qty": f"{fill.size:f}",
        "quoteQty": f"{fill.value:f}",
        "baseQty": f"{fill.size:f}",
        "marginAsset": "USDT",
        "realizedPnl": f"{fill.realised or ZERO:.8f}",
        "side": fill.order.side,
        "positionSide": fill.order.hold.upper(),
        "symbol": native,
        "pair": native,
        "time": fill.ms,
    }
