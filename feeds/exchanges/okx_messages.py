"""What OKX sends, and what it means: frames and REST answers as structs, each with a raw example as documented.

The facts are in ``okx.py``. Only the fields that we use are declared; all others are skipped. Numbers are text: those
of a book become floats straight from it, every other amount stays text, checked by a pattern, until ``Decimal`` takes
it. Neither lets "NaN" or "Infinity" pass. A number that is not there is "".
"""

from collections.abc import Mapping
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import DecodeError, Meta, Raw, Struct, ValidationError

from feeds import domain
from feeds.domain import Bbo, BookDelta, BookSnapshot, Market

MALFORMED = (DecodeError, UnicodeDecodeError, RecursionError)
"""All that msgspec raises for bytes that are not what was asked for."""

BARS = {"1m": "1m", "5m": "5m", "15m": "15m", "1h": "1H", "4h": "4H", "1d": "1Dutc"}
"""Our interval to OKX's. Without "utc" a day begins at midnight in Hong Kong."""

DEPTHS = {"books": 400, "books-l2-tbt": 400, "books50-l2-tbt": 50, "books5": 5}
"""Levels a side of each channel with books, the one that we subscribe to first. ``books5`` is whole every time."""
DEPTH = DEPTHS["books"]

Price: TypeAlias = Annotated[float, Meta(gt=0, le=1e300)]
Size: TypeAlias = Annotated[float, Meta(ge=0, le=1e300)]
Moment: TypeAlias = Annotated[int, Meta(ge=0, le=2**53)]
Number: TypeAlias = Annotated[str, Meta(pattern=r"^[0-9]{1,40}(\.[0-9]{1,40})?\Z")]
NumberOrNone: TypeAlias = Annotated[str, Meta(pattern=r"^([0-9]{1,40}(\.[0-9]{1,40})?)?\Z")]
SignedOrNone: TypeAlias = Annotated[str, Meta(pattern=r"^(-?[0-9]{1,40}(\.[0-9]{1,40})?)?\Z")]
MomentOrNone: TypeAlias = Annotated[str, Meta(pattern=r"^[0-9]{0,16}\Z")]

_ANY_CHANGE = Decimal("0.00000001")
_MOST_SIZES = 20_000


def _amount(text: str) -> Decimal | None:
    return Decimal(text) if text else None


class Sizes(dict[float, float]):
    """Numbers of contracts to the same in base currency, each computed once, exactly: 3 of 0.1 are 0.3.

    A float of a printed decimal and the float of its exact product with another one; so a book's sizes are what would
    have been printed, had OKX counted in coins.
    """

    def __init__(self, contract: Decimal) -> None:
        super().__init__()
        self._contract = contract

    def __missing__(self, contracts: float) -> float:
        if len(self) >= _MOST_SIZES:
            self.clear()
        size = self[contracts] = float(Decimal(repr(contracts)) * self._contract)
        return size


# -- the envelope ----------------------------------------------------------------------------------------------------


class Arg(Struct, gc=False):
    """``{"channel":"books","instId":"BTC-USDT"}``, of ``status`` without instrument."""

    channel: str
    instId: str = ""


class Frame(Struct):
    """Any frame: data of a channel, or the reply to a request.

    ``{"id":"1512","event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"},"connId":"a4d3ae55"}``

    ``{"event":"error","code":"60018","msg":"Wrong URL or channel:books,instId:BTC-XYZ doesn't exist. Please use the
    correct URL, channel and parameters referring to API document.","connId":"a4d3ae55"}``

    ``{"event":"notice","code":"64008","msg":"The connection will soon be closed for a service upgrade. Please
    reconnect.","connId":"a4d3ae55"}``
    """

    arg: Arg | None = None
    action: str = ""
    data: Raw = Raw(b"")
    event: str = ""
    code: str | int = ""
    msg: str = ""
    id: Any = None


# -- books -----------------------------------------------------------------------------------------------------------


class Level(Struct, array_like=True, gc=False):
    """``["8476.98","415","0","13"]``: price, size (contracts of a swap), nothing any more, number of orders."""

    price: Price
    size: Size


class Book(Struct, gc=False):
    """``{"asks":[["8477","0","0","0"],["8477.34","85","0","1"]],"bids":[],"ts":"1597026383185","checksum":0,
    "prevSeqId":123456,"seqId":123460}``; until about 2023 without the ids, until June 2026 with a checksum."""

    asks: list[Level]
    bids: list[Level]
    ts: Moment
    checksum: Annotated[int, Meta(ge=-(2**31), lt=2**31)] = 0
    prevSeqId: int | None = None
    seqId: int | None = None

    def _levels(self, sizes: Mapping[float, float] | None) -> tuple[list[domain.Level], list[domain.Level]]:
        """Bids and asks, in base currency."""
        if sizes is None:
            return [(level.price, level.size) for level in self.bids], [
                (level.price, level.size) for level in self.asks
            ]
        bids = [(level.price, sizes[level.size]) for level in self.bids]
        return bids, [(level.price, sizes[level.size]) for level in self.asks]

    def snapshot(self, symbol: str, sizes: Mapping[float, float] | None, depth: int = DEPTH) -> BookSnapshot:
        bids, asks = self._levels(sizes)
        return BookSnapshot(
            symbol=symbol,
            bids=bids,
            asks=asks,
            seq=self.seqId,
            depth=depth,
            checksum=self.checksum or None,
            exchange_ms=self.ts,
        )

    def delta(self, symbol: str, sizes: Mapping[float, float] | None) -> BookDelta:
        """Raises ValidationError for one that nothing proves."""
        if (self.seqId is None) is not (self.prevSeqId is None):
            raise ValidationError("an update with only one of seqId and prevSeqId")
        if self.seqId is None and not self.checksum:
            raise ValidationError("an update with neither seqId nor checksum")
        bids, asks = self._levels(sizes)
        return BookDelta(
            symbol=symbol,
            bids=bids,
            asks=asks,
            prev=self.prevSeqId,
            seq=self.seqId,
            chained=self.seqId is not None,
            checksum=self.checksum or None,
            exchange_ms=self.ts,
        )

    def best(self, symbol: str, sizes: Mapping[float, float] | None) -> Bbo:
        """Of ``bbo-tbt``, where a side may be empty: 0 at 0; and of a REST answer."""
        bids, asks = self._levels(sizes)
        bid, bid_size = max(bids, default=(0.0, 0.0))
        ask, ask_size = min(asks, default=(0.0, 0.0))
        return Bbo(
            symbol=symbol,
            bid=bid,
            bid_size=bid_size,
            ask=ask,
            ask_size=ask_size,
            seq=self.seqId,
            exchange_ms=self.ts,
        )


class BookFrame(Struct, gc=False):
    """A frame of a channel with books, or of ``bbo-tbt``, in one go."""

    arg: Arg
    data: list[Book]
    action: str = ""


# -- prices, prints, bars --------------------------------------------------------------------------------------------


class Trade(Struct):
    """``{"instId":"BTC-USDT","tradeId":"130639474","px":"42219.9","sz":"0.12060306","side":"buy","ts":"1630048897897",
    "count":"3","source":"0","seqId":1234}``: matches of one taker order at one price; the id is their last one's."""

    instId: str
    tradeId: str
    px: Number
    sz: Number
    side: Literal["buy", "sell"]
    ts: Moment

    def event(self, market: Market) -> domain.Trade:
        return domain.Trade(
            symbol=market.symbol,
            id=self.tradeId,
            side=self.side,
            price=Decimal(self.px),
            size=Decimal(self.sz) * market.contract_size,
            exchange_ms=self.ts,
        )


class Ticker(Struct):
    """``{"instType":"SPOT","instId":"BTC-USDT","last":"9999.99","lastSz":"0.1","askPx":"9999.99","askSz":"11",
    "bidPx":"8888.88","bidSz":"5","open24h":"9000","high24h":"10000","low24h":"8888.88","volCcy24h":"2222",
    "vol24h":"2222","sodUtc0":"2222","sodUtc8":"2222","ts":"1597026383085"}``

    Spot: ``vol24h`` is in base, ``volCcy24h`` in quote currency. Swaps: in contracts, and in base currency.
    """

    instId: str
    ts: Moment
    last: NumberOrNone = ""
    open24h: NumberOrNone = ""
    high24h: NumberOrNone = ""
    low24h: NumberOrNone = ""
    vol24h: NumberOrNone = ""
    volCcy24h: NumberOrNone = ""

    def event(self, market: Market) -> domain.Ticker | None:
        """None for a market in which nothing was ever traded. OKX tells no change: it is computed."""
        last, opened = _amount(self.last), _amount(self.open24h)
        if last is None:
            return None
        swap = market.settle is not None
        return domain.Ticker(
            symbol=market.symbol,
            last=last,
            open=opened,
            high=_amount(self.high24h),
            low=_amount(self.low24h),
            change=(last / opened - 1).quantize(_ANY_CHANGE) if opened and last < opened * 1_000_000_000 else None,
            base_volume=_amount(self.volCcy24h if swap else self.vol24h),
            quote_volume=None if swap else _amount(self.volCcy24h),
            exchange_ms=self.ts,
        )


class Candle(Struct, array_like=True):
    """``["1597026360000","8533.02","8553.74","8527.17","8548.26","45247","529.5858061","5529.5858061","0"]``: opening
    time, open, high, low, close, volume (spot: base, swap: contracts), volume (spot: quote, swap: base), volume in
    quote currency, and "1" once the bar is complete. By stream and REST alike; until about 2022 without the last two:
    then a later bar alone tells that one is complete."""

    ts: Moment
    open: Number
    high: Number
    low: Number
    close: Number
    vol: Number
    volCcy: Number
    volCcyQuote: NumberOrNone = ""
    confirm: Literal["0", "1", ""] = ""

    def event(self, market: Market, interval: str, *, later: bool = False) -> domain.Candle:
        """``later``: there is a later bar."""
        return domain.Candle(
            symbol=market.symbol,
            interval=interval,
            open_ms=self.ts,
            open=Decimal(self.open),
            high=Decimal(self.high),
            low=Decimal(self.low),
            close=Decimal(self.close),
            base_volume=Decimal(self.vol if market.settle is None else self.volCcy),
            closed=self.confirm == "1" or (later and not self.confirm),
        )


def candles(rows: list[Candle], market: Market, interval: str) -> list[domain.Candle]:
    """Bars of an answer, which come newest first: oldest first."""
    if any(later.ts >= earlier.ts for earlier, later in pairwise(rows)):
        raise ValidationError("bars are not in the order of time, newest first")
    return [row.event(market, interval, later=row is not rows[0]) for row in reversed(rows)]


class MarkPrice(Struct):
    """``{"instType":"SWAP","instId":"BTC-USDT-SWAP","markPx":"42310.6","ts":"1630049139746"}``"""

    instId: str
    markPx: Number
    ts: Moment


class IndexPrice(Struct):
    """``{"instId":"BTC-USDT","idxPx":"0.1","high24h":"0.5","low24h":"0.1","open24h":"0.1","sodUtc0":"0.1",
    "sodUtc8":"0.1","ts":"1597026383085"}``"""

    instId: str
    idxPx: Number
    ts: Moment


class Funding(Struct):
    """``{"fundingRate":"0.0001875391284828","fundingTime":"1700726400000","instId":"BTC-USD-SWAP","instType":"SWAP",
    "method":"current_period","nextFundingRate":"","nextFundingTime":"1700755200000","ts":"1700724675402"}``: the rate
    that is paid at ``fundingTime``."""

    instId: str
    fundingRate: SignedOrNone = ""
    fundingTime: MomentOrNone = ""


class Status(Struct):
    """``{"begin":"1672823400000","end":"1672825980000","href":"","preOpenBegin":"","scheDesc":"","serviceType":"0",
    "state":"completed","system":"unified","maintType":"1","env":"1","title":"Trading account WebSocket system upgrade",
    "ts":"1672826038470"}``; ``env`` 2 is demo trading, ``serviceType`` 5 the trading service itself."""

    state: str
    title: str = ""
    begin: MomentOrNone = ""
    end: MomentOrNone = ""
    serviceType: str = ""
    env: str = "1"


# -- REST ------------------------------------------------------------------------------------------------------------


class Answer(Struct):
    """``{"code":"0","msg":"","data":[...]}``; an error has another code, and often HTTP 200 too."""

    code: str
    msg: str = ""
    data: Raw = Raw(b"[]")


class Instrument(Struct):
    """``{"instType":"SWAP","instId":"BTC-USDT-SWAP","uly":"BTC-USDT","instFamily":"BTC-USDT","baseCcy":"",
    "quoteCcy":"","settleCcy":"USDT","ctVal":"0.01","ctMult":"1","ctValCcy":"BTC","ctType":"linear","tickSz":"0.1",
    "lotSz":"0.01","minSz":"0.01","state":"live"}``; spot has baseCcy and quoteCcy instead, and no contract."""

    instType: str
    instId: str
    tickSz: Number
    lotSz: Number
    minSz: Number
    state: str
    baseCcy: str = ""
    quoteCcy: str = ""
    settleCcy: str = ""
    uly: str = ""
    ctType: str = ""
    ctVal: NumberOrNone = ""
    ctMult: NumberOrNone = ""
    ctValCcy: str = ""

    def market(self) -> Market | None:
        """None for what is neither a spot pair nor a linear perpetual: see ``okx.py`` for inverse ones."""
        if self.instType == "SPOT":
            return self._market("spot", self.baseCcy, self.quoteCcy, None, Decimal(1))
        if self.instType != "SWAP" or self.ctType != "linear":
            return None
        base, dash, quote = self.uly.partition("-")
        if not dash or self.ctValCcy != base or not self.settleCcy:
            raise ValidationError(f"{self.instId}: a contract in {self.ctValCcy!r} on {self.uly!r}")
        return self._market("swap", base, quote, self.settleCcy, Decimal(self.ctVal or 0) * Decimal(self.ctMult or 1))

    def _market(self, product: str, base: str, quote: str, settle: str | None, contract: Decimal) -> Market:
        tick, lot = Decimal(self.tickSz), Decimal(self.lotSz) * contract
        if not (base and quote and tick and lot):
            raise ValidationError(f"{self.instId}: no base, quote, tick, lot or contract size")
        return Market(
            exchange="okx",
            symbol=f"{base}/{quote}" if settle is None else f"{base}/{quote}:{settle}",
            native=self.instId,
            product=product,
            base=base,
            quote=quote,
            settle=settle,
            tick=tick,
            lot=lot,
            contract_size=contract,
            min_size=Decimal(self.minSz) * contract,
            status="trading" if self.state == "live" else self.state.lower(),
        )
