"""What one browser is owed, and when it may be sent: the confirmed flow of docs/protocol.md section 2.4. No I/O.

The relay keeps one :class:`Board` with the newest frame of every topic; each change gives it a new *version*. A
browser's :class:`Outbox` remembers only up to which version it has been served, so "what is pending" is not kept per
browser at all: it is what has a later version. Browsers that watch the same topics and were served up to the same
version are owed the same bytes, which are joined and encoded once, however many browsers there are.

Frames may be left out, since each is whole; the newest of a topic is never left out for good, and none comes after a
newer one.
"""

from collections import deque
from collections.abc import Hashable, Iterable

import msgspec

INTERVAL_S = 0.05
"""At most one bundle in this time."""

CAP_BYTES = 256_000
CAP_S = 2.0
"""What is sent and not confirmed is at most this large, and nothing is sent while the oldest of it is this old."""

PATIENCE_S = 60.0
"""A browser for which bundles wait and that confirms nothing for this long is let go."""


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """An encoded bundle. ``version`` is what its receiver is then served up to; ``left`` says that more is due."""

    number: int
    text: str
    size: int  # bytes, as UTF-8
    version: int
    topics: frozenset[str]
    left: bool


class Board:
    """The newest frame of each topic, in the order of change."""

    def __init__(self) -> None:
        self.version = 0
        self._held: dict[str, tuple[int, str]] = {}  # topic -> (version, frame); the order is that of the versions

    def __contains__(self, topic: object) -> bool:
        return topic in self._held

    def __len__(self) -> int:
        return len(self._held)

    def put(self, topic: str, frame: str) -> None:
        self.version += 1
        self._held.pop(topic, None)  # so that it moves to the end
        self._held[topic] = (self.version, frame)

    def get(self, topic: str) -> str | None:
        held = self._held.get(topic)
        return None if held is None else held[1]

    def forget(self, topic: str) -> None:
        self._held.pop(topic, None)

    def due(self, topics: frozenset[str], since: int, fresh: frozenset[str]) -> bool:
        """Would :meth:`bundle` give one?"""
        for topic, (version, _) in reversed(self._held.items()):
            if version <= since:
                break
            if topic in topics:
                return True
        return any(topic in self._held for topic in fresh & topics)

    def bundle(self, number: int, topics: frozenset[str], since: int, fresh: frozenset[str]) -> Bundle | None:
        """What a browser is owed that watches ``topics`` and was served up to version ``since``; None if nothing.

        ``fresh`` are topics that it has just subscribed: they are due even if they are older. What does not fit into
        the cap stays due, but one frame always fits. The longest-waiting come first, so none starves.
        """
        due = [(*self._held[topic], topic) for topic in fresh & topics if topic in self._held]
        due = [entry for entry in due if entry[0] <= since]
        due.sort()
        changed = []
        for topic, (version, frame) in reversed(self._held.items()):
            if version <= since:
                break
            if topic in topics:
                changed.append((version, frame, topic))
        due += reversed(changed)
        if not due:
            return None
        parts: list[str] = []
        size = taken = 0
        for _, frame, _ in due:
            size += len(frame) if frame.isascii() else len(frame.encode())
            size += 1  # the comma
            if parts and size > CAP_BYTES - 100:
                break
            parts.append(frame)
            taken += 1
        text = f'{{"type":"bundle","bundle":{number},"frames":[{",".join(parts)}]}}'
        left = taken < len(due)
        return Bundle(
            number=number,
            text=text,
            size=len(text) if text.isascii() else len(text.encode()),
            version=max(since, due[taken - 1][0]) if left else self.version,
            topics=frozenset(topic for _, _, topic in due[:taken]),
            left=left,
        )


class Outbox:
    """One browser's state. All times are seconds of one monotonic clock, passed in."""

    __slots__ = ("_flight", "_fresh", "_held_back_s", "_last_number", "_sent_s", "_since", "in_flight", "topics")

    def __init__(self) -> None:
        self.topics: frozenset[str] = frozenset()
        self.in_flight = 0  # bytes sent and not confirmed
        self._flight: deque[tuple[int, int, float]] = deque()  # (bundle number, bytes, sent at), oldest first
        self._fresh: frozenset[str] = frozenset()
        self._since = 0
        self._sent_s = float("-inf")
        self._last_number = 0
        self._held_back_s: float | None = None  # since when something is due and waits for a confirmation

    def subscribe(self, topics: Iterable[str]) -> None:
        """From now on these too. The newest frame of each is due, also of one that was subscribed already."""
        new = frozenset(topics)
        self.topics |= new
        self._fresh |= new

    def unsubscribe(self, topics: Iterable[str]) -> None:
        gone = frozenset(topics)
        self.topics -= gone
        self._fresh -= gone

    @property
    def need(self) -> Hashable:
        """Browsers with equal needs are owed the same bundle."""
        return (self.topics, self._since, self._fresh)

    def owed(self, board: Board, number: int) -> Bundle | None:
        """The bundle that is due now, if any; it depends on :attr:`need` and the board alone."""
        return board.bundle(number, self.topics, self._since, self._fresh)

    def caught_up(self, version: int) -> None:
        """Nothing was due at this version."""
        self._since = max(self._since, version)
        self._fresh = frozenset()

    def too_soon(self, now_s: float) -> bool:
        """Was the last bundle sent less than the interval ago?"""
        return now_s - self._sent_s < INTERVAL_S

    def blocked(self, board: Board, now_s: float) -> bool:
        """Must the oldest bundle in flight be confirmed first? If something is due then, the patience begins."""
        if not self._flight or now_s - self._flight[0][2] < CAP_S:
            return False
        if self._held_back_s is None and board.due(self.topics, self._since, self._fresh):
            self._held_back_s = now_s
        return True

    def fits(self, bundle: Bundle, now_s: float) -> bool:
        """Is there room for this bundle, which is due? With nothing in flight there always is."""
        if not self._flight or self.in_flight + bundle.size <= CAP_BYTES:
            return True
        if self._held_back_s is None:
            self._held_back_s = now_s
        return False

    def sent(self, bundle: Bundle, now_s: float) -> None:
        """The bundle is on its way."""
        self._flight.append((bundle.number, bundle.size, now_s))
        self.in_flight += bundle.size
        self._sent_s = now_s
        self._last_number = bundle.number
        self._since = bundle.version
        if self._fresh:
            self._fresh = self._fresh - bundle.topics if bundle.left else frozenset()

    def confirm(self, number: int) -> bool:
        """Bundle ``number`` and all before it are drawn. True if something may have waited for that.

        Raises ValueError for a number that was never sent.
        """
        if number > self._last_number:
            raise ValueError(f"bundle {number} was not sent yet.")
        confirmed = False
        while self._flight and self._flight[0][0] <= number:
            self.in_flight -= self._flight.popleft()[1]
            confirmed = True
        waited = confirmed and self._held_back_s is not None
        if confirmed:
            self._held_back_s = None
        return waited

    def gave_up(self, now_s: float) -> bool:
        """Has nothing been confirmed for too long, although bundles were waiting?"""
        return self._held_back_s is not None and now_s - self._held_back_s >= PATIENCE_S
