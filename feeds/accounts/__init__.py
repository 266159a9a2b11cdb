"""The private sides of the exchanges, by name."""

from feeds.account import AccountApiFactory
from feeds.accounts.binance import BinanceAccount
from feeds.accounts.coinbase import CoinbaseAccount

REGISTRY: dict[str, AccountApiFactory] = {
    "binance": BinanceAccount,
    "coinbase": CoinbaseAccount,
}
