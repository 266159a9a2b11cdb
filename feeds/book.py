"""One market's order book: plain dictionaries, and a sorted head of each side.

Most updates of a real stream touch levels far from the best price, so only the best prices of a side are kept sorted
(the head); the rest is a dictionary. Every level within the head's range of prices is in the head, so best bid and ask
are always one list access away. The head is cut when it has grown long and made anew when removals have eaten most of
it; in between it costs a bisection per level that comes or goes there, and nothing where only a size changes.

The class does no I/O and knows no exchange. The one sequence check is :meth:`OrderBook.apply`.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable
from heapq import nlargest, nsmallest
from math import inf

from feeds.domain import BookDelta, BookSnapshot, Level
from feeds.errors import ChecksumError, CrossedError, GapError

HEAD = 128
"""How many best prices of a side are kept sorted: from a quarter of it to twice as many."""

Checksum = Callable[["OrderBook"], int]
"""Computes the exchange's checksum over a book."""


class BookSide:
    """One side. ``sign`` is +1 for asks and -1 for bids; ``head`` holds the best prices, lowest first on both sides."""

    __slots__ = ("_edge", "_known", "bound", "head", "levels", "sign")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.levels: dict[float, float] = {}
        self.head: list[float] = []
        self.bound: float | None = None  # sign * worst price that the snapshot covered; None: covers all
        self._known = sign * inf  # the same as a price: levels worse than it are unknown
        self._edge = sign * inf  # every level from the best to this price is in the head

    def replace(self, levels: Iterable[Level], depth: int | None) -> None:
        """Take a whole side. With ``depth`` levels or more the side may go on beyond: levels worse than the last
        one are unknown, so later changes there are left out (a partly known level range is not the truth)."""
        self.levels = dict(levels)  # a price that comes twice counts as it came last
        for price in [price for price, size in self.levels.items() if not size]:
            del self.levels[price]
        self.bound = None
        if depth is not None and len(self.levels) >= depth:
            self.bound = max((self.sign * price for price in self.levels), default=None)
        self._known = self.sign * (inf if self.bound is None else self.bound)
        self._rebuild()

    def _rebuild(self) -> None:
        self.head = sorted(self.levels)
        self._edge = self._known
        if len(self.head) > HEAD:
            self._cut()

    def _cut(self) -> None:
        if self.sign > 0:
            del self.head[HEAD:]
            self._edge = self.head[-1]
        else:
            del self.head[:-HEAD]
            self._edge = self.head[0]

    def update(self, changes: Iterable[Level]) -> None:
        """Set levels to their new absolute sizes; size 0 removes. Removing an unknown level is normal.

        One loop per side: this is what a frame's time is spent with, and a loop for both would take a tenth more.
        """
        levels, head, edge, known = self.levels, self.head, self._edge, self._known
        if self.sign > 0:
            for price, size in changes:
                if not size:
                    if levels.pop(price, None) is not None and price <= edge:
                        del head[bisect_left(head, price)]
                elif price > edge:
                    if price <= known:
                        levels[price] = size
                elif price in levels:
                    levels[price] = size
                else:
                    levels[price] = size
                    insort(head, price)
        else:
            for price, size in changes:
                if not size:
                    if levels.pop(price, None) is not None and price >= edge:
                        del head[bisect_left(head, price)]
                elif price < edge:
                    if price >= known:
                        levels[price] = size
                elif price in levels:
                    levels[price] = size
                else:
                    levels[price] = size
                    insort(head, price)
        count = len(head)
        if count > 2 * HEAD:
            self._cut()
        elif count <= HEAD // 4 and count < len(levels):
            self._rebuild()

    def truncate(self, depth: int) -> None:
        """Keep the best ``depth`` levels only."""
        levels, head = self.levels, self.head
        surplus = len(levels) - depth
        if surplus <= 0:
            return
        beyond = len(head) - depth  # levels of the head that are too many
        if len(head) == len(levels):
            worst = head[depth:] if self.sign > 0 else head[:beyond]
        else:
            worst = nlargest(surplus, levels) if self.sign > 0 else nsmallest(surplus, levels)
        for price in worst:
            del levels[price]
        if beyond > 0 and self.sign > 0:
            del head[depth:]
        elif beyond > 0:
            del head[:beyond]

    def top(self, n: int) -> list[Level]:
        """The best ``n`` levels, best first."""
        levels, head = self.levels, self.head
        if n > len(head) and len(head) < len(levels):
            prices = sorted(levels, reverse=self.sign < 0)[:n]
        else:
            prices = head[:n] if self.sign > 0 else head[: -n - 1 : -1]
        return [(price, levels[price]) for price in prices]


class OrderBook:
    """The book of one market. Empty until the first :meth:`replace`."""

    __slots__ = ("_again", "asks", "bids", "checksum", "depth", "exchange_ms", "printed", "ready", "seq", "verify")

    def __init__(self, verify: Checksum | None = None) -> None:
        self.bids = BookSide(-1)
        self.asks = BookSide(+1)
        self.verify = verify
        self.seq: int | None = None
        self.checksum: int | None = None  # the exchange's last checksum, equal to ours
        self.exchange_ms: int | None = None
        self.depth: int | None = None  # levels a side beyond which the exchange expects us to truncate
        self.printed: tuple[int, int] | None = None  # digits after the point, see BookSnapshot
        self.ready = False
        self._again: int | None = None  # the update of this id is applied although the book is at it

    def replace(self, snapshot: BookSnapshot, *, truncates: bool = False) -> None:
        """Throw away what is here and take the snapshot.

        ``truncates``: the exchange keeps a window of ``snapshot.depth`` levels and sends no removal for what leaves
        it (Kraken), so we truncate after every update. Otherwise ``depth`` only says how far the snapshot reached.

        Raises ChecksumError, CrossedError; the book is then not ready.
        """
        self.ready = False
        self.depth = snapshot.depth if truncates else None
        reach = None if truncates else snapshot.depth
        self.bids.replace(snapshot.bids, reach)
        self.asks.replace(snapshot.asks, reach)
        if self.depth is not None:
            self.bids.truncate(self.depth)
            self.asks.truncate(self.depth)
        self.seq = snapshot.seq
        self._again = snapshot.seq if snapshot.again else None
        self.exchange_ms = snapshot.exchange_ms
        self.printed = snapshot.printed
        self._check(snapshot.checksum)
        self.ready = True

    def apply(self, delta: BookDelta) -> bool:
        """Apply one update; False if it is older than the book (then nothing happens).

        This is the one sequence check of the project: an update leads from a book of at least ``prev`` to ``seq``.
        Levels are absolute, so an update that overlaps what is already here is right as well.

        Raises GapError before anything was changed, ChecksumError and CrossedError after; the book is then not ready
        and must be replaced.
        """
        if delta.seq is not None and self.seq is not None:
            if delta.seq <= self.seq:
                if not delta.seq == self.seq == self._again:
                    return False
                self._again = None
            if delta.prev is not None and delta.prev > self.seq:
                self.ready = False
                raise GapError(f"{delta.symbol}: update follows {delta.prev}, the book is at {self.seq}")
        bids, asks = self.bids, self.asks
        bids.update(delta.bids)
        asks.update(delta.asks)
        if self.depth is not None:
            bids.truncate(self.depth)
            asks.truncate(self.depth)
        self.seq = delta.seq
        self.exchange_ms = delta.exchange_ms
        if delta.checksum is not None or (bids.head and asks.head and bids.head[-1] >= asks.head[0]):
            self._check(delta.checksum)
        else:
            self.checksum = None
        return True

    def _crossed(self) -> bool:
        bids, asks = self.bids.head, self.asks.head
        return bool(bids) and bool(asks) and bids[-1] >= asks[0]

    def _check(self, checksum: int | None) -> None:
        if checksum is not None and self.verify is not None:
            ours = self.verify(self)
            if ours != checksum:
                self.ready = False
                raise ChecksumError(f"checksum {checksum} by the exchange, {ours} by us")
        self.checksum = checksum
        if self._crossed():
            self.ready = False
            raise CrossedError(f"best bid {self.bids.head[-1]} is not below best ask {self.asks.head[0]}")

    @property
    def bid(self) -> Level | None:
        """Best bid, ``None`` if the side is empty."""
        head = self.bids.head
        return (head[-1], self.bids.levels[head[-1]]) if head else None

    @property
    def ask(self) -> Level | None:
        """Best ask, ``None`` if the side is empty."""
        head = self.asks.head
        return (head[0], self.asks.levels[head[0]]) if head else None

    def clear(self) -> None:
        """Forget everything."""
        self.bids = BookSide(-1)
        self.asks = BookSide(+1)
        self.seq = self.checksum = self.exchange_ms = self.depth = self.printed = self._again = None
        self.ready = False
