"""What the private stream and REST write alike: coins, positions, orders and executions, each with a raw example.

Facts (sources: bybit-exchange.github.io/docs/v5: account/wallet-balance, position, order/open-order, order/execution,
websocket/private/{wallet,position,order,execution}, enum):

* A unified account has one wallet. ``walletBalance`` contains what was borrowed (``spotBorrow``): what is owned is the
  rest. Its ``total...`` figures are in USD, those of a coin in the coin.
* What is free per coin is documented for isolated margin only. With cross and portfolio margin all collateral stands
  for everything, so no more of a coin can be used than the whole account has available (in USD, at the price at which
  the coin is valued), nor more than is not locked for spot orders.
* The entry price is ``avgPrice`` by REST and ``entryPrice`` by stream. ``positionIdx``: 0 one-way mode, 1 and 2 the
  long and the short side in hedge mode. With portfolio margin leverage and margin are "".
* ``execType``: what moves a position or a coin at a price is a fill: Trade, AdlTrade, BustTrade, BlockTrade, Delivery,
  Settle, MovePosition, FutureSpread. Funding is not, nor is CorporateAction (a split), nor what we do not know.
* The fee's coin may be left out. Linear: the settlement coin. Spot: what was received; for a maker who is paid for it
  (negative rate) what was given.
* Options settle in USDC, those whose name ends with ``-USDT`` in that; inverse contracts in the coin before ``USD``
  (market/instrument). The fee is in the settlement coin or in the one that is named.
* ``qty`` of a spot market purchase is in quote currency unless its ``marketUnit`` says ``baseCoin``.
"""

from decimal import Context, Decimal
from typing import Literal

from feeds.account_domain import Balance, Fill, Order, Position, TradedElsewhere, UnknownMarket, closes
from feeds.account_reading import EXACT, Ms, Wire, figure, needed
from feeds.accounts.bybit.wire import BuySell, if_any, side_of
from feeds.domain import Market
from feeds.exchange import MarketIndex

WALLET = "unified"
"""The product under which the wallet is shown: it is neither spot's nor linear's."""

ISOLATED = "isolated"
MARGIN_MODES = {"ISOLATED_MARGIN": ISOLATED, "REGULAR_MARGIN": "cross", "PORTFOLIO_MARGIN": "portfolio"}

STATUSES = {
    "New": "open",
    "Untriggered": "open",
    "Triggered": "open",  # for a moment, on the way to New
    "PartiallyFilled": "partial",
    "Filled": "filled",
    "Cancelled": "canceled",
    "PartiallyFilledCanceled": "canceled",
    "Deactivated": "canceled",
    "Rejected": "rejected",
}

EXECUTIONS = frozenset(
    {"Trade", "AdlTrade", "BustTrade", "BlockTrade", "Delivery", "Settle", "MovePosition", "FutureSpread"}
)
"""Values of ``execType`` that are fills."""

NO_STOP = ("", "UNKNOWN")

CONVERTED = Context(prec=16)  # a quotient needs an end somewhere

POSITION_SIDES: dict[int, Literal["both", "long", "short"]] = {0: "both", 1: "long", 2: "short"}
POSITION_INDEXES = {side: index for index, side in POSITION_SIDES.items()}


def symbol_of(markets: MarketIndex, product: str, native: str) -> str:
    """The symbol under which an order or position is shown: where the instrument list does not know it, Bybit's name
    and the product. (A fill is not stored under such a name: it would come again under the right one.)"""
    market = markets.native(product, native)
    return market.symbol if market is not None else f"{native}@{product}"


class Coin(Wire, frozen=True):
    """``{"coin":"BTC","equity":"0.00102964","usdValue":"36.70759517","walletBalance":"0.00102964","borrowAmount":"0",
    "totalOrderIM":"","totalPositionIM":"","totalPositionMM":"","unrealisedPnl":"0","bonus":"0","locked":"0",
    "collateralSwitch":true,"marginCollateral":true,"spotBorrow":"0"}``"""

    coin: str
    walletBalance: str
    equity: str = ""
    usdValue: str = ""
    locked: str = ""
    spotBorrow: str = ""
    totalOrderIM: str = ""
    totalPositionIM: str = ""
    bonus: str = ""
    collateralSwitch: bool = True
    marginCollateral: bool = True

    def balance(self, available_usd: str, margin_mode: str | None, asof_ms: int) -> Balance:
        """``margin_mode`` None: not told yet, so nobody knows what is free."""
        wallet = needed(self.walletBalance, "walletBalance")
        locked = figure(self.locked, "locked") or Decimal(0)
        borrowed = figure(self.spotBorrow, "spotBorrow") or Decimal(0)
        free = None
        if margin_mode is not None:
            used = [locked, figure(self.bonus, "bonus")]
            if margin_mode == ISOLATED:
                used += [figure(self.totalPositionIM, "totalPositionIM"), figure(self.totalOrderIM, "totalOrderIM")]
            free = wallet
            for part in used:
                free = EXACT.subtract(free, part or Decimal(0))
            if margin_mode != ISOLATED and (most := self._available(available_usd)) is not None:
                free = min(free, most)
            free = max(free, Decimal(0))
        return Balance(
            product=WALLET,
            asset=self.coin,
            total=EXACT.subtract(wallet, borrowed),
            free=free,
            locked=locked,
            asof_ms=asof_ms,
        )

    def _available(self, available_usd: str) -> Decimal | None:
        """What the account has available, in this coin; None where that says nothing about it."""
        available = figure(available_usd, "totalAvailableBalance")
        equity, value = figure(self.equity, "equity"), figure(self.usdValue, "usdValue")
        collateral = self.marginCollateral and self.collateralSwitch
        if not collateral or available is None or not equity or not value:
            return None
        return CONVERTED.divide(CONVERTED.multiply(available, equity), value)


class Wallet(Wire, frozen=True):
    """``{"accountType":"UNIFIED","totalAvailableBalance":"9556.6056555","coin":[...]}``"""

    coin: list[Coin]
    accountType: str = "UNIFIED"
    totalAvailableBalance: str = ""

    def balances(self, margin_mode: str | None, asof_ms: int) -> list[Balance]:
        return [coin.balance(self.totalAvailableBalance, margin_mode, asof_ms) for coin in self.coin]


class PositionRow(Wire, frozen=True):
    """``{"positionIdx":0,"symbol":"BTCUSDT","side":"Sell","size":"0.300","avgPrice":"27464.50441675","leverage":"10",
    "markPrice":"28224.50","liqPrice":"","positionIM":"823.9","unrealisedPnl":"-228.0"}``, by stream with
    ``"category":"linear"`` and ``entryPrice`` for ``avgPrice``; a closed one has ``"side":"","size":"0"``."""

    symbol: str
    side: Literal["Buy", "Sell", ""]
    size: str
    positionIdx: Literal[0, 1, 2] = 0
    avgPrice: str = ""
    entryPrice: str = ""
    leverage: str = ""
    markPrice: str = ""
    liqPrice: str = ""
    positionIM: str = ""
    unrealisedPnl: str = ""
    category: str = ""  # by stream only

    def position(self, product: str, markets: MarketIndex, margin_mode: str | None, asof_ms: int) -> Position:
        market = markets.native(product, self.symbol)
        size = figure(self.size, "size") or Decimal(0)
        if size and not self.side:
            raise ValueError(f"a position of {self.size} without a side")
        return Position(
            product=product,
            symbol=symbol_of(markets, product, self.symbol),
            side=POSITION_SIDES[self.positionIdx],
            size=-size if self.side == "Sell" else size,
            entry=figure(self.avgPrice or self.entryPrice, "entry price") or Decimal(0),
            mark=if_any(self.markPrice, "markPrice"),
            unrealised=figure(self.unrealisedPnl, "unrealisedPnl"),
            liquidation=if_any(self.liqPrice, "liqPrice"),
            leverage=if_any(self.leverage, "leverage"),
            margin=figure(self.positionIM, "positionIM"),
            margin_mode=margin_mode,
            settle=market.settle if market is not None else None,
            asof_ms=asof_ms,
        )


class OrderRow(Wire, frozen=True):
    """``{"orderId":"fd4300ae-7847-404e-b947-b46980a4d140","orderLinkId":"test-000005","symbol":"ETHUSDT",
    "price":"1600.00","qty":"0.10","side":"Buy","orderStatus":"New","avgPrice":"0","cumExecQty":"0.00",
    "timeInForce":"GTC","orderType":"Limit","stopOrderType":"UNKNOWN","reduceOnly":false,
    "createdTime":"1684738540559","updatedTime":"1684738540561"}``, by stream with ``"category":"linear"``."""

    orderId: str
    symbol: str
    side: BuySell
    orderType: str
    price: str
    qty: str
    orderStatus: str
    updatedTime: Ms
    orderLinkId: str = ""
    cumExecQty: str = ""
    avgPrice: str = ""
    timeInForce: str = ""
    stopOrderType: str = ""
    marketUnit: str = ""
    reduceOnly: bool = False
    positionIdx: Literal[0, 1, 2] = 0
    createdTime: Ms | None = None
    category: str = ""  # by stream only

    def order(self, product: str, markets: MarketIndex) -> Order:
        filled = figure(self.cumExecQty, "cumExecQty") or Decimal(0)
        market_order = self.orderType == "Market"
        by_value = product == "spot" and market_order and self.side == "Buy" and self.marketUnit != "baseCoin"
        by_value = by_value or self.marketUnit == "quoteCoin"
        return Order(
            product=product,
            symbol=symbol_of(markets, product, self.symbol),
            id=self.orderId,
            client_id=self.orderLinkId or None,
            side=side_of(self.side),
            type=(self.orderType if self.stopOrderType in NO_STOP else self.stopOrderType).lower(),
            price=None if market_order else if_any(self.price, "price"),  # a market order tells where it would stop
            size=filled if by_value else needed(self.qty, "qty"),  # how much base a value buys, its fills tell
            filled=filled,
            average=if_any(self.avgPrice, "avgPrice"),
            status=STATUSES.get(self.orderStatus, self.orderStatus.lower()),
            reduce_only=self.reduceOnly or closes(side_of(self.side), POSITION_SIDES[self.positionIdx]),
            time_in_force=self.timeInForce or None,
            created_ms=self.createdTime,
            updated_ms=self.updatedTime,
        )


class ExecutionRow(Wire, frozen=True):
    """``{"symbol":"XRPUSDT","execFee":"0.005061","execId":"7e2ae69c-4edf-5800-a352-893d52b446aa","execPrice":"0.3374",
    "execQty":"25","execType":"Trade","isMaker":false,"feeRate":"0.0006","orderId":"f6e324ff-99c2-4e89-9739-3086e47f9381",
    "orderLinkId":"","side":"Sell","execTime":"1672364174443","feeCurrency":""}``, by stream with
    ``"category":"linear"`` and ``execPnl``. The spot leg of a spread has its fee in ``execFeeV2``."""

    symbol: str
    execId: str
    execType: str
    execTime: Ms
    orderId: str
    side: Literal["Buy", "Sell", "None", ""] = ""
    execPrice: str = ""
    execQty: str = ""
    execFee: str = ""
    execFeeV2: str = ""
    execPnl: str = ""
    feeCurrency: str = ""
    feeRate: str = ""
    isMaker: bool | None = None
    orderLinkId: str = ""
    category: str = ""  # by stream only

    def fill(self, product: str, markets: MarketIndex) -> Fill | UnknownMarket | None:
        """None: it is none."""
        if self.execType not in EXECUTIONS:
            return None
        market = markets.native(product, self.symbol)
        if market is None:
            return UnknownMarket(product=product, native=self.symbol)
        if self.side not in ("Buy", "Sell"):
            raise ValueError(f"an execution of {self.symbol} with side {self.side!r}")
        fee = figure(self.execFeeV2, "execFeeV2") if market.settle is None else None
        fee = figure(self.execFee, "execFee") if fee is None else fee
        return Fill(
            product=product,
            symbol=market.symbol,
            id=self.execId,
            order_id=self.orderId,
            client_id=self.orderLinkId or None,
            side="buy" if self.side == "Buy" else "sell",
            price=needed(self.execPrice, "execPrice"),
            size=needed(self.execQty, "execQty"),
            fee=fee,
            fee_asset=None if fee is None else self.feeCurrency or self._fee_asset(market),
            maker=self.isMaker,
            realised=figure(self.execPnl, "execPnl") if market.settle is not None else None,
            exchange_ms=self.execTime,
        )

    def elsewhere(self, markets: MarketIndex) -> TradedElsewhere:
        """A fill of a category that is not followed, by stream."""
        market = markets.native(self.category, self.symbol)
        if market is not None:
            assets = [market.base, market.quote] if market.settle is None else [market.settle]
        elif self.category == "option":
            assets = ["USDT" if self.symbol.endswith("-USDT") else "USDC"]
        elif self.category == "inverse" and "USD" in self.symbol[1:]:
            assets = [self.symbol[: self.symbol.index("USD", 1)]]
        else:
            assets = []
        if assets and self.feeCurrency:
            assets.append(self.feeCurrency)
        return TradedElsewhere(
            id=self.execId,
            what=f"{self.category} {self.execType} {self.symbol}",
            assets=tuple(dict.fromkeys(assets)),
            exchange_ms=self.execTime,
        )

    def _fee_asset(self, market: Market) -> str:
        if market.settle is not None:
            return market.settle
        paid_for_making = bool(self.isMaker) and (figure(self.feeRate or self.execFee, "feeRate") or 0) < 0
        return market.base if (self.side == "Buy") != paid_for_making else market.quote
