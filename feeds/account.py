"""What the account side of an exchange is: credentials, signed requests, a private session. No I/O here either.

The rule for fills, everywhere: one row per (account, symbol, fill id), **stored before shown**. Fills arrive by stream,
by REST after every start and reconnect, and again by REST; the store tells which were new. Progress of the REST
history is a *cursor* per symbol, moved only in the transaction that stores a page: a fill that came by stream never
moves it, so a worker that dies with older fills still missing reads them at its next start.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Protocol, runtime_checkable

import msgspec

from feeds.account_domain import Balance, Fill, Order, Position, PrivateEvent, Transfer, UnknownMarket
from feeds.domain import Rejected
from feeds.errors import ExchangeError
from feeds.exchange import Facts, MarketIndex, Request


class Credentials(msgspec.Struct, frozen=True):
    """An exchange API key. ``repr`` shows no secret."""

    key: str
    secret: str
    passphrase: str = ""

    def __repr__(self) -> str:
        return f"Credentials({self.fingerprint})"

    @property
    def fingerprint(self) -> str:
        """Enough to tell keys apart, too little to use: the key's first four and last two characters."""
        return f"{self.key[:4]}…{self.key[-2:]}" if len(self.key) >= 12 else "…"

    @property
    def parts(self) -> tuple[str, ...]:
        """What no text may hold."""
        return tuple(part for part in (self.secret, self.passphrase, self.key) if part)

    def cut_from(self, text: str) -> str:
        """``text`` without the key's parts: no text of ours holds them, an exchange's may quote what it was sent."""
        for part in self.parts:
            text = text.replace(part, "…")
        return text


class AccountSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One account to follow. ``id`` is the store's number; ``symbols`` are always asked for fills.

    ``trading``: orders may be placed here. ``only_here``: nobody else trades on it, so an order that is not ours is
    told as a finding. ``cancel_on_stop``: a stop cancels all open orders. ``dead_man_s``: so long after our last
    sign of life the exchange shall cancel them by itself; 0: never.
    """

    id: int
    exchange: str
    label: str
    credentials: Credentials
    products: tuple[str, ...]
    symbols: tuple[str, ...] = ()
    poll_s: float = 5.0
    trading: bool = False
    only_here: bool = False
    cancel_on_stop: bool = False
    dead_man_s: int = 0


class KeyRights(msgspec.Struct, frozen=True):
    """What a key may do, as the exchange says. ``None``: the exchange cannot be asked."""

    read: bool | None
    trade: bool | None
    withdraw: bool | None
    withdraw_name: str = ""  # the exchange's own name of the permission


class PrivateSession(Protocol):
    """One private connection's protocol, like :class:`feeds.exchange.Session`."""

    def opening(self, now_ms: int) -> list[str]:
        """Login and subscription messages; ``now_ms`` is the exchange's time. [] where the address alone subscribes:
        then the subscription stands as soon as the socket is open, and no ``Ack`` comes."""

    def keepalive(self) -> str | None: ...

    def parse(self, raw: bytes | str) -> list[PrivateEvent]:
        """Events of one frame, in order. ``Ack`` tells that the subscription stands, ``Rejected`` that it was
        refused (what to make of that: :meth:`AccountApi.refusal`). Raises ParseError only."""


class PrivateRoute(msgspec.Struct, frozen=True, kw_only=True):
    """A private connection: where, and how it is kept valid.

    ``product`` is that of its host, whose clock its login uses; ``covers`` are the products of which it tells (left
    out: that one).

    ``token_request`` (signed) gives what the URL or the login needs, ``renew_request`` extends it every
    ``renew_s`` seconds; both are ``None`` where login messages suffice.

    ``names_fills``: fills come by it with the ids that REST gives them; else as ``FillTold``.
    ``tells_fills``: else it tells orders alone, and how far they are filled (``AccountChanged.fills_in``).
    """

    name: str
    product: str
    facts: Facts  # of this connection
    token_request: Request | None = None
    renew_request: Request | None = None
    renew_s: float | None = None
    covers: tuple[str, ...] = ()
    names_fills: bool = True
    tells_fills: bool = True

    @property
    def subjects(self) -> tuple[str, ...]:
        """The products of which it tells."""
        return self.covers or (self.product,)


class FillPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of own fills, in itself oldest first.

    ``next``: where to ask on, at once; None if this was the last page so far. ``whole``: everything up to the newest
    fill of this page and the pages since the last whole one is told; False within a stretch that the exchange tells
    newest first: what is stored of the progress does not move before the stretch's last page. ``reached``: progress
    to store where no fill marks it, such as the end of a window of time; only with ``whole``, and only if nothing can
    come to lie before it any more. ``unlisted``: fills that cannot be named, see :class:`UnknownMarket`.
    """

    fills: list[Fill]
    next: str | None = None
    whole: bool = True
    reached: str | None = None
    unlisted: tuple[UnknownMarket, ...] = ()


class KeyLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What an exchange allows each key by itself, beside the budget of the host.

    A counter of ``most`` points is raised by every request and falls by ``decay_per_s``; ``reserve`` of it is for what
    is urgent. ``one_at_a_time``: requests must arrive in the order of their nonces.
    """

    most: float
    decay_per_s: float
    reserve: float = 0.0
    one_at_a_time: bool = False


@runtime_checkable
class LimitsKeys(Protocol):
    """What an :class:`AccountApi` has besides, whose exchange counts each key by itself."""

    key_limits: KeyLimits

    def key_cost(self, request: Request) -> float:
        """What this request adds to the key's counter."""


class AccountApi(Protocol):
    """The private side of one exchange for one account. Pure: builds requests, reads answers.

    What not every exchange has, has a protocol of its own, asked for by ``isinstance``: :class:`TellsRights`,
    :class:`GivesTokens`, :class:`HasSettings`, :class:`HasPositions`, :class:`TellsTransfers` and more below.
    """

    def ready(self) -> bool:
        """Are the instruments of the account's products known? Before that nothing can be named."""

    def sign(self, request: Request, now_ms: int) -> Request:
        """The request with key header, time and signature; ``now_ms`` is the exchange's time."""

    def clocks(self) -> tuple[str, ...]:
        """The products (hosts) whose clock is measured: all of which anything signed is asked."""

    def time_request(self, product: str) -> Request: ...

    def parse_time(self, product: str, raw: bytes) -> int:
        """The exchange's clock, ms."""

    def clock_error(self, error: ExchangeError) -> bool:
        """Was the request refused for its time alone? Then measure the clock anew and ask again."""

    def refusal(self, rejected: Rejected) -> ExchangeError:
        """What a refused login or subscription means: CredentialsError if trying again cannot help."""

    def routes(self) -> list[PrivateRoute]: ...

    def url(self, route: PrivateRoute, token: str | None) -> str: ...

    def session(self, route: PrivateRoute, token: str | None) -> PrivateSession: ...

    def balances_requests(self) -> list[Request]: ...

    def parse_balances(self, request: Request, raw: bytes, asof_ms: int) -> list[Balance]:
        """All non-zero balances of that product: what is missing is zero."""

    def orders_requests(self) -> list[Request]: ...

    def parse_orders(self, request: Request, raw: bytes) -> list[Order]:
        """All open orders of that product."""

    def candidates(self, balances: Sequence[Balance]) -> set[str]:
        """Symbols that may have been traded by an account that holds these, or whose ledger named them: asked for fills
        at every start, where the exchange tells fills only symbol by symbol."""

    def product_of(self, symbol: str) -> str | None:
        """The product that this symbol, or list of fills, belongs to; None if the exchange does not list it."""

    def symbol_of(self, product: str, native: str) -> str | None:
        """The symbol of an exchange's own name; None if the exchange does not list it."""

    def fill_lists(self) -> tuple[str, ...]:
        """The account's histories of fills over many markets, by names of their own that no symbol has ("linear"); ()
        where the exchange tells fills market by market."""

    def fill_list(self, symbol: str) -> str:
        """The list that tells this market's fills: one of those, or the symbol itself where each has its own."""

    def fills_request(self, name: str, cursor: str | None) -> Request:
        """A page of own fills after ``cursor``; ``None``: from the beginning. ``name``: a fill list.

        ``cursor`` is a stored one (of :meth:`cursor_of` or ``FillPage.reached``) or ``FillPage.next``.
        Raises ExchangeError for a symbol that the exchange does not list.
        """

    def parse_fills(self, name: str, cursor: str | None, raw: bytes, settled_ms: int) -> FillPage:
        """The page that answered. What is older than ``settled_ms`` (the exchange's clock) changes no more."""

    def cursor_of(self, fill: Fill) -> str:
        """The cursor that continues after this fill. Fills of the same moment may be told again, none is left out."""


@runtime_checkable
class TellsRights(Protocol):
    """What an :class:`AccountApi` has besides, whose exchange can be asked what a key may do."""

    def rights_request(self) -> Request: ...

    def parse_rights(self, raw: bytes) -> KeyRights: ...


@runtime_checkable
class GivesTokens(Protocol):
    """What an :class:`AccountApi` has besides, if one of its routes has a ``token_request``."""

    def parse_token(self, route: PrivateRoute, raw: bytes) -> str: ...


@runtime_checkable
class HasSettings(Protocol):
    """What an :class:`AccountApi` has besides, whose exchange tells apart from the positions how an account is set
    (leverage, margin mode)."""

    def settings_requests(self) -> list[Request]:
        """[] if there is nothing to ask of the products that are followed."""

    def take_settings(self, request: Request, raw: bytes) -> None:
        """Keep such an answer: the positions, the sessions and orders complete their figures from it."""


@runtime_checkable
class HasPositions(Protocol):
    """What an :class:`AccountApi` has besides, whose exchange trades derivatives."""

    def positions_requests(self) -> list[Request]:
        """[] if none of the products that are followed has positions."""

    def parse_positions(self, request: Request, raw: bytes, asof_ms: int) -> list[Position]:
        """All open positions of that product: what is missing is closed."""


@runtime_checkable
class TellsTransfers(Protocol):
    """What an :class:`AccountApi` has besides, whose exchange tells of money from outside."""

    def transfers_requests(self, since_ms: int) -> list[Request]:
        """Deposits, withdrawals and internal transfers since then; [] if of the products that are followed it tells
        none."""

    def parse_transfers(self, request: Request, raw: bytes) -> list[Transfer]: ...


@runtime_checkable
class Remarks(Protocol):
    """What an :class:`AccountApi` has besides, whose exchange says of an account what its owner should know."""

    def remark(self) -> str:
        """As a sentence, from the last answers; "" if there is nothing to say."""


@runtime_checkable
class HasWallets(Protocol):
    """What an :class:`AccountApi` has besides, that tells several wallets, none of which is a traded product."""

    def wallet_of(self, product: str) -> str:
        """The product of the balances that what is traded as ``product`` is paid from."""


def supersedes(new: Order, old: Order) -> bool:
    """May ``new`` replace ``old``, both of one order?

    An order that has ended never opens again, and what is filled stays filled: so the ended one, then the more filled,
    then the later wins. Not by time first: the answer to its placing bears our estimate of the exchange's clock, its
    fills that of the machine which matched them, and a few milliseconds between the two would take back the end.
    """
    return _progress(new) >= _progress(old)


def _progress(order: Order) -> tuple[bool, Decimal, int]:
    return order.status not in OPEN_STATUSES, order.filled, order.updated_ms


OPEN_STATUSES = frozenset({"open", "partial"})
"""Values of ``Order.status`` of an order that can still be filled."""

LISTED_MS = 5_000
"""A list of open orders may lack one that is so young: it is made from a copy of the exchange's database that is a
moment late, and by another clock than that of the order's time."""


AccountApiFactory = Callable[[AccountSpec, MarketIndex, Mapping[str, str]], AccountApi]
"""(account, the exchange's markets, its endpoints) -> its private side."""
