"""Reading an account's rows: for the REST answers, the pages and the account frames. Writing: ``dashboard.ledger``."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from django.db.models import QuerySet

from dashboard import rows
from dashboard.models import Balance, ExchangeAccount, Fill, FillCursor, Order, Position
from dashboard.rows import Marks, Moment, Row
from feeds.account import OPEN_STATUSES

FRAME_FILLS = 50
ENDED_ORDERS = 100
"""How many orders that are open no longer are shown, beside all open ones."""


def balances_of(accounts: Iterable[int]) -> QuerySet[Balance]:
    held = Balance.objects.filter(account__in=accounts).exclude(total=Decimal(0))
    return held.select_related("account").order_by("account", "product", "asset")


def positions_of(accounts: Iterable[int]) -> QuerySet[Position]:
    still_open = Position.objects.filter(account__in=accounts).exclude(size=Decimal(0))
    return still_open.select_related("account").order_by("account", "symbol", "side")


def orders_of(accounts: Iterable[int]) -> list[Order]:
    """All open orders and the newest of the others; the latest change first."""
    mine = Order.objects.filter(account__in=accounts).select_related("account").order_by("-updated_ms", "-pk")
    still_open = list(mine.filter(status__in=sorted(OPEN_STATUSES)))
    ended = list(mine.exclude(status__in=sorted(OPEN_STATUSES))[:ENDED_ORDERS])
    return sorted([*still_open, *ended], key=lambda row: (-row.updated_ms, -row.pk))


def fills_of(accounts: Iterable[int]) -> QuerySet[Fill]:
    return Fill.objects.filter(account__in=accounts).select_related("account").order_by("-pk")


def account_frame(account_id: int, kind: str, moment: Moment, marks: Marks | None) -> Row:
    """``data`` of the topic ``<kind>:<account>``. Raises LookupError if there is no such account (any more)."""
    account = ExchangeAccount.objects.filter(pk=account_id).first()
    if account is None:
        raise LookupError(f"There is no account {account_id}.")
    return {"account": rows.account_head(account, moment), **_content(account_id, kind, moment, marks)}


def _content(account_id: int, kind: str, moment: Moment, marks: Marks | None) -> Row:
    mine = [account_id]
    if kind == "balances":
        return {"balances": rows.balance_rows(balances_of(mine), moment)}
    if kind == "positions":
        return {"positions": rows.position_rows(positions_of(mine), moment, marks)}
    if kind == "orders":
        return {"orders": rows.order_rows(orders_of(mine), moment)}
    if kind == "fills":
        page = list(fills_of(mine)[: FRAME_FILLS + 1])
        return rows.fills_page(rows.fill_rows(page[:FRAME_FILLS], moment), more=len(page) > FRAME_FILLS)
    raise ValueError(f"{kind!r} is no kind of account topic.")


def cursors(account_id: int) -> Mapping[str, str]:
    return dict(FillCursor.objects.filter(account_id=account_id).values_list("symbol", "value"))


def fill_symbols(account_id: int) -> set[str]:
    """Symbols that the account has filled or ordered, as far as stored."""
    found: set[str] = set()
    for model in (Fill, Order):
        found.update(model.objects.filter(account_id=account_id).order_by().values_list("symbol", flat=True).distinct())
    return found
