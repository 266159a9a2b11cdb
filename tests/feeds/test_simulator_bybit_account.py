"""The simulated Bybit's private side, asked without the project's adapter: what is refused, and in which words."""

import asyncio
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from hashlib import sha256
from typing import Any

from yarl import URL

from feeds.simulator.bybit.terms import BYBIT_KEYS
from feeds.simulator.keys import ApiKey
from feeds.simulator.venues import listings
from tests.feeds.simulator_help import Client, receive, simulator

FEW = tuple(each for each in listings(["bybit"]) if each.native in ("BTCUSDT", "BTCPERP"))
DAY_MS = 86_400_000


@asynccontextmanager
async def bybit() -> AsyncIterator[Client]:
    async with simulator(instruments=FEW) as client:
        yield client


async def ask(
    client: Client,
    path: str,
    query: str = "",
    *,
    body: dict[str, Any] | None = None,
    key: ApiKey = BYBIT_KEYS.test,
    shift_ms: int = 0,
    **headers: str,
) -> tuple[int, Any, Any]:
    """``retCode``, the answer and its headers. ``headers`` replace ours."""
    sent_ms = str(int(time.time() * 1000) + shift_ms)
    text = query if body is None else json.dumps(body)
    signature = hmac.new(key.secret.encode(), f"{sent_ms}{key.key}5000{text}".encode(), sha256).hexdigest()
    given = {"API_KEY": key.key, "TIMESTAMP": sent_ms, "SIGN": signature, "RECV_WINDOW": "5000", **headers}
    names = {f"X-BAPI-{name.replace('_', '-')}": value for name, value in given.items()}
    url = URL(f"{client.base}/bybit/v5/{path}" + (f"?{query}" if query else ""), encoded=True)
    method, data = ("GET", None) if body is None else ("POST", text)
    async with client.session.request(method, url, data=data, headers=names) as answer:
        assert answer.status == 200, await answer.text()
        told = await answer.json(content_type=None)
        return told["retCode"], told, answer.headers


ORDER = {"category": "spot", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.001", "price": "20000"}


async def test_who_may_ask_what() -> None:
    async with bybit() as client:
        wallet = "account/wallet-balance", "accountType=UNIFIED"
        assert (await ask(client, *wallet))[0] == 0
        assert (await ask(client, *wallet, API_KEY="nobody"))[0] == 10003
        assert (await ask(client, *wallet, SIGN="0" * 64))[0] == 10004
        assert (await ask(client, *wallet, shift_ms=-5500))[0] == 10002
        assert (await ask(client, *wallet, shift_ms=1500))[0] == 10002
        assert (await ask(client, "order/create", body=ORDER, key=BYBIT_KEYS.read))[0] == 10005
        for key, withdraws in ((BYBIT_KEYS.test, False), (BYBIT_KEYS.withdraw, True)):
            told = (await ask(client, "user/query-api", key=key))[1]["result"]
            assert ("Withdraw" in told["permissions"]["Wallet"]) is withdraws
        async with client.session.get(f"{client.base}/bybit/v5/account/info", data="{}") as answer:
            assert answer.status == 403


async def test_the_limit_of_an_endpoint() -> None:
    async with bybit() as client:
        for left in range(9, -1, -1):
            code, _, headers = await ask(client, "order/cancel-all", body={"category": "linear", "settleCoin": "USDT"})
            assert (code, headers["X-Bapi-Limit"], headers["X-Bapi-Limit-Status"]) == (0, "10", str(left))
        code, told, headers = await ask(client, "order/cancel-all", body={"category": "linear", "settleCoin": "USDT"})
        assert code == 10006 and told["retMsg"].startswith("Too many visits")
        assert 0 <= int(headers["X-Bapi-Limit-Reset-Timestamp"]) - told["time"] <= 1000
        assert (await ask(client, "order/cancel-all", body={"category": "spot"}))[0] == 0


REFUSED: list[tuple[dict[str, Any], int]] = [
    ({"symbol": "XUSDT"}, 170121),
    ({"qty": 0.001}, 10001),
    ({"qty": "0.0000001"}, 170137),
    ({"price": "20000.123"}, 170134),
    ({"qty": "0.0001", "price": "20000"}, 170140),
    ({"qty": "1000"}, 170131),
    ({"orderLinkId": "x" * 37}, 10001),
    ({"category": "linear", "price": "1000000", "qty": "900"}, 110007),
    ({"category": "linear", "reduceOnly": True}, 110017),
    ({"category": "linear", "positionIdx": 1}, 10001),
    ({"category": "option"}, 10001),
]
"""What an order has otherwise, and the code of its refusal."""


async def test_orders_that_are_refused() -> None:
    async with bybit() as client:
        for more, code in REFUSED:
            told, answer, _ = await ask(client, "order/create", body=ORDER | more)
            assert told == code, (more, answer)
            await asyncio.sleep(0.05)  # ten a second are allowed


async def test_a_post_only_order_that_would_take_is_accepted_and_cancelled() -> None:
    async with bybit() as client:
        body = ORDER | {"price": "900000", "timeInForce": "PostOnly", "orderLinkId": "mine"}
        code, told, _ = await ask(client, "order/create", body=body)
        assert (code, told["result"]["orderLinkId"]) == (0, "mine")
        [row] = (await ask(client, "order/realtime", "category=spot&orderLinkId=mine"))[1]["result"]["list"]
        assert (row["orderStatus"], row["rejectReason"]) == ("Cancelled", "EC_PostOnlyWillTakeLiquidity")
        assert (await ask(client, "order/create", body=body))[0] == 170141


async def test_lists_need_what_the_documentation_says() -> None:
    async with bybit() as client:
        assert (await ask(client, "order/realtime", "category=linear"))[0] == 10001
        assert (await ask(client, "order/realtime", "category=spot&settleCoin=USDT"))[0] == 10001
        assert (await ask(client, "position/list", "category=linear"))[0] == 10001
        now_ms = int(time.time() * 1000)
        for span_ms, code in ((7 * DAY_MS, 0), (7 * DAY_MS + 1, 10001)):
            window = f"startTime={now_ms - span_ms}&endTime={now_ms}"
            assert (await ask(client, "execution/list", f"category=spot&{window}"))[0] == code
            assert (await ask(client, "account/transaction-log", window))[0] == code


async def test_pages_newest_first() -> None:
    async with bybit() as client:
        wanted = {"exchange": "bybit", "account": "test", "product": "linear", "symbol": "BTCUSDT", "count": 5}
        await client.post("/__sim/fills", wanted | {"wait": True})
        await client.post("/__sim/funding", {"exchange": "bybit", "account": "test"})
        told, cursor = [], ""
        while True:
            following = "&cursor=" + cursor.replace("%", "%25") if cursor else ""
            page = (await ask(client, "execution/list", f"category=linear&limit=2{following}"))[1]["result"]
            told += page["list"]
            cursor = page["nextPageCursor"]
            if not page["list"]:
                break
        kinds = [row["execType"] for row in told]
        assert kinds.count("Trade") == 5 and set(kinds) <= {"Trade", "Funding"}
        assert [row["execTime"] for row in told] == sorted((row["execTime"] for row in told), reverse=True)
        trades = (await ask(client, "execution/list", "category=linear&execType=Trade"))[1]["result"]["list"]
        assert [row["execId"] for row in trades] == [row["execId"] for row in told if row["execType"] == "Trade"]


async def test_the_log_has_all_that_moved_the_wallet() -> None:
    """Each change once whatever the pages; of a pair's execution there are two, of one moment."""
    async with bybit() as client:
        true = client.server.accounts["bybit"].by_name["test"]
        opened = true.cash["unified"].total("USDT")
        for product in ("linear", "spot"):
            wanted = {"exchange": "bybit", "account": "test", "product": product, "symbol": "BTCUSDT", "count": 3}
            await client.post("/__sim/fills", wanted | {"per_s": 1e6, "wait": True})
        await client.post("/__sim/funding", {"exchange": "bybit", "account": "test"})
        moved = {"exchange": "bybit", "account": "test", "asset": "USDT", "amount": "-0.5", "name": "INTEREST"}
        await client.post("/__sim/transfer", moved)
        told, cursor = [], ""
        while True:
            following = "&cursor=" + cursor.replace("%", "%25") if cursor else ""
            page = (await ask(client, "account/transaction-log", f"limit=1{following}"))[1]["result"]
            if not page["list"]:
                break
            told += page["list"]
            cursor = page["nextPageCursor"]
        assert len({row["id"] for row in told}) == len(told) == 3 + 2 * 3 + 1 + 1
        for row in told:
            parts = [Decimal(row[name] or 0) for name in ("cashFlow", "funding", "fee")]
            assert Decimal(row["change"]) == parts[0] + parts[1] - parts[2]
        change = sum(Decimal(row["change"]) for row in told if row["currency"] == "USDT")
        assert opened + change == true.cash["unified"].total("USDT")
        only = (await ask(client, "account/transaction-log", "type=INTEREST"))[1]["result"]["list"]
        assert [(row["type"], row["change"]) for row in only] == [("INTEREST", "-0.5")]


async def test_the_private_stream() -> None:
    async with bybit() as client, client.socket("/bybit/v5/private") as socket:
        key = BYBIT_KEYS.test

        async def say(op: str, *args: Any) -> Any:
            await socket.send_json({"req_id": "7", "op": op, "args": list(args)})
            return await receive(socket, lambda body: body.get("op") in (op, "pong"))

        def signed(expires_ms: int) -> tuple[str, int, str]:
            text = f"GET/realtime{expires_ms}".encode()
            return key.key, expires_ms, hmac.new(key.secret.encode(), text, sha256).hexdigest()

        now_ms = int(time.time() * 1000)
        assert (await say("ping"))["op"] == "pong"
        assert not (await say("subscribe", "order"))["success"]
        assert not (await say("auth", *signed(now_ms - 1)))["success"]
        assert (await say("auth", key.key, now_ms + 9000, "0" * 64))["retCode"] == 10004
        assert (await say("auth", "nobody", now_ms + 9000, ""))["retCode"] == 10003
        assert (await say("auth", *signed(now_ms + 9000)))["success"]
        assert not (await say("subscribe", "order", "execution.linear"))["success"]
        assert "handler not found" in (await say("subscribe", "order", "orders"))["ret_msg"]
        assert (await say("subscribe", "order", "execution", "position", "wallet"))["success"]
        wanted = {"exchange": "bybit", "account": "test", "product": "linear", "symbol": "BTCPERP", "count": 1}
        await client.post("/__sim/fills", wanted)
        order = await receive(socket, lambda body: body.get("topic") == "order")
        assert (order["data"][0]["category"], order["data"][0]["orderStatus"]) == ("linear", "New")
        execution = (await receive(socket, lambda body: body.get("topic") == "execution"))["data"][0]
        assert (execution["execType"], execution["feeCurrency"]) == ("Trade", "USDC")
        position = (await receive(socket, lambda body: body.get("topic") == "position"))["data"][0]
        assert (position["symbol"], position["side"], position["size"]) == ("BTCPERP", "Buy", "0.001")
        wallet = (await receive(socket, lambda body: body.get("topic") == "wallet"))["data"][0]
        assert [coin["coin"] for coin in wallet["coin"]] == ["USDC"]
        await client.post("/__sim/funding", {"exchange": "bybit", "account": "test"})
        funding = (await receive(socket, lambda body: body.get("topic") == "execution"))["data"][0]
        assert (funding["execType"], funding["symbol"]) == ("Funding", "BTCPERP")
