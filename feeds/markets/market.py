"""One market: its book, prints, bars and prices, and the one state that says how far they may be trusted.

No I/O: ``venue`` feeds it events and the state of the connection that carries its book, and does what ``wants`` says.
Pictures of its topics are drawn on demand by the publisher.
"""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal

import structlog

from feeds import levels
from feeds.book import OrderBook
from feeds.clock import Clock
from feeds.domain import (
    INTERVALS,
    Bbo,
    BookDelta,
    BookSnapshot,
    Level,
    Market,
    StreamState,
)
from feeds.errors import SyncError
from feeds.markets import pictures
from feeds.markets.judgement import Link, judge
from feeds.markets.polled import PolledBook
from feeds.markets.prices import Prices
from feeds.markets.watched import KINDS
from feeds.publisher import Picture
from feeds.sync import BookSync, Need, Want
from feeds.topics import Topic

log = structlog.get_logger(__name__)

CHANGED = "The exchange changed the instrument; the order book is being rebuilt."


def _counting(market: Market) -> tuple[object, ...]:
    """What of an instrument its book depends on, digits as they are printed."""
    return str(market.tick), str(market.lot), market.contract_size, market.book


class MarketFeed(Prices):
    """The present of one market. All methods are synchronous; use from one event loop.

    ``changed`` is called with each topic whose content is new, ``want`` when a snapshot or a new subscription is
    needed. ``streamed`` and ``led`` as for :class:`feeds.markets.prices.Prices`.
    """

    def __init__(
        self,
        market: Market,
        sync: BookSync,
        *,
        depth: int,
        stale_s: float,
        clock: Clock,
        changed: Callable[[str], None],
        want: Callable[["MarketFeed", Want], None],
        streamed: Sequence[str] = tuple(INTERVALS),
        led: bool = False,
    ) -> None:
        super().__init__(streamed, led=led, changed=changed)
        self._describe(market)
        self.sync = sync
        self.depth = depth
        self.stale_s = stale_s
        self._clock = clock
        self._want = want
        self._log = log.bind(exchange=market.exchange, market=market.symbol)

        self.state = StreamState.CONNECTING
        self.reason = ""
        self.since_ns = clock.now_ns()
        self.generation = 0  # rises whenever the book starts anew, so that a late snapshot is known as late
        self.old: OrderBook | None = None  # the book from before the start, until there is a live one
        self.refused = ""  # why the exchange refuses the book, if it does
        self.polled = PolledBook()  # the book by REST, while the stream keeps failing
        self.streamed_seq: int | None = None  # the last usable book's, by stream
        self._anew_s = clock.monotonic_s()  # when the book began anew
        self._streamed_s = clock.monotonic_s()

        self.book_link = Link()
        self.links: dict[str, Link] = {"book": self.book_link}  # kind of topic -> the connection behind it
        self.data_ns = 0  # when the last book or best-price frame came
        self.book_ns = 0  # when the last applied book update came
        self._confirmed_ns = 0  # when the exchange confirmed our book
        self._confirmed_until_s = float("-inf")
        self.frames = 0
        self.differences = 0  # times that a fresh book showed ours to be wrong
        self.resyncing = False
        self.fault = ""
        self.unshown = ""  # why the book's picture cannot be drawn

    def _describe(self, market: Market) -> None:
        self.market = market
        self.price_decimals = market.price_decimals
        self.size_decimals = market.size_decimals
        self.note = f"One book with {market.book_of}, by another name." if market.book_of else ""

    def on_instrument(self, market: Market, sync: BookSync) -> bool:
        """The exchange changed the instrument. True if its book is counted or summed in another way from now on: then
        ``sync``, empty and by the new rules, takes the old one's place, and the book is built anew."""
        anew = _counting(market) != _counting(self.market)
        self._describe(market)
        if anew:
            standing, sync.resyncs = self.sync.ready or self.resyncing, self.sync.resyncs
            self.sync, self.polled = sync, PolledBook()
            if standing:
                self.sync.drop()
                self._rebuild(CHANGED)
            else:
                self._begin_anew()
                self.sync.start()
                self._want_what_is_needed()
        self._topics.tell(*KINDS)
        return anew

    # -- topics ------------------------------------------------------------------------------------------------------

    def watch(self, topic: Topic) -> Callable[[], Picture | None]:
        """Begin to report changes of a topic; returns its renderer. Raises ValueError if it cannot be drawn."""
        if topic.kind == "book" and topic.step is not None:
            levels.check_step(topic.step, self.market.tick)
        self._topics.add(topic)
        if topic.kind == "candles":
            self.long_bars.watch(topic.interval or "1m")
        return lambda: pictures.draw(self, topic)

    def unwatch(self, topic: Topic) -> None:
        self._topics.discard(topic)
        self.long_bars.unwatch(topic.interval or "")

    def watched(self) -> list[Topic]:
        return self._topics.all()

    # -- state -------------------------------------------------------------------------------------------------------

    def _set_state(self, state: StreamState, reason: str = "") -> None:
        """The one setter: logs the change and shows it at once."""
        if state is self.state:
            self.reason = reason or self.reason
            return
        usable = self.state.usable, state.usable
        line = self._log.info if usable[1] or not usable[0] else self._log.warning
        line("market state", state=str(state), was=str(self.state), reason=reason)
        self.state, self.reason, self.since_ns = state, reason, self._clock.now_ns()
        self._topics.tell(*KINDS)

    def evaluate(self) -> None:
        """Decide the state anew from the connection, the book and the silence; or by what REST told meanwhile."""
        verdict = judge(self)
        if verdict[0].usable:
            self._streamed_s, self.streamed_seq = self._clock.monotonic_s(), self.sync.book.seq
            self.polled.clear()
        else:
            verdict = self.polled.instead_of(verdict, self._clock.now_ns())
        self._set_state(*verdict)

    def cannot_show(self, why: str) -> None:
        """The book's picture cannot be drawn, for this reason; "": it can."""
        if bool(why) == bool(self.unshown):
            return
        (self._log.warning if why else self._log.info)("book not shown" if why else "book shown again", reason=why)
        self.unshown, self.reason = why, ""
        self.evaluate()

    def unstreamed_s(self) -> float:
        """How long the market has had no usable stream."""
        return self._clock.monotonic_s() - self._streamed_s

    def silent_s(self) -> float:
        """Seconds since the last book or best-price frame."""
        return (self._clock.now_ns() - self.data_ns) / 1e9 if self.data_ns else float("inf")

    @property
    def late_s(self) -> float:
        """How old the shown book may be as a whole: 0 while it is the exchange's present one."""
        if self.state is StreamState.POLLED:
            return (self._clock.now_ns() - self.polled.asof_ns) / 1e9
        return self.silent_s() if self.state is StreamState.SLOW else 0.0

    @property
    def silence_confirmed(self) -> bool:
        """Has the exchange confirmed the present silence, not too long ago? An answer to a former one says nothing."""
        return self._confirmed_ns > self.data_ns and self._clock.monotonic_s() < self._confirmed_until_s

    def overdue_s(self) -> float:
        """How long a book that the stream itself begins has been waited for on a living connection; 0 if it is not."""
        if self.sync.from_rest or self.sync.ready or self.refused or not self.book_link.state.usable:
            return 0.0
        return self._clock.monotonic_s() - self._anew_s

    def on_link(self, kind: str, state: StreamState, reason: str) -> None:
        """The connection that carries this kind of topic changed its state."""
        link = self.links.setdefault(kind, Link())
        link.state, link.reason = state, reason
        if kind == "book":
            if state in (StreamState.CONNECTING, StreamState.SYNCING, StreamState.DOWN):
                self._forget()
            self.evaluate()
        else:
            topic = kind.partition("@")[0]
            if topic == "candles" and state is StreamState.SYNCING:
                self.long_bars.restart()
            if topic == "trades" and not state.usable:
                self.tape.lost()
            self._topics.tell(topic)

    def _forget(self) -> None:
        """The connection is gone: what comes next starts from a new snapshot."""
        self.resyncing = False
        self._begin_anew()
        self._confirmed_until_s = float("-inf")
        self.sync.start()
        self.bbo = None

    def change_over(
        self,
        kinds: Iterable[str],
        state: StreamState,
        reason: str,
        sync: BookSync | None,
        book_ns: int,
        *,
        own_ids: bool = False,
    ) -> None:
        """Another connection carries these kinds of topics from now on: nothing is forgotten.

        ``sync`` is the book as it was built there, which takes the place of the present one as a whole. ``own_ids``:
        its update ids say nothing beside those of the connection before.
        """
        for kind in kinds:
            link = self.links.setdefault(kind, Link())
            link.state, link.reason = state, reason
        if sync is not None:
            sync.resyncs += self.sync.resyncs
            self.sync = sync
            self._begin_anew()
            self.old, self.refused, self.resyncing, self.fault = None, "", False, ""
            if own_ids:
                self.bbo = None
            self.data_ns = max(self.data_ns, book_ns)
            if sync.ready:
                self._book_changed(max(self.book_ns, book_ns))
            else:
                self._want_what_is_needed()
        elif "book" in kinds:
            self.sync.book.join()
        self.evaluate()

    def _begin_anew(self) -> None:
        self.generation += 1
        if not self.resyncing:  # further faults while it is rebuilt do not make the wait for it begin again
            self._anew_s = self._clock.monotonic_s()

    def on_subscribed(self) -> None:
        """The exchange accepted the book's subscription: a book can be built from here on."""
        self.refused = ""
        if self.sync.from_rest or not self.sync.ready:
            self._begin_anew()
            self.sync.start()
            self._want_what_is_needed()
        self.evaluate()

    def on_refused(self, reason: str) -> None:
        self.refused = reason
        self._begin_anew()
        self.sync.start()
        self.evaluate()

    def on_lost(self, reason: str) -> None:
        """Frames were lost or not understood: the book cannot be trusted."""
        if self.sync.ready or self.resyncing:
            self._rebuild(reason)

    def confirmed(self, longer_s: float = 0.0) -> None:
        """The exchange was asked and has the same book: that holds for twice ``stale_s``, and ``longer_s`` more."""
        self._confirmed_ns = self._clock.now_ns()
        self._confirmed_until_s = self._clock.monotonic_s() + 2 * self.stale_s + longer_s
        self.evaluate()

    def mute(self, reason: str) -> None:
        """The exchange was asked and has a newer book: our stream is dead."""
        self._set_state(StreamState.STALE, reason)

    def _rebuild(self, reason: str) -> None:
        if self.sync.ready:  # a fault found by the book itself has dropped it already
            self.sync.drop()
        self._begin_anew()
        self.resyncing, self.fault = True, reason
        self.old = None
        self.bbo = None
        self.evaluate()
        self._want_what_is_needed()

    def _want_what_is_needed(self) -> None:
        if self.sync.needs is Need.SNAPSHOT:
            self._want(self, Want.SNAPSHOT)
        elif self.sync.needs is Need.RESUBSCRIBE:
            self._want(self, Want.RESUBSCRIBE)

    def _want_history(self) -> None:
        self._want(self, Want.HISTORY)

    # -- events ------------------------------------------------------------------------------------------------------

    def on_delta(self, delta: BookDelta, recv_ns: int) -> None:
        self.frames += 1
        self.data_ns = recv_ns
        if delta.chained and self.bbo is not None and delta.seq is not None and delta.seq < (delta.prev or 0):
            self.bbo = None  # the numbers begin anew: those of before cannot be compared any more
        try:
            changed = self.sync.take_delta(delta)
        except SyncError as error:
            self._log.warning("book dropped", error=str(error))
            self._rebuild(error.sentence)
            return
        if changed:
            self._book_changed(recv_ns)
            if self.sync.refresh():
                self._want(self, Want.SNAPSHOT)

    def on_snapshot(self, snapshot: BookSnapshot, recv_ns: int) -> None:
        """A whole book, by stream or REST. REST answers must belong to the present ``generation``."""
        self.frames += 1
        self.data_ns = recv_ns
        before = self.sync.book.seq
        try:
            taken = self.sync.take_snapshot(snapshot)
        except SyncError as error:
            self._log.warning("snapshot dropped", error=str(error))
            self._rebuild(error.sentence)
            return
        if not taken:
            self._want(self, Want.SNAPSHOT)
            return
        self.old, self.resyncing, self.fault = None, False, ""
        if before is not None and (self.sync.book.seq or before) < before:
            self.bbo = None  # as above
        self._book_changed(recv_ns)

    def on_polled(self, snapshot: BookSnapshot, asof_ns: int, recv_ns: int, every_s: float) -> None:
        """The book by REST, asked for at ``asof_ns``; not taken once the stream is usable. Raises SyncError."""
        if not judge(self)[0].usable:
            self.polled.take(snapshot, asof_ns, recv_ns, every_s)
            self.evaluate()
            self._topics.tell("book", "leg", "quote")

    def _book_changed(self, recv_ns: int) -> None:
        self.book_ns = recv_ns
        if self.state is not StreamState.LIVE:
            self.evaluate()
        self._topics.tell("book", "leg")
        self._tell_best()

    @property
    def book(self) -> OrderBook:
        """The book that is shown: by REST, from before the start, or the stream's."""
        return self.polled.book if self.state is StreamState.POLLED else self.old or self.sync.book

    @property
    def figures_live(self) -> bool:
        """Do last price, 24 h figures and mark come by stream at this moment, beside a book by REST?"""
        link = self.links.get("quote", self.book_link)
        return link.state.usable and self.polled.fresh(self.price_ns, self._clock.now_ns())

    @property
    def shown_ns(self) -> int:
        """When the shown book's last change was received."""
        return self.polled.recv_ns if self.state is StreamState.POLLED else self.book_ns

    # -- what is known -----------------------------------------------------------------------------------------------

    def best(self) -> tuple[Level | None, Level | None]:
        """Best bid and ask: from the best-price stream while it is ahead of the book, else from the book.

        Both are whole views of one moment of the exchange; they are never mixed within a pair.
        """
        book, bbo = self.book, self.bbo
        if bbo is not None and self.ahead(bbo):
            return (bbo.bid, bbo.bid_size), (bbo.ask, bbo.ask_size)
        return (book.bid, book.ask) if book.ready else (None, None)

    def middle(self) -> tuple[Decimal, int] | None:
        """Between best bid and ask, and when they were told or seen to be so last (ns); None without either."""
        bid, ask = self.best()
        if bid is None or ask is None:
            return None
        sides = [Decimal(levels.text(level[0], self.price_decimals)) for level in (bid, ask)]
        return (sides[0] + sides[1]) / 2, max(self.shown_ns, self.data_ns)

    def ahead(self, bbo: Bbo) -> bool:
        """Is it newer than the book?"""
        return self.sync.ready and self.state is not StreamState.POLLED and self.sync.book.behind(bbo)
