"""Kraken Futures, the private feeds of the WebSocket: open_orders, fills, balances, open_positions.

Source: docs.kraken.com/api/docs/futures-api/websocket (challenge, balances, fills, open_orders, open_positions).

* A challenge is asked for, signed, and goes with every subscription; it belongs to the connection.
* ``open_positions`` tells all positions each time: one that is missing is closed. ``balance`` is signed.
* ``open_orders`` names of an order that ends only its id: a table of those told before completes it. ``qty`` is what is
  left to fill. ``is_cancel`` is also said of what was filled (``full_fill``).
* ``balances`` tells the parts that changed: ``holding`` (cash), ``futures`` (of inverse contracts), ``flex_futures``.
* Inverse contracts count dollars: nothing of them is shown, and it is said so.
"""

from collections.abc import Callable, Mapping, MutableMapping
from decimal import Decimal

import msgspec
from msgspec import field

from feeds.account_domain import AccountChanged, Balance, Fill, Order, PrivateEvent, Reply, UnknownMarket
from feeds.account_reading import EXACT, Ms, Wire
from feeds.accounts.krakenfutures.rest import position, raw_json
from feeds.accounts.krakenfutures.wire import (
    PRODUCT,
    TYPES,
    ZERO,
    Detail,
    asset_of,
    decode,
    inverse,
    maker_of,
    market_of,
    shown,
)
from feeds.domain import Ack, Heartbeat, Notice, Rejected
from feeds.errors import ParseError
from feeds.exchange import MarketIndex

FEEDS = ("open_orders", "fills", "balances", "open_positions")
FILLED = "full_fill"


class _Frame(Wire, frozen=True):
    event: str | None = None
    feed: str | None = None
    message: str | None = None


class _Order(Wire, frozen=True):
    instrument: str
    order_id: str
    time: Ms
    last_update_time: Ms
    qty: Decimal  # left
    filled: Decimal
    direction: int  # 0 buys, 1 sells
    type: str
    limit_price: Decimal | None = None
    reduce_only: bool = False
    cli_ord_id: str | None = None


class _Orders(Wire, frozen=True):
    orders: list[_Order]


class _Change(Wire, frozen=True):
    order: _Order | None = None
    order_id: str | None = None
    is_cancel: bool = False
    reason: str = ""


class _Fill(Wire, frozen=True):
    instrument: str
    time: Ms
    price: Decimal
    buy: bool
    qty: Decimal
    fill_id: str
    order_id: str = ""
    fill_type: str = ""
    fee_paid: Decimal | None = None
    fee_currency: str | None = None
    cli_ord_id: str | None = None


class _Fills(Wire, frozen=True):
    fills: list[_Fill]


class _Position(Wire, frozen=True):
    instrument: str
    balance: Decimal
    entry_price: Decimal
    mark_price: Decimal | None = None
    pnl: Decimal | None = None
    liquidation_threshold: Decimal | None = None
    initial_margin: Decimal | None = None


class _Positions(Wire, frozen=True):
    positions: list[_Position]
    timestamp: Ms | None = None


class _Single(Wire, frozen=True):
    unit: str
    balance: Decimal


class _Currency(Wire, frozen=True):
    quantity: Decimal
    available: Decimal | None = None


class _Flex(Wire, frozen=True):
    currencies: dict[str, _Currency] = field(default_factory=dict)


class _Balances(Wire, frozen=True):
    holding: dict[str, Decimal] | None = None
    futures: dict[str, _Single] | None = None
    flex_futures: _Flex | None = None
    timestamp: Ms | None = None


class KrakenFuturesPrivateSession:
    """One connection's side of the protocol. ``details`` is what the REST answers are completed from."""

    def __init__(
        self,
        key: str,
        sign: Callable[[str], str],
        markets: MarketIndex,
        leverage: Mapping[str, Decimal],
        details: MutableMapping[str, Detail],
    ) -> None:
        self._key = key
        self._sign = sign
        self._markets = markets
        self._leverage = leverage
        self._details = details
        self._subscribed: set[str] = set()
        self._orders: dict[str, Order] = {}
        self._money: dict[tuple[str, str], tuple[str, Decimal]] = {}  # (part, its name): asset and amount
        self._free: dict[str, Decimal] = {}
        self._warned = False
        self._begun_ms = 0
        self._parsers: dict[str, Callable[[bytes | str], list[PrivateEvent]]] = {
            "open_orders_snapshot": self._open_orders,
            "open_orders": self._order_changed,
            "fills_snapshot": self._fills,
            "fills": self._fills,
            "open_positions": self._positions,
            "balances_snapshot": self._balances,
            "balances": self._balances,
            "heartbeat": lambda raw: [Heartbeat()],
        }

    def opening(self, now_ms: int) -> list[str]:
        self._begun_ms = now_ms
        return [raw_json({"event": "challenge", "api_key": self._key})]

    def keepalive(self) -> str | None:
        return None  # a WebSocket ping

    def parse(self, raw: bytes | str) -> list[PrivateEvent]:
        frame = decode(raw, _Frame)
        if frame.event is not None:
            return self._event(frame, raw)
        if frame.feed is None:
            raise ParseError("Kraken Futures: neither an event nor a feed", raw)
        parser = self._parsers.get(frame.feed)
        return parser(raw) if parser else []

    def _event(self, frame: _Frame, raw: bytes | str) -> list[PrivateEvent]:
        if frame.event == "challenge":
            if frame.message is None:
                raise ParseError("Kraken Futures: a challenge without a message", raw)
            return [Reply(messages=tuple(self._subscriptions(frame.message)))]
        if frame.event == "subscribed":
            self._subscribed.add(frame.feed or "")
            return [Ack(subscriptions=())] if self._subscribed.issuperset(FEEDS) else []
        if frame.event in ("error", "alert", "subscribed_failed"):
            reason = frame.message or f"{frame.event} {frame.feed or ''}".rstrip()
            return [Rejected(subscriptions=(), reason=reason, code=reason)]
        return []  # info, unsubscribed

    def _subscriptions(self, challenge: str) -> list[str]:
        login = {"api_key": self._key, "original_challenge": challenge, "signed_challenge": self._sign(challenge)}
        feeds = [raw_json({"event": "subscribe", "feed": feed, **login}) for feed in FEEDS]
        return [*feeds, raw_json({"event": "subscribe", "feed": "heartbeat"})]

    # Orders

    def _open_orders(self, raw: bytes | str) -> list[PrivateEvent]:
        return [order for row in decode(raw, _Orders).orders for order in self._order(row, "")]

    def _order_changed(self, raw: bytes | str) -> list[PrivateEvent]:
        change = decode(raw, _Change)
        changed = AccountChanged(reason=f"open_orders {change.reason}".rstrip(), by_order=True)  # an order holds margin
        ended = _ended(change.reason) if change.is_cancel else ""
        if change.order is not None:
            return [*self._order(change.order, ended), changed]
        known = self._orders.pop(change.order_id or "", None)
        if known is None or not ended:
            return [changed]
        filled = known.size if ended == "filled" else known.filled
        return [msgspec.structs.replace(known, status=ended, filled=filled), changed]

    def _order(self, row: _Order, ended: str) -> list[Order]:
        if inverse(row.instrument):
            return []
        order = Order(
            product=PRODUCT,
            symbol=shown(self._markets, row.instrument),
            id=row.order_id,
            client_id=row.cli_ord_id or None,
            side="sell" if row.direction else "buy",
            type=TYPES.get(row.type, row.type),
            price=row.limit_price or None,
            size=EXACT.add(row.qty, row.filled),
            filled=row.filled,
            status=ended or ("partial" if row.filled else "open"),
            reduce_only=row.reduce_only,
            created_ms=row.time,
            updated_ms=row.last_update_time,
        )
        if ended:
            self._orders.pop(order.id, None)
        else:
            self._orders[order.id] = order
        return [order]

    # Fills

    def _fills(self, raw: bytes | str) -> list[PrivateEvent]:
        return [self._fill(row) for row in decode(raw, _Fills).fills]

    def _fill(self, row: _Fill) -> PrivateEvent:
        market = market_of(self._markets, row.instrument)
        if market is None:
            return UnknownMarket(product=PRODUCT, native=row.instrument.upper())
        return Fill(
            product=PRODUCT,
            symbol=market.symbol,
            id=row.fill_id,
            order_id=row.order_id,
            client_id=row.cli_ord_id or None,
            side="buy" if row.buy else "sell",
            price=row.price,
            size=row.qty,
            fee=row.fee_paid,
            fee_asset=asset_of(row.fee_currency) if row.fee_currency else None,
            maker=maker_of(row.fill_type),
            exchange_ms=row.time,
        )

    # Positions

    def _positions(self, raw: bytes | str) -> list[PrivateEvent]:
        told = decode(raw, _Positions)
        asof_ms = told.timestamp if told.timestamp is not None else self._begun_ms
        events: list[PrivateEvent] = []
        left = set(self._details)
        for row in told.positions:
            native = row.instrument.upper()
            if inverse(native):
                events += self._warn(native)
                continue
            left.discard(native)
            detail = Detail(row.balance, row.mark_price, row.pnl, row.liquidation_threshold or None, row.initial_margin)
            self._details[native] = detail
            events.append(
                position(native, row.balance, row.entry_price, detail, asof_ms, self._markets, self._leverage)
            )
        for native in left:
            del self._details[native]
            events.append(position(native, ZERO, ZERO, None, asof_ms, self._markets, self._leverage))
        return events

    def _warn(self, native: str) -> list[PrivateEvent]:
        if self._warned:
            return []
        self._warned = True
        return [Notice(text=f"The position in {native} is not shown: inverse contracts are counted in dollars.")]

    # Balances

    def _balances(self, raw: bytes | str) -> list[PrivateEvent]:
        told = decode(raw, _Balances)
        rows: list[tuple[str, str, str, Decimal]] = []
        for name, amount in (told.holding or {}).items():
            if not amount.is_finite():
                raise ParseError(f"Kraken Futures: a balance of {amount}", raw)
            rows.append(("holding", name, asset_of(name), amount))
        rows += [("futures", name, asset_of(row.unit), row.balance) for name, row in (told.futures or {}).items()]
        for name, row in (told.flex_futures.currencies if told.flex_futures else {}).items():
            rows.append(("flex", name, asset_of(name), row.quantity))
            if row.available is not None:
                self._free[asset_of(name)] = row.available
        for part, name, asset, amount in rows:
            self._money[part, name] = (asset, amount)
        asof_ms = told.timestamp if told.timestamp is not None else self._begun_ms
        return [self._balance(asset, asof_ms) for asset in dict.fromkeys(asset for _, _, asset, _ in rows)]

    def _balance(self, asset: str, asof_ms: int) -> Balance:
        total = ZERO
        for of, amount in self._money.values():
            total = EXACT.add(total, amount) if of == asset else total
        return Balance(product=PRODUCT, asset=asset, total=total, free=self._free.get(asset, ZERO), asof_ms=asof_ms)


def _ended(reason: str) -> str:
    """How an order ended that is said to be cancelled."""
    if reason == FILLED:
        return "filled"
    if reason == "contract_expired" or reason.startswith("ioc_order_failed"):
        return "expired"
    return "rejected" if reason.startswith("post_order_failed") else "canceled"
