"""One private stream of an account: a supervised connection with a login, kept valid.

The token of the address or login is fetched anew for every connection, since nobody tells whether the old one still
holds. It is renewed on a timer; if that fails for good, or the exchange says that it expired, the connection is made
anew. The stream counts as standing when the connection is LIVE; each time it comes to stand something may have been
missed before, so the owner is told to read everything again.

An open socket that answers pings proves nothing: a fill that REST tells and the stream does not is the proof that the
stream is mute, and it is replaced.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import structlog

from feeds.account import AccountApi, GivesTokens, PrivateRoute, PrivateSession
from feeds.account_domain import Expired, Fill, FillTold, Order, PrivateEvent
from feeds.clock import SYSTEM, Clock
from feeds.domain import Rejected, StreamState, Subscription
from feeds.errors import CredentialsError, ExchangeError, FeedError
from feeds.following.signed_rest import SignedRest
from feeds.recordings.tap import Tap
from feeds.stream import ConnectGate, Connection, backoff

log = structlog.get_logger(__name__)

RENEW_RETRIES = 5
RENEW_RETRY_S = 60.0

MUTE_S = 5.0
"""A fill that REST has told must have come by the stream so much later, or the stream is mute."""

REMEMBERED = 1000
"""Fills that the stream told last, by which it is judged."""

STANDING = frozenset({StreamState.LIVE, StreamState.QUIET, StreamState.SLOW})


class StreamOwner(Protocol):
    """Whom a private stream tells; all synchronous, from the event loop."""

    def stream_events(self, stream: "PrivateStream", events: list[PrivateEvent], recv_ns: int) -> None: ...

    def stream_standing(self, stream: "PrivateStream") -> None:
        """Subscribed from now on; or frames were lost meanwhile. What happened before must be read by REST."""

    def stream_changed(self, stream: "PrivateStream") -> None:
        """State or reason changed."""

    def stream_refused(self, stream: "PrivateStream", error: FeedError) -> None:
        """The exchange refuses the key: nothing helps but another one."""


class _Session:
    """A PrivateSession as a connection wants it: it knows the exchange's time at login, and has no subscriptions."""

    def __init__(self, session: PrivateSession, now_ms: Callable[[], int]) -> None:
        self._session = session
        self._now_ms = now_ms
        self.parse = session.parse
        self.keepalive = session.keepalive

    def opening(self) -> list[str]:
        return self._session.opening(self._now_ms())

    def subscribe(self, subscriptions: Sequence[Subscription]) -> list[str]:
        return []

    def unsubscribe(self, subscriptions: Sequence[Subscription]) -> list[str]:
        return []


class PrivateStream:
    """A :class:`feeds.stream.Connection` for one route of one account. Also its ConnectionHandler."""

    def __init__(
        self,
        name: str,
        route: PrivateRoute,
        api: AccountApi,
        rest: SignedRest,
        owner: StreamOwner,
        *,
        stale_s: float = 5.0,
        reconnect_s: float = 30.0,
        gate: ConnectGate | None = None,
        delays: Callable[[], Iterator[float]] = backoff,
        tap: Tap | None = None,
        clock: Clock = SYSTEM,
    ) -> None:
        self.route = route
        self.standing_s: float | None = None
        """Monotonic: subscribed without a break since then; None while it is not."""
        self._api = api
        self._rest = rest
        self._owner = owner
        self._tap = tap
        self._clock = clock
        self._log = log.bind(exchange=name.partition("/")[0], stream=name)
        self._token: str | None = None
        self._clock_refused = False
        self._renewal: asyncio.Task[None] | None = None
        self._told: deque[tuple[object, ...]] = deque(maxlen=REMEMBERED)
        self._expected: dict[tuple[object, ...], float] = {}  # fill: when it is overdue
        self.connection = Connection(
            name=name,
            url=self._url,
            new_session=self._new_session,
            facts=route.facts,
            handler=self,
            stale_s=stale_s,
            reconnect_s=reconnect_s,
            may_be_silent=True,
            delays=delays,
            gate=gate,
            tap=tap,
            clock=clock,
        )

    @property
    def state(self) -> StreamState:
        return self.connection.state

    @property
    def reason(self) -> str:
        return self.connection.reason

    def start(self) -> None:
        """Idempotent."""
        self.connection.start()
        if self._renewal is None and self.route.renew_request is not None and self.route.renew_s is not None:
            self._renewal = asyncio.create_task(self._renew(), name=f"renewal of {self.connection.name}")

    async def stop(self) -> None:
        """Idempotent."""
        renewal, self._renewal = self._renewal, None
        if renewal is not None:
            renewal.cancel()
            await asyncio.gather(renewal, return_exceptions=True)
        await self.connection.stop()

    def reconnect(self, reason: str) -> None:
        self.connection.reconnect(reason)

    def expect(self, fills: Iterable[Fill]) -> None:
        """REST told these fills first: those that happened while the stream stood must come by it too, or at least
        their orders."""
        if self.standing_s is None:
            return
        since_ms = self._rest.at_least_ms(self.route.product, self.standing_s) + 1000
        overdue_s = self._clock.monotonic_s() + MUTE_S
        for fill in fills:
            key = self._key(fill)
            if fill.product in self.route.subjects and fill.exchange_ms > since_ms and key not in self._told:
                self._expected[key] = overdue_s

    def _key(self, fill: Fill | FillTold) -> tuple[object, ...]:
        """What a fill is known by, on this stream and by REST; by its order, where that is all the stream tells."""
        if not self.route.tells_fills:
            return fill.symbol, fill.order_id
        if isinstance(fill, Fill) and self.route.names_fills:
            return fill.symbol, fill.id
        return fill.order_id, fill.price, fill.size

    def check(self) -> int:
        """To be called every second or so: replace the connection if it is found mute. Returns how many fills it has
        not told."""
        now_s = self._clock.monotonic_s()
        overdue = sum(due_s <= now_s for due_s in self._expected.values())
        if overdue:
            self._log.warning("stream is mute", fills=overdue)
            self._expected.clear()
            self.reconnect(f"it did not tell {overdue} fills")
        return overdue

    # Login

    async def _url(self) -> str:
        if self._clock_refused:
            await self._rest.measure(self.route.product)
            self._clock_refused = False
        if self.route.token_request is not None:
            try:
                told = await self._rest.ask(self.route.token_request, urgent=True)
                self._token = self._tokens().parse_token(self.route, told.raw)
                if self._tap is not None:
                    self._tap.hide(self._token)
            except CredentialsError as error:
                self._owner.stream_refused(self, error)
                raise
        return self._api.url(self.route, self._token)

    def _tokens(self) -> GivesTokens:
        if not isinstance(self._api, GivesTokens):
            raise TypeError(f"{type(self._api).__name__} does not read the token of its route {self.route.name}")
        return self._api

    def _new_session(self) -> _Session:
        session = self._api.session(self.route, self._token)
        return _Session(session, lambda: self._rest.now_ms(self.route.product))

    async def _renew(self) -> None:
        assert self.route.renew_request is not None and self.route.renew_s is not None
        while True:
            await asyncio.sleep(self.route.renew_s)
            for attempt in range(1, RENEW_RETRIES + 1):
                if self._token is None:
                    break  # never connected yet
                try:
                    await self._rest.ask(self.route.renew_request, urgent=True)
                    break
                except CredentialsError as error:
                    self._owner.stream_refused(self, error)
                    return
                except ExchangeError as error:  # the token is unknown: a new one comes with a new connection
                    self._log.warning("renewal refused", error=str(error))
                    self.reconnect("the login could not be renewed")
                    break
                except FeedError as error:
                    self._log.warning("renewal failed", error=str(error), attempt=attempt)
                    await asyncio.sleep(min(RENEW_RETRY_S, self.route.renew_s / RENEW_RETRIES))
            else:
                self.reconnect("the login could not be renewed")

    # ConnectionHandler

    def on_events(self, connection: Connection, events: list[Any], recv_ns: int) -> None:
        for event in events:
            if isinstance(event, Expired):
                self._log.info("login expired", reason=event.reason)
                self.reconnect(event.reason)
            elif isinstance(event, Rejected):
                self._rejected(event)
            elif isinstance(event, Fill | FillTold):
                self._heard(self._key(event))
            elif isinstance(event, Order) and not self.route.tells_fills:
                self._heard((event.symbol, event.id))
        self._owner.stream_events(self, events, recv_ns)

    def _heard(self, key: tuple[object, ...]) -> None:
        self._told.append(key)
        self._expected.pop(key, None)

    def _rejected(self, rejected: Rejected) -> None:
        error = self._api.refusal(rejected)
        self._log.warning("login refused", error=str(error))
        if isinstance(error, CredentialsError):
            self._owner.stream_refused(self, error)
        else:
            self._clock_refused = self._api.clock_error(error)
            self.reconnect(f"the exchange refused the login: {rejected.reason}")

    def on_state(self, connection: Connection, state: StreamState, reason: str) -> None:
        if state is StreamState.SYNCING or state in (StreamState.CONNECTING, StreamState.DOWN):
            self.standing_s = None
            self._expected.clear()
        elif state in STANDING and self.standing_s is None:
            self.standing_s = self._clock.monotonic_s()
            self._owner.stream_standing(self)
        self._owner.stream_changed(self)

    def on_overflow(self, connection: Connection, dropped: int) -> None:
        self._owner.stream_standing(self)

    def on_lost(self, connection: Connection, detail: str) -> None:
        self._owner.stream_standing(self)

    def on_subscribed(self, connection: Connection, subscriptions: Sequence[Subscription]) -> None:
        """There are none."""

    def on_rejected(self, connection: Connection, subscriptions: Sequence[Subscription], reason: str) -> None:
        """There are none."""
