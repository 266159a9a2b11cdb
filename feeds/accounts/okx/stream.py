"""OKX, the private streams: a login, and when that is accepted the subscriptions. Nothing is ever renewed: a login
lasts as long as its connection.

Source: www.okx.com/docs-v5, overview (login, subscribe), trading account (account, positions, balance_and_position),
order book trading (orders, algo orders channel), error codes.

===========================  =======================================================================================
``account``                  changed balances of the trading account, absolute
``positions``                changed positions, absolute
``orders``                   an order's state; with a ``tradeId`` also one fill. Of products that are not followed,
                             and of dated futures, options and inverse swaps: that the wallet was changed
``balance_and_position``     only what happened: trading is told by the others, all else (transfers, funding, a
                             liquidation) asks REST, since a balance that falls to zero may just not be told any more
``liquidation-warning``      a notice
``orders-algo``,             the states of algo orders; on the other path, ``/business``
``algo-advance``
``fills``                    nothing: only high fee tiers may have it, and it lacks the fee
any other                    something that we do not know: ask again
===========================  =======================================================================================

Balances and positions are subscribed with ``updateInterval`` 0: a snapshot when the subscription begins, then changes
as they happen; the regular repetition is what REST is asked for anyway. The streams tell of all kinds of instruments:
what is not listed is named, for the account to say so.
"""

from collections.abc import Callable

import msgspec

from feeds.account import Credentials
from feeds.account_domain import (
    AccountChanged,
    Fill,
    Order,
    Position,
    PrivateEvent,
    Reply,
    TradedElsewhere,
    UnknownMarket,
)
from feeds.accounts.okx.answers import Account, AlgoRow, OrderRow, PositionRow, charged, maker
from feeds.accounts.okx.wire import (
    PRODUCTS,
    SIDES,
    Amount,
    Ms,
    amount,
    amount_or_0,
    base,
    decode,
    json,
    market_of,
    ms,
    product_of,
)
from feeds.domain import Ack, Closing, Market, Notice, Rejected
from feeds.errors import ParseError
from feeds.exchange import MarketIndex

EVENTS_ONLY = json({"updateInterval": "0"}).decode()
ACCOUNT_CHANNELS: tuple[dict[str, str], ...] = (
    {"channel": "orders", "instType": "ANY"},
    {"channel": "account", "extraParams": EVENTS_ONLY},
    {"channel": "positions", "instType": "ANY", "extraParams": EVENTS_ONLY},
    {"channel": "balance_and_position"},
    {"channel": "liquidation-warning", "instType": "ANY"},
)
"""Orders first: the others bring data at once, which show that the stream lives."""
ALGO_CHANNELS: tuple[dict[str, str], ...] = (
    {"channel": "orders-algo", "instType": "ANY"},
    {"channel": "algo-advance", "instType": "ANY"},
)
TOO_MANY = "channel-conn-count-error"
_UPGRADE = "64008"
_TRADED = frozenset({"snapshot", "filled"})
_NO_TRADE = frozenset({"", "0"})


class _Arg(msgspec.Struct):
    channel: str = ""


class _Frame(msgspec.Struct):
    """Data of a channel, or what became of a request::

    {"event":"login","code":"0","msg":"","connId":"a4d3ae55"}
    {"id":"1","event":"subscribe","arg":{"channel":"orders","instType":"ANY"},"connId":"a4d3ae55"}
    {"event":"channel-conn-count","channel":"orders","connCount":"2","connId":"abcd1234"}
    {"event":"error","code":"60009","msg":"Login failed.","connId":"a4d3ae55"}
    {"arg":{"channel":"account","uid":"..."},"eventType":"event_update","data":[...]}
    """

    arg: _Arg = msgspec.field(default_factory=_Arg)
    data: msgspec.Raw = msgspec.Raw()
    event: str = ""
    code: str | int = ""
    msg: str = ""
    channel: str = ""


class _StreamOrder(OrderRow, kw_only=True):
    """An order, and what its last execution was: ``"tradeId":"242589207","fillPx":"31527.1","fillSz":"0.001",
    "fillFee":"-0.02522168","fillFeeCcy":"USDT","execType":"M","fillPnl":"0.01","fillTime":"1654084353263"``."""

    tradeId: str = ""
    fillPx: Amount = ""
    fillSz: Amount = ""
    fillFee: Amount = ""
    fillFeeCcy: str = ""
    execType: str = ""
    fillPnl: Amount = ""
    fillTime: Ms = ""

    @property
    def executed(self) -> bool:
        """Is it told for an execution?"""
        return self.tradeId not in _NO_TRADE and bool(amount(self.fillSz))

    def elsewhere(self, market: Market | None) -> TradedElsewhere:
        """An execution that is no fill here: of a product that is not followed, or of a market without a name here.

        An instrument's name begins with base and quote currency; it settles in one of them. ``USD`` is none that a
        wallet could hold of inverse contracts. Names of another form (``BTC-USD_UM-...``) say too little.
        """
        assets: tuple[str, ...]
        if market is not None:
            assets = (market.base, market.quote) if market.settle is None else (market.settle,)
        else:
            assets = tuple(self.instId.split("-")[:2])
            if len(assets) < 2 or not all(map(str.isalnum, assets)):
                assets = ()
        if assets and self.fillFeeCcy:
            assets += (self.fillFeeCcy,)
        return TradedElsewhere(
            id=f"{self.instId} {self.tradeId}",
            what=f"{self.instType} {self.instId}",
            assets=tuple(dict.fromkeys(assets)),
            exchange_ms=ms(self.fillTime) or int(self.uTime),
        )

    def fill(self, market: Market) -> Fill | None:
        size = base(self.fillSz, market)
        if self.tradeId in _NO_TRADE or not size:
            return None
        return Fill(
            product=market.product,
            symbol=market.symbol,
            id=self.tradeId,
            order_id=self.ordId,
            client_id=self.clOrdId or None,
            side=self.side,
            price=amount_or_0(self.fillPx),
            size=size,
            fee=charged(self.fillFee),
            fee_asset=self.fillFeeCcy or None,
            maker=maker(self.execType),
            realised=None if market.settle is None else amount(self.fillPnl),
            position_side=SIDES[self.posSide],
            exchange_ms=ms(self.fillTime) or int(self.uTime),
        )


class _Happened(msgspec.Struct):
    eventType: str = ""


class _AtRisk(msgspec.Struct):
    instType: str = ""
    instId: str = ""


class OkxPrivateSession:
    """One connection's side. ``sign`` makes the signature of a time, a method and a path.

    ``left_out``: products that the account has but is not followed for; of them nothing is told but that there were
    executions. ``note`` is told of every order, ``holds`` of every position.
    """

    def __init__(
        self,
        credentials: Credentials,
        markets: MarketIndex,
        sign: Callable[[str, str, str], str],
        channels: tuple[dict[str, str], ...],
        *,
        left_out: frozenset[str] = frozenset(),
        note: Callable[[list[Order]], None] = lambda orders: None,
        holds: Callable[[Position], None] = lambda position: None,
    ) -> None:
        self._credentials = credentials
        self._markets = markets
        self._sign = sign
        self._channels = channels
        self._left_out = left_out
        self._note = note
        self._holds = holds
        self._waiting = {channel["channel"] for channel in channels}
        self._readers: dict[str, Callable[[msgspec.Raw], list[PrivateEvent]]] = {
            "account": self._account,
            "positions": self._positions,
            "orders": self._orders,
            "balance_and_position": self._happened,
            "liquidation-warning": self._warning,
            "orders-algo": self._algos,
            "algo-advance": self._algos,
            "fills": lambda _: [],
        }

    def opening(self, now_ms: int) -> list[str]:
        stamp = str(now_ms // 1000)
        login = {
            "apiKey": self._credentials.key,
            "passphrase": self._credentials.passphrase,
            "timestamp": stamp,
            "sign": self._sign(stamp, "GET", "/users/self/verify"),
        }
        return [json({"op": "login", "args": [login]}).decode()]

    def keepalive(self) -> str | None:
        return "ping"

    def parse(self, raw: bytes | str) -> list[PrivateEvent]:
        if raw in (b"pong", "pong"):
            return []
        frame = decode(raw, _Frame)
        if frame.event:
            return self._reply(frame)
        if not frame.arg.channel or not bytes(frame.data):
            raise ParseError("OKX: neither data nor a reply", raw)
        reader = self._readers.get(frame.arg.channel)
        return reader(frame.data) if reader else [AccountChanged(reason=frame.arg.channel)]

    # -- replies -----------------------------------------------------------------------------------------------------

    def _reply(self, frame: _Frame) -> list[PrivateEvent]:
        match frame.event:
            case "login" if str(frame.code) == "0":
                return [Reply(messages=(json({"id": "1", "op": "subscribe", "args": self._channels}).decode(),))]
            case "login" | "error":
                return [Rejected(subscriptions=(), reason=frame.msg or frame.event, code=str(frame.code))]
            case "subscribe":
                return self._subscribed(frame.arg.channel)
            case "notice" if str(frame.code) == _UPGRADE:
                return [Closing(reason=frame.msg or "service upgrade")]
            case "notice":
                return [Notice(text=f"OKX says: {frame.msg}")]
            case "channel-conn-count-error":
                reason = f"too many connections of this account carry the channel {frame.channel}"
                return [Rejected(subscriptions=(), reason=reason, code=TOO_MANY)]
            case "channel-conn-count" | "unsubscribe":
                return []
        raise ParseError(f"OKX: unknown event {frame.event[:40]!r}")

    def _subscribed(self, channel: str) -> list[PrivateEvent]:
        """Each channel is acknowledged alone; the subscription stands with the last of them."""
        if channel not in self._waiting:
            return []
        self._waiting.discard(channel)
        return [] if self._waiting else [Ack(subscriptions=())]

    # -- data --------------------------------------------------------------------------------------------------------

    def _market(self, kind: str, native: str, events: list[PrivateEvent]) -> Market | None:
        """The market; one that is not listed is named in ``events``, unless its product is not followed."""
        product = product_of(kind)
        if product in self._left_out:
            return None
        market = market_of(self._markets, kind, native)
        if market is None:
            events.append(UnknownMarket(product=product, native=native))
        return market

    def _is_elsewhere(self, row: _StreamOrder) -> bool:
        """A linear swap or a pair that is not listed may be so in a moment: then REST tells its fills."""
        if product_of(row.instType) in self._left_out:
            return True
        known = row.instType in PRODUCTS and "-USD-" not in row.instId
        return not known and market_of(self._markets, row.instType, row.instId) is None

    def _account(self, data: msgspec.Raw) -> list[PrivateEvent]:
        """As of when the account's figures were gathered, which may be later than the last change of a currency."""
        events: list[PrivateEvent] = []
        for account in decode(data, list[Account]):
            for detail in account.details:
                asof_ms = max(int(account.uTime or 0), int(detail.uTime or 0))
                events.append(detail.balance(asof_ms))
        return events

    def _positions(self, data: msgspec.Raw) -> list[PrivateEvent]:
        events: list[PrivateEvent] = []
        for row in decode(data, list[PositionRow]):
            if row.instType == "MARGIN":
                events.append(UnknownMarket(product="margin", native=row.instId))
            elif (market := self._market(row.instType, row.instId, events)) is not None:
                position = row.position(market, int(row.pTime or row.uTime or 0))
                self._holds(position)
                events.append(position)
        return events

    def _orders(self, data: msgspec.Raw) -> list[PrivateEvent]:
        events: list[PrivateEvent] = []
        for row in decode(data, list[_StreamOrder]):
            if row.executed and self._is_elsewhere(row):
                events.append(row.elsewhere(market_of(self._markets, row.instType, row.instId)))
            if (market := self._market(row.instType, row.instId, events)) is not None:
                fill, order = row.fill(market), row.order(market)
                events += [order] if fill is None else [fill, order]
                self._note([order])
        return events

    def _algos(self, data: msgspec.Raw) -> list[PrivateEvent]:
        events: list[PrivateEvent] = []
        for row in decode(data, list[AlgoRow]):
            if (market := self._market(row.instType, row.instId, events)) is not None:
                order = row.order(market)
                events.append(order)
                self._note([order])
        return events

    def _happened(self, data: msgspec.Raw) -> list[PrivateEvent]:
        told = [row.eventType for row in decode(data, list[_Happened])]
        return [AccountChanged(reason=kind) for kind in told if kind not in _TRADED]

    def _warning(self, data: msgspec.Raw) -> list[PrivateEvent]:
        events: list[PrivateEvent] = []
        for row in decode(data, list[_AtRisk]):
            market = market_of(self._markets, row.instType, row.instId)
            name = market.symbol if market is not None else row.instId
            events.append(Notice(text=f"OKX warns: the position in {name} may be liquidated."))
        return [*events, AccountChanged(reason="liquidation-warning")]
