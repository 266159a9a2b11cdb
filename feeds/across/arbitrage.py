"""Arbitrage events: a pair of a matrix whose net spread stays at or above a threshold for a while.

:class:`Watch` sees every pair as the matrices compute it and decides what is an event. :class:`Recorder` brings events
into the store and shows what the store says afterwards: nothing is shown that is not stored. A store that fails is
asked again until it works; an event is one object that is brought up to date, so nothing piles up meanwhile.

An event of a worker that was killed has no end in the store. The next start closes it at the moment when it was last
seen open, with that reason.
"""

import asyncio
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Protocol

import msgspec
import structlog

from feeds.across.fees import Fee
from feeds.across.pairs import Pair
from feeds.clock import Clock
from feeds.publisher import Picture
from feeds.topics import ARBITRAGE

log = structlog.get_logger(__name__)

ABANDONED = "The worker ended without a word; it was last seen open then."
STOPPED = "The worker stopped."
UPDATE_S = 1.0
RETRY_S = 1.0
SHOWN = 50

LOWEST_BPS, HIGHEST_BPS = Decimal(-1000), Decimal(10_000)
LONGEST_S = 3600.0
"""What a threshold may be."""


class Threshold(msgspec.Struct, frozen=True, kw_only=True):
    """What makes an event. ``source`` is "user", "file" or "default"."""

    bps: Decimal = Decimal(5)
    duration_s: float = 1.0
    oldest_s: float = 1.0  # legs whose books may be older (POLLED, SLOW) make none; only in the file
    source: str = "default"


class Event(msgspec.Struct, kw_only=True):
    """One event; times are ours, nanoseconds. ``key`` names it before the store has given it a number."""

    key: str
    symbol: str
    quote: str
    size: Decimal
    fees: str
    buy_exchange: str
    buy_symbol: str
    sell_exchange: str
    sell_symbol: str
    threshold_bps: Decimal
    started_ns: int
    first_bps: Decimal
    largest_bps: Decimal
    largest_net: Decimal
    largest_ns: int
    seen_ns: int
    ended_ns: int | None = None
    reason: str = ""


class AcrossStore(Protocol):
    """Where events, fees and the threshold are kept. Every call may be made twice with the same content."""

    async def put_event(self, event: Event) -> None:
        """Store the event under its key, or bring it up to date."""

    async def close_abandoned(self, reason: str) -> int:
        """End every event that has no end, at the moment it was last seen; how many."""

    async def newest_events(self, ended: int) -> list[dict[str, Any]]:
        """All open ones and the ``ended`` ones that ended last, as docs/protocol.md section 2.9 shows them."""

    async def user_fees(self) -> Mapping[tuple[str, str], Fee]: ...

    async def user_threshold(self) -> Threshold | None: ...


class Watch:
    """``feeds.across.matrix.Judge``: pairs above the threshold become events once they have been so for ``duration_s``,
    while both legs' books (and their rates') are no older than ``oldest_s``.

    ``report`` is told of every event that begins, gets a new largest net, or ends.
    """

    def __init__(self, threshold: Threshold, report: Callable[[Event], None], clock: Clock) -> None:
        self.settings = threshold
        self.threshold = threshold.bps
        self._report = report
        self._started = clock.now_ns()
        self._count = 0
        self._since: dict[
            Pair, tuple[int, Decimal, Decimal, Decimal, int]
        ] = {}  # since, first, largest bps, its net, when
        self._events: dict[Pair, Event] = {}

    def set(self, threshold: Threshold) -> None:
        """New settings. The matrices must begin anew: see ``Matrix.new_fees``."""
        self.settings = threshold
        self.threshold = threshold.bps

    def above(self, pair: Pair, now_ns: int) -> None:
        if old := self._too_old(pair):
            self.below(pair, old, now_ns)
            return
        bps, net = pair.bps, pair.net
        assert bps is not None
        event = self._events.get(pair)
        if event is not None:
            event.seen_ns = now_ns
            if bps > event.largest_bps:
                event.largest_bps, event.largest_net, event.largest_ns = bps, net, now_ns
            self._report(event)
            return
        since, first, largest, largest_net, largest_ns = self._since.get(pair, (now_ns, bps, bps, net, now_ns))
        if bps > largest:
            largest, largest_net, largest_ns = bps, net, now_ns
        self._since[pair] = since, first, largest, largest_net, largest_ns
        if now_ns - since >= self.settings.duration_s * 1e9:
            self._begin(pair, now_ns)

    def _too_old(self, pair: Pair) -> str:
        """Why it cannot be said that this spread is there now; "" if it can."""
        source = max((pair.buy.leg.oldest, pair.sell.leg.oldest), key=lambda source: source.late_s)
        if source.late_s <= self.settings.oldest_s:
            return ""
        return (
            f"A leg grew old: {source.name} is {source.state}, its book may be older than {self.settings.oldest_s:g} s."
        )

    def _begin(self, pair: Pair, now_ns: int) -> None:
        since, first, largest, largest_net, largest_ns = self._since.pop(pair)
        self._count += 1
        matrix, buy, sell = pair.matrix, pair.buy.leg.market, pair.sell.leg.market
        event = Event(
            key=f"{self._started}-{self._count}",
            symbol=matrix.symbol,
            quote=matrix.quote,
            size=matrix.size,
            fees=matrix.charged,
            buy_exchange=buy.exchange,
            buy_symbol=buy.symbol,
            sell_exchange=sell.exchange,
            sell_symbol=sell.symbol,
            threshold_bps=self.settings.bps,
            started_ns=since,
            first_bps=first,
            largest_bps=largest,
            largest_net=largest_net,
            largest_ns=largest_ns,
            seen_ns=now_ns,
        )
        self._events[pair] = event
        self._report(event)

    def below(self, pair: Pair, reason: str, now_ns: int) -> None:
        self._since.pop(pair, None)
        event = self._events.pop(pair, None)
        if event is not None:
            event.seen_ns = event.ended_ns = now_ns
            event.reason = reason
            self._report(event)


class Recorder:
    """Writes events, and draws the ``arbitrage`` topic from what is stored. ``changed`` is called with its name."""

    def __init__(self, store: AcrossStore, changed: Callable[[str], None], clock: Clock) -> None:
        self._store = store
        self._changed = changed
        self._clock = clock
        self._dirty: dict[str, Event] = {}
        self._known: set[str] = set()  # stored and open
        self._urgent = asyncio.Event()
        self._rows: list[dict[str, Any]] | None = None
        self._read_ns = 0
        self._task: asyncio.Task[None] | None = None
        self._failed = False

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="arbitrage events")

    async def stop(self) -> None:
        """Write what is left, if the store takes it now; what it does not take the next start closes. Idempotent."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        try:
            async with asyncio.timeout(2.0):
                await self._write()
        except Exception as error:  # whatever the store raises: the next start closes what is left open, and says so
            log.error("arbitrage events not closed", events=len(self._dirty), error=str(error))

    def report(self, event: Event) -> None:
        """Something about this event is new. Beginnings and ends are written at once, what is between once a second."""
        self._dirty[event.key] = event
        if event.key not in self._known or event.ended_ns is not None:
            self._urgent.set()

    def draw(self, threshold: Threshold) -> Picture | None:
        """The topic's picture; None until the store was read."""
        if self._rows is None:
            return None
        now_ms = self._clock.now_ns() // 1_000_000
        rows = [row | {"lasted_ms": max(0, now_ms - row["started_ms"])} if row["open"] else row for row in self._rows]
        data = {"threshold_bps": f"{threshold.bps.normalize():f}", "duration_s": threshold.duration_s}
        return Picture(recv_ns=self._read_ns, data=data | {"events": rows})

    # -- the store ---------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        await self._insist(self._begin)
        while True:
            try:
                async with asyncio.timeout(UPDATE_S):
                    await self._urgent.wait()
            except TimeoutError:
                pass
            self._urgent.clear()
            if self._dirty:
                await self._insist(self._write)

    async def _begin(self) -> None:
        closed = await self._store.close_abandoned(ABANDONED)
        if closed:
            log.warning("arbitrage events of a worker that was killed closed", events=closed)
        await self._read()

    async def _insist(self, work: Callable[[], Any]) -> None:
        """Until it works; said once when it breaks and once when it works again."""
        while True:
            try:
                await work()
            except Exception as error:  # whatever the store raises (feeds knows no database): nothing is given up
                if not self._failed:
                    log.error("arbitrage events not stored", waiting=len(self._dirty), error=str(error))
                self._failed = True
                await asyncio.sleep(RETRY_S)
                continue
            if self._failed:
                log.info("arbitrage events stored again")
            self._failed = False
            return

    async def _write(self) -> None:
        for key in list(self._dirty):
            event = self._dirty[key]
            as_now = msgspec.structs.replace(event)
            await self._store.put_event(as_now)
            if as_now == event:
                del self._dirty[key]
            if as_now.ended_ns is None:
                self._known.add(key)
            else:
                self._known.discard(key)
        await self._read()

    async def _read(self) -> None:
        read_ns = self._clock.now_ns()
        self._rows = await self._store.newest_events(SHOWN)
        self._read_ns = read_ns
        self._changed(ARBITRAGE)
