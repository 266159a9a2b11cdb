"""ccxt as an independent client of the simulated Kraken's and Kraken Futures' accounts; what it reads must be what our
follower stored.

Only URLs are overridden. Two things of ccxt to know: of spot fills it tells the fee as Kraken's REST does; and it sends
a nonce to both, which must rise, so it has a key of its own beside the follower's.
"""

import asyncio
from contextlib import asynccontextmanager
from decimal import Decimal

import ccxt.pro

from bench.ccxt_accounts import own_key
from bench.ccxt_clients import client as client_of
from feeds.simulator import endpoints
from tests.feeds import kraken_account, krakenfutures_account
from tests.feeds.peer import until
from tests.feeds.simulator_help import simulator

TIMEOUT_S = 30


@asynccontextmanager
async def both(kind, followed, **settings):
    """(ccxt exchange with its markets loaded, the followed account of the same name)."""
    async with simulator(**settings) as client, followed(client=client) as account:
        name = kind.__name__
        key = own_key(name)
        await client.post("/__sim/keys", {"exchange": name, "key": key.key, "secret": key.secret, "account": "test"})
        exchange = client_of(kind, endpoints("127.0.0.1", client.server.port)[name], key)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await exchange.load_markets()
                await account.live()
                yield exchange, account
        finally:
            await exchange.close()


def exact(number):
    return Decimal(str(number))


async def agree(exchange, account, symbol):
    """Balances, open orders and fills."""
    balances = await exchange.fetch_balance()
    for (_, asset), balance in account.store.balances.items():
        assert exact(balances[asset]["total"]) == balance.total
        if balance.free is not None:
            assert exact(balances[asset]["free"]) == balance.free
    orders = {order["id"]: order for order in await exchange.fetch_open_orders()}
    assert set(orders) == account.open_orders()
    for (_, id), order in account.store.orders.items():
        if id in orders:
            row = orders[id]
            assert (row["symbol"], row["side"], row["clientOrderId"]) == (order.symbol, order.side, order.client_id)
            assert (exact(row["amount"]), exact(row["filled"])) == (order.size, order.filled)
            if row["price"] is not None:  # ccxt leaves those of Kraken Futures out
                assert exact(row["price"]) == order.price
    trades = {trade["id"]: trade for trade in await exchange.fetch_my_trades(symbol)}
    stored = {row["id"]: row for row in account.store.rows if row["symbol"] == symbol}
    assert set(trades) == set(stored)
    for id, row in stored.items():
        trade = trades[id]
        assert (exact(trade["price"]), exact(trade["amount"]), trade["side"]) == (
            row["price"],
            row["size"],
            row["side"],
        )
        assert (trade["order"], trade["timestamp"]) == (row["order_id"], row["exchange_ms"])
        assert (exact(trade["fee"]["cost"]), trade["fee"]["currency"]) == (row["fee"], row["fee_asset"])
    return len(trades)


async def settled(account):
    """Nothing is on its way: what is free was told again, too."""
    await account.must_agree()
    await until(lambda: all(balance.free is not None for balance in account.store.balances.values()))


async def test_spot():
    settings = {"weights": {"kraken": 1000}}
    async with both(ccxt.pro.kraken, kraken_account.followed, **settings) as (exchange, account):
        await account.fills(20)
        market = account.client.server.market.markets["kraken", "spot", "BTC/USD"]
        price = float((market.top.bid - 5000) * market.instrument.tick)
        params = {"clientOrderId": "by-ccxt-1"}
        placed = await exchange.create_order("BTC/USD", "limit", "buy", 0.001, price, params)
        await until(lambda: placed["id"] in account.open_orders())
        held = Decimal("0.001") * exact(price) * Decimal("1.004")
        await until(lambda: account.store.balances["spot", "USD"].locked == held)
        await settled(account)
        assert await agree(exchange, account, "BTC/USD") == 20
        await exchange.cancel_order(placed["id"], "BTC/USD")
        await until(lambda: not account.open_orders())
        sold = await exchange.create_order("BTC/USD", "market", "sell", 0.01)
        await until(lambda: any(row["order_id"] == sold["id"] for row in account.store.rows))
        await settled(account)
        assert await exchange.fetch_open_orders() == []


async def test_futures():
    settings = {"instruments": krakenfutures_account.FEW}
    async with both(ccxt.pro.krakenfutures, krakenfutures_account.followed, **settings) as (
        exchange,
        account,
    ):
        await account.fills(20)
        symbol = "BTC/USD:USD"
        market = account.client.server.market.markets["krakenfutures", "futures", "PF_XBTUSD"]
        await exchange.create_order(symbol, "market", "buy", 0.002)
        price = float((market.top.bid - 900) * market.instrument.tick)
        placed = await exchange.create_order(symbol, "limit", "buy", 0.001, price, {"clientOrderId": "by-ccxt-1"})
        await until(lambda: placed["id"] in account.open_orders())
        await settled(account)
        account.client.server.beat = lambda now_ms: None  # time stands still: margin moves with every mark
        await asyncio.sleep(1.5)  # and the follower asks once more
        assert await agree(exchange, account, symbol) >= 21
        [position] = await exchange.fetch_positions()
        stored = account.store.positions[symbol, "both"]
        assert position["symbol"] == symbol
        assert exact(position["contracts"]) == abs(stored.size)
        assert (position["side"] == "long") is (stored.size > 0)
        assert exact(position["entryPrice"]) == stored.entry
        await exchange.cancel_order(placed["id"], symbol)
        assert await exchange.fetch_open_orders() == []
