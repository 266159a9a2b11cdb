"""The engine against the simulated Bybit in the same loop: live, through every fault, and back."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from feeds.config import Config, ExchangeConfig
from feeds.engine import Engine
from feeds.markets import inquiry, keeper
from feeds.markets.market import MarketFeed
from feeds.markets.venue import Venue
from feeds.simulator import Settings, SimulatorServer, endpoints
from feeds.simulator.faults import Fault
from feeds.simulator.venues import listings
from tests.feeds.test_engine import Sink, until

SPOT, PERP, USDC = "BTC/USDT", "BTC/USDT:USDT", "BTC/USDC:USDC"
FEW = tuple(each for each in listings(["bybit"]) if each.base in ("BTC", "ETH", "DOGE"))
STALE_S = 1.5
pytestmark = pytest.mark.asyncio(loop_scope="module")


class World(NamedTuple):
    server: SimulatorServer
    engine: Engine
    sink: Sink

    @property
    def venue(self) -> Venue:
        return self.engine.venues["bybit"]

    @property
    def exchange(self) -> Any:
        return self.server.exchanges["bybit"]

    def feed(self, symbol: str) -> MarketFeed:
        return self.venue.feeds[symbol]

    def state(self, symbol: str) -> str | None:
        return self.sink.state(f"book:bybit:{symbol}")

    async def open(self, *symbols: str) -> None:
        topics = [f"{kind}:bybit:{symbol}" for symbol in symbols for kind in ("book", "quote")]
        self.engine.lease("test", topics, 60)
        await until(lambda: all(self.state(symbol) == "LIVE" for symbol in symbols))

    def strike(self, kind: Any, **more: Any) -> None:
        fault = Fault(exchange="bybit", kind=kind, **more)
        if kind == "shutdown":
            self.exchange.act(fault)
        else:
            self.server.faults.add(fault)

    def stand_still(self, now_ms: int) -> None:
        """A beat in which nothing happens anywhere: what is due is sent all the same."""
        for market in self.server.market.markets.values():
            self.exchange.happened(market, [], [], now_ms)

    async def equal(self, symbol: str, times: int = 5, depth: int = 200) -> None:
        """The book is the server's window, all of it, at so many different numbers."""
        feed = self.feed(symbol)
        key = feed.market.product, f"orderbook.{depth}.{feed.market.native}"
        seen: set[int] = set()

        def same() -> bool:
            book, window = feed.sync.book, self.exchange.sockets._windows.get(key)
            if window is not None and book.ready and book.seq == window.u:
                i = window.market.instrument
                for ours, theirs in ((book.bids, window._bids), (book.asks, window._asks)):
                    assert ours.levels == {float(p * i.tick): float(s * i.lot) for p, s in theirs.items()}
                seen.add(window.u)
            return len(seen) >= times

        await until(same)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One simulator and one engine for all tests. Linear instruments come in pages of two."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inquiry, "STATUS_S", 0.1)
        patch.setattr(keeper, "SNAPSHOT_S", 2.0)
        server = SimulatorServer(Settings(seed=5, instruments=FEW, trader=False))
        server.exchanges["bybit"].rest.most_a_page = 2
        await server.start(0)
        urls = endpoints("127.0.0.1", server.port)["bybit"]
        config = ExchangeConfig(
            name="bybit", simulated=True, products=("spot", "linear"), endpoints=urls, stale_s=STALE_S, reconnect_s=8.0
        )
        sink = Sink()
        state_dir = tmp_path_factory.mktemp("bybit") / "state"
        engine = Engine(Config(path=None, exchanges={"bybit": config}, state_dir=state_dir, linger_s=0.0), sink)
        try:
            await engine.start(markets_timeout_s=20)
            yield World(server, engine, sink)
        finally:
            await engine.stop()
            await server.stop()


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def no_faults(world: World) -> AsyncIterator[None]:
    yield
    world.server.faults.clear()
    world.engine.lease("test", [], 60)
    await until(lambda: not world.venue.feeds)


async def test_all_pages_of_instruments_are_known(world: World) -> None:
    assert {market.symbol for market in world.venue.markets} == {each.symbol for each in FEW}
    assert world.venue.markets[USDC].native == "BTCPERP"


async def test_books_are_the_exchange_s_on_both_products(world: World) -> None:
    """``BTCUSDT`` is another market on each."""
    await world.open(SPOT, PERP, USDC)
    assert {lane.route for lane in world.venue.lanes} == {"spot", "linear"}
    for symbol in (SPOT, PERP, USDC):
        await world.equal(symbol)
    assert sum(lane.connection.not_understood for lane in world.venue.lanes) == 0


async def test_quotes_have_mark_price_and_the_newer_best_prices(world: World) -> None:
    await world.open(SPOT, PERP)
    await until(lambda: world.sink.frames[f"quote:bybit:{PERP}"]["data"]["mark"])
    spot, perp = (world.sink.frames[f"quote:bybit:{symbol}"]["data"] for symbol in (SPOT, PERP))
    assert spot["mark"] is None and float(spot["last"]) > 0
    assert float(perp["bid"]) < float(perp["ask"]) and perp["funding_rate"] is not None
    feed = world.feed(PERP)
    await until(lambda: feed.bbo is not None and feed.ahead(feed.bbo))
    assert feed.bbo is not None and feed.best() == (
        (feed.bbo.bid, feed.bbo.bid_size),
        (feed.bbo.ask, feed.bbo.ask_size),
    )


async def test_trades_and_candles(world: World) -> None:
    topics = [f"{kind}:bybit:{PERP}" for kind in ("trades", "candles@1m", "candles@5m")]
    world.engine.lease("test", topics, 60)
    await until(lambda: all(topic in world.sink.frames for topic in topics))
    await until(lambda: len(world.sink.frames[topics[0]]["data"]["trades"]) > 3)
    bars = await world.engine.candles("bybit", PERP, "1m", 300)
    times = [bar["open_ms"] for bar in bars]
    assert times == list(range(times[0], times[0] + 300 * 60_000, 60_000)), "no hole, none twice"


async def test_a_lost_update_rebuilds_that_book_alone(world: World) -> None:
    await world.open(PERP, "ETH/USDT:USDT")
    other, lane = world.feed("ETH/USDT:USDT"), world.venue.book_lane(PERP)
    assert lane is not None
    reconnects, frames = lane.connection.reconnects, other.frames
    world.strike("drop_depth", product="linear", symbol="BTCUSDT")
    await until(lambda: world.feed(PERP).sync.resyncs == 1)
    await until(lambda: world.state(PERP) == "LIVE")
    await world.equal(PERP)
    assert (other.sync.resyncs, lane.connection.reconnects) == (0, reconnects)
    assert other.frames > frames and world.state("ETH/USDT:USDT") == "LIVE"


@pytest.mark.parametrize("kind", ["crossed", "garbage"])
async def test_what_cannot_be_true_is_dropped(world: World, kind: str) -> None:
    """A crossed book is rebuilt. A frame that is not understood costs nothing: the chain shows that none is missing."""
    await world.open(SPOT)
    lane = world.venue.book_lane(SPOT)
    assert lane is not None
    before = lane.connection.not_understood
    world.strike(kind, product="spot", symbol="BTCUSDT")
    if kind == "crossed":
        await until(lambda: world.feed(SPOT).sync.resyncs == 1)
    else:
        await until(lambda: lane.connection.not_understood == before + 1)
    await until(lambda: world.state(SPOT) == "LIVE")
    await world.equal(SPOT)
    assert world.feed(SPOT).sync.resyncs == (kind == "crossed")


async def test_a_restart_of_the_service_is_followed(world: World) -> None:
    await world.open(PERP)
    before = world.feed(PERP).sync.book.seq
    world.strike("shutdown", value="restart")
    await until(lambda: (world.feed(PERP).sync.book.seq or before) < 1000)
    await world.equal(PERP)
    assert world.feed(PERP).sync.resyncs == 0, "its snapshot replaced the book"


async def test_a_restart_whose_snapshot_is_lost_is_noticed(world: World) -> None:
    """By their numbers alone its changes would be old news, and the book would stand still as LIVE."""
    await world.open(SPOT)
    assert (world.feed(SPOT).sync.book.seq or 0) > 100
    world.strike("mute", product="spot", symbol="BTCUSDT")
    world.strike("shutdown", value="restart")
    world.server.faults.clear()
    await until(lambda: world.feed(SPOT).sync.resyncs == 1)
    await until(lambda: world.state(SPOT) == "LIVE")
    await world.equal(SPOT)


async def test_a_rejected_market_says_why_and_leaves_others_alone(world: World) -> None:
    world.strike("reject", product="linear", symbol="DOGEUSDT")
    doge = "DOGE/USDT:USDT"
    world.engine.lease("test", [f"book:bybit:{doge}"], 60)
    await world.open(PERP, "ETH/USDT:USDT")
    topics = [f"{kind}:bybit:{symbol}" for symbol in (PERP, "ETH/USDT:USDT", doge) for kind in ("book", "quote")]
    world.engine.lease("test", topics, 60)
    await until(lambda: world.state(doge) == "DOWN")
    assert "handler not found,topic:orderbook.200.DOGEUSDT" in world.feed(doge).reason
    await until(lambda: all(world.state(symbol) == "LIVE" for symbol in (PERP, "ETH/USDT:USDT")))
    assert "refuses" not in world.feed(PERP).reason


async def test_quiet_and_mute_are_told_apart(world: World) -> None:
    await world.open(PERP, SPOT)
    lane = world.venue.book_lane(PERP)
    assert lane is not None
    reconnects, beat = lane.connection.reconnects, world.server.beat
    world.server.beat = world.stand_still
    try:
        await until(lambda: world.state(PERP) == "QUIET" and world.state(SPOT) == "QUIET")
        assert lane.connection.reconnects == reconnects
    finally:
        world.server.beat = beat
    await until(lambda: world.state(PERP) == "LIVE" and world.state(SPOT) == "LIVE")
    world.strike("mute", product="linear")
    await until(lambda: world.state(PERP) not in ("LIVE", "QUIET"))
    await until(lambda: lane.connection.reconnects > reconnects)
    assert world.state(SPOT) == "LIVE"
    world.server.faults.clear()
    await until(lambda: world.state(PERP) == "LIVE")
    await world.equal(PERP, times=2)


async def test_a_cut_connection_comes_back_by_itself(world: World) -> None:
    await world.open(PERP)
    lane = world.venue.book_lane(PERP)
    assert lane is not None
    reconnects = lane.connection.reconnects
    for socket in world.exchange.open_sockets():
        socket.abort()
    await until(lambda: world.state(PERP) != "LIVE")
    await until(lambda: world.state(PERP) == "LIVE")
    assert lane.connection.reconnects == reconnects + 1
    await world.equal(PERP, times=2)


async def test_maintenance_becomes_a_notice_and_goes_again(world: World) -> None:
    world.strike("shutdown", value="upgrade")
    await until(lambda: world.venue.notice.startswith("Bybit maintains futures and spot (upgrade), until "))
    world.strike("shutdown", value="")
    await until(lambda: world.venue.notice == "")


async def test_where_the_status_cannot_be_asked_for_markets_go_on(world: World) -> None:
    await world.open(SPOT)
    world.strike("status", value=503)
    await asyncio.sleep(0.3)  # it is asked for in vain meanwhile, which shows nowhere
    assert world.state(SPOT) == "LIVE"
    assert world.venue.notice == ""
