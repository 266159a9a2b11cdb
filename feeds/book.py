"""One market's order book: plain dictionaries, and a sorted head of each side.

Most updates of a real stream touch levels far from the best price, so only the best ``HEAD`` prices of a side are
kept sorted; the rest is a dictionary. The head is rebuilt from the dictionary when removals have eaten half of it.
Best bid and ask are therefore always one list access away.

The class does no I/O and knows no exchange. The one sequence check is :meth:`OrderBook.apply`.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from heapq import nlargest, nsmallest

from feeds.domain import BookDelta, BookSnapshot, Level
from feeds.errors import ChecksumError, CrossedError, GapError

HEAD = 64
"""How many best prices of a side are kept sorted."""

Checksum = Callable[["OrderBook"], int]
"""Computes the exchange's checksum over a book."""


class BookSide:
    """One side. ``sign`` is +1 for asks and -1 for bids; ``head`` holds ``sign * price``, best first."""

    __slots__ = ("_complete", "bound", "head", "levels", "sign")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.levels: dict[float, float] = {}
        self.head: list[float] = []
        self._complete = True  # the head holds every level of the side
        self.bound: float | None = None  # sign * worst price that the snapshot covered; None: covers all

    def replace(self, levels: Iterable[Level], depth: int | None) -> None:
        """Take a whole side. With ``depth`` levels or more the side may go on beyond: levels worse than the last
        one are unknown, so later changes there are left out (a partly known level range is not the truth)."""
        self.levels = dict(levels)  # a price that comes twice counts as it came last
        for price in [price for price, size in self.levels.items() if not size]:
            del self.levels[price]
        self.bound = None
        self._rebuild()
        if depth is not None and len(self.levels) >= depth:
            self.bound = max(self.sign * price for price in self.levels)

    def _rebuild(self) -> None:
        pick = nsmallest if self.sign > 0 else nlargest
        if len(self.levels) > HEAD:
            best = pick(HEAD, self.levels)
            self._complete = False
        else:
            best = sorted(self.levels, reverse=self.sign < 0)
            self._complete = True
        self.head = best if self.sign > 0 else [-price for price in best]

    def update(self, changes: Iterable[Level]) -> None:
        """Set levels to their new absolute sizes; size 0 removes. Removing an unknown level is normal."""
        levels, head, sign, bound = self.levels, self.head, self.sign, self.bound
        complete = self._complete
        worst = head[-1] if head else None
        for price, size in changes:
            key = price if sign > 0 else -price
            if size:
                if price in levels:
                    levels[price] = size
                    continue
                if bound is not None and key > bound:
                    continue
                levels[price] = size
                if complete or (worst is not None and key < worst):
                    head.insert(bisect_left(head, key), key)
                    worst = head[-1]
            elif levels.pop(price, None) is not None and worst is not None and key <= worst:
                del head[bisect_left(head, key)]
                worst = head[-1] if head else None
        if len(head) > 2 * HEAD:
            del head[HEAD:]
            self._complete = False
        elif not complete and len(head) < HEAD // 2:
            self._rebuild()

    def truncate(self, depth: int) -> None:
        """Keep the best ``depth`` levels only."""
        levels, head = self.levels, self.head
        surplus = len(levels) - depth
        if surplus <= 0:
            return
        if self._complete:
            worst = [self.sign * key for key in head[depth:]]
        else:
            worst = nlargest(surplus, levels) if self.sign > 0 else nsmallest(surplus, levels)
        for price in worst:
            del levels[price]
        del head[depth:]
        self._complete = len(head) == len(levels)

    def top(self, n: int) -> list[Level]:
        """The best ``n`` levels, best first."""
        levels = self.levels
        if n <= len(self.head) or self._complete:
            if self.sign > 0:
                return [(price, levels[price]) for price in self.head[:n]]
            return [(-key, levels[-key]) for key in self.head[:n]]
        return [(p, levels[p]) for p in sorted(levels, reverse=self.sign < 0)[:n]]


class OrderBook:
    """The book of one market. Empty until the first :meth:`replace`."""

    __slots__ = ("asks", "bids", "checksum", "depth", "exchange_ms", "printed", "ready", "seq", "verify")

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
                return False
            if delta.prev is not None and delta.prev > self.seq:
                self.ready = False
                raise GapError(f"{delta.symbol}: update follows {delta.prev}, the book is at {self.seq}")
        self.bids.update(delta.bids)
        self.asks.update(delta.asks)
        if self.depth is not None:
            self.bids.truncate(self.depth)
            self.asks.truncate(self.depth)
        self.seq = delta.seq
        self.exchange_ms = delta.exchange_ms
        if delta.checksum is not None or self._crossed():
            self._check(delta.checksum)
        else:
            self.checksum = None
        return True

    def _crossed(self) -> bool:
        bids, asks = self.bids.head, self.asks.head
        return bool(bids) and bool(asks) and -bids[0] >= asks[0]

    def _check(self, checksum: int | None) -> None:
        if checksum is not None and self.verify is not None:
            ours = self.verify(self)
            if ours != checksum:
                self.ready = False
                raise ChecksumError(f"checksum {checksum} by the exchange, {ours} by us")
        self.checksum = checksum
        if self._crossed():
            self.ready = False
            raise CrossedError(f"best bid {-self.bids.head[0]} is not below best ask {self.asks.head[0]}")

    @property
    def bid(self) -> Level | None:
        """Best bid, ``None`` if the side is empty."""
        head = self.bids.head
        return (-head[0], self.bids.levels[-head[0]]) if head else None

    @property
    def ask(self) -> Level | None:
        """Best ask, ``None`` if the side is empty."""
        head = self.asks.head
        return (head[0], self.asks.levels[head[0]]) if head else None

    def clear(self) -> None:
        """Forget everything."""
        self.bids = BookSide(-1)
        self.asks = BookSide(+1)
        self.seq = self.checksum = self.exchange_ms = self.depth = self.printed = None
        self.ready = False
