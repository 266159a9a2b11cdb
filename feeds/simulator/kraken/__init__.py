"""The simulated Kraken: everything below ``/kraken``."""

from collections.abc import Mapping
from typing import ClassVar

from aiohttp import web

from feeds.simulator.faults import Fault
from feeds.simulator.kraken.listing import LISTING
from feeds.simulator.kraken.rest import KrakenRest
from feeds.simulator.kraken.sockets import KrakenSockets
from feeds.simulator.market import LiveMarket, Print, Top
from feeds.simulator.place import Place
from feeds.simulator.sockets import Door, Socket, SocketRules, SocketSet
from feeds.simulator.terms import Terms

RULES = SocketRules(idle_s=60)
CONNECTS = 150
"""Attempts to connect in ten minutes."""


class Kraken:
    """See :class:`feeds.simulator.place.SimulatedExchange`."""

    name = "kraken"
    listing = LISTING
    terms: ClassVar[Terms | None] = None

    def __init__(self, place: Place) -> None:
        settings = place.settings
        doors = {"": Door(limit=settings.connects.get(self.name, CONNECTS), per_s=600)}
        self._sockets = KrakenSockets(
            place.world.of(self.name, "spot"),
            settings.rules.get(self.name, RULES),
            place.faults,
            SocketSet(self.name, doors, place.faults, place.clock),
            place.clock,
            place.clock_ms,
        )
        self._rest = KrakenRest(self._sockets, place.faults, place.clock_ms)

    @staticmethod
    def endpoints(web_socket: str, rest: str) -> Mapping[str, str]:
        return {"spot.ws": f"{web_socket}/kraken/v2", "spot.rest": f"{rest}/kraken"}

    def routes(self) -> list[web.RouteDef]:
        return [*self._sockets.routes("/kraken"), *self._rest.routes("/kraken")]

    def happened(self, market: LiveMarket, prints: list[Print], tops: list[Top], now_ms: int) -> None:
        self._sockets.happened(market, prints, tops, now_ms)

    def tick(self, now_ms: int) -> None:
        self._sockets.tick()

    def keep_house(self) -> None:
        self._sockets.sockets.tick()

    def open_sockets(self) -> list[Socket]:
        return list(self._sockets.sockets.open)

    def act(self, fault: Fault) -> None:
        """ "shutdown": the status that everybody is told goes to ``value``."""
        self._sockets.set_system(fault.value if isinstance(fault.value, str) else "maintenance")
