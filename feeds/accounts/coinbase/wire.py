"""How Coinbase writes figures, times, names and states in answers and frames of an account."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from typing import Annotated, Literal, TypeVar

import msgspec

from feeds.domain import Side
from feeds.errors import ParseError
from feeds.exchange import MarketIndex

PRODUCT = "spot"
HOST = "private"
"""The host of all signed calls, in the adapter's endpoints and budgets."""

MAX_DIGITS = 30
"""Digits before the point: far more than any figure that means money."""

QUOTIENT = Context(prec=16)  # a size that is told in quote currency is a quotient: it needs an end somewhere
EXACT = Context(prec=100)

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
BuySell = Literal["BUY", "SELL"]

STATUSES = {
    "PENDING": "open",
    "OPEN": "open",
    "QUEUED": "open",
    "CANCEL_QUEUED": "open",
    "EDIT_QUEUED": "open",
    "FILLED": "filled",
    "CANCELLED": "canceled",
    "EXPIRED": "expired",
    "FAILED": "rejected",
}
TIMES_IN_FORCE = {
    "GOOD_UNTIL_CANCELLED": "GTC",
    "GOOD_UNTIL_DATE_TIME": "GTD",
    "IMMEDIATE_OR_CANCEL": "IOC",
    "FILL_OR_KILL": "FOK",
}

MALFORMED = (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Wire(msgspec.Struct, frozen=True):
    """Base of all that Coinbase sends. Unknown fields are ignored."""


T = TypeVar("T")


@contextmanager
def reading(raw: bytes | str, what: str) -> Iterator[None]:
    """Whatever is wrong with ``raw`` comes out as a ParseError."""
    try:
        yield
    except MALFORMED as error:
        raise ParseError(f"Coinbase, {what}: {type(error).__name__}: {error}", raw) from error


def figure(value: object, name: str) -> Decimal | None:
    """A number, None where there is none ("" or null). Most are text; some examples have JSON numbers.

    Raises ValueError for what is none, or none that can mean money.
    """
    if value is None or value == "":
        return None
    try:
        number = Decimal(str(value)) if isinstance(value, str | int | float) else Decimal("NaN")
    except ArithmeticError:
        number = Decimal("NaN")
    if not (number.is_finite() and number.adjusted() < MAX_DIGITS):
        raise ValueError(f"{name} is not a sensible number: {str(value)[:40]!r}")
    return number


def needed(value: object, name: str) -> Decimal:
    """A number that must be there."""
    number = figure(value, name)
    if number is None:
        raise ValueError(f"{name} is empty")
    return number


def not_negative(value: object, name: str) -> Decimal:
    """The same for a size; where there is none, it is 0."""
    number = figure(value, name) or Decimal(0)
    if number < 0:
        raise ValueError(f"{name} is negative: {number}")
    return number


def ms_of(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND


def moment_ms(text: str | None) -> int | None:
    """A moment that may not have come: "", null, or the year 1."""
    if not text:
        return None
    ms = ms_of(msgspec.convert(text, Moment))
    return ms if ms > 0 else None


def iso(ms: int) -> str:
    """RFC 3339 in UTC, as Coinbase takes it in queries."""
    return f"{_EPOCH + ms * _MILLISECOND:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03}Z"


def side_of(text: BuySell) -> Side:
    return "buy" if text == "BUY" else "sell"


def status_of(text: str, filled: Decimal) -> str:
    """Our word for an order's status; an unknown one keeps Coinbase's, in lower case."""
    status = STATUSES.get(text, text.lower())
    return "partial" if status == "open" and filled else status


def type_of(text: str) -> str:
    """REST writes ``STOP_LIMIT``, the stream ``Stop Limit``."""
    return text.strip().lower().replace(" ", "_")


def is_spot(native: str) -> bool:
    """``BTC-USD``; futures have three parts (``BIT-28JUN24-CDE``, ``BTC-PERP-INTX``)."""
    return native.count("-") == 1


def symbol_of(markets: MarketIndex, native: str) -> str:
    """The symbol under which an order is shown: where the instrument list does not know it, Coinbase's name and the
    product. (A fill is not stored under such a name: it would come again under the right one.)"""
    market = markets.native(PRODUCT, native)
    return market.symbol if market is not None else f"{native}@{PRODUCT}"
