"""OKX: snapshot, then changes, as printed. The number is the update id; without ids it is (time in ms, checksum)."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from bench.truths.scene import Scene

Side = dict[Decimal, Decimal]


STEPS = (7, 12, 13, 20, 45, 93)
"""By so much ids rise, as they were seen to."""
ANEW = 20
"""With this frame of a book they begin anew, as after maintenance."""


def numbered(records: list[dict[str, Any]]) -> None:
    """Give recorded books the form of today: ids that chain, and a checksum of 0."""
    at: dict[str, int] = {}
    count: dict[str, int] = {}
    for record in records:
        frame = json.loads(record["raw"]) if record["raw"].startswith("{") else {}
        arg = frame.get("arg", {})
        if arg.get("channel") != "books" or "data" not in frame:
            continue
        name = arg["instId"]
        number = count[name] = count.get(name, 0) + 1
        before = -1 if frame["action"] == "snapshot" else at[name]
        at[name] = 3 if number == ANEW else at.get(name, 1000) + STEPS[number % len(STEPS)]
        frame["data"][0] |= {"checksum": 0, "prevSeqId": before, "seqId": at[name]}
        record["raw"] = json.dumps(frame, separators=(",", ":"))


def replay(scene: Scene, records: list[dict[str, Any]]) -> Iterator[tuple[str, Any, Side, Side]]:
    books: dict[str, tuple[Side, Side]] = {}
    symbols = {symbol.replace("/", "-"): symbol for symbol in scene.symbols}
    for record in records:
        frame = json.loads(record["raw"]) if record["raw"].startswith("{") else {}
        arg = frame.get("arg", {})
        if arg.get("channel") != "books" or "data" not in frame or arg["instId"] not in symbols:
            continue
        [data] = frame["data"]
        if frame["action"] == "snapshot":
            books[arg["instId"]] = {}, {}
        bids, asks = books[arg["instId"]]
        for side, changes in ((bids, data["bids"]), (asks, data["asks"])):
            for price, size, *_ in changes:
                if Decimal(size):
                    side[Decimal(price)] = Decimal(size)
                else:
                    side.pop(Decimal(price), None)
        yield symbols[arg["instId"]], data.get("seqId", (int(data["ts"]), data["checksum"])), bids, asks
