"""What the feeds want from the place where accounts live: the database, or memory in tests."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from feeds.account import KeyRights
from feeds.account_domain import Balance, Checked, Fill, Finding, Order, Position, Transfer

Notify = Callable[[int, str], Awaitable[None]]
"""(account, kind): this topic of this account has new content in the store."""


class AccountStore(Protocol):
    """Where accounts live (the database). Every method is durable when it returns; none loses or doubles a fill."""

    async def add_fills(
        self, account: int, fills: Sequence[Fill], *, source: str, cursor: tuple[str, str] | None = None
    ) -> list[dict[str, Any]]:
        """Store; return the rows that were new, oldest first, as /api/fills/ shows them.

        ``source`` is "stream" or "rest"; ``cursor`` (symbol, value) is set in the same transaction.
        """

    async def cursors(self, account: int) -> Mapping[str, str]:
        """The stored REST cursor of each symbol."""

    async def fill_symbols(self, account: int) -> set[str]:
        """Symbols that this account has ever filled or ordered, as far as stored."""

    async def put_balances(
        self,
        account: int,
        balances: Sequence[Balance],
        *,
        recv_ns: int,
        complete: str | None = None,
        asof_ms: int | None = None,
    ) -> None:
        """Merge by (product, asset): the later ``asof_ms`` holds, of two equal ones what comes last.

        ``complete`` names a product of which these are all: its other assets are zero as of ``asof_ms`` (always given
        then), unless what is stored of them is later.
        """

    async def put_positions(
        self,
        account: int,
        positions: Sequence[Position],
        *,
        recv_ns: int,
        complete: str | None = None,
        asof_ms: int | None = None,
    ) -> None:
        """The same by (symbol, side, apart)."""

    async def put_orders(
        self,
        account: int,
        orders: Sequence[Order],
        *,
        recv_ns: int,
        complete: str | None = None,
        asof_ms: int | None = None,
    ) -> None:
        """Merge by (symbol, id), by the rule of :func:`feeds.account.supersedes`.

        ``complete`` names a product of which these are all open orders: others of it that are stored as open and were
        last changed ``LISTED_MS`` before ``asof_ms`` are open no longer (how they ended, the list does not tell).
        """

    async def put_transfers(self, account: int, transfers: Sequence[Transfer], *, recv_ns: int) -> None:
        """One row per (kind, id). A transfer that is done or has failed is never pending again."""

    async def put_rights(self, account: int, rights: KeyRights | None) -> None:
        """What the account's key may do; None: this exchange cannot be asked."""

    async def put_finding(self, account: int, finding: Finding, *, now_ns: int) -> None:
        """Open a notice, or bring the open one of this cause up to date."""

    async def resolve_finding(self, account: int, cause: str, sentence: str, *, now_ns: int) -> None:
        """It holds again. Nothing happens if no notice of this cause is open."""

    async def open_causes(self, account: int) -> set[str]:
        """The causes of the notices that are open."""

    async def put_checked(self, account: int, checked: Checked) -> None:
        """In place of the one that is stored of this product; an older one changes nothing."""

    async def checked(self, account: int) -> Sequence[Checked]:
        """One of each product that was ever checked."""

    async def told_since(self, account: int, since_ms: int) -> tuple[Sequence[Fill], Sequence[Transfer]]:
        """What is stored and happened at ``since_ms`` or later, oldest first."""

    async def set_account_state(self, account: int, state: str, sentence: str, *, recv_ns: int) -> None:
        """How well the account is followed ("LIVE", "STALE", "DOWN", ...), and why, for the screen."""

    async def account_frame(self, account: int, kind: str) -> dict[str, Any]:
        """The present content of topic ``<kind>:<account>``, as docs/protocol.md describes its ``data``."""
