"""What an account holds, by REST, against docs/protocol.md section 3."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.test import Client

from dashboard.models import Balance, ExchangeAccount, Position, WorkerReport
from tests.dashboard.rest import LISTS, documented, error, fill_up, get, report

pytestmark = pytest.mark.django_db


def test_balances(signed_in: Client, account: ExchangeAccount) -> None:
    [row] = get(signed_in, "/api/balances/")["balances"]
    assert list(row) == documented("/api/balances/", "balances")
    assert (row["account"], row["exchange"], row["label"], row["product"]) == (account.pk, "binance", "Main", "spot")
    assert (row["asset"], row["total"], row["free"], row["locked"]) == ("BTC", "1.5", "1.2", None)
    stored = Balance.objects.get()
    assert (row["asof_ms"], row["recv_us"], row["state"]) == (stored.asof_ms, stored.recv_ns // 1000, "LIVE")
    assert 0 <= row["age_ms"] < 120_000


def test_positions(signed_in: Client, account: ExchangeAccount) -> None:
    [row] = get(signed_in, "/api/positions/")["positions"]
    assert list(row) == documented("/api/positions/", "positions")
    assert (row["symbol"], row["side"], row["size"], row["entry"]) == ("BTC/USDT:USDT", "both", "-2", "60000")
    assert (row["mark"], row["unrealised"], row["unrealised_ratio"]) == ("59000", "2000", "0.016667")
    assert row["unrealised_asset"] == "USDT"
    assert row["mark_age_ms"] == row["age_ms"]
    assert (row["liquidation"], row["leverage"], row["margin_mode"], row["settle"]) == (None, None, None, None)


def test_a_position_that_settles_in_another_asset(signed_in: Client, account: ExchangeAccount) -> None:
    Position.objects.update(settle="BTC", unrealised=Decimal("0.03"))
    [row] = get(signed_in, "/api/positions/")["positions"]
    assert (row["unrealised"], row["unrealised_asset"], row["unrealised_ratio"]) == ("0.03", "BTC", None)


def test_orders(signed_in: Client, account: ExchangeAccount) -> None:
    [row] = get(signed_in, "/api/orders/")["orders"]
    assert list(row) == documented("/api/orders/", "orders")
    assert (row["id"], row["client_id"], row["status"], row["price"], row["filled"]) == (
        "5",
        "mine",
        "open",
        "60000",
        "0",
    )


def test_fills_newest_first(signed_in: Client, account: ExchangeAccount) -> None:
    body = get(signed_in, "/api/fills/?limit=4")
    assert list(body["fills"][0]) == documented("/api/fills/", "fills")
    assert [row["id"] for row in body["fills"]] == ["9", "8", "7", "6"]
    assert (body["first_row"], body["last_row"]) == (body["fills"][-1]["row"], body["fills"][0]["row"])
    assert body["more"] is True
    row = body["fills"][0]
    assert (row["notional"], row["fee"], row["fee_asset"], row["maker"]) == ("1236.7526", "0.00002", "BTC", False)
    older = get(signed_in, f"/api/fills/?before={body['first_row']}")
    assert [row["id"] for row in older["fills"]] == ["5", "4", "3", "2", "1", "0"]
    assert older["more"] is False


def test_fills_after_a_row_oldest_first(signed_in: Client, account: ExchangeAccount) -> None:
    first = get(signed_in, "/api/fills/")["first_row"]
    page = get(signed_in, f"/api/fills/?after={first}&limit=5")
    assert [row["id"] for row in page["fills"]] == ["1", "2", "3", "4", "5"]
    assert page["more"] is True
    rest = get(signed_in, f"/api/fills/?after={page['last_row']}")
    assert [row["id"] for row in rest["fills"]] == ["6", "7", "8", "9"]
    assert rest["more"] is False
    none = get(signed_in, f"/api/fills/?after={rest['last_row']}")
    assert none == {"fills": [], "first_row": None, "last_row": None, "more": False}


def test_fills_of_a_symbol_and_an_account(
    signed_in: Client, account: ExchangeAccount, make_account: Callable[..., ExchangeAccount]
) -> None:
    other = make_account(label="Second")
    fill_up(other)
    assert len(get(signed_in, "/api/fills/")["fills"]) == 20
    body = get(signed_in, f"/api/fills/?account={other.pk}&symbol=ETH/USDT")
    assert [(row["label"], row["id"]) for row in body["fills"]] == [("Second", n) for n in "86420"]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "after=-1", "before=x", "account=main", "account=" + "9" * 30]
)
def test_wrong_questions_for_fills(signed_in: Client, account: ExchangeAccount, query: str) -> None:
    code, message = error(signed_in, f"/api/fills/?{query}", 400)
    assert code == "bad_field"
    assert message.startswith(query.partition("=")[0])


def test_ages_count_by_the_exchanges_clock(signed_in: Client, account: ExchangeAccount) -> None:
    """An exchange whose clock is a minute ahead: the same figure is a minute older."""
    before = get(signed_in, "/api/balances/")["balances"][0]["age_ms"]
    report(clock_offsets_ms={"binance": 60_000.0, "kraken": None})
    after = get(signed_in, "/api/balances/")["balances"][0]["age_ms"]
    assert 60_000 <= after - before < 90_000
    report(clock_offsets_ms={"binance": -10_000_000.0})
    assert get(signed_in, "/api/balances/")["balances"][0]["age_ms"] == 0  # never negative


def test_nothing_is_live_while_the_worker_is_silent(signed_in: Client, account: ExchangeAccount) -> None:
    report(age_s=7)
    for path, name in zip(LISTS[:3], ("balances", "positions", "orders"), strict=True):
        assert {row["state"] for row in get(signed_in, path)[name]} == {"STALE"}, path
    [row] = get(signed_in, "/api/accounts/")["accounts"]
    assert (row["state"], row["sentence"]) == ("STALE", "The worker has been silent for 7 s.")
    WorkerReport.objects.all().delete()
    [row] = get(signed_in, "/api/accounts/")["accounts"]
    assert (row["state"], row["sentence"]) == ("DOWN", "The worker has not reported yet.")
