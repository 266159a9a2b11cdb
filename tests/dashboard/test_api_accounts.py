"""Adding and removing accounts, docs/protocol.md section 4."""

import base64
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from channels.layers import get_channel_layer
from django.contrib.auth.models import User
from django.test import Client
from nacl.public import PrivateKey, SealedBox

from dashboard import records
from dashboard.models import ExchangeAccount
from tests.dashboard.rest import LISTS, documented, error, get

pytestmark = pytest.mark.django_db


# -- accounts ----------------------------------------------------------------------------------------------------------

SECRETS = {"key": "abcdEFGH1234567890yz", "secret": "verySecret-0987654321", "passphrase": ""}


@pytest.fixture
def private_key(db: None) -> PrivateKey:
    """The worker's key; its public half is published."""
    private = PrivateKey.generate()
    public = base64.b64encode(bytes(private.public_key)).decode()
    exchanges = {"binance": {"products": ["spot", "usdm"], "passphrase": False}}
    records.put_sealing_key("k1", public, exchanges)
    return private


def new_account(client: Client, **fields: Any) -> dict[str, Any]:
    """A request body, sealed as a browser does with what the server tells."""
    key = client.get("/api/sealing-key/").json()
    box = SealedBox(PrivateKey.generate().public_key)
    if "public_key" in key:
        from nacl.public import PublicKey

        box = SealedBox(PublicKey(base64.b64decode(key["public_key"])))
    sealed = base64.b64encode(box.encrypt(json.dumps(SECRETS).encode())).decode()
    given = {"exchange": "binance", "label": "Main", "products": ["spot"], "fingerprint": "abcd…yz", "sealed": sealed}
    return {key: value for key, value in {**given, **fields}.items() if value is not ...}


def post(client: Client, body: Any) -> Any:
    return client.post("/api/accounts/", json.dumps(body), content_type="application/json")


def test_the_sealing_key(signed_in: Client, private_key: PrivateKey) -> None:
    body = get(signed_in, "/api/sealing-key/")
    assert body["key_id"] == "k1"
    assert base64.b64decode(body["public_key"]) == bytes(private_key.public_key)
    assert body["exchanges"] == {"binance": {"products": ["spot", "usdm"], "passphrase": False}}


def test_before_the_worker_has_a_key(signed_in: Client) -> None:
    assert error(signed_in, "/api/sealing-key/", 503)[0] == "no_key"
    assert post(signed_in, {}).status_code == 503


def drained() -> list[dict[str, Any]]:
    """What the worker was told since the last call."""
    layer = get_channel_layer()
    assert layer is not None
    queue = layer.channels.get("feeds")
    messages = []
    while queue is not None and not queue.empty():
        messages.append(queue.get_nowait()[1])
    return messages


def test_adding_an_account(signed_in: Client, markets: None, private_key: PrivateKey) -> None:
    drained()
    answer = post(signed_in, new_account(signed_in, products=["usdm", "spot"], symbols=["BTC/USDT"]))
    assert answer.status_code == 201, answer.content
    row = answer.json()
    assert set(documented("/api/accounts/", "accounts")) <= set(row)
    assert (row["exchange"], row["label"], row["fingerprint"], row["products"]) == (
        "binance",
        "Main",
        "abcd…yz",
        ["spot", "usdm"],
    )
    assert drained() == [{"type": "feeds.accounts_changed"}]
    stored = ExchangeAccount.objects.get(pk=row["id"])
    assert (stored.owner.username, stored.source, stored.key_id) == ("trader", "browser", "k1")
    assert stored.symbols == ["BTC/USDT"]
    opened = json.loads(SealedBox(private_key).decrypt(base64.b64decode(stored.sealed)))
    assert opened == SECRETS
    assert get(signed_in, "/api/accounts/")["accounts"] == [{**row, "age_ms": None}]
    assert get(signed_in, f"/api/accounts/{row['id']}/")["label"] == "Main"
    for path in ("/api/accounts/", "/accounts/", "/"):
        assert stored.sealed not in signed_in.get(path).content.decode()


@pytest.mark.parametrize(
    ("fields", "field", "named"),
    [
        ({"exchange": "mtgox"}, "exchange", "'mtgox' is not one of binance"),
        ({"exchange": ...}, "exchange", "missing"),
        ({"exchange": 7}, "exchange", "not 7"),
        ({"label": "   "}, "label", "empty"),
        ({"label": "x" * 51}, "label", "51 characters"),
        ({"label": "a\u202eb"}, "label", "cannot be shown"),
        ({"label": "a\0b"}, "label", "cannot be shown"),
        ({"fingerprint": "abc\0…yz"}, "fingerprint", "cannot be shown"),
        ({"symbols": ["BTC\0/USDT"]}, "symbols", "cannot be shown"),
        ({"products": []}, "products", "at least one of spot, usdm"),
        ({"products": "spot"}, "products", "at least one of spot, usdm"),
        ({"products": ["spot", "coinm"]}, "products", "'coinm' is not one of spot, usdm"),
        ({"products": [{"a": 1}]}, "products", "{'a': 1} is not one of"),
        ({"fingerprint": "abcdefgh"}, "fingerprint", "first four"),
        ({"fingerprint": "abcdEFGH1234567890yz"}, "fingerprint", "20 characters"),
        ({"fingerprint": ...}, "fingerprint", "missing"),
        ({"sealed": "not base64!"}, "sealed", "sealed box"),
        ({"sealed": base64.b64encode(b"x" * 48).decode()}, "sealed", "sealed box"),
        ({"sealed": "A" * 20_000}, "sealed", "20000 characters"),
        ({"symbols": ["NO/SUCH"]}, "symbols", "'NO/SUCH' is not a market of binance"),
        ({"symbols": ["BTC/USD"]}, "symbols", "'BTC/USD' is not a market of binance"),
        ({"symbols": "BTC/USDT"}, "symbols", "list"),
        ({"secret": "oops"}, "secret", "is not a field"),
    ],
)
def test_a_wrong_account_is_refused_by_field_and_value(
    signed_in: Client, markets: None, private_key: PrivateKey, fields: dict[str, Any], field: str, named: str
) -> None:
    answer = post(signed_in, new_account(signed_in, **fields))
    assert answer.status_code == 400, answer.content
    problem = answer.json()["error"]
    assert (problem["code"], problem["field"]) == ("bad_field", field)
    assert problem["message"].startswith(f"{field}: ")
    assert named in problem["message"]
    assert not ExchangeAccount.objects.exists()


@pytest.mark.parametrize("body", ["", "{", "[]", '"x"', "null"])
def test_a_body_that_is_no_object(signed_in: Client, private_key: PrivateKey, body: str) -> None:
    answer = signed_in.post("/api/accounts/", body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] in ("bad_json", "bad_field")


def test_a_label_is_unique_per_user_and_exchange(
    signed_in: Client, private_key: PrivateKey, make_account: Callable[..., ExchangeAccount], stranger: User
) -> None:
    make_account(label="Main", owner=stranger)
    assert post(signed_in, new_account(signed_in)).status_code == 201
    answer = post(signed_in, new_account(signed_in, label=" Main "))
    assert answer.status_code == 400
    assert "'Main' is the label of another of your accounts at binance" in answer.json()["error"]["message"]


def test_a_box_for_an_old_key_is_refused(signed_in: Client, private_key: PrivateKey) -> None:
    body = new_account(signed_in, key_id="k0")
    answer = post(signed_in, body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "stale_key")
    assert post(signed_in, {**body, "key_id": "k1"}).status_code == 201


def test_accounts_change_only_with_the_csrf_token(trader: User, private_key: PrivateKey) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(trader)
    body = new_account(client)
    answer = post(client, body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "csrf")
    page = client.get("/accounts/").content.decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert token
    headers = {"X-CSRFToken": token[1]}
    answer = client.post("/api/accounts/", json.dumps(body), content_type="application/json", headers=headers)
    assert answer.status_code == 201
    path = f"/api/accounts/{answer.json()['id']}/"
    assert client.delete(path).status_code == 403
    assert client.delete(path, headers=headers).status_code == 204


def test_removing_an_account_takes_everything_of_it(signed_in: Client, account: ExchangeAccount) -> None:
    drained()
    assert signed_in.delete(f"/api/accounts/{account.pk}/").status_code == 204
    assert drained() == [{"type": "feeds.accounts_changed"}]
    for path, name in zip(LISTS, ("balances", "positions", "orders", "fills"), strict=True):
        assert get(signed_in, path)[name] == []
        assert error(signed_in, f"{path}?account={account.pk}", 404)[0] == "not_found"
    assert signed_in.delete(f"/api/accounts/{account.pk}/").status_code == 404


def test_removing_an_account_from_the_page(signed_in: Client, account: ExchangeAccount) -> None:
    drained()
    assert signed_in.get(f"/accounts/{account.pk}/remove/").status_code == 405
    answer = signed_in.post(f"/accounts/{account.pk}/remove/")
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/")
    assert not ExchangeAccount.objects.exists()
    assert drained() == [{"type": "feeds.accounts_changed"}]


def test_an_account_is_added_even_if_the_worker_cannot_be_told(
    signed_in: Client, private_key: PrivateKey, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    layer = get_channel_layer()

    async def broken(*args: Any) -> None:
        raise ConnectionError("no Redis")

    monkeypatch.setattr(layer, "send", broken)
    assert post(signed_in, new_account(signed_in)).status_code == 201
    assert "worker not told" in caplog.text


# -- accounts of the worker's environment ------------------------------------------------------------------------------

ENVIRONMENT = {"exchange": "binance", "label": "Main", "products": ["spot"], "symbols": [], "poll_s": 5.0}


def put_environment(name: str, **fields: Any) -> ExchangeAccount:
    number = records.put_environment_account(name=name, fingerprint="abcd…yz", **{**ENVIRONMENT, **fields})
    return ExchangeAccount.objects.get(pk=number)


def test_an_account_of_the_environment_keeps_its_number(trader: User) -> None:
    first = put_environment("main")
    assert (first.owner, first.source, first.sealed) == (trader, "environment", "")
    again = put_environment("main", label="Renamed", products=["spot", "usdm"])
    assert (again.pk, again.label, again.products) == (first.pk, "Renamed", ["spot", "usdm"])


def test_labels_of_environment_and_browser_do_not_clash(make_account: Callable[..., ExchangeAccount]) -> None:
    make_account(label="Main")
    assert put_environment("main").label == "Main (main)"


def test_another_exchange_under_the_same_name_is_another_account(trader: User) -> None:
    first = put_environment("main")
    second = put_environment("main", exchange="kraken")
    assert first.pk != second.pk
    first.refresh_from_db()
    assert (first.state, first.name) == ("DOWN", "")


def test_accounts_no_longer_configured_are_marked_and_kept(make_account: Callable[..., ExchangeAccount]) -> None:
    browser = make_account()
    one, two = put_environment("one", label="One"), put_environment("two", label="Two")
    records.retire_environment_accounts(keep=["two"])
    states = dict(ExchangeAccount.objects.values_list("pk", "state"))
    assert states == {browser.pk: "LIVE", one.pk: "DOWN", two.pk: "CONNECTING"}
    assert put_environment("one").pk == one.pk  # configured again: found again
