"""One connection of a venue and what the venue knows of it: whose data it brings, and how late they come.

While a connection is being replaced (``handover``) two lanes stand side by side. Markets that the new one does not
carry yet are in its ``coming``, those that the old one carries no longer in its ``gone``: so each event reaches its
market once, by the lane that carries it.

What was under way for a book when it was given up still comes for a while. A market that is opened again meanwhile, by
this connection or another one, does not get it: it is older than the market's new book, or leads nowhere.
"""

import random
from collections.abc import Iterable
from typing import TYPE_CHECKING

import structlog

from feeds.domain import (
    Bbo,
    BookDelta,
    BookSnapshot,
    Candle,
    Channel,
    Event,
    Lost,
    Markets,
    MarkPrice,
    Notice,
    StreamState,
    Subscription,
    Ticker,
    Trade,
)
from feeds.latency import Histogram
from feeds.markets.alarm import LatencyAlarm
from feeds.markets.arrival import Arrival, outdated
from feeds.markets.market import MarketFeed
from feeds.markets.skew import RECORDED_MS
from feeds.stream import Connection

if TYPE_CHECKING:
    from feeds.markets.handover import Handover
    from feeds.markets.venue import Venue

log = structlog.get_logger(__name__)

_OF_VENUE = frozenset({Markets, Notice, Lost})
_OF_BOOK = frozenset({BookSnapshot, BookDelta})


class Lane:
    """A connection's owner (``stream.ConnectionHandler``). ``number`` tells it from others of its route."""

    def __init__(self, venue: "Venue", route: str, number: int) -> None:
        self.venue = venue
        self.route = route
        self.number = number
        self.latency = Histogram()
        """Milliseconds from the exchange's sending to our receipt; by both clocks as they are, until their difference
        is known."""
        self.alarm = LatencyAlarm(venue.config.alarm_factor, venue.config.alarm_s, venue.clock)
        self.jitter = random.uniform(0.9, 1.0)  # of the age at which it is renewed
        self.announced = ""  # the exchange will end the present connection: its words
        self.handover: Handover | None = None  # it is being replaced
        self.building: Handover | None = None  # it is to replace another one
        self.coming: dict[str, Arrival] = {}
        self.gone: set[str] = set()
        self._left: set[str] = set()  # whose book was given up here
        self.snapshot_ns = 0  # when the last whole book came
        self.careful_s: float | None = None  # until when the connection before may have told newer things
        self.connection: Connection = venue.connect(self, route)

    @property
    def successor(self) -> "Lane | None":
        """The lane that is to replace this one."""
        return None if self.handover is None else self.handover.new

    @property
    def open_to_new(self) -> bool:
        """May it be given further subscriptions? Not before it carries anything, nor when it is being left."""
        begun = self.handover is not None and self.handover.begun
        return not begun and (self.building is None or self.building.begun)

    # -- what the venue wants --------------------------------------------------------------------------------------

    def add(self, subscriptions: list[Subscription]) -> None:
        """Carry these, and whoever replaces this lane too."""
        self.gone.difference_update(subscription.symbol for subscription in subscriptions)
        self.connection.add(subscriptions)
        if self.handover is not None:
            self.handover.include(subscriptions)

    def remove(self, subscriptions: list[Subscription]) -> None:
        self._left |= {subscription.symbol for subscription in subscriptions if subscription.channel is Channel.BOOK}
        self.connection.remove(subscriptions)
        if self.handover is not None:
            self.handover.exclude(subscriptions)

    # -- what the connection reports (ConnectionHandler) -----------------------------------------------------------

    def on_events(self, connection: Connection, events: list[Event], recv_ns: int) -> None:
        feeds, coming, gone = self.venue.feeds, self.coming, self.gone
        for event in events:
            kind = type(event)
            if kind in _OF_VENUE:
                self._tell_venue(event)
                continue
            if kind is BookSnapshot:
                self.snapshot_ns = recv_ns
            symbol = getattr(event, "symbol", None)
            feed = feeds.get(symbol) if symbol is not None else None
            if feed is None or symbol in gone:
                continue  # acks and the like are the connection's; data of a market just closed
            if kind in _OF_BOOK and symbol in self._left and self._is_rest(feed.market.symbol):
                continue
            if coming and (arrival := coming.get(feed.market.symbol)) is not None:
                arrival.take(event, recv_ns)
                continue
            if self.careful_s is not None and self._overtaken(feed, event):
                continue
            deliver(feed, event, recv_ns)
            if type(event) is BookDelta or type(event) is Trade:
                self._measure(event.exchange_ms, recv_ns)

    def _tell_venue(self, event: Event) -> None:
        match event:
            case Markets():
                self.venue.on_markets(event)
            case Notice():
                self.venue.on_notice(event)
            case Lost():
                self.on_missing(event.frames)

    def _is_rest(self, symbol: str) -> bool:
        """Is it of a book that was given up here? Not any more, once that ended and this was asked for anew."""
        if self.connection.current(Subscription(channel=Channel.BOOK, symbol=symbol)):
            self._left.discard(symbol)
            return False
        return True

    def _overtaken(self, feed: MarketFeed, event: Event) -> bool:
        """For a while after a change, what comes may be older than what the former connection had told."""
        if self.careful_s is not None and self.venue.clock.monotonic_s() > self.careful_s:
            self.careful_s = None
        return self.careful_s is not None and outdated(feed, event)

    def _measure(self, exchange_ms: int | None, recv_ns: int) -> None:
        if exchange_ms is None:
            return
        difference_ms, offset = recv_ns / 1e6 - exchange_ms, self.venue.clock_offset
        if abs(difference_ms) <= RECORDED_MS:
            offset.heard(difference_ms)
            self.latency.add(difference_ms + offset.correction_ms)
            self.alarm.add(difference_ms + offset.correction_ms)

    def settle(self) -> None:
        """Once a second: is it late?"""
        if not self.alarm.settle(self.venue.clock_offset.correction_ms):
            return
        late = self.alarm.since_ns is not None
        (log.warning if late else log.info)(
            "latency alarm" if late else "latency as usual again",
            exchange=self.venue.name,
            stream=self.connection.name,
            latency_ms=round(self.alarm.now_ms or 0.0, 1),
            usual_ms=round(self.alarm.usual_ms or 0.0, 1),
        )
        self.venue.status_changed()

    def on_state(self, connection: Connection, state: StreamState, reason: str) -> None:
        if self.venue.stopping:
            return  # we close it ourselves: no market has become worse by that
        if state is StreamState.SYNCING:
            self.announced = ""  # was said of the former connection
        for feed, kind in self.venue.carried_by(self):
            feed.on_link(kind, state, reason)
        if self.building is not None:
            self.building.on_state(state, reason)
        elif state is StreamState.SYNCING:
            for arrival in self.coming.values():
                arrival.start()
        self.venue.status_changed()

    def on_closing(self, reason: str) -> bool:
        """The exchange will end this connection: it is kept until then, and replaced before. False: give it up now,
        since it may have no other one beside it."""
        if self.venue.adapter.facts.one_connection:
            return False
        self.announced = reason
        self.venue.status_changed()
        return not self.venue.stopping

    def on_overflow(self, connection: Connection, dropped: int) -> None:
        reason = f"{dropped} frames were dropped because we were too slow."
        for feed, kind in self.venue.carried_by(self):
            missing(feed, kind, reason)
        for arrival in self.coming.values():
            arrival.on_lost()

    def on_missing(self, frames: int) -> None:
        """The exchange's numbers tell that frames of this connection are missing, of whatever kind."""
        self.venue.on_missing(self, frames)
        for arrival in self.coming.values():
            arrival.on_lost()

    def on_lost(self, connection: Connection, detail: str) -> None:
        """A frame was not understood, so it may have been an update. Books with ids notice a hole by themselves."""
        for feed, kind in self.venue.carried_by(self):
            if kind != "book" or feed.sync.book.seq is None:
                missing(feed, kind, "A frame could not be understood.")
        for arrival in self.coming.values():
            if arrival.sync.book.seq is None:
                arrival.on_lost()

    def on_subscribed(self, connection: Connection, subscriptions: Iterable[Subscription]) -> None:
        for subscription in subscriptions:
            feed = self.venue.feeds.get(subscription.symbol)
            if feed is None or subscription.channel is not Channel.BOOK:
                continue
            if (arrival := self.coming.get(subscription.symbol)) is not None:
                arrival.on_subscribed()
            else:
                feed.on_subscribed()

    def on_rejected(self, connection: Connection, subscriptions: Iterable[Subscription], reason: str) -> None:
        for subscription in subscriptions:
            log.warning(
                "subscription refused",
                exchange=self.venue.name,
                market=subscription.symbol,
                channel=str(subscription.channel),
                reason=reason,
            )
            feed = self.venue.feeds.get(subscription.symbol)
            arrival = self.coming.get(subscription.symbol)
            if arrival is not None and arrival.on_refused(subscription, reason):
                continue
            if feed is not None and subscription.channel is Channel.BOOK:
                feed.on_refused(f"The exchange refuses this market: {reason}")


def missing(feed: MarketFeed, kind: str, reason: str) -> None:
    """Frames behind this kind of topics may be missing."""
    if kind == "book":
        feed.on_lost(reason)
    elif kind == "trades":
        feed.tape.lost()


def deliver(feed: MarketFeed, event: Event, recv_ns: int) -> None:
    """Hand one event to its market."""
    match event:
        case BookDelta():
            feed.on_delta(event, recv_ns)
        case BookSnapshot():
            feed.on_snapshot(event, recv_ns)
        case Bbo():
            feed.on_bbo(event, recv_ns)
        case Trade():
            feed.on_trade(event, recv_ns)
        case Ticker():
            feed.on_ticker(event, recv_ns)
        case MarkPrice():
            feed.on_mark(event, recv_ns)
        case Candle():
            feed.on_candle(event, recv_ns)
