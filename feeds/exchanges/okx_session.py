"""OKX's WebSocket v5: one connection's side of the protocol. The facts are in ``okx.py``."""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

import structlog
from msgspec import Struct, json, structs

from feeds.domain import Ack, Candle, Channel, Closing, Event, Market, MarkPrice, Notice, Rejected, Subscription
from feeds.errors import ParseError
from feeds.exchange import MarketIndex
from feeds.exchanges import okx_messages as messages
from feeds.exchanges.okx_messages import BARS, MALFORMED, Sizes
from feeds.exchanges.okx_status import notices

SWAP_ENDING = "-SWAP"
ARGS_PER_REQUEST = 200
"""A request may have 64 KB; an argument has less than 100 bytes."""
MOST_REQUESTS = 460
"""Requests on one connection, of 480 in an hour: then it is replaced, since a new one may send as many again."""
_INDEX_VALID_MS = 90_000
"""An index price comes once a minute at least; an older one is not shown beside a new mark price."""

_CHANNELS = {
    Channel.BOOK: "books",
    Channel.BBO: "bbo-tbt",
    Channel.TRADES: "trades",
    Channel.TICKER: "tickers",
    Channel.MARK: "mark-price",
}
_RANKS = {channel: rank for rank, channel in enumerate(messages.DEPTHS)}
_FAST = tuple(f'{{"arg":{{"channel":"{channel}",'.encode() for channel in (*_RANKS, "bbo-tbt"))
"""How frames begin that are decoded in one go."""
_KINDS = {name: channel for channel, name in _CHANNELS.items()}
_INTERVALS = {bar: interval for interval, bar in BARS.items()}
_TOO_MANY = "60014"
_UPGRADE = "64008"
_TROUBLE = frozenset({"50001", "50004", "50011", "50013", "50026", "63999", "64007"})
"""Codes of errors that are nobody's fault: what was asked for is asked for again."""
_NAMED = re.compile(r"channel: ?([A-Za-z0-9-]+)(?:, ?instId: ?([A-Za-z0-9_-]*))?")

_decode_book_frame = json.Decoder(messages.BookFrame, strict=False).decode
_decode_frame = json.Decoder(messages.Frame).decode
_decode_books = json.Decoder(list[messages.Book], strict=False).decode
_decode_trades = json.Decoder(list[messages.Trade], strict=False).decode
_decode_tickers = json.Decoder(list[messages.Ticker], strict=False).decode
_decode_candles = json.Decoder(list[messages.Candle], strict=False).decode
_decode_marks = json.Decoder(list[messages.MarkPrice], strict=False).decode
_decode_indexes = json.Decoder(list[messages.IndexPrice], strict=False).decode
_decode_fundings = json.Decoder(list[messages.Funding], strict=False).decode
_decode_statuses = json.Decoder(list[messages.Status], strict=False).decode

log = structlog.get_logger(__name__)


class Key(NamedTuple):
    """What OKX calls an argument."""

    channel: str
    native: str


class _Ask(Struct):
    """A request that waits for its answers, one per argument."""

    ended: bool
    waiting: dict[Key, Subscription | None]  # None: an argument beside a subscription's own


class _Known(Struct):
    """A market of this connection. ``sizes`` turns contracts into base currency, where it counts in them."""

    market: Market
    sizes: Sizes | None


def keys_of(subscription: Subscription, market: Market) -> list[Key]:
    """The arguments of a subscription: its own, and those that come along. Raises ValueError if there is none such.

    A mark price comes with the funding rate and the index price, which are channels of their own.
    """
    if subscription.channel is Channel.CANDLES:
        bar = BARS.get(subscription.interval or "")
        if bar is None:
            raise ValueError(f"{subscription}: OKX has no such stream")
        return [Key(f"candle{bar}", market.native)]
    if subscription.channel is Channel.MARK:
        if market.settle is None:
            raise ValueError(f"{subscription}: a spot market has no mark price")
        index = Key("index-tickers", f"{market.base}-{market.quote}")
        return [Key("mark-price", market.native), Key("funding-rate", market.native), index]
    return [Key(_CHANNELS[subscription.channel], market.native)]


class OkxSession:
    """One connection. ``parse`` needs to know nothing of what was subscribed; answers to requests do."""

    def __init__(self, markets: MarketIndex, *, business: bool) -> None:
        self._markets = markets
        self._business = business
        self._found: dict[str, _Known] = {}  # by native name
        self._asked: dict[str, _Ask] = {}  # by id, oldest first
        self._held: dict[Key, set[Subscription]] = {}  # by argument: ours that want it
        self._requests = 0
        self._books_of: dict[str, str] = {}  # by native name: the channel that its book is read from
        self._prints_of: dict[str, str] = {}  # and its prints
        self._bars: dict[tuple[str, str], Candle] = {}  # by native name and interval: the running one, see _candles
        self._indexes: dict[str, tuple[Decimal, int]] = {}  # by native name: price, time
        self._fundings: dict[str, tuple[Decimal | None, int | None]] = {}  # by native name: rate, when it is paid

    # what to send

    def opening(self) -> list[str]:
        return []

    def subscribe(self, subscriptions: Sequence[Subscription]) -> list[str]:
        """Raises ValueError for a market that is not listed, or a stream that it does not have."""
        wanted = [(subscription, self._keys(subscription)) for subscription in subscriptions]
        asked: dict[Key, Subscription | None] = {}
        for subscription, (own, *others) in wanted:
            for key in others:
                if not self._held.get(key, set()) - {subscription}:
                    asked.setdefault(key, None)
            asked[own] = subscription
            for key in (own, *others):
                self._held.setdefault(key, set()).add(subscription)
        sent = self._ask("subscribe", asked)
        if not self._business and self._requests == len(sent):  # the first ones on this connection
            sent += self._ask("subscribe", {Key("status", ""): None})
        return sent

    def unsubscribe(self, subscriptions: Sequence[Subscription]) -> list[str]:
        """An argument that another subscription shares goes on."""
        ended: dict[Key, Subscription | None] = {}
        for subscription in subscriptions:
            own, *others = self._keys(subscription)
            ended[own] = subscription
            for key in (own, *others):
                holders = self._held.get(key, set())
                holders.discard(subscription)
                if not holders:
                    self._held.pop(key, None)
                    ended.setdefault(key, None)
        return self._ask("unsubscribe", ended)

    def keepalive(self) -> str | None:
        return "ping"

    def _keys(self, subscription: Subscription) -> list[Key]:
        market = self._markets.get(subscription.symbol)
        if market is None:
            raise ValueError(f"{subscription}: OKX lists no such market")
        if (subscription.channel is Channel.CANDLES) is not self._business:
            raise ValueError(f"{subscription}: this connection does not carry it")
        return keys_of(subscription, market)

    def _ask(self, op: str, wanted: dict[Key, Subscription | None]) -> list[str]:
        for number, ask in list(self._asked.items()):  # what is asked for again is not waited for twice
            ask.waiting = {key: value for key, value in ask.waiting.items() if key not in wanted}
            if not ask.waiting:
                del self._asked[number]
        keys, sent = list(wanted), []
        for start in range(0, len(keys), ARGS_PER_REQUEST):
            part = keys[start : start + ARGS_PER_REQUEST]
            self._requests += 1
            number = str(self._requests)
            self._asked[number] = _Ask(op == "unsubscribe", {key: wanted[key] for key in part})
            args = [{"channel": key.channel, **({"instId": key.native} if key.native else {})} for key in part]
            sent.append(json.encode({"id": number, "op": op, "args": args}).decode())
        return sent

    # what came

    def parse(self, raw: bytes | str) -> list[Event]:
        frame = raw if isinstance(raw, bytes) else raw.encode("utf-8", "surrogatepass")
        try:
            if frame.startswith(_FAST):
                events = self._books(_decode_book_frame(frame))
            elif frame == b"pong":
                events = []
            else:
                known = _decode_frame(frame)
                events = self._reply(known) if known.event else self._data(known)
        except MALFORMED as error:
            raise ParseError(f"OKX: {error}", raw) from error
        if self._requests >= MOST_REQUESTS:
            self._requests = 0
            events.append(Closing(reason=f"{MOST_REQUESTS} of 480 requests an hour were sent on it"))
        return events

    def _known(self, native: str) -> _Known | None:
        product = "swap" if native.endswith(SWAP_ENDING) else "spot"
        market, known = self._markets.native(product, native), self._found.get(native)
        if market is None or (known is not None and known.market is market):
            return known
        sizes = None if market.contract_size == 1 else Sizes(market.contract_size)
        known = self._found[native] = _Known(market, sizes)
        return known

    def _books(self, frame: messages.BookFrame) -> list[Event]:
        """Changes if the frame says so; a snapshot if it says that, or if nothing came before it.

        Each channel has a chain of its own, and a recording may hold several, or others than ours: a book is read from
        one alone, the first that has a snapshot, until one that is deeper has.
        """
        channel, native = frame.arg.channel, frame.arg.instId
        known = self._known(native)
        if known is None:
            return []
        symbol, sizes = known.market.symbol, known.sizes
        if channel == "bbo-tbt":
            return [book.best(symbol, sizes) for book in frame.data]
        chosen = self._books_of.get(native)
        if frame.action == "update":
            if chosen is not None and chosen != channel:
                return []
            return [book.delta(symbol, sizes) for book in frame.data]
        whole = channel == "books5" or all(book.prevSeqId == -1 for book in frame.data)
        if frame.action != "snapshot" and (frame.action or not whole):
            raise ParseError(f"OKX: action of a book is {frame.action[:20]!r}, neither snapshot nor update")
        if chosen is not None and _RANKS[chosen] < _RANKS[channel]:
            return []
        self._books_of[native] = channel
        return [book.snapshot(symbol, sizes, messages.DEPTHS[channel]) for book in frame.data]

    def _data(self, frame: messages.Frame) -> list[Event]:
        """Data of a channel; of one that we do not ask for, nothing."""
        arg, data = frame.arg, frame.data
        if arg is None or not bytes(data):
            raise ParseError("OKX: neither data nor a reply")
        if arg.channel in _RANKS or arg.channel == "bbo-tbt":
            return self._books(messages.BookFrame(arg, _decode_books(data), frame.action))
        match arg.channel:
            case "trades" | "trades-all":
                return self._prints(arg.channel, _decode_trades(data))
            case "tickers":
                tickers = _decode_tickers(data)
                return [t for row in tickers if (known := self._known(row.instId)) and (t := row.event(known.market))]
            case "mark-price":
                return [event for row in _decode_marks(data) if (event := self._mark(row))]
            case "index-tickers":
                for index in _decode_indexes(data):
                    self._indexes[index.instId] = Decimal(index.idxPx), index.ts
                return []
            case "funding-rate":
                for row in _decode_fundings(data):
                    rate, paid_ms = row.fundingRate, row.fundingTime
                    self._fundings[row.instId] = Decimal(rate) if rate else None, int(paid_ms) if paid_ms else None
                return []
            case "status":
                return notices(_decode_statuses(data))
        interval = _INTERVALS.get(arg.channel.removeprefix("candle")) if arg.channel.startswith("candle") else None
        if interval is None:
            return []
        rows, known = _decode_candles(data), self._known(arg.instId)
        return [] if known is None else [bar for row in rows for bar in self._candles(row, known.market, interval)]

    def _candles(self, row: messages.Candle, market: Market, interval: str) -> list[Event]:
        """The bar; and before it the last one, closed, if nothing but a later bar tells that."""
        bar = row.event(market, interval)
        if row.confirm:
            return [bar]
        last = self._bars.get((market.native, interval))
        self._bars[market.native, interval] = bar
        over = last is not None and last.open_ms < bar.open_ms
        return [structs.replace(last, closed=True), bar] if last is not None and over else [bar]

    def _prints(self, channel: str, rows: list[messages.Trade]) -> list[Event]:
        """``trades-all`` tells each match that ``trades`` tells merged: a market's prints are read from one of them."""
        events: list[Event] = []
        for row in rows:
            known = self._known(row.instId)
            if known is not None and self._prints_of.setdefault(row.instId, channel) == channel:
                events.append(row.event(known.market))
        return events

    def _mark(self, row: messages.MarkPrice) -> MarkPrice | None:
        """A mark price, with the newest index price and funding rate, if they are of its time."""
        known = self._known(row.instId)
        if known is None:
            return None
        market = known.market
        index, index_ms = self._indexes.get(f"{market.base}-{market.quote}", (None, 0))
        rate, paid_ms = self._fundings.get(market.native, (None, None))
        if paid_ms is not None and paid_ms <= row.ts:
            rate = paid_ms = None  # it has been paid: the next one is not told yet
        return MarkPrice(
            symbol=market.symbol,
            mark=Decimal(row.markPx),
            index=index if row.ts - index_ms <= _INDEX_VALID_MS else None,
            funding_rate=rate,
            next_funding_ms=paid_ms,
            exchange_ms=row.ts,
        )

    # replies

    def _reply(self, frame: messages.Frame) -> list[Event]:
        match frame.event:
            case "subscribe" | "unsubscribe" if frame.arg is not None:
                return self._accepted(Key(frame.arg.channel, frame.arg.instId), frame.event == "unsubscribe")
            case "error":
                return self._refused(frame)
            case "notice":
                if str(frame.code) == _UPGRADE:
                    return [Closing(reason=frame.msg or "service upgrade")]
                return [Notice(text=f"OKX says: {frame.msg}")]
            case "login" | "channel-conn-count" | "channel-conn-count-error":
                return []  # of accounts
        raise ParseError(f"OKX: unknown event {frame.event[:40]!r}")

    def _accepted(self, key: Key, ended: bool) -> list[Event]:
        """An answer that nothing waits for is of a recording: then it is about all it can stand for."""
        self._take(key)
        if ended:
            for chosen in (self._books_of, self._prints_of):
                if chosen.get(key.native) == key.channel:
                    del chosen[key.native]
        subscription = self._subscription(key)
        return [] if subscription is None else [Ack(subscriptions=(subscription,), ended=ended)]

    def _subscription(self, key: Key) -> Subscription | None:
        """Ours, if the argument is a subscription's own and its market known."""
        interval = _INTERVALS.get(key.channel.removeprefix("candle")) if key.channel.startswith("candle") else None
        channel = Channel.CANDLES if interval else _KINDS.get(key.channel)
        if channel is None or (known := self._known(key.native)) is None:
            return None
        return Subscription(channel=channel, symbol=known.market.symbol, interval=interval)

    def _take(self, key: Key) -> _Ask | None:
        """The request that waits for an answer about this argument; it waits no more."""
        for number, ask in self._asked.items():
            if key in ask.waiting:
                del ask.waiting[key]
                if not ask.waiting:
                    del self._asked[number]
                return ask
        return None

    def _refused(self, frame: messages.Frame) -> list[Event]:
        code, reason = str(frame.code), f"{frame.msg} ({frame.code})"
        if code == _TOO_MANY:
            return [Closing(reason=f"too many requests: {reason}")]  # a new connection may send as many again
        blamed, ended = ([], False) if code in _TROUBLE else self._blamed(frame)
        if not blamed:
            return [Notice(text=f"OKX says: {reason}")]  # what is unanswered is asked for again
        subscriptions = tuple(s for key in blamed if (s := self._subscription(key)) is not None)
        if ended:  # what is not there cannot be ended: it has
            return [Ack(subscriptions=subscriptions, ended=True)] if subscriptions else []
        for key in blamed:
            if self._subscription(key) is None:
                log.warning("channel refused", exchange="okx", channel=key.channel, native=key.native, reason=reason)
        for holders in self._held.values():
            holders.difference_update(subscriptions)
        return [Rejected(subscriptions=subscriptions, reason=reason, code=code)] if subscriptions else []

    def _blamed(self, frame: messages.Frame) -> tuple[list[Key], bool]:
        """The arguments that an error is about, and whether their end was asked for; none if nobody can tell.

        Errors name the argument in their text, or else the request by its id. One that does neither is about the oldest
        request that waits, since they are answered in order.
        """
        told = isinstance(frame.id, str) and frame.id in self._asked
        if (named := _NAMED.search(frame.msg)) is not None:
            key = Key(named[1], named[2] or "")
            ask = self._take(key)
            if ask is not None or self._held.get(key):
                return [key], ask is not None and ask.ended
            if not told:
                return [], False  # something that we did not ask for
        number = frame.id if told else next(iter(self._asked), None)
        if number is None:
            return [], False
        ask = self._asked.pop(number)
        return list(ask.waiting), ask.ended
