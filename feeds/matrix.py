"""The spread matrix: what buying a size on one exchange and selling it on another leaves, after fees.

Everything is computed in whole numbers, so gross and net are exact to the last digit; only basis points are rounded,
always down. Drawn at most ten times a second, and computed only for the legs whose book, state or rate changed since.

With C the cost of buying on leg A and P the proceeds of selling on leg B, both by walking their books, and a, b the
fees: gross = P - C, net = P * (1 - b) - C * (1 + a), in basis points of C.
"""

from collections import deque
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from feeds.clock import Clock
from feeds.fees import ONE, Charged, Fee
from feeds.legs import Leg, RateNow, best_state
from feeds.publisher import Picture
from feeds.walk import NOTHING, Taken, plain, take

BPS_DECIMALS = 4
HOUR_NS = 3600 * 10**9
BUCKET_NS = 10 * 10**9
_BPS = 10**4 * 10**BPS_DECIMALS  # of a ratio


class Judge(Protocol):
    """Who is told how a pair stands (``feeds.arbitrage``). ``bps`` in units of ``10 ** -BPS_DECIMALS``."""

    @property
    def threshold(self) -> int: ...
    def above(self, pair: "Pair", now_ns: int) -> None: ...
    def below(self, pair: "Pair", reason: str, now_ns: int) -> None: ...


class HourMax:
    """The largest value of the last hour, in steps of ten seconds."""

    __slots__ = ("_buckets", "_current")

    def __init__(self) -> None:
        self._buckets: deque[tuple[int, int, int]] = deque()  # (bucket, value, when ns); values fall
        self._current = (-1, 0)  # bucket and largest value of the last one added

    def add(self, value: int, now_ns: int) -> None:
        bucket = now_ns // BUCKET_NS
        if bucket == self._current[0] and value <= self._current[1]:
            return
        self._current = bucket, value
        buckets = self._buckets
        while buckets and buckets[-1][1] <= value:
            buckets.pop()
        buckets.append((bucket, value, now_ns))
        oldest = bucket - HOUR_NS // BUCKET_NS
        while buckets[0][0] <= oldest:
            buckets.popleft()

    def get(self, now_ns: int) -> tuple[int, int] | None:
        """(value, when ns), None if there was none within the hour."""
        oldest = now_ns // BUCKET_NS - HOUR_NS // BUCKET_NS
        while self._buckets and self._buckets[0][0] <= oldest:
            self._buckets.popleft()
        return self._buckets[0][1:] if self._buckets else None


class Row(msgspec.Struct):
    """A pair as it leaves the worker, docs/protocol.md section 2.8."""

    buy: int
    sell: int
    gross_bps: str | None = None
    net_bps: str | None = None
    gross: str | None = None
    net: str | None = None
    age_ms: int | None = None
    positive_since_ms: int | None = None
    largest_bps: str | None = None
    largest_ms: int | None = None
    reason: str = ""


class Pair:
    """Buy on one leg, sell on another."""

    __slots__ = ("bps", "buy", "hot", "hour", "matrix", "row", "sell")

    def __init__(self, matrix: "Matrix", buy: "Side", sell: "Side", row: Row) -> None:
        self.matrix = matrix
        self.buy = buy
        self.sell = sell
        self.row = row
        self.bps: int | None = None  # net, in units of 10 ** -BPS_DECIMALS
        self.hour = HourMax()
        self.hot = False  # at or above the threshold


class Side:
    """One leg of a matrix: its walks for the size, and what fees make of them."""

    __slots__ = ("bought", "cost", "fee", "leg", "paid", "proceeds", "received", "sold", "stamp", "why")

    def __init__(self, leg: Leg, fee: Fee) -> None:
        self.leg = leg
        self.fee = fee
        self.stamp = -1
        self.why = ""  # why neither walk is possible
        self.bought: Taken = NOTHING
        self.sold: Taken = NOTHING
        self.cost: int | None = None  # of buying, in the matrix' units; None: not possible
        self.proceeds: int | None = None  # of selling
        self.paid = 0  # cost with the fee, in 1 / ONE of the matrix' units
        self.received = 0  # proceeds less the fee


class Matrix:
    """One symbol, size and kind of fee. ``fee_of`` gives the fee of a leg as it is now; see :meth:`new_fees`."""

    def __init__(
        self,
        symbol: str,
        base: str,
        quote: str,
        size: Decimal,
        charged: Charged,
        *,
        fee_of: Callable[[Leg], Fee],
        judge: Judge | None = None,
        clock: Clock,
    ) -> None:
        self.symbol = symbol
        self.base = base
        self.quote = quote
        self.size = size
        self.charged: Charged = charged
        self.sides: list[Side] = []
        self.pairs: list[Pair] = []
        self._fee_of = fee_of
        self._judge = judge
        self._clock = clock
        self._since_ns = clock.now_ns()
        self._decimals = 0  # of the costs

    def set_legs(self, legs: Sequence[Leg]) -> None:
        """The legs, in order; those that were there before keep their place and their history."""
        known = len(self.sides)
        assert [side.leg for side in self.sides] == list(legs[:known])
        self.sides += [Side(leg, self._fee_of(leg)) for leg in legs[known:]]
        old = {(pair.row.buy, pair.row.sell): pair for pair in self.pairs}
        self.pairs = [
            old.get((i, j)) or Pair(self, buy, sell, Row(i, j))
            for i, buy in enumerate(self.sides)
            for j, sell in enumerate(self.sides)
            if i != j
        ]

    def new_fees(self) -> None:
        """Fees or the threshold were changed: what was, was computed otherwise, so everything begins anew."""
        self.end("The fees or the threshold were changed.")
        self._since_ns = self._clock.now_ns()
        for side in self.sides:
            side.fee = self._fee_of(side.leg)
            side.stamp = -1
            side.cost = side.proceeds = None
        for pair in self.pairs:
            pair.hour = HourMax()
            pair.row.positive_since_ms = pair.row.largest_bps = pair.row.largest_ms = None

    def end(self, reason: str) -> None:
        """Nothing is known from here on."""
        now_ns = self._clock.now_ns()
        for pair in self.pairs:
            if pair.hot:
                self._cool(pair, reason, now_ns)

    # -- computing ---------------------------------------------------------------------------------------------------

    def compute(self) -> None:
        """Bring all pairs up to date."""
        now_ns = self._clock.now_ns()
        bought, sold = set(), set()
        for number, side in enumerate(self.sides):
            if side.stamp == side.leg.version:
                continue
            cost, proceeds, why = side.cost, side.proceeds, side.why
            self._walk(side)
            if side.cost != cost or side.cost is None or side.why != why:
                bought.add(number)
            if side.proceeds != proceeds or side.proceeds is None or side.why != why:
                sold.add(number)
        if bought or sold:
            for pair in self.pairs:
                if pair.row.buy in bought or pair.row.sell in sold:
                    self._settle(pair, now_ns)

    def tick(self) -> None:
        """Now and then, for what time alone changes: hours that pass, spreads that last."""
        self.compute()
        now_ns = self._clock.now_ns()
        for pair in self.pairs:
            if pair.bps is not None:
                pair.hour.add(pair.bps, now_ns)
            if pair.hot and self._judge is not None:
                self._judge.above(pair, now_ns)

    def _walk(self, side: Side) -> None:
        leg = side.leg
        side.stamp = leg.version
        side.cost = side.proceeds = None
        side.bought = side.sold = NOTHING
        book, market = leg.book, leg.market
        if book is None:
            side.why = leg.why_not
            return
        side.why = self._not_traded(leg)
        side.bought = take(book.asks, self.size, market.price_decimals, market.size_decimals)
        side.sold = take(book.bids, self.size, market.price_decimals, market.size_decimals)
        if side.why:
            return
        rate = None if leg.rate is None else leg.rate.now()
        fee = side.fee.units(self.charged)
        if side.bought.whole:
            side.cost = self._common(side.bought, None if rate is None else (rate.ask, rate.decimals))
            side.paid = side.cost * (ONE + fee)
        if side.sold.whole:
            side.proceeds = self._common(side.sold, None if rate is None else (rate.bid, rate.decimals))
            side.received = side.proceeds * (ONE - fee)

    def _not_traded(self, leg: Leg) -> str:
        """Why the exchange takes no order of this size."""
        market, size = leg.market, self.size
        if size < market.min_size:
            return f"{leg.source.name}: {size:f} is less than the smallest order, {market.min_size:f} {self.base}."
        if market.lot and size % market.lot:
            return f"{leg.source.name}: {size:f} is not a multiple of {market.lot.normalize():f} {self.base}."
        if market.status != "trading":
            return f"{leg.source.name} is not traded now: {market.status}."
        return ""

    def _common(self, taken: Taken, rate: tuple[int, int] | None) -> int:
        """A cost in the matrix' units. Where one needs more decimals than there are, all get more."""
        cost, places = taken.cost, taken.decimals
        if rate is not None:
            cost, places = cost * rate[0], places + rate[1]
        if places > self._decimals:
            wider = 10 ** (places - self._decimals)
            for side in self.sides:
                side.cost = None if side.cost is None else side.cost * wider
                side.proceeds = None if side.proceeds is None else side.proceeds * wider
                side.paid *= wider
                side.received *= wider
            self._decimals = places
        lift: int = 10 ** (self._decimals - places)
        return cost * lift

    def _settle(self, pair: Pair, now_ns: int) -> None:
        """What one pair comes to."""
        row, cost, proceeds = pair.row, pair.buy.cost, pair.sell.proceeds
        if cost is None or proceeds is None or not cost:
            pair.bps = None
            row.gross = row.net = row.gross_bps = row.net_bps = row.positive_since_ms = None
            row.reason = pair.buy.why or pair.sell.why or self._too_little(pair)
            if pair.hot:
                self._cool(pair, _ending(pair), now_ns)
            return
        gross, net = proceeds - cost, pair.sell.received - pair.buy.paid
        bps = net // cost  # net is in 1 / ONE, which is what a ratio's 4 + 4 decimals make it
        row.reason = ""
        row.gross = plain(gross, self._decimals)
        row.net = plain(net, self._decimals + 8)
        row.gross_bps = plain(gross * _BPS // cost, BPS_DECIMALS)
        row.net_bps = plain(bps, BPS_DECIMALS)
        if net <= 0:
            row.positive_since_ms = None
        elif row.positive_since_ms is None:
            row.positive_since_ms = now_ns // 1_000_000
        pair.bps = bps
        pair.hour.add(bps, now_ns)
        if self._judge is None:
            return
        if bps >= self._judge.threshold:
            pair.hot = True
            self._judge.above(pair, now_ns)
        elif pair.hot:
            self._cool(pair, "The net fell below the threshold.", now_ns)

    def _cool(self, pair: Pair, reason: str, now_ns: int) -> None:
        pair.hot = False
        if self._judge is not None:
            self._judge.below(pair, reason, now_ns)

    def _too_little(self, pair: Pair) -> str:
        """Which depth does not suffice."""
        lacking = []
        if pair.buy.cost is None:
            lacking.append(self._only(pair.buy, "asks", pair.buy.bought))
        if pair.sell.proceeds is None:
            lacking.append(self._only(pair.sell, "bids", pair.sell.sold))
        return " ".join(lacking)

    def _only(self, side: Side, what: str, taken: Taken) -> str:
        there = plain(taken.size, taken.size_decimals)
        return f"{side.leg.source.name} {what}: only {there} of {self.size:f} {self.base}."

    # -- drawing -----------------------------------------------------------------------------------------------------

    def draw(self) -> Picture:
        """The present picture."""
        self.compute()
        now_ns = self._clock.now_ns()
        recv_ns = [side.leg.source.recv_ns for side in self.sides]
        for pair in self.pairs:
            row = pair.row
            older = min(recv_ns[row.buy], recv_ns[row.sell])
            row.age_ms = max(0, (now_ns - older) // 1_000_000) if older else None
            largest = pair.hour.get(now_ns)
            if largest is None:
                row.largest_bps = row.largest_ms = None
            else:
                row.largest_bps, row.largest_ms = plain(largest[0], BPS_DECIMALS), largest[1] // 1_000_000
        data = {
            "symbol": self.symbol,
            "base": self.base,
            "quote": self.quote,
            "size": f"{self.size:f}",
            "fees": self.charged,
            "since_ms": self._since_ns // 1_000_000,
            "legs": [self._leg(side, now_ns) for side in self.sides],
            "pairs": [pair.row for pair in self.pairs],
        }
        state = best_state([side.leg for side in self.sides])
        return Picture(state=state, recv_ns=max(recv_ns, default=0), data=data)

    def _leg(self, side: Side, now_ns: int) -> dict[str, Any]:
        shown = side.leg.picture(now_ns)
        rate = None if side.leg.rate is None else side.leg.rate.now()
        shown["fee_bps"] = f"{side.fee.bps(self.charged).normalize():f}"
        shown["fee_source"] = side.fee.source
        shown["buy"] = self._walked(side.bought, rate, buy=True) if shown["usable"] else None
        shown["sell"] = self._walked(side.sold, rate, buy=False) if shown["usable"] else None
        return shown

    def _walked(self, taken: Taken, rate: RateNow | None, *, buy: bool) -> dict[str, str | None]:
        available = plain(taken.size, taken.size_decimals)
        if not taken.whole or taken.worst is None:
            return {"average": None, "worst": None, "cost": None, "available": available}
        factor, places = (1, 0) if rate is None else (rate.ask if buy else rate.bid, rate.decimals)
        cost, cost_decimals = taken.cost * factor, taken.decimals + places
        # cost / size in units of 10 ** -digits, to a hundredth of the unit that the prices have, against us
        digits = taken.decimals - taken.size_decimals + places + 2
        average, rest = divmod(cost * 10 ** (digits + taken.size_decimals - cost_decimals), taken.size)
        worst = Decimal(repr(taken.worst)) * Decimal(factor).scaleb(-places)
        return {
            "average": plain(average + (1 if rest and buy else 0), digits),
            "worst": plain(int(worst.scaleb(cost_decimals)), cost_decimals),
            "cost": plain(cost, cost_decimals),
            "available": available,
        }


def _ending(pair: Pair) -> str:
    """Why a pair that was above the threshold can no longer be computed."""
    if pair.buy.leg.book is None or pair.sell.leg.book is None:
        return f"A leg went stale: {pair.row.reason}"
    if pair.buy.why or pair.sell.why:
        return f"It cannot be traded any more: {pair.row.reason}"
    return f"The depth no longer suffices: {pair.row.reason}"
