"""What a connection (``stream``) and its open socket (``link``) share: settings, counters, interfaces."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
from structlog.typing import FilteringBoundLogger
from websockets.exceptions import ConnectionClosed

from feeds.clock import Clock
from feeds.domain import StreamState, Subscription
from feeds.exchange import Facts
from feeds.pacing import SendGate

MOST_KINDS = 50
"""So many unknown kinds are logged, of one connection."""


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """Times that are the same for every exchange, in seconds; tests shrink them."""

    open_s: float = 10.0  # TCP, TLS and handshake
    close_s: float = 1.0  # closing handshake
    answer_s: float = 10.0  # a subscription without an answer is asked for once more, then reported as rejected
    end_s: float = 5.0  # wait for the answer to an unsubscribe before subscribing again
    slow_s: float = 1.0  # the oldest buffered frame waits longer: SLOW
    slice_s: float = 0.005  # frames are processed this long before others get the loop
    burst_s: float = 10.0  # frames that are not understood are logged as one burst until this long a pause
    settled_s: float = 60.0  # a stream that may be silent resets the backoff after this long
    tick_s: float = 0.25  # the watch looks this often


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """What stays the same from one connection to the next."""

    facts: Facts
    stale_s: float
    reconnect_s: float
    may_be_silent: bool
    timing: Timing
    clock: Clock
    log: FilteringBoundLogger
    send_gate: SendGate | None = None  # shared with other connections; None: one of its own


class Counters:
    """What was received, over all connections of one stream."""

    def __init__(self) -> None:
        self.messages = 0
        self.bytes = 0
        self.not_understood = 0
        self.unknown = 0
        self._kinds: set[str] = set()  # of the unknown ones, as the log knows
        self.last_frame_ns: int | None = None
        self._samples: deque[tuple[float, int]] = deque(maxlen=6)

    def add(self, other: "Counters") -> None:
        """Count what another one has counted as well."""
        self.messages += other.messages
        self.bytes += other.bytes
        self.not_understood += other.not_understood
        self.unknown += other.unknown

    def note_unknown(self, kind: str, log: FilteringBoundLogger) -> None:
        """Count a frame of a kind that we do not know, and log the first of each kind."""
        self.unknown += 1
        if kind not in self._kinds and len(self._kinds) < MOST_KINDS:
            self._kinds.add(kind)
            log.info("unknown kind of frame", kind=kind)

    def sample(self, now_s: float) -> None:
        """Note the count about once a second, for the rate."""
        if not self._samples or now_s - self._samples[-1][0] >= 1.0:
            self._samples.append((now_s, self.messages))

    def rate(self, now_s: float) -> float:
        """Messages per second, over about the last five seconds."""
        if not self._samples or now_s - self._samples[-1][0] > 10.0:
            return 0.0
        since_s, messages = self._samples[0]
        return (self.messages - messages) / (now_s - since_s) if now_s > since_s else 0.0


class Counted:
    """What a connection's counters tell. To be built upon."""

    _counters: Counters
    _clock: Clock

    @property
    def messages(self) -> int:
        """Frames received, over all connections."""
        return self._counters.messages

    @property
    def bytes(self) -> int:
        return self._counters.bytes

    @property
    def not_understood(self) -> int:
        return self._counters.not_understood

    @property
    def unknown(self) -> int:
        """Frames of a kind that we do not know."""
        return self._counters.unknown

    @property
    def last_frame_ns(self) -> int | None:
        """When the last data or heartbeat was received."""
        return self._counters.last_frame_ns

    @property
    def messages_per_s(self) -> float:
        return self._counters.rate(self._clock.monotonic_s())


class WireSession(Protocol):
    """What a link needs of a session: ``feeds.exchange.Session``, or a private one wrapped to fit.

    ``parse`` returns events of ``feeds.domain`` (``Event`` or ``PrivateEvent``) and raises ParseError only.
    """

    def opening(self) -> list[str]: ...

    def subscribe(self, subscriptions: Sequence[Subscription]) -> list[str]: ...

    def unsubscribe(self, subscriptions: Sequence[Subscription]) -> list[str]: ...

    def keepalive(self) -> str | None: ...

    def parse(self, raw: bytes | str) -> Sequence[Any]: ...


class Delegate(Protocol):
    """Whom a link tells what happens; see ``stream.ConnectionHandler`` for the meaning."""

    @property
    def state(self) -> StreamState: ...

    def set_state(self, state: StreamState, reason: str) -> None: ...

    def link_events(self, events: list[Any], recv_ns: int) -> None: ...

    def link_overflow(self, dropped: int) -> None: ...

    def link_lost(self, detail: str) -> None: ...

    def link_subscribed(self, subscriptions: list[Subscription]) -> None: ...

    def link_rejected(self, subscriptions: list[Subscription], reason: str) -> None: ...

    def link_closing(self, reason: str) -> bool: ...


class Ping:
    """In the outbox: a WebSocket ping, and who waits for its pong."""

    __slots__ = ("waiter",)

    def __init__(self, waiter: asyncio.Future[bool]) -> None:
        self.waiter = waiter


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """Why a connection ended, or could not be made."""

    reason: str
    prompt: bool = False  # connect anew without delay, if this one was any good
    failed: bool = False  # our own fault: what it received does not speak for it
    fatal: bool = False  # a person must act
    retry_after_s: float = 0.0  # the exchange's wish


def why_closed(closed: ConnectionClosed, log: FilteringBoundLogger) -> str:
    """Who closed first, with which code; in the log, and as a reason for the screen."""
    received, sent = closed.rcvd, closed.sent
    if received is not None and closed.rcvd_then_sent is not False:
        by, frame = "exchange", received
        why = f"the exchange closed the connection: {received.code} {received.reason}".rstrip()
    elif sent is not None:
        by, frame = "us", sent
        why = f"closed by us: {sent.code} {sent.reason}".rstrip()
    else:
        by, frame = "nobody", None
        cause = closed.__cause__
        why = "the connection broke" + (f": {type(cause).__name__}" if cause else "")
    log.info(
        "connection closed",
        closed_by=by,
        close_code=frame.code if frame else None,
        close_reason=frame.reason if frame else str(closed.__cause__ or ""),
    )
    return why
