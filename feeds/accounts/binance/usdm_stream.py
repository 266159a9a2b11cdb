"""Binance USD-M futures, the user data stream. The listen key in its address subscribes; nothing is sent on it.

Source: developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams.

Which event becomes what:

=========================  =========================================================================================
``ORDER_TRADE_UPDATE``     the order's state; a fill if it is an execution
``ACCOUNT_UPDATE``         changed wallet balances and positions, absolute. What is free to use only REST tells: ask
                           again (its ``cw`` is not "available"). ``m`` is the reason: ORDER, FUNDING_FEE, DEPOSIT,
                           WITHDRAW, WITHDRAW_REJECT, ADJUSTMENT, INSURANCE_CLEAR, ADMIN_DEPOSIT, ADMIN_WITHDRAW,
                           MARGIN_TRANSFER, MARGIN_TYPE_CHANGE, ASSET_TRANSFER, OPTIONS_PREMIUM_FEE,
                           OPTIONS_SETTLE_PROFIT, AUTO_EXCHANGE, COIN_SWAP_DEPOSIT, COIN_SWAP_WITHDRAW; others may
                           come. ``bc`` is what changed beside profit and commission, without an id: so it is no
                           transfer, but any reason other than ORDER has the list of income read soon
``ALGO_UPDATE``            the state of a conditional order
``TRADE_LITE``             nothing. It tells a fill some milliseconds before ORDER_TRADE_UPDATE, but without fee,
                           realised profit and position side. A fill is stored once and then shown: the poor version
                           would come first and make the full one a duplicate
``MARGIN_CALL``            a notice
``ACCOUNT_CONFIG_UPDATE``  leverage: kept, and ask again
any other                  something that we do not know: ask again
=========================  =========================================================================================
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Literal

import msgspec
from msgspec import field

from feeds.account_domain import (
    AccountChanged,
    Balance,
    Expired,
    Fill,
    Order,
    Position,
    PrivateEvent,
    UnknownMarket,
    closes,
)
from feeds.account_reading import Ms, Wire
from feeds.accounts.binance.usdm_rest import POSITION_SIDES, PRODUCT, PositionSide, Setting, Settings, algo_id
from feeds.accounts.binance.wire import EXECUTIONS, decode, if_any, margin_mode_of, side_of, status_of, symbol_of
from feeds.domain import Closing, Notice
from feeds.errors import ParseError
from feeds.exchange import MarketIndex


class _Frame(Wire, frozen=True):
    e: str | None = None
    data: msgspec.Raw = msgspec.Raw()  # on a combined stream


class _Head(Wire, frozen=True):
    e: str


class _ChangedBalance(Wire, frozen=True):
    asset: str = field(name="a")
    wallet: Decimal = field(name="wb")


class _ChangedPosition(Wire, frozen=True):
    symbol: str = field(name="s")
    amount: Decimal = field(name="pa")
    entry: Decimal = field(name="ep")
    unrealised: Decimal = field(name="up")
    margin_type: str = field(name="mt")
    side: PositionSide = field(name="ps")


class _Changes(Wire, frozen=True):
    reason: str = field(name="m", default="")
    balances: list[_ChangedBalance] = field(name="B", default_factory=list)
    positions: list[_ChangedPosition] = field(name="P", default_factory=list)


class _AccountUpdate(Wire, frozen=True):
    transaction_ms: Ms = field(name="T")
    changes: _Changes = field(name="a")


class _StreamOrder(Wire, frozen=True):
    symbol: str = field(name="s")
    client_id: str = field(name="c")
    side: Literal["BUY", "SELL"] = field(name="S")
    type: str = field(name="o")
    time_in_force: str = field(name="f")
    size: Decimal = field(name="q")
    price: Decimal = field(name="p")
    average: Decimal = field(name="ap")
    execution: str = field(name="x")
    status: str = field(name="X")
    id: int = field(name="i")
    last_size: Decimal = field(name="l")
    last_price: Decimal = field(name="L")
    filled: Decimal = field(name="z")
    transaction_ms: Ms = field(name="T")
    trade: int = field(name="t")  # 0: none
    maker: bool = field(name="m")
    reduce_only: bool = field(name="R", default=False)
    position_side: PositionSide = field(name="ps", default="BOTH")
    realised: Decimal | None = field(name="rp", default=None)
    fee: Decimal = field(name="n", default=Decimal(0))  # absent when there is none
    fee_asset: str | None = field(name="N", default=None)


class _OrderUpdate(Wire, frozen=True):
    order: _StreamOrder = field(name="o")


class _StreamAlgo(Wire, frozen=True):
    id: int = field(name="aid")
    client_id: str = field(name="caid")
    type: str = field(name="o")
    symbol: str = field(name="s")
    side: Literal["BUY", "SELL"] = field(name="S")
    time_in_force: str = field(name="f")
    size: Decimal = field(name="q")
    status: str = field(name="X")
    price: Decimal = field(name="p")
    filled: Decimal = field(name="aq", default=Decimal(0))
    average: Decimal = field(name="ap", default=Decimal(0))
    reduce_only: bool = field(name="R", default=False)
    position_side: PositionSide = field(name="ps", default="BOTH")


class _AlgoUpdate(Wire, frozen=True):
    transaction_ms: Ms = field(name="T")
    order: _StreamAlgo = field(name="o")


class _AtRisk(Wire, frozen=True):
    symbol: str = field(name="s")
    side: PositionSide = field(name="ps", default="BOTH")


class _MarginCall(Wire, frozen=True):
    positions: list[_AtRisk] = field(name="p", default_factory=list)


class _ChangedLeverage(Wire, frozen=True):
    symbol: str = field(name="s")
    leverage: Decimal = field(name="l")


class _ConfigUpdate(Wire, frozen=True):
    leverage: _ChangedLeverage | None = field(name="ac", default=None)


Event = bytes | str | msgspec.Raw


class UsdmSession:
    """One connection's side of the user data stream. ``settings`` is completed by what the stream tells."""

    def __init__(self, markets: MarketIndex, settings: Settings) -> None:
        self._markets = markets
        self._settings = settings
        self._parsers: dict[str, Callable[[Event], list[PrivateEvent]]] = {
            "ORDER_TRADE_UPDATE": self._order,
            "ACCOUNT_UPDATE": self._account,
            "ALGO_UPDATE": self._algo,
            "TRADE_LITE": lambda _: [],
            "MARGIN_CALL": self._margin_call,
            "ACCOUNT_CONFIG_UPDATE": self._config,
            "STRATEGY_UPDATE": lambda _: [],  # Binance's own trading bots; their orders come as orders
            "GRID_UPDATE": lambda _: [],
            "listenKeyExpired": lambda _: [Expired(reason="the listen key expired")],
            "serverShutdown": lambda _: [Closing(reason="Binance announced a shutdown of this server")],
        }

    def opening(self, now_ms: int) -> list[str]:
        return []

    def keepalive(self) -> str | None:
        return None

    def parse(self, raw: bytes | str) -> list[PrivateEvent]:
        frame = decode(raw, _Frame)
        event: Event = raw
        name = frame.e
        if name is None and bytes(frame.data):
            event, name = frame.data, decode(frame.data, _Head).e
        if name is None:
            raise ParseError("Binance: not an event", raw)
        parser = self._parsers.get(name)
        return parser(event) if parser else [AccountChanged(reason=name)]

    def _order(self, event: Event) -> list[PrivateEvent]:
        o = decode(event, _OrderUpdate).order
        order = Order(
            product=PRODUCT,
            symbol=symbol_of(self._markets, PRODUCT, o.symbol),
            id=str(o.id),
            client_id=o.client_id,
            side=side_of(o.side),
            type=o.type.lower(),
            price=if_any(o.price),
            size=o.size,
            filled=o.filled,
            average=if_any(o.average),
            status=status_of(o.status),
            reduce_only=o.reduce_only or closes(side_of(o.side), POSITION_SIDES[o.position_side]),
            time_in_force=o.time_in_force or None,
            updated_ms=o.transaction_ms,
        )
        changed = AccountChanged(
            reason=f"ORDER_TRADE_UPDATE {o.execution}", by_order=True
        )  # an order binds margin: REST tells it
        if o.execution not in EXECUTIONS or o.trade <= 0 or not o.last_size:
            return [order, changed]
        if self._markets.native(PRODUCT, o.symbol) is None:
            return [UnknownMarket(product=PRODUCT, native=o.symbol), order, changed]
        fill = Fill(
            product=PRODUCT,
            symbol=order.symbol,
            id=str(o.trade),
            order_id=order.id,
            client_id=o.client_id,
            side=order.side,
            price=o.last_price,
            size=o.last_size,
            fee=o.fee,
            fee_asset=o.fee_asset,
            maker=o.maker,
            realised=o.realised,
            position_side=POSITION_SIDES[o.position_side],
            exchange_ms=o.transaction_ms,
        )
        return [fill, order, changed]

    def _account(self, event: Event) -> list[PrivateEvent]:
        update = decode(event, _AccountUpdate)
        asof_ms = update.transaction_ms
        balances = [
            Balance(product=PRODUCT, asset=b.asset, total=b.wallet, asof_ms=asof_ms) for b in update.changes.balances
        ]
        positions = [self._position(p, asof_ms) for p in update.changes.positions]
        why = update.changes.reason
        changed = AccountChanged(reason=f"ACCOUNT_UPDATE {why}".rstrip(), by_order=why == "ORDER")
        return [*balances, *positions, changed]

    def _position(self, p: _ChangedPosition, asof_ms: int) -> Position:
        market = self._markets.native(PRODUCT, p.symbol)
        setting = self._settings.get(p.symbol)
        return Position(
            product=PRODUCT,
            symbol=symbol_of(self._markets, PRODUCT, p.symbol),
            side=POSITION_SIDES[p.side],
            size=p.amount,
            entry=p.entry,
            unrealised=p.unrealised,
            leverage=setting.leverage if setting else None,
            margin_mode=margin_mode_of(p.margin_type),
            settle=market.settle if market else None,
            asof_ms=asof_ms,
        )

    def _algo(self, event: Event) -> list[PrivateEvent]:
        update = decode(event, _AlgoUpdate)
        o = update.order
        order = Order(
            product=PRODUCT,
            symbol=symbol_of(self._markets, PRODUCT, o.symbol),
            id=algo_id(o.id),
            client_id=o.client_id,
            side=side_of(o.side),
            type=o.type.lower(),
            price=if_any(o.price),
            size=o.size,
            filled=o.filled,
            average=if_any(o.average),
            status=status_of(o.status),
            reduce_only=o.reduce_only or closes(side_of(o.side), POSITION_SIDES[o.position_side]),
            time_in_force=o.time_in_force or None,
            updated_ms=update.transaction_ms,
        )
        return [order]

    def _margin_call(self, event: Event) -> list[PrivateEvent]:
        positions = [
            symbol_of(self._markets, PRODUCT, p.symbol) + ("" if p.side == "BOTH" else f" {p.side.lower()}")
            for p in decode(event, _MarginCall).positions
        ]
        text = f"Binance calls for margin: {', '.join(positions) or 'the account'} may be liquidated."
        return [Notice(text=text), AccountChanged(reason="MARGIN_CALL")]

    def _config(self, event: Event) -> list[PrivateEvent]:
        changed = decode(event, _ConfigUpdate).leverage
        if changed is not None:
            known = self._settings.get(changed.symbol)
            self._settings[changed.symbol] = Setting(changed.leverage, known.margin_mode if known else None)
        return [AccountChanged(reason="ACCOUNT_CONFIG_UPDATE")]
