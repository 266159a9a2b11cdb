"""From a Binance depth frame to an updated book with best bid and ask, beside ccxt.pro's handler and bare decoding.

The recorded frames (or made ones, where there is no recording) go one by one through

* **ours**: ``Session.parse``, ``BookSync.take_delta``, then ``book.bid`` and ``book.ask``, as in the worker;
* **ccxt**: the client's own text handler, which decodes JSON and calls ``handle_order_book``; then its best levels;
* **bare**: msgspec alone, into a Struct of the fields that a book needs, with floats; the result is thrown away;
* **floor**: bare, and each level written to a dict or removed from it. No best price, no order, no check: less cannot
  be done with a dict in Python, so this tells how much of the distance to bare is the language's.

Everything is repeated in turns, so that noise meets all alike, and the median of processor time is told. At the end
ours and ccxt must agree about the best levels. The snapshot counts as the whole book, so no level is skipped.
"""

import asyncio
import gzip
import json
import random
import statistics
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from bench.common import SHARED, row
from feeds.domain import BookDelta, Market
from feeds.exchange import MarketIndex
from feeds.exchanges.binance import Binance
from feeds.sync import BookSync

ROUNDS = 9
RECORDINGS = (("spot", "BTCUSDT", "binance-spot-2024-08"), ("usdm", "ETHUSDT", "binance-usdm-2024-08"))

Best = tuple[float, float, float, float]
"""Bid, its size, ask, its size."""


class Tape(msgspec.Struct):
    """One market's frames, all of which come after the snapshot."""

    market: Market
    snapshot: bytes
    frames: list[bytes]


class Changes(msgspec.Struct, gc=False):
    E: int
    s: str
    U: int
    u: int
    b: list[tuple[float, float]]
    a: list[tuple[float, float]]
    pu: int | None = None


class Frame(msgspec.Struct):
    stream: str
    data: Changes


decode = msgspec.json.Decoder(Frame, strict=False).decode


def market(product: str, native: str) -> Market:
    base = native.removesuffix("USDT")
    return Market(
        exchange="binance",
        symbol=f"{base}/USDT" if product == "spot" else f"{base}/USDT:USDT",
        native=native,
        product=product,
        base=base,
        quote="USDT",
        settle=None if product == "spot" else "USDT",
        tick=Decimal("0.01"),
        lot=Decimal("0.00001"),
    )


def recorded(product: str, native: str, path: Path) -> Tape:
    frames, snapshot = [], b""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        next(lines)
        for line in lines:
            record = json.loads(line)
            if record["via"] == "rest" and f"symbol={native}&" in record["path"]:
                snapshot = record["raw"].encode()
            elif f'"{native.lower()}@depth' in record["raw"][:60]:
                frames.append(record["raw"].encode())
    seq = json.loads(snapshot)["lastUpdateId"]
    return Tape(market(product, native), snapshot, [raw for raw in frames if decode(raw).data.u > seq])


def made(product: str, native: str, count: int = 3_000) -> Tape:
    """A market that wanders, with about as many changes a frame, as near to the best price, as real ones."""
    draw = random.Random(7)
    middle = 6_000_000
    sides = [{middle - 1 - n: 1.0 for n in range(1000)}, {middle + 1 + n: 1.0 for n in range(1000)}]
    levels = [[[f"{tick / 100:.2f}", "1.00000"] for tick in side] for side in sides]
    snapshot = {"lastUpdateId": 1, "bids": levels[0], "asks": levels[1]}
    frames = []
    for seq in range(2, count + 2):
        middle += draw.choice((-1, 0, 0, 1))
        changes: list[list[list[str]]] = [[], []]
        for side, away in enumerate((-1, 1)):
            for tick in [tick for tick in sides[side] if (tick - middle) * away < 1]:
                del sides[side][tick]
                changes[side].append([f"{tick / 100:.2f}", "0.00000"])
            for _ in range(17):
                tick = middle + away * (1 + int(draw.expovariate(1 / 150)))
                size = 0.0 if draw.random() < 0.4 and len(sides[side]) > 500 else round(draw.uniform(0.001, 9), 5)
                sides[side][tick] = size
                changes[side].append([f"{tick / 100:.2f}", f"{size:.5f}"])
                if not size:
                    del sides[side][tick]
        data = {"e": "depthUpdate", "E": seq, "s": native, "U": seq, "u": seq, "b": changes[0], "a": changes[1]}
        wrapped = {"stream": f"{native.lower()}@depth@100ms", "data": {**data, "pu": seq - 1, "T": seq, "st": 1}}
        frames.append(json.dumps(wrapped, separators=(",", ":")).encode())
    return Tape(market(product, native), json.dumps(snapshot).encode(), frames)


def ours(tape: Tape) -> tuple[float, Best]:
    exchange = Binance()
    parse = exchange.session(
        "spot" if tape.market.product == "spot" else "usdm-public", MarketIndex([tape.market])
    ).parse
    sync = BookSync(from_rest=True)
    sync.start()
    sync.take_snapshot(msgspec.structs.replace(exchange.parse_snapshot(tape.market, tape.snapshot), depth=None))
    book = sync.book
    began = time.process_time()
    for raw in tape.frames:
        for event in parse(raw):
            if isinstance(event, BookDelta):
                sync.take_delta(event)
                bid, ask = book.bid, book.ask
    spent = time.process_time() - began
    assert bid is not None and ask is not None
    return spent, (*bid, *ask)


def bare(tape: Tape) -> float:
    began = time.process_time()
    for raw in tape.frames:
        decode(raw)
    return time.process_time() - began


def floor(tape: Tape) -> float:
    bids: dict[float, float] = {}
    asks: dict[float, float] = {}
    began = time.process_time()
    for raw in tape.frames:
        data = decode(raw).data
        for side, changes in ((bids, data.b), (asks, data.a)):
            for price, size in changes:
                if size:
                    side[price] = size
                else:
                    side.pop(price, None)
    return time.process_time() - began


class CcxtBook:
    """ccxt.pro's Binance with its handlers as a client would run them, but for the socket."""

    def __init__(self, tape: Tape) -> None:
        import ccxt.pro
        from ccxt.async_support.base.ws.client import Client

        self._tape = tape
        self._texts = [raw.decode() for raw in tape.frames]
        self.exchange = ccxt.pro.binance()
        of, spot = tape.market, tape.market.product == "spot"
        known: dict[str, Any] = {"id": of.native, "symbol": of.symbol, "base": of.base, "quote": of.quote}
        known |= {"type": "spot" if spot else "swap", "spot": spot, "swap": not spot, "contract": not spot}
        known |= {"linear": None if spot else True, "settle": of.settle, "active": True}
        known |= {"precision": {"price": 0.01, "amount": 0.00001}}
        self.exchange.set_markets([self.exchange.safe_market_structure(known)])
        url = "wss://stream.binance.com:9443/stream" if spot else "wss://fstream.binance.com/public/stream"
        self._client = Client(url, self.exchange.handle_message, None, None, None, {})

    def run(self) -> tuple[float, Best]:
        symbol, answer = self._tape.market.symbol, json.loads(self._tape.snapshot)
        book = self.exchange.order_book({}, 1000)
        book.reset({**self.exchange.parse_order_book(answer, symbol), "nonce": answer["lastUpdateId"]})
        self.exchange.orderbooks[symbol] = book
        take = self._client.handle_text_or_binary_message
        began = time.process_time()
        for text in self._texts:
            take(text)
            bid, ask = book["bids"][0], book["asks"][0]
        return time.process_time() - began, (bid[0], bid[1], ask[0], ask[1])


async def measure(tape: Tape) -> dict[str, float]:
    """Median microseconds a frame, by way. Raises AssertionError if ours and ccxt come to different best levels."""
    theirs = CcxtBook(tape)
    spent: dict[str, list[float]] = {"ours": [], "ccxt": [], "bare": [], "floor": []}
    plain: tuple[tuple[str, Callable[[Tape], float]], ...] = (("bare", bare), ("floor", floor))
    for _ in range(ROUNDS):
        our_time, our_best = ours(tape)
        their_time, their_best = theirs.run()
        assert our_best == their_best, f"{tape.market.symbol}: we end at {our_best}, ccxt at {their_best}"
        spent["ours"].append(our_time)
        spent["ccxt"].append(their_time)
        for name, way in plain:
            spent[name].append(way(tape))
    await theirs.exchange.close()
    return {name: statistics.median(times) / len(tape.frames) * 1e6 for name, times in spent.items()}


def run() -> list[dict[str, Any]]:
    rows = []
    for product, native, name in RECORDINGS:
        path = SHARED / "captures" / f"{name}.jsonl.gz"
        tape = recorded(product, native, path) if path.exists() else made(product, native)
        source = "recorded" if path.exists() else "made"
        us = asyncio.run(measure(tape))
        what = f"ingest: {source} {product} depth frames to book with best bid and ask"
        rows += [
            row(f"{what}, speed", 1e6 / us["ours"], "frames/s", "ccxt.pro handler", 1e6 / us["ccxt"]),
            row(f"{what}, time", us["ours"], "us/frame", "bare msgspec decoding", us["bare"]),
            row("  the least: levels written to two dicts, time", us["floor"], "us/frame", "the same", us["bare"]),
        ]
    return rows
