"""The one ordered way of an account's figures into the store, and after that to the screen.

Which message class bears what: fills may be neither merged nor lost, so their queue has no bound, keeps its order and
is tried until the store has them; only then anybody is told. Balances, positions and orders are states: an older
complete answer that still waits is dropped when a newer one comes. Transfers, findings and what the key may do are few:
each is kept, in order. The account's own state: only the last one counts.

What waits here is lost if the process dies. That is no harm: the cursor of the fill history moves only in the
transaction that stores a page, so the next start reads those fills again (see ``account``).
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Any, Literal

import msgspec
import structlog

from feeds.account import KeyRights
from feeds.account_domain import Balance, Checked, Fill, Finding, Order, Position, Transfer
from feeds.account_store import AccountStore, Notify
from feeds.clock import SYSTEM, Clock

log = structlog.get_logger(__name__)

Kind = Literal["balances", "positions", "orders"]
Rows = list[dict[str, Any]]

BATCH = 500
"""Fills stored in one transaction."""

STORE_S = 1.0
"""A store that does not take something for so long makes the account STALE, whether it refuses or lets us wait; a
database that others use is free again sooner."""

REPEAT_S = 60.0
"""While the store fails, the log says so this often."""


def retry_delays() -> Iterator[float]:
    """Seconds before each further attempt to store: quick at first, a locked database is soon free again."""
    delay_s = 0.05
    while True:
        yield delay_s
        delay_s = min(2 * delay_s, 5.0)


class _Fills(msgspec.Struct):
    fills: list[Fill]
    source: str
    cursor: tuple[str, str] | None
    stored: asyncio.Future[Rows] | None


class _States(msgspec.Struct):
    rows: Sequence[Balance] | Sequence[Position] | Sequence[Order]
    recv_ns: int
    complete: str | None
    asof_ms: int | None


class Journal:
    """Writes one account's figures to the store, in order, until it has them; then notifies."""

    def __init__(
        self,
        account: int,
        store: AccountStore,
        notify: Notify,
        *,
        delays: Callable[[], Iterator[float]] = retry_delays,
        on_change: Callable[[], None] = lambda: None,
        clock: Clock = SYSTEM,
    ) -> None:
        self.failing_since_s: float | None = None
        """Monotonic; None while the store takes what it is given."""
        self.writing_since_s: float | None = None
        """Since when the store has what it was last given, monotonic; None while there is nothing to write."""
        self._account = account
        self._store = store
        self._notify = notify
        self._delays = delays
        self._on_change = on_change
        self._clock = clock
        self._log = log.bind(account=account)
        self._fills: deque[_Fills] = deque()
        self._states: dict[Kind, deque[_States]] = {"balances": deque(), "positions": deque(), "orders": deque()}
        self._rare: deque[tuple[str, Callable[[], Awaitable[None]]]] = deque()  # topic, "" for none, and what to write
        self._state: tuple[str, str, int] | None = None
        self._untold: set[str] = set()
        self._work = asyncio.Event()
        self._tell = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._tasks: list[asyncio.Task[None]] = []
        self._logged_s = 0.0

    # What to write

    def stream_fills(self, fills: list[Fill]) -> None:
        """Fills told by a stream."""
        self._put_fills(_Fills(fills, "stream", None, None))

    async def history_page(self, fills: list[Fill], cursor: tuple[str, str] | None) -> Rows:
        """A page of the REST history, with the (symbol, cursor) to keep; returns the new rows once it is stored."""
        stored: asyncio.Future[Rows] = asyncio.get_running_loop().create_future()
        self._put_fills(_Fills(fills, "rest", cursor, stored))
        return await stored

    def balances(
        self, rows: Sequence[Balance], *, recv_ns: int, complete: str | None = None, asof_ms: int | None = None
    ) -> None:
        self._put_states("balances", _States(rows, recv_ns, complete, asof_ms))

    def positions(
        self, rows: Sequence[Position], *, recv_ns: int, complete: str | None = None, asof_ms: int | None = None
    ) -> None:
        self._put_states("positions", _States(rows, recv_ns, complete, asof_ms))

    def orders(
        self, rows: Sequence[Order], *, recv_ns: int, complete: str | None = None, asof_ms: int | None = None
    ) -> None:
        self._put_states("orders", _States(rows, recv_ns, complete, asof_ms))

    def transfers(self, rows: Sequence[Transfer], *, recv_ns: int) -> None:
        self._put_rare("transfers", partial(self._store.put_transfers, self._account, rows, recv_ns=recv_ns))

    def checked(self, checked: Checked) -> None:
        """How far the balances of a product agree with what was told."""
        self._put_rare("", partial(self._store.put_checked, self._account, checked))

    def rights(self, rights: KeyRights | None) -> None:
        """What the key may do."""
        self._put_rare("", partial(self._store.put_rights, self._account, rights))

    def finding(self, finding: Finding) -> None:
        put = partial(self._store.put_finding, self._account, finding, now_ns=self._clock.now_ns())
        self._put_rare("notices", put)

    def resolved(self, cause: str, sentence: str) -> None:
        """What was found holds again."""
        put = partial(self._store.resolve_finding, self._account, cause, sentence, now_ns=self._clock.now_ns())
        self._put_rare("notices", put)

    def state(self, state: str, sentence: str, *, recv_ns: int) -> None:
        """How well the account is followed."""
        self._state = (state, sentence, recv_ns)
        self._wake()

    @property
    def waiting_fills(self) -> int:
        """Fills that are not stored yet."""
        return sum(len(batch.fills) for batch in self._fills)

    # Life

    def start(self) -> None:
        """Begin to write; idempotent."""
        if not self._tasks:
            self._tasks = [
                asyncio.create_task(self._write(), name=f"journal of account {self._account}"),
                asyncio.create_task(self._tell_all(), name=f"notices of account {self._account}"),
            ]

    async def stop(self, flush_s: float = 2.0) -> None:
        """Write what waits, for ``flush_s`` at most, and end. Idempotent."""
        tasks, self._tasks = self._tasks, []
        if not tasks:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(flush_s):
                await self._idle.wait()
        if self.waiting_fills:
            self._log.warning("fills not stored at stop; read again at the next start", fills=self.waiting_fills)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for batch in self._fills:
            if batch.stored is not None:
                batch.stored.cancel()

    # Queues

    def _put_fills(self, batch: _Fills) -> None:
        self._fills.append(batch)
        self._wake()

    def _put_states(self, kind: Kind, states: _States) -> None:
        queue = self._states[kind]
        if states.complete is not None and kind != "orders":  # an order that a dropped answer told of would be unknown
            outdated = [s for s in queue if s.complete == states.complete]
            for old in outdated:
                queue.remove(old)
        queue.append(states)
        self._wake()

    def _put_rare(self, topic: str, write: Callable[[], Awaitable[None]]) -> None:
        self._rare.append((topic, write))
        self._wake()

    def _wake(self) -> None:
        self._idle.clear()
        self._work.set()

    # Writing

    async def _write(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            while self._fills or any(self._states.values()) or self._rare or self._state:
                await self._write_fills()
                for kind in self._states:
                    await self._write_states(kind)
                    await self._write_fills()  # fills first, always
                await self._write_rare()
                await self._write_state()
            self._idle.set()

    async def _write_fills(self) -> None:
        while self._fills:
            batch = self._next_batch()
            add = partial(self._store.add_fills, self._account, batch.fills, source=batch.source, cursor=batch.cursor)
            rows = await self._durably(add)
            self._fills.popleft()
            if batch.stored is not None and not batch.stored.done():
                batch.stored.set_result(rows)
            if rows:
                self._changed("fills")

    def _next_batch(self) -> _Fills:
        """The head of the queue; neighbours from the stream are put together, up to BATCH fills."""
        head = self._fills[0]
        if head.source == "stream":
            while len(self._fills) > 1:
                following = self._fills[1]
                if following.source != "stream" or len(head.fills) + len(following.fills) > BATCH:
                    break
                head.fills = head.fills + following.fills
                del self._fills[1]
        return head

    async def _write_states(self, kind: Kind) -> None:
        queue = self._states[kind]
        put: Callable[..., Awaitable[None]] = getattr(self._store, f"put_{kind}")
        wrote = False
        while queue and not self._fills:
            states = queue.popleft()
            while states.complete is None and queue and queue[0].complete is None:
                following = queue.popleft()
                states = _States([*states.rows, *following.rows], following.recv_ns, None, None)
            told = {"recv_ns": states.recv_ns, "complete": states.complete, "asof_ms": states.asof_ms}
            await self._durably(partial(put, self._account, states.rows, **told))
            wrote = True
        if wrote:
            self._changed(kind)

    async def _write_rare(self) -> None:
        while self._rare and not self._fills:
            topic, write = self._rare.popleft()
            await self._durably(write)
            if topic:
                self._changed(topic)

    async def _write_state(self) -> None:
        if self._state is not None:
            (state, sentence, recv_ns), self._state = self._state, None
            await self._durably(partial(self._store.set_account_state, self._account, state, sentence, recv_ns=recv_ns))

    async def _durably(self, write: Callable[[], Awaitable[Any]]) -> Any:
        """Try until it is stored. Whatever the store raises is taken for its trouble, and logged."""
        delays = self._delays()
        self.writing_since_s = self._clock.monotonic_s()
        while True:
            try:
                result = await write()
            except Exception as error:
                self._failed(error)
                await asyncio.sleep(next(delays))
            else:
                began_s, self.writing_since_s = self.writing_since_s, None
                if self.failing_since_s is not None:
                    self._log.info(
                        "store recovered", after_s=round(self._clock.monotonic_s() - self.failing_since_s, 1)
                    )
                    self.failing_since_s = None
                    self._on_change()
                elif self._clock.monotonic_s() - began_s >= STORE_S:
                    self._on_change()
                return result

    def _failed(self, error: Exception) -> None:
        now_s = self._clock.monotonic_s()
        if self.failing_since_s is None:
            self.failing_since_s = now_s
            self._on_change()
        elif now_s - self._logged_s < REPEAT_S:
            return
        self._logged_s = now_s
        self._log.error("store failed", error=repr(error), waiting_fills=self.waiting_fills)

    # Telling

    def _changed(self, kind: str) -> None:
        self._untold.add(kind)
        self._tell.set()

    async def _tell_all(self) -> None:
        """Apart from the writing, so that drawing a frame never delays the next row."""
        while True:
            await self._tell.wait()
            self._tell.clear()
            untold, self._untold = self._untold, set()
            for kind in sorted(untold):
                try:
                    await self._notify(self._account, kind)
                except Exception:
                    self._log.exception("notify failed", kind=kind)  # the rows are stored: nothing is lost
