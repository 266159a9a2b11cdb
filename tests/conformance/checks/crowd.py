"""Many markets at once: the documented limits are kept, as counted on the exchange's side of the wire."""

import asyncio
from collections import Counter

from feeds.exchange import Facts
from tests.conformance.check import Where, check
from tests.conformance.grounds import KINDS, Ground
from tests.conformance.judge import until

MARKETS = 5


def streams(facts: Facts) -> int:
    """Streams a connection, instead of what the exchange allows: for half of the markets, so several are needed."""
    of_a_market = len(KINDS) + 1 - len(facts.unstreamed)  # "quote" is two of them; bars may be asked for by REST
    return MARKETS * of_a_market // 2


@check("limits", Where.CROWD, "messages a second, attempts to connect and streams a connection stay within the limits")
async def limits(ground: Ground) -> None:
    ground.watch(*ground.markets, kinds=KINDS)
    await ground.live(*ground.markets, seconds=20)
    half = ground.markets[::2]
    for _ in range(3):  # as a browser that leafs through pages
        ground.leave(*half)
        await asyncio.sleep(0.3)
        _count(ground)
        ground.watch(*half, kinds=KINDS)
        await asyncio.sleep(0.3)
        _count(ground)
    await ground.live(*ground.markets, seconds=20)
    await until(lambda: all(ground.judge.usable(each.symbol) for each in ground.markets), "all are in use at once")
    _count(ground)
    ground.right()
    if not ground.facts.one_connection:
        assert len(ground.proxy.open) > 1, "all streams are on one connection: too many for the limit that was set"


def _count(ground: Ground) -> None:
    if ground.facts.one_connection:
        paths = Counter(pipe.path for pipe in ground.proxy.open)
        assert max(paths.values()) == 1, f"connections at once to {paths.most_common(1)[0][0]}: one is allowed"
        return
    most = ground.facts.streams_per_connection
    for lane in ground.venue.lanes:
        count = len(lane.connection.subscriptions)
        assert count <= most, f"{count} streams on one connection, {most} are allowed"
