"""The recordings of real exchanges beside the repository, and what the adapters make of them."""

import gzip
import tempfile
from functools import cache
from itertools import islice
from pathlib import Path

from feeds.exchange import Exchange
from feeds.exchanges import REGISTRY
from feeds.recording import Record, Recording, RecordingError, Scan
from feeds.verify import Report, verify
from tests.conformance.mutations import varied
from tests.shared import SHARED

FOLDER = SHARED / "captures"
_LINES = 1_500
_SAMPLED = 30


def recordings() -> list[Path]:
    """All of them; [] where there are none."""
    return sorted(FOLDER.glob("*.jsonl*"))


@cache
def venue_of(path: Path) -> str:
    """Whose it is. Raises RecordingError."""
    return Recording(path).venue


@cache
def report_of(path: Path) -> Report:
    """The recording through its adapter alone. Raises RecordingError, also where there is no adapter."""
    return verify(path)


def waits_for_an_adapter(path: Path) -> bool:
    return venue_of(path) not in REGISTRY


def faults(report: Report) -> list[str]:
    """What must be none and is not."""
    counts = {
        "gaps": report.gaps,
        "wrong checksums": report.checksums_wrong,
        "times crossed": report.crossed,
        "not understood": report.not_understood,
        "best prices that differ": report.bbo_different,
    }
    return [f"{count} {name}" for name, count in counts.items() if count]


def recorded_frames(exchange: Exchange) -> list[tuple[str, Scan, list[bytes]]]:
    """Of every recording of this exchange: its route, what a reader must know, and some frames of every kind."""
    found = []
    for path in recordings():
        if venue_of(path) == exchange.name:
            with tempfile.TemporaryDirectory() as folder:
                short = _beginning(path, Path(folder))
                for product in exchange.products:
                    try:
                        scan = Scan(short, exchange, product)
                    except (RecordingError, ValueError, KeyError):
                        continue
                    frames = [r.raw.encode() for r in short if isinstance(r, Record) and r.via == "ws"]
                    found.append((scan.route, scan, varied(frames, _SAMPLED)))
    return found


def _beginning(path: Path, folder: Path) -> Recording:
    """The first lines alone: a long recording is read in no time."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = [line for line in islice(file, _LINES) if len(line) < 200_000]
    short = folder / path.name.removesuffix(".gz")
    short.write_text("".join(lines), encoding="utf-8")
    return Recording(short)
