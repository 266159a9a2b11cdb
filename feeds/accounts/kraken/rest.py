"""Kraken spot, account answers by REST: ``{"error":[],"result":...}``; errors never come so far.

Sources: docs.kraken.com/api-reference/account-data (BalanceEx, OpenOrders, OpenPositions, TradesHistory) and funding
(DepositStatus, WithdrawStatus). Amounts are texts; the documentation prints some as numbers: both are read.
"""

from decimal import Decimal
from typing import Generic, Literal, TypeVar

import msgspec
from msgspec import field

from feeds.account import FillPage, KeyRights
from feeds.account_domain import Balance, Fill, Order, Position, Transfer, UnknownMarket
from feeds.account_reading import EXACT, Wire
from feeds.accounts.kraken.names import Pairs, asset_of
from feeds.accounts.kraken.wire import AVERAGE, PRODUCT, decode, if_any, ms_of_seconds, status_of
from feeds.domain import Side
from feeds.errors import ParseError

PAGE = 50
ZERO = Decimal(0)
WITHDRAW = "withdraw-funds"

T = TypeVar("T")


class Answer(msgspec.Struct, Generic[T], frozen=True):
    result: T


class _Balance(Wire, frozen=True):
    """``{"balance":"25435.2100","hold_trade":"8249.7600"}``; ``credit`` and ``credit_used`` only with a credit line."""

    balance: Decimal
    hold_trade: Decimal = ZERO


class _Position(Wire, frozen=True):
    """``{"ordertxid":"OLWNFG-LLH4R-D6SFFP","posstatus":"open","pair":"XXBTZUSD","type":"buy","cost":"104610.52842",
    "vol":"8.82412861","vol_closed":"0.20200000","margin":"20922.10568","value":"258797.5","net":"+154186.9728"}``"""

    pair: str
    type: Side
    cost: Decimal  # of ``vol``, the whole of it
    vol: Decimal
    vol_closed: Decimal
    margin: Decimal
    net: Decimal | None = None  # unrealised profit; with docalcs only
    value: Decimal | None = None


class _Description(Wire, frozen=True):
    pair: str
    type: Side
    ordertype: str
    price: str  # the limit; of trailing orders "+1.0000%"
    order: str = ""


class _Order(Wire, frozen=True):
    """``{"userref":0,"cl_ord_id":"my-1","status":"open","opentm":1688583840.8648,"descr":{...},"vol":"0.50000000",
    "vol_exec":"0.00000000","price":"0.00000","oflags":"fciq"}``; ``price`` is the average one."""

    status: str
    opentm: Decimal
    descr: _Description
    vol: Decimal
    vol_exec: Decimal
    price: Decimal
    closetm: Decimal | None = None
    lastupdated: Decimal | None = None
    cl_ord_id: str | None = None
    reduce_only: bool = False


class _Open(Wire, frozen=True):
    orders: dict[str, _Order] = field(name="open")


class _Closed(Wire, frozen=True):
    orders: dict[str, _Order] = field(name="closed")


class _Trade(Wire, frozen=True):
    """``{"ordertxid":"O26VBY-ISGAE-JP5TLU","postxid":"TKH2SE-M7IF5-CFI7LT","pair":"XBTUSDT","time":1688585840.8921,
    "type":"buy","ordertype":"limit","price":"29500.50","cost":"14750.25","fee":"23.60","vol":"0.50000000",
    "margin":"0.00000","leverage":"0","misc":"","trade_id":1001,"maker":true}``; the fee is in the quote currency.

    A trade on margin has what was set aside for it in ``margin``, its ``leverage``, or closes a position (``misc``)."""

    ordertxid: str
    pair: str
    time: Decimal
    type: Side
    price: Decimal
    vol: Decimal
    fee: Decimal
    maker: bool | None = None
    margin: Decimal = ZERO
    leverage: str = ""
    misc: str = ""

    @property
    def on_margin(self) -> bool:
        return bool(self.margin) or self.leverage not in ("", "0", "none") or "closing" in self.misc.split(",")


class _Trades(Wire, frozen=True):
    trades: dict[str, _Trade]
    count: int | None = None  # of all that were asked for


class _Movement(Wire, frozen=True):
    """``{"method":"Bitcoin","asset":"XXBT","refid":"FTQcuak-V6Za8qrWnhzTx67yYHz8Tg","txid":"...","amount":"0.72485000",
    "fee":"0.00020000","time":1688014586,"status":"Pending","status-prop":"canceled"}``"""

    asset: str
    refid: str
    amount: Decimal
    time: Decimal
    status: str
    fee: Decimal | None = None


class _Movements(Wire, frozen=True):
    """With a cursor asked for, the list stands under the kind's name."""

    deposits: list[_Movement] = field(name="deposit", default_factory=list)
    withdrawals: list[_Movement] = field(name="withdrawals", default_factory=list)


class _Rights(Wire, frozen=True):
    permissions: list[str]


class _Token(Wire, frozen=True):
    token: str


class _Time(Wire, frozen=True):
    unixtime: int


class Accepted(Wire, frozen=True):
    """``{"descr":{"order":"buy 0.01000000 XBTUSD @ limit 50000.0"},"txid":["OUF4EM-FRGI2-MQMWZD"]}``"""

    txid: list[str]


class Cancelled(Wire, frozen=True):
    """``{"count":1}``"""

    count: int


def result(raw: bytes, kind: type[T]) -> T:
    return decode(raw, Answer[kind]).result  # type: ignore[valid-type]  # made for the caller


def sensible(raw: bytes, seconds: Decimal) -> int:
    try:
        return ms_of_seconds(seconds)
    except ValueError as error:
        raise ParseError(f"Kraken: {error}", raw) from error


def parse_rights(raw: bytes) -> KeyRights:
    """``POST /0/private/GetApiKeyInfo``."""
    permissions = result(raw, _Rights).permissions
    return KeyRights(
        read="query-funds" in permissions,
        trade="modify-trades" in permissions,
        withdraw=WITHDRAW in permissions,
        withdraw_name=WITHDRAW,
    )


def parse_token(raw: bytes) -> str:
    return result(raw, _Token).token


def parse_time(raw: bytes) -> int:
    """Whole seconds, in ms."""
    seconds = result(raw, _Time).unixtime
    return sensible(raw, Decimal(seconds))


def parse_balances(raw: bytes, asof_ms: int) -> list[Balance]:
    """``BalanceEx``. All places of an asset together: what earns something is in the total, and locked."""
    totals: dict[str, Decimal] = {}
    free: dict[str, Decimal] = {}
    for code, row in result(raw, dict[str, _Balance]).items():
        asset, spot = asset_of(code)
        totals[asset] = EXACT.add(totals.get(asset, ZERO), row.balance)
        if spot:
            free[asset] = EXACT.add(free.get(asset, ZERO), EXACT.subtract(row.balance, row.hold_trade))
    return [
        Balance(
            product=PRODUCT,
            asset=asset,
            total=total,
            free=(available := max(ZERO, free.get(asset, ZERO))),
            locked=EXACT.subtract(total, available),
            asof_ms=asof_ms,
        )
        for asset, total in totals.items()
        if total
    ]


def parse_positions(raw: bytes, asof_ms: int, pairs: Pairs) -> list[Position]:
    """``OpenPositions``, of margin trading: one entry per opening order; those of a pair and side are one position."""
    found: dict[tuple[str, Side], list[_Position]] = {}
    for row in result(raw, dict[str, _Position]).values():
        if row.vol > row.vol_closed:
            found.setdefault((pairs.symbol(row.pair), row.type), []).append(row)
    return [_position(symbol, side, rows, asof_ms, pairs) for (symbol, side), rows in found.items()]


def _position(symbol: str, side: Side, rows: list[_Position], asof_ms: int, pairs: Pairs) -> Position:
    left = [EXACT.subtract(row.vol, row.vol_closed) for row in rows]
    size = sum(left, ZERO)
    cost = sum((row.cost * part / row.vol for row, part in zip(rows, left, strict=True)), ZERO)
    nets = [row.net for row in rows]
    market = pairs.market(rows[0].pair)
    return Position(
        product=PRODUCT,
        symbol=symbol,
        side="long" if side == "buy" else "short",
        size=size if side == "buy" else -size,
        entry=AVERAGE.divide(cost, size),
        unrealised=None if None in nets else sum((net for net in nets if net is not None), ZERO),
        margin=sum((row.margin for row in rows), ZERO),
        margin_mode="cross",
        settle=market.quote if market is not None else None,
        asof_ms=asof_ms,
    )


def parse_open(raw: bytes, pairs: Pairs) -> list[Order]:
    """``OpenOrders``: all in one answer."""
    return [_order(raw, txid, row, pairs) for txid, row in result(raw, _Open).orders.items()]


def parse_closed(raw: bytes, pairs: Pairs) -> list[Order]:
    """``ClosedOrders``: a page, newest first."""
    return [_order(raw, txid, row, pairs) for txid, row in result(raw, _Closed).orders.items()]


def parse_queried(raw: bytes, pairs: Pairs) -> list[Order]:
    """``QueryOrders``: by id."""
    return [_order(raw, txid, row, pairs) for txid, row in result(raw, dict[str, _Order]).items()]


def _order(raw: bytes, txid: str, row: _Order, pairs: Pairs) -> Order:
    created_ms = sensible(raw, row.opentm)
    later = [sensible(raw, moment) for moment in (row.closetm, row.lastupdated) if moment is not None]
    try:
        price = if_any(Decimal(row.descr.price))
    except ArithmeticError:  # a distance, not a price
        price = None
    return Order(
        product=PRODUCT,
        symbol=pairs.symbol(row.descr.pair),
        id=txid,
        client_id=row.cl_ord_id or None,
        side=row.descr.type,
        type=row.descr.ordertype,
        price=price if price is not None and price.is_finite() else None,
        size=row.vol,
        filled=row.vol_exec,
        average=if_any(row.price) if row.vol_exec else None,
        status=status_of(row.status, row.vol_exec),
        reduce_only=row.reduce_only,
        created_ms=created_ms,
        updated_ms=max([created_ms, *later]),
    )


def parse_fills(raw: bytes, offset: int, since: str, pairs: Pairs) -> FillPage:
    """``TradesHistory``: a page, newest first; ``next`` goes on behind it until the list is at its end."""
    answer = result(raw, _Trades)
    rows = list(answer.trades.items())
    seen = offset + len(rows)
    more = bool(rows) and (len(rows) >= PAGE if answer.count is None else seen < answer.count)
    fills, unlisted = [], []
    for txid, row in rows:
        market = pairs.market(row.pair)
        if market is None:
            unlisted.append(UnknownMarket(product=PRODUCT, native=row.pair))
            continue
        fills.append(
            Fill(
                product=PRODUCT,
                symbol=market.symbol,
                id=txid,
                order_id=row.ordertxid,
                side=row.type,
                price=row.price,
                size=row.vol,
                fee=row.fee,
                fee_asset=market.quote,
                maker=row.maker,
                margin=row.on_margin,
                exchange_ms=sensible(raw, row.time),
            )
        )
    fills.reverse()
    fills.sort(key=lambda fill: fill.exchange_ms)
    return FillPage(
        fills=fills,
        next=f"{since}:{seen}" if more else None,
        whole=not more,
        unlisted=tuple(dict.fromkeys(unlisted)),
    )


_TRANSFER_STATUS: dict[str, Literal["done", "pending", "failed"]] = {"Success": "done", "Failure": "failed"}


def parse_movements(raw: bytes, kind: Literal["deposit", "withdrawal"]) -> list[Transfer]:
    """``DepositStatus``, ``WithdrawStatus``: "Settled" is confirmed by the network and not credited yet."""
    answer = result(raw, list[_Movement] | _Movements)  # type: ignore[arg-type]  # a union is no class
    rows = answer if isinstance(answer, list) else [*answer.deposits, *answer.withdrawals]
    return [
        Transfer(
            product=PRODUCT,
            id=row.refid,
            kind=kind,
            asset=asset_of(row.asset)[0],
            amount=row.amount if kind == "deposit" else -row.amount,
            fee=row.fee,
            status=_TRANSFER_STATUS.get(row.status, "pending"),
            exchange_ms=sensible(raw, row.time),
        )
        for row in rows
    ]
