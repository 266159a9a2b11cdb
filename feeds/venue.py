"""One exchange at work: its instruments, connections, markets, snapshots and probes.

``Venue`` owns the adapter, the REST client and the connections of one exchange. Events go from a connection straight
into the market they belong to: frame received to picture marked is one synchronous call chain.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import structlog

from feeds.bars import source_of
from feeds.candle_polls import CandlePolls
from feeds.clock import Clock
from feeds.config import ExchangeConfig
from feeds.domain import (
    Bbo,
    BookDelta,
    BookSnapshot,
    Candle,
    Channel,
    Event,
    Lost,
    Market,
    Markets,
    MarkPrice,
    Notice,
    StreamState,
    Subscription,
    Ticker,
    Trade,
)
from feeds.errors import FeedError
from feeds.exchange import Exchange, MarketIndex, Request, TellsStatus
from feeds.inquiry import fetch_markets, watch_status
from feeds.keeper import BookKeeper
from feeds.latency import Histogram
from feeds.market import MarketFeed
from feeds.pacing import SendGate
from feeds.rest import RestClient
from feeds.stream import ConnectGate, Connection, backoff
from feeds.sync import BookSync
from feeds.tap import Tap
from feeds.topics import Topic

log = structlog.get_logger(__name__)

INSTRUMENTS_S = 3600.0
"""How often instruments are listed anew where they come by REST."""

_KIND = {
    Channel.BOOK: "book",
    Channel.TICKER: "quote",
    Channel.TRADES: "trades",
    Channel.CANDLES: "candles",
}

_TOLD_ONCE = frozenset({Channel.TRADES, Channel.CANDLES})
"""What no later frame makes up for if it is lost; a new subscription may begin with the last ones."""


class Lane:
    """One connection of a venue and what the venue knows of it."""

    def __init__(self, venue: "Venue", route: str, number: int) -> None:
        self.venue = venue
        self.route = route
        self.number = number
        self.latency = Histogram()
        """Milliseconds from the exchange's time to ours, by both clocks as they are."""
        self.snapshot_ns = 0  # when the last whole book came
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
            if kind is Lost:
                self.venue.on_missing(self, event.frames)  # type: ignore[union-attr]
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
                    self.snapshot_ns = recv_ns
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
        if self.venue.stopping:
            return  # we close it ourselves: no market has become worse by that
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
        tap: Tap | None = None,
    ) -> None:
        self.name = config.name
        self.config = config
        self.adapter = adapter
        self.rest = rest
        self.tap = tap
        self.markets = MarketIndex()
        self.markets_loaded = asyncio.Event()
        self.feeds: dict[str, MarketFeed] = {}
        self.lanes: list[Lane] = []
        self.notice = ""
        self._missing_lists: set[Request] = set()
        self.status_changed = status_changed
        self._depth = depth
        self._clock = clock
        self._changed = changed
        self._loaded = loaded
        self.gate = ConnectGate(adapter.facts.connects_per_minute, clock=clock)
        self._lane_of: dict[Subscription, Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._keeper = BookKeeper(self, clock, self._spawn)
        self._bars = CandlePolls(self, clock)
        facts = adapter.facts
        self._send_gate = SendGate(facts.messages_per_s, clock=clock) if facts.messages_per_address else None
        self.stopping = False

    # -- life --------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to load instruments; connections open when markets are watched."""
        if self.adapter.facts.markets_by_stream:
            self._open_lane(self.adapter.opening_route())
        else:
            requests = [r for r in self.adapter.markets_requests() if r.product in self.config.products]
            self._missing_lists = set(requests)
            for request in requests:
                self._spawn(self._load_markets(request), f"instruments {request.path}")
        if isinstance(self.adapter, TellsStatus):
            self._spawn(watch_status(self.adapter, self.name, self.rest, self.on_notice), "status")
        self._spawn(self._keeper.watch(), "watch")
        if self.adapter.facts.polled_candles:
            self._spawn(self._bars.run(), "candles")

    async def stop(self) -> None:
        """Close every socket. Idempotent."""
        self.stopping = True
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

    async def _load_markets(self, request: Request) -> None:
        """Load one list of instruments, at first until it works, then once an hour for new and changed ones.

        Each list has its own task: where one product cannot be reached, the others' markets open all the same.
        """
        delays = backoff()
        failed = False
        while True:
            try:
                found = await fetch_markets(self.adapter, self.rest, request)
            except FeedError as error:
                if not failed:
                    log.warning("instruments not loaded", exchange=self.name, path=request.path, error=str(error))
                failed = True
                self.notice = error.sentence
                await asyncio.sleep(next(delays))
                continue
            if failed:
                log.info("instruments loaded after all", exchange=self.name, path=request.path)
                self.notice = ""
            failed, delays = False, backoff()
            self._missing_lists.discard(request)
            self.on_markets(Markets(markets=tuple(found), complete=not self._missing_lists))
            await asyncio.sleep(INSTRUMENTS_S)

    def on_markets(self, event: Markets) -> None:
        """Instruments came. ``markets_loaded`` is set once all lists are here: only then is an unknown symbol wrong."""
        self.markets.update(market for market in event.markets if market.product in self.config.products)
        if event.complete:
            self.markets_loaded.set()
        self._loaded(self)

    def on_notice(self, notice: Notice) -> None:
        if notice.text != self.notice:
            log.info("exchange notice", exchange=self.name, text=notice.text)
            self.notice = notice.text
            self.status_changed()

    def on_missing(self, lane: Lane, frames: int) -> None:
        """Frames of this connection are missing, of whatever kind: its books are rebuilt, its trades told anew."""
        log.warning("frames missing", exchange=self.name, stream=lane.connection.name, frames=frames)
        for feed, kind in self.carried_by(lane):
            if kind == "book":
                feed.on_lost(f"{frames} frames of the connection are missing.")
        again = [s for s, other in self._lane_of.items() if other is lane and s.channel in _TOLD_ONCE]
        self._keeper.tell_again(lane.connection, again)

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
                want=self._keeper.wanted,
                streamed=facts.candle_intervals,
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
            self._keeper.forget(symbol)

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
                case "candles" if topic.interval not in self.adapter.facts.polled_candles:
                    interval = source_of(topic.interval or "1m", self.adapter.facts.candle_intervals)
                    yield Subscription(channel=Channel.CANDLES, symbol=market.symbol, interval=interval)

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
            gate=self.gate,
            send_gate=self._send_gate,
            tap=self.tap,
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
