"""One market's book in a recording that is verified: every fault is counted, every state compared.

See ``verify`` for what is compared with what.
"""

from collections import deque

from msgspec import Struct

from feeds.book import OrderBook
from feeds.domain import Bbo, BookDelta, BookSnapshot, Level
from feeds.errors import ChecksumError, CrossedError, GapError, SyncError
from feeds.recordings.findings import Report
from feeds.sync import BookSync, Need

EMPTY: Level = (0.0, 0.0)  # what an exchange prints as best level of an empty side


class _Best(Struct, frozen=True):
    """Best bid and ask of our book after an update, waiting to be compared."""

    line: int
    seq: int
    bid: Level
    ask: Level


class BookUnderTest:
    """One market's book on one connection."""

    def __init__(self, symbol: str, sync: BookSync, report: Report) -> None:
        self.symbol = symbol
        self.sync = sync
        self._report = report
        self._seq: int | None = None  # the newest update id of the stream, whether it was applied or not
        self._kept: deque[tuple[BookDelta, int]] = deque(maxlen=2_000)  # wait for a snapshot; with their lines
        self._early: tuple[BookSnapshot, int] | None = None  # a snapshot from before the stream began
        self._quotes: deque[tuple[int, Bbo]] = deque()  # by update id: the last that was compared, and later ones
        self._waiting: deque[_Best] = deque()
        sync.start()

    def take_delta(self, delta: BookDelta, line: int) -> None:
        report, sync = self._report, self.sync
        report.updates += 1
        seq, newest = delta.seq, self._seq
        missing = not delta.chained and delta.prev is not None and newest is not None and delta.prev > newest
        if missing:
            report.gaps += 1
            report.fault(line, f"{self.symbol}: an update is missing between {newest} and {delta.prev}.")
        if seq is not None and (newest is None or seq > newest or delta.chained):
            self._seq = seq
            if newest is not None and seq < newest:
                self._begin_numbers()
        try:
            applied = sync.take_delta(delta)
        except SyncError as error:
            self._failed(error, line, counted=missing)
            applied = False
        if applied:
            self._applied(sync.book, delta, line)
        elif sync.from_rest and not sync.ready:
            self._keep(delta, line)

    def _begin_numbers(self) -> None:
        """They begin anew, and are not to be compared with those before."""
        self._quotes.clear()
        self._waiting.clear()

    def _keep(self, delta: BookDelta, line: int) -> None:
        self._kept.append((delta, line))
        if self._early is not None:
            (snapshot, at), self._early = self._early, None
            self.take_snapshot(snapshot, at)

    def take_snapshot(self, snapshot: BookSnapshot, line: int) -> None:
        """By REST only where one is needed; by stream, which begins anew with it, always."""
        sync = self.sync
        if sync.from_rest and sync.needs is not Need.SNAPSHOT:
            return
        if sync.from_rest and self._seq is None:
            self._early = (snapshot, line)  # only the stream's first update will tell whether it is too old
            return
        if not self._take(snapshot, line):
            return
        if not sync.from_rest:
            self._begin_at(snapshot, line)
        self._replay(snapshot)

    def take_whole(self, snapshot: BookSnapshot, line: int) -> None:
        """One of a stream of nothing else."""
        if self._take(snapshot, line):
            self._begin_at(snapshot, line)

    def _take(self, snapshot: BookSnapshot, line: int) -> bool:
        report = self._report
        try:
            taken = self.sync.take_snapshot(snapshot)
        except SyncError as error:
            report.snapshots_dropped += 1
            self._failed(error, line, counted=self.sync.from_rest)  # a hole in what was kept has been counted
            return False
        if not taken:
            report.snapshots_too_old += 1
            return False
        report.snapshots += 1
        self._proved(snapshot.checksum)
        return True

    def _begin_at(self, snapshot: BookSnapshot, line: int) -> None:
        """The stream begins anew with it."""
        seq, before, self._seq = snapshot.seq, self._seq, snapshot.seq
        if seq is None:
            return
        if before is not None and seq < before:
            self._begin_numbers()
        self._compare_later(self.sync.book, line)

    def _replay(self, snapshot: BookSnapshot) -> None:
        """Once more, one by one, what the snapshot has let be applied at once: each is to be compared."""
        book = OrderBook()
        book.replace(snapshot, truncates=self.sync.truncates)
        for delta, line in self._kept:
            if book.apply(delta):
                self._applied(book, delta, line)
        self._kept.clear()

    def _applied(self, book: OrderBook, delta: BookDelta, line: int) -> None:
        self._report.updates_applied += 1
        self._proved(delta.checksum)
        self._compare_later(book, line)

    def _compare_later(self, book: OrderBook, line: int) -> None:
        if book.seq is not None:
            self._waiting.append(_Best(line, book.seq, book.bid or EMPTY, book.ask or EMPTY))
            self._settle()

    def _proved(self, checksum: int | None) -> None:
        if checksum is not None and self.sync.book.verify is not None:
            self._report.checksums_right += 1

    def _failed(self, error: SyncError, line: int, *, counted: bool) -> None:
        report = self._report
        if isinstance(error, GapError):
            if counted:
                return
            report.gaps += 1
        elif isinstance(error, ChecksumError):
            report.checksums_wrong += 1
        elif isinstance(error, CrossedError):
            report.crossed += 1
        report.fault(line, f"{self.symbol}: {error}.")

    def lost(self) -> None:
        """Frames were not recorded: what follows begins anew, and that is no fault of the exchange or of ours."""
        self.sync.drop()
        self._seq = self._early = None
        for each in (self._kept, self._quotes, self._waiting):
            each.clear()

    def take_quote(self, quote: Bbo) -> None:
        if quote.seq is None:
            return
        if self._quotes and quote.seq < self._quotes[-1][0]:
            self._begin_numbers()
        self._quotes.append((quote.seq, quote))
        self._settle()
        if not self._waiting:
            self._forget_before(self._seq)

    def _settle(self) -> None:
        """Compare what can be: a message that is as late, or later, shows which was the last."""
        while self._waiting and self._quotes and self._quotes[-1][0] >= self._waiting[0].seq:
            self._compare(self._waiting.popleft())

    def _compare(self, best: _Best) -> None:
        self._forget_before(best.seq)
        if not self._quotes or self._quotes[0][0] > best.seq:
            return  # none is that old
        number, quote = self._quotes[0]
        if (quote.bid, quote.bid_size, quote.ask, quote.ask_size) == (*best.bid, *best.ask):
            self._report.bbo_equal += 1
            return
        self._report.bbo_different += 1
        theirs = f"({quote.bid}, {quote.bid_size}) and ({quote.ask}, {quote.ask_size})"
        self._report.fault(
            best.line,
            f"{self.symbol}: our best are {best.bid} and {best.ask} at update {best.seq}, "
            f"the exchange's were {theirs} since {number}.",
        )

    def _forget_before(self, seq: int | None) -> None:
        while seq is not None and len(self._quotes) > 1 and self._quotes[1][0] <= seq:
            self._quotes.popleft()
