"""One supervised WebSocket connection. (Signatures; being filled in.)"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import msgspec

from feeds.clock import SYSTEM, Clock
from feeds.domain import StreamState, Subscription
from feeds.exchange import Facts


def backoff() -> Iterator[float]:
    """Seconds to wait before each further attempt: 1 to 60, exponential with jitter."""
    raise NotImplementedError


class ConnectGate:
    """How often connections may be opened from this address; one is shared by all connections of an exchange."""

    def __init__(self, per_minute: float, *, clock: Clock = SYSTEM) -> None:
        raise NotImplementedError

    async def wait(self) -> None:
        """Return when a connection may be opened now; first come, first served."""
        raise NotImplementedError


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """Times that are the same for every exchange, in seconds; tests shrink them."""

    open_s: float = 10.0  # TCP, TLS and handshake
    close_s: float = 1.0  # closing handshake
    answer_s: float = 10.0  # a subscription without an answer is asked for once more, then reported as rejected
    end_s: float = 5.0  # wait for the answer to an unsubscribe before subscribing again
    slow_s: float = 1.0  # the oldest buffered frame waits longer: SLOW
    slice_s: float = 0.005  # frames are processed this long before others get the loop
    burst_s: float = 10.0  # frames that are not understood are logged as one burst until this long a pause
    settled_s: float = 60.0  # a stream that may be silent is settled (backoff reset) after this long


class WireSession(Protocol):
    """What :class:`Connection` needs of a session: ``feeds.exchange.Session``, or a private one wrapped to fit.

    ``parse`` returns events of ``feeds.domain`` (``Event`` or ``PrivateEvent``) and raises ParseError only.
    """

    def opening(self) -> list[str]: ...

    def subscribe(self, subscriptions: Sequence[Subscription]) -> list[str]: ...

    def unsubscribe(self, subscriptions: Sequence[Subscription]) -> list[str]: ...

    def keepalive(self) -> str | None: ...

    def parse(self, raw: bytes | str) -> Sequence[Any]: ...


class ConnectionHandler(Protocol):
    """What a connection tells its owner. All are synchronous and called from the event loop, in order."""

    def on_events(self, connection: "Connection", events: list[Any], recv_ns: int) -> None:
        """One frame's events, acknowledgements and heartbeats included; never empty."""

    def on_state(self, connection: "Connection", state: StreamState, reason: str) -> None:
        """The state changed. SYNCING is always a fresh connection: what was received before is void."""

    def on_overflow(self, connection: "Connection", dropped: int) -> None:
        """Frames were dropped unread: every book on this connection has a hole and must be rebuilt.

        Called before any later frame is handed on.
        """

    def on_lost(self, connection: "Connection", detail: str) -> None:
        """A frame could not be understood. It may have been any market's book update: books without a sequence or
        checksum to prove the contrary must be treated as after an overflow."""

    def on_subscribed(self, connection: "Connection", subscriptions: Sequence[Subscription]) -> None:
        """The exchange accepted these."""

    def on_rejected(self, connection: "Connection", subscriptions: Sequence[Subscription], reason: str) -> None:
        """The exchange refused these, or never answered; they are no longer in ``subscriptions``."""


class Connection:
    """One supervised WebSocket: connect, subscribe, keep alive, watch, back off.

    ``name`` is for people and the log: "<exchange>/<route>/<number>"; its first part is logged as the exchange.
    ``url`` may hold a token: only its host is ever logged.
    ``may_be_silent``: silence says nothing (an account's stream). Then after ``stale_s`` of silence a WebSocket ping
    asks, and its answer counts as a heartbeat; an acknowledgement makes the stream LIVE.
    """

    name: str
    subscriptions: set[Subscription]  # wanted
    state: StreamState
    reason: str
    url_host: str
    messages: int
    bytes: int
    dropped: int
    buffered: int
    reconnects: int
    not_understood: int
    last_frame_ns: int | None  # last data or heartbeat, recv_ns
    since_ns: int  # of the state
    messages_per_s: float

    def __init__(
        self,
        *,
        name: str,
        url: Callable[[], Awaitable[str]] | str,
        new_session: Callable[[], WireSession],
        facts: Facts,
        handler: ConnectionHandler,
        stale_s: float = 5.0,
        reconnect_s: float = 30.0,
        buffer_frames: int = 10_000,
        may_be_silent: bool = False,
        delays: Callable[[], Iterator[float]] = backoff,
        gate: ConnectGate | None = None,
        timing: Timing | None = None,
        clock: Clock = SYSTEM,
    ) -> None:
        raise NotImplementedError

    def start(self) -> None:
        """Begin; idempotent."""
        raise NotImplementedError

    async def stop(self) -> None:
        """Close and end every task, within 2 s; idempotent. The state is DOWN, reason "stopped"."""
        raise NotImplementedError

    def add(self, subscriptions: Iterable[Subscription]) -> None:
        """Want these: asked for now and after every connect, batched, within ``facts.messages_per_s``."""
        raise NotImplementedError

    def remove(self, subscriptions: Iterable[Subscription]) -> None:
        """Want these no more."""
        raise NotImplementedError

    def resubscribe(self, subscription: Subscription) -> None:
        """End it, wait for the answer (5 s at most), and ask for it again: gives a new snapshot (Kraken)."""
        raise NotImplementedError

    def reconnect(self, reason: str) -> None:
        """Give this connection up and open another: at once if it had data, else after the backoff."""
        raise NotImplementedError

    def send(self, message: str) -> None:
        """Send a protocol message of the session's on this connection, within ``facts.messages_per_s``."""
        raise NotImplementedError

    def confirm_quiet(self, valid_s: float) -> None:
        """The owner knows, by a probe, that the silence is right: the state is QUIET and no silence is counted for
        ``valid_s`` from now."""
        raise NotImplementedError

    async def ping(self, timeout_s: float) -> bool:
        """WebSocket ping; True if the pong came in time. False without a connection."""
        raise NotImplementedError
