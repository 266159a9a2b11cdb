"""The simulated Binance's public side, read by a plain client: chains, snapshots, routes, limits."""

import asyncio
import time
from decimal import Decimal
from itertools import pairwise

import aiohttp
import pytest
import pytest_asyncio

from feeds.simulator.settings import FIRST
from feeds.simulator.sockets import SocketRules
from feeds.simulator.venues import listings
from tests.feeds.simulator_help import collect, receive, simulator

REST = {"spot": "/binance/api/v3", "usdm": "/binance/usdm/fapi/v1"}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client():
    """One server for the tests that leave nothing behind."""
    async with simulator() as shared:
        yield shared


def public(product):
    return "/binance/stream" if product == "spot" else "/binance/usdm/public/stream"


class Book:
    """Levels by price, as the documentation says to keep them."""

    def __init__(self, snapshot):
        self.last = snapshot["lastUpdateId"]
        self.sides = {
            name: {Decimal(price): Decimal(size) for price, size in snapshot[name]} for name in ("bids", "asks")
        }

    def apply(self, event):
        for name, key in (("bids", "b"), ("asks", "a")):
            for price, size in event[key]:
                if Decimal(size):
                    self.sides[name][Decimal(price)] = Decimal(size)
                else:
                    self.sides[name].pop(Decimal(price), None)
        self.last = event["u"]

    def best(self):
        bid, ask = max(self.sides["bids"]), min(self.sides["asks"])
        return bid, self.sides["bids"][bid], ask, self.sides["asks"][ask]


async def synchronised(client, socket, product):
    """The documented recipe: buffer, snapshot, drop what is older, check that the first event fits.

    Returns the book and the events that follow it.
    """
    buffered = [(await receive(socket, lambda m: "depth" in m["stream"]))["data"]]
    book = Book(await client.get(f"{REST[product]}/depth", symbol="BTCUSDT", limit=1000))
    assert book.last >= buffered[0]["U"]
    while buffered[-1]["u"] <= book.last:
        buffered.append((await receive(socket, lambda m: "depth" in m["stream"]))["data"])
    follow = [event for event in buffered if event["u"] > book.last]
    first = follow[0]
    if product == "spot":
        assert first["U"] <= book.last + 1
    else:
        assert first["U"] <= book.last or first["pu"] == book.last
    return book, follow


@pytest.mark.parametrize("product", ["spot", "usdm"])
async def test_snapshot_and_updates_lead_to_a_later_snapshot(product):
    async with simulator() as client, client.socket(public(product) + "?streams=btcusdt@depth@100ms") as socket:
        book, follow = await synchronised(client, socket, product)
        market = client.server.market.markets["binance", product, "BTCUSDT"]
        compared = skipped = 0
        while compared < 8:
            event = follow.pop(0) if follow else (await receive(socket, lambda m: True))["data"]
            if product == "spot":
                assert event["U"] <= book.last + 1
                assert "pu" not in event
            else:
                assert event["pu"] <= book.last < event["U"] or event["U"] <= book.last
                assert (event["st"], event["ps"]) == (1, "BTCUSDT")
                skipped += event["U"] > event["pu"] + 1
            book.apply(event)
            later = await client.get(f"{REST[product]}/depth", symbol="BTCUSDT", limit=1000)
            if later["lastUpdateId"] == book.last:  # the market has not moved on meanwhile
                assert book.sides == Book(later).sides
                if market.engine.update_id == book.last:
                    truth = market.engine.asks.top(1000)
                    assert later["asks"] == [[market.price_text(p), market.size_text(s)] for p, s in truth]
                compared += 1
        assert product == "spot" or skipped, "ids must skip on futures"


@pytest.mark.parametrize("product", ["spot", "usdm"])
async def test_updates_are_a_chain(product):
    async with simulator() as client, client.socket(public(product) + "?streams=btcusdt@depth@100ms") as socket:
        events = [m["data"] for m in await collect(socket, 2.5)]
    assert len(events) > 10
    for before, after in pairwise(events):
        if product == "spot":
            assert after["U"] == before["u"] + 1
        else:
            assert after["pu"] == before["u"] < after["U"]
        assert after["U"] <= after["u"]


@pytest.mark.parametrize("product", ["spot", "usdm"])
async def test_best_prices_of_book_and_ticker_agree(product):
    """After each update with last id u, the best prices are those of the last bookTicker with an id up to u."""
    path = public(product) + "?streams=btcusdt@depth@100ms/btcusdt@bookTicker"
    async with simulator() as client, client.socket(path) as socket:
        await receive(socket, lambda m: "depth" in m["stream"])
        book = Book(await client.get(f"{REST[product]}/depth", symbol="BTCUSDT", limit=1000))
        messages = await collect(socket, 3)
    tickers = [m["data"] for m in messages if m["stream"].endswith("bookTicker")]
    assert [row["u"] for row in tickers] == sorted(row["u"] for row in tickers)
    compared = 0
    for event in (m["data"] for m in messages if "depth" in m["stream"]):
        if event["u"] > book.last:
            book.apply(event)
            known = [row for row in tickers if row["u"] <= event["u"]]
            if known:
                assert book.best() == tuple(Decimal(known[-1][name]) for name in "bBaA")
                compared += 1
    assert compared > 10


async def test_every_documented_stream_speaks_on_its_route():
    spot = [
        "depth@100ms",
        "depth",
        "depth5@100ms",
        "bookTicker",
        "trade",
        "aggTrade",
        "ticker",
        "miniTicker",
        "kline_1m",
    ]
    routes = {
        "/binance/stream": spot,
        "/binance/usdm/public/stream": ["depth@100ms", "depth", "depth@500ms", "depth20@100ms", "bookTicker"],
        "/binance/usdm/market/stream": ["aggTrade", "ticker", "miniTicker", "kline_5m", "markPrice@1s", "markPrice"],
    }
    async with simulator() as client:

        async def silent(path, names):
            wanted = {f"btcusdt@{name}" for name in names}
            async with client.socket(f"{path}?streams={'/'.join(sorted(wanted))}") as socket:
                end_s = time.monotonic() + 8
                while wanted and time.monotonic() < end_s:
                    wanted.discard((await receive(socket, lambda m: True))["stream"])
            return wanted

        results = await asyncio.gather(*(silent(path, names) for path, names in routes.items()))
    assert results == [set(), set(), set()]


async def test_payloads_have_the_documented_fields():
    fields = {
        "btcusdt@trade": "e E s t p q T m M",
        "btcusdt@aggTrade": "e E s a p q f l T m M",
        "btcusdt@bookTicker": "u s b B a A",
        "btcusdt@ticker": "e E s p P w x c Q b B a A o h l v q O C F L n",
        "btcusdt@miniTicker": "e E s c o h l v q",
        "btcusdt@kline_1m": "e E s k",
        "btcusdt@depth5@100ms": "lastUpdateId bids asks",
    }
    async with simulator() as client, client.socket("/binance/stream?streams=" + "/".join(fields)) as socket:
        for name, expected in fields.items():
            message = await receive(socket, lambda m, name=name: m["stream"] == name)
            assert set(message["data"]) == set(expected.split()), name
    futures = {
        "btcusdt@aggTrade": "e E s a p q nq f l T m st",
        "btcusdt@ticker": "e E s ps st p P w c Q o h l v q O C F L n",
        "btcusdt@markPrice@1s": "e E s p i P r ap T st",
    }
    async with simulator() as client, client.socket("/binance/market/stream?streams=" + "/".join(futures)) as socket:
        for name, expected in futures.items():
            message = await receive(socket, lambda m, name=name: m["stream"] == name)
            assert set(message["data"]) == set(expected.split()), name


# -- control messages ------------------------------------------------------------------------------------------------


async def test_subscribing_while_connected():
    async with simulator() as client, client.socket("/binance/stream") as socket:
        await socket.send_json({"method": "SUBSCRIBE", "params": ["btcusdt@bookTicker", "nosuch@trade"], "id": 1})
        assert await receive(socket, lambda m: "id" in m) == {"result": None, "id": 1}
        await receive(socket, lambda m: m.get("stream") == "btcusdt@bookTicker")
        await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 2})
        answer = await receive(socket, lambda m: m.get("id") == 2)
        assert answer["result"] == ["btcusdt@bookTicker", "nosuch@trade"]
        await socket.send_json({"method": "UNSUBSCRIBE", "params": ["btcusdt@bookTicker"], "id": 3})
        await receive(socket, lambda m: m == {"result": None, "id": 3})
        assert await collect(socket, 0.6) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", {"code": 3}),
        ("[]", {"code": 2}),
        ('{"method":"SUBSCRIBEX","id":1}', {"code": 2}),
        ('{"method":"SUBSCRIBE","params":["a"],"id":1.5}', {"error": {"code": 2}}),
        ('{"method":"SUBSCRIBE","params":[1],"id":1}', {"error": {"code": 1}}),
        ('{"method":"SET_PROPERTY","params":["nothing",true],"id":1}', {"error": {"code": 0}}),
        ('{"method":"SET_PROPERTY","params":["combined",1],"id":1}', {"error": {"code": 1}}),
    ],
)
async def test_wrong_control_messages_are_answered(text, expected):
    async with simulator() as client, client.socket("/binance/stream") as socket:
        await socket.send_str(text)
        answer = await receive(socket, lambda m: True)
        if "error" in expected:
            assert answer["error"]["code"] == expected["error"]["code"]
        else:
            assert answer["code"] == expected["code"]


async def test_raw_frames_and_the_combined_property():
    async with simulator() as client, client.socket("/binance/ws/btcusdt@bookTicker") as socket:
        assert "stream" not in await receive(socket, lambda m: True)
        await socket.send_json({"method": "SET_PROPERTY", "params": ["combined", True], "id": 1})
        await receive(socket, lambda m: m == {"result": None, "id": 1})
        assert (await receive(socket, lambda m: True))["stream"] == "btcusdt@bookTicker"
        await socket.send_json({"method": "GET_PROPERTY", "params": ["combined"], "id": 2})
        assert (await receive(socket, lambda m: "id" in m))["result"] is True


async def test_a_stream_on_the_wrong_futures_route_is_acknowledged_and_silent():
    async with simulator() as client:
        for route, name in (("public", "btcusdt@aggTrade"), ("market", "btcusdt@bookTicker")):
            async with client.socket(f"/binance/usdm/{route}/stream") as socket:
                await socket.send_json({"method": "SUBSCRIBE", "params": [name], "id": 1})
                assert await receive(socket, lambda m: True) == {"result": None, "id": 1}
                assert await collect(socket, 0.7) == []


async def test_un_routed_futures_streams_are_refused():
    async with simulator() as client:
        for path in ("/binance/usdm/stream?streams=btcusdt@depth", "/binance/usdm/ws/btcusdt@depth"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await client.socket(path)
            assert refused.value.status == 404


async def test_at_most_1024_streams_on_a_connection():
    async with simulator() as client, client.socket("/binance/stream") as socket:
        names = [f"s{number}@trade" for number in range(1025)]
        await socket.send_json({"method": "SUBSCRIBE", "params": names, "id": 1})
        assert "error" in await receive(socket, lambda m: m.get("id") == 1)
        await socket.send_json({"method": "SUBSCRIBE", "params": names[:1024], "id": 2})
        assert await receive(socket, lambda m: m.get("id") == 2) == {"result": None, "id": 2}


# -- connection rules ------------------------------------------------------------------------------------------------


async def test_too_many_messages_disconnect():
    async with simulator() as client, client.socket("/binance/stream") as socket:
        for number in range(6):
            await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": number})
        messages = []
        while (message := await socket.receive(timeout=5)).type is aiohttp.WSMsgType.TEXT:
            messages.append(message)
        assert len(messages) == 5
        assert message.type is aiohttp.WSMsgType.CLOSE
        assert message.data == 1008


async def test_the_server_pings_and_ends_a_connection_without_pongs():
    rules = SocketRules(ping_s=0.3, pong_s=0.7)
    async with simulator(rules={"binance.spot": rules}) as client:
        url = f"ws://127.0.0.1:{client.server.port}/binance/stream"
        async with client.session.ws_connect(url, autoping=False) as socket:
            ping = await socket.receive(timeout=5)
            assert ping.type is aiohttp.WSMsgType.PING
            assert ping.data
            await socket.pong(ping.data)
            while (message := await socket.receive(timeout=5)).type is aiohttp.WSMsgType.PING:
                pass
            assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1008)
        async with client.session.ws_connect(url, autoping=True) as socket:
            assert await collect(socket, 2) == []  # answered pings: still open


async def test_a_connection_has_a_longest_life():
    rules = SocketRules(life_s=0.5)
    async with (
        simulator(rules={"binance.usdm": rules}) as client,
        client.socket("/binance/usdm/market/stream") as socket,
    ):
        message = await socket.receive(timeout=5)
        assert message.type is aiohttp.WSMsgType.CLOSE


# -- REST ------------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("path", "params", "weight"),
    [
        ("spot/exchangeInfo", {}, 20),
        ("spot/depth", {"symbol": "BTCUSDT"}, 5),
        ("spot/depth", {"symbol": "BTCUSDT", "limit": 500}, 25),
        ("spot/depth", {"symbol": "BTCUSDT", "limit": 1000}, 50),
        ("spot/depth", {"symbol": "BTCUSDT", "limit": 5000}, 250),
        ("usdm/depth", {"symbol": "BTCUSDT"}, 10),
        ("usdm/depth", {"symbol": "BTCUSDT", "limit": 50}, 2),
        ("usdm/depth", {"symbol": "BTCUSDT", "limit": 100}, 5),
        ("usdm/depth", {"symbol": "BTCUSDT", "limit": 1000}, 20),
        ("usdm/exchangeInfo", {}, 1),
        ("spot/klines", {"symbol": "BTCUSDT", "interval": "1m"}, 2),
    ],
)
async def test_weights_are_counted_as_documented(client, path, params, weight):
    product, _, name = path.partition("/")
    _, _, headers = await client.ask("GET", f"{REST[product]}/ping")
    before = int(headers["X-MBX-USED-WEIGHT-1M"])
    status, _, headers = await client.ask("GET", f"{REST[product]}/{name}", **params)
    assert status == 200
    used = int(headers["X-MBX-USED-WEIGHT-1M"])
    assert used in (before + weight, weight)  # a new minute may have begun


async def test_above_the_limit_429_with_retry_after_then_418():
    async with simulator(weights={"spot": 30}) as client:
        codes: list[int] = []
        while 418 not in codes and len(codes) < 400:  # a new minute may begin meanwhile
            status, body, headers = await client.ask("GET", f"{REST['spot']}/ping")
            codes.append(status)
            if status != 200:
                assert body["code"] == -1003
                assert 1 <= int(headers["Retry-After"]) <= 120
        assert codes[:30] == [200] * 30
        assert 429 in codes[30:]
        assert codes[-2:] == [429, 418]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("path", "params", "code"),
    [
        ("spot/depth", {}, -1102),
        ("spot/depth", {"symbol": "NOPE"}, -1121),
        ("spot/depth", {"symbol": "BTCUSDT", "limit": "x"}, -1100),
        ("spot/exchangeInfo", {"symbols": '["BTCUSDT","NOPE"]'}, -1121),
        ("spot/klines", {"symbol": "BTCUSDT", "interval": "7m"}, -1120),
        ("usdm/depth", {"symbol": "BTCUSDT", "limit": 7}, -4021),
    ],
)
async def test_rest_errors(client, path, params, code):
    product, _, name = path.partition("/")
    status, body, _ = await client.ask("GET", f"{REST[product]}/{name}", **params)
    assert (status, body["code"]) == (400, code)


async def test_exchange_info_lists_what_was_asked_for():
    async with simulator(instruments=listings(FIRST)) as client:
        spot = await client.get(f"{REST['spot']}/exchangeInfo")
        assert [row["baseAsset"] for row in spot["symbols"]] == [
            "BTC",
            "ETH",
            "SOL",
            "XRP",
            "DOGE",
            "ADA",
            "LINK",
            "BNB",
        ]
        futures = await client.get(f"{REST['usdm']}/exchangeInfo")
        assert [row["symbol"] for row in futures["symbols"]] == ["BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT"]
        assert {row["contractType"] for row in futures["symbols"]} == {"PERPETUAL"}
        first = {f["filterType"]: f for f in futures["symbols"][0]["filters"]}
        assert (first["PRICE_FILTER"]["tickSize"], first["LOT_SIZE"]["stepSize"]) == ("0.10", "0.001")


@pytest.mark.parametrize("product", ["spot", "usdm"])
async def test_candle_history_joins_the_live_bar(product):
    async with simulator() as client:
        path = "/binance/stream" if product == "spot" else "/binance/market/stream"
        async with client.socket(f"{path}?streams=btcusdt@kline_1m") as socket:
            live = (await receive(socket, lambda m: True))["data"]["k"]
            rows = await client.get(f"{REST[product]}/klines", symbol="BTCUSDT", interval="1m", limit=1000)
    assert len(rows) == 1000
    assert all(b[0] == a[6] + 1 == a[0] + 60_000 for a, b in pairwise(rows))
    same = next(row for row in rows if row[0] == live["t"])
    assert same[1] == live["o"]
    assert same[6] == live["T"]
    assert rows[-2][4] == rows[-1][1] or abs(Decimal(rows[-2][4]) - Decimal(rows[-1][1])) < 100
