"""What an account owns: cash, and on it the spot trading and the positions with their margin. Pure, exact, Decimal.

Balances always follow from deposits, executions, fees and funding; nothing else moves them. Fees are rounded to eight
decimals, as is the realised profit; the open cost of a position is kept exactly, so nothing is lost by rounding.
"""

from collections.abc import Callable, Iterable
from decimal import ROUND_DOWN, Decimal
from typing import NamedTuple

from feeds.simulator.cash import Cash
from feeds.simulator.market import FUNDING_MS, LiveMarket
from feeds.simulator.orders import Hold, OwnOrder, Rejected
from feeds.simulator.positions import E8, ZERO, Mode, Position
from feeds.simulator.terms import ProductTerms, Token

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


class FuturesWallet:
    """Positions and leverage on cash of the settlement currencies ``assets``, each by itself; one maintenance bracket,
    no liquidation. ``asset`` is the first, which is meant where none is named.

    ``modes`` of markets that have one of their own, ``mode`` of all others: one position or two, cross or isolated.
    """

    def __init__(
        self, cash: Cash, assets: tuple[str, ...], terms: ProductTerms, mark_of: Callable[[LiveMarket], Decimal]
    ) -> None:
        self.cash = cash
        self.assets = assets
        self.asset = assets[0]
        self.terms = terms
        self.funded: dict[str, Decimal] = dict.fromkeys(assets, ZERO)
        self.mode = Mode()
        self.modes: dict[LiveMarket, Mode] = {}
        self.positions: dict[tuple[LiveMarket, Hold], Position] = {}
        self.leverage: dict[LiveMarket, int] = {}
        self.updated_ms = 0
        self._mark_of = mark_of
        self._reserved: dict[str, dict[int, Decimal]] = {asset: {} for asset in assets}
        self._closing: dict[int, OwnOrder] = {}  # those that close a position of hedge mode
        cash.claimed_by(self._claim)

    def _claim(self, asset: str) -> Decimal:
        """Profit and loss of isolated positions are their own."""
        return self.used(asset) - self.cross_unrealised(asset) if asset in self.assets else ZERO

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

    def mode_of(self, market: LiveMarket) -> Mode:
        return self.modes.get(market, self.mode)

    def position(self, market: LiveMarket, hold: Hold = "both") -> Position:
        if (market, hold) not in self.positions:
            self.positions[market, hold] = Position(market, hold)
        return self.positions[market, hold]

    def positions_of(self, market: LiveMarket) -> list[Position]:
        """The positions that the market's mode has, open or not."""
        holds: tuple[Hold, ...] = ("long", "short") if self.mode_of(market).hedged else ("both",)
        return [self.position(market, hold) for hold in holds]

    def net(self, market: LiveMarket) -> Decimal:
        return sum((position.amount for position in self.positions_of(market)), ZERO)

    def usual_hold(self, market: LiveMarket, *, buy: bool, quantity: Decimal) -> Hold:
        """For who has no wish: the position that this closes where it can, else the one that it opens."""
        if not self.mode_of(market).hedged:
            return "both"
        mine: Hold = "long" if buy else "short"
        other: Hold = "short" if buy else "long"
        return other if self._left_to_close(market, other) >= quantity else mine

    def _left_to_close(self, market: LiveMarket, hold: Hold) -> Decimal:
        """Of a position of hedge mode: orders that are to close it have bound the rest."""
        bound = sum(each.left for each in self._closing.values() if (each.market, each.hold) == (market, hold))
        return abs(self.position(market, hold).amount) - bound * market.instrument.lot

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

    def is_isolated(self, position: Position) -> bool:
        return self.mode_of(position.market).isolated

    def isolated_margin(self, asset: str = "") -> Decimal:
        """What isolated positions have set aside."""
        held = self._settled_in(asset or self.asset)
        return sum((position.margin for position in held if self.is_isolated(position)), ZERO)

    def cross_unrealised(self, asset: str = "") -> Decimal:
        held = self._settled_in(asset or self.asset)
        return sum((self.unrealised(position) for position in held if not self.is_isolated(position)), ZERO)

    def total_unrealised(self, asset: str = "") -> Decimal:
        return sum((self.unrealised(p) for p in self._settled_in(asset or self.asset)), ZERO)

    def used(self, asset: str = "") -> Decimal:
        """Margin of positions and orders."""
        return self.position_margin(asset) + self.order_margin(asset)

    def position_margin(self, asset: str = "") -> Decimal:
        """The initial margin of cross positions, what is set aside for isolated ones."""
        return sum(
            (
                p.margin if self.is_isolated(p) else self.initial_margin(p)
                for p in self._settled_in(asset or self.asset)
            ),
            ZERO,
        )

    def available(self, asset: str = "") -> Decimal:
        """What may be used for new orders."""
        return self.cash.for_margin(asset or self.asset)

    def _settled_in(self, asset: str) -> Iterable[Position]:
        return [position for position in self.open_positions() if position.market.instrument.settle == asset]

    def liquidation_price(self, position: Position) -> Decimal:
        """Where the margin balance would fall to the maintenance margin, other markets unchanged; 0: nowhere.

        An isolated one has its own margin alone. Cross ones of one market fall together.
        """
        asset = settle_of(position.market)
        if self.is_isolated(position):
            legs, cushion = [position], position.margin
        else:
            cross = [p for p in self._settled_in(asset) if not self.is_isolated(p)]
            legs = [p for p in cross if p.market is position.market]
            others = [p for p in cross if p.market is not position.market]
            cushion = self.cash.total(asset) - self.isolated_margin(asset)
            cushion += sum((self.unrealised(p) - self.maintenance_margin(p) for p in others), ZERO)
        slope = sum((abs(p.amount) * MAINTENANCE - p.amount for p in legs), ZERO)
        if not slope:
            return ZERO
        price = (cushion - sum((p.cost for p in legs), ZERO)) / slope
        return max(ZERO, price.quantize(E8))

    # -- orders --------------------------------------------------------------------------------------------------

    def reserve(self, order: OwnOrder, account: object) -> tuple[str, ...]:
        """Hold initial margin for what may open a position. Raises Rejected."""
        i = order.market.instrument
        closing = self._one_way(order) if order.hold == "both" else self._hedged(order)
        opening = max(ZERO, order.size * i.lot - closing)
        price = order.price * i.tick if order.price is not None else self.mark(order.market)
        margin = (opening * price / self.leverage_of(order.market)).quantize(E8)
        asset = settle_of(order.market)
        if margin > self.available(asset):
            raise Rejected("insufficient", "There is not enough margin.")
        self._reserved[asset][order.id] = margin
        if order.closes:
            self._closing[order.id] = order
        return ()

    def _one_way(self, order: OwnOrder) -> Decimal:
        """How much it may close. One that only reduces becomes as small as the position."""
        if self.mode_of(order.market).hedged:
            raise Rejected("hold", "Positions are kept by side.")
        lot, held = order.market.instrument.lot, self.position(order.market).amount
        closing = abs(held) if held and (held > 0) != order.buy else ZERO
        if order.reduce_only and not closing:
            raise Rejected("reduce_only", "There is no position to reduce.")
        if order.reduce_only and order.size * lot > closing:
            order.size = int(closing / lot)
        return closing

    def _hedged(self, order: OwnOrder) -> Decimal:
        """How much it closes: all or nothing. No more than is there, and no other order is to close."""
        if not self.mode_of(order.market).hedged:
            raise Rejected("hold", "There is one position for both sides.")
        if not order.closes:
            if order.reduce_only:
                raise Rejected("reduce_only", "It would open a position.")
            return ZERO
        size = order.size * order.market.instrument.lot
        if size > self._left_to_close(order.market, order.hold):
            raise Rejected("reduce_only", "There is not that much to close.")
        return size

    def release(self, order: OwnOrder) -> tuple[str, ...]:
        self._reserved[settle_of(order.market)].pop(order.id, None)
        self._closing.pop(order.id, None)
        return ()

    def settle(self, order: OwnOrder, price: int, size: int, maker: bool) -> Settled:
        """Book an execution: position, realised profit, fee in the settlement currency."""
        i = order.market.instrument
        exact, quantity = price * i.tick, size * i.lot
        signed, held = quantity if order.buy else -quantity, self.position(order.market, order.hold)
        if self.is_isolated(held):
            held.set_aside(signed, exact, self.leverage_of(order.market))
        realised = held.execute(signed, exact)
        fee = (exact * quantity * (self.terms.maker if maker else self.terms.taker)).quantize(E8, ROUND_DOWN)
        asset = settle_of(order.market)
        self.cash.add(asset, realised - fee)
        reserved = self._reserved[asset].get(order.id, ZERO)
        if order.left:
            self._reserved[asset][order.id] = (reserved * (order.left - size) / order.left).quantize(E8)
        return Settled(fee, asset, realised, (asset,))

    def pay_funding(self, position: Position) -> Decimal:
        """Settle funding of one position at mark and rate; returns what it changed (negative: paid).

        The market's rate is for its usual interval; a shorter one pays its share.
        """
        market = position.market
        rate = Decimal(f"{market.funding_rate:.8f}") * self.terms.funding_ms / FUNDING_MS
        amount = -(self.notional(position) * rate).quantize(E8)
        asset = settle_of(market)
        self.cash.add(asset, amount)
        if self.is_isolated(position):
            position.margin += amount
        self.funded[asset] += amount
        return amount
