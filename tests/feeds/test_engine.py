"""The engine against simulated exchanges in the same loop: leases in, frames out."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog

from feeds.config import Config, ExchangeConfig
from feeds.domain import BookSnapshot, StreamState
from feeds.engine import Engine
from feeds.errors import ConfigError
from feeds.simulator import Settings, SimulatorServer, endpoints
from feeds.simulator.faults import Fault
from tests.feeds.simulator_help import FEW

BTC = "book:binance:BTC/USDT"


class Sink:
    """Keeps the newest frame of each topic, greetings and refusals."""

    def __init__(self) -> None:
        self.frames: dict[str, dict[str, Any]] = {}
        self.count: dict[str, int] = {}
        self.greetings: list[tuple[str, str]] = []
        self.refusals: list[tuple[str, str, str]] = []

    def publish(self, topic: str, frame: str) -> None:
        self.frames[topic] = json.loads(frame)
        self.count[topic] = self.count.get(topic, 0) + 1

    def publish_to(self, holder: str, topic: str, frame: str) -> None:
        assert json.loads(frame)["topic"] == topic
        self.greetings.append((holder, topic))

    def refuse(self, holder: str, topic: str, reason: str) -> None:
        self.refusals.append((holder, topic, reason))

    def state(self, topic: str) -> str | None:
        return self.frames.get(topic, {}).get("state")


async def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for a condition, not for luck."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "this never became true"
        await asyncio.sleep(0.02)


def config(server: SimulatorServer, tmp_path: Path, **changes: Any) -> Config:
    """Both exchanges at the simulator; ``changes`` are those of the configuration, or of an exchange by its name."""
    urls = endpoints("127.0.0.1", server.port)
    binance = ExchangeConfig(
        name="binance", simulated=True, products=("spot", "usdm"), endpoints=urls["binance"], pinned=("BTC/USDT",)
    )
    kraken = ExchangeConfig(name="kraken", simulated=True, products=("spot",), endpoints=urls["kraken"])
    binance = msgspec.structs.replace(binance, **changes.pop("binance", {}))
    kraken = msgspec.structs.replace(kraken, **changes.pop("kraken", {}))
    return Config(path=None, exchanges={"binance": binance, "kraken": kraken}, state_dir=tmp_path / "state", **changes)


@asynccontextmanager
async def simulator() -> AsyncIterator[SimulatorServer]:
    server = await SimulatorServer(Settings(seed=3, instruments=FEW, trader=False)).start(0)
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def running(configuration: Config) -> AsyncIterator[tuple[Engine, Sink]]:
    """A started engine; at its end nothing of it may be left."""
    before = asyncio.all_tasks()
    sink = Sink()
    engine = Engine(configuration, sink)
    try:
        await engine.start(markets_timeout_s=20)
        yield engine, sink
    finally:
        await engine.stop()
        await engine.stop()  # idempotent
    left = {task for task in asyncio.all_tasks() - before if not task.done() and "simulat" not in repr(task)}
    assert not [task for task in left if "feeds/stream" in repr(task) or "engine" in task.get_name()], left


async def test_pinned_markets_open_by_themselves_and_others_by_lease(tmp_path):
    async with simulator() as server, running(config(server, tmp_path)) as (engine, sink):
        await until(lambda: sink.state(BTC) == "LIVE")
        assert sink.frames[BTC]["data"]["bids"]
        assert "ETH/USDT" not in engine.venues["binance"].feeds
        engine.lease("relay", ["book:binance:ETH/USDT", "quote:kraken:BTC/USD"], 30)
        await until(lambda: sink.state("book:binance:ETH/USDT") == "LIVE")
        await until(lambda: sink.state("quote:kraken:BTC/USD") == "LIVE")
        quote = sink.frames["quote:kraken:BTC/USD"]["data"]
        assert float(quote["bid"]) < float(quote["ask"])


async def test_a_market_is_closed_when_nobody_wants_it_any_more(tmp_path):
    async with simulator() as server, running(config(server, tmp_path, linger_s=0.0)) as (engine, sink):
        topic = "book:binance:ETH/USDT"
        engine.lease("relay", [topic], 30)
        await until(lambda: sink.state(topic) == "LIVE")
        lane = engine.venues["binance"].book_lane("ETH/USDT")
        engine.lease("relay", [], 30)
        await until(lambda: "ETH/USDT" not in engine.venues["binance"].feeds)
        assert not [s for s in lane.connection.subscriptions if s.symbol == "ETH/USDT"]
        assert "BTC/USDT" in engine.venues["binance"].feeds, "a pinned market stays"


async def test_a_market_that_is_opened_again_at_once_begins_anew(tmp_path):
    """Its book comes by a new subscription, and nothing that was under way for the old one is shown."""
    async with simulator() as server, running(config(server, tmp_path, linger_s=0.0)) as (engine, sink):
        symbol, topics = "BTC/USD", ["book:kraken:BTC/USD", "book:kraken:DOGE/USD"]
        engine.lease("relay", topics, 30)
        await until(lambda: all(sink.state(topic) == "LIVE" for topic in topics))
        venue = engine.venues["kraken"]
        lane, left = venue.book_lane(symbol), venue.feeds[symbol]
        engine.lease("relay", topics[1:], 30)
        engine.lease("relay", topics, 30)
        feed = venue.feeds[symbol]
        assert feed is not left
        assert venue.book_lane(symbol) is lane
        late = BookSnapshot(symbol=symbol, bids=[(1.0, 1.0)], asks=[(2.0, 1.0)], seq=None, depth=10)
        lane.on_events(lane.connection, [late], time.time_ns())
        assert not feed.sync.ready, "an answer to the subscription that was given up is shown"
        await until(lambda: sink.state(topics[0]) == "LIVE" and feed.sync.ready, 5)
        assert lane.connection.reconnects == 0
        assert feed.sync.resyncs == 0


async def test_a_lease_that_is_not_renewed_ends(tmp_path):
    async with simulator() as server, running(config(server, tmp_path, linger_s=0.0)) as (engine, _):
        engine.lease("relay", ["book:binance:ETH/USDT"], 0.3)
        await until(lambda: "ETH/USDT" in engine.venues["binance"].feeds)
        await until(lambda: "ETH/USDT" not in engine.venues["binance"].feeds)


async def test_a_newcomer_gets_what_is_there(tmp_path):
    async with simulator() as server, running(config(server, tmp_path)) as (engine, sink):
        await until(lambda: sink.state(BTC) == "LIVE")
        engine.lease("first", [BTC], 30)
        engine.lease("first", [BTC, "streams"], 30)
        assert sink.greetings == [("first", BTC), ("first", "streams")]
        engine.lease("second", [BTC], 30)
        assert sink.greetings[-1] == ("second", BTC)


async def test_what_does_not_exist_is_refused_with_a_sentence(tmp_path):
    async with simulator() as server, running(config(server, tmp_path)) as (engine, sink):
        wrong = ["nonsense", "book:nowhere:BTC/USDT", "book:binance:NO/SUCH", "book@0.003:binance:BTC/USDT", "fills:1"]
        engine.lease("relay", wrong, 30)
        assert {topic for _, topic, _ in sink.refusals} == set(wrong)
        assert all(reason.endswith(".") for _, _, reason in sink.refusals)
        engine.lease("relay", [BTC], 30)
        await until(lambda: sink.state(BTC) == "LIVE")


async def test_a_pinned_market_that_does_not_exist_stops_the_start(tmp_path):
    async with simulator() as server:
        wrong = config(server, tmp_path, binance={"pinned": ("BTC/USDT", "BTC/USDC")})
        with pytest.raises(ConfigError, match=r"exchanges\.binance\.pinned: 'BTC/USDC' is not a market of binance"):
            async with running(wrong):
                pass


async def test_an_exchange_that_cannot_be_reached_does_not_hold_up_the_other(tmp_path):
    async with simulator() as server:
        settings = config(server, tmp_path)
        dead = {
            key: value.replace(str(server.port), "1") for key, value in settings.exchanges["kraken"].endpoints.items()
        }
        kraken = msgspec.structs.replace(settings.exchanges["kraken"], endpoints=dead, pinned=("BTC/USD",))
        settings = msgspec.structs.replace(settings, exchanges={**settings.exchanges, "kraken": kraken})
        sink = Sink()
        engine = Engine(settings, sink)
        try:
            await engine.start(markets_timeout_s=1)
            await until(lambda: sink.state(BTC) == "LIVE")
            health = {(row["exchange"], row["symbol"]): row for row in engine.health()["streams"]}
            assert health["kraken", "BTC/USD"]["state"] == "DOWN"
            assert "cannot connect" in health["kraken", "BTC/USD"]["reason"]
            assert health["kraken", "BTC/USD"]["pinned"]
            assert health["binance", "BTC/USDT"]["state"] == "LIVE"
        finally:
            await engine.stop()


async def test_grouped_and_ungrouped_books_say_the_same(tmp_path):
    async with simulator() as server, running(config(server, tmp_path)) as (engine, sink):
        grouped = "book@10:binance:BTC/USDT"
        engine.lease("relay", [grouped], 30)
        await until(lambda: sink.state(grouped) == "LIVE" and sink.frames[grouped]["data"]["bids"])
        data = sink.frames[grouped]["data"]
        step = 10 * 10 ** data["price_decimals"]
        assert all(price % step == 0 for price, _ in data["bids"] + data["asks"])
        assert data["bids"][0][0] <= data["bid"][0] < data["ask"][0] <= data["asks"][0][0]


async def test_books_of_before_a_restart_are_shown_as_old(tmp_path):
    async with simulator() as server:
        settings = config(server, tmp_path)
        async with running(settings) as (_, sink):
            await until(lambda: sink.state(BTC) == "LIVE" and sink.frames[BTC]["data"]["bids"])
        dead = {
            key: value.replace(str(server.port), "1") for key, value in settings.exchanges["binance"].endpoints.items()
        }
        rest = {k: v for k, v in settings.exchanges["binance"].endpoints.items() if k.endswith("rest")}
        unreachable = msgspec.structs.replace(settings.exchanges["binance"], endpoints=dead | rest)
        async with running(
            msgspec.structs.replace(
                settings, exchanges={"binance": unreachable, "kraken": settings.exchanges["kraken"]}
            )
        ) as (engine, after):
            await until(lambda: "BTC/USDT" in engine.venues["binance"].feeds)
            engine.lease("relay", [BTC], 30)
            frame = json.loads(engine.newest(BTC))
            assert frame["state"] == "STALE"
            assert frame["data"]["restored"] is True
            assert frame["data"]["bids"]
            assert "LIVE" not in {f.get("state") for f in after.frames.values()}


async def test_history_joins_the_live_bar(tmp_path):
    async with simulator() as server, running(config(server, tmp_path)) as (engine, sink):
        await until(lambda: "candles@1m:binance:BTC/USDT" in sink.frames)
        bars = await engine.candles("binance", "BTC/USDT", "1m", 200)
        assert len(bars) == 200
        times = [bar["open_ms"] for bar in bars]
        assert times == list(range(times[0], times[0] + 200 * 60_000, 60_000)), "no hole, none twice"
        assert [bar["closed"] for bar in bars[:-2]] == [True] * 198


async def test_a_cut_connection_comes_back_by_itself(tmp_path):
    async with simulator() as server, running(config(server, tmp_path)) as (engine, sink):
        await until(lambda: sink.state(BTC) == "LIVE")
        lane = engine.venues["binance"].book_lane("BTC/USDT")
        for socket in server.exchanges["binance"].open_sockets():
            socket.abort()
        await until(lambda: sink.state(BTC) != "LIVE")
        assert sink.frames[BTC]["data"]["bids"] == []
        await until(lambda: sink.state(BTC) == "LIVE")
        assert lane.connection.reconnects == 1


async def test_the_status_board_names_every_connection_and_market(tmp_path):
    async with simulator() as server, running(config(server, tmp_path)) as (engine, sink):
        engine.lease("relay", ["streams", "quote:binance:BTC/USDT:USDT"], 30)
        await until(lambda: sink.state("quote:binance:BTC/USDT:USDT") == "LIVE")
        await until(lambda: len(sink.frames.get("streams", {}).get("data", {}).get("connections", [])) == 4)
        data = sink.frames["streams"]["data"]
        routes = {(row["exchange"], row["route"]) for row in data["connections"]}
        assert routes == {
            ("binance", "spot"),
            ("binance", "usdm-public"),
            ("binance", "usdm-market"),
            ("kraken", "spot"),
        }
        assert {row["symbol"] for row in data["markets"]} == {"BTC/USDT", "BTC/USDT:USDT"}
        assert data["worker"]["rss_mb"] > 1


async def test_a_book_whose_snapshot_never_comes_is_asked_for_on_a_new_connection(tmp_path, monkeypatch):
    """Kraken acknowledges and goes on with its heartbeats, but the book stays away: nothing else would notice."""
    monkeypatch.setattr("feeds.markets.keeper.SNAPSHOT_S", 0.5)
    topic = "book:kraken:BTC/USD"
    async with simulator() as server, running(config(server, tmp_path)) as (engine, sink):
        await until(engine.venues["kraken"].markets_loaded.is_set)
        server.faults.add(Fault(exchange="kraken", kind="mute", symbol="BTC/USD"))
        engine.lease("relay", [topic], 30)
        await until(lambda: engine.venues["kraken"].lanes[0].connection.reconnects >= 1)
        assert sink.state(topic) != "LIVE"
        server.faults.clear()
        await until(lambda: sink.state(topic) == "LIVE")


async def test_one_dead_book_is_found_out_although_heartbeats_go_on(tmp_path):
    dead = "book:kraken:BTC/USD"
    async with simulator() as server, running(config(server, tmp_path, kraken={"stale_s": 2.0})) as (engine, sink):
        engine.lease("relay", [dead], 30)
        await until(lambda: sink.state(dead) == "LIVE")
        server.faults.add(Fault(exchange="kraken", kind="mute", symbol="BTC/USD"))
        connection = engine.venues["kraken"].lanes[0].connection
        await until(lambda: connection.reconnects == 1, seconds=6)
        assert sink.state(dead) not in ("LIVE", "QUIET")
        server.faults.clear()


async def test_a_quiet_book_is_confirmed_by_rest_and_not_by_heartbeats(tmp_path):
    topic = "book:kraken:BTC/USD"
    async with simulator() as server, running(config(server, tmp_path, kraken={"stale_s": 2.0})) as (engine, sink):
        engine.lease("relay", [topic], 30)
        await until(lambda: sink.state(topic) == "LIVE")
        server.market.advance = lambda now_ms: []  # nothing happens any more
        await until(lambda: sink.state(topic) == "QUIET")
        feed = engine.venues["kraken"].feeds["BTC/USD"]
        assert feed.reason == "The exchange confirmed that nothing changed."
        assert engine.venues["kraken"].lanes[0].connection.reconnects == 0


async def test_a_frame_of_an_unknown_kind_costs_no_book_and_one_that_cannot_be_read_does(tmp_path):
    topic = "book:kraken:BTC/USD"
    async with simulator() as server, running(config(server, tmp_path)) as (engine, sink):
        engine.lease("relay", [topic], 30)
        await until(lambda: sink.state(topic) == "LIVE")
        venue = engine.venues["kraken"]
        feed, connection = venue.feeds["BTC/USD"], venue.lanes[0].connection
        (socket,) = server.exchanges["kraken"].open_sockets()
        with structlog.testing.capture_logs() as logs:
            for _ in range(2):
                socket.send('{"channel":"news","type":"update","data":[{"title":"new"}]}')
            await until(lambda: connection.unknown == 2)
        assert [each["kind"] for each in logs if each["event"] == "unknown kind of frame"] == ["channel news"]
        assert (connection.not_understood, feed.sync.resyncs, feed.state) == (0, 0, StreamState.LIVE)
        socket.send('{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[{"price":')
        await until(lambda: connection.not_understood == 1 and feed.sync.resyncs == 1)
        await until(lambda: sink.state(topic) == "LIVE")
