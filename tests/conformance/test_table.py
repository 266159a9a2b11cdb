"""The table in docs/exchanges.md is the one that the checks, the facts and the waivers give now."""

import pytest

from tests.conformance import table
from tests.conformance.check import CHECKS, Outcome
from tests.conformance.recordings import recordings
from tests.conformance.subject import registered_subjects
from tests.conformance.waivers import WAIVERS

AGAIN = "run `make conformance`, and commit docs/exchanges.md"


def test_the_committed_table_is_the_present_one() -> None:
    """Each "yes" in it is a test of its own in this folder, so the table is true where the tests pass."""
    assert table.committed() == table.markdown(table.expected(registered_subjects()), []), AGAIN


def test_the_committed_recordings_are_those_there_are() -> None:
    if not recordings():
        pytest.skip("needs the recordings: ../shared (or $SPREADBOARD_SHARED) has none")
    rows = [line for line in table.committed().partition(table.RECORDINGS)[2].splitlines() if line.startswith("| ")][1:]
    fresh = [f"| {path.name} | {exchange} | {found} |" for path, exchange, found in table.judged()]
    assert rows == fresh, AGAIN


def test_waivers_name_parts_of_checks_and_give_reasons() -> None:
    for (exchange, what), reason in WAIVERS.items():
        assert what.partition(".")[0] in CHECKS, f"{exchange}: there is no check {what}"
        assert len(reason) > 20, f"{exchange}, {what}: a reason, please"


def test_what_failed_is_seen_in_both_forms() -> None:
    outcomes = {"gap": Outcome("gap", "failed", "it was not noticed"), "crossed": Outcome("crossed", "passed", "")}
    assert "nowhere: gap FAILED: it was not noticed" in table.plain({"nowhere": outcomes}, [])
    assert "**no**" in table.markdown({"nowhere": outcomes}, [])


def test_every_check_is_described() -> None:
    guide = (table.ROOT / "docs" / "adding-an-exchange.md").read_text("utf-8")
    missing = [name for name in CHECKS if f"`{name}`" not in guide.partition("## What the checks ask for")[2]]
    assert not missing, f"docs/adding-an-exchange.md does not describe {', '.join(missing)}"
