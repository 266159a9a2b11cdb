"""What the simulator's tests share: a small, quick server, and clients that read it without the project's adapters."""

import asyncio
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from feeds.simulator import Settings, SimulatorServer
from feeds.simulator.keys import TEST_KEY, TEST_SECRET
from feeds.simulator.settings import FIRST
from feeds.simulator.venues import listings

FEW = tuple(
    each
    for each in listings(FIRST)
    if (each.venue, each.product, each.native)
    in {
        ("binance", "spot", "BTCUSDT"),
        ("binance", "spot", "ETHUSDT"),
        ("binance", "usdm", "BTCUSDT"),
        ("binance", "usdm", "ETHUSDT"),
        ("kraken", "spot", "BTC/USD"),
        ("kraken", "spot", "DOGE/USD"),
    }
)
"""Enough markets for a test, and a quick start."""


class Client:
    """A running simulator and an HTTP session. Paths are relative to the server's root."""

    def __init__(self, server: SimulatorServer, session: aiohttp.ClientSession) -> None:
        self.server = server
        self.session = session
        self.base = f"http://127.0.0.1:{server.port}"

    async def get(self, path: str, **params: Any) -> Any:
        """The body of a good answer."""
        status, body, _ = await self.ask("GET", path, **params)
        assert status == 200, body
        return body

    async def ask(self, method: str, path: str, **params: Any) -> tuple[int, Any, Any]:
        """Status, decoded body, headers."""
        async with self.session.request(method, self.base + path, params=params) as answer:
            return answer.status, await answer.json(content_type=None), answer.headers

    async def post(self, path: str, body: dict[str, Any]) -> Any:
        async with self.session.post(self.base + path, json=body) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def signed(
        self,
        method: str,
        path: str,
        params: dict[str, Any] | None = None,
        *,
        key: str = TEST_KEY,
        secret: str = TEST_SECRET,
        in_body: bool = False,
        shift_ms: int = 0,
    ) -> tuple[int, Any]:
        """A signed Binance request: status and body."""
        text = urlencode({**(params or {}), "timestamp": int(time.time() * 1000) + shift_ms})
        text += "&signature=" + hmac.new(secret.encode(), text.encode(), sha256).hexdigest()
        headers = {"X-MBX-APIKEY": key}
        url = self.base + path
        if in_body:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            request = self.session.request(method, url, data=text, headers=headers)
        else:
            request = self.session.request(method, URL(f"{url}?{text}", encoded=True), headers=headers)
        async with request as answer:
            return answer.status, await answer.json(content_type=None)

    def socket(self, path: str) -> Any:
        return self.session.ws_connect(f"ws://127.0.0.1:{self.server.port}{path}", autoping=True, max_msg_size=0)


@asynccontextmanager
async def simulator(**settings: Any) -> AsyncIterator[Client]:
    """A quick simulator without the demo trader, unless ``settings`` say otherwise."""
    values = {"instruments": FEW, "trader": False, **settings}
    server = await SimulatorServer(Settings(**values)).start(0)
    try:
        async with aiohttp.ClientSession() as session:
            yield Client(server, session)
    finally:
        await server.stop()


async def receive(socket: Any, wanted: Callable[[Any], bool], timeout_s: float = 10.0) -> Any:
    """The next message that is wanted; others are dropped. Raises AssertionError if the socket ends before."""
    async with asyncio.timeout(timeout_s):
        while True:
            body = await _next(socket)
            if wanted(body):
                return body


async def collect(socket: Any, seconds: float) -> list[Any]:
    """All messages of the next seconds."""
    result: list[Any] = []
    try:
        async with asyncio.timeout(seconds):
            while True:
                result.append(await _next(socket))
    except TimeoutError:
        return result


async def _next(socket: Any) -> Any:
    message = await socket.receive()
    assert message.type is aiohttp.WSMsgType.TEXT, f"the connection ended: {message}"
    return json.loads(message.data, parse_float=Decimal)
