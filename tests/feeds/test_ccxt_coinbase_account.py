"""ccxt as an independent client of the simulated Coinbase's accounts: the same figures as the follower stored."""

import asyncio
from contextlib import asynccontextmanager
from decimal import Decimal

import ccxt.async_support as ccxt
import pytest
import pytest_asyncio

from bench.ccxt_clients import client as client_of
from feeds.simulator import endpoints
from feeds.simulator.coinbase.terms import COINBASE_KEYS
from tests.feeds.coinbase_world import FEW
from tests.feeds.peer import until
from tests.feeds.simulator_help import simulator
from tests.feeds.test_coinbase_follower import LIMITS, followed

TIMEOUT_S = 30
SYMBOL = "BTC/USD"

pytestmark = pytest.mark.asyncio(loop_scope="module")


def exchange_of(client, key):
    return client_of(ccxt.coinbase, endpoints("127.0.0.1", client.server.port)["coinbase"], key)


@asynccontextmanager
async def connected():
    """(ccxt with the test account's key, that account as our follower sees it)."""
    async with simulator(instruments=FEW, **LIMITS) as client, followed(client=client) as account:
        exchange = exchange_of(client, COINBASE_KEYS.test)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await exchange.load_markets()
                await account.live()
            yield exchange, account
        finally:
            await exchange.close()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def both():
    async with connected() as pair:
        yield pair


def number(value):
    return Decimal(str(value))


async def test_fees(both):
    exchange, _ = both
    assert (exchange.market(SYMBOL)["maker"], exchange.market(SYMBOL)["taker"]) == (0.004, 0.006)


async def test_trades_and_balance(both):
    exchange, account = both
    await account.fills(7)
    await account.must_agree()
    trades = await exchange.fetch_my_trades(SYMBOL)
    theirs = {
        row["info"]["entry_id"]: (row["side"], number(row["price"]), number(row["amount"]), number(row["fee"]["cost"]))
        for row in trades
    }
    ours = {row["id"]: (row["side"], row["price"], row["size"], row["fee"]) for row in account.store.rows}
    assert len(ours) == 7
    assert theirs == {key: (side, *map(number, map(float, figures))) for key, (side, *figures) in ours.items()}
    assert {row["fee"]["currency"] for row in trades} == {"USD"}
    balance = await exchange.fetch_balance({"v3": True})  # else it asks the retail site
    totals = {asset: float(total) for (_, asset), total in account.store.totals().items()}
    assert {asset: balance["total"][asset] for asset in totals} == totals


async def test_orders(both):
    exchange, account = both
    placed = await exchange.create_order(SYMBOL, "limit", "buy", 0.01, 1000)
    await until(lambda: (SYMBOL, placed["id"]) in account.store.orders, within_s=10, what="the order by stream")
    ours = account.store.orders[SYMBOL, placed["id"]]
    [theirs] = await exchange.fetch_open_orders(SYMBOL)
    assert (theirs["id"], theirs["clientOrderId"]) == (ours.id, ours.client_id)
    assert (number(theirs["price"]), number(theirs["amount"])) == (number(float(ours.price)), number(float(ours.size)))
    assert (ours.status, ours.side, ours.type, ours.filled) == ("open", "buy", "limit", 0)
    await exchange.cancel_order(placed["id"], SYMBOL)
    await until(lambda: account.store.orders[SYMBOL, placed["id"]].status == "canceled", within_s=10)
    assert await exchange.fetch_open_orders(SYMBOL) == []
    assert (await exchange.fetch_order(placed["id"]))["status"] == "canceled"


async def test_refusals_in_coinbases_words(both):
    exchange, account = both
    with pytest.raises(ccxt.BaseError, match="PREVIEW_INSUFFICIENT_FUND"):
        await exchange.create_order(SYMBOL, "limit", "buy", 1000, 1000)
    with pytest.raises(ccxt.BaseError, match=r"cancelOrders\(\) has failed"):
        await exchange.cancel_order("00000000-0000-0000-0000-000000000001", SYMBOL)
    onlooker = exchange_of(account.client, COINBASE_KEYS.read)
    try:
        await onlooker.load_markets()
        with pytest.raises(ccxt.BaseError, match="PERMISSION_DENIED"):
            await onlooker.create_order(SYMBOL, "limit", "buy", 0.01, 1000)
    finally:
        await onlooker.close()
