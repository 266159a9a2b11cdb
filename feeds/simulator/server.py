"""Puts the simulated exchanges on a loopback port and drives them by the clock."""

import asyncio
import base64
import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Self

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from feeds.simulator.accounts import Accounts
from feeds.simulator.bot import DemoTrader
from feeds.simulator.control import Control
from feeds.simulator.faults import ASKING, Faults
from feeds.simulator.market import World
from feeds.simulator.place import Place
from feeds.simulator.settings import Settings
from feeds.simulator.venues import accounts, build, listings

log = structlog.get_logger(__name__)

PULSE_S = 0.02
_HOUSEKEEPING_S = 0.25


def clock_ms() -> int:
    """Wall clock, UTC."""
    return time.time_ns() // 1_000_000


def _said(headers: Mapping[str, str]) -> str:
    """The headers' values, and what a token among them says of itself before it is signed."""
    said = "\n".join(headers.values())
    for part in headers.get("Authorization", "").removeprefix("Bearer ").split(".")[:-1]:
        with contextlib.suppress(ValueError):
            said += base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode(errors="replace")
    return said


class SimulatorServer:
    """The simulated exchanges, by name in ``exchanges``, and their accounts in ``accounts``.

    ``market`` is the deterministic core behind all of them.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.monotonic,
        clock_ms: Callable[[], int] = clock_ms,
        pulse_s: float = PULSE_S,
        latency_s: float = 0.0,
    ) -> None:
        """``latency_s``: every request by REST takes at least so long."""
        self.settings = settings
        self.on_request: Callable[[str, web.Request], None] = lambda exchange, request: None
        """Is told of every request by REST, and of which exchange, before it is answered."""
        self._clock = clock
        self._clock_ms = clock_ms
        self._pulse_s = pulse_s
        self._latency_s = latency_s
        self.faults = Faults(clock)
        instruments = settings.instruments or listings(settings.exchanges)
        self.market = World(settings.seed, clock_ms(), instruments)
        self.accounts = accounts(dict.fromkeys(each.venue for each in instruments), self.market)
        for each in self.accounts.values():
            if each.by_name:
                further = [f"demo {n}" for n in range(1, settings.demos + 1)]
                each.by_name |= {name: each.by_name["demo"].called(name) for name in further}
        self.traders = {
            name: DemoTrader(name, each.by_name["demo"], self.market, settings.seed)
            for name, each in self.accounts.items()
            if each.by_name
        }
        for trader in self.traders.values():
            trader.paused = not settings.trader
        self.exchanges = build(self._place, self.accounts)
        self.control = Control(self.market, self.accounts, self.traders, self.faults, self.exchanges)
        self.port = 0
        self._runner: web.AppRunner | None = None
        self._pulse: asyncio.Task[None] | None = None

    def _place(self, accounts: Accounts) -> Place:
        return Place(
            world=self.market,
            accounts=accounts,
            settings=self.settings,
            faults=self.faults,
            clock=self._clock,
            clock_ms=self._clock_ms,
        )

    async def start(self, port: int, host: str = "127.0.0.1") -> Self:
        """Listen (port 0: any free one, see ``port``) and let time pass."""
        app = web.Application(middlewares=[self._answered])
        for exchange in self.exchanges.values():
            app.add_routes(exchange.routes())
        app.add_routes(self.control.routes())
        if self.settings.trader:
            for trader in self.traders.values():
                trader.open_positions()
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.3)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        self.port = int(self._runner.addresses[0][1])
        self._pulse = asyncio.create_task(self._run(), name="simulator pulse")
        return self

    @web.middleware
    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer, unless the fault "unanswered" is in force."""
        exchange, _, path = request.path.lstrip("/").partition("/")
        if exchange in self.exchanges and "Upgrade" not in request.headers:
            ASKING.set(_said(request.headers))
            self.on_request(exchange, request)
            if self._latency_s:
                await asyncio.sleep(self._latency_s)
        if request.method == "GET" or exchange not in self.exchanges:
            return await handler(request)
        fault = self.faults.strike(exchange, "unanswered", names=tuple(path.split("/")))
        if fault is None:
            return await handler(request)
        response = web.Response() if fault.value == "before" else await handler(request)
        if request.transport is not None:
            request.transport.abort()
        return response

    async def stop(self) -> None:
        """Close everything; may be called twice."""
        pulse, self._pulse = self._pulse, None
        runner, self._runner = self._runner, None
        if pulse is not None:
            pulse.cancel()
            await asyncio.gather(pulse, return_exceptions=True)
        await self.control.stop()
        for exchange in self.exchanges.values():
            for socket in exchange.open_sockets():
                socket.close(1001, "going away")
        if runner is not None:
            await runner.cleanup()

    async def wait(self) -> None:
        """Wait until time stands still: never, unless the simulator breaks; then its error is raised."""
        if self._pulse is not None:
            await self._pulse

    async def _run(self) -> None:
        next_housekeeping = 0.0
        while True:
            self.beat(self._clock_ms())
            if self._clock() >= next_housekeeping:
                next_housekeeping = self._clock() + _HOUSEKEEPING_S
                for exchange in self.exchanges.values():
                    exchange.keep_house()
            await asyncio.sleep(self._pulse_s)

    def beat(self, now_ms: int) -> None:
        """Let the market do what is due, and tell everybody."""
        self.market.advance(now_ms)
        for each in self.accounts.values():
            each.tick(now_ms)
        for trader in self.traders.values():
            trader.step(now_ms)
        for market in self.market.markets.values():
            prints, tops = market.collect()
            self.exchanges[market.instrument.venue].happened(market, prints, tops, now_ms)
        for exchange in self.exchanges.values():
            exchange.tick(now_ms)


async def start_server(port: int = 0, settings: Settings | None = None) -> SimulatorServer:
    """A running simulator in this event loop; ``await server.stop()`` when done."""
    return await SimulatorServer(settings or Settings()).start(port)
