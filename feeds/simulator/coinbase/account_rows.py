"""What the simulated Coinbase's account tells by stream and REST: wallets, orders, fills. Pure."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5

from feeds.simulator.accounts import Account
from feeds.simulator.coinbase.frames import stamp
from feeds.simulator.orders import OPEN, Movement, OwnFill, OwnOrder

PORTFOLIO = "b87a2d3f-8a1e-49b3-a4ea-402d8c389aca"
_ORDERS = UUID("00000000-0000-4000-8000-00000000c0de")
_STATUSES = {"NEW": "OPEN", "PARTIALLY_FILLED": "OPEN", "FILLED": "FILLED", "REJECTED": "FAILED"}
_TIMES = {
    "GTC": "GOOD_UNTIL_CANCELLED",
    "GTX": "GOOD_UNTIL_CANCELLED",
    "IOC": "IMMEDIATE_OR_CANCEL",
    "FOK": "FILL_OR_KILL",
}
_OPENED_MS = 1_622_454_600_000
_NEVER = "0001-01-01T00:00:00Z"


def order_id(order: OwnOrder) -> str:
    return str(UUID(int=order.id))


def number_of(text: str) -> int | None:
    """The order that has this id."""
    try:
        return UUID(text).int
    except ValueError:
        return None


def status(order: OwnOrder) -> str:
    """What could not be filled at once is cancelled; EXPIRED are orders with an end that was named."""
    return _STATUSES.get(order.status, "CANCELLED")


def wallet_id(account: Account, asset: str) -> str:
    return str(uuid5(_ORDERS, f"{account.name} {asset}"))


def transactions(account: Account, asset: str) -> list[dict[str, Any]]:
    """What came into a wallet and left it (v2), newest first: trades are among it, with the amount of this asset."""
    moved = [(m.ms, m.id, _moved_type(m), m.amount) for m in account.movements if m.asset == asset]
    traded = [
        (fill.ms, fill.number, "advanced_trade_fill", signed)
        for fill in account.fills
        for held, signed in _exchanged(fill)
        if held == asset
    ]
    return [
        {
            "id": (transaction := str(uuid5(_ORDERS, f"{number} {asset}"))),
            "type": kind,
            "status": "completed",
            "amount": {"amount": f"{amount:f}", "currency": asset},
            "native_amount": {"amount": "0.00", "currency": "USD"},
            "description": None,
            "created_at": stamp(ms),
            "resource": "transaction",
            "resource_path": f"/v2/accounts/{wallet_id(account, asset)}/transactions/{transaction}",
        }
        for ms, number, kind, amount in sorted(moved + traded, reverse=True)
    ]


def _moved_type(moved: Movement) -> str:
    if moved.asset == "USD":
        return "fiat_deposit" if moved.amount >= 0 else "fiat_withdrawal"
    return "send"


def _exchanged(fill: OwnFill) -> list[tuple[str, Decimal]]:
    i, sign = fill.order.market.instrument, 1 if fill.order.buy else -1
    return [(i.base, sign * fill.size), (i.quote, -sign * fill.value - fill.fee)]


def wallet(account: Account, asset: str) -> dict[str, Any]:
    cash = account.spot.cash
    return {
        "uuid": wallet_id(account, asset),
        "name": f"{asset} Wallet",
        "currency": asset,
        "available_balance": {"value": f"{cash.free.get(asset, Decimal(0)):f}", "currency": asset},
        "default": True,
        "active": True,
        "created_at": "2021-05-31T09:59:59Z",
        "updated_at": stamp(max((each.ms for each in account.movements if each.asset == asset), default=_OPENED_MS)),
        "deleted_at": None,
        "type": "FIAT" if asset == "USD" else "CRYPTO",
        "ready": True,
        "hold": {"value": f"{cash.locked.get(asset, Decimal(0)):f}", "currency": asset},
        "retail_portfolio_id": PORTFOLIO,
    }


def configuration(order: OwnOrder) -> dict[str, dict[str, Any]]:
    i = order.market.instrument
    size = {"base_size": f"{order.size * i.lot:f}"}
    if order.price is None:
        told = {"quote_size": f"{order.quote_size:f}"} if order.quote_size else size
        return {f"market_market_{'fok' if order.time_in_force == 'FOK' else 'ioc'}": told}
    limit: dict[str, Any] = {**size, "limit_price": f"{order.price * i.tick:f}"}
    if order.time_in_force in ("IOC", "FOK"):
        return {"sor_limit_ioc" if order.time_in_force == "IOC" else "limit_limit_fok": limit}
    return {"limit_limit_gtc": {**limit, "post_only": order.post_only}}


def _sums(order: OwnOrder, fills: Sequence[OwnFill]) -> dict[str, str]:
    """What REST and stream name alike."""
    fees = sum((fill.fee for fill in fills), Decimal(0))
    after = order.quote_filled + fees if order.buy else order.quote_filled - fees
    return {
        "completion_percentage": f"{Decimal(100 * order.filled) / order.size:.2f}",
        "filled_value": f"{order.quote_filled:f}",
        "number_of_fills": str(len(fills)),
        "total_fees": f"{fees:f}",
        "total_value_after_fees": f"{after:f}",
        "outstanding_hold_amount": "0",
        "trigger_status": "INVALID_ORDER_TYPE",
        "reject_reason": "",
        "retail_portfolio_id": PORTFOLIO,
        "product_type": "SPOT",
        "product_id": order.market.instrument.native,
        "order_id": order_id(order),
        "client_order_id": order.client_id,
        "status": status(order),
        "time_in_force": _TIMES.get(order.time_in_force, "UNKNOWN_TIME_IN_FORCE"),
    }


def listed(order: OwnOrder, fills: Sequence[OwnFill]) -> dict[str, Any]:
    """An order by REST."""
    return _sums(order, fills) | {
        "user_id": PORTFOLIO,
        "order_configuration": configuration(order),
        "side": order.side,
        "created_time": stamp(order.created_ms, digits=6),
        "filled_size": f"{order.filled * order.market.instrument.lot:f}",
        "average_filled_price": f"{order.average:f}",
        "pending_cancel": False,
        "size_in_quote": bool(order.quote_size),
        "size_inclusive_of_fees": False,
        "order_type": "MARKET" if order.price is None else "LIMIT",
        "settled": order.status not in OPEN,
        "reject_message": "",
        "cancel_message": "",
        "order_placement_source": "RETAIL_ADVANCED",
        "is_liquidation": False,
        "last_fill_time": stamp(fills[-1].ms, digits=6) if fills else None,
        "edit_history": [],
        "leverage": "",
        "margin_type": "UNKNOWN_MARGIN_TYPE",
    }


def streamed(order: OwnOrder, fills: Sequence[OwnFill]) -> dict[str, Any]:
    """An order by the channel ``user``: of one that has ended nothing is left."""
    i = order.market.instrument
    return _sums(order, fills) | {
        "avg_price": f"{order.average:f}",
        "cancel_reason": "",
        "contract_expiry_type": "UNKNOWN_CONTRACT_EXPIRY_TYPE",
        "cumulative_quantity": f"{order.filled * i.lot:f}",
        "leaves_quantity": f"{order.left * i.lot:f}" if order.status in OPEN else "0",
        "limit_price": "" if order.price is None else f"{order.price * i.tick:f}",
        "order_side": order.side,
        "order_type": "Market" if order.price is None else "Limit",
        "post_only": "true" if order.post_only else "false",
        "risk_managed_by": "UNKNOWN_RISK_MANAGEMENT_TYPE",
        "stop_price": "",
        "creation_time": stamp(order.created_ms, digits=6),
        "end_time": _NEVER,
        "start_time": _NEVER,
    }


def fill(own: OwnFill) -> dict[str, Any]:
    """An entry of the list of fills."""
    when = stamp(own.ms, digits=6)
    return {
        "entry_id": str(own.id),
        "trade_id": str(UUID(int=own.id)),
        "order_id": order_id(own.order),
        "trade_time": when,
        "trade_type": "FILL",
        "price": f"{own.price:f}",
        "size": f"{own.size:f}",
        "commission": f"{own.fee:f}",
        "product_id": own.order.market.instrument.native,
        "sequence_timestamp": when,
        "liquidity_indicator": "MAKER" if own.maker else "TAKER",
        "size_in_quote": False,
        "user_id": PORTFOLIO,
        "side": own.order.side,
        "retail_portfolio_id": PORTFOLIO,
    }
