"""Kraken's WebSocket v2: one connection's side of the protocol. The facts are in ``kraken.py``."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import structlog
from msgspec import Struct, json, structs

from feeds.domain import (
    INTERVALS,
    Ack,
    Candle,
    Channel,
    Closing,
    Event,
    Heartbeat,
    Markets,
    Notice,
    Rejected,
    Subscription,
    Unknown,
)
from feeds.errors import ParseError
from feeds.exchange import MarketIndex
from feeds.exchanges import kraken_messages as messages
from feeds.exchanges.kraken_messages import MALFORMED

CHANNELS = {
    Channel.BOOK: "book",
    Channel.BBO: "ticker",
    Channel.TICKER: "ticker",
    Channel.TRADES: "trade",
    Channel.CANDLES: "ohlc",
}
DEPTHS = (10, 25, 100, 500, 1000)
MOST_CANDLES = 720
"""Bars that an answer has at most, and that a gap is filled with at most."""
_SYMBOLS_PER_MESSAGE = 50

_decode_frame = json.Decoder(messages.Frame).decode
_decode_result = json.Decoder(messages.Result).decode
_decode_books = json.Decoder(list[messages.Book]).decode
_decode_printed = json.Decoder(list[messages.PrintedBook]).decode
_decode_tickers = json.Decoder(list[messages.Ticker]).decode
_decode_trades = json.Decoder(list[messages.Trade]).decode
_decode_candles = json.Decoder(list[messages.Candle]).decode
_decode_status = json.Decoder(list[messages.Status]).decode
_decode_instruments = json.Decoder(messages.Instruments).decode
_decode_pair = json.Decoder(messages.Pair).decode

log = structlog.get_logger(__name__)


class _Ask(Struct):
    """A request that waits for its answers, one per symbol. The one for the instruments has no subscriptions."""

    ended: bool
    waiting: list[Subscription]


class KrakenSession:
    """One connection. It knows what was asked for and not answered, and the newest bar of each candle stream."""

    def __init__(self, markets: MarketIndex, book_depth: int) -> None:
        self._markets = markets
        self._book_depth = book_depth
        self._asked: dict[int, _Ask] = {}  # by req_id, oldest first
        self._last_id = 0
        self._opening_id = 0
        self._held: dict[tuple[str, str, str | None], set[Subscription]] = {}  # by stream: ours that want it
        self._windows: dict[str, int] = {}  # by symbol: depth of the book as acknowledged
        self._bars: dict[tuple[str, str], Candle] = {}  # by symbol and interval

    # what to send

    def opening(self) -> list[str]:
        message = self._message("subscribe", {"channel": "instrument", "snapshot": True}, _Ask(False, []))
        self._opening_id = self._last_id
        return [message]

    def subscribe(self, subscriptions: Sequence[Subscription]) -> list[str]:
        """Raises ValueError for a stream that Kraken does not have."""
        for subscription in subscriptions:
            self._held.setdefault(_stream(subscription), set()).add(subscription)
        return self._ask("subscribe", subscriptions)

    def unsubscribe(self, subscriptions: Sequence[Subscription]) -> list[str]:
        """A stream that another subscription shares goes on, so nothing is sent, and answered, for it."""
        for subscription in subscriptions:
            self._held.get(_stream(subscription), set()).discard(subscription)
        return self._ask("unsubscribe", [s for s in subscriptions if not self._held.get(_stream(s))])

    def keepalive(self) -> str | None:
        return '{"method":"ping"}'

    def _ask(self, method: str, subscriptions: Sequence[Subscription]) -> list[str]:
        for number, ask in list(self._asked.items()):  # what is asked for again is not waited for twice
            ask.waiting = [s for s in ask.waiting if s not in subscriptions]
            if not ask.waiting and number != self._opening_id:
                del self._asked[number]
        kinds: dict[tuple[str, str | None], dict[str, list[Subscription]]] = {}
        for subscription in subscriptions:
            kind = (_stream(subscription)[0], subscription.interval)
            kinds.setdefault(kind, {}).setdefault(subscription.symbol, []).append(subscription)
        sent = []
        for (channel, interval), by_symbol in kinds.items():
            symbols = list(by_symbol)
            for start in range(0, len(symbols), _SYMBOLS_PER_MESSAGE):
                part = symbols[start : start + _SYMBOLS_PER_MESSAGE]
                params: dict[str, Any] = {"channel": channel, "symbol": part}
                if channel == "book":
                    params["depth"] = self._book_depth
                elif channel == "ticker":
                    params["event_trigger"] = "bbo"
                elif channel == "ohlc" and interval is not None:
                    params["interval"] = messages.MINUTES[interval]
                if method == "subscribe":
                    params["snapshot"] = True
                ask = _Ask(method == "unsubscribe", [s for symbol in part for s in by_symbol[symbol]])
                sent.append(self._message(method, params, ask))
        return sent

    def _message(self, method: str, params: dict[str, Any], ask: _Ask) -> str:
        self._last_id += 1
        self._asked[self._last_id] = ask
        return json.encode({"method": method, "params": params, "req_id": self._last_id}).decode()

    # what came

    def parse(self, raw: bytes | str) -> list[Event]:
        frame = raw if isinstance(raw, bytes) else raw.encode("utf-8", "surrogatepass")
        try:
            known = _decode_frame(frame)
            return self._reply(known) if known.channel is None else self._data(known)
        except MALFORMED as error:
            raise ParseError(f"Kraken: {error}", raw) from error

    def _data(self, frame: messages.Frame) -> list[Event]:
        match frame.channel:
            case "book":
                return self._books(frame)
            case "ticker":
                return [event for row in _decode_tickers(frame.data) for event in row.events()]
            case "trade":
                rows = sorted(_decode_trades(frame.data), key=lambda row: row.trade_id)
                return [row.event() for row in rows]
            case "ohlc":
                return self._candles(_decode_candles(frame.data))
            case "heartbeat":
                return [Heartbeat()]
            case "status":
                return [_notice(row.system) for row in _decode_status(frame.data)]
            case "instrument":
                return self._instruments(frame)
        return [Unknown(what=f"channel {frame.channel}")]

    def _instruments(self, frame: messages.Frame) -> list[Event]:
        """One instrument that cannot be understood is left out; it must not cost us all the others."""
        rows, complete = _decode_instruments(frame.data).pairs, _is_snapshot(frame)
        markets = []
        for row in rows:
            try:
                markets.append(_decode_pair(row).market("kraken"))
            except MALFORMED as error:
                log.warning("instrument left out", exchange="kraken", error=str(error), raw=bytes(row)[:200])
        if rows and not markets:
            raise ParseError(f"Kraken: none of {len(rows)} instruments can be understood")
        return [Markets(markets=tuple(markets), complete=complete)] if complete or markets else []

    def _books(self, frame: messages.Frame) -> list[Event]:
        books = _decode_books(frame.data)
        if not _is_snapshot(frame):
            return [book.delta() for book in books]
        if all(book.symbol in self._markets for book in books):
            return [book.snapshot(self._window(book)) for book in books]
        printed = _decode_printed(frame.data)
        return [book.snapshot(self._window(book), own.digits()) for book, own in zip(books, printed, strict=True)]

    def _window(self, book: messages.Book) -> int:
        """The depth that the server keeps: what it acknowledged, and never less than the snapshot holds.

        A server that plays a recording sends the recorded depth, whatever was subscribed. As many levels on both sides,
        and that a depth that exists, is taken for it. On a market that really has so few the guess is wrong, a level is
        then cut that should not be, and if it comes up into the best ten, the checksum tells and a new snapshot comes.

        In a recording nothing was asked for, so an acknowledgement in it is the recorded one and holds. Where it has
        none, a full side tells; where no side is full, nothing has been pushed out yet, and the usual depth will do.
        """
        bids, asks = len(book.bids), len(book.asks)
        held = next((depth for depth in DEPTHS if depth >= max(bids, asks)), DEPTHS[-1])
        told = self._windows.get(book.symbol)
        if self._held.get(("book", book.symbol, None)):
            told = told or self._book_depth
            return held if bids == asks == held < told else max(told, held)
        if told is None:
            return held if held in (bids, asks) else max(held, self._book_depth)
        return max(told, held)

    def _candles(self, rows: list[messages.Candle]) -> list[Event]:
        events: list[Event] = []
        for row in rows:
            bar = row.event()
            if bar is None:
                continue
            last = self._bars.get((bar.symbol, bar.interval))
            if last is not None and bar.open_ms < last.open_ms:
                events.append(structs.replace(bar, closed=True))
                continue
            if last is not None and bar.open_ms > last.open_ms:
                if events and events[-1] is last:
                    events.pop()
                events.extend(until(last, bar))
            self._bars[bar.symbol, bar.interval] = bar
            events.append(bar)
        return events

    # replies

    def _reply(self, frame: messages.Frame) -> list[Event]:
        if frame.method == "pong":
            return []
        if frame.method is None:
            raise ParseError("Kraken: neither data nor a reply")
        if frame.error is not None or not frame.success:
            return self._refused(frame, frame.error or "no reason given")
        if frame.method not in ("subscribe", "unsubscribe"):
            return [Unknown(what=f"method {frame.method}")]
        return self._accepted(frame, _decode_result(frame.result))

    def _accepted(self, frame: messages.Frame, result: messages.Result) -> list[Event]:
        """An answer that nothing waits for is of a recording, or came twice: then it is about all it can stand for."""
        if result.channel == "instrument":
            self._asked.pop(self._opening_id, None)
            return []
        if result.channel == "book" and result.symbol is not None:
            if frame.method == "subscribe" and result.depth is not None:
                self._windows[result.symbol] = result.depth
            else:
                self._windows.pop(result.symbol, None)
        about = result.subscriptions([channel for channel, name in CHANNELS.items() if name == result.channel])
        ended = frame.method == "unsubscribe"
        _, taken = self._take(frame.req_id, ended, about.__contains__, opening=False)
        subscriptions = tuple(taken or about)
        return [Ack(subscriptions=subscriptions, ended=ended)] if subscriptions else []

    def _refused(self, frame: messages.Frame, reason: str) -> list[Event]:
        """Errors name the request if it had a number they could read, and the symbol if that is to blame.

        One that names no request is about the oldest that waits: they are answered in order.
        """
        if reason.startswith("Exceeded msg rate") or frame.method not in ("subscribe", "unsubscribe", "error"):
            return [Notice(text=f"Kraken says: {reason}")]  # not the market's fault; unanswered, it is asked for again
        ended = None if frame.method == "error" else frame.method == "unsubscribe"
        blamed = (lambda s: s.symbol == frame.symbol) if frame.symbol is not None else lambda s: True
        ask, taken = self._take(frame.req_id, ended, blamed, opening=frame.symbol is None)
        if ask is None:
            return [Notice(text=f"Kraken says: {' '.join(filter(None, (reason, frame.symbol)))}")]
        if not taken:
            return [Closing(reason=f"the list of instruments was refused: {reason}")]  # of no use without them
        subscriptions = tuple(taken)
        if ask.ended:
            if reason.startswith("Subscription not found"):
                return [Ack(subscriptions=subscriptions, ended=True)]
        elif reason.startswith("Already subscribed"):
            return [Ack(subscriptions=subscriptions)]
        else:
            for subscription in subscriptions:
                self._held.get(_stream(subscription), set()).discard(subscription)
        return [Rejected(subscriptions=subscriptions, reason=reason)]

    def _take(
        self, number: int | None, ended: bool | None, wanted: Callable[[Subscription], bool], *, opening: bool
    ) -> tuple[_Ask | None, list[Subscription]]:
        """The request that an answer is about, and those of its subscriptions that are answered by it.

        ``opening``: it may be the request for the instruments, which has none.
        """
        for candidate in [number] if number is not None else list(self._asked):
            ask = self._asked.get(candidate)
            if ask is None or (ended is not None and ask.ended is not ended):
                continue
            taken = [s for s in ask.waiting if wanted(s)]
            if taken or (opening and not ask.waiting):
                ask.waiting = [s for s in ask.waiting if s not in taken]
                if not ask.waiting:
                    del self._asked[candidate]
                return ask, taken
        return None, []


def _stream(subscription: Subscription) -> tuple[str, str, str | None]:
    """Kraken's channel, symbol, and interval of candles. Raises ValueError for what Kraken does not have."""
    channel = CHANNELS.get(subscription.channel)
    if channel is None or (channel == "ohlc") != (subscription.interval in INTERVALS):
        raise ValueError(f"{subscription}: Kraken has no such stream")
    return channel, subscription.symbol, subscription.interval


def _is_snapshot(frame: messages.Frame) -> bool:
    if frame.type not in ("snapshot", "update"):
        raise ParseError(f"Kraken: type of {frame.channel} is {frame.type!r}, neither snapshot nor update")
    return frame.type == "snapshot"


def _notice(system: str) -> Notice:
    """The status is told on every connection, and again when it changes; "" means that all is well (again)."""
    if system == "online":
        return Notice(text="", trading=True, key="status")
    halted = system in ("maintenance", "cancel_only", "post_only")
    return Notice(text=f"Kraken's status is {system}.", trading=False if halted else None, key="status")


def until(last: Candle, bar: Candle) -> list[Candle]:
    """``last``, which is closed now, and a flat bar for each interval without a trade until ``bar``."""
    closed = structs.replace(last, closed=True)
    price = last.close
    flat = structs.replace(closed, open=price, high=price, low=price, base_volume=Decimal(0))
    length_ms = INTERVALS[last.interval]
    quiet = range(last.open_ms + length_ms, bar.open_ms, length_ms)
    return [closed, *(structs.replace(flat, open_ms=open_ms) for open_ms in quiet[-MOST_CANDLES:])]
