"""How Bybit writes numbers, answers and errors: figures are text, and "" is one that does not exist."""

from contextlib import AbstractContextManager
from decimal import Decimal
from typing import Literal, TypeVar

import msgspec

from feeds import account_reading
from feeds.account_reading import Ms, Wire, figure
from feeds.domain import Side

BuySell = Literal["Buy", "Sell"]


class Answer(Wire, frozen=True):
    """``{"retCode":0,"retMsg":"OK","result":{...},"retExtInfo":{},"time":1690872862481}``"""

    result: msgspec.Raw = msgspec.Raw(b"{}")
    time: Ms | None = None


T = TypeVar("T")


def reading(raw: bytes | str, what: str) -> AbstractContextManager[None]:
    """Whatever is wrong with ``raw`` comes out as a ParseError."""
    return account_reading.reading(raw, f"Bybit, {what}")


def decode(raw: bytes | str | msgspec.Raw, kind: type[T]) -> T:
    """To be called within :func:`reading`."""
    return msgspec.json.decode(raw, type=kind, strict=False)


def result(raw: bytes, kind: type[T]) -> T:
    """What an answer holds. To be called within :func:`reading`."""
    return decode(decode(raw, Answer).result, kind)


def if_any(text: str, name: str) -> Decimal | None:
    """A figure of which 0, too, says that there is none: a price, say."""
    return figure(text, name) or None


def side_of(text: BuySell) -> Side:
    return "buy" if text == "Buy" else "sell"
