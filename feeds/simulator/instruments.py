"""What the simulated exchanges list: assets with their behaviour, instruments with realistic ticks and lots."""

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
    ``half_spread_bps`` what makers ask for, ``lag_s`` how late they learn of a new price.
    """

    venue: str
    product: str
    base: str
    quote: str
    tick: Decimal
    lot: Decimal
    min_size: Decimal
    min_notional: Decimal
    size_usd: float
    takers_per_s: float
    half_spread_bps: float
    lag_s: float

    @property
    def native(self) -> str:
        return f"{self.base}/{self.quote}" if self.venue == "kraken" else f"{self.base}{self.quote}"

    @property
    def symbol(self) -> str:
        """The unified symbol."""
        return f"{self.base}/{self.quote}{':' + self.quote if self.product == 'usdm' else ''}"

    @property
    def price_printed(self) -> int | None:
        """Price decimals on the wire: Binance spot always prints eight, its futures at least two."""
        if self.venue == "binance":
            return 8 if self.product == "spot" else max(2, decimals(self.tick))
        return None

    @property
    def size_printed(self) -> int | None:
        """Size decimals on the wire, where they are more than the lot's."""
        return 8 if (self.venue, self.product) == ("binance", "spot") else None


def _make(venue: str, product: str, rows: str, half_spread_bps: float, lag_s: float) -> list[Instrument]:
    result = []
    for row in rows.split("\n"):
        pair, tick, lot, min_size, min_notional, size_usd, takers = row.split()
        base, quote = pair.split("/")
        result.append(
            Instrument(
                venue=venue,
                product=product,
                base=base,
                quote=quote,
                tick=Decimal(tick),
                lot=Decimal(lot),
                min_size=Decimal(min_size),
                min_notional=Decimal(min_notional),
                size_usd=float(size_usd),
                takers_per_s=float(takers),
                half_spread_bps=half_spread_bps,
                lag_s=lag_s,
            )
        )
    return result


# pair, tick, lot, smallest order, smallest value, median order in USD, takers a second
INSTRUMENTS = (
    *_make(
        "binance",
        "spot",
        """\
BTC/USDT 0.01 0.00001 0.00001 5 4200 4.0
ETH/USDT 0.01 0.0001 0.0001 5 3100 3.2
SOL/USDT 0.01 0.001 0.001 5 2200 2.4
XRP/USDT 0.0001 0.1 0.1 5 1800 2.0
DOGE/USDT 0.00001 1 1 1 1500 1.8
ADA/USDT 0.0001 0.1 0.1 5 1200 1.2
LINK/USDT 0.01 0.01 0.01 5 1100 1.0""",
        0.06,
        0.10,
    ),
    *_make(
        "binance",
        "usdm",
        """\
BTC/USDT 0.1 0.001 0.001 100 9800 5.0
ETH/USDT 0.01 0.001 0.001 20 7400 4.0
SOL/USDT 0.01 0.01 0.01 5 4100 2.6
XRP/USDT 0.0001 0.1 0.1 5 3300 2.2""",
        0.05,
        0.04,
    ),
    *_make(
        "kraken",
        "spot",
        """\
BTC/USD 0.1 0.00000001 0.00005 0.5 3600 2.2
ETH/USD 0.01 0.00000001 0.001 0.5 2600 1.8
SOL/USD 0.01 0.00000001 0.02 0.5 1600 1.4
XRP/USD 0.00001 0.00000001 2 0.5 1300 1.2
DOGE/USD 0.0000001 0.00000001 13 0.5 900 0.9
ADA/USD 0.000001 0.00000001 4.4 0.5 800 0.7
LINK/USD 0.00001 0.00000001 0.2 0.5 800 0.6
BTC/USDT 0.1 0.00000001 0.00005 0.5 1500 0.8
ETH/USDT 0.01 0.00000001 0.001 0.5 1100 0.6""",
        0.30,
        0.30,
    ),
)
