"""What Kraken's REST and WebSocket write alike: numbers, times, states."""

from collections.abc import Mapping
from decimal import Context, Decimal
from typing import Annotated, TypeVar

import msgspec

from feeds import account_reading

Seconds = Annotated[Decimal, msgspec.Meta()]
"""Unix seconds with a fraction, as Kraken's REST writes times: ``1688667796.8802``."""

PRODUCT = "spot"
AVERAGE = Context(prec=16)  # an average price is a quotient: it needs an end somewhere

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


T = TypeVar("T")


def decode(raw: bytes | str | msgspec.Raw, kind: type[T]) -> T:
    """One message or answer; raises ParseError if it is not what the documentation says."""
    return account_reading.decode(raw, kind, "Kraken")


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
