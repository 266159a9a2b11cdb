"""One supervised WebSocket connection.

A frame's way: the reader puts it into a bounded buffer, stamped with the time of receipt; the drainer hands it, parsed,
to the owner, synchronously and in order, a few milliseconds at a time, so that the loop stays responsive whatever
comes. Where frames had to be dropped the owner is told before it gets any later one. (``link`` has these parts.)

Whether the connection is any good is decided by **data**, never by an open socket: only data make it LIVE and reset
the backoff. An exchange that accepts and kicks is therefore asked more and more rarely.

Compression is off: inflating a recorded Binance frame (250 bytes, 0.16 of it when deflated) costs 3.5 µs, half of what
decoding it costs, to save 45 kB/s on a connection of 200 frames a second.

A proxy is taken from the environment (``HTTPS_PROXY`` and the like), as by REST, but never for this machine itself.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

import structlog
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.typing import Origin

from feeds.buffer import FrameBuffer
from feeds.clock import SYSTEM, Clock
from feeds.domain import StreamState, Subscription
from feeds.errors import FeedError, Verdict
from feeds.exchange import Facts
from feeds.hosts import is_local
from feeds.ledger import Ledger
from feeds.link import Link
from feeds.pacing import ConnectGate, SendGate, backoff, wait_s
from feeds.recordings.tap import Tap
from feeds.wire import Counted, Counters, Ending, Setup, Timing, WireSession

__all__ = ["ConnectGate", "Connection", "ConnectionHandler", "Timing", "WireSession", "backoff"]

USER_AGENT = "Spreadboard"

MAX_FRAME = 64 * 1024 * 1024
"""Bytes. Snapshots of whole books reach 5 MB (Coinbase)."""

log = structlog.get_logger(__name__)

# The library logs the opening request at level DEBUG, and the address of an account's stream holds its token.
_library_log = logging.getLogger("spreadboard.websockets")
_library_log.setLevel(logging.WARNING)


class ConnectionHandler(Protocol):
    """What a connection tells its owner. All are synchronous and called from the event loop, in order."""

    def on_events(self, connection: "Connection", events: list[Any], recv_ns: int) -> None:
        """One frame's events, acknowledgements and heartbeats included; never empty."""

    def on_state(self, connection: "Connection", state: StreamState, reason: str) -> None:
        """State or reason changed. SYNCING is always a fresh connection: what was received before is void."""

    def on_overflow(self, connection: "Connection", dropped: int) -> None:
        """Frames were dropped unread: every book on this connection has a hole and must be rebuilt.

        Called before any later frame is handed on.
        """

    def on_lost(self, connection: "Connection", detail: str) -> None:
        """A frame could not be understood. It may have been any market's book update: books without a sequence to
        prove the contrary must be treated as after an overflow. (A checksum may be of the best levels alone.)"""

    def on_subscribed(self, connection: "Connection", subscriptions: Sequence[Subscription]) -> None:
        """The exchange accepted these."""

    def on_rejected(self, connection: "Connection", subscriptions: Sequence[Subscription], reason: str) -> None:
        """The exchange refused these, or never answered; they are no longer in ``subscriptions``."""


class Connection(Counted):
    """One supervised WebSocket: connect, subscribe, keep alive, watch, back off.

    ``name`` is for people and the log: "<exchange>/<route>/<number>"; its first part is logged as the exchange.
    ``url`` may hold a token: only its host is ever logged. It is asked for before every attempt; a FeedError whose
    verdict is FATAL ends the attempts until :meth:`reconnect` is called.
    ``may_be_silent``: silence says nothing (an account's stream). After half of ``stale_s`` of silence a WebSocket ping
    asks, and its answer counts as a heartbeat; an acknowledgement makes the stream LIVE, or if the session has nothing
    to say at opening, the first answered ping.
    ``on_closing`` is asked when the exchange announces the end of a connection that has brought data. True: the owner
    has it replaced, so it stays until the exchange ends it; else it is given up at once.
    """

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
        on_closing: Callable[[str], bool] | None = None,
        delays: Callable[[], Iterator[float]] = backoff,
        gate: ConnectGate | None = None,
        send_gate: SendGate | None = None,
        timing: Timing | None = None,
        tap: Tap | None = None,
        clock: Clock = SYSTEM,
    ) -> None:
        self.name = name
        self.state = StreamState.CONNECTING
        self.reason = ""
        self.since_ns = clock.now_ns()  # of the state
        self.url_host = ""
        self.reconnects = 0  # connections made after the first one
        self.failed = 0  # attempts in a row that brought nothing
        self._url = url
        self._new_session = new_session
        self._handler = handler
        self._on_closing = on_closing
        self._delays = delays
        self._tap = tap
        self._clock = clock
        self._timing = timing or Timing()
        self._gate = gate or ConnectGate(facts.connects_per_minute, clock=clock)
        self._log = log.bind(exchange=name.partition("/")[0], stream=name)
        self._setup = Setup(
            facts=facts,
            stale_s=stale_s,
            reconnect_s=reconnect_s,
            may_be_silent=may_be_silent,
            timing=self._timing,
            clock=clock,
            log=self._log,
            send_gate=send_gate,
        )
        self._ledger = Ledger(answer_s=self._timing.answer_s, end_s=self._timing.end_s)
        self._buffer = FrameBuffer(buffer_frames)
        self._counters = Counters()
        self._link: Link | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._awake = asyncio.Event()
        self._connected_before = False

    # For the owner

    def start(self) -> None:
        """Begin; idempotent."""
        if self._task is None:
            self._stopping = False
            self._task = asyncio.get_running_loop().create_task(self._supervise(), name=f"stream {self.name}")

    async def stop(self) -> None:
        """Close and end every task, within 2 s; idempotent. The state is DOWN then, reason "stopped"."""
        task = self._task
        if task is None:
            return
        if not self._stopping:
            self._stopping = True
            task.cancel()
        await asyncio.wait([task])
        if self._task is task:
            self._task = None
            self._close_spool("stopped")
            self.set_state(StreamState.DOWN, "stopped")

    def add(self, subscriptions: Iterable[Subscription]) -> None:
        """Want these: asked for now and after every connect, batched, within ``facts.messages_per_s``."""
        self._ledger.add(subscriptions)
        self._wake()

    def remove(self, subscriptions: Iterable[Subscription]) -> None:
        """Want these no more."""
        self._ledger.remove(subscriptions)
        self._wake()

    def resubscribe(self, subscription: Subscription) -> None:
        """End it, wait for the answer (5 s at most), and ask for it again: gives a new snapshot (Kraken)."""
        self._ledger.resubscribe(subscription)
        self._wake()

    def reconnect(self, reason: str) -> None:
        """Give this connection up and open another: at once if it had data, else after the backoff.

        After a fatal error (a refused key): try again. Without a connection there is nothing else to do.
        """
        self._awake.set()
        if self._link:
            self._link.end(Ending(reason=reason, prompt=True))

    def send(self, message: str) -> None:
        """Send a message of the session's own, within ``facts.messages_per_s``; nothing without a connection."""
        if self._link:
            self._link.post(message)

    def confirm_quiet(self, valid_s: float) -> None:
        """The owner knows, by a probe, that the silence is right: QUIET for ``valid_s``, or until data come."""
        if self._link:
            self._link.confirm_quiet(valid_s)

    async def ping(self, timeout_s: float) -> bool:
        """WebSocket ping; True if the pong came in time. False without a connection."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                return self._link is not None and await self._link.ping()
        return False

    def inherit(self, other: "Connection") -> None:
        """Take the place of another connection: what it counted is counted here from now on."""
        self._counters.add(other._counters)
        self._buffer.dropped += other.dropped
        self.reconnects += other.reconnects

    @property
    def age_s(self) -> float | None:
        """Seconds since the present connection was opened, None while there is none."""
        return self._link.age_s if self._link else None

    @property
    def subscriptions(self) -> set[Subscription]:
        """What is wanted."""
        return self._ledger.wanted

    def current(self, subscription: Subscription) -> bool:
        """Does what comes answer the last question for it? Else it is the rest of one that was given up."""
        return self._ledger.current(subscription)

    @property
    def settled(self) -> bool:
        """The exchange has accepted everything that is wanted."""
        return self._ledger.settled

    @property
    def dropped(self) -> int:
        """Frames dropped because the buffer was full."""
        return self._buffer.dropped

    @property
    def buffered(self) -> int:
        """Frames that wait now."""
        return len(self._buffer)

    # The one setter

    def set_state(self, state: StreamState, reason: str) -> None:
        """The only place where the state changes. For the connection's own parts."""
        if (state, reason) == (self.state, self.reason):
            return
        was, self.state, self.reason = self.state, state, reason
        if was is not state:
            self.since_ns = self._clock.now_ns()
        if state is StreamState.LIVE:
            self.failed = 0
        serious = state in (StreamState.STALE, StreamState.DOWN) and not self._stopping
        (self._log.warning if serious else self._log.info)("stream state", state=state, was=was, reason=reason)
        try:
            self._handler.on_state(self, state, reason)
        except Exception:
            self._log.exception("handler failed", state=state)  # the supervision itself must go on

    # Supervision

    async def _supervise(self) -> None:
        delays = self._delays()
        while True:
            link, ending = await self._attempt()
            self._close_spool(ending.reason)
            good = link is not None and link.good and not ending.failed
            goes_on = good and not ending.fatal
            self.set_state(StreamState.CONNECTING if goes_on else StreamState.DOWN, ending.reason)
            if ending.fatal:
                self._awake.clear()
                await self._awake.wait()
            self.failed = 0 if good else self.failed + 1
            if good or ending.fatal:
                delays = self._delays()
            if not ((good and ending.prompt) or ending.fatal):
                await asyncio.sleep(max(next(delays), ending.retry_after_s))

    async def _attempt(self) -> tuple[Link | None, Ending]:
        """Connect, and serve the connection to its end. Never raises but when cancelled."""
        link = None
        try:
            await self._gate.wait()
            url = self._url if isinstance(self._url, str) else await self._url()
            self.url_host = urlsplit(url).netloc.rpartition("@")[2]
            link = await self._open(url)
            return link, await link.run()
        except FeedError as error:
            self._log.info("cannot connect", error=str(error))
            return link, Ending(reason=error.sentence, fatal=error.verdict is Verdict.FATAL)
        except InvalidStatus as error:
            return link, Ending(
                reason=f"refused with HTTP {error.response.status_code}",
                retry_after_s=wait_s(error.response.headers.get("Retry-After"), self._clock.now_ns() / 1e9) or 0.0,
            )
        except TimeoutError:
            return link, Ending(reason=f"no answer within {self._timing.open_s:g} s")
        except OSError as error:
            return link, Ending(reason=f"cannot connect: {error.strerror or type(error).__name__}")
        except WebSocketException as error:
            return link, Ending(reason=f"cannot connect: {type(error).__name__}")
        except Exception as error:
            self._log.exception("stream failed")
            return link, Ending(reason=f"internal error: {type(error).__name__}", failed=True)
        finally:
            self._link = None
            self._buffer.clear()

    async def _open(self, url: str) -> Link:
        facts = self._setup.facts
        ws = await connect(
            url,
            compression=None,
            proxy=None if is_local(url) else True,
            user_agent_header=USER_AGENT,
            origin=Origin(facts.origin) if facts.origin else None,
            open_timeout=self._timing.open_s,
            close_timeout=self._timing.close_s,
            ping_interval=None,
            max_size=MAX_FRAME,
            max_queue=None,  # the reader empties it at every turn of the loop; the bound is our own buffer's
            logger=_library_log,
        )
        try:
            self._ledger.restart()
            if self._tap is not None:
                self._buffer.spool = self._tap.connected(self.name)
            link = Link(
                ws,
                self._new_session(),
                self._setup,
                ledger=self._ledger,
                buffer=self._buffer,
                counters=self._counters,
                delegate=self,
            )
            self.reconnects += self._connected_before
            self._connected_before = True
            self._link = link
            self.set_state(StreamState.SYNCING, "")
        except BaseException:
            ws.transport.abort()
            raise
        return link

    def _close_spool(self, reason: str) -> None:
        spool, self._buffer.spool = self._buffer.spool, None
        if spool is not None:
            spool.closed(reason)

    def _wake(self) -> None:
        if self._link:
            self._link.wake()

    # Link's delegate

    def link_events(self, events: list[Any], recv_ns: int) -> None:
        self._handler.on_events(self, events, recv_ns)

    def link_overflow(self, dropped: int) -> None:
        self._handler.on_overflow(self, dropped)

    def link_lost(self, detail: str) -> None:
        self._handler.on_lost(self, detail)

    def link_subscribed(self, subscriptions: list[Subscription]) -> None:
        self._handler.on_subscribed(self, subscriptions)

    def link_rejected(self, subscriptions: list[Subscription], reason: str) -> None:
        self._handler.on_rejected(self, subscriptions, reason)

    def link_closing(self, reason: str) -> bool:
        return self._on_closing is not None and self._on_closing(reason)
