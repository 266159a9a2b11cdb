"""The HTTP client of one exchange: budgets, Retry-After, timeouts, errors of our own tree.

What is signed must be what is sent, so query and form body are built here (:func:`encode`) and handed to the HTTP
library as finished bytes. Redirects are not followed: a signed request goes where it was meant to go.

A proxy is taken from the environment (``HTTPS_PROXY``, ``HTTP_PROXY``, ``NO_PROXY``), as by the streams, but never for
this machine itself.
"""

from collections.abc import Callable, Iterable, Mapping
from urllib.parse import quote

import aiohttp
import msgspec
import structlog
from yarl import URL

from feeds.budget import WeightGate
from feeds.clock import SYSTEM, Clock
from feeds.errors import ExchangeError, FeedError, RateLimited, TransportError
from feeds.exchange import Budget, Request
from feeds.hosts import is_local
from feeds.pacing import wait_s
from feeds.recordings.tap import Tap

log = structlog.get_logger(__name__)

ErrorOf = Callable[[int, bytes, Mapping[str, str]], Exception | None]
"""(status, body, headers) -> the error that the answer means, or None if it is good. ``Exchange.error_of``."""

WAIT_429_S = 10.0
WAIT_418_S = 120.0
"""How long we wait where the exchange does not say (Binance bans from 2 minutes on)."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A good answer. ``sent_ns`` and ``recv_ns`` are ours (UTC): the exchange's clock was read between them."""

    raw: bytes
    status: int
    sent_ns: int
    recv_ns: int
    headers: Mapping[str, str]  # names in lower case


def encode(params: Iterable[tuple[str, str]]) -> str:
    """``a=1&b=x%2Fy``: percent-encoded, in the given order. Exactly these bytes are sent, so sign exactly these."""
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in params)


def rest_bases(endpoints: Mapping[str, str]) -> dict[str, str]:
    """Product -> base URL, from an adapter's endpoints: every "<product>.rest", and "<product>.trading" as it is."""
    return {key.removesuffix(".rest"): url for key, url in endpoints.items() if key.endswith((".rest", ".trading"))}


class _Host:
    """One product's host: its base URL, its budget, and how it has been doing."""

    def __init__(self, base: str, gate: WeightGate) -> None:
        self.base = base.rstrip("/")
        self.local = is_local(base)
        self.gate = gate
        self.requests = 0
        self.failures = 0
        self.broken_s: float | None = None  # since when nothing has worked
        self.failed = 0  # requests since then


class RestClient:
    """All REST calls to one exchange. ``bases`` and ``budgets`` are by product; sockets are opened at first use."""

    def __init__(
        self,
        exchange: str,
        bases: Mapping[str, str],
        budgets: Mapping[str, Budget],
        error_of: ErrorOf,
        *,
        prepare: Callable[[Request], Request] | None = None,
        timeout_s: float = 10.0,
        max_wait_s: float = 70.0,
        tap: Tap | None = None,
        clock: Clock = SYSTEM,
    ) -> None:
        missing = bases.keys() - budgets.keys()
        if missing:
            raise ValueError(f"{exchange}: no budget for {', '.join(sorted(missing))}")
        self._exchange = exchange
        self._error_of = error_of
        self._prepare = prepare
        self._timeout_s = timeout_s
        self._max_wait_s = max_wait_s
        self._tap = tap
        self._clock = clock
        self._sessions: dict[bool, aiohttp.ClientSession] = {}  # by: is it for this machine?
        self._closed = False
        self._hosts = {
            product: _Host(base, WeightGate(f"{exchange} {product}", budgets[product], clock))
            for product, base in bases.items()
        }

    async def send(
        self,
        request: Request,
        *,
        urgent: bool = False,
        prepare: Callable[[Request], Request] | None = None,
        max_wait_s: float | None = None,
    ) -> Answer:
        """Wait for the budget, for ``max_wait_s`` at most (else the client's own), send, and return a good answer.

        ``prepare`` (else the client's own) is called when the wait is over, just before sending: sign there, so that
        the timestamp is fresh however long the request had to wait.

        Raises TransportError, RateLimited, NotSent when the wait would be longer than ``max_wait_s``, ExchangeError,
        CredentialsError; nothing else but ValueError for a product that has no host.
        """
        host = self._hosts.get(request.product)
        if host is None:
            raise ValueError(f"{self._exchange} has no host for product {request.product!r}")
        self._check_open()
        weight = request.weight
        longest_s = self._max_wait_s if max_wait_s is None else max_wait_s
        await host.gate.acquire(weight, urgent=urgent, max_wait_s=longest_s)
        sent_ns, told, asked = self._clock.now_ns(), None, request
        try:
            self._check_open()
            ready = prepare or self._prepare
            prepared = ready(request) if ready else request
            sent_ns = self._clock.now_ns()
            host.requests += 1
            answer = await self._exchange_bytes(host, prepared, sent_ns)
            told = _count(answer.headers, host.gate.weights.budget.used_header)
            if self._tap is not None:
                private = prepare is not None or bool(asked.headers)
                self._tap.answered(self._exchange, asked, answer.status, answer.raw, private=private)
        except TransportError as error:
            self._note_failure(host, request, error)
            raise
        finally:
            host.gate.answered(weight, told, sent_ns)
        self._judge(host, request, answer, signed=prepare is not None)
        return answer

    def usage(self) -> dict[str, dict[str, float]]:
        """Per product: used and limit (weight, this window), allowed (ordinary requests), waiting (requests),
        blocked_s (Retry-After left), requests and failures (since the start)."""
        return {
            product: {
                "used": host.gate.weights.used(self._clock.now_ns()),
                "limit": host.gate.weights.budget.limit,
                "allowed": host.gate.weights.allowed(False),
                "waiting": host.gate.waiting,
                "blocked_s": host.gate.blocked_s,
                "requests": host.requests,
                "failures": host.failures,
            }
            for product, host in self._hosts.items()
        }

    def blocked_s(self, product: str) -> float:
        """How long nobody may ask this product's host, because the exchange said so."""
        host = self._hosts.get(product)
        return host.gate.blocked_s if host is not None else 0.0

    def roomy(self, request: Request) -> bool:
        """Would half of what ordinary requests may use still be left after this one? For what is not urgent."""
        gate = self._hosts[request.product].gate
        used = gate.weights.used(self._clock.now_ns()) + request.weight
        return not gate.waiting and not gate.blocked_s and used <= gate.weights.allowed(False) / 2

    async def close(self) -> None:
        """Close the sockets; idempotent. Requests that wait or run end with TransportError."""
        self._closed = True
        for host in self._hosts.values():
            host.gate.close(TransportError(f"{self._exchange}: the client is closed"))
        while self._sessions:
            _, session = self._sessions.popitem()
            await session.close()

    # One request

    async def _exchange_bytes(self, host: _Host, request: Request, sent_ns: int) -> Answer:
        """Send and receive, whatever the answer. Raises TransportError; its text never holds the parameters."""
        query = encode(request.params)
        headers = dict(request.headers)
        url = f"{host.base}{request.path}"
        body = None
        if request.body:
            body = query.encode()
            headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
        elif query:
            url = f"{url}?{query}"
        if request.json is not None:
            body = request.json
            headers.setdefault("Content-Type", "application/json")
        where = f"{self._exchange} {request.method} {request.path}"
        try:
            async with self._session(host.local).request(
                request.method,
                URL(url, encoded=True),
                data=body,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
            ) as response:
                raw = await response.read()
                return Answer(
                    raw=raw,
                    status=response.status,
                    sent_ns=sent_ns,
                    recv_ns=self._clock.now_ns(),
                    headers={name.lower(): value for name, value in response.headers.items()},
                )
        except TimeoutError as error:
            raise TransportError(f"{where}: no answer within {self._timeout_s:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # The library's texts may quote the whole address, and with it a signature or a listen key.
            detail = getattr(error, "strerror", None) or type(error).__name__
            raise TransportError(f"{where}: {detail}") from None
        except Exception as error:
            if self._closed:  # the library fails in ways of its own when it is closed under a request
                raise TransportError(f"{where}: the client is closed") from error
            raise

    def _judge(self, host: _Host, request: Request, answer: Answer, *, signed: bool) -> None:
        """Raise what the answer means, and keep the record of the host. A limit of one key does not stop the others:
        who ``signed`` the request waits alone."""
        where = f"{self._exchange} {request.method} {request.path}"
        error = self._error_of(answer.status, answer.raw, answer.headers)
        if answer.status in (418, 429) or isinstance(error, RateLimited):
            limited = self._limited(where, answer, error)
            if not (limited.of_key and signed):
                host.gate.block(limited.retry_after_s)
            self._note_failure(host, request, limited)
            raise limited
        if answer.status >= 300 and not isinstance(error, FeedError):
            beginning = answer.raw[:200].decode(errors="replace")
            error = TransportError(f"{where}: HTTP {answer.status} {beginning}".rstrip())
        if isinstance(error, TransportError):
            error.status = answer.status
        if answer.status >= 500 or isinstance(error, TransportError):
            self._note_failure(host, request, error or TransportError(f"HTTP {answer.status}"))
        else:
            self._note_success(host, request)
        if error is None:
            return
        if isinstance(error, FeedError):
            raise error
        raise ExchangeError(f"{where}: {error}") from error

    @staticmethod
    def _limited(where: str, answer: Answer, error: Exception | None) -> RateLimited:
        waits = [error.retry_after_s] if isinstance(error, RateLimited) else []
        if (header := wait_s(answer.headers.get("retry-after"), answer.recv_ns / 1e9)) is not None:
            waits.append(header)
        longest_s = max(waits) if waits else WAIT_418_S if answer.status == 418 else WAIT_429_S
        why = f"HTTP {answer.status}, wait {longest_s:g} s: {error or 'too many requests'}"
        told = error if isinstance(error, RateLimited) else None
        limited = RateLimited(
            f"{where}: {why}", longest_s, of_key=told is not None and told.of_key, code=told.code if told else None
        )
        limited.status = answer.status
        return limited

    # The host's record

    def _note_failure(self, host: _Host, request: Request, error: Exception) -> None:
        host.failures += 1
        host.failed += 1
        if host.broken_s is None:
            host.broken_s = self._clock.monotonic_s()
            log.warning("rest fails", exchange=self._exchange, product=request.product, error=str(error))

    def _note_success(self, host: _Host, request: Request) -> None:
        if host.broken_s is not None:
            lasted_s = round(self._clock.monotonic_s() - host.broken_s, 1)
            log.info(
                "rest works again",
                exchange=self._exchange,
                product=request.product,
                failed=host.failed,
                lasted_s=lasted_s,
            )
            host.broken_s, host.failed = None, 0

    # Life

    def _check_open(self) -> None:
        if self._closed:
            raise TransportError(f"{self._exchange}: the client is closed")

    def _session(self, local: bool) -> aiohttp.ClientSession:
        if local not in self._sessions:
            self._sessions[local] = aiohttp.ClientSession(
                headers={"User-Agent": "Spreadboard"}, cookie_jar=aiohttp.DummyCookieJar(), trust_env=not local
            )
        return self._sessions[local]


def _count(headers: Mapping[str, str], name: str | None) -> int | None:
    """A header that is a whole number, None if it is not there or no number."""
    text = headers.get(name.lower(), "") if name else ""
    return int(text) if text.isascii() and text.isdigit() else None
