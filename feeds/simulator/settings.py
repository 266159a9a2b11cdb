"""What can be set about the simulated exchanges. The defaults are the documented rules; tests shorten the times."""

from collections.abc import Mapping

import msgspec

from feeds.simulator.instruments import INSTRUMENTS, Instrument
from feeds.simulator.sockets import SocketRules

DAY_S = 86_400.0


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """``weights``: REQUEST_WEIGHT per minute by Binance product, where it shall differ from the documented limit;
    ``trader``: the demo account trades by itself; ``..._connects``: attempts in 5 (Binance, per product) or 10 (Kraken)
    minutes."""

    seed: int = 1
    binance_spot_socket: SocketRules = SocketRules(ping_s=20, pong_s=60, life_s=DAY_S, messages_per_s=5)
    binance_usdm_socket: SocketRules = SocketRules(ping_s=180, pong_s=600, life_s=DAY_S, messages_per_s=10)
    kraken_socket: SocketRules = SocketRules(idle_s=60)
    binance_connects: int = 300
    kraken_connects: int = 150
    weights: Mapping[str, int] = {}
    listen_key_s: float = 3600.0
    instruments: tuple[Instrument, ...] = INSTRUMENTS
    trader: bool = True
