"""One table of a TOML file: values are asked for by key, kind and range, and what is wrong is told in one sentence.

``spreadboard.toml: exchanges.binance.stale_s = "x": must be a number of seconds from 1 to 3600``
"""

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar
from urllib.parse import urlsplit

from feeds.errors import ConfigError

T = TypeVar("T", int, str)

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}")
"""What an account, or an exchange of ccxt's, is called: environment variables are named after it."""

_SYMBOL = re.compile(r"[^\s/:]+/[^\s/:]+(:[^\s/:]+)?")


def shown(value: object) -> str:
    """A value as it stands in the file, shortened."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."


SECRETS: Mapping[str, str] = {
    "key": "KEY",
    "api_key": "KEY",
    "apikey": "KEY",
    "secret": "SECRET",
    "api_secret": "SECRET",
    "private_key": "SECRET",
    "password": "PASSPHRASE",
    "passphrase": "PASSPHRASE",
}
"""Keys under which people would write a secret, and the end of the variable's name that is meant for it."""


class Table:
    """``content`` must be a table with no other keys than ``allowed``. ``private``: the value of a key that is not
    allowed is not shown, it may be a secret."""

    def __init__(self, file: str, path: str, content: object, allowed: Sequence[str], *, private: bool = False) -> None:
        self.file = file
        self.path = path
        if not isinstance(content, dict):
            value = "(not shown)" if private else shown(content)
            raise ConfigError(f"{file}: {path} = {value}: must be a table, [{path}]")
        self._content: dict[str, object] = content
        for key in content:
            if key not in allowed:
                close = difflib.get_close_matches(key, allowed, 1, 0.6)
                guess = f"did you mean {close[0]}? " if close else ""
                what = f"{path}.{key}" if path else key
                value = "(not shown)" if private else shown(content[key])
                raise ConfigError(f"{file}: {what} = {value}: no such key; {guess}allowed are {', '.join(allowed)}")

    def __contains__(self, key: str) -> bool:
        return key in self._content

    def wrong(self, key: str, allowed: str) -> ConfigError:
        """The error to raise for this key."""
        where = f"{self.path}.{key}" if self.path else key
        if key not in self._content:
            return ConfigError(f"{self.file}: {where}: is missing; {allowed}")
        return ConfigError(f"{self.file}: {where} = {shown(self._content[key])}: {allowed}")

    # Tables in it

    def table(self, key: str, allowed: Sequence[str]) -> "Table":
        """An optional table in this one."""
        where = f"{self.path}.{key}" if self.path else key
        return Table(self.file, where, self._content.get(key, {}), allowed)

    def tables(self, key: str) -> Iterator[tuple[str, object]]:
        """Names and contents of the tables in an optional table."""
        content = self._content.get(key, {})
        if not isinstance(content, dict):
            raise self.wrong(key, f"must be tables, [{key}.<name>]")
        yield from content.items()

    def is_list(self, key: str) -> bool:
        return isinstance(self._content.get(key), list)

    # Values

    def value(self, key: str, default: object) -> object:
        """As it stands in the file; the caller checks it."""
        return self._content.get(key, default)

    def flag(self, key: str, default: bool) -> bool:
        value = self._content.get(key, default)
        if not isinstance(value, bool):
            raise self.wrong(key, "must be true or false")
        return value

    def number(self, key: str, default: float, low: float, high: float, unit: str = "") -> float:
        value = self._content.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise self.wrong(key, f"must be a number{unit and ' of ' + unit} from {low:g} to {high:g}")
        return float(value)

    def whole(self, key: str, default: int, low: int, high: int, unit: str = "") -> int:
        value = self._content.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.wrong(key, f"must be a whole number{unit and ' of ' + unit} from {low} to {high}")
        return value

    def one_of(self, key: str, allowed: tuple[T, ...]) -> T:
        """A value that must be given."""
        value = self._content.get(key)
        for candidate in allowed:
            if type(value) is type(candidate) and value == candidate:
                return candidate
        raise self.wrong(key, f"must be one of {', '.join(map(str, allowed)) or '(none is possible)'}")

    def text(self, key: str, default: str, *, longest: int = 1000) -> str:
        value = self._content.get(key, default)
        if not isinstance(value, str) or len(value) > longest or (not value.strip() and key in self._content):
            raise self.wrong(key, f"must be a text of 1 to {longest} characters")
        return value

    def texts(
        self, key: str, default: tuple[str, ...], allowed: tuple[str, ...] | None = None, *, least: int = 0
    ) -> tuple[str, ...]:
        """A list of different texts, of the ``allowed`` ones if given."""
        value = self._content.get(key, list(default))
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value) or len(value) < least:
            raise self.wrong(key, f"must be a list of texts{' with at least one' if least else ''}")
        for text in value:
            if allowed is not None and text not in allowed:
                raise self.wrong(key, f"{shown(text)} is none of {', '.join(allowed)}")
            if value.count(text) > 1:
                raise self.wrong(key, f"{shown(text)} is listed twice")
        return tuple(value)

    def url(self, key: str, schemes: tuple[str, ...]) -> str | None:
        """An address without user, query and fragment; None if it is not given."""
        value = self._content.get(key)
        if key not in self._content:
            return None
        allowed = f"must be an address like {schemes[-1]}://host:port/path"
        if not isinstance(value, str):
            raise self.wrong(key, allowed)
        try:
            parts = urlsplit(value)
            good = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
        except ValueError:  # a port that is no number
            good = False
        if not good or "@" in parts.netloc or parts.query or parts.fragment or any(c.isspace() for c in value):
            raise self.wrong(key, allowed)
        return value


def symbols_of(table: Table, key: str, products: tuple[str, ...], cash: tuple[str, ...] = ("spot",)) -> tuple[str, ...]:
    """Unified symbols of these products. A settlement asset (":USDT") tells a derivative from spot."""
    symbols = table.texts(key, ())
    derivatives = [product for product in products if product not in cash]
    for symbol in symbols:
        if not _SYMBOL.fullmatch(symbol):
            raise table.wrong(
                key, f"{shown(symbol)} must be a unified symbol, like BTC/USDT or BTC/USDT:USDT (a perpetual)"
            )
        if ":" in symbol and not derivatives:
            raise table.wrong(key, f"{shown(symbol)} is a derivative, but products are {', '.join(products)} only")
        if ":" not in symbol and not set(cash) & set(products):
            raise table.wrong(key, f"{shown(symbol)} is a spot market, but products are {', '.join(products)} only")
    return symbols


def no_secrets(file: str, path: str, name: str, content: object) -> None:
    """Raises ConfigError for a secret, or what looks like one, in this table; its value is not shown."""
    if isinstance(content, dict):
        for key in content.keys() & SECRETS.keys():
            raise ConfigError(
                f"{file}: {path}.{key}: secrets do not belong into this file; "
                f"set the environment variable {variable(name, SECRETS[key])} instead"
            )


def variable(name: str, what: str) -> str:
    """The environment variable of an account's or exchange's "KEY", "SECRET" or "PASSPHRASE"."""
    return f"SPREADBOARD_{name.upper()}_{what}"
