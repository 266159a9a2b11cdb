"""The real engine on the simulated OKX: books by chained ids, resyncs, refusals, silence, ends."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from feeds.book import OrderBook
from feeds.config import Config, ExchangeConfig
from feeds.engine import Engine
from feeds.simulator import Settings, SimulatorServer, endpoints
from feeds.simulator.faults import Fault
from feeds.simulator.okx.listing import LISTING
from feeds.simulator.sockets import Socket, SocketRules, SocketSet
from tests.feeds import witness
from tests.feeds.test_engine import Sink, until

FEW = tuple(i for i in LISTING if i.native in {"BTC-USDT", "ETH-USDT", "BTC-USDT-SWAP", "XRP-USDT-SWAP"})
BTC, PERP = "book:okx:BTC/USDT", "book:okx:BTC/USDT:USDT"


class World:
    """A simulator and an engine on it, with what the engine told."""

    def __init__(self, server: SimulatorServer, engine: Engine, sink: Sink) -> None:
        self.server, self.engine, self.sink = server, engine, sink
        self.venue = engine.venues["okx"]

    async def live(self, *topics: str) -> None:
        self.engine.lease("test", list(topics), 60)
        for topic in topics:
            await until(lambda topic=topic: self.sink.state(topic) == "LIVE")

    def fault(self, kind: str, **more: Any) -> None:
        self.server.faults.add(Fault(exchange="okx", kind=kind, **more))

    def resyncs(self, symbol: str = "BTC/USDT") -> int:
        return self.venue.feeds[symbol].sync.resyncs


@asynccontextmanager
async def world(
    tmp_path: Path, *, stale_s: float = 5.0, rules: SocketRules | None = None, sink: Any = None
) -> AsyncIterator[World]:
    given = {} if rules is None else {"rules": {"okx": rules}}
    settings = Settings(seed=5, instruments=FEW, trader=False, connects={"okx": 1000}, **given)
    server = await SimulatorServer(settings).start(0)
    exchange = ExchangeConfig(
        name="okx",
        simulated=True,
        products=("spot", "swap"),
        endpoints=endpoints("127.0.0.1", server.port)["okx"],
        stale_s=stale_s,
        reconnect_s=max(30.0, 2 * stale_s),
    )
    engine = Engine(
        Config(path=None, exchanges={"okx": exchange}, state_dir=tmp_path / "state"), sink := sink or Sink()
    )
    try:
        await engine.start(markets_timeout_s=20)
        yield World(server, engine, sink)
    finally:
        await engine.stop()
        await server.stop()


async def test_books_quotes_trades_and_candles(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.live(BTC, PERP, "quote:okx:BTC/USDT:USDT", "trades:okx:BTC/USDT:USDT", "candles@1m:okx:BTC/USDT:USDT")
        assert {lane.route for lane in w.venue.lanes} == {"spot-public", "swap-public", "swap-business"}
        quote = lambda: w.sink.frames["quote:okx:BTC/USDT:USDT"]["data"]  # noqa: E731
        await until(lambda: quote()["mark"] and quote()["index"] and quote()["funding_rate"] and quote()["last"])
        assert float(quote()["bid"]) < float(quote()["ask"])
        assert quote()["next_funding_ms"] % 28_800_000 == 0
        await until(lambda: w.sink.frames["trades:okx:BTC/USDT:USDT"]["data"]["trades"])
        bars = await w.engine.candles("okx", "BTC/USDT:USDT", "1m", 200)
        times = [bar["open_ms"] for bar in bars]
        assert times == list(range(times[0], times[0] + 200 * 60_000, 60_000))
        rows = {row["symbol"]: row for row in w.engine.markets()}
        assert set(rows) == {"BTC/USDT", "ETH/USDT", "BTC/USDT:USDT", "XRP/USDT:USDT"}, "no inverse one"
        assert rows["BTC/USDT:USDT"]["lot"] == "0.0001"


async def test_the_shown_book_is_the_engine_s_in_base_currency(tmp_path: Path) -> None:
    """Contracts of 0.01 BTC on the wire; what is shown are the matching engine's own amounts."""
    topic = "book:okx:BTC/USDT:USDT"
    async with world(tmp_path) as w:
        await w.live(topic)
        engine, i = w.server.market.markets["okx", "swap", "BTC-USDT-SWAP"].engine, FEW[-2]
        assert i.native == "BTC-USDT-SWAP"
        compared = 0

        def equal() -> bool:
            nonlocal compared
            frame = w.sink.frames[topic]
            if frame["seq"] != engine.update_id:
                return False
            price, size = (Decimal(1).scaleb(-frame["data"][k]) for k in ("price_decimals", "size_decimals"))
            for name, side in (("bids", engine.bids), ("asks", engine.asks)):
                shown = [(p * price, s * size) for p, s in frame["data"][name]]
                assert shown == [(p * i.tick, s * i.lot) for p, s in side.top(len(shown))]
                assert len(shown) == 25
            compared += 1
            return compared >= 5

        await until(equal)


async def test_a_lost_update_is_rebuilt_by_a_new_subscription(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.live(BTC, PERP)
        w.fault("drop_depth", symbol="BTC/USDT")
        await until(lambda: w.resyncs() == 1)
        assert w.sink.frames[BTC]["data"]["bids"] == [], "dropped at once"
        await until(lambda: w.sink.state(BTC) == "LIVE")
        assert w.resyncs("BTC/USDT:USDT") == 0, "the other market went on"
        assert [lane.connection.reconnects for lane in w.venue.lanes] == [0, 0]


@pytest.mark.parametrize("kind", ["bad_checksum", "crossed"])
async def test_a_wrong_book_is_never_shown(tmp_path: Path, kind: str) -> None:
    """A checksum that is not 0 is compared; a crossed book is dropped."""
    async with world(tmp_path) as w:
        await w.live(BTC)
        w.fault(kind, symbol="BTC/USDT")
        await until(lambda: w.resyncs() == 1)
        await until(lambda: w.sink.state(BTC) == "LIVE")


async def test_ids_that_begin_anew_are_no_gap(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.live(BTC, "quote:okx:BTC/USDT")
        before = w.sink.frames[BTC]["seq"]
        w.server.exchanges["okx"].act(Fault(exchange="okx", kind="sequence_reset"))
        await until(lambda: 0 < (w.sink.frames[BTC]["seq"] or before) < before)
        count = w.sink.count[BTC]
        await until(lambda: w.sink.count[BTC] > count + 10)
        assert (w.resyncs(), w.sink.state(BTC)) == (0, "LIVE")
        assert w.sink.frames["quote:okx:BTC/USDT"]["seq"] < before


async def test_garbage_costs_nothing_where_ids_prove_the_book(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.live(BTC)
        w.fault("garbage", symbol="BTC/USDT")
        await until(lambda: w.venue.lanes[0].connection.not_understood == 1)
        assert (w.resyncs(), w.sink.state(BTC)) == (0, "LIVE")


async def test_a_refused_market_is_named_and_leaves_the_others_alone(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await until(w.venue.markets_loaded.is_set)
        w.fault("reject", symbol="ETH-USDT")
        w.engine.lease("test", [BTC, "book:okx:ETH/USDT"], 60)
        await until(lambda: w.sink.state("book:okx:ETH/USDT") == "DOWN")
        await until(lambda: w.sink.state(BTC) == "LIVE")
        assert "channel:books,instId:ETH-USDT doesn't exist" in w.venue.feeds["ETH/USDT"].reason


async def test_a_mute_market_is_told_from_a_quiet_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither WebSocket pings nor heartbeats help here: a text ping, and the best prices by REST."""
    monkeypatch.setattr("feeds.markets.keeper.SNAPSHOT_S", 0.5)
    async with world(tmp_path, stale_s=1.0) as w:
        await w.live(BTC)
        w.server.market.advance = lambda now_ms: []
        await until(lambda: w.sink.state(BTC) == "QUIET")
        assert w.venue.lanes[0].connection.reconnects == 0
        del w.server.market.advance
        await until(lambda: w.sink.state(BTC) == "LIVE")
        w.fault("mute", symbol="BTC/USDT")
        await until(lambda: w.sink.state(BTC) not in ("LIVE", "QUIET"))
        await until(lambda: w.venue.lanes[0].connection.reconnects >= 1)
        w.server.faults.clear()
        await until(lambda: w.sink.state(BTC) == "LIVE")


async def test_candles_of_a_market_without_trades_stay_live(tmp_path: Path) -> None:
    """Their connection may be silent; a text ping shows that it is alive."""
    async with world(tmp_path, stale_s=1.0) as w:
        await w.live("candles@1m:okx:BTC/USDT")
        (lane,) = [lane for lane in w.venue.lanes if lane.route == "spot-business"]
        w.server.market.advance = lambda now_ms: []
        messages = lane.connection.messages
        await until(lambda: lane.connection.messages >= messages + 3)  # three pongs: longer than stale_s
        assert (lane.connection.state, lane.connection.reconnects) == ("LIVE", 0)


@pytest.mark.parametrize("end", ["cut", "shutdown"])
async def test_connections_that_end_come_back(tmp_path: Path, end: str) -> None:
    async with world(tmp_path) as w:
        await w.live(BTC)
        okx = w.server.exchanges["okx"]
        if end == "shutdown":
            okx.act(Fault(exchange="okx", kind="shutdown"))
        for socket in okx.open_sockets() if end == "cut" else []:
            socket.abort()
        if end == "shutdown":
            await until(lambda: w.venue.renewals.renewed == 1)
        else:
            await until(lambda: w.venue.lanes[0].connection.reconnects == 1)
        await until(lambda: w.sink.state(BTC) == "LIVE")


async def test_maintenance_is_told(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.live(BTC)
        okx = w.server.exchanges["okx"]
        okx.act(Fault(exchange="okx", kind="shutdown", value="ongoing"))
        await until(lambda: w.venue.notice.startswith("OKX is in maintenance until"))
        okx.act(Fault(exchange="okx", kind="shutdown", value="completed"))
        await until(lambda: w.venue.notice == "")


async def test_instruments_are_asked_for_until_they_come(tmp_path: Path) -> None:
    settings = Settings(seed=5, instruments=FEW, trader=False, connects={"okx": 1000})
    server = await SimulatorServer(settings).start(0)
    urls = endpoints("127.0.0.1", server.port)["okx"]
    exchange = ExchangeConfig(name="okx", products=("spot", "swap"), endpoints=urls)
    engine = Engine(Config(path=None, exchanges={"okx": exchange}, state_dir=tmp_path / "state"), Sink())
    server.faults.add(Fault(exchange="okx", kind="status", value=503, count=2))
    try:
        await engine.start(markets_timeout_s=0.2)
        await until(engine.venues["okx"].markets_loaded.is_set)
        assert {market.product for market in engine.venues["okx"].markets} == {"spot", "swap"}
        assert json.dumps(engine.markets())
    finally:
        await engine.stop()
        await server.stop()


async def test_connections_that_are_replaced_continue_the_chain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every other connection is slower: its updates are of the shown book's past, and its first new one joins on."""
    make, made = SocketSet.make, count()

    def uneven(sockets: SocketSet, rules: SocketRules) -> Socket:
        socket = make(sockets, rules)
        delay_s = 0.35 * (next(made) % 2)
        socket._delay_s = lambda: delay_s
        return socket

    monkeypatch.setattr(SocketSet, "make", uneven)
    joined: list[str] = []
    join = OrderBook.join
    monkeypatch.setattr(OrderBook, "join", lambda book: (joined.append(BTC), join(book)))
    async with world(tmp_path, sink=witness.Sink()) as w:
        await w.live(BTC)
        begun = len(w.sink.frames[BTC]) - 1
        for number in range(1, 5):
            w.server.exchanges["okx"].act(Fault(exchange="okx", kind="shutdown"))
            await until(lambda number=number: w.venue.renewals.renewed == number)
            frames = len(w.sink.frames[BTC])
            await until(lambda frames=frames: len(w.sink.frames[BTC]) > frames + 12)
        shown = w.sink.frames[BTC][begun:]
        assert {frame["state"] for frame in shown} <= {"LIVE", "QUIET"}
        seqs = [frame["seq"] for frame in shown]
        assert seqs == sorted(seqs), "it went back"
        assert w.venue.feeds["BTC/USDT"].sync.resyncs == 0
        assert joined, "a slower connection took over while it was behind"
