"""The simulated Bybit, read by a plain client that shares nothing with the adapter."""

import asyncio
import time
from decimal import Decimal
from itertools import pairwise

import aiohttp
import pytest
import pytest_asyncio

from feeds.simulator.bybit import rest as bybit_rest
from feeds.simulator.bybit import sockets as bybit_sockets
from feeds.simulator.settings import Settings
from feeds.simulator.sockets import SocketRules
from feeds.simulator.venues import listings
from tests.feeds.simulator_help import collect, receive, simulator

FEW = tuple(
    each
    for each in listings(["bybit"])
    if each.native in ("BTCUSDT", "DOGEUSDT", "BTCPERP") or each.product == "linear"
)
SPOT, LINEAR = "/bybit/v5/public/spot", "/bybit/v5/public/linear"
PATHS = {"spot": SPOT, "linear": LINEAR}
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client():
    """One server for the tests that leave nothing behind."""
    async with simulator(instruments=FEW) as shared:
        yield shared


@pytest_asyncio.fixture(loop_scope="module")
async def faults(client):
    """Faults for one test."""

    async def add(**body):
        await client.post("/__sim/faults", {"exchange": "bybit", **body})

    yield add
    async with client.session.delete(f"{client.base}/__sim/faults") as answer:
        assert answer.status == 200


class Book:
    """Levels as printed, never cut: the simulator removes what leaves the window."""

    def __init__(self):
        self.bids, self.asks = {}, {}
        self.u = self.seq = None

    def take(self, frame):
        data = frame["data"]
        if frame["type"] == "snapshot":
            self.bids, self.asks = {}, {}
        else:
            assert data["u"] == self.u + 1
            assert data["seq"] >= self.seq
        self.u, self.seq = data["u"], data["seq"]
        for side, rows in ((self.bids, data["b"]), (self.asks, data["a"])):
            for price, size in rows:
                side[Decimal(price)] = Decimal(size)
                if not Decimal(size):
                    del side[Decimal(price)]


async def ask(socket, op, *args, req_id="1"):
    await socket.send_json({"req_id": req_id, "op": op, "args": list(args)})
    return await receive(socket, lambda m: m.get("op") == op)


@pytest.mark.parametrize("depth", [50, 200, 1000])
@pytest.mark.parametrize(("product", "native"), [("spot", "BTCUSDT"), ("linear", "BTCPERP")])
async def test_book_at_every_depth(client, product, native, depth):
    async with client.socket(PATHS[product]) as socket:
        assert (await ask(socket, "subscribe", f"orderbook.{depth}.{native}"))["success"]
        book, kinds = Book(), []
        while len(kinds) < 4:
            frame = await receive(socket, lambda m: m.get("topic", "").startswith("orderbook"))
            kinds.append(frame["type"])
            book.take(frame)
            assert max(book.bids) < min(book.asks)
            assert len(book.bids) <= depth and len(book.asks) <= depth
            assert frame["cts"] <= frame["ts"]
        engine = client.server.market.markets["bybit", product, native].engine
        assert len(book.bids) == min(depth, len(engine.bids.totals))
    assert kinds == ["snapshot"] + ["delta"] * 3


async def test_a_newcomer_gets_the_window_that_the_others_hold(client):
    async with client.socket(LINEAR) as old, client.socket(LINEAR) as new:
        for socket in (old, new):
            await ask(socket, "subscribe", "orderbook.50.BTCUSDT")
        books = []
        for socket in (old, new):
            book, states = Book(), {}
            for _ in range(8):
                book.take(await receive(socket, lambda m: "topic" in m))
                states[book.u] = dict(book.bids), dict(book.asks)
            books.append(states)
        shared = books[0].keys() & books[1].keys()
        assert len(shared) > 3
        assert all(books[0][u] == books[1][u] for u in shared)


async def test_best_prices_are_snapshots_that_come_again_without_a_change(client, monkeypatch):
    monkeypatch.setattr(bybit_sockets, "AGAIN_S", 0.3)
    async with client.socket(SPOT) as socket:
        await ask(socket, "subscribe", "orderbook.1.DOGEUSDT")
        rows = [await receive(socket, lambda m: "topic" in m) for _ in range(4)]
        assert {row["type"] for row in rows} == {"snapshot"}
        assert all(len(row["data"]["b"]) == len(row["data"]["a"]) == 1 for row in rows)
        beat, client.server.beat = client.server.beat, client.server.beat
        market = client.server.market.markets["bybit", "spot", "DOGEUSDT"]
        exchange = client.server.exchanges["bybit"]
        client.server.beat = lambda now_ms: exchange.happened(market, [], [], now_ms)  # the market stands still
        try:
            last = [row for row in await collect(socket, 1.0) if "topic" in row][-2:]
        finally:
            client.server.beat = beat
        assert last[0]["data"] == last[1]["data"]
        assert 280 < last[1]["ts"] - last[0]["ts"] < 600


async def test_the_answers_of_the_products_differ(client):
    for product, said in (("spot", "subscribe"), ("linear", "")):
        async with client.socket(PATHS[product]) as socket:
            answer = await ask(socket, "subscribe", "publicTrade.BTCUSDT", req_id="sub-1")
            assert (answer["success"], answer["ret_msg"], answer["req_id"]) == (True, said, "sub-1")
            await socket.send_json({"op": "ping"})
            pong = await receive(socket, lambda m: m.get("op") == "ping")
            assert (pong["success"], pong["ret_msg"], pong["req_id"]) == (True, "pong", "")


@pytest.mark.parametrize(
    ("product", "args", "said"),
    [
        ("linear", ["tickers.BTCUSDT", "orderbook.500.BTCUSDT"], "error:handler not found,topic:orderbook.500.BTCUSDT"),
        ("linear", ["tickers.NOSUCH"], "error:handler not found,topic:tickers.NOSUCH"),
        ("spot", ["publicTrade.BTCPERP"], "error:handler not found,topic:publicTrade.BTCPERP"),
        ("linear", ["kline.2.BTCUSDT"], "error:handler not found,topic:kline.2.BTCUSDT"),
        ("linear", ["tickers.BTCUSDT", "tickers.BTCUSDT"], "error:already subscribed,topic:tickers.BTCUSDT"),
        ("linear", ["tickers"], "error:handler not found,topic:tickers"),
        ("linear", [], "Params Error"),
        ("spot", [f"kline.{n}.BTCUSDT" for n in range(11)], "error:args size >10"),
        ("linear", [f"tickers.{n:0100d}" for n in range(210)], "error:args length exceeds the limit"),
    ],
)
async def test_one_wrong_topic_fails_the_whole_message(client, product, args, said):
    async with client.socket(PATHS[product]) as socket:
        answer = await ask(socket, "subscribe", *args)
        assert (answer["success"], answer["ret_msg"]) == (False, said)
        assert await collect(socket, 0.3) == []


async def test_ending_and_asking_again(client):
    async with client.socket(LINEAR) as socket:
        await ask(socket, "subscribe", "orderbook.50.BTCUSDT")
        first = await receive(socket, lambda m: m.get("type") == "snapshot")
        again = await ask(socket, "subscribe", "orderbook.50.BTCUSDT")
        assert again["ret_msg"] == "error:already subscribed,topic:orderbook.50.BTCUSDT"
        assert (await ask(socket, "unsubscribe", "orderbook.50.BTCUSDT"))["success"]
        assert await collect(socket, 0.3) == []
        await ask(socket, "subscribe", "orderbook.50.BTCUSDT")
        second = await receive(socket, lambda m: "topic" in m)
        assert second["type"] == "snapshot"
        assert second["data"]["u"] > first["data"]["u"]


@pytest.mark.parametrize("text", ["{", "[]", '{"op":"fly"}', '{"op":"subscribe","args":"tickers.BTCUSDT"}'])
async def test_what_is_no_request(client, text):
    async with client.socket(SPOT) as socket:
        await socket.send_str(text)
        assert (await receive(socket, lambda m: "success" in m))["success"] is False


async def test_trades_tickers_and_candles(client):
    topics = ("publicTrade.BTCUSDT", "tickers.BTCUSDT", "kline.1.BTCUSDT")
    got = {}
    async with client.socket(SPOT) as spot, client.socket(LINEAR) as linear:
        for product, socket in (("spot", spot), ("linear", linear)):
            await ask(socket, "subscribe", *topics)
            got[product] = {}
        both = await asyncio.gather(collect(spot, 2), collect(linear, 2))
        for product, messages in zip(("spot", "linear"), both, strict=True):
            for message in messages:
                got[product].setdefault(message["topic"].partition(".")[0], []).append(message)
    for product, frames in got.items():
        trades = [row for frame in frames["publicTrade"] for row in frame["data"]]
        assert len({row["i"] for row in trades}) == len(trades) > 0
        assert all((row["i"].isdigit(), "L" in row) == (product == "spot", product == "linear") for row in trades)
        rows = [row for frame in frames["kline"] for row in frame["data"]]
        assert all(row["end"] - row["start"] == 59_999 for row in rows)
        assert all(later["start"] >= earlier["start"] for earlier, later in pairwise(rows))
    kinds = [frame["type"] for frame in got["linear"]["tickers"]]
    assert kinds[0] == "snapshot" and set(kinds[1:]) == {"delta"}
    assert {frame["type"] for frame in got["spot"]["tickers"]} == {"snapshot"}
    assert "bid1Price" not in got["spot"]["tickers"][0]["data"]
    whole, *changes = (frame["data"] for frame in got["linear"]["tickers"])
    assert len(whole) == 27, "as in the recording"
    for change in changes:
        assert change["symbol"] == "BTCUSDT"
        assert all(whole[name] != value for name, value in change.items() if name != "symbol"), "only what changed"
        whole |= change


async def test_a_bar_that_is_over_is_told_once_as_confirmed(client):
    """The turn of a minute, by moving the simulator's clock."""
    market = client.server.market.markets["bybit", "linear", "ETHUSDT"]
    server = client.server.exchanges["bybit"].sockets
    async with client.socket(LINEAR) as socket:
        await ask(socket, "subscribe", "kline.1.ETHUSDT")
        first = (await receive(socket, lambda m: "topic" in m))["data"][-1]
        later_ms = first["end"] + 5
        server.happened(market, [], [], later_ms)
        ended, begun = (await receive(socket, lambda m: "topic" in m and len(m["data"]) > 1))["data"][-2:]
        assert (ended["start"], ended["confirm"]) == (first["start"], True)
        assert (begun["start"], begun["confirm"]) == (first["end"] + 1, False)


async def test_an_idle_connection_is_closed():
    async with (
        simulator(instruments=FEW[:1], rules={"bybit": SocketRules(idle_s=0.5)}) as client,
        client.socket(SPOT) as socket,
    ):
        assert (await socket.receive(timeout=10)).type is aiohttp.WSMsgType.CLOSE


async def test_too_many_connections():
    async with simulator(instruments=FEW[:1], connects={"bybit": 2}) as client:
        for path in (SPOT, LINEAR):
            async with client.socket(path):
                pass
        with pytest.raises(aiohttp.WSServerHandshakeError):
            async with client.socket("/bybit/v5/public/misc/status"):
                pass


# -- faults ----------------------------------------------------------------------------------------------------------


async def test_a_lost_update_leaves_a_hole(client, faults):
    async with client.socket(LINEAR) as socket:
        await ask(socket, "subscribe", "orderbook.50.BTCUSDT", "orderbook.50.DOGEUSDT")
        await faults(kind="drop_depth", product="linear", symbol="BTCUSDT")
        frames = [m for m in await collect(socket, 1.0) if "topic" in m]
    for native, holes in (("BTCUSDT", 1), ("DOGEUSDT", 0)):
        numbers = [frame["data"]["u"] for frame in frames if frame["data"]["s"] == native]
        assert sum(later != earlier + 1 for earlier, later in pairwise(numbers)) == holes


async def test_a_crossed_book_heals(client, faults):
    async with client.socket(LINEAR) as socket:
        await ask(socket, "subscribe", "orderbook.50.BTCUSDT")
        book = Book()

        async def crossed():
            book.take(await receive(socket, lambda m: "topic" in m))
            return max(book.bids) >= min(book.asks)

        await faults(kind="crossed", symbol="BTCUSDT")
        async with asyncio.timeout(10):
            while not await crossed():  # what was sent before the fault struck may still be on its way
                pass
        assert not await crossed(), "the next message heals it"


async def test_a_crossed_book_is_crossed_even_where_an_old_bid_goes():
    """The market fell through the price of the fault's bid in the same message: one price, told once."""
    async with simulator(instruments=FEW[:1]) as client:
        market = client.server.market.markets["bybit", "spot", "BTCUSDT"]
        client.server.beat = lambda now_ms: None  # the market stands still
        sockets = client.server.exchanges["bybit"].sockets
        async with client.socket(SPOT) as socket:
            await ask(socket, "subscribe", "orderbook.50.BTCUSDT")
            book, engine = Book(), market.engine
            book.take(await receive(socket, lambda m: "topic" in m))
            top = engine.asks.best() + 5
            for order in [order for order in engine.orders.values() if not order.buy and order.price <= top + 5]:
                engine.cancel(order.id)
            engine.place(True, top, 7)
            sockets.happened(market, [], [], client.server.market.latent.now_ms)
            book.take(await receive(socket, lambda m: "topic" in m))
            assert Decimal(market.price_text(top)) in book.bids
            engine.cancel(engine.last_order_id)
            engine.place(False, top - 5, 7)
            await client.post("/__sim/faults", {"exchange": "bybit", "kind": "crossed"})
            key = ("spot", "orderbook.50.BTCUSDT")
            sockets._publish_window(key, sockets._windows[key], client.server.market.latent.now_ms)
            book.take(await receive(socket, lambda m: "topic" in m))
            assert max(book.bids) >= min(book.asks)


async def test_garbage_mute_reject_and_silence(client, faults):
    async with client.socket(LINEAR) as socket:
        await ask(socket, "subscribe", "orderbook.50.BTCUSDT")
        await faults(kind="garbage", symbol="BTCUSDT")
        while (message := await socket.receive(timeout=10)).data != '{"topic":"orderbook.':
            assert message.type is aiohttp.WSMsgType.TEXT
        await faults(kind="mute", symbol="BTCUSDT")
        await collect(socket, 0.2)
        assert await collect(socket, 0.5) == []
        await socket.send_json({"op": "ping"})
        assert (await receive(socket, lambda m: True))["ret_msg"] == "pong"
        await faults(kind="reject", symbol="DOGEUSDT")
        refused = await ask(socket, "subscribe", "tickers.ETHUSDT", "tickers.DOGEUSDT")
        assert refused["ret_msg"] == "error:handler not found,topic:tickers.DOGEUSDT"
        await faults(kind="no_ack")
        await socket.send_json({"op": "subscribe", "args": ["tickers.ETHUSDT"]})
        assert await collect(socket, 0.4) == []


async def test_a_restart_numbers_every_book_from_one(client):
    async with client.socket(LINEAR) as socket:
        await ask(socket, "subscribe", "orderbook.50.BTCUSDT")
        await receive(socket, lambda m: m.get("type") == "delta")
        await client.post("/__sim/faults", {"exchange": "bybit", "kind": "shutdown", "value": "restart"})
        begun = await receive(socket, lambda m: m.get("type") == "snapshot")
        assert begun["data"]["u"] == 1
        assert (await receive(socket, lambda m: "topic" in m))["data"]["u"] == 2


async def test_maintenance_is_told_by_stream_and_by_rest(client):
    async def act(value):
        await client.post("/__sim/faults", {"exchange": "bybit", "kind": "shutdown", "value": value})

    async with client.socket("/bybit/v5/public/misc/status") as socket:
        assert (await ask(socket, "subscribe", "system.status"))["success"]
        assert (await client.get("/bybit/v5/system/status"))["result"]["list"] == []
        await act("upgrade")
        told = await receive(socket, lambda m: m.get("topic") == "system.status")
        (row,) = (await client.get("/bybit/v5/system/status"))["result"]["list"]
        assert row["title"] == told["data"][0]["title"] == "upgrade"
        assert row["state"] == "ongoing"
        await act("")
        assert (await receive(socket, lambda m: "topic" in m))["data"][0]["state"] == "completed"
        assert (await client.get("/bybit/v5/system/status"))["result"]["list"] == []


# -- REST ------------------------------------------------------------------------------------------------------------


async def test_linear_instruments_come_in_pages(client):
    rest = client.server.exchanges["bybit"].rest
    names, cursor, pages = [], "", 0
    rest.most_a_page = 4
    try:
        while True:
            params = {"category": "linear", "limit": 1000, **({"cursor": cursor} if cursor else {})}
            body = (await client.get("/bybit/v5/market/instruments-info", **params))["result"]
            names += [row["symbol"] for row in body["list"]]
            pages += 1
            if not (cursor := body["nextPageCursor"]):
                break
    finally:
        rest.most_a_page = 1000
    assert (len(names), len(set(names)), pages) == (6, 6, 2)
    wrong = await client.get("/bybit/v5/market/instruments-info", category="linear", cursor="x")
    assert wrong["retCode"] == 10001


async def test_instruments(client):
    spot = (await client.get("/bybit/v5/market/instruments-info", category="spot"))["result"]
    assert "nextPageCursor" not in spot
    linear = (await client.get("/bybit/v5/market/instruments-info", category="linear"))["result"]
    rows = {row["symbol"]: row for row in linear["list"]}
    assert (rows["BTCPERP"]["quoteCoin"], rows["BTCPERP"]["settleCoin"]) == ("USDC", "USDC")
    assert (rows["BTCUSDT"]["priceFilter"]["tickSize"], rows["BTCUSDT"]["lotSizeFilter"]["qtyStep"]) == (
        "0.10",
        "0.001",
    )
    prelaunch = await client.get("/bybit/v5/market/instruments-info", category="linear", status="PreLaunch")
    assert prelaunch["result"]["list"] == []
    assert len(Settings(exchanges=("bybit",)).exchanges) == 1 and len(listings(["bybit"])) == 14


async def test_answers(client):
    for category, default in (("spot", 1), ("linear", 25)):
        params = {"category": category, "symbol": "BTCUSDT"}
        book = (await client.get("/bybit/v5/market/orderbook", **params))["result"]
        assert len(book["a"]) == len(book["b"]) == default
        assert Decimal(book["b"][0][0]) < Decimal(book["a"][0][0])
        rows = (await client.get("/bybit/v5/market/kline", interval="1", limit=500, **params))["result"]["list"]
        assert len(rows) == 500
        assert all(int(newer[0]) == int(older[0]) + 60_000 for newer, older in pairwise(rows))
        days = (await client.get("/bybit/v5/market/kline", interval="D", limit=3, **params))["result"]["list"]
        assert int(days[0][0]) % 86_400_000 == 0 and len(days) == 3
        trades = (await client.get("/bybit/v5/market/recent-trade", **params))["result"]["list"]
        assert all(int(newer["time"]) >= int(older["time"]) for newer, older in pairwise(trades))
        (ticker,) = (await client.get("/bybit/v5/market/tickers", **params))["result"]["list"]
        assert Decimal(ticker["bid1Price"]) < Decimal(ticker["ask1Price"])
        assert ("markPrice" in ticker) == (category == "linear")
    clock = (await client.get("/bybit/v5/market/time"))["result"]
    assert abs(int(clock["timeSecond"]) - time.time()) < 5


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("kline", {"category": "spot", "symbol": "NOSUCH", "interval": "1"}),
        ("kline", {"category": "spot", "symbol": "BTCUSDT", "interval": "7"}),
        ("orderbook", {"category": "inverse", "symbol": "BTCUSD"}),
        ("orderbook", {"category": "spot", "symbol": "BTCUSDT", "limit": "many"}),
    ],
)
async def test_errors_come_with_http_200(client, path, params):
    assert (await client.get(f"/bybit/v5/market/{path}", **params))["retCode"] == 10001


async def test_too_many_requests_are_banned(monkeypatch):
    monkeypatch.setattr(bybit_rest, "REQUESTS", 3)
    monkeypatch.setattr(bybit_rest, "BAN_S", 0.3)
    async with simulator(instruments=FEW[:1]) as client:

        async def status():
            async with client.session.get(f"{client.base}/bybit/v5/market/time") as answer:
                return answer.status, await answer.text()

        assert [(await status())[0] for _ in range(4)] == [200, 200, 200, 403]
        assert (await status())[1] == "access too frequent"
