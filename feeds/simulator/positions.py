"""A position of derivatives, as the simulated exchanges count it. Pure, exact, Decimal."""

from decimal import ROUND_HALF_EVEN, Decimal
from typing import NamedTuple

from feeds.simulator.market import LiveMarket
from feeds.simulator.orders import Hold

ZERO = Decimal(0)
E8 = Decimal("0.00000001")


class Mode(NamedTuple):
    """How a market's positions are kept: one, or a long and a short one; with margin of their own, or the wallet's."""

    hedged: bool = False
    isolated: bool = False


class Position:
    """``amount`` is signed; ``cost`` is what it cost, signed like the amount. ``hold`` "both": the only one of its
    market; in hedge mode there are a "long" and a "short" one. ``margin``: what is set aside for it, of isolated ones.
    """

    __slots__ = ("amount", "cost", "hold", "margin", "market", "realised", "updated_ms")

    def __init__(self, market: LiveMarket, hold: Hold = "both") -> None:
        self.market = market
        self.hold: Hold = hold
        self.margin = ZERO
        self.amount = ZERO
        self.cost = ZERO
        self.realised = ZERO
        self.updated_ms = 0

    @property
    def entry(self) -> Decimal:
        return (self.cost / self.amount).quantize(E8) if self.amount else ZERO

    def execute(self, signed: Decimal, price: Decimal) -> Decimal:
        """Add a signed quantity; returns the profit that it realised."""
        closing = ZERO
        if self.amount and (signed > 0) != (self.amount > 0):
            closing = min(abs(signed), abs(self.amount)).copy_sign(signed)
        realised = ZERO
        if closing:
            released = self.cost
            if abs(closing) < abs(self.amount):
                released = (self.cost * -closing / self.amount).quantize(E8, ROUND_HALF_EVEN)
            realised = -closing * price - released
            self.amount += closing
            self.cost -= released
        opening = signed - closing
        self.amount += opening
        self.cost += opening * price
        self.realised += realised
        return realised

    def set_aside(self, signed: Decimal, price: Decimal, leverage: int) -> None:
        """Isolated, before :meth:`execute` of the same: margin comes with what is opened, and goes with what is
        closed."""
        held, quantity = abs(self.amount), abs(signed)
        closing = min(held, quantity) if self.amount and (signed > 0) != (self.amount > 0) else ZERO
        if closing:
            self.margin -= (self.margin * closing / held).quantize(E8)
        self.margin += ((quantity - closing) * price / leverage).quantize(E8)
