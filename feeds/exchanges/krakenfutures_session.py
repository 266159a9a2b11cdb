"""One connection of Kraken Futures' WebSocket v1. The facts are in ``krakenfutures.py``."""

import re
from collections.abc import Sequence

from msgspec import Struct, ValidationError, json, structs

from feeds.domain import Ack, Channel, Closing, Event, Heartbeat, Markets, Notice, Rejected, Subscription, Unknown
from feeds.errors import ParseError
from feeds.exchange import MarketIndex
from feeds.exchanges import krakenfutures_messages as messages
from feeds.exchanges.krakenfutures_bars import INTERVAL, MinuteBars
from feeds.exchanges.krakenfutures_messages import LABEL, MALFORMED, PRINTS, PRODUCT

FEEDS = {
    Channel.BOOK: "book",
    Channel.BBO: "ticker",
    Channel.TICKER: "ticker",
    Channel.MARK: "ticker",
    Channel.TRADES: "trade",
    Channel.CANDLES: "trade",
}
_CHANNELS = {feed: [channel for channel, other in FEEDS.items() if other == feed] for feed in set(FEEDS.values())}
_NAMED = re.compile(r"`([^`]{1,60})`")
_BACK = 100
"""A book's number that is lower than the last one by more is no repetition."""
_ENDED = ("unsubscribed", "unsubscribed_failed")
_FAILED = ("subscribed_failed", "unsubscribed_failed")


class _Feed(Struct):
    """Data of a feed that we do not know: one of an account, or one that is not documented, such as
    ``candles_trade_1m_snapshot``, which recordings hold."""

    feed: str


_KNOWN_FEEDS = frozenset({"book", "book_snapshot", "ticker", "ticker_lite", "trade", "trade_snapshot", "heartbeat"})

_decode_data = json.Decoder(messages.Data).decode
_decode_feed = json.Decoder(_Feed).decode
_decode_word = json.Decoder(messages.Word).decode

Stream = tuple[str, str]
"""A feed and a product: what the exchange subscribes."""


class _Ask(Struct):
    """A message that waits for its answer. The one for the heartbeats has no subscriptions."""

    ended: bool
    stream: Stream
    subscriptions: tuple[Subscription, ...]


class KrakenFuturesSession:
    """One connection. One message asks for one stream, which several of our subscriptions may share.

    Answers name feed and product, but carry no number; complaints name the product at most. So the exchange is asked
    for one stream at a time, and what is left open who is to blame is left to whoever asks again.
    """

    def __init__(self, markets: MarketIndex) -> None:
        self._markets = markets
        self._symbols: dict[str, str] = {}  # by product, those that came
        self._asked: list[_Ask] = []  # oldest first
        self._held: dict[Stream, dict[Subscription, None]] = {}  # ours that want it
        self._accepted: set[Stream] = set()
        self._owed: list[Event] = []  # to be told with the next frame
        self._seqs: dict[str, int] = {}  # by symbol: the number of the last change of its book
        self._bars: dict[str, MinuteBars] = {}  # by symbol
        self._now_ms: int | None = None  # the exchange's clock, by its heartbeats
        self._halted = False

    # what to send

    def opening(self) -> list[str]:
        self._asked.append(_Ask(False, ("heartbeat", ""), ()))
        return ['{"event":"subscribe","feed":"heartbeat"}']

    def subscribe(self, subscriptions: Sequence[Subscription]) -> list[str]:
        """A stream that stands already is not asked for again: the next frame tells that it was accepted.

        Raises ValueError for a market that is not listed, or a stream that Kraken Futures does not have.
        """
        wanted: dict[Stream, list[Subscription]] = {}
        for subscription in subscriptions:
            stream = self._stream(subscription)
            holders = self._held.setdefault(stream, {})
            news = subscription not in holders
            holders[subscription] = None
            if stream in self._accepted:
                self._owe(subscription)
            elif stream in wanted or not (news and self._waiting(stream)):
                wanted.setdefault(stream, []).append(subscription)
        return [self._ask(stream, tuple(asking), ended=False) for stream, asking in wanted.items()]

    def unsubscribe(self, subscriptions: Sequence[Subscription]) -> list[str]:
        """A stream that another subscription shares goes on."""
        ending: dict[Stream, list[Subscription]] = {}
        for subscription in subscriptions:
            stream = self._stream(subscription)
            holders = self._held.get(stream, {})
            holders.pop(subscription, None)
            ending.setdefault(stream, []).append(subscription)
        sent = []
        for stream, ended in ending.items():
            if self._held.get(stream):
                self._owed.append(Ack(subscriptions=tuple(ended), ended=True))
                continue
            self._held.pop(stream, None)
            self._accepted.discard(stream)
            sent.append(self._ask(stream, tuple(ended), ended=True))
        return sent

    def keepalive(self) -> str | None:
        return None

    def _stream(self, subscription: Subscription) -> Stream:
        market = self._markets.get(subscription.symbol)
        if market is None:
            raise ValueError(f"{subscription}: {LABEL} lists no such market")
        if subscription.interval != (INTERVAL if subscription.channel is Channel.CANDLES else None):
            raise ValueError(f"{subscription}: {LABEL} has no such stream")
        return FEEDS[subscription.channel], market.native

    def _waiting(self, stream: Stream) -> bool:
        return any(ask.stream == stream and not ask.ended for ask in self._asked)

    def _ask(self, stream: Stream, subscriptions: tuple[Subscription, ...], *, ended: bool) -> str:
        """What is asked for again is not waited for twice."""
        self._asked = [ask for ask in self._asked if ask.stream != stream or ask.ended is not ended]
        self._asked.append(_Ask(ended, stream, subscriptions))
        event, (feed, product) = "unsubscribe" if ended else "subscribe", stream
        return json.encode({"event": event, "feed": feed, "product_ids": [product]}).decode()

    def _owe(self, subscription: Subscription) -> None:
        self._owed.append(Ack(subscriptions=(subscription,)))
        if subscription.channel is Channel.CANDLES and subscription.symbol in self._bars:
            self._owed += self._bars[subscription.symbol].running()

    # what came

    def parse(self, raw: bytes | str) -> list[Event]:
        frame = raw if isinstance(raw, bytes) else raw.encode("utf-8", "surrogatepass")
        try:
            events = self._understand(frame)
        except MALFORMED as error:
            raise ParseError(f"{LABEL}: {error}", raw) from error
        if self._owed:
            events, self._owed = self._owed + events, []
        return events

    def _understand(self, frame: bytes) -> list[Event]:
        try:
            data = _decode_data(frame)
        except ValidationError as error:
            try:
                word = _decode_word(frame)
            except ValidationError:
                feed = _decode_feed(frame).feed
                if feed in _KNOWN_FEEDS:
                    raise error from None
                return [Unknown(what=f"feed {feed}")]
            return self._word(word)
        if isinstance(data, messages.Beat):
            return self._beat(data)
        symbol = self._symbols.get(data.product_id) or self._learn(data.product_id)
        if symbol is None:
            return []
        match data:
            case messages.Book():
                return self._delta(data, symbol)
            case messages.FullBook():
                self._seqs[symbol] = data.seq
                return [data.snapshot(symbol)]
            case messages.Ticker():
                return [*data.events(symbol), *self._status(data, symbol)]
            case messages.Trade():
                return self._trade(data, symbol)
            case messages.TradeHistory():
                return self._history(data, symbol)
        return []

    def _delta(self, book: messages.Book, symbol: str) -> list[Event]:
        """Numbers that begin anew without a snapshot would be taken for old news for ever, and the book for the present
        one: then this connection is of no use any more, and the change, which can follow nothing, tells the book so."""
        last = self._seqs.get(symbol, book.seq)
        self._seqs[symbol] = book.seq
        if book.seq < last - _BACK:
            reason = f"the numbers of {symbol}'s book went back from {last} to {book.seq}"
            return [Closing(reason=reason), structs.replace(book.delta(symbol), chained=True)]
        return [book.delta(symbol)]

    def _learn(self, product: str) -> str | None:
        """The symbol of a product; None for one that is not listed, or that is left out."""
        market = self._markets.native(PRODUCT, product)
        if market is None:
            return None
        self._symbols[product] = market.symbol
        return market.symbol

    def _beat(self, beat: messages.Beat) -> list[Event]:
        self._now_ms = beat.time
        events: list[Event] = [Heartbeat()]
        for symbol, bars in self._bars.items():
            made = bars.advance(beat.time)
            if made and self._candles_wanted(symbol):
                events += made
        return events

    def _status(self, ticker: messages.Ticker, symbol: str) -> list[Event]:
        """A halt is told by the ticker, long before the instruments are listed anew."""
        market = self._markets.get(symbol)
        if market is None or (status := ticker.status(market.status)) == market.status:
            return []
        return [Markets(markets=(structs.replace(market, status=status),), complete=False)]

    def _trade(self, trade: messages.Trade, symbol: str) -> list[Event]:
        event = trade.event(symbol)  # checked before anything is remembered
        bars = self._bars.get(symbol)
        if bars is None:
            bars = self._bars[symbol] = MinuteBars(symbol)
        made = bars.take(trade)
        events: list[Event] = [event] if trade.type in PRINTS else []
        if self._candles_wanted(symbol):
            events += made
        if self._halted and events:
            self._halted = False
            events.append(Notice(text="", trading=True))
        return events

    def _history(self, history: messages.TradeHistory, symbol: str) -> list[Event]:
        trades = sorted(history.trades, key=lambda trade: trade.seq)
        events: list[Event] = [trade.event(symbol) for trade in trades if trade.type in PRINTS]
        bars = self._bars[symbol] = MinuteBars(symbol)
        made = bars.begin(trades, self._now_ms)
        if self._candles_wanted(symbol):
            events += made
        return events

    def _candles_wanted(self, symbol: str) -> bool:
        wanted = Subscription(channel=Channel.CANDLES, symbol=symbol, interval=INTERVAL)
        market = self._markets.get(symbol)
        return market is not None and wanted in self._held.get(("trade", market.native), ())

    # answers and complaints

    def _word(self, word: messages.Word) -> list[Event]:
        match word.event:
            case "subscribed" | "unsubscribed" | "subscribed_failed" | "unsubscribed_failed":
                products = word.product_ids or ([""] if word.feed == "heartbeat" else [])
                return [event for product in products for event in self._answered(word, (word.feed, product))]
            case "error" | "alert":
                return self._complaint(word.message)
            case "info" | "pong":
                return []
        return [Unknown(what=f"event {word.event}")]

    def _answered(self, word: messages.Word, stream: Stream) -> list[Event]:
        ended = word.event in _ENDED
        ask = self._take(stream, ended=ended)
        if stream[0] == "heartbeat":
            return [Notice(text=f"{LABEL} gives no heartbeats: {word.event}.")] if word.event in _FAILED else []
        if word.event in _FAILED:
            reason = word.message or word.event
            return [self._refused(ask, reason)] if ask else [Notice(text=f"{LABEL} says: {reason} {stream[1]}")]
        about = ask.subscriptions if ask else ()
        if not ended:
            about = tuple(self._held.get(stream, ())) or self._could_be(stream)
            if stream in self._held:
                self._accepted.add(stream)
        return [Ack(subscriptions=about, ended=ended)] if about else []

    def _could_be(self, stream: Stream) -> tuple[Subscription, ...]:
        """In a recording nothing was asked for: then it is about all that it can stand for."""
        feed, product = stream
        symbol = self._learn(product)
        if symbol is None:
            return ()
        return tuple(
            Subscription(channel=channel, symbol=symbol, interval=INTERVAL if channel is Channel.CANDLES else None)
            for channel in _CHANNELS.get(feed, ())
        )

    def _complaint(self, said: str) -> list[Event]:
        """It names the product or nobody. Where several messages wait, and it names nobody, so do we."""
        lower = said.lower()
        if "unavailable" in lower or "maintenance" in lower:
            self._halted = True
            events: list[Event] = [Notice(text=f"{LABEL} says: {said}", trading=False)]
            if any(not ask.ended and ask.subscriptions for ask in self._asked):
                events.append(Closing(reason=said))  # what was asked for is not answered: it is asked for again
            return events
        named = set(_NAMED.findall(said))
        blamed = [ask for ask in self._asked if ask.subscriptions and (not named or ask.stream[1] in named)]
        if not blamed or "limit" in lower or "too many" in lower:
            return [Notice(text=f"{LABEL} says: {said}")]  # no market's fault; unanswered, it is asked for again
        if "already subscribed" in lower:
            return []  # and asked for again by the exchange itself: its answer follows
        if named or len(blamed) == 1:
            self._asked.remove(blamed[0])
            return [self._refused(blamed[0], said)]
        return [Rejected(subscriptions=(), reason=said)]

    def _refused(self, ask: _Ask, reason: str) -> Rejected:
        if not ask.ended:
            holders = self._held.get(ask.stream, {})
            about = tuple(dict.fromkeys((*ask.subscriptions, *holders)))
            self._held.pop(ask.stream, None)
            return Rejected(subscriptions=about, reason=reason)
        return Rejected(subscriptions=ask.subscriptions, reason=reason)

    def _take(self, stream: Stream, *, ended: bool) -> _Ask | None:
        for ask in self._asked:
            if ask.stream == stream and ask.ended is ended:
                self._asked.remove(ask)
                return ask
        return None
