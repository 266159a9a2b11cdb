"""What a fresh book shows of the running one. How one takes over, the engine shows: test_lmex_engine.py."""

from hypothesis import given
from hypothesis import strategies as st

from feeds.book import OrderBook
from feeds.domain import BookSnapshot, Level
from feeds.markets.fresh_books import difference


def book(bids: list[Level], asks: list[Level], depth: int | None = None) -> OrderBook:
    made = OrderBook()
    made.replace(BookSnapshot(symbol="X", bids=bids, asks=asks, seq=1, depth=depth))
    return made


BIDS = [(9.0, 1.0), (8.0, 2.0), (7.0, 3.0)]
ASKS = [(10.0, 1.0), (11.0, 2.0)]


def test_equal_books() -> None:
    assert difference(book(BIDS, ASKS), book(BIDS, ASKS)) == ""


def test_a_wrong_size_and_a_ghost_level() -> None:
    assert difference(book([(9.0, 1.0), (8.0, 2.5), (7.0, 3.0)], ASKS), book(BIDS, ASKS)) == (
        "bids[1] was [(8.0, 2.5)], is [(8.0, 2.0)]"
    )
    assert difference(book(BIDS, [(9.5, 1.0), *ASKS]), book(BIDS, ASKS)) == "asks[0] was [(9.5, 1.0)], is [(10.0, 1.0)]"


def test_a_missing_last_level_shows_where_both_are_known_to_their_end() -> None:
    assert difference(book(BIDS[:2], ASKS), book(BIDS, ASKS)) == "bids[2] was [], is [(7.0, 3.0)]"
    assert difference(book(BIDS[:2], ASKS, depth=2), book(BIDS, ASKS)) == "", "ours was never told of the third"


@given(st.lists(st.integers(1, 100), unique=True, min_size=3, max_size=70), st.integers(1, 60), st.data())
def test_one_change_within_the_known_part_is_found(prices: list[int], depth: int, data: st.DataObject) -> None:
    levels = [(float(price), 1.0) for price in sorted(prices, reverse=True)]
    known = levels[:depth]
    at = data.draw(st.integers(0, min(len(known), 50) - 1))
    wrong = [*known[:at], (known[at][0], 2.0), *known[at + 1 :]]
    assert difference(book(wrong, [(200.0, 1.0)], depth), book(known, [(200.0, 1.0)], depth)).startswith(f"bids[{at}]")
    assert difference(book(known, [(200.0, 1.0)], depth), book(levels, [(200.0, 1.0)], len(levels))) == ""
