"""Books as the wire's integers, against plain Decimal arithmetic over the whole book."""

import random
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from feeds.book import OrderBook
from feeds.domain import BookDelta, BookSnapshot, Level
from feeds.levels import MOST_DECIMALS, NotShownError, Units, check_step, group, scale, text


def book_of(bids: list[Level], asks: list[Level], depth: int | None = None, *, truncates: bool = False) -> OrderBook:
    book = OrderBook()
    book.replace(BookSnapshot(symbol="X", bids=bids, asks=asks, depth=depth), truncates=truncates)
    return book


def exact(value: float) -> Decimal:
    return Decimal(repr(value))


def decimal_levels(units: Units, price_decimals: int, size_decimals: int) -> list[tuple[Decimal, Decimal]]:
    return [(Decimal(price).scaleb(-price_decimals), Decimal(size).scaleb(-size_decimals)) for price, size in units]


@st.composite
def books(draw: st.DrawFn) -> OrderBook:
    """Prices of two digits, sizes of five, up to 10^9; sometimes known to a depth only, sometimes a window."""
    chance = random.Random(draw(st.integers(0, 2**32)))
    low = chance.randint(1, 10**4)
    prices = sorted(chance.sample(range(low, low + 500), draw(st.integers(0, 120))))
    levels = [(price / 100, chance.randint(1, 10 ** chance.randint(1, 14)) / 10**5) for price in prices]
    split = draw(st.integers(0, len(levels)))
    depth = draw(st.none() | st.integers(1, 60))
    return book_of(levels[:split], levels[split:], depth, truncates=draw(st.booleans()))


class TestScale:
    @given(book=books(), n=st.integers(0, 100), price_decimals=st.integers(0, 6), size_decimals=st.integers(0, 10))
    def test_exactly_the_best_levels(self, book: OrderBook, n: int, price_decimals: int, size_decimals: int) -> None:
        wide = scale(book, n, price_decimals, size_decimals)
        assert wide[0] >= price_decimals and wide[1] >= size_decimals
        for units, side in ((wide[2], book.bids), (wide[3], book.asks)):
            assert decimal_levels(units, wide[0], wide[1]) == [(exact(p), exact(s)) for p, s in side.top(n)]

    @given(book=books())
    def test_enough_decimals_are_kept(self, book: OrderBook) -> None:
        assert scale(book, 1000, 2, 5)[:2] == (2, 5)

    def test_decimals_are_widened_as_far_as_needed(self) -> None:
        book = book_of([(0.1, 1e-08)], [(0.125, 2.5), (7.0, 3.0)])
        assert scale(book, 10, 1, 0) == (3, 8, [[100, 1]], [[125, 250_000_000], [7000, 300_000_000]])

    def test_levels_that_are_not_shown_widen_nothing(self) -> None:
        book = book_of([(1.0, 1.0), (0.123456, 1.0)], [])
        assert scale(book, 1, 0, 0) == (0, 0, [[1, 1]], [])

    def test_finer_than_can_be_shown(self) -> None:
        book = book_of([(1e-41, 1.0)], [])
        with pytest.raises(NotShownError, match="1E-41 in the order book needs 41 decimals; 40 can be shown"):
            scale(book, 1, 2, 2)
        assert scale(book, 1, 41, 0) == (41, 0, [[1, 1]], [])  # the instrument itself says so
        assert scale(book_of([(1e-40, 1.0)], []), 1, 2, 0)[0] == MOST_DECIMALS

    @pytest.mark.parametrize("value", [0.30000000000000004, 1e-13, 1.00000000000000002e-18, 123.45678901234567])
    def test_what_arithmetic_left_over_is_shown_as_printed(self, value: float) -> None:
        price_decimals, size_decimals, bids, asks = scale(
            book_of([(100.5, value)], [(1e6, 2.0), (2e6, value)]), 2, 1, 0
        )
        assert decimal_levels(bids, price_decimals, size_decimals) == [(Decimal("100.5"), exact(value))]
        assert decimal_levels(asks, price_decimals, size_decimals) == [
            (Decimal(10**6), Decimal(2)),
            (Decimal(2 * 10**6), exact(value)),
        ]

    def test_larger_than_a_browser_can_read(self) -> None:
        with pytest.raises(NotShownError, match=r"1.00e\+300 in the order book is too large"):
            scale(book_of([(1.0, 1e300)], []), 1, 2, 2)
        with pytest.raises(NotShownError, match="too large"):
            group(book_of([], [(1.0, 1.0), (1e299, 1.0)]), Decimal("0.5"), 5, 2, 2)

    @pytest.mark.parametrize(
        "size",
        [4503599627370.493, 4503599627.370495, 9007199254740993.0, 123456789012345680.0, 1e22, 98765432.87654321],
    )
    def test_sizes_too_large_to_be_proved(self, size: float) -> None:
        price_decimals, size_decimals, bids, _ = scale(book_of([(1.5, size), (1.0, 0.001)], []), 2, 1, 3)
        assert decimal_levels(bids, price_decimals, size_decimals) == [
            (Decimal("1.5"), exact(size)),
            (Decimal(1), Decimal("0.001")),
        ]

    def test_an_empty_book(self) -> None:
        assert scale(OrderBook(), 25, 2, 5) == (2, 5, [], [])


def grouped_by_decimal(levels: list[Level], step: Decimal, rounding: str) -> dict[Decimal, Decimal]:
    """Price of the group -> sum of sizes, by the definition."""
    groups: dict[Decimal, Decimal] = {}
    for price, size in levels:
        edge = (exact(price) / step).to_integral_value(rounding) * step
        groups[edge] = groups.get(edge, Decimal(0)) + exact(size)
    return groups


def whole(book: OrderBook) -> tuple[list[Level], list[Level]]:
    return book.bids.top(10**6), book.asks.top(10**6)


STEPS = st.sampled_from([Decimal(step) for step in ("0.01", "0.02", "0.05", "0.1", "0.25", "1", "5", "1E+1", "1000")])


class TestGroup:
    @given(book=books(), step=STEPS, n=st.integers(1, 40))
    def test_every_group_is_the_exact_sum(self, book: OrderBook, step: Decimal, n: int) -> None:
        price_decimals, size_decimals, bids, asks = group(book, step, n, 2, 5)
        assert (price_decimals, size_decimals) == (2, 5)
        all_bids, all_asks = whole(book)
        for units, levels, rounding, sign in (
            (bids, all_bids, ROUND_FLOOR, -1),
            (asks, all_asks, ROUND_CEILING, +1),
        ):
            ours = decimal_levels(units, price_decimals, size_decimals)
            theirs = sorted(grouped_by_decimal(levels, step, rounding).items(), key=lambda level: sign * level[0])
            if len(theirs) <= n and len(ours) < len(theirs):
                theirs.pop()  # the last group may be left out, see below
            assert ours == theirs[:n]

    @given(book=books(), step=STEPS)
    def test_what_must_hold(self, book: OrderBook, step: Decimal) -> None:
        price_decimals, size_decimals, bids, asks = group(book, step, 1000, 2, 5)
        below = decimal_levels(bids, price_decimals, size_decimals)
        above = decimal_levels(asks, price_decimals, size_decimals)
        if below:
            assert book.bid is not None and below[0][0] <= exact(book.bid[0]) < below[0][0] + step
        if above:
            assert book.ask is not None and above[0][0] - step < exact(book.ask[0]) <= above[0][0]
        if below and above:
            assert below[0][0] < above[0][0]  # never crossed, since rounding leads apart
        for groups, order in ((below, sorted(below, reverse=True)), (above, sorted(above))):
            assert groups == order
            assert all(price % step == 0 and size > 0 for price, size in groups)

    @given(book=books(), step=STEPS)
    def test_nothing_is_lost_of_a_book_that_is_known_whole(self, book: OrderBook, step: Decimal) -> None:
        bids, asks = whole(book)
        known = book_of(bids, asks)
        _, size_decimals, bid_units, ask_units = group(known, step, 1000, 2, 5)
        for units, levels in ((bid_units, bids), (ask_units, asks)):
            assert Decimal(sum(size for _, size in units)).scaleb(-size_decimals) == sum(exact(s) for _, s in levels)

    @given(book=books(), step=STEPS)
    def test_no_group_reaches_beyond_what_is_known(self, book: OrderBook, step: Decimal) -> None:
        price_decimals, _, bids, asks = group(book, step, 1000, 2, 5)
        for units, side, levels in zip((bids, asks), (book.bids, book.asks), whole(book), strict=True):
            limited = side.bound is not None or (book.depth is not None and len(levels) >= book.depth)
            edges = grouped_by_decimal(levels, step, ROUND_FLOOR if side.sign < 0 else ROUND_CEILING)
            if limited:
                worst = side.sign * exact(levels[-1][0])
                assert all(side.sign * Decimal(price).scaleb(-price_decimals) <= worst for price, _ in units)
                assert len(units) >= len(edges) - 1
            else:
                assert len(units) == len(edges)

    def test_bids_down_and_asks_up(self) -> None:
        book = book_of([(99.9, 1.0), (99.1, 2.0), (98.0, 4.0)], [(100.1, 1.0), (101.0, 2.0), (101.1, 4.0)])
        assert group(book, Decimal(1), 10, 1, 0) == (
            1,
            0,
            [[990, 3], [980, 4]],
            [[1010, 3], [1020, 4]],
        )

    def test_the_best_groups_alone(self) -> None:
        book = book_of([(n / 10, 1.0) for n in range(1, 1000)], [(100 + n / 10, 1.0) for n in range(1000)])
        _, _, bids, asks = group(book, Decimal(1), 2, 1, 0)
        assert bids == [[990, 10], [980, 10]]
        assert asks == [[1000, 1], [1010, 10]]

    def test_a_snapshot_of_three_levels(self) -> None:
        """Beyond 97.5 nothing is known: the group of 97 may be larger than what we have of it."""
        bids = [(99.5, 1.0), (98.5, 1.0), (97.5, 1.0)]
        assert group(book_of(bids, [], depth=3), Decimal(1), 10, 1, 0)[2] == [[990, 1], [980, 1]]
        assert group(book_of(bids, [], depth=4), Decimal(1), 10, 1, 0)[2] == [[990, 1], [980, 1], [970, 1]]
        whole_group = [(99.5, 1.0), (98.0, 1.0)]
        assert group(book_of(whole_group, [], depth=2), Decimal(1), 10, 1, 0)[2] == [[990, 1], [980, 1]]

    def test_the_known_part_stays_when_its_last_level_goes(self) -> None:
        book = book_of([(99.5, 1.0), (98.5, 1.0), (97.2, 1.0)], [], depth=3)
        book.apply(BookDelta(symbol="X", bids=[(97.2, 0.0), (97.6, 5.0)], asks=[]))
        assert group(book, Decimal(1), 10, 1, 0)[2] == [[990, 1], [980, 1]]
        assert group(book, Decimal("0.5"), 10, 1, 0)[2] == [[995, 1], [985, 1], [975, 5]]

    def test_a_window_of_two_levels(self) -> None:
        asks = [(100.5, 1.0), (101.5, 1.0)]
        assert group(book_of([], asks, depth=2, truncates=True), Decimal(1), 10, 1, 0)[3] == [[1010, 1]]
        assert group(book_of([], asks, depth=3, truncates=True), Decimal(1), 10, 1, 0)[3] == [[1010, 1], [1020, 1]]

    def test_one_group_that_is_not_known_whole_leaves_nothing(self) -> None:
        assert group(book_of([(99.5, 1.0)], [], depth=1), Decimal(1000), 10, 1, 0)[2] == []

    def test_prices_finer_than_the_instrument_says(self) -> None:
        book = book_of([(1.25, 0.5), (1.2, 0.5)], [(1.26, 0.125)])
        assert group(book, Decimal("0.1"), 10, 1, 1) == (1, 3, [[12, 1000]], [[13, 125]])

    @given(st.integers(1, 10**6), st.integers(0, 9), st.sampled_from(["0.0000000001", "0.00000005", "0.000025"]))
    @example(1, 9, "0.0000000001")
    def test_prices_with_many_digits(self, units: int, digits: int, step: str) -> None:
        """Edges are compared as floats; a price on an edge belongs to it."""
        price, width = Decimal(units).scaleb(-digits), Decimal(step)
        book = book_of([(float(price), 1.0)], [(float(price + width), 1.0)])
        _, _, bids, asks = group(book, width, 1, 10, 0)
        below, above = (price / width).to_integral_value(ROUND_FLOOR), (price / width).to_integral_value(ROUND_CEILING)
        assert Decimal(bids[0][0]).scaleb(-10) == below * width
        assert Decimal(asks[0][0]).scaleb(-10) == (above + 1) * width

    @pytest.mark.parametrize("step", ["0.15", "0.01", "0", "-1", "0.05"])
    def test_steps_that_are_no_multiple(self, step: str) -> None:
        with pytest.raises(ValueError, match=f"The grouping step {step} is not a multiple of the tick 0.1"):
            group(OrderBook(), Decimal(step), 10, 1, 0)

    def test_an_empty_book(self) -> None:
        assert group(OrderBook(), Decimal(10), 25, 2, 5) == (2, 5, [], [])


class TestCheckStep:
    @pytest.mark.parametrize(
        ("step", "tick"),
        [("0.5", "0.5"), ("10", "0.01"), ("1E+2", "25"), ("1000000000000", "0.000000000000000001")],
    )
    def test_multiples(self, step: str, tick: str) -> None:
        check_step(Decimal(step), Decimal(tick))

    @pytest.mark.parametrize(
        ("step", "tick"), [("0.5", "0.2"), ("0.01", "0.1"), ("0", "0.1"), ("-1", "1"), ("10", "25")]
    )
    def test_others(self, step: str, tick: str) -> None:
        with pytest.raises(ValueError, match=f"step {step} is not a multiple of the tick {tick}"):
            check_step(Decimal(step), Decimal(tick))


class TestText:
    @pytest.mark.parametrize(
        ("value", "decimals", "shown"),
        [
            (61837.6, 2, "61837.60"),
            (61837.63, 2, "61837.63"),
            (61837.635, 2, "61837.635"),
            (1e-08, 2, "0.00000001"),
            (3.0, 0, "3"),
            (0.1, 0, "0.1"),
            (1e22, 0, "10000000000000000000000"),
            (1.5e-13, 0, "0.00000000000015"),
        ],
    )
    def test_at_least_so_many_digits(self, value: float, decimals: int, shown: str) -> None:
        assert text(value, decimals) == shown

    @given(st.integers(1, 10**15 - 1), st.integers(0, 12), st.integers(0, 12))
    @example(134242, 1, 12)  # a float of 13424.2 is not 13424.200000000000 to its last digit
    def test_never_rounded(self, units: int, digits: int, places: int) -> None:
        value = Decimal(units).scaleb(-digits)
        assert Decimal(text(float(value), places)) == value
