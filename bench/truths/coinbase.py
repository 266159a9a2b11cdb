"""Coinbase: snapshot, then changes, as they come on the one connection. The number is that of the frame."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from bench.truths.scene import Scene

Side = dict[Decimal, Decimal]


def replay(scene: Scene, records: list[dict[str, Any]]) -> Iterator[tuple[str, int, Side, Side]]:
    books: dict[str, tuple[Side, Side]] = {}
    for record in records:
        if record["via"] != "ws" or '"l2_data"' not in record["raw"][:40]:
            continue
        frame = json.loads(record["raw"])
        for event in frame["events"]:
            if event["type"] == "snapshot":
                books[event["product_id"]] = {}, {}
            bids, asks = books[event["product_id"]]
            for update in event["updates"]:
                side, price = bids if update["side"] == "bid" else asks, Decimal(update["price_level"])
                if Decimal(update["new_quantity"]):
                    side[price] = Decimal(update["new_quantity"])
                else:
                    side.pop(price, None)
            yield event["product_id"].replace("-", "/"), frame["sequence_num"], bids, asks
