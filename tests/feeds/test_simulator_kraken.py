"""The simulated Kraken, read by a plain client with its own checksum."""

import json
import time
import zlib
from decimal import Decimal
from itertools import pairwise

import aiohttp
import pytest
import pytest_asyncio

from feeds.simulator.kraken.frames import Window, checksum
from feeds.simulator.market import World
from feeds.simulator.settings import FIRST
from feeds.simulator.sockets import SocketRules
from feeds.simulator.venues import listings
from tests.feeds.simulator_help import FEW, collect, receive, simulator


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client():
    """One server for the tests that leave nothing behind."""
    async with simulator() as shared:
        yield shared


class KrakenBook:
    """Levels as printed; the checksum is the documentation's, done with text."""

    def __init__(self, depth):
        self.depth = depth
        self.bids, self.asks = {}, {}

    def take(self, data, *, truncate=True):
        for side, rows, best_last in ((self.bids, data["bids"], True), (self.asks, data["asks"], False)):
            for row in rows:
                price, size = row["price"], row["qty"]
                if size == 0:
                    side.pop(price, None)
                else:
                    side[price] = size
            if truncate:
                for price in sorted(side, reverse=best_last)[self.depth :]:
                    del side[price]

    def checksum(self):
        text = ""
        for side, reverse in ((self.asks, False), (self.bids, True)):
            for price in sorted(side, reverse=reverse)[:10]:
                for number in (price, side[price]):
                    text += f"{number:f}".replace(".", "").lstrip("0")
        return zlib.crc32(text.encode())


async def subscribe(socket, channel, symbols=("BTC/USD",), **params):
    await socket.send_json({"method": "subscribe", "params": {"channel": channel, "symbol": list(symbols), **params}})


def test_the_documented_checksum():
    """Worked example A and C of the protocol notes; prices in tenths, sizes in 1e-8."""
    bids = "64009.9 0.75 64009.0 0.02 64008.8 1 64007.3 0.5 64006.0 4 64005.5 0.33333333 64003.1 0.06 64001.0 2.5"
    bids += " 64000.0 12.34567890 63999.9 0.0025"
    asks = "64010.0 0.005 64010.1 1.2 64010.7 0.35 64011.0 2 64012.5 0.0125 64013.9 0.75 64015.0 3.14159265 64018.2 0.1"
    asks += " 64020.0 10 64025.5 0.0001"

    def levels(text):
        words = [Decimal(word) for word in text.split()]
        return [(int(price * 10), int(size * 10**8)) for price, size in zip(words[::2], words[1::2], strict=True)]

    assert checksum(levels(bids), levels(asks)) == 3388460544
    assert checksum(levels("64009.9 0.75"), levels("64010.0 0.005")) == 2462463564


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("depth", [10, 25, 100, 500, 1000])
@pytest.mark.parametrize("symbol", ["BTC/USD", "DOGE/USD"])
async def test_book_and_checksum_at_every_depth(client, symbol, depth):
    async with client.socket("/kraken/v2") as socket:
        await subscribe(socket, "book", [symbol], depth=depth)
        ack = await receive(socket, lambda m: m.get("method") == "subscribe")
        assert ack["success"]
        assert ack["result"] == {"channel": "book", "symbol": symbol, "depth": depth, "snapshot": True}
        book, kinds = KrakenBook(depth), []
        while len(kinds) < 15:
            message = await receive(socket, lambda m: m.get("channel") == "book")
            kinds.append(message["type"])
            (data,) = message["data"]
            book.take(data)
            assert book.checksum() == data["checksum"]
            assert max(book.bids) < min(book.asks)
            assert len(book.bids) <= depth
    assert kinds == ["snapshot"] + ["update"] * 14


def test_what_leaves_the_window_is_not_removed_and_comes_back():
    """Followed for a while at depth 10: a client that truncates stays right, one that does not goes wrong."""
    world = World(3, 1_795_219_200_000, FEW)
    market = world.markets["kraken", "spot", "BTC/USD"]
    window = Window(market, 10)
    right, wrong = KrakenBook(10), KrakenBook(10)
    snapshot = json.loads(window.snapshot(0), parse_float=Decimal)["data"][0]
    for book in (right, wrong):
        book.take(snapshot)
    failures = pushed_out = 0
    for _ in range(1500):
        world.advance(world.now_ms + 20)
        changes = window.advance()
        if changes is None:
            continue
        bids, asks, expected = changes
        i = market.instrument
        data = {
            name: [{"price": p * i.tick, "qty": s * i.lot} for p, s in rows]
            for name, rows in (("bids", bids), ("asks", asks))
        }
        before = len(right.bids) + len(right.asks)
        right.take(data, truncate=False)
        pushed_out += len(right.bids) + len(right.asks) > 20 >= before
        right.take({"bids": [], "asks": []})
        wrong.take(data, truncate=False)
        assert right.checksum() == expected
        assert [(p * i.tick, s * i.lot) for p, s in market.engine.asks.top(10)] == sorted(right.asks.items())
        failures += wrong.checksum() != expected
    assert pushed_out > 10
    assert failures > 0


@pytest.mark.asyncio(loop_scope="module")
async def test_status_comes_first_and_unasked(client):
    async with client.socket("/kraken/v2") as socket:
        first = await receive(socket, lambda m: True)
        assert (first["channel"], first["data"][0]["system"]) == ("status", "online")
        assert first["data"][0]["connection_id"] > 2**53


@pytest.mark.asyncio(loop_scope="module")
async def test_one_answer_per_symbol_and_a_wrong_one_harms_no_other(client):
    async with client.socket("/kraken/v2") as socket:
        await socket.send_json(
            {
                "method": "subscribe",
                "params": {"channel": "trade", "symbol": ["BTC/USD", "XBT/USD", "DOGE/USD"], "snapshot": True},
                "req_id": 7,
            }
        )
        answers = [await receive(socket, lambda m: m.get("method") == "subscribe") for _ in range(3)]
        assert [answer["req_id"] for answer in answers] == [7, 7, 7]
        assert [answer["success"] for answer in answers] == [True, False, True]
        assert answers[1]["error"] == "Currency pair not supported XBT/USD"
        assert answers[1]["symbol"] == "XBT/USD"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{", "Malformed request"),
        ("[]", "Malformed request"),
        ('{"method":"fly"}', "Malformed request"),
        ('{"method":"subscribe","params":{"channel":"tea","symbol":["BTC/USD"]}}', "Malformed request"),
        ('{"method":"subscribe","params":{"channel":"book","symbol":"BTC/USD"}}', "Malformed request"),
        (
            '{"method":"subscribe","params":{"channel":"book","symbol":["BTC/USD"],"depth":11}}',
            "Subscription depth not supported",
        ),
        (
            '{"method":"subscribe","params":{"channel":"ohlc","symbol":["BTC/USD"],"interval":7}}',
            "Subscription ohlc interval not supported",
        ),
        ('{"method":"unsubscribe","params":{"channel":"trade","symbol":["BTC/USD"]}}', "Subscription not found"),
    ],
)
async def test_wrong_requests_are_answered(client, text, error):
    async with client.socket("/kraken/v2") as socket:
        await socket.send_str(text)
        answer = await receive(socket, lambda m: "success" in m)
        assert (answer["success"], answer["error"]) == (False, error)


@pytest.mark.asyncio(loop_scope="module")
async def test_resubscribing(client):
    async with client.socket("/kraken/v2") as socket:
        await subscribe(socket, "book", depth=10)
        await receive(socket, lambda m: m.get("type") == "snapshot")
        await subscribe(socket, "book", depth=10)
        assert (await receive(socket, lambda m: m.get("success") is False))["error"] == "Already subscribed"
        params = {"channel": "book", "symbol": ["BTC/USD"], "depth": 10}
        await socket.send_json({"method": "unsubscribe", "params": params, "req_id": 2})
        ended = await receive(socket, lambda m: m.get("req_id") == 2)
        assert ended["result"] == {"channel": "book", "symbol": "BTC/USD", "depth": 10}
        assert all(m.get("channel") != "book" for m in await collect(socket, 0.5))
        await subscribe(socket, "book", depth=10)
        snapshot = (await receive(socket, lambda m: m.get("channel") == "book"))["data"][0]
        book = KrakenBook(10)
        book.take(snapshot)
        assert book.checksum() == snapshot["checksum"]


@pytest.mark.asyncio(loop_scope="module")
async def test_a_newcomer_gets_the_window_that_the_others_hold(client):
    async with client.socket("/kraken/v2") as old, client.socket("/kraken/v2") as new:
        await subscribe(old, "book", depth=25)
        await receive(old, lambda m: m.get("type") == "snapshot")
        await subscribe(new, "book", depth=25)
        book = KrakenBook(25)
        for _ in range(10):
            (data,) = (await receive(new, lambda m: m.get("channel") == "book"))["data"]
            book.take(data)
            assert book.checksum() == data["checksum"]


@pytest.mark.asyncio(loop_scope="module")
async def test_trades_ticker_and_candles(client):
    async with client.socket("/kraken/v2") as socket:
        await subscribe(socket, "trade", snapshot=True)
        await subscribe(socket, "ticker", event_trigger="bbo")
        await subscribe(socket, "ohlc", interval=5)
        await subscribe(socket, "instrument", ())
        messages = await collect(socket, 4)
    data = {}
    for message in messages:
        if "channel" in message:
            data.setdefault(message["channel"], []).append(message)
    trades = [row for message in data["trade"] for row in message["data"]]
    assert data["trade"][0]["type"] == "snapshot"
    assert all(b["trade_id"] == a["trade_id"] + 1 for a, b in pairwise(trades))
    assert set(trades[0]) == {"symbol", "side", "price", "qty", "ord_type", "trade_id", "timestamp"}
    assert len(data["ticker"]) > 3
    assert all(m["data"][0]["bid"] < m["data"][0]["ask"] for m in data["ticker"])
    candles = [row for message in data["ohlc"] for row in message["data"]]
    assert {row["interval"] for row in candles} == {5}
    begins = [row["interval_begin"] for row in candles]
    assert begins == sorted(begins)
    pairs = {pair["symbol"]: pair for pair in data["instrument"][0]["data"]["pairs"]}
    assert set(pairs) == {"BTC/USD", "DOGE/USD"}
    assert (pairs["BTC/USD"]["price_precision"], pairs["BTC/USD"]["qty_precision"]) == (1, 8)
    assert "warnings" in next(m for m in messages if m.get("result", {}).get("channel") == "instrument")["result"]


@pytest.mark.asyncio(loop_scope="module")
async def test_numbers_are_printed_with_all_their_digits(client):
    async with client.socket("/kraken/v2") as socket:
        await subscribe(socket, "book", ["DOGE/USD"], depth=10)
        while '"snapshot","data"' not in (text := (await socket.receive(timeout=10)).data):
            pass
    data = json.loads(text, parse_float=str)["data"][0]
    for row in data["bids"] + data["asks"]:
        assert len(row["price"].partition(".")[2]) == 7
        assert len(row["qty"].partition(".")[2]) == 8


@pytest.mark.asyncio(loop_scope="module")
async def test_heartbeats_come_only_with_a_subscription(client):
    async with client.socket("/kraken/v2") as socket:
        assert [m for m in await collect(socket, 1.6) if m.get("channel") == "heartbeat"] == []
        await subscribe(socket, "instrument", ())
        await receive(socket, lambda m: m == {"channel": "heartbeat"}, timeout_s=4)


@pytest.mark.asyncio(loop_scope="module")
async def test_ping(client):
    async with client.socket("/kraken/v2") as socket:
        await socket.send_json({"method": "ping", "req_id": 42})
        pong = await receive(socket, lambda m: m.get("method") == "pong")
        assert pong["req_id"] == 42


async def test_an_idle_connection_is_closed():
    async with simulator(rules={"kraken": SocketRules(idle_s=1.0)}) as client, client.socket("/kraken/v2") as socket:
        begin_s = time.monotonic()
        await receive(socket, lambda m: m["channel"] == "status")
        assert (await socket.receive(timeout=10)).type is aiohttp.WSMsgType.CLOSE
        assert time.monotonic() - begin_s >= 1.0


# -- REST ------------------------------------------------------------------------------------------------------------


async def test_pairs_have_three_names_and_all_are_understood():
    async with simulator(instruments=listings(FIRST)) as client:
        pairs = (await client.get("/kraken/0/public/AssetPairs"))["result"]
        names = {key: (pair["altname"], pair["wsname"]) for key, pair in pairs.items()}
        assert names["XXBTZUSD"] == ("XBTUSD", "XBT/USD")
        assert names["XDGUSD"] == ("XDGUSD", "XDG/USD")
        assert names["XBTUSDT"] == ("XBTUSDT", "XBT/USDT")
        assert len(names) == 11
        for name in ("XXBTZUSD", "XBTUSD", "XBT/USD"):
            assert list((await client.get("/kraken/0/public/Ticker", pair=name))["result"]) == ["XXBTZUSD"]
        assets = (await client.get("/kraken/0/public/Assets"))["result"]
        assert {code: row["altname"] for code, row in assets.items() if code[0] in "XZ"}["XXDG"] == "XDG"


@pytest.mark.asyncio(loop_scope="module")
async def test_rest_answers(client):
    body = await client.get("/kraken/0/public/OHLC", pair="XBTUSD", interval=1)
    rows = body["result"]["XXBTZUSD"]
    assert len(rows) == 720
    assert all(b[0] == a[0] + 60 for a, b in pairwise(rows))
    depth = (await client.get("/kraken/0/public/Depth", pair="XBTUSD", count=20))["result"]["XXBTZUSD"]
    assert len(depth["bids"]) == 20
    assert Decimal(depth["bids"][0][0]) < Decimal(depth["asks"][0][0])
    assert abs((await client.get("/kraken/0/public/Time"))["result"]["unixtime"] - time.time()) < 5
    assert (await client.get("/kraken/0/public/SystemStatus"))["result"]["status"] == "online"
    wrong = await client.get("/kraken/0/public/OHLC", pair="NOPE")
    assert wrong == {"error": ["EQuery:Unknown asset pair"]}
    assert (await client.get("/kraken/0/public/OHLC", pair="XBTUSD", interval=7))["error"] == [
        "EGeneral:Invalid arguments"
    ]
