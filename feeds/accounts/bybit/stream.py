"""Bybit's private stream: one connection for all products, logged in by a message.

Facts (sources: bybit-exchange.github.io/docs/v5: ws/connect, websocket/wss-authentication, websocket/private/*):

* First ``auth`` with the key, a moment in the future (ms) and the signature of ``GET/realtime<moment>``; it lasts as
  long as the connection. Topics are asked for after the answer, as nothing private is accepted before it.
* ``order``, ``execution``, ``position`` and ``wallet`` tell all products at once, options and inverse contracts too.
  None begins with a snapshot: REST is read when the subscription stands.
* We send ``{"op":"ping"}`` every 20 s; the answer is ``pong`` here, where public streams say ``ping``.
* ``position`` comes with every order, also if nothing changed. A wallet's unrealised profit alone brings no event.
* ``execution.fast`` is a poorer and quicker copy of ``execution``, without fee: the poor version would be stored first.
* ``dcp.*`` are not subscribed: they would have Bybit cancel all orders of the account when *we* are away.

Which topic becomes what:

=============  =====================================================================================================
``order``      the order's state
``execution``  a fill, if it is one (``rows.EXECUTIONS``); funding: ask again. Of categories that are not followed,
               inverse contracts and options too: the wallet was changed, by nobody knows how much
``position``   the position, absolute
``wallet``     the balances of the coins that changed, absolute
any other      something that we do not know: ask again
=============  =====================================================================================================
"""

from collections.abc import Callable, Sequence

import msgspec

from feeds.account import Credentials
from feeds.account_domain import AccountChanged, PrivateEvent, Reply
from feeds.account_reading import Ms, Wire
from feeds.accounts.bybit.rows import EXECUTIONS, ExecutionRow, OrderRow, PositionRow, Wallet
from feeds.accounts.bybit.wire import decode, reading
from feeds.domain import Ack, Heartbeat, Rejected
from feeds.exchange import MarketIndex

TOPICS = ("order", "execution", "position", "wallet")
VALID_MS = 10_000
"""The login may take so long on its way."""

_PING = '{"op":"ping"}'


class _Frame(Wire, frozen=True):
    """``{"topic":"wallet","id":"...","creationTime":1700034722104,"data":[...]}``, or an answer:
    ``{"success":true,"ret_msg":"","op":"auth","conn_id":"cejreaspqfh3sjdnldmg-p"}``,
    ``{"op":"auth","success":false,"retCode":10003,"retMsg":"Invalid apikey","connId":"..."}``,
    ``{"req_id":"test","op":"pong","args":["1675418560633"],"conn_id":"..."}``"""

    topic: str | None = None
    creationTime: Ms | None = None
    data: msgspec.Raw = msgspec.Raw(b"[]")
    op: str | None = None
    success: bool | None = None
    ret_msg: str = ""
    retCode: int | None = None
    retMsg: str = ""

    @property
    def good(self) -> bool:
        return self.success is True or (self.success is None and self.retCode == 0)


class BybitSession:
    """One connection's side. ``sign`` signs a text; ``margin_mode`` gives what is known of the account's mode,
    ``saw`` is told of every position."""

    def __init__(
        self,
        credentials: Credentials,
        markets: MarketIndex,
        products: Sequence[str],
        sign: Callable[[str], str],
        margin_mode: Callable[[], str | None],
        saw: Callable[[PositionRow], None] = lambda row: None,
    ) -> None:
        self._key = credentials.key
        self._markets = markets
        self._products = frozenset(products)
        self._sign = sign
        self._margin_mode = margin_mode
        self._saw = saw
        self._parsers: dict[str, Callable[[_Frame], list[PrivateEvent]]] = {
            "order": self._orders,
            "execution": self._executions,
            "position": self._positions,
            "wallet": self._wallets,
        }

    def opening(self, now_ms: int) -> list[str]:
        expires_ms = now_ms + VALID_MS
        args = [self._key, expires_ms, self._sign(f"GET/realtime{expires_ms}")]
        return [_encode({"req_id": "login", "op": "auth", "args": args})]

    def keepalive(self) -> str | None:
        return _PING

    def parse(self, raw: bytes | str) -> list[PrivateEvent]:
        with reading(raw, "private stream"):
            frame = decode(raw, _Frame)
            if frame.topic is not None:
                parser = self._parsers.get(frame.topic)
                return parser(frame) if parser else [AccountChanged(reason=frame.topic)]
            if frame.op is None:
                raise ValueError("neither data nor an answer")
            return self._answer(frame)

    def _answer(self, frame: _Frame) -> list[PrivateEvent]:
        if frame.op == "pong" or (frame.op == "ping" and frame.good):
            return [Heartbeat()]
        if not frame.good:
            reason = frame.ret_msg or frame.retMsg or f"{frame.op} was refused without a reason"
            return [Rejected(subscriptions=(), reason=reason, code=frame.retCode)]
        if frame.op == "auth":
            return [Reply(messages=(_encode({"req_id": "topics", "op": "subscribe", "args": TOPICS}),))]
        return [Ack(subscriptions=())] if frame.op == "subscribe" else []

    def _orders(self, frame: _Frame) -> list[PrivateEvent]:
        rows = decode(frame.data, list[OrderRow])
        return [row.order(row.category, self._markets) for row in rows if row.category in self._products]

    def _executions(self, frame: _Frame) -> list[PrivateEvent]:
        events: list[PrivateEvent] = []
        for row in decode(frame.data, list[ExecutionRow]):
            if row.execType not in EXECUTIONS:
                events.append(AccountChanged(reason=f"execution {row.execType}"))
            elif row.category not in self._products:
                events.append(row.elsewhere(self._markets))
            elif (fill := row.fill(row.category, self._markets)) is not None:
                events.append(fill)
        return events

    def _positions(self, frame: _Frame) -> list[PrivateEvent]:
        asof_ms, mode = _moment(frame), self._margin_mode()
        rows = [row for row in decode(frame.data, list[PositionRow]) if row.category in self._products]
        for row in rows:
            self._saw(row)
        return [row.position(row.category, self._markets, mode, asof_ms) for row in rows]

    def _wallets(self, frame: _Frame) -> list[PrivateEvent]:
        asof_ms, mode = _moment(frame), self._margin_mode()
        events: list[PrivateEvent] = []
        for wallet in decode(frame.data, list[Wallet]):
            if wallet.accountType == "UNIFIED":
                events += wallet.balances(mode, asof_ms)
        return events


def _moment(frame: _Frame) -> int:
    if frame.creationTime is None:
        raise ValueError("creationTime is missing")
    return frame.creationTime


def _encode(message: dict[str, object]) -> str:
    return msgspec.json.encode(message).decode()
