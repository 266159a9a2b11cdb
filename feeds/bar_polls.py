"""Running bars that no stream tells, asked for by REST: for adapters that have a route for them."""

from collections.abc import Callable, Iterable

from feeds.domain import Candle, Event, Market, Subscription
from feeds.exchange import MarketIndex, Request

_POLLED_BARS = 2
"""The running one, and the one before it with its last figures."""


class BarPolls:
    """Asks for the newest bars of each subscription (``feeds.exchange.PollSession``), and tells what they say."""

    def __init__(
        self,
        markets: MarketIndex,
        ask: Callable[[Market, str, int], Request],
        read: Callable[[Market, str, bytes], list[Candle]],
    ) -> None:
        self._markets = markets
        self._ask = ask
        self._read = read
        self._asked: dict[Request, tuple[Market, str]] = {}  # of the last round

    def requests(self, subscriptions: Iterable[Subscription]) -> list[Request]:
        self._asked = {}
        for subscription in subscriptions:
            market, interval = self._markets.get(subscription.symbol), subscription.interval
            if market is not None and interval is not None:
                self._asked[self._ask(market, interval, _POLLED_BARS)] = market, interval
        return list(self._asked)

    def parse(self, request: Request, raw: bytes) -> list[Event]:
        market, interval = self._asked[request]
        return [*self._read(market, interval, raw)[-_POLLED_BARS:]]
