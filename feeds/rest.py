"""The HTTP client of one exchange. (Signatures; being filled in.)"""

from collections.abc import Callable, Iterable, Mapping

import aiohttp
import msgspec

from feeds.clock import SYSTEM, Clock
from feeds.exchange import Budget, Request

ErrorOf = Callable[[int, bytes, Mapping[str, str]], Exception | None]
"""(status, body, headers) -> the error that the answer means, or None if it is good. ``Exchange.error_of``."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A good answer. ``sent_ns`` and ``recv_ns`` are ours (UTC): the exchange's clock was read between them."""

    raw: bytes
    status: int
    sent_ns: int
    recv_ns: int
    headers: Mapping[str, str]  # names in lower case


def encode(params: Iterable[tuple[str, str]]) -> str:
    """``a=1&b=x%2Fy``: percent-encoded, in the given order. Exactly these bytes are sent, so sign exactly these."""
    raise NotImplementedError


def rest_bases(endpoints: Mapping[str, str]) -> dict[str, str]:
    """Product -> base URL, from an adapter's endpoints: every "<product>.rest"."""
    raise NotImplementedError


class RestClient:
    def __init__(
        self,
        exchange: str,
        bases: Mapping[str, str],
        budgets: Mapping[str, Budget],
        error_of: ErrorOf,
        *,
        timeout_s: float = 10.0,
        max_wait_s: float = 70.0,
        clock: Clock = SYSTEM,
        new_session: Callable[[], aiohttp.ClientSession] | None = None,
    ) -> None:
        raise NotImplementedError

    async def send(
        self, request: Request, *, urgent: bool = False, prepare: Callable[[Request], Request] | None = None
    ) -> Answer:
        """Wait for the budget, send, and return a good answer.

        ``prepare`` is called when the wait is over, just before sending: sign there, so that the timestamp is fresh
        however long the request had to wait.

        Raises TransportError, RateLimited (also when the wait would be longer than ``max_wait_s``), ExchangeError,
        CredentialsError; nothing else.
        """
        raise NotImplementedError

    def usage(self) -> dict[str, dict[str, float]]:
        """Per product: used, limit, allowed (weight in this window), waiting, blocked_s, requests, failures."""
        raise NotImplementedError

    async def close(self) -> None:
        """Close the sockets; idempotent. Requests that wait or run end with TransportError."""
        raise NotImplementedError
