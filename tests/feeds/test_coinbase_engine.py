"""The engine against the simulated Coinbase: live, rebuilt, refused, quiet, mute, and back after a cut."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from feeds.config import Config, ExchangeConfig
from feeds.domain import Channel
from feeds.engine import Engine
from feeds.exchanges.coinbase import Coinbase
from feeds.simulator import Settings, SimulatorServer, endpoints
from feeds.simulator.faults import Fault
from tests.feeds.coinbase_world import FEW
from tests.feeds.test_engine import Sink, until

BTC, ETH = "book:coinbase:BTC/USD", "book:coinbase:ETH/USD"
STALE_S = 2.0


class World:
    def __init__(self, server: SimulatorServer, engine: Engine, sink: Sink) -> None:
        self.server = server
        self.engine = engine
        self.sink = sink
        self.venue = engine.venues["coinbase"]

    def fault(self, kind: Any, **more: Any) -> None:
        self.server.faults.add(Fault(exchange="coinbase", kind=kind, **more))

    async def live(self, *topics: str) -> None:
        self.engine.lease("relay", [*topics], 60)
        await until(lambda: all(self.sink.state(topic) == "LIVE" for topic in topics))

    def true(self, topic: str) -> bool:
        """Is the newest frame's top the engine's now? Both change, so it is asked for until it is."""
        market = self.server.market.markets["coinbase", "spot", topic.rpartition(":")[2].replace("/USD", "-USD")]
        frame = self.sink.frames[topic]
        i, data = market.instrument, frame["data"]
        scale = 10 ** (data["price_decimals"]) * i.tick
        return bool(
            frame["state"] == "LIVE"
            and data["bids"][0][0] == int(market.engine.bids.best() * scale)
            and data["asks"][0][0] == int(market.engine.asks.best() * scale)
        )


@asynccontextmanager
async def world(folder: Path, **changes: Any) -> AsyncIterator[World]:
    server = await SimulatorServer(Settings(seed=5, instruments=FEW, trader=False)).start(0)
    config = ExchangeConfig(
        name="coinbase",
        simulated=True,
        products=("spot",),
        endpoints=endpoints("127.0.0.1", server.port)["coinbase"],
        stale_s=STALE_S,
        reconnect_s=3.0,
    )
    sink = Sink()
    engine = Engine(Config(path=None, exchanges={"coinbase": config}, state_dir=folder / "state", **changes), sink)
    try:
        await engine.start(markets_timeout_s=20)
        yield World(server, engine, sink)
    finally:
        await engine.stop()
        await server.stop()


async def test_all_topics_of_a_market(tmp_path):
    kinds = ("book", "quote", "trades", "candles@5m", "candles@1h", "candles@4h")
    topics = [f"{kind}:coinbase:BTC/USD" for kind in kinds]
    async with world(tmp_path) as w:
        await w.live(*topics)
        await until(lambda: w.true(BTC))
        quote = w.sink.frames["quote:coinbase:BTC/USD"]["data"]
        market = w.server.market.markets["coinbase", "spot", "BTC-USD"]
        await until(lambda: w.sink.frames["trades:coinbase:BTC/USD"]["data"]["trades"])
        assert quote["bid"] is not None
        newest = {row["id"]: row for row in w.sink.frames["trades:coinbase:BTC/USD"]["data"]["trades"]}
        prints = {str(row.id): row for row in market.recent}
        known = newest.keys() & prints.keys()
        assert known
        assert all(newest[id]["side"] == ("buy" if prints[id].taker_buys else "sell") for id in known)
        for topic in topics[3:]:
            assert w.sink.frames[topic]["data"]["bars"], topic
        streamed = {(s.channel, s.interval) for s in w.venue.lanes[0].connection.subscriptions}
        assert (Channel.CANDLES, "5m") in streamed
        assert (Channel.CANDLES, "1h") not in streamed, "no stream has it: it is polled"


async def test_polled_bars_are_the_exchanges(tmp_path, monkeypatch):
    monkeypatch.setattr(Coinbase, "facts", structs.replace(Coinbase.facts, round_s=0.3))
    topic = "candles@1d:coinbase:BTC/USD"
    async with world(tmp_path) as w:
        await w.live(BTC, topic)
        first = w.sink.frames[topic]["data"]["bars"][-1]
        await until(lambda: w.sink.frames[topic]["data"]["bars"][-1]["base_volume"] != first["base_volume"])
        w.fault("status")
        await until(lambda: w.venue.rest.usage()["spot"]["failures"])
        w.server.faults.clear()
        before = w.sink.frames[topic]["data"]["bars"][-1]
        await until(lambda: w.sink.frames[topic]["data"]["bars"][-1] != before)


async def test_history(tmp_path):
    async with world(tmp_path) as w:
        await w.live(BTC)
        for interval, most, length_ms in (("1m", 350, 60_000), ("4h", 175, 14_400_000), ("1d", 350, 86_400_000)):
            bars = await w.engine.candles("coinbase", "BTC/USD", interval, 1000)
            assert len(bars) == most
            assert {b["open_ms"] - a["open_ms"] for a, b in pairwise(bars)} == {length_ms}
            assert bars[0]["open_ms"] % length_ms == 0
            assert [bar["closed"] for bar in bars] == [True] * (most - 1) + [False]


async def test_a_hole_rebuilds_every_book_and_keeps_the_connection(tmp_path):
    """The lost frame was BTC's, but nobody can know: ETH is rebuilt too."""
    trades = "trades:coinbase:BTC/USD"
    async with world(tmp_path) as w:
        await w.live(BTC, ETH, trades)
        feeds = [w.venue.feeds[symbol] for symbol in ("BTC/USD", "ETH/USD")]
        states: list[tuple[str, str]] = []
        publish = w.sink.publish
        w.sink.publish = lambda topic, frame: (
            publish(topic, frame),
            states.append((topic, w.sink.state(topic) or "")),
        )[0]
        sockets = w.server.exchanges["coinbase"]._sockets
        asked, request = [], sockets.request
        sockets.request = lambda connection, message: (asked.append(message), request(connection, message))
        w.fault("drop_depth", symbol="BTC-USD")
        await until(lambda: all(feed.sync.resyncs == 1 for feed in feeds))
        await until(lambda: all(feed.state == "LIVE" for feed in feeds))
        await until(lambda: w.true(BTC) and w.true(ETH))
        assert {(BTC, "RESYNC"), (ETH, "RESYNC")} <= set(states)
        assert w.venue.lanes[0].connection.reconnects == 0
        assert [feed.sync.resyncs for feed in feeds] == [1, 1]
        assert w.venue.lanes[0].connection.not_understood == 0

        def named(kind: str, channel: str) -> set[str]:
            own = [m["product_ids"] for m in asked if (m["type"], m["channel"]) == (kind, channel)]
            return {name for names in own for name in names}

        await until(lambda: named("subscribe", "market_trades"))  # the books may stand before it is asked for
        for channel, products in (("level2", {"BTC-USD", "ETH-USD"}), ("market_trades", {"BTC-USD"})):
            for kind in ("unsubscribe", "subscribe"):
                assert named(kind, channel) == products, (kind, channel)
        assert "ticker" not in {message["channel"] for message in asked}


async def test_a_crossed_book_is_rebuilt_alone(tmp_path):
    async with world(tmp_path) as w:
        await w.live(BTC, ETH)
        w.fault("crossed", symbol="BTC-USD")
        btc, eth = (w.venue.feeds[symbol] for symbol in ("BTC/USD", "ETH/USD"))
        await until(lambda: btc.sync.resyncs == 1)
        await until(lambda: w.true(BTC))
        assert (eth.sync.resyncs, w.venue.lanes[0].connection.reconnects) == (0, 0)


async def test_noise_between_frames_costs_no_book(tmp_path):
    """A frame that is no JSON, while the numbers go on without a hole, was not one of them."""
    async with world(tmp_path) as w:
        await w.live(BTC)
        w.fault("garbage")
        connection = w.venue.lanes[0].connection
        await until(lambda: connection.not_understood == 1)
        frames = w.venue.feeds["BTC/USD"].frames
        await until(lambda: w.venue.feeds["BTC/USD"].frames > frames + 3)
        assert (w.venue.feeds["BTC/USD"].sync.resyncs, w.sink.state(BTC)) == (0, "LIVE")


async def test_the_refused_market_is_found_among_several(tmp_path):
    doge = "book:coinbase:DOGE/USD"
    async with world(tmp_path) as w:
        w.fault("reject", symbol="DOGE-USD")
        w.engine.lease("relay", [BTC, ETH, doge], 60)
        await until(lambda: w.sink.state(doge) == "DOWN")
        await until(lambda: w.sink.state(BTC) == "LIVE" and w.sink.state(ETH) == "LIVE")
        assert w.venue.feeds["DOGE/USD"].reason == "The exchange refuses this market: failure to subscribe"


async def test_a_book_is_waited_for_while_others_still_come(tmp_path, monkeypatch):
    """Whole books are megabytes, and come one after the other: a new connection would begin with the first again."""
    monkeypatch.setattr("feeds.markets.keeper.SNAPSHOT_S", 0.5)
    async with world(tmp_path) as w:
        w.fault("mute", symbol="ETH-USD")
        await w.live(BTC)
        w.engine.lease("relay", [BTC, ETH], 60)
        (lane,) = w.venue.lanes
        end_s = time.monotonic() + 1.5
        while time.monotonic() < end_s:
            lane.snapshot_ns = time.time_ns()  # another market's book came
            await asyncio.sleep(0.05)
        assert lane.connection.reconnects == 0
        await until(lambda: lane.connection.reconnects == 1)


async def test_a_second_name_shows_the_same_book_and_says_so(tmp_path):
    alias = "book:coinbase:BTC/USDC"
    async with world(tmp_path) as w:
        await w.live(BTC, alias)
        await until(lambda: w.sink.frames[BTC]["data"]["bids"] == w.sink.frames[alias]["data"]["bids"])
        assert {lane.route for lane in w.venue.lanes} == {"spot", "spot-usdc"}
        assert w.venue.feeds["BTC/USDC"].reason == "One book with BTC/USD, by another name."
        assert w.venue.feeds["BTC/USD"].reason == ""


async def test_mute_is_stale_and_then_renewed(tmp_path, monkeypatch):
    monkeypatch.setattr("feeds.markets.keeper.SNAPSHOT_S", 1.0)
    async with world(tmp_path) as w:
        await w.live(BTC)
        w.fault("mute")
        await until(lambda: w.sink.state(BTC) == "STALE")
        await until(lambda: w.venue.lanes[0].connection.reconnects >= 1)
        w.server.faults.clear()
        await until(lambda: w.true(BTC))


@pytest.mark.parametrize("kind", ["cut", "shutdown"])
async def test_a_connection_that_ends_comes_back(tmp_path, kind):
    async with world(tmp_path) as w:
        await w.live(BTC)
        connection = w.venue.lanes[0].connection
        exchange = w.server.exchanges["coinbase"]
        if kind == "shutdown":
            exchange.act(Fault(exchange="coinbase", kind="shutdown"))
        for socket in exchange.open_sockets() if kind == "cut" else ():
            socket.abort()
        await until(lambda: connection.reconnects == 1)
        await until(lambda: w.true(BTC))


async def test_quiet_with_heartbeats_which_are_asked_for_again_if_not_answered(tmp_path, monkeypatch):
    monkeypatch.setattr(Coinbase, "facts", structs.replace(Coinbase.facts, ping_s=0.5))
    async with world(tmp_path) as w:
        w.fault("no_ack", count=1)  # the heartbeats' subscription is the first message
        await w.live(BTC, ETH)
        w.server.market.advance = lambda now_ms: []  # nothing happens any more
        await until(lambda: w.sink.state(BTC) == "QUIET" and w.sink.state(ETH) == "QUIET")
        assert w.venue.lanes[0].connection.reconnects == 0


async def test_eight_messages_a_second_are_kept_over_all_connections(tmp_path):
    """Two connections that come up together, each with several messages: the exchange would close both."""
    topics = [
        f"{kind}:coinbase:{symbol}"
        for kind in ("book", "quote", "trades", "candles@5m")
        for symbol in ("BTC/USD", "BTC/USDC", "ETH/USD")
    ]
    async with world(tmp_path) as w:
        await w.live(*topics)
        assert len(w.venue.lanes) == 2
        assert [lane.connection.reconnects for lane in w.venue.lanes] == [0, 0]
