"""Money that only changed the wallet: which transfers between wallets are each other's other side. Pure.

An exchange tells each wallet's side for itself, under an id of its own and a few moments apart; and only those of the
wallets that are followed. A side that has no other one among them came from outside, or went there: what Bybit's
unified wallet receives from its funding wallet, which is not followed, is new money to whoever adds up the first.
"""

from collections.abc import Callable, Hashable, Iterable
from decimal import Decimal
from typing import Protocol, TypeVar

NEAR_MS = 300_000
"""Two sides of one transfer are at most so far apart."""


class Move(Protocol):
    """As a ``Transfer`` of the domain or of a table."""

    @property
    def kind(self) -> str: ...

    @property
    def asset(self) -> str: ...

    @property
    def amount(self) -> Decimal: ...

    @property
    def exchange_ms(self) -> int: ...


AnyMove = TypeVar("AnyMove", bound=Move)


def from_outside(moves: Iterable[AnyMove], wallet_of: Callable[[AnyMove], Hashable]) -> list[AnyMove]:
    """All of these but the pairs of sides within, in their order. Two are a pair if both are internal, of the same
    asset, of opposite amounts and of different wallets, not more than ``NEAR_MS`` apart; the nearest first."""
    told = list(moves)
    gone: dict[tuple[str, Decimal], list[int]] = {}
    for index, move in enumerate(told):
        if move.kind == "internal" and move.amount < 0:
            gone.setdefault((move.asset, -move.amount), []).append(index)
    near: list[tuple[int, int, int]] = []  # how far apart, and which two
    for index, move in enumerate(told):
        if move.kind != "internal" or move.amount <= 0:
            continue
        for other in gone.get((move.asset, move.amount), ()):
            apart = abs(move.exchange_ms - told[other].exchange_ms)
            if apart <= NEAR_MS and wallet_of(move) != wallet_of(told[other]):
                near.append((apart, other, index))
    within: set[int] = set()
    for _, one, other in sorted(near):
        if one not in within and other not in within:
            within |= {one, other}
    return [move for index, move in enumerate(told) if index not in within]
