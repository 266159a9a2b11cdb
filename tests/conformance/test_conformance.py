"""Every adapter against its simulator: one test per exchange and check.

An exchange's checks run at once, when the first of them is asked for: several grounds in one event loop, mostly
waiting.
"""

import asyncio

import pytest

from tests.conformance.check import Outcome
from tests.conformance.run import CHECKS, run
from tests.conformance.subject import registered_subjects, subject_of

pytestmark = pytest.mark.slow

_done: dict[str, dict[str, Outcome]] = {}


def outcome(request: pytest.FixtureRequest, exchange: str, check: str) -> Outcome:
    """Of all checks of this exchange that were selected in this run."""
    if exchange not in _done:
        items = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
        wanted = {params["check"] for params in items if params.get("exchange") == exchange and "check" in params}
        _done[exchange] = asyncio.run(run(subject_of(exchange), wanted))
    return _done[exchange][check]


@pytest.mark.parametrize("check", list(CHECKS))
@pytest.mark.parametrize("exchange", [subject.name for subject in registered_subjects()])
def test_exchange(request: pytest.FixtureRequest, exchange: str, check: str) -> None:
    found = outcome(request, exchange, check)
    if found.verdict == "not applicable":
        pytest.skip(f"not applicable: {found.detail}")
    assert found.verdict == "passed", f"{exchange}, {check} ({CHECKS[check].promise}): {found.detail}"
