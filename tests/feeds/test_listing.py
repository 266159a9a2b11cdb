"""Instruments that change while their markets are open, and those that are listed no longer."""

import asyncio
import json
from decimal import Decimal as D
from types import SimpleNamespace
from typing import Any
from zlib import crc32

import pytest
from msgspec import structs

from feeds.clock import SYSTEM
from feeds.config import ExchangeConfig
from feeds.domain import BookSnapshot, Level, Market, StreamState
from feeds.exchange import MarketIndex
from feeds.exchanges.kraken import Kraken
from feeds.markets import listing
from feeds.markets.listing import NOT_LISTED
from feeds.markets.opening import make_venue
from feeds.markets.venue import Venue
from feeds.sync import BookSync, Need, Want
from feeds.topics import parse_topic
from tests.feeds import lmex_frames
from tests.feeds.test_engine import config, running, simulator, until
from tests.feeds.test_lmex import session as lmex_session
from tests.feeds.test_market import Stage

BTC = Market(
    exchange="kraken",
    symbol="BTC/USD",
    native="BTC/USD",
    product="spot",
    base="BTC",
    quote="USD",
    tick=D("0.1"),
    lot=D("1E-8"),
)
FINER = structs.replace(BTC, tick=D("0.010"))
BIDS: list[Level] = [(100.0 - n, 1.5) for n in range(12)]
ASKS: list[Level] = [(101.0 + n, 0.25) for n in range(12)]


def crc_of(digits: int) -> int:
    """As the exchange sums it: prices with so many digits, sizes with eight, without the point and leading zeros."""
    parts = [
        f"{price:.{digits}f}".replace(".", "").lstrip("0") + f"{size:.8f}".replace(".", "").lstrip("0")
        for price, size in ASKS[:10] + BIDS[:10]
    ]
    return crc32("".join(parts).encode())


def snapshot(digits: int) -> BookSnapshot:
    return BookSnapshot(symbol="BTC/USD", bids=BIDS, asks=ASKS, depth=100, checksum=crc_of(digits))


def venue_of(stage: Stage, *known: Market) -> Any:
    def new_sync(market: Market) -> BookSync:
        return BookSync(from_rest=False, verify=Kraken().checksum(market), truncates=True)

    return SimpleNamespace(
        name="kraken",
        config=SimpleNamespace(products=("spot",)),
        markets=MarketIndex(known),
        feeds={"BTC/USD": stage.feed},
        lanes=[],
        new_sync=new_sync,
    )


class TestOpenMarkets:
    def stage(self) -> tuple[Stage, Any]:
        stage = Stage(from_rest=False, market=BTC)
        venue = venue_of(stage, BTC)
        stage.feed.sync = venue.new_sync(BTC)
        stage.connect()
        stage.feed.on_link("book", StreamState.LIVE, "")
        stage.feed.on_snapshot(snapshot(1), stage.clock.now_ns())
        assert stage.feed.state is StreamState.LIVE
        return stage, venue

    def test_a_book_is_summed_by_the_new_digits_from_then_on(self) -> None:
        stage, venue = self.stage()
        listing.take(venue, [FINER], ())
        assert stage.feed.state is StreamState.RESYNC
        assert "changed the instrument" in stage.feed.reason
        assert stage.wants == [Want.RESUBSCRIBE]
        stage.feed.on_subscribed()
        stage.feed.on_snapshot(snapshot(3), stage.clock.now_ns())
        assert stage.feed.state is StreamState.LIVE
        assert (stage.feed.market, stage.feed.price_decimals, stage.feed.sync.resyncs) == (FINER, 2, 1)

    def test_digits_alone_are_a_change(self) -> None:
        """A tick of 0.1 that is printed 0.10 from now on."""
        stage, venue = self.stage()
        listing.take(venue, [structs.replace(BTC, tick=D("0.10"))], ())
        assert stage.feed.state is StreamState.RESYNC

    def test_what_no_book_depends_on_costs_none(self) -> None:
        stage, venue = self.stage()
        listing.take(venue, [structs.replace(BTC, min_size=D(1), status="post_only")], ())
        assert stage.feed.state is StreamState.LIVE
        assert (stage.feed.market.status, stage.feed.market.min_size) == ("post_only", D(1))
        assert stage.wants == []

    def test_the_same_list_again_is_no_change(self) -> None:
        stage, venue = self.stage()
        stage.changed.clear()
        listing.take(venue, [BTC], {"BTC/USD"})
        assert (stage.feed.state, stage.changed) == (StreamState.LIVE, [])

    def test_one_that_has_no_book_yet_waits_by_the_new_rules(self) -> None:
        stage = Stage(from_rest=True, market=BTC)
        stage.connect()
        sync = BookSync(from_rest=True)
        assert stage.feed.on_instrument(FINER, sync)
        assert stage.feed.sync is sync and sync.needs is Need.SNAPSHOT
        assert stage.feed.state is StreamState.SYNCING

    def test_a_step_of_before_is_drawn_although_the_tick_became_coarser(self) -> None:
        stage, venue = self.stage()
        render = stage.feed.watch(parse_topic("book@0.1:kraken:BTC/USD"))
        listing.take(venue, [structs.replace(BTC, tick=D(1))], ())
        stage.feed.on_subscribed()
        stage.feed.on_snapshot(structs.replace(snapshot(0)), stage.clock.now_ns())
        picture = render()
        assert picture is not None and picture.data["bids"][0][0] == 100 * 10 ** picture.data["price_decimals"]


class TestGone:
    ETH = structs.replace(BTC, symbol="ETH/USD", native="ETH/USD", base="ETH")

    def test_what_a_whole_list_lacks_is_not_listed_until_it_comes_again(self) -> None:
        stage = Stage(market=BTC)
        venue = venue_of(stage, BTC, self.ETH)
        listing.take(venue, [BTC], {"BTC/USD", "ETH/USD"})
        assert venue.markets["ETH/USD"].status == NOT_LISTED
        listing.take(venue, [BTC, self.ETH], {"BTC/USD", "ETH/USD"})
        assert venue.markets["ETH/USD"].status == "trading"

    def test_changes_alone_and_lists_of_nothing_take_nobody_away(self) -> None:
        venue = venue_of(Stage(market=BTC), BTC, self.ETH)
        listing.take(venue, [BTC], ())
        listing.take(venue, [], {"BTC/USD", "ETH/USD"})
        assert [market.status for market in venue.markets] == ["trading", "trading"]

    async def test_of_several_lists_by_rest_each_is_whole_for_itself(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The one of futures says nothing of spot, and a market that another list has is not gone."""
        binance = ExchangeConfig(name="binance", simulated=True, products=("spot", "usdm"))
        options: Any = {"changed": str, "loaded": id, "status_changed": dict}
        venue = make_venue(binance, depth=25, clock=SYSTEM, **options)
        assert isinstance(venue, Venue)
        spot, futures = venue.adapter.markets_requests()
        both = [structs.replace(BTC, symbol=name, native=name) for name in ("A/USD", "B/USD")]
        swap = structs.replace(BTC, symbol="A/USD:USD", native="AP", product="usdm", settle="USD")
        answers = {spot: [both, both[:1], both[:1]], futures: [[swap], [swap, both[1]], [swap]]}
        monkeypatch.setattr("feeds.markets.venue.INSTRUMENTS_S", 0.0)
        at = {"turn": 0}

        async def fetch(adapter: Any, rest: Any, request: Any) -> list[Market]:
            return answers[request][at["turn"]]

        monkeypatch.setattr("feeds.markets.venue.fetch_markets", fetch)
        seen = []
        for at["turn"] in range(3):
            for request in (futures, spot):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.02):
                        await venue._load_markets(request)
            seen.append({market.symbol: market.status for market in venue.markets})
        await venue.stop()
        assert seen[0] == dict.fromkeys(("A/USD", "B/USD", "A/USD:USD"), "trading")
        assert seen[1] == seen[0]
        assert seen[2] == {**seen[0], "B/USD": NOT_LISTED}

    async def test_by_stream_as_kraken_tells_it(self, tmp_path: Any) -> None:
        topic = "book:kraken:BTC/USD"
        async with simulator() as server, running(config(server, tmp_path)) as (engine, sink):
            engine.lease("relay", [topic], 30)
            await until(lambda: sink.state(topic) == "LIVE")
            venue = engine.venues["kraken"]
            assert len(venue.markets) > 1
            (socket,) = server.exchanges["kraken"].open_sockets()
            pair = {"symbol": "BTC/USD", "base": "BTC", "quote": "USD", "status": "post_only", "qty_precision": 8}
            pair |= {"qty_increment": 1e-8, "price_precision": 1, "price_increment": 0.1, "cost_precision": 5}
            pair |= {"cost_min": 0.5, "qty_min": 0.0001}
            told = {"channel": "instrument", "type": "snapshot", "data": {"assets": [], "pairs": [pair]}}
            socket.send(json.dumps(told))
            await until(lambda: venue.feeds["BTC/USD"].market.status == "post_only")
            assert venue.feeds["BTC/USD"].market is venue.markets["BTC/USD"]
            others = {market.status for market in venue.markets if market.symbol != "BTC/USD"}
            assert others == {NOT_LISTED}
            rows = {row["symbol"]: row["status"] for row in engine.markets() if row["exchange"] == "kraken"}
            assert set(rows.values()) == {"post_only", NOT_LISTED}


def test_a_contract_of_another_size_is_counted_by_it_on_the_same_connection() -> None:
    old = lmex_frames.market("X/USDT:USDT", "X-PERP", contract_size=D("0.001"))
    markets = MarketIndex([old])
    made = lmex_session(markets=markets)
    frame = lmex_frames.SNAPSHOT.replace("BTC-PERP", "X-PERP")
    (before,) = made.parse(frame)
    markets.update([structs.replace(old, contract_size=D("0.00001"))])
    (after,) = made.parse(frame)
    assert isinstance(before, BookSnapshot) and isinstance(after, BookSnapshot)
    assert before.bids[0][1] == pytest.approx(100 * after.bids[0][1])


def test_an_index_tells_which_of_its_markets_were_other_before() -> None:
    markets = MarketIndex([BTC])
    version = markets.version
    assert markets.update([BTC]) == []
    renamed = structs.replace(BTC, native="XBT/USD")
    assert markets.update([renamed, TestGone.ETH]) == [renamed]
    assert markets.native("spot", "BTC/USD") is None
    assert markets.native("spot", "XBT/USD") is renamed
    assert markets.version > version
