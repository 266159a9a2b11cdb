"""One connection of Binance's streams: what to ask for, and what the frames mean. The facts are in ``binance.py``."""

from collections.abc import Sequence
from typing import Any

from msgspec import Raw, json

from feeds.domain import (
    Ack,
    BookDelta,
    BookSnapshot,
    Channel,
    Closing,
    Event,
    Market,
    Notice,
    Rejected,
    Subscription,
    Unknown,
)
from feeds.errors import ParseError
from feeds.exchange import MarketIndex
from feeds.exchanges import binance_messages as messages
from feeds.exchanges.binance_messages import MALFORMED

PATHS = {"spot": "/stream", "usdm-public": "/public/stream", "usdm-market": "/market/stream"}
"""The routes, each a kind of connection, with its path. The part before the hyphen is the product."""

_STREAMS = {
    Channel.BOOK: "depth@100ms",
    Channel.BBO: "bookTicker",
    Channel.TRADES: "trade",
    Channel.TICKER: "ticker",
    Channel.MARK: "markPrice@1s",
}
_PARAMS_PER_MESSAGE = 200

_decode_depth_frame = json.Decoder(messages.DepthFrame, strict=False).decode
_decode_quote_frame = json.Decoder(messages.QuoteFrame, strict=False).decode
_decode_frame = json.Decoder(messages.Frame, strict=False).decode
_decode_any_frame = json.Decoder(messages.AnyFrame, strict=False).decode
_decode_any_payload = json.Decoder(messages.AnyPayload, strict=False).decode
_decode_payload = json.Decoder(messages.Payload, strict=False).decode
_decode_quote = json.Decoder(messages.BookTicker, strict=False).decode
_decode_depth = json.Decoder(messages.Depth, strict=False).decode
_decode_list = json.Decoder(list[Raw]).decode


def product_of(route: str) -> str:
    return route.partition("-")[0]


def route_of(subscription: Subscription, market: Market) -> str:
    """The route that carries a subscription. Raises ValueError for a stream that the product does not have."""
    if market.product == "spot":
        if subscription.channel is Channel.MARK:
            raise ValueError(f"{subscription}: a spot market has no mark price")
        return "spot"
    return "usdm-public" if subscription.channel in (Channel.BOOK, Channel.BBO) else "usdm-market"


def stream_of(subscription: Subscription, market: Market) -> str:
    """The stream's name, like ``btcusdt@kline_1m``."""
    if subscription.channel is Channel.CANDLES:
        kind = f"kline_{subscription.interval}"
    elif subscription.channel is Channel.TRADES and market.product == "usdm":
        kind = "aggTrade"  # futures have no other documented trades
    else:
        kind = _STREAMS[subscription.channel]
    return f"{market.native.lower()}@{kind}"


class BinanceSession:
    """One connection of one route. ``parse`` needs to know nothing of what was subscribed."""

    def __init__(self, route: str, markets: MarketIndex) -> None:
        if route not in PATHS:
            raise ValueError(f"Binance has no route {route!r}; there are {', '.join(PATHS)}")
        self._route = route
        self._product = product_of(route)
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
        if route_of(subscription, market) != self._route:
            raise ValueError(f"{subscription}: connections of the route {self._route!r} do not carry it")
        return stream_of(subscription, market)

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
        symbol = self._symbols.get(update.s) or self._symbol(update.s)
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
                return self._list(_decode_list(data))
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

    def _list(self, payloads: list[Raw]) -> list[Event]:
        """One that cannot be understood must not cost us all the others. Raises ParseError if none can be."""
        events: list[Event] = []
        trouble: list[Exception] = []
        for each in payloads:
            try:
                events += self._any_payload(bytes(each), "")
            except (ParseError, *MALFORMED) as error:
                trouble.append(error)
        if trouble and len(trouble) == len(payloads):
            raise ParseError(f"Binance {self._route}: {trouble[0]}") from trouble[0]
        return events

    def _any_payload(self, raw: bytes, stream: str) -> list[Event]:
        kind = _decode_any_payload(raw)
        if kind.st == messages.COIN_M or kind.e in messages.NOT_USED:
            return []
        if kind.e == "bookTicker":
            return self._quote(_decode_quote(raw))
        if kind.e is not None and kind.e not in messages.KINDS:
            return [Unknown(what=f"event {kind.e}")]
        if kind.e is not None:
            return self._payload(_decode_payload(raw), stream)
        if kind.lastUpdateId is None:
            return self._quote(_decode_quote(raw))
        native, _, name = stream.partition("@")  # spot's partial book: only the stream's name tells the market
        if not native:
            raise ParseError("Binance: a partial book without its stream's name", raw)
        book = _decode_depth(raw)
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


def _partial_levels(kind: str) -> int | None:
    """How many levels a partial book has, by the end of its stream's name: ``depth20@100ms`` -> 20."""
    count, _, _ = kind.removeprefix("depth").partition("@")
    return int(count) if kind.startswith("depth") and count.isdecimal() and len(count) < 5 else None
