"""A fresh book beside the running one: compared with it, then put in its place, without a moment in between.

Where an exchange has neither checksums nor deep snapshots (LMEX: 50 levels), a book that is only led on by changes
can be wrong without a sign, and runs out of known levels when the price moves. So now and then (``Facts.renew_s``, and
sooner when few known levels are left) the book is subscribed once more, on another connection of the same route. When
its snapshot is there and both have come to the same update id, the best levels must be the same: if they are not,
the running one was wrong, which is counted and told. Either way the fresh book takes over, and the old subscription
ends. The running book is in use all the time.

Where ids never meet (another numbering on every connection), the fresh book takes over uncompared after ``MEET_S``.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog
from msgspec import Struct

from feeds.book import BookSide, OrderBook
from feeds.clock import Clock
from feeds.domain import BookDelta, BookSnapshot, Channel, StreamState, Subscription
from feeds.errors import SyncError
from feeds.market import MarketFeed
from feeds.sync import BookSync

if TYPE_CHECKING:
    from feeds.venue import Lane, Venue

log = structlog.get_logger(__name__)

COMPARED = 50
"""Levels a side that are compared, at most."""
MEET_S = 5.0
GIVE_UP_S = 15.0
"""A fresh book that is not there by then is tried again later."""
AT_ONCE = 4
THIN_GAP_S = 0.3
"""A book that is thin is renewed no more often than this."""
SPARE = 5
"""A side is thin when it has no more than so many known levels beyond those that are shown."""


class _Renewal(Struct):
    """One under way."""

    lane: "Lane"
    sync: BookSync
    began_s: float
    ready_s: float | None = None


class Renewals:
    """All of a venue. ``every_s``: how old a book may get before it is compared; None: for ever."""

    def __init__(self, venue: "Venue", every_s: float | None, depth: int, clock: Clock) -> None:
        self._venue = venue
        self._every_s = every_s
        self._depth = depth
        self._clock = clock
        self._under_way: dict[str, _Renewal] = {}
        self._fresh_s: dict[str, float] = {}  # by symbol: when the book was fresh (or a renewal of it failed)
        self.done = 0
        self.uncompared = 0

    # -- time --------------------------------------------------------------------------------------------------------

    def tick(self, feed: MarketFeed) -> None:
        """Called for every market four times a second."""
        if self._every_s is None:
            return
        symbol, now_s = feed.market.symbol, self._clock.monotonic_s()
        renewal = self._under_way.get(symbol)
        if renewal is not None:
            if not self._settle(feed, renewal) and now_s - renewal.began_s > GIVE_UP_S:
                self.failed(symbol, f"no fresh book within {GIVE_UP_S:g} s")
            return
        if not feed.sync.ready or feed.state not in (StreamState.LIVE, StreamState.QUIET):
            self._fresh_s.pop(symbol, None)
            return
        age_s = now_s - self._fresh_s.setdefault(symbol, now_s)
        due = age_s > self._every_s or (age_s > THIN_GAP_S and self._thin(feed))
        if due and len(self._under_way) < AT_ONCE:
            self._begin(feed, now_s)

    def _thin(self, feed: MarketFeed) -> bool:
        """A snapshot of 50 levels cannot make a book that shows more less thin: half of it is enough then."""
        book = feed.sync.book
        least = min(self._depth + SPARE, COMPARED // 2 + SPARE)
        return any(side.bound is not None and len(side.levels) < least for side in (book.bids, book.asks))

    def _begin(self, feed: MarketFeed, now_s: float) -> None:
        lane = self._venue.book_lane(feed.market.symbol)
        if lane is None:
            return
        sync = BookSync(from_rest=False, truncates=feed.sync.truncates)
        sync.start()
        others = (other for other in self._venue.lanes if other.route == lane.route and other is not lane)
        spare = next(others, None) or self._venue.open_lane(lane.route)
        self._under_way[feed.market.symbol] = _Renewal(spare, sync, now_s)
        spare.connection.add([_book(feed.market.symbol)])

    # -- what comes --------------------------------------------------------------------------------------------------

    def diverts(self, lane: "Lane", feed: MarketFeed, event: BookSnapshot | BookDelta, recv_ns: int) -> bool:
        """Is this book event not for the running book: of the fresh one, or of a connection that carries it no more?"""
        if self._every_s is None:
            return False
        symbol = event.symbol
        running = self._venue.book_lane(symbol) is lane
        renewal = self._under_way.get(symbol)
        if renewal is None:
            return not running
        if self._settle(feed, renewal, recv_ns):
            running = self._venue.book_lane(symbol) is lane
            return not running
        if running:
            return False
        if renewal.lane is lane:
            try:
                self._take(renewal.sync, event)
            except SyncError as error:
                self.failed(symbol, str(error))
            else:
                self._settle(feed, renewal, recv_ns)
        return True

    @staticmethod
    def _take(sync: BookSync, event: BookSnapshot | BookDelta) -> None:
        if isinstance(event, BookSnapshot):
            sync.take_snapshot(event)
        else:
            sync.take_delta(event)

    def _settle(self, feed: MarketFeed, renewal: _Renewal, recv_ns: int | None = None) -> bool:
        """Hand over if the books can be compared, or the running one is none, or they never will be."""
        now_s = self._clock.monotonic_s()
        if not renewal.sync.ready or renewal.lane.connection.state is not StreamState.LIVE:
            renewal.ready_s = None
            return False
        if renewal.ready_s is None:
            renewal.ready_s = now_s
        ours, fresh = feed.sync.book, renewal.sync.book
        if feed.sync.ready:
            if ours.seq == fresh.seq:
                if wrong := difference(ours, fresh):
                    feed.differences += 1
                    self._log(feed.market.symbol, log.warning, "book differed from a fresh one", difference=wrong)
            elif now_s - renewal.ready_s < MEET_S:
                return False
            else:
                self.uncompared += 1
                self._log(feed.market.symbol, log.info, "book renewed uncompared", ours=ours.seq, fresh=fresh.seq)
        self._hand_over(feed, renewal, recv_ns or self._clock.now_ns())
        return True

    def _hand_over(self, feed: MarketFeed, renewal: _Renewal, recv_ns: int) -> None:
        symbol = feed.market.symbol
        del self._under_way[symbol]
        self._fresh_s[symbol] = self._clock.monotonic_s()
        self.done += 1
        self._venue.move(_book(symbol), renewal.lane)
        feed.renewed(renewal.sync.book, recv_ns)
        feed.on_link("book", renewal.lane.connection.state, renewal.lane.connection.reason)

    def failed(self, symbol: str, reason: str) -> None:
        """The fresh book cannot be had now; the running one goes on, and the next try is at the next interval."""
        renewal = self._under_way.pop(symbol, None)
        if renewal is not None:
            renewal.lane.connection.remove([_book(symbol)])
            self._fresh_s[symbol] = self._clock.monotonic_s()
            self._log(symbol, log.warning, "book not renewed", reason=reason)

    def forget(self, symbol: str) -> None:
        """The market was closed."""
        renewal = self._under_way.pop(symbol, None)
        if renewal is not None:
            renewal.lane.connection.remove([_book(symbol)])
        self._fresh_s.pop(symbol, None)

    def _log(self, symbol: str, line: Callable[..., object], event: str, **values: object) -> None:
        line(event, exchange=self._venue.name, market=symbol, **values)


def _book(symbol: str) -> Subscription:
    return Subscription(channel=Channel.BOOK, symbol=symbol)


def difference(ours: OrderBook, fresh: OrderBook) -> str:
    """The first level at which two books of the same moment differ, as far as both are known; "" if none does."""
    for name, mine, theirs in (("bids", ours.bids, fresh.bids), ("asks", ours.asks, fresh.asks)):
        left, right = mine.top(COMPARED), theirs.top(COMPARED)
        if not _whole(mine) or not _whole(theirs):
            count = min(len(left), len(right))
            left, right = left[:count], right[:count]
        for number in range(max(len(left), len(right))):
            one, other = left[number : number + 1], right[number : number + 1]
            if one != other:
                return f"{name}[{number}] was {one}, is {other}"
    return ""


def _whole(side: BookSide) -> bool:
    return side.bound is None
