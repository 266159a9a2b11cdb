"""What an exchange at work is to the engine, of whichever kind it is: followed by an adapter of ours (``venue``), or
through ccxt (``longtail.venue``)."""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from feeds.config import ExchangeConfig
from feeds.domain import Candle, StreamState
from feeds.exchange import MarketIndex
from feeds.latency import Histogram
from feeds.markets.alarm import LatencyAlarm
from feeds.markets.market import MarketFeed
from feeds.markets.notices import Notices
from feeds.markets.skew import ClockOffset


class ConnectionAtWork(Protocol):
    """What the status board tells of a connection."""

    @property
    def state(self) -> StreamState: ...
    @property
    def reason(self) -> str: ...
    @property
    def since_ns(self) -> int: ...
    @property
    def subscriptions(self) -> Any: ...  # has a length
    @property
    def messages_per_s(self) -> float: ...
    @property
    def messages(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    @property
    def dropped(self) -> int: ...
    @property
    def buffered(self) -> int: ...
    @property
    def reconnects(self) -> int: ...
    @property
    def not_understood(self) -> int: ...
    @property
    def unknown(self) -> int: ...
    @property
    def last_frame_ns(self) -> int | None: ...
    @property
    def url_host(self) -> str: ...


class LaneAtWork(Protocol):
    """A connection with what is known of its latency and its end."""

    @property
    def route(self) -> str: ...
    @property
    def number(self) -> int: ...
    @property
    def connection(self) -> ConnectionAtWork: ...
    @property
    def latency(self) -> Histogram: ...
    @property
    def alarm(self) -> LatencyAlarm: ...
    @property
    def announced(self) -> str: ...
    @property
    def building(self) -> object | None: ...

    def settle(self) -> None:
        """Once a second: is it late?"""


class HasUsage(Protocol):
    def usage(self) -> dict[str, dict[str, float]]:
        """Of the REST budget, by product."""


class HasRenewed(Protocol):
    @property
    def renewed(self) -> int:
        """Connections that were replaced without a gap."""


class ExchangeAtWork(Protocol):
    """One exchange: its instruments, markets, connections, and what it says of itself."""

    @property
    def name(self) -> str: ...
    @property
    def config(self) -> ExchangeConfig: ...
    @property
    def markets(self) -> MarketIndex: ...
    @property
    def markets_loaded(self) -> asyncio.Event: ...
    @property
    def feeds(self) -> dict[str, MarketFeed]: ...
    @property
    def notices(self) -> Notices: ...
    @property
    def notice(self) -> str: ...
    @property
    def clock_offset(self) -> ClockOffset: ...
    @property
    def lanes(self) -> Sequence[LaneAtWork]: ...
    @property
    def rest(self) -> HasUsage: ...
    @property
    def renewals(self) -> HasRenewed: ...

    def start(self) -> None:
        """Begin to load instruments."""

    async def stop(self) -> None:
        """Close every socket. Idempotent."""

    async def wait_for_markets(self, timeout_s: float) -> bool:
        """Are they here in time?"""

    def feed(self, symbol: str) -> MarketFeed:
        """The market's feed, opened if it is not yet. The symbol must be among the instruments."""

    def resubscribe(self, feed: MarketFeed) -> None:
        """Bring the subscriptions of a market in line with its watched topics."""

    def close_feed(self, symbol: str) -> None: ...

    def book_lane(self, symbol: str) -> LaneAtWork | None:
        """The connection that carries this market's book."""

    async def fetch_candles(self, symbol: str, interval: str, limit: int) -> list[Candle]:
        """History, oldest first. Raises FeedError."""
