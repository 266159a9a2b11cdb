"""One open WebSocket: its reader, drainer, sender and watch. Made anew for every connection (see ``stream``)."""

import asyncio
import time
from collections import deque

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from feeds.account_domain import Expired, Reply
from feeds.buffer import Frame, FrameBuffer
from feeds.domain import Ack, Closing, Heartbeat, LoggedIn, Lost, Notice, Rejected, StreamState, Subscription, Unknown
from feeds.errors import ParseError
from feeds.ledger import NO_ANSWER, Batch, Ledger
from feeds.pacing import SendGate
from feeds.wire import Counters, Delegate, Ending, Ping, Setup, WireSession, why_closed

_NO_DATA = frozenset({Ack, Rejected, Heartbeat, LoggedIn, Lost, Notice, Closing, Expired, Reply, Unknown})
"""Events that say something about the connection, not about a market or an account."""


class Link:
    """One open socket. ``run`` serves it to its end and leaves neither task nor socket."""

    def __init__(
        self,
        ws: ClientConnection,
        session: WireSession,
        setup: Setup,
        *,
        ledger: Ledger,
        buffer: FrameBuffer,
        counters: Counters,
        delegate: Delegate,
    ) -> None:
        self._ws = ws
        self._session = session
        self._facts = setup.facts
        self._setup = setup
        self._timing = setup.timing
        self._clock = setup.clock
        self._log = setup.log
        self._ledger = ledger
        self._buffer = buffer
        self._counters = counters
        self._delegate = delegate

        self._ended: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._closed: Ending | None = None  # by the peer, while frames may still wait in the buffer
        self._received = asyncio.Event()
        self._work = asyncio.Event()  # for the sender
        self._outbox: deque[str | Ping] = deque()
        self._pings: set[asyncio.Future[bool]] = set()  # waiting for their pongs
        self._texts: list[asyncio.Future[bool]] = []  # those that were sent as text (Facts.pong)
        self._gate = setup.send_gate or SendGate(setup.facts.messages_per_s, clock=setup.clock)

        now_s = setup.clock.monotonic_s()
        self._opened_s = now_s
        self._frame_s = now_s  # any frame
        self._heard_s = now_s  # data or heartbeat
        self._counted_s = now_s  # silence is counted from here at the earliest
        self._kept_s = now_s  # last keepalive
        self._asked_s: float | None = None  # a ping of a stream that may be silent is under way
        self._opening = session.opening()
        self._may_ask = not setup.facts.needs_key  # else: once the session is logged in
        self._proven = False  # had data, or what counts as data for a stream that may be silent
        self._had_data = False
        self._burst = 0
        self._burst_s = 0.0

    # Life

    async def run(self) -> Ending:
        """Serve until the connection ends; returns why."""
        self._outbox.extend(self._opening)
        if self._setup.may_be_silent and not self._opening:
            self._ask()  # nothing will be acknowledged: the pong is the first sign of life
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(part()) for part in (self._read, self._drain, self._send, self._watch)]
        for task in tasks:
            task.add_done_callback(self._part_done)
        try:
            return await self._ended
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for waiter in list(self._pings):
                self._answer(waiter, False)
            self._close_burst()
            await self._close()

    def end(self, ending: Ending) -> None:
        """End the connection; only the first reason counts."""
        if not self._ended.done():
            self._ended.set_result(ending)

    @property
    def age_s(self) -> float:
        return self._clock.monotonic_s() - self._opened_s

    @property
    def good(self) -> bool:
        """It has shown that the exchange serves us, so the backoff may begin anew."""
        if self._had_data:
            return True
        return self._proven and self._clock.monotonic_s() - self._opened_s >= self._timing.settled_s

    def _part_done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            self._log.error("stream failed", exc_info=error)
            self.end(Ending(reason=f"internal error: {type(error).__name__}", failed=True))

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(self._timing.close_s):
                await self._ws.close()
        except TimeoutError:
            self._log.debug("closing handshake not finished in time")
        finally:
            self._ws.transport.abort()

    # Receiving

    async def _read(self) -> None:
        recv, put, clock, counters = self._ws.recv, self._buffer.put, self._clock, self._counters
        try:
            while True:
                raw = await recv(decode=False)
                put(Frame(clock.now_ns(), clock.monotonic_s(), raw))
                counters.messages += 1
                counters.bytes += len(raw)
                self._received.set()
        except ConnectionClosed as closed:
            self._closed = Ending(reason=why_closed(closed, self._log))
            self._received.set()

    async def _drain(self) -> None:
        """Hand frames on in slices; what came before a close is handed on before the close is told."""
        while True:
            await self._received.wait()
            self._received.clear()
            while self._buffer:
                stop_s = time.perf_counter() + self._timing.slice_s
                while self._buffer and time.perf_counter() < stop_s:
                    self._take()
                self._judge_lag(self._clock.monotonic_s())
                await asyncio.sleep(0)
            if self._closed:
                self.end(self._closed)
                return

    def _take(self) -> None:
        if hole := self._buffer.take_hole():
            self._log.warning("frames dropped", dropped=hole, buffer_frames=self._buffer.limit)
            self._delegate.link_overflow(hole)
        frame = self._buffer.take()
        self._frame_s = frame.recv_s
        if frame.raw == self._facts.pong:
            texts, self._texts = self._texts, []
            for waiter in texts:
                self._answer(waiter, True)
        try:
            events = self._session.parse(frame.raw)
        except ParseError as error:
            self._not_understood(error, frame)
            return
        if not events:
            return
        data = alive = False
        for event in events:
            kind = type(event)
            if kind not in _NO_DATA:
                data = True
            elif kind is Heartbeat:
                alive = True
            else:
                self._take_word(event)
        if data:
            self._had_data = self._proven = True
        if data or alive:
            self._counters.last_frame_ns = frame.recv_ns
            self._hear(frame.recv_s)
        self._delegate.link_events(list(events), frame.recv_ns)

    def _take_word(self, event: object) -> None:
        """What the exchange says about subscriptions and the connection."""
        if isinstance(event, Ack):
            if event.ended:
                self._ledger.ended(event.subscriptions)
                self._work.set()
            else:
                if accepted := self._ledger.accepted(event.subscriptions):
                    self._delegate.link_subscribed(accepted)
                self._work.set()
                if self._setup.may_be_silent:
                    self._proven = True
                    self._hear(self._frame_s)
        elif isinstance(event, Rejected) and event.again:
            self._ledger.again(event.subscriptions)
            self._work.set()
        elif isinstance(event, Rejected):
            self._reject(self._ledger.refused(event.subscriptions), event.reason)
        elif isinstance(event, Closing):
            self._log.info("exchange announces the end of the connection", reason=event.reason)
            if event.fatal:
                self.end(Ending(reason=event.reason, fatal=True))
                return
            if self._had_data and self._delegate.link_closing(event.reason):
                return  # it serves us until then, and the owner replaces it
            self.end(Ending(reason=f"the exchange announced the end: {event.reason}", prompt=True))
        elif isinstance(event, Reply):
            for message in event.messages:
                self.post(message)
        elif isinstance(event, Unknown):
            self._counters.note_unknown(event.what[:80], self._log)
        elif isinstance(event, LoggedIn):
            self._may_ask, self._opening = True, []  # answered: from here on silence is judged by what is asked for
            self._counted_s = self._clock.monotonic_s()
            self._work.set()

    def _reject(self, subscriptions: list[Subscription], reason: str) -> None:
        self._work.set()
        if subscriptions:
            self._log.warning("subscriptions rejected", subscriptions=[str(s) for s in subscriptions], reason=reason)
            self._delegate.link_rejected(subscriptions, reason)

    def _not_understood(self, error: ParseError, frame: Frame) -> None:
        self._counters.not_understood += 1
        self._burst += 1
        self._burst_s = self._clock.monotonic_s()
        if self._burst == 1:
            # An account's frames stay out of the log.
            beginning = "" if self._setup.may_be_silent else frame.raw[:200].decode(errors="replace")
            self._log.warning("frame not understood", detail=str(error), raw=beginning)
        self._delegate.link_lost(str(error))

    def _close_burst(self) -> None:
        if self._burst > 1:
            self._log.warning("frames not understood", count=self._burst)
        self._burst = 0

    def _hear(self, recv_s: float) -> None:
        """Data or a heartbeat came."""
        self._heard_s = max(self._heard_s, recv_s)
        if self._proven and self._delegate.state in (StreamState.SYNCING, StreamState.STALE, StreamState.QUIET):
            self._delegate.set_state(StreamState.LIVE, "")

    # Sending

    def wake(self) -> None:
        """The ledger or the outbox has something to send."""
        self._work.set()

    def post(self, message: str) -> None:
        self._outbox.append(message)
        self._work.set()

    def ping(self) -> asyncio.Future[bool]:
        """True when the pong comes; False when the connection ends first."""
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if self._ended.done():
            waiter.set_result(False)
            return waiter
        self._pings.add(waiter)
        waiter.add_done_callback(self._pings.discard)
        self._outbox.append(Ping(waiter))
        self._work.set()
        return waiter

    async def _send(self) -> None:
        """Everything goes out here, one after the other, no faster than the exchange allows; pings count too."""
        messages: deque[str] = deque()
        batch: Batch | None = None
        while True:
            if self._outbox:
                await self._put(self._outbox.popleft())
            elif messages:
                await self._put(messages.popleft())
            elif batch:
                self._ledger.sent(batch, self._clock.monotonic_s())
                batch = None
            elif self._may_ask and (batch := self._ledger.next()):
                messages.extend(self._messages(batch))
            else:
                self._work.clear()
                await self._work.wait()

    def _messages(self, batch: Batch) -> list[str]:
        ask = self._session.unsubscribe if batch.end else self._session.subscribe
        try:
            return ask(batch.subscriptions)
        except Exception as error:
            # One subscription that the session cannot express must not take the others down.
            self._log.exception("cannot ask", subscriptions=[str(s) for s in batch.subscriptions], end=batch.end)
            self._reject(self._ledger.refused(batch.subscriptions), f"cannot be asked for: {error!r}")
            return []

    async def _put(self, item: str | Ping) -> None:
        await self._gate.wait()
        try:
            if isinstance(item, str):
                await self._ws.send(item)
            elif self._facts.pong is not None and (text := self._session.keepalive()) is not None:
                self._texts.append(item.waiter)
                await self._ws.send(text)
            else:
                pong = asyncio.ensure_future(await self._ws.ping())
                pong.add_done_callback(lambda pong: self._ponged(pong, item.waiter))
        except ConnectionClosed:
            await asyncio.get_running_loop().create_future()  # the reader tells why; this task is ended with it

    def _ponged(self, pong: asyncio.Future[float], waiter: asyncio.Future[bool]) -> None:
        self._answer(waiter, not pong.cancelled() and pong.exception() is None)

    @staticmethod
    def _answer(waiter: asyncio.Future[bool], came: bool) -> None:
        if not waiter.done():
            waiter.set_result(came)

    # Watching

    def confirm_quiet(self, valid_s: float) -> None:
        self._counted_s = self._clock.monotonic_s() + valid_s - self._setup.stale_s
        if self._delegate.state in (StreamState.LIVE, StreamState.STALE):
            self._delegate.set_state(StreamState.QUIET, "nothing new, confirmed by the exchange")

    async def _watch(self) -> None:
        tick_s = min(self._timing.tick_s, self._setup.stale_s / 5)
        now_s = self._clock.monotonic_s()
        while True:
            due_s = now_s + tick_s
            await asyncio.sleep(tick_s)
            now_s = self._clock.monotonic_s()
            self._counters.sample(now_s)
            if now_s - due_s > tick_s:  # the loop was held up: first let the reader see what came meanwhile
                for _ in range(3):
                    await asyncio.sleep(0)
            self._judge_lag(now_s)
            self._judge_silence(now_s)
            self._keep_alive(now_s)
            self._reject(self._ledger.overdue(now_s, max(self._frame_s, self._heard_s)), NO_ANSWER)
            unanswered = self._opening and self._setup.may_be_silent and not self._proven  # pongs do not answer a login
            if (unanswered or not self._may_ask) and now_s - self._opened_s > self._timing.answer_s:
                self.end(Ending(reason=f"no answer to the login within {self._timing.answer_s:g} s"))
            if self._burst and now_s - self._burst_s > self._timing.burst_s:
                self._close_burst()

    def _judge_lag(self, now_s: float) -> None:
        age_s, state = self._buffer.age_s(now_s), self._delegate.state
        if state is StreamState.LIVE and age_s > self._timing.slow_s:
            self._delegate.set_state(StreamState.SLOW, "frames wait to be processed")
        elif state is StreamState.SLOW and age_s <= self._timing.slow_s / 2:
            self._delegate.set_state(StreamState.LIVE, "")

    def _judge_silence(self, now_s: float) -> None:
        setup = self._setup
        if not (self._opening or setup.may_be_silent or self._ledger.expecting):
            self._counted_s = now_s
            return
        if self._buffer:
            return  # it is not silent, we are late
        silent_s = now_s - max(self._heard_s, self._counted_s)
        if silent_s >= setup.reconnect_s:
            self.end(Ending(reason=f"silent for {setup.reconnect_s:g} s", prompt=True))
        elif silent_s >= setup.stale_s:
            if self._delegate.state is not StreamState.STALE:
                self._delegate.set_state(StreamState.STALE, f"no data for {setup.stale_s:g} s")
        elif setup.may_be_silent and setup.facts.heartbeat_s is None and silent_s >= setup.stale_s / 2:
            self._ask()  # where heartbeats are promised, their absence is told by nothing else

    def _ask(self) -> None:
        """A stream that may be silent is asked for a sign of life."""
        if self._asked_s is None:
            self._asked_s = self._clock.monotonic_s()
            self.ping().add_done_callback(self._answered)

    def _answered(self, pong: asyncio.Future[bool]) -> None:
        self._asked_s = None
        if not pong.cancelled() and pong.result() and not self._ended.done():
            if not self._opening:
                self._proven = True
            self._counters.last_frame_ns = self._clock.now_ns()
            self._hear(self._clock.monotonic_s())

    def _keep_alive(self, now_s: float) -> None:
        if self._facts.ping_s is None or now_s - self._kept_s < self._facts.ping_s or self._outbox:
            return
        self._kept_s = now_s
        if (message := self._session.keepalive()) is not None:
            self.post(message)
        else:
            self.ping()
