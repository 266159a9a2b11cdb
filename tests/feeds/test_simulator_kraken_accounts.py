"""The accounts of the simulated Kraken and Kraken Futures, asked by a plain client with its own signatures."""

import base64
import hmac
import json
from decimal import Decimal
from hashlib import sha256, sha512
from itertools import count
from urllib.parse import urlencode

from feeds.simulator.kraken import terms as spot
from feeds.simulator.krakenfutures import terms as futures
from tests.feeds.simulator_help import receive, simulator
from tests.feeds.test_simulator_krakenfutures import FEW

NONCES = count(1_700_000_000_000)


def mac(secret, message):
    return base64.b64encode(hmac.new(base64.b64decode(secret), message, sha512).digest()).decode()


async def ask(client, method, key=spot.TEST, *, nonce=None, secret=None, **params):
    """A call of spot's private REST: (errors, result)."""
    nonce = str(nonce if nonce is not None else next(NONCES))
    body, path = urlencode({"nonce": nonce, **params}), f"/0/private/{method}"
    sign = mac(secret or key.secret, path.encode() + sha256((nonce + body).encode()).digest())
    headers = {"API-Key": key.key, "API-Sign": sign, "Content-Type": "application/x-www-form-urlencoded"}
    async with client.session.post(f"{client.base}/kraken{path}", data=body, headers=headers) as answer:
        assert answer.status == 200
        told = await answer.json()
        return told["error"], told.get("result")


async def test_spot_refuses_in_krakens_words():
    async with simulator(weights={"kraken": 1000}) as client:
        assert await ask(client, "Balance", secret=spot.DEMO.secret) == (["EAPI:Invalid signature"], None)
        stranger = type(spot.TEST)(key="nobody", secret=spot.TEST.secret, account="test")
        assert await ask(client, "Balance", stranger) == (["EAPI:Invalid key"], None)
        errors, result = await ask(client, "Balance")
        assert (errors, result["ZUSD"], result["XXBT"]) == ([], "100000", "1")
        assert await ask(client, "Balance", nonce=1_700_000_000_000) == (["EAPI:Invalid nonce"], None)
        order = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": "1000.0", "volume": "0.001"}
        assert (await ask(client, "AddOrder", spot.READ, **order))[0] == ["EGeneral:Permission denied"]
        for wrong, words in (
            ({"price": "1000.01"}, "EOrder:Tick size check failed"),
            ({"volume": "0.00001"}, "EOrder:Order minimum not met"),
            ({"price": "90000000.0", "volume": "90", "oflags": "post"}, "EOrder:Post only order"),
            ({"volume": "99999"}, "EOrder:Insufficient funds"),
            ({"pair": "NOTHING"}, "EQuery:Unknown asset pair"),
            ({"timeinforce": "FOK"}, "EGeneral:Invalid arguments"),
        ):
            assert (await ask(client, "AddOrder", **order | wrong))[0] == [words]
        assert (await ask(client, "CancelOrder", txid="OABCDE-12345-FGHIJK"))[0] == ["EOrder:Unknown order"]
        errors, result = await ask(client, "AddOrder", **order)
        assert result["descr"]["order"] == "buy 0.00100000 XBTUSD @ limit 1000.0"
        [txid] = result["txid"]
        assert set((await ask(client, "OpenOrders"))[1]["open"]) == {txid}
        assert (await ask(client, "CancelOrder", txid=txid)) == ([], {"count": 1})


async def test_spot_counts_each_key():
    async with simulator() as client:
        told = [(await ask(client, "Ledgers"))[0] for _ in range(8)]
        assert told == [[]] * 7 + [["EAPI:Rate limit exceeded"]]
        assert (await ask(client, "Balance", spot.READ))[0] == []  # another key


async def test_spot_puts_a_takers_executions_together_unless_asked_not_to():
    async with simulator(weights={"kraken": 1000}) as client:
        market = client.server.market.markets["kraken", "spot", "BTC/USD"]
        account = client.server.accounts["kraken"].by_name["test"]
        size = sum(total for _, total in market.engine.bids.top(3))
        size = min(size, 10**8)
        account.desks["spot"].place(market, buy=False, size=size, type="MARKET")
        assert len(account.fills) > 1
        single = (await ask(client, "TradesHistory", consolidate_taker="false"))[1]
        assert single["count"] == len(account.fills)
        assert list(single["trades"]) == [spot.fill_id(fill) for fill in reversed(account.fills)]
        joined = (await ask(client, "TradesHistory"))[1]
        assert joined["count"] == 1
        [row] = joined["trades"].values()
        assert Decimal(row["vol"]) == sum(Decimal(r["vol"]) for r in single["trades"].values())


async def test_spots_token_and_channels():
    async with simulator(weights={"kraken": 1000}) as client:
        token = (await ask(client, "GetWebSocketsToken"))[1]["token"]
        async with client.socket("/kraken/auth/v2") as socket:
            wanted = {"method": "subscribe", "params": {"channel": "executions", "token": "wrong"}, "req_id": 1}
            await socket.send_json(wanted)
            refused = await receive(socket, lambda m: m.get("req_id") == 1)
            assert (refused["success"], refused["error"]) == (False, "ESession:Invalid session")
            for channel in ("executions", "balances"):
                await socket.send_json({"method": "subscribe", "params": {"channel": channel, "token": token}})
                assert (await receive(socket, lambda m: "success" in m))["success"]
                snapshot = await receive(socket, lambda m: m.get("type") == "snapshot")
                assert (snapshot["channel"], snapshot["sequence"]) == (channel, 1)
            desk = client.server.accounts["kraken"].by_name["test"].desks["spot"]
            market = client.server.market.markets["kraken", "spot", "BTC/USD"]
            desk.place(market, buy=False, size=100_000, type="MARKET")
            rows = []
            while not rows or rows[-1]["exec_type"] != "filled":
                message = await receive(socket, lambda m: m.get("channel") == "executions")
                assert message["sequence"] == len(rows) + 2
                rows += message["data"]
            assert [row["exec_type"] for row in rows[:3]] == ["pending_new", "new", "trade"]
            assert "symbol" not in rows[1]
            await socket.send_json({"method": "ping", "req_id": 9})
            assert (await receive(socket, lambda m: m.get("method") == "pong"))["req_id"] == 9


async def ask_futures(client, method, path, key=futures.TEST, *, secret=None, **params):
    data = urlencode(params)
    sign = mac(secret or key.secret, sha256(f"{data}/api/v3/{path}".encode()).digest())
    url = f"{client.base}/krakenfutures/derivatives/api/v3/{path}" + (f"?{data}" if data and method == "GET" else "")
    headers = {"APIKey": key.key, "Authent": sign}
    body = data if method == "POST" else None
    async with client.session.request(method, url, data=body, headers=headers) as answer:
        return json.loads(await answer.text())


async def test_futures_refuse_in_krakens_words():
    async with simulator(instruments=FEW) as client:
        told = await ask_futures(client, "GET", "accounts", secret=futures.DEMO.secret)
        assert (told["result"], told["error"]) == ("error", "authenticationError")
        flex = (await ask_futures(client, "GET", "accounts"))["accounts"]["flex"]
        assert (flex["type"], flex["currencies"]["USD"]["quantity"]) == ("multiCollateralMarginAccount", 50000)
        order = {"orderType": "lmt", "symbol": "PF_XBTUSD", "side": "buy", "size": "0.001", "limitPrice": "1000"}
        told = await ask_futures(client, "POST", "sendorder", futures.READ, **order)
        assert told["error"] == "insufficientPrivileges"
        for wrong, words in (
            ({"limitPrice": "1000.5"}, "invalidPrice"),
            ({"size": "0.00001"}, "invalidSize"),
            ({"limitPrice": "9000000", "orderType": "post"}, "postWouldExecute"),
            ({"size": "99999"}, "insufficientAvailableFunds"),
        ):
            told = await ask_futures(client, "POST", "sendorder", **order | wrong)
            assert (told["result"], told["sendStatus"]["status"]) == ("success", words)
        placed = (await ask_futures(client, "POST", "sendorder", **order))["sendStatus"]
        assert placed["status"] == "placed"
        assert [(event["type"], event["order"]["filled"]) for event in placed["orderEvents"]] == [("PLACE", 0)]
        [row] = (await ask_futures(client, "GET", "openorders"))["openOrders"]
        assert (row["order_id"], row["unfilledSize"], row["status"]) == (placed["order_id"], 0.001, "untouched")
        for words in ("cancelled", "notFound"):
            told = await ask_futures(client, "POST", "cancelorder", order_id=placed["order_id"])
            assert told["cancelStatus"]["status"] == words
        market = {"orderType": "mkt", "symbol": "PF_XBTUSD", "side": "buy", "size": "0.002"}
        events = (await ask_futures(client, "POST", "sendorder", **market))["sendStatus"]["orderEvents"]
        fills = (await ask_futures(client, "GET", "fills"))["fills"]
        assert {event["type"] for event in events} == {"EXECUTION"}
        assert [(event["executionId"], event["amount"], event["price"]) for event in events[::-1]] == [
            (fill["fill_id"], fill["size"], fill["price"]) for fill in fills
        ]
        assert sum(event["amount"] for event in events) == 0.002
        errors = [(await ask_futures(client, "POST", "cancelallorders")).get("error") for _ in range(20)]
        assert errors[-1] == "apiLimitExceeded"


async def test_the_futures_challenge():
    async with simulator(instruments=FEW) as client, client.socket("/krakenfutures/ws/v1") as socket:
        await socket.send_json({"event": "challenge", "api_key": "nobody"})
        assert (await receive(socket, lambda m: m["event"] != "info"))["event"] == "error"
        await socket.send_json({"event": "challenge", "api_key": futures.TEST.key})
        challenge = (await receive(socket, lambda m: m.get("event") == "challenge"))["message"]
        wanted = {"event": "subscribe", "feed": "fills", "api_key": futures.TEST.key, "original_challenge": challenge}
        await socket.send_json(
            wanted | {"signed_challenge": mac(futures.DEMO.secret, sha256(challenge.encode()).digest())}
        )
        assert (await receive(socket, lambda m: True))["message"] == "Failed to subscribe to authenticated feed"
        await socket.send_json(
            wanted | {"signed_challenge": mac(futures.TEST.secret, sha256(challenge.encode()).digest())}
        )
        assert (await receive(socket, lambda m: True))["event"] == "subscribed"
        assert (await receive(socket, lambda m: True))["feed"] == "fills_snapshot"
