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

What the frames look like is in ``binance_messages.py``: with it this file would pass 400 lines.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from msgspec import Raw, json

from feeds.book import Checksum
from feeds.domain import (
    Ack,
    Bbo,
    BookDelta,
    BookSnapshot,
    Candle,
    Channel,
    Closing,
    Event,
    Market,
    Notice,
    Rejected,
    Subscription,
)
from feeds.errors import CredentialsError, ExchangeError, ParseError, RateLimited, TransportError
from feeds.exchange import Budget, Facts, MarketIndex, Request
from feeds.exchanges import binance_messages as messages
from feeds.exchanges.binance_messages import MALFORMED

ENDPOINTS = {
    "spot.ws": "wss://stream.binance.com:9443",
    "spot.rest": "https://api.binance.com",
    "spot.ws_api": "wss://ws-api.binance.com:443/ws-api/v3",
    "usdm.ws": "wss://fstream.binance.com",
    "usdm.rest": "https://fapi.binance.com",
}
_WS_PATHS = {"spot": "/stream", "usdm-public": "/public/stream", "usdm-market": "/market/stream"}
_REST_PATHS = {"spot": "/api/v3", "usdm": "/fapi/v1"}
_STREAMS = {
    Channel.BOOK: "depth@100ms",
    Channel.BBO: "bookTicker",
    Channel.TRADES: "trade",
    Channel.TICKER: "ticker",
    Channel.MARK: "markPrice@1s",
}
_PARAMS_PER_MESSAGE = 200
_SNAPSHOT_LEVELS = 1000
_SNAPSHOT_WEIGHT = {"spot": 50, "usdm": 20}
_PROBE_LEVELS = 5
_PROBE_WEIGHT = {"spot": 5, "usdm": 2}
_MAX_CANDLES = {"spot": 1000, "usdm": 1500}
_TOO_MANY_REQUESTS = -1003
_LONGEST_BAN_S = 3 * 24 * 3600.0
_KEY_REFUSED = {-1022, -2014, -2015}

_decode_depth_frame = json.Decoder(messages.DepthFrame, strict=False).decode
_decode_frame = json.Decoder(messages.Frame, strict=False).decode
_decode_quote_frame = json.Decoder(messages.QuoteFrame, strict=False).decode
_decode_any_frame = json.Decoder(messages.AnyFrame, strict=False).decode
_decode_any_payload = json.Decoder(messages.AnyPayload, strict=False).decode
_payload_decoder = json.Decoder(messages.Payload, strict=False)
_quote_decoder = json.Decoder(messages.BookTicker, strict=False)
_depth_decoder = json.Decoder(messages.Depth, strict=False)
_list_decoder = json.Decoder(list[Raw])
_info_decoder = json.Decoder(messages.ExchangeInfo)
_klines_decoder = json.Decoder(list[messages.KlineRow])
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
    )

    def __init__(self, endpoints: Mapping[str, str] | None = None) -> None:
        given = endpoints or {}
        self.endpoints: Mapping[str, str] = {key: given.get(key, url).rstrip("/") for key, url in ENDPOINTS.items()}

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
        """Symbols that are no spot pair, perpetual or dated future are left out. Raises ParseError."""
        info = _decode(_info_decoder, raw, request.path)
        markets = (listed.market(request.product) for listed in info.symbols)
        return [market for market in markets if market is not None]

    # streams

    def route(self, subscription: Subscription, market: Market) -> str:
        """Raises ValueError for a stream that the product does not have."""
        if market.product == "spot":
            if subscription.channel is Channel.MARK:
                raise ValueError(f"{subscription}: a spot market has no mark price")
            return "spot"
        return "usdm-public" if subscription.channel in (Channel.BOOK, Channel.BBO) else "usdm-market"

    def opening_route(self) -> str:
        return "spot"

    def url(self, route: str) -> str:
        return self.endpoints[f"{_product(route)}.ws"] + _WS_PATHS[route]

    def session(self, route: str, markets: MarketIndex) -> "BinanceSession":
        return BinanceSession(self, route, markets)

    def stream(self, subscription: Subscription, market: Market) -> str:
        """The stream's name, like ``btcusdt@kline_1m``."""
        if subscription.channel is Channel.CANDLES:
            kind = f"kline_{subscription.interval}"
        elif subscription.channel is Channel.TRADES and market.product == "usdm":
            kind = "aggTrade"  # futures have no other documented trades
        else:
            kind = _STREAMS[subscription.channel]
        return f"{market.native.lower()}@{kind}"

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
            return RateLimited(detail, _retry_after_s(status, headers))
        if code in _KEY_REFUSED:
            return CredentialsError(detail, code)
        if status == 403 or status >= 500:
            return TransportError(detail)
        if code is not None:
            return ExchangeError(detail, code)
        return TransportError(detail) if status >= 400 else None


class BinanceSession:
    """One connection of one route. ``parse`` needs to know nothing of what was subscribed."""

    def __init__(self, exchange: Binance, route: str, markets: MarketIndex) -> None:
        if route not in _WS_PATHS:
            raise ValueError(f"Binance has no route {route!r}; there are {', '.join(_WS_PATHS)}")
        self._exchange = exchange
        self._route = route
        self._product = _product(route)
        self._markets = markets
        self._symbols: dict[str, str] = {}  # by native name, those that came
        self._asked: dict[int, tuple[tuple[Subscription, ...], bool]] = {}  # by id: what, and whether to end it
        self._last_id = 0

    # what to send

    def opening(self) -> list[str]:
        return []

    def subscribe(self, subscriptions: Sequence[Subscription]) -> list[str]:
        """Raises ValueError for a market that is not listed or not on this route, which would just stay mute."""
        return self._ask("SUBSCRIBE", subscriptions)

    def unsubscribe(self, subscriptions: Sequence[Subscription]) -> list[str]:
        return self._ask("UNSUBSCRIBE", subscriptions)

    def keepalive(self) -> str | None:
        return None

    def _ask(self, method: str, subscriptions: Sequence[Subscription]) -> list[str]:
        streams = [self._stream(subscription) for subscription in subscriptions]
        sent = []
        for start in range(0, len(streams), _PARAMS_PER_MESSAGE):
            part = slice(start, start + _PARAMS_PER_MESSAGE)
            self._last_id += 1
            self._asked[self._last_id] = (tuple(subscriptions[part]), method == "UNSUBSCRIBE")
            sent.append(json.encode({"method": method, "params": streams[part], "id": self._last_id}).decode())
        return sent

    def _stream(self, subscription: Subscription) -> str:
        market = self._markets.get(subscription.symbol)
        if market is None:
            raise ValueError(f"{subscription}: Binance lists no such market")
        if self._exchange.route(subscription, market) != self._route:
            raise ValueError(f"{subscription}: connections of the route {self._route!r} do not carry it")
        return self._exchange.stream(subscription, market)

    # what came

    def parse(self, raw: bytes | str) -> list[Event]:
        frame = raw if isinstance(raw, bytes) else raw.encode("utf-8", "surrogatepass")
        try:
            if frame.endswith(b"]}}"):  # most probably; whatever turns out otherwise is read the slow way
                changes = _decode_depth_frame(frame)
                return self._depth(changes.data, changes.stream)
            if b'@bookTicker"' in frame:  # spot's has no event type to choose the struct by
                return self._quote(_decode_quote_frame(frame).data)
            known = _decode_frame(frame)
        except MALFORMED:
            return self._any_frame(frame)
        return self._payload(known.data, known.stream)

    def _symbol(self, native: str) -> str | None:
        """The unified symbol, if the market is known. What is known stays so: markets are never taken back."""
        symbol = self._symbols.get(native)
        if symbol is None and (market := self._markets.native(self._product, native)) is not None:
            symbol = self._symbols[native] = market.symbol
        return symbol

    def _payload(self, payload: messages.Payload, stream: str) -> list[Event]:
        if isinstance(payload, messages.DepthUpdate):
            return self._depth(payload, stream)
        if isinstance(payload, messages.ServerShutdown):
            return [Closing(reason="The exchange announced that it shuts this server down.")]
        symbol = self._symbol(payload.s)
        event = None if symbol is None or payload.st == messages.COIN_M else payload.event(symbol)
        return [] if event is None else [event]

    def _depth(self, update: messages.DepthUpdate, stream: str) -> list[Event]:
        """Changes; or by the stream's name a partial book (``depth5``), or one with other orders (``rpiDepth``)."""
        symbol = self._symbol(update.s)
        if symbol is None or update.st == messages.COIN_M:
            return []
        bids, asks, seq, sent_ms = update.b, update.a, update.u, update.E
        if stream and "@depth@" not in stream:
            kind = stream.partition("@")[2]
            if levels := _partial_levels(kind):
                return [BookSnapshot(symbol=symbol, bids=bids, asks=asks, seq=seq, depth=levels, exchange_ms=sent_ms)]
            if kind != "depth":
                return []
        prev = update.U - 1 if self._product == "spot" else update.pu
        if prev is None:
            raise ParseError(f"Binance {stream}: a futures depthUpdate without pu")
        return [BookDelta(symbol=symbol, bids=bids, asks=asks, prev=prev, seq=seq, exchange_ms=sent_ms)]

    def _quote(self, quote: messages.BookTicker) -> list[Event]:
        symbol = self._symbol(quote.s)
        return [] if symbol is None or quote.st == messages.COIN_M else [quote.event(symbol)]

    def _any_frame(self, raw: bytes) -> list[Event]:
        """What the fast way could not read: answers, payloads without wrapper or type, lists; and what is wrong."""
        try:
            frame = _decode_any_frame(raw)
            data = bytes(frame.data)
            if data.startswith(b"["):  # streams of all markets, like "!ticker@arr"
                return [event for each in _list_decoder.decode(data) for event in self._any_payload(bytes(each), "")]
            if data:
                return self._any_payload(data, frame.stream)
            error = frame.error or (messages.Error(frame.code, frame.msg) if frame.code is not None else None)
            if error is not None:
                return [self._refused(frame.id, f"{error.msg} ({error.code})")]
            if bytes(frame.result):
                return self._acknowledged(frame.id)
            return self._any_payload(raw, frame.stream)
        except MALFORMED as error:
            raise ParseError(f"Binance {self._route}: {error}", raw) from error

    def _any_payload(self, raw: bytes, stream: str) -> list[Event]:
        kind = _decode_any_payload(raw)
        if kind.st == messages.COIN_M or kind.e in messages.NOT_USED:
            return []
        if kind.e == "bookTicker":
            return self._quote(_quote_decoder.decode(raw))
        if kind.e is not None:
            return self._payload(_payload_decoder.decode(raw), stream)
        if kind.lastUpdateId is None:
            return self._quote(_quote_decoder.decode(raw))
        native, _, name = stream.partition("@")  # spot's partial book: only the stream's name tells the market
        if not native:
            raise ParseError("Binance: a partial book without its stream's name", raw)
        book = _depth_decoder.decode(raw)
        symbol = self._symbol(native.upper())
        return [] if symbol is None else [book.snapshot(symbol, _partial_levels(name))]

    def _acknowledged(self, number: Any) -> list[Event]:
        asked = self._asked.pop(number, None) if type(number) is int else None
        return [] if asked is None else [Ack(subscriptions=asked[0], ended=asked[1])]

    def _refused(self, number: Any, reason: str) -> Event:
        """An error names the request by its id; one without id means the only request that waits, if it is one."""
        if number is None and len(self._asked) == 1:
            (number,) = self._asked
        subscriptions, ended = self._asked.pop(number, ((), False)) if type(number) is int else ((), False)
        if ended:
            return Notice(text=f"Binance did not end a subscription: {reason}")
        return Rejected(subscriptions=subscriptions, reason=reason)


def _product(route: str) -> str:
    return route.partition("-")[0]


def _partial_levels(kind: str) -> int | None:
    """How many levels a partial book has, by the end of its stream's name: ``depth20@100ms`` -> 20."""
    count, _, _ = kind.removeprefix("depth").partition("@")
    return int(count) if kind.startswith("depth") and count.isdecimal() and len(count) < 5 else None


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
