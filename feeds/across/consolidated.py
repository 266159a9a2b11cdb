"""The consolidated book: the books of all exchanges that have a symbol, side by side.

Each leg keeps its own list of levels, in one pair of decimals, so whoever draws it can merge any subset and the merged
rows are still true: :func:`merge` says how, and where they stop being complete. What is computed here over all usable
legs (best prices, mid, microprice, imbalance, the band where exchanges cross) is computed in whole numbers.
"""

from collections.abc import Callable, Collection, Sequence
from decimal import Decimal
from typing import Any, TypeAlias

import msgspec
import structlog

from feeds import levels
from feeds.across.legs import Leg, best_state
from feeds.across.walk import plain
from feeds.book import BookSide, OrderBook
from feeds.clock import Clock
from feeds.domain import decimals
from feeds.levels import Units
from feeds.publisher import Picture

IMBALANCE_LEVELS = 10

Merged: TypeAlias = list[tuple[int, int, list[tuple[int, int]]]]
"""Rows, best first: (price, size of all legs, [(leg, its size), ...]) in units."""

_encode = msgspec.json.Encoder().encode

log = structlog.get_logger(__name__)


class Ladder(msgspec.Struct):
    """One leg's two lists in the frame's units, and up to where they are complete (None: there is nothing beyond)."""

    bids: Units
    asks: Units
    bid_reach: int | None
    ask_reach: int | None


class _Drawn(msgspec.Struct):
    """What was drawn of a leg, as long as its ``stamp`` and the decimals are the same."""

    stamp: tuple[int, int, int]
    ladder: Ladder  # ungrouped
    bids: msgspec.Raw  # as shown
    asks: msgspec.Raw
    reach: list[int | None]


NO_LADDER = Ladder([], [], None, None)
_EMPTY = msgspec.Raw(b"[]")


class Consolidated:
    """The picture of one symbol over its legs. ``step`` groups what is shown."""

    def __init__(self, symbol: str, base: str, quote: str, *, step: Decimal | None, depth: int, clock: Clock) -> None:
        self.symbol = symbol
        self.base = base
        self.quote = quote
        self.legs: list[Leg] = []
        self.step = step
        self.depth = depth
        self._clock = clock
        self._drawn: dict[Leg, _Drawn] = {}
        self._unshown: dict[Leg, str] = {}  # usable ones whose books hold a value that cannot be shown, and why
        self._price_decimals = 0 if step is None else decimals(step)
        self._size_decimals = 0

    def set_legs(self, legs: Sequence[Leg]) -> None:
        """The legs, in order."""
        self.legs = list(legs)

    def draw(self) -> Picture:
        """The present picture."""
        drawn = self._draw_legs()
        now_ns = self._clock.now_ns()
        shown = []
        for leg, part in zip(self.legs, drawn, strict=True):
            row = leg.picture(now_ns)
            row["bids"], row["asks"] = (part.bids, part.asks) if part else (_EMPTY, _EMPTY)
            row["reach"] = part.reach if part else [None, None]
            if leg in self._unshown and row["usable"]:
                row |= {"usable": False, "reason": self._unshown[leg]}
            shown.append(row)
        data: dict[str, Any] = {
            "symbol": self.symbol,
            "base": self.base,
            "quote": self.quote,
            "depth": self.depth,
            "price_decimals": self._price_decimals,
            "size_decimals": self._size_decimals,
            "legs": shown,
        }
        if self.step is not None:
            data["step"] = f"{self.step:f}"
        data |= figures([part.ladder if part else NO_LADDER for part in drawn], self._price_decimals)
        recv_ns = max((leg.source.recv_ns for leg in self.legs), default=0)
        return Picture(state=best_state(self.legs), recv_ns=recv_ns, data=data)

    def _draw_legs(self) -> list[_Drawn | None]:
        """Each leg, None where it is not usable. If one needs more decimals than there were, all are drawn anew."""
        while True:
            before = self._price_decimals, self._size_decimals
            drawn = [self._draw_leg(leg) for leg in self.legs]
            if before == (self._price_decimals, self._size_decimals):
                return drawn

    def _draw_leg(self, leg: Leg) -> _Drawn | None:
        book = leg.book
        if book is None:
            self._drawn.pop(leg, None)
            return None
        stamp = leg.version, self._price_decimals, self._size_decimals
        known = self._drawn.get(leg)
        if known is None or known.stamp != stamp:
            try:
                ladder = self._ladder(leg, book)
                shown = ladder if self.step is None else self._grouped(leg, book, self.step)
            except levels.NotShownError as error:
                if leg not in self._unshown:
                    log.warning("leg not shown", leg=leg.source.name, symbol=self.symbol, reason=str(error))
                self._unshown[leg] = str(error)
                self._drawn.pop(leg, None)
                return None
            if self._unshown.pop(leg, ""):
                log.info("leg shown again", leg=leg.source.name, symbol=self.symbol)
            reach = [shown.bid_reach, shown.ask_reach]
            known = _Drawn(stamp, ladder, msgspec.Raw(_encode(shown.bids)), msgspec.Raw(_encode(shown.asks)), reach)
            self._drawn[leg] = known
        return known

    def _scaled(self, leg: Leg, book: OrderBook, n: int) -> tuple[Units, Units]:
        """The best ``n`` levels a side in the frame's units, converted; the decimals grow if need be."""
        rate = None if leg.rate is None else leg.rate.now()
        more = rate.decimals if rate is not None else 0
        own = max(leg.market.price_decimals, self._price_decimals - more)
        price_decimals, size_decimals, bids, asks = levels.scale(
            book, n, own, max(leg.market.size_decimals, self._size_decimals)
        )
        self._price_decimals = max(self._price_decimals, price_decimals + more)
        self._size_decimals = max(self._size_decimals, size_decimals)
        lift = 10 ** (self._price_decimals - price_decimals - more)
        if rate is not None or lift != 1:
            bid, ask = (1, 1) if rate is None else (rate.bid, rate.ask)
            bids = [[price * bid * lift, size] for price, size in bids]
            asks = [[price * ask * lift, size] for price, size in asks]
        return bids, asks

    def _ladder(self, leg: Leg, book: OrderBook) -> Ladder:
        bids, asks = self._scaled(leg, book, max(self.depth, IMBALANCE_LEVELS))
        return Ladder(bids, asks, _reach(book, book.bids, bids), _reach(book, book.asks, asks))

    def _grouped(self, leg: Leg, book: OrderBook, step: Decimal) -> Ladder:
        """As ``levels.group``, from the whole book, after the conversion."""
        bids, asks = self._scaled(leg, book, max(len(book.bids.levels), len(book.asks.levels), 1))
        width = int(step.scaleb(self._price_decimals))
        sides = []
        for side, units, up in ((book.bids, bids, 0), (book.asks, asks, 1)):
            whole = levels.known_to(side, book.depth) is None
            sides.append(group(units, width, self.depth, up=up, whole=whole))
        return Ladder(sides[0][0], sides[1][0], sides[0][1], sides[1][1])


def _reach(book: OrderBook, side: BookSide, shown: Units) -> int | None:
    """The last price of a list, if there is or may be more beyond it."""
    if not shown or (len(shown) == len(side.levels) and levels.known_to(side, book.depth) is None):
        return None
    return shown[-1][0]


def group(units: Units, width: int, n: int, *, up: int, whole: bool) -> tuple[Units, int | None]:
    """The best ``n`` groups of levels (best first) and their reach. Prices go down to multiples of ``width``, or up.

    ``whole``: there is nothing beyond the levels. If not, the last group may lack a part, and is left out.
    """
    groups: Units = []
    for price, size in units:
        rest = price % width
        to = price - rest + (width if rest and up else 0)
        if groups and groups[-1][0] == to:
            groups[-1][1] += size
        elif len(groups) == n:
            return groups, groups[-1][0]
        else:
            groups.append([to, size])
    if whole or not groups:
        return groups, None
    last = groups.pop()[0]
    return groups, groups[-1][0] if groups else last + (-width if up else width)


# -- over all legs -----------------------------------------------------------------------------------------------------


def merge(
    sides: Sequence[Units], reaches: Sequence[int | None], *, falling: bool, wanted: Collection[int] | None = None
) -> Merged:
    """One side's lists as one, best first, cut where it is no longer complete. ``falling``: bids.

    ``wanted`` are the numbers of the lists that take part, all if it is None.
    """
    chosen = [number for number in range(len(sides)) if wanted is None or number in wanted]
    ends = [reach for number in chosen if (reach := reaches[number]) is not None]
    end = None if not ends else max(ends) if falling else min(ends)
    at: dict[int, list[tuple[int, int]]] = {}
    for number in chosen:
        for price, size in sides[number]:
            if end is not None and (price < end if falling else price > end):
                break
            at.setdefault(price, []).append((number, size))
    return [(price, sum(size for _, size in at[price]), at[price]) for price in sorted(at, reverse=falling)]


def _best(sides: Sequence[Units], pick: Callable[[list[int]], int]) -> dict[str, Any] | None:
    """Best price over the lists' first levels, with every leg that stands there."""
    first = [(number, units[0]) for number, units in enumerate(sides) if units]
    if not first:
        return None
    price = pick([level[0] for _, level in first])
    there = [(number, level[1]) for number, level in first if level[0] == price]
    return {"price": price, "size": sum(size for _, size in there), "legs": [number for number, _ in there]}


def figures(ladders: Sequence[Ladder], price_decimals: int) -> dict[str, Any]:
    """Best prices, mid, microprice, imbalance and band of docs/protocol.md section 2.7."""
    bid_sides, ask_sides = [ladder.bids for ladder in ladders], [ladder.asks for ladder in ladders]
    bid, ask = _best(bid_sides, max), _best(ask_sides, min)
    found: dict[str, Any] = {"bid": bid, "ask": ask, "mid": None, "microprice": None, "imbalance": None, "band": None}
    if bid is None or ask is None:
        return found
    found["mid"] = plain((bid["price"] + ask["price"]) * 5, price_decimals + 1)
    weighted = (bid["price"] * ask["size"] + ask["price"] * bid["size"]) * 100
    found["microprice"] = plain(_rounded(weighted, bid["size"] + ask["size"]), price_decimals + 2)
    found["imbalance"] = _imbalance(ladders)
    if bid["price"] >= ask["price"]:
        found["band"] = _band(ladders, bid, ask)
    return found


def _imbalance(ladders: Sequence[Ladder]) -> dict[str, Any]:
    """Of the sizes within as many merged price levels as both sides have complete, ``IMBALANCE_LEVELS`` at most."""
    bids = merge(*_nearest([(ladder.bids, ladder.bid_reach) for ladder in ladders]), falling=True)
    asks = merge(*_nearest([(ladder.asks, ladder.ask_reach) for ladder in ladders]), falling=False)
    n = min(IMBALANCE_LEVELS, len(bids), len(asks))
    bid, ask = (sum(size for _, size, _ in side[:n]) for side in (bids, asks))
    value = plain(_rounded((bid - ask) * 10**4, bid + ask), 4)
    return {"levels": n, "bid": bid, "ask": ask, "value": value}


def _nearest(sides: Sequence[tuple[Units, int | None]]) -> tuple[list[Units], list[int | None]]:
    """The first ``IMBALANCE_LEVELS`` of each list, with their reach."""
    n = IMBALANCE_LEVELS
    return [units[:n] for units, _ in sides], [reach if len(units) <= n else units[n - 1][0] for units, reach in sides]


def _band(ladders: Sequence[Ladder], bid: dict[str, Any], ask: dict[str, Any]) -> dict[str, Any]:
    """Where exchanges cross: prices, legs, and how much bids and asks could take of one another."""
    low, high = ask["price"], bid["price"]
    crossing_bids = [[level for level in ladder.bids if level[0] >= low] for ladder in ladders]
    crossing_asks = [[level for level in ladder.asks if level[0] <= high] for ladder in ladders]
    bids = merge(crossing_bids, [ladder.bid_reach for ladder in ladders], falling=True)
    asks = merge(crossing_asks, [ladder.ask_reach for ladder in ladders], falling=False)
    return {
        "low": low,
        "high": high,
        "buy": ask["legs"][0],
        "sell": bid["legs"][0],
        "bps": plain((high - low) * 10**6 // low, 2),
        "size": _matched(bids, asks),
    }


def _matched(bids: Merged, asks: Merged) -> int:
    """How much bids at or above asks take of them, best against best."""
    matched = i = j = 0
    left_bid = left_ask = 0
    while True:
        if not left_bid:
            if i == len(bids):
                return matched
            bid, left_bid, _ = bids[i]
            i += 1
        if not left_ask:
            if j == len(asks):
                return matched
            ask, left_ask, _ = asks[j]
            j += 1
        if bid < ask:
            return matched
        part = min(left_bid, left_ask)
        matched += part
        left_bid -= part
        left_ask -= part


def _rounded(numerator: int, denominator: int) -> int:
    """To the nearest whole number, halves away from zero."""
    quotient, rest = divmod(abs(numerator), denominator)
    quotient += 2 * rest >= denominator
    return quotient if numerator >= 0 else -quotient
