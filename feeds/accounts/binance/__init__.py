"""Binance, the private side: spot and USD-M futures.

``api`` signs and asks, ``*_stream`` reads the private streams, ``*_rest`` and ``capital`` the answers, ``wire``
what all write alike.
"""

from feeds.accounts.binance.api import BinanceAccount

__all__ = ["BinanceAccount"]
