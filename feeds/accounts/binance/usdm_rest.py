"""Binance USD-M futures, account answers by REST.

Source: developers.binance.com/docs/derivatives/usds-margined-futures (account, trade).
"""

from decimal import Decimal
from typing import Literal

import msgspec

from feeds.account_domain import Balance, Fill, Order, Position, closes
from feeds.account_reading import Ms, Wire
from feeds.accounts.binance.wire import decode, if_any, margin_mode_of, side_of, status_of, symbol_of
from feeds.exchange import MarketIndex

PRODUCT = "usdm"

PositionSide = Literal["BOTH", "LONG", "SHORT"]
POSITION_SIDES: dict[PositionSide, Literal["both", "long", "short"]] = {
    "BOTH": "both",
    "LONG": "long",
    "SHORT": "short",
}


class Setting(msgspec.Struct, frozen=True):
    """How a symbol is set up: ``symbolConfig`` and ``ACCOUNT_CONFIG_UPDATE`` tell it, the positions do not."""

    leverage: Decimal
    margin_mode: str | None


Settings = dict[str, Setting]
"""By native symbol."""


class _Balance(Wire, frozen=True, rename="camel"):
    asset: str
    balance: Decimal
    available_balance: Decimal


class _SymbolConfig(Wire, frozen=True, rename="camel"):
    symbol: str
    margin_type: str
    leverage: Decimal


class _Position(Wire, frozen=True, rename="camel"):
    symbol: str
    position_side: PositionSide
    position_amt: Decimal
    entry_price: Decimal
    mark_price: Decimal
    un_realized_profit: Decimal
    liquidation_price: Decimal
    isolated_margin: Decimal = Decimal(0)  # isolated_wallet with open profit
    isolated_wallet: Decimal = Decimal(0)
    initial_margin: Decimal | None = None
    margin_asset: str | None = None


class _Order(Wire, frozen=True, rename="camel"):
    symbol: str
    order_id: int
    client_order_id: str
    side: Literal["BUY", "SELL"]
    type: str
    price: Decimal
    avg_price: Decimal
    orig_qty: Decimal
    executed_qty: Decimal
    status: str
    time_in_force: str
    reduce_only: bool
    time: Ms
    update_time: Ms
    position_side: PositionSide = "BOTH"


class _AlgoOrder(Wire, frozen=True, rename="camel"):
    symbol: str
    algo_id: int
    client_algo_id: str
    side: Literal["BUY", "SELL"]
    order_type: str
    price: Decimal
    quantity: Decimal
    algo_status: str
    time_in_force: str
    reduce_only: bool
    create_time: Ms
    update_time: Ms
    position_side: PositionSide = "BOTH"
    actual_price: Decimal = Decimal(0)
    actual_qty: Decimal = Decimal(0)


class _Trade(Wire, frozen=True, rename="camel"):
    id: int
    order_id: int
    side: Literal["BUY", "SELL"]
    price: Decimal
    qty: Decimal
    commission: Decimal  # positive: charged
    commission_asset: str
    realized_pnl: Decimal
    maker: bool
    time: Ms
    position_side: PositionSide = "BOTH"


def parse_balances(raw: bytes, asof_ms: int) -> list[Balance]:
    """``GET /fapi/v3/balance``: the wallet balance of every asset that has one, and what of it is available."""
    return [
        Balance(product=PRODUCT, asset=b.asset, total=b.balance, free=b.available_balance, asof_ms=asof_ms)
        for b in decode(raw, list[_Balance])
        if b.balance
    ]


def parse_settings(raw: bytes) -> Settings:
    """``GET /fapi/v1/symbolConfig``."""
    return {c.symbol: Setting(c.leverage, margin_mode_of(c.margin_type)) for c in decode(raw, list[_SymbolConfig])}


def parse_positions(raw: bytes, asof_ms: int, markets: MarketIndex, settings: Settings) -> list[Position]:
    """``GET /fapi/v3/positionRisk``. It also lists symbols that have only orders: those are left out."""
    return [
        _position(p, asof_ms, markets, settings.get(p.symbol)) for p in decode(raw, list[_Position]) if p.position_amt
    ]


def _position(p: _Position, asof_ms: int, markets: MarketIndex, setting: Setting | None) -> Position:
    market = markets.native(PRODUCT, p.symbol)
    margin_mode = (setting.margin_mode if setting else None) or ("isolated" if p.isolated_margin else "cross")
    return Position(
        product=PRODUCT,
        symbol=symbol_of(markets, PRODUCT, p.symbol),
        side=POSITION_SIDES[p.position_side],
        size=p.position_amt,
        entry=p.entry_price,
        mark=p.mark_price,
        unrealised=p.un_realized_profit,
        liquidation=if_any(p.liquidation_price),
        leverage=setting.leverage if setting else None,
        margin=p.isolated_wallet if margin_mode == "isolated" else p.initial_margin,
        margin_mode=margin_mode,
        settle=p.margin_asset or (market.settle if market else None),
        asof_ms=asof_ms,
    )


def parse_orders(raw: bytes, markets: MarketIndex) -> list[Order]:
    """``GET /fapi/v1/openOrders``."""
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
            average=if_any(o.avg_price),
            status=status_of(o.status),
            reduce_only=o.reduce_only or closes(side_of(o.side), POSITION_SIDES[o.position_side]),
            time_in_force=o.time_in_force or None,
            created_ms=o.time,
            updated_ms=o.update_time,
        )
        for o in decode(raw, list[_Order])
    ]


def algo_id(number: int) -> str:
    """The id of a conditional order: these are numbered apart from the others."""
    return f"algo-{number}"


def algo_number(order_id: str) -> str | None:
    """Binance's own number of a conditional order; None for another order."""
    return order_id.removeprefix("algo-") if order_id.startswith("algo-") else None


def parse_algo_orders(raw: bytes, markets: MarketIndex) -> list[Order]:
    """``GET /fapi/v1/openAlgoOrders``: stop, take-profit and trailing orders, not in openOrders since 2025-12-09."""
    return [
        Order(
            product=PRODUCT,
            symbol=symbol_of(markets, PRODUCT, o.symbol),
            id=algo_id(o.algo_id),
            client_id=o.client_algo_id,
            side=side_of(o.side),
            type=o.order_type.lower(),
            price=if_any(o.price),
            size=o.quantity,
            filled=o.actual_qty,
            average=if_any(o.actual_price),
            status=status_of(o.algo_status),
            reduce_only=o.reduce_only or closes(side_of(o.side), POSITION_SIDES[o.position_side]),
            time_in_force=o.time_in_force or None,
            created_ms=o.create_time,
            updated_ms=o.update_time,
        )
        for o in decode(raw, list[_AlgoOrder])
    ]


def parse_fills(raw: bytes, symbol: str) -> list[Fill]:
    """``GET /fapi/v1/userTrades``: oldest first."""
    return [
        Fill(
            product=PRODUCT,
            symbol=symbol,
            id=str(t.id),
            order_id=str(t.order_id),
            side=side_of(t.side),
            price=t.price,
            size=t.qty,
            fee=t.commission,
            fee_asset=t.commission_asset,
            maker=t.maker,
            realised=t.realized_pnl,
            position_side=POSITION_SIDES[t.position_side],
            exchange_ms=t.time,
        )
        for t in decode(raw, list[_Trade])
    ]
