"""Who may order, and what of: docs/protocol.md section 3. (What becomes of an order: tests/feeds/test_trader.py.)"""

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from dashboard import access, live, orders
from dashboard.models import ExchangeAccount
from dashboard.models_accounts import OrderTicket
from feeds.tickets import Ticket, Wish

pytestmark = pytest.mark.django_db

GOOD = {"key": "click-0001", "symbol": "BTC/USDT", "side": "buy", "size": "0.01", "price": "60000.10"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What the worker was asked; it does everything."""
    questions: list[tuple[Any, ...]] = []

    async def trade(account: int, action: str, body: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        questions.append((account, action, body))
        return {"orders": 2} if action == "cancel_all" else {}

    monkeypatch.setattr(live, "trade", trade)
    return questions


@pytest.fixture
def account(make_account: Any) -> ExchangeAccount:
    made: ExchangeAccount = make_account(trading=True)
    return made


def post(client: Client, path: str, body: Any) -> Any:
    return client.post(path, json.dumps(body), content_type="application/json")


def paths(account: ExchangeAccount) -> dict[str, Any]:
    here = f"/api/accounts/{account.pk}"
    order = {"symbol": "BTC/USDT", "order_id": "7"}
    return {f"{here}/orders/": GOOD, f"{here}/orders/cancel/": order, f"{here}/cancel-all/": {}}


def test_an_order_is_told_to_the_worker_with_every_field(
    signed_in: Client, account: ExchangeAccount, asked: list[Any]
) -> None:
    for path, body in paths(account).items():
        assert post(signed_in, path, body).status_code == 200
    wish = {
        "symbol": "BTC/USDT",
        "side": "buy",
        "size": "0.01",
        "price": "60000.10",
        "time_in_force": "GTC",
        "post_only": False,
        "reduce_only": False,
    }
    assert asked == [
        (account.pk, "place", {"key": "click-0001", "wish": wish}),
        (account.pk, "cancel", {"symbol": "BTC/USDT", "order_id": "7"}),
        (account.pk, "cancel_all", {}),
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("size", value) for value in (0.01, "", "x", "NaN", "Infinity", None, "1" * 50, "1e9999999999", "1E5")],
        *[("price", value) for value in (60000, "", "1e", [])],
        *[("side", value) for value in ("BUY", None)],
        *[("key", value) for value in ("short", "with space", "x" * 65, 7, None)],
        *[("symbol", value) for value in ("", 5, None)],
        *[("post_only", value) for value in (1, "true", None)],
        ("time_in_force", "DAY"),
        ("leverage", "3"),
    ],
)
def test_a_wrong_field_is_named(
    signed_in: Client, account: ExchangeAccount, asked: list[Any], field: str, value: Any
) -> None:
    answer = post(signed_in, f"/api/accounts/{account.pk}/orders/", {**GOOD, field: value})
    body = answer.json()
    assert (answer.status_code, body["error"]["code"], body["error"]["field"]) == (400, "bad_field", field)
    assert asked == []


def test_a_body_that_is_none(signed_in: Client, account: ExchangeAccount, asked: list[Any]) -> None:
    path = f"/api/accounts/{account.pk}/orders/"
    for text in ("", "[]", "{", '"x"'):
        assert signed_in.post(path, text, content_type="application/json").status_code == 400
    assert asked == []


def test_only_owners_of_accounts_that_may_trade(
    client: Client, signed_in: Client, account: ExchangeAccount, stranger: User, asked: list[Any]
) -> None:
    other = Client()
    other.force_login(stranger)
    for path, body in paths(account).items():
        assert post(Client(), path, body).status_code == 401
        assert post(other, path, body).status_code == 404
    access.share(account, stranger.username, access.VIEWER)
    for path, body in paths(account).items():
        assert post(other, path, body).status_code == 403
    assert post(other, "/api/cancel-all/", {}).json() == {"accounts": []}
    assert asked == []
    access.share(account, stranger.username, access.OWNER)
    assert post(other, "/api/cancel-all/", {}).json()["accounts"] == [
        {"account": account.pk, "orders": 2, "sentence": ""}
    ]
    ExchangeAccount.objects.update(trading=False)
    for path, body in paths(account).items():
        answer = post(signed_in, path, body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "refused")
    assert post(signed_in, "/api/cancel-all/", {}).json() == {"accounts": []}
    assert len(asked) == 1


def test_without_the_csrf_token_a_browser_cannot(account: ExchangeAccount, trader: User, asked: list[Any]) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(trader)
    for path, body in paths(account).items():
        assert post(browser, path, body).status_code == 403
    assert asked == []


def test_refusals_and_silence(signed_in: Client, account: ExchangeAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[Exception] = [live.Refused("The account is STALE."), TimeoutError()]

    async def trade(*args: Any) -> dict[str, Any]:
        raise raised.pop(0)

    monkeypatch.setattr(live, "trade", trade)
    path = f"/api/accounts/{account.pk}/orders/"
    refused, silent = post(signed_in, path, GOOD), post(signed_in, path, GOOD)
    assert (refused.status_code, refused.json()["error"]) == (
        409,
        {"code": "refused", "message": "The account is STALE."},
    )
    assert (silent.status_code, silent.json()["error"]["code"]) == (503, "unavailable")
    assert "may be sent again" in silent.json()["error"]["message"]


def test_tickets_are_kept(account: ExchangeAccount, make_account: Any) -> None:
    from decimal import Decimal

    wish = Wish(symbol="BTC/USDT", side="sell", size=Decimal("0.010"), price=Decimal("1E+2"), post_only=True)
    sent = Ticket(key="click-0001", wish=wish, client_id="sb-1", state="sent", sent_ns=5)
    orders.put_ticket(account.pk, sent)
    assert orders.ticket(account.pk, "click-0001") == sent
    assert orders.open_tickets(account.pk) == [sent]
    assert orders.ticket(make_account().pk, "click-0001") is None
    placed = Ticket(key="click-0001", wish=wish, client_id="sb-1", state="placed", order_id="9", sent_ns=5)
    orders.put_ticket(account.pk, placed)
    assert (orders.ticket(account.pk, "click-0001"), orders.open_tickets(account.pk)) == (placed, [])
    assert orders.ordered(account.pk) == [("sb-1", "BTC/USDT", "9")]
    number = account.pk
    account.delete()
    orders.put_ticket(number, placed)  # removed meanwhile
    assert not OrderTicket.objects.exists()
