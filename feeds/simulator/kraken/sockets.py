"""Kraken's public WebSocket v2: subscriptions, replies, and what the markets did."""

from collections.abc import Callable
from itertools import count
from typing import Any

import msgspec
from aiohttp import web

from feeds.simulator.faults import Faults
from feeds.simulator.kraken import frames
from feeds.simulator.kraken.frames import Window
from feeds.simulator.market import LiveMarket, Print, Top
from feeds.simulator.sockets import Socket, SocketRules, SocketSet

DEPTHS = (10, 25, 100, 500, 1000)
INTERVALS = (1, 5, 15, 30, 60, 240, 1440, 10080, 21600)
_CHANNELS = ("book", "ticker", "trade", "ohlc", "instrument")

Key = tuple[str, str, int | str]
"""A subscription: channel, symbol, and depth, interval, trigger or ""."""


class Refused(Exception):
    """The request cannot be carried out; the text is Kraken's."""


class Connection:
    def __init__(self, server: "KrakenSockets", socket: Socket, number: int) -> None:
        self._server = server
        self.socket = socket
        self.number = number
        self.keys: dict[Key, None] = {}

    def on_text(self, text: str) -> None:
        server, now_ms = self._server, self._server.clock_ms()
        try:
            message = msgspec.json.decode(text)
        except msgspec.DecodeError:
            message = None
        if not isinstance(message, dict) or not isinstance(message.get("method"), str):
            self.reply(frames.rejection("error", "Malformed request", None, None, now_ms))
            return
        method, req_id, params = message["method"], message.get("req_id"), message.get("params")
        if method == "ping":
            stamps = {"time_in": frames.stamp(now_ms), "time_out": frames.stamp(now_ms)}
            self.reply({"method": "pong", **({} if req_id is None else {"req_id": req_id}), **stamps})
        elif method in ("subscribe", "unsubscribe") and isinstance(params, dict):
            server.request(self, method, params, req_id)
        else:
            self.reply(frames.rejection("error", "Malformed request", None, req_id, now_ms))

    def reply(self, body: dict[str, Any]) -> None:
        self.socket.send(msgspec.json.encode(body).decode())


class KrakenSockets:
    """The server behind ``/v2``."""

    def __init__(
        self,
        markets: dict[str, LiveMarket],
        rules: SocketRules,
        faults: Faults,
        sockets: SocketSet,
        clock: Callable[[], float],
        clock_ms: Callable[[], int],
    ) -> None:
        self.markets = markets
        self.clock_ms = clock_ms
        self.system = "online"
        self.sockets = sockets
        self.connections: set[Connection] = set()
        self._rules = rules
        self._faults = faults
        self._clock = clock
        self._subscribers: dict[Key, set[Connection]] = {}
        self._windows: dict[tuple[str, int], Window] = {}
        self._numbers = count(12393906104898154338)

    def routes(self, prefix: str) -> list[web.RouteDef]:
        return [web.get(f"{prefix}/v2", self._handle)]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if (refusal := self.sockets.refusal("")) is not None:
            return refusal
        socket = self.sockets.make(self._rules)
        connection = Connection(self, socket, next(self._numbers))
        self.connections.add(connection)
        socket.send(frames.status(self.system, connection.number))
        try:
            return await self.sockets.serve(request, socket, connection.on_text)
        finally:
            self.connections.discard(connection)
            for key in connection.keys:
                self._forget(connection, key)

    def set_system(self, system: str) -> None:
        """Tell everybody the exchange's status: online, cancel_only, maintenance, post_only."""
        self.system = system
        for connection in self.connections:
            connection.socket.send(frames.status(system, connection.number))

    # -- requests ------------------------------------------------------------------------------------------------

    def request(self, connection: Connection, method: str, params: dict[str, Any], req_id: Any) -> None:
        now_ms = self.clock_ms()
        channel = params.get("channel")
        symbols = params.get("symbol", [])
        if channel not in _CHANNELS or not isinstance(symbols, list) or (not symbols and channel != "instrument"):
            connection.reply(frames.rejection("error", "Malformed request", None, req_id, now_ms))
            return
        if self._faults.strike("kraken", "no_ack"):
            return
        for symbol in symbols or [""]:
            try:
                if self._faults.strike("kraken", "reject", "", (str(symbol),)):
                    raise Refused("EService:Unavailable")
                self._one(connection, method, channel, symbol, params, req_id)
            except Refused as error:
                connection.reply(frames.rejection(method, str(error), symbol or None, req_id, now_ms))

    def _one(
        self, connection: Connection, method: str, channel: str, symbol: Any, params: dict[str, Any], req_id: Any
    ) -> None:
        if channel != "instrument" and symbol not in self.markets:
            raise Refused(f"Currency pair not supported {symbol}")
        key: Key = (channel, symbol, _detail(channel, params))
        now_ms = self.clock_ms()
        result: dict[str, Any] = {"channel": channel}
        if symbol:
            result["symbol"] = symbol
        if channel == "book":
            result["depth"] = key[2]
        elif channel == "ohlc":
            result["interval"] = key[2]
        elif channel == "ticker":
            result["event_trigger"] = key[2]
        if method == "unsubscribe":
            if key not in connection.keys:
                raise Refused("Subscription not found")
            del connection.keys[key]
            self._forget(connection, key)
        else:
            if any(held[:2] == key[:2] and (channel == "book" or held == key) for held in connection.keys):
                raise Refused("Already subscribed")
            result["snapshot"] = bool(params.get("snapshot", channel != "trade"))
            if channel == "instrument":
                result["warnings"] = ["tick_size is deprecated, use price_increment"]
        body: dict[str, Any] = {"method": method, "result": result, "success": True}
        body |= {"time_in": frames.stamp(now_ms), "time_out": frames.stamp(now_ms)}
        connection.reply(body if req_id is None else {**body, "req_id": req_id})
        if method == "subscribe":
            self._begin(connection, key, snapshot=result["snapshot"])

    def _begin(self, connection: Connection, key: Key, *, snapshot: bool) -> None:
        channel, symbol, detail = key
        market, now_ms = self.markets.get(symbol), self.clock_ms()
        text: str | None = None
        if channel == "instrument":
            text = frames.instrument(list(self.markets.values()))
        elif market is None:
            raise RuntimeError(f"subscribed to an unknown market {symbol}")
        elif channel == "book" and isinstance(detail, int):
            window = self._windows.get((symbol, detail))
            if window is None:
                window = self._windows[symbol, detail] = Window(market, detail)
            else:
                self._publish_window(window, now_ms)  # whom it reaches holds the same window as the newcomer
            text = window.snapshot(now_ms)
        elif channel == "ticker":
            text = frames.ticker(market, "snapshot", now_ms)
        elif channel == "trade":
            text = frames.trades(market, "snapshot", list(market.recent)[-50:])
        elif isinstance(detail, int):
            market.candles.series(detail * 60_000)
            market.candles.roll(now_ms)
            text = frames.ohlc(market, "snapshot", detail, market.candles.series(detail * 60_000)[-12:], now_ms)
        connection.keys[key] = None
        self._subscribers.setdefault(key, set()).add(connection)
        if snapshot and text is not None and not (market is not None and self._muted(market)):
            connection.socket.send(text)

    def _forget(self, connection: Connection, key: Key) -> None:
        subscribers = self._subscribers.get(key, set())
        subscribers.discard(connection)
        if not subscribers:
            self._subscribers.pop(key, None)
            if key[0] == "book" and isinstance(key[2], int):
                self._windows.pop((key[1], key[2]), None)

    # -- what happened -------------------------------------------------------------------------------------------

    def _muted(self, market: LiveMarket) -> bool:
        fault = self._faults.find("kraken", "mute", "", (market.instrument.native,))
        return fault is not None and fault.value != "private"

    def _publish(self, key: Key, text: str) -> None:
        for connection in self._subscribers.get(key, ()):
            connection.socket.send(text)

    def happened(self, market: LiveMarket, prints: list[Print], tops: list[Top], now_ms: int) -> None:
        """Send what one market did to those who watch it."""
        symbol = market.instrument.native
        for depth in DEPTHS:
            window = self._windows.get((symbol, depth))
            if window is not None:
                self._publish_window(window, now_ms)
        if self._muted(market):
            return
        if tops and ("ticker", symbol, "bbo") in self._subscribers:
            self._publish(("ticker", symbol, "bbo"), frames.ticker(market, "update", now_ms))
        if not prints:
            return
        if ("ticker", symbol, "trades") in self._subscribers:
            self._publish(("ticker", symbol, "trades"), frames.ticker(market, "update", now_ms))
        if ("trade", symbol, "") in self._subscribers:
            self._publish(("trade", symbol, ""), frames.trades(market, "update", prints))
        for minutes in INTERVALS:
            key: Key = ("ohlc", symbol, minutes)
            if key in self._subscribers:
                bars = market.candles.series(minutes * 60_000)[-1:]
                self._publish(key, frames.ohlc(market, "update", minutes, bars, now_ms))

    def _publish_window(self, window: Window, now_ms: int) -> None:
        changes = window.advance()
        if changes is None:
            return
        market = window.market
        bids, asks, check = changes
        names = (market.instrument.native,)
        if self._muted(market) or self._faults.strike("kraken", "drop_depth", "", names):
            return
        if self._faults.strike("kraken", "bad_checksum", "", names):
            check ^= 0x5A5A5A5A
        if self._faults.strike("kraken", "crossed", "", names):
            bids, check = window.cross(bids, asks)
        key: Key = ("book", market.instrument.native, window.depth)
        if self._faults.strike("kraken", "garbage", "", names):
            self._publish(key, '{"channel":"book","type":"upd')
        self._publish(key, frames.book(market, "update", bids, asks, check, now_ms))

    def tick(self) -> None:
        """Heartbeats: about once a second to who has a subscription and got nothing else."""
        if (fault := self._faults.find("kraken", "mute")) is not None and not fault.symbol:
            return
        now_s = self._clock()
        for connection in self.connections:
            if connection.keys and now_s - connection.socket.sent_s >= 1.0:
                connection.socket.send(frames.HEARTBEAT)


def _detail(channel: str, params: dict[str, Any]) -> int | str:
    """Depth of a book, interval of candles, trigger of a ticker. Raises Refused."""
    if channel == "book":
        depth = params.get("depth", 10)
        if depth not in DEPTHS:
            raise Refused("Subscription depth not supported")
        return int(depth)
    if channel == "ohlc":
        interval = params.get("interval", 1)
        if interval not in INTERVALS:
            raise Refused("Subscription ohlc interval not supported")
        return int(interval)
    if channel == "ticker":
        trigger = params.get("event_trigger", "trades")
        if trigger not in ("trades", "bbo"):
            raise Refused("Event trigger not supported")
        return str(trigger)
    return ""
