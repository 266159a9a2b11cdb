"""Kraken Futures, account answers by REST (``derivatives/api/v3``). Errors never come so far.

Sources: docs.kraken.com/api/docs/futures-api/trading (accounts, openpositions, openorders, fills, leveragepreferences),
futures-api/auth (check-v-3-api-key).
"""

from collections.abc import Mapping
from decimal import Decimal
from functools import reduce
from typing import Literal

import msgspec
from msgspec import field

from feeds.account import FillPage, KeyRights
from feeds.account_domain import Balance, Fill, Order, Position, UnknownMarket
from feeds.account_reading import EXACT, Moment, Wire, ms_of
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
from feeds.domain import Side
from feeds.exchange import MarketIndex

Access = Literal["NO_ACCESS", "READ_ONLY", "FULL_ACCESS"]


class _Permissions(Wire, frozen=True):
    general: Access
    transfer: Access


class _Key(Wire, frozen=True):
    """``{"apiKey":"Gom9BsP7...","accountUid":"3c90c3cc-...","iiban":"AA08 N84G CPAR UN7A",
    "createdAt":"2019-08-24T14:15:22Z","permissions":{"general":"READ_ONLY","transfer":"NO_ACCESS"},
    "allowedCidrBlock":null,"allowedCidrBlocks":[]}``"""

    permissions: _Permissions


class _Currency(Wire, frozen=True):
    """``{"quantity":4999.02,"value":4999.02,"collateral":4999.02,"available":4999.02}``"""

    quantity: Decimal
    available: Decimal | None = None


class _Account(Wire, frozen=True):
    """``multiCollateralMarginAccount`` has currencies; ``cashAccount`` balances; a ``marginAccount`` (of inverse
    contracts) balances of its one currency and, among them, its contracts."""

    type: str
    currencies: dict[str, _Currency] = field(default_factory=dict)
    balances: dict[str, Decimal] = field(default_factory=dict)
    currency: str | None = None


class _Accounts(Wire, frozen=True):
    accounts: dict[str, _Account]


class _Position(Wire, frozen=True):
    """``{"side":"short","symbol":"PF_XBTUSD","price":27523.75,"fillTime":"2023-04-05T12:31:21.410Z","size":0.8,
    "unrealizedFunding":5.88e-05}``"""

    side: Literal["long", "short"]
    symbol: str
    price: Decimal
    size: Decimal


class _Positions(Wire, frozen=True, rename="camel"):
    open_positions: list[_Position]


class _Order(Wire, frozen=True, rename="camel"):
    """``{"order_id":"...","cliOrdId":"...","symbol":"PF_XBTUSD","side":"sell","orderType":"lmt","limitPrice":28500.0,
    "unfilledSize":5000.0,"filledSize":2000.0,"receivedTime":"2023-04-07T15:45:10.739Z","status":"partiallyFilled",
    "reduceOnly":true,"lastUpdateTime":"2023-04-07T15:45:10.739Z"}``; ``cli_ord_id`` is also seen."""

    id: str = field(name="order_id")
    symbol: str
    side: Side
    order_type: str
    unfilled_size: Decimal
    filled_size: Decimal
    received_time: Moment
    last_update_time: Moment
    limit_price: Decimal | None = None
    reduce_only: bool = False
    cli_ord_id: str | None = None
    client_id: str | None = field(name="cli_ord_id", default=None)


class _Orders(Wire, frozen=True, rename="camel"):
    open_orders: list[_Order]


class _Fill(Wire, frozen=True):
    """``{"fill_id":"...","symbol":"PF_XBTUSD","side":"buy","order_id":"...","fillTime":"2023-04-07T15:45:10.739Z",
    "size":5.0,"price":27937.5,"fillType":"maker","fee_paid":8.957e-05,"fee_currency":"BTC"}``; the fee is newer."""

    fill_id: str
    symbol: str
    side: Side
    order_id: str
    size: Decimal
    price: Decimal
    time: Moment = field(name="fillTime")
    type: str = field(name="fillType", default="")
    fee_paid: Decimal | None = None
    fee_currency: str | None = None
    client_id: str | None = field(name="cliOrdId", default=None)


class _Fills(Wire, frozen=True):
    fills: list[_Fill]


class _Preference(Wire, frozen=True, rename="camel"):
    symbol: str
    max_leverage: Decimal | None = None


class _Preferences(Wire, frozen=True, rename="camel"):
    leverage_preferences: list[_Preference]


class _Time(Wire, frozen=True, rename="camel"):
    server_time: Moment


class _Status(Wire, frozen=True):
    status: str
    order_id: str | None = None


class _Event(Wire, frozen=True):
    """``{"type":"EXECUTION","amount":10,"price":7244.5,...}``; the other types, as PLACE, have no amount."""

    type: str
    amount: Decimal | None = None


class _SendStatus(Wire, frozen=True):
    status: str
    order_id: str | None = None
    events: list[_Event] | None = field(name="orderEvents", default=None)

    @property
    def filled(self) -> Decimal:
        """What was executed at once."""
        amounts = (event.amount for event in self.events or () if event.type == "EXECUTION")
        return reduce(EXACT.add, filter(None, amounts), ZERO)


class Sent(Wire, frozen=True, rename="camel"):
    """``{"sendStatus":{"order_id":"...","status":"placed","receivedTime":"...","orderEvents":[...]}}``; a refusal
    looks alike."""

    send_status: _SendStatus


class Cancelled(Wire, frozen=True, rename="camel"):
    """``{"cancelStatus":{"status":"cancelled","order_id":"..."}}``"""

    cancel_status: _Status


def parse_rights(raw: bytes) -> KeyRights:
    """``GET /api/auth/v1/api-keys/v3/check``."""
    given = decode(raw, _Key).permissions
    return KeyRights(
        read=given.general != "NO_ACCESS",
        trade=given.general == "FULL_ACCESS",
        withdraw=given.transfer == "FULL_ACCESS",
        withdraw_name="transfer: FULL_ACCESS",
    )


def parse_time(raw: bytes) -> int:
    return ms_of(decode(raw, _Time).server_time)


def parse_leverage(raw: bytes) -> dict[str, Decimal]:
    """``GET /leveragepreferences``: the contracts with isolated margin; all others have cross margin."""
    rows = decode(raw, _Preferences).leverage_preferences
    return {row.symbol.upper(): row.max_leverage for row in rows if row.max_leverage is not None}


def parse_balances(raw: bytes, asof_ms: int) -> list[Balance]:
    """``GET /accounts``: an asset of all its wallets together; only multi-collateral margin is free for orders."""
    totals: dict[str, Decimal] = {}
    free: dict[str, Decimal] = {}

    def add(name: str, amount: Decimal) -> str:
        asset = asset_of(name)
        totals[asset] = EXACT.add(totals.get(asset, ZERO), amount)
        return asset

    for account in decode(raw, _Accounts).accounts.values():
        for name, row in account.currencies.items():
            asset = add(name, row.quantity)
            if row.available is not None:
                free[asset] = row.available
        for name, amount in account.balances.items():
            if not amount.is_finite() or abs(amount.adjusted()) > 30:
                continue  # no sensible number is no money
            if account.type == "cashAccount" or name.lower() == (account.currency or "").lower():
                add(name, amount)
    return [
        Balance(product=PRODUCT, asset=asset, total=total, free=free.get(asset, ZERO), asof_ms=asof_ms)
        for asset, total in totals.items()
        if total
    ]


def parse_positions(
    raw: bytes,
    asof_ms: int,
    markets: MarketIndex,
    leverage: Mapping[str, Decimal],
    details: Mapping[str, Detail],
) -> list[Position]:
    """``GET /openpositions``; what only the stream tells is completed from there, if it told of the same size."""
    found = []
    for row in decode(raw, _Positions).open_positions:
        if inverse(row.symbol) or not row.size:
            continue
        native, size = row.symbol.upper(), row.size if row.side == "long" else -row.size
        detail = details.get(native)
        if detail is not None and detail.size != size:
            detail = None
        found.append(position(native, size, row.price, detail, asof_ms, markets, leverage))
    return found


def position(
    native: str,
    size: Decimal,
    entry: Decimal,
    detail: Detail | None,
    asof_ms: int,
    markets: MarketIndex,
    leverage: Mapping[str, Decimal],
) -> Position:
    market = market_of(markets, native)
    return Position(
        product=PRODUCT,
        symbol=shown(markets, native),
        side="both",
        size=size,
        entry=entry,
        mark=detail.mark if detail else None,
        unrealised=detail.unrealised if detail else None,
        liquidation=detail.liquidation if detail else None,
        leverage=leverage.get(native),
        margin=detail.margin if detail else None,
        margin_mode="isolated" if native in leverage else "cross",
        settle=market.settle if market is not None else None,
        asof_ms=asof_ms,
    )


def parse_orders(raw: bytes, markets: MarketIndex) -> list[Order]:
    """``GET /openorders``."""
    return [
        Order(
            product=PRODUCT,
            symbol=shown(markets, o.symbol),
            id=o.id,
            client_id=o.cli_ord_id or o.client_id or None,
            side=o.side,
            type=TYPES.get(o.order_type, o.order_type),
            price=o.limit_price or None,
            size=EXACT.add(o.unfilled_size, o.filled_size),
            filled=o.filled_size,
            status="partial" if o.filled_size else "open",
            reduce_only=o.reduce_only,
            created_ms=ms_of(o.received_time),
            updated_ms=ms_of(o.last_update_time),
        )
        for o in decode(raw, _Orders).open_orders
        if not inverse(o.symbol)
    ]


def parse_fills(raw: bytes, stop_ms: int, before_ms: int | None, markets: MarketIndex) -> FillPage:
    """``GET /fills``: the last hundred before a moment, whichever their order.

    How many there are is not documented for sure, nor whether the moment belongs to them. So each page asks again for
    the oldest millisecond of the one before, until there is something older than ``stop_ms``, or nothing more.
    """
    rows = decode(raw, _Fills).fills
    times = [ms_of(row.time) for row in rows]
    oldest = min(times, default=-1)
    upcoming: int | None
    if not rows or oldest < stop_ms or before_ms == 0:
        upcoming = None
    elif before_ms is None or oldest + 1 < before_ms:
        upcoming = oldest + 1
    else:  # nothing but what was told: go on behind it, a step further where the moment belongs to the page
        upcoming = oldest if oldest < before_ms else oldest - 1
    fills, unlisted = [], []
    for row, ms in zip(rows, times, strict=True):
        market = market_of(markets, row.symbol)
        if ms < stop_ms:
            continue
        if market is None:
            unlisted.append(UnknownMarket(product=PRODUCT, native=row.symbol.upper()))
            continue
        fills.append(
            Fill(
                product=PRODUCT,
                symbol=market.symbol,
                id=row.fill_id,
                order_id=row.order_id,
                client_id=row.client_id or None,
                side=row.side,
                price=row.price,
                size=row.size,
                fee=row.fee_paid,
                fee_asset=asset_of(row.fee_currency) if row.fee_currency else None,
                maker=maker_of(row.type),
                exchange_ms=ms,
            )
        )
    fills.sort(key=lambda fill: fill.exchange_ms)
    return FillPage(
        fills=fills,
        next=None if upcoming is None else f"{stop_ms}:{upcoming}",
        whole=upcoming is None,
        unlisted=tuple(dict.fromkeys(unlisted)),
    )


def raw_json(value: object) -> str:
    return msgspec.json.encode(value).decode()
