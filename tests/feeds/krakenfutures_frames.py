"""Kraken Futures' documented and observed frames and answers, made to speak of the linear contract."""

import json
from typing import Any

SNAPSHOT = """{"feed": "book_snapshot", "product_id": "PF_XBTUSD", "timestamp": 1612269825817, "seq": 326072249,
 "tickSize": null, "bids": [
 {"price": 34892.5, "qty": 6385}, {"price": 34892, "qty": 10924}, {"price": 34890, "qty": 0}
 ], "asks": [{"price": 34911.5, "qty": 20598}, {"price": 34912, "qty": 2300}]}"""
DELTA = """{"feed": "book", "product_id": "PF_XBTUSD", "side": "sell", "seq": 326072250, "price": 34981, "qty": 0,
 "timestamp": 1612269953629}"""
TICKER = (
    '{"time":1783587648112,"product_id":"PF_XBTUSD","funding_rate":0.032725177043125,'
    '"funding_rate_prediction":0.031251669645,"relative_funding_rate":0.0000186711875,'
    '"relative_funding_rate_prediction":0.00001783425,"next_funding_rate_time":1783591200000,"leverage":"100x",'
    '"premium":-0.0,"feed":"ticker","bid":1751.6,"ask":1751.7,"bid_size":1.459,"ask_size":2.886,"volume":57204.177,'
    '"dtm":0,"index":1751.75,"last":1751.7,"change":0.97,"suspended":false,"tag":"perpetual","pair":"ETH:USD",'
    '"openInterest":24085.822,"markPrice":1751.97553924942,"maturityTime":0,"post_only":false,'
    '"volumeQuote":99424431.8132,"open":1734.8,"high":1765.4,"low":1708.8}'
)
TRADE = """{"feed": "trade", "product_id": "PF_XBTUSD", "uid": "05af78ac-a774-478c-a50c-8b9c234e071e", "side": "sell",
 "type": "fill", "seq": 653355, "time": 1612266317519, "qty": 15000, "price": 34969.5}"""
HISTORY = """{"feed": "trade_snapshot", "product_id": "PF_XBTUSD", "trades": [
 {"feed": "trade", "product_id": "PF_XBTUSD", "uid": "caa9c653-420b-4c24-a9f1-462a054d86f1", "side": "sell",
  "type": "fill", "seq": 655508, "time": 1612269657781, "qty": 440, "price": 34893},
 {"feed": "trade", "product_id": "PF_XBTUSD", "uid": "45ee9737-1877-4682-bc68-e4ef818ef88a", "side": "buy",
  "type": "fill", "seq": 655507, "time": 1612269656839, "qty": 9643, "price": 34891}]}"""
TICKER_LITE = (
    '{"feed":"ticker_lite","product_id":"PF_XBTUSD","bid":34932,"ask":34949.5,"change":3.3705205220015966,'
    '"premium":0.1,"volume":264126741,"tag":"perpetual","pair":"XBT:USD","dtm":0,"maturityTime":0}'
)
HEARTBEAT = '{"feed":"heartbeat","time":1534262350627}'
INFO = '{"event":"info","version":1}'
SUBSCRIBED = '{"event":"subscribed","feed":"book","product_ids":["PF_XBTUSD"]}'
UNSUBSCRIBED = '{"event":"unsubscribed","feed":"book","product_ids":["PF_XBTUSD"]}'
HEARTBEATS = '{"event":"subscribed","feed":"heartbeat"}'
INVALID = '{"event":"error","message":"Invalid product id"}'
ALERT = '{"event":"alert","message":"Couldn\'t subscribe to invalid product `PF_NOTHING`"}'
DOCUMENTED = [
    SNAPSHOT,
    DELTA,
    TICKER,
    TRADE,
    HISTORY,
    TICKER_LITE,
    HEARTBEAT,
    INFO,
    SUBSCRIBED,
    UNSUBSCRIBED,
    HEARTBEATS,
    INVALID,
    ALERT,
    '{"event":"subscribed_failed","feed":"book","product_ids":["PF_XBTUSD"]}',
    '{"event":"alert","message":"Bad websocket message"}',
]


def with_changes(frame: str, **changes: Any) -> str:
    return json.dumps({**json.loads(frame), **changes})


def trade(seq: int, time_ms: int, price: float = 100, qty: float = 1, **changes: Any) -> dict[str, Any]:
    row = {"feed": "trade", "product_id": "PF_XBTUSD", "uid": f"uid-{seq}", "side": "buy", "type": "fill"}
    return {**row, "seq": seq, "time": time_ms, "qty": qty, "price": price, **changes}
