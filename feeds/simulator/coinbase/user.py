"""The simulated Coinbase's host for accounts: the channel ``user``, and heartbeats."""

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
from aiohttp import web

from feeds.simulator.accounts import Account, Accounts
from feeds.simulator.coinbase import account_rows as rows
from feeds.simulator.coinbase import frames
from feeds.simulator.coinbase.auth import Gatekeeper, Unauthorized
from feeds.simulator.faults import Faults
from feeds.simulator.orders import AccountEvent, OrderEvent
from feeds.simulator.sockets import Socket, SocketRules, SocketSet

USER, HEARTBEATS = "user", "heartbeats"
PRODUCT = "private"
"""The name of this host in faults and doors."""
BATCH = 50
_FIRST_S = 5.0


class UserConnection:
    """One client; ``account`` None until it has subscribed ``user``."""

    def __init__(self, server: "CoinbaseUserStreams", socket: Socket) -> None:
        self._server = server
        self.socket = socket
        self.account: Account | None = None
        self.heartbeats = False
        self.number = 0
        self.beat_s = float("-inf")

    def on_text(self, text: str) -> None:
        try:
            self._server.request(self, msgspec.json.decode(text, type=dict[str, Any]))
        except (Unauthorized, msgspec.DecodeError) as error:
            said = "authentication failure" if isinstance(error, Unauthorized) else "invalid message"
            self.socket.send(msgspec.json.encode({"type": "error", "message": said}).decode())

    def deliver(self, channel: str, events: str, now_ms: int) -> None:
        self.socket.send(frames.envelope(channel, self.number, now_ms, events))
        self.number += 1

    def subscriptions(self) -> str:
        found = {USER: [rows.PORTFOLIO]} if self.account is not None else {}
        found |= {HEARTBEATS: [HEARTBEATS]} if self.heartbeats else {}
        return msgspec.json.encode({"subscriptions": found}).decode()


class CoinbaseUserStreams:
    """The server at ``/coinbase/user``."""

    def __init__(
        self,
        accounts: Accounts,
        gatekeeper: Gatekeeper,
        rules: SocketRules,
        faults: Faults,
        sockets: SocketSet,
        clock: Callable[[], float],
        clock_ms: Callable[[], int],
    ) -> None:
        self.sockets = sockets
        self.connections: set[UserConnection] = set()
        self._accounts = accounts
        self._gatekeeper = gatekeeper
        self._rules = rules
        self._faults = faults
        self._clock = clock
        self._clock_ms = clock_ms
        self._began_s = clock()
        for account in accounts.by_name.values():
            account.listen(partial(self._happened, account))

    def routes(self, prefix: str) -> list[web.RouteDef]:
        return [web.get(f"{prefix}/user", self._handle)]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if (refusal := self.sockets.refusal(PRODUCT)) is not None:
            return refusal
        socket = self.sockets.make(self._rules)
        connection = UserConnection(self, socket)
        self.connections.add(connection)
        try:
            return await self.sockets.serve(request, socket, connection.on_text)
        finally:
            self.connections.discard(connection)

    def request(self, connection: UserConnection, message: dict[str, Any]) -> None:
        """Raises Unauthorized, also for channels that do not exist: Coinbase says the same."""
        kind, channel = message.get("type"), message.get("channel")
        if self._faults.strike("coinbase", "no_ack", PRODUCT):
            return
        if kind not in ("subscribe", "unsubscribe") or channel not in (USER, HEARTBEATS):
            raise Unauthorized(f"no such channel: {channel}")
        if self._faults.strike("coinbase", "reject", PRODUCT):
            raise Unauthorized("simulated")
        now_ms, begins = self._clock_ms(), kind == "subscribe"
        if channel == HEARTBEATS:
            connection.heartbeats = begins
        elif begins:
            key = self._gatekeeper.check(str(message.get("jwt", "")), None)
            connection.account = self._accounts.by_name[key.account]
            self._snapshot(connection, connection.account, now_ms)
        else:
            connection.account = None
        connection.deliver("subscriptions", connection.subscriptions(), now_ms)

    def _snapshot(self, connection: UserConnection, account: Account, now_ms: int) -> None:
        """All open orders, 50 at a time; the last part has fewer, and may have none."""
        found = account.open_orders()
        for start in range(0, len(found) + 1, BATCH):
            self._tell(connection, account, "snapshot", found[start : start + BATCH], now_ms)

    def _tell(self, connection: UserConnection, account: Account, kind: str, orders: list[Any], now_ms: int) -> None:
        told = [rows.streamed(order, account.desk_of(order.market).fills_of_order(order)) for order in orders]
        positions: dict[str, list[Any]] = {"perpetual_futures_positions": [], "expiring_futures_positions": []}
        event = {"type": kind, "orders": told, "positions": positions}
        connection.deliver(USER, msgspec.json.encode(event).decode(), now_ms)

    # -- what happened -------------------------------------------------------------------------------------------

    def _muted(self) -> bool:
        fault = self._faults.find("coinbase", "mute", PRODUCT)
        return fault is not None and not fault.symbol and fault.value in (None, "private")

    def _happened(self, account: Account, event: AccountEvent) -> None:
        if not isinstance(event, OrderEvent) or self._muted():
            return
        lost = self._faults.strike("coinbase", "drop_depth", PRODUCT)
        for connection in self.connections:
            if connection.account is account:
                if lost is not None:
                    connection.number += 1
                else:
                    self._tell(connection, account, "update", [event.order], self._clock_ms())

    def tick(self, now_ms: int) -> None:
        """Heartbeats, once a second. They go on where only an account's events are muted."""
        fault = self._faults.find("coinbase", "mute", PRODUCT)
        if fault is not None and fault.value is None and not fault.symbol:
            return
        now_s = self._clock()
        for connection in self.connections:
            if connection.heartbeats and now_s - connection.beat_s >= 1.0:
                connection.beat_s = now_s
                count = int(now_s - self._began_s) + 40_000
                connection.deliver(HEARTBEATS, frames.heartbeat(now_ms, count), now_ms)

    def keep_house(self) -> None:
        now_s = self._clock()
        for connection in list(self.connections):
            idle = connection.account is None and not connection.heartbeats
            if idle and now_s - connection.socket.opened_s > _FIRST_S:
                connection.socket.close(1008, "no subscription")
        self.sockets.tick()
