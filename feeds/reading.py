"""What every adapter does with bytes: numbers that msgspec checks, decoding that raises ParseError only, Retry-After.

Levels of a book become floats straight from their text; every other amount stays text, checked by a pattern, until
``Decimal`` takes it: neither lets "NaN" or "Infinity" pass, which both types would accept.
"""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Annotated, Generic, TypeAlias, TypeVar

import structlog
from msgspec import DecodeError, Meta, Raw, Struct, json

from feeds.domain import Candle, Market, Side, Ticker, Trade
from feeds.errors import ExchangeError, ParseError, RateLimited, TransportError

MALFORMED = (DecodeError, UnicodeDecodeError, RecursionError)
"""All that msgspec raises for bytes that are not what was asked for."""

SHORT = 1000
"""Bytes; no text of an error is as long as that."""

Amount: TypeAlias = Annotated[float, Meta(ge=0, le=1e300)]
"""A price or size of a book. Where it is text, the decoder is made with ``strict=False``."""

Levels: TypeAlias = list[tuple[Amount, Amount]]

Number: TypeAlias = Annotated[str, Meta(pattern=r"^[0-9]{1,40}(\.[0-9]{1,40})?\Z")]
"""Text that ``Decimal`` takes: not negative, finite, no exponent."""

Precision: TypeAlias = Annotated[int, Meta(ge=0, le=30)]
"""Digits after the point."""

Seconds: TypeAlias = Annotated[int, Meta(ge=0, lt=10**11)]
Micros: TypeAlias = Annotated[int, Meta(ge=0, lt=10**17)]
"""Since 1970, UTC. Where they are text, the decoder is made with ``strict=False``."""

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Data(Struct, Generic[T]):
    """An answer that stands under the key "data"."""

    data: T


class Print(Struct):
    """A trade's figures. To be built upon: the rest is the adapter's. What has another name there is declared once more
    there, ``price: Number = field(name="p")``; ``rename`` does not reach what is declared here."""

    price: Number
    size: Number

    def trade(self, symbol: str, id: int | str, side: Side, exchange_ms: int) -> Trade:
        price, size = Decimal(self.price), Decimal(self.size)
        return Trade(symbol=symbol, id=str(id), side=side, price=price, size=size, exchange_ms=exchange_ms)


class Ohlc(Struct):
    """A bar's figures. To be built upon like :class:`Print`."""

    open: Number
    high: Number
    low: Number
    close: Number
    volume: Number

    def candle(self, symbol: str, interval: str, open_ms: int, *, closed: bool) -> Candle:
        return Candle(
            symbol=symbol,
            interval=interval,
            open_ms=open_ms,
            open=Decimal(self.open),
            high=Decimal(self.high),
            low=Decimal(self.low),
            close=Decimal(self.close),
            base_volume=Decimal(self.volume),
            closed=closed,
        )


class Figures(Struct):
    """24 h figures. To be built upon like :class:`Print`."""

    last: Number
    open: Number
    high: Number
    low: Number
    volume: Number

    def ticker(self, symbol: str, exchange_ms: int) -> Ticker:
        return Ticker(
            symbol=symbol,
            last=Decimal(self.last),
            open=Decimal(self.open),
            high=Decimal(self.high),
            low=Decimal(self.low),
            base_volume=Decimal(self.volume),
            exchange_ms=exchange_ms,
        )


def decode(decoder: json.Decoder[T], raw: bytes | str | Raw, what: str) -> T:
    """Raises ParseError, and nothing else; ``what`` names exchange and answer."""
    frame = raw.encode("utf-8", "surrogatepass") if isinstance(raw, str) else raw
    try:
        return decoder.decode(frame)
    except MALFORMED as error:
        raise ParseError(f"{what}: {error}", bytes(frame)) from error


_rows = json.Decoder(list[Raw])


def rows(raw: bytes, what: str) -> list[Raw]:
    """The entries of a list, each to be decoded for itself. Raises ParseError."""
    return decode(_rows, raw, what)


def understood(entries: Iterable[Raw], decoder: json.Decoder[T], what: str) -> list[T]:
    """Those entries that can be understood, for figures that come again in seconds: the others have none. Raises
    ParseError if there are entries, and none of them can be."""
    found, trouble = [], ""
    for entry in entries:
        try:
            found.append(decoder.decode(entry))
        except MALFORMED as error:
            trouble = str(error)
    if trouble and not found:
        raise ParseError(f"{what}: {trouble}")
    return found


def listed(entries: Iterable[Raw], read: Callable[[Raw], Market | None], exchange: str) -> list[Market]:
    """The instruments that ``read`` makes of these entries; None stands for one that is not ours.

    One that cannot be understood is left out, and told to the log: it must not cost us all the others. Raises
    ParseError if none of them can be.
    """
    markets, strange = [], 0
    for entry in entries:
        try:
            market = read(entry)
        except MALFORMED as error:
            log.warning("instrument left out", exchange=exchange, error=str(error), raw=bytes(entry)[:200])
            strange += 1
            continue
        if market is not None:
            markets.append(market)
    if strange and not markets:
        raise ParseError(f"{exchange}: none of {strange} instruments can be understood")
    return markets


def complaint(decoder: json.Decoder[T], status: int, raw: bytes) -> T | None:
    """What a REST answer complains of; None if it is none, or of another shape (the page of a proxy). Never raises.

    What is long and has a good status is no complaint, and is not looked at.
    """
    if status < 400 and len(raw) >= SHORT:
        return None
    try:
        return decoder.decode(raw)
    except MALFORMED:
        return None


def error_for(
    exchange: str,
    status: int,
    headers: Mapping[str, str],
    *,
    said: str = "",
    code: int | str | None = None,
    too_many: bool = False,
    wait_s: float = 60.0,
) -> Exception | None:
    """What a REST answer means, by its HTTP status and by what was read in it: ``said`` is the exchange's text,
    ``code`` its own number; None: it is not the answer of an error. ``too_many``: it says that we ask too often, and
    ``wait_s`` is how long we wait then, if no header tells. None if the answer is good."""
    detail = f"{exchange} answered HTTP {status}" + (f": {said[:300]}" if said else "")
    if status in (418, 429) or too_many:
        return RateLimited(detail, retry_after_s(headers, wait_s))
    if status >= 500 or status == 403:
        return TransportError(detail)
    if code is not None:
        return ExchangeError(detail, code)
    return TransportError(detail) if status >= 400 else None


def retry_after_s(headers: Mapping[str, str], otherwise_s: float, longest_s: float = 3600.0) -> float:
    """Seconds to wait, by the header Retry-After. ``otherwise_s``: there is none, or it is no number of seconds."""
    for name, value in headers.items():
        if name.lower() == "retry-after" and value.strip().isdecimal():
            return min(float(value), longest_s)
    return otherwise_s
