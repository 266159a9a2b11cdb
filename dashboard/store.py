"""``feeds.account.AccountStore`` on Django's database: the asynchronous shell of ``dashboard.ledger``,
``dashboard.notes`` and ``dashboard.holdings``.

One thread with one connection does all of it, in order: so a hundred fills a second wait for each other in memory and
not for SQLite's lock, nothing is read half-written, and the connection lasts.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import structlog
from django.db import InterfaceError, OperationalError, connection, connections

from dashboard import holdings, ledger, notes, orders, spreads, told, worth
from dashboard.one_thread import OneThread
from dashboard.rows import Moment, Row
from feeds import account_domain
from feeds.account import KeyRights
from feeds.across.arbitrage import Event, Threshold
from feeds.across.fees import Fee
from feeds.tickets import Ticket
from feeds.worth.portfolio import EquityPoint, Held, Person

log = structlog.get_logger(__name__)

T = TypeVar("T")


class DjangoAccountStore:
    """The account store of a worker. ``moment`` tells the time and the exchanges' clocks.

    Its thread starts with the first call; ``close`` ends it, after what was asked before.
    """

    def __init__(self, *, moment: Callable[[], Moment] | None = None) -> None:
        self._executor = OneThread("store")
        self._moment = moment or _now
        self._closed = False

    async def run(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run a synchronous function on the database in the store's thread."""
        return await asyncio.get_running_loop().run_in_executor(
            self._executor, lambda: _with_connection(lambda: function(*args, **kwargs))
        )

    async def close(self, patience_s: float = 1.0) -> None:
        """Wait for what was asked before, but no longer than that for a database that hangs: it has taken nothing then,
        or what it has is found at the next start. Idempotent."""
        if self._closed:
            return
        self._closed = True
        closing = asyncio.get_running_loop().run_in_executor(self._executor, connections.close_all)
        self._executor.shutdown(wait=False)
        try:
            async with asyncio.timeout(patience_s):
                await closing
        except TimeoutError:
            log.error("the database hangs, left alone", seconds=patience_s)

    # feeds.account.AccountStore

    async def add_fills(
        self, account: int, fills: Sequence[account_domain.Fill], *, source: str, cursor: tuple[str, str] | None = None
    ) -> list[Row]:
        return await self.run(ledger.add_fills, account, fills, source, cursor, self._moment())

    async def cursors(self, account: int) -> Mapping[str, str]:
        return await self.run(holdings.cursors, account)

    async def fill_symbols(self, account: int) -> set[str]:
        return await self.run(holdings.fill_symbols, account)

    async def put_balances(
        self,
        account: int,
        balances: Sequence[account_domain.Balance],
        *,
        recv_ns: int,
        complete: str | None = None,
        asof_ms: int | None = None,
    ) -> None:
        await self.run(ledger.put_balances, account, balances, recv_ns, complete, asof_ms)

    async def put_positions(
        self,
        account: int,
        positions: Sequence[account_domain.Position],
        *,
        recv_ns: int,
        complete: str | None = None,
        asof_ms: int | None = None,
    ) -> None:
        await self.run(ledger.put_positions, account, positions, recv_ns, complete, asof_ms)

    async def put_orders(
        self,
        account: int,
        orders: Sequence[account_domain.Order],
        *,
        recv_ns: int,
        complete: str | None = None,
        asof_ms: int | None = None,
    ) -> None:
        await self.run(ledger.put_orders, account, orders, recv_ns, complete, asof_ms)

    async def put_transfers(self, account: int, transfers: Sequence[account_domain.Transfer], *, recv_ns: int) -> None:
        await self.run(notes.put_transfers, account, transfers, recv_ns)

    async def put_rights(self, account: int, rights: KeyRights | None) -> None:
        await self.run(notes.put_rights, account, rights)

    async def put_finding(self, account: int, finding: account_domain.Finding, *, now_ns: int) -> None:
        await self.run(notes.put_finding, account, finding, now_ns)

    async def resolve_finding(self, account: int, cause: str, sentence: str, *, now_ns: int) -> None:
        await self.run(notes.resolve_finding, account, cause, sentence, now_ns)

    async def open_causes(self, account: int) -> set[str]:
        return await self.run(notes.open_causes, account)

    async def put_checked(self, account: int, checked: account_domain.Checked) -> None:
        await self.run(notes.put_checked, account, checked)

    async def checked(self, account: int) -> list[account_domain.Checked]:
        return await self.run(notes.checked, account)

    async def told_since(
        self, account: int, since_ms: int
    ) -> tuple[list[account_domain.Fill], list[account_domain.Transfer]]:
        return await self.run(told.since, account, since_ms)

    async def set_account_state(self, account: int, state: str, sentence: str, *, recv_ns: int) -> None:
        await self.run(ledger.set_account_state, account, state, sentence, recv_ns)

    # feeds.tickets.TicketStore

    async def put_ticket(self, account: int, ticket: Ticket) -> None:
        await self.run(orders.put_ticket, account, ticket)

    async def ticket(self, account: int, key: str) -> Ticket | None:
        return await self.run(orders.ticket, account, key)

    async def open_tickets(self, account: int) -> list[Ticket]:
        return await self.run(orders.open_tickets, account)

    async def ordered(self, account: int) -> list[tuple[str, str, str]]:
        return await self.run(orders.ordered, account)

    async def stored_order(self, account: int, symbol: str, order_id: str) -> account_domain.Order | None:
        return await self.run(orders.stored_order, account, symbol, order_id)

    async def account_frame(self, account: int, kind: str) -> Row:
        return await self.run(holdings.account_frame, account, kind, self._moment())

    # feeds.worth.portfolio.WealthStore

    async def people(self) -> list[Person]:
        return await self.run(worth.people)

    async def held(self) -> list[Held]:
        return await self.run(worth.held)

    async def cost_history(
        self, account: int, after: tuple[int, int], limit: int
    ) -> list[tuple[int, account_domain.Fill]]:
        return await self.run(worth.cost_history, account, after, limit)

    async def fill_count(self, account: int) -> int:
        return await self.run(worth.fill_count, account)

    async def done_transfers(self, account: int) -> list[account_domain.Transfer]:
        return await self.run(worth.done_transfers, account)

    async def put_equity(self, points: Sequence[EquityPoint]) -> None:
        await self.run(worth.put_equity, points)

    async def day_begun(self, accounts: Sequence[int], since_ms: int, currency: str) -> Mapping[int, EquityPoint]:
        return await self.run(worth.day_begun, accounts, since_ms, currency)


class DjangoAcrossStore:
    """``feeds.across.arbitrage.AcrossStore``, in the thread of the account store."""

    def __init__(self, store: DjangoAccountStore) -> None:
        self._run = store.run

    async def put_event(self, event: Event) -> None:
        await self._run(spreads.put_event, event)

    async def close_abandoned(self, reason: str) -> int:
        return await self._run(spreads.close_abandoned, reason)

    async def newest_events(self, ended: int) -> list[Row]:
        return await self._run(spreads.newest_events, ended)

    async def user_fees(self) -> Mapping[tuple[str, str], Fee]:
        return await self._run(spreads.user_fees)

    async def user_threshold(self) -> Threshold | None:
        return await self._run(spreads.user_threshold)


def _now() -> Moment:
    return Moment(now_ns=time.time_ns())


def _with_connection(function: Callable[[], T]) -> T:
    """Run ``function``; once more with a new connection if the old one turns out to be broken.

    Everything here may be done twice: what was committed unseen is found again as known.
    """
    used = connection.connection is not None
    try:
        return function()
    except (OperationalError, InterfaceError) as error:
        connection.close()
        if not used:
            raise
        log.warning("database connection lost, trying once more", error=str(error))
        return function()
