"""ccxt as an independent client of an account at the simulated OKX, beside ours: both must read the same."""

import asyncio
from decimal import Decimal

import ccxt.async_support as ccxt
import pytest

from bench.ccxt_clients import client as client_of
from feeds.errors import ExchangeError
from feeds.simulator import endpoints
from feeds.trading import NewOrder
from tests.feeds.okx_world import FEW, TEST, followed
from tests.feeds.peer import no_task_left, until  # noqa: F401 - a fixture
from tests.feeds.simulator_help import simulator
from tests.feeds.test_ccxt import TIMEOUT_S

SWAP = "BTC/USDT:USDT"


def exact(number):
    return Decimal(str(number))


async def test_ccxt_reads_what_we_stored():
    async with followed(hasty=False) as account:
        await account.live()
        urls = endpoints("127.0.0.1", account.client.server.port)["okx"]
        exchange = client_of(ccxt.okx, urls, TEST)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await exchange.load_markets()
                await compare(exchange, account)
        finally:
            await exchange.close()


async def test_its_ledger_is_ours():
    """Funding and interest by the same bills, trades only there."""
    async with simulator(instruments=FEW, connects={"okx": 1000}) as client:
        for product, native, count in (("spot", "BTC-USDT", 2), ("swap", "BTC-USDT-SWAP", 3)):
            wanted = {"exchange": "okx", "account": "test", "product": product, "symbol": native, "count": count}
            await client.post("/__sim/fills", wanted | {"per_s": 1e6, "wait": True})
        await client.post("/__sim/funding", {"exchange": "okx", "account": "test"})
        move = {"exchange": "okx", "account": "test", "product": "spot", "asset": "USDT"}
        await client.post("/__sim/transfer", move | {"amount": "-0.25", "name": "7/9"})
        exchange = client_of(ccxt.okx, endpoints("127.0.0.1", client.server.port)["okx"], TEST)
        try:
            async with asyncio.timeout(TIMEOUT_S), followed(client=client) as account:
                await exchange.load_markets()
                await until(lambda: "interest" in {kind for kind, _ in account.store.transfers}, within_s=20)
                ours = [t for t in account.store.transfers.values() if t.product == "trading"]
                [mine] = [t for t in ours if t.kind == "funding"]
                swaps = [row["info"] for row in await exchange.fetch_ledger(params={"type": "swap"})]
                [bill] = [row for row in swaps if row["type"] == "8"]
                assert (bill["billId"], bill["ccy"], int(bill["ts"])) == (mine.id, mine.asset, mine.exchange_ms)
                assert exact(bill["balChg"]) == mine.amount
                pairs = [row["info"] for row in await exchange.fetch_ledger()]  # of the kind SPOT
                assert [row["type"] for row in pairs] == ["2"] * 4 and len(swaps) == 3 + 1
                [paid] = await exchange.fetch_funding_history(SWAP)
                assert (paid["id"], paid["code"], paid["timestamp"]) == (mine.id, mine.asset, mine.exchange_ms)
                assert {t.kind: t.amount for t in ours if t.kind == "interest"} == {"interest": Decimal("-0.25")}
                assert not {t.id for t in ours} & {row["billId"] for row in pairs}
        finally:
            await exchange.close()


async def compare(exchange, account):
    await account.fills(12)
    await account.fills(13, product="swap")
    placed = await exchange.create_order("BTC/USDT", "limit", "buy", 0.01, 20000, {"clientOrderId": "ofccxt1"})
    far = await exchange.create_order(SWAP, "limit", "sell", 3, 990000)  # contracts
    with pytest.raises(ccxt.InsufficientFunds):
        await exchange.create_order("BTC/USDT", "limit", "buy", 900, 20000)
    store = account.store
    await until(lambda: {placed["id"], far["id"]} <= {number for _, number in store.orders}, what="both orders")
    await until(lambda: len(store.rows) == 25)
    await account.must_agree()

    told = await exchange.fetch_open_orders("BTC/USDT") + await exchange.fetch_open_orders(SWAP)
    for row in told:
        ours = store.orders[row["symbol"], row["id"]]
        size = exact(row["amount"]) * (Decimal("0.01") if row["symbol"] == SWAP else 1)
        assert (exact(row["price"]), size, row["side"]) == (ours.price, ours.size, ours.side)
        assert ours.status == "open"
    assert {row["id"] for row in told} == {placed["id"], far["id"]}
    assert store.orders["BTC/USDT", placed["id"]].client_id == "ofccxt1"

    for symbol, unit in (("BTC/USDT", Decimal(1)), (SWAP, Decimal("0.01"))):
        trades = {row["id"]: row for row in await exchange.fetch_my_trades(symbol)}
        ours = {row["id"]: row for row in store.rows if row["symbol"] == symbol}
        assert trades.keys() == ours.keys()
        assert len(trades) >= 12
        for number, row in trades.items():
            mine = ours[number]
            assert exact(row["price"]) == mine["price"]
            assert exact(row["amount"]) * unit == mine["size"]
            assert exact(row["fee"]["cost"]) == mine["fee"]
            assert row["fee"]["currency"] == mine["fee_asset"]
            assert (row["takerOrMaker"] == "maker", row["timestamp"]) == (mine["maker"], mine["exchange_ms"])

    [position] = await exchange.fetch_positions([SWAP])
    [ours] = [p for p in store.positions.values() if p.size]
    signed = exact(position["contracts"]) * (1 if position["side"] == "long" else -1)
    assert signed * Decimal("0.01") == ours.size
    assert exact(position["entryPrice"]) == ours.entry

    balance = await exchange.fetch_balance()
    totals = store.totals()
    assert float(balance["BTC"]["total"]) == float(totals["trading", "BTC"])
    assert float(balance["ETH"]["total"]) == float(totals["trading", "ETH"])
    assert abs(float(balance["USDT"]["total"]) - float(totals["trading", "USDT"])) < 500  # ccxt's is with open profit

    await exchange.cancel_order(placed["id"], "BTC/USDT")
    with pytest.raises(ccxt.OrderNotFound):
        await exchange.cancel_order(placed["id"], "BTC/USDT")
    await until(lambda: store.orders["BTC/USDT", placed["id"]].status == "canceled")

    # ours: placed, found by its client id, cancelled
    await trade_ourselves(account)


async def trade_ourselves(account):
    api = account.api
    wanted = NewOrder(
        symbol=SWAP, side="buy", size=Decimal("0.02"), price=Decimal(21000), client_id=api.new_client_id()
    )
    placed = api.parse_placed(wanted, await account.ask(api.place_request(wanted)), 1)
    raw = await account.ask(api.find_request(SWAP, wanted.client_id))
    found = api.parse_found(SWAP, wanted.client_id, raw)
    assert (found.id, found.size, found.status) == (placed.id, Decimal("0.02"), "open")
    with pytest.raises(ExchangeError) as caught:
        await account.ask(api.find_request(SWAP, api.new_client_id()))
    assert api.unknown_order(caught.value)
    api.parse_cancelled(placed, await account.ask(api.cancel_request(placed)))
    await until(lambda: account.store.orders[SWAP, placed.id].status == "canceled")
    for request in api.cancel_all_requests((SWAP, "BTC/USDT")):
        api.parse_cancelled_all(request, await account.ask(request))
    await until(lambda: not account.account.open_orders())
    for timeout_s in (10, 0):
        for request in api.dead_man_requests(timeout_s, ()):
            await account.ask(request)
    # what was moved: each deposit arrives in the funding account and goes on to trading, so its sum there is nothing
    moved = [
        transfer
        for request in api.transfers_requests(0)
        for transfer in api.parse_transfers(request, await account.ask(request))
    ]
    totals = {}
    for each in moved:
        totals[each.product, each.asset] = totals.get((each.product, each.asset), 0) + each.amount
    came = {(c.product, c.asset): c for c in moved if c.kind == "deposit"}
    assert came
    assert not {asset for (product, asset), total in totals.items() if product == "funding" and total}
    assert {asset: total for (product, asset), total in totals.items() if product == "trading"} == dict(
        account.account.cash["trading"].deposited
    )
