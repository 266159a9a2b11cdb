"""One browser's WebSocket, as docs/protocol.md section 2 describes it.

Channels gives a consumer its messages strictly one after another, and Daphne's ``send`` only hands over to the
transport: so nothing here waits for anything but the database, at the start and when topics are subscribed.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Coroutine
from contextlib import AsyncExitStack
from typing import Any

import msgspec
import structlog
from channels.consumer import AsyncConsumer
from django.conf import settings

from dashboard.doorkeeper import Doorkeeper, Identity, UnknownTopic, header, own_origin
from dashboard.ending import ended
from dashboard.outbox import Bundle, Outbox
from dashboard.relay import Relay
from feeds.topics import Topic, parse_topic

log = structlog.get_logger(__name__)

PROTOCOL = 1
MAX_TOPICS = 200
MAX_MESSAGE_BYTES = 64 * 1024
FLOOD_MESSAGES, FLOOD_S = 50, 5.0
LARGEST_INTEGER = 2**53 - 1
FAREWELL_S = 1.0

BAD_MESSAGE, NOT_SIGNED_IN, FOREIGN_ORIGIN = 4400, 4401, 4403
NOT_CONFIRMED, FLOOD, SERVER_STOPS = 4408, 4429, 1001


class ClientError(Exception):
    """A message that is wrong. The text is a sentence for whoever writes the client."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class BrowserConsumer(AsyncConsumer):
    """A browser, or another client of ``/ws/``. The relay and the doorkeeper know it as Browser and Guest."""

    identity: Identity

    def __init__(self) -> None:
        self.outbox = Outbox()
        self.accounts: set[int] = set()
        self._let_in = False
        self._closed = False
        self._write: Callable[[bytes], None] | None = None
        self._recent: deque[float] = deque(maxlen=FLOOD_MESSAGES)
        self._tasks: set[asyncio.Task[None]] = set()
        self._handlers: dict[str, Callable[[dict[str, Any]], Awaitable[None]]] = {
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
            "drawn": self._drawn,
            "ping": self._ping,
        }

    async def __call__(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[dict[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        """Instead of the base's: a browser needs no channel of its own (the relay has one for all of them), and the
        base's ``dispatch`` would take a thread for every message, to look after database connections."""
        self.scope = scope
        self.base_send = send
        async with AsyncExitStack() as stack:
            try:
                self._doorkeeper = await stack.enter_async_context(Doorkeeper.running())
                self._relay = await stack.enter_async_context(Relay.running())
                while (message := await receive())["type"] != "websocket.disconnect":
                    if message["type"] == "websocket.connect":
                        await self._connect()
                    else:
                        await self._receive(message)
                self._closed = True
            except asyncio.CancelledError:
                await self._close(SERVER_STOPS, "The server stops.")
                await _farewell(receive)
                raise
            finally:
                self._leave()
                await ended(self._tasks)

    # -- coming and going --------------------------------------------------------------------------------------------

    async def _connect(self) -> None:
        headers = self.scope["headers"]
        by_token = header(headers, b"authorization") is not None
        identity = await self._doorkeeper.identify(headers) if by_token or own_origin(headers) else None
        # A WebSocket that is refused before it is accepted gives the browser neither code nor reason.
        await self.send({"type": "websocket.accept", "take_writer": self._take_writer})
        if identity is None:
            if by_token or own_origin(headers):
                await self._close(NOT_SIGNED_IN, "Not signed in.")
            else:
                await self._close(FOREIGN_ORIGIN, "This page's origin is not one of the server's own.")
            return
        self.identity = identity
        self._let_in = True
        await self._answer(
            {
                "type": "hello",
                "protocol": PROTOCOL,
                "server_us": time.time_ns() // 1000,
                "max_topics": MAX_TOPICS,
                "user": identity.user,
                "simulated": await self._doorkeeper.simulated(),
                "replay": settings.SPREADBOARD_REPLAY is not None,
            }
        )
        self._doorkeeper.admit(self)
        self._relay.attach(self)

    def _leave(self) -> None:
        if self._let_in:
            self._let_in = False
            self._relay.detach(self)
            self._doorkeeper.dismiss(self)

    async def _close(self, code: int, reason: str) -> None:
        """Close from our side; what still comes is ignored."""
        if self._closed:
            return
        self._closed = True
        self._leave()
        await self.send({"type": "websocket.close", "code": code, "reason": reason})

    async def _answer(self, content: dict[str, Any]) -> None:
        await self.send({"type": "websocket.send", "text": msgspec.json.encode(content).decode()})

    def _soon(self, action: Coroutine[Any, Any, None]) -> None:
        """Do this beside the message that is being handled now."""
        task = asyncio.create_task(action)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("browser could not be told", error=repr(error))

    # -- called by the relay and the doorkeeper ----------------------------------------------------------------------

    def deliver(self, bundle: Bundle) -> None:
        if self._write is not None:
            self._write(bundle.wire)
        else:
            self._soon(self.send({"type": "websocket.send", "text": bundle.text}))

    def _take_writer(self, write: Callable[[bytes], None]) -> None:
        """Called by ``dashboard.server`` where it serves this browser."""
        self._write = write

    def refused(self, topic: str, reason: str) -> None:
        message = {"type": "error", "code": "unknown_topic", "topic": topic, "message": reason}
        self._soon(self._answer(message))

    def gave_up(self) -> None:
        self._soon(self._close(NOT_CONFIRMED, "Nothing was confirmed for 60 s although bundles were waiting."))

    def signed_out(self) -> None:
        self._soon(self._close(NOT_SIGNED_IN, "Signed out."))

    def lost_accounts(self, accounts: Collection[int]) -> None:
        gone = [topic for topic in self.outbox.topics if parse_topic(topic).account in accounts]
        self._relay.unsubscribe(self, gone)
        self._note_accounts()
        for topic in gone:
            self.refused(topic, f"{topic!r}: this account is not yours any more.")

    # -- messages ----------------------------------------------------------------------------------------------------

    async def _receive(self, message: dict[str, Any]) -> None:
        if self._closed:
            return
        text = message.get("text")
        if text is None:
            await self._close(BAD_MESSAGE, "Binary messages are not understood.")
            return
        if len(text) > MAX_MESSAGE_BYTES or (not text.isascii() and len(text.encode()) > MAX_MESSAGE_BYTES):
            await self._close(BAD_MESSAGE, "A message has at most 64 KiB.")
            return
        now_s = time.monotonic()
        if len(self._recent) == FLOOD_MESSAGES and now_s - self._recent[0] < FLOOD_S:
            await self._close(FLOOD, f"More than {FLOOD_MESSAGES} messages in {FLOOD_S:.0f} s.")
            return
        self._recent.append(now_s)
        identifier: int | None = None
        try:
            content = _object(text)
            identifier = _identifier(content)
            await self._handler(content)(content)
        except ClientError as error:
            await self._reply(identifier, {"type": "error", "code": error.code, "message": str(error)})

    def _handler(self, content: dict[str, Any]) -> Callable[[dict[str, Any]], Awaitable[None]]:
        kind = content.get("type")
        handler = self._handlers.get(kind) if isinstance(kind, str) else None
        if handler is None:
            raise ClientError(
                "unknown_type", f"'type' is {_shown(kind)}; it must be one of {', '.join(self._handlers)}."
            )
        return handler

    async def _reply(self, identifier: int | None, content: dict[str, Any]) -> None:
        kind, *rest = content.items()
        await self._answer(dict([kind, *([] if identifier is None else [("id", identifier)]), *rest]))

    async def _subscribe(self, content: dict[str, Any]) -> None:
        topics = _topics(content)
        names = [str(topic) for topic in topics]
        if len(self.outbox.topics.union(names)) > MAX_TOPICS:
            raise ClientError("too_many_topics", f"At most {MAX_TOPICS} topics can be subscribed at once.")
        try:
            await self._doorkeeper.check(self.identity, topics)
        except UnknownTopic as error:
            raise ClientError("unknown_topic", str(error)) from None
        if self._closed:
            return
        await self._reply(_identifier(content), {"type": "subscribed", "topics": names})
        self._relay.subscribe(self, names)
        self._note_accounts()

    async def _unsubscribe(self, content: dict[str, Any]) -> None:
        names = [name for name in map(str, _topics(content)) if name in self.outbox.topics]
        self._relay.unsubscribe(self, names)
        self._note_accounts()
        await self._reply(_identifier(content), {"type": "unsubscribed", "topics": names})

    def _note_accounts(self) -> None:
        self.accounts = {a for topic in self.outbox.topics if (a := parse_topic(topic).account) is not None}

    async def _drawn(self, content: dict[str, Any]) -> None:
        try:
            self._relay.confirmed(self, _integer(content, "bundle"))
        except ValueError as error:
            raise ClientError("bad_field", f"'bundle': {error}") from None

    async def _ping(self, content: dict[str, Any]) -> None:
        client_us = _integer(content, "client_us")
        answer = {"type": "pong", "client_us": client_us, "server_us": time.time_ns() // 1000}
        await self._reply(_identifier(content), answer)


async def _farewell(receive: Callable[[], Awaitable[dict[str, Any]]]) -> None:
    """Give the other side a moment to take the close: a server that ends at once would take it away again."""
    try:
        async with asyncio.timeout(FAREWELL_S):
            while (await receive())["type"] != "websocket.disconnect":
                pass
    except TimeoutError:
        pass  # gone, or too slow


# -- reading what a client sends ---------------------------------------------------------------------------------------


def _object(text: str) -> dict[str, Any]:
    try:
        content = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ClientError("bad_json", f"This is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise ClientError("bad_json", f"A message is a JSON object, not {_shown(content)}.")
    return content


def _identifier(content: dict[str, Any]) -> int | None:
    return _integer(content, "id") if "id" in content else None


def _integer(content: dict[str, Any], field: str) -> int:
    if field not in content:
        raise ClientError("bad_field", f"{field!r} is missing.")
    value = content[field]
    if type(value) is not int or not 0 <= value <= LARGEST_INTEGER:
        raise ClientError("bad_field", f"{field!r} is {_shown(value)}; it must be an integer from 0 to 2^53 - 1.")
    return value


def _topics(content: dict[str, Any]) -> list[Topic]:
    """The topics of a message, each once."""
    if "topics" not in content:
        raise ClientError("bad_field", "'topics' is missing.")
    given = content["topics"]
    if not isinstance(given, list) or not all(isinstance(item, str) for item in given):
        raise ClientError("bad_field", f"'topics' is {_shown(given)}; it must be a list of texts.")
    try:
        return list(dict.fromkeys(parse_topic(text) for text in given))
    except ValueError as error:
        raise ClientError("unknown_topic", str(error)) from None


def _shown(value: object) -> str:
    """A client's value for a message to it, not too long."""
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else f"{text[:57]}..."
