"""LMEX's documented private answers and frames, from BTSE's documentation, and what the tests read them with."""

import json
from decimal import Decimal
from typing import Any

from feeds.account import AccountSpec, Credentials
from feeds.accounts.lmex import LmexAccount
from feeds.domain import Market
from feeds.exchange import MarketIndex
from feeds.exchanges import create

D = Decimal
KEY = Credentials("4e9536c79f0fdd72bf04f2430982d3f61d9d76c996f0175bbba470d69d59816x", "lmex-dummy-secret-" + "0" * 48)
NOW_MS = 1_752_150_000_000


def market(native: str, product: str, contract: str = "1") -> Market:
    base = native.partition("-")[0]
    quote = "USDT" if product == "futures" else native.partition("-")[2]
    return Market(
        exchange="lmex",
        symbol=f"{base}/{quote}" + (f":{quote}" if product == "futures" else ""),
        native=native,
        product=product,
        base=base,
        quote=quote,
        settle=quote if product == "futures" else None,
        tick=D("0.1"),
        lot=D(contract) if product == "futures" else D("0.00001"),
        contract_size=D(contract),
    )


MARKETS = MarketIndex(
    [
        market("BTC-USDT", "spot"),
        market("BTC-USD", "spot"),
        market("BTC-PERP", "futures", "0.00001"),
        market("ETH-PERP", "futures", "0.01"),
    ]
)


def account(products: tuple[str, ...] = ("spot", "futures"), key: Credentials = KEY) -> LmexAccount:
    spec = AccountSpec(id=1, exchange="lmex", label="Main", credentials=key, products=products)
    return LmexAccount(spec, MARKETS, create("lmex").endpoints, now_s=lambda: NOW_MS / 1000)


def text(value: Any) -> bytes:
    return json.dumps(value).encode()


TIME = '{"iso":"2021-06-29T18:14:30.886Z","epoch":1624990470}'
SPOT_WALLET = (
    '[{"currency":"USD","total":5566.5566,"available":520.52},'
    '{"currency":"TUSD","total":100000,"available":100000},{"currency":"ETH","total":0,"available":0}]'
)
FUTURES_WALLET = (
    '[{"trackingID":0,"queryType":0,"activeWalletName":"CROSS@","wallet":"CROSS@","username":"user",'
    '"walletTotalValue":100,"totalValue":100,"marginBalance":100,"availableBalance":100,"unrealisedProfitLoss":0,'
    '"maintenanceMargin":0,"leverage":0,"openMargin":0,'
    '"assets":[{"balance":0.20183537,"assetPrice":7158.844999999999,"currency":"BTC"}],'
    '"assetsInUse":[{"balance":0.01,"assetPrice":7158.844999999999,"currency":"BTC"}]}]'
)
POSITION = {
    "marginType": 91,
    "entryPrice": 1631.106666667,
    "markPrice": 1630.398947255,
    "symbol": "ETH-PERP",
    "side": "BUY",
    "orderValue": 48.9119684176,
    "settleWithAsset": "USDT",
    "unrealizedProfitLoss": -0.02123158,
    "totalMaintenanceMargin": 0.254871114,
    "size": 3,
    "liquidationPrice": 0,
    "isolatedLeverage": 0,
    "adlScoreBucket": 2,
    "liquidationInProgress": False,
    "timestamp": 0,
    "takeProfitOrder": None,
    "stopLossOrder": None,
    "positionMode": "HEDGE",
    "positionDirection": "LONG",
    "positionId": "ETH-PERP-USDT|LONG",
    "currentLeverage": 0.0340349245,
}
OPEN_ORDER = {
    "orderID": "39ff44d2-513a-4ea6-858c-e07498d424fd",
    "clOrderID": "",
    "symbol": "BTC-PERP",
    "orderType": 76,
    "side": "BUY",
    "price": 10104.1,
    "orderValue": 0.101041,
    "contractSize": 0.00001,
    "originalOrderSize": 1,
    "currentOrderSize": 1,
    "totalFilledSize": 0,
    "remainingSize": 1,
    "avgFilledPrice": 0,
    "timeInForce": "GTC",
    "orderState": "STATUS_ACTIVE",
    "reduceOnly": False,
    "triggerOrder": False,
    "triggered": False,
    "triggerPrice": 0,
    "positionMode": "ONE_WAY",
    "positionId": "BTC-PERP-USDT",
    "timestamp": 1752138665358,
}
SPOT_TRIGGER = {
    "orderID": "fae47714-4c75-4956-9e6a-832cbf2d9a09",
    "requestId": 9018830890442560439,
    "orderType": 76,
    "price": 111318.3,
    "side": "BUY",
    "cancelDuration": 0,
    "timestamp": 1752129347246,
    "triggerOrder": True,
    "triggerPrice": 120048.6,
    "triggerOrderType": 1001,
    "symbol": "BTC-USDT",
    "quote": "USDT",
    "clOrderID": "_W_mcjffli1752129293688",
    "orderState": "STATUS_ACTIVE",
    "timeInForce": "GTC",
    "originalOrderBaseSize": 0.0001,
    "originalOrderQuoteSize": None,
    "currentOrderBaseSize": 0.0001,
    "remainingOrderBaseSize": 0.0001,
    "totalFilledBaseSize": 0,
    "orderCurrency": "base",
    "avgFilledPrice": 0,
    "triggered": False,
}
FILL = {
    "tradeId": "9d661ee3-eaf8-4068-8d6a-5d3dfef6ef5f",
    "orderId": "bf07eeff-afdc-433a-a0ca-f41a2433e323",
    "clOrderID": "_W_pip1752204538116",
    "username": "xxx",
    "symbol": "BTC-PERP",
    "side": "SELL",
    "orderType": 77,
    "triggerType": None,
    "price": 0,
    "size": 99,
    "filledPrice": 100000,
    "filledSize": 99,
    "avgFilledPrice": 100000,
    "triggerPrice": 0,
    "base": "BTC",
    "quote": "USDT",
    "feeCurrency": "USDT",
    "feeAmount": 0.0198,
    "wallet": "VIRTUAL|1@BTC-PERP-USDT#1",
    "realizedPnl": -0.99,
    "total": -1.0098,
    "serialId": 374029591,
    "contractSize": 0.00001,
    "positionId": "BTC-PERP-USDT",
    "timestamp": 1752204538247,
}
SPOT_FILL = {
    "tradeId": "a85de513-4ddf-489b-8601-b1aa96d97ad6",
    "orderId": "f4aa8d57-c062-4ba9-b22e-09c4249d53f5",
    "clOrderID": None,
    "username": "btse",
    "side": "BUY",
    "orderType": 77,
    "triggerType": 0,
    "price": 111381.3460167,
    "size": 100,
    "filledPrice": 111381.3460167,
    "filledSize": 0.00089,
    "triggerPrice": 0,
    "base": "BTC",
    "quote": "USD",
    "symbol": "BTC-USD",
    "feeCurrency": "BTC",
    "feeAmount": 5.34e-7,
    "wallet": "SPOT@",
    "realizedPnl": 0,
    "total": 0,
    "serialId": 926957588,
    "timestamp": 1752129085233,
    "avgFilledPrice": 111381.3460167,
}
PLACED = {
    "status": 2,
    "symbol": "BTC-PERP",
    "orderType": 76,
    "price": 21000,
    "side": "BUY",
    "orderID": "7a64ab37-313e-4313-bf1b-e909ebe9b976",
    "clOrderID": "my-id-1",
    "timestamp": 1752139128547,
    "triggerPrice": 0,
    "trigger": False,
    "deviation": 100,
    "stealth": 100,
    "message": "",
    "avgFilledPrice": 0,
    "originalOrderSize": 10,
    "currentOrderSize": 10,
    "filledSize": 0,
    "totalFilledSize": 0,
    "remainingSize": 10,
    "postOnly": False,
    "orderDetailType": None,
    "positionMode": "ONE_WAY",
    "positionDirection": None,
    "positionId": "BTC-PERP-USDT",
    "time_in_force": "GTC",
}
FUTURES_EVENT = (
    '{"topic":"notificationApiV4","data":[{"symbol":"BTC-PERP","orderID":"45e8bb8d-d708-4a90-a428-c61583f90efe",'
    '"clOrderID":"","side":"BUY","orderType":77,"type":0,"price":111085.1,"triggerPrice":0,"status":4,'
    '"avgFilledPrice":111085.1,"originalOrderSize":900,"currentOrderSize":900,"filledSize":900,"totalFilledSize":900,'
    '"remainingSize":0,"postOnly":false,"maker":false,"stealth":1,"pegPriceDeviation":1,'
    '"positionId":"BTC-PERP-USDT","orderDetailType":null,"orderUserInitiated":true,"time_in_force":"GTC",'
    '"timestamp":1752147101805}]}'
)
SPOT_EVENT = (
    '{"topic":"notificationApiV3","data":{"symbol":"BTC-USDT","orderID":"789b05fa-dd43-43e8-8626-e229ae216ead",'
    '"clOrderID":"_W_bjvf1752147703280","side":"MODE_BUY","orderType":77,"txType":0,"price":111131,"triggerPrice":0,'
    '"status":5,"avgFilledPrice":111131,"originalOrderBaseSize":0,"originalOrderQuoteSize":1000,'
    '"currentOrderBaseSize":0,"currentOrderQuoteSize":1000,"filledBaseSize":0.00899,"totalFilledBaseSize":0.00899,'
    '"remainingBaseSize":0,"remainingQuoteSize":0.93231,"orderCurrency":"USDT","maker":false,"postOnly":false,'
    '"orderUserInitiated":true,"time_in_force":"GTC","timestamp":1752147703368}}'
)
FILL_FRAME = (
    '{"topic":"fillsV2","id":"","data":[{"orderId":"6aa36da1-0ed8-46c1-9327-c9d6313b3d12",'
    '"clOrderId":"_W_ekxogc1711427518228","serialId":189349157,"tradeId":"e094117f-9f84-4c82-b55d-d3d2a54d0dca",'
    '"type":"77","symbol":"BTC-PERP","side":"BUY","price":"69704.4","size":"1.0","feeAmount":"0.0348522",'
    '"feeCurrency":"USDT","base":"BTC-PERP","quote":"USDT","maker":false,"contractSize":0.0001,'
    '"timestamp":1711427518338}]}'
)
POSITIONS_FRAME = (
    '{"topic":"allPositionV4","data":[{"marketName":"BTC-PERP-USDT","positionId":"BTC-PERP-USDT","orderType":90,'
    '"orderMode":66,"orderModeName":"MODE_BUY","orderTypeName":"TYPE_FUTURES_POSITION","status":65,'
    '"totalContracts":899,"contractSize":0.00001,"entryPrice":111126,"markedPrice":111115.5,'
    '"unrealizedProfitLoss":-0.094395,"totalMaintenanceMargin":5.643945149,"totalValue":998.928345,'
    '"liquidationPrice":0,"marginType":91,"marginTypeName":"FUTURES_MARGIN_CROSS","isolatedLeverage":0,'
    '"currentLeverage":0.009991421,"activeWalletName":"CROSS@","positionMode":"ONE_WAY","positionDirection":"LONG",'
    '"settleWithNonUSDAsset":"USDT","takeProfitOrder":null,"stopLossOrder":null,"adlScoreBucket":1}]}'
)
FRAMES = (FUTURES_EVENT, SPOT_EVENT, FILL_FRAME, POSITIONS_FRAME, '{"event":"subscribe","channel":["fillsV2"]}')
