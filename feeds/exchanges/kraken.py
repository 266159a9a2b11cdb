"""Kraken, public side: spot, WebSocket v2.

Facts, from docs.kraken.com/exchange (api-reference/spot-websocket: book, ticker, trade, ohlc, instrument, status,
heartbeat, ping; guides/websockets: checksum, rate limits), as of 2026:

* The unified symbol is the stream's own: ``BTC/USD``. REST speaks of ``XBTUSD``: Bitcoin is XBT, Dogecoin XDG, and
  there is no slash. Nothing in the instrument channel tells that name, so it is derived.
* Instruments come by the channel ``instrument``: all of them first, then those that changed. Their precisions are what
  the checksum needs; they stand in a market's ``tick`` and ``lot`` as the number of digits written (``0.10``).
* A subscription of a book begins with a snapshot. There are **no sequence numbers**; every message has a CRC32 over the
  best ten levels of each side, which proves the book after it. A lost change further down shows when it moves up.
* The subscribed depth is a window: what new levels push out of it is not removed by a message, so each side is cut to
  the window after every message (all of it: one message may hold a price twice).
* Books are built anew by ending the subscription, waiting for the answer, and subscribing again.
* One answer per symbol, in no order relative to the data. Errors name the symbol if it is to blame, else nothing.
* The ticker, triggered by ``bbo``, carries best prices and 24 h figures together: Channel.BBO and Channel.TICKER are
  one stream here, subscribed once and ended when neither is wanted.
* Candles have no closed flag and come with trades only: a bar is closed when a later one comes, and where bars are
  missing between two, nothing was traded.
* A heartbeat comes about once a second when nothing else does, once there is a subscription. A connection that neither
  side uses is closed after a minute.
* About 150 connections in 10 minutes per address, beyond that 10 minutes of ban. Limits of messages and of
  subscriptions per connection exist or may exist and are not published: ours are guesses on the safe side.

What the frames look like is in ``kraken_messages.py``, one connection's side in ``kraken_session.py``: with them this
file would pass 400 lines.
"""

import re
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TypeVar
from zlib import crc32

from msgspec import json

from feeds.book import Checksum, OrderBook
from feeds.domain import INTERVALS, Bbo, BookSnapshot, Candle, Level, Market, Subscription, decimals
from feeds.errors import CredentialsError, ExchangeError, ParseError, RateLimited, TransportError
from feeds.exchange import Budget, Facts, MarketIndex, Request
from feeds.exchanges import kraken_messages as messages
from feeds.exchanges.kraken_messages import MALFORMED
from feeds.exchanges.kraken_session import CHANNELS, DEPTHS, MOST_CANDLES, KrakenSession, until

ENDPOINTS = {
    "spot.ws": "wss://ws.kraken.com/v2",
    "spot.rest": "https://api.kraken.com",
    "account.ws_api": "wss://ws-auth.kraken.com/v2",
    "account.rest": "https://api.kraken.com",
}
_ROUTE = "spot"
_SUMMED_LEVELS = 10
_EXACT = 10**15
"""Units up to here come exactly out of a float by one multiplication."""
_KNOWN_LEVELS = 1000
_REST_LEVELS = 100
_REST_NAMES = {"BTC": "XBT", "DOGE": "XDG"}
_WAIT_S = 15.0
"""After "Rate limit exceeded": 5 to 15 s are documented."""
_LONGEST_WAIT_S = 3600.0
_THROTTLED = re.compile(r"EService: ?Throttled: ?([0-9]{1,12})")
_KEYS_TOO_OFTEN = "Rate limit exceeded"
"""A counter of the key, or of its orders."""
_TOO_OFTEN = (_KEYS_TOO_OFTEN, "EGeneral:Too many requests", "EGeneral:Temporary lockout")
_KEY_REFUSED = ("EAPI:Invalid key", "EAPI:Invalid signature", "EGeneral:Permission denied")

_decode_answer = json.Decoder(messages.Answer).decode
_decode_errors = json.Decoder(messages.Errors).decode
_depth_decoder = json.Decoder(messages.Depth, strict=False)
_ohlc_decoder = json.Decoder(list[messages.OhlcRow], strict=False)

T = TypeVar("T")
U = TypeVar("U")


class Kraken:
    """The adapter. ``endpoints`` replaces base URLs; those of WebSockets are used exactly as given.

    ``book_depth``: levels a side to subscribe to, one of ``DEPTHS``. ``now_s`` is the wall clock, for errors that say
    until when to wait.
    """

    name = "kraken"
    products: tuple[str, ...] = ("spot",)
    facts = Facts(
        streams_per_connection=250,
        messages_per_s=5,
        connects_per_minute=15,
        heartbeat_s=1,
        ping_s=30,
        max_life_s=None,
        snapshot_by_rest=False,
        truncates=True,
        markets_by_stream=True,
        probe_by_rest=True,
        probe_lag_s=1.0,  # how old an answer may be is not documented
        probe_size_step=0.001,  # "30384.10000","2.059": three digits, of eight by stream
        book_depths=DEPTHS,
    )

    def __init__(
        self,
        endpoints: Mapping[str, str] | None = None,
        *,
        book_depth: int = 100,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        if book_depth not in DEPTHS:
            raise ValueError(f"book_depth is {book_depth}; Kraken has {', '.join(map(str, DEPTHS))}")
        given = endpoints or {}
        self.endpoints: Mapping[str, str] = {
            "spot.ws": given.get("spot.ws", ENDPOINTS["spot.ws"]),
            "spot.rest": given.get("spot.rest", ENDPOINTS["spot.rest"]).rstrip("/"),
            "account.ws_api": given.get("account.ws_api", ENDPOINTS["account.ws_api"]),
            "account.rest": given.get("account.rest", given.get("spot.rest", ENDPOINTS["account.rest"])).rstrip("/"),
        }
        self.book_depth = book_depth
        self._now_s = now_s

    def budgets(self) -> Mapping[str, Budget]:
        """About one public request a second is safe; the limit itself is not published. What accounts ask is counted by
        key (:class:`feeds.account.KeyLimits`); theirs is a guess at what one address may."""
        return {"spot": Budget(limit=10, per_s=10), "account": Budget(limit=60, per_s=10)}

    # instruments

    def markets_requests(self) -> list[Request]:
        return []

    def parse_markets(self, request: Request, raw: bytes) -> list[Market]:
        raise ValueError("Kraken's instruments come by stream")

    # streams

    def route(self, subscription: Subscription, market: Market) -> str:
        """Raises ValueError for a stream that spot does not have."""
        if subscription.channel not in CHANNELS:
            raise ValueError(f"{subscription}: a spot market has no such stream")
        return _ROUTE

    def opening_route(self) -> str:
        return _ROUTE

    def url(self, route: str) -> str:
        return self.endpoints["spot.ws"]

    def session(self, route: str, markets: MarketIndex) -> "KrakenSession":
        return KrakenSession(markets, self.book_depth)

    def checksum(self, market: Market | None) -> Checksum:
        """CRC32 of the best ten levels; ``market`` None: by the digits that the book's snapshot was printed with."""
        if market is None:
            return lambda book: _summing(*_printed(book))(book)
        return _summing(_digits(market.tick), _digits(market.lot))

    # REST

    def snapshot_request(self, market: Market) -> Request:
        return _request("Depth", market, "count", str(_REST_LEVELS))

    def parse_snapshot(self, market: Market, raw: bytes) -> BookSnapshot:
        return _result(_depth_decoder, raw, lambda depth: depth.snapshot(market.symbol, _REST_LEVELS))

    def probe_request(self, market: Market) -> Request:
        return _request("Depth", market, "count", "1")

    def parse_probe(self, market: Market, raw: bytes) -> Bbo:
        return _result(_depth_decoder, raw, lambda depth: depth.best(market.symbol))

    def candles_request(self, market: Market, interval: str, limit: int) -> Request:
        """The answer holds the last 720 bars at most, whatever the limit."""
        return _request("OHLC", market, "interval", str(messages.MINUTES[interval]))

    def parse_candles(self, market: Market, interval: str, raw: bytes) -> list[Candle]:
        """Up to 720 bars; where the answer leaves out quiet ones, they are flat."""
        bars = _result(_ohlc_decoder, raw, lambda rows: messages.candles(rows, market.symbol, interval))
        first_ms = bars[-1].open_ms - MOST_CANDLES * INTERVALS[interval] if bars else 0
        whole: list[Candle] = []
        for bar in bars:
            if bar.open_ms > first_ms:
                whole += [*until(whole.pop(), bar), bar] if whole else [bar]
        return whole

    def error_of(self, status: int, raw: bytes, headers: Mapping[str, str]) -> Exception | None:
        """Errors come as ``{"error": ["EQuery:Unknown asset pair"]}``, usually with HTTP 200; "W..." is a warning."""
        try:
            said = [text for text in _decode_errors(raw).error if not text.startswith("W")]
        except MALFORMED:
            said = []  # the page of a proxy: the status decides
        code = said[0] if said else None
        detail = f"Kraken answered HTTP {status}" + (f": {'; '.join(said)[:300]}" if said else "")
        if (throttled := _THROTTLED.search(detail)) is not None:
            wait_s = min(max(float(throttled[1]) - self._now_s(), 1.0), _LONGEST_WAIT_S)
            return RateLimited(detail, wait_s, code=code)
        if status == 429 or any(text in detail for text in _TOO_OFTEN):
            return RateLimited(detail, _retry_after_s(headers), of_key=_KEYS_TOO_OFTEN in detail, code=code)
        if code in _KEY_REFUSED:
            return CredentialsError(detail, code)
        if status >= 500 or (code is not None and code.startswith("EService:")):
            return TransportError(detail)
        if code is not None:
            return ExchangeError(detail, code)
        return TransportError(detail) if status >= 400 else None


# -- checksum --------------------------------------------------------------------------------------------------------


def _summing(price_digits: int, size_digits: int) -> Checksum:
    """Over the best ten levels of each side, asks first: price and quantity, printed with so many digits after the
    point, without the point and leading zeros. That text is the number of units, whatever zeros the server prints."""
    price_scale, size_scale = float(10**price_digits), float(10**size_digits)
    known: dict[Level, str] = {}  # most of the twenty levels are those of the frame before

    def part(level: Level) -> str:
        price, size = level
        price_units, size_units = round(price * price_scale), round(size * size_scale)
        if price_units >= _EXACT:
            price_units = _many_units(price, price_digits)
        if size_units >= _EXACT:
            size_units = _many_units(size, size_digits)
        if len(known) >= _KNOWN_LEVELS:
            known.clear()
        text = known[level] = f"{price_units}{size_units}"
        return text

    def checksum(book: OrderBook) -> int:
        levels = book.asks.top(_SUMMED_LEVELS) + book.bids.top(_SUMMED_LEVELS)
        return crc32("".join([known.get(level) or part(level) for level in levels]).encode())

    return checksum


def _many_units(value: float, digits: int) -> int:
    """Exact as long as the float is, up to 4e15 units; beyond that the exchange's digits do not fit into a float."""
    return int(f"{value:.{digits}f}".replace(".", ""))


def _digits(step: Decimal) -> int:
    """Digits after the point that a tick or lot is written with."""
    exponent = step.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _printed(book: OrderBook) -> tuple[int, int]:
    """The precision that the book was printed with; if nobody told, what its levels need."""
    if book.printed is not None:
        return book.printed
    levels = [*book.bids.levels.items(), *book.asks.levels.items()]
    needed = [[decimals(Decimal(repr(value))) for value in level] for level in levels]
    return max((price for price, _ in needed), default=0), max((size for _, size in needed), default=0)


# -- REST ------------------------------------------------------------------------------------------------------------


def rest_name(market: Market) -> str:
    """The pair as REST knows it (``altname``): ``BTC/USD`` -> ``XBTUSD``, ``DOGE/BTC`` -> ``XDGXBT``."""
    return "".join(_REST_NAMES.get(part, part) for part in market.native.split("/"))


def _request(method: str, market: Market, name: str, value: str) -> Request:
    return Request(path=f"/0/public/{method}", params=(("pair", rest_name(market)), (name, value)), product="spot")


def _result(decoder: json.Decoder[T], raw: bytes, meaning: Callable[[T], U]) -> U:
    """What the result means. It stands under the pair's name, which is not the one we asked by (``XXBTZUSD``)."""
    try:
        found = {name: value for name, value in _decode_answer(raw).result.items() if name != "last"}
        if len(found) == 1:
            return meaning(decoder.decode(*found.values()))
    except MALFORMED as error:
        raise ParseError(f"Kraken: {error}", raw) from error
    raise ParseError(f"Kraken: an answer about {', '.join(found) or 'nothing'} instead of one pair", raw)


def _retry_after_s(headers: Mapping[str, str]) -> float:
    for name, value in headers.items():
        if name.lower() == "retry-after" and value.strip().isdecimal():
            return min(float(value), _LONGEST_WAIT_S)
    return _WAIT_S
