"""What OKX's answers and frames write alike: numbers that are text, names, states, sizes in contracts."""

from decimal import Decimal
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Meta

from feeds import account_reading
from feeds.account_reading import EXACT
from feeds.domain import Market
from feeds.errors import ParseError
from feeds.exchange import MarketIndex

Amount: TypeAlias = Annotated[str, Meta(pattern=r"^(-?[0-9]{1,30}(\.[0-9]{1,40})?([eE]-?[0-9]{1,2})?)?\Z")]
"""A number as text; "" is none."""
Ms: TypeAlias = Annotated[str, Meta(pattern=r"^[0-9]{0,15}\Z")]
"""Milliseconds as text; "" is none."""
Moment: TypeAlias = Annotated[str, Meta(pattern=r"^[0-9]{1,15}\Z")]
"""The same where it is never missing."""
Id: TypeAlias = Annotated[str, Meta(pattern=r"^-?[0-9]{1,40}\Z")]
PositionSide: TypeAlias = Literal["net", "long", "short", ""]
Direction: TypeAlias = Literal["buy", "sell"]

PRODUCTS = {"SPOT": "spot", "MARGIN": "spot", "SWAP": "swap"}
"""OKX's kinds of instruments to ours. Bought on margin, a pair is the same market with the same trade ids."""

TRADING, FUNDING, ALGO = "trading", "funding", "algo"
"""The trading account's money is one for all products, the funding account's is apart; algo orders are numbered and
listed apart from all others."""

SIDES: dict[str, Literal["both", "long", "short"]] = {"net": "both", "": "both", "long": "long", "short": "short"}

STATES = {
    "live": "open",
    "partially_filled": "partial",
    "filled": "filled",
    "canceled": "canceled",
    "mmp_canceled": "canceled",
}
ALGO_STATES = {
    "live": "open",
    "pause": "open",
    "partially_effective": "open",
    "effective": "triggered",  # what it sent is an order of its own
    "canceled": "canceled",
    "order_failed": "rejected",
    "partially_failed": "rejected",
}
TYPES = {"limit": ("limit", "GTC"), "ioc": ("limit", "IOC"), "fok": ("limit", "FOK"), "post_only": ("post_only", "GTC")}
"""``ordType`` to ours, with the time in force; others keep their name and have none."""


class Answer(msgspec.Struct):
    """``{"code":"0","msg":"","data":[...]}``; ``data`` is read by whoever knows what it is."""

    code: str
    data: msgspec.Raw
    msg: str = ""


T = TypeVar("T")


def decode(raw: bytes | str | msgspec.Raw, kind: type[T]) -> T:
    """One message or answer; raises ParseError if it is not what the documentation says."""
    return account_reading.decode(raw, kind, "OKX")


def rows(raw: bytes, kind: type[T]) -> list[T]:
    """The rows of an answer."""
    return decode(decode(raw, Answer).data, list[kind])  # type: ignore[valid-type]  # made for the caller


def one(raw: bytes, kind: type[T]) -> T:
    """The only row of an answer."""
    told = rows(raw, kind)
    if len(told) != 1:
        raise ParseError(f"OKX: {len(told)} rows instead of one", raw)
    return told[0]


def amount(text: str) -> Decimal | None:
    return Decimal(text) if text else None


def amount_or_0(text: str) -> Decimal:
    return Decimal(text or 0)


def if_any(text: str) -> Decimal | None:
    """A price that may not be there: "" or 0 say so."""
    return (Decimal(text) or None) if text else None


def ms(text: str) -> int | None:
    return int(text) if text else None


def product_of(kind: str) -> str:
    """Our product of an ``instType``; one that we do not follow keeps OKX's name."""
    return PRODUCTS.get(kind, kind.lower())


def market_of(markets: MarketIndex, kind: str, native: str) -> Market | None:
    """The market of an ``instType`` and ``instId``; None for one that is not listed: its contract's size is unknown."""
    return markets.native(product_of(kind), native)


def base(text: str, market: Market) -> Decimal:
    """A size as OKX counts it, contracts of a swap, in base currency."""
    return EXACT.multiply(Decimal(text or 0), market.contract_size)


def contracts(size: Decimal, market: Market) -> str:
    """A size in base currency as OKX counts it. What is no multiple of the lot is refused by OKX."""
    count = EXACT.divide(size, market.contract_size)
    return f"{EXACT.normalize(count):f}"


def json(value: Any) -> bytes:
    return msgspec.json.encode(value)
