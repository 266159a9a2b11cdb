"""The few things that values can do by themselves."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.domain import INTERVALS, Channel, Market, StreamState, Subscription, decimals


@pytest.mark.parametrize(
    ("step", "digits"),
    [
        ("0.10", 1),
        ("0.1", 1),
        ("0.01000", 2),
        ("1E-8", 8),
        ("0.00000001", 8),
        ("1", 0),
        ("1.000", 0),
        ("5", 0),
        ("10", 0),
        ("1E+3", 0),
        ("0.5", 1),
        ("0.25", 2),
        ("0", 0),
        ("NaN", 0),
        ("Infinity", 0),
    ],
)
def test_decimals(step: str, digits: int) -> None:
    assert decimals(Decimal(step)) == digits


@given(st.integers(1, 10**9), st.integers(-5, 12), st.integers(1, 10**6))
def test_decimals_are_enough_for_every_multiple_and_no_more(units: int, places: int, times: int) -> None:
    step = Decimal(units).scaleb(-places)
    digits = decimals(step)
    assert (step * times).scaleb(digits) % 1 == 0
    assert digits == 0 or step.scaleb(digits - 1) % 1 != 0


def test_a_market_knows_its_digits() -> None:
    market = Market(
        exchange="kraken",
        symbol="BTC/USD",
        native="BTC/USD",
        product="spot",
        base="BTC",
        quote="USD",
        tick=Decimal("0.50"),
        lot=Decimal("1E-8"),
    )
    assert (market.price_decimals, market.size_decimals) == (1, 8)


def test_values_cannot_be_changed_and_are_compared_by_content() -> None:
    one, same = (Subscription(channel=Channel.BOOK, symbol="BTC/USD") for _ in range(2))
    assert one == same and len({one, same}) == 1
    with pytest.raises(AttributeError):
        one.symbol = "ETH/USD"


def test_a_subscription_as_text() -> None:
    assert str(Subscription(channel=Channel.BOOK, symbol="BTC/USD")) == "book BTC/USD"
    assert str(Subscription(channel=Channel.CANDLES, symbol="BTC/USD", interval="1m")) == "candles@1m BTC/USD"


def test_which_states_may_be_relied_on() -> None:
    """As docs/protocol.md section 2.6 says."""
    assert {state for state in StreamState if state.usable} == {
        StreamState.LIVE,
        StreamState.QUIET,
        StreamState.SLOW,
        StreamState.POLLED,
    }


def test_intervals_are_whole_minutes_in_rising_order() -> None:
    assert list(INTERVALS.values()) == sorted(INTERVALS.values())
    assert all(length_ms % 60_000 == 0 for length_ms in INTERVALS.values())
