"""What Binance lists: the entries of ``exchangeInfo``. Pure."""

from typing import Any

from feeds.domain import decimals
from feeds.simulator.market import LiveMarket


def spot_symbol(market: LiveMarket) -> dict[str, Any]:
    """An entry of the spot exchangeInfo."""
    i = market.instrument
    return {
        "symbol": i.native,
        "status": "TRADING",
        "baseAsset": i.base,
        "baseAssetPrecision": 8,
        "quoteAsset": i.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": False,
        "ocoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": f"{i.tick:.8f}",
                "maxPrice": "1000000.00000000",
                "tickSize": f"{i.tick:.8f}",
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": f"{i.min_size:.8f}",
                "maxQty": "9000000.00000000",
                "stepSize": f"{i.lot:.8f}",
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": f"{i.min_notional:.8f}",
                "applyMinToMarket": True,
                "maxNotional": "9000000.00000000",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_MAKER"],
    }


def futures_symbol(market: LiveMarket) -> dict[str, Any]:
    """An entry of the futures exchangeInfo. ``pricePrecision`` is not the tick, as at Binance."""
    i = market.instrument
    tick = market.price_text(1)
    return {
        "symbol": i.native,
        "pair": i.native,
        "contractType": "PERPETUAL",
        "deliveryDate": 4133404800000,
        "onboardDate": 1569398400000,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": i.base,
        "quoteAsset": i.quote,
        "marginAsset": "USDT",
        "pricePrecision": decimals(i.tick) + 1,
        "quantityPrecision": decimals(i.lot),
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": ["PoW"],
        "settlePlan": 0,
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "4529764", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": f"{i.min_size:f}", "maxQty": "1000000", "stepSize": f"{i.lot:f}"},
            {
                "filterType": "MARKET_LOT_SIZE",
                "minQty": f"{i.min_size:f}",
                "maxQty": "100000",
                "stepSize": f"{i.lot:f}",
            },
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MIN_NOTIONAL", "notional": f"{i.min_notional:f}"},
            {
                "filterType": "PERCENT_PRICE",
                "multiplierUp": "1.0500",
                "multiplierDown": "0.9500",
                "multiplierDecimal": "4",
            },
        ],
        "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }
