"""Keeping one book in step with its stream, without I/O.

Two ways an exchange may start a book:

* ``from_rest`` (Binance): changes come by stream, the snapshot by REST. Changes are kept until a snapshot arrives that
  is not older than the first of them; then those newer than the snapshot are applied.
* by stream (Kraken): the first message of a subscription is the snapshot. A new one is had by subscribing again.

:class:`BookSync` says through ``needs`` what it waits for; whoever owns the sockets gets it. When a fault is found it
drops the book at once and raises the error, so nobody can draw a book that is known to be wrong.
"""

import enum
from collections import deque

from feeds.book import Checksum, OrderBook
from feeds.domain import BookDelta, BookSnapshot
from feeds.errors import GapError, SyncError

THIN = 150
"""A side with fewer known levels than this (or than half the snapshot), of a snapshot that went on beyond, is fetched
anew in the background."""


LEAST = 5
"""A book that the stream itself began, of a snapshot that went on beyond, is of no use with fewer known levels a side:
the price has moved through what was known."""

DISORDER = 10
"""A snapshot by stream whose number is lower by no more than this may be of the same numbering, and late. Only where
nothing tells its time."""


class Need(enum.Enum):
    NOTHING = "nothing"
    SNAPSHOT = "snapshot"  # fetch one by REST and hand it to take_snapshot
    RESUBSCRIBE = "resubscribe"  # end the subscription and ask for it again


class Want(enum.Enum):
    """What the owner of the sockets shall do for this market."""

    SNAPSHOT = "snapshot"
    RESUBSCRIBE = "resubscribe"
    HISTORY = "history"  # of short bars, for the long ones made of them


class BookSync:
    """The book of one market, and what it needs to be right.

    ``best_only``: the exchange gives best prices instead of a book. They come as snapshots of one level a side, the
    first one by REST, the others by stream, and the later one holds.

    ``replaces``: the exchange says that any snapshot by stream is the book from then on, whatever its number.

    ``pending_limit`` bounds the changes kept while waiting for a snapshot; beyond it the oldest are dropped and the
    snapshot must be newer, so a hole is never applied over. A snapshot that would lead to a book older than the newest
    update seen is refused as well: REST answers may come from a cache, and the past must not be shown as the present.
    """

    def __init__(
        self,
        *,
        from_rest: bool,
        verify: Checksum | None = None,
        truncates: bool = False,
        best_only: bool = False,
        replaces: bool = False,
        pending_limit: int = 2_000,
    ) -> None:
        self.from_rest = from_rest
        self.truncates = truncates
        self.best_only = best_only
        self.replaces = replaces
        self.book = OrderBook(verify)
        self.resyncs = 0
        self.needs = Need.NOTHING
        self._verify = verify
        self._pending: deque[BookDelta] = deque(maxlen=pending_limit)
        self._newest: int | None = None  # greatest update id seen since the subscription began
        self._refreshing = False
        self._thin = THIN

    @property
    def ready(self) -> bool:
        return self.book.ready

    def start(self) -> None:
        """A new subscription begins (first time, or after a reconnect): what was here is void."""
        self._forget()
        self._newest = None
        self.needs = Need.SNAPSHOT if self.from_rest else Need.NOTHING

    def drop(self) -> None:
        """The book is known or suspected to be wrong (gap, lost frames): rebuild it."""
        self._forget()
        self.resyncs += 1
        self.needs = Need.SNAPSHOT if self.from_rest else Need.RESUBSCRIBE

    def _forget(self) -> None:
        self.book.clear()
        self._pending.clear()
        self._refreshing = False

    def refresh(self) -> bool:
        """True, once, when the known part of the book has become thin: the book stays in use, ``needs`` a snapshot."""
        if self._refreshing or not self.ready or not self.from_rest:
            return False
        sides = (self.book.bids, self.book.asks)
        if all(side.bound is None or len(side.levels) >= self._thin for side in sides):
            return False
        self._refreshing = True
        self.needs = Need.SNAPSHOT
        return True

    def take_delta(self, delta: BookDelta) -> bool:
        """Apply or keep one update; True if the book changed. Raises SyncError after dropping the book."""
        if delta.seq is not None and (self._newest is None or delta.seq > self._newest):
            self._newest = delta.seq
        if not self.ready:
            if self.from_rest:
                self._pending.append(delta)
            return False
        try:
            changed = self.book.apply(delta)
        except SyncError as error:
            self.drop()
            if self.from_rest and isinstance(error, GapError):
                self._pending.append(delta)  # what comes after the hole is good, once a newer snapshot is here
            raise
        if changed and self._refreshing:
            self._pending.append(delta)
        if not self.from_rest and self._used_up():
            self.drop()
            raise SyncError(f"{delta.symbol}: fewer than {LEAST} known levels are left on a side")
        return changed

    def _used_up(self) -> bool:
        return any(side.bound is not None and len(side.levels) < LEAST for side in (self.book.bids, self.book.asks))

    def take_snapshot(self, snapshot: BookSnapshot) -> bool:
        """Take a snapshot and the kept changes after it; False if it is too old and another one is needed.

        Raises SyncError after dropping the book; also for one by stream that is older than the book, since messages
        came out of order then.
        """
        if self._late(snapshot):
            at = self.book.seq
            self.drop()
            raise GapError(f"{snapshot.symbol}: a snapshot of {snapshot.seq} came when the book was at {at}")
        if self.best_only and self.ready and _before(snapshot.exchange_ms, self.book.exchange_ms):
            return True  # what is here is newer
        pending = list(self._pending)
        if pending and _before(snapshot.seq, pending[0].prev):
            self.needs = Need.SNAPSHOT
            return False
        fresh = OrderBook(self._verify)
        try:
            fresh.replace(snapshot, truncates=self.truncates)
            for delta in pending:
                fresh.apply(delta)
        except SyncError as error:
            self.drop()
            if isinstance(error, GapError):
                self._pending.extend(d for d in pending if d.seq is not None and d.seq > (fresh.seq or 0))
            raise
        if self.from_rest and _before(fresh.seq, self._newest):
            return False  # old news; if there is no book yet, or another one is wanted, that is still needed
        self.book = fresh
        self._newest = fresh.seq
        self._thin = THIN if snapshot.depth is None else min(THIN, snapshot.depth // 2)
        self._pending.clear()
        self._refreshing = False
        self.needs = Need.NOTHING
        return True

    def _late(self, snapshot: BookSnapshot) -> bool:
        """Is it one of the past? A lower number alone does not say so: an exchange may begin its numbers anew, with a
        snapshot. Its time does; two messages of one millisecond are told apart by their numbers."""
        if self.from_rest or self.replaces or not self.ready or not _before(snapshot.seq, self.book.seq):
            return False
        then_ms, now_ms = snapshot.exchange_ms, self.book.exchange_ms
        if then_ms is not None and now_ms is not None:
            return then_ms <= now_ms
        return (self.book.seq or 0) - (snapshot.seq or 0) <= DISORDER


def _before(seq: int | None, other: int | None) -> bool:
    """Is the first certainly older?"""
    return seq is not None and other is not None and seq < other
