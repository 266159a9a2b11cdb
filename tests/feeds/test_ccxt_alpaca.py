"""ccxt as an independent client of the simulated Alpaca: it was written by others, for the real one.

Only addresses are overridden; its stream's path is an older one (``v1beta2``). It knows no stocks, never notices that a
change was lost, and waits for ever where its key is refused.
"""

import asyncio
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import pairwise

import ccxt.pro

from bench.ccxt_clients import client as client_of
from feeds.simulator import DATA_KEY, DATA_SECRET, endpoints
from feeds.simulator.keys import ApiKey
from tests.feeds.simulator_help import simulator
from tests.feeds.test_simulator_alpaca import FEW

TIMEOUT_S = 30
SYMBOL = "BTC/USD"


@asynccontextmanager
async def connected():
    """(ccxt exchange, the simulated market, the simulator)."""
    async with simulator(instruments=FEW) as client:
        urls = endpoints("127.0.0.1", client.server.port)["alpaca"]
        exchange = client_of(ccxt.pro.alpaca, urls, ApiKey(key=DATA_KEY, secret=DATA_SECRET, account=""))
        try:
            async with asyncio.timeout(TIMEOUT_S):
                yield exchange, client.server.market.markets["alpaca", "crypto", SYMBOL], client
        finally:
            await exchange.close()


async def test_markets_and_what_rest_says():
    async with connected() as (exchange, market, client):
        await exchange.load_markets()
        i = market.instrument
        assert set(exchange.markets) == {each.symbol for each in FEW if each.product == "crypto"}
        ours = exchange.market(SYMBOL)
        assert (ours["id"], ours["spot"], ours["active"]) == (SYMBOL, True, True)
        assert Decimal(str(ours["precision"]["price"])) == i.tick
        assert Decimal(str(ours["precision"]["amount"])) == i.lot
        assert Decimal(str(ours["limits"]["amount"]["min"])) == i.min_size

        client.server.beat = lambda now_ms: None  # time stands still
        book = await exchange.fetch_order_book(SYMBOL)
        for name, side in (("bids", market.engine.bids), ("asks", market.engine.asks)):
            assert [row[:2] for row in book[name]] == [
                [float(p * i.tick), float(s * i.lot)] for p, s in side.top(len(side.keys))
            ]
        ticker = await exchange.fetch_ticker(SYMBOL)
        assert (ticker["bid"], ticker["ask"]) == (float(market.top.bid * i.tick), float(market.top.ask * i.tick))
        rows = await exchange.fetch_trades(SYMBOL, since=0)
        prints = {str(row.id): row for row in market.recent}
        for row in rows:
            found = prints[row["id"]]
            assert (row["price"], row["amount"]) == (float(found.price * i.tick), float(found.size * i.lot))
            assert row["side"] == ("buy" if found.taker_buys else "sell")

        minutes = market.candles.minutes
        since_ms = minutes[-100].open_ms
        rows = await exchange.fetch_ohlcv(SYMBOL, "1m", since=since_ms, limit=50)
        assert len(rows) == 50 and rows[0][0] == since_ms
        assert all(b[0] - a[0] == 60_000 for a, b in pairwise(rows))
        bars = {bar.open_ms: bar for bar in minutes}
        for row in rows:
            bar = bars[row[0]]
            assert row[1:5] == [float(value * i.tick) for value in (bar.open, bar.high, bar.low, bar.close)]
            assert row[5] == float(bar.volume * i.lot)


async def test_what_is_watched():
    """Books: the best prices that ccxt has are ones that were published. Then prints, best prices."""
    async with connected() as (exchange, market, client):
        i = market.instrument
        seen = set()
        ladder = client.server.exchanges["alpaca"].server.ladders[SYMBOL]
        advance = ladder.advance

        def noting(now_ms):
            rows = advance(now_ms)
            bid, ask = max(ladder.sides[True]), min(ladder.sides[False])
            levels = (bid * i.tick, ladder.sides[True][bid] * i.lot, ask * i.tick, ladder.sides[False][ask] * i.lot)
            seen.add(tuple(map(float, levels)))
            return rows

        ladder.advance = noting
        await exchange.watch_order_book(SYMBOL)
        for _ in range(12):
            book = await exchange.watch_order_book(SYMBOL)
            assert (*book["bids"][0], *book["asks"][0]) in seen

        rows = []
        while len(rows) < 3:
            rows += await exchange.watch_trades(SYMBOL)
        prints = {(float(p.price * i.tick), float(p.size * i.lot), p.ms): p for p in market.recent}
        for row in rows:
            found = prints[row["price"], row["amount"], row["timestamp"]]
            assert row["side"] == ("buy" if found.taker_buys else "sell")
        ticker = await exchange.watch_ticker(SYMBOL)
        assert ticker["bid"] < ticker["ask"]
