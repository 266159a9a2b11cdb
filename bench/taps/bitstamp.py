"""Bitstamp: whole books of the best hundred levels, each named by the time of its last change in microseconds."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

Side = dict[Decimal, Decimal]
BOOKS = "order_book_"


def lay(exchange: Any, note: Callable[[str, int, Side, Side], None], differs: Callable[[str], None]) -> None:
    sockets = exchange._sockets
    for native, book in sockets._books.items():
        _Market(sockets.markets[native], book, note)
    published = sockets._publish

    def publish(channel: str, native: str, text: str) -> None:
        if channel.startswith(BOOKS):
            _hold(text, sockets.markets[native], differs)
        published(channel, native, text)

    sockets._publish = publish


def true(market: Any) -> tuple[Side, Side]:
    """The matching engine's book."""
    engine, i = market.engine, market.instrument
    bids, asks = ({p * i.tick: s * i.lot for p, s in side.totals.items()} for side in (engine.bids, engine.asks))
    return bids, asks


class _Market:
    """Every state is stamped before it is told, by the stream or by REST."""

    def __init__(self, market: Any, book: Any, note: Callable[[str, int, Side, Side], None]) -> None:
        self.stamped, self.note = book.stamp, note
        self.last = -1
        book.stamp = self.stamp

    def stamp(self, market: Any) -> int:
        micros: int = self.stamped(market)
        if micros != self.last:
            self.last = micros
            self.note(market.instrument.symbol, micros, *true(market))
        return micros


def _hold(text: str, market: Any, differs: Callable[[str], None]) -> None:
    """A published book against the matching engine's; not one that a fault crossed or broke."""
    try:
        data = json.loads(text)["data"]
    except ValueError:
        return
    told = [{Decimal(price): Decimal(size) for price, size in data[side]} for side in ("bids", "asks")]
    if max(told[0], default=0) >= min(told[1], default=1):
        return
    for name, ours, theirs in zip(("bids", "asks"), told, true(market), strict=True):
        if any(theirs.get(price) != size for price, size in ours.items()):
            differs(f"{market.instrument.symbol}: the {name} that were published are not the engine's")
