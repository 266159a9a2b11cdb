"""ccxt as an independent client of the simulated Kraken Futures: it was written by others, for the real one.

Only URLs are overridden. Two things of ccxt to know: it takes no notice of sequence numbers, so a lost change would
stay in its book; and it reads prints by REST from another service (``api/history``), which is not simulated.
"""

import asyncio
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import pairwise

import ccxt.pro
import pytest

from bench.ccxt_clients import client as client_of
from feeds.simulator import endpoints
from tests.feeds.simulator_help import simulator
from tests.feeds.test_simulator_krakenfutures import EXPIRY, FEW

TIMEOUT_S = 30
SYMBOL, NATIVE = "BTC/USD:USD", "PF_XBTUSD"


@asynccontextmanager
async def connected():
    """(ccxt exchange with its markets loaded, the simulated market)."""
    async with simulator(instruments=FEW) as client:
        urls = endpoints("127.0.0.1", client.server.port)["krakenfutures"]
        exchange = client_of(ccxt.pro.krakenfutures, urls)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await exchange.load_markets()
                yield exchange, client.server.market.markets["krakenfutures", "futures", NATIVE], client
        finally:
            await exchange.close()


async def test_markets_and_what_rest_says():
    async with connected() as (exchange, market, client):
        i = market.instrument
        ours = exchange.market(SYMBOL)
        assert (ours["id"], ours["linear"], ours["swap"], ours["contractSize"]) == (NATIVE, True, True, 1)
        assert Decimal(str(ours["precision"]["price"])) == i.tick
        assert Decimal(str(ours["precision"]["amount"])) == i.lot
        dated = exchange.market(f"{SYMBOL}-{EXPIRY}")
        assert (dated["future"], dated["id"]) == (True, f"FF_XBTUSD_{EXPIRY}")
        assert exchange.market("BTC/USD:BTC")["inverse"]

        client.server.beat = lambda now_ms: None  # time stands still
        book = await exchange.fetch_order_book(SYMBOL)
        for name, side in (("bids", market.engine.bids), ("asks", market.engine.asks)):
            assert [row[:2] for row in book[name]] == [
                [float(p * i.tick), float(s * i.lot)] for p, s in side.top(len(side.keys))
            ]
        ticker, day = await exchange.fetch_ticker(SYMBOL), market.candles.day()
        assert (ticker["bid"], ticker["ask"]) == (float(market.top.bid * i.tick), float(market.top.ask * i.tick))
        assert (ticker["last"], ticker["open"]) == (float(day.close * i.tick), float(day.open * i.tick))
        rates = await exchange.fetch_funding_rates([SYMBOL])
        assert rates[SYMBOL]["fundingRate"] == pytest.approx(market.funding_rate / 8, rel=1e-4)

        rows = await exchange.fetch_ohlcv(SYMBOL, "1m", limit=500)
        assert len(rows) == 500
        assert all(b[0] - a[0] == 60_000 for a, b in pairwise(rows))
        bars = {bar.open_ms: bar for bar in market.candles.minutes}
        for row in rows:
            bar = bars[row[0]]
            assert row[1:5] == [float(value * i.tick) for value in (bar.open, bar.high, bar.low, bar.close)]
            assert row[5] == float(bar.volume * i.lot)


async def test_what_is_watched():
    """Books: the best prices that ccxt has are ones that the engine had. Then prints, ticker."""
    async with connected() as (exchange, market, client):
        i = market.instrument
        seen = set()
        simulated = client.server.exchanges["krakenfutures"]
        ladder = simulated.server.ladders[NATIVE]
        set_level = ladder._set

        def noting(*arguments):
            change = set_level(*arguments)
            bid, ask = max(ladder.sides[True]), min(ladder.sides[False])
            levels = (bid * i.tick, ladder.sides[True][bid] * i.lot, ask * i.tick, ladder.sides[False][ask] * i.lot)
            seen.add(tuple(map(float, levels)))
            return change

        ladder._set = noting
        await exchange.watch_order_book(SYMBOL)
        for _ in range(40):
            book = await exchange.watch_order_book(SYMBOL)
            assert (*book["bids"][0], *book["asks"][0]) in seen

        rows = []
        while len(rows) < 5:
            rows += await exchange.watch_trades(SYMBOL)
        prints = {(float(p.price * i.tick), float(p.size * i.lot), p.ms): p for p in market.recent}
        for row in rows:
            found = prints[row["price"], row["amount"], row["timestamp"]]
            assert row["side"] == ("buy" if found.taker_buys else "sell")
        ticker = await exchange.watch_ticker(SYMBOL)
        assert ticker["bid"] < ticker["ask"]
        assert ticker["markPrice"] == pytest.approx(float(Decimal(market.mark_texts()[0])), rel=0.001)
