"""What befalls a whole exchange: refusals, broken connections, silence."""

import asyncio
import time

import msgspec

from feeds.domain import StreamState
from feeds.simulator.instruments import Instrument
from tests.conformance.check import Where, check, waived
from tests.conformance.grounds import FIRST_BACKOFF_S, OVERDUE_S, RECONNECT_S, STALE_S, Ground
from tests.conformance.judge import until

BACK_S = 10.0
TRIES = 2


def firsts(ground: Ground) -> list[Instrument]:
    return [ground.of(product)[0] for product in ground.products]


@check("rejected", Where.ROUGH, "a refused market says so by name and reason; the others stay in use")
async def rejected(ground: Ground) -> None:
    others, target = firsts(ground), ground.of(ground.products[0])[1]
    await ground.usable(*others)
    since_s = time.monotonic()
    ground.fault("reject", count=1)
    ground.watch(target)
    await _refused(ground, target.symbol)
    ground.heal()
    await _unknown(ground)
    for each in others:
        left = [state for state in ground.judge.changes(each.symbol, since_s) if not state.usable]
        assert not left, f"{each.symbol} became {left[0]} when another market was refused"
    ground.leave(target)
    await ground.usable(target)  # the exchange takes it now: nobody remembers the refusal
    ground.leave(target)
    ground.right()


async def _refused(ground: Ground, symbol: str) -> None:
    await until(lambda: ground.judge.state(symbol) is StreamState.DOWN, f"the refused market {symbol} is DOWN")
    reason = ground.venue.feeds[symbol].reason
    assert reason.strip(), f"{symbol} is DOWN without a reason"


async def _unknown(ground: Ground) -> None:
    """A market that was listed and is gone when it is asked for."""
    assert ground.subject.simulator is not None
    here = {each.symbol for each in ground.markets}
    listed = ground.subject.simulator.listing
    gone = next((i for i in listed if i.symbol not in here and i.product == ground.products[0]), None)
    assert gone is not None, "the simulator lists too few markets to leave one out"
    like = ground.venue.markets[firsts(ground)[0].symbol]
    market = msgspec.structs.replace(like, symbol=gone.symbol, native=gone.native, base=gone.base, quote=gone.quote)
    ground.venue.markets.update([market])
    ground.watch(gone)
    if waived(ground.subject, "rejected.unknown"):
        await asyncio.sleep(1.5)
    else:
        await _refused(ground, gone.symbol)
    shown = [state for state in ground.judge.changes(gone.symbol, 0) if state.usable]
    assert not shown, f"{gone.symbol}, which the exchange does not have, was shown as {shown[0]}"
    ground.leave(gone)


@check("kick", Where.ROUGH, "a closed or broken connection comes back; who is kicked out again and again waits longer")
async def kick(ground: Ground) -> None:
    watched = firsts(ground)
    await ground.usable(*watched)
    await _served(ground)
    for how in (ground.close, ground.cut):
        since_s = time.monotonic()
        how()
        for each in watched:
            await until(
                lambda each=each, since_s=since_s: _left(ground, each, since_s), f"{each.symbol} notices the end"
            )
        await ground.live(*watched, seconds=BACK_S)
        await _served(ground)
    if not waived(ground.subject, "kick.backoff"):
        await _kicked(ground, watched)
    ground.right()


async def _served(ground: Ground) -> None:
    """Every connection has had data: only that resets the backoff."""
    await until(lambda: all(lane.connection.state.usable for lane in ground.venue.lanes), "data on every connection")


def _left(ground: Ground, market: Instrument, since_s: float) -> bool:
    return any(not state.usable for state in ground.judge.changes(market.symbol, since_s))


async def _kicked(ground: Ground, watched: list[Instrument]) -> None:
    """Accepted and closed at once, again and again."""
    proxy, lanes = ground.proxy, len(ground.venue.lanes)
    begun = len(proxy.attempts_s)
    proxy.kick = True
    ground.cut()
    await until(lambda: len(proxy.attempts_s) - begun >= TRIES * lanes, f"{TRIES} tries to come back", 15.0)
    tries = proxy.attempts_s[begun:]
    for path in {path for _, path in tries}:
        times = [at_s for at_s, other in tries if other == path]
        shared = max(1, len([lane for lane in ground.venue.lanes if ground.path(lane.route) == path]))
        for number in range(shared, len(times)):
            tried = number // shared  # times before this one
            least_s = FIRST_BACKOFF_S * 2**tried
            gap_s = times[number] - times[number - shared]
            assert gap_s >= 0.9 * least_s, f"try {tried + 1} came {gap_s:.2f} s after the one before, not {least_s:g} s"
    shown = [each.symbol for each in watched if ground.judge.usable(each.symbol)]
    assert not shown, f"{shown[0]} is in use without a connection"
    proxy.kick = False
    await ground.live(*watched, seconds=BACK_S)


MUTE_S = 4.0
"""A book that gets no more updates may be in use so much longer than ``STALE_S``: the question by REST takes a second,
and another one where its answers may be old."""


@check("mute one", Where.ROUGH, "a book that comes no more, while all others go on, is found out and replaced")
async def mute_one(ground: Ground) -> None:
    for product in ground.products_with_books:
        bystander, victim = ground.of(product)[:2]
        await ground.usable(bystander, victim)
        since_s, begun = time.monotonic(), len(ground.proxy.attempts_s)
        ground.fault("mute", victim)
        await until(
            lambda victim=victim, since_s=since_s: _left(ground, victim, since_s),
            f"{victim.symbol}, whose book comes no more, is out of use",
            STALE_S + MUTE_S,
        )
        ground.right()
        if not waived(ground.subject, "mute one.replaced"):
            await until(lambda begun=begun: len(ground.proxy.attempts_s) > begun, "its connection is replaced", MUTE_S)
        ground.heal()
        await ground.live(bystander, victim, seconds=BACK_S + OVERDUE_S)
        ground.right()


@check("silence", Where.ROUGH, "a stream that went mute is STALE in time and replaced; what is old is never in use")
async def silence(ground: Ground) -> None:
    watched = firsts(ground)
    await ground.usable(*watched)
    since_s, begun = time.monotonic(), len(ground.proxy.attempts_s)
    ground.fault("mute")
    for each in watched:
        await until(
            lambda each=each: StreamState.STALE in ground.judge.changes(each.symbol, since_s),
            f"{each.symbol} is STALE after silence",
            STALE_S + ground.judge.GRACE_S,
        )
    await until(
        lambda: len(ground.proxy.attempts_s) > begun, "the silent connection is replaced", RECONNECT_S + STALE_S
    )
    await asyncio.sleep(0.5)  # a new connection that is as mute must not be taken for better
    ground.right()
    ground.heal()
    await ground.live(*watched, seconds=BACK_S)
    ground.right()
