"""What LMEX sends, and what it means: frames and REST answers as structs, each with a raw example as documented.

The facts are in ``lmex.py``. Only the fields that we use are declared; all others are skipped. Books print decimal
text, everything else JSON numbers, but versions differ: both are taken everywhere. Sizes of futures are contracts.
"""

from datetime import UTC, datetime
from decimal import Context, Decimal
from typing import Annotated, Literal, TypeAlias

from msgspec import DecodeError, Meta, Raw, Struct, ValidationError

from feeds import domain
from feeds.domain import Candle, Level, Market, MarkPrice, Ticker

MALFORMED = (DecodeError, UnicodeDecodeError, RecursionError)
"""All that msgspec raises for bytes that are not what was asked for."""

Price: TypeAlias = Annotated[float, Meta(gt=0, le=1e18)]
Amount: TypeAlias = Annotated[float, Meta(ge=0, le=1e18)]
Millis: TypeAlias = Annotated[int, Meta(ge=0, le=10**14)]
Levels: TypeAlias = list[tuple[Price, Amount]]

_MOST = Decimal(10) ** 30
_ANY_DIGITS = Context(prec=100)


def amount(value: Decimal | None, name: str, *, signed: bool = False) -> Decimal:
    """A finite number of a sane size. Raises ValidationError."""
    if value is None or not value.is_finite() or abs(value) > _MOST or (value < 0 and not signed):
        raise ValidationError(f"{name} is {value}, which is no such amount")
    if value and value.adjusted() < -40:
        raise ValidationError(f"{name} is {value}, which has too many digits")
    return value


def positive(value: Decimal | None, name: str) -> Decimal:
    if not amount(value, name):
        raise ValidationError(f"{name} is 0")
    return amount(value, name)


class Contract:
    """How sizes of a market become base currency: a whole number of contracts is multiplied exactly.

    ``size * numerator / denominator`` of whole numbers is the float nearest to the true product, and so the same as
    that of its decimal text.
    """

    __slots__ = ("denominator", "numerator", "size", "symbol")

    def __init__(self, symbol: str, size: Decimal) -> None:
        self.symbol = symbol
        self.size = size
        self.numerator, self.denominator = size.as_integer_ratio()

    def levels(self, levels: list[Level]) -> list[Level]:
        n, d = self.numerator, self.denominator
        return levels if n == d else [(price, size * n / d) for price, size in levels]

    def amount(self, size: Decimal) -> Decimal:
        return size if self.size == 1 else _ANY_DIGITS.multiply(size, self.size)


# -- stream frames ---------------------------------------------------------------------------------------------------


class Book(Struct, gc=False):
    """``{"bids":[["77054.5","108350"]],"asks":[["77054.7","98250"]],"seqNum":628282,"prevSeqNum":628281,
    "type":"snapshot","timestamp":1779800650027,"symbol":"BTC-PERP"}``

    Absolute sizes, "0" removes. Asks come from high to low in the examples, so the order says nothing.
    """

    bids: Levels
    asks: Levels
    seqNum: int
    prevSeqNum: int
    type: Literal["snapshot", "delta"]
    symbol: str
    timestamp: Millis | None = None


class BookFrame(Struct, gc=False):
    """``{"topic":"update:BTC-PERP_0","data":{...}}``; the topic of a delta may lack the ``_0``."""

    topic: str
    data: Book


class Best(Struct, gc=False):
    """``{"bids":[["28064.9","1268"]],"asks":[["28065.0","1015"]],"type":"snapshotL1","symbol":"BTC-PERP",
    "timestamp":1680751558529}``: the whole top level."""

    bids: Levels
    asks: Levels
    symbol: str
    timestamp: Millis | None = None

    def event(self, contract: Contract) -> domain.Bbo:
        (bid, bid_size), (ask, ask_size) = (
            contract.levels(side[:1])[0] if side else (0.0, 0.0) for side in (self.bids, self.asks)
        )
        return domain.Bbo(
            symbol=contract.symbol,
            bid=bid,
            bid_size=bid_size,
            ask=ask,
            ask_size=ask_size,
            exchange_ms=self.timestamp,
        )


class Trade(Struct):
    """``{"symbol":"BTC-USD","side":"SELL","size":0.0145,"price":76653.1,"tradeId":31626447,
    "timestamp":1779786372223}``; ``side`` is taken for the taker's."""

    symbol: str
    side: Literal["BUY", "SELL"]
    size: Decimal
    price: Decimal
    tradeId: Annotated[int, Meta(ge=0)]
    timestamp: Millis

    def event(self, contract: Contract) -> domain.Trade:
        return domain.Trade(
            symbol=contract.symbol,
            id=str(self.tradeId),
            side="buy" if self.side == "BUY" else "sell",
            price=positive(self.price, "price"),
            size=contract.amount(amount(self.size, "size")),
            exchange_ms=self.timestamp,
        )


class Frame(Struct):
    """Any frame: ``{"topic":...,"data":...}``, ``{"event":"subscribe","channel":["tradeHistoryApi:BTC-USD"]}``,
    ``{"event":"pong"}``, ``{"op":"pong"}``, or an error, of which two forms are known and others are possible:

    ``{"severity":"ERROR","errors":[{"arg":"foo:BTC-PERP","error":{"code":1005,"message":"Topic provided does not
    exist."}}]}``, without ``arg`` where it is about the whole message; ``{"status":400,"message":"..."}``
    """

    topic: str | None = None
    data: Raw = Raw(b"")
    event: str | None = None
    op: str | None = None
    channel: list[str] = []
    errors: list["Refusal"] = []
    code: int | None = None
    errorCode: int | None = None
    status: int | None = None
    message: str | None = None
    msg: str | None = None


class ErrorCode(Struct):
    code: int
    message: str = ""


class Refusal(Struct):
    error: ErrorCode
    arg: str | None = None


# -- REST answers ----------------------------------------------------------------------------------------------------


class Error(Struct):
    """``{"status":400,"errorCode":400,"message":"BAD_REQUEST: Invalid parameter"}`` or
    ``{"code":-2,"msg":"Invalid request parameters","time":1752129037800,"data":null,"success":false}``"""

    status: int | None = None
    errorCode: int | None = None
    message: str | None = None
    code: int | None = None
    msg: str | None = None
    success: bool | None = None


class SymbolOnly(Struct):
    symbol: str


class Summary(Struct):
    """An entry of ``market_summary``: ``{"symbol":"BTC-PERP","last":76731.9,"lowestAsk":76732.0,"highestBid":76731.8,
    "percentageChange":-0.61,"volume":172418318.75,"high24Hr":77480.0,"low24Hr":75990.5,"base":"BTC","quote":"USDT",
    "active":true,"size":4916.8266,"minPriceIncrement":0.1,"minOrderSize":1,"minSizeIncrement":1,"contractSize":0.00001,
    "contractEnd":0,"timeBasedContract":false,"futures":true,"fundingRate":0.0000114,"fundingTime":1779811200000}``

    ``volume`` is the turnover of 24 h in quote currency, ``percentageChange`` in percent. Sizes are contracts on
    futures, whose ``size`` of 24 h has been seen both in contracts and in base currency.
    """

    symbol: str
    base: str
    quote: str
    minPriceIncrement: Decimal
    minSizeIncrement: Decimal
    minOrderSize: Decimal = Decimal(0)
    active: bool = True
    futures: bool = False
    timeBasedContract: bool = False
    contractEnd: int | None = None
    contractSize: Decimal | None = None
    isMarketOpenToSpot: bool | None = True

    def market(self, product: str) -> Market | None:
        """None for what is for over-the-counter trading only."""
        spot = product == "spot"
        if spot and self.isMarketOpenToSpot is False:
            return None
        if not self.symbol or not self.base or not self.quote:
            raise ValidationError(f"{self.symbol!r}: symbol, base or quote is empty")
        size = Decimal(1) if spot else positive(self.contractSize, "contractSize")
        return Market(
            exchange="lmex",
            symbol=self.unified(spot=spot),
            native=self.symbol,
            product=product,
            base=self.base,
            quote=self.quote,
            settle=None if spot else self.quote,
            tick=positive(self.minPriceIncrement, "minPriceIncrement"),
            lot=_ANY_DIGITS.multiply(positive(self.minSizeIncrement, "minSizeIncrement"), size),
            contract_size=size,
            min_size=_ANY_DIGITS.multiply(amount(self.minOrderSize, "minOrderSize"), size),
            status="trading" if self.active else "inactive",
        )

    def unified(self, *, spot: bool) -> str:
        """``BTC/USD``, ``BTC/USDT:USDT``, or with its settlement date ``BTC/USDT:USDT-260626``."""
        pair = f"{self.base}/{self.quote}"
        if spot:
            return pair
        if not self.timeBasedContract:
            return f"{pair}:{self.quote}"
        date = self.symbol.partition("-")[2]
        if not (len(date) == 6 and date.isascii() and date.isdigit()):
            if not self.contractEnd:
                raise ValidationError(f"{self.symbol}: a dated contract without a date")
            date = datetime.fromtimestamp(min(self.contractEnd, 10**13) / 1000, UTC).strftime("%y%m%d")
        return f"{pair}:{self.quote}-{date}"


class DaySummary(Struct):
    """The same entry, for the figures of 24 hours and funding."""

    last: Decimal | None = None
    high24Hr: Decimal | None = None
    low24Hr: Decimal | None = None
    percentageChange: Decimal | None = None
    volume: Decimal | None = None
    size: Decimal | None = None
    fundingRate: Decimal | None = None
    fundingTime: Millis | None = None

    def ticker(self, contract: Contract) -> Ticker | None:
        """None for a market in which nothing was ever traded: it has no last price, or 0."""
        last = None if self.last is None else amount(self.last, "last")
        if not last:
            return None
        change = None if self.percentageChange is None else amount(self.percentageChange, "change", signed=True) / 100
        return Ticker(
            symbol=contract.symbol,
            last=last,
            high=None if self.high24Hr is None else amount(self.high24Hr, "high24Hr"),
            low=None if self.low24Hr is None else amount(self.low24Hr, "low24Hr"),
            change=change,
            base_volume=self._base_volume(contract, last),
            quote_volume=None if self.volume is None else amount(self.volume, "volume"),
        )

    def _base_volume(self, contract: Contract, last: Decimal) -> Decimal | None:
        """In base currency, if it is clear which of both units ``size`` is in: turnover by size is a price."""
        if self.size is None:
            return None
        size = amount(self.size, "size")
        if contract.size == 1 or not size:
            return size
        if not self.volume or not last:
            return None
        for volume in (size, contract.amount(size)):
            if last / 2 < amount(self.volume, "volume") / volume < last * 2:
                return volume
        return None


class Mark(Struct):
    """``{"symbol":"BTC-PERP","indexPrice":36288.949684967,"lastPrice":36286.5,"markPrice":36287.1}``"""

    symbol: str
    markPrice: Decimal
    indexPrice: Decimal | None = None

    def event(self, symbol: str, funding: DaySummary | None) -> MarkPrice:
        rate = None if funding is None else funding.fundingRate
        return MarkPrice(
            symbol=symbol,
            mark=positive(self.markPrice, "markPrice"),
            index=None if self.indexPrice is None else amount(self.indexPrice, "indexPrice"),
            funding_rate=None if rate is None else amount(rate, "fundingRate", signed=True),
            next_funding_ms=None if funding is None else funding.fundingTime or None,
        )


class PrintedLevel(Struct):
    price: Price
    size: Amount


class Depth(Struct):
    """``{"symbol":"BTC-PERP","buyQuote":[{"price":"77054.5","size":"108350"}],"sellQuote":[{"price":"77054.7",
    "size":"98250"}],"timestamp":1779800650027}``; no sequence number."""

    buyQuote: list[PrintedLevel]
    sellQuote: list[PrintedLevel]
    timestamp: Millis | None = None

    def sides(self, contract: Contract) -> tuple[list[Level], list[Level]]:
        """Bids and asks, best first."""
        bids, asks = ([(row.price, row.size) for row in side] for side in (self.buyQuote, self.sellQuote))
        return contract.levels(sorted(bids, reverse=True)), contract.levels(sorted(asks))


class OhlcRow(Struct, array_like=True):
    """``[1624987380,36477,36477,36473.5,36473.5,693.049]``: unix time, open, high, low, close, volume."""

    time_s: Annotated[int, Meta(ge=0, le=10**11)]
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal

    def candle(self, market: Market, interval: str, unit: str, *, closed: bool) -> Candle:
        """``unit`` of the volume: "quote", "base" or "contracts". Turnover is divided by the bar's middle price."""
        prices = [positive(value, "a price") for value in (self.open, self.high, self.low, self.close)]
        volume = amount(self.volume, "volume")
        if unit == "quote":
            volume = (volume * 4 / sum(prices)).quantize(market.lot.normalize(), context=_ANY_DIGITS)
        elif unit == "contracts":
            volume = _ANY_DIGITS.multiply(volume, market.contract_size)
        opened, high, low, close = prices
        return Candle(
            symbol=market.symbol,
            interval=interval,
            open_ms=self.time_s * 1000,
            open=opened,
            high=high,
            low=low,
            close=close,
            base_volume=volume,
            closed=closed,
        )
