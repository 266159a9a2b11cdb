"""The state of a market, decided by data received; and what its topics show in each state."""

from decimal import Decimal

import pytest
from msgspec import structs

from feeds.clock import FakeClock
from feeds.domain import Bbo, BookDelta, BookSnapshot, Candle, Market, MarkPrice, StreamState, Ticker, Trade
from feeds.markets.keeper import agrees
from feeds.markets.market import MarketFeed
from feeds.markets.pictures import last_price
from feeds.state import recall, remember
from feeds.sync import BookSync, Want
from feeds.topics import parse_topic

SPOT = Market(
    exchange="binance",
    symbol="BTC/USDT",
    native="BTCUSDT",
    product="spot",
    base="BTC",
    quote="USDT",
    tick=Decimal("0.01"),
    lot=Decimal("0.00001"),
)


class Stage:
    """A market with a fake clock, and everything it asked for and told."""

    def __init__(self, *, from_rest: bool = True, market: Market = SPOT) -> None:
        self.clock = FakeClock()
        self.changed: list[str] = []
        self.wants: list[Want] = []
        self.feed = MarketFeed(
            market,
            BookSync(from_rest=from_rest),
            depth=25,
            stale_s=5.0,
            clock=self.clock,
            changed=self.changed.append,
            want=lambda feed, want: self.wants.append(want),
        )
        self.book = self.feed.watch(parse_topic("book:binance:BTC/USDT"))
        self.quote = self.feed.watch(parse_topic("quote:binance:BTC/USDT"))
        self.trades = self.feed.watch(parse_topic("trades:binance:BTC/USDT"))

    def connect(self) -> None:
        self.feed.on_link("book", StreamState.SYNCING, "")
        self.feed.on_subscribed()

    def live(self) -> None:
        self.connect()
        self.feed.on_link("book", StreamState.LIVE, "")
        self.feed.on_snapshot(snapshot(100), self.clock.now_ns())

    def delta(self, prev: int, seq: int, **sides) -> None:
        delta = BookDelta(symbol="BTC/USDT", prev=prev, seq=seq, bids=sides.get("bids", []), asks=sides.get("asks", []))
        self.feed.on_delta(delta, self.clock.now_ns())


def snapshot(seq: int | None) -> BookSnapshot:
    return BookSnapshot(
        symbol="BTC/USDT", seq=seq, exchange_ms=5, bids=[(100.0, 1.0), (99.5, 2.0)], asks=[(100.5, 1.5), (101.0, 3.0)]
    )


def test_nothing_is_shown_before_there_is_a_book():
    stage = Stage()
    assert stage.feed.state is StreamState.CONNECTING
    stage.connect()
    assert stage.feed.state is StreamState.SYNCING
    assert stage.wants == [Want.SNAPSHOT]
    picture = stage.book()
    assert picture.state == "SYNCING"
    assert picture.data["bids"] == picture.data["asks"] == []
    assert picture.data["bid"] is None


def test_a_snapshot_makes_it_live_and_every_topic_is_told():
    stage = Stage()
    stage.live()
    assert stage.feed.state is StreamState.LIVE
    picture = stage.book()
    assert picture.seq == 100
    assert picture.data["bids"] == [[10000, 100000], [9950, 200000]]
    assert picture.data["ask"] == [10050, 150000]
    assert {"book:binance:BTC/USDT", "quote:binance:BTC/USDT"} <= set(stage.changed)


def test_changes_before_the_snapshot_are_applied_after_it():
    stage = Stage()
    stage.connect()
    stage.feed.on_link("book", StreamState.LIVE, "")
    stage.delta(99, 101, bids=[(100.1, 9.0)])
    assert stage.book().data["bids"] == []
    stage.feed.on_snapshot(snapshot(100), stage.clock.now_ns())
    assert stage.book().seq == 101
    assert stage.book().data["bid"] == [10010, 900000]


def test_a_gap_drops_the_book_at_once_and_asks_for_a_snapshot():
    stage = Stage()
    stage.live()
    stage.wants.clear()
    stage.delta(105, 106, bids=[(100.2, 1.0)])
    assert stage.feed.state is StreamState.RESYNC
    assert stage.book().data["bids"] == []
    assert stage.wants == [Want.SNAPSHOT]
    assert stage.feed.sync.resyncs == 1
    stage.feed.on_snapshot(snapshot(105), stage.clock.now_ns())
    assert stage.feed.state is StreamState.LIVE
    assert stage.book().seq == 106


def test_a_crossed_book_is_never_drawn():
    stage = Stage()
    stage.live()
    stage.delta(100, 101, bids=[(100.5, 1.0)])
    assert stage.feed.state is StreamState.RESYNC
    assert stage.book().data["bid"] is None


def test_best_prices_of_former_numbers_are_not_ahead_of_a_book_that_begins_anew():
    stage = Stage(from_rest=False)
    stage.feed.sync.replaces = True
    stage.live()
    stage.feed.on_bbo(Bbo(symbol="BTC/USDT", bid=100.2, bid_size=1.0, ask=100.5, ask_size=1.0, seq=101), 1)
    assert stage.feed.best()[0] == (100.2, 1.0)
    stage.feed.on_snapshot(structs.replace(snapshot(4), bids=[(99.0, 3.0)]), stage.clock.now_ns())
    assert (stage.feed.state, stage.feed.sync.resyncs) == (StreamState.LIVE, 0)
    assert stage.feed.best()[0] == (99.0, 3.0)
    stage.feed.on_bbo(Bbo(symbol="BTC/USDT", bid=99.1, bid_size=1.0, ask=100.5, ask_size=1.0, seq=5), 2)
    assert stage.feed.best()[0] == (99.1, 1.0)


def test_a_stream_book_is_rebuilt_by_subscribing_again():
    stage = Stage(from_rest=False)
    stage.connect()
    stage.feed.on_link("book", StreamState.LIVE, "")
    stage.feed.on_snapshot(snapshot(None), stage.clock.now_ns())
    stage.feed.on_lost("frames were lost")
    assert stage.feed.state is StreamState.RESYNC
    assert stage.wants == [Want.RESUBSCRIBE]
    stage.feed.on_subscribed()
    assert stage.feed.state is StreamState.RESYNC, "not before the snapshot"
    stage.feed.on_snapshot(snapshot(None), stage.clock.now_ns())
    assert stage.feed.state is StreamState.LIVE


def test_silence_is_stale_unless_the_exchange_confirms_it():
    stage = Stage()
    stage.live()
    stage.clock.advance(4.9)
    stage.feed.evaluate()
    assert stage.feed.state is StreamState.LIVE
    stage.clock.advance(0.2)
    stage.feed.evaluate()
    assert stage.feed.state is StreamState.STALE
    assert stage.book().state == "STALE"
    assert stage.book().data["bids"], "what is known stays visible, as stale"
    stage.feed.confirmed()
    assert stage.feed.state is StreamState.QUIET
    stage.clock.advance(10.1)
    stage.feed.evaluate()
    assert stage.feed.state is StreamState.STALE, "a confirmation grows old as well"
    stage.delta(100, 101)
    assert stage.feed.state is StreamState.LIVE


def test_a_confirmation_is_of_one_silence_alone():
    stage = Stage()
    stage.live()
    stage.clock.advance(6)
    stage.feed.confirmed(longer_s=100)
    assert stage.feed.state is StreamState.QUIET
    stage.delta(100, 101)
    stage.clock.advance(6)
    stage.feed.evaluate()
    assert stage.feed.state is StreamState.STALE, "what came since may be the last that ever comes"


def test_a_living_connection_does_not_make_silence_quiet():
    """Heartbeats prove a connection, and not that this book still comes by it."""
    stage = Stage(from_rest=False)
    stage.connect()
    stage.feed.on_link("book", StreamState.LIVE, "")
    stage.feed.on_snapshot(snapshot(None), stage.clock.now_ns())
    stage.clock.advance(60)
    stage.feed.evaluate()
    assert stage.feed.state is StreamState.STALE
    stage.feed.confirmed(longer_s=100)
    assert stage.feed.state is StreamState.QUIET
    stage.feed.on_link("book", StreamState.STALE, "no heartbeat")
    assert stage.feed.state is StreamState.STALE


def test_slow_has_an_end():
    stage = Stage()
    stage.live()
    assert stage.feed.late_s == 0
    stage.clock.advance(2)
    stage.feed.on_link("book", StreamState.SLOW, "frames wait to be processed")
    assert stage.feed.state is StreamState.SLOW
    assert stage.feed.late_s == pytest.approx(2)
    stage.clock.advance(3.1)
    stage.feed.evaluate()
    assert stage.feed.state is StreamState.STALE
    assert stage.feed.reason == "No data for 5 s or more, while frames wait to be processed."
    stage.delta(100, 101)
    assert stage.feed.state is StreamState.SLOW


def test_a_book_by_rest_is_as_old_as_its_question():
    stage = Stage()
    stage.connect()
    asked_ns = stage.clock.now_ns()
    stage.clock.advance(2)
    stage.feed.on_polled(snapshot(100), asked_ns, stage.clock.now_ns(), 5.0)
    assert stage.feed.state is StreamState.POLLED
    assert stage.feed.late_s == pytest.approx(2)


def test_a_lost_connection_voids_the_book():
    stage = Stage()
    stage.live()
    before = stage.feed.generation
    stage.feed.on_link("book", StreamState.CONNECTING, "connection lost")
    assert stage.feed.state is StreamState.CONNECTING
    assert stage.feed.reason == "connection lost"
    assert stage.book().data["bids"] == []
    assert stage.feed.generation > before, "an answer to an old question must be known as old"
    stage.connect()
    assert stage.feed.state is StreamState.SYNCING


def test_a_refused_market_says_why_and_comes_back_when_accepted():
    stage = Stage()
    stage.connect()
    stage.feed.on_refused("unknown pair")
    assert (stage.feed.state, stage.feed.reason) == (StreamState.DOWN, "unknown pair")
    stage.feed.on_subscribed()
    assert stage.feed.state is StreamState.SYNCING


def test_slow_is_still_usable_and_says_so():
    stage = Stage()
    stage.live()
    stage.feed.on_link("book", StreamState.SLOW, "frames wait")
    assert stage.feed.state is StreamState.SLOW
    assert stage.feed.state.usable
    assert stage.book().data["bids"]


def test_a_quote_is_no_better_than_the_connection_of_its_ticker():
    stage = Stage()
    stage.live()
    stage.feed.on_link("quote", StreamState.LIVE, "")
    assert stage.quote().state == "LIVE"
    stage.feed.on_link("quote", StreamState.DOWN, "unreachable")
    assert stage.quote().state == "DOWN"
    assert stage.book().state == "LIVE"


def test_the_quote_takes_the_newer_of_best_price_stream_and_book():
    stage = Stage()
    stage.live()
    bbo = Bbo(symbol="BTC/USDT", seq=101, bid=100.25, bid_size=4.0, ask=100.5, ask_size=1.0)
    stage.feed.on_bbo(bbo, stage.clock.now_ns())
    assert (stage.quote().data["bid"], stage.quote().data["ask_size"]) == ("100.25", "1.00000")
    stage.delta(100, 102, bids=[(100.3, 1.0)])
    assert stage.quote().data["bid"] == "100.30"
    assert stage.quote().data["ask_size"] == "1.50000", "a pair is never mixed from two moments"


def test_best_prices_of_another_count_are_ordered_by_rank():
    stage = Stage(from_rest=False)
    stage.connect()
    stage.feed.on_link("book", StreamState.LIVE, "")
    ranked = structs.replace(snapshot(100), rank=1000)
    stage.feed.on_snapshot(ranked, stage.clock.now_ns())
    newer = Bbo(symbol="BTC/USDT", bid=100.1, bid_size=7.0, ask=100.4, ask_size=8.0, rank=1003)
    stage.feed.on_bbo(newer, stage.clock.now_ns())
    assert stage.feed.best() == ((100.1, 7.0), (100.4, 8.0))
    stage.feed.on_bbo(structs.replace(newer, rank=1000, bid=99.0), stage.clock.now_ns())
    assert stage.feed.best() == ((100.0, 1.0), (100.5, 1.5)), "as old as the book: the book holds"
    stage.feed.on_bbo(structs.replace(newer, rank=None, seq=None), stage.clock.now_ns())
    assert stage.feed.best() == ((100.0, 1.0), (100.5, 1.5)), "nobody can tell: the book holds"


def test_a_probe_of_another_count_agrees_by_rank_or_by_its_prices():
    stage = Stage(from_rest=False)
    stage.connect()
    stage.feed.on_snapshot(structs.replace(snapshot(100), rank=1000), stage.clock.now_ns())
    same = Bbo(symbol="BTC/USDT", bid=100.0, bid_size=1.0, ask=100.5, ask_size=1.5, rank=1001)
    assert agrees(stage.feed, same), "the count went on elsewhere, and nothing changed here"
    other = structs.replace(same, ask_size=9.0)
    assert not agrees(stage.feed, other)
    assert agrees(stage.feed, structs.replace(other, rank=1000)), "older than our book"


def test_a_probe_whose_sizes_are_cut_agrees_by_its_prices_and_as_many_digits():
    stage = Stage(from_rest=False)
    stage.connect()
    exact = structs.replace(snapshot(None), bids=[(100.0, 1.23456789)], asks=[(100.5, 0.0004)])
    stage.feed.on_snapshot(exact, stage.clock.now_ns())
    cut = Bbo(symbol="BTC/USDT", bid=100.0, bid_size=1.234, ask=100.5, ask_size=0.0)
    assert agrees(stage.feed, cut, 0.001) and not agrees(stage.feed, cut)
    assert not agrees(stage.feed, structs.replace(cut, bid_size=1.232), 0.001)
    assert not agrees(stage.feed, structs.replace(cut, bid=99.9), 0.001)


def test_a_quote_keeps_every_digit():
    stage = Stage()
    stage.live()
    stage.feed.on_ticker(
        Ticker(symbol="BTC/USDT", last=Decimal("100.40"), open=Decimal("80.00"), exchange_ms=10), stage.clock.now_ns()
    )
    stage.feed.on_trade(
        Trade(symbol="BTC/USDT", id="1", side="buy", price=Decimal("100.50"), size=Decimal("0.10000"), exchange_ms=11),
        stage.clock.now_ns(),
    )
    stage.feed.on_mark(MarkPrice(symbol="BTC/USDT", mark=Decimal("100.45000000")), stage.clock.now_ns())
    data = stage.quote().data
    assert (data["last"], data["open"], data["mark"]) == ("100.50", "80.00", "100.45")
    assert data["change"] == "0.256250"


def test_a_trade_that_was_missed_is_put_in_its_place():
    """A later snapshot tells it, after newer ones: the order is that of the exchange's time."""
    stage = Stage()
    for number in (1, 2, 5, 6, 3, 4, 7):
        stage.feed.on_trade(
            Trade(
                symbol="BTC/USDT",
                id=str(number),
                side="buy",
                price=Decimal(number),
                size=Decimal(1),
                exchange_ms=number,
            ),
            stage.clock.now_ns(),
        )
    assert [row["id"] for row in stage.trades().data["trades"]] == ["7", "6", "5", "4", "3", "2", "1"]
    assert last_price(stage.feed) == 7


def test_a_market_with_two_names_says_so():
    market = structs.replace(SPOT, symbol="BTC/USDC", native="BTCUSDC", quote="USDC", book_of="BTC/USDT")
    stage = Stage(market=market)
    stage.live()
    assert (stage.feed.state, stage.feed.reason) == (StreamState.LIVE, "One book with BTC/USDT, by another name.")
    stage = Stage()
    stage.live()
    assert (stage.feed.state, stage.feed.reason) == (StreamState.LIVE, "")


def test_trades_are_newest_first_and_never_twice():
    stage = Stage()
    for number in [*range(1, 260), 250, 259]:
        stage.feed.on_trade(
            Trade(
                symbol="BTC/USDT",
                id=str(number),
                side="sell",
                price=Decimal("1.00000000"),
                size=Decimal("2.5000000001"),
                exchange_ms=number,
            ),
            stage.clock.now_ns(),
        )
    rows = stage.trades().data["trades"]
    assert [row["id"] for row in rows] == [str(n) for n in range(259, 209, -1)]
    assert rows[0] == {"id": "259", "side": "sell", "price": "1.00", "size": "2.5000000001", "exchange_ms": 259}


def test_the_running_bar_is_replaced_and_an_older_one_ignored():
    stage = Stage()
    draw = stage.feed.watch(parse_topic("candles@1m:binance:BTC/USDT"))
    assert draw() is None

    def bar(open_ms: int, close: str, closed: bool = False) -> Candle:
        one = Decimal(1)
        return Candle(
            symbol="BTC/USDT",
            interval="1m",
            open_ms=open_ms,
            open=one,
            high=one,
            low=one,
            close=Decimal(close),
            base_volume=one,
            closed=closed,
        )

    for candle in (bar(0, "1"), bar(0, "2", closed=True), bar(60_000, "3"), bar(0, "9")):
        stage.feed.on_candle(candle, stage.clock.now_ns())
    bars = draw().data["bars"]
    assert [(b["open_ms"], b["close"], b["closed"]) for b in bars] == [(0, "2.00", True), (60_000, "3.00", False)]


def test_a_step_that_is_no_multiple_of_the_tick_is_refused_with_a_sentence():
    with pytest.raises(ValueError, match="tick"):
        Stage().feed.watch(parse_topic("book@0.015:binance:BTC/USDT"))


def test_what_was_there_before_a_restart_is_shown_as_old_until_a_live_book_replaces_it():
    before = Stage()
    before.live()
    saved = remember(before.feed)
    after = Stage()
    recall(after.feed, saved)
    assert after.feed.state is StreamState.STALE
    picture = after.book()
    assert picture.data["restored"] is True
    assert picture.data["bids"] == before.book().data["bids"]
    assert picture.recv_ns == saved.book_ns
    after.connect()
    assert after.feed.state is StreamState.STALE
    after.feed.on_link("book", StreamState.LIVE, "")
    after.delta(100, 101)
    assert after.feed.state is StreamState.STALE
    after.feed.on_snapshot(snapshot(100), after.clock.now_ns())
    assert after.feed.state is StreamState.LIVE
    assert "restored" not in after.book().data
