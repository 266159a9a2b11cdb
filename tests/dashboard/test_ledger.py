"""The rows of an account: however often, by whichever way and in whichever order news arrive, they are the same.

``test_postgres.py`` runs this file on PostgreSQL too.
"""

import itertools
from collections.abc import Callable
from decimal import Context, Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dashboard import holdings, ledger
from dashboard.models import Balance, ExchangeAccount, Fill, FillCursor, Order, Position
from dashboard.rows import Moment
from feeds import account_domain
from feeds.account import LISTED_MS
from tests.dashboard.values import balance, fill, order, position

MOMENT = Moment(now_ns=1_795_221_001_000_000_000)
RECV_NS = 1_795_221_000_500_000_000

# Examples of one test share the database: each takes an account of its own.
property_test = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
fresh_label = map(str, itertools.count())

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(make_account: Callable[..., ExchangeAccount]) -> ExchangeAccount:
    return make_account()


def fresh_account(trader: User) -> ExchangeAccount:
    return ExchangeAccount.objects.create(owner=trader, exchange="binance", label=next(fresh_label))


# -- fills -------------------------------------------------------------------------------------------------------------


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[int, list[tuple[str, list[Any]]]]:
    """A number of executions, and batches of them by stream and REST: each at least once, REST with the fee."""
    count = draw(st.integers(1, 12))
    symbols = [draw(st.sampled_from(["BTC/USDT", "ETH/USDT"])) for _ in range(count)]
    told = [(number, "rest") for number in range(count)]
    told += draw(st.lists(st.tuples(st.integers(0, count - 1), st.sampled_from(["stream", "rest"])), max_size=20))
    told = draw(st.permutations(told))
    batches: list[tuple[str, list[Any]]] = []
    for number, source in told:
        # ids of two symbols are equal on purpose: an id is unique within its symbol only
        unknown = {"fee": None, "fee_asset": None} if source == "stream" else {}
        value = fill(str(number // 2), symbol=symbols[number], order_id=str(number), **unknown)
        if batches and batches[-1][0] == source and draw(st.booleans()):
            batches[-1][1].append(value)
        else:
            batches.append((source, [value]))
    return count, batches


@property_test
@given(deliveries())
def test_fills_in_any_order_and_any_number_are_one_row_each(
    trader: User, delivered: tuple[int, list[tuple[str, list[Any]]]]
) -> None:
    account = fresh_account(trader)
    _, batches = delivered
    expected = {(value.symbol, value.id) for _, values in batches for value in values}
    reported: list[dict[str, Any]] = []
    for source, values in batches:
        reported += ledger.add_fills(account.pk, values, source, None, MOMENT)
    stored = list(Fill.objects.filter(account=account))
    assert {(row.symbol, row.fill_id) for row in stored} == expected
    assert len(stored) == len(expected)
    assert sorted((row["symbol"], row["id"]) for row in reported) == sorted(expected)  # each reported as new once
    assert [row["row"] for row in reported] == sorted(row["row"] for row in reported)
    assert all(row.fee == Decimal("0.00002") and row.fee_asset == "BTC" for row in stored)  # completed by REST


def test_a_fill_that_came_without_fee_is_completed_without_a_new_row(account: ExchangeAccount) -> None:
    first = ledger.add_fills(account.pk, [fill("5", fee=None, fee_asset=None, maker=None)], "stream", None, MOMENT)
    assert [row["fee"] for row in first] == [None]
    again = ledger.add_fills(account.pk, [fill("5", realised=Decimal("1.5"))], "rest", None, MOMENT)
    assert again == []
    row = Fill.objects.get(account=account)
    assert (row.pk, row.fee, row.fee_asset, row.maker, row.realised) == (
        first[0]["row"],
        Decimal("0.00002"),
        "BTC",
        False,
        Decimal("1.5"),
    )
    assert row.source == "stream"


def test_what_is_known_of_a_fill_is_not_unlearned(account: ExchangeAccount) -> None:
    ledger.add_fills(account.pk, [fill("5")], "rest", None, MOMENT)
    ledger.add_fills(account.pk, [fill("5", fee=None, fee_asset=None, maker=None)], "stream", None, MOMENT)
    row = Fill.objects.get(account=account)
    assert (row.fee, row.fee_asset, row.maker) == (Decimal("0.00002"), "BTC", False)


def test_a_fee_of_zero_is_a_fee(account: ExchangeAccount) -> None:
    ledger.add_fills(account.pk, [fill("5", fee=Decimal(0))], "rest", None, MOMENT)
    ledger.add_fills(account.pk, [fill("5", fee=Decimal(3))], "rest", None, MOMENT)
    assert Fill.objects.get(account=account).fee == 0


def test_a_fill_with_other_figures_is_reported_and_changes_nothing(
    account: ExchangeAccount, caplog: pytest.LogCaptureFixture
) -> None:
    ledger.add_fills(account.pk, [fill("5")], "stream", None, MOMENT)
    ledger.add_fills(account.pk, [fill("5", size=Decimal(9))], "rest", None, MOMENT)
    assert Fill.objects.get(account=account).size == Decimal("0.02")
    assert "a fill came again with other figures" in caplog.text


def test_fills_keep_every_digit(account: ExchangeAccount) -> None:
    price, size = Decimal("0.000000000000000001234567890123"), Decimal("98765432109876543210.123456789")
    [row] = ledger.add_fills(account.pk, [fill("5", price=price, size=size)], "rest", None, MOMENT)
    assert (row["price"], row["size"]) == (f"{price:f}", f"{size:f}")
    stored = Fill.objects.get(account=account)
    assert (stored.price, stored.size) == (price, size)
    whole = 1234567890123 * 98765432109876543210123456789  # in units of 10**-39
    assert row["notional"] == f"{Decimal(whole).scaleb(-39, Context(prec=80)):f}"


def test_the_cursor_moves_with_its_page_or_not_at_all(
    account: ExchangeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.add_fills(account.pk, [fill("1")], "rest", ("BTC/USDT", "1"), MOMENT)
    assert holdings.cursors(account.pk) == {"BTC/USDT": "1"}

    def fails(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("the database went away")

    monkeypatch.setattr(FillCursor.objects, "update_or_create", fails)
    with pytest.raises(RuntimeError):
        ledger.add_fills(account.pk, [fill("2")], "rest", ("BTC/USDT", "2"), MOMENT)
    assert holdings.cursors(account.pk) == {"BTC/USDT": "1"}
    assert Fill.objects.filter(account=account).count() == 1


def test_the_cursor_of_an_empty_page_is_kept_too(account: ExchangeAccount) -> None:
    assert ledger.add_fills(account.pk, [], "rest", ("ETH/USDT", "0"), MOMENT) == []
    assert holdings.cursors(account.pk) == {"ETH/USDT": "0"}


def test_symbols_are_those_ever_filled_or_ordered(account: ExchangeAccount) -> None:
    ledger.add_fills(account.pk, [fill("1", symbol="BTC/USDT")], "rest", None, MOMENT)
    ledger.put_orders(account.pk, [order("1", "canceled", 5, symbol="SOL/USDT")], RECV_NS, None, None)
    assert holdings.fill_symbols(account.pk) == {"BTC/USDT", "SOL/USDT"}


# -- balances and positions --------------------------------------------------------------------------------------------

News = tuple[int, bool, dict[str, str]]


@st.composite
def news(draw: st.DrawFn) -> list[News]:
    """Single figures and complete lists, each of a time of its own, in any order of arrival."""
    figures = st.dictionaries(st.sampled_from("ABCD"), st.sampled_from(["0", "1", "2.5"]), max_size=4)
    times = draw(st.lists(st.integers(1, 1000), min_size=1, max_size=10, unique=True))
    return [(asof_ms, draw(st.booleans()), draw(figures)) for asof_ms in times]


def truth(told: list[News]) -> dict[str, str]:
    """What holds in the end: the latest that was said of each, where a complete list says zero of what it lacks."""
    held: dict[str, str] = {}
    for _, complete, figures in sorted(told, key=lambda one: one[0]):
        held = {**({} if complete else held), **figures}
    return {name: total for name, total in held.items() if total != "0"}


@property_test
@given(news())
def test_the_later_balance_holds_in_any_order_of_arrival(trader: User, told: list[News]) -> None:
    account = fresh_account(trader)
    for asof_ms, complete, figures in told:
        values = [balance(asset, total, asof_ms) for asset, total in figures.items()]
        ledger.put_balances(account.pk, values, RECV_NS, "spot" if complete else None, asof_ms if complete else None)
    shown = {row.asset: f"{row.total}" for row in holdings.balances_of([account])}
    assert shown == truth(told)


@property_test
@given(news())
def test_the_later_position_holds_in_any_order_of_arrival(trader: User, told: list[News]) -> None:
    account = fresh_account(trader)
    for asof_ms, complete, figures in told:
        values = [position(symbol, size, asof_ms) for symbol, size in figures.items()]
        ledger.put_positions(account.pk, values, RECV_NS, "usdm" if complete else None, asof_ms if complete else None)
    shown = {row.symbol: f"{row.size}" for row in holdings.positions_of([account])}
    assert shown == truth(told)


def test_two_positions_of_one_market_and_side(account: ExchangeAccount) -> None:
    crossed, isolated = position("BTC/USDT:USDT", "1", 100), position("BTC/USDT:USDT", "-0.5", 100, apart="isolated")
    ledger.put_positions(account.pk, [crossed, isolated], RECV_NS, "usdm", 100)
    assert [(row.apart, f"{row.size}") for row in holdings.positions_of([account])] == [("", "1"), ("isolated", "-0.5")]
    ledger.put_positions(account.pk, [isolated], RECV_NS, "usdm", 200)
    assert [row.apart for row in holdings.positions_of([account])] == ["isolated"]


def test_of_two_figures_of_one_moment_the_last_holds(account: ExchangeAccount) -> None:
    ledger.put_balances(account.pk, [balance("BTC", "1", 100)], RECV_NS, None, None)
    ledger.put_balances(account.pk, [balance("BTC", "2", 100)], RECV_NS, None, None)
    assert Balance.objects.get(account=account).total == 2


def test_a_complete_list_speaks_of_its_own_product_only(account: ExchangeAccount) -> None:
    ledger.put_balances(
        account.pk, [balance("BTC", "1", 100), balance("USDT", "9", 100, product="usdm")], 1, None, None
    )
    ledger.put_balances(account.pk, [], RECV_NS, "usdm", 200)
    assert [(row.product, row.asset) for row in holdings.balances_of([account])] == [("spot", "BTC")]


def test_a_complete_list_without_its_time_is_refused(account: ExchangeAccount) -> None:
    with pytest.raises(ValueError, match="needs asof_ms"):
        ledger.put_positions(account.pk, [], RECV_NS, "usdm", None)


def test_long_and_short_of_one_symbol_are_two_positions(account: ExchangeAccount) -> None:
    both = [position("BTC/USDT:USDT", "1", 5, side="long"), position("BTC/USDT:USDT", "-2", 5, side="short")]
    ledger.put_positions(account.pk, both, RECV_NS, "usdm", 5)
    ledger.put_positions(account.pk, both[:1], RECV_NS, "usdm", 6)
    assert [(row.side, row.size) for row in holdings.positions_of([account])] == [("long", 1)]


# -- orders ------------------------------------------------------------------------------------------------------------


def statuses(account: ExchangeAccount) -> dict[str, str]:
    return dict(Order.objects.filter(account=account).values_list("order_id", "status"))


LIFE = [
    order("1", "open", 100),
    order("1", "partial", 110, filled=Decimal("0.4")),
    order("1", "partial", 120, filled=Decimal("0.7")),
    order("1", "filled", 120, filled=Decimal(1)),
]


@pytest.mark.parametrize("arrival", list(itertools.permutations(range(4))))
def test_an_order_ends_the_same_in_any_order_of_arrival(account: ExchangeAccount, arrival: tuple[int, ...]) -> None:
    for number in arrival:
        ledger.put_orders(account.pk, [LIFE[number]], RECV_NS, None, None)
    row = Order.objects.get(account=account)
    assert (row.status, row.filled) == ("filled", 1)


@pytest.mark.parametrize(
    "told", [order("1", "filled", 100, filled=Decimal(1)), order("1", "partial", 100, filled=Decimal("0.4"))]
)
def test_what_a_stream_told_is_not_taken_back_by_a_clock_that_is_ahead(
    account: ExchangeAccount, told: account_domain.Order
) -> None:
    """Its placing is answered after its fills were told, and is dated a few milliseconds after them."""
    ledger.put_orders(account.pk, [told], RECV_NS, None, None)
    ledger.put_orders(account.pk, [order("1", "open", 104)], RECV_NS, None, None)
    row = Order.objects.get(account=account)
    assert (row.status, row.filled) == (told.status, told.filled)


def test_an_order_that_a_list_lacks_is_closed(account: ExchangeAccount) -> None:
    ledger.put_orders(account.pk, [order("1", "open", 100), order("2", "open", 100)], RECV_NS, None, None)
    ledger.put_orders(account.pk, [order("2", "open", 100)], RECV_NS, "spot", 10_150)
    assert statuses(account) == {"1": "closed", "2": "open"}


def test_an_order_newer_than_the_list_stays_open(account: ExchangeAccount) -> None:
    """The question was sent at 10,150, the order accepted at 10,160, the answer came after both."""
    ledger.put_orders(account.pk, [order("1", "open", 10_160)], RECV_NS, None, None)
    ledger.put_orders(account.pk, [], RECV_NS, "spot", 10_150)
    assert statuses(account) == {"1": "open"}


def test_an_order_that_is_younger_than_a_list_can_know_stays_open(account: ExchangeAccount) -> None:
    """The list was made from a copy that is a moment late, whether the order was told before the list or after it."""
    ledger.put_orders(account.pk, [order("1", "open", 10_149 - LISTED_MS + 2)], RECV_NS, None, None)
    ledger.put_orders(account.pk, [], RECV_NS, "spot", 10_150)
    ledger.put_orders(account.pk, [order("2", "open", 10_140)], RECV_NS, None, None)
    assert statuses(account) == {"1": "open", "2": "open"}
    ledger.put_orders(account.pk, [], RECV_NS, "spot", 20_150)
    assert statuses(account) == {"1": "closed", "2": "closed"}


def test_how_a_closed_order_ended_is_learned_late(account: ExchangeAccount) -> None:
    ledger.put_orders(account.pk, [order("1", "open", 100)], RECV_NS, None, None)
    ledger.put_orders(account.pk, [], RECV_NS, "spot", 10_150)
    ledger.put_orders(account.pk, [order("1", "partial", 130)], RECV_NS, None, None)  # older than the list
    assert statuses(account) == {"1": "closed"}
    ledger.put_orders(account.pk, [order("1", "canceled", 140)], RECV_NS, None, None)
    assert statuses(account) == {"1": "canceled"}


def test_a_list_that_has_the_order_again_reopens_it(account: ExchangeAccount) -> None:
    ledger.put_orders(account.pk, [order("1", "open", 100)], RECV_NS, None, None)
    ledger.put_orders(account.pk, [], RECV_NS, "spot", 10_150)
    ledger.put_orders(account.pk, [order("1", "open", 100)], RECV_NS, "spot", 10_200)
    assert statuses(account) == {"1": "open"}


def test_news_of_an_unknown_order_older_than_a_list_without_it_do_not_open_it(account: ExchangeAccount) -> None:
    ledger.put_orders(account.pk, [], RECV_NS, "spot", 10_150)
    ledger.put_orders(account.pk, [order("1", "open", 100), order("2", "filled", 100)], RECV_NS, None, None)
    assert statuses(account) == {"1": "closed", "2": "filled"}


def test_open_orders_are_all_shown_and_the_newest_ended(account: ExchangeAccount) -> None:
    opened = [order(f"o{n}", "open", 10 + n) for n in range(150)]
    ended = [order(f"e{n}", "filled", 1000 + n) for n in range(150)]
    ledger.put_orders(account.pk, opened + ended, RECV_NS, None, None)
    shown = holdings.orders_of([account])
    assert {row.order_id for row in shown if row.status == "open"} == {value.id for value in opened}
    assert [row.order_id for row in shown[:50]] == [f"e{n}" for n in range(149, 99, -1)]


# -- accounts ----------------------------------------------------------------------------------------------------------


def test_what_is_told_of_a_removed_account_is_dropped(account: ExchangeAccount) -> None:
    number = account.pk
    account.delete()
    assert ledger.add_fills(number, [fill("1")], "stream", ("BTC/USDT", "1"), MOMENT) == []
    ledger.put_balances(number, [balance("BTC", "1", 100)], RECV_NS, "spot", 100)
    ledger.put_positions(number, [position("BTC/USDT:USDT", "1", 100)], RECV_NS, "usdm", 100)
    ledger.put_orders(number, [order("1", "open", 100)], RECV_NS, "spot", 100)
    for model in (Fill, Balance, Position, Order, FillCursor):
        assert not model.objects.exists()


def test_accounts_are_kept_apart(make_account: Callable[..., ExchangeAccount]) -> None:
    one, other = make_account(), make_account()
    ledger.put_balances(one.pk, [balance("BTC", "1", 100)], RECV_NS, None, None)
    ledger.put_balances(other.pk, [], RECV_NS, "spot", 200)
    ledger.add_fills(one.pk, [fill("1")], "rest", None, MOMENT)
    assert len(ledger.add_fills(other.pk, [fill("1")], "rest", None, MOMENT)) == 1
    assert [row.asset for row in holdings.balances_of([one])] == ["BTC"]
