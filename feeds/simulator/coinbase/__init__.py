"""The simulated Coinbase (Advanced Trade, spot): everything below ``/coinbase``."""

from collections.abc import Mapping
from typing import ClassVar

from aiohttp import web

from feeds.simulator.coinbase.listing import LISTING
from feeds.simulator.coinbase.private import CoinbasePrivate
from feeds.simulator.coinbase.rest import CoinbaseRest
from feeds.simulator.coinbase.sockets import CoinbaseSockets
from feeds.simulator.coinbase.terms import TERMS
from feeds.simulator.coinbase.user import PRODUCT, CoinbaseUserStreams
from feeds.simulator.faults import Fault
from feeds.simulator.market import LiveMarket, Print, Top
from feeds.simulator.place import Place
from feeds.simulator.sockets import Door, Socket, SocketRules, SocketSet
from feeds.simulator.terms import Terms

RULES = SocketRules(idle_s=75, messages_per_s=8)
"""Without heartbeats, what is silent is closed after 60 to 90 s. The messages of an address are counted together."""
REQUESTS_PER_S = 10
"""By REST, of an address."""
PRIVATE_REQUESTS_PER_S = 30
"""Of an account."""
CONNECTS = 8
"""Attempts to connect in a second."""


class Coinbase:
    """See :class:`feeds.simulator.place.SimulatedExchange`."""

    name = "coinbase"
    listing = LISTING
    terms: ClassVar[Terms | None] = TERMS

    def __init__(self, place: Place) -> None:
        settings = place.settings
        doors = {"": Door(limit=settings.connects.get(self.name, CONNECTS), per_s=1)}
        self._sockets = CoinbaseSockets(
            place.world.of(self.name, "spot"),
            settings.rules.get(self.name, RULES),
            place.faults,
            SocketSet(self.name, doors, place.faults, place.clock),
            place.clock,
            place.clock_ms,
        )
        limit = settings.weights.get(self.name, REQUESTS_PER_S)
        self._rest = CoinbaseRest(self._sockets, place.faults, place.clock, place.clock_ms, limit)
        self._private = CoinbasePrivate(
            place.accounts,
            self._sockets.by_name,
            place.faults,
            place.clock,
            place.clock_ms,
            max(PRIVATE_REQUESTS_PER_S, limit),
        )
        self._user = CoinbaseUserStreams(
            place.accounts,
            self._private.gatekeeper,
            settings.rules.get(self.name, RULES),
            place.faults,
            SocketSet(self.name, {PRODUCT: doors[""]}, place.faults, place.clock),
            place.clock,
            place.clock_ms,
        )

    @staticmethod
    def endpoints(web_socket: str, rest: str) -> Mapping[str, str]:
        return {
            "spot.ws": f"{web_socket}/coinbase/ws",
            "spot.rest": f"{rest}/coinbase",
            "private.ws": f"{web_socket}/coinbase/user",
            "private.rest": f"{rest}/coinbase",
        }

    def routes(self) -> list[web.RouteDef]:
        parts = (self._sockets, self._rest, self._private, self._user)
        return [route for part in parts for route in part.routes("/coinbase")]

    def happened(self, market: LiveMarket, prints: list[Print], tops: list[Top], now_ms: int) -> None:
        self._sockets.happened(market, prints, tops, now_ms)

    def tick(self, now_ms: int) -> None:
        self._sockets.tick(now_ms)
        self._user.tick(now_ms)

    def keep_house(self) -> None:
        self._sockets.keep_house()
        self._user.keep_house()

    def open_sockets(self) -> list[Socket]:
        return [*self._sockets.sockets.open, *self._user.sockets.open]

    def act(self, fault: Fault) -> None:
        """ "shutdown": maintenance is not announced, connections just end."""
        for socket in self.open_sockets():
            socket.close(1001, "")
