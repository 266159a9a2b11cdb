"""ccxt as an independent client of the simulated Bitstamp: it was written by others, for the real one.

Nothing of it is changed but the addresses. It builds its books from the differences (``diff_order_book``) and a book by
REST, while our adapter takes whole books: so what the simulator tells by the one way and the other is held together.
"""

import asyncio
from decimal import Decimal
from itertools import pairwise

import ccxt.pro
import pytest
import pytest_asyncio

from bench.ccxt_clients import client as client_of
from feeds.simulator import endpoints
from feeds.simulator.bitstamp import Bitstamp
from tests.feeds.simulator_help import simulator

TIMEOUT_S = 30
KEY = ("bitstamp", "spot", "btcusd")
SYMBOL = "BTC/USD"
FEW = tuple(each for each in Bitstamp.listing if each.symbol in (SYMBOL, "DOGE/USD"))

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def both():
    """(ccxt exchange with its markets loaded, the simulator)"""
    async with simulator(instruments=FEW) as client:
        exchange = client_of(ccxt.pro.bitstamp, endpoints("127.0.0.1", client.server.port)["bitstamp"])
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await exchange.load_markets()
            yield exchange, client
        finally:
            await exchange.close()


def units(i, row):
    """Price and size of a level or print in ticks and lots."""
    return round(row[0] / float(i.tick)), round(row[1] / float(i.lot))


async def test_markets(both):
    exchange, client = both
    for key in (KEY, ("bitstamp", "spot", "dogeusd")):
        i = client.server.market.markets[key].instrument
        market = exchange.market(i.symbol)
        assert (market["id"], market["spot"], market["active"]) == (i.native, True, True)
        assert Decimal(str(market["precision"]["price"])) == i.tick
        assert Decimal(str(market["precision"]["amount"])) == i.lot
    assert exchange.market("BTC/USD:USD")["swap"]


async def test_book_by_rest(both):
    exchange, client = both
    market = client.server.market.markets[KEY]
    kept, client.server.beat = client.server.beat, lambda now_ms: None  # time stands still
    try:
        book = await exchange.fetch_order_book(SYMBOL)
        again = await exchange.fetch_order_book(SYMBOL)
        for name, side in (("bids", market.engine.bids), ("asks", market.engine.asks)):
            assert [units(market.instrument, row) for row in book[name]] == side.top(100_000)
        assert book["nonce"] == again["nonce"], "it is the time of the last change"
    finally:
        client.server.beat = kept


async def test_watched_books_are_the_engines(both):
    """The best five levels must be among the engine's latest."""
    exchange, client = both
    market, seen = client.server.market.markets[KEY], []
    engine = market.engine
    drain = engine.drain

    def noting():
        seen.append((engine.bids.top(5), engine.asks.top(5)))
        return drain()

    engine.drain = noting
    async with asyncio.timeout(TIMEOUT_S):
        for _ in range(8):
            book = await exchange.watch_order_book(SYMBOL)
            sides = tuple([units(market.instrument, row) for row in book[name][:5]] for name in ("bids", "asks"))
            assert sides in seen[-30:]
    engine.drain = drain


async def test_trades(both):
    exchange, client = both
    market, rows = client.server.market.markets[KEY], []
    async with asyncio.timeout(TIMEOUT_S):
        while len(rows) < 3:
            rows += await exchange.watch_trades(SYMBOL)
        rows += await exchange.fetch_trades(SYMBOL)
    prints = {str(each.id): each for each in market.recent}
    for row in rows:
        own = prints[row["id"]]
        assert units(market.instrument, (row["price"], row["amount"])) == (own.price, own.size)
        assert row["side"] == ("buy" if own.taker_buys else "sell")
        assert row["timestamp"] // 1000 == own.ms // 1000


async def test_ticker(both):
    exchange, client = both
    market = client.server.market.markets[KEY]
    ticker = (await exchange.fetch_tickers([SYMBOL]))[SYMBOL]
    day, tick = market.candles.day(), market.instrument.tick
    assert (ticker["open"], ticker["high"], ticker["low"]) == tuple(
        float(v * tick) for v in (day.open, day.high, day.low)
    )
    assert abs(ticker["last"] / float(day.close * tick) - 1) < 0.01
    assert ticker["bid"] < ticker["ask"]


@pytest.mark.parametrize("interval", ["1m", "4h"])
async def test_candles(both, interval):
    exchange, client = both
    rows = await exchange.fetch_ohlcv(SYMBOL, interval, limit=200)
    length_ms = exchange.parse_timeframe(interval) * 1000
    assert len(rows) == 200
    assert all(later[0] - earlier[0] == length_ms for earlier, later in pairwise(rows))
    market = client.server.market.markets[KEY]
    bars, i = {bar.open_ms: bar for bar in market.candles.series(length_ms)}, market.instrument
    for row in rows[:-1]:
        bar = bars[row[0]]
        assert row[1:5] == [float(value * i.tick) for value in (bar.open, bar.high, bar.low, bar.close)]
        assert round(row[5] / float(i.lot)) == bar.volume
