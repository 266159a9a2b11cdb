"""What the recorded books really were: one naive replay per exchange, with nothing of the project.

A replay yields, after every change, the unified symbol, the exchange's own number of that state as a book frame tells
it (its ``seq``; where the exchange has none, time in ms and checksum), and both sides as dictionaries of decimals.
"""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, TypeAlias

from bench.truths import binance, bybit, coinbase, kraken, okx
from bench.truths.scene import Scene

Side: TypeAlias = dict[Decimal, Decimal]
Replay: TypeAlias = Callable[[Scene, list[dict[str, Any]]], Iterator[tuple[str, Any, Side, Side]]]

REPLAYS: Mapping[str, Replay] = {
    "binance": binance.replay,
    "bybit": bybit.replay,
    "coinbase": coinbase.replay,
    "kraken": kraken.replay,
    "okx": okx.replay,
}
