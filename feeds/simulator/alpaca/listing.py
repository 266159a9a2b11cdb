"""What the simulated Alpaca lists: crypto with realistic increments, and stocks that are named as coins are, as there
really are some (a trust, a trust, a real estate company)."""

from msgspec.structs import replace

from feeds.simulator.instruments import Instrument, listing

NAME = "alpaca"
CRYPTO, STOCKS = "crypto", "stocks"
_PAIRS = """
BTC/USD 0.1 0.00000001 0.0001 0 2600 1.1
ETH/USD 0.01 0.00000001 0.001 0 1900 0.9
SOL/USD 0.01 0.00001 0.01 0 1200 0.7
XRP/USD 0.0001 0.0001 1 0 900 0.6
DOGE/USD 0.00001 0.0001 1 0 700 0.5
LINK/USD 0.001 0.00001 0.1 0 500 0.4
AVAX/USD 0.001 0.00001 0.1 0 500 0.4
LTC/USD 0.01 0.00001 0.01 0 500 0.3
DOT/USD 0.001 0.00001 0.1 0 400 0.3
BTC/USDT 0.1 0.00000001 0.0001 0 1100 0.4
"""
_TICKERS = """
ETH/USD 0.01 1 1 0 64000 0.8
SOL/USD 0.01 1 1 0 5200 0.7
LTC/USD 0.01 1 1 0 4100 0.6
"""
_CRYPTO = listing(NAME, CRYPTO, _PAIRS, native=lambda base, quote: f"{base}/{quote}", half_spread_bps=2.0, lag_s=0.3)
_STOCKS = listing(NAME, STOCKS, _TICKERS, native=lambda base, quote: base, half_spread_bps=1.0, lag_s=0.3)
LISTING: tuple[Instrument, ...] = (*_CRYPTO, *(replace(each, alias=f"{each.base}.US", book=False) for each in _STOCKS))
ROUND_LOT = 100
