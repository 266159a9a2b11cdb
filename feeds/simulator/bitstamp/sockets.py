"""Bitstamp's public WebSocket v2: channels, answers, and what the markets did."""

import re
from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from feeds.simulator.bitstamp import frames
from feeds.simulator.faults import Faults
from feeds.simulator.market import LiveMarket, Print, Top
from feeds.simulator.sockets import Socket, SocketRules, SocketSet

LONGEST_MESSAGE = 512
MOST_CHANNELS = 1024
LEAVES_S = 5.0
"""From the request to reconnect to the end: "a few seconds"."""
DEPTH = 100
_BOOK_MS, _DIFF_MS = 100, 500
"""At most so often, as observed: books about ten times a second, differences more rarely."""
_CHANNEL = re.compile(r"(order_book|diff_order_book|detail_order_book|live_trades|live_orders)_([a-z0-9-]{1,30})")


class Connection:
    """One client. It is told what happens in the channels that it named, whether there is such a market or not."""

    def __init__(self, server: "BitstampSockets", socket: Socket) -> None:
        self._server = server
        self.socket = socket
        self.channels: set[str] = set()
        self.ends_s: float | None = None

    def on_text(self, text: str) -> None:
        if len(text.encode()) > LONGEST_MESSAGE:
            self.socket.close(1009, f"read limited at {LONGEST_MESSAGE + 1} bytes")
            return
        try:
            message = msgspec.json.decode(text)
        except msgspec.DecodeError:
            self.socket.send(frames.refused("Incorrect JSON format."))
            return
        self._server.request(self, message)


class _Book:
    """What was told of one market's book. Stamps are of the last change: as long as nothing changes they stay."""

    def __init__(self) -> None:
        self.update_id = -1
        self.micros = 0
        self.told = -1  # update id of the last whole book
        self.phantom: int | None = None  # a bid that a fault made up

    def stamp(self, market: LiveMarket) -> int:
        engine = market.engine
        if engine.update_id != self.update_id:
            self.update_id = engine.update_id
            self.micros = max(self.micros + 1, market.now_ms * 1000 + engine.update_id % 1000)
        return self.micros


class BitstampSockets:
    """The server at ``/bitstamp/ws``."""

    def __init__(
        self,
        markets: dict[str, LiveMarket],
        rules: SocketRules,
        faults: Faults,
        sockets: SocketSet,
        clock: Callable[[], float],
    ) -> None:
        self.markets = markets
        self.sockets = sockets
        self.connections: set[Connection] = set()
        self._rules = rules
        self._faults = faults
        self._clock = clock
        self._subscribers: dict[str, set[Connection]] = {}
        self._books = {native: _Book() for native in markets}
        self._due_ms = {"order_book": 0, "diff_order_book": 0}

    def routes(self, prefix: str) -> list[web.RouteDef]:
        return [web.get(f"{prefix}/ws", self._handle)]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if (refusal := self.sockets.refusal("")) is not None:
            return refusal
        connection = Connection(self, self.sockets.make(self._rules))
        self.connections.add(connection)
        try:
            return await self.sockets.serve(request, connection.socket, connection.on_text)
        finally:
            self.connections.discard(connection)
            for channel in list(connection.channels):
                self._leave(connection, channel)

    def stamp(self, native: str) -> int:
        """Microseconds of the last change of this market's book."""
        return self._books[native].stamp(self.markets[native])

    # -- requests ------------------------------------------------------------------------------------------------

    def request(self, connection: Connection, message: Any) -> None:
        event = message.get("event") if isinstance(message, dict) else None
        if event == "bts:heartbeat":
            if not self._muted(""):
                connection.socket.send(frames.HEARTBEAT)
            return
        data = message.get("data") if isinstance(message, dict) else None
        channel = data.get("channel") if isinstance(data, dict) else None
        if event not in ("bts:subscribe", "bts:unsubscribe") or not isinstance(channel, str):
            connection.socket.send(frames.refused("Bad subscription string."))
            return
        if self._faults.strike("bitstamp", "no_ack"):
            return
        named = _CHANNEL.fullmatch(channel)
        if named is None or self._faults.strike("bitstamp", "reject", "", self._names(named[2])):
            connection.socket.send(frames.refused("Invalid channel provided."))
        elif event == "bts:subscribe":
            self._join(connection, channel)
        else:
            self._leave(connection, channel)
            connection.socket.send(frames.confirmed("unsubscription_succeeded", channel))

    def _join(self, connection: Connection, channel: str) -> None:
        if len(connection.channels | {channel}) > MOST_CHANNELS:
            connection.socket.close(1000, "")
            return
        connection.channels.add(channel)
        self._subscribers.setdefault(channel, set()).add(connection)
        connection.socket.send(frames.confirmed("subscription_succeeded", channel))

    def _leave(self, connection: Connection, channel: str) -> None:
        connection.channels.discard(channel)
        subscribers = self._subscribers.get(channel, set())
        subscribers.discard(connection)
        if not subscribers:
            self._subscribers.pop(channel, None)

    # -- what happened -------------------------------------------------------------------------------------------

    def _names(self, native: str) -> tuple[str, ...]:
        """What a fault may call this market."""
        market = self.markets.get(native)
        return (native,) if market is None else (native, market.instrument.symbol)

    def _muted(self, native: str) -> bool:
        """``native`` "": everything is."""
        fault = self._faults.find("bitstamp", "mute", "", self._names(native))
        return fault is not None and fault.value != "private" and (bool(native) or not fault.symbol)

    def _publish(self, channel: str, native: str, text: str) -> None:
        if not self._muted(native):
            for connection in self._subscribers.get(channel, ()):
                connection.socket.send(text)

    def happened(self, market: LiveMarket, prints: list[Print], tops: list[Top], now_ms: int) -> None:
        native = market.instrument.native
        channel = f"live_trades_{native}"
        if channel in self._subscribers:
            for row in prints:
                self._publish(channel, native, frames.trade(market, row))

    def tick(self, now_ms: int) -> None:
        for kind, period_ms, publish in (
            ("order_book", _BOOK_MS, self._whole),
            ("diff_order_book", _DIFF_MS, self._difference),
        ):
            if now_ms < self._due_ms[kind]:
                continue
            self._due_ms[kind] = (now_ms // period_ms + 1) * period_ms
            for native, market in self.markets.items():
                if f"{kind}_{native}" in self._subscribers:
                    publish(f"{kind}_{native}", market)

    def _whole(self, channel: str, market: LiveMarket) -> None:
        """The best hundred levels, if anything changed."""
        native, engine = market.instrument.native, market.engine
        book = self._books[native]
        if book.told == engine.update_id:
            return
        book.told = engine.update_id
        bids, asks, micros = engine.bids.top(DEPTH), engine.asks.top(DEPTH), book.stamp(market)
        names = self._names(native)
        if self._faults.strike("bitstamp", "drop_depth", "", names):
            return
        best_ask = engine.asks.best()
        if best_ask is not None and self._faults.strike("bitstamp", "crossed", "", names):
            bids = [(best_ask + 5, 1), *bids]
            book.told = -1  # the next message takes it back
        if self._faults.strike("bitstamp", "garbage", "", names):
            self._publish(channel, native, '{"data":{"timestamp":"17894')
        self._publish(channel, native, frames.book(market, channel, bids, asks, micros))

    def _difference(self, channel: str, market: LiveMarket) -> None:
        """What changed in the whole book since the last one."""
        changes = market.engine.drain()
        if changes is not None:
            native = market.instrument.native
            text = frames.book(market, channel, changes.bids, changes.asks, self.stamp(native))
            self._publish(channel, native, text)

    # -- the end -------------------------------------------------------------------------------------------------

    def shut_down(self) -> None:
        """Everybody is asked to connect anew, and closed some seconds later."""
        for connection in self.connections:
            connection.socket.send(frames.RECONNECT)
            connection.ends_s = self._clock() + LEAVES_S

    def keep_house(self) -> None:
        for connection in list(self.connections):
            if connection.ends_s is not None and self._clock() > connection.ends_s:
                connection.socket.close(1001, "")
        self.sockets.tick()
