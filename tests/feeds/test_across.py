"""The consolidated book: each exchange's own levels, and what is true of all of them together."""

from decimal import Decimal as D
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from feeds.across.consolidated import Consolidated, group, merge
from feeds.across.legs import Rate
from feeds.clock import FakeClock
from tests.feeds.legs_help import LIVE, POLLED, STALE, Place


def book(*places: Place, step: str | None = None, depth: int = 25) -> Consolidated:
    made = Consolidated(
        "BTC/USDT", "BTC", "USDT", step=None if step is None else D(step), depth=depth, clock=FakeClock()
    )
    made.set_legs([place.leg for place in places])
    return made


def drawn(made: Consolidated) -> dict[str, Any]:
    """As it arrives."""
    picture = made.draw()
    return {"state": picture.state, **msgspec.json.decode(msgspec.json.encode(picture.data))}


def two() -> tuple[Place, Place]:
    alpha = Place("alpha", tick="0.01", lot="0.001").book([(100.01, 1.5), (100.0, 2.0)], [(100.02, 0.5), (100.05, 4.0)])
    beta = Place("beta", tick="0.1", lot="0.01").book([(99.9, 3.0)], [(100.1, 2.0)])
    return alpha, beta


class TestLevels:
    def test_each_leg_has_its_own_in_common_decimals(self) -> None:
        data = drawn(book(*two()))
        assert (data["price_decimals"], data["size_decimals"], data["depth"]) == (2, 3, 25)
        alpha, beta = data["legs"]
        assert alpha["bids"] == [[10001, 1500], [10000, 2000]]
        assert beta["asks"] == [[10010, 2000]]
        assert (alpha["exchange"], alpha["state"], alpha["usable"], alpha["rate"]) == ("alpha", "LIVE", True, None)
        assert alpha["reach"] == [None, None], "there is nothing beyond"

    def test_decimals_grow_for_all_where_one_needs_more(self) -> None:
        alpha, beta = two()
        made = book(alpha, beta)
        drawn(made)
        beta.book([(99.9123, 3.0)], [(100.1, 2.00001)])
        data = drawn(made)
        assert (data["price_decimals"], data["size_decimals"]) == (4, 5)
        assert data["legs"][0]["bids"][0] == [1000100, 150000]
        assert data["legs"][1]["bids"] == [[999123, 300000]]
        assert data["bid"]["price"] == 1000100

    def test_reach_says_where_a_list_ends_before_the_book_does(self) -> None:
        many = [(100 - i / 100, 1.0) for i in range(40)]
        alpha = Place("alpha").book(many, [(101.0, 1.0)])
        window = Place("beta").book(many[:15], [(101.0, 1.0)], depth=15, truncates=True)
        data = drawn(book(alpha, window))
        assert data["legs"][0]["reach"] == [9976, None]
        assert data["legs"][1]["reach"] == [9986, None], "an exchange that shows 15 levels may have more"

    def test_what_is_not_usable_has_no_levels_from_that_moment(self) -> None:
        alpha, beta = two()
        made = book(alpha, beta)
        assert drawn(made)["legs"][0]["bids"]
        alpha.state(STALE, "No data for 5 s or more.")
        data = drawn(made)
        leg = data["legs"][0]
        assert (leg["bids"], leg["asks"], leg["usable"], leg["reason"]) == ([], [], False, "No data for 5 s or more.")
        assert (data["bid"]["price"], data["bid"]["legs"], data["state"]) == (9990, [1], "LIVE")
        beta.state(STALE)
        data = drawn(made)
        assert (data["state"], data["bid"], data["mid"], data["imbalance"]) == ("STALE", None, None, None)
        alpha.state(POLLED)
        data = drawn(made)
        assert (data["state"], data["legs"][0]["usable"], data["bid"]["legs"]) == ("POLLED", True, [0])

    def test_best_prices_are_no_book_and_the_leg_says_so(self) -> None:
        alpha, best_only = two()[0], Place("beta", has_book=False).book([(99.99, 1.0)], [(100.01, 1.0)])
        data = drawn(book(alpha, best_only))
        leg = data["legs"][1]
        assert (leg["usable"], leg["bids"], leg["asks"], leg["state"]) == (False, [], [], "LIVE")
        assert leg["reason"] == "beta gives no order book of BTC/USDT, only its best prices."
        assert data["bid"]["legs"] == [0]

    def test_a_restored_book_is_marked_and_left_out(self) -> None:
        alpha, beta = two()
        alpha.holder.old = alpha.holder.book
        alpha.state(STALE)
        leg = drawn(book(alpha, beta))["legs"][0]
        assert (leg["restored"], leg["bids"]) == (True, [])

    def test_a_tied_quote_is_converted_exactly(self) -> None:
        usdt = Place("beta", "USDT/USD", tick="0.0001").book([(0.9998, 1.0)], [(0.9999, 1.0)])
        beta = Place("beta", "BTC/USD", tick="0.1", rate=Rate("USD", "USDT", [usdt.source], par=False))
        beta.book([(99.9, 3.0)], [(100.1, 2.0)])
        data = drawn(book(two()[0], beta))
        places = data["price_decimals"]
        leg = data["legs"][1]
        assert D(leg["bids"][0][0]).scaleb(-places) == D("99.9") * D("1.0001")
        assert D(leg["asks"][0][0]).scaleb(-places) == D("100.1") * D("1.000201")
        assert D(data["legs"][0]["bids"][0][0]).scaleb(-places) == D("100.01")
        usdt.book([(0.5, 1.0)], [(0.5001, 1.0)])
        assert D(drawn(book(two()[0], beta))["legs"][1]["asks"][0][0]).scaleb(-places) == D("100.1") * 2

    def test_grouped_from_whole_books_with_the_best_prices_as_they_are(self) -> None:
        alpha, beta = two()
        data = drawn(book(alpha, beta, step="0.5"))
        assert data["step"] == "0.5"
        assert data["legs"][0]["bids"] == [[10000, 3500]]
        assert data["legs"][0]["asks"] == [[10050, 4500]]
        assert data["legs"][1]["bids"] == [[9950, 3000]]
        assert (data["bid"]["price"], data["ask"]["price"]) == (10001, 10002)

    def test_a_group_that_is_partly_unknown_is_left_out(self) -> None:
        window = Place("beta").book(
            [(100.0, 1.0), (99.9, 1.0), (99.0, 1.0), (98.9, 1.0)], [(101.0, 1.0)], depth=4, truncates=True
        )
        data = drawn(book(window, step="1"))
        assert data["legs"][0]["bids"] == [[10000, 1000 * 100], [9900, 2000 * 100]]
        assert data["legs"][0]["reach"][0] == 9900, "98 holds more than 98.9, as far as anybody knows"
        lonely = Place("beta").book([(99.5, 1.0)], [(101.0, 1.0)], depth=1, truncates=True)
        leg = drawn(book(lonely, step="1"))["legs"][0]
        assert (leg["bids"], leg["reach"][0]) == ([], 10000), "nothing is complete, not even the best group"


class TestFigures:
    def test_mid_microprice_and_imbalance(self) -> None:
        data = drawn(book(*two()))
        assert data["bid"] == {"price": 10001, "size": 1500, "legs": [0]}
        assert data["ask"] == {"price": 10002, "size": 500, "legs": [0]}
        assert data["mid"] == "100.015"
        assert data["microprice"] == "100.0175"  # (100.01 * 0.5 + 100.02 * 1.5) / 2
        # three merged levels a side: bids 1.5 + 2 + 3, asks 0.5 + 4 + 2
        assert data["imbalance"] == {"levels": 3, "bid": 6500, "ask": 6500, "value": "0"}
        assert data["band"] is None

    def test_all_who_stand_at_the_best_price_are_named(self) -> None:
        alpha, beta = two()
        beta.book([(100.01, 3.0)], [(100.1, 2.0)])
        assert drawn(book(alpha, beta))["bid"] == {"price": 10001, "size": 4500, "legs": [0, 1]}

    def test_exchanges_that_cross_make_a_band(self) -> None:
        alpha, beta = two()
        beta.book([(100.06, 1.0), (100.04, 2.0), (100.03, 7.0)], [(100.2, 2.0)])
        # asks 0.5 at 100.02 and 4 at 100.05; bids 1 at 100.06, 2 at 100.04: the first ask and half of 1 remain to
        # meet 100.05, so 1 is matched
        assert drawn(book(alpha, beta))["band"] == {
            "low": 10002,
            "high": 10006,
            "buy": 0,
            "sell": 1,
            "bps": "3.99",
            "size": 1000,
        }

    def test_exchanges_that_meet_lock(self) -> None:
        alpha, beta = two()
        beta.book([(100.02, 1.0)], [(100.2, 2.0)])
        band = drawn(book(alpha, beta))["band"]
        assert (band["low"], band["high"], band["bps"], band["size"]) == (10002, 10002, "0", 500)

    def test_one_empty_side(self) -> None:
        data = drawn(book(Place("alpha").book([(100.0, 1.0)], [])))
        assert (data["bid"]["price"], data["ask"], data["mid"], data["microprice"]) == (10000, None, None, None)


side = st.dictionaries(st.integers(1, 60), st.integers(1, 9), max_size=30)


def best(levels: dict[int, int], n: int, falling: bool) -> tuple[list[list[int]], int | None]:
    ordered = [[price, levels[price]] for price in sorted(levels, reverse=falling)]
    return ordered[:n], ordered[n - 1][0] if len(ordered) > n else None


class TestMerging:
    @given(st.lists(side, min_size=1, max_size=5), st.integers(1, 8), st.booleans(), st.sets(st.integers(0, 4)))
    def test_any_subset_is_exact_as_far_as_it_is_shown(
        self, books: list[dict[int, int]], n: int, falling: bool, wanted: set[int]
    ) -> None:
        """Against the whole books: every row shown is right, none before the last is missing, and there are n of them
        as long as there is anything."""
        lists = [best(levels, n, falling) for levels in books]
        rows = merge([units for units, _ in lists], [reach for _, reach in lists], falling=falling, wanted=wanted)
        chosen = [number for number in range(len(books)) if number in wanted]
        prices = sorted({price for number in chosen for price in books[number]}, reverse=falling)
        truth = [
            (
                price,
                sum(books[number].get(price, 0) for number in chosen),
                [(number, books[number][price]) for number in chosen if price in books[number]],
            )
            for price in prices
        ]
        assert rows == truth[: len(rows)]
        assert len(rows) >= min(n, len(truth))

    @given(side, st.integers(1, 9), st.integers(1, 40), st.booleans())
    def test_groups_hold_everything(self, levels: dict[int, int], width: int, n: int, up: bool) -> None:
        units = [[price, levels[price]] for price in sorted(levels, reverse=not up)]
        groups, reach = group(units, width, n, up=up, whole=True)
        expected: dict[int, int] = {}
        for price, size in units:
            to = -(-price // width) * width if up else price // width * width
            expected[to] = expected.get(to, 0) + size
        assert [tuple(g) for g in groups] == list(expected.items())[:n]
        assert reach == (groups[-1][0] if len(expected) > n else None)

    @given(st.lists(side, min_size=1, max_size=4), st.integers(1, 6))
    def test_groups_of_parts_never_claim_more_than_is_known(self, books: list[dict[int, int]], width: int) -> None:
        """Books of which only the best five levels are known: rows up to the reach equal those of the whole books."""
        sides, reaches = [], []
        for levels in books:
            known, _reach = best(levels, 5, True)
            units, reach = group(known, width, 50, up=0, whole=len(levels) <= 5)
            sides.append(units)
            reaches.append(reach)
        truth: dict[int, int] = {}
        for levels in books:
            for price, size in levels.items():
                truth[price // width * width] = truth.get(price // width * width, 0) + size
        rows = merge(sides, reaches, falling=True)
        ordered = sorted(truth.items(), reverse=True)
        assert [(price, size) for price, size, _ in rows] == ordered[: len(rows)]


def test_a_frame_of_a_live_pair_says_so() -> None:
    assert drawn(book(*two()))["state"] == LIVE
