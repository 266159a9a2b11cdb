"""The account, its holdings and its orders, each with a raw example from the documentation.

Facts (sources: docs.alpaca.markets, reference: get-v2-account, get-v2-positions, get-v2-orders; docs: account-plans,
orders-at-alpaca, crypto-orders):

* The account has one pile of cash in ``currency``. What it holds, coins as well as shares, is told as *positions*. They
  are paid for in full out of the cash (which a margin account may overdraw, and a short sale raises), so cash and
  holdings at their prices add up to ``equity``. So all of them are balances of one wallet here, and none is a
  position: a position's profit on top of the cash would not be what the account is worth. A short holding is negative.
* ``equity`` is documented as cash and the market values of what is held. **Unconfirmed**, told by ccxt as seen in
  September 2026: while orders to buy are open, ``cash`` is without what they hold, and ``equity`` is with it. So what
  equity has beyond cash and holdings is taken for held by orders; it is nothing where that is not so.
* ``qty_available`` is what is not bound by open orders. ``non_marginable_buying_power`` is the cash that an order for
  crypto may use.
* ``daytrade_count`` and the like come as numbers and as text; they are not used.
* An order by value (``notional``) has no ``qty``.
* A short holding's ``qty`` is negative; **unconfirmed**: everywhere. Its ``side`` is ``short`` in any case.
"""

from decimal import Decimal

from feeds.account_domain import Balance, Order
from feeds.account_reading import EXACT, Moment, Wire, ms_of
from feeds.accounts.alpaca.wire import ACCOUNT, CRYPTO, PRODUCT_OF_CLASS, Names, side_of
from feeds.errors import ParseError

CENT = Decimal("0.01")

STATUSES = {
    "new": "open",
    "accepted": "open",
    "pending_new": "open",
    "accepted_for_bidding": "open",
    "held": "open",  # a leg that waits for its first order
    "pending_cancel": "open",
    "pending_replace": "open",
    "stopped": "open",
    "suspended": "open",
    "calculated": "open",
    "done_for_day": "open",
    "partially_filled": "partial",
    "filled": "filled",
    "canceled": "canceled",
    "replaced": "canceled",  # another order goes on for it
    "expired": "expired",
    "rejected": "rejected",
}


class Account(Wire, frozen=True):
    """``{"id":"e6fe16f3-64a4-4921-8928-cadf02f92f98","status":"ACTIVE","currency":"USD","cash":"4123.20",
    "non_marginable_buying_power":"4123.20","equity":"103820.56","daytrade_count":0,"trading_blocked":false,
    "transfers_blocked":false,"account_blocked":false,"trade_suspended_by_user":false}``"""

    cash: Decimal
    status: str = "ACTIVE"
    currency: str = "USD"
    non_marginable_buying_power: Decimal | None = None
    equity: Decimal | None = None
    position_market_value: Decimal | None = None
    long_market_value: Decimal | None = None
    short_market_value: Decimal = Decimal(0)  # below zero
    account_blocked: bool = False
    trading_blocked: bool = False
    transfers_blocked: bool = False
    trade_suspended_by_user: bool = False

    def balance(self, asof_ms: int) -> Balance:
        held = self._held()
        return Balance(
            product=ACCOUNT,
            asset=self.currency,
            total=EXACT.add(self.cash, held),
            free=self.non_marginable_buying_power,
            locked=held,
            asof_ms=asof_ms,
        )

    def _held(self) -> Decimal:
        """Cash that open orders hold. Market values are rounded: a cent is none."""
        values = self.position_market_value
        if values is None and self.long_market_value is not None:
            values = EXACT.add(self.long_market_value, self.short_market_value)
        if self.equity is None or values is None:
            return Decimal(0)
        held = EXACT.subtract(EXACT.subtract(self.equity, values), self.cash)
        return held if held > CENT else Decimal(0)

    def remark(self) -> str:
        """What the account's owner should know of it, as a sentence; "" if all is well."""
        if self.account_blocked:
            return "Alpaca has blocked this account."
        if self.trading_blocked:
            return "Alpaca has blocked trading on this account."
        if self.trade_suspended_by_user:
            return "Trading on this account is suspended by its owner's setting at Alpaca."
        if self.status != "ACTIVE":
            return f"Alpaca calls this account's status {self.status[:40]}."
        return "Alpaca has blocked deposits and withdrawals of this account." if self.transfers_blocked else ""


class Holding(Wire, frozen=True):
    """``{"asset_id":"904837e3-3b76-47ec-b432-046db621571b","symbol":"BTCUSD","asset_class":"crypto","qty":"2.61937",
    "qty_available":"2.61937","side":"long","avg_entry_price":"19660.5738784516887649","current_price":"19444"}``"""

    symbol: str
    asset_class: str
    qty: Decimal
    side: str = "long"
    qty_available: Decimal | None = None

    def balance(self, names: Names, asof_ms: int) -> Balance | None:
        """None: a kind of asset that is not shown."""
        product = PRODUCT_OF_CLASS.get(self.asset_class)
        if product is None:
            return None
        market = names.find(self.symbol, product)
        if market is not None:
            asset = market.base
        elif product == CRYPTO:  # listed no more, or only as what is paid with
            asset = self.symbol.partition("/")[0].removesuffix("USD") or self.symbol
        else:
            asset = f"{self.symbol}.US"
        sign = -1 if self.side == "short" else 1
        total = abs(self.qty) * sign
        free = None if self.qty_available is None else abs(self.qty_available) * sign
        locked = None if free is None else EXACT.subtract(total, free)
        return Balance(product=ACCOUNT, asset=asset, total=total, free=free, locked=locked, asof_ms=asof_ms)


class OrderRow(Wire, frozen=True):
    """``{"id":"61e69015-8549-4bfd-b9c3-01e75843f47d","client_order_id":"eb9e2aaa-f71a-4f51-b5b4-52a6c565dad4",
    "symbol":"BTC/USD","asset_class":"crypto","side":"buy","type":"limit","time_in_force":"gtc","qty":"0.01",
    "notional":null,"limit_price":"20000","filled_qty":"0","filled_avg_price":null,"status":"new",
    "created_at":"2021-03-16T18:38:01.942282Z","updated_at":"2021-03-16T18:38:01.942282Z",
    "submitted_at":"2021-03-16T18:38:01.937734Z"}``; in the stream the symbol may be ``BTCUSD``, and an order of several
    legs has neither symbol nor side."""

    id: str
    created_at: Moment
    status: str
    symbol: str | None = None
    asset_class: str = ""
    side: str | None = None
    type: str | None = None
    client_order_id: str = ""
    qty: Decimal | None = None
    limit_price: Decimal | None = None
    filled_qty: Decimal | None = None
    filled_avg_price: Decimal | None = None
    time_in_force: str = ""
    updated_at: Moment | None = None
    submitted_at: Moment | None = None

    @property
    def product(self) -> str | None:
        """None: of a kind that is not shown."""
        return PRODUCT_OF_CLASS.get(self.asset_class) if self.symbol and self.side else None

    def order(self, names: Names) -> Order:
        """Raises ParseError for one that is not shown."""
        product = self.product
        if product is None or not self.symbol or not self.side:
            raise ParseError(f"Alpaca: order {self.id[:40]} is of no market that is shown")
        filled = self.filled_qty or Decimal(0)
        status = STATUSES.get(self.status, self.status)
        return Order(
            product=product,
            symbol=names.symbol(self.symbol, product),
            id=self.id,
            client_id=self.client_order_id or None,
            side=side_of(self.side),
            type=self.type or "market",
            price=self.limit_price,
            size=filled if self.qty is None else self.qty,  # how much a value buys, its fills tell
            filled=filled,
            average=self.filled_avg_price,
            status="partial" if status == "open" and filled else status,
            time_in_force=self.time_in_force or None,
            created_ms=ms_of(self.created_at),
            updated_ms=ms_of(self.updated_at or self.submitted_at or self.created_at),
        )
