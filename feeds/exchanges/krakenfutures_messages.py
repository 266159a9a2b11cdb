"""What Kraken Futures sends, and what it means: frames and REST answers as structs, each with a raw example.

The facts are in ``krakenfutures.py``. Only the fields that we use are declared; all others are skipped. Numbers are
JSON numbers: those of a book become floats, every other amount becomes a ``Decimal`` of exactly the printed digits.
"""

import re
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Literal, TypeAlias

from msgspec import DecodeError, Meta, Raw, Struct, ValidationError

from feeds import domain
from feeds.domain import Bbo, BookDelta, BookSnapshot, Event, Market, MarkPrice

MALFORMED = (DecodeError, UnicodeDecodeError, RecursionError)
"""All that msgspec raises for bytes that are not what was asked for."""

LABEL = "Kraken Futures"
PRODUCT = "futures"
PRINTS = frozenset({"fill", "liquidation"})
"""Types of trades that the book matched. The others (block, assignment, termination) were agreed or assigned beside it,
at prices that nobody could trade at."""

_BASES = {"XBT": "BTC", "XDG": "DOGE"}
_LINEAR = "flexible_futures"
_NAME = re.compile(r"(PF|FF)_([A-Za-z0-9]+)_?([0-9]{6})?")

Price: TypeAlias = Annotated[float, Meta(gt=0, le=1e18)]
Size: TypeAlias = Annotated[float, Meta(ge=0, le=1e18)]
Moment: TypeAlias = Annotated[int, Meta(ge=0, le=10**14)]
"""Milliseconds since 1970."""
Number: TypeAlias = Annotated[int, Meta(ge=0, le=2**62)]


def _amount(value: Decimal, name: str, *, signed: bool = False) -> Decimal:
    """``value``, if it is a number that money can be; ``Decimal`` would take "NaN" and 1e999999 as well."""
    if not value.is_finite() or not -40 <= value.adjusted() <= 30 or len(value.as_tuple().digits) > 60:
        raise ValidationError(f"{name} is {str(value)[:40]}, which is no amount")
    if value < 0 and not signed:
        raise ValidationError(f"{name} is {value}, which is negative")
    return value


def _optional(value: Decimal | None, name: str, *, signed: bool = False) -> Decimal | None:
    return None if value is None else _amount(value, name, signed=signed)


# -- books -----------------------------------------------------------------------------------------------------------


class Level(Struct, gc=False):
    price: Price
    qty: Size


class Book(Struct, tag_field="feed", tag="book", gc=False):
    """``{"feed":"book","product_id":"PF_XBTUSD","side":"sell","seq":326094134,"price":34981,"qty":0,
    "timestamp":1612269953629}``: one level, its new absolute quantity, 0 removes it."""

    product_id: str
    side: Literal["buy", "sell"]
    seq: Number
    price: Price
    qty: Size
    timestamp: Moment | None = None

    def delta(self, symbol: str) -> BookDelta:
        level = [(self.price, self.qty)]
        bids, asks = (level, []) if self.side == "buy" else ([], level)
        return BookDelta(
            symbol=symbol, bids=bids, asks=asks, prev=self.seq - 1, seq=self.seq, exchange_ms=self.timestamp
        )


class FullBook(Struct, tag_field="feed", tag="book_snapshot"):
    """``{"feed":"book_snapshot","product_id":"PF_XBTUSD","timestamp":1612269825817,"seq":326072249,"tickSize":null,
    "bids":[{"price":34892.5,"qty":6385}],"asks":[{"price":34911.5,"qty":20598}]}``; levels of quantity 0 may occur."""

    product_id: str
    seq: Number
    bids: list[Level]
    asks: list[Level]
    timestamp: Moment | None = None

    def snapshot(self, symbol: str) -> BookSnapshot:
        return BookSnapshot(
            symbol=symbol,
            bids=[(level.price, level.qty) for level in self.bids],
            asks=[(level.price, level.qty) for level in self.asks],
            seq=self.seq,
            exchange_ms=self.timestamp,
        )


# -- prices and prints -----------------------------------------------------------------------------------------------


class Ticker(Struct, tag_field="feed", tag="ticker", kw_only=True):
    """``{"feed":"ticker","product_id":"PF_ETHUSD","time":1783587648112,"bid":1751.6,"ask":1751.7,"bid_size":1.459,
    "ask_size":2.886,"volume":57204.177,"volumeQuote":99424431.8132,"last":1751.7,"change":0.97,"open":1734.8,
    "high":1765.4,"low":1708.8,"index":1751.75,"markPrice":1751.97553924942,"funding_rate":0.032725177043125,
    "relative_funding_rate":0.0000186711875,"next_funding_rate_time":1783591200000,"suspended":false,"post_only":false,
    "tag":"perpetual","pair":"ETH:USD","openInterest":24085.822,"dtm":0,"maturityTime":0,"leverage":"100x"}``

    ``change`` is in percent, ``volume`` of linear contracts in base currency. ``relative_funding_rate`` is what a
    position pays for this hour, as a ratio of its value; ``funding_rate`` is the same per contract in dollars, and no
    rate. A dated contract has no funding; where nobody bids, offers or has traded, that field is left out.
    """

    product_id: str
    time: Moment | None = None
    bid: Size | None = None
    ask: Size | None = None
    bid_size: Size = 0.0
    ask_size: Size = 0.0
    last: Decimal | None = None
    change: Decimal | None = None
    open: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    volume: Decimal | None = None
    volumeQuote: Decimal | None = None
    index: Decimal | None = None
    markPrice: Decimal | None = None
    relative_funding_rate: Decimal | None = None
    next_funding_rate_time: Moment | None = None
    suspended: bool = False
    post_only: bool = False

    def events(self, symbol: str) -> list[Event]:
        found: list[Event] = []
        if self.bid and self.ask:
            found.append(
                Bbo(
                    symbol=symbol,
                    bid=self.bid,
                    bid_size=self.bid_size,
                    ask=self.ask,
                    ask_size=self.ask_size,
                    exchange_ms=self.time,
                )
            )
        if self.last is not None:
            change = _optional(self.change, "change", signed=True)
            found.append(
                domain.Ticker(
                    symbol=symbol,
                    last=_amount(self.last, "last"),
                    open=_optional(self.open, "open") or None,
                    high=_optional(self.high, "high") or None,
                    low=_optional(self.low, "low") or None,
                    change=None if change is None else change.scaleb(-2),
                    base_volume=_optional(self.volume, "volume"),
                    quote_volume=_optional(self.volumeQuote, "volumeQuote"),
                    exchange_ms=self.time,
                )
            )
        if self.markPrice is not None:
            found.append(
                MarkPrice(
                    symbol=symbol,
                    mark=_amount(self.markPrice, "markPrice"),
                    index=_optional(self.index, "index") or None,
                    funding_rate=_optional(self.relative_funding_rate, "relative_funding_rate", signed=True),
                    next_funding_ms=self.next_funding_rate_time or None,
                    exchange_ms=self.time,
                )
            )
        return found

    def status(self, listed: str) -> str:
        """The market's status, if the instrument list says ``listed``: the ticker knows of a halt first."""
        if self.suspended:
            return "suspended"
        if self.post_only:
            return "post_only"
        return "trading" if listed in ("suspended", "post_only") else listed


class TickerLite(Struct, tag_field="feed", tag="ticker_lite"):
    """``{"feed":"ticker_lite","product_id":"PF_XBTUSD","bid":34932,"ask":34949.5,"change":3.3705205220015966}``: less
    than ``ticker``, and never asked for."""

    product_id: str


class Trade(Struct, tag_field="feed", tag="trade"):
    """``{"feed":"trade","product_id":"PF_XBTUSD","uid":"05af78ac-a774-478c-a50c-8b9c234e071e","side":"sell",
    "type":"fill","seq":653355,"time":1612266317519,"qty":15000,"price":34969.5}``; ``side`` is the taker's."""

    product_id: str
    uid: str
    side: Literal["buy", "sell"]
    seq: Number
    time: Moment
    qty: Decimal
    price: Decimal
    type: str = "fill"

    def event(self, symbol: str) -> domain.Trade:
        price = _amount(self.price, "price")
        if not price:
            raise ValidationError("price is 0")
        return domain.Trade(
            symbol=symbol,
            id=self.uid,
            side=self.side,
            price=price,
            size=_amount(self.qty, "qty"),
            exchange_ms=self.time,
        )


class TradeHistory(Struct, tag_field="feed", tag="trade_snapshot"):
    """``{"feed":"trade_snapshot","product_id":"PF_XBTUSD","trades":[{"feed":"trade",...},{"feed":"trade",...}]}``: the
    last hundred, newest first."""

    product_id: str
    trades: list[Trade]


class Beat(Struct, tag_field="feed", tag="heartbeat"):
    """``{"feed":"heartbeat","time":1534262350627}``"""

    time: Moment


Data: TypeAlias = Book | FullBook | Ticker | TickerLite | Trade | TradeHistory | Beat


class Word(Struct):
    """What is not data: ``{"event":"info","version":1}`` greets;

    ``{"event":"subscribed","feed":"book","product_ids":["PF_XBTUSD"]}``, and with ``unsubscribed``,
    ``subscribed_failed`` or ``unsubscribed_failed``, answers;

    ``{"event":"error","message":"Invalid product id"}`` and ``{"event":"alert","message":"Couldn't subscribe to invalid
    product `PF_NOTHING`"}`` complain, and name the product only sometimes, the feed never.
    """

    event: str
    feed: str = ""
    product_ids: list[str] = []
    message: str = ""


# -- instruments -----------------------------------------------------------------------------------------------------


class Instruments(Struct):
    """``{"result":"success","instruments":[...],"serverTime":"2026-01-01T00:00:00.000Z"}``"""

    instruments: list[Raw]  # each an Instrument


class Instrument(Struct):
    """``{"symbol":"PF_XBTUSD","type":"flexible_futures","tickSize":1,"contractSize":1,"tradeable":true,
    "contractValueTradePrecision":4,"impactMidSize":1.0,"maxPositionSize":1000.0,"openingDate":"2022-03-22T13:18:45Z",
    "fundingRateCoefficient":24,"maxRelativeFundingRate":0.0025,"postOnly":false,"base":"BTC","quote":"USD",
    "pair":"BTC:USD"}``; a dated one has ``"lastTradingTime"``, older lists neither base nor quote.

    A negative ``contractValueTradePrecision`` means steps of tens and more: -3 is 1,000.
    """

    symbol: str
    type: str
    tradeable: bool = False
    postOnly: bool = False
    tickSize: Decimal | None = None
    contractSize: Decimal | None = None
    contractValueTradePrecision: Annotated[int, Meta(ge=-20, le=20)] | None = None
    base: str | None = None
    quote: str | None = None

    def market(self, exchange: str) -> Market | None:
        """None for what is no linear contract: inverse and vanilla futures, indices."""
        if self.type != _LINEAR:
            return None
        native = self.symbol.upper() if self.symbol.islower() else self.symbol
        name = _NAME.fullmatch(native)
        if name is None:
            raise ValidationError(f"symbol is {self.symbol!r}, which is no linear contract's")
        kind, pair, expiry = name.groups()
        if (kind == "FF") != (expiry is not None):
            raise ValidationError(f"symbol is {self.symbol!r}: a dated contract has a date, a perpetual has none")
        base, quote = self.base or pair[:-3], self.quote or pair[-3:]
        if not base or self.tickSize is None or self.contractValueTradePrecision is None:
            raise ValidationError(f"{self.symbol} has no base, tickSize or contractValueTradePrecision")
        if not _amount(self.tickSize, "tickSize"):
            raise ValidationError("tickSize is 0")
        if self.contractSize != 1:
            raise ValidationError(f"contractSize is {self.contractSize}: sizes would not be in base currency")
        base = _BASES.get(base, base)
        lot = Decimal(1).scaleb(-self.contractValueTradePrecision)
        return Market(
            exchange=exchange,
            symbol=f"{base}/{quote}:{quote}" + (f"-{expiry}" if expiry else ""),
            native=native,
            product=PRODUCT,
            base=base,
            quote=quote,
            settle=quote,
            tick=self.tickSize,
            lot=lot,
            min_size=lot,
            status="not_tradeable" if not self.tradeable else "post_only" if self.postOnly else "trading",
        )


# -- other REST answers ----------------------------------------------------------------------------------------------


class Error(Struct):
    code: int | None = None
    message: str = ""


class Outcome(Struct):
    """``{"result":"error","error":"apiLimitExceeded","serverTime":"..."}``, usually with HTTP 200; newer calls say
    ``{"result":"error","errors":[{"code":93,"message":"..."}]}``."""

    result: str = ""
    error: str | None = None
    errors: list[Error] | None = None

    def said(self) -> str | None:
        """The error in the exchange's words, or None."""
        if self.error:
            return self.error
        if self.errors:
            return "; ".join(each.message or f"code {each.code}" for each in self.errors)
        return "no reason given" if self.result == "error" else None


class Sides(Struct):
    bids: list[tuple[Price, Size]]
    asks: list[tuple[Price, Size]]


class Depth(Struct):
    """``{"result":"success","orderBook":{"bids":[[40178,5],[40174,4.2]],"asks":[[40186,5.0183],[40190,0.4183]]},
    "serverTime":"..."}``: the whole book, without a sequence number."""

    orderBook: Sides

    def snapshot(self, symbol: str) -> BookSnapshot:
        return BookSnapshot(symbol=symbol, bids=self.orderBook.bids, asks=self.orderBook.asks)

    def best(self, symbol: str) -> Bbo:
        """Raises ValidationError if a side is empty."""
        bids = [level for level in self.orderBook.bids if level[1]]
        asks = [level for level in self.orderBook.asks if level[1]]
        if not bids or not asks:
            raise ValidationError("a side of the book is empty")
        (bid, bid_size), (ask, ask_size) = max(bids), min(asks)
        return Bbo(symbol=symbol, bid=bid, bid_size=bid_size, ask=ask, ask_size=ask_size)


class Bar(Struct):
    """``{"time":1620816960000,"open":"56294.00000000000","high":"56475.00000000000","low":"55935.00000000000",
    "close":"56250.00000000000","volume":10824}``; ``time`` is the bar's beginning."""

    time: Moment
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal

    def candle(self, symbol: str, interval: str, *, closed: bool) -> domain.Candle:
        return domain.Candle(
            symbol=symbol,
            interval=interval,
            open_ms=self.time,
            open=_amount(self.open, "open"),
            high=_amount(self.high, "high"),
            low=_amount(self.low, "low"),
            close=_amount(self.close, "close"),
            base_volume=_amount(self.volume, "volume"),
            closed=closed,
        )


class Bars(Struct):
    """``{"candles":[...],"more_candles":false}``"""

    candles: list[Bar]

    def told(self, symbol: str, interval: str) -> list[domain.Candle]:
        """Oldest first; the last one may still be open."""
        rows = self.candles
        if any(later.time <= earlier.time for earlier, later in pairwise(rows)):
            raise ValidationError("bars are not in the order of time")
        return [row.candle(symbol, interval, closed=row is not rows[-1]) for row in rows]
