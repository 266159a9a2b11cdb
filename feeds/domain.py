"""What the feeds speak of: immutable values, in the field's own words.

Units, everywhere in the project:

* prices are in quote currency per unit of base, sizes in base currency (contracts are converted by the adapter);
* money, prices and sizes of trades, candles, orders, fills, positions and balances are ``Decimal``;
* order book levels are ``float`` pairs: a book is a picture, and a float of a printed decimal keeps all its digits (up
  to 15) and serves as an exact dictionary key, since equal text always gives the equal float;
* times carry their unit in the name: ``exchange_ms`` is the exchange's clock, ``recv_ns`` ours, both UTC since 1970.

``symbol`` is the unified one, ``BTC/USDT`` (spot) or ``BTC/USDT:USDT`` (perpetual), ``native`` the exchange's own.
"""

import enum
from decimal import Decimal
from typing import Literal, TypeAlias

import msgspec

Level: TypeAlias = tuple[float, float]
"""One price level: (price, absolute size). Size 0 in a delta removes the level."""

Side: TypeAlias = Literal["buy", "sell"]

INTERVALS: dict[str, int] = {
    "1m": 60_000,
    "5m": 300_000,
    "15m": 900_000,
    "1h": 3_600_000,
    "4h": 14_400_000,
    "1d": 86_400_000,
}
"""Candle intervals that every exchange offers, with their length in milliseconds."""


class StreamState(enum.StrEnum):
    """How far a market's data may be trusted. Decided by data received, never by an open socket."""

    CONNECTING = "CONNECTING"  # no connection yet, or one being made
    SYNCING = "SYNCING"  # connected and subscribed, book not complete yet
    LIVE = "LIVE"  # the book equals the exchange's, data flow
    QUIET = "QUIET"  # nothing new, and the exchange confirms that there is nothing new
    SLOW = "SLOW"  # right, but late: frames wait in our buffer
    STALE = "STALE"  # silence that nothing explains: old, and shown as old
    RESYNC = "RESYNC"  # a gap, a wrong checksum or a crossed book: dropped, being rebuilt
    POLLED = "POLLED"  # snapshots by REST, because the stream keeps failing
    DOWN = "DOWN"  # the exchange refuses or cannot be reached

    def __init__(self, name: str) -> None:
        self.usable = name in ("LIVE", "QUIET", "SLOW", "POLLED")
        """May this market take part in spreads, marks and alerts? Asked too often to be looked up each time."""


BUILDING = frozenset({StreamState.CONNECTING, StreamState.SYNCING, StreamState.RESYNC, StreamState.DOWN})
"""States in which there is no book to show."""


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all values: immutable, keyword only, compared by content."""


# -- markets ---------------------------------------------------------------------------------------------------------


class Market(Value, frozen=True, kw_only=True):
    """An instrument, as the exchange lists it."""

    exchange: str
    symbol: str
    native: str
    product: str  # "spot" or "usdm": which of the exchange's products it belongs to
    base: str
    quote: str
    settle: str | None = None  # None for spot
    tick: Decimal  # smallest price step
    lot: Decimal  # smallest size step, in base currency
    contract_size: Decimal = Decimal(1)  # base currency of one contract, where the exchange counts in contracts
    min_size: Decimal = Decimal(0)
    min_notional: Decimal = Decimal(0)
    status: str = "trading"  # "trading", or the exchange's own word in lower case
    book_of: str | None = None  # symbol of the market whose book this is, where two names lead to one book
    book: bool = True  # False: the exchange gives no order book, only best prices, of sizes in an unknown unit

    @property
    def no_book(self) -> str:
        """Why there is no order book, as a sentence; "" if there is one."""
        return "" if self.book else f"{self.exchange} gives no order book of {self.symbol}, only its best prices."

    @property
    def price_decimals(self) -> int:
        return decimals(self.tick)

    @property
    def size_decimals(self) -> int:
        return decimals(self.lot)


def decimals(step: Decimal) -> int:
    """Digits after the point that a multiple of ``step`` needs: 0.10 -> 1, 1E-8 -> 8, 5 -> 0."""
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


class Channel(enum.StrEnum):
    """Kinds of public data."""

    BOOK = "book"
    BBO = "bbo"
    TRADES = "trades"
    TICKER = "ticker"
    CANDLES = "candles"
    MARK = "mark"


class Subscription(Value, frozen=True, kw_only=True):
    """One stream of one market. ``interval`` is for candles only."""

    channel: Channel
    symbol: str
    interval: str | None = None

    def __str__(self) -> str:
        return f"{self.channel}{f'@{self.interval}' if self.interval else ''} {self.symbol}"


# -- public events: what a frame says --------------------------------------------------------------------------------


class BookSnapshot(Value, frozen=True, kw_only=True):
    """A whole book, or its best ``depth`` levels a side (``None``: all there are).

    ``seq`` is the exchange's update id that the snapshot contains, ``None`` where it has none; ``rank`` orders it
    among other streams of its market, where ``seq`` counts this one alone. ``printed`` is how many digits after the
    point its prices and its sizes were printed with, told only where a checksum depends on it and the instrument is not
    known. ``again``: the update that leads to ``seq`` itself has to be applied once more (Binance futures).
    """

    symbol: str
    bids: list[Level]
    asks: list[Level]
    seq: int | None = None
    depth: int | None = None
    checksum: int | None = None
    exchange_ms: int | None = None
    printed: tuple[int, int] | None = None
    again: bool = False
    rank: int | None = None


class BookDelta(Value, frozen=True, kw_only=True):
    """Changed levels. It follows a book whose ``seq`` is at least ``prev``, and leads to ``seq``.

    Each adapter turns its exchange's rule into these two, so one check in ``book.py`` serves all. Both are ``None``
    where the exchange has no sequence (Kraken: ``checksum`` is then the only proof). ``chained``: it follows exactly
    ``prev``, and ``seq`` may also be lower (the numbers begin anew).
    """

    symbol: str
    bids: list[Level]
    asks: list[Level]
    prev: int | None = None
    seq: int | None = None
    chained: bool = False
    checksum: int | None = None
    exchange_ms: int | None = None
    rank: int | None = None


class Bbo(Value, frozen=True, kw_only=True):
    """Best bid and offer, from the exchange's own best-price stream or REST call. ``seq`` is of the book's own count;
    where best prices are counted apart, ``rank`` tells which is newer."""

    symbol: str
    bid: float
    bid_size: float
    ask: float
    ask_size: float
    seq: int | None = None
    exchange_ms: int | None = None
    rank: int | None = None


class Trade(Value, frozen=True, kw_only=True):
    """A print. ``side`` is the taker's, None where the exchange does not tell it.

    ``last``: it makes the last price, unlike one that is reported late. Or a word about an earlier print: it stands
    ``instead_of`` the one of that id, which was wrong, or (``void``) the one of its own id is taken back.
    """

    symbol: str
    id: str
    side: Side | None
    price: Decimal
    size: Decimal
    exchange_ms: int
    last: bool = True
    instead_of: str = ""
    void: bool = False


class Ticker(Value, frozen=True, kw_only=True):
    """Rolling 24 h figures. ``change`` is a ratio: 0.0123 is +1.23 %. Without ``last`` none is known (any more)."""

    symbol: str
    last: Decimal | None
    open: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    change: Decimal | None = None
    base_volume: Decimal | None = None
    quote_volume: Decimal | None = None
    exchange_ms: int | None = None


class MarkPrice(Value, frozen=True, kw_only=True):
    """A perpetual's mark and index price; ``funding_rate`` is a ratio per funding interval."""

    symbol: str
    mark: Decimal
    index: Decimal | None = None
    funding_rate: Decimal | None = None
    next_funding_ms: int | None = None
    exchange_ms: int | None = None


class Candle(Value, frozen=True, kw_only=True):
    """One bar. ``closed`` is False while it can still change."""

    symbol: str
    interval: str
    open_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    base_volume: Decimal
    closed: bool = False


class Ack(Value, frozen=True, kw_only=True):
    """The exchange accepted these subscriptions (or their end, if ``ended``)."""

    subscriptions: tuple[Subscription, ...]
    ended: bool = False


class Rejected(Value, frozen=True, kw_only=True):
    """The exchange refused these subscriptions; ``reason`` in its own words. Empty ``subscriptions``: it did not say
    which, so everything asked for in that message."""

    subscriptions: tuple[Subscription, ...]
    reason: str
    code: int | str | None = None  # the exchange's own
    again: bool = False  # the session knows another way to ask for them, and wants to be called for it


class Heartbeat(Value, frozen=True, kw_only=True):
    """The exchange says that the connection and all its subscriptions are alive."""


class Lost(Value, frozen=True, kw_only=True):
    """So many frames are missing before this one, by a number that counts all of a connection: any market's, of any
    kind. Every book on it is suspect."""

    frames: int


class Markets(Value, frozen=True, kw_only=True):
    """Instruments told by stream: all of them if ``complete``, else the changed ones."""

    markets: tuple[Market, ...]
    complete: bool


class Notice(Value, frozen=True, kw_only=True):
    """Something about the whole exchange or connection that a person should know (maintenance, status)."""

    text: str
    trading: bool | None = None  # False: the exchange says that it does not trade now
    key: str = ""  # a later one of the same key takes its place; one with an empty text: it is over
    begins_ms: int | None = None  # of maintenance, where told
    ends_ms: int | None = None


class Closing(Value, frozen=True, kw_only=True):
    """The exchange announced that it will close this connection soon, or that it does not serve us on it. ``fatal``:
    nor on another one, until a person acts; ``reason`` is a sentence then."""

    reason: str
    fatal: bool = False


class Unknown(Value, frozen=True, kw_only=True):
    """A frame, or a part of one, that is well-formed and of a channel or kind (``what``) that we neither know nor asked
    for: nothing of what we follow is in it. Exchanges add such; they must cost no book."""

    what: str


class LoggedIn(Value, frozen=True, kw_only=True):
    """The exchange accepted the login (``Facts.needs_key``): subscriptions may be asked for from now on."""


Event: TypeAlias = (
    BookSnapshot
    | BookDelta
    | Bbo
    | Trade
    | Ticker
    | MarkPrice
    | Candle
    | Ack
    | Rejected
    | Heartbeat
    | Lost
    | Markets
    | Notice
    | Closing
    | LoggedIn
    | Unknown
)
