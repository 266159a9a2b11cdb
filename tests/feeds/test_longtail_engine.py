"""The real engine and the installed ccxt against simulated exchanges that misbehave: no usable frame may be wrong.

After a break a market is out of use for the backoff's first step and the proof by REST. A mute stream is found after
``stale_s``; where its snapshot was swallowed, too, the book is asked for again after ``FIRST_BOOK_S``, or refuted by
REST three times, ``AGAIN_S`` apart. These times are shortened here. What the conformance kit does to Kraken by ccxt
(``tests/conformance``) is not done once more.
"""

import asyncio
import tempfile
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from unittest.mock import patch

import ccxt.pro
import msgspec
import pytest

from bench.ccxt_clients import Binance
from bench.longtail import (
    SCENES,
    Judge,
    Seen,
    Truth,
    configured,
    line,
    run_trouble,
    simulated,
    tasks_left,
    troubles,
)
from feeds.engine import Engine
from feeds.simulator.faults import Fault
from tests.feeds.test_engine import until

SHORTER = {
    "feeds.pacing.FIRST_S": 0.25,
    "feeds.longtail.watched.FIRST_BOOK_S": 2.0,
    "feeds.longtail.checks.AGAIN_S": 1.0,
}
RUNS = [
    *(("kraken", name) for name in ("cut", "garbage", "reject", "refuse", "status 503")),
    *(("bybit", name) for name in ("none", "mute one", "crossed")),
    *(("coinbase", name) for name in ("none", "mute", "garbage")),
    *(("binance", name) for name in ("none", "cut", "drop_depth")),
]
STALE_S = 2.0
AT_ONCE = 14
LATE_S = 1.5  # of a machine that does seventeen such things at once
_seen: dict[tuple[str, str], Seen] = {}
_tasks_left: list[str] = []


async def _all() -> None:
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(exchange: str, name: str) -> None:
        async with limit:
            scene = SCENES[exchange]
            trouble = troubles(scene.struck or scene.symbols[0])[name]
            with tempfile.TemporaryDirectory() as folder:
                _seen[exchange, name] = await run_trouble(scene, trouble, Path(folder), stale_s=STALE_S)

    longest_first = sorted(RUNS, key=lambda run: -troubles("")[run[1]].seconds)
    await asyncio.gather(*(one(*run) for run in longest_first))
    _tasks_left.extend(tasks_left())


def seen(exchange: str, fault: str) -> Seen:
    """All of them are run in one go when the first of them is asked for."""
    if not _seen:
        with ExitStack() as patched:
            patched.enter_context(patch.object(ccxt.pro, "binance", Binance))
            for name, seconds in SHORTER.items():
                patched.enter_context(patch(name, seconds))
            asyncio.run(_all())
        for run in RUNS:
            print(line(*run, _seen[run]))
    return _seen[exchange, fault]


every_run = pytest.mark.parametrize(("exchange", "name"), RUNS)


@every_run
def test_nothing_wrong_is_shown_as_good(exchange, name) -> None:
    judge = seen(exchange, name).judge
    assert judge.frames > 5
    assert not judge.wrong
    assert judge.oldest_s < STALE_S + LATE_S, "nothing but the silence tells that a stream is mute"


@every_run
def test_it_recovers_and_leaves_nothing(exchange, name) -> None:
    run = seen(exchange, name)
    assert run.recovered
    assert run.left == 0
    assert _tasks_left == [], "of all runs"


@pytest.mark.parametrize(
    ("exchange", "name", "states"),
    [
        ("kraken", "cut", {"CONNECTING", "SYNCING"}),
        ("kraken", "refuse", {"CONNECTING", "DOWN"}),
        ("coinbase", "mute", {"STALE"}),
        ("bybit", "mute one", {"STALE"}),
        ("kraken", "garbage", {"STALE"}),
        ("bybit", "crossed", {"RESYNC"}),
        ("binance", "drop_depth", {"RESYNC"}),
    ],
)
def test_what_happened_is_said(exchange, name, states) -> None:
    run = seen(exchange, name)
    assert states <= run.told
    assert all(reason.endswith(".") for reason in run.reasons)


@pytest.mark.parametrize("exchange", ["bybit", "coinbase", "binance"])
def test_without_a_fault_nothing_is_out_of_use(exchange) -> None:
    run = seen(exchange, "none")
    assert run.out_s == 0
    assert run.lanes == 1


def test_one_mute_market_does_not_take_the_other_down() -> None:
    rows = seen("bybit", "mute one").judge.states["BTC/USDT:USDT"]
    began = next(number for number, row in enumerate(rows) if row[1].usable)
    assert all(row[1].usable for row in rows[began:])


# -- one by one --------------------------------------------------------------------------------------------------------


async def test_figures_of_every_topic(tmp_path) -> None:
    """Prints, 24 h figures and candles are the simulated exchange's; its rows say by what they came."""
    scene, exchange = SCENES["kraken"], "kraken"
    server = await simulated(scene).start(0)
    truth, symbol = Truth(server, scene), "BTC/USD"
    judge = Judge(truth, scene.symbols)
    engine = Engine(configured(scene, server.port, tmp_path), judge)
    try:
        await engine.start(markets_timeout_s=20)
        topics = [f"{kind}:{exchange}:{symbol}" for kind in ("book", "quote", "trades", "candles@1m", "candles@5m")]
        engine.lease("relay", [*topics, "streams"], 30)
        await until(lambda: set(topics[1:]) | {"streams"} <= judge.other.keys() and judge.state(symbol) == "LIVE")
        await until(lambda: judge.other[topics[2]]["data"]["trades"])
        market = server.market.markets["kraken", "spot", "BTC/USD"]
        i = market.instrument
        prints = {str(each.id): each for each in market.recent}
        rows = [row for row in judge.other[topics[2]]["data"]["trades"] if row["id"] in prints]
        assert rows
        for row in rows:
            own = prints[row["id"]]
            assert (Decimal(row["price"]), Decimal(row["size"])) == (own.price * i.tick, own.size * i.lot)
            assert (row["side"], row["exchange_ms"]) == ("buy" if own.taker_buys else "sell", own.ms)
        quote = judge.other[topics[1]]["data"]
        assert Decimal(quote["low"]) <= Decimal(quote["bid"]) < Decimal(quote["ask"]) <= Decimal(quote["high"]) * 2
        bars = await engine.candles(exchange, symbol, "1m", 100)
        assert len(bars) == 100
        own_bars = {bar.open_ms: bar for bar in market.candles.minutes}
        for bar in bars[:-2]:
            own_bar = own_bars[bar["open_ms"]]
            assert bar["closed"]
            assert [Decimal(bar[key]) for key in ("open", "high", "low", "close")] == [
                value * i.tick for value in (own_bar.open, own_bar.high, own_bar.low, own_bar.close)
            ]
        assert {row["via"] for row in engine.markets()} == {"ccxt"}
        streams = judge.other["streams"]["data"]
        assert streams["exchanges"][0]["via"] == streams["markets"][0]["via"] == "ccxt"
        assert streams["connections"][0]["state"] == "LIVE"
        assert engine.health()["streams"][0]["via"] == "ccxt"
        assert engine.metrics()["connections"][0]["route"] == "ccxt"
        row = engine.markets()[0]
        assert (Decimal(row["tick"]), Decimal(row["lot"])) == (i.tick, i.lot)
    finally:
        await engine.stop()
        await server.stop()


async def test_while_the_stream_is_refused_the_book_comes_by_rest(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("feeds.pacing.FIRST_S", SHORTER["feeds.pacing.FIRST_S"])
    scene, symbol = SCENES["kraken"], "BTC/USD"
    server = await simulated(scene).start(0)
    judge = Judge(Truth(server, scene), scene.symbols)
    changes = {"poll_s": 0.5, "poll_attempts": 2}
    engine = Engine(configured(scene, server.port, tmp_path, **changes), judge)
    try:
        server.faults.add(Fault(exchange="kraken", kind="refuse"))
        await engine.start(markets_timeout_s=20)
        engine.lease("relay", [f"book:kraken:{symbol}"], 60)
        await until(lambda: judge.state(symbol) == "POLLED")
        assert judge.shown[symbol][1][0]
        server.faults.clear()
        await until(lambda: judge.state(symbol) == "LIVE", 20)
    finally:
        await engine.stop()
        await server.stop()


async def test_a_market_that_is_closed_leaves_no_socket(tmp_path) -> None:
    scene, symbol = SCENES["kraken"], "BTC/USD"
    server = await simulated(scene).start(0)
    judge = Judge(Truth(server, scene), scene.symbols)
    configuration = configured(scene, server.port, tmp_path)
    engine = Engine(msgspec.structs.replace(configuration, linger_s=0.0), judge)
    venue = engine.venues["kraken"]
    try:
        await engine.start(markets_timeout_s=20)
        engine.lease("relay", [f"book:kraken:{symbol}"], 30)
        await until(lambda: judge.state(symbol) == "LIVE")
        assert len(venue.lanes) == 1
        engine.lease("relay", [], 30)
        await until(lambda: not venue.feeds and not venue.lanes)
        await until(lambda: not server.exchanges["kraken"].open_sockets())
    finally:
        await engine.stop()
        await server.stop()
