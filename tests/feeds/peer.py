"""The other side of a connection, for tests: a scripted WebSocket and HTTP server, and a session that talks to it.

The protocol is a made-up one, one JSON object a frame:

========================================  ===================================================
``{"sub": ["book BTC/USDT", ...]}``       client asks
``{"unsub": [...]}``                      client ends
``{"ack": [...]}`` ``{"unack": [...]}``   server accepts
``{"no": [...], "why": "..."}``           server refuses; ``[]``: without saying which
``{"n": 1}``                              data: trade number 1
``{"beat": 1}`` ``{"bye": "..."}``        heartbeat; announced end
``{"hi": 1}`` ``{"keep": 1}``             client's opening and keepalive
========================================  ===================================================
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from feeds.domain import Ack, Channel, Closing, Heartbeat, Lost, Rejected, StreamState, Subscription, Trade
from feeds.errors import ParseError
from feeds.exchange import Facts
from feeds.stream import Connection, Timing

Script = Callable[["Client"], Awaitable[None]]


async def until(condition: Callable[[], Any], *, within_s: float = 5.0, what: str = "") -> None:
    """Wait for a condition; fails after ``within_s``."""
    end_s = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > end_s:
            raise AssertionError(f"not within {within_s:g} s: {what or 'condition'}")
        await asyncio.sleep(0.001)


@pytest.fixture(autouse=True)
async def no_task_left() -> AsyncIterator[None]:
    """Whatever a test started has to be gone when it ends."""
    yield
    others = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
    assert not others, f"left running: {others}"


class Client:
    """One connection as the server sees it."""

    def __init__(self, ws: ServerConnection) -> None:
        self.ws = ws
        self.opened_s = time.monotonic()
        self.got: list[Any] = []  # messages, parsed, in order
        self.got_s: list[float] = []  # when
        self.ended = asyncio.Event()

    @property
    def path(self) -> str:
        assert self.ws.request is not None
        return self.ws.request.path

    async def send(self, *messages: Any) -> None:
        for message in messages:
            await self.ws.send(message if isinstance(message, str | bytes) else json.dumps(message))

    async def answer(self, message: Any) -> None:
        """Accept what was asked for."""
        if "sub" in message:
            await self.send({"ack": message["sub"]})
        elif "unsub" in message:
            await self.send({"unack": message["unsub"]})

    async def __aiter__(self) -> AsyncIterator[Any]:
        """Messages as they come, until the connection ends."""
        taken = 0
        while not self.ended.is_set():
            if taken < len(self.got):
                taken += 1
                yield self.got[taken - 1]
            else:
                await asyncio.sleep(0.001)

    def asked(self) -> list[str]:
        """All subscriptions asked for, in order."""
        return [name for message in self.got for name in message.get("sub", [])]


async def obliging(client: Client) -> None:
    """Accept everything, until the connection ends."""
    async for message in client:
        await client.answer(message)


async def kick(client: Client) -> None:
    await client.ws.close(1008, "go away")


async def ack_and_kick(client: Client) -> None:
    await until(lambda: client.got)
    await client.answer(client.got[0])
    await client.send({"beat": 1})
    await (await client.ws.ping())
    await client.ws.close(1008, "go away")


async def data_and_kick(client: Client) -> None:
    await until(lambda: client.got)
    await client.send({"n": 1})
    await client.ws.close(1001, "end")


class Peer:
    """A WebSocket server on a free port. Connection i is played script i; the last script is for all further ones."""

    def __init__(self, *scripts: Script) -> None:
        self.scripts = scripts or (obliging,)
        self.clients: list[Client] = []
        self._server: Server | None = None

    async def __aenter__(self) -> "Peer":
        self._server = await serve(self._serve, "127.0.0.1", 0, compression=None, ping_interval=None, close_timeout=0.2)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = next(iter(self._server.sockets)).getsockname()[1]
        return port

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/stream"

    @property
    def client(self) -> Client:
        """The newest."""
        return self.clients[-1]

    async def _serve(self, ws: ServerConnection) -> None:
        client = Client(ws)
        self.clients.append(client)
        script = self.scripts[min(len(self.clients), len(self.scripts)) - 1]
        play = asyncio.create_task(self._play(script, client))
        try:
            async for raw in ws:
                client.got.append(json.loads(raw))
                client.got_s.append(time.monotonic())
        except ConnectionClosed:
            pass
        finally:
            client.ended.set()
            play.cancel()
            await asyncio.gather(play, return_exceptions=True)

    @staticmethod
    async def _play(script: Script, client: Client) -> None:
        with contextlib.suppress(ConnectionClosed):
            await script(client)


class Speech:
    """The client's session of the made-up protocol."""

    def __init__(self, opening: Sequence[str] = (), keepalive: str | None = None) -> None:
        self._opening = list(opening)
        self._keepalive = keepalive

    def opening(self) -> list[str]:
        return self._opening

    def subscribe(self, subscriptions: Sequence[Subscription]) -> list[str]:
        return [json.dumps({"sub": [str(s) for s in subscriptions]})]

    def unsubscribe(self, subscriptions: Sequence[Subscription]) -> list[str]:
        return [json.dumps({"unsub": [str(s) for s in subscriptions]})]

    def keepalive(self) -> str | None:
        return self._keepalive

    def parse(self, raw: bytes | str) -> list[Any]:
        try:
            message = json.loads(raw)
        except ValueError as error:
            raise ParseError(f"no JSON: {error}", raw) from error
        if "n" in message:
            return [trade(message["n"])]
        if "ack" in message:
            return [Ack(subscriptions=tuple(map(sub, message["ack"])))]
        if "unack" in message:
            return [Ack(subscriptions=tuple(map(sub, message["unack"])), ended=True)]
        if "no" in message:
            return [Rejected(subscriptions=tuple(map(sub, message["no"])), reason=message["why"])]
        if "beat" in message:
            return [Heartbeat()]
        if "lost" in message:
            return [Lost(frames=message["lost"])]
        if "bye" in message:
            return [Closing(reason=message["bye"])]
        return []


def sub(name: str) -> Subscription:
    channel, _, symbol = name.partition(" ")
    return Subscription(channel=Channel(channel), symbol=symbol)


def trade(n: int) -> Trade:
    return Trade(symbol="BTC/USDT", id=str(n), side="buy", price=Decimal(1), size=Decimal(1), exchange_ms=0)


BOOK, TRADES, TICKER = sub("book BTC/USDT"), sub("trades BTC/USDT"), sub("ticker BTC/USDT")

FACTS = Facts(
    streams_per_connection=1024,
    messages_per_s=1000,
    connects_per_minute=6000,
    heartbeat_s=None,
    ping_s=None,
    max_life_s=None,
    snapshot_by_rest=True,
    truncates=False,
    markets_by_stream=False,
    probe_by_rest=True,
)

QUICK = Timing(
    open_s=0.5,
    close_s=0.3,
    answer_s=0.1,
    end_s=0.05,
    slow_s=0.05,
    slice_s=0.002,
    burst_s=0.05,
    settled_s=0.1,
    tick_s=0.005,
)


class Recorder:
    """A ConnectionHandler that writes everything down, in order."""

    def __init__(self) -> None:
        self.log: list[tuple[str, Any]] = []
        self.on_event: Callable[[Any], None] | None = None

    def on_events(self, connection: Connection, events: list[Any], recv_ns: int) -> None:
        for event in events:
            self.log.append(("event", event))
            if self.on_event:
                self.on_event(event)

    def on_state(self, connection: Connection, state: StreamState, reason: str) -> None:
        self.log.append(("state", (state, reason)))

    def on_overflow(self, connection: Connection, dropped: int) -> None:
        self.log.append(("overflow", dropped))

    def on_lost(self, connection: Connection, detail: str) -> None:
        self.log.append(("lost", detail))

    def on_subscribed(self, connection: Connection, subscriptions: Sequence[Subscription]) -> None:
        self.log.append(("subscribed", list(subscriptions)))

    def on_rejected(self, connection: Connection, subscriptions: Sequence[Subscription], reason: str) -> None:
        self.log.append(("rejected", (list(subscriptions), reason)))

    def of(self, kind: str) -> list[Any]:
        return [value for k, value in self.log if k == kind]

    @property
    def states(self) -> list[StreamState]:
        return [state for state, _ in self.of("state")]

    @property
    def numbers(self) -> list[int]:
        """Of the trades received."""
        return [int(e.id) for e in self.of("event") if isinstance(e, Trade)]


class Delays:
    """A backoff of milliseconds that knows how often it was begun and how far it got."""

    def __init__(self, *seconds: float) -> None:
        self.seconds = seconds or (0.005, 0.01, 0.02, 0.04, 0.08)
        self.begun = 0
        self.taken: list[float] = []

    def __call__(self) -> Iterator[float]:
        self.begun += 1
        return self._run()

    def _run(self) -> Iterator[float]:
        i = 0
        while True:
            delay = self.seconds[min(i, len(self.seconds) - 1)]
            self.taken.append(delay)
            yield delay
            i += 1


@asynccontextmanager
async def connected(url: Any, **options: Any) -> AsyncIterator[tuple[Connection, Recorder]]:
    """A started connection that wants BOOK, stopped at the end."""
    seen = options.pop("handler", None) or Recorder()
    wanted = options.pop("wanted", [BOOK])
    options = {"facts": FACTS, "timing": QUICK, "delays": Delays(), "new_session": Speech} | options
    connection = Connection(name="testex/spot/1", url=url, handler=seen, **options)
    connection.add(wanted)
    connection.start()
    try:
        yield connection, seen
    finally:
        await connection.stop()


def facts(**changes: Any) -> Facts:
    return msgspec.structs.replace(FACTS, **changes)
