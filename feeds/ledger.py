"""What one connection is subscribed to, and what must be asked for next. No I/O; time is passed in.

Life of a subscription::

    add -> NEW -> ASKED -> ACTIVE -> ENDING -> gone, or NEW again if it is (still or again) wanted
            ^       |  no answer: asked once more, then rejected
            |       |  refused: rejected
            +-------+  refused together with others: asked again in halves, to find the one that is to blame
"""

import enum
from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from feeds.domain import Subscription

NO_ANSWER = "no answer"


class Phase(enum.Enum):
    NEW = "new"  # to be asked for
    ASKED = "asked"  # asked for, not answered
    ACTIVE = "active"  # accepted
    ENDING = "ending"  # its end was asked for, not answered


class Batch(NamedTuple):
    """What to ask for next: ``subscriptions``, or if ``end`` their end."""

    end: bool
    subscriptions: list[Subscription]


class _Entry:
    __slots__ = ("asked", "phase", "renew", "since_s", "wanted")

    def __init__(self) -> None:
        self.phase = Phase.NEW
        self.wanted = True
        self.renew = False  # end it, then ask for it again
        self.asked = 0  # times asked without an answer
        self.since_s: float | None = None  # when the last message about it was sent


class Ledger:
    """The subscriptions of one connection, over all its reconnects."""

    def __init__(self, *, answer_s: float, end_s: float) -> None:
        self._answer_s = answer_s
        self._end_s = end_s
        self._entries: dict[Subscription, _Entry] = {}
        self._groups: deque[list[Subscription]] = deque()  # to be asked for one group after the other

    @property
    def wanted(self) -> set[Subscription]:
        return {subscription for subscription, entry in self._entries.items() if entry.wanted}

    @property
    def expecting(self) -> bool:
        """Something was asked for, so frames should come."""
        return any(entry.phase in (Phase.ASKED, Phase.ACTIVE) for entry in self._entries.values())

    @property
    def settled(self) -> bool:
        """Everything that is wanted was accepted, and nothing else is under way."""
        return all(entry.wanted and entry.phase is Phase.ACTIVE for entry in self._entries.values())

    def phase(self, subscription: Subscription) -> Phase | None:
        entry = self._entries.get(subscription)
        return entry.phase if entry else None

    def current(self, subscription: Subscription) -> bool:
        """Is what comes for it now what it was last asked for, and not the rest of one that ends?"""
        entry = self._entries.get(subscription)
        asked = entry is not None and entry.phase in (Phase.ASKED, Phase.ACTIVE)
        return entry is not None and asked and entry.wanted and not entry.renew

    # What the owner wants

    def add(self, subscriptions: Iterable[Subscription]) -> None:
        """Want these. One that was given up, and whose end was not asked for yet, is ended all the same and asked for
        anew: whoever wants it now knows nothing of it, and needs what a subscription begins with."""
        for subscription in subscriptions:
            entry = self._entries.setdefault(subscription, _Entry())
            if not entry.wanted:
                entry.wanted, entry.renew = True, entry.phase is not Phase.ENDING

    def remove(self, subscriptions: Iterable[Subscription]) -> None:
        for subscription in subscriptions:
            if entry := self._entries.get(subscription):
                entry.wanted = False
                if entry.phase is Phase.NEW:
                    del self._entries[subscription]

    def resubscribe(self, subscription: Subscription) -> None:
        entry = self._entries.get(subscription)
        if entry and entry.phase in (Phase.ASKED, Phase.ACTIVE):
            entry.renew = True

    def restart(self) -> None:
        """A new connection: everything wanted has to be asked for, nothing else is known to the exchange."""
        self._groups.clear()
        self._entries = {subscription: _Entry() for subscription, entry in self._entries.items() if entry.wanted}

    # What to send

    def next(self) -> Batch | None:
        """What to ask for now, None if nothing. It counts as asked; call :meth:`sent` when the last message is out."""
        ends = [
            s
            for s, entry in self._entries.items()
            if entry.phase in (Phase.ASKED, Phase.ACTIVE) and (entry.renew or not entry.wanted)
        ]
        if ends:
            for subscription in ends:
                entry = self._entries[subscription]
                entry.phase, entry.renew, entry.asked, entry.since_s = Phase.ENDING, False, 0, None
            return Batch(True, ends)
        asks = self._next_group() if self._groups else [s for s, e in self._entries.items() if e.phase is Phase.NEW]
        for subscription in asks:
            entry = self._entries[subscription]
            entry.phase, entry.asked, entry.since_s = Phase.ASKED, entry.asked + 1, None
        return Batch(False, asks) if asks else None

    def _next_group(self) -> list[Subscription]:
        """The next group, once nothing else waits for an answer: so a refusal without a name is of this group."""
        if any(entry.phase is Phase.ASKED for entry in self._entries.values()):
            return []
        while self._groups:
            group = [s for s in self._groups.popleft() if self.phase(s) is Phase.NEW]
            if group:
                return group
        return [s for s, e in self._entries.items() if e.phase is Phase.NEW]

    def sent(self, batch: Batch, now_s: float) -> None:
        """The messages of this batch are out: the time to answer begins."""
        for subscription in batch.subscriptions:
            entry = self._entries.get(subscription)
            if entry and entry.phase is (Phase.ENDING if batch.end else Phase.ASKED):
                entry.since_s = now_s

    # What came back

    def accepted(self, subscriptions: Iterable[Subscription]) -> list[Subscription]:
        """Returns those that were waiting for this answer."""
        news = []
        for subscription in subscriptions:
            entry = self._entries.get(subscription)
            if entry and entry.phase is Phase.ASKED:
                entry.phase, entry.asked, entry.since_s = Phase.ACTIVE, 0, None
                news.append(subscription)
        return news

    def ended(self, subscriptions: Iterable[Subscription]) -> None:
        for subscription in subscriptions:
            entry = self._entries.get(subscription)
            if entry and entry.phase is Phase.ENDING:
                if entry.wanted:
                    entry.phase, entry.since_s = Phase.NEW, None
                else:
                    del self._entries[subscription]

    def refused(self, subscriptions: Sequence[Subscription]) -> list[Subscription]:
        """Returns those that are rejected for good and no longer wanted.

        Several refused at once, or a refusal without names, may be the fault of one of them: they are asked for again
        in halves until it stands alone.
        """
        named = [s for s in subscriptions if s in self._entries]
        self.ended(named)  # the end of one that does not exist is refused: then it has ended
        blamed = named if subscriptions else [s for s, e in self._entries.items() if e.phase is Phase.ASKED]
        blamed = [s for s in blamed if self.phase(s) in (Phase.ASKED, Phase.ACTIVE)]
        if len(blamed) <= 1:
            return self._drop(blamed)
        for subscription in blamed:
            entry = self._entries[subscription]
            entry.phase, entry.asked, entry.since_s = Phase.NEW, 0, None
        self.remove([s for s in blamed if not self._entries[s].wanted])
        half = len(blamed) // 2
        self._groups.extendleft([blamed[half:], blamed[:half]])
        return []

    def again(self, subscriptions: Iterable[Subscription]) -> None:
        """These were refused as they were asked for, and are asked for at once in another way."""
        for subscription in subscriptions:
            entry = self._entries.get(subscription)
            if entry and entry.phase is Phase.ASKED:
                if entry.wanted:
                    entry.phase, entry.asked, entry.since_s = Phase.NEW, 0, None
                else:
                    del self._entries[subscription]

    def overdue(self, now_s: float, heard_s: float) -> list[Subscription]:
        """Returns those that got no answer twice; what got none once is asked for again.

        ``heard_s`` is when the last frame came. A connection on which nothing came since the question proves nothing
        about the subscription: that is left to the watch over silence.
        """
        late = []
        for subscription, entry in list(self._entries.items()):
            since_s = entry.since_s
            if since_s is None:
                continue
            if entry.phase is Phase.ENDING and now_s - since_s >= self._end_s:
                self.ended([subscription])
            elif entry.phase is Phase.ASKED and now_s - since_s >= self._answer_s and heard_s > since_s:
                if entry.asked < 2:
                    entry.phase, entry.since_s = Phase.NEW, None
                else:
                    late.append(subscription)
        return self._drop(late)

    def _drop(self, subscriptions: list[Subscription]) -> list[Subscription]:
        """Forget these; returns those among them that somebody wanted."""
        return [s for s in subscriptions if self._entries.pop(s).wanted]
