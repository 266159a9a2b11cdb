"""A user's settings: read, checked, written."""

from collections.abc import Mapping
from typing import Any
from zoneinfo import available_timezones

import msgspec

from dashboard.forms import FieldError, flag
from dashboard.models_accounts import UserSettings
from feeds.worth.pricing import CURRENCIES


class Preferences(msgspec.Struct, frozen=True, kw_only=True):
    """``zone`` is an IANA name; ``currency`` is what the portfolio is valued in."""

    zone: str = "UTC"
    currency: str = "USDT"
    sound: bool = False
    notifications: bool = False
    title_profit: bool = False


def of(user_id: int) -> Preferences:
    row = UserSettings.objects.filter(user=user_id).first()
    if row is None:
        return Preferences()
    return Preferences(**{name: getattr(row, name) for name in Preferences.__struct_fields__})


def put(user_id: int, body: Any) -> Preferences:
    """What ``body`` names is changed, the rest stays. Raises FieldError."""
    names = Preferences.__struct_fields__
    if not isinstance(body, Mapping) or not body:
        raise FieldError("body", f"must be a JSON object with some of {', '.join(names)}.")
    for name, value in body.items():
        if name not in names:
            raise FieldError(str(name)[:50], f"is not a setting; the settings are {', '.join(names)}.")
        if name == "zone":
            if not isinstance(value, str) or value not in available_timezones():
                raise FieldError(name, f"{str(value)[:60]!r} is not a time zone like Europe/Berlin.")
        elif name == "currency":
            if value not in CURRENCIES:
                raise FieldError(name, f"{str(value)[:20]!r} is not one of {', '.join(CURRENCIES)}.")
        else:
            flag(name, value)
    UserSettings.objects.update_or_create(user_id=user_id, defaults=dict(body))
    return of(user_id)
