"""One account, followed: private streams, polling, the fill history, in the right order.

The order of things, at the start and after every reconnect of a stream:

1. The stream stands first (nothing is replayed, so what happens from here on comes by it).
2. Then REST is asked: balances, positions, open orders, and every market's fills from its stored cursor to the end.
3. Stream events that came meanwhile were applied as they came: every figure carries the exchange's time that it speaks
   of, and the later one holds, whichever way and in whichever order they came.

What becomes of each class: fills go into the journal and are shown when stored, none is lost or merged. A balance, a
position or an order is replaced by a later one. After a fill, or a change that only REST tells fully, REST is asked
again half a second later, once for a burst of changes.

An account is LIVE when every stream stands, everything was read again since it came to stand, each REST source has
answered within three intervals, and the store takes what it is given. A key that the exchange refuses, or that may
withdraw, ends everything: DOWN, until a person acts.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping

import structlog

from feeds.account import AccountApi, AccountSpec
from feeds.account_domain import (
    AccountChanged,
    Balance,
    Fill,
    Order,
    Position,
    PrivateEvent,
    TradedElsewhere,
    UnknownMarket,
)
from feeds.account_store import AccountStore, Notify
from feeds.clock import SYSTEM, Clock
from feeds.domain import Notice, StreamState
from feeds.errors import CredentialsError, FeedError
from feeds.exchange import Budget
from feeds.following.checks import AccountChecks
from feeds.following.fill_history import FillHistory
from feeds.following.journal import Journal, retry_delays
from feeds.following.key_rights import ask_rights, refused_withdrawal
from feeds.following.own_orders import OwnOrders
from feeds.following.pace import Pace
from feeds.following.polls import AccountPolls
from feeds.following.private_stream import PrivateStream
from feeds.following.signed_rest import SignedRest
from feeds.following.state import AccountState
from feeds.following.words import lack, remark
from feeds.recordings.tap import Tap
from feeds.rest import RestClient
from feeds.stream import ConnectGate, backoff

log = structlog.get_logger(__name__)

REFETCH_S = 0.5
"""REST is asked so much later than the change that calls for it."""

STANDING_S = 5.0
"""REST is asked for the first time when the streams stand, or so much later if they do not."""

CLOCK_S = 600.0
"""The exchange's clock is measured this often."""

NOTICE_S = 600.0
"""What the exchange says to the account's owner is shown this long."""


class NotListed(FeedError):
    sentence = "The exchange's list of markets is not loaded yet."


class AccountFollower:
    """Follows one account from :meth:`start` to :meth:`stop`.

    ``streams`` are its connections. ``reload_markets`` is called when the instruments lack one; ``own`` are the orders
    placed from here; ``budgets`` those of the exchange's hosts, of which it keeps to its part (:meth:`share`). After
    DOWN it stays down: make another to try again.
    """

    def __init__(
        self,
        spec: AccountSpec,
        api: AccountApi,
        rest: RestClient,
        store: AccountStore,
        notify: Notify,
        *,
        stale_s: float = 5.0,
        reconnect_s: float = 30.0,
        settle_s: float = 10.0,
        gate: ConnectGate | None = None,
        budgets: Mapping[str, Budget] | None = None,
        reload_markets: Callable[[], None] = lambda: None,
        own: OwnOrders | None = None,
        delays: Callable[[], Iterator[float]] = backoff,
        store_delays: Callable[[], Iterator[float]] = retry_delays,
        tap: Tap | None = None,
        clock: Clock = SYSTEM,
    ) -> None:
        self.spec = spec
        self._api = api
        self._store = store
        self._delays = delays
        self._clock = clock
        self._exchange = spec.exchange.capitalize()
        labels = {"exchange": spec.exchange, "account": spec.id}
        self._log = log.bind(**labels)
        self.rest = SignedRest(spec.exchange, api, rest, clock=clock)
        self.journal = Journal(spec.id, store, notify, delays=store_delays, on_change=self._judge, clock=clock)
        self._pace = Pace(api, budgets or {}, clock=clock)
        self._history = FillHistory(
            api,
            self.rest,
            self.journal,
            on_fatal=self._refused,
            on_change=self._judge,
            on_new=self._told_by_history,
            on_unlisted=reload_markets,
            settle_s=settle_s,
            pace=self._pace,
            delays=delays,
            labels=labels,
            clock=clock,
        )
        self._state = AccountState(self.journal, self.rest, every_s=spec.poll_s, log=self._log, clock=clock)
        self._checks = AccountChecks(spec, api, self.journal, own=own or OwnOrders(loaded=True), log=self._log)
        self.polls = AccountPolls(
            api,
            self.rest,
            self.journal,
            self._history,
            self._checks,
            every_s=spec.poll_s,
            pace=self._pace,
            on_fatal=self._refused,
            on_change=self._judge,
            labels=labels,
            clock=clock,
        )
        listening = tap.account(spec.exchange, *spec.credentials.parts) if tap is not None else None
        self.streams = [
            PrivateStream(
                f"{spec.exchange}/private-{route.name}/{spec.id}",
                route,
                api,
                self.rest,
                self,
                stale_s=stale_s,
                reconnect_s=reconnect_s,
                gate=gate,
                delays=delays,
                tap=listening,
                clock=clock,
            )
            for route in api.routes()
        ]
        self._task: asyncio.Task[None] | None = None
        self._prepared = self._stopping = False
        self._trouble = self._dead = ""  # while preparing; for good: why, as a sentence
        self._died = asyncio.Event()
        self._notice: tuple[str, float] | None = None
        self._reload_markets = reload_markets

    # For the engine

    @property
    def last_answer_ns(self) -> int | None:
        """When the exchange last answered about this account."""
        return self.rest.last_answer_ns

    def clock_offset_ms(self, product: str) -> float | None:
        """The exchange's clock minus ours; None while it is not measured."""
        return self.rest.offset_ms(product)

    def position_symbols(self) -> set[str]:
        """Symbols of open positions: their marks are needed live."""
        return {symbol for symbol in self.polls.positions.symbols() if self._api.product_of(symbol) is not None}

    def share(self, accounts: int) -> None:
        """So many accounts follow this exchange now, and share what it allows."""
        self._pace.shared_by(accounts)
        self.polls.repace()

    async def start(self) -> None:
        """Begin; idempotent. The state tells how far it is."""
        if self._task is None:
            self._stopping = False
            self.journal.start()
            self._task = asyncio.create_task(self._run(), name=f"account {self.spec.id}")

    async def stop(self) -> None:
        """End everything; what waits for the store is written first, for 2 s at most. Idempotent."""
        task, self._task = self._task, None
        if task is None:
            return
        self._stopping = True
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await self._stop_parts()
        if not self._dead:
            self._state.set(StreamState.CONNECTING, "Not followed at the moment: the worker stopped.")
        self._checks.save()
        await self.journal.stop()

    # The order of things

    async def _run(self) -> None:
        try:
            await self._prepare()
            if not self._dead:
                await self._follow()
        except Exception as error:
            self._log.exception("account failed")
            self._die(f"Following this account failed ({type(error).__name__}); the log says more.")
        await self._stop_parts()

    async def _prepare(self) -> None:
        """The clock first (nothing can be signed without it), then what the key may do, then what is stored."""
        self._judge()
        for step in (self._measure_clocks, self._check_rights, self._wait_for_markets, self._load):
            await self._insist(step)
        self._prepared = True

    async def _insist(self, step: Callable[[], Awaitable[None]]) -> None:
        """Try until it succeeds; a refused key ends it."""
        delays = self._delays()
        while not self._dead:
            try:
                await step()
            except CredentialsError as error:
                self._refused(error)
            except Exception as error:
                if not self._trouble:
                    self._log.warning("account waits", error=str(error) or repr(error))
                self._trouble = error.sentence if isinstance(error, FeedError) else "The database does not answer."
                self._judge()
                await asyncio.sleep(next(delays))
            else:
                self._trouble = ""
                return

    async def _measure_clocks(self) -> None:
        await self.rest.measure_all(self._api.clocks())

    async def _check_rights(self) -> None:
        rights = await ask_rights(self._api, self.rest, self._log)
        self.journal.rights(rights)
        if rights is not None and rights.withdraw:
            self._die(refused_withdrawal(rights.withdraw_name, self._exchange))

    async def _wait_for_markets(self) -> None:
        if not self._api.ready():
            raise NotListed("the instruments are not loaded yet")

    async def _load(self) -> None:
        symbols = await self._store.fill_symbols(self.spec.id)
        self._history.load(self.spec.symbols, symbols, await self._store.cursors(self.spec.id))
        held = await self._checks.load(self._store, self.rest.now_ms(self._api.clocks()[0]))
        self._history.add(self._api.candidates(held), known=False)  # what is gone since may have been sold

    async def _follow(self) -> None:
        self.polls.start_settings()
        for stream in self.streams:
            stream.start()
        begun_s = measured_s = self._clock.monotonic_s()
        clock_s = CLOCK_S * random.uniform(0.9, 1.1)  # so that many accounts do not ask in step
        asking = False
        while not self._dead:
            now_s = self._clock.monotonic_s()
            standing = all(stream.standing_s is not None for stream in self.streams)
            if not asking and (standing or now_s - begun_s >= STANDING_S):
                asking = True
                self.polls.start()
                self._history.start()
            if now_s - measured_s >= clock_s:
                measured_s = now_s
                try:
                    await self._measure_clocks()
                except FeedError as error:  # the last measurement still serves
                    self._log.warning("clock not measured", error=str(error))
            self._check(standing)
            self._history.look_for_unlisted()
            self._judge()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0 if asking else 0.05):
                    await self._died.wait()

    def _check(self, standing: bool) -> None:
        """Are streams mute, and does what they told agree with REST?"""
        for stream in self.streams:
            if missed := stream.check():
                standing = False  # this one is being replaced
                self._checks.missed(stream.route.name, missed, self.rest.now_ms(stream.route.product))
        read = not self._history.to_read and self.polls.transfers_read
        for product in self._checks.judge(self.rest.now_ms, read=read, standing=standing):
            self._history.read_again(product)
            self.polls.read_again(product)
            self.polls.reread_transfers()

    async def _stop_parts(self) -> None:
        await self._history.stop()
        await self.polls.stop()
        for stream in self.streams:
            await stream.stop()

    # Streams (private_stream.StreamOwner)

    def stream_events(self, stream: PrivateStream, events: list[PrivateEvent], recv_ns: int) -> None:
        fills = [event for event in events if isinstance(event, Fill)]
        orders = [event for event in events if isinstance(event, Order)]
        balances = [event for event in events if isinstance(event, Balance)]
        positions = [event for event in events if isinstance(event, Position)]
        if fills:
            self.journal.stream_fills(fills)
        if balances:
            self.journal.balances(balances, recv_ns=recv_ns)
        if positions:
            self.journal.positions(positions, recv_ns=recv_ns)
            self.polls.positions.update(positions)
        if orders:
            self.journal.orders(orders, recv_ns=recv_ns)
        self._checks.heard(events, stream.route.subjects)
        self._history.heard(events)
        for event in events:
            if isinstance(event, UnknownMarket):
                if self._history.met_unlisted(event):
                    self._reload_markets()
            elif isinstance(event, AccountChanged) and event.fills_in is None and not event.by_order:
                self.polls.transfers_soon()
            elif isinstance(event, Notice):
                self._log.warning("notice", text=event.text)
                self._notice = event.text, self._clock.monotonic_s()
                self._judge()
        if fills or any(isinstance(event, AccountChanged | TradedElsewhere) for event in events):
            for product in stream.route.subjects:
                self.polls.changed(product, REFETCH_S)

    def stream_standing(self, stream: PrivateStream) -> None:
        for product in stream.route.subjects:
            self.polls.read_again(product)
            self._history.read_again(product)
        self._judge()

    def stream_changed(self, stream: PrivateStream) -> None:
        self._judge()

    def stream_refused(self, stream: PrivateStream, error: FeedError) -> None:
        self._refused(error)

    def _told_by_history(self, fills: list[Fill]) -> None:
        self._checks.fills(fills)
        for stream in self.streams:
            stream.expect(fills)

    # Refusal

    def _refused(self, error: FeedError) -> None:
        self._log.error("key refused", error=str(error))
        self._die(f"{self._exchange} refuses this API key: {self.spec.credentials.cut_from(str(error))}")

    def _die(self, sentence: str) -> None:
        if not self._dead:
            self._dead = sentence
            self._died.set()
            self._judge()

    # State

    @property
    def state(self) -> StreamState:
        return self._state.state

    @property
    def sentence(self) -> str:
        """Why it is not LIVE, or what a trader should know although it is."""
        return self._state.sentence

    def _judge(self) -> None:
        if self._stopping:
            return
        if self._dead:
            self._state.set(StreamState.DOWN, self._dead)
        elif lack := self._lack():
            self._state.lacking(lack)
        else:
            self._state.set(StreamState.LIVE, self._remark())

    def _lack(self) -> str:
        if not self._prepared:
            return self._trouble or f"Connecting to {self._exchange}."
        return lack(self.journal, self.streams, self.polls, self._history, self._clock.monotonic_s())

    def _remark(self) -> str:
        if self._notice and self._clock.monotonic_s() - self._notice[1] < NOTICE_S:
            return self._notice[0]
        return remark(self._api, self._history, self.rest, self.spec.credentials, trading=self.spec.trading)
