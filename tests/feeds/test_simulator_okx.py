"""The simulated OKX, read by a plain client of its own."""

import asyncio
import json
import time
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import pairwise

import aiohttp
import pytest
import pytest_asyncio

from feeds.recordings.verify import verify
from feeds.simulator.faults import Fault
from feeds.simulator.market import World
from feeds.simulator.okx.frames import Quoted, Window
from feeds.simulator.okx.listing import LISTING
from feeds.simulator.sockets import SocketRules
from tests.feeds.simulator_help import receive, simulator

FEW = tuple(i for i in LISTING if i.native in {"BTC-USDT", "XRP-USDT", "BTC-USDT-SWAP", "XRP-USDT-SWAP"})
PUBLIC, BUSINESS = "/okx/ws/v5/public", "/okx/ws/v5/business"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client():
    """One server for the tests that leave nothing behind."""
    async with simulator(instruments=FEW, connects={"okx": 1000}) as shared:
        yield shared


@asynccontextmanager
async def own(**settings):
    async with simulator(instruments=FEW, **{"connects": {"okx": 1000}, **settings}) as client:
        yield client


async def ask(socket, *args, op="subscribe", **more):
    rows = [dict(zip(("channel", "instId"), arg.split(":"), strict=False)) for arg in args]
    await socket.send_json({"op": op, "args": rows, **more})


def of(channel):
    """Data of a channel."""
    return lambda body: body.get("arg", {}).get("channel") == channel and "data" in body


def texts(quoted, engine, n=400):
    """The engine's book as printed."""
    return [[(quoted.prices[p], quoted.sizes[s]) for p, s in side.top(n)] for side in (engine.bids, engine.asks)]


class Book:
    """Levels as printed, and the chain of ids."""

    def __init__(self):
        self.sides = {"bids": {}, "asks": {}}
        self.seq = None
        self.resets = 0

    def take(self, body):
        (row,) = body["data"]
        if body["action"] == "snapshot":
            assert row["prevSeqId"] == -1
            self.sides = {"bids": {}, "asks": {}}
        else:
            assert row["prevSeqId"] == self.seq
            self.resets += row["seqId"] < row["prevSeqId"]
        assert row["checksum"] == 0
        self.seq = row["seqId"]
        for name, side in self.sides.items():
            for price, size, nothing, orders in row[name]:
                assert nothing == "0"
                assert (size == "0") == (orders == "0")
                if size == "0":
                    del side[price]  # what is removed was there
                else:
                    side[price] = size

    def levels(self):
        bids, asks = (sorted(side.items(), key=lambda row: Decimal(row[0])) for side in self.sides.values())
        return [bids[::-1], asks]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("native", ["BTC-USDT", "BTC-USDT-SWAP", "XRP-USDT-SWAP"])
async def test_the_book_chains_and_is_the_engine_s(client, native):
    okx = client.server.exchanges["okx"]
    quoted = okx.streams.quoted[native]
    async with client.socket(PUBLIC) as socket:
        await ask(socket, f"books:{native}", id="7")
        assert (await receive(socket, lambda body: True))["id"] == "7"
        book, compared = Book(), 0
        while compared < 6:
            book.take(await receive(socket, of("books")))
            if book.seq == quoted.market.engine.update_id:  # nothing has changed since
                assert book.levels() == texts(quoted, quoted.market.engine)
                compared += 1


@pytest.mark.asyncio(loop_scope="module")
async def test_a_newcomer_gets_the_book_that_the_others_hold(client):
    async with client.socket(PUBLIC) as first, client.socket(PUBLIC) as second:
        book, other = Book(), Book()
        await ask(first, "books:BTC-USDT")
        for _ in range(5):
            book.take(await receive(first, of("books")))
        await ask(second, "books:BTC-USDT")
        other.take(await receive(second, of("books")))
        while book.seq != other.seq:
            late = book if book.seq < other.seq else other
            late.take(await receive(first if late is book else second, of("books")))
        assert book.levels() == other.levels()


@pytest.mark.asyncio(loop_scope="module")
async def test_best_prices_are_the_book_s_at_that_id(client):
    async with client.socket(PUBLIC) as socket:
        await ask(socket, "books:BTC-USDT", "bbo-tbt:BTC-USDT")
        book, best, compared = Book(), {}, 0
        while compared < 6:
            body = await receive(socket, lambda body: "data" in body)
            (row,) = body["data"]
            if body["arg"]["channel"] == "bbo-tbt":
                best[row["seqId"]] = [row["bids"][0][:2], row["asks"][0][:2]]
                assert "action" not in body
                continue
            book.take(body)
            known = [seq for seq in best if seq <= book.seq]
            if known:
                assert best[max(known)] == [list(side[0]) for side in book.levels()]
                compared += 1


def test_what_leaves_the_window_is_removed_and_comes_back():
    """With a side of more than 400 levels, subscribers hold its best 400, by what they are told alone."""
    world = World(1, 1_700_000_000_000, FEW)
    market = world.markets["okx", "spot", "BTC-USDT"]
    engine = market.engine
    lowest = engine.bids.top(1)[0][0]
    orders = [engine.place(True, lowest - 10 - n, 5).order for n in range(500)]
    engine.drain()
    window = Window(Quoted(market))
    told = dict(window.levels()[0])
    assert len(told) == 400
    assert engine.bids.top(500)[:400] == sorted(told.items(), reverse=True)
    above = [engine.place(True, lowest - n, 7).order for n in range(1, 10)]
    for step in ([*orders[:3]], above, orders[3:200], []):
        for order in step:
            engine.cancel(order.id)
        changes = engine.drain()
        rows = window.advance((changes.bids, changes.asks) if changes else ([], []))
        for price, size in rows[0]:
            if size:
                told[price] = size
            else:
                del told[price]
        assert sorted(told.items(), reverse=True) == engine.bids.top(400)


@pytest.mark.asyncio(loop_scope="module")
async def test_one_answer_per_argument_and_a_wrong_one_harms_no_other(client):
    async with client.socket(PUBLIC) as socket:
        wrong = ["books:NO-SUCH", "mark-price:BTC-USDT", "books-l2-tbt:BTC-USDT", "candle2m:BTC-USDT"]
        await ask(socket, "trades:BTC-USDT", *wrong, "tickers:BTC-USDT", id="abc1")
        answers = [await receive(socket, lambda body: "event" in body) for _ in range(6)]
        assert [answer["event"] for answer in answers] == ["subscribe", *["error"] * 4, "subscribe"]
        assert {answer["id"] for answer in answers} == {"abc1"}
        assert answers[1]["code"] == "60018"
        assert answers[1]["msg"].startswith("Wrong URL or channel:books,instId:NO-SUCH doesn't exist.")
        assert answers[5]["arg"] == {"channel": "tickers", "instId": "BTC-USDT"}
        await ask(socket, "tickers:BTC-USDT", op="unsubscribe")
        assert (await receive(socket, lambda body: "event" in body))["event"] == "unsubscribe"


@pytest.mark.asyncio(loop_scope="module")
async def test_each_channel_has_its_path(client):
    async with client.socket(PUBLIC) as public, client.socket(BUSINESS) as business:
        await ask(public, "candle1m:BTC-USDT", id="1")
        assert (await receive(public, lambda body: True))["code"] == "64001"
        await ask(business, "books:BTC-USDT", id="1")
        assert (await receive(business, lambda body: True))["code"] == "64002"
        await ask(business, "candle1m:BTC-USDT")
        assert (await receive(business, lambda body: True))["event"] == "subscribe"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "60012"),
        ("[]", "60012"),
        ('{"op":"login","args":[{}]}', "60028"),
        ('{"op":"subscribe"}', "60013"),
        ('{"op":"subscribe","args":["books"]}', "60013"),
    ],
)
async def test_wrong_requests_are_answered(client, text, code):
    async with client.socket(PUBLIC) as socket:
        await socket.send_str(text)
        answer = await receive(socket, lambda body: True)
        assert (answer["event"], answer["code"]) == ("error", code)


@pytest.mark.asyncio(loop_scope="module")
async def test_trades_ticker_and_candles(client):
    market = client.server.market.markets["okx", "swap", "BTC-USDT-SWAP"]
    async with client.socket(PUBLIC) as socket:
        await ask(socket, "trades:BTC-USDT-SWAP", "tickers:BTC-USDT-SWAP")
        ids = []
        while len(ids) < 4:
            body = await receive(socket, of("trades"))
            for row in body["data"]:
                ids.append(int(row["tradeId"]))
                (last,) = [each for each in market.recent if each.id == ids[-1]]
                assert row["side"] == ("buy" if last.taker_buys else "sell")
                assert Decimal(row["px"]) == last.price * market.instrument.tick
                merged = [e for e in market.recent if last.id - int(row["count"]) < e.id <= last.id]
                assert Decimal(row["sz"]) == sum(e.size for e in merged) * market.instrument.lot / Decimal("0.01")
        assert ids == sorted(set(ids))
        (row,) = (await receive(socket, of("tickers")))["data"]
        assert Decimal(row["vol24h"]) * Decimal("0.01") == Decimal(row["volCcy24h"])
    async with client.socket(BUSINESS) as socket:
        await ask(socket, "candle1m:BTC-USDT-SWAP")
        (row,) = (await receive(socket, of("candle1m")))["data"]
        assert Decimal(row[5]) * Decimal("0.01") == Decimal(row[6])
        assert row[8] == "0"


@pytest.mark.asyncio(loop_scope="module")
async def test_mark_index_and_funding(client):
    async with client.socket(PUBLIC) as socket:
        await ask(socket, "mark-price:BTC-USDT-SWAP", "index-tickers:BTC-USDT", "funding-rate:BTC-USDT-SWAP")
        rows = [(await receive(socket, of(c)))["data"][0] for c in ("mark-price", "index-tickers", "funding-rate")]
        assert abs(Decimal(rows[0]["markPx"]) / Decimal(rows[1]["idxPx"]) - 1) < Decimal("0.01")
        assert int(rows[2]["fundingTime"]) > time.time() * 1000
        marks = [(await receive(socket, of("mark-price")))["data"][0] for _ in range(2)]
        assert int(marks[1]["ts"]) - int(marks[0]["ts"]) >= 190
        assert marks[1]["markPx"] != marks[0]["markPx"]


@pytest.mark.asyncio(loop_scope="module")
async def test_numbers_are_printed_without_needless_digits(client):
    async with client.socket(PUBLIC) as socket:
        await ask(socket, "books:BTC-USDT", "tickers:XRP-USDT")
        (book,) = (await receive(socket, of("books")))["data"]
        (ticker,) = (await receive(socket, of("tickers")))["data"]
        numbers = [text for row in book["bids"] + book["asks"] for text in row] + [ticker["last"], ticker["vol24h"]]
        assert not [text for text in numbers if "." in text and text.endswith(("0", "."))]


@pytest.mark.asyncio(loop_scope="module")
async def test_rest(client):
    for kind, count in (("SPOT", 2), ("SWAP", 3), ("FUTURES", 0)):
        answer = await client.get("/okx/api/v5/public/instruments", instType=kind)
        assert (answer["code"], len(answer["data"])) == ("0", count)
    book = (await client.get("/okx/api/v5/market/books", instId="XRP-USDT-SWAP", sz=5))["data"][0]
    assert [len(book[name]) for name in ("bids", "asks")] == [5, 5]
    assert set(book) == {"asks", "bids", "ts"}
    rows = (await client.get("/okx/api/v5/market/candles", instId="BTC-USDT", bar="5m", limit=300))["data"]
    assert [row[8] for row in rows[:3]] == ["0", "1", "1"]
    assert all(int(a[0]) - int(b[0]) == 300_000 for a, b in pairwise(rows))
    older = (await client.get("/okx/api/v5/market/history-candles", instId="BTC-USDT", bar="5m", after=rows[9][0]))[
        "data"
    ]
    assert older[0] == rows[10]
    assert (await client.get("/okx/api/v5/market/books", instId="NO"))["code"] == "51001"
    assert (await client.get("/okx/api/v5/market/candles", instId="BTC-USDT", bar="7m"))["code"] == "51000"
    for path in ("market/trades", "market/ticker", "market/tickers", "public/mark-price", "public/funding-rate"):
        answer = await client.get(f"/okx/api/v5/{path}", instId="BTC-USDT-SWAP", instType="SWAP")
        assert answer["code"] == "0", path
        assert answer["data"], path
    assert (await client.get("/okx/api/v5/market/index-tickers", instId="BTC-USDT"))["data"]
    assert abs(int((await client.get("/okx/api/v5/public/time"))["data"][0]["ts"]) / 1000 - time.time()) < 2


async def test_limits():
    async with own(connects={}) as client:
        for _ in range(20):
            await client.get("/okx/api/v5/public/instruments", instType="SPOT")
        status, body, _ = await client.ask("GET", "/okx/api/v5/public/instruments", instType="SPOT")
        assert (status, body["code"]) == (429, "50011")
        async with client.socket(PUBLIC) as socket, client.socket(PUBLIC), client.socket(PUBLIC):
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await client.socket(PUBLIC)
            for _ in range(480):
                await ask(socket, "tickers:BTC-USDT")
            await ask(socket, "trades:BTC-USDT", id="last")
            assert (await receive(socket, lambda body: body.get("id") == "last"))["code"] == "60014"
            await socket.send_str("x" * 70_000)
            await _closed(socket, 1009)


async def test_thirty_seconds_of_silence_end_a_connection_unless_it_pings():
    async with own(rules={"okx": SocketRules(idle_s=0.6)}) as client:
        client.server.faults.add(Fault(exchange="okx", kind="mute"))
        async with client.socket(PUBLIC) as bare, client.socket(PUBLIC) as quiet, client.socket(PUBLIC) as pinging:
            for socket in (quiet, pinging):
                await ask(socket, "trades:BTC-USDT")
                await receive(socket, lambda body: "event" in body)
            for _ in range(6):
                await pinging.send_str("ping")
                assert (await asyncio.wait_for(pinging.receive(), 2)).data == "pong"
                await asyncio.sleep(0.2)
            await _closed(bare, 4004)
            await _closed(quiet, 4004)
            assert not pinging.closed


async def _closed(socket, code):
    """Read until the connection ends."""
    async with asyncio.timeout(5):
        while (message := await socket.receive()).type is aiohttp.WSMsgType.TEXT:
            pass
    assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, code)


async def test_faults_of_a_book():
    async with own() as client, client.socket(PUBLIC) as socket:
        await ask(socket, "books:BTC-USDT")
        book = Book()
        book.take(await receive(socket, of("books")))
        client.server.faults.add(Fault(exchange="okx", kind="bad_checksum"))
        assert (await receive(socket, lambda b: of("books")(b) and b["data"][0]["checksum"] != 0))["action"] == "update"
    async with own() as client, client.socket(PUBLIC) as socket:
        await ask(socket, "books:BTC-USDT")
        book = Book()
        for _ in range(3):
            book.take(await receive(socket, of("books")))
        await client.post("/__sim/fault", {"exchange": "okx", "kind": "sequence_reset"})
        while not book.resets:
            book.take(await receive(socket, of("books")))
        for _ in range(3):
            book.take(await receive(socket, of("books")))
        client.server.faults.add(Fault(exchange="okx", kind="drop_depth", symbol="BTC/USDT"))
        with pytest.raises(AssertionError):
            for _ in range(20):
                book.take(await receive(socket, of("books")))
        client.server.faults.add(Fault(exchange="okx", kind="crossed"))
        async with asyncio.timeout(5):
            while True:
                row = (await receive(socket, of("books")))["data"][0]
                if any(size != "0" and orders == "0" for _, size, _, orders in row["bids"]):
                    break  # nobody's order


async def test_an_update_is_announced_and_carried_out(monkeypatch):
    monkeypatch.setattr("feeds.simulator.okx.sockets._UPGRADE_S", 0.3)
    async with own() as client, client.socket(PUBLIC) as socket:
        await ask(socket, "trades:BTC-USDT", "status")
        await client.post("/__sim/fault", {"exchange": "okx", "kind": "shutdown", "value": "ongoing"})
        (row,) = (await receive(socket, of("status")))["data"]
        assert row["state"] == "ongoing"
        await client.post("/__sim/fault", {"exchange": "okx", "kind": "shutdown"})
        notice = await receive(socket, lambda body: body.get("event") == "notice")
        assert notice["code"] == "64008"
        await _closed(socket, 1001)


async def test_a_quiet_book_says_so(monkeypatch):
    monkeypatch.setattr("feeds.simulator.okx.streams.QUIET_MS", 300)
    async with own() as client, client.socket(PUBLIC) as socket:
        await ask(socket, "books:BTC-USDT")
        await receive(socket, of("books"))
        client.server.market.advance = lambda now_ms: []  # nothing happens any more
        book = await receive(socket, lambda b: of("books")(b) and not b["data"][0]["bids"] + b["data"][0]["asks"])
        assert book["data"][0]["seqId"] == book["data"][0]["prevSeqId"]


async def test_a_recording_of_it_is_verified(tmp_path):
    """Books of both products on one connection, with ids that begin anew, and best prices to compare them with."""
    lines = [json.dumps({"capture": 1, "venue": "okx", "product": "spot and swap", "recorded": "2026-11-25"})]
    began_s = time.monotonic()

    def record(raw, **more):
        lines.append(json.dumps({"t": time.monotonic() - began_s, "via": "ws", "conn": "1", "raw": raw, **more}))

    async with own() as client:
        for kind in ("SPOT", "SWAP"):
            path = f"/api/v5/public/instruments?instType={kind}"
            answer = await client.get("/okx/api/v5/public/instruments", instType=kind)
            record(json.dumps(answer), via="rest", path=path)
        async with client.socket(PUBLIC) as socket:
            await ask(socket, *(f"{c}:{n}" for c in ("books", "bbo-tbt") for n in ("BTC-USDT", "BTC-USDT-SWAP")))
            resets = 0
            while len(lines) < 250:
                message = await socket.receive()
                record(message.data)
                if len(lines) == 120:
                    await client.post("/__sim/fault", {"exchange": "okx", "kind": "sequence_reset"})
                (row,) = json.loads(message.data).get("data", [{}])
                resets += row.get("seqId", 0) < row.get("prevSeqId", -1)
        assert resets == 2
    file = tmp_path / "okx.jsonl"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    report = verify(file)
    assert report.ok, report.faults
    assert report.updates == report.updates_applied > 20
    assert report.bbo_equal > 10
    assert (report.snapshots, report.rest_answers, report.not_understood) == (2, 2, 0)
    del lines[[n for n, line in enumerate(lines) if '\\"update\\"' in line][4]]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert verify(file).gaps == 1, "and a lost update is a gap"


def test_the_listing_is_printable():
    """Every number on the wire is a whole number of a printed step."""
    for instrument in LISTING:
        market = World(1, 1_700_000_000_000, (instrument,)).markets[
            instrument.venue, instrument.product, instrument.native
        ]
        quoted = Quoted(market)
        assert Decimal(quoted.sizes[12345]) * quoted.contract == 12345 * instrument.lot
        assert Decimal(quoted.prices[12345]) == 12345 * instrument.tick
    assert len(LISTING) >= 10
    assert json.dumps([i.symbol for i in LISTING])
