"""What a check is, and how one says that it failed or does not apply.

A check is a coroutine that is given the ground it stands on (:mod:`tests.conformance.grounds`) and raises
AssertionError with a sentence if the exchange does not keep the promise. It knows no exchange: where one cannot keep a
promise, its facts say so (``applies``), or a line in :mod:`tests.conformance.waivers` does, with the reason.
"""

import enum
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeVar

from tests.conformance.subject import Subject
from tests.conformance.waivers import BY_CCXT, WAIVERS


class Where(enum.Enum):
    """Which ground a check stands on. Grounds run at once; see ``grounds.py`` for what each is."""

    DESK = "desk"  # nothing runs: the code alone
    CALM = "calm"  # all at once, market by market
    STRUCK = "struck"  # the same ground after that: faults of one market
    CROWD = "crowd"  # many markets and every kind of data
    ROUGH = "rough"  # one after another: what befalls the whole exchange
    DIRTY = "dirty"  # one after another: frames are changed on the way
    AGING = "aging"  # connections live a few seconds
    PAPER = "paper"  # at the end: what sessions without an engine received, read again and changed


class Check(NamedTuple):
    name: str  # the column of the table
    where: Where
    promise: str  # one sentence: what is asked of the exchange
    run: Callable[[Any], Awaitable[None]]
    applies: Callable[[Subject], str]  # the reason why not; "" if it does


class Outcome(NamedTuple):
    """``verdict`` is "passed", "failed" or "not applicable"; ``detail`` the reason, or what was found."""

    check: str
    verdict: str
    detail: str
    seconds: float = 0.0


CHECKS: dict[str, Check] = {}
"""By name, in the order of the table."""

Run = TypeVar("Run", bound=Callable[..., Awaitable[None]])


def check(
    name: str, where: Where, promise: str, *, applies: Callable[[Subject], str] = lambda subject: ""
) -> Callable[[Run], Run]:
    """Register a check."""

    def register(run: Run) -> Run:
        assert name not in CHECKS, f"two checks are called {name!r}"
        CHECKS[name] = Check(name, where, promise, run, applies)
        return run

    return register


def not_applicable(subject: Subject, each: Check) -> str:
    """Why a check does not apply to an exchange; "" if it does. Told by facts alone: nothing has to run for it."""
    try:
        told = BY_CCXT.get(each.name, "") if subject.via else ""
        return WAIVERS.get((subject.label, each.name)) or told or each.applies(subject)
    except AttributeError:  # a half-written adapter cannot tell: the check will say what it lacks
        return ""


def waived(subject: Subject, aspect: str) -> bool:
    """Is this part of a check (``"<check>.<part>"``) not asked of the exchange?"""
    return (subject.label, aspect) in WAIVERS
