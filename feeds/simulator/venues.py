"""The simulated exchanges, by name. Written here by hand; a test holds that every adapter has one."""

from collections.abc import Callable, Iterable, Mapping

from feeds.simulator.accounts import Accounts
from feeds.simulator.alpaca import Alpaca
from feeds.simulator.binance import Binance
from feeds.simulator.bitstamp import Bitstamp
from feeds.simulator.bybit import Bybit
from feeds.simulator.coinbase import Coinbase
from feeds.simulator.instruments import Instrument
from feeds.simulator.kraken import Kraken
from feeds.simulator.krakenfutures import KrakenFutures
from feeds.simulator.lmex import Lmex
from feeds.simulator.market import World
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


def accounts(names: Iterable[str], world: World) -> dict[str, Accounts]:
    """The accounts of these exchanges, each its own; without any where the exchange serves none."""
    return {name: Accounts(name, REGISTRY[name].terms, REGISTRY[name].listing, world) for name in names}


def build(place: Callable[[Accounts], Place], kept: Mapping[str, Accounts]) -> dict[str, SimulatedExchange]:
    """The exchanges with these accounts, each at the place that ``place`` makes for it."""
    return {name: REGISTRY[name](place(each)) for name, each in kept.items()}
