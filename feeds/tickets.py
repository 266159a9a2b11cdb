"""What a user wishes to order, checked against the market's rules, and what has become of it. Pure.

A ticket is written down before anything is sent, under the key that the user's click has given it: so the same click
told twice is one order, and a worker that dies meanwhile finds out at its next start what became of it.
"""

from decimal import Decimal
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec

from feeds.account_domain import Order
from feeds.domain import Market, Side, Value
from feeds.errors import ExchangeError
from feeds.trading import NewOrder

TicketState = Literal["sent", "placed", "refused", "absent", "unsure"]
"""``sent``: under way, or the worker died. ``placed``: the exchange has the order. ``refused``: it said no. ``absent``:
it was not answered, and the exchange says that it does not have it. ``unsure``: nobody can tell yet."""


class Refused(ExchangeError):
    """Not ordered, not cancelled. The text is the sentence for the user, in the exchange's words where they are its."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class Wish(Value, frozen=True, kw_only=True):
    """What the user wants; ``price`` None is a market order. Sizes in base currency."""

    symbol: str
    side: Side
    size: Decimal
    price: Decimal | None = None
    post_only: bool = False
    reduce_only: bool = False
    time_in_force: Literal["GTC", "IOC", "FOK"] = "GTC"

    def order(self, client_id: str) -> NewOrder:
        return NewOrder(client_id=client_id, **{name: getattr(self, name) for name in self.__struct_fields__})


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """A wish on its way. ``key`` is unique within an account; times are UTC."""

    key: str
    wish: Wish
    client_id: str
    state: TicketState
    sentence: str = ""
    order_id: str = ""
    sent_ns: int

    @property
    def ended(self) -> bool:
        return self.state in ("placed", "refused")

    def shown(self) -> dict[str, Any]:
        """As the REST API answers."""
        return {
            "key": self.key,
            "client_id": self.client_id,
            "state": self.state,
            "sentence": self.sentence,
            "order_id": self.order_id or None,
        }


@runtime_checkable
class TicketStore(Protocol):
    """Where tickets live, and the orders that may be cancelled. Durable when it returns."""

    async def put_ticket(self, account: int, ticket: Ticket) -> None:
        """New, or in place of the one with this key."""

    async def ticket(self, account: int, key: str) -> Ticket | None: ...

    async def open_tickets(self, account: int) -> list[Ticket]:
        """Those of which it is not known what became of them: sent or unsure, oldest first."""

    async def ordered(self, account: int) -> list[tuple[str, str, str]]:
        """Of all tickets: client order id, symbol, and the exchange's number ("" if it has not been told)."""

    async def stored_order(self, account: int, symbol: str, order_id: str) -> Order | None:
        """As far as it is known; None if it is not."""


def check(wish: Wish, market: Market | None) -> None:
    """Raises Refused, naming the field and its value, for what the market's rules exclude."""
    if market is None:
        raise Refused(f"The exchange lists no market {wish.symbol}.")
    if market.status != "trading":
        raise Refused(f"{wish.symbol} does not trade at the moment: the exchange says {market.status!r}.")
    if not wish.size.is_finite() or wish.size <= 0:
        raise Refused(f"The size must be above zero, not {wish.size}.")
    if market.lot and wish.size % market.lot:
        raise Refused(f"The size {wish.size:f} is no multiple of {market.lot:f}, the smallest step in {wish.symbol}.")
    if wish.size < market.min_size:
        raise Refused(f"The size {wish.size:f} is below {market.min_size:f}, the smallest order in {wish.symbol}.")
    if wish.reduce_only and market.settle is None:
        raise Refused(f"Reduce-only is for positions; {wish.symbol} has none.")
    if wish.price is None:
        if wish.post_only:
            raise Refused("A market order always takes: it cannot be post-only.")
        return
    if not wish.price.is_finite() or wish.price <= 0:
        raise Refused(f"The price must be above zero, not {wish.price}.")
    if market.tick and wish.price % market.tick:
        raise Refused(f"The price {wish.price:f} is no multiple of {market.tick:f}, the tick of {wish.symbol}.")
    if wish.post_only and wish.time_in_force != "GTC":
        raise Refused(f"A post-only order rests: it cannot be {wish.time_in_force}.")
    notional = wish.price * wish.size
    if notional < market.min_notional and not wish.reduce_only:
        raise Refused(f"The notional {notional:f} is below {market.min_notional:f}, the least in {wish.symbol}.")
