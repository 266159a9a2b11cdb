"""The simulated Alpaca, read with plain JSON and dictionaries: it speaks as documented."""

import asyncio
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest

from feeds.simulator import DATA_KEY, DATA_SECRET
from feeds.simulator.alpaca.listing import LISTING
from tests.feeds.simulator_help import collect, receive, simulator

FEW = tuple(each for each in LISTING if each.symbol in {"BTC/USD", "ETH/USD", "DOT/USD", "LTC.US/USD", "SOL.US/USD"})
CRYPTO, STOCKS = "/alpaca/v1beta3/crypto/us", "/alpaca/v2/iex"
LOGIN = {"action": "auth", "key": DATA_KEY, "secret": DATA_SECRET}
KEY = {"APCA-API-KEY-ID": DATA_KEY, "APCA-API-SECRET-KEY": DATA_SECRET}


def kinds(*wanted: str):
    return lambda body: body[0]["T"] in wanted


@asynccontextmanager
async def logged_in(client: Any, path: str = CRYPTO):
    async with client.socket(path) as socket:
        assert await receive(socket, lambda _: True) == [{"T": "success", "msg": "connected"}]
        await socket.send_json(LOGIN)
        assert await receive(socket, lambda _: True) == [{"T": "success", "msg": "authenticated"}]
        yield socket


async def ask(socket: Any, **message: Any) -> dict[str, Any]:
    await socket.send_json(message)
    return (await receive(socket, kinds("subscription", "error")))[0]


def test_the_listing():
    assert len(LISTING) >= 10
    assert len({each.symbol for each in LISTING}) == len(LISTING), "a stock is not the coin of its name"


async def test_login():
    async with simulator(instruments=FEW) as client:
        async with client.socket(CRYPTO) as socket:
            assert (await ask(socket, action="subscribe", trades=["BTC/USD"]))["code"] == 401
            answer = await ask(socket, action="auth", key=DATA_KEY, secret="wrong")
            assert answer == {"T": "error", "code": 402, "msg": "auth failed"}
            with pytest.raises(AssertionError, match="the connection ended"):
                await receive(socket, lambda _: False)
        async with logged_in(client) as socket:
            assert (await ask(socket, **LOGIN))["code"] == 403
            async with client.socket(CRYPTO) as second:
                assert (await ask(second, **LOGIN))["code"] == 406
            async with logged_in(client, STOCKS):
                pass  # another endpoint
            assert (await ask(socket, action="subscribe", bars=["BTC/USD"]))["T"] == "subscription", "the first lives"


async def test_who_does_not_log_in_is_sent_away(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("feeds.simulator.alpaca.sockets.LOGIN_S", 0.2)
    async with simulator(instruments=FEW) as client, client.socket(CRYPTO) as socket:
        assert (await receive(socket, kinds("error")))[0]["msg"] == "auth timeout"


async def test_subscriptions():
    async with simulator(instruments=LISTING) as client, logged_in(client) as socket:
        first = await ask(socket, action="subscribe", trades=["BTC/USD"], orderbooks=["BTC/USD"])
        assert (first["trades"], first["orderbooks"], first["bars"]) == (["BTC/USD"], ["BTC/USD"], [])
        second = await ask(socket, action="subscribe", bars=["*"])
        assert (second["trades"], second["bars"]) == (["BTC/USD"], ["*"])
        third = await ask(socket, action="unsubscribe", trades=["BTC/USD"], quotes=["ETH/USD"])
        assert (third["trades"], third["orderbooks"]) == ([], ["BTC/USD"])
        for wrong in ({"action": "dance"}, {"action": "subscribe", "books": ["BTC/USD"]}):
            assert (await ask(socket, **wrong))["code"] == 400
        assert (await ask(socket, action="subscribe", trades=["NO/SUCH"]))["code"] == 400
        pairs = [each.native for each in LISTING if each.product == "crypto"]
        assert (await ask(socket, action="subscribe", orderbooks=[*pairs, "*"]))["code"] == 405
        unchanged = await ask(socket, action="unsubscribe", quotes=["ETH/USD"])
        assert unchanged["orderbooks"] == ["BTC/USD"]


async def test_a_book_followed_with_dictionaries_is_the_engine_s():
    async with simulator(instruments=FEW) as client, logged_in(client) as socket:
        await ask(socket, action="subscribe", orderbooks=["BTC/USD"])
        (whole,) = await receive(socket, kinds("o"))
        assert whole["r"] is True
        sides = {side: {row["p"]: row["s"] for row in whole[side]} for side in "ba"}
        for _ in range(15):
            for message in await receive(socket, kinds("o")):
                assert "r" not in message
                for side in "ba":
                    for row in message[side]:
                        sides[side][row["p"]] = row["s"]
                    sides[side] = {price: size for price, size in sides[side].items() if size}
                assert max(sides["b"]) < min(sides["a"])
        client.server.beat = lambda now_ms: None
        for message in [m for body in await collect(socket, 0.3) for m in body]:
            for side in "ba":
                sides[side].update({row["p"]: row["s"] for row in message[side]})
        market = client.server.market.markets["alpaca", "crypto", "BTC/USD"]
        i = market.instrument
        for side, engine in (("b", market.engine.bids), ("a", market.engine.asks)):
            ours = {Decimal(price): Decimal(size) for price, size in sides[side].items() if size}
            assert ours == {price * i.tick: size * i.lot for price, size in engine.totals.items()}
        rest = await client.get(f"{CRYPTO}/latest/orderbooks", symbols="BTC/USD")
        assert rest["orderbooks"]["BTC/USD"]["b"][0]["p"] == float(max(sides["b"]))


async def test_stocks_have_quotes_and_trades_only():
    async with simulator(instruments=FEW) as client, logged_in(client, STOCKS) as socket:
        assert (await ask(socket, action="subscribe", orderbooks=["LTC"]))["code"] == 400
        await ask(socket, action="subscribe", quotes=["LTC"], trades=["LTC"])
        (quote,) = await receive(socket, kinds("q"))
        assert quote["S"] == "LTC" and quote["bp"] < quote["ap"] and quote["z"] == "C" and quote["c"] == ["R"]
        trade = (await receive(socket, kinds("t")))[0]
        assert "tks" not in trade and trade["x"] == "V"


async def test_rest_and_its_keys():
    async with simulator(instruments=FEW) as client:
        status, body, _ = await client.ask("GET", "/alpaca/v2/assets", asset_class="crypto")
        assert (status, body) == (401, {"message": "unauthorized."})
        assert (await client.ask("GET", "/alpaca/v2/stocks/quotes/latest", symbols="LTC"))[0] == 401
        async with client.session.get(f"{client.base}/alpaca/v2/assets?asset_class=us_equity", headers=KEY) as answer:
            assert {each["symbol"] for each in await answer.json()} == {"LTC", "SOL"}
        page = await client.get(f"{CRYPTO}/bars", symbols="ETH/USD", timeframe="1Min", start="2020-01-01", limit=3)
        first = page["bars"]["ETH/USD"]
        token = page["next_page_token"]
        again = await client.get(
            f"{CRYPTO}/bars", symbols="ETH/USD", timeframe="1Min", start="2020-01-01", limit=3, page_token=token
        )
        second = again["bars"]["ETH/USD"]
        assert len(first) == len(second) == 3 and first[-1]["t"] < second[0]["t"]
        for wrong in ({"timeframe": "5Parsec"}, {"timeframe": "1Min", "limit": 0}, {"timeframe": "1Min", "start": "x"}):
            status, body, _ = await client.ask("GET", f"{CRYPTO}/bars", symbols="ETH/USD", **wrong)
            assert status == 400 and body["message"]


async def test_faults():
    async with simulator(instruments=FEW) as client:

        async def strike(**fault: Any) -> None:
            await client.post("/__sim/faults", {"exchange": "alpaca", **fault})

        async with logged_in(client) as socket:
            await strike(kind="reject", symbol="ETH/USD")
            assert (await ask(socket, action="subscribe", trades=["BTC/USD", "ETH/USD"]))["code"] == 409
            await client.session.delete(f"{client.base}/__sim/faults")
            await strike(kind="no_ack", count=1)
            await socket.send_json({"action": "subscribe", "trades": ["BTC/USD"]})
            assert (await ask(socket, action="subscribe", orderbooks=["BTC/USD"]))["trades"] == []
            await strike(kind="crossed", symbol="BTC/USD")
            async with asyncio.timeout(10):
                bids, asks = {}, {}
                while not bids or not asks or max(bids) < min(asks):
                    for message in await receive(socket, kinds("o")):
                        bids.update({row["p"]: row["s"] for row in message["b"]})
                        asks.update({row["p"]: row["s"] for row in message["a"]})
                        bids, asks = ({p: s for p, s in side.items() if s} for side in (bids, asks))
            await strike(kind="status", value=429, count=1)
            status, _, headers = await client.ask("GET", f"{CRYPTO}/latest/quotes", symbols="BTC/USD")
            assert status == 429 and int(headers["X-RateLimit-Reset"]) > 0
            await strike(kind="shutdown")
            assert (await receive(socket, kinds("error")))[0]["code"] == 407
