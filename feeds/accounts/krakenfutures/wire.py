"""What Kraken Futures writes alike by REST and WebSocket: numbers, times, names, states."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple, TypeVar

import msgspec

from feeds import account_reading
from feeds.domain import Market
from feeds.errors import CredentialsError
from feeds.exchange import MarketIndex

PRODUCT = "futures"
LABEL = "Kraken Futures"

ZERO = Decimal(0)

_ASSETS = {"XBT": "BTC", "XDG": "DOGE"}

TYPES: Mapping[str, str] = {"lmt": "limit", "mkt": "market", "post": "limit", "ioc": "limit", "stp": "stop"}
"""REST's words of an order's type that are not the stream's."""


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
    return account_reading.decode(raw, kind, LABEL)


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
