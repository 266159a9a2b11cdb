"""The simulated OKX: everything below ``/okx``."""

from collections.abc import Mapping
from typing import ClassVar

from aiohttp import web

from feeds.simulator.faults import Fault
from feeds.simulator.market import LiveMarket, Print, Top
from feeds.simulator.okx.auth import Gatekeeper
from feeds.simulator.okx.channels import PrivateChannels
from feeds.simulator.okx.listing import LISTING
from feeds.simulator.okx.private import PrivateRest
from feeds.simulator.okx.rest import OkxRest
from feeds.simulator.okx.sockets import OkxSockets
from feeds.simulator.okx.streams import Streams
from feeds.simulator.okx.terms import TERMS
from feeds.simulator.place import Place
from feeds.simulator.sockets import Door, Socket, SocketRules, SocketSet
from feeds.simulator.terms import Terms

RULES = SocketRules(idle_s=30, pongs=False)
"""Whether OKX answers WebSocket pings is not documented; its own are text. So nobody here may count on it."""
CONNECTS = 3
"""Attempts to connect in a second."""


class Okx:
    """See :class:`feeds.simulator.place.SimulatedExchange`."""

    name = "okx"
    listing = LISTING
    terms: ClassVar[Terms | None] = TERMS

    def __init__(self, place: Place) -> None:
        settings, faults, clock, clock_ms = place.settings, place.faults, place.clock, place.clock_ms
        markets = [place.world.of(self.name, product) for product in ("spot", "swap")]
        self.streams = Streams([market for each in markets for market in each.values()], faults, clock_ms)
        doors = {"": Door(limit=settings.connects.get(self.name, CONNECTS), per_s=1)}
        sockets = SocketSet(self.name, doors, faults, clock)
        rules = settings.rules.get(self.name, RULES)
        gatekeeper, quoted = Gatekeeper(place.accounts.keys, clock_ms), self.streams.quoted
        private = PrivateChannels(place.accounts, gatekeeper, quoted, faults, clock_ms)
        self._sockets = OkxSockets(self.streams, private, rules, faults, sockets, clock, clock_ms)
        self._rest = OkxRest(self.streams, faults, clock, clock_ms)
        self.accounts = PrivateRest(place.accounts, gatekeeper, quoted, faults, clock, clock_ms)

    @staticmethod
    def endpoints(web_socket: str, rest: str) -> Mapping[str, str]:
        bases = {"ws": f"{web_socket}/okx", "rest": f"{rest}/okx"}
        return {f"{product}.{kind}": base for product in ("spot", "swap", "private") for kind, base in bases.items()}

    def routes(self) -> list[web.RouteDef]:
        return [*self._sockets.routes("/okx"), *self._rest.routes("/okx"), *self.accounts.routes("/okx")]

    def happened(self, market: LiveMarket, prints: list[Print], tops: list[Top], now_ms: int) -> None:
        if prints or tops:
            self.streams.happened(market, prints, tops, now_ms)

    def tick(self, now_ms: int) -> None:
        self.streams.tick(now_ms)

    def keep_house(self) -> None:
        self._sockets.keep_house()
        self.accounts.keep_house()

    def open_sockets(self) -> list[Socket]:
        return list(self._sockets.sockets.open)

    def act(self, fault: Fault) -> None:
        """ "shutdown": a service upgrade is announced, or with ``value`` (scheduled, ongoing, completed, canceled)
        maintenance. "sequence_reset": the books' ids begin anew."""
        if fault.kind == "sequence_reset":
            self.streams.reset_sequence()
        elif isinstance(fault.value, str):
            self._sockets.set_status(fault.value)
        else:
            self._sockets.announce_upgrade()
