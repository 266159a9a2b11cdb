"""Coinbase's Advanced Trade market data: subscriptions, the numbering of each connection, and what the markets did."""

from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from feeds.simulator.candles import MINUTE
from feeds.simulator.coinbase import frames
from feeds.simulator.coinbase.listing import alias_of
from feeds.simulator.faults import Faults
from feeds.simulator.market import LiveMarket, Print, Top
from feeds.simulator.sockets import Socket, SocketRules, SocketSet

CHANNELS = ("level2", "ticker", "ticker_batch", "market_trades", "candles", "status")
"""Those of products; ``heartbeats`` has none."""
HEARTBEATS = "heartbeats"
CANDLE_MS = 5 * MINUTE
_PERIODS_MS = {"level2": 50, "market_trades": 250, "ticker": 250, "candles": 1000, "ticker_batch": 5000}
_FIRST_S = 5.0
"""Who subscribes to nothing for so long after connecting is closed."""
_SNAPSHOT_ROWS = 100
_ANY_TIME = "1970-01-01T00:00:00Z"

Key = tuple[str, str]
"""A subscription: channel and product."""


class Refused(Exception):
    """The message cannot be carried out; the text is Coinbase's."""


class Connection:
    """One client. Everything it is sent as data, or as an answer, has the next number."""

    def __init__(self, server: "CoinbaseSockets", socket: Socket) -> None:
        self._server = server
        self.socket = socket
        self.keys: dict[Key, None] = {}
        self.heartbeats = False
        self.asked = False
        self.number = 0
        self.beat_s = float("-inf")

    def on_text(self, text: str) -> None:
        if not self._server.admits():
            self.socket.close(1008, "rate limit exceeded")
            return
        try:
            message = msgspec.json.decode(text)
            if not isinstance(message, dict):
                raise Refused("invalid message")
            self._server.request(self, message)
        except (Refused, msgspec.DecodeError) as error:
            reason = str(error) if isinstance(error, Refused) else "invalid message"
            self.socket.send(msgspec.json.encode({"type": "error", "message": reason}).decode())

    def deliver(self, channel: str, events: str, now_ms: int) -> None:
        self.socket.send(frames.envelope(channel, self.number, now_ms, events))
        self.number += 1

    def subscriptions(self) -> str:
        found: dict[str, list[str]] = {}
        for channel, product in self.keys:
            found.setdefault(channel, []).append(product)
        if self.heartbeats:
            found[HEARTBEATS] = [HEARTBEATS]
        return msgspec.json.encode({"subscriptions": dict(sorted(found.items()))}).decode()


class CoinbaseSockets:
    """The server at ``/coinbase/ws``."""

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
        self.by_name = markets | {
            alias: market for native, market in markets.items() if (alias := alias_of(native)) is not None
        }
        self.clock_ms = clock_ms
        self.sockets = sockets
        self.connections: set[Connection] = set()
        self._rules = rules
        self._faults = faults
        self._clock = clock
        self._subscribers: dict[Key, set[Connection]] = {}
        self._incoming: deque[float] = deque()
        self._due_ms = dict.fromkeys(_PERIODS_MS, 0)
        self._traded: dict[str, list[Print]] = {}  # by product: not told yet
        self._stirred: dict[str, set[str]] = {name: set() for name in ("ticker", "ticker_batch", "candles")}
        self._phantoms: dict[str, int] = {}  # by product: a bid that a fault made up, to be taken back
        self._began_s = clock()

    def routes(self, prefix: str) -> list[web.RouteDef]:
        return [web.get(f"{prefix}/ws", self._handle)]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if (refusal := self.sockets.refusal("")) is not None:
            return refusal
        socket = self.sockets.make(self._rules)
        connection = Connection(self, socket)
        self.connections.add(connection)
        try:
            return await self.sockets.serve(request, socket, connection.on_text)
        finally:
            self.connections.discard(connection)
            for key in connection.keys:
                self._forget(connection, key)

    def admits(self) -> bool:
        """Count a message of the address, over all its connections; False if it is one too many."""
        limit, now_s = self._rules.messages_per_s, self._clock()
        self._incoming.append(now_s)
        while self._incoming[0] <= now_s - 1:
            self._incoming.popleft()
        return limit is None or len(self._incoming) <= limit

    # -- requests ------------------------------------------------------------------------------------------------

    def request(self, connection: Connection, message: dict[str, Any]) -> None:
        """Carry it out whole, or not at all."""
        kind, channel, products = message.get("type"), message.get("channel"), message.get("product_ids", [])
        if kind not in ("subscribe", "unsubscribe") or not isinstance(products, list):
            raise Refused("invalid message")
        if self._faults.strike("coinbase", "no_ack"):
            return
        names = tuple(map(str, products))
        if self._faults.strike("coinbase", "reject", "", names):
            raise Refused("failure to subscribe")
        now_ms = self.clock_ms()
        if channel == HEARTBEATS:
            connection.heartbeats = kind == "subscribe"
        elif channel not in CHANNELS:
            raise Refused("authentication failure")  # the misleading text for a channel that does not exist
        elif kind == "subscribe":
            if not names or any(name not in self.by_name for name in names):
                raise Refused("failure to subscribe")
            for product in dict.fromkeys(self.by_name[name].instrument.native for name in names):
                self._begin(connection, (channel, product), now_ms)
        else:
            ended = {self.by_name[name].instrument.native for name in names if name in self.by_name}
            for key in [key for key in connection.keys if key[0] == channel and (not names or key[1] in ended)]:
                del connection.keys[key]
                self._forget(connection, key)
        connection.asked = True
        connection.deliver("subscriptions", connection.subscriptions(), now_ms)

    def _begin(self, connection: Connection, key: Key, now_ms: int) -> None:
        """The snapshot comes before the answer. Who has the subscription already gets none."""
        channel, product = key
        if key in connection.keys:
            return
        market = self.markets[product]
        if channel == "level2":
            self._publish_book(product, now_ms)  # to the others, who go on from where the newcomer begins
            engine = market.engine
            everything = max(len(engine.bids.totals), len(engine.asks.totals))
            events = frames.book(
                market, "snapshot", engine.bids.top(everything), engine.asks.top(everything), _ANY_TIME
            )
        elif channel == "market_trades":
            self._publish_trades(product, now_ms)
            events = frames.trades(market, "snapshot", list(market.recent)[-_SNAPSHOT_ROWS:])
        elif channel == "candles":
            market.candles.series(CANDLE_MS)
            market.candles.roll(now_ms)
            events = frames.candles(market, "snapshot", market.candles.series(CANDLE_MS)[-_SNAPSHOT_ROWS:])
        elif channel == "status":
            events = msgspec.json.encode({"type": "snapshot", "products": [_status(market)]}).decode()
        else:
            events = frames.ticker(market, "snapshot", batch=channel == "ticker_batch")
        connection.keys[key] = None
        self._subscribers.setdefault(key, set()).add(connection)
        if not self._muted(product):
            connection.deliver("l2_data" if channel == "level2" else channel, events, now_ms)

    def _forget(self, connection: Connection, key: Key) -> None:
        subscribers = self._subscribers.get(key, set())
        subscribers.discard(connection)
        if not subscribers:
            self._subscribers.pop(key, None)

    # -- what happened -------------------------------------------------------------------------------------------

    def _muted(self, product: str) -> bool:
        fault = self._faults.find("coinbase", "mute", "", (product,))
        return fault is not None and fault.value != "private"

    def _publish(self, key: Key, channel: str, events: str, now_ms: int) -> None:
        if not self._muted(key[1]):
            for connection in self._subscribers.get(key, ()):
                connection.deliver(channel, events, now_ms)

    def happened(self, market: LiveMarket, prints: list[Print], tops: list[Top], now_ms: int) -> None:
        if not prints:
            return
        product = market.instrument.native
        if ("market_trades", product) in self._subscribers:
            self._traded.setdefault(product, []).extend(prints)
        for channel, stirred in self._stirred.items():
            if (channel, product) in self._subscribers:
                stirred.add(product)

    def tick(self, now_ms: int) -> None:
        """Each kind of data in its own rhythm; heartbeats once a second."""
        for channel, period_ms in _PERIODS_MS.items():
            if now_ms < self._due_ms[channel]:
                continue
            self._due_ms[channel] = (now_ms // period_ms + 1) * period_ms
            if channel == "level2":
                for product in [product for name, product in self._subscribers if name == "level2"]:
                    self._publish_book(product, now_ms)
            elif channel == "market_trades":
                for product in list(self._traded):
                    self._publish_trades(product, now_ms)
            else:
                self._publish_stirred(channel, now_ms)
        self._beat(now_ms)

    def _publish_book(self, product: str, now_ms: int) -> None:
        market, key = self.markets[product], ("level2", product)
        changes = market.engine.drain()
        if changes is None or key not in self._subscribers:
            return
        bids, names = list(changes.bids), (product,)
        if (phantom := self._phantoms.pop(product, None)) is not None and phantom not in dict(bids):
            bids.append((phantom, market.engine.bids.totals.get(phantom, 0)))
        if self._faults.strike("coinbase", "drop_depth", "", names):
            for connection in self._subscribers[key]:
                connection.number += 1
            return
        best_ask = market.engine.asks.best()
        if best_ask is not None and self._faults.strike("coinbase", "crossed", "", names):
            self._phantoms[product] = best_ask + 5
            bids.append((best_ask + 5, 1))
        if self._faults.strike("coinbase", "garbage", "", names):
            for connection in self._subscribers[key]:
                connection.socket.send('{"channel":"l2_data","client_id":"","timest')
        self._publish(key, "l2_data", frames.book(market, "update", bids, changes.asks, frames.stamp(now_ms)), now_ms)

    def _publish_trades(self, product: str, now_ms: int) -> None:
        if rows := self._traded.pop(product, []):
            key = ("market_trades", product)
            self._publish(key, "market_trades", frames.trades(self.markets[product], "update", rows), now_ms)

    def _publish_stirred(self, channel: str, now_ms: int) -> None:
        for product in self._stirred[channel]:
            market = self.markets[product]
            if channel == "candles":
                events = frames.candles(market, "update", market.candles.series(CANDLE_MS)[-1:])
            else:
                events = frames.ticker(market, "update", batch=channel == "ticker_batch")
            self._publish((channel, product), channel, events, now_ms)
        self._stirred[channel].clear()

    def _beat(self, now_ms: int) -> None:
        if (fault := self._faults.find("coinbase", "mute")) is not None and not fault.symbol:
            return
        now_s = self._clock()
        for connection in self.connections:
            if connection.heartbeats and now_s - connection.beat_s >= 1.0:
                connection.beat_s = now_s
                count = int(now_s - self._began_s) + 40_000
                connection.deliver(HEARTBEATS, frames.heartbeat(now_ms, count), now_ms)

    def keep_house(self) -> None:
        now_s = self._clock()
        for connection in list(self.connections):
            if not connection.asked and now_s - connection.socket.opened_s > _FIRST_S:
                connection.socket.close(1008, "no subscription")
        self.sockets.tick()


def _status(market: LiveMarket) -> dict[str, str]:
    i = market.instrument
    return {
        "product_type": "SPOT",
        "id": i.native,
        "base_currency": i.base,
        "quote_currency": i.quote,
        "base_increment": f"{i.lot:f}",
        "quote_increment": f"{i.tick:f}",
        "display_name": f"{i.base}/{i.quote}",
        "status": "online",
        "status_message": "",
        "min_market_funds": f"{i.min_notional:f}",
    }
