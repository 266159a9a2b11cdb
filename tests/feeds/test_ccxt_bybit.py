"""ccxt as an independent client of the simulated Bybit: it was written by others, for the real one.

Nothing of ccxt is changed: its addresses are pointed at the simulator through ``urls``. By option it asks for spot and
linear instruments only, and for no currencies (that needs a key). ccxt numbers its requests with integers, which the
simulator gives back as they came.
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
from feeds.simulator.venues import listings
from tests.feeds.simulator_help import simulator

TIMEOUT_S = 30
FEW = tuple(each for each in listings(["bybit"]) if each.base in ("BTC", "DOGE"))
MARKETS = [
    pytest.param("BTC/USDT", ("bybit", "spot", "BTCUSDT"), id="spot"),
    pytest.param("BTC/USDT:USDT", ("bybit", "linear", "BTCUSDT"), id="linear"),
    pytest.param("BTC/USDC:USDC", ("bybit", "linear", "BTCPERP"), id="usdc"),
]
every_market = pytest.mark.parametrize(("symbol", "key"), MARKETS)
pytestmark = pytest.mark.asyncio(loop_scope="module")


@asynccontextmanager
async def connected():
    """(ccxt exchange with its markets loaded, the simulator)."""
    async with simulator(instruments=FEW) as client:
        exchange = client_of(ccxt.pro.bybit, endpoints("127.0.0.1", client.server.port)["bybit"])
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await exchange.load_markets()
            yield exchange, client
        finally:
            await exchange.close()


class Truth:
    """The best prices of the markets, noted at every beat from the start."""

    def __init__(self, client):
        self.rows = {}
        exchange = client.server.exchanges["bybit"]
        happened = exchange.happened

        def noting(market, *arguments):
            i, top = market.instrument, market.top
            row = (top.bid * i.tick, top.bid_size * i.lot, top.ask * i.tick, top.ask_size * i.lot)
            self.rows.setdefault((i.venue, i.product, i.native), []).append(tuple(map(float, row)))
            happened(market, *arguments)

        exchange.happened = noting


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def both():
    async with connected() as (exchange, client):
        client.truth = Truth(client)
        yield exchange, client


@every_market
async def test_markets(both, symbol, key):
    exchange, client = both
    instrument = client.server.market.markets[key].instrument
    market = exchange.market(symbol)
    assert Decimal(str(market["precision"]["price"])) == instrument.tick
    assert Decimal(str(market["precision"]["amount"])) == instrument.lot
    assert Decimal(str(market["limits"]["amount"]["min"])) == instrument.min_size
    assert Decimal(str(market["limits"]["cost"]["min"])) == instrument.min_notional
    assert (market["id"], market["settle"], market["active"]) == (instrument.native, instrument.settle, True)
    assert market["contractSize"] == (None if instrument.settle is None else 1)
    assert set(exchange.symbols) == {each.symbol for each in FEW}


@every_market
async def test_book_and_ticker_by_rest(both, symbol, key):
    exchange, client = both
    market = client.server.market.markets[key]
    beat, client.server.beat = client.server.beat, lambda now_ms: None  # time stands still
    try:
        book = await exchange.fetch_order_book(symbol, 100)
        ticker = await exchange.fetch_ticker(symbol)
        i, top, day = market.instrument, market.top, market.candles.day()
        for name, side in (("bids", market.engine.bids), ("asks", market.engine.asks)):
            assert [row[:2] for row in book[name]] == [[float(p * i.tick), float(s * i.lot)] for p, s in side.top(100)]
        assert (ticker["bid"], ticker["ask"]) == (float(top.bid * i.tick), float(top.ask * i.tick))
        assert (ticker["last"], ticker["high"]) == (float(day.close * i.tick), float(day.high * i.tick))
        assert ticker["baseVolume"] == float(day.volume * i.lot)
    finally:
        client.server.beat = beat


@pytest.mark.parametrize("limit", [50, 200])
@every_market
async def test_watched_best_prices_are_the_engine_s(both, symbol, key, limit):
    exchange, client = both
    async with asyncio.timeout(TIMEOUT_S):
        await exchange.watch_order_book(symbol, limit)
        for _ in range(4):
            book = await exchange.watch_order_book(symbol, limit)
            assert (*book["bids"][0][:2], *book["asks"][0][:2]) in client.truth.rows[key][-60:]
        await exchange.un_watch_order_book(symbol, {"limit": limit})


@every_market
async def test_watched_best_prices_of_the_level_1_topic(both, symbol, key):
    exchange, client = both
    async with asyncio.timeout(TIMEOUT_S):
        for _ in range(5):
            row = (await exchange.watch_bids_asks([symbol]))[symbol]
            assert (row["bid"], row["bidVolume"], row["ask"], row["askVolume"]) in client.truth.rows[key][-60:]


@every_market
async def test_watched_trades_are_the_prints(both, symbol, key):
    exchange, client = both
    market, rows = client.server.market.markets[key], []
    async with asyncio.timeout(TIMEOUT_S):
        while len(rows) < 4:
            rows += await exchange.watch_trades(symbol)
    i = market.instrument
    prints = [
        (float(p.price * i.tick), float(p.size * i.lot), "buy" if p.taker_buys else "sell", p.ms) for p in market.recent
    ]
    assert {(row["price"], row["amount"], row["side"], row["timestamp"]) for row in rows} <= set(prints)
    assert len({row["id"] for row in rows}) == len(rows)


@every_market
async def test_watched_ticker(both, symbol, key):
    """ccxt merges linear's changes as we do, and knows only spot's last prices."""
    exchange, client = both
    market = client.server.market.markets[key]
    async with asyncio.timeout(TIMEOUT_S):
        for _ in range(4):
            ticker = await exchange.watch_ticker(symbol)
    i, day = market.instrument, market.candles.day()
    assert (ticker["high"], ticker["open"]) == (float(day.high * i.tick), float(day.open * i.tick))
    assert ticker["last"] in {float(p.price * i.tick) for p in market.recent} | {float(day.close * i.tick)}
    if i.settle is not None:
        assert ticker["bid"] < ticker["ask"]
        assert ticker["markPrice"] == pytest.approx(market.mark * float(i.tick), rel=1e-3)


@every_market
async def test_candles(both, symbol, key):
    exchange, client = both
    rows = await exchange.fetch_ohlcv(symbol, "1m", limit=500)
    assert len(rows) == 500
    assert all(later[0] - earlier[0] == 60_000 for earlier, later in pairwise(rows))
    market = client.server.market.markets[key]
    bars, tick = {bar.open_ms: bar for bar in market.candles.minutes}, market.instrument.tick
    for row in rows[:-1]:
        bar = bars[row[0]]
        assert row[1:5] == [float(value * tick) for value in (bar.open, bar.high, bar.low, bar.close)]
    async with asyncio.timeout(TIMEOUT_S):
        live = await exchange.watch_ohlcv(symbol, "1m")
    assert live[-1][0] in {bar.open_ms for bar in market.candles.minutes}
