"""Do the streams and REST tell the same of an account's orders? Pure: told what both say, it says what does not agree.

What the streams left open and REST lists no more was ended without a word. (Orders that nobody here has placed:
:mod:`feeds.following.foreign`.)
"""

from collections.abc import Iterable, Sequence

import msgspec

from feeds.account import LISTED_MS, OPEN_STATUSES, supersedes
from feeds.account_domain import Finding, Order

LATE_MS = 5_000
"""An order's end may reach us by stream so much later than REST lists it no more."""
NAMED = 3
MOST_ENDED = 2_000
"""So many ended orders are remembered, longer than any answer is on its way."""


class Outcome(msgspec.Struct, frozen=True):
    """What a look has brought. ``read_again``: before anything is said, the histories must be read anew."""

    found: list[Finding] = []
    resolved: list[tuple[str, str]] = []  # cause, sentence
    read_again: bool = False


class OrderCheck:
    """Open orders of one product."""

    def __init__(self, product: str) -> None:
        self._product = product
        self._open: dict[tuple[str, str], Order] = {}
        self._gone: dict[tuple[str, str], int] = {}  # not in the list of this moment
        self._ended: dict[tuple[str, str], None] = {}  # the newest; none of them opens again
        self.lost = False

    def streamed(self, order: Order) -> None:
        key = order.symbol, order.id
        if order.status in OPEN_STATUSES:
            self._opened(key, order)
        else:
            self._open.pop(key, None)
            self._gone.pop(key, None)
            self._ended[key] = None
            if len(self._ended) > MOST_ENDED:
                self._ended.pop(next(iter(self._ended)))

    def _opened(self, key: tuple[str, str], order: Order) -> None:
        """Unless it has ended: a list that was made before may be answered after that."""
        known = self._open.get(key)
        if key not in self._ended and (known is None or supersedes(order, known)):
            self._open[key] = order

    def told(self, orders: Sequence[Order], asof_ms: int) -> Outcome:
        """A complete list of the open ones."""
        listed = {(order.symbol, order.id): order for order in orders}
        for key, order in self._open.items():
            if key not in listed and order.updated_ms <= asof_ms - LISTED_MS:
                self._gone.setdefault(key, asof_ms)
        for key, order in listed.items():
            self._gone.pop(key, None)
            self._opened(key, order)
        resolved = []
        if self.lost and not self._gone:
            self.lost = False
            resolved.append((f"orders:{self._product}", "Streams and REST list the same open orders again."))
        return Outcome(resolved=resolved)

    def judge(self, now_ms: int) -> Outcome:
        late = [key for key, asof_ms in self._gone.items() if now_ms - asof_ms >= LATE_MS]
        if not late:
            return Outcome()
        asof_ms = max(self._gone.pop(key) for key in late)
        for key in late:
            self._open.pop(key, None)
        self.lost = True
        said = f"{len(late)} open order{'s' if len(late) > 1 else ''}"
        return Outcome(
            [
                Finding(
                    kind="lost_order",
                    cause=f"orders:{self._product}",
                    sentence=f"The exchange lists {said} no longer, of whose end the stream told nothing: "
                    f"{named(late, len(late))}. They are shown as closed.",
                    expected=f"{said} by stream",
                    found="none of them by REST",
                    asof_ms=asof_ms,
                    count=len(late),
                )
            ]
        )

    def take_over(self, causes: Iterable[str]) -> None:
        """Notices that were open when we began."""
        self.lost = f"orders:{self._product}" in causes


def named(keys: Sequence[tuple[str, str]], count: int) -> str:
    """Orders by symbol and number: the first few of ``count``."""
    shown = ", ".join(f"{symbol} {number}" for symbol, number in keys[:NAMED])
    return shown if count <= NAMED else f"{shown} and {count - NAMED} more"
