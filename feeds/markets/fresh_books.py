"""A fresh book beside the running one: compared with it, then put in its place, without a moment in between.

Where an exchange has neither checksums nor deep snapshots (LMEX: 50 levels), a book that is only led on by changes
can be wrong without a sign, and runs out of known levels when the price moves. So now and then
(``Facts.fresh_book_s``, and sooner when few known levels are left) the market is subscribed once more, on another
connection of the same route. When the fresh book's snapshot is there and both have come to the same update id, the best
levels must be the same: if they are not, the running one was wrong, which is counted and told. Either way the market
changes over to the fresh one, as it does when a connection is replaced (``arrival``), and the old subscriptions end.
The running book is in use all the time, and both connections go on: it is a market that moves, not a connection.

Where one connection is all that is allowed (``Facts.one_connection``), the exchange's own book by REST is the other
one: see ``compared_books``.

Where ids never meet (another numbering on every connection), the fresh book takes over uncompared after ``MEET_S``, at
a moment when it is not behind.
"""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import structlog

from feeds.book import BookSide, OrderBook
from feeds.clock import Clock
from feeds.domain import StreamState, Subscription
from feeds.markets.arrival import Arrival
from feeds.markets.compared_books import ComparedBooks
from feeds.markets.lane import Lane, deliver
from feeds.markets.market import MarketFeed
from feeds.sync import Need

if TYPE_CHECKING:
    from feeds.markets.venue import Venue

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


class _Fresh:
    """One under way: a market that arrives on another lane (``arrival.Host``)."""

    def __init__(self, books: "FreshBooks", feed: MarketFeed, old: Lane, new: Lane, now_s: float) -> None:
        self.venue = books.venue
        self.own_ids = books.venue.adapter.facts.ids_per_connection
        self.old = old
        self.new = new
        self.began_s = now_s
        self.ready_s: float | None = None
        self._books = books
        self.arrival = Arrival(self, feed)

    def wants(self, arrival: Arrival) -> None:
        if arrival.sync.needs is Need.RESUBSCRIBE:
            self._books.failed(arrival.feed.market.symbol, "it was dropped")

    def look_at(self, arrival: Arrival) -> None:
        self._books.settle(self)

    def on_refused(self, arrival: Arrival, subscription: Subscription, reason: str) -> bool:
        self._books.failed(arrival.feed.market.symbol, reason)
        return True


class FreshBooks:
    """All of a venue. ``every_s``: how old a book may get before it is compared; None: for ever. ``spawn`` runs a
    coroutine as a task that the venue owns."""

    def __init__(
        self,
        venue: "Venue",
        every_s: float | None,
        depth: int,
        clock: Clock,
        spawn: Callable[[Coroutine[Any, Any, None], str], None],
    ) -> None:
        self.venue = venue
        self.by_rest: ComparedBooks | None = None
        if every_s is not None and venue.adapter.facts.one_connection:
            self.by_rest = ComparedBooks(venue, every_s, clock, spawn)
        self._every_s = every_s
        self._depth = depth
        self._clock = clock
        self._under_way: dict[str, _Fresh] = {}
        self._fresh_s: dict[str, float] = {}  # by symbol: when the book was fresh (or a fresh one failed)
        self.done = 0
        self.uncompared = 0

    # -- time --------------------------------------------------------------------------------------------------------

    def tick(self, feed: MarketFeed) -> None:
        """Called for every market four times a second."""
        if self.by_rest is not None:
            self.by_rest.tick(feed)
            return
        if self._every_s is None:
            return
        symbol, now_s = feed.market.symbol, self._clock.monotonic_s()
        fresh = self._under_way.get(symbol)
        if fresh is not None:
            if self.venue.book_lane(symbol) is not fresh.old:
                self.failed(symbol, "the running book is on another connection now")
            elif not self.settle(fresh) and now_s - fresh.began_s > GIVE_UP_S:
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
        symbol = feed.market.symbol
        lane = self.venue.book_lane(symbol)
        if lane is None or lane.handover is not None:
            return  # a connection that is being replaced brings a fresh book by itself
        spare = self.venue.lane_beside(lane)
        fresh = self._under_way[symbol] = _Fresh(self, feed, lane, spare, now_s)
        carried = {s for s, other in self.venue.lane_of.items() if other is lane and s.symbol == symbol}
        fresh.arrival.subscriptions = fresh.arrival.asked = carried
        fresh.arrival.start()
        spare.coming[symbol] = fresh.arrival
        spare.add(sorted(carried, key=str))

    # -- the change --------------------------------------------------------------------------------------------------

    def settle(self, fresh: _Fresh) -> bool:
        """Change over if the books can be compared, or the running one is none, or they never will be."""
        feed, arrival, now_s = fresh.arrival.feed, fresh.arrival, self._clock.monotonic_s()
        symbol = feed.market.symbol
        if self._under_way.get(symbol) is not fresh or self.venue.book_lane(symbol) is not fresh.old:
            return False
        if not arrival.sync.ready or fresh.new.connection.state is not StreamState.LIVE:
            fresh.ready_s = None
            return False
        if fresh.ready_s is None:
            fresh.ready_s = now_s
        if not arrival.overlaps and now_s - fresh.ready_s < MEET_S:
            return False
        ours, theirs = feed.sync.book, arrival.sync.book
        if feed.sync.ready:
            if ours.seq == theirs.seq:
                if wrong := difference(ours, theirs):
                    feed.differences += 1
                    self._log(symbol, log.warning, "book differed from a fresh one", difference=wrong)
            elif now_s - fresh.ready_s < MEET_S or not arrival.in_step:
                return False
            else:
                self.uncompared += 1
                self._log(symbol, log.info, "fresh book taken uncompared", ours=ours.seq, fresh=theirs.seq)
        self._change(fresh)
        return True

    def _change(self, fresh: _Fresh) -> None:
        """Everything that the old lane carries of this market goes with its book."""
        feed, old, new = fresh.arrival.feed, fresh.old, fresh.new
        symbol = feed.market.symbol
        carried = [s for s, lane in self.venue.lane_of.items() if lane is old and s.symbol == symbol]
        self._end(symbol)
        new.connection.remove(fresh.arrival.subscriptions.difference(carried))
        new.add([s for s in carried if s not in fresh.arrival.subscriptions])
        for subscription in carried:
            self.venue.lane_of[subscription] = new
        old.gone.add(symbol)
        old.remove(carried)
        self.done += 1
        feed.change_over(
            self.venue.kinds(carried),
            new.connection.state,
            new.connection.reason,
            fresh.arrival.sync,
            fresh.arrival.book_ns,
            own_ids=fresh.own_ids,
        )
        for event, recv_ns in fresh.arrival.news():
            deliver(feed, event, recv_ns)

    def _end(self, symbol: str) -> _Fresh | None:
        fresh = self._under_way.pop(symbol, None)
        if fresh is not None:
            fresh.new.coming.pop(symbol, None)
            self._fresh_s[symbol] = self._clock.monotonic_s()
        return fresh

    def failed(self, symbol: str, reason: str) -> None:
        """The fresh book cannot be had now; the running one goes on, and the next try is at the next interval."""
        fresh = self._end(symbol)
        if fresh is not None:
            self._leave(fresh, symbol)
            self._log(symbol, log.warning, "no fresh book", reason=reason)

    def forget(self, symbol: str) -> None:
        """The market was closed."""
        if self.by_rest is not None:
            self.by_rest.forget(symbol)
        fresh = self._end(symbol)
        if fresh is not None:
            self._leave(fresh, symbol)
        self._fresh_s.pop(symbol, None)

    def _leave(self, fresh: _Fresh, symbol: str) -> None:
        others = {s for s, lane in self.venue.lane_of.items() if lane is fresh.new}
        fresh.new.remove([s for s in fresh.arrival.subscriptions if s not in others])
        if not any(s.symbol == symbol for s in others):
            fresh.new.gone.add(symbol)

    def _log(self, symbol: str, line: Callable[..., object], event: str, **values: object) -> None:
        line(event, exchange=self.venue.name, market=symbol, **values)


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
