"""Binance, public side: spot and USD-M futures.

Facts, from the official documentation as of 2026 (github.com/binance/binance-spot-api-docs: web-socket-streams.md,
rest-api.md; developers.binance.com/docs/derivatives/usds-margined-futures):

* Streams are opened combined (``/stream``), so every frame names its stream: ``{"stream": ..., "data": {...}}``. Spot
  best prices carry no event type, and partial books of futures carry the same one as changes.
* Futures are split by route since 2026-04-23: books and best prices on ``/public``, the rest on ``/market``.
  **Subscribing on the wrong route, or what does not exist, is acknowledged like anything else and stays mute.** So the
  routes are known here, and only silence can tell of an unknown stream: that is the engine's to find.
* Since 2026-06-30 futures payloads say ``st``: 1 is USD-M, 2 is COIN-M, which is not ours and dropped.
* The book's snapshot comes by REST. Updates chain by ``U == previous u + 1`` on spot and ``pu == previous u`` on
  futures, where ``U`` skips. Both become ``prev`` and ``seq`` of a :class:`~feeds.domain.BookDelta`.
* The server pings every 20 s (spot) or 3 min (futures) and ends connections after 24 h; spot announces it
  (``serverShutdown``). There is no heartbeat in the data, so a quiet market is probed by REST.
* ``exchange_ms`` is ``E``, the time of sending, which both products have; a trade's is its own time ``T``.
* An empty side of a book has best price 0 and size 0.

A frame of a symbol that the index does not hold gives no event: it is understood, but about nothing that we know
(listed a moment ago, never subscribed). A market that is followed is in the index, so it loses nothing by that.

What the frames look like is in ``binance_messages.py``, one connection's side in ``binance_session.py``: with them this
file would pass 400 lines.
"""

from collections.abc import Mapping
from typing import TypeVar

import structlog
from msgspec import json

from feeds.book import Checksum
from feeds.domain import Bbo, BookSnapshot, Candle, Market, Subscription
from feeds.errors import CredentialsError, ExchangeError, ParseError, RateLimited, TransportError
from feeds.exchange import Budget, Facts, MarketIndex, Request
from feeds.exchanges import binance_messages as messages
from feeds.exchanges.binance_messages import MALFORMED
from feeds.exchanges.binance_products import product_in
from feeds.exchanges.binance_session import PATHS, BinanceSession, product_of, route_of

log = structlog.get_logger(__name__)

ENDPOINTS = {
    "spot.ws": "wss://stream.binance.com:9443",
    "spot.rest": "https://api.binance.com",
    "spot.ws_api": "wss://ws-api.binance.com:443/ws-api/v3",
    "usdm.ws": "wss://fstream.binance.com",
    "usdm.rest": "https://fapi.binance.com",
}
_REST_PATHS = {"spot": "/api/v3", "usdm": "/fapi/v1"}
_SNAPSHOT_LEVELS = 1000
_SNAPSHOT_WEIGHT = {"spot": 50, "usdm": 20}
_PROBE_LEVELS = 5
_PROBE_WEIGHT = {"spot": 5, "usdm": 2}
_MAX_CANDLES = {"spot": 1000, "usdm": 1500}
_TOO_MANY_REQUESTS = -1003
_LONGEST_BAN_S = 3 * 24 * 3600.0
_KEY_REFUSED = {-1022, -2014, -2015}

_info_decoder = json.Decoder(messages.ExchangeInfo)
_symbol_decoder = json.Decoder(messages.Symbol)
_depth_decoder = json.Decoder(messages.Depth, strict=False)
_klines_decoder = json.Decoder(list[messages.KlineRow])
_time_decoder = json.Decoder(messages.ServerTime)
_error_decoder = json.Decoder(messages.Error)

T = TypeVar("T")


class Binance:
    """The adapter. ``endpoints`` replaces single base URLs, e.g. ``{"usdm.ws": "ws://127.0.0.1:9000"}``."""

    name = "binance"
    products: tuple[str, ...] = ("spot", "usdm")
    facts = Facts(
        streams_per_connection=1024,
        messages_per_s=3,  # 5 on spot, 10 on futures, where pings and pongs count too: two are left for them
        connects_per_minute=60,
        heartbeat_s=None,
        ping_s=None,
        max_life_s=24 * 3600,
        snapshot_by_rest=True,
        truncates=False,
        markets_by_stream=False,
        probe_by_rest=True,
        recorded_products=dict.fromkeys(("futures", "usdtm", "um", "fapi", "fstream", "perpetual", "perp"), "usdm"),
    )

    def __init__(self, endpoints: Mapping[str, str] | None = None) -> None:
        given = endpoints or {}
        self.endpoints: Mapping[str, str] = {key: given.get(key, url).rstrip("/") for key, url in ENDPOINTS.items()}

    def product_in(self, frame: bytes) -> str | None:
        """See :class:`~feeds.exchange.TellsProduct`."""
        return product_in(frame)

    def budgets(self) -> Mapping[str, Budget]:
        return {
            "spot": Budget(limit=6000, per_s=60, used_header="X-MBX-USED-WEIGHT-1M"),
            "usdm": Budget(limit=2400, per_s=60, used_header="X-MBX-USED-WEIGHT-1M"),
        }

    # instruments

    def markets_requests(self) -> list[Request]:
        return [
            Request(path="/api/v3/exchangeInfo", params=(("showPermissionSets", "false"),), product="spot", weight=20),
            Request(path="/fapi/v1/exchangeInfo", product="usdm", weight=1),
        ]

    def parse_markets(self, request: Request, raw: bytes) -> list[Market]:
        """Symbols that are no spot pair, perpetual or dated future are left out; so is, and told to the log, one that
        cannot be understood: it must not cost us all the others. Raises ParseError if none can be."""
        listed = _decode(_info_decoder, raw, request.path).symbols
        markets, strange = [], 0
        for symbol in listed:
            try:
                market = _symbol_decoder.decode(symbol).market(request.product)
            except MALFORMED as error:
                log.warning("instrument left out", exchange=self.name, error=str(error), raw=bytes(symbol)[:200])
                strange += 1
                continue
            if market is not None:
                markets.append(market)
        if listed and strange == len(listed):
            raise ParseError(f"Binance, {request.path}: none of {strange} instruments can be understood", raw)
        return markets

    # streams

    def route(self, subscription: Subscription, market: Market) -> str:
        """Raises ValueError for a stream that the product does not have."""
        return route_of(subscription, market)

    def opening_route(self) -> str:
        return "spot"

    def url(self, route: str) -> str:
        return self.endpoints[f"{product_of(route)}.ws"] + PATHS[route]

    def session(self, route: str, markets: MarketIndex) -> BinanceSession:
        return BinanceSession(route, markets)

    # REST

    def checksum(self, market: Market | None) -> Checksum | None:
        return None

    def snapshot_request(self, market: Market) -> Request:
        return _depth_request(market, _SNAPSHOT_LEVELS, _SNAPSHOT_WEIGHT)

    def parse_snapshot(self, market: Market, raw: bytes) -> BookSnapshot:
        """Futures drop updates with ``u < lastUpdateId`` only: the one that leads to the snapshot comes once more."""
        book = _decode(_depth_decoder, raw, f"depth of {market.symbol}")
        return book.snapshot(market.symbol, _SNAPSHOT_LEVELS, again=market.product == "usdm")

    def probe_request(self, market: Market) -> Request:
        return _depth_request(market, _PROBE_LEVELS, _PROBE_WEIGHT)

    def parse_probe(self, market: Market, raw: bytes) -> Bbo:
        return _decode(_depth_decoder, raw, f"depth of {market.symbol}").best(market.symbol)

    def candles_request(self, market: Market, interval: str, limit: int) -> Request:
        """``limit`` is cut to what one request can bring: 1000 bars on spot, 1500 on futures."""
        limit = max(1, min(limit, _MAX_CANDLES[market.product]))
        weight = (
            2 if market.product == "spot" else 1 if limit < 100 else 2 if limit < 500 else 5 if limit <= 1000 else 10
        )
        return Request(
            path=f"{_REST_PATHS[market.product]}/klines",
            params=(("symbol", market.native), ("interval", interval), ("limit", str(limit))),
            product=market.product,
            weight=weight,
        )

    def parse_candles(self, market: Market, interval: str, raw: bytes) -> list[Candle]:
        rows = _decode(_klines_decoder, raw, f"klines of {market.symbol}")
        return [row.candle(market.symbol, interval, closed=row is not rows[-1]) for row in rows]

    def time_request(self, product: str) -> Request:
        return Request(path=f"{_REST_PATHS[product]}/time", product=product, weight=1)

    def parse_time(self, raw: bytes) -> int:
        return _decode(_time_decoder, raw, "time").serverTime

    def error_of(self, status: int, raw: bytes, headers: Mapping[str, str]) -> Exception | None:
        """Errors have negative codes; ``{"code": 200, "msg": "..."}`` is a success. Retry-After is in seconds."""
        code, said = None, ""
        if status >= 400 or len(raw) < 1000:  # no error text is as long as that
            try:
                error = _error_decoder.decode(raw)
                code, said = (error.code, error.msg[:300]) if error.code < 0 else (None, "")
            except MALFORMED:  # an answer of another shape, or the page of a proxy: the status decides
                pass
        detail = f"Binance answered HTTP {status}" + (f", code {code}: {said}" if code is not None else "")
        if status in (418, 429) or code == _TOO_MANY_REQUESTS:
            return RateLimited(detail, _retry_after_s(status, headers), code=code)
        if code in _KEY_REFUSED:
            return CredentialsError(detail, code)
        if status == 403 or status >= 500:
            return TransportError(detail)
        if code is not None:
            return ExchangeError(detail, code)
        return TransportError(detail) if status >= 400 else None


def _depth_request(market: Market, levels: int, weights: Mapping[str, int]) -> Request:
    return Request(
        path=f"{_REST_PATHS[market.product]}/depth",
        params=(("symbol", market.native), ("limit", str(levels))),
        product=market.product,
        weight=weights[market.product],
    )


def _decode(decoder: json.Decoder[T], raw: bytes, what: str) -> T:
    try:
        return decoder.decode(raw)
    except MALFORMED as error:
        raise ParseError(f"Binance, {what}: {error}", raw) from error


def _retry_after_s(status: int, headers: Mapping[str, str]) -> float:
    """What the answer says, else the shortest documented: the rest of a minute, or two minutes of a ban."""
    for name, value in headers.items():
        if name.lower() == "retry-after" and value.strip().isdecimal():
            return min(float(value), _LONGEST_BAN_S)
    return 120.0 if status == 418 else 60.0
