"""Kraken: snapshot, then changes, cut to the window after each. The number is (time in ms, checksum)."""

import json
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from bench.truths.scene import Scene

Side = dict[Decimal, Decimal]


def replay(scene: Scene, records: list[dict[str, Any]]) -> Iterator[tuple[str, Any, Side, Side]]:
    bids: Side = {}
    asks: Side = {}
    for record in records:
        frame = json.loads(record["raw"], parse_float=Decimal, parse_int=Decimal)
        if frame.get("channel") != "book":
            continue
        [data] = frame["data"]
        if frame["type"] == "snapshot":
            bids, asks = {}, {}
        for side, changes in ((bids, data["bids"]), (asks, data["asks"])):
            for level in changes:
                if level["qty"]:
                    side[level["price"]] = level["qty"]
                else:
                    side.pop(level["price"], None)
        for price in sorted(bids, reverse=True)[scene.depth :]:
            del bids[price]
        for price in sorted(asks)[scene.depth :]:
            del asks[price]
        moment = data.get("timestamp")
        exchange_ms = int(datetime.fromisoformat(moment).timestamp() * 1000) if moment else None
        yield data["symbol"], (exchange_ms, int(data["checksum"])), bids, asks
