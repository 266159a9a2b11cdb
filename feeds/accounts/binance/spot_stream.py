"""Binance spot, the user data stream: one signed request on the WebSocket API, then events wrapped as ``event``.

Sources: binance/binance-spot-api-docs ``user-data-stream.md``, ``web-socket-api.md``. There is no listen key any more
(removed 2026-02-20), nothing to renew: the subscription lives as long as the socket.

Which event becomes what:

===========================  =======================================================================================
``executionReport``          the order's state; a fill if it is an execution
``outboundAccountPosition``  balances, absolute
``balanceUpdate``            a deposit, a withdrawal, or a transfer from or to another wallet, as a difference. No list
                             tells the transfers to a key that may only read: so it is told as a change of the wallet;
                             and asked again, what there is now
``eventStreamTerminated``    subscribe anew
any other                    something that we do not know: ask again
===========================  =======================================================================================
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Literal

import msgspec
from msgspec import field

from feeds.account import Credentials
from feeds.account_domain import (
    AccountChanged,
    Expired,
    Fill,
    Order,
    PrivateEvent,
    TradedElsewhere,
    UnknownMarket,
)
from feeds.account_reading import Ms, Wire
from feeds.accounts.binance.spot_rest import PRODUCT, spot_balance
from feeds.accounts.binance.wire import EXECUTIONS, average_of, decode, if_any, side_of, status_of, symbol_of
from feeds.domain import Ack, Closing, Rejected
from feeds.errors import ParseError
from feeds.exchange import MarketIndex


class _Error(Wire, frozen=True):
    code: int = 0
    msg: str = ""


class _Frame(Wire, frozen=True):
    event: msgspec.Raw = msgspec.Raw()
    status: int | None = None
    error: _Error | None = None


class _Head(Wire, frozen=True):
    e: str


class _ExecutionReport(Wire, frozen=True):
    symbol: str = field(name="s")
    client_id: str = field(name="c")
    side: Literal["BUY", "SELL"] = field(name="S")
    type: str = field(name="o")
    time_in_force: str = field(name="f")
    size: Decimal = field(name="q")
    price: Decimal = field(name="p")
    execution: str = field(name="x")
    status: str = field(name="X")
    id: int = field(name="i")
    last_size: Decimal = field(name="l")
    last_price: Decimal = field(name="L")
    filled: Decimal = field(name="z")
    filled_quote: Decimal = field(name="Z")
    transaction_ms: Ms = field(name="T")
    trade: int = field(name="t")  # -1: none
    maker: bool = field(name="m")
    fee: Decimal = field(name="n", default=Decimal(0))
    fee_asset: str | None = field(name="N", default=None)
    original_client_id: str = field(name="C", default="")  # on a cancel; ``c`` is the cancel request's then
    created_ms: Ms | None = field(name="O", default=None)


class _ChangedBalance(Wire, frozen=True):
    asset: str = field(name="a")
    free: Decimal = field(name="f")
    locked: Decimal = field(name="l")


class _AccountPosition(Wire, frozen=True):
    updated_ms: Ms = field(name="u")
    balances: list[_ChangedBalance] = field(name="B")


class _BalanceUpdate(Wire, frozen=True):
    asset: str = field(name="a")
    difference: Decimal = field(name="d")
    cleared_ms: Ms = field(name="T")


class SpotSession:
    """One connection's side of the user data stream. ``sign`` makes the WebSocket API's kind of signature."""

    def __init__(
        self, credentials: Credentials, markets: MarketIndex, sign: Callable[[Mapping[str, Any]], str], recv_window: int
    ) -> None:
        self._key = credentials.key
        self._markets = markets
        self._sign = sign
        self._recv_window = recv_window
        self._parsers: dict[str, Callable[[msgspec.Raw], list[PrivateEvent]]] = {
            "executionReport": self._execution,
            "outboundAccountPosition": self._balances,
            "balanceUpdate": self._difference,
            "listStatus": lambda _: [],  # each order of the list has its own executionReport
            "eventStreamTerminated": lambda _: [Expired(reason="Binance ended the stream (eventStreamTerminated)")],
            "serverShutdown": lambda _: [Closing(reason="Binance announced a shutdown of this server")],
        }

    def opening(self, now_ms: int) -> list[str]:
        params: dict[str, Any] = {"apiKey": self._key, "recvWindow": self._recv_window, "timestamp": now_ms}
        params["signature"] = self._sign(params)
        message = {"id": 1, "method": "userDataStream.subscribe.signature", "params": params}
        return [msgspec.json.encode(message).decode()]

    def keepalive(self) -> str | None:
        return None

    def parse(self, raw: bytes | str) -> list[PrivateEvent]:
        frame = decode(raw, _Frame)
        if bytes(frame.event):
            parser = self._parsers.get(name := decode(frame.event, _Head).e)
            return parser(frame.event) if parser else [AccountChanged(reason=name)]
        if frame.status is None:
            raise ParseError("Binance: neither an event nor an answer", raw)
        if frame.status == 200:
            return [Ack(subscriptions=())]
        error = frame.error or _Error()
        reason = error.msg or f"status {frame.status}"
        return [Rejected(subscriptions=(), reason=reason, code=error.code or frame.status)]

    def _execution(self, raw: msgspec.Raw) -> list[PrivateEvent]:
        report = decode(raw, _ExecutionReport)
        order = Order(
            product=PRODUCT,
            symbol=symbol_of(self._markets, PRODUCT, report.symbol),
            id=str(report.id),
            client_id=report.original_client_id or report.client_id,
            side=side_of(report.side),
            type=report.type.lower(),
            price=if_any(report.price),
            size=report.size,
            filled=report.filled,
            average=average_of(report.filled_quote, report.filled),
            status=status_of(report.status),
            time_in_force=report.time_in_force or None,
            created_ms=report.created_ms,
            updated_ms=report.transaction_ms,
        )
        if report.execution not in EXECUTIONS or report.trade < 0:
            return [order]
        if self._markets.native(PRODUCT, report.symbol) is None:
            return [UnknownMarket(product=PRODUCT, native=report.symbol), order]
        fill = Fill(
            product=PRODUCT,
            symbol=order.symbol,
            id=str(report.trade),
            order_id=order.id,
            client_id=order.client_id,
            side=order.side,
            price=report.last_price,
            size=report.last_size,
            fee=report.fee,
            fee_asset=report.fee_asset,
            maker=report.maker,
            exchange_ms=report.transaction_ms,
        )
        return [fill, order]

    def _balances(self, raw: msgspec.Raw) -> list[PrivateEvent]:
        update = decode(raw, _AccountPosition)
        return [spot_balance(b.asset, b.free, b.locked, update.updated_ms) for b in update.balances]

    def _difference(self, raw: msgspec.Raw) -> list[PrivateEvent]:
        update = decode(raw, _BalanceUpdate)
        what = f"balanceUpdate {update.difference} {update.asset}"
        changed = TradedElsewhere(
            id=f"{what} {update.cleared_ms}",
            what=what,
            assets=(update.asset,),
            amount=update.difference,
            exchange_ms=update.cleared_ms,
        )
        return [changed, AccountChanged(reason=what)]
