"""What no event may ever hold, whatever the frame was."""

import math
from decimal import Decimal
from typing import Any

import msgspec

from feeds.domain import BookDelta, BookSnapshot, Candle, Event, Market, MarkPrice, Ticker, Trade

_SIGNED = {"change", "funding_rate"}
_NOT_ZERO: dict[type, tuple[str, ...]] = {
    Trade: ("price",),
    Ticker: ("last",),
    Candle: ("open", "high", "low", "close"),
    MarkPrice: ("mark",),
}


def insane(events: object) -> str:
    """What is wrong with the first event that cannot be; "" if all can."""
    if not isinstance(events, list):
        return f"parse returned {type(events).__name__}, not a list"
    for event in events:
        if found := _of(event):
            return f"{type(event).__name__}: {found}"
    return ""


def _of(event: Event | Market) -> str:
    for name in event.__struct_fields__:
        value = getattr(event, name)
        if found := _value(name, value):
            return found
    if isinstance(event, BookDelta | BookSnapshot):
        for price, size in [*event.bids, *event.asks]:
            if not (_number(price) and _number(size) and price >= 0 and size >= 0):
                return f"level ({price}, {size})"
    return ""


def _value(name: str, value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return ""
    if isinstance(value, float | Decimal):
        if not math.isfinite(value):
            return f"{name} is {value}"
        if value < 0 and name not in _SIGNED:
            return f"{name} is negative: {value}"
    if isinstance(value, msgspec.Struct):
        return _of(value)
    if isinstance(value, tuple):
        return next((found for each in value if (found := _value(name, each))), "")
    return ""


def _number(value: object) -> bool:
    return isinstance(value, float) and math.isfinite(value)
