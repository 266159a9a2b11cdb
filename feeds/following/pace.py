"""How often an account asks: so that all accounts which share an exchange's limit use less than half of it together.

There are limits of a host (:meth:`feeds.exchange.Exchange.budgets`), which the accounts share evenly, and at some
exchanges one of each key (:class:`feeds.account.KeyLimits`). Of each of them

* what is asked on timers may take :data:`POLLS`: where the account's own interval would take more, it is stretched;
* what is asked sooner because something has changed may take :data:`SOONER` more, in bursts of a minute's worth;
* reading fill histories again only to be sure may take :data:`READINGS`. What must be read before it can be said that
  no fill is missing is not counted: it waits for nothing but the limit itself.

Together :data:`PLANNED`. A clock measured every ten minutes and a login now and then come on top, and the rest of what
we allow ourselves (``Budget.share``) is for orders, for what must be read, and for public data on the same host.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from feeds.account import AccountApi, KeyLimits, LimitsKeys
from feeds.clock import SYSTEM, Clock
from feeds.exchange import Budget, Request
from feeds.following.key_gate import Counter

POLLS = 0.3
SOONER = 0.05
READINGS = 0.1
PLANNED = POLLS + SOONER + READINGS

BURST_S = 60.0


def _weight_at(host: str) -> Callable[[Request], float]:
    return lambda request: request.weight if request.product == host else 0


class Asked(msgspec.Struct, frozen=True):
    """A request that is asked every ``times`` intervals, or (``every_s``) on a clock of its own."""

    request: Request
    times: float = 1.0
    every_s: float | None = None


class Limit:
    """One limit, and an account's part of it."""

    def __init__(self, per_s: float, cost_of: Callable[[Request], float]) -> None:
        self.per_s = per_s
        self.cost_of = cost_of
        self.sooner = Counter(KeyLimits(most=SOONER * per_s * BURST_S, decay_per_s=SOONER * per_s))
        self.readings = Counter(KeyLimits(most=0.0, decay_per_s=READINGS * per_s))

    def cost(self, requests: Iterable[Request]) -> float:
        return sum(map(self.cost_of, requests))

    def least_s(self, plan: Sequence[Asked]) -> float:
        """The shortest interval at which this plan keeps to its part."""
        fixed = sum(self.cost_of(each.request) / each.every_s for each in plan if each.every_s is not None)
        stretched = sum(self.cost_of(each.request) / each.times for each in plan if each.every_s is None)
        part = POLLS * self.per_s
        return stretched / max(part - fixed, part / 10)


class Pace:
    """One account's. ``budgets`` are by product, as the adapter tells them; a product without one is not limited."""

    def __init__(self, api: AccountApi, budgets: Mapping[str, Budget], *, clock: Clock = SYSTEM) -> None:
        self._api = api
        self._budgets = budgets
        self._clock = clock
        self.limits: list[Limit] = []
        """The account's part of each."""
        self.shared_by(1)

    def shared_by(self, accounts: int) -> None:
        """So many accounts share the exchange's hosts now."""
        hosts = self._budgets.items()
        self.limits = [Limit(each.limit / each.per_s / max(1, accounts), _weight_at(host)) for host, each in hosts]
        if isinstance(self._api, LimitsKeys):
            self.limits.append(Limit(self._api.key_limits.decay_per_s, self._api.key_cost))

    def least_s(self, requests: Sequence[Request], plan: Sequence[Asked]) -> float:
        """The shortest interval for these, which are a part of ``plan``."""
        return max((limit.least_s(plan) for limit in self.limits if limit.cost(requests)), default=0.0)

    def sooner_s(self, requests: Sequence[Request], within_s: float) -> float:
        """Seconds after which these may be asked out of turn, ``within_s`` at most. Counts them, unless it is that:
        they are asked on their timer by then, and what is not used must not hold up the others."""
        now_s = self._clock.monotonic_s()
        costs = [(limit, cost) for limit in self.limits if (cost := limit.cost(requests))]
        wait_s = max((limit.sooner.wait_s(cost, False, now_s) for limit, cost in costs), default=0.0)
        if wait_s >= within_s:
            return within_s
        for limit, cost in costs:
            limit.sooner.take(cost, now_s)
        return wait_s

    def read(self, request: Request) -> None:
        """A page of a history is read only to be sure."""
        now_s = self._clock.monotonic_s()
        for limit in self.limits:
            limit.readings.take(limit.cost_of(request), now_s)

    def reading_s(self) -> float:
        """Seconds until the next one may be read."""
        now_s = self._clock.monotonic_s()
        return max((limit.readings.wait_s(0.0, False, now_s) for limit in self.limits), default=0.0)
