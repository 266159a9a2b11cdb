"""OKX's public side: what is asked for, what the answers and frames mean, REST, errors."""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from feeds.domain import (
    Ack,
    Bbo,
    BookDelta,
    BookSnapshot,
    Candle,
    Channel,
    Closing,
    Event,
    Market,
    MarkPrice,
    Notice,
    Rejected,
    Subscription,
    Ticker,
    Trade,
)
from feeds.errors import CredentialsError, ExchangeError, ParseError, RateLimited, TransportError
from feeds.exchange import MarketIndex, Request, Session
from feeds.exchanges.okx import Okx
from feeds.exchanges.okx_session import ARGS_PER_REQUEST, MOST_REQUESTS

OKX = Okx()
SPOT_ROW = {
    **{"instType": "SPOT", "instId": "BTC-USDT", "baseCcy": "BTC", "quoteCcy": "USDT", "settleCcy": "", "uly": ""},
    **{"ctType": "", "ctVal": "", "ctMult": "", "ctValCcy": "", "tickSz": "0.1", "lotSz": "0.00000001"},
    **{"minSz": "0.00001", "state": "live", "instFamily": ""},
}
SWAP_ROW = {
    **{"instType": "SWAP", "instId": "BTC-USDT-SWAP", "baseCcy": "", "quoteCcy": "", "settleCcy": "USDT"},
    **{"uly": "BTC-USDT", "ctType": "linear", "ctVal": "0.01", "ctMult": "1", "ctValCcy": "BTC", "tickSz": "0.1"},
    **{"lotSz": "0.01", "minSz": "0.01", "state": "live", "instFamily": "BTC-USDT"},
}


def listed(*rows: dict[str, Any], product: str = "spot") -> list[Market]:
    request = next(request for request in OKX.markets_requests() if request.product == product)
    return OKX.parse_markets(request, json.dumps({"code": "0", "msg": "", "data": rows}).encode())


(BTC,) = listed(SPOT_ROW)
(PERP,) = listed(SWAP_ROW, product="swap")
ETH = listed({**SPOT_ROW, "instId": "ETH-USDT", "baseCcy": "ETH"})[0]
MARKETS = MarketIndex([BTC, PERP, ETH])


def new_session(route: str = "spot-public") -> Session:
    return OKX.session(route, MARKETS)


def want(channel: Channel, symbol: str = "BTC/USDT", interval: str | None = None) -> Subscription:
    return Subscription(channel=channel, symbol=symbol, interval=interval)


BOOK, BBO, TRADES, TICKER = (want(c) for c in (Channel.BOOK, Channel.BBO, Channel.TRADES, Channel.TICKER))
MARK = want(Channel.MARK, "BTC/USDT:USDT")
UNKNOWN = "Wrong URL or channel:{},instId:{} doesn't exist. Please use the correct URL, channel and parameters."


def args(messages: Sequence[str]) -> list[tuple[str, str]]:
    """(channel, instId) of all that is asked for, without the exchange's own status."""
    rows = [row for message in messages for row in json.loads(message)["args"]]
    return [(row["channel"], row["instId"]) for row in rows if row["channel"] != "status"]


def reply(event: str, channel: str = "books", native: str = "BTC-USDT", **more: Any) -> str:
    return json.dumps({"event": event, "arg": {"channel": channel, "instId": native}, "connId": "a4d3ae55", **more})


def error(code: str, msg: str, **more: Any) -> str:
    return json.dumps({"event": "error", "code": code, "msg": msg, "connId": "a4d3ae55", **more})


def data(channel: str, *rows: Any, native: str = "BTC-USDT", **more: Any) -> str:
    return json.dumps({"arg": {"channel": channel, "instId": native}, **more, "data": rows}, separators=(",", ":"))


def one(events: Sequence[Event]) -> Any:
    (event,) = events
    return event


class TestInstruments:
    def test_spot(self) -> None:
        assert (BTC.symbol, BTC.native, BTC.product, BTC.settle) == ("BTC/USDT", "BTC-USDT", "spot", None)
        assert (BTC.tick, BTC.lot, BTC.min_size) == (Decimal("0.1"), Decimal("0.00000001"), Decimal("0.00001"))
        assert (BTC.contract_size, BTC.status) == (1, "trading")

    def test_a_swap_s_steps_are_in_base_currency(self) -> None:
        assert (PERP.symbol, PERP.product, PERP.settle) == ("BTC/USDT:USDT", "swap", "USDT")
        assert (PERP.contract_size, PERP.lot, PERP.min_size) == (Decimal("0.01"), Decimal("0.0001"), Decimal("0.0001"))

    def test_the_multiplier_counts(self) -> None:
        (market,) = listed({**SWAP_ROW, "ctVal": "10", "ctMult": "100", "lotSz": "0.1"}, product="swap")
        assert (market.contract_size, market.lot) == (1000, 100)

    def test_base_and_quote_of_a_swap_come_from_its_underlying_not_its_family(self) -> None:
        row = {
            **SWAP_ROW,
            "instId": "BTC-USD_UM-SWAP",
            "instFamily": "BTC-USD_UM",
            "uly": "BTC-USD",
            "settleCcy": "USDG",
        }
        assert listed(row, product="swap")[0].symbol == "BTC/USD:USDG"

    def test_inverse_contracts_futures_and_options_are_left_out(self) -> None:
        inverse = {"ctType": "inverse", "ctVal": "100", "ctValCcy": "USD", "settleCcy": "BTC", "uly": "BTC-USD"}
        rows = [{**SWAP_ROW, **inverse}, {**SWAP_ROW, "instType": "FUTURES"}, {**SWAP_ROW, "instType": "OPTION"}]
        assert listed(*rows, product="swap") == []

    def test_the_status_is_told(self) -> None:
        assert listed({**SPOT_ROW, "state": "preopen"})[0].status == "preopen"

    @pytest.mark.parametrize(
        "change",
        [{"ctVal": ""}, {"ctValCcy": "USDT"}, {"uly": "BTCUSDT"}, {"settleCcy": ""}, {"tickSz": ""}, {"lotSz": "0"}],
    )
    def test_what_cannot_be_understood_is_left_out_alone(self, change: dict[str, str]) -> None:
        assert [m.symbol for m in listed({**SWAP_ROW, **change}, SWAP_ROW, product="swap")] == ["BTC/USDT:USDT"]

    def test_but_not_all_of_them(self) -> None:
        with pytest.raises(ParseError, match="none of 1 instruments"):
            listed({"instId": "BTC-USDT"})

    def test_requests(self) -> None:
        requests = OKX.markets_requests()
        assert [(r.path, r.params, r.product) for r in requests] == [
            ("/api/v5/public/instruments", (("instType", "SPOT"),), "spot"),
            ("/api/v5/public/instruments", (("instType", "SWAP"),), "swap"),
        ]


class TestAsking:
    def test_the_channels(self) -> None:
        asked = new_session().subscribe([BOOK, BBO, TRADES, TICKER])
        names = [("books", "BTC-USDT"), ("bbo-tbt", "BTC-USDT"), ("trades", "BTC-USDT"), ("tickers", "BTC-USDT")]
        assert args(asked) == names
        request = json.loads(asked[0])
        assert request["op"] == "subscribe"
        assert request["id"].isalnum()

    @pytest.mark.parametrize(
        ("interval", "bar"),
        [("1m", "1m"), ("5m", "5m"), ("15m", "15m"), ("1h", "1H"), ("4h", "4H"), ("1d", "1Dutc")],
    )
    def test_candles_are_on_their_own_connection_with_days_of_utc(self, interval: str, bar: str) -> None:
        wanted = want(Channel.CANDLES, interval=interval)
        assert OKX.route(wanted, BTC) == "spot-business"
        assert OKX.url("spot-business") == "wss://ws.okx.com:8443/ws/v5/business"
        session = new_session("spot-business")
        assert args(session.subscribe([wanted])) == [(f"candle{bar}", "BTC-USDT")]
        assert session.parse(reply("subscribe", f"candle{bar}")) == [Ack(subscriptions=(wanted,))]
        with pytest.raises(ValueError, match="does not carry it"):
            session.subscribe([BOOK])
        with pytest.raises(ValueError, match="does not carry it"):
            new_session().subscribe([wanted])

    def test_routes(self) -> None:
        assert OKX.route(BOOK, BTC) == OKX.opening_route() == "spot-public"
        assert OKX.route(MARK, PERP) == "swap-public"
        assert OKX.url("swap-public") == "wss://ws.okx.com:8443/ws/v5/public"
        assert Okx({"swap.ws": "ws://h:1/"}).url("swap-public") == "ws://h:1/ws/v5/public"
        with pytest.raises(ValueError, match="no route"):
            OKX.session("public", MARKETS)
        with pytest.raises(ValueError, match="no mark price"):
            OKX.route(want(Channel.MARK), BTC)
        with pytest.raises(ValueError, match="no such stream"):
            OKX.route(want(Channel.CANDLES, interval="2m"), BTC)

    def test_a_mark_price_brings_funding_and_index_along(self) -> None:
        session = new_session("swap-public")
        three = [("funding-rate", "BTC-USDT-SWAP"), ("index-tickers", "BTC-USDT"), ("mark-price", "BTC-USDT-SWAP")]
        assert sorted(args(session.subscribe([MARK]))) == three
        assert session.parse(reply("subscribe", "index-tickers")) == []
        assert session.parse(reply("subscribe", "mark-price", "BTC-USDT-SWAP")) == [Ack(subscriptions=(MARK,))]
        assert sorted(args(session.unsubscribe([MARK]))) == three

    def test_an_index_that_two_markets_share_is_asked_for_once_and_ended_last(self) -> None:
        other = listed({**SWAP_ROW, "instId": "BTC-USDT_X-SWAP", "settleCcy": "USDC"}, product="swap")[0]
        session = OKX.session("swap-public", MarketIndex([PERP, other]))
        second = want(Channel.MARK, other.symbol)
        assert ("index-tickers", "BTC-USDT") in args(session.subscribe([MARK]))
        assert ("index-tickers", "BTC-USDT") not in args(session.subscribe([second]))
        assert ("index-tickers", "BTC-USDT") not in args(session.unsubscribe([MARK]))
        assert ("index-tickers", "BTC-USDT") in args(session.unsubscribe([second]))

    def test_the_exchange_s_status_is_asked_for_once(self) -> None:
        session = new_session()
        asked = session.subscribe([BOOK])
        assert json.loads(asked[1])["args"] == [{"channel": "status"}]
        assert len(session.subscribe([BBO])) == 1
        assert len(new_session("spot-business").subscribe([want(Channel.CANDLES, interval="1m")])) == 1

    def test_a_request_has_at_most_64_kb(self) -> None:
        rows = [{**SPOT_ROW, "instId": f"{'A' * 30}{n}-{'B' * 20}", "baseCcy": f"A{n}"} for n in range(450)]
        session = OKX.session("spot-public", MarketIndex(listed(*rows)))
        messages = session.subscribe([want(Channel.BOOK, f"A{n}/USDT") for n in range(450)])
        assert [len(json.loads(message)["args"]) for message in messages] == [ARGS_PER_REQUEST, ARGS_PER_REQUEST, 50, 1]
        assert max(map(len, messages)) < 64 * 1024

    def test_an_unlisted_market_is_refused_before_it_is_sent(self) -> None:
        with pytest.raises(ValueError, match="lists no such market"):
            new_session().subscribe([want(Channel.BOOK, "NO/SUCH")])

    def test_keepalive(self) -> None:
        session = new_session()
        assert session.keepalive() == "ping"
        assert session.parse("pong") == session.parse(b"pong") == []
        assert session.opening() == []
        assert OKX.facts.ping_s is not None
        assert OKX.facts.ping_s < 30


class TestAnswers:
    def test_one_per_argument_in_any_order(self) -> None:
        session = new_session()
        session.subscribe([BOOK, TRADES])
        assert session.parse(reply("subscribe", "trades")) == [Ack(subscriptions=(TRADES,))]
        assert session.parse(reply("subscribe", id="1")) == [Ack(subscriptions=(BOOK,))]
        session.unsubscribe([BOOK])
        assert session.parse(reply("unsubscribe")) == [Ack(subscriptions=(BOOK,), ended=True)]

    def test_those_of_a_recording(self) -> None:
        assert new_session().parse(reply("subscribe")) == [Ack(subscriptions=(BOOK,))]
        assert new_session().parse(reply("subscribe", native="BTC-USD-220527")) == []
        assert new_session().parse(reply("subscribe", "books5")) == []

    def test_a_wrong_argument_is_named_and_leaves_the_others_alone(self) -> None:
        session = new_session()
        session.subscribe([BOOK, want(Channel.BOOK, "ETH/USDT"), TRADES])
        refused = one(session.parse(error("60018", UNKNOWN.format("books", "ETH-USDT"), id="1")))
        assert refused.subscriptions == (want(Channel.BOOK, "ETH/USDT"),)
        assert refused.code == "60018"
        assert refused.reason.startswith("Wrong URL or channel:books,instId:ETH-USDT doesn't exist.")
        assert session.parse(reply("subscribe")) == [Ack(subscriptions=(BOOK,))]

    @pytest.mark.parametrize("number", [{"id": "1"}, {}, {"id": "nobody's"}, {"id": ["1"]}, {"id": 1}])
    def test_an_error_without_a_name_is_about_its_request_or_the_oldest(self, number: dict[str, Any]) -> None:
        session = new_session()
        session.subscribe([BOOK, TRADES])
        session.subscribe([BBO])
        session.parse(reply("subscribe", "trades"))
        refused = one(session.parse(error("60012", "Invalid request", **number)))
        assert (refused.subscriptions, refused.reason) == ((BOOK,), "Invalid request (60012)")

    def test_by_its_number(self) -> None:
        session = new_session()
        session.subscribe([BOOK])
        asked = session.subscribe([BBO])
        refused = one(session.parse(error("60013", "Invalid args", id=json.loads(asked[0])["id"])))
        assert refused.subscriptions == (BBO,)

    def test_a_market_that_is_taken_away_later(self) -> None:
        session = new_session()
        session.subscribe([BOOK])
        session.parse(reply("subscribe"))
        refused = one(session.parse(error("60018", UNKNOWN.format("books", "BTC-USDT"))))
        assert refused.subscriptions == (BOOK,)

    def test_what_nobody_asked_for_is_nobody_s(self) -> None:
        for frame in (error("60018", UNKNOWN.format("books", "BTC-XYZ")), error("60012", "Invalid request")):
            assert isinstance(one(new_session().parse(frame)), Notice)

    @pytest.mark.parametrize("code", ["64007", "63999", "50011"])
    def test_trouble_at_the_exchange_blames_nobody(self, code: str) -> None:
        session = new_session()
        session.subscribe([BOOK])
        assert one(session.parse(error(code, "Internal error", id="1"))) == Notice(
            text=f"OKX says: Internal error ({code})"
        )
        assert session.parse(reply("subscribe")) == [Ack(subscriptions=(BOOK,))]

    def test_a_refused_companion_does_not_cost_the_mark_price(self) -> None:
        session = new_session("swap-public")
        session.subscribe([MARK])
        assert session.parse(error("60018", UNKNOWN.format("index-tickers", "BTC-USDT"), id="1")) == []
        assert session.parse(error("60018", UNKNOWN.format("status", ""), id="2")) == []
        refused = one(session.parse(error("60018", UNKNOWN.format("mark-price", "BTC-USDT-SWAP"), id="1")))
        assert refused == Rejected(subscriptions=(MARK,), reason=refused.reason, code="60018")

    def test_an_end_that_is_refused_has_come(self) -> None:
        session = new_session()
        session.subscribe([BOOK])
        session.parse(reply("subscribe"))
        asked = session.unsubscribe([BOOK])
        frame = error("60018", UNKNOWN.format("books", "BTC-USDT"), id=json.loads(asked[0])["id"])
        assert session.parse(frame) == [Ack(subscriptions=(BOOK,), ended=True)]

    def test_what_is_asked_for_again_is_not_waited_for_twice(self) -> None:
        session = new_session()
        session.subscribe([BOOK])
        session.parse(json.dumps({"event": "subscribe", "arg": {"channel": "status"}}))
        again = json.loads(session.subscribe([BOOK])[0])["id"]
        assert one(session.parse(error("60012", "Invalid request", id=again))).subscriptions == (BOOK,)
        assert isinstance(one(session.parse(error("60012", "Invalid request"))), Notice), "nothing waits any more"

    def test_the_end_of_the_connection_is_announced(self) -> None:
        msg = "The connection will soon be closed for a service upgrade. Please reconnect."
        frame = {"event": "notice", "code": "64008", "msg": msg, "connId": "a4d3ae55"}
        assert new_session().parse(json.dumps(frame)) == [Closing(reason=msg)]
        assert isinstance(one(new_session().parse(json.dumps({**frame, "code": "1"}))), Notice)

    def test_too_many_requests_are_for_another_connection(self) -> None:
        session = new_session()
        session.subscribe([BOOK])
        assert isinstance(one(session.parse(error("60014", "Requests too frequent", id="1"))), Closing)

    def test_a_connection_is_replaced_before_its_requests_are_used_up(self) -> None:
        """480 an hour are allowed, and every book that is built anew costs two."""
        session = new_session()
        session.subscribe([BOOK])
        sent = 2
        while sent < MOST_REQUESTS:
            assert session.parse("pong") == []
            sent += len(session.unsubscribe([BOOK])) + len(session.subscribe([BOOK]))
        assert sent <= 480
        assert isinstance(one(session.parse("pong")), Closing)
        assert session.parse("pong") == []

    @pytest.mark.parametrize(
        "raw",
        [
            *("{}", "[]", "", "pong?", '{"event":"hello"}', '{"event":"subscribe"}', '{"arg":{"channel":"books"}}'),
            '{"arg":{"instId":"BTC-USDT"},"data":[]}',
            '{"event":"error","code":{},"msg":"x"}',
        ],
    )
    def test_anything_else_is_not_understood(self, raw: str) -> None:
        with pytest.raises(ParseError):
            new_session().parse(raw)


LEVELS = {"asks": [["8476.98", "415", "0", "13"], ["8477", "7", "0", "2"]], "bids": [["8476.97", "256", "0", "12"]]}
TIMES = {"ts": "1597026383085", "checksum": 0}


class TestBooks:
    def test_a_snapshot(self) -> None:
        frame = data("books", {**LEVELS, **TIMES, "prevSeqId": -1, "seqId": 123456}, action="snapshot")
        assert new_session().parse(frame) == [
            BookSnapshot(
                symbol="BTC/USDT",
                bids=[(8476.97, 256.0)],
                asks=[(8476.98, 415.0), (8477.0, 7.0)],
                seq=123456,
                depth=400,
                exchange_ms=1597026383085,
            )
        ]

    def test_an_update(self) -> None:
        row = {"asks": [["8477", "0", "0", "0"]], "bids": [], **TIMES, "prevSeqId": 123456, "seqId": 123460}
        assert new_session().parse(data("books", row, action="update")) == [
            BookDelta(
                symbol="BTC/USDT",
                bids=[],
                asks=[(8477.0, 0.0)],
                prev=123456,
                seq=123460,
                chained=True,
                exchange_ms=1597026383085,
            )
        ]

    def test_spaces_and_order_do_not_matter(self) -> None:
        row = {**LEVELS, **TIMES, "prevSeqId": 1, "seqId": 2}
        frame = data("books", row, action="update")
        spaced = json.dumps({"action": "update", "data": [row], "arg": {"instId": "BTC-USDT", "channel": "books"}})
        assert new_session().parse(spaced) == new_session().parse(frame)

    def test_sizes_of_a_swap_are_converted_to_base_currency_exactly(self) -> None:
        row = {"bids": [["100", "3", "0", "1"], ["99", "0.07", "0", "1"]], "asks": [["101", "0", "0", "0"]], **TIMES}
        frame = data("books", {**row, "prevSeqId": 1, "seqId": 2}, native="BTC-USDT-SWAP", action="update")
        delta = one(new_session("swap-public").parse(frame))
        assert delta.symbol == "BTC/USDT:USDT"
        assert delta.bids == [(100.0, 0.03), (99.0, 0.0007)]
        assert delta.asks == [(101.0, 0.0)]

    def test_one_connection_may_carry_both_products(self) -> None:
        row = {**LEVELS, **TIMES, "prevSeqId": 1, "seqId": 2}
        assert one(new_session().parse(data("books", row, native="BTC-USDT-SWAP", action="update"))).bids[0][1] == 2.56

    def test_a_checksum_of_0_is_none_and_any_other_is_one(self) -> None:
        row = {**LEVELS, "ts": "1", "prevSeqId": 1, "seqId": 2}
        assert one(new_session().parse(data("books", row, action="update"))).checksum is None
        assert one(new_session().parse(data("books", {**row, "checksum": -5}, action="update"))).checksum == -5

    def test_the_older_form_without_ids(self) -> None:
        delta = one(new_session().parse(data("books", {**LEVELS, "ts": "1", "checksum": 7}, action="update")))
        assert (delta.prev, delta.seq, delta.chained, delta.checksum) == (None, None, False, 7)

    @pytest.mark.parametrize("ids", [{}, {"seqId": 5}, {"prevSeqId": 5}])
    def test_an_update_that_nothing_proves_is_not_understood(self, ids: dict[str, int]) -> None:
        with pytest.raises(ParseError, match="seqId"):
            new_session().parse(data("books", {**LEVELS, **TIMES, **ids}, action="update"))

    @pytest.mark.parametrize("action", [{"action": "upd"}, {}])
    def test_neither_snapshot_nor_update(self, action: dict[str, str]) -> None:
        with pytest.raises(ParseError, match="neither snapshot nor update"):
            new_session().parse(data("books", {**LEVELS, **TIMES, "prevSeqId": 4, "seqId": 5}, **action))

    @pytest.mark.parametrize("level", [["nan", "1"], ["1", "inf"], ["1", "-1"], ["0", "1"], ["", "1"], ["1"], "1", []])
    def test_levels_that_are_no_numbers(self, level: Any) -> None:
        with pytest.raises(ParseError):
            new_session().parse(data("books", {"bids": [level], "asks": [], **TIMES}, action="snapshot"))

    def test_best_prices(self) -> None:
        row = {**LEVELS, "ts": "1597026383085", "seqId": 123456}
        assert new_session().parse(data("bbo-tbt", row)) == [
            Bbo(
                symbol="BTC/USDT",
                bid=8476.97,
                bid_size=256.0,
                ask=8476.98,
                ask_size=415.0,
                seq=123456,
                exchange_ms=1597026383085,
            )
        ]
        empty = one(new_session().parse(data("bbo-tbt", {**row, "bids": []})))
        assert (empty.bid, empty.bid_size, empty.ask) == (0.0, 0.0, 8476.98)

    @pytest.mark.parametrize(("channel", "depth"), [("books-l2-tbt", 400), ("books50-l2-tbt", 50)])
    def test_faster_books_are_read_like_ours(self, channel: str, depth: int) -> None:
        session = new_session()
        snapshot = one(
            session.parse(data(channel, {**LEVELS, **TIMES, "prevSeqId": -1, "seqId": 5}, action="snapshot"))
        )
        assert (snapshot.seq, snapshot.depth, snapshot.asks[0]) == (5, depth, (8476.98, 415.0))
        delta = one(session.parse(data(channel, {**LEVELS, **TIMES, "prevSeqId": 5, "seqId": 9}, action="update")))
        assert (delta.prev, delta.seq, delta.chained) == (5, 9, True)

    @pytest.mark.parametrize("ids", [{"seqId": 7}, {}, {"seqId": 7, "instId": "BTC-USDT", "checksum": -3}])
    def test_five_levels_are_a_whole_book_every_time(self, ids: dict[str, Any]) -> None:
        session = new_session("swap-public")
        for _ in range(2):
            frame = data("books5", {**LEVELS, "ts": "1597026383085", **ids}, native="BTC-USDT-SWAP")
            snapshot = one(session.parse(frame))
            assert (snapshot.symbol, snapshot.depth, snapshot.seq) == ("BTC/USDT:USDT", 5, ids.get("seqId"))
            assert snapshot.bids == [(8476.97, 2.56)]

    def test_one_side_of_five_levels_may_be_empty(self) -> None:
        (snapshot,) = new_session().parse(data("books5", {"asks": [], "bids": [], "ts": "1", "seqId": 1}))
        assert (snapshot.bids, snapshot.asks) == ([], [])

    def test_a_book_is_read_from_one_channel(self) -> None:
        """From the first that has a snapshot, until a deeper one has. Changes of another chain would be gaps."""
        session = new_session()
        whole = {**LEVELS, **TIMES, "prevSeqId": -1}

        def read(channel: str, seq: int, action: str = "snapshot") -> list[Event]:
            ids = {"seqId": seq, "prevSeqId": -1 if action == "snapshot" else seq - 1}
            return session.parse(data(channel, {**whole, **ids}, **({} if channel == "books5" else {"action": action})))

        assert len(read("books5", 1)) == 1
        assert len(read("books50-l2-tbt", 2)) == 1
        assert (read("books5", 3), len(read("books50-l2-tbt", 3, "update"))) == ([], 1)
        assert read("books", 4, "update") == [], "it may have begun before the recording"
        assert len(read("books", 5)) == 1
        assert (read("books50-l2-tbt", 6, "update"), read("books50-l2-tbt", 7)) == ([], [])
        assert len(session.parse(data("books5", {**LEVELS, "ts": "1", "seqId": 1}, native="ETH-USDT"))) == 1
        session.parse(reply("unsubscribe"))
        assert len(read("books5", 8)) == 1, "the other one has ended"

    def test_changes_before_any_snapshot_are_told(self) -> None:
        """A book that never begins is incomplete: who verifies must hear of it."""
        row = {**LEVELS, **TIMES, "prevSeqId": 4, "seqId": 5}
        assert isinstance(one(new_session().parse(data("books-l2-tbt", row, action="update"))), BookDelta)

    def test_other_channels_are_not_ours(self) -> None:
        for channel in ("books-elp", "books-elp-all", "open-interest", "mark-price-candle1m", "candle3m"):
            assert new_session().parse(data(channel, {**LEVELS, "ts": "1", "seqId": 1})) == []

    def test_unlisted_markets_say_nothing(self) -> None:
        row = {**LEVELS, **TIMES, "prevSeqId": -1, "seqId": 1}
        assert new_session().parse(data("books", row, native="UNI-USD-SWAP", action="snapshot")) == []


TICK = {
    **{"instType": "SPOT", "instId": "BTC-USDT", "last": "9999.99", "open24h": "9000", "high24h": "10000"},
    **{"low24h": "8888.88", "volCcy24h": "22000000.5", "vol24h": "2222", "ts": "1597026383085"},
}


class TestPrices:
    def test_a_trade(self) -> None:
        row = {"instId": "BTC-USDT", "tradeId": "130639474", "px": "42219.9", "sz": "0.12060306", "side": "buy"}
        assert new_session().parse(data("trades", {**row, "ts": "1630048897897", "count": "3"})) == [
            Trade(
                symbol="BTC/USDT",
                id="130639474",
                side="buy",
                price=Decimal("42219.9"),
                size=Decimal("0.12060306"),
                exchange_ms=1630048897897,
            )
        ]
        swap = {**row, "instId": "BTC-USDT-SWAP", "sz": "12.5", "ts": "1"}
        assert one(new_session().parse(data("trades", swap, native="BTC-USDT-SWAP"))).size == Decimal("0.125")

    def test_a_market_s_prints_are_read_from_one_channel(self) -> None:
        row = {"instId": "BTC-USDT", "tradeId": "1", "px": "5", "sz": "1", "side": "sell", "ts": "1630048897897"}
        session = new_session()
        assert len(session.parse(data("trades-all", row))) == 1
        assert session.parse(data("trades", {**row, "count": "3"})) == []
        assert len(session.parse(data("trades", {**row, "instId": "ETH-USDT"}, native="ETH-USDT"))) == 1
        session.parse(reply("unsubscribe", "trades-all"))
        assert len(session.parse(data("trades", row))) == 1

    def test_spot_volumes_are_in_base_and_quote(self) -> None:
        ticker = one(new_session().parse(data("tickers", TICK)))
        assert isinstance(ticker, Ticker)
        assert (ticker.last, ticker.open, ticker.high, ticker.low) == tuple(
            map(Decimal, ("9999.99", "9000", "10000", "8888.88"))
        )
        assert ticker.change == Decimal("0.11111000")
        assert (ticker.base_volume, ticker.quote_volume) == (2222, Decimal("22000000.5"))

    def test_swap_volumes_are_in_contracts_and_base(self) -> None:
        row = {**TICK, "instId": "BTC-USDT-SWAP", "vol24h": "1000000", "volCcy24h": "10000"}
        ticker = one(new_session().parse(data("tickers", row)))
        assert (ticker.symbol, ticker.base_volume, ticker.quote_volume) == ("BTC/USDT:USDT", 10000, None)

    def test_what_is_not_told(self) -> None:
        ticker = one(new_session().parse(data("tickers", {**TICK, "open24h": "", "high24h": "", "vol24h": ""})))
        assert (ticker.open, ticker.change, ticker.high, ticker.base_volume) == (None, None, None, None)
        assert one(new_session().parse(data("tickers", {**TICK, "open24h": "0"}))).change is None
        assert new_session().parse(data("tickers", {**TICK, "last": ""})) == [], "never traded"

    def test_candles(self) -> None:
        row = ["1597026360000", "8533.02", "8553.74", "8527.17", "8548.26", "45247", "529.5858061", "5529.58", "0"]
        session = new_session("spot-business")
        bar = one(session.parse(data("candle1Dutc", row)))
        assert bar == Candle(
            symbol="BTC/USDT",
            interval="1d",
            open_ms=1597026360000,
            open=Decimal("8533.02"),
            high=Decimal("8553.74"),
            low=Decimal("8527.17"),
            close=Decimal("8548.26"),
            base_volume=Decimal("45247"),
        )
        assert one(session.parse(data("candle1m", [*row[:8], "1"]))).closed
        assert one(session.parse(data("candle1m", row, native="BTC-USDT-SWAP"))).base_volume == Decimal("529.5858061")
        for channel in ("candle1D", "candle3m", "index-candle1m", "mark-price-candle1m"):
            assert session.parse(data(channel, row)) == [], "a day of Hong Kong is not our day"

    @pytest.mark.parametrize("fields", [7, 8])
    def test_bars_of_the_older_form_are_closed_by_later_ones(self, fields: int) -> None:
        rows = [[str(ms), "5", "6", "4", f"{ms}", "45", "529.5", "1000"][:fields] for ms in (60_000, 60_000, 120_000)]
        session = new_session("spot-business")
        told = [event for row in rows for event in session.parse(data("candle1m", row))]
        assert [(e.open_ms, e.closed) for e in told if isinstance(e, Candle)] == [
            *((60_000, False), (60_000, False), (60_000, True), (120_000, False))
        ]
        bars = OKX.parse_candles(BTC, "1m", answer(rows[2], rows[1]))
        assert [(bar.open_ms, bar.closed) for bar in bars] == [(60_000, True), (120_000, False)]
        with pytest.raises(ParseError):
            session.parse(data("candle1m", rows[0][:6]))

    def test_mark_index_and_funding_are_told_together(self) -> None:
        session = new_session("swap-public")
        swap = {"instId": "BTC-USDT-SWAP"}
        mark = data("mark-price", {**swap, "markPx": "42310.6", "ts": "1700724675402"}, native="BTC-USDT-SWAP")
        assert session.parse(mark) == [
            MarkPrice(symbol="BTC/USDT:USDT", mark=Decimal("42310.6"), exchange_ms=1700724675402)
        ]
        assert (
            session.parse(data("index-tickers", {"instId": "BTC-USDT", "idxPx": "42300", "ts": "1700724675000"})) == []
        )
        funding = {**swap, "fundingRate": "-0.0001875", "fundingTime": "1700726400000"}
        assert session.parse(data("funding-rate", funding)) == []
        told = one(session.parse(mark))
        assert (told.index, told.funding_rate, told.next_funding_ms) == (42300, Decimal("-0.0001875"), 1700726400000)

    def test_what_is_not_of_the_mark_price_s_time_is_left_out(self) -> None:
        session = new_session("swap-public")
        session.parse(data("index-tickers", {"instId": "BTC-USDT", "idxPx": "42300", "ts": "1700724675000"}))
        row = {"instId": "BTC-USDT-SWAP", "fundingRate": "0.0001", "fundingTime": "1700726400000"}
        session.parse(data("funding-rate", row))
        later = {"instId": "BTC-USDT-SWAP", "markPx": "42310.6", "ts": "1700726400000"}
        told = one(session.parse(data("mark-price", later)))
        assert (told.index, told.funding_rate, told.next_funding_ms) == (None, None, None)

    def test_maintenance(self) -> None:
        row = {
            "begin": "1672823400000",
            "end": "1672825980000",
            "title": "Trading upgrade",
            "env": "1",
            "serviceType": "5",
        }
        session = new_session()
        key, begins_ms, ends_ms = "maintenance 5 Trading upgrade", 1672823400000, 1672825980000
        assert session.parse(data("status", {**row, "state": "scheduled"})) == [
            Notice(
                text="OKX announces maintenance from 2023-01-04 09:10 UTC: Trading upgrade.",
                key=key,
                begins_ms=begins_ms,
                ends_ms=ends_ms,
            )
        ]
        assert session.parse(data("status", {**row, "state": "ongoing"})) == [
            Notice(
                text="OKX is in maintenance until 2023-01-04 09:53 UTC: Trading upgrade.",
                trading=False,
                key=key,
                begins_ms=begins_ms,
                ends_ms=ends_ms,
            )
        ]
        assert session.parse(data("status", {**row, "state": "completed"})) == [Notice(text="", trading=True, key=key)]
        assert session.parse(data("status", {**row, "state": "ongoing", "env": "2"})) == [], "demo trading's"
        assert one(session.parse(data("status", {**row, "state": "ongoing", "serviceType": "0"}))).trading is None
        odd = {"state": "ongoing", "end": "9999999999999999"}
        assert session.parse(data("status", odd)) == [Notice(text="OKX is in maintenance.", key="maintenance  ")]


def answer(*rows: Any) -> bytes:
    return json.dumps({"code": "0", "msg": "", "data": rows}).encode()


class TestRest:
    def test_requests(self) -> None:
        assert OKX.snapshot_request(BTC) == Request(
            path="/api/v5/market/books", params=(("instId", "BTC-USDT"), ("sz", "400")), product="spot"
        )
        assert OKX.probe_request(PERP).params == (("instId", "BTC-USDT-SWAP"), ("sz", "1"))
        assert OKX.candles_request(PERP, "1d", 1000) == Request(
            path="/api/v5/market/candles",
            params=(("instId", "BTC-USDT-SWAP"), ("bar", "1Dutc"), ("limit", "300")),
            product="swap",
        )

    def test_a_book(self) -> None:
        raw = answer({**LEVELS, "ts": "1629966436396"})
        assert OKX.parse_snapshot(BTC, raw).bids == [(8476.97, 256.0)]
        best = OKX.parse_probe(PERP, raw)
        assert (best.bid, best.bid_size, best.ask, best.ask_size, best.seq) == (8476.97, 2.56, 8476.98, 4.15, None)

    def test_candles_come_newest_first(self) -> None:
        rows = [[str(n * 60_000), "3", "4", "2", "3.5", "10", "0.1", "350", "0" if n == 9 else "1"] for n in (9, 8, 7)]
        bars = OKX.parse_candles(PERP, "1m", answer(*rows))
        assert [(bar.open_ms // 60_000, bar.closed) for bar in bars] == [(7, True), (8, True), (9, False)]
        assert bars[0].base_volume == Decimal("0.1")
        with pytest.raises(ParseError, match="order of time"):
            OKX.parse_candles(BTC, "1m", answer(*reversed(rows)))
        assert OKX.parse_candles(BTC, "1m", answer()) == []

    @pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b'{"code":"0","data":[]}', b'{"code":"0","data":[{}]}'])
    def test_what_is_no_book(self, raw: bytes) -> None:
        with pytest.raises(ParseError):
            OKX.parse_probe(BTC, raw)

    @pytest.mark.parametrize(
        ("status", "code", "kind"),
        [
            (200, "0", None),
            (200, "50011", RateLimited),
            (429, "50011", RateLimited),
            (429, "50013", RateLimited),
            (200, "51001", ExchangeError),
            (400, "51000", ExchangeError),
            (401, "50111", CredentialsError),
            (200, "50119", CredentialsError),
            (503, "50001", TransportError),
            (200, "50026", TransportError),
        ],
    )
    def test_errors(self, status: int, code: str, kind: type[Exception] | None) -> None:
        raw = json.dumps({"code": code, "msg": "why", "data": []}).encode()
        found = OKX.error_of(status, raw, {})
        assert type(found) is kind if kind else found is None
        if isinstance(found, ExchangeError):
            assert found.code == code
        if found is not None:
            assert "why" in str(found)

    def test_errors_that_are_no_answers(self) -> None:
        assert isinstance(OKX.error_of(502, b"<html>", {}), TransportError)
        assert isinstance(OKX.error_of(403, b"<html>", {}), TransportError)
        assert isinstance(OKX.error_of(404, b"", {}), TransportError)
        limited = OKX.error_of(429, b"", {"Retry-After": "7"})
        assert isinstance(limited, RateLimited)
        assert limited.retry_after_s == 7
