"""Binance's market stream connections: URL forms, control messages, and their errors."""

import re
from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from feeds.simulator.binance.streams import Product
from feeds.simulator.faults import Faults
from feeds.simulator.sockets import Socket, SocketRules, SocketSet

MOST_STREAMS = 1024
_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")


class MarketConnection:
    """One client of market streams. ``combined``: frames carry their stream's name."""

    def __init__(self, product: Product, route: str, socket: Socket, faults: Faults, combined: bool) -> None:
        self.product = product
        self.route = route
        self.combined = combined
        self._socket = socket
        self._faults = faults
        self._names: dict[str, None] = {}

    def deliver(self, text: str) -> None:
        self._socket.send(text)

    def announce_shutdown(self, now_ms: int) -> None:
        """Spot only: the server is about to close."""
        event = f'{{"e":"serverShutdown","E":{now_ms}}}'
        self.deliver(f'{{"stream":"!serverShutdown","data":{event}}}' if self.combined else event)

    def leave(self) -> None:
        """End all subscriptions."""
        for name in self._names:
            self.product.unsubscribe(self, name)
        self._names.clear()

    def add(self, names: list[str]) -> bool:
        """Subscribe; False (and nothing is done) if there would be too many."""
        if len(self._names.keys() | set(names)) > MOST_STREAMS:
            return False
        for name in names:
            self._names[name] = None
            self.product.subscribe(self, name)
        return True

    def on_text(self, text: str) -> None:
        """A control message."""
        try:
            message = msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            self._bare(3, f"Invalid JSON: {error}")
            return
        if not isinstance(message, dict):
            self._bare(2, "Invalid request: expected an object")
            return
        self._control(message)

    def _control(self, message: dict[str, Any]) -> None:
        method, number, params = message.get("method"), message.get("id"), message.get("params", [])
        if method not in _METHODS:
            allowed = ", ".join(f"`{name}`" for name in _METHODS)
            self._bare(2, f"Invalid request: unknown variant `{method}`, expected one of {allowed} at line 1 column 1")
            return
        if isinstance(number, bool) or not (
            number is None or isinstance(number, int) or (isinstance(number, str) and _ID.fullmatch(number))
        ):
            self._error(None, 2, "Invalid request: request ID must be an unsigned integer")
            return
        if not isinstance(params, list):
            self._error(number, 1, "Invalid value type: expected a list")
            return
        if method in ("SET_PROPERTY", "GET_PROPERTY"):
            self._property(number, method, params)
        elif method == "LIST_SUBSCRIPTIONS":
            self._result(number, list(self._names))
        elif not all(isinstance(name, str) for name in params):
            self._error(number, 1, "Invalid value type: expected strings")
        elif method == "SUBSCRIBE":
            self._subscribe(number, params)
        else:
            for name in params:
                if self._names.pop(name, "") is None:
                    self.product.unsubscribe(self, name)
            self._result(number, None)

    def _subscribe(self, number: int | str | None, names: list[str]) -> None:
        if self._faults.strike("binance", "no_ack", self.product.name):
            return
        if self._faults.strike("binance", "reject", self.product.name):
            self._error(number, 2, "Invalid request: rejected by the simulator")
        elif self.add(names):
            self._result(number, None)
        else:
            self._error(number, -1191, "Too many subscriptions.")

    def _property(self, number: int | str | None, method: str, params: list[Any]) -> None:
        if not params or params[0] != "combined":
            self._error(number, 0, "Unknown property")
        elif method == "GET_PROPERTY":
            self._result(number, self.combined)
        elif len(params) != 2 or not isinstance(params[1], bool):
            self._error(number, 1, "Invalid value type: expected Boolean")
        else:
            self.combined = params[1]
            self._result(number, None)

    def _result(self, number: int | str | None, result: Any) -> None:
        self.deliver(msgspec.json.encode({"result": result, "id": number}).decode())

    def _bare(self, code: int, text: str) -> None:
        self.deliver(msgspec.json.encode({"code": code, "msg": text}).decode())

    def _error(self, number: int | str | None, code: int, text: str) -> None:
        self.deliver(msgspec.json.encode({"error": {"code": code, "msg": text}, "id": number}).decode())


class MarketSockets:
    """The stream servers of both products: ``/ws``, ``/stream`` (spot), ``/public/...``, ``/market/...`` (futures)."""

    def __init__(
        self,
        products: dict[str, Product],
        rules: dict[str, SocketRules],
        faults: Faults,
        sockets: SocketSet,
    ) -> None:
        self._products = products
        self._rules = rules
        self._faults = faults
        self.sockets = sockets
        self.connections: set[MarketConnection] = set()

    def routes(self, product: str, prefix: str) -> list[web.RouteDef]:
        """The paths of a product's streams below ``prefix``."""
        routes = []
        for route in ("",) if product == "spot" else ("public", "market"):
            handler = self._handler(product, route)
            base = f"{prefix}/{route}" if route else prefix
            routes += [web.get(f"{base}{end}", handler) for end in ("/ws", "/ws/{streams:.+}", "/stream")]
        return routes

    def _handler(self, product: str, route: str) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.StreamResponse:
            if (refusal := self.sockets.refusal(product)) is not None:
                return refusal
            combined = request.path.endswith("/stream")
            socket = self.sockets.make(self._rules[product])
            connection = MarketConnection(self._products[product], route, socket, self._faults, combined)
            given = request.query.get("streams", "") if combined else request.match_info.get("streams", "")
            names = [name for name in given.split("/") if name]
            if not connection.add(names):
                return web.Response(status=400, text="Too many streams")
            self.connections.add(connection)
            try:
                return await self.sockets.serve(request, socket, connection.on_text)
            finally:
                self.connections.discard(connection)
                connection.leave()

        return handle
