"""What was found in a recording (``verify``), and how it is told."""

from msgspec import Struct

SHOWN = 20  # faults that are told one by one; all are counted


class Report(Struct, kw_only=True):
    """What was found. Corrupt lines are no frames, but count as not understood."""

    file: str
    venue: str
    product: str
    recorded: str | None
    ok: bool = True
    frames: int = 0  # of streams
    events: int = 0
    gaps: int = 0
    checksums_right: int = 0
    checksums_wrong: int = 0
    crossed: int = 0
    bbo_equal: int = 0
    bbo_different: int = 0
    not_understood: int = 0
    not_recorded: int = 0  # frames that the recorder itself lost
    corrupt_lines: int = 0
    rest_answers: int = 0
    updates: int = 0
    updates_applied: int = 0
    snapshots: int = 0
    snapshots_too_old: int = 0
    incomplete: list[str] = []  # markets whose book was not complete at the end
    faults: list[str] = []  # the first ones, each a sentence

    def fault(self, line: int, sentence: str) -> None:
        self.ok = False
        if len(self.faults) < SHOWN:
            self.faults.append(f"Line {line}: {sentence}")


def describe(report: Report) -> str:
    """The report for a person."""
    recorded = f", recorded {report.recorded}" if report.recorded else ""
    corrupt = f"{report.corrupt_lines:,} corrupt lines"
    rows = [
        (report.frames, f"frames were read, which became {report.events:,} events"),
        (report.not_understood, f"frames, answers or lines were not understood ({corrupt})"),
        (report.not_recorded, "frames were not recorded: the recorder was too slow, or the disk full"),
        (report.updates_applied, f"of {report.updates:,} book updates were applied, on {report.snapshots:,} snapshots"),
        (report.snapshots_too_old, "snapshots were too old to begin with"),
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
    lines += ["", "Nothing was wrong." if report.ok else "Something was wrong:", *report.faults]
    missed = report.gaps + report.checksums_wrong + report.crossed + report.bbo_different + report.not_understood
    if (more := missed - len(report.faults)) > 0:
        lines.append(f"... and {more:,} more.")
    return "\n".join(lines)
