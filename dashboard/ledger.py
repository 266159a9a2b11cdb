"""Writing an account's rows: merging what the exchange says into them. Synchronous; called through
``dashboard.store``.

May it be merged, may it be lost? Fills: no and no. Each is a row, and the unique constraint on (account, symbol, fill
id) has the last word. Balances, positions and orders are states: the later one replaces the earlier, in whichever
order they arrive.

What is written for an account that its owner has just removed is dropped: the worker learns of it a moment later.
"""

import functools
from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar, cast

import msgspec
import structlog
from django.db import connection, models, transaction

from dashboard import rows
from dashboard.models import Balance, ExchangeAccount, Fill, FillCursor, Listing, Order, Position
from dashboard.rows import Moment, Row
from feeds import account_domain
from feeds.account import LISTED_MS, OPEN_STATUSES, supersedes

log = structlog.get_logger(__name__)

T = TypeVar("T")

_CHUNK = 400
"""Keys in one query: SQLite takes a limited number of variables."""

_FILLS_LOCK = 0x537072_656164
"""PostgreSQL's advisory lock of everybody who adds fills."""

_LATER = ("fee", "fee_asset", "maker", "realised", "position_side", "client_id")
"""What a fill may lack when it first comes (by a stream that does not tell it) and get when it comes again."""


# -- fills -----------------------------------------------------------------------------------------------------------


def add_fills(
    account_id: int, fills: Sequence[account_domain.Fill], source: str, cursor: tuple[str, str] | None, moment: Moment
) -> list[Row]:
    """Store fills and the cursor together; return the rows that were new, oldest first."""
    with transaction.atomic():
        account = held(account_id)
        if account is None:
            return []
        _lock_fills()
        known = _known_fills(account, fills)
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
        Fill.objects.bulk_update(completed, (*_LATER, "margin"), batch_size=50)
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


def _known_fills(account: ExchangeAccount, fills: Sequence[account_domain.Fill]) -> dict[tuple[str, str], Fill]:
    told = {(fill.symbol, fill.id) for fill in fills}
    mine = Fill.objects.filter(account=account)
    known: list[int] = []  # most are new: look for the known ones before reading any whole row
    for ids in _chunks([fill.id for fill in fills]):
        found = mine.filter(fill_id__in=ids).values_list("pk", "symbol", "fill_id")
        known += [pk for pk, symbol, fill_id in found if (symbol, fill_id) in told]
    rows_of = {pk: row for pks in _chunks(known) for pk, row in mine.in_bulk(pks).items()}
    for row in rows_of.values():
        row.account = account
    return {(row.symbol, row.fill_id): row for row in rows_of.values()}


def _new_fill(account: ExchangeAccount, fill: account_domain.Fill, source: str, recv_ns: int) -> Fill:
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
        margin=fill.margin,
        exchange_ms=fill.exchange_ms,
        source=source,
    )


def _complete(row: Fill, fill: account_domain.Fill) -> bool:
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
    if fill.margin and not row.margin:
        row.margin = changed = True
    return changed


# -- states ----------------------------------------------------------------------------------------------------------


class _State(msgspec.Struct, frozen=True):
    """A balance or position as told: its key within the account, since when it is so, and its columns."""

    key: tuple[str, ...]
    product: str
    asof_ms: int
    columns: Mapping[str, Any]


def put_balances(
    account_id: int, balances: Sequence[account_domain.Balance], recv_ns: int, complete: str | None, asof_ms: int | None
) -> None:
    told = [
        _State(
            (balance.product, balance.asset),
            balance.product,
            balance.asof_ms,
            {"total": balance.total, "free": balance.free, "locked": balance.locked},
        )
        for balance in balances
    ]
    gone = {"total": Decimal(0), "free": Decimal(0), "locked": Decimal(0)}
    _put_states(account_id, "balances", Balance, ("product", "asset"), told, gone, recv_ns, complete, asof_ms)


def put_positions(
    account_id: int,
    positions: Sequence[account_domain.Position],
    recv_ns: int,
    complete: str | None,
    asof_ms: int | None,
) -> None:
    told = [
        _State(
            (position.symbol, position.side, position.apart),
            position.product,
            position.asof_ms,
            {
                "size": position.size,
                "entry": position.entry,
                "mark": position.mark,
                "unrealised": position.unrealised,
                "liquidation": position.liquidation,
                "leverage": position.leverage,
                "margin": position.margin,
                "margin_mode": position.margin_mode or "",
                "settle": position.settle or "",
            },
        )
        for position in positions
    ]
    gone = {"size": Decimal(0), "unrealised": None, "liquidation": None}
    keys = ("symbol", "side", "apart")
    _put_states(account_id, "positions", Position, keys, told, gone, recv_ns, complete, asof_ms)


def _put_states(
    account_id: int,
    kind: str,
    model: type[Balance] | type[Position],
    key_names: tuple[str, ...],
    told: Sequence[_State],
    gone: Mapping[str, Any],
    recv_ns: int,
    complete: str | None,
    asof_ms: int | None,
) -> None:
    """Merge: per key the later ``asof_ms`` holds; what a complete list lacks is ``gone`` as of then. The outcome does
    not depend on the order in which lists and single states arrive."""
    with transaction.atomic():
        account = held(account_id)
        if account is None:
            return
        stored: dict[tuple[str, ...], Balance | Position] = {
            tuple(getattr(row, name) for name in key_names): row
            for row in model._default_manager.filter(account=account)
        }
        known = all(state.key in stored for state in told)
        listed_ms = {} if known and complete is None else _take_listing(account, kind, complete, asof_ms)
        changed: dict[tuple[str, ...], Balance | Position] = {}

        def put(row: Balance | Position, key: tuple[str, ...], since_ms: int, columns: Mapping[str, Any]) -> None:
            for name, value in columns.items():
                setattr(row, name, value)
            row.asof_ms, row.recv_ns = since_ms, recv_ns
            changed[key] = stored[key] = row

        for state in told:
            row = stored.get(state.key)
            if row is None:
                if state.asof_ms < listed_ms.get(state.product, 0):
                    continue
                row = model(account=account, **dict(zip(key_names, state.key, strict=True)))
            elif state.asof_ms < row.asof_ms:
                continue
            row.product = state.product
            put(row, state.key, state.asof_ms, state.columns)
        if complete is not None and asof_ms is not None:
            present = {state.key for state in told}
            for key, row in list(stored.items()):
                if row.product == complete and key not in present and row.asof_ms <= asof_ms:
                    put(row, key, asof_ms, gone)
        _upsert(model, changed.values(), ("account", *key_names))


def put_orders(
    account_id: int, orders: Sequence[account_domain.Order], recv_ns: int, complete: str | None, asof_ms: int | None
) -> None:
    with transaction.atomic():
        account = held(account_id)
        if account is None:
            return
        stored = _stored_orders(account, orders, complete)
        known = all((order.symbol, order.id) in stored for order in orders)
        listed_ms = {} if known and complete is None else _take_listing(account, "orders", complete, asof_ms)
        changed: dict[tuple[str, str], Order] = {}
        for order in orders:
            key = order.symbol, order.id
            told_ms = max(order.updated_ms, asof_ms or 0)
            row = stored.get(key)
            listed = told_ms < listed_ms.get(order.product, 0) - LISTED_MS
            missed = row is None and listed and order.status in OPEN_STATUSES
            if row is None:
                row = stored[key] = Order(account=account, symbol=order.symbol, order_id=order.id)
            elif not _replaces(order, told_ms, row):
                continue
            _set_order(row, order)
            row.asof_ms, row.recv_ns = told_ms, recv_ns
            if missed:  # open then, but not any more when the list was made
                row.status, row.asof_ms = Order.CLOSED, listed_ms[order.product]
            changed[key] = row
        if complete is not None and asof_ms is not None:
            present = {(order.symbol, order.id) for order in orders}
            over = [
                row.pk
                for key, row in stored.items()
                if row.product == complete and row.status in OPEN_STATUSES
                if key not in present and row.updated_ms <= asof_ms - LISTED_MS
            ]
            for pks in _chunks(over):
                closed = Order.objects.filter(pk__in=pks)
                closed.update(status=Order.CLOSED, asof_ms=asof_ms, recv_ns=recv_ns)
        _upsert(Order, changed.values(), ("account", "symbol", "order_id"))


def _take_listing(account: ExchangeAccount, kind: str, complete: str | None, asof_ms: int | None) -> Mapping[str, int]:
    """Keep a complete list's time; return the time of each product's newest list."""
    listed_ms = dict(Listing.objects.filter(account=account, kind=kind).values_list("product", "asof_ms"))
    if complete is not None:
        if asof_ms is None:
            raise ValueError("A complete list needs asof_ms: the exchange's time that it speaks of.")
        if asof_ms > listed_ms.get(complete, -1):
            listed_ms[complete] = asof_ms
            Listing.objects.update_or_create(
                account=account, kind=kind, product=complete, defaults={"asof_ms": asof_ms}
            )
    return listed_ms


def _stored_orders(
    account: ExchangeAccount, orders: Sequence[account_domain.Order], complete: str | None
) -> dict[tuple[str, str], Order]:
    """The orders told of, and with a complete list all open ones of its product: no more than merging needs."""
    found: dict[tuple[str, str], Order] = {}
    mine = Order.objects.filter(account=account).only(
        "account", "symbol", "order_id", "product", "status", "filled", "created_ms", "updated_ms", "asof_ms"
    )
    for ids in _chunks([order.id for order in orders]):
        found.update(((row.symbol, row.order_id), row) for row in mine.filter(order_id__in=ids))
    if complete is not None:
        still_open = mine.filter(product=complete, status__in=sorted(OPEN_STATUSES))
        found.update(((row.symbol, row.order_id), row) for row in still_open)
    return found


def _replaces(order: account_domain.Order, told_ms: int, row: Order) -> bool:
    """The rule of ``supersedes``; and for a row whose end was only concluded from a list without it: how it really
    ended replaces that at any time, that it is open does if it is told later than the list."""
    if row.status == Order.CLOSED:
        return order.status not in OPEN_STATUSES or told_ms > row.asof_ms
    return supersedes(order, cast(account_domain.Order, row))  # which reads updated_ms, status and filled


def _set_order(row: Order, order: account_domain.Order) -> None:
    row.product, row.side, row.type, row.status = order.product, order.side, order.type, order.status
    row.client_id, row.time_in_force = order.client_id or "", order.time_in_force or ""
    row.price, row.size, row.filled, row.average = order.price, order.size, order.filled, order.average
    row.reduce_only, row.updated_ms = order.reduce_only, order.updated_ms
    row.created_ms = order.created_ms if order.created_ms is not None else row.created_ms


def set_account_state(account_id: int, state: str, sentence: str, recv_ns: int) -> None:
    ExchangeAccount.objects.filter(pk=account_id).update(state=state, sentence=sentence, state_recv_ns=recv_ns)


# -- helpers ---------------------------------------------------------------------------------------------------------


def held(account_id: int) -> ExchangeAccount | None:
    """The account (number, exchange and label alone), kept from being removed and from other writers until the
    transaction ends; SQLite's transactions exclude both anyway."""
    lock = " FOR NO KEY UPDATE" if connection.features.has_select_for_no_key_update else ""
    with connection.cursor() as cursor:
        cursor.execute(f"{_ACCOUNT}{lock}", [account_id])
        found = cursor.fetchone()
    if found is None:
        log.debug("rows of a removed account dropped", account=account_id)
        return None
    return ExchangeAccount(pk=account_id, exchange=found[0], label=found[1])


_ACCOUNT = f"SELECT exchange, label FROM {ExchangeAccount._meta.db_table} WHERE id = %s"


def _upsert(model: type[models.Model], changed: Collection[models.Model], key: tuple[str, ...]) -> None:
    """Insert or replace, as the unique constraint on ``key`` decides.

    ``bulk_create(update_conflicts=True)`` sends the same statement, but composes it anew every time, which takes
    longer than all the rest of an order's update.
    """
    if not changed:
        return
    statement, fields = _upsert_statement(model, key)
    with connection.cursor() as cursor:
        cursor.executemany(
            statement,
            [[field.get_db_prep_save(getattr(row, field.attname), connection) for field in fields] for row in changed],
        )


@functools.cache
def _upsert_statement(model: type[models.Model], key: tuple[str, ...]) -> tuple[str, list[models.Field]]:
    fields = [field for field in model._meta.concrete_fields if not field.primary_key]
    quote = connection.ops.quote_name
    columns = {field.name: quote(str(field.column)) for field in fields}
    replaced = [f"{column} = excluded.{column}" for name, column in columns.items() if name not in key]
    statement = (
        f"INSERT INTO {quote(model._meta.db_table)} ({', '.join(columns.values())}) "
        f"VALUES ({', '.join(['%s'] * len(columns))}) "
        f"ON CONFLICT ({', '.join(columns[name] for name in key)}) DO UPDATE SET {', '.join(replaced)}"
    )
    return statement, fields


def _chunks(keys: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(keys), _CHUNK):
        yield keys[start : start + _CHUNK]
