"""Signing in: links, passwords and their throttle, API tokens."""

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
from dashboard.models import SignInFailure, SignInLink
from dashboard.security import Throttle

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


# -- passwords ---------------------------------------------------------------------------------------------------------


def test_signing_in_by_password_and_out_by_post(client: Client, trader: User) -> None:
    answer = client.post("/login/?next=/balances/", {"username": "trader", "password": "correct horse battery"})
    assert (answer.status_code, answer["Location"]) == (302, "/balances/")
    assert signed_in_user(client) == "trader"
    assert client.get("/logout/").status_code == 405  # an image on a foreign page signs nobody out
    assert signed_in_user(client) == "trader"
    assert client.post("/logout/").status_code == 302
    assert signed_in_user(client) is None


def test_a_wrong_password_is_refused_with_a_sentence(client: Client, trader: User) -> None:
    answer = client.post("/login/", {"username": "trader", "password": "wrong"})
    assert answer.status_code == 401
    assert "correct username and password" in answer.content.decode()
    unknown = client.post("/login/", {"username": "nobody", "password": "wrong"})
    assert unknown.status_code == 401


def test_signing_in_leads_to_no_foreign_page(client: Client, trader: User) -> None:
    data = {"username": "trader", "password": "correct horse battery"}
    answer = client.post("/login/?next=https://evil.example/", data)
    assert answer["Location"] == "/"


def test_guessing_is_slowed_down_per_address(trader: User) -> None:
    client = Client()
    for _ in range(Throttle.PER_ADDRESS):
        assert client.post("/login/", {"username": "trader", "password": "guess"}).status_code == 401
    answer = client.post("/login/", {"username": "trader", "password": "correct horse battery"})
    assert answer.status_code == 429  # even with the right one: else the throttle would tell which it is
    assert "Wait ten minutes" in answer.content.decode()
    assert signed_in_user(client) is None
    elsewhere = Client(REMOTE_ADDR="10.0.0.2")
    assert elsewhere.post("/login/", {"username": "trader", "password": "correct horse battery"}).status_code == 302
    SignInFailure.objects.update(at=timezone.now() - Throttle.WINDOW)
    assert client.post("/login/", {"username": "trader", "password": "correct horse battery"}).status_code == 302


def test_guessing_one_name_from_many_addresses_is_slowed_down() -> None:
    admitted = [Throttle.admits(f"10.0.0.{n}", "trader") for n in range(Throttle.PER_NAME + 5)]
    assert admitted == [True] * Throttle.PER_NAME + [False] * 5
    assert Throttle.admits("10.1.0.1", "somebody else")


def test_a_name_that_no_database_holds_is_refused_like_any_other() -> None:
    assert Client().post("/login/", {"username": "tra\0der", "password": "x"}).status_code == 401


def test_an_ipv6_network_counts_as_one_address() -> None:
    admitted = [Throttle.admits(f"2001:db8::{n:x}", f"name {n}") for n in range(1, Throttle.PER_ADDRESS + 2)]
    assert admitted[-2:] == [True, False]
    assert Throttle.admits("2001:db8:0:1::1", "name")


def test_refused_attempts_do_not_prolong_the_wait() -> None:
    for _ in range(Throttle.PER_ADDRESS + 50):
        Throttle.admits("10.0.0.1", "trader")
    assert SignInFailure.objects.count() == Throttle.PER_ADDRESS


def test_signing_in_forgets_the_typing_errors_before(trader: User) -> None:
    client = Client()
    for _ in range(3):
        for _ in range(Throttle.PER_ADDRESS - 1):
            client.post("/login/", {"username": "trader", "password": "guess"})
        assert client.post("/login/", {"username": "trader", "password": "correct horse battery"}).status_code == 302
        client.logout()


@pytest.mark.django_db(transaction=True)
def test_many_guesses_at_once_are_counted_too() -> None:
    admitted: list[bool] = []
    barrier = threading.Barrier(30)

    def guess() -> None:
        barrier.wait(20)
        admitted.append(Throttle.admits("10.0.0.1", "trader"))
        connections.close_all()

    threads = [threading.Thread(target=guess) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(admitted) == 30
    assert sum(admitted) <= Throttle.PER_ADDRESS


def test_a_first_password_is_set_without_an_old_one(client: Client) -> None:
    user = auth.first_user()
    client.force_login(user)
    weak = client.post("/password/", {"new_password1": "12345678901", "new_password2": "12345678901"})
    assert weak.status_code == 200
    assert "entirely numeric" in weak.content.decode()
    chosen = {"new_password1": "a long enough one", "new_password2": "a long enough one"}
    assert client.post("/password/", chosen).status_code == 302
    assert signed_in_user(client) == "trader"  # this browser stays signed in
    assert Client().post("/login/", {"username": "trader", "password": "a long enough one"}).status_code == 302


def test_changing_the_password_needs_the_old_one_and_ends_other_sessions(signed_in: Client, trader: User) -> None:
    elsewhere = Client()
    elsewhere.force_login(trader)
    chosen = {"new_password1": "a long enough one", "new_password2": "a long enough one"}
    assert signed_in.post("/password/", chosen).status_code == 200
    assert signed_in.post("/password/", {**chosen, "old_password": "wrong"}).status_code == 200
    assert signed_in_user(elsewhere) == "trader"
    answer = signed_in.post("/password/", {**chosen, "old_password": "correct horse battery"})
    assert answer.status_code == 302
    assert signed_in_user(signed_in) == "trader"
    assert signed_in_user(elsewhere) is None


# -- API tokens --------------------------------------------------------------------------------------------------------


def test_a_token_asks_the_api_and_nothing_else(client: Client, trader: User) -> None:
    token = command("apitoken", "trader", label="notebook")
    headers = {"Authorization": f"Bearer {token}"}
    assert client.get("/api/balances/", headers=headers).status_code == 200
    assert client.get("/api/balances/", headers={"Authorization": f"bearer  {token}"}).status_code == 200
    assert client.get("/balances/", headers=headers).status_code == 302  # a page: to the sign-in page
    assert "spreadboard_session" not in client.cookies


def test_a_token_needs_no_csrf_token(trader: User) -> None:
    client = Client(enforce_csrf_checks=True)
    headers = {"Authorization": f"Bearer {auth.new_api_token(trader)}"}
    assert client.delete("/api/accounts/1/", headers=headers).status_code == 404
    client.force_login(trader)
    assert client.delete("/api/accounts/1/").status_code == 403


def test_a_wrong_token_is_refused_even_with_a_session(signed_in: Client, trader: User) -> None:
    token = auth.new_api_token(trader)
    for wrong in (f"{token}x", f"9{token}", "x", "1-", f"{token.partition('-')[0]}-"):
        answer = signed_in.get("/api/balances/", headers={"Authorization": f"Bearer {wrong}"})
        assert answer.status_code == 401, wrong
        assert answer.json()["error"]["code"] == "unauthorized"
        assert answer["WWW-Authenticate"] == "Bearer"


def test_a_session_cannot_borrow_a_tokens_freedom_from_csrf(trader: User, stranger: User) -> None:
    """A request with a token is the token's alone, whatever cookies come along."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(stranger)
    answer = client.get("/api/accounts/", headers={"Authorization": f"Bearer {auth.new_api_token(trader)}"})
    assert answer.status_code == 200
    assert client.delete("/api/accounts/1/", headers={"Authorization": "Bearer"}).status_code == 403
    assert client.delete("/api/accounts/1/", headers={"Authorization": "Basic eDp5"}).status_code == 403


def test_tokens_are_listed_and_revoked_by_number(client: Client, trader: User) -> None:
    token = command("apitoken", "trader", label="notebook")
    listed = command("apitoken", "trader", "--list")
    number = listed.split()[0]
    assert listed.endswith("notebook")
    assert token.partition("-")[2] not in listed
    command("apitoken", "trader", "--revoke", number)
    assert client.get("/api/balances/", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    with pytest.raises(CommandError, match="has no token"):
        command("apitoken", "trader", "--revoke", number)


def test_a_token_of_an_inactive_user_is_refused(client: Client, trader: User) -> None:
    token = auth.new_api_token(trader)
    User.objects.update(is_active=False)
    assert client.get("/api/balances/", headers={"Authorization": f"Bearer {token}"}).status_code == 401


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
