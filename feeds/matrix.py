"""The spread matrix: what buying a size on one exchange and selling it on another leaves, after fees.

Books are walked in whole numbers, and what follows is computed with ``Decimal`` in a context that raises where a digit
would be lost: gross and net are exact. Only basis points are rounded, always down. A matrix is drawn at most ten times
a second, and computed only for the legs whose book, state or rate changed since.

With C the cost of buying on leg A and P the proceeds of selling on leg B, both by walking their books, and a, b the
fees: gross = P - C, net = P * (1 - b) - C * (1 + a), in basis points of C.
"""

from collections.abc import Callable, Iterable, Sequence
from decimal import ROUND_FLOOR, Context, Decimal, Inexact, InvalidOperation, localcontext
from typing import Any

from feeds.clock import Clock
from feeds.fees import Charged, Fee
from feeds.legs import PAR, Leg, age_ms, best_state
from feeds.pairs import BUCKET_NS, HourMax, Judge, Pair, Row, Side
from feeds.publisher import Picture
from feeds.walk import NOTHING, Taken, Wanted, look, plain, price_text, take

BPS_STEP = Decimal("0.0001")
SMALL = Decimal("0.000001")
"""From here on ``str`` of a Decimal, which is what the encoder writes, has an exponent."""

_EXACT = Context(prec=100, traps=[Inexact, InvalidOperation])
_DOWN = Context(prec=40, rounding=ROUND_FLOOR)
_ZERO = Decimal(0)


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
        self._numbers: dict[Side, int] = {}
        self._fee_of = fee_of
        self._judge = judge
        self._clock = clock
        self._wanted = Wanted(size)
        self._size_text = f"{size:f}"
        self._since_ns = clock.now_ns()
        self._bucket = 0  # of the last picture

    def set_legs(self, legs: Sequence[Leg]) -> None:
        """The legs, in order; those that were there before keep their place and their history."""
        known = len(self.sides)
        assert [side.leg for side in self.sides] == list(legs[:known])
        self.sides += [Side(leg, self._fee_of(leg)) for leg in legs[known:]]
        self._numbers = {side: number for number, side in enumerate(self.sides)}
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
            side.seen = side.cost = side.proceeds = None
        for pair in self.pairs:
            pair.hour, pair.shown = HourMax(), None
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
        stale = [side for side in self.sides if side.stamp != side.leg.version]
        if not stale:
            return
        now_ns = self._clock.now_ns()
        bought, sold = set(), set()
        with localcontext(_EXACT):
            for side in stale:
                cost, proceeds, why = side.cost, side.proceeds, side.why
                if not self._walk(side):
                    continue
                number = self._numbers[side]
                if side.cost != cost or side.cost is None or side.why != why:
                    bought.add(number)
                if side.proceeds != proceeds or side.proceeds is None or side.why != why:
                    sold.add(number)
            if bought or sold:
                self._settle((pair for pair in self.pairs if pair.row.buy in bought or pair.row.sell in sold), now_ns)

    def tick(self) -> None:
        """Now and then, for what time alone changes: hours that pass, spreads that last."""
        self.compute()
        now_ns = self._clock.now_ns()
        for pair in self.pairs:
            if pair.bps is not None:
                pair.hour.add(pair.bps, now_ns)
            if pair.hot and self._judge is not None:
                self._judge.above(pair, now_ns)

    def _walk(self, side: Side) -> bool:
        """Bring one leg up to date; False if it came to the same."""
        leg = side.leg
        side.stamp = leg.version
        book, market = leg.book, leg.market
        if book is None:
            side.seen = side.cost = side.proceeds = side.buy = side.sell = None
            side.bought = side.sold = NOTHING
            side.why = leg.why_not
            return True
        rate = PAR if leg.rate is None else leg.rate.now() or PAR
        asks_deep, bids_deep = side.bought.levels or 1, side.sold.levels or 1
        asks, bids = look(book.asks, asks_deep), look(book.bids, bids_deep)
        seen = asks, bids, rate, market
        if seen == side.seen and side.bought.whole and side.sold.whole:
            return False  # what changed is deeper than the size reaches
        side.seen = seen
        if side.market is not market:
            side.market = market
            side.decimals = market.price_decimals, market.size_decimals
            side.refusal = self._refusal(leg)
        side.why = side.refusal
        side.cost = side.proceeds = None
        side.bought = take(book.asks, self._wanted, *side.decimals, asks_deep, asks)
        side.sold = take(book.bids, self._wanted, *side.decimals, bids_deep, bids)
        cost, proceeds = _total(side.bought, rate.ask, rate.decimals), _total(side.sold, rate.bid, rate.decimals)
        side.buy = self._shown(side.bought, cost, rate.ask, rate.decimals, up=1)
        side.sell = self._shown(side.sold, proceeds, rate.bid, rate.decimals, up=0)
        if side.why:
            return True
        fee = side.fee.bps(self.charged) * BPS_STEP
        if side.bought.whole:
            side.cost, side.per_bps, side.paid = cost, cost * BPS_STEP, (cost + cost * fee).normalize() + _ZERO
        if side.sold.whole:
            side.proceeds, side.received = proceeds, (proceeds - proceeds * fee).normalize() + _ZERO
        return True

    def _refusal(self, leg: Leg) -> str:
        """Why the exchange takes no order of this size."""
        market, size = leg.market, self.size
        if size < market.min_size:
            return f"{leg.source.name}: {size:f} is less than the smallest order, {market.min_size:f} {self.base}."
        if market.lot and size % market.lot:
            return f"{leg.source.name}: {size:f} is not a multiple of {market.lot.normalize():f} {self.base}."
        if market.status != "trading":
            return f"{leg.source.name} is not traded now: {market.status}."
        return ""

    def _shown(self, taken: Taken, cost: Decimal, factor: int, more: int, *, up: int) -> dict[str, Any]:
        """A walk as docs/protocol.md shows it; the average is rounded where it does not end, up or down."""
        if not taken.whole or taken.worst is None:
            available = plain(taken.size, taken.size_decimals)
            return {"average": None, "worst": None, "cost": None, "available": available}
        price_decimals = taken.decimals - taken.size_decimals
        hundredths = taken.cost * factor * 100  # price decimals and two more
        average = -(-hundredths // taken.size) if up else hundredths // taken.size
        worst = price_text(taken.worst)
        if factor != 1:
            worst = plain(int(Decimal(worst).scaleb(price_decimals)) * factor, price_decimals + more)
        return {
            "average": plain(average, price_decimals + more + 2),
            "worst": worst,
            "cost": text(cost),
            "available": self._size_text,
        }

    def _settle(self, pairs: Iterable[Pair], now_ns: int) -> None:
        """What pairs come to. One loop: with eight exchanges there are 56 of them, ten times a second."""
        bucket, judge = now_ns // BUCKET_NS, self._judge
        threshold = None if judge is None else judge.threshold
        divide, quantize = _DOWN.divide, _DOWN.quantize
        for pair in pairs:
            row, buy, sell = pair.row, pair.buy, pair.sell
            cost, proceeds = buy.cost, sell.proceeds
            if not cost or proceeds is None:
                self._give_up(pair, now_ns)
                continue
            gross, net = proceeds - cost, sell.received - buy.paid
            bps = quantize(divide(net, buy.per_bps), BPS_STEP)
            row.gross_bps = quantize(divide(gross, buy.per_bps), BPS_STEP)
            pair.bps = row.net_bps = bps
            pair.net = net
            row.gross = gross if gross >= SMALL or gross <= -SMALL else text(gross)
            row.net = net if net >= SMALL or net <= -SMALL else text(net)
            row.reason = ""
            if net <= 0:
                row.positive_since_ms = None
            elif row.positive_since_ms is None:
                row.positive_since_ms = now_ns // 1_000_000
            hour = pair.hour
            if bucket != hour.bucket or bps > hour.largest:
                hour.add(bps, now_ns)
            if judge is not None and threshold is not None and bps >= threshold:
                pair.hot = True
                judge.above(pair, now_ns)
            elif pair.hot:
                self._cool(pair, "The net fell below the threshold.", now_ns)

    def _give_up(self, pair: Pair, now_ns: int) -> None:
        """A pair that cannot be computed."""
        row = pair.row
        pair.bps = None
        row.gross = row.net = row.gross_bps = row.net_bps = row.positive_since_ms = None
        row.reason = pair.buy.why or pair.sell.why or self._too_little(pair)
        if pair.hot:
            self._cool(pair, _ending(pair), now_ns)

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
        bucket = now_ns // BUCKET_NS
        if bucket != self._bucket:
            self._bucket = bucket
            for pair in self.pairs:
                pair.hour.forget(bucket)
        ages = [age_ms(now_ns, each) for each in recv_ns]
        for pair in self.pairs:
            row = pair.row
            one, other = ages[row.buy], ages[row.sell]
            row.age_ms = None if one is None or other is None else one if one > other else other
            top = pair.hour.top
            if top is not pair.shown:
                pair.shown = top
                row.largest_bps = None if top is None else top[0]
                row.largest_ms = None if top is None else top[1] // 1_000_000
        data = {
            "symbol": self.symbol,
            "base": self.base,
            "quote": self.quote,
            "size": self._size_text,
            "fees": self.charged,
            "since_ms": self._since_ns // 1_000_000,
            "legs": [self._leg(side, now_ns) for side in self.sides],
            "pairs": [pair.row for pair in self.pairs],
        }
        state = best_state([side.leg for side in self.sides])
        return Picture(state=state, recv_ns=max(recv_ns, default=0), data=data)

    def _leg(self, side: Side, now_ns: int) -> dict[str, Any]:
        shown = side.leg.picture(now_ns)
        shown["fee_bps"] = f"{side.fee.bps(self.charged).normalize():f}"
        shown["fee_source"] = side.fee.source
        shown["buy"] = side.buy
        shown["sell"] = side.sell
        return shown


def _total(taken: Taken, factor: int, more: int) -> Decimal:
    """What was paid or got, converted; without trailing zeros, and never with a positive exponent."""
    total = Decimal(taken.cost * factor).scaleb(-taken.decimals - more)
    return total.normalize() + _ZERO  # adding an exponent of 0 takes a positive one away


def text(value: Decimal) -> str:
    """As plain decimal text."""
    return f"{value:f}"


def _ending(pair: Pair) -> str:
    """Why a pair that was above the threshold can no longer be computed."""
    if pair.buy.leg.book is None or pair.sell.leg.book is None:
        return f"A leg went stale: {pair.row.reason}"
    if pair.buy.why or pair.sell.why:
        return f"It cannot be traded any more: {pair.row.reason}"
    return f"The depth no longer suffices: {pair.row.reason}"
