"""Kraken spot, the private WebSocket v2: channels ``executions`` and ``balances``.

Source: docs.kraken.com/exchange/api-reference/spot-websocket-v2 (executions, balances), guides (authentication).

* Both are subscribed with a token that REST gives, to be used within 15 minutes; it then holds as long as the
  connection and its subscriptions live. A new one for every connection.
* ``sequence`` counts each subscription's messages: where one is missing the connection is made anew, and everything
  read again.
* **Messages of orders are partial**: only the order's id is always there. A table of the open ones (all of them are
  told first) completes them.
* A fill's id is ``exec_id``, which is the key of REST's TradesHistory; ``trade_id`` is the public print's and counts
  each market by itself.
* Balances are told wallet by wallet, without what open orders hold: that only REST tells.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from feeds.account_domain import AccountChanged, Balance, Expired, Fill, Order, PrivateEvent, UnknownMarket
from feeds.account_reading import EXACT, Moment, Wire, ms_of
from feeds.accounts.kraken.names import asset_of
from feeds.accounts.kraken.wire import PRODUCT, decode, if_any, status_of
from feeds.domain import Ack, Heartbeat, Notice, Rejected, Side
from feeds.errors import ParseError
from feeds.exchange import MarketIndex

CHANNELS = ("executions", "balances")
PING = '{"method":"ping"}'
ZERO = Decimal(0)


class _Frame(Wire, frozen=True):
    channel: str | None = None
    type: str | None = None
    data: msgspec.Raw = msgspec.Raw()
    sequence: int | None = None
    method: str | None = None
    success: bool = False
    error: str | None = None
    result: msgspec.Raw = msgspec.Raw()


class _Result(Wire, frozen=True):
    channel: str | None = None


class _Status(Wire, frozen=True):
    system: str


class _Fee(Wire, frozen=True):
    asset: str
    qty: Decimal


class _Execution(Wire, frozen=True):
    """``{"order_id":"OK4GJX-KSTLS-7DZZO5","exec_id":"TGBB7L-HT5LX-J3BZ4A","exec_type":"trade","trade_id":62887576,
    "symbol":"BTC/USD","side":"sell","last_qty":0.005,"last_price":26599.9,"liquidity_ind":"t","cost":132.9995,
    "order_type":"limit","order_status":"partially_filled","cum_qty":0.005,"avg_price":26599.9,
    "fees":[{"asset":"USD","qty":0.3458}],"timestamp":"2023-09-22T10:33:05.709993Z"}``"""

    order_id: str
    timestamp: Moment
    exec_type: str = "status"
    order_status: str | None = None
    symbol: str | None = None
    side: Side | None = None
    order_type: str | None = None
    order_qty: Decimal | None = None
    cum_qty: Decimal | None = None
    avg_price: Decimal | None = None
    limit_price: Decimal | None = None
    time_in_force: str | None = None
    reduce_only: bool | None = None
    cl_ord_id: str | None = None
    exec_id: str | None = None
    last_qty: Decimal | None = None
    last_price: Decimal | None = None
    liquidity_ind: str | None = None
    fees: list[_Fee] | None = None
    margin: bool = False


class _Wallet(Wire, frozen=True):
    type: str
    id: str
    balance: Decimal


class _Balance(Wire, frozen=True):
    """In the snapshot an asset with its ``wallets``; else an entry of the ledger: ``{"ledger_id":"DATKX6-PEHL1-HZKND8",
    "ref_id":"LKAKN2-N0N12-VKQNLN","timestamp":"2024-05-24T14:01:53.526524Z","type":"trade","asset":"USD",
    "asset_class":"currency","category":"trade","wallet_type":"spot","wallet_id":"main","amount":-19.9743,
    "fee":0.0499,"balance":118.0677}``, the balance being the wallet's new one."""

    asset: str
    balance: Decimal
    wallets: list[_Wallet] | None = None
    timestamp: Moment | None = None
    type: str = ""
    wallet_type: str = "spot"
    wallet_id: str = "main"


_KEPT = (
    *("symbol", "side", "order_type", "order_qty", "cum_qty", "avg_price", "limit_price", "time_in_force"),
    *("reduce_only", "cl_ord_id", "order_status"),
)
"""What holds for an order until it is told anew."""


class KrakenPrivateSession:
    """One connection's side of the protocol."""

    def __init__(self, markets: MarketIndex, token: str) -> None:
        self._markets = markets
        self._token = token
        self._subscribed: set[str] = set()
        self._sequence: dict[str, int] = {}
        self._orders: dict[str, dict[str, Any]] = {}
        self._wallets: dict[str, dict[tuple[str, str], Decimal]] = {}
        self._begun_ms = 0
        self._parsers: dict[str, Callable[[_Frame, bytes | str], list[PrivateEvent]]] = {
            "executions": self._executions,
            "balances": self._balances,
            "status": self._status,
            "heartbeat": lambda frame, raw: [Heartbeat()],
        }

    def opening(self, now_ms: int) -> list[str]:
        self._begun_ms = now_ms
        wanted: list[dict[str, Any]] = [
            {"channel": "executions", "token": self._token, "snap_orders": True, "snap_trades": False},
            {"channel": "balances", "token": self._token, "snapshot": True},
        ]
        return [
            msgspec.json.encode({"method": "subscribe", "params": params, "req_id": number}).decode()
            for number, params in enumerate(wanted, 1)
        ]

    def keepalive(self) -> str | None:
        return PING

    def parse(self, raw: bytes | str) -> list[PrivateEvent]:
        frame = decode(raw, _Frame)
        if frame.channel is not None:
            parser = self._parsers.get(frame.channel)
            events = parser(frame, raw) if parser else []
            return [*events, *self._gap(frame)]
        if frame.method == "pong":
            return [Heartbeat()]
        if frame.method is None:
            raise ParseError("Kraken: neither a channel's message nor an answer", raw)
        if not frame.success:
            reason = frame.error or f"{frame.method} refused"
            return [Rejected(subscriptions=(), reason=reason, code=reason)]
        if frame.method != "subscribe":
            return []
        self._subscribed.add(decode(frame.result, _Result).channel or "" if bytes(frame.result) else "")
        return [Ack(subscriptions=())] if self._subscribed.issuperset(CHANNELS) else []

    def _gap(self, frame: _Frame) -> list[PrivateEvent]:
        if frame.channel is None or frame.sequence is None:
            return []
        before = self._sequence.get(frame.channel)
        self._sequence[frame.channel] = frame.sequence
        if before is None or frame.sequence == before + 1:
            return []
        return [Expired(reason=f"{frame.channel}: message {frame.sequence} came after {before}")]

    def _status(self, frame: _Frame, raw: bytes | str) -> list[PrivateEvent]:
        systems = [each.system for each in decode(frame.data, list[_Status])]
        return [Notice(text=f"Kraken is in {system}.") for system in systems if system != "online"]

    # Orders and fills

    def _executions(self, frame: _Frame, raw: bytes | str) -> list[PrivateEvent]:
        events: list[PrivateEvent] = []
        for row in decode(frame.data, list[_Execution]):
            events += self._execution(row, raw)
        if frame.type == "update":
            events.append(AccountChanged(reason="executions", by_order=True))  # what open orders hold, only REST tells
        return events

    def _execution(self, row: _Execution, raw: bytes | str) -> list[PrivateEvent]:
        known = self._orders.get(row.order_id)
        if known is None:
            known = {"created_ms": ms_of(row.timestamp) if row.exec_type == "pending_new" else None}
        known |= {name: value for name in _KEPT if (value := getattr(row, name)) is not None}
        if known.get("symbol") is None or known.get("side") is None:
            if row.exec_type != "trade":
                return []  # of an order that ended before we listened
            return [Expired(reason=f"an execution of the order {row.order_id}, which was never told")]
        order = self._order(row, known)
        if order.status in ("open", "partial"):
            self._orders[row.order_id] = known
        else:
            self._orders.pop(row.order_id, None)
        if row.exec_type != "trade":
            return [order]
        if self._markets.native(PRODUCT, known["symbol"]) is None:
            return [UnknownMarket(product=PRODUCT, native=known["symbol"]), order]
        return [self._fill(row, order, raw), order]

    def _symbol(self, native: str) -> str:
        market = self._markets.native(PRODUCT, native)
        return market.symbol if market is not None else f"{native}@{PRODUCT}"

    def _order(self, row: _Execution, known: dict[str, Any]) -> Order:
        filled = known.get("cum_qty") or ZERO
        return Order(
            product=PRODUCT,
            symbol=self._symbol(known["symbol"]),
            id=row.order_id,
            client_id=known.get("cl_ord_id") or None,
            side=known["side"],
            type=known.get("order_type") or "limit",
            price=if_any(known.get("limit_price")),
            size=known.get("order_qty") or filled,
            filled=filled,
            average=if_any(known.get("avg_price")) if filled else None,
            status=status_of(known.get("order_status") or "new", filled),
            reduce_only=known.get("reduce_only") or False,
            time_in_force=known.get("time_in_force"),
            created_ms=known["created_ms"],
            updated_ms=ms_of(row.timestamp),
        )

    def _fill(self, row: _Execution, order: Order, raw: bytes | str) -> Fill:
        if row.exec_id is None or row.last_price is None or row.last_qty is None:
            raise ParseError("Kraken: a trade without id, price or size", raw)
        fees = row.fees or []
        return Fill(
            product=PRODUCT,
            symbol=order.symbol,
            id=row.exec_id,
            order_id=order.id,
            client_id=order.client_id,
            side=order.side,
            price=row.last_price,
            size=row.last_qty,
            fee=fees[0].qty if len(fees) == 1 else None,  # else REST tells it
            fee_asset=asset_of(fees[0].asset)[0] if len(fees) == 1 else None,
            maker={"m": True, "t": False}.get(row.liquidity_ind or ""),
            margin=row.margin,
            exchange_ms=ms_of(row.timestamp),
        )

    # Balances

    def _balances(self, frame: _Frame, raw: bytes | str) -> list[PrivateEvent]:
        rows = decode(frame.data, list[_Balance])
        events: list[PrivateEvent] = []
        if frame.type == "snapshot":
            self._wallets = {}
        for row in rows:
            asset = asset_of(row.asset)[0]
            held = self._wallets.setdefault(asset, {})
            if row.wallets is not None:
                held |= {(wallet.type, wallet.id): wallet.balance for wallet in row.wallets}
            else:
                held[row.wallet_type, row.wallet_id] = row.balance
            total = ZERO
            for amount in held.values():
                total = EXACT.add(total, amount)
            asof_ms = ms_of(row.timestamp) if row.timestamp is not None else self._begun_ms
            events.append(Balance(product=PRODUCT, asset=asset, total=total, asof_ms=asof_ms))
        if frame.type == "update":
            kinds = {row.type for row in rows}
            reason = f"balances {', '.join(sorted(kinds))}".rstrip()
            events.append(AccountChanged(reason=reason, by_order=kinds == {"trade"}))
        return events
