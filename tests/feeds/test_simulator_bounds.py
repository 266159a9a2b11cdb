"""The simulator may run for months: whatever it remembers has a bound. Its time is driven here, not waited for."""

from collections import Counter, deque
from itertools import pairwise

import pytest

from feeds.simulator import Settings, SimulatorServer, desk
from feeds.simulator.candles import DAY, INTERVALS, MINUTE, PAST, Bar, Candles, bucket, bucket_end, make_past
from feeds.simulator.flow import LEVELS
from feeds.simulator.instruments import ASSETS
from feeds.simulator.matching import MOST_CHANGES, MatchingEngine
from tests.feeds.simulator_help import FEW

START_MS = 1_795_219_200_000
BEAT_MS = 200
KEPT = 15


def elements(root):
    """How many elements all containers hold that can be reached from here; those of one bar count once."""
    seen, total, todo = set(), 0, [root]
    while todo:
        each = todo.pop()
        if id(each) in seen or isinstance(each, type | Bar):
            continue
        seen.add(id(each))
        if isinstance(each, dict):
            todo += [*each.keys(), *each.values()]
        elif isinstance(each, list | set | tuple | deque | frozenset):
            todo += each
        elif type(each).__module__.startswith("feeds."):
            names = [name for kind in type(each).__mro__ for name in getattr(kind, "__slots__", ())]
            todo += [getattr(each, name) for name in names if hasattr(each, name)]
            todo += vars(each).values() if hasattr(each, "__dict__") else ()
            continue
        else:
            continue
        total += len(each)
    return total


def test_hours_of_the_simulated_world_leave_nothing_behind(monkeypatch):
    monkeypatch.setattr(desk, "KEPT", KEPT)
    wanted = {("binance", "spot", "BTCUSDT"), ("kraken", "spot", "DOGE/USD")}
    markets = tuple(each for each in FEW if (each.venue, each.product, each.native) in wanted)
    server = SimulatorServer(Settings(instruments=markets))
    far = server.market.markets["binance", "spot", "BTCUSDT"]
    own = server.accounts["binance"].by_name["test"].desks["spot"]
    resting = own.place(far, buy=True, size=1000, price=far.top.bid // 4)
    now_ms, held, fills = server.market.now_ms, [], Counter()
    for name, trader in server.traders.items():
        server.accounts[name].by_name["demo"].listen(lambda event, name=name: fills.update([(name, event[0])]))
        trader.open_positions()
    for _ in range(4):
        for _ in range(15 * MINUTE // BEAT_MS):
            now_ms += BEAT_MS
            server.beat(now_ms)
        held.append(elements(server))
        for market in server.market.markets.values():
            engine = market.engine
            assert len(engine.bids.dirty) + len(engine.asks.dirty) <= MOST_CHANGES + 2
            for side in (engine.bids, engine.asks):
                assert len(side.keys) == len(side.queues) == len(side.totals) < 2 * LEVELS
            assert len(engine.orders) < 8 * LEVELS
            assert len(market.prints) == len(market.tops) == 0
        for name, kept in server.accounts.items():
            account = kept.by_name["demo"]
            assert min(KEPT, fills[name, "TRADE"]) <= len(account.fills) < 2 * KEPT
            for each in account.desks.values():
                assert len(each.fills) < 2 * KEPT
                assert len(each.orders) <= KEPT + len(each.open_orders())
                assert len(each.history()) == len(each.orders)
                assert all(len(each.fills_of(market)) < 2 * KEPT for market in server.market.markets.values())
            assert len(account.open_orders()) < 12, name
    assert all(fills[name, "TRADE"] > 2 * KEPT for name in server.accounts)  # there was something to forget
    assert own.open_orders() == [resting]
    for before, after in pairwise(held[1:]):
        assert after < before * 1.1, held


def test_money_that_came_and_went_is_remembered_in_part(monkeypatch):
    monkeypatch.setattr(desk, "KEPT", KEPT)
    server = SimulatorServer(Settings(instruments=FEW[:1], exchanges=("binance",)))
    account = server.accounts["binance"].by_name["test"]
    for n in range(1, 6 * KEPT):
        account.desks["spot"].transfer("ETH", n)
        assert len(account.movements) < 2 * KEPT
        assert account.movements[-1].amount == n


def test_changes_that_nobody_drains_are_forgotten_as_if_drained():
    engine = MatchingEngine()
    for price in range(1, MOST_CHANGES + 1):
        engine.place(True, price, 1)
    assert len(engine.bids.dirty) == MOST_CHANGES
    engine.place(True, MOST_CHANGES + 1, 1)
    assert engine.drain() is None
    forgotten = engine.update_id
    engine.place(False, MOST_CHANGES + 5, 2)
    changes = engine.drain()
    assert (changes.first, changes.before, changes.bids, changes.asks) == (
        forgotten + 1,
        forgotten,
        [],
        [(MOST_CHANGES + 5, 2)],
    )


@pytest.fixture(scope="module")
def months():
    """Candles after 70 days with a trade of one lot every seven minutes, and when their life began."""
    past = make_past(1, {"BTC": ASSETS["BTC"]}, START_MS)["BTC"]
    candles = Candles(past, 1.0, 1.0, START_MS)
    most = 0
    for n in range(70 * 1440):
        now_ms = START_MS + n * MINUTE
        if n % 7 == 0:
            candles.trade(candles.next_id + n // 7, 80_000 + n % 1000, 1, n % 2 == 0, now_ms)
        else:
            candles.roll(now_ms)
        most = max(most, len(candles.minutes) + sum(map(len, candles._lived.values())))
        if n % 10_000 == 0:
            for interval_ms in INTERVALS:
                candles.series(interval_ms)
    return candles, most


def test_candles_keep_no_more_for_months_than_for_a_day(months):
    candles, most = months
    assert most < 1.5 * sum(count for _, count in PAST)
    assert len(candles._series) < len(INTERVALS)


@pytest.mark.parametrize("interval_ms", INTERVALS)
def test_candles_join_after_months_and_sum_up_what_was_traded(months, interval_ms):
    bars = months[0].series(interval_ms)
    assert bars[-1].open_ms == bucket(interval_ms, START_MS + 70 * DAY - MINUTE)
    for bar, following in pairwise(bars):
        assert following.open_ms == bucket_end(interval_ms, bar.open_ms)
        assert bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
        if bar.trades and following.trades:
            assert following.first_id == bar.last_id + 1
    whole = [bar for bar in bars[:-1] if bar.open_ms >= START_MS]
    assert len(bars) >= min(300, 69 * DAY // (interval_ms or 31 * DAY))
    lived = range(0, 70 * 1440, 7)
    ends = bars[-1].open_ms
    expected = sum(whole[0].open_ms <= START_MS + n * MINUTE < ends for n in lived)
    assert sum(bar.trades for bar in whole) == sum(bar.volume for bar in whole) == expected
