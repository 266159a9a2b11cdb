"""Reading an account's rows: for the REST answers, the pages and the account frames. Writing: ``dashboard.ledger``."""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar

import msgspec
from django.db.models import QuerySet

from dashboard import rows
from dashboard.models import AccountRow, Balance, ExchangeAccount, Fill, FillCursor, Order, Position
from dashboard.models_accounts import AccountNotice, Transfer
from dashboard.rows import Moment, Row
from feeds.account import OPEN_STATUSES

RowModel = TypeVar("RowModel", bound=AccountRow | Transfer | AccountNotice)

FRAME_FILLS = 50
FRAME_NOTICES = 20
ENDED_ORDERS = 50
"""How many orders that are open no longer are shown, beside all open ones."""


def balances_of(accounts: Sequence[ExchangeAccount]) -> list[Balance]:
    held = Balance.objects.filter(account__in=accounts).exclude(total=Decimal(0))
    return _owned(held.order_by("account", "product", "asset"), accounts)


def positions_of(accounts: Sequence[ExchangeAccount]) -> list[Position]:
    still_open = Position.objects.filter(account__in=accounts).exclude(size=Decimal(0))
    return _owned(still_open.order_by("account", "symbol", "side", "apart"), accounts)


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


class FillFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which fills: ``from_ms`` inclusive, ``to_ms`` exclusive, by the exchange's time."""

    symbol: str | None = None
    side: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None


Place = tuple[int, int]
"""Time and row: where a page of a history by time ended."""


def fills_by_time(
    accounts: Sequence[ExchangeAccount], only: FillFilter, *, limit: int, newest_first: bool, after: Place | None = None
) -> tuple[list[Fill], bool]:
    """A page of fills by (exchange's time, row), beyond ``after``; and whether there are more.

    One query per account, each of which walks its index from the page's place on and reads no more than the page: the
    ten-thousandth page costs what the first costs.
    """
    pages = [_owned(fill_query(a, only, newest_first=newest_first, after=after)[: limit + 1], [a]) for a in accounts]
    merged = sorted((row for page in pages for row in page), key=_place, reverse=newest_first)
    return merged[:limit], len(merged) > limit


def fill_query(
    account: ExchangeAccount, only: FillFilter, *, newest_first: bool, after: Place | None = None
) -> QuerySet[Fill]:
    """One account's fills in the order of the index ``fill_time``, or with a symbol of ``fill_symbol_time``."""
    found = Fill.objects.filter(account=account)
    found = found.order_by(*(("-exchange_ms", "-pk") if newest_first else ("exchange_ms", "pk")))
    if only.symbol is not None:
        found = found.filter(symbol=only.symbol)
    if only.side is not None:
        found = found.filter(side=only.side)
    if only.from_ms is not None:
        found = found.filter(exchange_ms__gte=only.from_ms)
    if only.to_ms is not None:
        found = found.filter(exchange_ms__lt=only.to_ms)
    return _beyond(found, "exchange_ms", newest_first, after)


def order_history(
    accounts: Sequence[ExchangeAccount], *, limit: int, symbol: str | None = None, after: Place | None = None
) -> tuple[list[Order], bool]:
    """A page of orders, open or not, the latest change first."""
    merged: list[Order] = []
    for account in accounts:
        found = Order.objects.filter(account=account).order_by("-updated_ms", "-pk")
        if symbol is not None:
            found = found.filter(symbol=symbol)
        merged += _owned(_beyond(found, "updated_ms", True, after)[: limit + 1], [account])
    merged.sort(key=lambda row: (row.updated_ms, row.pk), reverse=True)
    return merged[:limit], len(merged) > limit


def transfers_of(
    accounts: Sequence[ExchangeAccount],
    *,
    limit: int,
    kinds: Collection[str] | None = None,
    after: Place | None = None,
) -> tuple[list[Transfer], bool]:
    """A page of transfers, the newest first. ``kinds`` None: all."""
    merged: list[Transfer] = []
    for account in accounts:
        found = Transfer.objects.filter(account=account).order_by("-exchange_ms", "-pk")
        if kinds is not None:
            found = found.filter(kind__in=kinds)
        merged += _owned(_beyond(found, "exchange_ms", True, after)[: limit + 1], [account])
    merged.sort(key=_place, reverse=True)
    return merged[:limit], len(merged) > limit


def _place(row: Fill | Transfer) -> Place:
    return row.exchange_ms, row.pk


def _beyond(found: QuerySet[Any], time: str, newest_first: bool, after: Place | None) -> QuerySet[Any]:
    """What comes after this place. A range of the time alone, which an index serves, and the few of the same moment
    taken out."""
    if after is None:
        return found
    ms, row = after
    if newest_first:
        return found.filter(**{f"{time}__lte": ms}).exclude(**{time: ms, "pk__gte": row})
    return found.filter(**{f"{time}__gte": ms}).exclude(**{time: ms, "pk__lte": row})


def notices_of(
    accounts: Sequence[ExchangeAccount], *, only_open: bool, limit: int, before: int | None = None
) -> tuple[list[AccountNotice], bool]:
    """The newest first."""
    found = AccountNotice.objects.filter(account__in=accounts).order_by("-pk")
    if only_open:
        found = found.filter(resolved_ns=None)
    if before is not None:
        found = found.filter(pk__lt=before)
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
    if kind == "transfers":
        return {"transfers": rows.transfer_rows(transfers_of(mine, limit=FRAME_FILLS)[0], moment)}
    if kind == "notices":
        opened, _ = notices_of(mine, only_open=True, limit=FRAME_FILLS)
        newest, _ = notices_of(mine, only_open=False, limit=FRAME_NOTICES)
        shown = {row.pk: row for row in (*opened, *newest)}
        return {"notices": rows.notice_rows([shown[pk] for pk in sorted(shown, reverse=True)], moment)}
    raise ValueError(f"{kind!r} is no kind of account topic.")


def cursors(account_id: int) -> Mapping[str, str]:
    return dict(FillCursor.objects.filter(account_id=account_id).values_list("symbol", "value"))


def fill_symbols(account_id: int) -> set[str]:
    """Symbols that the account has filled or ordered, as far as stored."""
    found: set[str] = set()
    for model in (Fill, Order):
        found.update(model.objects.filter(account_id=account_id).order_by().values_list("symbol", flat=True).distinct())
    return found
