"""Bybit: the snapshot of a topic, then its changes, as recorded on the product's connection. The number is ``u``."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from bench.truths.scene import Scene

Side = dict[Decimal, Decimal]

CONNECTIONS = {"linear": "BYBIT.ws.2", "spot": "BYBIT.ws.3"}
"""The recording's."""


def replay(scene: Scene, records: list[dict[str, Any]]) -> Iterator[tuple[str, int, Side, Side]]:
    names = {symbol.partition(":")[0].replace("/", ""): symbol for symbol in scene.symbols}
    books: dict[str, tuple[Side, Side]] = {native: ({}, {}) for native in names}
    for record in records:
        if record["via"] != "ws" or record["conn"] != CONNECTIONS[scene.product]:
            continue
        frame = json.loads(record["raw"])
        if not frame["topic"].startswith("orderbook.") or frame["data"]["s"] not in names:
            continue
        data = frame["data"]
        bids, asks = books[data["s"]]
        for side, changes in ((bids, data["b"]), (asks, data["a"])):
            if frame["type"] == "snapshot":
                side.clear()
            for price, size in changes:
                if Decimal(size):
                    side[Decimal(price)] = Decimal(size)
                else:
                    side.pop(Decimal(price), None)
        yield names[data["s"]], data["u"], bids, asks
