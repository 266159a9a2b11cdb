"""Replacing a connection before it ends: make before break.

Exchanges end connections of a certain age, and some announce when they stop a server. Long before that, or at the
announcement, another connection is opened and subscribed like the old one, and its books are built beside the running
ones, by the exchange's ordinary way, from its own data alone. Once all of them stand the markets change over, each at a
moment when its new book is not behind the shown one: the book is exchanged as a whole, within one synchronous call, so
no frame goes back, none mixes two connections, and the market's state does not change. Then the old connection is
closed.

Connections differ: one server's updates come some milliseconds later than another's. A new book that is behind does not
matter where update ids tell what it lacks: the shown book is kept, and the new connection's updates continue it from
there. Without ids the shown book stands still for that moment, until the new one is past it.

What is no book (prints, quotes, bars) is kept while the new connection is built, and what the old one had not told yet
is handed on at the change.

If the new connection fails, the old one stays until its end, and another attempt follows. A venue replaces one
connection at a time; each is due at an age of its own, a little earlier by chance, so not all are renewed at once.
"""

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

import structlog

from feeds.clock import Clock
from feeds.domain import Channel, StreamState, Subscription
from feeds.errors import FeedError
from feeds.markets.arrival import Arrival
from feeds.markets.lane import Lane, deliver
from feeds.pacing import backoff
from feeds.sync import Need

if TYPE_CHECKING:
    from feeds.markets.venue import Venue

log = structlog.get_logger(__name__)

TICK_S = 0.05
"""A change that waits is looked at this often, besides at every update of the new book."""

SETTLE_TICKS = 20
"""From the last subscription's acceptance to the change: what was under way on the old connection has arrived then.
Counted in ticks: a process that stood still for a second has read nothing in it."""

OVERLAP_S = 5.0
"""A market waits so long for the old connection to tell the first print that the new one told."""

PATIENCE_S = 60.0
PATIENCE_PER_BOOK_S = 5.0
"""How long a new connection may take, and longer for each book on it: snapshots by REST wait for half of the budget."""

LULL_S = 0.5
"""A new book that is behind the shown one, without ids to join them, waits this long for a lull."""

HELD_S = 1.0
"""Then the shown one stands still until the new one is past it, at most this long: connections differ by less."""

CAREFUL_S = 5.0
"""So long after a change what comes by the new connection is looked at: is it older than what is shown?"""

_BROKEN = (StreamState.CONNECTING, StreamState.DOWN)


class Failed(Exception):
    """The new connection is not as good as the old one; the text says why."""


class Handover:
    """One connection replaced by another. :meth:`run` returns when the old one is closed; raises Failed."""

    def __init__(self, venue: "Venue", old: Lane, clock: Clock) -> None:
        self.venue = venue
        self.old = old
        self.new = venue.new_lane(old.route)
        self.new.building = self
        self.own_ids = venue.adapter.facts.ids_per_connection
        self.begun = False  # the first market has changed over: there is no way back
        self._clock = clock
        self._failure = ""
        self._deadline_s = float("inf")
        self._fetching: dict[str, asyncio.Task[None]] = {}
        self._settled = 0  # ticks

    # -- which subscriptions -----------------------------------------------------------------------------------------

    def include(self, subscriptions: Iterable[Subscription]) -> None:
        """The old lane carries these: so shall the new one."""
        there = self.old.connection.subscriptions
        for subscription in subscriptions:
            feed = self.venue.feeds.get(subscription.symbol)
            if feed is None:
                continue
            arrival = self.new.coming.get(feed.market.symbol)
            if arrival is None:
                arrival = self.new.coming[feed.market.symbol] = Arrival(self, feed)
            arrival.subscriptions.add(subscription)
            if subscription in there:
                arrival.asked.add(subscription)
                self.new.connection.add([subscription])

    def exclude(self, subscriptions: Iterable[Subscription]) -> None:
        """Nobody wants these any more."""
        subscriptions = list(subscriptions)
        for subscription in subscriptions:
            arrival = self.new.coming.get(subscription.symbol)
            if arrival is not None:
                arrival.subscriptions.discard(subscription)
                arrival.asked.discard(subscription)
                if not arrival.subscriptions:
                    del self.new.coming[subscription.symbol]
        self.new.remove(subscriptions)

    # -- life --------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        old, new, venue = self.old, self.new, self.venue
        old.handover = self
        self.include(subscription for subscription, lane in venue.lane_of.items() if lane is old)
        books = sum(1 for arrival in self.new.coming.values() if arrival.has_book)
        self._deadline_s = self._clock.monotonic_s() + PATIENCE_S + books * PATIENCE_PER_BOOK_S
        new.connection.start()
        try:
            while not self._done():
                if self._failure and not self.begun:
                    raise Failed(self._failure)
                if not self.begun and self._late():
                    raise Failed(f"not complete in time: {', '.join(self._missing()) or 'not all is accepted'}")
                await asyncio.sleep(TICK_S)
                self._settled = self._settled + 1 if self._stands() else 0
                for arrival in list(new.coming.values()):
                    self.look_at(arrival)
        except Failed:
            venue.lanes.remove(new)
            await new.connection.stop()
            raise
        finally:
            old.handover = None
            for task in self._fetching.values():
                task.cancel()
            await asyncio.gather(*self._fetching.values(), return_exceptions=True)
        self._begin()  # where there was no market to change over
        new.building = None
        venue.lanes.remove(old)
        new.number = old.number
        await old.connection.stop()
        venue.status_changed()

    def _done(self) -> bool:
        return not self.new.coming and (self.begun or self._complete())

    def _complete(self) -> bool:
        """Everything stands on the new connection, so far as it stands on the old one, and has settled."""
        return self._settled >= SETTLE_TICKS and self._stands() and not self._missing()

    def _stands(self) -> bool:
        connection = self.new.connection
        speaks = connection.messages > 0 or not self.venue.adapter.facts.markets_by_stream
        return connection.age_s is not None and connection.settled and speaks

    def _missing(self) -> list[str]:
        """Markets whose book stands on the old connection alone."""
        return [symbol for symbol, arrival in self.new.coming.items() if not arrival.ready and arrival.feed.sync.ready]

    def on_state(self, state: StreamState, reason: str) -> None:
        """The new connection's state."""
        if state is StreamState.SYNCING or state in _BROKEN:
            for arrival in self.new.coming.values():
                arrival.start()
                if arrival.held_s is not None:
                    arrival.waits_s = arrival.held_s = None
                    self.old.gone.discard(arrival.feed.market.symbol)
                    arrival.feed.on_lost("The connection broke that was to replace another one.")
        if state in _BROKEN:
            self._failure = self._failure or f"the new connection failed: {reason}"

    def on_refused(self, arrival: Arrival, subscription: Subscription, reason: str) -> bool:
        """The exchange refuses on the new connection what it accepted on the old one. True: no market need know."""
        self._failure = self._failure or f"{subscription} is refused: {reason}"
        if not self.begun:
            return True
        self._change(arrival)
        return False

    # -- books on the new connection ---------------------------------------------------------------------------------

    def wants(self, arrival: Arrival) -> None:
        """Get what the arrival's book needs."""
        symbol = arrival.feed.market.symbol
        if arrival.sync.needs is Need.RESUBSCRIBE:
            self.new.connection.resubscribe(Subscription(channel=Channel.BOOK, symbol=symbol))
        elif arrival.sync.needs is Need.SNAPSHOT and symbol not in self._fetching:
            task = asyncio.create_task(self._fetch(arrival), name=f"{self.venue.name} new book {symbol}")
            self._fetching[symbol] = task
            task.add_done_callback(lambda _: self._fetching.pop(symbol, None))

    async def _fetch(self, arrival: Arrival) -> None:
        """Snapshots for a running book are not urgent: they leave half of the budget to others."""
        market, delays = arrival.feed.market, backoff()
        request = self.venue.adapter.snapshot_request(market)
        while arrival.sync.needs is Need.SNAPSHOT and self.new.coming.get(market.symbol) is arrival:
            if arrival.feed.sync.ready and not self.venue.rest.roomy(request):
                await asyncio.sleep(1.0)
                continue
            generation = arrival.generation
            try:
                snapshot, recv_ns = await self.venue.keeper.snapshot(market)
            except FeedError as error:
                log.info("snapshot failed", exchange=self.venue.name, market=market.symbol, error=str(error))
                await asyncio.sleep(next(delays))
                continue
            if generation == arrival.generation:
                arrival.take(snapshot, recv_ns)
                if arrival.sync.needs is Need.SNAPSHOT:
                    await asyncio.sleep(0.2)  # too old: let the exchange's snapshot pass our first update

    # -- the change --------------------------------------------------------------------------------------------------

    def look_at(self, arrival: Arrival) -> None:
        """Let a market change over, if it may. One that has no book on the old connection need not wait for others."""
        symbol = arrival.feed.market.symbol
        if self.new.coming.get(symbol) is not arrival:
            return
        lost = self.old.connection.state in _BROKEN
        if arrival.ready:
            helped = lost and arrival.has_book
            stands = (self.begun or self._complete()) and self.new.connection.state not in _BROKEN
            if not (helped or stands) or not (lost or self._overlaps(arrival)):
                return
            if arrival.in_step or arrival.continues or self._held(arrival):
                self._change(arrival)
        elif self.begun and (lost or (self._late() and not arrival.feed.sync.ready)):
            self._change(arrival)  # it is as bad there as here, and here is no future

    def _overlaps(self, arrival: Arrival) -> bool:
        """Is no print missing between the two connections? After a while it must do without."""
        now_s = self._clock.monotonic_s()
        if arrival.overlap_s is None:
            arrival.overlap_s = now_s
        return arrival.overlaps or now_s - arrival.overlap_s >= OVERLAP_S

    def _held(self, arrival: Arrival) -> bool:
        """The new book comes later than the old one, and without ids nobody could join them: the shown one stands
        still until the new one is past it. True: it surely is by now."""
        now_s = self._clock.monotonic_s()
        if arrival.waits_s is None:
            arrival.waits_s = now_s
        elif arrival.held_s is None and now_s - arrival.waits_s >= LULL_S:
            self._begin()
            arrival.held_s = now_s
            self.old.gone.add(arrival.feed.market.symbol)
        return arrival.held_s is not None and now_s - arrival.held_s >= HELD_S

    def _late(self) -> bool:
        return self._clock.monotonic_s() > self._deadline_s

    def _begin(self) -> None:
        if not self.begun:
            self.begun = True
            self.new.latency, self.new.alarm = self.old.latency, self.old.alarm
            self.new.connection.inherit(self.old.connection)

    def _change(self, arrival: Arrival) -> None:
        self._begin()
        feed, new = arrival.feed, self.new
        self.old.gone.add(feed.market.symbol)
        del new.coming[feed.market.symbol]
        for subscription in arrival.subscriptions:
            self.venue.lane_of[subscription] = new
        if new.connection.state is StreamState.STALE and feed.state.usable:
            new.connection.confirm_quiet(2 * feed.stale_s)  # its snapshot was the exchange's confirmation
        feed.change_over(
            self.venue.kinds(arrival.subscriptions),
            new.connection.state,
            new.connection.reason,
            arrival.sync if arrival.has_book and (arrival.in_step or not arrival.continues) else None,
            arrival.book_ns,
            own_ids=self.own_ids,
        )
        new.careful_s = self._clock.monotonic_s() + CAREFUL_S
        for event, recv_ns in arrival.news():
            deliver(feed, event, recv_ns)
