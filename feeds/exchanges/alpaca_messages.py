"""What Alpaca sends, and what it means: messages and REST answers as structs, each with a raw example.

The facts are in ``alpaca.py``. Only the fields that we use are declared; all others are skipped. Numbers are JSON
numbers: those of a book become floats, every other amount becomes a ``Decimal`` of exactly the printed digits.
"""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Literal, TypeAlias

from msgspec import DecodeError, Meta, Struct, ValidationError, field

from feeds.domain import Bbo, BookDelta, BookSnapshot, Candle, Level, Market, Side

MALFORMED = (DecodeError, UnicodeDecodeError, RecursionError)
"""All that msgspec raises for bytes that are not what was asked for."""

LABEL = "Alpaca"
CRYPTO, STOCKS = "crypto", "stocks"
STOCK_SUFFIX = ".US"
"""Ends a stock's base: BTC is also an exchange-traded fund, LTC a company, and neither is the coin."""

EMPTY: Level = (0.0, 0.0)
_CENT, _SHARE = Decimal("0.01"), Decimal(1)
_NAME = re.compile(r"[^\s/:]{1,20}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

Moment: TypeAlias = Annotated[datetime, Meta(tz=True)]
Price: TypeAlias = Annotated[float, Meta(gt=0, le=1e18)]
Size: TypeAlias = Annotated[float, Meta(ge=0, le=1e18)]


def ms_of(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND


def amount(value: Decimal, name: str, *, positive: bool = False) -> Decimal:
    """``value``, if it is a number that money can be; ``Decimal`` would take "NaN" and 1e999999 as well."""
    if not value.is_finite() or not -40 <= value.adjusted() <= 30 or len(value.as_tuple().digits) > 60:
        raise ValidationError(f"{name} is {str(value)[:40]}, which is no amount")
    if value < 0 or (positive and not value):
        raise ValidationError(f"{name} is {value}, which is {'negative' if value else 'nothing'}")
    return value


# -- books and best prices -------------------------------------------------------------------------------------------


class PriceLevel(Struct, gc=False):
    p: Price
    s: Size


class Sides(Struct):
    """A book by REST: ``{"a":[{"p":27539.494,"s":0.2632414}],"b":[{"p":27511.78083,"s":0.26265668}],
    "t":"2023-03-18T13:31:44.932988033Z"}``"""

    b: list[PriceLevel]
    a: list[PriceLevel]
    t: Moment

    def sides(self) -> tuple[list[Level], list[Level]]:
        return [(level.p, level.s) for level in self.b], [(level.p, level.s) for level in self.a]

    def snapshot(self, symbol: str) -> BookSnapshot:
        bids, asks = self.sides()
        return BookSnapshot(symbol=symbol, bids=bids, asks=asks, exchange_ms=ms_of(self.t))

    def bbo(self, symbol: str) -> Bbo:
        """A side that is empty is 0 at 0."""
        bids, asks = ([level for level in side if level[1]] for side in self.sides())
        (bid, bid_size), (ask, ask_size) = max(bids, default=EMPTY), min(asks, default=EMPTY)
        return Bbo(symbol=symbol, bid=bid, bid_size=bid_size, ask=ask, ask_size=ask_size, exchange_ms=ms_of(self.t))


class Book(Sides, tag_field="T", tag="o"):
    """``{"T":"o","S":"BTC/USD","t":"2023-03-18T13:31:44.932988033Z","r":true,"b":[{"p":27511.78,"s":0.26265668},
    {"p":27510.00,"s":1.5}],"a":[{"p":27539.49,"s":0.2632414}]}``: the whole book. Without ``r``: changed levels, their
    new absolute sizes, 0 removes."""

    S: str
    r: bool = False

    def event(self, symbol: str) -> BookSnapshot | BookDelta:
        if self.r:
            return self.snapshot(symbol)
        bids, asks = self.sides()
        return BookDelta(symbol=symbol, bids=bids, asks=asks, exchange_ms=ms_of(self.t))


class Best(Struct, kw_only=True):
    """Best prices by REST: ``{"ap":87.68,"as":4,"ax":"Q","bp":87.66,"bs":1,"bx":"U","t":"2021-02-22T15:51:45.335Z"}``;
    a side that nobody quotes is 0 at 0."""

    bp: Size
    bs: Size
    ap: Size
    as_: Size = field(name="as")
    t: Moment

    def bbo(self, symbol: str) -> Bbo:
        """A side without price or size is empty: 0 at 0."""
        bid, bid_size = (self.bp, self.bs) if self.bp and self.bs else EMPTY
        ask, ask_size = (self.ap, self.as_) if self.ap and self.as_ else EMPTY
        return Bbo(symbol=symbol, bid=bid, bid_size=bid_size, ask=ask, ask_size=ask_size, exchange_ms=ms_of(self.t))

    def snapshot(self, symbol: str) -> BookSnapshot:
        """What stands in for a book where there is none: one level a side, or none."""
        bids = [(self.bp, self.bs)] if self.bp and self.bs else []
        asks = [(self.ap, self.as_)] if self.ap and self.as_ else []
        return BookSnapshot(symbol=symbol, bids=bids, asks=asks, exchange_ms=ms_of(self.t))


class Quote(Best, tag_field="T", tag="q", kw_only=True):
    """``{"T":"q","S":"BTC/USD","bp":27511.78,"bs":0.2627,"ap":27539.49,"as":0.2632,
    "t":"2023-03-18T13:31:44.932988033Z"}``

    ``{"T":"q","S":"AMD","bx":"U","bp":87.66,"bs":1,"ax":"Q","ap":87.68,"as":4,"t":"2021-02-22T15:51:45.335689322Z",
    "c":["R"],"z":"C"}``
    """

    S: str


# -- prints and bars -------------------------------------------------------------------------------------------------


class Trade(Struct, tag_field="T", tag="t"):
    """``{"T":"t","S":"BTC/USD","p":27540.12,"s":0.0123,"t":"2023-03-18T13:31:44.932988033Z","i":1234567890,
    "tks":"B"}``; ``tks`` is the taker's side. Stocks have none, but exchange ``x``, conditions ``c`` and tape ``z``."""

    S: str
    p: Decimal
    s: Decimal
    t: Moment
    i: int
    tks: Literal["B", "S", "-", ""] | None = None
    x: str = ""
    c: list[str] | None = None
    z: str = ""

    @property
    def side(self) -> Side | None:
        return "buy" if self.tks == "B" else "sell" if self.tks == "S" else None


class Correction(Struct, tag_field="T", tag="c"):
    """``{"T":"c","S":"EEM","x":"M","oi":52983525033527,"op":39.1582,"os":440000,"oc":[" ","7"],"ci":52983525034326,
    "cp":39.1809,"cs":440000,"cc":[" ","7"],"z":"B","t":"2023-04-06T14:25:06.542305024Z"}``: the original print, and
    the corrected one. Of stocks; comes with the trades."""

    S: str
    oi: int
    ci: int
    cp: Decimal
    cs: Decimal
    t: Moment
    x: str = ""
    cc: list[str] | None = None
    z: str = ""


class Cancel(Struct, tag_field="T", tag="x"):
    """``{"T":"x","S":"GOOGL","i":465,"x":"D","p":105.31,"s":300,"a":"C","z":"C","t":"2023-04-06T13:15:42.83540958Z"}``:
    a print is canceled ("C") or was an error ("E"). Of stocks; comes with the trades."""

    S: str
    i: int
    p: Decimal
    s: Decimal
    t: Moment
    x: str = ""


class Row(Struct):
    """A bar by REST: ``{"t":"2022-07-21T05:00:00Z","o":22883,"h":22888,"l":22873,"c":22887,"v":1.1138,"n":11,
    "vw":22883.0155324116}``; ``t`` is its beginning."""

    t: Moment
    o: Decimal
    h: Decimal
    l: Decimal  # noqa: E741 - Alpaca's name
    c: Decimal
    v: Decimal

    def candle(self, symbol: str, interval: str, *, closed: bool) -> Candle:
        return Candle(
            symbol=symbol,
            interval=interval,
            open_ms=ms_of(self.t),
            open=amount(self.o, "o"),
            high=amount(self.h, "h"),
            low=amount(self.l, "l"),
            close=amount(self.c, "c"),
            base_volume=amount(self.v, "v"),
            closed=closed,
        )


class MinuteBar(Row, tag_field="T", tag="b", kw_only=True):
    """``{"T":"b","S":"BTC/USD","o":27500.0,"h":27540.5,"l":27490.1,"c":27539.4,"v":1.6628,"t":"2023-03-18T13:31:00Z",
    "n":162,"vw":27512.3}``, sent after the minute."""

    S: str


class UpdatedBar(Row, tag_field="T", tag="u", kw_only=True):
    """The same minute once more, after late trades."""

    S: str


class DailyBar(Struct, tag_field="T", tag="d"):
    """The running day, whose beginning is neither 24 hours ago nor 0:00 UTC: understood, and not shown."""

    S: str


# -- words -----------------------------------------------------------------------------------------------------------


class Success(Struct, tag_field="T", tag="success"):
    """``{"T":"success","msg":"connected"}``, ``{"T":"success","msg":"authenticated"}``"""

    msg: str


class Error(Struct, tag_field="T", tag="error"):
    """``{"T":"error","code":406,"msg":"connection limit exceeded"}``: never says of whom it speaks."""

    code: int
    msg: str = ""


class Subscribed(Struct, tag_field="T", tag="subscription"):
    """``{"T":"subscription","trades":["BTC/USD"],"quotes":["BTC/USD","ETH/USD"],"orderbooks":["BTC/USD"],
    "bars":["BTC/USD"],"updatedBars":[],"dailyBars":[]}``: all that stands now."""

    trades: list[str] = []
    quotes: list[str] = []
    orderbooks: list[str] = []
    bars: list[str] = []
    updatedBars: list[str] = []
    dailyBars: list[str] = []

    def streams(self) -> set[tuple[str, str]]:
        """Channel and native name of each."""
        lists = {"trades": self.trades, "quotes": self.quotes, "orderbooks": self.orderbooks, "bars": self.bars}
        lists["updatedBars"] = self.updatedBars
        return {(channel, native) for channel, natives in lists.items() for native in natives}


class TradingStatus(Struct, tag_field="T", tag="s"):
    """Of a stock; never asked for."""


class Bands(Struct, tag_field="T", tag="l"):
    """A stock's limits up and down; never asked for."""


Message: TypeAlias = (
    Trade
    | Quote
    | Book
    | MinuteBar
    | UpdatedBar
    | DailyBar
    | Success
    | Error
    | Subscribed
    | TradingStatus
    | Bands
    | Correction
    | Cancel
)


# -- instruments and other answers -----------------------------------------------------------------------------------


class Asset(Struct):
    """``{"id":"276e2673-764b-4ab6-a611-caf665ca6340","class":"crypto","exchange":"CRYPTO","symbol":"BTC/USD",
    "name":"Bitcoin / US Dollar","status":"active","tradable":true,"min_order_size":"0.0001",
    "min_trade_increment":"0.0001","price_increment":"1"}``; stocks (``us_equity``) have no sizes and increments."""

    symbol: str
    class_: str = field(name="class")
    status: str = "active"
    tradable: bool = True
    min_order_size: Decimal | None = None
    min_trade_increment: Decimal | None = None
    price_increment: Decimal | None = None

    def market(self, exchange: str) -> Market | None:
        """None for another class of assets. Raises ValidationError."""
        status = "trading" if self.status == "active" and self.tradable else "not_tradable"
        if self.class_ == "crypto":
            base, slash, quote = self.symbol.partition("/")
            if not (slash and _NAME.fullmatch(base) and _NAME.fullmatch(quote)):
                raise ValidationError(f"symbol is {self.symbol!r}, which is no pair")
            if self.price_increment is None or self.min_trade_increment is None:
                raise ValidationError(f"{self.symbol} has no price_increment or min_trade_increment")
            return Market(
                exchange=exchange,
                symbol=self.symbol,
                native=self.symbol,
                product=CRYPTO,
                base=base,
                quote=quote,
                tick=amount(self.price_increment, "price_increment", positive=True),
                lot=amount(self.min_trade_increment, "min_trade_increment", positive=True),
                min_size=amount(self.min_order_size or Decimal(0), "min_order_size"),
                status=status,
            )
        if self.class_ != "us_equity":
            return None
        if not _NAME.fullmatch(self.symbol):
            raise ValidationError(f"symbol is {self.symbol!r}, which is no ticker")
        base = f"{self.symbol}{STOCK_SUFFIX}"
        return Market(
            exchange=exchange,
            symbol=f"{base}/USD",
            native=self.symbol,
            product=STOCKS,
            base=base,
            quote="USD",
            tick=_CENT,
            lot=_SHARE,
            status=status,
            book=False,
        )


class Orderbooks(Struct):
    """``{"orderbooks":{"BTC/USD":{...}}}``"""

    orderbooks: dict[str, Sides]


class Quotes(Struct):
    """``{"quotes":{"AMD":{...}}}``"""

    quotes: dict[str, Best]


class Bars(Struct):
    """``{"bars":{"BTC/USD":[...]},"next_page_token":null}``; without bars the dictionary is empty."""

    bars: dict[str, list[Row]] | None = None
    next_page_token: str | None = None


class Outcome(Struct):
    """``{"code":40310000,"message":"..."}``; data errors have a message alone."""

    message: str = ""
    code: int | None = None
