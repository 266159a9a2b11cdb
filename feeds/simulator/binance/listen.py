"""The futures' user data stream: listen keys, and the connections that use them.

One listen key per account, valid for an hour, extended by PUT (or by POST, which gives the same one again). When it
expires, its connections get ``listenKeyExpired``, stay open and are silent.
"""

from collections.abc import Callable
from hashlib import sha256
from itertools import count
from typing import Any

import msgspec
from aiohttp import web

from feeds.simulator.accounts import Account
from feeds.simulator.binance.rest import BinanceError
from feeds.simulator.binance.user_frames import account_update, order_trade_update, trade_lite
from feeds.simulator.faults import Faults
from feeds.simulator.orders import AccountEvent, OrderEvent
from feeds.simulator.sockets import Socket, SocketRules, SocketSet


class ListenKey:
    """A valid key; ``until_s`` by the server's monotonic clock."""

    def __init__(self, text: str, account: Account, until_s: float) -> None:
        self.text = text
        self.account = account
        self.until_s = until_s
        self.connections: set[UserConnection] = set()


class UserConnection:
    """``events`` empty: all kinds; ``combined``: wrapped with the listen key as the stream's name."""

    def __init__(self, socket: Socket, name: str, events: frozenset[str], combined: bool) -> None:
        self._socket = socket
        self._name = name
        self._events = events
        self._combined = combined

    def deliver(self, body: dict[str, Any]) -> None:
        if self._events and body["e"] not in self._events and body["e"] != "listenKeyExpired":
            return
        wrapped = {"stream": self._name, "data": body} if self._combined else body
        self._socket.send(msgspec.json.encode(wrapped).decode())


class ListenKeys:
    """All listen keys, and the server behind ``/private``."""

    def __init__(
        self,
        rules: SocketRules,
        life_s: float,
        faults: Faults,
        sockets: SocketSet,
        clock: Callable[[], float],
        clock_ms: Callable[[], int],
    ) -> None:
        self.sockets = sockets
        self._rules = rules
        self._life_s = life_s
        self._faults = faults
        self._clock = clock
        self._clock_ms = clock_ms
        self._valid: dict[str, ListenKey] = {}
        self._numbers = count(1)
        self._listening: set[Account] = set()

    # -- keys ----------------------------------------------------------------------------------------------------

    def request(self, account: Account, method: str) -> dict[str, Any]:
        """POST, PUT or DELETE of the account's key. Raises BinanceError -1125 if there is none to extend."""
        self.tick()
        held = next((key for key in self._valid.values() if key.account is account), None)
        if method == "POST":
            held = held or self._make(account)
        elif held is None:
            raise BinanceError(-1125, "This listenKey does not exist.")
        if method == "DELETE":
            self._expire(held)
            return {}
        held.until_s = self._clock() + self._life_s
        return {"listenKey": held.text}

    def _make(self, account: Account) -> ListenKey:
        text = sha256(f"{account.name} {next(self._numbers)} {self._clock_ms()}".encode()).hexdigest()
        key = self._valid[text] = ListenKey(text, account, 0.0)
        if account not in self._listening:
            self._listening.add(account)
            account.desks["usdm"].listeners.append(lambda event: self._tell(account, event))
        return key

    def _expire(self, key: ListenKey) -> None:
        del self._valid[key.text]
        for connection in key.connections:
            connection.deliver({"e": "listenKeyExpired", "E": self._clock_ms(), "listenKey": key.text})
        key.connections.clear()

    def expire_all(self) -> None:
        """A fault: every key ends now."""
        for key in list(self._valid.values()):
            self._expire(key)

    def tick(self) -> None:
        now = self._clock()
        for key in [key for key in self._valid.values() if key.until_s <= now]:
            self._expire(key)

    # -- events --------------------------------------------------------------------------------------------------

    def _tell(self, account: Account, event: AccountEvent) -> None:
        fault = self._faults.find("binance", "mute", "usdm")
        if fault is not None and fault.value == "private":
            return
        now_ms = self._clock_ms()
        if isinstance(event, OrderEvent):
            bodies = [trade_lite(event, now_ms), order_trade_update(event, now_ms)]
        else:
            bodies = [account_update(account, event, now_ms)]
        for body in bodies:
            if body is not None:
                self._deliver(account, body)

    def tell(self, account: Account, body: dict[str, Any]) -> None:
        """Something that is none of the desk's."""
        fault = self._faults.find("binance", "mute", "usdm")
        if fault is None or fault.value != "private":
            self._deliver(account, body)

    def _deliver(self, account: Account, body: dict[str, Any]) -> None:
        for key in self._valid.values():
            if key.account is account:
                for connection in key.connections:
                    connection.deliver(body)

    # -- connections ---------------------------------------------------------------------------------------------

    def routes(self, prefix: str) -> list[web.RouteDef]:
        return [web.get(f"{prefix}/private/{end}", self._handle) for end in ("ws", "stream")]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if (refusal := self.sockets.refusal("usdm")) is not None:
            return refusal
        texts = request.query.getall("listenKey", [])
        events = frozenset(name for name in request.query.get("events", "").split("/") if name)
        socket = self.sockets.make(self._rules)
        joined = []
        for text in texts:  # a key that is not valid is accepted and silent
            if (key := self._valid.get(text)) is not None:
                connection = UserConnection(socket, text, events, request.path.endswith("/stream"))
                key.connections.add(connection)
                joined.append((key, connection))
        try:
            return await self.sockets.serve(request, socket, lambda text: None)
        finally:
            for key, connection in joined:
                key.connections.discard(connection)
