"""The simulated Alpaca's trading API held to the documentation, read without the project's adapter."""

import asyncio
import json
from decimal import Decimal
from typing import Any

from feeds.simulator.alpaca.terms import TERMS
from tests.feeds.simulator_help import Client, simulator
from tests.feeds.test_simulator_alpaca import FEW

TEST = {"APCA-API-KEY-ID": TERMS.keys.test.key, "APCA-API-SECRET-KEY": TERMS.keys.test.secret}


async def ask(client: Client, method: str, path: str, headers: Any = TEST, **more: Any) -> tuple[int, Any]:
    async with client.session.request(method, f"{client.base}/alpaca{path}", headers=headers, **more) as answer:
        raw = await answer.read()
        return answer.status, json.loads(raw) if raw else None


async def test_rest_and_stream():
    async with simulator(instruments=FEW) as client, asyncio.timeout(20):
        assert await ask(client, "GET", "/v2/account", {}) == (
            401,
            {"code": 40110000, "message": "request is not authorized"},
        )
        order = {"symbol": "BTC/USD", "qty": "0.001", "side": "buy", "type": "limit", "time_in_force": "gtc"}
        for wrong, status, code in (
            ({"symbol": "NONE/USD"}, 422, 42210000),
            ({"side": "hold"}, 422, 40010001),
            ({"time_in_force": "fok"}, 422, 42210000),
            ({"limit_price": None}, 422, 40010001),
            ({"limit_price": "0.123"}, 422, 42210000),
            ({"qty": "0.00000001"}, 403, 40310000),
            ({"qty": "1000"}, 403, 40310000),
        ):
            got, said = await ask(client, "POST", "/v2/orders", json=order | {"limit_price": "20000"} | wrong)
            assert (got, said["code"]) == (status, code), wrong

        async with client.session.ws_connect(f"{client.base}/alpaca/stream") as socket:

            async def told() -> Any:
                return json.loads((await socket.receive()).data)  # bytes: binary frames, as on the paper host

            await socket.send_json({"action": "listen", "data": {"streams": ["trade_updates"]}})
            assert (await told())["data"] == {"status": "unauthorized", "action": "listen"}
            for secret, status in (("wrong", "unauthorized"), (TEST["APCA-API-SECRET-KEY"], "authorized")):
                data = {"key_id": TEST["APCA-API-KEY-ID"], "secret_key": secret}
                await socket.send_json({"action": "authenticate", "data": data})
                answer = {"stream": "authorization", "data": {"status": status, "action": "authenticate"}}
                assert await told() == answer
            await socket.send_json({"action": "listen", "data": {"streams": ["trade_updates", "others"]}})
            assert await told() == {"stream": "listening", "data": {"streams": ["trade_updates"]}}

            body = order | {"limit_price": "20000", "client_order_id": "mine"}
            status, placed = await ask(client, "POST", "/v2/orders", json=body)
            assert (status, placed["status"], placed["filled_qty"]) == (200, "pending_new", "0.00000000")
            update = (await told())["data"]
            assert (update["event"], update["order"]["id"]) == ("new", placed["id"])
            assert update["order"]["symbol"] == "BTCUSD" and "price" not in update
            for path in (f"/v2/orders/{placed['id']}", "/v2/orders:by_client_order_id?client_order_id=mine"):
                assert (await ask(client, "GET", path))[1]["status"] == "new"
            assert [o["id"] for o in (await ask(client, "GET", "/v2/orders"))[1]] == [placed["id"]]
            assert await ask(client, "DELETE", f"/v2/orders/{placed['id']}") == (204, None)
            assert (await told())["data"]["event"] == "canceled"
            assert (await ask(client, "DELETE", f"/v2/orders/{placed['id']}"))[0] == 422
            assert (await ask(client, "DELETE", "/v2/orders/nobody"))[0] == 404
            assert await ask(client, "DELETE", "/v2/orders") == (207, [])

            wanted = {"exchange": "alpaca", "account": "test", "product": "crypto", "symbol": "BTC/USD"}
            await client.post("/__sim/fills", wanted | {"count": 9, "per_s": 1e6, "wait": True})
            _, rows = await ask(client, "GET", "/v2/account/activities/FILL")
            assert len(rows) == 9 and [r["id"] for r in rows] == sorted((r["id"] for r in rows), reverse=True)
            paged: list[str] = []
            while True:
                params = {"direction": "asc", "page_size": "4"} | ({"page_token": paged[-1]} if paged else {})
                _, page = await ask(client, "GET", "/v2/account/activities/FILL", params=params)
                paged += [row["id"] for row in page]
                if len(page) < 4:
                    break
            assert paged == [row["id"] for row in reversed(rows)]
            events = [(await told())["data"] for _ in range(18)]  # each order is new, then filled
            fills = [event for event in events if event["event"] in ("fill", "partial_fill")]
            assert {(e["order"]["id"], e["price"], e["qty"]) for e in fills} == {
                (r["order_id"], r["price"], r["qty"]) for r in rows
            }
            assert not {e["execution_id"] for e in fills} & {r["id"].partition("::")[2] for r in rows}
            assert {(r["order_id"], r["cum_qty"]) for r in rows} == {
                (e["order"]["id"], e["order"]["filled_qty"]) for e in fills
            }
        _, account = await ask(client, "GET", "/v2/account")
        _, held = await ask(client, "GET", "/v2/positions")
        equity, cash, values = (Decimal(account[name]) for name in ("equity", "cash", "position_market_value"))
        assert equity == cash + values  # nothing is on order
        assert "BTCUSD" in {row["symbol"] for row in held}
