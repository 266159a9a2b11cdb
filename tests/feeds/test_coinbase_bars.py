"""Coinbase's running bars: those of a minute from the prints, exact or not told at all; those of five as streamed."""

from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from feeds.domain import Candle, Trade
from feeds.exchanges.coinbase_bars import MinuteBars
from tests.feeds.coinbase_world import frame, listed, session, sub, trade

MINUTE = 60_000


def told(made: Any, number: int, rows: list[Any], kind: str = "update") -> list[Candle]:
    events = made.parse(frame("market_trades", number, {"type": kind, "trades": list(reversed(rows))}))
    return [event for event in events if isinstance(event, Candle)]


def watching() -> Any:
    made = session()
    made.subscribe([sub("candles", interval="1m")])
    made.parse(frame("subscriptions", 0, listed(market_trades=["BTC-USD"])))
    return made


def figures(bars: list[Candle]) -> list[tuple[int, str, bool]]:
    return [
        (b.open_ms // MINUTE % 100, " ".join(map(str, (b.open, b.high, b.low, b.close, b.base_volume))), b.closed)
        for b in bars
    ]


class TestMinutes:
    def test_the_minute_in_which_we_came_is_not_told(self) -> None:
        made = watching()
        assert told(made, 1, [trade(1, 59_000), trade(2, 59_500, price="101")]) == []
        (first,) = told(made, 2, [trade(3, 60_100, price="102", size="0.5")])
        assert figures([first]) == [(first.open_ms // MINUTE % 100, "102 102 102 102 0.5", False)]
        (same,) = told(made, 3, [trade(4, 61_000, price="99", size="0.25"), trade(5, 62_000, price="100", size="1")])
        assert figures([same])[0][1:] == ("102 102 99 100 1.75", False)
        closed, running = told(made, 4, [trade(6, 121_000)])
        assert (closed.closed, closed.close, running.closed) == (True, Decimal(100), False)
        assert running.open_ms - closed.open_ms == MINUTE

    def test_a_snapshot_that_reaches_back_beyond_the_minute_tells_it(self) -> None:
        made = watching()
        bars = told(
            made, 1, [trade(1, 59_000), trade(2, 60_500, price="101"), trade(3, 61_000, price="103")], "snapshot"
        )
        assert figures(bars)[-1][1:] == ("101 103 101 103 2", False)

    def test_minutes_without_a_print_are_flat_when_the_ids_prove_it(self) -> None:
        made = watching()
        told(made, 1, [trade(1, 59_000), trade(2, 60_500, price="101")])
        bars = told(made, 2, [trade(3, 5 * MINUTE, price="99")])
        assert [b.closed for b in bars] == [True, False]
        assert figures(bars[:1])[0][1] == "101 101 101 101 0"
        assert bars[1].open_ms - bars[0].open_ms == MINUTE

    def test_a_missing_print_ends_the_bar_until_the_next_minute(self) -> None:
        made = watching()
        told(made, 1, [trade(1, 59_000), trade(2, 60_500)])
        assert told(made, 2, [trade(4, 61_000)]) == []
        assert told(made, 3, [trade(5, 62_000)]) == []
        (bar,) = told(made, 4, [trade(6, 121_000, price="7")])
        assert figures([bar])[0][1] == "7 7 7 7 1"

    def test_the_snapshot_of_a_new_subscription_mends_it(self) -> None:
        made = watching()
        told(made, 1, [trade(1, 59_000), trade(2, 60_500)])
        told(made, 2, [trade(4, 61_000, price="103")])
        rows = [trade(1, 59_000), trade(2, 60_500), trade(3, 60_900, price="105"), trade(4, 61_000, price="103")]
        bars = told(made, 3, rows, "snapshot")
        assert figures(bars)[-1][1] == "100 105 100 103 3"

    def test_a_snapshot_of_what_is_known_counts_nothing_twice(self) -> None:
        made = watching()
        rows = [trade(1, 59_000), trade(2, 60_500), trade(3, 61_000)]
        told(made, 1, rows)
        assert told(made, 2, rows, "snapshot") == []
        (bar,) = told(made, 3, [trade(4, 62_000)])
        assert bar.base_volume == 3

    def test_nobody_wants_them(self) -> None:
        made = session()
        assert told(made, 0, [trade(1, 59_000), trade(2, 60_500), trade(3, 61_000)]) == []

    @settings(max_examples=150, deadline=None)
    @given(
        steps=st.lists(st.tuples(st.integers(0, 40_000), st.integers(90, 110), st.integers(1, 9)), min_size=1),
        cuts=st.lists(st.integers(1, 5)),
    )
    def test_told_bars_are_the_naive_ones(self, steps: list[Any], cuts: list[int]) -> None:
        """Prints in batches of any size: every bar that is told is what grouping all prints by minute gives."""
        at_ms, rows = 0, []
        for number, (wait_ms, price, size) in enumerate(steps, start=1):
            at_ms += wait_ms
            rows.append(
                Trade(
                    symbol="X",
                    id=str(number),
                    side="buy",
                    price=Decimal(price),
                    size=Decimal(size),
                    exchange_ms=at_ms,
                )
            )
        maker, newest = MinuteBars("X"), {}
        left = list(rows)
        for cut in [*cuts, len(rows)]:
            batch, left = left[:cut], left[cut:]
            newest |= {bar.open_ms: bar for bar in maker.take(batch, snapshot=False)}
        first_ms = rows[0].exchange_ms // MINUTE * MINUTE
        by_minute: dict[int, list[Trade]] = {}
        for row in rows:
            by_minute.setdefault(row.exchange_ms // MINUTE * MINUTE, []).append(row)
        assert {ms for ms in by_minute if ms != first_ms} <= newest.keys()
        assert first_ms not in newest
        for open_ms, bar in newest.items():
            own = by_minute.get(open_ms, [])
            prices = [row.price for row in own] or [bar.close]
            assert (bar.open, bar.close, bar.high, bar.low) == (prices[0], prices[-1], max(prices), min(prices))
            assert bar.base_volume == sum(row.size for row in own)
            assert bar.closed == (open_ms != max(newest))


class TestFiveMinutes:
    def bars(self, made: Any, number: int, *starts: int, kind: str = "update", close: str = "1") -> list[Candle]:
        rows = [
            {
                "start": str(start),
                "high": "2",
                "low": "1",
                "open": "1",
                "close": close,
                "volume": "3",
                "product_id": "BTC-USD",
            }
            for start in starts
        ]
        return list(made.parse(frame("candles", number, {"type": kind, "candles": rows})))

    def test_the_newest_two_of_the_snapshot_and_closed_by_the_next(self) -> None:
        made = session()
        first = self.bars(made, 0, 0, 300, 1500, kind="snapshot")
        assert [(b.open_ms, b.closed) for b in first] == [(300_000, True), (1_500_000, False)], "a hole stays a hole"
        (same,) = self.bars(made, 1, 1500, close="1.5")
        assert (same.close, same.closed) == (Decimal("1.5"), False)
        closed, running = self.bars(made, 2, 1800)
        assert (closed.open_ms, closed.close, closed.closed) == (1_500_000, Decimal("1.5"), True)
        assert (running.open_ms, running.closed) == (1_800_000, False)
        assert self.bars(made, 3, 300) == []
