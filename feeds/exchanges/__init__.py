"""The exchanges that have an adapter. Written here by hand; a test holds that none is missing."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from feeds.errors import ConfigError
from feeds.exchange import Exchange
from feeds.exchanges.alpaca import Alpaca
from feeds.exchanges.binance import Binance
from feeds.exchanges.bitstamp import Bitstamp
from feeds.exchanges.bybit import Bybit
from feeds.exchanges.coinbase import Coinbase
from feeds.exchanges.kraken import Kraken
from feeds.exchanges.krakenfutures import KrakenFutures
from feeds.exchanges.lmex import Lmex
from feeds.exchanges.okx import Okx

ExchangeFactory: TypeAlias = Callable[..., Exchange]
"""Makes an adapter: ``(endpoints, **options)``. ``endpoints`` replaces base URLs, the options are the adapter's own."""

REGISTRY: dict[str, ExchangeFactory] = {
    "alpaca": Alpaca,
    "binance": Binance,
    "bitstamp": Bitstamp,
    "bybit": Bybit,
    "coinbase": Coinbase,
    "kraken": Kraken,
    "krakenfutures": KrakenFutures,
    "lmex": Lmex,
    "okx": Okx,
}


def recorded_as(venue: str) -> str | None:
    """The adapter for recordings of that venue: its own name, or another that it says to be recorded under."""
    if venue in REGISTRY:
        return venue
    return next((name for name in REGISTRY if venue in create(name).facts.recorded_as), None)


def create(name: str, endpoints: Mapping[str, str] | None = None, **options: Any) -> Exchange:
    """The adapter of that name. Raises ConfigError if there is none."""
    factory = REGISTRY.get(name)
    if factory is None:
        raise ConfigError(f"There is no adapter for the exchange {name!r}; there are: {', '.join(sorted(REGISTRY))}.")
    return factory(endpoints, **options)
