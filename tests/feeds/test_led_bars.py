"""Candles that are polled, and led on by the trades."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from feeds.domain import Candle, Trade
from feeds.led_bars import LedBars

MINUTE = 60_000


def trade(ms: int, price: int, size: int = 1) -> Trade:
    return Trade(symbol="BTC/USD", id=str(ms), side="buy", price=Decimal(price), size=Decimal(size), exchange_ms=ms)


def row(open_ms: int, prices: str, volume: int, *, closed: bool = False) -> Candle:
    """``prices``: open, high, low, close."""
    opened, high, low, close = map(Decimal, prices.split())
    return Candle(
        symbol="BTC/USD",
        interval="1m",
        open_ms=open_ms,
        open=opened,
        high=high,
        low=low,
        close=close,
        base_volume=Decimal(volume),
        closed=closed,
    )


def test_the_bar_that_ran_when_we_came_is_led_on_but_for_its_volume() -> None:
    bars = LedBars()
    bars.join(row(0, "10 12 9 11", 100))
    assert bars.take(trade(1000, 99), 1) == [], "the first frame may hold what the row has counted"
    assert bars.take(trade(2000, 13), 2) == [row(0, "10 13 9 13", 100)]
    assert bars.take(trade(3000, 8), 3) == [row(0, "10 13 8 8", 100)]
    assert bars.join(row(0, "10 13 9 13", 103)) == row(0, "10 13 8 8", 103), "a row from before the last trade"
    assert bars.join(row(0, "10 13 8 9", 104)) == row(0, "10 13 8 9", 104), "no trade came since: the row's close"


def test_a_bar_known_from_its_beginning_is_told_from_the_trades() -> None:
    bars = LedBars()
    bars.join(row(0, "10 12 9 11", 100))
    bars.take(trade(1000, 11), 1)
    closed, bar = bars.take(trade(MINUTE + 5, 20, 2), 2)
    assert closed == row(0, "10 12 9 11", 100, closed=True)
    assert bar == row(MINUTE, "20 20 20 20", 2)
    assert bars.take(trade(MINUTE + 6, 25, 3), 3) == [row(MINUTE, "20 25 20 25", 5)]
    assert bars.join(row(MINUTE, "20 20 20 20", 2)) is None, "ours knows more"
    exact = row(MINUTE, "20 25 20 25", 5, closed=True)
    assert bars.join(row(MINUTE, "20 25 20 25", 6, closed=True)) == exact, "the row's volume is only near"
    assert bars.take(trade(MINUTE + 7, 99), 4) == [], "it is closed"


def test_the_exchange_s_own_row_of_a_closed_bar_holds() -> None:
    bars = LedBars()
    bars.join(row(0, "10 12 9 11", 100))
    bars.take(trade(1000, 11), 1)
    bars.take(trade(MINUTE, 20), 2)
    other = row(MINUTE, "20 30 20 30", 9, closed=True)
    assert bars.join(other) == other
    older = row(0, "10 12 8 11", 101, closed=True)
    assert bars.join(older) == older, "the market keeps it out of the running pair itself"
    assert bars.join(structs.replace(older, closed=False)) is None


def test_after_a_loss_the_rows_hold_again() -> None:
    bars = LedBars()
    bars.join(row(0, "10 12 9 11", 100))
    bars.take(trade(1000, 11), 1)
    bars.take(trade(MINUTE, 20), 2)
    bars.lost()
    told = row(MINUTE, "20 22 19 21", 7)
    assert bars.join(told) == told
    assert bars.take(trade(MINUTE + 9, 50), 3) == [], "the first frame of the new stream"
    assert bars.take(trade(MINUTE + 10, 23), 4) == [row(MINUTE, "20 23 19 23", 7)]


@given(st.lists(st.tuples(st.integers(0, 40_000), st.integers(1, 50), st.integers(1, 9)), min_size=1, max_size=60))
def test_bars_from_trades_are_what_a_naive_sum_gives(steps: list[tuple[int, int, int]]) -> None:
    bars, now_ms, trades = LedBars(), 0, []
    bars.join(row(0, "1 1 1 1", 0))
    bars.take(trade(0, 1), 0)
    shown: dict[int, Candle] = {}
    for recv, (step, price, size) in enumerate(steps, 1):
        now_ms += step
        trades.append(trade(now_ms, price, size))
        for bar in bars.take(trades[-1], recv):
            shown[bar.open_ms] = bar
    for open_ms, bar in shown.items():
        of = [t for t in trades if t.exchange_ms // MINUTE * MINUTE == open_ms]
        if open_ms == 0:
            continue
        prices = [t.price for t in of]
        assert (bar.open, bar.high, bar.low, bar.close) == (prices[0], max(prices), min(prices), prices[-1])
        assert bar.base_volume == sum(t.size for t in of)
        assert bar.closed is (open_ms != max(shown))
    assert set(shown) - {0} == {t.exchange_ms // MINUTE * MINUTE for t in trades} - {0}
