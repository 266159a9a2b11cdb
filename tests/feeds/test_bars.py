"""Long bars from short ones: right, or not there."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.bars import BarKit, LongBars, source_of
from feeds.domain import INTERVALS, Candle

MINUTE = 60_000
START = 1_795_219_200_000  # a day begins


def short(minute: int, price: int = 100, volume: int = 1, *, closed: bool = True) -> Candle:
    """A bar of a minute that goes from ``price`` up to ``price + 2``, down to ``price - 1``, and ends at + 1."""
    values = {name: Decimal(price + step) for name, step in (("open", 0), ("high", 2), ("low", -1), ("close", 1))}
    return Candle(
        symbol="A/USD:USD",
        interval="1m",
        open_ms=START + minute * MINUTE,
        base_volume=Decimal(volume),
        closed=closed,
        **values,
    )


def only(bars: Sequence[Candle]) -> Candle:
    (bar,) = bars
    return bar


@pytest.mark.parametrize(
    ("interval", "streamed", "source"),
    [("1m", ("1m",), "1m"), ("1d", ("1m", "5m"), "5m"), ("15m", ("5m",), "5m"), ("5m", tuple(INTERVALS), "5m")],
)
def test_the_source(interval: str, streamed: tuple[str, ...], source: str) -> None:
    assert source_of(interval, streamed) == source


@pytest.mark.parametrize("streamed", [(), ("15m",)])
def test_bars_that_cannot_be_made(streamed: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="bars of 5m cannot be made from"):
        source_of("5m", streamed)


def test_a_bar_whose_beginning_the_stream_saw_needs_no_history() -> None:
    bars = LongBars("5m", "1m")
    first = only(bars.take(short(5, 100, closed=False)))
    assert (first.open_ms, first.open, first.close, first.closed) == (START + 5 * MINUTE, 100, 101, False)
    bars.take(short(5, 100))
    second = only(bars.take(short(6, 90, 4, closed=False)))
    assert (second.open, second.high, second.low, second.close, second.base_volume) == (100, 102, 89, 91, 5)
    assert not bars.wants_history


def test_a_bar_that_began_before_waits_for_history() -> None:
    bars = LongBars("5m", "1m")
    assert bars.take(short(7, 70, closed=False)) == []
    assert bars.wants_history
    assert bars.seed([short(4), short(5, 50), short(6, 60, closed=False)]) == [], "the last one was still open"
    assert bars.seed([short(6, 60)]) == [], "the first one is missing"
    whole = only(bars.seed([short(4), short(5, 50), short(6, 60), short(7, 1), short(8, 1, closed=False)]))
    assert (whole.open, whole.high, whole.low, whole.close, whole.base_volume) == (50, 72, 49, 71, 3)
    assert not bars.wants_history
    assert bars.seed([short(5, 1), short(6, 1)]) == [], "nothing is taken twice"


def test_a_hole_in_the_stream_takes_the_bar_back_to_history() -> None:
    bars = LongBars("5m", "1m")
    bars.take(short(5))
    bars.take(short(6, closed=False))  # its end is not seen
    assert bars.take(short(8, closed=False)) == []
    assert bars.wants_history
    assert only(bars.seed([short(5), short(6), short(7)])).base_volume == 4


def test_a_bar_whose_end_was_not_seen_is_not_part_of_a_whole() -> None:
    bars = LongBars("5m", "1m")
    bars.take(short(5, closed=False))
    assert bars.take(short(6, closed=False)) == []
    assert bars.wants_history


def test_the_last_short_bar_closes_the_long_one() -> None:
    bars = LongBars("5m", "1m")
    for minute in range(5, 10):
        bars.take(short(minute))
    closed, running = bars.take(short(10, 7, closed=False))
    assert (closed.closed, closed.open_ms, closed.base_volume) == (True, START + 5 * MINUTE, 5)
    assert (running.closed, running.open_ms, running.open) == (False, START + 10 * MINUTE, 7)


def test_a_correction_of_an_earlier_short_bar() -> None:
    bars = LongBars("5m", "1m")
    bars.take(short(5, 100))
    bars.take(short(6, 100, closed=False))
    assert only(bars.take(short(5, 200))).high == 202
    assert bars.take(short(4, 300)) == [], "of a bar that is over"


def test_a_new_stream_begins_from_nothing() -> None:
    bars = LongBars("5m", "1m")
    bars.take(short(5))
    bars.restart()
    assert not bars.wants_history
    assert bars.take(short(6)) == []
    assert bars.wants_history


def test_a_kit_asks_for_the_longest_history() -> None:
    kit = BarKit(("1m",))
    for interval in ("1m", "5m", "1d"):
        kit.watch(interval)
    assert kit.wanted() == {}
    assert kit.take(short(721)) == []
    assert kit.wanted() == {"1m": 1442}
    made = kit.seed("1m", [short(minute) for minute in range(721)])
    assert [(bar.interval, bar.base_volume) for bar in made] == [("5m", 2), ("1d", 722)]
    assert kit.wanted() == {}
    kit.unwatch("5m")
    assert [bar.interval for bar in kit.take(short(722))] == ["1d"]
    kit.restart()
    assert kit.wanted() == {}


@given(data=st.data())
def test_what_is_told_is_the_sum_of_all_short_bars(data: Any) -> None:
    """Against the plain sum: the stream joins and breaks anywhere, history comes early, late, short or open."""
    price = st.integers(10, 1000)
    minutes = [short(n, data.draw(price), data.draw(st.integers(0, 9))) for n in range(40)]
    bars = LongBars("15m", "1m")
    told: list[Candle] = []
    known: dict[int, Candle] = {}  # the newest of each long bar

    def check(made: list[Candle], upto: int) -> None:
        for bar in made:
            begin = (bar.open_ms - START) // MINUTE
            parts = minutes[begin : min(upto + 1, begin + 15)]
            assert (bar.open, bar.close) == (parts[0].open, parts[-1].close)
            assert (bar.high, bar.low) == (max(p.high for p in parts), min(p.low for p in parts))
            assert bar.base_volume == sum(p.base_volume for p in parts)
            assert bar.closed == (upto >= begin + 15)
            known[bar.open_ms] = bar
            told.append(bar)

    for n in range(data.draw(st.integers(0, 30)), 40):
        match data.draw(st.sampled_from(["closed", "closed", "closed", "lost", "restart"])):
            case "lost":
                continue
            case "restart":
                bars.restart()
        check(bars.take(minutes[n]), n)
        if data.draw(st.booleans()):
            begin = data.draw(st.integers(0, n))
            check(bars.seed(minutes[begin : n + 1]), n)
    assert all(a.open_ms <= b.open_ms for a, b in pairwise(told))
