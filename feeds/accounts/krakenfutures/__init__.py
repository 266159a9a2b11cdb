"""Kraken Futures, the private side.

``api`` signs and asks, ``rest`` reads the answers, ``stream`` the private feeds, ``trading`` places and cancels,
``wire`` knows what all write alike.
"""

from feeds.accounts.krakenfutures.api import KrakenFuturesAccount

__all__ = ["KrakenFuturesAccount"]
