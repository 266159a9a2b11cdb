"""A recorded exchange in the place of a real one: the same adapter, books, states and pictures, but no socket at all.

A :class:`PlayedVenue` is a :class:`~feeds.markets.venue.Venue` whose connections are those of the recording: frames go
through the adapter's sessions, as ``verify`` reads them, and REST answers come when they came. Nothing can be asked
for, so what the recording does not hold is not shown. All its markets are followed from the first record on, whoever
watches.

Freshness is counted from the moment of playing. The exchange's old times tell no latency, so none is measured.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import structlog

from feeds.clock import Clock
from feeds.config import ExchangeConfig
from feeds.domain import (
    INTERVALS,
    Bbo,
    BookSnapshot,
    Candle,
    Heartbeat,
    Market,
    Markets,
    StreamState,
)
from feeds.errors import ParseError
from feeds.markets.at_work import ExchangeAtWork
from feeds.markets.keeper import agrees
from feeds.markets.lane import Lane, missing
from feeds.markets.market import MarketFeed
from feeds.markets.opening import adapter_of, rest_of
from feeds.markets.venue import Venue
from feeds.recordings.played import KINDS, PlayedConnection, PlayedFeed, PlayedLane
from feeds.recordings.player import Played, Player
from feeds.recordings.recording import Record
from feeds.recordings.scan import asks, probes
from feeds.sync import BookSync, Need

log = structlog.get_logger(__name__)

WAITING = "The replay begins when a page is opened."
ENDED = "The recording has ended."
NOT_COMPLETE = "The recording has ended; it holds no complete book of this market."
LOST = "Frames were not recorded here."

WATCH_S = 0.25
BARS_KEPT = 1500


class PlayedVenue(Venue):
    """Plays when :meth:`begin` is called, or at once if ``at_once``."""

    def __init__(
        self,
        player: Player,
        config: ExchangeConfig,
        *,
        depth: int,
        clock: Clock,
        changed: Callable[[str], None],
        loaded: Callable[[Venue], None],
        status_changed: Callable[[], None],
        at_once: bool = False,
    ) -> None:
        adapter = adapter_of(config)
        super().__init__(
            config,
            adapter,
            rest_of(config, adapter, clock),
            depth=depth,
            clock=clock,
            changed=changed,
            loaded=loaded,
            status_changed=status_changed,
        )
        self.player = player
        self.reel = player.reel
        self._by_conn: dict[str, PlayedLane] = {}
        self._carriers: dict[tuple[str, str], PlayedLane] = {}
        self._snapshots: dict[str, BookSnapshot] = {}  # the newest by REST; it may have come before its stream
        self._known_bars: dict[tuple[str, str], dict[int, Candle]] = {}
        # Played more slowly than it was recorded, what was not silent then would seem so.
        self.stale_s = config.stale_s / min(1.0, player.speed) if player.speed else config.stale_s
        if at_once:
            self.begin()

    @property
    def played(self) -> Played:
        return self.player.played()

    # -- life --------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self.markets.update(self.reel.markets)
        for market in self.markets:
            self.feed(market.symbol).on_link("book", StreamState.CONNECTING, WAITING)
        self.markets_loaded.set()
        self._loaded(self)
        self._spawn(self._play(), "replay")
        self._spawn(self._watch(), "watch")

    def begin(self) -> None:
        self.player.begin()

    async def _play(self) -> None:
        async for record in self.player.records():
            if record.via == "rest":
                self._take_answer(record)
            elif record.via == "ws":
                self._take_frame(record)
            else:
                self._take_word(record)
        self._end()

    def _end(self) -> None:
        """Books stay as they were at the end, and say that they are old."""
        log.info("replay ended", file=self.reel.recording.path.name)
        for lane in self._by_conn.values():
            lane.connection.set_state(StreamState.STALE, ENDED)
        for feed in self.feeds.values():
            if not feed.sync.ready and self.reel.has_book(feed.market):
                feed.on_link("book", StreamState.DOWN, NOT_COMPLETE)
            feed.evaluate()
        self.status_changed()

    async def _watch(self) -> None:
        """What time alone changes. A connection of which nothing comes any more is told from a market that is quiet."""
        while True:
            await asyncio.sleep(WATCH_S)
            now_ns = self.clock.now_ns()
            for lane in self._by_conn.values():
                lane.connection.sample(self.clock.monotonic_s())
                silent_s = (now_ns - (lane.connection.last_frame_ns or now_ns)) / 1e9
                if lane.connection.state is StreamState.LIVE and silent_s >= self.stale_s:
                    lane.connection.set_state(StreamState.STALE, f"nothing was recorded for {self.stale_s:g} s")
            for feed in self.feeds.values():
                feed.evaluate()

    # -- the recording -----------------------------------------------------------------------------------------------

    def _lane(self, conn: str) -> PlayedLane:
        lane = self._by_conn.get(conn)
        if lane is None:
            lane = self._by_conn[conn] = PlayedLane(self, conn, len(self._by_conn) + 1)
            self.lanes.append(lane)
        return lane

    def _take_frame(self, record: Record) -> None:
        now_ns = self.clock.now_ns()
        lane = self._lane(str(record.conn))
        connection = lane.connection
        connection.count(record)
        if connection.state is StreamState.CONNECTING:
            connection.set_state(StreamState.SYNCING, "")
        try:
            events = lane.session.parse(record.raw)
        except ParseError as error:
            connection.not_read()
            log.warning("frame not understood", exchange=self.name, line=record.line, detail=str(error))
            lane.on_lost(connection, str(error))
            return
        if any(type(event) in KINDS or isinstance(event, Heartbeat | Markets) for event in events):
            connection.heard(now_ns)
            if connection.state in (StreamState.SYNCING, StreamState.STALE) and any(type(e) in KINDS for e in events):
                connection.set_state(StreamState.LIVE, "")
        for event in events:
            if (told_ms := getattr(event, "exchange_ms", None)) is not None:
                self.player.told_ms = max(told_ms, self.player.told_ms or 0)
            if isinstance(event, Candle):
                self._keep_bar(event)
        begun = {symbol for symbol, kind in lane.carried if kind == "book"}
        lane.on_events(connection, events, now_ns)
        for symbol, kind in lane.carried:
            if kind == "book" and symbol not in begun and (snapshot := self._snapshots.get(symbol)) is not None:
                self._take_snapshot(snapshot)  # its stream begins only now: it tells whether the snapshot is too old

    def carry(self, lane: PlayedLane, symbol: str, kind: str) -> bool:
        """Note who brings what; False if a later connection brings it now."""
        holder = self._carriers.get((symbol, kind))
        if holder is lane:
            return True
        feed = self.feeds.get(symbol)
        if feed is None:
            return False
        if holder is not None and holder.order > lane.order:
            return kind != "book"
        self._carriers[symbol, kind] = lane
        if holder is not None:
            holder.carried.discard((symbol, kind))
        lane.carried.add((symbol, kind))
        lane.connection.carries = frozenset(each for each, _ in lane.carried)
        if kind == "book":
            feed.on_link("book", StreamState.SYNCING, "")  # whatever another connection brought ends here
            feed.on_subscribed()
        feed.on_link(kind, lane.connection.state, lane.connection.reason)
        return True

    def _take_word(self, record: Record) -> None:
        """What our own recorder says of a connection."""
        for lane in self._by_conn.values():
            if str(record.conn) not in ("", lane.conn):
                continue
            if record.via == "closed":
                lane.begin_anew()
                lane.connection.set_state(StreamState.CONNECTING, record.reason)
            else:
                for feed, kind in self.carried_by(lane):
                    missing(feed, kind, LOST)

    def _take_answer(self, record: Record) -> None:
        raw = record.raw.encode()
        if self.adapter.error_of(record.status, raw, {}) is not None:
            return
        try:
            self._take_good(record.path, raw)
        except ParseError as error:
            log.warning("answer not understood", exchange=self.name, line=record.line, detail=str(error))

    def _take_good(self, path: str, raw: bytes) -> None:
        adapter = self.adapter
        for market in self.markets:
            if probes(adapter, market, path):
                self._take_probe(market, self.adapter.parse_probe(market, raw))
                return
            if self.feeds[market.symbol].sync.from_rest and asks(adapter.snapshot_request(market), path):
                self._take_snapshot(adapter.parse_snapshot(market, raw))
                return
            if (interval := _interval_of(adapter.candles_request, market, path)) is not None:
                bars = adapter.parse_candles(market, interval, raw)
                for bar in bars:
                    self._keep_bar(bar)
                if interval in (feed := self.feeds[market.symbol]).long_bars.wanted():
                    feed.on_history(interval, bars, self.clock.now_ns())
                return

    def _take_probe(self, market: Market, theirs: Bbo) -> None:
        feed = self.feeds[market.symbol]
        if feed.sync.ready and agrees(feed, theirs, self.adapter.facts.probe_size_step):
            feed.confirmed()

    def _take_snapshot(self, snapshot: BookSnapshot) -> None:
        self._snapshots[snapshot.symbol] = snapshot
        feed, lane = self.feeds[snapshot.symbol], self._carriers.get((snapshot.symbol, "book"))
        if lane is not None and lane.connection.state.usable and feed.sync.needs is Need.SNAPSHOT:
            feed.on_snapshot(snapshot, self.clock.now_ns())

    def _keep_bar(self, bar: Candle) -> None:
        bars = self._known_bars.setdefault((bar.symbol, bar.interval), {})
        bars[bar.open_ms] = bar
        if len(bars) > BARS_KEPT:
            del bars[min(bars)]

    # -- what a venue is asked ---------------------------------------------------------------------------------------

    def feed(self, symbol: str) -> MarketFeed:
        feed = self.feeds.get(symbol)
        if feed is None:
            market, facts = self.markets[symbol], self.adapter.facts
            played = PlayedFeed(
                market,
                self.new_sync(market),
                depth=self._depth,
                stale_s=self.stale_s,
                clock=self.clock,
                changed=self._changed,
                want=lambda feed, want: None,  # nothing can be asked for
                streamed=facts.candle_intervals,
                led=facts.candles_by_trades,
            )
            played.has_book = self.reel.has_book(market)
            feed = self.feeds[symbol] = played
        return feed

    def new_sync(self, market: Market) -> BookSync:
        """By the exchange's rules; checksums of a market that was not told take the precision from what was printed."""
        facts = self.adapter.facts
        return BookSync(
            from_rest=facts.snapshot_by_rest or not market.book,
            verify=self.adapter.checksum(self.reel.scan.told.get(market.symbol)),
            truncates=facts.truncates,
            best_only=not market.book,
            replaces=facts.snapshots_replace,
        )

    def resubscribe(self, feed: MarketFeed) -> None:
        """Everything comes anyway."""

    def close_feed(self, symbol: str) -> None:
        """A market goes on unwatched: its book could not be begun again."""

    def on_markets(self, event: Markets) -> None:
        """They are known from the first reading."""

    def on_missing(self, lane: Lane, frames: int) -> None:
        for feed, kind in self.carried_by(lane):
            missing(feed, kind, f"{frames} frames of the connection are missing.")

    def connect(self, lane: Lane, route: str) -> PlayedConnection:
        return PlayedConnection(
            name=f"{self.name}/{route}",
            url=f"ws://recording/{route}",
            new_session=lambda: self.adapter.session(self.adapter.opening_route(), self.markets),
            facts=self.adapter.facts,
            handler=lane,
            clock=self.clock,
        )

    def book_lane(self, symbol: str) -> Lane | None:
        return self._carriers.get((symbol, "book"))

    def carried_by(self, lane: Lane) -> list[tuple[MarketFeed, str]]:
        assert isinstance(lane, PlayedLane)
        return [(self.feeds[symbol], kind) for symbol, kind in sorted(lane.carried) if symbol in self.feeds]

    async def fetch_candles(self, symbol: str, interval: str, limit: int) -> list[Candle]:
        """What the recording has told of them so far."""
        bars = self._known_bars.get((symbol, interval), {})
        return [bars[open_ms] for open_ms in sorted(bars)][-limit:]


def _interval_of(request_of: Callable[[Market, str, int], Any], market: Market, path: str) -> str | None:
    """The interval of the bars that a path asks for; None if it asks for none of this market. Numbers may differ from
    what we would ask, so of several intervals the one that agrees most is meant."""
    best: tuple[int, str] | None = None
    for interval in INTERVALS:
        request = request_of(market, interval, 1)
        if asks(request, path):
            same = sum(f"{name}={value}" in path for name, value in request.params)
            if best is None or same > best[0]:
                best = same, interval
    return None if best is None else best[1]


def played_of(venues: Iterable[ExchangeAtWork]) -> Played | None:
    """How far the replay is, if these are one."""
    return next((venue.played for venue in venues if isinstance(venue, PlayedVenue)), None)
