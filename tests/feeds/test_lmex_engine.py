"""The real engine against the simulated LMEX: every usable book frame is held against the simulator's true book.

There is no recording of LMEX or BTSE that is a sequence, so the faults are the simulator's, all of ``faults.py`` that
mean something here (not: wrong checksums, of which LMEX has none, and those of accounts). The truth is the engine of
the simulated market, noted at each number that its book's stream publishes.

One fault cannot be seen when it strikes: an update that tells a wrong size and keeps its number. Only the fresh book
that is fetched beside the running one shows it; the frames until then are wrong, and must end with it.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from feeds.config import Config, ExchangeConfig
from feeds.domain import StreamState
from feeds.engine import Engine
from feeds.exchanges.lmex import Lmex
from feeds.markets.market import MarketFeed
from feeds.pacing import ConnectGate
from feeds.simulator import Settings, SimulatorServer, endpoints
from feeds.simulator.faults import ACTIONS, Fault
from feeds.simulator.lmex.frames import BookStream
from feeds.simulator.lmex.listing import LISTING
from feeds.simulator.market import LiveMarket
from tests.feeds.test_engine import until
from tests.shared import in_time

STALE_S, RECONNECT_S, RENEW_S, POLL_S = 0.8, 2.5, 1.0, 0.4
BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
INSTRUMENTS = tuple(each for each in LISTING if each.native in ("BTC-PERP", "ETH-PERP", "BTC-USD"))
LEVELS = 60

Sides = tuple[list[tuple[Decimal, Decimal]], list[tuple[Decimal, Decimal]]]
States = dict[tuple[LiveMarket, int], Sides]


@pytest.fixture
def states(monkeypatch: pytest.MonkeyPatch) -> States:
    """The true book of every simulated market by the number that its stream published."""
    noted: States = {}

    def note(stream: BookStream) -> None:
        i, engine = stream.market.instrument, stream.market.engine
        bids, asks = ([(p * i.tick, s * i.lot) for p, s in side.top(LEVELS)] for side in (engine.bids, engine.asks))
        noted[stream.market, stream.seq] = bids, asks

    advance, snapshot = BookStream.advance, BookStream.snapshot

    def noted_advance(stream: BookStream, *arguments: Any, **named: Any) -> str:
        text = advance(stream, *arguments, **named)
        note(stream)
        return text

    def noted_snapshot(stream: BookStream, now_ms: int) -> str:
        note(stream)
        return snapshot(stream, now_ms)

    monkeypatch.setattr(BookStream, "advance", noted_advance)
    monkeypatch.setattr(BookStream, "snapshot", noted_snapshot)
    return noted


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The adapter's times, shortened; a test may change them."""
    quick = {"fresh_book_s": RENEW_S, "round_s": POLL_S, "ping_s": STALE_S / 2}
    made = Lmex.__init__

    def hurried(adapter: Lmex, *arguments: Any, **options: Any) -> None:
        made(adapter, *arguments, **options)
        adapter.facts = msgspec.structs.replace(adapter.facts, **quick)

    monkeypatch.setattr(Lmex, "__init__", hurried)
    monkeypatch.setattr("feeds.markets.keeper.SNAPSHOT_S", 1.0)
    return quick


class Judge:
    """A sink that holds every usable book frame against the truth."""

    def __init__(self, states: States, markets: dict[str, LiveMarket]) -> None:
        self.states = states
        self.markets = markets
        self.frames: dict[str, dict[str, Any]] = {}
        self.judged = 0
        self.wrong: list[tuple[float, str]] = []
        self.changes: dict[str, list[tuple[float, StreamState]]] = {BTC: [], ETH: []}
        self.refusals: list[tuple[str, str]] = []

    def publish(self, topic: str, frame: str) -> None:
        content = self.frames[topic] = json.loads(frame)
        kind, _, rest = topic.partition(":")
        symbol = rest.partition(":")[2]
        if kind != "book" or symbol not in self.changes:
            return
        state, changes = StreamState(content["state"]), self.changes[symbol]
        if not changes or changes[-1][1] is not state:
            changes.append((time.monotonic(), state))
        if state.usable:
            self.judged += 1
            if difference := self._difference(symbol, content):
                self.wrong.append((time.monotonic(), f"{state} {symbol}: {difference}"))

    def _difference(self, symbol: str, frame: dict[str, Any]) -> str:
        data = frame["data"]
        known = self.states.get((self.markets[symbol], frame["seq"]))
        if known is None:
            return f"the exchange had no state {frame['seq']}"
        price, size = (Decimal(1).scaleb(-data[key]) for key in ("price_decimals", "size_decimals"))
        for name, theirs in zip(("bids", "asks"), known, strict=True):
            ours = [(p * price, s * size) for p, s in data[name]]
            if len(ours) < 10 or ours != theirs[: len(ours)]:
                at = next((n for n, pair in enumerate(zip(ours, theirs, strict=False)) if pair[0] != pair[1]), 0)
                return f"{len(ours)} {name} at {frame['seq']}, [{at}] is {ours[at : at + 1]}, was {theirs[at : at + 1]}"
        return ""

    def publish_to(self, holder: str, topic: str, frame: str) -> None:
        self.publish(topic, frame)

    def refuse(self, holder: str, topic: str, reason: str) -> None:
        self.refusals.append((topic, reason))

    def state(self, topic: str) -> str:
        return self.frames.get(topic, {}).get("state", "")

    def out_of_use_s(self, since_s: float) -> float:
        """The longest time since then that a market was not usable."""
        longest, now_s = 0.0, time.monotonic()
        for changes in self.changes.values():
            ends = [*(at for at, _ in changes[1:]), now_s]
            for (at_s, state), end_s in zip(changes, ends, strict=True):
                if not state.usable and end_s > since_s:
                    longest = max(longest, end_s - max(at_s, since_s))
        return longest


class World:
    """A simulator and an engine on it."""

    def __init__(self, server: SimulatorServer, engine: Engine, judge: Judge) -> None:
        self.server = server
        self.engine = engine
        self.judge = judge
        self.venue = engine.venues["lmex"]

    def feed(self, symbol: str) -> Any:
        return self.venue.feeds[symbol]

    @property
    def live(self) -> bool:
        return all(changes and changes[-1][1].usable for changes in self.judge.changes.values())


@asynccontextmanager
async def world(states: States, folder: Path, *, symbols: tuple[str, ...] = (BTC, ETH)) -> AsyncIterator[World]:
    """An engine that follows the books of ``symbols``, all of them usable."""
    server = await SimulatorServer(Settings(seed=5, instruments=INSTRUMENTS, trader=False)).start(0)
    config = Config(
        path=None,
        exchanges={
            "lmex": ExchangeConfig(
                name="lmex",
                simulated=True,
                products=("spot", "futures"),
                endpoints=endpoints("127.0.0.1", server.port)["lmex"],
                stale_s=STALE_S,
                reconnect_s=RECONNECT_S,
            )
        },
        state_dir=folder / "state",
    )
    judge = Judge(states, {market.instrument.symbol: market for market in server.market.markets.values()})
    engine = Engine(config, judge)
    engine.venues["lmex"].gate = ConnectGate(1000)  # many faults in a minute
    try:
        await engine.start(markets_timeout_s=20)
        engine.lease("judge", [f"book:lmex:{symbol}" for symbol in symbols], 600)
        here = World(server, engine, judge)
        await until(lambda: all(judge.state(f"book:lmex:{symbol}") == "LIVE" for symbol in symbols))
        yield here
    finally:
        await engine.stop()
        await server.stop()


class Row(NamedTuple):
    """What a fault did."""

    name: str
    frames: int
    wrong: int
    out_s: float
    rebuilt: int
    reconnects: int

    def __str__(self) -> str:
        return (
            f"{self.name:17} {self.frames:4} frames, {self.wrong} wrong; out of use at most {self.out_s:.2f} s; "
            f"{self.rebuilt} rebuilt, {self.reconnects} reconnects"
        )


def fault(kind: str, **more: Any) -> Fault:
    return Fault(exchange="lmex", kind=kind, **more)


Watched = tuple[Fault, float, float]
OF_A_MARKET: dict[str, Watched] = {
    # name: the fault, how long it is watched, how long a market may be out of use
    "none": (fault("delay", value=0.0, for_s=0.0), 1.2, 0.5),
    "drop_depth": (fault("drop_depth", symbol="BTC-PERP"), 1.0, 2.0),
    "crossed": (fault("crossed", symbol="BTC-PERP"), 1.0, 2.0),
    "garbage": (fault("garbage", symbol="BTC-PERP"), 1.0, 0.5),
    "delay": (fault("delay", value=0.4, for_s=1.0), 1.8, 1.0),
    "mute of one": (fault("mute", symbol="ETH-PERP", for_s=2.0), 2.5, 6.0),
    "status 503": (fault("status", value=503, for_s=1.5), 2.0, 0.5),
    "status 429": (fault("status", value=429, for_s=1.0), 1.5, 0.5),
    "no_ack": (fault("no_ack", for_s=1.2), 1.5, 0.5),
    "reject": (fault("reject", symbol="BTC-PERP", for_s=1.2), 1.5, 0.5),
}
OF_CONNECTIONS: dict[str, Watched] = {
    "cut": (fault("cut"), 0.5, 4.0),
    "close 1012": (fault("close", value=1012), 0.5, 4.0),
    "shutdown": (fault("shutdown"), 0.5, 4.0),
    "mute": (fault("mute", for_s=2.0), 2.4, 6.0),
    "refuse, then cut": (fault("refuse", count=1), 0.5, 9.0),
}


async def play(states: States, folder: Path, faults: dict[str, Watched]) -> tuple[list[Row], World]:
    """One fault after the other, each until the books are usable again."""
    rows = []
    async with world(states, folder) as here:
        judge = here.judge

        def counts() -> tuple[int, int, int, int]:
            feeds, lanes = here.venue.feeds.values(), here.venue.lanes
            return (
                judge.judged,
                len(judge.wrong),
                sum(feed.sync.resyncs for feed in feeds),
                sum(lane.connection.reconnects for lane in lanes),
            )

        for name, (each, seconds, _) in faults.items():
            began_s, before = time.monotonic(), counts()
            if each.kind in ACTIONS:
                here.server.control._act(each)
            else:
                here.server.faults.add(each)
            if each.kind == "refuse":
                here.server.control._act(fault("cut"))
            await asyncio.sleep(seconds)
            await until(lambda: here.live)
            here.server.faults.clear()
            await until(lambda least=before[0] + 5: judge.judged >= least)
            frames, wrong, rebuilt, reconnects = (now - then for now, then in zip(counts(), before, strict=True))
            rows.append(Row(name, frames, wrong, judge.out_of_use_s(began_s), rebuilt, reconnects))
            print(rows[-1])
        return rows, here


async def test_no_fault_makes_a_usable_frame_wrong(tmp_path, states):
    (markets, first), (connections, second) = await asyncio.gather(
        play(states, tmp_path / "1", OF_A_MARKET), play(states, tmp_path / "2", OF_CONNECTIONS)
    )
    assert first.judge.wrong == second.judge.wrong == []
    assert {row.name for row in [*markets, *connections]} == {*OF_A_MARKET, *OF_CONNECTIONS}
    for row in [*markets, *connections]:
        allowed_s = (OF_A_MARKET | OF_CONNECTIONS)[row.name][2]
        assert row.out_s <= in_time(allowed_s), row
        assert row.frames >= 5, row
    struck = {row.name: row for row in [*markets, *connections]}
    assert struck["drop_depth"].rebuilt >= 1
    assert struck["crossed"].rebuilt >= 1
    assert sum(lane.connection.not_understood for lane in first.venue.lanes) == 1
    assert all(struck[name].reconnects for name in ("cut", "close 1012", "shutdown", "refuse, then cut"))
    for name in ("mute", "mute of one"):  # found by the exchange's book by REST, or by the hole if it ends before
        assert struck[name].out_s > 0, struck[name]
        assert struck[name].reconnects or struck[name].rebuilt, struck[name]
    assert first.venue.fresh_books.done > 3
    for here in (first, second):
        assert not any(feed.differences for feed in here.venue.feeds.values()), "no fresh book differed"


async def test_a_book_that_is_wrong_without_a_sign_is_found_by_a_fresh_one(tmp_path, states, monkeypatch):
    renewals, change_over = [], MarketFeed.change_over

    def noting(feed: MarketFeed, *arguments: Any, **named: Any) -> None:
        before = feed.state
        change_over(feed, *arguments, **named)
        renewals.append((before, feed.state))

    monkeypatch.setattr(MarketFeed, "change_over", noting)
    async with world(states, tmp_path) as here:
        feed, judge = here.feed(BTC), here.judge
        while not feed.differences:  # a later update may put it right before it is compared
            done = here.venue.fresh_books.done
            here.server.faults.add(fault("wrong_depth", symbol="BTC-PERP"))
            await until(lambda done=done: here.venue.fresh_books.done >= done + 2)
        assert judge.wrong, "until then nothing tells"
        print(f"{len(judge.wrong)} frames were wrong until {feed.differences} fresh books showed it")
        here.server.faults.clear()
        done = here.venue.fresh_books.done
        await until(lambda: here.venue.fresh_books.done >= done + 4)
        assert time.monotonic() - judge.wrong[-1][0] > 0.5, "nothing is wrong any more"
        assert here.feed(ETH).differences == 0
        assert ("LIVE", "LIVE") in renewals, "put right without a blind moment"
        assert {after for _, after in renewals} == {"LIVE"}
        row = next(r for r in here.engine.health()["streams"] if r["symbol"] == BTC)
        assert row["differences"] == feed.differences


async def test_a_book_is_renewed_without_a_blind_moment(tmp_path, states, short_times):
    short_times["fresh_book_s"] = 0.4
    async with world(states, tmp_path) as here:
        began_s, judged = time.monotonic(), here.judge.judged
        carriers = set()
        while here.venue.fresh_books.done < 8:
            carriers.add(here.venue.book_lane(BTC))
            await asyncio.sleep(0.05)
        assert here.judge.out_of_use_s(began_s) < 0.5, "not by the renewals; a leap of the price may use a book up"
        assert here.judge.wrong == []
        assert here.venue.fresh_books.uncompared == 0
        assert here.judge.judged - judged > 20
        assert len(carriers) == 2, "two connections take turns"
        for lane in carriers:
            held = [s for s in lane.connection.subscriptions if s.symbol == BTC]
            assert len(held) <= 1


async def test_a_refused_market_says_so_and_leaves_the_others_alone(tmp_path, states):
    async with world(states, tmp_path, symbols=(ETH,)) as here:
        here.server.faults.add(fault("reject", symbol="BTC-PERP"))
        here.engine.lease("other", [f"book:lmex:{BTC}"], 600)
        await until(lambda: here.judge.state(f"book:lmex:{BTC}") == "DOWN")
        assert "Market pair provided is currently not supported. (1000)" in here.feed(BTC).reason
        await until(lambda: here.judge.state(f"book:lmex:{ETH}") == "LIVE")
        assert not [state for _, state in here.judge.changes[BTC] if state.usable]


async def test_quote_trades_and_candles(tmp_path, states):
    async with world(states, tmp_path, symbols=()) as here:
        here.server.exchanges["lmex"].sockets.unknown.update({"tradeHistoryApiV3", "tradeHistoryApiV2"})
        topics = [f"{kind}:lmex:{symbol}" for kind in ("quote", "trades", "candles@1m") for symbol in (BTC, "BTC/USD")]
        here.engine.lease("judge", topics, 600)
        await until(lambda: all(here.judge.state(topic) == "LIVE" for topic in topics))
        await until(lambda: here.judge.frames[topics[0]]["data"]["funding_rate"] is not None)
        quote = here.judge.frames[topics[0]]["data"]
        market = here.server.market.markets["lmex", "futures", "BTC-PERP"]
        assert float(quote["bid"]) < float(quote["ask"])
        assert float(quote["mark"]) == pytest.approx(market.mark * 0.1, rel=1e-3)
        assert quote["next_funding_ms"] == market.next_funding_ms()
        assert float(quote["base_volume"]) == pytest.approx(
            float(market.candles.day().volume * market.instrument.lot), rel=0.01
        )
        assert here.judge.frames[topics[1]]["data"]["mark"] is None, "spot has none"
        await until(lambda: len(here.judge.frames[topics[2]]["data"]["trades"]) > 5)
        prints = {str(each.id): each for each in market.recent}
        for row in here.judge.frames[topics[2]]["data"]["trades"]:
            each = prints[row["id"]]
            assert Decimal(row["price"]) == each.price * market.instrument.tick
            assert Decimal(row["size"]) == each.size * market.instrument.lot, "in base currency, not contracts"

        def bars_agree() -> bool:
            shown = here.judge.frames[topics[4]]["data"]["bars"][-1]
            bar = market.candles.minutes[-1]
            tick = market.instrument.tick
            names = {"open": bar.open, "high": bar.high, "low": bar.low, "close": bar.close}
            return shown["open_ms"] == bar.open_ms and all(Decimal(shown[n]) == v * tick for n, v in names.items())

        await until(bars_agree)
        history = await here.engine.candles("lmex", BTC, "1m", 200)
        assert len(history) >= 200
        times = [bar["open_ms"] for bar in history]
        assert times == list(range(times[0], times[0] + len(times) * 60_000, 60_000))
        lanes = {lane.route for lane in here.venue.lanes}
        assert lanes == {f"{p}-{k}" for p in ("spot", "futures") for k in ("book", "trades", "rest")}


async def test_what_is_polled_goes_stale_and_comes_back(tmp_path, states):
    async with world(states, tmp_path, symbols=()) as here:
        topic = f"candles@1m:lmex:{BTC}"
        here.engine.lease("judge", [topic], 600)
        await until(lambda: here.judge.state(topic) == "LIVE")
        lane = next(lane for lane in here.venue.lanes if lane.route == "futures-rest")
        here.server.faults.add(fault("status", value=503))
        await until(lambda: lane.connection.state is StreamState.STALE)
        assert lane.connection.reason == "The exchange cannot be reached at the moment."
        await until(lambda: here.judge.state(topic) == "STALE")
        here.server.faults.clear()
        await until(lambda: here.judge.state(topic) == "LIVE")
        row = next(r for r in here.engine.board.draw().data["connections"] if r["route"] == "futures-rest")
        assert row["state"] == "LIVE" and row["messages"] >= 2
        here.engine.lease("judge", [], 600)
        here.venue.close_feed(BTC)
        await until(lambda: not lane.connection.subscriptions)
