"""OKX v5, the private side: spot pairs and linear perpetual swaps of a unified account.

``api`` signs and asks, ``trade`` places and cancels, ``answers`` reads what REST tells, ``transfers`` and ``bills``
what else moved money, ``stream`` the private streams, ``wire`` holds what all of them write alike.
"""

from feeds.accounts.okx.api import OkxAccount

__all__ = ["OkxAccount"]
