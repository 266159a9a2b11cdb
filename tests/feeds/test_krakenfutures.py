"""Kraken Futures' protocol: what we send, what the frames and answers mean, and the REST calls."""

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.domain import (
    INTERVALS,
    Ack,
    Bbo,
    BookDelta,
    BookSnapshot,
    Channel,
    Closing,
    Event,
    Heartbeat,
    Market,
    Markets,
    MarkPrice,
    Notice,
    Rejected,
    Subscription,
    Ticker,
    Trade,
    Unknown,
)
from feeds.errors import CredentialsError, ExchangeError, ParseError, RateLimited, TransportError
from feeds.exchange import MarketIndex
from feeds.exchanges.krakenfutures import KrakenFutures
from feeds.exchanges.krakenfutures_session import KrakenFuturesSession
from tests.documented import Documented
from tests.feeds import krakenfutures_frames as frames
from tests.shared import SHARED, shared_file

BTC_USD = "BTC/USD:USD"


def market(symbol: str = BTC_USD, native: str = "PF_XBTUSD", status: str = "trading") -> Market:
    return Market(
        exchange="krakenfutures",
        symbol=symbol,
        native=native,
        product="futures",
        base=symbol.partition("/")[0],
        quote="USD",
        settle="USD",
        tick=Decimal(1),
        lot=Decimal("0.0001"),
        status=status,
    )


BTC, ETH = market(), market("ETH/USD:USD", "PF_ETHUSD")
EXCHANGE = KrakenFutures()
MARKETS = EXCHANGE.markets_requests()[0]


def new_session() -> KrakenFuturesSession:
    return EXCHANGE.session("futures", MarketIndex([BTC, ETH, market("NO/USD:USD", "PF_NOTHING")]))


def want(channel: Channel, symbol: str = BTC_USD) -> Subscription:
    return Subscription(channel=channel, symbol=symbol, interval="1m" if channel is Channel.CANDLES else None)


BOOK, TRADES, CANDLES = want(Channel.BOOK), want(Channel.TRADES), want(Channel.CANDLES)
BBO, TICKER, MARK = want(Channel.BBO), want(Channel.TICKER), want(Channel.MARK)
NOTHING = want(Channel.BOOK, "NO/USD:USD")


def sent(messages: Sequence[str]) -> list[tuple[str, str, list[str]]]:
    bodies = [json.loads(message) for message in messages]
    return [(body["event"], body["feed"], body["product_ids"]) for body in bodies]


def answer(event: str, feed: str, *products: str) -> str:
    return json.dumps({"event": event, "feed": feed, "product_ids": products or ["PF_XBTUSD"]})


def one(events: list[Event]) -> Event:
    (event,) = events
    return event


class TestAsking:
    def test_one_message_per_stream(self) -> None:
        """A complaint that names nobody is then about one product at most."""
        messages = new_session().subscribe(
            [BOOK, want(Channel.BOOK, "ETH/USD:USD"), BBO, TICKER, MARK, TRADES, CANDLES]
        )
        assert sent(messages) == [
            ("subscribe", "book", ["PF_XBTUSD"]),
            ("subscribe", "book", ["PF_ETHUSD"]),
            ("subscribe", "ticker", ["PF_XBTUSD"]),
            ("subscribe", "trade", ["PF_XBTUSD"]),
        ]

    def test_heartbeats_are_asked_for_first(self) -> None:
        assert [json.loads(text) for text in new_session().opening()] == [{"event": "subscribe", "feed": "heartbeat"}]

    def test_the_ping_is_the_web_socket_s(self) -> None:
        """An {"event":"ping"} would be answered with an alert."""
        assert new_session().keepalive() is None
        assert EXCHANGE.facts.ping_s is not None and EXCHANGE.facts.ping_s < 60

    def test_who_shares_a_stream_that_stands_is_told_with_the_next_frame(self) -> None:
        session = new_session()
        session.subscribe([TICKER])
        session.parse(answer("subscribed", "ticker"))
        assert session.subscribe([MARK]) == []
        assert session.parse(frames.HEARTBEAT) == [Ack(subscriptions=(MARK,)), Heartbeat()]

    def test_who_shares_a_stream_that_was_asked_for_is_told_by_its_answer(self) -> None:
        session = new_session()
        session.subscribe([TICKER])
        assert session.subscribe([MARK]) == []
        assert session.parse(answer("subscribed", "ticker")) == [Ack(subscriptions=(TICKER, MARK))]

    def test_what_was_not_answered_is_asked_for_again(self) -> None:
        session = new_session()
        session.subscribe([TICKER, MARK])
        assert len(session.subscribe([TICKER, MARK])) == 1
        assert session.parse(answer("subscribed", "ticker")) == [Ack(subscriptions=(TICKER, MARK))]

    def test_a_shared_stream_ends_with_the_last(self) -> None:
        session = new_session()
        session.subscribe([TRADES, CANDLES])
        session.parse(answer("subscribed", "trade"))
        assert session.unsubscribe([TRADES]) == []
        assert session.parse(frames.INFO) == [Ack(subscriptions=(TRADES,), ended=True)]
        assert sent(session.unsubscribe([CANDLES])) == [("unsubscribe", "trade", ["PF_XBTUSD"])]
        assert session.parse(answer("unsubscribed", "trade")) == [Ack(subscriptions=(CANDLES,), ended=True)]

    def test_a_book_is_built_anew_by_ending_and_asking(self) -> None:
        session = new_session()
        session.subscribe([BOOK])
        session.parse(frames.SUBSCRIBED)
        assert sent(session.unsubscribe([BOOK])) == [("unsubscribe", "book", ["PF_XBTUSD"])]
        assert session.parse(frames.UNSUBSCRIBED) == [Ack(subscriptions=(BOOK,), ended=True)]
        assert sent(session.subscribe([BOOK])) == [("subscribe", "book", ["PF_XBTUSD"])]
        assert session.parse(frames.SUBSCRIBED) == [Ack(subscriptions=(BOOK,))]

    @pytest.mark.parametrize(
        ("wrong", "why"),
        [
            (want(Channel.BOOK, "XRP/USD:USD"), "lists no such market"),
            (Subscription(channel=Channel.CANDLES, symbol=BTC_USD, interval="5m"), "has no such stream"),
            (Subscription(channel=Channel.BOOK, symbol=BTC_USD, interval="1m"), "has no such stream"),
        ],
    )
    def test_what_there_is_not(self, wrong: Subscription, why: str) -> None:
        with pytest.raises(ValueError, match=why):
            new_session().subscribe([wrong])


class TestAnswers:
    def test_one_answer_for_several_products(self) -> None:
        session, other = new_session(), want(Channel.BOOK, "ETH/USD:USD")
        session.subscribe([BOOK, other])
        told = session.parse(answer("subscribed", "book", "PF_ETHUSD", "PF_XBTUSD"))
        assert told == [Ack(subscriptions=(other,)), Ack(subscriptions=(BOOK,))]

    def test_in_a_recording_nothing_was_asked(self) -> None:
        assert new_session().parse(frames.SUBSCRIBED) == [Ack(subscriptions=(BOOK,))]
        (event,) = new_session().parse(answer("subscribed", "trade"))
        assert isinstance(event, Ack) and set(event.subscriptions) == {TRADES, CANDLES}
        assert new_session().parse(answer("subscribed", "book", "PI_XBTUSD")) == []

    def test_a_failed_subscription_is_named(self) -> None:
        session = new_session()
        session.subscribe([BOOK, TICKER, MARK])
        event = one(session.parse(answer("subscribed_failed", "ticker")))
        assert event == Rejected(subscriptions=(TICKER, MARK), reason="subscribed_failed")
        assert session.parse(frames.SUBSCRIBED) == [Ack(subscriptions=(BOOK,))]

    def test_an_alert_names_the_product(self) -> None:
        """Observed; the others go on."""
        session = new_session()
        session.subscribe([BOOK, NOTHING])
        event = one(session.parse(frames.ALERT))
        assert event == Rejected(subscriptions=(NOTHING,), reason="Couldn't subscribe to invalid product `PF_NOTHING`")
        assert session.parse(frames.SUBSCRIBED) == [Ack(subscriptions=(BOOK,))]

    def test_a_nameless_error_is_about_the_only_one_that_waits(self) -> None:
        session = new_session()
        session.opening()
        session.subscribe([BOOK])
        session.parse(frames.HEARTBEATS)
        assert one(session.parse(frames.INVALID)) == Rejected(subscriptions=(BOOK,), reason="Invalid product id")

    def test_a_nameless_error_blames_nobody_if_several_wait(self) -> None:
        """Whether answers come in the order of the questions is not documented: one of them is found by asking on."""
        session = new_session()
        session.subscribe([BOOK, NOTHING])
        assert one(session.parse(frames.INVALID)) == Rejected(subscriptions=(), reason="Invalid product id")
        assert sent(session.subscribe([NOTHING])) == [("subscribe", "book", ["PF_NOTHING"])]
        session.parse(frames.SUBSCRIBED)
        assert one(session.parse(frames.INVALID)) == Rejected(subscriptions=(NOTHING,), reason="Invalid product id")

    @pytest.mark.parametrize(
        "said", ["Request limit exceeded", "Too many requests", "Couldn't subscribe to invalid product `PF_OTHER`"]
    )
    def test_what_is_no_market_s_fault(self, said: str) -> None:
        session = new_session()
        session.subscribe([BOOK])
        assert one(session.parse(json.dumps({"event": "alert", "message": said}))) == Notice(
            text=f"Kraken Futures says: {said}"
        )
        assert session.parse(frames.SUBSCRIBED) == [Ack(subscriptions=(BOOK,))]

    def test_already_subscribed_is_followed_by_an_answer(self) -> None:
        session = new_session()
        session.subscribe([BOOK])
        assert session.parse('{"event":"alert","message":"Already subscribed to feed, re-requesting"}') == []
        assert session.parse(frames.SUBSCRIBED) == [Ack(subscriptions=(BOOK,))]

    def test_the_engine_is_away_until_it_trades_again(self) -> None:
        session = new_session()
        away = '{"event":"alert","message":"Trading engine unavailable"}'
        notice = Notice(text="Kraken Futures says: Trading engine unavailable", trading=False)
        assert session.parse(away) == [notice]
        assert session.parse(frames.TRADE)[-1] == Notice(text="", trading=True)
        assert len(session.parse(frames.with_changes(frames.TRADE, seq=653356))) == 1
        session.subscribe([BOOK])
        assert session.parse(away) == [notice, Closing(reason="Trading engine unavailable")]

    def test_an_end_that_fails_has_ended(self) -> None:
        session = new_session()
        session.subscribe([BOOK])
        session.parse(frames.SUBSCRIBED)
        session.unsubscribe([BOOK])
        event = one(session.parse(answer("unsubscribed_failed", "book")))
        assert event == Rejected(subscriptions=(BOOK,), reason="unsubscribed_failed")

    def test_heartbeats_that_are_refused(self) -> None:
        session = new_session()
        session.opening()
        event = one(session.parse('{"event":"subscribed_failed","feed":"heartbeat"}'))
        assert event == Notice(text="Kraken Futures gives no heartbeats: subscribed_failed.")


class TestData:
    def test_a_book(self) -> None:
        session = new_session()
        assert one(session.parse(frames.SNAPSHOT)) == BookSnapshot(
            symbol=BTC_USD,
            bids=[(34892.5, 6385.0), (34892.0, 10924.0), (34890.0, 0.0)],
            asks=[(34911.5, 20598.0), (34912.0, 2300.0)],
            seq=326072249,
            exchange_ms=1612269825817,
        )
        assert one(session.parse(frames.DELTA)) == BookDelta(
            symbol=BTC_USD,
            bids=[],
            asks=[(34981.0, 0.0)],
            prev=326072249,
            seq=326072250,
            exchange_ms=1612269953629,
        )
        delta = one(session.parse(frames.with_changes(frames.DELTA, side="buy", qty=0.5)))
        assert isinstance(delta, BookDelta) and (delta.bids, delta.asks) == ([(34981.0, 0.5)], [])

    def test_a_ticker(self) -> None:
        bbo, ticker, mark = new_session().parse(frames.TICKER)
        assert bbo == Bbo(
            symbol=BTC_USD, bid=1751.6, bid_size=1.459, ask=1751.7, ask_size=2.886, exchange_ms=1783587648112
        )
        assert ticker == Ticker(
            symbol=BTC_USD,
            last=Decimal("1751.7"),
            open=Decimal("1734.8"),
            high=Decimal("1765.4"),
            low=Decimal("1708.8"),
            change=Decimal("0.0097"),
            base_volume=Decimal("57204.177"),
            quote_volume=Decimal("99424431.8132"),
            exchange_ms=1783587648112,
        )
        assert mark == MarkPrice(
            symbol=BTC_USD,
            mark=Decimal("1751.97553924942"),
            index=Decimal("1751.75"),
            funding_rate=Decimal("0.0000186711875"),
            next_funding_ms=1783591200000,
            exchange_ms=1783587648112,
        )

    def test_the_funding_rate_is_the_relative_one(self) -> None:
        """The documented figures agree: dollars per contract, by the price, are the ratio."""
        figures = json.loads(frames.TICKER)
        assert figures["funding_rate"] / figures["markPrice"] == pytest.approx(
            figures["relative_funding_rate"], rel=0.001
        )

    def test_a_ticker_of_a_market_where_nobody_trades(self) -> None:
        bare = '{"feed":"ticker","product_id":"PF_XBTUSD","time":5,"bid":28002,"bid_size":900,"markPrice":20478.5}'
        assert one(new_session().parse(bare)) == MarkPrice(symbol=BTC_USD, mark=Decimal("20478.5"), exchange_ms=5)

    @pytest.mark.parametrize(
        ("listed", "said", "told"),
        [
            ("trading", {"suspended": True}, "suspended"),
            ("trading", {"post_only": True}, "post_only"),
            ("suspended", {}, "trading"),
            ("not_tradeable", {}, None),
            ("trading", {}, None),
        ],
    )
    def test_a_halt_of_one_market(self, listed: str, said: dict[str, bool], told: str | None) -> None:
        session = EXCHANGE.session("futures", MarketIndex([market(status=listed)]))
        changed = [e for e in session.parse(frames.with_changes(frames.TICKER, **said)) if isinstance(e, Markets)]
        assert [event.markets[0].status for event in changed] == ([] if told is None else [told])
        assert all(not event.complete for event in changed)

    def test_trades(self) -> None:
        assert one(new_session().parse(frames.TRADE)) == Trade(
            symbol=BTC_USD,
            id="05af78ac-a774-478c-a50c-8b9c234e071e",
            side="sell",
            price=Decimal("34969.5"),
            size=Decimal(15000),
            exchange_ms=1612266317519,
        )

    def test_history_comes_newest_first_and_is_told_oldest_first(self) -> None:
        older, newer = new_session().parse(frames.HISTORY)
        assert isinstance(older, Trade) and isinstance(newer, Trade)
        assert (older.price, older.side, newer.price, newer.side) == (34891, "buy", 34893, "sell")

    @pytest.mark.parametrize(("kind", "shown"), [("fill", 1), ("liquidation", 1), ("block", 0), ("assignment", 0)])
    def test_prints_are_what_the_book_matched(self, kind: str, shown: int) -> None:
        assert len(new_session().parse(frames.with_changes(frames.TRADE, type=kind))) == shown

    def test_candles_of_who_wants_them(self) -> None:
        session = new_session()
        session.subscribe([TRADES, CANDLES])
        session.parse(answer("subscribed", "trade"))
        session.parse(frames.HISTORY)
        session.parse(json.dumps(frames.trade(655509, 1612269658000, 34900, 2)))  # its minute began before the history
        _, bar = session.parse(json.dumps(frames.trade(655510, 1612269661000, 34901, 3)))
        assert (bar.open_ms, bar.open, bar.base_volume) == (1612269660000, 34900, 3)
        session.unsubscribe([CANDLES])
        session.parse(frames.INFO)
        assert len(session.parse(json.dumps(frames.trade(655511, 1612269721001)))) == 1

    def test_a_latecomer_gets_the_running_bar(self) -> None:
        session = new_session()
        session.subscribe([TRADES])
        session.parse(answer("subscribed", "trade"))
        session.parse(frames.HISTORY)
        session.parse(json.dumps(frames.trade(655509, 1612269721000, 34900, 2)))
        session.subscribe([CANDLES])
        ack, bar, _ = session.parse(frames.HEARTBEAT)
        assert ack == Ack(subscriptions=(CANDLES,))
        assert bar.open_ms == 1612269720000

    @pytest.mark.parametrize("frame", [frames.SNAPSHOT, frames.DELTA, frames.TICKER, frames.TRADE, frames.HISTORY])
    def test_what_is_not_listed_says_nothing(self, frame: str) -> None:
        assert new_session().parse(frame.replace("PF_XBTUSD", "PI_XBTUSD")) == []

    @pytest.mark.parametrize("feed", ["candles_trade_1m_snapshot", "candles_trade_1m", "fills_snapshot", "news"])
    def test_feeds_that_are_none_of_ours_say_nothing(self, feed: str) -> None:
        """Such as are of accounts, or come from recordings and are not documented."""
        bar = {"time": 1620816960000, "open": "56294", "high": "56475", "low": "55935", "close": "56250"}
        told = new_session().parse(json.dumps({"feed": feed, "product_id": "PF_XBTUSD", "candles": [bar]}))
        assert told == [Unknown(what=f"feed {feed}")]

    @pytest.mark.parametrize("frame", [frames.TICKER_LITE, frames.INFO, '{"event":"pong"}'])
    def test_what_says_nothing_that_we_use(self, frame: str) -> None:
        assert new_session().parse(frame) == []

    @pytest.mark.parametrize(
        "frame",
        [
            b"\xff\xfe",
            "",
            "[]",
            "{}",
            '{"feed":"book"}',
            '{"feed":7}',
            frames.DELTA.replace("326072250", "-1"),
            frames.DELTA.replace("34981", "0"),
            frames.DELTA.replace("34981", "1e400"),
            frames.DELTA.replace('"sell"', '"Sell"'),
            frames.TRADE.replace("34969.5", "0"),
            frames.TRADE.replace("15000", "-1"),
            frames.TRADE.replace("15000", "1e999999"),
            frames.TICKER.replace("0.97", "1e99"),
        ],
    )
    def test_what_is_not_understood(self, frame: str | bytes) -> None:
        with pytest.raises(ParseError, match="Kraken Futures"):
            new_session().parse(frame)

    def test_one_of_an_unknown_kind(self) -> None:
        assert new_session().parse('{"event":"surprise"}') == [Unknown(what="event surprise")]

    @given(data=st.data())
    def test_mutated_frames(self, data: Any) -> None:
        """Only ParseError comes out, whatever comes in."""
        session = new_session()
        session.opening()
        session.subscribe([BOOK, TICKER, TRADES, CANDLES])
        for _ in range(4):
            raw = bytearray(data.draw(st.sampled_from(frames.DOCUMENTED)).encode())
            for _ in range(data.draw(st.integers(0, 4))):
                at = data.draw(st.integers(0, len(raw) - 1))
                raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
                raw = raw or bytearray(b"{")
            try:
                session.parse(bytes(raw))
            except ParseError as error:
                assert str(error).startswith("Kraken Futures")


class TestInstruments:
    def listed(self, **changes: Any) -> list[Market]:
        entry = {"symbol": "PF_XBTUSD", "type": "flexible_futures", "tickSize": 1, "contractSize": 1, "tradeable": True}
        entry |= {"contractValueTradePrecision": 4, "base": "BTC", "quote": "USD", "postOnly": False}
        entry = {name: value for name, value in {**entry, **changes}.items() if value is not None}
        return EXCHANGE.parse_markets(MARKETS, json.dumps({"result": "success", "instruments": [entry]}).encode())

    def test_a_perpetual(self) -> None:
        (found,) = self.listed()
        assert (found.symbol, found.native, found.product, found.settle) == (BTC_USD, "PF_XBTUSD", "futures", "USD")
        assert (found.tick, found.lot, found.min_size) == (1, Decimal("0.0001"), Decimal("0.0001"))
        assert (found.status, found.exchange) == ("trading", "krakenfutures")

    def test_a_dated_contract(self) -> None:
        (found,) = self.listed(symbol="FF_XBTUSD_260925", lastTradingTime="2026-09-25T15:00:00.000Z")
        assert (found.symbol, found.native) == ("BTC/USD:USD-260925", "FF_XBTUSD_260925")

    def test_older_lists_name_neither_base_nor_quote(self) -> None:
        (found,) = self.listed(symbol="pf_xbtusd", base=None, quote=None)
        assert (found.symbol, found.native) == (BTC_USD, "PF_XBTUSD")

    @pytest.mark.parametrize(("base", "ours"), [("XBT", "BTC"), ("XDG", "DOGE"), ("AAPLx", "AAPLx")])
    def test_names(self, base: str, ours: str) -> None:
        (found,) = self.listed(symbol=f"PF_{base}USD", base=base)
        assert (found.symbol, found.native) == (f"{ours}/USD:USD", f"PF_{base}USD")

    def test_steps_of_a_thousand_and_tiny_ticks(self) -> None:
        (found,) = self.listed(symbol="PF_PEPEUSD", base="PEPE", tickSize=1e-10, contractValueTradePrecision=-3)
        assert (found.tick, found.price_decimals, found.lot, found.size_decimals) == (Decimal("1E-10"), 10, 1000, 0)

    @pytest.mark.parametrize(
        ("changes", "status"),
        [({"tradeable": False}, "not_tradeable"), ({"postOnly": True}, "post_only")],
    )
    def test_status(self, changes: dict[str, Any], status: str) -> None:
        (found,) = self.listed(**changes)
        assert found.status == status

    @pytest.mark.parametrize("kind", ["futures_inverse", "futures_vanilla", "spot index"])
    def test_what_is_left_out(self, kind: str) -> None:
        assert self.listed(symbol="PI_XBTUSD", type=kind) == []

    @pytest.mark.parametrize(
        "changes",
        [
            {"contractSize": 10},
            {"tickSize": 0},
            {"tickSize": None},
            {"contractValueTradePrecision": None},
            {"symbol": "FF_XBTUSD"},
            {"symbol": "PF_XBTUSD_260925"},
            {"symbol": "XX_XBTUSD"},
        ],
    )
    def test_what_cannot_be_understood(self, changes: dict[str, Any]) -> None:
        with pytest.raises(ParseError, match="none of 1 instruments can be understood"):
            self.listed(**changes)

    def test_one_strange_instrument_costs_only_itself(self) -> None:
        good = {"symbol": "PF_ETHUSD", "type": "flexible_futures", "tickSize": 0.1, "contractSize": 1}
        good |= {"contractValueTradePrecision": 3, "base": "ETH", "quote": "USD", "tradeable": True}
        raw = json.dumps({"instruments": [{"symbol": 5}, {**good, "tickSize": -1}, good]}).encode()
        assert [each.symbol for each in EXCHANGE.parse_markets(MARKETS, raw)] == ["ETH/USD:USD"]


class TestRest:
    def test_requests(self) -> None:
        assert MARKETS.path == "/derivatives/api/v3/instruments"
        book = EXCHANGE.probe_request(BTC)
        assert (book.path, book.params) == ("/derivatives/api/v3/orderbook", (("symbol", "PF_XBTUSD"),))
        for interval in INTERVALS:
            request = EXCHANGE.candles_request(BTC, interval, 9999)
            assert request.path == f"/api/charts/v1/trade/PF_XBTUSD/{interval}"
            assert request.params == (("count", "2000"),)
        with pytest.raises(ValueError, match="has no candles of '2m'"):
            EXCHANGE.candles_request(BTC, "2m", 5)

    def test_a_book(self) -> None:
        raw = b'{"result":"success","orderBook":{"bids":[[40174,4.2],[40178,5]],"asks":[[40186,5.0183],[40185,0]]}}'
        assert EXCHANGE.parse_probe(BTC, raw) == Bbo(
            symbol=BTC_USD, bid=40178.0, bid_size=5.0, ask=40186.0, ask_size=5.0183
        )
        assert EXCHANGE.parse_snapshot(BTC, raw).seq is None
        with pytest.raises(ParseError, match="a side of the book is empty"):
            EXCHANGE.parse_probe(BTC, b'{"orderBook":{"bids":[],"asks":[]}}')

    def test_candles(self) -> None:
        rows = [
            {"time": 1731715200000 + n * 60_000, "open": "1", "high": 3, "low": "0.5", "close": "2", "volume": "7.5"}
            for n in range(2)
        ]
        first, last = EXCHANGE.parse_candles(BTC, "1m", json.dumps({"candles": rows}).encode())
        assert (first.open_ms, first.open, first.high, first.low, first.close) == (
            1731715200000,
            1,
            3,
            Decimal("0.5"),
            2,
        )
        assert (first.base_volume, first.closed, last.closed) == (Decimal("7.5"), True, False)
        with pytest.raises(ParseError, match="not in the order of time"):
            EXCHANGE.parse_candles(BTC, "1m", json.dumps({"candles": rows[::-1]}).encode())

    @pytest.mark.parametrize(
        ("status", "body", "kind"),
        [
            (200, '{"result":"error","error":"apiLimitExceeded","serverTime":"x"}', RateLimited),
            (429, "", RateLimited),
            (200, '{"result":"error","error":"authenticationError"}', CredentialsError),
            (200, '{"result":"error","error":"unavailable"}', TransportError),
            (200, '{"result":"error","error":"invalidArgument: symbol"}', ExchangeError),
            (200, '{"result":"error","errors":[{"code":93,"message":"nope"}]}', ExchangeError),
            (200, '{"result":"error"}', ExchangeError),
            (503, "<html>", TransportError),
            (404, "{}", TransportError),
            (200, '{"result":"success"}', type(None)),
            (200, '{"candles":[],"more_candles":false}', type(None)),
        ],
    )
    def test_errors(self, status: int, body: str, kind: type) -> None:
        assert type(EXCHANGE.error_of(status, body.encode(), {})) is kind

    def test_how_long_to_wait(self) -> None:
        error = EXCHANGE.error_of(429, b"", {"Retry-After": "3"})
        assert isinstance(error, RateLimited) and error.retry_after_s == 3


# -- the documented answers in ../shared

FOLDER = SHARED / "fixtures" / "kraken"
NOT_USED = {
    "Endpoints/Futures/ExchangeData/GetHistoricalFundingRates.txt": "past funding is not shown",
    "Endpoints/Futures/ExchangeData/GetPlatformNotifications.txt": "needs a key",
    "Endpoints/Futures/ExchangeData/GetSymbolStatus.txt": "dislocations are not shown; the ticker tells halts",
    "Endpoints/Futures/ExchangeData/GetTickers.txt": "the ticker comes by stream",
    "Endpoints/Futures/ExchangeData/GetTrades.txt": "prints come by stream, with history",
    "JsonResponses/FuturesExchangeData/GetFeeSchedulesAsync.txt": "fees are not shown",
    "JsonResponses/FuturesExchangeData/GetHistoricalFundingRatesAsync.txt": "past funding is not shown",
    "JsonResponses/FuturesExchangeData/GetSymbolStatusAsync.txt": "dislocations are not shown",
    "JsonResponses/FuturesExchangeData/GetTickersAsync.txt": "the ticker comes by stream",
    "JsonResponses/FuturesExchangeData/GetTradesAsync.txt": "prints come by stream, with history",
}
USED = {
    "Endpoints/Futures/ExchangeData/GetKlines.txt": "test_documented_candles",
    "JsonResponses/FuturesExchangeData/GetKlinesAsync.txt": "test_documented_candles",
    "Endpoints/Futures/ExchangeData/GetOrderBook.txt": "test_documented_books",
    "JsonResponses/FuturesExchangeData/GetOrderBookAsync.txt": "test_documented_books",
    "Endpoints/Futures/ExchangeData/GetSymbols.txt": "test_documented_instruments",
    "JsonResponses/FuturesExchangeData/GetSymbolsAsync.txt": "test_documented_instruments",
    "Subscriptions/Futures/Ticker.txt": "test_the_documented_ticker",
}


def documented(name: str) -> bytes:
    """The body; files of endpoints begin with method, path and whether a key is needed."""
    text = shared_file(f"fixtures/kraken/{name}").read_text(encoding="utf-8")
    return text[text.index("{") :].encode()


def test_every_documented_answer_is_used_or_explained() -> None:
    shared_file("fixtures/kraken")
    public = [*FOLDER.glob("Endpoints/Futures/ExchangeData/*"), *FOLDER.glob("JsonResponses/FuturesExchangeData/*")]
    public.append(FOLDER / "Subscriptions/Futures/Ticker.txt")  # the others are an account's
    assert {Path(path).relative_to(FOLDER).as_posix() for path in public} == {*USED, *NOT_USED}
    assert all(name in globals() for name in USED.values())


@pytest.mark.parametrize("name", [name for name, test in USED.items() if test == "test_documented_candles"])
def test_documented_candles(name: str) -> None:
    (bar,) = EXCHANGE.parse_candles(BTC, "1m", documented(name))
    assert (bar.open_ms, bar.open, bar.high, bar.low, bar.close) == (1620816960000, 56294, 56475, 55935, 56250)
    assert (bar.base_volume, bar.closed) == (10824, False)


@pytest.mark.parametrize(
    ("name", "best"),
    [
        ("Endpoints/Futures/ExchangeData/GetOrderBook.txt", None),
        ("JsonResponses/FuturesExchangeData/GetOrderBookAsync.txt", (40178.0, 5.0, 40186.0, 5.0183)),
    ],
)
def test_documented_books(name: str, best: tuple[float, ...] | None) -> None:
    sides = json.loads(documented(name))["orderBook"]
    expected = best or (*map(float, sides["bids"][0]), *map(float, sides["asks"][0]))
    found = EXCHANGE.parse_probe(BTC, documented(name))
    assert (found.bid, found.bid_size, found.ask, found.ask_size) == expected
    snapshot = EXCHANGE.parse_snapshot(BTC, documented(name))
    assert (len(snapshot.bids), len(snapshot.asks)) == (len(sides["bids"]), len(sides["asks"]))


@pytest.mark.parametrize("name", [name for name, test in USED.items() if test == "test_documented_instruments"])
def test_documented_instruments(name: str) -> None:
    entries = json.loads(documented(name))["instruments"]
    linear = [entry["symbol"].upper() for entry in entries if entry["type"] == "flexible_futures"]
    found = EXCHANGE.parse_markets(MARKETS, documented(name))
    assert [each.native for each in found] == linear
    for each in found:
        assert (each.symbol, each.tick, each.lot) == (BTC_USD, 1, Decimal("0.0001"))


def test_the_documented_ticker() -> None:
    text = shared_file("fixtures/kraken/Subscriptions/Futures/Ticker.txt").read_text(encoding="utf-8")
    session = EXCHANGE.session("futures", MarketIndex([ETH]))
    ours = session.subscribe([want(channel, "ETH/USD:USD") for channel in (Channel.TICKER, Channel.MARK)])
    asked, answered = (line[2:] for line in text.splitlines()[:2])
    assert [json.loads(message) for message in ours] == [json.loads(asked)]
    assert isinstance(one(session.parse(answered)), Ack)
    bbo, ticker, mark = session.parse(text[text.index('{"time"') :])
    assert isinstance(bbo, Bbo) and isinstance(ticker, Ticker) and isinstance(mark, MarkPrice)
    assert (bbo.bid, bbo.ask, ticker.last, mark.funding_rate) == (
        1751.6,
        1751.7,
        Decimal("1751.7"),
        Decimal("0.0000186711875"),
    )


DOCUMENTED = Documented("kraken", USED, NOT_USED)
