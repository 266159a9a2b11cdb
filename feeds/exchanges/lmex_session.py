"""One connection of LMEX's streams: what to ask for, and what the frames mean. The facts are in ``lmex.py``."""

import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, ValidationError, json

from feeds.domain import (
    Ack,
    BookDelta,
    BookSnapshot,
    Channel,
    Closing,
    Event,
    Heartbeat,
    Notice,
    Rejected,
    Subscription,
    Unknown,
)
from feeds.errors import ParseError
from feeds.exchange import MarketIndex
from feeds.exchanges import lmex_messages as messages
from feeds.exchanges.lmex_messages import MALFORMED, Contract

SNAPSHOT_LEVELS = 50
NO_REASON = "it is missing in the acknowledgement, so it was refused"
TOPICS_PER_MESSAGE = 20

_OLD_PERPETUAL = re.compile(r"([A-Z0-9]+)PFC", re.ASCII)
_PONGS = (b"pong", b"ping")
_SIGNS_OF_LIFE = ("pong", "ping")
_NOT_USED = ("orderBookApi", "orderBookL2Api")
"""Withdrawn topics with full books that have no sequence numbers."""

_MARKET_UNKNOWN, _TOPIC_UNKNOWN, _BUFFER_FULL, _TOO_MANY_FAILURES = 1000, 1005, 1007, 1008

_decode_book_frame = json.Decoder(messages.BookFrame, strict=False).decode
_decode_frame = json.Decoder(messages.Frame, strict=False).decode
_decode_book = json.Decoder(messages.Book, strict=False).decode
_decode_best = json.Decoder(messages.Best, strict=False).decode
_decode_trades = json.Decoder(list[messages.Trade], strict=False).decode


class Topics:
    """How streams are called, and which of several names the exchange was found to know.

    ``names``: by product and channel, patterns such as ``update:{market}_0``, the best first. Shared by the sessions
    of an adapter, so that only the first one has to try.
    """

    def __init__(self, names: Mapping[tuple[str, Channel], tuple[str, ...]]) -> None:
        self._names = names
        self._known: dict[tuple[str, Channel], int] = {}

    def has(self, product: str, channel: Channel) -> bool:
        return (product, channel) in self._names

    def count(self, product: str, channel: Channel) -> int:
        return len(self._names[product, channel])

    def first(self, product: str, channel: Channel) -> int:
        """The number of the name to begin with."""
        return self._known.get((product, channel), 0)

    def name(self, product: str, channel: Channel, number: int, native: str) -> str:
        return self._names[product, channel][number].replace("{market}", native)

    def accepted(self, product: str, channel: Channel, number: int) -> None:
        self._known[product, channel] = number

    def forget(self, product: str, channel: Channel) -> None:
        self._known.pop((product, channel), None)


class _Ask(Struct):
    """A message that waits for its answer: its topics."""

    ended: bool
    waiting: dict[str, Subscription]


def old_name(native: str) -> str:
    """``BTCPFC`` is what ``BTC-PERP`` was called, and still is on some topics; any other name stays."""
    match = _OLD_PERPETUAL.fullmatch(native)
    return f"{match[1]}-PERP" if match else native


class LmexSession:
    """One connection of one product. Every frame is understood on every route.

    ``alive``: what the exchange answers to a ping proves the whole connection (of trades, which may be rare); a book's
    silence is asked about by REST instead.
    """

    def __init__(self, product: str, markets: MarketIndex, topics: Topics, *, ping: str, alive: bool) -> None:
        self._product = product
        self._markets = markets
        self._topics = topics
        self._ping = ping
        self._alive: list[Event] = [Heartbeat()] if alive else []
        self._contracts: dict[str, Contract] = {}  # by the name that came, of this version of the list:
        self._version = markets.version
        self._asked: deque[_Ask] = deque()  # oldest first
        self._missing: dict[str, Subscription] = {}  # in the last acknowledgement, by topic
        self._trying: dict[Subscription, int] = {}  # which of its names a subscription is asked for by

    # what to send

    def opening(self) -> list[str]:
        return []

    def keepalive(self) -> str | None:
        return self._ping

    def subscribe(self, subscriptions: Sequence[Subscription]) -> list[str]:
        """Raises ValueError for a market that is not listed, or a stream that it does not have."""
        return self._ask("subscribe", subscriptions)

    def unsubscribe(self, subscriptions: Sequence[Subscription]) -> list[str]:
        return self._ask("unsubscribe", subscriptions)

    def _ask(self, op: str, subscriptions: Sequence[Subscription]) -> list[str]:
        wanted = {self._topic(subscription): subscription for subscription in subscriptions}
        for ask in self._asked:  # what is asked for again is not waited for twice
            ask.waiting = {topic: s for topic, s in ask.waiting.items() if s not in subscriptions}
        topics, sent = list(wanted), []
        for start in range(0, len(topics), TOPICS_PER_MESSAGE):
            part = topics[start : start + TOPICS_PER_MESSAGE]
            self._asked.append(_Ask(op == "unsubscribe", {topic: wanted[topic] for topic in part}))
            sent.append(json.encode({"op": op, "args": part}).decode())
        return sent

    def _topic(self, subscription: Subscription) -> str:
        market, channel = self._markets.get(subscription.symbol), subscription.channel
        if market is None or market.product != self._product:
            raise ValueError(f"{subscription}: LMEX lists no such market under {self._product}")
        if not self._topics.has(self._product, channel):
            raise ValueError(f"{subscription}: LMEX has no such stream")
        number = self._trying.setdefault(subscription, self._topics.first(self._product, channel))
        return self._topics.name(self._product, channel, number, market.native)

    # what came

    def parse(self, raw: bytes | str) -> list[Event]:
        """What an acknowledgement leaves out is refused with the next frame, which may be the error that says why."""
        if not self._missing:
            return self._events(raw)
        before = list(self._missing)
        events = self._events(raw)
        refused = [self._missing.pop(topic) for topic in before if topic in self._missing]
        return [*events, *self._rejected(refused, NO_REASON)]

    def _events(self, raw: bytes | str) -> list[Event]:
        frame = raw if isinstance(raw, bytes) else raw.encode("utf-8", "surrogatepass")
        try:
            if frame.startswith(b'{"topic":"update:'):  # by far the most
                book = _decode_book_frame(frame)
                return self._book(book.data, book.topic)
            if frame in _PONGS:  # text, not JSON
                return self._alive
            return self._any(_decode_frame(frame))
        except MALFORMED as error:
            raise ParseError(f"LMEX {self._product}: {error}", raw) from error

    def _any(self, frame: messages.Frame) -> list[Event]:
        if frame.topic is not None:
            return self._data(frame, frame.topic)
        if frame.errors:
            return [event for refusal in frame.errors for event in self._refusal(refusal)]
        if frame.event in _SIGNS_OF_LIFE or frame.op in _SIGNS_OF_LIFE:
            return self._alive
        if frame.event in ("subscribe", "unsubscribe"):
            return self._answered(frame.channel, ended=frame.event == "unsubscribe")
        code = next((code for code in (frame.code, frame.errorCode, frame.status) if code is not None), None)
        if code is not None:
            return self._refusal(messages.Refusal(messages.ErrorCode(code, frame.message or frame.msg or "")))
        raise ValidationError("neither data nor an answer")

    def _data(self, frame: messages.Frame, topic: str) -> list[Event]:
        if topic.startswith("update:"):
            return self._book(_decode_book(frame.data), topic)
        if topic.startswith("snapshotL1:"):
            best = _decode_best(frame.data)
            contract = self._contract(best.symbol)
            return [] if contract is None else [best.event(contract)]
        if topic.startswith("tradeHistoryApi"):
            return self._trades(_decode_trades(frame.data))
        if topic.startswith(_NOT_USED):
            return []
        return [Unknown(what=f"topic {topic.partition(':')[0]}")]

    def _forget_contracts(self) -> None:
        """The list of instruments is another one: a contract may have another size now."""
        self._contracts.clear()
        self._version = self._markets.version

    def _contract(self, native: str) -> Contract | None:
        """What its sizes mean, if the market is known under this name, or the new form of it."""
        if self._version != self._markets.version:
            self._forget_contracts()
        known = self._contracts.get(native)
        if known is None:
            market = self._markets.native(self._product, old_name(native))
            if market is not None:
                known = self._contracts[native] = Contract(market.symbol, market.contract_size)
        return known

    def _book(self, book: messages.Book, topic: str) -> list[Event]:
        """A book of coarser groups (``_1`` to ``_8``) is none of ours. The topic of changes may lack its end."""
        if self._version != self._markets.version:
            self._forget_contracts()
        contract = self._contracts.get(book.symbol) or self._contract(book.symbol)
        if contract is None or (topic[-2:-1] == "_" and topic[-1] in "12345678"):
            return []
        bids, asks = contract.levels(book.bids), contract.levels(book.asks)
        if book.type == "snapshot":
            return [
                BookSnapshot(
                    symbol=contract.symbol,
                    bids=bids,
                    asks=asks,
                    seq=book.seqNum,
                    depth=SNAPSHOT_LEVELS,
                    exchange_ms=book.timestamp,
                )
            ]
        if book.prevSeqNum >= book.seqNum:
            raise ValidationError(f"{topic}: an update from {book.prevSeqNum} to {book.seqNum}")
        return [
            BookDelta(
                symbol=contract.symbol,
                bids=bids,
                asks=asks,
                prev=book.prevSeqNum,
                seq=book.seqNum,
                chained=True,
                exchange_ms=book.timestamp,
            )
        ]

    def _trades(self, rows: list[messages.Trade]) -> list[Event]:
        """Newest first in one frame; told oldest first."""
        events: list[Event] = []
        for row in sorted(rows, key=lambda row: row.tradeId):
            contract = self._contract(row.symbol)
            if contract is not None:
                events.append(row.event(contract))
        return events

    # answers

    def _answered(self, channel: Iterable[str], *, ended: bool) -> list[Event]:
        """An acknowledgement has no number: it is of the messages that it has topics of, an empty one of the oldest
        (whose topics errors may have named before). What a message asked for and its answer leaves out was refused."""
        topics = set(channel)
        about = [ask for ask in self._asked if ask.ended is ended and topics & ask.waiting.keys()]
        if not topics:
            about = [ask for ask in self._asked if ask.ended is ended][:1]
        events: list[Event] = []
        for ask in about:
            while self._asked and (self._asked[0] is ask or not self._asked[0].waiting):
                if self._asked.popleft() is ask:
                    break
            else:
                self._asked.remove(ask)
            accepted = [s for topic, s in ask.waiting.items() if topic in topics or ended]
            if accepted:
                events.append(Ack(subscriptions=tuple(accepted), ended=ended))
            if not ended:
                self._remember(accepted)
                self._missing |= {topic: s for topic, s in ask.waiting.items() if topic not in topics}
        return events

    def _remember(self, accepted: Iterable[Subscription]) -> None:
        for subscription in accepted:
            self._topics.accepted(self._product, subscription.channel, self._trying.get(subscription, 0))

    def _rejected(self, subscriptions: Sequence[Subscription], reason: str, code: int | None = None) -> list[Event]:
        """A stream that has other names is asked for by the next one, unless it is the market that is unknown."""
        again, refused = [], []
        for subscription in subscriptions:
            number = self._trying.get(subscription, 0) + 1
            other = number < self._topics.count(self._product, subscription.channel)
            if other and code in (None, _TOPIC_UNKNOWN):
                self._trying[subscription] = number
                again.append(subscription)
            else:
                self._trying.pop(subscription, None)
                self._topics.forget(self._product, subscription.channel)
                refused.append(subscription)
        events: list[Event] = []
        if again:
            events.append(Rejected(subscriptions=tuple(again), reason=reason, code=code, again=True))
        if refused:
            events.append(Rejected(subscriptions=tuple(refused), reason=reason, code=code))
        return events

    def _refusal(self, refusal: messages.Refusal) -> list[Event]:
        """Errors name the topic, or are about a whole message: then the oldest that waits."""
        code, reason = refusal.error.code, f"{refusal.error.message or 'no reason given'} ({refusal.error.code})"
        if code == _BUFFER_FULL:
            return [Closing(reason=f"we read too slowly: {reason}")]
        if code == _TOO_MANY_FAILURES:
            return [Closing(reason=f"too many failed attempts: {reason}")]
        if refusal.arg is not None:
            if (subscription := self._missing.pop(refusal.arg, None)) is not None:
                return self._rejected([subscription], reason, code)
            for ask in self._asked:
                if (subscription := ask.waiting.pop(refusal.arg, None)) is not None:
                    if ask.ended:
                        return [Ack(subscriptions=(subscription,), ended=True)]  # there is nothing to end
                    return self._rejected([subscription], reason, code)
            return [Notice(text=f"LMEX says of {refusal.arg[:80]}: {reason}")]
        oldest = next((ask for ask in self._asked if ask.waiting), None)
        if oldest is None:
            return [Notice(text=f"LMEX says: {reason}")]
        self._asked.remove(oldest)
        if oldest.ended:
            return [Ack(subscriptions=tuple(oldest.waiting.values()), ended=True)]
        return self._rejected(list(oldest.waiting.values()), reason, code)
