"""The simulated exchanges, by name. Written here by hand; a test holds that every adapter has one."""

from collections.abc import Iterable, Mapping

from feeds.simulator.alpaca import Alpaca
from feeds.simulator.binance import Binance
from feeds.simulator.bitstamp import Bitstamp
from feeds.simulator.bybit import Bybit
from feeds.simulator.coinbase import Coinbase
from feeds.simulator.instruments import Instrument
from feeds.simulator.kraken import Kraken
from feeds.simulator.krakenfutures import KrakenFutures
from feeds.simulator.lmex import Lmex
from feeds.simulator.okx import Okx
from feeds.simulator.place import Place, SimulatedExchange

REGISTRY: Mapping[str, type[SimulatedExchange]] = {
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


def listings(names: Iterable[str]) -> tuple[Instrument, ...]:
    """All instruments of these exchanges. Raises KeyError for a name that is not known."""
    return tuple(each for name in names for each in REGISTRY[name].listing)


def endpoints(host: str, port: int) -> Mapping[str, Mapping[str, str]]:
    """Endpoint overrides by exchange, as the configuration takes them."""
    return {name: kind.endpoints(f"ws://{host}:{port}", f"http://{host}:{port}") for name, kind in REGISTRY.items()}


def build(place: Place, names: Iterable[str]) -> dict[str, SimulatedExchange]:
    """These exchanges at that place."""
    return {name: REGISTRY[name](place) for name in names}
