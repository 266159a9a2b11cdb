"""What LMEX's private REST and streams show of an account. Pure.

Sizes of futures are contracts, which are our lots. Ids are written as UUIDs, of which there is one for each number.
"""

from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from feeds.simulator.accounts import Account
from feeds.simulator.lmex.terms import CANCELLED, FILLED, INSERTED, PARTLY
from feeds.simulator.market import LiveMarket
from feeds.simulator.orders import Movement, OwnFill, OwnOrder
from feeds.simulator.positions import Position
from feeds.simulator.wallets import FuturesWallet

_STATUSES = {"NEW": INSERTED, "PARTIALLY_FILLED": PARTLY, "FILLED": FILLED}  # all others are cancelled
_NINE = Decimal("1e-9")
_PARTS = {"order": 0x4A << 112, "trade": 0x9B << 112}

encode = msgspec.json.Encoder(decimal_format="number").encode
"""Money is JSON numbers."""


def order_id(order: OwnOrder) -> str:
    return str(UUID(int=_PARTS["order"] | order.id))


def trade_id(fill: OwnFill) -> str:
    return str(UUID(int=_PARTS["trade"] | fill.number))


def number_of(text: str) -> int | None:
    """Of an order's id; None if it is none."""
    try:
        return UUID(text).int ^ _PARTS["order"]
    except ValueError:
        return None


def is_spot(market: LiveMarket) -> bool:
    return market.instrument.settle is None


def size(market: LiveMarket, lots: int) -> Decimal | int:
    """As LMEX counts."""
    return lots * market.instrument.lot if is_spot(market) else lots


def position_id(market: LiveMarket) -> str:
    return f"{market.instrument.native}-{market.instrument.settle}"


def order(row: OwnOrder, *, listed: bool) -> dict[str, Any]:
    """``listed``: in a list of open orders, which names things otherwise than a single order does."""
    market = row.market
    spot, state = is_spot(market), _STATUSES.get(row.status, CANCELLED)
    whole, filled, left = size(market, row.size), size(market, row.filled), size(market, row.left)
    body: dict[str, Any] = {
        "orderID": order_id(row),
        "clOrderID": row.client_id,
        "symbol": market.instrument.native,
        "orderType": 77 if row.price is None else 76,
        "side": row.side,
        "price": Decimal(0) if row.price is None else row.price * market.instrument.tick,
        "timestamp": row.created_ms if listed else row.updated_ms,
        "triggerPrice": 0,
        "avgFilledPrice": row.average.quantize(_NINE),
        "timeInForce": row.time_in_force if row.time_in_force in ("IOC", "FOK") else "GTC",
        "triggerOrder": False,
        "triggered": False,
    }
    if spot:
        body |= {
            "quote": market.instrument.quote,
            "originalOrderBaseSize": whole,
            "currentOrderBaseSize": whole,
            "remainingOrderBaseSize": left,
            "totalFilledBaseSize": filled,
            "orderCurrency": "base",
        }
    else:
        body |= {
            "originalOrderSize": whole,
            "currentOrderSize": whole,
            "remainingSize": left,
            "totalFilledSize": filled,
            "contractSize": market.instrument.lot,
            "reduceOnly": row.reduce_only,
            "positionMode": "ONE_WAY",
            "positionDirection": None,
            "positionId": position_id(market),
        }
    return body | ({"orderState": "STATUS_ACTIVE", "cancelDuration": 0} if listed else {"status": state})


def placed(row: OwnOrder) -> dict[str, Any]:
    """The answer to a new or cancelled order."""
    body = order(row, listed=False)
    body["time_in_force"] = body.pop("timeInForce")
    return body | {"message": "", "trigger": False, "deviation": 100, "stealth": 100, "postOnly": row.post_only}


def notification(row: OwnOrder, *, maker: bool) -> dict[str, Any]:
    """An order's event. Spot writes its side otherwise there."""
    body = placed(row)
    if is_spot(row.market):
        body["side"] = f"MODE_{row.side}"
        body["filledBaseSize"] = body["totalFilledBaseSize"]
        body["orderCurrency"] = row.market.instrument.quote
    else:
        del body["contractSize"]
        body["filledSize"] = body["totalFilledSize"]
    return body | {"maker": maker, "orderUserInitiated": True}


def fill(row: OwnFill) -> dict[str, Any]:
    """A row of the trade history: maker or taker is not told."""
    market = row.order.market
    lots = int(row.size / market.instrument.lot)
    body: dict[str, Any] = {
        "tradeId": trade_id(row),
        "orderId": order_id(row.order),
        "clOrderID": row.order.client_id or None,
        "username": "simulated",
        "symbol": market.instrument.native,
        "side": row.order.side,
        "orderType": 77 if row.order.price is None else 76,
        "triggerType": None,
        "price": (row.order.price or 0) * market.instrument.tick,
        "size": size(market, row.order.size),
        "filledPrice": row.price,
        "filledSize": size(market, lots),
        "avgFilledPrice": row.order.average.quantize(_NINE),
        "base": market.instrument.base,
        "quote": market.instrument.quote,
        "feeCurrency": row.fee_asset,
        "feeAmount": row.fee,
        "wallet": "SPOT@" if is_spot(market) else "CROSS@",
        "realizedPnl": row.realised or Decimal(0),
        "serialId": row.number,
        "timestamp": row.ms,
    }
    if not is_spot(market):
        body |= {"contractSize": market.instrument.lot, "positionId": position_id(market)}
    return body


def streamed_fill(row: OwnFill) -> dict[str, Any]:
    """Numbers are text; profit is not told."""
    market = row.order.market
    told = fill(row)
    body: dict[str, Any] = {
        "orderId": told["orderId"],
        "clOrderId": row.order.client_id,
        "serialId": row.number,
        "tradeId": told["tradeId"],
        "type": str(told["orderType"]),
        "symbol": told["symbol"],
        "side": told["side"],
        "price": f"{row.price:f}",
        "size": f"{told['filledSize']}",
        "feeAmount": f"{row.fee:f}",
        "feeCurrency": row.fee_asset,
        "base": market.instrument.base if is_spot(market) else told["symbol"],
        "quote": market.instrument.quote,
        "maker": row.maker,
        "timestamp": row.ms,
    }
    return body if is_spot(market) else body | {"contractSize": market.instrument.lot}


def position(wallet: FuturesWallet, held: Position) -> dict[str, Any]:
    market = held.market
    return {
        "marginType": 91,
        "entryPrice": held.entry.quantize(_NINE),
        "markPrice": wallet.mark(market),
        "symbol": market.instrument.native,
        "side": "BUY" if held.amount > 0 else "SELL",
        "orderValue": abs(wallet.notional(held)),
        "settleWithAsset": market.instrument.settle,
        "unrealizedProfitLoss": wallet.unrealised(held).quantize(_NINE),
        "totalMaintenanceMargin": wallet.maintenance_margin(held).quantize(_NINE),
        "size": int(abs(held.amount) / market.instrument.lot),
        "liquidationPrice": wallet.liquidation_price(held).quantize(_NINE),
        "isolatedLeverage": 0,
        "adlScoreBucket": 2,
        "liquidationInProgress": False,
        "timestamp": 0,
        "takeProfitOrder": None,
        "stopLossOrder": None,
        "positionMode": "ONE_WAY",
        "positionDirection": None,
        "positionId": position_id(market),
        "currentLeverage": 0,
    }


def streamed_position(wallet: FuturesWallet, held: Position) -> dict[str, Any]:
    told = position(wallet, held)
    return {
        "marketName": told["positionId"],
        "positionId": told["positionId"],
        "orderType": 90,
        "orderTypeName": "TYPE_FUTURES_POSITION",
        "orderMode": 66 if held.amount > 0 else 83,
        "orderModeName": f"MODE_{told['side']}",
        "status": 65,
        "totalContracts": told["size"],
        "contractSize": held.market.instrument.lot,
        "entryPrice": told["entryPrice"],
        "markedPrice": told["markPrice"],
        "unrealizedProfitLoss": told["unrealizedProfitLoss"],
        "totalMaintenanceMargin": told["totalMaintenanceMargin"],
        "liquidationPrice": told["liquidationPrice"],
        "marginType": 91,
        "marginTypeName": "FUTURES_MARGIN_CROSS",
        "activeWalletName": "CROSS@",
        "positionMode": "ONE_WAY",
        "positionDirection": "LONG" if held.amount > 0 else "SHORT",
        "settleWithNonUSDAsset": told["settleWithAsset"],
    }


def spot_wallet(account: Account) -> list[dict[str, Any]]:
    cash = account.cash["spot"]
    return [
        {"currency": asset, "total": cash.total(asset), "available": cash.free.get(asset, Decimal(0))}
        for asset in cash.assets()
    ]


def futures_wallet(account: Account) -> list[dict[str, Any]]:
    """The cross wallet: what there is, and what of it is in use."""
    wallet = account.futures
    used = min(wallet.used(), wallet.balance)
    return [
        {
            "trackingID": 0,
            "queryType": 0,
            "activeWalletName": "CROSS@",
            "wallet": "CROSS@",
            "username": "simulated",
            "walletTotalValue": wallet.balance,
            "totalValue": wallet.balance,
            "marginBalance": wallet.balance + wallet.total_unrealised(),
            "availableBalance": wallet.available(),
            "unrealisedProfitLoss": wallet.total_unrealised(),
            "maintenanceMargin": 0,
            "leverage": 0,
            "openMargin": wallet.order_margin(),
            "assets": [{"balance": wallet.balance, "assetPrice": 1, "currency": wallet.asset}],
            "assetsInUse": [{"balance": used, "assetPrice": 1, "currency": wallet.asset}],
        }
    ]


CROSS = "CROSS@"
_SPOT_KINDS = {"deposit": "Deposit", "withdrawal": "Withdraw"}
_FUTURES_KINDS = {"deposit": 105, "withdrawal": 105, "funding": 110}
_PROFIT = 108


def number(row: Movement | OwnFill) -> int:
    """They are counted together."""
    return row.id if isinstance(row, Movement) else row.number


def _type(row: Movement, *, spot: bool) -> str | int:
    """What is named is named as LMEX does: by words on spot, by a number on futures."""
    if row.name:
        return row.name if spot else int(row.name)
    return _SPOT_KINDS[row.kind] if spot else _FUTURES_KINDS[row.kind]


def movement(row: Movement) -> dict[str, Any]:
    """A row of the wallet's history. Spot's amounts have no sign; what comes to futures was transferred."""
    spot = row.wallet == "spot"
    return {
        "username": "simulated",
        "orderId": row.id,
        "wallet": "@SPOT" if spot else CROSS,
        "currency": row.asset,
        "type": _type(row, spot=spot),
        "amount": abs(row.amount) if spot else row.amount,
        "fees": 0,
        "description": row.kind,
        "timestamp": row.ms,
        "status": "COMPLETED" if spot else 10,
        "txid": None,
    }


def profit(row: OwnFill) -> dict[str, Any]:
    """A row of the futures wallet's history: what a fill realised."""
    return {
        "username": "simulated",
        "orderId": row.number,
        "wallet": CROSS,
        "currency": row.fee_asset,
        "type": _PROFIT,
        "amount": row.realised,
        "fees": row.fee,
        "description": "realized",
        "timestamp": row.ms,
        "status": 10,
        "txid": None,
    }
