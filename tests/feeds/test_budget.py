"""The bookkeeping of a REST budget, without a network."""

from hypothesis import given
from hypothesis import strategies as st

from feeds.budget import Weights
from feeds.exchange import Budget

S = 1_000_000_000
MINUTE = 60 * S
T0 = 29_000_000 * MINUTE + 10 * S  # ten seconds into a minute


def weights(**fields: float) -> Weights:
    return Weights(Budget(**({"limit": 6000, "per_s": 60} | fields)))


def test_shares() -> None:
    books = weights()
    assert (books.allowed(False), books.allowed(True)) == (3000, 5700)
    assert weights(share=1.0).allowed(False) == 5700, "never the whole limit"


def test_a_window_is_the_clock_s_minute() -> None:
    books = weights()
    books.take(3000, T0)
    books.answered(3000, None, T0, T0 + S)
    assert not books.fits(1, False, T0 + 49 * S)
    assert books.fits(1, True, T0 + 49 * S)
    assert books.left_s(T0) == 50
    assert books.fits(3000, False, T0 + 50 * S)


def test_what_is_in_flight_over_the_edge_counts_in_both_windows() -> None:
    books = weights()
    books.take(1000, T0 + 49 * S)
    assert books.used(T0 + 51 * S) == 1000
    books.answered(1000, 1000, T0 + 49 * S, T0 + 51 * S)  # told of which window? not known
    assert books.used(T0 + 52 * S) == 1000


def test_told_more_than_known() -> None:
    books = weights()
    books.take(10, T0)
    books.take(5, T0)
    books.answered(10, 2000, T0, T0 + S)
    assert books.used(T0 + S) == 2005, "what the exchange told, and what is still under way"
    books.answered(5, 1990, T0, T0 + S)  # an answer overtaken by another
    assert books.used(T0 + S) == 2005


def test_told_that_the_exchange_s_window_began_anew() -> None:
    books = weights()
    for now_ns, told in ((T0, 2900), (T0 + 2 * S, 30)):
        books.take(10, now_ns)
        books.answered(10, told, now_ns, now_ns)
        assert books.used(now_ns) == told


def test_what_is_told_early_in_a_window_may_be_of_the_former() -> None:
    books = weights()
    early = T0 + 50 * S + S // 2
    books.take(10, early)
    books.answered(10, 5000, early, early)
    assert books.used(early) == 10


steps = st.lists(
    st.tuples(st.sampled_from(["ask", "urgent", "answer", "drop"]), st.integers(1, 400), st.integers(0, 20)),
    max_size=80,
)


@given(steps)
def test_never_above_the_share(steps: list[tuple[str, int, int]]) -> None:
    """Whatever is asked for in whatever order, no window of the clock sees more than was allowed."""
    books = weights(limit=1000)
    now_ns = T0
    open_: list[tuple[int, int]] = []
    ordinary: dict[int, int] = {}
    total: dict[int, int] = {}
    for what, weight, seconds in steps:
        now_ns += seconds * S
        window = now_ns // MINUTE
        if what in ("ask", "urgent") and books.fits(weight, what == "urgent", now_ns):
            books.take(weight, now_ns)
            open_.append((weight, now_ns))
            total[window] = total.get(window, 0) + weight
            if what == "ask":
                ordinary[window] = ordinary.get(window, 0) + weight
        elif open_ and what == "answer":
            weight, sent_ns = open_.pop()
            books.answered(weight, total.get(window), sent_ns, now_ns)
        elif open_ and what == "drop":
            weight, sent_ns = open_.pop(0)
            books.answered(weight, None, sent_ns, now_ns)
    assert all(used <= 500 for used in ordinary.values())
    assert all(used <= 950 for used in total.values())
