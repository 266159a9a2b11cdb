"""LMEX's protocol: what we send, what the answers and frames mean, the REST calls, the recordings of BTSE."""

import contextlib
import gzip
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from feeds.book import OrderBook
from feeds.domain import (
    Ack,
    Bbo,
    BookDelta,
    BookSnapshot,
    Candle,
    Channel,
    Closing,
    Event,
    Heartbeat,
    MarkPrice,
    Notice,
    Rejected,
    Subscription,
    Ticker,
    Trade,
    Unknown,
)
from feeds.errors import CredentialsError, ExchangeError, ParseError, RateLimited, TransportError
from feeds.exchange import MarketIndex, Session
from feeds.exchanges import recorded_as
from feeds.exchanges.lmex import Lmex
from feeds.recordings.verify import verify
from feeds.sync import BookSync
from tests.feeds import lmex_frames as frames
from tests.feeds.lmex_frames import MARKETS, PERP, SPOT
from tests.shared import shared_file

RECORDINGS = ("btse-futures_2025-10_roq", "btse-futures_2026-09-23")


def session(route: str = "futures-book", adapter: Lmex | None = None, markets: MarketIndex = MARKETS) -> Session:
    return (adapter or Lmex()).session(route, markets)


def want(channel: Channel, symbol: str = PERP.symbol, interval: str | None = None) -> Subscription:
    return Subscription(channel=channel, symbol=symbol, interval=interval)


BOOK, BEST, TRADES = want(Channel.BOOK), want(Channel.BBO), want(Channel.TRADES)
ETH_BOOK = want(Channel.BOOK, "ETH/USDT:USDT")


def sent(messages: Sequence[str]) -> list[dict[str, Any]]:
    return [json.loads(message) for message in messages]


def one(events: Sequence[Event]) -> Any:
    (event,) = events
    return event


def answers(talk: Session, frame: str) -> list[Event]:
    """The events of an acknowledgement and, as it is not known to be all before, of the frame after it."""
    return [e for e in [*talk.parse(frame), *talk.parse("pong")] if not isinstance(e, Heartbeat)]


def ack(*topics: str, event: str = "subscribe") -> str:
    return json.dumps({"event": event, "channel": topics})


class TestAsking:
    def test_books_and_best_prices(self) -> None:
        assert sent(session().subscribe([BOOK, BEST])) == [
            {"op": "subscribe", "args": ["update:BTC-PERP_0", "snapshotL1:BTC-PERP_0"]}
        ]
        assert sent(session("spot-book").subscribe([want(Channel.BBO, "BTC/USD")])) == [
            {"op": "subscribe", "args": ["snapshotL1:BTC-USD"]}
        ]

    def test_ending(self) -> None:
        talk = session()
        talk.subscribe([BOOK])
        talk.parse(ack("update:BTC-PERP_0"))
        assert sent(talk.unsubscribe([BOOK])) == [{"op": "unsubscribe", "args": ["update:BTC-PERP_0"]}]
        assert talk.parse(ack("update:BTC-PERP_0", event="unsubscribe")) == [Ack(subscriptions=(BOOK,), ended=True)]

    def test_trades_of_spot(self) -> None:
        assert sent(session("spot-trades").subscribe([want(Channel.TRADES, "BTC/USD")])) == [
            {"op": "subscribe", "args": ["tradeHistoryApi:BTC-USD"]}
        ]

    def test_many_are_asked_for_in_parts(self) -> None:
        listed = [frames.market(f"A{n}/USDT", f"A{n}-USDT") for n in range(45)]
        messages = sent(
            session("spot-book", markets=MarketIndex(listed)).subscribe([want(Channel.BOOK, m.symbol) for m in listed])
        )
        assert [len(message["args"]) for message in messages] == [20, 20, 5]

    @pytest.mark.parametrize(
        "wrong", [want(Channel.BOOK, "NO/SUCH"), want(Channel.BOOK, "BTC/USD"), want(Channel.TICKER)]
    )
    def test_what_is_not_there(self, wrong: Subscription) -> None:
        with pytest.raises(ValueError, match="LMEX"):
            session().subscribe([wrong])

    def test_routes_and_addresses(self) -> None:
        adapter = Lmex({"futures.ws": "wss://ws.btse.com/"})
        routes = {channel: adapter.route(want(channel), PERP) for channel in Channel}
        assert routes[Channel.BOOK] == routes[Channel.BBO] == "futures-book"
        assert routes[Channel.TRADES] == "futures-trades"
        assert {routes[Channel.TICKER], routes[Channel.MARK], routes[Channel.CANDLES]} == {"futures-rest"}
        assert set(adapter.facts.polled_routes) == {"spot-rest", "futures-rest"}
        assert adapter.url("futures-book") == "wss://ws.btse.com/ws/oss/futures"
        assert adapter.url("spot-trades") == "wss://ws.lmex.io/ws/spot"
        assert adapter.url("spot-rest") == "https://api.lmex.io"
        with pytest.raises(ValueError, match="mark price"):
            adapter.route(want(Channel.MARK, "BTC/USD"), SPOT)

    def test_options(self) -> None:
        adapter = Lmex(
            spot_api="v3.2",
            book_path="/books/{product}",
            book_topic="book:{market}",
            futures_trade_topics=["trades:{market}"],
            ping='{"op":"ping"}',
            origin="https://lmex.io",
        )
        assert adapter.snapshot_request(SPOT).path == "/spot/api/v3.2/orderbook/L2"
        assert adapter.url("spot-book") == "wss://ws.lmex.io/books/spot"
        assert sent(session(adapter=adapter).subscribe([BOOK]))[0]["args"] == ["book:BTC-PERP"]
        assert sent(session("futures-trades", adapter).subscribe([TRADES]))[0]["args"] == ["trades:BTC-PERP"]
        assert session(adapter=adapter).keepalive() == '{"op":"ping"}'
        assert adapter.facts.origin == "https://lmex.io"
        assert Lmex().facts.origin is None

    @pytest.mark.parametrize(
        "wrong",
        [
            {"spot_api": "3.3"},
            {"futures_api": "v2.3/x"},
            {"book_topic": "update"},
            {"spot_trade_topics": []},
            {"origin": "lmex.io"},
            {"candle_volume": "lots"},
        ],
    )
    def test_wrong_options_are_named(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Lmex(**wrong)


class TestAnswers:
    def test_what_is_missing_was_refused(self) -> None:
        talk = session()
        talk.subscribe([BOOK, ETH_BOOK])
        accepted, refused = answers(talk, ack("update:BTC-PERP_0"))
        assert accepted == Ack(subscriptions=(BOOK,))
        assert isinstance(refused, Rejected) and refused.subscriptions == (ETH_BOOK,) and not refused.again
        assert "missing in the acknowledgement" in refused.reason

    def test_an_empty_one_is_of_the_oldest_message(self) -> None:
        talk = session()
        talk.subscribe([BOOK])
        talk.subscribe([ETH_BOOK])
        assert one(answers(talk, frames.ACK_OF_NOTHING)).subscriptions == (BOOK,)
        assert talk.parse(ack("update:ETH-PERP_0")) == [Ack(subscriptions=(ETH_BOOK,))]

    def test_acknowledgements_may_overtake_each_other(self) -> None:
        talk = session()
        talk.subscribe([BOOK])
        talk.subscribe([ETH_BOOK])
        assert talk.parse(ack("update:ETH-PERP_0")) == [Ack(subscriptions=(ETH_BOOK,))]
        assert talk.parse(ack("update:BTC-PERP_0")) == [Ack(subscriptions=(BOOK,))]

    def test_one_that_nobody_waits_for_says_nothing(self) -> None:
        assert session().parse(frames.ACK) == []
        assert session().parse(frames.ACK_OF_NOTHING) == []

    def test_an_error_names_its_topic_and_leaves_the_others_alone(self) -> None:
        talk = session()
        talk.subscribe([BOOK, ETH_BOOK])
        error = {"arg": "update:ETH-PERP_0", "error": {"code": 1000, "message": "Market pair is not supported."}}
        refused = one(talk.parse(json.dumps({"severity": "ERROR", "errors": [error]})))
        assert (refused.subscriptions, refused.code) == ((ETH_BOOK,), 1000)
        assert refused.reason == "Market pair is not supported. (1000)"
        assert talk.parse(ack("update:BTC-PERP_0")) == [Ack(subscriptions=(BOOK,))]

    def test_the_empty_acknowledgement_after_its_errors_is_not_of_the_next_message(self) -> None:
        talk = session()
        talk.subscribe([ETH_BOOK])
        talk.subscribe([BOOK])
        error = {"arg": "update:ETH-PERP_0", "error": {"code": 1000, "message": ""}}
        talk.parse(json.dumps({"severity": "ERROR", "errors": [error]}))
        assert talk.parse(frames.ACK_OF_NOTHING) == []
        assert talk.parse(ack("update:BTC-PERP_0")) == [Ack(subscriptions=(BOOK,))]

    def test_the_error_after_the_acknowledgement_says_why(self) -> None:
        talk = session()
        talk.subscribe([BOOK, ETH_BOOK])
        assert talk.parse(frames.ACK_OF_NOTHING) == []
        error = {"arg": "update:BTC-PERP_0", "error": {"code": 1000, "message": "no"}}
        named, other = talk.parse(json.dumps({"severity": "ERROR", "errors": [error]}))
        assert (named.subscriptions, named.reason) == ((BOOK,), "no (1000)")
        assert (other.subscriptions, other.code) == ((ETH_BOOK,), None)
        assert talk.parse("pong") == []

    def test_data_after_the_acknowledgement_come_with_the_refusal(self) -> None:
        talk = session()
        talk.subscribe([BOOK, ETH_BOOK])
        talk.parse(ack("update:BTC-PERP_0"))
        with pytest.raises(ParseError):
            talk.parse("{")
        data, refused = talk.parse(frames.SNAPSHOT)
        assert isinstance(data, BookSnapshot)
        assert refused.subscriptions == (ETH_BOOK,)

    def test_an_error_of_a_whole_message(self) -> None:
        talk = session()
        assert isinstance(one(talk.parse(frames.ERROR)), Notice)
        talk.subscribe([BOOK, ETH_BOOK])
        assert one(talk.parse(frames.ERROR)).subscriptions == (BOOK, ETH_BOOK)
        talk.unsubscribe([BOOK])
        assert one(talk.parse('{"status":400,"errorCode":400,"message":"BAD_REQUEST"}')) == Ack(
            subscriptions=(BOOK,), ended=True
        )

    @pytest.mark.parametrize("code", [1007, 1008])
    def test_errors_that_end_the_connection(self, code: int) -> None:
        assert isinstance(one(session().parse(json.dumps({"code": code, "msg": "x"}))), Closing)

    def test_names_are_tried_in_turn_and_remembered(self) -> None:
        adapter = Lmex()
        talk, asked = session("futures-trades", adapter), []
        for _ in range(2):
            asked += sent(talk.subscribe([TRADES]))[0]["args"]
            assert one(answers(talk, frames.ACK_OF_NOTHING)).again
        asked += sent(talk.subscribe([TRADES]))[0]["args"]
        assert asked == ["tradeHistoryApiV3:BTC-PERP", "tradeHistoryApiV2:BTC-PERP", "tradeHistoryApi:BTC-PERP"]
        assert talk.parse(ack("tradeHistoryApi:BTC-PERP")) == [Ack(subscriptions=(TRADES,))]
        later = session("futures-trades", adapter)
        assert sent(later.subscribe([TRADES]))[0]["args"] == ["tradeHistoryApi:BTC-PERP"]
        refused = one(answers(later, frames.ACK_OF_NOTHING))
        assert refused.subscriptions == (TRADES,) and not refused.again
        assert sent(session("futures-trades", adapter).subscribe([TRADES]))[0]["args"] == ["tradeHistoryApiV3:BTC-PERP"]

    def test_an_unknown_market_has_no_other_name(self) -> None:
        talk = session()
        talk.subscribe([BEST])
        error = {"arg": "snapshotL1:BTC-PERP_0", "error": {"code": 1000, "message": "no"}}
        assert not one(talk.parse(json.dumps({"severity": "ERROR", "errors": [error]}))).again

    @pytest.mark.parametrize("pong", ["pong", "ping", '{"event":"pong"}', '{"op":"pong"}', '{"op":"ping"}'])
    def test_signs_of_life(self, pong: str) -> None:
        assert session("futures-trades").parse(pong) == [Heartbeat()]
        assert session("futures-book").parse(pong) == [], "a book's silence is asked about by REST"
        assert session().keepalive() == "ping"


class TestFrames:
    def test_a_snapshot_in_base_currency(self) -> None:
        assert one(session().parse(frames.SNAPSHOT)) == BookSnapshot(
            symbol="BTC/USDT:USDT",
            bids=[(77054.5, 1.0835), (77054.3, 2.2615), (77054.0, 0.6305)],
            asks=[(77055.9, 0.01), (77055.1, 0.785), (77054.7, 0.9825)],
            seq=628282,
            depth=50,
            exchange_ms=1779800650027,
        )

    def test_changes_whose_topic_has_no_end(self) -> None:
        assert one(session().parse(frames.DELTA)) == BookDelta(
            symbol="BTC/USDT:USDT",
            bids=[],
            asks=[(77054.9, 0.785), (77055.1, 0.0)],
            prev=628282,
            seq=628283,
            chained=True,
            exchange_ms=1779800650127,
        )
        compact = json.dumps(json.loads(frames.DELTA), separators=(",", ":"))
        assert session().parse(compact) == session().parse(frames.DELTA)

    def test_both_make_a_book(self) -> None:
        sync, talk = BookSync(from_rest=False), session()
        sync.start()
        sync.take_snapshot(one(talk.parse(frames.SNAPSHOT)))
        sync.take_delta(one(talk.parse(frames.DELTA)))
        assert (sync.book.bid, sync.book.ask) == ((77054.5, 1.0835), (77054.7, 0.9825))
        assert sync.book.asks.top(5) == [(77054.7, 0.9825), (77054.9, 0.785), (77055.9, 0.01)]

    def test_coarser_groups_are_none_of_ours(self) -> None:
        assert session().parse(frames.SNAPSHOT.replace("BTC-PERP_0", "BTC-PERP_3")) == []

    def test_an_unlisted_market_gives_nothing(self) -> None:
        assert session().parse(frames.SNAPSHOT.replace("BTC-PERP", "NOPE-PERP")) == []

    def test_a_sequence_that_stands_is_wrong(self) -> None:
        with pytest.raises(ParseError, match="628283"):
            session().parse(frames.DELTA.replace('"seqNum": 628283', '"seqNum": 628282').replace("628282", "628283"))

    def test_best_prices(self) -> None:
        assert one(session().parse(frames.BEST)) == Bbo(
            symbol="BTC/USDT:USDT",
            bid=28064.9,
            bid_size=0.01268,
            ask=28065.0,
            ask_size=0.01015,
            exchange_ms=1680751558529,
        )
        empty = one(session().parse(frames.BEST.replace('[["28064.9", "1268"]]', "[]")))
        assert (empty.bid, empty.bid_size, empty.ask) == (0.0, 0.0, 28065.0)

    def test_trades(self) -> None:
        assert one(session("spot-trades").parse(frames.TRADE_SPOT)) == Trade(
            symbol="BTC/USD",
            id="31626447",
            side="sell",
            price=Decimal("76653.1"),
            size=Decimal("0.0145"),
            exchange_ms=1779786372223,
        )
        new = one(session("futures-trades").parse(frames.TRADE_NEW))
        assert (new.symbol, new.price, new.size) == ("BTC/USDT:USDT", Decimal("111144.8"), Decimal("0.00152"))

    def test_the_old_name_of_a_perpetual(self) -> None:
        old = one(session("futures-trades").parse(frames.TRADE_OLD))
        assert (old.symbol, old.id, old.size) == ("BTC/USDT:USDT", "35993384", Decimal("0.06530"))

    def test_trades_are_told_oldest_first(self) -> None:
        frame = json.loads(frames.TRADE_NEW)
        frame["data"] = [{**frame["data"][0], "tradeId": number} for number in (9, 8, 7)]
        assert [t.id for t in session().parse(json.dumps(frame))] == ["7", "8", "9"]

    def test_withdrawn_topics_are_understood_and_not_used(self) -> None:
        assert session().parse(frames.OLD_BOOK) == []

    @given(st.integers(0, 10**9), st.sampled_from(["0.001", "0.0001", "0.00001", "1", "10", "0.005", "0.25"]))
    def test_contracts_become_the_float_of_the_exact_product(self, contracts: int, size: str) -> None:
        listed = frames.market("X/USDT:USDT", "X-PERP", contract_size=Decimal(size))
        frame = frames.SNAPSHOT.replace("BTC-PERP", "X-PERP").replace('"108350"', f'"{contracts}"')
        snapshot = one(session(markets=MarketIndex([listed])).parse(frame))
        assert snapshot.bids[0][1] == float(contracts * Decimal(size))

    @pytest.mark.parametrize(
        "wrong",
        [
            *("", "{", "[]", "null", "7", '"x"', "{}", '{"topic":"update:X_0"}'),
            frames.SNAPSHOT.replace('"77054.5"', '"nan"'),
            frames.SNAPSHOT.replace('"108350"', '"-1"'),
            frames.SNAPSHOT.replace('"108350"', '"inf"'),
            frames.SNAPSHOT.replace('"snapshot"', '"whole"'),
            frames.SNAPSHOT.replace("628282", '"x"'),
            frames.TRADE_NEW.replace("SELL", "GIVE"),
            frames.TRADE_NEW.replace("152,", "-152,"),
            frames.TRADE_NEW.replace("111144.8", "0"),
            frames.TRADE_NEW.replace("111144.8", '"NaN"'),
            '{"event":"dance"}',
        ],
    )
    def test_what_does_not_fit(self, wrong: str) -> None:
        with pytest.raises(ParseError, match="LMEX"):
            session().parse(wrong)

    def test_one_of_an_unknown_kind(self) -> None:
        assert session().parse('{"topic":"tea:BTC","data":{}}') == [Unknown(what="topic tea")]


class TestHostileFrames:
    @settings(max_examples=300, deadline=None)
    @given(st.data())
    def test_only_parse_errors_come_out(self, data: st.DataObject) -> None:
        frame = bytearray(data.draw(st.sampled_from(frames.DOCUMENTED)).encode())
        for _ in range(data.draw(st.integers(1, 4))):
            at = data.draw(st.integers(0, len(frame) - 1))
            match data.draw(st.sampled_from(["change", "cut", "double", "insert"])):
                case "change":
                    frame[at] = data.draw(st.integers(0, 255))
                case "cut":
                    del frame[at : at + data.draw(st.integers(1, 20))]
                case "double":
                    frame[at:at] = frame[at : at + 12]
                case _:
                    frame[at:at] = data.draw(st.sampled_from([b"null", b'"', b"}", b"-", b"1e999", b"\xff", b"[["]))
            if not frame:
                return
        talk = session(data.draw(st.sampled_from(["futures-book", "spot-trades"])))
        with contextlib.suppress(ParseError):
            talk.parse(bytes(frame))

    @settings(max_examples=100, deadline=None)
    @given(st.data())
    def test_only_parse_errors_come_out_of_answers(self, data: st.DataObject) -> None:
        adapter, text = Lmex(), data.draw(st.sampled_from([frames.SUMMARY_PERP, frames.SUMMARY_SPOT]))
        values = st.one_of(
            st.none(), st.booleans(), st.floats(), st.integers(-(10**40), 10**40), st.text(max_size=5), st.just([])
        )
        row = json.loads(text)
        for name in data.draw(st.lists(st.sampled_from(sorted(row)), min_size=1, max_size=4)):
            row[name] = data.draw(values)
        raw = json.dumps([row]).encode()
        summary, _ = polls(want(Channel.TICKER), want(Channel.MARK))
        for ask in (
            lambda: [adapter.parse_markets(request, raw) for request in adapter.markets_requests()],
            lambda: summary.parse(summary.requests([want(Channel.TICKER)])[0], raw),
        ):
            with contextlib.suppress(ParseError):
                ask()


levels = st.dictionaries(st.integers(1, 60), st.integers(0, 5), max_size=8)


class TestTheBookAsAWhole:
    @given(st.lists(st.tuples(levels, levels), min_size=1, max_size=12))
    def test_a_snapshot_and_its_changes_are_the_later_snapshot(self, changes: list[tuple[Any, Any]]) -> None:
        """Bids at prices 1 to 60, asks at 101 to 160; an exchange that keeps its books in dictionaries."""
        bids, asks = {50: 1}, {110: 2}

        def frame(kind: str, seq: int, left: dict[int, int], right: dict[int, int]) -> str:
            sides = {n: [[f"{p}.5", str(s)] for p, s in side.items()] for n, side in (("bids", left), ("asks", right))}
            data = {**sides, "seqNum": seq, "prevSeqNum": seq - 1, "type": kind, "symbol": "BTC-PERP"}
            return json.dumps({"topic": "update:BTC-PERP_0", "data": data}, separators=(",", ":"))

        talk, sync = session(), BookSync(from_rest=False)
        sync.start()
        sync.take_snapshot(one(talk.parse(frame("snapshot", 7, bids, asks))))
        for seq, (left, right) in enumerate(changes, 8):
            right = {price + 100: size for price, size in right.items()}
            for side, news in ((bids, left), (asks, right)):
                side.update(news)
                for price in [price for price, size in side.items() if not size]:
                    del side[price]
            sync.take_delta(one(talk.parse(frame("delta", seq, left, right))))
        fresh = OrderBook()
        fresh.replace(one(session().parse(frame("snapshot", 7 + len(changes), bids, asks))))
        assert sync.book.seq == fresh.seq
        for ours, theirs in ((sync.book.bids, fresh.bids), (sync.book.asks, fresh.asks)):
            assert ours.levels == theirs.levels
            assert ours.top(100) == theirs.top(100)


class TestMarkets:
    def listed(self, product: str, *rows: str) -> list[Any]:
        adapter = Lmex()
        request = next(r for r in adapter.markets_requests() if r.product == product)
        assert request.path == f"/{product}/api/{'v3.3' if product == 'spot' else 'v2.3'}/market_summary"
        return adapter.parse_markets(request, f"[{','.join(rows)}]".encode())

    def test_a_perpetual(self) -> None:
        (market,) = self.listed("futures", frames.SUMMARY_PERP)
        assert (market.symbol, market.native, market.settle) == ("BTC/USDT:USDT", "BTC-PERP", "USDT")
        assert (market.tick, market.lot, market.min_size) == (Decimal("0.1"), Decimal("0.00001"), Decimal("0.00001"))
        assert market.contract_size == Decimal("0.00001")
        assert market.status == "trading"

    def test_the_contract_size_is_taken_as_told(self) -> None:
        (market,) = self.listed(
            "futures", frames.SUMMARY_PERP.replace('"contractSize": 0.00001', '"contractSize": 0.001')
        )
        assert market.lot == Decimal("0.001")

    def test_spot(self) -> None:
        (market,) = self.listed("spot", frames.SUMMARY_SPOT)
        assert (market.symbol, market.settle, market.contract_size) == ("BTC/USD", None, 1)
        assert (market.lot, market.min_size, market.size_decimals) == (Decimal("1e-05"), Decimal("1e-05"), 5)

    def test_dated(self) -> None:
        dated = frames.SUMMARY_PERP.replace('"timeBasedContract": false', '"timeBasedContract": true')
        named = dated.replace("BTC-PERP", "BTC-260626")
        assert self.listed("futures", named)[0].symbol == "BTC/USDT:USDT-260626"
        old = dated.replace("BTC-PERP", "BTCM26").replace('"contractEnd": 0', '"contractEnd": 1782432000000')
        assert self.listed("futures", old)[0].symbol == "BTC/USDT:USDT-260626"

    def test_only_over_the_counter_is_left_out(self) -> None:
        otc = frames.SUMMARY_SPOT.replace('"isMarketOpenToSpot": true', '"isMarketOpenToSpot": false')
        assert self.listed("spot", otc, frames.SUMMARY_SPOT.replace('"active": true', '"active": false'))[0].status == (
            "inactive"
        )

    def test_one_that_cannot_be_understood_does_not_cost_the_others(self) -> None:
        unsized = frames.SUMMARY_PERP.replace('"contractSize": 0.00001', '"contractSize": 0')
        assert len(self.listed("futures", unsized, frames.SUMMARY_PERP)) == 1
        with pytest.raises(ParseError, match="none of 1 instruments"):
            self.listed("futures", unsized)


def polls(*wanted: Subscription, **options: Any) -> tuple[Any, list[Any]]:
    product = "futures" if ":" in wanted[0].symbol else "spot"
    asked = Lmex(**options).poll_session(f"{product}-rest", MARKETS)
    return asked, asked.requests(wanted)


class TestPolls:
    def test_one_summary_for_all_and_prices_one_by_one(self) -> None:
        marks = [want(Channel.MARK), want(Channel.MARK, "ETH/USDT:USDT")]
        _, requests = polls(want(Channel.TICKER), want(Channel.TICKER, "ETH/USDT:USDT"), *marks)
        assert [(r.path, dict(r.params)) for r in requests] == [
            ("/futures/api/v2.3/market_summary", {"listFullAttributes": "true"}),
            ("/futures/api/v2.3/price", {"symbol": "BTC-PERP"}),
            ("/futures/api/v2.3/price", {"symbol": "ETH-PERP"}),
        ]

    def test_24_hours(self) -> None:
        asked, (request,) = polls(want(Channel.TICKER))
        raw = f"[{frames.SUMMARY_PERP},{frames.SUMMARY_PERP.replace('BTC-PERP', 'ETH-PERP')}]".encode()
        assert one(asked.parse(request, raw)) == Ticker(
            symbol="BTC/USDT:USDT",
            last=Decimal("76731.9"),
            high=Decimal("77480.0"),
            low=Decimal("75990.5"),
            change=Decimal("-0.0061"),
            base_volume=Decimal("2247.0228"),
            quote_volume=Decimal("172418318.75"),
        )

    @pytest.mark.parametrize("last", ["null", "0", None])
    def test_a_market_without_a_last_price_has_no_figures_and_the_others_have(self, last: str | None) -> None:
        new = frames.SUMMARY_PERP.replace('"last": 76731.9,', "" if last is None else f'"last": {last},')
        assert new != frames.SUMMARY_PERP
        asked, (request, *_) = polls(want(Channel.TICKER), want(Channel.TICKER, "ETH/USDT:USDT"), want(Channel.MARK))
        raw = f"[{new},{frames.SUMMARY_PERP.replace('BTC-PERP', 'ETH-PERP')}]".encode()
        assert one(asked.parse(request, raw)).symbol == "ETH/USDT:USDT"
        assert one(asked.parse(asked.requests([want(Channel.MARK)])[1], frames.PRICE)).funding_rate is not None

    @pytest.mark.parametrize("row", ['{"symbol":7}', "7", "{}", '{"symbol":"BTC-PERP","last":-1}'])
    def test_a_row_that_cannot_be_understood_costs_no_other_and_is_told_once(self, row: str) -> None:
        asked, (request,) = polls(want(Channel.TICKER), want(Channel.TICKER, "ETH/USDT:USDT"))
        other = frames.SUMMARY_PERP.replace("BTC-PERP", "ETH-PERP")
        with capture_logs() as logs:
            for _ in range(3):
                assert one(asked.parse(request, f"[{row},{other}]".encode())).symbol == "ETH/USDT:USDT"
            assert len(asked.parse(request, f"[{frames.SUMMARY_PERP},{other}]".encode())) == 2
        assert [line["event"] for line in logs] == ["24 h figures left out", "24 h figures understood again"]
        with pytest.raises(ParseError):
            asked.parse(request, f"[{row}]".encode())

    @pytest.mark.parametrize(("size", "base"), [("224702280", "2247.0228"), ("2247.0228", "2247.0228"), ("31", None)])
    def test_volume_in_contracts_or_base_or_unclear(self, size: str, base: str | None) -> None:
        asked, (request,) = polls(want(Channel.TICKER))
        row = frames.SUMMARY_PERP.replace("2247.0228", size)
        volume = one(asked.parse(request, f"[{row}]".encode())).base_volume
        assert volume == (None if base is None else Decimal(base))

    def test_spot(self) -> None:
        asked, (request,) = polls(want(Channel.TICKER, "BTC/USD"))
        ticker = one(asked.parse(request, f"[{frames.SUMMARY_SPOT}]".encode()))
        assert (ticker.change, ticker.base_volume) == (Decimal("0.0497"), Decimal("24.0"))

    def test_mark_price_with_the_funding_that_was_told(self) -> None:
        asked, (summary, price) = polls(want(Channel.MARK))
        assert asked.parse(summary, f"[{frames.SUMMARY_PERP}]".encode()) == []
        assert one(asked.parse(price, frames.PRICE)) == MarkPrice(
            symbol="BTC/USDT:USDT",
            mark=Decimal("36287.1"),
            index=Decimal("36288.949684967"),
            funding_rate=Decimal("0.0000114"),
            next_funding_ms=1779811200000,
        )

    def test_candles(self) -> None:
        asked, (request,) = polls(want(Channel.CANDLES, interval="1m"))
        assert (request.path, dict(request.params)) == (
            "/futures/api/v2.3/ohlcv",
            {"symbol": "BTC-PERP", "resolution": "1"},
        )
        closed, running = asked.parse(request, frames.OHLCV)
        middle = Decimal("693.049") * 4 / (36477 + 36477 + Decimal("36473.5") * 2)
        assert closed == Candle(
            symbol="BTC/USDT:USDT",
            interval="1m",
            open_ms=1624987380000,
            open=Decimal(36477),
            high=Decimal(36477),
            low=Decimal("36473.5"),
            close=Decimal("36473.5"),
            base_volume=round(middle, 5),
            closed=True,
        )
        assert closed.base_volume == Decimal("0.01900"), "the example fits 19 contracts of 0.001 BTC"
        assert (running.open_ms, running.closed) == (1624987440000, False)

    @pytest.mark.parametrize(("unit", "volume"), [("base", "693.049"), ("contracts", "0.00693049")])
    def test_other_units_of_volume(self, unit: str, volume: str) -> None:
        asked, (request,) = polls(want(Channel.CANDLES, interval="1m"), candle_volume=unit)
        assert asked.parse(request, frames.OHLCV)[0].base_volume == Decimal(volume)

    @pytest.mark.parametrize(
        "raw", [b"", b"{}", b'[{"symbol":1}]', b'[["x",1,1,1,1,1]]', b"[[1,1,1,1]]", b"[[1,0,1,1,1,1]]"]
    )
    def test_answers_that_do_not_fit(self, raw: bytes) -> None:
        asked, requests = polls(want(Channel.MARK), want(Channel.CANDLES, interval="1d"))
        for request in requests:
            with pytest.raises(ParseError, match="LMEX"):
                asked.parse(request, raw)


class TestRest:
    def test_a_book(self) -> None:
        adapter = Lmex()
        request = adapter.probe_request(PERP)
        assert (request.path, dict(request.params)) == (
            "/futures/api/v2.3/orderbook/L2",
            {"symbol": "BTC-PERP", "depth": "5"},
        )
        snapshot = adapter.parse_snapshot(PERP, frames.DEPTH)
        assert snapshot.bids == [(77054.5, 1.0835), (77054.0, 0.6305)]
        assert snapshot.asks == [(77054.7, 0.9825), (77055.1, 0.00001)]
        assert (snapshot.seq, snapshot.exchange_ms) == (None, 1779800650027)
        best = adapter.parse_probe(PERP, frames.DEPTH)
        assert (best.bid, best.bid_size, best.ask, best.ask_size) == (77054.5, 1.0835, 77054.7, 0.9825)

    def test_history(self) -> None:
        adapter = Lmex()
        bars = adapter.parse_candles(PERP, "1m", frames.OHLCV)
        assert [bar.closed for bar in bars] == [True, False]
        assert dict(adapter.candles_request(PERP, "1d", 500).params)["resolution"] == "1440"

    def error(self, status: int, body: object = b"", **headers: str) -> Any:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return Lmex(now_s=lambda: 1_790_000_000.0).error_of(
            status, raw, {k.replace("_", "-"): v for k, v in headers.items()}
        )

    def test_errors(self) -> None:
        classic = {"status": 400, "errorCode": 400, "message": "BAD_REQUEST: Invalid parameter"}
        assert isinstance(self.error(400, classic), ExchangeError)
        assert "Invalid parameter" in str(self.error(400, classic))
        newer = {"code": -2, "msg": "Invalid request parameters", "time": 1752129037800, "data": None, "success": False}
        assert self.error(200, newer).code == -2
        assert isinstance(self.error(401), CredentialsError)
        assert isinstance(self.error(403), CredentialsError)
        assert isinstance(self.error(408), TransportError)
        assert isinstance(self.error(500, b"<html>"), TransportError)
        assert isinstance(self.error(404), TransportError)
        assert self.error(200, b"[]") is None
        assert self.error(200, frames.DEPTH) is None
        assert self.error(200, {"code": 1, "msg": "Success", "data": []}) is None

    @pytest.mark.parametrize(
        ("told", "wait_s"),
        [
            ("1790000007", 7),
            ("1790000007000", 7),
            ("5", 5),
            ("1789999000", 1),
            ("soon", 10),
            (None, 10),
            ("9" * 99, 10),
        ],
    )
    def test_the_moment_of_release(self, told: str | None, wait_s: float) -> None:
        error = self.error(429, **({} if told is None else {"Retry_After": told}))
        assert isinstance(error, RateLimited)
        assert error.retry_after_s == wait_s

    def test_a_ban(self) -> None:
        assert self.error(451).retry_after_s == 900


class TestRecordings:
    """Single frames of BTSE's futures: shapes only."""

    @pytest.mark.parametrize(
        ("name", "frames_read", "events", "snapshots"), [(RECORDINGS[0], 2, 2, 1), (RECORDINGS[1], 7, 7, 1)]
    )
    def test_nothing_is_wrong(self, name: str, frames_read: int, events: int, snapshots: int) -> None:
        report = verify(shared_file(f"captures/{name}.jsonl.gz"))
        assert (report.venue, report.product, report.faults) == ("lmex", "futures", [])
        assert (report.frames, report.events, report.snapshots) == (frames_read, events, snapshots)
        assert (report.gaps, report.crossed, report.not_understood, report.checksums_wrong) == (0, 0, 0, 0)
        assert report.incomplete == ["BTC-PERP"], "its only frame is a change without a snapshot before"

    def test_what_each_frame_says(self) -> None:
        talk, found = session(), []
        for name in RECORDINGS:
            with gzip.open(shared_file(f"captures/{name}.jsonl.gz"), "rt") as file:
                for line in list(file)[1:]:
                    found += talk.parse(json.loads(line)["raw"])
        books = [event for event in found if isinstance(event, BookSnapshot | BookDelta)]
        assert [(type(b).__name__, b.symbol, b.seq, len(b.bids), len(b.asks)) for b in books] == [
            ("BookSnapshot", "ETH/USDT:USDT", 8935263, 4, 4),
            ("BookDelta", "BTC/USDT:USDT", 9814889, 3, 4),
            ("BookDelta", "BTC/USDT:USDT", 86511210, 2, 0),
        ]
        assert books[0].bids[0] == (4390.97, 1.9655), "ETHPFC is the old name of ETH-PERP"
        assert books[2].bids[1] == (86540.5, 0.044)
        best = one([event for event in found if isinstance(event, Bbo)])
        assert (best.bid, best.ask, best.ask_size) == (2766.67, 2766.68, 0.2366)
        trade = one([event for event in found if isinstance(event, Trade)])
        assert (trade.price, trade.size, trade.id) == (Decimal("86641.9"), Decimal("0.0007"), "57971633")
        assert [e.text for e in found if isinstance(e, Notice)] == [
            "LMEX says of foo:BTC-PERP: Topic provided does not exist. (1005)",
            "LMEX says of update:NOPE-PERP_0: Market pair provided is currently not supported. (1000)",
            "LMEX says: Operation provided is currently not supported (1001)",
        ]

    def test_recordings_of_btse_are_ours(self, tmp_path: Any) -> None:
        assert recorded_as("btse") == "lmex"
        assert recorded_as("lmex") == "lmex"
        assert recorded_as("nobody") is None
        file = tmp_path / "btse.jsonl"
        compact = json.dumps({"t": 0, "via": "ws", "conn": 1, "raw": frames.SNAPSHOT})
        file.write_text(json.dumps({"capture": 1, "venue": "btse", "product": "futures"}) + "\n" + compact + "\n")
        assert (verify(file).venue, verify(file).snapshots) == ("lmex", 1)


def test_every_documented_frame_is_understood() -> None:
    for frame in frames.DOCUMENTED:
        assert isinstance(session().parse(frame), list)
