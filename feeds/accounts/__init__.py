"""The private sides of the exchanges, by name."""

from feeds.account import AccountApiFactory
from feeds.accounts.binance import BinanceAccount
from feeds.accounts.bybit import BybitAccount

REGISTRY: dict[str, AccountApiFactory] = {
    "binance": BinanceAccount,
    "bybit": BybitAccount,
}
