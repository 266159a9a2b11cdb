"""The real engine against the simulated Alpaca: there is no recording of it.

First every fault, with every usable frame held against the true book (``bench/simulated.py``). Books have neither
numbers nor checksums, so a change that is lost on the way is seen by nothing but a crossed book, a silence that REST
contradicts, the next whole book, or the comparison with REST once a minute: TCP loses none, and what our own buffer
loses rebuilds the books. So the fault "drop_depth", which no real connection can have, is told apart here and held to
what can be seen.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from msgspec import structs
from structlog.testing import capture_logs

from bench.simulated import ALPACA, Seen, line, run_troubles, troubles
from feeds.account import Credentials
from feeds.config import Config, ExchangeConfig
from feeds.engine import Engine
from feeds.errors import ConfigError
from feeds.exchanges.alpaca import Alpaca
from feeds.simulator import DATA_KEY, DATA_SECRET, Settings, SimulatorServer, endpoints
from feeds.simulator.faults import Fault
from tests.feeds.test_engine import Sink, running, until
from tests.feeds.test_simulator_alpaca import FEW
from tests.shared import in_time

BTC, STOCK = "BTC/USD", "LTC.US/USD"
STALE_S, RECONNECT_S, SNAPSHOT_S = 2.0, 4.0, 1.0
CONNECTED_S = 2.0 + 1.5
TROUBLES = {name: trouble for name, trouble in troubles(BTC).items() if name != "drop_depth"}
ALLOWED_S = {
    "none": 0.0,
    "crossed": 1.0,
    "garbage": 1.0,
    "mute": 4.0 + SNAPSHOT_S + CONNECTED_S,
    "mute one": 4.0 + SNAPSHOT_S + CONNECTED_S,
    "delay": 0.0,
    "no_ack": 10.0 + CONNECTED_S + 1.5,
    "cut": CONNECTED_S,
    "close": CONNECTED_S,
    "refuse": 2.0 + 2 * CONNECTED_S,
    "status 503": 0.0,
    "status 429": 0.0,
    "shutdown": CONNECTED_S,
}
"""The longest that a market may be out of use, once it was in use. (A rejected one stays out.)"""

_seen: dict[str, Seen] = {}


def seen(trouble: str) -> Seen:
    """All of them are run in one go, some at once, when the first of them is asked for."""
    if not _seen:
        with patch("feeds.markets.keeper.SNAPSHOT_S", SNAPSHOT_S):
            runs = run_troubles(ALPACA, TROUBLES, at_once=8, stale_s=STALE_S, reconnect_s=RECONNECT_S)
            _seen.update(asyncio.run(runs))
        for each in _seen.values():
            print(line("Alpaca", each))
    return _seen[trouble]


@pytest.mark.slow
@pytest.mark.parametrize("trouble", TROUBLES)
def test_never_wrong(trouble: str) -> None:
    found = seen(trouble)
    assert found.outcome.wrong == []
    assert found.differences == [], "the simulator does not publish its own book"
    assert found.outcome.frames > 10
    assert found.oldest_s < in_time(STALE_S + 1.0), "an old book was shown as good"


@pytest.mark.slow
@pytest.mark.parametrize("trouble", ALLOWED_S)
def test_soon_live_again(trouble: str) -> None:
    found = seen(trouble).outcome
    assert found.first_live_s < in_time(8 if trouble.startswith("status") else 3)
    assert all(changes[-1][1].usable for changes in found.states.values()), found.states
    assert found.worst_s <= in_time(ALLOWED_S[trouble]), found.states


@pytest.mark.slow
def test_a_rejected_market_says_so_and_the_others_go_on() -> None:
    """The error names nobody: which one is to blame is found by asking in halves."""
    found = seen("reject").outcome
    states = {symbol: changes[-1][1] for symbol, changes in found.states.items()}
    assert states == {BTC: "DOWN", "ETH/USD": "LIVE", "DOT/USD": "LIVE"}
    assert found.reasons[BTC] == "The exchange refuses this market: insufficient subscription (409)"


@pytest.mark.slow
def test_the_faults_really_struck() -> None:
    assert all(seen(name).outcome.resyncs for name in ("crossed", "garbage"))
    assert not any(seen(name).outcome.resyncs for name in ("none", "cut", "delay"))
    assert seen("garbage").outcome.not_understood == 1
    for name in ("mute", "mute one", "cut", "close", "refuse", "shutdown"):
        assert seen(name).outcome.reconnects, name
    assert all(seen(name).outcome.rest_failures for name in ("status 503", "status 429"))
    assert seen("delay").oldest_s > 0.5


# -- the engine at work


@asynccontextmanager
async def simulated() -> AsyncIterator[SimulatorServer]:
    server = await SimulatorServer(Settings(seed=3, instruments=FEW, trader=False)).start(0)
    try:
        yield server
    finally:
        await server.stop()


def config(server: SimulatorServer, folder: Path, **changes: Any) -> Config:
    place = ExchangeConfig(
        name="alpaca",
        simulated=True,
        products=("crypto", "stocks"),
        endpoints=endpoints("127.0.0.1", server.port)["alpaca"],
        pinned=(BTC,),
        stale_s=1.5,
        credentials=Credentials(DATA_KEY, DATA_SECRET),
    )
    return Config(path=None, exchanges={"alpaca": structs.replace(place, **changes)}, state_dir=folder)


async def test_a_stock_has_best_prices_trades_and_no_book(tmp_path: Path) -> None:
    async with simulated() as server, running(config(server, tmp_path)) as (engine, sink):
        kinds = ("quote", "trades", "book")
        engine.lease("relay", [f"{kind}:alpaca:{STOCK}" for kind in kinds], 60)
        quote, trades = f"quote:alpaca:{STOCK}", f"trades:alpaca:{STOCK}"
        await until(lambda: sink.refusals)
        assert sink.refusals == [
            ("relay", f"book:alpaca:{STOCK}", f"alpaca gives no order book of {STOCK}, only its best prices.")
        ]
        await until(lambda: sink.state(quote) == "LIVE" and sink.frames[quote]["data"]["last"])
        await until(lambda: sink.frames.get(trades, {}).get("data", {}).get("trades"))
        market = server.market.markets["alpaca", "stocks", "LTC"]
        newest = sink.frames[trades]["data"]["trades"][0]
        assert newest["side"] is None
        assert newest["id"].partition("-")[0].removeprefix("V") in {str(row.id) for row in market.recent}
        server.beat = lambda now_ms: None  # time stands still

        def same() -> bool:
            data, text = sink.frames[quote]["data"], market.price_text
            return (data["bid"], data["ask"]) == (text(market.top.bid), text(market.top.ask))

        await until(same)
        data = sink.frames[quote]["data"]
        assert (data["bid_size"], data["ask_size"]) == (None, None), "round lots are not shares"
        await until(lambda: sink.state(quote) == "QUIET")  # the exchange closes: REST confirms the last quote
        reconnects = [lane.connection.reconnects for lane in engine.venues["alpaca"].lanes]
        await asyncio.sleep(2.0)
        assert sink.state(quote) == "QUIET"
        assert [lane.connection.reconnects for lane in engine.venues["alpaca"].lanes] == reconnects


async def test_a_silence_that_rest_contradicts_is_a_mute_stream(tmp_path: Path) -> None:
    async with simulated() as server, running(config(server, tmp_path)) as (engine, sink):
        quote = f"quote:alpaca:{STOCK}"
        engine.lease("relay", [quote], 60)
        await until(lambda: sink.state(quote) == "LIVE")
        server.faults.add(Fault(exchange="alpaca", kind="mute", symbol=STOCK))
        await until(lambda: sink.state(quote) not in ("LIVE", "QUIET"))
        lane = engine.venues["alpaca"].book_lane(STOCK)
        assert lane is not None
        await until(lambda: lane.connection.reconnects)
        server.faults.clear()
        await until(lambda: sink.state(quote) == "LIVE")
        assert sink.state(f"book:alpaca:{BTC}") == "LIVE", "crypto has a connection of its own"


async def test_a_market_whose_book_never_comes_does_not_cost_the_others_theirs(tmp_path: Path) -> None:
    async with simulated() as server, running(config(server, tmp_path)) as (engine, sink):
        with patch("feeds.markets.keeper.SNAPSHOT_S", 0.1):
            await until(lambda: sink.state(f"book:alpaca:{BTC}") == "LIVE")
            server.faults.add(Fault(exchange="alpaca", kind="mute", symbol="ETH/USD"))
            engine.lease("relay", ["book:alpaca:ETH/USD"], 60)
            connection = engine.venues["alpaca"].lanes[0].connection
            await until(lambda: connection.reconnects >= 4)  # three, and the first pause that is longer
            began, at_s = connection.reconnects, asyncio.get_running_loop().time()
            await until(lambda: connection.reconnects >= began + 3)
            assert asyncio.get_running_loop().time() - at_s > 0.2 + 0.4 + 0.8
            assert sink.state("book:alpaca:ETH/USD") != "LIVE"
            server.faults.clear()
            await until(lambda: sink.state("book:alpaca:ETH/USD") == sink.state(f"book:alpaca:{BTC}") == "LIVE")


async def test_a_wrong_book_of_a_busy_market_is_found_by_comparison(tmp_path: Path) -> None:
    """Changes are lost while others go on: nothing is silent, nothing crossed. Compared every second here."""
    quick = structs.replace(Alpaca.facts, fresh_book_s=1.0)
    with patch.object(Alpaca, "facts", quick), patch("feeds.markets.compared_books.SETTLE_S", 0.3):
        async with simulated() as server, running(config(server, tmp_path)) as (engine, sink):
            await until(lambda: sink.state(f"book:alpaca:{BTC}") == "LIVE")
            feed = engine.venues["alpaca"].feeds[BTC]
            compared = engine.venues["alpaca"].fresh_books.by_rest
            assert compared is not None
            await until(lambda: compared.done >= 3, 20)
            assert (feed.differences, feed.sync.resyncs) == (0, 0), "a right book is left alone"
            with capture_logs() as logs:
                server.faults.add(Fault(exchange="alpaca", kind="drop_depth", symbol=BTC, count=12))
                await until(lambda: feed.differences, 30)
            server.faults.clear()
            assert [row["levels"] for row in logs if row["event"] == "book differed from the exchange's own"]
            assert feed.sync.resyncs
            while True:  # a change may still have been lost while it was built anew
                found, done = feed.differences, compared.done
                await until(lambda found=found, done=done: feed.differences > found or compared.done >= done + 2, 30)
                if feed.differences == found:
                    break
            assert sink.state(f"book:alpaca:{BTC}") == "LIVE"


async def test_every_bar_is_the_exchange_s_own(tmp_path: Path) -> None:
    """Minutes by stream when they are over, long bars of minutes and REST; the exchange's own count says whether they
    are right. The simulated clock goes on to the next minute at once."""
    async with simulated() as server, running(config(server, tmp_path)) as (engine, sink):
        market = server.market.markets["alpaca", "crypto", BTC]
        i = market.instrument
        intervals = {"1m": 60_000, "5m": 300_000, "4h": 14_400_000, "1d": 86_400_000}
        topics = {interval: f"candles@{interval}:alpaca:{BTC}" for interval in intervals}
        engine.lease("relay", list(topics.values()), 120)
        feed = engine.venues["alpaca"].feeds[BTC]
        beat = server.beat
        await until(lambda: feed.trades)
        ahead = [0]
        server.beat = lambda now_ms: beat(now_ms + ahead[0])
        server.exchanges["alpaca"].server.clock_ms = lambda: server.market.now_ms
        begun_ms = server.market.now_ms
        ahead[0] = 60_500 - begun_ms % 60_000
        await until(lambda: all(topic in sink.frames for topic in topics.values()), 30)
        server.beat = lambda now_ms: None
        minute_ms = begun_ms // 60_000 * 60_000
        for interval, length_ms in intervals.items():
            ours = feed.candles[interval][-1]
            open_ms = minute_ms // length_ms * length_ms
            parts = [bar for bar in market.candles.series(60_000) if open_ms <= bar.open_ms <= minute_ms]
            assert ours.open_ms == open_ms
            assert ours.base_volume == sum(b.volume for b in parts) * i.lot
            assert (ours.open, ours.close) == (parts[0].open * i.tick, parts[-1].close * i.tick)
            assert (ours.high, ours.low) == (max(b.high for b in parts) * i.tick, min(b.low for b in parts) * i.tick)


async def test_histories_come_in_pages(tmp_path: Path) -> None:
    async with simulated() as server, running(config(server, tmp_path)) as (engine, _):
        market = server.market.markets["alpaca", "crypto", BTC]
        with patch("feeds.exchanges.alpaca._MOST_ROWS", 7):
            venue = engine.venues["alpaca"]
            bars = await venue.fetch_candles(BTC, "1m", 30)
        asked = [bar.open_ms for bar in bars]
        assert len(asked) >= 30 and asked == list(range(asked[0], asked[-1] + 1, 60_000))
        theirs = {bar.open_ms: bar for bar in market.candles.minutes}
        for bar in bars[:-1]:
            assert bar.close == theirs[bar.open_ms].close * market.instrument.tick


class TestKeys:
    async def test_a_wrong_key_ends_the_attempts_and_says_so(self, tmp_path: Path) -> None:
        """Once by stream, once by list of instruments; then nothing more, and no text holds the key."""
        wrong = Credentials("PKWRONGKEY0000000001", "wrong-secret-wrong-secret")
        async with simulated() as server:
            alpaca: Any = server.exchanges["alpaca"]
            with capture_logs() as logs:
                right = config(server, tmp_path)
                sink = Sink()
                engine = Engine(right, sink)
                await engine.start(markets_timeout_s=10)
                try:
                    await until(lambda: sink.state(f"book:alpaca:{BTC}") == "LIVE")
                    alpaca.server.accounts.clear()
                    for socket in alpaca.open_sockets():
                        socket.abort()
                    await until(lambda: sink.state(f"book:alpaca:{BTC}") == "DOWN")
                    reason = engine.venues["alpaca"].feeds[BTC].reason
                    assert reason.startswith("Alpaca refuses the API key for its market data: the key is wrong.")
                    logins = alpaca.server.logins
                    await asyncio.sleep(2.5)  # longer than the first step of the backoff
                    assert alpaca.server.logins == logins, "a refused key is not tried again"
                finally:
                    await engine.stop()
                engine = Engine(config(server, tmp_path, credentials=wrong), sink)
                await engine.start(markets_timeout_s=1)
                try:
                    (row,) = engine.health()["streams"]
                    assert row["state"] == "DOWN"
                    assert row["reason"] == "Alpaca refuses the API key for its market data (HTTP 401)."
                finally:
                    await engine.stop()
            texts = [repr(logs), repr(sink.frames), repr(engine.config)]
            for secret in (wrong.key, wrong.secret, DATA_KEY, DATA_SECRET):
                assert not any(secret in text for text in texts)
            for file in tmp_path.rglob("*"):
                assert not file.is_file() or DATA_SECRET.encode() not in file.read_bytes()

    async def test_without_a_key_there_is_no_start(self, tmp_path: Path) -> None:
        async with simulated() as server:
            with pytest.raises(ConfigError, match="the environment variable SPREADBOARD_ALPACA_KEY is not set"):
                Engine(config(server, tmp_path, credentials=None), Sink())

    async def test_another_connection_of_the_account_is_waited_for(self, tmp_path: Path) -> None:
        """After a crash the old connection may linger: 406 until it has gone."""
        async with simulated() as server, running(config(server, tmp_path)) as (engine, sink):
            book = f"book:alpaca:{BTC}"
            await until(lambda: sink.state(book) == "LIVE")
            alpaca: Any = server.exchanges["alpaca"]
            alpaca.server.linger_s = 2.5
            logins = alpaca.server.logins
            for socket in alpaca.open_sockets():
                socket.abort()
            await until(lambda: "another connection of this account" in engine.venues["alpaca"].feeds[BTC].reason)
            await until(lambda: sink.state(book) == "LIVE", 30)
            assert alpaca.server.logins - logins <= 5


async def test_a_connection_that_may_have_none_beside_it_is_not_replaced_before_it_ends(tmp_path: Path) -> None:
    """Too old, or announced to end: a second one would be refused (406), so the old one has to go first."""
    async with simulated() as server, running(config(server, tmp_path, life_s=1.0, renew_at=0.5)) as (engine, sink):
        book = f"book:alpaca:{BTC}"
        await until(lambda: sink.state(book) == "LIVE")
        venue, alpaca = engine.venues["alpaca"], server.exchanges["alpaca"]
        (lane,) = venue.lanes
        await until(lambda: (lane.connection.age_s or 0) > 2.0)
        assert (alpaca.server.logins, venue.renewals.renewed, venue.lanes) == (1, 0, [lane])
        for connection in alpaca.server.connections:
            connection.socket.send('[{"T":"error","code":407,"msg":"slow client"}]')
            connection.socket.close(1000, "")
        await until(lambda: lane.connection.reconnects == 1 and sink.state(book) == "LIVE")
        assert (alpaca.server.logins, venue.lanes) == (2, [lane])
        assert not lane.on_closing("maintenance"), "an announced end is met by giving the connection up at once"
