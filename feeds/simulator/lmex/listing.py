"""What the simulated LMEX lists. The lot of a future is one contract, whose size it so is.

Its makers quote on a ladder: the levels of a recorded snapshot (ETHPFC, October 2025) go by 0.23 USD at 4,390, half a
basis point, so that fifty of them reach 25 basis points to each side. At every tick they would reach two.
"""

from feeds.simulator.instruments import Instrument, listing

SPOT = """
BTC/USDT 0.1 0.00001 0.00001 5 1900 1.0
ETH/USDT 0.01 0.0001 0.0001 5 1400 0.8
SOL/USDT 0.01 0.001 0.001 5 900 0.6
XRP/USDT 0.0001 0.1 0.1 5 800 0.5
DOGE/USDT 0.00001 1 1 5 600 0.4
BTC/USD 0.1 0.00001 0.00001 5 1200 0.6
ETH/USD 0.01 0.0001 0.0001 5 900 0.5
"""
FUTURES = """
BTC/USDT 0.1 0.00001 0.00001 5 4200 1.6
ETH/USDT 0.01 0.0001 0.0001 5 3100 1.2
SOL/USDT 0.01 0.01 0.01 5 1900 0.8
XRP/USDT 0.0001 1 1 5 1500 0.7
ADA/USDT 0.0001 1 1 5 900 0.5
LINK/USDT 0.001 0.1 0.1 5 900 0.4
"""

_LADDER_BPS = 0.5


def spot_name(base: str, quote: str) -> str:
    return f"{base}-{quote}"


def perpetual(base: str, quote: str) -> str:
    return f"{base}-PERP"


def old_name(instrument: Instrument) -> str:
    """What older topics call a perpetual."""
    return f"{instrument.base}PFC"


LISTING = (
    *listing("lmex", "spot", SPOT, native=spot_name, half_spread_bps=0.35, lag_s=0.30, ladder_bps=_LADDER_BPS),
    *listing(
        *("lmex", "futures", FUTURES),
        native=perpetual,
        half_spread_bps=0.25,
        lag_s=0.20,
        derivative=True,
        ladder_bps=_LADDER_BPS,
    ),
)
