"""Runs the checks of one exchange: every ground at once, those on paper at the end."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from feeds.simulator.sockets import SocketRules
from tests.conformance import checks as _checks  # noqa: F401  (importing it registers them)
from tests.conformance.check import CHECKS, Check, Outcome, Where, not_applicable, waived
from tests.conformance.checks.aging import LIFE_S, TOLD_S
from tests.conformance.checks.crowd import MARKETS, streams
from tests.conformance.grounds import Ground, chosen, engined, shortened, simulated, smaller
from tests.conformance.subject import Subject, registered
from tests.conformance.tape import record

Outcomes: TypeAlias = dict[str, Outcome]
"""By check."""

Wanted: TypeAlias = Mapping[str, Collection[str]]
EVERYTHING: Wanted = {}

AT_ONCE = 3
LONGEST_S = 60.0
"""A check that takes longer, on a machine that is free, has failed."""

# where -> markets of every product, and whether its checks run at once
GROUNDS = {Where.CALM: (3, True), Where.CROWD: (MARKETS, True), Where.ROUGH: (2, False), Where.DIRTY: (1, False)}
GROUNDS[Where.AGING] = (1, False)


@asynccontextmanager
async def opened(subject: Subject, where: Where) -> AsyncIterator[Ground]:
    ground = Ground(subject, chosen(subject, GROUNDS[where][0]))
    aging, crowd = where is Where.AGING, where is Where.CROWD
    rules = SocketRules(life_s=LIFE_S) if aging else None
    changes: dict[str, Any] = (
        {"max_life_s": TOLD_S} if aging else {"streams_per_connection": streams(subject.facts)} if crowd else {}
    )
    lossy = where in (Where.CALM, Where.DIRTY) and waived(subject, "gap.deep")
    depth = 10 if lossy else 20
    async with simulated(ground, rules), engined(ground, lambda facts: smaller(facts, **changes), depth=depth):
        yield ground


async def run(subject: Subject, wanted: Collection[str] = ()) -> Outcomes:
    """The outcome of every check, or of those wanted, by name, in the table's order. Never raises for a failure."""
    return (await run_all([subject], {subject.label: wanted}))[subject.label]


async def run_all(
    subjects: Sequence[Subject], wanted: Wanted = EVERYTHING, told: Callable[[str], None] = lambda sentence: None
) -> dict[str, Outcomes]:
    """Several exchanges, a few at once: they mostly wait. What is done on paper keeps the processor busy, so it comes
    when nothing waits any more. ``wanted`` are checks by exchange, ``told`` hears when one is done."""
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(subject: Subject) -> _Run:
        async with limit:
            part = _Run(subject, wanted.get(subject.label, ()))
            with registered(subject):
                await part.live()
            told(f"{subject.label}: done against the simulator")
            return part

    with shortened():
        parts = await asyncio.gather(*(one(subject) for subject in subjects))
    for part in parts:
        await part.paper()
        told(f"{part.subject.label}: done on paper")
    for part in parts:
        await _again(part, told)
    return {part.subject.label: part.sorted() for part in parts}


async def _again(part: "_Run", told: Callable[[str], None]) -> None:
    """What failed in the crowd is tried once more, alone: many engines in one loop make each other late, and most
    checks are about time. Whoever fails twice has failed; the first time is told."""
    failed = [name for name, outcome in part.outcomes.items() if outcome.verdict == "failed"]
    if not failed or part.subject.simulator is None:
        return
    for name in failed:
        told(f"{part.subject.label}: {name} failed in the crowd ({part.outcomes[name].detail}), and is tried alone")
    second = _Run(part.subject, failed)
    with shortened(), registered(part.subject):
        await second.live()
        await second.paper()
    part.outcomes.update(second.outcomes)


class _Run:
    """One exchange's."""

    def __init__(self, subject: Subject, wanted: Collection[str]) -> None:
        self.subject = subject
        self.outcomes: Outcomes = {}
        self._tape: Any = None
        self._todo: dict[Where, list[Check]] = {}
        for each in CHECKS.values():
            if wanted and each.name not in wanted:
                continue
            place = Where.CALM if each.where is Where.STRUCK else each.where
            if reason := not_applicable(subject, each):
                self.outcomes[each.name] = Outcome(each.name, "not applicable", reason)
            elif subject.simulator is None and each.where is not Where.DESK:
                detail = f"there is no simulator feeds.simulator.{subject.name}"
                self.outcomes[each.name] = Outcome(each.name, "failed", detail)
            else:
                self._todo.setdefault(place, []).append(each)

    async def live(self) -> None:
        parts = [
            _on_ground(self.subject, where, self._todo[where], self.outcomes)
            for where in GROUNDS
            if where in self._todo
        ]
        *_, self._tape = await asyncio.gather(
            *parts, _recorded(self.subject) if Where.PAPER in self._todo else _nothing()
        )

    async def paper(self) -> None:
        for each in self._todo.get(Where.DESK, []):
            self.outcomes[each.name] = await _judged(each, self.subject)
        for each in self._todo.get(Where.PAPER, []):
            if isinstance(self._tape, Exception):
                detail = f"nothing could be recorded: {_said(self._tape)}"
                self.outcomes[each.name] = Outcome(each.name, "failed", detail)
            else:
                self.outcomes[each.name] = await _judged(each, self._tape)

    def sorted(self) -> Outcomes:
        return {name: self.outcomes[name] for name in CHECKS if name in self.outcomes}


async def _nothing() -> None:
    return None


async def _recorded(subject: Subject) -> Any:
    try:
        async with asyncio.timeout(LONGEST_S):
            return await record(subject)
    except Exception as error:
        return error


async def _on_ground(subject: Subject, where: Where, checks: list[Check], outcomes: Outcomes) -> None:
    begun_s = time.monotonic()
    try:
        async with opened(subject, where) as ground:
            if GROUNDS[where][1]:
                for stage in (where, Where.STRUCK):
                    staged = [each for each in checks if each.where is stage]
                    for outcome in await asyncio.gather(*(_judged(each, ground) for each in staged)):
                        outcomes[outcome.check] = outcome
            else:
                for each in checks:
                    outcomes[each.name] = await _judged(each, ground)
            _note_breaches(ground, outcomes)
    except Exception as error:  # the ground itself: it could not be opened, or not closed
        for each in checks:
            if each.name not in outcomes or outcomes[each.name].verdict == "passed":
                seconds = time.monotonic() - begun_s
                outcomes[each.name] = Outcome(each.name, "failed", f"{where.value} ground: {_said(error)}", seconds)


def _note_breaches(ground: Ground, outcomes: Outcomes) -> None:
    """A limit that any check saw exceeded is the fault of "limits", wherever it was."""
    if not_applicable(ground.subject, CHECKS["limits"]):
        return
    if breaches := ground.breaches():
        name = CHECKS["limits"].name
        outcomes[name] = Outcome(name, "failed", breaches[0])


async def _judged(each: Check, ground: Any) -> Outcome:
    begun_s = time.monotonic()
    try:
        async with asyncio.timeout(LONGEST_S):
            await each.run(ground)
    except TimeoutError:
        return Outcome(each.name, "failed", f"not done after {LONGEST_S:g} s", time.monotonic() - begun_s)
    except Exception as error:
        return Outcome(each.name, "failed", _said(error), time.monotonic() - begun_s)
    return Outcome(each.name, "passed", "", time.monotonic() - begun_s)


def _said(error: BaseException) -> str:
    """An AssertionError speaks for itself; anything else is named."""
    text = str(error) or type(error).__name__
    return text if isinstance(error, AssertionError) else f"{type(error).__name__}: {text}"
