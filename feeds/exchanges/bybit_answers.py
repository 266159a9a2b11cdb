"""What Bybit's REST answers, and what it means: structs, each with a raw example as documented.

The facts are in ``bybit.py``, what frames look like in ``bybit_messages.py``.
"""

from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise

from msgspec import Raw, Struct, ValidationError, field

from feeds import domain
from feeds.domain import Bbo, BookSnapshot, Market, Notice
from feeds.exchanges.bybit_messages import (
    EMPTY,
    Counter,
    KlineRow,
    Levels,
    Milliseconds,
    Number,
    NumberOrNone,
    bbo,
    decimal_of,
)


class Answer(Struct):
    """``{"retCode":0,"retMsg":"OK","result":{...},"retExtInfo":{},"time":1672738134824}``"""

    result: Raw


class Verdict(Struct):
    """``{"retCode":10006,"retMsg":"Too many visits! Exceeded the API Rate Limit.","result":{},"retExtInfo":{},
    "time":1672738134824}``"""

    retCode: int
    retMsg: str = ""


class Instruments(Struct):
    """``{"category":"linear","list":[...],"nextPageCursor":""}``; spot has one page and no cursor."""

    rows: list[Raw] = field(name="list")  # each an Instrument
    nextPageCursor: str | None = None


class PriceFilter(Struct):
    tickSize: Number


class LotSizeFilter(Struct):
    """Linear: ``qtyStep``, ``minNotionalValue``; spot: ``basePrecision``, ``minOrderAmt``."""

    minOrderQty: Number
    qtyStep: Number | None = None
    basePrecision: Number | None = None
    minNotionalValue: NumberOrNone | None = None
    minOrderAmt: NumberOrNone | None = None


class Instrument(Struct):
    """Linear: ``{"symbol":"BTCUSDT","contractType":"LinearPerpetual","status":"Trading","baseCoin":"BTC",
    "quoteCoin":"USDT","settleCoin":"USDT","launchTime":"1585526400000","deliveryTime":"0","priceScale":"2",
    "priceFilter":{"minPrice":"0.10","maxPrice":"1999999.80","tickSize":"0.10"},"lotSizeFilter":{"minOrderQty":"0.001",
    "qtyStep":"0.001","minNotionalValue":"5"}}``; sizes are in the base coin.

    Spot: ``{"symbol":"BTCUSDT","baseCoin":"BTC","quoteCoin":"USDT","status":"Trading","lotSizeFilter":{
    "basePrecision":"0.000001","quotePrecision":"0.0000001","minOrderQty":"0.000011","minOrderAmt":"5"},
    "priceFilter":{"tickSize":"0.1"}}``
    """

    symbol: str
    status: str
    baseCoin: str
    quoteCoin: str
    priceFilter: PriceFilter
    lotSizeFilter: LotSizeFilter
    contractType: str = ""
    settleCoin: str = ""
    deliveryTime: Milliseconds = ""

    def unified(self, product: str) -> str | None:
        """The unified symbol; None for what is no spot pair, linear perpetual or linear dated future."""
        pair = f"{self.baseCoin}/{self.quoteCoin}"
        if product == "spot":
            return pair
        if self.contractType == "LinearPerpetual":  # a delivery time is its delisting
            return f"{pair}:{self.settleCoin}"
        if self.contractType != "LinearFutures":
            return None
        if not int(self.deliveryTime or 0):
            raise ValidationError(f"{self.symbol}: deliveryTime is {self.deliveryTime!r}, and it is a dated future")
        return f"{pair}:{self.settleCoin}-{datetime.fromtimestamp(int(self.deliveryTime) / 1000, UTC):%y%m%d}"

    def market(self, product: str) -> Market | None:
        symbol = self.unified(product)
        if symbol is None:
            return None
        lots, spot = self.lotSizeFilter, product == "spot"
        lot, least = (lots.basePrecision, lots.minOrderAmt) if spot else (lots.qtyStep, lots.minNotionalValue)
        return Market(
            exchange="bybit",
            symbol=symbol,
            native=self.symbol,
            product=product,
            base=self.baseCoin,
            quote=self.quoteCoin,
            settle=None if spot else self.settleCoin,
            tick=_step(self.priceFilter.tickSize, f"tickSize of {self.symbol}"),
            lot=_step(lot, f"{'basePrecision' if spot else 'qtyStep'} of {self.symbol}"),
            min_size=Decimal(lots.minOrderQty),
            min_notional=decimal_of(least) or Decimal(0),
            status=self.status.lower(),
        )


def _step(text: str | None, name: str) -> Decimal:
    step = decimal_of(text)
    if not step:
        raise ValidationError(f"{name} is {text!r}, which is no step")
    return step


class RestBook(Struct):
    """``{"s":"BTCUSDT","a":[["65557.7","16.606555"]],"b":[["65485.47","47.081829"]],"ts":1716863719031,"u":230704,
    "seq":1432604333,"cts":1716863718905}``. ``u`` counts the messages of 1000 levels, which are not ours."""

    b: Levels
    a: Levels
    seq: Counter
    ts: Counter
    cts: Counter | None = None

    def snapshot(self, symbol: str, depth: int) -> BookSnapshot:
        return BookSnapshot(
            symbol=symbol, bids=self.b, asks=self.a, rank=self.seq, depth=depth, exchange_ms=self.cts or self.ts
        )

    def best(self, symbol: str) -> Bbo:
        return bbo(symbol, max(self.b, default=EMPTY), min(self.a, default=EMPTY), self.seq, self.cts or self.ts)


class Klines(Struct):
    """``{"symbol":"BTCUSDT","category":"linear","list":[...]}``, newest first; the first one is still open."""

    rows: list[KlineRow] = field(name="list")

    def candles(self, symbol: str, interval: str) -> list[domain.Candle]:
        """Oldest first."""
        starts = [int(row.start) for row in self.rows]
        if any(later >= earlier for earlier, later in pairwise(starts)):
            raise ValidationError("bars are not told newest first")
        bars = [row.candle(symbol, interval, closed=number > 0) for number, row in enumerate(self.rows)]
        return bars[::-1]


# -- the exchange's status -------------------------------------------------------------------------------------------

_PRODUCTS = {1: "futures", 2: "spot"}
_TRADING = 1


class Maintenance(Struct):
    """``{"id":"4d95b2a0-587f-11f0-bcc9-56f28c94d6ea","title":"t06","state":"completed","begin":"1751596902000",
    "end":"1751597011000","href":"","serviceTypes":[2,3,4,5],"product":[1,2],"uidSuffix":[],"maintainType":1,"env":1}``

    Products: 1 futures, 2 spot, 3 options, 4 spreads; services: 1 trading, 2 trading by REST, 3 trading by stream,
    4 private streams, 5 market data; env: 1 production, 2 demo. ``end`` is expected until it is over.
    """

    state: str
    id: str = ""
    title: str = ""
    begin: Milliseconds = ""
    end: Milliseconds = ""
    serviceTypes: list[int] = []
    product: list[int] = []
    env: int = 1

    @property
    def concerns_us(self) -> bool:
        return self.env == 1 and (not self.product or bool(self._products))

    @property
    def stops_trading(self) -> bool:
        return not self.serviceTypes or _TRADING in self.serviceTypes

    @property
    def _products(self) -> list[str]:
        return [_PRODUCTS[number] for number in self.product if number in _PRODUCTS]

    def __str__(self) -> str:
        what = " and ".join(self._products) or "everything"
        return f"{what}{f' ({self.title[:80]})' if self.title else ''}{_when(', until', self.end)}"

    def announcement(self) -> Notice:
        """Of what lies ahead; anything else takes its announcement back."""
        key = f"maintenance {self.id or self.title}"
        if self.state != "scheduled":
            return Notice(text="", key=key)
        what = " and ".join(self._products) or "everything"
        title = f" ({self.title[:80]})" if self.title else ""
        text = f"Bybit announces maintenance of {what}{title}{_when(', from', self.begin)}{_when(' until', self.end)}."
        return Notice(text=text, key=key, begins_ms=int(self.begin or 0) or None, ends_ms=int(self.end or 0) or None)


def _when(word: str, ms: str) -> str:
    return f"{word} {datetime.fromtimestamp(int(ms) / 1000, UTC):%Y-%m-%d %H:%M} UTC" if ms else ""


class Status(Struct):
    rows: list[Maintenance] = field(name="list")


def notices(items: list[Maintenance]) -> list[Notice]:
    """What is under maintenance now, an empty text if nothing of ours is; and each that is announced, or was."""
    ours = [item for item in items if item.concerns_us]
    now = [item for item in ours if item.state == "ongoing"]
    present = Notice(text="", trading=True)
    if now:
        halted = any(item.stops_trading for item in now)
        present = Notice(text=f"Bybit maintains {'; '.join(map(str, now))}.", trading=False if halted else None)
    return [present, *(item.announcement() for item in ours)]
