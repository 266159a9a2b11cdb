"""An order desk: one account's orders of one product of an exchange. Pure, stepped by the market.

It takes orders for one wallet: it reserves, sends to the matching engine, books executions and tells listeners, in the
order in which an exchange would: order first, then what it did to the balances.
"""

from collections import deque
from decimal import Decimal
from itertools import count
from typing import Any, TypeAlias

from feeds.simulator.market import LiveMarket, World
from feeds.simulator.matching import Execution
from feeds.simulator.orders import (
    AccountEvent,
    Hold,
    Listener,
    Movement,
    MovementKind,
    OrderEvent,
    OwnFill,
    OwnOrder,
    Rejected,
    WalletEvent,
)
from feeds.simulator.positions import ZERO, Mode
from feeds.simulator.terms import ProductTerms
from feeds.simulator.wallets import FuturesWallet, SpotWallet, settle_of

Wallet: TypeAlias = SpotWallet | FuturesWallet

KEPT = 10_000
"""So many finished orders, and fills, a desk knows at least, and so many fills and movements an account. Who wants to
know them for longer has stored them by then."""


def trim(rows: list[Any]) -> None:
    """Forget the oldest rows, many at a time."""
    if len(rows) >= 2 * KEPT:
        del rows[:-KEPT]


class Journal:
    """What all desks of an account write into: the newest fills and movements of money, oldest first.

    ``numbers`` count fills and movements, over the whole exchange.
    """

    def __init__(self, numbers: "count[int]") -> None:
        self.fills: list[OwnFill] = []
        self.movements: list[Movement] = []
        self.numbers = numbers

    def moved(
        self,
        kind: MovementKind,
        wallet: str,
        asset: str,
        amount: Decimal,
        ms: int,
        market: LiveMarket | None = None,
        name: str = "",
    ) -> None:
        self.movements.append(Movement(next(self.numbers), kind, wallet, asset, amount, market, ms, name))
        trim(self.movements)


class Desk:
    """One account's orders of one product. ``ids`` number the orders of the exchange; ``client_id`` see Terms."""

    def __init__(
        self, product: str, wallet: Wallet, journal: Journal, world: World, ids: "count[int]", client_id: str = ""
    ) -> None:
        self.product = product
        self.wallet = wallet
        self.fills: list[OwnFill] = []
        self.listeners: list[Listener] = []
        self.orders: dict[int, OwnOrder] = {}
        self._journal = journal
        self._world = world
        self._ids = ids
        self._client_id = client_id
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
            markets = (market,) if isinstance(self.wallet, FuturesWallet) else ()
            self.tell(WalletEvent("ORDER", assets, markets, {}, ms))

    # -- orders --------------------------------------------------------------------------------------------------

    @property
    def terms(self) -> ProductTerms:
        return self.wallet.terms

    @property
    def spot(self) -> SpotWallet:
        """The wallet of a spot-like product. Raises TypeError for derivatives."""
        if not isinstance(self.wallet, SpotWallet):
            raise TypeError(f"{self.product} is no spot product")
        return self.wallet

    @property
    def futures(self) -> FuturesWallet:
        """The wallet of derivatives. Raises TypeError for spot-like products."""
        if not isinstance(self.wallet, FuturesWallet):
            raise TypeError(f"{self.product} is a spot product")
        return self.wallet

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

    def fills_of_order(self, order: OwnOrder) -> list[OwnFill]:
        """One order's fills, oldest first."""
        return [fill for fill in self.fills_of(order.market) if fill.order is order]

    def history(self, market: LiveMarket | None = None) -> list[OwnOrder]:
        """All orders that are still known, open ones too, oldest first."""
        return [order for order in self.orders.values() if market is None or order.market is market]

    def find(self, market: LiveMarket | None, order_id: int | None, client_id: str | None) -> OwnOrder | None:
        """By order id, or the newest with that client id; ``market`` None: of any market."""
        if order_id is not None:
            order = self.orders.get(order_id)
            return order if order is not None and market in (None, order.market) else None
        if not client_id:
            return None
        rows = reversed(self.orders.values())
        return next((o for o in rows if o.client_id == client_id and market in (None, o.market)), None)

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
        hold: Hold | None = None,
    ) -> OwnOrder:
        """Send an order to the market. Raises Rejected; then nothing has happened.

        ``hold``: the position that it is about; None: as fits, for who does not know the account's mode.
        """
        if hold is None and isinstance(self.wallet, FuturesWallet):
            hold = self.wallet.usual_hold(market, buy=buy, quantity=size * market.instrument.lot)
        order_id = next(self._ids)
        order = OwnOrder(
            order_id,
            client_id or (f"{self._client_id}{order_id}" if self._client_id else ""),
            market,
            buy=buy,
            type=type,
            time_in_force=time_in_force,
            price=price,
            size=size,
            quote_size=quote_size,
            reduce_only=reduce_only,
            hold=hold or "both",
            now_ms=self.now_ms,
        )
        if client_id and any(held.client_id == client_id for held in self.open_orders(market)):
            raise Rejected("duplicate_client_id", f"There is an open order {client_id!r} already.")
        engine = market.engine
        takes = order.post_only and price is not None and engine.crosses(buy, price)
        if takes and self.terms.refuses_post_only:
            raise Rejected("would_take", "The order would take at once.")
        unfillable = time_in_force == "FOK" and engine.available(buy, price, size) < size
        if unfillable and self.terms.refuses_fok:
            raise Rejected("fok", "The order cannot be filled at once.")
        assets = self.wallet.reserve(order, self)
        self.orders[order_id] = order
        self._order_event("NEW", order)
        self._wallet_event(assets, market, order.created_ms)
        if takes or unfillable:
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
            next(self._journal.numbers),
        )
        for rows in (self.fills, self._journal.fills, self._fills_of.setdefault(order.market, [])):
            rows.append(fill)
            trim(rows)
        if isinstance(self.wallet, FuturesWallet):
            self.wallet.position(order.market, order.hold).updated_ms = ms
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
            raise Rejected("unknown_order", f"The order {order.id} is not open.")
        order.market.cancel(order.engine_id)
        self._finish(order, "CANCELED", request_id)

    def cancel_all(self, market: LiveMarket | None = None) -> list[OwnOrder]:
        """Cancel what is open; returns it, oldest first."""
        rows = self.open_orders(market)
        for order in rows:
            self.cancel(order)
        return rows

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
        if len(self._finished) > KEPT:
            self.orders.pop(self._finished.popleft(), None)

    # -- modes ---------------------------------------------------------------------------------------------------

    def switch(self, market: LiveMarket | None, *, hedged: bool | None = None, isolated: bool | None = None) -> None:
        """Keep this market's positions otherwise, or all (market None). Raises Rejected where some are open."""
        wallet = self.futures
        old: dict[LiveMarket | None, Mode] = {market: wallet.mode if market is None else wallet.mode_of(market)}
        if market is None:
            for own, mode in wallet.modes.items():
                old[own] = mode
        new = {
            each: Mode(mode.hedged if hedged is None else hedged, mode.isolated if isolated is None else isolated)
            for each, mode in old.items()
        }
        if new == old:
            raise Rejected("no_change", "It is so already.")
        if self.open_orders(market):
            raise Rejected("open_orders", "There are open orders.")
        if any(market in (None, position.market) for position in wallet.open_positions()):
            raise Rejected("open_positions", "There are open positions.")
        for each, mode in new.items():
            if each is None:
                wallet.mode = mode
            else:
                wallet.modes[each] = mode

    # -- money from outside --------------------------------------------------------------------------------------

    def transfer(self, asset: str, amount: Decimal, name: str = "") -> None:
        """Deposit, or withdraw if negative; with a ``name``, what the exchange calls so. Raises Rejected."""
        cash = self.wallet.cash
        cash.move(asset, amount)
        came = amount >= 0
        kind: MovementKind = "other" if name else "deposit" if came else "withdrawal"
        self._journal.moved(kind, cash.name, asset, amount, self.now_ms, name=name)
        reason = "ADJUSTMENT" if name else "DEPOSIT" if came else "WITHDRAW"
        self.tell(WalletEvent(reason, (asset,), (), {asset: amount}, self.now_ms))

    def pay_funding(self) -> None:
        """Settle funding of all perpetual positions, now; spot and dated contracts have none."""
        if not isinstance(self.wallet, FuturesWallet):
            return
        for position in self.wallet.open_positions():
            market = position.market
            if market.instrument.expiry is not None:
                continue
            amount, asset = self.wallet.pay_funding(position), settle_of(market)
            self.wallet.updated_ms = self.now_ms
            self._journal.moved("funding", self.wallet.cash.name, asset, amount, self.now_ms, market)
            self.tell(WalletEvent("FUNDING_FEE", (asset,), (market,), {asset: amount}, self.now_ms))
