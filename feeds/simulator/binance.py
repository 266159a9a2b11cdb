"""The simulated Binance: everything below ``/binance``.

Spot and futures share the prefix, as one base is enough for a client that uses the documented paths. Below
``/binance/usdm`` there are only the futures, so that an un-routed futures stream is refused there, as since April 2026.
"""

from collections.abc import Callable

from aiohttp import web

from feeds.simulator.binance_public import PublicEndpoints
from feeds.simulator.binance_rest import Gate
from feeds.simulator.binance_sockets import MarketSockets
from feeds.simulator.binance_streams import Product
from feeds.simulator.faults import Faults
from feeds.simulator.market import LiveMarket, Print, Top, World
from feeds.simulator.settings import Settings


class Binance:
    def __init__(
        self,
        world: World,
        settings: Settings,
        faults: Faults,
        clock: Callable[[], float],
        clock_ms: Callable[[], int],
    ) -> None:
        self.products = {name: Product(name, world.of("binance", name), faults) for name in ("spot", "usdm")}
        self.gates = {name: Gate(name, faults, clock_ms, settings.weights.get(name)) for name in self.products}
        rules = {"spot": settings.binance_spot_socket, "usdm": settings.binance_usdm_socket}
        self.market_sockets = MarketSockets(self.products, rules, faults, clock)
        self._clock_ms = clock_ms

    def routes(self) -> list[web.RouteDef]:
        routes = self.market_sockets.routes("spot", "/binance")
        for prefix in ("/binance", "/binance/usdm"):
            routes += self.market_sockets.routes("usdm", prefix)
        for name, prefixes in (("spot", ("/binance",)), ("usdm", ("/binance", "/binance/usdm"))):
            for prefix in prefixes:
                routes += PublicEndpoints(self.products[name], self.gates[name]).routes(prefix)
        return routes

    def happened(self, market: LiveMarket, prints: list[Print], tops: list[Top], now_ms: int) -> None:
        self.products[market.instrument.product].happened(market, prints, tops, now_ms)

    def tick(self, now_ms: int) -> None:
        for product in self.products.values():
            product.tick(now_ms)
