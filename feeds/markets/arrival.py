"""One market on its way from one connection to another: its book there, and what else came. See ``handover``, where a
whole connection is replaced, and ``fresh_books``, where a market alone moves."""

import heapq
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

import structlog

from feeds.book import OrderBook
from feeds.domain import BookDelta, BookSnapshot, Candle, Channel, Event, MarkPrice, Subscription, Ticker, Trade
from feeds.errors import SyncError
from feeds.markets.market import MarketFeed
from feeds.sync import BookSync

if TYPE_CHECKING:
    from feeds.markets.venue import Venue

log = structlog.get_logger(__name__)

KEPT = 2_000
"""So many prints are kept for one market, and so many of what else is no book."""


class Host(Protocol):
    """Who brings the market over. ``own_ids``: update ids say nothing beside those of another connection."""

    venue: "Venue"
    own_ids: bool

    def wants(self, arrival: "Arrival") -> None:
        """Get what the arrival's book needs."""

    def look_at(self, arrival: "Arrival") -> None:
        """Its book is new."""

    def on_refused(self, arrival: "Arrival", subscription: Subscription, reason: str) -> bool:
        """The exchange refuses this on the new connection. True: the market need not know."""


class Arrival:
    """One market on its way to a new connection: its book there, and what else came."""

    def __init__(self, host: Host, feed: MarketFeed) -> None:
        self.feed = feed
        self.subscriptions: set[Subscription] = set()
        self.asked: set[Subscription] = set()  # those that the old connection really has: one may have been refused
        self.sync = host.venue.new_sync(feed.market)
        self.book_ns = 0
        self.generation = 0  # rises whenever the book starts anew
        self.waits_s: float | None = None  # since when its book is complete, and behind the shown one
        self.held_s: float | None = None  # since when the shown book stands still, so that this one gets past it
        self.overlap_s: float | None = None  # since when its prints are waited for
        self._host = host
        self._prints: deque[tuple[Trade, int]] = deque(maxlen=KEPT)
        self._kept: deque[tuple[Event, int]] = deque(maxlen=KEPT)

    @property
    def has_book(self) -> bool:
        return any(subscription.channel is Channel.BOOK for subscription in self.asked)

    @property
    def ready(self) -> bool:
        return self.sync.ready or not self.has_book

    # -- what comes by the new connection ----------------------------------------------------------------------------

    def take(self, event: Event, recv_ns: int) -> None:
        if isinstance(event, Trade):
            self._prints.append((event, recv_ns))
            return
        if not isinstance(event, BookDelta | BookSnapshot):
            self._kept.append((event, recv_ns))
            return
        try:
            taken = self.sync.take_delta(event) if isinstance(event, BookDelta) else self.sync.take_snapshot(event)
        except SyncError as error:
            log.info(
                "new book dropped", exchange=self.feed.market.exchange, market=self.feed.market.symbol, error=str(error)
            )
            self.generation += 1
            self._host.wants(self)
            return
        if taken:
            self.book_ns = recv_ns
            self._host.look_at(self)
        elif isinstance(event, BookSnapshot):
            self._host.wants(self)

    def on_subscribed(self) -> None:
        if self.sync.from_rest or not self.sync.ready:
            self.start()
            self._host.wants(self)

    def on_lost(self) -> None:
        if self.sync.ready:
            self.sync.drop()
            self.generation += 1
            self._host.wants(self)

    def renew(self, sync: BookSync) -> None:
        """The instrument was changed: by its new rules, and from the beginning."""
        self.sync = sync
        self.sync.drop()
        self.generation += 1
        self._host.wants(self)

    def on_refused(self, subscription: Subscription, reason: str) -> bool:
        return self._host.on_refused(self, subscription, reason)

    def start(self) -> None:
        """What came so far is void."""
        self.generation += 1
        self.sync.start()

    # -- the change --------------------------------------------------------------------------------------------------

    @property
    def in_step(self) -> bool:
        """May the new book be shown now? Not while it is behind the one that is shown."""
        running = self.feed.sync
        if not self.has_book or not running.ready:
            return True
        return not_behind(self.sync.book, running.book, self._host.own_ids)

    @property
    def continues(self) -> bool:
        """The new connection's next updates continue the shown book: ids tell that it is ahead of them."""
        ids = self.sync.book.seq is not None and self.feed.sync.book.seq is not None
        return ids and not self._host.own_ids

    @property
    def overlaps(self) -> bool:
        """Has the market the first print that the new connection told, or a later one? Then none is missing between
        what the old connection told and what the new one tells, however late the old one is. True where the new one
        has told none."""
        if not self._prints:
            return True
        first = self._prints[0][0]
        return self.feed.tape.has(first)

    def news(self) -> Iterator[tuple[Event, int]]:
        """What was kept and is newer than what the market has, in the order in which it came."""
        for event, recv_ns in heapq.merge(self._prints, self._kept, key=lambda kept: kept[1]):
            if not outdated(self.feed, event):
                yield event, recv_ns


def outdated(feed: MarketFeed, event: Event) -> bool:
    """Has another connection told something newer of the kind? (The market itself knows an older quote, and a print
    that it has.)"""
    match event:
        case Ticker():
            return _older(event, feed.ticker)
        case MarkPrice():
            return _older(event, feed.mark)
        case Candle():
            bars = feed.candles.get(event.interval)
            same = bars[-1] if bars and bars[-1].open_ms == event.open_ms else None
            return same is not None and not event.closed and (same.closed or event.base_volume < same.base_volume)
    return False


def _older(event: Ticker | MarkPrice, shown: Ticker | MarkPrice | None) -> bool:
    if shown is None or event.exchange_ms is None or shown.exchange_ms is None:
        return False
    return event.exchange_ms < shown.exchange_ms


def not_behind(new: OrderBook, shown: OrderBook, own_ids: bool = False) -> bool:
    """Is ``new`` certainly the same state as ``shown``, or a later one?

    Told by the update id where ids mean the same on both connections (``own_ids``: they do not), else by the exchange's
    time, which two states may share, else by the levels themselves.
    """
    if not own_ids and new.seq is not None and shown.seq is not None:
        return new.seq >= shown.seq
    if new.exchange_ms is not None and shown.exchange_ms is not None and new.exchange_ms != shown.exchange_ms:
        return new.exchange_ms > shown.exchange_ms
    return new.bids.levels == shown.bids.levels and new.asks.levels == shown.asks.levels
