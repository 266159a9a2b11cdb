"""What the simulated Bybit lists, with realistic ticks and lots."""

from msgspec.structs import replace

from feeds.simulator.instruments import listing

SPOT = """
BTC/USDT 0.1 0.000001 0.000011 5 3900 3.4
ETH/USDT 0.01 0.00001 0.0001 5 2800 2.6
SOL/USDT 0.01 0.001 0.001 5 2000 1.9
XRP/USDT 0.0001 0.01 0.1 5 1600 1.6
DOGE/USDT 0.00001 0.1 1 5 1300 1.4
ADA/USDT 0.0001 0.01 0.1 5 1100 1.0
LINK/USDT 0.001 0.001 0.01 5 1000 0.8
BTC/USDC 0.1 0.000001 0.000011 5 1800 0.9
"""
LINEAR = """
BTC/USDT 0.1 0.001 0.001 5 9000 4.6
ETH/USDT 0.01 0.01 0.01 5 6800 3.6
SOL/USDT 0.01 0.1 0.1 5 3800 2.4
XRP/USDT 0.0001 0.1 0.1 5 3000 2.0
DOGE/USDT 0.00001 1 1 5 2300 1.6
BTC/USDC 0.1 0.001 0.001 5 3200 1.2
"""
_PRINTED = {"BTC": 2, "ETH": 2, "SOL": 3}
"""Decimals of a perpetual's prices, where they are more than the tick needs."""


def spot_name(base: str, quote: str) -> str:
    return f"{base}{quote}"


def linear_name(base: str, quote: str) -> str:
    """``BTCUSDT``, and ``BTCPERP`` for what is settled in USDC."""
    return f"{base}PERP" if quote == "USDC" else f"{base}{quote}"


LISTING = tuple(
    replace(each, ids_skip=True, price_printed=_PRINTED.get(each.base) if each.product == "linear" else None)
    for each in (
        *listing("bybit", "spot", SPOT, native=spot_name, half_spread_bps=0.08, lag_s=0.12),
        *listing("bybit", "linear", LINEAR, native=linear_name, half_spread_bps=0.06, lag_s=0.06, derivative=True),
    )
)
