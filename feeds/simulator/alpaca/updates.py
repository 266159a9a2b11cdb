"""The simulated Alpaca's stream of orders, ``/stream``: JSON in binary frames, as on the host of paper trading."""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import msgspec
from aiohttp import web

from feeds.simulator.accounts import Account, Accounts
from feeds.simulator.alpaca import rows
from feeds.simulator.alpaca.frames import stamp
from feeds.simulator.alpaca.listing import NAME
from feeds.simulator.faults import Faults
from feeds.simulator.orders import AccountEvent, OrderEvent
from feeds.simulator.sockets import Socket, SocketRules, SocketSet

DOOR = "account"
STREAM = "trade_updates"
_EVENTS = {"NEW": "new", "CANCELED": "canceled", "EXPIRED": "canceled"}


class UpdatesConnection:
    """One socket; ``account`` None until it is logged in."""

    def __init__(self, server: "AlpacaUpdates", socket: Socket) -> None:
        self._server = server
        self._socket = socket
        self.account: Account | None = None
        self.listens = False

    def tell(self, stream: str, data: dict[str, Any]) -> None:
        self._socket.send_binary(msgspec.json.encode({"stream": stream, "data": data}))

    def on_text(self, text: str) -> None:
        try:
            message = msgspec.json.decode(text, type=dict[str, Any])
        except msgspec.MsgspecError:
            message = {}
        action, data = message.get("action"), message.get("data")
        data = data if isinstance(data, dict) else {}
        if action == "authenticate":
            self._server.login(self, data)
        elif action == "listen" and self.account is not None:
            wanted = data.get("streams")
            self.listens = isinstance(wanted, list) and STREAM in wanted
            self.tell("listening", {"streams": [STREAM] if self.listens else []})
        else:
            self.tell("authorization", {"status": "unauthorized", "action": action if action == "listen" else ""})


class AlpacaUpdates:
    """The server. A frame's order is told with its joined name (``BTCUSD``)."""

    def __init__(
        self,
        accounts: Accounts,
        rules: SocketRules,
        faults: Faults,
        sockets: SocketSet,
        clock_ms: Callable[[], int],
    ) -> None:
        self.sockets = sockets
        self._accounts = accounts
        self._rules = rules
        self._faults = faults
        self._clock_ms = clock_ms
        self._connections: set[UpdatesConnection] = set()
        for account in accounts.by_name.values():
            account.listen(partial(self._happened, account))

    def routes(self, prefix: str) -> list[web.RouteDef]:
        return [web.get(f"{prefix}/stream", self._handle)]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if (refusal := self.sockets.refusal(DOOR)) is not None:
            return refusal
        socket = self.sockets.make(self._rules)
        connection = UpdatesConnection(self, socket)
        self._connections.add(connection)
        try:
            return await self.sockets.serve(request, socket, connection.on_text)
        finally:
            self._connections.discard(connection)

    def login(self, connection: UpdatesConnection, data: dict[str, Any]) -> None:
        fault = self._faults.find(NAME, "no_ack", DOOR)
        if fault is not None and fault.product == DOOR:
            return
        key = self._accounts.keys.get(str(data.get("key_id")))
        good = key is not None and key.secret == data.get("secret_key")
        if key is not None and good:
            connection.account = self._accounts.by_name[key.account]
        connection.tell("authorization", {"status": "authorized" if good else "unauthorized", "action": "authenticate"})

    def _happened(self, account: Account, event: AccountEvent) -> None:
        if not isinstance(event, OrderEvent):
            return
        listening = [each for each in self._connections if each.account is account and each.listens]
        fault = self._faults.find(NAME, "mute", DOOR)
        if not listening or (fault is not None and (fault.value == "private" or fault.product == DOOR)):
            return
        update = self._update(account, event)
        for connection in listening:
            connection.tell(STREAM, update)

    def _update(self, account: Account, event: OrderEvent) -> dict[str, Any]:
        order, fill = event.order, event.fill
        what = ("partial_fill" if order.left else "fill") if fill is not None else _EVENTS[event.what]
        update: dict[str, Any] = {"event": what, "timestamp": stamp(order.updated_ms)}
        update["execution_id"] = str(uuid5(NAMESPACE_URL, f"{what} {order.id} {order.filled}"))
        if fill is not None:
            held = account.desk_of(order.market).wallet.cash.total(order.market.instrument.base)
            update |= {"price": f"{fill.price:f}", "qty": f"{fill.size:f}", "position_qty": f"{held:f}"}
        return update | {"order": rows.order(order, joined=True)}
