"""Checks of what users send."""

import unicodedata
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
from django import forms
from django.contrib.auth.models import User

from dashboard.models import ExchangeAccount, MarketRow, SealingKey
from dashboard.models_accounts import AccountShare
from feeds.account_facts import facts_of
from feeds.keys import MAX_SEALED, looks_sealed

ACCOUNT_FIELDS = ("exchange", "label", "products", "fingerprint", "sealed", "key_id", "symbols")


class FieldError(ValueError):
    """A field is missing or has a wrong value: ``str`` names both, ``field`` the field."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(f"{field}: {sentence}")
        self.field = field


class StaleKey(ValueError):
    """The key was sealed for a worker's key that is no longer the present one."""


class NewAccount(msgspec.Struct, frozen=True, kw_only=True):
    """A checked request to add an account (docs/protocol.md section 4)."""

    exchange: str
    label: str
    products: list[str]
    fingerprint: str
    sealed: str
    key_id: str
    symbols: list[str]

    @classmethod
    def of(cls, body: Any, user: User, key: SealingKey) -> "NewAccount":
        """Raises FieldError, or StaleKey. ``key`` is the worker's present one."""
        if not isinstance(body, Mapping):
            raise FieldError("body", "must be a JSON object.")
        for name in body:
            if name not in ACCOUNT_FIELDS:
                raise FieldError(str(name)[:50], f"is not a field; the fields are {', '.join(ACCOUNT_FIELDS)}.")
        exchange = _choice("exchange", body, sorted(key.exchanges))
        if body.get("key_id", key.key_id) != key.key_id:
            raise StaleKey("The worker has a new key. Load the page anew and enter the account again.")
        return cls(
            exchange=exchange,
            label=_label(body, user, exchange),
            products=_choices("products", body, key.exchanges[exchange].get("products", [])),
            fingerprint=_fingerprint(body),
            sealed=_sealed(body),
            key_id=key.key_id,
            symbols=_symbols(body, exchange),
        )


CHANGES = ("label", "poll_s", "trading", "only_here", "cancel_on_stop", "dead_man_s", "symbols")
POLL_S = (1.0, 3600.0)


class AccountChange(msgspec.Struct, frozen=True, kw_only=True):
    """A checked request to change an account: only what was sent is changed."""

    values: dict[str, Any]

    @classmethod
    def of(cls, body: Any, account: ExchangeAccount) -> "AccountChange":
        """Raises FieldError."""
        if not isinstance(body, Mapping) or not body:
            raise FieldError("body", f"must be a JSON object with some of {', '.join(CHANGES)}.")
        values: dict[str, Any] = {}
        for name, value in body.items():
            if name not in CHANGES:
                raise FieldError(str(name)[:50], f"is not a field; the fields are {', '.join(CHANGES)}.")
            if account.name:
                raise FieldError(name, "stands in the configuration file; change it there.")
            if name == "label":
                values[name] = _label(body, account.owner, account.exchange, account.pk)
            elif name == "symbols":
                values[name] = _symbols(body, account.exchange)
            elif name == "poll_s":
                values[name] = seconds(name, value, *POLL_S)
            elif name == "dead_man_s":
                values[name] = dead_man_seconds(name, value, account.exchange)
            else:
                values[name] = flag(name, value)
        return cls(values=values)

    def apply(self, account: ExchangeAccount) -> None:
        for name, value in self.values.items():
            setattr(account, name, value)
        account.save(update_fields=list(self.values))


def flag(field: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise FieldError(field, f"must be true or false, not {_shown(value)}.")
    return value


def seconds(field: str, value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise FieldError(field, f"must be a number of seconds from {low:g} to {high:g}, not {_shown(value)}.")
    return float(value)


def whole_seconds(field: str, value: Any, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise FieldError(field, f"must be 0 or whole seconds from {low} to {high}, not {_shown(value)}.")
    return value


def dead_man_seconds(field: str, value: Any, exchange: str) -> int:
    """0, or what the exchange's own switch takes."""
    if type(value) is int and value == 0:
        return 0
    allowed = facts_of(exchange).dead_man
    if allowed is None:
        raise FieldError(field, f"must be 0: {exchange} has no such switch.")
    return whole_seconds(field, value, *allowed)


class ShareForm(forms.Form):
    """With whom an account is shared, and as what."""

    user = forms.CharField(max_length=150, label="User name")
    role = forms.ChoiceField(choices=AccountShare.Role.choices, initial=AccountShare.Role.VIEWER)


def _text(field: str, body: Mapping[str, Any], most: int) -> str:
    value = body.get(field)
    if value is None:
        raise FieldError(field, "is missing.")
    if not isinstance(value, str):
        raise FieldError(field, f"must be text, not {_shown(value)}.")
    if len(value) > most:
        raise FieldError(field, f"has {len(value)} characters, {most} are allowed.")
    if not printable(value):
        raise FieldError(field, f"{value!r} has characters that cannot be shown.")
    return value


def printable(text: str) -> bool:
    """No control characters, nor such as change the direction of writing. (PostgreSQL takes no NUL in a text.)"""
    return not any(unicodedata.category(character).startswith("C") for character in text)


def _choice(field: str, body: Mapping[str, Any], allowed: Sequence[str]) -> str:
    value = _text(field, body, 32)
    if value not in allowed:
        raise FieldError(field, f"{value!r} is not one of {', '.join(allowed)}.")
    return value


def _choices(field: str, body: Mapping[str, Any], allowed: Collection[str]) -> list[str]:
    values = body.get(field)
    if not isinstance(values, list) or not values:
        raise FieldError(field, f"must be a list of at least one of {', '.join(allowed)}.")
    for value in values:
        if value not in allowed:
            raise FieldError(field, f"{_shown(value)} is not one of {', '.join(allowed)}.")
    return [value for value in allowed if value in values]


def _label(body: Mapping[str, Any], user: User, exchange: str, but: int = 0) -> str:
    """``but``: the account whose own label is no obstacle."""
    label = " ".join(_text("label", body, 50).split())
    if not label:
        raise FieldError("label", "must not be empty.")
    if ExchangeAccount.objects.filter(owner=user, exchange=exchange, label=label).exclude(pk=but).exists():
        raise FieldError("label", f"{label!r} is the label of another of your accounts at {exchange}.")
    return label


def _fingerprint(body: Mapping[str, Any]) -> str:
    """Four characters, "…", two: the form of ``Credentials.fingerprint``, so that no whole key is stored by mistake."""
    value = _text("fingerprint", body, 8)
    start, dots, end = value.partition("…")
    if not dots or (len(start), len(end)) not in ((0, 0), (4, 2)):
        raise FieldError("fingerprint", "must be the key's first four characters, … and its last two.")
    return value


def _sealed(body: Mapping[str, Any]) -> str:
    value = _text("sealed", body, MAX_SEALED)
    if not looks_sealed(value):
        raise FieldError("sealed", "is not the base64 text of a sealed box.")
    return value


def _symbols(body: Mapping[str, Any], exchange: str) -> list[str]:
    values = body.get("symbols", [])
    if not isinstance(values, list) or len(values) > 200 or not all(isinstance(value, str) for value in values):
        raise FieldError("symbols", "must be a list of at most 200 symbols, like BTC/USDT.")
    for value in values:
        if not printable(value):
            raise FieldError("symbols", f"{value[:64]!r} has characters that cannot be shown.")
    known = set(MarketRow.objects.filter(exchange=exchange, symbol__in=values).values_list("symbol", flat=True))
    for value in values:
        if value not in known:
            raise FieldError("symbols", f"{value[:64]!r} is not a market of {exchange}.")
    return sorted(known)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


class SignInForm(forms.Form):
    """The button of a sign-in link's page: nothing to fill in, but a POST with the CSRF token."""
