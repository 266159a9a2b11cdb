"""Own orders and their executions, as an account knows them, and the events that tell about them. Pure values."""

from collections.abc import Callable
from decimal import Decimal
from typing import Literal, NamedTuple, TypeAlias

from feeds.simulator.market import LiveMarket

OPEN = ("NEW", "PARTIALLY_FILLED")

Hold: TypeAlias = Literal["both", "long", "short"]
"""Which position of a market is meant: the only one, or in hedge mode one of two."""

Reason: TypeAlias = Literal[
    "insufficient",  # not enough balance, or margin
    "duplicate_client_id",
    "would_take",  # post-only
    "fok",  # cannot be filled at once
    "unknown_order",
    "reduce_only",  # nothing to reduce
    "hold",  # not a position that there is in this mode
    "open_orders",  # in the way of another mode
    "open_positions",
    "no_change",  # the mode is that already
    "price",  # not positive
    "tick",  # not a multiple of the tick
    "size",  # not positive
    "lot",  # not a multiple of the lot
    "min_size",
    "min_notional",
    "no_liquidity",  # nothing to trade with
    "unknown_asset",
]


class Rejected(Exception):
    """An order or transfer is refused. Each exchange puts ``reason`` into its own codes and words."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason: Reason = reason
        self.text = text


class OwnOrder:
    """An account's order. Price in ticks (None: market order), sizes in lots, ``value`` in ticks times lots."""

    __slots__ = (
        "buy",
        "client_id",
        "created_ms",
        "engine_id",
        "filled",
        "hold",
        "id",
        "market",
        "price",
        "quote_size",
        "reduce_only",
        "size",
        "status",
        "time_in_force",
        "type",
        "updated_ms",
        "value",
    )

    def __init__(
        self,
        id: int,
        client_id: str,
        market: LiveMarket,
        *,
        buy: bool,
        type: str,
        time_in_force: str,
        price: int | None,
        size: int,
        quote_size: Decimal = Decimal(0),
        reduce_only: bool = False,
        hold: Hold = "both",
        now_ms: int,
    ) -> None:
        self.id = id
        self.client_id = client_id
        self.market = market
        self.buy = buy
        self.type = type  # LIMIT, MARKET, LIMIT_MAKER (post-only)
        self.time_in_force = time_in_force  # GTC, IOC, FOK, GTX (post-only)
        self.price = price
        self.size = size
        self.quote_size = quote_size  # spot market orders by quote amount
        self.reduce_only = reduce_only
        self.hold: Hold = hold
        self.filled = 0
        self.value = 0
        self.status = "NEW"
        self.engine_id: int | None = None  # while it rests in the book
        self.created_ms = self.updated_ms = now_ms

    @property
    def side(self) -> str:
        return "BUY" if self.buy else "SELL"

    @property
    def closes(self) -> bool:
        """In hedge mode: it can only make its position smaller."""
        return self.hold == ("short" if self.buy else "long")

    @property
    def post_only(self) -> bool:
        return self.type == "LIMIT_MAKER" or self.time_in_force == "GTX"

    @property
    def left(self) -> int:
        return self.size - self.filled

    @property
    def quote_filled(self) -> Decimal:
        """What was paid or received so far, in quote currency, exactly."""
        i = self.market.instrument
        return self.value * i.tick * i.lot

    @property
    def average(self) -> Decimal:
        """Average price of the executions; 0 without any."""
        return self.market.instrument.tick * Decimal(self.value) / self.filled if self.filled else Decimal(0)


class OwnFill(NamedTuple):
    """One execution of an own order. ``id`` is the public trade's, ``number`` rises over all fills of the exchange.

    ``fee`` positive was charged.
    """

    id: int
    order: OwnOrder
    price: Decimal
    size: Decimal
    maker: bool
    fee: Decimal
    fee_asset: str
    realised: Decimal | None  # futures only
    ms: int
    number: int

    @property
    def value(self) -> Decimal:
        return self.price * self.size


MovementKind: TypeAlias = Literal["deposit", "withdrawal", "funding", "other"]


class Movement(NamedTuple):
    """Money that came or went other than by trading. ``amount`` is positive if it came."""

    id: int
    kind: MovementKind
    wallet: str
    asset: str
    amount: Decimal
    market: LiveMarket | None  # whose funding it is
    ms: int
    name: str = ""  # of "other": what the exchange calls it


class OrderEvent(NamedTuple):
    """Something happened to an order: ``what`` is NEW, TRADE, CANCELED or EXPIRED; ``fill`` comes with TRADE.

    ``request_id`` is the client id of the request that cancelled it.
    """

    what: str
    order: OwnOrder
    fill: OwnFill | None
    request_id: str
    ms: int


class WalletEvent(NamedTuple):
    """Balances (and positions) that may have changed. ``moved`` are amounts that came or went other than by trading."""

    reason: str  # ORDER, FUNDING_FEE, DEPOSIT, WITHDRAW, ADJUSTMENT
    assets: tuple[str, ...]
    markets: tuple[LiveMarket, ...]
    moved: dict[str, Decimal]
    ms: int


AccountEvent: TypeAlias = OrderEvent | WalletEvent
Listener: TypeAlias = Callable[[AccountEvent], None]
