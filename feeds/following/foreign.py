"""Orders that nobody here has placed, on an account of which the user said that only this machine trades on it. Pure.

Whatever is told of an order is looked at: that it is listed or streamed, whether it is open or was filled at once, and
each new fill since the account is followed, or since a former life checked it last: what was sold while no worker ran
is told, too. A stolen key trades at market, and such an order is never in a list.

An order of ours may be streamed, and filled, before the answer to its placing has come. By its client id it is known
from the moment on in which it was sent; what names only the exchange's number waits while an order of ours is under way
in that market, and in any case a while for the order's own event, which may name both.

There is no way to say "seen": so a notice stays for a day after the last such order or fill was told.
"""

from collections.abc import Iterable

import msgspec

from feeds.account import OPEN_STATUSES
from feeds.account_domain import Fill, Finding, Order
from feeds.following.own_orders import OwnOrders
from feeds.following.reconcile import Outcome, named

LATE_MS = 10_000
"""An order's own event may come so much later than its fill."""
STAYS_MS = 24 * 3_600_000
MOST = 1_000
"""So many are remembered of a product; what is older is told again if it is told of again."""

CAUSE = "foreign:"


class _Seen(msgspec.Struct):
    """An order of which something was told. ``since_ms``: when it was first looked at."""

    product: str
    client_id: str | None
    since_ms: int | None = None


class _Product(msgspec.Struct):
    orders: dict[tuple[str, str], None] = {}
    count: int = 0
    last_ms: int | None = None
    again: bool = False  # something was told of one that is known


class ForeignCheck:
    """One account. Times are the exchange's."""

    def __init__(self, own: OwnOrders, *, only_here: bool) -> None:
        self._own = own
        self._only_here = only_here
        self._begun_ms: int | None = None  # what happened since is looked at
        self._seen: dict[tuple[str, str], _Seen] = {}  # not known whose yet; by symbol and number
        self._products: dict[str, _Product] = {}

    def begin(self, since_ms: int) -> None:
        """Go on from there: only this machine was to trade on the account already then."""
        self._begun_ms = since_ms

    def take_over(self, causes: Iterable[str]) -> None:
        """Notices that were open when we began."""
        for cause in causes:
            if cause.startswith(CAUSE):
                self._products.setdefault(cause.removeprefix(CAUSE), _Product())

    def orders(self, orders: Iterable[Order]) -> None:
        """Listed or streamed."""
        for order in orders:
            if order.status in OPEN_STATUSES or self._since(order.updated_ms):
                self._look_at(order.product, order.symbol, order.id, order.client_id)

    def fills(self, fills: Iterable[Fill]) -> None:
        for fill in fills:
            if self._since(fill.exchange_ms):
                self._look_at(fill.product, fill.symbol, fill.order_id, fill.client_id)

    def _since(self, exchange_ms: int) -> bool:
        return self._begun_ms is not None and exchange_ms >= self._begun_ms

    def _look_at(self, product: str, symbol: str, number: str, client_id: str | None) -> None:
        if not self._only_here:
            return
        key = symbol, number
        of = self._products.get(product)
        if of is not None and key in of.orders:
            of.again = True
        elif self._own.has(symbol, number, client_id):
            self._seen.pop(key, None)
        else:
            seen = self._seen.setdefault(key, _Seen(product, client_id))
            seen.client_id = seen.client_id or client_id

    def judge(self, now_ms: int) -> Outcome:
        """Now and then: what is told, and what is closed. What was filled or ended before the first time, or before
        ``begin``, is not looked at."""
        self._begun_ms = now_ms if self._begun_ms is None else self._begun_ms
        new: set[str] = set()
        for (symbol, number), seen in list(self._seen.items()):
            seen.since_ms = now_ms if seen.since_ms is None else seen.since_ms
            ours = self._own.has(symbol, number, seen.client_id)
            if ours is None or (not ours and not seen.client_id and now_ms - seen.since_ms < LATE_MS):
                continue
            del self._seen[symbol, number]
            if not ours:
                self._add(seen.product, symbol, number)
                new.add(seen.product)
        resolved = []
        for product, of in list(self._products.items()):
            if product in new or of.again or of.last_ms is None:
                of.last_ms, of.again = now_ms, False
            if not self._only_here:
                resolved.append((CAUSE + product, "Others may trade on this account now."))
                del self._products[product]
            elif now_ms - of.last_ms >= STAYS_MS:
                resolved.append((CAUSE + product, "No such order or fill has been told of for 24 hours."))
                del self._products[product]
        return Outcome([self._finding(product, now_ms) for product in sorted(new)], resolved)

    def _add(self, product: str, symbol: str, number: str) -> None:
        of = self._products.setdefault(product, _Product())
        of.orders[symbol, number] = None
        of.count += 1
        if len(of.orders) > MOST:
            of.orders.pop(next(iter(of.orders)))

    def _finding(self, product: str, now_ms: int) -> Finding:
        of = self._products[product]
        latest = list(reversed(of.orders))
        several = of.count > 1
        return Finding(
            kind="foreign_order",
            cause=CAUSE + product,
            sentence=f"{of.count} order{'s were' if several else ' was'} not placed here, although only this machine "
            f"trades on this account: {named(latest, of.count)}. If it was not you, somebody else has a key or a "
            "password of this account.",
            expected="0 orders of others",
            found=f"{of.count} by stream or REST",
            asof_ms=now_ms,
            count=of.count,
        )
