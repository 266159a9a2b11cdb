"""What an account owns: spot balances, and the USDT wallet with positions of the futures. Pure, exact, Decimal.

Balances always follow from deposits, executions, fees and funding; nothing else moves them. Fees are rounded to eight
decimals, as is the realised profit; the open cost of a position is kept exactly, so nothing is lost by rounding.
"""

from collections.abc import Callable, Iterable
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from typing import NamedTuple

from feeds.simulator.market import LiveMarket
from feeds.simulator.orders import OwnOrder, Rejected

ZERO = Decimal(0)
E8 = Decimal("0.00000001")
BNB_USDT = Decimal("612.40")
"""BNB is not listed here; its price only converts fees."""
SPOT_FEE = Decimal("0.001")
_BNB_DISCOUNT = Decimal("0.75")
MAKER_FEE, TAKER_FEE = Decimal("0.0002"), Decimal("0.0005")
MAINTENANCE = Decimal("0.0065")
"""Maintenance margin as a share of a position's value (one bracket for all)."""


class Settled(NamedTuple):
    """What an execution cost and brought."""

    fee: Decimal
    fee_asset: str
    realised: Decimal | None
    assets: tuple[str, ...]


class SpotWallet:
    """Free and locked amounts by asset. ``pays_bnb``: fees are paid in BNB, with the discount, while there is any."""

    product = "spot"

    def __init__(self, *, pays_bnb: bool) -> None:
        self.free: dict[str, Decimal] = {}
        self.locked: dict[str, Decimal] = {}
        self.deposited: dict[str, Decimal] = {}
        self.pays_bnb = pays_bnb

    def move(self, asset: str, amount: Decimal) -> None:
        """Deposit, or withdraw if negative. Raises Rejected if there is not enough."""
        if self.free.get(asset, ZERO) + amount < 0:
            raise Rejected(-2010, "Account has insufficient balance for requested action.")
        self.deposited[asset] = self.deposited.get(asset, ZERO) + amount
        self._add(asset, amount)

    def total(self, asset: str) -> Decimal:
        return self.free.get(asset, ZERO) + self.locked.get(asset, ZERO)

    def assets(self) -> list[str]:
        """All assets that were ever here."""
        return sorted(self.free.keys() | self.locked.keys())

    def _add(self, asset: str, amount: Decimal) -> None:
        self.free[asset] = self.free.get(asset, ZERO) + amount

    def _lock(self, asset: str, amount: Decimal) -> None:
        self._add(asset, -amount)
        self.locked[asset] = self.locked.get(asset, ZERO) + amount

    def _needs(self, order: OwnOrder, size: int) -> tuple[str, Decimal]:
        """What ``size`` lots of this order need: asset and amount."""
        i = order.market.instrument
        if not order.buy:
            return i.base, size * i.lot
        return i.quote, size * i.lot * (order.price or 0) * i.tick

    def reserve(self, order: OwnOrder, account: object) -> tuple[str, ...]:
        """Lock what the order may need; a market purchase only has to be affordable. Raises Rejected.

        ``account`` is whose orders it will not trade with.
        """
        asset, amount = self._needs(order, order.size)
        if order.price is None and order.buy:
            i = order.market.instrument
            amount = order.market.engine.cost(True, order.size, account) * i.tick * i.lot
        if self.free.get(asset, ZERO) < amount:
            raise Rejected(-2010, "Account has insufficient balance for requested action.")
        if order.price is None and order.buy:
            return ()
        self._lock(asset, amount)
        return (asset,)

    def release(self, order: OwnOrder) -> tuple[str, ...]:
        """Unlock what a finished order still holds."""
        if order.price is None and order.buy:
            return ()
        asset, amount = self._needs(order, order.left)
        self._lock(asset, -amount)
        return (asset,)

    def settle(self, order: OwnOrder, price: int, size: int, maker: bool) -> Settled:
        """Book an execution."""
        i = order.market.instrument
        value, quantity = price * size * i.tick * i.lot, size * i.lot
        if not (order.price is None and order.buy):
            asset, amount = self._needs(order, size)
            self._lock(asset, -amount)
        received, got = (i.base, quantity) if order.buy else (i.quote, value)
        self._add(i.quote if order.buy else i.base, -(value if order.buy else quantity))
        self._add(received, got)
        fee, fee_asset = (got * SPOT_FEE).quantize(E8, ROUND_DOWN), received
        if self.pays_bnb:
            in_bnb = (value * SPOT_FEE * _BNB_DISCOUNT / BNB_USDT).quantize(E8, ROUND_DOWN)
            if self.free.get("BNB", ZERO) >= in_bnb:
                fee, fee_asset = in_bnb, "BNB"
        self._add(fee_asset, -fee)
        return Settled(fee, fee_asset, None, tuple(dict.fromkeys((i.base, i.quote, fee_asset))))


class Position:
    """A position in one-way mode. ``amount`` is signed; ``cost`` is what it cost, signed like the amount."""

    __slots__ = ("amount", "cost", "market", "realised", "updated_ms")

    def __init__(self, market: LiveMarket) -> None:
        self.market = market
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


class FuturesWallet:
    """USDT wallet, positions and leverage; cross margin, one-way mode, one maintenance bracket, no liquidation."""

    product = "usdm"

    def __init__(self, mark_of: Callable[[LiveMarket], Decimal]) -> None:
        self.balance = ZERO
        self.deposited = ZERO
        self.funding = ZERO
        self.positions: dict[LiveMarket, Position] = {}
        self.leverage: dict[LiveMarket, int] = {}
        self.updated_ms = 0
        self._mark_of = mark_of
        self._reserved: dict[int, Decimal] = {}

    def move(self, asset: str, amount: Decimal) -> None:
        """Transfer in, or out if negative. Raises Rejected for another asset or if there is not enough."""
        if asset != "USDT" or self.available() + amount < 0:
            raise Rejected(-2018, "Balance is insufficient.")
        self.balance += amount
        self.deposited += amount

    def mark(self, market: LiveMarket) -> Decimal:
        return self._mark_of(market)

    def position(self, market: LiveMarket) -> Position:
        if market not in self.positions:
            self.positions[market] = Position(market)
        return self.positions[market]

    def open_positions(self) -> Iterable[Position]:
        return [position for position in self.positions.values() if position.amount]

    def leverage_of(self, market: LiveMarket) -> int:
        return self.leverage.get(market, 20)

    # -- margin --------------------------------------------------------------------------------------------------

    def unrealised(self, position: Position) -> Decimal:
        return position.amount * self.mark(position.market) - position.cost

    def notional(self, position: Position) -> Decimal:
        return position.amount * self.mark(position.market)

    def initial_margin(self, position: Position) -> Decimal:
        return (abs(self.notional(position)) / self.leverage_of(position.market)).quantize(E8)

    def maintenance_margin(self, position: Position) -> Decimal:
        return (abs(self.notional(position)) * MAINTENANCE).quantize(E8)

    def order_margin(self) -> Decimal:
        return sum(self._reserved.values(), ZERO)

    def total_unrealised(self) -> Decimal:
        return sum((self.unrealised(p) for p in self.open_positions()), ZERO)

    def available(self) -> Decimal:
        """What may be used for new orders."""
        used = sum((self.initial_margin(p) for p in self.open_positions()), ZERO) + self.order_margin()
        return max(ZERO, self.balance + self.total_unrealised() - used)

    def liquidation_price(self, position: Position) -> Decimal:
        """Where the margin balance would fall to the maintenance margin, other positions unchanged; 0: nowhere."""
        others = [p for p in self.open_positions() if p is not position]
        cushion = self.balance + sum((self.unrealised(p) - self.maintenance_margin(p) for p in others), ZERO)
        sign = 1 if position.amount > 0 else -1
        price = (cushion - position.cost) / (abs(position.amount) * (MAINTENANCE - sign))
        return max(ZERO, price.quantize(E8))

    # -- orders --------------------------------------------------------------------------------------------------

    def reserve(self, order: OwnOrder, account: object) -> tuple[str, ...]:
        """Hold initial margin for what may open a position. Raises Rejected."""
        i = order.market.instrument
        held = self.position(order.market).amount
        size = order.size * i.lot
        closing = abs(held) if held and (held > 0) != order.buy else ZERO
        if order.reduce_only and not closing:
            raise Rejected(-2022, "ReduceOnly Order is rejected.")
        if order.reduce_only and size > closing:
            order.size = int(closing / i.lot)
        opening = max(ZERO, order.size * i.lot - closing)
        price = order.price * i.tick if order.price is not None else self.mark(order.market)
        margin = (opening * price / self.leverage_of(order.market)).quantize(E8)
        if margin > self.available():
            raise Rejected(-2019, "Margin is insufficient.")
        self._reserved[order.id] = margin
        return ()

    def release(self, order: OwnOrder) -> tuple[str, ...]:
        self._reserved.pop(order.id, None)
        return ()

    def settle(self, order: OwnOrder, price: int, size: int, maker: bool) -> Settled:
        """Book an execution: position, realised profit, fee in USDT."""
        i = order.market.instrument
        exact, quantity = price * i.tick, size * i.lot
        realised = self.position(order.market).execute(quantity if order.buy else -quantity, exact)
        fee = (exact * quantity * (MAKER_FEE if maker else TAKER_FEE)).quantize(E8, ROUND_DOWN)
        self.balance += realised - fee
        reserved = self._reserved.get(order.id, ZERO)
        if order.left:
            self._reserved[order.id] = (reserved * (order.left - size) / order.left).quantize(E8)
        return Settled(fee, "USDT", realised, ("USDT",))

    def pay_funding(self, market: LiveMarket) -> Decimal:
        """Settle funding of one position at mark and rate; returns what it changed (negative: paid)."""
        position = self.position(market)
        amount = -(self.notional(position) * Decimal(f"{market.funding_rate:.8f}")).quantize(E8)
        self.balance += amount
        self.funding += amount
        return amount
