"""One exchange followed through ccxt. Fits ``at_work.ExchangeAtWork`` as ``feeds.markets.venue.Venue`` does.

``desk`` is the ccxt object that is asked by REST: for instruments, history, and whether the books are right. Markets
are watched by others, the lanes; a market that goes wrong on one goes on on another, and an empty one is closed.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any

import structlog

from feeds.bars import source_of
from feeds.clock import Clock
from feeds.config import ExchangeConfig
from feeds.domain import INTERVALS, Candle
from feeds.errors import ExchangeError
from feeds.exchange import MarketIndex
from feeds.longtail import convert, library
from feeds.longtail.checks import AUDIT_S, Checks
from feeds.longtail.convert import Listed
from feeds.longtail.lane import Lane
from feeds.longtail.watched import Watched
from feeds.markets.market import MarketFeed
from feeds.markets.notices import Notices
from feeds.markets.skew import ClockOffset
from feeds.pacing import Gate, backoff
from feeds.sync import BookSync, Want

log = structlog.get_logger(__name__)

INSTRUMENTS_S = 3600.0
"""How often instruments are listed anew."""

TIME_S = 60.0
"""How often the exchange is asked for its time."""

LEAST_DEPTH = 100
"""So many levels a side of each book are copied, or as many as are shown if that is more."""

OBJECTS_PER_MINUTE = 20


class NoBudget:
    """ccxt keeps to the exchange's limits itself and does not tell what is used; nor is any connection renewed."""

    renewed = 0

    def usage(self) -> dict[str, dict[str, float]]:
        return {}


class LongTail:
    """``changed`` is called with topics whose content is new, ``loaded`` when instruments came, ``status_changed`` when
    a connection changed its state."""

    def __init__(
        self,
        config: ExchangeConfig,
        *,
        depth: int,
        clock: Clock,
        changed: Callable[[str], None],
        loaded: Callable[["LongTail"], None],
        status_changed: Callable[[], None],
        audit_s: float = AUDIT_S,
    ) -> None:
        self.name = config.name
        self.config = config
        self.clock = clock
        self.depth = max(depth, LEAST_DEPTH)
        self.audit_s = audit_s
        self.desk: Any = library.create(config.name, config.ccxt)
        self.markets = MarketIndex()
        self.markets_loaded = asyncio.Event()
        self.feeds: dict[str, MarketFeed] = {}
        self.watched: dict[str, Watched] = {}
        self.lanes: list[Lane] = []
        self.notices = Notices(config.name, clock)
        self.clock_offset = ClockOffset(clock)
        self.rest = self.renewals = NoBudget()
        self.status_changed = status_changed
        self.stopping = False
        self._shown = depth
        self._changed = changed
        self._loaded = loaded
        self._listed: dict[str, Listed] = {}
        self._trouble = ""
        self._gate = Gate(OBJECTS_PER_MINUTE, 60.0, clock=clock)
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._checks = Checks(self)

    # -- life --------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self.spawn(self._load_markets(), "instruments")
        self.spawn(self._checks.watch(), "watch")
        self.spawn(self._checks.poll(), "fallback")
        self.spawn(self._renew_silent(), "lanes")
        if self.desk.has.get("fetchTime"):
            self.spawn(self._keep_time(), "clock")

    async def stop(self) -> None:
        """Close every socket and end every task, ccxt's too. Idempotent."""
        self.stopping = True
        ending = [*self._tasks, *(task for watched in self.watched.values() for task in watched.stop())]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        lanes, self.lanes = self.lanes, []
        await asyncio.gather(*(lane.close() for lane in lanes), *self._closing, library.close(self.desk))

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run something that ends with this exchange."""
        task = asyncio.create_task(work, name=f"{self.name} {name}")
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task failed", exchange=self.name, task=task.get_name(), exc_info=error)

    # -- instruments -------------------------------------------------------------------------------------------------

    async def _load_markets(self) -> None:
        """At first until it works, then once an hour."""
        delays, failed = backoff(), False
        while True:
            try:
                await self.desk.load_markets(True)
                lasts = await self._last_prices()
                self._take_markets(lasts)
            except Exception as error:  # ccxt raises errors of every kind
                trouble = library.trouble_of(error)
                if not failed:
                    log.warning("instruments not loaded", exchange=self.name, reason=trouble.sentence)
                failed = True
                if not self.markets_loaded.is_set():
                    self._trouble = trouble.sentence
                await asyncio.sleep(next(delays))
                continue
            if failed:
                log.info("instruments loaded after all", exchange=self.name)
            self._trouble, failed, delays = "", False, backoff()
            await asyncio.sleep(INSTRUMENTS_S)

    async def _last_prices(self) -> dict[str, float]:
        """Needed where precision counts significant digits."""
        if self.desk.precisionMode != library.SIGNIFICANT_DIGITS or not self.desk.has.get("fetchTickers"):
            return {}
        tickers = await self.desk.fetch_tickers()
        return {symbol: row["last"] for symbol, row in tickers.items() if row.get("last")}

    def _take_markets(self, lasts: dict[str, float]) -> None:
        """The list is here. Markets that are open keep the precision they were opened with."""
        for symbol, raw in self.desk.markets.items():
            found = convert.listed(self.name, raw, self.desk.precisionMode, lasts.get(symbol))
            if found is not None and found.market.product in self.config.products and symbol not in self.feeds:
                self._listed[symbol] = found
        for lane in self.lanes:
            library.share(self.desk, lane.exchange)
        self.markets.update(found.market for found in self._listed.values())
        self.markets_loaded.set()
        self._loaded(self)

    async def wait_for_markets(self, timeout_s: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.markets_loaded.wait(), timeout_s)
        return self.markets_loaded.is_set()

    @property
    def notice(self) -> str:
        """What a person should know of this exchange now, as one line."""
        return " ".join(filter(None, (self._trouble, self.notices.text)))

    @property
    def intervals(self) -> tuple[str, ...]:
        """Of candles that ccxt has, by stream or by REST; others are put together from these."""
        named: dict[str, Any] = self.desk.timeframes or {}
        return tuple(interval for interval in INTERVALS if interval in named)

    def source_of(self, interval: str) -> str:
        return source_of(interval, self.intervals)

    # -- markets -----------------------------------------------------------------------------------------------------

    def feed(self, symbol: str) -> MarketFeed:
        feed = self.feeds.get(symbol)
        if feed is None:
            feed = MarketFeed(
                self.markets[symbol],
                BookSync(from_rest=False),
                depth=self._shown,
                stale_s=self.config.stale_s,
                clock=self.clock,
                changed=self._changed,
                want=self._wanted,
                streamed=self.intervals,
            )
            self.feeds[symbol] = feed
            self.watched[symbol] = Watched(self, self._listed[symbol], feed)
        return feed

    def _wanted(self, feed: MarketFeed, want: Want) -> None:
        watched = self.watched.get(feed.market.symbol)
        if watched is None or watched.feed is not feed or self.stopping:
            return
        if want is Want.RESUBSCRIBE:
            watched.rebuild()
        elif want is Want.HISTORY and not watched.reading:
            watched.reading = True
            self.spawn(self._fetch_history(watched), f"history {watched.symbol}")

    async def _fetch_history(self, watched: Watched) -> None:
        """Short bars from before the stream began, until they are here."""
        delays = backoff()
        try:
            while self.watched.get(watched.symbol) is watched and (lacking := watched.feed.long_bars.wanted()):
                for interval, number in lacking.items():
                    try:
                        bars = await self.fetch_candles(watched.symbol, interval, number)
                    except Exception as error:  # ccxt raises errors of every kind
                        log.warning("history failed", exchange=self.name, market=watched.symbol, error=str(error))
                        continue
                    watched.feed.on_history(interval, bars, self.clock.now_ns())
                if watched.feed.long_bars.wanted():
                    await asyncio.sleep(next(delays))
        finally:
            watched.reading = False

    def resubscribe(self, feed: MarketFeed) -> None:
        self.watched[feed.market.symbol].resubscribe()

    def close_feed(self, symbol: str) -> None:
        feed, watched = self.feeds.pop(symbol, None), self.watched.pop(symbol, None)
        if feed is None or watched is None:
            return
        for topic in feed.watched():
            feed.unwatch(topic)
        watched.stop()
        if watched.lane is not None:
            self.leave(watched.lane, symbol)

    def prove(self, watched: Watched) -> None:
        self._checks.ask(watched)

    # -- lanes -------------------------------------------------------------------------------------------------------

    def lane_for(self, symbol: str, former: Lane | None = None) -> Lane:
        """The lane for a market, another one than ``former``."""
        lane = next((lane for lane in reversed(self.lanes) if lane.open_to_new and lane is not former), None)
        if lane is None:
            taken = {each.number for each in self.lanes}
            number = next(number for number in count(1) if number not in taken)
            lane = Lane(number, self.config, self.desk, self._gate, self.clock, self.clock_offset)
            lane.reconnects = 0 if former is None else former.reconnects + 1
            self.lanes.append(lane)
        lane.symbols.add(symbol)
        return lane

    def leave(self, lane: Lane, symbol: str) -> None:
        """A market is not watched by this lane any more. An empty one is closed."""
        lane.symbols.discard(symbol)
        lane.left += 1
        if not lane.symbols and lane in self.lanes:
            self.lanes.remove(lane)
            task = asyncio.create_task(lane.close(), name=f"{self.name} close {lane.number}")
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
            self.status_changed()

    def book_lane(self, symbol: str) -> Lane | None:
        watched = self.watched.get(symbol)
        return None if watched is None else watched.lane

    async def _renew_silent(self) -> None:
        """An object on which nothing at all comes, or that mostly receives what nobody reads, is left for a new one.
        What is shown meanwhile stays as good as it is: it is checked by REST."""
        while True:
            await asyncio.sleep(0.5)
            for lane in list(self.lanes):
                reason = ""
                if lane.symbols and lane.opened_s is not None and lane.silent_s() > self.config.reconnect_s:
                    reason = f"Nothing was received for {self.config.reconnect_s:g} s."
                elif lane.left > max(8, len(lane.symbols)):
                    reason = "Most of what it receives is of markets that were closed."
                if reason and not lane.suspect:
                    for symbol in list(lane.symbols):
                        self.watched[symbol].move(reason)

    # -- questions ---------------------------------------------------------------------------------------------------

    async def _keep_time(self) -> None:
        while True:
            await asyncio.sleep(2.0 if self.clock_offset.offset_ms is None else TIME_S)
            sent_ns = self.clock.now_ns()
            try:
                theirs_ms = int(await self.desk.fetch_time())
            except Exception as error:  # ccxt raises errors of every kind
                log.info("the exchange does not tell its time", exchange=self.name, error=str(error))
                await asyncio.sleep(TIME_S)
                continue
            self.clock_offset.answered(theirs_ms, sent_ns, self.clock.now_ns())

    async def fetch_candles(self, symbol: str, interval: str, limit: int) -> list[Candle]:
        if interval not in self.intervals or not self.desk.has.get("fetchOHLCV"):
            raise ExchangeError(f"{self.name}: ccxt has no history of {interval} candles")
        try:
            rows = await self.desk.fetch_ohlcv(symbol, interval, limit=limit)
            begun_ms = self.clock.now_ns() // 1_000_000 - INTERVALS[interval]
            return convert.candles(self._listed[symbol], interval, rows, begun_ms)[-limit:]
        except Exception as error:  # ccxt raises errors of every kind
            raise library.feed_error(error) from error
