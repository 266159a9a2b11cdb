"""What is told of a market beside its book: best prices, 24 h figures, mark price, prints and bars."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from feeds.domain import Bbo, Candle, Level, MarkPrice, Ticker, Trade
from feeds.markets.tape import Tape
from feeds.markets.watched import Watched


class Prices(ABC):
    """To be built upon by :class:`feeds.markets.market.MarketFeed`, which has the book and knows what is newer.

    ``changed`` is called with each topic whose content is new. ``streamed``: candle intervals that come by stream; the
    others are made of these. ``led``: bars are led on by the prints.
    """

    def __init__(self, streamed: Sequence[str], *, led: bool, changed: Callable[[str], None]) -> None:
        self._told_best: tuple[Level | None, Level | None] = (None, None)
        self.bbo: Bbo | None = None
        self.bbo_ns = 0
        self.ticker: Ticker | None = None
        self.mark: MarkPrice | None = None
        self.mark_ns = 0
        self.price_ns = 0  # when the last ticker, mark or best price came
        self.tape = Tape(streamed, led=led)
        self.trades = self.tape.trades
        self.candles = self.tape.candles
        self.trades_ns = 0
        self.candles_ns = 0
        self.long_bars = self.tape.long
        self._topics = Watched(changed)

    @abstractmethod
    def best(self) -> tuple[Level | None, Level | None]:
        """Best bid and ask."""

    @abstractmethod
    def _want_history(self) -> None:
        """Bars are missing, of which longer ones are made."""

    def on_bbo(self, bbo: Bbo, recv_ns: int) -> None:
        if self.bbo is not None and bbo.seq is not None and self.bbo.seq is not None and bbo.seq < self.bbo.seq:
            return  # told before by another connection
        self.bbo, self.bbo_ns, self.price_ns = bbo, recv_ns, recv_ns
        self._tell_best()

    def _tell_best(self) -> None:
        """Tell of the best prices if they are news: most updates are deep in the book."""
        best = self.best()
        if best != self._told_best:
            self._told_best = best
            self._topics.tell("quote")

    def on_ticker(self, ticker: Ticker, recv_ns: int) -> None:
        self.ticker, self.price_ns = ticker, recv_ns
        self._topics.tell("quote")

    def on_mark(self, mark: MarkPrice, recv_ns: int) -> None:
        self.mark, self.mark_ns, self.price_ns = mark, recv_ns, recv_ns
        self._topics.tell("quote")

    def on_trade(self, trade: Trade, recv_ns: int) -> None:
        """A print; one that came before (a snapshot after a reconnect) is not shown twice."""
        if self.tape.take_trade(trade):
            self.trades_ns = recv_ns
            self._topics.tell("trades")
            self._tell_bars(self.tape.lead(trade, recv_ns), recv_ns)

    def on_candle(self, candle: Candle, recv_ns: int) -> None:
        new = self.tape.take_candle(candle)
        self._tell_bars(new, recv_ns)
        if new and self.long_bars.wanted():
            self._want_history()

    def on_history(self, interval: str, bars: Sequence[Candle], recv_ns: int) -> None:
        """History of short bars, oldest first, by REST."""
        self._tell_bars(self.tape.take_history(interval, bars), recv_ns)

    def _tell_bars(self, bars: Sequence[Candle], recv_ns: int) -> None:
        if bars:
            self.candles_ns = recv_ns
            self._topics.tell_bars({bar.interval for bar in bars})
