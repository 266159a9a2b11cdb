"""The private sides of the exchanges, by name."""

from feeds.account import AccountApiFactory
from feeds.accounts.binance import BinanceAccount
from feeds.accounts.bybit import BybitAccount
from feeds.accounts.coinbase import CoinbaseAccount
from feeds.accounts.okx import OkxAccount

REGISTRY: dict[str, AccountApiFactory] = {
    "binance": BinanceAccount,
    "bybit": BybitAccount,
    "coinbase": CoinbaseAccount,
    "okx": OkxAccount,
}
