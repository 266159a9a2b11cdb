"""What befalls one market: its book is dropped at once, rebuilt, and right again. The others do not notice."""

import asyncio
import contextlib
import time

from feeds.domain import StreamState
from feeds.errors import CrossedError
from feeds.simulator.faults import Kind
from tests.conformance.check import Where, check, waived
from tests.conformance.grounds import Ground
from tests.conformance.judge import until
from tests.conformance.subject import Subject

TIMES = 4
AGAIN_S = 8.0
"""Within this the book must be back."""


async def strike(ground: Ground, kind: Kind, *, alone: bool = True) -> None:
    """One fault in one market of every product."""
    await asyncio.gather(*(_strike(ground, product, kind, alone) for product in ground.products_with_books))


async def _strike(ground: Ground, product: str, kind: Kind, alone: bool) -> None:
    bystander, victim = ground.of(product)[:2]
    judge = ground.judge
    async with ground.lock(product):
        await ground.usable(bystander, victim)
        since_s = time.monotonic()
        for _ in range(TIMES):  # where a checksum proves the best levels only, a loss further down is not noticed
            ground.fault(kind, victim)
            with contextlib.suppress(AssertionError):
                await until(lambda: StreamState.RESYNC in judge.changes(victim.symbol, since_s), "", 1.5)
                break
        else:
            raise AssertionError(f"{victim.symbol} is not RESYNC although {kind} struck {TIMES} times")
        why = judge.reasons(victim.symbol, since_s)[0]
        by_chance = kind != "crossed" and why == CrossedError.sentence
        assert not by_chance, f"{victim.symbol}: {kind} itself was not noticed, the book became crossed by it later"
        await ground.live(victim, seconds=AGAIN_S)
        judged = judge.judged[victim.symbol]
        await until(lambda: judge.judged[victim.symbol] > judged + 3, f"{victim.symbol} goes on after {kind}")
        ground.right()
        others = [state for state in judge.changes(bystander.symbol, since_s) if not state.usable]
        assert not (alone and others), f"{bystander.symbol} became {others[0]} after {kind} in {victim.symbol}"


@check("gap", Where.STRUCK, "a lost update makes that market RESYNC, it alone, and its book is right again")
async def gap(ground: Ground) -> None:
    await strike(ground, "drop_depth", alone=not waived(ground.subject, "gap.alone"))


def _sums(subject: Subject) -> str:
    return "" if subject.factory().checksum(None) is not None else "the exchange sends no checksums"


@check("checksum", Where.STRUCK, "a wrong checksum makes that market RESYNC, it alone", applies=_sums)
async def checksum(ground: Ground) -> None:
    await strike(ground, "bad_checksum")


@check("crossed", Where.STRUCK, "a book whose best bid is not below its best ask is never shown, but rebuilt")
async def crossed(ground: Ground) -> None:
    await strike(ground, "crossed")
