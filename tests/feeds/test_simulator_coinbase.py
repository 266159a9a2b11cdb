"""The simulated Coinbase, read by a plain client that counts frames and keeps its own books."""

import json
import time
from decimal import Decimal
from itertools import pairwise
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from feeds.simulator.coinbase.listing import LISTING
from feeds.simulator.faults import Fault
from feeds.simulator.sockets import SocketRules
from tests.feeds.coinbase_world import FEW
from tests.feeds.simulator_help import collect, receive, simulator

WS = "/coinbase/ws"
REST = "/coinbase/api/v3/brokerage"
BTC = ("coinbase", "spot", "BTC-USD")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client():
    """One server, without limits, for the tests that leave nothing behind."""
    limits = {"connects": {"coinbase": 1000}, "weights": {"coinbase": 1000}, "rules": {"coinbase": SocketRules()}}
    async with simulator(instruments=FEW, **limits) as shared:
        yield shared


async def ask(socket: Any, channel: str, *products: str, kind: str = "subscribe") -> None:
    await socket.send_json({"type": kind, "channel": channel, **({"product_ids": list(products)} if products else {})})


class Reader:
    """Checks the numbering of a connection and keeps its books, prices as printed."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket
        self.number = 0
        self.books: dict[str, dict[str, dict[Decimal, Decimal]]] = {}

    async def next(self) -> Any:
        message = await receive(self.socket, lambda m: True)
        if message.get("type") == "error":
            return message
        assert message["sequence_num"] == self.number, message["channel"]
        self.number += 1
        for event in message["events"] if message["channel"] == "l2_data" else []:
            if event["type"] == "snapshot":
                self.books[event["product_id"]] = {"bid": {}, "offer": {}}
            for update in event["updates"]:
                side = self.books[event["product_id"]][update["side"]]
                price, size = Decimal(update["price_level"]), Decimal(update["new_quantity"])
                if size:
                    side[price] = size
                else:
                    side.pop(price, None)  # it may have come and gone between two updates
        return message

    async def until(self, channel: str) -> Any:
        while (message := await self.next()).get("channel") != channel:
            pass
        return message


def of_engine(client: Any, key: tuple[str, str, str]) -> dict[str, dict[Decimal, Decimal]]:
    market = client.server.market.markets[key]
    i = market.instrument
    sides = {"bid": market.engine.bids, "offer": market.engine.asks}
    return {name: {p * i.tick: s * i.lot for p, s in side.totals.items()} for name, side in sides.items()}


@pytest.mark.asyncio(loop_scope="module")
async def test_books_are_the_engines_and_every_frame_is_counted(client):
    async with client.socket(WS) as socket:
        reader = Reader(socket)
        await ask(socket, "level2", "BTC-USD", "DOGE-USD")
        first = await reader.next()
        assert (first["channel"], first["events"][0]["type"]) == ("l2_data", "snapshot"), "before the answer"
        answer = await reader.until("subscriptions")
        assert answer["events"] == [{"subscriptions": {"level2": ["BTC-USD", "DOGE-USD"]}}]
        await ask(socket, "heartbeats")
        for _ in range(40):
            await reader.next()
        kept, client.server.beat = client.server.beat, lambda now_ms: None  # time stands still
        try:
            async with client.socket(WS) as other:  # whose subscription makes the server tell what is due
                await ask(other, "level2", "BTC-USD", "DOGE-USD")
                await receive(other, lambda m: m["channel"] == "subscriptions")
            await ask(socket, "heartbeats")
            await reader.until("subscriptions")
            for name in ("BTC-USD", "DOGE-USD"):
                assert reader.books[name] == of_engine(client, ("coinbase", "spot", name))
        finally:
            client.server.beat = kept


@pytest.mark.asyncio(loop_scope="module")
async def test_a_new_subscription_begins_with_a_new_book(client):
    async with client.socket(WS) as socket:
        reader = Reader(socket)
        await ask(socket, "level2", "BTC-USD")
        await reader.until("subscriptions")
        await ask(socket, "level2", "BTC-USD", kind="unsubscribe")
        assert (await reader.until("subscriptions"))["events"] == [{"subscriptions": {}}]
        assert await collect(socket, 0.3) == []
        await ask(socket, "level2", "BTC-USD")
        assert (await reader.next())["events"][0]["type"] == "snapshot"


@pytest.mark.asyncio(loop_scope="module")
async def test_an_alias_answers_with_the_other_name(client):
    async with client.socket(WS) as socket:
        reader = Reader(socket)
        await ask(socket, "level2", "BTC-USDC")
        assert (await reader.next())["events"][0]["product_id"] == "BTC-USD"


@pytest.mark.asyncio(loop_scope="module")
async def test_trades_ticker_candles_and_heartbeats(client):
    async with client.socket(WS) as socket:
        for channel in ("market_trades", "ticker", "ticker_batch", "candles", "status"):
            await ask(socket, channel, "BTC-USD")
        await ask(socket, "heartbeats")
        reader, data = Reader(socket), {"ticker": [], "heartbeats": []}
        while min(len(data["ticker"]), len(data["heartbeats"])) < 2:
            message = await reader.next()
            data.setdefault(message["channel"], []).extend(message["events"])
    assert all(
        events[0]["type"] == "snapshot" for name, events in data.items() if name not in ("subscriptions", "heartbeats")
    )
    batches = [[int(row["trade_id"]) for row in event["trades"]] for event in data["market_trades"]]
    assert all(ids == sorted(ids, reverse=True) for ids in batches), "newest first"
    ids = [number for batch in batches for number in reversed(batch)]
    assert all(later == earlier + 1 for earlier, later in pairwise(ids))
    prints = {str(row.id): row for row in client.server.market.markets[BTC].recent}
    for event in data["market_trades"]:
        for row in event["trades"]:
            if row["trade_id"] in prints:
                assert row["side"] == ("SELL" if prints[row["trade_id"]].taker_buys else "BUY"), "the maker's"
    assert len(data["ticker"]) > 1
    assert all(Decimal(e["tickers"][0]["best_bid"]) < Decimal(e["tickers"][0]["best_ask"]) for e in data["ticker"])
    assert "best_bid" not in data["ticker_batch"][0]["tickers"][0]
    starts = [int(row["start"]) for row in data["candles"][0]["candles"]]
    assert len(starts) == 100
    assert all(later - earlier == 300 for earlier, later in pairwise(starts))
    assert " +0000 UTC m=+" in data["heartbeats"][0]["current_time"]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"type": "subscribe", "channel": "heartbeat"}, "authentication failure"),
        ({"type": "subscribe", "channel": "level2", "product_ids": ["BTC-USD", "NO-SUCH"]}, "failure to subscribe"),
        ({"type": "subscribe", "channel": "level2"}, "failure to subscribe"),
        ({"type": "fly", "channel": "level2"}, "invalid message"),
        ([], "invalid message"),
    ],
)
async def test_errors_name_nothing_and_carry_out_nothing(client, message, text):
    async with client.socket(WS) as socket:
        await socket.send_json(message)
        answer = await receive(socket, lambda m: True)
        assert answer == {"type": "error", "message": text}
        assert await collect(socket, 0.2) == []


async def test_eight_messages_a_second_of_all_connections_together():
    async with simulator(instruments=FEW) as client, client.socket(WS) as one, client.socket(WS) as two:
        for _ in range(5):
            await ask(one, "heartbeats")
        for _ in range(5):
            await ask(two, "heartbeats")
        while (message := await two.receive(timeout=5)).type is aiohttp.WSMsgType.TEXT:
            pass
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1008)


async def test_who_asks_for_nothing_is_closed(monkeypatch):
    monkeypatch.setattr("feeds.simulator.coinbase.sockets._FIRST_S", 0.5)
    async with simulator(instruments=FEW) as client, client.socket(WS) as socket:
        began_s = time.monotonic()
        assert (await socket.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSE
        assert time.monotonic() - began_s >= 0.5


async def test_what_is_silent_is_closed_unless_it_has_heartbeats():
    rules = {"coinbase": SocketRules(idle_s=1.5)}
    async with (
        simulator(instruments=FEW, rules=rules) as client,
        client.socket(WS) as silent,
        client.socket(WS) as beating,
    ):
        client.server.faults.add(Fault(exchange="coinbase", kind="mute", symbol="BTC-USD"))
        await ask(silent, "level2", "BTC-USD")
        await ask(beating, "heartbeats")
        assert json.loads((await silent.receive()).data)["channel"] == "subscriptions"
        assert (await silent.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSE
        assert len([m for m in await collect(beating, 1.0) if m["channel"] == "heartbeats"]) >= 2


async def test_a_lost_update_leaves_a_hole_in_the_numbers():
    async with simulator(instruments=FEW) as client, client.socket(WS) as socket:
        await ask(socket, "level2", "BTC-USD")
        answer = await receive(socket, lambda m: m["channel"] == "subscriptions")
        client.server.faults.add(Fault(exchange="coinbase", kind="drop_depth"))
        numbers = [m["sequence_num"] for m in (answer, *await collect(socket, 1.5))]
        assert sorted(later - earlier for earlier, later in pairwise(numbers))[-1] == 2


async def test_a_crossed_book_is_taken_back():
    async with simulator(instruments=FEW) as client, client.socket(WS) as socket:
        reader = Reader(socket)
        await ask(socket, "level2", "BTC-USD")
        await reader.until("subscriptions")
        client.server.faults.add(Fault(exchange="coinbase", kind="crossed"))
        seen = []
        for _ in range(12):
            await reader.next()
            book = reader.books["BTC-USD"]
            seen.append(max(book["bid"]) >= min(book["offer"]))
        assert seen.count(True) == 1


# -- REST ------------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio(loop_scope="module")
async def test_products(client):
    answer = await client.get(f"{REST}/market/products", product_type="SPOT")
    rows = {row["product_id"]: row for row in answer["products"]}
    assert set(rows) == {"BTC-USD", "ETH-USD", "DOGE-USD", "BTC-USDC", "ETH-USDC", "DOGE-USDC"}
    assert (rows["BTC-USDC"]["alias"], rows["BTC-USD"]["alias_to"]) == ("BTC-USD", ["BTC-USDC"])
    assert rows["DOGE-USD"]["price_increment"] == "0.00001"
    assert (await client.get(f"{REST}/market/products", product_type="FUTURE"))["products"] == []
    assert (await client.get(f"{REST}/market/products/BTC-USDC"))["quote_currency_id"] == "USDC"
    assert abs(int((await client.get(f"{REST}/time"))["epochMillis"]) / 1000 - time.time()) < 5


def test_twelve_markets_and_a_second_name_for_ten():
    assert len(LISTING) == 12
    assert sum(each.quote == "USD" for each in LISTING) == 10


@pytest.mark.asyncio(loop_scope="module")
async def test_book_trades_and_candles(client):
    answer = await client.get(f"{REST}/market/product_book", product_id="BTC-USD", limit=20)
    book = answer["pricebook"]
    assert (len(book["bids"]), len(book["asks"])) == (20, 20)
    assert Decimal(book["bids"][0]["price"]) < Decimal(answer["mid_market"]) < Decimal(book["asks"][0]["price"])
    trades = (await client.get(f"{REST}/market/products/BTC-USD/ticker", limit=10))["trades"]
    assert len(trades) <= 10
    now_s = int(time.time())
    rows = (
        await client.get(
            f"{REST}/market/products/BTC-USD/candles", start=now_s - 3600, end=now_s, granularity="ONE_MINUTE"
        )
    )["candles"]
    assert len(rows) == 60
    assert all(int(newer["start"]) - int(older["start"]) == 60 for newer, older in pairwise(rows)), "newest first"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("path", "params", "status", "error"),
    [
        ("product_book", {"product_id": "NO-SUCH"}, 404, "NOT_FOUND"),
        ("products/BTC-USD/candles", {"start": 0, "end": 60, "granularity": "FOUR_YEARS"}, 400, "INVALID_ARGUMENT"),
        ("products/BTC-USD/candles", {"start": 0, "end": 60_000, "granularity": "ONE_MINUTE"}, 400, "INVALID_ARGUMENT"),
        ("products/BTC-USD/candles", {"granularity": "ONE_MINUTE"}, 400, "INVALID_ARGUMENT"),
    ],
)
async def test_wrong_questions(client, path, params, status, error):
    answered, body, _ = await client.ask("GET", f"{REST}/market/{path}", **params)
    assert (answered, body["error"]) == (status, error)


async def test_ten_requests_a_second():
    async with simulator(instruments=FEW) as client:
        answers = [await client.ask("GET", f"{REST}/time") for _ in range(12)]
        assert [status for status, _, _ in answers][:10] == [200] * 10
        status, body, headers = answers[-1]
        assert (status, body["errors"][0]["id"]) == (429, "rate_limit_exceeded")
        assert headers["x-ratelimit-remaining"] == "0"
