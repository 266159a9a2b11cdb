"""Taking a size from a side of a book: to the last digit."""

from decimal import Decimal as D
from decimal import localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.across import walk
from feeds.across.walk import Taken, Wanted, plain
from feeds.book import BookSide


def asks(levels: list[tuple[float, float]]) -> BookSide:
    side = BookSide(+1)
    side.replace(levels, None)
    return side


def take(side: BookSide, size: D, price_decimals: int, size_decimals: int) -> Taken:
    first = walk.look(side, 1)
    return walk.take(side, Wanted(size), price_decimals, size_decimals, 1, first)


def cost(taken: Taken) -> D:
    return D(taken.cost).scaleb(-taken.decimals)


def test_within_the_first_level():
    taken = take(asks([(100.01, 2.0), (100.02, 5.0)]), D("0.5"), 2, 5)
    assert (cost(taken), taken.whole, taken.worst) == (D("50.005"), True, 100.01)


def test_over_several_levels_the_last_in_part():
    side = asks([(100.01, 0.2), (100.02, 0.00001), (100.05, 3.0)])
    taken = take(side, D("0.5"), 2, 5)
    # 0.2 * 100.01 + 0.00001 * 100.02 + 0.29999 * 100.05
    assert cost(taken) == D("20.002") + D("0.0010002") + D("30.0139995")
    assert (D(taken.size).scaleb(-taken.size_decimals), taken.worst) == (D("0.5"), 100.05)


def test_exactly_all_there_is_is_enough_and_a_hair_more_is_not():
    side = asks([(100.0, 0.2), (101.0, 0.3)])
    assert take(side, D("0.5"), 2, 5).whole
    short = take(side, D("0.5000000001"), 2, 5)
    assert not short.whole
    assert D(short.size).scaleb(-short.size_decimals) == D("0.5")


def test_values_printed_finer_than_the_instrument_says_are_exact_as_well():
    side = asks([(0.123456789, 1.0000001), (0.2, 5.0)])
    assert cost(take(side, D(2), 2, 2)) == D("0.123456789") * D("1.0000001") + D("0.2") * D("0.9999999")


def test_large_numbers_do_not_lose_a_digit():
    side = asks([(99999.99, 88888888.87654321), (100000.01, 99999999.99999999)])
    wanted = D("88888889.87654321")
    assert cost(take(side, wanted, 2, 8)) == D("99999.99") * D("88888888.87654321") + D("100000.01")


@pytest.mark.parametrize("price", [1.00000000000001, 0.30000000000000004, 1e-13, 5e-324, 1e300, 1e22])
@pytest.mark.parametrize("size", [0.1, 0.30000000000000004, 1e-30, 5e-324])
def test_any_number_of_decimals(price: float, size: float):
    with localcontext(prec=2000):
        first, rest = D(repr(price)) * D(repr(size)), D(1) - D(repr(size))
        taken = take(asks([(price, size), (price * 2, 5.0)]), D(1), 2, 2)
        assert cost(taken) == first + rest * D(repr(price * 2))


def test_an_empty_side():
    taken = take(asks([]), D(1), 2, 2)
    assert (taken.whole, taken.size, taken.worst) == (False, 0, None)


prices = st.integers(1, 10**9).map(lambda n: n / 100)
sizes = st.integers(1, 10**9).map(lambda n: n / 10**5)


@given(st.dictionaries(prices, sizes, max_size=40), st.decimals("0.00001", "1e6", places=5))
def test_equals_the_plain_way_with_decimals(levels: dict[float, float], wanted: D) -> None:
    left, expected = wanted, D(0)
    for price in sorted(levels):
        part = min(left, D(repr(levels[price])))
        expected += part * D(repr(price))
        left -= part
    taken = take(asks(list(levels.items())), wanted, 2, 5)
    assert (cost(taken), taken.whole) == (expected, left == 0)
    assert D(taken.size).scaleb(-taken.size_decimals) == wanted - left


@given(st.integers(-(10**30), 10**30), st.integers(0, 20))
def test_plain_text(units: int, places: int) -> None:
    text = plain(units, places)
    assert Fraction(text) == Fraction(units, 10**places)
    assert "E" not in text
    assert "." not in text or not text.endswith("0")
