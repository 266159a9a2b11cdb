"""Kraken Futures, public side: linear contracts, WebSocket v1, REST ``derivatives/api/v3`` and charts.

Facts, from docs.kraken.com/exchange (api-reference/futures-websocket: book, ticker, trade, heartbeat;
guides/futures/ratelimits) and docs.kraken.com/api-reference (instrument-details, candles/market-candles), as of 2026:

* ``PF_XBTUSD`` is a linear perpetual, ``FF_XBTUSD_260925`` a linear dated contract; Bitcoin is XBT in these names. Both
  are of the type ``flexible_futures``, have contracts of 1 base unit, and trade in steps of
  ``10 ** -contractValueTradePrecision``, which may be negative. They become ``BTC/USD:USD``, ``BTC/USD:USD-260925``.
* **Inverse contracts (PI_, FI_) are left out.** Their sizes are dollars. In base currency a size would be a quotient
  that the exchange never printed and that mostly has no end (1,000 dollars at 34,981 are 0.0285869472...), so neither
  its size nor a sum of sizes could be shown as what it is. Vanilla contracts and indices are left out, too.
* A book begins with ``book_snapshot``, whole, and goes on with one level per message. ``seq`` rises by one per product,
  so a lost message shows at the next one; the book is then built anew by ending its subscription and subscribing again.
* ``ticker`` carries best prices, 24 h figures, mark and index price and funding, once a second: Channel.BBO, .TICKER
  and .MARK are one stream. ``relative_funding_rate`` is the rate: what is paid for this hour, as a ratio of the
  position's value. ``funding_rate`` is the same in dollars per contract.
* ``trade`` begins with the last hundred prints, newest first; their ``seq`` rises by one. **There is no stream of
  candles**: bars of a minute are made of prints (``krakenfutures_bars.py``), longer ones of those and of REST's.
* Answers name feed and product. Complaints (``error`` as documented, ``alert`` as observed) name nobody, or the
  product.
* The client must send a ping at least every 60 s, a WebSocket one: ``{"event":"ping"}`` is answered with an alert. The
  feed ``heartbeat`` beats at an interval that is not documented, for the connection as a whole. It does not prove that
  a book's subscription lives, so a silent book is compared with REST's.
* ``suspended`` and ``post_only`` in a ticker tell a halt of one market; of the whole exchange the alert "Trading engine
  unavailable".
* 100 connections, 100 requests a second. How many subscriptions a connection may have is not documented: ours is a
  guess. Public REST calls are free of the budgets; ours is a guess on the safe side. A candles answer has 2,000 bars at
  most (5,000 are documented).

What the frames look like is in ``krakenfutures_messages.py``, one connection's side in ``krakenfutures_session.py``:
with them this file would pass 400 lines.
"""

import contextlib
from collections.abc import Mapping
from typing import TypeVar

import structlog
from msgspec import json

from feeds.book import Checksum
from feeds.domain import INTERVALS, Bbo, BookSnapshot, Candle, Market, Subscription
from feeds.errors import CredentialsError, ExchangeError, ParseError, RateLimited, TransportError
from feeds.exchange import Budget, Facts, MarketIndex, Request
from feeds.exchanges import krakenfutures_messages as messages
from feeds.exchanges.krakenfutures_bars import INTERVAL
from feeds.exchanges.krakenfutures_messages import LABEL, MALFORMED, PRODUCT
from feeds.exchanges.krakenfutures_session import KrakenFuturesSession

ENDPOINTS = {
    "futures.ws": "wss://futures.kraken.com/ws/v1",
    "futures.rest": "https://futures.kraken.com",
    "account.rest": "https://futures.kraken.com",
}
_ROUTE = "futures"
_API = "/derivatives/api/v3"
_CHARTS = "/api/charts/v1/trade"
_MOST_CANDLES = 2000
_WAIT_S = 10.0
"""The window of the budgets: after it there is one again."""
_LONGEST_WAIT_S = 3600.0
_TOO_OFTEN = "apiLimitExceeded"
_KEY_REFUSED = ("authenticationError", "insufficientPrivileges", "accountInactive")
_TROUBLE = ("unavailable", "Server Error", "Service Unavailable")

_instruments_decoder = json.Decoder(messages.Instruments)
_decode_instrument = json.Decoder(messages.Instrument).decode
_depth_decoder = json.Decoder(messages.Depth)
_bars_decoder = json.Decoder(messages.Bars)
_decode_outcome = json.Decoder(messages.Outcome).decode

log = structlog.get_logger(__name__)

T = TypeVar("T")


class KrakenFutures:
    """The adapter. ``endpoints`` replaces base URLs; ``futures.ws`` is used exactly as given."""

    name = "krakenfutures"
    products: tuple[str, ...] = (PRODUCT,)
    facts = Facts(
        streams_per_connection=250,
        messages_per_s=50,
        connects_per_minute=30,
        heartbeat_s=None,
        ping_s=25,
        max_life_s=None,
        snapshot_by_rest=False,
        truncates=False,
        markets_by_stream=False,
        probe_by_rest=True,
        candle_intervals=(INTERVAL,),
        recorded_as=("krakenderivatives", "cryptofacilities"),
    )

    def __init__(self, endpoints: Mapping[str, str] | None = None) -> None:
        given = endpoints or {}
        self.endpoints: Mapping[str, str] = {
            "futures.ws": given.get("futures.ws", ENDPOINTS["futures.ws"]),
            "futures.rest": given.get("futures.rest", ENDPOINTS["futures.rest"]).rstrip("/"),
            "account.rest": given.get("account.rest", given.get("futures.rest", ENDPOINTS["account.rest"])).rstrip("/"),
        }

    def budgets(self) -> Mapping[str, Budget]:
        return {PRODUCT: Budget(limit=100, per_s=10), "account": Budget(limit=500, per_s=10)}

    # instruments

    def markets_requests(self) -> list[Request]:
        return [Request(path=f"{_API}/instruments", product=PRODUCT)]

    def parse_markets(self, request: Request, raw: bytes) -> list[Market]:
        """Linear contracts. One that cannot be understood is left out, and told to the log: it must not cost us all the
        others. Raises ParseError if none of them can be."""
        listed = _decode(_instruments_decoder, raw, "instruments").instruments
        markets, strange = [], 0
        for each in listed:
            try:
                market = _decode_instrument(each).market(self.name)
            except MALFORMED as error:
                log.warning("instrument left out", exchange=self.name, error=str(error), raw=bytes(each)[:200])
                strange += 1
                continue
            if market is not None:
                markets.append(market)
        if strange and not markets:
            raise ParseError(f"{LABEL}: none of {strange} instruments can be understood", raw)
        return markets

    # streams

    def route(self, subscription: Subscription, market: Market) -> str:
        return _ROUTE

    def opening_route(self) -> str:
        return _ROUTE

    def url(self, route: str) -> str:
        return self.endpoints["futures.ws"]

    def session(self, route: str, markets: MarketIndex) -> KrakenFuturesSession:
        return KrakenFuturesSession(markets)

    def checksum(self, market: Market | None) -> Checksum | None:
        return None

    # REST

    def snapshot_request(self, market: Market) -> Request:
        return Request(path=f"{_API}/orderbook", params=(("symbol", market.native),), product=PRODUCT)

    def parse_snapshot(self, market: Market, raw: bytes) -> BookSnapshot:
        return _decode(_depth_decoder, raw, f"book of {market.symbol}").snapshot(market.symbol)

    def probe_request(self, market: Market) -> Request:
        """The whole book: there is no smaller one, and it has no sequence number."""
        return self.snapshot_request(market)

    def parse_probe(self, market: Market, raw: bytes) -> Bbo:
        depth = _decode(_depth_decoder, raw, f"book of {market.symbol}")
        try:
            return depth.best(market.symbol)
        except MALFORMED as error:
            raise ParseError(f"{LABEL}, book of {market.symbol}: {error}", raw) from error

    def candles_request(self, market: Market, interval: str, limit: int) -> Request:
        """``limit`` is cut to what one request can bring."""
        if interval not in INTERVALS:
            raise ValueError(f"{LABEL} has no candles of {interval!r}")
        count = max(1, min(limit, _MOST_CANDLES))
        return Request(path=f"{_CHARTS}/{market.native}/{interval}", params=(("count", str(count)),), product=PRODUCT)

    def parse_candles(self, market: Market, interval: str, raw: bytes) -> list[Candle]:
        bars = _decode(_bars_decoder, raw, f"candles of {market.symbol}")
        try:
            return bars.told(market.symbol, interval)
        except MALFORMED as error:
            raise ParseError(f"{LABEL}, candles of {market.symbol}: {error}", raw) from error

    def error_of(self, status: int, raw: bytes, headers: Mapping[str, str]) -> Exception | None:
        """Errors say ``"result":"error"``, mostly with HTTP 200; what is long is a good answer."""
        said = None
        if status >= 400 or len(raw) < 2000:
            with contextlib.suppress(*MALFORMED):  # the page of a proxy: the status decides
                said = _decode_outcome(raw).said()
        detail = f"{LABEL} answered HTTP {status}" + (f": {said[:300]}" if said else "")
        if status == 429 or (said is not None and said.startswith(_TOO_OFTEN)):
            of_key = said is not None and said.startswith(_TOO_OFTEN)
            return RateLimited(detail, _retry_after_s(headers), of_key=of_key, code=said)
        if status == 401 or (said is not None and said.startswith(_KEY_REFUSED)):
            return CredentialsError(detail, said)
        if status >= 500 or status == 403 or (said is not None and said.startswith(_TROUBLE)):
            return TransportError(detail)
        if said is not None:
            return ExchangeError(detail, said)
        return TransportError(detail) if status >= 400 else None


def _decode(decoder: json.Decoder[T], raw: bytes, what: str) -> T:
    try:
        return decoder.decode(raw)
    except MALFORMED as error:
        raise ParseError(f"{LABEL}, {what}: {error}", raw) from error


def _retry_after_s(headers: Mapping[str, str]) -> float:
    for name, value in headers.items():
        if name.lower() == "retry-after" and value.strip().isdecimal():
            return min(float(value), _LONGEST_WAIT_S)
    return _WAIT_S
