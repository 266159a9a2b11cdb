"""The parts of a replay that stand where a real exchange's would: connections, their lanes, and markets."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import structs

from feeds.domain import (
    Bbo,
    BookDelta,
    BookSnapshot,
    Candle,
    Channel,
    Event,
    MarkPrice,
    StreamState,
    Subscription,
    Ticker,
    Trade,
)
from feeds.markets.lane import Lane
from feeds.markets.market import MarketFeed
from feeds.publisher import Picture
from feeds.recordings.recording import Record
from feeds.stream import Connection
from feeds.topics import Topic

if TYPE_CHECKING:
    from feeds.recordings.replay import PlayedVenue

NO_BOOK = "The recording holds no order book of this market."

KINDS: dict[type, str] = {
    BookDelta: "book",
    BookSnapshot: "book",
    Bbo: "quote",
    Ticker: "quote",
    MarkPrice: "quote",
    Trade: "trades",
    Candle: "candles",
}


def kind_of(event: Event) -> str | None:
    """The kind of topics that an event is news for, as ``feeds.markets.venue`` names it; None: it is of no market."""
    kind = KINDS.get(type(event))
    return f"{kind}@{event.interval}" if isinstance(event, Candle) else kind


class PlayedConnection(Connection):
    """Stands where a connection stands. It is never opened: the recording's frames are counted here."""

    carries: frozenset[str] = frozenset()

    def start(self) -> None:
        """There is nothing to open."""

    @property
    def subscriptions(self) -> set[Subscription]:
        return {Subscription(channel=Channel.BOOK, symbol=each) for each in self.carries}

    def count(self, record: Record) -> None:
        self._counters.messages += 1
        self._counters.bytes += len(record.raw)

    def sample(self, now_s: float) -> None:
        self._counters.sample(now_s)

    def heard(self, now_ns: int) -> None:
        self._counters.last_frame_ns = now_ns

    def not_read(self) -> None:
        self._counters.not_understood += 1


class PlayedLane(Lane):
    """One connection of the recording."""

    venue: "PlayedVenue"

    connection: PlayedConnection

    def __init__(self, venue: "PlayedVenue", conn: str, order: int) -> None:
        self.conn = conn
        self.order = order  # in which the connections appeared
        self.scan = venue.reel.scan
        self.begin_anew()
        self.carried: set[tuple[str, str]] = set()  # symbol and kind
        super().__init__(venue, conn, 1)

    def begin_anew(self) -> None:
        """What follows is another connection's of the same name."""
        self.session = self.scan.session(self.conn, self.scan.markets)

    def _measure(self, exchange_ms: int | None, recv_ns: int) -> None:
        """Old times tell no latency, and nothing of the exchange's clock."""

    def on_events(self, connection: Connection, events: list[Event], recv_ns: int) -> None:
        super().on_events(connection, [each for each in events if self._wanted(each)], recv_ns)

    def _wanted(self, event: Event) -> bool:
        """False for a book that another connection, which appeared later, carries on; and for partial books."""
        kind = kind_of(event)
        if kind is None:
            return True
        partial = isinstance(event, BookSnapshot) and self.venue.adapter.facts.snapshot_by_rest
        if partial and not self.scan.whole_books(getattr(event, "symbol", "")):
            return False
        return self.venue.carry(self, getattr(event, "symbol", ""), kind)


class PlayedFeed(MarketFeed):
    """A market of the recording. Where no book of it was recorded, its prints and prices stand for themselves."""

    has_book = True

    def evaluate(self) -> None:
        if self.has_book:
            super().evaluate()
            return
        states = {link.state: link.reason for kind, link in self.links.items() if kind != "book"}
        usable = next((state for state in states if state.usable), None)
        if usable is None:
            state, reason = next(iter(states.items()), (self.book_link.state, self.book_link.reason))
            self._set_state(state, reason or NO_BOOK)
        elif self.silent_s() < self.stale_s:
            self._set_state(StreamState.LIVE, NO_BOOK)
        else:
            self._set_state(StreamState.STALE, f"No data for {self.stale_s:g} s or more.")

    def silent_s(self) -> float:
        """Without a book: since anything else came."""
        if self.has_book:
            return super().silent_s()
        newest_ns = max(self.price_ns, self.trades_ns, self.candles_ns)
        return (self._clock.now_ns() - newest_ns) / 1e9

    def watch(self, topic: Topic) -> Callable[[], Picture | None]:
        render = super().watch(topic)
        if self.has_book or topic.kind != "book":
            return render

        def without_book() -> Picture | None:
            picture = render()
            return None if picture is None else structs.replace(picture, state=StreamState.DOWN)

        return without_book
