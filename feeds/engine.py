"""The worker's heart: leases in, frames out.

Somebody leases topics (a web process for its browsers, the configuration for pinned markets, an account for the marks
of its positions). The engine opens what is leased, keeps it a while after the last lease has ended, and hands frames to
its :class:`~feeds.publisher.Sink`. It knows nothing of Channels or Django.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import structlog

from feeds.account import AccountSpec
from feeds.account_store import AccountStore
from feeds.across.arbitrage import AcrossStore
from feeds.across.together import Together
from feeds.board import Board
from feeds.clock import SYSTEM, Clock
from feeds.config import Config
from feeds.domain import StreamState
from feeds.errors import ConfigError, FeedError
from feeds.following.desk import Desk
from feeds.markets.at_work import ExchangeAtWork
from feeds.markets.opening import MakesVenue, make_venue
from feeds.markets.pictures import candle_row, market_row
from feeds.publisher import Publisher, Render, Sink
from feeds.state import SavedMarket, StateFile, recall, remember
from feeds.topics import ARBITRAGE, LEG, PORTFOLIO, STREAMS, SYMBOL_KINDS, Topic, parse_topic, read_leg

log = structlog.get_logger(__name__)

PINNED = "pinned"
DESK = "desk"
TOGETHER = "together"
OURS = (PINNED, DESK, TOGETHER)
"""Holders within the engine: nobody who could be told anything."""

CANDLES_CACHED_S = 2.0

INTERVALS_S = {
    "trades": 0.2,
    "candles": 0.2,
    "across": 0.1,
    "matrix": 0.1,
    ARBITRAGE: 0.2,
    STREAMS: 0.5,
    PORTFOLIO: 1.0,
}
"""Windows of their own for topics whose frames are large for the news in them: a trades frame repeats 50 prints, so at
a busy market's pace it would cost a browser more than all books together. What several exchanges show together changes
with each of them."""


class Lease(msgspec.Struct):
    """What one holder watches, and until when (monotonic seconds)."""

    topics: set[str]
    expires_s: float


class Engine:
    """Opens and closes streams by lease, publishes frames, follows accounts. Use from one event loop.

    ``store`` is where accounts live; without one there are no accounts. ``across_store`` is where arbitrage events and
    the user's fees live; without one there are none. ``venue_of`` makes an exchange at work.
    """

    def __init__(
        self,
        config: Config,
        sink: Sink,
        store: AccountStore | None = None,
        across_store: AcrossStore | None = None,
        *,
        venue_of: MakesVenue = make_venue,
        clock: Clock = SYSTEM,
    ) -> None:
        self.config = config
        self.sink = sink
        self._clock = clock
        self.publisher = Publisher(sink, interval_s=config.conflation_ms / 1000, clock=clock)
        self.venues: dict[str, ExchangeAtWork] = {
            name: venue_of(
                exchange,
                depth=config.depth,
                clock=clock,
                changed=self._market_changed,
                loaded=self._markets_loaded,
                status_changed=lambda: self.publisher.changed(STREAMS),
            )
            for name, exchange in config.exchanges.items()
            if exchange.enabled
        }
        pinned = {(name, symbol) for name in self.venues for symbol in config.exchanges[name].pinned}
        self.board = Board(self.venues, self.publisher, pinned, clock)
        self.desk = Desk(store, self.venues, self.publisher.changed, self._lease_marks, clock) if store else None
        changed, lease = self.publisher.changed, self._lease_legs
        self.together = Together(
            config.across, self.venues, changed, lease, across_store, depth=config.depth, clock=clock
        )
        self._pinned = pinned
        self._leases: dict[str, Lease] = {PINNED: Lease(self._pinned_topics(), float("inf"))}
        self._open: dict[str, Topic] = {}
        self._unwanted_s: dict[str, float] = {}  # open topics without a lease, since when
        self._state = StateFile(config.state_dir)
        self._saved: dict[tuple[str, str], SavedMarket] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._bars: dict[tuple[str, str, str], tuple[float, list[dict[str, Any]]]] = {}
        self._problem: ConfigError | None = None

    def _pinned_topics(self) -> set[str]:
        topics = set(self.config.across.watch)
        for exchange, symbol in self._pinned:
            topics |= {f"{kind}:{exchange}:{symbol}" for kind in ("book", "quote", "trades")}
            topics |= {f"candles@{i}:{exchange}:{symbol}" for i in self.config.exchanges[exchange].candles}
        return topics

    def _market_changed(self, topic: str) -> None:
        if topic.startswith(LEG):
            self.together.touched(topic)
        else:
            self.publisher.changed(topic)

    # -- life --------------------------------------------------------------------------------------------------------

    async def start(self, *, markets_timeout_s: float = 5.0) -> None:
        """Open the pinned markets. Raises ConfigError if a pinned symbol is not among an exchange's instruments.

        An exchange whose instruments do not come within ``markets_timeout_s`` does not hold the start up: its markets
        open when it can be reached.
        """
        self._saved = await asyncio.to_thread(self._state.load)
        await self.together.start()
        for venue in self.venues.values():
            venue.start()
        await asyncio.gather(*(venue.wait_for_markets(markets_timeout_s) for venue in self.venues.values()))
        if self._problem is not None:
            await self.stop()
            raise self._problem
        self._tasks = [
            asyncio.create_task(self._tick(), name="engine tick"),
            asyncio.create_task(self._save_regularly(), name="engine state"),
        ]
        log.info("engine started", exchanges=sorted(self.venues), pinned=len(self._pinned))

    async def stop(self) -> None:
        """Close every socket, cancel what is pending, save the state. Idempotent, within 5 s."""
        started_s = time.monotonic()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        self._save_state()
        # Side by side: each waits for a while for a store that takes nothing, and the sockets must still be closed.
        await asyncio.gather(self.together.stop(), *([self.desk.stop()] if self.desk is not None else []))
        self.publisher.close_all()
        await asyncio.gather(*(venue.stop() for venue in self.venues.values()))
        log.info("engine stopped", seconds=round(time.monotonic() - started_s, 2))

    async def _tick(self) -> None:
        """Twice a second: leases that ended, topics nobody wants, the status board, live marks."""
        count = 0
        while True:
            await asyncio.sleep(0.5)
            count += 1
            now_s = self._clock.monotonic_s()
            for holder in [h for h, lease in self._leases.items() if lease.expires_s <= now_s]:
                del self._leases[holder]
            self._reconcile()
            self.together.tick()
            if self.desk is not None:
                self.desk.tick()
            if count % 2 == 0:
                self.board.measure()
                self.publisher.changed(STREAMS)

    # -- leases ------------------------------------------------------------------------------------------------------

    def lease(self, holder: str, topics: Sequence[str], ttl_s: float) -> None:
        """Replace what ``holder`` watches, for ``ttl_s`` seconds. Topics that are new for it are answered with their
        present frame, or refused with a sentence."""
        wanted: set[str] = set()
        for text in topics:
            try:
                wanted.add(str(parse_topic(text)))
            except ValueError as error:
                self.sink.refuse(holder, text, str(error))
        before = self._leases.get(holder)
        self._leases[holder] = Lease(wanted, self._clock.monotonic_s() + ttl_s)
        self._reconcile()
        for topic in sorted(wanted - (before.topics if before else set())):
            if topic in self._open:
                self.publisher.greet(holder, topic)

    def _lease_marks(self, topics: set[str]) -> None:
        self._leases[DESK] = Lease(topics, float("inf"))

    def _lease_legs(self, topics: set[str]) -> None:
        self._leases[TOGETHER] = Lease(topics, float("inf"))

    def _wanted(self) -> set[str]:
        return set().union(*(lease.topics for lease in self._leases.values()))

    def _reconcile(self) -> None:
        """Open what is leased and not open; close what has had no lease for ``linger_s``."""
        touched: set[tuple[str, str]] = set()
        for text in sorted(self._wanted() - self._open.keys()):
            self._try_open(read_leg(text) or parse_topic(text), touched)
        for text in sorted(self._wanted() - self._open.keys()):  # legs of what was opened just now
            if (leg := read_leg(text)) is not None:
                self._try_open(leg, touched)
        wanted = self._wanted()
        now_s = self._clock.monotonic_s()
        for text in list(self._open):
            if text in wanted:
                self._unwanted_s.pop(text, None)
            elif now_s - self._unwanted_s.setdefault(text, now_s) >= self.config.linger_s:
                self._close(text, touched)
        for exchange, symbol in sorted(touched):
            venue = self.venues[exchange]
            feed = venue.feeds[symbol]
            if feed.watched():
                venue.resubscribe(feed)
            else:
                venue.close_feed(symbol)

    def _try_open(self, topic: Topic, touched: set[tuple[str, str]]) -> None:
        text = str(topic)
        try:
            render = self._renderer(topic, touched)
        except ValueError as error:
            self._refuse(text, str(error))
            return
        if render is None:
            return  # the exchange's instruments are not known yet
        self._open[text] = topic
        if topic.kind == LEG:
            self.together.touched(text)  # it may be open and good already
            return
        self.publisher.open(text, render, interval_s=INTERVALS_S.get(topic.kind))

    def _renderer(self, topic: Topic, touched: set[tuple[str, str]]) -> Render | None:
        """How a topic is drawn. None: not yet possible; raises ValueError with a sentence if it never is."""
        if topic.kind == STREAMS:
            return self.board.draw
        if topic.account is not None or topic.user is not None:
            if self.desk is None:
                raise ValueError("This worker follows no accounts.")
            return self.desk.renderer(topic)
        if topic.kind in SYMBOL_KINDS or topic.kind == ARBITRAGE:
            return self.together.renderer(topic)
        venue = self.venues.get(topic.exchange)
        if venue is None:
            raise ValueError(f"There is no exchange {topic.exchange!r}; there are {', '.join(sorted(self.venues))}.")
        if topic.symbol not in venue.markets:
            if not venue.markets_loaded.is_set():
                return None
            raise ValueError(f"{topic.exchange} has no market {topic.symbol!r}.")
        if topic.kind == "book" and (why := venue.markets[topic.symbol].no_book):
            raise ValueError(why)
        new = topic.symbol not in venue.feeds
        feed = venue.feed(topic.symbol)
        saved = self._saved.pop((topic.exchange, topic.symbol), None) if new else None
        if saved is not None:
            recall(feed, saved)
        touched.add((topic.exchange, topic.symbol))
        return feed.watch(topic)

    def _refuse(self, text: str, reason: str) -> None:
        for holder, lease in self._leases.items():
            if text in lease.topics:
                lease.topics.discard(text)
                if holder not in OURS:
                    self.sink.refuse(holder, text, reason)
                elif holder == PINNED:
                    log.warning("topic of the configuration cannot be opened", topic=text, reason=reason)

    def _close(self, text: str, touched: set[tuple[str, str]]) -> None:
        topic = self._open.pop(text)
        self._unwanted_s.pop(text, None)
        self.publisher.close(text)
        self.together.close(topic)
        if self.desk is not None:
            self.desk.close(text)
        venue = self.venues.get(topic.exchange)
        if venue is not None and (feed := venue.feeds.get(topic.symbol)) is not None:
            feed.unwatch(topic)
            touched.add((topic.exchange, topic.symbol))

    def _markets_loaded(self, venue: ExchangeAtWork) -> None:
        """Instruments came: pinned symbols can be judged, waiting topics opened and their holders answered."""
        for symbol in venue.config.pinned:
            if venue.markets_loaded.is_set() and symbol not in venue.markets:
                known = sorted(market.symbol for market in venue.markets)
                where = self.config.path.name if self.config.path else "built-in configuration"
                self._problem = ConfigError(
                    f"{where}: exchanges.{venue.name}.pinned: {symbol!r} is not a market of {venue.name}; "
                    f"allowed are {', '.join(known[:40])}{', ...' if len(known) > 40 else ''}"
                )
                log.error("pinned market does not exist", exchange=venue.name, market=symbol)
        before = set(self._open)
        self.together.refresh()
        self._reconcile()
        for text in self._open.keys() - before:
            for holder, lease in self._leases.items():
                if text in lease.topics and holder not in OURS:
                    self.publisher.greet(holder, text)

    # -- state over restarts -----------------------------------------------------------------------------------------

    def _remembered(self) -> list[SavedMarket]:
        feeds = [feed for venue in self.venues.values() for feed in venue.feeds.values()]
        present = [saved for feed in feeds if (saved := remember(feed)) is not None]
        return present + list(self._saved.values())  # markets not opened since the start keep what they had

    async def _save_regularly(self) -> None:
        failed = False
        while True:
            await asyncio.sleep(self.config.save_s)
            content = self._state.encode(self._remembered())
            try:
                await asyncio.to_thread(self._state.write, content)
            except OSError as error:
                if not failed:
                    log.error("state not saved", file=str(self._state.path), error=str(error))
                failed = True
                continue
            if failed:
                log.info("state saved again", file=str(self._state.path))
            failed = False

    def _save_state(self) -> None:
        try:
            self._state.write(self._state.encode(self._remembered()))
        except OSError as error:
            log.error("state not saved", file=str(self._state.path), error=str(error))

    # -- questions ---------------------------------------------------------------------------------------------------

    def newest(self, topic: str) -> str | None:
        """The topic's present frame, if it is open and has one."""
        return self.publisher.fresh(str(parse_topic(topic)))

    def health(self) -> dict[str, Any]:
        """What ``/healthz`` tells of this worker."""
        return self.board.health()

    def metrics(self) -> dict[str, Any]:
        """Counts, gauges and histograms for ``/metrics``."""
        return self.board.metrics()

    def markets(self) -> list[dict[str, Any]]:
        """All instruments known, as rows of ``/api/markets/``."""
        return [
            market_row(market, (market.exchange, market.symbol) in self._pinned, venue.config)
            for venue in self.venues.values()
            for market in venue.markets
        ]

    async def candles(self, exchange: str, symbol: str, interval: str, limit: int) -> list[dict[str, Any]]:
        """History, oldest first, joined with the live bars. Raises FeedError, or KeyError for an unknown market."""
        venue = self.venues[exchange]
        key = (exchange, symbol, interval)
        now_s = self._clock.monotonic_s()
        cached = self._bars.get(key)
        if cached is None or now_s - cached[0] > CANDLES_CACHED_S or len(cached[1]) < limit:
            bars = await venue.fetch_candles(symbol, interval, max(limit, 500))
            cached = (now_s, [candle_row(bar, venue.markets[symbol]) for bar in bars])
            self._bars = {k: v for k, v in self._bars.items() if now_s - v[0] <= CANDLES_CACHED_S}
            self._bars[key] = cached
        rows = {row["open_ms"]: row for row in cached[1]}
        feed = venue.feeds.get(symbol)
        if feed is not None and feed.state in (StreamState.LIVE, StreamState.QUIET, StreamState.SLOW):
            for bar in feed.candles.get(interval, ()):
                rows[bar.open_ms] = candle_row(bar, venue.markets[symbol])
        return [rows[open_ms] for open_ms in sorted(rows)][-limit:]

    # -- accounts ----------------------------------------------------------------------------------------------------

    async def follow(self, account: AccountSpec) -> None:
        """Follow an account from now on. Raises FeedError if its exchange is not configured or has no account side."""
        if self.desk is None:
            raise FeedError("this worker has no account store")
        await self.desk.follow(account)

    async def unfollow(self, account_id: int) -> None:
        if self.desk is not None:
            await self.desk.unfollow(account_id)

    def account_states(self) -> Mapping[int, tuple[str, str]]:
        """Per followed account: state and sentence."""
        return self.desk.states() if self.desk is not None else {}

    def followed(self) -> Iterable[int]:
        return self.desk.followers.keys() if self.desk is not None else ()
