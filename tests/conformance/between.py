"""A man in the middle: a WebSocket and HTTP proxy between the engine and the simulator.

It counts what passes (both ways, as the simulator's own sockets see it), keeps the first of it, and changes it on
demand. Frames are passed on as they are, and so are pings, pongs, refusals, close codes and broken connections.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Self

import aiohttp
from aiohttp import WSMsgType, web

Tamper = Callable[["Pipe", bytes], Iterable[bytes]]
"""Is given a frame on its way to the client and returns what shall come instead."""

_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-encoding", "content-length", "host"})
_KEPT = 3_000


class Pipe:
    """One connection through the proxy. Times are seconds of the monotonic clock."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.opened_s = time.monotonic()
        self.closed_s: float | None = None
        self.code: int | None = None  # with which the simulator closed it; 1006: it broke
        self.reason = ""
        self.sent_s: list[float] = []  # when the client sent something, pings and pongs included
        self.sent: list[str] = []  # its text messages
        self.received: deque[bytes] = deque(maxlen=_KEPT)  # frames as the simulator sent them
        self.frames = 0
        self._down: web.WebSocketResponse | None = None

    async def inject(self, raw: bytes, *, binary: bool = False) -> None:
        """Send the client a frame that the simulator did not send."""
        if self._down is not None and not self._down.closed:
            await self._down.send_frame(raw, WSMsgType.BINARY if binary else WSMsgType.TEXT)


class Proxy:
    """Listens on loopback, on a free port. ``upstream`` is ``host:port`` of the simulator; frames that hold one of
    ``names`` are counted by it."""

    def __init__(self, upstream: str, names: Iterable[str] = ()) -> None:
        self.upstream = upstream
        self.named = dict.fromkeys(names, 0)
        self.port = 0
        self.pipes: list[Pipe] = []
        self.attempts_s: list[tuple[float, str]] = []  # every try to connect, and its path
        self.refusals: list[int] = []  # HTTP status of those the simulator did not let in
        self.answers: list[tuple[str, int, bytes]] = []  # path with query, status, body
        self.tamper: Tamper | None = None
        self.kick = False  # connections are accepted and closed at once
        self._ending = asyncio.Event()
        self._serving = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._runner: web.AppRunner | None = None
        self._client: aiohttp.ClientSession | None = None

    async def start(self) -> Self:
        app = web.Application(client_max_size=1 << 26)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._client = aiohttp.ClientSession(auto_decompress=False)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.3)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = int(self._runner.addresses[0][1])
        return self

    async def stop(self) -> None:
        """Sockets end by themselves first: a server that has to cancel its handlers may leave their transports open."""
        self._ending.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                await self._idle.wait()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._client is not None:
            await self._client.close()

    @property
    def open(self) -> list[Pipe]:
        return [pipe for pipe in self.pipes if pipe.closed_s is None]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self._serving += 1
        self._idle.clear()
        try:
            if request.headers.get("Upgrade", "").lower() == "websocket":
                return await self._socket(request)
            return await self._forward(request)
        finally:
            self._serving -= 1
            if not self._serving:
                self._idle.set()

    # HTTP

    async def _forward(self, request: web.Request) -> web.Response:
        assert self._client is not None
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
        try:
            async with self._client.request(
                request.method,
                f"http://{self.upstream}{request.raw_path}",
                headers=headers,
                data=await request.read(),
                allow_redirects=False,
            ) as answer:
                body = await answer.read()
                self.answers.append((request.raw_path, answer.status, body))
                kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP}
                return web.Response(status=answer.status, body=body, headers=kept)
        except aiohttp.ClientError:
            return web.Response(status=502)

    # WebSocket

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        assert self._client is not None
        self.attempts_s.append((time.monotonic(), request.path))
        if self.kick:
            down = web.WebSocketResponse(autoping=False)
            with contextlib.suppress(ConnectionError):  # it has gone by itself
                await down.prepare(request)
                await down.close(code=1001, message=b"kicked")
            return down
        headers = {name: value for name, value in request.headers.items() if name.lower().startswith("x-")}
        try:
            up = await self._client.ws_connect(
                f"ws://{self.upstream}{request.raw_path}", autoping=False, max_msg_size=0, headers=headers
            )
        except aiohttp.WSServerHandshakeError as error:
            self.refusals.append(error.status)
            return web.Response(status=error.status)
        except aiohttp.ClientError:
            return web.Response(status=502)
        down = web.WebSocketResponse(autoping=False, max_msg_size=0, compress=False)
        try:
            await down.prepare(request)
        except ConnectionError:  # the client did not wait
            await up.close()
            return down
        pipe = Pipe(request.raw_path)
        pipe._down = down
        self.pipes.append(pipe)
        ways = [
            asyncio.create_task(self._downwards(pipe, up, down)),
            asyncio.create_task(self._upwards(pipe, down, up)),
            asyncio.create_task(self._ending.wait()),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            pipe.closed_s = time.monotonic()
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            pipe.code = up.close_code if ways[0].done() and not ways[0].cancelled() else None
            if pipe.code == 1006 and request.transport is not None:
                request.transport.abort()
            elif pipe.code is not None:
                await down.close(code=pipe.code, message=pipe.reason.encode())
            await up.close()
        return down

    async def _downwards(self, pipe: Pipe, up: aiohttp.ClientWebSocketResponse, down: web.WebSocketResponse) -> None:
        while True:
            message = await up.receive()
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                raw = message.data.encode() if isinstance(message.data, str) else message.data
                pipe.frames += 1
                pipe.received.append(raw)
                for name in self.named:
                    self.named[name] += name.encode() in raw
                for out in self.tamper(pipe, raw) if self.tamper is not None else (raw,):
                    await _send(down, out, message.type)
            elif message.type in (WSMsgType.PING, WSMsgType.PONG):
                await _send(down, message.data, message.type)
            else:
                pipe.reason = message.extra or "" if message.type is WSMsgType.CLOSE else ""
                return

    async def _upwards(self, pipe: Pipe, down: web.WebSocketResponse, up: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            message = await down.receive()
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.PING, WSMsgType.PONG):
                return
            pipe.sent_s.append(time.monotonic())
            if message.type is WSMsgType.TEXT:
                pipe.sent.append(message.data)
            data = message.data.encode() if isinstance(message.data, str) else bytes(message.data)
            await _send(up, data, message.type)


async def _send(socket: Any, data: bytes, kind: WSMsgType) -> None:
    """A frame as it is; whoever has gone does not get it."""
    try:
        await socket.send_frame(bytes(data), kind)
    except (ConnectionError, aiohttp.ClientConnectionResetError):
        return
