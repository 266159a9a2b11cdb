"""What OKX tells of an account: balances, positions, orders and fills, in answers and frames alike. Pure."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from feeds.simulator.accounts import Account
from feeds.simulator.desk import Desk
from feeds.simulator.okx.frames import Quoted, number
from feeds.simulator.okx.terms import WALLET
from feeds.simulator.orders import Hold, Movement, OwnFill, OwnOrder
from feeds.simulator.positions import ZERO, Position
from feeds.simulator.wallets import FuturesWallet

STATES = {"NEW": "live", "PARTIALLY_FILLED": "partially_filled", "FILLED": "filled"}
TYPES = {"GTC": "limit", "IOC": "ioc", "FOK": "fok", "GTX": "post_only"}
FUNDS, TRADES = "6", "18"  # OKX's numbers of the funding and the trading account


HOLDS: Mapping[str, Hold] = {"net": "both", "long": "long", "short": "short"}
SIDES = {hold: side for side, hold in HOLDS.items()}


def _trade_mode(desk: Desk, own: OwnOrder) -> str:
    if own.market.instrument.settle is None:
        return "cash"
    return "isolated" if desk.futures.mode_of(own.market).isolated else "cross"


def kind(quoted: Quoted) -> str:
    return "SWAP" if quoted.swap else "SPOT"


def futures(account: Account) -> FuturesWallet:
    return account.desks["swap"].futures


# -- money -----------------------------------------------------------------------------------------------------------


def balance(account: Account, assets: list[str], now_ms: int) -> dict[str, Any]:
    """The trading account; currencies of which there is nothing are left out. What isolated positions have set aside
    is no cash (``isoEq``, with their profit)."""
    cash, swaps = account.cash[WALLET], futures(account)
    details = []
    for asset in assets:
        total, mine = cash.total(asset), asset == swaps.asset
        upl = swaps.total_unrealised() if mine else ZERO
        if not total and not upl:
            continue
        used = swaps.used() if mine else ZERO
        aside = swaps.isolated_margin() if mine else ZERO
        isolated_upl = upl - swaps.cross_unrealised() if mine else ZERO
        details.append(
            {
                "ccy": asset,
                "cashBal": number(total - aside),
                "eq": number(total + upl),
                "availBal": number(cash.usable(asset)),
                "availEq": number(cash.for_margin(asset)) if mine else "",
                "frozenBal": number(cash.locked.get(asset, ZERO) + used),
                "ordFrozen": number(cash.locked.get(asset, ZERO) + (swaps.order_margin() if mine else ZERO)),
                "upl": number(upl),
                "uTime": str(now_ms),
                "isoEq": number(aside + isolated_upl),
                "isoUpl": number(isolated_upl),
                **dict.fromkeys(("liab", "interest", "stgyEq"), "0"),
            }
        )
    return {"uTime": str(now_ms), "totalEq": "", "isoEq": "", "adjEq": "", "details": details}


def bill(row: Movement, account: Account) -> dict[str, Any]:
    """Of the trading account: deposits arrive in the funding account and are moved on at once. The ``name`` of other
    movements is type and subtype: ``7/9``."""
    came = row.amount >= 0
    ends = ("", "")
    if row.kind == "other":
        type_, _, sub = row.name.partition("/")
    elif row.kind == "funding":
        type_, sub = "8", "174" if came else "173"
    else:
        type_, sub, ends = "1", "11" if came else "12", (FUNDS, TRADES) if came else (TRADES, FUNDS)
    figures = {
        "type": type_,
        "subType": sub,
        "bal": number(account.cash[WALLET].total(row.asset)),
        "from": ends[0],
        "to": ends[1],
        "instId": row.market.instrument.native if row.market is not None else "",
        "instType": "SWAP" if row.market is not None else "",
        "pnl": number(row.amount) if row.kind == "funding" else "0",
    }
    return _bill(row.id * 10, row.asset, row.amount, row.ms) | figures


def trade_bills(row: OwnFill, quoted: Quoted) -> list[dict[str, Any]]:
    """Of one execution, newest first: of a pair one for each currency, of a swap one."""
    own, i = row.order, row.order.market.instrument
    if i.settle is None:
        moved = [(i.quote, -row.value if own.buy else row.value), (i.base, row.size if own.buy else -row.size)]
    else:
        moved = [(i.settle, row.realised or ZERO)]
    told = []
    for leg, (asset, change) in enumerate(moved):
        fee = row.fee if asset == row.fee_asset else ZERO
        figures = {
            "type": "2",
            "subType": "1" if own.buy else "2",
            "sz": number(row.size / quoted.contract),
            "px": number(row.price),
            "pnl": number(row.realised or ZERO),
            "fee": number(-fee),
            "instId": quoted.native,
            "instType": kind(quoted),
            "ordId": str(own.id),
            "clOrdId": own.client_id,
            "tradeId": str(row.id),
            "execType": "M" if row.maker else "T",
            "fillTime": str(row.ms),
        }
        told.append(_bill(row.number * 10 + leg, asset, change - fee, row.ms) | figures)
    return told[::-1]


def _bill(number_of: int, asset: str, change: Decimal, ms: int) -> dict[str, Any]:
    names = ("bal", "from", "to", "notes", "interest", "mgnMode", "ordId", "clOrdId", "tradeId", "execType", "fillTime")
    return {
        "billId": str(number_of),
        "ccy": asset,
        "balChg": number(change),
        "posBal": "0",
        "posBalChg": "0",
        "ts": str(ms),
        "fee": "0",
        **dict.fromkeys(names, ""),
    }


def funding_bills(row: Movement) -> list[dict[str, Any]]:
    """Of the funding account: newest first."""
    came = row.amount >= 0
    legs = [("1", row.amount, 0), ("131", -row.amount, 1)] if came else [("130", -row.amount, 0), ("2", row.amount, 1)]
    return [
        {"billId": str(row.id * 10 + n), "ccy": row.asset, "balChg": number(amount), "bal": "0", "type": type_}
        | {"clientId": "", "ts": str(row.ms)}
        for type_, amount, n in reversed(legs)
    ]


def deposit(row: Movement) -> dict[str, Any]:
    return {
        **{"depId": str(row.id), "ccy": row.asset, "amt": number(row.amount), "state": "2", "ts": str(row.ms)},
        **{"chain": f"{row.asset}-Simulated", "from": "", "to": "", "txId": "", "fromWdId": "", "areaCodeFrom": ""},
        "actualDepBlkConfirm": "2",
    }


def withdrawal(row: Movement) -> dict[str, Any]:
    return {
        **{"wdId": str(row.id), "ccy": row.asset, "amt": number(-row.amount), "fee": "0", "feeCcy": row.asset},
        **{"state": "2", "ts": str(row.ms), "chain": f"{row.asset}-Simulated", "from": "", "to": "", "txId": ""},
    }


# -- positions -------------------------------------------------------------------------------------------------------


def position(account: Account, held: Position, quoted: Quoted, now_ms: int) -> dict[str, Any]:
    """In contracts; in long/short mode without a sign. A closed one has ``pos`` 0 and no prices."""
    swaps, market = futures(account), held.market
    isolated, size = swaps.is_isolated(held), held.amount if held.hold == "both" else abs(held.amount)
    is_open = bool(held.amount)
    value = abs(swaps.notional(held))
    figures = {
        "avgPx": held.entry,
        "markPx": swaps.mark(market),
        "upl": swaps.unrealised(held),
        "liqPx": swaps.liquidation_price(held) if is_open else ZERO,
        "imr": ZERO if isolated else swaps.initial_margin(held),
        "margin": held.margin,
        "mmr": swaps.maintenance_margin(held),
        "notionalUsd": value,
        "lever": Decimal(swaps.leverage_of(market)),
    }
    return {
        "instType": "SWAP",
        "instId": quoted.native,
        "mgnMode": "isolated" if isolated else "cross",
        "posId": str(10**18 + sum(f"{quoted.native}{SIDES[held.hold]}".encode())),
        "posSide": SIDES[held.hold],
        "pos": number(size / quoted.contract),
        "availPos": number(abs(held.amount) / quoted.contract),
        "posCcy": "",
        "ccy": swaps.asset,
        "realizedPnl": number(held.realised),
        "tradeId": "",
        "cTime": str(held.updated_ms),
        "uTime": str(held.updated_ms),
        "pTime": str(now_ms),
    } | {name: number(figure) if is_open and figure else "" for name, figure in figures.items()}


# -- orders ----------------------------------------------------------------------------------------------------------


def order(desk: Desk, own: OwnOrder, quoted: Quoted, fill: OwnFill | None = None) -> dict[str, Any]:
    """``fill``: the execution that this is told for, on the stream."""
    fills = desk.fills_of_order(own) if own.filled else []
    last = fill or (fills[-1] if fills else None)
    i = own.market.instrument
    by_value = bool(own.quote_size)
    return {
        "instType": kind(quoted),
        "instId": quoted.native,
        "ordId": str(own.id),
        "clOrdId": own.client_id,
        "tag": "",
        "side": own.side.lower(),
        "posSide": SIDES[own.hold],
        "tdMode": _trade_mode(desk, own),
        "ordType": "market" if own.type == "MARKET" else TYPES[own.time_in_force],
        "px": quoted.prices[own.price] if own.price is not None else "",
        "sz": number(own.quote_size) if by_value else quoted.sizes[own.size],
        "tgtCcy": "" if quoted.swap or own.type != "MARKET" else "quote_ccy" if by_value else "base_ccy",
        "accFillSz": quoted.sizes[own.filled],
        "avgPx": number(own.average.quantize(i.tick / 1000)) if own.filled else "",
        "fillPx": number(last.price) if last is not None else "",
        "fillSz": number(last.size / quoted.contract) if last is not None else "0",
        "fillTime": str(last.ms) if last is not None else "",
        "tradeId": str(last.id) if last is not None else "",
        "state": STATES.get(own.status, "canceled"),
        "fee": number(-sum((each.fee for each in fills), ZERO)),
        "feeCcy": fills[-1].fee_asset if fills else (i.base if own.buy and not quoted.swap else i.quote),
        "pnl": number(sum((each.realised or ZERO for each in fills), ZERO)),
        "lever": "",
        "reduceOnly": str(own.reduce_only).lower(),
        "category": "normal",
        "cTime": str(own.created_ms),
        "uTime": str(own.updated_ms),
        **dict.fromkeys(("ccy", "source", "cancelSource", "stpId", "algoId", "algoClOrdId", "quickMgnType"), ""),
        "attachAlgoOrds": [],
    }


def streamed(desk: Desk, own: OwnOrder, quoted: Quoted, fill: OwnFill | None) -> dict[str, Any]:
    """An order on the channel ``orders``: a ``tradeId`` only where it is told for an execution."""
    row = order(desk, own, quoted, fill)
    if fill is None:
        return row | {"tradeId": "", "fillSz": "0", "fillPx": "", "fillTime": "", "fillFee": "0", "fillFeeCcy": ""}
    return row | {
        "fillFee": number(-fill.fee),
        "fillFeeCcy": fill.fee_asset,
        "fillPnl": number(fill.realised or ZERO),
        "execType": "M" if fill.maker else "T",
    }


def fill(row: OwnFill, quoted: Quoted) -> dict[str, Any]:
    own = row.order
    return {
        "instType": kind(quoted),
        "instId": quoted.native,
        "tradeId": str(row.id),
        "ordId": str(own.id),
        "clOrdId": own.client_id,
        "billId": str(row.number * 10),
        "subType": "1" if own.buy else "2",
        "tag": "",
        "fillPx": number(row.price),
        "fillSz": number(row.size / quoted.contract),
        "fillPnl": number(row.realised or ZERO),
        "side": own.side.lower(),
        "posSide": SIDES[own.hold],
        "execType": "M" if row.maker else "T",
        "feeCcy": row.fee_asset,
        "fee": number(-row.fee),
        "fillTime": str(row.ms),
        "ts": str(row.ms),
    }
