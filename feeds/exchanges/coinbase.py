"""Coinbase, public side: spot, Advanced Trade.

Facts, from docs.cdp.coinbase.com (coinbase-app/advanced-trade-apis: websocket overview, channels, rate limits;
api-reference/advanced-trade-api: public market endpoints), as of 2026:

* Market data need no key. Instruments come by REST; the names of products are ``BTC-USD``.
* **A connection counts all its frames** (``sequence_num``, from 0, of every channel, heartbeats and answers too). A
  hole may have been any market's: every book of the connection is suspect. A number that is not greater is old news.
* One message subscribes one channel. It is answered by the list of everything that is subscribed now, or by an error
  that names neither channel nor market. Snapshots may come before the answer.
* The channel ``level2`` answers as ``l2_data``: the whole book first, without a bound (BTC-USD: 46,000 levels, 5 MB in
  one frame), then absolute sizes, 0 removes. No checksum. A new subscription brings a new snapshot.
* A channel in which nothing happens is closed after 60 to 90 s unless ``heartbeats`` (once a second) is subscribed on
  the connection. The first message must come within 5 s. There is no application ping.
* ``ticker`` comes with trades only, and with best prices of a moment that nothing relates to the book's.
* ``market_trades`` are collected over 250 ms and told newest first; ``side`` is the maker's; ids rise by one.
* ``candles`` are of five minutes only. Bars of a minute are made of the prints (``coinbase_bars.py``), all others are
  asked for by REST.
* Two names may lead to one book: ``BTC-USDC`` is an alias of ``BTC-USD``, and frames say ``BTC-USD`` for both. Such a
  market has ``book_of``, and a connection on which ``BTC-USD`` means it.
* 8 messages a second and address without a key. Connections: 8 a second by one page, 750 by another; ours are few.
  REST: 10 requests a second and address. Subscriptions a connection: not published, ours is a guess on the safe side;
  one hole costs all books of a connection, so they are not many.

What the frames look like is in ``coinbase_messages.py``, one connection's side in ``coinbase_session.py``.
"""

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

import structlog
from msgspec import json, structs

from feeds.bar_polls import BarPolls
from feeds.book import Checksum
from feeds.domain import INTERVALS, Bbo, BookSnapshot, Candle, Channel, Market, Subscription
from feeds.errors import CredentialsError, ExchangeError, ParseError, RateLimited, TransportError
from feeds.exchange import Budget, Facts, MarketIndex, Request
from feeds.exchanges import coinbase_messages as messages
from feeds.exchanges.coinbase_bars import POLLED
from feeds.exchanges.coinbase_messages import GRANULARITIES, MALFORMED
from feeds.exchanges.coinbase_session import ROUTE, CoinbaseSession, channel_of, route_of

log = structlog.get_logger(__name__)

ENDPOINTS = {
    "spot.ws": "wss://advanced-trade-ws.coinbase.com",
    "spot.rest": "https://api.coinbase.com",
    "private.ws": "wss://advanced-trade-ws-user.coinbase.com",
    "private.rest": "https://api.coinbase.com",
}
"""``private`` is for accounts (``feeds.accounts.coinbase``): where only spot's are given, those serve both."""
REST_ROUTE = "spot-rest"
"""What no stream has."""
_REST = "/api/v3/brokerage/market"
_REST_LEVELS = 500
_MOST_CANDLES = 350
_WAIT_S = 1.0
_LONGEST_WAIT_S = 3600.0

_decode_products = json.Decoder(messages.Products)
_decode_product = json.Decoder(messages.Product).decode
_decode_book = json.Decoder(messages.ProductBook, strict=False)
_decode_candles = json.Decoder(messages.CandlesAnswer)
_decode_errors = json.Decoder(messages.Errors).decode

T = TypeVar("T")
U = TypeVar("U")


class Coinbase:
    """The adapter. ``endpoints`` replaces base URLs; ``spot.ws`` is used exactly as given. ``now_s`` is the wall clock:
    candles are asked for by their time."""

    name = "coinbase"
    products: tuple[str, ...] = ("spot",)
    facts = Facts(
        streams_per_connection=100,
        messages_per_s=5,  # of 8: what a slow network keeps back arrives at once
        messages_per_address=True,
        ids_per_connection=True,
        connects_per_minute=60,
        heartbeat_s=1,
        ping_s=30,
        max_life_s=None,
        snapshot_by_rest=False,
        truncates=False,
        markets_by_stream=False,
        probe_by_rest=True,
        probe_lag_s=1.0,  # public answers may come from a cache of a second
        polled_routes=(REST_ROUTE,),
        recorded_as=("coinbaseadvanced", "coinbaseadvancedtrade"),
    )

    def __init__(self, endpoints: Mapping[str, str] | None = None, *, now_s: Callable[[], float] = time.time) -> None:
        given = dict(endpoints or {})
        for kind in ("ws", "rest"):
            if f"spot.{kind}" in given:
                given.setdefault(f"private.{kind}", given[f"spot.{kind}"])
        self.endpoints: Mapping[str, str] = {
            key: url.rstrip("/") if key.endswith(".rest") else url for key, url in {**ENDPOINTS, **given}.items()
        }
        self._now_s = now_s

    def budgets(self) -> Mapping[str, Budget]:
        """Of an address, and of an account: 30 a second (or 10,000 an hour by another page) for its user."""
        return {"spot": Budget(limit=10, per_s=1), "private": Budget(limit=30, per_s=1)}

    # instruments

    def markets_requests(self) -> list[Request]:
        return [Request(path=f"{_REST}/products", params=(("product_type", "SPOT"),), product="spot")]

    def parse_markets(self, request: Request, raw: bytes) -> list[Market]:
        """Other products than spot are left out; so is, and told to the log, one that cannot be understood: it must not
        cost us all the others. Raises ParseError if none can be."""
        listed = _decoded(_decode_products, raw, request.path, lambda answer: answer.products)
        found: dict[str, Market] = {}
        strange = 0
        for product in listed:
            try:
                market = _decode_product(product).market(self.name)
            except MALFORMED as error:
                log.warning("instrument left out", exchange=self.name, error=str(error), raw=bytes(product)[:200])
                strange += 1
                continue
            if market is not None:
                found[market.native] = market
        if listed and strange == len(listed):
            raise ParseError(f"Coinbase, {request.path}: none of {strange} instruments can be understood", raw)
        return [_with_book(market, found) for market in found.values()]

    # streams

    def route(self, subscription: Subscription, market: Market) -> str:
        """Raises ValueError for a stream that spot does not have."""
        if subscription.channel is Channel.CANDLES and subscription.interval in POLLED:
            return REST_ROUTE
        channel_of(subscription)
        return route_of(market)

    def opening_route(self) -> str:
        return ROUTE

    def url(self, route: str) -> str:
        return self.endpoints["spot.rest" if route == REST_ROUTE else "spot.ws"]

    def session(self, route: str, markets: MarketIndex) -> CoinbaseSession:
        return CoinbaseSession(route, markets)

    def poll_session(self, route: str, markets: MarketIndex) -> BarPolls:
        return BarPolls(markets, self.candles_request, self.parse_candles)

    def checksum(self, market: Market | None) -> Checksum | None:
        return None

    # REST

    def snapshot_request(self, market: Market) -> Request:
        return _book_request(market, _REST_LEVELS)

    def parse_snapshot(self, market: Market, raw: bytes) -> BookSnapshot:
        return _decoded(_decode_book, raw, "product_book", lambda book: book.pricebook.snapshot(market.symbol))

    def probe_request(self, market: Market) -> Request:
        return _book_request(market, 1)

    def parse_probe(self, market: Market, raw: bytes) -> Bbo:
        return _decoded(_decode_book, raw, "product_book", lambda book: book.pricebook.best(market.symbol))

    def candles_request(self, market: Market, interval: str, limit: int) -> Request:
        """``limit`` is cut to what one request can bring: 350 bars, 175 of four hours."""
        granularity, parts = GRANULARITIES[interval]
        count = max(1, min(limit, _MOST_CANDLES // parts))
        length_s = INTERVALS[interval] // 1000
        now_s = int(self._now_s())
        first_s = now_s // length_s * length_s - (count - 1) * length_s
        return Request(
            path=f"{_REST}/products/{market.native}/candles",
            params=(
                ("start", str(first_s)),
                ("end", str(now_s)),
                ("granularity", granularity),
                ("limit", str(_MOST_CANDLES)),
            ),
            product="spot",
        )

    def parse_candles(self, market: Market, interval: str, raw: bytes) -> list[Candle]:
        """Where bars are missing, none is made up: that nothing was traded is not said."""
        return _decoded(
            _decode_candles, raw, "candles", lambda answer: messages.history(answer.candles, market.symbol, interval)
        )

    def error_of(self, status: int, raw: bytes, headers: Mapping[str, str]) -> Exception | None:
        """``{"error": ..., "message": ...}``, ``{"errors": [{"id", "message"}]}``, or plain text; by HTTP status."""
        if status < 400:
            return None
        try:
            errors = _decode_errors(raw)
        except MALFORMED:  # plain text, or the page of a proxy: the status decides
            errors = messages.Errors()
        first = errors.errors[0] if errors.errors else messages.Errors.One()
        code = errors.error or first.id or None
        said = (errors.message or errors.error_details or first.message)[:300]
        detail = f"Coinbase answered HTTP {status}" + (f", {code}: {said}" if code or said else "")
        if status == 429 or code == "rate_limit_exceeded":
            return RateLimited(detail, _retry_after_s(headers), of_key=True, code=code)
        if status == 401:
            return CredentialsError(detail, code)
        if status >= 500 or code is None:
            return TransportError(detail)
        return ExchangeError(detail, code)


def _with_book(market: Market, listed: Mapping[str, Market]) -> Market:
    """An alias tells the native name of the market whose book it has; the symbol is what the others know it by."""
    if market.book_of is None:
        return market
    other = listed.get(market.book_of)
    return structs.replace(market, book_of=other.symbol if other is not None and other.book_of is None else None)


def _book_request(market: Market, levels: int) -> Request:
    params = (("product_id", market.native), ("limit", str(levels)))
    return Request(path=f"{_REST}/product_book", params=params, product="spot")


def _decoded(decoder: json.Decoder[T], raw: bytes, what: str, meaning: Callable[[T], U]) -> U:
    try:
        return meaning(decoder.decode(raw))
    except MALFORMED as error:
        raise ParseError(f"Coinbase, {what}: {error}", raw) from error


def _retry_after_s(headers: Mapping[str, str]) -> float:
    for name, value in headers.items():
        if name.lower() == "retry-after" and value.strip().isdecimal():
            return min(float(value), _LONGEST_WAIT_S)
    return _WAIT_S
