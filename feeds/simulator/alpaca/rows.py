"""Orders, fills and holdings as Alpaca's trading API writes them. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from feeds.simulator.accounts import Account
from feeds.simulator.alpaca.frames import is_stock, stamp
from feeds.simulator.alpaca.listing import CRYPTO, STOCKS
from feeds.simulator.alpaca.terms import CASH
from feeds.simulator.market import LiveMarket
from feeds.simulator.orders import OPEN, Movement, OwnFill, OwnOrder

_NEW_YORK = timezone(timedelta(hours=-5))
_ORDERS = 0x5EED << 112
STATUSES = {
    "NEW": "new",
    "PARTIALLY_FILLED": "partially_filled",
    "FILLED": "filled",
    "CANCELED": "canceled",
    "EXPIRED": "canceled",  # what an IOC order leaves
    "EXPIRED_IN_MATCH": "canceled",
}
Markets = Mapping[str, Mapping[str, LiveMarket]]


def order_id(number: int) -> str:
    return str(UUID(int=_ORDERS | number))


def order_number(text: str) -> int | None:
    """None: no id at all."""
    try:
        return UUID(text).int & ~_ORDERS
    except ValueError:
        return None


def order(each: OwnOrder, *, accepted: bool = False, joined: bool = False) -> dict[str, Any]:
    """``accepted``: as the answer to a new order has it, before anything happened to it. ``joined``: ``BTCUSD``."""
    market = each.market
    i = market.instrument
    filled = 0 if accepted else each.filled
    created, updated = stamp(each.created_ms), stamp(each.created_ms if accepted else each.updated_ms)
    status = "pending_new" if accepted else STATUSES[each.status]
    return {
        "id": order_id(each.id),
        "client_order_id": each.client_id,
        "created_at": created,
        "updated_at": updated,
        "submitted_at": created,
        "filled_at": updated if status == "filled" else None,
        "expired_at": None,
        "canceled_at": updated if status == "canceled" else None,
        "failed_at": None,
        "replaced_at": None,
        "replaced_by": None,
        "replaces": None,
        "asset_id": str(uuid5(NAMESPACE_URL, f"{i.product}/{i.native}")),
        "symbol": i.native.replace("/", "") if joined else i.native,
        "asset_class": "us_equity" if is_stock(i) else "crypto",
        "notional": None,
        "qty": market.size_text(each.size),
        "status": status,
        "filled_qty": market.size_text(filled),
        "filled_avg_price": f"{each.average:f}" if filled else None,
        "order_class": "",
        "order_type": each.type.lower(),
        "type": each.type.lower(),
        "side": each.side.lower(),
        "time_in_force": each.time_in_force.lower(),
        "limit_price": None if each.price is None else market.price_text(each.price),
        "stop_price": None,
        "extended_hours": False,
        "legs": None,
        "trail_percent": None,
        "trail_price": None,
        "hwm": None,
    }


def is_open(each: OwnOrder) -> bool:
    return each.status in OPEN


def activity_id(kind: str, number: int, ms: int) -> str:
    """The time in New York, and what rises with nothing."""
    moment = datetime.fromtimestamp(ms // 1000, UTC).astimezone(_NEW_YORK)
    return f"{moment:%Y%m%d%H%M%S}{ms % 1000:03d}::{uuid5(NAMESPACE_URL, f'{kind} {number}')}"


def fill(each: OwnFill, filled: int) -> dict[str, Any]:
    """``filled``: lots of its order that were filled with it."""
    market, of = each.order.market, each.order
    return {
        "id": activity_id("fill", each.number, each.ms),
        "activity_type": "FILL",
        "transaction_time": stamp(each.ms),
        "type": "fill" if filled == of.size else "partial_fill",
        "price": f"{each.price:f}",
        "qty": f"{each.size:f}",
        "side": of.side.lower(),
        "symbol": market.instrument.native,
        "leaves_qty": market.size_text(of.size - filled),
        "order_id": order_id(of.id),
        "cum_qty": market.size_text(filled),
        "order_status": "filled" if filled == of.size else "partially_filled",
    }


def booking(each: Movement) -> dict[str, Any]:
    """Of cash, of shares, or of coins. The name may be a type and, behind a space, a kind of it: ``DIV SDIV``."""
    kind, _, sub = (each.name or ("CSD" if each.amount >= 0 else "CSW")).partition(" ")
    row = {
        "id": activity_id("money", each.id, each.ms),
        "activity_type": kind,
        "date": stamp(each.ms)[:10],
        "created_at": stamp(each.ms),
        "net_amount": f"{each.amount:f}" if each.asset == CASH else "0",
        "description": "",
        "status": "executed",
        "currency": CASH,
    }
    if sub:
        row["activity_sub_type"] = sub
    if each.asset != CASH:
        row |= {"symbol": f"{each.asset}{CASH}" if each.wallet == CRYPTO else each.asset, "qty": f"{each.amount:f}"}
    return row


def holdings(account: Account, markets: Markets) -> list[dict[str, Any]]:
    """What is held beside the cash, at the middle of its market (a coin without one, at 1)."""
    rows = []
    for product in (CRYPTO, STOCKS):
        cash = account.desks[product].wallet.cash
        by_base = {m.instrument.base: m for m in markets[product].values() if m.instrument.quote == CASH}
        for asset in cash.assets():
            if asset == CASH or not cash.total(asset):
                continue
            market = by_base.get(asset)
            price = Decimal(market.mid()) * market.instrument.tick if market is not None else Decimal(1)
            rows.append(_holding(product, asset, cash.total(asset), cash.free[asset], price))
    return rows


def _holding(product: str, asset: str, total: Decimal, free: Decimal, price: Decimal) -> dict[str, Any]:
    return {
        "asset_id": str(uuid5(NAMESPACE_URL, f"{product}/{asset}")),
        "symbol": f"{asset}{CASH}" if product == CRYPTO else asset,
        "exchange": "CRYPTO" if product == CRYPTO else "ARCA",
        "asset_class": "crypto" if product == CRYPTO else "us_equity",
        "asset_marginable": False,
        "qty": f"{total:f}",
        "qty_available": f"{free:f}",
        "side": "long",
        "avg_entry_price": f"{price:f}",
        "market_value": f"{total * price:f}",
        "cost_basis": f"{total * price:f}",
        "unrealized_pl": "0",
        "unrealized_plpc": "0",
        "current_price": f"{price:f}",
    }


def account(of: Account, markets: Markets, *, blocked: bool) -> dict[str, Any]:
    """Cash is that of both wallets, without what open orders hold; equity is with it, as ccxt tells of the real one."""
    wallets = [of.desks[product].wallet.cash for product in (CRYPTO, STOCKS)]
    cash = sum((wallet.total(CASH) for wallet in wallets), Decimal(0))
    free = sum((wallet.free[CASH] for wallet in wallets), Decimal(0))
    held = sum((Decimal(row["market_value"]) for row in holdings(of, markets)), Decimal(0))
    return {
        "id": str(uuid5(NAMESPACE_URL, of.name)),
        "account_number": "010203ABCD",
        "status": "ACTIVE",
        "crypto_status": "ACTIVE",
        "currency": CASH,
        "cash": f"{free:f}",
        "buying_power": f"{free:f}",
        "non_marginable_buying_power": f"{free:f}",
        "portfolio_value": f"{cash + held:f}",
        "equity": f"{cash + held:f}",
        "long_market_value": f"{held:f}",
        "position_market_value": f"{held:f}",
        "short_market_value": "0",
        "multiplier": "1",
        "daytrade_count": 0,
        "pattern_day_trader": False,
        "trade_suspended_by_user": False,
        "trading_blocked": blocked,
        "transfers_blocked": False,
        "account_blocked": False,
        "shorting_enabled": False,
        "created_at": "2019-06-12T22:47:07.99658Z",
    }
