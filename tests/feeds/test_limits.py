"""Eight accounts on each exchange use less than half of what its documentation allows, and an exchange that asks for
silence gets it. Over sockets, in time that passes by itself (``bench/hours.py``); ``python -m bench limits`` runs
whole hours of it.
"""

import pytest

from bench import documented_limits, hours
from bench.documented_limits import Asked
from bench.limits import SILENCES, SYMBOLS, a_silence, an_hour
from feeds.account import AccountSpec, Credentials, KeyLimits
from feeds.accounts import REGISTRY
from feeds.accounts.binance import BinanceAccount
from feeds.exchange import Budget, MarketIndex, Request
from feeds.following.pace import PLANNED, POLLS, Pace
from feeds.following.pace import Asked as Planned
from tests.feeds.warp import LoopClock, run
from tests.keys import EXCHANGES

FEW_MINUTES = 2.0
LONGER = {"kraken": 20.0, "binance": 5.0}
"""Where what is read at the start is much, against what a key may ask in two minutes."""


def test_every_exchange_with_accounts_is_here():
    assert set(EXCHANGES) == set(REGISTRY)
    assert {limit.exchange for limit in documented_limits.LIMITS} == set(EXCHANGES)
    assert {name for name, _, _ in SILENCES} == set(EXCHANGES)


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_eight_accounts_use_less_than_half_of_what_is_documented(exchange):
    """By plan, and by what the simulator received in some minutes, among them all that is read at the start."""
    uses = hours.run(an_hour(exchange, LONGER.get(exchange, FEW_MINUTES), SYMBOLS))
    for use in uses:
        assert use.share <= 0.5, use
    assert max(use.planned for use in uses) > 0 < max(use.measured for use in uses)


@pytest.mark.parametrize(
    ("exchange", "status", "of_key"), [each for each in SILENCES if each[1] != 403], ids=lambda each: str(each)
)
def test_an_exchange_that_asks_for_silence_gets_it(exchange, status, of_key):
    """Whom it told so asks again but a few times, where it does not say for how long; all others go on."""
    seen = hours.run(a_silence(exchange, status, of_key=of_key, seconds=30.0))
    tells = exchange in ("binance", "bybit", "lmex", "alpaca")
    assert 1 <= seen.requests <= (6 if tells else 10), seen
    assert seen.public and seen.others, seen
    assert "The exchange asks us to wait" in seen.sentence, seen
    assert seen.rows and seen.older
    assert seen.back_s < 60, seen


def test_what_the_table_does_not_know_is_not_counted_as_nothing():
    with pytest.raises(LookupError, match="/fapi/v9/new"):
        [limit.cost(Asked("GET", "/fapi/v9/new")) for limit in documented_limits.of("binance")]


BUDGETS = {"spot": Budget(limit=6000, per_s=60), "usdm": Budget(limit=2400, per_s=60)}


def account() -> BinanceAccount:
    spec = AccountSpec(
        id=1, exchange="binance", label="", credentials=Credentials("key", "secret"), products=("spot", "usdm")
    )
    return BinanceAccount(spec, MarketIndex(), {})


class TestPace:
    plan = (Planned(Request(path="/a", product="spot", weight=20)), Planned(Request(path="/b", product="usdm"), 12))

    def test_one_account_asks_at_its_own_interval_and_many_share(self):
        async def main():
            pace = Pace(account(), BUDGETS, clock=LoopClock())
            spot, usdm = ([each.request] for each in self.plan)
            assert pace.least_s(spot, self.plan) == pytest.approx(20 / (POLLS * 100))
            pace.shared_by(8)
            assert pace.least_s(spot, self.plan) == pytest.approx(8 * 20 / (POLLS * 100))
            assert pace.least_s(usdm, self.plan) == pytest.approx(8 / 12 / (POLLS * 40))
            assert pace.least_s([Request(path="/c", product="elsewhere")], self.plan) == 0

        run(main())

    def test_what_has_an_interval_of_its_own_is_taken_off_first(self):
        fixed = Planned(Request(path="/t", product="spot", weight=600), every_s=60)
        pace = Pace(account(), BUDGETS)
        assert pace.least_s([self.plan[0].request], [self.plan[0], fixed]) == pytest.approx(20 / (POLLS * 100 - 10))

    def test_out_of_turn_a_minute_s_worth_at_once_and_then_what_flows_off(self):
        async def main():
            clock = LoopClock()
            pace = Pace(account(), BUDGETS, clock=clock)
            asked = [Request(path="/a", product="spot", weight=20)]
            waits = [pace.sooner_s(asked, 300) for _ in range(40)]
            assert waits[:15] == [0] * 15
            assert waits[-1] == pytest.approx((40 * 20 - 300) / 5)

        run(main())

    def test_what_its_timer_asks_sooner_holds_up_nobody(self):
        """Balances after every fill, with a timer of 5 s: what is asked rarely must still come to its turn."""

        async def main():
            pace = Pace(account(), BUDGETS, clock=LoopClock())
            often, rare = (Request(path=path, product="spot", weight=20) for path in ("/a", "/b"))
            assert [pace.sooner_s([often], 5.0) for _ in range(1000)][-1] == 5.0
            assert pace.sooner_s([rare], 300.0) < 10

        run(main())

    def test_readings_are_paid_off_one_after_the_other(self):
        async def main():
            pace = Pace(account(), BUDGETS, clock=LoopClock())
            assert pace.reading_s() == 0
            pace.read(Request(path="/a", product="spot", weight=20))
            assert pace.reading_s() == pytest.approx(2)

        run(main())

    def test_a_key_has_a_limit_of_its_own_that_nobody_shares(self):
        class OfKeys(BinanceAccount):
            key_limits = KeyLimits(most=15, decay_per_s=0.33)

            def key_cost(self, request):
                return 1.0

        spec = account()._spec
        pace = Pace(OfKeys(spec, MarketIndex(), {}), {})
        pace.shared_by(8)
        assert pace.least_s([self.plan[0].request], self.plan[:1]) == pytest.approx(1 / (POLLS * 0.33))
        assert PLANNED < 0.5
