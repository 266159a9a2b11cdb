"""The market behind the simulated exchanges: deterministic, deep, never crossed, lively in bursts."""

from decimal import Decimal
from itertools import pairwise
from statistics import fmean, pstdev

import pytest

from feeds.simulator.candles import DAY, INTERVALS, MINUTE, bucket, bucket_end
from feeds.simulator.instruments import ASSETS, fixed
from feeds.simulator.latent import Latent
from feeds.simulator.market import World
from feeds.simulator.venues import REGISTRY, listings
from tests.feeds.simulator_help import FEW

START_MS = 1_795_219_200_000 + 12_345


def run(world, seconds, step_ms=20):
    """Advance; yields (market, prints, tops) of every step."""
    end_ms = world.now_ms + int(seconds * 1000)
    while world.now_ms < end_ms:
        for market in world.advance(world.now_ms + step_ms):
            yield market, *market.collect()


def test_the_same_seed_gives_the_same_market():
    def history(seed):
        world = World(seed, START_MS, FEW)
        return [(m.instrument.symbol, prints, tops) for m, prints, tops in run(world, 5)]

    first = history(3)
    assert first == history(3)
    assert first != history(4)


@pytest.fixture(scope="module")
def watched():
    """Forty seconds of the whole market, with what was seen on the way."""
    world = World(11, START_MS, listings(REGISTRY))
    seen = {market: {"prints": [], "steps": 0, "least": 10_000, "spreads": []} for market in world.markets.values()}
    for market, prints, _ in run(world, 40):
        row, top = seen[market], market.top
        row["prints"] += prints
        row["steps"] += 1
        row["least"] = min(row["least"], len(market.engine.bids.keys), len(market.engine.asks.keys))
        row["spreads"].append(top.ask - top.bid)
        assert 0 < top.bid < top.ask
    return world, seen


def test_books_are_deep_and_breathe(watched):
    for market, row in watched[1].items():
        assert row["least"] >= 300, market.instrument.symbol
        assert 5 * 40 <= row["steps"] <= 15 * 40
        assert len(set(row["spreads"])) > 1
        assert len(row["prints"]) > 10


def test_prints_are_numbered_without_a_gap(watched):
    for row in watched[1].values():
        ids = [each.id for each in row["prints"]]
        assert ids == list(range(ids[0], ids[0] + len(ids)))


def test_exchanges_are_close_but_not_equal(watched):
    world = watched[0]
    for base in ("BTC", "ETH"):
        mids = {
            key: market.mid() * float(market.instrument.tick)
            for key, market in world.markets.items()
            if market.instrument.base == base
        }
        assert max(mids.values()) / min(mids.values()) - 1 < 0.004
        assert len(set(mids.values())) == len(mids)


def test_volatility_comes_in_clusters():
    latent = Latent(5, ASSETS, 0)
    moves, price = [], latent.price["BTC"]
    for second in range(1, 3000):
        latent.advance(second * 1000)
        moves.append(abs(latent.price["BTC"] / price - 1))
        price = latent.price["BTC"]
    mean, deviation = fmean(moves), pstdev(moves)

    def correlation(lag):
        return fmean((a - mean) * (b - mean) for a, b in zip(moves, moves[lag:], strict=False)) / deviation**2

    assert correlation(1) > 0.1
    assert correlation(10) > 0.05


def test_assets_move_together():
    latent = Latent(6, ASSETS, 0)
    rows = []
    for second in range(0, 1800, 5):
        latent.advance(second * 1000)
        rows.append((latent.price["BTC"], latent.price["ETH"]))
    moves = [(b[0] / a[0] - 1, b[1] / a[1] - 1) for a, b in pairwise(rows)]
    together = fmean(x * y for x, y in moves)
    assert together / (pstdev([x for x, _ in moves]) * pstdev([y for _, y in moves])) > 0.5


# -- candles ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("interval_ms", INTERVALS)
def test_candles_join_without_a_gap_and_hold_their_prices(watched, interval_ms):
    market = next(iter(watched[0].markets.values()))
    bars = market.candles.series(interval_ms)
    for bar, following in pairwise(bars):
        assert bucket(interval_ms, bar.open_ms) == bar.open_ms
        assert following.open_ms == bucket_end(interval_ms, bar.open_ms)
        assert bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
        assert abs(following.open - bar.close) <= bar.close * 0.01
        if bar.trades and following.trades:
            assert following.first_id == bar.last_id + 1
    assert bars[-1].open_ms == bucket(interval_ms, market.now_ms)


def test_there_is_enough_past(watched):
    candles = next(iter(watched[0].markets.values())).candles
    assert len(candles.series(MINUTE)) >= 1000
    assert len(candles.series(DAY)) >= 300


def test_coarse_bars_are_the_sum_of_the_minutes(watched):
    market = next(iter(watched[0].markets.values()))
    hour = market.candles.series(60 * MINUTE)[-3]
    minutes = [bar for bar in market.candles.minutes if hour.open_ms <= bar.open_ms < hour.open_ms + 60 * MINUTE]
    assert len(minutes) == 60
    assert (hour.open, hour.close) == (minutes[0].open, minutes[-1].close)
    assert hour.high == max(bar.high for bar in minutes)
    assert hour.volume == sum(bar.volume for bar in minutes)
    assert hour.value == sum(bar.value for bar in minutes)


def test_live_bars_are_made_of_the_prints(watched):
    for market, row in watched[1].items():
        for bar in market.candles.minutes[-2:]:
            prints = [p for p in row["prints"] if bar.open_ms <= p.ms < bar.open_ms + MINUTE]
            if not prints or prints[0].id != bar.first_id:
                continue  # the minute began before the test looked
            assert bar.volume == sum(p.size for p in prints)
            assert bar.value == sum(p.price * p.size for p in prints)
            assert bar.buy_volume == sum(p.size for p in prints if p.taker_buys)
            prices = [bar.open, *(p.price for p in prints)]  # a bar opens where the one before closed
            assert (bar.high, bar.low) == (max(prices), min(prices))
            assert bar.close == prints[-1].price


def test_the_rolling_day_is_the_last_1440_minutes(watched):
    candles = next(iter(watched[0].markets.values())).candles
    minutes, day = candles.minutes[-1440:], candles.day()
    assert (day.open, day.close) == (minutes[0].open, minutes[-1].close)
    assert (day.high, day.low) == (max(b.high for b in minutes), min(b.low for b in minutes))
    assert day.volume == sum(b.volume for b in minutes)
    assert day.last_id - day.first_id + 1 == day.trades


# -- instruments -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("each", listings(REGISTRY), ids=lambda each: f"{each.venue} {each.symbol}")
def test_ticks_and_lots_are_printed_exactly(each):
    price, size = fixed(each.tick, each.price_printed), fixed(each.lot, each.size_printed)
    for number in (0, 1, 7, 10, 99, 123_456_789_012_345_678):
        assert Decimal(price(number)) == number * each.tick
        assert Decimal(size(number)) == number * each.lot


def test_a_step_must_be_a_power_of_ten():
    with pytest.raises(ValueError, match="power of ten"):
        fixed(Decimal("0.05"))


def test_a_suspended_process_leaves_the_time_out():
    world = World(1, START_MS, FEW)
    world.advance(START_MS + 1000)
    stepped = world.advance(START_MS + 10_000_000)
    assert stepped == []
    assert world.advance(START_MS + 10_000_500)
    assert all(market.top.bid < market.top.ask for market in world.markets.values())


def test_ids_of_a_later_start_are_higher():
    """Else a stored fill of the last run would pass for a new one with the same id."""
    first = World(1, START_MS, FEW[:1])
    steps = list(run(first, 20))
    (market,) = first.markets.values()
    assert steps
    later = World(1, START_MS + 20_000, FEW[:1])
    (again,) = later.markets.values()
    past_ids = [bar.first_id for bar in again.candles.minutes[:-1]]
    assert again.engine.trade_id > market.engine.trade_id
    assert again.candles.minutes[-1].first_id > max(past_ids)
