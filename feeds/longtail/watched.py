"""One market followed through ccxt: its streams, and what becomes of it when one of them fails.

A book is shown as good when REST has confirmed it: ccxt applies changes to a book whose snapshot it never got, too.
A stream that fails asks again on the same ccxt object, which connects anew by itself. A book that is proven wrong, is
mute, or does not come, is watched on another object: the faults of ccxt stay with the object in which they happened.
"""

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

import structlog

from feeds.domain import BookSnapshot, Channel, StreamState, Subscription
from feeds.longtail import convert
from feeds.longtail.convert import Listed
from feeds.longtail.lane import Lane
from feeds.longtail.library import Trouble, trouble_of
from feeds.longtail.sides import Sides, watching
from feeds.longtail.stream import Stream
from feeds.markets.market import MarketFeed

if TYPE_CHECKING:
    from feeds.longtail.venue import LongTail

log = structlog.get_logger(__name__)

FIRST_BOOK_S = 10.0
"""A book that has not come this long after it was asked for is asked for on another object."""

MOVES_PER_MINUTE = 3
"""More of them within a minute are spaced out, doubling up to 30 s."""

BESTS = 1000
"""So many changes of the best prices are remembered, for comparing with REST."""

MOMENTS = 100
"""So many books are kept for it while none is proven."""


class Watched:
    """``of`` is the market as it was listed, ``feed`` what is shown of it."""

    def __init__(self, venue: "LongTail", of: Listed, feed: MarketFeed) -> None:
        self.of = of
        self.feed = feed
        self.lane: Lane | None = None
        self.bests: deque[tuple[float, float | None, float | None]] = deque(maxlen=BESTS)  # when (monotonic), bid, ask
        self.failures = 0  # of the book's stream, in a row
        self.epoch = 0  # rises whenever the book is watched anew
        self.proven = False  # REST has confirmed what is watched since then
        self.present: BookSnapshot | None = None  # the book as it was copied last
        self.moments: deque[BookSnapshot] = deque(maxlen=MOMENTS)  # and before, while it is not proven
        self.checked_s = float("-inf")  # when REST was asked last, and how often it told other prices in a row
        self.strikes = 0
        self.reading = False  # history of short bars is being fetched
        self.polled_s = float("-inf")
        self._venue = venue
        self._clock = venue.clock
        self._tasks: dict[Subscription, asyncio.Task[None]] = {}
        self._moving: asyncio.Task[None] | None = None
        self._moves: deque[float] = deque(maxlen=16)
        self._waiting_s: float | None = None  # since when a book is waited for
        self._live: Any = None  # ccxt's own book, which it changes, and what of it was copied
        self._copied: Any = None
        self._sides = Sides(venue, of, feed, self._came)
        self._log = log.bind(exchange=of.market.exchange, market=of.market.symbol)

    @property
    def symbol(self) -> str:
        return self.of.market.symbol

    # -- streams -----------------------------------------------------------------------------------------------------

    def resubscribe(self) -> None:
        """Bring the streams in line with the watched topics."""
        if self._moving is not None or self._venue.stopping:
            return
        wanted = self._wanted()
        for subscription in self._tasks.keys() - wanted:
            self._tasks.pop(subscription).cancel()
            if self.lane is not None:
                self.lane.subscriptions.discard(subscription)
        for subscription in sorted(wanted - self._tasks.keys(), key=str):
            self._start(subscription)

    def _wanted(self) -> set[Subscription]:
        wanted, symbol = set(), self.symbol
        topics = self.feed.watched()
        if topics:
            wanted.add(Subscription(channel=Channel.BOOK, symbol=symbol))
        for topic in topics:
            match topic.kind:
                case "quote":
                    wanted.add(Subscription(channel=Channel.TICKER, symbol=symbol))
                    if self.of.market.settle is not None and self._venue.desk.has.get("fetchFundingRate"):
                        wanted.add(Subscription(channel=Channel.MARK, symbol=symbol))
                case "trades":
                    wanted.add(Subscription(channel=Channel.TRADES, symbol=symbol))
                case "candles":
                    interval = self._venue.source_of(topic.interval or "1m")
                    wanted.add(Subscription(channel=Channel.CANDLES, symbol=symbol, interval=interval))
        return wanted

    def _start(self, subscription: Subscription) -> None:
        if self.lane is None:
            self.lane = self._venue.lane_for(self.symbol)
        stream = self._stream(subscription, self.lane)
        if stream is not None:
            self.lane.subscriptions.add(subscription)
            self._tasks[subscription] = asyncio.create_task(stream.run(), name=f"{self._venue.name} {subscription}")

    def _stream(self, subscription: Subscription, lane: Lane) -> Stream | None:
        """How this is had from ccxt; None if it cannot be."""
        if subscription.channel is not Channel.BOOK:
            return self._sides.stream(subscription, lane)
        limit = self._venue.config.book_depth
        arguments = (self.symbol,) if limit is None else (self.symbol, limit)
        ask = watching(lane, "watch_order_book", *arguments)
        return Stream(ask, self._book, self._book_failed, began=self._book_began)

    def _came(self, exchange_ms: int | None = None) -> None:
        if self.lane is not None and self.lane.came(exchange_ms):
            self._venue.status_changed()

    # -- what comes --------------------------------------------------------------------------------------------------

    def _book(self, raw: Any) -> None:
        """ccxt's book is new. What is shown is a copy of this moment."""
        snapshot = convert.book(self.of, raw, self._venue.depth)
        if not snapshot.bids and not snapshot.asks:
            return  # made, but nothing in it yet
        self._live, self._copied, self._waiting_s, self.failures = raw, _marks(raw), None, 0
        self._note_best(snapshot)
        first, self.present = self.present is None, snapshot
        self._came(snapshot.exchange_ms)
        if self.proven:
            self._show(snapshot)
            return
        self.moments.append(snapshot)
        if first:
            self._venue.prove(self)

    def confirm(self) -> None:
        """REST has confirmed the book: it may be shown as good from now on."""
        self.strikes, self.proven = 0, True
        self.moments.clear()
        if self.present is not None:
            self._show(self.present)

    def _show(self, snapshot: BookSnapshot) -> None:
        feed = self.feed
        # Not by on_link: until the new book is in, the old one must not be shown as good.
        feed.book_link.state, feed.book_link.reason = StreamState.LIVE, ""
        if feed.refused:
            feed.on_subscribed()
        feed.on_snapshot(snapshot, self._clock.now_ns())

    def _note_best(self, snapshot: BookSnapshot) -> None:
        bid, ask = (side[0][0] if side else None for side in (snapshot.bids, snapshot.asks))
        if not self.bests or self.bests[-1][1:] != (bid, ask):
            self.bests.append((self._clock.monotonic_s(), bid, ask))

    # -- what goes wrong ---------------------------------------------------------------------------------------------

    def _book_began(self) -> None:
        self._waiting_s = self._clock.monotonic_s()
        self._begin_anew()
        feed = self.feed
        if feed.book_link.state is StreamState.CONNECTING and not feed.sync.ready and not feed.resyncing:
            feed.on_link("book", StreamState.SYNCING, "")

    def _book_failed(self, trouble: Trouble, failures: int) -> bool:
        """The book's stream failed: what was shown is void. False if it is watched elsewhere from now on."""
        feed = self.feed
        self._waiting_s = None
        self._begin_anew()
        self.failures = failures
        if failures == 1:
            self._log.warning("ccxt stream failed", kind="book", reason=trouble.sentence)
        if self.lane is not None and self.lane.broke(trouble, failures):
            self._venue.status_changed()
        if trouble.kind == "refused":
            feed.on_refused(trouble.sentence)
            return True
        feed.refused = ""
        if trouble.kind == "desync" and feed.sync.ready:
            feed.on_lost(trouble.sentence)  # wants it to be rebuilt
            return False
        feed.on_link("book", StreamState.CONNECTING if failures == 1 else StreamState.DOWN, trouble.sentence)
        if trouble.kind in ("broken", "desync"):
            self.move(trouble.sentence)
            return False
        return True

    def rebuild(self) -> None:
        """The book was dropped (crossed, or found wrong by ccxt): watch it anew."""
        self.move(self.feed.fault)

    def mute(self, sentence: str) -> None:
        """REST proves that what is shown is not the exchange's book."""
        self._log.warning("mute or wrong", reason=sentence)
        self.feed.on_link("book", StreamState.STALE, sentence)
        self.move(sentence)

    def move(self, reason: str) -> None:
        """Watch this market on another ccxt object. What is shown meanwhile is as good as its state says."""
        if self._moving is not None or self._venue.stopping:
            return
        self._log.info("watched anew on another ccxt object", reason=reason)
        self._cancel()
        if self.lane is not None:
            self.lane.suspect = True
        self._moving = asyncio.create_task(self._move(), name=f"{self._venue.name} move {self.symbol}")

    async def _move(self) -> None:
        now_s = self._clock.monotonic_s()
        extra = self.recent_moves() - MOVES_PER_MINUTE
        self._moves.append(now_s)
        if extra >= 0:
            await asyncio.sleep(min(30.0, 2.0**extra))
        former, self.lane = self.lane, None
        self._moving = None
        self.lane = self._venue.lane_for(self.symbol, former)
        if former is not None:
            self._venue.leave(former, self.symbol)
        self.resubscribe()

    def recent_moves(self) -> int:
        """Within the last minute."""
        since_s = self._clock.monotonic_s() - 60
        return sum(1 for at_s in self._moves if at_s > since_s)

    def _cancel(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        if self.lane is not None:
            self.lane.subscriptions.difference_update(self._tasks)
        self._tasks.clear()
        self._sides.forget()
        self._waiting_s = None
        self._begin_anew()

    def _begin_anew(self) -> None:
        """What comes from here on has to be proven."""
        self.epoch += 1
        self.proven, self.present, self.strikes = False, None, 0
        self.bests.clear()
        self.moments.clear()
        self._live = None

    def tick(self) -> None:
        """Four times a second: what time alone changes, streams that ended, and what ccxt has not told."""
        for subscription, task in list(self._tasks.items()):
            if task.done() and self._moving is None:
                error = None if task.cancelled() else task.exception()
                self._log.error("a stream's task ended", stream=str(subscription), exc_info=error)
                del self._tasks[subscription]
                if subscription.channel is Channel.BOOK:
                    self.feed.on_link("book", StreamState.CONNECTING, "The stream's task ended; it is started anew.")
                self._start(subscription)
        if self._moving is None and not self._tasks:
            self.resubscribe()
        try:
            if self._live is not None and _marks(self._live) != self._copied:
                self._book(self._live)  # changed between two of our questions
        except Exception as error:  # ccxt raises errors of every kind
            self._book_failed(trouble_of(error), 1)
        if self._waited_s() > FIRST_BOOK_S:
            sentence = f"No order book within {FIRST_BOOK_S:g} s; it is asked for on a new connection."
            state = StreamState.STALE if self.feed.sync.ready else StreamState.CONNECTING
            if not self.feed.resyncing:
                self.feed.on_link("book", state, sentence)
            self.move(sentence)
        self.feed.evaluate()

    def _waited_s(self) -> float:
        """How long a book has been waited for, on an object that may be used."""
        if self._waiting_s is None or self.lane is None or self.lane.opened_s is None:
            return 0.0
        return self._clock.monotonic_s() - max(self._waiting_s, self.lane.opened_s)

    def stop(self) -> list[asyncio.Task[None]]:
        """End its streams; returns the tasks that are ending."""
        ending = [*self._tasks.values(), *([self._moving] if self._moving is not None else [])]
        for task in ending:
            task.cancel()
        self._cancel()
        self._moving = None
        return ending


def _marks(raw: Any) -> Any:
    """What tells, cheaply, that ccxt's book has changed."""
    bids, asks = raw["bids"], raw["asks"]
    return (
        *(tuple(side[0]) if side else None for side in (bids, asks)),
        *(len(bids), len(asks), raw.get("timestamp"), raw.get("nonce")),
    )
