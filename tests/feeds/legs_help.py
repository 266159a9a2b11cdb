"""What the tests of several exchanges' pictures share: books made by hand, and legs over them."""

from decimal import Decimal
from typing import Any

from feeds.across.legs import Leg, Rate, Source
from feeds.book import OrderBook
from feeds.domain import BookSnapshot, Level, Market, StreamState

LIVE, STALE, POLLED = StreamState.LIVE, StreamState.STALE, StreamState.POLLED


class Holder:
    """A market feed as far as legs look at it."""

    def __init__(self, state: StreamState = LIVE, shown_ns: int = 1) -> None:
        self.state = state
        self.reason = ""
        self.shown_ns = shown_ns
        self.late_s = 0.0
        self.old: OrderBook | None = None
        self.book = OrderBook()


def market(
    exchange: str,
    symbol: str = "BTC/USDT",
    *,
    tick: str = "0.01",
    lot: str = "0.00001",
    has_book: bool = True,
    **more: str,
) -> Market:
    base, _, rest = symbol.partition("/")
    quote, _, settle = rest.partition(":")
    sizes = {name: Decimal(value) for name, value in more.items() if name in ("min_size", "min_notional")}
    return Market(
        exchange=exchange,
        symbol=symbol,
        native=symbol,
        product="usdm" if settle else "spot",
        base=base,
        quote=quote,
        settle=settle or None,
        tick=Decimal(tick),
        lot=Decimal(lot),
        status=more.get("status", "trading"),
        book=has_book,
        **sizes,
    )


class Place:
    """One exchange's market with a book that the test sets: :attr:`source` and :attr:`leg` see it."""

    def __init__(self, exchange: str, symbol: str = "BTC/USDT", *, rate: Rate | None = None, **details: Any) -> None:
        self.holder = Holder()
        self.source = Source(market(exchange, symbol, **details), lambda: self.holder)
        self.leg = Leg(self.source, rate)

    def book(
        self, bids: list[Level], asks: list[Level], *, depth: int | None = None, truncates: bool = False, ns: int = 0
    ) -> "Place":
        snapshot = BookSnapshot(symbol=self.source.market.symbol, bids=bids, asks=asks, depth=depth)
        self.holder.book.replace(snapshot, truncates=truncates)
        self.holder.shown_ns = ns or self.holder.shown_ns
        self.source.version += 1
        return self

    def state(self, state: StreamState, reason: str = "") -> "Place":
        self.holder.state, self.holder.reason = state, reason
        self.source.version += 1
        return self
