"""Passwords and their throttle, API tokens."""

import threading

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError
from django.db import connections
from django.test import Client
from django.utils import timezone

from dashboard import auth
from dashboard.models import SignInFailure
from dashboard.security import Throttle
from tests.dashboard.test_auth import command, signed_in_user

pytestmark = pytest.mark.django_db


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
