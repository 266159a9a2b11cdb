"""An exchange that asks to wait, asked to place an order: which of its answers make certain that there is none."""

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from aiohttp import web

from feeds.account import AccountSpec, Credentials
from feeds.accounts import REGISTRY
from feeds.domain import StreamState
from feeds.errors import ExchangeError, NotSent, RateLimited, TransportError
from feeds.exchange import Budget, MarketIndex, Request
from feeds.exchanges import create
from feeds.following import trader as module
from feeds.following.signed_rest import SignedRest
from feeds.following.trader import Trader
from feeds.rest import Answer, RestClient
from feeds.tickets import Wish
from feeds.trading import TradingApi
from tests.feeds.okx_world import Account, followed
from tests.feeds.peer import no_task_left  # noqa: F401 - a fixture
from tests.feeds.test_rest import Host
from tests.feeds.test_trader import Tickets

KEY = Credentials("key", "c2VjcmV0", "words")

ANSWERS: list[tuple[str, int, Any, bool]] = [
    ("alpaca", 429, {"message": "too many requests."}, False),
    ("binance", 429, {"code": -1003, "msg": "Too much request weight used; current limit is 6000"}, False),
    ("binance", 429, {"code": -1015, "msg": "Too many new orders; current limit is 50 orders per TEN_SECOND."}, False),
    ("binance", 418, {"code": -1003, "msg": "Way too much request weight used; IP banned until 1659146400000."}, False),
    ("binance", 408, {"code": -1007, "msg": "Timeout waiting for response from backend server."}, True),
    ("binance", 400, {"code": -1006, "msg": "An unexpected response was received. Execution status unknown."}, True),
    ("binance", 503, {"code": -1003, "msg": "Too many requests queued."}, True),
    ("binance", 503, "Unknown error, please check your request or try again later.", True),
    ("bybit", 200, {"retCode": 10006, "retMsg": "Too many visits! Exceeded the API Rate Limit."}, False),
    ("bybit", 200, {"retCode": 10018, "retMsg": "Exceeded the IP Rate Limit."}, False),
    ("bybit", 403, "access too frequent", False),
    ("bybit", 200, {"retCode": 429, "retMsg": "The trading service is experiencing a high server load."}, True),
    ("bybit", 429, "System level frequency protection.", True),
    ("bybit", 200, {"retCode": 10016, "retMsg": "Internal server error"}, True),
    ("bybit", 200, {"retCode": 170146, "retMsg": "Order creation timeout"}, True),
    ("coinbase", 429, {"errors": [{"id": "rate_limit_exceeded", "message": "Too many requests"}]}, False),
    ("coinbase", 429, {"error": "RESOURCE_EXHAUSTED", "message": "resource exhausted"}, True),
    ("coinbase", 429, "Too Many Requests", True),
    ("kraken", 200, {"error": ["EAPI:Rate limit exceeded"]}, False),
    ("kraken", 200, {"error": ["EOrder:Rate limit exceeded"]}, False),
    ("kraken", 200, {"error": ["EService: Throttled: 1700000000"]}, False),
    ("kraken", 200, {"error": ["EGeneral:Temporary lockout"]}, False),
    ("kraken", 200, {"error": ["EService:Unavailable"]}, True),
    ("kraken", 200, {"error": ["EService:Busy"]}, True),
    ("kraken", 429, "<html>429</html>", True),
    ("krakenfutures", 200, {"result": "error", "error": "apiLimitExceeded", "serverTime": "x"}, False),
    ("krakenfutures", 429, "<html>429</html>", True),
    ("krakenfutures", 200, {"result": "error", "error": "unavailable", "serverTime": "x"}, True),
    ("lmex", 429, {"status": 429, "errorCode": 429, "message": "TOO_MANY_REQUESTS"}, False),
    ("lmex", 451, {"status": 451, "errorCode": 451, "message": "BANNED"}, False),
    ("lmex", 200, {"code": -22, "msg": "too many", "data": None, "success": False}, True),
    ("okx", 429, {"code": "50011", "msg": "Rate limit reached.", "data": []}, False),
    ("okx", 200, {"code": "50011", "msg": "Rate limit reached.", "data": []}, False),
    ("okx", 429, {"code": "50061", "msg": "Sub-account order rate limit", "data": []}, False),
    ("okx", 429, {"code": "50013", "msg": "Systems are busy. Please try again later.", "data": []}, True),
    ("okx", 429, "Too Many Requests", True),
    ("okx", 200, {"code": "50004", "msg": "API endpoint request timeout", "data": []}, True),
]
"""Exchange, HTTP status and body of its answer to a new order; may the order stand?"""


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    host = Host(lambda request: web.Response())
    await host.server.start_server()
    yield host
    await host.server.close()


@pytest.mark.parametrize(("exchange", "status", "body", "stands"), ANSWERS)
async def test_what_is_answered_may_stand_or_not(
    host: Host, exchange: str, status: int, body: Any, stands: bool
) -> None:
    """The answer goes the whole way: HTTP, the adapter's error, the account's side."""

    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=status, text=body if isinstance(body, str) else json.dumps(body))

    host.handler = handler
    adapter = create(exchange)
    spec = AccountSpec(id=1, exchange=exchange, label="Main", credentials=KEY, products=adapter.products, trading=True)
    api = REGISTRY[exchange](spec, MarketIndex(), adapter.endpoints)
    assert isinstance(api, TradingApi)
    rest = RestClient("x", {"spot": host.base}, {"spot": Budget(limit=100, per_s=60)}, adapter.error_of)
    try:
        with pytest.raises((ExchangeError, TransportError)) as caught:
            await rest.send(Request(path="/order", method="POST", product="spot"), prepare=lambda request: request)
    finally:
        await rest.close()
    error = caught.value
    assert not isinstance(error, NotSent)
    if isinstance(error, ExchangeError | RateLimited):
        assert api.leaves_open(error) is stands
    else:
        assert stands  # no answer at all: it is always looked for


def test_every_exchange_that_trades_is_in_the_table() -> None:
    assert {exchange for exchange, *_ in ANSWERS} == set(REGISTRY)


async def test_own_limits_send_nothing(host: Host) -> None:
    """Of a request that waits in vain for our own budget, or behind an exchange's own "wait", it is said so."""
    adapter = create("binance")
    spec = AccountSpec(id=1, exchange="binance", label="Main", credentials=KEY, products=("spot",), trading=True)
    api = REGISTRY["binance"](spec, MarketIndex(), adapter.endpoints)

    async def limited(request: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": "30"})

    host.handler = limited
    rest = RestClient("binance", {"spot": host.base}, {"spot": Budget(limit=10, per_s=60)}, adapter.error_of)
    try:
        signed = SignedRest("binance", api, rest)
        order = Request(path="/api/v3/order", method="POST", product="spot")
        with pytest.raises(NotSent):  # the clock is asked for first, and that is answered so
            await signed.ask(order, urgent=True, max_wait_s=1.0)
        with pytest.raises(NotSent):
            await signed.ask(order, urgent=True, max_wait_s=1.0)
        with pytest.raises(NotSent):
            await rest.send(msgspec.structs.replace(order, weight=11), max_wait_s=0.1)
    finally:
        await rest.close()
    assert {request.path for request in host.got} == {"/api/v3/time"}


class Busy:
    """Of the answers to new orders, the first is another one than OKX gave. ``before``: nor did OKX get it."""

    def __init__(
        self, account: Account, monkeypatch: pytest.MonkeyPatch, body: dict[str, Any], *, before: bool
    ) -> None:
        self.left = 1
        exchange_bytes = account.rest._exchange_bytes

        async def through(host: Any, request: Request, sent_ns: int) -> Answer:
            replaced = request.path == "/api/v5/trade/order" and request.method == "POST" and self.left > 0
            if replaced and before:
                self.left -= 1
                return Answer(raw=json.dumps(body).encode(), status=429, sent_ns=sent_ns, recv_ns=sent_ns, headers={})
            answer = await exchange_bytes(host, request, sent_ns)
            if replaced:
                self.left -= 1
                answer = msgspec.structs.replace(answer, status=429, raw=json.dumps(body).encode())
            return answer

        monkeypatch.setattr(account.rest, "_exchange_bytes", through)


@pytest.mark.parametrize(
    ("code", "before", "state"), [("50013", False, "placed"), ("50013", True, "absent"), ("50011", True, "refused")]
)
async def test_okx_is_busy(monkeypatch: pytest.MonkeyPatch, code: str, before: bool, state: str) -> None:
    """Told "busy", the order may stand: it is looked for, and a second click for the same order finds the first."""
    monkeypatch.setattr(module, "LATE_S", 0.2)
    async with followed() as account:
        await account.live()
        Busy(account, monkeypatch, {"code": code, "msg": "Systems are busy.", "data": []}, before=before)
        follower = account.follower
        market = account.client.server.market.markets["okx", "spot", "BTC-USDT"]
        price = (int(market.mid()) * 7 // 10) * market.instrument.tick
        wish = Wish(symbol="BTC/USDT", side="buy", size=Decimal("0.01"), price=price)
        trader = Trader(
            msgspec.structs.replace(follower.spec, trading=True),
            account.api,
            follower.rest,
            follower.journal,
            account.api._markets,
            Tickets(),
            state=lambda: StreamState.LIVE,
            on_orders=lambda: None,
            delays=lambda: iter(lambda: 0.05, None),
        )
        ticket = await trader.place("k1", wish)
        desk = account.account.desks["spot"]
        placed = [order.client_id for order in desk.history()]
        assert (ticket.state, placed) == (state, [ticket.client_id] if state == "placed" else [])
        again = await trader.place("k1", wish)
        assert again.state == ("refused" if state == "refused" else "placed")
        assert len(desk.history()) == (state != "refused")
