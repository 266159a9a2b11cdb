"""Buying or selling a size against one side of a book, exactly: whole numbers, never a rounded price.

A float of a printed decimal gives its units by one multiplication; dividing them again proves that nothing was lost
(see ``levels``). Only the levels that the size needs are looked at, and a :class:`Walk` that was made of the same
levels before is not made again.
"""

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from feeds.book import BookSide, OrderBook
from feeds.domain import Level, Market, decimals

SPARE = 2
"""More levels than sufficed the last time are looked at: prices move."""

_PROVABLE = 2**52

_SCALES = [float(10**places) for places in range(23)]  # exact as floats


class Wanted:
    """A size that is to be taken, again and again: its units are worked out once."""

    __slots__ = ("_units", "decimals", "size")

    def __init__(self, size: Decimal) -> None:
        self.size = size
        self.decimals = decimals(size)
        self._units: dict[int, int] = {}

    def units(self, places: int) -> int:
        """In units of ``10 ** -places``, which must be enough for it."""
        units = self._units.get(places)
        if units is None:
            units = self._units[places] = int(self.size.scaleb(places))
        return units


class Taken(msgspec.Struct, frozen=True):
    """What taking a size gives. ``cost`` is the sum of price times size, a whole number of ``10 ** -decimals``.

    ``size`` is what could be taken, in units of ``10 ** -size_decimals``; where it is less than was wanted the side
    holds no more that is known. ``worst`` is the last price taken, None if there was none; ``levels`` how many were.
    """

    cost: int
    decimals: int
    size: int
    size_decimals: int
    whole: bool
    worst: float | None
    levels: int


NOTHING = Taken(0, 0, 0, 0, False, None, 0)


class _Finer(Exception):
    """A value was printed with more decimals than expected: those that it needs."""

    def __init__(self, price: int, size: int) -> None:
        super().__init__(price, size)
        self.price = price
        self.size = size


class Walk:
    """What buying and selling one size on one market comes to: ``bought`` and ``sold``. One for all who want the same.

    Both are the same objects as long as the levels that they take are the same.
    """

    __slots__ = ("__weakref__", "_asks", "_bids", "_market", "_places", "_version", "_wanted", "bought", "sold")

    def __init__(self, size: Decimal) -> None:
        self.bought = self.sold = NOTHING
        self._wanted = Wanted(size)
        self._market: Market | None = None
        self._places = (0, 0)
        self._version = -1
        self._asks: list[Level] = []
        self._bids: list[Level] = []

    def follow(self, version: int, book: OrderBook, market: Market) -> None:
        """The book is this now; nothing is done if ``version`` is the same."""
        if version == self._version:
            return
        if market is not self._market:
            self._market = market
            self._places = market.price_decimals, market.size_decimals
            self._asks, self._bids = [], []
        self._asks, self.bought = self._take(book.asks, self._asks, self.bought)
        self._bids, self.sold = self._take(book.bids, self._bids, self.sold)
        self._version = version

    def _take(self, side: BookSide, seen: list[Level], before: Taken) -> tuple[list[Level], Taken]:
        count = before.levels + SPARE if before.levels > 1 else 1
        first = look(side, count)
        if before.whole and first[: before.levels] == seen:
            return seen, before
        taken = take(side, self._wanted, *self._places, count, first)
        return look(side, taken.levels) if taken.levels > len(first) else first[: taken.levels], taken


def look(side: BookSide, count: int) -> list[Level]:
    """The best ``count`` levels, fewer if there are not so many. One is had without putting anything in order."""
    if count > 1:
        return side.top(count)
    return [(side.best, side.levels[side.best])] if side.levels else []


def take(
    side: BookSide, wanted: Wanted, price_decimals: int, size_decimals: int, count: int, first: list[Level]
) -> Taken:
    """Take ``wanted`` from a side, best price first, the last level in part if need be.

    ``first`` is what :func:`look` gave for ``count``: a guess of how many levels will do. ``price_decimals`` and
    ``size_decimals`` are those that the side's values are expected to have; more are used if needed, however many.
    """
    if size_decimals < wanted.decimals:
        size_decimals = wanted.decimals
    levels = first
    while True:
        try:
            taken = _take(levels, wanted.units(size_decimals), price_decimals, size_decimals)
        except _Finer as finer:
            price_decimals, size_decimals = finer.price, finer.size
            continue
        except OverflowError:  # units beyond what a float can be: as if they were finer than floats can prove
            price_decimals = size_decimals = max(price_decimals, size_decimals, len(_SCALES))
            continue
        if taken.whole or len(levels) < count:
            return taken
        count *= 4
        levels = look(side, count)


def _take(levels: Sequence[Level], target: int, price_decimals: int, size_decimals: int) -> Taken:
    provable = price_decimals < len(_SCALES) and size_decimals < len(_SCALES)
    price_scale, size_scale = (_SCALES[price_decimals], _SCALES[size_decimals]) if provable else (1.0, 1.0)
    left, cost, count = target, 0, 0
    for price, size in levels:
        price_units, size_units = round(price * price_scale), round(size * size_scale)
        if (
            price_units / price_scale != price
            or size_units / size_scale != size
            or price_units >= _PROVABLE
            or size_units >= _PROVABLE
            or not provable
        ):
            price_units, size_units = _exactly(price, size, price_decimals, size_decimals)
        count += 1
        if size_units >= left:
            cost += price_units * left
            return Taken(cost, price_decimals + size_decimals, target, size_decimals, True, price, count)
        cost += price_units * size_units
        left -= size_units
    worst = levels[-1][0] if levels else None
    return Taken(cost, price_decimals + size_decimals, target - left, size_decimals, False, worst, count)


def _exactly(price: float, size: float, price_decimals: int, size_decimals: int) -> tuple[int, int]:
    """By way of the shortest text that means the float, so what the exchange printed."""
    printed_price, printed_size = Decimal(repr(price)), Decimal(repr(size))
    finer = max(price_decimals, decimals(printed_price)), max(size_decimals, decimals(printed_size))
    if finer != (price_decimals, size_decimals):
        raise _Finer(*finer)
    return int(printed_price.scaleb(price_decimals)), int(printed_size.scaleb(size_decimals))


def plain(units: int, places: int) -> str:
    """``units`` of ``10 ** -places`` as decimal text, without trailing zeros."""
    digits = str(units)
    point = len(digits) - places
    if point < 2:  # the sign may be one of the two
        sign, digits = ("-", digits[1:]) if units < 0 else ("", digits)
        digits = sign + digits.rjust(places + 1, "0")
        point = len(digits) - places
    part = digits[point:].rstrip("0")
    return f"{digits[:point]}.{part}" if part else digits[:point]


def price_text(price: float) -> str:
    """A price as decimal text, as short as it is exact."""
    text = repr(price)
    if text.endswith(".0"):
        return text[:-2]
    return text if "e" not in text else f"{Decimal(text):f}"
