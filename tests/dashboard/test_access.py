"""Who sees which account: owner, viewer, everybody else; on pages, by REST and by WebSocket topics."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from dashboard import access, records, worth
from dashboard.doorkeeper import Doorkeeper, Identity, UnknownTopic
from dashboard.models import AccountShare, ExchangeAccount
from feeds.topics import ACCOUNT_KINDS, parse_topic
from tests.dashboard.rest import error, get

pytestmark = pytest.mark.django_db

RECORDS = ("/api/balances/", "/api/positions/", "/api/orders/", "/api/fills/", "/api/transfers/", "/api/notices/")


@pytest.fixture
def viewer(account: ExchangeAccount) -> User:
    user = User.objects.create_user("viewer", password="only looks at it")
    access.share(account, "viewer", "viewer")
    return user


@pytest.fixture
def looking(viewer: User) -> Client:
    client = Client()
    client.force_login(viewer)
    return client


def send(client: Client, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    answer = client.generic(method, path, json.dumps(body), content_type="application/json")
    return answer.status_code, json.loads(answer.content) if answer.content else None


def test_roles(account: ExchangeAccount, foreign: ExchangeAccount, viewer: User, trader: User, stranger: User) -> None:
    both = [account, foreign]
    assert access.roles(trader.pk, both) == {account.pk: "owner"}
    assert access.roles(viewer.pk, both) == {account.pk: "viewer"}
    assert access.roles(stranger.pk, both) == {foreign.pk: "owner"}
    assert list(access.visible(viewer.pk)) == [account]
    pairs = {(user.pk, a.pk) for user in (trader, viewer, stranger) for a in both}
    assert access.allowed(pairs) == {(trader.pk, account.pk), (viewer.pk, account.pk), (stranger.pk, foreign.pk)}
    assert access.allowed([]) == set()


def test_a_viewer_sees_all_records(looking: Client, account: ExchangeAccount) -> None:
    for path in RECORDS:
        name = path.split("/")[2]
        assert {row["account"] for row in get(looking, path)[name]} <= {account.pk}
        assert len(get(looking, f"{path}?account={account.pk}")[name]) == len(get(looking, path)[name])
    assert get(looking, "/api/balances/")["balances"]
    assert get(looking, f"/api/equity/?account={account.pk}")["points"] == []


def test_everybody_else_gets_404(account: ExchangeAccount, stranger: User) -> None:
    client = Client()
    client.force_login(stranger)
    for path in (*RECORDS, "/api/equity/", "/api/fills.csv"):
        answer = client.get(f"{path}?account={account.pk}")
        assert answer.status_code == 404, path
    here = f"/api/accounts/{account.pk}/"
    assert error(client, here, 404)[0] == "not_found"
    assert error(client, f"{here}shares/", 404)[0] == "not_found"
    for method, path in (("DELETE", here), ("PATCH", here), ("PUT", f"{here}shares/"), ("DELETE", f"{here}shares/1/")):
        assert send(client, method, path, {"trading": True})[0] == 404
    assert client.get(f"/accounts/{account.pk}/sharing/").status_code == 404
    assert client.post(f"/accounts/{account.pk}/remove/").status_code == 404
    assert ExchangeAccount.objects.filter(pk=account.pk).exists()


def test_a_viewer_changes_nothing_and_sees_no_key(looking: Client, account: ExchangeAccount) -> None:
    ExchangeAccount.objects.update(rights={"told": True, "read": True, "trade": False, "withdraw": False})
    here = f"/api/accounts/{account.pk}/"
    row = get(looking, here)
    assert (row["role"], row["owner"], row["fingerprint"], row["rights"]) == ("viewer", "trader", None, None)
    (listed,) = get(looking, "/api/accounts/")["accounts"]
    assert {**listed, "age_ms": 0} == {**row, "age_ms": 0}
    for method, path in (("DELETE", here), ("PATCH", here), ("PUT", f"{here}shares/"), ("GET", f"{here}shares/")):
        status, body = send(looking, method, path, {"trading": True})
        assert (status, body["error"]["code"]) == (403, "viewer")
    assert looking.get(f"/accounts/{account.pk}/sharing/").status_code == 403
    assert looking.post(f"/accounts/{account.pk}/remove/").status_code == 403
    account.refresh_from_db()
    assert not account.trading
    page = looking.get("/accounts/").content.decode()
    assert account.fingerprint not in page and "shared with you" in page and "Remove" not in page


def test_an_owner_by_sharing_may_do_all_that(looking: Client, viewer: User, account: ExchangeAccount) -> None:
    AccountShare.objects.update(role="owner")
    status, row = send(looking, "PATCH", f"/api/accounts/{account.pk}/", {"trading": True})
    assert (status, row["role"], row["trading"], row["fingerprint"]) == (200, "owner", True, account.fingerprint)
    assert looking.get(f"/accounts/{account.pk}/sharing/").status_code == 200


def test_sharing_by_rest(signed_in: Client, account: ExchangeAccount, stranger: User) -> None:
    here = f"/api/accounts/{account.pk}/shares/"
    assert get(signed_in, here) == {"shares": []}
    row = {"user": stranger.pk, "name": "stranger", "role": "viewer"}
    assert send(signed_in, "PUT", here, {"user": "stranger", "role": "viewer"}) == (200, {"shares": [row]})
    assert send(signed_in, "PUT", here, {"user": "stranger", "role": "owner"})[1]["shares"] == [row | {"role": "owner"}]
    for body, field in (({"user": "nobody", "role": "viewer"}, "user"), ({"user": "trader", "role": "viewer"}, "user")):
        status, answer = send(signed_in, "PUT", here, body)
        assert (status, answer["error"]["field"]) == (400, field)
    assert send(signed_in, "PUT", here, {"user": "stranger", "role": "king"})[1]["error"]["field"] == "role"
    assert send(signed_in, "DELETE", f"{here}{stranger.pk}/")[0] == 204
    assert send(signed_in, "DELETE", f"{here}{stranger.pk}/")[0] == 404
    assert access.role(stranger.pk, account) is None


def test_sharing_by_the_page(signed_in: Client, account: ExchangeAccount, stranger: User) -> None:
    here = f"/accounts/{account.pk}/sharing/"
    assert "There is no user" in signed_in.post(here, {"user": "nobody", "role": "viewer"}).content.decode()
    assert signed_in.post(here, {"user": "stranger", "role": "viewer"}).status_code == 302
    assert access.role(stranger.pk, account) == "viewer"
    assert "stranger" in signed_in.get(here).content.decode()
    assert signed_in.post(here, {"remove": str(stranger.pk)}).status_code == 302
    assert access.role(stranger.pk, account) is None


@pytest.mark.django_db(transaction=True)
async def test_topics(account: ExchangeAccount, viewer: User, stranger: User, trader: User) -> None:
    keeper = Doorkeeper()
    for kind in ACCOUNT_KINDS:
        topic = parse_topic(f"{kind}:{account.pk}")
        await keeper.check(Identity(viewer.pk), [topic])
        await keeper.check(Identity(trader.pk), [topic])
        with pytest.raises(UnknownTopic, match="you have no account"):
            await keeper.check(Identity(stranger.pk), [topic])
    await keeper.check(Identity(viewer.pk), [parse_topic(f"portfolio:{viewer.pk}")])
    with pytest.raises(UnknownTopic, match="another user's"):
        await keeper.check(Identity(viewer.pk), [parse_topic(f"portfolio:{trader.pk}")])


def test_the_portfolio_is_of_what_each_sees(
    account: ExchangeAccount, foreign: ExchangeAccount, viewer: User, trader: User, stranger: User
) -> None:
    seen = {person.id: person.accounts for person in worth.people()}
    assert seen == {trader.pk: (account.pk,), viewer.pk: (account.pk,), stranger.pk: (foreign.pk,)}


def test_details_are_changed_and_checked(signed_in: Client, account: ExchangeAccount, markets: None) -> None:
    here = f"/api/accounts/{account.pk}/"
    wanted = {"label": "Other", "poll_s": 12.5, "trading": True, "only_here": True, "cancel_on_stop": True}
    status, row = send(signed_in, "PATCH", here, {**wanted, "dead_man_s": 60})
    assert status == 200
    assert {**wanted, "dead_man_s": 60}.items() <= row.items()
    assert {**wanted, "dead_man_s": 60}.items() <= get(signed_in, here).items()
    assert send(signed_in, "PATCH", here, {"symbols": ["BTC/USDT"], "dead_man_s": 0})[0] == 200
    for body, field in (
        ({"poll_s": 0.5}, "poll_s"),
        ({"poll_s": "5"}, "poll_s"),
        ({"poll_s": True}, "poll_s"),
        ({"trading": 1}, "trading"),
        ({"dead_man_s": 5}, "dead_man_s"),
        ({"dead_man_s": 60.0}, "dead_man_s"),
        ({"sealed": "x"}, "sealed"),
        ({"owner": 1}, "owner"),
        ({"symbols": ["NO/SUCH"]}, "symbols"),
        ({}, "body"),
        ([1], "body"),
    ):
        answered, answer = send(signed_in, "PATCH", here, body)
        assert (answered, answer["error"]["field"]) == (400, field), body


def test_what_the_configuration_says_is_changed_there(
    signed_in: Client, make_account: Callable[..., ExchangeAccount]
) -> None:
    made = make_account(name="main", source="environment")
    for field, value in {"poll_s": 9, "trading": True, "only_here": True, "dead_man_s": 60}.items():
        status, body = send(signed_in, "PATCH", f"/api/accounts/{made.pk}/", {field: value})
        assert (status, body["error"]["field"]) == (400, field)
    told = {"name": "main", "exchange": "binance", "label": "Main", "products": ["spot"], "symbols": []}
    records.put_environment_account(**told, poll_s=3, fingerprint="a", trading=True, dead_man_s=90)
    made.refresh_from_db()
    assert (made.trading, made.only_here, made.dead_man_s, made.poll_s) == (True, False, 90, 3)


def test_a_new_account_does_not_trade(account: ExchangeAccount, signed_in: Client) -> None:
    row = get(signed_in, f"/api/accounts/{account.pk}/")
    flags = [row[name] for name in ("trading", "only_here", "cancel_on_stop", "dead_man_s", "rights")]
    assert flags == [False, False, False, 0, None]


def test_rows_tell_which_wallet_pays(signed_in: Client, make_account: Callable[..., ExchangeAccount]) -> None:
    """And what was stored before a switch had to be longer is shown as what holds."""
    for exchange, products, wallets in (
        ("bybit", ["spot", "linear"], {"spot": "unified", "linear": "unified"}),
        ("kraken", ["spot"], {"spot": "spot"}),
    ):
        made = make_account(exchange=exchange, products=products, dead_man_s=10 if exchange == "kraken" else 0)
        row = get(signed_in, f"/api/accounts/{made.pk}/")
        assert (row["wallets"], row["dead_man_s"]) == (wallets, 60 if exchange == "kraken" else 0)
