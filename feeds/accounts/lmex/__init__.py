"""LMEX (BTSE's engine), the private side: spot and futures.

``api`` signs and asks, ``history`` pages through fills and transfers, ``trading`` places orders, ``stream`` reads the
private streams, ``rows`` what streams and REST write alike, ``wire`` numbers and words.
"""

from feeds.accounts.lmex.api import LmexAccount

__all__ = ["LmexAccount"]
