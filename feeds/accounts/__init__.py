"""The private sides of the exchanges, by name."""

from feeds.account import AccountApiFactory
from feeds.accounts.alpaca import AlpacaAccount
from feeds.accounts.binance import BinanceAccount
from feeds.accounts.bybit import BybitAccount
from feeds.accounts.coinbase import CoinbaseAccount
from feeds.accounts.kraken import KrakenAccount
from feeds.accounts.krakenfutures import KrakenFuturesAccount
from feeds.accounts.lmex import LmexAccount
from feeds.accounts.okx import OkxAccount

REGISTRY: dict[str, AccountApiFactory] = {
    "alpaca": AlpacaAccount,
    "binance": BinanceAccount,
    "bybit": BybitAccount,
    "coinbase": CoinbaseAccount,
    "kraken": KrakenAccount,
    "krakenfutures": KrakenFuturesAccount,
    "lmex": LmexAccount,
    "okx": OkxAccount,
}
