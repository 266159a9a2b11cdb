"""What the simulated Kraken lists, with realistic ticks and lots."""

from feeds.simulator.instruments import listing

SPOT = """
BTC/USD 0.1 0.00000001 0.00005 0.5 3600 2.2
ETH/USD 0.01 0.00000001 0.001 0.5 2600 1.8
SOL/USD 0.01 0.00000001 0.02 0.5 1600 1.4
XRP/USD 0.00001 0.00000001 2 0.5 1300 1.2
DOGE/USD 0.0000001 0.00000001 13 0.5 900 0.9
ADA/USD 0.000001 0.00000001 4.4 0.5 800 0.7
LINK/USD 0.00001 0.00000001 0.2 0.5 800 0.6
AVAX/USD 0.01 0.00000001 0.2 0.5 700 0.6
DOT/USD 0.0001 0.00000001 1 0.5 600 0.5
BTC/USDT 0.1 0.00000001 0.00005 0.5 1500 0.8
ETH/USDT 0.01 0.00000001 0.001 0.5 1100 0.6
"""


def _name(base: str, quote: str) -> str:
    return f"{base}/{quote}"


LISTING = listing("kraken", "spot", SPOT, native=_name, half_spread_bps=0.30, lag_s=0.30)
