"""Everything that a simulated exchange knows about an account, as the tests compare it. Pure."""

from decimal import Decimal
from typing import Any

from feeds.simulator.accounts import Account
from feeds.simulator.cash import Cash
from feeds.simulator.desk import Desk
from feeds.simulator.orders import OwnFill, OwnOrder
from feeds.simulator.wallets import FuturesWallet

ZERO = Decimal(0)


def truth(account: Account) -> dict[str, Any]:
    """Everything about an account; money as decimal text, symbols unified. Balances are by wallet, then by asset:
    ``total`` in one for derivatives alone, otherwise ``free`` and ``locked``. Of ``id`` and ``number`` of fills and
    ``id`` of orders each exchange makes the ids that it tells, see its package."""
    desks = account.desks.values()
    return {
        "account": account.name,
        "balances": {
            name: _balances(cash, [d for d in desks if d.wallet.cash is cash]) for name, cash in account.cash.items()
        },
        "positions": [
            {
                "product": desk.product,
                "symbol": position.market.instrument.symbol,
                "side": position.hold,
                "size": f"{position.amount:f}",
                "entry": f"{position.entry:f}",
                "cost": f"{position.cost:f}",
                "realised": f"{position.realised:f}",
            }
            for desk in desks
            if isinstance(desk.wallet, FuturesWallet)
            for position in desk.wallet.open_positions()
        ],
        "orders": [_order(order) for desk in desks for order in desk.open_orders()],
        "fills": [_fill(fill) for desk in desks for fill in desk.fills],
    }


def _balances(cash: Cash, desks: list[Desk]) -> dict[str, Any]:
    futures = [desk.wallet for desk in desks if isinstance(desk.wallet, FuturesWallet)]
    rows: dict[str, Any] = {}
    for asset in cash.assets():
        if len(futures) < len(desks):
            amounts = {"free": cash.free.get(asset, ZERO), "locked": cash.locked.get(asset, ZERO)}
        else:
            amounts = {"total": cash.total(asset)}
        amounts["deposited"] = cash.deposited.get(asset, ZERO)
        if futures:
            amounts["funding"] = sum((each.funded.get(asset, ZERO) for each in futures), ZERO)
        rows[asset] = {name: f"{amount:f}" for name, amount in amounts.items()}
    return rows


def _order(order: OwnOrder) -> dict[str, Any]:
    i = order.market.instrument
    return {
        "product": i.product,
        "symbol": i.symbol,
        "id": str(order.id),
        "client_id": order.client_id,
        "side": order.side.lower(),
        "price": f"{(order.price or 0) * i.tick:f}",
        "size": f"{order.size * i.lot:f}",
        "filled": f"{order.filled * i.lot:f}",
        "status": order.status,
    }


def _fill(fill: OwnFill) -> dict[str, Any]:
    i = fill.order.market.instrument
    return {
        "product": i.product,
        "symbol": i.symbol,
        "native": i.native,
        "id": str(fill.id),
        "number": fill.number,
        "order_id": str(fill.order.id),
        "side": fill.order.side.lower(),
        "price": f"{fill.price:f}",
        "size": f"{fill.size:f}",
        "fee": f"{fill.fee:f}",
        "fee_asset": fill.fee_asset,
        "maker": fill.maker,
        "realised": None if fill.realised is None else f"{fill.realised:f}",
        "exchange_ms": fill.ms,
    }
