"""One connection of Bybit's streams: what to ask for, and what the frames mean. The facts are in ``bybit.py``."""

from collections.abc import Sequence

from msgspec import Struct, json

from feeds.domain import Ack, Channel, Event, Level, Market, Notice, Rejected, Subscription, Unknown
from feeds.errors import ParseError
from feeds.exchange import MarketIndex
from feeds.exchanges import bybit_answers as answers
from feeds.exchanges import bybit_messages as messages
from feeds.exchanges.bybit_messages import MALFORMED

DEPTHS = (50, 200, 1000)
PRODUCTS = ("spot", "linear")
ARGS_PER_MESSAGE = {"spot": 10, "linear": 50}
"""Spot allows ten. Linear names no limit; but one topic that does not exist fails a whole message."""

_BEHIND = 10
"""An update so many ids older than the last one is no late double: the service was restarted, and counts anew."""
_FIXED = {Channel.BBO: "orderbook.1", Channel.TRADES: "publicTrade", Channel.TICKER: "tickers", Channel.MARK: "tickers"}
_OTHER_BOOKS = ("orderbook.rpi.", "orderbook.full.")
"""With other orders, or without a snapshot: no basis for a book."""
_NOT_USED = {"allLiquidation", "liquidation", "priceLimit", "insurance", "adlAlert", "lt", "tickers_lt", "kline_lt"}
"""Topics that are documented and say nothing we use."""

_decode_book = json.Decoder(messages.BookFrame, strict=False).decode
_decode_frame = json.Decoder(messages.Frame).decode
_decode_trades = json.Decoder(list[messages.Trade]).decode
_decode_ticker = json.Decoder(messages.Ticker).decode
_decode_klines = json.Decoder(list[messages.Kline]).decode
_decode_status = json.Decoder(list[answers.Maintenance], strict=False).decode


def topic_of(subscription: Subscription, market: Market, book_depth: int) -> str:
    """The topic's name, like ``kline.1.BTCUSDT``. Raises ValueError for what the product does not have."""
    if market.product == "spot" and subscription.channel is Channel.MARK:
        raise ValueError(f"{subscription}: a spot market has no mark price")
    if subscription.channel is Channel.BOOK:
        return f"orderbook.{book_depth}.{market.native}"
    if subscription.channel is not Channel.CANDLES:
        return f"{_FIXED[subscription.channel]}.{market.native}"
    if (period := messages.PERIODS.get(subscription.interval or "")) is None:
        raise ValueError(f"{subscription}: Bybit has no such candles")
    return f"kline.{period}.{market.native}"


_PONGS = {"ping", "pong"}
_OPS = {"subscribe", "unsubscribe", *_PONGS}


class _Ask(Struct):
    """A request that waits for its answer."""

    op: str
    subscriptions: tuple[Subscription, ...]
    topics: tuple[str, ...]


class _Book:
    """What is known of one market's books on this connection."""

    __slots__ = ("asks", "bids", "depth", "last")

    def __init__(self) -> None:
        self.depth = 0  # of the topic that the book is read from; 0: none came yet
        self.last = 0  # its newest update id
        self.bids: dict[float, float] = {}  # of the topic of one level
        self.asks: dict[float, float] = {}


class BybitSession:
    """One connection of one product. ``parse`` needs to know nothing of what was subscribed."""

    def __init__(self, product: str, markets: MarketIndex, book_depth: int) -> None:
        if product not in PRODUCTS:
            raise ValueError(f"Bybit has no route {product!r}; there are {', '.join(PRODUCTS)}")
        self._product = product
        self._markets = markets
        self._book_depth = book_depth
        self._symbols: dict[str, str] = {}  # by native name, those that came
        self._asked: dict[str, _Ask] = {}  # by req_id, oldest first
        self._last_id = 0
        self._held: dict[str, set[Subscription]] = {}  # by topic: ours that want it
        self._live: set[str] = set()  # topics that were accepted
        self._topics: dict[str, tuple[int, str]] = {}  # by topic of a book: depth (0: not ours), native name
        self._books: dict[str, _Book] = {}  # by native name
        self._tickers: dict[str, messages.Ticker] = {}  # by native name: all that is known

    # what to send

    def opening(self) -> list[str]:
        return []

    def subscribe(self, subscriptions: Sequence[Subscription]) -> list[str]:
        """Raises ValueError for a market that is not listed or not of this product: its name would fail the others.

        A topic that the connection has already (ticker and mark price share one) would be refused, so it is not asked
        for again: a ping with the message's number brings the answer.
        """
        asked = [(self._topic(subscription), subscription) for subscription in subscriptions]
        for topic, subscription in asked:
            self._held.setdefault(topic, set()).add(subscription)
        return self._ask("subscribe", asked)

    def unsubscribe(self, subscriptions: Sequence[Subscription]) -> list[str]:
        """A topic that another subscription shares goes on, so nothing is sent, and answered, for it."""
        asked = [(self._topic(subscription), subscription) for subscription in subscriptions]
        for topic, subscription in asked:
            self._held.get(topic, set()).discard(subscription)
        ended = [(topic, subscription) for topic, subscription in asked if not self._held.get(topic)]
        return self._ask("unsubscribe", ended)

    def keepalive(self) -> str | None:
        return '{"op":"ping"}'

    def _topic(self, subscription: Subscription) -> str:
        market = self._markets.get(subscription.symbol)
        if market is None:
            raise ValueError(f"{subscription}: Bybit lists no such market")
        if market.product != self._product:
            raise ValueError(f"{subscription}: connections of {self._product} do not carry it")
        return topic_of(subscription, market, self._book_depth)

    def _ask(self, op: str, asked: Sequence[tuple[str, Subscription]]) -> list[str]:
        by_topic: dict[str, list[Subscription]] = {}
        for topic, subscription in asked:
            by_topic.setdefault(topic, []).append(subscription)
        names, most, sent = list(by_topic), ARGS_PER_MESSAGE[self._product], []
        for start in range(0, len(names), most):
            topics = tuple(names[start : start + most])
            about = tuple(subscription for topic in topics for subscription in by_topic[topic])
            for number, ask in list(self._asked.items()):  # what is asked for again is not waited for twice
                ask.subscriptions = tuple(s for s in ask.subscriptions if s not in about)
                if not ask.subscriptions:
                    del self._asked[number]
            self._last_id += 1
            self._asked[str(self._last_id)] = _Ask(op, about, topics)
            if op == "unsubscribe":
                self._live.difference_update(topics)
            args = [topic for topic in topics if topic not in self._live]
            message = {"req_id": str(self._last_id), "op": op, "args": args} if args else None
            sent.append(json.encode(message or {"req_id": str(self._last_id), "op": "ping"}).decode())
        return sent

    # what came

    def parse(self, raw: bytes | str) -> list[Event]:
        frame = raw if isinstance(raw, bytes) else raw.encode("utf-8", "surrogatepass")
        try:
            if frame.find(b'"orderbook.', 0, 120) >= 0:  # most probably; what turns out otherwise is read the slow way
                return self._book(_decode_book(frame))
        except MALFORMED:
            pass
        try:
            known = _decode_frame(frame)
            if known.topic is None:
                return self._reply(known)
            if known.topic.startswith("orderbook."):
                other = known.topic.startswith(_OTHER_BOOKS)
                return [] if other else self._book(_decode_book(frame))
            return self._data(known, known.topic)
        except MALFORMED as error:
            raise ParseError(f"Bybit {self._product}: {error}", raw) from error

    def _symbol(self, native: str) -> str | None:
        """The unified symbol, if the market is known. What is known stays so: markets are never taken back."""
        symbol = self._symbols.get(native)
        if symbol is None and (market := self._markets.native(self._product, native)) is not None:
            symbol = self._symbols[native] = market.symbol
        return symbol

    def _data(self, frame: messages.Frame, topic: str) -> list[Event]:
        kind, _, rest = topic.partition(".")
        match kind:
            case "publicTrade":
                trades = [(self._symbol(row.s), row) for row in _decode_trades(frame.data)]
                return [row.event(symbol) for symbol, row in trades if symbol is not None and not row.BT]
            case "tickers":
                return self._ticker(frame)
            case "kline":
                period, _, native = rest.partition(".")
                rows, interval, symbol = _decode_klines(frame.data), messages.interval_of(period), self._symbol(native)
                return [] if interval is None or symbol is None else [row.event(symbol, interval) for row in rows]
            case "system":
                return [*answers.notices(_decode_status(frame.data))]
        if kind in _NOT_USED:
            return []
        return [Unknown(what=f"topic {kind}")]

    def _ticker(self, frame: messages.Frame) -> list[Event]:
        """Linear tells all once, then what changed; changes without a beginning say too little."""
        row = _decode_ticker(frame.data)
        symbol = self._symbol(row.symbol)
        if symbol is None:
            return []
        if frame.type == "snapshot":
            self._tickers[row.symbol] = row
        elif frame.type == "delta":
            known = self._tickers.get(row.symbol)
            if known is None:
                return []
            known.merge(row)
        else:
            raise ParseError(f"Bybit {self._product}: type of tickers is {frame.type!r}, neither snapshot nor delta")
        return self._tickers[row.symbol].events(symbol, frame.ts)

    # books

    def _book(self, frame: messages.BookFrame) -> list[Event]:
        known = self._topics.get(frame.topic) or self._read_topic(frame.topic)
        depth, native = known
        symbol = self._symbols.get(native) or self._symbol(native)
        if symbol is None:
            return []
        if native != frame.data.s:
            raise ParseError(f"Bybit {self._product}: {frame.topic} tells of {frame.data.s}")
        book = self._books.get(native)
        if book is None:
            book = self._books[native] = _Book()
        if depth == 1:
            return [self._best(book, frame, symbol)]
        return self._levels(book, frame, symbol, depth)

    def _read_topic(self, topic: str) -> tuple[int, str]:
        _, _, rest = topic.partition("orderbook.")
        depth, _, native = rest.partition(".")
        if not topic.startswith("orderbook.") or not depth.isdecimal() or not 0 < len(depth) < 6 or not native:
            raise ParseError(f"Bybit {self._product}: {topic!r} is no topic of a book")
        self._topics[topic] = known = int(depth), native
        return known

    def _levels(self, book: _Book, frame: messages.BookFrame, symbol: str, depth: int) -> list[Event]:
        """Each topic counts for itself, so a book is read from one alone: the first that came, or the one asked for.

        A recording may hold another depth than ours, or several.
        """
        number = frame.data.u
        if frame.type == "snapshot":
            if book.depth not in (0, depth) and depth != self._book_depth:
                return []
            book.depth, book.last = depth, number
            return [frame.snapshot(symbol, depth)]
        if book.depth != depth:
            if book.depth:
                return []
            book.depth, book.last = depth, number
        restarted = number == 1 or number < book.last - _BEHIND
        if restarted or number > book.last:
            book.last = number
        return [frame.delta(symbol, chained=restarted)]

    @staticmethod
    def _best(book: _Book, frame: messages.BookFrame, symbol: str) -> Event:
        """Documented as snapshots only; changes of the one level are understood as well."""
        if frame.type == "snapshot":
            book.bids, book.asks = {}, {}
        _change(book.bids, frame.data.b)
        _change(book.asks, frame.data.a)
        bid = max(book.bids.items(), default=messages.EMPTY)
        ask = min(book.asks.items(), default=messages.EMPTY)
        book.bids, book.asks = ({price: size} if size else {} for price, size in (bid, ask))
        return messages.bbo(symbol, bid, ask, frame.data.seq, frame.exchange_ms)

    # replies

    def _reply(self, frame: messages.Frame) -> list[Event]:
        """``success`` decides, whatever ``ret_msg`` says. One without a number is about the oldest of its kind."""
        op = frame.op
        if op not in _OPS and frame.success is not False:
            raise ParseError(f"Bybit {self._product}: neither data nor a reply to what we ask")
        number = str(frame.req_id or "")
        if not number and op not in _PONGS:
            number = next((number for number, ask in self._asked.items() if op in (ask.op, None)), "")
        ask = self._asked.pop(number, None)
        if frame.success is False:
            return self._refused(ask, frame.ret_msg or "no reason given")
        if ask is None:
            return []
        if ask.op == "subscribe":
            self._live.update(ask.topics)
        return [Ack(subscriptions=ask.subscriptions, ended=ask.op == "unsubscribe")]

    def _refused(self, ask: _Ask | None, reason: str) -> list[Event]:
        """One wrong topic fails its whole message, so all of it is refused; it is asked for again in smaller parts.

        A topic that was subscribed already is live, which the next attempt takes into account.
        """
        if ask is None:
            return [Notice(text=f"Bybit says: {reason[:300]}")]
        if ask.op == "unsubscribe":
            return [Ack(subscriptions=ask.subscriptions, ended=True)]  # what cannot be ended is not there
        topic = reason.partition(",topic:")[2]
        if "already subscribed" in reason and topic in ask.topics:
            self._live.add(topic)
            if self._live.issuperset(ask.topics):
                return [Ack(subscriptions=ask.subscriptions)]
        else:
            for subscription in ask.subscriptions:
                self._held.get(self._topic(subscription), set()).discard(subscription)
        return [Rejected(subscriptions=ask.subscriptions, reason=reason)]


def _change(side: dict[float, float], levels: Sequence[Level]) -> None:
    for price, size in levels:
        if size:
            side[price] = size
        else:
            side.pop(price, None)
