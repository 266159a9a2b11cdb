"""A model field for money: exact decimal text."""

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, TypeVar

from django.core.exceptions import ValidationError
from django.db import models


def canonical(value: Decimal) -> str:
    """One text for one number: no exponent, no trailing zeros, no negative zero ("1.50" and "1.5E0" are "1.5").

    Raises ValueError for NaN and infinities.
    """
    if not value.is_finite():
        raise ValueError(f"{value} is not a finite number.")
    text = f"{value:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


_ST = TypeVar("_ST", contravariant=True)
_GT = TypeVar("_GT", covariant=True)

if TYPE_CHECKING:

    class _TextField(models.TextField[_ST, _GT]):
        # How django-stubs tells what may be assigned and what is read; a field of text says str there.
        _pyi_private_set_type: Decimal  # type: ignore[assignment]
        _pyi_private_get_type: Decimal  # type: ignore[assignment]
else:

    class _TextField(models.TextField):
        def __class_getitem__(cls, parameters):
            return cls


class DecimalTextField(_TextField[_ST, _GT]):
    """Decimal in Python, canonical text in the database.

    SQLite has no decimal type: its ``decimal`` columns hold binary floating point numbers, and PostgreSQL's ``numeric``
    would need a precision that fits every coin. Text is exact everywhere; nothing is sorted or summed in SQL.
    """

    description = "Exact decimal number, as text"

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Decimal | None:
        return None if value is None else Decimal(value)

    def to_python(self, value: Any) -> Decimal | None:
        if value is None or isinstance(value, Decimal):
            return value
        try:
            return Decimal(str(value))
        except InvalidOperation:
            raise ValidationError(f"{value!r} is not a decimal number.") from None

    def get_prep_value(self, value: Any) -> str | None:
        number = self.to_python(value)
        return None if number is None else canonical(number)

    def value_to_string(self, obj: models.Model) -> str:
        value = self.get_prep_value(self.value_from_object(obj))
        return "" if value is None else value
