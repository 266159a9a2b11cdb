"""The private sides of the exchanges, by name."""

from feeds.account import AccountApiFactory
from feeds.accounts.binance import BinanceAccount
from feeds.accounts.bybit import BybitAccount
from feeds.accounts.okx import OkxAccount

REGISTRY: dict[str, AccountApiFactory] = {
    "binance": BinanceAccount,
    "bybit": BybitAccount,
    "okx": OkxAccount,
}


def needs_passphrase(exchange: str) -> bool:
    """Does a key of this exchange have a passphrase? Its account class says so (``passphrase = True``)."""
    return bool(getattr(REGISTRY[exchange], "passphrase", False))
