"""What a simulated exchange is, and what it is given."""

from collections.abc import Callable, Mapping
from typing import ClassVar, Protocol

import msgspec
from aiohttp import web

from feeds.simulator.accounts import Accounts
from feeds.simulator.faults import Fault, Faults
from feeds.simulator.instruments import Instrument
from feeds.simulator.market import LiveMarket, Print, Top, World
from feeds.simulator.settings import Settings
from feeds.simulator.sockets import Socket
from feeds.simulator.terms import Terms


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a simulated exchange stands. ``clock`` gives seconds that only rise, ``clock_ms`` the time of day, UTC.

    ``accounts`` are the exchange's own; there are none in it if it has no terms.
    """

    world: World
    accounts: Accounts
    settings: Settings
    faults: Faults
    clock: Callable[[], float]
    clock_ms: Callable[[], int]


class SimulatedExchange(Protocol):
    """One exchange's servers, below a path of its own. Made from a :class:`Place`; never waits.

    ``terms``: how it keeps accounts; None: it serves none.
    """

    name: str
    listing: tuple[Instrument, ...]
    terms: ClassVar[Terms | None]

    def __init__(self, place: Place) -> None: ...

    @staticmethod
    def endpoints(web_socket: str, rest: str) -> Mapping[str, str]:
        """Endpoint overrides of its adapter; the arguments are the bases of the server, as ``ws://127.0.0.1:8700``."""

    def routes(self) -> list[web.RouteDef]: ...

    def happened(self, market: LiveMarket, prints: list[Print], tops: list[Top], now_ms: int) -> None:
        """One of its markets was looked at: what was traded and which best prices there were since the last time,
        often nothing. Called for every market at every beat, fifty times a second."""

    def tick(self, now_ms: int) -> None:
        """After all its markets, at every beat."""

    def keep_house(self) -> None:
        """Pings, ages and expiries; four times a second."""

    def open_sockets(self) -> list[Socket]: ...

    def act(self, fault: Fault) -> None:
        """Carry out a fault that happens at once and that only this exchange knows how to (see ``faults.ACTIONS``)."""
