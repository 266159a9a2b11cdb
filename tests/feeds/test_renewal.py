"""Connections are replaced before they end: no market is out of use for a moment, no frame goes back or is wrong.

The simulated exchanges end every connection at an age of 8 s; ours are to be replaced at 0.45 of that.
"""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import count
from pathlib import Path

import pytest
import structlog

from feeds.book import OrderBook
from feeds.config import Config, ExchangeConfig
from feeds.domain import BookSnapshot
from feeds.engine import Engine
from feeds.markets.arrival import not_behind
from feeds.simulator import Settings, SimulatorServer, endpoints
from feeds.simulator.faults import Fault
from feeds.simulator.server import clock_ms as server_clock_ms
from feeds.simulator.sockets import Socket, SocketRules, SocketSet
from tests.feeds.simulator_help import FEW
from tests.feeds.test_engine import until
from tests.feeds.witness import Sink, Witness, live_part, wrong_books

LIFE_S = 8.0
ENDS_S = 20.0
"""When the exchange really ends a connection: real ones leave hours for a change, and a busy machine needs seconds."""
LAG_S = 0.3
SYMBOLS = {
    ("binance", "spot"): ("BTC/USDT", "ETH/USDT"),
    ("binance", "usdm"): ("BTC/USDT:USDT",),
    ("kraken", "spot"): ("BTC/USD", "DOGE/USD"),
}


def config(server: SimulatorServer, folder: Path, **changes: object) -> Config:
    urls = endpoints("127.0.0.1", server.port)
    binance = ExchangeConfig(
        name="binance",
        products=("spot", "usdm"),
        endpoints=urls["binance"],
        pinned=(*SYMBOLS["binance", "spot"], *SYMBOLS["binance", "usdm"]),
        **changes,
    )
    kraken = ExchangeConfig(
        name="kraken", products=("spot",), endpoints=urls["kraken"], pinned=SYMBOLS["kraken", "spot"], **changes
    )
    return Config(path=None, exchanges={"binance": binance, "kraken": kraken}, state_dir=folder)


@asynccontextmanager
async def world(
    folder: Path, ends_s: float | None, *, clock_ms: Callable[[], int] = server_clock_ms, **changes: object
) -> AsyncIterator[tuple[SimulatorServer, Engine, Sink, Witness]]:
    """Simulator, witness and engine."""
    rules = {
        "binance.spot": SocketRules(ping_s=20, life_s=ends_s, messages_per_s=5),
        "binance.usdm": SocketRules(ping_s=180, life_s=ends_s, messages_per_s=10),
        "kraken": SocketRules(idle_s=60, life_s=ends_s),
    }
    settings = Settings(seed=5, instruments=FEW, trader=False, rules=rules)
    server = await SimulatorServer(settings, clock_ms=clock_ms).start(0)
    sink, witness = Sink(), Witness(server, SYMBOLS)
    engine = Engine(config(server, folder, **changes), sink)
    witness.listen(engine)
    try:
        await engine.start(markets_timeout_s=20)
        await until(lambda: all(sink.state(topic) == "LIVE" for topic in witness.topics))
        yield server, engine, sink, witness
    finally:
        await engine.stop()
        await server.stop()


def renewed(engine: Engine) -> dict[str, int]:
    return {name: venue.renewals.renewed for name, venue in engine.venues.items()}


def judged(sink: Sink, witness: Witness) -> dict[str, int]:
    """Everything that was shown since the first LIVE was right and never went back; frames judged per book."""
    counts = {}
    for topic, truth in witness.truths().items():
        frames = live_part(sink.frames[topic])
        assert {frame["state"] for frame in frames} <= {"LIVE", "QUIET"}, topic
        assert wrong_books(frames, truth) == [], topic
        counts[topic] = len(frames)
    for topic, frames in sink.frames.items():
        if topic.startswith("quote:binance"):
            seqs = [frame["seq"] for frame in live_part(frames)]
            assert seqs == sorted(seqs), f"{topic} went back"
        if topic.startswith("candles"):
            bars = [
                (frame["data"]["bars"][-1]["open_ms"], Decimal(frame["data"]["bars"][-1]["base_volume"]))
                for frame in frames
            ]
            assert bars == sorted(bars), f"{topic} went back"
    for topic, tap in witness.prints.items():
        told = [str(json.loads(row["raw"])["data"]["t"]) for row in tap.records]
        shown: dict[str, None] = {}
        for frame in sink.frames[topic]:
            ids = [int(row["id"]) for row in frame["data"]["trades"]]
            assert ids == sorted(set(ids), reverse=True), f"{topic}: out of order, or twice"
            shown.update(dict.fromkeys(map(str, reversed(ids))))
        first, last = told.index(next(iter(shown))), told.index(next(reversed(shown)))
        assert list(shown) == told[first : last + 1], f"{topic}: prints are missing"
    return counts


async def test_an_old_connection_is_replaced_without_a_gap(tmp_path, monkeypatch):
    """Of four connections each the next four are slower, and those after them quick again."""
    make, made = SocketSet.make, count()

    def uneven(sockets: SocketSet, rules: SocketRules) -> Socket:
        socket = make(sockets, rules)
        delay_s = LAG_S * (next(made) // 4 % 2)
        socket._delay_s = lambda: delay_s
        return socket

    monkeypatch.setattr(SocketSet, "make", uneven)
    async with world(tmp_path, ENDS_S, life_s=LIFE_S, renew_at=0.45) as (server, engine, sink, witness):
        most = 0

        def enough() -> bool:
            nonlocal most
            most = max(most, *(len(exchange.open_sockets()) for exchange in server.exchanges.values()))
            return min(renewed(engine).values()) >= 2 and renewed(engine)["binance"] >= 6

        await until(enough, 40)
        connections = [lane.connection for venue in engine.venues.values() for lane in venue.lanes]
        counts = judged(sink, witness)
        assert all(count > 40 for count in counts.values()), counts
        assert {connection.reconnects for connection in connections} == {0}, "none was ended by the exchange"
        assert most == 4, "three of Binance and one that is to replace one of them"
        print(f"renewed {renewed(engine)}; frames judged {counts}")


async def test_an_announced_end_is_met_before_it_comes(tmp_path):
    """Binance spot announces that a server stops, and closes its connections some time later."""
    async with world(tmp_path, None) as (server, engine, sink, witness):
        binance = server.exchanges["binance"]
        doomed = list(binance.open_sockets())
        binance.act(Fault(exchange="binance", kind="shutdown"))
        await until(lambda: renewed(engine)["binance"] == 1)
        for socket in doomed:
            if socket in binance.open_sockets() and socket.rules.ping_s == 20:
                socket.abort()
        frames = len(sink.frames["book:binance:BTC/USDT"])
        await until(lambda: len(sink.frames["book:binance:BTC/USDT"]) > frames + 10)
        judged(sink, witness)
        assert renewed(engine) == {"binance": 1, "kraken": 0}, "the others were told nothing"


async def test_a_connection_that_is_late_by_more_than_the_settling(tmp_path, monkeypatch):
    """What the old connection still has under way is waited for, as its successor's first print tells how long."""
    make, made = SocketSet.make, count()

    def late_at_first(sockets: SocketSet, rules: SocketRules) -> Socket:
        socket = make(sockets, rules)
        delay_s = 2.0 if next(made) < 4 else 0.0
        socket._delay_s = lambda: delay_s
        return socket

    monkeypatch.setattr(SocketSet, "make", late_at_first)
    async with world(tmp_path, None) as (server, engine, sink, witness):
        server.exchanges["binance"].act(Fault(exchange="binance", kind="shutdown"))
        await until(lambda: renewed(engine)["binance"] == 1)
        frames = len(sink.frames["book:binance:BTC/USDT"])
        await until(lambda: len(sink.frames["book:binance:BTC/USDT"]) > frames + 10)
        judged(sink, witness)


async def test_the_old_connection_stays_until_its_end_where_no_new_one_can_be_had(tmp_path):
    with structlog.testing.capture_logs() as logs:
        async with world(tmp_path, None) as (server, engine, sink, witness):
            binance = server.exchanges["binance"]
            server.faults.add(Fault(exchange="binance", kind="refuse", product="spot"))
            binance.act(Fault(exchange="binance", kind="shutdown"))
            await until(lambda: [row for row in logs if row["event"] == "connection not replaced"])
            frames = len(sink.frames["book:binance:BTC/USDT"])
            await until(lambda: len(sink.frames["book:binance:BTC/USDT"]) > frames + 10)
            await until(lambda: len(engine.venues["binance"].lanes) == 3)  # what failed is gone, another try may be on
            assert renewed(engine)["binance"] == 0
            server.faults.clear()
            await until(lambda: renewed(engine)["binance"] == 1)
            judged(sink, witness)


async def test_a_market_that_is_opened_or_closed_meanwhile(tmp_path):
    async with world(tmp_path, None) as (server, engine, sink, witness):
        venue = engine.venues["binance"]
        server.exchanges["binance"].act(Fault(exchange="binance", kind="shutdown"))
        await until(lambda: any(lane.handover for lane in venue.lanes))
        engine.lease("relay", ["candles@5m:binance:BTC/USDT", "trades:binance:BTC/USDT"], 30)
        await until(lambda: renewed(engine)["binance"] == 1)
        await until(lambda: "candles@5m:binance:BTC/USDT" in sink.frames)
        lane = venue.book_lane("BTC/USDT")
        assert {str(s) for s in lane.connection.subscriptions} >= {"candles@5m BTC/USDT", "book ETH/USDT"}
        assert len(venue.lanes) == 3
        assert set(venue.lane_of.values()) == set(venue.lanes)
        judged(sink, witness)


def book(seq: int | None, ms: int | None, bid: float = 1.0) -> OrderBook:
    made = OrderBook()
    made.replace(BookSnapshot(symbol="A/B", bids=[(bid, 1.0)], asks=[(9.0, 1.0)], seq=seq, exchange_ms=ms))
    return made


@pytest.mark.parametrize(
    ("new", "shown", "own_ids", "right"),
    [
        (book(5, 1), book(4, 9), False, True),
        (book(4, 1, 2.0), book(4, 9), False, True),
        (book(3, 9), book(4, 1), False, False),
        (book(3, 9), book(4, 1), True, True),  # ids of two connections say nothing
        (book(None, 9, 2.0), book(None, 8), False, True),
        (book(None, 8), book(None, 9), False, False),
        (book(None, 8), book(None, 8), False, True),
        (book(None, 8, 2.0), book(None, 8), False, False),  # the same millisecond: which came first?
        (book(None, None), book(None, None), False, True),
        (book(None, None, 2.0), book(None, 8), False, False),
    ],
)
def test_which_book_may_follow_which(new: OrderBook, shown: OrderBook, own_ids: bool, right: bool):
    assert not_behind(new, shown, own_ids) is right
