"""A recording through the adapters alone: what was missing, what was wrong, and does our book equal the exchange's?

    python -m feeds.recordings.verify FILE [--json]        (or: manage.py verify)

No socket, no engine and no database takes part: ``Session.parse``, :class:`~feeds.sync.BookSync` and the exchange's
checksum decide. The REST snapshots of the recording take part in the order of time.

What is compared: after each applied update, which leads to update id ``u``, the book's best bid and ask, price and
size, with the exchange's own last best-price message whose id is not later than ``u``. That message may come later, so
the comparison waits until one as late or later shows which it was; what the end leaves open is not compared.

A snapshot by stream is the book where the exchange begins books so; and where nothing but snapshots came of a market,
which are whole books then, or the best part of them.

A snapshot is taken for the whole side here, though it may go on beyond: a recording holds one, as a rule, and beyond it
the levels that changed since are all there is. The comparison tells whether they sufficed.
"""

import argparse
import heapq
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from msgspec import Struct, json, structs

from feeds.book import OrderBook
from feeds.domain import Bbo, BookDelta, BookSnapshot, Event, Level, Lost, Market
from feeds.errors import ChecksumError, CrossedError, GapError, ParseError, SyncError
from feeds.exchange import Exchange, Session
from feeds.exchanges import REGISTRY, create, recorded_as
from feeds.recordings.findings import Report, describe
from feeds.recordings.recording import BadLine, Record, Recording, RecordingError, Scan, asks, probes
from feeds.sync import BookSync, Need

EMPTY: Level = (0.0, 0.0)  # what an exchange prints as best level of an empty side


class _Best(Struct, frozen=True):
    """Best bid and ask of our book after an update, waiting to be compared."""

    line: int
    seq: int
    bid: Level
    ask: Level


class _Book:
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


class _Verifier:
    """The second reading."""

    def __init__(self, recording: Recording, exchange: Exchange) -> None:
        self._scan = Scan(recording, exchange)
        self.report = Report(
            file=recording.path.name,
            venue=exchange.name,
            product=", ".join(self._scan.products),
            recorded=recording.header.recorded,
        )
        self._recording = recording
        self._exchange = exchange
        self._sessions: dict[str, Session] = {}
        self._books: dict[tuple[str, str], _Book] = {}  # by connection and symbol
        self._early: dict[str, tuple[BookSnapshot, int]] = {}  # by symbol: what came before the stream
        self._closed: set[str] = set()  # connections that ended

    def run(self) -> Report:
        report = self.report
        for record in heapq.merge(self._frames(), sorted(self._scan.rest, key=Record.when), key=Record.when):
            if record.via == "rest":
                self._take_answer(record)
            elif record.via == "lost":
                self._take_hole(record)
            elif record.via == "closed":
                self._closed |= {conn for conn in self._sessions if str(record.conn) in ("", conn)}
            else:
                self._take_frame(record)
        newest = {symbol: book for (_, symbol), book in self._books.items()}  # of the connection that came last
        report.books = len(newest)
        report.incomplete += [symbol for symbol, book in newest.items() if not book.sync.ready]
        report.ok = report.ok and bool(report.events) and not report.incomplete
        return report

    def _frames(self) -> Iterator[Record]:
        for record in self._recording:
            if isinstance(record, BadLine):
                self.report.corrupt_lines += 1
                self._not_understood(record.line, record.reason)
            elif record.via != "rest":
                yield record

    def _take_hole(self, record: Record) -> None:
        self.report.not_recorded += record.frames
        self.report.fault(record.line, f"{record.frames} frames were not recorded.")
        for (conn, _), book in self._books.items():
            if str(record.conn) in ("", conn):
                book.lost()

    def _not_understood(self, line: int, reason: object) -> None:
        self.report.not_understood += 1
        self.report.fault(line, str(reason))

    def _take_frame(self, record: Record) -> None:
        report, conn = self.report, str(record.conn)
        report.frames += 1
        if conn in self._closed:
            self._begin_anew(conn)
        if conn not in self._sessions:
            self._sessions[conn] = self._scan.session(conn, self._scan.markets)
        try:
            events = self._sessions[conn].parse(record.raw)
        except ParseError as error:
            self._not_understood(record.line, error)
            return
        report.events += len(events)
        if not events:
            report.without_use(record.raw)
        for event in events:
            self._take_event(event, conn, record.line)

    def _begin_anew(self, conn: str) -> None:
        """Another connection of the same name."""
        self._closed.discard(conn)
        self._sessions.pop(conn, None)
        for book in (book for (carrier, _), book in self._books.items() if carrier == conn):
            book.lost()

    def _take_event(self, event: Event, conn: str, line: int) -> None:
        if isinstance(event, BookDelta):
            self._book(conn, event.symbol).take_delta(event, line)
        elif isinstance(event, BookSnapshot):
            if self._scan.whole_books(event.symbol):
                self._book(conn, event.symbol).take_whole(event, line)
            elif not self._exchange.facts.snapshot_by_rest:  # else it is a partial book beside changes, and no basis
                self._book(conn, event.symbol).take_snapshot(event, line)
        elif isinstance(event, Bbo):
            for (carrier, symbol), book in self._books.items():
                if symbol == event.symbol and self._quoted_by(carrier, symbol) == conn:
                    book.take_quote(event)
        elif isinstance(event, Lost):
            self.report.gaps += 1
            self.report.fault(line, f"{event.frames} frames of the connection are missing.")
            for book in (book for (carrier, _), book in self._books.items() if carrier == conn):
                book.sync.drop()

    def _quoted_by(self, conn: str, symbol: str) -> str:
        """Which connection's best prices a book is compared with: its own, else the first that has some."""
        having = [c for c, s in self._scan.quoting if s == symbol]
        return conn if conn in having or not having else having[0]

    def _book(self, conn: str, symbol: str) -> _Book:
        book = self._books.get((conn, symbol))
        if book is None:
            facts = self._exchange.facts
            sync = BookSync(
                from_rest=facts.snapshot_by_rest,
                verify=self._exchange.checksum(self._scan.told.get(symbol)),
                truncates=facts.truncates,
                replaces=facts.snapshots_replace,
            )
            book = self._books[conn, symbol] = _Book(symbol, sync, self.report)
            if symbol in self._early:
                book.take_snapshot(*self._early[symbol])
        return book

    def _take_answer(self, record: Record) -> None:
        """Snapshots go to every book that needs one. Other answers are not used (instruments were read before)."""
        report, raw = self.report, record.raw.encode()
        report.rest_answers += 1
        if self._exchange.error_of(record.status, raw, {}) is not None:
            return  # an error is an answer too: understood, and no snapshot
        try:
            for request in self._scan.requests():
                if asks(request, record.path, wholly=False):
                    self._exchange.parse_markets(request, raw)
            market = self._asked_for(record.path)
            if market is not None and self._exchange.facts.snapshot_by_rest:
                snapshot = structs.replace(self._exchange.parse_snapshot(market, raw), depth=None)
                self._take_snapshot(snapshot, record.line)
        except ParseError as error:
            self._not_understood(record.line, error)

    def _take_snapshot(self, snapshot: BookSnapshot, line: int) -> None:
        books = [book for (_, symbol), book in self._books.items() if symbol == snapshot.symbol]
        for book in books:
            book.take_snapshot(snapshot, line)
        if not books:
            self._early[snapshot.symbol] = (snapshot, line)

    def _asked_for(self, path: str) -> Market | None:
        """The market whose snapshot was asked for: path and parameters are as we would ask, but for the depth."""
        exchange, markets = self._exchange, self._scan.markets
        found = next((each for each in markets if asks(exchange.snapshot_request(each), path)), None)
        return None if found is None or probes(exchange, found, path) else found


def verify(path: Path) -> Report:
    """Run a recording through its exchange's adapter. Raises RecordingError if it cannot be read or none fits."""
    recording = Recording(path)
    name = recorded_as(recording.venue)
    if name is None:
        known = ", ".join(REGISTRY)
        raise RecordingError(f"{path} is a recording of {recording.venue!r}, which has no adapter; there are: {known}.")
    if recording.header.private:
        raise RecordingError(f"{path} is a recording of an account's streams: there is no book in it to verify.")
    return _Verifier(recording, create(name)).run()


def run(path: Path, *, as_json: bool, out: Callable[[str], object], err: Callable[[str], object]) -> int:
    """Verify and tell; the exit code: 0 nothing wrong, 1 something wrong, 2 not a recording that can be verified."""
    try:
        report = verify(path)
    except RecordingError as error:
        err(f"{error}\n")
        return 2
    out((json.encode(report).decode() if as_json else describe(report)) + "\n")
    return 0 if report.ok else 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="a recording: JSON lines, plain or gzip")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m feeds.recordings.verify", description=__doc__.splitlines()[0])
    add_arguments(parser)
    given = parser.parse_args(arguments)
    return run(given.file, as_json=given.json, out=sys.stdout.write, err=sys.stderr.write)


if __name__ == "__main__":
    sys.exit(main())
