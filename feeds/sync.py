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
"""A side with fewer known levels than this, of a snapshot that went on beyond, is fetched anew in the background."""


class Need(enum.Enum):
    NOTHING = "nothing"
    SNAPSHOT = "snapshot"  # fetch one by REST and hand it to take_snapshot
    RESUBSCRIBE = "resubscribe"  # end the subscription and ask for it again


class BookSync:
    """The book of one market, and what it needs to be right.

    ``pending_limit`` bounds the changes kept while waiting for a snapshot; beyond it the oldest are dropped and the
    snapshot must be newer, so a hole is never applied over.
    """

    def __init__(
        self,
        *,
        from_rest: bool,
        verify: Checksum | None = None,
        truncates: bool = False,
        pending_limit: int = 10_000,
    ) -> None:
        self.from_rest = from_rest
        self.truncates = truncates
        self.book = OrderBook(verify)
        self.resyncs = 0
        self.needs = Need.NOTHING
        self._verify = verify
        self._pending: deque[BookDelta] = deque(maxlen=pending_limit)
        self._refreshing = False

    @property
    def ready(self) -> bool:
        return self.book.ready

    def start(self) -> None:
        """A new subscription begins (first time, or after a reconnect): what was here is void."""
        self.book.clear()
        self._pending.clear()
        self._refreshing = False
        self.needs = Need.SNAPSHOT if self.from_rest else Need.NOTHING

    def drop(self) -> None:
        """The book is known or suspected to be wrong (gap, lost frames): rebuild it."""
        self.start()
        self.resyncs += 1
        if not self.from_rest:
            self.needs = Need.RESUBSCRIBE

    def refresh(self) -> bool:
        """True, once, when the known part of the book has become thin: the book stays in use, ``needs`` a snapshot."""
        if self._refreshing or not self.ready or not self.from_rest:
            return False
        sides = (self.book.bids, self.book.asks)
        if all(side.bound is None or len(side.levels) >= THIN for side in sides):
            return False
        self._refreshing = True
        self.needs = Need.SNAPSHOT
        return True

    def take_delta(self, delta: BookDelta) -> bool:
        """Apply or keep one update; True if the book changed. Raises SyncError after dropping the book."""
        if not self.ready:
            if self.from_rest:
                self._pending.append(delta)
            return False
        if self._refreshing:
            self._pending.append(delta)
        try:
            return self.book.apply(delta)
        except SyncError as error:
            self.drop()
            if isinstance(error, GapError):
                self._pending.append(delta)  # what comes after the hole is good, once a newer snapshot is here
            raise

    def take_snapshot(self, snapshot: BookSnapshot) -> bool:
        """Take a snapshot and the kept changes after it; False if it is too old and another one is needed.

        Raises SyncError after dropping the book.
        """
        pending = list(self._pending)
        if self.from_rest and snapshot.seq is not None and pending:
            first = pending[0]
            if first.prev is not None and snapshot.seq < first.prev:
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
        self.book = fresh
        self._pending.clear()
        self._refreshing = False
        self.needs = Need.NOTHING
        return True
