"""What browsers are told: content security policy, cookies, caching; and static files as they are really served."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.test import AsyncClient, Client

from dashboard import records
from tests.dashboard.test_views import OUTSIDE, PAGES, Page

pytestmark = pytest.mark.django_db


def policy(answer: Any) -> dict[str, list[str]]:
    parts = [part.split() for part in answer["Content-Security-Policy"].split(";")]
    return {words[0]: words[1:] for words in parts}


@pytest.mark.parametrize("path", [*PAGES, *OUTSIDE, "/healthz", "/api/balances/"])
def test_every_answer_forbids_inline_scripts_and_styles(signed_in: Client, path: str) -> None:
    client = Client() if path in OUTSIDE else signed_in
    told = policy(client.get(path))
    assert told["default-src"] == ["'none'"]
    assert told["script-src"] == told["style-src"] == told["connect-src"] == told["form-action"] == ["'self'"]
    assert told["frame-ancestors"] == told["base-uri"] == ["'none'"]
    assert not re.search(r"unsafe|\*|http", client.get(path)["Content-Security-Policy"])


@pytest.mark.parametrize("path", [*PAGES, *OUTSIDE])
def test_pages_obey_the_policy(signed_in: Client, path: str) -> None:
    client = Client() if path in OUTSIDE else signed_in
    shown = Page(client.get(path).content.decode())
    assert [text for text in shown.scripts if text] == []  # no script or style inside the page
    for tag, attrs in shown.elements:
        assert "style" not in attrs, (path, tag, attrs)
        assert not [name for name in attrs if name.startswith("on")], (path, tag, attrs)
        assert not (attrs.get("src") or "").startswith(("http:", "https:", "//")), (path, tag, attrs)


@pytest.mark.parametrize("path", [*PAGES, *OUTSIDE])
def test_pages_go_into_no_cache_and_no_frame(signed_in: Client, path: str) -> None:
    answer = signed_in.get(path)
    assert "no-store" in answer["Cache-Control"]
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "same-origin"


def test_cookies(client: Client, trader: User, settings: Any) -> None:
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True  # as HTTPS=1 sets them
    client.get("/login/", secure=True)
    client.post("/login/", {"username": "trader", "password": "correct horse battery"}, secure=True)
    assert set(client.cookies) == {"spreadboard_session", "spreadboard_csrf"}
    for cookie in client.cookies.values():
        assert cookie["httponly"] and cookie["secure"] and cookie["samesite"] == "Lax"
        assert not cookie["domain"]


def test_signing_in_behind_a_proxy_with_tls(trader: User, settings: Any) -> None:
    """The proxy speaks HTTP to us; what it says of the browser decides which origin is our own."""
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")  # as TRUST_PROXY=1 sets it
    settings.ALLOWED_HOSTS = ["board.example.org"]
    client = Client(enforce_csrf_checks=True, headers={"Host": "board.example.org", "X-Forwarded-Proto": "https"})
    page = client.get("/login/").content.decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert token
    data = {"username": "trader", "password": "correct horse battery", "csrfmiddlewaretoken": token[1]}
    for origin, status in (
        ("https://evil.example", 403),
        ("http://board.example.org", 403),
        ("null", 403),
        ("https://board.example.org", 302),
    ):
        assert client.post("/login/", data, headers={"Origin": origin}).status_code == status, origin


def test_the_session_gets_a_new_key_at_sign_in(client: Client, trader: User) -> None:
    """A key that somebody planted before is worth nothing after."""
    session = client.session
    session["before"] = 1
    session.save()
    client.cookies["spreadboard_session"] = planted = session.session_key or ""
    client.post("/login/", {"username": "trader", "password": "correct horse battery"})
    assert planted and client.cookies["spreadboard_session"].value != planted


def test_a_large_body_is_refused(signed_in: Client) -> None:
    records.put_sealing_key("k", "QQ==", {"binance": {}})
    answer = signed_in.post("/api/accounts/", " " * 100_000, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "bad_request"


def test_django_has_no_objection(settings: Any) -> None:
    """``manage.py check --deploy`` as with HTTPS=1; redirecting to it and HSTS are the proxy's and the operator's."""
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    settings.SILENCED_SYSTEM_CHECKS = [*settings.SILENCED_SYSTEM_CHECKS, "security.W004", "security.W008"]
    call_command("check", "--deploy", "--fail-level", "WARNING", "--tag", "security")


# -- static files ------------------------------------------------------------------------------------------------------


@pytest.fixture
def collected(settings: Any, tmp_path: Path) -> Path:
    """Static files collected as for a deployment."""
    if not (django_settings.NODE_MODULES / "tweetnacl").is_dir():
        pytest.skip("needs the browser libraries: run make setup (or: npm ci)")
    settings.STATIC_ROOT = tmp_path
    settings.STORAGES = {
        **django_settings.STORAGES,
        "staticfiles": {"BACKEND": "dashboard.vendor.HashedModuleStorage"},
    }
    settings.SERVESTATIC_USE_FINDERS = settings.SERVESTATIC_AUTOREFRESH = False
    settings.SERVESTATIC_USE_MANIFEST = True
    call_command("collectstatic", "--noinput", verbosity=0)
    return tmp_path


def test_modules_import_each_other_by_hashed_names(collected: Path) -> None:
    """Or a browser would hold an old module beside a new one."""
    modules = list(collected.rglob("*.js"))
    assert modules
    for module in modules:
        for line in re.findall(r"""(?:from|import)\s*["']([./][^"']+)["']""", module.read_text()):
            target = (module.parent / line).resolve()
            assert target.is_file(), f"{module.name} imports {line}"
            assert re.search(r"\.[0-9a-f]{12}\.m?js$", target.name), f"{module.name} imports {line} without its hash"


def test_only_the_named_files_of_node_modules_are_served(collected: Path) -> None:
    served = {path.name for path in (collected / "vendor").rglob("*") if path.is_file() and path.suffix != ".gz"}
    from dashboard.vendor import VendorFinder

    assert len(served) == len(VendorFinder().storage.files)
    finder = VendorFinder()
    assert finder.find("vendor/tweetnacl/nacl-fast.js")
    for path in ("vendor/tweetnacl/package.json", "vendor/../package.json", "tweetnacl/nacl-fast.js", "vendor/"):
        assert finders.find(path) is None
        assert finders.find(path, find_all=True) == []


@pytest.mark.django_db(transaction=True)
async def test_static_files_are_served_to_everybody_and_cached_for_ever(collected: Path) -> None:
    [module] = (path.name for path in (collected / "js").glob("main.*.js"))
    answer = await AsyncClient().get(f"/static/js/{module}")
    assert answer.status_code == 200
    assert "immutable" in answer["Cache-Control"]
    assert answer["Content-Type"].startswith("text/javascript")
    assert answer["X-Content-Type-Options"] == "nosniff"  # said by the middleware around the static files
    for path in ("/static/../manage.py", "/static/js/main.js", "/static/staticfiles.json", "/static/"):
        assert (await AsyncClient().get(path)).status_code == 404, path


@pytest.mark.django_db(transaction=True)
async def test_with_debug_files_are_found_where_they_are() -> None:
    """As these tests' settings have it: nothing collected, every request looks anew."""
    assert (await AsyncClient().get("/static/js/main.js")).status_code == 200
    if (django_settings.NODE_MODULES / "tweetnacl").is_dir():
        assert (await AsyncClient().get("/static/vendor/tweetnacl/nacl-fast.js")).status_code == 200
    assert (await AsyncClient().get("/static/vendor/tweetnacl/package.json")).status_code == 404


def test_a_missing_library_is_told_by_check(settings: Any, tmp_path: Path) -> None:
    from dashboard.vendor import VendorFinder

    settings.NODE_MODULES = tmp_path
    [warning] = VendorFinder().check()
    assert "tweetnacl/nacl-fast.js" in warning.msg
    assert warning.hint and "make setup" in warning.hint
