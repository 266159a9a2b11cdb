"""ccxt as an independent client of the simulated OKX. Only its URLs are replaced.

It reads sizes of swaps in contracts, as OKX tells them, and multiplies nothing: the contract's size is a field of its
market. Currencies and the private side are not simulated: not asked for by option.
"""

import asyncio
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import pairwise

import ccxt.pro
import pytest

from bench.ccxt_clients import client as client_of
from feeds.simulator import endpoints
from feeds.simulator.faults import Fault
from feeds.simulator.okx.listing import LISTING
from tests.feeds.simulator_help import simulator
from tests.feeds.test_ccxt import TIMEOUT_S, Truth

FEW = tuple(i for i in LISTING if i.native in {"BTC-USDT", "ETH-USDT", "BTC-USDT-SWAP", "XRP-USDT-SWAP"})
EVERY = pytest.mark.parametrize(
    ("symbol", "product", "native", "contract"),
    [
        ("BTC/USDT", "spot", "BTC-USDT", Decimal(1)),
        ("BTC/USDT:USDT", "swap", "BTC-USDT-SWAP", Decimal("0.01")),
        ("XRP/USDT:USDT", "swap", "XRP-USDT-SWAP", Decimal(100)),
    ],
)


@asynccontextmanager
async def connected():
    """(ccxt exchange with its markets loaded, the simulator)."""
    async with simulator(instruments=FEW, connects={"okx": 1000}) as client:
        exchange = client_of(ccxt.pro.okx, endpoints("127.0.0.1", client.server.port)["okx"])
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await exchange.load_markets()
                yield exchange, client.server
        finally:
            await exchange.close()


@EVERY
async def test_markets_book_trades_ticker_and_candles(symbol, product, native, contract):
    async with connected() as (exchange, server):
        market, live = exchange.market(symbol), server.market.markets["okx", product, native]
        i = live.instrument
        assert Decimal(str(market["precision"]["price"])) == i.tick
        assert Decimal(str(market["precision"]["amount"])) * contract == i.lot
        assert Decimal(str(market["contractSize"] or 1)) == contract
        assert {each.symbol for each in FEW} | {"BTC/USD:BTC"} == set(exchange.symbols)

        truth, compared = Truth(live), 0
        while compared < 10:
            book = await exchange.watch_order_book(symbol)
            if book["nonce"] in truth.rows:
                (bid, bid_size), (ask, ask_size) = book["bids"][0], book["asks"][0]
                unit = float(contract)
                ours = truth.rows[book["nonce"]]
                assert (bid, bid_size * unit, ask, ask_size * unit) == pytest.approx(ours, rel=1e-12)
                compared += 1

        prints, rows = {}, []
        while len(rows) < 3:
            rows += await exchange.watch_trades(symbol)
        for each in live.recent:
            prints.setdefault(float(each.price * i.tick), set()).add("buy" if each.taker_buys else "sell")
        assert all(row["side"] in prints[row["price"]] and row["amount"] > 0 for row in rows)

        ticker = await exchange.watch_ticker(symbol)
        day = live.candles.day()
        assert ticker["open"] == pytest.approx(float(day.open * i.tick))
        assert ticker["high"] >= ticker["last"] >= ticker["low"]

        bars = await exchange.fetch_ohlcv(symbol, "1m", limit=300)
        assert len(bars) == 300
        assert all(later[0] - earlier[0] == 60_000 for earlier, later in pairwise(bars))
        known = {bar.open_ms: bar for bar in live.candles.minutes}
        for row in bars[:-1]:
            bar = known[row[0]]
            assert row[1:5] == [float(value * i.tick) for value in (bar.open, bar.high, bar.low, bar.close)]
        watched = await exchange.watch_ohlcv(symbol, "1m")
        assert watched[-1][0] in known or watched[-1][0] == live.candles.minutes[-1].open_ms


async def test_mark_and_funding():
    async with connected() as (exchange, server):
        live = server.market.markets["okx", "swap", "BTC-USDT-SWAP"]
        rate = await exchange.fetch_funding_rate("BTC/USDT:USDT")
        assert rate["fundingRate"] == pytest.approx(live.funding_rate, abs=1e-6)
        assert rate["fundingTimestamp"] == live.next_funding_ms()
        mark = await exchange.watch_mark_price("BTC/USDT:USDT")
        assert mark["markPrice"] == pytest.approx(float(live.mark * float(live.instrument.tick)), rel=1e-3)


async def test_a_lost_update_is_noticed_by_ccxt_too():
    async with connected() as (exchange, server):
        await exchange.watch_order_book("BTC/USDT")
        server.faults.add(Fault(exchange="okx", kind="drop_depth"))
        with pytest.raises(ccxt.pro.InvalidNonce):
            for _ in range(50):
                await exchange.watch_order_book("BTC/USDT")
