"""Values as an exchange's account side tells them, short to write."""

from decimal import Decimal
from typing import Any

from feeds.account_domain import Balance, Fill, Order, Position


def fill(id: str = "1", **fields: Any) -> Fill:
    given = {
        "product": "spot",
        "symbol": "BTC/USDT",
        "id": id,
        "order_id": "77",
        "side": "buy",
        "price": Decimal("61837.63"),
        "size": Decimal("0.02"),
        "fee": Decimal("0.00002"),
        "fee_asset": "BTC",
        "maker": False,
        "exchange_ms": 1_795_221_000_000,
    }
    return Fill(**{**given, **fields})


def balance(asset: str, total: str, asof_ms: int, **fields: Any) -> Balance:
    given = {"product": "spot", "asset": asset, "total": Decimal(total), "asof_ms": asof_ms}
    return Balance(**{**given, **fields})


def position(symbol: str, size: str, asof_ms: int, **fields: Any) -> Position:
    given = {"product": "usdm", "symbol": symbol, "side": "both", "size": Decimal(size), "entry": Decimal(60000)}
    return Position(**{**given, "asof_ms": asof_ms, **fields})


def order(id: str, status: str, updated_ms: int, **fields: Any) -> Order:
    given = {
        "product": "spot",
        "symbol": "BTC/USDT",
        "id": id,
        "side": "buy",
        "type": "limit",
        "price": Decimal(60000),
        "size": Decimal(1),
        "filled": Decimal(0),
        "status": status,
        "updated_ms": updated_ms,
    }
    return Order(**{**given, **fields})
