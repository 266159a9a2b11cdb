"""What the simulated Bybit's account tells by stream and REST: coins, positions, orders, executions. Pure."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from feeds.simulator.accounts import Account
from feeds.simulator.bybit import frames
from feeds.simulator.bybit.terms import WALLET
from feeds.simulator.market import LiveMarket
from feeds.simulator.orders import Hold, Movement, OwnFill, OwnOrder
from feeds.simulator.positions import ZERO, Position
from feeds.simulator.wallets import FuturesWallet

HOLDS: Mapping[object, Hold] = {0: "both", 1: "long", 2: "short"}
INDEXES = {hold: index for index, hold in HOLDS.items()}
_STATUSES = {"NEW": "New", "PARTIALLY_FILLED": "PartiallyFilled", "FILLED": "Filled"}
_REASONS = {"FOK": "EC_NoImmediateQtyToFill", "IOC": "EC_NoImmediateQtyToFill", "GTX": "EC_PostOnlyWillTakeLiquidity"}
_LOG_TYPES = {"deposit": "TRANSFER_IN", "withdrawal": "TRANSFER_OUT", "funding": "SETTLEMENT"}


def order_id(order: OwnOrder) -> str:
    """Digits on spot, a UUID on linear."""
    return str(order.id) if order.market.instrument.settle is None else str(UUID(int=order.id))


def number_of(text: str) -> int | None:
    """The order that has this id."""
    try:
        return int(text) if text.isdigit() else UUID(text).int
    except ValueError:
        return None


class Prices:
    """What coins are worth in USD: dollars are, others by their spot market."""

    def __init__(self, markets: Iterable[LiveMarket]) -> None:
        self._markets = {m.instrument.base: m for m in markets if m.instrument.quote == "USDT"}

    def usd(self, coin: str) -> Decimal:
        if coin in ("USDT", "USDC"):
            return Decimal(1)
        market = self._markets.get(coin)
        return Decimal(market.mid()) * market.instrument.tick if market is not None else ZERO


def wallet(account: Account, prices: Prices, coins: Iterable[str] | None = None) -> dict[str, Any]:
    """``coins`` None: all that are not zero."""
    cash, linear = account.cash[WALLET], account.desks["linear"].futures
    shown = [coin for coin in cash.assets() if cash.total(coin)] if coins is None else list(coins)
    totals = {coin: cash.total(coin) * prices.usd(coin) for coin in cash.assets()}
    available = sum((cash.for_margin(coin) * prices.usd(coin) for coin in cash.assets()), ZERO)
    profit = sum((linear.total_unrealised(asset) for asset in linear.assets), ZERO)
    margin = sum((linear.used(asset) for asset in linear.assets), ZERO)
    total = f"{sum(totals.values(), ZERO):.8f}"
    return {
        "accountType": "UNIFIED",
        "accountIMRate": "0",
        "accountMMRate": "0",
        "totalEquity": f"{sum(totals.values(), ZERO) + profit:.8f}",
        "totalWalletBalance": total,
        "totalMarginBalance": total,
        "totalAvailableBalance": f"{available:.8f}",
        "totalPerpUPL": f"{profit:.8f}",
        "totalInitialMargin": f"{margin:.8f}",
        "totalMaintenanceMargin": "0",
        "accountLTV": "0",
        "coin": [_coin(account, linear, coin, prices) for coin in shown],
    }


def _coin(account: Account, linear: FuturesWallet, coin: str, prices: Prices) -> dict[str, Any]:
    cash, settles = account.cash[WALLET], coin in linear.assets
    total = cash.total(coin)
    profit = linear.total_unrealised(coin) if settles else ZERO
    orders = linear.order_margin(coin) if settles else ZERO
    return {
        "coin": coin,
        "equity": f"{total + profit:f}",
        "usdValue": f"{(total + profit) * prices.usd(coin):.8f}",
        "walletBalance": f"{total:f}",
        "locked": f"{cash.locked.get(coin, ZERO):f}",
        "spotHedgingQty": "0",
        "borrowAmount": "0.0",
        "spotBorrow": "0",
        "accruedInterest": "0",
        "totalOrderIM": f"{orders:f}",
        "totalPositionIM": f"{linear.used(coin) - orders if settles else ZERO:f}",
        "totalPositionMM": "0",
        "unrealisedPnl": f"{profit:f}",
        "cumRealisedPnl": "0",
        "bonus": "0",
        "collateralSwitch": True,
        "marginCollateral": True,
        "availableToBorrow": "",
        "availableToWithdraw": "",
    }


def position(linear: FuturesWallet, held: Position, *, stream: bool) -> dict[str, Any]:
    """The entry price has another name by stream."""
    market, amount = held.market, held.amount
    isolated = linear.is_isolated(held)
    margin = f"{held.margin if isolated else linear.initial_margin(held):f}"
    liquidation = linear.liquidation_price(held) if amount else ZERO
    row = {
        "positionIdx": INDEXES[held.hold],
        "riskId": 1,
        "riskLimitValue": "2000000",
        "symbol": market.instrument.native,
        "side": "Buy" if amount > 0 else "Sell" if amount else "",
        "size": f"{abs(amount):f}",
        "entryPrice" if stream else "avgPrice": f"{held.entry:f}",
        "positionValue": f"{abs(held.cost):f}",
        "tradeMode": 0,
        "positionStatus": "Normal",
        "autoAddMargin": 0,
        "adlRankIndicator": 2,
        "leverage": str(linear.leverage_of(market)),
        "positionBalance": f"{held.margin:f}",
        "markPrice": f"{linear.mark(market):f}",
        "liqPrice": f"{liquidation:f}" if liquidation else "",
        "bustPrice": "",
        "positionMM": f"{linear.maintenance_margin(held):f}",
        "positionIM": margin,
        "positionIMByMp": margin,
        "tpslMode": "Full",
        "takeProfit": "0",
        "stopLoss": "0",
        "trailingStop": "0",
        "unrealisedPnl": f"{linear.unrealised(held):f}",
        "curRealisedPnl": f"{held.realised:f}",
        "cumRealisedPnl": f"{held.realised:f}",
        "sessionAvgPrice": "",
        "seq": market.engine.update_id,
        "isReduceOnly": False,
        "createdTime": str(held.updated_ms),
        "updatedTime": str(held.updated_ms),
    }
    return row | ({"category": "linear"} if stream else {})


def order(own: OwnOrder, *, stream: bool) -> dict[str, Any]:
    market, i = own.market, own.market.instrument
    spot, by_value = i.settle is None, bool(own.quote_size)
    status = _STATUSES.get(own.status, "PartiallyFilledCanceled" if spot and own.filled else "Cancelled")
    ended = own.status not in ("NEW", "PARTIALLY_FILLED")
    reason = _REASONS.get(own.time_in_force, "EC_NoError") if own.status == "EXPIRED" else "EC_NoError"
    row = {
        "orderId": order_id(own),
        "orderLinkId": own.client_id,
        "blockTradeId": "",
        "symbol": i.native,
        "price": market.price_text(own.price or 0),
        "qty": f"{own.quote_size:f}" if by_value else market.size_text(own.size),
        "side": "Buy" if own.buy else "Sell",
        "isLeverage": "0" if spot else "",
        "positionIdx": INDEXES[own.hold],
        "orderStatus": status,
        "cancelType": "CancelByUser" if own.status == "CANCELED" else "UNKNOWN",
        "rejectReason": reason,
        "avgPrice": f"{own.average:f}" if own.filled else "",
        "leavesQty": "0" if ended else market.size_text(own.left),
        "leavesValue": "0",
        "cumExecQty": market.size_text(own.filled),
        "cumExecValue": f"{own.quote_filled:f}",
        "cumExecFee": "0",
        "timeInForce": {"GTX": "PostOnly"}.get(own.time_in_force, own.time_in_force),
        "orderType": "Market" if own.price is None else "Limit",
        "stopOrderType": "" if stream else "UNKNOWN",
        "orderIv": "",
        "triggerPrice": "",
        "takeProfit": "",
        "stopLoss": "",
        "triggerDirection": 0,
        "triggerBy": "",
        "lastPriceOnCreated": "",
        "reduceOnly": own.reduce_only,
        "closeOnTrigger": False,
        "smpType": "None",
        "smpGroup": 0,
        "smpOrderId": "",
        "tpslMode": "",
        "placeType": "",
        "createdTime": str(own.created_ms),
        "updatedTime": str(own.updated_ms),
    }
    if spot and own.price is None:
        row["marketUnit"] = "quoteCoin" if by_value else "baseCoin"
    return row | ({"category": i.product} if stream else {})


def execution(fill: OwnFill, *, stream: bool) -> dict[str, Any]:
    """Linear fees name no coin by REST, as in the documentation's examples; only the stream tells the profit."""
    own, market = fill.order, fill.order.market
    i = market.instrument
    row = {
        "symbol": i.native,
        "orderId": order_id(own),
        "orderLinkId": own.client_id,
        "side": "Buy" if own.buy else "Sell",
        "orderPrice": market.price_text(own.price or 0),
        "orderQty": market.size_text(own.size),
        "leavesQty": market.size_text(own.left),
        "orderType": "Market" if own.price is None else "Limit",
        "stopOrderType": "UNKNOWN",
        "execFee": f"{fill.fee:f}",
        "execId": frames.trade_id(market, fill),
        "execPrice": f"{fill.price:f}",
        "execQty": f"{fill.size:f}",
        "execType": "Trade",
        "execValue": f"{fill.value:f}",
        "execTime": str(fill.ms),
        "isMaker": fill.maker,
        "feeRate": f"{fill.fee / fill.value:.8f}" if fill.fee_asset == i.quote else "0.001",
        "feeCurrency": "" if i.settle is not None and not stream else fill.fee_asset,
        "tradeIv": "",
        "markIv": "",
        "markPrice": "",
        "indexPrice": "",
        "underlyingPrice": "",
        "blockTradeId": "",
        "closedSize": "",
        "extraFees": [] if stream else "",
        "seq": fill.number,
    }
    return row | ({"category": i.product, "execPnl": f"{fill.realised or ZERO:f}"} if stream else {})


def funding(paid: Movement, *, stream: bool) -> dict[str, Any]:
    """Funding stands among the executions: a positive fee was paid."""
    native = "" if paid.market is None else paid.market.instrument.native
    row: Mapping[str, Any] = {
        "symbol": native,
        "orderId": f"{paid.ms // 1000}-8-592324-1-2",
        "orderLinkId": "",
        "side": "Buy",
        "orderType": "UNKNOWN",
        "execFee": f"{-paid.amount:f}",
        "execId": str(UUID(int=paid.id)),
        "execPrice": "0",
        "execQty": "0",
        "execType": "Funding",
        "execValue": "0",
        "execTime": str(paid.ms),
        "isMaker": False,
        "feeRate": "0.0001",
        "feeCurrency": "",
        "seq": paid.id,
    }
    return {**row, **({"category": "linear", "execPnl": ""} if stream else {})}


def logged(moved: Movement) -> dict[str, Any]:
    """A row of the transaction log."""
    is_funding = moved.kind == "funding"
    figures = {
        "symbol": "" if moved.market is None else moved.market.instrument.native,
        "category": "linear" if is_funding else "",
        "type": moved.name or _LOG_TYPES[moved.kind],
        "funding": f"{moved.amount:f}" if is_funding else "",
        "cashFlow": "0" if is_funding else f"{moved.amount:f}",
        "change": f"{moved.amount:f}",
    }
    return _record(f"{moved.asset}_{moved.id * 2}", moved.asset, moved.ms) | figures


def traded(fill: OwnFill) -> list[dict[str, Any]]:
    """An execution's rows of the transaction log: of a pair one for each coin, of a contract one."""
    i, buy = fill.order.market.instrument, fill.order.buy
    if i.settle is None:
        moved = [(i.base, fill.size if buy else -fill.size), (i.quote, -fill.value if buy else fill.value)]
    else:
        moved = [(i.settle, fill.realised or ZERO)]
    told = []
    for leg, (coin, flow) in enumerate(moved):
        fee = fill.fee if coin == fill.fee_asset else ZERO
        figures = {
            "symbol": i.native,
            "category": i.product,
            "side": "Buy" if buy else "Sell",
            "type": "TRADE",
            "qty": f"{flow if i.settle is None else fill.size:f}",
            "tradePrice": f"{fill.price:f}",
            "fee": f"{fee:f}",
            "cashFlow": f"{flow:f}",
            "change": f"{flow - fee:f}",
            "tradeId": frames.trade_id(fill.order.market, fill),
            "orderId": order_id(fill.order),
            "orderLinkId": fill.order.client_id,
        }
        told.append(_record(f"{i.native}_{fill.number * 2 + leg}", coin, fill.ms) | figures)
    return told


def _record(name: str, coin: str, ms: int) -> dict[str, Any]:
    return {
        "id": f"592324_{name}",
        "side": "None",
        "transactionTime": str(ms),
        "transSubType": "",
        "qty": "0",
        "size": "0",
        "currency": coin,
        "tradePrice": "",
        "funding": "",
        "fee": "0",
        "cashBalance": "",
        "feeRate": "",
        "bonusChange": "",
        "tradeId": "",
        "orderId": "",
        "orderLinkId": "",
        "extraFees": "",
    }
