"""Binance's income history of the futures wallet, by its documentation (USD-M futures, Account: Get Income History).

Oldest first from the time that is asked for, at most three months back; without times, the newest of a week. Of fills,
their commission and what they realised. ``page`` is not known any more since October 2026.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from feeds.simulator.accounts import Account
from feeds.simulator.binance.rest import integer
from feeds.simulator.market import LiveMarket
from feeds.simulator.orders import Movement, OwnFill

WEIGHT = 30
_DAY_MS = 86_400_000
_KEPT_MS = 90 * _DAY_MS
_USUAL_MS = 7 * _DAY_MS
_NAMES = {"deposit": "TRANSFER", "withdrawal": "TRANSFER", "funding": "FUNDING_FEE"}


def rows(account: Account, params: Mapping[str, str], market: LiveMarket | None, now_ms: int) -> list[dict[str, Any]]:
    """``market``: of this one alone."""
    end_ms = integer(params, "endTime", now_ms)
    begin_ms = max(integer(params, "startTime", end_ms - _USUAL_MS), now_ms - _KEPT_MS)
    kind, native = params.get("incomeType"), None if market is None else market.instrument.native
    found = [
        row
        for row in (*_moved(account), *_traded(account))
        if begin_ms <= row["time"] <= end_ms and kind in (None, row["incomeType"]) and native in (None, row["symbol"])
    ]
    found.sort(key=lambda row: (row["time"], row["tranId"]))
    size = max(1, min(1000, integer(params, "limit", 100)))
    return found[:size] if "startTime" in params else found[-size:]


def _moved(account: Account) -> Iterator[dict[str, Any]]:
    wallet = account.futures.cash.name
    for each in account.movements:
        if each.wallet == wallet:
            yield _movement(each)


def _movement(each: Movement) -> dict[str, Any]:
    name = each.name or _NAMES[each.kind]
    symbol = "" if each.market is None else each.market.instrument.native
    return _row(symbol, name, each.amount, each.asset, each.ms, each.id)


def _traded(account: Account) -> Iterator[dict[str, Any]]:
    for each in account.desks["usdm"].fills:
        yield _of_fill(each, "COMMISSION", -each.fee, each.fee_asset)
        if each.realised:
            yield _of_fill(each, "REALIZED_PNL", each.realised, "USDT")


def _of_fill(each: OwnFill, name: str, amount: Decimal, asset: str) -> dict[str, Any]:
    native = each.order.market.instrument.native
    return _row(native, name, amount, asset, each.ms, each.number, trade=str(each.id))


def _row(
    symbol: str, name: str, amount: Decimal, asset: str, ms: int, number: int, *, trade: str = ""
) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "incomeType": name,
        "income": f"{amount:.8f}",
        "asset": asset,
        "info": name,
        "time": ms,
        "tranId": number,
        "tradeId": trade,
    }
