"""Orders that nobody here has placed: whatever is told of them, in whatever order."""

from decimal import Decimal
from typing import Any

import pytest

from feeds.account_domain import Fill, Order
from feeds.following.foreign import LATE_MS, STAYS_MS, ForeignCheck
from feeds.following.own_orders import OwnOrders
from feeds.following.reconcile import Outcome

NOTHING = Outcome()
BEGUN = 1_000_000
NOW = BEGUN + 500


def order(number: str, client_id: str | None = None, status: str = "open", updated_ms: int = NOW, **more: Any) -> Order:
    given = {"product": "spot", "symbol": "BTC/USDT", "side": "sell", "type": "market", "size": Decimal(1)}
    told = {"id": number, "client_id": client_id, "status": status, "updated_ms": updated_ms}
    return Order(**{**given, "filled": Decimal(0), **told, **more})


def fill(number: str, client_id: str | None = None, exchange_ms: int = NOW, **more: Any) -> Fill:
    given = {"product": "spot", "symbol": "BTC/USDT", "id": f"f{number}", "side": "sell", "price": Decimal(1)}
    told = {"order_id": number, "client_id": client_id, "size": Decimal(1), "exchange_ms": exchange_ms}
    return Fill(**{**given, **told, **more})


@pytest.fixture
def own() -> OwnOrders:
    return OwnOrders(loaded=True)


@pytest.fixture
def check(own: OwnOrders) -> ForeignCheck:
    check = ForeignCheck(own, only_here=True)
    check.judge(BEGUN)
    return check


def told(outcome: Outcome) -> list[tuple[str, int]]:
    return [(finding.cause, finding.count) for finding in outcome.found]


def test_an_order_that_was_never_open_when_a_list_was_made(check: ForeignCheck) -> None:
    check.orders([order("1", "web_x")])
    check.orders([order("1", "web_x", "filled")])
    check.fills([fill("1", "web_x")])
    (finding,) = check.judge(NOW).found
    assert (finding.kind, finding.cause, finding.found) == ("foreign_order", "foreign:spot", "1 by stream or REST")
    assert finding.sentence.startswith("1 order was not placed here, although only this machine trades on this account")
    assert "BTC/USDT 1" in finding.sentence
    check.fills([fill("1", "web_x")])
    assert check.judge(NOW + 1000) == NOTHING  # once


def test_each_new_one_brings_the_notice_up_to_date(check: ForeignCheck) -> None:
    for number in range(1, 6):
        check.orders([order(str(number), "web_x")])
        check.orders([order(f"p{number}", "web_x", product="usdm")])
        outcome = check.judge(NOW + number)
        assert told(outcome) == [("foreign:spot", number), ("foreign:usdm", number)]
    assert "5 orders were not placed here" in outcome.found[0].sentence
    assert "BTC/USDT 5, BTC/USDT 4, BTC/USDT 3 and 2 more" in outcome.found[0].sentence


def test_a_fill_alone_is_told_when_its_order_has_not_come(check: ForeignCheck) -> None:
    check.fills([fill("1")])
    assert check.judge(NOW) == check.judge(NOW + LATE_MS - 1) == NOTHING
    assert told(check.judge(NOW + LATE_MS)) == [("foreign:spot", 1)]


def test_the_orders_own_event_names_it(check: ForeignCheck, own: OwnOrders) -> None:
    own.sent("mine", "BTC/USDT")
    own.not_placed("mine")  # and yet it came
    check.fills([fill("1")])
    assert check.judge(NOW) == NOTHING
    check.orders([order("1", "mine", "filled")])
    assert check.judge(NOW + LATE_MS) == NOTHING
    check.fills([fill("1")])
    assert check.judge(NOW + 2 * LATE_MS) == check.judge(NOW + 4 * LATE_MS) == NOTHING


def test_a_fill_before_the_answer_to_its_placing(check: ForeignCheck, own: OwnOrders) -> None:
    """However long that takes; and what turns out to be another order is told then."""
    own.sent("mine", "BTC/USDT")
    check.fills([fill("1"), fill("2"), fill("9", symbol="ETH/USDT")])
    check.judge(NOW)
    outcome = check.judge(NOW + 60_000)
    assert told(outcome) == [("foreign:spot", 1)] and "ETH/USDT 9" in outcome.found[0].sentence  # none of ours is there
    own.placed("mine", "BTC/USDT", "1")
    outcome = check.judge(NOW + 61_000)
    assert told(outcome) == [("foreign:spot", 2)] and "BTC/USDT 2, ETH/USDT 9" in outcome.found[0].sentence


def test_nothing_is_said_before_former_orders_are_known() -> None:
    own = OwnOrders()
    check = ForeignCheck(own, only_here=True)
    check.judge(BEGUN)
    check.orders([order("1", "mine"), order("2", "web_x"), order("3")])
    check.judge(NOW)
    assert check.judge(NOW + 60_000) == NOTHING
    own.left("lost", "ETH/USDT")
    own.load([("mine", "BTC/USDT", ""), ("lost", "ETH/USDT", ""), ("old", "BTC/USDT", "3")])
    outcome = check.judge(NOW + 61_000)
    assert told(outcome) == [("foreign:spot", 1)] and "BTC/USDT 2." in outcome.found[0].sentence
    check.orders([order("4", symbol="ETH/USDT")])  # may be the lost one
    check.judge(NOW + 62_000)
    assert check.judge(NOW + 120_000) == NOTHING


def test_what_was_before_is_not_looked_at(check: ForeignCheck) -> None:
    check.fills([fill("1", "web_x", exchange_ms=BEGUN - 1)])
    check.orders([order("2", "web_x", "filled", updated_ms=BEGUN - 1)])
    assert check.judge(NOW) == NOTHING
    check.orders([order("3", "web_x", updated_ms=BEGUN - 1)])  # but it stands
    assert told(check.judge(NOW)) == [("foreign:spot", 1)]


def test_what_happened_while_no_worker_ran_is_looked_at(own: OwnOrders) -> None:
    check = ForeignCheck(own, only_here=True)
    check.begin(BEGUN)
    check.fills([fill("1", "web_x", exchange_ms=BEGUN - 1), fill("2", "web_x", exchange_ms=BEGUN)])
    check.orders([order("3", "web_x", "filled", updated_ms=BEGUN - 1)])
    outcome = check.judge(BEGUN + 3_600_000)
    assert told(outcome) == [("foreign:spot", 1)] and "BTC/USDT 2." in outcome.found[0].sentence
    check.fills([fill("4", "web_x", exchange_ms=BEGUN + 1)])  # a history that is read late
    assert told(check.judge(BEGUN + 3_600_001)) == [("foreign:spot", 2)]


def test_a_notice_stays_for_a_day_after_the_last(check: ForeignCheck) -> None:
    check.orders([order("1", "web_x")])
    check.judge(NOW)
    late = NOW + STAYS_MS - 1
    assert check.judge(late) == NOTHING
    check.orders([order("1", "web_x")])  # listed again: it is open still
    assert check.judge(late + 1) == NOTHING
    assert check.judge(late + STAYS_MS) == NOTHING
    assert [cause for cause, _ in check.judge(late + 1 + STAYS_MS).resolved] == ["foreign:spot"]
    assert check.judge(late + 2 * STAYS_MS) == NOTHING


@pytest.mark.parametrize("only_here", [True, False])
def test_notices_from_before(own: OwnOrders, only_here: bool) -> None:
    check = ForeignCheck(own, only_here=only_here)
    check.take_over({"foreign:spot", "orders:spot"})
    check.orders([order("1", "web_x")] if not only_here else [])
    first = check.judge(NOW)
    assert (first.found, [cause for cause, _ in first.resolved]) == ([], [] if only_here else ["foreign:spot"])
    later = check.judge(NOW + STAYS_MS)
    assert [cause for cause, _ in later.resolved] == (["foreign:spot"] if only_here else [])
