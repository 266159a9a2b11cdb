"""What the simulated exchanges' books really are, for those of which there is no recording.

A tap is laid on a simulated exchange before anything is sent. From then on it keeps, with dictionaries of its own, the
book that a perfect client would have after every change that was published, whatever the faults do to it on the way,
and holds it against the matching engine.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, TypeAlias

from bench.taps import alpaca, bitstamp, krakenfutures, lmex
from feeds.simulator.place import SimulatedExchange

Side: TypeAlias = dict[Decimal, Decimal]
Note: TypeAlias = Callable[[str, Any, Side, Side], None]
"""(unified symbol, the exchange's own number of the state as ``fault_runs.number_of`` tells it, bids, asks)"""
Tap: TypeAlias = Callable[[SimulatedExchange, Note, Callable[[str], None]], None]
"""(exchange, called with every state, called with a sentence if the book is not the engine's)"""

TAPS: Mapping[str, Tap] = {
    "alpaca": alpaca.lay,
    "bitstamp": bitstamp.lay,
    "krakenfutures": krakenfutures.lay,
    "lmex": lmex.lay,
}
