"""The simulated Binance: everything below ``/binance``.

Spot and futures share the prefix, as one base is enough for a client that uses the documented paths. Below
``/binance/usdm`` there are only the futures, so that an un-routed futures stream is refused there, as since April 2026.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from aiohttp import web

from feeds.simulator.binance.auth import Gatekeeper
from feeds.simulator.binance.futures import FuturesEndpoints
from feeds.simulator.binance.listen import ListenKeys
from feeds.simulator.binance.listing import LISTING
from feeds.simulator.binance.private import SpotEndpoints
from feeds.simulator.binance.public import PublicEndpoints
from feeds.simulator.binance.rest import Gate
from feeds.simulator.binance.sockets import MarketSockets
from feeds.simulator.binance.streams import Product
from feeds.simulator.binance.terms import TERMS
from feeds.simulator.binance.ws_api import WebSocketApi
from feeds.simulator.faults import Fault
from feeds.simulator.market import LiveMarket, Print, Top
from feeds.simulator.place import Place
from feeds.simulator.settings import DAY_S
from feeds.simulator.sockets import Door, Socket, SocketRules, SocketSet
from feeds.simulator.terms import Terms

RULES = {
    "spot": SocketRules(ping_s=20, pong_s=60, life_s=DAY_S, messages_per_s=5),
    "usdm": SocketRules(ping_s=180, pong_s=600, life_s=DAY_S, messages_per_s=10),
}
CONNECTS = 300
"""Attempts to connect in five minutes, per product."""


class Binance:
    """See :class:`feeds.simulator.place.SimulatedExchange`."""

    name = "binance"
    listing = LISTING
    terms: ClassVar[Terms | None] = TERMS

    def __init__(self, place: Place) -> None:
        world, accounts, settings, faults = place.world, place.accounts, place.settings, place.faults
        clock, clock_ms = place.clock, place.clock_ms
        self.products = {name: Product(name, world.of("binance", name), faults) for name in ("spot", "usdm")}
        self.gates = {name: Gate(name, faults, clock_ms, settings.weights.get(name)) for name in self.products}
        rules = {name: settings.rules.get(f"binance.{name}", usual) for name, usual in RULES.items()}
        self.gatekeeper = Gatekeeper(accounts.keys, clock_ms)
        doors = {name: Door(limit=settings.connects.get("binance", CONNECTS), per_s=300) for name in self.products}
        sets = [SocketSet("binance", doors, faults, clock) for _ in range(3)]
        self.market_sockets = MarketSockets(self.products, rules, faults, sets[0])
        self.ws_api = WebSocketApi(accounts, self.gatekeeper, self.gates["spot"], rules["spot"], faults, sets[1])
        self.listen_keys = ListenKeys(rules["usdm"], settings.listen_key_s, faults, sets[2], clock, clock_ms)
        self._spot = SpotEndpoints(accounts, self.gatekeeper, self.gates["spot"], world.of("binance", "spot"))
        self._futures = FuturesEndpoints(accounts, self.gatekeeper, self.gates["usdm"], world.of("binance", "usdm"))
        self._futures.algo.tell = self.listen_keys.tell
        self._clock_ms = clock_ms

    @staticmethod
    def endpoints(web_socket: str, rest: str) -> Mapping[str, str]:
        return {
            "spot.ws": f"{web_socket}/binance",
            "spot.rest": f"{rest}/binance",
            "spot.ws_api": f"{web_socket}/binance/ws-api/v3",
            "usdm.ws": f"{web_socket}/binance/usdm",
            "usdm.rest": f"{rest}/binance/usdm",
        }

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
        if prints or tops:
            self.products[market.instrument.product].happened(market, prints, tops, now_ms)

    def tick(self, now_ms: int) -> None:
        for product in self.products.values():
            product.tick(now_ms)

    def keep_house(self) -> None:
        """Pings, ages and expiries; a few times a second."""
        for sockets in self._socket_sets():
            sockets.tick()
        self.listen_keys.tick()
        self._futures.switches.tick()
        self._futures.algo.tick()

    # -- faults --------------------------------------------------------------------------------------------------

    def _socket_sets(self) -> Iterator[SocketSet]:
        yield self.market_sockets.sockets
        yield self.ws_api.sockets
        yield self.listen_keys.sockets

    def open_sockets(self) -> list[Socket]:
        return [socket for sockets in self._socket_sets() for socket in sockets.open]

    def act(self, fault: Fault) -> None:
        if fault.kind == "expire_listen_key":
            self.listen_keys.expire_all()
        elif fault.kind == "terminate_user_stream":
            self.terminate_user_streams()
        else:
            self.announce_shutdown()

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
