"""Alpaca's protocol: what we send, what messages and answers mean, and the REST calls. All figures are documented."""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.account import Credentials
from feeds.domain import (
    Ack,
    Bbo,
    BookDelta,
    BookSnapshot,
    Candle,
    Channel,
    Closing,
    Event,
    LoggedIn,
    Market,
    Notice,
    Rejected,
    Subscription,
    Ticker,
    Trade,
)
from feeds.errors import (
    CredentialsError,
    CrossedError,
    ExchangeError,
    ParseError,
    RateLimited,
    TransportError,
    Verdict,
)
from feeds.exchange import MarketIndex, Request
from feeds.exchanges.alpaca import Alpaca, joined
from feeds.exchanges.alpaca_session import AlpacaSession
from feeds.sync import BookSync
from tests.feeds import alpaca_frames as frames

KEY = Credentials("PKTESTKEY0000000001", "the-secret-that-nobody-sees")
NOW_S = 1_679_146_304.0  # 2023-03-18 13:31:44
EXCHANGE = Alpaca(credentials=KEY, now_s=lambda: NOW_S)
CRYPTO_LIST, STOCK_LIST = EXCHANGE.markets_requests()


def coin(symbol: str = "BTC/USD") -> Market:
    base, _, quote = symbol.partition("/")
    return Market(
        exchange="alpaca",
        symbol=symbol,
        native=symbol,
        product="crypto",
        base=base,
        quote=quote,
        tick=Decimal(1),
        lot=Decimal("0.0001"),
        min_size=Decimal("0.0001"),
    )


BTC, ETH = coin(), coin("ETH/USD")
AMD = Market(
    exchange="alpaca",
    symbol="AMD.US/USD",
    native="AMD",
    product="stocks",
    base="AMD.US",
    quote="USD",
    tick=Decimal("0.01"),
    lot=Decimal(1),
    book=False,
)


def new_session(product: str = "crypto", *, logged_in: bool = True) -> AlpacaSession:
    session = EXCHANGE.session(product, MarketIndex([BTC, ETH, AMD]))
    if logged_in:
        session.parse(frames.AUTHENTICATED)
    return session


def want(channel: Channel, symbol: str = "BTC/USD") -> Subscription:
    return Subscription(channel=channel, symbol=symbol, interval="1m" if channel is Channel.CANDLES else None)


BOOK, TRADES, CANDLES = want(Channel.BOOK), want(Channel.TRADES), want(Channel.CANDLES)
BBO, TICKER = want(Channel.BBO), want(Channel.TICKER)


def one(events: Sequence[Event]) -> Event:
    (event,) = events
    return event


def standing(**lists: list[str]) -> str:
    return json.dumps([{"T": "subscription", **lists}])


class TestLogin:
    def test_it_is_the_first_message_and_the_only_place_of_the_key(self) -> None:
        session = new_session(logged_in=False)
        assert [json.loads(text) for text in session.opening()] == [
            {"action": "auth", "key": KEY.key, "secret": KEY.secret}
        ]
        assert session.parse(frames.CONNECTED) == []
        assert session.parse(frames.AUTHENTICATED) == [LoggedIn()]
        assert session.keepalive() is None

    def test_a_wrong_key_is_fatal(self) -> None:
        event = one(new_session(logged_in=False).parse(frames.error(402, "auth failed")))
        assert isinstance(event, Closing) and event.fatal
        assert event.reason == (
            "Alpaca refuses the API key for its market data: the key is wrong. It says: auth failed (402)."
        )

    @pytest.mark.parametrize(
        ("code", "why"), [(404, "the login came too late"), (406, "another connection of this account"), (500, "x")]
    )
    def test_what_passes_is_tried_again(self, code: int, why: str) -> None:
        event = one(new_session(logged_in=False).parse(frames.error(code, "x")))
        assert isinstance(event, Closing) and not event.fatal and why in event.reason

    def test_an_answer_that_quotes_the_key_is_not_repeated(self) -> None:
        for code in (402, 400):
            event = one(new_session(logged_in=False).parse(frames.error(code, f"no such key {KEY.key} {KEY.secret}")))
            assert KEY.key not in str(event) and KEY.secret not in str(event)

    def test_nobody_shows_the_key(self) -> None:
        request = EXCHANGE.authorise(Request(path="/v2/assets", product="crypto.trading"))
        assert dict(request.headers) == {"APCA-API-KEY-ID": KEY.key, "APCA-API-SECRET-KEY": KEY.secret}
        session = new_session()
        for shown in (
            repr(request),
            repr(EXCHANGE),
            repr(session),
            repr(KEY),
            repr(vars(EXCHANGE)),
            repr(vars(session)),
        ):
            assert KEY.secret not in shown and KEY.key not in shown

    def test_recordings_are_read_without_a_key(self) -> None:
        plain = Alpaca()
        assert plain.session("crypto", MarketIndex([BTC])).opening() == []
        assert plain.authorise(CRYPTO_LIST) == CRYPTO_LIST
        assert isinstance(one(plain.session("crypto", MarketIndex([BTC])).parse(frames.WHOLE_BOOK)), BookSnapshot)


class TestAsking:
    def test_one_message_for_everything(self) -> None:
        (text,) = new_session().subscribe([BOOK, want(Channel.BOOK, "ETH/USD"), BBO, TICKER, TRADES, CANDLES])
        assert json.loads(text) == {
            "action": "subscribe",
            "bars": ["BTC/USD"],
            "orderbooks": ["BTC/USD", "ETH/USD"],
            "quotes": ["BTC/USD"],
            "trades": ["BTC/USD"],
            "updatedBars": ["BTC/USD"],
        }

    def test_best_prices_stand_in_for_the_book_of_a_stock(self) -> None:
        (text,) = new_session("stocks").subscribe([want(Channel.BOOK, AMD.symbol), want(Channel.TRADES, AMD.symbol)])
        assert json.loads(text) == {"action": "subscribe", "quotes": ["AMD"], "trades": ["AMD"]}

    def test_an_answer_lists_all_that_stands(self) -> None:
        session = new_session()
        session.subscribe([BOOK, TRADES])
        assert session.parse(standing(trades=["BTC/USD"], orderbooks=[])) == []
        session.subscribe([want(Channel.BOOK, "ETH/USD")])
        told = session.parse(standing(trades=["BTC/USD"], orderbooks=["BTC/USD", "ETH/USD"]))
        assert told == [Ack(subscriptions=(BOOK, TRADES)), Ack(subscriptions=(want(Channel.BOOK, "ETH/USD"),))]

    def test_a_book_is_built_anew_by_ending_and_asking(self) -> None:
        session = new_session()
        session.subscribe([BOOK])
        session.parse(standing(orderbooks=["BTC/USD"]))
        assert [json.loads(t) for t in session.unsubscribe([BOOK])] == [
            {"action": "unsubscribe", "orderbooks": ["BTC/USD"]}
        ]
        assert session.parse(standing(orderbooks=["BTC/USD"])) == [], "the answer to an earlier message"
        assert session.parse(standing()) == [Ack(subscriptions=(BOOK,), ended=True)]
        assert len(session.subscribe([BOOK])) == 1

    def test_a_shared_stream_ends_with_the_last(self) -> None:
        session = new_session()
        session.subscribe([TRADES, TICKER])
        session.parse(standing(trades=["BTC/USD"]))
        assert session.unsubscribe([TRADES]) == []
        assert session.parse(frames.CONNECTED) == [Ack(subscriptions=(TRADES,), ended=True)]
        assert len(session.unsubscribe([TICKER])) == 1
        assert session.parse(standing()) == [Ack(subscriptions=(TICKER,), ended=True)]

    def test_an_error_is_about_the_message_that_waited_longest(self) -> None:
        session, other = new_session(), want(Channel.BOOK, "ETH/USD")
        session.subscribe([BOOK, TRADES])
        session.subscribe([other])
        event = one(session.parse(frames.error(405, "symbol limit exceeded")))
        assert event == Rejected(subscriptions=(BOOK, TRADES), reason="symbol limit exceeded (405)", code=405)
        assert session.parse(standing(orderbooks=["ETH/USD"])) == [Ack(subscriptions=(other,))]

    def test_what_was_not_answered_is_asked_for_again_and_waited_for_once(self) -> None:
        session = new_session()
        session.subscribe([BOOK])
        session.subscribe([BOOK])
        assert one(session.parse(frames.error(409, "insufficient subscription"))).subscriptions == (BOOK,)
        assert session.parse(frames.error(409, "x")) == [Notice(text="Alpaca says: x (409)")]

    @pytest.mark.parametrize("code", [407, 500])
    def test_what_is_no_market_s_fault(self, code: int) -> None:
        session = new_session()
        session.subscribe([BOOK])
        assert session.parse(frames.error(code, "slow")) == [Notice(text=f"Alpaca says: slow ({code})")]
        assert session.parse(standing(orderbooks=["BTC/USD"])) == [Ack(subscriptions=(BOOK,))]
        assert session.parse(frames.error(403, "already authenticated")) == []

    @pytest.mark.parametrize(
        ("wrong", "why"),
        [
            (want(Channel.BOOK, "XRP/USD"), "lists no such market"),
            (want(Channel.BOOK, AMD.symbol), "lists no such market of crypto"),
            (want(Channel.MARK), "has no such stream"),
            (Subscription(channel=Channel.CANDLES, symbol="BTC/USD", interval="5m"), "has no such stream"),
        ],
    )
    def test_what_there_is_not(self, wrong: Subscription, why: str) -> None:
        with pytest.raises(ValueError, match=why):
            new_session().subscribe([wrong])


class TestData:
    def test_a_book(self) -> None:
        session = new_session()
        assert one(session.parse(frames.WHOLE_BOOK)) == BookSnapshot(
            symbol="BTC/USD",
            bids=[(27511.78, 0.26265668), (27510.0, 1.5)],
            asks=[(27539.49, 0.2632414)],
            exchange_ms=1679146304932,
        )
        assert one(session.parse(frames.CHANGES)) == BookDelta(
            symbol="BTC/USD", bids=[(27510.0, 0.0)], asks=[], exchange_ms=1679146305102
        )
        both = json.dumps([*json.loads(frames.WHOLE_BOOK), *json.loads(frames.CHANGES)])
        assert [type(event) for event in session.parse(both)] == [BookSnapshot, BookDelta]

    def test_a_book_told_anew_replaces_the_one_before(self) -> None:
        session, sync = new_session(), BookSync(from_rest=False)
        sync.start()
        sync.take_snapshot(one(session.parse(frames.WHOLE_BOOK)))
        sync.take_delta(one(session.parse(frames.CHANGES)))
        assert sync.book.bids.levels == {27511.78: 0.26265668}
        sync.take_snapshot(one(session.parse(frames.WHOLE_BOOK)))
        assert sync.book.bids.levels == {27511.78: 0.26265668, 27510.0: 1.5}
        crossing = frames.CHANGES.replace("27510.00", "27540").replace('"s": 0}', '"s": 1}')
        with pytest.raises(CrossedError):
            sync.take_delta(one(session.parse(crossing)))
        assert not sync.ready

    def test_quotes_trades_bars(self) -> None:
        session = new_session()
        assert one(session.parse(frames.QUOTE)) == Bbo(
            symbol="BTC/USD", bid=27511.78, bid_size=0.2627, ask=27539.49, ask_size=0.2632, exchange_ms=1679146304932
        )
        assert session.parse(frames.TRADE) == [
            Trade(
                symbol="BTC/USD",
                id="1234567890",
                side="buy",
                price=Decimal("27540.12"),
                size=Decimal("0.0123"),
                exchange_ms=1679146304932,
            ),
            Ticker(symbol="BTC/USD", last=Decimal("27540.12"), exchange_ms=1679146304932),
        ]
        bar = Candle(
            symbol="BTC/USD",
            interval="1m",
            open_ms=1679146260000,
            open=Decimal("27500.0"),
            high=Decimal("27540.5"),
            low=Decimal("27490.1"),
            close=Decimal("27539.4"),
            base_volume=Decimal("1.6628"),
            closed=True,
        )
        assert session.parse(frames.BAR) == session.parse(frames.BAR.replace('"b"', '"u"')) == [bar]
        assert session.parse(frames.BAR.replace('"b"', '"d"')) == [], "a day that begins when no other does"
        sold = one([e for e in session.parse(frames.TRADE.replace('"B"', '"S"')) if isinstance(e, Trade)])
        assert isinstance(sold, Trade) and sold.side == "sell"

    def test_a_stock(self) -> None:
        session = new_session("stocks")
        book, bbo = session.parse(frames.STOCK_QUOTE)
        assert book == BookSnapshot(
            symbol=AMD.symbol, bids=[(87.66, 1.0)], asks=[(87.68, 4.0)], exchange_ms=1614009105335
        )
        assert isinstance(bbo, Bbo) and (bbo.bid, bbo.ask) == (87.66, 87.68)
        trade = session.parse(frames.STOCK_TRADE)[0]
        assert isinstance(trade, Trade)
        assert (trade.side, trade.price, trade.id) == (None, Decimal("126.55"), "D96921-18680")
        assert not trade.last, "an odd lot"

    def test_a_side_that_nobody_quotes(self) -> None:
        night = frames.STOCK_QUOTE.replace('"ap": 87.68, "as": 4', '"ap": 0, "as": 0')
        book, bbo = new_session("stocks").parse(night)
        assert isinstance(book, BookSnapshot) and (book.bids, book.asks) == ([(87.66, 1.0)], [])
        assert isinstance(bbo, Bbo) and (bbo.ask, bbo.ask_size) == (0.0, 0.0)

    def test_of_best_prices_the_later_holds(self) -> None:
        """REST's answer may come after a quote that is newer."""
        sync = BookSync(from_rest=True, best_only=True)
        sync.start()
        later = BookSnapshot(symbol="x", bids=[(2.0, 1.0)], asks=[(3.0, 1.0)], exchange_ms=20)
        assert sync.take_snapshot(later)
        assert sync.take_snapshot(BookSnapshot(symbol="x", bids=[(1.0, 1.0)], asks=[(2.0, 1.0)], exchange_ms=10))
        assert sync.book.bid == (2.0, 1.0)
        assert sync.take_snapshot(BookSnapshot(symbol="x", bids=[(2.5, 1.0)], asks=[(3.0, 1.0)], exchange_ms=20))
        assert sync.book.bid == (2.5, 1.0)

    @pytest.mark.parametrize(
        "frame",
        [
            "{}",
            "[",
            '[{"T":7}]',
            frames.WHOLE_BOOK.replace("0.2632414", "-1"),
            frames.WHOLE_BOOK.replace("27539.49", "0"),
            frames.TRADE.replace("27540.12", "1e999"),
            frames.TRADE.replace("0.0123", "-2"),
            frames.TRADE.replace("2023-03-18T13:31:44.932988033Z", "yesterday"),
            frames.BAR.replace("27500.0", "null"),
        ],
    )
    def test_what_cannot_be_understood(self, frame: str) -> None:
        with pytest.raises(ParseError, match="Alpaca"):
            new_session().parse(frame)

    def test_a_market_that_is_not_listed(self) -> None:
        for frame in frames.CRYPTO_FRAMES[3:]:
            assert new_session().parse(frame.replace("BTC/USD", "XX/USD")) == []


@given(data=st.data())
def test_only_parse_errors_come_of_changed_frames(data: st.DataObject) -> None:
    stock = data.draw(st.booleans())
    raw = bytearray(data.draw(st.sampled_from(frames.STOCK_FRAMES if stock else frames.CRYPTO_FRAMES)).encode())
    for _ in range(data.draw(st.integers(0, 4))):
        place = data.draw(st.integers(0, len(raw) - 1))
        raw[place : place + data.draw(st.integers(0, 9))] = data.draw(
            st.binary(max_size=3) | st.sampled_from([b"null", b"1e9999", b"-1", b"0", b'""', b"[]", b"{}", b"NaN"])
        )
        if not raw:
            break
    session = new_session("stocks" if stock else "crypto", logged_in=data.draw(st.booleans()))
    session.subscribe([want(Channel.BOOK, AMD.symbol if stock else "BTC/USD")])
    try:
        session.parse(bytes(raw))
    except ParseError:
        return


_PRICES = st.integers(1, 60).map(lambda n: n / 4)
_LEVELS = st.dictionaries(_PRICES, st.integers(0, 3).map(float), max_size=12)


@given(start=st.tuples(_LEVELS, _LEVELS), steps=st.lists(st.tuples(_LEVELS, _LEVELS), max_size=8))
def test_snapshot_and_changes_are_the_later_snapshot(
    start: tuple[dict[float, float], ...], steps: list[tuple[dict[float, float], ...]]
) -> None:
    """Against two dictionaries, through the frames. Bids are below 20, asks above."""
    session, sync = new_session(), BookSync(from_rest=False)

    def frame(sides: Sequence[dict[float, float]], whole: bool) -> Event:
        bids, asks = (
            [{"p": p + shift, "s": s} for p, s in side.items()] for side, shift in zip(sides, (0, 20), strict=True)
        )
        body: dict[str, Any] = {"T": "o", "S": "BTC/USD", "t": "2023-03-18T13:31:44Z", "b": bids, "a": asks}
        return one(session.parse(json.dumps([{**body, "r": True} if whole else body])))

    sync.start()
    truth = [dict(side) for side in start]
    event = frame(start, True)
    assert isinstance(event, BookSnapshot) and sync.take_snapshot(event)
    for step in steps:
        event = frame(step, False)
        assert isinstance(event, BookDelta) and sync.take_delta(event)
        for side, changes in zip(truth, step, strict=True):
            side.update(changes)
    for side, book, shift in zip(truth, (sync.book.bids, sync.book.asks), (0, 20), strict=True):
        assert book.levels == {price + shift: size for price, size in side.items() if size}


class TestInstruments:
    def test_a_pair(self) -> None:
        assert EXCHANGE.parse_markets(CRYPTO_LIST, frames.ASSETS.encode()) == [BTC]

    def test_a_stock_is_not_the_coin_of_its_name(self) -> None:
        rows = [{"class": "us_equity", "symbol": symbol} for symbol in ("BTC", "BRK.B")]
        found = EXCHANGE.parse_markets(STOCK_LIST, json.dumps(rows).encode())
        assert [(m.symbol, m.base, m.native, m.book) for m in found] == [
            ("BTC.US/USD", "BTC.US", "BTC", False),
            ("BRK.B.US/USD", "BRK.B.US", "BRK.B", False),
        ]

    def test_status_and_what_is_left_out(self) -> None:
        rows = json.loads(frames.ASSETS)
        raw = json.dumps([{**rows[0], "tradable": False}, {"class": "us_option", "symbol": "X"}, {"symbol": 5}])
        (market,) = EXCHANGE.parse_markets(CRYPTO_LIST, raw.encode())
        assert market.status == "not_tradable"

    @pytest.mark.parametrize("change", [{"price_increment": None}, {"price_increment": "0"}, {"symbol": "BTCUSD"}])
    def test_what_cannot_be_understood(self, change: dict[str, Any]) -> None:
        raw = json.dumps([{**json.loads(frames.ASSETS)[0], **change}]).encode()
        with pytest.raises(ParseError, match="none of 1 assets can be understood"):
            EXCHANGE.parse_markets(CRYPTO_LIST, raw)

    def test_where_they_are_asked_for(self) -> None:
        assert [(r.path, r.product, r.params[0][1]) for r in (CRYPTO_LIST, STOCK_LIST)] == [
            ("/v2/assets", "crypto.trading", "crypto"),
            ("/v2/assets", "stocks.trading", "us_equity"),
        ]


class TestAddresses:
    def test_a_bare_host_gets_the_usual_path(self) -> None:
        given = dict.fromkeys(("crypto.ws", "stocks.ws"), "ws://127.0.0.1:9/")
        adapter = Alpaca(given)
        assert adapter.url("crypto") == "ws://127.0.0.1:9/v1beta3/crypto/us"
        assert adapter.url("stocks") == "ws://127.0.0.1:9/v2/iex"

    def test_the_source_of_stocks_is_the_same_by_rest(self) -> None:
        adapter = Alpaca({"stocks.ws": "wss://stream.data.alpaca.markets/v2/sip"})
        for request in (adapter.probe_request(AMD), adapter.candles_request(AMD, "1m", 5)):
            assert ("feed", "sip") in request.params


class TestRest:
    def test_the_present(self) -> None:
        request = EXCHANGE.probe_request(BTC)
        assert (request.path, request.params) == ("/v1beta3/crypto/us/latest/orderbooks", (("symbols", "BTC/USD"),))
        assert EXCHANGE.parse_probe(BTC, frames.ORDERBOOKS.encode()) == Bbo(
            symbol="BTC/USD",
            bid=27511.78083,
            bid_size=0.26265668,
            ask=27539.494,
            ask_size=0.2632414,
            exchange_ms=1679146304932,
        )
        assert EXCHANGE.parse_snapshot(AMD, frames.STOCK_QUOTES.encode()).bids == [(87.66, 1.0)]
        empty = frames.ORDERBOOKS.replace('{"p": 27539.494, "s": 0.2632414}', "")
        assert EXCHANGE.parse_probe(BTC, empty.encode()).ask == 0.0
        with pytest.raises(ParseError, match=r"book of ETH/USD: it is not in the answer"):
            EXCHANGE.parse_probe(ETH, frames.ORDERBOOKS.encode())

    def test_candles_begin_where_a_bar_does(self) -> None:
        request = EXCHANGE.candles_request(BTC, "1d", 3)
        assert (request.path, dict(request.params)["timeframe"]) == ("/v1beta3/crypto/us/bars", "1Hour")
        assert dict(request.params)["start"] == "2023-03-14T00:00:00Z"
        assert dict(EXCHANGE.candles_request(BTC, "1m", 60).params)["start"] == "2023-03-18T12:30:00Z"
        with pytest.raises(ValueError, match="has no candles of '2m'"):
            EXCHANGE.candles_request(BTC, "2m", 5)

    def test_pages(self) -> None:
        first = EXCHANGE.candles_request(BTC, "1m", 60)
        second = EXCHANGE.next_candles(first, frames.BARS.encode())
        assert second is not None
        token = json.loads(frames.BARS)["next_page_token"]
        assert second.params == (*first.params, ("page_token", token))
        third = EXCHANGE.next_candles(second, frames.BARS.encode())
        assert third is not None and third.params == second.params
        assert EXCHANGE.next_candles(first, b'{"bars":{},"next_page_token":null}') is None
        later = frames.BARS.replace("05:00:00", "05:02:00").replace("05:01:00", "05:03:00")
        bars = EXCHANGE.join_candles(BTC, "1m", [frames.BARS.encode(), later.encode()])
        assert [bar.open_ms // 60_000 % 60 for bar in bars] == [0, 1, 2, 3]
        with pytest.raises(ParseError, match="not in the order of time"):
            EXCHANGE.join_candles(BTC, "1m", [later.encode(), frames.BARS.encode()])

    def test_candles(self) -> None:
        first, last = EXCHANGE.parse_candles(BTC, "1m", frames.BARS.encode())
        assert (first.open_ms, first.open, first.high, first.low, first.close) == (
            1658379600000,
            22883,
            22888,
            22873,
            22887,
        )
        assert (first.base_volume, first.closed, last.close) == (Decimal("1.1138"), True, 22895)
        assert EXCHANGE.parse_candles(BTC, "1m", b'{"bars":null,"next_page_token":null}') == []

    def test_a_bar_that_runs_is_open(self) -> None:
        raw = frames.BARS.replace("2022-07-21T05:00:00Z", "2023-03-18T13:30:00Z")
        raw = raw.replace("2022-07-21T05:01:00Z", "2023-03-18T13:31:00Z")
        assert [bar.closed for bar in EXCHANGE.parse_candles(BTC, "1m", raw.encode())] == [True, False]

    def test_minutes_without_a_bar_are_flat_and_hours_make_days(self) -> None:
        raw = frames.BARS.replace("05:01:00", "05:04:00")
        bars = EXCHANGE.parse_candles(BTC, "1m", raw.encode())
        assert [(bar.open, bar.close, bar.base_volume) for bar in bars[1:4]] == [(22887, 22887, 0)] * 3
        hours = EXCHANGE.parse_candles(BTC, "1h", raw.replace("05:04", "09:00").encode())
        assert len(hours) == 5
        (day,) = joined(hours, 86_400_000)
        assert (day.open_ms % 86_400_000, day.open, day.high, day.low, day.close) == (0, 22883, 22895, 22873, 22895)
        assert day.base_volume == Decimal("1.1148")
        assert [bar.open_ms // 3_600_000 % 24 for bar in joined(hours, 14_400_000)] == [4, 8]

    @pytest.mark.parametrize(
        ("status", "body", "kind"),
        [
            (401, '{"message": "unauthorized."}', CredentialsError),
            (403, '{"message": "forbidden."}', CredentialsError),
            (403, '{"message": "subscription does not permit querying recent SIP data"}', ExchangeError),
            (422, '{"code": 40010001, "message": "invalid symbol"}', ExchangeError),
            (429, '{"message": "too many requests."}', RateLimited),
            (500, '{"message": "internal server error occurred"}', TransportError),
            (404, "<html>", TransportError),
            (200, "{}", type(None)),
        ],
    )
    def test_errors(self, status: int, body: str, kind: type) -> None:
        assert type(EXCHANGE.error_of(status, body.encode(), {})) is kind

    def test_a_wrong_key_by_rest(self) -> None:
        error = EXCHANGE.error_of(401, f'{{"message":"bad {KEY.secret}"}}'.encode(), {})
        assert isinstance(error, CredentialsError) and error.verdict is Verdict.FATAL
        assert error.sentence == "Alpaca refuses the API key for its market data (HTTP 401)."
        assert KEY.secret not in str(error)

    @pytest.mark.parametrize(
        ("headers", "wait_s"),
        [
            ({"X-RateLimit-Reset": str(int(NOW_S) + 7)}, 7),
            ({"Retry-After": "3"}, 3),
            ({"X-RateLimit-Reset": "soon"}, 20),
            ({}, 20),
        ],
    )
    def test_how_long_to_wait(self, headers: dict[str, str], wait_s: float) -> None:
        error = EXCHANGE.error_of(429, b"", headers)
        assert isinstance(error, RateLimited) and error.retry_after_s == wait_s

    @given(
        raw=st.binary(max_size=40) | st.sampled_from([frames.ORDERBOOKS, frames.BARS, frames.ASSETS]).map(str.encode)
    )
    def test_only_parse_errors_come_of_answers(self, raw: bytes) -> None:
        for call in (
            lambda: EXCHANGE.parse_snapshot(BTC, raw),
            lambda: EXCHANGE.parse_probe(AMD, raw),
            lambda: EXCHANGE.parse_candles(BTC, "1d", raw),
            lambda: EXCHANGE.next_candles(CRYPTO_LIST, raw),
            lambda: EXCHANGE.parse_markets(CRYPTO_LIST, raw),
        ):
            try:
                call()
            except ParseError:
                continue
