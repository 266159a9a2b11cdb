"""The pages: who sees them, and that they work without JavaScript where they shall."""

import time
from collections.abc import Callable
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import pytest
from django.http import HttpRequest
from django.test import Client
from django.urls import get_resolver

from dashboard import ledger, records, views
from dashboard.models import ExchangeAccount
from tests.dashboard.values import balance

PAGES = ("/", "/balances/", "/accounts/", "/password/")
OUTSIDE = ("/login/", "/signin/1-x/", "/nothing-here/")

pytestmark = pytest.mark.django_db


class Page(HTMLParser):
    """What the tests ask of a page: its elements, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.scripts: list[str] = []
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside in ("script", "style"):
            self.scripts.append(data.strip())
        elif data.strip():
            self.text.append(" ".join(data.split()))


def page(client: Client, path: str, status: int = 200) -> Page:
    answer = client.get(path)
    assert answer.status_code == status, path
    return Page(answer.content.decode())


@pytest.mark.parametrize("path", PAGES)
def test_pages_lead_to_the_sign_in_page(client: Client, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer["Location"]) == (302, f"/login/?next={path}")


def test_every_page_but_the_outside_ones_needs_sign_in(client: Client) -> None:
    """Not by a list that somebody must think of: by asking every address there is."""
    for pattern in get_resolver().url_patterns:
        path = "/" + str(pattern.pattern).replace("<int:number>", "1").replace("<str:token>", "1-x")
        if path.startswith(("/api/", "/metrics")) or path in ("/login/", "/signin/1-x/", "/healthz"):
            continue
        answer = client.get(path)
        assert answer.status_code == 302 and answer["Location"].startswith("/login/"), path


@pytest.mark.parametrize("path", PAGES)
def test_pages_come(signed_in: Client, path: str) -> None:
    assert page(signed_in, path).text


def test_the_sign_in_page_is_skipped_by_who_is_signed_in(signed_in: Client) -> None:
    assert signed_in.get("/login/")["Location"] == "/"


def test_balances_with_their_ages(signed_in: Client, make_account: Callable[..., ExchangeAccount]) -> None:
    account = make_account(label="Main")
    now_ms = int(time.time() * 1000)
    values = [balance("BTC", "0.123456789012345678", now_ms - 90_000, free=Decimal("0.1")), balance("XRP", "0", now_ms)]
    ledger.put_balances(account.pk, values, time.time_ns(), None, None)
    records.put_report({"streams": []})
    shown = page(signed_in, "/balances/")
    assert {"Main", "BTC", "0.123456789012345678", "0.1", "LIVE"} <= set(shown.text)
    assert "XRP" not in shown.text
    [age] = [attrs["data-age-ms"] for tag, attrs in shown.elements if "data-age-ms" in attrs]
    assert age and 90_000 <= int(age) < 120_000


def test_old_balances_say_so(signed_in: Client, make_account: Callable[..., ExchangeAccount]) -> None:
    account = make_account()
    ledger.put_balances(account.pk, [balance("BTC", "1", int(time.time() * 1000))], time.time_ns(), None, None)
    records.put_report({"streams": []}, recv_ns=time.time_ns() - 60 * 10**9)
    shown = page(signed_in, "/balances/")
    assert "STALE" in shown.text
    assert "The worker has been silent for 60 s." in shown.text
    assert "LIVE" not in shown.text


def test_accounts_and_what_can_be_added(signed_in: Client, make_account: Callable[..., ExchangeAccount]) -> None:
    records.put_sealing_key("k", "QQ==", {"okx": {"products": ["spot"], "passphrase": True}, "binance": {}})
    make_account(label="Main", fingerprint="abcd…yz")
    answer = signed_in.get("/accounts/")
    assert answer.context["exchanges"] == [
        {"name": "binance", "products": [], "passphrase": False},
        {"name": "okx", "products": ["spot"], "passphrase": True},
    ]
    assert answer.context["has_password"] is True
    assert {"Main", "abcd…yz"} <= set(Page(answer.content.decode()).text)


def test_what_users_typed_is_text_and_never_markup(
    signed_in: Client, make_account: Callable[..., ExchangeAccount]
) -> None:
    make_account(label="<img src=x onerror=alert(1)>", sentence="<b>bold</b>")
    for path in ("/accounts/", "/balances/"):
        shown = page(signed_in, path)
        assert not [tag for tag, attrs in shown.elements if tag == "b" or "onerror" in attrs]
        assert "<img src=x onerror=alert(1)>" in shown.text


# -- errors ------------------------------------------------------------------------------------------------------------


def test_what_is_not_there(signed_in: Client) -> None:
    shown = page(signed_in, "/nothing-here/", 404)
    assert "There is nothing at this address." in shown.text


def test_a_host_name_that_is_not_allowed(client: Client) -> None:
    answer = client.get("/login/", headers={"Host": "evil.example"})
    assert answer.status_code == 400
    assert "Name it in ALLOWED_HOSTS." in answer.content.decode()


def test_a_form_without_its_csrf_token(trader: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    answer = client.post("/login/", {"username": "trader", "password": "correct horse battery"})
    assert answer.status_code == 403
    assert "Load the page anew and try again." in answer.content.decode()


@pytest.mark.parametrize("path", ["/balances/", "/api/balances/"])
def test_a_fault_of_the_server_tells_nothing_of_itself(
    signed_in: Client, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    def breaks(*args: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(records, "report", breaks)
    signed_in.raise_request_exception = False
    answer = signed_in.get(path)
    assert answer.status_code == 500
    text = answer.content.decode()
    assert "The server made an error. Its log tells more." in text
    assert "secret detail" not in text and "Traceback" not in text
    if path.startswith("/api/"):
        assert answer.json()["error"]["code"] == "server_error"


def test_a_refused_permission_is_a_sentence(rf: Any) -> None:
    request: HttpRequest = rf.get("/x/")
    request.user = None
    assert views.forbidden(request).status_code == 403
