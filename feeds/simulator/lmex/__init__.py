"""The simulated LMEX (BTSE's engine): everything below ``/lmex``."""

from collections.abc import Mapping
from typing import ClassVar

from aiohttp import web

from feeds.simulator.faults import Fault
from feeds.simulator.lmex.listing import LISTING
from feeds.simulator.lmex.private import LmexPrivate
from feeds.simulator.lmex.rest import LmexRest
from feeds.simulator.lmex.sockets import LmexSockets
from feeds.simulator.lmex.terms import TERMS
from feeds.simulator.lmex.user import LmexUser
from feeds.simulator.market import LiveMarket, Print, Top
from feeds.simulator.place import Place
from feeds.simulator.sockets import Door, Socket, SocketRules, SocketSet
from feeds.simulator.terms import Terms

PRODUCTS = ("spot", "futures")
RULES = SocketRules(idle_s=60)
"""``idle_s`` is how long a connection may be without a ping of the client's."""
CONNECTS = 600
"""Attempts to connect in five minutes. A limit is not documented; this one is there to be met by a runaway client."""


class Lmex:
    """See :class:`feeds.simulator.place.SimulatedExchange`."""

    name = "lmex"
    listing = LISTING
    terms: ClassVar[Terms | None] = TERMS

    def __init__(self, place: Place) -> None:
        settings = place.settings
        limit = settings.connects.get(self.name, CONNECTS)
        self.sockets = LmexSockets(
            {product: place.world.of(self.name, product) for product in PRODUCTS},
            settings.rules.get(self.name, RULES),
            place.faults,
            SocketSet(
                self.name,
                {product: Door(limit=limit, per_s=300) for product in PRODUCTS},
                place.faults,
                place.clock,
            ),
            place.clock,
            place.clock_ms,
        )
        self._rest = LmexRest(self.sockets, place.faults, place.clock, place.clock_ms)
        self.private = LmexPrivate(place.accounts, self._rest, self.sockets.markets, place.clock_ms)
        self.user = LmexUser(place.accounts, self.private.gatekeeper, self.sockets, place.faults)

    @staticmethod
    def endpoints(web_socket: str, rest: str) -> Mapping[str, str]:
        return {
            f"{product}.{kind}": f"{base}/lmex"
            for product in PRODUCTS
            for kind, base in (("ws", web_socket), ("rest", rest))
        }

    def routes(self) -> list[web.RouteDef]:
        routes = [*self.sockets.routes("/lmex"), *self._rest.routes("/lmex")]
        return [*routes, *self.private.routes("/lmex")]

    def happened(self, market: LiveMarket, prints: list[Print], tops: list[Top], now_ms: int) -> None:
        self.sockets.happened(market, prints, tops, now_ms)

    def tick(self, now_ms: int) -> None:
        """Nothing is sent by the clock alone; dead man's switches strike by it."""
        self.private.switches.tick()

    def keep_house(self) -> None:
        self.sockets.keep_house()

    def open_sockets(self) -> list[Socket]:
        return list(self.sockets.sockets.open)

    def act(self, fault: Fault) -> None:
        """ "shutdown": LMEX announces nothing, its connections just end."""
        for socket in self.open_sockets():
            socket.close(1001, "going away")
