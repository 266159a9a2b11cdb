"""What an exchange has no stream for: asked for by REST on a timer, with the face of a connection.

To its venue and to the status board it is one more connection: markets are added and removed, its state is decided by
data. LIVE: the last round of questions was answered. STALE: none was for three rounds, and the reason says why.
Questions are asked one after the other, so that a round never takes more of the budget than its pace needs.
"""

import asyncio
import contextlib
import random
from urllib.parse import urlsplit

from feeds.clock import SYSTEM, Clock
from feeds.domain import StreamState, Subscription
from feeds.errors import FeedError, ParseError, RateLimited
from feeds.exchange import Facts, PollSession, Request
from feeds.rest import RestClient
from feeds.stream import Connection, ConnectionHandler, WireSession

JITTER = 0.1  # of the interval, so that many markets do not ask in step
GAP_S = 0.2
"""A new subscription is asked for so soon; those that come together make one round."""
ROUNDS_MISSED = 3


def _no_session() -> WireSession:
    raise RuntimeError("a polled connection has no socket, and so nobody to talk to on it")


class RestRounds(Connection):
    """``session`` says what to ask and what the answers mean; ``facts.round_s`` is the time from round to round."""

    def __init__(
        self,
        *,
        name: str,
        url: str,
        session: PollSession,
        rest: RestClient,
        facts: Facts,
        handler: ConnectionHandler,
        clock: Clock = SYSTEM,
    ) -> None:
        super().__init__(name=name, url=url, new_session=_no_session, facts=facts, handler=handler, clock=clock)
        self.url_host = urlsplit(url).netloc
        self._session = session
        self._rest = rest
        self._round_s = facts.round_s
        self._news = asyncio.Event()
        self._failing: dict[tuple[int, str], str] = {}  # question (its place in the round, its path) -> why it fails
        self._good_s = clock.monotonic_s()  # when the last round without a failure ended

    def _wake(self) -> None:
        self._news.set()

    def current(self, subscription: Subscription) -> bool:
        """Whoever is wanted is asked for at every round."""
        return subscription in self._ledger.wanted

    async def _supervise(self) -> None:
        while True:
            self._news.clear()
            if not self._ledger.wanted:
                self._failing.clear()
                await self._news.wait()
                self._good_s = self._clock.monotonic_s()
            await asyncio.sleep(GAP_S)
            self._news.clear()
            waits_s = await self._round()
            pause_s = max(self._round_s * random.uniform(1 - JITTER, 1 + JITTER), waits_s)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._news.wait()

    async def _round(self) -> float:
        """Ask everything once. Returns how long the exchange wants us to wait, 0 if it does not."""
        requests = self._session.requests(sorted(self._ledger.wanted, key=str))
        asked = {(place, request.path): request for place, request in enumerate(requests)}
        self._failing = {key: why for key, why in self._failing.items() if key in asked}
        for key, request in asked.items():
            try:
                await self._ask(request)
            except FeedError as error:
                if key not in self._failing:
                    self._log.warning("poll failed", path=request.path, error=str(error))
                self._failing[key] = error.sentence
                if isinstance(error, RateLimited):
                    self._judge()
                    return error.retry_after_s
            else:
                if self._failing.pop(key, None) is not None:
                    self._log.info("poll recovered", path=request.path)
            self._judge()
        return 0.0

    async def _ask(self, request: Request) -> None:
        answer = await self._rest.send(request)
        self._counters.messages += 1
        self._counters.bytes += len(answer.raw)
        self._counters.sample(self._clock.monotonic_s())
        try:
            events = self._session.parse(request, answer.raw)
        except ParseError:
            self._counters.not_understood += 1
            raise
        self._counters.last_frame_ns = answer.recv_ns
        if events:
            self._handler.on_events(self, events, answer.recv_ns)

    def _judge(self) -> None:
        now_s = self._clock.monotonic_s()
        if not self._failing:
            self._good_s = now_s
            self.set_state(StreamState.LIVE, "")
        elif now_s - self._good_s > ROUNDS_MISSED * self._round_s:
            self.set_state(StreamState.STALE, next(iter(self._failing.values())))
