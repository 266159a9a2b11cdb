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
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from msgspec import json, structs

from feeds.domain import Bbo, BookDelta, BookSnapshot, Event, Lost, Market, Unknown
from feeds.errors import ParseError
from feeds.exchange import Exchange, Session
from feeds.exchanges import REGISTRY, create, recorded_as
from feeds.recordings.findings import Report, describe
from feeds.recordings.recording import BadLine, Record, Recording, RecordingError
from feeds.recordings.scan import Scan, asks, probes
from feeds.recordings.under_test import BookUnderTest
from feeds.sync import BookSync


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
        self._books: dict[tuple[str, str], BookUnderTest] = {}  # by connection and symbol
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
        report.ok = report.ok and bool(report.events)
        report.complete = not report.incomplete
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
        told = [event for event in events if not isinstance(event, Unknown)]
        report.events += len(told)
        if not told:
            report.without_use(record.raw)
        for event in told:
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

    def _book(self, conn: str, symbol: str) -> BookUnderTest:
        book = self._books.get((conn, symbol))
        if book is None:
            facts = self._exchange.facts
            sync = BookSync(
                from_rest=facts.snapshot_by_rest,
                verify=self._exchange.checksum(self._scan.told.get(symbol)),
                truncates=facts.truncates,
                replaces=facts.snapshots_replace,
            )
            book = self._books[conn, symbol] = BookUnderTest(symbol, sync, self.report)
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
