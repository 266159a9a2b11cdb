"""Books by REST for markets whose stream keeps failing.

A market falls back when it has had no live book for ``poll_after_s`` seconds, or when ``poll_attempts`` attempts to
connect failed in a row, or as many rebuilds within a minute did not last. Then its snapshot is asked for every
``poll_s`` seconds and shown as POLLED, until its stream is live again; the stream is tried all the while.

Snapshots are dear. Where many markets fail at once, each is asked for so much more rarely that all of them together use
half of what ordinary requests may; the reason on the screen tells how often. An answer that is older than three
intervals (``polled.OLD_AFTER``) is shown no longer.
"""

import asyncio
from typing import TYPE_CHECKING

import structlog

from feeds.clock import Clock
from feeds.domain import BookSnapshot, Channel, Subscription
from feeds.errors import FeedError
from feeds.markets.market import MarketFeed

if TYPE_CHECKING:
    from feeds.markets.venue import Venue

log = structlog.get_logger(__name__)

TICK_S = 0.1

REFUSED_S = 300.0
"""A refused book is asked for again this often: the refusal may have been of that moment."""

REMEMBERED_S = 60.0
"""An answer older than what the stream has shown comes from a cache; after this long the ids may have begun anew."""


class Fallback:
    """Polls one venue's failing markets, one after the other within each product."""

    def __init__(self, venue: "Venue", clock: Clock) -> None:
        self._venue = venue
        self._clock = clock
        self._asked_s: dict[str, float] = {}  # symbol -> when its snapshot was asked for last
        self._retried_s: dict[str, float] = {}  # symbol -> when a refused book was asked for again
        self._failed: set[str] = set()  # symbols whose polling fails, as the log knows

    async def watch(self, product: str) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            failing = [f for f in self._venue.feeds.values() if f.market.product == product and self._failing(f)]
            if not failing:
                continue
            self._retry_refused(failing)
            every_s, now_s = self.every_s(failing), self._clock.monotonic_s()
            if not every_s:
                continue
            longest = min(failing, key=lambda feed: self._asked_s.get(feed.market.symbol, 0.0))
            if now_s - self._asked_s.get(longest.market.symbol, float("-inf")) >= every_s:
                self._asked_s[longest.market.symbol] = now_s
                await self._poll(longest, every_s)

    def _failing(self, feed: MarketFeed) -> bool:
        """Has this market been without its stream for long enough?"""
        config, symbol = self._venue.config, feed.market.symbol
        missing_s = feed.unstreamed_s()
        if missing_s <= 1.0:  # evaluated four times a second
            self._asked_s.pop(symbol, None)
            return False
        lane = self._venue.book_lane(symbol)
        attempts = max(self._venue.keeper.rebuilds(symbol), lane.connection.failed if lane is not None else 0)
        return missing_s >= config.poll_after_s or attempts >= config.poll_attempts

    def every_s(self, failing: list[MarketFeed]) -> float:
        """Seconds between two answers of one market: as configured, or as the budget allows; 0: never."""
        venue = self._venue
        if not venue.config.poll_s:
            return 0.0
        product = failing[0].market.product
        weight = sum(venue.adapter.snapshot_request(feed.market).weight for feed in failing)
        per_s = venue.rest.usage()[product]["allowed"] / venue.adapter.budgets()[product].per_s
        return max(venue.config.poll_s, weight / (per_s / 2))

    async def _poll(self, feed: MarketFeed, every_s: float) -> None:
        venue, symbol = self._venue, feed.market.symbol
        try:
            answer = await venue.rest.send(venue.adapter.snapshot_request(feed.market))
            snapshot = venue.adapter.parse_snapshot(feed.market, answer.raw)
            if venue.feeds.get(symbol) is not feed or self._cached(feed, snapshot):
                return
            feed.on_polled(snapshot, answer.sent_ns, answer.recv_ns, every_s)
        except FeedError as error:
            if symbol not in self._failed:
                self._failed.add(symbol)
                log.warning("polling fails", exchange=venue.name, market=symbol, error=str(error))
            return
        if symbol in self._failed:
            self._failed.discard(symbol)
            log.info("polling works again", exchange=venue.name, market=symbol)

    def _cached(self, feed: MarketFeed, snapshot: BookSnapshot) -> bool:
        """Is the answer older than what was shown?"""
        if snapshot.seq is None or self._venue.adapter.facts.ids_per_connection:
            return False
        shown = [feed.polled.book.seq, feed.streamed_seq if feed.unstreamed_s() < REMEMBERED_S else None]
        return any(seq is not None and snapshot.seq < seq for seq in shown)

    def _retry_refused(self, failing: list[MarketFeed]) -> None:
        now_s = self._clock.monotonic_s()
        for feed in failing:
            symbol = feed.market.symbol
            if not feed.refused or now_s - self._retried_s.setdefault(symbol, now_s) < REFUSED_S:
                continue
            self._retried_s[symbol] = now_s
            if (lane := self._venue.book_lane(symbol)) is not None:
                lane.add([Subscription(channel=Channel.BOOK, symbol=symbol)])
