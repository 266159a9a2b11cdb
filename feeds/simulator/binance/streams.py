"""Binance's market streams: which there are, on which route, how often, and their frames.

A :class:`Product` (spot or USD-M) turns what its markets did into frames for those who subscribed. Streams that do not
exist, and futures streams on the wrong route, can be subscribed and stay silent, as at Binance.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from feeds.simulator.binance import frames
from feeds.simulator.binance.frames import Aggregate
from feeds.simulator.candles import DAY, MINUTE, MONTH
from feeds.simulator.faults import Faults
from feeds.simulator.market import LiveMarket, Print, Top
from feeds.simulator.matching import Changes

INTERVALS = {
    "1m": MINUTE,
    "3m": 3 * MINUTE,
    "5m": 5 * MINUTE,
    "15m": 15 * MINUTE,
    "30m": 30 * MINUTE,
    "1h": 60 * MINUTE,
    "2h": 120 * MINUTE,
    "4h": 240 * MINUTE,
    "6h": 360 * MINUTE,
    "8h": 480 * MINUTE,
    "12h": 720 * MINUTE,
    "1d": DAY,
    "3d": 3 * DAY,
    "1w": 7 * DAY,
    "1M": MONTH,
}

_DEPTH_MS = {"spot": {"": 1000, "100ms": 100}, "usdm": {"": 250, "500ms": 500, "100ms": 100}}
_PARTIAL = ("5", "10", "20")
_PUBLIC_KINDS = ("depth", "bookTicker", "partial")  # of the futures' route /public; the others are on /market


class Subscriber(Protocol):
    """A connection that takes frames. ``combined`` wants them with the stream's name around."""

    combined: bool
    route: str

    def deliver(self, text: str) -> None: ...


class Stream:
    """One stream with at least one subscriber. ``period_ms`` 0 is real time."""

    def __init__(self, name: str, kind: str, markets: list[LiveMarket], period_ms: int, detail: str) -> None:
        self.name = name
        self.kind = kind
        self.markets = markets
        self.period_ms = period_ms
        self.detail = detail
        self.subscribers: set[Subscriber] = set()
        self.due_ms = 0
        # diff depth: what has not been sent yet, and the last update id that was
        self.first: int | None = None
        self.last = 0
        self.sent_u = 0
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        # klines: what was sent last
        self.shown: tuple[int, int] | None = None
        # batched aggregate trades
        self.batch: list[Aggregate] = []

    def publish(self, data: str) -> None:
        wrapped = f'{{"stream":"{self.name}","data":{data}}}'
        for subscriber in self.subscribers:
            subscriber.deliver(wrapped if subscriber.combined else data)

    def absorb(self, changes: Changes) -> None:
        """Add a book update to what is to be sent."""
        if self.first is None:
            self.first = changes.first
        self.last = changes.last
        self.bids.update(changes.bids)
        self.asks.update(changes.asks)


class Product:
    """The market streams of Binance spot or USD-M futures."""

    def __init__(self, name: str, markets: dict[str, LiveMarket], faults: Faults) -> None:
        self.name = name
        self.markets = {native.lower(): market for native, market in markets.items()}
        self.aggregates: dict[LiveMarket, deque[Aggregate]] = {m: deque(maxlen=1000) for m in markets.values()}
        self._faults = faults
        self._streams: dict[str, Stream] = {}
        self._next_aggregate = {m: m.candles.next_id for m in markets.values()}
        self._tenth = 0

    # -- subscribing ---------------------------------------------------------------------------------------------

    def subscribe(self, subscriber: Subscriber, name: str) -> None:
        """Start delivering, if there is such a stream on the subscriber's route; else nothing."""
        stream = self._streams.get(name) or self._open(name)
        if stream is None:
            return
        if self.name == "usdm" and (stream.kind in _PUBLIC_KINDS) != (subscriber.route == "public"):
            return
        self._streams[name] = stream
        stream.subscribers.add(subscriber)

    def unsubscribe(self, subscriber: Subscriber, name: str) -> None:
        stream = self._streams.get(name)
        if stream is not None:
            stream.subscribers.discard(subscriber)
            if not stream.subscribers:
                del self._streams[name]

    def _open(self, name: str) -> Stream | None:
        """Understand a stream name: ``btcusdt@depth@100ms``. Case matters."""
        head, _, tail = name.partition("@")
        kind, _, speed = tail.partition("@")
        usdm = self.name == "usdm"
        if head.startswith("!"):
            return self._open_all(name, head, tail)
        market = self.markets.get(head)
        if market is None:
            return None
        period_ms, detail = 0, ""
        if kind == "depth" and speed in _DEPTH_MS[self.name]:
            period_ms = _DEPTH_MS[self.name][speed]
        elif kind.startswith("depth") and kind[5:] in _PARTIAL and speed in _DEPTH_MS[self.name]:
            kind, detail, period_ms = "partial", kind[5:], _DEPTH_MS[self.name][speed]
        elif kind.startswith("kline_") and kind[6:] in INTERVALS and not speed:
            kind, detail, period_ms = "kline", kind[6:], 250 if usdm else 2000
        elif kind in ("ticker", "miniTicker") and not speed:
            period_ms = 2000 if usdm else 1000
        elif usdm and kind == "markPrice" and speed in ("", "1s"):
            period_ms = 1000 if speed else 3000
        elif usdm and kind == "aggTrade" and not speed:
            period_ms = 100
        elif speed or kind not in (("bookTicker",) if usdm else ("bookTicker", "trade", "aggTrade")):
            return None
        stream = Stream(name, kind, [market], period_ms, detail)
        if kind == "depth":
            self._drain(market)
            stream.sent_u = market.engine.update_id
        if kind == "kline":
            market.candles.series(INTERVALS[detail])
        return stream

    def _open_all(self, name: str, head: str, tail: str) -> Stream | None:
        everything = list(self.markets.values())
        usdm = self.name == "usdm"
        if (head, tail) == ("!miniTicker", "arr") or (usdm and (head, tail) == ("!ticker", "arr")):
            return Stream(name, head[1:] + "s", everything, 2000 if usdm else 1000, "")
        if usdm and head == "!markPrice" and tail in ("arr", "arr@1s"):
            return Stream(name, "markPrices", everything, 1000 if tail == "arr@1s" else 3000, "")
        if usdm and (head, tail) == ("!bookTicker", ""):
            return Stream(name, "bookTickers", everything, 5000, "")
        return None

    # -- what happened -------------------------------------------------------------------------------------------

    def _muted(self, market: LiveMarket) -> bool:
        fault = self._faults.find("binance", "mute", self.name, _names(market))
        return fault is not None and fault.value != "private"

    def happened(self, market: LiveMarket, prints: list[Print], tops: list[Top], now_ms: int) -> None:
        """Real-time streams of one market."""
        fresh = self._aggregate(market, prints)
        if self._muted(market):
            return
        native = market.instrument.native.lower()
        if (stream := self._streams.get(f"{native}@bookTicker")) is not None:
            for top in tops:
                stream.publish(frames.book_ticker(market, top, now_ms))
        if (stream := self._streams.get(f"{native}@trade")) is not None:
            for row in prints:
                stream.publish(frames.trade(market, row, now_ms))
        if (stream := self._streams.get(f"{native}@aggTrade")) is not None:
            if stream.period_ms:
                stream.batch += fresh
                return
            for aggregate in fresh:
                stream.publish(frames.agg_trade(market, aggregate, now_ms))

    def _aggregate(self, market: LiveMarket, prints: Iterable[Print]) -> list[Aggregate]:
        result: list[Aggregate] = []
        taker = None
        for row in prints:
            if result and taker == row.taker and result[-1].price == row.price:
                last = result[-1]
                result[-1] = last._replace(size=last.size + row.size, last=row.id)
            else:
                self._next_aggregate[market] += 1
                number = self._next_aggregate[market]
                result.append(Aggregate(number, row.price, row.size, row.id, row.id, row.taker_buys, row.ms))
            taker = row.taker
        self.aggregates[market] += result
        return result

    def tick(self, now_ms: int) -> None:
        """Streams that come at intervals. Call often: at least every 50 ms."""
        if now_ms // 100 != self._tenth:
            self._tenth = now_ms // 100
            for market in {m for s in self._streams.values() if s.kind == "depth" for m in s.markets}:
                self._drain(market)
        for stream in list(self._streams.values()):
            if stream.period_ms and now_ms >= stream.due_ms:
                stream.due_ms = (now_ms // stream.period_ms + 1) * stream.period_ms
                self._periodic(stream, now_ms)

    def _drain(self, market: LiveMarket) -> None:
        changes = market.engine.drain()
        if changes is None:
            return
        for stream in self._streams.values():
            if stream.kind == "depth" and stream.markets[0] is market:
                stream.absorb(changes)

    def _periodic(self, stream: Stream, now_ms: int) -> None:
        if len(stream.markets) > 1:
            one = _EACH[stream.kind]
            rows = [one(market, now_ms) for market in stream.markets if not self._muted(market)]
            if stream.kind == "bookTickers":
                for row in rows:
                    stream.publish(row)
            elif rows:
                stream.publish(f"[{','.join(rows)}]")
            return
        market = stream.markets[0]
        if stream.kind == "depth":
            self._depth(stream, market, now_ms)
            return
        if self._muted(market):
            return
        if stream.kind == "kline":
            self._kline(stream, market, now_ms)
        elif stream.kind == "aggTrade":
            for aggregate in stream.batch:
                stream.publish(frames.agg_trade(market, aggregate, now_ms))
            stream.batch.clear()
        elif stream.kind == "partial":
            stream.publish(self._partial(market, int(stream.detail), now_ms))
        else:
            stream.publish(_EACH[stream.kind + "s"](market, now_ms))

    def _partial(self, market: LiveMarket, n: int, now_ms: int) -> str:
        if self.name == "spot":
            return frames.spot_partial(market, n)
        engine = market.engine
        last = engine.update_id
        return frames.depth_update(market, last, last, last, engine.bids.top(n), engine.asks.top(n), now_ms)

    def _depth(self, stream: Stream, market: LiveMarket, now_ms: int) -> None:
        if stream.first is None:
            return
        bids, asks = sorted(stream.bids.items(), reverse=True), sorted(stream.asks.items())
        first, last, before = stream.first, stream.last, stream.sent_u
        stream.first, stream.sent_u = None, last
        stream.bids.clear()
        stream.asks.clear()
        names = _names(market)
        if self._muted(market) or self._faults.strike("binance", "drop_depth", self.name, names):
            return
        if self._faults.strike("binance", "crossed", self.name, names):
            bids.insert(0, (market.top.ask + 5, 1))
        if self._faults.strike("binance", "garbage", self.name, names):
            stream.publish('{"e":"depthUpd')
        stream.publish(frames.depth_update(market, first, last, before, bids, asks, now_ms))

    def _kline(self, stream: Stream, market: LiveMarket, now_ms: int) -> None:
        market.candles.roll(now_ms)
        interval_ms = INTERVALS[stream.detail]
        bars = market.candles.series(interval_ms)
        shown = stream.shown
        if shown is not None and shown[0] != bars[-1].open_ms:
            for bar in bars[-10:-1]:
                if bar.open_ms >= shown[0]:
                    stream.publish(frames.kline(market, stream.detail, interval_ms, bar, True, now_ms))
        bar = bars[-1]
        if shown != (bar.open_ms, bar.trades):
            stream.shown = (bar.open_ms, bar.trades)
            stream.publish(frames.kline(market, stream.detail, interval_ms, bar, False, now_ms))


def _names(market: LiveMarket) -> tuple[str, str]:
    return market.instrument.native, market.instrument.symbol


_EACH: dict[str, Callable[[LiveMarket, int], str]] = {
    "tickers": frames.ticker,
    "miniTickers": frames.mini_ticker,
    "markPrices": frames.mark_price,
    "bookTickers": lambda market, now_ms: frames.book_ticker(market, market.top, now_ms),
}
