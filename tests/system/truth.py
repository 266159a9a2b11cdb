"""What a recording says the books were: replayed naively, with nothing of the project.

Dictionaries of Decimal by Decimal, sorted on demand. Slow and plain on purpose: it judges the product.
"""

import gzip
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

Side = list[tuple[Decimal, Decimal]]


def records(path: Path) -> Iterator[dict[str, Any]]:
    """The recording's lines after its header."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        next(file)
        yield from map(json.loads, file)


def length_s(path: Path) -> float:
    """Seconds from the first frame to the last."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        *_, last = file
    return float(json.loads(last)["t"])


def with_snapshots_first(path: Path, folder: Path) -> Path:
    """A copy whose REST answers stand at its beginning.

    The recording's server makes later snapshots from the recorded one, but leaves out the changes that it had sent
    before it came to it and that are newer than it: its snapshots would keep levels that were gone.
    """
    copy = folder / path.name
    with (
        gzip.open(path, "rt", encoding="utf-8") as file,
        gzip.open(copy, "wt", encoding="utf-8", compresslevel=1) as to,
    ):
        to.write(next(file))
        for line in file:
            record = json.loads(line)
            to.write(json.dumps(record | {"t": 0.0}) + "\n" if record["via"] == "rest" else line)
    return copy


class Book:
    def __init__(self) -> None:
        self.bids: dict[Decimal, Decimal] = {}
        self.asks: dict[Decimal, Decimal] = {}

    def change(self, bids: list[Any], asks: list[Any]) -> None:
        for side, levels in ((self.bids, bids), (self.asks, asks)):
            for price, size in levels:
                if Decimal(size):
                    side[Decimal(price)] = Decimal(size)
                else:
                    side.pop(Decimal(price), None)

    def top(self, n: int) -> tuple[Side, Side]:
        return sorted(self.bids.items(), reverse=True)[:n], sorted(self.asks.items())[:n]

    def keep(self, n: int) -> None:
        self.bids, self.asks = (dict(side) for side in self.top(n))


Moment = tuple[str, int]
"""(native symbol, update id)"""


def binance_books(path: Path, wanted: dict[str, set[int]], depth: int) -> dict[Moment, tuple[Side, Side]]:
    """The best ``depth`` levels of both sides at the wanted moments.

    By Binance's own rule: every update that reaches beyond the snapshot's id counts, also one that was received before
    the snapshot was.
    """
    books: dict[str, Book] = {}
    at: dict[str, int] = {}
    found = {}
    snapshots: dict[str, dict[str, Any]] = {}
    deltas = []
    for record in records(path):
        if record["via"] == "rest" and "/depth" in record["path"]:
            symbol = record["path"].partition("symbol=")[2].partition("&")[0]
            snapshots.setdefault(symbol, json.loads(record["raw"]))
        elif record["via"] == "ws" and "@depth" in record["raw"][:60]:
            deltas.append(json.loads(record["raw"])["data"])
    for symbol, snapshot in snapshots.items():
        books[symbol] = Book()
        books[symbol].change(snapshot["bids"], snapshot["asks"])
        at[symbol] = snapshot["lastUpdateId"]
        if at[symbol] in wanted.get(symbol, ()):
            found[symbol, at[symbol]] = books[symbol].top(depth)
    for delta in deltas:
        symbol = delta["s"]
        if symbol not in books or delta["u"] <= at[symbol]:
            continue
        books[symbol].change(delta["b"], delta["a"])
        at[symbol] = delta["u"]
        if delta["u"] in wanted.get(symbol, ()):
            found[symbol, delta["u"]] = books[symbol].top(depth)
    return found


def kraken_books(path: Path, depth: int) -> dict[tuple[str, int], tuple[Side, Side]]:
    """(symbol, checksum) -> the best ``depth`` levels of both sides."""
    book, found = Book(), {}
    for record in records(path):
        frame = json.loads(record["raw"], parse_float=str, parse_int=str)
        if frame.get("channel") != "book":
            continue
        data = frame["data"][0]
        if frame["type"] == "snapshot":
            book = Book()
            window = len(data["bids"])
        book.change(*([(level["price"], level["qty"]) for level in data[side]] for side in ("bids", "asks")))
        book.keep(window)
        found[data["symbol"], int(data["checksum"])] = book.top(depth)
    return found


def shown(frame: dict[str, Any]) -> tuple[Side, Side]:
    """The levels of a ``book`` frame as decimals."""
    data = frame["data"]
    price, size = Decimal(1).scaleb(-data["price_decimals"]), Decimal(1).scaleb(-data["size_decimals"])
    bids, asks = ([(p * price, s * size) for p, s in data[side]] for side in ("bids", "asks"))
    return bids, asks
