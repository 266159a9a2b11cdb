"""A running book held against the exchange's own by REST, where no second connection may stand beside it.

For exchanges whose changes have neither numbers nor checksums, and that allow one connection (``Facts.one_connection``;
where more are allowed, ``fresh_books`` compares on another one). A busy market is never silent, so nothing else asks.

Two books of a market that moves are never of one moment. So not books are compared but levels: one is wrong if it stood
unchanged in ours from before the question until a while after the answer, the answer is not older than our book was,
and has another size there. That has to be found twice, the same: then the book is dropped and built anew.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog

from feeds.clock import Clock
from feeds.domain import Level, StreamState
from feeds.errors import FeedError
from feeds.markets.market import MarketFeed

if TYPE_CHECKING:
    from feeds.markets.venue import Venue

log = structlog.get_logger(__name__)

COMPARED = 50
"""Levels a side, the best ones of the answer."""
SETTLE_S = 1.0
"""Changes that the answer knows, and that are on their way to us, come within this time."""
AT_ONCE = 4
MOST = 40
"""Books that are compared once in that time; with more of them it takes longer: REST is scarce."""
AGAIN_S = 10.0
"""After an answer that says nothing."""
MOST_DOUBLINGS = 6


class Wrong(NamedTuple):
    """A level that differs."""

    side: str
    price: float
    ours: float
    theirs: float


class ComparedBooks:
    """All of a venue. ``every_s``: how often each book is compared. A book that was built anew and differs again is
    compared half as often each time: the exchange's answers are then not what its stream tells."""

    def __init__(
        self,
        venue: "Venue",
        every_s: float,
        clock: Clock,
        spawn: Callable[[Coroutine[Any, Any, None], str], None],
    ) -> None:
        self._venue = venue
        self._every_s = every_s
        self._clock = clock
        self._spawn = spawn
        self._due_s: dict[str, float] = {}  # by symbol
        self._asking: set[str] = set()
        self._vain: dict[str, int] = {}  # by symbol: how often the book was found wrong, one time after the other
        self._unanswered = False
        self.done = 0

    def tick(self, feed: MarketFeed) -> None:
        """Called for every market four times a second."""
        symbol, now_s = feed.market.symbol, self._clock.monotonic_s()
        if not feed.market.book or not feed.sync.ready or feed.state not in (StreamState.LIVE, StreamState.QUIET):
            self._due_s.pop(symbol, None)
            return
        if symbol not in self._due_s:
            self._due_s[symbol] = now_s + self._pause_s(symbol) * random.uniform(0.7, 1.0)
        if now_s >= self._due_s[symbol] and symbol not in self._asking and len(self._asking) < AT_ONCE:
            self._asking.add(symbol)
            self._spawn(self._compare(feed), f"compare {symbol}")

    def forget(self, symbol: str) -> None:
        """The market was closed."""
        self._due_s.pop(symbol, None)
        self._vain.pop(symbol, None)

    def _pause_s(self, symbol: str) -> float:
        every_s = self._every_s * max(1.0, len(self._venue.feeds) / MOST)
        return every_s * float(1 << min(self._vain.get(symbol, 0), MOST_DOUBLINGS))

    async def _compare(self, feed: MarketFeed) -> None:
        symbol = feed.market.symbol
        pause_s = AGAIN_S
        try:
            wrong = await self._differing(feed)
            if wrong:
                again = await self._differing(feed)
                wrong = None if again is None else wrong & again
            if wrong is not None:
                self.done += 1
                if wrong:
                    self._found(feed, wrong)
                else:
                    self._vain.pop(symbol, None)
                pause_s = self._pause_s(symbol)
            if self._unanswered:
                self._unanswered = False
                log.info("books are compared again", exchange=self._venue.name)
        except FeedError as error:
            if not self._unanswered:
                self._unanswered = True
                log.warning("book not compared", exchange=self._venue.name, market=symbol, error=str(error))
        finally:
            self._asking.discard(symbol)
            if symbol in self._due_s:
                self._due_s[symbol] = self._clock.monotonic_s() + min(pause_s, self._pause_s(symbol))

    async def _differing(self, feed: MarketFeed) -> frozenset[Wrong] | None:
        """Levels that are wrong in our book; None if nobody can tell. Raises FeedError."""
        book, generation = feed.sync.book, feed.generation
        before = {"bids": dict(book.bids.levels), "asks": dict(book.asks.levels)}
        at_ms = book.exchange_ms
        theirs, _ = await self._venue.keeper.snapshot(feed.market)
        if at_ms is None or theirs.exchange_ms is None or theirs.exchange_ms < at_ms:
            return None
        await asyncio.sleep(SETTLE_S)
        book = feed.sync.book
        if feed.generation != generation or not book.ready or book.exchange_ms is None:
            return None
        if book.exchange_ms < theirs.exchange_ms and feed.silent_s() < SETTLE_S:
            return None  # the stream goes on, and has not come so far yet
        return frozenset(
            (
                *_wrong("bids", -1, before["bids"], book.bids.levels, theirs.bids),
                *_wrong("asks", +1, before["asks"], book.asks.levels, theirs.asks),
            )
        )

    def _found(self, feed: MarketFeed, wrong: frozenset[Wrong]) -> None:
        symbol = feed.market.symbol
        feed.differences += 1
        self._vain[symbol] = self._vain.get(symbol, 0) + 1
        log.warning(
            "book differed from the exchange's own",
            exchange=self._venue.name,
            market=symbol,
            levels=len(wrong),
            first=min(wrong),
        )
        feed.on_lost("The exchange's own book showed ours to be wrong; it is being rebuilt.")


def _wrong(
    side: str, sign: int, before: Mapping[float, float], after: Mapping[float, float], told: Iterable[Level]
) -> list[Wrong]:
    """``told`` is the whole side; beyond its best levels nothing is compared."""
    best = sorted(((price, size) for price, size in told if size), key=lambda level: sign * level[0])
    theirs = dict(best[:COMPARED])
    edge = sign * best[COMPARED - 1][0] if len(best) > COMPARED else float("inf")
    prices = theirs.keys() | {price for price in before if sign * price <= edge}
    found = []
    for price in prices:
        ours = before.get(price, 0.0)
        if after.get(price, 0.0) == ours != theirs.get(price, 0.0):
            found.append(Wrong(side, price, ours, theirs.get(price, 0.0)))
    return found
