"""A whole account in virtual time: the exchange, its REST client and its connections, none of them with a socket.

:class:`World` keeps exchange and store; :meth:`World.begin` starts a worker (a follower) and :meth:`World.kill` ends it
as -9 does: nothing is flushed, nothing is told, whatever was not committed is gone.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from unittest.mock import patch

from feeds.account import AccountSpec
from feeds.accounts.binance import BinanceAccount
from feeds.domain import StreamState
from feeds.errors import FeedError, TransportError, Verdict
from feeds.exchange import Request
from feeds.exchanges import create
from feeds.following.follower import AccountFollower
from feeds.following.own_orders import OwnOrders
from feeds.rest import Answer, encode
from tests.feeds import warp
from tests.feeds.account_store import MemoryStore, StoreHandle
from tests.feeds.binance_examples import ENDPOINTS, KEY, MARKETS
from tests.feeds.fake_binance import FakeBinance
from tests.feeds.warp import EPOCH_NS, LoopClock

error_of = create("binance", {}).error_of

LATENCY_S = 0.02


class FakeRest:
    """Stands for feeds.rest.RestClient."""

    def __init__(self, exchange: FakeBinance, clock: LoopClock) -> None:
        self.exchange = exchange
        self.clock = clock
        self.down = False
        self.slow: dict[str, float] = {}  # path: its answer comes so much later
        self.sent: list[Request] = []

    def blocked_s(self, product: str) -> float:
        return 0.0

    async def send(
        self,
        request: Request,
        *,
        urgent: bool = False,
        prepare: Callable[[Request], Request] | None = None,
        max_wait_s: float | None = None,
    ) -> Answer:
        if prepare:
            request = prepare(request)
        self.sent.append(request)
        sent_ns = self.clock.now_ns()
        await asyncio.sleep(LATENCY_S)
        if self.down:
            raise TransportError("no route to host")
        status, raw, headers = self.exchange.answer(
            request.method, request.path, encode(request.params), dict(request.headers)
        )
        await asyncio.sleep(LATENCY_S + self.slow.get(request.path, 0.0))
        error = error_of(status, raw, headers)
        if error is not None:
            if isinstance(error, TransportError):
                error.status = status
            raise error
        return Answer(raw=raw, status=status, sent_ns=sent_ns, recv_ns=self.clock.now_ns(), headers=headers)


class FakeConnection:
    """Stands for feeds.stream.Connection: connects to the fake exchange, and can be cut."""

    all: list["FakeConnection"]

    def __init__(
        self,
        *,
        name: str,
        url: Callable[[], Awaitable[str]],
        new_session: Callable[[], Any],
        handler: Any,
        delays: Callable[[], Iterator[float]],
        exchange: FakeBinance,
        **_: Any,
    ) -> None:
        self.name = name
        self.state = StreamState.CONNECTING
        self.reason = ""
        self.urls: list[str] = []
        self.connects = True
        self._url = url
        self._new_session = new_session
        self._handler = handler
        self._delays = delays
        self._exchange = exchange
        self._product = "usdm" if "usdm" in name else "spot"
        self._ended = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._epoch = 0

    def start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def reconnect(self, reason: str) -> None:
        self.reason = reason
        self._ended.set()

    def cut(self) -> None:
        self._ended.set()

    def _set(self, state: StreamState, reason: str = "") -> None:
        self.state, self.reason = state, reason
        self._handler.on_state(self, state, reason)

    async def _run(self) -> None:
        delays = self._delays()
        while True:
            self._ended.clear()
            try:
                if not self.connects:
                    raise TransportError("cannot connect")
                url = await self._url()
                self.urls.append(url)
                await self._serve(url)
                self._set(StreamState.CONNECTING, self.reason or "the connection broke")
            except FeedError as error:
                self._set(StreamState.DOWN, error.sentence)
                if error.verdict is Verdict.FATAL:
                    await self._ended.wait()
            await asyncio.sleep(next(delays))

    async def _serve(self, url: str) -> None:
        session = self._new_session()
        self._epoch += 1
        epoch = self._epoch
        loop = asyncio.get_running_loop()

        def frame(message: str) -> None:
            loop.call_later(LATENCY_S, receive, message)

        def receive(message: str) -> None:
            if epoch != self._epoch or self._ended.is_set():
                return
            events = session.parse(message)
            if events:
                self._handler.on_events(self, events, int(EPOCH_NS + loop.time() * 1e9))
            if any(type(event).__name__ == "Ack" for event in events):
                self._set(StreamState.LIVE)

        self._set(StreamState.SYNCING)
        listeners = self._exchange.listeners[self._product]
        try:
            for message in session.opening():
                await asyncio.sleep(LATENCY_S)
                answer = self._exchange.login(message)
                frame(answer)
                if '"status": 200' in answer:
                    listeners.append(frame)
            if not session.opening():
                key = url.partition("listenKey=")[2]
                if key == self._exchange.listen_key:
                    listeners.append(frame)
                await asyncio.sleep(2 * LATENCY_S)
                self._set(StreamState.LIVE)
            await self._ended.wait()
        finally:
            if frame in listeners:
                listeners.remove(frame)
            self._epoch += 1


class World:
    """The exchange and the store, and the workers that come and go."""

    def __init__(self, *, poll_s: float = 5.0, settle_s: float = 10.0, products: tuple[str, ...] = ("spot", "usdm")):
        self.clock = LoopClock()
        self.clock_off_ms = 0  # how far the exchange's clock is ahead of the wall clock at the beginning
        self.exchange = FakeBinance(self.exchange_ms)
        self.store = MemoryStore()
        self.told: list[str] = []
        self.poll_s = poll_s
        self.settle_s = settle_s
        self.products = products
        self.only_here = False
        self.own = OwnOrders(loaded=True)
        self.symbols: tuple[str, ...] = ()
        self.markets = MARKETS
        self.reloads = 0
        self.follower: AccountFollower | None = None
        self.handle: StoreHandle | None = None
        self.rest: FakeRest | None = None

    def exchange_ms(self) -> int:
        return (EPOCH_NS + round(self.clock.monotonic_s() * 1e9)) // 1_000_000 + self.clock_off_ms

    def make(self) -> AccountFollower:
        """A worker that has not begun; ``handle`` and ``rest`` are its ways to the store and the exchange."""
        spec = AccountSpec(
            id=7,
            exchange="binance",
            label="Main",
            credentials=KEY,
            products=self.products,
            symbols=self.symbols,
            poll_s=self.poll_s,
            only_here=self.only_here,
        )
        self.rest = FakeRest(self.exchange, self.clock)
        self.handle = StoreHandle(self.store)

        async def notify(account: int, kind: str) -> None:
            assert account == 7
            self.told.append(kind)

        def reload_markets() -> None:
            self.reloads += 1

        def connect(**given: Any) -> FakeConnection:
            return FakeConnection(exchange=self.exchange, **given)

        with patch("feeds.following.private_stream.Connection", connect):
            self.follower = AccountFollower(
                spec,
                BinanceAccount(spec, self.markets, ENDPOINTS),
                self.rest,
                self.handle,
                notify,
                settle_s=self.settle_s,
                reload_markets=reload_markets,
                own=self.own,
                delays=lambda: iter(lambda: 1.0, 0.0),
                clock=self.clock,
            )
        return self.follower

    async def begin(self) -> AccountFollower:
        follower = self.make()
        await follower.start()
        return follower

    def connection(self, product: str) -> FakeConnection:
        return next(s.connection for s in self.follower.streams if s.route.product == product)

    async def until(self, condition: Callable[[], Any], *, within_s: float = 120.0) -> None:
        """In virtual time."""
        end_s = self.clock.monotonic_s() + within_s
        while not condition():
            if self.clock.monotonic_s() > end_s:
                raise AssertionError(f"not within {within_s:g} s; {self.follower.state}: {self.follower.sentence}")
            await asyncio.sleep(0.05)

    async def live(self) -> None:
        await self.until(lambda: self.follower.state is StreamState.LIVE)

    async def kill(self) -> None:
        """As -9: no call of this worker reaches the store any more, then everything it runs is gone."""

        async def never(_: int) -> None:
            await asyncio.get_running_loop().create_future()

        self.handle.before = self.handle.after = never
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for listeners in self.exchange.listeners.values():
            listeners.clear()

    def agrees(self) -> bool:
        """Does the store say what is true?"""
        return (
            self.store.fills == self.exchange.true_fills()
            and self.store.totals() == self.exchange.true_balances()
            and self.store.sizes() == self.exchange.true_positions()
        )

    @contextlib.asynccontextmanager
    async def following(self) -> Any:
        follower = await self.begin()
        try:
            await self.live()
            yield follower
        finally:
            await follower.stop()


def scenario(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run an async test with a world of its own in virtual time; nothing may be left running at its end."""

    def run(self: Any) -> None:
        async def main() -> None:
            await test(self, World())
            others = asyncio.all_tasks() - {asyncio.current_task()}
            assert not others, f"left running: {others}"

        warp.run(main())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run
