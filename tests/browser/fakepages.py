"""The product's templates and static files, served without the product: for the page's own tests."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import django
from aiohttp import web
from django.conf import settings
from django.template.loader import render_to_string
from django.test import RequestFactory
from django.urls import path

ROOT = Path(__file__).resolve().parents[2]
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
KINDS = {".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


def _nothing(request: Any, **_: Any) -> None:
    """Addresses are only named in templates; aiohttp answers."""


urlpatterns = [
    path("", _nothing, name="dashboard"),
    path("balances/", _nothing, name="balances"),
    path("accounts/", _nothing, name="accounts"),
    path("accounts/<int:number>/remove/", _nothing, name="account_remove"),
    path("accounts/<int:number>/sharing/", _nothing, name="sharing"),
    path("login/", _nothing, name="login"),
    path("logout/", _nothing, name="logout"),
    path("password/", _nothing, name="password"),
]


def configure() -> None:
    """Django's settings, as far as templates need them. Once per process."""
    options = {"context_processors": ["django.template.context_processors.request"]}
    backend = "django.template.backends.django.DjangoTemplates"
    settings.configure(
        ROOT_URLCONF=__name__,
        STATIC_URL="/static/",
        SECRET_KEY="of the page's tests alone",
        ALLOWED_HOSTS=["*"],
        TEMPLATES=[{"BACKEND": backend, "DIRS": [ROOT / "templates"], "OPTIONS": options}],
        INSTALLED_APPS=["django.contrib.staticfiles"],
        USE_I18N=False,
    )
    django.setup()


def page(template: str, **context: Any) -> web.Response:
    """A page for a signed-in user, under the product's content security policy."""
    user = SimpleNamespace(is_authenticated=True, get_username=lambda: "trader")
    html = render_to_string(template, {"user": user, **context}, request=RequestFactory().get("/"))
    return web.Response(text=html, content_type="text/html", headers={"Content-Security-Policy": CSP})


async def static(request: web.Request) -> web.StreamResponse:
    """A file of ``static/``, or one of the browser libraries that package.json names."""
    name = request.match_info["name"]
    vendor = json.loads((ROOT / "package.json").read_text())["vendor"]
    vendored = name.removeprefix("vendor/")
    file = ROOT / "node_modules" / vendor[vendored] if vendored in vendor else ROOT / "static" / name
    if not file.is_file():
        raise web.HTTPNotFound
    headers = {"Content-Type": KINDS.get(file.suffix, "font/woff2"), "Cache-Control": "no-store"}
    return web.FileResponse(file, headers=headers)
