"""Binance's user data events: executionReport and balances (spot), ORDER_TRADE_UPDATE and account (futures). Pure."""

from typing import Any

from feeds.simulator.accounts import Account
from feeds.simulator.orders import OrderEvent, WalletEvent
from feeds.simulator.positions import ZERO


def execution_report(event: OrderEvent, now_ms: int) -> dict[str, Any]:
    """Spot: something happened to an order. On a cancellation ``c`` is the request's id and ``C`` the order's."""
    order, fill, market = event.order, event.fill, event.order.market
    what = "TRADE_PREVENTION" if order.status == "EXPIRED_IN_MATCH" else event.what
    cancelled = event.what == "CANCELED"
    return {
        "e": "executionReport",
        "E": now_ms,
        "s": market.instrument.native,
        "c": event.request_id if cancelled and event.request_id else order.client_id,
        "S": order.side,
        "o": order.type,
        "f": order.time_in_force,
        "q": market.size_text(order.size),
        "p": market.price_text(order.price or 0),
        "P": "0.00000000",
        "F": "0.00000000",
        "g": -1,
        "C": order.client_id if cancelled else "",
        "x": what,
        "X": "NEW" if event.what == "NEW" else order.status,
        "r": "NONE",
        "i": order.id,
        "l": f"{fill.size if fill else ZERO:.8f}",
        "z": market.size_text(order.filled),
        "L": f"{fill.price if fill else ZERO:.8f}",
        "n": f"{fill.fee:.8f}" if fill else "0",
        "N": fill.fee_asset if fill else None,
        "T": event.ms,
        "t": fill.id if fill else -1,
        "I": order.id * 2,
        "w": order.status in ("NEW", "PARTIALLY_FILLED") and order.type != "MARKET",
        "m": fill.maker if fill else False,
        "M": False,
        "O": order.created_ms,
        "Z": f"{order.quote_filled:.8f}",
        "Y": f"{fill.value if fill else ZERO:.8f}",
        "Q": f"{order.quote_size:.8f}",
        "W": order.created_ms,
        "V": "EXPIRE_MAKER",
    }


def spot_wallet(account: Account, event: WalletEvent, now_ms: int) -> list[dict[str, Any]]:
    """Spot: the present balances of what was touched, and before them what came or went from outside."""
    moved = [
        {"e": "balanceUpdate", "E": now_ms, "a": asset, "d": f"{amount:.8f}", "T": event.ms}
        for asset, amount in event.moved.items()
    ]
    free, locked = account.spot.free, account.spot.locked
    rows = [{"a": a, "f": f"{free.get(a, ZERO):.8f}", "l": f"{locked.get(a, ZERO):.8f}"} for a in event.assets]
    return [*moved, {"e": "outboundAccountPosition", "E": now_ms, "u": event.ms, "B": rows}]


def order_trade_update(event: OrderEvent, now_ms: int) -> dict[str, Any]:
    """Futures: something happened to an order. Without a fill there is no commission (``n``, ``N``)."""
    order, fill, market = event.order, event.fill, event.order.market
    body = {
        "s": market.instrument.native,
        "c": order.client_id,
        "S": order.side,
        "o": order.type,
        "f": order.time_in_force,
        "q": market.size_text(order.size),
        "p": market.price_text(order.price or 0),
        "ap": f"{order.average:.8f}",
        "sp": "0",
        "x": event.what,
        "X": "NEW" if event.what == "NEW" else order.status,
        "i": order.id,
        "l": f"{fill.size if fill else ZERO:f}",
        "z": market.size_text(order.filled),
        "L": f"{fill.price if fill else ZERO:f}",
        "T": event.ms,
        "t": fill.id if fill else 0,
        "b": "0",
        "a": "0",
        "m": fill.maker if fill else False,
        "R": order.reduce_only,
        "wt": "CONTRACT_PRICE",
        "ot": order.type,
        "ps": order.hold.upper(),
        "cp": False,
        "AP": "0",
        "cr": "0",
        "pP": False,
        "si": 0,
        "ss": 0,
        "rp": f"{(fill.realised if fill else None) or ZERO:.8f}",
        "V": "EXPIRE_MAKER",
        "pm": "NONE",
        "gtd": 0,
        "er": "0",
    }
    if fill is not None:
        body |= {"N": fill.fee_asset, "n": f"{fill.fee:.8f}"}
    return {"e": "ORDER_TRADE_UPDATE", "E": now_ms, "T": event.ms, "o": body}


def trade_lite(event: OrderEvent, now_ms: int) -> dict[str, Any] | None:
    """Futures: the smaller, faster event of a fill; None if it is none."""
    order, fill, market = event.order, event.fill, event.order.market
    if fill is None:
        return None
    return {
        "e": "TRADE_LITE",
        "E": now_ms,
        "T": event.ms,
        "s": market.instrument.native,
        "q": market.size_text(order.size),
        "p": market.price_text(order.price or 0),
        "m": fill.maker,
        "c": order.client_id,
        "S": order.side,
        "L": f"{fill.price:f}",
        "l": f"{fill.size:f}",
        "t": fill.id,
        "i": order.id,
    }


def account_update(account: Account, event: WalletEvent, now_ms: int) -> dict[str, Any]:
    """Futures: wallet and positions that changed. Cross-margin funding carries the wallet alone, and its symbol."""
    wallet = account.futures
    total, cross = f"{wallet.balance:.8f}", f"{wallet.balance - wallet.isolated_margin():.8f}"
    moved = event.moved.get("USDT", ZERO)
    body: dict[str, Any] = {"m": event.reason, "B": [{"a": "USDT", "wb": total, "cw": cross, "bc": f"{moved:.8f}"}]}
    if event.reason == "FUNDING_FEE" and not wallet.mode_of(event.markets[0]).isolated:
        body |= {"P": [], "S": event.markets[0].instrument.native}
    else:
        body["P"] = [
            {
                "s": market.instrument.native,
                "pa": f"{position.amount:f}",
                "ep": f"{position.entry:f}",
                "bep": f"{position.entry:f}",
                "cr": f"{position.realised:.8f}",
                "up": f"{wallet.unrealised(position):.8f}",
                "mt": "isolated" if wallet.is_isolated(position) else "cross",
                "iw": f"{position.margin:f}",
                "ps": position.hold.upper(),
            }
            for market in event.markets
            for position in wallet.positions_of(market)
        ]
    return {"e": "ACCOUNT_UPDATE", "E": now_ms, "T": event.ms, "a": body}
