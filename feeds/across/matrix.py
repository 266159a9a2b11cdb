"""The spread matrix: what buying a size on one exchange and selling it on another leaves, after fees.

Books are walked in whole numbers, and what follows is computed with ``Decimal`` in a context that raises where a digit
would be lost: gross and net are exact. Only basis points are rounded, always down. A matrix is drawn at most ten times
a second; only legs whose book, state or rate changed since are looked at, and only pairs of which a leg comes to
something else are computed, and encoded.

With C the cost of buying on leg A and P the proceeds of selling on leg B, both by walking their books, and a, b the
fees: gross = P - C, net = P * (1 - b) - C * (1 + a), in basis points of C.
"""

from collections.abc import Callable, Sequence
from decimal import ROUND_FLOOR, Context, Decimal, Inexact, InvalidOperation, localcontext
from typing import Any

import structlog
from msgspec import Raw

from feeds.across.fees import Charged, Fee
from feeds.across.legs import PAR, Leg, best_state
from feeds.across.pairs import BPS_STEP, BUCKET_NS, WITH_EXPONENT, HourMax, Judge, Pair, Row, Side, encoded
from feeds.across.walk import Taken, plain, price_text
from feeds.clock import Clock
from feeds.publisher import Picture

_EXACT = Context(prec=3000, traps=[Inexact, InvalidOperation])  # digits of any two floats' product, and more
_DOWN = Context(prec=40, rounding=ROUND_FLOOR)

log = structlog.get_logger(__name__)


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
        self._from: list[list[Pair]] = []  # the pairs by the leg to buy on
        self._encoded = Raw(b"[]")  # all of them
        self._news = 0  # pairs that were changed since
        self._fee_of = fee_of
        self._judge = judge
        self._clock = clock
        self._size_text = f"{size:f}"
        self._since_ns = clock.now_ns()
        self._bucket = 0  # of the last picture

    def set_legs(self, legs: Sequence[Leg]) -> None:
        """The legs, in order; those that were there before keep their place and their history."""
        known = len(self.sides)
        assert [side.leg for side in self.sides] == list(legs[:known])
        for leg in legs[known:]:
            self.sides.append(Side(leg, leg.source.walk(self.size), self._fee_of(leg), self.charged))
        old = {(pair.row.buy, pair.row.sell): pair for pair in self.pairs}
        self._from = [
            [old.get((i, j)) or Pair(self, buy, sell, Row(i, j)) for j, sell in enumerate(self.sides) if i != j]
            for i, buy in enumerate(self.sides)
        ]
        self.pairs = [pair for group in self._from for pair in group]
        self._news = len(self.pairs)

    def new_fees(self) -> None:
        """Fees or the threshold were changed: what was, was computed otherwise, so everything begins anew."""
        self.end("The fees or the threshold were changed.")
        self._since_ns = self._clock.now_ns()
        for side in self.sides:
            side.charge(self._fee_of(side.leg), self.charged)
        for pair in self.pairs:
            pair.hour, pair.row.positive_since_ms = HourMax(), None
            pair.tell()
        self._news = len(self.pairs)

    def end(self, reason: str) -> None:
        """Nothing is known from here on."""
        now_ns = self._clock.now_ns()
        for pair in self.pairs:
            if pair.hot:
                self._cool(pair, reason, now_ns)

    # -- computing ---------------------------------------------------------------------------------------------------

    def compute(self) -> None:
        """Bring all pairs up to date."""
        stale = [(number, side) for number, side in enumerate(self.sides) if side.stamp != side.leg.version]
        if not stale:
            return
        bought, sold = set(), set()
        with localcontext(_EXACT):
            for number, side in stale:
                buys, sells = self._bring_up(side)
                if buys:
                    bought.add(number)
                if sells:
                    sold.add(number)
            if bought or sold:
                self._settle(bought, sold, self._clock.now_ns())

    def tick(self) -> None:
        """Now and then, for what time alone changes: hours that pass, spreads that last."""
        self.compute()
        now_ns = self._clock.now_ns()
        for pair in self.pairs:
            if pair.bps is not None:
                before = pair.hour.top
                pair.hour.add(pair.bps, now_ns)
                if pair.hour.top is not before:
                    pair.tell()
                    self._news += 1
            if pair.hot and self._judge is not None:
                self._judge.above(pair, now_ns)

    def _bring_up(self, side: Side) -> tuple[bool, bool]:
        """Bring one leg up to date: did what buying comes to change, and selling? One that fails is not usable, and
        the others go on."""
        leg = side.leg
        version = leg.version
        try:
            changes = self._refresh(side)
        except (ArithmeticError, ValueError) as error:
            if not side.failed:
                log.error("leg cannot be computed", leg=leg.source.name, matrix=self.symbol, exc_info=error)
            side.forget()
            side.failed, side.why = True, f"{leg.source.name}: its book cannot be computed."
            changes = True, True
        else:
            if side.failed:
                log.info("leg is computed again", leg=leg.source.name, matrix=self.symbol)
            side.failed = False
        side.stamp = version
        return changes

    def _refresh(self, side: Side) -> tuple[bool, bool]:
        leg = side.leg
        book, market = leg.book, leg.market
        if book is None:
            side.forget()
            side.why = leg.why_not
            return True, True
        rate = PAR if leg.rate is None else leg.rate.now() or PAR
        walk = side.walk
        walk.follow(leg.source.version, book, market)
        bought, sold = walk.bought, walk.sold
        buys, sells = bought is not side.bought, sold is not side.sold
        if rate != side.rate or market is not side.market or side.buy is None:
            buys = sells = True
            side.rate = rate
            if market is not side.market:
                side.market, side.refusal = market, self._refusal(leg)
            side.why = side.refusal
        if buys:
            side.bought = bought
            cost, side.buy = self._shown(bought, rate.ask, rate.decimals, up=1)
            side.cost = cost if bought.whole and not side.why else None
            side.per_bps, side.paid = cost * BPS_STEP, (cost * side.with_fee).normalize() + 0
        if sells:
            side.sold = sold
            proceeds, side.sell = self._shown(sold, rate.bid, rate.decimals, up=0)
            side.proceeds = proceeds if sold.whole and not side.why else None
            side.received = (proceeds * side.less_fee).normalize() + 0
        return buys, sells

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

    def _shown(self, taken: Taken, factor: int, more: int, *, up: int) -> tuple[Decimal, Raw]:
        """What was paid or got, converted, and a walk as docs/protocol.md shows it.

        The average is rounded where it does not end, up or down.
        """
        cost = plain(taken.cost * factor, taken.decimals + more)
        if not taken.whole or taken.worst is None:
            available = plain(taken.size, taken.size_decimals)
            shown = f'{{"average":null,"worst":null,"cost":null,"available":"{available}"}}'
            return Decimal(cost), Raw(shown.encode())
        price_decimals = taken.decimals - taken.size_decimals
        hundredths = taken.cost * factor * 100  # price decimals and two more
        average = plain(-(-hundredths // taken.size) if up else hundredths // taken.size, price_decimals + more + 2)
        worst = price_text(taken.worst)
        if factor != 1:
            worst = plain(int(Decimal(worst).scaleb(price_decimals)) * factor, price_decimals + more)
        shown = f'{{"average":"{average}","worst":"{worst}","cost":"{cost}","available":"{self._size_text}"}}'
        return Decimal(cost), Raw(shown.encode())

    def _settle(self, bought: set[int], sold: set[int], now_ns: int) -> None:
        """What the pairs of these legs come to. One loop: with eight exchanges there are 56 of them, ten times a
        second."""
        bucket, judge = now_ns // BUCKET_NS, self._judge
        threshold = None if judge is None else judge.threshold
        divide, quantize, step = _DOWN.divide, _DOWN.quantize, BPS_STEP
        for number, pairs in enumerate(self._from):
            buy = self.sides[number]
            cost, paid, per_bps = buy.cost, buy.paid, buy.per_bps
            for pair in pairs:
                row = pair.row
                if row.sell not in sold and number not in bought:
                    continue
                pair.encoded = None
                self._news += 1
                sell = pair.sell
                proceeds = sell.proceeds
                if not cost or proceeds is None:
                    self._give_up(pair, now_ns)
                    continue
                gross, net = proceeds - cost, sell.received - paid
                try:
                    bps = quantize(divide(net, per_bps), step)
                    row.gross_bps = quantize(divide(gross, per_bps), step)
                except InvalidOperation:  # more digits than any price has
                    self._give_up(pair, now_ns)
                    continue
                pair.bps = row.net_bps = bps
                pair.net = net
                row.gross = gross if gross.adjusted() > WITH_EXPONENT else f"{gross:f}"
                row.net = net if net.adjusted() > WITH_EXPONENT else f"{net:f}"
                row.reason = ""
                if net <= 0:
                    row.positive_since_ms = None
                elif row.positive_since_ms is None:
                    row.positive_since_ms = now_ns // 1_000_000
                hour = pair.hour
                if bucket != hour.bucket or bps > hour.largest:
                    hour.add(bps, now_ns)
                    pair.tell()
                if threshold is not None and judge is not None and bps >= threshold:
                    pair.hot = True
                    judge.above(pair, now_ns)
                elif pair.hot:
                    self._cool(pair, "The net fell below the threshold.", now_ns)

    def _give_up(self, pair: Pair, now_ns: int) -> None:
        """A pair that cannot be computed."""
        row = pair.row
        pair.bps = None
        row.gross = row.net = row.gross_bps = row.net_bps = row.positive_since_ms = None
        row.reason = pair.buy.why or pair.sell.why or self._too_little(pair) or "The prices are too far apart."
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
        bucket = now_ns // BUCKET_NS
        if bucket != self._bucket:
            self._bucket = bucket
            for pair in self.pairs:
                pair.hour.forget(bucket)
                pair.tell()
            self._news = len(self.pairs)
        if self._news:
            self._encoded, self._news = encoded(self.pairs, 2 * self._news > len(self.pairs)), 0
        legs = [self._leg(side, now_ns) for side in self.sides]
        data = {
            "symbol": self.symbol,
            "base": self.base,
            "quote": self.quote,
            "size": self._size_text,
            "fees": self.charged,
            "since_ms": self._since_ns // 1_000_000,
            "legs": legs,
            "pairs": self._encoded,
        }
        newest_us = max((leg["recv_us"] for leg in legs), default=0)
        return Picture(state=best_state([side.leg for side in self.sides]), recv_ns=newest_us * 1000, data=data)

    def _leg(self, side: Side, now_ns: int) -> dict[str, Any]:
        shown = side.leg.picture(now_ns)
        if side.failed and shown["usable"]:
            shown |= {"usable": False, "reason": side.why}
        shown["fee_bps"] = side.fee_bps
        shown["fee_source"] = side.fee_source
        shown["buy"] = side.buy
        shown["sell"] = side.sell
        return shown


def _ending(pair: Pair) -> str:
    """Why a pair that was above the threshold can no longer be computed."""
    if pair.buy.leg.book is None or pair.sell.leg.book is None:
        return f"A leg went stale: {pair.row.reason}"
    if pair.buy.why or pair.sell.why:
        return f"It cannot be traded any more: {pair.row.reason}"
    return f"The depth no longer suffices: {pair.row.reason}"
