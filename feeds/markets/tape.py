"""One market's latest prints and running bars: each once, none older than what is there."""

from collections import deque
from collections.abc import Iterable, Sequence

from msgspec import structs

from feeds.bars import BarKit
from feeds.domain import Candle, Trade
from feeds.led_bars import LedBars

TRADES_KEPT = 200


class Tape:
    """``trades`` oldest first; ``candles`` by interval: the running bar and its predecessor. ``long``: those bars that
    are made of streamed ones. ``led``: bars come by REST, and the prints lead them on."""

    def __init__(self, streamed: Sequence[str], *, led: bool = False) -> None:
        self.trades: deque[Trade] = deque(maxlen=TRADES_KEPT)
        self.candles: dict[str, deque[Candle]] = {}
        self.long = BarKit(streamed)
        self._led = LedBars() if led else None
        self._ids: set[str] = set()

    def take_trade(self, trade: Trade) -> bool:
        """False for one that came before (a snapshot after a reconnect), and for a word about one that is not here."""
        if trade.void or trade.instead_of:
            return self._correct(trade)
        if trade.id in self._ids:
            return False
        if len(self.trades) == TRADES_KEPT:
            self._ids.discard(self.trades[0].id)
        self._ids.add(trade.id)
        late = bool(self.trades) and trade.exchange_ms < self.trades[-1].exchange_ms
        self.trades.append(trade)
        if late:  # one that was missed, told by a later snapshot
            ordered = sorted(self.trades, key=lambda each: each.exchange_ms)
            self.trades.clear()
            self.trades.extend(ordered)
        return True

    def _correct(self, trade: Trade) -> bool:
        """A wrong print goes; what stands in its place is of its time."""
        wrong = trade.instead_of or trade.id
        at = next((number for number, each in enumerate(self.trades) if each.id == wrong), None)
        if at is None:
            return False
        self._ids.discard(wrong)
        if trade.void:
            del self.trades[at]
        else:
            self._ids.add(trade.id)
            self.trades[at] = structs.replace(trade, exchange_ms=self.trades[at].exchange_ms, instead_of="")
        return True

    def has(self, trade: Trade) -> bool:
        """This one, or a later one."""
        return trade.id in self._ids or (bool(self.trades) and self.trades[-1].exchange_ms > trade.exchange_ms)

    def take_candle(self, candle: Candle) -> list[Candle]:
        """What is new: this bar, and long ones made of it; nothing, if it is older than the running one."""
        bar = candle if self._led is None else self._led.join(candle)
        return [bar, *self._kept(self.long.take(bar))] if bar is not None and self._keep(bar) else []

    def lead(self, trade: Trade, recv_ns: int) -> list[Candle]:
        """The bars that a print leads on. Prints of one frame have one ``recv_ns``."""
        if self._led is None or trade.void or trade.instead_of or not trade.last:
            return []
        return self._kept(self._led.take(trade, recv_ns))

    def lost(self) -> None:
        """Prints were missed, or may have been."""
        if self._led is not None:
            self._led.lost()

    def take_history(self, interval: str, bars: Sequence[Candle]) -> list[Candle]:
        """Short bars by REST, oldest first; returns the long ones that are new by them."""
        return self._kept(self.long.seed(interval, bars))

    def _kept(self, bars: Iterable[Candle]) -> list[Candle]:
        return [bar for bar in bars if self._keep(bar)]

    def _keep(self, candle: Candle) -> bool:
        bars = self.candles.setdefault(candle.interval, deque(maxlen=2))
        if bars and bars[-1].open_ms == candle.open_ms:
            bars[-1] = candle
        elif not bars or bars[-1].open_ms < candle.open_ms:
            bars.append(candle)
        else:
            return False
        return True
