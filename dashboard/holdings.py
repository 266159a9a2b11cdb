"""Reading an account's rows: for the REST answers, the pages and the account frames. Writing: ``dashboard.ledger``."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TypeVar

from django.db.models import QuerySet

from dashboard import rows
from dashboard.models import AccountRow, Balance, ExchangeAccount, Fill, FillCursor, Order, Position
from dashboard.rows import Moment, Row
from feeds.account import OPEN_STATUSES

RowModel = TypeVar("RowModel", bound=AccountRow)

FRAME_FILLS = 50
ENDED_ORDERS = 50
"""How many orders that are open no longer are shown, beside all open ones."""


def balances_of(accounts: Sequence[ExchangeAccount]) -> list[Balance]:
    held = Balance.objects.filter(account__in=accounts).exclude(total=Decimal(0))
    return _owned(held.order_by("account", "product", "asset"), accounts)


def positions_of(accounts: Sequence[ExchangeAccount]) -> list[Position]:
    still_open = Position.objects.filter(account__in=accounts).exclude(size=Decimal(0))
    return _owned(still_open.order_by("account", "symbol", "side"), accounts)


def orders_of(accounts: Sequence[ExchangeAccount]) -> list[Order]:
    """All open orders and the newest of the others; the latest change first."""
    mine = Order.objects.filter(account__in=accounts).order_by("-updated_ms", "-pk")
    still_open = mine.filter(status__in=sorted(OPEN_STATUSES))
    ended = mine.exclude(status__in=sorted(OPEN_STATUSES))[:ENDED_ORDERS]
    both = [*_owned(still_open, accounts), *_owned(ended, accounts)]
    return sorted(both, key=lambda row: (-row.updated_ms, -row.pk))


def fills_of(
    accounts: Sequence[ExchangeAccount],
    *,
    limit: int,
    symbol: str | None = None,
    before: int | None = None,
    after: int | None = None,
) -> tuple[list[Fill], bool]:
    """A page of fills, and whether there are more: newest first, or oldest first if it is read on ``after`` a row."""
    found = Fill.objects.filter(account__in=accounts).order_by("-pk" if after is None else "pk")
    if symbol is not None:
        found = found.filter(symbol=symbol)
    if before is not None:
        found = found.filter(pk__lt=before)
    if after is not None:
        found = found.filter(pk__gt=after)
    page = _owned(found[: limit + 1], accounts)
    return page[:limit], len(page) > limit


def _owned(found: QuerySet[RowModel], accounts: Sequence[ExchangeAccount]) -> list[RowModel]:
    """The rows, each knowing its account without asking for it again."""
    by_number = {account.pk: account for account in accounts}
    page = list(found)
    for row in page:
        row.account = by_number[row.account_id]
    return page


def account_frame(account_id: int, kind: str, moment: Moment) -> Row:
    """``data`` of the topic ``<kind>:<account>``. Raises LookupError if there is no such account (any more)."""
    account = ExchangeAccount.objects.filter(pk=account_id).first()
    if account is None:
        raise LookupError(f"There is no account {account_id}.")
    return {"account": rows.account_head(account, moment), **_content([account], kind, moment)}


def _content(mine: Sequence[ExchangeAccount], kind: str, moment: Moment) -> Row:
    if kind == "balances":
        return {"balances": rows.balance_rows(balances_of(mine), moment)}
    if kind == "positions":
        return {"positions": rows.position_rows(positions_of(mine), moment)}
    if kind == "orders":
        return {"orders": rows.order_rows(orders_of(mine), moment)}
    if kind == "fills":
        page, more = fills_of(mine, limit=FRAME_FILLS)
        return rows.fills_page(rows.fill_rows(page, moment), more=more)
    raise ValueError(f"{kind!r} is no kind of account topic.")


def cursors(account_id: int) -> Mapping[str, str]:
    return dict(FillCursor.objects.filter(account_id=account_id).values_list("symbol", "value"))


def fill_symbols(account_id: int) -> set[str]:
    """Symbols that the account has filled or ordered, as far as stored."""
    found: set[str] = set()
    for model in (Fill, Order):
        found.update(model.objects.filter(account_id=account_id).order_by().values_list("symbol", flat=True).distinct())
    return found
