"""Deployment by environment variables: each is declared here, read once, checked, and documented from here.

A wrong value stops the start: :class:`django.core.exceptions.ImproperlyConfigured` names variable, value and what is
allowed. ``docs/operations.md`` holds the same table; a test compares the two.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

T = TypeVar("T")

_HOST_NAME = re.compile(r"\.?[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]|[0-9A-Fa-f:]+")


class Variable(Generic[T]):
    """One variable: ``parse`` turns its text into the value, or raises ValueError saying what is allowed.

    ``default`` is text, as if it had been set; an empty variable counts as not set.
    """

    def __init__(self, name: str, default: str, parse: Callable[[str], T]) -> None:
        self.name = name
        self.default = default
        self.parse = parse

    def read(self, environ: Mapping[str, str]) -> T:
        text = environ.get(self.name, "").strip() or self.default
        try:
            return self.parse(text)
        except ValueError as error:
            raise ImproperlyConfigured(f"{self.name}={_shown(self.name, text)}: {error}") from None


def _shown(name: str, text: str) -> str:
    """The value for the error message; addresses with a password lose it."""
    if name == "SECRET_KEY":
        return "(not shown)"
    return repr(re.sub(r"//[^/@]*@", "//…@", text))


def _flag(text: str) -> bool:
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("0", "false", "no", "off"):
        return False
    raise ValueError("must be 1 or 0 (true, false, yes, no, on and off are understood too).")


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
            raise ValueError(f"must be a whole number from {low} to {high}.")
        return int(text)

    return parse


def _one_of(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        for choice in allowed:
            if text.lower() == choice.lower():
                return choice
        raise ValueError(f"must be one of {', '.join(allowed)}.")

    return parse


def _host(text: str) -> str:
    if not _HOST_NAME.fullmatch(text):
        raise ValueError("must be an address or name to listen on, like 127.0.0.1 or 0.0.0.0.")
    return text


def _host_names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name != "*" and not _HOST_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a host name; give names or addresses without port, separated by commas.")
    return names


def _origins(text: str) -> list[str]:
    origins = [origin.strip() for origin in text.split(",") if origin.strip()]
    for origin in origins:
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.path or parts.query:
            raise ValueError(f"{origin!r} is not an origin; give them like https://board.example.org, without a path.")
    return origins


def _secret_key(text: str) -> str:
    if text and len(text) < 50:
        raise ValueError("must have at least 50 characters, or be left out: then one is made and kept.")
    return text


def _database_url(text: str) -> str:
    if not text:
        return text
    form = "must be like postgres://user:password@host:5432/name or sqlite:////var/lib/board.sqlite3."
    if urlsplit(text).scheme not in ("sqlite", "postgres", "postgresql"):
        raise ValueError(form)
    try:
        dj_database_url.parse(text)
    except (ValueError, dj_database_url.ParseError) as error:
        raise ValueError(f"{form} ({error})") from None
    return text


def _redis_url(text: str) -> str:
    if text and urlsplit(text).scheme not in ("redis", "rediss", "unix"):
        raise ValueError("must be like redis://127.0.0.1:6379/0, rediss://… (TLS) or unix:///run/redis.sock.")
    return text


def _config_file(text: str) -> Path | None:
    if not text:
        return None
    path = Path(text)
    if not path.is_file():
        raise ValueError("must be the path of a spreadboard.toml that exists.")
    return path


def _recording(text: str) -> Path | None:
    if not text:
        return None
    path = Path(text)
    if not path.is_file():
        raise ValueError("must be the path of a recording that exists.")
    return path


def _speed(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1e6:
        raise ValueError("must be a number from 0 (as fast as possible) to 1000000; 1 is the recorded pace.")
    return value


def _folder(text: str) -> Path:
    path = Path(text)
    if path.exists() and not path.is_dir():
        raise ValueError("must be a folder; it is made if it does not exist.")
    return path


SECRET_KEY = Variable("SECRET_KEY", "", _secret_key)
DATABASE_URL = Variable("DATABASE_URL", "", _database_url)
REDIS_URL = Variable("REDIS_URL", "", _redis_url)
HOST = Variable("HOST", "127.0.0.1", _host)
PORT = Variable("PORT", "8000", _whole(0, 65535))
ALLOWED_HOSTS = Variable("ALLOWED_HOSTS", "", _host_names)
CSRF_TRUSTED_ORIGINS = Variable("CSRF_TRUSTED_ORIGINS", "", _origins)
HTTPS = Variable("HTTPS", "0", _flag)
TRUST_PROXY = Variable("TRUST_PROXY", "0", _flag)
HSTS_SECONDS = Variable("HSTS_SECONDS", "0", _whole(0, 63_072_000))
DEBUG = Variable("DEBUG", "0", _flag)
LOG_FORMAT = Variable("LOG_FORMAT", "auto", _one_of("auto", "json", "text"))
LOG_LEVEL = Variable("LOG_LEVEL", "INFO", _one_of("DEBUG", "INFO", "WARNING", "ERROR"))
SPREADBOARD_CONFIG = Variable("SPREADBOARD_CONFIG", "", _config_file)
SPREADBOARD_VAR = Variable("SPREADBOARD_VAR", "var", _folder)
SPREADBOARD_DEMO = Variable("SPREADBOARD_DEMO", "0", _flag)
SPREADBOARD_REPLAY = Variable("SPREADBOARD_REPLAY", "", _recording)
SPREADBOARD_REPLAY_SPEED = Variable("SPREADBOARD_REPLAY_SPEED", "1", _speed)

VARIABLES: dict[str, Variable[Any]] = {
    variable.name: variable for variable in list(globals().values()) if isinstance(variable, Variable)
}
"""All of them, by name. Secrets of accounts (``SPREADBOARD_<NAME>_KEY`` and so on) are read by ``feeds.config``."""
