"""The simulated Kraken Futures, read by a plain client."""

import asyncio
import json
from datetime import date
from decimal import Decimal
from itertools import pairwise

import aiohttp
import pytest
import pytest_asyncio

from feeds.simulator.krakenfutures.listing import EXPIRY, LISTING, quarter_end
from feeds.simulator.sockets import SocketRules
from tests.feeds.simulator_help import collect, receive, simulator

PATH = "/krakenfutures/ws/v1"
API = "/krakenfutures/derivatives/api/v3"
BTC, ETH, DATED = "PF_XBTUSD", "PF_ETHUSD", f"FF_XBTUSD_{EXPIRY}"
FEW = tuple(each for each in LISTING if each.native in (BTC, ETH, DATED))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client():
    """One server for the tests that leave nothing behind."""
    async with simulator(instruments=FEW) as shared:
        yield shared


class PlainBook:
    """Dictionaries of what was printed."""

    def __init__(self, snapshot):
        self.seq = snapshot["seq"]
        self.sides = {
            side: {row["price"]: row["qty"] for row in snapshot[name]}
            for side, name in (("buy", "bids"), ("sell", "asks"))
        }

    def apply(self, delta):
        """Whether the chain holds."""
        holds = delta["seq"] == self.seq + 1
        self.seq = delta["seq"]
        side = self.sides[delta["side"]]
        if delta["qty"]:
            side[delta["price"]] = delta["qty"]
        else:
            side.pop(delta["price"], None)
        return holds

    def crossed(self):
        return max(self.sides["buy"]) >= min(self.sides["sell"])


def is_book(product=BTC):
    return lambda message: message.get("feed") == "book" and message["product_id"] == product


async def subscribe(socket, feed, *products, event="subscribe"):
    await socket.send_json({"event": event, "feed": feed, **({"product_ids": products} if products else {})})


async def book_of(socket, product=BTC):
    await subscribe(socket, "book", product)
    return PlainBook(await receive(socket, lambda m: m.get("feed") == "book_snapshot"))


def true_sides(market):
    i = market.instrument
    engine = market.engine
    return {
        side: {price * i.tick: size * i.lot for price, size in totals.items()}
        for side, totals in (("buy", engine.bids.totals), ("sell", engine.asks.totals))
    }


def test_dated_contracts_end_on_the_last_friday_of_a_quarter():
    assert quarter_end(date(2026, 11, 25)) == date(2026, 12, 25)
    assert quarter_end(date(2026, 12, 20)) == date(2027, 3, 26)
    assert quarter_end(date(2026, 1, 1)) == date(2026, 3, 27)
    assert len(LISTING) >= 10


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("product", [BTC, DATED])
async def test_the_book_is_the_engine_s(client, product):
    market = client.server.market.markets["krakenfutures", "futures", product]
    ladder = client.server.exchanges["krakenfutures"].server.ladders[product]
    async with client.socket(PATH) as socket:
        book = await book_of(socket, product)
        for _ in range(60):
            assert book.apply(await receive(socket, is_book(product)))
            assert not book.crossed()
        while book.seq != ladder.seq or book.sides != true_sides(market):
            assert book.apply(await receive(socket, is_book(product))), "never the engine's book"


@pytest.mark.asyncio(loop_scope="module")
async def test_two_clients_have_the_same_numbers(client):
    async with client.socket(PATH) as first, client.socket(PATH) as second:
        early = await book_of(first)
        await collect(first, 0.2)
        late = await book_of(second)
        assert late.seq > early.seq
        numbers = [[m["seq"] for m in await collect(s, 0.5) if is_book()(m)] for s in (first, second)]
        assert set(numbers[1][:10]) <= set(numbers[0]) | set(range(late.seq + 1, late.seq + 20))
        assert all(b == a + 1 for a, b in pairwise(numbers[1]))


@pytest.mark.asyncio(loop_scope="module")
async def test_greeting_answers_and_complaints(client):
    async with client.socket(PATH) as socket:
        assert await receive(socket, lambda m: True) == {"event": "info", "version": 1}
        await subscribe(socket, "heartbeat")
        assert await receive(socket, lambda m: m.get("event")) == {"event": "subscribed", "feed": "heartbeat"}
        assert (await receive(socket, lambda m: m.get("feed") == "heartbeat"))["time"] > 10**12
        for message, event, said in (
            ({"event": "ping"}, "alert", "Bad websocket message"),
            ({"event": "subscribe", "feed": "candles_trade_1m", "product_ids": [BTC]}, "error", "Invalid feed"),
            ({"event": "subscribe", "feed": "fills"}, "alert", "Failed to subscribe to authenticated feed"),
            (
                {"event": "subscribe", "feed": "book", "product_ids": ["PF_NOTHING"]},
                "alert",
                "Couldn't subscribe to invalid product `PF_NOTHING`",
            ),
        ):
            await socket.send_json(message)
            assert await receive(socket, lambda m: m.get("event")) == {"event": event, "message": said}
        await socket.send_str("{")
        assert (await receive(socket, lambda m: m.get("event")))["message"] == "Json Error"
        await subscribe(socket, "ticker", BTC, ETH)
        assert (await receive(socket, lambda m: m.get("event")))["product_ids"] == [BTC, ETH]
        await subscribe(socket, "ticker", BTC)
        assert (await receive(socket, lambda m: m.get("event")))["message"].startswith("Already subscribed")
        assert (await receive(socket, lambda m: m.get("event")))["event"] == "subscribed"
        await subscribe(socket, "ticker", BTC, event="unsubscribe")
        answer = await receive(socket, lambda m: m.get("event") == "unsubscribed")
        assert answer == {"event": "unsubscribed", "feed": "ticker", "product_ids": [BTC]}
        heard = {m.get("product_id") for m in await collect(socket, 1.3) if m.get("feed") == "ticker"}
        assert heard == {ETH}


@pytest.mark.asyncio(loop_scope="module")
async def test_trades_begin_with_history_newest_first(client):
    async with client.socket(PATH) as socket:
        await subscribe(socket, "trade", BTC)
        history = (await receive(socket, lambda m: m.get("feed") == "trade_snapshot"))["trades"]
        numbers = [row["seq"] for row in history]
        assert numbers == sorted(numbers, reverse=True)
        assert len(history) <= 100
        row = await receive(socket, lambda m: m.get("feed") == "trade")
        assert row["seq"] == numbers[0] + 1
        assert {"uid", "side", "type", "time", "qty", "price"} <= row.keys()


@pytest.mark.asyncio(loop_scope="module")
async def test_tickers_come_once_a_second(client):
    async with client.socket(PATH) as socket:
        await subscribe(socket, "ticker", BTC, DATED)
        told = [m for m in await collect(socket, 2.2) if m.get("feed") == "ticker" and "time" in m]
    for product in (BTC, DATED):
        rows = [row for row in told if row["product_id"] == product]
        assert 2 <= len(rows) <= 4
        row = rows[-1]
        assert row["bid"] < row["ask"]
        assert float(row["change"]) == pytest.approx(100 * float(row["last"] / row["open"] - 1), abs=0.006)
        assert (row["suspended"], row["post_only"]) == (False, False)
        assert ("relative_funding_rate" in row) == (product == BTC)
        if product == BTC:
            ratio = row["funding_rate"] / row["markPrice"]
            assert float(ratio) == pytest.approx(float(row["relative_funding_rate"]), rel=1e-6)
            assert row["next_funding_rate_time"] % 3_600_000 == 0


@pytest.mark.asyncio(loop_scope="module")
async def test_rest(client):
    listed = (await client.get(f"{API}/instruments"))["instruments"]
    kinds = {entry["symbol"]: entry["type"] for entry in listed}
    assert kinds[BTC] == kinds[DATED] == "flexible_futures"
    assert kinds["PI_XBTUSD"] == "futures_inverse"
    rows = (await client.get(f"{API}/tickers"))["tickers"]
    assert [row["symbol"] for row in rows] == [each.native for each in FEW]
    assert (await client.get(f"{API}/tickers/{BTC}"))["ticker"]["bid"] > 0
    sides = (await client.get(f"{API}/orderbook", symbol=BTC))["orderBook"]
    assert sides["bids"][0][0] < sides["asks"][0][0]
    assert sides["bids"] == sorted(sides["bids"], reverse=True)
    assert len((await client.get(f"{API}/history", symbol=BTC))["history"]) <= 100
    assert (await client.get(f"{API}/instruments/status"))["instrumentStatus"][0]["tradeable"] == BTC
    refused = await client.get(f"{API}/orderbook", symbol="PF_NOTHING")
    assert (refused["result"], refused["error"]) == ("error", "invalidArgument: symbol")


@pytest.mark.asyncio(loop_scope="module")
async def test_candles(client):
    path = f"/krakenfutures/api/charts/v1/trade/{BTC}"
    answer = await client.get(f"{path}/1m", count=5)
    assert len(answer["candles"]) == 5
    assert answer["more_candles"] is True
    assert all(b["time"] - a["time"] == 60_000 for a, b in pairwise(answer["candles"]))
    assert len((await client.get(f"{path}/1m"))["candles"]) <= 2000
    first_s = answer["candles"][0]["time"] // 1000
    part = await client.get(f"{path}/1m", **{"from": first_s, "to": first_s + 60})
    assert [row["time"] // 1000 for row in part["candles"]] == [first_s, first_s + 60]
    assert (await client.get(f"{path}/2m"))["result"] == "error"
    assert (await client.get(f"{path}/1m", count="x"))["error"] == "invalidArgument: count"


# -- rules and faults; each leaves something behind


async def test_a_client_that_does_not_ping_is_let_go_and_one_that_does_stays():
    rules = {"krakenfutures": SocketRules(unheard_s=0.6)}
    sockets = simulator(instruments=FEW, rules=rules)
    async with sockets as client, client.socket(PATH) as pinging, client.socket(PATH) as silent:
        await subscribe(silent, "book", BTC)
        for _ in range(8):
            await pinging.ping()
            await asyncio.sleep(0.15)
        with pytest.raises(AssertionError, match="the connection ended"):
            await receive(silent, lambda m: False, 3)
        await subscribe(pinging, "book", BTC)
        await receive(pinging, lambda m: m.get("feed") == "book_snapshot")


async def test_connection_attempts_are_counted():
    async with simulator(instruments=FEW, connects={"krakenfutures": 1}) as client, client.socket(PATH):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with client.socket(PATH):
                pass
        assert refused.value.status == 429


@pytest.fixture
def quick(monkeypatch):
    """Tickers and heartbeats ten times a second."""
    monkeypatch.setattr("feeds.simulator.krakenfutures.sockets.TICKER_S", 0.1)
    monkeypatch.setattr("feeds.simulator.krakenfutures.sockets.BEAT_S", 0.1)


async def test_faults_of_the_book():
    async with simulator(instruments=FEW) as client, client.socket(PATH) as socket:
        book = await book_of(socket)
        fault = {"exchange": "krakenfutures", "symbol": "BTC/USD:USD"}
        await client.post("/__sim/faults", {**fault, "kind": "drop_depth"})
        holds = [book.apply(await receive(socket, is_book())) for _ in range(60)]
        assert holds.count(False) == 1
        await subscribe(socket, "book", BTC, event="unsubscribe")
        book = await book_of(socket)
        await client.post("/__sim/faults", {**fault, "kind": "crossed"})
        crossed = []
        while not any(crossed) or crossed[-1]:
            assert book.apply(await receive(socket, is_book()))
            crossed.append(book.crossed())
        await client.post("/__sim/faults", {**fault, "kind": "garbage"})
        with pytest.raises(json.JSONDecodeError):
            await receive(socket, lambda m: False)


@pytest.mark.parametrize(("symbol", "silent"), [(BTC, {BTC}), ("", {BTC, ETH, None})])
async def test_mute(quick, symbol, silent):
    async with simulator(instruments=FEW) as client, client.socket(PATH) as socket:
        await subscribe(socket, "heartbeat")
        for feed in ("book", "ticker", "trade"):
            await subscribe(socket, feed, BTC, ETH)
        await client.post("/__sim/faults", {"exchange": "krakenfutures", "kind": "mute", "symbol": symbol})
        await collect(socket, 0.3)
        heard = {message.get("product_id") for message in await collect(socket, 0.5)}
        assert not heard & silent
        assert heard == {BTC, ETH, None} - silent


async def test_answers_fail_on_demand():
    async with simulator(instruments=FEW) as client, client.socket(PATH) as socket:
        await client.post("/__sim/faults", {"exchange": "krakenfutures", "kind": "reject", "symbol": BTC})
        await subscribe(socket, "book", BTC, ETH)
        assert (await receive(socket, lambda m: "message" in m))["message"] == "Invalid product id"
        assert (await receive(socket, lambda m: "feed" in m))["product_ids"] == [ETH]
        async with client.session.delete(f"{client.base}/__sim/faults"):
            pass
        await client.post("/__sim/faults", {"exchange": "krakenfutures", "kind": "no_ack", "count": 1})
        await subscribe(socket, "trade", BTC)
        await subscribe(socket, "ticker", BTC)
        assert (await receive(socket, lambda m: m.get("event")))["feed"] == "ticker"
        for code, said in ((503, "unavailable"), (429, "apiLimitExceeded")):
            await client.post(
                "/__sim/faults", {"exchange": "krakenfutures", "kind": "status", "value": code, "count": 1}
            )
            status, body, _ = await client.ask("GET", f"{API}/tickers")
            assert (status, body["error"]) == (code, said)


async def test_a_halt_is_told_by_the_tickers(quick):
    async with simulator(instruments=FEW) as client, client.socket(PATH) as socket:
        await subscribe(socket, "ticker", BTC)
        fault = {"exchange": "krakenfutures", "kind": "shutdown"}
        await client.post("/__sim/faults", fault)
        assert (await receive(socket, lambda m: m.get("suspended") is True))["product_id"] == BTC
        await client.post("/__sim/faults", {**fault, "value": "post_only"})
        assert (await receive(socket, lambda m: m.get("post_only") is True))["suspended"] is False
        await client.post("/__sim/faults", {**fault, "value": "online"})
        await receive(socket, lambda m: m.get("post_only") is False)


async def test_it_costs_little():
    """All its markets, at one look: far less than the time between two."""
    async with simulator(exchanges=("krakenfutures",), instruments=()) as client:
        server = client.server
        loop = asyncio.get_running_loop()
        before = loop.time()
        for _ in range(50):
            server.exchanges["krakenfutures"].tick(server.market.now_ms)
        assert loop.time() - before < 0.5
        assert Decimal(len(server.exchanges["krakenfutures"].listing)) >= 10
