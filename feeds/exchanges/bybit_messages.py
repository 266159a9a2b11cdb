"""What Bybit sends by stream, and what it means: frames as structs, each with a raw example as documented.

The facts are in ``bybit.py``. Only the fields that we use are declared; all others are skipped, new ones included.
Amounts are decimal text. Levels of a book become floats straight from it; every other amount stays text, checked by a
pattern, until ``Decimal`` takes it: neither lets "NaN" or "Infinity" pass, which both types would accept.
"""

from decimal import Decimal
from typing import Annotated, Literal, TypeAlias

from msgspec import DecodeError, Meta, Raw, Struct

from feeds import domain
from feeds.domain import INTERVALS, Bbo, BookDelta, BookSnapshot, MarkPrice

MALFORMED = (DecodeError, UnicodeDecodeError, RecursionError)
"""All that msgspec raises for bytes that are not what was asked for."""

PERIODS = {
    name: "D" if length_ms == 86_400_000 else str(length_ms // 60_000)  # minutes
    for name, length_ms in INTERVALS.items()
}
"""Our interval to Bybit's."""

_INTERVALS = {period: name for name, period in PERIODS.items()}

Price: TypeAlias = Annotated[float, Meta(gt=0, le=1e300)]
Size: TypeAlias = Annotated[float, Meta(ge=0, le=1e300)]
Levels: TypeAlias = list[tuple[Price, Size]]
Number: TypeAlias = Annotated[str, Meta(pattern=r"^[0-9]{1,40}(\.[0-9]{1,40})?\Z")]
NumberOrNone: TypeAlias = Annotated[str, Meta(pattern=r"^([0-9]{1,40}(\.[0-9]{1,40})?)?\Z")]
SignedOrNone: TypeAlias = Annotated[str, Meta(pattern=r"^(-?[0-9]{1,40}(\.[0-9]{1,40})?)?\Z")]
Milliseconds: TypeAlias = Annotated[str, Meta(pattern=r"^[0-9]{0,13}\Z")]
Counter: TypeAlias = Annotated[int, Meta(ge=0)]

# -- the envelope ----------------------------------------------------------------------------------------------------


class Frame(Struct, gc=False):
    """Any frame: data of a topic, or the reply to a request.

    ``{"success":true,"ret_msg":"","conn_id":"3cd84cb1-4d06-4a05-930a-2efe5fc70f0f","req_id":"1","op":"subscribe"}``;
    on spot ``ret_msg`` is "subscribe". ``req_id`` may be "" or missing.

    ``{"success":false,"ret_msg":"error:handler not found,topic:orderbook.500.BTCUSDT","conn_id":"...","req_id":"1",
    "op":"subscribe"}``

    ``{"success":true,"ret_msg":"pong","conn_id":"0970e817-426e-429a-a679-ff7f55e0b16a","req_id":"2","op":"ping"}``,
    elsewhere ``{"req_id":"2","op":"pong","args":["1675418560633"],"conn_id":"cfcb4ocsvfriu23r3er0-1b"}``
    """

    topic: str | None = None
    type: str = "snapshot"
    data: Raw = Raw(b"")
    ts: Counter | None = None
    op: str | None = None
    success: bool | None = None
    ret_msg: str | None = None
    req_id: str | int | None = None


# -- books -----------------------------------------------------------------------------------------------------------


class Book(Struct, gc=False):
    """Absolute sizes, "0" removes the level. ``u`` counts the messages of this topic, ``seq`` (rising, with gaps) is
    the matching engine's and orders different topics of one market."""

    s: str
    b: Levels
    a: Levels
    u: Counter
    seq: Counter


class BookFrame(Struct, gc=False):
    """``{"topic":"orderbook.50.BTCUSDT","type":"delta","ts":1687940967466,"data":{"s":"BTCUSDT","b":[["30247.20",
    "30.028"],["30245.40","0"]],"a":[["30248.70","0"],["30249.30","0.892"]],"u":177400507,"seq":66544703342},
    "cts":1687940967464}``; ``ts`` is when it was sent, ``cts`` what time it was in the matching engine."""

    topic: str
    type: Literal["snapshot", "delta"]
    data: Book
    ts: Counter
    cts: Counter | None = None

    @property
    def exchange_ms(self) -> int:
        return self.ts if self.cts is None else self.cts

    def snapshot(self, symbol: str, depth: int) -> BookSnapshot:
        book = self.data
        return BookSnapshot(
            symbol=symbol,
            bids=book.b,
            asks=book.a,
            seq=book.u,
            rank=book.seq,
            depth=depth,
            exchange_ms=self.exchange_ms,
        )

    def delta(self, symbol: str, *, chained: bool) -> BookDelta:
        book = self.data
        return BookDelta(
            symbol=symbol,
            bids=book.b,
            asks=book.a,
            prev=book.u - 1,
            seq=book.u,
            rank=book.seq,
            exchange_ms=self.exchange_ms,
            chained=chained,
        )


EMPTY: domain.Level = (0.0, 0.0)
"""The best level of an empty side."""


def bbo(symbol: str, bid: domain.Level, ask: domain.Level, rank: int, exchange_ms: int) -> Bbo:
    return Bbo(
        symbol=symbol, bid=bid[0], bid_size=bid[1], ask=ask[0], ask_size=ask[1], rank=rank, exchange_ms=exchange_ms
    )


# -- prices, prints, bars --------------------------------------------------------------------------------------------


class Trade(Struct):
    """``{"T":1672304486865,"s":"BTCUSDT","S":"Buy","v":"0.001","p":"16578.50","L":"PlusTick",
    "i":"20f43950-d8dd-5b31-9112-a178eb6023af","BT":false,"RPI":false,"seq":1783284617}``; S is the taker's side. Spot
    has no L, and digits as ``i``. Block trades (BT) were agreed beside the book."""

    T: Counter
    s: str
    S: Literal["Buy", "Sell"]
    v: Number
    p: Number
    i: str
    BT: bool = False

    def event(self, symbol: str) -> domain.Trade:
        return domain.Trade(
            symbol=symbol,
            id=self.i,
            side="buy" if self.S == "Buy" else "sell",
            price=Decimal(self.p),
            size=Decimal(self.v),
            exchange_ms=self.T,
        )


class Ticker(Struct):
    """Linear: ``{"symbol":"BTCUSDT","tickDirection":"MinusTick","price24hPcnt":"-0.158315","lastPrice":"66666.60",
    "prevPrice24h":"79206.20","highPrice24h":"79266.30","lowPrice24h":"65076.90","prevPrice1h":"66666.60",
    "markPrice":"66666.60","indexPrice":"66670.19","openInterest":"492373.72","openInterestValue":"32824881841.75",
    "turnover24h":"4936790807.6521","volume24h":"73191.3870","fundingIntervalHour":"8","fundingCap":"0.005",
    "nextFundingTime":"1760342400000","fundingRate":"-0.005","bid1Price":"66666.60","bid1Size":"23789.165",
    "ask1Price":"66666.70","ask1Size":"23775.469","preOpenPrice":"","preQty":"","curPreListingPhase":""}``, then
    changes: the symbol and those fields that are new. Spot: always all of it, without best prices, mark and funding.
    """

    symbol: str
    lastPrice: NumberOrNone | None = None
    prevPrice24h: NumberOrNone | None = None
    highPrice24h: NumberOrNone | None = None
    lowPrice24h: NumberOrNone | None = None
    price24hPcnt: SignedOrNone | None = None
    volume24h: NumberOrNone | None = None
    turnover24h: NumberOrNone | None = None
    markPrice: NumberOrNone | None = None
    indexPrice: NumberOrNone | None = None
    fundingRate: SignedOrNone | None = None
    nextFundingTime: Milliseconds | None = None

    def merge(self, changes: "Ticker") -> None:
        """Take over what ``changes`` tells. "" is told too: there is no such figure any more."""
        for name in _TICKER_FIELDS:
            value = getattr(changes, name)
            if value is not None:
                setattr(self, name, value)

    def events(self, symbol: str, exchange_ms: int | None) -> list[domain.Event]:
        """What is known: 24 h figures if there is a price, and mark price if there is one."""
        events: list[domain.Event] = []
        if self.lastPrice:
            ticker = domain.Ticker(
                symbol=symbol,
                last=Decimal(self.lastPrice),
                open=_positive(self.prevPrice24h),
                high=_positive(self.highPrice24h),
                low=_positive(self.lowPrice24h),
                change=decimal_of(self.price24hPcnt),
                base_volume=decimal_of(self.volume24h),
                quote_volume=decimal_of(self.turnover24h),
                exchange_ms=exchange_ms,
            )
            events.append(ticker)
        if self.markPrice:
            mark = MarkPrice(
                symbol=symbol,
                mark=Decimal(self.markPrice),
                index=decimal_of(self.indexPrice),
                funding_rate=decimal_of(self.fundingRate),
                next_funding_ms=int(self.nextFundingTime or 0) or None,
                exchange_ms=exchange_ms,
            )
            events.append(mark)
        return events


_TICKER_FIELDS = [name for name in Ticker.__struct_fields__ if name != "symbol"]


def decimal_of(text: str | None) -> Decimal | None:
    """None for nothing and for ""."""
    return Decimal(text) if text else None


def _positive(text: str | None) -> Decimal | None:
    """A price; None for 0, which a market has that is younger than a day."""
    return decimal_of(text) or None


class KlineRow(Struct, array_like=True):
    """``["1670608800000","17071","17073","17027","17055.5","268611","15.74462667"]``: beginning, open, high, low,
    close, volume, turnover."""

    start: Annotated[str, Meta(pattern=r"^[0-9]{1,13}\Z")]
    open: Number
    high: Number
    low: Number
    close: Number
    volume: Number

    def candle(self, symbol: str, interval: str, *, closed: bool) -> domain.Candle:
        return domain.Candle(
            symbol=symbol,
            interval=interval,
            open_ms=int(self.start),
            open=Decimal(self.open),
            high=Decimal(self.high),
            low=Decimal(self.low),
            close=Decimal(self.close),
            base_volume=Decimal(self.volume),
            closed=closed,
        )


class Kline(Struct):
    """``{"start":1672324800000,"end":1672325099999,"interval":"5","open":"16649.5","close":"16677","high":"16677",
    "low":"16608","volume":"2.081","turnover":"34666.4005","confirm":false,"timestamp":1672324988882}``; ``confirm`` is
    true in the bar's last message."""

    start: Counter
    open: Number
    high: Number
    low: Number
    close: Number
    volume: Number
    confirm: bool

    def event(self, symbol: str, interval: str) -> domain.Candle:
        row = KlineRow(str(self.start), self.open, self.high, self.low, self.close, self.volume)
        return row.candle(symbol, interval, closed=self.confirm)


def interval_of(period: str) -> str | None:
    """Our interval; None for one that is not ours."""
    return _INTERVALS.get(period)
