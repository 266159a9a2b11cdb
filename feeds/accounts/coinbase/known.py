"""What is known of an account's orders, over all connections and answers: the private stream tells orders, no fills."""

from decimal import Decimal

import msgspec

REMEMBERED = 2000
"""Ended orders that are remembered: of those, the stream may repeat something after a reconnect."""


class Known(msgspec.Struct):
    """One order. ``filled`` is what the stream told of it, None if it has not yet."""

    symbol: str
    size: Decimal
    filled: Decimal | None = None
    ended: bool = False


class KnownOrders:
    """By order id."""

    def __init__(self) -> None:
        self._open: dict[str, Known] = {}
        self._ended: dict[str, Known] = {}

    def get(self, order_id: str) -> Known | None:
        return self._open.get(order_id) or self._ended.get(order_id)

    def listed(self, order_id: str, symbol: str, size: Decimal, *, ended: bool) -> None:
        """REST told of it. That does not count as told by the stream: its fills are asked for when that tells them."""
        if order_id in self._ended:
            return
        known = self._open.setdefault(order_id, Known(symbol, size))
        known.size = max(size, known.size if ended else size)
        if ended:
            self._end(order_id, known)

    def streamed(self, order_id: str, symbol: str, size: Decimal, filled: Decimal, *, ended: bool) -> Decimal | None:
        """The stream told of it; returns the order's whole size, or None if this is an old message repeated.

        An ended order has nothing left, so what was left of one that was cancelled, only earlier messages tell.
        """
        known = self.get(order_id)
        if known is None:
            known = self._open[order_id] = Known(symbol, size)
        elif (known.ended and not ended) or (known.filled is not None and filled < known.filled):
            return None
        elif not ended or size > known.size:
            known.size = size
        known.filled = filled
        if ended:
            self._end(order_id, known)
        return known.size

    def gone(self, order_id: str) -> None:
        """The exchange says that there is no such order any more."""
        if (known := self._open.get(order_id)) is not None:
            self._end(order_id, known)

    def open_in(self, symbols: frozenset[str]) -> list[str]:
        return [order_id for order_id, known in self._open.items() if known.symbol in symbols]

    def _end(self, order_id: str, known: Known) -> None:
        known.ended = True
        self._open.pop(order_id, None)
        self._ended[order_id] = known
        while len(self._ended) > REMEMBERED:
            del self._ended[next(iter(self._ended))]
