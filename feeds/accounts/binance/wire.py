"""What Binance's two products write alike: numbers, names, states."""

from decimal import Context, Decimal
from typing import Literal, TypeVar

import msgspec

from feeds import account_reading
from feeds.domain import Side
from feeds.exchange import MarketIndex

AVERAGE = Context(prec=16)  # an average price is a quotient: it needs an end somewhere

STATUSES = {
    "NEW": "open",
    "PENDING_NEW": "open",
    "PENDING_CANCEL": "open",
    "PARTIALLY_FILLED": "partial",
    "FILLED": "filled",
    "CANCELED": "canceled",
    "REJECTED": "rejected",
    "EXPIRED": "expired",
    "EXPIRED_IN_MATCH": "expired",
    "TRIGGERING": "open",  # conditional orders only, as are TRIGGERED and FINISHED, which keep their names
}

EXECUTIONS = frozenset({"TRADE", "CALCULATED"})
"""Execution types that may carry a fill; CALCULATED is a liquidation."""


T = TypeVar("T")


def decode(raw: bytes | str | msgspec.Raw, kind: type[T]) -> T:
    """One message or answer; raises ParseError if it is not what the documentation says."""
    return account_reading.decode(raw, kind, "Binance")


def status_of(text: str) -> str:
    """Our word for an order's status; an unknown one keeps Binance's, in lower case."""
    return STATUSES.get(text, text.lower())


def side_of(text: Literal["BUY", "SELL"]) -> Side:
    return "buy" if text == "BUY" else "sell"


def margin_mode_of(text: str) -> str:
    """ "cross" or "isolated": Binance writes cross, CROSSED, isolated and ISOLATED."""
    mode = text.lower()
    return "cross" if mode == "crossed" else mode


def if_any(figure: Decimal) -> Decimal | None:
    """Binance writes 0 for a price that does not exist."""
    return figure or None


def average_of(quote: Decimal, filled: Decimal) -> Decimal | None:
    """The average price of a filled quantity; a negative quote amount says that Binance does not know it."""
    return AVERAGE.divide(quote, filled) if filled > 0 and quote >= 0 else None


def symbol_of(markets: MarketIndex, product: str, native: str) -> str:
    """The symbol under which an order or position is shown: where the instrument list does not know it, Binance's name
    and the product. (A fill is not stored under such a name: it would come again under the right one.)"""
    market = markets.native(product, native)
    return market.symbol if market is not None else f"{native}@{product}"
