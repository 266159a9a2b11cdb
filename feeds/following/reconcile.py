"""Do the streams and REST tell the same of an account's orders? Pure: told what both say, it says what does not agree.

What the streams left open and REST lists no more was ended without a word; what REST lists and we have not
placed, on an account of which the user said that only this machine trades on it, was placed by somebody else.
"""

from collections.abc import Callable, Iterable, Sequence

import msgspec

from feeds.account import OPEN_STATUSES, supersedes
from feeds.account_domain import Finding, Order

LATE_MS = 5_000
"""An order's end may reach us by stream so much later than REST lists it no more."""
NAMED = 3


class Outcome(msgspec.Struct, frozen=True):
    """What a look has brought. ``read_again``: before anything is said, the histories must be read anew."""

    found: list[Finding] = []
    resolved: list[tuple[str, str]] = []  # cause, sentence
    read_again: bool = False


class OrderCheck:
    """Open orders of one product. ``ours`` says whether we have placed an order."""

    def __init__(self, product: str, *, only_here: bool, ours: Callable[[Order], bool]) -> None:
        self._product = product
        self._only_here = only_here
        self._ours = ours
        self._open: dict[tuple[str, str], Order] = {}
        self._gone: dict[tuple[str, str], int] = {}  # not in the list of this moment
        self.lost = False
        self.foreign = False

    def streamed(self, order: Order) -> None:
        key = order.symbol, order.id
        known = self._open.get(key)
        if known is not None and not supersedes(order, known):
            return
        if order.status in OPEN_STATUSES:
            self._open[key] = order
        else:
            self._open.pop(key, None)
            self._gone.pop(key, None)

    def told(self, orders: Sequence[Order], asof_ms: int) -> Outcome:
        """A complete list of the open ones."""
        listed = {(order.symbol, order.id): order for order in orders}
        for key, order in self._open.items():
            if key not in listed and order.updated_ms <= asof_ms:
                self._gone.setdefault(key, asof_ms)
        for key, order in listed.items():
            self._gone.pop(key, None)
            if key not in self._open or supersedes(order, self._open[key]):
                self._open[key] = order
        resolved = []
        if self.lost and not self._gone:
            self.lost = False
            resolved.append((f"orders:{self._product}", "Streams and REST list the same open orders again."))
        return Outcome(self._foreign(listed.values(), asof_ms, resolved), resolved)

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
                    f"{_named(late)}. They are shown as closed.",
                    expected=f"{said} by stream",
                    found="none of them by REST",
                    asof_ms=asof_ms,
                    count=len(late),
                )
            ]
        )

    def _foreign(self, listed: Iterable[Order], asof_ms: int, resolved: list[tuple[str, str]]) -> list[Finding]:
        cause = f"foreign:{self._product}"
        foreign = [(o.symbol, o.id) for o in listed if not self._ours(o)] if self._only_here else []
        if not foreign:
            if self.foreign:
                resolved.append((cause, "No order is open that was not placed here."))
            self.foreign = False
            return []
        self.foreign = True
        several = len(foreign) > 1
        return [
            Finding(
                kind="foreign_order",
                cause=cause,
                sentence=f"{len(foreign)} open order{'s were' if several else ' was'} not placed here, although only "
                f"this machine trades on this account: {_named(foreign)}.",
                expected="0 orders of others",
                found=f"{len(foreign)} by REST",
                asof_ms=asof_ms,
                count=len(foreign),
            )
        ]

    def take_over(self, causes: Iterable[str]) -> None:
        """Notices that were open when we began."""
        self.lost = f"orders:{self._product}" in causes
        self.foreign = f"foreign:{self._product}" in causes


def _named(keys: Sequence[tuple[str, str]]) -> str:
    shown = ", ".join(f"{symbol} {number}" for symbol, number in keys[:NAMED])
    return shown if len(keys) <= NAMED else f"{shown} and {len(keys) - NAMED} more"
