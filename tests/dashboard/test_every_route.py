"""No page, no answer and no topic shows another user's account, or that there is one: walked through all the routes
that there are, so that a new one cannot be forgotten.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, get_resolver

from dashboard import access
from dashboard.doorkeeper import Doorkeeper, Identity, UnknownTopic
from dashboard.models import ExchangeAccount
from feeds import topics
from feeds.topics import parse_topic

pytestmark = pytest.mark.django_db

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
SAMPLES = {
    "token": "nonsense",
    "exchange": "binance",
    "symbol": "BTC/USDT",
    "product": "spot",
    "user": "1",
}
"""A value for each parameter of a route but the account's number."""
NARROWED = frozenset(
    {
        "api/balances/",
        "api/positions/",
        "api/orders/",
        "api/fills/",
        "api/fills.csv",
        "api/transfers/",
        "api/notices/",
        "api/equity/",
    }
)
"""Take ``?account=``."""
NOT_OF_USERS = frozenset({"healthz", "metrics"})
"""Tell of the deployment alone; they are asked like all the others."""


def routes() -> Iterator[str]:
    for pattern in get_resolver().url_patterns:
        assert isinstance(pattern, URLPattern), f"{pattern}: routes that are included have to be walked too"
        yield str(pattern.pattern)


def filled(route: str, number: int) -> str:
    """The path of a route; fails for a parameter that no sample is given for."""

    def value(found: re.Match[str]) -> str:
        name = found[1].partition(":")[2]
        return str(number) if name == "number" else SAMPLES[name]

    return "/" + re.sub(r"<([^>]+)>", value, route)


def signed_in(user: User) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


def ask(client: Client, method: str, path: str) -> tuple[int, bytes]:
    body = json.dumps({"trading": True, "user": "stranger", "role": "owner", "symbol": "BTC/USDT", "id": "1"})
    answer: Any = client.generic(method, path, body, content_type="application/json")
    return answer.status_code, async_to_sync(whole)(answer) if answer.streaming else answer.content


async def whole(answer: Any) -> bytes:
    return b"".join([part async for part in answer.streaming_content])


OF_ACCOUNTS = sorted(route for route in routes() if "<int:number>" in route)
OTHERS = sorted(route for route in routes() if "<int:number>" not in route)


def without(number: int, content: bytes) -> bytes:
    """Also without the tokens, which differ from one page to the next."""
    text = content.decode()
    for name in ("account ", "accounts/", "account="):
        text = text.replace(f"{name}{number}", f"{name}N")
    return re.sub(r"[A-Za-z0-9+/_-]{20,}={0,2}", "T", text).encode()


@pytest.mark.parametrize("route", OF_ACCOUNTS)
def test_an_account_s_own_address(route: str, account: ExchangeAccount, stranger: User) -> None:
    """404 by every method that there is, word for word as for an account that nobody has."""
    client, none = signed_in(stranger), account.pk + 1000
    seen = set()
    for method in METHODS:
        status, content = ask(client, method, filled(route, account.pk))
        missing = ask(client, method, filled(route, none))
        assert status in (404, 405), (method, route, content[:300])
        assert (status, without(account.pk, content)) == (missing[0], without(none, missing[1])), (method, route)
        seen.add(status)
    assert 404 in seen
    account.refresh_from_db()
    assert not account.trading and access.role(stranger.pk, account) is None


@pytest.mark.parametrize("route", OTHERS)
def test_every_other_address(route: str, account: ExchangeAccount, stranger: User) -> None:
    """Nothing of the account stands in what it answers; ``?account=`` gives 404 wherever it is taken."""
    client = signed_in(stranger)
    account.label, account.fingerprint = "The other's hoard", "zYxW…vU"
    account.save()
    for method in ("GET", "POST"):
        _, content = ask(client, method, filled(route, 0))
        for secret in ("hoard", "zYxW"):
            assert secret.encode() not in content, (method, route)
        if route == "logout/":
            return
    narrowed = ask(client, "GET", f"{filled(route, 0)}?account={account.pk}")
    missing = ask(client, "GET", f"{filled(route, 0)}?account={account.pk + 1000}")
    assert b"hoard" not in narrowed[1]
    if route in NARROWED:
        assert narrowed[0] == missing[0] == 404, route
        assert without(account.pk, narrowed[1]) == without(account.pk + 1000, missing[1])
    else:
        assert narrowed[0] != 404 or missing[0] == 404, route


def test_what_the_owner_sees_there(account: ExchangeAccount, trader: User) -> None:
    """So the words that are looked for above would be found."""
    account.label, account.fingerprint = "The other's hoard", "zYxW…vU"
    account.save()
    client = signed_in(trader)
    seen = {route for route in OTHERS if b"hoard" in ask(client, "GET", filled(route, 0))[1]}
    assert {"accounts/", "api/accounts/", "api/balances/", "api/fills/"} <= seen
    assert set(OTHERS) >= NARROWED | NOT_OF_USERS
    for route in NARROWED:
        assert ask(client, "GET", f"{filled(route, 0)}?account={account.pk}")[0] == 200, route
    for route in OF_ACCOUNTS:
        found = [ask(client, method, filled(route, account.pk))[0] for method in ("GET", "POST", "PUT")]
        assert set(found) - {404}, route


def test_who_is_not_signed_in_sees_nothing(account: ExchangeAccount) -> None:
    account.label = "The other's hoard"
    account.save()
    for route in (*OF_ACCOUNTS, *OTHERS):
        status, content = ask(Client(raise_request_exception=False), "GET", filled(route, account.pk))
        assert b"hoard" not in content, route
        if route in OF_ACCOUNTS or route in NARROWED:
            assert status in (302, 401, 403, 405), (route, status)


KINDS = {
    **dict.fromkeys(topics.MARKET_KINDS, "a market's"),
    **dict.fromkeys(topics.GLOBAL_KINDS, "everybody's"),
    **dict.fromkeys(topics.SYMBOL_KINDS, "a symbol's"),
    topics.PORTFOLIO: "a user's",
    topics.LEG: "never a browser's",
}


def test_every_kind_of_topic_is_known_to_be_of_an_account_or_not() -> None:
    """The kinds of the table at the top of ``feeds/topics.py``, and those that the module names."""
    named = set(re.findall(r"``([a-z]+)(?:@[^:`]*)?(?::[^`]*)?``", str(topics.__doc__)))
    assert named <= {*KINDS, *topics.ACCOUNT_KINDS}
    assert not set(KINDS) & set(topics.ACCOUNT_KINDS)
    for kind in named - set(KINDS):
        assert parse_topic(f"{kind}:7").account == 7


@pytest.mark.django_db(transaction=True)
async def test_no_topic_of_another_s_account(account: ExchangeAccount, stranger: User, trader: User) -> None:
    keeper, refused = Doorkeeper(), []
    for kind in topics.ACCOUNT_KINDS:
        for number in (account.pk, account.pk + 1000):
            with pytest.raises(UnknownTopic) as told:
                await keeper.check(Identity(stranger.pk), [parse_topic(f"{kind}:{number}")])
            refused.append(str(told.value).replace(str(number), "N").replace(kind, "K"))
        await keeper.check(Identity(trader.pk), [parse_topic(f"{kind}:{account.pk}")])
    assert len(set(refused)) == 1


def test_where_a_key_s_rights_cannot_be_asked_a_sentence_says_so(account: ExchangeAccount, trader: User) -> None:
    """On the page and by REST; not where the exchange tells."""
    client = signed_in(trader)
    rights = {"read": None, "trade": None, "withdraw": None, "withdraw_name": ""}
    for exchange, told, sentence in (
        (
            "lmex",
            {**rights, "told": False},
            "Lmex cannot be asked what this key may do: make sure yourself that it may",
        ),
        ("bybit", {**rights, "told": True}, "Bybit does not say whether this key may withdraw: make sure yourself"),
        ("okx", {**rights, "told": True, "withdraw": False}, ""),
    ):
        ExchangeAccount.objects.filter(pk=account.pk).update(exchange=exchange, rights=told)
        row = json.loads(ask(client, "GET", f"/api/accounts/{account.pk}/")[1])
        page = ask(client, "GET", "/accounts/")[1].decode()
        assert row["rights"]["sentence"].startswith(sentence) and bool(row["rights"]["sentence"]) == bool(sentence)
        assert (sentence in page) and ("make sure yourself that" in page) == bool(sentence)
