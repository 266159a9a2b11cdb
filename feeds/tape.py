"""One market's latest prints and running bars: each once, none older than what is there."""

from collections import deque
from collections.abc import Iterable, Sequence

from feeds.bars import BarKit
from feeds.domain import Candle, Trade

TRADES_KEPT = 200


class Tape:
    """``trades`` oldest first; ``candles`` by interval: the running bar and its predecessor. ``long``: those bars that
    are made of streamed ones."""

    def __init__(self, streamed: Sequence[str]) -> None:
        self.trades: deque[Trade] = deque(maxlen=TRADES_KEPT)
        self.candles: dict[str, deque[Candle]] = {}
        self.long = BarKit(streamed)
        self._ids: set[str] = set()

    def take_trade(self, trade: Trade) -> bool:
        """False for one that came before (a snapshot after a reconnect)."""
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

    def take_candle(self, candle: Candle) -> list[Candle]:
        """What is new: this bar, and long ones made of it; nothing, if it is older than the running one."""
        return [candle, *self._kept(self.long.take(candle))] if self._keep(candle) else []

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
