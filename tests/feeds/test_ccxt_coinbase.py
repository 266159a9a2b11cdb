"""ccxt as an independent client of the simulated Coinbase: it was written by others, for the real one.

Nothing of it is changed but the addresses. Currencies (the retail site's API) are not simulated: not asked for. Where
a market has two names (``BTC-USD``, ``BTC-USDC``), ccxt knows that frames say the first, as documented.
"""

import asyncio
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import pairwise

import ccxt.pro
import pytest
import pytest_asyncio

from bench.ccxt_clients import client as client_of
from feeds.simulator import endpoints
from feeds.simulator.sockets import SocketRules
from tests.feeds.coinbase_world import FEW
from tests.feeds.simulator_help import simulator

TIMEOUT_S = 30
KEY = ("coinbase", "spot", "BTC-USD")
SYMBOL = "BTC/USD"


@asynccontextmanager
async def connected():
    """(ccxt exchange with its markets loaded, the simulator). Its own pace is not the documented one."""
    limits = {"weights": {"coinbase": 1000}, "rules": {"coinbase": SocketRules()}}
    async with simulator(instruments=FEW, **limits) as client:
        exchange = client_of(ccxt.pro.coinbase, endpoints("127.0.0.1", client.server.port)["coinbase"])
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await exchange.load_markets()
            yield exchange, client
        finally:
            await exchange.close()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def both():
    async with connected() as pair:
        yield pair


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_markets(both):
    exchange, client = both
    instrument = client.server.market.markets[KEY].instrument
    market = exchange.market(SYMBOL)
    assert Decimal(str(market["precision"]["price"])) == instrument.tick
    assert Decimal(str(market["precision"]["amount"])) == instrument.lot
    assert market["active"]
    assert set(exchange.symbols) == {f"{base}/{quote}" for base in ("BTC", "ETH", "DOGE") for quote in ("USD", "USDC")}


async def test_book_by_rest(both):
    exchange, client = both
    market = client.server.market.markets[KEY]
    kept, client.server.beat = client.server.beat, lambda now_ms: None  # time stands still
    try:
        book = await exchange.fetch_order_book(SYMBOL, 100)
        i = market.instrument
        for name, side in (("bids", market.engine.bids), ("asks", market.engine.asks)):
            assert [row[:2] for row in book[name]] == [[float(p * i.tick), float(s * i.lot)] for p, s in side.top(100)]
    finally:
        client.server.beat = kept


async def test_watched_books_are_the_engines(both):
    """The best prices must be among the engine's latest; and of the other name as well."""
    exchange, client = both
    market, seen = client.server.market.markets[KEY], []
    engine = market.engine
    drain = engine.drain

    def noting():
        i = market.instrument
        (bid, bid_size), (ask, ask_size) = engine.bids.top(1)[0], engine.asks.top(1)[0]
        seen.append(tuple(map(float, (bid * i.tick, bid_size * i.lot, ask * i.tick, ask_size * i.lot))))
        return drain()

    engine.drain = noting
    async with asyncio.timeout(TIMEOUT_S):
        for symbol in (SYMBOL, "BTC/USDC"):
            await exchange.watch_order_book(symbol)
            for _ in range(10):
                book = await exchange.watch_order_book(symbol)
                assert (*book["bids"][0], *book["asks"][0]) in seen[-100:]


async def test_watched_trades_are_the_prints(both):
    """ccxt takes the side as it is told, the maker's: the taker's is the other."""
    exchange, client = both
    market = client.server.market.markets[KEY]
    rows = []
    async with asyncio.timeout(TIMEOUT_S):
        while len(rows) < 5:
            rows += await exchange.watch_trades(SYMBOL)
    i = market.instrument
    prints = {str(each.id): each for each in market.recent}
    compared = 0
    for row in rows:
        if row["id"] in prints:
            own = prints[row["id"]]
            assert (row["price"], row["amount"]) == (float(own.price * i.tick), float(own.size * i.lot))
            assert row["timestamp"] == own.ms
            assert row["side"] == ("sell" if own.taker_buys else "buy")
            compared += 1
    assert compared >= 5


async def test_ticker(both):
    exchange, client = both
    market = client.server.market.markets[KEY]
    async with asyncio.timeout(TIMEOUT_S):
        ticker = await exchange.watch_ticker(SYMBOL)
    day, tick = market.candles.day(), market.instrument.tick
    assert abs(ticker["last"] / float(day.close * tick) - 1) < 0.01
    assert ticker["high"] <= float(day.high * tick)
    assert ticker["low"] >= float(day.low * tick)
    assert ticker["bid"] < ticker["ask"]


async def test_candles(both):
    exchange, client = both
    rows = await exchange.fetch_ohlcv(SYMBOL, "1m")
    assert len(rows) >= 299
    assert all(later[0] - earlier[0] == 60_000 for earlier, later in pairwise(rows))
    market = client.server.market.markets[KEY]
    bars, tick = {bar.open_ms: bar for bar in market.candles.minutes}, market.instrument.tick
    for row in rows[:-1]:
        bar = bars[row[0]]
        assert row[1:5] == [float(value * tick) for value in (bar.open, bar.high, bar.low, bar.close)]
