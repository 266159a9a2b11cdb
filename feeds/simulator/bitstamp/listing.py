"""What the simulated Bitstamp lists, with realistic ticks and lots."""

from feeds.simulator.instruments import listing

SPOT = """
BTC/USD 1 0.00000001 0.0001 10 2600 1.6
ETH/USD 0.1 0.00000001 0.001 10 2000 1.4
XRP/USD 0.00001 0.00000001 1 10 1200 1.2
SOL/USD 0.01 0.00000001 0.01 10 900 0.9
DOGE/USD 0.00001 0.00000001 10 10 700 0.7
LTC/USD 0.01 0.00000001 0.01 10 600 0.6
ADA/USD 0.00001 0.00000001 1 10 600 0.5
LINK/USD 0.001 0.00000001 0.1 10 500 0.5
AVAX/USD 0.01 0.00000001 0.1 10 500 0.4
DOT/USD 0.001 0.00000001 0.1 10 400 0.4
BTC/USDT 1 0.00000001 0.0001 10 800 0.5
ETH/USDT 0.1 0.00000001 0.001 10 700 0.4
"""


def _name(base: str, quote: str) -> str:
    return f"{base}{quote}".lower()


LISTING = listing("bitstamp", "spot", SPOT, native=_name, half_spread_bps=0.6, lag_s=0.35)
