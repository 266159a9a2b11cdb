"""The real engine against a simulated Bitstamp that misbehaves: there is no recording of it.

Every usable frame is held against the true book (``bench/simulated.py``). A book that is missing costs nothing, since
the next one is whole; a crossed one is not shown, and the market is out of use until the next one comes, a moment
later. A new connection takes the first step of the backoff (1 to 2 s), and the book by REST.
"""

import asyncio

import pytest

from bench.simulated import BITSTAMP, Seen, line, run_troubles, troubles
from tests.shared import in_time

pytestmark = pytest.mark.slow

BTC = BITSTAMP.symbols[0]
STALE_S, RECONNECT_S = 1.5, 3.0
CONNECTED_S = 2.0 + 1.5
SHORT = {"none": 2.5, "drop_depth": 2.5, "crossed": 2.5, "garbage": 2.5, "delay": 4.0, "cut": 5.0, "reject": 7.0}
TROUBLES = {name: each._replace(seconds=SHORT[name]) for name, each in troubles(BTC).items() if name in SHORT}
ALLOWED_S = dict.fromkeys(SHORT, 0.0) | {"crossed": 0.5, "cut": CONNECTED_S}

_seen: dict[str, Seen] = {}


def seen(trouble: str) -> Seen:
    """All of them are run in one go, at once, when the first of them is asked for."""
    if not _seen:
        runs = run_troubles(BITSTAMP, TROUBLES, at_once=len(TROUBLES), stale_s=STALE_S, reconnect_s=RECONNECT_S)
        _seen.update(asyncio.run(runs))
        for each in _seen.values():
            print(line("Bitstamp", each))
    return _seen[trouble]


@pytest.mark.parametrize("trouble", TROUBLES)
def test_never_wrong(trouble: str) -> None:
    found = seen(trouble)
    assert found.outcome.wrong == []
    assert found.differences == [], "the simulator does not publish its own book"
    assert found.outcome.frames > 10
    assert found.oldest_s < in_time(STALE_S + 1.0), "an old book was shown as good"


@pytest.mark.parametrize("trouble", [name for name in TROUBLES if name != "reject"])
def test_soon_live_again(trouble: str) -> None:
    found = seen(trouble).outcome
    assert found.live_again, found.states
    assert found.worst_s <= in_time(ALLOWED_S[trouble]), found.states


def test_the_faults_really_struck() -> None:
    assert seen("garbage").outcome.not_understood == 1
    assert seen("cut").outcome.reconnects and seen("reject").outcome.reconnects
    assert seen("delay").oldest_s > 0.5
