"""A market whose stream keeps failing is shown by REST, says so, and is never older than it may be."""

import json
from decimal import Decimal

import pytest

from feeds.clock import FakeClock
from feeds.domain import BookSnapshot, Channel, StreamState, Subscription
from feeds.engine import Engine
from feeds.errors import CrossedError
from feeds.markets.fallback import Fallback
from feeds.markets.polled import PolledBook
from feeds.simulator import SimulatorServer
from feeds.simulator.faults import Fault
from tests.feeds.test_engine import until
from tests.feeds.test_market import SPOT, Stage, snapshot
from tests.feeds.test_renewal import world
from tests.feeds.witness import live_part, wrong_books

BTC = "book:binance:BTC/USDT"
SETTINGS = {"poll_s": 0.5, "poll_after_s": 1.5}


def cut(server: SimulatorServer, exchange: str) -> None:
    """No connection any more, and none to be had."""
    server.faults.add(Fault(exchange=exchange, kind="refuse"))
    for socket in server.exchanges[exchange].open_sockets():
        socket.abort()


def row(engine: Engine, symbol: str) -> dict:
    return next(row for row in engine.health()["streams"] if row["symbol"] == symbol)


@pytest.fixture
def quick(monkeypatch):
    """The budgets allow one answer in 4 s here."""
    monkeypatch.setattr(Fallback, "every_s", lambda fallback, failing: 0.5)


async def test_from_live_to_polled_and_back(tmp_path, quick):
    async with world(tmp_path, None, **SETTINGS) as (server, engine, sink, witness):
        quote = "quote:binance:BTC/USDT"
        await until(lambda: sink.frames.get(quote) and sink.last(quote)["data"]["last"])
        cut(server, "binance")
        await until(lambda: sink.state(BTC) == "POLLED")
        count = len(sink.frames[BTC])
        await until(lambda: len(sink.frames[BTC]) > count + 4)
        assert sink.state(BTC) == "POLLED"

        health = row(engine, "BTC/USDT")
        assert (health["state"], health["seq"]) == ("POLLED", sink.last(BTC)["seq"])
        assert health["reason"].startswith("By REST every 0.5 s, as the stream is ")
        assert 0 <= health["age_ms"] < 2000
        assert sink.state(quote) == "POLLED"
        figures = sink.last(quote)["data"]
        assert Decimal(figures["bid"]) < Decimal(figures["ask"])
        assert figures["last"] is figures["high"] is None, "of a stream that is not there"
        for topic in ("trades:binance:BTC/USDT", "candles@1m:binance:BTC/USDT"):
            assert not StreamState(sink.state(topic)).usable, "prints and bars do not come by REST"

        server.faults.clear()
        server.faults.add(Fault(exchange="binance", kind="refuse"))
        server.faults.add(Fault(exchange="binance", kind="status"))
        await until(lambda: not StreamState(sink.state(BTC)).usable)
        assert sink.last(BTC)["data"]["bids"] == [], "an old answer is not shown"
        server.faults.clear()
        await until(lambda: sink.state(BTC) == "LIVE")
        count = len(sink.frames[BTC])
        await until(lambda: len(sink.frames[BTC]) > count + 3)
        assert "POLLED" not in {frame["state"] for frame in sink.frames[BTC][count:]}
        for topic, truth in witness.truths().items():
            if topic.startswith("book:binance"):
                assert wrong_books(live_part(sink.frames[topic]), truth) == [], topic
        assert {frame["state"] for frame in live_part(sink.frames["book:kraken:BTC/USD"])} <= {"LIVE", "QUIET"}


async def test_a_book_that_never_comes_by_stream(tmp_path, quick, monkeypatch):
    """Kraken acknowledges and stays mute; its answers have no ids, so each is compared with what was answered."""
    monkeypatch.setattr("feeds.markets.keeper.SNAPSHOT_S", 2.0)  # a new connection is tried although it is polled
    async with world(tmp_path, None, **SETTINGS) as (server, engine, sink, _):
        venue, answers = engine.venues["kraken"], []
        parse = venue.adapter.parse_snapshot
        venue.adapter.parse_snapshot = lambda market, raw: (answers.append(json.loads(raw)), parse(market, raw))[1]
        topic = "book:kraken:BTC/USD"
        server.faults.add(Fault(exchange="kraken", kind="mute", symbol="BTC/USD"))
        venue.book_lane("BTC/USD").connection.resubscribe(Subscription(channel=Channel.BOOK, symbol="BTC/USD"))
        venue.feeds["BTC/USD"].on_lost("for the test")
        await until(lambda: sink.state(topic) == "POLLED" and len(answers) > 2)
        data = sink.last(topic)["data"]
        [pair] = answers[-1]["result"].values()
        best = [Decimal(pair[side][0][0]) for side in ("bids", "asks")]
        assert [Decimal(data[side][0]).scaleb(-data["price_decimals"]) for side in ("bid", "ask")] == best
        assert sink.state("book:kraken:DOGE/USD") in ("LIVE", "QUIET")
        mute = sink.state("trades:kraken:BTC/USD")  # a new connection is tried again and again
        assert mute in ("STALE", "CONNECTING", "SYNCING"), "mute as well, for all we know"
        server.faults.clear()
        await until(lambda: sink.state(topic) == "LIVE")


async def test_many_failed_attempts_are_enough(tmp_path):
    async with world(tmp_path, None, poll_s=0.5, poll_after_s=60.0, poll_attempts=1) as (server, _, sink, _):
        cut(server, "kraken")
        await until(lambda: sink.state("book:kraken:BTC/USD") == "POLLED")


async def test_never_if_so_configured(tmp_path):
    async with world(tmp_path, None, poll_s=0.0, poll_after_s=0.1) as (server, engine, sink, _):
        asked = engine.venues["kraken"].rest.usage()["spot"]["requests"]
        cut(server, "kraken")
        await until(lambda: engine.venues["kraken"].feeds["BTC/USD"].unstreamed_s() > 2)
        assert engine.venues["kraken"].rest.usage()["spot"]["requests"] == asked
        assert "POLLED" not in {frame["state"] for frame in sink.frames["book:kraken:BTC/USD"]}


async def test_a_hundred_markets_leave_half_of_the_budget(tmp_path):
    async with world(tmp_path, None) as (_, engine, _, _):
        fallback, venue = engine.venues["binance"].fallback, engine.venues["binance"]
        feed = venue.feeds["BTC/USDT"]
        assert fallback.every_s([feed]) == 5.0
        every_s = fallback.every_s([feed] * 100)  # 100 snapshots of weight 50; 3000 a minute are ours
        assert every_s == 100 * 50 / (3000 / 60 / 2)


def test_the_stream_s_own_book_is_preferred():
    stage = Stage()
    stage.feed.on_polled(snapshot(90), stage.clock.now_ns(), stage.clock.now_ns(), 5.0)
    assert stage.feed.state is StreamState.POLLED
    assert stage.book().data["bids"][0] == [10000, 100000]
    stage.live()
    assert stage.feed.state is StreamState.LIVE
    assert stage.book().seq == 100
    stage.feed.on_polled(snapshot(101), stage.clock.now_ns(), stage.clock.now_ns(), 5.0)
    assert (stage.feed.state, stage.book().seq) == (StreamState.LIVE, 100), "came too late"


def test_an_answer_grows_old_from_when_it_was_asked_for():
    stage = Stage()
    asked_ns = stage.clock.now_ns()
    stage.clock.advance(9.0)
    stage.feed.on_polled(snapshot(90), asked_ns, stage.clock.now_ns(), 5.0)
    assert stage.feed.state is StreamState.POLLED
    stage.clock.advance(6.5)
    stage.feed.evaluate()
    assert stage.feed.state is StreamState.CONNECTING, "three intervals"
    assert stage.book().data["bids"] == []


def test_an_answer_that_is_no_book_leaves_the_former_one():
    clock, polled = FakeClock(), PolledBook()
    polled.take(snapshot(90), clock.now_ns(), clock.now_ns(), 5.0)
    crossed = BookSnapshot(symbol=SPOT.symbol, bids=[(101.0, 1.0)], asks=[(100.0, 1.0)])
    with pytest.raises(CrossedError):
        polled.take(crossed, clock.now_ns(), clock.now_ns(), 5.0)
    assert polled.book.seq == 90
