"""The real engine against the simulated Kraken Futures: there is no recording of it.

First every fault, with every usable frame held against the true book (``bench/simulated.py``). How long a market may be
out of use is what the design gives: a rebuilt book takes two messages each way, a new connection the first step of the
backoff (1 to 2 s); a mute stream is found after ``stale_s``, and its book, where the snapshot was swallowed too, is
asked for again after ``SNAPSHOT_S`` (shortened here).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from unittest.mock import patch

import pytest

from bench.simulated import KRAKEN_FUTURES, Seen, line, run_troubles, troubles
from feeds.config import Config, ExchangeConfig
from feeds.engine import Engine
from feeds.rest import WAIT_429_S
from feeds.simulator import Settings, SimulatorServer, endpoints
from feeds.simulator.faults import Fault
from tests.feeds.test_engine import Sink, running, until
from tests.feeds.test_simulator_krakenfutures import EXPIRY, FEW
from tests.shared import in_time

BTC = "BTC/USD:USD"
STALE_S, RECONNECT_S, SNAPSHOT_S = 2.0, 4.0, 1.0
CONNECTED_S = 2.0 + 1.5
ALLOWED_S = {
    "none": 0.0,
    "drop_depth": 1.0,
    "crossed": 1.0,
    "garbage": 0.0,
    "mute": 4.0 + SNAPSHOT_S + CONNECTED_S,
    "mute one": 4.0 + SNAPSHOT_S + CONNECTED_S,
    "delay": 0.0,
    "no_ack": RECONNECT_S + CONNECTED_S + 4.0 + 1.5,  # the second step of the backoff
    "cut": CONNECTED_S,
    "close": CONNECTED_S,
    "refuse": 2.0 + 2 * CONNECTED_S,
    "status 503": 0.0,
    "status 429": 0.0,
    "shutdown": 0.0,
}
"""The longest that a market may be out of use, once it was in use. (A rejected one stays out.)"""

_seen: dict[str, Seen] = {}


def seen(trouble: str) -> Seen:
    """All of them are run in one go, some at once, when the first of them is asked for."""
    if not _seen:
        with patch("feeds.markets.keeper.SNAPSHOT_S", SNAPSHOT_S):
            runs = run_troubles(KRAKEN_FUTURES, troubles(BTC), at_once=8, stale_s=STALE_S, reconnect_s=RECONNECT_S)
            _seen.update(asyncio.run(runs))
        for each in _seen.values():
            print(line("Kraken Futures", each))
    return _seen[trouble]


@pytest.mark.slow
@pytest.mark.parametrize("trouble", troubles(BTC))
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
    assert found.first_live_s < in_time(
        WAIT_429_S + 3 if trouble == "status 429" else 8 if trouble.startswith("status") else 3
    )
    assert all(changes[-1][1].usable for changes in found.states.values()), found.states
    assert found.worst_s <= in_time(ALLOWED_S[trouble]), found.states


@pytest.mark.slow
def test_a_rejected_market_says_so_and_the_others_go_on() -> None:
    """The simulator's error names nobody: which one is to blame is found by asking in halves."""
    found = seen("reject").outcome
    states = {symbol: changes[-1][1] for symbol, changes in found.states.items()}
    assert states == {BTC: "DOWN", "ETH/USD:USD": "LIVE", "DOT/USD:USD": "LIVE"}
    assert found.reasons[BTC] == "The exchange refuses this market: Invalid product id"


@pytest.mark.slow
def test_the_faults_really_struck() -> None:
    assert all(seen(name).outcome.resyncs for name in ("drop_depth", "crossed"))
    assert not any(seen(name).outcome.resyncs for name in ("none", "garbage", "cut", "delay"))
    assert seen("garbage").outcome.not_understood == 1
    assert all(seen(name).outcome.reconnects for name in ("mute", "mute one", "no_ack", "cut", "close", "refuse"))
    assert all(seen(name).outcome.rest_failures for name in ("status 503", "status 429"))
    assert seen("delay").oldest_s > 0.5
    assert seen("shutdown").statuses[BTC] == {"trading", "suspended"}
    assert seen("none").statuses[BTC] == {"trading"}


# -- the engine at work


@asynccontextmanager
async def engine_at_work(tmp_path: Path) -> AsyncIterator[tuple[Engine, Sink, SimulatorServer]]:
    server = await SimulatorServer(Settings(seed=3, instruments=FEW, trader=False)).start(0)
    place = ExchangeConfig(
        name="krakenfutures",
        simulated=True,
        products=("futures",),
        endpoints=endpoints("127.0.0.1", server.port)["krakenfutures"],
        pinned=(BTC,),
        stale_s=1.5,
    )
    try:
        async with running(Config(path=None, exchanges={"krakenfutures": place}, state_dir=tmp_path)) as (engine, sink):
            yield engine, sink, server
    finally:
        await server.stop()


async def test_quotes_trades_and_dated_contracts(tmp_path: Path) -> None:
    async with engine_at_work(tmp_path) as (engine, sink, server):
        dated = f"{BTC}-{EXPIRY}"
        engine.lease("relay", [f"quote:krakenfutures:{BTC}", f"quote:krakenfutures:{dated}"], 30)
        quote = f"quote:krakenfutures:{BTC}"
        await until(lambda: sink.state(quote) == "LIVE" and sink.frames[quote]["data"]["mark"])
        data = sink.frames[quote]["data"]
        market = server.market.markets["krakenfutures", "futures", "PF_XBTUSD"]
        assert float(data["mark"]) == pytest.approx(float(Decimal(market.mark_texts()[0])), rel=1e-3)
        assert float(data["funding_rate"]) == pytest.approx(market.funding_rate / 8, rel=0.01)
        assert data["next_funding_ms"] % 3_600_000 == 0
        assert float(data["bid"]) < float(data["ask"])
        dated_quote = f"quote:krakenfutures:{dated}"
        await until(lambda: sink.state(dated_quote) == "LIVE" and sink.frames[dated_quote]["data"]["mark"])
        assert sink.frames[dated_quote]["data"]["funding_rate"] is None
        trades = f"trades:krakenfutures:{BTC}"
        await until(lambda: sink.frames.get(trades, {}).get("data", {}).get("trades"))
        newest = sink.frames[trades]["data"]["trades"][0]
        assert newest["id"] in {f"00000000-0000-0000-0000-{row.id:012x}" for row in market.recent}


async def test_every_bar_is_the_exchange_s_own(tmp_path: Path) -> None:
    """Minutes are made of prints, the long ones of minutes and REST; the exchange's own count says whether they are
    right. The simulated clock goes on to the next minute at once."""
    async with engine_at_work(tmp_path) as (engine, sink, server):
        market = server.market.markets["krakenfutures", "futures", "PF_XBTUSD"]
        i = market.instrument
        intervals = {"1m": 60_000, "5m": 300_000, "4h": 14_400_000, "1d": 86_400_000}
        topics = {interval: f"candles@{interval}:krakenfutures:{BTC}" for interval in intervals}
        engine.lease("relay", list(topics.values()), 120)
        feed = engine.venues["krakenfutures"].feeds[BTC]
        beat = server.beat
        await until(lambda: feed.trades)
        ahead = [0]
        server.beat = lambda now_ms: beat(now_ms + ahead[0])
        ahead[0] = 61_000 - feed.trades[-1].exchange_ms % 60_000
        await until(lambda: all(topic in sink.frames for topic in topics.values()), 30)

        def same() -> bool:
            for interval, length_ms in intervals.items():
                theirs = market.candles.series(length_ms)[-1]
                ours = feed.candles[interval][-1]
                values = (theirs.open, theirs.high, theirs.low, theirs.close)
                if (ours.open_ms, ours.base_volume) != (theirs.open_ms, theirs.volume * i.lot):
                    return False
                if (ours.open, ours.high, ours.low, ours.close) != tuple(value * i.tick for value in values):
                    return False
            return True

        server.beat = lambda now_ms: None
        await until(same)


async def test_a_quiet_market_is_told_from_a_mute_one(tmp_path: Path) -> None:
    """Time stands still: REST confirms the book. Then it goes on, but the stream of this market alone is dead."""
    async with engine_at_work(tmp_path) as (engine, sink, server):
        topic = f"book:krakenfutures:{BTC}"
        await until(lambda: sink.state(topic) == "LIVE")
        beat = server.beat
        simulated = server.exchanges["krakenfutures"]
        server.beat = lambda now_ms: simulated.tick(now_ms)
        await until(lambda: sink.state(topic) == "QUIET", 15)
        reconnects = engine.venues["krakenfutures"].lanes[0].connection.reconnects
        server.faults.add(Fault(exchange="krakenfutures", kind="mute", symbol=BTC))
        server.beat = beat
        await until(lambda: sink.state(topic) not in ("LIVE", "QUIET"), 20)
        await until(lambda: engine.venues["krakenfutures"].lanes[0].connection.reconnects > reconnects)
