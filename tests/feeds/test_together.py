"""Several exchanges together: simulated Binance and Kraken through the real engine to frames."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import msgspec

from feeds.across.arbitrage import Threshold
from feeds.across.fees import default_fee
from feeds.across.legs import Ties
from feeds.across.settings import AcrossConfig
from feeds.book import BookSide
from feeds.config import Config
from feeds.engine import Engine
from feeds.simulator import Settings, SimulatorServer
from feeds.simulator.faults import Fault
from feeds.simulator.settings import FIRST
from feeds.simulator.venues import listings
from tests.feeds.test_arbitrage import Store
from tests.feeds.test_engine import Sink, config, until

ACROSS, MATRIX = "across:BTC/USDT", "matrix@0.3:BTC/USDT"
STALE_S = 1.5
MARKETS = {("binance", "BTC/USDT"), ("binance", "ETH/USDT"), ("binance", "BTC/USDT:USDT")} | {
    ("kraken", symbol) for symbol in ("BTC/USDT", "ETH/USDT", "BTC/USD")
}
BOTH = tuple(each for each in listings(FIRST) if (each.venue, each.symbol) in MARKETS)


@asynccontextmanager
async def world(
    tmp_path: Path, store: Store | None = None, **changes: Any
) -> AsyncIterator[tuple[SimulatorServer, Engine, Sink]]:
    """Simulator and engine; nothing is pinned."""
    server = await SimulatorServer(Settings(seed=5, instruments=BOTH, trader=False)).start(0)
    quick: Config = config(server, tmp_path, **changes)
    exchanges = {
        name: msgspec.structs.replace(exchange, stale_s=STALE_S, pinned=())
        for name, exchange in quick.exchanges.items()
    }
    sink = Sink()
    engine = Engine(msgspec.structs.replace(quick, exchanges=exchanges), sink, across_store=store)
    try:
        await engine.start(markets_timeout_s=20)
        yield server, engine, sink
    finally:
        await engine.stop()
        await server.stop()


def legs(sink: Sink, topic: str) -> dict[str, dict[str, Any]]:
    """The legs of the newest frame, by exchange and symbol."""
    shown = sink.frames.get(topic, {}).get("data", {}).get("legs", [])
    return {f"{leg['exchange']} {leg['symbol']}": leg for leg in shown}


def all_usable(sink: Sink, topic: str, count: int = 2) -> bool:
    return [leg["usable"] for leg in legs(sink, topic).values()] == [True] * count


async def test_books_of_both_exchanges_are_opened_on_demand_and_shown_as_they_are(tmp_path):
    async with world(tmp_path, linger_s=0.0) as (_, engine, sink):
        assert not any(venue.feeds for venue in engine.venues.values())
        engine.lease("relay", [ACROSS, "across@10:BTC/USDT"], 30)
        await until(lambda: all_usable(sink, ACROSS) and all_usable(sink, "across@10:BTC/USDT"))
        frame = json.loads(engine.newest(ACROSS))  # drawn now: the books stand still meanwhile
        data = frame["data"]
        assert frame["state"] == "LIVE"
        assert frame["seq"] is frame["exchange_ms"] is None
        assert frame["recv_us"] == max(leg["recv_us"] for leg in data["legs"])
        for leg in data["legs"]:
            book = engine.venues[leg["exchange"]].feeds["BTC/USDT"].sync.book
            shown = [[float(D(p).scaleb(-data["price_decimals"])), float(D(s).scaleb(-data["size_decimals"]))]
                     for p, s in leg["bids"]]  # fmt: skip
            assert shown == [list(level) for level in book.bids.top(25)]
        assert data["bid"]["price"] == max(leg["bids"][0][0] for leg in data["legs"])
        assert data["ask"]["price"] == min(leg["asks"][0][0] for leg in data["legs"])
        grouped = sink.frames["across@10:BTC/USDT"]["data"]
        step = 10 * 10 ** grouped["price_decimals"]
        assert all(price % step == 0 for leg in grouped["legs"] for price, _ in leg["bids"] + leg["asks"])
        engine.lease("relay", [], 30)
        await until(lambda: not any(venue.feeds for venue in engine.venues.values()))
        assert not engine.together._sources


def plainly(side: BookSide, size: D) -> D:
    total, left = D(0), size
    for price, there in side.top(1000):
        part = min(left, D(repr(there)))
        total += part * D(repr(price))
        left -= part
    assert not left
    return total


async def test_the_matrix_equals_the_books_walked_with_decimals(tmp_path):
    async with world(tmp_path) as (_, engine, sink):
        engine.lease("relay", [MATRIX, "matrix@0.3,maker:BTC/USDT"], 30)
        await until(lambda: all_usable(sink, MATRIX) and all_usable(sink, "matrix@0.3,maker:BTC/USDT"))
        for topic in (MATRIX, "matrix@0.3,maker:BTC/USDT"):
            for _ in range(20):
                await asyncio.sleep(0.02)
                data = json.loads(engine.newest(topic))["data"]
                for pair in data["pairs"]:
                    buy, sell = data["legs"][pair["buy"]]["exchange"], data["legs"][pair["sell"]]["exchange"]
                    cost = plainly(engine.venues[buy].feeds["BTC/USDT"].sync.book.asks, D("0.3"))
                    proceeds = plainly(engine.venues[sell].feeds["BTC/USDT"].sync.book.bids, D("0.3"))
                    fees = [default_fee(name, "spot").bps(data["fees"]) / 10_000 for name in (buy, sell)]
                    assert D(pair["gross"]) == proceeds - cost
                    assert D(pair["net"]) == proceeds - cost - cost * fees[0] - proceeds * fees[1]


async def test_an_exchange_that_is_cut_or_mute_leaves_within_the_stale_time(tmp_path):
    async with world(tmp_path) as (server, engine, sink):
        engine.lease("relay", [ACROSS, MATRIX], 30)
        await until(lambda: all_usable(sink, ACROSS) and all_usable(sink, MATRIX))

        server.faults.add(Fault(exchange="kraken", kind="refuse"))
        began_s = time.monotonic()
        for socket in server.exchanges["kraken"].open_sockets():
            socket.abort()
        await until(lambda: not legs(sink, ACROSS)["kraken BTC/USDT"]["usable"])
        assert time.monotonic() - began_s < STALE_S
        gone = legs(sink, ACROSS)["kraken BTC/USDT"]
        assert (gone["bids"], gone["asks"]) == ([], [])
        assert gone["reason"]
        assert sink.frames[ACROSS]["data"]["bid"]["legs"] == [0]
        await until(lambda: all(pair["net"] is None for pair in sink.frames[MATRIX]["data"]["pairs"]))
        assert all("kraken BTC/USDT is" in pair["reason"] for pair in sink.frames[MATRIX]["data"]["pairs"])
        server.faults.clear()
        await until(lambda: all_usable(sink, ACROSS) and all_usable(sink, MATRIX))
        await until(lambda: all(pair["net"] for pair in sink.frames[MATRIX]["data"]["pairs"]))

        server.faults.add(Fault(exchange="kraken", kind="mute"))
        began_s = time.monotonic()
        await until(lambda: not legs(sink, ACROSS)["kraken BTC/USDT"]["usable"])
        assert time.monotonic() - began_s < STALE_S + 1.0
        assert legs(sink, ACROSS)["binance BTC/USDT"]["usable"]


async def test_sent_at_most_ten_times_a_second(tmp_path):
    async with world(tmp_path) as (_, engine, sink):
        engine.lease("relay", [ACROSS, MATRIX], 30)
        await until(lambda: all_usable(sink, ACROSS))
        before = sink.count.copy()
        began_s = time.monotonic()
        await until(lambda: all(sink.count[topic] - before[topic] >= 10 for topic in (ACROSS, MATRIX)))
        most = 10 * (time.monotonic() - began_s) + 2
        assert all(sink.count[topic] - before[topic] <= most for topic in (ACROSS, MATRIX))


async def test_quotes_are_apart_unless_they_are_tied(tmp_path):
    tied = AcrossConfig(ties=Ties(groups=(("USD", "USDT"),), par=True))
    async with world(tmp_path, across=tied) as (_, engine, sink):
        engine.lease("relay", [ACROSS], 30)
        await until(lambda: all_usable(sink, ACROSS, 3))
        found = legs(sink, ACROSS)
        assert list(found) == ["binance BTC/USDT", "kraken BTC/USDT", "kraken BTC/USD"]
        assert found["kraken BTC/USD"]["rate"]["bid"] == "1"
        assert found["kraken BTC/USDT"]["rate"] is None
        engine.lease("relay", ["across:BTC/USDT:USDT"], 30)
        await until(lambda: legs(sink, "across:BTC/USDT:USDT"))
        assert list(legs(sink, "across:BTC/USDT:USDT")) == ["binance BTC/USDT:USDT"], "a perpetual is another thing"
    without_rate = AcrossConfig(ties=Ties(groups=(("USD", "USDT"),)))
    async with world(tmp_path, across=without_rate) as (_, engine, sink):
        engine.lease("relay", [ACROSS], 30)
        await until(lambda: legs(sink, ACROSS).get("kraken BTC/USD", {}).get("state") == "LIVE")
        leg = legs(sink, ACROSS)["kraken BTC/USD"]
        assert (leg["usable"], leg["bids"]) == (False, [])
        assert leg["reason"] == "No exchange here has a market of USD and USDT, and par is not set."


async def test_what_does_not_exist_is_refused_with_a_sentence(tmp_path):
    async with world(tmp_path) as (_, engine, sink):
        wrong = ["across:NO/SUCH", "matrix@1:NO/SUCH", "across@0.001:BTC/USDT", "matrix:BTC/USDT", "arbitrage"]
        engine.lease("relay", [*wrong, "leg:binance:BTC/USDT", "matrix@1,free:BTC/USDT"], 30)
        refused = {topic: reason for _, topic, reason in sink.refusals}
        assert set(refused) == {*wrong, "leg:binance:BTC/USDT", "matrix@1,free:BTC/USDT"}
        assert all(reason.endswith(".") for reason in refused.values())
        assert "leg:binance:BTC/USDT" not in engine._open


async def test_events_are_stored_and_shown_and_end_with_the_leg_or_the_worker(tmp_path):
    """Every pair is 'above' a threshold far below zero: fees make a real one impossible here."""
    always = AcrossConfig(watch=(MATRIX,), threshold=Threshold(bps=D(-1000), duration_s=0.2))
    store = Store()
    async with world(tmp_path, store, across=always) as (server, engine, sink):
        engine.lease("relay", ["arbitrage"], 30)
        await until(lambda: len(store.events) == 2)  # both directions, although nobody watches the matrix
        await until(lambda: len(sink.frames.get("arbitrage", {}).get("data", {}).get("events", [])) == 2)
        assert all(row["open"] for row in sink.frames["arbitrage"]["data"]["events"])
        assert sink.frames["arbitrage"]["data"]["threshold_bps"] == "-1000"
        server.faults.add(Fault(exchange="kraken", kind="refuse"))
        for socket in server.exchanges["kraken"].open_sockets():
            socket.abort()
        await until(lambda: all(event.ended_ns for event in store.events.values()))
        assert all(event.reason.startswith("A leg went stale: kraken BTC/USDT is") for event in store.events.values())
        server.faults.clear()
        await until(lambda: len(store.events) == 4)
    assert {event.reason for event in list(store.events.values())[2:]} == {"The worker stopped."}
