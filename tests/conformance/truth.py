"""What the simulated markets really did, remembered as it happens.

The simulator tells its exchange about every market at every beat (``SimulatedExchange.happened``); just then each
market is in a state that a client may be shown. All of them are kept, in ticks and lots, with the time until which
each was the present one. Nothing of the adapters takes part.
"""

import time
from decimal import Decimal
from itertools import pairwise
from typing import Any, NamedTuple

from feeds.domain import decimals
from feeds.simulator import SimulatorServer
from feeds.simulator.instruments import Instrument
from feeds.simulator.market import LiveMarket, Print, Top

DEPTH = 40
_KEYED = 4  # levels a side by which a state is found
_RECENT = 30  # states, of which a mixture may be
_BATCH = 40  # prints that one aggregated trade may join

Side = tuple[tuple[int, int], ...]


class State(NamedTuple):
    """A book, best level first; ``update_id`` is the matching engine's."""

    number: int
    update_id: int
    since_s: float
    bids: Side
    asks: Side


class Book:
    """All states of one market, oldest first.

    Where the exchange publishes no book, they are of best prices alone (:func:`priced`).
    ``mixed``: the exchange tells each level for itself, so a client's book is between two neighbouring states now and
    then: every level is as in one of them.
    """

    def __init__(self, market: LiveMarket, *, mixed: bool) -> None:
        self.mixed = mixed
        self.market = market
        self.instrument: Instrument = market.instrument
        self.states: list[State] = []
        self.tops: set[tuple[int, ...]] = set()
        self.minutes: set[tuple[int, ...]] = set()  # what the running minute's bar was: open_ms, o, h, l, c, volume
        self.prints: list[Print] = []
        self._trades: set[tuple[int, int, bool]] = set()
        self._by_top: dict[tuple[Side, Side], list[State]] = {}
        self._by_id: dict[int, State] = {}
        self._price_digits = decimals(self.instrument.tick)
        self._size_digits = decimals(self.instrument.lot)
        self.note(list(market.recent), [])

    def note(self, prints: list[Print], tops: list[Top]) -> None:
        for row in prints:
            self._note_print(row)
        if prints or not self.minutes:
            bar = self.market.candles.series(60_000)[-1]
            self.minutes.add((bar.open_ms, bar.open, bar.high, bar.low, bar.close, bar.volume))
        self.tops.update((top.bid, top.bid_size, top.ask, top.ask_size) for top in tops)
        engine = self.market.engine
        if self.states and self.states[-1].update_id == engine.update_id:
            return
        bids, asks = tuple(engine.bids.top(DEPTH)), tuple(engine.asks.top(DEPTH))
        if not self.instrument.book:
            bids, asks = priced(bids), priced(asks)
        state = State(len(self.states), engine.update_id, time.monotonic(), bids, asks)
        self.states.append(state)
        self._by_id[state.update_id] = state
        self._by_top.setdefault((bids[:_KEYED], asks[:_KEYED]), []).append(state)
        if bids and asks:
            self.tops.add((*bids[0], *asks[0]))

    def age_s(self, bids: Side, asks: Side, number: int) -> float:
        """Seconds since the market last looked like this, down to these levels; 0 if it still does. ``number`` is the
        state that was found for it."""
        same = self._same(bids, asks)
        last = same[-1].number if same else number
        for state in self.states[last + 1 :]:
            if not _shows(state, bids, asks):
                return time.monotonic() - state.since_s
        return 0.0

    def _same(self, bids: Side, asks: Side) -> list[State]:
        return [each for each in self._by_top.get((bids[:_KEYED], asks[:_KEYED]), []) if _shows(each, bids, asks)]

    # -- comparing ---------------------------------------------------------------------------------------------------

    def in_units(self, value: Any, step: Decimal) -> int:
        """A price or size as a whole number of steps. Raises AssertionError if it is none."""
        units = Decimal(value) / step
        assert units == units.to_integral_value(), f"{value} is no multiple of {step}"
        return int(units)

    def units(self, levels: list[list[int]], price_decimals: int, size_decimals: int) -> Side:
        """Levels as they are on the wire, in ticks and lots. Raises AssertionError for what is none."""
        return tuple(
            (
                _scaled(price, price_decimals, self._price_digits),
                _scaled(size, size_decimals, self._size_digits),
            )
            for price, size in levels
        )

    def find(self, bids: Side, asks: Side, *, seq: int | None = None, after: int = -1) -> State:
        """The state that these levels, as many as they are, are; of several the first one after number ``after``.

        ``seq``: if the exchange's number is the matching engine's own, it must be the state of that number. Raises
        AssertionError with a sentence if the market was never in such a state.
        """
        name = self.instrument.symbol
        numbered = self._by_id.get(seq) if seq is not None else None
        candidates = self._same(bids, asks) if numbered is None else [numbered]
        same = [each for each in candidates if _shows(each, bids, asks)]
        later = [each for each in same if each.number >= after]
        # A mixture may look like a state of before: where the first of the changes takes the last one back.
        if not later and self.mixed and (between := self._between(bids, asks, after)) is not None:
            return between
        if not same:
            nearest = numbered or self._nearest(bids, asks)
            raise AssertionError(f"{name} at {seq} was never like this: {_difference(bids, asks, nearest)}")
        if not later:
            raise AssertionError(f"{name} goes back in time: state {same[-1].number} is shown after state {after}")
        return later[0]

    def _between(self, bids: Side, asks: Side, after: int) -> State | None:
        """The later of two neighbouring states of which this is a mixture; None if there are no such.

        State ``after`` may have been shown as a mixture with the one before, and more of it now; but not less."""
        start = max(0, after - 1)
        for first, second in pairwise(self.states[start:]):
            if first.number < after and _shows(first, bids, asks):
                continue
            if _mixes(bids, first.bids, second.bids) and _mixes(asks, first.asks, second.asks):
                return second
        return None

    def had_best(self, top: tuple[int, ...]) -> bool:
        """Were these ever the best bid, its size, the best ask and its size?"""
        if top in self.tops or not self.mixed:
            return top in self.tops
        recent = self.states[-_RECENT:]
        return any(top[:2] in each.bids for each in recent) and any(top[2:] in each.asks for each in recent)

    def _nearest(self, bids: Side, asks: Side) -> State:
        known = self._by_top.get((bids[:_KEYED], asks[:_KEYED]))
        return (known or self.states)[-1]

    def traded(self, price: int, size: int, buys: bool) -> bool:
        """Was this traded: as one print, or as neighbouring prints of one price that an exchange tells as one?"""
        return (price, size, buys) in self._trades

    def _note_print(self, row: Print) -> None:
        self.prints.append(row)
        total = 0
        for other in reversed(self.prints[-_BATCH:]):
            if (other.price, other.taker_buys) != (row.price, row.taker_buys):
                break
            total += other.size
            self._trades.add((row.price, total, row.taker_buys))


def priced(side: Side) -> Side:
    """The best price alone: all that is known of a side where there is no book, since its size is not shown."""
    return tuple((price, 0) for price, _ in side[:1])


def _shows(state: State, bids: Side, asks: Side) -> bool:
    return (state.bids[: len(bids)], state.asks[: len(asks)]) == (bids, asks)


def _mixes(shown: Side, first: Side, second: Side) -> bool:
    """Is every level as in one of the two, and what is the same in both, there?"""
    one, other, ours = dict(first), dict(second), dict(shown)
    if any(size not in (one.get(price), other.get(price)) for price, size in shown):
        return False
    low, high = min(ours), max(ours)
    return all(price in ours for price, size in first if low <= price <= high and other.get(price) == size)


def _scaled(units: int, given: int, wanted: int) -> int:
    """From 10 ** -given to 10 ** -wanted."""
    if wanted >= given:
        return units * int(10 ** (wanted - given))
    whole, rest = divmod(units, 10 ** (given - wanted))
    assert rest == 0, f"{units} with {given} decimals is finer than the instrument's {wanted}"
    return whole


def _difference(bids: Side, asks: Side, state: State) -> str:
    for side, ours, theirs in (("bids", bids, state.bids), ("asks", asks, state.asks)):
        for index, (mine, true) in enumerate(zip(ours, theirs, strict=False)):
            if mine != true:
                return f"{side}[{index}] is {mine}, in the nearest state it was {true} (ticks, lots)"
    return "the sides do not belong together"


class Truth:
    """The markets of one simulated exchange, by unified symbol."""

    def __init__(self, server: SimulatorServer, exchange: str, *, mixed: bool = False) -> None:
        place = server.exchanges[exchange]
        self.books = {
            market.instrument.symbol: Book(market, mixed=mixed)
            for market in server.market.markets.values()
            if market.instrument.venue == exchange
        }
        happened = place.happened

        def noted(market: LiveMarket, prints: list[Print], tops: list[Top], now_ms: int) -> None:
            self.books[market.instrument.symbol].note(prints, tops)
            happened(market, prints, tops, now_ms)

        place.happened = noted
