"""What REST says of the books that ccxt keeps: quiet or mute, right or wrong, and in place of a stream that fails.

A silent market is compared exactly. One that moves cannot be: the answer and the stream are of different moments. But
best prices by REST were the exchange's at some moment around the question, so they must lie within the range of those
that the stream told around it. A level that ccxt has missed, or one that it has not taken out, puts them beside it and
keeps them there: three times in a row, and the book counts as wrong.
"""

import asyncio
from typing import TYPE_CHECKING, Any

import structlog

from feeds.domain import Level
from feeds.errors import SyncError
from feeds.longtail import convert
from feeds.longtail.library import trouble_of
from feeds.longtail.watched import Watched

if TYPE_CHECKING:
    from feeds.longtail.venue import LongTail

log = structlog.get_logger(__name__)

AUDIT_S = 15.0
"""How often the book of a market that moves is compared, at least."""

AGAIN_S = 2.0
"""And after an answer that did not fit."""

STRIKES = 3

BEFORE_S = 3.0
"""An answer of REST may be from a cache, and so much older than the question."""

AFTER_S = 1.0
"""What REST knows may be so long on its way to us by stream."""

SAME = 1e-9
"""Relative: sizes of contracts are products of floats."""

AT_ONCE = 4

Best = tuple[Level | None, Level | None]


class Checks:
    """Of one exchange's markets. Every question goes through ccxt's own limiter."""

    def __init__(self, venue: "LongTail") -> None:
        self._venue = venue
        self._clock = venue.clock
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._asking: set[str] = set()
        self._failing: set[str] = set()  # symbols whose question failed, as the log knows

    # -- quiet or mute, right or wrong -------------------------------------------------------------------------------

    async def watch(self) -> None:
        """Look at every market four times a second."""
        while True:
            await asyncio.sleep(0.25)
            for watched in list(self._venue.watched.values()):
                watched.tick()
                check = self._due(watched)
                if check is not None and watched.symbol not in self._asking:
                    self._asking.add(watched.symbol)
                    self._venue.spawn(self._ask(watched, silent=check == "silent"), f"check {watched.symbol}")

    def _due(self, watched: Watched) -> str | None:
        """Is a question due, and is it about a silent market or one that moves?"""
        feed = watched.feed
        if not feed.sync.ready or not feed.book_link.state.usable:
            return None
        ago_s = self._clock.monotonic_s() - watched.checked_s
        if feed.silent_s() > max(feed.stale_s * 0.6, feed.stale_s - 1.5):
            return "silent" if ago_s > feed.stale_s else None
        return "moving" if ago_s > (AGAIN_S if watched.strikes else self._venue.audit_s) else None

    async def _ask(self, watched: Watched, *, silent: bool) -> None:
        try:
            async with self._at_once:
                generation, asked_s = watched.feed.generation, self._clock.monotonic_s()
                watched.checked_s = asked_s
                theirs = await self._best(watched)
            if theirs is None:
                return
            if silent:
                await self._compare(watched, theirs, generation)
            else:
                await self._audit(watched, theirs, asked_s, generation)
        finally:
            self._asking.discard(watched.symbol)

    async def _best(self, watched: Watched) -> Best | None:
        """What REST tells; None if it tells nothing, or nonsense."""
        try:
            theirs = convert.best(watched.of, await self._venue.desk.fetch_order_book(watched.symbol))
        except Exception as error:
            self._failed(watched, error)
            return None
        bid, ask = theirs
        if bid is not None and ask is not None and bid[0] >= ask[0]:
            return None
        self._works(watched)
        return theirs

    def _failed(self, watched: Watched, error: Exception) -> None:
        if watched.symbol not in self._failing:
            self._failing.add(watched.symbol)
            sentence = trouble_of(error).sentence
            log.warning("book not told by REST", exchange=self._venue.name, market=watched.symbol, reason=sentence)

    def _works(self, watched: Watched) -> None:
        if watched.symbol in self._failing:
            self._failing.discard(watched.symbol)
            log.info("book told by REST again", exchange=self._venue.name, market=watched.symbol)

    async def _compare(self, watched: Watched, theirs: Best, generation: int) -> None:
        """A silent market: does REST tell the same best prices and sizes?"""
        feed = watched.feed
        answered_ns, deadline_s = self._clock.now_ns(), self._clock.monotonic_s() + AFTER_S
        while feed.sync.ready and feed.generation == generation and feed.data_ns <= answered_ns:
            book = feed.sync.book
            if _same(book.bid, theirs[0]) and _same(book.ask, theirs[1]):
                watched.strikes = 0
                feed.confirmed()
                return
            if self._clock.monotonic_s() > deadline_s:
                watched.mute("The exchange has newer data than ccxt's stream brought.")
                return
            await asyncio.sleep(0.05)  # what they know may be on its way to us

    async def _audit(self, watched: Watched, theirs: Best, asked_s: float, generation: int) -> None:
        """A market that moves: do the best prices by REST lie within those of the stream?"""
        feed = watched.feed
        deadline_s = self._clock.monotonic_s() + AFTER_S
        while feed.sync.ready and feed.generation == generation:
            if within(watched, theirs, asked_s - BEFORE_S):
                watched.strikes = 0
                return
            if self._clock.monotonic_s() > deadline_s:
                watched.strikes += 1
                if watched.strikes >= STRIKES:
                    watched.mute(f"{STRIKES} times in a row REST told other best prices than ccxt's stream.")
                return
            await asyncio.sleep(0.05)

    # -- in place of the stream --------------------------------------------------------------------------------------

    async def poll(self) -> None:
        """Ask for the books of markets whose stream keeps failing, one after the other, and show them as POLLED."""
        config = self._venue.config
        while True:
            await asyncio.sleep(0.1)
            failing = [watched for watched in self._venue.watched.values() if self._keeps_failing(watched)]
            if not failing or not config.poll_s:
                continue
            every_s = max(config.poll_s, 2 * len(failing) * self._venue.desk.rateLimit / 1000)
            longest = min(failing, key=lambda watched: watched.polled_s)
            if self._clock.monotonic_s() - longest.polled_s >= every_s:
                longest.polled_s = self._clock.monotonic_s()
                await self._poll(longest, every_s)

    def _keeps_failing(self, watched: Watched) -> bool:
        config, missing_s = self._venue.config, watched.feed.unstreamed_s()
        attempts = max(watched.failures, watched.recent_moves())
        return missing_s >= config.poll_after_s or (missing_s > 1.0 and attempts >= config.poll_attempts)

    async def _poll(self, watched: Watched, every_s: float) -> None:
        asof_ns = self._clock.now_ns()
        try:
            raw = await self._venue.desk.fetch_order_book(watched.symbol)
            snapshot = convert.book(watched.of, raw, self._venue.depth)
            watched.feed.on_polled(snapshot, asof_ns, self._clock.now_ns(), every_s)
        except SyncError as error:
            log.info("book by REST not taken", exchange=self._venue.name, market=watched.symbol, error=str(error))
        except Exception as error:
            self._failed(watched, error)
        else:
            self._works(watched)


def _same(ours: Level | None, theirs: Level | None) -> bool:
    if ours is None or theirs is None:
        return ours is theirs
    return ours[0] == theirs[0] and abs(ours[1] - theirs[1]) <= SAME * max(ours[1], theirs[1])


def within(watched: Watched, theirs: Best, since_s: float) -> bool:
    """Do both prices lie within the range of those that the stream told since then, and had told last before?"""
    told: list[Any] = []
    for row in reversed(watched.bests):
        told.append(row)
        if row[0] < since_s:
            break
    for place, level in enumerate(theirs, 1):
        prices = [row[place] for row in told if row[place] is not None]
        absent = any(row[place] is None for row in told)
        if level is None:
            if not absent:
                return False
        elif not prices or not min(prices) <= level[0] <= max(prices):
            return False
    return True
