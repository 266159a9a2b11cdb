"""The spread matrix against figures worked out by hand, to the last digit, and its laws against any books."""

from decimal import Decimal as D
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.across.fees import Fee, default_fee
from feeds.across.legs import Leg, Rate
from feeds.across.matrix import Matrix
from feeds.across.pairs import HourMax, Pair
from feeds.clock import FakeClock
from tests.feeds.legs_help import LIVE, POLLED, STALE, Place

FEES = {"alpha": ("2", "10"), "beta": ("25", "40"), "gamma": ("-1", "0")}


def fee_of(leg: Leg) -> Fee:
    maker, taker = FEES[leg.exchange]
    return Fee(maker_bps=D(maker), taker_bps=D(taker), source="user")


def matrix(size: str, *places: Place, charged: str = "taker", clock: FakeClock | None = None, **more: Any) -> Matrix:
    made = Matrix(
        "BTC/USDT",
        "BTC",
        "USDT",
        D(size),
        charged,
        fee_of=more.pop("fee_of", fee_of),
        clock=clock or FakeClock(),
        **more,
    )
    made.set_legs([place.leg for place in places])
    return made


def rows(made: Matrix) -> list[Any]:
    """The pairs as they arrive."""
    return msgspec.json.decode(made.draw().data["pairs"], type=list[Arrived])


def legs_of(made: Matrix) -> list[dict[str, Any]]:
    """The legs as they arrive."""
    arrived: list[dict[str, Any]] = msgspec.json.decode(msgspec.json.encode(made.draw().data["legs"]))
    return arrived


class Arrived(msgspec.Struct, forbid_unknown_fields=True):
    """A pair as a client reads it: money as text."""

    buy: int
    sell: int
    gross_bps: str | None
    net_bps: str | None
    gross: str | None
    net: str | None
    positive_since_ms: int | None
    largest_bps: str | None
    largest_ms: int | None
    reason: str


def pair(made: Matrix, buy: int, sell: int) -> Arrived:
    return next(row for row in rows(made) if (row.buy, row.sell) == (buy, sell))


def gross_of(pair: Pair) -> str:
    """The gross of a pair, from its legs' figures."""
    assert pair.sell.proceeds is not None and pair.buy.cost is not None
    return str(pair.sell.proceeds - pair.buy.cost)


BOOKS = {"alpha": ([(84119.90, 0.4), (84119.50, 2.0)], [(84120.13, 0.3), (84120.5, 0.15), (84121.0, 9.0)])}


def two() -> tuple[Place, Place]:
    alpha = Place("alpha").book(*BOOKS["alpha"])
    beta = Place("beta", tick="0.1", lot="0.00000001").book(
        [(84165.0, 0.4), (84155.0, 0.05), (84150.0, 1.0)], [(84170.0, 0.31)]
    )
    return alpha, beta


class TestByHand:
    def test_both_books_are_walked_and_the_last_level_taken_in_part(self) -> None:
        made = matrix("0.5", *two())
        legs = legs_of(made)
        # 0.3 * 84120.13 + 0.15 * 84120.5 + 0.05 * 84121
        assert legs[0]["buy"] == {"average": "84120.328", "worst": "84121", "cost": "42060.164", "available": "0.5"}
        # 0.4 * 84165 + 0.05 * 84155 + 0.05 * 84150
        assert legs[1]["sell"] == {"average": "84162.5", "worst": "84150", "cost": "42081.25", "available": "0.5"}
        row = pair(made, 0, 1)
        assert row.gross == "21.086"
        # 21.086 - 42060.164 * 0.001 - 42081.25 * 0.004
        assert row.net == "-189.299164"
        assert row.gross_bps == "5.0132"  # 5.01324...
        assert row.net_bps == "-45.0068"  # -45.00675... rounded down
        assert row.reason == ""

    def test_bps_are_rounded_down_on_both_sides_of_zero(self) -> None:
        made = matrix("0.5", *two())
        row = pair(made, 0, 1)
        cost, gross, net = D("42060.164"), D(row.gross), D(row.net)
        assert D(row.gross_bps) <= gross / cost * 10_000 < D(row.gross_bps) + D("0.0001")
        assert D(row.net_bps) <= net / cost * 10_000 < D(row.net_bps) + D("0.0001")

    def test_maker_fees_and_a_rebate(self) -> None:
        alpha, _ = two()
        gamma = Place("gamma").book([(84130.0, 1.0)], [(84131.0, 1.0)])
        row = pair(matrix("0.3", alpha, gamma, charged="maker"), 0, 1)
        # bought 0.3 * 84120.13 = 25236.039, sold 0.3 * 84130 = 25239; fees 0.0002 and -0.0001
        assert row.gross == "2.961"
        assert D(row.net) == D("2.961") - D("25236.039") * D("0.0002") + D("25239") * D("0.0001")

    def test_too_little_depth_is_said_with_what_there_is(self) -> None:
        row = pair(matrix("0.5", *two()), 1, 0)
        assert (row.net, row.gross_bps) == (None, None)
        assert row.reason == "beta BTC/USDT asks: only 0.31 of 0.5 BTC."
        legs = legs_of(matrix("0.5", *two()))
        assert legs[1]["buy"] == {"average": None, "worst": None, "cost": None, "available": "0.31"}

    def test_an_average_without_an_end_is_rounded_against_us(self) -> None:
        alpha = Place("alpha").book([(10.0, 1.0), (9.99, 5.0)], [(10.01, 1.0), (10.02, 5.0)])
        legs = legs_of(matrix("3", alpha, two()[1]))
        assert legs[0]["buy"]["average"] == "10.0167"  # 30.05 / 3 = 10.01666...
        assert legs[0]["sell"]["average"] == "9.9933"  # 29.98 / 3 = 9.99333...

    def test_orders_that_the_exchange_would_not_take(self) -> None:
        alpha, _ = two()
        small = Place("beta", min_size="1").book([(84165.0, 4.0)], [(84170.0, 4.0)])
        assert pair(matrix("0.5", alpha, small), 0, 1).reason == (
            "beta BTC/USDT: 0.5 is less than the smallest order, 1 BTC."
        )
        coarse = Place("beta", lot="0.2").book([(84165.0, 4.0)], [(84170.0, 4.0)])
        assert pair(matrix("0.5", alpha, coarse), 0, 1).reason == "beta BTC/USDT: 0.5 is not a multiple of 0.2 BTC."
        halted = Place("beta", status="halt").book([(84165.0, 4.0)], [(84170.0, 4.0)])
        assert pair(matrix("0.5", alpha, halted), 0, 1).reason == "beta BTC/USDT is not traded now: halt."

    def test_tiny_and_whole_amounts_are_plain_text(self) -> None:
        alpha = Place("alpha", lot="0.00000001").book([(0.01, 1.0)], [(0.02, 1.0)])
        gamma = Place("gamma", lot="0.00000001").book([(0.03, 1.0)], [(0.04, 1.0)])
        row = pair(matrix("0.00000001", alpha, gamma, charged="maker"), 0, 1)
        assert row.gross == "0.0000000001"
        assert D(row.net or "") == D("0.0000000001") - D("2e-10") * D("0.0002") + D("3e-10") * D("0.0001")
        assert "E" not in (row.net or "")
        alpha.book([(1e6, 9e5)], [(2e6, 9e5)])
        gamma.book([(3e6, 9e5)], [(4e6, 9e5)])
        made = matrix("500000", alpha, gamma)
        assert pair(made, 0, 1).gross == "500000000000"
        assert legs_of(made)[0]["buy"]["cost"] == "1000000000000"
        gamma.book([(2e6, 9e5)], [(4e6, 9e5)])
        assert pair(made, 0, 1).gross == "0"


class TestStates:
    def test_a_leg_that_is_not_usable_leaves_at_once(self) -> None:
        alpha, beta = two()
        made = matrix("0.4", alpha, beta)
        assert pair(made, 0, 1).net is not None
        beta.state(STALE, "No data for 5 s or more.")
        picture = made.draw()
        row = pair(made, 0, 1)
        assert (row.net, row.gross, row.net_bps) == (None, None, None)
        assert row.reason == "beta BTC/USDT is STALE: No data for 5 s or more."
        leg = legs_of(made)[1]
        assert (leg["usable"], leg["buy"], leg["sell"], leg["state"]) == (False, None, None, STALE)
        assert picture.state == LIVE, "the frame is as good as its best leg"

    def test_a_market_without_a_book_is_no_leg_to_trade_with(self) -> None:
        best_only = Place("beta", has_book=False).book([(84165.0, 9.0)], [(84170.0, 9.0)])
        made = matrix("0.4", two()[0], best_only)
        row = pair(made, 0, 1)
        assert (row.net, row.reason) == (None, "beta gives no order book of BTC/USDT, only its best prices.")
        assert legs_of(made)[1]["usable"] is False

    def test_a_polled_leg_counts_and_says_its_state_and_age(self) -> None:
        clock = FakeClock()
        alpha, beta = two()
        beta.holder.shown_ns = clock.now_ns()
        beta.state(POLLED)
        clock.advance(2.5)
        made = matrix("0.3", alpha, beta, clock=clock)
        leg = legs_of(made)[1]
        assert (leg["state"], leg["usable"], leg["age_ms"]) == (POLLED, True, 2500)
        assert pair(made, 0, 1).net is not None

    def test_a_book_from_before_the_start_is_not_used(self) -> None:
        alpha, beta = two()
        beta.holder.old = beta.holder.book
        beta.state(STALE, "From before the start; the book is being loaded.")
        leg = legs_of(matrix("0.3", alpha, beta))[1]
        assert (leg["usable"], leg["restored"]) == (False, True)

    def test_only_what_changed_is_computed_anew_and_nothing_is_missed(self) -> None:
        alpha, beta = two()
        made = matrix("0.3", alpha, beta)
        first = pair(made, 0, 1).net
        alpha.holder.book.asks.update([(84119.95, 1.0)])
        assert pair(made, 0, 1).net == first, "not told: not read"
        alpha.source.version += 1
        assert D(pair(made, 0, 1).gross) == D("0.3") * (84165 - D("84119.95"))

    def test_a_pair_says_nothing_that_changes_with_time_alone(self) -> None:
        clock = FakeClock()
        alpha, beta = two()
        alpha.holder.shown_ns, beta.holder.shown_ns = clock.now_ns(), clock.now_ns() - 300_000_000
        made = matrix("0.3", alpha, beta, clock=clock)
        before, ages = made.draw().data["pairs"], [leg["age_ms"] for leg in legs_of(made)]
        clock.advance(0.1)
        alpha.book(*BOOKS["alpha"], ns=clock.now_ns())  # the same levels, told anew
        assert made.draw().data["pairs"] is before, "not encoded again"
        assert (ages, [leg["age_ms"] for leg in legs_of(made)]) == ([0, 300], [0, 400])

    def test_pairs_of_other_legs_are_neither_computed_nor_encoded_again(self) -> None:
        places = [Place(name).book([(99.0, 5.0)], [(100.0, 5.0)]) for name in ("alpha", "beta", "gamma")]
        many = [*places, *(Place("gamma", f"BTC/USD{n}").book([(99.0, 5.0)], [(100.0, 5.0)]) for n in range(4))]
        made = matrix("1", *many)
        made.draw()
        places[0].book([(99.0, 5.0)], [(100.5, 5.0)])
        made.draw()
        encoded = [each.encoded for each in made.pairs]
        places[1].book([(98.5, 5.0)], [(100.0, 5.0)])
        made.draw()
        changed = {n for n, each in enumerate(made.pairs) if each.encoded is not encoded[n]}
        assert changed == {n for n, each in enumerate(made.pairs) if each.row.sell == 1}, "only what beta brings"
        assert [row.gross for row in rows(made)] == [gross_of(each) for each in made.pairs]

    def test_a_walk_is_shared_by_all_who_take_the_same_size(self) -> None:
        alpha, beta = two()
        taker, maker = matrix("0.3", alpha, beta), matrix("0.3", alpha, beta, charged="maker")
        other = matrix("0.4", alpha, beta)
        taker.draw(), maker.draw(), other.draw()
        assert taker.sides[0].bought is maker.sides[0].bought is not other.sides[0].bought


class TestTime:
    def test_since_when_it_is_positive_and_the_largest_of_the_hour(self) -> None:
        clock = FakeClock()
        alpha = Place("alpha").book([(99.0, 10.0)], [(100.0, 10.0)])
        gamma = Place("gamma").book([(100.05, 10.0)], [(101.0, 10.0)])
        made = matrix("1", alpha, gamma, clock=clock)
        row = pair(made, 0, 1)
        assert (row.net_bps, row.positive_since_ms, row.largest_bps) == ("-5.0000", None, "-5.0000")
        clock.advance(1)
        gamma.book([(100.5, 10.0)], [(101.0, 10.0)])
        row = pair(made, 0, 1)
        began_ms = clock.now_ns() // 1_000_000
        assert (row.net_bps, row.positive_since_ms, row.largest_ms) == ("40.0000", began_ms, began_ms)
        clock.advance(1)
        gamma.book([(100.3, 10.0)], [(101.0, 10.0)])
        row = pair(made, 0, 1)
        assert (row.net_bps, row.positive_since_ms, row.largest_bps, row.largest_ms) == (
            "20.0000",
            began_ms,
            "40.0000",
            began_ms,
        )
        gamma.state(STALE)
        assert pair(made, 0, 1).positive_since_ms is None, "nobody knows: a break"
        gamma.state(LIVE)
        assert pair(made, 0, 1).positive_since_ms == clock.now_ns() // 1_000_000
        clock.advance(3540)
        made.tick()
        assert pair(made, 0, 1).largest_bps == "40.0000"
        clock.advance(61)
        assert pair(made, 0, 1).largest_bps == "20.0000", "what stands still counts as long as it stands"

    def test_new_fees_begin_anew(self) -> None:
        clock, fees = FakeClock(), {"alpha": D(0), "gamma": D(0)}
        alpha = Place("alpha").book([(99.0, 10.0)], [(100.0, 10.0)])
        gamma = Place("gamma").book([(100.1, 10.0)], [(101.0, 10.0)])
        made = matrix(
            "1", alpha, gamma, clock=clock, fee_of=lambda leg: Fee(maker_bps=D(0), taker_bps=fees[leg.exchange])
        )
        assert pair(made, 0, 1).net_bps == "10.0000"
        fees["alpha"] = D(20)
        clock.advance(5)
        made.new_fees()
        row, data = pair(made, 0, 1), made.draw().data
        assert (row.net_bps, row.largest_bps, data["since_ms"]) == ("-10.0000", "-10.0000", clock.now_ns() // 1_000_000)
        assert row.positive_since_ms is None
        assert data["legs"][0]["fee_bps"] == "20"

    @given(st.lists(st.tuples(st.integers(-50, 50), st.integers(0, 900)), min_size=1, max_size=60))
    def test_the_largest_of_the_hour_equals_the_plain_way(self, steps: list[tuple[int, int]]) -> None:
        hour, seen, now_s = HourMax(), [], 1_795_221_000
        for value, pause_s in steps:
            now_s += pause_s
            hour.add(value, now_s * 10**9)
            seen.append((now_s // 10, value))
            expected = max(v for bucket, v in seen if bucket > now_s // 10 - 360)
            assert hour.top is not None and hour.top[0] == expected


class TestQuotes:
    def rate(self, bid: float, ask: float, *, symbol: str = "USDT/USD") -> tuple[Place, Rate]:
        place = Place("beta", symbol, tick="0.0001").book([(bid, 1e6)], [(ask, 1e6)])
        return place, Rate("USD", "USDT", [place.source], par=False)

    def test_a_live_rate_converts_both_sides_against_us(self) -> None:
        place, rate = self.rate(0.9998, 0.9999)
        beta = Place("beta", "BTC/USD", rate=rate).book([(84165.0, 4.0)], [(84170.0, 4.0)])
        made = matrix("0.5", two()[0], beta)
        leg = legs_of(made)[1]
        # 1 / 0.9999 = 1.00010001... down, 1 / 0.9998 = 1.00020004... up
        assert (leg["rate"]["bid"], leg["rate"]["ask"], leg["rate"]["market"]) == (
            "1.000100",
            "1.000201",
            "beta USDT/USD",
        )
        assert D(leg["sell"]["cost"]) == D("0.5") * 84165 * D("1.0001")
        assert D(leg["buy"]["cost"]) == D("0.5") * 84170 * D("1.000201")
        place.book([(0.5, 1.0)], [(0.6, 1.0)])
        assert D(legs_of(made)[1]["buy"]["cost"]) == D("0.5") * 84170 * 2, "a new rate is taken at once"

    def test_the_market_may_stand_the_other_way_round(self) -> None:
        _, rate = self.rate(1.0001, 1.0002, symbol="USD/USDT")
        beta = Place("beta", "BTC/USD", rate=rate).book([(84165.0, 4.0)], [(84170.0, 4.0)])
        leg = legs_of(matrix("0.5", two()[0], beta))[1]
        assert (leg["rate"]["bid"], leg["rate"]["ask"]) == ("1.000100", "1.000200")

    def test_without_a_usable_rate_the_leg_is_not_usable(self) -> None:
        place, rate = self.rate(0.9998, 0.9999)
        beta = Place("beta", "BTC/USD", rate=rate).book([(84165.0, 4.0)], [(84170.0, 4.0)])
        made = matrix("0.5", two()[0], beta)
        assert pair(made, 0, 1).net is not None
        place.state(STALE)
        row, leg = pair(made, 0, 1), legs_of(made)[1]
        assert (row.net, leg["usable"], leg["state"], leg["rate"]["bid"]) == (None, False, LIVE, None)
        assert row.reason == "No usable rate of USD and USDT: beta USDT/USD is STALE."

    def test_at_par_if_the_user_says_so(self) -> None:
        beta = Place("beta", "BTC/USD", rate=Rate("USD", "USDT", [], par=True)).book([(84165.0, 4.0)], [(84170.0, 4.0)])
        leg = legs_of(matrix("0.5", two()[0], beta))[1]
        assert (leg["sell"]["cost"], leg["rate"]["bid"], leg["rate"]["market"]) == ("42082.5", "1", None)


levels = st.dictionaries(
    st.integers(1, 5000).map(lambda n: n / 100), st.integers(1, 10**6).map(lambda n: n / 10**4), min_size=1, max_size=8
)
fees = st.decimals("0", "1000", places=4)


@st.composite
def book(draw: Any) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    found = sorted(draw(levels).items())
    cut = draw(st.integers(0, len(found)))
    return found[:cut], found[cut:]


class TestLaws:
    @given(book(), book(), st.tuples(fees, fees), st.decimals("0.0001", "300", places=4))
    def test_net_never_exceeds_gross_and_both_equal_the_plain_way(
        self, one: Any, other: Any, paid: Any, size: D
    ) -> None:
        places = [Place("alpha", lot="0.0001").book(*one), Place("beta", lot="0.0001").book(*other)]
        rates = dict(zip(("alpha", "beta"), paid, strict=True))
        made = matrix(f"{size:f}", *places, fee_of=lambda leg: Fee(maker_bps=D(0), taker_bps=rates[leg.exchange]))
        for row in rows(made):
            buy, sell = (one, other) if row.buy == 0 else (other, one)
            cost, proceeds = plainly(buy[1], size, 1), plainly(sell[0], size, -1)
            if cost is None or proceeds is None:
                assert row.net is None and row.reason
                continue
            a, b = (rates[("alpha", "beta")[number]] / 10_000 for number in (row.buy, row.sell))
            assert D(row.gross) == proceeds - cost
            assert D(row.net) == proceeds - cost - cost * a - proceeds * b
            assert D(row.net) <= D(row.gross)
            assert D(row.net_bps) <= D(row.gross_bps)

    @given(book(), book(), st.tuples(fees, fees), st.tuples(*[st.decimals("0.0001", "300", places=4)] * 2))
    def test_a_larger_size_is_never_better(self, one: Any, other: Any, paid: Any, two_sizes: Any) -> None:
        places = [Place("alpha", lot="0.0001").book(*one), Place("beta", lot="0.0001").book(*other)]
        rates = dict(zip(("alpha", "beta"), paid, strict=True))
        small, large = (
            rows(matrix(f"{size:f}", *places, fee_of=lambda leg: Fee(maker_bps=D(0), taker_bps=rates[leg.exchange])))
            for size in sorted(two_sizes)
        )
        for less, more in zip(small, large, strict=True):
            if more.net_bps is not None:
                assert less.net_bps is not None
                assert D(more.net_bps) <= D(less.net_bps)
                assert D(more.gross_bps) <= D(less.gross_bps)


def plainly(side: list[tuple[float, float]], size: D, sign: int) -> D | None:
    total, left = D(0), size
    for price, there in sorted(side, key=lambda level: sign * level[0]):
        part = min(left, D(repr(there)))
        total += part * D(repr(price))
        left -= part
    return None if left else total


def test_legs_that_come_later_keep_what_was() -> None:
    alpha, beta = two()
    gamma = Place("gamma").book([(84100.0, 1.0)], [(84200.0, 1.0)])
    made = matrix("0.3", alpha, beta)
    before = rows(made)[0]
    made.set_legs([alpha.leg, beta.leg, gamma.leg])
    after = rows(made)
    assert [(row.buy, row.sell) for row in after] == [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]
    assert after[0] == before
    assert all(row.net is not None for row in after)


@pytest.mark.parametrize("exchange", ["binance", "kraken"])
def test_default_fees_reach_the_frame(exchange: str) -> None:
    place = Place(exchange).book([(1.0, 1.0)], [(2.0, 1.0)])
    leg = legs_of(matrix("1", place, fee_of=lambda leg: default_fee(leg.exchange, leg.market.product)))[0]
    assert leg["fee_source"] == "default"
    assert D(leg["fee_bps"]) == default_fee(exchange, "spot").taker_bps
