"""A leg: one exchange's market as a part of what several exchanges show together, and the rate of its quote.

A market is a :class:`Source` once, whatever it is a part of; a :class:`Leg` is a source within one frame, with the rate
that converts its quote into the frame's. Both are read when a frame is drawn, never copied: what is not usable at that
moment is not there. ``version`` rises with every change, so that nothing is computed anew that did not change.

Currencies are kept apart. USD, USDT and USDC are one only where the user ties them (:class:`Ties`), by a rate that a
live market gives, or 1 if the user says so.
"""

from collections.abc import Callable, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, InvalidOperation
from typing import Any, Protocol
from weakref import WeakValueDictionary

import msgspec

from feeds.across.walk import Walk
from feeds.book import OrderBook
from feeds.domain import Market, StreamState

RATE_DECIMALS = 6

_UP = Context(prec=40, rounding=ROUND_CEILING)
_DOWN = Context(prec=40, rounding=ROUND_FLOOR)


class BookHolder(Protocol):
    """What is needed of ``feeds.markets.market.MarketFeed``."""

    @property
    def state(self) -> StreamState: ...
    @property
    def reason(self) -> str: ...
    @property
    def shown_ns(self) -> int: ...
    @property
    def old(self) -> OrderBook | None: ...
    @property
    def book(self) -> OrderBook: ...
    @property
    def late_s(self) -> float: ...


class Source:
    """One exchange's market. ``find`` gives its feed, None while it is not open.

    ``watchers`` are the names of what is to be drawn anew when it changes.
    """

    __slots__ = ("_walks", "find", "market", "version", "watchers")

    def __init__(self, market: Market, find: Callable[[], BookHolder | None]) -> None:
        self.market = market
        self.find = find
        self.version = 0
        self.watchers: dict[str, None] = {}
        self._walks: WeakValueDictionary[Decimal, Walk] = WeakValueDictionary()

    def walk(self, size: Decimal) -> Walk:
        """The walk for a size, shared by all who hold it; see :meth:`Walk.follow`."""
        walk = self._walks.get(size)
        if walk is None:
            walk = self._walks[size] = Walk(size)
        return walk

    @property
    def name(self) -> str:
        return f"{self.market.exchange} {self.market.symbol}"

    @property
    def state(self) -> StreamState:
        feed = self.find()
        return StreamState.CONNECTING if feed is None else feed.state

    @property
    def reason(self) -> str:
        feed = self.find()
        return self.market.no_book or ("The market is being opened." if feed is None else feed.reason)

    @property
    def recv_ns(self) -> int:
        """When the last change of the shown book came, 0 if none."""
        feed = self.find()
        return 0 if feed is None else feed.shown_ns

    @property
    def late_s(self) -> float:
        """How old its book may be as a whole: 0 while it is the exchange's present one."""
        feed = self.find()
        return 0.0 if feed is None else feed.late_s

    @property
    def book(self) -> OrderBook | None:
        """The book, if it may be used at this moment."""
        feed = self.find()
        if feed is None or not feed.state.usable or not self.market.book:
            return None
        book = feed.book
        return book if book.ready else None


# -- quotes ------------------------------------------------------------------------------------------------------------


class Ties(msgspec.Struct, frozen=True, kw_only=True):
    """Currencies that the user takes for one another. ``par``: at 1, else at a live market's rate."""

    groups: tuple[tuple[str, ...], ...] = ()
    par: bool = False

    def tied(self, one: str, other: str) -> bool:
        """Are these two different currencies tied?"""
        return one != other and any(one in group and other in group for group in self.groups)


class RateNow(msgspec.Struct, frozen=True):
    """Multipliers, whole numbers of ``10 ** -decimals``: of ask prices (what the other currency costs) and of bids."""

    bid: int
    ask: int
    decimals: int


PAR = RateNow(1, 1, 0)


class Rate:
    """How prices in ``quote`` become prices in ``target``.

    ``candidates`` are the markets between the two, best first: the first usable one gives the rate. None of them and
    ``par``: 1.
    """

    def __init__(self, quote: str, target: str, candidates: Sequence[Source], *, par: bool) -> None:
        self.quote = quote
        self.target = target
        self.candidates = list(candidates)
        self.par = par
        self._cached: tuple[Source, int, RateNow | None] | None = None

    @property
    def version(self) -> int:
        return sum(source.version for source in self.candidates)

    def source(self) -> Source | None:
        """The market that gives the rate now."""
        for source in self.candidates:
            if source.book is not None:
                return source
        return None

    def now(self) -> RateNow | None:
        """The rate, None if there is no usable one."""
        if self.par:
            return PAR
        source = self.source()
        if source is None:
            return None
        cached = self._cached
        if cached is None or cached[0] is not source or cached[1] != source.version:
            self._cached = cached = (source, source.version, self._read(source))
        return cached[2]

    def _read(self, source: Source) -> RateNow | None:
        """We buy at asks: the quote that is paid there is bought with the target. What bids bring is sold for it.

        Rounded against us: prices to pay up, prices to get down.
        """
        book = source.book
        if book is None or book.bid is None or book.ask is None:
            return None
        bid, ask = Decimal(repr(book.bid[0])), Decimal(repr(book.ask[0]))
        if source.market.base == self.target:  # USDT/USD for USD -> USDT: USD cost 1 / bid, and bring 1 / ask
            bid, ask = _DOWN.divide(Decimal(1), ask), _UP.divide(Decimal(1), bid)
        try:
            down = bid.quantize(Decimal(1).scaleb(-RATE_DECIMALS), context=_DOWN)
            up = ask.quantize(Decimal(1).scaleb(-RATE_DECIMALS), context=_UP)
        except InvalidOperation:
            return None  # no currency costs so much of another
        if down <= 0:
            return None
        return RateNow(int(down.scaleb(RATE_DECIMALS)), int(up.scaleb(RATE_DECIMALS)), RATE_DECIMALS)

    @property
    def lacking(self) -> str:
        """Why there is no rate, as a sentence."""
        if not self.candidates:
            return f"No exchange here has a market of {self.quote} and {self.target}, and par is not set."
        tried = ", ".join(f"{source.name} is {source.state}" for source in self.candidates)
        return f"No usable rate of {self.quote} and {self.target}: {tried}."

    def picture(self, now_ns: int) -> dict[str, Any]:
        """As docs/protocol.md section 2.7 shows it."""
        if self.par:
            shown = {"bid": "1", "ask": "1", "market": None, "state": None, "age_ms": None, "recv_us": 0}
            return shown | {"reason": "spreadboard.toml takes them for equal."}
        rate = self.now()
        market = self.source() or (self.candidates[0] if self.candidates else None)
        recv_ns = market.recv_ns if market is not None else 0
        return {
            "bid": None if rate is None else f"{Decimal(rate.bid).scaleb(-rate.decimals):f}",
            "ask": None if rate is None else f"{Decimal(rate.ask).scaleb(-rate.decimals):f}",
            "market": None if market is None else market.name,
            "state": None if market is None else market.state,
            "age_ms": age_ms(now_ns, recv_ns),
            "recv_us": recv_ns // 1000,
            "reason": "" if rate is not None else self.lacking,
        }


# -- legs --------------------------------------------------------------------------------------------------------------


class Leg:
    """A source within one frame. ``rate`` is None if its quote is the frame's."""

    __slots__ = ("rate", "source")

    def __init__(self, source: Source, rate: Rate | None = None) -> None:
        self.source = source
        self.rate = rate

    @property
    def market(self) -> Market:
        return self.source.market

    @property
    def exchange(self) -> str:
        return self.source.market.exchange

    @property
    def version(self) -> int:
        """Rises whenever the book, its state or the rate changes."""
        return self.source.version if self.rate is None else self.source.version + self.rate.version

    @property
    def book(self) -> OrderBook | None:
        """The book, if this leg may be used at this moment: with its rate, if it needs one."""
        book = self.source.book
        return book if book is None or self.rate is None or self.rate.now() is not None else None

    @property
    def oldest(self) -> Source:
        """Of what this leg is made of, the market that is the oldest."""
        given = None if self.rate is None or self.rate.par else self.rate.source()
        return self.source if given is None or given.late_s <= self.source.late_s else given

    @property
    def reason(self) -> str:
        if self.rate is not None and self.source.book is not None and self.rate.now() is None:
            return self.rate.lacking
        return self.source.reason

    @property
    def why_not(self) -> str:
        """Why it is not usable, as a sentence."""
        source = self.source
        if source.book is not None or source.market.no_book:
            return self.reason
        return (
            f"{source.name} is {source.state}: {source.reason}"
            if source.reason
            else f"{source.name} is {source.state}."
        )

    def picture(self, now_ns: int) -> dict[str, Any]:
        """What every frame tells of a leg, as docs/protocol.md section 2.7 shows it."""
        source, rate = self.source, self.rate
        feed = source.find()
        if feed is None:
            state, reason, recv_ns, usable = StreamState.CONNECTING, source.reason, 0, False
        else:
            state, reason, recv_ns = feed.state, source.market.no_book or feed.reason, feed.shown_ns
            usable = state.usable and source.market.book and feed.book.ready
        if usable and rate is not None and rate.now() is None:
            usable, reason = False, rate.lacking
        shown: dict[str, Any] = {
            "exchange": source.market.exchange,
            "symbol": source.market.symbol,
            "state": state,
            "reason": reason,
            "usable": usable,
            "recv_us": recv_ns // 1000,
            "age_ms": age_ms(now_ns, recv_ns),
            "rate": None if rate is None else rate.picture(now_ns),
        }
        if feed is not None and feed.old is not None:
            shown["restored"] = True
        return shown


_BEST = (
    StreamState.LIVE,
    StreamState.QUIET,
    StreamState.SLOW,
    StreamState.POLLED,
    StreamState.STALE,
    StreamState.RESYNC,
    StreamState.SYNCING,
    StreamState.CONNECTING,
    StreamState.DOWN,
)


def best_state(legs: Sequence[Leg]) -> StreamState:
    """The best of their states: that of a frame."""
    return min((leg.source.state for leg in legs), key=_BEST.index, default=StreamState.CONNECTING)


def age_ms(now_ns: int, then_ns: int) -> int | None:
    """Age of something received, None if it never came."""
    return max(0, (now_ns - then_ns) // 1_000_000) if then_ns else None
