"""Who may open a WebSocket, and watch what: sign-in, accounts that the user may see, existing markets. Looked after
while it is open.

The database is asked when a browser comes, when it names something not known yet, and by one sweep every few seconds
for all browsers of the process together; never for a message of the stream itself.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from importlib import import_module
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

import msgspec
import structlog
from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import Error as DatabaseError
from django.http import HttpRequest, parse_cookie
from django.http.request import split_domain_port, validate_host
from django.utils import timezone

from dashboard import access, auth, records
from dashboard.models import ApiToken, MarketRow
from dashboard.outage import Outage
from dashboard.perloop import PerLoop
from feeds.topics import GLOBAL_KINDS, SYMBOL_KINDS, Topic

log = structlog.get_logger(__name__)

SWEEP_S = 2.0
MARKETS_EVERY = 5  # sweeps
_CHUNK = 500  # rows asked for in one query

Headers = Sequence[tuple[bytes, bytes]]
T = TypeVar("T")
V = TypeVar("V")


class Identity(msgspec.Struct, frozen=True):
    """Who somebody is, and by what: a session's key or a token's row. ``proof`` changes with the user's password."""

    user: int
    session: str = ""
    token: int = 0
    proof: str = ""


class Guest(Protocol):
    """A browser that has been let in. Both calls return at once."""

    identity: Identity
    accounts: set[int]  # that it watches

    def signed_out(self) -> None: ...

    def lost_accounts(self, accounts: Collection[int]) -> None:
        """These are not the user's any more."""


class UnknownTopic(LookupError):
    """There is no such thing for this user; the text is a sentence."""


def header(headers: Headers, name: bytes) -> str | None:
    return next((value.decode("latin1") for key, value in headers if key == name), None)


def own_origin(headers: Headers) -> bool:
    """Does the page that opens this WebSocket come from here? Browsers say truly where a page is from (RFC 6454).

    Its host and port must be those that the request itself was sent to, which must be one of ``ALLOWED_HOSTS`` (else a
    foreign name could be made to point here); or the origin is one of ``CSRF_TRUSTED_ORIGINS``.
    """
    origin, host = header(headers, b"origin"), header(headers, b"host")
    if not origin or not host:
        return False
    if origin in settings.CSRF_TRUSTED_ORIGINS:
        return True
    try:
        parts = urlsplit(origin)
        here = urlsplit(f"//{host}")
        usual = {"http": 80, "https": 443}[parts.scheme]
        same = (parts.hostname, parts.port or usual) == (here.hostname, here.port or usual)
    except (ValueError, KeyError):
        return False
    return same and validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS)


class Doorkeeper(PerLoop):
    """Use by ``async with Doorkeeper.running() as doorkeeper``."""

    def __init__(self) -> None:
        super().__init__()
        self._markets: dict[str, set[str]] = {}
        self._guests: dict[Guest, None] = {}
        self._task: asyncio.Task[None] | None = None
        self._outage = Outage(log, "database")

    async def _start(self) -> None:
        await self._load_markets()
        self._task = asyncio.create_task(self._sweep(), name="doorkeeper")

    async def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def admit(self, guest: Guest) -> None:
        self._guests[guest] = None

    def dismiss(self, guest: Guest) -> None:
        self._guests.pop(guest, None)

    async def identify(self, headers: Headers) -> Identity | None:
        """Who opens this WebSocket: by API token, else by session cookie. None if nobody is signed in."""
        return await database_sync_to_async(_identify)(headers)

    async def check(self, identity: Identity, topics: Iterable[Topic]) -> None:
        """Raises UnknownTopic for the first topic that does not exist for this user.

        Whether there is an exchange of which no market is known (yet), or a symbol that no known exchange has, is left
        for the worker to say: it knows whose instruments are still to come.
        """
        for topic in topics:
            if topic.account is not None:
                if not await database_sync_to_async(_sees)(identity.user, topic.account):
                    raise UnknownTopic(f"{str(topic)!r}: you have no account {topic.account}.")
            elif topic.user is not None:
                if topic.user != identity.user:
                    raise UnknownTopic(f"{str(topic)!r}: this is another user's; yours is portfolio:{identity.user}.")
            elif topic.kind not in (*SYMBOL_KINDS, *GLOBAL_KINDS) and topic.symbol not in self._known(topic):
                await self._look_for(topic)

    def _known(self, topic: Topic) -> Collection[str]:
        return self._markets.get(topic.exchange, ())

    async def _look_for(self, topic: Topic) -> None:
        """Ask the database for a market that is not known: perhaps it is new."""
        loaded = bool(self._known(topic))  # before the question: all of an exchange's come at once
        if await database_sync_to_async(_exists)(topic.exchange, topic.symbol):
            self._markets.setdefault(topic.exchange, set()).add(topic.symbol)
        elif loaded:
            raise UnknownTopic(f"{str(topic)!r}: {topic.exchange} has no market {topic.symbol!r}.")

    async def simulated(self) -> list[str]:
        """Exchanges whose data are made up."""
        return sorted(await database_sync_to_async(records.simulated_exchanges)())

    async def _load_markets(self) -> None:
        markets: dict[str, set[str]] = {}
        for exchange, symbol in await database_sync_to_async(_markets)():
            markets.setdefault(exchange, set()).add(symbol)
        self._markets = markets

    async def _sweep(self) -> None:
        count = 0
        while True:
            await asyncio.sleep(SWEEP_S)
            count += 1
            try:
                await self._look_after_guests()
                if count % MARKETS_EVERY == 0:
                    await self._load_markets()
            except DatabaseError as error:
                self._outage.broke(error)
            else:
                self._outage.works()

    async def _look_after_guests(self) -> None:
        guests = list(self._guests)
        identities = {guest.identity for guest in guests}
        valid = await database_sync_to_async(_still_valid)(identities)
        watching = {(guest.identity.user, account) for guest in guests for account in guest.accounts}
        owned = await database_sync_to_async(access.allowed)(watching) if watching else set()
        for guest in guests:
            if guest.identity not in valid:
                guest.signed_out()
            elif lost := {account for account in guest.accounts if (guest.identity.user, account) in watching - owned}:
                guest.lost_accounts(lost)


# -- the database, synchronously ---------------------------------------------------------------------------------------


def _identify(headers: Headers) -> Identity | None:
    token = auth.bearer(header(headers, b"authorization") or "")
    if token is not None:
        user = auth.user_of_token(token)
        return None if user is None else Identity(user.pk, token=int(token.partition("-")[0]))
    key = parse_cookie(header(headers, b"cookie") or "").get(settings.SESSION_COOKIE_NAME)
    if not key:
        return None
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(key)
    found = get_user(request)
    if not isinstance(found, User) or not found.is_active:
        return None
    return Identity(found.pk, session=key, proof=found.get_session_auth_hash())


def _still_valid(identities: Collection[Identity]) -> set[Identity]:
    """Those whose session or token still stands, and whose user may still sign in."""
    users = _in_chunks(lambda ids: User.objects.filter(pk__in=ids, is_active=True), {i.user for i in identities})
    proofs = {user.pk: user.get_session_auth_hash() for user in users}
    now = timezone.now()
    sessions = {
        session.session_key
        for session in _in_chunks(
            lambda keys: Session.objects.filter(session_key__in=keys, expire_date__gt=now).defer("session_data"),
            {i.session for i in identities if i.session},
        )
    }
    numbers = {i.token for i in identities if i.token}
    tokens = {token.pk for token in _in_chunks(lambda ids: ApiToken.objects.filter(pk__in=ids), numbers)}
    return {
        i
        for i in identities
        if i.user in proofs and (i.token in tokens or (i.session in sessions and i.proof == proofs[i.user]))
    }


def _in_chunks(query: Callable[[list[V]], Iterable[T]], values: Iterable[V]) -> list[T]:
    """The rows of a query for many values, which databases take only so many of at once."""
    ordered = list(values)
    return [row for start in range(0, len(ordered), _CHUNK) for row in query(ordered[start : start + _CHUNK])]


def _sees(user: int, account: int) -> bool:
    return bool(access.allowed([(user, account)]))


def _markets() -> list[tuple[str, str]]:
    return list(MarketRow.objects.values_list("exchange", "symbol").order_by())


def _exists(exchange: str, symbol: str) -> bool:
    return MarketRow.objects.filter(exchange=exchange, symbol=symbol).exists()
