"""What the simulated exchanges trade in: assets with their behaviour, and the form of an exchange's listing."""

from collections.abc import Callable
from decimal import Decimal

import msgspec

from feeds.domain import decimals


class Asset(msgspec.Struct, frozen=True):
    """``price`` in USD at the start, ``volatility`` a year, ``beta`` to the common factor (0 to 1)."""

    price: float
    volatility: float
    beta: float


ASSETS = {
    "BTC": Asset(84_120.0, 0.48, 0.92),
    "ETH": Asset(3_215.0, 0.66, 0.86),
    "SOL": Asset(168.4, 0.85, 0.78),
    "XRP": Asset(2.3140, 0.80, 0.66),
    "DOGE": Asset(0.20415, 0.95, 0.74),
    "ADA": Asset(0.6920, 0.86, 0.74),
    "LINK": Asset(17.62, 0.88, 0.76),
    "AVAX": Asset(21.48, 0.90, 0.77),
    "LTC": Asset(88.35, 0.72, 0.75),
    "DOT": Asset(4.126, 0.86, 0.76),
    "BNB": Asset(612.40, 0.50, 1.0),
}


def fixed(step: Decimal, printed: int | None = None) -> Callable[[int], str]:
    """A function that prints multiples of ``step`` (a power of ten) as decimal text, exactly.

    ``printed`` is the number of decimals on the wire where the exchange prints more than the step needs.
    """
    places = decimals(step)
    if Decimal(1).scaleb(-places) != step:
        raise ValueError(f"a step must be a power of ten up to 1, not {step}")
    tail = "0" * ((printed or places) - places)
    scale = 10**places
    if not places:
        return (lambda n: f"{n}.{tail}") if tail else str

    def text(n: int) -> str:
        whole, part = divmod(n, scale)
        return f"{whole}.{part:0{places}d}{tail}"

    return text


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """One market of one exchange, and how it trades.

    ``size_usd`` is the median value of an order near the best price, ``takers_per_s`` how often somebody trades,
    ``half_spread_bps`` what makers ask for, ``lag_s`` how late they learn of a new price. ``price_printed`` and
    ``size_printed`` are decimals on the wire, where they are more than tick and lot need. ``ids_skip``: the book's
    update ids also count other markets (Binance futures). ``expiry`` is a dated contract's day, as in ``260925``.
    ``ladder_bps``: away from the best price makers quote at prices so far apart, 0: at every tick.
    ``book``: the exchange publishes a book, not best prices alone.
    ``alias`` stands for the base in the unified symbol, of what is not the asset itself (a stock of its name).
    """

    venue: str
    product: str
    base: str
    quote: str
    native: str
    settle: str | None = None
    tick: Decimal
    lot: Decimal
    min_size: Decimal
    min_notional: Decimal
    size_usd: float
    takers_per_s: float
    half_spread_bps: float
    lag_s: float
    price_printed: int | None = None
    size_printed: int | None = None
    ids_skip: bool = False
    expiry: str | None = None
    ladder_bps: float = 0.0
    alias: str | None = None
    book: bool = True

    @property
    def symbol(self) -> str:
        """The unified symbol."""
        ends = ("" if self.settle is None else f":{self.settle}", "" if self.expiry is None else f"-{self.expiry}")
        return f"{self.alias or self.base}/{self.quote}{''.join(ends)}"


def listing(
    venue: str,
    product: str,
    rows: str,
    *,
    native: Callable[[str, str], str],
    half_spread_bps: float,
    lag_s: float,
    derivative: bool = False,
    ladder_bps: float = 0.0,
) -> tuple[Instrument, ...]:
    """Instruments from lines of text: pair, tick, lot, smallest order, smallest value, median order in USD, takers a
    second. ``native`` makes the exchange's own name of base and quote; derivatives settle in their quote currency."""
    result = []
    for row in rows.strip().split("\n"):
        pair, tick, lot, min_size, min_notional, size_usd, takers = row.split()
        base, quote = pair.split("/")
        result.append(
            Instrument(
                venue=venue,
                product=product,
                base=base,
                quote=quote,
                native=native(base, quote),
                settle=quote if derivative else None,
                tick=Decimal(tick),
                lot=Decimal(lot),
                min_size=Decimal(min_size),
                min_notional=Decimal(min_notional),
                size_usd=float(size_usd),
                takers_per_s=float(takers),
                half_spread_bps=half_spread_bps,
                lag_s=lag_s,
                ladder_bps=ladder_bps,
            )
        )
    return tuple(result)
