"""Recordings of exchange streams: the file.

A recording is JSON lines, plain or gzip: first a header ``{"capture": 1, "venue": "binance", "product": "spot", ...}``,
then one line per frame, ``{"t": seconds, "via": "ws" or "rest", "conn": id, "raw": text as received}``, REST answers
with their ``"path"``, and ``"status"`` if it is not 200.

Our own recorder also tells what a reader could only guess: ``"began_ms"`` in the header, the time of day at ``t`` 0;
``"via": "closed"``, a connection ended, with its ``"reason"``; ``"via": "lost"``, so many ``"frames"`` of ``"conn"``
(of any, if that is empty) were received and not recorded.
"""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from msgspec import DecodeError, Struct, json

VIAS = ("ws", "rest", "closed", "lost")

_UNREADABLE = (OSError, EOFError, zlib.error)
_MALFORMED = (DecodeError, UnicodeDecodeError, RecursionError)


class RecordingError(Exception):
    """The file is no recording that can be used. The text is a sentence."""


class Header(Struct, frozen=True):
    """Line 1. What is not needed to read on may be missing."""

    capture: int | None = None  # the format's version
    venue: str | None = None
    product: str | None = None
    recorded: str | None = None
    began_ms: int | None = None
    simulated: bool = False
    private: bool = False  # an account's: there is no book in it


class Record(Struct):
    """One frame or REST answer. ``line`` is its number in the file."""

    t: float
    via: str
    raw: str
    conn: str | int = ""
    path: str = ""
    status: int = 200
    frames: int = 0
    reason: str = ""
    line: int = 0

    def when(self) -> tuple[float, int]:
        """Its place in the order of time."""
        return self.t, self.line


class BadLine(Struct, frozen=True):
    """A line that is no record, and why."""

    line: int
    reason: str


class Recording:
    """A file. Iterating it gives its records in the file's order; every time from the start.

    Raises RecordingError, when made, if the file or its header cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            first = next(self._lines(), b"")
        except _UNREADABLE as error:
            raise RecordingError(f"{path} cannot be read: {_reason(error)}.") from error
        if not first.strip():
            raise RecordingError(f"{path} does not begin with a header: the first line is empty.")
        try:
            self.header = json.decode(first, type=Header)
        except _MALFORMED as error:
            raise RecordingError(f"{path}: line 1 is not the header of a recording ({error}).") from error
        if self.header.capture != 1:
            raise RecordingError(f'{path}: the header says "capture": {self.header.capture}; only format 1 is known.')
        if not self.header.venue:
            raise RecordingError(f'{path}: the header (line 1) does not name the exchange: "venue" is missing.')
        self.venue = self.header.venue

    def __iter__(self) -> Iterator[Record | BadLine]:
        decode = json.Decoder(Record).decode
        number = 0
        try:
            for number, line in enumerate(self._lines(), start=1):
                if number == 1 or not line.strip():
                    continue
                try:
                    record = decode(line)
                except _MALFORMED as error:
                    yield BadLine(number, f"it is not a record ({error}).")
                    continue
                if record.via not in VIAS:
                    yield BadLine(number, f'"via" is {record.via!r}, none of {", ".join(VIAS)}.')
                    continue
                record.line = number
                yield record
        except _UNREADABLE as error:
            yield BadLine(number + 1, f"the file cannot be read on from here: {_reason(error)}.")

    def _lines(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(self.path) if packed else self.path.open("rb") as lines:
            yield from lines


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
