"""Minutes made of prints: right, or not there."""

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from feeds.domain import Candle
from feeds.exchanges.krakenfutures_bars import LATE_MS, MinuteBars
from feeds.exchanges.krakenfutures_messages import Trade

M = 60_000
BEGIN = 1_795_219_200_000


def at(seq: int, ms: int, price: int = 100, size: int = 1, kind: str = "fill") -> Trade:
    return Trade("PF_XBTUSD", f"u{seq}", "buy", seq, BEGIN + ms, Decimal(size), Decimal(price), kind)


def rows(bars: list[Candle]) -> list[tuple[int, int, int, bool]]:
    """Minute, close, volume, closed."""
    return [((bar.open_ms - BEGIN) // M, int(bar.close), int(bar.base_volume), bar.closed) for bar in bars]


def test_the_first_minute_of_the_history_is_not_told() -> None:
    bars = MinuteBars("A")
    made = bars.begin([at(1, 30_000), at(2, M - 1, 90), at(3, M, 110, 2), at(4, 2 * M, 120)], None)
    assert rows(made) == [(1, 110, 2, True), (2, 120, 1, False)]


def test_a_history_of_nothing_begins_with_the_next_minute_of_the_clock() -> None:
    bars = MinuteBars("A")
    assert bars.begin([], BEGIN + 5) == []
    assert bars.take(at(1, 10)) == []
    assert rows(bars.take(at(2, M + 10, 99))) == [(1, 99, 1, False)]


def test_a_bar_opens_high_low_close() -> None:
    bars = MinuteBars("A")
    bars.begin([at(1, 0)], None)
    for seq, price in ((2, 105), (3, 120), (4, 90), (5, 101)):
        (bar,) = bars.take(at(seq, M + seq, price, seq))
    assert (bar.open, bar.high, bar.low, bar.close, bar.base_volume) == (100, 120, 90, 101, 14)


def test_a_bar_opens_where_the_one_before_closed() -> None:
    """As those of the charts do: closes 91045.5 and 91415 were followed by opens of 91045.5 and 91415."""
    bars = MinuteBars("A")
    bars.begin([at(1, 0, 200), at(2, M, 105)], None)
    (bar,) = bars.running()
    assert (bar.open, bar.high, bar.low, bar.close) == (200, 200, 105, 105)


def test_a_hole_in_the_numbers_costs_the_minute() -> None:
    bars = MinuteBars("A")
    bars.begin([at(1, 0)], None)
    assert rows(bars.take(at(2, M, 5))) == [(1, 5, 1, False)]
    assert bars.take(at(4, M + 1, 6)) == []
    assert bars.take(at(5, M + 2, 7)) == []
    assert rows(bars.take(at(6, 2 * M, 8))) == [(2, 8, 1, False)]


def test_a_print_that_came_before_changes_nothing() -> None:
    bars = MinuteBars("A")
    bars.begin([at(1, 0)], None)
    bars.take(at(2, M, 5))
    assert bars.take(at(2, M, 5)) == []
    assert rows(bars.running()) == [(1, 5, 1, False)]


def test_what_was_not_matched_by_the_book_counts_but_is_no_print() -> None:
    bars = MinuteBars("A")
    bars.begin([at(1, 0)], None)
    bars.take(at(2, M, 5))
    assert bars.take(at(3, M + 1, 999, kind="block")) == []
    assert rows(bars.take(at(4, M + 2, 6))) == [(1, 6, 2, False)]


def test_heartbeats_close_a_minute_and_quiet_ones_are_flat() -> None:
    bars = MinuteBars("A")
    bars.begin([at(1, 0)], None)
    bars.take(at(2, M, 5))
    assert bars.advance(BEGIN + 2 * M + LATE_MS - 1) == []
    assert rows(bars.advance(BEGIN + 2 * M + LATE_MS)) == [(1, 5, 1, True), (2, 5, 0, False)]
    assert rows(bars.advance(BEGIN + 4 * M + LATE_MS)) == [(2, 5, 0, True), (3, 5, 0, True), (4, 5, 0, False)]


def test_a_quiet_market_has_a_flat_bar_from_the_first_whole_minute() -> None:
    bars = MinuteBars("A")
    bars.begin([at(1, 0, 7)], None)
    assert bars.advance(BEGIN + M + LATE_MS - 1) == []
    assert rows(bars.advance(BEGIN + M + LATE_MS)) == [(1, 7, 0, False)]


def test_a_late_print_corrects_the_minute_before() -> None:
    bars = MinuteBars("A")
    bars.begin([at(1, 0)], None)
    bars.take(at(2, M, 5))
    bars.advance(BEGIN + 2 * M + LATE_MS)
    assert rows(bars.take(at(3, 2 * M - 1, 9))) == [(1, 9, 2, True), (2, 9, 0, False)]
    assert rows(bars.take(at(4, 2 * M + 5, 8))) == [(2, 8, 1, False)]
    made = bars.take(at(5, 2 * M - 1, 4))
    assert rows(made) == [(1, 4, 3, True), (2, 8, 1, False)]
    assert (made[1].open, made[1].high, made[1].low) == (4, 8, 4)


def test_one_that_is_later_than_that_costs_the_minute() -> None:
    bars = MinuteBars("A")
    bars.begin([at(1, 0)], None)
    bars.take(at(2, 3 * M, 5))
    assert bars.take(at(3, M, 9)) == []
    assert bars.take(at(4, 3 * M + 1, 5)) == []
    assert rows(bars.take(at(5, 4 * M, 6))) == [(4, 6, 1, False)]


def test_a_clock_that_jumps_does_not_make_bars_without_end() -> None:
    bars = MinuteBars("A")
    bars.begin([at(1, 0)], None)
    bars.take(at(2, M, 5))
    assert len(bars.advance(10**14)) == 2


@given(data=st.data())
def test_what_is_told_is_what_the_prints_say(data: Any) -> None:
    """Against sums over all prints: some are lost, some come twice, heartbeats come in between."""
    now = 0
    prints: list[Trade] = []
    for seq in range(1, data.draw(st.integers(5, 60))):
        now += data.draw(st.integers(0, 40_000))
        prints.append(at(seq, now, data.draw(st.integers(1, 50)), data.draw(st.integers(1, 5))))
    joined = data.draw(st.integers(0, 4))
    bars = MinuteBars("A")
    told = bars.begin(prints[:joined], BEGIN)
    seen = prints[:joined]
    for trade in prints[joined:]:
        if data.draw(st.integers(0, 9)) == 0:
            continue
        if data.draw(st.booleans()):
            told += bars.advance(trade.time)
        told += bars.take(trade)
        told += bars.take(trade)
        seen.append(trade)
    last: dict[int, Candle] = {}
    for bar in told:
        known = last.get(bar.open_ms)
        assert known is None or not known.closed
        last[bar.open_ms] = bar
    for open_ms, bar in last.items():
        if not bar.closed:
            continue
        inside = [trade for trade in prints if open_ms <= trade.time < open_ms + M]
        lost = [trade for trade in inside if trade not in seen]
        if lost:
            continue  # a hole that nothing has shown yet: the next print's number will
        assert bar.base_volume == sum(trade.qty for trade in inside)
        if inside:
            before = [trade.price for trade in prints if trade.time < open_ms][-1:]
            prices = before + [trade.price for trade in inside]
            assert (bar.open, bar.high, bar.low, bar.close) == (prices[0], max(prices), min(prices), prices[-1])
