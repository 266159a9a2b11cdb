"""A user's running day: what was realised, and what the equity began with. Pure.

Nothing is told that is not known: a sale whose cost is not known realises nothing and is a problem; an account without
a complete point of the day, or a transfer without a price, makes the change of the day unknown.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from feeds.account_domain import FROM_OUTSIDE, Transfer
from feeds.worth.cost import CostBook
from feeds.worth.holdings import held_by_asset, missing
from feeds.worth.portfolio import Day, EquityPoint, Held, PriceOf, text, unpriced
from feeds.worth.pricing import WIDE

ZERO = Decimal(0)


def day_of(
    accounts: Sequence[Held],
    currency: str,
    price_of: PriceOf,
    costs: Mapping[int, CostBook],
    transfers: Mapping[int, Sequence[Transfer]],
    begun: Mapping[int, EquityPoint],
    since_ms: int,
    zone: str,
) -> Day:
    """``transfers``: of the wallets that are followed. ``begun``: the day's first points that are complete in this
    currency, by account."""
    realised: dict[str, Decimal] = {}
    problems: list[str] = []
    for account in accounts:
        book = costs.get(account.id)
        if book is not None:
            problems += _realised(account, book, since_ms, realised)
    unknown = _lacking(accounts, currency, begun)
    transferred: Decimal | None = ZERO
    for account in accounts:
        point = begun.get(account.id)
        for transfer in transfers.get(account.id, ()):
            if transfer.kind not in FROM_OUTSIDE:
                continue  # earned or spent, like what a fill brings
            if point is None or transfer.exchange_ms <= point.at_ms or transferred is None:
                continue
            price = price_of(transfer.asset, currency, account.exchange)
            if price is None:
                transferred, unknown = None, unknown or f"Transferred today: {unpriced(transfer.asset, currency)}"
            else:
                moved = transfer.amount - (transfer.fee or ZERO)
                transferred += WIDE.multiply(moved, price.price)
    points = [] if unknown else [begun[account.id] for account in accounts]
    return Day(
        since_ms=since_ms,
        zone=zone,
        realised=realised,
        problems=tuple(dict.fromkeys(problems)),
        begun=None if unknown else sum((Decimal(point.values[currency]) for point in points), ZERO),
        begun_ms=max((point.at_ms for point in points), default=None),
        transferred=transferred,
        unknown=unknown,
    )


def _lacking(accounts: Sequence[Held], currency: str, begun: Mapping[int, EquityPoint]) -> str:
    """Why it is not known what the day began with; "" if it is."""
    if not accounts:
        return "There is no account."
    lacking = [account.label for account in accounts if account.id not in begun]
    if not lacking:
        return ""
    return f"No value of {', '.join(lacking)} in {currency} was complete yet today."


def _realised(account: Held, book: CostBook, since_ms: int, realised: dict[str, Decimal]) -> list[str]:
    """Adds what an account realised to ``realised``; returns why that is not all."""
    problems = []
    if (book.incomplete_ms or 0) >= since_ms:
        problems.append(f"{account.label}: the fee or the profit of a fill is not told yet.")
    today = [profit for profit in book.profits if profit.at_ms >= since_ms]
    sold: dict[str, Decimal] = {}
    for profit in today:
        if profit.sold:
            sold[profit.sold] = sold.get(profit.sold, ZERO) + profit.size
    held = held_by_asset(account)
    doubtful = {asset for asset, size in sold.items() if missing(book, asset, held.get(asset, ZERO), size) is not None}
    for profit in today:
        if profit.sold not in doubtful:
            realised[profit.asset] = realised.get(profit.asset, ZERO) + profit.amount
    missed = "{}: the profit of {} {} sold is not in it: what they had cost {}."
    less = "is not known, as less is held than the fills leave"
    problems += [missed.format(account.label, text(sold[asset]), asset, less) for asset in sorted(doubtful)]
    unbought: dict[tuple[str, str], Decimal] = {}
    for sale in book.uncosted:
        if sale.at_ms >= since_ms:
            key = sale.asset, sale.currency
            unbought[key] = unbought.get(key, ZERO) + sale.size
    for (asset, currency), size in sorted(unbought.items()):
        problems.append(missed.format(account.label, text(size), asset, f"in {currency} is not known"))
    return problems
