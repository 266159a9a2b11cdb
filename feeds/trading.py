"""What an exchange needs for placing and cancelling orders, where a user has switched that on. No I/O here.

The rule that makes a retry safe: an order gets its ``client_id`` before it is sent for the first time, and is never
sent a second time before the exchange has said, asked by that id, that it does not have it. A request that was not
answered may have arrived; one that was refused in the exchange's own words has not become an order. That we ask too
much is no such word by itself: "busy" may be said of an order that was taken.
"""

from decimal import Decimal
from typing import Literal, Protocol, runtime_checkable

from feeds.account_domain import Order
from feeds.domain import Side, Value
from feeds.errors import ExchangeError, RateLimited
from feeds.exchange import Request

HedgedSide = Literal["long", "short"]


class NewOrder(Value, frozen=True, kw_only=True):
    """An order to place. ``size`` in base currency; ``price`` None is a market order.

    ``post_only``: refused, or ended by the exchange, where it would take. ``reduce_only``: of derivatives only.
    """

    symbol: str
    side: Side
    size: Decimal
    price: Decimal | None
    client_id: str
    post_only: bool = False
    reduce_only: bool = False
    time_in_force: Literal["GTC", "IOC", "FOK"] = "GTC"

    @property
    def hedged_side(self) -> HedgedSide:
        """Which of the two positions of a market in hedge mode it is about: one that only reduces closes the other
        side's, any other opens its own side's."""
        return "long" if (self.side == "buy") is not self.reduce_only else "short"


@runtime_checkable
class TradingApi(Protocol):
    """What an :class:`feeds.account.AccountApi` has besides, whose exchange takes orders by REST. Pure.

    All requests are signed by ``AccountApi.sign`` like the others.
    """

    def new_client_id(self) -> str:
        """One that no order has yet, in the form that the exchange accepts; unguessable and unique for ever."""

    def place_request(self, order: NewOrder) -> Request:
        """Raises ExchangeError, with a sentence, for what the exchange does not offer (post-only orders, say)."""

    def parse_placed(self, order: NewOrder, raw: bytes, asof_ms: int) -> Order:
        """The order as far as the answer tells; what it does not tell is as it was asked for, with status "open".

        Raises ExchangeError, in the exchange's words, where the answer is good HTTP and yet a refusal.
        """

    def find_request(self, symbol: str, client_id: str) -> Request:
        """Asks for the order with this client id: what has become of a request without an answer?"""

    def parse_found(self, symbol: str, client_id: str, raw: bytes) -> Order | None:
        """None: the exchange has no such order."""

    def unknown_order(self, error: ExchangeError) -> bool:
        """Does this refusal say that there is no such order (any more)?"""

    def leaves_open(self, error: ExchangeError | RateLimited) -> bool:
        """After this answer to an order, may the order stand? True where the exchange does not know itself what has
        become of it; and where it asks us to wait, unless its documentation makes certain that what it answers so was
        not done."""

    def cancel_request(self, order: Order) -> Request: ...

    def parse_cancelled(self, order: Order, raw: bytes) -> None:
        """Raises ExchangeError where the answer is good HTTP and yet a refusal. How the order ended, the stream and the
        list of open orders tell."""

    def cancel_all_requests(self, symbols: tuple[str, ...]) -> list[Request]:
        """Cancel all open orders of the account, which are in these markets; several where the exchange takes them
        market by market or product by product."""

    def parse_cancelled_all(self, request: Request, raw: bytes) -> None:
        """Raises ExchangeError where the answer is good HTTP and yet a refusal."""

    def dead_man_requests(self, timeout_s: int, symbols: tuple[str, ...]) -> list[Request]:
        """Have the exchange cancel all open orders unless this is asked again within ``timeout_s``; 0 ends it.
        [] where the exchange has no such switch."""


@runtime_checkable
class HedgeMode(Protocol):
    """What a :class:`TradingApi` has besides, whose accounts keep either one position of a market or, in hedge mode, a
    long and a short one: then an order must name the one that it is about.

    The owner may change the mode at any time. What is known of it may be old; an order that does not fit is refused.
    """

    def mode_request(self, symbol: str) -> Request | None:
        """Asks for what an order in this market must fit; None where that is known or does not matter."""

    def take_mode(self, symbol: str, raw: bytes) -> None:
        """Keep the answer. Raises ParseError."""

    def in_hedge_mode(self) -> bool:
        """Is any market known to be in hedge mode?"""

    def doubt_mode(self, symbol: str, error: ExchangeError) -> None:
        """An order in this market was refused so: if the mode may be why, it is not known any more."""


@runtime_checkable
class FindsInTwo(Protocol):
    """What a :class:`TradingApi` has besides, whose exchange tells open and ended orders apart.

    None from ``parse_found`` says only that the one list does not have it: first the open orders are asked, then the
    others (an order may go from the first to the second meanwhile, but not back).
    """

    def find_closed_request(self, symbol: str, client_id: str) -> Request:
        """Asks for the order among those that are open no more; ``TradingApi.parse_found`` reads the answer."""


@runtime_checkable
class FindsOpen(Protocol):
    """A :class:`TradingApi` whose exchange is not known to find an order that has been filled: one that it does not
    have may have been, and is never said to be absent."""

    finds_open_only: bool
