"""What Binance's frames mean: as documented, as recorded, and damaged."""

import gzip
import json
import random
from collections.abc import Iterator
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feeds.domain import Bbo, BookDelta, BookSnapshot, Candle, Closing, Event, MarkPrice, Ticker, Trade, Unknown
from feeds.errors import ParseError
from feeds.exchange import MarketIndex
from tests.documented import Documented, below
from tests.feeds.binance_world import LISTED, documented_frames, frame, session
from tests.shared import shared_file

D = Decimal
MARKET_ROUTE = {"spot": "spot", "usdm": "usdm-market"}


def one(route: str, raw: str | bytes) -> Event:
    (event,) = session(route).parse(raw)
    return event


SPOT_DEPTH = {
    "e": "depthUpdate",
    "E": 1672515782136,
    "s": "BTCUSDT",
    "U": 157,
    "u": 160,
    "b": [["16570.01000000", "0.52000000"], ["16569.50000000", "0.00000000"]],
    "a": [["16570.55000000", "1.20000000"]],
}
FUTURES_DEPTH = {
    "e": "depthUpdate",
    "E": 1571889248277,
    "T": 1571889248276,
    "s": "BTCUSDT",
    "ps": "BTCUSDT",
    "st": 1,
    "U": 390497796,
    "u": 390497878,
    "pu": 390497794,
    "b": [["7403.89", "0.002"], ["7403.90", "0"]],
    "a": [["7405.96", "3.340"]],
}
KLINE = {
    "e": "kline",
    "E": 1638747660123,
    "s": "BTCUSDT",
    "k": {
        **{"t": 1638747660000, "T": 1638747719999, "s": "BTCUSDT", "i": "1m", "f": 100, "L": 200, "o": "0.0010"},
        **{"c": "0.0020", "h": "0.0025", "l": "0.0015", "v": "1000", "n": 100, "x": True, "q": "1.0000", "V": "500"},
    },
}
TICKER = {
    **{"e": "24hrTicker", "E": 1672515782136, "s": "BTCUSDT", "p": "-131.40", "P": "-0.786", "w": "16628.97"},
    **{"c": "16584.60", "Q": "0.002", "o": "16716.00", "h": "16764.89", "l": "16456.51", "v": "122474.816"},
    **{"q": "2036102085.697464", "O": 1672429382136, "C": 1672515782136, "F": 0, "L": 18150, "n": 18151},
}
MARK = {
    **{"e": "markPriceUpdate", "E": 1562305380000, "s": "BTCUSDT", "p": "11794.15000000", "i": "11784.62659091"},
    **{"P": "11784.25641265", "r": "0.00038167", "ap": "11794.15000000", "T": 1562306400000, "st": 1},
}


class TestBooks:
    def test_spot_changes_follow_the_id_before_their_first(self) -> None:
        assert one("spot", frame("btcusdt@depth@100ms", SPOT_DEPTH)) == BookDelta(
            symbol="BTC/USDT",
            bids=[(16570.01, 0.52), (16569.5, 0.0)],
            asks=[(16570.55, 1.2)],
            prev=156,
            seq=160,
            exchange_ms=1672515782136,
        )

    def test_futures_changes_follow_pu_since_their_ids_skip(self) -> None:
        assert one("usdm-public", frame("btcusdt@depth@100ms", FUTURES_DEPTH)) == BookDelta(
            symbol="BTC/USDT:USDT",
            bids=[(7403.89, 0.002), (7403.9, 0.0)],
            asks=[(7405.96, 3.34)],
            prev=390497794,
            seq=390497878,
            exchange_ms=1571889248277,
        )

    @pytest.mark.parametrize("stream", ["btcusdt@depth", "btcusdt@depth@500ms", "btcusdt@depth@0ms", ""])
    def test_any_spelling_of_the_stream(self, stream: str) -> None:
        event = one("spot", frame(stream, SPOT_DEPTH))
        assert isinstance(event, BookDelta)
        assert event.seq == 160

    def test_without_the_wrapper(self) -> None:
        assert one("spot", json.dumps(SPOT_DEPTH)) == one("spot", frame("btcusdt@depth@100ms", SPOT_DEPTH))

    def test_any_order_and_spacing(self) -> None:
        raw = json.dumps({"data": dict(reversed(SPOT_DEPTH.items())), "stream": "btcusdt@depth"}, indent=3)
        assert one("spot", raw) == one("spot", frame("btcusdt@depth", SPOT_DEPTH))

    @pytest.mark.parametrize(("stream", "depth"), [("btcusdt@depth5@100ms", 5), ("btcusdt@depth20", 20)])
    def test_a_partial_futures_book_is_told_by_its_streams_name(self, stream: str, depth: int) -> None:
        event = one("usdm-public", frame(stream, FUTURES_DEPTH))
        assert isinstance(event, BookSnapshot)
        assert (event.depth, event.seq, event.asks) == (depth, 390497878, [(7405.96, 3.34)])

    def test_a_partial_spot_book_has_its_market_in_the_streams_name_only(self) -> None:
        partial = {"lastUpdateId": 160, "bids": [["16570.01", "0.52"]], "asks": [["16570.55", "1.2"]]}
        assert one("spot", frame("btcusdt@depth5@100ms", partial)) == BookSnapshot(
            symbol="BTC/USDT", bids=[(16570.01, 0.52)], asks=[(16570.55, 1.2)], seq=160, depth=5
        )
        with pytest.raises(ParseError, match="without its stream's name"):
            session().parse(json.dumps(partial))

    def test_a_book_with_other_orders_is_not_ours(self) -> None:
        assert session("usdm-public").parse(frame("btcusdt@rpiDepth@500ms", FUTURES_DEPTH)) == []

    def test_futures_changes_that_cannot_be_chained(self) -> None:
        without = {key: value for key, value in FUTURES_DEPTH.items() if key != "pu"}
        with pytest.raises(ParseError, match="without pu"):
            session("usdm-public").parse(frame("btcusdt@depth@100ms", without))

    @pytest.mark.parametrize("level", [["nan", "1"], ["1", "inf"], ["-1", "1"], ["1", "-1"], ["1e400", "1"], ["", "1"]])
    def test_levels_that_are_no_amounts(self, level: list[str]) -> None:
        with pytest.raises(ParseError):
            session().parse(frame("btcusdt@depth@100ms", {**SPOT_DEPTH, "a": [level]}))


class TestOtherStreams:
    def test_spot_best_prices(self) -> None:
        raw = '{"u":400900217,"s":"BTCUSDT","b":"25.35190000","B":"31.21000000","a":"25.36520000","A":"40.66000000"}'
        expected = Bbo(symbol="BTC/USDT", bid=25.3519, bid_size=31.21, ask=25.3652, ask_size=40.66, seq=400900217)
        assert one("spot", f'{{"stream":"btcusdt@bookTicker","data":{raw}}}') == expected
        assert one("spot", raw) == expected

    def test_futures_best_prices(self) -> None:
        quote = {"e": "bookTicker", "u": 4, "E": 1568014460893, "T": 1568014460891, "s": "BTCUSDT", "st": 1}
        raw = frame("btcusdt@bookTicker", {**quote, "b": "25.3", "B": "31", "a": "25.4", "A": "40"})
        expected = Bbo(
            symbol="BTC/USDT:USDT", bid=25.3, bid_size=31, ask=25.4, ask_size=40, seq=4, exchange_ms=1568014460893
        )
        assert one("usdm-public", raw) == expected
        assert one("usdm-public", raw.replace("btcusdt@bookTicker", "!bookTicker")) == expected

    @pytest.mark.parametrize(("maker_bought", "side"), [("true", "sell"), ("false", "buy")])
    def test_trades(self, maker_bought: str, side: str) -> None:
        raw = (
            '{"e":"trade","E":1672515782138,"s":"BTCUSDT","t":12345,"p":"16570.01","q":"0.10000000",'
            f'"T":1672515782136,"m":{maker_bought},"M":true}}'
        )
        assert one("spot", f'{{"stream":"btcusdt@trade","data":{raw}}}') == Trade(
            symbol="BTC/USDT",
            id="12345",
            side=side,
            price=D("16570.01"),
            size=D("0.10000000"),
            exchange_ms=1672515782136,
        )

    def test_futures_trades_are_joined(self) -> None:
        raw = (
            '{"e":"aggTrade","E":1700000000123,"s":"BTCUSDT","a":5933014,"p":"36500.10","q":"0.120","nq":"0.120",'
            '"f":100,"l":105,"T":1700000000121,"m":true,"st":1}'
        )
        assert one("usdm-market", f'{{"stream":"btcusdt@aggTrade","data":{raw}}}') == Trade(
            symbol="BTC/USDT:USDT",
            id="5933014",
            side="sell",
            price=D("36500.10"),
            size=D("0.120"),
            exchange_ms=1700000000121,
        )

    def test_single_futures_trades_of_old_recordings(self) -> None:
        trade = {"e": "trade", "E": 2, "T": 1, "s": "ETHUSDT", "t": 9, "p": "2681.62", "q": "1.000", "m": True}
        assert one("usdm-market", frame("ethusdt@trade", {**trade, "X": "MARKET"})) == Trade(
            symbol="ETH/USDT:USDT", id="9", side="sell", price=D("2681.62"), size=D("1.000"), exchange_ms=1
        )
        assert session("usdm-market").parse(frame("ethusdt@trade", {**trade, "X": "INSURANCE_FUND"})) == []

    @pytest.mark.parametrize(("product", "symbol"), [("spot", "BTC/USDT"), ("usdm", "BTC/USDT:USDT")])
    def test_tickers(self, product: str, symbol: str) -> None:
        assert one(MARKET_ROUTE[product], frame("btcusdt@ticker", TICKER)) == Ticker(
            symbol=symbol,
            last=D("16584.60"),
            open=D("16716.00"),
            high=D("16764.89"),
            low=D("16456.51"),
            change=D("-0.00786"),
            base_volume=D("122474.816"),
            quote_volume=D("2036102085.697464"),
            exchange_ms=1672515782136,
        )

    def test_mark_prices(self) -> None:
        assert one("usdm-market", frame("btcusdt@markPrice@1s", MARK)) == MarkPrice(
            symbol="BTC/USDT:USDT",
            mark=D("11794.15"),
            index=D("11784.62659091"),
            funding_rate=D("0.00038167"),
            next_funding_ms=1562306400000,
            exchange_ms=1562305380000,
        )

    def test_a_dated_future_has_no_funding(self) -> None:
        event = one("usdm-market", frame("btcusdt@markPrice", {**MARK, "r": "", "T": 0}))
        assert isinstance(event, MarkPrice)
        assert (event.funding_rate, event.next_funding_ms) == (None, None)

    def test_candles(self) -> None:
        assert one("spot", frame("btcusdt@kline_1m", KLINE)) == Candle(
            symbol="BTC/USDT",
            interval="1m",
            open_ms=1638747660000,
            open=D("0.0010"),
            high=D("0.0025"),
            low=D("0.0015"),
            close=D("0.0020"),
            base_volume=D("1000"),
            closed=True,
        )

    @pytest.mark.parametrize(
        "raw",
        [
            '{"e":"serverShutdown","E":1770123456789}',
            '{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}',
        ],
    )
    def test_a_server_that_shuts_down(self, raw: str) -> None:
        assert isinstance(one("spot", raw), Closing)

    def test_streams_of_all_markets_come_as_lists(self) -> None:
        both = [{**TICKER, "st": 1}, {**TICKER, "s": "BTCUSD_PERP", "st": 2}, {**TICKER, "s": "ETHUSDT", "st": 1}]
        events = session("usdm-market").parse(frame("!ticker@arr", both))
        assert [event.symbol for event in events if isinstance(event, Ticker)] == ["BTC/USDT:USDT", "ETH/USDT:USDT"]

    def test_one_market_that_cannot_be_understood_does_not_cost_the_others(self) -> None:
        strange = [{**TICKER, "c": None}, {"e": "somethingNew"}, 7, {**TICKER, "s": "ETHUSDT"}]
        events = session("usdm-market").parse(frame("!ticker@arr", strange))
        assert [event.symbol for event in events if isinstance(event, Ticker)] == ["ETH/USDT:USDT"]
        assert [event.what for event in events if isinstance(event, Unknown)] == ["event somethingNew"]
        with pytest.raises(ParseError):
            session("usdm-market").parse(frame("!ticker@arr", [strange[0], strange[2]]))


class TestWhatIsNotOurs:
    @pytest.mark.parametrize("payload", [FUTURES_DEPTH, TICKER, MARK, KLINE], ids=lambda payload: payload["e"])
    def test_coin_margined_futures(self, payload: dict[str, object]) -> None:
        assert session("usdm-market").parse(frame("x@y", {**payload, "st": 2})) == []

    def test_coin_margined_best_prices(self) -> None:
        quote = {"e": "bookTicker", "u": 4, "E": 1, "s": "BTCUSDT", "b": "1", "B": "1", "a": "2", "A": "1", "st": 2}
        for stream in ("!bookTicker", "btcusdt@bookTicker"):
            assert session("usdm-public").parse(frame(stream, quote)) == []

    @pytest.mark.parametrize("payload", [SPOT_DEPTH, TICKER, KLINE], ids=lambda payload: payload["e"])
    def test_a_market_that_is_not_listed(self, payload: dict[str, object]) -> None:
        assert session().parse(frame("dogeusdt@x", {**payload, "s": "DOGEUSDT"})) == []

    def test_a_market_that_is_listed_later(self) -> None:
        index = MarketIndex()
        connection = session(markets=index)
        raw = frame("btcusdt@depth@100ms", SPOT_DEPTH)
        assert connection.parse(raw) == []
        index.update(LISTED)
        assert len(connection.parse(raw)) == 1

    def test_a_spot_frame_is_never_a_futures_market(self) -> None:
        assert session("spot").parse(frame("ethusdt@ticker", {**TICKER, "s": "ETHUSDT"}))[0].symbol == "ETH/USDT"

    def test_any_letters(self) -> None:
        event = one("spot", frame("币安人生usdt@depth@100ms", {**SPOT_DEPTH, "s": "币安人生USDT"}))
        assert isinstance(event, BookDelta)
        assert event.symbol == "币安人生/USDT"

    @pytest.mark.parametrize(
        "raw",
        [
            "",
            "null",
            "[]",
            "{}",
            "hello",
            '"text"',
            '{"stream":"btcusdt@depth@100ms"}',
            '{"stream":"btcusdt@depth@100ms","data":null}',
            '{"stream":"btcusdt@depth@100ms","data":{}}',
            '{"stream":"!x@arr","data":[1]}',
            b"\xff\xfe\x00",
            b'{"stream":"\xff@bookTicker","data":{}}',
            "[" * 200_000,
            '{"stream":"btcusdt@kline_1m","data":{"e":"kline","E":1,"s":"BTCUSDT","k":{"t":1}}}',
            "\ud800",
        ],
        ids=range(15),
    )
    def test_anything_else_is_a_parse_error(self, raw: str | bytes) -> None:
        with pytest.raises(ParseError):
            session().parse(raw)

    def test_one_of_an_unknown_kind(self) -> None:
        raw = '{"stream":"x","data":{"e":"somethingNew","s":"BTCUSDT"}}'
        assert session().parse(raw) == [Unknown(what="event somethingNew")]

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "-1", "1e5", "", " 1", "1_0", "0x10", "1" * 100])
    def test_numbers_that_are_none(self, number: str) -> None:
        with pytest.raises(ParseError):
            session().parse(frame("btcusdt@ticker", {**TICKER, "c": number}))


class TestDocumentedExamples:
    """The exchange's own examples, as collected beside the recordings: each with the value that it documents."""

    @pytest.mark.parametrize(
        ("name", "symbol", "expected"),
        [
            ("Spot/ExchangeData/AggregatedTrades", "BNB/BTC", {"id": "12345", "price": D("0.001"), "side": "sell"}),
            ("Spot/ExchangeData/Trades", "BNB/BTC", {"id": "12345", "size": D("100"), "exchange_ms": 1672515782136}),
            ("Spot/ExchangeData/BookTicker", "BNB/USDT", {"seq": 400900217, "bid": 25.3519, "ask_size": 40.66}),
            ("Spot/ExchangeData/Klines", "BNB/BTC", {"open_ms": 123400000, "close": D("0.0020"), "closed": False}),
            ("Spot/ExchangeData/PartialBook", "BTC/USDT", {"seq": 160, "depth": 5, "bids": [(0.0024, 10.0)]}),
            ("Spot/ExchangeData/Ticker", "BNB/BTC", {"change": D("2.5"), "last": D("0.0025"), "open": D("0.0010")}),
            ("UsdFutures/AggTrades", "BTC/USDT:USDT", {"id": "5933014", "price": D("0.001"), "exchange_ms": 123456785}),
            ("UsdFutures/Book", "BTC/USDT:USDT", {"prev": 149, "seq": 160, "asks": [(0.0026, 100.0)]}),
            ("UsdFutures/BookTicker", "BNB/USDT:USDT", {"seq": 400900217, "exchange_ms": 1568014460893}),
            ("UsdFutures/Klines", "BTC/USDT:USDT", {"interval": "1m", "open_ms": 1638747660000}),
            ("UsdFutures/MarkPrice", "BTC/USDT:USDT", {"mark": D("11794.15"), "funding_rate": D("0.00038167")}),
            ("UsdFutures/PartialBook", "BTC/USDT:USDT", {"seq": 390497878, "depth": 5}),
            ("UsdFutures/Ticker", "BTC/USDT:USDT", {"base_volume": D("10000"), "quote_volume": D("18")}),
        ],
    )
    def test_values(self, name: str, symbol: str, expected: dict[str, object]) -> None:
        (raw,) = documented_frames(name)
        event = one("spot" if name.startswith("Spot") else "usdm-market", raw)
        assert event.symbol == symbol
        assert {field: getattr(event, field) for field in expected} == expected

    @pytest.mark.parametrize(
        "name",
        [
            "Spot/ExchangeData/MiniTicker",
            "Spot/ExchangeData/RollingWindowTicker",
            "UsdFutures/MiniTicker",
            "UsdFutures/ContKlines",
            "UsdFutures/SymbolUpdates",
            "UsdFutures/Liquidations",
            "UsdFutures/CompositIndex",
            "UsdFutures/AssetIndex",
        ],
    )
    def test_understood_and_not_used(self, name: str) -> None:
        (raw,) = documented_frames(name)
        assert session("spot" if name.startswith("Spot") else "usdm-market").parse(raw) == []


def recorded(name: str, count: int) -> list[str]:
    """Frames of a recording, evenly spread over it."""

    def frames() -> Iterator[str]:
        with gzip.open(shared_file(f"captures/{name}.jsonl.gz"), "rt", encoding="utf-8") as lines:
            next(lines)
            for number, line in enumerate(lines):
                if number % 301 == 0:
                    yield json.loads(line)["raw"]

    return list(frames())[:count]


@pytest.fixture(scope="module", params=["spot", "usdm"])
def sample(request: pytest.FixtureRequest) -> tuple[str, list[str]]:
    route = {"spot": "spot", "usdm": "usdm-public"}[request.param]
    return route, recorded(f"binance-{request.param}-2024-08", 100)


class TestRecordedFrames:
    def test_each_gives_one_event(self, sample: tuple[str, list[str]]) -> None:
        route, frames = sample
        kinds = {type(one(route, raw)) for raw in frames}
        assert kinds == {BookDelta, Bbo, Trade}

    def test_text_and_bytes_are_the_same(self, sample: tuple[str, list[str]]) -> None:
        route, frames = sample
        assert all(one(route, raw) == one(route, raw.encode()) for raw in frames)

    @settings(max_examples=300, deadline=None)
    @given(seed=st.integers(0, 2**32))
    def test_damaged_ones_give_events_or_a_parse_error(self, sample: tuple[str, list[str]], seed: int) -> None:
        route, frames = sample
        draw = random.Random(seed)
        raw = bytearray(draw.choice(frames).encode())
        for _ in range(draw.randint(1, 6)):
            at = draw.randrange(len(raw))
            match draw.randrange(5):
                case 0:
                    raw[at] = draw.randrange(256)
                case 1:
                    del raw[at : at + draw.randint(1, 40)]
                case 2:
                    raw[at:at] = draw.choice([b"[", b"]", b'"', b"{", b"}", b",", b"null", b"-", b"e9", b"\\u0000"])
                case 3:
                    raw[at:at] = raw[: draw.randint(1, 60)]
                case _:
                    del raw[at + 1 :]
            if not raw:
                break
        try:
            events = session(route).parse(bytes(raw))
        except ParseError:
            return
        assert isinstance(events, list)

    @settings(max_examples=200, deadline=None)
    @given(raw=st.binary(max_size=200) | st.text(max_size=200))
    def test_noise(self, raw: bytes | str) -> None:
        try:
            events = session().parse(raw)
        except ParseError:
            return
        assert events == []


DOCUMENTED = Documented(
    "binance",
    {
        **dict.fromkeys(
            below(
                "Subscriptions/Spot/ExchangeData",
                "AggregatedTrades BookTicker Klines PartialBook Ticker Trades",
            ),
            "test_values",
        ),
        **dict.fromkeys(
            below(
                "Subscriptions/UsdFutures",
                "AggTrades Book BookTicker Klines MarkPrice PartialBook Ticker",
            ),
            "test_values",
        ),
        **dict.fromkeys(
            below(
                "Subscriptions/Spot/ExchangeData",
                "MiniTicker RollingWindowTicker",
            ),
            "test_understood_and_not_used",
        ),
        **dict.fromkeys(
            below(
                "Subscriptions/UsdFutures",
                "AssetIndex CompositIndex ContKlines Liquidations MiniTicker SymbolUpdates",
            ),
            "test_understood_and_not_used",
        ),
    },
    {
        "Subscriptions/Spot/ExchangeData/Concurrent.txt": "its frames are cut short",
        "Subscriptions/UsdFutures/Concurrent.txt": "its frames are cut short",
        "Subscriptions/CoinFutures/Concurrent.txt": "coin-margined futures are not followed",
    },
)
