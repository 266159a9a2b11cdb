"""Every recording beside the repository through its adapter: nothing missing, nothing wrong, all understood."""

from pathlib import Path

import pytest

from tests.conformance.recordings import faults, recordings, report_of, venue_of, waits_for_an_adapter
from tests.shared import SHARED

FILES = recordings()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_is_wrong(path: Path) -> None:
    if waits_for_an_adapter(path):
        pytest.skip(f"{path.name} was not verified: there is no adapter for {venue_of(path)!r} yet")
    report = report_of(path)
    assert not faults(report), f"{path.name}: {', '.join(faults(report))}; {report.faults[:3]}"
    assert not report.faults, report.faults[:3]
    assert report.ok
    assert report.frames and report.events, f"{path.name}: nothing was read"


def test_there_are_recordings() -> None:
    if not SHARED.exists():
        pytest.skip("needs the recordings: ../shared (or $SPREADBOARD_SHARED) does not exist")
    assert FILES, f"no recording in {SHARED / 'captures'}"
