"""What Kraken Futures writes alike by REST and WebSocket: numbers, times, names, states."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from typing import Annotated, NamedTuple, TypeVar

import msgspec

from feeds.domain import Market
from feeds.errors import CredentialsError, ParseError
from feeds.exchange import MarketIndex

PRODUCT = "futures"
LABEL = "Kraken Futures"

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
Ms = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]

MAX_DIGITS = 40
EXACT = Context(prec=100)
ZERO = Decimal(0)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_ASSETS = {"XBT": "BTC", "XDG": "DOGE"}

TYPES: Mapping[str, str] = {"lmt": "limit", "mkt": "market", "post": "limit", "ioc": "limit", "stp": "stop"}
"""REST's words of an order's type that are not the stream's."""


class Wire(msgspec.Struct, frozen=True):
    """Base of all that Kraken Futures sends. Unknown fields are ignored; numbers are JSON numbers."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, Decimal) and not (value.is_finite() and abs(value.adjusted()) < MAX_DIGITS):
                raise ValueError(f"{name} is not a sensible number")


class Detail(NamedTuple):
    """What only the stream tells of a position, and which side and size it was told of."""

    size: Decimal
    mark: Decimal | None
    unrealised: Decimal | None
    liquidation: Decimal | None
    margin: Decimal | None


T = TypeVar("T")


def decode(raw: bytes | str | msgspec.Raw, kind: type[T]) -> T:
    """One message or answer; raises ParseError if it is not what the documentation says."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        text = bytes(raw) if isinstance(raw, msgspec.Raw) else raw
        raise ParseError(f"{LABEL}: {type(error).__name__}: {error}", text) from error


def ms_of(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND


def iso(ms: int) -> str:
    """``2024-01-01T00:00:00.000Z``."""
    return (_EPOCH + timedelta(milliseconds=ms)).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"


def asset_of(name: str) -> str:
    """``xbt`` and ``XBT`` -> BTC."""
    return _ASSETS.get(name.upper(), name.upper())


def market_of(markets: MarketIndex, native: str) -> Market | None:
    """Older answers write names in small letters."""
    return markets.native(PRODUCT, native) or markets.native(PRODUCT, native.upper())


def inverse(native: str) -> bool:
    """Contracts of dollars: their sizes are no base currency, and nothing of them is shown as if it were."""
    return native.upper().startswith(("PI_", "FI_"))


def shown(markets: MarketIndex, native: str) -> str:
    """The symbol; a contract that is not listed keeps its name, and the product."""
    market = market_of(markets, native)
    return market.symbol if market is not None else f"{native.upper()}@{PRODUCT}"


def maker_of(fill_type: str) -> bool | None:
    """``maker``, ``taker``, ``takerAfterEdit``; others (liquidation, assignee) say neither."""
    return True if fill_type == "maker" else False if fill_type.startswith("taker") else None


def sha256_then_hmac(secret: str, message: str) -> str:
    """base64 of HMAC-SHA512, keyed with the decoded secret, of SHA256(message). Raises CredentialsError."""
    try:
        key = base64.b64decode(secret, validate=True)
    except (binascii.Error, ValueError):
        raise CredentialsError("the secret is not base64, as Kraken's are") from None
    digest = hashlib.sha256(message.encode()).digest()
    return base64.b64encode(hmac.new(key, digest, hashlib.sha512).digest()).decode()
