"""Coinbase's Advanced Trade stream: one connection's side of the protocol. The facts are in ``coinbase.py``."""

from collections.abc import Iterable, Sequence

from msgspec import Struct, json

from feeds.domain import (
    Ack,
    BookDelta,
    BookSnapshot,
    Channel,
    Closing,
    Event,
    Heartbeat,
    Lost,
    Market,
    Notice,
    Rejected,
    Subscription,
    Unknown,
)
from feeds.errors import ParseError
from feeds.exchange import MarketIndex
from feeds.exchanges import coinbase_messages as messages
from feeds.exchanges.coinbase_bars import MinuteBars, StreamedBars
from feeds.exchanges.coinbase_messages import MALFORMED, ms_of

ROUTE = "spot"
HEARTBEATS = "heartbeats"
_CHANNELS = {
    Channel.BOOK: "level2",
    Channel.BBO: "ticker",
    Channel.TICKER: "ticker",
    Channel.TRADES: "market_trades",
}
_CANDLES = {"1m": "market_trades", "5m": "candles"}
_NOT_USED = frozenset({"status", "user", "futures_balance_summary"})
"""Channels that are understood, and say nothing that we use."""
_PRODUCTS_PER_MESSAGE = 20
"""An error names no market, only (by the order of answers) the message: few in each cost little to ask for again."""
_TOO_OFTEN = ("rate limit", "too many")
_ANEW_MS = 1000
"""A frame with a lower number than the last one, sent so much later, is of another numbering; number 0 at once."""
_HEAD = 160
"""In so many bytes a frame says which channel it is of, as long as that comes first. Else it is read the slow way."""

_decode_books = json.Decoder(messages.BookFrame, strict=False).decode
_decode_frame = json.Decoder(messages.Frame, strict=False).decode
_decode_subscriptions = json.Decoder(list[messages.Subscriptions]).decode
_decode_tickers = json.Decoder(list[messages.Tickers]).decode
_decode_trades = json.Decoder(list[messages.Trades]).decode
_decode_candles = json.Decoder(list[messages.Candles]).decode

Stream = tuple[str, str]
"""Coinbase's channel, and the product as it stands in frames."""


def route_of(market: Market) -> str:
    """Markets whose book is another's go by connections of their own: frames name the other, so on one connection a
    product must mean one market."""
    return ROUTE if market.book_of is None else f"{ROUTE}-{market.quote.lower()}"


def channel_of(subscription: Subscription) -> str:
    """Raises ValueError for what Coinbase does not stream."""
    if subscription.channel is Channel.CANDLES:
        name = _CANDLES.get(subscription.interval or "")
    else:
        name = _CHANNELS.get(subscription.channel)
    if name is None:
        raise ValueError(f"{subscription}: Coinbase has no such stream of a spot market")
    return name


class _Ask(Struct):
    """A message that waits for its answer. The one for the heartbeats is about no subscriptions."""

    ended: bool
    waiting: dict[Stream, list[Subscription]]
    opening: bool = False


class CoinbaseSession:
    """One connection. It counts the frames, and knows what was asked for and what is subscribed."""

    def __init__(self, route: str, markets: MarketIndex) -> None:
        self._route = route
        self._markets = markets
        self._number: int | None = None  # of the last frame
        self._sent_ms = 0  # when that was sent
        self._followed: set[str] = set()  # symbols whose books began by the present numbers
        self._numbering = 0  # times that the numbers began anew
        self._news: list[Event] = []  # to be told with the next frame
        self._symbols: dict[str, str] = {}  # by product, those that were met
        self._products: dict[str, str] = {}  # by symbol, those that were asked for
        self._asked: list[_Ask] = []  # oldest first
        self._held: dict[Stream, set[Subscription]] = {}  # ours that want it
        self._active: set[Stream] = set()  # by the exchange's last word
        self._minutes: dict[str, MinuteBars] = {}  # by symbol
        self._bars: dict[str, StreamedBars] = {}  # by symbol

    # what to send

    def opening(self) -> list[str]:
        """Without heartbeats, channels in which nothing happens are closed after 60 to 90 s."""
        self._asked.append(_Ask(False, {}, opening=True))
        return [_message("subscribe", HEARTBEATS, [])]

    def keepalive(self) -> str | None:
        """Should the heartbeats not be confirmed, ask for them again."""
        return None if (HEARTBEATS, HEARTBEATS) in self._active else self.opening()[0]

    def subscribe(self, subscriptions: Sequence[Subscription]) -> list[str]:
        """Raises ValueError for what cannot be asked for. What runs already, for another of ours, is not asked for
        again: the next frame brings its acknowledgement."""
        asked: dict[Stream, list[Subscription]] = {}
        for subscription in subscriptions:
            asked.setdefault(self._stream(subscription), []).append(subscription)
        for stream, wanting in list(asked.items()):
            holding = self._held.setdefault(stream, set())
            if stream in self._active and holding.difference(wanting):
                self._news.append(Ack(subscriptions=tuple(asked.pop(stream))))
            holding.update(wanting)
        return self._ask(asked, ended=False)

    def unsubscribe(self, subscriptions: Sequence[Subscription]) -> list[str]:
        """A stream that another subscription shares goes on; the next frame tells the end of ours."""
        ended: dict[Stream, list[Subscription]] = {}
        for subscription in subscriptions:
            stream = self._stream(subscription)
            self._held.get(stream, set()).discard(subscription)
            ended.setdefault(stream, []).append(subscription)
        for stream in [stream for stream in ended if self._held.get(stream)]:
            self._news.append(Ack(subscriptions=tuple(ended.pop(stream)), ended=True))
        return self._ask(ended, ended=True)

    def _stream(self, subscription: Subscription) -> Stream:
        channel, symbol = channel_of(subscription), subscription.symbol
        product = self._products.get(symbol)
        if product is None:
            market = self._markets.get(symbol)
            if market is None or route_of(market) != self._route:
                raise ValueError(f"{subscription}: connections of the route {self._route!r} do not carry it")
            named = market if market.book_of is None else self._markets.get(market.book_of)
            if named is None:
                raise ValueError(f"{subscription}: its book is that of {market.book_of}, which is not listed")
            product = named.native
            if self._symbols.setdefault(product, symbol) != symbol:
                raise ValueError(f"{subscription}: on this connection {product} is {self._symbols[product]}")
            self._products[symbol] = product
        return channel, product

    def _ask(self, streams: dict[Stream, list[Subscription]], *, ended: bool) -> list[str]:
        for ask in self._asked:  # what is asked for again is not waited for twice
            for stream, wanting in streams.items() if ask.ended or not ended else ():
                if (waiting := ask.waiting.get(stream)) is not None:
                    ask.waiting[stream] = [s for s in waiting if s not in wanting]
        self._tidy()
        sent = []
        for channel in dict.fromkeys(channel for channel, _ in streams):
            products = [product for name, product in streams if name == channel]
            for start in range(0, len(products), _PRODUCTS_PER_MESSAGE):
                part = products[start : start + _PRODUCTS_PER_MESSAGE]
                self._asked.append(_Ask(ended, {(channel, product): streams[channel, product] for product in part}))
                sent.append(_message("unsubscribe" if ended else "subscribe", channel, part))
        return sent

    def _tidy(self) -> None:
        """Forget what is answered."""
        for ask in self._asked:
            ask.waiting = {stream: waiting for stream, waiting in ask.waiting.items() if waiting}
        self._asked = [ask for ask in self._asked if ask.waiting or ask.opening]

    # what came

    def parse(self, raw: bytes | str) -> list[Event]:
        frame = raw if isinstance(raw, bytes) else raw.encode("utf-8", "surrogatepass")
        try:
            events = self._books(frame) if b'"l2_data"' in frame[:_HEAD] else self._other(frame)
        except MALFORMED as error:
            raise ParseError(f"Coinbase: {error}", raw) from error
        if self._news:
            events, self._news = [*self._news, *events], []
        return events

    def _counts(self, number: int, sent_ms: int | None) -> bool:
        """Every frame of a connection has the next number. False for one that is older than what came: it is no news.

        A hole is told before the frame after it. A lower number of a later time is no old one: the numbers begin anew,
        as they do where a recording goes on with another connection. Then nothing that came before holds.
        """
        last, late_ms = self._number, _ANEW_MS if number else 0
        if last is not None and number <= last:
            if number == last or sent_ms is None or sent_ms <= self._sent_ms + late_ms:
                return False
            self._numbering += 1
            self._followed.clear()
            self._news.append(Closing(reason=f"the numbers of its frames went back from {last} to {number}"))
            last = None
        self._number, self._sent_ms = number, self._sent_ms if sent_ms is None else sent_ms
        if last is not None and number > last + 1:
            self._news.append(Lost(frames=number - last - 1))
        return True

    def _symbol(self, product: str) -> str | None:
        """The market that a product means on this connection, if it is known."""
        symbol = self._symbols.get(product)
        if symbol is None and self._route == ROUTE:
            market = self._markets.native(ROUTE, product)
            if market is not None and market.book_of is None:
                symbol = self._symbols[product] = market.symbol
        return symbol

    def _books(self, raw: bytes) -> list[Event]:
        """A frame of the books that cannot be read does not count: the next one's number tells that it is missing.

        Several events of one product become one, since the book knows them by the frame's number.
        """
        frame = _decode_books(raw)
        number, sent_ms = frame.sequence_num, ms_of(frame.timestamp)
        if not self._counts(number, sent_ms):
            return []
        found: dict[str, BookSnapshot | BookDelta] = {}
        acks: list[Event] = []
        for event in frame.events:
            symbol = self._symbol(event.product_id)
            if symbol is None:
                continue
            bids, asks = event.side("bid"), event.side("offer")
            if event.type == "snapshot":
                self._followed.add(symbol)
                acks += self._proved("level2", [event.product_id])
                found[symbol] = BookSnapshot(symbol=symbol, bids=bids, asks=asks, seq=number, exchange_ms=sent_ms)
            elif (before := found.get(symbol)) is not None:
                before.bids.extend(bids)
                before.asks.extend(asks)
            else:
                lost = self._numbering > 0 and symbol not in self._followed  # its book is of the former numbers
                found[symbol] = BookDelta(
                    symbol=symbol, bids=bids, asks=asks, seq=number, exchange_ms=sent_ms, chained=lost
                )
        return [*acks, *found.values()]

    def _other(self, raw: bytes) -> list[Event]:
        frame = _decode_frame(raw)
        if not frame.channel:
            if frame.type == "error":
                return self._refused(" ".join(filter(None, (frame.message, frame.reason))) or "no reason given")
            raise ParseError("Coinbase: neither data nor an error", raw)
        if frame.channel == "l2_data":
            return self._books(raw)
        if frame.sequence_num is None:
            raise ParseError(f"Coinbase: a frame of {frame.channel} without sequence_num", raw)
        if not self._counts(frame.sequence_num, None if frame.timestamp is None else ms_of(frame.timestamp)):
            return []
        match frame.channel:
            case "heartbeats":
                return [Heartbeat()]
            case "subscriptions":
                return self._listed(_decode_subscriptions(frame.events))
            case "ticker" | "ticker_batch":
                return self._tickers(frame)
            case "market_trades":
                return [e for event in _decode_trades(frame.events) for e in self._trades(event)]
            case "candles":
                return [e for event in _decode_candles(frame.events) for e in self._candles(event)]
        if frame.channel in _NOT_USED:
            return []
        return [Unknown(what=f"channel {frame.channel}")]

    def _tickers(self, frame: messages.Frame) -> list[Event]:
        sent_ms = None if frame.timestamp is None else ms_of(frame.timestamp)
        events: list[Event] = []
        for event in _decode_tickers(frame.events):
            if event.type == "snapshot":
                events += self._proved(frame.channel, [row.product_id for row in event.tickers])
            for row in event.tickers:
                symbol = self._symbol(row.product_id)
                if symbol is not None:
                    events += row.events(symbol, sent_ms)
        return events

    def _trades(self, event: messages.Trades) -> list[Event]:
        """Told oldest first, and with them the bars of a minute, where somebody wants them."""
        rows: dict[str, list[messages.Trade]] = {}
        for row in event.trades:
            rows.setdefault(row.product_id, []).append(row)
        events: list[Event] = []
        if event.type == "snapshot":
            events += self._proved("market_trades", rows)
        for product, own in rows.items():
            symbol = self._symbol(product)
            if symbol is None:
                continue
            trades = [row.event(symbol) for row in sorted(own, key=lambda row: int(row.trade_id))]
            bars = self._minutes.setdefault(symbol, MinuteBars(symbol))
            changed = bars.take(trades, snapshot=event.type == "snapshot")
            events += trades
            wanting = self._held.get(("market_trades", product), ())
            if any(subscription.channel is Channel.CANDLES for subscription in wanting):
                events += changed[-2:]
        return events

    def _candles(self, event: messages.Candles) -> list[Event]:
        rows: dict[str, list[messages.Candle]] = {}
        for row in event.candles:
            rows.setdefault(row.product_id, []).append(row)
        events: list[Event] = []
        if event.type == "snapshot":
            events += self._proved("candles", rows)
        for product, own in rows.items():
            symbol = self._symbol(product)
            if symbol is not None:
                bars = sorted((row.candle(symbol, "5m") for row in own), key=lambda bar: bar.open_ms)
                events += self._bars.setdefault(symbol, StreamedBars()).take(bars)
        return events

    # answers

    def _proved(self, channel: str, products: Iterable[str]) -> list[Event]:
        """A snapshot comes of what was accepted, and may come before the list of what is subscribed."""
        return self._accepted({(channel, product) for product in products}) if self._asked else []

    def _listed(self, events: list[messages.Subscriptions]) -> list[Event]:
        """The list of everything that is subscribed now. It answers, in the order of the messages, the oldest that
        waits; whatever stands in it is accepted, and what should have ended and is not in it has."""
        told: list[Event] = []
        for event in events:
            self._active = {(channel, p) for channel, products in event.subscriptions.items() for p in products}
            told += self._accepted(self._active)
            awaited: set[Stream] = set()
            for ask in self._asked:
                if ask.opening:
                    ask.opening = (HEARTBEATS, HEARTBEATS) not in self._active
                elif not ask.ended:
                    awaited.update(ask.waiting)
                else:
                    for stream in [s for s in ask.waiting if s not in self._active and s not in awaited]:
                        told.append(Ack(subscriptions=tuple(ask.waiting.pop(stream)), ended=True))
            self._tidy()
        return told

    def _accepted(self, streams: set[Stream]) -> list[Event]:
        taken: list[Subscription] = []
        for ask in self._asked:
            if not ask.ended:
                for stream in streams & ask.waiting.keys():
                    taken += ask.waiting.pop(stream)
        self._tidy()
        return [Ack(subscriptions=tuple(taken))] if taken else []

    def _refused(self, reason: str) -> list[Event]:
        """An error names nothing. Answers come in the order of the messages, so it is about the oldest that waits; who
        of several is to blame is found by asking for them again in halves (``feeds.ledger``)."""
        if not self._asked or any(text in reason.lower() for text in _TOO_OFTEN):
            return [Notice(text=f"Coinbase says: {reason}")]
        ask = self._asked.pop(0)
        if ask.opening:
            return [Closing(reason=f"the heartbeats were refused: {reason}")]  # without them nothing stays open
        subscriptions = tuple(s for waiting in ask.waiting.values() for s in waiting)
        if ask.ended:
            return [Notice(text=f"Coinbase did not end a subscription: {reason}")]
        for stream, waiting in ask.waiting.items():
            self._held.get(stream, set()).difference_update(waiting)
        return [Rejected(subscriptions=subscriptions, reason=reason)]


def _message(kind: str, channel: str, products: list[str]) -> str:
    body: dict[str, object] = {"type": kind, "channel": channel}
    if products:
        body["product_ids"] = products
    return json.encode(body).decode()
