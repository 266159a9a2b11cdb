"""Bybit, the private side: the unified account with spot and linear contracts.

``api`` signs and asks, ``trading`` places and cancels, ``stream`` reads the private stream, ``rows`` what stream and
REST write alike, ``pages`` the histories of fills, ``ledger`` the wallet's, ``wire`` numbers and answers.
"""

from feeds.accounts.bybit.api import BybitAccount

__all__ = ["BybitAccount"]
