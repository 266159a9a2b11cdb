"""Kraken Futures' public WebSocket v1: subscriptions, answers and complaints, and what the markets did."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from feeds.simulator.faults import Faults
from feeds.simulator.krakenfutures import frames
from feeds.simulator.krakenfutures.frames import Change, Ladder
from feeds.simulator.krakenfutures.users import User, UserFeeds
from feeds.simulator.market import LiveMarket, Print
from feeds.simulator.sockets import Socket, SocketRules, SocketSet

NAME = "krakenfutures"
PRODUCT = "futures"
_FEEDS = ("book", "ticker", "trade", "heartbeat")
_PRIVATE = ("open_orders", "open_orders_verbose", "open_positions", "balances", "fills", "account_log", "notifications")
TICKER_S = 1.0
BEAT_S = 1.0

Key = tuple[str, str]
"""A subscription: feed and product ("" for heartbeats)."""


class Connection:
    def __init__(self, server: "KrakenFuturesSockets", socket: Socket) -> None:
        self._server = server
        self.socket = socket
        self.keys: dict[Key, None] = {}
        self.user = User(server.users, self.say)

    def on_text(self, text: str) -> None:
        try:
            message = msgspec.json.decode(text)
        except msgspec.DecodeError:
            self.say({"event": "error", "message": "Json Error"})
            return
        if isinstance(message, dict) and message.get("event") == "challenge":
            self.user.challenge(message)
            return
        if not isinstance(message, dict) or message.get("event") not in ("subscribe", "unsubscribe"):
            self.say({"event": "alert", "message": "Bad websocket message"})
            return
        self._server.request(self, message)

    def say(self, body: dict[str, Any]) -> None:
        self.socket.send(msgspec.json.encode(body).decode())


class KrakenFuturesSockets:
    """The server behind ``/ws/v1``. ``halted``: "" or what every ticker tells, "suspended" or "post_only"."""

    def __init__(
        self,
        markets: Mapping[str, LiveMarket],
        rules: SocketRules,
        faults: Faults,
        sockets: SocketSet,
        clock: Callable[[], float],
        clock_ms: Callable[[], int],
        users: UserFeeds,
    ) -> None:
        self.markets = markets
        self.users = users
        self.sockets = sockets
        self.clock_ms = clock_ms
        self.halted = ""
        self.connections: set[Connection] = set()
        self.ladders = {name: Ladder(market, market.engine.update_id) for name, market in markets.items()}
        self._rules = rules
        self._faults = faults
        self._clock = clock
        self._subscribers: dict[Key, set[Connection]] = {}
        self._next_ticker_s = self._next_beat_s = clock()

    def routes(self, prefix: str) -> list[web.RouteDef]:
        return [web.get(f"{prefix}/ws/v1", self._handle)]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if (refusal := self.sockets.refusal("")) is not None:
            return refusal
        socket = self.sockets.make(self._rules)
        connection = Connection(self, socket)
        self.connections.add(connection)
        socket.send(frames.INFO)
        try:
            return await self.sockets.serve(request, socket, connection.on_text)
        finally:
            self.connections.discard(connection)
            connection.user.leave()
            for key in connection.keys:
                self._forget(connection, key)

    # -- requests ------------------------------------------------------------------------------------------------

    def request(self, connection: Connection, message: dict[str, Any]) -> None:
        event, feed, products = message["event"], message.get("feed"), message.get("product_ids", [])
        if feed in _PRIVATE:
            connection.user.request(event, feed, message)
            return
        if feed not in _FEEDS or not isinstance(products, list):
            connection.say({"event": "error", "message": "Invalid feed"})
            return
        if self._faults.strike(NAME, "no_ack"):
            return
        done = []
        for product in products if feed != "heartbeat" else [""]:
            if product and self._faults.strike(NAME, "reject", PRODUCT, self._names(product)):
                connection.say({"event": "error", "message": "Invalid product id"})
            elif product and product not in self.markets:
                said = f"Couldn't {event} to invalid product `{product}`"
                connection.say({"event": "alert", "message": said})
            else:
                done.append(product)
        if not done:
            return
        if event == "subscribe" and any((feed, product) in connection.keys for product in done):
            connection.say({"event": "alert", "message": "Already subscribed to feed, re-requesting"})
        answer: dict[str, Any] = {"event": f"{event}d", "feed": feed}
        connection.say(answer if feed == "heartbeat" else {**answer, "product_ids": done})
        for product in done:
            if event == "subscribe":
                self._begin(connection, (feed, product))
            elif (feed, product) in connection.keys:
                del connection.keys[feed, product]
                self._forget(connection, (feed, product))

    def _names(self, product: str) -> tuple[str, ...]:
        market = self.markets.get(product)
        return (product,) if market is None else (product, market.instrument.symbol)

    def _begin(self, connection: Connection, key: Key) -> None:
        feed, product = key
        now_ms = self.clock_ms()
        if feed == "book":
            self._publish_book(self.ladders[product], now_ms)  # whom it reaches holds the same book as the newcomer
        connection.keys[key] = None
        self._subscribers.setdefault(key, set()).add(connection)
        market = self.markets.get(product)
        if market is None:
            connection.socket.send(frames.heartbeat(now_ms))
        elif self._muted(market):
            return
        elif feed == "book":
            connection.socket.send(frames.book_snapshot(self.ladders[product], now_ms))
        elif feed == "trade":
            connection.socket.send(frames.trade_snapshot(market))
        else:
            connection.socket.send(self._ticker(market, now_ms))

    def _forget(self, connection: Connection, key: Key) -> None:
        subscribers = self._subscribers.get(key, set())
        subscribers.discard(connection)
        if not subscribers:
            self._subscribers.pop(key, None)

    # -- what happened -------------------------------------------------------------------------------------------

    def _muted(self, market: LiveMarket | None) -> bool:
        names = () if market is None else self._names(market.instrument.native)
        fault = self._faults.find(NAME, "mute", PRODUCT, names)
        return fault is not None and fault.value != "private"

    def _publish(self, key: Key, text: str) -> None:
        for connection in self._subscribers.get(key, ()):
            connection.socket.send(text)

    def _ticker(self, market: LiveMarket, now_ms: int) -> str:
        suspended, post_only = self.halted == "suspended", self.halted == "post_only"
        return frames.ticker(market, now_ms, suspended=suspended, post_only=post_only)

    def happened(self, market: LiveMarket, prints: list[Print], now_ms: int) -> None:
        """Send what one market did to those who watch it."""
        native = market.instrument.native
        self._publish_book(self.ladders[native], now_ms)
        if prints and ("trade", native) in self._subscribers and not self._muted(market):
            for row in prints:
                self._publish(("trade", native), frames.trade(market, row))

    def _publish_book(self, ladder: Ladder, now_ms: int) -> None:
        key = ("book", ladder.market.instrument.native)
        changes = ladder.advance()
        if key not in self._subscribers or not changes:
            return
        market, names = ladder.market, self._names(key[1])
        muted = self._muted(market)
        if not muted and self._faults.strike(NAME, "crossed", PRODUCT, names):
            changes.append(ladder.cross())
        for change in changes:
            self._send_change(key, market, change, names, muted=muted, now_ms=now_ms)

    def _send_change(
        self, key: Key, market: LiveMarket, change: Change, names: tuple[str, ...], *, muted: bool, now_ms: int
    ) -> None:
        if muted or self._faults.strike(NAME, "drop_depth", PRODUCT, names):
            return
        if self._faults.strike(NAME, "garbage", PRODUCT, names):
            self._publish(key, '{"feed":"book","product_id":"PF_')
        self._publish(key, frames.book(market, change, now_ms))

    def tick(self, now_ms: int) -> None:
        """Tickers and heartbeats: once a second."""
        now_s = self._clock()
        if now_s >= self._next_ticker_s:
            self._next_ticker_s = now_s + TICKER_S
            for native, market in self.markets.items():
                if ("ticker", native) in self._subscribers and not self._muted(market):
                    self._publish(("ticker", native), self._ticker(market, now_ms))
        if now_s >= self._next_beat_s:
            self._next_beat_s = now_s + BEAT_S
            if not self._muted(None):
                self._publish(("heartbeat", ""), frames.heartbeat(now_ms))
