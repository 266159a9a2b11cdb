"""The exchanges that have an adapter. Written here by hand; a test holds that none is missing."""

import re
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

_VERSION = re.compile(r"v[0-9]+(beta[0-9]+)?|api|ws|websocket")
"""Words that say nothing of the exchange."""


def recorded_as(venue: str) -> str | None:
    """The adapter for recordings of that venue: its own name, or another that it says to be recorded under.

    However it is written (``Kraken Futures``, ``kraken_futures``), and with a product or a version of the API behind it
    (``binance-usdm``, ``okx-v5``): recordings of others are called as their tools call the exchange.
    """
    words = words_of(venue)
    adapters = {name: create(name).facts for name in REGISTRY}
    names = {alias: name for name, facts in adapters.items() for alias in (name, *facts.recorded_as)}
    for count in range(len(words), 0, -1):
        name = names.get("".join(words[:count]))
        if name is None:
            continue
        known = (*create(name).products, *adapters[name].recorded_products)
        if all(word in known or _VERSION.fullmatch(word) for word in words[count:]):
            return name
    return None


def words_of(text: str) -> list[str]:
    """In small letters and digits: ``Bybit-Linear`` -> bybit, linear."""
    return re.findall(r"[a-z0-9]+", text.lower())


def create(name: str, endpoints: Mapping[str, str] | None = None, **options: Any) -> Exchange:
    """The adapter of that name. Raises ConfigError if there is none."""
    factory = REGISTRY.get(name)
    if factory is None:
        raise ConfigError(f"There is no adapter for the exchange {name!r}; there are: {', '.join(sorted(REGISTRY))}.")
    return factory(endpoints, **options)
