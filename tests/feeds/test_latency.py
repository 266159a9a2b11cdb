"""Quantiles in fixed memory."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.clock import FakeClock
from feeds.latency import LARGEST_MS, SMALLEST_MS, Histogram

values = st.floats(SMALLEST_MS, LARGEST_MS) | st.floats(-LARGEST_MS, -SMALLEST_MS) | st.just(0.0)


@given(st.lists(values, min_size=1, max_size=300), st.sampled_from([0.0, 0.01, 0.5, 0.9, 0.99, 1.0]))
def test_a_quantile_is_right_to_five_percent(sample: list[float], q: float) -> None:
    histogram = Histogram(clock=FakeClock())
    for value in sample:
        histogram.add(value)
    truth = sorted(sample)[max(1, math.ceil(q * len(sample))) - 1]
    assert histogram.quantile(q) == pytest.approx(truth, rel=0.05)


def test_beyond_the_ends() -> None:
    histogram = Histogram(clock=FakeClock())
    histogram.add(1e9)
    assert histogram.quantile(0.5) == pytest.approx(LARGEST_MS, rel=0.06)
    for _ in range(3):
        histogram.add(-1e9)
    assert histogram.quantile(0.5) == pytest.approx(-LARGEST_MS, rel=0.06)
    for _ in range(9):
        histogram.add(0.001)
    assert histogram.quantile(0.5) == 0


def test_nothing_measured() -> None:
    histogram = Histogram()
    assert histogram.quantile(0.5) is None
    assert histogram.summary() is None


def test_summary() -> None:
    histogram = Histogram(clock=FakeClock())
    for _ in range(99):
        histogram.add(10)
    histogram.add(1000)
    assert histogram.summary() == {"p50": pytest.approx(10, rel=0.05), "p99": pytest.approx(10, rel=0.05)}
    histogram.add(1000)
    assert histogram.summary() == {"p50": pytest.approx(10, rel=0.05), "p99": pytest.approx(1000, rel=0.05)}


def test_values_are_forgotten_after_about_a_window() -> None:
    clock = FakeClock()
    histogram = Histogram(window_s=60, clock=clock)
    histogram.add(1)
    clock.advance(31)
    histogram.add(100)
    assert histogram.quantile(0) == pytest.approx(1, rel=0.05)
    clock.advance(30)
    assert histogram.quantile(0) == pytest.approx(100, rel=0.05)
    clock.advance(30)
    assert histogram.quantile(0.5) is None
    histogram.add(5)
    clock.advance(3600)
    assert histogram.quantile(0.5) is None
