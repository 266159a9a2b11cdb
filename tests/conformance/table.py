"""The conformance table: for the terminal, and for docs/exchanges.md between its markers.

What applies to an exchange is told by its facts and by ``waivers.py``, without anything running (:func:`expected`). The
tests hold every cell that says "yes", so a committed table that equals the expected one is true whenever they pass.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from feeds.recordings.recording import RecordingError
from tests.conformance.check import CHECKS, Outcome, not_applicable
from tests.conformance.recordings import faults, recordings, report_of, venue_of, waits_for_an_adapter
from tests.conformance.run import Outcomes
from tests.conformance.subject import Subject
from tests.conformance.waivers import WAIVERS
from tests.shared import ROOT

DOCS = ROOT / "docs" / "exchanges.md"
BEGIN, END = "<!-- conformance: begin -->", "<!-- conformance: end -->"
RECORDINGS = "Recordings of the real exchanges, through the adapters:"
NO_ADAPTER = "no adapter yet"

_SIGNS = {"passed": "yes", "failed": "**no**", "not applicable": "–"}


def expected(subjects: Iterable[Subject]) -> dict[str, Outcomes]:
    """Every check that applies has passed."""
    return {
        subject.label: {
            name: Outcome(name, "not applicable", reason) if reason else Outcome(name, "passed", "")
            for name, each in CHECKS.items()
            for reason in [not_applicable(subject, each)]
        }
        for subject in subjects
    }


def judged() -> list[tuple[Path, str, str]]:
    """Each recording: file, exchange, and what its adapter makes of it."""
    return [(path, venue_of(path), verdict_on(path)) for path in recordings()]


def verdict_on(path: Path) -> str:
    if waits_for_an_adapter(path):
        return NO_ADAPTER
    try:
        report = report_of(path)
    except RecordingError as error:
        return f"**cannot be verified**: {error}"
    proofs = {
        "updates": report.updates_applied,
        "checksums right": report.checksums_right,
        "best prices equal": report.bbo_equal,
    }
    told = [f"{report.frames:,} frames", *(f"{count:,} {name}" for name, count in proofs.items() if count)]
    wrong = faults(report)
    return f"{', '.join(told)}; {'**' + ', '.join(wrong) + '**' if wrong else 'nothing wrong'}"


# -- docs/exchanges.md -----------------------------------------------------------------------------------------------


def markdown(results: Mapping[str, Outcomes], files: Iterable[tuple[Path, str, str]]) -> str:
    """What stands between the markers. Without recordings here, what was said of them before."""
    notes: list[str] = []

    def cell(name: str, exchange: str) -> str:
        outcome = results[exchange].get(name)
        if outcome is None:
            return ""
        if outcome.verdict != "not applicable":
            return _SIGNS[outcome.verdict]
        if outcome.detail not in notes:
            notes.append(outcome.detail)
        return f"–&nbsp;{notes.index(outcome.detail) + 1}"

    rows = [
        "| Exchange | " + " | ".join(CHECKS) + " |",
        "|---" * (len(CHECKS) + 1) + "|",
        *(f"| {exchange} | " + " | ".join(cell(name, exchange) for name in CHECKS) + " |" for exchange in results),
    ]
    lines = [*rows, "", *(f"{number}. {note}" for number, note in enumerate(notes, 1))]
    parts = [(key, reason) for key, reason in WAIVERS.items() if key[0] in results and key[1] not in CHECKS]
    if parts:
        lines += [
            "",
            "A part of a check that is not asked for, and why:",
            "",
            "| Exchange | Part | Reason |",
            "|---|---|---|",
        ]
        lines += [f"| {exchange} | {part} | {reason} |" for (exchange, part), reason in parts]
    lines += ["", "What each check asks for:", "", "| Check | Promise |", "|---|---|"]
    lines += [f"| {each.name} | {each.promise} |" for each in CHECKS.values()]
    return "\n".join(lines) + "\n\n" + _recorded(files)


def _recorded(files: Iterable[tuple[Path, str, str]]) -> str:
    rows = [f"| {path.name} | {exchange} | {found} |" for path, exchange, found in files]
    if not rows:
        return "".join(committed().partition(RECORDINGS)[1:])
    return "\n".join([RECORDINGS, "", "| Recording | Exchange | Found |", "|---|---|---|", *rows]) + "\n"


def committed(path: Path = DOCS) -> str:
    """What stands there now. Raises ValueError if the markers are missing."""
    return path.read_text("utf-8").partition(BEGIN + "\n")[2].partition(END)[0]


def write(text: str, path: Path = DOCS) -> None:
    """Put it between the markers. Raises ValueError if they are missing."""
    content = path.read_text("utf-8")
    if content.count(BEGIN) != 1 or content.count(END) != 1:
        raise ValueError(f"{path} does not have the lines {BEGIN} and {END} once each.")
    before, _, rest = content.partition(BEGIN)
    path.write_text(f"{before}{BEGIN}\n{text}{END}{rest.partition(END)[2]}", encoding="utf-8")


# -- the terminal ----------------------------------------------------------------------------------------------------


def plain(results: Mapping[str, Outcomes], files: Iterable[tuple[Path, str, str]]) -> str:
    """For a person at a terminal: the table with numbered columns, what they are, and what is wrong."""
    names = [name for name in CHECKS if any(name in outcomes for outcomes in results.values())]
    signs = {"passed": "yes", "failed": "NO", "not applicable": "-"}
    width = max((len(exchange) for exchange in results), default=0) + 2
    lines = [" " * width + "".join(f"{number:>4}" for number in range(1, len(names) + 1))]
    for exchange, outcomes in results.items():
        cells = (signs[outcomes[name].verdict] if name in outcomes else "" for name in names)
        lines.append(f"{exchange:{width}}" + "".join(f"{each:>4}" for each in cells))
    lines += ["", *(f"{number:>3}  {name:13} {CHECKS[name].promise}" for number, name in enumerate(names, 1)), ""]
    for exchange, outcomes in results.items():
        for each in outcomes.values():
            if each.verdict == "failed":
                lines.append(f"{exchange}: {each.check} FAILED: {each.detail}")
    for exchange, outcomes in results.items():
        for each in outcomes.values():
            if each.verdict == "not applicable":
                lines.append(f"{exchange}: {each.check} does not apply: {each.detail}")
    rows = list(files)
    if rows:
        lines += ["", "Recordings:", *(f"  {path.name} ({exchange}): {found}" for path, exchange, found in rows)]
    return "\n".join(lines)
