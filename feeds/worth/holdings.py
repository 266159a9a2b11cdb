"""Spot holdings with what they cost on average, and where that is not known. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from feeds.worth.cost import DUST, CostBook, Lot
from feeds.worth.portfolio import Held, PriceOf, source, text
from feeds.worth.pricing import WIDE

ZERO = Decimal(0)


def held_by_asset(account: Held) -> dict[str, Decimal]:
    """In all of its wallets together, as lots are."""
    held: dict[str, Decimal] = {}
    for balance in account.balances:
        held[balance.asset] = held.get(balance.asset, ZERO) + balance.total
    return held


def missing(book: CostBook, asset: str, held: Decimal, sold: Decimal = ZERO) -> Decimal | None:
    """What the lots of an asset say must be there, where that is more than is held: then something left that nobody
    told, and what the rest cost is not known. ``sold``: how much was lately, beside which a rounding is small."""
    told = book.leaves(asset)
    return told if told - held > DUST * (told + sold) else None


def holdings(
    accounts: Sequence[Held], currency: str, price_of: PriceOf, costs: Mapping[int, CostBook]
) -> list[dict[str, Any]]:
    """A row for each lot, with what it cost on average and is worth now in the currency it was paid in; and one for
    what was bought once, is held, and has no lot."""
    rows: list[dict[str, Any]] = []
    for account in accounts:
        if (book := costs.get(account.id)) is not None:
            rows += _of_account(account, book, currency, price_of)
    return rows


def _of_account(account: Held, book: CostBook, currency: str, price_of: PriceOf) -> Iterator[dict[str, Any]]:
    held = {asset: total for asset, total in held_by_asset(account).items() if total and asset != currency}
    lots = [lot for lot in book.lots() if lot.asset in held]
    for lot in lots:
        told = missing(book, lot.asset, held[lot.asset])
        if told is None:
            yield _row(account, lot.asset, lot.currency, held[lot.asset], price_of, lot=lot)
            continue
        here = text(held[lot.asset])
        why = f"The fills leave {text(told)} {lot.asset}, of which {here} is here"
        reason = f"{why}: what left, and what that had cost, was not told."
        yield _row(account, lot.asset, lot.currency, held[lot.asset], price_of, reason=reason)
    for asset in sorted(held.keys() & book.bought.keys() - {lot.asset for lot in lots}):
        if held[asset] > DUST * book.bought[asset][1]:
            reason = f"What was bought of {asset} has left: what is here came otherwise, and its cost was not told."
            yield _row(account, asset, book.bought[asset][0], held[asset], price_of, reason=reason)


def _row(
    account: Held,
    asset: str,
    currency: str,
    total: Decimal,
    price_of: PriceOf,
    *,
    lot: Lot | None = None,
    reason: str = "",
) -> dict[str, Any]:
    """Without a lot its cost is not known."""
    price = price_of(asset, currency, account.exchange)
    size = ZERO if lot is None else min(lot.size, total)  # derivatives may have taken of it
    profit, at_cost = None, ZERO
    if lot is not None:
        at_cost = WIDE.multiply(size, lot.average)
        profit = None if price is None else WIDE.multiply(size, price.price - lot.average)
    return {
        "account": account.id,
        "exchange": account.exchange,
        "label": account.label,
        "asset": asset,
        "currency": currency,
        "size": text(size),
        "total": text(total),
        "average": None if lot is None else text(lot.average),
        "unrealised": None if profit is None else text(profit),
        "unrealised_ratio": f"{profit / at_cost:.6f}" if profit is not None and at_cost else None,
        "reason": reason,
        **({"price": None, "live": False} if price is None else source(price)),
    }
