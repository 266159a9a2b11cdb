"""Binance: the first snapshot of each market, then every update beyond it. The number is the update id."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from bench.truths.scene import Scene

Side = dict[Decimal, Decimal]


def replay(scene: Scene, records: list[dict[str, Any]]) -> Iterator[tuple[str, int, Side, Side]]:
    for symbol in scene.symbols:
        native = symbol.partition(":")[0].replace("/", "")
        snapshot = next(
            json.loads(r["raw"]) for r in records if r["via"] == "rest" and f"symbol={native}&" in r["path"] + "&"
        )
        bids, asks = ({Decimal(p): Decimal(q) for p, q in snapshot[side]} for side in ("bids", "asks"))
        last = snapshot["lastUpdateId"]
        yield symbol, last, bids, asks
        for record in records:
            data = json.loads(record["raw"]).get("data", {}) if record["via"] == "ws" else {}
            if data.get("e") != "depthUpdate" or data["s"] != native or data["u"] <= last:
                continue
            for side, changes in ((bids, data["b"]), (asks, data["a"])):
                for price, size in changes:
                    if Decimal(size):
                        side[Decimal(price)] = Decimal(size)
                    else:
                        side.pop(Decimal(price), None)
            last = data["u"]
            yield symbol, last, bids, asks
