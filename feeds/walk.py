"""Buying or selling a size against one side of a book, exactly: whole numbers, never a rounded price.

A float of a printed decimal gives its units by one multiplication; dividing them again proves that nothing was lost
(see ``levels``). Only the levels that the size needs are looked at.
"""

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from feeds.book import BookSide
from feeds.domain import Level, decimals
from feeds.levels import MOST_DECIMALS

_PROVABLE = 2**52

FIRST_LEVELS = 4
"""How many levels are asked for at first; four times as many whenever they do not suffice."""


class Taken(msgspec.Struct, frozen=True):
    """What taking a size gives. ``cost`` is the sum of price times size, a whole number of ``10 ** -decimals``.

    ``size`` is what could be taken, in units of ``10 ** -size_decimals``; where it is less than was wanted the side
    holds no more that is known. ``worst`` is the last price taken, None if there was none.
    """

    cost: int
    decimals: int
    size: int
    size_decimals: int
    whole: bool
    worst: float | None


NOTHING = Taken(0, 0, 0, 0, False, None)


class _Finer(Exception):
    """A value was printed with more decimals than expected: those that it needs."""

    def __init__(self, price: int, size: int) -> None:
        super().__init__(price, size)
        self.price = price
        self.size = size


def take(side: BookSide, wanted: Decimal, price_decimals: int, size_decimals: int) -> Taken:
    """Take ``wanted`` from a side, best price first, the last level in part if need be.

    ``price_decimals`` and ``size_decimals`` are those that its values are expected to have; more are used if needed.
    Raises ValueError for a value that needs more than ``MOST_DECIMALS`` (or the given, if more) decimals.
    """
    size_decimals = max(size_decimals, decimals(wanted))
    count = FIRST_LEVELS
    while True:
        levels = side.top(count)
        try:
            taken = _take(levels, wanted, price_decimals, size_decimals)
        except _Finer as finer:
            price_decimals, size_decimals = finer.price, finer.size
            continue
        if taken.whole or len(levels) < count:
            return taken
        count *= 4


def _take(levels: Iterable[Level], wanted: Decimal, price_decimals: int, size_decimals: int) -> Taken:
    price_scale, size_scale = float(10**price_decimals), float(10**size_decimals)
    left = target = int(wanted.scaleb(size_decimals))
    cost, worst = 0, None
    for price, size in levels:
        price_units, size_units = round(price * price_scale), round(size * size_scale)
        if (
            price_units / price_scale != price
            or size_units / size_scale != size
            or price_units >= _PROVABLE
            or size_units >= _PROVABLE
        ):
            price_units, size_units = _exactly(price, size, price_decimals, size_decimals)
        worst = price
        if size_units >= left:
            return Taken(cost + price_units * left, price_decimals + size_decimals, target, size_decimals, True, worst)
        cost += price_units * size_units
        left -= size_units
    return Taken(cost, price_decimals + size_decimals, target - left, size_decimals, False, worst)


def _exactly(price: float, size: float, price_decimals: int, size_decimals: int) -> tuple[int, int]:
    """By way of the shortest text that means the float, so what the exchange printed."""
    printed_price, printed_size = Decimal(repr(price)), Decimal(repr(size))
    finer = max(price_decimals, decimals(printed_price)), max(size_decimals, decimals(printed_size))
    if finer != (price_decimals, size_decimals):
        for value, needed, given in (
            (printed_price, finer[0], price_decimals),
            (printed_size, finer[1], size_decimals),
        ):
            if needed > max(MOST_DECIMALS, given):
                raise ValueError(f"{value} in the order book needs {needed} decimals; {MOST_DECIMALS} can be used.")
        raise _Finer(*finer)
    return int(printed_price.scaleb(price_decimals)), int(printed_size.scaleb(size_decimals))


def plain(units: int, places: int) -> str:
    """``units`` of ``10 ** -places`` as decimal text, without trailing zeros."""
    if not places:
        return str(units)
    sign, digits = ("-", str(-units)) if units < 0 else ("", str(units))
    if len(digits) <= places:
        digits = digits.rjust(places + 1, "0")
    part = digits[-places:].rstrip("0")
    return f"{sign}{digits[:-places]}.{part}" if part else f"{sign}{digits[:-places]}"
