"""Binance's WebSocket API (spot), as far as a dashboard needs it: the user data stream.

There are no listen keys for spot any more (removed in February 2026): a connection subscribes with a signature and gets
``{"subscriptionId": n, "event": {...}}``. A subscription lives as long as the connection; nothing is replayed.
"""

from typing import Any

import msgspec
from aiohttp import web

from feeds.simulator.accounts import Account, Accounts
from feeds.simulator.binance.auth import Gatekeeper
from feeds.simulator.binance.rest import BinanceError, Gate
from feeds.simulator.binance.user_frames import execution_report, spot_wallet
from feeds.simulator.faults import Faults
from feeds.simulator.orders import AccountEvent, Listener, OrderEvent
from feeds.simulator.sockets import Socket, SocketRules, SocketSet

_CONNECT_WEIGHT = 2
_MOST_SUBSCRIPTIONS = 1000


class ApiConnection:
    def __init__(self, server: "WebSocketApi", socket: Socket) -> None:
        self._server = server
        self._socket = socket
        self._next_id = 0
        self._subscriptions: dict[int, tuple[Account, Listener]] = {}

    # -- requests ------------------------------------------------------------------------------------------------

    def on_text(self, text: str) -> None:
        try:
            message = msgspec.json.decode(text)
        except msgspec.DecodeError:
            message = None
        if not isinstance(message, dict) or not isinstance(message.get("method"), str):
            self._send({"id": None, "status": 400, "error": {"code": -1135, "msg": "Invalid JSON Request."}})
            return
        number, params = message.get("id"), message.get("params") or {}
        try:
            self._server.gate.meter.charge(2)
            result = self._carry_out(message["method"], params if isinstance(params, dict) else {})
            if result is None:  # acknowledgements are withheld
                return
            body: dict[str, Any] = {"id": number, "status": 200, "result": result}
        except BinanceError as error:
            body = {"id": number, "status": error.status, "error": {"code": error.code, "msg": error.text}}
        if params.get("returnRateLimits", True) is not False:
            meter = self._server.gate.meter
            limit = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": meter.limit}
            body["rateLimits"] = [{**limit, "count": meter.used}]
        self._send(body)

    def _carry_out(self, method: str, params: dict[str, Any]) -> dict[str, Any] | list[Any] | None:
        if method == "ping":
            return {}
        if method == "time":
            return {"serverTime": self._server.clock_ms()}
        if method == "userDataStream.subscribe.signature":
            return self._subscribe(params)
        if method == "userDataStream.unsubscribe":
            return self._unsubscribe(params)
        if method == "session.subscriptions":
            return [{"subscriptionId": number} for number in self._subscriptions]
        if method in ("session.logon", "userDataStream.subscribe"):
            raise BinanceError(-4056, "HMAC_SHA256 API key is not supported.", 400)
        raise BinanceError(-1020, f"This operation is not supported: {method}")

    def _subscribe(self, params: dict[str, Any]) -> dict[str, Any] | None:
        account = self._server.accounts.by_name[self._server.gatekeeper.web_socket(params).account]
        if self._server.faults.strike("binance", "no_ack", "spot"):
            return None
        if any(held is account for held, _ in self._subscriptions.values()):
            raise BinanceError(-2035, "User Data Stream subscription already active.")
        if len(self._subscriptions) >= _MOST_SUBSCRIPTIONS:
            raise BinanceError(-1191, "Too many subscriptions.")
        number, self._next_id = self._next_id, self._next_id + 1

        def listen(event: AccountEvent) -> None:
            self._deliver(number, account, event)

        self._subscriptions[number] = (account, listen)
        account.desks["spot"].listeners.append(listen)
        return {"subscriptionId": number}

    def _unsubscribe(self, params: dict[str, Any]) -> dict[str, Any]:
        chosen = [params["subscriptionId"]] if "subscriptionId" in params else list(self._subscriptions)
        for number in chosen:
            if number not in self._subscriptions:
                raise BinanceError(-2036, "User Data Stream subscription not active.")
            self._end(number)
        return {}

    # -- events --------------------------------------------------------------------------------------------------

    def _deliver(self, number: int, account: Account, event: AccountEvent) -> None:
        if self._server.muted():
            return
        now_ms = self._server.clock_ms()
        if isinstance(event, OrderEvent):
            self._event(number, execution_report(event, now_ms))
        else:
            for body in spot_wallet(account, event, now_ms):
                self._event(number, body)

    def _event(self, number: int, body: dict[str, Any]) -> None:
        self._send({"subscriptionId": number, "event": body})

    def _end(self, number: int) -> None:
        account, listener = self._subscriptions.pop(number)
        account.desks["spot"].listeners.remove(listener)

    def terminate(self) -> None:
        """The exchange ends all user data streams of this connection; the socket stays."""
        for number in list(self._subscriptions):
            self._event(number, {"e": "eventStreamTerminated", "E": self._server.clock_ms()})
            self._end(number)

    def announce_shutdown(self, now_ms: int) -> None:
        self._send({"event": {"e": "serverShutdown", "E": now_ms}})

    def leave(self) -> None:
        for number in list(self._subscriptions):
            self._end(number)

    def _send(self, body: dict[str, Any]) -> None:
        self._socket.send(msgspec.json.encode(body).decode())


class WebSocketApi:
    """The server behind ``/ws-api/v3``."""

    def __init__(
        self,
        accounts: Accounts,
        gatekeeper: Gatekeeper,
        gate: Gate,
        rules: SocketRules,
        faults: Faults,
        sockets: SocketSet,
    ) -> None:
        self.accounts = accounts
        self.gatekeeper = gatekeeper
        self.gate = gate
        self.faults = faults
        self.clock_ms = gate.clock_ms
        self.sockets = sockets
        self.connections: set[ApiConnection] = set()
        self._rules = rules

    def muted(self) -> bool:
        fault = self.faults.find("binance", "mute", "spot")
        return fault is not None and fault.value == "private"

    def routes(self, prefix: str) -> list[web.RouteDef]:
        return [web.get(f"{prefix}/ws-api/v3", self._handle)]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if (refusal := self.sockets.refusal("spot")) is not None:
            return refusal
        try:
            self.gate.meter.charge(_CONNECT_WEIGHT)
        except BinanceError as error:
            return web.Response(status=error.status, headers={"Retry-After": str(self.gate.meter.retry_after_s())})
        socket = self.sockets.make(self._rules)
        connection = ApiConnection(self, socket)
        self.connections.add(connection)
        try:
            return await self.sockets.serve(request, socket, connection.on_text)
        finally:
            self.connections.discard(connection)
            connection.leave()
