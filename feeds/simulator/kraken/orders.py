"""Orders and fills as Kraken's REST takes and shows them. Pure."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from feeds.simulator import filters
from feeds.simulator.desk import Desk
from feeds.simulator.kraken.rest import KrakenRestError, names_of
from feeds.simulator.kraken.terms import fill_id, order_id
from feeds.simulator.market import LiveMarket
from feeds.simulator.orders import OwnFill, OwnOrder

_STATUS = {"NEW": "open", "PARTIALLY_FILLED": "open", "FILLED": "closed", "CANCELED": "canceled"}


def seconds(ms: int) -> msgspec.Raw:
    """A time as a number with a fraction."""
    return msgspec.Raw(f"{Decimal(ms) / 1000:.4f}".encode())


def _decimal(params: Mapping[str, str], name: str) -> Decimal:
    try:
        value = Decimal(params.get(name, ""))
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        raise KrakenRestError(f"EGeneral:Invalid arguments:{name}")
    return value


def place(desk: Desk, market: LiveMarket, params: Mapping[str, str]) -> OwnOrder:
    """Place an order from REST parameters. Raises KrakenRestError for wrong ones, Rejected for refused ones."""
    side, kind, tif = params.get("type"), params.get("ordertype"), params.get("timeinforce", "GTC")
    if side not in ("buy", "sell") or kind not in ("limit", "market") or tif not in ("GTC", "IOC"):
        raise KrakenRestError("EGeneral:Invalid arguments")
    flags, client_id = params.get("oflags", "").split(","), params.get("cl_ord_id", "")
    if client_id and not (len(client_id) <= 18 or (len(client_id.replace("-", "")) == 32)):
        raise KrakenRestError("EGeneral:Invalid arguments:cl_ord_id")
    price = filters.ticks(market, _decimal(params, "price")) if kind == "limit" else None
    size = filters.lots(market, _decimal(params, "volume"))
    filters.check_value(market, size, price)
    return desk.place(
        market,
        buy=side == "buy",
        size=size,
        price=price,
        type=kind.upper(),
        time_in_force="GTX" if "post" in flags and kind == "limit" else tif,
        client_id=client_id,
    )


def described(order: OwnOrder) -> str:
    """``buy 0.50000000 XBTUSDT @ limit 29500.0``."""
    market = order.market
    price = "market" if order.price is None else f"limit {market.price_text(order.price)}"
    side = "buy" if order.buy else "sell"
    return f"{side} {market.size_text(order.size)} {names_of(market)[1]} @ {price}"


def order_row(order: OwnOrder) -> dict[str, Any]:
    market = order.market
    row: dict[str, Any] = {
        "refid": None,
        "userref": 0,
        "status": _STATUS.get(order.status, "expired"),
        "opentm": seconds(order.created_ms),
        "starttm": 0,
        "expiretm": 0,
        "descr": {
            "pair": names_of(market)[1],
            "type": "buy" if order.buy else "sell",
            "ordertype": "market" if order.price is None else "limit",
            "price": market.price_text(order.price or 0),
            "price2": "0",
            "leverage": "none",
            "order": described(order),
            "close": "",
        },
        "vol": market.size_text(order.size),
        "vol_exec": market.size_text(order.filled),
        "cost": f"{order.quote_filled:.5f}",
        "fee": "0.00000",
        "price": f"{order.average:.8f}",
        "stopprice": "0.00000",
        "limitprice": "0.00000",
        "misc": "",
        "oflags": "fciq,post" if order.post_only else "fciq",
    }
    if order.client_id:
        row["cl_ord_id"] = order.client_id
    if row["status"] != "open":
        row |= {"closetm": seconds(order.updated_ms), "reason": None if row["status"] == "closed" else "User requested"}
    return row


def trade_row(fill: OwnFill) -> dict[str, Any]:
    """An entry of TradesHistory; the pair by its key of AssetPairs."""
    return {
        "ordertxid": order_id(fill.order),
        "postxid": "TKH2SE-M7IF5-CFI7LT",
        "pair": names_of(fill.order.market)[0],
        "time": seconds(fill.ms),
        "type": "buy" if fill.order.buy else "sell",
        "ordertype": "market" if fill.order.price is None else "limit",
        "price": f"{fill.price:f}",
        "cost": f"{fill.value:f}",
        "fee": f"{fill.fee:f}",
        "vol": f"{fill.size:f}",
        "margin": "0.00000",
        "leverage": "0",
        "misc": "",
        "trade_id": fill.id,
        "maker": fill.maker,
    }


def consolidated(fills: list[OwnFill]) -> dict[str, dict[str, Any]]:
    """What one taker order did at one moment as one row, which is what Kraken tells unless asked not to."""
    rows: dict[str, dict[str, Any]] = {}
    first: dict[tuple[int, int], str] = {}
    for fill in fills:
        row, key = trade_row(fill), (fill.order.id, fill.ms)
        if fill.maker or key not in first:
            rows[fill_id(fill)] = row
            if not fill.maker:
                first[key] = fill_id(fill)
            continue
        whole = rows[first[key]]
        for name in ("cost", "fee", "vol"):
            whole[name] = f"{Decimal(whole[name]) + Decimal(row[name]):f}"
        whole["price"] = f"{Decimal(whole['cost']) / Decimal(whole['vol']):.8f}"
    return rows
