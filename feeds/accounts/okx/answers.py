"""OKX, account answers by REST, and the rows that streams tell in the same form.

Sources: www.okx.com/docs-v5: trading account (balance, positions, bills), funding account (balances, deposit and
withdrawal history), order book trading (orders, transaction details, algo orders).

Of a market that is not listed (inverse swaps, dated futures, options) no size in base currency can be told. Such rows
are left out here; the streams name their markets, so that the account says what it does not show.
"""

from decimal import Decimal

import msgspec

from feeds.account_domain import Balance, Fill, Order, Position, closes
from feeds.account_reading import EXACT
from feeds.accounts.okx.wire import (
    ALGO,
    ALGO_STATES,
    FUNDING,
    SIDES,
    STATES,
    TRADING,
    TYPES,
    Amount,
    Direction,
    Id,
    Moment,
    Ms,
    PositionSide,
    amount,
    amount_or_0,
    base,
    if_any,
    market_of,
    ms,
    rows,
)
from feeds.domain import Market
from feeds.exchange import MarketIndex

# -- money -----------------------------------------------------------------------------------------------------------


class Detail(msgspec.Struct):
    """``{"ccy":"USDT","eq":"99.89","cashBal":"94.42","availBal":"94.42","availEq":"94.42","frozenBal":"5.46",
    "ordFrozen":"0","upl":"-0.02","isoEq":"5.46","isoUpl":"-0.02","stgyEq":"0","uTime":"1744498994783"}``: one currency
    of the trading account.

    ``cashBal`` is without open profit, and without what isolated positions and trading bots hold: ``eq`` is ``cashBal``
    and ``isoEq`` and ``stgyEq`` and the open profit of the crossed positions, in the documented examples. ``availBal``
    is "" where the account's mode does not have it.
    """

    ccy: str
    cashBal: Amount
    availBal: Amount = ""
    availEq: Amount = ""
    frozenBal: Amount = ""
    isoEq: Amount = ""
    isoUpl: Amount = ""
    stgyEq: Amount = ""
    uTime: Ms = ""

    def balance(self, asof_ms: int) -> Balance:
        isolated = EXACT.subtract(amount_or_0(self.isoEq), amount_or_0(self.isoUpl))
        strategies = amount_or_0(self.stgyEq)
        return Balance(
            product=TRADING,
            asset=self.ccy,
            total=EXACT.add(EXACT.add(amount_or_0(self.cashBal), isolated), strategies),
            strategies=strategies,
            free=amount(self.availBal or self.availEq),
            locked=amount(self.frozenBal),
            asof_ms=asof_ms,
        )


class Account(msgspec.Struct):
    """``{"uTime":"1744499648556","totalEq":"99.88","details":[...]}``; ``uTime`` is when this was gathered."""

    details: list[Detail]
    uTime: Ms = ""


class _Funds(msgspec.Struct):
    """``{"availBal":"37.11827078","bal":"37.11827078","ccy":"ETH","frozenBal":"0"}``: of the funding account."""

    ccy: str
    bal: Amount
    availBal: Amount = ""
    frozenBal: Amount = ""


def parse_balances(raw: bytes, asof_ms: int) -> list[Balance]:
    """``GET /api/v5/account/balance``."""
    told = [detail.balance(asof_ms) for account in rows(raw, Account) for detail in account.details]
    return [each for each in told if each.total or each.free or each.locked]


def parse_funds(raw: bytes, asof_ms: int) -> list[Balance]:
    """``GET /api/v5/asset/balances``."""
    told = [
        Balance(
            product=FUNDING,
            asset=row.ccy,
            total=amount_or_0(row.bal),
            free=amount(row.availBal),
            locked=amount(row.frozenBal),
            asof_ms=asof_ms,
        )
        for row in rows(raw, _Funds)
    ]
    return [each for each in told if each.total or each.locked]


# -- positions -------------------------------------------------------------------------------------------------------


class PositionRow(msgspec.Struct):
    """``{"instType":"SWAP","instId":"ETH-USDT-SWAP","mgnMode":"isolated","posSide":"long","pos":"1","avgPx":"3011",
    "markPx":"3010.54","upl":"-0.046","lever":"10","liqPx":"2722.15","imr":"","margin":"30.11","ccy":"USDT",
    "uTime":"1764434109835","pTime":"1764434110000"}``; ``pos`` in contracts, signed in net mode only."""

    instType: str
    instId: str
    posSide: PositionSide
    pos: Amount
    mgnMode: str = ""
    avgPx: Amount = ""
    markPx: Amount = ""
    upl: Amount = ""
    lever: Amount = ""
    liqPx: Amount = ""
    imr: Amount = ""
    margin: Amount = ""
    uTime: Ms = ""
    pTime: Ms = ""

    def position(self, market: Market, asof_ms: int) -> Position:
        size = base(self.pos, market)
        return Position(
            product=market.product,
            symbol=market.symbol,
            side=SIDES[self.posSide],
            apart="isolated" if self.mgnMode == "isolated" else "",
            size=-abs(size) if self.posSide == "short" else size,
            entry=amount_or_0(self.avgPx),
            mark=if_any(self.markPx),
            unrealised=amount(self.upl),
            liquidation=if_any(self.liqPx),
            leverage=if_any(self.lever),
            margin=if_any(self.margin if self.mgnMode == "isolated" else self.imr),
            margin_mode=self.mgnMode or None,
            settle=market.settle,
            asof_ms=asof_ms,
        )


def parse_positions(raw: bytes, asof_ms: int, markets: MarketIndex) -> list[Position]:
    """``GET /api/v5/account/positions?instType=SWAP``."""
    swaps = (row for row in rows(raw, PositionRow) if row.instType == "SWAP" and amount(row.pos))
    listed = ((row, market_of(markets, row.instType, row.instId)) for row in swaps)
    return [row.position(market, asof_ms) for row, market in listed if market is not None]


# -- orders ----------------------------------------------------------------------------------------------------------


class OrderRow(msgspec.Struct):
    """``{"instType":"SPOT","instId":"BTC-USDT","ordId":"301835739059335168","clOrdId":"","side":"buy","posSide":"net",
    "ordType":"limit","px":"59200","sz":"1","tgtCcy":"","accFillSz":"0","avgPx":"","state":"live","reduceOnly":"false",
    "cTime":"1618235248028","uTime":"1618235248028"}``; sizes in contracts, or base currency of pairs.

    An order at market to buy a pair for an amount of quote currency has that amount in ``sz``: what it will be in base
    currency nobody knows before, so its size is what was filled so far.
    """

    instType: str
    instId: str
    ordId: Id
    side: Direction
    ordType: str
    sz: Amount
    state: str
    uTime: Moment
    clOrdId: str = ""
    posSide: PositionSide = ""
    px: Amount = ""
    tgtCcy: str = ""
    accFillSz: Amount = ""
    avgPx: Amount = ""
    reduceOnly: str = ""
    cTime: Ms = ""

    def order(self, market: Market) -> Order:
        kind, in_force = TYPES.get(self.ordType, (self.ordType, None))
        filled = base(self.accFillSz, market)
        by_value = self.ordType == "market" and market.settle is None
        by_value &= self.tgtCcy == "quote_ccy" or (self.side == "buy" and not self.tgtCcy)
        return Order(
            product=market.product,
            symbol=market.symbol,
            id=self.ordId,
            client_id=self.clOrdId or None,
            side=self.side,
            type=kind,
            price=if_any(self.px),
            size=filled if by_value else base(self.sz, market),
            filled=filled,
            average=if_any(self.avgPx),
            status=STATES.get(self.state, self.state),
            reduce_only=self.reduceOnly == "true" or closes(self.side, SIDES[self.posSide]),
            time_in_force=in_force,
            created_ms=ms(self.cTime),
            updated_ms=int(self.uTime),
        )


class AlgoRow(msgspec.Struct):
    """``{"instType":"SPOT","instId":"BTC-USDT","algoId":"681096944655273984","algoClOrdId":"","side":"buy",
    "ordType":"trigger","sz":"10","state":"live","actualSz":"0","actualPx":"","ordPx":"-1","triggerPx":"100",
    "reduceOnly":"false","cTime":"1708658165774","uTime":"1708679675245"}``.

    ``ordPx`` -1: at market. ``price`` of ours is the price of the order that it will send; it has none at market. A
    size may be a share of the position (``closeFraction``), "" then: it is not told before.
    """

    instType: str
    instId: str
    algoId: Id
    side: Direction
    ordType: str
    state: str
    sz: Amount = ""
    algoClOrdId: str = ""
    tgtCcy: str = ""
    ordPx: Amount = ""
    slOrdPx: Amount = ""
    tpOrdPx: Amount = ""
    actualSz: Amount = ""
    actualPx: Amount = ""
    reduceOnly: str = ""
    posSide: PositionSide = ""
    cTime: Ms = ""
    uTime: Ms = ""
    pTime: Ms = ""

    def order(self, market: Market) -> Order:
        filled = base(self.actualSz, market)
        return Order(
            product=ALGO,
            symbol=market.symbol,
            id=f"algo-{self.algoId}",
            client_id=self.algoClOrdId or None,
            side=self.side,
            type=self.ordType,
            price=self._price(),
            size=filled if self.tgtCcy == "quote_ccy" else base(self.sz, market),
            filled=filled,
            average=if_any(self.actualPx),
            status=ALGO_STATES.get(self.state, self.state),
            reduce_only=self.reduceOnly == "true" or closes(self.side, SIDES[self.posSide]),
            created_ms=ms(self.cTime),
            updated_ms=int(self.uTime or self.pTime or self.cTime or 0),
        )

    def _price(self) -> Decimal | None:
        prices = (amount(text) for text in (self.ordPx, self.slOrdPx, self.tpOrdPx))
        return next((price for price in prices if price is not None and price > 0), None)


def parse_orders(raw: bytes, markets: MarketIndex) -> list[Order]:
    """``GET /api/v5/trade/orders-pending``, and one order of ``GET /api/v5/trade/order``."""
    listed = ((row, market_of(markets, row.instType, row.instId)) for row in rows(raw, OrderRow))
    return [row.order(market) for row, market in listed if market is not None]


def parse_algos(raw: bytes, markets: MarketIndex) -> list[Order]:
    """``GET /api/v5/trade/orders-algo-pending``."""
    listed = ((row, market_of(markets, row.instType, row.instId)) for row in rows(raw, AlgoRow))
    return [row.order(market) for row, market in listed if market is not None]


# -- fills -----------------------------------------------------------------------------------------------------------


class FillRow(msgspec.Struct):
    """``{"instType":"SPOT","instId":"BTC-USDT","tradeId":"744876980","ordId":"680800019749904384","clOrdId":"",
    "billId":"680800019754098688","fillPx":"51858","fillSz":"0.00192834","side":"buy","posSide":"net","execType":"T",
    "fee":"-0.00000192834","feeCcy":"BTC","fillPnl":"0","fillTime":"1708587373361","ts":"1708587373362"}``.

    ``fee`` is negative where it was charged. ``ts`` is when the bill was made: by it times are asked for.
    """

    instType: str
    instId: str
    tradeId: Id
    ordId: str
    billId: Id
    fillPx: Amount
    fillSz: Amount
    side: Direction
    ts: Moment
    posSide: PositionSide = ""
    clOrdId: str = ""
    execType: str = ""
    fee: Amount = ""
    feeCcy: str = ""
    fillPnl: Amount = ""
    fillTime: Ms = ""

    def fill(self, market: Market) -> Fill:
        return Fill(
            product=market.product,
            symbol=market.symbol,
            id=self.tradeId,
            order_id=self.ordId,
            client_id=self.clOrdId or None,
            side=self.side,
            price=amount_or_0(self.fillPx),
            size=base(self.fillSz, market),
            fee=charged(self.fee),
            fee_asset=self.feeCcy or None,
            maker=maker(self.execType),
            realised=None if market.settle is None else amount(self.fillPnl),
            position_side=SIDES[self.posSide],
            exchange_ms=int(self.fillTime or self.ts),
        )


def charged(fee: str) -> Decimal | None:
    """OKX's fee is negative where it was charged, ours positive."""
    told = amount(fee)
    return None if told is None else -told if told else Decimal(0)


def maker(execution: str) -> bool | None:
    return {"M": True, "T": False}.get(execution)


# -- pages -----------------------------------------------------------------------------------------------------------


class Place(msgspec.Struct):
    """What a list is continued after: the row's own number, of deposits and withdrawals their time."""

    billId: str = ""
    ordId: str = ""
    algoId: str = ""
    ts: str = ""


def places(raw: bytes) -> list[Place]:
    return rows(raw, Place)
