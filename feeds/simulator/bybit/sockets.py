"""Bybit's public WebSockets, v5: subscriptions, replies, and what the markets did."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import msgspec
from aiohttp import web

from feeds.simulator.bybit import frames
from feeds.simulator.bybit.frames import PERIODS, Window
from feeds.simulator.faults import Faults
from feeds.simulator.market import LiveMarket, Print, Top
from feeds.simulator.sockets import Socket, SocketRules, SocketSet

PUSH_S = {1: 0.01, 50: 0.02, 200: 0.1, 1000: 0.2}
"""Book depths, and how often each is pushed; ours beat fifty times a second."""
TICKER_S = {"spot": 0.05, "linear": 0.1}
MOST_ARGS = {"spot": 10}
MOST_CHARACTERS = 21_000
TRADES_A_FRAME = 1024
AGAIN_S = 3.0
"""The best prices are sent again after this long without a change."""
KLINE_S = 1.0
STATUS = "system.status"


class Refused(Exception):
    """The request cannot be carried out; the text is Bybit's."""


class Connection:
    """One socket, of one product, or with product "status" of none."""

    def __init__(self, server: "BybitSockets", socket: Socket, product: str, number: int) -> None:
        self._server = server
        self.socket = socket
        self.product = product
        self.id = f"3cd84cb1-4d06-4a05-930a-{number:012x}"
        self.topics: dict[str, None] = {}

    def on_text(self, text: str) -> None:
        try:
            message = msgspec.json.decode(text)
        except msgspec.DecodeError:
            message = None
        if not isinstance(message, dict):
            self.reply(False, "error:invalid json", "", "")
            return
        op, req_id = message.get("op"), message.get("req_id", "")
        if op == "ping":
            self.reply(True, "pong", req_id, "ping")
        elif op in ("subscribe", "unsubscribe"):
            self._server.request(self, op, message.get("args"), req_id)
        else:
            self.reply(False, "error:invalid op", req_id, op)

    def reply(self, success: bool, said: str, req_id: Any, op: Any) -> None:
        body = {"success": success, "ret_msg": said, "conn_id": self.id, "req_id": req_id, "op": op}
        self.socket.send(frames.encode(body))


class BybitSockets:
    """The servers behind ``/v5/public/...``. ``maintained`` is what is under maintenance, "" if nothing is."""

    def __init__(
        self,
        markets: dict[str, dict[str, LiveMarket]],
        rules: SocketRules,
        faults: Faults,
        sockets: SocketSet,
        clock: Callable[[], float],
        clock_ms: Callable[[], int],
    ) -> None:
        self.markets = markets  # by product and native name
        self.clock_ms = clock_ms
        self.sockets = sockets
        self.connections: set[Connection] = set()
        self.maintained = ""
        self._rules = rules
        self._faults = faults
        self._clock = clock
        self._subscribers: dict[tuple[str, str], set[Connection]] = {}  # by product and topic
        self._windows: dict[tuple[str, str], Window] = {}  # by product and topic
        self._numbers: dict[tuple[str, str], int] = {}  # of windows that nobody watches at the moment
        self._tickers: dict[tuple[str, str], tuple[float, dict[str, str]]] = {}  # when it was sent, and what is known
        self._bars: dict[tuple[str, str], tuple[float, int, int]] = {}  # when it was sent, its beginning and trades
        self._count = count(1)

    def routes(self, prefix: str) -> list[web.RouteDef]:
        table = {**{product: product for product in self.markets}, "status": "misc/status"}
        return [web.get(f"{prefix}/v5/public/{path}", self._handler(product)) for product, path in table.items()]

    def _handler(self, product: str) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.StreamResponse:
            if (refusal := self.sockets.refusal(product)) is not None:
                return refusal
            socket = self.sockets.make(self._rules)
            connection = Connection(self, socket, product, next(self._count))
            self.connections.add(connection)
            try:
                return await self.sockets.serve(request, socket, connection.on_text)
            finally:
                self.connections.discard(connection)
                for topic in connection.topics:
                    self._forget(connection, topic)

        return handle

    # -- requests ------------------------------------------------------------------------------------------------

    def request(self, connection: Connection, op: str, args: Any, req_id: Any) -> None:
        """All of a message, or nothing of it."""
        if self._faults.strike("bybit", "no_ack", connection.product):
            return
        try:
            topics = self._checked(connection, op, args)
        except Refused as error:
            connection.reply(False, str(error), req_id, op)
            return
        connection.reply(True, op if connection.product == "spot" else "", req_id, op)
        for topic in topics:
            if op == "subscribe":
                self._begin(connection, topic)
            elif topic in connection.topics:
                del connection.topics[topic]
                self._forget(connection, topic)

    def _checked(self, connection: Connection, op: str, args: Any) -> list[str]:
        if not isinstance(args, list) or not args or not all(isinstance(topic, str) for topic in args):
            raise Refused("Params Error")
        if len(args) > MOST_ARGS.get(connection.product, len(args)):
            raise Refused(f"error:args size >{MOST_ARGS[connection.product]}")
        if op == "unsubscribe":
            return args
        if sum(map(len, [*connection.topics, *args])) > MOST_CHARACTERS:
            raise Refused("error:args length exceeds the limit")
        for number, topic in enumerate(args):
            native = topic.rpartition(".")[2]
            if self._faults.strike("bybit", "reject", connection.product, (native,)) or not self._exists(
                connection.product, topic
            ):
                raise Refused(f"error:handler not found,topic:{topic}")
            if topic in connection.topics or topic in args[:number]:
                raise Refused(f"error:already subscribed,topic:{topic}")
        return args

    def _exists(self, product: str, topic: str) -> bool:
        if product == "status":
            return topic == STATUS
        if "." not in topic:
            return False
        kind, *detail, native = topic.split(".")
        if native not in self.markets[product]:
            return False
        match kind:
            case "orderbook":
                return len(detail) == 1 and detail[0] in map(str, PUSH_S)
            case "kline":
                return len(detail) == 1 and detail[0] in PERIODS
        return kind in ("publicTrade", "tickers") and not detail

    def _begin(self, connection: Connection, topic: str) -> None:
        key, now_ms = (connection.product, topic), self.clock_ms()
        kind, *detail, native = topic.split(".")
        text = ""
        if connection.product == "status":
            if self.maintained:
                text = self._status_frame()
        else:
            market = self.markets[connection.product][native]
            match kind:
                case "orderbook":
                    text = self._window(key, market, int(detail[0]), now_ms).snapshot(now_ms)
                case "tickers":
                    self._push_ticker(key, market, now_ms)  # whom it reaches knows the same as the newcomer
                    _, known = self._tickers.setdefault(key, (self._clock(), frames.ticker(market)))
                    text = frames.ticker_frame(market, "snapshot", known, now_ms)
                case "kline":
                    market.candles.series(PERIODS[detail[0]])
                    market.candles.roll(now_ms)
            if self._muted(market):
                text = ""
        connection.topics[topic] = None
        self._subscribers.setdefault(key, set()).add(connection)
        if text:
            connection.socket.send(text)

    def _window(self, key: tuple[str, str], market: LiveMarket, depth: int, now_ms: int) -> Window:
        window = self._windows.get(key)
        if window is None:
            number = self._numbers.pop(key, market.engine.update_id % 10_000_000) + 1
            window = self._windows[key] = Window(market, depth, number)
        elif depth > 1:
            self._publish_window(key, window, now_ms)  # whom it reaches holds the same as the newcomer
        else:
            window.advance()
        return window

    def _forget(self, connection: Connection, topic: str) -> None:
        key = connection.product, topic
        subscribers = self._subscribers.get(key, set())
        subscribers.discard(connection)
        if subscribers:
            return
        self._subscribers.pop(key, None)
        self._tickers.pop(key, None)
        self._bars.pop(key, None)
        if (window := self._windows.pop(key, None)) is not None:
            self._numbers[key] = window.u

    # -- what happened -------------------------------------------------------------------------------------------

    def _muted(self, market: LiveMarket) -> bool:
        i = market.instrument
        fault = self._faults.find("bybit", "mute", i.product, (i.native, i.symbol))
        return fault is not None and fault.value != "private"

    def _publish(self, key: tuple[str, str], text: str) -> None:
        for connection in self._subscribers.get(key, ()):
            connection.socket.send(text)

    def happened(self, market: LiveMarket, prints: list[Print], tops: list[Top], now_ms: int) -> None:
        """Send what one market did to those who watch it."""
        product, native = market.instrument.product, market.instrument.native
        for depth in PUSH_S:
            key = product, f"orderbook.{depth}.{native}"
            if (window := self._windows.get(key)) is not None:
                self._publish_due(key, window, now_ms)
        if self._muted(market):
            return
        key = product, f"publicTrade.{native}"
        if prints and key in self._subscribers:
            for start in range(0, len(prints), TRADES_A_FRAME):
                self._publish(key, frames.trades(market, prints[start : start + TRADES_A_FRAME], now_ms))
        key = product, f"tickers.{native}"
        if key in self._tickers and self._clock() - self._tickers[key][0] >= TICKER_S[product]:
            self._push_ticker(key, market, now_ms)
        for period in PERIODS:
            key = product, f"kline.{period}.{native}"
            if key in self._subscribers:
                self._push_bars(key, market, period, now_ms)

    def _publish_due(self, key: tuple[str, str], window: Window, now_ms: int) -> None:
        now_s = self._clock()
        if window.depth > 1:
            if now_s - window.sent_s >= PUSH_S[window.depth]:
                window.sent_s = now_s
                self._publish_window(key, window, now_ms)
        elif (window.advance() or now_s - window.sent_s >= AGAIN_S) and not self._muted(window.market):
            window.sent_s = now_s
            self._publish(key, window.snapshot(now_ms))

    def _publish_window(self, key: tuple[str, str], window: Window, now_ms: int) -> None:
        changes = window.advance()
        if changes is None:
            return
        market, i = window.market, window.market.instrument
        names, (bids, asks) = (i.native, i.symbol), changes
        if self._muted(market) or self._faults.strike("bybit", "drop_depth", i.product, names):
            return
        if self._faults.strike("bybit", "crossed", i.product, names):
            phantom = window.cross()
            bids = [phantom, *(level for level in bids if level[0] != phantom[0])]  # whatever was told of that price
        if self._faults.strike("bybit", "garbage", i.product, names):
            self._publish(key, '{"topic":"orderbook.')
        self._publish(key, frames.book(market, window.depth, "delta", bids, asks, window.u, now_ms))

    def _push_ticker(self, key: tuple[str, str], market: LiveMarket, now_ms: int) -> None:
        """Linear tells what changed since the last message, spot everything."""
        if key not in self._tickers:
            return
        known, figures = self._tickers[key][1], frames.ticker(market)
        changed = {name: value for name, value in figures.items() if known[name] != value}
        self._tickers[key] = self._clock(), figures
        if not changed or self._muted(market):
            return
        if market.instrument.settle is None:
            self._publish(key, frames.ticker_frame(market, "snapshot", figures, now_ms))
        else:
            changed = {"symbol": market.instrument.native, **changed}
            self._publish(key, frames.ticker_frame(market, "delta", changed, now_ms))

    def _push_bars(self, key: tuple[str, str], market: LiveMarket, period: str, now_ms: int) -> None:
        """At most once a second while something is traded, and when a bar is over."""
        market.candles.roll(now_ms)
        bars, now_s = market.candles.series(PERIODS[period]), self._clock()
        sent_s, open_ms, trades = self._bars.get(key, (0.0, bars[-1].open_ms, -1))
        present = bars[-1]
        ended = [(bar, True) for bar in self._since(bars, open_ms) if bar is not present]
        if ended or (present.trades != trades and now_s - sent_s >= KLINE_S) or now_s - sent_s >= 60 * KLINE_S:
            self._bars[key] = now_s, present.open_ms, present.trades
            self._publish(key, frames.kline(market, period, [*ended, (present, False)], now_ms))

    @staticmethod
    def _since(bars: list[Any], open_ms: int) -> Iterator[Any]:
        for number in range(len(bars) - 1, -1, -1):
            if bars[number].open_ms < open_ms:
                return iter(bars[number + 1 :])
        return iter(bars)

    # -- the service ---------------------------------------------------------------------------------------------

    def restart(self) -> None:
        """The service was restarted: every book begins anew with a snapshot that has the number 1."""
        for key, window in self._windows.items():
            window.advance()
            window.u = 1
            if not self._muted(window.market):
                self._publish(key, window.snapshot(self.clock_ms()))

    def maintain(self, title: str) -> None:
        """Tell everybody that something is under maintenance; "" ends it."""
        self.maintained = title
        self._publish(("status", STATUS), self._status_frame())

    def _status_frame(self) -> str:
        now_ms = self.clock_ms()
        rows = frames.maintenance(self.maintained, now_ms)
        if not rows:
            rows = [{**frames.maintenance("over", now_ms)[0], "state": "completed"}]
        return frames.encode({"topic": STATUS, "ts": now_ms, "data": rows})
