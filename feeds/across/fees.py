"""What exchanges charge for a trade: documented defaults, and what the user says instead.

Fees are in basis points of the trade's value in quote currency: 10 bps are 0.1 %. Negative is a rebate. What holds is,
first that is there: the user's own (stored), that of spreadboard.toml, the default.

Defaults are the exchanges' fees for somebody new, without volume, discounts or holdings, so that a spread net of them
is not better than it is. Each tells where it is from. Where we have nothing, a high one is assumed on purpose.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Literal, TypeAlias

import msgspec

Charged: TypeAlias = Literal["taker", "maker"]

LOWEST_BPS, HIGHEST_BPS = Decimal(-100), Decimal(1000)
MOST_DECIMALS = 4

_NUMBER = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,12})?", re.ASCII)


class Fee(msgspec.Struct, frozen=True, kw_only=True):
    """Of one exchange and product, in basis points. ``source`` is "user", "file" or "default"; ``note`` is where a
    default is from."""

    maker_bps: Decimal
    taker_bps: Decimal
    source: str = "default"
    note: str = ""

    def bps(self, charged: Charged) -> Decimal:
        return self.taker_bps if charged == "taker" else self.maker_bps


def _fee(maker: str, taker: str, note: str) -> Fee:
    return Fee(maker_bps=Decimal(maker), taker_bps=Decimal(taker), note=note)


_LISTED = "The exchange's public fee list for a new account; no page of its API documentation gives it."

DEFAULTS: Mapping[tuple[str, str], Fee] = {
    ("binance", "spot"): _fee("10", "10", _LISTED),
    ("binance", "usdm"): _fee("2", "5", _LISTED),
    # AssetPairs: "fees": [[0, 0.4], ...], "fees_maker": [[0, 0.25], ...], in percent by 30-day volume
    ("kraken", "spot"): _fee("25", "40", "Kraken REST AssetPairs, fees and fees_maker at no volume."),
    ("bybit", "spot"): _fee("10", "10", _LISTED),
    # execution stream, documented example: "feeRate": "0.00055"
    ("bybit", "linear"): _fee("2", "5.5", "Bybit's documented execution example (taker); maker as publicly listed."),
    # trade-fee, documented example for level lv1: maker -0.0008, taker -0.001 (negative is charged there)
    ("okx", "spot"): _fee("8", "10", "OKX's documented answer of /api/v5/account/trade-fee for level 1."),
    ("okx", "swap"): _fee("2", "5", _LISTED),
    ("coinbase", "spot"): _fee("60", "120", _LISTED),
}

UNKNOWN_SPOT = _fee("40", "60", "Not known for this exchange: assumed high on purpose. Enter your own.")
UNKNOWN_DERIVATIVE = _fee(
    "10", "10", "Not known for this exchange and product: assumed high on purpose. Enter your own."
)


def default_fee(exchange: str, product: str) -> Fee:
    """The fee that holds as long as nobody says another one."""
    known = DEFAULTS.get((exchange, product))
    if known is not None:
        return known
    return UNKNOWN_SPOT if product == "spot" else UNKNOWN_DERIVATIVE


def read_bps(value: object, low: Decimal = LOWEST_BPS, high: Decimal = HIGHEST_BPS) -> Decimal:
    """Basis points from decimal text. Raises ValueError with what is allowed."""
    number = Decimal(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else None
    if number is None or not low <= number <= high or number != round(number, MOST_DECIMALS):
        raise ValueError(
            f"must be decimal text from {low:f} to {high:f} with at most {MOST_DECIMALS} decimals (basis points)"
        )
    return number


class FeeTable:
    """The fees in force. ``file`` are those of spreadboard.toml; :meth:`set_user` brings the stored ones."""

    def __init__(self, file: Mapping[tuple[str, str], Fee] | None = None) -> None:
        self._file = dict(file or {})
        self._user: dict[tuple[str, str], Fee] = {}

    def set_user(self, fees: Mapping[tuple[str, str], Fee]) -> bool:
        """Take the user's own fees, all of them; False if nothing changed."""
        changed = dict(fees) != self._user
        self._user = dict(fees)
        return changed

    def of(self, exchange: str, product: str) -> Fee:
        key = exchange, product
        return self._user.get(key) or self.without_user(exchange, product)

    def without_user(self, exchange: str, product: str) -> Fee:
        return self._file.get((exchange, product)) or default_fee(exchange, product)
