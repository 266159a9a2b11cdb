"""What Kraken's REST and WebSocket write alike: numbers, times, states."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from typing import Annotated, TypeVar

import msgspec

from feeds.errors import ParseError

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
Seconds = Annotated[Decimal, msgspec.Meta()]
"""Unix seconds with a fraction, as Kraken's REST writes times: ``1688667796.8802``."""

PRODUCT = "spot"
MAX_DIGITS = 30
"""Digits before the point: far more than any figure that means money."""

EXACT = Context(prec=100)
AVERAGE = Context(prec=16)  # an average price is a quotient: it needs an end somewhere

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

STATUSES: Mapping[str, str] = {
    "pending": "open",
    "pending_new": "open",
    "new": "open",
    "triggered": "open",
    "open": "open",
    "partially_filled": "partial",
    "filled": "filled",
    "closed": "filled",  # REST's word
    "canceled": "canceled",
    "expired": "expired",
}


class Wire(msgspec.Struct, frozen=True):
    """Base of all that Kraken sends. Unknown fields are ignored.

    Decimals are read from texts and from JSON numbers; that also reads "NaN" and 1e999999, which are no figures.
    """

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, Decimal) and not (value.is_finite() and abs(value.adjusted()) < MAX_DIGITS):
                raise ValueError(f"{name} is not a sensible number")


T = TypeVar("T")


def decode(raw: bytes | str | msgspec.Raw, kind: type[T]) -> T:
    """One message or answer; raises ParseError if it is not what the documentation says."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        text = bytes(raw) if isinstance(raw, msgspec.Raw) else raw
        raise ParseError(f"Kraken: {type(error).__name__}: {error}", text) from error


def ms_of(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND


def ms_of_seconds(seconds: Decimal) -> int:
    """Raises ValueError for what is no time."""
    if not 0 <= seconds < 10**11:
        raise ValueError(f"{seconds} is no time in seconds")
    return int(seconds * 1000)


def status_of(text: str, filled: Decimal) -> str:
    """Our word for an order's status; an unknown one keeps Kraken's."""
    status = STATUSES.get(text, text)
    return "partial" if status == "open" and filled else status


def if_any(figure: Decimal | None) -> Decimal | None:
    """Kraken writes 0 for a price that does not exist."""
    return figure or None
