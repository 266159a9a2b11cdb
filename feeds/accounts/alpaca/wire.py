"""What Alpaca's stream and its REST answers write alike: amounts, times, names of markets."""

import re
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import msgspec

from feeds import account_reading
from feeds.domain import Market, Side
from feeds.errors import ParseError
from feeds.exchange import MarketIndex
from feeds.exchanges.alpaca_messages import STOCK_SUFFIX

ACCOUNT = "account"
"""The host of an account's calls, and the product under which its one wallet is shown."""
CRYPTO, STOCKS = "crypto", "stocks"
PRODUCT_OF_CLASS = {"crypto": CRYPTO, "us_equity": STOCKS}
"""Alpaca's ``asset_class``; others (``us_option``) are not shown."""

_TICKER = re.compile(r"[A-Z]{1,5}(\.[A-Z]{1,2})?")

T = TypeVar("T")


def decode(raw: bytes | str | msgspec.Raw, kind: type[T]) -> T:
    """One message or answer; raises ParseError if it is not what the documentation says."""
    return account_reading.decode(raw, kind, "Alpaca")


def side_of(text: str) -> Side:
    """``buy``, ``sell``, and in the history also ``sell_short``. Raises ParseError."""
    if text == "buy":
        return "buy"
    if text in ("sell", "sell_short"):
        return "sell"
    raise ParseError(f"Alpaca: side is {text[:40]!r}, which is none")


def second(ms: int) -> str:
    """RFC 3339, rounded down to a whole second."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=max(0, ms) // 1000)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class Names:
    """Markets by the names that Alpaca gives them: ``BTC/USD`` in some answers is ``BTCUSD`` in others."""

    def __init__(self, markets: MarketIndex) -> None:
        self._markets = markets
        self._joined: dict[str, Market] = {}
        self._counted = 0

    def find(self, name: str, product: str | None = None) -> Market | None:
        """``product`` None: it was not told. A ticker goes before the joined name of a pair."""
        if product is not None:
            found = self._markets.native(product, name)
        else:
            found = self._markets.native(CRYPTO, name) or self._markets.native(STOCKS, name)
        if found is None and product != STOCKS:
            found = self._pairs().get(name)
        return found

    def symbol(self, name: str, product: str) -> str:
        """Under which an order is shown: where the instrument list does not know it, Alpaca's name and the product."""
        market = self.find(name, product)
        return market.symbol if market is not None else f"{name}@{product}"

    def by_rule(self, name: str) -> tuple[str, str] | None:
        """(product, symbol) of what is not listed here, as the public side would call it; None where the name alone
        does not tell: ``BTCUSD`` may be a pair, and an option is neither."""
        if "/" in name:
            return CRYPTO, name
        return (STOCKS, f"{name}{STOCK_SUFFIX}/USD") if _TICKER.fullmatch(name) else None

    def _pairs(self) -> dict[str, Market]:
        if self._counted != len(self._markets):
            self._counted = len(self._markets)
            self._joined = {m.native.replace("/", ""): m for m in self._markets if m.product == CRYPTO}
        return self._joined
