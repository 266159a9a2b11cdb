"""What the simulated OKX lists: spot pairs, and linear perpetuals counted in contracts."""

from decimal import Decimal

from feeds.simulator.instruments import Instrument, listing

SPOT = """
BTC/USDT 0.1 0.00000001 0.00001 1 3900 3.4
ETH/USDT 0.01 0.000001 0.0001 1 2900 2.8
SOL/USDT 0.01 0.000001 0.001 1 2000 2.0
XRP/USDT 0.0001 0.0001 1 1 1600 1.6
DOGE/USDT 0.00001 0.01 10 1 1300 1.4
ADA/USDT 0.0001 0.0001 1 1 1000 0.9
LINK/USDT 0.001 0.0001 0.01 1 900 0.8
"""
SWAP = """
BTC/USDT 0.1 0.0001 0.0001 1 9000 4.4
ETH/USDT 0.01 0.001 0.001 1 6900 3.6
SOL/USDT 0.01 0.01 0.01 1 3800 2.2
XRP/USDT 0.0001 1 1 1 3000 2.0
LINK/USDT 0.001 0.1 0.1 1 1900 1.1
"""
CONTRACTS = {
    "BTC-USDT-SWAP": Decimal("0.01"),
    "ETH-USDT-SWAP": Decimal("0.1"),
    "SOL-USDT-SWAP": Decimal(1),
    "XRP-USDT-SWAP": Decimal(100),
    "LINK-USDT-SWAP": Decimal(1),
}
"""``ctVal`` of each swap: base currency of one contract. Lots above are in base currency too."""


def _spot_name(base: str, quote: str) -> str:
    return f"{base}-{quote}"


def _swap_name(base: str, quote: str) -> str:
    return f"{base}-{quote}-SWAP"


def contract(instrument: Instrument) -> Decimal:
    """Base currency per unit of size on the wire."""
    return CONTRACTS.get(instrument.native, Decimal(1))


LISTING = (
    *listing("okx", "spot", SPOT, native=_spot_name, half_spread_bps=0.08, lag_s=0.14),
    *listing("okx", "swap", SWAP, native=_swap_name, half_spread_bps=0.06, lag_s=0.07, derivative=True),
)
