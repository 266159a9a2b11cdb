"""Coinbase: an account's answers by REST, as structs with a raw example each. Facts: ``api.py``."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import structlog

from feeds.account import FillPage, KeyRights
from feeds.account_domain import Balance, Fill, Order, UnknownMarket
from feeds.account_reading import EXACT, Moment, Wire, figure, ms_of, needed
from feeds.accounts.coinbase.wire import (
    PRODUCT,
    QUOTIENT,
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
from feeds.errors import ParseError
from feeds.exchange import MarketIndex

log = structlog.get_logger(__name__)


class _Time(Wire, frozen=True):
    """``{"iso":"2026-04-07T00:28:59Z","epochSeconds":"1775521739","epochMillis":"1775521739662"}``"""

    epochMillis: str


class _Rights(Wire, frozen=True):
    """``{"can_view":true,"can_trade":false,"can_transfer":false,"portfolio_uuid":"...","portfolio_type":"DEFAULT"}``"""

    can_view: bool | None = None
    can_trade: bool | None = None
    can_transfer: bool | None = None


class _Amount(Wire, frozen=True):
    value: str


class _Account(Wire, frozen=True):
    """``{"uuid":"8bfc20d7-...","name":"BTC Wallet","currency":"BTC","available_balance":{"value":"1.23456789",
    "currency":"BTC"},"hold":{"value":"0.00500000","currency":"BTC"},"default":true,"active":true,"type":"CRYPTO"}``"""

    currency: str
    available_balance: _Amount
    hold: _Amount


class _Accounts(Wire, frozen=True):
    accounts: list[_Account]


class Page(Wire, frozen=True):
    """What accounts and orders say of the page that follows; ``has_next`` left out is no."""

    has_next: bool = False
    cursor: str = ""


class _Edit(Wire, frozen=True):
    replace_accept_timestamp: str | None = None


class OrderRow(Wire, frozen=True):
    """``{"order_id":"0000-000000-000001","client_order_id":"11111-000000-000001","product_id":"BTC-USD","side":"BUY",
    "status":"OPEN","order_type":"LIMIT","time_in_force":"GOOD_UNTIL_CANCELLED","created_time":"2024-01-15T10:00:00Z",
    "order_configuration":{"limit_limit_gtc":{"base_size":"0.01","limit_price":"45000.00","post_only":false}},
    "filled_size":"0","average_filled_price":"0","product_type":"SPOT","last_fill_time":null}``

    Price and size stand below the one key of ``order_configuration``. It has no time of its last change.
    """

    order_id: str
    product_id: str
    side: BuySell
    status: str
    created_time: Moment
    client_order_id: str = ""
    order_type: str = ""
    time_in_force: str = ""
    order_configuration: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    filled_size: str = "0"
    average_filled_price: str = "0"
    last_fill_time: str | None = None
    edit_history: list[_Edit] | None = None

    def order(self, markets: MarketIndex) -> Order:
        filled = not_negative(self.filled_size, "filled_size")
        created_ms = ms_of(self.created_time)
        changes = [self.last_fill_time, *(edit.replace_accept_timestamp for edit in self.edit_history or ())]
        average = figure(self.average_filled_price, "average_filled_price")
        # a market order may be by value: of how much base currency, only its fills tell
        size = self._told("base_size") or filled
        return Order(
            product=PRODUCT,
            symbol=symbol_of(markets, self.product_id),
            id=self.order_id,
            client_id=self.client_order_id or None,
            side=side_of(self.side),
            type=type_of(self.order_type),
            price=self._told("limit_price"),
            size=size,
            filled=filled,
            average=(average or None) if filled else None,
            status=status_of(self.status, filled),
            time_in_force=TIMES_IN_FORCE.get(self.time_in_force),
            created_ms=created_ms,
            updated_ms=max([created_ms, *(ms for text in changes if (ms := moment_ms(text)) is not None)]),
        )

    def _told(self, name: str) -> Decimal | None:
        for configuration in self.order_configuration.values():
            if (number := figure(configuration.get(name), name)) is not None:
                return number or None
        return None


class _Orders(Wire, frozen=True):
    orders: list[OrderRow]


class OneOrder(Wire, frozen=True):
    """``{"order":{...}}``"""

    order: OrderRow


class _FillRow(Wire, frozen=True):
    """``{"entry_id":"22222-2222222-22222222","trade_id":"1111-11111-111111","order_id":"0000-000000-000000",
    "trade_time":"2024-01-15T10:30:00Z","trade_type":"FILL","price":"45123.45","size":"0.005","commission":"1.14",
    "product_id":"BTC-USD","sequence_timestamp":"2024-01-15T10:30:00.123456Z","liquidity_indicator":"MAKER",
    "size_in_quote":false,"side":"BUY"}``
    """

    entry_id: str
    order_id: str
    trade_time: Moment
    price: str
    size: str
    product_id: str
    side: BuySell
    trade_type: str = "FILL"
    commission: str = ""
    liquidity_indicator: str = ""
    size_in_quote: bool = False

    def fill(self, symbol: str, quote: str) -> Fill:
        price, size = needed(self.price, "price"), needed(self.size, "size")
        if price <= 0 or size <= 0:
            raise ValueError(f"fill {self.entry_id} has price {price} and size {size}")
        fee = figure(self.commission, "commission")
        return Fill(
            product=PRODUCT,
            symbol=symbol,
            id=self.entry_id,
            order_id=self.order_id,
            side=side_of(self.side),
            price=price,
            size=QUOTIENT.divide(size, price) if self.size_in_quote else size,
            fee=fee,
            fee_asset=quote if fee is not None else None,
            maker={"MAKER": True, "TAKER": False}.get(self.liquidity_indicator),
            exchange_ms=ms_of(self.trade_time),
        )


class _Fills(Wire, frozen=True):
    fills: list[_FillRow]
    cursor: str = ""


_decode_time = msgspec.json.Decoder(_Time).decode
_decode_rights = msgspec.json.Decoder(_Rights).decode
_decode_accounts = msgspec.json.Decoder(_Accounts).decode
_decode_page = msgspec.json.Decoder(Page).decode
_decode_orders = msgspec.json.Decoder(_Orders).decode
_decode_one_order = msgspec.json.Decoder(OneOrder).decode
_decode_fills = msgspec.json.Decoder(_Fills).decode


def parse_time(raw: bytes) -> int:
    with reading(raw, "time"):
        text = _decode_time(raw).epochMillis
        if not (text.isascii() and text.isdigit() and len(text) < 16):
            raise ValueError(f"epochMillis is {text[:40]!r}")
        return int(text)


def parse_rights(raw: bytes) -> KeyRights:
    with reading(raw, "key_permissions"):
        rights = _decode_rights(raw)
    return KeyRights(
        read=rights.can_view, trade=rights.can_trade, withdraw=rights.can_transfer, withdraw_name="can_transfer"
    )


def parse_page(raw: bytes) -> Page:
    with reading(raw, "page"):
        return _decode_page(raw)


def parse_balances(raw: bytes, asof_ms: int) -> list[Balance]:
    """An asset may have several wallets: what it has is the sum."""
    sums: dict[str, tuple[Decimal, Decimal]] = {}
    with reading(raw, "accounts"):
        for account in _decode_accounts(raw).accounts:
            free, locked = sums.get(account.currency, (Decimal(0), Decimal(0)))
            free = EXACT.add(free, needed(account.available_balance.value, "available_balance"))
            sums[account.currency] = free, EXACT.add(locked, needed(account.hold.value, "hold"))
    return [
        Balance(product=PRODUCT, asset=asset, total=EXACT.add(free, locked), free=free, locked=locked, asof_ms=asof_ms)
        for asset, (free, locked) in sums.items()
        if free or locked
    ]


def parse_orders(raw: bytes, markets: MarketIndex) -> list[Order]:
    with reading(raw, "orders"):
        return [row.order(markets) for row in _decode_orders(raw).orders if is_spot(row.product_id)]


def parse_order(raw: bytes, markets: MarketIndex) -> Order:
    with reading(raw, "order"):
        return _decode_one_order(raw).order.order(markets)


class FillReader:
    """Reads pages of fills. What is told of no fill, but of a correction of one, is told to the log once."""

    def __init__(self, markets: MarketIndex) -> None:
        self._markets = markets
        self._corrections: set[str] = set()

    def page(self, raw: bytes, asked: str, next_of: Callable[[str], str]) -> FillPage:
        """``asked``: the cursor that this page was asked with; ``next_of`` makes ours of Coinbase's."""
        fills: list[Fill] = []
        unlisted: dict[UnknownMarket, None] = {}
        with reading(raw, "fills"):
            told = _decode_fills(raw)
            for row in reversed(told.fills):
                if row.trade_type != "FILL":
                    self._correction(row)
                elif is_spot(row.product_id):
                    market = self._markets.native(PRODUCT, row.product_id)
                    if market is None:
                        unlisted[UnknownMarket(product=PRODUCT, native=row.product_id)] = None
                    else:
                        fills.append(row.fill(market.symbol, market.quote))
        if told.cursor and told.fills and told.cursor == asked:
            raise ParseError("Coinbase, fills: the page after this one is this one", raw)
        following = next_of(told.cursor) if told.cursor and told.fills else None
        return FillPage(
            fills=sorted(fills, key=lambda fill: fill.exchange_ms),
            next=following,
            whole=following is None,
            unlisted=tuple(unlisted),
        )

    def _correction(self, row: _FillRow) -> None:
        if row.entry_id not in self._corrections:
            self._corrections.add(row.entry_id)
            log.warning("fill left out", exchange="coinbase", kind=row.trade_type, entry=row.entry_id)
