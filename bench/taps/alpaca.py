"""Alpaca: several levels a state, which its time names. A crossing fault's states are none of the exchange's."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

Side = dict[Decimal, Decimal]
Number = tuple[int, None]
"""Time in ms, and no checksum."""


def lay(exchange: Any, note: Callable[[str, Number, Side, Side], None], differs: Callable[[str], None]) -> None:
    for ladder in exchange.server.ladders.values():
        _Ladder(ladder, note, differs)


class _Ladder:
    def __init__(
        self, ladder: Any, note: Callable[[str, Number, Side, Side], None], differs: Callable[[str], None]
    ) -> None:
        self.ladder = ladder
        self.instrument = ladder.market.instrument
        self.note, self.differs = note, differs
        self.sides = self.true()
        self.advance = ladder.advance
        ladder.advance = self.advanced
        note(self.instrument.symbol, (ladder.time_ms, None), *self.sides)

    def true(self) -> tuple[Side, Side]:
        """The matching engine's book."""
        engine, i = self.ladder.market.engine, self.instrument
        bids, asks = ({p * i.tick: s * i.lot for p, s in side.totals.items()} for side in (engine.bids, engine.asks))
        return bids, asks

    def advanced(self, now_ms: int) -> Any:
        rows = self.advance(now_ms)
        for buy, price, size in rows:
            side = self.sides[0 if buy else 1]
            if size:
                side[price * self.instrument.tick] = size * self.instrument.lot
            else:
                side.pop(price * self.instrument.tick, None)
        if rows:
            self.note(self.instrument.symbol, (self.ladder.time_ms, None), *self.sides)
            if self.sides != self.true():
                self.differs(f"{self.instrument.symbol}: what was published is not the engine's book")
        return rows
