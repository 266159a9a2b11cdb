"""The simulated LMEX, read by a plain client: sockets, dictionaries and the documentation, nothing of the adapter.

ccxt 4.5.90 has a ``btse`` that speaks BTSE's new unified REST API (``/public-api/market/v1``) and no stream at all,
and no LMEX; the API of LMEX it does not speak. So this client is the independent one.
"""

import asyncio
import time
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from itertools import pairwise
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from feeds.simulator.lmex.listing import LISTING
from feeds.simulator.lmex.rest import Meter
from feeds.simulator.market import World
from feeds.simulator.sockets import SocketRules
from tests.feeds.simulator_help import collect, receive, simulator

FEW = tuple(each for each in LISTING if each.native in ("BTC-USD", "BTC-PERP", "ETH-PERP"))
FUTURES = "/lmex/ws/oss/futures"

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client():
    """One server for the tests that leave nothing behind."""
    async with simulator(instruments=FEW) as shared:
        yield shared


async def test_fifty_levels_reach_as_far_as_recorded_and_outlast_a_jump() -> None:
    """A snapshot of BTSE's ETHPFC went from 4390.97 down to 4379.70: 25 basis points. So the price does not move
    through all that is known of a book in the second that a fresh one takes."""
    world = World(1, 1_795_219_200_000, tuple(each for each in LISTING if each.symbol in ("ETH/USD", "BTC/USDT:USDT")))
    reaches, left = [], []
    for _ in range(240):
        known = []
        for market in world.markets.values():
            for side in (market.engine.bids, market.engine.asks):
                levels = [price for price, _ in side.top(50)]
                reaches.append(abs(levels[-1] - levels[0]) / levels[0] * 1e4)
                known.append((side, side.sign * levels[-1]))
        for _ in range(10):
            for _ in world.advance(world.now_ms + 100):
                pass
        left += [bisect_right(side.keys, bound) for side, bound in known]
    assert min(reaches) > 12 and 20 < sum(reaches) / len(reaches) < 34
    assert min(left) > 20, "fewer levels are known than are shown"


async def ask(socket: Any, *topics: str, op: str = "subscribe") -> list[str]:
    """The topics that are accepted."""
    await socket.send_json({"op": op, "args": list(topics)})
    return (await receive(socket, lambda m: m.get("event") == op))["channel"]


class NaiveBook:
    """Printed levels, and the numbers as documented."""

    def __init__(self) -> None:
        self.bids: dict[Decimal, str] = {}
        self.asks: dict[Decimal, str] = {}
        self.seq = 0

    def take(self, data: dict[str, Any]) -> None:
        if data["type"] == "snapshot":
            self.bids, self.asks = {}, {}
        else:
            assert data["prevSeqNum"] == self.seq, "an update is missing"
        assert data["seqNum"] == data["prevSeqNum"] + 1
        self.seq = data["seqNum"]
        for side, rows in ((self.bids, data["bids"]), (self.asks, data["asks"])):
            for price, size in rows:
                if size == "0":
                    side.pop(Decimal(price), None)
                else:
                    side[Decimal(price)] = size

    def best(self) -> tuple[Decimal, str, Decimal, str]:
        bid, ask = max(self.bids), min(self.asks)
        return bid, self.bids[bid], ask, self.asks[ask]


def best_of(market: Any) -> tuple[Decimal, str, Decimal, str]:
    """What the engine has, in the exchange's units: contracts of futures are whole numbers."""
    i, top = market.instrument, market.top
    bid, ask = (f"{size * i.lot:f}" if i.product == "spot" else str(size) for size in (top.bid_size, top.ask_size))
    return top.bid * i.tick, bid, top.ask * i.tick, ask


@contextmanager
def published(client: Any, market: Any, kind: str) -> Iterator[list[tuple[int, Any]]]:
    """What the engine's best prices were whenever a topic of this kind was published, with the book's number."""
    sockets, rows = client.server.exchanges["lmex"].sockets, []
    publish = sockets._publish

    def noting(which: Any, topic: str, text: str) -> None:
        if which is market and topic.startswith(kind):
            rows.append((sockets.books[market].seq if market in sockets.books else 0, best_of(market)))
        publish(which, topic, text)

    sockets._publish = noting
    try:
        yield rows
    finally:
        del sockets._publish


@pytest.mark.parametrize(("product", "native"), [("futures", "BTC-PERP"), ("spot", "BTC-USD")])
async def test_a_naive_book_is_the_engine_s_at_every_update(client, product, native):
    market = client.server.market.markets["lmex", product, native]
    async with client.socket(f"/lmex/ws/oss/{product}") as socket:
        assert await ask(socket, f"update:{native}_0") == [f"update:{native}_0"]
        with published(client, market, "update:") as rows:
            book = NaiveBook()
            snapshot = (await receive(socket, lambda m: "topic" in m))["data"]
            assert (snapshot["type"], snapshot["symbol"]) == ("snapshot", native)
            assert len(snapshot["bids"]) == len(snapshot["asks"]) == 50
            asks = [Decimal(price) for price, _ in snapshot["asks"]]
            assert asks == sorted(asks, reverse=True), "from high to low, as in the documentation"
            book.take(snapshot)
            for _ in range(15):
                book.take((await receive(socket, lambda m: "topic" in m))["data"])
                assert (book.seq, book.best()) in rows


async def test_two_who_follow_a_book_hold_the_same(client):
    async with client.socket(FUTURES) as first, client.socket(FUTURES) as second:
        books: list[NaiveBook] = [NaiveBook(), NaiveBook()]
        for socket, book in zip((first, second), books, strict=True):
            await ask(socket, "update:ETH-PERP_0")
            await asyncio.sleep(0.15)
            book.take((await receive(socket, lambda m: "topic" in m))["data"])
        while books[0].seq != books[1].seq:
            behind = 0 if books[0].seq < books[1].seq else 1
            books[behind].take((await receive((first, second)[behind], lambda m: "topic" in m))["data"])
        assert books[0].best() == books[1].best()


async def test_acknowledgements_leave_out_what_was_refused(client):
    async with client.socket(FUTURES) as socket:
        topics = ["update:BTC-PERP_0", "foo:BTC-PERP", "update:NOPE-PERP_0", "snapshotL1:BTC-PERP"]
        assert await ask(socket, *topics) == ["update:BTC-PERP_0", "snapshotL1:BTC-PERP"]
        errors = (await receive(socket, lambda m: m.get("severity") == "ERROR"))["errors"]
        assert [(e["arg"], e["error"]["code"]) for e in errors] == [
            ("foo:BTC-PERP", 1005),
            ("update:NOPE-PERP_0", 1000),
        ]
    async with client.socket("/lmex/ws/spot") as socket:
        assert await ask(socket, "orderBookApi:BTC-USD_0") == []
        assert await ask(socket, "tradeHistoryApiV3:BTC-USD") == []
        assert not [m for m in await collect(socket, 0.2) if "errors" in m], "the main socket says no more"


@pytest.mark.parametrize(
    ("text", "code"), [("{", 1002), ("[]", 1002), ('{"op":"fly"}', 1001), ('{"op":"subscribe","args":"x"}', 1002)]
)
async def test_wrong_messages(client, text, code):
    async with client.socket(FUTURES) as socket:
        await socket.send_str(text)
        (error,) = (await receive(socket, lambda m: True))["errors"]
        assert error["error"]["code"] == code


async def test_best_prices(client):
    market = client.server.market.markets["lmex", "futures", "BTC-PERP"]
    async with client.socket(FUTURES) as socket:
        await ask(socket, "snapshotL1:BTC-PERP_0")
        await receive(socket, lambda m: "topic" in m)
        with published(client, market, "snapshotL1:") as rows:
            for number in range(4):
                message = await receive(socket, lambda m: "topic" in m)
                assert message["topic"] == "snapshotL1:BTC-PERP_0"
                ((bid, bid_size),), ((ask_price, ask_size),) = message["data"]["bids"], message["data"]["asks"]
                assert (Decimal(bid), bid_size, Decimal(ask_price), ask_size) == rows[number][1]


@pytest.mark.parametrize(
    ("topic", "said", "symbol"),
    [
        ("tradeHistoryApiV3:BTC-PERP", "tradeHistoryApiV3:BTC-PERP", "BTC-PERP"),
        ("tradeHistoryApiV2:BTC-PERP", "tradeHistoryApiV2:BTC-PERP", "BTC-PERP"),
        ("tradeHistoryApi:BTC-PERP", "tradeHistoryApi", "BTCPFC"),
    ],
)
async def test_trades_and_their_old_name(client, topic, said, symbol):
    market = client.server.market.markets["lmex", "futures", "BTC-PERP"]
    async with client.socket("/lmex/ws/futures") as socket:
        await ask(socket, topic)
        past = await receive(socket, lambda m: "topic" in m)
        ids = [row["tradeId"] for row in past["data"]]
        assert ids == sorted(ids, reverse=True), "newest first"
        live = await receive(socket, lambda m: "topic" in m)
        assert live["topic"] == said
        prints = {each.id: each for each in market.recent}
        for row in live["data"]:
            each = prints[row["tradeId"]]
            assert (row["symbol"], row["size"], row["side"]) == (
                symbol,
                each.size,
                "BUY" if each.taker_buys else "SELL",
            )
            assert row["price"] == each.price * market.instrument.tick


async def test_both_pings(client):
    async with client.socket(FUTURES) as socket:
        await socket.send_str("ping")
        assert (await socket.receive(timeout=5)).data == "pong"
        await socket.send_json({"op": "ping"})
        assert await receive(socket, lambda m: True) == {"event": "pong"}


async def test_rest(client):
    i = next(each for each in FEW if each.native == "BTC-PERP")
    market = client.server.market.markets["lmex", "futures", "BTC-PERP"]
    rows = await client.get("/lmex/futures/api/v2.3/market_summary", listFullAttributes="true")
    (row,) = (row for row in rows if row["symbol"] == "BTC-PERP")
    assert (row["contractSize"], row["minSizeIncrement"], row["quote"]) == (float(i.lot), 1, "USDT")
    assert row["fundingTime"] == market.next_funding_ms()
    assert row["low24Hr"] < row["volume"] / row["size"] < row["high24Hr"], "turnover by size is a price"
    (mark,) = await client.get("/lmex/futures/api/v2.2/price", symbol="BTC-PERP")
    assert mark["markPrice"] == pytest.approx(market.mark * float(i.tick), rel=1e-3)
    book = await client.get("/lmex/futures/api/v2.3/orderbook/L2", symbol="BTC-PERP", depth=3)
    assert len(book["buyQuote"]) == len(book["sellQuote"]) == 3
    trades = await client.get("/lmex/futures/api/v2.3/trades", symbol="BTC-PERP", count=2)
    assert [t["serialId"] for t in trades] == sorted((t["serialId"] for t in trades), reverse=True)
    bars = await client.get("/lmex/spot/api/v3.3/ohlcv", symbol="BTC-USD", resolution=1)
    assert len(bars) == 300
    assert all(newer[0] - older[0] == 60 for newer, older in pairwise(bars))
    assert all(row[3] <= row[1] <= row[2] for row in bars)
    history = await client.get("/lmex/futures/api/v2.3/funding_history", symbol="BTC-PERP", count=2)
    assert [r["time"] % 28_800 for r in history["BTC-PERP"]] == [0, 0]
    assert abs((await client.get("/lmex/spot/api/v3.3/time"))["epoch"] - time.time()) < 2
    status, body, _ = await client.ask("GET", "/lmex/spot/api/v3.3/orderbook", symbol="NOPE-USD")
    assert (status, body["errorCode"]) == (400, 400)
    assert (await client.ask("GET", "/lmex/spot/api/v3.3/ohlcv", symbol="BTC-USD", resolution=7))[0] == 400


async def test_too_many_queries_are_blocked_until_a_moment():
    async with simulator(instruments=FEW) as client:
        answers = [await client.ask("GET", "/lmex/spot/api/v3.3/price") for _ in range(17)]
        assert [status for status, _, _ in answers[:15]] == [200] * 15
        status, _, headers = answers[-1]
        assert status == 429
        assert 0 < int(headers["Retry-After"]) - time.time() * 1000 < 1000


async def test_blocks_escalate_and_are_forgotten_after_a_clean_hour():
    now = [0.0]
    meter = Meter(lambda: now[0])
    for expected in (1, 300, 900, 900):
        assert [meter.charge("x") for _ in range(16)] == [0] * 15 + [expected]
        assert meter.charge("another call") == expected, "the address is blocked"
        now[0] += expected
    now[0] += 3601
    assert [meter.charge("x") for _ in range(16)][-1] == 1


async def test_a_connection_without_pings_is_dropped():
    rules = {"lmex": SocketRules(idle_s=0.6)}
    async with (
        simulator(instruments=FEW, rules=rules) as client,
        client.socket(FUTURES) as socket,
        client.socket(FUTURES) as other,
    ):
        await ask(socket, "update:BTC-PERP_0")
        end_s = time.monotonic() + 1.5
        closed = False
        while time.monotonic() < end_s:
            await other.send_str("ping")
            message = await socket.receive()
            if message.type is aiohttp.WSMsgType.CLOSE:
                closed = True
                break
        assert closed
        await other.send_str("ping")
        assert (await other.receive(timeout=2)).data == "pong"


async def test_ten_or_more_markets_of_both_products():
    assert len(LISTING) >= 10
    assert {each.symbol for each in LISTING} >= {"BTC/USDT", "BTC/USD", "BTC/USDT:USDT", "ETH/USDT:USDT"}
