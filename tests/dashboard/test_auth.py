"""Signing in by link, the first start, and what lies in the tables."""

import re
import threading
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import connections
from django.test import Client
from django.utils import timezone

from dashboard import auth
from dashboard.models import SignInLink

PERSON = {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
"""What a browser says when somebody pastes an address, or clicks it in a terminal."""

pytestmark = pytest.mark.django_db


def signed_in_user(client: Client) -> str | None:
    answer = client.get("/api/accounts/")
    if answer.status_code == 401:
        return None
    return User.objects.get(pk=client.session["_auth_user_id"]).username


def command(name: str, *args: str, **options: Any) -> str:
    out = StringIO()
    call_command(name, *args, stdout=out, **options)
    return out.getvalue().strip()


# -- the first start ---------------------------------------------------------------------------------------------------


def test_the_first_start_makes_one_user_without_a_password(client: Client) -> None:
    user = auth.first_user()
    assert (user.username, user.has_usable_password(), user.is_superuser) == ("trader", False, False)
    assert auth.first_user() == user
    assert User.objects.count() == 1
    for guess in ("", "trader", user.password):
        client.post("/login/", {"username": "trader", "password": guess})
        assert signed_in_user(client) is None


def test_an_installation_with_users_gets_no_further_one(stranger: User) -> None:
    assert auth.first_user() == stranger
    assert User.objects.count() == 1


# -- links -------------------------------------------------------------------------------------------------------------


def test_a_link_signs_in_once(client: Client, trader: User) -> None:
    path = auth.new_link(trader)
    answer = client.get(path, headers=PERSON)
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert signed_in_user(client) == "trader"
    other = Client()
    answer = other.get(path, headers=PERSON)
    assert answer.status_code == 404
    assert "used already" in answer.content.decode()
    assert signed_in_user(other) is None


@pytest.mark.parametrize(
    "headers",
    [
        {},  # a mail scanner, a chat preview, curl
        {**PERSON, "Sec-Purpose": "prefetch"},
        {**PERSON, "Sec-Purpose": "prefetch;prerender"},
        {**PERSON, "Purpose": "prefetch"},
        {**PERSON, "Sec-Fetch-Site": "cross-site"},  # a click in a web mail, or a page that wants to sign its reader in
        {**PERSON, "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        {**PERSON, "Sec-Fetch-Dest": "iframe"},
    ],
)
def test_a_program_that_opens_a_link_does_not_spend_it(trader: User, headers: dict[str, str]) -> None:
    path = auth.new_link(trader)
    program = Client()
    for ask in (program.get, program.head):
        assert ask(path, headers=headers).status_code == 200
    assert signed_in_user(program) is None
    person = Client(enforce_csrf_checks=True)
    page = person.get(path, headers=headers).content.decode()
    assert "Sign in as trader" in page
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert token
    assert person.post(path).status_code == 403  # no CSRF token: a foreign page's form
    assert person.post(path, {"csrfmiddlewaretoken": token[1]}).status_code == 302
    assert signed_in_user(person) == "trader"


def test_asking_for_the_head_of_a_link_never_spends_it(client: Client, trader: User) -> None:
    path = auth.new_link(trader)
    client.head(path, headers=PERSON)
    assert SignInLink.objects.get().used is None


def test_a_link_ends_after_fifteen_minutes(client: Client, trader: User) -> None:
    path = auth.new_link(trader)
    link = SignInLink.objects.get()
    assert link.expires and timedelta(minutes=14) < link.expires - timezone.now() <= timedelta(minutes=15)
    SignInLink.objects.update(expires=timezone.now())
    assert client.get(path, headers=PERSON).status_code == 404
    assert client.post(path).status_code == 404


def test_the_link_of_a_start_holds_until_the_next_start(client: Client, trader: User) -> None:
    first = auth.start_link(trader)
    assert SignInLink.objects.get().expires is None
    second = auth.start_link(trader)
    assert client.get(first, headers=PERSON).status_code == 404
    assert client.get(second, headers=PERSON).status_code == 302


def test_a_start_clears_away_what_is_over(signed_in: Client, trader: User) -> None:
    auth.new_link(trader)
    old = Client()
    old.force_login(trader)
    now = timezone.now()
    SignInLink.objects.update(expires=now - timedelta(seconds=1))
    Session.objects.filter(session_key=old.session.session_key).update(expire_date=now - timedelta(seconds=1))
    auth.start_link(trader)
    assert [link.expires for link in SignInLink.objects.all()] == [None]
    assert Session.objects.count() == 1
    assert signed_in_user(signed_in) == "trader"


def test_a_start_leaves_other_links_alone(client: Client, trader: User) -> None:
    path = auth.new_link(trader)
    auth.start_link(trader)
    assert client.get(path, headers=PERSON).status_code == 302


@pytest.mark.parametrize("change", ["other secret", "other row", "no row", "no secret", "longer", "empty"])
def test_a_wrong_link_is_nobodys(client: Client, trader: User, stranger: User, change: str) -> None:
    token = auth.new_link(trader).split("/")[2]
    row, _, secret = token.partition("-")
    other = auth.new_link(stranger).split("/")[2].partition("-")[2]
    wrong = {
        "other secret": f"{row}-{other}",
        "other row": f"{int(row) + 1}-{secret}",
        "no row": secret,
        "no secret": f"{row}-",
        "longer": f"{token}x",
        "empty": "-",
    }[change]
    answer = client.get(f"/signin/{wrong}/", headers=PERSON)
    assert answer.status_code == 404
    assert signed_in_user(client) is None


def test_a_link_of_an_inactive_user_does_not_sign_in(client: Client, trader: User) -> None:
    path = auth.new_link(trader)
    User.objects.update(is_active=False)
    assert client.get(path, headers=PERSON).status_code == 404


@pytest.mark.django_db(transaction=True)
def test_of_two_who_use_a_link_at_once_one_gets_in(trader: User) -> None:
    link = auth.link_of(auth.new_link(trader).split("/")[2])
    assert link
    entered: list[User] = []
    barrier = threading.Barrier(8)

    def use() -> None:
        barrier.wait(10)
        user = auth.use_link(link)
        if user is not None:
            entered.append(user)
        connections.close_all()

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert entered == [trader]


def test_the_command_prints_a_link_of_this_server(client: Client, trader: User, settings: Any) -> None:
    text = command("signinlink", "trader")
    assert re.fullmatch(r"http://127\.0\.0\.1:8000/signin/\d+-[\w-]{43}/", text)
    assert client.get(text.removeprefix("http://127.0.0.1:8000"), headers=PERSON).status_code == 302
    settings.CSRF_TRUSTED_ORIGINS = ["https://board.example.org"]
    assert command("signinlink").startswith("https://board.example.org/signin/")
    with pytest.raises(CommandError, match="no user 'nobody'; there is trader"):
        command("signinlink", "nobody")
    command("signinlink", "partner", create=True)
    assert User.objects.get(username="partner").has_usable_password() is False
    with pytest.raises(CommandError, match="cannot be a user's name"):
        command("signinlink", "a b", create=True)


@pytest.mark.parametrize(
    ("host", "port", "address"),
    [
        ("127.0.0.1", 4711, "http://127.0.0.1:4711/x/"),
        ("0.0.0.0", None, "http://localhost:8000/x/"),
        ("::1", None, "http://[::1]:8000/x/"),
    ],
)
def test_the_address_of_a_path(settings: Any, host: str, port: int | None, address: str) -> None:
    settings.HOST = host
    assert auth.address_of("/x/", port) == address


# -- at rest -----------------------------------------------------------------------------------------------------------


def test_no_secret_lies_in_any_table(trader: User) -> None:
    secrets = [
        auth.new_link(trader).split("/")[2],
        auth.start_link(trader).split("/")[2],
        auth.new_api_token(trader),
        "correct horse battery",
    ]
    secrets += [secret.partition("-")[2] for secret in secrets[:3]]
    stored = "\n".join(str(row) for model in apps.get_models() for row in model._default_manager.all().values_list())
    assert "trader" in stored
    for secret in secrets:
        assert secret not in stored


def test_a_link_works_as_often_as_it_is_made_no_matter_who_asks_first(trader: User) -> None:
    """Its digest is of the secret alone: the row's number is no part of the proof, and is looked up, not trusted."""
    tokens = [auth.new_link(trader).split("/")[2] for _ in range(3)]
    assert len({token.partition("-")[2] for token in tokens}) == 3
    assert all(auth.link_of(token) for token in tokens)
    rows = [token.partition("-")[0] for token in tokens]
    assert auth.link_of(f"{rows[0]}-{tokens[1].partition('-')[2]}") is None
