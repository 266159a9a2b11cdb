"""Kraken's private WebSocket v2 (ws-auth): channels ``executions`` and ``balances``.

Source: docs.kraken.com/exchange/api-reference/spot-websocket-v2. Messages about orders are partial, as there: what a
subscriber was told about an order before is not said again.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
from aiohttp import web

from feeds.simulator.accounts import Account, Accounts
from feeds.simulator.faults import Faults
from feeds.simulator.kraken import frames
from feeds.simulator.kraken.auth import Gatekeeper
from feeds.simulator.kraken.ledger import type_of
from feeds.simulator.kraken.terms import fill_id, order_id, txid
from feeds.simulator.orders import AccountEvent, OrderEvent, OwnOrder, WalletEvent
from feeds.simulator.sockets import Socket, SocketRules, SocketSet

CHANNELS = ("executions", "balances")
_STATUS = {"NEW": "new", "PARTIALLY_FILLED": "partially_filled", "FILLED": "filled", "CANCELED": "canceled"}


def _number(value: Decimal) -> msgspec.Raw:
    return msgspec.Raw(f"{value:f}".encode())


class UserConnection:
    def __init__(self, server: "UserSockets", socket: Socket) -> None:
        self._server = server
        self.socket = socket
        self._sequences: dict[str, int] = {}  # by channel that is subscribed
        self._account: Account | None = None
        self._told: dict[str, Decimal] = {}  # balances
        self._entries = 0

    # -- requests ------------------------------------------------------------------------------------------------

    def on_text(self, text: str) -> None:
        try:
            message = msgspec.json.decode(text)
        except msgspec.DecodeError:
            message = None
        now_ms = self._server.clock_ms()
        if not isinstance(message, dict) or not isinstance(message.get("method"), str):
            self._send(frames.rejection("error", "Malformed request", None, None, now_ms))
            return
        method, req_id, params = message["method"], message.get("req_id"), message.get("params")
        stamps = {"time_in": frames.stamp(now_ms), "time_out": frames.stamp(now_ms)}
        number = {} if req_id is None else {"req_id": req_id}
        if method == "ping":
            self._send({"method": "pong", **number, **stamps})
            return
        channel = params.get("channel") if isinstance(params, dict) else None
        if method not in ("subscribe", "unsubscribe") or channel not in CHANNELS or not isinstance(params, dict):
            self._send(frames.rejection("error", "Malformed request", None, req_id, now_ms))
            return
        if self._server.faults.strike("kraken", "no_ack"):
            return
        if (error := self._refusal(method, channel, params)) is not None:
            self._send(frames.rejection(method, error, None, req_id, now_ms))
            return
        result = {"channel": channel}
        if channel == "executions":
            result |= {"maxratecount": 60, "snap_orders": True, "snap_trades": False}
        self._send({"method": method, "result": result, "success": True, **stamps, **number})
        if method == "unsubscribe":
            del self._sequences[channel]
            return
        self._sequences[channel] = 0
        self._snapshot(channel)

    def _refusal(self, method: str, channel: str, params: dict[str, Any]) -> str | None:
        """Why it cannot be carried out, in Kraken's words. Takes the token's account."""
        if self._server.faults.strike("kraken", "reject"):
            return "EService:Unavailable"
        key = self._server.gatekeeper.key_of(params.get("token"))
        if key is None:
            return "ESession:Invalid session"
        if (channel in self._sequences) is (method == "subscribe"):
            return "Already subscribed" if method == "subscribe" else "Subscription not found"
        account = self._server.accounts.by_name[key.account]
        if self._account is None:
            self._account = account
            account.listen(self._happened)
        elif account is not self._account:
            return "ESession:Invalid session"
        return None

    def _snapshot(self, channel: str) -> None:
        assert self._account is not None
        if channel == "executions":
            self._publish(channel, "snapshot", [_whole(order, "new") for order in self._account.open_orders()])
            return
        wallet = self._account.spot
        self._told = {asset: wallet.total(asset) for asset in wallet.assets()}
        rows = [
            {
                "asset": asset,
                "asset_class": "currency",
                "balance": _number(total),
                "wallets": [{"type": "spot", "id": "main", "balance": _number(total)}],
            }
            for asset, total in self._told.items()
        ]
        self._publish(channel, "snapshot", rows)

    # -- events --------------------------------------------------------------------------------------------------

    def _happened(self, event: AccountEvent) -> None:
        if isinstance(event, OrderEvent):
            for row in executions(event):
                self._publish("executions", "update", [row])
        else:
            self._balances(event)

    def _balances(self, event: WalletEvent) -> None:
        assert self._account is not None
        wallet = self._account.spot
        kind = "trade"
        if event.moved:
            kind, _ = type_of(self._account.movements[-1])
        for asset in event.assets:
            total, before = wallet.total(asset), self._told.get(asset, Decimal(0))
            if total == before:  # an order holds it or lets it go: the channel does not tell
                continue
            self._told[asset] = total
            self._entries += 1
            row = {
                "ledger_id": txid("L", event.ms * 1000 + self._entries % 1000),
                "ref_id": txid("T", event.ms),
                "timestamp": frames.stamp(event.ms),
                "type": kind,
                "asset": asset,
                "asset_class": "currency",
                "category": kind,
                "wallet_type": "spot",
                "wallet_id": "main",
                "amount": _number(total - before),
                "fee": 0,
                "balance": _number(total),
            }
            self._publish("balances", "update", [row])

    def _publish(self, channel: str, kind: str, rows: list[dict[str, Any]]) -> None:
        if channel not in self._sequences:
            return
        self._sequences[channel] += 1
        if kind == "update" and self._server.muted():
            return
        self._send({"channel": channel, "type": kind, "data": rows, "sequence": self._sequences[channel]})

    def beat(self, now_s: float) -> None:
        if self._sequences and now_s - self.socket.sent_s >= 1.0 and not self._server.silent():
            self.socket.send(frames.HEARTBEAT)

    def leave(self) -> None:
        if self._account is not None:
            self._account.unlisten(self._happened)
            self._account = None

    def _send(self, body: dict[str, Any]) -> None:
        self.socket.send(msgspec.json.encode(body).decode())


def _whole(order: OwnOrder, what: str) -> dict[str, Any]:
    """Everything about an order: in a snapshot, and as ``pending_new``."""
    market = order.market
    status = what if what == "pending_new" else _STATUS.get(order.status, "expired")
    return {
        "order_id": order_id(order),
        "symbol": market.instrument.native,
        "side": "buy" if order.buy else "sell",
        "order_type": "market" if order.price is None else "limit",
        "order_qty": msgspec.Raw(market.size_text(order.size).encode()),
        "cum_qty": msgspec.Raw(market.size_text(0 if what == "pending_new" else order.filled).encode()),
        "cum_cost": _number(Decimal(0) if what == "pending_new" else order.quote_filled),
        "time_in_force": "IOC" if order.time_in_force == "IOC" else "GTC",
        "exec_type": what,
        "order_userref": 0,
        "limit_price_type": "static",
        **({"limit_price": msgspec.Raw(market.price_text(order.price).encode())} if order.price is not None else {}),
        **({"cl_ord_id": order.client_id} if order.client_id else {}),
        "order_status": status,
        "fee_ccy_pref": "fciq",
        "timestamp": frames.stamp(order.created_ms),
    }


def executions(event: OrderEvent) -> list[dict[str, Any]]:
    """What the channel says of an event; each row is a message of its own."""
    order, fill, now = event.order, event.fill, frames.stamp(event.ms)
    head = {"order_id": order_id(order), "order_userref": 0, "timestamp": now}
    if order.client_id:
        head["cl_ord_id"] = order.client_id
    if event.what == "NEW":
        return [_whole(order, "pending_new"), {**head, "exec_type": "new", "order_status": "new"}]
    sums = {
        "cum_qty": msgspec.Raw(order.market.size_text(order.filled).encode()),
        "cum_cost": _number(order.quote_filled),
        "avg_price": msgspec.Raw(f"{order.average:.8f}".encode()),
    }
    if fill is None:
        what = "canceled" if event.what == "CANCELED" else "expired"
        reason = "User requested" if what == "canceled" else "Post only order" if order.post_only else "IOC"
        return [{**head, **sums, "exec_type": what, "order_status": what, "reason": reason}]
    trade = {
        **head,
        **sums,
        "exec_id": fill_id(fill),
        "exec_type": "trade",
        "trade_id": fill.id,
        "symbol": order.market.instrument.native,
        "side": "buy" if order.buy else "sell",
        "last_qty": _number(fill.size),
        "last_price": _number(fill.price),
        "liquidity_ind": "m" if fill.maker else "t",
        "cost": _number(fill.value),
        "order_type": "market" if order.price is None else "limit",
        "order_status": "partially_filled",
        "fee_usd_equiv": _number(fill.fee),
        "fees": [{"asset": fill.fee_asset, "qty": _number(fill.fee)}],
    }
    done = {**head, **sums, "exec_type": "filled", "order_status": "filled"}
    return [trade] if order.left else [trade, done]


class UserSockets:
    """The server behind ``/auth/v2``."""

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
        self.accounts = accounts
        self.gatekeeper = gatekeeper
        self.faults = faults
        self.sockets = sockets
        self.clock_ms = clock_ms
        self.connections: set[UserConnection] = set()
        self._rules = rules
        self._clock = clock

    def muted(self) -> bool:
        """Executions and balances are swallowed; heartbeats go on."""
        fault = self.faults.find("kraken", "mute")
        return fault is not None and fault.value == "private"

    def silent(self) -> bool:
        fault = self.faults.find("kraken", "mute")
        return fault is not None and not fault.symbol and fault.value != "private"

    def routes(self, prefix: str) -> list[web.RouteDef]:
        return [web.get(f"{prefix}/auth/v2", self._handle)]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if (refusal := self.sockets.refusal("")) is not None:
            return refusal
        socket = self.sockets.make(self._rules)
        connection = UserConnection(self, socket)
        self.connections.add(connection)
        socket.send(frames.status("online", 12393906104898154339))
        try:
            return await self.sockets.serve(request, socket, connection.on_text)
        finally:
            self.connections.discard(connection)
            connection.leave()

    def tick(self) -> None:
        now_s = self._clock()
        for connection in self.connections:
            connection.beat(now_s)
