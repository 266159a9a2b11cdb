"""The simulator misbehaves as told, and only where it was told."""

import asyncio
import time
from itertools import pairwise

import aiohttp
import pytest

from feeds.simulator.faults import Fault, Faults
from tests.feeds.simulator_help import collect, receive, simulator
from tests.feeds.test_simulator_binance import Book
from tests.feeds.test_simulator_kraken import KrakenBook, subscribe


async def fault(client, **body):
    await client.post("/__sim/faults", body)


def test_a_fault_ends_by_count_or_time():
    now = [0.0]
    faults = Faults(lambda: now[0])
    faults.add(Fault(exchange="binance", kind="drop_depth", symbol="BTCUSDT", count=2))
    faults.add(Fault(exchange="kraken", kind="mute", for_s=5))
    assert faults.strike("binance", "drop_depth", "spot", ("ETHUSDT", "ETH/USDT")) is None
    assert faults.strike("binance", "drop_depth", "spot", ("BTCUSDT", "BTC/USDT")) is not None
    assert faults.strike("binance", "drop_depth", "spot", ("BTCUSDT", "BTC/USDT")) is not None
    assert faults.strike("binance", "drop_depth", "spot", ("BTCUSDT", "BTC/USDT")) is None
    assert faults.find("kraken", "mute") is not None
    now[0] = 5.0
    assert faults.find("kraken", "mute") is None
    assert faults.active() == []


async def test_a_dropped_update_breaks_the_chain_of_that_market_alone():
    path = "/binance/stream?streams=btcusdt@depth@100ms/ethusdt@depth@100ms"
    async with simulator() as client, client.socket(path) as socket:
        messages = await collect(socket, 0.4)
        await fault(client, exchange="binance", kind="drop_depth", product="spot", symbol="BTCUSDT")
        messages += await collect(socket, 1.5)
        for symbol, broken in (("BTCUSDT", 1), ("ETHUSDT", 0)):
            events = [m["data"] for m in messages if m["data"]["s"] == symbol]
            gaps = sum(b["U"] != a["u"] + 1 for a, b in pairwise(events))
            assert gaps == broken


async def test_a_wrong_checksum_comes_once():
    async with simulator() as client, client.socket("/kraken/v2") as socket:
        await subscribe(socket, "book", depth=10)
        book = KrakenBook(10)
        book.take((await receive(socket, lambda m: m.get("type") == "snapshot"))["data"][0])
        await fault(client, exchange="kraken", kind="bad_checksum", symbol="BTC/USD")
        wrong = 0
        for _ in range(12):
            (data,) = (await receive(socket, lambda m: m.get("channel") == "book"))["data"]
            book.take(data)
            wrong += book.checksum() != data["checksum"]
        assert wrong == 1


async def test_a_crossed_book_with_a_right_checksum_heals():
    async with simulator() as client, client.socket("/kraken/v2") as socket:
        await subscribe(socket, "book", depth=10)
        book = KrakenBook(10)
        book.take((await receive(socket, lambda m: m.get("type") == "snapshot"))["data"][0])
        await fault(client, exchange="kraken", kind="crossed")
        crossed = []
        for _ in range(12):
            (data,) = (await receive(socket, lambda m: m.get("channel") == "book"))["data"]
            book.take(data)
            assert book.checksum() == data["checksum"]
            crossed.append(max(book.bids) >= min(book.asks))
        assert any(crossed)
        assert not crossed[-1]


async def test_a_crossed_update_of_binance_spoils_the_book_but_not_a_new_snapshot():
    async with simulator() as client, client.socket("/binance/ws/btcusdt@depth@100ms") as socket:
        await receive(socket, lambda m: True)
        book = Book(await client.get("/binance/api/v3/depth", symbol="BTCUSDT", limit=1000))
        await fault(client, exchange="binance", kind="crossed", product="spot")
        crossed = 0
        for event in await collect(socket, 1.0):
            if event["u"] > book.last:
                book.apply(event)
                crossed += book.best()[0] >= book.best()[2]
        assert crossed
        fresh = Book(await client.get("/binance/api/v3/depth", symbol="BTCUSDT", limit=1000))
        assert fresh.best()[0] < fresh.best()[2]


@pytest.mark.parametrize(("symbol", "silent"), [("BTC/USD", {"BTC/USD"}), ("", {"BTC/USD", "DOGE/USD", "heartbeat"})])
async def test_mute_keeps_the_connection_and_gives_no_data(symbol, silent):
    async with simulator() as client, client.socket("/kraken/v2") as socket:
        await subscribe(socket, "book", ["BTC/USD", "DOGE/USD"], depth=10)
        await collect(socket, 0.5)
        await fault(client, exchange="kraken", kind="mute", symbol=symbol)
        await collect(socket, 0.2)
        heard = {m["data"][0]["symbol"] if "data" in m else m["channel"] for m in await collect(socket, 1.5)}
        assert not heard & silent
        assert symbol == "" or "DOGE/USD" in heard
        await socket.send_json({"method": "ping"})
        await receive(socket, lambda m: m.get("method") == "pong")
        async with client.session.delete(f"{client.base}/__sim/faults") as answer:
            assert (await answer.json()) == {"faults": []}
        await receive(socket, lambda m: m.get("channel") == "book")


async def test_mute_of_binance_strikes_one_market_or_all():
    path = "/binance/stream?streams=btcusdt@bookTicker/ethusdt@bookTicker/btcusdt@depth@100ms"
    async with simulator() as client, client.socket(path) as socket:
        await fault(client, exchange="binance", kind="mute", product="spot", symbol="BTC/USDT")
        await collect(socket, 0.3)
        assert {m["stream"] for m in await collect(socket, 1)} == {"ethusdt@bookTicker"}
        await fault(client, exchange="binance", kind="mute")
        await collect(socket, 0.3)
        assert await collect(socket, 0.8) == []


@pytest.mark.parametrize("exchange", ["binance", "kraken"])
async def test_cut_and_close_end_every_connection(exchange):
    path = "/kraken/v2" if exchange == "kraken" else "/binance/ws/btcusdt@trade"
    async with simulator() as client:
        for kind, code in (("close", 1012), ("cut", None)):
            async with client.socket(path) as socket, client.socket(path) as other:
                await fault(client, exchange=exchange, kind=kind, value=code)
                for each in (socket, other):
                    while (message := await each.receive(timeout=5)).type is aiohttp.WSMsgType.TEXT:
                        pass
                    if kind == "close":
                        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1012)
                    else:
                        assert each.close_code in (None, 1006)
        async with client.socket(path) as again:
            assert not again.closed


async def test_withheld_and_refused_subscriptions():
    async with simulator() as client, client.socket("/binance/stream") as socket:
        await fault(client, exchange="binance", kind="no_ack", count=1)
        await socket.send_json({"method": "SUBSCRIBE", "params": ["btcusdt@bookTicker"], "id": 1})
        assert await collect(socket, 0.6) == []
        await fault(client, exchange="binance", kind="reject", count=1)
        await socket.send_json({"method": "SUBSCRIBE", "params": ["btcusdt@bookTicker"], "id": 2})
        assert "error" in await receive(socket, lambda m: m.get("id") == 2)
        await socket.send_json({"method": "SUBSCRIBE", "params": ["btcusdt@bookTicker"], "id": 3})
        assert await receive(socket, lambda m: m.get("id") == 3) == {"result": None, "id": 3}
    async with simulator() as client, client.socket("/kraken/v2") as socket:
        await fault(client, exchange="kraken", kind="reject", symbol="DOGE/USD")
        await subscribe(socket, "trade", ["BTC/USD", "DOGE/USD"])
        answers = [await receive(socket, lambda m: "success" in m) for _ in range(2)]
        assert [answer["success"] for answer in answers] == [True, False]


@pytest.mark.parametrize("status", [429, 503])
async def test_rest_fails_for_a_while(status):
    async with simulator() as client:
        await fault(client, exchange="binance", kind="status", product="spot", value=status, for_s=0.5)
        answer = await client.ask("GET", "/binance/api/v3/ping")
        assert answer[0] == status
        assert ("Retry-After" in answer[2]) == (status == 429)
        assert (await client.ask("GET", "/binance/usdm/fapi/v1/ping"))[0] == 200
        await asyncio.sleep(0.6)
        assert (await client.ask("GET", "/binance/api/v3/ping"))[0] == 200
        await fault(client, exchange="kraken", kind="status", value=status, count=1)
        told, body, _ = await client.ask("GET", "/kraken/0/public/Time")
        if status == 429:  # Kraken's errors come with HTTP 200
            assert (told, body) == (200, {"error": ["EAPI:Rate limit exceeded"]})
        else:
            assert told == status
        assert (await client.ask("GET", "/kraken/0/public/Time"))[0] == 200


async def test_delayed_frames_come_late():
    async with simulator() as client, client.socket("/binance/stream?streams=btcusdt@bookTicker") as socket:
        await fault(client, exchange="binance", kind="delay", value=0.8)
        await collect(socket, 0.3)
        await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 1})
        begin_s = time.monotonic()
        await receive(socket, lambda m: m.get("id") == 1)
        assert time.monotonic() - begin_s > 0.7


async def test_connections_refused_by_status():
    async with simulator() as client:
        await fault(client, exchange="kraken", kind="refuse", value=503, count=1)
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.socket("/kraken/v2")
        assert refused.value.status == 503
        async with client.socket("/kraken/v2") as socket:
            await receive(socket, lambda m: m["channel"] == "status")


async def test_garbage_is_one_frame_among_good_ones():
    async with simulator() as client, client.socket("/binance/ws/btcusdt@depth@100ms") as socket:
        await receive(socket, lambda m: True)
        await fault(client, exchange="binance", kind="garbage", product="spot")
        texts = [(await socket.receive(timeout=5)).data for _ in range(6)]
        assert sum(not text.endswith("}") for text in texts) == 1


async def test_shutdown_is_announced():
    async with simulator() as client:
        async with client.socket("/binance/stream") as socket, client.socket("/binance/ws-api/v3") as api:
            await fault(client, exchange="binance", kind="shutdown")
            message = await receive(socket, lambda m: True)
            assert (message["stream"], message["data"]["e"]) == ("!serverShutdown", "serverShutdown")
            assert (await receive(api, lambda m: True))["event"]["e"] == "serverShutdown"
        async with client.socket("/kraken/v2") as socket:
            await receive(socket, lambda m: m["channel"] == "status")
            await fault(client, exchange="kraken", kind="shutdown")
            assert (await receive(socket, lambda m: True))["data"][0]["system"] == "maintenance"


async def test_wrong_controls_are_refused():
    async with simulator() as client:
        for path, body in (
            ("faults", {"exchange": "binance", "kind": "explode"}),
            ("faults", {"exchange": "binance", "kind": "mute", "colour": "red"}),
            ("fills", {"count": 1, "product": "options"}),
            ("pause", {}),
        ):
            async with client.session.post(f"{client.base}/__sim/{path}", json=body) as answer:
                assert answer.status == 400, path


async def test_another_key_opens_the_account():
    async with simulator() as client:
        await client.post("/__sim/keys", {"key": "K" * 64, "secret": "made up", "account": "test"})
        status, _ = await client.signed("GET", "/binance/api/v3/account", key="K" * 64, secret="made up")
        assert status == 200


async def test_too_many_connection_attempts_are_refused():
    async with simulator(connects={"kraken": 3, "binance": 2}) as client:
        for path, limit in (("/kraken/v2", 3), ("/binance/stream", 2), ("/binance/usdm/public/stream", 2)):
            for _ in range(limit):
                async with client.socket(path):
                    pass
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await client.socket(path)
            assert refused.value.status == 429
