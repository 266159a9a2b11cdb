"""The simulated Bitstamp (spot): everything below ``/bitstamp``."""

from collections.abc import Mapping
from typing import ClassVar

from aiohttp import web

from feeds.simulator.bitstamp.listing import LISTING
from feeds.simulator.bitstamp.rest import BitstampRest
from feeds.simulator.bitstamp.sockets import BitstampSockets
from feeds.simulator.faults import Fault
from feeds.simulator.market import LiveMarket, Print, Top
from feeds.simulator.place import Place
from feeds.simulator.settings import DAY_S
from feeds.simulator.sockets import Door, Socket, SocketRules, SocketSet
from feeds.simulator.terms import Terms

RULES = SocketRules(ping_s=54, life_s=90 * DAY_S)
"""Pings as observed, the age as documented."""
CONNECTS = 300
"""Attempts to connect in a minute: no limit is published."""
REQUESTS = 10_000
"""By REST, in ten minutes."""


class Bitstamp:
    """See :class:`feeds.simulator.place.SimulatedExchange`."""

    name = "bitstamp"
    listing = LISTING
    terms: ClassVar[Terms | None] = None

    def __init__(self, place: Place) -> None:
        settings = place.settings
        doors = {"": Door(limit=settings.connects.get(self.name, CONNECTS), per_s=60)}
        self._sockets = BitstampSockets(
            place.world.of(self.name, "spot"),
            settings.rules.get(self.name, RULES),
            place.faults,
            SocketSet(self.name, doors, place.faults, place.clock),
            place.clock,
        )
        limit = settings.weights.get(self.name, REQUESTS)
        self._rest = BitstampRest(self._sockets, place.faults, place.clock, place.clock_ms, limit)

    @staticmethod
    def endpoints(web_socket: str, rest: str) -> Mapping[str, str]:
        return {"spot.ws": f"{web_socket}/bitstamp/ws", "spot.rest": f"{rest}/bitstamp"}

    def routes(self) -> list[web.RouteDef]:
        return [*self._sockets.routes("/bitstamp"), *self._rest.routes("/bitstamp")]

    def happened(self, market: LiveMarket, prints: list[Print], tops: list[Top], now_ms: int) -> None:
        self._sockets.happened(market, prints, tops, now_ms)

    def tick(self, now_ms: int) -> None:
        self._sockets.tick(now_ms)

    def keep_house(self) -> None:
        self._sockets.keep_house()

    def open_sockets(self) -> list[Socket]:
        return list(self._sockets.sockets.open)

    def act(self, fault: Fault) -> None:
        """ "shutdown": clients are asked to connect anew."""
        self._sockets.shut_down()
