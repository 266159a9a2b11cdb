"""Connections that the exchange ends at a certain age."""

import asyncio
import time

from tests.conformance.check import Where, check
from tests.conformance.grounds import Ground
from tests.conformance.judge import until
from tests.conformance.subject import Subject

TOLD_S, LIFE_S = 4.0, 20.0
"""The age that the engine is told (``facts.max_life_s``), and the one at which the simulator ends a connection: so much
later because real ones leave hours for a change, and a busy machine may need seconds."""


def _ages(subject: Subject) -> str:
    return "" if subject.facts.max_life_s is not None else "the exchange ends no connection for its age"


@check(
    "renewal",
    Where.AGING,
    "connections that reach the greatest age are replaced, and the books stay right",
    applies=_ages,
)
async def renewal(ground: Ground) -> None:
    watched = [ground.of(product)[0] for product in ground.products]
    await ground.usable(*watched)
    since_s = time.monotonic()
    before = set(ground.proxy.open)
    await until(lambda: all(pipe.closed_s is not None for pipe in before), "old connections end", LIFE_S + TOLD_S)
    await ground.live(*watched)
    await asyncio.sleep(0.5)  # whatever the end of the old ones had done would be done by now
    for each in watched:
        outage_s, why = ground.judge.outage_s(each.symbol, since_s), ground.judge.plight(each.symbol, since_s)
        assert not outage_s, f"{each.symbol} was out of use for {outage_s:.2f} s: {why}"
    ended = [pipe for pipe in before if pipe.code is not None]
    assert not ended, f"{len(ended)} connections were not replaced before the exchange ended them"
    ground.right()
