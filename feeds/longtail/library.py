"""The door to ccxt: which exchanges it has, objects of it, what its exceptions mean, and how they are closed for good.

Nothing else of Spreadboard imports ccxt, and this does only when it is asked to: it is an optional package. What is
used of it, by its manual (https://docs.ccxt.com) and as read in the version below: the unified ``watch…`` and
``fetch…`` methods, ``has``, ``markets``, ``timeframes``, ``precisionMode``, ``throttler``, and ``clients`` to close.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

import structlog

from feeds.errors import ConfigError, ExchangeError, FeedError, ParseError, RateLimited, TransportError

log = structlog.get_logger(__name__)

VERSION = "4.5.90"
"""Tested with this one. ccxt changes every day; another one is used with a warning."""

INSTALL = f"pip install ccxt=={VERSION}"

SETTINGS = (
    *("hostname", "urls", "options", "has", "timeout", "rateLimit"),
    *("httpProxy", "httpsProxy", "socksProxy", "wsProxy", "wssProxy", "wsSocksProxy"),
)
"""What a configuration may set on a ccxt object. None of its secrets is among them: nothing here needs a key."""

TICK_SIZE, SIGNIFICANT_DIGITS = 4, 3
"""Of ``precisionMode``; the third one, decimal places, is 2."""

CLOSE_S = 1.5

CLIENTS = 32
"""So many of an object's last WebSocket clients are remembered."""


def load() -> Any:
    """The package ``ccxt.pro``. Raises ConfigError, with what to install, if it is not there."""
    try:
        import ccxt.pro
    except ImportError as error:
        raise ConfigError(f"the package ccxt is not installed; {INSTALL}") from error
    return ccxt.pro


def check(name: str) -> None:
    """Raises ConfigError if ccxt is not installed, or has no such exchange, or no order books of it by stream."""
    pro = load()
    if pro.__version__ != VERSION:
        log.warning("this version of ccxt is not the tested one", version=pro.__version__, tested=VERSION)
    if name not in pro.exchanges:
        raise ConfigError(f"ccxt.pro has no exchange {name}; it has {', '.join(sorted(pro.exchanges))}")
    has = getattr(pro, name)().has
    missing = [method for method in ("watchOrderBook", "fetchOrderBook") if not has.get(method)]
    if missing:
        raise ConfigError(f"ccxt.pro has the exchange {name}, but not its {' and '.join(missing)}, which are needed")


def create(name: str, settings: Mapping[str, object]) -> Any:
    """A ccxt object that keeps to ccxt's own limits. Must be given to :func:`close` in the end.

    It remembers its WebSocket clients, as ``made``: ccxt forgets those that broke, while a task of theirs may run on.
    """
    kind: Any = getattr(load(), name)

    def client(self: Any, url: str) -> Any:
        found = kind.client(self, url)
        if found not in self.made:
            self.made.append(found)
        return found

    exchange = type(name, (kind,), {"client": client})({**settings, "enableRateLimit": True, "newUpdates": True})
    exchange.made = deque(maxlen=CLIENTS)
    exchange.borrows = False
    return exchange


def share(source: Any, target: Any) -> None:
    """Give ``target`` the instruments of ``source``, and one limiter of requests for both."""
    target.set_markets_from_exchange(source)
    target.throttler = source.throttler
    target.borrows = True


async def close(exchange: Any) -> None:
    """Close an object's sockets and sessions, and end every task that it has left. Never raises.

    ccxt ends its keepalive tasks itself, but not a connect that is under way (up to 10 s), nor questions that it asked
    by itself. Such tasks are told by whose method they run: the object's own, one of its WebSocket clients', or one
    of their limiters'.
    """
    try:
        async with asyncio.timeout(CLOSE_S):
            await exchange.close()
    except TimeoutError:
        log.warning("ccxt did not close in time", exchange=exchange.id, seconds=CLOSE_S)
    except Exception as error:  # ccxt raises errors of every kind
        log.warning("ccxt did not close well", exchange=exchange.id, error=repr(error))
    owners = [exchange, *exchange.made, *(client.throttle for client in exchange.made)]
    if not exchange.borrows:
        owners.append(exchange.throttler)
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task() and _runs_for(task, owners)]
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    if exchange.session is not None:
        await exchange.session.close()
        exchange.session = None
    await exchange.close_connector()


def _runs_for(task: "asyncio.Task[Any]", owners: list[Any]) -> bool:
    """Is this a method of one of them, or a function within one?"""
    frame = getattr(task.get_coro(), "cr_frame", None)
    names = () if frame is None else (frame.f_locals.get("self"), frame.f_locals.get("client"))
    return any(name is owner for name in names for owner in owners)


def host(exchange: Any) -> str:
    """Of the first WebSocket that the object has, "" without one."""
    return next((urlsplit(url).hostname or "" for url in exchange.clients or {}), "")


# -- what its exceptions mean ------------------------------------------------------------------------------------------

Kind = Literal["link", "wait", "refused", "desync", "broken"]
"""The connection failed; we asked too much; it does not want us to have this; the book is wrong; ccxt itself failed."""


class Trouble(NamedTuple):
    kind: Kind
    sentence: str


ENDED = Trouble("broken", "ccxt ended the stream without saying why.")

LONGEST = 160


def trouble_of(error: Exception) -> Trouble:
    """What went wrong in one of ccxt's calls, or in reading its result."""
    import ccxt

    said = " ".join(str(error).split())[:LONGEST].rstrip(".") or type(error).__name__
    match error:
        case ParseError():
            return Trouble("broken", f"What ccxt told could not be understood: {said}.")
        case ccxt.InvalidNonce():  # ChecksumError is one
            return Trouble("desync", "ccxt found the order book wrong; it is being rebuilt.")
        case ccxt.RateLimitExceeded() | ccxt.DDoSProtection():
            return Trouble("wait", f"The exchange asks us to wait: {said}.")
        case ccxt.OnMaintenance():
            return Trouble("link", f"The exchange is under maintenance: {said}.")
        case ccxt.RequestTimeout():
            return Trouble("link", f"The exchange did not answer in time: {said}.")
        case ccxt.ExchangeClosedByUser():
            return Trouble("link", "The connection is closed.")
        case ccxt.NetworkError():
            return Trouble("link", f"The connection failed: {said}.")
        case ccxt.ExchangeError():
            return Trouble("refused", f"The exchange refuses: {said}.")
        case ccxt.BadResponse():
            return Trouble("link", f"The exchange's answer makes no sense: {said}.")
        case _:
            return Trouble("broken", f"ccxt failed, {type(error).__name__}: {said}.")


def feed_error(error: Exception) -> FeedError:
    """One of ccxt's exceptions as ours."""
    if isinstance(error, FeedError):
        return error
    trouble = trouble_of(error)
    if trouble.kind == "wait":
        return RateLimited(trouble.sentence, 10.0)
    return ExchangeError(trouble.sentence) if trouble.kind == "refused" else TransportError(trouble.sentence)
