"""Coinbase, the private stream: the channel ``user``.

Facts (docs.cdp.coinbase.com, Advanced Trade, WebSocket overview, channels, authentication):

* Each subscription carries a token of its own, without ``uri``. What it has opened lives on when the token ends, so
  every connection makes new ones, and none is renewed.
* First all open orders as snapshots of 50 (one with fewer is the last), then an update for each order that changes.
* **Orders are told cumulatively, fills not at all**, and they have no number here by which to know one again. So an
  order of which more is filled than before asks for the list of fills; none is made up.
* What is left of a cancelled order is 0: its size is what was told of it earlier.
* A connection counts its frames (``sequence_num``), answers and heartbeats too. A hole is a lost frame.
* ``heartbeats`` come once a second; a channel in which nothing happens is closed after 60 to 90 s without them.
* An error names no subscription, and "authentication failure" is said at times to keys that are good.
* The channel tells no balances: what orders hold, REST tells.
"""

from collections.abc import Callable

import msgspec

from feeds.account_domain import AccountChanged, Expired, Order, PrivateEvent
from feeds.account_reading import EXACT, Moment, Wire, figure, ms_of
from feeds.accounts.coinbase.known import KnownOrders
from feeds.accounts.coinbase.wire import (
    PRODUCT,
    STATUSES,
    TIMES_IN_FORCE,
    BuySell,
    is_spot,
    moment_ms,
    not_negative,
    reading,
    side_of,
    status_of,
    symbol_of,
    type_of,
)
from feeds.domain import Ack, Heartbeat, Rejected
from feeds.errors import ParseError
from feeds.exchange import MarketIndex

USER, HEARTBEATS = "user", "heartbeats"


class _Frame(Wire, frozen=True):
    """``{"channel":"user","client_id":"","timestamp":"2023-02-09T20:33:57.609931463Z","sequence_num":0,"events":[...]}``

    ``{"type":"error","message":"authentication failure"}`` has neither channel nor number.
    """

    channel: str = ""
    timestamp: Moment | None = None
    sequence_num: int | None = None
    events: msgspec.Raw = msgspec.Raw(b"[]")
    type: str = ""
    message: str = ""


class _Subscribed(Wire, frozen=True):
    """``{"subscriptions":{"user":["3e625b74-1c4e-5967-ad38-4d26f30d4439"]}}``"""

    subscriptions: dict[str, list[str]] = msgspec.field(default_factory=dict)


class _OrderRow(Wire, frozen=True):
    """``{"order_id":"YYY","client_order_id":"XXX","product_id":"BTC-USD","product_type":"SPOT","order_side":"BUY",
    "order_type":"Limit","status":"OPEN","limit_price":"50000","avg_price":"50000","cumulative_quantity":"0.004",
    "leaves_quantity":"0.006","time_in_force":"GOOD_UNTIL_CANCELLED","creation_time":"2024-06-21T18:29:13.909347Z"}``"""

    order_id: str
    product_id: str
    order_side: BuySell
    status: str
    cumulative_quantity: str
    leaves_quantity: str = ""
    client_order_id: str = ""
    order_type: str = ""
    limit_price: str = ""
    avg_price: str = ""
    time_in_force: str = ""
    creation_time: str = ""


class _UserEvent(Wire, frozen=True):
    type: str
    orders: list[_OrderRow] | None = None


_decode_frame = msgspec.json.Decoder(_Frame).decode
_decode_subscribed = msgspec.json.Decoder(list[_Subscribed]).decode
_decode_user = msgspec.json.Decoder(list[_UserEvent]).decode


class CoinbasePrivateSession:
    """One connection's side of the stream. ``token`` makes a token at a time; ``orders`` outlives the connection."""

    def __init__(self, markets: MarketIndex, orders: KnownOrders, token: Callable[[int], str]) -> None:
        self._markets = markets
        self._orders = orders
        self._token = token
        self._number: int | None = None
        self._acknowledged = False

    def opening(self, now_ms: int) -> list[str]:
        return [
            msgspec.json.encode({"type": "subscribe", "channel": channel, "jwt": self._token(now_ms)}).decode()
            for channel in (USER, HEARTBEATS)
        ]

    def keepalive(self) -> str | None:
        return None

    def parse(self, raw: bytes | str) -> list[PrivateEvent]:
        with reading(raw, "frame"):
            frame = _decode_frame(raw)
        if frame.type == "error":
            reason = frame.message or "an error without words"
            return [Rejected(subscriptions=(), reason=reason, code=frame.message)]
        if not frame.channel or frame.sequence_num is None:
            raise ParseError("Coinbase: a frame without channel or number", raw)
        before, number = self._number, frame.sequence_num
        if before is not None and number <= before:
            return []
        self._number = number
        events = self._events(frame, raw)
        if before is not None and number > before + 1:
            events.append(Expired(reason=f"frames were lost: number {number} came after {before}"))
        return events

    def _events(self, frame: _Frame, raw: bytes | str) -> list[PrivateEvent]:
        if frame.channel == USER:
            if frame.timestamp is None:
                raise ParseError("Coinbase: orders without a timestamp", raw)
            with reading(raw, "orders"):
                return self._user(_decode_user(frame.events), ms_of(frame.timestamp))
        if frame.channel == HEARTBEATS:
            return [Heartbeat()]
        if frame.channel == "subscriptions" and not self._acknowledged:
            with reading(raw, "subscriptions"):
                self._acknowledged = any(USER in told.subscriptions for told in _decode_subscribed(frame.events))
            return [Ack(subscriptions=())] if self._acknowledged else []
        return []

    def _user(self, told: list[_UserEvent], now_ms: int) -> list[PrivateEvent]:
        events: list[PrivateEvent] = []
        for event in told:
            for row in event.orders or ():
                if is_spot(row.product_id):
                    events += self._order(row, now_ms, news=event.type != "snapshot")
        return events

    def _order(self, row: _OrderRow, now_ms: int, *, news: bool) -> list[PrivateEvent]:
        """The order; and what to ask for, if it is news. (After a snapshot everything is asked for anyway.)"""
        filled = not_negative(row.cumulative_quantity, "cumulative_quantity")
        left = not_negative(row.leaves_quantity, "leaves_quantity")
        status = status_of(row.status, filled)
        ended = STATUSES.get(row.status) != "open"
        symbol = symbol_of(self._markets, row.product_id)
        price, average = figure(row.limit_price, "limit_price"), figure(row.avg_price, "avg_price")
        created_ms = moment_ms(row.creation_time)
        known = self._orders.get(row.order_id)
        before = (known.filled if known is not None else None) or 0
        size = self._orders.streamed(row.order_id, symbol, EXACT.add(filled, left), filled, ended=ended)
        if size is None:
            return []  # an old message again
        events: list[PrivateEvent] = []
        if size:  # else it was never told of, and ended without a fill
            order = Order(
                product=PRODUCT,
                symbol=symbol,
                id=row.order_id,
                client_id=row.client_order_id or None,
                side=side_of(row.order_side),
                type=type_of(row.order_type),
                price=price or None,
                size=size,
                filled=filled,
                average=(average or None) if filled else None,
                status=status,
                time_in_force=TIMES_IN_FORCE.get(row.time_in_force),
                created_ms=created_ms,
                updated_ms=now_ms,
            )
            events.append(order)
        if news:
            filled_in = symbol if filled > before else None
            events.append(AccountChanged(reason=f"order {row.status}", fills_in=filled_in, by_order=True))
        return events
