"""Alpaca, the stream of orders: login, then one subscription, then what becomes of each order.

Facts (sources: docs.alpaca.markets, docs: websocket-streaming; alpacahq/alpaca-py ``alpaca/trading/stream.py``):

* ``authenticate`` is answered on the stream ``authorization``, ``listen`` on ``listening`` with the streams that are
  told from now on; one that is not available is left out there.
* JSON in text frames, on the paper host in binary ones. No sequence, no snapshot, no heartbeat; pings are answered.
* ``trade_updates`` tells the order as it is after the event. ``fill`` and ``partial_fill`` also have the execution's
  own price and size, and an ``execution_id``, which is not documented to be a part of the id that the history tells
  (see ``activities.py``). So a fill here says that one is to be read there, at once.
* Nothing tells of balances: any event calls for REST.
"""

from decimal import Decimal

import msgspec

from feeds.account import Credentials
from feeds.account_domain import AccountChanged, FillTold, PrivateEvent, Reply, UnknownMarket
from feeds.account_reading import Wire
from feeds.accounts.alpaca.rows import OrderRow
from feeds.accounts.alpaca.wire import Names, decode
from feeds.domain import Ack, Rejected
from feeds.errors import ParseError

STREAM = "trade_updates"
EXECUTIONS = frozenset({"fill", "partial_fill"})
UNAUTHORIZED = "unauthorized"
_LISTEN = f'{{"action":"listen","data":{{"streams":["{STREAM}"]}}}}'


class _Frame(Wire, frozen=True):
    stream: str
    data: msgspec.Raw


class _Authorization(Wire, frozen=True):
    """``{"status":"authorized","action":"authenticate"}``"""

    status: str
    action: str = ""
    message: str = ""


class _Listening(Wire, frozen=True):
    """``{"streams":["trade_updates"]}``"""

    streams: tuple[str, ...] = ()


class _Update(Wire, frozen=True):
    """``{"event":"fill","execution_id":"2f63ea93-423d-4169-b3f6-3fdafc10c418","price":"105.8988475","qty":"1790.86",
    "position_qty":"0","timestamp":"2022-04-19T17:45:05.024916716Z","order":{...}}``"""

    event: str
    order: OrderRow
    price: Decimal | None = None
    qty: Decimal | None = None


class AlpacaSession:
    """One connection's side. ``products`` are followed; of others the balances change, and fills are told."""

    def __init__(self, credentials: Credentials, names: Names, products: tuple[str, ...]) -> None:
        self._credentials = credentials
        self._names = names
        self._products = products

    def opening(self, now_ms: int) -> list[str]:
        data = {"key_id": self._credentials.key, "secret_key": self._credentials.secret}
        return [msgspec.json.encode({"action": "authenticate", "data": data}).decode()]

    def keepalive(self) -> str | None:
        return None

    def parse(self, raw: bytes | str) -> list[PrivateEvent]:
        frame = decode(raw, _Frame)
        if frame.stream == STREAM:
            return self._update(decode(frame.data, _Update))
        if frame.stream == "authorization":
            return self._authorization(decode(frame.data, _Authorization))
        if frame.stream == "listening":
            if STREAM in decode(frame.data, _Listening).streams:
                return [Ack(subscriptions=())]
            return [Rejected(subscriptions=(), reason=f"it does not tell {STREAM}")]
        return [AccountChanged(reason=frame.stream)]

    def _authorization(self, answer: _Authorization) -> list[PrivateEvent]:
        if answer.status == "authorized":
            return [Reply(messages=(_LISTEN,))]
        said = self._credentials.cut_from(answer.message)[:200] or answer.status
        code = UNAUTHORIZED if answer.status == UNAUTHORIZED and answer.action != "listen" else None
        return [Rejected(subscriptions=(), reason=said, code=code)]

    def _update(self, update: _Update) -> list[PrivateEvent]:
        row, changed = update.order, AccountChanged(reason=f"order: {update.event}", by_order=True)
        if row.product is None or row.symbol is None:
            return [changed]
        if row.product not in self._products:
            named = self._names.by_rule(row.symbol)
            if update.event not in EXECUTIONS or named is None or update.price is None or update.qty is None:
                return [changed]
            return [FillTold(symbol=named[1], order_id=row.id, price=update.price, size=abs(update.qty)), changed]
        order = row.order(self._names)
        if update.event not in EXECUTIONS:
            return [order, changed]
        market = self._names.find(row.symbol, order.product)
        if market is None:
            return [UnknownMarket(product=order.product, native=row.symbol), order, changed]
        if update.price is None or update.qty is None:
            raise ParseError(f"Alpaca: a {update.event} without price or qty")
        told = FillTold(symbol=order.symbol, order_id=order.id, price=update.price, size=abs(update.qty))
        return [order, told, changed]
