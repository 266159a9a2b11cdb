"""The simulated exchanges of a configuration: started by whoever follows them, and found there.

All of them share one simulator, a child process that ends with its parent.
"""

from collections.abc import Mapping

import msgspec

from feeds import exchanges, simulator
from feeds.account import Credentials
from feeds.config import Config
from feeds.simulator.keys import DATA_KEY, DATA_SECRET


def start(config: Config) -> tuple[Config, simulator.SimulatorProcess | None]:
    """The configuration with its simulated exchanges where they are now, and their process; None if there are none.

    Blocks until they listen. Raises RuntimeError if they do not start.
    """
    names = tuple(name for name, exchange in config.exchanges.items() if exchange.built_in)
    if not names:
        return config, None
    process = simulator.run(exchanges=names)
    return at(config, simulator.endpoints(process.host, process.port)), process


def at(config: Config, endpoints: Mapping[str, Mapping[str, str]]) -> Config:
    """The configuration with its simulated exchanges at these addresses, and with their key of market data."""
    key = Credentials(DATA_KEY, DATA_SECRET)
    moved = {
        name: msgspec.structs.replace(
            exchange,
            endpoints=endpoints[name],
            credentials=key if exchanges.create(name).facts.needs_key else None,
        )
        for name, exchange in config.exchanges.items()
        if exchange.built_in
    }
    return msgspec.structs.replace(config, exchanges={**config.exchanges, **moved})
