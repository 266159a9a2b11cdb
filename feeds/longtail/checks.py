"""What REST says of the books that ccxt keeps: quiet or mute, right or wrong, and in place of a stream that fails.

A book that is watched anew is compared before it is shown as good. A silent market is compared exactly. One that moves
cannot be: the answer and the stream are of different moments. But best prices by REST were the exchange's at some
moment around the question, so they must lie within the range of those that the stream told around it. A level that
ccxt has missed, or one that it has not taken out, puts them beside it and keeps them there. So does it with the levels
behind them: most of those by REST must be in the book, and the other way round. Three answers in a row that do not
fit, and the book counts as wrong.
"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import structlog

from feeds.domain import BookSnapshot, Level
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

LEAST_LEVELS, MOST_LEVELS = 5, 20
"""So many best levels a side of a market that moves are compared, as many as the stream has."""

FITTING = 0.6
"""So many of them must be in both. The rest may have changed between the two moments."""

PROVING = 0.9
"""And of all levels of a book that is watched anew, at one of its moments: behind the best ones little changes, so one
that was built without its snapshot lacks most of them."""

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
                if check is not None:
                    self.ask(watched, silent=check == "silent")

    def ask(self, watched: Watched, *, silent: bool = False) -> None:
        """Compare this market's book with REST's, if that is not under way."""
        if watched.symbol not in self._asking:
            self._asking.add(watched.symbol)
            self._venue.spawn(self._ask(watched, silent=silent), f"check {watched.symbol}")

    def _due(self, watched: Watched) -> str | None:
        """Is a question due, and is it about a silent market or one that moves?"""
        feed, ago_s = watched.feed, self._clock.monotonic_s() - watched.checked_s
        if not watched.proven:
            if watched.present is not None:
                return "moving" if ago_s > AGAIN_S else None
            if not feed.sync.ready or not feed.book_link.state.usable:
                return None  # nothing is shown as good
        if feed.silent_s() > max(feed.stale_s * 0.6, feed.stale_s - 1.5):
            return "silent" if ago_s > feed.stale_s else None
        return "moving" if ago_s > (AGAIN_S if watched.strikes else self._venue.audit_s) else None

    async def _ask(self, watched: Watched, *, silent: bool) -> None:
        try:
            async with self._at_once:
                epoch, asked_s = watched.epoch, self._clock.monotonic_s()
                watched.checked_s = asked_s
                theirs = await self._book(watched)
            if theirs is None:
                return
            if silent:
                await self._compare(watched, theirs, epoch)
            else:
                await self._audit(watched, theirs, asked_s, epoch)
        finally:
            self._asking.discard(watched.symbol)

    async def _book(self, watched: Watched) -> BookSnapshot | None:
        """What REST tells; None if it tells nothing, or nonsense."""
        try:
            raw = await self._venue.desk.fetch_order_book(watched.symbol)
            theirs = convert.book(watched.of, raw, self._venue.depth)
        except Exception as error:  # ccxt raises errors of every kind
            self._failed(watched, error)
            return None
        if theirs.bids and theirs.asks and theirs.bids[0][0] >= theirs.asks[0][0]:
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

    async def _compare(self, watched: Watched, theirs: BookSnapshot, epoch: int) -> None:
        """A silent market: does REST tell the same best prices and sizes?"""
        feed = watched.feed
        answered_ns, deadline_s = self._clock.now_ns(), self._clock.monotonic_s() + AFTER_S
        bid, ask = best(theirs)
        while feed.sync.ready and watched.epoch == epoch and feed.data_ns <= answered_ns:
            book = feed.sync.book
            if _same(book.bid, bid) and _same(book.ask, ask):
                watched.strikes = 0
                feed.confirmed()
                return
            if self._clock.monotonic_s() > deadline_s:
                watched.mute("The exchange has newer data than ccxt's stream brought.")
                return
            await asyncio.sleep(0.05)  # what they know may be on its way to us

    async def _audit(self, watched: Watched, theirs: BookSnapshot, asked_s: float, epoch: int) -> None:
        """A market that moves, or is watched anew: does REST's book fit to the stream's?"""
        deadline_s = self._clock.monotonic_s() + AFTER_S
        while watched.epoch == epoch and watched.present is not None:
            if within(watched, best(theirs), asked_s - BEFORE_S) and self._fits(watched, theirs):
                if watched.proven:
                    watched.strikes = 0
                else:
                    watched.confirm()
                return
            if self._clock.monotonic_s() > deadline_s:
                watched.strikes += 1
                if watched.strikes >= STRIKES:
                    watched.mute(f"{STRIKES} times in a row REST told another book than ccxt's stream.")
                return
            await asyncio.sleep(0.05)

    def _fits(self, watched: Watched, theirs: BookSnapshot) -> bool:
        if watched.proven:
            return watched.present is not None and fits(watched.present, theirs, MOST_LEVELS, FITTING)
        return any(fits(moment, theirs, self._venue.depth, PROVING) for moment in watched.moments)

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
        except Exception as error:  # ccxt raises errors of every kind
            self._failed(watched, error)
        else:
            self._works(watched)


def best(book: BookSnapshot) -> Best:
    return (book.bids[0] if book.bids else None), (book.asks[0] if book.asks else None)


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


def fits(ours: BookSnapshot, theirs: BookSnapshot, most: int, share: float) -> bool:
    """Is this share of REST's best ``most`` levels a side in our book, and of ours within their range in REST's? By
    price: sizes change too often."""
    pairs = ((ours.bids, theirs.bids, 1), (ours.asks, theirs.asks, -1))
    return all(_side_fits(mine, other, sign, most, share) for mine, other, sign in pairs)


def _side_fits(mine: Sequence[Level], other: Sequence[Level], sign: int, most: int, share: float) -> bool:
    top = [price for price, size in other if size][: min(most, max(LEAST_LEVELS, len(mine)))]
    if not top or not mine:
        return not top and not mine
    near = {price for price, size in mine if size and sign * price >= sign * top[-1]}
    return len(near.intersection(top)) >= share * max(len(near), len(top))
