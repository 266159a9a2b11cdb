"""Kraken spot, the private side.

``api`` signs and asks, ``rest`` reads the answers, ``stream`` the private WebSocket, ``trading`` places and cancels,
``names`` knows what Kraken calls assets and pairs, ``wire`` what all write alike.
"""

from feeds.accounts.kraken.api import KrakenAccount

__all__ = ["KrakenAccount"]
