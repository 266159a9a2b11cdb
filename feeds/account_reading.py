"""What every account side does with bytes: decoding that raises ParseError only, figures that can mean money, moments.

Beside ``reading``, which is for market data: there numbers are many and quick, here they are few and ``Decimal``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from typing import Annotated, TypeVar

import msgspec

from feeds.errors import ParseError

Ms = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
"""Milliseconds."""

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""RFC 3339, up to nanoseconds, in UTC or with an offset such as ``-04:00``."""

MAX_DIGITS, MAX_PLACES = 30, 40
"""Digits before the point and behind it: far more than any figure that means money has."""

EXACT = Context(prec=100)
"""For sums and products, which never need as much."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)

MALFORMED = (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError)
"""All that reading what was sent can raise. (A UnicodeDecodeError is a ValueError.)"""

T = TypeVar("T")


def sensible(value: Decimal) -> bool:
    """``Decimal`` also takes "NaN" and "1e999999", which are no figures."""
    return value.is_finite() and (not value or -MAX_PLACES < value.adjusted() < MAX_DIGITS)


class Wire(msgspec.Struct, frozen=True):
    """Base of what an exchange sends. Unknown fields are ignored. A ``Decimal`` that cannot mean money raises
    ValueError."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, Decimal) and not sensible(value):
                raise ValueError(f"{name} is not a sensible number")


@contextmanager
def reading(raw: bytes | str, what: str) -> Iterator[None]:
    """Whatever is wrong with ``raw`` comes out as a ParseError; ``what`` names exchange and answer."""
    try:
        yield
    except MALFORMED as error:
        raise ParseError(f"{what}: {type(error).__name__}: {error}", raw) from error


def decode(raw: bytes | str | msgspec.Raw, kind: type[T], what: str) -> T:
    """One message or answer; raises ParseError if it is not what the documentation says."""
    with reading(bytes(raw) if isinstance(raw, msgspec.Raw) else raw, what):
        return msgspec.json.decode(raw, type=kind)


def figure(value: object, name: str) -> Decimal | None:
    """A number that is text or, here and there, a JSON number; None where there is none ("" or null).

    Raises ValueError for what is none, or none that can mean money.
    """
    if value is None or value == "":
        return None
    try:
        number = Decimal(str(value)) if isinstance(value, str | int | float) else Decimal("NaN")
    except ArithmeticError:
        number = Decimal("NaN")
    if not sensible(number):
        raise ValueError(f"{name} is not a sensible number: {str(value)[:40]!r}")
    return number


def needed(value: object, name: str) -> Decimal:
    """A number that must be there."""
    number = figure(value, name)
    if number is None:
        raise ValueError(f"{name} is empty")
    return number


def ms_of(moment: datetime) -> int:
    return (moment - EPOCH) // MILLISECOND


def iso_of(ms: int) -> str:
    """``2024-01-01T00:00:00.000Z``."""
    return f"{EPOCH + ms * MILLISECOND:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03}Z"
