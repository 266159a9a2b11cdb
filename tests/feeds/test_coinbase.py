"""Coinbase's adapter: instruments, REST, and one connection's side of the protocol, with bytes in and events out."""

import json
from decimal import Decimal
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feeds.book import OrderBook
from feeds.domain import (
    Ack,
    Bbo,
    BookDelta,
    BookSnapshot,
    Candle,
    Closing,
    Heartbeat,
    Lost,
    Notice,
    Rejected,
    Ticker,
    Trade,
    Unknown,
)
from feeds.errors import CredentialsError, ExchangeError, ParseError, RateLimited, TransportError
from feeds.exchange import MarketIndex
from feeds.exchanges.coinbase import Coinbase
from feeds.ledger import Ledger
from tests.documented import Documented, below
from tests.feeds.coinbase_world import (
    INDEX,
    SENT_MS,
    book,
    fixture,
    frame,
    frames_of,
    listed,
    market,
    rest_body,
    session,
    sub,
    trade,
)
from tests.shared import shared_file

ADAPTER = Coinbase(now_s=lambda: 1_786_309_548.0)
BTC = INDEX["BTC/USD"]
HEARTBEATS = {"heartbeats": ["heartbeats"]}


def opened() -> Any:
    """A session whose heartbeats are confirmed by frame 0."""
    made = session()
    made.opening()
    made.parse(frame("subscriptions", 0, listed(**HEARTBEATS)))
    return made


class TestInstruments:
    ROW: ClassVar[dict[str, Any]] = {
        "product_id": "BTC-USD",
        "product_type": "SPOT",
        "base_increment": "0.00000001",
        "quote_increment": "0.01",
        "price_increment": "0.05",
        "quote_min_size": "1",
        "base_min_size": "0.0001",
        "base_currency_id": "BTC",
        "quote_currency_id": "USD",
        "status": "online",
        "alias": "",
        "alias_to": ["BTC-USDC"],
    }

    def parse(self, *rows: Any) -> list[Any]:
        (request,) = ADAPTER.markets_requests()
        return ADAPTER.parse_markets(request, json.dumps({"products": rows}).encode())

    def test_the_request_is_public(self) -> None:
        (request,) = ADAPTER.markets_requests()
        assert request.path == "/api/v3/brokerage/market/products"
        assert request.params == (("product_type", "SPOT"),)

    def test_a_row(self) -> None:
        (found,) = self.parse(self.ROW)
        assert (found.symbol, found.native, found.base, found.quote) == ("BTC/USD", "BTC-USD", "BTC", "USD")
        assert (found.tick, found.lot) == (Decimal("0.05"), Decimal("0.00000001"))
        assert (found.min_size, found.min_notional, found.status) == (Decimal("0.0001"), Decimal(1), "trading")
        assert (found.settle, found.book_of) == (None, None)

    def test_the_tick_may_be_told_by_the_quote_alone(self) -> None:
        (found,) = self.parse({**self.ROW, "price_increment": ""})
        assert found.tick == Decimal("0.01")

    def test_an_alias_says_whose_book_it_has(self) -> None:
        alias = {**self.ROW, "product_id": "BTC-USDC", "quote_currency_id": "USDC", "alias": "BTC-USD", "alias_to": []}
        own = {**self.ROW, "product_id": "USDT-USDC", "base_currency_id": "USDT", "quote_currency_id": "USDC"}
        found = {each.symbol: each for each in self.parse(alias, self.ROW, own)}
        assert {symbol: each.book_of for symbol, each in found.items()} == {
            "BTC/USDC": "BTC/USD",
            "BTC/USD": None,
            "USDT/USDC": None,
        }

    def test_an_alias_of_what_is_not_listed_stands_for_itself(self) -> None:
        (found,) = self.parse({**self.ROW, "product_id": "BTC-USDC", "quote_currency_id": "USDC", "alias": "BTC-USD"})
        assert found.book_of is None

    @pytest.mark.parametrize(
        ("changes", "status"),
        [
            ({"trading_disabled": True}, "disabled"),
            ({"is_disabled": True, "post_only": True}, "disabled"),
            ({"cancel_only": True, "limit_only": True}, "cancel_only"),
            ({"limit_only": True}, "limit_only"),
            ({"post_only": True}, "post_only"),
            ({"auction_mode": True}, "auction"),
            ({"view_only": True}, "view_only"),
            ({"status": "delisted"}, "delisted"),
            ({"status": ""}, "unknown"),
        ],
    )
    def test_status(self, changes: dict[str, Any], status: str) -> None:
        (found,) = self.parse({**self.ROW, **changes})
        assert found.status == status

    @pytest.mark.parametrize(
        "changes",
        [
            {"base_increment": "0"},
            {"base_increment": "NaN"},
            {"price_increment": "1e-2"},
            {"base_currency_id": ""},
            {"trading_disabled": "no"},
        ],
    )
    def test_a_strange_row_costs_no_other(self, changes: dict[str, Any]) -> None:
        assert [each.symbol for each in self.parse({**self.ROW, **changes}, {**self.ROW})] == ["BTC/USD"]
        with pytest.raises(ParseError, match="none of 1 instruments"):
            self.parse({**self.ROW, **changes})

    def test_other_products_are_left_out(self) -> None:
        assert self.parse({**self.ROW, "product_type": "FUTURE", "base_currency_id": ""}) == []


class TestAsking:
    def test_heartbeats_come_first_on_every_connection(self) -> None:
        made = session()
        assert [json.loads(text) for text in made.opening()] == [{"type": "subscribe", "channel": "heartbeats"}]
        assert json.loads(made.keepalive()) == {"type": "subscribe", "channel": "heartbeats"}, "not confirmed yet"
        made.parse(frame("subscriptions", 0, listed(**HEARTBEATS)))
        assert made.keepalive() is None

    def test_one_channel_a_message_and_shared_streams_once(self) -> None:
        wanted = [sub("book"), sub("bbo"), sub("ticker"), sub("trades"), sub("candles", interval="1m")]
        wanted += [sub("candles", interval="5m"), sub("book", "ETH/USD")]
        sent = [json.loads(text) for text in opened().subscribe(wanted)]
        assert {each["channel"]: each["product_ids"] for each in sent} == {
            "level2": ["BTC-USD", "ETH-USD"],
            "ticker": ["BTC-USD"],
            "market_trades": ["BTC-USD"],
            "candles": ["BTC-USD"],
        }

    def test_twenty_products_a_message(self) -> None:
        index = MarketIndex([market(f"A{n}-USD") for n in range(45)])
        sent = Coinbase().session("spot", index).subscribe([sub("book", f"A{n}/USD") for n in range(45)])
        assert [len(json.loads(text)["product_ids"]) for text in sent] == [20, 20, 5]

    @pytest.mark.parametrize(
        "wanted", [sub("mark"), sub("candles", interval="1h"), sub("book", "NO/SUCH"), sub("book", "BTC/USDC")]
    )
    def test_what_cannot_be_asked_for_here(self, wanted: Any) -> None:
        with pytest.raises(ValueError, match=str(wanted.symbol)):
            session().subscribe([wanted])

    def test_an_alias_has_connections_of_its_own_on_which_the_other_name_means_it(self) -> None:
        alias = INDEX["BTC/USDC"]
        assert ADAPTER.route(sub("book", "BTC/USDC"), alias) == "spot-usdc"
        assert ADAPTER.route(sub("book"), BTC) == "spot"
        made = session("spot-usdc")
        (text,) = made.subscribe([sub("book", "BTC/USDC")])
        assert json.loads(text)["product_ids"] == ["BTC-USD"]
        ack, snapshot = made.parse(frame("l2_data", 0, book("snapshot", bid={"1": "1"}, offer={"2": "1"})))
        assert ack == Ack(subscriptions=(sub("book", "BTC/USDC"),))
        assert snapshot.symbol == "BTC/USDC"
        assert made.parse(frame("l2_data", 1, book("snapshot", "ETH-USD", bid={"1": "1"}, offer={"2": "1"}))) == []

    def test_an_alias_does_not_bend_the_others_name(self) -> None:
        """A frame that says BTC-USDC, which none should, is nobody's."""
        assert session().parse(frame("l2_data", 0, book("snapshot", "BTC-USDC", bid={"1": "1"}))) == []


class TestAnswers:
    def test_the_list_acknowledges_what_stands_in_it(self) -> None:
        made = opened()
        made.subscribe([sub("book"), sub("book", "ETH/USD"), sub("trades")])
        (ack,) = made.parse(frame("subscriptions", 1, listed(level2=["BTC-USD"], **HEARTBEATS)))
        assert ack == Ack(subscriptions=(sub("book"),))
        (ack,) = made.parse(frame("subscriptions", 2, listed(level2=["ETH-USD", "BTC-USD"], market_trades=["BTC-USD"])))
        assert set(ack.subscriptions) == {sub("book", "ETH/USD"), sub("trades")}
        assert made.parse(frame("subscriptions", 3, listed(level2=["ETH-USD", "BTC-USD"]))) == []

    def test_a_snapshot_acknowledges_as_well(self) -> None:
        """It comes before the list, as recorded; should the list be lost, the market must not be given up."""
        made = opened()
        made.subscribe([sub("book"), sub("trades")])
        events = made.parse(frame("l2_data", 1, book("snapshot", bid={"1": "1"}, offer={"2": "1"})))
        assert [type(each) for each in events] == [Ack, BookSnapshot]
        events = made.parse(frame("market_trades", 2, {"type": "snapshot", "trades": [trade(5, 1000)]}))
        assert events[0] == Ack(subscriptions=(sub("trades"),))

    def test_an_end_is_what_is_no_longer_listed(self) -> None:
        made = opened()
        made.subscribe([sub("book"), sub("book", "ETH/USD")])
        made.parse(frame("subscriptions", 1, listed(level2=["BTC-USD", "ETH-USD"])))
        (text,) = made.unsubscribe([sub("book")])
        assert json.loads(text) == {"type": "unsubscribe", "channel": "level2", "product_ids": ["BTC-USD"]}
        assert made.parse(frame("subscriptions", 2, listed(level2=["BTC-USD", "ETH-USD"]))) == []
        (ack,) = made.parse(frame("subscriptions", 3, listed(level2=["ETH-USD"])))
        assert ack == Ack(subscriptions=(sub("book"),), ended=True)

    def test_the_answer_to_an_earlier_message_ends_nothing(self) -> None:
        """Asked for and ended before the first answer: the list without it may be of a message before both."""
        made = opened()
        made.subscribe([sub("trades")])
        made.subscribe([sub("book")])
        made.unsubscribe([sub("book")])
        (ack,) = made.parse(frame("subscriptions", 1, listed(market_trades=["BTC-USD"])))
        assert ack == Ack(subscriptions=(sub("trades"),))
        (ack,) = made.parse(frame("subscriptions", 2, listed(market_trades=["BTC-USD"], level2=["BTC-USD"])))
        assert ack == Ack(subscriptions=(sub("book"),))
        (ack,) = made.parse(frame("subscriptions", 3, listed(market_trades=["BTC-USD"])))
        assert ack == Ack(subscriptions=(sub("book"),), ended=True)

    def test_a_shared_stream_goes_on(self) -> None:
        made = opened()
        made.subscribe([sub("ticker"), sub("bbo")])
        made.parse(frame("subscriptions", 1, listed(ticker=["BTC-USD"], **HEARTBEATS)))
        assert made.unsubscribe([sub("bbo")]) == []
        assert made.parse(frame("heartbeats", 2, {"heartbeat_counter": 1})) == [
            Ack(subscriptions=(sub("bbo"),), ended=True),
            Heartbeat(),
        ]
        assert made.subscribe([sub("bbo")]) == [], "it runs already"
        assert made.parse(frame("heartbeats", 3, {"heartbeat_counter": "2"}))[0] == Ack(subscriptions=(sub("bbo"),))
        assert len(made.unsubscribe([sub("bbo"), sub("ticker")])) == 1

    def test_an_error_is_about_the_oldest_message_that_waits(self) -> None:
        made = opened()
        made.subscribe([sub("book"), sub("book", "ETH/USD")])
        made.subscribe([sub("trades")])
        (rejected,) = made.parse('{"type":"error","message":"failure to subscribe"}')
        assert rejected == Rejected(
            subscriptions=(sub("book"), sub("book", "ETH/USD")), reason="failure to subscribe", code=None
        )
        (ack,) = made.parse(frame("subscriptions", 1, listed(market_trades=["BTC-USD"])))
        assert ack.subscriptions == (sub("trades"),)
        (notice,) = made.parse('{"type":"error","message":"Failed","reason":"too old"}')
        assert notice == Notice(text="Coinbase says: Failed too old"), "nothing waits: nobody is to blame"

    def test_too_often_blames_nobody(self) -> None:
        made = opened()
        made.subscribe([sub("book")])
        (notice,) = made.parse('{"type":"error","message":"Rate limit exceeded"}')
        assert isinstance(notice, Notice)
        (ack,) = made.parse(frame("subscriptions", 1, listed(level2=["BTC-USD"])))
        assert ack.subscriptions == (sub("book"),)

    def test_without_heartbeats_the_connection_is_given_up(self) -> None:
        made = session()
        made.opening()
        (closing,) = made.parse('{"type":"error","message":"authentication failure"}')
        assert closing == Closing(reason="the heartbeats were refused: authentication failure")

    def test_the_guilty_market_is_found_by_halves(self) -> None:
        """With the ledger that asks: of eight markets one is refused, the others get their books."""
        index = MarketIndex([market(f"A{n}-USD") for n in range(8)])
        made, ledger = Coinbase().session("spot", index), Ledger(answer_s=10, end_s=5)
        ledger.add([sub("book", f"A{n}/USD") for n in range(8)])
        refused: list[Any] = []
        accepted: list[str] = []
        number = messages = 0
        while batch := ledger.next():
            for text in made.subscribe(batch.subscriptions):
                messages += 1
                products = json.loads(text)["product_ids"]
                if "A5-USD" in products:
                    events = made.parse('{"type":"error","message":"failure to subscribe"}')
                else:
                    accepted += products
                    events = made.parse(frame("subscriptions", number, listed(level2=accepted)))
                    number += 1
                for event in events:
                    if isinstance(event, Rejected):
                        refused += ledger.refused(event.subscriptions)
                    else:
                        ledger.accepted(event.subscriptions)
        assert refused == [sub("book", "A5/USD")]
        assert len(accepted) == 7
        assert messages == 7


class TestCounting:
    def numbers(self, *numbers: int) -> list[Any]:
        made = session()
        return [made.parse(frame("heartbeats", number, {"heartbeat_counter": 1})) for number in numbers]

    def test_without_a_hole(self) -> None:
        assert self.numbers(0, 1, 2) == [[Heartbeat()]] * 3

    def test_the_first_number_is_where_it_begins(self) -> None:
        assert self.numbers(7, 8) == [[Heartbeat()]] * 2

    def test_a_hole_is_told_before_the_frame_after_it(self) -> None:
        assert self.numbers(0, 4, 5) == [[Heartbeat()], [Lost(frames=3), Heartbeat()], [Heartbeat()]]

    def test_what_is_not_newer_is_old_news(self) -> None:
        assert self.numbers(0, 1, 1, 3, 2, 4) == [
            *([[Heartbeat()]] * 2),
            [],
            [Lost(frames=1), Heartbeat()],
            [],
            [Heartbeat()],
        ]

    def test_a_frame_of_a_book_that_cannot_be_read_is_missing(self) -> None:
        made = session()
        made.parse(frame("heartbeats", 0, {}))
        broken = frame("l2_data", 1, book("update", bid={"nan": "1"}))
        with pytest.raises(ParseError):
            made.parse(broken)
        assert made.parse(frame("heartbeats", 2, {})) == [Lost(frames=1), Heartbeat()]

    def test_a_broken_half_is_missing_and_noise_is_not(self) -> None:
        made = session()
        made.parse(frame("heartbeats", 0, {}))
        for raw in (b"\x00{not json", '{"channel":"l2_data","client'):
            with pytest.raises(ParseError):
                made.parse(raw)
        assert made.parse(frame("heartbeats", 1, {})) == [Heartbeat()]

    @pytest.mark.parametrize("channel", ["ticker", "market_trades", "candles", "subscriptions"])
    def test_one_of_another_kind_that_cannot_be_read_costs_no_book(self, channel: str) -> None:
        made = session()
        made.parse(frame("heartbeats", 0, {}))
        with pytest.raises(ParseError):
            made.parse(frame(channel, 1, {"strange": True}))
        assert made.parse(frame("heartbeats", 2, {})) == [Heartbeat()]

    def test_one_of_an_unknown_kind_counts_like_any_other(self) -> None:
        made = session()
        made.parse(frame("heartbeats", 0, {}))
        assert made.parse(frame("tea", 1, {"strange": True})) == [Unknown(what="channel tea")]
        assert made.parse(frame("heartbeats", 2, {})) == [Heartbeat()]

    def test_a_hole_before_one_that_cannot_be_read_is_not_forgotten(self) -> None:
        made = session()
        made.parse(frame("heartbeats", 0, {}))
        with pytest.raises(ParseError):
            made.parse(frame("ticker", 3, {"strange": True}))
        assert made.parse(frame("heartbeats", 4, {})) == [Lost(frames=2), Heartbeat()]

    @pytest.mark.parametrize("raw", ["{}", "[]", "null", '{"type":"welcome"}', '{"channel":"heartbeats","events":[]}'])
    def test_neither_data_nor_error(self, raw: str) -> None:
        with pytest.raises(ParseError):
            session().parse(raw)


class TestBooks:
    def test_snapshot_and_update(self) -> None:
        made = session()
        (snapshot,) = made.parse(
            frame("l2_data", 4, book("snapshot", bid={"100.5": "1.25", "100": "2"}, offer={"101": "0.5"}))
        )
        assert snapshot == BookSnapshot(
            symbol="BTC/USD", bids=[(100.5, 1.25), (100.0, 2.0)], asks=[(101.0, 0.5)], seq=4, exchange_ms=SENT_MS
        )
        (delta,) = made.parse(frame("l2_data", 5, book("update", bid={"100.5": "0"}, offer={"101": "0.00000000"})))
        assert delta == BookDelta(
            symbol="BTC/USD", bids=[(100.5, 0.0)], asks=[(101.0, 0.0)], seq=5, exchange_ms=SENT_MS
        )

    def test_several_events_of_a_product_become_one_book(self) -> None:
        made = session()
        events = made.parse(
            frame(
                "l2_data",
                0,
                book("snapshot", bid={"100": "1", "99": "1"}, offer={"101": "1"}),
                book("snapshot", "ETH-USD", bid={"10": "1"}, offer={"11": "1"}),
                book("update", bid={"100": "0", "98": "3"}, offer={"100.5": "2"}),
            )
        )
        assert [each.symbol for each in events] == ["BTC/USD", "ETH/USD"]
        ours = OrderBook()
        ours.replace(events[0])
        assert (ours.bid, ours.ask) == ((99.0, 1.0), (100.5, 2.0))
        assert ours.bids.top(5) == [(99.0, 1.0), (98.0, 3.0)]
        (delta,) = made.parse(
            frame("l2_data", 1, book("update", bid={"99": "0"}), book("update", bid={"99": "5"}, offer={"101": "0"}))
        )
        assert ours.apply(delta)
        assert (ours.bid, ours.asks.top(5)) == ((99.0, 5.0), [(100.5, 2.0)])
        (snapshot,) = made.parse(frame("l2_data", 2, book("update", bid={"1": "1"}), book("snapshot", bid={"7": "1"})))
        assert snapshot.bids == [(7.0, 1.0)]

    def test_the_channel_may_stand_anywhere(self) -> None:
        body = json.loads(frame("l2_data", 0, book("snapshot", bid={str(n): "1" for n in range(1, 50)})))
        text = json.dumps({"events": body["events"], "timestamp": body["timestamp"], "sequence_num": 0, **body})
        text = json.dumps(dict(sorted(json.loads(text).items(), reverse=True)))
        assert text.index("l2_data") > 160
        (snapshot,) = session().parse(text)
        assert len(snapshot.bids) == 49

    @pytest.mark.parametrize(
        "levels",
        [{"bid": {"-1": "1"}}, {"bid": {"0": "1"}}, {"bid": {"1": "-1"}}, {"bid": {"inf": "1"}}, {"ask": {"1": "1"}}],
    )
    def test_no_price_no_size_no_side(self, levels: dict[str, dict[str, str]]) -> None:
        with pytest.raises(ParseError):
            session().parse(frame("l2_data", 0, book("update", **levels)))

    def test_a_product_that_is_not_listed_is_understood_and_nobodys(self) -> None:
        assert session().parse(frame("l2_data", 0, book("update", "NEW-USD", bid={"1": "1"}))) == []


class TestPrices:
    ROW: ClassVar[dict[str, Any]] = {
        "type": "ticker",
        "product_id": "BTC-USD",
        "price": "65086.18",
        "volume_24_h": "2867.54532609",
        "low_24_h": "64675.22",
        "high_24_h": "65252.99",
        "price_percent_chg_24_h": "-0.09601107287722",
        "best_bid": "65083.66",
        "best_ask": "65083.67",
        "best_bid_quantity": "0.20371215",
        "best_ask_quantity": "0.24290402",
    }

    def parse(self, channel: str = "ticker", **changes: Any) -> list[Any]:
        return session().parse(frame(channel, 0, {"type": "update", "tickers": [{**self.ROW, **changes}]}))

    def test_ticker(self) -> None:
        bbo, ticker = self.parse()
        assert bbo == Bbo(
            symbol="BTC/USD",
            bid=65083.66,
            bid_size=0.20371215,
            ask=65083.67,
            ask_size=0.24290402,
            exchange_ms=SENT_MS,
        )
        assert ticker == Ticker(
            symbol="BTC/USD",
            last=Decimal("65086.18"),
            high=Decimal("65252.99"),
            low=Decimal("64675.22"),
            change=Decimal("-0.0009601107287722"),
            base_volume=Decimal("2867.54532609"),
            exchange_ms=SENT_MS,
        )

    def test_the_batch_has_no_best_prices(self) -> None:
        nothing = dict.fromkeys(("best_bid", "best_ask", "best_bid_quantity", "best_ask_quantity"), "")
        (ticker,) = self.parse("ticker_batch", **nothing)
        assert isinstance(ticker, Ticker)

    def test_a_market_without_a_trade(self) -> None:
        (bbo,) = self.parse(price="", high_24_h="", low_24_h="", price_percent_chg_24_h="")
        assert isinstance(bbo, Bbo)

    @pytest.mark.parametrize("wrong", [{"price": "NaN"}, {"price": "-1"}, {"volume_24_h": "1e5"}, {"best_bid": "x"}])
    def test_no_amounts(self, wrong: dict[str, str]) -> None:
        with pytest.raises(ParseError, match=next(iter(wrong.values())).strip("-")):
            self.parse(**wrong)


class TestTrades:
    def test_the_makers_side_is_turned_round_and_the_oldest_comes_first(self) -> None:
        rows = [trade(12, 2000, side="SELL"), trade(11, 1500, price="99.5", size="0.25"), trade(10, 1000)]
        events = session().parse(frame("market_trades", 0, {"type": "update", "trades": rows}))
        assert [(each.id, each.side, each.price, each.size) for each in events] == [
            ("10", "sell", Decimal(100), Decimal(1)),
            ("11", "sell", Decimal("99.5"), Decimal("0.25")),
            ("12", "buy", Decimal(100), Decimal(1)),
        ]
        assert events[2].exchange_ms - events[0].exchange_ms == 1000

    @pytest.mark.parametrize("wrong", [{"trade_id": "a"}, {"side": "buy"}, {"size": "-1"}, {"time": "yesterday"}])
    def test_what_is_no_trade(self, wrong: dict[str, str]) -> None:
        with pytest.raises(ParseError):
            session().parse(frame("market_trades", 0, {"type": "update", "trades": [{**trade(1, 0), **wrong}]}))


class TestRest:
    def test_books(self) -> None:
        request = ADAPTER.snapshot_request(BTC)
        assert request.path == "/api/v3/brokerage/market/product_book"
        assert request.params == (("product_id", "BTC-USD"), ("limit", "500"))
        assert ADAPTER.probe_request(BTC).params[1] == ("limit", "1")

    def test_candles_are_asked_for_by_time(self) -> None:
        request = ADAPTER.candles_request(BTC, "1m", 500)
        assert request.path == "/api/v3/brokerage/market/products/BTC-USD/candles"
        assert dict(request.params) == {
            "start": str(1_786_309_500 - 349 * 60),
            "end": "1786309548",
            "granularity": "ONE_MINUTE",
            "limit": "350",
        }
        four = dict(ADAPTER.candles_request(BTC, "4h", 500).params)
        assert four["granularity"] == "TWO_HOUR"
        assert int(four["start"]) % 14_400 == 0
        assert (int(four["end"]) - int(four["start"])) / 7200 <= 350

    def test_four_hours_are_two_of_two(self) -> None:
        rows = [
            {"start": str(start * 7200), "low": low, "high": high, "open": "2", "close": close, "volume": "1.5"}
            for start, low, high, close in ((5, "1", "3", "2.5"), (4, "1.5", "4", "2"), (3, "1", "2", "2"))
        ]
        first, second = ADAPTER.parse_candles(BTC, "4h", json.dumps({"candles": rows}).encode())
        assert (first.open_ms, first.closed, first.base_volume) == (2 * 7200_000, True, Decimal("1.5"))
        assert second == Candle(
            symbol="BTC/USD",
            interval="4h",
            open_ms=4 * 7200_000,
            open=Decimal(2),
            high=Decimal(4),
            low=Decimal(1),
            close=Decimal("2.5"),
            base_volume=Decimal(3),
        )

    def test_no_bar_comes_twice(self) -> None:
        row = {"start": "60", "low": "1", "high": "1", "open": "1", "close": "1", "volume": "1"}
        with pytest.raises(ParseError, match="two bars begin at one time"):
            ADAPTER.parse_candles(BTC, "1m", json.dumps({"candles": [row, row]}).encode())
        assert ADAPTER.parse_candles(BTC, "1m", b'{"candles":[]}') == []

    @pytest.mark.parametrize(
        ("status", "raw", "kind"),
        [
            (200, b"{}", None),
            (404, b'{"error":"NOT_FOUND","error_details":"x","message":"gone"}', ExchangeError),
            (400, b'{"error":"INVALID_ARGUMENT","message":"start"}', ExchangeError),
            (401, b"Unauthorized", CredentialsError),
            (403, b"<html>", TransportError),
            (404, b"<html>", TransportError),
            (429, b'{"errors":[{"id":"rate_limit_exceeded","message":"Too many requests"}]}', RateLimited),
            (503, b'{"error":"UNKNOWN"}', TransportError),
        ],
    )
    def test_errors(self, status: int, raw: bytes, kind: type | None) -> None:
        error = ADAPTER.error_of(status, raw, {})
        assert type(error) is (kind or type(None))
        if isinstance(error, ExchangeError) and status == 404:
            assert "NOT_FOUND: gone" in str(error)

    def test_the_wait_is_what_the_answer_says(self) -> None:
        error = ADAPTER.error_of(429, b"", {"Retry-After": "7"})
        assert isinstance(error, RateLimited)
        assert error.retry_after_s == 7


PUBLIC = "Endpoints/AdvancedTrade/ExchangeData/"
STREAM = "Subscriptions/AdvancedTrade/"
USED = {f"{PUBLIC}{name}.txt" for name in ("GetKlines", "GetOrderBook", "GetSymbols")} | {
    f"{STREAM}{name}.txt" for name in ("BatchTicker", "Heartbeat", "Klines", "Ticker", "Trades")
}
NOT_USED = {
    "Endpoints/AdvancedTrade/Account/": "private",
    "Endpoints/AdvancedTrade/Trading/": "private",
    f"{PUBLIC}GetAggregatedOrderBook.txt": "the Exchange API's book, another product",
    f"{PUBLIC}GetAssets.txt": "the Exchange API's currencies: we need instruments only",
    f"{PUBLIC}GetCryptoAssets.txt": "the retail site's currencies: we need instruments only",
    f"{PUBLIC}GetFiatAssets.txt": "the retail site's currencies: we need instruments only",
    f"{PUBLIC}GetExchangeRates.txt": "the retail site's rates: no market data",
    f"{PUBLIC}GetTradeHistory.txt": "trades come by stream, and begin with the last hundred",
    f"{STREAM}Concurrent.txt": "its candles have a product and no figures: they test another client's matching only",
    f"{STREAM}FuturesBalance.txt": "private; understood, without an event",
    f"{STREAM}Symbol.txt": "instruments come by REST; understood, without an event",
    f"{STREAM}User.txt": "private; understood, without an event",
}


class TestDocumentedExamples:
    def test_every_file_is_used_or_has_a_reason(self) -> None:
        root = shared_file("fixtures/coinbase")
        files = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
        unexplained = {name for name in files - USED if not name.startswith(tuple(NOT_USED))}
        assert unexplained == set()
        assert files >= USED

    def parse(self, name: str) -> list[Any]:
        """The data of an example: their numbers do not belong together, so each has a connection of its own."""
        return [event for raw in frames_of(f"{STREAM}{name}.txt") for event in session().parse(raw)]

    @pytest.mark.parametrize("name", ["FuturesBalance", "Symbol", "User"])
    def test_what_we_do_not_use_is_understood(self, name: str) -> None:
        assert self.parse(name) == []

    def test_candles_without_figures_are_not_understood(self) -> None:
        *replies, first, second = frames_of(f"{STREAM}Concurrent.txt")
        assert [session().parse(raw) for raw in replies] == [[], []]
        for raw in (first, second):
            with pytest.raises(ParseError, match="missing required field"):
                session().parse(raw)

    def test_ticker(self) -> None:
        bbo, ticker = self.parse("Ticker")
        assert (bbo.symbol, bbo.bid, bbo.bid_size, bbo.ask, bbo.ask_size) == (
            "ETH/USDT",
            21931.98,
            8000.21,
            21933.98,
            8038.07770938,
        )
        assert (ticker.last, ticker.change) == (Decimal("21932.98"), Decimal("-0.0415775596190603"))
        assert (ticker.high, ticker.low) == (Decimal("23011.18"), Decimal("21835.29"))
        assert ticker.base_volume == Decimal("16038.28770938")
        assert self.parse("BatchTicker") == [ticker]

    def test_trades(self) -> None:
        first, second = self.parse("Trades")
        assert first == Trade(
            symbol="ETH/USDT",
            id="22381690",
            side="sell",
            price=Decimal("2375.56"),
            size=Decimal("0.5"),
            exchange_ms=1_728_026_011_084,
        )
        assert (second.id, second.exchange_ms) == ("22381691", 1_728_026_011_088)

    def test_candles(self) -> None:
        (bar,) = self.parse("Klines")
        assert bar == Candle(
            symbol="ETH/USDT",
            interval="5m",
            open_ms=1_688_998_200_000,
            open=Decimal("1867.38"),
            high=Decimal("1867.72"),
            low=Decimal("1865.63"),
            close=Decimal("1866.81"),
            base_volume=Decimal("0.20269406"),
        )

    def test_heartbeat_with_its_answer_on_one_connection(self) -> None:
        made = session()
        made.opening()
        assert [made.parse(raw) for raw in frames_of(f"{STREAM}Heartbeat.txt")] == [[], [Heartbeat()]]

    def test_book_by_rest(self) -> None:
        snapshot = ADAPTER.parse_snapshot(INDEX["ETH/USDT"], rest_body(f"{PUBLIC}GetOrderBook.txt"))
        assert (snapshot.bids, snapshot.asks) == ([(2452.77, 0.32700476)], [(2453.62, 0.38)])
        assert (snapshot.depth, snapshot.exchange_ms) == (1, 1_727_868_152_748)
        best = ADAPTER.parse_probe(INDEX["ETH/USDT"], rest_body(f"{PUBLIC}GetOrderBook.txt"))
        assert (best.bid, best.ask_size) == (2452.77, 0.38)

    def test_candles_by_rest(self) -> None:
        (bar,) = ADAPTER.parse_candles(INDEX["ETH/USDT"], "1m", rest_body(f"{PUBLIC}GetKlines.txt"))
        assert (bar.open_ms, bar.low, bar.base_volume) == (1_639_508_040_000, Decimal("140.21"), Decimal(56437345))

    def test_products(self) -> None:
        """The example is of no product type; as a spot market it would be one to look at only."""
        (request,) = ADAPTER.markets_requests()
        body = rest_body(f"{PUBLIC}GetSymbols.txt")
        assert ADAPTER.parse_markets(request, body) == []
        (found,) = ADAPTER.parse_markets(request, body.replace(b"UNKNOWN_PRODUCT_TYPE", b"SPOT", 1))
        assert (found.symbol, found.status, found.book_of) == ("BTC/USD", "view_only", None)
        assert (found.tick, found.lot) == (Decimal("1E-8"), Decimal("1E-8"))


DOCUMENTED = ["Ticker", "Trades", "Klines", "Heartbeat", "BatchTicker", "Symbol", "User"]


def examples() -> list[bytes]:
    made = [raw.encode() for name in DOCUMENTED for raw in frames_of(f"{STREAM}{name}.txt")]
    made.append(frame("l2_data", 3, book("snapshot", bid={"1": "2", "0.5": "1"}, offer={"3": "1"})).encode())
    made.append(frame("subscriptions", 3, listed(level2=["BTC-USD"])).encode())
    made.append(b'{"type":"error","message":"authentication failure"}')
    return made


class TestBadInput:
    @settings(max_examples=300, deadline=None)
    @given(data=st.data())
    def test_only_parse_errors_come_out(self, data: st.DataObject) -> None:
        raw = bytearray(data.draw(st.sampled_from(examples())))
        for _ in range(data.draw(st.integers(1, 6))):
            at = data.draw(st.integers(0, len(raw) - 1))
            kind = data.draw(st.sampled_from(["set", "cut", "double", "digit"]))
            if kind == "set":
                raw[at] = data.draw(st.integers(0, 255))
            elif kind == "digit":
                raw[at] = data.draw(st.sampled_from(b'0123456789-.eEnN"[]{},:'))
            elif kind == "cut":
                del raw[at : at + data.draw(st.integers(1, 20))]
            else:
                raw[at:at] = raw[at : at + data.draw(st.integers(1, 20))]
            if not raw:
                return
        made = opened()
        made.subscribe([sub("book"), sub("trades"), sub("candles", interval="1m")])
        try:
            made.parse(bytes(raw))
        except ParseError as error:
            assert str(error)

    @settings(max_examples=100, deadline=None)
    @given(raw=st.one_of(st.binary(max_size=200), st.text(max_size=200)))
    def test_noise(self, raw: bytes | str) -> None:
        with pytest.raises(ParseError):
            session().parse(raw)

    @pytest.mark.parametrize("name", ["GetKlines", "GetOrderBook", "GetSymbols"])
    @settings(max_examples=60, deadline=None)
    @given(data=st.data())
    def test_rest_answers(self, name: str, data: st.DataObject) -> None:
        raw = bytearray(rest_body(f"{PUBLIC}{name}.txt"))
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
        (request,) = ADAPTER.markets_requests()
        try:
            if name == "GetSymbols":
                ADAPTER.parse_markets(request, bytes(raw))
            elif name == "GetKlines":
                ADAPTER.parse_candles(BTC, "1m", bytes(raw))
            else:
                ADAPTER.parse_snapshot(BTC, bytes(raw))
        except ParseError as error:
            assert "Coinbase" in str(error)

    def test_the_documented_examples_are_there(self) -> None:
        assert all(fixture(f"{STREAM}{name}.txt") for name in DOCUMENTED)


Levels = st.dictionaries(st.integers(1, 60), st.integers(0, 5), max_size=8)


class TestTheEquation:
    @settings(max_examples=80, deadline=None)
    @given(first=Levels, steps=st.lists(st.tuples(Levels, Levels), max_size=12))
    def test_snapshot_and_changes_are_the_later_snapshot(self, first: dict[int, int], steps: list[Any]) -> None:
        """Bids in cents below 100, offers above; a naive dictionary beside the adapter and the book."""
        made, ours = session(), OrderBook()
        bids: dict[int, int] = {p: s for p, s in first.items() if s}
        asks: dict[int, int] = {100: 1}

        def texts(levels: dict[int, int], sign: int) -> dict[str, str]:
            return {f"{(10_000 + sign * price) / 100:.2f}": f"{size}.0000" for price, size in levels.items()}

        (snapshot,) = made.parse(frame("l2_data", 0, book("snapshot", bid=texts(bids, -1), offer=texts(asks, 1))))
        ours.replace(snapshot)
        for number, (more_bids, more_asks) in enumerate(steps, start=1):
            events = made.parse(
                frame("l2_data", number, book("update", bid=texts(more_bids, -1), offer=texts(more_asks, 1)))
            )
            for event in events:
                ours.apply(event)
            for side, changes in ((bids, more_bids), (asks, more_asks)):
                side.update(changes)
                for price in [price for price, size in side.items() if not size]:
                    del side[price]
        (later,) = made.parse(
            frame("l2_data", len(steps) + 1, book("snapshot", bid=texts(bids, -1), offer=texts(asks, 1)))
        )
        assert dict(later.bids) == ours.bids.levels
        assert dict(later.asks) == ours.asks.levels


DOCUMENTED = Documented(
    "coinbase",
    {
        "Endpoints/AdvancedTrade/ExchangeData/GetKlines.txt": "test_candles_by_rest",
        "Endpoints/AdvancedTrade/ExchangeData/GetOrderBook.txt": "test_book_by_rest",
        "Endpoints/AdvancedTrade/ExchangeData/GetSymbols.txt": "test_products",
        **dict.fromkeys(
            below(
                "Subscriptions/AdvancedTrade",
                "BatchTicker Ticker",
            ),
            "test_ticker",
        ),
        "Subscriptions/AdvancedTrade/Concurrent.txt": "test_candles_without_figures_are_not_understood",
        **dict.fromkeys(
            below(
                "Subscriptions/AdvancedTrade",
                "FuturesBalance Symbol User",
            ),
            "test_what_we_do_not_use_is_understood",
        ),
        "Subscriptions/AdvancedTrade/Heartbeat.txt": "test_heartbeat_with_its_answer_on_one_connection",
        "Subscriptions/AdvancedTrade/Klines.txt": "test_candles",
        "Subscriptions/AdvancedTrade/Trades.txt": "test_trades",
    },
    {name: why for name, why in NOT_USED.items() if name.startswith(PUBLIC)},
)
