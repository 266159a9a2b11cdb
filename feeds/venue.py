"""One exchange at work: its instruments, connections, markets, snapshots and probes.

``Venue`` owns the adapter, the REST client and the connections of one exchange. Events go from a connection straight
into the market they belong to: frame received to picture marked is one synchronous call chain.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import structlog

from feeds.clock import Clock
from feeds.config import ExchangeConfig
from feeds.domain import (
    Bbo,
    BookDelta,
    BookSnapshot,
    Candle,
    Channel,
    Event,
    Market,
    MarkPrice,
    Markets,
    Notice,
    StreamState,
    Subscription,
    Ticker,
    Trade,
)
from feeds.errors import FeedError
from feeds.exchange import Exchange, MarketIndex
from feeds.latency import Histogram
from feeds.market import MarketFeed, Want
from feeds.rest import RestClient
from feeds.stream import ConnectGate, Connection, backoff
from feeds.sync import BookSync
from feeds.topics import Topic

log = structlog.get_logger(__name__)

_KIND = {
    Channel.BOOK: "book",
    Channel.TICKER: "quote",
    Channel.TRADES: "trades",
    Channel.CANDLES: "candles",
}
RESYNCS_PER_MINUTE = 3
"""More rebuilds of one book than this within a minute are spaced out, doubling up to 30 s."""


class Lane:
    """One connection of a venue and what the venue knows of it."""

    def __init__(self, venue: "Venue", route: str, number: int) -> None:
        self.venue = venue
        self.route = route
        self.number = number
        self.latency = Histogram()
        """Milliseconds from the exchange's time to ours, by both clocks as they are."""
        self.connection: Connection = venue.connect(self, route, number)

    # -- what the connection reports (ConnectionHandler) -----------------------------------------------------------

    def on_events(self, connection: Connection, events: list[Event], recv_ns: int) -> None:
        feeds = self.venue.feeds
        for event in events:
            kind = type(event)
            if kind is Markets:
                self.venue.on_markets(event)  # type: ignore[arg-type]
                continue
            if kind is Notice:
                self.venue.on_notice(event)  # type: ignore[arg-type]
                continue
            symbol = getattr(event, "symbol", None)
            feed = feeds.get(symbol) if symbol is not None else None
            if feed is None:
                continue  # acks and the like are the connection's; data of a market just closed
            match event:
                case BookDelta():
                    feed.on_delta(event, recv_ns)
                    self._measure(event.exchange_ms, recv_ns)
                case BookSnapshot():
                    feed.on_snapshot(event, recv_ns)
                case Bbo():
                    feed.on_bbo(event, recv_ns)
                case Trade():
                    feed.on_trade(event, recv_ns)
                    self._measure(event.exchange_ms, recv_ns)
                case Ticker():
                    feed.on_ticker(event, recv_ns)
                case MarkPrice():
                    feed.on_mark(event, recv_ns)
                case Candle():
                    feed.on_candle(event, recv_ns)

    def _measure(self, exchange_ms: int | None, recv_ns: int) -> None:
        if exchange_ms is not None:
            self.latency.add(recv_ns / 1e6 - exchange_ms)

    def on_state(self, connection: Connection, state: StreamState, reason: str) -> None:
        for feed, kind in self.venue.carried_by(self):
            feed.on_link(kind, state, reason)
        self.venue.status_changed()

    def on_overflow(self, connection: Connection, dropped: int) -> None:
        for feed, kind in self.venue.carried_by(self):
            if kind == "book":
                feed.on_lost(f"{dropped} frames were dropped because we were too slow.")

    def on_lost(self, connection: Connection, detail: str) -> None:
        """A frame was not understood, so it may have been an update. Books with ids notice a hole by themselves."""
        for feed, kind in self.venue.carried_by(self):
            if kind == "book" and feed.sync.book.seq is None:
                feed.on_lost("A frame could not be understood.")

    def on_subscribed(self, connection: Connection, subscriptions: Iterable[Subscription]) -> None:
        for subscription in subscriptions:
            feed = self.venue.feeds.get(subscription.symbol)
            if feed is not None and subscription.channel is Channel.BOOK:
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
            if feed is not None and subscription.channel is Channel.BOOK:
                feed.on_refused(f"The exchange refuses this market: {reason}")


class Venue:
    """Everything of one exchange. ``changed`` is called with topics whose content is new, ``loaded`` when instruments
    came (first time or anew), ``status_changed`` when a connection changed its state."""

    def __init__(
        self,
        config: ExchangeConfig,
        adapter: Exchange,
        rest: RestClient,
        *,
        depth: int,
        clock: Clock,
        changed: Callable[[str], None],
        loaded: Callable[["Venue"], None],
        status_changed: Callable[[], None],
    ) -> None:
        self.name = config.name
        self.config = config
        self.adapter = adapter
        self.rest = rest
        self.markets = MarketIndex()
        self.markets_loaded = asyncio.Event()
        self.feeds: dict[str, MarketFeed] = {}
        self.lanes: list[Lane] = []
        self.notice = ""
        self.status_changed = status_changed
        self._depth = depth
        self._clock = clock
        self._changed = changed
        self._loaded = loaded
        self._gate = ConnectGate(adapter.facts.connects_per_minute, clock=clock)
        self._lane_of: dict[Subscription, Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._fetching: dict[str, int] = {}  # symbol -> generation whose snapshot is being fetched
        self._faults: dict[str, deque[float]] = {}  # symbol -> times of its last rebuilds
        self._probed_s: dict[str, float] = {}
        self._snapshots = asyncio.Semaphore(4)
        self._probes = asyncio.Semaphore(4)
        self._stopping = False

    # -- life --------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to load instruments; connections open when markets are watched."""
        if self.adapter.facts.markets_by_stream:
            self._open_lane(self.adapter.opening_route())
        else:
            self._spawn(self._load_markets(), "instruments")
        self._spawn(self._watch(), "watch")

    async def stop(self) -> None:
        """Close every socket. Idempotent."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(lane.connection.stop() for lane in self.lanes))
        await self.rest.close()

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=f"{self.name} {name}")
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task failed", exchange=self.name, task=task.get_name(), exc_info=error)

    # -- instruments -------------------------------------------------------------------------------------------------

    async def _load_markets(self) -> None:
        """Load all instruments, at first until it works, then once an hour for new and changed ones."""
        delays = backoff()
        failed = False
        while True:
            try:
                found: list[Market] = []
                for request in self.adapter.markets_requests():
                    answer = await self.rest.send(request)
                    found += self.adapter.parse_markets(request, answer.raw)
            except FeedError as error:
                if not failed:
                    log.warning("instruments not loaded", exchange=self.name, error=str(error))
                failed = True
                self.notice = error.sentence
                await asyncio.sleep(next(delays))
                continue
            if failed:
                log.info("instruments loaded after all", exchange=self.name)
            failed, delays = False, backoff()
            self.notice = ""
            self.on_markets(Markets(markets=tuple(found), complete=True))
            await asyncio.sleep(3600)

    def on_markets(self, event: Markets) -> None:
        self.markets.update(event.markets)
        if event.complete or self.markets_loaded.is_set():
            self.markets_loaded.set()
            self._loaded(self)

    def on_notice(self, notice: Notice) -> None:
        if notice.text != self.notice:
            log.info("exchange notice", exchange=self.name, text=notice.text)
            self.notice = notice.text
            self.status_changed()

    # -- markets and their subscriptions -----------------------------------------------------------------------------

    def feed(self, symbol: str) -> MarketFeed:
        """The market's feed, opened if it is not yet. The symbol must be among the instruments."""
        feed = self.feeds.get(symbol)
        if feed is None:
            market, facts = self.markets[symbol], self.adapter.facts
            sync = BookSync(
                from_rest=facts.snapshot_by_rest, verify=self.adapter.checksum(market), truncates=facts.truncates
            )
            feed = MarketFeed(
                market,
                sync,
                depth=self._depth,
                stale_s=self.config.stale_s,
                heartbeat=facts.heartbeat_s is not None,
                clock=self._clock,
                changed=self._changed,
                want=self._wanted,
            )
            self.feeds[symbol] = feed
        return feed

    def resubscribe(self, feed: MarketFeed) -> None:
        """Bring the subscriptions of a market in line with its watched topics."""
        wanted = set(self._subscriptions(feed.market, feed.watched()))
        present = {s for s in self._lane_of if s.symbol == feed.market.symbol}
        for subscription in present - wanted:
            self._lane_of.pop(subscription).connection.remove([subscription])
        by_lane: dict[Lane, list[Subscription]] = {}
        for subscription in sorted(wanted - present, key=str):
            lane = self._lane_for(self.adapter.route(subscription, feed.market))
            self._lane_of[subscription] = lane
            by_lane.setdefault(lane, []).append(subscription)
            kind = _KIND.get(subscription.channel)
            if kind is not None:
                feed.on_link(kind, lane.connection.state, lane.connection.reason)
        for lane, subscriptions in by_lane.items():
            lane.connection.add(subscriptions)

    def close_feed(self, symbol: str) -> None:
        feed = self.feeds.pop(symbol, None)
        if feed is not None:
            for topic in feed.watched():
                feed.unwatch(topic)
            gone = [s for s in self._lane_of if s.symbol == symbol]
            for subscription in gone:
                self._lane_of.pop(subscription).connection.remove([subscription])
            self._faults.pop(symbol, None)
            self._probed_s.pop(symbol, None)

    def _subscriptions(self, market: Market, topics: Iterable[Topic]) -> Iterable[Subscription]:
        topics = list(topics)
        if not topics:
            return
        yield Subscription(channel=Channel.BOOK, symbol=market.symbol)
        for topic in topics:
            match topic.kind:
                case "quote":
                    yield Subscription(channel=Channel.BBO, symbol=market.symbol)
                    yield Subscription(channel=Channel.TICKER, symbol=market.symbol)
                    if market.settle is not None:
                        yield Subscription(channel=Channel.MARK, symbol=market.symbol)
                case "trades":
                    yield Subscription(channel=Channel.TRADES, symbol=market.symbol)
                case "candles":
                    yield Subscription(channel=Channel.CANDLES, symbol=market.symbol, interval=topic.interval)

    def _lane_for(self, route: str) -> Lane:
        limit = self.adapter.facts.streams_per_connection
        for lane in self.lanes:
            if lane.route == route and sum(1 for other in self._lane_of.values() if other is lane) < limit:
                return lane
        return self._open_lane(route)

    def _open_lane(self, route: str) -> Lane:
        number = 1 + sum(1 for lane in self.lanes if lane.route == route)
        lane = Lane(self, route, number)
        self.lanes.append(lane)
        lane.connection.start()
        return lane

    def connect(self, lane: Lane, route: str, number: int) -> Connection:
        """A connection for a lane, not started yet."""
        return Connection(
            name=f"{self.name}/{route}/{number}",
            url=self.adapter.url(route),
            new_session=lambda: self.adapter.session(route, self.markets),
            facts=self.adapter.facts,
            handler=lane,
            stale_s=self.config.stale_s,
            reconnect_s=self.config.reconnect_s,
            buffer_frames=self.config.buffer_frames,
            gate=self._gate,
            clock=self._clock,
        )

    def book_lane(self, symbol: str) -> Lane | None:
        """The connection that carries this market's book."""
        return self._lane_of.get(Subscription(channel=Channel.BOOK, symbol=symbol))

    def carried_by(self, lane: Lane) -> list[tuple[MarketFeed, str]]:
        """The markets and kinds of data that come by this connection."""
        return [
            (feed, kind)
            for subscription, other in self._lane_of.items()
            if other is lane
            and (kind := _KIND.get(subscription.channel)) is not None
            and (feed := self.feeds.get(subscription.symbol)) is not None
        ]

    # -- snapshots and rebuilding ------------------------------------------------------------------------------------

    def _wanted(self, feed: MarketFeed, want: Want) -> None:
        symbol = feed.market.symbol
        if self._stopping or self.feeds.get(symbol) is not feed:
            return
        if want is Want.RESUBSCRIBE:
            self._spawn(self._resubscribe_book(feed), f"resubscribe {symbol}")
        elif symbol not in self._fetching:
            self._fetching[symbol] = feed.generation
            self._spawn(self._fetch_snapshot(feed), f"snapshot {symbol}")

    async def _pause_after_faults(self, feed: MarketFeed) -> None:
        """Space out rebuilds of a market that keeps failing."""
        now_s = self._clock.monotonic_s()
        times = self._faults.setdefault(feed.market.symbol, deque(maxlen=16))
        while times and now_s - times[0] > 60:
            times.popleft()
        extra = len(times) - RESYNCS_PER_MINUTE
        times.append(now_s)
        if extra >= 0:
            await asyncio.sleep(min(30.0, 2.0**extra))

    async def _resubscribe_book(self, feed: MarketFeed) -> None:
        await self._pause_after_faults(feed)
        lane = self.book_lane(feed.market.symbol)
        if lane is not None and not feed.sync.ready:
            lane.connection.resubscribe(Subscription(channel=Channel.BOOK, symbol=feed.market.symbol))

    async def _fetch_snapshot(self, feed: MarketFeed) -> None:
        """Fetch until the book stands. A market that starts anew meanwhile makes the answer void, not the work."""
        symbol = feed.market.symbol
        try:
            if feed.state is StreamState.RESYNC:
                await self._pause_after_faults(feed)
            delays = backoff()
            while self.feeds.get(symbol) is feed and feed.sync.needs.value == Want.SNAPSHOT.value:
                if not feed.book_link.state.usable and feed.book_link.state is not StreamState.SYNCING:
                    return  # disconnected: the next subscription asks again
                generation = self._fetching[symbol] = feed.generation
                try:
                    async with self._snapshots:
                        answer = await self.rest.send(self.adapter.snapshot_request(feed.market))
                    snapshot = self.adapter.parse_snapshot(feed.market, answer.raw)
                except FeedError as error:
                    log.warning("snapshot failed", exchange=self.name, market=symbol, error=str(error))
                    await asyncio.sleep(next(delays))
                    continue
                if generation == feed.generation:
                    feed.on_snapshot(snapshot, answer.recv_ns)
                    if feed.sync.needs.value == Want.SNAPSHOT.value:
                        await asyncio.sleep(0.2)  # too old: let the exchange's snapshot pass our first update
        finally:
            self._fetching.pop(symbol, None)

    # -- quiet or mute -----------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Look at every market four times a second: states that time alone changes, and quiet ones to be probed."""
        while True:
            await asyncio.sleep(0.25)
            now_s = self._clock.monotonic_s()
            for symbol, feed in list(self.feeds.items()):
                feed.evaluate()
                due = now_s - self._probed_s.get(symbol, float("-inf")) > feed.stale_s
                quiet = feed.sync.ready and feed.silent_s() > max(feed.stale_s * 0.6, feed.stale_s - 1.5)
                if due and quiet and self.adapter.facts.probe_by_rest and feed.book_link.state is not StreamState.STALE:
                    self._probed_s[symbol] = now_s
                    self._spawn(self._probe(feed), f"probe {symbol}")

    async def _probe(self, feed: MarketFeed) -> None:
        """Ask the exchange whether our silent book is its present one."""
        lane = self.book_lane(feed.market.symbol)
        if lane is None:
            return
        if not await lane.connection.ping(timeout_s=2.0):
            lane.connection.reconnect("no answer to a ping")
            return
        last_ns = lane.connection.last_frame_ns
        if last_ns is not None and self._clock.now_ns() - last_ns > self.config.reconnect_s * 1e9:
            # However quiet the exchange says it is: a connection on which nothing at all comes is cheap to renew,
            # and a server that froze as a whole would confirm its frozen book for ever.
            lane.connection.reconnect(f"nothing received for {self.config.reconnect_s:g} s")
            return
        try:
            async with self._probes:
                answer = await self.rest.send(self.adapter.probe_request(feed.market))
            theirs = self.adapter.parse_probe(feed.market, answer.raw)
        except FeedError as error:
            log.info("probe failed", exchange=self.name, market=feed.market.symbol, error=str(error))
            return
        deadline_s = self._clock.monotonic_s() + 1.0  # what they know may be on its way to us
        while not agrees(feed, theirs):
            if not feed.sync.ready or feed.data_ns > answer.recv_ns:
                return  # data came: not silent any more, the next silence is asked about anew
            if self._clock.monotonic_s() > deadline_s:
                log.warning("mute stream", exchange=self.name, market=feed.market.symbol, theirs=theirs.seq)
                feed.mute("The exchange has newer data than its stream sent us.")
                lane.connection.reconnect("mute: the exchange has newer data than it sent")
                return
            await asyncio.sleep(0.05)
        lane.connection.confirm_quiet(2 * feed.stale_s)
        feed.confirmed()

    # -- for the status board ----------------------------------------------------------------------------------------

    async def fetch_candles(self, symbol: str, interval: str, limit: int) -> list[Candle]:
        """History by REST, oldest first. Raises FeedError."""
        market = self.markets[symbol]
        answer = await self.rest.send(self.adapter.candles_request(market, interval, limit))
        return self.adapter.parse_candles(market, interval, answer.raw)

    async def wait_for_markets(self, timeout_s: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.markets_loaded.wait(), timeout_s)
        return self.markets_loaded.is_set()


def agrees(feed: MarketFeed, theirs: Bbo) -> bool:
    """Is our book the one that the exchange answered with, or a newer one?"""
    book = feed.sync.book
    if theirs.seq is not None and book.seq is not None and theirs.seq <= book.seq:
        return True
    if theirs.seq is not None and feed.market.settle is None:
        return False  # spot ids count this market's changes, so a later id means that we miss one
    return book.bid == (theirs.bid, theirs.bid_size) and book.ask == (theirs.ask, theirs.ask_size)
