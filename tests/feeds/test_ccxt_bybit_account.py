"""ccxt as an independent client of the simulated Bybit's accounts, and what our follower stored of the same account."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import ccxt.pro
import pytest

from bench.ccxt_clients import client as client_of
from feeds.simulator import endpoints
from feeds.simulator.bybit.terms import BYBIT_KEYS
from tests.feeds.peer import until
from tests.feeds.simulator_help import simulator
from tests.feeds.test_follower_bybit import BYBIT, Account, followed

SPOT, PERP, USDC = "BTC/USDT", "BTC/USDT:USDT", "BTC/USDC:USDC"


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Any, Account]]:
    """(ccxt exchange of the account "test", the same account followed by us)."""
    async with simulator(instruments=BYBIT) as client, followed(client=client) as account:
        exchange = client_of(ccxt.pro.bybit, endpoints("127.0.0.1", client.server.port)["bybit"], BYBIT_KEYS.test)
        try:
            async with asyncio.timeout(30):
                await exchange.load_markets()
                await account.live()
                yield exchange, account
        finally:
            await exchange.close()


async def test_it_sees_what_we_stored() -> None:
    async with connected() as (exchange, account):
        mid = account.client.server.market.markets["bybit", "spot", "BTCUSDT"].mid() * 0.1
        low = float(int(mid / 2))
        resting = [await exchange.create_order(s, "limit", "buy", 0.01, low) for s in (SPOT, PERP)]
        await exchange.create_order(SPOT, "market", "buy", 0.02, mid)
        await exchange.create_order(PERP, "market", "sell", 0.03)
        await exchange.create_order(USDC, "market", "buy", 0.02)
        await account.must_agree()

        balance = await exchange.fetch_balance()
        stored = {asset: total for (_, asset), total in account.store.totals().items()}
        assert {coin: Decimal(str(total)) for coin, total in balance["total"].items()} == pytest.approx(stored)
        [locked] = [row.locked for row in account.store.balances.values() if row.asset == "USDT"]
        assert float(locked) == pytest.approx(0.01 * low)
        assert balance["USDT"]["used"] > float(locked)  # with the contracts' margin

        positions = await exchange.fetch_positions([PERP]) + await exchange.fetch_positions([USDC])
        sizes = {p["symbol"]: p["contracts"] * (-1 if p["side"] == "short" else 1) for p in positions}
        assert sizes == {symbol: float(size) for symbol, size in account.store.sizes().items()}
        assert sizes == {PERP: -0.03, USDC: 0.02}

        for symbol in (SPOT, PERP, USDC):
            trades = await exchange.fetch_my_trades(symbol)
            ours = [row for row in account.store.rows if row["symbol"] == symbol]
            assert {trade["id"] for trade in trades} == {row["id"] for row in ours} and trades
            fees = {trade["id"]: (trade["fee"]["cost"], trade["takerOrMaker"]) for trade in trades}
            assert fees == {row["id"]: (float(row["fee"]), "taker") for row in ours}

        opened = await exchange.fetch_open_orders(SPOT) + await exchange.fetch_open_orders(PERP)
        assert [order["id"] for order in opened] == [order["id"] for order in resting]
        await until(lambda: sum(order.status == "open" for order in account.store.orders.values()) == 2)
        ours = {order.id: float(order.price) for order in account.store.orders.values() if order.status == "open"}
        assert ours == {order["id"]: order["price"] for order in opened}

        for order, symbol in zip(resting, (SPOT, PERP), strict=True):
            await exchange.cancel_order(order["id"], symbol)
            with pytest.raises(ccxt.pro.OrderNotFound):
                await exchange.cancel_order(order["id"], symbol)
        await until(lambda: not any(order.status == "open" for order in account.store.orders.values()))
        with pytest.raises(ccxt.pro.InsufficientFunds):
            await exchange.create_order(SPOT, "limit", "buy", 50_000, low)
        with pytest.raises(ccxt.pro.InsufficientFunds):
            await exchange.create_order(PERP, "limit", "buy", 50_000, low)


async def test_its_ledger_is_ours() -> None:
    """Funding, interest and transfers by the same log, trades only there."""
    async with simulator(instruments=BYBIT) as client:
        for product, symbol in (("linear", "BTCUSDT"), ("linear", "BTCPERP"), ("spot", "BTCUSDT")):
            wanted = {"exchange": "bybit", "account": "test", "product": product, "symbol": symbol, "count": 3}
            await client.post("/__sim/fills", wanted | {"per_s": 1e6, "wait": True})
        await client.post("/__sim/funding", {"exchange": "bybit", "account": "test"})
        interest = {"asset": "USDT", "amount": "-0.25", "name": "INTEREST"}
        await client.post("/__sim/transfer", {"exchange": "bybit", "account": "test", **interest})
        exchange = client_of(ccxt.pro.bybit, endpoints("127.0.0.1", client.server.port)["bybit"], BYBIT_KEYS.test)
        try:
            async with asyncio.timeout(30), followed(client=client) as account:
                await exchange.load_markets()
                await until(lambda: "interest" in {kind for kind, _ in account.store.transfers}, within_s=20)
                ours = {(t.kind, t.asset, float(t.amount), t.exchange_ms) for t in account.store.transfers.values()}
                paid = await exchange.fetch_funding_history(PERP) + await exchange.fetch_funding_history(USDC)
                funding = {(-amount, at_ms) for kind, _, amount, at_ms in ours if kind == "funding"}
                assert {(row["amount"], row["timestamp"]) for row in paid} == funding  # there positive was paid
                assert len(paid) == len(funding) == 2
                told = [row["info"] for row in await exchange.fetch_ledger(None, None, 50)]
                kinds = {"SETTLEMENT": "funding", "INTEREST": "interest"}
                theirs = {
                    (kinds[row["type"]], row["currency"], float(row["change"]), int(row["transactionTime"]))
                    for row in told
                    if row["type"] in kinds
                }
                assert theirs == {row for row in ours if row[0] != "internal"} and len(theirs) == 3
                assert sum(row["type"] == "TRADE" for row in told) == 3 + 3 + 2 * 3
        finally:
            await exchange.close()


async def test_its_private_stream() -> None:
    async with connected() as (exchange, account):
        watching = asyncio.create_task(exchange.watch_my_trades(PERP))
        while not watching.done():
            await exchange.create_order(PERP, "market", "buy", 0.002)
            await asyncio.sleep(0.2)
        [trade, *_] = await watching
        assert (trade["symbol"], trade["side"], trade["takerOrMaker"]) == (PERP, "buy", "taker")
        await account.must_agree()
        assert trade["id"] in {row["id"] for row in account.store.rows}


async def test_a_wrong_secret() -> None:
    async with connected() as (exchange, _):
        exchange.secret = "wrong"
        with pytest.raises(ccxt.pro.AuthenticationError):
            await exchange.fetch_balance()
