"""Alpaca: crypto (its own venue) and US stocks, market data stream v1beta3 and v2, REST.

Facts, from docs.alpaca.markets (docs: real-time-crypto-pricing-data, real-time-stock-pricing-data,
streaming-market-data; reference: cryptolatestorderbooks, cryptobars, stocklatestquotes, get-v2-assets) and Alpaca's own
SDK, as of 2026; what is marked **unconfirmed** comes from elsewhere and could not be backed:

* **Market data need a key**, which the first message of a connection tells; subscriptions before ``authenticated`` are
  an error. 402 is a wrong key. Keys of paper trading work on ``paper-api`` only, where orders and instruments are.
* **One connection per account and endpoint.** A second one gets 406 and the first one lives; after a crash the old one
  may linger. So all that is wanted goes by one connection of crypto, and one of stocks.
* Every frame is an array; data may be batched. An answer lists all that stands; an error names nobody.
* A book begins with a message of ``r: true``, which may also come again at any time. Changes have **no numbers and no
  checksum**: what shows a fault is a crossed book, a frame that is not understood, or REST's book that differs: it is
  compared when the market is silent, and level by level every minute (``feeds.markets.compared_books``). It is built
  anew by ending the subscription and subscribing again.
* Stocks have no book at all: best prices and trades. Their trades have no taker's side. **Unconfirmed**: sizes
  of their quotes are round lots, whose number of shares depends on the stock's price and changed in 2025. So they are
  not shown.
* Tickers name other things than coins do (BTC, ETH, LTC are also funds and companies; which ones, **unconfirmed**), so
  a stock is ``LTC.US/USD``.
* Bars come after the minute, and again after late trades (``u``). Of crypto they also hold middle prices of quotes
  where nobody trades. The daily bar (``d``) begins at midnight in America (**unconfirmed**): it is neither 24 hours nor
  a day of UTC, and not used.
* No heartbeats: pings are answered, and a quiet market says nothing for long. A slow client gets 407 and is dropped.
* Free plan: 30 channels of trades and quotes, 10 books; beyond that 405, and nothing of that message is done.
* Messages are JSON text; MessagePack (a header) is offered too, and would save little: books are the mass of it.
* 200 REST requests a minute and account for trading; for market data as many, **unconfirmed**.
* **Unconfirmed**: messages are answered in their order, so an error is about the one that waits longest.

What the messages look like is in ``alpaca_messages.py``, one connection's side in ``alpaca_session.py``.
"""

import contextlib
import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypeVar
from urllib.parse import urlsplit

import structlog
from msgspec import Raw, ValidationError, json, structs

from feeds.account import Credentials
from feeds.book import Checksum
from feeds.domain import INTERVALS, Bbo, BookSnapshot, Candle, Market, Subscription
from feeds.errors import CredentialsError, ExchangeError, ParseError, RateLimited, TransportError
from feeds.exchange import Budget, Facts, MarketIndex, Request
from feeds.exchanges import alpaca_messages as messages
from feeds.exchanges.alpaca_messages import CRYPTO, LABEL, MALFORMED, STOCKS
from feeds.exchanges.alpaca_session import INTERVAL, AlpacaSession

ENDPOINTS = {
    "crypto.ws": "wss://stream.data.alpaca.markets/v1beta3/crypto/us",
    "crypto.rest": "https://data.alpaca.markets",
    "crypto.trading": "https://api.alpaca.markets",
    "stocks.ws": "wss://stream.data.alpaca.markets/v2/iex",
    "stocks.rest": "https://data.alpaca.markets",
    "stocks.trading": "https://api.alpaca.markets",
    "account.rest": "https://api.alpaca.markets",
}
"""``account`` is for accounts (``feeds.accounts.alpaca``): where it is not given, it is where crypto is traded."""
_CLASSES = {CRYPTO: "crypto", STOCKS: "us_equity"}
_CRYPTO_API, _STOCK_API = "/v1beta3/crypto/us", "/v2/stocks"
_TIMEFRAMES = {"1m": "1Min", "5m": "5Min", "15m": "15Min", "1h": "1Hour", "4h": "1Hour", "1d": "1Hour"}
"""What is asked for. Long bars are put together from hours: whose midnight Alpaca's own begin at is not documented."""
_MOST_ROWS = 10_000
_STOCK_STRETCH, _STOCK_PAUSE_MS = 3, 4 * 86_400_000
"""A stock trades in a third of all hours at most in regular sessions, and there are long weekends."""
_ACCOUNTS = 8
"""For so many accounts REST calls are reckoned."""
_WAIT_S = 20.0
_LONGEST_WAIT_S = 3600.0

_NAMED = re.compile(rb'"S" ?: ?"([^"\\\s]{1,40})"')

_assets_decoder = json.Decoder(list[Raw])
_decode_asset = json.Decoder(messages.Asset).decode
_books_decoder = json.Decoder(messages.Orderbooks)
_quotes_decoder = json.Decoder(messages.Quotes)
_bars_decoder = json.Decoder(messages.Bars)
_decode_outcome = json.Decoder(messages.Outcome).decode

log = structlog.get_logger(__name__)

T = TypeVar("T")


class Alpaca:
    """The adapter. ``endpoints`` replaces addresses: of streams a bare host gets the usual path, any other address is
    used exactly as given; the last part of the stocks' one names the source (iex, sip, delayed_sip).

    ``credentials`` are needed for everything but reading recordings. ``now_s`` is the wall clock, for how far back
    histories begin and which bar is over.
    """

    name = "alpaca"
    products: tuple[str, ...] = (CRYPTO, STOCKS)
    facts = Facts(
        streams_per_connection=100_000,  # the account's plan is the limit, told by 405
        messages_per_s=10,
        connects_per_minute=20,
        heartbeat_s=None,
        ping_s=10,
        max_life_s=None,
        snapshot_by_rest=False,
        truncates=False,
        markets_by_stream=False,
        probe_by_rest=True,
        candle_intervals=(INTERVAL,),
        needs_key=True,
        cash_products=(CRYPTO, STOCKS),
        silent_routes=(CRYPTO, STOCKS),
        one_connection=True,
        probe_s=30,
        fresh_book_s=60,
        recorded_products={
            **dict.fromkeys(("v1beta1", "v1beta2", "v1beta3"), CRYPTO),
            **dict.fromkeys(("iex", "sip", "stock", "equities", "us_equity"), STOCKS),
        },
    )

    def __init__(
        self,
        endpoints: Mapping[str, str] | None = None,
        *,
        credentials: Credentials | None = None,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        given = dict(endpoints or {})
        for trading in ("crypto.trading", "stocks.trading"):
            if trading in given:
                given.setdefault("account.rest", given[trading])
        self.endpoints: Mapping[str, str] = {
            name: _stream(given.get(name, usual), usual) if name.endswith(".ws") else given.get(name, usual).rstrip("/")
            for name, usual in ENDPOINTS.items()
        }
        self._source = urlsplit(self.endpoints["stocks.ws"]).path.rpartition("/")[2]
        self._credentials = credentials
        self._now_s = now_s

    def product_in(self, frame: bytes) -> str | None:
        """See :class:`~feeds.exchange.TellsProduct`. A pair has a stroke in its name, a stock has none."""
        match = _NAMED.search(frame)
        return None if match is None else CRYPTO if b"/" in match[1] else STOCKS

    def budgets(self) -> Mapping[str, Budget]:
        """Half of the account's 200 for each product, since they share it. Accounts that are followed have 200 each,
        and no limit of an address is documented: theirs is for all of them together."""
        shared = Budget(limit=100, per_s=60)
        hosts = (CRYPTO, STOCKS, f"{CRYPTO}.trading", f"{STOCKS}.trading")
        return dict.fromkeys(hosts, shared) | {"account": Budget(limit=_ACCOUNTS * 200, per_s=60)}

    def authorise(self, request: Request) -> Request:
        if self._credentials is None:
            return request
        key, secret = self._credentials.key, self._credentials.secret
        headers = (("APCA-API-KEY-ID", key), ("APCA-API-SECRET-KEY", secret))
        return structs.replace(request, headers=(*request.headers, *headers))

    # instruments

    def markets_requests(self) -> list[Request]:
        return [
            Request(
                path="/v2/assets",
                params=(("asset_class", kind), ("status", "active")),
                product=f"{product}.trading",
                about=product,
            )
            for product, kind in _CLASSES.items()
        ]

    def parse_markets(self, request: Request, raw: bytes) -> list[Market]:
        """One that cannot be understood is left out, and told to the log: it must not cost us all the others.
        Raises ParseError if none of them can be."""
        markets, strange = [], 0
        for each in _decode(_assets_decoder, raw, "assets"):
            try:
                market = _decode_asset(each).market(self.name)
            except MALFORMED as error:
                log.warning("instrument left out", exchange=self.name, error=str(error), raw=bytes(each)[:200])
                strange += 1
                continue
            if market is not None:
                markets.append(market)
        if strange and not markets:
            raise ParseError(f"{LABEL}: none of {strange} assets can be understood", raw)
        return markets

    # streams

    def route(self, subscription: Subscription, market: Market) -> str:
        return market.product

    def opening_route(self) -> str:
        return CRYPTO

    def url(self, route: str) -> str:
        return self.endpoints[f"{route}.ws"]

    def session(self, route: str, markets: MarketIndex) -> AlpacaSession:
        return AlpacaSession(route, markets, self._credentials)

    def checksum(self, market: Market | None) -> Checksum | None:
        return None

    # REST

    def snapshot_request(self, market: Market) -> Request:
        """The book; of a stock its best prices."""
        symbols = ("symbols", market.native)
        if market.book:
            return Request(path=f"{_CRYPTO_API}/latest/orderbooks", params=(symbols,), product=CRYPTO)
        params = (symbols, ("feed", self._source))
        return Request(path=f"{_STOCK_API}/quotes/latest", params=params, product=STOCKS)

    def parse_snapshot(self, market: Market, raw: bytes) -> BookSnapshot:
        return self._present(market, raw).snapshot(market.symbol)

    def probe_request(self, market: Market) -> Request:
        return self.snapshot_request(market)

    def parse_probe(self, market: Market, raw: bytes) -> Bbo:
        return self._present(market, raw).bbo(market.symbol)

    def _present(self, market: Market, raw: bytes) -> messages.Sides | messages.Best:
        what = f"book of {market.symbol}" if market.book else f"quote of {market.symbol}"
        found: Mapping[str, messages.Sides | messages.Best]
        if market.book:
            found = _decode(_books_decoder, raw, what).orderbooks
        else:
            found = _decode(_quotes_decoder, raw, what).quotes
        if market.native not in found:
            raise ParseError(f"{LABEL}, {what}: it is not in the answer", raw)
        return found[market.native]

    def candles_request(self, market: Market, interval: str, limit: int) -> Request:
        """The first page, of 10,000 rows at most; it begins where a bar of ``interval`` does."""
        if interval not in _TIMEFRAMES:
            raise ValueError(f"{LABEL} has no candles of {interval!r}")
        length_ms = INTERVALS[interval]
        span_ms = (limit + 1) * length_ms
        if market.product == STOCKS:
            span_ms = span_ms * (2 if interval == "1d" else _STOCK_STRETCH) + _STOCK_PAUSE_MS
        start_ms = max(0, (int(self._now_s() * 1000) - span_ms) // length_ms * length_ms)
        start = datetime.fromtimestamp(start_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        params = (
            ("symbols", market.native),
            ("timeframe", _TIMEFRAMES[interval]),
            ("start", start),
            ("limit", str(_MOST_ROWS)),
        )
        if market.product == STOCKS:
            return Request(path=f"{_STOCK_API}/bars", params=(*params, ("feed", self._source)), product=STOCKS)
        return Request(path=f"{_CRYPTO_API}/bars", params=params, product=CRYPTO)

    def next_candles(self, request: Request, raw: bytes) -> Request | None:
        token = _decode(_bars_decoder, raw, "candles").next_page_token
        if not token:
            return None
        params = tuple(param for param in request.params if param[0] != "page_token")
        return structs.replace(request, params=(*params, ("page_token", token)))

    def parse_candles(self, market: Market, interval: str, raw: bytes) -> list[Candle]:
        return self.join_candles(market, interval, [raw])

    def join_candles(self, market: Market, interval: str, pages: Sequence[bytes]) -> list[Candle]:
        what = f"candles of {market.symbol}"
        bars: list[Candle] = []
        now_ms, length_ms = int(self._now_s() * 1000), INTERVALS[interval]
        for raw in pages:
            rows = (_decode(_bars_decoder, raw, what).bars or {}).get(market.native, [])
            try:
                for row in rows:
                    bar = row.candle(market.symbol, interval, closed=True)
                    if bars and bar.open_ms <= bars[-1].open_ms:
                        raise ValidationError("bars are not in the order of time")
                    bars.append(bar)
            except MALFORMED as error:
                raise ParseError(f"{LABEL}, {what}: {error}", raw) from error
        whole = joined(bars, length_ms) if interval in ("4h", "1d") else filled(bars, length_ms)
        return [bar if bar.open_ms + length_ms <= now_ms else structs.replace(bar, closed=False) for bar in whole]

    def error_of(self, status: int, raw: bytes, headers: Mapping[str, str]) -> Exception | None:
        """403 with a code is about an order (not enough to pay for it, say), without one about the key."""
        if status < 400:
            return None
        outcome = messages.Outcome()
        with contextlib.suppress(*MALFORMED):  # the page of a proxy: the status decides
            outcome = _decode_outcome(raw)
        said = outcome.message
        if self._credentials is not None:
            said = self._credentials.cut_from(said)
        detail = f"{LABEL} answered HTTP {status}" + (f": {said[:300]}" if said else "")
        if status == 429:
            return RateLimited(detail, self._wait_s(headers), of_key=True, code=outcome.code)
        if status == 401 or (status == 403 and outcome.code is None and "subscription" not in said):
            refused = CredentialsError(detail, outcome.code or status)
            refused.sentence = f"{LABEL} refuses the API key for its market data (HTTP {status})."
            return refused
        if status >= 500 or not said:
            return TransportError(detail)
        return ExchangeError(detail, outcome.code or status)

    def _wait_s(self, headers: Mapping[str, str]) -> float:
        """Until the budget begins anew (a time), or ``Retry-After`` (seconds)."""
        for name, value in headers.items():
            text = value.strip()
            if not (text.isascii() and text.isdecimal() and len(text) < 16):
                continue
            if name.lower() == "x-ratelimit-reset":
                return min(max(float(text) - self._now_s(), 1.0), _LONGEST_WAIT_S)
            if name.lower() == "retry-after":
                return min(float(text), _LONGEST_WAIT_S)
        return _WAIT_S


def filled(bars: Sequence[Candle], length_ms: int) -> list[Candle]:
    """Where bars are missing between two, nothing was traded: flat ones."""
    whole: list[Candle] = []
    for bar in bars:
        if whole:
            close = whole[-1].close
            flat = structs.replace(bar, open=close, high=close, low=close, close=close, base_volume=Decimal(0))
            missing = range(whole[-1].open_ms + length_ms, bar.open_ms, length_ms)
            whole += [structs.replace(flat, open_ms=open_ms) for open_ms in missing]
        whole.append(bar)
    return whole


def joined(bars: Sequence[Candle], length_ms: int) -> list[Candle]:
    """Long bars of short ones, which begin at multiples of their length since 1970, as everywhere here."""
    whole: list[Candle] = []
    for bar in bars:
        open_ms = bar.open_ms // length_ms * length_ms
        if whole and whole[-1].open_ms == open_ms:
            last = whole[-1]
            whole[-1] = structs.replace(
                last,
                high=max(last.high, bar.high),
                low=min(last.low, bar.low),
                close=bar.close,
                base_volume=last.base_volume + bar.base_volume,
            )
        else:
            whole.append(structs.replace(bar, open_ms=open_ms))
    return whole


def _decode(decoder: json.Decoder[T], raw: bytes, what: str) -> T:
    try:
        return decoder.decode(raw)
    except MALFORMED as error:
        raise ParseError(f"{LABEL}, {what}: {error}", raw) from error


def _stream(given: str, usual: str) -> str:
    """An address of a stream: a bare host gets the usual path."""
    parts = urlsplit(given)
    return given.rstrip("/") + urlsplit(usual).path if parts.path in ("", "/") else given
