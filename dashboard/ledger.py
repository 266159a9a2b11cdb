"""An account's rows: merging what the exchange says into them, and reading them. Synchronous; the worker's only way to
write them, through ``dashboard.store``.

May it be merged, may it be lost? Fills: no and no. Each is a row, and the unique constraint on (account, symbol, fill
id) has the last word. Balances, positions and orders are states: the later one replaces the earlier, in whichever
order they arrive.

What is written for an account that its owner has just removed is dropped: the worker learns of it a moment later.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TypeVar, cast

import structlog
from django.db import connection, models, transaction

from dashboard import rows
from dashboard.models import Balance, ExchangeAccount, Fill, FillCursor, Order, Position
from dashboard.rows import Marks, Moment, Row
from feeds import domain
from feeds.account import OPEN_STATUSES, supersedes

log = structlog.get_logger(__name__)

FRAME_FILLS = 50
ENDED_ORDERS = 100
"""How many orders that are open no longer are shown, beside all open ones."""

_CHUNK = 400
"""Keys in one query: SQLite takes a limited number of variables."""

_FILLS_LOCK = 0x537072_656164
"""PostgreSQL's advisory lock of everybody who adds fills."""

_LATER = ("fee", "fee_asset", "maker", "realised", "position_side", "client_id")
"""What a fill may lack when it first comes (by a stream that does not tell it) and get when it comes again."""


# -- fills -----------------------------------------------------------------------------------------------------------


def add_fills(
    account_id: int, fills: Sequence[domain.Fill], source: str, cursor: tuple[str, str] | None, moment: Moment
) -> list[Row]:
    """Store fills and the cursor together; return the rows that were new, oldest first."""
    with transaction.atomic():
        account = _held(account_id)
        if account is None:
            return []
        _lock_fills()
        known = _known_fills(account_id, fills)
        new: dict[tuple[str, str], Fill] = {}
        completed: list[Fill] = []
        for fill in fills:
            key = fill.symbol, fill.id
            row = known.get(key) or new.get(key)
            if row is None:
                new[key] = _new_fill(account, fill, source, moment.now_ns)
            elif _complete(row, fill) and key in known:
                completed.append(row)
        created = Fill.objects.bulk_create(new.values(), batch_size=100)
        Fill.objects.bulk_update(completed, _LATER, batch_size=50)
        if cursor is not None:
            symbol, value = cursor
            FillCursor.objects.update_or_create(account=account, symbol=symbol, defaults={"value": value})
        return rows.fill_rows(created, moment)


def _lock_fills() -> None:
    """Rows must become visible in the order of their numbers, or somebody who has read up to row 102 misses 101.

    SQLite has one writer anyway; in PostgreSQL the writers wait here for each other until they commit.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_FILLS_LOCK])


def _known_fills(account_id: int, fills: Sequence[domain.Fill]) -> dict[tuple[str, str], Fill]:
    found: dict[tuple[str, str], Fill] = {}
    for ids in _chunks([fill.id for fill in fills]):
        for row in Fill.objects.filter(account_id=account_id, fill_id__in=ids):
            found[row.symbol, row.fill_id] = row
    return found


def _new_fill(account: ExchangeAccount, fill: domain.Fill, source: str, recv_ns: int) -> Fill:
    return Fill(
        account=account,
        product=fill.product,
        recv_ns=recv_ns,
        symbol=fill.symbol,
        fill_id=fill.id,
        order_id=fill.order_id,
        client_id=fill.client_id or "",
        side=fill.side,
        price=fill.price,
        size=fill.size,
        fee=fill.fee,
        fee_asset=fill.fee_asset or "",
        maker=fill.maker,
        realised=fill.realised,
        position_side=fill.position_side or "",
        exchange_ms=fill.exchange_ms,
        source=source,
    )


def _complete(row: Fill, fill: domain.Fill) -> bool:
    """Fill in what ``row`` lacks and ``fill`` tells; True if there was something. What is there stays: an execution
    does not change, and one that does is the exchange's fault or ours, and must be seen."""
    if (row.price, row.size, row.side) != (fill.price, fill.size, fill.side):
        log.error(
            "a fill came again with other figures",
            exchange=row.account.exchange,
            market=row.symbol,
            fill=row.fill_id,
            stored=f"{row.side} {row.size} at {row.price}",
            told=f"{fill.side} {fill.size} at {fill.price}",
        )
    changed = False
    for name in _LATER:
        told = getattr(fill, name)
        if getattr(row, name) in (None, "") and told not in (None, ""):
            setattr(row, name, told)
            changed = True
    return changed


def cursors(account_id: int) -> Mapping[str, str]:
    return dict(FillCursor.objects.filter(account_id=account_id).values_list("symbol", "value"))


def fill_symbols(account_id: int) -> set[str]:
    """Symbols that the account has filled or ordered, as far as stored."""
    found: set[str] = set()
    for model in (Fill, Order):
        found.update(model.objects.filter(account_id=account_id).order_by().values_list("symbol", flat=True).distinct())
    return found


# -- states ----------------------------------------------------------------------------------------------------------


def put_balances(
    account_id: int, balances: Sequence[domain.Balance], recv_ns: int, complete: str | None, asof_ms: int | None
) -> None:
    _check_complete(complete, asof_ms)
    with transaction.atomic():
        account = _held(account_id)
        if account is None:
            return
        stored = {(row.product, row.asset): row for row in Balance.objects.filter(account=account)}
        changed: dict[tuple[str, str], Balance] = {}
        for balance in balances:
            key = balance.product, balance.asset
            row = stored.get(key)
            if row is None:
                row = stored[key] = Balance(account=account, product=balance.product, asset=balance.asset)
            elif row.asof_ms > balance.asof_ms:
                continue
            row.total, row.free, row.locked = balance.total, balance.free, balance.locked
            row.asof_ms, row.recv_ns = balance.asof_ms, recv_ns
            changed[key] = row
        listed = {(balance.product, balance.asset) for balance in balances}
        for key, row in stored.items():
            if row.product == complete and key not in listed and row.asof_ms <= _given(asof_ms):
                row.total = row.free = row.locked = Decimal(0)
                row.asof_ms, row.recv_ns = _given(asof_ms), recv_ns
                changed[key] = row
        _upsert(Balance, changed.values(), ("account", "product", "asset"))


def put_positions(
    account_id: int, positions: Sequence[domain.Position], recv_ns: int, complete: str | None, asof_ms: int | None
) -> None:
    _check_complete(complete, asof_ms)
    with transaction.atomic():
        account = _held(account_id)
        if account is None:
            return
        stored = {(row.symbol, row.side): row for row in Position.objects.filter(account=account)}
        changed: dict[tuple[str, str], Position] = {}
        for position in positions:
            key: tuple[str, str] = position.symbol, position.side
            row = stored.get(key)
            if row is None:
                row = stored[key] = Position(account=account, symbol=position.symbol, side=position.side)
            elif row.asof_ms > position.asof_ms:
                continue
            row.product, row.size, row.entry = position.product, position.size, position.entry
            row.mark, row.unrealised, row.liquidation = position.mark, position.unrealised, position.liquidation
            row.leverage, row.margin_mode, row.settle = (
                position.leverage,
                position.margin_mode or "",
                position.settle or "",
            )
            row.asof_ms, row.recv_ns = position.asof_ms, recv_ns
            changed[key] = row
        listed: set[tuple[str, str]] = {(position.symbol, position.side) for position in positions}
        for key, row in stored.items():
            if row.product == complete and key not in listed and row.asof_ms <= _given(asof_ms):
                row.size = Decimal(0)
                row.unrealised = row.liquidation = None
                row.asof_ms, row.recv_ns = _given(asof_ms), recv_ns
                changed[key] = row
        _upsert(Position, changed.values(), ("account", "symbol", "side"))


def put_orders(
    account_id: int, orders: Sequence[domain.Order], recv_ns: int, complete: str | None, asof_ms: int | None
) -> None:
    _check_complete(complete, asof_ms)
    with transaction.atomic():
        account = _held(account_id)
        if account is None:
            return
        stored = _stored_orders(account_id, orders, complete)
        changed: dict[tuple[str, str], Order] = {}
        for order in orders:
            key = order.symbol, order.id
            told_ms = max(order.updated_ms, asof_ms or 0)
            row = stored.get(key)
            if row is None:
                row = stored[key] = Order(account=account, symbol=order.symbol, order_id=order.id)
            elif not _replaces(order, told_ms, row):
                continue
            _set_order(row, order)
            row.asof_ms, row.recv_ns = told_ms, recv_ns
            changed[key] = row
        listed = {(order.symbol, order.id) for order in orders}
        for key, row in stored.items():
            if row.product != complete or key in listed or row.status not in OPEN_STATUSES:
                continue
            if row.updated_ms <= _given(asof_ms):
                row.status = Order.CLOSED
                row.asof_ms, row.recv_ns = _given(asof_ms), recv_ns
                changed[key] = row
        _upsert(Order, changed.values(), ("account", "symbol", "order_id"))


def _stored_orders(
    account_id: int, orders: Sequence[domain.Order], complete: str | None
) -> dict[tuple[str, str], Order]:
    found: dict[tuple[str, str], Order] = {}
    mine = Order.objects.filter(account_id=account_id)
    for ids in _chunks([order.id for order in orders]):
        found.update(((row.symbol, row.order_id), row) for row in mine.filter(order_id__in=ids))
    if complete is not None:
        still_open = mine.filter(product=complete, status__in=sorted(OPEN_STATUSES))
        found.update(((row.symbol, row.order_id), row) for row in still_open)
    return found


def _replaces(order: domain.Order, told_ms: int, row: Order) -> bool:
    """The rule of ``supersedes``; and for a row whose end was only concluded from a list without it: how it really
    ended replaces that at any time, that it is open does if it is told later than the list."""
    if row.status == Order.CLOSED:
        return order.status not in OPEN_STATUSES or told_ms > row.asof_ms
    return supersedes(order, cast(domain.Order, row))  # which reads updated_ms, status and filled


def _set_order(row: Order, order: domain.Order) -> None:
    row.product, row.side, row.type, row.status = order.product, order.side, order.type, order.status
    row.client_id, row.time_in_force = order.client_id or "", order.time_in_force or ""
    row.price, row.size, row.filled, row.average = order.price, order.size, order.filled, order.average
    row.reduce_only, row.updated_ms = order.reduce_only, order.updated_ms
    row.created_ms = order.created_ms if order.created_ms is not None else row.created_ms


def set_account_state(account_id: int, state: str, sentence: str, recv_ns: int) -> None:
    ExchangeAccount.objects.filter(pk=account_id).update(state=state, sentence=sentence, state_recv_ns=recv_ns)


# -- reading ---------------------------------------------------------------------------------------------------------


def balances_of(accounts: Iterable[int]) -> models.QuerySet[Balance]:
    held = Balance.objects.filter(account__in=accounts).exclude(total=Decimal(0))
    return held.select_related("account").order_by("account", "product", "asset")


def positions_of(accounts: Iterable[int]) -> models.QuerySet[Position]:
    still_open = Position.objects.filter(account__in=accounts).exclude(size=Decimal(0))
    return still_open.select_related("account").order_by("account", "symbol", "side")


def orders_of(accounts: Iterable[int]) -> list[Order]:
    """All open orders and the newest of the others; the latest change first."""
    mine = Order.objects.filter(account__in=accounts).select_related("account").order_by("-updated_ms", "-pk")
    still_open = list(mine.filter(status__in=sorted(OPEN_STATUSES)))
    ended = list(mine.exclude(status__in=sorted(OPEN_STATUSES))[:ENDED_ORDERS])
    return sorted([*still_open, *ended], key=lambda row: (-row.updated_ms, -row.pk))


def fills_of(accounts: Iterable[int]) -> models.QuerySet[Fill]:
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


# -- helpers ---------------------------------------------------------------------------------------------------------


def _held(account_id: int) -> ExchangeAccount | None:
    """The account, kept from being removed until the transaction ends (SQLite's transactions exclude that anyway)."""
    account = ExchangeAccount.objects.select_for_update(no_key=True).filter(pk=account_id).first()
    if account is None:
        log.debug("rows of a removed account dropped", account=account_id)
    return account


def _check_complete(complete: str | None, asof_ms: int | None) -> None:
    if complete is not None and asof_ms is None:
        raise ValueError("A complete list needs asof_ms: the exchange's time that it speaks of.")


def _given(asof_ms: int | None) -> int:
    assert asof_ms is not None  # see _check_complete
    return asof_ms


RowModel = TypeVar("RowModel", bound=models.Model)


def _upsert(model: type[RowModel], changed: Iterable[RowModel], key: tuple[str, ...]) -> None:
    """Insert or replace, by the unique constraint on ``key``, in one statement."""
    objects = list(changed)
    if not objects:
        return
    for row in objects:
        row.pk = None
    names = [field.name for field in model._meta.concrete_fields if not field.primary_key and field.name not in key]
    model._default_manager.bulk_create(
        objects, update_conflicts=True, unique_fields=key, update_fields=names, batch_size=50
    )


def _chunks(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(keys), _CHUNK):
        yield keys[start : start + _CHUNK]
