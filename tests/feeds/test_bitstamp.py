"""Bitstamp: frames and answers as documented or observed, the figures that must come out of them, and what the checks
of ``tests/conformance`` do not ask: a market in which nothing happens, figures by REST, an announced end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from feeds.config import Config, ExchangeConfig
from feeds.domain import (
    Ack,
    BookSnapshot,
    Channel,
    Closing,
    Event,
    Heartbeat,
    Market,
    Rejected,
    Subscription,
    Ticker,
    Trade,
    Unknown,
)
from feeds.engine import Engine
from feeds.errors import ExchangeError, ParseError, RateLimited, TransportError
from feeds.exchange import MarketIndex
from feeds.exchanges.bitstamp import Bitstamp
from feeds.markets import inquiry
from feeds.simulator import Settings, SimulatorServer, endpoints
from feeds.simulator.bitstamp import Bitstamp as Simulated
from feeds.simulator.faults import Fault
from tests.feeds.test_engine import Sink, until

LISTED = b"""[{"name":"BTC/USD","market_symbol":"btcusd","base_currency":"BTC","base_decimals":8,
"counter_currency":"USD","counter_decimals":0,"minimum_order_value":"10","trading":"Enabled","instant_order_counter_decimals":2,
"instant_and_market_orders":"Enabled","description":"Bitcoin / U.S. dollar","market_type":"SPOT"},
{"name":"GALA/EUR","market_symbol":"galaeur","base_currency":"GALA","base_decimals":8,"counter_currency":"EUR",
"counter_decimals":5,"minimum_order_value":"10","trading":"Disabled","market_type":"SPOT"},
{"name":"BTC/USD-PERP","market_symbol":"btcusd-perp","base_currency":"BTC","base_decimals":5,"counter_currency":"USD",
"counter_decimals":0,"minimum_order_value":"10","maximum_order_value":"500000.00000000","trading":"Enabled",
"market_type":"PERPETUAL","payoff_type":"Linear","contract_size":"1.00000000"},
{"name":"NEW/USD","market_symbol":"newusd","base_decimals":-1}]"""
ADAPTER = Bitstamp()
MARKETS = MarketIndex(ADAPTER.parse_markets(ADAPTER.markets_requests()[0], LISTED))
BTC = MARKETS["BTC/USD"]
BOOK = b"""{"data":{"timestamp":"1789457617","microtimestamp":"1789457617906487","bids":[["77188","0.41122"],
["77183","0.32386"]],"asks":[["77189","0.41124"],["77193","0.32385"]]},"channel":"order_book_btcusd","event":"data"}"""
TRADE = b"""{"data":{"id":2001939623936278528,"id_str":"2001939623936278528","type":0,"sell_order_id":2050545352740993,
"buy_order_id":2050545360601216,"amount":0.00921,"amount_str":"0.00921000","price":77204,"price_str":"77204",
"microtimestamp":"1789456400586000","timestamp":"1789456400586"},"channel":"live_trades_btcusd","event":"trade"}"""
TICKER = b"""[{"timestamp":"1789455809","open":"78237","high":"79588","low":"77191","last":"77265","volume":"108.78361",
"vwap":"78381","bid":"77239","ask":"77240","side":"1","open_24":"77700","percent_change_24":"-0.56",
"market_type":"SPOT","pair":"BTC/USD","market":"BTC/USD"},
{"timestamp":"1789455809","open":null,"high":null,"low":null,"last":null,"volume":"0","open_24":null,"pair":"GALA/EUR"},
{"timestamp":"1789455809","open":"1","high":"1","low":"1","last":"1","volume":"1","open_24":"1","pair":"BTC/USD-PERP"}]"""
OHLC = b"""{"data":{"pair":"BTC/USD","ohlc":[{"timestamp":"1505558760","open":"212.80","high":"213.50","low":"212.00",
"close":"213.20","volume":"1.23456789"},{"timestamp":"1505558820","open":"213.20","high":"213.20","low":"213.20",
"close":"213.20","volume":"0.00000000"}]}}"""


def parse(raw: bytes | str) -> list[Event]:
    return ADAPTER.session("spot", MARKETS).parse(raw)


def subscription(channel: Channel) -> Subscription:
    return Subscription(channel=channel, symbol="BTC/USD")


class TestFrames:
    def test_a_whole_book(self) -> None:
        assert parse(BOOK) == [
            BookSnapshot(
                symbol="BTC/USD",
                bids=[(77188.0, 0.41122), (77183.0, 0.32386)],
                asks=[(77189.0, 0.41124), (77193.0, 0.32385)],
                seq=1_789_457_617_906_487,
                depth=100,
                exchange_ms=1_789_457_617_906,
            )
        ]

    @pytest.mark.parametrize("channel", [b"diff_order_book_btcusd", b"detail_order_book_btcusd", b"order_book_ethusd"])
    def test_what_is_no_whole_book_of_ours(self, channel: bytes) -> None:
        """A difference that was taken for a book would be the worst of all mistakes."""
        assert parse(BOOK.replace(b"order_book_btcusd", channel)) == []

    def test_a_print(self) -> None:
        """The id is greater than 2^53, the digits are those that were printed, microseconds are the time."""
        expected = Trade(
            symbol="BTC/USD",
            id="2001939623936278528",
            side="buy",
            price=Decimal("77204"),
            size=Decimal("0.00921000"),
            exchange_ms=1_789_456_400_586,
        )
        assert parse(TRADE) == [expected]
        sold = parse(TRADE.replace(b'"type":0', b'"type":1'))[0]
        assert isinstance(sold, Trade)
        assert sold.side == "sell"

    @pytest.mark.parametrize(
        ("name", "channel"), [("order_book_btcusd", Channel.BOOK), ("live_trades_btcusd", Channel.TRADES)]
    )
    def test_answers_name_the_channel(self, name: str, channel: Channel) -> None:
        about = (subscription(channel),)
        begun = f'{{"event": "bts:subscription_succeeded", "channel": "{name}", "data": {{}}}}'
        assert parse(begun) == [Ack(subscriptions=about)]
        assert parse(begun.replace("sub", "unsub", 1)) == [Ack(subscriptions=about, ended=True)]

    def test_what_the_server_says_of_itself(self) -> None:
        assert parse('{"event":"bts:heartbeat","channel":"","data":{"status":"success"}}') == [Heartbeat()]
        (closing,) = parse('{"event":"bts:request_reconnect","channel":"","data":null}')
        assert isinstance(closing, Closing)

    @pytest.mark.parametrize(
        "said", ["Bad subscription string.", "Invalid channel provided.", "Incorrect JSON format."]
    )
    def test_errors_name_nobody(self, said: str) -> None:
        raw = f'{{"event":"bts:error","channel":"","data":{{"code":null,"message":"{said}"}}}}'
        assert parse(raw) == [Rejected(subscriptions=(), reason=said)]

    @pytest.mark.parametrize(
        "raw",
        [
            '{"event":"trade","channel":"order_book_btcusd","data":{}}',
            '{"event":"data","channel":"live_trades_btcusd","data":{}}',
            '{"channel":"order_book_btcusd"}',
        ],
    )
    def test_what_is_not_understood(self, raw: str) -> None:
        with pytest.raises(ParseError):
            parse(raw)

    def test_one_of_an_unknown_kind(self) -> None:
        frame = '{"event":"bts:unheard_of","channel":"order_book_btcusd","data":{}}'
        assert parse(frame) == [Unknown(what="event bts:unheard_of of order_book")]

    def test_what_is_asked_for(self) -> None:
        session = ADAPTER.session("spot", MARKETS)
        wanted = [subscription(Channel.BOOK), subscription(Channel.TRADES)]
        assert session.subscribe(wanted) == [
            '{"event":"bts:subscribe","data":{"channel":"order_book_btcusd"}}',
            '{"event":"bts:subscribe","data":{"channel":"live_trades_btcusd"}}',
        ]
        assert session.unsubscribe(wanted[:1]) == ['{"event":"bts:unsubscribe","data":{"channel":"order_book_btcusd"}}']
        for channel in (Channel.BBO, Channel.TICKER):
            with pytest.raises(ValueError, match="no such stream"):
                ADAPTER.route(subscription(channel), BTC)


class TestAnswers:
    def test_instruments(self) -> None:
        """Perpetuals are not ours; what cannot be understood is left out."""
        assert (
            Market(
                exchange="bitstamp",
                symbol="BTC/USD",
                native="btcusd",
                product="spot",
                base="BTC",
                quote="USD",
                tick=Decimal(1),
                lot=Decimal("1E-8"),
                min_notional=Decimal(10),
            )
            == BTC
        )
        assert [(each.symbol, each.status) for each in MARKETS] == [("BTC/USD", "trading"), ("GALA/EUR", "disabled")]

    def test_a_book_has_all_levels(self) -> None:
        raw = BOOK[BOOK.index(b'{"timestamp') : BOOK.index(b',"channel"')]
        book = ADAPTER.parse_snapshot(BTC, raw)
        assert (book.depth, book.seq, len(book.bids)) == (None, 1_789_457_617_906_487, 2)
        best = ADAPTER.parse_probe(BTC, raw)
        assert (best.bid, best.bid_size, best.ask, best.ask_size, best.seq) == (
            77188.0,
            0.41122,
            77189.0,
            0.41124,
            None,
        )
        with pytest.raises(ParseError, match="a side is empty"):
            ADAPTER.parse_probe(BTC, b'{"microtimestamp":"1789457617906487","bids":[],"asks":[["1","1"]]}')

    def test_24_h_figures(self) -> None:
        """``open_24`` is the price of 24 h ago, ``open`` today's first; a market that never traded has no figures."""
        assert ADAPTER.parse_day(TICKER, MARKETS) == [
            Ticker(
                symbol="BTC/USD",
                last=Decimal(77265),
                open=Decimal(77700),
                high=Decimal(79588),
                low=Decimal(77191),
                base_volume=Decimal("108.78361"),
                exchange_ms=1_789_455_809_000,
            )
        ]

    def test_candles(self) -> None:
        first, second = ADAPTER.parse_candles(BTC, "1m", OHLC)
        assert (first.open_ms, first.closed, second.closed) == (1_505_558_760_000, True, False)
        assert (first.open, first.high, first.low, first.close) == tuple(
            map(Decimal, ["212.80", "213.50", "212.00", "213.20"])
        )
        assert first.base_volume == Decimal("1.23456789")
        request = ADAPTER.candles_request(BTC, "4h", 5000)
        assert (request.path, request.params) == ("/api/v2/ohlc/btcusd/", (("step", "14400"), ("limit", "1000")))

    @pytest.mark.parametrize(
        ("status", "raw", "kind"),
        [
            (400, b'{"response_code":"400.002","response_explanation":"Request rejected."}', RateLimited),
            (400, b'{"response_code":"400.067","response_explanation":"exceeded client rate limit"}', RateLimited),
            (400, b'{"response_code":"400.001","response_explanation":"Unknown validation error."}', ExchangeError),
            (404, b'{"message": "Not found."}', TransportError),
            (404, b"<html><head><title>404 Not Found</title></head></html>", TransportError),
            (403, b'<html style="height:100%"><head>...</head></html>', TransportError),
            (200, TICKER, type(None)),
            (200, OHLC, type(None)),
        ],
    )
    def test_errors(self, status: int, raw: bytes, kind: type[object]) -> None:
        assert type(ADAPTER.error_of(status, raw, {})) is kind


# -- the engine ------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def world(folder: Path, **config: object) -> AsyncIterator[tuple[SimulatorServer, Engine, Sink]]:
    few = tuple(each for each in Simulated.listing if each.symbol in ("BTC/USD", "ETH/USD"))
    server = await SimulatorServer(Settings(seed=3, instruments=few, trader=False)).start(0)
    urls = endpoints("127.0.0.1", server.port)["bitstamp"]
    exchange = ExchangeConfig(
        name="bitstamp", simulated=True, products=("spot",), endpoints=urls, stale_s=1.0, reconnect_s=30.0
    )
    sink = Sink()
    engine = Engine(Config(path=None, exchanges={"bitstamp": exchange}, state_dir=folder / "state"), sink)
    try:
        await engine.start(markets_timeout_s=20)
        yield server, engine, sink
    finally:
        await engine.stop()
        await server.stop()


async def test_a_market_in_which_nothing_happens(tmp_path: Path) -> None:
    """No book comes by its stream; it is there all the same, by REST, and as REST confirms it, it is QUIET."""
    async with world(tmp_path) as (server, engine, sink):
        server.beat = lambda now_ms: None
        engine.lease("relay", ["book:bitstamp:BTC/USD"], 60)
        await until(lambda: sink.state("book:bitstamp:BTC/USD") == "QUIET")
        market = server.market.markets["bitstamp", "spot", "btcusd"]
        frame = sink.frames["book:bitstamp:BTC/USD"]["data"]
        scale = 10 ** frame["price_decimals"]
        assert [row[0] for row in frame["bids"][:5]] == [price * scale for price, _ in market.engine.bids.top(5)]


async def test_figures_come_by_rest_and_the_last_price_by_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inquiry, "DAY_S", 0.1)
    topic = "quote:bitstamp:BTC/USD"
    async with world(tmp_path) as (server, engine, sink):
        market = server.market.markets["bitstamp", "spot", "btcusd"]
        engine.lease("relay", [topic], 60)
        await until(lambda: topic in sink.frames and sink.frames[topic]["data"]["open"] is not None)
        data = sink.frames[topic]["data"]
        assert Decimal(data["open"]) == market.candles.day().open * market.instrument.tick
        assert data["base_volume"] is not None
        streams = engine.venues["bitstamp"].lanes[0].connection.subscriptions
        assert {each.channel for each in streams} == {Channel.BOOK, Channel.TRADES}
        server.faults.add(Fault(exchange="bitstamp", kind="status"))
        traded = market.recent[-1].id
        await until(lambda: market.recent[-1].id > traded + 3)
        await until(
            lambda: Decimal(sink.frames[topic]["data"]["last"]) == market.recent[-1].price * market.instrument.tick
        )


async def test_an_announced_end_costs_nothing(tmp_path: Path) -> None:
    topic = "book:bitstamp:BTC/USD"
    async with world(tmp_path) as (server, engine, sink):
        engine.lease("relay", [topic], 60)
        await until(lambda: sink.state(topic) == "LIVE")
        await until(lambda: engine.venues["bitstamp"].lanes[0].connection.state == "LIVE")  # by the stream as well
        states, publish = [], sink.publish

        def noting(topic: str, frame: str) -> None:
            publish(topic, frame)
            states.append(sink.state(topic))

        sink.publish = noting
        before = set(server.exchanges["bitstamp"].open_sockets())
        server.exchanges["bitstamp"].act(Fault(exchange="bitstamp", kind="shutdown"))
        await until(lambda: not before & set(server.exchanges["bitstamp"].open_sockets()))
        await asyncio.sleep(0.2)  # whatever the old sockets' end had done would be done by now
        assert set(states) <= {"LIVE", "QUIET"}
