"""How LMEX writes numbers, names and answers: mostly JSON numbers, text on some topics; both are taken everywhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Context, Decimal
from typing import Annotated, TypeVar

import msgspec

from feeds.domain import Market, Side
from feeds.errors import ParseError
from feeds.exchange import MarketIndex
from feeds.exchanges.lmex_session import old_name

Ms = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]

MAX_DIGITS = 30
"""Digits before the point: far more than any figure that means money."""
MIN_DIGITS = -40
EXACT = Context(prec=100)
CONVERTED = Context(prec=16)  # a quotient needs an end somewhere
ZERO = Decimal(0)


class Wire(msgspec.Struct, frozen=True):
    """Base of all that LMEX sends. Unknown fields are ignored. Figures that cannot mean money raise ValueError."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if not isinstance(value, Decimal):
                continue
            if not value.is_finite() or (value and not MIN_DIGITS < value.adjusted() < MAX_DIGITS):
                raise ValueError(f"{name} is not a sensible number")


T = TypeVar("T")

MALFORMED = (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError)


@contextmanager
def reading(raw: bytes | str, what: str) -> Iterator[None]:
    """Whatever is wrong with ``raw`` comes out as a ParseError."""
    try:
        yield
    except MALFORMED as error:
        raise ParseError(f"LMEX, {what}: {type(error).__name__}: {error}", raw) from error


def decode(raw: bytes | str | msgspec.Raw, kind: type[T]) -> T:
    """To be called within :func:`reading`."""
    return msgspec.json.decode(raw, type=kind, strict=False)


def decode_rows(raw: bytes | msgspec.Raw, kind: type[T]) -> list[T]:
    """A list, or a single object, which some calls answer instead. To be called within :func:`reading`."""
    if bytes(raw).lstrip()[:1] == b"{":
        return [decode(raw, kind)]
    return [decode(row, kind) for row in decode(raw, list[msgspec.Raw])]


def side_of(text: str) -> Side:
    """``BUY``, ``Buy`` and ``MODE_BUY`` are one."""
    word = text.upper().removeprefix("MODE_")
    if word == "BUY":
        return "buy"
    if word == "SELL":
        return "sell"
    raise ValueError(f"side is {text[:20]!r}, neither BUY nor SELL")


def if_any(figure: Decimal | None) -> Decimal | None:
    """A price of which 0, too, says that there is none."""
    return figure or None


def listed(markets: MarketIndex, product: str, native: str) -> Market | None:
    """The market of LMEX's name, be it the old or the new one."""
    return markets.native(product, native) or markets.native(product, old_name(native))


def contract_of(product: str, told: Decimal | None, market: Market | None) -> Decimal:
    """Base currency of one unit of size: what the row itself tells, else the market's. Spot counts in base currency.
    Raises ValueError if nobody knows."""
    if product == "spot":
        return Decimal(1)
    if told:
        return told
    if market is None:
        raise ValueError("the size of a contract is not known")
    return market.contract_size


def times(size: Decimal, contract: Decimal) -> Decimal:
    """Exact, and without an exponent above 0."""
    value = EXACT.multiply(size, contract)
    return value.quantize(Decimal(1), context=EXACT) if value == value.to_integral_value() else value.normalize(EXACT)
