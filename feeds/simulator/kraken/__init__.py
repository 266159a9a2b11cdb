"""The simulated Kraken: everything below ``/kraken``."""

from collections.abc import Mapping
from typing import ClassVar

from aiohttp import web

from feeds.simulator.faults import Fault
from feeds.simulator.kraken.auth import TOKEN_S, Gatekeeper
from feeds.simulator.kraken.listing import LISTING
from feeds.simulator.kraken.private import PrivateRest
from feeds.simulator.kraken.rest import KrakenRest
from feeds.simulator.kraken.sockets import KrakenSockets
from feeds.simulator.kraken.terms import MOST, TERMS
from feeds.simulator.kraken.user_sockets import UserSockets
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
    terms: ClassVar[Terms | None] = TERMS

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
        most = settings.weights.get(self.name, MOST)
        token_s = min(TOKEN_S, settings.listen_key_s)
        self._gatekeeper = Gatekeeper(place.accounts.keys, most, place.clock, token_s)
        self._private = PrivateRest(
            place.accounts, self._gatekeeper, self._rest, place.faults, place.clock, place.clock_ms
        )
        self._users = UserSockets(
            place.accounts,
            self._gatekeeper,
            settings.rules.get(self.name, RULES),
            place.faults,
            SocketSet(self.name, doors, place.faults, place.clock),
            place.clock,
            place.clock_ms,
        )

    @staticmethod
    def endpoints(web_socket: str, rest: str) -> Mapping[str, str]:
        return {
            "spot.ws": f"{web_socket}/kraken/v2",
            "spot.rest": f"{rest}/kraken",
            "account.ws_api": f"{web_socket}/kraken/auth/v2",
            "account.rest": f"{rest}/kraken",
        }

    def routes(self) -> list[web.RouteDef]:
        servers = (self._sockets, self._rest, self._private, self._users)
        return [route for server in servers for route in server.routes("/kraken")]

    def happened(self, market: LiveMarket, prints: list[Print], tops: list[Top], now_ms: int) -> None:
        self._sockets.happened(market, prints, tops, now_ms)

    def tick(self, now_ms: int) -> None:
        self._sockets.tick()
        self._users.tick()
        self._private.tick()

    def keep_house(self) -> None:
        self._sockets.sockets.tick()
        self._users.sockets.tick()

    def open_sockets(self) -> list[Socket]:
        return [*self._sockets.sockets.open, *self._users.sockets.open]

    def act(self, fault: Fault) -> None:
        """ "shutdown": the status that everybody is told goes to ``value``; "expire_listen_key": tokens that are not in
        use are good for nothing from now on."""
        if fault.kind == "expire_listen_key":
            self._gatekeeper.expire_tokens()
            return
        self._sockets.set_system(fault.value if isinstance(fault.value, str) else "maintenance")
