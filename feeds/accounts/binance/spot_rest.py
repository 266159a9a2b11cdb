"""Binance spot, account answers by REST. Source: binance/binance-spot-api-docs ``rest-api.md``."""

from decimal import Decimal
from typing import Literal

from feeds.account_domain import Balance, Fill, Order
from feeds.account_reading import EXACT, Ms, Wire
from feeds.accounts.binance.wire import average_of, decode, if_any, side_of, status_of, symbol_of
from feeds.exchange import MarketIndex

PRODUCT = "spot"


class _Balance(Wire, frozen=True):
    asset: str
    free: Decimal
    locked: Decimal


class _Account(Wire, frozen=True):
    balances: list[_Balance]


class _Order(Wire, frozen=True, rename="camel"):
    symbol: str
    order_id: int
    client_order_id: str
    side: Literal["BUY", "SELL"]
    type: str
    price: Decimal
    orig_qty: Decimal
    executed_qty: Decimal
    cummulative_quote_qty: Decimal  # so spelt by Binance
    status: str
    time_in_force: str
    time: Ms
    update_time: Ms


class _Trade(Wire, frozen=True, rename="camel"):
    id: int
    order_id: int
    price: Decimal
    qty: Decimal
    commission: Decimal  # positive: charged
    commission_asset: str
    time: Ms
    is_buyer: bool
    is_maker: bool


def parse_balances(raw: bytes, asof_ms: int) -> list[Balance]:
    """``GET /api/v3/account``: free and locked of every asset that is not zero."""
    balances = decode(raw, _Account).balances
    return [spot_balance(b.asset, b.free, b.locked, asof_ms) for b in balances if b.free or b.locked]


def spot_balance(asset: str, free: Decimal, locked: Decimal, asof_ms: int) -> Balance:
    """A balance from its two parts; spot has no others."""
    total = EXACT.add(free, locked)
    return Balance(product=PRODUCT, asset=asset, total=total, free=free, locked=locked, asof_ms=asof_ms)


def parse_orders(raw: bytes, markets: MarketIndex) -> list[Order]:
    """``GET /api/v3/openOrders``."""
    return [
        Order(
            product=PRODUCT,
            symbol=symbol_of(markets, PRODUCT, o.symbol),
            id=str(o.order_id),
            client_id=o.client_order_id,
            side=side_of(o.side),
            type=o.type.lower(),
            price=if_any(o.price),
            size=o.orig_qty,
            filled=o.executed_qty,
            average=average_of(o.cummulative_quote_qty, o.executed_qty),
            status=status_of(o.status),
            time_in_force=o.time_in_force or None,
            created_ms=o.time,
            updated_ms=o.update_time,
        )
        for o in decode(raw, list[_Order])
    ]


def parse_fills(raw: bytes, symbol: str) -> list[Fill]:
    """``GET /api/v3/myTrades``: oldest first."""
    return [
        Fill(
            product=PRODUCT,
            symbol=symbol,
            id=str(t.id),
            order_id=str(t.order_id),
            side="buy" if t.is_buyer else "sell",
            price=t.price,
            size=t.qty,
            fee=t.commission,
            fee_asset=t.commission_asset,
            maker=t.is_maker,
            exchange_ms=t.time,
        )
        for t in decode(raw, list[_Trade])
    ]
