"""Keeping a venue's books right: snapshots, rebuilding, and telling quiet markets from mute ones."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import structlog

from feeds.clock import Clock
from feeds.domain import Bbo, BookSnapshot, Channel, Level, Market, StreamState, Subscription
from feeds.errors import FeedError
from feeds.history import fetch_candles
from feeds.markets.market import MarketFeed
from feeds.stream import Connection, backoff
from feeds.sync import Want

if TYPE_CHECKING:
    from feeds.markets.venue import Venue

log = structlog.get_logger(__name__)

SNAPSHOT_S = 10.0
"""A book that the stream itself should begin, and that has not come this long after it was asked for, is asked for on a
new connection: an exchange may acknowledge, go on with its heartbeats, and never send it. While other books of the
connection still come, one after the other, it has not waited in vain: whole books may be megabytes each."""

TRIES = 3
"""After so many of them in vain the pauses double: a market that has no book must not cost the others theirs."""

LOOK_S = 0.25

TURNS_TO_READ = 5
"""Turns of the loop from a readable socket to its frame in the market: protocol, reader, drainer."""

LEADS_S = 1.0
"""Best prices and prints that come so much later than the book's last change were told by other streams alone."""

PROBES_SHARE = 0.5
"""Of the budget that we allow ourselves, probes take no more: with very many quiet markets each is asked less often."""

EMPTY: Level = (0.0, 0.0)
"""What an exchange tells as best level of a side that is empty."""

RESYNCS_PER_MINUTE = 3
"""More rebuilds of one book than this within a minute are spaced out, doubling up to 30 s."""


class BookKeeper:
    """Does what a venue's markets want. ``spawn`` runs a coroutine as a task that the venue owns."""

    def __init__(self, venue: "Venue", clock: Clock, spawn: Callable[[Coroutine[Any, Any, None], str], None]) -> None:
        self._venue = venue
        self._clock = clock
        self._spawn = spawn
        self._fetching: set[MarketFeed] = set()  # whose snapshot is being fetched
        self._reading: set[MarketFeed] = set()  # whose history of short bars is being fetched
        self._faults: dict[str, deque[float]] = {}  # symbol, or connection -> times of its last rebuilds
        self._telling: set[str] = set()  # connections that will be asked to tell again what was lost
        self._probed_s: dict[str, float] = {}
        self._unprobed: set[str] = set()  # symbols whose probes fail, as the log knows
        self._overdue: dict[str, int] = {}  # connections that were given up for want of this market's book
        self._snapshots = asyncio.Semaphore(4)
        self._probes = asyncio.Semaphore(4)

    def forget(self, symbol: str) -> None:
        """The market was closed."""
        self._faults.pop(symbol, None)
        self._probed_s.pop(symbol, None)
        self._unprobed.discard(symbol)
        self._overdue.pop(symbol, None)

    def rebuilds(self, symbol: str) -> int:
        """How often this market's book was rebuilt within the last minute."""
        since_s = self._clock.monotonic_s() - 60
        return sum(1 for at_s in self._faults.get(symbol, ()) if at_s > since_s)

    # -- snapshots and rebuilding ------------------------------------------------------------------------------------

    def wanted(self, feed: MarketFeed, want: Want) -> None:
        symbol = feed.market.symbol
        if self._venue.stopping or self._venue.feeds.get(symbol) is not feed:
            return
        if want is Want.RESUBSCRIBE:
            self._spawn(self._resubscribe_book(feed), f"resubscribe {symbol}")
        elif want is Want.HISTORY:
            if feed not in self._reading:
                self._reading.add(feed)
                self._spawn(self._fetch_history(feed), f"history {symbol}")
        elif feed not in self._fetching:  # the task of a market that was closed and opened again ends for itself
            self._fetching.add(feed)
            self._spawn(self._fetch_snapshot(feed), f"snapshot {symbol}")

    async def _pause_after_faults(self, name: str) -> None:
        """Space out rebuilds of a market, or a connection, that keeps failing."""
        now_s = self._clock.monotonic_s()
        times = self._faults.setdefault(name, deque(maxlen=16))
        while times and now_s - times[0] > 60:
            times.popleft()
        extra = len(times) - RESYNCS_PER_MINUTE
        times.append(now_s)
        if extra >= 0:
            await asyncio.sleep(min(30.0, 2.0**extra))

    async def _resubscribe_book(self, feed: MarketFeed) -> None:
        await self._pause_after_faults(feed.market.symbol)
        lane = self._venue.book_lane(feed.market.symbol)
        if lane is not None and not feed.sync.ready:
            lane.connection.resubscribe(Subscription(channel=Channel.BOOK, symbol=feed.market.symbol))

    def tell_again(self, connection: Connection, subscriptions: list[Subscription]) -> None:
        """Subscribe these anew, for what a new subscription begins with."""
        if subscriptions and connection.name not in self._telling and not self._venue.stopping:
            self._telling.add(connection.name)
            self._spawn(self._tell_again(connection, subscriptions), f"tell again {connection.name}")

    async def _tell_again(self, connection: Connection, subscriptions: list[Subscription]) -> None:
        await self._pause_after_faults(connection.name)
        self._telling.discard(connection.name)
        for subscription in subscriptions:
            connection.resubscribe(subscription)

    async def _fetch_snapshot(self, feed: MarketFeed) -> None:
        """Fetch until the book stands. A market that starts anew meanwhile makes the answer void, not the work."""
        symbol = feed.market.symbol
        try:
            if feed.state is StreamState.RESYNC:
                await self._pause_after_faults(symbol)
            delays = backoff()
            while self._venue.feeds.get(symbol) is feed and feed.sync.needs.value == Want.SNAPSHOT.value:
                if not feed.book_link.state.usable and feed.book_link.state is not StreamState.SYNCING:
                    return  # disconnected: the next subscription asks again
                generation = feed.generation
                try:
                    snapshot, recv_ns = await self.snapshot(feed.market)
                except FeedError as error:
                    log.warning("snapshot failed", exchange=self._venue.name, market=symbol, error=str(error))
                    await asyncio.sleep(next(delays))
                    continue
                if generation == feed.generation:
                    faults = feed.sync.resyncs
                    feed.on_snapshot(snapshot, recv_ns)
                    if feed.sync.needs.value == Want.SNAPSHOT.value:
                        # Too old: let the exchange's snapshot pass our first update. Wrong: it may stay so for long.
                        await asyncio.sleep(0.2 if feed.sync.resyncs == faults else next(delays))
        finally:
            self._fetching.discard(feed)

    async def snapshot(self, market: Market) -> tuple[BookSnapshot, int]:
        """The book by REST, and when it was received (ns); a few at a time. Raises FeedError."""
        async with self._snapshots:
            answer = await self._venue.rest.send(self._venue.adapter.snapshot_request(market))
        return self._venue.adapter.parse_snapshot(market, answer.raw), answer.recv_ns

    async def _fetch_history(self, feed: MarketFeed) -> None:
        """Fetch short bars until those that the stream did not tell are known. A failure is tried again: the long bars
        are not shown until then."""
        symbol = feed.market.symbol
        delays = backoff()
        try:
            while self._venue.feeds.get(symbol) is feed and (lacking := feed.long_bars.wanted()):
                for interval, count in lacking.items():
                    try:
                        bars, recv_ns = await fetch_candles(
                            self._venue.adapter, self._venue.rest, feed.market, interval, count
                        )
                    except FeedError as error:
                        log.warning("history failed", exchange=self._venue.name, market=symbol, error=str(error))
                        continue
                    feed.on_history(interval, bars, recv_ns)
                if feed.long_bars.wanted():
                    await asyncio.sleep(next(delays))
        finally:
            self._reading.discard(feed)

    # -- quiet or mute -----------------------------------------------------------------------------------------------

    async def watch(self) -> None:
        """Look at every market four times a second: states that time alone changes, and quiet ones to be probed."""
        facts = self._venue.adapter.facts
        while True:
            due_s = self._clock.monotonic_s() + LOOK_S
            await asyncio.sleep(LOOK_S)
            if self._clock.monotonic_s() - due_s > LOOK_S:
                # The loop was held up, and nobody read: what came meanwhile is no silence.
                for _ in range(TURNS_TO_READ):
                    await asyncio.sleep(0)
            now_s = self._clock.monotonic_s()
            silent: dict[str, list[MarketFeed]] = {}  # by product
            for symbol, feed in list(self._venue.feeds.items()):
                feed.evaluate()
                self._venue.fresh_books.tick(feed)
                if feed.sync.ready:
                    self._overdue.pop(symbol, None)
                in_vain = self._overdue.get(symbol, 0)
                patience_s = SNAPSHOT_S * 2 ** min(max(0, in_vain - TRIES), 6)
                lane = self._venue.book_lane(symbol) if feed.overdue_s() > patience_s else None
                if lane is not None and (self._clock.now_ns() - lane.snapshot_ns) / 1e9 > SNAPSHOT_S:
                    self._overdue[symbol] = in_vain + 1
                    lane.connection.reconnect(f"no book of {symbol} for {SNAPSHOT_S:g} s")
                    continue
                least_s = max(feed.stale_s * 0.6, feed.stale_s - 1.5, facts.probe_lag_s)
                quiet = feed.sync.ready and feed.silent_s() > least_s
                # SLOW: the answer to a silence may wait in our own buffer, and a pong behind it.
                # SYNCING: accepted, the book is here by REST, and nothing has happened since.
                asks = feed.book_link.state in (StreamState.LIVE, StreamState.QUIET, StreamState.SYNCING)
                if quiet and asks and facts.probe_by_rest:
                    silent.setdefault(feed.market.product, []).append(feed)
            for feeds in silent.values():
                self._ask_about(feeds, now_s)

    def _ask_about(self, silent: list[MarketFeed], now_s: float) -> None:
        """Probe those silent markets of a product whose turn it is: each once for its silence, as soon as REST bears
        it, and then now and then; one that something else came of at once."""
        paced_s = self._paced_s(silent)
        for feed in silent:
            symbol = feed.market.symbol
            probed_s = now_s - self._probed_s.get(symbol, float("-inf"))
            again_s = max(feed.stale_s, paced_s, self._venue.adapter.facts.probe_s or 0.0)
            if feed.silent_s() < probed_s:  # data came since
                pause_s = 0.0 if paced_s <= feed.stale_s else paced_s
            else:
                pause_s = feed.stale_s if contradicted(feed) else again_s
            if probed_s > pause_s:
                self._probed_s[symbol] = now_s
                self._spawn(self._probe(feed, again_s), f"probe {symbol}")

    def _paced_s(self, silent: list[MarketFeed]) -> float:
        """Seconds between two probes of one of these, if REST is to bear it."""
        adapter = self._venue.adapter
        requests = [adapter.probe_request(feed.market) for feed in silent]
        product = requests[0].product
        per_s = max(1.0, self._venue.rest.usage()[product]["allowed"]) / adapter.budgets()[product].per_s
        weight = sum(request.weight for request in requests)
        return weight / (per_s * PROBES_SHARE)

    async def _probe(self, feed: MarketFeed, again_s: float) -> None:
        """Ask the exchange whether our silent book is its present one; the next time is ``again_s`` later."""
        for again in (True, False):
            if not await self._mute(feed, again_s):
                return
            if not again or not self._venue.adapter.facts.probe_lag_s:
                break  # where answers may be old, a second one must say the same
        lane = self._venue.book_lane(feed.market.symbol)
        if lane is not None:
            log.warning("mute stream", exchange=self._venue.name, market=feed.market.symbol)
            feed.mute("The exchange has newer data than its stream sent us.")
            lane.connection.reconnect("mute: the exchange has newer data than it sent")

    async def _mute(self, feed: MarketFeed, again_s: float) -> bool:
        """True if the exchange has a newer book than its stream told, and goes on not telling it."""
        lane = self._venue.book_lane(feed.market.symbol)
        if lane is None:
            return False
        if not await lane.connection.ping(timeout_s=2.0):
            if lane.connection.state is not StreamState.SLOW:
                lane.connection.reconnect("no answer to a ping")
            return False
        last_ns = lane.connection.last_frame_ns
        if last_ns is not None and self._clock.now_ns() - last_ns > self._venue.config.reconnect_s * 1e9:
            # However quiet the exchange says it is: a connection on which nothing at all comes is cheap to renew,
            # and a server that froze as a whole would confirm its frozen book for ever.
            lane.connection.reconnect(f"nothing received for {self._venue.config.reconnect_s:g} s")
            return False
        try:
            async with self._probes:
                answer = await self._venue.rest.send(self._venue.adapter.probe_request(feed.market))
            theirs = self._venue.adapter.parse_probe(feed.market, answer.raw)
        except FeedError as error:
            if feed.market.symbol not in self._unprobed:
                self._unprobed.add(feed.market.symbol)
                log.warning("probe failed", exchange=self._venue.name, market=feed.market.symbol, error=str(error))
            if feed.market.symbol in self._probed_s:  # not closed meanwhile: sooner then
                self._probed_s[feed.market.symbol] -= again_s - feed.stale_s
            return False
        if feed.market.symbol in self._unprobed:
            self._unprobed.discard(feed.market.symbol)
            log.info("probe answered again", exchange=self._venue.name, market=feed.market.symbol)
        deadline_s = self._clock.monotonic_s() + 1.0  # what they know may be on its way to us
        facts = self._venue.adapter.facts
        while not agrees(feed, theirs, facts.probe_size_step):
            if not feed.sync.ready or feed.data_ns > answer.recv_ns:
                return False  # data came: not silent any more, the next silence is asked about anew
            if self._clock.monotonic_s() > deadline_s:
                return True
            await asyncio.sleep(0.05)
        if facts.heartbeat_s is None and lane.route not in facts.silent_routes:
            lane.connection.confirm_quiet(2 * feed.stale_s)  # else heartbeats do, or a ping as soon as it is silent
        feed.confirmed(2 * (again_s - feed.stale_s))
        return False


def contradicted(feed: MarketFeed) -> bool:
    """Did best prices or prints come, well after the last that came of the book?"""
    return max(feed.bbo_ns, feed.trades_ns) > feed.data_ns + LEADS_S * 1e9


def agrees(feed: MarketFeed, theirs: Bbo, size_step: float = 0.0) -> bool:
    """Is our book the one that the exchange answered with, or a newer one? Sizes told are multiples of ``size_step``,
    cut or rounded."""
    book = feed.sync.book
    if theirs.seq is not None and book.seq is not None and theirs.seq <= book.seq:
        return True
    if theirs.rank is not None and book.rank is not None and theirs.rank <= book.rank:
        return True
    if theirs.seq is not None and feed.market.settle is None:
        return False  # spot ids count this market's changes, so a later id means that we miss one
    (bid, bid_size), (ask, ask_size) = book.bid or EMPTY, book.ask or EMPTY
    if (bid, ask) != (theirs.bid, theirs.ask):
        return False
    return max(abs(bid_size - theirs.bid_size), abs(ask_size - theirs.ask_size)) <= size_step
