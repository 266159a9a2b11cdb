"""The private sides of the exchanges, by name."""

from feeds.account import AccountApiFactory
from feeds.accounts.binance import BinanceAccount
from feeds.accounts.kraken import KrakenAccount
from feeds.accounts.krakenfutures import KrakenFuturesAccount

REGISTRY: dict[str, AccountApiFactory] = {
    "binance": BinanceAccount,
    "kraken": KrakenAccount,
    "krakenfutures": KrakenFuturesAccount,
}
