"""Equity at rest: points, what stands for an hour and a day, thinning, and the curve."""

from collections.abc import Callable
from decimal import Decimal

import msgspec
import pytest
from django.contrib.auth.models import User
from django.test import Client

from dashboard import ledger, notes, preferences, worth
from dashboard.models import EquityPoint, ExchangeAccount
from dashboard.rows import Moment
from feeds import account_domain
from feeds.worth import portfolio
from tests.dashboard.rest import error, get
from tests.dashboard.values import balance, fill, position

pytestmark = pytest.mark.django_db

DAY_MS, HOUR_MS, MINUTE_MS = 86_400_000, 3_600_000, 60_000
T0 = 20_777 * DAY_MS


def point(account: ExchangeAccount, at_ms: int, value: str | None = "100", reason: str = "") -> portfolio.EquityPoint:
    values = {} if value is None else {"USDT": value, "USD": value}
    return portfolio.EquityPoint(
        account=account.pk, at_ms=at_ms, values=values, reasons={"USDT": reason, "USD": reason} if reason else {}
    )


def grains(account: ExchangeAccount) -> dict[int, int]:
    rows = EquityPoint.objects.filter(account=account).values_list("at_ms", "grain")
    return {(at_ms - T0) // MINUTE_MS: grain for at_ms, grain in rows}


def test_the_first_complete_point_stands_for_its_hour_and_day(make_account: Callable[..., ExchangeAccount]) -> None:
    account = make_account()
    for minute, reason in ((0, "SOL has no price."), (1, ""), (2, ""), (60, "x"), (61, ""), (125, "")):
        worth.put_equity([point(account, T0 + minute * MINUTE_MS, reason=reason)])
    assert grains(account) == {0: 60, 1: 86_400, 2: 60, 60: 60, 61: 3600, 125: 3600}
    worth.put_equity([point(account, T0 + MINUTE_MS, "999")])  # the same minute again
    assert EquityPoint.objects.get(at_ms=T0 + MINUTE_MS).values["USDT"] == "100"


def test_a_day_whose_first_hours_are_incomplete(make_account: Callable[..., ExchangeAccount]) -> None:
    account = make_account()
    worth.put_equity([point(account, T0, reason="x")])
    assert grains(account) == {0: 86_400}
    worth.put_equity([point(account, T0 + 2 * HOUR_MS)])
    assert grains(account) == {0: 3600, 120: 86_400}  # it still stands for its own hour


def test_a_point_that_is_complete_in_more_currencies_stands(make_account: Callable[..., ExchangeAccount]) -> None:
    """Not the first that is complete in any: its hour would lack the others for ever."""
    account = make_account()
    told = point(account, T0)
    lacking = msgspec.structs.replace(told, reasons={"USDT": "BTC has no price in USDT."})
    worth.put_equity([lacking])
    worth.put_equity([msgspec.structs.replace(told, at_ms=T0 + MINUTE_MS)])
    worth.put_equity([msgspec.structs.replace(lacking, at_ms=T0 + HOUR_MS)])
    worth.put_equity([msgspec.structs.replace(told, at_ms=T0 + HOUR_MS + MINUTE_MS)])
    assert grains(account) == {0: 60, 1: 86_400, 60: 60, 61: 3600}


@pytest.mark.parametrize("whole", [[False] * 3 + [True], [False, True, False, True], [True, False, True]])
def test_one_point_alone_stands_for_an_hour(make_account: Callable[..., ExchangeAccount], whole: list[bool]) -> None:
    account = make_account()
    for hour, minute in ((0, 0), (2, 0), (2, 1), (2, 2))[: len(whole)]:
        reason = "" if whole[minute + (hour > 0)] else "x"
        worth.put_equity([point(account, T0 + hour * HOUR_MS + minute * MINUTE_MS, reason=reason)])
    kept = [at for at, grain in grains(account).items() if grain >= 3600]
    assert sorted(at // 60 for at in kept) == [0, 2]
    days = [at for at, grain in grains(account).items() if grain == 86_400]
    assert len(days) == 1


def test_thinning(make_account: Callable[..., ExchangeAccount]) -> None:
    account = make_account()
    for minute in range(0, 180):
        worth.put_equity([point(account, T0 + minute * MINUTE_MS)])
    assert worth.thin(T0 + 7 * DAY_MS) == 0
    assert worth.thin(T0 + 8 * DAY_MS) == 177
    assert grains(account) == {0: 86_400, 60: 3600, 120: 3600}
    assert worth.thin(T0 + 92 * DAY_MS) == 2
    assert worth.thin(T0 + 9999 * DAY_MS) == 0
    assert grains(account) == {0: 86_400}


def curve(client: Client, query: str) -> dict:
    return get(client, f"/api/equity/?{query}")


def test_the_curve_adds_accounts_and_says_what_is_lacking(
    signed_in: Client, make_account: Callable[..., ExchangeAccount]
) -> None:
    one, two = make_account(label="One"), make_account(label="Two")
    worth.put_equity([point(one, T0, "100.10")])
    worth.put_equity([point(one, T0 + MINUTE_MS, "101"), point(two, T0 + MINUTE_MS, "50.5")])
    worth.put_equity([point(one, T0 + 2 * MINUTE_MS, "102")])
    worth.put_equity([point(one, T0 + 3 * MINUTE_MS, "1", reason="BTC has no price."), point(two, T0 + 3 * MINUTE_MS)])
    worth.put_equity([point(two, T0 + 4 * MINUTE_MS, None), point(one, T0 + 4 * MINUTE_MS)])
    moved = account_domain.Transfer(
        product="spot", id="1", kind="deposit", asset="USDT", amount=Decimal("50.5"), exchange_ms=T0 + 30_000
    )
    funded = msgspec.structs.replace(moved, id="2", kind="funding", symbol="BTC/USDT:USDT")
    notes.put_transfers(two.pk, [moved, funded], 1)
    ledger.put_balances(two.pk, [], 1, "spot", 5)
    body = curve(signed_in, f"from={T0}&to={T0 + HOUR_MS}")
    assert (body["currency"], body["grain_s"]) == ("USDT", 60)
    assert [(p["value"], p["complete"], p["reason"]) for p in body["points"]] == [
        ("100.1", True, ""),
        ("151.5", True, ""),
        ("102", False, "Two has no value at this moment."),
        ("101", False, "BTC has no price."),
        ("100", False, "Two has no value at this moment."),
    ]
    assert [(row["kind"], row["amount"]) for row in body["transfers"]] == [("deposit", "50.5")]
    alone = curve(signed_in, f"from={T0}&to={T0 + HOUR_MS}&account={two.pk}&currency=EUR")
    assert {p["value"] for p in alone["points"]} == {None}
    assert all(not p["complete"] for p in alone["points"])


def test_days_add_what_stands_for_them_though_at_different_minutes(
    signed_in: Client, make_account: Callable[..., ExchangeAccount]
) -> None:
    """The second account was added on the fourth day at 14:07: there is no moment of that day that is kept of both."""
    one, two = make_account(label="One"), make_account(label="Two")
    added_ms = 3 * DAY_MS + 14 * HOUR_MS + 7 * MINUTE_MS
    for day in range(5):
        worth.put_equity([point(one, T0 + day * DAY_MS, "100000")])
    worth.put_equity([point(one, T0 + added_ms, "100000"), point(two, T0 + added_ms, "20000")])
    worth.put_equity([point(two, T0 + 4 * DAY_MS, "20000")])
    told = curve(signed_in, f"from={T0 - 90 * DAY_MS}&to={T0 + 4 * DAY_MS + 1}")
    assert told["grain_s"] == 86_400
    assert [((p["at_ms"] - T0) // DAY_MS, p["value"], p["complete"]) for p in told["points"]] == [
        *((day, "100000", True) for day in range(3)),
        (3, "120000", True),
        (4, "120000", True),
    ]


def test_hours_add_what_stands_for_them_though_one_account_was_stale(
    signed_in: Client, make_account: Callable[..., ExchangeAccount]
) -> None:
    one, two = make_account(label="One"), make_account(label="Two")
    for minute in (*range(5), *range(60, 65), *range(120, 125)):
        stale = "Two: The balances were not told for 20 s." if 60 <= minute < 63 else ""
        at_ms = T0 + minute * MINUTE_MS
        worth.put_equity([point(one, at_ms, "100000"), point(two, at_ms, "20000", reason=stale)])
    told = curve(signed_in, f"from={T0}&to={T0 + 3 * DAY_MS}")
    assert [((p["at_ms"] - T0) // HOUR_MS, p["value"], p["complete"]) for p in told["points"]] == [
        (hour, "120000", True) for hour in range(3)
    ]
    late = curve(signed_in, f"from={T0 + 30 * MINUTE_MS}&to={T0 + 3 * DAY_MS}")  # within an hour: from the next on
    assert [p["value"] for p in late["points"]] == ["120000", "120000"]
    early = curve(signed_in, f"from={T0 - 2 * DAY_MS - 1}&to={T0 + HOUR_MS + MINUTE_MS}")  # the hour is told whole
    assert [(p["value"], p["complete"]) for p in early["points"]] == [("120000", True)] * 2


def test_an_account_that_had_begun_is_lacking_and_one_that_had_not_is_not(
    signed_in: Client, make_account: Callable[..., ExchangeAccount]
) -> None:
    one, two = make_account(label="One"), make_account(label="Two")
    worth.put_equity([point(two, T0 - 100 * DAY_MS, "20000")])
    for day in range(3):
        worth.put_equity([point(one, T0 + day * DAY_MS, "100000")])
    worth.put_equity([point(two, T0 + 2 * DAY_MS, "20000")])
    told = curve(signed_in, f"from={T0 - 80 * DAY_MS}&to={T0 + 3 * DAY_MS}")
    lacking = (False, "Two has no value at this moment.")
    assert [(p["value"], p["complete"], p["reason"]) for p in told["points"]] == [
        ("100000", *lacking),
        ("100000", *lacking),
        ("120000", True, ""),
    ]


def test_what_came_from_a_wallet_that_is_not_followed_came_from_outside(
    signed_in: Client, make_account: Callable[..., ExchangeAccount]
) -> None:
    """All that comes into Bybit's unified wallet passes through its funding wallet, which is not followed."""
    bybit, spot, futures = (make_account(label=label) for label in ("Bybit", "Spot", "Futures"))
    for account, product in ((bybit, "unified"), (spot, "spot"), (futures, "futures")):
        ledger.put_balances(account.pk, [], 1, product, 5)

    def put(account: ExchangeAccount, product: str, amount: str, at_ms: int, kind: str = "internal") -> None:
        given = {
            "product": product,
            "id": f"{at_ms} {amount}",
            "kind": kind,
            "asset": "USDT",
            "exchange_ms": T0 + at_ms,
        }
        notes.put_transfers(account.pk, [account_domain.Transfer(amount=Decimal(amount), **given)], 1)

    put(bybit, "unified", "1000", 10)
    put(bybit, "funding", "1000", 9, "deposit")  # not in the equity before it is moved on
    put(spot, "spot", "-70", 20_000)
    put(futures, "futures", "70", 20_900)
    put(spot, "spot", "-5", 30_000, "withdrawal")

    def told(query: str) -> list[tuple[str, str, str]]:
        rows = curve(signed_in, f"from={T0}&to={T0 + HOUR_MS}{query}")["transfers"]
        return [(row["label"], row["kind"], row["amount"]) for row in rows]

    assert told("") == [("Bybit", "internal", "1000"), ("Spot", "withdrawal", "-5")]
    assert told(f"&account={futures.pk}") == [("Futures", "internal", "70")]  # of its curve the spot wallet is no part
    late = curve(signed_in, f"from={T0 + 20_500}&to={T0 + HOUR_MS}")["transfers"]
    assert [row["amount"] for row in late] == ["-5"]  # the other side came before


def test_a_long_span_is_told_in_hours_or_days(signed_in: Client, make_account: Callable[..., ExchangeAccount]) -> None:
    account = make_account()
    for hour in range(30):
        worth.put_equity([point(account, T0 + hour * HOUR_MS + m * MINUTE_MS) for m in (0, 1)])
    assert len(curve(signed_in, f"from={T0}&to={T0 + 2 * DAY_MS}")["points"]) == 60
    assert len(curve(signed_in, f"from={T0}&to={T0 + 3 * DAY_MS}")["points"]) == 30
    assert len(curve(signed_in, f"from={T0}&to={T0 + 90 * DAY_MS}")["points"]) == 2
    assert error(signed_in, "/api/equity/?from=5&to=5", 400)[0] == "bad_field"
    assert error(signed_in, "/api/equity/?currency=SOL", 400)[0] == "bad_field"


def test_the_days_first_complete_point(make_account: Callable[..., ExchangeAccount]) -> None:
    account = make_account()
    worth.put_equity([point(account, T0 - MINUTE_MS)])
    worth.put_equity([point(account, T0, reason="x")])
    worth.put_equity([point(account, T0 + MINUTE_MS, "7")])
    found = worth.day_begun([account.pk, 999], T0, "USDT")
    assert {number: (p.at_ms, p.values["USDT"]) for number, p in found.items()} == {account.pk: (T0 + MINUTE_MS, "7")}


def test_a_day_begins_complete_in_the_currency_that_is_asked_for(make_account: Callable[..., ExchangeAccount]) -> None:
    account = make_account()
    lacking = {"USDT": "BTC has no price in USDT."}
    told = portfolio.EquityPoint(account=account.pk, at_ms=T0, values={"USDT": "1", "BTC": "2"}, reasons=lacking)
    worth.put_equity([told])
    worth.put_equity([point(account, T0 + MINUTE_MS, "7")])
    first = {name: worth.day_begun([account.pk], T0, name) for name in ("BTC", "USDT", "EUR")}
    assert {name: [p.at_ms - T0 for p in found.values()] for name, found in first.items()} == {
        **{"BTC": [0], "USDT": [MINUTE_MS], "EUR": []}
    }


def test_what_the_worker_reads(make_account: Callable[..., ExchangeAccount], trader: User) -> None:
    good, bad = make_account(label="Good"), make_account(label="Bad", state="DOWN", sentence="Key refused.")
    ledger.put_balances(good.pk, [balance("BTC", "1.5", 5), balance("OLD", "0", 5)], 1, None, None)
    held = position("BTC/USDT:USDT", "-2", 5, unrealised=Decimal(3), settle="USDT")
    ledger.put_positions(good.pk, [held, position("ETH/USDT:USDT", "0", 5)], 1, None, None)
    ledger.put_balances(good.pk, [], 2, "funding", 6)
    first, second = worth.held()
    assert (first.wallets, first.followed) == (("funding",), {"funding", "spot"})  # one that is empty is followed, too
    assert [(b.asset, b.total) for b in first.balances] == [("BTC", Decimal("1.5"))]
    assert [(p.symbol, p.size, p.settle) for p in first.positions] == [("BTC/USDT:USDT", Decimal(-2), "USDT")]
    assert (first.trouble, second.trouble) == ("", "Key refused.")
    preferences.put(trader.pk, {"currency": "EUR", "zone": "Asia/Tokyo"})
    (person,) = worth.people()
    assert (person.currency, person.zone, person.accounts) == ("EUR", "Asia/Tokyo", (good.pk, bad.pk))


def test_fills_in_the_order_of_time(make_account: Callable[..., ExchangeAccount]) -> None:
    account = make_account()
    told = [fill("1", exchange_ms=30), fill("2", exchange_ms=10), fill("3", exchange_ms=10, fee=None, fee_asset=None)]
    ledger.add_fills(account.pk, told, "rest", None, Moment(now_ns=0))
    read, after = [], (0, 0)
    while page := worth.cost_history(account.pk, after, 2):
        read += [told.id for _, told in page]
        after = page[-1][1].exchange_ms, page[-1][0]
    assert read == ["2", "3", "1"]
    assert worth.fill_count(account.pk) == 3
