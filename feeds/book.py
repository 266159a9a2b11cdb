"""One market's order book: plain dictionaries, and the near prices of each side, put in order when somebody asks.

An update of a real stream changes some forty levels; keeping them all sorted would cost more than everything else. So
a side is a dictionary, and beside it stands a list that holds every price between the best and an edge some ``NEAR``
levels away. New prices are added at its end, removed ones stay in it until they are met. The best price is always
known; the list is sorted, which is cheap since it nearly is, only when the best level goes or the top is asked for. It
is made anew from the dictionary when the price has moved through all of it.

The class does no I/O and knows no exchange. The one sequence check is :meth:`OrderBook.apply`.
"""

from collections.abc import Callable, Iterable
from heapq import nlargest, nsmallest
from math import inf

from feeds.domain import Bbo, BookDelta, BookSnapshot, Level
from feeds.errors import ChecksumError, CrossedError, GapError

NEAR = 64
"""How many best prices of a side are picked out when the list of near ones is made."""

Checksum = Callable[["OrderBook"], int]
"""Computes the exchange's checksum over a book."""


class BookSide:
    """One side. ``sign`` is +1 for asks and -1 for bids. ``best`` is ``sign * inf`` while the side is empty."""

    __slots__ = ("_edge", "_fresh", "_known", "_near", "best", "bound", "levels", "sign")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.levels: dict[float, float] = {}
        self.best = sign * inf
        self.bound: float | None = None  # sign * worst price that the snapshot covered; None: covers all
        self._known = sign * inf  # the same as a price: levels worse than it are unknown
        self._edge = sign * inf  # every level from the best to this price is in _near or _fresh
        self._near: list[float] = []  # best first; some are gone, or in it twice
        self._fresh: list[float] = []  # as they came

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
        self._gather()

    def _gather(self) -> None:
        """Pick out the near prices anew."""
        self._near = sorted(self.levels, reverse=self.sign < 0)
        self._fresh.clear()
        self._edge = self._known
        self.best = self._near[0] if self._near else self.sign * inf
        if len(self._near) > NEAR:
            self._cut()

    def _cut(self) -> None:
        del self._near[NEAR:]
        self._edge = self._near[-1]

    def update(self, changes: Iterable[Level]) -> None:
        """Set levels to their new absolute sizes; size 0 removes. Removing an unknown level is normal.

        One loop per side: a frame's time is spent here, and a loop for both would take a tenth more.
        """
        levels, fresh, edge, known, best = self.levels, self._fresh, self._edge, self._known, self.best
        if self.sign > 0:
            for price, size in changes:
                if not size:
                    levels.pop(price, None)
                elif price > edge:
                    if price <= known:
                        levels[price] = size
                elif price in levels:
                    levels[price] = size
                else:
                    levels[price] = size
                    fresh.append(price)
                    if price < best:
                        best = price
        else:
            for price, size in changes:
                if not size:
                    levels.pop(price, None)
                elif price < edge:
                    if price >= known:
                        levels[price] = size
                elif price in levels:
                    levels[price] = size
                else:
                    levels[price] = size
                    fresh.append(price)
                    if price > best:
                        best = price
        self.best = best
        if best not in levels or len(fresh) > NEAR:
            self._settle()

    def _settle(self) -> None:
        """Put the near prices in order, and find the best one."""
        near, levels = self._near, self.levels
        near += self._fresh
        self._fresh.clear()
        near.sort(reverse=self.sign < 0)
        if len(near) > 4 * NEAR:
            near[:] = [price for price in dict.fromkeys(near) if price in levels]
            if len(near) > 2 * NEAR:
                self._cut()
        for gone, price in enumerate(near):
            if price in levels:
                del near[:gone]
                self.best = price
                return
        self._gather()

    def truncate(self, depth: int) -> None:
        """Keep the best ``depth`` levels only."""
        levels = self.levels
        surplus = len(levels) - depth
        if surplus <= 0:
            return
        for price in nlargest(surplus, levels) if self.sign > 0 else nsmallest(surplus, levels):
            del levels[price]

    def top(self, n: int) -> list[Level]:
        """The best ``n`` levels, best first."""
        wanted = min(n, len(self.levels))
        if self._fresh:
            self._settle()
        found = self._first(wanted)
        if len(found) < wanted:
            self._gather()
            found = self._first(wanted)
        if len(found) < wanted:
            prices = sorted(self.levels, reverse=self.sign < 0)[:wanted]
            found = [(price, self.levels[price]) for price in prices]
        return found

    def _first(self, n: int) -> list[Level]:
        """The best ``n`` levels of the near prices; fewer if there are not so many."""
        found: list[Level] = []
        get, last = self.levels.get, None
        for price in self._near:
            size = get(price)
            if size is not None and price != last:
                if len(found) == n:
                    break
                found.append((price, size))
                last = price
        return found


class OrderBook:
    """The book of one market. Empty until the first :meth:`replace`."""

    __slots__ = (
        *("_again", "_joins", "_step", "asks", "bids", "checksum", "depth", "exchange_ms", "printed", "rank", "ready"),
        *("seq", "verify"),
    )

    def __init__(self, verify: Checksum | None = None) -> None:
        self.bids = BookSide(-1)
        self.asks = BookSide(+1)
        self.verify = verify
        self.seq: int | None = None
        self.rank: int | None = None  # the exchange's number that other streams of this market have as well
        self.checksum: int | None = None  # the exchange's last checksum, equal to ours
        self.exchange_ms: int | None = None
        self.depth: int | None = None  # levels a side beyond which the exchange expects us to truncate
        self.printed: tuple[int, int] | None = None  # digits after the point, see BookSnapshot
        self.ready = False
        self._again: int | None = None  # the update of this id is applied although the book is at it
        self._joins = False  # see join
        self._step: tuple[int | None, int | None] | None = None  # prev and seq of the last chained update

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
        self.rank = snapshot.rank
        self._again = snapshot.seq if snapshot.again else None
        self._step = None
        self._joins = False
        self.exchange_ms = snapshot.exchange_ms
        self.printed = snapshot.printed
        self._check(snapshot.checksum)
        self.ready = True

    def apply(self, delta: BookDelta) -> bool:
        """Apply one update; False if it is older than the book (then nothing happens).

        This is the one sequence check of the project: an update leads from a book of at least ``prev`` to ``seq``.
        Levels are absolute, so an update that overlaps what is already here is right as well. Where updates are
        chained, ``prev`` must be the book's number itself, and ``seq`` may be anything: greater, the same (nothing
        changed), or less (the numbers begin anew). The same update twice is no fault.

        Raises GapError before anything was changed, ChecksumError and CrossedError after; the book is then not ready
        and must be replaced.
        """
        if delta.chained and not self._joins:
            step = (delta.prev, delta.seq)
            if delta.prev != self.seq:
                if step == self._step:
                    return False
                raise self._gap(delta)
            if delta.seq == self.seq and not delta.bids and not delta.asks:
                return False
        elif delta.seq is not None and self.seq is not None:
            if self._joins and delta.chained and self._anew(delta):
                raise self._gap(delta)
            if delta.seq <= self.seq:
                if not delta.seq == self.seq == self._again:
                    return False
                self._again = None
            if delta.prev is not None and delta.prev > self.seq:
                raise self._gap(delta)
        if delta.chained:
            self._step, self._joins = (delta.prev, delta.seq), False
        bids, asks = self.bids, self.asks
        bids.update(delta.bids)
        asks.update(delta.asks)
        if self.depth is not None:
            bids.truncate(self.depth)
            asks.truncate(self.depth)
        self.seq = delta.seq
        self.rank = delta.rank
        self.exchange_ms = delta.exchange_ms
        if delta.checksum is not None or bids.best >= asks.best:
            self._check(delta.checksum)
        else:
            self.checksum = None
        return True

    def join(self) -> None:
        """Another connection's updates follow, perhaps from before: up to the first one that leads on from here, those
        of a chain are taken like any others."""
        self._joins = True

    def _anew(self, delta: BookDelta) -> bool:
        """A lower number at a later time: nothing is known of it beside ours."""
        later = delta.exchange_ms is not None and self.exchange_ms is not None and delta.exchange_ms > self.exchange_ms
        return later and delta.seq is not None and self.seq is not None and delta.seq < self.seq

    def _gap(self, delta: BookDelta) -> GapError:
        self.ready = False
        return GapError(f"{delta.symbol}: update follows {delta.prev}, the book is at {self.seq}")

    def _check(self, checksum: int | None) -> None:
        if checksum is not None and self.verify is not None:
            ours = self.verify(self)
            if ours != checksum:
                self.ready = False
                raise ChecksumError(f"checksum {checksum} by the exchange, {ours} by us")
        self.checksum = checksum
        if self.bids.best >= self.asks.best:
            self.ready = False
            raise CrossedError(f"best bid {self.bids.best} is not below best ask {self.asks.best}")

    @property
    def bid(self) -> Level | None:
        """Best bid, ``None`` if the side is empty."""
        side = self.bids
        return (side.best, side.levels[side.best]) if side.levels else None

    @property
    def ask(self) -> Level | None:
        """Best ask, ``None`` if the side is empty."""
        side = self.asks
        return (side.best, side.levels[side.best]) if side.levels else None

    def behind(self, bbo: Bbo) -> bool:
        """Are these best prices newer? Without numbers nobody can tell: then the book, which is verified, holds."""
        if bbo.seq is not None and self.seq is not None:
            return bbo.seq > self.seq
        return bbo.rank is not None and self.rank is not None and bbo.rank > self.rank

    def clear(self) -> None:
        """Forget everything."""
        self.bids = BookSide(-1)
        self.asks = BookSide(+1)
        self.seq = self.rank = self.checksum = self.exchange_ms = self.depth = self.printed = None
        self._again = self._step = None
        self._joins = False
        self.ready = False
