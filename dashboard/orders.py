"""Tickets and the orders that may be cancelled, in the database. Synchronous; called through ``dashboard.store``."""

import msgspec

from dashboard.models import ExchangeAccount, Order
from dashboard.models_accounts import OrderTicket
from feeds import account_domain
from feeds.tickets import Ticket

OPEN = ("sent", "unsure")


def put_ticket(account: int, ticket: Ticket) -> None:
    """New, or in place of the one with this key. Nothing for an account that was removed meanwhile."""
    if not ExchangeAccount.objects.filter(pk=account).exists():
        return
    columns = {
        "client_id": ticket.client_id,
        "wish": msgspec.to_builtins(ticket.wish),
        "state": ticket.state,
        "sentence": ticket.sentence,
        "order_id": ticket.order_id,
        "sent_ns": ticket.sent_ns,
    }
    OrderTicket.objects.update_or_create(account_id=account, key=ticket.key, defaults=columns)


def ticket(account: int, key: str) -> Ticket | None:
    row = OrderTicket.objects.filter(account=account, key=key).first()
    return _ticket(row) if row is not None else None


def open_tickets(account: int) -> list[Ticket]:
    """Of which it is not known what became of them, oldest first."""
    return [_ticket(row) for row in OrderTicket.objects.filter(account=account, state__in=OPEN).order_by("pk")]


def ordered(account: int) -> list[tuple[str, str, str]]:
    """Of all tickets: client order id, symbol, and the exchange's number ("" if it has not been told)."""
    rows = OrderTicket.objects.filter(account=account).values_list("client_id", "wish__symbol", "order_id")
    return [(client_id, symbol, number) for client_id, symbol, number in rows]


def _ticket(row: OrderTicket) -> Ticket:
    columns = {name: getattr(row, name) for name in ("key", "client_id", "state", "sentence", "order_id", "sent_ns")}
    return msgspec.convert({**columns, "wish": row.wish}, Ticket)


def stored_order(account: int, symbol: str, order_id: str) -> account_domain.Order | None:
    """As far as it is known; None if it is not."""
    row = Order.objects.filter(account=account, symbol=symbol, order_id=order_id).first()
    if row is None:
        return None
    same = ("product", "symbol", "side", "type", "price", "size", "filled", "average", "status", "reduce_only")
    return account_domain.Order(
        id=row.order_id,
        client_id=row.client_id or None,
        time_in_force=row.time_in_force or None,
        created_ms=row.created_ms,
        updated_ms=row.updated_ms,
        **{name: getattr(row, name) for name in same},
    )
