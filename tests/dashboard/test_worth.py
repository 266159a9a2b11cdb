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
