"""Which levels of a running book a later one by REST shows to be wrong. The engine at it: test_alpaca_engine.py."""

from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.domain import BookSnapshot, Level, StreamState
from feeds.errors import TransportError
from feeds.markets import compared_books
from feeds.markets.compared_books import ComparedBooks, Wrong, _wrong
from tests.feeds.test_market import Stage

BIDS = {9.0: 1.0, 8.0: 2.0, 7.0: 3.0}


def test_equal_levels_and_such_as_moved_are_right() -> None:
    assert _wrong("bids", -1, BIDS, BIDS, BIDS.items()) == []
    assert _wrong("bids", -1, BIDS, {9.0: 1.0, 7.0: 3.0}, [(9.0, 1.0), (8.0, 5.0), (7.0, 3.0)]) == []
    assert _wrong("bids", -1, BIDS, {**BIDS, 9.5: 4.0}, [(9.5, 4.0), *BIDS.items()]) == [], "it was on its way"


def test_a_size_a_ghost_and_a_missing_level() -> None:
    told = [(9.0, 1.0), (8.0, 2.5), (7.5, 4.0), (6.0, 0.0)]
    assert sorted(_wrong("bids", -1, BIDS, BIDS, told)) == [
        Wrong("bids", 7.0, 3.0, 0.0),
        Wrong("bids", 7.5, 0.0, 4.0),
        Wrong("bids", 8.0, 2.0, 2.5),
    ]


@given(st.integers(1, 120), st.data())
def test_beyond_the_best_levels_of_the_answer_nothing_is_said(count: int, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, count - 1))
    told: list[Level] = [(float(price), 1.0) for price in range(1, count + 1)]
    ours = {**dict(told), float(at + 1): 7.0}
    assert bool(_wrong("asks", +1, ours, ours, reversed(told))) is (at < compared_books.COMPARED)


class Desk:
    """A venue whose REST answers are given, and whose tasks are run by hand."""

    def __init__(self, *answers: BookSnapshot | Exception) -> None:
        self.stage = Stage(from_rest=False)
        self.stage.live()
        self.feed, self.answers = self.stage.feed, list(answers)
        self.work: list[Coroutine[Any, Any, None]] = []
        venue = SimpleNamespace(feeds={"BTC/USDT": self.feed}, name="x", keeper=SimpleNamespace(snapshot=self._answer))
        self.books = ComparedBooks(cast(Any, venue), 60.0, self.stage.clock, lambda task, _: self.work.append(task))

    async def _answer(self, market: object) -> tuple[BookSnapshot, int]:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer, 1

    async def minute(self) -> int:
        """How many comparisons began within a good minute."""
        began = 0
        for _ in range(5):
            self.feed.data_ns = self.stage.clock.now_ns()  # a busy market
            self.feed.evaluate()
            self.books.tick(self.feed)
            work, self.work = self.work, []
            began += len(work)
            with patch("feeds.markets.compared_books.SETTLE_S", 0.0):
                for task in work:
                    await task
            if began:
                break
            self.stage.clock.advance(15.1)
        return began


def told(*changes: Level, ms: int | None = 9) -> BookSnapshot:
    bids = {100.0: 1.0, 99.5: 2.0} | dict(changes)
    return BookSnapshot(symbol="BTC/USDT", exchange_ms=ms, bids=list(bids.items()), asks=[(100.5, 1.5), (101.0, 3.0)])


async def test_what_differs_twice_is_wrong() -> None:
    desk = Desk(told((99.5, 7.0)), told((99.5, 7.0)))
    assert await desk.minute() == 1
    assert (desk.feed.differences, desk.feed.sync.resyncs) == (1, 1)
    assert desk.feed.state is StreamState.RESYNC
    assert "own book showed ours to be wrong" in desk.feed.reason


@pytest.mark.parametrize(
    "answers",
    [
        [told()],
        [told((99.5, 7.0)), told()],  # it was changed back
        [told((99.5, 7.0)), told((99.5, 8.0))],  # it moves
        [told((99.5, 7.0), ms=4)],  # older than our book: a cache
        [told((99.5, 7.0), ms=None)],
        [told((99.5, 7.0)), told((99.5, 7.0), ms=4)],
        [TransportError("no answer")],
    ],
)
async def test_what_does_not_is_not(answers: list[BookSnapshot | Exception]) -> None:
    desk = Desk(*answers)
    assert await desk.minute() == 1
    assert (desk.answers, desk.feed.differences, desk.feed.state) == ([], 0, StreamState.LIVE)
    desk.answers = [told()]
    assert await desk.minute() == 1, "and it is asked again"


async def test_answers_that_never_agree_are_asked_for_less_often() -> None:
    """The exchange's REST may not be what its stream tells: books must not be dropped every minute for that."""
    desk = Desk(*[told((99.5, 7.0))] * 40)
    began = []
    for _ in range(10):
        began.append(await desk.minute())
        if not desk.feed.sync.ready:
            desk.stage.live()
    assert began[0] == 1
    assert 2 <= sum(began) <= 5, began


async def test_a_book_that_is_not_in_use_is_not_compared() -> None:
    desk = Desk()
    desk.feed.on_lost("test")
    assert await desk.minute() == 0
