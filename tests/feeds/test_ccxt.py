"""ccxt as an independent client of the simulated exchanges: it was written by others, for the real ones.

How it is pointed here, and what it needs to be told, is in ``bench/ccxt_clients.py``. Spot user data: it uses
``userDataStream.subscribe.signature``, as documented; it has no spot listen key any more.
"""

import asyncio
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import pairwise

import ccxt.pro
import pytest

from bench.ccxt_clients import Binance, BinanceUsdm
from bench.ccxt_clients import client as client_of
from feeds.simulator import endpoints
from feeds.simulator.keys import BINANCE_KEYS
from tests.feeds.simulator_help import FEW, simulator

TIMEOUT_S = 30
PERP = "BTC/USDT:USDT"


@asynccontextmanager
async def connected(kind, **settings):
    """(ccxt exchange with its markets loaded, the simulator)."""
    async with simulator(**settings) as client:
        name = "kraken" if kind is ccxt.pro.kraken else "binance"
        at = endpoints("127.0.0.1", client.server.port)[name]
        exchange = client_of(kind, at, BINANCE_KEYS.test if name == "binance" else None)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await exchange.load_markets()
            yield exchange, client
        finally:
            await exchange.close()


EXCHANGES = [
    pytest.param(Binance, "BTC/USDT", ("binance", "spot", "BTCUSDT"), id="binance"),
    pytest.param(BinanceUsdm, PERP, ("binance", "usdm", "BTCUSDT"), id="binanceusdm"),
    pytest.param(ccxt.pro.kraken, "BTC/USD", ("kraken", "spot", "BTC/USD"), id="kraken"),
]
every_exchange = pytest.mark.parametrize(("kind", "symbol", "key"), EXCHANGES)


class Truth:
    """The best prices of a market's engine, by update id, noted as they come."""

    def __init__(self, market):
        self.market = market
        self.rows = {}
        market.engine.drain = self._noting(market.engine.drain)
        self.note()

    def _noting(self, drain):
        def noted():
            self.note()
            return drain()

        return noted

    def note(self):
        engine, i = self.market.engine, self.market.instrument
        bid, bid_size = engine.bids.top(1)[0]
        ask, ask_size = engine.asks.top(1)[0]
        self.rows[engine.update_id] = tuple(
            float(number) for number in (bid * i.tick, bid_size * i.lot, ask * i.tick, ask_size * i.lot)
        )


@every_exchange
async def test_markets(kind, symbol, key):
    async with connected(kind) as (exchange, client):
        instrument = client.server.market.markets[key].instrument
        market = exchange.market(symbol)
        assert Decimal(str(market["precision"]["price"])) == instrument.tick
        assert Decimal(str(market["precision"]["amount"])) == instrument.lot
        listed = {each.symbol for each in FEW if (each.venue, each.product) == key[:2]}
        assert set(exchange.symbols) == listed


@every_exchange
async def test_book_by_rest(kind, symbol, key):
    async with connected(kind) as (exchange, client):
        engine = client.server.market.markets[key].engine
        client.server.beat = lambda now_ms: None  # time stands still
        book = await exchange.fetch_order_book(symbol, 100)
        i = client.server.market.markets[key].instrument
        for name, side in (("bids", engine.bids), ("asks", engine.asks)):
            assert [row[:2] for row in book[name][:100]] == [
                [float(p * i.tick), float(s * i.lot)] for p, s in side.top(100)
            ]


@pytest.mark.parametrize(("kind", "symbol", "key"), EXCHANGES[:2])
async def test_watched_best_prices_are_the_engines_at_that_update_id(kind, symbol, key):
    async with connected(kind) as (exchange, client):
        truth = Truth(client.server.market.markets[key])
        compared = 0
        async with asyncio.timeout(TIMEOUT_S):
            while compared < 25:
                book = await exchange.watch_order_book(symbol)
                if book["nonce"] in truth.rows:
                    bid, ask = book["bids"][0], book["asks"][0]
                    assert (*bid, *ask) == truth.rows[book["nonce"]]
                    compared += 1


async def test_watched_best_prices_of_kraken_are_the_engines():
    """Kraken has no update ids; ccxt checks each checksum. Its best prices must be among the engine's latest."""
    async with connected(ccxt.pro.kraken) as (exchange, client):
        market = client.server.market.markets["kraken", "spot", "BTC/USD"]
        kraken, seen = client.server.exchanges["kraken"], []
        happened = kraken.happened

        def noting(which, *arguments):
            happened(which, *arguments)
            if which is market:
                i, top = market.instrument, market.top
                row = (top.bid * i.tick, top.bid_size * i.lot, top.ask * i.tick, top.ask_size * i.lot)
                seen.append(tuple(map(float, row)))

        kraken.happened = noting
        async with asyncio.timeout(TIMEOUT_S):
            await exchange.watch_order_book("BTC/USD")
            for _ in range(25):
                book = await exchange.watch_order_book("BTC/USD")
                assert (*book["bids"][0], *book["asks"][0]) in seen[-200:]


@every_exchange
async def test_watched_trades_are_the_prints(kind, symbol, key):
    async with connected(kind) as (exchange, client):
        market = client.server.market.markets[key]
        rows = []
        async with asyncio.timeout(TIMEOUT_S):
            while len(rows) < 5:
                rows += await exchange.watch_trades(symbol)
        i = market.instrument
        prints = {}
        for each in market.recent:
            prints.setdefault(float(each.price * i.tick), set()).add("buy" if each.taker_buys else "sell")
        for row in rows:
            assert row["side"] in prints[row["price"]]
            assert row["amount"] > 0


@every_exchange
async def test_candles(kind, symbol, key):
    async with connected(kind) as (exchange, client):
        rows = await exchange.fetch_ohlcv(symbol, "1m", limit=500)
        assert len(rows) == 500
        assert all(b[0] - a[0] == 60_000 for a, b in pairwise(rows))
        bars = {bar.open_ms: bar for bar in client.server.market.markets[key].candles.minutes}
        tick = client.server.market.markets[key].instrument.tick
        for row in rows[:-1]:
            bar = bars[row[0]]
            assert row[1:5] == [float(value * tick) for value in (bar.open, bar.high, bar.low, bar.close)]


# -- accounts --------------------------------------------------------------------------------------------------------


async def test_spot_account():
    async with connected(Binance) as (exchange, client):
        price = float(int(client.server.market.markets["binance", "spot", "BTCUSDT"].mid() * 0.0095))
        order = await exchange.create_order("BTC/USDT", "limit", "buy", 0.01, price)
        assert order["status"] == "open"
        bought = await exchange.create_order("BTC/USDT", "market", "buy", 0.02)
        assert (bought["status"], bought["filled"]) == ("closed", 0.02)
        (open_order,) = await exchange.fetch_open_orders()
        assert (open_order["id"], open_order["price"]) == (order["id"], price)
        trades = await exchange.fetch_my_trades("BTC/USDT")
        assert sum(trade["amount"] for trade in trades) == pytest.approx(0.02)
        fees = sum(trade["fee"]["cost"] for trade in trades)
        balance = await exchange.fetch_balance()
        assert balance["BTC"]["total"] == pytest.approx(1.02 - fees, abs=1e-12)
        assert balance["USDT"]["used"] == pytest.approx(0.01 * price)
        cancelled = await exchange.cancel_order(order["id"], "BTC/USDT")
        assert cancelled["status"] == "canceled"
        assert (await exchange.fetch_balance())["USDT"]["used"] == 0
        with pytest.raises(ccxt.pro.OrderNotFound):
            await exchange.cancel_order(order["id"], "BTC/USDT")
        with pytest.raises(ccxt.pro.InsufficientFunds):
            await exchange.create_order("BTC/USDT", "market", "buy", 5000)
        exchange.secret = "wrong"
        with pytest.raises(ccxt.pro.AuthenticationError):
            await exchange.fetch_balance()


async def test_spot_user_stream():
    async with connected(Binance) as (exchange, _):
        watching = asyncio.create_task(exchange.watch_my_trades("BTC/USDT"))
        async with asyncio.timeout(TIMEOUT_S):
            while not watching.done():
                order = await exchange.create_order("BTC/USDT", "market", "buy", 0.001)
                await asyncio.sleep(0.2)
            trade = (await watching)[0]
        assert trade["symbol"] == "BTC/USDT"
        assert trade["takerOrMaker"] == "taker"
        assert trade["fee"]["currency"] == "BTC"
        assert order["symbol"] == "BTC/USDT"


async def test_futures_account():
    async with connected(BinanceUsdm) as (exchange, client):
        assert (await exchange.fetch_balance())["USDT"]["total"] == 50_000  # deposited, and nothing was traded yet
        await exchange.create_order(PERP, "market", "sell", 0.02)
        (position,) = await exchange.fetch_positions()
        fills = client.server.accounts["binance"].by_name["test"].desks["usdm"].fills
        entry = sum(fill.value for fill in fills) / Decimal("0.02")
        assert (position["side"], position["contracts"]) == ("short", 0.02)
        assert position["entryPrice"] == pytest.approx(float(entry))
        market = client.server.market.markets["binance", "usdm", "BTCUSDT"]
        price = round(float(int(market.mid() * 0.095)), 1)
        order = await exchange.create_order(PERP, "limit", "buy", 0.01, price)
        assert [row["id"] for row in await exchange.fetch_open_orders()] == [order["id"]]
        await exchange.cancel_order(order["id"], PERP)
        assert await exchange.fetch_open_orders() == []
        trades = await exchange.fetch_my_trades(PERP)
        assert [trade["id"] for trade in trades] == [str(fill.id) for fill in fills]
        assert all(
            trade["fee"] == {"currency": "USDT", "cost": float(f.fee)} for trade, f in zip(trades, fills, strict=True)
        )
        balance = await exchange.fetch_balance()
        assert balance["USDT"]["total"] < 50_000


async def test_futures_user_stream():
    async with connected(BinanceUsdm) as (exchange, _):
        watching = asyncio.create_task(exchange.watch_my_trades(PERP))
        async with asyncio.timeout(TIMEOUT_S):
            while not watching.done():
                await exchange.create_order(PERP, "market", "buy", 0.002)
                await asyncio.sleep(0.2)
            trade = (await watching)[0]
        assert (trade["symbol"], trade["side"], trade["fee"]["currency"]) == (PERP, "buy", "USDT")
