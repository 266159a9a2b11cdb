"""LMEX's public WebSockets: ``/ws/oss/<product>`` with books and best prices, ``/ws/<product>`` with trades."""

from collections.abc import Callable
from typing import Any, Literal

import msgspec
from aiohttp import web

from feeds.simulator.accounts import Account
from feeds.simulator.faults import Faults
from feeds.simulator.lmex import frames
from feeds.simulator.lmex.frames import BookStream, Printer
from feeds.simulator.market import LiveMarket, Print, Top
from feeds.simulator.sockets import Socket, SocketRules, SocketSet

BOOK_MS = 100
"""A book, and with it its best prices, is published no more often."""
TRADES_SHOWN = 50
_FIRST_SEQ = 600_000
_TRADE_TOPICS = {
    "spot": ("tradeHistoryApi",),
    "futures": ("tradeHistoryApi", "tradeHistoryApiV2", "tradeHistoryApiV3"),
}
Kind = Literal["oss", "main"]


class Connection:
    def __init__(self, server: "LmexSockets", socket: Socket, product: str, kind: Kind, now_s: float) -> None:
        self.server = server
        self.socket = socket
        self.product = product
        self.kind = kind
        self.topics: dict[str, LiveMarket] = {}
        self.pinged_s = now_s
        self.account: Account | None = None  # once it is logged in
        self.private: set[str] = set()  # topics

    def on_text(self, text: str) -> None:
        if text == "ping":
            self.server.pinged(self)
            self.socket.send("pong")
            return
        try:
            message: Any = msgspec.json.decode(text)
        except msgspec.DecodeError:
            message = None
        if not isinstance(message, dict):
            self.socket.send(frames.errors([(None, frames.REQUEST_INVALID)]))
            return
        op, topics = message.get("op"), message.get("args")
        if op == "ping":
            self.server.pinged(self)
            self.socket.send('{"event":"pong"}')
        elif op == "authKeyExpires" and self.kind == "main":
            self.account = self.server.account_of(self.product, topics)
        elif op not in ("subscribe", "unsubscribe"):
            self.socket.send(frames.errors([(None, frames.OPERATION_UNKNOWN)]))
        elif not isinstance(topics, list) or not all(isinstance(topic, str) for topic in topics):
            self.socket.send(frames.errors([(None, frames.REQUEST_INVALID)]))
        else:
            self.server.request(self, op, topics)


class LmexSockets:
    """The servers behind both products and kinds of sockets. ``unknown``: prefixes of topics that this server does not
    have, as older and newer versions of it differ. ``private_topics`` are accepted from everybody, logged in or not;
    ``account_of`` says whose a login is, None if it is nobody's (which is not answered). See ``user``."""

    def __init__(
        self,
        markets: dict[str, dict[str, LiveMarket]],
        rules: SocketRules,
        faults: Faults,
        sockets: SocketSet,
        clock: Callable[[], float],
        clock_ms: Callable[[], int],
    ) -> None:
        self.markets = markets
        self.sockets = sockets
        self.connections: set[Connection] = set()
        self.unknown: set[str] = set()
        self.private_topics: dict[str, tuple[str, ...]] = dict.fromkeys(markets, ())
        self.account_of: Callable[[str, Any], Account | None] = lambda product, login: None
        self.books: dict[LiveMarket, BookStream] = {}
        self.printers = {m: Printer(m.instrument) for of in markets.values() for m in of.values()}
        self._rules = rules
        self._faults = faults
        self._clock = clock
        self._clock_ms = clock_ms
        self._subscribers: dict[LiveMarket, dict[str, set[Connection]]] = {m: {} for m in self.printers}
        self._published_ms: dict[LiveMarket, int] = {}
        self._tops: dict[LiveMarket, Top] = {}

    def routes(self, prefix: str) -> list[web.RouteDef]:
        found = []
        for product in self.markets:
            found.append(web.get(f"{prefix}/ws/{product}", self._handler(product, "main")))
            found.append(web.get(f"{prefix}/ws/oss/{product}", self._handler(product, "oss")))
        return found

    def _handler(self, product: str, kind: Kind) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.StreamResponse:
            if (refusal := self.sockets.refusal(product)) is not None:
                return refusal
            socket = self.sockets.make(self._rules)
            connection = Connection(self, socket, product, kind, self._clock())
            self.connections.add(connection)
            try:
                return await self.sockets.serve(request, socket, connection.on_text)
            finally:
                self.connections.discard(connection)
                for topic, market in connection.topics.items():
                    self._forget(connection, topic, market)

        return handle

    def pinged(self, connection: Connection) -> None:
        connection.pinged_s = self._clock()

    def keep_house(self) -> None:
        """A connection without a ping for so long is dropped."""
        limit_s, now_s = self._rules.idle_s, self._clock()
        for connection in self.connections:
            if limit_s is not None and now_s - connection.pinged_s > limit_s:
                connection.socket.close(1000, "no ping")
        self.sockets.tick()

    # -- requests ------------------------------------------------------------------------------------------------

    def request(self, connection: Connection, op: str, topics: list[str]) -> None:
        """The acknowledgement lists what was accepted; the oss socket also says why the rest was not."""
        if self._faults.strike("lmex", "no_ack", connection.product):
            return
        accepted: dict[str, LiveMarket] = {}
        private: list[str] = []
        refused: list[tuple[str | None, tuple[int, str]]] = []
        for topic in topics:
            if connection.kind == "main" and topic in self.private_topics[connection.product]:
                if not any(topic.startswith(prefix) for prefix in self.unknown):
                    (connection.private.add if op == "subscribe" else connection.private.discard)(topic)
                    private.append(topic)
                continue
            if op == "unsubscribe":
                if (held := connection.topics.pop(topic, None)) is not None:
                    self._forget(connection, topic, held)
                    accepted[topic] = held
                continue
            market = self._market(connection, topic)
            if isinstance(market, LiveMarket):
                accepted[topic] = market
            else:
                refused.append((topic, market))
        connection.socket.send(frames.acknowledgement(op, [*accepted, *private]))
        if refused and connection.kind == "oss":
            connection.socket.send(frames.errors(refused))
        if op == "subscribe":
            for topic, market in accepted.items():
                self._begin(connection, topic, market)

    def _market(self, connection: Connection, topic: str) -> LiveMarket | tuple[int, str]:
        """The market that a topic is of, or why there is no such topic."""
        kind, _, native = topic.partition(":")
        if any(topic.startswith(prefix) for prefix in self.unknown):
            return frames.TOPIC_UNKNOWN
        if connection.kind == "main":
            if kind not in _TRADE_TOPICS[connection.product]:
                return frames.TOPIC_UNKNOWN
        elif kind == "update":
            native, _, group = native.rpartition("_")
            if group != "0":  # coarser groups are not simulated
                return frames.TOPIC_UNKNOWN
        elif kind == "snapshotL1":
            native = native.removesuffix("_0") if connection.product == "futures" else native
        else:
            return frames.TOPIC_UNKNOWN
        market = self.markets[connection.product].get(native)
        if market is None:
            return frames.MARKET_UNKNOWN
        names = (native, market.instrument.symbol)
        return frames.MARKET_UNKNOWN if self._faults.strike("lmex", "reject", connection.product, names) else market

    def _begin(self, connection: Connection, topic: str, market: LiveMarket) -> None:
        now_ms = self._clock_ms()
        if topic.startswith("update:"):
            stream = self.books.get(market)
            if stream is None:
                stream = self.books[market] = BookStream(market, self.printers[market], _FIRST_SEQ)
            else:
                self._publish_book(stream, now_ms)  # the newcomer begins where the others are
            text = stream.snapshot(now_ms)
        elif topic.startswith("snapshotL1:"):
            text = frames.best(topic, market, self.printers[market], now_ms)
        else:
            recent = list(market.recent)[-TRADES_SHOWN:]
            text = frames.trades(topic, market, self.printers[market], recent)
        connection.topics[topic] = market
        self._subscribers[market].setdefault(topic, set()).add(connection)
        if not self._muted(market):
            connection.socket.send(text)

    def _forget(self, connection: Connection, topic: str, market: LiveMarket) -> None:
        subscribers = self._subscribers[market].get(topic, set())
        subscribers.discard(connection)
        if not subscribers:
            self._subscribers[market].pop(topic, None)

    # -- what happened -------------------------------------------------------------------------------------------

    def _muted(self, market: LiveMarket) -> bool:
        i = market.instrument
        fault = self._faults.find("lmex", "mute", i.product, (i.native, i.symbol))
        return fault is not None and fault.value != "private"

    def _publish(self, market: LiveMarket, topic: str, text: str) -> None:
        for connection in self._subscribers[market].get(topic, ()):
            connection.socket.send(text)

    def happened(self, market: LiveMarket, prints: list[Print], tops: list[Top], now_ms: int) -> None:
        """Send what one market did to those who watch it."""
        topics = self._subscribers[market]
        if not topics:
            return
        if now_ms - self._published_ms.get(market, 0) >= BOOK_MS:
            self._published_ms[market] = now_ms
            if f"update:{market.instrument.native}_0" in topics:
                self._publish_book(self.books[market], now_ms)
            self._publish_best(market, now_ms)
        if not prints or self._muted(market):
            return
        for topic in topics:
            if topic.startswith("tradeHistoryApi"):
                self._publish(market, topic, frames.trades(topic, market, self.printers[market], prints))

    def _publish_best(self, market: LiveMarket, now_ms: int) -> None:
        if self._tops.get(market) == market.top or self._muted(market):
            return
        self._tops[market] = market.top
        for topic in self._subscribers[market]:
            if topic.startswith("snapshotL1:"):
                self._publish(market, topic, frames.best(topic, market, self.printers[market], now_ms))

    def _publish_book(self, stream: BookStream, now_ms: int) -> None:
        market, strike = stream.market, self._faults.strike
        i = market.instrument
        names, topic = (i.native, i.symbol), f"update:{i.native}_0"
        if not stream.behind:
            return
        crossed = strike("lmex", "crossed", i.product, names) is not None
        wrong = strike("lmex", "wrong_depth", i.product, names) is not None
        text = stream.advance(now_ms, crossed=crossed, wrong=wrong)
        if self._muted(market) or strike("lmex", "drop_depth", i.product, names):
            return
        if strike("lmex", "garbage", i.product, names):
            self._publish(market, topic, '{"topic":"update:' + i.native + '_0","da')
        self._publish(market, topic, text)
