"""What the demo follows: eight simulated exchanges with ten markets each."""

from collections.abc import Mapping

_USDT = "BTC/USDT ETH/USDT SOL/USDT XRP/USDT DOGE/USDT ADA/USDT LINK/USDT BTC/USDT:USDT ETH/USDT:USDT SOL/USDT:USDT"
_USD = "BTC/USD ETH/USD SOL/USD XRP/USD DOGE/USD LINK/USD AVAX/USD DOT/USD BTC/USDT"

MARKETS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "binance": (("spot", "usdm"), _USDT),
    "bybit": (("spot", "linear"), _USDT),
    "okx": (("spot", "swap"), _USDT),
    "coinbase": (("spot",), f"{_USD} ETH/USDT"),
    "kraken": (("spot",), f"{_USD} ETH/USDT"),
    "krakenfutures": (
        ("futures",),
        "BTC/USD:USD ETH/USD:USD SOL/USD:USD XRP/USD:USD DOGE/USD:USD ADA/USD:USD LINK/USD:USD AVAX/USD:USD "
        "LTC/USD:USD DOT/USD:USD",
    ),
    "lmex": (
        ("spot", "futures"),
        "BTC/USDT ETH/USDT SOL/USDT XRP/USDT DOGE/USDT BTC/USD ETH/USD BTC/USDT:USDT ETH/USDT:USDT SOL/USDT:USDT",
    ),
    "alpaca": (("crypto", "stocks"), f"{_USD} LTC/USD"),
}
"""Exchange -> its products, and the markets that are always open."""

NAMES: Mapping[str, str] = {
    **{name: name.capitalize() for name in MARKETS},
    "okx": "OKX",
    "krakenfutures": "Kraken Futures",
    "lmex": "LMEX",
}
"""How these exchanges are written for a person: the labels of their accounts. The page's are in exchanges.js."""
