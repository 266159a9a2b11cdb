"""What Kraken sends, and what it means: frames and REST answers as structs, each with a raw example as documented.

The facts are in ``kraken.py``. Only the fields that we use are declared; all others are skipped. Numbers are JSON
numbers: those of a book become floats, every other amount becomes a ``Decimal`` of exactly the printed digits.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from itertools import pairwise
from typing import Annotated, Literal, TypeAlias

from msgspec import DecodeError, Meta, Raw, Struct, ValidationError

from feeds import domain
from feeds.domain import INTERVALS, Bbo, BookDelta, BookSnapshot, Channel, Market, Subscription

MALFORMED = (DecodeError, UnicodeDecodeError, RecursionError)
"""All that msgspec raises for bytes that are not what was asked for."""

MINUTES = {name: length_ms // 60_000 for name, length_ms in INTERVALS.items()}
"""Our interval to Kraken's."""

_INTERVALS = {minutes: name for name, minutes in MINUTES.items()}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

Moment: TypeAlias = Annotated[datetime, Meta(tz=True)]
Price: TypeAlias = Annotated[float, Meta(gt=0, le=1e18)]
Size: TypeAlias = Annotated[float, Meta(ge=0, le=1e18)]
Precision: TypeAlias = Annotated[int, Meta(ge=0, le=20)]

_ANY_DIGITS = Context(prec=100)


def ms_of(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND


def _amount(value: Decimal, name: str, *, signed: bool = False) -> Decimal:
    """``value``, if it is a number that money can be; ``Decimal`` would take "NaN" and 1e999999 as well."""
    if not value.is_finite() or not -30 <= value.adjusted() <= 30 or len(value.as_tuple().digits) > 60:
        raise ValidationError(f"{name} is {str(value)[:40]}, which is no amount")
    if value < 0 and not signed:
        raise ValidationError(f"{name} is {value}, which is negative")
    return value


# -- the envelope ----------------------------------------------------------------------------------------------------


class Frame(Struct, gc=False):
    """Any frame: data of a channel, or the reply to a request.

    ``{"channel":"heartbeat"}``

    ``{"method":"subscribe","result":{"channel":"book","symbol":"BTC/USD","depth":10,"snapshot":true},"success":true,
    "time_in":"2023-10-06T17:35:55.219022Z","time_out":"2023-10-06T17:35:55.219067Z","req_id":1}``

    ``{"error":"Currency pair not supported XBT/USD","method":"subscribe","success":false,"symbol":"XBT/USD",
    "time_in":"2022-06-13T08:44:37.957435Z","time_out":"2022-06-13T08:44:37.957496Z","req_id":1}``

    ``{"error":"Malformed request","method":"error","success":false}`` names neither request nor symbol.
    """

    channel: str | None = None
    type: str | None = None
    data: Raw = Raw(b"")
    method: str | None = None
    success: bool = False
    error: str | None = None
    result: Raw = Raw(b"")
    req_id: int | None = None
    symbol: str | None = None


class Result(Struct, gc=False):
    """``{"channel":"ohlc","symbol":"BTC/USD","interval":1,"snapshot":true,"warnings":["..."]}``"""

    channel: str
    symbol: str | None = None
    depth: int | None = None
    interval: int | None = None

    def subscriptions(self, channels: Iterable[Channel]) -> list[Subscription]:
        """What it is about, if the stream belongs to these channels; [] for what we never ask for."""
        if self.symbol is None:
            return []
        if self.channel != "ohlc":
            return [Subscription(channel=channel, symbol=self.symbol) for channel in channels]
        interval = _INTERVALS.get(self.interval or 0)
        if interval is None:
            return []
        return [Subscription(channel=channel, symbol=self.symbol, interval=interval) for channel in channels]


# -- books -----------------------------------------------------------------------------------------------------------


class Level(Struct, gc=False):
    price: Price
    qty: Size


class Book(Struct, gc=False):
    """``{"symbol":"BTC/USD","bids":[{"price":64009.9,"qty":0.00000000},{"price":63999.0,"qty":0.40000000}],
    "asks":[{"price":64010.3,"qty":0.20000000}],"checksum":3980408804,"timestamp":"2026-05-05T10:00:00.103412Z"}``

    ``qty`` is the new absolute quantity, 0 removes the level. Older servers left ``timestamp`` out of snapshots.
    """

    symbol: str
    bids: list[Level]
    asks: list[Level]
    checksum: Annotated[int, Meta(ge=0, le=0xFFFF_FFFF)]
    timestamp: Moment | None = None

    def snapshot(self, depth: int, printed: tuple[int, int] | None = None) -> BookSnapshot:
        return BookSnapshot(
            symbol=self.symbol,
            bids=[(level.price, level.qty) for level in self.bids],
            asks=[(level.price, level.qty) for level in self.asks],
            depth=depth,
            checksum=self.checksum,
            exchange_ms=None if self.timestamp is None else ms_of(self.timestamp),
            printed=printed,
        )

    def delta(self) -> BookDelta:
        return BookDelta(
            symbol=self.symbol,
            bids=[(level.price, level.qty) for level in self.bids],
            asks=[(level.price, level.qty) for level in self.asks],
            checksum=self.checksum,
            exchange_ms=None if self.timestamp is None else ms_of(self.timestamp),
        )


class PrintedLevel(Struct):
    price: Decimal
    qty: Decimal


class PrintedBook(Struct):
    """A book read once more for the digits that it was printed with."""

    bids: list[PrintedLevel]
    asks: list[PrintedLevel]

    def digits(self) -> tuple[int, int]:
        """Most digits after the point of any price and of any quantity."""
        levels = self.bids + self.asks
        return _most_digits(level.price for level in levels), _most_digits(level.qty for level in levels)


def _most_digits(values: Iterable[Decimal]) -> int:
    exponents = (value.as_tuple().exponent for value in values)
    return max((-exponent for exponent in exponents if isinstance(exponent, int) and exponent < 0), default=0)


# -- prices, prints, bars --------------------------------------------------------------------------------------------


class Ticker(Struct):
    """``{"symbol":"BTC/USD","bid":105944.2,"bid_qty":2.50000000,"ask":105944.3,"ask_qty":3.20000000,"last":105899.4,
    "volume":163.28908096,"vwap":105904.4,"low":104711.0,"high":106613.1,"change":250.0,"change_pct":0.24,
    "timestamp":"2026-05-05T10:00:00.123456Z"}``

    ``change`` is since 24 h ago, so ``last - change`` was the price then. ``timestamp`` was added later.
    """

    symbol: str
    bid: Size
    bid_qty: Size
    ask: Size
    ask_qty: Size
    last: Decimal
    volume: Decimal
    vwap: Decimal
    low: Decimal
    high: Decimal
    change: Decimal
    change_pct: Decimal
    timestamp: Moment | None = None

    def events(self) -> list[domain.Event]:
        exchange_ms = None if self.timestamp is None else ms_of(self.timestamp)
        last, change = _amount(self.last, "last"), _amount(self.change, "change", signed=True)
        # Kraken tells no quote volume; by what an average price means it is this, to the average's digits.
        quote_volume = _amount(self.volume, "volume") * _amount(self.vwap, "vwap")
        ticker = domain.Ticker(
            symbol=self.symbol,
            last=last,
            open=last - change if last > change else None,
            high=_amount(self.high, "high"),
            low=_amount(self.low, "low"),
            change=_amount(self.change_pct, "change_pct", signed=True) / 100,
            base_volume=self.volume,
            quote_volume=quote_volume.quantize(Decimal("0.01"), context=_ANY_DIGITS),
            exchange_ms=exchange_ms,
        )
        if not self.bid or not self.ask:  # an empty side
            return [ticker]
        bbo = Bbo(
            symbol=self.symbol,
            bid=self.bid,
            bid_size=self.bid_qty,
            ask=self.ask,
            ask_size=self.ask_qty,
            exchange_ms=exchange_ms,
        )
        return [bbo, ticker]


class Trade(Struct):
    """``{"symbol":"BTC/USD","side":"buy","price":105944.2,"qty":0.00027625,"ord_type":"limit","trade_id":10218208,
    "timestamp":"2023-10-06T17:35:55.440295Z"}``; ``side`` is the taker's."""

    symbol: str
    side: Literal["buy", "sell"]
    price: Decimal
    qty: Decimal
    trade_id: int
    timestamp: Moment

    def event(self) -> domain.Trade:
        return domain.Trade(
            symbol=self.symbol,
            id=str(self.trade_id),
            side=self.side,
            price=_amount(self.price, "price"),
            size=_amount(self.qty, "qty"),
            exchange_ms=ms_of(self.timestamp),
        )


class Candle(Struct):
    """``{"symbol":"BTC/USD","interval":1,"interval_begin":"2023-10-04T16:25:00.000000000Z","open":106038.2,
    "high":106044.3,"low":106038.1,"close":106040.1,"volume":3.92768066,"vwap":106039.6,"trades":12,
    "timestamp":"2023-10-04T16:26:00.000000Z"}``; ``timestamp`` is the end."""

    symbol: str
    interval: int
    interval_begin: Moment
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal

    def event(self) -> domain.Candle | None:
        """None for an interval that is not one of ours."""
        interval = _INTERVALS.get(self.interval)
        if interval is None:
            return None
        return domain.Candle(
            symbol=self.symbol,
            interval=interval,
            open_ms=ms_of(self.interval_begin),
            open=_amount(self.open, "open"),
            high=_amount(self.high, "high"),
            low=_amount(self.low, "low"),
            close=_amount(self.close, "close"),
            base_volume=_amount(self.volume, "volume"),
        )


# -- the exchange and its instruments --------------------------------------------------------------------------------


class Status(Struct):
    """``{"version":"2.0.10","system":"online","api_version":"v2","connection_id":12393906104898154338}``

    ``system``: online, cancel_only, maintenance, post_only. ``connection_id`` is greater than 2^53; we do not use it.
    """

    system: str


class Pair(Struct):
    """``{"symbol":"BTC/USD","base":"BTC","quote":"USD","status":"online","qty_precision":8,"qty_increment":1e-08,
    "price_precision":1,"price_increment":0.1,"cost_precision":5,"cost_min":0.5,"qty_min":0.00005,"tick_size":0.1,
    "marginable":true,"margin_initial":0.2,"position_limit_long":300,"position_limit_short":240,"has_index":true}``

    ``status``: online, cancel_only, delisted, limit_only, maintenance, post_only, reduce_only, work_in_progress.
    """

    symbol: str
    base: str
    quote: str
    status: str
    price_precision: Precision
    price_increment: Decimal
    qty_precision: Precision
    qty_increment: Decimal
    qty_min: Decimal
    cost_min: Decimal = Decimal(0)

    def market(self, exchange: str) -> Market:
        return Market(
            exchange=exchange,
            symbol=self.symbol,
            native=self.symbol,
            product="spot",
            base=self.base,
            quote=self.quote,
            tick=_increment(self.price_increment, self.price_precision, f"price_increment of {self.symbol}"),
            lot=_increment(self.qty_increment, self.qty_precision, f"qty_increment of {self.symbol}"),
            min_size=_amount(self.qty_min, "qty_min"),
            min_notional=_amount(self.cost_min, "cost_min"),
            status="trading" if self.status == "online" else self.status.lower(),
        )


def _increment(value: Decimal, precision: int, name: str) -> Decimal:
    """The increment, written with as many digits as the precision says: prices in steps of 0.5 may be printed 1.50.

    The checksum needs that number of digits, and so finds it in the market's tick and lot.
    """
    if _amount(value, name) == 0:
        raise ValidationError(f"{name} is 0")
    written = value.quantize(Decimal(1).scaleb(-precision), context=_ANY_DIGITS)
    return written if written == value else value


class Instruments(Struct):
    """``{"assets":[...],"pairs":[...]}``: not a list, as other channels have."""

    pairs: list[Raw] = []  # of Pair


# -- REST ------------------------------------------------------------------------------------------------------------


class Errors(Struct):
    """``{"error":["EQuery:Unknown asset pair"]}``, usually with HTTP 200. The letter before the colon: E is an error,
    W a warning."""

    error: list[str] = []


class Answer(Struct):
    """``{"error":[],"result":{"XXBTZUSD":...,"last":1688672160}}``"""

    result: dict[str, Raw]


class Depth(Struct):
    """``{"asks":[["30384.10000","2.059",1688671659]],"bids":[["30297.00000","1.115",1688671636]]}``"""

    asks: list[tuple[Price, Size, int]]
    bids: list[tuple[Price, Size, int]]

    def snapshot(self, symbol: str, depth: int) -> BookSnapshot:
        bids, asks = ([(price, size) for price, size, _ in side] for side in (self.bids, self.asks))
        return BookSnapshot(symbol=symbol, bids=bids, asks=asks, depth=depth)

    def best(self, symbol: str) -> Bbo:
        """Raises ValidationError if a side is empty."""
        if not self.bids or not self.asks:
            raise ValidationError("a side of the book is empty")
        (bid, bid_size, _), (ask, ask_size, _) = self.bids[0], self.asks[0]
        return Bbo(symbol=symbol, bid=bid, bid_size=bid_size, ask=ask, ask_size=ask_size)


class OhlcRow(Struct, array_like=True):
    """``[1688671200,"30306.1","30306.2","30305.7","30305.7","30306.1","3.39243896",23]``: unix time, open, high, low,
    close, average price, volume, number of trades."""

    time_s: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    vwap: Decimal
    volume: Decimal

    def candle(self, symbol: str, interval: str, *, closed: bool) -> domain.Candle:
        return domain.Candle(
            symbol=symbol,
            interval=interval,
            open_ms=self.time_s * 1000,
            open=_amount(self.open, "open"),
            high=_amount(self.high, "high"),
            low=_amount(self.low, "low"),
            close=_amount(self.close, "close"),
            base_volume=_amount(self.volume, "volume"),
            closed=closed,
        )


def candles(rows: list[OhlcRow], symbol: str, interval: str) -> list[domain.Candle]:
    """Bars of an answer, oldest first; the last one is still open."""
    times = [row.time_s for row in rows]
    if any(later <= earlier for earlier, later in pairwise(times)):
        raise ValidationError("bars are not in the order of time")
    return [row.candle(symbol, interval, closed=number < len(rows)) for number, row in enumerate(rows, 1)]
