"""Eight exchanges by 50 symbols, every book changing ten times a second: what the spread matrix and the consolidated
book cost the worker.

The books are the real ones (``MarketFeed``, fed with updates that are made up beforehand: a price that walks, so that
the best levels of every update differ), and so are ``Together`` and the publisher; frames end in a sink that counts.
Nothing is received or decoded here, ``markets200`` measures that. What applying the updates costs by itself is measured
in the same process first and taken off.

This is the worst case: whatever is computed, is computed because it changed. A second run of the matrix plays updates
of which one in five moves the price, and the others change levels deeper than the size reaches, as most of a real
stream's do. The baseline is the plain way, in place of the matrix and through the same publisher: all legs and all
pairs anew with ``Decimal``, without ages, states, averages, what lasted and what was largest.
"""

import asyncio
import logging
import multiprocessing
import random
import sys
import time
from decimal import Decimal
from functools import partial
from typing import Any

import structlog

from bench.common import row
from feeds.across.fees import default_fee
from feeds.across.settings import AcrossConfig
from feeds.across.together import Together
from feeds.clock import SYSTEM
from feeds.domain import BookDelta, BookSnapshot, Level, Market, StreamState
from feeds.exchange import MarketIndex
from feeds.markets.market import MarketFeed
from feeds.publisher import Picture, Publisher
from feeds.sync import BookSync
from feeds.topics import leg_topic, parse_topic

EXCHANGES = ("binance", "kraken", "bybit", "okx", "coinbase", "lmex", "gate", "bitstamp")
SYMBOLS = [f"M{number:02d}/USDT" for number in range(50)]
PER_S = 10
SECONDS = 10
DEPTH = 200
TOPICS = {"matrix": "matrix@3:{}", "across": "across:{}", "plain": "plain:{}"}
WANTED = Decimal(3)
FEES = {name: default_fee(name, "spot").taker_bps / 10_000 for name in EXCHANGES}
UPDATES = 64
"""Different updates of a market, played round and round: the last one leads back to the start."""


class CountingSink:
    """Where frames end: they are counted."""

    def __init__(self) -> None:
        self.frames = 0
        self.bytes = 0

    def publish(self, topic: str, frame: str) -> None:
        self.frames += 1
        self.bytes += len(frame)

    def publish_to(self, holder: str, topic: str, frame: str) -> None:
        self.publish(topic, frame)

    def refuse(self, holder: str, topic: str, reason: str) -> None:
        raise SystemExit(f"matrix: {topic} refused: {reason}")


class Venue:
    """As much of an exchange at work as ``Together`` looks at."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.markets = MarketIndex()
        self.markets_loaded = asyncio.Event()
        self.markets_loaded.set()
        self.feeds: dict[str, MarketFeed] = {}


def size(rng: random.Random) -> float:
    return round(rng.random() * 3 + 0.001, 5)


def updates(rng: random.Random, calm: bool) -> tuple[BookSnapshot, list[BookDelta]]:
    """A book of ``DEPTH`` levels a side at ticks of 0.01, and updates that move its price by up to four ticks; if
    ``calm``, four of five of them change levels far from the price instead."""
    middle = 50_000 + rng.randrange(-20, 20)

    def side(sign: int, at: int) -> list[Level]:
        return [((at + sign * n) / 100, size(rng)) for n in range(1, DEPTH + 1)]

    snapshot = BookSnapshot(symbol="", bids=side(-1, middle), asks=side(+1, middle), seq=0)
    found = []
    start = middle
    for number in range(UPDATES):
        if calm and number % 5:
            deep = rng.sample(range(40, 150), 6)
            bids, asks = ([((middle + sign * n) / 100, size(rng)) for n in deep] for sign in (-1, 1))
            found.append(BookDelta(symbol="", bids=bids, asks=asks))
            continue
        moved = middle + rng.choice((-4, -2, -1, 1, 2, 4)) if number < UPDATES - 5 else start
        gone_bids = [(tick / 100, 0.0) for tick in range(moved, middle)]
        gone_asks = [(tick / 100, 0.0) for tick in range(middle, moved + 1)]
        near = [n for n in (1, 2, 3, 5, 8) if rng.random() < 0.8]
        bids = gone_bids + [((moved - n) / 100, size(rng)) for n in (1, *near)]
        asks = gone_asks + [((moved + n) / 100, size(rng)) for n in (1, *near)]
        found.append(BookDelta(symbol="", bids=bids, asks=asks))
        middle = moved
    return snapshot, found


class World:
    """400 books at work, and what is shown of them."""

    def __init__(self, *, calm: bool = False) -> None:
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
        rng = random.Random(7)
        self.sink = CountingSink()
        self.publisher = Publisher(self.sink, interval_s=0.05)
        self.venues = {name: Venue(name) for name in EXCHANGES}
        self.together = Together(
            AcrossConfig(), self.venues, self.publisher.changed, lambda _: None, None, depth=25, clock=SYSTEM
        )
        self.plays: list[tuple[MarketFeed, list[BookDelta]]] = []
        for venue in self.venues.values():
            for symbol in SYMBOLS:
                self.plays.append(self._market(venue, symbol, rng, calm))
        rng.shuffle(self.plays)
        self.played = 0
        self.plain = False

    def _market(self, venue: Venue, symbol: str, rng: random.Random, calm: bool) -> tuple[MarketFeed, list[BookDelta]]:
        market = Market(
            exchange=venue.name,
            symbol=symbol,
            native=symbol,
            product="spot",
            base=symbol.partition("/")[0],
            quote="USDT",
            tick=Decimal("0.01"),
            lot=Decimal("0.00001"),
        )
        venue.markets.update([market])
        feed = MarketFeed(
            market,
            BookSync(from_rest=False),
            depth=25,
            stale_s=60.0,
            clock=SYSTEM,
            changed=self.changed,
            want=lambda feed, want: None,
        )
        venue.feeds[symbol] = feed
        snapshot, deltas = updates(rng, calm)
        feed.on_link("book", StreamState.LIVE, "")
        feed.on_snapshot(snapshot, time.time_ns())
        feed.watch(leg_topic(venue.name, symbol))
        return feed, deltas

    def changed(self, topic: str) -> None:
        if topic.startswith("leg:"):
            self.together.touched(topic)
            if self.plain:
                self.publisher.changed(f"plain:{topic.rpartition(':')[2]}")

    def open(self, kind: str) -> None:
        for symbol in SYMBOLS:
            topic = TOPICS[kind].format(symbol)
            if kind == "plain":
                self.plain = True
                render: Any = partial(self._draw_plainly, symbol)
            else:
                render = self.together.renderer(parse_topic(topic))
            self.publisher.open(topic, render, interval_s=0.1)

    def _draw_plainly(self, symbol: str) -> Picture:
        """Every leg and every pair anew, with Decimal."""
        books = {name: venue.feeds[symbol].sync.book for name, venue in self.venues.items()}
        costs = {name: walk(book.asks.top(25)) for name, book in books.items()}
        proceeds = {name: walk(book.bids.top(25)) for name, book in books.items()}
        rows = []
        for buy, cost in costs.items():
            for sell, got in proceeds.items():
                if buy != sell:
                    gross = got - cost
                    net = gross - cost * FEES[buy] - got * FEES[sell]
                    rows.append(
                        {
                            "buy": buy,
                            "sell": sell,
                            "gross": gross,
                            "net": net,
                            "gross_bps": round(gross / cost * 10_000, 4),
                            "net_bps": round(net / cost * 10_000, 4),
                        }
                    )
        return Picture(data=rows)

    async def play(self, seconds: float) -> float:
        """Play updates at their pace; the share of a core that it took, and all that came of it."""
        start, cpu, before = time.monotonic(), time.process_time(), self.played
        while (passed := time.monotonic() - start) < seconds:
            due = before + int(passed * PER_S * len(self.plays))
            while self.played < due:
                turn, number = divmod(self.played, len(self.plays))
                feed, deltas = self.plays[number]
                feed.on_delta(deltas[turn % UPDATES], time.time_ns())
                if not feed.sync.ready:
                    raise SystemExit("matrix: a made-up book broke")
                self.played += 1
            await asyncio.sleep(0.002)
        return (time.process_time() - cpu) / (time.monotonic() - start)


def walk(levels: list[Level]) -> Decimal:
    left, total = WANTED, Decimal(0)
    for price, size in levels:
        part = min(left, Decimal(repr(size)))
        total += part * Decimal(repr(price))
        left -= part
        if not left:
            break
    return total


def measure(kind: str, calm: bool, pipe: Any) -> None:
    async def main() -> None:
        world = World(calm=calm)
        await world.play(1.0)
        alone = await world.play(SECONDS / 2)
        world.open(kind)
        await world.play(2.0)
        frames, bytes_, played = world.sink.frames, world.sink.bytes, world.played
        share = await world.play(SECONDS)
        live = sum(feed.state.usable for feed, _ in world.plays)
        pipe.send(
            {
                "alone": alone,
                "share": share - alone,
                "frames": (world.sink.frames - frames) / SECONDS,
                "bytes": (world.sink.bytes - bytes_) / max(1, world.sink.frames - frames),
                "updates": (world.played - played) / SECONDS,
                "live": live,
            }
        )
        world.publisher.close_all()

    asyncio.run(main())


def run() -> list[dict[str, Any]]:
    """Shares of a core, on top of keeping the books."""
    spawn = multiprocessing.get_context("spawn")

    def ask(target: Any, *args: Any) -> Any:
        ours, theirs = spawn.Pipe()
        process = spawn.Process(target=target, args=(*args, theirs), daemon=True)
        process.start()
        theirs.close()
        answer = ours.recv()
        process.join()
        return answer

    def found(kind: str, *, calm: bool = False) -> dict[str, float]:
        answer = ask(measure, kind, calm)
        rates = f"{answer['updates']:.0f} updates/s, {answer['frames']:.0f} frames/s of {answer['bytes']:.0f} bytes"
        books = (
            f"{answer['live']} of {len(EXCHANGES) * len(SYMBOLS)} books live, these alone {answer['alone']:.2f} cores"
        )
        print(f"   {kind}{', calm' if calm else ''}: {rates}; {books}", file=sys.stderr)
        return answer

    plain, calm_plain = found("plain"), found("plain", calm=True)
    matrix, calm, across = found("matrix"), found("matrix", calm=True), found("across")
    size = f"{len(EXCHANGES)} exchanges x {len(SYMBOLS)} symbols x {PER_S}/s"
    return [
        row(f"matrix: {size}", matrix["share"], "cores", "all anew with Decimal", plain["share"]),
        row(f"matrix: {size}, calm", calm["share"], "cores", "all anew with Decimal", calm_plain["share"]),
        row(f"across: {size}", across["share"], "cores", "keeping the books", across["alone"]),
    ]


if __name__ == "__main__":
    for line in run():
        print(line)
