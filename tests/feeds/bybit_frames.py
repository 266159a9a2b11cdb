"""Bybit's documented frames and answers, and markets to read them with."""

import json
from decimal import Decimal
from typing import Any

from feeds.domain import Channel, Event, Market, Subscription
from feeds.exchange import MarketIndex
from feeds.exchanges.bybit import Bybit
from feeds.exchanges.bybit_session import BybitSession

SNAPSHOT = (
    '{"topic":"orderbook.50.BTCUSDT","type":"snapshot","ts":1672304484978,"data":{"s":"BTCUSDT","b":[["16493.50","0.006"],'
    '["16493.00","0.100"]],"a":[["16611.00","0.029"],["16612.00","0.213"]],"u":18521288,"seq":7961638724},'
    '"cts":1672304484976}'
)
DELTA = (
    '{"topic":"orderbook.50.BTCUSDT","type":"delta","ts":1687940967466,"data":{"s":"BTCUSDT","b":[["30247.20","30.028"],'
    '["30240.00","0"]],"a":[["30248.70","0"],["30249.30","0.892"]],"u":177400507,"seq":66544703342},"cts":1687940967464}'
)
BEST = (
    '{"topic":"orderbook.1.BTCUSDT","ts":1772694601512,"type":"snapshot","data":{"s":"BTCUSDT","b":[["66666.60","23.789"]],'
    '"a":[["66666.70","23.775"]],"u":18521288,"seq":7961638724},"cts":1772694601510}'
)
TRADE = (
    '{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1672304486868,"data":[{"T":1672304486865,"s":"BTCUSDT",'
    '"S":"Buy","v":"0.001","p":"16578.50","L":"PlusTick","i":"20f43950-d8dd-5b31-9112-a178eb6023af","BT":false,'
    '"RPI":false,"seq":1783284617}]}'
)
TICKER = (
    '{"topic":"tickers.BTCUSDT","type":"snapshot","data":{"symbol":"BTCUSDT","tickDirection":"MinusTick",'
    '"price24hPcnt":"-0.158315","lastPrice":"66666.60","prevPrice24h":"79206.20","highPrice24h":"79266.30",'
    '"lowPrice24h":"65076.90","prevPrice1h":"66666.60","markPrice":"66666.60","indexPrice":"66670.19",'
    '"openInterest":"492373.72","openInterestValue":"32824881841.75","turnover24h":"4936790807.6521",'
    '"volume24h":"73191.3870","fundingIntervalHour":"8","fundingCap":"0.005","nextFundingTime":"1760342400000",'
    '"fundingRate":"-0.005","bid1Price":"66666.60","bid1Size":"23789.165","ask1Price":"66666.70",'
    '"ask1Size":"23775.469","preOpenPrice":"","preQty":"","curPreListingPhase":""},"cs":9532239429,"ts":1760325052630}'
)
TICKER_CHANGES = (
    '{"topic":"tickers.BTCUSDT","type":"delta","data":{"symbol":"BTCUSDT","bid1Price":"66666.50","bid1Size":"12.001",'
    '"lastPrice":"66666.50"},"cs":9532239500,"ts":1760325052730}'
)
SPOT_TICKER = (
    '{"topic":"tickers.BTCUSDT","ts":1673853746003,"type":"snapshot","cs":2588407389,"data":{"symbol":"BTCUSDT",'
    '"lastPrice":"21109.77","highPrice24h":"21426.99","lowPrice24h":"20575","prevPrice24h":"20704.93",'
    '"volume24h":"6780.866843","turnover24h":"141946527.22907118","price24hPcnt":"0.0196",'
    '"usdIndexPrice":"21120.2400136"}}'
)
KLINE = (
    '{"topic":"kline.5.BTCUSDT","data":[{"start":1672324800000,"end":1672325099999,"interval":"5","open":"16649.5",'
    '"close":"16677","high":"16677","low":"16608","volume":"2.081","turnover":"34666.4005","confirm":false,'
    '"timestamp":1672324988882}],"ts":1672324988882,"type":"snapshot"}'
)
STATUS = (
    '{"topic":"system.status","ts":1751858399649,"data":[{"id":"4d95b2a0-587f-11f0-bcc9-56f28c94d6ea","title":"t06",'
    '"state":"completed","begin":"1751596902000","end":"1751597011000","href":"","serviceTypes":[2,3,4,5],'
    '"product":[1,2],"uidSuffix":[],"maintainType":1,"env":1}]}'
)
PONG = '{"success":true,"ret_msg":"pong","conn_id":"0970e817-426e","req_id":"100001","op":"ping"}'
OTHER_PONG = '{"req_id":"test","op":"pong","args":["1675418560633"],"conn_id":"cfcb4ocsvfriu23r3er0-1b"}'
REFUSAL = (
    '{"success":false,"ret_msg":"error:handler not found,topic:orderbook.500.BTCUSDT","conn_id":"cejreaspqfm9se7usbrg",'
    '"req_id":"1","op":"subscribe"}'
)
DOCUMENTED = [
    SNAPSHOT,
    DELTA,
    BEST,
    TRADE,
    TICKER,
    TICKER_CHANGES,
    SPOT_TICKER,
    KLINE,
    STATUS,
    PONG,
    OTHER_PONG,
    REFUSAL,
]

LINEAR_INSTRUMENT: dict[str, Any] = {
    **{"symbol": "BTCUSDT", "symbolId": 5, "contractType": "LinearPerpetual", "status": "Trading", "baseCoin": "BTC"},
    **{"quoteCoin": "USDT", "settleCoin": "USDT", "launchTime": "1585526400000", "deliveryTime": "0"},
    "priceFilter": {"minPrice": "0.10", "maxPrice": "1999999.80", "tickSize": "0.10"},
    "lotSizeFilter": {"maxOrderQty": "1190.000", "minOrderQty": "0.001", "qtyStep": "0.001", "minNotionalValue": "5"},
    "preListingInfo": None,
}
SPOT_INSTRUMENT: dict[str, Any] = {
    **{"symbolId": 9, "symbol": "BTCUSDT", "baseCoin": "BTC", "quoteCoin": "USDT", "innovation": "0"},
    "status": "Trading",
    "lotSizeFilter": {
        **{"basePrecision": "0.000001", "quotePrecision": "0.0000001", "minOrderQty": "0.000011", "maxOrderQty": "83"},
        **{"minOrderAmt": "5", "maxOrderAmt": "8000000"},
    },
    "priceFilter": {"tickSize": "0.1"},
}


def listed(symbol: str, native: str, product: str) -> Market:
    base, _, rest = symbol.partition("/")
    quote, _, settle = rest.partition(":")
    return Market(
        exchange="bybit",
        symbol=symbol,
        native=native,
        product=product,
        base=base,
        quote=quote,
        settle=settle or None,
        tick=Decimal("0.1"),
        lot=Decimal("0.001"),
    )


SPOT, PERP = "BTC/USDT", "BTC/USDT:USDT"
MARKETS = MarketIndex(
    [
        listed(SPOT, "BTCUSDT", "spot"),
        listed("ETH/USDT", "ETHUSDT", "spot"),
        listed(PERP, "BTCUSDT", "linear"),
        listed("ETH/USDT:USDT", "ETHUSDT", "linear"),
        listed("BTC/USDC:USDC", "BTCPERP", "linear"),
    ]
)


def new_session(product: str = "linear", book_depth: int = 200) -> BybitSession:
    return Bybit(book_depth=book_depth).session(product, MARKETS)


def want(channel: Channel, symbol: str = PERP, interval: str | None = None) -> Subscription:
    return Subscription(channel=channel, symbol=symbol, interval=interval)


def one(events: list[Event]) -> Event:
    (event,) = events
    return event


def book(
    u: int, *, kind: str = "delta", depth: int = 50, b: Any = (), a: Any = (), native: str = "BTCUSDT", **more: Any
) -> str:
    data = {"s": native, "b": list(b), "a": list(a), "u": u, "seq": 10 * u, **more}
    frame = {"topic": f"orderbook.{depth}.{native}", "type": kind, "ts": 1002, "data": data, "cts": 1000}
    return json.dumps(frame, separators=(",", ":"))


def answer(result: Any, code: int = 0) -> bytes:
    body = {"retCode": code, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": 1716863719382}
    return json.dumps(body).encode()
