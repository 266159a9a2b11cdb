"""OKX v5, public side: spot pairs and linear perpetual swaps.

Facts, from www.okx.com/docs-v5 (overview: WebSocket, rate limits; public data; order book trading: market data; status;
error codes) and its changelog, as of 2026:

* Two kinds of connection: ``/public``, and ``/business`` for candles, each for all products. One instrument is
  ``BTC-USDT`` (spot) or ``BTC-USDT-SWAP``; ``-SWAP`` alone tells a perpetual. Dated futures and options are not asked
  for.
* **Sizes of swaps are contracts**, of ``ctVal`` times ``ctMult`` in ``ctValCcy``. Linear contracts are a fixed amount
  of the base currency, so that all sizes are converted exactly. **Inverse ones (``BTC-USD-SWAP``) are left out**: one
  contract is a fixed amount of US dollars, so its size in base currency is a quotient that depends on the price and
  that no number of digits prints; and nothing here says "about".
* Swaps have no ``baseCcy`` and ``quoteCcy``: ``uly`` tells both. Not ``instFamily``, which may have an ending
  (``BTC-USD_UM``).
* ``books``: 400 levels a side every 100 ms. The stream begins with a snapshot (``prevSeqId`` -1); an update follows
  the one whose ``seqId`` is its ``prevSeqId``, **and that is the only rule**: ids skip, stay the same (an empty update
  about every 60 s in which nothing changed), or fall (they begin anew at maintenance). A snapshot that comes later
  replaces the book, whatever its number. Levels that leave the window of 400 are removed by the update that moves them
  out.
* ``books-l2-tbt`` (400 levels) and ``books50-l2-tbt`` go by the same rule every 10 ms, for high fee tiers; ``books5``
  tells five whole levels. We ask for none of them, but recordings hold them: each channel has a chain of its own.
* ``checksum`` is 0 since June 2026 and proves nothing. Before that, it was a signed CRC32 of the best 25 levels of each
  side, as printed; wherever it is not 0 it is compared.
* Every instrument has one set of ids, which ``bbo-tbt`` (every 10 ms) carries too; a change is told there first.
* One answer per argument, in any order; errors name the argument in their text (60018), or only the request.
* Text ``ping`` and ``pong``; whether WebSocket pings are answered is not documented. A connection that got nothing for
  30 s is closed (4004), so a ping goes out every 20 s. Candles come with trades only: silence on ``/business`` says
  nothing.
* An event ``notice`` of code 64008 announces, about a minute before, that the server closes the connection.
* 480 requests to subscribe and unsubscribe an hour and connection, 64 KB each; 3 connections a second and address;
  fewer than 30 books a connection are recommended. REST: limits per endpoint and address, the least of ours 20 in 2 s.
* ``/api/v5/market/books`` tells no id: what it answers is compared by price and size.
* In a call auction, before a market opens, bids may exceed asks. Such a book is never shown as good: the market stays
  RESYNC until trading begins.

What the frames look like is in ``okx_messages.py``, one connection's side in ``okx_session.py``: with them this file
would pass 400 lines.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TypeVar
from zlib import crc32

import structlog
from msgspec import Raw, json

from feeds.book import Checksum, OrderBook
from feeds.domain import Bbo, BookSnapshot, Candle, Channel, Level, Market, Subscription
from feeds.errors import CredentialsError, ExchangeError, ParseError, RateLimited, TransportError
from feeds.exchange import Budget, Facts, MarketIndex, Request
from feeds.exchanges import okx_messages as messages
from feeds.exchanges.okx_messages import BARS, DEPTH, MALFORMED
from feeds.exchanges.okx_session import OkxSession, keys_of

log = structlog.get_logger(__name__)

ENDPOINTS = {
    "spot.ws": "wss://ws.okx.com:8443",
    "spot.rest": "https://openapi.okx.com",
    "swap.ws": "wss://ws.okx.com:8443",
    "swap.rest": "https://openapi.okx.com",
    "private.ws": "wss://ws.okx.com:8443",
    "private.rest": "https://openapi.okx.com",
}
"""``private`` is for accounts (``feeds.accounts.okx``): where it is not given, spot's is taken."""
_PATHS = {"public": "/ws/v5/public", "business": "/ws/v5/business"}
_ROUTES = tuple(f"{product}-{path}" for product in ("spot", "swap") for path in _PATHS)
_SUMMED_LEVELS = 25
_KNOWN_LEVELS = 2000
_MOST_CANDLES = 300
_WAIT_S = 2.0
"""Budgets are per two seconds."""
_LONGEST_WAIT_S = 3600.0
_KEYS_TOO_OFTEN = {"50011", "50061"}
_TOO_OFTEN = {*_KEYS_TOO_OFTEN, "50013", "50040"}
_TROUBLE = {"50001", "50004", "50026"}
_ROWS_TELL = {"1", "2"}
_KEY_REFUSED = {"50100", "50101", "50105", "50110", "50111", "50113", "50114", "50119"}

_answer_decoder = json.Decoder(messages.Answer)
_rows_decoder = json.Decoder(list[Raw])
_instrument_decoder = json.Decoder(messages.Instrument)
_books_decoder = json.Decoder(list[messages.Book], strict=False)
_candles_decoder = json.Decoder(list[messages.Candle], strict=False)

T = TypeVar("T")
U = TypeVar("U")


class Okx:
    """The adapter. ``endpoints`` replaces single base URLs, e.g. ``{"spot.ws": "wss://wseea.okx.com:8443"}`` for an
    account of another region; the paths stay."""

    name = "okx"
    products: tuple[str, ...] = ("spot", "swap")
    facts = Facts(
        streams_per_connection=100,  # of which about a quarter are books
        messages_per_s=3,
        connects_per_minute=60,
        connects_per_s=2,
        heartbeat_s=None,
        ping_s=20,
        max_life_s=None,
        snapshot_by_rest=False,
        truncates=True,
        markets_by_stream=False,
        probe_by_rest=True,
        snapshots_replace=True,
        pong=b"pong",
        silent_routes=tuple(route for route in _ROUTES if route.endswith("business")),
        products_mixed=True,
        recorded_as=("okex",),
        recorded_products={"futures": "swap", "perpetual": "swap"},
    )

    def __init__(self, endpoints: Mapping[str, str] | None = None) -> None:
        given = dict(endpoints or {})
        for kind in ("ws", "rest"):
            if f"spot.{kind}" in given:
                given.setdefault(f"private.{kind}", given[f"spot.{kind}"])
        self.endpoints: Mapping[str, str] = {key: given.get(key, url).rstrip("/") for key, url in ENDPOINTS.items()}

    def budgets(self) -> Mapping[str, Budget]:
        """Limits are per endpoint, and no header tells what is used. Those of accounts are per account and endpoint;
        60 is the highest that we need, and requests say how much of it they take (``feeds.accounts.okx.api``)."""
        return {product: Budget(limit=20, per_s=2) for product in self.products} | {
            "private": Budget(limit=60, per_s=2)
        }

    # instruments

    def markets_requests(self) -> list[Request]:
        return [
            Request(path="/api/v5/public/instruments", params=(("instType", product.upper()),), product=product)
            for product in self.products
        ]

    def parse_markets(self, request: Request, raw: bytes) -> list[Market]:
        """Inverse contracts are left out; so is, and told to the log, an instrument that cannot be understood: it must
        not cost us all the others. Raises ParseError if none can be."""
        listed = _result(_rows_decoder, raw, request.path, lambda rows: rows)
        markets, strange = [], 0
        for row in listed:
            try:
                market = _instrument_decoder.decode(row).market()
            except MALFORMED as error:
                log.warning("instrument left out", exchange=self.name, error=str(error), raw=bytes(row)[:200])
                strange += 1
                continue
            if market is not None:
                markets.append(market)
        if listed and strange == len(listed):
            raise ParseError(f"OKX, {request.path}: none of {strange} instruments can be understood", raw)
        return markets

    # streams

    def route(self, subscription: Subscription, market: Market) -> str:
        """Raises ValueError for a stream that the market does not have."""
        keys_of(subscription, market)
        return f"{market.product}-{'business' if subscription.channel is Channel.CANDLES else 'public'}"

    def opening_route(self) -> str:
        return _ROUTES[0]

    def url(self, route: str) -> str:
        product, _, path = route.partition("-")
        return self.endpoints[f"{product}.ws"] + _PATHS[path]

    def session(self, route: str, markets: MarketIndex) -> OkxSession:
        if route not in _ROUTES:
            raise ValueError(f"OKX has no route {route!r}; there are {', '.join(_ROUTES)}")
        return OkxSession(markets, business=route.endswith("business"))

    def checksum(self, market: Market | None) -> Checksum:
        """CRC32 of the best 25 levels; ``market`` None: of one whose sizes were not converted."""
        return _summing(Decimal(1) if market is None else market.contract_size)

    # REST

    def snapshot_request(self, market: Market) -> Request:
        return _request("books", market, ("sz", str(DEPTH)))

    def parse_snapshot(self, market: Market, raw: bytes) -> BookSnapshot:
        return _result(_books_decoder, raw, f"books of {market.symbol}", lambda rows: _one(rows).snapshot(*_of(market)))

    def probe_request(self, market: Market) -> Request:
        return _request("books", market, ("sz", "1"))

    def parse_probe(self, market: Market, raw: bytes) -> Bbo:
        return _result(_books_decoder, raw, f"books of {market.symbol}", lambda rows: _one(rows).best(*_of(market)))

    def candles_request(self, market: Market, interval: str, limit: int) -> Request:
        """``limit`` is cut to what one request can bring: 300 bars."""
        limit = max(1, min(limit, _MOST_CANDLES))
        return _request("candles", market, ("bar", BARS[interval]), ("limit", str(limit)))

    def parse_candles(self, market: Market, interval: str, raw: bytes) -> list[Candle]:
        what = f"candles of {market.symbol}"
        return _result(_candles_decoder, raw, what, lambda rows: messages.candles(rows, market, interval))

    def error_of(self, status: int, raw: bytes, headers: Mapping[str, str]) -> Exception | None:
        """Errors come as ``{"code": "50011", "msg": "..."}`` with any HTTP status, 200 too. The code is text.

        Codes 1 and 2 say that all or some of what was asked for failed; why, each row of ``data`` tells (``sCode``),
        and is for whoever asked.
        """
        try:
            answer = _answer_decoder.decode(raw)
            code, said = answer.code, answer.msg[:300]
        except MALFORMED:  # the page of a proxy: the status decides
            code, said = "", ""
        told = "" if code == "0" or (code in _ROWS_TELL and b'"sCode"' in raw) else code
        detail = f"OKX answered HTTP {status}" + (f", code {told}: {said}" if told else "")
        if status == 429 or told in _TOO_OFTEN:
            return RateLimited(detail, _retry_after_s(headers), of_key=told in _KEYS_TOO_OFTEN, code=told or None)
        if told in _KEY_REFUSED:
            return CredentialsError(detail, told)
        if status == 403 or status >= 500 or told in _TROUBLE:
            return TransportError(detail)
        if told:
            return ExchangeError(detail, told)
        return TransportError(detail) if status >= 400 else None


# -- checksum --------------------------------------------------------------------------------------------------------


def _summing(contract: Decimal) -> Checksum:
    """Over ``price:size`` of the best 25 bids and asks in turn, joined by colons; a signed 32-bit number.

    OKX prints numbers without needless digits (a price in steps of 0.1 is "30236"), so the text is what a float's
    shortest text is, without exponent; of a swap, after dividing by the contract, which is exact, since it was
    multiplied with it. Both hold up to the 15 digits that a float keeps of any text.
    """
    known: dict[Level, str] = {}  # most levels are those of the frame before

    def part(level: Level) -> str:
        price, size = level
        contracts = _printed(size) if contract == 1 else _plain(Decimal(repr(size)) / contract)
        if len(known) >= _KNOWN_LEVELS:
            known.clear()
        text = known[level] = f"{_printed(price)}:{contracts}"
        return text

    def checksum(book: OrderBook) -> int:
        bids, asks = book.bids.top(_SUMMED_LEVELS), book.asks.top(_SUMMED_LEVELS)
        both = min(len(bids), len(asks))
        levels = [level for pair in zip(bids, asks, strict=False) for level in pair] + bids[both:] + asks[both:]
        crc = crc32(":".join([known.get(level) or part(level) for level in levels]).encode())
        return crc - 2**32 if crc >= 2**31 else crc

    return checksum


def _printed(value: float) -> str:
    text = repr(value)
    if text.endswith(".0"):
        return text[:-2]
    return _plain(Decimal(text)) if "e" in text else text


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"


# -- REST ------------------------------------------------------------------------------------------------------------


def _request(what: str, market: Market, *params: tuple[str, str]) -> Request:
    return Request(path=f"/api/v5/market/{what}", params=(("instId", market.native), *params), product=market.product)


def _result(decoder: json.Decoder[T], raw: bytes, what: str, meaning: Callable[[T], U]) -> U:
    try:
        return meaning(decoder.decode(_answer_decoder.decode(raw).data))
    except MALFORMED as error:
        raise ParseError(f"OKX, {what}: {error}", raw) from error


def _one(rows: list[messages.Book]) -> messages.Book:
    if len(rows) != 1:
        raise ParseError(f"OKX: {len(rows)} books instead of one")
    return rows[0]


def _of(market: Market) -> tuple[str, messages.Sizes | None]:
    return market.symbol, None if market.contract_size == 1 else messages.Sizes(market.contract_size)


def _retry_after_s(headers: Mapping[str, str]) -> float:
    for name, value in headers.items():
        if name.lower() == "retry-after" and value.strip().isdecimal():
            return min(float(value), _LONGEST_WAIT_S)
    return _WAIT_S
