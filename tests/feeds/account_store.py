"""An account store in memory, by the rules of ``feeds.account.AccountStore``. It survives what uses it.

``StoreHandle`` is one process's connection to it, which can be slow, fail, or die with its process.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from feeds.account import LISTED_MS, OPEN_STATUSES, KeyRights, supersedes
from feeds.account_domain import Balance, Checked, Fill, Finding, Order, Position, Transfer


class MemoryStore:
    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []  # fills, in the order in which they were stored
        self.known: set[tuple[str, str]] = set()
        self.kept_cursors: dict[str, str] = {}
        self.balances: dict[tuple[str, str], Balance] = {}
        self.positions: dict[tuple[str, ...], Position] = {}  # by symbol and side, and ``apart`` where there is one
        self.orders: dict[tuple[str, str], Order] = {}
        self.states: list[tuple[str, str]] = []
        self.transfers: dict[tuple[str, str], Transfer] = {}
        self.rights: list[KeyRights | None] = []
        self.checked: dict[str, Checked] = {}  # by product
        self.findings: dict[str, Finding] = {}  # open ones, by cause
        self.resolved: list[tuple[str, str]] = []

    @property
    def fills(self) -> set[tuple[str, str]]:
        assert len(self.known) == len(self.rows)
        return self.known

    def totals(self) -> dict[tuple[str, str], Decimal]:
        return {key: balance.total for key, balance in self.balances.items() if balance.total}

    def sizes(self) -> dict[str, Decimal]:
        return {symbol: p.size for (symbol, *_), p in self.positions.items() if p.size}


class StoreHandle:
    """``calls`` counts; ``before`` and ``after`` may wait, fail or never return, before and after the commit."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.calls: list[str] = []
        self.before: Callable[[int], Awaitable[None]] | None = None
        self.after: Callable[[int], Awaitable[None]] | None = None

    async def _commit(self, name: str, change: Callable[[], Any]) -> Any:
        number = len(self.calls)
        self.calls.append(name)
        if self.before:
            await self.before(number)
        else:
            await asyncio.sleep(0)
        result = change()
        if self.after:
            await self.after(number)
        return result

    async def add_fills(
        self, account: int, fills: Sequence[Fill], *, source: str, cursor: tuple[str, str] | None = None
    ) -> list[dict[str, Any]]:
        def change() -> list[dict[str, Any]]:
            new = []
            for fill in fills:
                if (fill.symbol, fill.id) not in self.store.known:
                    self.store.known.add((fill.symbol, fill.id))
                    new.append({**msgspec.structs.asdict(fill), "source": source, "row": len(self.store.rows) + 1})
                    self.store.rows.append(new[-1])
            if cursor:
                self.store.kept_cursors[cursor[0]] = cursor[1]
            return new

        return await self._commit("add_fills", change)

    async def cursors(self, account: int) -> Mapping[str, str]:
        return await self._commit("cursors", lambda: dict(self.store.kept_cursors))

    async def fill_symbols(self, account: int) -> set[str]:
        symbols = {symbol for symbol, _ in self.store.known} | {symbol for symbol, _ in self.store.orders}
        return await self._commit("fill_symbols", lambda: symbols)

    async def put_balances(
        self,
        account: int,
        balances: Sequence[Balance],
        *,
        recv_ns: int,
        complete: str | None = None,
        asof_ms: int | None = None,
    ) -> None:
        def change() -> None:
            kept = self.store.balances
            given = {(b.product, b.asset): b for b in balances}
            if complete is not None:
                assert asof_ms is not None
                for (product, asset), known in kept.items():
                    if product == complete and (product, asset) not in given and known.asof_ms <= asof_ms:
                        given[product, asset] = Balance(
                            product=product, asset=asset, total=Decimal(0), free=Decimal(0), asof_ms=asof_ms
                        )
            for key, balance in given.items():
                if key not in kept or balance.asof_ms >= kept[key].asof_ms:
                    kept[key] = balance

        await self._commit("put_balances", change)

    async def put_positions(
        self,
        account: int,
        positions: Sequence[Position],
        *,
        recv_ns: int,
        complete: str | None = None,
        asof_ms: int | None = None,
    ) -> None:
        def change() -> None:
            kept = self.store.positions
            given = {(p.symbol, p.side, *filter(None, [p.apart])): p for p in positions}
            if complete is not None:
                assert asof_ms is not None
                for key, known in kept.items():
                    if known.product == complete and key not in given and known.asof_ms <= asof_ms:
                        given[key] = msgspec.structs.replace(known, size=Decimal(0), asof_ms=asof_ms)
            for key, position in given.items():
                if key not in kept or position.asof_ms >= kept[key].asof_ms:
                    kept[key] = position

        await self._commit("put_positions", change)

    async def put_orders(
        self,
        account: int,
        orders: Sequence[Order],
        *,
        recv_ns: int,
        complete: str | None = None,
        asof_ms: int | None = None,
    ) -> None:
        def change() -> None:
            kept = self.store.orders
            given = {(o.symbol, o.id): o for o in orders}
            for key, order in given.items():
                if key not in kept or supersedes(order, kept[key]):
                    kept[key] = order
            for key, known in kept.items():
                if known.product == complete and key not in given and known.status in OPEN_STATUSES:
                    assert asof_ms is not None
                    if known.updated_ms <= asof_ms - LISTED_MS:
                        kept[key] = msgspec.structs.replace(known, status="closed")

        await self._commit("put_orders", change)

    async def set_account_state(self, account: int, state: str, sentence: str, *, recv_ns: int) -> None:
        await self._commit("set_account_state", lambda: self.store.states.append((state, sentence)))

    async def put_transfers(self, account: int, transfers: Sequence[Transfer], *, recv_ns: int) -> None:
        given = {(t.kind, t.id): t for t in transfers}
        await self._commit("put_transfers", lambda: self.store.transfers.update(given))

    async def put_rights(self, account: int, rights: KeyRights | None) -> None:
        await self._commit("put_rights", lambda: self.store.rights.append(rights))

    async def put_finding(self, account: int, finding: Finding, *, now_ns: int) -> None:
        await self._commit("put_finding", lambda: self.store.findings.__setitem__(finding.cause, finding))

    async def resolve_finding(self, account: int, cause: str, sentence: str, *, now_ns: int) -> None:
        def change() -> None:
            if self.store.findings.pop(cause, None) is not None:
                self.store.resolved.append((cause, sentence))

        await self._commit("resolve_finding", change)

    async def put_checked(self, account: int, checked: Checked) -> None:
        known = self.store.checked.get(checked.product)
        if known is None or known.asof_ms <= checked.asof_ms:
            await self._commit("put_checked", lambda: self.store.checked.__setitem__(checked.product, checked))

    async def checked(self, account: int) -> list[Checked]:
        return await self._commit("checked", lambda: list(self.store.checked.values()))

    async def told_since(self, account: int, since_ms: int) -> tuple[list[Fill], list[Transfer]]:
        def find() -> tuple[list[Fill], list[Transfer]]:
            names = Fill.__struct_fields__
            fills = [Fill(**{name: row[name] for name in names}) for row in self.store.rows]
            found = [fill for fill in fills if fill.exchange_ms >= since_ms]
            return found, [t for t in self.store.transfers.values() if t.exchange_ms >= since_ms]

        return await self._commit("told_since", find)

    async def open_causes(self, account: int) -> set[str]:
        return await self._commit("open_causes", lambda: set(self.store.findings))

    async def account_frame(self, account: int, kind: str) -> dict[str, Any]:
        raise NotImplementedError("frames are the database's business")
