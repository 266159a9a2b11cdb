"""The simulated Bybit's private WebSocket: login, topics, and what happened to the account."""

from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

import msgspec
from aiohttp import web

from feeds.simulator.accounts import Account, Accounts
from feeds.simulator.bybit import frames, rows
from feeds.simulator.bybit.auth import Gatekeeper, whole
from feeds.simulator.bybit.rows import Prices
from feeds.simulator.bybit.terms import WALLET, BybitError
from feeds.simulator.faults import Faults
from feeds.simulator.market import LiveMarket
from feeds.simulator.orders import AccountEvent, Movement, OrderEvent
from feeds.simulator.sockets import Socket, SocketRules, SocketSet

ALL = ("order", "execution", "position", "wallet")
TOPICS = {*ALL, *(f"{topic}.{each}" for topic in ALL[:3] for each in ("spot", "linear", "inverse", "option"))} - {
    "position.spot"
}


class UserConnection:
    """One socket; ``account`` None until it is logged in."""

    def __init__(self, server: "BybitUserStreams", socket: Socket, number: int) -> None:
        self._server = server
        self.socket = socket
        self.id = f"cejreaspqf{number:010d}-p"
        self.account: Account | None = None
        self.topics: set[str] = set()

    def on_text(self, text: str) -> None:
        try:
            message = msgspec.json.decode(text, type=dict[str, Any])
        except msgspec.DecodeError:
            self.reply(False, "error:invalid json", {})
            return
        op, args = message.get("op"), message.get("args")
        if op == "ping":
            pong = {"op": "pong", "args": [str(self._server.clock_ms())], "conn_id": self.id}
            self.socket.send(frames.encode({"req_id": message.get("req_id", ""), **pong}))
        elif op == "auth":
            self._server.login(self, args, message)
        elif op in ("subscribe", "unsubscribe"):
            self._server.request(self, op, args, message)
        else:
            self.reply(False, "error:invalid op", message)

    def reply(self, success: bool, said: str, message: dict[str, Any]) -> None:
        body = {"success": success, "ret_msg": said, "op": message.get("op", ""), "conn_id": self.id}
        self.socket.send(frames.encode({"req_id": message.get("req_id", ""), **body}))

    def wants(self, topic: str, category: str) -> str | None:
        """The topic under which this is told here; None if it is not."""
        return next((name for name in (topic, f"{topic}.{category}") if name in self.topics), None)


class BybitUserStreams:
    """The server behind ``/v5/private``."""

    def __init__(
        self,
        accounts: Accounts,
        gatekeeper: Gatekeeper,
        prices: Prices,
        rules: SocketRules,
        faults: Faults,
        sockets: SocketSet,
        clock_ms: Callable[[], int],
    ) -> None:
        self.sockets = sockets
        self.clock_ms = clock_ms
        self._accounts = accounts
        self._gatekeeper = gatekeeper
        self._prices = prices
        self._rules = rules
        self._faults = faults
        self._connections: dict[str, set[UserConnection]] = {name: set() for name in accounts.by_name}
        self._count = count(1)
        for account in accounts.by_name.values():
            account.listen(partial(self._happened, account))

    def routes(self, prefix: str) -> list[web.RouteDef]:
        return [web.get(f"{prefix}/v5/private", self._handle)]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if (refusal := self.sockets.refusal(WALLET)) is not None:
            return refusal
        socket = self.sockets.make(self._rules)
        connection = UserConnection(self, socket, next(self._count))
        try:
            return await self.sockets.serve(request, socket, connection.on_text)
        finally:
            if connection.account is not None:
                self._connections[connection.account.name].discard(connection)

    # -- requests ------------------------------------------------------------------------------------------------

    def login(self, connection: UserConnection, args: Any, message: dict[str, Any]) -> None:
        if self._faults.strike("bybit", "no_ack", WALLET):
            return
        if not isinstance(args, list) or len(args) != 3:
            connection.reply(False, "Params Error", message)
            return
        text, expires, signature = args
        try:
            expires_ms = whole(expires, "expires")  # clients send numbers and text
            if self._faults.strike("bybit", "reject", WALLET):
                raise BybitError(10016, "Internal error")
            key = self._gatekeeper.key(str(text))
            if expires_ms <= self.clock_ms():
                connection.reply(False, "Params Error", message)
                return
            self._gatekeeper.verify(key, f"GET/realtime{expires_ms}", str(signature))
        except BybitError as error:
            said = "Invalid apikey" if error.code == 10003 else "error sign!" if error.code == 10004 else str(error)
            body = {"op": "auth", "success": False, "retCode": error.code, "retMsg": said, "connId": connection.id}
            connection.socket.send(frames.encode(body))
            return
        connection.account = self._accounts.by_name[key.account]
        self._connections[key.account].add(connection)
        connection.reply(True, "", message)

    def request(self, connection: UserConnection, op: str, args: Any, message: dict[str, Any]) -> None:
        """All of a message, or nothing of it."""
        if connection.account is None:
            connection.reply(False, "Request not authorized", message)
            return
        if not isinstance(args, list) or not args:
            connection.reply(False, "Params Error", message)
            return
        strange = next((topic for topic in args if topic not in TOPICS), None)
        if strange is not None:
            connection.reply(False, f"error:handler not found,topic:{strange}", message)
            return
        if len({"." in topic for topic in args if topic != "wallet"}) > 1:
            connection.reply(False, "error:all-in-one and categorised topics in one request", message)
            return
        connection.topics = connection.topics | set(args) if op == "subscribe" else connection.topics - set(args)
        connection.reply(True, "", message)

    # -- what happened -------------------------------------------------------------------------------------------

    def _happened(self, account: Account, event: AccountEvent) -> None:
        connections = self._connections[account.name]
        fault = self._faults.find("bybit", "mute", WALLET)
        if not connections or (fault is not None and fault.value in (None, "private")):
            return
        if isinstance(event, OrderEvent):
            market = event.order.market
            category = market.instrument.product
            self._tell(account, "order", category, rows.order(event.order, stream=True))
            if event.fill is not None:
                self._tell(account, "execution", category, rows.execution(event.fill, stream=True))
            if category == "linear":
                self._tell_position(account, market)
            return
        if event.reason == "FUNDING_FEE":
            self._tell(account, "execution", "linear", rows.funding(self._paid(account), stream=True))
            self._tell_position(account, event.markets[0])
        self._tell(account, "wallet", "", rows.wallet(account, self._prices, event.assets))

    @staticmethod
    def _paid(account: Account) -> Movement:
        return account.movements[-1]

    def _tell_position(self, account: Account, market: LiveMarket) -> None:
        linear = account.desks["linear"].futures
        for held in linear.positions_of(market):
            self._tell(account, "position", "linear", rows.position(linear, held, stream=True))

    def _tell(self, account: Account, topic: str, category: str, row: dict[str, Any]) -> None:
        now_ms = self.clock_ms()
        for connection in self._connections[account.name]:
            if (name := connection.wants(topic, category)) is not None:
                body = {"topic": name, "id": f"592324{now_ms}", "creationTime": now_ms, "data": [row]}
                connection.socket.send(frames.encode(body))
