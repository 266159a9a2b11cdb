"""The private sides of the exchanges, by name."""

from feeds.account import AccountApiFactory
from feeds.accounts.binance import BinanceAccount
from feeds.accounts.bybit import BybitAccount
from feeds.accounts.lmex import LmexAccount
from feeds.accounts.okx import OkxAccount

REGISTRY: dict[str, AccountApiFactory] = {
    "binance": BinanceAccount,
    "bybit": BybitAccount,
    "lmex": LmexAccount,
    "okx": OkxAccount,
}
