"""Bybit v5, public side: spot and linear (perpetuals and dated futures, settled in USDT or USDC).

Facts, from the official documentation as of 2026 (bybit-exchange.github.io/docs/v5: ws/connect, websocket/public/
{orderbook,trade,ticker,kline}, websocket/system/system-status, market/{instrument,orderbook,kline}, system-status,
rate-limit, error, enum); what only others report is marked so:

* A socket carries one product, and the same name means another market on each: ``BTCUSDT`` is spot here and a perpetual
  there. ``BTCPERP`` is settled in USDC, ``BTCUSDT-26DEC25`` and ``BTC-26DEC25`` are dated futures. Sizes are in base.
* A book topic (``orderbook.50|200|1000.<symbol>``, every 20, 100, 200 ms) begins with a snapshot; any later snapshot
  replaces the book, as after a restart of the service, when ``u`` begins anew at 1. ``u`` counts the messages of its
  topic one by one; ``seq`` is the matching engine's, rises with gaps, and orders topics of different depths.
* Whether a removal is sent for what leaves the window is not told, so each side is cut to the topic's depth.
* There is no checksum, and the book by REST counts as the topic of 1000 levels does: it cannot begin another depth's.
  Books are built anew by ending the topic and subscribing again.
* Best prices come by ``orderbook.1`` (every 10 ms, and again after 3 s without change): spot's ticker has none. Retail
  price improvement orders are in none of these (``orderbook.rpi`` has them).
* ``cts`` is the matching engine's time, as ``T`` of trades; ``ts`` when the message was made. Ours is ``cts``.
* Linear tickers are told once, then only what changed; spot's always whole. Changes have no chain: one that is lost
  leaves its figure old until that changes again. Ticker and mark price are one topic here, subscribed once.
* A subscription names up to ten topics on spot, any number on linear, 21,000 characters a connection in all. One topic
  that does not exist fails its whole message (reported), and so does one that is subscribed already (reported).
* We send ``{"op":"ping"}`` every 20 s; after ten minutes without ping or data the server ends the connection. Nothing
  in the data tells a quiet market from a mute one: it is probed by REST.
* Nothing is documented of a longest life of connections. 500 connections in five minutes per address.
* Maintenance is announced by REST (``/v5/system/status``) and on a socket of its own; we ask by REST, which also tells
  what began before, and what lies ahead (``scheduled``). Short breaks of less than ten seconds are not announced.
* Instruments of linear come in pages (``nextPageCursor``), by default those that trade; spot has one page.
* 600 requests in five seconds per address, for all products together; beyond that HTTP 403 and ten minutes of silence.
  403 is also the answer to whole countries. Errors otherwise come with HTTP 200 and a ``retCode``.

What frames look like is in ``bybit_messages.py``, answers in ``bybit_answers.py``, one connection's side in
``bybit_session.py``: with them this file would pass 400 lines.
"""

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

import structlog
from msgspec import json

from feeds.book import Checksum
from feeds.domain import Bbo, BookSnapshot, Candle, Market, Notice, Subscription
from feeds.errors import CredentialsError, ExchangeError, ParseError, RateLimited, TransportError
from feeds.exchange import Budget, Facts, MarketIndex, Request
from feeds.exchanges import bybit_answers as answers
from feeds.exchanges.bybit_messages import MALFORMED, PERIODS
from feeds.exchanges.bybit_products import product_in
from feeds.exchanges.bybit_session import DEPTHS, PRODUCTS, BybitSession, topic_of

log = structlog.get_logger(__name__)

ENDPOINTS = {
    "spot.ws": "wss://stream.bybit.com",
    "spot.rest": "https://api.bybit.com",
    "linear.ws": "wss://stream.bybit.com",
    "linear.rest": "https://api.bybit.com",
    "unified.ws": "wss://stream.bybit.com",  # accounts: see feeds/accounts/bybit
    "unified.rest": "https://api.bybit.com",
}
ACCOUNTS = "unified"
"""The host of the accounts' calls, of which what they may cost is reckoned apart."""
_INSTRUMENTS = "/v5/market/instruments-info"
_INSTRUMENTS_A_PAGE = 1000
_SNAPSHOT_LEVELS = 200
_MAX_CANDLES = 1000
_STREAMS = 500
"""A connection's 21,000 characters, with 42 for a topic: names of today's markets make less than 35."""

_KEYS_TOO_OFTEN = 10006
_TOO_OFTEN = {_KEYS_TOO_OFTEN, 10018, 429}
_TROUBLE = {10000, 10016}
_KEY_REFUSED = {10003, 10004, 10005, 10010, 33004}
_BAN_S = 600.0
_OVERLOAD_S = 10.0
_LONGEST_WAIT_S = 3600.0

_info_decoder = json.Decoder(answers.Instruments)
_instrument_decoder = json.Decoder(answers.Instrument)
_book_decoder = json.Decoder(answers.RestBook, strict=False)
_klines_decoder = json.Decoder(answers.Klines)
_status_decoder = json.Decoder(answers.Status, strict=False)
_decode_answer = json.Decoder(answers.Answer).decode
_decode_verdict = json.Decoder(answers.Verdict).decode

T = TypeVar("T")


class Bybit:
    """The adapter. ``endpoints`` replaces single base URLs, e.g. ``{"linear.ws": "ws://127.0.0.1:9000"}``.

    ``book_depth``: levels a side to subscribe to, one of ``DEPTHS``; more come less often. ``now_s`` is the wall clock,
    for errors that say until when to wait.
    """

    name = "bybit"
    products: tuple[str, ...] = PRODUCTS
    facts = Facts(
        streams_per_connection=_STREAMS,
        messages_per_s=5,  # no limit is documented
        connects_per_minute=50,
        heartbeat_s=None,
        ping_s=20,
        max_life_s=None,
        snapshot_by_rest=False,
        truncates=True,
        markets_by_stream=False,
        probe_by_rest=True,
        snapshots_replace=True,
        recorded_products=dict.fromkeys(("futures", "perpetual", "perp", "contract", "derivatives"), "linear"),
        book_depths=DEPTHS,
        ids_per_connection=True,  # ``u`` begins anew with a service's restart: nobody says that all servers share it
    )

    def __init__(
        self,
        endpoints: Mapping[str, str] | None = None,
        *,
        book_depth: int = 200,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        if book_depth not in DEPTHS:
            raise ValueError(f"book_depth is {book_depth}; Bybit has {', '.join(map(str, DEPTHS))}")
        given = endpoints or {}
        self.endpoints: Mapping[str, str] = {key: given.get(key, url).rstrip("/") for key, url in ENDPOINTS.items()}
        self.book_depth = book_depth
        self._now_s = now_s

    def product_in(self, frame: bytes) -> str | None:
        """See :class:`~feeds.exchange.TellsProduct`."""
        return product_in(frame)

    def budgets(self) -> Mapping[str, Budget]:
        """The products and the accounts share one limit of 600: a third for each."""
        return dict.fromkeys((*PRODUCTS, ACCOUNTS), Budget(limit=200, per_s=5))

    # instruments

    def markets_requests(self) -> list[Request]:
        return [
            Request(
                path=_INSTRUMENTS,
                params=(("category", product), ("limit", str(_INSTRUMENTS_A_PAGE))),
                product=product,
            )
            for product in PRODUCTS
        ]

    def next_page(self, request: Request, raw: bytes) -> Request | None:
        """See :class:`~feeds.exchange.Paged`."""
        cursor = _result(_info_decoder, raw, "instruments").nextPageCursor
        if not cursor or ("cursor", cursor) in request.params:
            return None
        params = tuple((name, value) for name, value in request.params if name != "cursor")
        return Request(path=request.path, params=(*params, ("cursor", cursor)), product=request.product)

    def parse_markets(self, request: Request, raw: bytes) -> list[Market]:
        """What is no spot pair, linear perpetual or dated future is left out; so is, and told to the log, one that
        cannot be understood: it must not cost us all the others. Raises ParseError if none can be."""
        listed = _result(_info_decoder, raw, request.path).rows
        markets, strange = [], 0
        for row in listed:
            try:
                market = _instrument_decoder.decode(row).market(request.product)
            except MALFORMED as error:
                log.warning("instrument left out", exchange=self.name, error=str(error), raw=bytes(row)[:200])
                strange += 1
                continue
            if market is not None:
                markets.append(market)
        if listed and strange == len(listed):
            raise ParseError(f"Bybit, {request.path}: none of {strange} instruments can be understood", raw)
        return markets

    # the exchange's status

    def status_request(self) -> Request:
        """See :class:`~feeds.exchange.TellsStatus`."""
        return Request(path="/v5/system/status", product="spot")

    def parse_status(self, raw: bytes) -> list[Notice]:
        return answers.notices(_result(_status_decoder, raw, "status").rows)

    # streams

    def route(self, subscription: Subscription, market: Market) -> str:
        """Raises ValueError for a stream that the product does not have."""
        topic_of(subscription, market, self.book_depth)
        return market.product

    def opening_route(self) -> str:
        return "spot"

    def url(self, route: str) -> str:
        return f"{self.endpoints[f'{route}.ws']}/v5/public/{route}"

    def session(self, route: str, markets: MarketIndex) -> BybitSession:
        return BybitSession(route, markets, self.book_depth)

    # REST

    def checksum(self, market: Market | None) -> Checksum | None:
        return None

    def snapshot_request(self, market: Market) -> Request:
        return _book_request(market, _SNAPSHOT_LEVELS)

    def parse_snapshot(self, market: Market, raw: bytes) -> BookSnapshot:
        """Without ``seq``: its ``u`` is of another count than our topic's."""
        book = _result(_book_decoder, raw, f"orderbook of {market.symbol}")
        return book.snapshot(market.symbol, _SNAPSHOT_LEVELS)

    def probe_request(self, market: Market) -> Request:
        return _book_request(market, 1)

    def parse_probe(self, market: Market, raw: bytes) -> Bbo:
        return _result(_book_decoder, raw, f"orderbook of {market.symbol}").best(market.symbol)

    def candles_request(self, market: Market, interval: str, limit: int) -> Request:
        """``limit`` is cut to what one request can bring: 1000 bars."""
        params = {
            "category": market.product,
            "symbol": market.native,
            "interval": PERIODS[interval],
            "limit": str(max(1, min(limit, _MAX_CANDLES))),
        }
        return Request(path="/v5/market/kline", params=tuple(params.items()), product=market.product)

    def parse_candles(self, market: Market, interval: str, raw: bytes) -> list[Candle]:
        what = f"klines of {market.symbol}"
        try:
            return _result(_klines_decoder, raw, what).candles(market.symbol, interval)
        except MALFORMED as error:
            raise ParseError(f"Bybit, {what}: {error}", raw) from error

    def error_of(self, status: int, raw: bytes, headers: Mapping[str, str]) -> Exception | None:
        """Errors have a ``retCode`` that is not 0, mostly with HTTP 200."""
        try:
            verdict = _decode_verdict(raw)
            code, said = (verdict.retCode, verdict.retMsg[:300]) if verdict.retCode else (None, "")
        except MALFORMED:
            code, said = None, raw[:300].decode(errors="replace") if status >= 400 else ""
        detail = f"Bybit answered HTTP {status}" + (f", code {code}" if code else "") + (f": {said}" if said else "")
        if status == 403 and "country" not in said and "region" not in said:
            return RateLimited(detail, _BAN_S, code=code)
        if status == 429 or code in _TOO_OFTEN:
            return RateLimited(detail, self._wait_s(headers), of_key=code == _KEYS_TOO_OFTEN, code=code)
        if code in _KEY_REFUSED:
            return CredentialsError(detail, code)
        if status == 403 or status >= 500 or code in _TROUBLE:
            return TransportError(detail)
        if code is not None:
            return ExchangeError(detail, code)
        return TransportError(detail) if status >= 400 else None

    def _wait_s(self, headers: Mapping[str, str]) -> float:
        """Until the moment that a header names, else what ``Retry-After`` says, else a while."""
        by_name = {name.lower(): value.strip() for name, value in headers.items()}
        reset_ms, after_s = by_name.get("x-bapi-limit-reset-timestamp", ""), by_name.get("retry-after", "")
        if reset_ms.isdecimal() and len(reset_ms) < 16:
            return min(max(int(reset_ms) / 1000 - self._now_s(), 1.0), _LONGEST_WAIT_S)
        return min(float(after_s), _LONGEST_WAIT_S) if after_s.isdecimal() else _OVERLOAD_S


def _book_request(market: Market, levels: int) -> Request:
    params = (("category", market.product), ("symbol", market.native), ("limit", str(levels)))
    return Request(path="/v5/market/orderbook", params=params, product=market.product)


def _result(decoder: json.Decoder[T], raw: bytes, what: str) -> T:
    try:
        return decoder.decode(_decode_answer(raw).result)
    except MALFORMED as error:
        raise ParseError(f"Bybit, {what}: {error}", raw) from error
