"""Coinbase, the private side: spot, Advanced Trade.

``keys`` makes tokens, ``api`` asks, ``rows`` reads REST answers, ``stream`` the private stream, ``trading`` places and
cancels, ``known`` is what all of them know of orders, ``wire`` how Coinbase writes.
"""

from feeds.accounts.coinbase.api import CoinbaseAccount

__all__ = ["CoinbaseAccount"]
