"""One WebSocket connection of a simulated exchange: outbox, pings, limits, and how it ends."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import structlog
from aiohttp import WSMsgType, web
from aiohttp.client_exceptions import ClientConnectionResetError

from feeds.simulator.faults import Faults

log = structlog.get_logger(__name__)

_MOST_QUEUED = 50_000


class SocketRules(msgspec.Struct, frozen=True, kw_only=True):
    """An exchange's rules for a connection; times in seconds, None: no such rule."""

    ping_s: float | None = None  # the server pings this often
    pong_s: float = 60.0  # and waits so long for the pong
    life_s: float | None = None  # no connection gets older
    idle_s: float | None = None  # closed if nothing went either way for so long
    unheard_s: float | None = None  # closed if the client sent nothing, not even a ping, for so long
    pongs: bool = True  # the client's WebSocket pings are answered
    messages_per_s: int | None = None  # more incoming messages (pings and pongs included) in a second: disconnected


class Socket:
    """A connection. ``send`` never waits: a writer task empties the outbox, and who does not read is cut off."""

    def __init__(self, rules: SocketRules, clock: Callable[[], float], delay_s: Callable[[], float]) -> None:
        self.rules = rules
        self._clock = clock
        self._ws = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=1 << 20)
        self._transport: asyncio.Transport | None = None
        self._outbox: deque[tuple[float, str | bytes | bytearray | tuple[int, str]]] = deque()
        self._wake = asyncio.Event()
        self._incoming: deque[float] = deque()
        self._pinged_s: float | None = None
        self._delay_s = delay_s
        self.opened_s = self.sent_s = self.heard_s = clock()
        self._next_ping_s = self.opened_s + (rules.ping_s or 0)

    def send(self, text: str) -> None:
        """Queue a text frame."""
        self._queue(text)

    def send_binary(self, data: bytes) -> None:
        """Queue a binary frame."""
        self._queue(bytearray(data))

    def close(self, code: int, reason: str) -> None:
        """Close after what is queued."""
        self._queue((code, reason))

    def abort(self) -> None:
        """Drop the TCP connection without a close frame."""
        if self._transport is not None:
            self._transport.abort()

    def _queue(self, item: str | bytes | bytearray | tuple[int, str]) -> None:
        """Text, a ping, a binary frame, or the end."""
        if len(self._outbox) >= _MOST_QUEUED:
            self.abort()
            return
        delay_s = self._delay_s()
        self._outbox.append((self._clock() + delay_s if delay_s else 0.0, item))
        self._wake.set()

    def tick(self) -> None:
        """Once in a while: pings, and the ends that the rules give."""
        now, rules = self._clock(), self.rules
        if rules.life_s is not None and now - self.opened_s > rules.life_s:
            self.close(1001, "connection is too old")
        elif self._pinged_s is not None and now - self._pinged_s > rules.pong_s:
            self.close(1008, "Pong timeout")
        elif rules.idle_s is not None and now - max(self.sent_s, self.heard_s) > rules.idle_s:
            self.close(1000, "idle")
        elif rules.unheard_s is not None and now - self.heard_s > rules.unheard_s:
            self.close(1001, "no ping")
        elif rules.ping_s is not None and now >= self._next_ping_s:
            self._next_ping_s = now + rules.ping_s
            self._pinged_s = self._pinged_s or now
            self._queue(str(int(now * 1000)).encode())

    async def run(self, request: web.Request, on_text: Callable[[str], None]) -> web.WebSocketResponse:
        """Serve until the connection ends."""
        ws = self._ws
        try:
            await ws.prepare(request)
        except ConnectionError:
            log.debug("client went away before it was let in")
            return ws
        transport = request.transport
        self._transport = transport if isinstance(transport, asyncio.Transport) else None
        writer = asyncio.create_task(self._write())
        try:
            async for message in ws:
                self.heard_s = self._clock()
                if not self._allowed():
                    self.close(1008, "Too many requests")
                    break
                if message.type is WSMsgType.TEXT:
                    on_text(message.data)
                elif message.type is WSMsgType.PING:
                    if self.rules.pongs:
                        await ws.pong(message.data)
                elif message.type is WSMsgType.PONG:
                    self._pinged_s = None
                else:
                    self.close(1003, "text only")
                    break
            if self._outbox and not ws.closed:
                await asyncio.wait({writer}, timeout=1)
        except ClientConnectionResetError:
            log.debug("client went away before it had its pong")
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
        return ws

    def _allowed(self) -> bool:
        limit = self.rules.messages_per_s
        if limit is None:
            return True
        self._incoming.append(self.heard_s)
        while self._incoming[0] <= self.heard_s - 1:
            self._incoming.popleft()
        return len(self._incoming) <= limit

    async def _write(self) -> None:
        ws: Any = self._ws
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._outbox:
                    due_s, item = self._outbox.popleft()
                    if due_s and (wait_s := due_s - self._clock()) > 0:
                        await asyncio.sleep(wait_s)
                    self.sent_s = self._clock()
                    if isinstance(item, str):
                        await ws.send_str(item)
                    elif isinstance(item, bytearray):
                        await ws.send_bytes(item)
                    elif isinstance(item, bytes):
                        await ws.ping(item)
                    else:
                        await ws.close(code=item[0], message=item[1].encode())
                        return
        except (ClientConnectionResetError, ConnectionError):
            log.debug("client has gone")


class Door(msgspec.Struct, kw_only=True):
    """Connection attempts per address (everybody here is one): at most ``limit`` in ``per_s`` seconds."""

    limit: int
    per_s: float
    attempts: deque[float] = msgspec.field(default_factory=deque)

    def admits(self, now_s: float) -> bool:
        """Count an attempt; False if it is one too many."""
        self.attempts.append(now_s)
        while self.attempts[0] <= now_s - self.per_s:
            self.attempts.popleft()
        return len(self.attempts) <= self.limit


class SocketSet:
    """The open connections of one kind. ``doors`` by product: who may come in."""

    def __init__(self, exchange: str, doors: Mapping[str, Door], faults: Faults, clock: Callable[[], float]) -> None:
        self.open: set[Socket] = set()
        self._exchange = exchange
        self._doors = doors
        self._faults = faults
        self._clock = clock

    def refusal(self, product: str) -> web.Response | None:
        """The answer to a connection that is not let in; None: let it in."""
        fault = self._faults.strike(self._exchange, "refuse", product)
        if fault is not None:
            return web.Response(status=int(fault.number(503)))
        if not self._doors[product].admits(self._clock()):
            return web.Response(status=429, text="Too many connection attempts")
        return None

    def make(self, rules: SocketRules) -> Socket:
        """A socket for a request that will be served."""
        return Socket(rules, self._clock, lambda: self._faults.delay_s(self._exchange))

    async def serve(self, request: web.Request, socket: Socket, on_text: Callable[[str], None]) -> web.StreamResponse:
        """Run the socket, keeping it in the set."""
        self.open.add(socket)
        try:
            return await socket.run(request, on_text)
        finally:
            self.open.discard(socket)

    def tick(self) -> None:
        for socket in list(self.open):
            socket.tick()
