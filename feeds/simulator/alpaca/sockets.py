"""Alpaca's market data streams: login, one connection per account, subscriptions, and what the markets did."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from feeds.simulator.alpaca import frames
from feeds.simulator.alpaca.frames import Ladder
from feeds.simulator.alpaca.listing import CRYPTO, NAME
from feeds.simulator.candles import DAY
from feeds.simulator.faults import Faults
from feeds.simulator.market import LiveMarket, Print, Top
from feeds.simulator.sockets import Socket, SocketRules, SocketSet

LOGIN_S = 10.0
"""A few seconds are documented."""
CHANNELS_FREE, BOOKS_FREE = 30, 10
"""What the free plan allows: trades and quotes together, books."""

Key = tuple[str, str]
"""A subscription: channel and symbol ("*": all)."""


class Connection:
    def __init__(self, server: "AlpacaSockets", product: str, socket: Socket, now_s: float) -> None:
        self._server = server
        self.product = product
        self.socket = socket
        self.opened_s = now_s
        self.key = ""  # whose login was accepted
        self.keys: dict[Key, None] = {}

    def on_text(self, text: str) -> None:
        try:
            message = msgspec.json.decode(text)
        except msgspec.DecodeError:
            message = None
        if isinstance(message, dict):
            self._server.request(self, message)
        else:
            self.socket.send(frames.error(400))

    def wants(self, channel: str, native: str) -> bool:
        return (channel, native) in self.keys or (channel, "*") in self.keys

    def refuse(self, code: int) -> None:
        """The error, and the end."""
        self.socket.send(frames.error(code))
        self.socket.close(1000, "")


class AlpacaSockets:
    """The servers of both products. ``accounts``: secrets by key. ``linger_s``: so long a connection counts for its
    account after it broke, as it is told of the real one."""

    def __init__(
        self,
        markets: Mapping[str, Mapping[str, LiveMarket]],
        accounts: Mapping[str, str],
        rules: SocketRules,
        faults: Faults,
        sockets: SocketSet,
        clock: Callable[[], float],
        clock_ms: Callable[[], int],
    ) -> None:
        self.markets = markets
        self.accounts = accounts
        self.sockets = sockets
        self.clock_ms = clock_ms
        self.linger_s = 0.0
        self.connections: set[Connection] = set()
        self.logins = 0  # attempts
        self.ladders = {name: Ladder(market, clock_ms()) for name, market in markets[CRYPTO].items()}
        self._rules = rules
        self._faults = faults
        self._clock = clock
        self._lingering: dict[tuple[str, str], float] = {}  # (product, key): until when
        self._minutes: dict[tuple[str, str], int] = {}  # the last minute that was told

    def routes(self, prefix: str) -> list[web.RouteDef]:
        paths = {f"/v1beta3/{CRYPTO}/us": CRYPTO, "/v2/iex": "stocks", "/v2/sip": "stocks"}
        return [web.get(f"{prefix}{path}", self._handler(product)) for path, product in paths.items()]

    def _handler(self, product: str) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.StreamResponse:
            if (refusal := self.sockets.refusal(product)) is not None:
                return refusal
            socket = self.sockets.make(self._rules)
            connection = Connection(self, product, socket, self._clock())
            self.connections.add(connection)
            socket.send(frames.CONNECTED)
            try:
                return await self.sockets.serve(request, socket, connection.on_text)
            finally:
                self.connections.discard(connection)
                if connection.key and self.linger_s:
                    self._lingering[product, connection.key] = self._clock() + self.linger_s

        return handle

    # -- requests ------------------------------------------------------------------------------------------------

    def request(self, connection: Connection, message: dict[str, Any]) -> None:
        action = message.get("action")
        if action == "auth":
            self._login(connection, message)
        elif not connection.key:
            connection.socket.send(frames.error(401))
        elif action in ("subscribe", "unsubscribe"):
            self._subscribe(connection, message, end=action == "unsubscribe")
        else:
            connection.socket.send(frames.error(400))

    def _login(self, connection: Connection, message: dict[str, Any]) -> None:
        self.logins += 1
        key, secret = message.get("key"), message.get("secret")
        if connection.key:
            connection.socket.send(frames.error(403))
        elif not isinstance(key, str) or key not in self.accounts or self.accounts[key] != secret:
            connection.refuse(402)
        elif self._taken(connection.product, key):
            connection.refuse(406)
        else:
            connection.key = key
            connection.socket.send(frames.AUTHENTICATED)

    def _taken(self, product: str, key: str) -> bool:
        if self._lingering.get((product, key), 0.0) > self._clock():
            return True
        return any(other.product == product and other.key == key for other in self.connections)

    def _subscribe(self, connection: Connection, message: dict[str, Any], *, end: bool) -> None:
        product = connection.product
        markets, channels = self.markets[product], frames.CHANNELS[product]
        lists = {name: value for name, value in message.items() if name != "action"}
        keys: list[Key] = []
        for name, natives in lists.items():
            known = isinstance(natives, list) and all(isinstance(each, str) for each in natives)
            if name not in channels or not known or not {*natives} <= {"*", *markets}:
                connection.socket.send(frames.error(400))
                return
            keys += [(name, native) for native in natives]
        if self._faults.strike(NAME, "no_ack"):
            return
        if any(self._faults.strike(NAME, "reject", product, self._names(product, key[1])) for key in keys if not end):
            connection.socket.send(frames.error(409))
            return
        after = (
            {key: None for key in connection.keys if key not in keys}
            if end
            else {**connection.keys, **dict.fromkeys(keys)}
        )
        if not end and self._too_many(after):
            connection.socket.send(frames.error(405))
            return
        news = [key for key in after if key not in connection.keys]
        for native in {native for channel, native in news if channel == "orderbooks"}:
            self._publish_book(native, self.clock_ms())  # whom it reaches holds the same book as the newcomer
        connection.keys = after
        standing = {name: [native for channel, native in after if channel == name] for name in channels}
        connection.socket.send(msgspec.json.encode([{"T": "subscription", **standing}]).decode())
        for channel, native in news:
            if channel == "orderbooks":
                self._begin(connection, native)

    @staticmethod
    def _too_many(keys: Mapping[Key, None]) -> bool:
        channels = [channel for channel, _ in keys]
        books = channels.count("orderbooks")
        return channels.count("trades") + channels.count("quotes") > CHANNELS_FREE or books > BOOKS_FREE

    def _begin(self, connection: Connection, native: str) -> None:
        for name, ladder in self.ladders.items():
            if native in ("*", name) and not self._muted(CRYPTO, name):
                connection.socket.send(f"[{frames.book_snapshot(ladder)}]")

    def _names(self, product: str, native: str) -> tuple[str, ...]:
        market = self.markets[product].get(native)
        return (native,) if market is None else (native, market.instrument.symbol)

    # -- what happened -------------------------------------------------------------------------------------------

    def _muted(self, product: str, native: str) -> bool:
        fault = self._faults.find(NAME, "mute", product, self._names(product, native))
        return fault is not None and fault.value != "private"

    def _publish(self, product: str, channel: str, native: str, messages: list[str]) -> None:
        """To all who want it, in one frame."""
        if not messages or self._muted(product, native):
            return
        text = f"[{','.join(messages)}]"
        for connection in self.connections:
            if connection.product == product and connection.wants(channel, native):
                connection.socket.send(text)

    def wanted(self, product: str, channel: str, native: str) -> bool:
        return any(c.product == product and c.wants(channel, native) for c in self.connections)

    def happened(self, market: LiveMarket, prints: list[Print], tops: list[Top], now_ms: int) -> None:
        """Send what one market did to those who watch it."""
        i = market.instrument
        product, native = i.product, i.native
        if product == CRYPTO:
            self._publish_book(native, now_ms)
        if tops and self.wanted(product, "quotes", native):
            self._publish(product, "quotes", native, [frames.quote(market)])
        if prints and self.wanted(product, "trades", native):
            self._publish(product, "trades", native, [frames.trade(market, row) for row in prints])
        self._publish_bars(market, now_ms)

    def _publish_bars(self, market: LiveMarket, now_ms: int) -> None:
        """A minute that is over, and with it the running day."""
        product, native = market.instrument.product, market.instrument.native
        running_ms = now_ms // 60_000 * 60_000
        last_ms = self._minutes.setdefault((product, native), running_ms)
        if running_ms == last_ms:
            return
        self._minutes[product, native] = running_ms
        market.candles.roll(now_ms)
        over = [bar for bar in market.candles.since(60_000, last_ms) if bar.open_ms < running_ms]
        self._publish(product, "bars", native, [frames.bar("b", market, bar) for bar in over])
        if self.wanted(product, "dailyBars", native):
            self._publish(product, "dailyBars", native, [frames.bar("d", market, market.candles.series(DAY)[-1])])

    def _publish_book(self, native: str, now_ms: int) -> None:
        ladder = self.ladders[native]
        rows = ladder.advance(now_ms)
        if not rows or not self.wanted(CRYPTO, "orderbooks", native):
            return
        names = self._names(CRYPTO, native)
        messages = [frames.book_changes(ladder, rows)]
        if not self._muted(CRYPTO, native) and self._faults.strike(NAME, "crossed", CRYPTO, names):
            messages.append(frames.book_changes(ladder, ladder.cross(now_ms)))
        for message in messages:
            if self._muted(CRYPTO, native) or self._faults.strike(NAME, "drop_depth", CRYPTO, names):
                continue
            if self._faults.strike(NAME, "garbage", CRYPTO, names):
                message = '{"T":"o","S":"'
            self._publish(CRYPTO, "orderbooks", native, [message])

    def keep_house(self) -> None:
        self.sockets.tick()
        for connection in list(self.connections):
            if not connection.key and self._clock() - connection.opened_s > LOGIN_S:
                connection.refuse(404)

    def end_all(self) -> None:
        """As a server that finds its clients slow."""
        for connection in list(self.connections):
            connection.refuse(407)
