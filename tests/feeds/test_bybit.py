"""Bybit's protocol: what we send, what the answers and frames mean, and the REST calls."""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from feeds.domain import (
    INTERVALS,
    Ack,
    Bbo,
    BookDelta,
    BookSnapshot,
    Candle,
    Channel,
    Event,
    MarkPrice,
    Notice,
    Rejected,
    Subscription,
    Ticker,
    Trade,
    Unknown,
)
from feeds.errors import CredentialsError, ExchangeError, FeedError, ParseError, RateLimited, TransportError
from feeds.exchanges.bybit import Bybit
from feeds.exchanges.bybit_session import BybitSession
from feeds.ledger import Ledger
from tests.feeds import bybit_frames as frames
from tests.feeds.bybit_frames import MARKETS, PERP, SPOT, answer, book, new_session, one, want

D = Decimal
BOOK, TRADES, BBO = want(Channel.BOOK), want(Channel.TRADES), want(Channel.BBO)
TICKER, MARK = want(Channel.TICKER), want(Channel.MARK)


def sent(messages: Sequence[str]) -> list[dict[str, Any]]:
    return [json.loads(message) for message in messages]


def reply(number: int | str = "", op: str = "subscribe", error: str | None = None, **more: Any) -> str:
    body = {"success": error is None, "ret_msg": error or "", "conn_id": "3cd8", "req_id": str(number), "op": op}
    return json.dumps({**body, **more})


class TestAsking:
    def test_everything_of_a_market_in_one_message(self) -> None:
        five = want(Channel.CANDLES, interval="5m")
        assert sent(new_session().subscribe([BOOK, BBO, TICKER, MARK, TRADES, five])) == [
            {
                "req_id": "1",
                "op": "subscribe",
                "args": [
                    "orderbook.200.BTCUSDT",
                    "orderbook.1.BTCUSDT",
                    "tickers.BTCUSDT",
                    "publicTrade.BTCUSDT",
                    "kline.5.BTCUSDT",
                ],
            }
        ]

    @pytest.mark.parametrize(
        ("interval", "period"), list(zip(INTERVALS, ("1", "5", "15", "60", "240", "D"), strict=True))
    )
    def test_every_interval(self, interval: str, period: str) -> None:
        (message,) = sent(new_session().subscribe([want(Channel.CANDLES, interval=interval)]))
        assert message["args"] == [f"kline.{period}.BTCUSDT"]

    def test_spot_takes_ten_topics_a_message(self) -> None:
        session = new_session("spot")
        all_of_two = [
            want(channel, symbol, interval)
            for symbol in (SPOT, "ETH/USDT")
            for channel, interval in (
                *((channel, None) for channel in (Channel.BOOK, Channel.BBO, Channel.TRADES, Channel.TICKER)),
                *((Channel.CANDLES, interval) for interval in INTERVALS),
            )
        ]
        assert [len(message["args"]) for message in sent(session.subscribe(all_of_two))] == [10, 10]
        linear = new_session()
        more = [want(s.channel, f"{s.symbol}:USDT", s.interval) for s in all_of_two]
        assert [len(message["args"]) for message in sent(linear.subscribe(more))] == [20]

    def test_a_full_connection_stays_below_the_limit_of_characters(self) -> None:
        facts = Bybit().facts
        longest = max(map(len, ("orderbook.1000.10000000AIDOGEUSDT", "orderbook.1000.BTCUSDT-26DEC25")))
        assert facts.streams_per_connection * longest < 21_000

    def test_another_depth(self) -> None:
        (message,) = sent(new_session(book_depth=1000).subscribe([BOOK]))
        assert message["args"] == ["orderbook.1000.BTCUSDT"]
        with pytest.raises(ValueError, match="book_depth is 500; Bybit has 50, 200, 1000"):
            Bybit(book_depth=500)

    def test_ending_mirrors_asking(self) -> None:
        session = new_session()
        session.subscribe([BOOK, TRADES])
        (message,) = sent(session.unsubscribe([BOOK, TRADES]))
        assert message == {
            "req_id": "2",
            "op": "unsubscribe",
            "args": ["orderbook.200.BTCUSDT", "publicTrade.BTCUSDT"],
        }

    def test_a_topic_of_two_is_ended_with_the_second(self) -> None:
        session = new_session()
        session.subscribe([TICKER, MARK])
        assert session.unsubscribe([MARK]) == []
        assert sent(session.unsubscribe([TICKER]))[0]["args"] == ["tickers.BTCUSDT"]

    def test_a_topic_that_is_there_is_acknowledged_without_asking(self) -> None:
        """It would be refused, and all others of its message with it."""
        session = new_session()
        session.subscribe([TICKER])
        session.parse(reply(1))
        messages = session.subscribe([MARK])
        assert sent(messages) == [{"req_id": "2", "op": "ping"}]
        assert session.parse(frames.PONG.replace("100001", "2")) == [Ack(subscriptions=(MARK,))]
        messages = session.subscribe([MARK, TRADES])
        assert sent(messages) == [{"req_id": "3", "op": "subscribe", "args": ["publicTrade.BTCUSDT"]}]
        assert session.parse(reply(3)) == [Ack(subscriptions=(MARK, TRADES))]

    def test_keepalive(self) -> None:
        assert json.loads(new_session().keepalive() or "") == {"op": "ping"}
        assert Bybit.facts.ping_s == 20
        for pong in (frames.PONG, frames.OTHER_PONG, frames.PONG.replace('"req_id":"100001",', "")):
            session = new_session()
            session.subscribe([BOOK])
            assert session.parse(pong) == [], "a pong without our number answers no question"

    @pytest.mark.parametrize(
        ("product", "wrong", "why"),
        [
            ("spot", want(Channel.MARK, SPOT), "no mark price"),
            ("linear", want(Channel.CANDLES, interval="2m"), "no such candles"),
            ("linear", want(Channel.CANDLES), "no such candles"),
            ("linear", want(Channel.BOOK, "NO/SUCH"), "lists no such market"),
            ("linear", want(Channel.BOOK, SPOT), "connections of linear do not carry it"),
        ],
    )
    def test_what_would_fail_a_whole_message_is_not_sent(self, product: str, wrong: Subscription, why: str) -> None:
        with pytest.raises(ValueError, match=why):
            new_session(product).subscribe([wrong])

    def test_routes(self) -> None:
        exchange = Bybit({"linear.ws": "ws://127.0.0.1:9/"})
        assert exchange.url(exchange.route(BOOK, MARKETS[PERP])) == "ws://127.0.0.1:9/v5/public/linear"
        spot = exchange.route(want(Channel.BOOK, SPOT), MARKETS[SPOT])
        assert exchange.url(spot) == "wss://stream.bybit.com/v5/public/spot"
        with pytest.raises(ValueError, match="no mark price"):
            exchange.route(want(Channel.MARK, SPOT), MARKETS[SPOT])
        with pytest.raises(ValueError, match="no route 'inverse'"):
            exchange.session("inverse", MARKETS)


class TestAnswers:
    def test_a_message_is_accepted_as_a_whole(self) -> None:
        session = new_session()
        session.subscribe([BOOK, TRADES])
        assert session.parse(reply(1)) == [Ack(subscriptions=(BOOK, TRADES))]
        session.unsubscribe([TRADES])
        assert session.parse(reply(2, "unsubscribe")) == [Ack(subscriptions=(TRADES,), ended=True)]

    @pytest.mark.parametrize("text", ["", "subscribe", "whatever"])
    def test_success_decides_and_not_what_is_said(self, text: str) -> None:
        session = new_session("spot")
        session.subscribe([want(Channel.BOOK, SPOT)])
        assert session.parse(reply(1, ret_msg=text)) == [Ack(subscriptions=(want(Channel.BOOK, SPOT),))]

    def test_without_a_number_it_is_the_oldest_of_its_kind(self) -> None:
        session = new_session()
        session.subscribe([BOOK])
        session.subscribe([TRADES])
        session.unsubscribe([BOOK])
        assert session.parse(reply(op="unsubscribe")) == [Ack(subscriptions=(BOOK,), ended=True)]
        assert session.parse('{"success":true,"ret_msg":"","op":"subscribe"}') == [Ack(subscriptions=(TRADES,))]
        assert session.parse(reply()) == []

    def test_an_answer_to_what_was_asked_again_counts_once(self) -> None:
        session = new_session()
        session.subscribe([BOOK])
        session.subscribe([BOOK])
        assert session.parse(reply(1)) == []
        assert session.parse(reply(2)) == [Ack(subscriptions=(BOOK,))]

    def test_an_end_that_is_refused_has_ended(self) -> None:
        session = new_session()
        session.subscribe([BOOK])
        session.unsubscribe([BOOK])
        refused = session.parse(reply(2, "unsubscribe", "error:handler not found,topic:orderbook.200.BTCUSDT"))
        assert refused == [Ack(subscriptions=(BOOK,), ended=True)]

    def test_what_nobody_asked_for(self) -> None:
        assert new_session().parse(frames.REFUSAL) == [
            Notice(text="Bybit says: error:handler not found,topic:orderbook.500.BTCUSDT")
        ]
        assert new_session().parse('{"success":false,"ret_msg":"error:invalid op"}') == [
            Notice(text="Bybit says: error:invalid op")
        ]


class Exchange:
    """Answers as reported of the real one: one topic that does not exist, or is there already, fails its message."""

    def __init__(self, session: BybitSession, wrong: set[str], there: set[str]) -> None:
        self.session = session
        self.ledger = Ledger(answer_s=10, end_s=5)
        self.wrong = wrong
        self.there = there
        self.rejected: dict[Subscription, str] = {}
        self.accepted: set[Subscription] = set()

    def run(self, subscriptions: Sequence[Subscription]) -> None:
        self.ledger.add(subscriptions)
        for _ in range(60):
            batch = self.ledger.next()
            if batch is None:
                return
            for message in sent(self.session.subscribe(batch.subscriptions)):
                for event in self.session.parse(self.answer(message)):
                    if isinstance(event, Ack):
                        self.accepted.update(self.ledger.accepted(event.subscriptions))
                    elif isinstance(event, Rejected):
                        blamed = self.ledger.refused(event.subscriptions)
                        self.rejected.update(dict.fromkeys(blamed, event.reason))
        raise AssertionError("it never comes to an end")

    def answer(self, message: dict[str, Any]) -> str:
        if message["op"] == "ping":
            return frames.PONG.replace("100001", message["req_id"])
        for topic in message["args"]:
            if topic in self.wrong:
                return reply(message["req_id"], error=f"error:handler not found,topic:{topic}")
            if topic in self.there:
                return reply(message["req_id"], error=f"error:already subscribed,topic:{topic}")
        self.there.update(message["args"])
        return reply(message["req_id"])


class TestRefusals:
    ALL = (BOOK, BBO, TICKER, MARK, TRADES, want(Channel.BOOK, "ETH/USDT:USDT"), want(Channel.CANDLES, interval="1m"))

    @pytest.mark.parametrize("wrong", ["orderbook.200.ETHUSDT", "tickers.BTCUSDT", "kline.1.BTCUSDT"])
    def test_the_one_that_is_to_blame_alone(self, wrong: str) -> None:
        exchange = Exchange(new_session(), {wrong}, set())
        exchange.run(self.ALL)
        about = {s for s in self.ALL if (s.channel in (Channel.TICKER, Channel.MARK)) == wrong.startswith("tickers")}
        blamed = about if wrong.startswith("tickers") else {self.ALL[5 if "ETH" in wrong else 6]}
        assert set(exchange.rejected) == blamed
        assert all(reason.endswith(wrong) for reason in exchange.rejected.values())
        assert exchange.accepted == set(self.ALL) - blamed

    @pytest.mark.parametrize("there", [{"tickers.BTCUSDT"}, {"tickers.BTCUSDT", "orderbook.1.BTCUSDT"}])
    def test_what_is_there_already_is_accepted(self, there: set[str]) -> None:
        """As after an answer that was lost."""
        exchange = Exchange(new_session(), set(), there)
        exchange.run(self.ALL)
        assert exchange.rejected == {}
        assert exchange.accepted == set(self.ALL)

    def test_a_single_refusal_is_one(self) -> None:
        session = new_session()
        session.subscribe([BOOK])
        reason = "error:handler not found,topic:orderbook.200.BTCUSDT"
        assert session.parse(reply(1, error=reason)) == [Rejected(subscriptions=(BOOK,), reason=reason)]
        assert session.unsubscribe([BOOK]) and session.parse(reply(2, "unsubscribe"))


class TestBooks:
    def test_the_documented_snapshot(self) -> None:
        assert one(new_session().parse(frames.SNAPSHOT)) == BookSnapshot(
            symbol=PERP,
            bids=[(16493.5, 0.006), (16493.0, 0.1)],
            asks=[(16611.0, 0.029), (16612.0, 0.213)],
            seq=18521288,
            rank=7961638724,
            depth=50,
            exchange_ms=1672304484976,
        )

    def test_the_documented_delta(self) -> None:
        assert one(new_session("spot").parse(frames.DELTA)) == BookDelta(
            symbol=SPOT,
            bids=[(30247.2, 30.028), (30240.0, 0.0)],
            asks=[(30248.7, 0.0), (30249.3, 0.892)],
            prev=177400506,
            seq=177400507,
            rank=66544703342,
            exchange_ms=1687940967464,
        )

    def test_without_the_engine_s_time_it_is_when_it_was_sent(self) -> None:
        event = one(new_session().parse(frames.SNAPSHOT.replace(',"cts":1672304484976', "")))
        assert isinstance(event, BookSnapshot) and event.exchange_ms == 1672304484978

    def test_any_order_and_spacing(self) -> None:
        turned = json.dumps(dict(reversed(json.loads(frames.SNAPSHOT).items())), indent=60)
        assert new_session().parse(turned) == new_session().parse(frames.SNAPSHOT)

    def test_a_restart_begins_with_a_snapshot_numbered_one(self) -> None:
        session = new_session()
        for raw in (book(500, kind="snapshot"), book(501), book(1, kind="snapshot"), book(2)):
            event = one(session.parse(raw))
            assert not isinstance(event, BookDelta) or not event.chained
        assert isinstance(event, BookDelta) and (event.prev, event.seq) == (1, 2)

    @pytest.mark.parametrize("number", [1, 2, 489])
    def test_numbers_that_begin_anew_without_a_snapshot_are_told(self, number: int) -> None:
        session = new_session()
        for raw in (book(499, kind="snapshot"), book(500)):
            session.parse(raw)
        event = one(session.parse(book(number)))
        assert isinstance(event, BookDelta) and event.chained
        following = one(session.parse(book(number + 1)))
        assert isinstance(following, BookDelta) and not following.chained

    @pytest.mark.parametrize("number", [500, 499, 490])
    def test_a_late_double_is_none(self, number: int) -> None:
        session = new_session()
        for raw in (book(499, kind="snapshot"), book(500), book(number)):
            event = one(session.parse(raw))
        assert isinstance(event, BookDelta) and not event.chained

    def test_a_book_is_read_from_one_depth_alone(self) -> None:
        """A recording may hold several; their numbers have nothing to do with each other."""
        session = new_session(book_depth=200)
        told = [
            session.parse(raw)
            for raw in (
                book(10, kind="snapshot", depth=50),
                book(900, kind="snapshot", depth=1000),
                book(11, depth=50),
                book(901, depth=1000),
                book(70, kind="snapshot", depth=200),
                book(12, depth=50),
                book(71, depth=200),
            )
        ]
        numbers = [(event.seq, getattr(event, "depth", None)) for events in told for event in events]
        assert numbers == [(10, 50), (11, None), (70, 200), (71, None)]

    def test_markets_and_products_are_told_apart(self) -> None:
        raws = [book(5, kind="snapshot", native=native) for native in ("BTCUSDT", "BTCPERP", "UNKNOWN")]
        for product, symbols in (("linear", [PERP, "BTC/USDC:USDC"]), ("spot", [SPOT])):
            session = new_session(product)
            events = [event for raw in raws for event in session.parse(raw)]
            assert [event.symbol for event in events if isinstance(event, BookSnapshot)] == symbols

    @pytest.mark.parametrize("topic", ["orderbook.rpi.BTCUSDT", "orderbook.full.BTCUSDT"])
    def test_books_of_other_kinds_are_not_ours(self, topic: str) -> None:
        raw = book(5, kind="snapshot", b=[["1", "2", "3"]]).replace("orderbook.50.BTCUSDT", topic)
        assert new_session().parse(raw) == []

    @pytest.mark.parametrize(
        "level", [["nan", "1"], ["1", "inf"], ["-1", "1"], ["1", "-1"], ["0", "1"], ["1e400", "1"], ["", "1"], ["1"]]
    )
    def test_levels_that_are_no_amounts(self, level: list[str]) -> None:
        with pytest.raises(ParseError):
            new_session().parse(book(5, b=[level]))

    @pytest.mark.parametrize(
        "raw",
        [
            book(5).replace('"delta"', '"update"'),
            book(5).replace("orderbook.50.", "orderbook.x."),
            book(5).replace("orderbook.50.BTCUSDT", "orderbook.50"),
            book(5).replace('"s":"BTCUSDT"', '"s":"ETHUSDT"'),
            book(5).replace('"u":5', '"u":-5'),
            book(5).replace('"u":5,', ""),
            '{"topic":"orderbook.50.BTCUSDT"}',
        ],
    )
    def test_frames_that_are_not_as_documented(self, raw: str) -> None:
        with pytest.raises(ParseError, match="Bybit linear"):
            new_session().parse(raw)


class TestBestPrices:
    def test_the_documented_frame(self) -> None:
        assert one(new_session("spot").parse(frames.BEST)) == Bbo(
            symbol=SPOT,
            bid=66666.6,
            bid_size=23.789,
            ask=66666.7,
            ask_size=23.775,
            rank=7961638724,
            exchange_ms=1772694601510,
        )

    def test_its_numbers_are_not_the_book_s(self) -> None:
        session = new_session(book_depth=50)
        session.parse(book(500, kind="snapshot", depth=50))
        session.parse(book(3, kind="snapshot", depth=1, b=[["5", "1"]], a=[["6", "1"]]))
        event = one(session.parse(book(501, depth=50)))
        assert isinstance(event, BookDelta) and not event.chained

    def test_an_empty_side_is_nothing_at_nothing(self) -> None:
        event = one(new_session().parse(book(5, kind="snapshot", depth=1, a=[["6", "2"]])))
        assert isinstance(event, Bbo)
        assert (event.bid, event.bid_size, event.ask, event.ask_size) == (0.0, 0.0, 6.0, 2.0)

    def test_changes_are_understood_as_well(self) -> None:
        session = new_session()
        told: list[Event] = []
        for raw in (
            book(5, kind="snapshot", depth=1, b=[["5", "1"]], a=[["6", "2"]]),
            book(6, depth=1, b=[["5", "0"], ["4.9", "3"]]),
            book(7, depth=1, b=[["5.1", "4"]]),
            book(8, depth=1, a=[["6", "7"]]),
        ):
            told += session.parse(raw)
        assert [(e.bid, e.bid_size, e.ask, e.ask_size) for e in told if isinstance(e, Bbo)] == [
            (5.0, 1.0, 6.0, 2.0),
            (4.9, 3.0, 6.0, 2.0),
            (5.1, 4.0, 6.0, 2.0),
            (5.1, 4.0, 6.0, 7.0),
        ]


class TestFigures:
    def test_trades(self) -> None:
        assert one(new_session().parse(frames.TRADE)) == Trade(
            symbol=PERP,
            id="20f43950-d8dd-5b31-9112-a178eb6023af",
            side="buy",
            price=D("16578.50"),
            size=D("0.001"),
            exchange_ms=1672304486865,
        )

    def test_block_trades_are_none_of_the_book(self) -> None:
        assert new_session().parse(frames.TRADE.replace('"BT":false', '"BT":true')) == []
        with pytest.raises(ParseError):
            new_session().parse(frames.TRADE.replace('"BT":false', '"BT":"x"'))

    def test_spot_trades_in_their_order(self) -> None:
        rows = [
            {
                "i": f"229000000118904810{n}",
                "T": 1786310822605,
                "p": "65140.5",
                "v": "0.002705",
                "S": side,
                "s": "BTCUSDT",
            }
            for n, side in enumerate(("Buy", "Sell", "Sell"))
        ]
        events = new_session("spot").parse(json.dumps({"topic": "publicTrade.BTCUSDT", "ts": 1, "data": rows}))
        assert [(e.id[-1], e.side) for e in events if isinstance(e, Trade)] == [
            ("0", "buy"),
            ("1", "sell"),
            ("2", "sell"),
        ]

    def test_linear_ticker_and_mark_price(self) -> None:
        ticker, mark = new_session().parse(frames.TICKER)
        assert ticker == Ticker(
            symbol=PERP,
            last=D("66666.60"),
            open=D("79206.20"),
            high=D("79266.30"),
            low=D("65076.90"),
            change=D("-0.158315"),
            base_volume=D("73191.3870"),
            quote_volume=D("4936790807.6521"),
            exchange_ms=1760325052630,
        )
        assert mark == MarkPrice(
            symbol=PERP,
            mark=D("66666.60"),
            index=D("66670.19"),
            funding_rate=D("-0.005"),
            next_funding_ms=1760342400000,
            exchange_ms=1760325052630,
        )

    def test_changes_are_merged_into_what_is_known(self) -> None:
        session = new_session()
        session.parse(frames.TICKER)
        ticker, mark = session.parse(frames.TICKER_CHANGES)
        assert isinstance(ticker, Ticker) and isinstance(mark, MarkPrice)
        assert (ticker.last, ticker.open, ticker.exchange_ms) == (D("66666.50"), D("79206.20"), 1760325052730)
        assert (mark.mark, mark.funding_rate) == (D("66666.60"), D("-0.005"))
        changed = frames.TICKER_CHANGES.replace('"bid1Price":"66666.50"', '"markPrice":"66000.1","fundingRate":""')
        ticker, mark = session.parse(changed)
        assert isinstance(mark, MarkPrice) and (mark.mark, mark.funding_rate) == (D("66000.1"), None)
        first = new_session().parse(frames.TICKER)
        assert session.parse(frames.TICKER) == first, "a snapshot replaces everything"

    def test_changes_without_a_beginning_say_too_little(self) -> None:
        assert new_session().parse(frames.TICKER_CHANGES) == []

    def test_spot_ticker(self) -> None:
        assert one(new_session("spot").parse(frames.SPOT_TICKER)) == Ticker(
            symbol=SPOT,
            last=D("21109.77"),
            open=D("20704.93"),
            high=D("21426.99"),
            low=D("20575"),
            change=D("0.0196"),
            base_volume=D("6780.866843"),
            quote_volume=D("141946527.22907118"),
            exchange_ms=1673853746003,
        )

    def test_figures_that_are_not_there(self) -> None:
        """Before its start a contract has no price, a dated future no funding, a market of today no price a day ago."""
        frame = json.loads(frames.TICKER)
        frame["data"] |= {"lastPrice": "", "fundingRate": "", "nextFundingTime": "", "indexPrice": ""}
        mark = one(new_session().parse(json.dumps(frame)))
        assert mark == MarkPrice(symbol=PERP, mark=D("66666.60"), exchange_ms=1760325052630)
        frame["data"] |= {"lastPrice": "5", "markPrice": "", "prevPrice24h": "0", "nextFundingTime": "0"}
        ticker = one(new_session().parse(json.dumps(frame)))
        assert isinstance(ticker, Ticker) and ticker.open is None

    @pytest.mark.parametrize(("confirm", "closed"), [("false", False), ("true", True)])
    def test_candles(self, confirm: str, closed: bool) -> None:
        raw = frames.KLINE.replace('"confirm":false', f'"confirm":{confirm}')
        assert one(new_session().parse(raw)) == Candle(
            symbol=PERP,
            interval="5m",
            open_ms=1672324800000,
            open=D("16649.5"),
            high=D("16677"),
            low=D("16608"),
            close=D("16677"),
            base_volume=D("2.081"),
            closed=closed,
        )

    def test_candles_of_an_interval_that_is_not_ours(self) -> None:
        assert new_session().parse(frames.KLINE.replace("kline.5", "kline.3")) == []

    @pytest.mark.parametrize("topic", ["allLiquidation.BTCUSDT", "priceLimit.BTCUSDT", "insurance.USDT"])
    def test_topics_of_no_use(self, topic: str) -> None:
        assert new_session().parse(json.dumps({"topic": topic, "ts": 1, "data": {"what": "ever"}})) == []

    @pytest.mark.parametrize(
        "raw",
        [
            "",
            "{",
            "[]",
            "null",
            "{}",
            '{"op":"auth","success":true}',
            frames.TRADE.replace('"0.001"', '"NaN"'),
            frames.TRADE.replace('"Buy"', '"buy"'),
            frames.TICKER.replace('"66666.60"', '"1e5"'),
            frames.TICKER.replace('"snapshot"', '"update"'),
            frames.KLINE.replace('"16677"', '"-16677"'),
            frames.KLINE.replace('"confirm":false,', ""),
        ],
    )
    def test_what_is_not_understood(self, raw: str) -> None:
        with pytest.raises(ParseError):
            new_session().parse(raw)

    def test_one_of_an_unknown_kind(self) -> None:
        assert new_session().parse('{"topic":"unheard.of","data":[]}') == [Unknown(what="topic unheard")]


class TestStatus:
    def status(self, **changes: Any) -> str:
        frame = json.loads(frames.STATUS)
        frame["data"][0] |= {"state": "ongoing", **changes}
        return json.dumps(frame)

    @pytest.mark.parametrize(
        ("changes", "text", "trading"),
        [
            ({}, "Bybit maintains futures and spot (t06), until 2025-07-04 02:43 UTC.", None),
            ({"serviceTypes": [1]}, "Bybit maintains futures and spot (t06), until 2025-07-04 02:43 UTC.", False),
            ({"product": [2], "title": "", "end": ""}, "Bybit maintains spot.", None),
            ({"product": [], "env": "1", "end": ""}, "Bybit maintains everything (t06).", None),
            ({"product": [3, 4]}, "", True),
            ({"env": 2}, "", True),
            ({"state": "scheduled"}, "", True),
            ({"state": "completed"}, "", True),
            ({"state": "canceled"}, "", True),
        ],
    )
    def test_what_is_ongoing_and_ours_is_told(self, changes: dict[str, Any], text: str, trading: bool | None) -> None:
        raw = self.status(**changes)
        rows = json.loads(raw)["data"]
        told = Bybit().parse_status(answer({"list": rows}))
        assert new_session().parse(raw) == told
        assert told[0] == Notice(text=text, trading=trading)

    @pytest.mark.parametrize(
        ("changes", "text"),
        [
            (
                {},
                "Bybit announces maintenance of futures and spot (t06), "
                "from 2025-07-04 02:41 UTC until 2025-07-04 02:43 UTC.",
            ),
            ({"product": [1], "begin": "", "end": "", "title": ""}, "Bybit announces maintenance of futures."),
            ({"product": []}, "Bybit announces maintenance of everything (t06), from 2025-07-04 02:41 UTC until"),
        ],
    )
    def test_what_lies_ahead_is_announced(self, changes: dict[str, Any], text: str) -> None:
        row = json.loads(self.status(state="scheduled", **changes))["data"][0]
        now, ahead = Bybit().parse_status(answer({"list": [row]}))
        assert now == Notice(text="", trading=True)
        assert ahead.text.startswith(text)
        assert ahead.trading is None
        assert ahead.key == "maintenance 4d95b2a0-587f-11f0-bcc9-56f28c94d6ea"
        begins, ends = (1751596902000, 1751597011000) if row["end"] else (None, None)
        assert (ahead.begins_ms, ahead.ends_ms) == (begins, ends)

    @pytest.mark.parametrize("state", ["ongoing", "completed", "canceled"])
    def test_an_announcement_is_taken_back(self, state: str) -> None:
        raw = self.status(state=state)
        *_, ahead = new_session().parse(raw)
        assert ahead == Notice(text="", key="maintenance 4d95b2a0-587f-11f0-bcc9-56f28c94d6ea")

    def test_what_is_not_ours_is_not_announced(self) -> None:
        for changes in ({"product": [3]}, {"env": 2}):
            assert len(new_session().parse(self.status(state="scheduled", **changes))) == 1

    def test_where_it_is_asked_for(self) -> None:
        request = Bybit().status_request()
        assert (request.path, request.product) == ("/v5/system/status", "spot")


class TestInstruments:
    def parse(self, product: str, *rows: dict[str, Any]) -> list[Any]:
        exchange = Bybit()
        (request,) = (request for request in exchange.markets_requests() if request.product == product)
        return exchange.parse_markets(request, answer({"category": product, "list": rows, "nextPageCursor": ""}))

    def test_requests(self) -> None:
        assert [(request.path, dict(request.params), request.product) for request in Bybit().markets_requests()] == [
            ("/v5/market/instruments-info", {"category": "spot", "limit": "1000"}, "spot"),
            ("/v5/market/instruments-info", {"category": "linear", "limit": "1000"}, "linear"),
        ]

    def test_linear(self) -> None:
        (market,) = self.parse("linear", frames.LINEAR_INSTRUMENT)
        assert (market.symbol, market.native, market.product, market.settle) == (PERP, "BTCUSDT", "linear", "USDT")
        assert (market.tick, market.lot, market.price_decimals) == (D("0.10"), D("0.001"), 1)
        assert (market.min_size, market.min_notional, market.status) == (D("0.001"), D(5), "trading")

    def test_spot(self) -> None:
        (market,) = self.parse("spot", frames.SPOT_INSTRUMENT)
        assert (market.symbol, market.native, market.product, market.settle) == (SPOT, "BTCUSDT", "spot", None)
        assert (market.tick, market.lot) == (D("0.1"), D("0.000001"))
        assert (market.min_size, market.min_notional) == (D("0.000011"), D(5))

    @pytest.mark.parametrize(
        ("changes", "symbol"),
        [
            ({"symbol": "BTCPERP", "quoteCoin": "USDC", "settleCoin": "USDC"}, "BTC/USDC:USDC"),
            ({"deliveryTime": "1766736000000"}, PERP),  # a perpetual that will be delisted
            (
                {"symbol": "BTCUSDT-26DEC25", "contractType": "LinearFutures", "deliveryTime": "1766736000000"},
                "BTC/USDT:USDT-251226",
            ),
            (
                {
                    **{"symbol": "BTC-26DEC25", "contractType": "LinearFutures", "deliveryTime": "1766736000000"},
                    **{"quoteCoin": "USDC", "settleCoin": "USDC"},
                },
                "BTC/USDC:USDC-251226",
            ),
            ({"symbol": "1000PEPEUSDT", "baseCoin": "1000PEPE"}, "1000PEPE/USDT:USDT"),
            ({"symbol": "PREUSDT", "baseCoin": "PRE", "status": "PreLaunch"}, "PRE/USDT:USDT"),
        ],
    )
    def test_names(self, changes: dict[str, Any], symbol: str) -> None:
        (market,) = self.parse("linear", {**frames.LINEAR_INSTRUMENT, **changes})
        assert market.symbol == symbol

    @pytest.mark.parametrize(
        "changes",
        [
            {"contractType": "InversePerpetual"},
            {"contractType": "LinearFutures", "deliveryTime": "0"},
            {"priceFilter": {"tickSize": "0"}},
            {"priceFilter": {}},
            {"lotSizeFilter": {"minOrderQty": "1", "basePrecision": "0.1"}},
        ],
    )
    def test_one_that_is_not_ours_or_not_understood_costs_no_other(self, changes: dict[str, Any]) -> None:
        wrong = {**frames.LINEAR_INSTRUMENT, **changes, "symbol": "ODD"}
        assert [market.native for market in self.parse("linear", wrong, frames.LINEAR_INSTRUMENT)] == ["BTCUSDT"]

    def test_if_none_can_be_understood_something_is_wrong_with_us(self) -> None:
        with pytest.raises(ParseError, match="none of 1 instruments"):
            self.parse("linear", {**frames.LINEAR_INSTRUMENT, "status": None})
        with pytest.raises(ParseError):
            Bybit().parse_markets(Bybit().markets_requests()[0], b"<html>")


class TestRest:
    def test_a_book_by_rest_is_of_another_count(self) -> None:
        raw = answer(
            {
                **{"s": "BTCUSDT", "a": [["65557.7", "16.606555"]], "b": [["65485.47", "47.081829"]]},
                **{"ts": 1716863719031, "u": 230704, "seq": 1432604333, "cts": 1716863718905},
            }
        )
        exchange, market = Bybit(), MARKETS[SPOT]
        snapshot = exchange.parse_snapshot(market, raw)
        assert (snapshot.seq, snapshot.rank, snapshot.depth) == (None, 1432604333, 200)
        assert exchange.parse_probe(market, raw) == Bbo(
            symbol=SPOT,
            bid=65485.47,
            bid_size=47.081829,
            ask=65557.7,
            ask_size=16.606555,
            rank=1432604333,
            exchange_ms=1716863718905,
        )
        request = exchange.probe_request(MARKETS[PERP])
        assert dict(request.params) == {"category": "linear", "symbol": "BTCUSDT", "limit": "1"}
        assert (request.path, request.product) == ("/v5/market/orderbook", "linear")

    def test_candles_are_told_newest_first_and_read_oldest_first(self) -> None:
        rows = [
            [str(1670608800000 - n * 60_000), "17071", "17073", "17027", "17055.5", str(n), "1.5"] for n in range(3)
        ]
        bars = Bybit().parse_candles(MARKETS[PERP], "1m", answer({"list": rows}))
        assert [bar.open_ms for bar in bars] == [1670608680000, 1670608740000, 1670608800000]
        assert [bar.closed for bar in bars] == [True, True, False]
        assert (bars[0].base_volume, bars[0].high, bars[0].close) == (D(2), D(17073), D("17055.5"))
        with pytest.raises(ParseError, match="newest first"):
            Bybit().parse_candles(MARKETS[PERP], "1m", answer({"list": rows[::-1]}))
        assert Bybit().parse_candles(MARKETS[PERP], "1m", answer({"list": []})) == []

    @pytest.mark.parametrize(("limit", "asked"), [(0, "1"), (500, "500"), (5000, "1000")])
    def test_candles_are_asked_for_within_the_limit(self, limit: int, asked: str) -> None:
        request = Bybit().candles_request(MARKETS[PERP], "1d", limit)
        params = {"category": "linear", "symbol": "BTCUSDT", "interval": "D", "limit": asked}
        assert (request.path, dict(request.params)) == ("/v5/market/kline", params)

    def test_the_products_share_one_limit(self) -> None:
        budgets = Bybit().budgets()
        assert sum(budget.limit for budget in budgets.values()) == 600
        assert {budget.per_s for budget in budgets.values()} == {5}

    @pytest.mark.parametrize(
        ("status", "raw", "headers", "kind"),
        [
            (200, answer({}), {}, None),
            (200, answer({"list": ["x" * 2000]}), {}, None),
            (200, answer({}, 10001), {}, ExchangeError),
            (200, answer({}, 10003), {}, CredentialsError),
            (200, answer({}, 33004), {}, CredentialsError),
            (200, answer({}, 10016), {}, TransportError),
            (200, answer({}, 10006), {}, RateLimited),
            (429, b"", {}, RateLimited),
            (403, b"access too frequent", {}, RateLimited),
            (403, b"configured to block access from your country", {}, TransportError),
            (502, b"<html>", {}, TransportError),
            (404, b"", {}, TransportError),
            (200, b"<html>", {}, None),
        ],
    )
    def test_errors(self, status: int, raw: bytes, headers: dict[str, str], kind: type[FeedError] | None) -> None:
        error = Bybit().error_of(status, raw, headers)
        assert type(error) is (kind or type(None))

    @pytest.mark.parametrize(
        ("status", "raw", "headers", "wait_s"),
        [
            (200, answer({}, 10006), {"X-Bapi-Limit-Reset-Timestamp": "1000002500"}, 2.5),
            (200, answer({}, 10006), {"X-Bapi-Limit-Reset-Timestamp": "1000000100"}, 1.0),
            (200, answer({}, 10006), {}, 10.0),
            (429, b"", {"retry-after": "7"}, 7.0),
            (403, b"access too frequent", {}, 600.0),
        ],
    )
    def test_how_long_to_wait(self, status: int, raw: bytes, headers: dict[str, str], wait_s: float) -> None:
        error = Bybit(now_s=lambda: 1_000_000.0).error_of(status, raw, headers)
        assert isinstance(error, RateLimited) and error.retry_after_s == pytest.approx(wait_s)
