"""Who trades: makers that quote around what they take for the fair price, and takers that hit them. Pure.

One :class:`Flow` stands for the anonymous crowd of one market. Each step, in this order:

1. quotes on the wrong side of the fair price are bought or sold away (a print), or cancelled;
2. orders whose time is up are cancelled;
3. makers place new ones: many near the best price, some inside the spread, a power law of them far away;
4. takers arrive, the more the livelier the market, mostly in the direction in which the price lags;
5. now and then the far ends of the book are filled up or cut off.
"""

from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from math import exp, log
from random import Random

from feeds.simulator.instruments import Instrument
from feeds.simulator.matching import MatchingEngine, Side

LEVELS = 420
"""Levels a side that the crowd keeps up; never fewer than 300 are there."""
_MOST_LEVELS = 640
_REACH_BPS = 260.0  # how far from the fair price the crowd quotes, if ticks are small

Submit = Callable[[bool, int | None, int, bool], None]
"""(buy, price, size, rest): an anonymous order."""


class Flow:
    def __init__(self, instrument: Instrument, engine: MatchingEngine, submit: Submit, seed: str) -> None:
        self._instrument = instrument
        self._engine = engine
        self._submit = submit
        self._random = Random(f"flow {seed}")
        self._tick = float(instrument.tick)
        self._lot = float(instrument.lot)
        self._least = int(instrument.min_size / instrument.lot)
        self._rung = 1  # ticks from one price of the makers' ladder to the next
        self._expiries: list[tuple[int, int]] = []  # (time, order id)
        self._breath = 0.0  # log of the makers' demand, wandering
        self._upkeep_ms = 0
        self._offsets: list[int] = []

    # -- sizes and distances -------------------------------------------------------------------------------------

    def _size(self, price: float, scale: float, spread: float = 1.15) -> int:
        """A size in lots: log-normal in value, now and then a round number."""
        draw = self._random
        value = self._instrument.size_usd * scale * exp(spread * draw.gauss(0, 1) - 0.3)
        lots = value / (price * self._tick) / self._lot
        if draw.random() < 0.22:
            step = 10 ** max(0, int(log(lots, 10))) if lots >= 10 else 1
            lots = max(1.0, lots // step) * step
        elif self._lot < 1e-7:
            lots = float(f"{lots:.9g}")
        return max(self._least, int(lots))

    def _grid(self, fair: float) -> list[int]:
        """Distances in ticks of LEVELS levels: dense near the price, sparse far away."""
        rung = self._rung
        reach = max((LEVELS + 60) * rung, fair * _REACH_BPS / 1e4)
        return [int(max(i * rung, reach * (i / LEVELS) ** 2.2)) + 1 for i in range(LEVELS)]

    def _on_ladder(self, buy: bool, away_from: float, away: float) -> int:
        """A maker's price so far away, or a little more."""
        rung = self._rung
        if buy:
            return int(away_from - away) // rung * rung
        return -(-(int(away_from + away) + 1) // rung) * rung

    def _rest(self, now_ms: int, buy: bool, price: int, size: int, life_s: float) -> None:
        engine = self._engine
        if price <= 0 or engine.crosses(buy, price):
            return
        self._submit(buy, price, size, True)
        heappush(self._expiries, (now_ms + int(1000 * self._random.expovariate(1 / life_s)), engine.last_order_id))

    # -- the steps -----------------------------------------------------------------------------------------------

    def fill_book(self, now_ms: int, fair: float) -> None:
        """The book at the beginning."""
        self._rung = max(1, round(fair * self._instrument.ladder_bps / 1e4))
        self._offsets = self._grid(fair)
        for buy in (True, False):
            for offset in self._offsets:
                self._deep(now_ms, buy, fair, offset)

    def _deep(self, now_ms: int, buy: bool, fair: float, offset: int) -> None:
        bps = offset / fair * 1e4
        price = self._on_ladder(buy, int(fair), offset)
        if price <= 0:
            return
        scale = 0.5 + min(6.0, bps / 14)
        for _ in range(1 + (self._random.random() < 0.3)):
            self._rest(now_ms, buy, price, self._size(price, scale), 20 + min(400.0, 12 * bps))

    def step(self, now_ms: int, dt_s: float, fair: float, volatility: float) -> Iterator[None]:
        """One step. Yields after each part, so that the caller can look at the best prices in between."""
        draw = self._random
        self._breath += -self._breath * dt_s / 20 + 0.35 * (dt_s / 10) ** 0.5 * draw.gauss(0, 1)
        half = max(0.5, fair * self._instrument.half_spread_bps / 1e4 * volatility**0.6 * exp(self._breath))
        yield from self._stale(fair)
        self._expire(now_ms)
        yield
        self._quote(now_ms, dt_s, fair, half, volatility)
        yield
        yield from self._take(dt_s, fair, half, volatility)
        if now_ms >= self._upkeep_ms:
            self._upkeep_ms = now_ms + 1000
            self._keep_up(now_ms, fair)

    def _stale(self, fair: float) -> Iterator[None]:
        """1. Orders that the fair price has passed."""
        draw, engine = self._random, self._engine
        for side, buy in ((engine.asks, True), (engine.bids, False)):
            passed: list[int] = []
            for key in side.keys:
                price = side.sign * key
                if (price > fair) if buy else (price < fair):
                    break
                passed.append(price)
            if not passed:
                continue
            held = any(order.account is not None for price in passed for order in side.queues[price].values())
            if held or draw.random() < 0.3:
                size = sum(side.totals[price] for price in passed)
                self._submit(buy, passed[-1], max(1, int(size * (1.0 if held else draw.uniform(0.2, 1.0)))), False)
                yield
            for price in passed:
                self._withdraw(side, price)

    def _withdraw(self, side: Side, price: int) -> None:
        for order in list(side.queues.get(price, {}).values()):
            if order.account is None:
                self._engine.cancel(order.id)

    def _expire(self, now_ms: int) -> None:
        """2. Orders whose time is up."""
        while self._expiries and self._expiries[0][0] <= now_ms:
            self._engine.cancel(heappop(self._expiries)[1])

    def _quote(self, now_ms: int, dt_s: float, fair: float, half: float, volatility: float) -> None:
        """3. New orders of the makers."""
        draw, engine = self._random, self._engine
        for buy, side in ((True, engine.bids), (False, engine.asks)):
            best = side.best()
            gap = (fair - best if buy else best - fair) if best is not None else 1e9
            if gap > 2.5 * half and draw.random() < 0.85:  # the best makers come back at once
                away = half * draw.uniform(0.5, 1.3)
                price = int(fair - away) if buy else int(fair + away) + 1
                self._rest(now_ms, buy, price, self._size(fair, 0.8), 2.5)
            rate = 13 * (0.6 + 0.4 * min(3.0, volatility))
            for _ in range(self._poisson(rate * dt_s)):
                kind = draw.random()
                best = side.best()
                if kind < 0.30 and best is not None:  # join the queue, or improve on it
                    limit = fair - 0.4 * half if buy else fair + 0.4 * half
                    price = best + (draw.random() < 0.3) * (1 if buy else -1) * max(1, int(half * draw.random() / 4))
                    if price > limit if buy else price < limit:
                        continue
                    self._rest(now_ms, buy, price, self._size(fair, 0.7), 1.2)
                elif kind < 0.75:
                    away = half + draw.expovariate(1 / max(4.0, 5 * half, 2.5e-5 * fair))
                    price = self._on_ladder(buy, fair, away)
                    self._rest(now_ms, buy, price, self._size(fair, 1.0), 6.0)
                else:
                    self._deep(now_ms, buy, fair, draw.choice(self._offsets))

    def _take(self, dt_s: float, fair: float, half: float, volatility: float) -> Iterator[None]:
        """4. Takers. Their limit keeps a large one from emptying the book."""
        draw, engine = self._random, self._engine
        bid, ask = engine.bids.best(), engine.asks.best()
        if bid is None or ask is None:
            return
        lead = max(-4.0, min(4.0, (fair - (bid + ask) / 2) / max(1.0, half)))
        for _ in range(self._poisson(self._instrument.takers_per_s * dt_s * volatility**1.2)):
            buy = draw.random() < 1 / (1 + exp(-1.2 * lead))
            best = engine.asks.best() if buy else engine.bids.best()
            if best is None:
                return
            scale = 0.25 * (8.0 if draw.random() < 0.04 else 1.0)
            slip = max(1, int(fair * 4e-4))
            self._submit(buy, best + slip if buy else max(1, best - slip), self._size(fair, scale, 1.3), False)
            yield

    def _keep_up(self, now_ms: int, fair: float) -> None:
        """5. The far ends of the book."""
        self._offsets = self._grid(fair)
        least = LEVELS if self._rung == 1 else LEVELS * 6 // 7  # a ladder has little but its rungs: some may lack
        for buy, side in ((True, self._engine.bids), (False, self._engine.asks)):
            for offset in self._offsets:
                if len(side.keys) >= least:
                    break
                if self._on_ladder(buy, int(fair), offset) not in side.totals:
                    self._deep(now_ms, buy, fair, offset)
            for key in reversed(side.keys[_MOST_LEVELS:]):  # what accounts rest there stays
                self._withdraw(side, side.sign * key)

    def _poisson(self, mean: float) -> int:
        """A small Poisson number (Knuth)."""
        limit, count, product = exp(-mean), 0, self._random.random()
        while product > limit:
            count += 1
            product *= self._random.random()
        return count
