"""One exchange at work: its instruments, connections, markets, snapshots and probes.

``Venue`` owns the adapter, the REST client and the connections of one exchange. Events go from a connection straight
into the market they belong to: frame received to picture marked is one synchronous call chain.
"""

import asyncio
import contextlib
import math
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Iterable
from functools import partial
from itertools import count
from typing import Any

import structlog

from feeds.bars import source_of
from feeds.clock import Clock
from feeds.config import ExchangeConfig
from feeds.domain import Candle, Channel, Market, Markets, Notice, Subscription, Ticker
from feeds.errors import FeedError, Verdict
from feeds.exchange import Exchange, MarketIndex, PolledExchange, Request, TellsDay, TellsStatus
from feeds.history import fetch_candles
from feeds.markets import listing
from feeds.markets.fallback import Fallback
from feeds.markets.fresh_books import FreshBooks
from feeds.markets.inquiry import fetch_markets, watch_day, watch_status
from feeds.markets.keeper import BookKeeper
from feeds.markets.lane import Lane, missing
from feeds.markets.market import MarketFeed
from feeds.markets.notices import Notices
from feeds.markets.renewals import Renewals
from feeds.markets.rest_rounds import RestRounds
from feeds.markets.skew import ClockOffset, keep_time
from feeds.pacing import SendGate
from feeds.recordings.tap import Tap
from feeds.rest import RestClient
from feeds.stream import ConnectGate, Connection, backoff
from feeds.sync import BookSync
from feeds.topics import Topic

log = structlog.get_logger(__name__)

INSTRUMENTS_S = 3600.0
"""How often instruments are listed anew where they come by REST."""

_KIND = {Channel.BOOK: "book", Channel.TICKER: "quote", Channel.TRADES: "trades"}

_TOLD_ONCE = frozenset({Channel.TRADES, Channel.CANDLES})
"""What no later frame makes up for if it is lost; a new subscription may begin with the last ones."""


def kind_of(subscription: Subscription) -> str | None:
    """The kind of topics that this is behind; bars of different intervals may come by different connections."""
    if subscription.channel is Channel.CANDLES:
        return f"candles@{subscription.interval}"
    return _KIND.get(subscription.channel)


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
        self.notices = Notices(config.name, clock)
        self._serial: Counter[str] = Counter()  # connections made so far, by route
        self._trouble = ""  # why the instruments are not here
        self._missing_lists: set[Request] = set()
        self._listed: dict[Request, set[str]] = {}  # by list, what it held the last time
        self.status_changed = status_changed
        self._depth = depth
        self.clock = clock
        self._changed = changed
        self._loaded = loaded
        facts = adapter.facts
        self.gate = ConnectGate(facts.connects_per_minute, facts.connects_per_s, clock=clock)
        self.lane_of: dict[Subscription, Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.keeper = BookKeeper(self, clock, self._spawn)
        self.clock_offset = ClockOffset(clock)
        self.renewals = Renewals(self, clock)
        self.fallback = Fallback(self, clock)
        self.fresh_books = FreshBooks(self, facts.fresh_book_s, depth, clock, self._spawn)
        self._send_gate = SendGate(facts.messages_per_s, clock=clock) if facts.messages_per_address else None
        self.stopping = False

    # -- life --------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to load instruments; connections open when markets are watched."""
        if self.adapter.facts.markets_by_stream:
            self._open_lane(self.adapter.opening_route())
        else:
            products = self.config.products
            requests = [r for r in self.adapter.markets_requests() if r.product.partition(".")[0] in products]
            self._missing_lists = set(requests)  # two may share a path
            for request in requests:
                self._spawn(self._load_markets(request), f"instruments {request.path}")
        if isinstance(self.adapter, TellsStatus):
            self._spawn(watch_status(self.adapter, self.name, self.rest, self.on_notice), "status")
        if isinstance(self.adapter, TellsDay):
            for product in self.config.products:
                watched, tell = partial(self._quoted, product), self._on_day
                asking = watch_day(self.adapter, self.name, self.rest, product, watched, tell)
                self._spawn(asking, f"24 h figures {product}")
        self._spawn(self.keeper.watch(), "watch")
        self._spawn(self.renewals.watch(), "renewals")
        self._spawn(keep_time(self, self.clock), "clock")
        for product in self.config.products:
            self._spawn(self.fallback.watch(product), f"fallback {product}")

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
                self._trouble = error.sentence
                if error.verdict is Verdict.FATAL:
                    return  # asking again cannot help: a person must act
                await asyncio.sleep(next(delays))
                continue
            if failed:
                log.info("instruments loaded after all", exchange=self.name, path=request.path)
                self._trouble = ""
            failed, delays = False, backoff()
            self._missing_lists.discard(request)
            before = self._listed.get(request, set())
            self._listed[request] = {market.symbol for market in found}
            before -= set().union(*self._listed.values())
            self._take_markets(found, before, complete=not self._missing_lists)
            await asyncio.sleep(INSTRUMENTS_S)

    def on_markets(self, event: Markets) -> None:
        """Instruments came by stream."""
        before = {market.symbol for market in self.markets} if event.complete else set()
        self._take_markets(event.markets, before, complete=event.complete)

    def _take_markets(self, markets: Collection[Market], before: Collection[str], *, complete: bool) -> None:
        """``markets_loaded`` is set once all lists are here: only then is an unknown symbol wrong."""
        listing.take(self, markets, before)
        if complete:
            self.markets_loaded.set()
        self._loaded(self)

    def on_notice(self, notice: Notice) -> None:
        if self.notices.take(notice):
            self.status_changed()

    def on_missing(self, lane: Lane, frames: int) -> None:
        """Frames of this connection are missing, of whatever kind: its books are rebuilt, its trades told anew."""
        log.warning("frames missing", exchange=self.name, stream=lane.connection.name, frames=frames)
        for feed, kind in self.carried_by(lane):
            missing(feed, kind, f"{frames} frames of the connection are missing.")
        again = [s for s, other in self.lane_of.items() if other is lane and s.channel in _TOLD_ONCE]
        self.keeper.tell_again(lane.connection, again)

    @property
    def notice(self) -> str:
        """What a person should know of this exchange now, as one line."""
        return " ".join(filter(None, (self._trouble, self.notices.text)))

    # -- markets and their subscriptions -----------------------------------------------------------------------------

    def feed(self, symbol: str) -> MarketFeed:
        """The market's feed, opened if it is not yet. The symbol must be among the instruments."""
        feed = self.feeds.get(symbol)
        if feed is None:
            market, facts = self.markets[symbol], self.adapter.facts
            feed = MarketFeed(
                market,
                self.new_sync(market),
                depth=self._depth,
                stale_s=self.config.stale_s,
                clock=self.clock,
                changed=self._changed,
                want=self.keeper.wanted,
                streamed=facts.candle_intervals,
                led=facts.candles_by_trades,
            )
            self.feeds[symbol] = feed
        return feed

    def new_sync(self, market: Market) -> BookSync:
        """An empty book, to be kept by this exchange's rules."""
        facts = self.adapter.facts
        return BookSync(
            from_rest=facts.snapshot_by_rest or not market.book,
            verify=self.adapter.checksum(market),
            truncates=facts.truncates,
            best_only=not market.book,
            replaces=facts.snapshots_replace,
        )

    def resubscribe(self, feed: MarketFeed) -> None:
        """Bring the subscriptions of a market in line with its watched topics."""
        wanted = set(self._subscriptions(feed.market, feed.watched()))
        present = {s for s in self.lane_of if s.symbol == feed.market.symbol}
        for subscription in present - wanted:
            self.lane_of.pop(subscription).remove([subscription])
        by_lane: dict[Lane, list[Subscription]] = {}
        for subscription in sorted(wanted - present, key=str):
            lane = self._lane_for(self.adapter.route(subscription, feed.market))
            self.lane_of[subscription] = lane
            by_lane.setdefault(lane, []).append(subscription)
            kind = kind_of(subscription)
            if kind is not None:
                feed.on_link(kind, lane.connection.state, lane.connection.reason)
        for lane, subscriptions in by_lane.items():
            lane.add(subscriptions)

    def close_feed(self, symbol: str) -> None:
        feed = self.feeds.pop(symbol, None)
        if feed is not None:
            for topic in feed.watched():
                feed.unwatch(topic)
            gone = [s for s in self.lane_of if s.symbol == symbol]
            for subscription in gone:
                self.lane_of.pop(subscription).remove([subscription])
            self.keeper.forget(symbol)
            self.fresh_books.forget(symbol)

    def _subscriptions(self, market: Market, topics: Iterable[Topic]) -> Iterable[Subscription]:
        topics = list(topics)
        if not topics:
            return
        yield Subscription(channel=Channel.BOOK, symbol=market.symbol)
        unstreamed = self.adapter.facts.unstreamed
        for topic in topics:
            match topic.kind:
                case "quote":
                    if Channel.BBO not in unstreamed:
                        yield Subscription(channel=Channel.BBO, symbol=market.symbol)
                    # Where figures are asked for now and then, prints tell the last price meanwhile.
                    ticker = Channel.TRADES if Channel.TICKER in unstreamed else Channel.TICKER
                    yield Subscription(channel=ticker, symbol=market.symbol)
                    if market.settle is not None:
                        yield Subscription(channel=Channel.MARK, symbol=market.symbol)
                case "trades":
                    yield Subscription(channel=Channel.TRADES, symbol=market.symbol)
                case "candles":
                    if self.adapter.facts.candles_by_trades:
                        yield Subscription(channel=Channel.TRADES, symbol=market.symbol)
                    interval = source_of(topic.interval or "1m", self.adapter.facts.candle_intervals)
                    yield Subscription(channel=Channel.CANDLES, symbol=market.symbol, interval=interval)

    def _quoted(self, product: str) -> MarketIndex:
        """The markets of a product whose 24 h figures somebody watches."""
        feeds = [feed for feed in self.feeds.values() if feed.market.product == product]
        return MarketIndex(feed.market for feed in feeds if any(topic.kind == "quote" for topic in feed.watched()))

    def _on_day(self, ticker: Ticker, recv_ns: int) -> None:
        if (feed := self.feeds.get(ticker.symbol)) is not None:  # closed meanwhile, perhaps
            feed.on_ticker(ticker, recv_ns)

    def _lane_for(self, route: str, beside: Lane | None = None) -> Lane:
        facts = self.adapter.facts
        limit = math.inf if facts.one_connection else facts.streams_per_connection
        for lane in self.lanes:
            if lane.route != route or not lane.open_to_new or lane is beside:
                continue
            if sum(1 for other in self.lane_of.values() if other is lane or other.successor is lane) < limit:
                return lane
        return self._open_lane(route)

    def lane_beside(self, lane: Lane) -> Lane:
        """Another connection of the same route, opened if there is none with room."""
        return self._lane_for(lane.route, lane)

    def _open_lane(self, route: str) -> Lane:
        lane = self.new_lane(route)
        lane.connection.start()
        return lane

    def new_lane(self, route: str) -> Lane:
        """Another connection, not started yet, with the first number that is free."""
        taken = {lane.number for lane in self.lanes if lane.route == route}
        lane = Lane(self, route, next(number for number in count(1) if number not in taken))
        self.lanes.append(lane)
        return lane

    def connect(self, lane: Lane, route: str) -> Connection:
        """A connection for a lane, not started yet. Its name for the log is its own: lanes take over their numbers."""
        self._serial[route] += 1
        name = f"{self.name}/{route}/{self._serial[route]}"
        if isinstance(self.adapter, PolledExchange) and route in self.adapter.facts.polled_routes:
            return RestRounds(
                name=name,
                url=self.adapter.url(route),
                session=self.adapter.poll_session(route, self.markets),
                rest=self.rest,
                facts=self.adapter.facts,
                handler=lane,
                clock=self.clock,
            )
        return Connection(
            name=name,
            url=self.adapter.url(route),
            new_session=lambda: self.adapter.session(route, self.markets),
            facts=self.adapter.facts,
            handler=lane,
            stale_s=self.config.stale_s,
            reconnect_s=self.config.reconnect_s,
            buffer_frames=self.config.buffer_frames,
            may_be_silent=route in self.adapter.facts.silent_routes,
            on_closing=lane.on_closing,
            gate=self.gate,
            send_gate=self._send_gate,
            tap=self.tap,
            clock=self.clock,
        )

    @staticmethod
    def kinds(subscriptions: Iterable[Subscription]) -> set[str]:
        """The kinds of topics that these subscriptions are behind."""
        return {kind for each in subscriptions if (kind := kind_of(each)) is not None}

    @property
    def life_s(self) -> float | None:
        """The age at which the exchange ends connections; None: it does not."""
        return self.config.life_s if self.config.life_s is not None else self.adapter.facts.max_life_s

    def book_lane(self, symbol: str) -> Lane | None:
        """The connection that carries this market's book."""
        return self.lane_of.get(Subscription(channel=Channel.BOOK, symbol=symbol))

    def carried_by(self, lane: Lane) -> list[tuple[MarketFeed, str]]:
        """The markets and kinds of data that come by this connection."""
        return [
            (feed, kind)
            for subscription, other in self.lane_of.items()
            if other is lane
            and (kind := kind_of(subscription)) is not None
            and (feed := self.feeds.get(subscription.symbol)) is not None
        ]

    # -- for the status board ----------------------------------------------------------------------------------------

    async def fetch_candles(self, symbol: str, interval: str, limit: int) -> list[Candle]:
        """History by REST, oldest first. Raises FeedError."""
        bars, _ = await fetch_candles(self.adapter, self.rest, self.markets[symbol], interval, limit)
        return bars

    async def wait_for_markets(self, timeout_s: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.markets_loaded.wait(), timeout_s)
        return self.markets_loaded.is_set()
