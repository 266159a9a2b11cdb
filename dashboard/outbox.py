"""What one browser is owed, and when it may be sent: the confirmed flow of docs/protocol.md section 2.4. No I/O.

The relay keeps one :class:`Board` with the newest frame of every topic; each change gives it a new *version*. A
browser's :class:`Outbox` remembers only up to which version it has been served, so "what is pending" is not kept per
browser at all: it is what has a later version. Browsers that watch the same topics and were served up to the same
version are owed the same bytes, which are joined and encoded once, however many browsers there are.

Frames may be left out, since each is whole; the newest of a topic is never left out for good, and none comes after a
newer one.
"""

from collections import deque
from collections.abc import Iterable
from typing import TypeAlias

import msgspec

INTERVAL_S = 0.02
"""At most one bundle in this time."""

CAP_BYTES = 256_000
CAP_S = 2.0
"""What is sent and not confirmed is at most this large, and nothing is sent while the oldest of it is this old."""

PATIENCE_S = 60.0
"""A browser for which bundles wait and that confirms nothing for this long is let go."""


Need: TypeAlias = tuple[frozenset[str], int, frozenset[str]]
"""Topics, the version served up to, topics that are due even if older."""


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """An encoded bundle. ``version`` is what its receiver is then served up to; ``left`` says that more is due."""

    number: int
    text: str
    wire: bytes  # the same as a WebSocket frame, see framed()
    size: int  # bytes of the text as UTF-8
    version: int
    topics: frozenset[str]
    left: bool


def framed(payload: bytes) -> bytes:
    """A text message as one unmasked frame (RFC 6455 section 5.2), which is what a server sends."""
    length = len(payload)
    if length < 126:
        return b"\x81" + length.to_bytes(1, "big") + payload
    if length < 65_536:
        return b"\x81\x7e" + length.to_bytes(2, "big") + payload
    return b"\x81\x7f" + length.to_bytes(8, "big") + payload


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

    def bundle(self, number: int, need: Need) -> Bundle | None:
        """What a browser is owed that needs this; None if nothing.

        What does not fit into the cap stays due, but one frame always fits. The longest-waiting come first, so none
        starves.
        """
        topics, since, fresh = need
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
        payload = text.encode()
        left = taken < len(due)
        return Bundle(
            number=number,
            text=text,
            wire=framed(payload),
            size=len(payload),
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

    def offer(self, board: Board, now_s: float) -> Need | None:
        """What this browser needs now; None if it may get nothing, because the last bundle was sent a moment ago or
        the oldest in flight must be confirmed first. Browsers with equal needs are owed the same bundle."""
        if now_s - self._sent_s < INTERVAL_S:
            return None
        if self._flight and now_s - self._flight[0][2] >= CAP_S:
            if self._held_back_s is None and board.due(self.topics, self._since, self._fresh):
                self._held_back_s = now_s  # the patience begins
            return None
        return (self.topics, self._since, self._fresh)

    def caught_up(self, version: int) -> None:
        """Nothing was due at this version."""
        self._since = max(self._since, version)
        self._fresh = frozenset()

    def take(self, bundle: Bundle, now_s: float) -> bool:
        """Count the bundle, which is due, as sent; False if there is no room for it under the cap. With nothing in
        flight there always is."""
        if self.in_flight + bundle.size > CAP_BYTES and self._flight:
            if self._held_back_s is None:
                self._held_back_s = now_s
            return False
        self._flight.append((bundle.number, bundle.size, now_s))
        self.in_flight += bundle.size
        self._sent_s = now_s
        self._last_number = bundle.number
        self._since = bundle.version
        if self._fresh:
            self._fresh = self._fresh - bundle.topics if bundle.left else frozenset()
        return True

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
