"""Accounts at the simulated Binance: keys, an order desk per product, and who is told. Pure, stepped by the market.

An order desk takes orders for one wallet: it reserves, sends to the matching engine, books executions and tells
listeners, in the order in which an exchange would: order first, then what it did to the balances.
"""

from collections import deque
from decimal import Decimal
from itertools import count
from typing import NamedTuple, TypeAlias

from feeds.simulator.candles import bucket, first_id
from feeds.simulator.keys import KEYS
from feeds.simulator.market import FUNDING_MS, LiveMarket, World
from feeds.simulator.matching import Execution
from feeds.simulator.orders import AccountEvent, Listener, OrderEvent, OwnFill, OwnOrder, Rejected, WalletEvent
from feeds.simulator.wallets import ZERO, FuturesWallet, SpotWallet

Wallet: TypeAlias = SpotWallet | FuturesWallet

_KEPT_ORDERS = 20_000


class Move(NamedTuple):
    """A deposit, or a withdrawal if ``amount`` is negative. The opening balances are none."""

    number: int
    asset: str
    amount: Decimal
    ms: int


class Desk:
    """One account's orders of one product."""

    def __init__(self, account: "Account", wallet: Wallet, world: World, ids: "count[int]") -> None:
        self.account = account
        self.wallet = wallet
        self.product = wallet.product
        self.fills: list[OwnFill] = []
        self.moves: list[Move] = []
        self.listeners: list[Listener] = []
        self.orders: dict[int, OwnOrder] = {}
        self._world = world
        self._ids = ids
        self._resting: dict[tuple[LiveMarket, int], OwnOrder] = {}
        self._finished: deque[int] = deque()
        self._fills_of: dict[LiveMarket, list[OwnFill]] = {}

    # -- telling -------------------------------------------------------------------------------------------------

    def tell(self, event: AccountEvent) -> None:
        for listener in list(self.listeners):
            listener(event)

    def _order_event(self, what: str, order: OwnOrder, fill: OwnFill | None = None, request_id: str = "") -> None:
        self.tell(OrderEvent(what, order, fill, request_id, order.updated_ms))

    def _wallet_event(self, assets: tuple[str, ...], market: LiveMarket, ms: int) -> None:
        if assets:
            markets = (market,) if self.product == "usdm" else ()
            self.tell(WalletEvent("ORDER", assets, markets, {}, ms))

    # -- orders --------------------------------------------------------------------------------------------------

    @property
    def now_ms(self) -> int:
        return self._world.now_ms

    def open_orders(self, market: LiveMarket | None = None) -> list[OwnOrder]:
        """Oldest first."""
        rows = [order for order in self._resting.values() if market is None or order.market is market]
        return sorted(rows, key=lambda order: order.id)

    def fills_of(self, market: LiveMarket) -> list[OwnFill]:
        """One market's fills, oldest first."""
        return self._fills_of.get(market, [])

    def find(self, market: LiveMarket, order_id: int | None, client_id: str | None) -> OwnOrder | None:
        """By order id, or the newest with that client id."""
        if order_id is not None:
            order = self.orders.get(order_id)
            return order if order is not None and order.market is market else None
        return next(
            (
                order
                for order in reversed(self.orders.values())
                if (order.market, order.client_id) == (market, client_id)
            ),
            None,
        )

    def place(
        self,
        market: LiveMarket,
        *,
        buy: bool,
        size: int,
        price: int | None = None,
        type: str = "LIMIT",
        time_in_force: str = "GTC",
        client_id: str = "",
        reduce_only: bool = False,
        quote_size: Decimal = ZERO,
    ) -> OwnOrder:
        """Send an order to the market. Raises Rejected; then nothing has happened."""
        order_id = next(self._ids)
        order = OwnOrder(
            order_id,
            client_id or f"sim{order_id}",
            market,
            buy=buy,
            type=type,
            time_in_force=time_in_force,
            price=price,
            size=size,
            quote_size=quote_size,
            reduce_only=reduce_only,
            now_ms=self.now_ms,
        )
        if client_id and any(held.client_id == client_id for held in self.open_orders(market)):
            raise Rejected(
                *(
                    (-2010, "Duplicate order sent.")
                    if self.product == "spot"
                    else (-4116, "ClientOrderId is duplicated.")
                )
            )
        engine = market.engine
        if order.post_only and price is not None and engine.crosses(buy, price):
            code = -2010 if self.product == "spot" else -5022
            raise Rejected(code, "Order would immediately match and take.")
        impossible = time_in_force == "FOK" and engine.available(buy, price, size) < size
        if impossible and self.product == "usdm":
            raise Rejected(-5021, "Due to the order could not be filled immediately, the FOK order has been rejected.")
        assets = self.wallet.reserve(order, self)
        self.orders[order_id] = order
        self._order_event("NEW", order)
        self._wallet_event(assets, market, order.created_ms)
        if impossible:
            self._finish(order, "EXPIRED")
        else:
            self._match(order)
        return order

    def _match(self, order: OwnOrder) -> None:
        market = order.market
        rest = order.price is not None and order.time_in_force in ("GTC", "GTX")
        match = market.submit(order.buy, order.price, order.size, self, rest=rest)
        for own in match.expired:
            self._finish(self._resting[market, own.id], "EXPIRED_IN_MATCH")
        for execution in match.executions:
            self._book(order, execution, maker=False, ms=market.now_ms)
        if order.left and rest:
            order.engine_id = match.order.id
            self._resting[market, match.order.id] = order
        elif order.left:
            self._finish(order, "EXPIRED")

    def _book(self, order: OwnOrder, execution: Execution, *, maker: bool, ms: int) -> None:
        i = order.market.instrument
        settled = self.wallet.settle(order, execution.price, execution.size, maker)
        order.filled += execution.size
        order.value += execution.price * execution.size
        order.status = "PARTIALLY_FILLED" if order.left else "FILLED"
        order.updated_ms = ms
        fill = OwnFill(
            execution.id,
            order,
            execution.price * i.tick,
            execution.size * i.lot,
            maker,
            settled.fee,
            settled.fee_asset,
            settled.realised,
            ms,
        )
        self.fills.append(fill)
        self._fills_of.setdefault(order.market, []).append(fill)
        if isinstance(self.wallet, FuturesWallet):
            self.wallet.position(order.market).updated_ms = ms
            self.wallet.updated_ms = ms
        if not order.left:
            self._done(order)
        self._order_event("TRADE", order, fill)
        self._wallet_event(settled.assets, order.market, ms)

    def executed(self, market: LiveMarket, execution: Execution, ms: int) -> None:
        """A resting order was hit by somebody else."""
        self._book(self._resting[market, execution.maker.id], execution, maker=True, ms=ms)

    def cancel(self, order: OwnOrder, request_id: str = "") -> None:
        """Cancel a resting order. Raises Rejected if it is not open."""
        if order.engine_id is None or (order.market, order.engine_id) not in self._resting:
            raise Rejected(-2011, "Unknown order sent.")
        order.market.cancel(order.engine_id)
        self._finish(order, "CANCELED", request_id)

    def _finish(self, order: OwnOrder, status: str, request_id: str = "") -> None:
        """The order ends with something left."""
        order.status = status
        order.updated_ms = max(order.updated_ms, self.now_ms)
        assets = self.wallet.release(order)
        self._done(order)
        self._order_event("CANCELED" if status == "CANCELED" else "EXPIRED", order, request_id=request_id)
        self._wallet_event(assets, order.market, order.updated_ms)

    def _done(self, order: OwnOrder) -> None:
        if order.engine_id is not None:
            self._resting.pop((order.market, order.engine_id), None)
            order.engine_id = None
        if isinstance(self.wallet, FuturesWallet):
            self.wallet.release(order)
        self._finished.append(order.id)
        if len(self._finished) > _KEPT_ORDERS:
            self.orders.pop(self._finished.popleft(), None)

    # -- money from outside --------------------------------------------------------------------------------------

    def transfer(self, asset: str, amount: Decimal) -> None:
        """Deposit, or withdraw if negative. Raises Rejected."""
        self.wallet.move(asset, amount)
        self.moves.append(Move(len(self.moves) + 1, asset, amount, self.now_ms))
        reason = "DEPOSIT" if amount >= 0 else "WITHDRAW"
        self.tell(WalletEvent(reason, (asset,), (), {asset: amount}, self.now_ms))

    def pay_funding(self) -> None:
        """Settle funding of all positions, now."""
        if not isinstance(self.wallet, FuturesWallet):
            return
        for position in self.wallet.open_positions():
            amount = self.wallet.pay_funding(position.market)
            self.wallet.updated_ms = self.now_ms
            self.tell(WalletEvent("FUNDING_FEE", ("USDT",), (position.market,), {"USDT": amount}, self.now_ms))


class Account:
    """A person's account: a desk per product."""

    def __init__(self, name: str, world: World, ids: dict[str, "count[int]"], *, pays_bnb: bool) -> None:
        self.name = name
        self.spot = SpotWallet(pays_bnb=pays_bnb)
        self.futures = FuturesWallet(_mark_of)
        self.desks = {
            "spot": Desk(self, self.spot, world, ids["spot"]),
            "usdm": Desk(self, self.futures, world, ids["usdm"]),
        }


def _mark_of(market: LiveMarket) -> Decimal:
    return Decimal(market.mark_texts()[0])


_OPENING = {
    "demo": (
        {"USDT": "58000", "BTC": "0.42", "ETH": "6.5", "SOL": "95", "LINK": "420", "DOGE": "24000", "BNB": "2.4"},
        "9000",
    ),
    "test": ({"USDT": "100000", "BTC": "1", "ETH": "10"}, "50000"),
}


class Accounts:
    """All accounts. Owns the world's executions of resting orders, and funding."""

    def __init__(self, world: World) -> None:
        self._world = world
        first = first_id(world.now_ms)
        ids = {"spot": count(first), "usdm": count(8_000_000_000_000 + first)}
        self.by_name: dict[str, Account] = {}
        for name, (spot, usdt) in _OPENING.items():
            account = Account(name, world, ids, pays_bnb=name == "demo")
            for asset, amount in spot.items():
                account.spot.move(asset, Decimal(amount))
            account.futures.move("USDT", Decimal(usdt))
            self.by_name[name] = account
        self.keys = {key.key: key for key in KEYS}
        self._funded_ms = bucket(FUNDING_MS, world.now_ms)
        world.on_maker_fill = self._maker_fill

    @staticmethod
    def _maker_fill(market: LiveMarket, execution: Execution, ms: int) -> None:
        desk = execution.maker.account
        if not isinstance(desk, Desk):
            raise TypeError(f"{execution.maker} belongs to {desk!r}, which is no order desk")
        desk.executed(market, execution, ms)

    def tick(self, now_ms: int) -> None:
        """Funding, when its time has come."""
        if bucket(FUNDING_MS, now_ms) != self._funded_ms:
            self._funded_ms = bucket(FUNDING_MS, now_ms)
            for account in self.by_name.values():
                account.desks["usdm"].pay_funding()
