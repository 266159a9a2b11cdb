"""Logs once when something breaks and once when it works again, however often it is tried in between."""

import time
from typing import Any

import structlog
from channels.exceptions import ChannelFull
from redis.exceptions import RedisError

LAYER_ERRORS = (OSError, TimeoutError, ChannelFull, RedisError)
"""What the channel layers raise when they cannot deliver: the network, Redis, a full channel."""


class Outage:
    """The state of one thing that may break. ``what`` begins the log's event, as in "channel layer broken"."""

    def __init__(self, log: structlog.typing.FilteringBoundLogger, what: str, **context: Any) -> None:
        self._log = log
        self._what = what
        self._context = context
        self._since_s: float | None = None

    @property
    def lasting(self) -> bool:
        return self._since_s is not None

    def broke(self, error: BaseException) -> None:
        """It failed (again)."""
        if self._since_s is None:
            self._since_s = time.monotonic()
            self._log.error(f"{self._what} broken", error=str(error) or type(error).__name__, **self._context)

    def works(self) -> None:
        """It succeeded (again)."""
        if self._since_s is not None:
            lasted_s = round(time.monotonic() - self._since_s, 1)
            self._since_s = None
            self._log.info(f"{self._what} works again", lasted_s=lasted_s, **self._context)
