"""The long tail: exchanges without an adapter of ours, followed through ccxt, and marked so.

ccxt has its own sockets and hides sequence numbers, so less is taken for granted here than of our own adapters: a book
is good as long as data come, and what REST says fits to it. ``library`` alone knows ccxt, which is not installed by
default and is imported when an exchange with ``via = "ccxt"`` is configured.
"""
