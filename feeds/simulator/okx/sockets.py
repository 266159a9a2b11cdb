"""OKX's WebSocket v5 connections, ``/public``, ``/private`` and ``/business``: requests, answers, errors, and how they
end."""

from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Any

import msgspec
from aiohttp import web

from feeds.simulator.accounts import Account
from feeds.simulator.faults import Faults
from feeds.simulator.okx import frames
from feeds.simulator.okx.auth import Unauthorised
from feeds.simulator.okx.channels import MOST_CONNECTIONS, ON_BUSINESS, ON_PRIVATE, WITHOUT_KIND, PrivateChannels
from feeds.simulator.okx.streams import Key, Streams
from feeds.simulator.sockets import Socket, SocketRules, SocketSet

REQUESTS_PER_HOUR = 480
MOST_BYTES = 64 * 1024
_UPGRADE_S = 60.0
_UPGRADE = "The connection will soon be closed for a service upgrade. Please reconnect."
_MOVED = "This channel has been migrated to the business URL. Please subscribe using the new URL."
_NOT_HERE = "This channel is not supported on the business URL. Please use the public URL."


class Refused(Exception):
    """The argument cannot be carried out."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Connection:
    """``path``: "public", "private" or "business"."""

    def __init__(self, server: "OkxSockets", socket: Socket, name: str, path: str) -> None:
        self._server = server
        self.socket = socket
        self.name = name
        self.path = path
        self.account: Account | None = None  # that it is logged in for
        self.held: dict[str, dict[str, Any]] = {}  # private channels, with their arguments
        self.keys: dict[Key, None] = {}
        self.bare_s = socket.opened_s  # since when it has had no subscription
        self.closes_s: float | None = None
        self.requests: deque[float] = deque()

    @property
    def business(self) -> bool:
        return self.path == "business"

    @property
    def subscribed(self) -> bool:
        return bool(self.keys or self.held)

    def deliver(self, text: str) -> None:
        self.socket.send(text)

    def on_text(self, text: str) -> None:
        if text == "ping":
            self.deliver("pong")
            return
        if len(text) > MOST_BYTES:
            self.socket.close(1009, "frame too long")
            return
        try:
            message = msgspec.json.decode(text)
        except msgspec.DecodeError:
            message = None
        op = message.get("op") if isinstance(message, dict) else None
        if not isinstance(message, dict) or op not in ("subscribe", "unsubscribe", "login"):
            self.error(None, "60012", f"Invalid request: {text[:200]}")
            return
        number, args = message.get("id"), message.get("args")
        if not isinstance(args, list) or not args or not all(isinstance(arg, dict) for arg in args):
            self.error(number, "60013", f"Invalid args: {msgspec.json.encode(args).decode()[:200]}")
            return
        if op == "login":
            self._server.login(self, number, args)
        else:
            self._server.request(self, op, number, args)

    def error(self, number: Any, code: str, text: str) -> None:
        self.deliver(frames.event("error", self.name, number, code=code, msg=text))


class OkxSockets:
    """The servers of all paths."""

    def __init__(
        self,
        streams: Streams,
        private: PrivateChannels,
        rules: SocketRules,
        faults: Faults,
        sockets: SocketSet,
        clock: Callable[[], float],
        clock_ms: Callable[[], int],
    ) -> None:
        self.streams = streams
        self._private = private
        self.sockets = sockets
        self.connections: set[Connection] = set()
        self._rules = rules
        self._faults = faults
        self._clock = clock
        self._clock_ms = clock_ms
        self._names = count(0xA4D3AE55)
        self._status = ""  # of maintenance

    def routes(self, prefix: str) -> list[web.RouteDef]:
        return [web.get(f"{prefix}/ws/v5/{path}", self._handler(path)) for path in ("public", "private", "business")]

    def _handler(self, path: str) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.StreamResponse:
            if (refusal := self.sockets.refusal("")) is not None:
                return refusal
            socket = self.sockets.make(msgspec.structs.replace(self._rules, idle_s=None))
            connection = Connection(self, socket, f"{next(self._names):x}", path)
            self.connections.add(connection)
            try:
                return await self.sockets.serve(request, socket, connection.on_text)
            finally:
                self.connections.discard(connection)
                self._private.leave(connection)
                for key in connection.keys:
                    self.streams.unsubscribe(connection, key)

        return handle

    # -- requests ----------------------------------------------------------------------------------------------------

    def _counts(self, connection: Connection, number: Any) -> bool:
        """One more request; True if it is to be answered."""
        now_s, requests = self._clock(), connection.requests
        requests.append(now_s)
        while requests[0] <= now_s - 3600:
            requests.popleft()
        if len(requests) > REQUESTS_PER_HOUR:
            connection.error(number, "60014", "Requests too frequent")
            return False
        return not self._faults.strike("okx", "no_ack")

    def login(self, connection: Connection, number: Any, args: list[dict[str, Any]]) -> None:
        if not self._counts(connection, number):
            return
        try:
            if connection.path == "public":
                raise Unauthorised("60028", "The current operation is not supported by this URL.")
            if self._faults.strike("okx", "reject", "", ("login",)):
                raise Unauthorised("60009", "Login failed.")
            self._private.login(connection, args)
        except Unauthorised as refused:
            connection.error(number, refused.code, str(refused))
            connection.socket.close(4001, "Login failed")
        else:
            connection.deliver(frames.event("login", connection.name, number, code="0", msg=""))

    def request(self, connection: Connection, op: str, number: Any, args: list[dict[str, Any]]) -> None:
        if not self._counts(connection, number):
            return
        for arg in args:
            channel, native = str(arg.get("channel", "")), str(arg.get("instId", ""))
            try:
                if channel in ON_PRIVATE or channel in ON_BUSINESS:
                    self._private_one(connection, op, number, channel, arg)
                else:
                    self._one(connection, op, number, (channel, native))
            except Refused as refused:
                connection.error(number, refused.code, str(refused))

    def _one(self, connection: Connection, op: str, number: Any, key: Key) -> None:
        channel, native = key
        candles = channel.startswith("candle")
        wrong = (
            f"Wrong URL or channel:{channel},instId:{native} doesn't exist. Please use the correct URL, channel and "
        )
        if channel == "status" and not connection.business and not native:
            pass
        elif self.streams.find(channel, native) is None or (
            op == "subscribe" and self._faults.strike("okx", "reject", "", (native,))
        ):
            raise Refused("60018", f"{wrong}parameters referring to API document.")
        elif candles and not connection.business:
            raise Refused("64001", _MOVED)
        elif connection.business and not candles:
            raise Refused("64002", _NOT_HERE)
        arg = {"channel": channel, **({"instId": native} if native else {})}
        connection.deliver(frames.event(op, connection.name, number, arg=arg))
        if op == "unsubscribe":
            if connection.keys.pop(key, "") is None:
                self.streams.unsubscribe(connection, key)
            if not connection.keys:
                connection.bare_s = self._clock()
        elif channel == "status":
            connection.keys[key] = None
            if self._status:
                connection.deliver(frames.status(self._status, self._clock_ms()))
        elif key not in connection.keys:
            connection.keys[key] = None
            self.streams.subscribe(connection, key)

    def _private_one(self, connection: Connection, op: str, number: Any, channel: str, arg: dict[str, Any]) -> None:
        if connection.account is None:
            raise Refused("60011", "Please log in")
        if channel not in (ON_BUSINESS if connection.business else ON_PRIVATE) or (
            channel not in WITHOUT_KIND and arg.get("instType") not in ("ANY", "SPOT", "MARGIN", "SWAP", "FUTURES")
        ):
            raise Refused("60018", f"Wrong URL or channel:{channel} doesn't exist. Please use the correct URL.")
        told = {name: value for name, value in arg.items() if name != "extraParams"}
        connection.deliver(frames.event(op, connection.name, number, arg=told))
        if op == "unsubscribe":
            connection.held.pop(channel, None)
            return
        connections = self._private.count(connection.account, channel) + (channel not in connection.held)
        many = connections > MOST_CONNECTIONS
        what = "channel-conn-count-error" if many else "channel-conn-count"
        count_ = str(min(connections, MOST_CONNECTIONS))
        connection.deliver(frames.event(what, connection.name, None, channel=channel, connCount=count_))
        if not many:
            connection.held[channel] = arg
            self._private.present(connection, channel)

    # -- ends --------------------------------------------------------------------------------------------------------

    def announce_upgrade(self) -> None:
        """The server closes every connection in a minute."""
        for connection in self.connections:
            connection.deliver(frames.event("notice", connection.name, None, code="64008", msg=_UPGRADE))
            connection.closes_s = self._clock() + _UPGRADE_S

    def set_status(self, state: str) -> None:
        """Tell everybody who asked how far maintenance is: scheduled, ongoing, completed, canceled."""
        self._status = state
        for connection in self.connections:
            if ("status", "") in connection.keys:
                connection.deliver(frames.status(state, self._clock_ms()))

    def keep_house(self) -> None:
        """A connection ends that has had no subscription, or got nothing (a "pong" is something), for 30 s."""
        self.sockets.tick()
        now_s, longest_s = self._clock(), self._rules.idle_s
        for connection in self.connections:
            if connection.closes_s is not None and now_s >= connection.closes_s:
                connection.socket.close(1001, "service upgrade")
            elif longest_s is not None:
                since_s = connection.socket.sent_s if connection.subscribed else connection.bare_s
                if now_s - since_s > longest_s:
                    connection.socket.close(4004, f"No data received in {longest_s:g}s")
