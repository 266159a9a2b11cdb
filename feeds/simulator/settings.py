"""What can be set about the simulated exchanges. The defaults are the documented rules; tests shorten the times."""

from collections.abc import Mapping

import msgspec

from feeds.simulator.instruments import Instrument
from feeds.simulator.sockets import SocketRules

DAY_S = 86_400.0
FIRST = ("binance", "kraken")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """``exchanges`` run with all that they list, or with those of ``instruments`` only, if these are given.

    ``rules`` and ``connects`` (attempts to connect, per product, in the exchange's own window) replace the documented
    ones, by exchange, or by ``"<exchange>.<product>"`` where its products differ; ``weights``: REQUEST_WEIGHT per
    minute by Binance product, requests a second of other exchanges; ``trader``: the demo accounts trade by themselves;
    ``demos``: so many further names for each demo account ("demo 1"), as if it were as many, each with its own limits.
    """

    seed: int = 1
    exchanges: tuple[str, ...] = FIRST
    instruments: tuple[Instrument, ...] = ()
    rules: Mapping[str, SocketRules] = {}
    connects: Mapping[str, int] = {}
    weights: Mapping[str, int] = {}
    listen_key_s: float = 3600.0
    demos: int = 0
    trader: bool = True
