"""Django's settings. What a deployment may choose comes from the environment (``dashboard.environment``)."""

import contextlib
import os
import secrets
import socket
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import dj_database_url
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from dashboard import environment

ROOT = Path(__file__).resolve().parents[1]


def kept_secret(path: Path) -> str:
    """The secret in ``path``, made at the first start and readable by the owner alone.

    Written whole beside it and then linked, so that of two processes starting together both read the same one.
    """
    if not path.exists():
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # made with mode 0600
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(48))
        with contextlib.suppress(FileExistsError):  # another process was first: its secret counts
            os.link(name, path)
        os.unlink(name)
    secret = path.read_text().strip()
    if len(secret) < 50:
        raise ImproperlyConfigured(f"{path} holds no secret of 50 characters. Remove it, and a new one is made.")
    return secret


def database(url: str, var: Path) -> dict[str, Any]:
    """Django's entry for ``DATABASE_URL``.

    SQLite, for one process and its threads: WAL lets readers go on while something is written; transactions take the
    write lock at their start, so that they wait for each other instead of failing half-way ("database is locked").
    ``synchronous=NORMAL`` keeps every commit through a crash of the process; a power cut may take the last ones, and
    what they held is asked from the exchange again, since cursors go back with their fills.
    """
    entry: dict[str, Any] = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(var / "db.sqlite3")}
    if url:
        entry = dict(dj_database_url.parse(url))
    if entry["ENGINE"] == "django.db.backends.sqlite3":
        entry["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,  # s
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=20000;",
        }
    # A connection belongs to a thread, and each request has a thread of its own: nothing to keep between requests.
    entry["CONN_MAX_AGE"] = 0
    return entry


def channel_layer(redis_url: str) -> dict[str, Any]:
    """Without Redis the layer of this process alone.

    Its capacity is messages per channel, dropped silently when full; the default of 100 is a tenth of a busy second.
    The pub/sub layer has no such limit: its queues are in the reading process, and a relay reads at once.
    """
    if redis_url:
        return {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": [redis_url]}}
    return {"BACKEND": "channels.layers.InMemoryChannelLayer", "CONFIG": {"capacity": 20_000}}


def allowed_hosts(given: list[str], host: str) -> list[str]:
    """The host names that requests may carry: those given, else the ones this machine knows of itself."""
    if given:
        return given
    names = {"localhost", "127.0.0.1", "[::1]"}
    if host in ("0.0.0.0", "::", "[::]"):
        names |= {socket.gethostname(), socket.getfqdn()}
        with contextlib.suppress(OSError):  # a machine may not know its own name: then ALLOWED_HOSTS must be set
            names |= {str(info[4][0]) for info in socket.getaddrinfo(socket.gethostname(), None)}
    else:
        names.add(host)
    return sorted(f"[{name}]" if ":" in name and not name.startswith("[") else name for name in names)


# Places

VAR = environment.SPREADBOARD_VAR.read(os.environ).resolve()
try:
    VAR.mkdir(mode=0o700, parents=True, exist_ok=True)
except OSError as error:
    raise ImproperlyConfigured(f"SPREADBOARD_VAR={str(VAR)!r}: cannot be made ({error.strerror}).") from None
SPREADBOARD_CONFIG = environment.SPREADBOARD_CONFIG.read(os.environ)
SPREADBOARD_DEMO = environment.SPREADBOARD_DEMO.read(os.environ)
SPREADBOARD_REPLAY = environment.SPREADBOARD_REPLAY.read(os.environ)
SPREADBOARD_REPLAY_SPEED = environment.SPREADBOARD_REPLAY_SPEED.read(os.environ)
HOST = environment.HOST.read(os.environ)
PORT = environment.PORT.read(os.environ)

# Safety

DEBUG = environment.DEBUG.read(os.environ)
SECRET_KEY = environment.SECRET_KEY.read(os.environ) or kept_secret(VAR / "secret_key")
ALLOWED_HOSTS = allowed_hosts(environment.ALLOWED_HOSTS.read(os.environ), HOST)
CSRF_TRUSTED_ORIGINS = environment.CSRF_TRUSTED_ORIGINS.read(os.environ)
HTTPS = environment.HTTPS.read(os.environ)
TRUST_PROXY = environment.TRUST_PROXY.read(os.environ)
if TRUST_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = environment.HSTS_SECONDS.read(os.environ)
if SECURE_HSTS_SECONDS and not HTTPS:
    raise ImproperlyConfigured(f"HSTS_SECONDS={SECURE_HSTS_SECONDS}: needs HTTPS=1, since browsers ignore it else.")
SECURE_REFERRER_POLICY = "same-origin"  # a sign-in link's address goes to no other site
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True  # pages carry the CSRF token, scripts need no cookie
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
# Cookies do not tell ports apart: a replay beside the running board must not sign anybody out of it.
_COOKIES = "spreadboard_replay" if SPREADBOARD_REPLAY else "spreadboard"
SESSION_COOKIE_NAME = f"{_COOKIES}_session"
CSRF_COOKIE_NAME = f"{_COOKIES}_csrf"
SESSION_COOKIE_AGE = int(timedelta(days=14).total_seconds())
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "font-src": [SELF],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024  # the largest thing that anybody sends is a sealed key

# Django

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "csp",
    "servestatic",
    "dashboard",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "dashboard.security.NoStoreMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "dashboard.security.ApiTokenMiddleware",
    "dashboard.security.CsrfMiddleware",
    "dashboard.security.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
ROOT_URLCONF = "dashboard.urls"
ASGI_APPLICATION = "dashboard.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "templates"],
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]
SILENCED_SYSTEM_CHECKS = ["security.W003"]  # looks for Django's CSRF middleware by name: ours is a subclass
CSRF_FAILURE_VIEW = "dashboard.views.csrf_failure"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "dashboard"
LOGOUT_REDIRECT_URL = "login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
SIGN_IN_LINK_LIFE = timedelta(minutes=15)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"

# Data

DATABASES = {"default": database(environment.DATABASE_URL.read(os.environ), VAR)}
REDIS_URL = environment.REDIS_URL.read(os.environ)
CHANNEL_LAYERS = {"default": channel_layer(REDIS_URL)}

# Static files: hashed names, cached for ever; with DEBUG they are found and read anew at every request

STATIC_URL = "/static/"
STATIC_ROOT = ROOT / "staticfiles"  # made by collectstatic: a product of the code, not of running it
STATICFILES_DIRS = [ROOT / "static"]
STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder", "dashboard.vendor.VendorFinder"]
VENDOR_LIST = ROOT / "package.json"
NODE_MODULES = ROOT / "node_modules"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},  # nothing is ever uploaded
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "dashboard.vendor.HashedModuleStorage"
    },
}
SERVESTATIC_KEEP_ONLY_HASHED_FILES = True
SERVESTATIC_ALLOW_ALL_ORIGINS = False

# Logs

LOGGING_CONFIG = "dashboard.logs.configure"
LOGGING = {
    "format": environment.LOG_FORMAT.read(os.environ),
    "level": environment.LOG_LEVEL.read(os.environ),
}
