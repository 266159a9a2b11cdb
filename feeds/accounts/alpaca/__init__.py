"""Alpaca, the private side: one account of cash, crypto and US stocks.

``api`` asks, ``rows`` are what stream and REST write alike, ``activities`` its fills, ``bookings`` what else changed
it, ``stream`` reads the stream of orders, ``trading`` places and cancels them, ``wire`` is what all write alike.
"""

from feeds.accounts.alpaca.api import AlpacaAccount

__all__ = ["AlpacaAccount"]
