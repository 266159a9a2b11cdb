"""The simulated Kraken's ledger: what every fill and every movement did to each balance. Pure.

Source: docs.kraken.com, api-reference/account-data/get-ledgers-info.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from feeds.simulator.accounts import Account
from feeds.simulator.kraken import orders
from feeds.simulator.kraken.rest import ASSETS, KrakenRestError
from feeds.simulator.kraken.terms import fill_id, txid
from feeds.simulator.orders import Movement, OwnFill

ALL = "all"
_SOME: Mapping[str, frozenset[str]] = {
    **{
        name: frozenset({name})
        for name in (
            *("trade", "deposit", "withdrawal", "transfer", "margin", "adjustment", "rollover", "credit", "settled"),
            *("staking", "dividend"),
        )
    },
    "sale": frozenset({"spend", "receive"}),
    "nft_rebate": frozenset({"nftrebate"}),
}
"""The types that one may ask for, and those of the entries that they find."""


def type_of(movement: Movement) -> tuple[str, str]:
    """Type and subtype; what is named is named as Kraken does: ``earn reward``."""
    kind, _, more = (movement.name or movement.kind).partition(" ")
    return kind, more


def wanted(kind: str, start_s: int, end_s: int, account: Account) -> dict[str, dict[str, Any]]:
    """Newest first, by id. Raises KrakenRestError for a type that cannot be asked for."""
    if kind != ALL and kind not in _SOME:
        raise KrakenRestError("EGeneral:Invalid arguments:type")
    return {
        number: row
        for number, ms, row in _entries(account)
        if (kind == ALL or row["type"] in _SOME[kind]) and start_s * 1000 < ms <= end_s * 1000
    }


def _number(each: Movement | OwnFill) -> int:
    return each.id if isinstance(each, Movement) else each.number


def _entries(account: Account) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Id, time (ms) and entry, newest first; balances are reckoned back from those of now."""
    wallet = account.spot
    balance = {asset: wallet.total(asset) for asset in wallet.assets()}
    happened: list[Movement | OwnFill] = [*account.movements, *account.fills]
    for each in sorted(happened, key=_number, reverse=True):
        kind, more = type_of(each) if isinstance(each, Movement) else ("trade", "")
        refid = txid("F", each.id) if isinstance(each, Movement) else fill_id(each)
        for part, (asset, amount, fee) in enumerate(_parts(each)):
            row = {
                "refid": refid,
                "time": orders.seconds(each.ms),
                "type": kind,
                "subtype": more,
                "aclass": "currency",
                "asset": ASSETS[asset][0],
                "amount": f"{amount:f}",
                "fee": f"{fee:f}",
                "balance": f"{balance[asset]:f}",
            }
            balance[asset] -= amount - fee
            yield txid("L", 2 * _number(each) + part), each.ms, row


def _parts(each: Movement | OwnFill) -> list[tuple[str, Decimal, Decimal]]:
    """Asset, amount and fee."""
    if isinstance(each, Movement):
        return [(each.asset, each.amount, Decimal(0))]
    i, sign = each.order.market.instrument, 1 if each.order.buy else -1
    moved = ((i.base, sign * each.size), (i.quote, -sign * each.value))
    return [(asset, amount, each.fee if asset == each.fee_asset else Decimal(0)) for asset, amount in moved]
