"""The simulated Binance's private side: signatures, paging, user streams, listen keys, key rights."""

import asyncio
import hmac
import time
from decimal import Decimal
from hashlib import sha256
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from yarl import URL

from feeds.simulator import keys
from feeds.simulator.binance.auth import Gatekeeper
from feeds.simulator.keys import TEST_KEY, TEST_SECRET, ApiKey
from tests.feeds.simulator_help import collect, receive, simulator

SPOT, FUTURES = "/binance/api/v3", "/binance/usdm/fapi"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client():
    """One server for the tests that leave nothing behind."""
    async with simulator() as shared:
        yield shared


async def place(client, product="spot", **params):
    path = f"{SPOT}/order" if product == "spot" else f"{FUTURES}/v1/order"
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01", **params}
    status, body = await client.signed("POST", path, order)
    assert status == 200, body
    return body


def far(client, product="spot"):
    """A price that nobody will reach."""
    market = client.server.market.markets["binance", product, "BTCUSDT"]
    return f"{int(market.mid() * 0.9) * market.instrument.tick:f}"


# -- signatures ------------------------------------------------------------------------------------------------------


async def test_signed_requests_are_served_from_query_and_body():
    async with simulator() as client:
        assert (await client.signed("GET", f"{SPOT}/account"))[0] == 200
        order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.001"}
        assert (await client.signed("POST", f"{SPOT}/order", order, in_body=True))[0] == 200


async def test_query_and_body_are_signed_as_one_text():
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.001", "recvWindow": "5000"}
    async with simulator() as client:
        body = urlencode({**order, "timestamp": int(time.time() * 1000)})
        text = "newClientOrderId=mixed" + body
        body += "&signature=" + hmac.new(TEST_SECRET.encode(), text.encode(), sha256).hexdigest()
        url = URL(f"{client.base}{SPOT}/order?newClientOrderId=mixed")
        headers = {"X-MBX-APIKEY": TEST_KEY, "Content-Type": "application/x-www-form-urlencoded"}
        async with client.session.post(url, data=body, headers=headers) as answer:
            assert (await answer.json())["clientOrderId"] == "mixed"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"shift_ms": -6000}, 400, -1021),
        ({"shift_ms": 1500}, 400, -1021),
        ({"secret": "wrong"}, 400, -1022),
        ({"key": ""}, 401, -2014),
        ({"key": "not a key!"}, 401, -2014),
        ({"key": "x" * 64}, 401, -2015),
        ({"params": {"recvWindow": 70000}}, 400, -1131),
    ],
)
async def test_wrong_signatures_keys_and_times_are_refused(client, change, status, code):
    answer = await client.signed("GET", f"{SPOT}/account", **change)
    assert (answer[0], answer[1]["code"]) == (status, code)


async def test_a_wider_window_admits_an_older_request():
    async with simulator() as client:
        status, _ = await client.signed("GET", f"{SPOT}/account", {"recvWindow": 20000}, shift_ms=-6000)
        assert status == 200


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("missing", ["timestamp", "signature"])
async def test_timestamp_and_signature_are_mandatory(client, missing):
    params = {"timestamp": str(int(time.time() * 1000)), "signature": "00"}
    del params[missing]
    async with client.session.get(
        f"{client.base}{SPOT}/account", params=params, headers={"X-MBX-APIKEY": TEST_KEY}
    ) as answer:
        assert (await answer.json())["code"] == -1102


async def test_a_signature_over_the_unencoded_text_is_refused():
    async with simulator() as client:
        plain = f"symbol=BTC USDT&timestamp={int(time.time() * 1000)}"
        signature = hmac.new(TEST_SECRET.encode(), plain.encode(), sha256).hexdigest()
        url = URL(f"{client.base}{SPOT}/openOrders?{plain.replace(' ', '%20')}&signature={signature}", encoded=True)
        async with client.session.get(url, headers={"X-MBX-APIKEY": TEST_KEY}) as answer:
            assert (await answer.json())["code"] == -1022


def test_the_documented_signature_of_the_websocket_api_is_accepted():
    key = ApiKey(key="DUMMYKEY0123456789abcdef", secret="DUMMY_SECRET_0123456789abcdef", account="test")
    gatekeeper = Gatekeeper({key.key: key}, lambda: 1_700_000_000_000)
    payload = "apiKey=DUMMYKEY0123456789abcdef&recvWindow=5000&timestamp=1700000000000"
    signature = hmac.new(key.secret.encode(), payload.encode(), sha256).hexdigest()
    params = {"timestamp": 1_700_000_000_000, "recvWindow": 5000, "apiKey": key.key, "signature": signature}
    assert gatekeeper.web_socket(params) is key


async def test_what_a_key_may_do():
    async with simulator() as client:
        rights = {}
        for key in keys.BINANCE_KEYS:
            status, body = await client.signed(
                "GET", "/binance/sapi/v1/account/apiRestrictions", key=key.key, secret=key.secret
            )
            assert status == 200
            rights[key.key] = (body["enableReading"], body["enableSpotAndMarginTrading"], body["enableWithdrawals"])
        assert rights[keys.DEMO_KEY] == (True, True, False)
        assert rights[keys.WITHDRAW_KEY] == (True, True, True)
        assert rights[keys.READ_KEY] == (True, False, False)
        order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.001"}
        status, body = await client.signed("POST", f"{SPOT}/order", order, key=keys.READ_KEY, secret=keys.READ_SECRET)
        assert (status, body["code"]) == (401, -2015)


# -- accounts and orders ---------------------------------------------------------------------------------------------


async def test_spot_balances_orders_and_trades():
    async with simulator() as client:
        resting = await place(client, type="LIMIT", timeInForce="GTC", price=far(client), newClientOrderId="far-1")
        assert resting["status"] == "NEW"
        bought = await place(client)
        assert bought["status"] == "FILLED"
        assert sum(Decimal(row["qty"]) for row in bought["fills"]) == Decimal("0.01")
        _, account = await client.signed("GET", f"{SPOT}/account", {"omitZeroBalances": "true"})
        balances = {row["asset"]: row for row in account["balances"]}
        fee = sum(Decimal(row["commission"]) for row in bought["fills"])
        assert Decimal(balances["BTC"]["free"]) == Decimal("1.01") - fee
        _, rows = await client.signed("GET", f"{SPOT}/openOrders")
        assert [row["clientOrderId"] for row in rows] == ["far-1"]
        assert Decimal(balances["USDT"]["locked"]) == Decimal(rows[0]["origQty"]) * Decimal(rows[0]["price"])
        _, trades = await client.signed("GET", f"{SPOT}/myTrades", {"symbol": "BTCUSDT"})
        assert [row["id"] for row in trades] == [row["tradeId"] for row in bought["fills"]]
        _, cancelled = await client.signed(
            "DELETE", f"{SPOT}/order", {"symbol": "BTCUSDT", "orderId": rows[0]["orderId"]}
        )
        assert (cancelled["status"], cancelled["origClientOrderId"]) == ("CANCELED", "far-1")
        _, again = await client.signed("DELETE", f"{SPOT}/order", {"symbol": "BTCUSDT", "orderId": rows[0]["orderId"]})
        assert again["code"] == -2011
        _, queried = await client.signed("GET", f"{SPOT}/order", {"symbol": "BTCUSDT", "origClientOrderId": "far-1"})
        assert queried["status"] == "CANCELED"


async def test_futures_positions_balances_and_trades():
    async with simulator() as client:
        await place(client, "usdm", side="SELL")
        _, trades = await client.signed("GET", f"{FUTURES}/v1/userTrades", {"symbol": "BTCUSDT"})
        assert sum(Decimal(row["qty"]) for row in trades) == Decimal("0.01")
        cost = sum(Decimal(row["quoteQty"]) for row in trades)
        _, positions = await client.signed("GET", f"{FUTURES}/v3/positionRisk")
        (row,) = positions
        assert Decimal(row["positionAmt"]) == Decimal("-0.01")
        assert Decimal(row["entryPrice"]) == (cost / Decimal("0.01")).quantize(Decimal("0.00000001"))
        unrealised = Decimal(row["positionAmt"]) * Decimal(row["markPrice"]) + cost
        assert abs(Decimal(row["unRealizedProfit"]) - unrealised) < Decimal("0.0000001")
        _, (balance,) = await client.signed("GET", f"{FUTURES}/v3/balance")
        assert Decimal(balance["balance"]) == 50000 - sum(Decimal(row["commission"]) for row in trades)
        _, account = await client.signed("GET", f"{FUTURES}/v3/account")
        assert account["totalWalletBalance"] == balance["balance"]
        assert [p["symbol"] for p in account["positions"]] == ["BTCUSDT"]
        _, (config,) = await client.signed("GET", f"{FUTURES}/v1/symbolConfig", {"symbol": "BTCUSDT"})
        assert (config["leverage"], config["marginType"]) == (20, "CROSSED")
        _, mode = await client.signed("GET", f"{FUTURES}/v1/positionSide/dual")
        assert mode == {"dualSidePosition": False}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("product", "change", "code"),
    [
        ("spot", {"symbol": "NOPE"}, -1121),
        ("spot", {"side": "HOLD"}, -1117),
        ("spot", {"type": "STOP_LOSS"}, -1116),
        ("spot", {"type": "LIMIT", "price": "1"}, -1102),
        ("spot", {"type": "LIMIT", "price": "80000.001", "timeInForce": "GTC"}, -1013),
        ("spot", {"quantity": "0.000001"}, -1013),
        ("spot", {"quantity": "-1"}, -1013),
        ("spot", {"quantity": "abc"}, -1100),
        ("spot", {"quantity": "0.00001"}, -1013),
        ("spot", {"quantity": "5000"}, -2010),
        ("usdm", {"type": "STOP_MARKET"}, -4120),
        ("usdm", {"quantity": "0.0001"}, -4023),
        ("usdm", {"quantity": "0.001"}, -4164),
        ("usdm", {"positionSide": "LONG"}, -4061),
        ("usdm", {"type": "LIMIT", "price": "80000.05", "timeInForce": "GTC"}, -4014),
    ],
)
async def test_order_refusals(client, product, change, code):
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01", **change}
    path = f"{SPOT}/order" if product == "spot" else f"{FUTURES}/v1/order"
    status, body = await client.signed("POST", path, order)
    assert (status, body["code"]) == (400, code)


async def test_a_market_order_by_quote_amount_spends_at_most_that():
    async with simulator() as client:
        order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quoteOrderQty": "1000"}
        _, body = await client.signed("POST", f"{SPOT}/order", order)
        assert Decimal("995") < Decimal(body["cummulativeQuoteQty"]) <= 1000


async def test_successful_spot_orders_cost_no_weight_and_failed_ones_do():
    async with simulator() as client:
        meter = client.server.exchanges["binance"].gates["spot"].meter
        await place(client)
        used = meter.used
        await place(client)
        assert meter.used == used
        await client.signed("POST", f"{SPOT}/order", {"symbol": "BTCUSDT"})
        assert meter.used in (used + 1, 1)


# -- paging ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("product", "path"), [("spot", f"{SPOT}/myTrades"), ("usdm", f"{FUTURES}/v1/userTrades")])
async def test_own_trades_are_read_page_by_page(product, path):
    async with simulator() as client:
        done = await client.post(
            "/__sim/fills", {"account": "test", "product": product, "count": 25, "per_s": 1000, "wait": True}
        )
        assert done["done"] == 25
        pages, start = [], 0
        while True:
            status, page = await client.signed("GET", path, {"symbol": "BTCUSDT", "fromId": start, "limit": 10})
            assert status == 200
            if not page:
                break
            pages.append(page)
            start = page[-1]["id"] + 1
        ids = [row["id"] for page in pages for row in page]
        assert [len(page) for page in pages] == [10, 10, 5]
        assert ids == sorted(set(ids))
        truth = await client.get("/__sim/truth", account="test")
        assert [str(number) for number in ids] == [row["id"] for row in truth["fills"]]
        _, newest = await client.signed("GET", path, {"symbol": "BTCUSDT", "limit": 3})
        assert [row["id"] for row in newest] == ids[-3:]
        _, window = await client.signed(
            "GET", path, {"symbol": "BTCUSDT", "startTime": pages[0][0]["time"], "limit": 4}
        )
        assert [row["id"] for row in window] == ids[:4]
        _, empty = await client.signed("GET", path, {"symbol": "ETHUSDT"})
        assert empty == []


async def test_what_cannot_be_asked_of_own_trades():
    async with simulator() as client:
        for params, code in (
            ({}, -1102),
            ({"symbol": "BTCUSDT", "fromId": 1, "startTime": 1}, -1128),
            ({"symbol": "BTCUSDT", "startTime": 1, "endTime": 25 * 3_600_000}, -1127),
        ):
            status, body = await client.signed("GET", f"{SPOT}/myTrades", params)
            assert (status, body["code"]) == (400, code)


# -- the spot user stream --------------------------------------------------------------------------------------------


def subscription(number=1, key=TEST_KEY, secret=TEST_SECRET, shift_ms=0):
    params = {"apiKey": key, "timestamp": int(time.time() * 1000) + shift_ms}
    text = "&".join(f"{name}={params[name]}" for name in sorted(params))
    params["signature"] = hmac.new(secret.encode(), text.encode(), sha256).hexdigest()
    return {"id": number, "method": "userDataStream.subscribe.signature", "params": params}


async def test_the_spot_user_stream_tells_orders_and_balances():
    async with simulator() as client, client.socket("/binance/ws-api/v3") as socket:
        await socket.send_json(subscription())
        answer = await receive(socket, lambda m: m.get("id") == 1)
        assert (answer["status"], answer["result"]) == (200, {"subscriptionId": 0})
        assert answer["rateLimits"][0]["limit"] == 6000
        placed = await place(client, newClientOrderId="mine")
        events = []
        while not events or events[-1].get("X") != "FILLED":
            message = await receive(socket, lambda m: "event" in m)
            assert message["subscriptionId"] == 0
            events.append(message["event"])
        last = (await receive(socket, lambda m: "event" in m))["event"]
        reports = [event for event in events if event["e"] == "executionReport"]
        assert (reports[0]["x"], reports[0]["X"], reports[0]["t"], reports[0]["N"]) == ("NEW", "NEW", -1, None)
        fills = [event for event in reports if event["x"] == "TRADE"]
        assert [event["t"] for event in fills] == [row["tradeId"] for row in placed["fills"]]
        assert all(event["c"] == "mine" and event["N"] == "BTC" and not event["m"] for event in fills)
        assert last["e"] == "outboundAccountPosition"
        _, account = await client.signed("GET", f"{SPOT}/account")
        free = {row["asset"]: row["free"] for row in account["balances"]}
        assert {row["a"]: row["f"] for row in last["B"]} == {asset: free[asset] for asset in ("BTC", "USDT")}


async def test_a_cancellation_names_both_client_ids():
    async with simulator() as client, client.socket("/binance/ws-api/v3") as socket:
        await socket.send_json(subscription())
        order = await place(client, type="LIMIT", timeInForce="GTC", price=far(client), newClientOrderId="mine")
        params = {"symbol": "BTCUSDT", "orderId": order["orderId"], "newClientOrderId": "cancel-it"}
        await client.signed("DELETE", f"{SPOT}/order", params)
        event = (await receive(socket, lambda m: m.get("event", {}).get("x") == "CANCELED"))["event"]
        assert (event["c"], event["C"], event["X"]) == ("cancel-it", "mine", "CANCELED")


async def test_a_deposit_is_told_as_difference_and_as_balance():
    async with simulator() as client, client.socket("/binance/ws-api/v3") as socket:
        await socket.send_json(subscription())
        await receive(socket, lambda m: m.get("id") == 1)
        await client.post("/__sim/transfer", {"account": "test", "asset": "USDT", "amount": "12.5"})
        first = (await receive(socket, lambda m: "event" in m))["event"]
        assert (first["e"], first["a"], first["d"]) == ("balanceUpdate", "USDT", "12.50000000")
        second = (await receive(socket, lambda m: "event" in m))["event"]
        assert second["B"] == [{"a": "USDT", "f": "100012.50000000", "l": "0.00000000"}]


async def test_subscriptions_of_the_websocket_api():
    async with simulator() as client, client.socket("/binance/ws-api/v3") as socket:

        async def ask(message):
            await socket.send_json(message)
            return await receive(socket, lambda m: m.get("id") == message["id"])

        assert (await ask(subscription(1, secret="wrong")))["error"]["code"] == -1022
        assert (await ask(subscription(2)))["result"] == {"subscriptionId": 0}
        assert (await ask(subscription(3)))["error"]["code"] == -2035
        await asyncio.sleep(1.1)  # not more than five messages in a second
        ended = {"id": 4, "method": "userDataStream.unsubscribe", "params": {"subscriptionId": 0}}
        assert (await ask(ended))["result"] == {}
        assert (await ask({**ended, "id": 5}))["error"]["code"] == -2036
        assert (await ask({"id": 6, "method": "userDataStream.start", "params": {}}))["status"] == 400
        assert (await ask({"id": 7, "method": "time"}))["result"]["serverTime"] > 0


async def test_the_spot_listen_key_is_gone():
    async with simulator() as client:
        url = f"{client.base}{SPOT}/userDataStream"
        async with client.session.post(url, headers={"X-MBX-APIKEY": TEST_KEY}) as answer:
            assert answer.status == 404


async def test_a_terminated_user_stream_says_so_and_is_silent():
    async with simulator() as client, client.socket("/binance/ws-api/v3") as socket:
        await socket.send_json(subscription())
        await receive(socket, lambda m: m.get("id") == 1)
        await client.post("/__sim/faults", {"exchange": "binance", "kind": "terminate_user_stream"})
        assert (await receive(socket, lambda m: "event" in m))["event"]["e"] == "eventStreamTerminated"
        await place(client)
        assert await collect(socket, 0.4) == []
        await socket.send_json(subscription(2))
        assert (await receive(socket, lambda m: m.get("id") == 2))["result"] == {"subscriptionId": 1}


# -- the futures user stream -----------------------------------------------------------------------------------------


async def listen_key(client, method="POST"):
    url = f"{client.base}{FUTURES}/v1/listenKey"
    async with client.session.request(method, url, headers={"X-MBX-APIKEY": TEST_KEY}) as answer:
        return await answer.json()


async def test_the_futures_user_stream_tells_fills_and_account():
    async with simulator() as client:
        key = (await listen_key(client))["listenKey"]
        async with client.socket(f"/binance/usdm/private/ws?listenKey={key}") as socket:
            await place(client, "usdm")
            update = await receive(socket, lambda m: m["e"] == "ORDER_TRADE_UPDATE" and m["o"]["X"] == "FILLED")
            assert (update["o"]["x"], update["o"]["N"], update["o"]["S"]) == ("TRADE", "USDT", "BUY")
            account = await receive(socket, lambda m: m["e"] == "ACCOUNT_UPDATE")
            assert account["a"]["m"] == "ORDER"
            assert account["a"]["P"][0]["pa"] == "0.010"
            _, (balance,) = await client.signed("GET", f"{FUTURES}/v3/balance")
            assert account["a"]["B"][0]["wb"] == balance["balance"]
            await client.post("/__sim/funding", {"account": "test"})
            funding = await receive(socket, lambda m: m["e"] == "ACCOUNT_UPDATE")
            assert (funding["a"]["m"], funding["a"]["P"], funding["a"]["S"]) == ("FUNDING_FEE", [], "BTCUSDT")
        path = f"/binance/usdm/private/stream?listenKey={key}&events=ORDER_TRADE_UPDATE"
        async with client.socket(path) as socket:
            await place(client, "usdm", side="SELL", reduceOnly="true")
            messages = await collect(socket, 0.5)
            assert {m["data"]["e"] for m in messages} == {"ORDER_TRADE_UPDATE"}
            assert {m["stream"] for m in messages} == {key}
            assert Decimal(messages[-1]["data"]["o"]["rp"]) != 0


async def test_fills_come_also_as_trade_lite_with_the_same_id():
    async with simulator() as client:
        key = (await listen_key(client))["listenKey"]
        async with client.socket(f"/binance/usdm/private/ws?listenKey={key}") as socket:
            await place(client, "usdm")
            messages = await collect(socket, 0.5)
        lite = [m["t"] for m in messages if m["e"] == "TRADE_LITE"]
        full = [m["o"]["t"] for m in messages if m["e"] == "ORDER_TRADE_UPDATE" and m["o"]["x"] == "TRADE"]
        assert lite == full != []


async def test_life_of_a_listen_key():
    async with simulator(listen_key_s=1.0) as client:
        key = (await listen_key(client))["listenKey"]
        assert (await listen_key(client))["listenKey"] == key
        async with client.socket(f"/binance/usdm/private/ws?listenKey={key}") as socket:
            for _ in range(3):
                await asyncio.sleep(0.5)
                assert (await listen_key(client, "PUT"))["listenKey"] == key
            expired = await receive(socket, lambda m: True)
            assert (expired["e"], expired["listenKey"]) == ("listenKeyExpired", key)
            await place(client, "usdm")
            assert await collect(socket, 0.4) == []  # still open, and silent
        assert (await listen_key(client, "PUT"))["code"] == -1125
        fresh = (await listen_key(client))["listenKey"]
        assert fresh != key
        assert await listen_key(client, "DELETE") == {}
        assert (await listen_key(client, "PUT"))["code"] == -1125


# -- fills on demand -------------------------------------------------------------------------------------------------


async def test_exactly_so_many_fills_with_the_trader_at_work():
    async with simulator(trader=True) as client:
        before = await client.get("/__sim/truth", account="demo")
        await client.post("/__sim/pause", {"bot": True})
        body = {"account": "demo", "product": "spot", "count": 200, "per_s": 400, "wait": True}
        await client.post("/__sim/fills", body)
        after = await client.get("/__sim/truth", account="demo")
        fresh = [row for row in after["fills"] if row["product"] == "spot" and not row["maker"]]
        old = [row for row in before["fills"] if row["product"] == "spot" and not row["maker"]]
        assert len(fresh) - len(old) == 200
        assert len({(row["product"], row["symbol"], row["id"]) for row in after["fills"]}) == len(after["fills"])
