"""One market: its book, prints, bars and prices, and the one state that says how far they may be trusted.

No I/O: ``venue`` feeds it events and the state of the connection that carries its book, and does what ``wants`` says.
Pictures of its topics are drawn on demand by the publisher.
"""

import enum
from collections import deque
from collections.abc import Callable, Sequence
from decimal import Decimal

import structlog

from feeds import levels, pictures
from feeds.bars import BarKit
from feeds.book import OrderBook
from feeds.clock import Clock
from feeds.domain import (
    INTERVALS,
    Bbo,
    BookDelta,
    BookSnapshot,
    Candle,
    Level,
    Market,
    MarkPrice,
    StreamState,
    Ticker,
    Trade,
)
from feeds.errors import SyncError
from feeds.publisher import Picture
from feeds.sync import BookSync, Need
from feeds.topics import Topic

log = structlog.get_logger(__name__)

TRADES_KEPT = 200


class Want(enum.Enum):
    """What the owner of the sockets shall do for this market."""

    SNAPSHOT = "snapshot"
    RESUBSCRIBE = "resubscribe"
    HISTORY = "history"  # of short bars, for the long ones made of them


class Link:
    """What a market knows of the connection that carries one of its channels."""

    __slots__ = ("reason", "state")

    def __init__(self) -> None:
        self.state = StreamState.CONNECTING
        self.reason = ""


class MarketFeed:
    """The present of one market. All methods are synchronous; use from one event loop.

    ``changed`` is called with each topic whose content is new, ``want`` when a snapshot or a new subscription is
    needed. ``heartbeat``: the exchange proves by heartbeats that silence means that nothing happened. ``streamed``:
    candle intervals that come by stream; the others are made of these.
    """

    def __init__(
        self,
        market: Market,
        sync: BookSync,
        *,
        depth: int,
        stale_s: float,
        heartbeat: bool,
        clock: Clock,
        changed: Callable[[str], None],
        want: Callable[["MarketFeed", Want], None],
        streamed: Sequence[str] = tuple(INTERVALS),
    ) -> None:
        self.market = market
        self.price_decimals = market.price_decimals
        self.size_decimals = market.size_decimals
        self.sync = sync
        self.depth = depth
        self.stale_s = stale_s
        self.heartbeat = heartbeat
        self._clock = clock
        self._changed = changed
        self._want = want
        self._log = log.bind(exchange=market.exchange, market=market.symbol)

        self.state = StreamState.CONNECTING
        self.reason = ""
        self.since_ns = clock.now_ns()
        self.generation = 0  # rises whenever the book starts anew, so that a late snapshot is known as late
        self.old: OrderBook | None = None  # the book from before the start, until there is a live one
        self.refused = ""  # why the exchange refuses the book, if it does

        self.book_link = Link()
        self.links: dict[str, Link] = {"book": self.book_link}  # kind of topic -> the connection behind it
        self.data_ns = 0  # when the last book or best-price frame came
        self.book_ns = 0  # when the last applied book update came
        self.confirmed_s = float("-inf")  # monotonic: the exchange confirmed our book
        self.frames = 0
        self._resyncing = False
        self._fault = ""

        self._told_best: tuple[Level | None, Level | None] = (None, None)
        self.bbo: Bbo | None = None
        self.bbo_ns = 0
        self.ticker: Ticker | None = None
        self.mark: MarkPrice | None = None
        self.mark_ns = 0
        self.price_ns = 0  # when the last ticker, mark or best price came
        self.trades: deque[Trade] = deque(maxlen=TRADES_KEPT)
        self._trade_ids: set[str] = set()
        self.trades_ns = 0
        self.candles: dict[str, deque[Candle]] = {}
        self.candles_ns = 0
        self.long_bars = BarKit(streamed)
        self._topics: dict[str, dict[str, Topic]] = {"book": {}, "quote": {}, "trades": {}, "candles": {}}

    # -- topics ------------------------------------------------------------------------------------------------------

    def watch(self, topic: Topic) -> Callable[[], Picture | None]:
        """Begin to report changes of a topic; returns its renderer. Raises ValueError if it cannot be drawn."""
        if topic.kind == "book" and topic.step is not None:
            levels.check_step(topic.step, self.market.tick)
        self._topics[topic.kind][str(topic)] = topic
        match topic.kind:
            case "book":
                return lambda: pictures.draw_book(self, topic.step)
            case "quote":
                return lambda: pictures.draw_quote(self)
            case "trades":
                return lambda: pictures.draw_trades(self)
            case _:
                interval = topic.interval or "1m"
                self.long_bars.watch(interval)
                return lambda: pictures.draw_candles(self, interval)

    def unwatch(self, topic: Topic) -> None:
        self._topics[topic.kind].pop(str(topic), None)
        self.long_bars.unwatch(topic.interval or "")

    def watched(self) -> list[Topic]:
        return [topic for group in self._topics.values() for topic in group.values()]

    def _tell(self, kind: str) -> None:
        for topic in self._topics[kind]:
            self._changed(topic)

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
        for kind in self._topics:
            self._tell(kind)

    def evaluate(self) -> None:
        """Decide the state anew from the connection, the book and the silence."""
        link = self.book_link
        if self.refused:
            self._set_state(StreamState.DOWN, self.refused)
        elif self.old is not None:
            self._set_state(StreamState.STALE, "From before the start; the book is being loaded.")
        elif link.state in (StreamState.DOWN, StreamState.CONNECTING):
            self._set_state(link.state, link.reason)
        elif not self.sync.ready:
            if self._resyncing:
                self._set_state(StreamState.RESYNC, self._fault)
            else:
                self._set_state(StreamState.SYNCING)
        elif link.state is StreamState.STALE:
            self._set_state(StreamState.STALE, link.reason)
        elif link.state is StreamState.SLOW:
            self._set_state(StreamState.SLOW, link.reason)
        else:
            silent_s = self.silent_s()
            if silent_s < self.stale_s:
                self._set_state(StreamState.LIVE)
            elif self.heartbeat:
                self._set_state(StreamState.QUIET, "The exchange's heartbeats go on; nothing changed.")
            elif self._clock.monotonic_s() - self.confirmed_s < 2 * self.stale_s:
                self._set_state(StreamState.QUIET, "The exchange confirmed that nothing changed.")
            else:
                self._set_state(StreamState.STALE, f"No data for {self.stale_s:g} s or more.")

    def silent_s(self) -> float:
        """Seconds since the last book or best-price frame."""
        return (self._clock.now_ns() - self.data_ns) / 1e9 if self.data_ns else float("inf")

    def overdue_s(self) -> float:
        """How long a book that the stream itself begins has been waited for on a living connection; 0 if it is not."""
        waiting = self.state in (StreamState.SYNCING, StreamState.RESYNC) and self.book_link.state.usable
        if self.sync.from_rest or not waiting:
            return 0.0
        return (self._clock.now_ns() - self.since_ns) / 1e9

    def on_link(self, kind: str, state: StreamState, reason: str) -> None:
        """The connection that carries this kind of topic changed its state."""
        link = self.links.setdefault(kind, Link())
        link.state, link.reason = state, reason
        if kind == "book":
            if state in (StreamState.CONNECTING, StreamState.SYNCING, StreamState.DOWN):
                self._forget()
            self.evaluate()
        else:
            if kind == "candles" and state is StreamState.SYNCING:
                self.long_bars.restart()
            self._tell(kind)

    def _forget(self) -> None:
        """The connection is gone: what comes next starts from a new snapshot."""
        self.generation += 1
        self._resyncing = False
        self.confirmed_s = float("-inf")
        self.sync.start()
        self.bbo = None

    def on_subscribed(self) -> None:
        """The exchange accepted the book's subscription: a book can be built from here on."""
        self.refused = ""
        if self.sync.from_rest or not self.sync.ready:
            self.generation += 1
            self.sync.start()
            self._want_what_is_needed()
        self.evaluate()

    def on_refused(self, reason: str) -> None:
        self.refused = reason
        self.generation += 1
        self.sync.start()
        self.evaluate()

    def on_lost(self, reason: str) -> None:
        """Frames were lost or not understood: the book cannot be trusted."""
        if self.sync.ready or self._resyncing:
            self._rebuild(reason)

    def confirmed(self, longer_s: float = 0.0) -> None:
        """The exchange was asked and has the same book: that holds for twice ``stale_s``, and ``longer_s`` more."""
        self.confirmed_s = self._clock.monotonic_s() + longer_s
        self.evaluate()

    def mute(self, reason: str) -> None:
        """The exchange was asked and has a newer book: our stream is dead."""
        self._set_state(StreamState.STALE, reason)

    def _rebuild(self, reason: str) -> None:
        if self.sync.ready:  # a fault found by the book itself has dropped it already
            self.sync.drop()
        self.generation += 1
        self._resyncing, self._fault = True, reason
        self.old = None
        self.bbo = None
        self.evaluate()
        self._want_what_is_needed()

    def _want_what_is_needed(self) -> None:
        if self.sync.needs is Need.SNAPSHOT:
            self._want(self, Want.SNAPSHOT)
        elif self.sync.needs is Need.RESUBSCRIBE:
            self._want(self, Want.RESUBSCRIBE)

    # -- events ------------------------------------------------------------------------------------------------------

    def on_delta(self, delta: BookDelta, recv_ns: int) -> None:
        self.frames += 1
        self.data_ns = recv_ns
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
        try:
            taken = self.sync.take_snapshot(snapshot)
        except SyncError as error:
            self._log.warning("snapshot dropped", error=str(error))
            self._rebuild(error.sentence)
            return
        if not taken:
            self._want(self, Want.SNAPSHOT)
            return
        self.old = None
        self._resyncing = False
        self._fault = ""
        self._book_changed(recv_ns)

    def _book_changed(self, recv_ns: int) -> None:
        self.book_ns = recv_ns
        if self.state is not StreamState.LIVE:
            self.evaluate()
        self._tell("book")
        best = self.best()
        if best != self._told_best:  # most updates are deep in the book: no news for a watchlist
            self._told_best = best
            self._tell("quote")

    def on_bbo(self, bbo: Bbo, recv_ns: int) -> None:
        self.bbo, self.bbo_ns, self.price_ns = bbo, recv_ns, recv_ns
        best = self.best()
        if best != self._told_best:
            self._told_best = best
            self._tell("quote")

    def on_ticker(self, ticker: Ticker, recv_ns: int) -> None:
        self.ticker, self.price_ns = ticker, recv_ns
        self._tell("quote")

    def on_mark(self, mark: MarkPrice, recv_ns: int) -> None:
        self.mark, self.mark_ns, self.price_ns = mark, recv_ns, recv_ns
        self._tell("quote")

    def on_trade(self, trade: Trade, recv_ns: int) -> None:
        """A print; one that came before (a snapshot after a reconnect) is not shown twice."""
        if trade.id in self._trade_ids:
            return
        if len(self.trades) == TRADES_KEPT:
            self._trade_ids.discard(self.trades[0].id)
        self._trade_ids.add(trade.id)
        self.trades.append(trade)
        self.trades_ns = recv_ns
        self._tell("trades")

    def on_candle(self, candle: Candle, recv_ns: int) -> None:
        bars = self.candles.setdefault(candle.interval, deque(maxlen=2))
        if bars and bars[-1].open_ms == candle.open_ms:
            bars[-1] = candle
        elif not bars or bars[-1].open_ms < candle.open_ms:
            bars.append(candle)
        else:
            return  # older than the running bar: history is read by REST
        self.candles_ns = recv_ns
        for name, topic in self._topics["candles"].items():
            if topic.interval == candle.interval:
                self._changed(name)
        for bar in self.long_bars.take(candle):
            self.on_candle(bar, recv_ns)
        if self.long_bars.wanted():
            self._want(self, Want.HISTORY)

    def on_history(self, interval: str, bars: Sequence[Candle], recv_ns: int) -> None:
        """History of short bars, oldest first, by REST."""
        for bar in self.long_bars.seed(interval, bars):
            self.on_candle(bar, recv_ns)

    # -- what is known -----------------------------------------------------------------------------------------------

    def best(self) -> tuple[Level | None, Level | None]:
        """Best bid and ask: from the best-price stream while it is ahead of the book, else from the book.

        Both are whole views of one moment of the exchange; they are never mixed within a pair.
        """
        book, bbo = self.old or self.sync.book, self.bbo
        if bbo is not None and self.ahead(bbo):
            return (bbo.bid, bbo.bid_size), (bbo.ask, bbo.ask_size)
        return (book.bid, book.ask) if book.ready else (None, None)

    def ahead(self, bbo: Bbo) -> bool:
        if not self.sync.ready:
            return False
        if bbo.seq is not None and self.sync.book.seq is not None:
            return bbo.seq > self.sync.book.seq
        return False  # without ids nobody can tell which is newer: the book, which is verified, holds

    @property
    def last_price(self) -> Decimal | None:
        """Price of the newest print, else of the ticker."""
        trade = self.trades[-1] if self.trades else None
        ticker = self.ticker
        if trade is not None and (
            ticker is None or ticker.exchange_ms is None or trade.exchange_ms >= ticker.exchange_ms
        ):
            return trade.price
        return ticker.last if ticker is not None else None

    def state_of(self, kind: str) -> StreamState:
        """A topic is as good as the book's state and the connection that carries it, whichever is worse."""
        link = self.links.get(kind)
        if link is not None and not link.state.usable and link.state is not StreamState.SYNCING:
            return link.state
        return self.state
