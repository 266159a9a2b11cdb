"""The simulated Binance: everything below ``/binance``.

Spot and futures share the prefix, as one base is enough for a client that uses the documented paths. Below
``/binance/usdm`` there are only the futures, so that an un-routed futures stream is refused there, as since April 2026.
"""

from collections.abc import Callable, Iterator

from aiohttp import web

from feeds.simulator.accounts import Accounts
from feeds.simulator.binance_auth import Gatekeeper
from feeds.simulator.binance_listen import ListenKeys
from feeds.simulator.binance_private import FuturesEndpoints, SpotEndpoints
from feeds.simulator.binance_public import PublicEndpoints
from feeds.simulator.binance_rest import Gate
from feeds.simulator.binance_sockets import MarketSockets
from feeds.simulator.binance_streams import Product
from feeds.simulator.binance_ws_api import WebSocketApi
from feeds.simulator.faults import Faults
from feeds.simulator.market import LiveMarket, Print, Top, World
from feeds.simulator.settings import Settings
from feeds.simulator.sockets import Door, Socket, SocketSet


class Binance:
    def __init__(
        self,
        world: World,
        accounts: Accounts,
        settings: Settings,
        faults: Faults,
        clock: Callable[[], float],
        clock_ms: Callable[[], int],
    ) -> None:
        self.products = {name: Product(name, world.of("binance", name), faults) for name in ("spot", "usdm")}
        self.gates = {name: Gate(name, faults, clock_ms, settings.weights.get(name)) for name in self.products}
        rules = {"spot": settings.binance_spot_socket, "usdm": settings.binance_usdm_socket}
        self.gatekeeper = Gatekeeper(accounts.keys, clock_ms)
        doors = {name: Door(limit=settings.binance_connects, per_s=300) for name in self.products}
        sets = [SocketSet("binance", doors, faults, clock) for _ in range(3)]
        self.market_sockets = MarketSockets(self.products, rules, faults, sets[0])
        self.ws_api = WebSocketApi(accounts, self.gatekeeper, self.gates["spot"], rules["spot"], faults, sets[1])
        self.listen_keys = ListenKeys(rules["usdm"], settings.listen_key_s, faults, sets[2], clock, clock_ms)
        self._spot = SpotEndpoints(accounts, self.gatekeeper, self.gates["spot"], world.of("binance", "spot"))
        self._futures = FuturesEndpoints(accounts, self.gatekeeper, self.gates["usdm"], world.of("binance", "usdm"))
        self._clock_ms = clock_ms

    def routes(self) -> list[web.RouteDef]:
        public = {name: PublicEndpoints(product, self.gates[name]) for name, product in self.products.items()}
        routes = [
            *self.market_sockets.routes("spot", "/binance"),
            *self.ws_api.routes("/binance"),
            *public["spot"].routes("/binance"),
            *self._spot.routes("/binance"),
        ]
        for prefix in ("/binance", "/binance/usdm"):
            routes += self.market_sockets.routes("usdm", prefix)
            routes += self.listen_keys.routes(prefix)
            routes += public["usdm"].routes(prefix)
            routes += self._futures.routes(prefix, self.listen_keys.request)
        return routes

    # -- time ----------------------------------------------------------------------------------------------------

    def happened(self, market: LiveMarket, prints: list[Print], tops: list[Top], now_ms: int) -> None:
        self.products[market.instrument.product].happened(market, prints, tops, now_ms)

    def tick(self, now_ms: int) -> None:
        for product in self.products.values():
            product.tick(now_ms)

    def keep_house(self) -> None:
        """Pings, ages and expiries; a few times a second."""
        for sockets in self._socket_sets():
            sockets.tick()
        self.listen_keys.tick()

    # -- faults --------------------------------------------------------------------------------------------------

    def _socket_sets(self) -> Iterator[SocketSet]:
        yield self.market_sockets.sockets
        yield self.ws_api.sockets
        yield self.listen_keys.sockets

    def open_sockets(self) -> list[Socket]:
        return [socket for sockets in self._socket_sets() for socket in sockets.open]

    def announce_shutdown(self) -> None:
        """Spot streams and WebSocket API: the server is about to close."""
        now_ms = self._clock_ms()
        for connection in self.market_sockets.connections:
            if connection.product.name == "spot":
                connection.announce_shutdown(now_ms)
        for api in self.ws_api.connections:
            api.announce_shutdown(now_ms)

    def terminate_user_streams(self) -> None:
        """Spot: eventStreamTerminated for everybody."""
        for connection in self.ws_api.connections:
            connection.terminate()
