"""Connections that the exchange ends at a certain age."""

import asyncio
import time

from tests.conformance.check import Where, check
from tests.conformance.grounds import Ground
from tests.conformance.judge import until
from tests.conformance.subject import Subject

LIFE_S = 4.0
OUTAGE_S = 3.0
"""How long a market may be out of use when its connection ends by age. Connections are not replaced before their end
yet: set this to 0 when they are."""


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
    await until(lambda: all(pipe.closed_s is not None for pipe in before), "old connections end", 2 * LIFE_S)
    second = {pipe for pipe in ground.proxy.pipes if pipe not in before}
    await ground.live(*watched)
    await asyncio.sleep(0.5)
    for each in watched:
        outage_s = ground.judge.outage_s(each.symbol, since_s)
        assert outage_s <= OUTAGE_S, f"{each.symbol} was out of use for {outage_s:.1f} s"
    ages = [pipe.closed_s - pipe.opened_s for pipe in before | second if pipe.closed_s is not None]
    assert max(ages) < LIFE_S + 1.5, f"a connection lived for {max(ages):.1f} s, the exchange ends them at {LIFE_S:g} s"
    ground.right()
