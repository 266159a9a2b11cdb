"""What an account owns: cash, and on it the spot trading and the positions with their margin. Pure, exact, Decimal.

Balances always follow from deposits, executions, fees and funding; nothing else moves them. Fees are rounded to eight
decimals, as is the realised profit; the open cost of a position is kept exactly, so nothing is lost by rounding.
"""

from collections.abc import Callable, Iterable
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from typing import NamedTuple

from feeds.simulator.market import FUNDING_MS, LiveMarket
from feeds.simulator.orders import OwnOrder, Rejected
from feeds.simulator.terms import ProductTerms, Token

ZERO = Decimal(0)
E8 = Decimal("0.00000001")
MAINTENANCE = Decimal("0.0065")
"""Maintenance margin as a share of a position's value (one bracket for all)."""


def settle_of(market: LiveMarket) -> str:
    """What a derivative settles in. Raises TypeError for a spot market."""
    if (asset := market.instrument.settle) is None:
        raise TypeError(f"{market.instrument.symbol} is no derivative")
    return asset


class Settled(NamedTuple):
    """What an execution cost and brought."""

    fee: Decimal
    fee_asset: str
    realised: Decimal | None
    assets: tuple[str, ...]


class Cash:
    """Free and locked amounts by asset. Spot trading and positions that share it make a unified wallet.

    ``only``: the assets that may be here; None: any. No asset stands in for another: what settles in USDT needs USDT.
    """

    def __init__(self, name: str, only: frozenset[str] | None = None) -> None:
        self.name = name
        self.free: dict[str, Decimal] = {}
        self.locked: dict[str, Decimal] = {}
        self.deposited: dict[str, Decimal] = {}
        self._only = only
        self._claims: list[Callable[[str], Decimal]] = []

    def claimed_by(self, claim: Callable[[str], Decimal]) -> None:
        """Somebody else holds part of this: ``claim`` tells how much of an asset, below zero for open profit."""
        self._claims.append(claim)

    def move(self, asset: str, amount: Decimal) -> None:
        """Deposit, or withdraw if negative. Raises Rejected if there is not enough."""
        if self._only is not None and asset not in self._only:
            raise Rejected("unknown_asset", f"{asset} cannot be held in the {self.name} wallet.")
        if amount < 0 and self.usable(asset) + amount < 0:
            raise Rejected("insufficient", f"There is not that much {asset} in the {self.name} wallet.")
        self.deposited[asset] = self.deposited.get(asset, ZERO) + amount
        self.add(asset, amount)

    def total(self, asset: str) -> Decimal:
        return self.free.get(asset, ZERO) + self.locked.get(asset, ZERO)

    def for_margin(self, asset: str) -> Decimal:
        """What is left for margin: free, with open profit and loss, less what positions and orders hold."""
        return max(ZERO, self.free.get(asset, ZERO) - sum((claim(asset) for claim in self._claims), ZERO))

    def usable(self, asset: str) -> Decimal:
        """What may be spent or withdrawn: open profit is not there yet."""
        return max(ZERO, min(self.free.get(asset, ZERO), self.for_margin(asset)))

    def assets(self) -> list[str]:
        """All assets that were ever here."""
        return sorted(self.free.keys() | self.locked.keys())

    def add(self, asset: str, amount: Decimal) -> None:
        self.free[asset] = self.free.get(asset, ZERO) + amount

    def lock(self, asset: str, amount: Decimal) -> None:
        """Lock, or unlock if negative."""
        self.add(asset, -amount)
        self.locked[asset] = self.locked.get(asset, ZERO) + amount


class SpotWallet:
    """Spot trading on cash. ``token``: fees are paid in it while there is any. ``price_of``: what an asset costs in a
    quote currency now, None if it is not listed."""

    def __init__(
        self,
        cash: Cash,
        terms: ProductTerms,
        token: Token | None = None,
        price_of: Callable[[str, str], Decimal | None] = lambda asset, quote: None,
    ) -> None:
        self.cash = cash
        self.terms = terms
        self.token = token
        self._price_of = price_of

    @property
    def free(self) -> dict[str, Decimal]:
        return self.cash.free

    @property
    def locked(self) -> dict[str, Decimal]:
        return self.cash.locked

    @property
    def deposited(self) -> dict[str, Decimal]:
        return self.cash.deposited

    def total(self, asset: str) -> Decimal:
        return self.cash.total(asset)

    def assets(self) -> list[str]:
        return self.cash.assets()

    def _needs(self, order: OwnOrder, size: int) -> tuple[str, Decimal]:
        """What ``size`` lots of this order need: asset and amount, with the fee if it comes on top."""
        i = order.market.instrument
        if not order.buy:
            return i.base, size * i.lot
        return i.quote, self._with_fee(size * i.lot * (order.price or 0) * i.tick)

    def _with_fee(self, value: Decimal) -> Decimal:
        return value * (1 + self.terms.taker) if self.terms.fee_asset == "quote" else value

    def reserve(self, order: OwnOrder, account: object) -> tuple[str, ...]:
        """Lock what the order may need; a market purchase only has to be affordable. Raises Rejected.

        ``account`` is whose orders it will not trade with.
        """
        asset, amount = self._needs(order, order.size)
        if order.price is None and order.buy:
            i = order.market.instrument
            amount = self._with_fee(order.market.engine.cost(True, order.size, account) * i.tick * i.lot)
        if self.cash.usable(asset) < amount:
            raise Rejected("insufficient", f"There is not enough {asset}.")
        if order.price is None and order.buy:
            return ()
        self.cash.lock(asset, amount)
        return (asset,)

    def release(self, order: OwnOrder) -> tuple[str, ...]:
        """Unlock what a finished order still holds."""
        if order.price is None and order.buy:
            return ()
        asset, amount = self._needs(order, order.left)
        self.cash.lock(asset, -amount)
        return (asset,)

    def settle(self, order: OwnOrder, price: int, size: int, maker: bool) -> Settled:
        """Book an execution."""
        i, cash = order.market.instrument, self.cash
        value, quantity = price * size * i.tick * i.lot, size * i.lot
        if not (order.price is None and order.buy):
            asset, amount = self._needs(order, size)
            cash.lock(asset, -amount)
        received, got = (i.base, quantity) if order.buy else (i.quote, value)
        cash.add(i.quote if order.buy else i.base, -(value if order.buy else quantity))
        cash.add(received, got)
        fee, fee_asset = self._fee(order, value, received, got, self.terms.maker if maker else self.terms.taker)
        cash.add(fee_asset, -fee)
        return Settled(fee, fee_asset, None, tuple(dict.fromkeys((i.base, i.quote, fee_asset))))

    def _fee(self, order: OwnOrder, value: Decimal, received: str, got: Decimal, rate: Decimal) -> tuple[Decimal, str]:
        if self.token is not None:
            price = self._price_of(self.token.asset, order.market.instrument.quote) or self.token.price
            in_token = (value * rate * self.token.discount / price).quantize(E8, ROUND_DOWN)
            if self.cash.free.get(self.token.asset, ZERO) >= in_token:
                return in_token, self.token.asset
        if self.terms.fee_asset == "quote":
            return (value * rate).quantize(E8, ROUND_DOWN), order.market.instrument.quote
        return (got * rate).quantize(E8, ROUND_DOWN), received


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
    """Positions and leverage on cash of the settlement currencies ``assets``, each by itself; cross margin, one-way
    mode, one maintenance bracket, no liquidation. ``asset`` is the first, which is meant where none is named."""

    def __init__(
        self, cash: Cash, assets: tuple[str, ...], terms: ProductTerms, mark_of: Callable[[LiveMarket], Decimal]
    ) -> None:
        self.cash = cash
        self.assets = assets
        self.asset = assets[0]
        self.terms = terms
        self.funded: dict[str, Decimal] = dict.fromkeys(assets, ZERO)
        self.positions: dict[LiveMarket, Position] = {}
        self.leverage: dict[LiveMarket, int] = {}
        self.updated_ms = 0
        self._mark_of = mark_of
        self._reserved: dict[str, dict[int, Decimal]] = {asset: {} for asset in assets}
        cash.claimed_by(self._claim)

    def _claim(self, asset: str) -> Decimal:
        return self.used(asset) - self.total_unrealised(asset) if asset in self.assets else ZERO

    @property
    def funding(self) -> Decimal:
        return self.funded[self.asset]

    @property
    def balance(self) -> Decimal:
        """The settlement currency, without open profit and loss."""
        return self.cash.total(self.asset)

    @property
    def deposited(self) -> Decimal:
        return self.cash.deposited.get(self.asset, ZERO)

    def mark(self, market: LiveMarket) -> Decimal:
        return self._mark_of(market)

    def position(self, market: LiveMarket) -> Position:
        if market not in self.positions:
            self.positions[market] = Position(market)
        return self.positions[market]

    def open_positions(self) -> Iterable[Position]:
        return [position for position in self.positions.values() if position.amount]

    def leverage_of(self, market: LiveMarket) -> int:
        return self.leverage.get(market, self.terms.leverage)

    # -- margin --------------------------------------------------------------------------------------------------

    def unrealised(self, position: Position) -> Decimal:
        return position.amount * self.mark(position.market) - position.cost

    def notional(self, position: Position) -> Decimal:
        return position.amount * self.mark(position.market)

    def initial_margin(self, position: Position) -> Decimal:
        return (abs(self.notional(position)) / self.leverage_of(position.market)).quantize(E8)

    def maintenance_margin(self, position: Position) -> Decimal:
        return (abs(self.notional(position)) * MAINTENANCE).quantize(E8)

    def order_margin(self, asset: str = "") -> Decimal:
        return sum(self._reserved[asset or self.asset].values(), ZERO)

    def total_unrealised(self, asset: str = "") -> Decimal:
        return sum((self.unrealised(p) for p in self._settled_in(asset or self.asset)), ZERO)

    def used(self, asset: str = "") -> Decimal:
        """Initial margin of positions and orders."""
        held = sum((self.initial_margin(p) for p in self._settled_in(asset or self.asset)), ZERO)
        return held + self.order_margin(asset)

    def available(self, asset: str = "") -> Decimal:
        """What may be used for new orders."""
        return self.cash.for_margin(asset or self.asset)

    def _settled_in(self, asset: str) -> Iterable[Position]:
        return [position for position in self.open_positions() if position.market.instrument.settle == asset]

    def liquidation_price(self, position: Position) -> Decimal:
        """Where the margin balance would fall to the maintenance margin, other positions unchanged; 0: nowhere."""
        asset = settle_of(position.market)
        others = [p for p in self._settled_in(asset) if p is not position]
        cushion = self.cash.total(asset) + sum((self.unrealised(p) - self.maintenance_margin(p) for p in others), ZERO)
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
            raise Rejected("reduce_only", "There is no position to reduce.")
        if order.reduce_only and size > closing:
            order.size = int(closing / i.lot)
        opening = max(ZERO, order.size * i.lot - closing)
        price = order.price * i.tick if order.price is not None else self.mark(order.market)
        margin = (opening * price / self.leverage_of(order.market)).quantize(E8)
        asset = settle_of(order.market)
        if margin > self.available(asset):
            raise Rejected("insufficient", "There is not enough margin.")
        self._reserved[asset][order.id] = margin
        return ()

    def release(self, order: OwnOrder) -> tuple[str, ...]:
        self._reserved[settle_of(order.market)].pop(order.id, None)
        return ()

    def settle(self, order: OwnOrder, price: int, size: int, maker: bool) -> Settled:
        """Book an execution: position, realised profit, fee in the settlement currency."""
        i = order.market.instrument
        exact, quantity = price * i.tick, size * i.lot
        realised = self.position(order.market).execute(quantity if order.buy else -quantity, exact)
        fee = (exact * quantity * (self.terms.maker if maker else self.terms.taker)).quantize(E8, ROUND_DOWN)
        asset = settle_of(order.market)
        self.cash.add(asset, realised - fee)
        reserved = self._reserved[asset].get(order.id, ZERO)
        if order.left:
            self._reserved[asset][order.id] = (reserved * (order.left - size) / order.left).quantize(E8)
        return Settled(fee, asset, realised, (asset,))

    def pay_funding(self, market: LiveMarket) -> Decimal:
        """Settle funding of one position at mark and rate; returns what it changed (negative: paid).

        The market's rate is for its usual interval; a shorter one pays its share.
        """
        position = self.position(market)
        rate = Decimal(f"{market.funding_rate:.8f}") * self.terms.funding_ms / FUNDING_MS
        amount = -(self.notional(position) * rate).quantize(E8)
        asset = settle_of(market)
        self.cash.add(asset, amount)
        self.funded[asset] += amount
        return amount
