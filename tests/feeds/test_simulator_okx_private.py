"""The simulated OKX's private side by itself, as the documentation describes it: no adapter of ours is involved."""

import asyncio
import base64
import hmac
import json
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256

import aiohttp
import pytest

from feeds.simulator.okx.listing import LISTING
from feeds.simulator.okx.terms import KEYS
from feeds.simulator.sockets import SocketRules
from tests.feeds.peer import until
from tests.feeds.simulator_help import receive, simulator

FEW = tuple(i for i in LISTING if i.native in {"BTC-USDT", "BTC-USDT-SWAP"})
PRIVATE, BUSINESS = "/okx/ws/v5/private", "/okx/ws/v5/business"


def signature(secret, text):
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), sha256).digest()).decode()


class Okx:
    """What a user of the documented interface does."""

    def __init__(self, client):
        self.client = client
        self.server = client.server

    async def call(self, method, path, body=None, *, key=KEYS.test, shift_s=0.0, **changed):
        now = datetime.fromtimestamp(time.time() + shift_s, UTC)
        stamp = f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03}Z"
        text = "" if body is None else json.dumps(body)
        headers = {
            "OK-ACCESS-KEY": key.key,
            "OK-ACCESS-SIGN": signature(key.secret, f"{stamp}{method}/api/v5/{path}{text}"),
            "OK-ACCESS-TIMESTAMP": stamp,
            "OK-ACCESS-PASSPHRASE": key.passphrase,
            "Content-Type": "application/json",
        } | changed
        url = f"{self.client.base}/okx/api/v5/{path}"
        async with self.client.session.request(method, url, data=text or None, headers=headers) as told:
            return told.status, await told.json()

    async def good(self, method, path, body=None, **more):
        status, told = await self.call(method, path, body, **more)
        assert (status, told["code"]) == (200, "0"), told
        return told["data"]

    @asynccontextmanager
    async def socket(self, path=PRIVATE, *channels, key=KEYS.test):
        async with self.client.socket(path) as ws:
            await ws.send_json({"op": "login", "args": [login(key)]})
            assert (await receive(ws, lambda m: True))["event"] == "login"
            if channels:
                await ws.send_json({"id": "1", "op": "subscribe", "args": list(channels)})
            yield ws


def login(key, shift_s=0, **changed):
    stamp = str(int(time.time()) + shift_s)
    return {
        "apiKey": key.key,
        "passphrase": key.passphrase,
        "timestamp": stamp,
        "sign": signature(key.secret, f"{stamp}GET/users/self/verify"),
    } | changed


@pytest.fixture
async def okx():
    rules = {"okx": SocketRules(idle_s=2, pongs=False)}
    async with simulator(instruments=FEW, connects={"okx": 1000}, rules=rules) as client:
        yield Okx(client)


async def test_who_may_ask(okx):
    async def refused(**more):
        status, told = await okx.call("GET", "account/balance", **more)
        return status, told["code"]

    assert await refused(**{"OK-ACCESS-SIGN": "AAAA"}) == (401, "50113")
    assert await refused(**{"OK-ACCESS-PASSPHRASE": "x"}) == (401, "50105")
    assert await refused(**{"OK-ACCESS-KEY": "x"}) == (401, "50111")
    assert await refused(**{"OK-ACCESS-TIMESTAMP": "yesterday"}) == (401, "50112")
    assert await refused(**{"OK-ACCESS-SIGN": ""}) == (401, "50106")
    assert await refused(shift_s=-40) == (401, "50102")
    assert await refused(shift_s=40) == (401, "50102")
    [config] = await okx.good("GET", "account/config", key=KEYS.withdraw)
    assert config["perm"] == "read_only,withdraw,trade"
    order = {"instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "ordType": "limit", "px": "1000", "sz": "0.1"}
    assert (await okx.call("POST", "trade/order", order, key=KEYS.read))[1]["code"] == "50120"
    told = [await okx.call("GET", "account/positions") for _ in range(11)]
    assert [status for status, _ in told].count(429) == 1
    assert told[-1][1]["code"] == "50011"


async def test_orders_are_checked_and_refused_in_its_words(okx):
    usual = {"instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "ordType": "limit", "px": "1000", "sz": "0.1"}

    async def code(**changed):
        status, told = await okx.call("POST", "trade/order", usual | changed)
        assert (status, told["code"]) == (200, "1"), told
        assert told["msg"] == "All operations failed"
        return told["data"][0]["sCode"]

    assert await code(instId="BTC-XYZ") == "51001"
    assert await code(sz="100000") == "51008"
    assert await code(px="1000.05") == "51000"
    assert await code(sz="0.000000001") == "51121"
    assert await code(sz="0.000001") == "51020"
    assert await code(clOrdId="with-dash") == "51000"
    assert await code(clOrdId="x" * 33) == "51000"
    assert await code(tdMode="cross") == "51000"
    assert await code(instId="BTC-USDT-SWAP", tdMode="cross", sz="1", px="20000", reduceOnly=True) == "51169"
    assert await code(instId="BTC-USDT-SWAP", tdMode="cross", posSide="long", sz="1") == "51000"
    [done] = await okx.good("POST", "trade/order", usual | {"clOrdId": "mine1"})
    assert await code(clOrdId="mine1") == "51016"
    status, told = await okx.call(
        "POST", "trade/cancel-batch-orders", [{"instId": "BTC-USDT", "ordId": done["ordId"]}] * 2
    )
    assert (status, told["code"], [row["sCode"] for row in told["data"]]) == (200, "2", ["0", "51400"])
    assert (await okx.call("GET", "trade/order?instId=BTC-USDT&ordId=1"))[1]["code"] == "51603"
    [found] = await okx.good("GET", "trade/order?instId=BTC-USDT&clOrdId=mine1")
    assert (found["state"], found["ordType"], found["sz"]) == ("canceled", "limit", "0.1")


async def test_a_market_purchase_is_by_value_unless_it_says_base(okx):
    body = {"instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "ordType": "market", "sz": "5000"}
    [done] = await okx.good("POST", "trade/order", body)
    [order] = await okx.good("GET", f"trade/order?instId=BTC-USDT&ordId={done['ordId']}")
    assert (order["state"], order["tgtCcy"], order["sz"]) == ("filled", "quote_ccy", "5000")
    fills = await okx.good("GET", f"trade/fills?instType=SPOT&ordId={done['ordId']}")
    assert 4900 < sum(float(row["fillPx"]) * float(row["fillSz"]) for row in fills) <= 5000
    assert all(float(row["fee"]) < 0 and row["feeCcy"] == "BTC" for row in fills)
    [based] = await okx.good("POST", "trade/order", body | {"tgtCcy": "base_ccy", "sz": "0.1"})
    [order] = await okx.good("GET", f"trade/order?instId=BTC-USDT&ordId={based['ordId']}")
    assert (order["accFillSz"], order["sz"]) == ("0.1", "0.1")


async def test_the_switch_cancels_all_when_nobody_asks_again(okx):
    body = {"instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "ordType": "limit", "px": "1000", "sz": "0.1"}
    await okx.good("POST", "trade/order", body)
    [told] = await okx.good("POST", "trade/cancel-all-after", {"timeOut": "10"})
    assert int(told["triggerTime"]) - int(told["ts"]) == 10
    assert (await okx.call("POST", "trade/cancel-all-after", {"timeOut": "9"}))[1]["code"] == "51000"
    account = okx.server.accounts["okx"].by_name["test"]
    switches = okx.server.exchanges["okx"].accounts.switches
    assert len(account.open_orders()) == 1
    switches[account] -= 10  # as if the time had passed
    await until(lambda: not account.open_orders())


async def test_login_and_paths(okx):
    async def refused(path, message):
        async with okx.client.socket(path) as ws:
            await ws.send_json(message)
            told = await receive(ws, lambda m: m["event"] == "error")
            return told["code"], ws

    for wrong, expected in (
        ({"sign": "AAAA"}, "60007"),
        ({"apiKey": "x"}, "60005"),
        ({"passphrase": "x"}, "60024"),
        ({"timestamp": "x"}, "60004"),
        ({"timestamp": "1700000000"}, "60006"),
    ):
        async with okx.client.socket(PRIVATE) as ws:
            await ws.send_json({"op": "login", "args": [login(KEYS.test) | wrong]})
            assert (await receive(ws, lambda m: True))["code"] == expected
            assert (await ws.receive()).type is aiohttp.WSMsgType.CLOSE
            assert ws.close_code == 4001
    subscribe = {"op": "subscribe", "args": [{"channel": "account"}]}
    assert (await refused(PRIVATE, subscribe))[0] == "60011"
    assert (await refused("/okx/ws/v5/public", {"op": "login", "args": [login(KEYS.test)]}))[0] == "60028"
    async with okx.socket(BUSINESS, {"channel": "orders", "instType": "ANY"}) as ws:
        assert (await receive(ws, lambda m: True))["code"] == "60018"
    async with okx.socket(PRIVATE, {"channel": "orders"}) as ws:
        assert (await receive(ws, lambda m: True))["code"] == "60018"
    async with okx.socket(PRIVATE) as ws:
        await ws.send_json({"op": "login", "args": [login(KEYS.test)]})
        assert (await receive(ws, lambda m: True))["code"] == "60031"


async def test_channels_tell_what_happens(okx):
    channels = ({"channel": "account"}, {"channel": "orders", "instType": "ANY"}, {"channel": "balance_and_position"})
    async with okx.socket(PRIVATE, *channels) as ws:
        first = [await receive(ws, lambda m: True) for _ in range(8)]
        events = [m.get("event") for m in first if "event" in m]
        assert events.count("subscribe") == events.count("channel-conn-count") == 3
        shown = [m for m in first if "data" in m]
        assert [m["arg"]["channel"] for m in shown] == ["account", "balance_and_position"]
        assert (shown[0]["eventType"], shown[0]["lastPage"]) == ("snapshot", True)
        body = {"instId": "BTC-USDT", "tdMode": "cash", "side": "sell", "ordType": "market", "sz": "0.01"}
        await okx.good("POST", "trade/order", body)
        live = await receive(ws, lambda m: m["arg"]["channel"] == "orders")
        assert (live["data"][0]["state"], live["data"][0]["tradeId"]) == ("live", "")
        fill = await receive(ws, lambda m: m["arg"]["channel"] == "orders" and m["data"][0]["tradeId"])
        row = fill["data"][0]
        assert (row["execType"], row["fillFeeCcy"], row["state"] in ("filled", "partially_filled")) == (
            "T",
            "USDT",
            True,
        )
        money = await receive(ws, lambda m: m["arg"]["channel"] == "account")
        assert {each["ccy"] for each in money["data"][0]["details"]} == {"BTC", "USDT"}


async def test_a_connection_that_gets_nothing_is_closed_unless_it_pings(okx):
    orders = {"channel": "orders", "instType": "ANY"}
    async with okx.socket(PRIVATE, orders) as quiet, okx.socket(PRIVATE, orders) as pinging:

        async def ping():
            while not pinging.closed:
                await pinging.send_str("ping")
                await asyncio.sleep(0.3)

        working = asyncio.create_task(ping())
        message = await quiet.receive(timeout=10)
        while message.type is aiohttp.WSMsgType.TEXT:
            message = await quiet.receive(timeout=10)
        assert quiet.close_code == 4004
        assert not pinging.closed
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


async def test_bills_are_all_that_moved_the_trading_account(okx):
    """Each once whatever the pages; a pair's execution has two."""
    true = okx.server.accounts["okx"].by_name["test"]
    opened = true.cash["trading"].total("USDT")
    for product, native in (("swap", "BTC-USDT-SWAP"), ("spot", "BTC-USDT")):
        wanted = {"exchange": "okx", "account": "test", "product": product, "symbol": native, "count": 3}
        await okx.client.post("/__sim/fills", wanted | {"per_s": 1e6, "wait": True})
    await okx.client.post("/__sim/funding", {"exchange": "okx", "account": "test"})
    move = {"exchange": "okx", "account": "test", "product": "spot", "asset": "USDT"}
    await okx.client.post("/__sim/transfer", move | {"amount": "-0.5", "name": "7/9"})
    begin, told, after = round(time.time() * 1000) - 60_000, [], ""
    while rows := await okx.good("GET", f"account/bills?begin={begin}&limit=2{after}"):
        told += rows
        after = f"&after={rows[-1]['billId']}"
    assert len({row["billId"] for row in told}) == len(told) == 3 + 2 * 3 + 1 + 1
    change = sum(Decimal(row["balChg"]) for row in told if row["ccy"] == "USDT")
    assert opened + change == true.cash["trading"].total("USDT")
    [paid] = await okx.good("GET", "account/bills-archive?type=8")
    assert (paid["instId"], paid["pnl"], paid["subType"] in ("173", "174")) == (
        "BTC-USDT-SWAP",
        paid["balChg"],
        True,
    )
    [interest] = await okx.good("GET", "account/bills?type=7")
    assert (interest["subType"], interest["balChg"]) == ("9", "-0.5")
    fills = await okx.good("GET", "trade/fills")
    assert {row["billId"] for row in fills} <= {row["billId"] for row in told}
