"""Fills that a stream told without the id that the exchange's history gives them: until the history names them."""

from collections import deque
from collections.abc import Iterable
from decimal import Decimal

from structlog.typing import FilteringBoundLogger

from feeds.account_domain import Fill, FillTold

OWED_S = 3.0
"""A fill that a stream told, and that the history does not name so much later, is said to be missing."""

GIVEN_UP_S = 120.0
"""It is looked for so long."""

UNTOLD = 1000
"""Fills read last, of which the stream may yet tell."""

Execution = tuple[str, Decimal, Decimal]
"""Order, price, size: what a fill is known by before the history names it."""


class OwedFills:
    """By fill list. Times are monotonic."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        self._owed: list[tuple[Execution, str, float]] = []  # (execution, list, since when), told by a stream
        self._untold: deque[Execution] = deque(maxlen=UNTOLD)

    def told(self, told: FillTold, name: str, now_s: float) -> bool:
        """The stream told of it; False if the history was quicker."""
        execution = told.order_id, told.price, told.size
        if execution in self._untold:
            self._untold.remove(execution)
            return False
        self._owed.append((execution, name, now_s))
        return True

    def named(self, fills: Iterable[Fill]) -> None:
        """The history told these."""
        for fill in fills:
            execution = fill.order_id, fill.price, fill.size
            paid = next((each for each in self._owed if each[0] == execution), None)
            if paid is None:
                self._untold.append(execution)
            else:
                self._owed.remove(paid)

    def of(self, name: str, now_s: float) -> bool:
        """Is a fill of this list still to be named? One that is not after so long is given up."""
        for each in [each for each in self._owed if each[1] == name and now_s - each[2] > GIVEN_UP_S]:
            self._owed.remove(each)
            self._log.error("the history does not have a fill that the stream told", order=each[0][0])
        return any(each[1] == name for each in self._owed)

    def late(self, now_s: float) -> set[str]:
        """Lists that should have named one by now."""
        return {name for _, name, since_s in self._owed if now_s - since_s > OWED_S}
