"""The private sides of the exchanges, by name."""

from feeds.account import AccountApiFactory
from feeds.accounts.alpaca import AlpacaAccount
from feeds.accounts.binance import BinanceAccount

REGISTRY: dict[str, AccountApiFactory] = {
    "alpaca": AlpacaAccount,
    "binance": BinanceAccount,
}
