"""The simulated Kraken Futures: everything below ``/krakenfutures``."""

from collections.abc import Mapping
from typing import ClassVar

from aiohttp import web

from feeds.simulator.faults import Fault
from feeds.simulator.krakenfutures.auth import POINTS, Gatekeeper
from feeds.simulator.krakenfutures.listing import LISTING
from feeds.simulator.krakenfutures.log import LogRest
from feeds.simulator.krakenfutures.private import PrivateRest
from feeds.simulator.krakenfutures.rest import KrakenFuturesRest
from feeds.simulator.krakenfutures.sockets import NAME, PRODUCT, KrakenFuturesSockets
from feeds.simulator.krakenfutures.terms import TERMS
from feeds.simulator.krakenfutures.users import UserFeeds
from feeds.simulator.market import LiveMarket, Print, Top
from feeds.simulator.place import Place
from feeds.simulator.sockets import Door, Socket, SocketRules, SocketSet
from feeds.simulator.terms import Terms

RULES = SocketRules(unheard_s=60, messages_per_s=100)
CONNECTS = 150
"""Attempts to connect in ten minutes: the spot exchange's limit; for futures none is documented."""


class KrakenFutures:
    """See :class:`feeds.simulator.place.SimulatedExchange`."""

    name = NAME
    listing = LISTING
    terms: ClassVar[Terms | None] = TERMS

    def __init__(self, place: Place) -> None:
        settings = place.settings
        doors = {"": Door(limit=settings.connects.get(NAME, CONNECTS), per_s=600)}
        markets = place.world.of(NAME, PRODUCT)
        gatekeeper = Gatekeeper(place.accounts.keys, settings.weights.get(NAME, POINTS), place.clock)
        self._users = UserFeeds(place.accounts, gatekeeper, place.faults, place.clock, place.clock_ms)
        self.server = KrakenFuturesSockets(
            markets,
            settings.rules.get(NAME, RULES),
            place.faults,
            SocketSet(NAME, doors, place.faults, place.clock),
            place.clock,
            place.clock_ms,
            self._users,
        )
        self._private = PrivateRest(place.accounts, gatekeeper, markets, place.faults, place.clock, place.clock_ms)
        self._log = LogRest(place.accounts, gatekeeper, place.faults, place.clock, place.clock_ms)
        self._rest = KrakenFuturesRest(self.server, place.faults, place.clock_ms)

    @staticmethod
    def endpoints(web_socket: str, rest: str) -> Mapping[str, str]:
        base = f"{rest}/{NAME}"
        return {"futures.ws": f"{web_socket}/{NAME}/ws/v1", "futures.rest": base, "account.rest": base}

    def routes(self) -> list[web.RouteDef]:
        servers = (self.server, self._rest, self._private, self._log)
        return [route for server in servers for route in server.routes(f"/{NAME}")]

    def happened(self, market: LiveMarket, prints: list[Print], tops: list[Top], now_ms: int) -> None:
        self.server.happened(market, prints, now_ms)

    def tick(self, now_ms: int) -> None:
        self.server.tick(now_ms)
        self._users.tick()
        self._private.tick()

    def keep_house(self) -> None:
        self.server.sockets.tick()

    def open_sockets(self) -> list[Socket]:
        return list(self.server.sockets.open)

    def act(self, fault: Fault) -> None:
        """ "shutdown": from now on every ticker tells ``value``, "suspended" (default) or "post_only"; "online" ends
        it."""
        value = fault.value if isinstance(fault.value, str) else "suspended"
        self.server.halted = "" if value == "online" else value
