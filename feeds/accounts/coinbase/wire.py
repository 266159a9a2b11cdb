"""How Coinbase writes figures, times, names and states in answers and frames of an account."""

from contextlib import AbstractContextManager
from decimal import Context, Decimal
from typing import Literal

import msgspec

from feeds import account_reading
from feeds.account_reading import Moment, figure, ms_of
from feeds.domain import Side
from feeds.exchange import MarketIndex

PRODUCT = "spot"
HOST = "private"
"""The host of all signed calls, in the adapter's endpoints and budgets."""

QUOTIENT = Context(prec=16)  # a size that is told in quote currency is a quotient: it needs an end somewhere
BuySell = Literal["BUY", "SELL"]

STATUSES = {
    "PENDING": "open",
    "OPEN": "open",
    "QUEUED": "open",
    "CANCEL_QUEUED": "open",
    "EDIT_QUEUED": "open",
    "FILLED": "filled",
    "CANCELLED": "canceled",
    "EXPIRED": "expired",
    "FAILED": "rejected",
}
TIMES_IN_FORCE = {
    "GOOD_UNTIL_CANCELLED": "GTC",
    "GOOD_UNTIL_DATE_TIME": "GTD",
    "IMMEDIATE_OR_CANCEL": "IOC",
    "FILL_OR_KILL": "FOK",
}


def reading(raw: bytes | str, what: str) -> AbstractContextManager[None]:
    """Whatever is wrong with ``raw`` comes out as a ParseError."""
    return account_reading.reading(raw, f"Coinbase, {what}")


def not_negative(value: object, name: str) -> Decimal:
    """The same for a size; where there is none, it is 0."""
    number = figure(value, name) or Decimal(0)
    if number < 0:
        raise ValueError(f"{name} is negative: {number}")
    return number


def moment_ms(text: str | None) -> int | None:
    """A moment that may not have come: "", null, or the year 1."""
    if not text:
        return None
    ms = ms_of(msgspec.convert(text, Moment))
    return ms if ms > 0 else None


def side_of(text: BuySell) -> Side:
    return "buy" if text == "BUY" else "sell"


def status_of(text: str, filled: Decimal) -> str:
    """Our word for an order's status; an unknown one keeps Coinbase's, in lower case."""
    status = STATUSES.get(text, text.lower())
    return "partial" if status == "open" and filled else status


def type_of(text: str) -> str:
    """REST writes ``STOP_LIMIT``, the stream ``Stop Limit``."""
    return text.strip().lower().replace(" ", "_")


def is_spot(native: str) -> bool:
    """``BTC-USD``; futures have three parts (``BIT-28JUN24-CDE``, ``BTC-PERP-INTX``)."""
    return native.count("-") == 1


def symbol_of(markets: MarketIndex, native: str) -> str:
    """The symbol under which an order is shown: where the instrument list does not know it, Coinbase's name and the
    product. (A fill is not stored under such a name: it would come again under the right one.)"""
    market = markets.native(PRODUCT, native)
    return market.symbol if market is not None else f"{native}@{PRODUCT}"
