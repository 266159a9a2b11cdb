"""LMEX: changes that are numbered one by one, per market. A crossing fault's states are none of the exchange's."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

Side = dict[Decimal, Decimal]


def lay(exchange: Any, note: Callable[[str, int, Side, Side], None], differs: Callable[[str], None]) -> None:
    exchange.sockets.books = _Books(note, differs)


class _Books(dict[Any, Any]):
    """The streams of the markets, which begin when somebody asks for them."""

    def __init__(self, note: Callable[[str, int, Side, Side], None], differs: Callable[[str], None]) -> None:
        super().__init__()
        self.note, self.differs = note, differs

    def __setitem__(self, market: Any, stream: Any) -> None:
        _Stream(stream, self.note, self.differs)
        super().__setitem__(market, stream)


class _Stream:
    def __init__(
        self, stream: Any, note: Callable[[str, int, Side, Side], None], differs: Callable[[str], None]
    ) -> None:
        self.stream, self.instrument = stream, stream.market.instrument
        self.note, self.differs = note, differs
        self.sides = self.true()
        self.phantoms: set[Decimal] = set()
        self.advance = stream.advance
        stream.advance = self.advanced
        note(self.instrument.symbol, stream.seq, *self.sides)

    def true(self) -> tuple[Side, Side]:
        """The matching engine's book."""
        engine, i = self.stream.market.engine, self.instrument
        bids, asks = ({p * i.tick: s * i.lot for p, s in side.totals.items()} for side in (engine.bids, engine.asks))
        return bids, asks

    def advanced(self, now_ms: int, **faults: bool) -> str:
        text: str = self.advance(now_ms, **faults)
        data, unit = json.loads(text)["data"], self.instrument.lot if self.instrument.product == "futures" else 1
        for side, name in zip(self.sides, ("bids", "asks"), strict=True):
            for price, size in ((Decimal(price), Decimal(size) * unit) for price, size in data[name]):
                self.phantoms.discard(price)
                if size:
                    side[price] = size
                else:
                    side.pop(price, None)
        true = self.true()
        self.phantoms |= {price for price in self.sides[0] if price not in true[0]}
        if not self.phantoms:
            self.note(self.instrument.symbol, data["seqNum"], *self.sides)
            if self.sides != true:
                self.differs(
                    f"{self.instrument.symbol} at {data['seqNum']}: what was published is not the engine's book"
                )
        return text
