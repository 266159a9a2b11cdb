"""How LMEX writes numbers, names and answers: mostly JSON numbers, text on some topics; both are taken everywhere."""

from contextlib import AbstractContextManager
from decimal import Context, Decimal
from typing import TypeVar

import msgspec

from feeds import account_reading
from feeds.account_reading import EXACT
from feeds.domain import Market, Side
from feeds.exchange import MarketIndex
from feeds.exchanges.lmex_session import old_name

CONVERTED = Context(prec=16)  # a quotient needs an end somewhere
ZERO = Decimal(0)


T = TypeVar("T")


def reading(raw: bytes | str, what: str) -> AbstractContextManager[None]:
    """Whatever is wrong with ``raw`` comes out as a ParseError."""
    return account_reading.reading(raw, f"LMEX, {what}")


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
