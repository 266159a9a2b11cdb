"""What Coinbase sends, and what it means: frames and REST answers as structs, each with a raw example.

The facts are in ``coinbase.py``. Only the fields that we use are declared; all others are skipped. All amounts are JSON
strings: those of a book become floats, every other one becomes a ``Decimal`` of exactly the printed digits.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby, pairwise
from typing import Annotated, Literal, TypeAlias

from msgspec import DecodeError, Meta, Raw, Struct, ValidationError, structs

from feeds import domain
from feeds.domain import INTERVALS, Bbo, BookSnapshot, Level, Market

MALFORMED = (DecodeError, UnicodeDecodeError, RecursionError)
"""All that msgspec raises for bytes that are not what was asked for."""

GRANULARITIES: Mapping[str, tuple[str, int]] = {
    "1m": ("ONE_MINUTE", 1),
    "5m": ("FIVE_MINUTE", 1),
    "15m": ("FIFTEEN_MINUTE", 1),
    "1h": ("ONE_HOUR", 1),
    "4h": ("TWO_HOUR", 2),
    "1d": ("ONE_DAY", 1),
}
"""Our interval: Coinbase's, and how many of its bars make one of ours. Four hours are not surely offered."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_PLAIN = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?")

Moment: TypeAlias = Annotated[datetime, Meta(tz=True)]
Price: TypeAlias = Annotated[float, Meta(gt=0, le=1e18)]
Size: TypeAlias = Annotated[float, Meta(ge=0, le=1e18)]
Number: TypeAlias = Annotated[int, Meta(ge=0)]
Digits: TypeAlias = Annotated[str, Meta(pattern=r"^[0-9]{1,18}$")]


def ms_of(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND


def _amount(text: str, name: str, *, signed: bool = False) -> Decimal:
    """A plain decimal number; ``Decimal`` itself would take "NaN" and "1e999999" as well."""
    if not _PLAIN.fullmatch(text) or (text[0] == "-" and not signed):
        raise ValidationError(f"{name} is {text[:40]!r}, which is no amount")
    return Decimal(text)


def _told(text: str, name: str, *, signed: bool = False) -> Decimal | None:
    """The same, None where nothing was told: "" stands for that."""
    return _amount(text, name, signed=signed) if text else None


# -- the envelope ----------------------------------------------------------------------------------------------------


class Frame(Struct, gc=False):
    """Any frame: data of a channel, the list of what is subscribed, or an error.

    ``{"channel":"heartbeats","timestamp":"2026-08-09T21:05:48.856364007Z","sequence_num":35,"events":[{"current_time":
    "2026-08-09 21:05:48.854840045 +0000 UTC m=+41691.260485341","heartbeat_counter":41691}]}``

    ``{"type":"error","message":"authentication failure"}`` names neither channel nor market, and has no number.
    """

    channel: str = ""
    timestamp: Moment | None = None
    sequence_num: Number | None = None
    events: Raw = Raw(b"")
    type: str = ""
    message: str = ""
    reason: str = ""


class Subscriptions(Struct):
    """``{"subscriptions":{"heartbeats":["heartbeats"],"level2":["BTC-USD","ETH-USD"]}}``: everything there is."""

    subscriptions: dict[str, list[str]]


# -- books -----------------------------------------------------------------------------------------------------------


class Update(Struct, gc=False):
    """``{"side":"offer","event_time":"2026-08-09T21:05:48.264069Z","price_level":"65106.54","new_quantity":"0"}``:
    the new absolute quantity, 0 removes the level. In documented snapshots the time is 1970's."""

    side: Literal["bid", "offer"]
    price_level: Price
    new_quantity: Size


class BookEvent(Struct, gc=False):
    """``{"type":"update","product_id":"BTC-USD","updates":[...]}``; a snapshot holds all levels of both sides."""

    type: Literal["snapshot", "update"]
    product_id: str
    updates: list[Update]

    def side(self, name: str) -> list[Level]:
        return [(update.price_level, update.new_quantity) for update in self.updates if update.side == name]


class BookFrame(Struct, gc=False):
    """``{"channel":"l2_data","client_id":"","timestamp":"2026-08-09T21:05:48.507227366Z","sequence_num":16,"events":
    [{"type":"update","product_id":"BTC-USD","updates":[{"side":"offer","event_time":"2026-08-09T21:05:48.27841Z",
    "price_level":"65083.71","new_quantity":"0.06"}]}]}``"""

    channel: Literal["l2_data"]
    timestamp: Moment
    sequence_num: Number
    events: list[BookEvent]


# -- prices, prints, bars --------------------------------------------------------------------------------------------


class Ticker(Struct):
    """``{"type":"ticker","product_id":"BTC-USD","price":"65086.18","volume_24_h":"2867.54532609","low_24_h":"64675.22",
    "high_24_h":"65252.99","low_52_w":"57717.55","high_52_w":"126296","price_percent_chg_24_h":"0.09601107287722",
    "best_bid":"65083.66","best_ask":"65083.67","best_bid_quantity":"0.20371215","best_ask_quantity":"0.24290402"}``

    ``ticker_batch`` has no best prices.
    """

    product_id: str
    price: str
    volume_24_h: str = ""
    low_24_h: str = ""
    high_24_h: str = ""
    price_percent_chg_24_h: str = ""
    best_bid: str = ""
    best_bid_quantity: str = ""
    best_ask: str = ""
    best_ask_quantity: str = ""

    def events(self, symbol: str, exchange_ms: int | None) -> list[domain.Event]:
        """Best prices without an id: they are of another moment than the book beside them, and nothing tells which."""
        found: list[domain.Event] = []
        sides = (self.best_bid, self.best_bid_quantity, self.best_ask, self.best_ask_quantity)
        if all(sides):
            bid, bid_size, ask, ask_size = (float(_amount(text, "a best price or quantity")) for text in sides)
            if bid and ask:
                found.append(
                    Bbo(symbol=symbol, bid=bid, bid_size=bid_size, ask=ask, ask_size=ask_size, exchange_ms=exchange_ms)
                )
        percent = _told(self.price_percent_chg_24_h, "price_percent_chg_24_h", signed=True)
        if (last := _told(self.price, "price")) is not None:
            ticker = domain.Ticker(
                symbol=symbol,
                last=last,
                high=_told(self.high_24_h, "high_24_h"),
                low=_told(self.low_24_h, "low_24_h"),
                change=None if percent is None else percent / 100,
                base_volume=_told(self.volume_24_h, "volume_24_h"),
                exchange_ms=exchange_ms,
            )
            found.append(ticker)
        return found


class Tickers(Struct):
    """``{"type":"snapshot","tickers":[...]}``"""

    tickers: list[Ticker]
    type: Literal["snapshot", "update"] = "update"


class Trade(Struct):
    """``{"product_id":"BTC-USD","trade_id":"1068572091","price":"65083.67","size":"0.01034361",
    "time":"2026-08-09T21:05:48.167634Z","side":"SELL"}``; ``side`` is the **maker's**."""

    product_id: str
    trade_id: Digits
    price: str
    size: str
    time: Moment
    side: Literal["BUY", "SELL"]

    def event(self, symbol: str) -> domain.Trade:
        return domain.Trade(
            symbol=symbol,
            id=self.trade_id,
            side="buy" if self.side == "SELL" else "sell",
            price=_amount(self.price, "price"),
            size=_amount(self.size, "size"),
            exchange_ms=ms_of(self.time),
        )


class Trades(Struct):
    """``{"type":"update","trades":[...]}``: newest first; a snapshot has the last hundred."""

    trades: list[Trade]
    type: Literal["snapshot", "update"]


class Candle(Struct):
    """``{"start":"1786279500","high":"1916.6","low":"1915.91","open":"1916.11","close":"1916.02","volume":"13.9044026",
    "product_id":"ETH-USD"}``; of REST without the product."""

    start: Digits
    high: str
    low: str
    open: str
    close: str
    volume: str
    product_id: str = ""

    def candle(self, symbol: str, interval: str, *, closed: bool = False) -> domain.Candle:
        return domain.Candle(
            symbol=symbol,
            interval=interval,
            open_ms=int(self.start) * 1000,
            open=_amount(self.open, "open"),
            high=_amount(self.high, "high"),
            low=_amount(self.low, "low"),
            close=_amount(self.close, "close"),
            base_volume=_amount(self.volume, "volume"),
            closed=closed,
        )


class Candles(Struct):
    """``{"type":"snapshot","candles":[...]}``: of five minutes; a snapshot has the last hundred, with holes."""

    candles: list[Candle]
    type: Literal["snapshot", "update"] = "update"


# -- REST ------------------------------------------------------------------------------------------------------------


class Product(Struct):
    """``{"product_id":"BTC-USD","base_increment":"0.00000001","quote_increment":"0.01","price_increment":"0.01",
    "quote_min_size":"1","base_min_size":"0.00000001","base_currency_id":"BTC","quote_currency_id":"USD",
    "status":"online","is_disabled":false,"trading_disabled":false,"cancel_only":false,"limit_only":false,
    "post_only":false,"auction_mode":false,"view_only":false,"product_type":"SPOT","alias":"","alias_to":["BTC-USDC"]}``

    ``BTC-USDC`` says ``"alias":"BTC-USD"``: both are one book.
    """

    product_id: str
    product_type: str
    base_increment: str = ""
    quote_increment: str = ""
    price_increment: str = ""
    base_min_size: str = ""
    quote_min_size: str = ""
    base_currency_id: str = ""
    quote_currency_id: str = ""
    status: str = ""
    is_disabled: bool = False
    trading_disabled: bool = False
    view_only: bool = False
    cancel_only: bool = False
    post_only: bool = False
    limit_only: bool = False
    auction_mode: bool = False
    alias: str = ""

    def market(self, exchange: str) -> Market | None:
        """None for what is no spot market. The ``book_of`` of an alias is its native name, for who knows the others."""
        if self.product_type != "SPOT":
            return None
        base, quote = self.base_currency_id, self.quote_currency_id
        if not base or not quote or not self.product_id:
            raise ValidationError(f"product_id, base_currency_id or quote_currency_id of {self.product_id!r} is empty")
        return Market(
            exchange=exchange,
            symbol=f"{base}/{quote}",
            native=self.product_id,
            product="spot",
            base=base,
            quote=quote,
            tick=_step(self.price_increment or self.quote_increment, f"price_increment of {self.product_id}"),
            lot=_step(self.base_increment, f"base_increment of {self.product_id}"),
            min_size=_told(self.base_min_size, "base_min_size") or Decimal(0),
            min_notional=_told(self.quote_min_size, "quote_min_size") or Decimal(0),
            status=self._status(),
            book_of=self.alias if self.alias not in ("", self.product_id) else None,
        )

    def _status(self) -> str:
        """The worst first."""
        if self.status != "online":
            return self.status.lower() or "unknown"
        flags = {
            "disabled": self.is_disabled or self.trading_disabled,
            "view_only": self.view_only,
            "cancel_only": self.cancel_only,
            "auction": self.auction_mode,
            "post_only": self.post_only,
            "limit_only": self.limit_only,
        }
        return next((word for word, holds in flags.items() if holds), "trading")


def _step(text: str, name: str) -> Decimal:
    step = _amount(text, name)
    if not step:
        raise ValidationError(f"{name} is 0")
    return step


class Products(Struct):
    products: list[Raw]  # of Product


class PricedLevel(Struct):
    price: Price
    size: Size


class PriceBook(Struct):
    """``{"product_id":"BTC-USD","bids":[{"price":"68923.66","size":"0.17189468"}],"asks":[{"price":"68923.67",
    "size":"0.16987193"}],"time":"2026-04-07T00:28:59.662782Z"}``"""

    bids: list[PricedLevel]
    asks: list[PricedLevel]
    time: Moment

    def snapshot(self, symbol: str) -> BookSnapshot:
        """How far it reaches nothing says: beyond its last levels nothing is known."""
        bids, asks = ([(level.price, level.size) for level in side] for side in (self.bids, self.asks))
        depth = max(1, min(len(bids), len(asks)))
        return BookSnapshot(symbol=symbol, bids=bids, asks=asks, depth=depth, exchange_ms=ms_of(self.time))

    def best(self, symbol: str) -> Bbo:
        """Raises ValidationError if a side is empty."""
        if not self.bids or not self.asks:
            raise ValidationError("a side of the book is empty")
        bid, ask = self.bids[0], self.asks[0]
        return Bbo(symbol=symbol, bid=bid.price, bid_size=bid.size, ask=ask.price, ask_size=ask.size)


class ProductBook(Struct):
    """``{"pricebook":{...},"last":"68923.665","mid_market":"68923.665","spread_bps":"0.00145"}``"""

    pricebook: PriceBook


class CandlesAnswer(Struct):
    """``{"candles":[{"start":"1712192400","low":"66055.14","high":"66331.99","open":"66312.4","close":"66181.6",
    "volume":"355.82896243"}]}``: newest first, at most 350."""

    candles: list[Candle]


class Errors(Struct):
    """``{"error":"INVALID_ARGUMENT","error_details":"...","message":"..."}`` or
    ``{"errors":[{"id":"rate_limit_exceeded","message":"Too many requests"}]}``"""

    class One(Struct):
        id: str = ""
        message: str = ""

    error: str = ""
    error_details: str = ""
    message: str = ""
    errors: list[One] = []


def history(rows: list[Candle], symbol: str, interval: str) -> list[domain.Candle]:
    """Bars of an answer, oldest first, the last one open; joined where one of ours is several of theirs."""
    bars = sorted((row.candle(symbol, interval, closed=True) for row in rows), key=lambda bar: bar.open_ms)
    if any(later.open_ms == earlier.open_ms for earlier, later in pairwise(bars)):
        raise ValidationError("two bars begin at one time")
    length_ms = INTERVALS[interval]
    joined = [
        domain.Candle(
            symbol=symbol,
            interval=interval,
            open_ms=open_ms,
            open=parts[0].open,
            high=max(part.high for part in parts),
            low=min(part.low for part in parts),
            close=parts[-1].close,
            base_volume=sum((part.base_volume for part in parts), Decimal(0)),
            closed=True,
        )
        for open_ms, group in groupby(bars, key=lambda bar: bar.open_ms // length_ms * length_ms)
        for parts in [list(group)]
    ]
    return [*joined[:-1], *(structs.replace(last, closed=False) for last in joined[-1:])]
