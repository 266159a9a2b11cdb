"""What the simulated Kraken Futures lists, with realistic ticks and lots."""

from datetime import UTC, date, datetime, timedelta

from msgspec.structs import replace

from feeds.simulator.instruments import Instrument, listing

PERPETUALS = """
BTC/USD 1 0.0001 0.0001 0 5200 2.6
ETH/USD 0.1 0.001 0.001 0 3900 2.1
SOL/USD 0.01 0.01 0.01 0 2200 1.5
XRP/USD 0.0001 1 1 0 1700 1.2
DOGE/USD 0.00001 1 1 0 1200 0.9
ADA/USD 0.0001 1 1 0 1000 0.7
LINK/USD 0.001 0.1 0.1 0 900 0.6
AVAX/USD 0.001 0.1 0.1 0 800 0.6
LTC/USD 0.01 0.01 0.01 0 800 0.5
DOT/USD 0.001 0.1 0.1 0 700 0.5
"""
DATED = """
BTC/USD 1 0.0001 0.0001 0 2600 0.5
ETH/USD 0.1 0.001 0.001 0 1900 0.4
"""
_NAMES = {"BTC": "XBT"}


def quarter_end(today: date) -> date:
    """The last Friday of the quarter, of the next one if that is less than a week away."""
    for month in (3, 6, 9, 12, 15):
        end = date(today.year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
        friday = end - timedelta(days=(end.weekday() - 4) % 7)
        if friday >= today + timedelta(days=7):
            return friday
    raise AssertionError("a year has four quarters")


EXPIRY = quarter_end(datetime.now(UTC).date()).strftime("%y%m%d")
"""Of the dated contracts, as in ``260925``."""


def _name(base: str, quote: str) -> str:
    return f"{_NAMES.get(base, base)}{quote}"


def _listed(prefix: str, rows: str, expiry: str | None) -> tuple[Instrument, ...]:
    ending = "" if expiry is None else f"_{expiry}"
    return tuple(
        replace(each, native=f"{prefix}_{each.native}{ending}", expiry=expiry)
        for each in listing(
            "krakenfutures", "futures", rows, native=_name, half_spread_bps=0.35, lag_s=0.2, derivative=True
        )
    )


LISTING = (*_listed("PF", PERPETUALS, None), *_listed("FF", DATED, EXPIRY))
