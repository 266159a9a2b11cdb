"""The files of a recorder, and the thread that writes them.

A file is a row of gzip members, each of them whole: about one a second, so a process that dies leaves a file that can
be read to its last second. The oldest files are deleted before a byte would be written beyond the limit.
"""

import contextlib
import fcntl
import gzip
import os
import queue
import re
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import structlog

from feeds.recordings.recording import RecordingError
from feeds.recordings.redaction import Redactor

log = structlog.get_logger(__name__)

FLUSH_S = 1.0
MEMBER_BYTES = 1_000_000
LEVEL = 6
NAME = re.compile(r"[a-z0-9_]+(-accounts)?-\d{8}T\d{6}Z(-\d+)?\.jsonl\.gz")
"""Only files with such names are ever deleted."""

PRIVATE_NOTE = (
    "An account's streams and answers; keys, tokens and what names the account or its owner are hidden, amounts are not"
)


class Volume:
    """One file, from the event loop's side. ``size`` and ``holed`` are also set by the thread."""

    def __init__(
        self, *, exchange: str, private: bool, products: tuple[str, ...], simulated: bool, began_ns: int, began_s: float
    ) -> None:
        self.exchange = exchange
        self.private = private
        self.products = products
        self.simulated = simulated
        self.began_ns = began_ns
        self.began_s = began_s
        self.size = 0  # bytes on disk
        self.holed = False  # something is missing in it
        self.lost: dict[str, int] = {}  # by connection: what was dropped and is not told yet


class Item(msgspec.Struct):
    """One line to be. ``listed``: an answer with instruments, which further files begin with."""

    volume: Volume
    at_s: float  # monotonic
    via: str
    conn: str
    raw: bytes
    path: str = ""
    status: int = 200
    listed: bool = False
    count: int = 0
    reason: str = ""
    size: int = 0


class Close(msgspec.Struct):
    """Nothing more comes for this file."""

    volume: Volume


class Stop(msgspec.Struct):
    """Write what there is, and end."""


class _Line(msgspec.Struct, omit_defaults=True):
    """A line of the file; see ``recording``."""

    t: float
    via: str
    conn: str
    raw: str
    path: str = ""
    status: int = 200
    frames: int = 0
    reason: str = ""


class _File:
    """A file that is being written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.handle = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        self.head = b""  # header and instruments, until they are written
        self.lines: list[bytes] = []
        self.first_s = 0.0  # time of the first line
        self.waiting = 0  # bytes in lines
        self.unwritten = 0  # records that found no room

    def add(self, line: bytes, t: float) -> None:
        if not self.lines:
            self.first_s = t
        self.lines.append(line)
        self.waiting += len(line)


class Library:
    """All recordings of a folder. :meth:`run` is the thread; everything else is called before it or from it, but the
    counters, which are read from outside."""

    def __init__(
        self, folder: Path, most_bytes: int, items: "queue.SimpleQueue[Item | Close | Stop]", redactor: Redactor
    ) -> None:
        self.folder = folder
        self.written: list[Path] = []
        """Files of this run, oldest first; those that were deleted meanwhile are no longer among them."""
        self.taken_bytes = self.taken_items = 0
        self.unwritten = 0
        """Records that found no room on the disk."""
        self._most_bytes = most_bytes
        self._items = items
        self._redactor = redactor
        self._files: dict[Volume, _File] = {}
        self._sizes: dict[Path, int] = {}  # of all recordings in the folder, oldest first
        self._lists: dict[str, dict[str, Item]] = {}  # instruments, by exchange and path; packed
        self._lock = -1
        self._failing = False
        self._encode = msgspec.json.Encoder().encode

    def open(self) -> None:
        """Raises OSError, or RecordingError if another recorder writes here."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = os.open(self.folder / ".recorder", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise RecordingError(f"Another recorder writes to {self.folder}: choose another folder.") from None
        found = [path for path in self.folder.iterdir() if NAME.fullmatch(path.name)]
        self._sizes = {
            path: path.stat().st_size for path in sorted(found, key=lambda each: (each.stat().st_mtime_ns, each.name))
        }

    def run(self) -> None:
        """Until :class:`Stop` comes. Nothing that goes wrong with a file ends it."""
        flushed_s = time.monotonic()
        while True:
            try:
                item = self._items.get(timeout=FLUSH_S / 4)
            except queue.Empty:
                item = None
            try:
                if isinstance(item, Item):
                    self._take(item)
                elif isinstance(item, Close):
                    self._close(item.volume)
                if isinstance(item, Stop) or time.monotonic() - flushed_s >= FLUSH_S:
                    flushed_s = time.monotonic()
                    for volume in list(self._files):
                        self._flush(volume)
            except Exception:  # a full disk, a folder that is gone, a fault of ours
                log.exception("recorder failed")  # its own fault, in one record: the others must be written
            if isinstance(item, Item):
                self.taken_bytes += item.size
                self.taken_items += bool(item.size)
            if isinstance(item, Stop):
                for volume in list(self._files):
                    self._close(volume)
                os.close(self._lock)
                return

    # -- lines -------------------------------------------------------------------------------------------------------

    def _take(self, item: Item) -> None:
        volume = item.volume
        file = self._files.get(volume) or self._begin(volume)
        if file is None:
            self._lose(volume, 1)
            return
        if item.listed:
            packed = msgspec.structs.replace(item, raw=gzip.compress(item.raw, LEVEL))
            self._lists.setdefault(volume.exchange, {})[item.path] = packed
        t = round(max(0.0, item.at_s - volume.began_s), 6)
        file.add(self._line(item, item.raw, t), t)
        if file.waiting >= MEMBER_BYTES:
            self._flush(volume)

    def _line(self, item: Item, raw: bytes, t: float) -> bytes:
        redact = self._redactor.private if item.volume.private and raw else self._redactor.public
        text = redact(raw).decode("utf-8", "replace")
        line = _Line(t, item.via, item.conn, text, item.path, item.status, item.count, item.reason)
        return self._encode(line) + b"\n"

    def _begin(self, volume: Volume) -> _File | None:
        """A new file with its header and the instruments; None if it cannot be made."""
        began = datetime.fromtimestamp(volume.began_ns / 1e9, UTC)
        stem = f"{volume.exchange}{'-accounts' if volume.private else ''}-{began:%Y%m%dT%H%M%SZ}"
        number, path = 1, self.folder / f"{stem}.jsonl.gz"
        while path.exists():
            number += 1
            path = self.folder / f"{stem}-{number}.jsonl.gz"
        try:
            file = _File(path)
        except OSError as error:
            self._trouble(error)
            return None
        self._files[volume] = file
        self._sizes[path] = 0
        self.written.append(path)
        header = {
            "capture": 1,
            "venue": volume.exchange,
            "product": " and ".join(volume.products),
            "recorded": began.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "began_ms": volume.began_ns // 1_000_000,
            "source": "Spreadboard",
            **({"simulated": True} if volume.simulated else {}),
            **({"private": True, "note": PRIVATE_NOTE} if volume.private else {}),
        }
        head = [self._encode(header) + b"\n"]
        if not volume.private:
            lists = self._lists.get(volume.exchange, {}).values()
            head += [self._line(item, gzip.decompress(item.raw), 0.0) for item in lists]
        file.head = b"".join(head)
        return file

    # -- the disk ----------------------------------------------------------------------------------------------------

    def _flush(self, volume: Volume) -> None:
        file = self._files[volume]
        if not file.lines:
            return
        told = _Line(file.first_s, "lost", "", "", frames=file.unwritten)
        lost = self._encode(told) + b"\n" if file.unwritten else b""
        member = gzip.compress(b"".join([file.head, lost, *file.lines]), LEVEL)
        records, file.waiting, file.lines = len(file.lines), 0, []
        if self._make_room(len(member)):
            try:
                file.handle.write(member)
                file.handle.flush()
            except OSError as error:
                self._trouble(error)
                self._cut(file)
            else:
                self._sizes[file.path] += len(member)
                volume.size = self._sizes[file.path]
                file.unwritten, file.head = 0, b""
                if self._failing:
                    self._failing = False
                    log.info("recordings can be written again", unwritten=self.unwritten)
                return
        file.unwritten += records
        self._lose(volume, records)

    def _cut(self, file: _File) -> None:
        """Take away what a failed write has left: half a member would make the rest unreadable."""
        with contextlib.suppress(OSError):
            os.ftruncate(file.handle.fileno(), self._sizes[file.path])
            file.handle.seek(self._sizes[file.path])

    def _make_room(self, size: int) -> bool:
        """Delete the oldest files until so many bytes more may be written; False if that is not enough."""
        open_files = {file.path for file in self._files.values()}
        for path in [path for path in self._sizes if path not in open_files]:
            if sum(self._sizes.values()) + size <= self._most_bytes:
                return True
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                self._trouble(error)
                continue
            del self._sizes[path]
            if path in self.written:
                self.written.remove(path)
            log.info("oldest recording deleted", file=path.name)
        if sum(self._sizes.values()) + size <= self._most_bytes:
            return True
        self._trouble(f"the files that are open now take all of {self._most_bytes:,} bytes")
        return False

    def _lose(self, volume: Volume, records: int) -> None:
        self.unwritten += records
        volume.holed = True

    def _trouble(self, error: object) -> None:
        if not self._failing:
            self._failing = True
            log.error("recording cannot be written", folder=str(self.folder), error=str(error))

    def _close(self, volume: Volume) -> None:
        file = self._files.get(volume)
        if file is None:
            return
        self._flush(volume)
        del self._files[volume]
        with contextlib.suppress(OSError):
            file.handle.close()
