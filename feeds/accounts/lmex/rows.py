"""What LMEX's streams and REST write alike: wallets, positions, orders, fills, each with a raw example.

Facts (sources: btsecom/docs, BTSE's own documentation: spotV3_3, futuresV2_3, wallet; LMEX runs on its engine):

* Sizes of futures are contracts; ``contractSize`` of a row is the one that it was counted in. Spot counts in base
  currency. A spot purchase by value has its size in quote currency, and none in base.
* A futures wallet has ``assets`` and ``assetsInUse``. The documentation's words ("assets available", "assets in use")
  leave open whether the first contain the second; clients that were run against BTSE read them so, and so do we.
  Only the cross wallet is asked for; what was moved to an isolated one is not told with it.
* Contracts are linear: the profit of a price is in the market's quote, whichever asset a position settles in. In which
  of both ``unrealizedProfitLoss`` is where they differ is not documented, so then it is left out.
* A position's ``side`` gives its sign; ``positionMode`` ``HEDGE`` has a row for each ``positionDirection``.
  ``marginType`` 91 is cross, 92 isolated. Contracts settle in several currencies, and so there may be several positions
  (by ``positionId``) in one market: shown as one. ``currentLeverage`` is what is in use, no setting: not shown.
* ``currentOrderSize`` is filled plus remaining, also after an amendment; ``originalOrderSize`` never changes.
* Order states are numbers on streams and in answers to orders, ``orderState`` in lists of open orders, which also hold
  what ended a moment ago (``STATUS_INACTIVE``). A market order bought by value stays "partially transacted" at its end.
* ``filledPrice`` and ``filledSize`` of a fill by REST are the execution's, ``price`` and ``size`` the order's; by
  stream ``price`` and ``size`` are the execution's. ``tradeId`` is the same on both. Only the stream says maker or
  taker, only REST the realised profit. A positive ``feeAmount`` was charged (``total`` = ``realizedPnl`` -
  ``feeAmount``).
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Literal

from feeds.account_domain import Balance, Fill, Order, Position, UnknownMarket
from feeds.account_reading import EXACT, Ms, Wire
from feeds.accounts.lmex.wire import CONVERTED, ZERO, contract_of, if_any, listed, side_of, times
from feeds.exchange import MarketIndex

STATUSES = {
    2: "open",  # inserted
    3: "open",  # transacted
    4: "filled",
    5: "partial",
    6: "canceled",
    7: "canceled",  # refunded
    8: "rejected",  # insufficient balance
    9: "open",  # trigger order inserted
    10: "open",  # trigger order activated
    15: "rejected",
    16: "rejected",  # not found
    17: "rejected",  # request failed
    20: "open",  # success
    64: "open",  # liquidation, as are 1003 and (auto-deleveraging) 1004
    65: "open",  # active
    85: "open",  # processing
    88: "canceled",  # inactive
    101: "rejected",  # price beyond that of liquidation
    123: "open",  # amended
    300: "rejected",
    301: "rejected",
    302: "rejected",
    303: "rejected",
    304: "rejected",
    305: "rejected",
    1003: "open",
    1004: "open",
}
STATES = {
    "STATUS_ACTIVE": "open",
    "STATUS_INACTIVE": "canceled",
    "ORDER_INSERTED": "open",
    "ORDER_PARTIALLY_TRANSACTED": "partial",
    "ORDER_FULLY_TRANSACTED": "filled",
    "ORDER_CANCELLED": "canceled",
}
TYPES = {76: "limit", 77: "market", 80: "peg", 81: "otc"}
TRIGGERS = {1001: "stop loss", 1002: "take profit"}
MARKET = 77
MARGIN_MODES = {91: "cross", 92: "isolated"}


class SpotAsset(Wire, frozen=True):
    """``{"currency":"USD","total":5566.5566,"available":520.52}``"""

    currency: str
    total: Decimal
    available: Decimal

    def balance(self, asof_ms: int) -> Balance:
        return Balance(
            product="spot",
            asset=self.currency,
            total=self.total,
            free=self.available,
            locked=EXACT.subtract(self.total, self.available),
            asof_ms=asof_ms,
        )


class FuturesAsset(Wire, frozen=True):
    """``{"balance":0.20183537,"assetPrice":7158.845,"currency":"BTC"}``"""

    currency: str
    balance: Decimal


class FuturesWallet(Wire, frozen=True):
    """``{"wallet":"CROSS@","walletTotalValue":100,"availableBalance":100,"assets":[...],"assetsInUse":[...]}``"""

    assets: list[FuturesAsset] | None = None
    assetsInUse: list[FuturesAsset] | None = None


def futures_balances(wallets: Iterable[FuturesWallet], asof_ms: int) -> list[Balance]:
    """What all of them hold together, by asset."""
    held: dict[str, Decimal] = {}
    used: dict[str, Decimal] = {}
    for wallet in wallets:
        for sums, assets in ((held, wallet.assets), (used, wallet.assetsInUse)):
            for asset in assets or ():
                sums[asset.currency] = EXACT.add(sums.get(asset.currency, ZERO), asset.balance)
    return [
        Balance(
            product="futures",
            asset=name,
            total=total,
            free=max(ZERO, EXACT.subtract(total, used.get(name, ZERO))),
            locked=used.get(name, ZERO),
            asof_ms=asof_ms,
        )
        for name, total in held.items()
    ]


class PositionRow(Wire, frozen=True):
    """``{"symbol":"ETH-PERP","side":"BUY","size":3,"entryPrice":1631.106666667,"markPrice":1630.398947255,
    "marginType":91,"orderValue":48.9119684176,"settleWithAsset":"USDT","unrealizedProfitLoss":-0.02123158,
    "totalMaintenanceMargin":0.254871114,"liquidationPrice":0,"isolatedLeverage":0,"currentLeverage":0.0340349245,
    "timestamp":0,"positionMode":"HEDGE","positionDirection":"LONG","positionId":"ETH-PERP-USDT|LONG"}``"""

    symbol: str
    side: str
    size: Decimal
    entryPrice: Decimal
    markPrice: Decimal | None = None
    marginType: int | None = None
    orderValue: Decimal | None = None
    settleWithAsset: str | None = None
    unrealizedProfitLoss: Decimal | None = None
    liquidationPrice: Decimal | None = None
    isolatedLeverage: Decimal | None = None
    contractSize: Decimal | None = None
    positionMode: str | None = None
    positionDirection: str | None = None

    def position(self, markets: MarketIndex, asof_ms: int) -> Position | None:
        """None: it is closed."""
        if not self.size:
            return None
        market = listed(markets, "futures", self.symbol)
        if market is None and not self.contractSize and self.orderValue and self.markPrice:
            size = CONVERTED.divide(abs(self.orderValue), self.markPrice)  # of a market that is not listed yet
        else:
            size = times(abs(self.size), contract_of("futures", self.contractSize, market))
        settle = self.settleWithAsset or (market.settle if market is not None else None)
        return Position(
            product="futures",
            symbol=market.symbol if market is not None else f"{self.symbol}@futures",
            side=self._side(),
            size=size if side_of(self.side) == "buy" else -size,
            entry=self.entryPrice,
            mark=if_any(self.markPrice),
            unrealised=self.unrealizedProfitLoss if market is not None and settle == market.quote else None,
            liquidation=if_any(self.liquidationPrice),
            leverage=if_any(self.isolatedLeverage),
            margin_mode=MARGIN_MODES.get(self.marginType or 0),
            settle=settle,
            asof_ms=asof_ms,
        )

    def _side(self) -> Literal["both", "long", "short"]:
        if self.positionMode != "HEDGE":
            return "both"
        direction = (self.positionDirection or ("LONG" if side_of(self.side) == "buy" else "SHORT")).upper()
        if direction not in ("LONG", "SHORT"):
            raise ValueError(f"positionDirection is {direction[:20]!r}")
        return "long" if direction == "LONG" else "short"


def together(positions: Iterable[Position]) -> list[Position]:
    """One position for each market and side: of several (other settlement, isolated ones) the sum, entered at the
    mean. What cannot be added, such as a liquidation price, is left out."""
    merged: dict[tuple[str, str], Position] = {}
    for new in positions:
        key = new.symbol, new.side
        old = merged.get(key)
        if old is None:
            merged[key] = new
            continue
        size, gross = EXACT.add(old.size, new.size), EXACT.add(abs(old.size), abs(new.size))
        cost = EXACT.add(EXACT.multiply(old.entry, abs(old.size)), EXACT.multiply(new.entry, abs(new.size)))
        pnl = None if old.unrealised is None or new.unrealised is None else EXACT.add(old.unrealised, new.unrealised)
        merged[key] = Position(
            product=new.product,
            symbol=new.symbol,
            side=new.side,
            size=size,
            entry=CONVERTED.divide(cost, gross),
            mark=new.mark,
            unrealised=pnl if old.settle == new.settle else None,
            margin_mode=new.margin_mode if old.margin_mode == new.margin_mode else None,
            settle=new.settle if old.settle == new.settle else None,
            asof_ms=new.asof_ms,
        )
    return list(merged.values())


class OrderRow(Wire, frozen=True):
    """``{"orderID":"39ff44d2-513a-4ea6-858c-e07498d424fd","clOrderID":"","symbol":"BTC-PERP","orderType":76,
    "side":"BUY","price":10104.1,"contractSize":0.00001,"originalOrderSize":1,"currentOrderSize":1,"totalFilledSize":0,
    "remainingSize":1,"avgFilledPrice":0,"timeInForce":"GTC","orderState":"STATUS_ACTIVE","reduceOnly":false,
    "triggerOrder":false,"triggered":false,"timestamp":1752138665358}``; spot with ``...BaseSize``, older versions with
    ``size`` and ``filledSize``; streams and answers to orders with ``"status":2`` and ``time_in_force``. A refusal may
    have little more than ``symbol``, ``status`` and ``message``."""

    symbol: str
    orderID: str = ""
    side: str = ""
    orderType: int = 0
    timestamp: Ms = 0
    clOrderID: str | None = None
    price: Decimal | None = None
    status: int | None = None
    orderState: str | None = None
    message: str | None = None
    contractSize: Decimal | None = None
    currentOrderSize: Decimal | None = None
    currentOrderBaseSize: Decimal | None = None
    originalOrderSize: Decimal | None = None
    originalOrderBaseSize: Decimal | None = None
    originalSize: Decimal | None = None
    size: Decimal | None = None
    totalFilledSize: Decimal | None = None
    totalFilledBaseSize: Decimal | None = None
    filledSize: Decimal | None = None
    fillSize: Decimal | None = None
    avgFilledPrice: Decimal | None = None
    averageFillPrice: Decimal | None = None
    timeInForce: str | None = None
    time_in_force: str | None = None
    reduceOnly: bool | None = None
    triggerOrder: bool | None = None
    triggered: bool | None = None
    triggerOrderType: int | None = None

    def order(self, product: str, markets: MarketIndex) -> Order:
        """Raises ValueError for a future that is not listed where the row does not tell what its contracts are, and for
        a row without id."""
        if not self.orderID:
            raise ValueError("orderID is missing")
        market = listed(markets, product, self.symbol)
        contract = contract_of(product, self.contractSize, market)
        filled = times(self._filled(), contract)
        sizes = (
            self.currentOrderSize or self.currentOrderBaseSize,
            *(self.originalOrderSize, self.originalOrderBaseSize, self.originalSize, self.size),
        )
        size = times(next((size for size in sizes if size), ZERO), contract)
        waits = self.triggerOrder and not self.triggered
        in_time = self.timeInForce or self.time_in_force
        placed_ms = self.timestamp if self.orderState is not None else None
        return Order(
            product=product,
            symbol=market.symbol if market is not None else f"{self.symbol}@{product}",
            id=self.orderID,
            client_id=self.clOrderID or None,
            side=side_of(self.side),
            type=(TRIGGERS.get(self.triggerOrderType or 0, "trigger") if waits else TYPES.get(self.orderType))
            or str(self.orderType),
            price=None if self.orderType == MARKET else if_any(self.price),
            size=size or filled,  # bought by value: how much base that was, its fills tell
            filled=filled,
            average=if_any(self.avgFilledPrice if self.avgFilledPrice is not None else self.averageFillPrice),
            status=self._status(size, filled),
            reduce_only=bool(self.reduceOnly),
            time_in_force=in_time or None,
            created_ms=placed_ms,
            updated_ms=self.timestamp,
        )

    def _filled(self) -> Decimal:
        told = (self.totalFilledSize, self.totalFilledBaseSize, self.filledSize, self.fillSize)
        return next((size for size in told if size is not None), ZERO)

    def _status(self, size: Decimal, filled: Decimal) -> str:
        """``size`` 0: bought by value."""
        if self.status is not None:
            status = STATUSES.get(self.status, str(self.status))
        else:
            status = STATES.get(self.orderState or "", (self.orderState or "open").lower())
        if status in ("open", "partial") and filled:
            by_value = self.orderType == MARKET and not size
            return "filled" if by_value or (size and filled >= size) else "partial"
        return status


class FillRow(Wire, frozen=True):
    """By REST ``{"tradeId":"9d661ee3-eaf8-4068-8d6a-5d3dfef6ef5f","orderId":"bf07eeff-afdc-433a-a0ca-f41a2433e323",
    "clOrderID":"_W_pip1752204538116","symbol":"BTC-PERP","side":"SELL","orderType":77,"price":0,"size":99,
    "filledPrice":100000,"filledSize":99,"feeCurrency":"USDT","feeAmount":0.0198,"realizedPnl":-0.99,
    "serialId":374029591,"contractSize":0.00001,"timestamp":1752204538247}``; by stream
    ``{"orderId":"6aa36da1-0ed8-46c1-9327-c9d6313b3d12","clOrderId":"_W_ekxogc1711427518228","serialId":189349157,
    "tradeId":"e094117f-9f84-4c82-b55d-d3d2a54d0dca","type":"77","symbol":"BTC-PERP","side":"BUY","price":"69704.4",
    "size":"1.0","feeAmount":"0.0348522","feeCurrency":"USDT","maker":false,"contractSize":0.0001,
    "timestamp":1711427518338}``"""

    symbol: str
    timestamp: Ms
    tradeId: str | None = None
    orderId: str | None = None
    side: str | None = None
    price: Decimal | None = None
    size: Decimal | None = None
    filledPrice: Decimal | None = None
    filledSize: Decimal | None = None
    feeAmount: Decimal | None = None
    feeCurrency: str | None = None
    maker: bool | None = None
    realizedPnl: Decimal | None = None
    contractSize: Decimal | None = None
    serialId: int = 0
    clOrderID: str | None = None
    clOrderId: str | None = None

    def fill(self, product: str, markets: MarketIndex) -> Fill | UnknownMarket | None:
        """None: it is none (a list of fills may hold funding, too)."""
        price = self.price if self.filledPrice is None else self.filledPrice
        size = self.size if self.filledSize is None else self.filledSize
        if not (self.tradeId and self.orderId and self.side and price and size):
            return None
        market = listed(markets, product, self.symbol)
        if market is None:
            return UnknownMarket(product=product, native=self.symbol)
        return Fill(
            product=product,
            symbol=market.symbol,
            id=self.tradeId,
            order_id=self.orderId,
            client_id=self.clOrderID or self.clOrderId or None,
            side=side_of(self.side),
            price=price,
            size=times(size, contract_of(product, self.contractSize, market)),
            fee=self.feeAmount,
            fee_asset=self.feeCurrency if self.feeAmount is not None else None,
            maker=self.maker,
            realised=self.realizedPnl if product == "futures" else None,
            exchange_ms=self.timestamp,
        )
