"""The simulated market: every instrument with its book, its crowd, its prints and its candles, stepped by time. Pure.

A :class:`World` is determined by seed, start and the times it is advanced to. It knows nothing of sockets: servers
call :meth:`World.advance` and read what each market has collected (:meth:`LiveMarket.collect`).
"""

from collections import deque
from collections.abc import Callable, Mapping
from decimal import Decimal
from heapq import heappop, heappush
from itertools import count
from math import exp
from random import Random
from typing import NamedTuple

from feeds.simulator.candles import Candles, PastBar, first_id, make_past
from feeds.simulator.flow import Flow
from feeds.simulator.instruments import ASSETS, Instrument, fixed
from feeds.simulator.latent import Latent
from feeds.simulator.matching import Execution, Match, MatchingEngine

FUNDING_MS = 8 * 3_600_000
_WARM_UP_MS = 4000
_LONGEST_STEP_MS = 2000


class Print(NamedTuple):
    """A trade as the public sees it. ``taker`` is the taking order's id, ``market`` whether it was a market order."""

    id: int
    price: int
    size: int
    taker_buys: bool
    taker: int
    market: bool
    ms: int


class Top(NamedTuple):
    """The best prices after update ``update_id``; a side that is empty has price and size 0."""

    update_id: int
    bid: int
    bid_size: int
    ask: int
    ask_size: int
    ms: int


FillListener = Callable[["LiveMarket", Execution, int], None]


class LiveMarket:
    """One instrument, alive. Prices in ticks, sizes in lots."""

    def __init__(self, instrument: Instrument, world: "World", past: list[PastBar], seed: int, start_ms: int) -> None:
        self.instrument = instrument
        self.price_text = fixed(instrument.tick, instrument.price_printed)
        self.size_text = fixed(instrument.lot, instrument.size_printed)
        self._tick = float(instrument.tick)
        self._world = world
        name = f"{instrument.venue} {instrument.symbol} {seed}"
        self._random = Random(f"market {name}")
        self._premium_bps = 0.0
        self._fair = self._target()
        start = past[-1].close
        per_minute = instrument.takers_per_s * 60 * instrument.size_usd * 0.35 / start / float(instrument.lot)
        self.candles = Candles(past, self._fair / start, per_minute, start_ms)
        self.engine = MatchingEngine(
            update_id=first_id(start_ms) + self._random.randrange(10**6), trade_id=self.candles.next_id - 1
        )
        self._flow = Flow(instrument, self.engine, self._anonymous, name)
        self.prints: list[Print] = []
        self.tops: list[Top] = []
        self.recent: deque[Print] = deque(maxlen=1000)
        self.now_ms = start_ms
        self._flow.fill_book(start_ms, self._fair)
        self.mark = self.index = self._fair
        self.funding_rate = 0.0001
        self.top = Top(0, 0, 0, 0, 0, start_ms)
        self._note_top()

    # -- prices --------------------------------------------------------------------------------------------------

    def _target(self) -> float:
        """The latent price in this market's quote currency, in ticks, with its premium."""
        return self._latent_ticks() * (1 + self._premium_bps / 1e4)

    def _latent_ticks(self) -> float:
        latent = self._world.latent
        price = latent.price[self.instrument.base] / self._tick
        return price / latent.usdt if self.instrument.quote == "USDT" else price

    @property
    def fair(self) -> float:
        """What the makers of this market take for the price, in ticks."""
        return self._fair

    def mid(self) -> float:
        bid, ask = self.engine.bids.best(), self.engine.asks.best()
        return self._fair if bid is None or ask is None else (bid + ask) / 2

    # -- time ----------------------------------------------------------------------------------------------------

    def step(self, now_ms: int) -> int:
        """One step of the crowd; returns when the next one is due. Lively markets step more often."""
        dt_s = (now_ms - self.now_ms) / 1000
        self.now_ms = now_ms
        volatility = self._world.latent.volatility
        draw = self._random
        spread = 2.5 if self.instrument.settle is None else 3.0
        self._premium_bps += -self._premium_bps * dt_s / 40 + 0.22 * spread * dt_s**0.5 * draw.gauss(0, 1)
        self._fair += (self._target() - self._fair) * (1 - exp(-dt_s / self.instrument.lag_s))
        if self.instrument.ids_skip:
            self.engine.skip_ids(draw.randrange(40))
        for _ in self._flow.step(now_ms, dt_s, self._fair, volatility):
            self._note_top()
        self._note_top()
        self._mark(dt_s)
        return now_ms + draw.randrange(45, int(190 / (0.7 + 0.3 * min(4.0, volatility))))

    def skip_to(self, now_ms: int) -> None:
        """Leave out the time until ``now_ms``."""
        self.now_ms = now_ms

    def _mark(self, dt_s: float) -> None:
        """Index: the latent price, smoothed. Mark: index and mid, smoothed. Funding follows the premium."""
        self.index += (self._latent_ticks() - self.index) * (1 - exp(-dt_s / 1.0))
        self.mark += ((self.index + self.mid()) / 2 - self.mark) * (1 - exp(-dt_s / 3.0))
        premium = max(-0.0005, min(0.0005, self.mark / self.index - 1))
        self.funding_rate += (0.0001 + premium * 0.5 - self.funding_rate) * (1 - exp(-dt_s / 600))

    def next_funding_ms(self) -> int:
        return (self.now_ms // FUNDING_MS + 1) * FUNDING_MS

    def mark_texts(self) -> tuple[str, str, str]:
        """Mark price and index price, of eight decimals, and the funding rate."""
        tick = self.instrument.tick
        places = Decimal("0.00000001")
        mark, index = (Decimal(f"{value:.4f}") * tick for value in (self.mark, self.index))
        return f"{mark.quantize(places):f}", f"{index.quantize(places):f}", f"{self.funding_rate:.8f}"

    # -- orders --------------------------------------------------------------------------------------------------

    def _anonymous(self, buy: bool, price: int | None, size: int, rest: bool) -> None:
        self._record(self.engine.place(buy, price, size, rest=rest), market=not rest)

    def submit(self, buy: bool, price: int | None, size: int, account: object, *, rest: bool) -> Match:
        """An account's order. The caller books its own executions; those of other accounts are told to listeners."""
        self.now_ms = max(self.now_ms, self._world.now_ms)
        match = self.engine.place(buy, price, size, account, rest=rest)
        self._record(match, market=price is None)
        self._note_top()
        return match

    def cancel(self, order_id: int) -> bool:
        """Cancel an account's order; False if it is not in the book."""
        if self.engine.cancel(order_id) is None:
            return False
        self._note_top()
        return True

    def _record(self, match: Match, *, market: bool) -> None:
        for execution in match.executions:
            buys = match.order.buy
            row = Print(execution.id, execution.price, execution.size, buys, match.order.id, market, self.now_ms)
            self.prints.append(row)
            self.recent.append(row)
            self.candles.trade(row.id, row.price, row.size, buys, self.now_ms)
            if execution.maker.account is not None:
                self._world.on_maker_fill(self, execution, self.now_ms)

    def _note_top(self) -> None:
        bids, asks = self.engine.bids, self.engine.asks
        bid, ask = bids.best() or 0, asks.best() or 0
        bid_size, ask_size = bids.totals.get(bid, 0), asks.totals.get(ask, 0)
        last = self.top
        if (last.bid, last.bid_size, last.ask, last.ask_size) != (bid, bid_size, ask, ask_size):
            self.top = Top(self.engine.update_id, bid, bid_size, ask, ask_size, self.now_ms)
            self.tops.append(self.top)

    def collect(self) -> tuple[list[Print], list[Top]]:
        """The prints and best prices since the last call."""
        prints, tops = self.prints, self.tops
        self.prints, self.tops = [], []
        return prints, tops


def _nobody(market: LiveMarket, execution: Execution, ms: int) -> None:
    raise RuntimeError(f"nobody books {execution}")


class World:
    """All markets. ``on_maker_fill`` is called when a resting order of an account is executed."""

    def __init__(self, seed: int, start_ms: int, instruments: tuple[Instrument, ...]) -> None:
        begin_ms = start_ms - _WARM_UP_MS
        self.latent = Latent(seed, ASSETS, begin_ms)
        self.on_maker_fill: FillListener = _nobody
        self.now_ms = begin_ms
        bases = dict.fromkeys(each.base for each in instruments)
        past = make_past(seed, {name: ASSETS[name] for name in bases}, begin_ms)
        self.markets: Mapping[tuple[str, str, str], LiveMarket] = {
            (each.venue, each.product, each.native): LiveMarket(each, self, past[each.base], seed, begin_ms)
            for each in instruments
        }
        order = count()
        self._due = [(begin_ms + 1 + next(order), index, m) for index, m in enumerate(self.markets.values())]
        self.advance(start_ms)
        for market in self.markets.values():
            market.collect()
            market.engine.drain()

    def of(self, venue: str, product: str) -> dict[str, LiveMarket]:
        """The markets of one product of one exchange, by native name."""
        return {m.instrument.native: m for (v, p, _), m in self.markets.items() if (v, p) == (venue, product)}

    def advance(self, now_ms: int) -> list[LiveMarket]:
        """Step every market that is due up to ``now_ms``; returns those that were stepped.

        A silence of more than two seconds (a suspended process) is left out instead of being made up for.
        """
        if now_ms - self.now_ms > max(_LONGEST_STEP_MS, _WARM_UP_MS):
            self._skip(now_ms)
        stepped: dict[LiveMarket, None] = {}
        while self._due[0][0] <= now_ms:
            due_ms, index, market = heappop(self._due)
            self.latent.advance(due_ms)
            heappush(self._due, (market.step(due_ms), index, market))
            stepped[market] = None
        self.now_ms = max(self.now_ms, now_ms)
        return list(stepped)

    def _skip(self, now_ms: int) -> None:
        self.latent.jump_to(now_ms)
        for market in self.markets.values():
            market.skip_to(now_ms)
        self._due = [(now_ms + 1 + index, index, market) for index, market in enumerate(self.markets.values())]
