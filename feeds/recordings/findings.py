"""What was found in a recording (``verify``), and how it is told."""

from typing import Any

from msgspec import DecodeError, Struct, json

SHOWN = 20  # faults, and kinds of frames, that are told one by one; all are counted

_NAMES = ("channel", "topic", "feed", "stream", "e", "T", "event", "op", "method", "type")
"""Where exchanges write what a frame is about."""


class Report(Struct, kw_only=True):
    """What was found. Corrupt lines are no frames, but count as not understood.

    ``ok``: nothing was wrong, every book was complete at the end, and there was something to verify at all.
    """

    file: str
    venue: str
    product: str
    recorded: str | None
    ok: bool = True  # something was read, and nothing was wrong with it
    complete: bool = True  # every book that came was whole at the end
    frames: int = 0  # of streams
    events: int = 0
    gaps: int = 0
    checksums_right: int = 0
    checksums_wrong: int = 0
    crossed: int = 0
    bbo_equal: int = 0
    bbo_different: int = 0
    not_understood: int = 0
    not_used: int = 0  # frames that are understood and became no event
    not_used_kinds: dict[str, int] = {}  # the same by what they call themselves
    not_recorded: int = 0  # frames that the recorder itself lost
    corrupt_lines: int = 0
    rest_answers: int = 0
    updates: int = 0
    updates_applied: int = 0
    snapshots: int = 0
    snapshots_too_old: int = 0
    snapshots_dropped: int = 0  # the book could not be begun with them: each is a fault
    books: int = 0  # markets of which a book came
    incomplete: list[str] = []  # markets whose book was not complete at the end
    faults: list[str] = []  # the first ones, each a sentence

    def fault(self, line: int, sentence: str) -> None:
        self.ok = False
        if len(self.faults) < SHOWN:
            self.faults.append(f"Line {line}: {sentence}")

    def without_use(self, raw: str) -> None:
        """A frame became no event. It is counted, so that nobody takes for verified what was not looked at."""
        self.not_used += 1
        kind = kind_of(raw)
        if kind not in self.not_used_kinds and len(self.not_used_kinds) >= SHOWN:
            kind = "others"
        self.not_used_kinds[kind] = self.not_used_kinds.get(kind, 0) + 1


def kind_of(raw: str) -> str:
    """What a frame calls itself, without the market: ``books5``, ``orderbook.rpi``; what is no JSON by its text."""
    try:
        frame: Any = json.decode(raw)
    except (DecodeError, RecursionError):
        return raw[:40]
    if isinstance(frame, list) and frame:
        frame = frame[-1]
    if not isinstance(frame, dict):
        return "unnamed"
    if isinstance(about := frame.get("arg"), dict) and "event" not in frame:
        frame = about
    named = (frame[name] for name in _NAMES if isinstance(frame.get(name), str) and frame[name])
    name: str = next(named, "unnamed")
    for mark in ("@", ":"):
        before, _, after = name.partition(mark)
        if after:
            name = after if mark == "@" else before
    head, dot, _ = name.rpartition(".")
    return (head if dot else name)[:40]


def describe(report: Report) -> str:
    """The report for a person."""
    recorded = f", recorded {report.recorded}" if report.recorded else ""
    corrupt = f"{report.corrupt_lines:,} corrupt lines"
    unused = "".join(f"{', ' if number else ': '}{kind} {n:,}" for number, (kind, n) in enumerate(_most(report)))
    rows = [
        (report.frames, f"frames were read, which became {report.events:,} events"),
        (report.not_understood, f"frames, answers or lines were not understood ({corrupt})"),
        (report.not_used, f"frames were understood and say nothing that is used{unused}"),
        (report.not_recorded, "frames were not recorded: the recorder was too slow, or the disk full"),
        (report.updates_applied, f"of {report.updates:,} book updates were applied, on {report.snapshots:,} snapshots"),
        (report.snapshots_too_old, "snapshots were too old to begin with"),
        (report.snapshots_dropped, "snapshots were dropped"),
        (report.gaps, "gaps: updates that are missing"),
        (report.checksums_right, "checksums were right"),
        (report.checksums_wrong, "checksums were wrong"),
        (report.crossed, "times a book was crossed"),
        (report.bbo_equal, "times best bid and ask equalled the exchange's own, price and size"),
        (report.bbo_different, "times they differed"),
    ]
    lines = [f"{report.venue} {report.product}{recorded}: {report.file}", ""]
    lines += [f"{count:>12,}  {sentence}" for count, sentence in rows]
    if report.incomplete:
        lines += ["", f"Not complete at the end: {', '.join(report.incomplete)} (no snapshot that fits was recorded)."]
    lines += ["", _verdict(report), *report.faults]
    missed = report.gaps + report.checksums_wrong + report.crossed + report.bbo_different + report.not_understood
    if (more := missed - len(report.faults)) > 0:
        lines.append(f"... and {more:,} more.")
    return "\n".join(lines)


def _most(report: Report) -> list[tuple[str, int]]:
    return sorted(report.not_used_kinds.items(), key=lambda each: -each[1])


def _verdict(report: Report) -> str:
    if report.faults:
        return "Something was wrong:"
    if not report.events:
        return "There was nothing to verify: no frame says anything that is used."
    if report.incomplete:
        return "Nothing was wrong, but not every book could be verified to the end."
    return "Nothing was wrong." if report.books else "Nothing was wrong, but there was no order book to verify."
