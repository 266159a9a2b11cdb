"""Every adapter against its simulator: one test per exchange and check.

An exchange's checks run at once, when the first of them is asked for: several grounds in one event loop, mostly
waiting.
"""

import asyncio

import pytest

from tests.conformance.check import Outcome
from tests.conformance.run import CHECKS, Outcomes, run_all
from tests.conformance.subject import registered_subjects, subject_of

pytestmark = pytest.mark.slow

_done: dict[str, Outcomes] = {}


def outcome(request: pytest.FixtureRequest, exchange: str, check: str) -> Outcome:
    """All that was selected in this run is run in one go, a few exchanges at once."""
    if not _done:
        selected = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
        wanted: dict[str, list[str]] = {}
        for each in selected:
            if each.keys() == {"exchange", "check"}:
                wanted.setdefault(each["exchange"], []).append(each["check"])
        _done.update(asyncio.run(run_all([subject_of(name) for name in wanted], wanted)))
    return _done[exchange][check]


@pytest.mark.parametrize("check", list(CHECKS))
@pytest.mark.parametrize("exchange", [subject.label for subject in registered_subjects()])
def test_exchange(request: pytest.FixtureRequest, exchange: str, check: str) -> None:
    found = outcome(request, exchange, check)
    if found.verdict == "not applicable":
        pytest.skip(f"not applicable: {found.detail}")
    assert found.verdict == "passed", f"{exchange}, {check} ({CHECKS[check].promise}): {found.detail}"
