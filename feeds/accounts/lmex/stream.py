"""LMEX's private streams: one connection a product, logged in by a message.

Facts (sources: btsecom/docs: spotV3_3 and futuresV2_3, Websocket Streams):

* ``authKeyExpires`` with the key, the time (ms, as text) and the signature of ``/ws/<product>`` and that time. **No
  answer is documented**, and after a refused login topics are acknowledged and then stay silent. So a refusal is seen
  by REST, and a mute stream by the fills that REST tells first.
* The acknowledgement lists the topics that were accepted. Older versions have older topics: ``notificationApiV3`` of
  futures before ``V4``, ``fills`` before ``fillsV2``, ``allPositionV2`` before ``V4``; they are asked for in turn.
  Without the topic of positions it goes on, since REST tells them.
* Nothing begins with a snapshot. There is **no topic of balances**: they are read after every fill.
* Positions carry no time, so nobody can say whether they are later than a REST answer: what changes has REST asked.
  They are pushed with every move of their value; only another size counts.
* The client sends ``ping`` as text, the answer is ``pong``; without one for 60 s the connection is dropped.
"""

from collections.abc import Callable
from decimal import Decimal

import msgspec

from feeds.account_domain import AccountChanged, Order, PrivateEvent, Reply, UnknownMarket
from feeds.account_reading import Wire
from feeds.accounts.lmex.rows import FillRow, OrderRow
from feeds.accounts.lmex.wire import decode, decode_rows, listed, reading
from feeds.domain import Ack, Heartbeat, Rejected
from feeds.exchange import MarketIndex

ORDERS, FILLS, POSITIONS = "orders", "fills", "positions"
TOPICS: dict[str, dict[str, tuple[str, ...]]] = {
    "spot": {ORDERS: ("notificationApiV3",), FILLS: ("fills",)},
    "futures": {
        ORDERS: ("notificationApiV4", "notificationApiV3"),
        FILLS: ("fillsV2", "fills"),
        POSITIONS: ("allPositionV4", "allPositionV2"),
    },
}
"""By product, the names of what is told, the best first."""

_NOT_NEEDED = (POSITIONS,)
_PING = "ping"
_PONGS = (b"pong", b"ping")
_FIRST_ERROR = 400


class _Frame(Wire, frozen=True):
    """``{"topic":"fillsV2","id":"","data":[...]}``, ``{"event":"subscribe","channel":["fillsV2"]}``, or an error."""

    topic: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"[]")
    event: str | None = None
    op: str | None = None
    channel: list[str] | None = None
    code: int | None = None
    errorCode: int | None = None
    status: int | None = None
    success: bool | None = None
    message: str | None = None
    msg: str | None = None


class _PositionRow(Wire, frozen=True):
    """``{"marketName":"BTC-PERP-USDT","positionId":"BTC-PERP-USDT","orderMode":66,"totalContracts":899,
    "contractSize":0.00001,"entryPrice":111126,"markedPrice":111115.5,"positionMode":"ONE_WAY",
    "positionDirection":"LONG"}``"""

    marketName: str
    totalContracts: Decimal
    positionId: str | None = None
    orderMode: int | None = None
    positionMode: str | None = None


class LmexPrivateSession:
    """One connection's side. ``sign`` signs a text; ``saw`` is told of every position's market and mode."""

    def __init__(
        self,
        product: str,
        key: str,
        markets: MarketIndex,
        sign: Callable[[str], str],
        saw: Callable[[str, bool], None] = lambda native, hedge: None,
    ) -> None:
        self._product = product
        self._key = key
        self._markets = markets
        self._sign = sign
        self._saw = saw
        self._waiting = dict.fromkeys(TOPICS[product], 0)  # what is not accepted yet: which of its names was asked for
        self._sizes: dict[str, tuple[int | None, Decimal]] | None = None  # of positions, by id

    def opening(self, now_ms: int) -> list[str]:
        nonce = str(now_ms)
        login = [self._key, nonce, self._sign(f"/ws/{self._product}{nonce}")]
        return [_message("authKeyExpires", login), self._subscribe()]

    def keepalive(self) -> str | None:
        return _PING

    def _subscribe(self) -> str:
        names = TOPICS[self._product]
        return _message("subscribe", [names[kind][number] for kind, number in self._waiting.items()])

    def parse(self, raw: bytes | str) -> list[PrivateEvent]:
        text = raw if isinstance(raw, bytes) else raw.encode("utf-8", "surrogatepass")
        if text in _PONGS:
            return [Heartbeat()]
        with reading(raw, f"private stream of {self._product}"):
            frame = decode(text, _Frame)
            return self._data(frame, frame.topic) if frame.topic is not None else self._answer(frame)

    def _data(self, frame: _Frame, topic: str) -> list[PrivateEvent]:
        if topic.startswith("notificationApi"):
            return [self._order(row) for row in decode_rows(frame.data, OrderRow)]
        if topic.startswith("fills"):
            told = (row.fill(self._product, self._markets) for row in decode_rows(frame.data, FillRow))
            return [each if each is not None else AccountChanged(reason=topic) for each in told]
        if topic.startswith(("allPosition", "positions")):
            return self._positions(topic, decode_rows(frame.data, _PositionRow))
        return [AccountChanged(reason=topic[:40])]

    def _order(self, row: OrderRow) -> Order | UnknownMarket:
        if listed(self._markets, self._product, row.symbol) is None:
            return UnknownMarket(product=self._product, native=row.symbol)
        return row.order(self._product, self._markets)

    def _positions(self, topic: str, rows: list[_PositionRow]) -> list[PrivateEvent]:
        for row in rows:  # "BTC-PERP-USDT": the market, and what it settles in
            self._saw(row.marketName.rpartition("-")[0], row.positionMode == "HEDGE")
        sizes = {row.positionId or row.marketName: (row.orderMode, row.totalContracts) for row in rows}
        if topic.startswith("positions") and self._sizes is not None:
            sizes = self._sizes | sizes  # only those that changed
        changed, self._sizes = sizes != self._sizes, sizes
        return [AccountChanged(reason=topic[:40])] if changed else []

    def _answer(self, frame: _Frame) -> list[PrivateEvent]:
        if "pong" in (frame.event, frame.op) or "ping" in (frame.event, frame.op):
            return [Heartbeat()]
        code = next((code for code in (frame.errorCode, frame.code, frame.status) if code is not None), None)
        if frame.success is False or (code is not None and (code < 0 or code >= _FIRST_ERROR)):
            reason = frame.message or frame.msg or "no reason given"
            return [Rejected(subscriptions=(), reason=reason, code=code)]
        if frame.event == "subscribe" and frame.channel is not None:
            return self._subscribed(set(frame.channel))
        if frame.event is None and frame.op is None and code is None and frame.success is None:
            raise ValueError("neither data nor an answer")
        return []

    def _subscribed(self, accepted: set[str]) -> list[PrivateEvent]:
        """What is left out was refused: its next name is asked for. It stands when nothing waits."""
        names, refused = TOPICS[self._product], []
        for kind, number in list(self._waiting.items()):
            if names[kind][number] in accepted:
                del self._waiting[kind]
            elif number + 1 < len(names[kind]):
                self._waiting[kind] = number + 1
            else:
                del self._waiting[kind]
                refused.append(kind)
        if needed := [kind for kind in refused if kind not in _NOT_NEEDED]:
            reason = f"{' and '.join(needed)} cannot be subscribed: missing in the acknowledgement"
            return [Rejected(subscriptions=(), reason=reason)]
        if self._waiting:
            return [Reply(messages=(self._subscribe(),))]
        return [Ack(subscriptions=())]


def _message(op: str, args: list[str]) -> str:
    return msgspec.json.encode({"op": op, "args": args}).decode()
