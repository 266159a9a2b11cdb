"""What Binance sends, and what it means: frames and REST answers as structs, each with a raw example as documented.

The facts are in ``binance.py``. Only the fields that we use are declared; all others are skipped. A stream payload
stands as ``data`` beside the stream's name: ``{"stream":"btcusdt@depth@100ms","data":{...}}``.

Levels of a book become floats straight from their text; every other amount stays text, checked by a pattern, until
``Decimal`` takes it: neither lets "NaN" or "Infinity" pass, which both types would accept.
"""

from decimal import Decimal
from typing import Annotated, Any, TypeAlias, get_args

from msgspec import DecodeError, Meta, Raw, Struct

from feeds import domain
from feeds.domain import Bbo, BookSnapshot, Candle, Event, Market

MALFORMED = (DecodeError, UnicodeDecodeError, RecursionError)
"""All that msgspec raises for bytes that are not what was asked for."""

COIN_M = 2
"""``st`` of a payload that belongs to COIN-M futures."""

NOT_USED = {
    *("24hrMiniTicker", "1hTicker", "4hTicker", "1dTicker", "avgPrice", "blockTrade"),
    *("forceOrder", "contractInfo", "continuous_kline", "compositeIndex", "assetIndexUpdate"),
}
"""Event types that are documented and say nothing we use."""

# -- payloads of stream frames ---------------------------------------------------------------------------------------

Amount: TypeAlias = Annotated[float, Meta(ge=0, le=1e300)]
Levels: TypeAlias = list[tuple[Amount, Amount]]
Number: TypeAlias = Annotated[str, Meta(pattern=r"^[0-9]{1,40}(\.[0-9]{1,40})?\Z")]
Signed: TypeAlias = Annotated[str, Meta(pattern=r"^-?[0-9]{1,40}(\.[0-9]{1,40})?\Z")]
SignedOrNone: TypeAlias = Annotated[str, Meta(pattern=r"^(-?[0-9]{1,40}(\.[0-9]{1,40})?)?\Z")]


class _Payload(Struct, tag_field="e", kw_only=True):
    E: int
    s: str
    st: int = 1

    def event(self, symbol: str) -> Event | None:
        """What the payload says, or None if nothing we use."""
        raise NotImplementedError


class DepthUpdate(_Payload, tag="depthUpdate", kw_only=True, gc=False):
    """``{"e":"depthUpdate","E":1571889248277,"T":1571889248276,"s":"BTCUSDT","ps":"BTCUSDT","st":1,"U":390497796,
    "u":390497878,"pu":390497794,"b":[["7403.89","0.002"]],"a":[["7405.96","3.340"]]}``; spot: no T, ps, st, pu."""

    U: int
    u: int
    pu: int | None = None
    b: Levels
    a: Levels


class Trade(_Payload, tag="trade", kw_only=True):
    """``{"e":"trade","E":1672515782136,"s":"BTCUSDT","t":12345,"p":"16570.01","q":"0.10000000","T":1672515782136,
    "m":true,"M":true}``; m: the buyer was the maker. Old futures frames have an X, and only "MARKET" is a print."""

    t: int
    p: Number
    q: Number
    T: int
    m: bool
    X: str = "MARKET"

    def event(self, symbol: str) -> Event | None:
        return _print(symbol, self.t, self) if self.X == "MARKET" else None


class AggTrade(_Payload, tag="aggTrade", kw_only=True):
    """``{"e":"aggTrade","E":1700000000123,"s":"BTCUSDT","a":5933014,"p":"36500.10","q":"0.120","nq":"0.120","f":100,
    "l":105,"T":1700000000121,"m":true,"st":1}``"""

    a: int
    p: Number
    q: Number
    T: int
    m: bool

    def event(self, symbol: str) -> Event | None:
        return _print(symbol, self.a, self)


def _print(symbol: str, number: int, trade: Trade | AggTrade) -> domain.Trade:
    return domain.Trade(
        symbol=symbol,
        id=str(number),
        side="sell" if trade.m else "buy",
        price=Decimal(trade.p),
        size=Decimal(trade.q),
        exchange_ms=trade.T,
    )


class Ticker(_Payload, tag="24hrTicker", kw_only=True):
    """``{"e":"24hrTicker","E":1672515782136,"s":"BTCUSDT","p":"-131.40","P":"-0.786","w":"16628.97","c":"16584.60",
    "Q":"0.002","o":"16716.00","h":"16764.89","l":"16456.51","v":"122474.816","q":"2036102085.697464","O":1672429382136,
    "C":1672515782136,"F":0,"L":18150,"n":18151}``; P is in percent."""

    c: Number
    o: Number
    h: Number
    l: Number  # noqa: E741 - Binance's name
    P: Signed
    v: Number
    q: Number

    def event(self, symbol: str) -> Event | None:
        return domain.Ticker(
            symbol=symbol,
            last=Decimal(self.c),
            open=Decimal(self.o),
            high=Decimal(self.h),
            low=Decimal(self.l),
            change=Decimal(self.P).scaleb(-2),
            base_volume=Decimal(self.v),
            quote_volume=Decimal(self.q),
            exchange_ms=self.E,
        )


class MarkPrice(_Payload, tag="markPriceUpdate", kw_only=True):
    """``{"e":"markPriceUpdate","E":1562305380000,"s":"BTCUSDT","p":"11794.15000000","i":"11784.62659091",
    "P":"11784.25641265","r":"0.00038167","ap":"11794.15000000","T":1562306400000,"st":1}``; a delivery contract has
    no funding: r is "" and T is 0."""

    p: Number
    i: Number
    r: SignedOrNone = ""
    T: int = 0

    def event(self, symbol: str) -> Event | None:
        return domain.MarkPrice(
            symbol=symbol,
            mark=Decimal(self.p),
            index=Decimal(self.i),
            funding_rate=Decimal(self.r) if self.r else None,
            next_funding_ms=self.T or None,
            exchange_ms=self.E,
        )


class Bar(Struct):
    t: int
    i: str
    o: Number
    h: Number
    l: Number  # noqa: E741 - Binance's name
    c: Number
    v: Number
    x: bool


class Kline(_Payload, tag="kline", kw_only=True):
    """``{"e":"kline","E":1638747660123,"s":"BTCUSDT","k":{"t":1638747660000,"T":1638747719999,"s":"BTCUSDT","i":"1m",
    "f":100,"L":200,"o":"0.0010","c":"0.0020","h":"0.0025","l":"0.0015","v":"1000","n":100,"x":false,"q":"1.0000",
    "V":"500","Q":"0.500","B":"123456"}}``; x is true in the bar's last frame."""

    k: Bar

    def event(self, symbol: str) -> Event | None:
        bar = self.k
        row = KlineRow(bar.t, bar.o, bar.h, bar.l, bar.c, bar.v)
        return row.candle(symbol, bar.i, closed=bar.x)


class ServerShutdown(Struct, tag_field="e", tag="serverShutdown"):
    """``{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}``: spot only, of no symbol."""


class BookTicker(Struct, gc=False):
    """Spot ``{"u":400900217,"s":"BTCUSDT","b":"25.35190000","B":"31.21000000","a":"25.36520000","A":"40.66000000"}``,
    futures the same with ``"e":"bookTicker","E":1568014460893,"T":1568014460891,"ps":"BTCUSDT","st":1``."""

    u: int
    s: str
    b: Amount
    B: Amount
    a: Amount
    A: Amount
    E: int | None = None
    st: int = 1

    def event(self, symbol: str) -> Bbo:
        return _bbo(symbol, self.b, self.B, self.a, self.A, self.u, self.E)


class Depth(Struct):
    """REST answer ``{"lastUpdateId":1027024,"E":1589436922972,"T":1589436922959,"bids":[["4.00000000",
    "431.00000000"]],"asks":[["4.00000200","12.00000000"]]}`` (spot: no E, T), and spot's partial book by stream."""

    lastUpdateId: int
    bids: Levels
    asks: Levels
    E: int | None = None

    def snapshot(self, symbol: str, depth: int | None, *, again: bool = False) -> BookSnapshot:
        return BookSnapshot(
            symbol=symbol,
            bids=self.bids,
            asks=self.asks,
            seq=self.lastUpdateId,
            depth=depth,
            exchange_ms=self.E,
            again=again,
        )

    def best(self, symbol: str) -> Bbo:
        """An empty side is 0 at 0, as in ``bookTicker``."""
        bid, bid_size = max(self.bids, default=(0.0, 0.0))
        ask, ask_size = min(self.asks, default=(0.0, 0.0))
        return _bbo(symbol, bid, bid_size, ask, ask_size, self.lastUpdateId, self.E)


def _bbo(
    symbol: str, bid: float, bid_size: float, ask: float, ask_size: float, seq: int, exchange_ms: int | None
) -> Bbo:
    return Bbo(symbol=symbol, bid=bid, bid_size=bid_size, ask=ask, ask_size=ask_size, seq=seq, exchange_ms=exchange_ms)


class ServerTime(Struct):
    """``GET /api/v3/time``, ``/fapi/v1/time``: ``{"serverTime":1499827319559}``"""

    serverTime: int


class Error(Struct):
    """``{"code":2,"msg":"Invalid request: unknown variant `SUBSCRIBEX`, ..."}``"""

    code: int
    msg: str = ""


Payload: TypeAlias = DepthUpdate | Trade | AggTrade | Ticker | MarkPrice | Kline | ServerShutdown
"""Payloads that name their type."""

KINDS = frozenset(kind.__struct_config__.tag for kind in get_args(Payload))


class Frame(Struct):
    data: Payload
    stream: str = ""


class DepthFrame(Struct):
    data: DepthUpdate
    stream: str = ""


class QuoteFrame(Struct):
    data: BookTicker


class AnyFrame(Struct):
    """A frame before we know what it is. ``{"result":null,"id":1}`` acknowledges; errors come as
    ``{"error":{"code":2,"msg":"..."},"id":1}`` or bare. Without wrapper it is a payload itself."""

    stream: str = ""
    data: Raw = Raw()
    result: Raw = Raw()
    error: Error | None = None
    code: int | None = None
    msg: str = ""
    id: Any = None


class AnyPayload(Struct):
    e: str | None = None
    st: int = 1
    lastUpdateId: int | None = None


# -- REST answers ----------------------------------------------------------------------------------------------------

_PERPETUAL = {"PERPETUAL", "TRADIFI_PERPETUAL", "PERPETUAL_DELIVERING"}
_DELIVERY = {"CURRENT_MONTH", "NEXT_MONTH", "CURRENT_QUARTER", "NEXT_QUARTER"}

Precision: TypeAlias = Annotated[int, Meta(ge=0, le=40)]


class Filter(Struct):
    """``{"filterType":"PRICE_FILTER","minPrice":"0.01000000","maxPrice":"1000000.00000000","tickSize":"0.01000000"}``"""

    filterType: str
    tickSize: Number = "0"
    stepSize: Number = "0"
    minQty: Number = "0"
    minNotional: Number = "0"  # spot
    notional: Number = "0"  # futures


class Symbol(Struct):
    """``{"symbol":"BTCUSDT","pair":"BTCUSDT","contractType":"PERPETUAL","status":"TRADING","baseAsset":"BTC",
    "quoteAsset":"USDT","marginAsset":"USDT","pricePrecision":2,"quantityPrecision":3,"filters":[...]}``; spot has
    isSpotTradingAllowed instead of the contract's fields."""

    symbol: str
    status: str
    baseAsset: str
    quoteAsset: str
    filters: list[Filter]
    isSpotTradingAllowed: bool = True
    contractType: str = ""
    marginAsset: str = ""
    quotePrecision: Precision = 8
    baseAssetPrecision: Precision = 8
    pricePrecision: Precision | None = None
    quantityPrecision: Precision | None = None

    def unified(self, product: str) -> str | None:
        """The unified symbol; None for what is no spot pair, perpetual or dated future."""
        pair = f"{self.baseAsset}/{self.quoteAsset}"
        if product == "spot":
            return pair if self.isSpotTradingAllowed else None
        if self.contractType in _PERPETUAL:
            return f"{pair}:{self.marginAsset}"
        _, _, expiry = self.symbol.partition("_")  # BTCUSDT_260626
        return f"{pair}:{self.marginAsset}-{expiry}" if self.contractType in _DELIVERY and expiry else None

    def market(self, product: str) -> Market | None:
        """A tick or step of 0, or none, means that the rule is off: then the printed precision is the smallest step.
        ``pricePrecision`` and ``quantityPrecision`` are not the tick and the step otherwise."""
        symbol = self.unified(product)
        if symbol is None:
            return None
        rules = {rule.filterType: rule for rule in self.filters}
        price, lot = rules.get("PRICE_FILTER", Filter("")), rules.get("LOT_SIZE", Filter(""))
        notional = rules.get("NOTIONAL") or rules.get("MIN_NOTIONAL") or Filter("")
        price_digits = self.quotePrecision if self.pricePrecision is None else self.pricePrecision
        size_digits = self.baseAssetPrecision if self.quantityPrecision is None else self.quantityPrecision
        return Market(
            exchange="binance",
            symbol=symbol,
            native=self.symbol,
            product=product,
            base=self.baseAsset,
            quote=self.quoteAsset,
            settle=None if product == "spot" else self.marginAsset,
            tick=Decimal(price.tickSize) or Decimal(1).scaleb(-price_digits),
            lot=Decimal(lot.stepSize) or Decimal(1).scaleb(-size_digits),
            min_size=Decimal(lot.minQty),
            min_notional=max(Decimal(notional.minNotional), Decimal(notional.notional)),
            status=self.status.lower(),
        )


class ExchangeInfo(Struct):
    symbols: list[Raw]  # each a Symbol


class KlineRow(Struct, array_like=True):
    """``[1499040000000,"0.01634790","0.80000000","0.01575800","0.01577100","148976.11427815",1499644799999,
    "2434.19055334",308,"1756.87402397","28.46694368","0"]``"""

    open_ms: int
    open: Number
    high: Number
    low: Number
    close: Number
    volume: Number

    def candle(self, symbol: str, interval: str, *, closed: bool) -> Candle:
        return Candle(
            symbol=symbol,
            interval=interval,
            open_ms=self.open_ms,
            open=Decimal(self.open),
            high=Decimal(self.high),
            low=Decimal(self.low),
            close=Decimal(self.close),
            base_volume=Decimal(self.volume),
            closed=closed,
        )
