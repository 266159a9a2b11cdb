"""What the market really did: mixtures of two states, and going back in time."""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from tests.conformance.truth import Book, Side

ASKS: Side = ((20, 1), (21, 1))


def book(*states: Side, mixed: bool = True) -> Book:
    """A market whose bids were these, one state after the other."""
    engine: Any = SimpleNamespace(update_id=0, bids=None, asks=SimpleNamespace(top=lambda n: list(ASKS)))
    market: Any = SimpleNamespace(
        instrument=SimpleNamespace(symbol="X", tick=Decimal(1), lot=Decimal(1), book=True),
        recent=[],
        engine=engine,
        candles=SimpleNamespace(
            series=lambda _: [SimpleNamespace(open_ms=0, open=1, high=1, low=1, close=1, volume=0)]
        ),
    )
    made = None
    for number, bids in enumerate(states):
        engine.update_id, engine.bids = number, SimpleNamespace(top=lambda n, bids=bids: list(bids))
        if made is None:
            made = Book(market, mixed=mixed)
        else:
            made.note([], [])
    assert made is not None and len(made.states) == len(states)
    return made


FIRST: Side = ((10, 1), (9, 1), (8, 1))
SECOND: Side = ((10, 2), (9, 1), (8, 1))
THIRD: Side = ((10, 1), (9, 1), (8, 5))


def test_a_mixture_that_looks_like_a_state_of_before_is_none() -> None:
    """Of the changes to the third state the first takes back what made the second."""
    assert book(FIRST, SECOND, THIRD).find(FIRST, ASKS, after=1).number == 2


def test_a_state_of_before_that_nothing_leads_to_goes_back_in_time() -> None:
    other: Side = ((10, 2), (9, 4), (8, 1))
    with pytest.raises(AssertionError, match="state 0 is shown after state 1"):
        book(FIRST, SECOND, other).find(FIRST, ASKS, after=1)
    with pytest.raises(AssertionError, match="state 0 is shown after state 1"):
        book(FIRST, SECOND, THIRD, mixed=False).find(FIRST, ASKS, after=1)


def test_what_was_never_so() -> None:
    with pytest.raises(AssertionError, match="never like this"):
        book(FIRST, SECOND).find(((10, 7), (9, 1)), ASKS)
