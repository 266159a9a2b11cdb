"""What the feeds speak of about an account: balances, positions, orders, fills, and what a private stream tells.

Units are those of ``domain``.
"""

from decimal import Decimal
from typing import Literal, TypeAlias

from feeds.domain import Ack, Closing, Heartbeat, Notice, Rejected, Side, Value


class Balance(Value, frozen=True, kw_only=True):
    """One asset of one account and product. ``total`` is the wallet's balance, without unrealised profit.

    ``free`` is what may be used for a new order; ``None`` where only a REST answer can tell and none is there yet.
    ``asof_ms`` is the exchange's time that the figure speaks of: the event's, or for a REST answer the moment the
    question was sent, by the exchange's clock. Of two figures the one with the later ``asof_ms`` holds. ``strategies``
    is what of ``total`` the exchange's own trading bots hold: what they do with it, no fill tells.
    """

    product: str
    asset: str
    total: Decimal
    strategies: Decimal = Decimal(0)
    free: Decimal | None = None
    locked: Decimal | None = None
    asof_ms: int


class Position(Value, frozen=True, kw_only=True):
    """An open position, or a closed one if ``size`` is 0. ``size`` is signed: negative is short.

    ``side`` is "both" in one-way mode, "long" or "short" in hedge mode. ``apart`` tells from each other the positions
    of one market and side, where an exchange keeps several (OKX: "isolated" beside the crossed one); else it is "".
    ``mark`` and ``unrealised`` (in ``settle``) are the exchange's at ``asof_ms``; the screen's come from live marks,
    and are then in the quote currency.
    """

    product: str
    symbol: str
    side: Literal["both", "long", "short"]
    apart: str = ""
    size: Decimal
    entry: Decimal
    mark: Decimal | None = None
    unrealised: Decimal | None = None
    liquidation: Decimal | None = None  # None: none
    leverage: Decimal | None = None
    margin: Decimal | None = None  # set aside for it, in ``settle``
    margin_mode: str | None = None  # "cross" or "isolated"
    settle: str | None = None  # asset of profit and margin
    asof_ms: int


def closes(side: Side, position_side: str) -> bool:
    """In hedge mode: can an order of this side, about this position ("long" or "short"), only make that smaller?"""
    return (side, position_side) in (("sell", "long"), ("buy", "short"))


class Order(Value, frozen=True, kw_only=True):
    """An order's state. ``status``: "open", "partial", "filled", "canceled", "rejected", "expired".

    ``reduce_only``: it can only make a position smaller; in hedge mode every order that closes does, see ``closes``.
    """

    product: str
    symbol: str
    id: str
    client_id: str | None = None
    side: Side
    type: str  # "limit", "market", or the exchange's own word in lower case
    price: Decimal | None = None
    size: Decimal
    filled: Decimal
    average: Decimal | None = None
    status: str
    reduce_only: bool = False
    time_in_force: str | None = None
    created_ms: int | None = None
    updated_ms: int


class Fill(Value, frozen=True, kw_only=True):
    """One execution of an own order. ``(symbol, id)`` is unique within an account.

    ``fee`` positive was charged, negative was paid to us (a rebate); ``fee_asset`` may be a third currency.
    ``realised`` is the exchange's realised profit of this fill, where it gives one. ``margin``: of a pair, on borrowed
    money. It made or closed a position; what it did to the balances, profit and fee, is told as a transfer.
    """

    product: str
    symbol: str
    id: str
    order_id: str
    client_id: str | None = None
    side: Side
    price: Decimal
    size: Decimal
    fee: Decimal | None = None  # None: not told (yet); 0: none
    fee_asset: str | None = None
    maker: bool | None = None
    realised: Decimal | None = None
    position_side: str | None = None
    margin: bool = False
    exchange_ms: int


TransferKind: TypeAlias = Literal["deposit", "withdrawal", "internal", "fee", "funding", "interest", "income", "other"]
FROM_OUTSIDE: frozenset[TransferKind] = frozenset({"deposit", "withdrawal", "internal"})
"""What is neither earned nor spent by the account: a day's profit leaves it out."""
PROFITS: frozenset[TransferKind] = frozenset({"fee", "funding", "interest", "income"})
"""What is realised by being paid."""


class Transfer(Value, frozen=True, kw_only=True):
    """Money that came or went, not by a fill. ``id`` is unique within an account and ``kind``.

    ``amount`` is signed: positive came into this account. ``kind`` "internal" is a transfer between accounts or wallets
    of one owner, "fee" what was charged apart from the fills that it is of, "funding" what the holders of a perpetual
    contract pay each other, "interest" what was paid for borrowing or earned by lending, "income" a dividend, a reward,
    a rebate; "other" changed the balance and is none of these (a conversion, a correction). ``note`` is the exchange's
    own name of it, where the kind says less. ``status`` "done" is in the balance; "pending" is not (yet); "failed"
    never will be.
    """

    product: str
    id: str
    kind: TransferKind
    asset: str
    amount: Decimal
    symbol: str | None = None  # the market that it is of, if of one
    note: str = ""
    fee: Decimal | None = None  # in ``asset``, not contained in ``amount``
    status: Literal["done", "pending", "failed"] = "done"
    exchange_ms: int


class Finding(Value, frozen=True, kw_only=True):
    """Something that did not agree between streams and REST (see ``following.reconcile``); shown until it holds again.
    A foreign order is shown for a day (see ``following.foreign``).

    ``cause`` is the same for the same trouble: one notice per cause. ``expected`` is what the streams told, ``found``
    what REST tells, both as text. ``count``: how often it happened since the notice was opened.
    """

    kind: Literal["missed_fill", "unexplained_balance", "foreign_order", "lost_order"]
    cause: str
    sentence: str
    expected: str = ""
    found: str = ""
    asof_ms: int
    count: int = 1


class Checked(Value, frozen=True, kw_only=True):
    """A wallet that was held against everything told, and its balances as of ``asof_ms``: with this the check goes on
    after a stop. ``booked`` names the fills and transfers of about that time which are in it: (symbol or kind, id).
    ``only_here``: the user had said by then that nobody else trades on the account."""

    product: str
    totals: dict[str, Decimal]
    asof_ms: int
    booked: tuple[tuple[str, str], ...] = ()
    only_here: bool = False


class Reply(Value, frozen=True, kw_only=True):
    """What a private session wants sent now, in answer to what it has read: subscriptions once it is logged in, a
    challenge with its signature."""

    messages: tuple[str, ...]


class Expired(Value, frozen=True, kw_only=True):
    """A private stream's login, token or listen key is no longer valid: log in anew."""

    reason: str


class AccountChanged(Value, frozen=True, kw_only=True):
    """Something changed that only a REST answer tells fully (funding, transfer, leverage): ask again soon.

    ``fills_in``: an order in this market was filled, and only REST tells the fills: they are asked for at once.
    ``by_order``: an order did it; no money came or went from outside.
    """

    reason: str
    fills_in: str | None = None
    by_order: bool = False


class UnknownMarket(Value, frozen=True, kw_only=True):
    """A fill came in a market that the instrument list does not have (yet): its name is not known, so it cannot be
    stored under it. It is read by REST when the list has it."""

    product: str
    native: str


class FillTold(Value, frozen=True, kw_only=True):
    """The stream told of a fill without the id that the exchange's lists give it, so it cannot be stored: it is read
    there, at once. ``price`` and ``size`` are this execution's."""

    symbol: str
    order_id: str
    price: Decimal
    size: Decimal


class TradedElsewhere(Value, frozen=True, kw_only=True):
    """An execution of a product that is not followed, or that nobody here can name (an option), and that is paid from
    a wallet which is followed; or a change of a wallet that only the stream tells. ``assets``: what it may have
    changed; () if that is not known. ``amount``: what came of the only asset (negative: went), if that is told. ``id``
    is unique within the stream."""

    id: str
    what: str  # in the exchange's words, for a person to recognise
    assets: tuple[str, ...] = ()
    amount: Decimal | None = None
    exchange_ms: int


PrivateEvent: TypeAlias = (
    Balance
    | Position
    | Order
    | Fill
    | FillTold
    | UnknownMarket
    | Reply
    | Expired
    | AccountChanged
    | TradedElsewhere
    | Ack
    | Rejected
    | Heartbeat
    | Notice
    | Closing
)
