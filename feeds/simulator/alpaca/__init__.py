"""The simulated Alpaca: everything below ``/alpaca``. Its market data need a key (``DATA_KEYS``, or an account's)."""

from collections.abc import Mapping
from typing import ClassVar

from aiohttp import web

from feeds.simulator.alpaca.listing import CRYPTO, LISTING, NAME, STOCKS
from feeds.simulator.alpaca.private import AlpacaTradingApi
from feeds.simulator.alpaca.rest import AlpacaRest
from feeds.simulator.alpaca.sockets import AlpacaSockets
from feeds.simulator.alpaca.terms import TERMS
from feeds.simulator.alpaca.updates import DOOR, AlpacaUpdates
from feeds.simulator.faults import Fault
from feeds.simulator.keys import DATA_KEYS
from feeds.simulator.market import LiveMarket, Print, Top
from feeds.simulator.place import Place
from feeds.simulator.sockets import Door, Socket, SocketRules, SocketSet
from feeds.simulator.terms import Terms

RULES = SocketRules()
CONNECTS = 200
"""Attempts to connect in a minute; none is documented."""


class Alpaca:
    """See :class:`feeds.simulator.place.SimulatedExchange`."""

    name = NAME
    listing = LISTING
    terms: ClassVar[Terms | None] = TERMS

    def __init__(self, place: Place) -> None:
        settings = place.settings
        limit = settings.connects.get(NAME, CONNECTS)
        doors = {product: Door(limit=limit, per_s=60) for product in (CRYPTO, STOCKS)}
        markets = {product: place.world.of(NAME, product) for product in (CRYPTO, STOCKS)}
        self.server = AlpacaSockets(
            markets,
            dict(DATA_KEYS) | {key.key: key.secret for key in TERMS.keys},
            settings.rules.get(NAME, RULES),
            place.faults,
            SocketSet(NAME, doors, place.faults, place.clock),
            place.clock,
            place.clock_ms,
        )
        self._rest = AlpacaRest(self.server, place.faults, place.clock_ms)
        self.updates = AlpacaUpdates(
            place.accounts,
            settings.rules.get(NAME, RULES),
            place.faults,
            SocketSet(NAME, {DOOR: Door(limit=limit, per_s=60)}, place.faults, place.clock),
            place.clock_ms,
        )
        self._trading = AlpacaTradingApi(place.accounts, markets, place.faults, place.clock_ms)

    @staticmethod
    def endpoints(web_socket: str, rest: str) -> Mapping[str, str]:
        return {
            "crypto.ws": f"{web_socket}/{NAME}/v1beta3/crypto/us",
            "stocks.ws": f"{web_socket}/{NAME}/v2/iex",
            **{f"{product}.{kind}": f"{rest}/{NAME}" for product in (CRYPTO, STOCKS) for kind in ("rest", "trading")},
        }

    def routes(self) -> list[web.RouteDef]:
        parts = (self.server, self.updates, self._rest, self._trading)
        return [route for part in parts for route in part.routes(f"/{NAME}")]

    def happened(self, market: LiveMarket, prints: list[Print], tops: list[Top], now_ms: int) -> None:
        self.server.happened(market, prints, tops, now_ms)

    def tick(self, now_ms: int) -> None:
        """Everything is told when it happens."""

    def keep_house(self) -> None:
        self.server.keep_house()
        self.updates.sockets.tick()

    def open_sockets(self) -> list[Socket]:
        return [*self.server.sockets.open, *self.updates.sockets.open]

    def act(self, fault: Fault) -> None:
        """ "shutdown": no end of service is documented; every client is told that it is slow (407) and dropped."""
        self.server.end_all()
