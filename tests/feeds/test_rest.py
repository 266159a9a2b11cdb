"""The HTTP client, against a real server on this machine."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl

import pytest
import structlog.testing
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from feeds.errors import CredentialsError, ExchangeError, FeedError, RateLimited, TransportError
from feeds.exchange import Budget, Request
from feeds.rest import Answer, RestClient, encode, rest_bases
from tests.feeds.peer import no_task_left, until

__all__ = ["no_task_left"]

BUDGET = Budget(limit=6000, per_s=60, used_header="X-MBX-USED-WEIGHT-1M")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def ok(request: web.Request) -> web.Response:
    return web.json_response({"ok": True})


def error_of(status: int, raw: bytes, headers: Mapping[str, str]) -> Exception | None:
    """Like Binance's: a negative code in the body is an error."""
    try:
        body = json.loads(raw)
    except ValueError:
        return None
    code = body.get("code", 0) if isinstance(body, dict) else 0
    if code == -2015:
        return CredentialsError(body["msg"], code)
    if code == -1003:
        return RateLimited(body["msg"], 7)
    return ExchangeError(body["msg"], code) if code < 0 else None


class Host:
    """A server and what it got."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.got: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.got_s: list[float] = []
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._handle)
        self.server = TestServer(app)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.got.append(request)
        self.got_s.append(time.monotonic())
        self.bodies.append(await request.read())
        return await self.handler(request)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"


@asynccontextmanager
async def client(handler: Handler = ok, **options: Any) -> AsyncIterator[tuple[RestClient, Host]]:
    host = Host(handler)
    await host.server.start_server()
    bases = {"spot": host.base + "/prefix/", "usdm": host.base}
    budgets = options.pop("budgets", {"spot": BUDGET, "usdm": BUDGET})
    rest = RestClient("testex", bases, budgets, error_of, **options)
    try:
        yield rest, host
    finally:
        await rest.close()
        await host.server.close()


def get(path: str = "/x", **fields: Any) -> Request:
    return Request(path=path, **({"product": "spot"} | fields))


# What is sent

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(st.lists(st.tuples(text, text), max_size=5))
def test_encoding_can_be_read_back_and_leaves_nothing_to_requote(params: list[tuple[str, str]]) -> None:
    encoded = encode(params)
    assert encoded.isascii()
    assert parse_qsl(encoded, keep_blank_values=True, strict_parsing=bool(encoded)) == params
    assert not set(encoded) & set(" +/?#[]@!$'()*,;:<>\"")


def test_encoding_of_what_exchanges_get() -> None:
    assert encode([("symbols", '["BTCUSDT","ETHUSDT"]')]) == "symbols=%5B%22BTCUSDT%22%2C%22ETHUSDT%22%5D"
    assert encode([("b", "1"), ("a", "x y+z"), ("s", "币安")]) == "b=1&a=x%20y%2Bz&s=%E5%B8%81%E5%AE%89"
    assert encode([]) == ""


async def test_the_bytes_sent_are_the_bytes_encoded() -> None:
    params = (("symbols", '["BTCUSDT"]'), ("a", "x y+z/%2F~'()*"), ("signature", "ab+/=="), ("empty", ""))
    async with client() as (rest, host):
        await rest.send(get("/api/v3/x", params=params, headers=(("X-MBX-APIKEY", "k"),)))
        await rest.send(get("/api/v3/x", params=params, method="POST", body=True))
        await rest.send(get("/api/v3/x", params=params, method="DELETE"))
        await rest.send(get("/fapi/v1/time", product="usdm"))
        first, second, third, last = host.got
        assert first.raw_path == f"/prefix/api/v3/x?{encode(params)}"
        assert first.headers["X-MBX-APIKEY"] == "k"
        assert first.headers["User-Agent"] == "Spreadboard"
        assert second.raw_path == "/prefix/api/v3/x"
        assert host.bodies[1] == encode(params).encode()
        assert second.headers["Content-Type"] == "application/x-www-form-urlencoded"
        assert (third.method, third.raw_path) == ("DELETE", f"/prefix/api/v3/x?{encode(params)}")
        assert last.raw_path == "/fapi/v1/time"


async def test_the_answer() -> None:
    before_ns = time.time_ns()
    async with client() as (rest, _):
        answer = await rest.send(get())
        assert isinstance(answer, Answer)
        assert (answer.raw, answer.status) == (b'{"ok": true}', 200)
        assert answer.headers["content-type"].startswith("application/json")
        assert before_ns <= answer.sent_ns <= answer.recv_ns <= time.time_ns()


async def test_prepare_is_called_after_the_wait() -> None:
    budget = Budget(limit=10, per_s=1)
    prepared_s: list[float] = []

    def sign(request: Request) -> Request:
        prepared_s.append(time.monotonic())
        return Request(path=request.path, product=request.product, params=(("signature", "s"),), weight=99)

    async with client(budgets={"spot": budget, "usdm": budget}) as (rest, host):
        await asyncio.gather(*(rest.send(get(weight=5), prepare=sign) for _ in range(3)))
        assert [request.query_string for request in host.got] == ["signature=s"] * 3
        assert prepared_s[2] - prepared_s[0] > 0.5, "at least into the third window"


def test_bases_of_endpoints() -> None:
    endpoints = {"spot.rest": "https://a", "usdm.rest": "https://b", "spot.ws": "wss://c", "spot.ws_api": "wss://d"}
    assert rest_bases(endpoints) == {"spot": "https://a", "usdm": "https://b"}


async def test_a_product_without_host_or_budget() -> None:
    async with client() as (rest, _):
        with pytest.raises(ValueError, match="no host for product 'coinm'"):
            await rest.send(get(product="coinm"))
    with pytest.raises(ValueError, match="no budget for spot"):
        RestClient("testex", {"spot": "http://127.0.0.1"}, {}, error_of)


# What goes wrong


async def test_errors_of_the_exchange() -> None:
    async def refuse(request: web.Request) -> web.Response:
        return web.json_response({"code": int(request.query["code"]), "msg": "no"}, status=400)

    async with client(refuse) as (rest, _):
        with pytest.raises(ExchangeError) as refused:
            await rest.send(get(params=(("code", "-1121"),)))
        assert refused.value.code == -1121
        with pytest.raises(CredentialsError):
            await rest.send(get(params=(("code", "-2015"),)))


@pytest.mark.parametrize("status", [301, 403, 404, 500, 503])
async def test_statuses_that_say_nothing_more(status: int) -> None:
    async def fail(request: web.Request) -> web.Response:
        return web.Response(status=status, text="<html>no</html>", headers={"Location": "/elsewhere"})

    async with client(fail) as (rest, host):
        with pytest.raises(TransportError, match=f"testex GET /x: HTTP {status} <html>no") as failed:
            await rest.send(get(params=(("signature", "SECRET"),)))
        assert "SECRET" not in str(failed.value)
        assert len(host.got) == 1, "redirects are not followed"


async def test_an_error_that_is_none_of_ours_is_wrapped() -> None:
    async with client() as (rest, _):
        rest._error_of = lambda *_: KeyError("surprise")
        with pytest.raises(ExchangeError, match="surprise"):
            await rest.send(get())


async def test_no_answer_in_time() -> None:
    async def hang(request: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    async with client(hang, timeout_s=0.5) as (rest, host):
        with pytest.raises(TransportError, match=r"testex GET /x: no answer within 0\.5 s"):
            await rest.send(get())
        host.handler = ok
        assert (await rest.send(get())).status == 200


async def test_a_dropped_connection() -> None:
    async def drop(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with client(drop) as (rest, _):
        with pytest.raises(TransportError) as failed:
            await rest.send(get(params=(("listenKey", "SECRET"),)))
        assert "SECRET" not in f"{failed.value} {failed.value.__cause__}"


async def test_nobody_listens() -> None:
    async with client() as (rest, host):
        await host.server.close()
        with pytest.raises(TransportError, match="testex GET /x: "):
            await rest.send(get())


async def test_a_wrong_base_is_no_surprise() -> None:
    rest = RestClient("testex", {"spot": "nonsense"}, {"spot": BUDGET}, error_of)
    with pytest.raises(TransportError):
        await rest.send(get(params=(("signature", "SECRET"),)))
    await rest.close()


async def test_trouble_is_logged_once_and_its_end_once() -> None:
    async def fail(request: web.Request) -> web.Response:
        return web.Response(status=503)

    with structlog.testing.capture_logs() as logs:
        async with client(fail) as (rest, host):
            for _ in range(3):
                with pytest.raises(FeedError):
                    await rest.send(get(params=(("signature", "SECRET"),)))
            host.handler = ok
            await rest.send(get())
            await rest.send(get())
            usage = rest.usage()["spot"]
            assert (usage["requests"], usage["failures"]) == (5, 3)
    assert [entry["event"] for entry in logs] == ["rest fails", "rest works again"]
    assert logs[0]["exchange"] == "testex"
    assert logs[0]["product"] == "spot"
    assert logs[1]["failed"] == 3
    assert "SECRET" not in str(logs)


# Too many requests


@pytest.mark.parametrize("status", [429, 418])
async def test_retry_after_stops_the_whole_product(status: int) -> None:
    async def limit_first(request: web.Request) -> web.Response:
        if len(host.got) == 1:
            return web.Response(status=status, headers={"Retry-After": "1"})
        return web.json_response({})

    async with client(limit_first) as (rest, host):
        with pytest.raises(RateLimited) as limited:
            await rest.send(get())
        assert limited.value.retry_after_s == 1
        assert 0 < rest.usage()["spot"]["blocked_s"] <= 1
        await rest.send(get(product="usdm"))  # another budget
        await asyncio.gather(rest.send(get()), rest.send(get(), urgent=True))
        assert host.got_s[1] - host.got_s[0] < 0.5
        assert min(host.got_s[2:]) - host.got_s[0] >= 1


async def test_the_exchange_says_how_long_in_the_body() -> None:
    async def ban(request: web.Request) -> web.Response:
        return web.json_response({"code": -1003, "msg": "too much"}, status=418, headers={"Retry-After": "3"})

    async with client(ban, max_wait_s=2) as (rest, host):
        with pytest.raises(RateLimited, match="too much") as limited:
            await rest.send(get())
        assert limited.value.retry_after_s == 7, "the longer of the two"
        with pytest.raises(RateLimited) as again:
            await rest.send(get())
        assert 6 < again.value.retry_after_s <= 7
        assert len(host.got) == 1, "a wait beyond max_wait_s is not waited for"


async def test_a_limit_told_with_status_200() -> None:
    """Kraken's way."""

    async def limit(request: web.Request) -> web.Response:
        return web.json_response({"code": -1003, "msg": "EAPI:Rate limit exceeded"})

    async with client(limit) as (rest, _):
        with pytest.raises(RateLimited):
            await rest.send(get())
        assert rest.usage()["spot"]["blocked_s"] > 6


async def test_429_without_retry_after() -> None:
    async def limit(request: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": "soon"})

    async with client(limit) as (rest, _):
        with pytest.raises(RateLimited) as limited:
            await rest.send(get())
        assert limited.value.retry_after_s == 10


# Budget


async def test_the_used_weight_header_counts_what_others_used() -> None:
    async def told(request: web.Request) -> web.Response:
        return web.json_response({}, headers={"X-MBX-USED-WEIGHT-1M": "2995"})

    budget = Budget(limit=6000, per_s=86_400, used_header="X-MBX-USED-WEIGHT-1M")
    async with client(told, budgets={"spot": budget, "usdm": budget}, max_wait_s=0.05) as (rest, host):
        await rest.send(get(weight=2))
        assert rest.usage()["spot"] == {
            "used": 2995,
            "limit": 6000,
            "allowed": 3000,
            "waiting": 0,
            "blocked_s": 0,
            "requests": 1,
            "failures": 0,
        }
        await rest.send(get(weight=5))
        with pytest.raises(RateLimited, match="used up"):
            await rest.send(get(weight=6))
        await rest.send(get(weight=6), urgent=True)
        assert len(host.got) == 3


async def test_the_budget_is_never_exceeded_and_waiting_is_in_order() -> None:
    budget = Budget(limit=20, per_s=1, share=0.5)
    async with client(budgets={"spot": budget, "usdm": budget}) as (rest, host):
        sent: list[tuple[int, str]] = []

        def note(request: Request) -> Request:
            sent.append((int(time.time()), request.path))
            return request

        await asyncio.gather(*(rest.send(get(f"/{n}", weight=4), prepare=note) for n in range(6)))
        assert [path for _, path in sent] == [f"/{n}" for n in range(6)]
        windows = [window for window, _ in sent]
        # A request in flight when a window ends is counted in the next one too, so it may be fewer.
        assert all(windows.count(window) <= 2 for window in set(windows))
        assert len(host.got) == 6


async def test_a_request_that_never_fits() -> None:
    async with client() as (rest, host):
        with pytest.raises(RateLimited, match="weight 3001 never fits into 3000"):
            await rest.send(get(weight=3001))
        assert not host.got


# Closing


async def test_close_ends_what_waits_and_what_runs() -> None:
    async def hang(request: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    budget = Budget(limit=10, per_s=86_400)
    async with client(hang, budgets={"spot": budget, "usdm": budget}) as (rest, host):
        running = asyncio.create_task(rest.send(get(weight=5)))
        waiting = asyncio.create_task(rest.send(get(weight=5)))
        await until(lambda: host.got and rest.usage()["spot"]["waiting"] == 1)
        await rest.close()
        await rest.close()
        for task in (running, waiting):
            with pytest.raises(TransportError):
                await task
        with pytest.raises(TransportError, match="closed"):
            await rest.send(get())


async def test_who_gives_up_waiting_takes_nothing_with_him() -> None:
    budget = Budget(limit=20, per_s=86_400)
    async with client(budgets={"spot": budget, "usdm": budget}) as (rest, host):
        await rest.send(get(weight=8))
        waiting = asyncio.create_task(rest.send(get(weight=5)))
        await until(lambda: rest.usage()["spot"]["waiting"] == 1)
        light = asyncio.create_task(rest.send(get("/light", weight=2)))
        await until(lambda: rest.usage()["spot"]["waiting"] == 2)
        assert len(host.got) == 1, "the light one does not overtake"
        waiting.cancel()
        await light
        assert host.got[-1].path == "/prefix/light"
        assert rest.usage()["spot"]["used"] == 10
