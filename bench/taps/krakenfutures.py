"""Kraken Futures: one level per change, each with its number. A crossing fault's states are none of the exchange's."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

Side = dict[Decimal, Decimal]


def lay(exchange: Any, note: Callable[[str, int, Side, Side], None], differs: Callable[[str], None]) -> None:
    for ladder in exchange.server.ladders.values():
        _Ladder(ladder, note, differs)


class _Ladder:
    def __init__(
        self, ladder: Any, note: Callable[[str, int, Side, Side], None], differs: Callable[[str], None]
    ) -> None:
        self.ladder = ladder
        self.instrument = ladder.market.instrument
        self.note, self.differs = note, differs
        self.sides = self.true()
        self.phantoms: set[Decimal] = set()
        self.advance, self.cross = ladder.advance, ladder.cross
        ladder.advance, ladder.cross = self.advanced, self.crossed
        note(self.instrument.symbol, ladder.seq, *self.sides)

    def true(self) -> tuple[Side, Side]:
        """The matching engine's book."""
        engine, i = self.ladder.market.engine, self.instrument
        bids, asks = ({p * i.tick: s * i.lot for p, s in side.totals.items()} for side in (engine.bids, engine.asks))
        return bids, asks

    def take(self, change: Any) -> None:
        side = self.sides[0 if change.buy else 1]
        price, size = change.price * self.instrument.tick, change.size * self.instrument.lot
        self.phantoms.discard(price)
        if size:
            side[price] = size
        else:
            side.pop(price, None)

    def advanced(self) -> Any:
        changes = self.advance()
        for change in changes:
            self.take(change)
            if not self.phantoms:
                self.note(self.instrument.symbol, change.seq, *self.sides)
        if changes and self.sides != self.true():
            self.differs(f"{self.instrument.symbol} at {self.ladder.seq}: what was published is not the engine's book")
        return changes

    def crossed(self) -> Any:
        change = self.cross()
        self.take(change)
        self.phantoms.add(change.price * self.instrument.tick)
        return change
