"""Market data and account feeds: plain asyncio Python, without Django, Channels or an ORM.

Imports run one way: ``domain, errors`` <- ``book, sync, exchange, rest`` <- ``exchanges/*``, ``accounts/*`` <-
``stream, poller, publisher`` <- ``engine``. ``tests/test_architecture.py`` holds this.
"""
