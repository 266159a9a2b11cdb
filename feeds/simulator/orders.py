"""Own orders and their executions, as an account knows them, and the events that tell about them. Pure values."""

from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple, TypeAlias

from feeds.simulator.market import LiveMarket

OPEN = ("NEW", "PARTIALLY_FILLED")


class Rejected(Exception):
    """The exchange refuses an order; ``code`` and text are Binance's."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class OwnOrder:
    """An account's order. Price in ticks (None: market order), sizes in lots, ``value`` in ticks times lots."""

    __slots__ = (
        "buy",
        "client_id",
        "created_ms",
        "engine_id",
        "filled",
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
        now_ms: int,
    ) -> None:
        self.id = id
        self.client_id = client_id
        self.market = market
        self.buy = buy
        self.type = type  # LIMIT, MARKET, LIMIT_MAKER
        self.time_in_force = time_in_force  # GTC, IOC, FOK, GTX
        self.price = price
        self.size = size
        self.quote_size = quote_size  # spot market orders by quote amount
        self.reduce_only = reduce_only
        self.filled = 0
        self.value = 0
        self.status = "NEW"
        self.engine_id: int | None = None  # while it rests in the book
        self.created_ms = self.updated_ms = now_ms

    @property
    def side(self) -> str:
        return "BUY" if self.buy else "SELL"

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
    """One execution of an own order. ``id`` is the public trade's. ``fee`` positive was charged."""

    id: int
    order: OwnOrder
    price: Decimal
    size: Decimal
    maker: bool
    fee: Decimal
    fee_asset: str
    realised: Decimal | None  # futures only
    ms: int

    @property
    def value(self) -> Decimal:
        return self.price * self.size


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

    reason: str  # ORDER, FUNDING_FEE, DEPOSIT, WITHDRAW
    assets: tuple[str, ...]
    markets: tuple[LiveMarket, ...]
    moved: dict[str, Decimal]
    ms: int


AccountEvent: TypeAlias = OrderEvent | WalletEvent
Listener: TypeAlias = Callable[[AccountEvent], None]
