"""How far an exchange's clock is from ours, so that a latency is one and not the difference of two clocks.

An event sent at ``exchange_ms`` (their clock) and received at ``recv`` (ours) took ``recv - exchange_ms + offset``,
where ``offset`` is their clock minus ours. Nothing arrives before it is sent, so the offset is at least the negative of
the smallest difference seen: a bound that every event proves. Where the exchange tells its time by REST, the offset
lies within half of the quickest answer's round trip around its middle. Elsewhere the quickest pong of a WebSocket ping
tells the round trip, and the quickest event is taken to have needed half of it. Either way the error is at most half a
round trip, if an event's time is that of its sending; where it is earlier (a trade's own time), only few events need to
be so quick.

A recording that is played has times of long ago. That is no clock: differences of more than an hour are not counted, no
latency is told then, and no offset.
"""

import asyncio
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import structlog

from feeds.clock import Clock
from feeds.domain import StreamState
from feeds.errors import FeedError
from feeds.exchange import TellsTime

if TYPE_CHECKING:
    from feeds.markets.venue import Venue

log = structlog.get_logger(__name__)

RECORDED_MS = 3_600_000.0
"""A clock is not off by more than this."""

WINDOW_S = 120.0
"""What is older counts no more: clocks drift, and routes change."""

PART_S = 30.0
"""The window moves on in such steps."""

JUMP_S = 0.02
"""Our own wall clock was set if it ran by so much more or less than the monotonic one."""

QUESTIONS_S = 30.0
FIRST_QUESTIONS_S = 2.0
"""How often the exchange is asked for the time, or a ping is sent, and at the beginning."""


UNANSWERED = 3
"""After so many questions in a row without an answer, pings and events must do: a played recording has no time."""


_BUILT = (StreamState.SYNCING, StreamState.RESYNC)


class _Answer(NamedTuple):
    at_s: float
    offset_ms: float
    round_trip_ms: float


class ClockOffset:
    """One exchange's clock minus ours. No I/O. ``offset_ms`` and ``error_ms`` are None while nothing is known."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.offset_ms: float | None = None
        self.error_ms: float | None = None
        self.correction_ms = 0.0  # what is added to a difference of the two clocks; 0 while nothing is known
        self._forget()

    def _forget(self) -> None:
        self._least = float("inf")  # difference in the running part of the window
        self._parts: deque[tuple[float, float]] = deque()  # when a part ended, its least difference
        self._answers: deque[_Answer] = deque()
        self._trips: deque[tuple[float, float]] = deque()
        self._part_s = self._clock.monotonic_s()
        self._running_s = self._clock.now_ns() / 1e9 - self._part_s

    def heard(self, difference_ms: float) -> None:
        """An event came: our time of receipt minus its own."""
        if difference_ms < self._least:
            self._least = difference_ms

    def answered(self, theirs_ms: float, sent_ns: int, recv_ns: int) -> None:
        """The exchange told its time."""
        middle_ms = (sent_ns + recv_ns) / 2e6
        if recv_ns >= sent_ns and abs(theirs_ms - middle_ms) <= RECORDED_MS:
            now_s = self._clock.monotonic_s()
            self._answers.append(_Answer(now_s, theirs_ms - middle_ms, (recv_ns - sent_ns) / 1e6))

    def pinged(self, round_trip_ms: float) -> None:
        self._trips.append((self._clock.monotonic_s(), round_trip_ms))

    def settle(self) -> None:
        """Estimate anew; about once a second."""
        now_s = self._clock.monotonic_s()
        if abs(self._clock.now_ns() / 1e9 - now_s - self._running_s) > JUMP_S:
            self._forget()
        if now_s - self._part_s >= PART_S:
            self._parts.append((now_s, self._least))
            self._least, self._part_s = float("inf"), now_s
            self._running_s = self._clock.now_ns() / 1e9 - now_s  # a slow correction of our clock is no jump
        for kept in (self._parts, self._answers, self._trips):
            while kept and kept[0][0] < now_s - WINDOW_S:
                kept.popleft()
        self._estimate()

    def _estimate(self) -> None:
        least = min([self._least, *(least for _, least in self._parts)])
        self.offset_ms = self.error_ms = None
        if self._answers:
            best = min(self._answers, key=lambda answer: answer.round_trip_ms)
            self.error_ms = best.round_trip_ms / 2
            self.offset_ms = min(max(best.offset_ms, -least), best.offset_ms + self.error_ms)
        elif self._trips and least != float("inf"):
            half_ms = min(trip for _, trip in self._trips) / 2
            self.offset_ms, self.error_ms = half_ms - least, half_ms
        self.correction_ms = self.offset_ms or 0.0


async def keep_time(venue: "Venue", clock: Clock) -> None:
    """Ask the exchange for its time, or ping it, now and then."""
    count = failed = 0
    while True:
        await asyncio.sleep(FIRST_QUESTIONS_S if count < 3 else QUESTIONS_S)
        if any(feed.state in _BUILT for feed in venue.feeds.values()):
            continue  # the snapshots first
        count += 1
        adapter = venue.adapter
        if isinstance(adapter, TellsTime) and failed < UNANSWERED:
            try:
                answer = await venue.rest.send(adapter.time_request(venue.config.products[0]))
                venue.clock_offset.answered(adapter.parse_time(answer.raw), answer.sent_ns, answer.recv_ns)
            except FeedError as error:
                failed += 1
                if failed == UNANSWERED:
                    log.info("the exchange does not tell its time", exchange=venue.name, error=str(error))
                continue
            failed = 0
        else:
            live = [lane.connection for lane in venue.lanes if lane.connection.state is StreamState.LIVE]
            sent_s = clock.monotonic_s()
            if not live or not await live[0].ping(timeout_s=5.0):
                continue
            venue.clock_offset.pinged((clock.monotonic_s() - sent_s) * 1000)
