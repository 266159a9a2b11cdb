"""The simulated Bybit: everything below ``/bybit``."""

from collections.abc import Mapping
from typing import ClassVar

from aiohttp import web

from feeds.simulator.bybit.listing import LISTING
from feeds.simulator.bybit.private import BybitPrivate
from feeds.simulator.bybit.rest import BybitRest
from feeds.simulator.bybit.rows import Prices
from feeds.simulator.bybit.sockets import BybitSockets
from feeds.simulator.bybit.terms import TERMS, WALLET
from feeds.simulator.bybit.user import BybitUserStreams
from feeds.simulator.faults import Fault
from feeds.simulator.market import LiveMarket, Print, Top
from feeds.simulator.place import Place
from feeds.simulator.sockets import Door, Socket, SocketRules, SocketSet
from feeds.simulator.terms import Terms

RULES = SocketRules(idle_s=600)
CONNECTS = 500
"""Attempts to connect in five minutes, to all of its addresses together."""
RESTART = "restart"


class Bybit:
    """See :class:`feeds.simulator.place.SimulatedExchange`."""

    name = "bybit"
    listing = LISTING
    terms: ClassVar[Terms | None] = TERMS

    def __init__(self, place: Place) -> None:
        settings = place.settings
        door = Door(limit=settings.connects.get(self.name, CONNECTS), per_s=300)
        self.sockets = BybitSockets(
            {product: place.world.of(self.name, product) for product in ("spot", "linear")},
            settings.rules.get(self.name, RULES),
            place.faults,
            SocketSet(self.name, dict.fromkeys(("spot", "linear", "status"), door), place.faults, place.clock),
            place.clock,
            place.clock_ms,
        )
        self.rest = BybitRest(self.sockets, place.faults, place.clock, place.clock_ms)
        markets = self.sockets.markets
        self.private = BybitPrivate(place.accounts, self.rest, markets, place.clock, place.clock_ms)
        self.user = BybitUserStreams(
            place.accounts,
            self.private.gatekeeper,
            Prices(markets["spot"].values()),
            settings.rules.get(self.name, RULES),
            place.faults,
            SocketSet(self.name, {WALLET: door}, place.faults, place.clock),
            place.clock_ms,
        )

    @staticmethod
    def endpoints(web_socket: str, rest: str) -> Mapping[str, str]:
        products = ("spot", "linear", WALLET)
        sockets = {f"{product}.ws": f"{web_socket}/bybit" for product in products}
        return {**sockets, **{f"{product}.rest": f"{rest}/bybit" for product in products}}

    def routes(self) -> list[web.RouteDef]:
        routes = [*self.sockets.routes("/bybit"), *self.rest.routes("/bybit")]
        return [*routes, *self.private.routes("/bybit"), *self.user.routes("/bybit")]

    def happened(self, market: LiveMarket, prints: list[Print], tops: list[Top], now_ms: int) -> None:
        self.sockets.happened(market, prints, tops, now_ms)

    def tick(self, now_ms: int) -> None:
        """There are no heartbeats."""

    def keep_house(self) -> None:
        self.sockets.sockets.tick()
        self.user.sockets.tick()

    def open_sockets(self) -> list[Socket]:
        return [*self.sockets.sockets.open, *self.user.sockets.open]

    def act(self, fault: Fault) -> None:
        """ "shutdown": what is announced to be under maintenance goes to ``value`` ("" ends it); with ``value``
        "restart" the service is restarted, which nobody announces."""
        if fault.value == RESTART:
            self.sockets.restart()
        else:
            self.sockets.maintain(fault.value if isinstance(fault.value, str) else "maintenance")
