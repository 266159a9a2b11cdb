"""Kraken's protocol: what we send, what the answers and frames mean, and the REST calls."""

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from feeds.domain import (
    INTERVALS,
    Ack,
    Bbo,
    BookSnapshot,
    Candle,
    Channel,
    Closing,
    Event,
    Heartbeat,
    Markets,
    Notice,
    Rejected,
    Subscription,
    Ticker,
    Trade,
    Unknown,
)
from feeds.errors import CredentialsError, ExchangeError, ParseError, RateLimited, TransportError
from feeds.exchange import MarketIndex, Session
from feeds.exchanges.kraken import Kraken, rest_name
from tests.documented import Documented, below
from tests.feeds import kraken_frames as frames
from tests.feeds.test_kraken_book import BTC, market, recorded
from tests.shared import SHARED, shared_file


def new_session(**options: Any) -> Session:
    return Kraken(**options).session("spot", MarketIndex([BTC]))


def want(channel: Channel, symbol: str = "BTC/USD", interval: str | None = None) -> Subscription:
    return Subscription(channel=channel, symbol=symbol, interval=interval)


BOOK, TRADES = want(Channel.BOOK), want(Channel.TRADES)
BBO, TICKER = want(Channel.BBO), want(Channel.TICKER)
MINUTE = want(Channel.CANDLES, interval="1m")


def sent(messages: Sequence[str]) -> list[dict[str, Any]]:
    return [json.loads(message) for message in messages]


def ack(channel: str, symbol: str = "BTC/USD", method: str = "subscribe", **more: Any) -> str:
    """As documented; ``req_id`` stands beside the result, everything else in it."""
    req_id = {"req_id": more.pop("req_id")} if "req_id" in more else {}
    result = {"channel": channel, "symbol": symbol, **more}
    stamps = {"time_in": "2023-10-06T17:35:55.219022Z", "time_out": "2023-10-06T17:35:55.219067Z"}
    return json.dumps({"method": method, "result": result, "success": True, **stamps, **req_id})


def refusal(error: str, method: str = "subscribe", **more: Any) -> str:
    return json.dumps({"error": error, "method": method, "success": False, **more})


def one(events: list[Event]) -> Event:
    (event,) = events
    return event


class TestAsking:
    def test_a_book(self) -> None:
        assert sent(new_session(book_depth=10).subscribe([BOOK, want(Channel.BOOK, "ETH/USD")])) == [
            {
                "method": "subscribe",
                "params": {"channel": "book", "symbol": ["BTC/USD", "ETH/USD"], "depth": 10, "snapshot": True},
                "req_id": 1,
            }
        ]

    def test_everything_of_a_market_takes_one_message_per_stream(self) -> None:
        five = want(Channel.CANDLES, interval="5m")
        messages = sent(new_session().subscribe([BOOK, BBO, TICKER, TRADES, MINUTE, five]))
        assert [message["params"] for message in messages] == [
            {"channel": "book", "symbol": ["BTC/USD"], "depth": 100, "snapshot": True},
            {"channel": "ticker", "symbol": ["BTC/USD"], "event_trigger": "bbo", "snapshot": True},
            {"channel": "trade", "symbol": ["BTC/USD"], "snapshot": True},
            {"channel": "ohlc", "symbol": ["BTC/USD"], "interval": 1, "snapshot": True},
            {"channel": "ohlc", "symbol": ["BTC/USD"], "interval": 5, "snapshot": True},
        ]
        assert [message["req_id"] for message in messages] == [1, 2, 3, 4, 5]

    @pytest.mark.parametrize(("interval", "minutes"), list(zip(INTERVALS, (1, 5, 15, 60, 240, 1440), strict=True)))
    def test_every_interval(self, interval: str, minutes: int) -> None:
        (message,) = sent(new_session().subscribe([want(Channel.CANDLES, interval=interval)]))
        assert message["params"]["interval"] == minutes

    def test_many_symbols_are_asked_for_in_parts(self) -> None:
        books = [want(Channel.BOOK, f"A{n}/USD") for n in range(120)]
        messages = sent(new_session().subscribe(books))
        assert [len(message["params"]["symbol"]) for message in messages] == [50, 50, 20]

    def test_ending_mirrors_asking(self) -> None:
        session = new_session(book_depth=25)
        session.subscribe([BOOK, BBO, MINUTE])
        assert [message["params"] for message in sent(session.unsubscribe([BOOK, BBO, MINUTE]))] == [
            {"channel": "book", "symbol": ["BTC/USD"], "depth": 25},
            {"channel": "ticker", "symbol": ["BTC/USD"], "event_trigger": "bbo"},
            {"channel": "ohlc", "symbol": ["BTC/USD"], "interval": 1},
        ]

    def test_a_stream_of_two_is_ended_with_the_second(self) -> None:
        session = new_session()
        session.subscribe([BBO, TICKER])
        assert session.unsubscribe([TICKER]) == []
        assert len(session.unsubscribe([BBO])) == 1

    def test_instruments_are_asked_for_first(self) -> None:
        assert sent(new_session().opening()) == [
            {"method": "subscribe", "params": {"channel": "instrument", "snapshot": True}, "req_id": 1}
        ]

    def test_keepalive(self) -> None:
        message = new_session().keepalive()
        assert message is not None and json.loads(message) == {"method": "ping"}
        assert new_session().parse(frames.PONG) == []

    @pytest.mark.parametrize(
        "wrong",
        [
            want(Channel.MARK),
            want(Channel.CANDLES),
            want(Channel.CANDLES, interval="2m"),
            want(Channel.BOOK, interval="1m"),
        ],
    )
    def test_what_kraken_does_not_have(self, wrong: Subscription) -> None:
        with pytest.raises(ValueError, match="Kraken has no such stream"):
            new_session().subscribe([wrong])


class TestAnswers:
    def test_one_per_symbol(self) -> None:
        session, other = new_session(), want(Channel.BOOK, "ETH/USD")
        session.subscribe([BOOK, other])
        assert session.parse(ack("book", "ETH/USD", depth=100, req_id=1)) == [Ack(subscriptions=(other,))]
        assert session.parse(ack("book", depth=100, req_id=1)) == [Ack(subscriptions=(BOOK,))]

    def test_one_for_both_that_share_a_stream(self) -> None:
        session = new_session()
        session.subscribe([BBO, TICKER])
        assert one(session.parse(ack("ticker", event_trigger="bbo", req_id=1))) == Ack(subscriptions=(BBO, TICKER))
        session.unsubscribe([BBO, TICKER])
        answer = one(session.parse(ack("ticker", method="unsubscribe", req_id=2)))
        assert answer == Ack(subscriptions=(BBO, TICKER), ended=True)

    def test_the_second_of_a_shared_stream_is_already_subscribed(self) -> None:
        session = new_session()
        session.subscribe([BBO])
        session.parse(ack("ticker", req_id=1))
        session.subscribe([TICKER])
        answer = one(session.parse(refusal("Already subscribed", symbol="BTC/USD", req_id=2)))
        assert answer == Ack(subscriptions=(TICKER,))

    def test_candles_are_told_apart_by_interval(self) -> None:
        session, hour = new_session(), want(Channel.CANDLES, interval="1h")
        session.subscribe([MINUTE, hour])
        assert session.parse(ack("ohlc", interval=60)) == [Ack(subscriptions=(hour,))]
        assert session.parse(ack("ohlc", interval=1)) == [Ack(subscriptions=(MINUTE,))]

    @pytest.mark.parametrize(
        ("answer", "about"),
        [
            (ack("book", depth=10), [BOOK]),
            (ack("trade"), [TRADES]),
            (ack("ticker"), [BBO, TICKER]),
            (ack("ohlc", interval=1), [MINUTE]),
        ],
    )
    def test_in_a_recording_nothing_was_asked(self, answer: str, about: list[Subscription]) -> None:
        (event,) = new_session().parse(answer)
        assert isinstance(event, Ack) and set(event.subscriptions) == set(about)

    @pytest.mark.parametrize(
        "answer",
        [
            ack("executions"),
            ack("ohlc", interval=21600),
            ack("ohlc"),
            '{"method":"subscribe","result":{"channel":"book"},"success":true}',
            '{"method":"subscribe","result":{"channel":"instrument","snapshot":true,"warnings":["tick_size is '
            'deprecated, use price_increment"]},"success":true,"req_id":1}',
        ],
    )
    def test_answers_about_nothing_of_ours(self, answer: str) -> None:
        session = new_session()
        session.opening()
        assert session.parse(answer) == []

    def test_an_answer_to_what_was_asked_again_counts_once(self) -> None:
        session = new_session()
        session.subscribe([BOOK])
        session.subscribe([BOOK])
        assert session.parse(ack("book", req_id=2)) == [Ack(subscriptions=(BOOK,))]
        assert one(session.parse(refusal("Malformed request", "error"))) == Notice(
            text="Kraken says: Malformed request"
        )


class TestRefusals:
    def test_the_symbol_that_is_to_blame_alone(self) -> None:
        """Documented; the others of the message go on."""
        session, wrong = new_session(), want(Channel.BOOK, "XBT/USD")
        session.subscribe([BOOK, wrong])
        event = one(session.parse(frames.DOCUMENTED[11]))
        assert event == Rejected(subscriptions=(wrong,), reason="Currency pair not supported XBT/USD")
        assert session.parse(ack("book", req_id=1)) == [Ack(subscriptions=(BOOK,))]

    def test_without_a_symbol_the_whole_message(self) -> None:
        session = new_session()
        session.subscribe([TRADES])
        session.subscribe([BOOK, want(Channel.BOOK, "ETH/USD")])
        event = one(session.parse(refusal("Subscription depth not supported", req_id=2)))
        assert isinstance(event, Rejected)
        assert [s.symbol for s in event.subscriptions] == ["BTC/USD", "ETH/USD"]

    def test_without_a_number_the_oldest_that_waits(self) -> None:
        session = new_session()
        session.opening()
        session.subscribe([BOOK])
        session.subscribe([TRADES])
        session.parse('{"method":"subscribe","result":{"channel":"instrument"},"success":true,"req_id":1}')
        assert one(session.parse(refusal("Malformed request", "error"))) == Rejected(
            subscriptions=(BOOK,), reason="Malformed request"
        )
        assert one(session.parse(refusal("ESession:Invalid session"))) == Rejected(
            subscriptions=(TRADES,), reason="ESession:Invalid session"
        )

    def test_without_a_number_but_with_a_symbol(self) -> None:
        session, other = new_session(), want(Channel.TRADES, "ETH/USD")
        session.opening()
        session.subscribe([BOOK])
        session.subscribe([other])
        event = one(session.parse(refusal("Currency pair not supported ETH/USD", symbol="ETH/USD")))
        assert event == Rejected(subscriptions=(other,), reason="Currency pair not supported ETH/USD")

    def test_without_instruments_the_connection_is_of_no_use(self) -> None:
        session = new_session()
        session.opening()
        session.subscribe([BOOK])
        event = one(session.parse(refusal("Currency pair not supported")))
        assert event == Closing(reason="the list of instruments was refused: Currency pair not supported")

    def test_too_fast_is_not_the_market_s_fault(self) -> None:
        session = new_session()
        session.subscribe([BOOK])
        event = one(session.parse(refusal("Exceeded msg rate", symbol="BTC/USD", req_id=1)))
        assert event == Notice(text="Kraken says: Exceeded msg rate")
        assert session.parse(ack("book", req_id=1)) == [Ack(subscriptions=(BOOK,))]  # it still waits

    def test_a_rejected_one_no_longer_holds_the_stream_it_shares(self) -> None:
        session = new_session()
        session.subscribe([BBO, TICKER])
        event = one(session.parse(refusal("Event trigger not supported", symbol="BTC/USD", req_id=1)))
        assert event == Rejected(subscriptions=(BBO, TICKER), reason="Event trigger not supported")
        session.subscribe([TICKER])
        assert len(session.unsubscribe([TICKER])) == 1

    def test_an_end_of_what_is_not_there(self) -> None:
        session = new_session()
        session.subscribe([BOOK])
        session.parse(ack("book", req_id=1))
        session.unsubscribe([BOOK])
        event = one(session.parse(refusal("Subscription not found", "unsubscribe", symbol="BTC/USD", req_id=2)))
        assert event == Ack(subscriptions=(BOOK,), ended=True)

    def test_an_end_that_is_refused(self) -> None:
        session = new_session()
        session.subscribe([BOOK])
        session.unsubscribe([BOOK])
        event = one(session.parse(refusal("EService:Unavailable", "unsubscribe", req_id=2)))
        assert event == Rejected(subscriptions=(BOOK,), reason="EService:Unavailable")

    @pytest.mark.parametrize(
        ("answer", "text"),
        [
            (refusal("Malformed request", "ping"), "Kraken says: Malformed request"),
            (refusal("Currency pair not supported", symbol="X/Y"), "Kraken says: Currency pair not supported X/Y"),
            (refusal("Already subscribed", req_id=77), "Kraken says: Already subscribed"),
            ('{"method":"ping","success":false}', "Kraken says: no reason given"),
        ],
    )
    def test_what_nobody_asked_for(self, answer: str, text: str) -> None:
        assert one(new_session().parse(answer)) == Notice(text=text)


class TestData:
    def test_instruments(self) -> None:
        event = one(new_session().parse(frames.INSTRUMENTS))
        assert isinstance(event, Markets) and event.complete
        (listed,) = event.markets
        assert (listed.symbol, listed.native, listed.product, listed.settle) == ("BTC/USD", "BTC/USD", "spot", None)
        assert (listed.base, listed.quote, listed.status, listed.exchange) == ("BTC", "USD", "trading", "kraken")
        assert (listed.tick, listed.lot) == (Decimal("0.1"), Decimal("1E-8"))
        assert (listed.price_decimals, listed.size_decimals) == (1, 8)
        assert (listed.min_size, listed.min_notional) == (Decimal("0.00005"), Decimal("0.5"))

    @pytest.mark.parametrize(
        ("frame", "what"),
        [
            ('{"channel":"level3","type":"snapshot","data":[]}', "channel level3"),
            ('{"channel":"news","type":"update","data":[{"title":"new"}]}', "channel news"),
            ('{"method":"add_order","success":true,"result":{}}', "method add_order"),
        ],
    )
    def test_frames_of_an_unknown_kind(self, frame: str, what: str) -> None:
        assert new_session().parse(frame) == [Unknown(what=what)]

    def test_changed_instruments(self) -> None:
        frame = frames.INSTRUMENTS.replace('"snapshot"', '"update"').replace('"online"', '"Post_Only"')
        event = one(new_session().parse(frame))
        assert isinstance(event, Markets) and not event.complete
        assert event.markets[0].status == "post_only"
        assert new_session().parse('{"channel":"instrument","type":"update","data":{"assets":[]}}') == []

    def test_the_precision_stands_in_tick_and_lot(self) -> None:
        """Steps of 0.5, printed 1.50: the checksum needs the digits, the screen the step."""
        frame = frames.INSTRUMENTS.replace('"price_increment": 0.1', '"price_increment": 0.5')
        frame = frame.replace('"price_precision": 1', '"price_precision": 2')
        event = one(new_session().parse(frame))
        assert isinstance(event, Markets)
        assert str(event.markets[0].tick) == "0.50"
        assert event.markets[0].price_decimals == 1

    def test_an_increment_finer_than_the_precision_is_kept(self) -> None:
        event = one(
            new_session().parse(frames.INSTRUMENTS.replace('"price_increment": 0.1', '"price_increment": 0.25'))
        )
        assert isinstance(event, Markets)
        assert str(event.markets[0].tick) == "0.25"

    def test_one_instrument_that_cannot_be_understood_costs_no_other(self) -> None:
        wrong = frames.PAIR.replace('"BTC/USD"', '"ODD/USD"').replace("1e-08", "0")
        event = one(new_session().parse(frames.INSTRUMENTS.replace(frames.PAIR, f"{wrong},{frames.PAIR}")))
        assert isinstance(event, Markets)
        assert [listed.symbol for listed in event.markets] == ["BTC/USD"]

    def test_if_none_can_be_understood_something_is_wrong_with_us(self) -> None:
        with pytest.raises(ParseError, match="none of 1 instruments"):
            new_session().parse(frames.INSTRUMENTS.replace('"price_precision": 1', '"price_precision": -1'))

    def test_ticker(self) -> None:
        bbo, ticker = new_session().parse(frames.TICKER)
        moment = 1777975200123
        assert bbo == Bbo(symbol="BTC/USD", bid=105944.2, bid_size=2.5, ask=105944.3, ask_size=3.2, exchange_ms=moment)
        assert ticker == Ticker(
            symbol="BTC/USD",
            last=Decimal("105899.4"),
            open=Decimal("105649.4"),
            high=Decimal("106613.1"),
            low=Decimal("104711.0"),
            change=Decimal("0.0024"),
            base_volume=Decimal("163.28908096"),
            quote_volume=Decimal("17293032.15"),
            exchange_ms=moment,
        )

    def test_a_ticker_of_an_empty_side_has_no_best_prices(self) -> None:
        frame = frames.TICKER.replace('"bid": 105944.2, "bid_qty": 2.50000000', '"bid": 0.0, "bid_qty": 0.0')
        (ticker,) = new_session().parse(frame)
        assert isinstance(ticker, Ticker)

    def test_a_market_of_today_had_no_price_a_day_ago(self) -> None:
        _, ticker = new_session().parse(frames.TICKER.replace('"change": 250.0', '"change": 105899.4'))
        assert isinstance(ticker, Ticker) and ticker.open is None

    def test_trades(self) -> None:
        first, second = new_session().parse(frames.TRADES)
        assert first == Trade(
            symbol="BTC/USD",
            id="10218208",
            side="buy",
            price=Decimal("105944.2"),
            size=Decimal("0.00027625"),
            exchange_ms=1696613755440,
        )
        assert isinstance(second, Trade) and (second.id, second.side) == ("10218209", "sell")
        assert str(second.size) == "0.00012460"

    def test_a_history_of_trades_is_told_oldest_first(self) -> None:
        frame = json.loads(frames.TRADES) | {"type": "snapshot"}
        frame["data"].reverse()
        events = new_session().parse(json.dumps(frame))
        assert [event.id for event in events if isinstance(event, Trade)] == ["10218208", "10218209"]

    def test_heartbeat(self) -> None:
        assert new_session().parse(frames.HEARTBEAT) == [Heartbeat()]

    @pytest.mark.parametrize(
        ("system", "text", "trading"),
        [
            ("online", "", True),
            ("maintenance", "Kraken's status is maintenance.", False),
            ("cancel_only", "Kraken's status is cancel_only.", False),
            ("post_only", "Kraken's status is post_only.", False),
            ("strange", "Kraken's status is strange.", None),
        ],
    )
    def test_status(self, system: str, text: str, trading: bool | None) -> None:
        """With a connection number that no float could hold."""
        told = Notice(text=text, trading=trading, key="status")
        assert new_session().parse(frames.STATUS.replace("online", system)) == [told]


def ohlc(*bars: tuple[str, str], interval: int = 1, kind: str = "update", symbol: str = "BTC/USD") -> str:
    """Bars of (beginning within 2023-10-04, closing price)."""
    rows = [
        {
            "symbol": symbol,
            "interval": interval,
            "interval_begin": f"2023-10-04T{begin}:00.000000000Z",
            **{"open": 10, "high": 30, "low": 5, "close": float(close), "volume": 2.5, "vwap": 15.5, "trades": 3},
        }
        for begin, close in bars
    ]
    return json.dumps({"channel": "ohlc", "type": kind, "data": rows})


def told(events: list[Event]) -> list[tuple[str, str, bool]]:
    """(beginning, closing price, closed) of candles."""
    bars = [event for event in events if isinstance(event, Candle)]
    assert len(bars) == len(events)
    day_ms = 1696377600000
    return [
        (f"{(b.open_ms - day_ms) // 3_600_000:02}:{(b.open_ms - day_ms) // 60_000 % 60:02}", f"{b.close:.0f}", b.closed)
        for b in bars
    ]


class TestCandles:
    def test_values(self) -> None:
        assert new_session().parse(frames.OHLC) == [
            Candle(
                symbol="BTC/USD",
                interval="1m",
                open_ms=1696436700000,
                open=Decimal("106038.2"),
                high=Decimal("106044.3"),
                low=Decimal("106038.1"),
                close=Decimal("106040.1"),
                base_volume=Decimal("3.92768066"),
            )
        ]

    def test_a_bar_is_closed_when_a_later_one_comes(self) -> None:
        session = new_session()
        assert told(session.parse(ohlc(("10:00", "11")))) == [("10:00", "11", False)]
        assert told(session.parse(ohlc(("10:00", "12")))) == [("10:00", "12", False)]
        assert told(session.parse(ohlc(("10:01", "13")))) == [("10:00", "12", True), ("10:01", "13", False)]

    def test_a_history_closes_all_bars_but_the_last(self) -> None:
        events = new_session().parse(ohlc(("10:00", "11"), ("10:01", "12"), ("10:02", "13"), kind="snapshot"))
        assert told(events) == [("10:00", "11", True), ("10:01", "12", True), ("10:02", "13", False)]

    def test_quiet_minutes_are_flat(self) -> None:
        session = new_session()
        session.parse(ohlc(("10:00", "11")))
        events = session.parse(ohlc(("10:03", "13")))
        assert told(events) == [
            ("10:00", "11", True),
            ("10:01", "11", True),
            ("10:02", "11", True),
            ("10:03", "13", False),
        ]
        flat = events[1]
        assert isinstance(flat, Candle)
        assert (flat.open, flat.high, flat.low, flat.base_volume) == (11, 11, 11, 0)

    def test_quiet_years_are_not_told_in_full(self) -> None:
        session = new_session()
        session.parse(ohlc(("10:00", "11")))
        events = session.parse(ohlc(("10:03", "13")).replace("2023-10-04", "2026-10-04"))
        assert len(events) == 1 + 720 + 1

    def test_late_word_about_an_older_bar(self) -> None:
        session = new_session()
        session.parse(ohlc(("10:01", "11")))
        assert told(session.parse(ohlc(("10:00", "9")))) == [("10:00", "9", True)]
        assert told(session.parse(ohlc(("10:01", "12")))) == [("10:01", "12", False)]

    def test_intervals_and_markets_do_not_mix(self) -> None:
        session = new_session()
        session.parse(ohlc(("10:00", "11")))
        assert told(session.parse(ohlc(("10:05", "12"), interval=5))) == [("10:05", "12", False)]
        assert told(session.parse(ohlc(("10:05", "12"), symbol="ETH/USD"))) == [("10:05", "12", False)]
        assert session.parse(ohlc(("10:00", "11"), interval=30)) == []


class TestRecordedTrades:
    def test_every_print(self) -> None:
        raws = recorded("kraken-v2-trade-2026-09")
        assert len(raws) == 47
        session = new_session()
        events = [event for raw in raws for event in session.parse(raw)]
        trades = [event for event in events if isinstance(event, Trade)]
        assert [int(trade.id) for trade in trades] == list(range(107725589, 107725631))  # none missed
        texts = [json.loads(raw, parse_float=str) for raw in raws]
        rows = [row for text in texts if text.get("channel") == "trade" for row in text["data"]]
        assert [(t.side, str(t.price), str(t.size)) for t in trades] == [
            (r["side"], r["price"], r["qty"]) for r in rows
        ]
        assert sum(isinstance(event, Heartbeat) for event in events) == 31
        assert Ack(subscriptions=(TRADES,)) in events


def subscription_frame(name: str) -> str:
    """The frame of a fixture with lines of what is sent (>), answered (<) and received (=)."""
    return shared_file(f"fixtures/kraken/Subscriptions/Spot/{name}.txt").read_text().partition("= \n")[2]


class TestFixtures:
    """Frames and answers that another client's authors collected."""

    def test_ticker(self) -> None:
        bbo, ticker = new_session().parse(subscription_frame("Ticker"))
        assert bbo == Bbo(symbol="ETH/USDT", bid=0.10025, bid_size=740.0, ask=0.10035, ask_size=740.0)
        assert isinstance(ticker, Ticker)
        assert (ticker.last, ticker.open) == (Decimal("0.10035"), Decimal("0.10052"))
        assert (ticker.low, ticker.high) == (Decimal("0.09979"), Decimal("0.10285"))
        assert (ticker.change, ticker.base_volume) == (Decimal("-0.0017"), Decimal("997038.98383185"))
        assert ticker.exchange_ms is None

    def test_trades(self) -> None:
        assert new_session().parse(subscription_frame("Trades")) == [
            Trade(
                symbol="ETH/USDT",
                id="4665906",
                side="sell",
                price=Decimal("0.5117"),
                size=Decimal("40.0"),
                exchange_ms=1695628177708,
            )
        ]

    def test_candles(self) -> None:
        assert new_session().parse(subscription_frame("Kline")) == [
            Candle(
                symbol="ETH/USDT",
                interval="5m",
                open_ms=1696436700000,
                open=Decimal("0.5624"),
                high=Decimal("0.5628"),
                low=Decimal("0.5622"),
                close=Decimal("0.5627"),
                base_volume=Decimal("30927.68066226"),
            )
        ]

    @pytest.mark.parametrize("name", ["AggBook", "Trades", "Kline", "Ticker"])
    def test_requests_and_answers(self, name: str) -> None:
        """We ask for what they ask for, and their answer is understood as theirs."""
        lines = shared_file(f"fixtures/kraken/Subscriptions/Spot/{name}.txt").read_text().splitlines()
        asked = json.loads(lines[0][1:].replace('"|1|"', "1"))
        channel = {"AggBook": BOOK, "Trades": TRADES, "Ticker": TICKER}.get(name, want(Channel.CANDLES, interval="5m"))
        wanted = want(channel.channel, "ETH/USDT", channel.interval)
        session = new_session()
        (ours,) = sent(session.subscribe([wanted]))
        assert ours["params"].items() >= asked["params"].items()
        assert ours["method"] == asked["method"]
        assert session.parse(lines[1][1:].replace("|1|", "1")) == [Ack(subscriptions=(wanted,))]

    def test_two_intervals_at_once(self) -> None:
        lines = shared_file("fixtures/kraken/Subscriptions/Spot/Concurrent.txt").read_text().splitlines()
        hour, day = (want(Channel.CANDLES, "ETH/USDT", interval) for interval in ("1h", "1d"))
        session = new_session()
        session.subscribe([hour, day])
        for line, number, wanted in ((lines[3], 2, day), (lines[2], 1, hour)):
            answer = line[2:].replace("|req_id|", str(number))
            assert session.parse(answer) == [Ack(subscriptions=(wanted,))]
        with pytest.raises(ParseError, match="interval_begin"):  # they left out most of the frame
            session.parse(lines[4][2:])

    @pytest.mark.parametrize("name", ["TradeUpdate", "KlineUpdate", "TickerUpdate", "SpreadUpdate"])
    def test_frames_of_the_old_protocol_are_not_understood(self, name: str) -> None:
        raw = shared_file(f"fixtures/kraken/JsonResponses/Socket/{name}.txt").read_text("utf-8-sig")
        with pytest.raises(ParseError):
            new_session().parse(raw)

    def test_books_of_other_kinds_are_not_taken_for_ours(self) -> None:
        assert new_session().parse(subscription_frame("IndividualBook")) == [Unknown(what="channel level3")]

    def test_rest_candles(self) -> None:
        bars = Kraken().parse_candles(BTC, "1m", rest_fixture("GetKlines"))
        assert [bar.open_ms for bar in bars] == [1688671200000 + 60_000 * n for n in range(4)]
        assert [bar.closed for bar in bars] == [True, True, True, False]
        assert bars[1] == Candle(
            symbol="BTC/USD",
            interval="1m",
            open_ms=1688671260000,
            open=Decimal("30304.5"),
            high=Decimal("30304.5"),
            low=Decimal("30300.0"),
            close=Decimal("30300.0"),
            base_volume=Decimal("4.42996871"),
            closed=True,
        )

    def test_rest_book(self) -> None:
        assert Kraken().parse_snapshot(BTC, rest_fixture("GetOrderBook")) == BookSnapshot(
            symbol="BTC/USD",
            bids=[(30297.0, 1.115), (30296.7, 2.002), (30289.8, 5.001)],
            asks=[(30384.1, 2.059), (30387.9, 1.5), (30393.7, 9.871)],
            depth=100,
        )

    def test_another_rest_book(self) -> None:
        raw = shared_file("fixtures/kraken/JsonResponses/SpotExchangeData/GetOrderBookAsync.txt").read_bytes()
        assert Kraken().parse_probe(BTC, raw) == Bbo(
            symbol="BTC/USD", bid=52522.9, bid_size=0.753, ask=52523.0, ask_size=1.199
        )

    def test_the_old_names_of_instruments(self) -> None:
        """REST's own list says the name that we derive."""
        pairs = json.loads(rest_fixture("GetSymbols"))["result"]
        for pair in pairs.values():
            symbol = pair["wsname"].replace("XBT", "BTC").replace("XDG", "DOGE")
            assert rest_name(market(symbol=symbol)) == pair["altname"]

    def test_good_answers_are_no_errors(self) -> None:
        shared_file("fixtures/kraken/Endpoints")
        files = sorted((SHARED / "fixtures/kraken/Endpoints/Spot/ExchangeData").iterdir())
        assert len(files) == 8
        for file in files:
            assert Kraken().error_of(200, body(file), {}) is None, file.name


def body(file: Path) -> bytes:
    """A fixture begins with method, path and whether it is signed."""
    return file.read_bytes().split(b"\n", 3)[3]


def rest_fixture(name: str) -> bytes:
    return body(shared_file(f"fixtures/kraken/Endpoints/Spot/ExchangeData/{name}.txt"))


class TestRest:
    kraken = Kraken()

    @pytest.mark.parametrize(
        ("symbol", "name"),
        [("BTC/USD", "XBTUSD"), ("DOGE/BTC", "XDGXBT"), ("ETH/USD", "ETHUSD"), ("USDT/USD", "USDTUSD")],
    )
    def test_names(self, symbol: str, name: str) -> None:
        assert rest_name(market(symbol=symbol)) == name

    def test_requests(self) -> None:
        request = self.kraken.candles_request(BTC, "4h", 100)
        assert (request.path, request.params) == ("/0/public/OHLC", (("pair", "XBTUSD"), ("interval", "240")))
        request = self.kraken.snapshot_request(BTC)
        assert (request.path, request.params) == ("/0/public/Depth", (("pair", "XBTUSD"), ("count", "100")))
        request = self.kraken.probe_request(BTC)
        assert (request.path, request.params) == ("/0/public/Depth", (("pair", "XBTUSD"), ("count", "1")))
        assert {request.product, request.method} == {"spot", "GET"}
        assert set(self.kraken.budgets()) == {"spot", "account"}

    def candles(self, *rows: tuple[int, str]) -> list[Candle]:
        """Of (minute, price)."""
        bars = [[60 * minute, price, price, price, price, "0.0", "1.5", 1] for minute, price in rows]
        raw = json.dumps({"error": [], "result": {"XXBTZUSD": bars, "last": 1}}).encode()
        return self.kraken.parse_candles(BTC, "1m", raw)

    def test_candles_left_out_are_flat(self) -> None:
        bars = self.candles((10, "5"), (13, "7"))
        assert [(bar.open_ms // 60_000, bar.close, bar.base_volume, bar.closed) for bar in bars] == [
            (10, 5, Decimal("1.5"), True),
            (11, 5, 0, True),
            (12, 5, 0, True),
            (13, 7, Decimal("1.5"), False),
        ]

    def test_not_more_than_720_candles(self) -> None:
        bars = self.candles((0, "5"), (1000, "6"), (1700, "7"))
        assert [bars[0].open_ms // 60_000, bars[-1].open_ms // 60_000, len(bars)] == [1000, 1700, 701]
        assert self.candles() == []

    @pytest.mark.parametrize(
        ("raw", "says"),
        [
            (b"<html>", "malformed"),
            (b"{}", "result"),
            (b'{"error":[],"result":{}}', "nothing instead of one pair"),
            (b'{"error":[],"result":{"A":[],"B":[]}}', "A, B instead of one pair"),
            (b'{"error":[],"result":{"A":[[1,"a","1","1","1","1","1",1]]}}', r"\[0\]\[1\]"),
            (b'{"error":[],"result":{"A":[[1,"NaN","1","1","1","1","1",1]]}}', "open is NaN"),
            (b'{"error":[],"result":{"A":[[60,"1","1","1","1","1","1",1],[0,"1","1","1","1","1","1",1]]}}', "order"),
        ],
    )
    def test_candles_that_are_not_understood(self, raw: bytes, says: str) -> None:
        with pytest.raises(ParseError, match=says):
            self.kraken.parse_candles(BTC, "1m", raw)

    @pytest.mark.parametrize(
        ("bids", "asks"), [("[]", '[["2","1",1]]'), ('[["1","1",1]]', "[]"), ('[["NaN","1",1]]', '[["2","1",1]]')]
    )
    def test_a_probe_needs_both_sides(self, bids: str, asks: str) -> None:
        with pytest.raises(ParseError):
            self.kraken.parse_probe(BTC, f'{{"error":[],"result":{{"A":{{"bids":{bids},"asks":{asks}}}}}}}'.encode())


class TestErrors:
    def error(self, *said: str, status: int = 200, headers: dict[str, str] | None = None) -> Exception | None:
        kraken = Kraken(now_s=lambda: 1_700_000_000.0)
        return kraken.error_of(status, json.dumps({"error": said}).encode(), headers or {})

    @pytest.mark.parametrize(
        ("said", "kind"),
        [
            ("EQuery:Unknown asset pair", ExchangeError),
            ("EGeneral:Invalid arguments", ExchangeError),
            ("EService:Unavailable", TransportError),
            ("EService:Market in cancel_only mode", TransportError),
            ("EAPI:Invalid key", CredentialsError),
            ("EAPI:Invalid signature", CredentialsError),
            ("EGeneral:Permission denied", CredentialsError),
            ("EAPI:Invalid nonce", ExchangeError),
            ("EAPI:Rate limit exceeded", RateLimited),
            ("EOrder:Rate limit exceeded", RateLimited),
            ("EGeneral:Too many requests", RateLimited),
            ("EGeneral:Temporary lockout", RateLimited),
            ("EService: Throttled: 1700000007", RateLimited),
        ],
    )
    def test_errors_come_with_status_200(self, said: str, kind: type[Exception]) -> None:
        error = self.error(said)
        assert type(error) is kind
        assert said in str(error)
        if isinstance(error, ExchangeError):
            assert error.code == said

    @pytest.mark.parametrize(("until", "wait_s"), [(1_700_000_007, 7), (1_600_000_000, 1), (1_800_000_000, 3600)])
    def test_throttled_until(self, until: int, wait_s: float) -> None:
        error = self.error(f"EService: Throttled: {until}")
        assert isinstance(error, RateLimited) and error.retry_after_s == wait_s

    def test_how_long_to_wait(self) -> None:
        error = self.error("EAPI:Rate limit exceeded")
        assert isinstance(error, RateLimited) and error.retry_after_s == 15
        error = self.error(status=429, headers={"Retry-After": "42"})
        assert isinstance(error, RateLimited) and error.retry_after_s == 42
        error = self.error(status=429, headers={"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"})
        assert isinstance(error, RateLimited) and error.retry_after_s == 15

    def test_a_warning_is_no_error(self) -> None:
        assert self.error("WGeneral:Something") is None
        assert type(self.error("WGeneral:Something", "EQuery:Unknown asset pair")) is ExchangeError

    @pytest.mark.parametrize("status", [403, 404, 500, 502, 503, 520])
    def test_pages_of_proxies(self, status: int) -> None:
        assert type(Kraken().error_of(status, b"<html>", {})) is TransportError

    def test_what_is_no_error(self) -> None:
        assert Kraken().error_of(200, b'{"error":[],"result":{}}', {}) is None
        assert Kraken().error_of(200, b"\xff", {}) is None  # whoever parses it will say so


class TestAdapter:
    def test_endpoints(self) -> None:
        assert Kraken().url("spot") == "wss://ws.kraken.com/v2"
        ours = Kraken({"spot.ws": "ws://127.0.0.1:9000/kraken/v2", "spot.rest": "http://127.0.0.1:9000/"})
        assert ours.url("spot") == "ws://127.0.0.1:9000/kraken/v2"
        assert ours.endpoints["spot.rest"] == "http://127.0.0.1:9000"

    def test_one_route(self) -> None:
        kraken = Kraken()
        channels = [BOOK, BBO, TICKER, TRADES, MINUTE]
        assert {kraken.route(subscription, BTC) for subscription in channels} == {kraken.opening_route()}
        with pytest.raises(ValueError, match="no such stream"):
            kraken.route(want(Channel.MARK), BTC)

    @pytest.mark.parametrize("depth", [0, 20, 5000])
    def test_a_depth_that_does_not_exist(self, depth: int) -> None:
        with pytest.raises(ValueError, match=f"book_depth is {depth}; Kraken has 10, 25, 100, 500, 1000"):
            Kraken(book_depth=depth)

    def test_instruments_do_not_come_by_rest(self) -> None:
        kraken = Kraken()
        assert kraken.markets_requests() == []
        with pytest.raises(ValueError, match="by stream"):
            kraken.parse_markets(kraken.snapshot_request(BTC), b"{}")


DOCUMENTED = Documented(
    "kraken",
    {
        **dict.fromkeys(
            below(
                "Endpoints/Spot/ExchangeData",
                "GetAssets GetRecentSpread GetSystemStatus GetTicker GetTradeHistory",
            ),
            "test_good_answers_are_no_errors",
        ),
        "Endpoints/Spot/ExchangeData/GetKlines.txt": "test_rest_candles",
        "Endpoints/Spot/ExchangeData/GetOrderBook.txt": "test_rest_book",
        "Endpoints/Spot/ExchangeData/GetSymbols.txt": "test_the_old_names_of_instruments",
        **dict.fromkeys(
            below(
                "JsonResponses/Socket",
                "KlineUpdate SpreadUpdate TickerUpdate TradeUpdate",
            ),
            "test_frames_of_the_old_protocol_are_not_understood",
        ),
        "JsonResponses/SpotExchangeData/GetOrderBookAsync.txt": "test_another_rest_book",
        "Subscriptions/Spot/AggBook.txt": "test_requests_and_answers",
        "Subscriptions/Spot/Concurrent.txt": "test_two_intervals_at_once",
        "Subscriptions/Spot/IndividualBook.txt": "test_books_of_other_kinds_are_not_taken_for_ours",
        "Subscriptions/Spot/Kline.txt": "test_candles",
        "Subscriptions/Spot/Ticker.txt": "test_ticker",
        "Subscriptions/Spot/Trades.txt": "test_trades",
    },
    {
        **dict.fromkeys(
            below(
                "JsonResponses/Socket",
                "OpenOrdersUpdate OwnTradeUpdate SystemStatusUpdate",
            ),
            "of the old protocol (v1), which is not used",
        ),
        **dict.fromkeys(
            below(
                "JsonResponses/SpotExchangeData",
                "GetAssetsAsync GetSymbolsAsync",
            ),
            "instruments come by stream",
        ),
        "JsonResponses/SpotExchangeData/GetSystemStatusAsync.txt": "the status comes by stream",
        **dict.fromkeys(
            below(
                "JsonResponses/SpotExchangeData",
                "GetTickerAsync GetTickersAsync",
            ),
            "the ticker comes by stream",
        ),
    },
)
