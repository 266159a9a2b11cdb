"""One connection of Alpaca's market data stream. The facts are in ``alpaca.py``."""

from collections.abc import Sequence
from typing import get_args

from msgspec import Raw, Struct, ValidationError, json

from feeds.account import Credentials
from feeds.domain import Ack, Channel, Closing, Event, LoggedIn, Market, Notice, Rejected, Subscription, Unknown
from feeds.errors import ParseError
from feeds.exchange import MarketIndex
from feeds.exchanges import alpaca_messages as messages
from feeds.exchanges.alpaca_messages import LABEL, MALFORMED, STOCKS
from feeds.exchanges.alpaca_prints import Prints

INTERVAL = "1m"
"""Of the bars that are streamed."""

_CRYPTO_STREAMS = {
    Channel.BOOK: ("orderbooks",),
    Channel.BBO: ("quotes",),
    Channel.TRADES: ("trades",),
    Channel.TICKER: ("trades",),
    Channel.CANDLES: ("bars", "updatedBars"),
}
_STOCK_STREAMS = {**_CRYPTO_STREAMS, Channel.BOOK: ("quotes",)}
"""There is no book of stocks: their best prices stand in for it."""

_REFUSED = {402: "the key is wrong", 408: "the account has no access to these data", 409: "the plan has not these data"}
"""Answers to a login that no other attempt would change."""
_AT_LOGIN = {404: "the login came too late", 406: "another connection of this account is open, and one is allowed"}

_KINDS = frozenset(kind.__struct_config__.tag for kind in get_args(messages.Message))


class _Kind(Struct):
    T: str


_decode = json.Decoder(list[messages.Message]).decode
_decode_rows = json.Decoder(list[Raw]).decode
_decode_message = json.Decoder(messages.Message).decode
_decode_kind = json.Decoder(_Kind).decode

Stream = tuple[str, str]
"""A channel and a native name: what Alpaca subscribes."""


class _Ask(Struct):
    """A message that waits for its answer."""

    ended: bool
    subscriptions: tuple[Subscription, ...]
    streams: set[Stream]


class AlpacaSession:
    """One connection, of crypto or of stocks.

    An answer to any message lists all that stands then, so whatever it shows as done was accepted. An error names
    nobody: messages are answered in their order, so it is about the one that has waited longest.
    """

    def __init__(self, product: str, markets: MarketIndex, credentials: Credentials | None) -> None:
        self._product = product
        self._markets = markets
        self._credentials = credentials
        self._prints = Prints(stocks=product == STOCKS)
        self._logged_in = False
        self._asked: list[_Ask] = []  # oldest first
        self._held: dict[Stream, dict[Subscription, None]] = {}  # ours that want it
        self._owed: list[Event] = []  # to be told with the next frame

    # what to send

    def opening(self) -> list[str]:
        """The login. Without a key (a recording is read) there is none."""
        if self._credentials is None:
            return []
        login = {"action": "auth", "key": self._credentials.key, "secret": self._credentials.secret}
        return [json.encode(login).decode()]

    def subscribe(self, subscriptions: Sequence[Subscription]) -> list[str]:
        """One message. What stands already is asked for again, which changes nothing and is answered.

        Raises ValueError for a market that is not listed, or a stream that Alpaca does not have.
        """
        wanted = {subscription: self._streams(subscription) for subscription in subscriptions}
        for subscription, streams in wanted.items():
            for stream in streams:
                self._held.setdefault(stream, {})[subscription] = None
        return self._ask(tuple(wanted), {stream for streams in wanted.values() for stream in streams}, ended=False)

    def unsubscribe(self, subscriptions: Sequence[Subscription]) -> list[str]:
        """A stream that another subscription shares goes on; who wanted only such is told with the next frame."""
        ending: dict[Subscription, list[Stream]] = {}
        for subscription in subscriptions:
            streams = self._streams(subscription)
            for stream in streams:
                self._held.get(stream, {}).pop(subscription, None)
            ending[subscription] = streams
        free = {s: [stream for stream in streams if not self._held.get(stream)] for s, streams in ending.items()}
        shared = tuple(subscription for subscription, streams in free.items() if not streams)
        if shared:
            self._owed.append(Ack(subscriptions=shared, ended=True))
        over = tuple(subscription for subscription, streams in free.items() if streams)
        return self._ask(over, {stream for streams in free.values() for stream in streams}, ended=True)

    def keepalive(self) -> str | None:
        return None

    def _streams(self, subscription: Subscription) -> list[Stream]:
        market = self._markets.get(subscription.symbol)
        if market is None or market.product != self._product:
            raise ValueError(f"{subscription}: {LABEL} lists no such market of {self._product}")
        names = (_CRYPTO_STREAMS if market.book else _STOCK_STREAMS).get(subscription.channel)
        if names is None or subscription.interval != (INTERVAL if subscription.channel is Channel.CANDLES else None):
            raise ValueError(f"{subscription}: {LABEL} has no such stream")
        return [(name, market.native) for name in names]

    def _ask(self, subscriptions: tuple[Subscription, ...], streams: set[Stream], *, ended: bool) -> list[str]:
        """What is asked for again is not waited for twice."""
        if not subscriptions:
            return []
        again = set(subscriptions)
        self._asked = [ask for ask in self._asked if ask.ended is not ended or not again.issuperset(ask.subscriptions)]
        self._asked.append(_Ask(ended, subscriptions, streams))
        lists: dict[str, list[str]] = {}
        for name, native in sorted(streams):
            lists.setdefault(name, []).append(native)
        return [json.encode({"action": "unsubscribe" if ended else "subscribe", **lists}).decode()]

    # what came

    def parse(self, raw: bytes | str) -> list[Event]:
        frame = raw if isinstance(raw, bytes) else raw.encode("utf-8", "surrogatepass")
        try:
            events = self._events(frame)
        except MALFORMED as error:
            raise ParseError(f"{LABEL}: {error}", raw) from error
        if self._owed:
            events, self._owed = self._owed + events, []
        return events

    def _events(self, frame: bytes) -> list[Event]:
        """Of all messages in one frame. One of an unknown type must not cost us the others; one of a known type that
        cannot be understood does, since it may have changed a book."""
        try:
            return [event for message in _decode(frame) for event in self._understand(message)]
        except ValidationError:
            found: list[Event] = []
            for each in _decode_rows(frame):
                try:
                    message = _decode_message(each)
                except ValidationError:
                    kind = _decode_kind(each).T
                    if kind in _KINDS:
                        raise
                    found.append(Unknown(what=f"type {kind}"))
                else:
                    found += self._understand(message)
            return found

    def _understand(self, message: messages.Message) -> list[Event]:
        match message:
            case messages.Book(S=native) | messages.Quote(S=native):
                market = self._market(native)
                return [] if market is None else self._prices(message, market)
            case messages.Trade(S=native) | messages.Correction(S=native) | messages.Cancel(S=native):
                market = self._market(native)
                return [] if market is None else self._print(message, market.symbol)
            case messages.MinuteBar(S=native) | messages.UpdatedBar(S=native):
                market = self._market(native)
                return [] if market is None else [message.candle(market.symbol, INTERVAL, closed=True)]
            case messages.Subscribed():
                return self._subscribed(message)
            case messages.Error():
                return self._error(message)
            case messages.Success():
                return self._success(message.msg)
        return []

    def _market(self, native: str) -> Market | None:
        """None for one that is not listed."""
        return self._markets.native(self._product, native)

    def _prices(self, message: messages.Book | messages.Quote, market: Market) -> list[Event]:
        if isinstance(message, messages.Book):
            return [message.event(market.symbol)]
        if market.book:
            return [message.bbo(market.symbol)]
        return [message.snapshot(market.symbol), message.bbo(market.symbol)]

    def _print(self, message: messages.Trade | messages.Correction | messages.Cancel, symbol: str) -> list[Event]:
        if isinstance(message, messages.Trade):
            return self._prints.take(symbol, message)
        if isinstance(message, messages.Correction):
            return self._prints.correct(symbol, message)
        return self._prints.cancel(symbol, message)

    def _success(self, said: str) -> list[Event]:
        if said == "authenticated":
            self._logged_in = True
            return [LoggedIn()]
        return []

    def _subscribed(self, message: messages.Subscribed) -> list[Event]:
        """Every question that this state answers is answered."""
        standing = message.streams()
        told: list[Event] = []
        waiting = []
        for ask in self._asked:
            if ask.streams.isdisjoint(standing) if ask.ended else ask.streams <= standing:
                told.append(Ack(subscriptions=ask.subscriptions, ended=ask.ended))
            else:
                waiting.append(ask)
        self._asked = waiting
        return told

    def _error(self, error: messages.Error) -> list[Event]:
        said = f"{error.msg or 'no reason given'} ({error.code})"
        if self._credentials is not None:
            said = self._credentials.cut_from(said)
        if not self._logged_in:
            if error.code in _REFUSED:
                why = _REFUSED[error.code]
                sentence = f"{LABEL} refuses the API key for its market data: {why}. It says: {said}."
                return [Closing(reason=sentence, fatal=True)]
            return [Closing(reason=f"{_AT_LOGIN[error.code]}: {said}" if error.code in _AT_LOGIN else said)]
        if error.code == 403:
            return []  # logged in already: all is well
        if not self._asked or error.code in (407, 500):
            return [Notice(text=f"{LABEL} says: {said}")]  # no market's fault; what is unanswered is asked for again
        ask = self._asked.pop(0)
        if not ask.ended:
            for stream in ask.streams:
                for subscription in ask.subscriptions:
                    self._held.get(stream, {}).pop(subscription, None)
        return [Rejected(subscriptions=ask.subscriptions, reason=said, code=error.code)]
