"""Puts the simulated exchanges on a loopback port and drives them by the clock."""

import asyncio
import time
from collections.abc import Mapping
from typing import Self

import structlog
from aiohttp import web

from feeds.simulator.accounts import Accounts
from feeds.simulator.binance import Binance
from feeds.simulator.bot import DemoTrader
from feeds.simulator.control import Control
from feeds.simulator.faults import Faults
from feeds.simulator.kraken import KrakenSockets
from feeds.simulator.kraken_rest import KrakenRest
from feeds.simulator.market import World
from feeds.simulator.settings import Settings
from feeds.simulator.sockets import Door, SocketSet

log = structlog.get_logger(__name__)

PULSE_S = 0.02
_HOUSEKEEPING_S = 0.25


def clock_ms() -> int:
    """Wall clock, UTC."""
    return time.time_ns() // 1_000_000


class SimulatorServer:
    """Simulated Binance and Kraken. ``market`` is the deterministic core behind both."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.faults = Faults(time.monotonic)
        self.market = World(settings.seed, clock_ms(), settings.instruments)
        self.accounts = Accounts(self.market)
        self.trader = DemoTrader(self.accounts.by_name["demo"], self.market, settings.seed)
        self.trader.paused = not settings.trader
        self.binance = Binance(self.market, self.accounts, settings, self.faults, time.monotonic, clock_ms)
        doors = {"": Door(limit=settings.kraken_connects, per_s=600)}
        sockets = SocketSet("kraken", doors, self.faults, time.monotonic)
        self.kraken = KrakenSockets(
            self.market.of("kraken", "spot"), settings.kraken_socket, self.faults, sockets, time.monotonic, clock_ms
        )
        self.control = Control(self.market, self.accounts, self.trader, self.faults, self.binance, self.kraken)
        self.port = 0
        self._runner: web.AppRunner | None = None
        self._pulse: asyncio.Task[None] | None = None

    async def start(self, port: int, host: str = "127.0.0.1") -> Self:
        """Listen (port 0: any free one, see ``port``) and let time pass."""
        app = web.Application()
        app.add_routes(self.binance.routes())
        app.add_routes(self.kraken.routes("/kraken"))
        app.add_routes(KrakenRest(self.kraken, self.faults, clock_ms).routes("/kraken"))
        app.add_routes(self.control.routes())
        if self.settings.trader:
            self.trader.open_positions()
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.3)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        self.port = int(self._runner.addresses[0][1])
        self._pulse = asyncio.create_task(self._run(), name="simulator pulse")
        return self

    async def stop(self) -> None:
        """Close everything; may be called twice."""
        pulse, self._pulse = self._pulse, None
        runner, self._runner = self._runner, None
        if pulse is not None:
            pulse.cancel()
            await asyncio.gather(pulse, return_exceptions=True)
        await self.control.stop()
        for socket in (*self.binance.open_sockets(), *self.kraken.sockets.open):
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
            self.beat(clock_ms())
            if time.monotonic() >= next_housekeeping:
                next_housekeeping = time.monotonic() + _HOUSEKEEPING_S
                self.binance.keep_house()
                self.kraken.sockets.tick()
            await asyncio.sleep(PULSE_S)

    def beat(self, now_ms: int) -> None:
        """Let the market do what is due, and tell everybody."""
        self.market.advance(now_ms)
        self.accounts.tick(now_ms)
        self.trader.step(now_ms)
        for market in self.market.markets.values():
            if market.prints or market.tops or market.instrument.venue == "kraken":
                prints, tops = market.collect()
                exchange = self.kraken if market.instrument.venue == "kraken" else self.binance
                exchange.happened(market, prints, tops, now_ms)
        self.binance.tick(now_ms)
        self.kraken.tick()


async def start_server(port: int = 0, seed: int = 1, settings: Settings | None = None) -> SimulatorServer:
    """A running simulator in this event loop; ``await server.stop()`` when done."""
    return await SimulatorServer(settings or Settings(seed=seed)).start(port)


def endpoints(host: str, port: int) -> Mapping[str, Mapping[str, str]]:
    """Endpoint overrides by exchange, as the configuration takes them."""
    web_socket, rest = f"ws://{host}:{port}", f"http://{host}:{port}"
    return {
        "binance": {
            "spot.ws": f"{web_socket}/binance",
            "spot.rest": f"{rest}/binance",
            "spot.ws_api": f"{web_socket}/binance/ws-api/v3",
            "usdm.ws": f"{web_socket}/binance/usdm",
            "usdm.rest": f"{rest}/binance/usdm",
        },
        "kraken": {"spot.ws": f"{web_socket}/kraken/v2", "spot.rest": f"{rest}/kraken"},
    }
