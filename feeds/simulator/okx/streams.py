"""OKX's public channels: what there is, when it is told, and to whom."""

from collections.abc import Callable, Iterable
from typing import Protocol

from feeds.simulator.candles import DAY, MINUTE
from feeds.simulator.faults import Faults, Kind
from feeds.simulator.market import LiveMarket, Print, Top
from feeds.simulator.okx import frames
from feeds.simulator.okx.frames import Quoted, Window

BARS = {
    **{f"{n}m": n * MINUTE for n in (1, 3, 5, 15, 30)},
    **{f"{n}H": n * 60 * MINUTE for n in (1, 2, 4)},
    **{f"{n}Hutc": n * 60 * MINUTE for n in (6, 12)},
    "1Dutc": DAY,
    "1Wutc": 7 * DAY,
}
"""Bars of 6 hours and more open on UTC+8 without "utc"; those are not simulated."""
ANY_MARKET = ("books", "books5", "bbo-tbt", "trades", "tickers")
SWAPS_ONLY = ("mark-price", "funding-rate")
QUIET_MS = 60_000
"""A book in which nothing changed is told so after this long."""
_MARK_MS, _MARK_LEAST_MS = 200, 10_000
_INDEX_LEAST_MS = 60_000
_FUNDING_MS = 60_000

Key = tuple[str, str]
"""A subscription: channel and instrument (of an index: "BTC-USDT")."""


class Subscriber(Protocol):
    def deliver(self, text: str) -> None: ...


class Stream:
    """A subscription with at least one subscriber."""

    def __init__(self, key: Key, quoted: Quoted) -> None:
        self.key = key
        self.quoted = quoted
        self.subscribers: set[Subscriber] = set()
        self.window: Window | None = None  # of books
        self.seq = 0  # of the last book that was told
        self.told_ms = 0
        self.shown: object = None  # what was told last
        self.dirty = False

    def publish(self, text: str) -> None:
        for subscriber in self.subscribers:
            subscriber.deliver(text)


class Streams:
    """All channels of all markets. ``kinds`` of one market are found by its native name."""

    def __init__(self, markets: Iterable[LiveMarket], faults: Faults, clock_ms: Callable[[], int]) -> None:
        self.quoted = {market.instrument.native: Quoted(market) for market in markets}
        self._indexes = {q.native.removesuffix("-SWAP"): q for q in self.quoted.values() if q.swap}
        self._faults = faults
        self._clock_ms = clock_ms
        self._streams: dict[Key, Stream] = {}
        self._offset: dict[str, int] = {}  # by native name: what is taken off the engine's ids
        self._tenth = 0

    # -- subscribing -------------------------------------------------------------------------------------------------

    def find(self, channel: str, native: str) -> Quoted | None:
        """The market behind a subscription; None if there is no such."""
        if channel == "index-tickers":
            return self._indexes.get(native)
        quoted = self.quoted.get(native)
        if quoted is None or (channel in SWAPS_ONLY and not quoted.swap):
            return None
        candles = channel.startswith("candle") and channel.removeprefix("candle") in BARS
        return quoted if candles or channel in ANY_MARKET or channel in SWAPS_ONLY else None

    def subscribe(self, subscriber: Subscriber, key: Key) -> None:
        """Add to an existing subscription, and tell the newcomer how things are."""
        channel, native = key
        stream = self._streams.get(key)
        quoted = self.find(channel, native)
        if quoted is None:
            raise KeyError(key)
        now_ms = self._clock_ms()
        if stream is None:
            stream = self._streams[key] = Stream(key, quoted)
            if channel == "books":
                quoted.market.engine.drain()
                stream.window, stream.seq = Window(quoted), self._seq(quoted, quoted.market.engine.update_id)
                stream.told_ms = now_ms
        elif channel == "books":
            self._book(stream, now_ms)  # whom it reaches holds the same window as the newcomer
        stream.subscribers.add(subscriber)
        if not self._muted(quoted) and (text := self._present(stream, now_ms)) is not None:
            subscriber.deliver(text)

    def unsubscribe(self, subscriber: Subscriber, key: Key) -> None:
        stream = self._streams.get(key)
        if stream is not None:
            stream.subscribers.discard(subscriber)
            if not stream.subscribers:
                del self._streams[key]

    def _present(self, stream: Stream, now_ms: int) -> str | None:
        """What a new subscriber gets at once."""
        (channel, native), quoted, market = stream.key, stream.quoted, stream.quoted.market
        match channel:
            case "books":
                assert stream.window is not None
                content = frames.book(quoted, *stream.window.levels(), now_ms, frames.ids(-1, stream.seq))
                return frames.frame(channel, native, content, "snapshot")
            case "books5":
                return frames.frame(channel, native, self._five(quoted, now_ms))
            case "bbo-tbt":
                content = frames.best(quoted, market.top, self._seq(quoted, market.top.update_id), now_ms)
            case "trades":
                rows = frames.merge(list(market.recent)[-5:])
                return frames.frame(channel, native, frames.trade(quoted, rows[-1], stream=True)) if rows else None
            case "tickers":
                content = frames.ticker(quoted, now_ms)
            case "mark-price":
                content = frames.timed(frames.mark(quoted), now_ms)
            case "index-tickers":
                content = frames.timed(frames.index(quoted), now_ms)
            case "funding-rate":
                stream.told_ms = now_ms
                content = frames.funding(quoted, now_ms)
            case _:
                market.candles.series(BARS[channel.removeprefix("candle")])
                market.candles.roll(now_ms)
                bar = market.candles.series(BARS[channel.removeprefix("candle")])[-1]
                stream.shown = (bar.open_ms, bar.trades)
                content = frames.candle(quoted, bar, closed=False)
        return frames.frame(channel, native, content)

    def _five(self, quoted: Quoted, now_ms: int) -> str:
        engine = quoted.market.engine
        end = f',"instId":"{quoted.native}","seqId":{self._seq(quoted, engine.update_id)}'
        return frames.book(quoted, engine.bids.top(5), engine.asks.top(5), now_ms, end)

    # -- what happened -----------------------------------------------------------------------------------------------

    def _seq(self, quoted: Quoted, update_id: int) -> int:
        return max(0, update_id - self._offset.get(quoted.native, 0))

    def reset_sequence(self) -> None:
        """As after maintenance: the ids of every book begin anew with its next change."""
        for quoted in self.quoted.values():
            self._offset[quoted.native] = quoted.market.engine.update_id

    def _muted(self, quoted: Quoted) -> bool:
        instrument = quoted.market.instrument
        fault = self._faults.find("okx", "mute", instrument.product, (quoted.native, instrument.symbol))
        return fault is not None and fault.value != "private"

    def _strikes(self, kind: Kind, quoted: Quoted) -> bool:
        instrument = quoted.market.instrument
        return self._faults.strike("okx", kind, instrument.product, (quoted.native, instrument.symbol)) is not None

    def happened(self, market: LiveMarket, prints: list[Print], tops: list[Top], now_ms: int) -> None:
        """What is told at once; the rest is marked for the next tick."""
        native = market.instrument.native
        quoted = self.quoted[native]
        for channel in ("tickers", "books5"):
            if (stream := self._streams.get((channel, native))) is not None:
                stream.dirty = True
        if self._muted(quoted):
            return
        if tops and (stream := self._streams.get(("bbo-tbt", native))) is not None:
            top = tops[-1]
            seq = self._seq(quoted, top.update_id)
            stream.publish(frames.frame("bbo-tbt", native, frames.best(quoted, top, seq, now_ms)))
        if prints and (stream := self._streams.get(("trades", native))) is not None:
            for row in frames.merge(prints):
                stream.publish(frames.frame("trades", native, frames.trade(quoted, row, stream=True)))

    def tick(self, now_ms: int) -> None:
        """Ten times a second: what is told at intervals."""
        if now_ms // 100 == self._tenth:
            return
        self._tenth = now_ms // 100
        for stream in list(self._streams.values()):
            channel = stream.key[0]
            if channel == "books":
                self._book(stream, now_ms)
            elif not self._muted(stream.quoted):
                self._periodic(stream, channel, now_ms)

    def _periodic(self, stream: Stream, channel: str, now_ms: int) -> None:
        quoted, native = stream.quoted, stream.key[1]
        if channel in ("tickers", "books5"):
            if stream.dirty:
                stream.dirty = False
                content = frames.ticker(quoted, now_ms) if channel == "tickers" else self._five(quoted, now_ms)
                stream.publish(frames.frame(channel, native, content))
        elif channel in ("mark-price", "index-tickers"):
            is_mark = channel == "mark-price"
            every_ms, least_ms = (_MARK_MS, _MARK_LEAST_MS) if is_mark else (100, _INDEX_LEAST_MS)
            if now_ms - stream.told_ms >= every_ms:
                content = frames.mark(quoted) if is_mark else frames.index(quoted)
                if content != stream.shown or now_ms - stream.told_ms >= least_ms:
                    stream.shown, stream.told_ms = content, now_ms
                    stream.publish(frames.frame(channel, native, frames.timed(content, now_ms)))
        elif channel == "funding-rate":
            if now_ms - stream.told_ms >= _FUNDING_MS:
                stream.told_ms = now_ms
                stream.publish(frames.frame(channel, native, frames.funding(quoted, now_ms)))
        elif channel.startswith("candle") and now_ms - stream.told_ms >= 1000:
            self._candle(stream, channel, now_ms)

    def _candle(self, stream: Stream, channel: str, now_ms: int) -> None:
        candles = stream.quoted.market.candles
        candles.roll(now_ms)
        bars, native = candles.series(BARS[channel.removeprefix("candle")]), stream.key[1]
        shown = stream.shown
        if isinstance(shown, tuple) and shown[0] != bars[-1].open_ms:
            for bar in bars[-10:-1]:
                if bar.open_ms >= shown[0]:
                    closed = frames.candle(stream.quoted, bar, closed=True)
                    stream.publish(frames.frame(channel, native, closed))
        if shown != (bars[-1].open_ms, bars[-1].trades):
            stream.shown, stream.told_ms = (bars[-1].open_ms, bars[-1].trades), now_ms
            stream.publish(frames.frame(channel, native, frames.candle(stream.quoted, bars[-1], closed=False)))

    def _book(self, stream: Stream, now_ms: int) -> None:
        quoted, window = stream.quoted, stream.window
        assert window is not None
        changes = quoted.market.engine.drain()
        told = ([], []) if changes is None else window.advance((changes.bids, changes.asks))
        if not any(told):
            if now_ms - stream.told_ms >= QUIET_MS and not self._muted(quoted):
                stream.told_ms = now_ms
                quiet = frames.book(quoted, [], [], now_ms, frames.ids(stream.seq, stream.seq))
                stream.publish(frames.frame("books", quoted.native, quiet, "update"))
            return
        bids, asks = told
        before, stream.seq = stream.seq, self._seq(quoted, quoted.market.engine.update_id)
        stream.told_ms = now_ms
        if self._muted(quoted) or self._strikes("drop_depth", quoted):
            return
        if self._strikes("crossed", quoted):
            bids = [*bids, window.cross()]  # last: a level that is removed there would take it back
        if self._strikes("garbage", quoted):
            stream.publish('{"arg":{"channel":"books","instId":')
        end = frames.ids(before, stream.seq, 0x5A5A5A5A if self._strikes("bad_checksum", quoted) else 0)
        stream.publish(frames.frame("books", quoted.native, frames.book(quoted, bids, asks, now_ms, end), "update"))
