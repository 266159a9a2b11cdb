"""How Bybit writes numbers, answers and errors: figures are text, and "" is one that does not exist."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Annotated, Literal, TypeVar

import msgspec

from feeds.domain import Side
from feeds.errors import ParseError

Ms = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
"""Milliseconds. REST writes most of them as text, so decode with :func:`decode`, which takes both."""

MAX_DIGITS = 30
"""Digits before the point: far more than any figure that means money."""

BuySell = Literal["Buy", "Sell"]


class Wire(msgspec.Struct, frozen=True):
    """Base of all that Bybit sends. Unknown fields are ignored: Bybit adds some from time to time."""


class Answer(Wire, frozen=True):
    """``{"retCode":0,"retMsg":"OK","result":{...},"retExtInfo":{},"time":1690872862481}``"""

    result: msgspec.Raw = msgspec.Raw(b"{}")
    time: Ms | None = None


T = TypeVar("T")

MALFORMED = (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError)


@contextmanager
def reading(raw: bytes | str, what: str) -> Iterator[None]:
    """Whatever is wrong with ``raw`` comes out as a ParseError."""
    try:
        yield
    except MALFORMED as error:
        raise ParseError(f"Bybit, {what}: {type(error).__name__}: {error}", raw) from error


def decode(raw: bytes | str | msgspec.Raw, kind: type[T]) -> T:
    """To be called within :func:`reading`."""
    return msgspec.json.decode(raw, type=kind, strict=False)


def result(raw: bytes, kind: type[T]) -> T:
    """What an answer holds. To be called within :func:`reading`."""
    return decode(decode(raw, Answer).result, kind)


def figure(text: str, name: str) -> Decimal | None:
    """A number, or None for "". Raises ValueError for what is none, or none that can mean money."""
    if not text:
        return None
    try:
        value = Decimal(text)
    except ArithmeticError:
        value = Decimal("NaN")
    if not (value.is_finite() and value.adjusted() < MAX_DIGITS):
        raise ValueError(f"{name} is not a sensible number: {text[:40]!r}")
    return value


def needed(text: str, name: str) -> Decimal:
    """A number that must be there."""
    value = figure(text, name)
    if value is None:
        raise ValueError(f"{name} is empty")
    return value


def if_any(text: str, name: str) -> Decimal | None:
    """A figure of which 0, too, says that there is none: a price, say."""
    return figure(text, name) or None


def side_of(text: BuySell) -> Side:
    return "buy" if text == "Buy" else "sell"
