"""What the simulated Binance lists, with realistic ticks and lots."""

from msgspec.structs import replace

from feeds.domain import decimals
from feeds.simulator.instruments import Instrument, listing

SPOT = """
BTC/USDT 0.01 0.00001 0.00001 5 4200 4.0
ETH/USDT 0.01 0.0001 0.0001 5 3100 3.2
SOL/USDT 0.01 0.001 0.001 5 2200 2.4
XRP/USDT 0.0001 0.1 0.1 5 1800 2.0
DOGE/USDT 0.00001 1 1 1 1500 1.8
ADA/USDT 0.0001 0.1 0.1 5 1200 1.2
LINK/USDT 0.01 0.01 0.01 5 1100 1.0
BNB/USDT 0.01 0.001 0.001 5 1400 0.8
"""
USDM = """
BTC/USDT 0.1 0.001 0.001 100 9800 5.0
ETH/USDT 0.01 0.001 0.001 20 7400 4.0
SOL/USDT 0.01 0.01 0.01 5 4100 2.6
XRP/USDT 0.0001 0.1 0.1 5 3300 2.2
"""


def _name(base: str, quote: str) -> str:
    return f"{base}{quote}"


def _printed(each: Instrument) -> Instrument:
    """Spot prints eight decimals of everything, futures at least two of a price."""
    if each.product == "spot":
        return replace(each, price_printed=8, size_printed=8)
    return replace(each, price_printed=max(2, decimals(each.tick)), ids_skip=True)


LISTING = tuple(
    _printed(each)
    for each in (
        *listing("binance", "spot", SPOT, native=_name, half_spread_bps=0.06, lag_s=0.10),
        *listing("binance", "usdm", USDM, native=_name, half_spread_bps=0.05, lag_s=0.04, derivative=True),
    )
)
