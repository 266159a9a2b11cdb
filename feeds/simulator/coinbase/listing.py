"""What the simulated Coinbase lists, with realistic ticks and lots."""

from feeds.simulator.instruments import listing

SPOT = """
BTC/USD 0.01 0.00000001 0.00000001 1 3200 2.4
ETH/USD 0.01 0.00000001 0.00000001 1 2400 1.9
SOL/USD 0.01 0.00000001 0.00000001 1 1500 1.5
XRP/USD 0.0001 0.000001 0.000001 1 1200 1.3
DOGE/USD 0.00001 0.1 0.1 1 800 1.0
ADA/USD 0.0001 0.00000001 0.00000001 1 700 0.7
LINK/USD 0.001 0.01 0.01 1 700 0.6
AVAX/USD 0.01 0.00000001 0.00000001 1 600 0.6
LTC/USD 0.01 0.00000001 0.00000001 1 600 0.5
DOT/USD 0.001 0.00000001 0.00000001 1 500 0.4
BTC/USDT 0.01 0.00000001 0.00000001 1 1200 0.6
ETH/USDT 0.01 0.00000001 0.00000001 1 900 0.5
"""


def _name(base: str, quote: str) -> str:
    return f"{base}-{quote}"


LISTING = listing("coinbase", "spot", SPOT, native=_name, half_spread_bps=0.25, lag_s=0.25)


def alias_of(native: str) -> str | None:
    """The second name of a dollar market's book: ``BTC-USD`` is traded as ``BTC-USDC`` too."""
    return f"{native}C" if native.endswith("-USD") else None
