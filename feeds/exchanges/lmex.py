"""LMEX, public side: spot and futures. It runs on BTSE's engine: BTSE's API on other hosts, a version or two behind.

Facts, from docs.lmex.io and blog.lmex.io as far as they say it, else from BTSE's documentation (btsecom/docs:
spotV3_3, futuresV2_3, streaming), as of 2026. LMEX publishes little of its streams, so hosts, paths, versions, topics
and the ping are options (``[exchanges.lmex.options]``), and what is tried in turn is said below:

* Two sockets a product: ``/ws/oss/<product>`` carries books and best prices, ``/ws/<product>`` trades. There is **no
  stream** of 24 h figures, mark prices and candles: they are asked for by REST every 5 s (``market_summary``,
  ``price``, ``ohlcv``), and running candles are led on by the trades.
* ``{"op":"subscribe","args":[...]}`` is acknowledged by ``{"event":"subscribe","channel":[...]}``, which **leaves out
  what was refused**; the oss socket also sends errors that name the topic. There are no request numbers.
* Book: ``update:<market>_0``. A snapshot of up to 50 levels, then changes, ``prevSeqNum`` of each being ``seqNum`` of
  the one before. On a break, or when the book is crossed, it is subscribed anew. No checksum: so a fresh book is
  fetched beside the running one every minute, compared and put in its place (``feeds.markets.fresh_books``).
* Perpetuals are ``BTC-PERP``; old topics still say ``BTCPFC``. ``tradeHistoryApiV3`` is tried first, then ``V2``, then
  the unnumbered one. ``snapshotL1`` of futures is tried with ``_0``, then without.
* **Sizes of futures are contracts** of ``contractSize`` base currency, which differs between documents (0.001 to
  0.00001) and is taken from ``market_summary``. ``settle`` is ``quote``, since contracts settle in several currencies.
* The client sends the text ``ping`` and gets ``pong``; a connection without a ping for 60 s is dropped. A ping every
  15 s is recommended; ours come every 3 s, since their answer is all that tells a rare trade from a dead socket.
* REST: 15 queries a second. HTTP 429 has the **moment** of release in ``Retry-After``; the unit is not told. 451 is a
  ban. Errors of both forms in ``lmex_messages.Error``.
* ``ohlcv`` comes newest first, 300 rows. Its volume is taken for turnover in quote currency (BTSE's example rows fit
  nothing else) and divided by the bar's middle price: good to the bar's own range. ``candle_volume`` says otherwise.

What frames look like is in ``lmex_messages.py``, one connection's side in ``lmex_session.py``, what is polled in
``lmex_polls.py``: with them this file would pass 400 lines.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar
from urllib.parse import urlsplit

import structlog
from msgspec import Raw, json, structs

from feeds.book import Checksum
from feeds.domain import Bbo, BookSnapshot, Candle, Channel, Market, Subscription
from feeds.errors import CredentialsError, ExchangeError, ParseError, RateLimited, TransportError
from feeds.exchange import Budget, Facts, MarketIndex, Request
from feeds.exchanges import lmex_messages as messages
from feeds.exchanges.lmex_messages import MALFORMED, Contract
from feeds.exchanges.lmex_polls import LmexPolls, RestCalls
from feeds.exchanges.lmex_session import SNAPSHOT_LEVELS, LmexSession, Topics
from feeds.pacing import wait_s

log = structlog.get_logger(__name__)

ENDPOINTS = {
    "spot.ws": "wss://ws.lmex.io",
    "spot.rest": "https://api.lmex.io",
    "futures.ws": "wss://ws.lmex.io",
    "futures.rest": "https://api.lmex.io",
}
PRODUCTS = ("spot", "futures")
VOLUME_UNITS = ("quote", "base", "contracts")

_KINDS = {
    Channel.BOOK: "book",
    Channel.BBO: "book",
    Channel.TRADES: "trades",
    Channel.TICKER: "rest",
    Channel.MARK: "rest",
    Channel.CANDLES: "rest",
}
_PROBE_LEVELS = 5
_BANNED = 451
_BAN_S = 900.0
_LONGEST_WAIT_S = 24 * 3600.0
_BLOCK_S = 10.0
_TOO_OFTEN = {429, -22}
_KEY_REFUSED = {401, -7, 10001, 10002}
_FORBIDDEN = {403, -8103}

_summary_decoder = json.Decoder(list[Raw])
_market_decoder = json.Decoder(messages.Summary, strict=False)
_depth_decoder = json.Decoder(messages.Depth, strict=False)
_error_decoder = json.Decoder(messages.Error)

_NAMED = re.compile(rb'"symbol" ?: ?"[A-Z0-9_]+?(-[A-Z0-9]+|PFC)"')

T = TypeVar("T")
Names = str | Sequence[str]

_FACTS = Facts(
    streams_per_connection=50,  # not documented: modest
    messages_per_s=5,
    connects_per_minute=20,
    heartbeat_s=None,
    ping_s=3,
    max_life_s=None,
    snapshot_by_rest=False,
    truncates=False,
    markets_by_stream=False,
    probe_by_rest=True,
    polled_routes=("spot-rest", "futures-rest"),
    round_s=5,
    candles_by_trades=True,
    fresh_book_s=60,
    ids_per_connection=True,  # whether two connections have one numbering is not documented
    options=(
        *("spot_api", "futures_api", "book_path", "trades_path", "book_topic", "spot_best_topics"),
        *("futures_best_topics", "spot_trade_topics", "futures_trade_topics", "ping", "origin", "candle_volume"),
    ),
    recorded_as=("btse",),
    recorded_products=dict.fromkeys(("perpetual", "perp", "swap"), "futures"),
)


class Lmex:
    """The adapter. ``endpoints`` replaces base URLs, e.g. BTSE's own; paths are added to them.

    ``spot_api``, ``futures_api``: versions in REST paths. ``book_path``, ``trades_path``: of the sockets, with
    ``{product}``. ``..._topic(s)``: names with ``{market}``, several in the order in which they are tried. ``ping``:
    what is sent to keep a connection. ``origin``: a header for sockets. ``candle_volume``: one of ``VOLUME_UNITS``.
    ``now_s`` is the wall clock. Raises ValueError for an option that cannot be.
    """

    name = "lmex"
    products: tuple[str, ...] = PRODUCTS

    def __init__(
        self,
        endpoints: Mapping[str, str] | None = None,
        *,
        spot_api: str = "v3.3",
        futures_api: str = "v2.3",
        book_path: str = "/ws/oss/{product}",
        trades_path: str = "/ws/{product}",
        book_topic: str = "update:{market}_0",
        spot_best_topics: Names = ("snapshotL1:{market}",),
        futures_best_topics: Names = ("snapshotL1:{market}_0", "snapshotL1:{market}"),
        spot_trade_topics: Names = ("tradeHistoryApi:{market}",),
        futures_trade_topics: Names = (
            "tradeHistoryApiV3:{market}",
            "tradeHistoryApiV2:{market}",
            "tradeHistoryApi:{market}",
        ),
        ping: str = "ping",
        origin: str | None = None,
        candle_volume: str = "quote",
        now_s: Callable[[], float] = time.time,
    ) -> None:
        given = endpoints or {}
        self.endpoints: Mapping[str, str] = {key: given.get(key, url).rstrip("/") for key, url in ENDPOINTS.items()}
        if candle_volume not in VOLUME_UNITS:
            raise ValueError(f"candle_volume is {candle_volume!r}; it can be {', '.join(VOLUME_UNITS)}")
        versions = {"spot": spot_api, "futures": futures_api}
        for product, version in versions.items():
            if "/" in version or not version.startswith("v"):
                raise ValueError(f"{product}_api is {version!r}, which is no version such as v2.3")
        self.facts = _FACTS if origin is None else structs.replace(_FACTS, origin=_address(origin))
        self._paths = {"book": book_path, "trades": trades_path}
        self._topics = Topics(
            {
                ("spot", Channel.BOOK): _names("book_topic", book_topic),
                ("spot", Channel.BBO): _names("spot_best_topics", spot_best_topics),
                ("spot", Channel.TRADES): _names("spot_trade_topics", spot_trade_topics),
                ("futures", Channel.BOOK): _names("book_topic", book_topic),
                ("futures", Channel.BBO): _names("futures_best_topics", futures_best_topics),
                ("futures", Channel.TRADES): _names("futures_trade_topics", futures_trade_topics),
            }
        )
        self._ping = ping
        self._calls = {product: RestCalls(product, version, candle_volume) for product, version in versions.items()}
        self._now_s = now_s

    def product_in(self, frame: bytes) -> str | None:
        """See :class:`~feeds.exchange.TellsProduct`: ``BTC-USD`` is spot, ``BTC-PERP`` and ``BTC-260626`` are not."""
        match = _NAMED.search(frame)
        if match is None:
            return None
        ending = match[1]
        return "futures" if ending in (b"-PERP", b"PFC") or ending[1:].isdigit() else "spot"

    def budgets(self) -> Mapping[str, Budget]:
        return {product: Budget(limit=15, per_s=1) for product in PRODUCTS}

    # instruments

    def markets_requests(self) -> list[Request]:
        return [self._calls[product].request("market_summary") for product in PRODUCTS]

    def parse_markets(self, request: Request, raw: bytes) -> list[Market]:
        """One that cannot be understood is left out, and told to the log. Raises ParseError if none can be."""
        rows, markets = _decode(_summary_decoder, raw, request.path), []
        strange = 0
        for row in rows:
            try:
                market = _market_decoder.decode(row).market(request.product)
            except MALFORMED as error:
                log.warning("instrument left out", exchange=self.name, error=str(error), raw=bytes(row)[:200])
                strange += 1
                continue
            if market is not None:
                markets.append(market)
        if rows and strange == len(rows):
            raise ParseError(f"LMEX, {request.path}: none of {strange} instruments can be understood", raw)
        return markets

    # streams

    def route(self, subscription: Subscription, market: Market) -> str:
        """``spot-book``, ``futures-trades`` and the like. Raises ValueError for what spot does not have."""
        if subscription.channel is Channel.MARK and market.product == "spot":
            raise ValueError(f"{subscription}: a spot market has no mark price")
        return f"{market.product}-{_KINDS[subscription.channel]}"

    def opening_route(self) -> str:
        return "spot-book"

    def url(self, route: str) -> str:
        product, _, kind = route.partition("-")
        if kind == "rest":
            return self.endpoints[f"{product}.rest"]
        return self.endpoints[f"{product}.ws"] + self._paths[kind].replace("{product}", product)

    def session(self, route: str, markets: MarketIndex) -> LmexSession:
        product, _, kind = route.partition("-")
        if product not in PRODUCTS or kind not in self._paths:
            raise ValueError(f"LMEX has no route {route!r}")
        return LmexSession(product, markets, self._topics, ping=self._ping, alive=kind == "trades")

    def poll_session(self, route: str, markets: MarketIndex) -> LmexPolls:
        return LmexPolls(self._calls[route.partition("-")[0]], markets)

    # REST

    def checksum(self, market: Market | None) -> Checksum | None:
        return None

    def snapshot_request(self, market: Market) -> Request:
        return self._calls[market.product].depth(market, SNAPSHOT_LEVELS)

    def parse_snapshot(self, market: Market, raw: bytes) -> BookSnapshot:
        """Without a sequence number, so it cannot be joined with the stream's changes."""
        depth = _decode(_depth_decoder, raw, f"book of {market.symbol}")
        bids, asks = depth.sides(Contract(market.symbol, market.contract_size))
        return BookSnapshot(
            symbol=market.symbol, bids=bids, asks=asks, depth=SNAPSHOT_LEVELS, exchange_ms=depth.timestamp
        )

    def probe_request(self, market: Market) -> Request:
        return self._calls[market.product].depth(market, _PROBE_LEVELS)

    def parse_probe(self, market: Market, raw: bytes) -> Bbo:
        """An empty side is 0 at 0."""
        book = self.parse_snapshot(market, raw)
        (bid, bid_size), (ask, ask_size) = (side[0] if side else (0.0, 0.0) for side in (book.bids, book.asks))
        return Bbo(symbol=market.symbol, bid=bid, bid_size=bid_size, ask=ask, ask_size=ask_size)

    def candles_request(self, market: Market, interval: str, limit: int) -> Request:
        """The answer holds the newest 300 bars, whatever the limit."""
        return self._calls[market.product].candles(market, interval)

    def parse_candles(self, market: Market, interval: str, raw: bytes) -> list[Candle]:
        return self._calls[market.product].parse_candles(market, interval, raw)

    def error_of(self, status: int, raw: bytes, headers: Mapping[str, str]) -> Exception | None:
        """A good answer has no code, or ``success`` beside it; ``Retry-After`` is a moment, in s or ms."""
        code, said = _error_in(status, raw)
        detail = f"LMEX answered HTTP {status}" + (f", code {code}: {said}" if code is not None else "")
        if status == _BANNED or code == _BANNED:
            return RateLimited(detail, self._release_s(headers, _BAN_S), code=code)
        if status == 429 or code in _TOO_OFTEN:
            return RateLimited(detail, self._release_s(headers, _BLOCK_S), of_key=True, code=code)
        if status in (401, 403) or code in _KEY_REFUSED or code in _FORBIDDEN:
            return CredentialsError(detail, code)
        if status >= 500 or status == 408:
            return TransportError(detail)
        if code is not None:
            return ExchangeError(detail, code)
        return TransportError(detail) if status >= 400 else None

    def _release_s(self, headers: Mapping[str, str], otherwise: float) -> float:
        told = next((value for name, value in headers.items() if name.lower() == "retry-after"), None)
        waits = wait_s(told, self._now_s())
        return otherwise if waits is None else min(max(waits, 1.0), _LONGEST_WAIT_S)


def _error_in(status: int, raw: bytes) -> tuple[int | None, str]:
    """Code and text of an answer that is an error. Good answers are lists, or objects that say so; of a bad HTTP status
    the code may be any (such as 16, an order that is not found)."""
    if not raw.startswith(b"{") or len(raw) > 5000:  # no error text is as long as that
        return None, ""
    try:
        body = _error_decoder.decode(raw)
    except MALFORMED:  # an answer of another shape, or the page of a proxy: the status decides
        return None, ""
    for code in (body.errorCode, body.code, body.status):
        if code is not None and (code < 0 or code >= 400 or body.success is False or status >= 400):
            return code, (body.message or body.msg or "no reason given")[:300]
    return None, ""


def _names(option: str, names: Names) -> tuple[str, ...]:
    given = (names,) if isinstance(names, str) else tuple(names)
    if not given or not all("{market}" in name for name in given):
        raise ValueError(f"{option} is {', '.join(given) or 'empty'}; a topic's name needs {{market}} in it")
    return given


def _address(origin: str) -> str:
    parts = urlsplit(origin)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path:
        raise ValueError(f"origin is {origin!r}, which is no address like https://lmex.io")
    return origin


def _decode(decoder: json.Decoder[T], raw: bytes, what: str) -> T:
    try:
        return decoder.decode(raw)
    except MALFORMED as error:
        raise ParseError(f"LMEX, {what}: {error}", raw) from error
