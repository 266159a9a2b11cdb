"""The Binance adapter: routes, what it asks for, instruments, REST answers, errors."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.domain import INTERVALS, Ack, Bbo, BookSnapshot, Candle, Channel, Notice, Rejected, Subscription
from feeds.errors import ConfigError, CredentialsError, ExchangeError, ParseError, RateLimited, TransportError
from feeds.exchange import Exchange, MarketIndex, Request
from feeds.exchanges import REGISTRY, create
from feeds.exchanges.binance import Binance
from tests.documented import Documented, below
from tests.feeds.binance_world import BTC, BTC_PERP, ETH, documented_answer, market, session

BINANCE: Exchange = Binance()


def book(symbol: str) -> Subscription:
    return Subscription(channel=Channel.BOOK, symbol=symbol)


class TestRegistry:
    def test_binance_is_made_by_name(self) -> None:
        exchange = create("binance", {"usdm.ws": "ws://127.0.0.1:9000/binance/"})
        assert isinstance(exchange, Binance)
        assert REGISTRY["binance"] is Binance
        assert exchange.endpoints["usdm.ws"] == "ws://127.0.0.1:9000/binance"
        assert exchange.endpoints["spot.rest"] == "https://api.binance.com"

    def test_an_unknown_exchange_names_the_known(self) -> None:
        with pytest.raises(ConfigError, match=r"'binanse'.*binance, .*kraken"):
            create("binanse")


class TestRoutes:
    @pytest.mark.parametrize("channel", [c for c in Channel if c is not Channel.MARK])
    def test_spot_has_one(self, channel: Channel) -> None:
        assert BINANCE.route(Subscription(channel=channel, symbol=BTC.symbol), BTC) == "spot"

    @pytest.mark.parametrize(
        ("channel", "route"),
        [
            (Channel.BOOK, "usdm-public"),
            (Channel.BBO, "usdm-public"),
            (Channel.TRADES, "usdm-market"),
            (Channel.TICKER, "usdm-market"),
            (Channel.CANDLES, "usdm-market"),
            (Channel.MARK, "usdm-market"),
        ],
    )
    def test_futures_are_split_as_since_april_2026(self, channel: Channel, route: str) -> None:
        assert BINANCE.route(Subscription(channel=channel, symbol=BTC_PERP.symbol), BTC_PERP) == route

    def test_spot_has_no_mark_price(self) -> None:
        with pytest.raises(ValueError, match="mark BTC/USDT: a spot market has no mark price"):
            BINANCE.route(Subscription(channel=Channel.MARK, symbol=BTC.symbol), BTC)

    def test_urls(self) -> None:
        assert BINANCE.url("spot") == "wss://stream.binance.com:9443/stream"
        assert BINANCE.url("usdm-public") == "wss://fstream.binance.com/public/stream"
        assert BINANCE.url("usdm-market") == "wss://fstream.binance.com/market/stream"

    def test_a_route_that_does_not_exist(self) -> None:
        with pytest.raises(ValueError, match="no route 'usdm'"):
            session("usdm")


class TestSubscribing:
    @pytest.mark.parametrize(
        ("route", "subscription", "stream"),
        [
            ("spot", book("BTC/USDT"), "btcusdt@depth@100ms"),
            ("spot", Subscription(channel=Channel.BBO, symbol="BTC/USDT"), "btcusdt@bookTicker"),
            ("spot", Subscription(channel=Channel.TRADES, symbol="BTC/USDT"), "btcusdt@trade"),
            ("spot", Subscription(channel=Channel.TICKER, symbol="BTC/USDT"), "btcusdt@ticker"),
            ("spot", book("币安人生/USDT"), "币安人生usdt@depth@100ms"),
            ("usdm-public", book("BTC/USDT:USDT"), "btcusdt@depth@100ms"),
            ("usdm-public", Subscription(channel=Channel.BBO, symbol="BTC/USDT:USDT"), "btcusdt@bookTicker"),
            ("usdm-market", Subscription(channel=Channel.TRADES, symbol="BTC/USDT:USDT"), "btcusdt@aggTrade"),
            ("usdm-market", Subscription(channel=Channel.TICKER, symbol="BTC/USDT:USDT"), "btcusdt@ticker"),
            ("usdm-market", Subscription(channel=Channel.MARK, symbol="BTC/USDT:USDT"), "btcusdt@markPrice@1s"),
        ],
    )
    def test_stream_names(self, route: str, subscription: Subscription, stream: str) -> None:
        (message,) = session(route).subscribe([subscription])
        assert json.loads(message) == {"method": "SUBSCRIBE", "params": [stream], "id": 1}

    @pytest.mark.parametrize("interval", INTERVALS)
    def test_candles(self, interval: str) -> None:
        wanted = Subscription(channel=Channel.CANDLES, symbol="BTC/USDT", interval=interval)
        (message,) = session().subscribe([wanted])
        assert json.loads(message)["params"] == [f"btcusdt@kline_{interval}"]

    def test_many_go_in_batches_of_200_with_small_ids(self) -> None:
        markets = MarketIndex(market("spot", f"C{n}", "USDT") for n in range(450))
        asked = [book(m.symbol) for m in markets]
        connection = session(markets=markets)
        messages = [json.loads(message) for message in connection.subscribe(asked)]
        assert [len(message["params"]) for message in messages] == [200, 200, 50]
        assert [message["id"] for message in messages] == [1, 2, 3]
        assert [name for message in messages for name in message["params"]] == [
            f"c{n}usdt@depth@100ms" for n in range(450)
        ]
        assert connection.parse('{"result":null,"id":3}') == [Ack(subscriptions=tuple(asked[400:]))]

    def test_nothing_to_ask_is_no_message(self) -> None:
        assert session().subscribe([]) == []

    def test_opening_and_keepalive_are_the_exchanges_own(self) -> None:
        """Nothing is sent on opening, and the WebSocket's own pings keep it alive."""
        assert session().opening() == []
        assert session().keepalive() is None

    def test_what_would_stay_mute_is_refused(self) -> None:
        with pytest.raises(ValueError, match="book DOGE/USDT: Binance lists no such market"):
            session().subscribe([book("DOGE/USDT")])
        with pytest.raises(ValueError, match=r"book BTC/USDT:USDT: .* route 'usdm-market' do not carry it"):
            session("usdm-market").subscribe([book("BTC/USDT:USDT")])
        with pytest.raises(ValueError, match=r"book BTC/USDT: .* route 'usdm-public'"):
            session("usdm-public").subscribe([book("BTC/USDT")])


class TestAnswers:
    def test_an_ack_names_what_was_asked_with_its_id(self) -> None:
        connection = session()
        connection.subscribe([book("BTC/USDT")])
        connection.unsubscribe([book("ETH/USDT")])
        assert connection.parse(b'{"result":null,"id":2}') == [Ack(subscriptions=(book("ETH/USDT"),), ended=True)]
        assert connection.parse(b'{"result":null,"id":1}') == [Ack(subscriptions=(book("BTC/USDT"),))]
        assert connection.parse(b'{"result":null,"id":1}') == []

    @pytest.mark.parametrize(
        "raw",
        [
            '{"result":null,"id":77}',
            '{"result":null,"id":"abc"}',
            '{"result":null,"id":null}',
            '{"result":null,"id":true}',
            '{"result":["btcusdt@depth@100ms","btcusdt@bookTicker"],"id":3}',
            '{"result":true,"id":6}',
        ],
    )
    def test_answers_to_what_others_asked_are_understood(self, raw: str) -> None:
        connection = session()
        assert connection.parse(raw) == []

    def test_an_error_with_an_id_rejects_what_was_asked(self) -> None:
        connection = session()
        connection.subscribe([book("BTC/USDT")])
        connection.subscribe([book("ETH/USDT")])
        raw = '{"error":{"code":2,"msg":"Invalid request: request ID must be an unsigned integer"},"id":1}'
        assert connection.parse(raw) == [
            Rejected(
                subscriptions=(book("BTC/USDT"),),
                reason="Invalid request: request ID must be an unsigned integer (2)",
            )
        ]

    def test_a_bare_error_rejects_the_only_one_that_waits(self) -> None:
        connection = session()
        connection.subscribe([book("BTC/USDT")])
        raw = '{"code":2,"msg":"Invalid request: unknown variant `SUBSCRIBEX`"}'
        reason = "Invalid request: unknown variant `SUBSCRIBEX` (2)"
        assert connection.parse(raw) == [Rejected(subscriptions=(book("BTC/USDT"),), reason=reason)]
        assert connection.parse(raw) == [Rejected(subscriptions=(), reason=reason)]

    def test_a_bare_error_while_several_wait_names_none(self) -> None:
        connection = session()
        connection.subscribe([book("BTC/USDT")])
        connection.subscribe([book("ETH/USDT")])
        (rejected,) = connection.parse('{"code":3,"msg":"Invalid JSON"}')
        assert rejected == Rejected(subscriptions=(), reason="Invalid JSON (3)")

    def test_an_unsubscription_that_fails_rejects_nothing(self) -> None:
        connection = session()
        connection.unsubscribe([book("BTC/USDT")])
        (event,) = connection.parse('{"error":{"code":2,"msg":"Invalid request"},"id":1}')
        assert isinstance(event, Notice)
        assert "Invalid request (2)" in event.text


SPOT_INFO = {
    "symbols": [
        {
            "symbol": "BTCUSDT",
            "status": "TRADING",
            "baseAsset": "BTC",
            "baseAssetPrecision": 8,
            "quoteAsset": "USDT",
            "quotePrecision": 8,
            "isSpotTradingAllowed": True,
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.0", "tickSize": "0.01000000"},
                {"filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.0", "stepSize": "0.00001000"},
                {"filterType": "MARKET_LOT_SIZE", "minQty": "0.0", "maxQty": "120.0", "stepSize": "0.00000000"},
                {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": True},
            ],
        },
        {
            "symbol": "OLDBTC",
            "status": "CANCEL_ONLY",
            "baseAsset": "OLD",
            "quoteAsset": "BTC",
            "filters": [
                {"filterType": "PRICE_FILTER", "tickSize": "0.00000000"},
                {"filterType": "MIN_NOTIONAL", "minNotional": "0.0001"},
            ],
        },
        {
            "symbol": "MARGINONLY",
            "status": "TRADING",
            "baseAsset": "M",
            "quoteAsset": "BTC",
            "isSpotTradingAllowed": False,
            "filters": [],
        },
        {"symbol": "币安人生USDT", "status": "BREAK", "baseAsset": "币安人生", "quoteAsset": "USDT", "filters": []},
    ]
}


def contract(native: str, kind: str, **more: object) -> dict[str, object]:
    return {
        "symbol": native,
        "contractType": kind,
        "status": "TRADING",
        "baseAsset": native[:3],
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        "pricePrecision": 2,
        "quantityPrecision": 3,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "556.80", "maxPrice": "4529764", "tickSize": "0.10"},
            {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MIN_NOTIONAL", "notional": "100"},
            {"filterType": "PERCENT_PRICE", "multiplierUp": "1.0500", "multiplierDecimal": "4"},
        ],
        **more,
    }


class TestInstruments:
    def spot(self, answer: object) -> MarketIndex:
        request = next(r for r in BINANCE.markets_requests() if r.product == "spot")
        return MarketIndex(BINANCE.parse_markets(request, json.dumps(answer).encode()))

    def futures(self, *symbols: dict[str, object]) -> MarketIndex:
        request = next(r for r in BINANCE.markets_requests() if r.product == "usdm")
        return MarketIndex(BINANCE.parse_markets(request, json.dumps({"symbols": symbols}).encode()))

    def test_requests(self) -> None:
        assert [(r.path, r.product, r.weight) for r in BINANCE.markets_requests()] == [
            ("/api/v3/exchangeInfo", "spot", 20),
            ("/fapi/v1/exchangeInfo", "usdm", 1),
        ]

    def test_a_spot_pair(self) -> None:
        btc = self.spot(SPOT_INFO)["BTC/USDT"]
        assert (btc.native, btc.product, btc.settle, btc.status) == ("BTCUSDT", "spot", None, "trading")
        assert (btc.tick, btc.lot, btc.min_size) == (Decimal("0.01"), Decimal("0.00001"), Decimal("0.00001"))
        assert (btc.price_decimals, btc.size_decimals, btc.min_notional) == (2, 5, 5)

    def test_rules_that_are_off_leave_the_printed_precision(self) -> None:
        old = self.spot(SPOT_INFO)["OLD/BTC"]
        assert (old.tick, old.lot, old.min_size) == (Decimal("1E-8"), Decimal("1E-8"), 0)
        assert (old.min_notional, old.status) == (Decimal("0.0001"), "cancel_only")

    def test_any_letters_and_states_but_no_margin_only_pair(self) -> None:
        markets = self.spot(SPOT_INFO)
        assert {m.symbol for m in markets} == {"BTC/USDT", "OLD/BTC", "币安人生/USDT"}
        assert markets["币安人生/USDT"].status == "break"

    def test_a_perpetual(self) -> None:
        btc = self.futures(contract("BTCUSDT", "PERPETUAL"))["BTC/USDT:USDT"]
        assert (btc.native, btc.product, btc.settle) == ("BTCUSDT", "usdm", "USDT")
        assert (btc.tick, btc.lot, btc.min_size, btc.min_notional) == (
            Decimal("0.10"),
            Decimal("0.001"),
            Decimal("0.001"),
            100,
        )

    def test_kinds_of_contracts(self) -> None:
        markets = self.futures(
            contract("ETHUSDT", "PERPETUAL"),
            contract("XAUUSDT", "TRADIFI_PERPETUAL"),
            contract("OLDUSDT", "PERPETUAL_DELIVERING", status="SETTLING"),
            contract("BTCUSDT_260626", "CURRENT_QUARTER"),
            contract("ODDUSDT", ""),
            contract("NEWUSDT", "SOMETHING_NEW"),
        )
        assert {m.symbol: m.status for m in markets} == {
            "ETH/USDT:USDT": "trading",
            "XAU/USDT:USDT": "trading",
            "OLD/USDT:USDT": "settling",
            "BTC/USDT:USDT-260626": "trading",
        }

    def test_the_documented_answers(self) -> None:
        futures = documented_answer("UsdFutures/ExchangeData/GetExchangeInfo")
        (blz,) = BINANCE.parse_markets(Request(path="/fapi/v1/exchangeInfo", product="usdm"), futures)
        assert (blz.symbol, blz.tick, blz.lot, blz.min_notional) == ("BLZ/USDT:USDT", Decimal("0.0001"), 1, 5)
        spot = documented_answer("Spot/ExchangeData/GetExchangeInfo")
        (eth,) = BINANCE.parse_markets(Request(path="/api/v3/exchangeInfo", product="spot"), spot)
        assert (eth.symbol, eth.tick) == ("ETH/BTC", Decimal("1E-8"))

    def test_one_that_cannot_be_understood_costs_only_itself(self) -> None:
        strange = {"symbol": "ODDUSDT", "status": "TRADING", "baseAsset": "ODD", "quoteAsset": 7, "filters": []}
        assert "BTC/USDT" in self.spot({"symbols": [strange, *SPOT_INFO["symbols"]]})
        with pytest.raises(ParseError, match="none of 1 instruments"):
            self.spot({"symbols": [strange]})

    @pytest.mark.parametrize("raw", [b"", b"[]", b"<html>", b'{"symbols":[{}]}', b'{"code":-1121,"msg":"x"}'])
    def test_anything_else(self, raw: bytes) -> None:
        with pytest.raises(ParseError):
            BINANCE.parse_markets(Request(path="/api/v3/exchangeInfo", product="spot"), raw)


class TestRest:
    def test_snapshots(self) -> None:
        assert BINANCE.snapshot_request(BTC) == Request(
            path="/api/v3/depth", params=(("symbol", "BTCUSDT"), ("limit", "1000")), product="spot", weight=50
        )
        assert BINANCE.snapshot_request(BTC_PERP) == Request(
            path="/fapi/v1/depth", params=(("symbol", "BTCUSDT"), ("limit", "1000")), product="usdm", weight=20
        )
        raw = b'{"lastUpdateId":1027024,"bids":[["4.00000000","431.00000000"]],"asks":[["4.00000200","12.00000000"]]}'
        assert BINANCE.parse_snapshot(BTC, raw) == BookSnapshot(
            symbol="BTC/USDT", bids=[(4.0, 431.0)], asks=[(4.000002, 12.0)], seq=1027024, depth=1000
        )

    def test_futures_apply_the_snapshots_own_update_again(self) -> None:
        snapshot = BINANCE.parse_snapshot(BTC_PERP, documented_answer("UsdFutures/ExchangeData/GetOrderBook"))
        assert (snapshot.seq, snapshot.exchange_ms, snapshot.again) == (1027024, 1589436922972, True)

    def test_probes(self) -> None:
        assert BINANCE.probe_request(BTC) == Request(
            path="/api/v3/depth", params=(("symbol", "BTCUSDT"), ("limit", "5")), product="spot", weight=5
        )
        assert BINANCE.probe_request(BTC_PERP).weight == 2
        raw = b'{"lastUpdateId":7,"E":9,"bids":[["3","1"],["4","2"]],"asks":[["6","1"],["5","3"]]}'
        assert BINANCE.parse_probe(BTC, raw) == Bbo(
            symbol="BTC/USDT", bid=4.0, bid_size=2.0, ask=5.0, ask_size=3.0, seq=7, exchange_ms=9
        )

    def test_a_probe_of_an_empty_book(self) -> None:
        best = BINANCE.parse_probe(BTC, b'{"lastUpdateId":7,"bids":[],"asks":[]}')
        assert (best.bid, best.bid_size, best.ask, best.ask_size) == (0, 0, 0, 0)

    @pytest.mark.parametrize(
        "raw",
        [
            b"",
            b"\xff\xfe",
            b"null",
            b'{"bids":[],"asks":[]}',
            b'{"lastUpdateId":1,"bids":[["nan","1"]],"asks":[]}',
            b'{"lastUpdateId":1,"bids":[["1","-1"]],"asks":[]}',
            b'{"lastUpdateId":1,"bids":[["1"]],"asks":[]}',
            b"[" * 100_000,
        ],
    )
    def test_a_snapshot_that_is_none(self, raw: bytes) -> None:
        for parse in (BINANCE.parse_snapshot, BINANCE.parse_probe):
            with pytest.raises(ParseError, match="BTC/USDT"):
                parse(BTC, raw)

    @pytest.mark.parametrize(
        ("of", "limit", "sent", "weight"),
        [
            (BTC, 5000, "1000", 2),
            (BTC, 1, "1", 2),
            (BTC, 0, "1", 2),
            (BTC_PERP, 99, "99", 1),
            (BTC_PERP, 499, "499", 2),
            (BTC_PERP, 1000, "1000", 5),
            (BTC_PERP, 5000, "1500", 10),
        ],
    )
    def test_asking_for_candles(self, of, limit: int, sent: str, weight: int) -> None:
        request = BINANCE.candles_request(of, "5m", limit)
        assert request.params == (("symbol", "BTCUSDT"), ("interval", "5m"), ("limit", sent))
        assert (request.weight, request.product) == (weight, of.product)

    @pytest.mark.parametrize("name", ["Spot/ExchangeData/GetKlines", "UsdFutures/ExchangeData/GetKlines"])
    def test_candles(self, name: str) -> None:
        assert BINANCE.parse_candles(BTC, "1m", documented_answer(name)) == [
            Candle(
                symbol="BTC/USDT",
                interval="1m",
                open_ms=1499040000000,
                open=Decimal("0.01634790"),
                high=Decimal("0.80000000"),
                low=Decimal("0.01575800"),
                close=Decimal("0.01577100"),
                base_volume=Decimal("148976.11427815"),
            )
        ]

    def test_all_candles_but_the_last_are_closed(self) -> None:
        row = '[{},"1","2","0.5","1.5","9",{},"0",1,"0","0","0"]'
        raw = f"[{row.format(0, 59999)},{row.format(60000, 119999)}]".encode()
        assert [(c.open_ms, c.closed) for c in BINANCE.parse_candles(ETH, "1m", raw)] == [(0, True), (60000, False)]
        assert BINANCE.parse_candles(ETH, "1m", b"[]") == []

    def test_budgets(self) -> None:
        budgets = BINANCE.budgets()
        assert {p: (b.limit, b.per_s, b.used_header) for p, b in budgets.items()} == {
            "spot": (6000, 60, "X-MBX-USED-WEIGHT-1M"),
            "usdm": (2400, 60, "X-MBX-USED-WEIGHT-1M"),
        }

    def test_there_is_no_checksum(self) -> None:
        assert BINANCE.checksum(None) is None
        assert BINANCE.checksum(BTC) is None


class TestErrors:
    @pytest.mark.parametrize(
        "raw",
        [b"{}", b"[]", b'{"code":200,"msg":"The operation of cancel all open order is done."}', b'{"serverTime":1}'],
    )
    def test_good_answers(self, raw: bytes) -> None:
        assert BINANCE.error_of(200, raw, {}) is None

    @pytest.mark.parametrize(("status", "least_s"), [(429, 60), (418, 120)])
    def test_asked_to_wait(self, status: int, least_s: int) -> None:
        raw = b'{"code":-1003,"msg":"Way too much request weight used; IP banned until 1659146400000."}'
        error = BINANCE.error_of(status, raw, {"retry-after": "42"})
        assert isinstance(error, RateLimited)
        assert error.retry_after_s == 42
        error = BINANCE.error_of(status, b"", {"Retry-After": "soon"})
        assert isinstance(error, RateLimited)
        assert error.retry_after_s == least_s

    def test_no_wait_is_longer_than_the_longest_ban(self) -> None:
        error = BINANCE.error_of(418, b"", {"Retry-After": "9" * 400})
        assert isinstance(error, RateLimited)
        assert error.retry_after_s == 3 * 24 * 3600

    @pytest.mark.parametrize("code", [-2014, -2015, -1022])
    def test_a_refused_key(self, code: int) -> None:
        error = BINANCE.error_of(401, json.dumps({"code": code, "msg": "Invalid API-key."}).encode(), {})
        assert isinstance(error, CredentialsError)
        assert error.code == code

    def test_an_error_of_the_exchange(self) -> None:
        error = BINANCE.error_of(400, b'{"code":-1121,"msg":"Invalid symbol."}', {})
        assert type(error) is ExchangeError
        assert error.code == -1121
        assert str(error) == "Binance answered HTTP 400, code -1121: Invalid symbol."
        assert isinstance(BINANCE.error_of(200, b'{"code":-2011,"msg":"Unknown order sent."}', {}), ExchangeError)

    @pytest.mark.parametrize(
        ("status", "raw"),
        [
            (403, b"<html>forbidden</html>"),
            (500, b""),
            (502, b"<html>"),
            (503, b'{"code":-1008,"msg":"Request throttled by system-level protection."}'),
            (404, b"not here"),
            (451, b'{"code":0,"msg":"Service unavailable from a restricted location"}'),
        ],
    )
    def test_trouble_on_the_way(self, status: int, raw: bytes) -> None:
        assert type(BINANCE.error_of(status, raw, {})) is TransportError

    @given(status=st.integers(100, 599), raw=st.binary(max_size=80), wait=st.text(max_size=20))
    def test_never_raises(self, status: int, raw: bytes, wait: str) -> None:
        error = BINANCE.error_of(status, raw, {"Retry-After": wait})
        assert (error is None) == (status < 400) or b"code" in raw


DOCUMENTED = Documented(
    "binance",
    {
        "Endpoints/Spot/ExchangeData/GetExchangeInfo.txt": "test_the_documented_answers",
        "Endpoints/UsdFutures/ExchangeData/GetExchangeInfo.txt": "test_the_documented_answers",
        "Endpoints/Spot/ExchangeData/GetKlines.txt": "test_candles",
        "Endpoints/UsdFutures/ExchangeData/GetKlines.txt": "test_candles",
        "Endpoints/UsdFutures/ExchangeData/GetOrderBook.txt": "test_futures_apply_the_snapshots_own_update_again",
    },
    {
        **dict.fromkeys(
            below(
                "Endpoints/Spot/ExchangeData",
                "GetAggregatedTradeHistory GetAvgPrice GetBookPrice GetPrice GetRecentTrades "
                "GetRollingWindowTicker GetTicker GetTradeHistory GetTradingDayTicker",
            ),
            "comes by stream, or is not shown",
        ),
        **dict.fromkeys(
            below(
                "Endpoints/UsdFutures/ExchangeData",
                "GetAggregatedTradeHistory GetBookPrice GetFundingInfo GetFundingRates GetMarkPrice GetPrice "
                "GetRecentTrades GetTicker GetTradeHistory",
            ),
            "comes by stream, or is not shown",
        ),
        **dict.fromkeys(
            below(
                "Endpoints/Spot/ExchangeData",
                "GetAssetDetails GetConvertListAllPairs GetConvertQuantityPrecisionPerAsset "
                "GetCrossMarginCollateralRatio GetFutureHourlyInterestRate GetIsolatedMarginSymbols "
                "GetIsolatedMarginTierData GetLeveragedTokenInfo GetMarginAssets GetMarginDelistSchedule "
                "GetMarginPriceIndex GetMarginSymbols",
            ),
            "margin, convert and leveraged tokens are not shown",
        ),
        "Endpoints/UsdFutures/ExchangeData/GetInsuranceFundBalances.txt": "what the exchange insures with is not shown",
        **dict.fromkeys(
            below(
                "Endpoints/Spot/ExchangeData",
                "GetDelistSchedule GetExecutionRules GetReferencePrice GetReferencePriceCalculation",
            ),
            "not asked for",
        ),
        **dict.fromkeys(
            below(
                "Endpoints/UsdFutures/ExchangeData",
                "GetAssetIndexes GetBasis GetCompositeIndexInfo GetGlobalLongShortAccountRatio "
                "GetIndexPriceConstituents GetOpenInterest GetOpenInterestHistory GetTakerBuySellVolumeRatio "
                "GetTopLongShortAccountRatio GetTopLongShortPositionRatio",
            ),
            "not asked for",
        ),
        "Endpoints/Spot/ExchangeData/GetServerTime.txt": "read by the account's side",
        "Endpoints/UsdFutures/ExchangeData/GetServerTime.txt": "read by the account's side",
        "Endpoints/Spot/ExchangeData/GetSystemStatus.txt": "needs a key",
        "Endpoints/Spot/ExchangeData/GetUiKlines.txt": "other bars are not shown",
        **dict.fromkeys(
            below(
                "Endpoints/UsdFutures/ExchangeData",
                "GetContinuousContractKlines GetIndexPriceKlines GetMarkPriceKlines GetPremiumIndexKlines",
            ),
            "other bars are not shown",
        ),
        **dict.fromkeys(
            below(
                "Endpoints/CoinFutures/ExchangeData",
                "GetAggregatedTradeHistory GetBasis GetBookPrices GetContinuousContractKlines GetExchangeInfo "
                "GetFundingInfo GetFundingRates GetGlobalLongShortAccountRatio GetIndexPriceConstituents "
                "GetIndexPriceKlines GetKlines GetMarkPriceKlines GetMarkPrices GetOpenInterest "
                "GetOpenInterestHistory GetOrderBook GetPremiumIndexKlines GetPrices GetRecentTrades "
                "GetServerTime GetTakerBuySellVolumeRatio GetTickers GetTopLongShortAccountRatio "
                "GetTopLongShortPositionRatio GetTradeHistory",
            ),
            "coin-margined futures are not followed",
        ),
        **dict.fromkeys(
            below(
                "Socket/Spot/ExchangeData",
                "GetAggregatedTradeHistory GetBookTickers GetCurrentAvgPrice GetExchangeInfo GetKlines "
                "GetOrderBook GetRecentTrades GetRollingWindowTickers GetTickers GetTradeHistory GetUIKlines",
            ),
            "asked by REST instead, in the same form",
        ),
        **dict.fromkeys(
            below(
                "Socket/UsdFutures/ExchangeData",
                "GetBookPrice GetBookPrices GetOrderBook GetPrice GetPrices",
            ),
            "asked by REST instead, in the same form",
        ),
    },
)
