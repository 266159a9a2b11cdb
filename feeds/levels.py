"""Order books as the wire's integers: the best levels as they are, or the whole book grouped by price. Pure functions.

A level leaves us as ``[price, size]``, integers in units of ``10 ** -decimals``, and is exactly what the exchange
printed. Where it printed finer than the instrument's tick or lot says, the decimals grow for that frame; nothing is
ever rounded. Sums of sizes are sums of integers, so they are exact as well.

A float of a printed decimal gives its units by one multiplication, and dividing them again proves that nothing was
lost. Only where that proof fails is ``Decimal`` needed, made from ``repr``: the shortest text that means a float, so
what the exchange printed; also 0.30000000000000004, which its own arithmetic may have left over.
"""

from bisect import bisect_right
from collections.abc import Iterable
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from operator import neg
from typing import NamedTuple, TypeAlias

from feeds.book import BookSide, OrderBook
from feeds.domain import decimals

MOST_DECIMALS = 40
"""Decimals are widened up to here: a last digit of 18, as the finest currencies have, and what a float adds to it."""

LARGEST = 10**300
"""Browsers read whole numbers as floats, which end a little above."""

_WIDE = Context(prec=700)  # digits of any float, to any of the decimals
_SCALES = [float(10**places) for places in range(23)]  # exact as floats

_PROVABLE = 2**52
"""From here on two whole numbers of units may be the same float, so dividing proves nothing about the last digit."""

Units: TypeAlias = list[list[int]]
"""Levels, best first: [price, size] in units."""

Wire: TypeAlias = tuple[int, int, Units, Units]
"""(price decimals, size decimals, bids, asks)"""


class NotShownError(ValueError):
    """The book holds a value that cannot be put on the wire; the text is a sentence."""


def scale(book: OrderBook, n: int, price_decimals: int, size_decimals: int) -> Wire:
    """The best ``n`` levels of each side.

    Raises NotShownError for a value that needs more than ``MOST_DECIMALS`` (or the given, if more) decimals, or gives
    more than ``LARGEST`` units.
    """
    bids, asks = book.bids.top(n), book.asks.top(n)
    both = bids + asks
    price_decimals, prices = _to_units([price for price, _ in both], price_decimals)
    size_decimals, sizes = _to_units([size for _, size in both], size_decimals)
    units = [[price, size] for price, size in zip(prices, sizes, strict=True)]
    return price_decimals, size_decimals, units[: len(bids)], units[len(bids) :]


def group(book: OrderBook, step: Decimal, n: int, price_decimals: int, size_decimals: int) -> Wire:
    """The best ``n`` groups of each side of the whole book: bids rounded down to multiples of ``step``, asks up.

    A side's last group is left out if it reaches beyond what is known of that side (a snapshot that did not cover it,
    or the exchange's window): a part of it would be missing, and nobody could see that.

    Raises ValueError if ``step`` is not a positive multiple of ``10 ** -price_decimals``, and as :func:`scale` does.
    """
    check_step(step, Decimal(1).scaleb(-price_decimals))
    with localcontext(_WIDE):
        bids, asks = _groups(book.bids, step, n, book.depth), _groups(book.asks, step, n, book.depth)
    size_decimals, units = _to_units(bids.sizes + asks.sizes, size_decimals)
    width = int(step.scaleb(price_decimals))
    bid_units, ask_units = (
        [[number * width, sum(part[start:end])] for number, start, end in side.groups]
        for side, part in ((bids, units[: len(bids.sizes)]), (asks, units[len(bids.sizes) :]))
    )
    _check_large([price for price, _ in bid_units + ask_units], price_decimals)
    return price_decimals, size_decimals, bid_units, ask_units


def check_step(step: Decimal, tick: Decimal) -> None:
    """Raises ValueError, with a sentence, unless ``step`` is a positive multiple of ``tick``."""
    if step <= 0 or Fraction(step) % Fraction(tick):
        raise ValueError(f"The grouping step {step:f} is not a multiple of the tick {tick:f}.")


def text(value: float, places: int) -> str:
    """A price or size as decimal text with at least ``places`` digits after the point, and more if it has more."""
    printed = Decimal(repr(value))
    return f"{printed:.{max(places, decimals(printed))}f}"


def _to_units(values: list[float], places: int) -> tuple[int, list[int]]:
    """``values`` as whole numbers of ``10 ** -places``, with more places where they need more: (places, units)."""
    if places < len(_SCALES):
        scale = _SCALES[places]
        try:
            units = [round(value * scale) for value in values]
        except OverflowError:  # beyond what a float can be
            units = [_PROVABLE] * len(values)
        if [unit / scale for unit in units] == values and max(units, default=0) < _PROVABLE:
            return places, units
    else:
        scale, units = 1.0, [_PROVABLE] * len(values)  # no float proves anything here
    unproven = {v: Decimal(repr(v)) for v, u in zip(values, units, strict=True) if u / scale != v or u >= _PROVABLE}
    finest = max(unproven.values(), key=decimals, default=Decimal(0))
    needed = decimals(finest)
    if needed > max(MOST_DECIMALS, places):
        raise NotShownError(f"{finest} in the order book needs {needed} decimals; {MOST_DECIMALS} can be shown.")
    if needed > places:
        return _to_units(values, needed)
    exact = {value: int(printed.scaleb(places)) for value, printed in unproven.items()}
    _check_large(exact.values(), places)
    return places, [exact.get(value, unit) for value, unit in zip(values, units, strict=True)]


def _check_large(units: Iterable[int], places: int) -> None:
    largest = max(units, default=0)
    if largest > LARGEST:
        raise NotShownError(f"{Decimal(largest).scaleb(-places):.3g} in the order book is too large to be shown.")


class _Groups(NamedTuple):
    groups: list[tuple[int, int, int]]  # (price in steps, and which of the sizes belong to it: start, end)
    sizes: list[float]


def _groups(side: BookSide, step: Decimal, n: int, window: int | None) -> _Groups:
    """The best ``n`` groups of a side.

    Sorted prices are compared with the groups' edges as floats: text that means the same number gives the same float,
    and a greater number never a smaller one.
    """
    sign = side.sign
    prices = sorted(side.levels, reverse=sign < 0)
    rising = neg if sign < 0 else None  # what makes their order a rising one
    groups: list[tuple[int, int, int]] = []
    start = 0
    while start < len(prices) and len(groups) < n:
        number, rest = divmod(Decimal(repr(prices[start])), step)
        if rest and sign > 0:
            number += 1  # asks belong to the multiple above
        edge = float(number * step)
        end = bisect_right(prices, sign * edge, lo=start, key=rising)
        groups.append((int(number), start, end))
        start = end
    if groups and start == len(prices):
        worst = known_to(side, window)
        if worst is not None and sign * edge > sign * worst:
            groups.pop()
    known = groups[-1][2] if groups else 0
    return _Groups(groups, [side.levels[price] for price in prices[:known]])


def known_to(side: BookSide, window: int | None) -> float | None:
    """The worst price up to which the side is known; None if it is known to its end."""
    if side.bound is not None:
        return side.sign * side.bound
    if window is not None and len(side.levels) >= window:
        return max(side.levels, key=lambda price: side.sign * price)
    return None
