"""Kraken's documented frames, and its checksum exactly as its documentation describes it: over text."""

from decimal import Decimal
from zlib import crc32

STATUS = (
    '{"channel":"status","type":"update","data":[{"version":"2.0.10","system":"online","api_version":"v2",'
    '"connection_id":12393906104898154338}]}'
)
SNAPSHOT_A = """{"channel": "book", "type": "snapshot", "data": [{
  "symbol": "BTC/USD",
  "bids": [{"price": 64009.9, "qty": 0.75000000}, {"price": 64009.0, "qty": 0.02000000},
           {"price": 64008.8, "qty": 1.00000000}, {"price": 64007.3, "qty": 0.50000000},
           {"price": 64006.0, "qty": 4.00000000}, {"price": 64005.5, "qty": 0.33333333},
           {"price": 64003.1, "qty": 0.06000000}, {"price": 64001.0, "qty": 2.50000000},
           {"price": 64000.0, "qty": 12.34567890}, {"price": 63999.9, "qty": 0.00250000}],
  "asks": [{"price": 64010.0, "qty": 0.00500000}, {"price": 64010.1, "qty": 1.20000000},
           {"price": 64010.7, "qty": 0.35000000}, {"price": 64011.0, "qty": 2.00000000},
           {"price": 64012.5, "qty": 0.01250000}, {"price": 64013.9, "qty": 0.75000000},
           {"price": 64015.0, "qty": 3.14159265}, {"price": 64018.2, "qty": 0.10000000},
           {"price": 64020.0, "qty": 10.00000000}, {"price": 64025.5, "qty": 0.00010000}],
  "checksum": 3388460544, "timestamp": "2026-05-05T10:00:00.000001Z"}]}"""
UPDATE_B = """{"channel": "book", "type": "update", "data": [{
  "symbol": "BTC/USD",
  "bids": [{"price": 64009.9, "qty": 0.00000000}, {"price": 63999.0, "qty": 0.40000000}],
  "asks": [{"price": 64010.3, "qty": 0.20000000}],
  "checksum": 3980408804, "timestamp": "2026-05-05T10:00:00.103412Z"}]}"""
SNAPSHOT_C = """{"channel": "book", "type": "snapshot", "data": [{"symbol": "BTC/USD",
  "bids": [{"price": 64009.9, "qty": 0.75000000}], "asks": [{"price": 64010.0, "qty": 0.00500000}],
  "checksum": 2462463564}]}"""
TICKER = """{"channel": "ticker", "type": "update", "data": [{
  "symbol": "BTC/USD", "bid": 105944.2, "bid_qty": 2.50000000, "ask": 105944.3, "ask_qty": 3.20000000,
  "last": 105899.4, "volume": 163.28908096, "vwap": 105904.4, "low": 104711.0, "high": 106613.1,
  "change": 250.0, "change_pct": 0.24, "timestamp": "2026-05-05T10:00:00.123456Z"}]}"""
TRADES = """{"channel": "trade", "type": "update", "data": [
  {"symbol": "BTC/USD", "side": "buy", "price": 105944.2, "qty": 0.00027625, "ord_type": "limit",
   "trade_id": 10218208, "timestamp": "2023-10-06T17:35:55.440295Z"},
  {"symbol": "BTC/USD", "side": "sell", "price": 105910.5, "qty": 0.00012460, "ord_type": "market",
   "trade_id": 10218209, "timestamp": "2023-10-06T17:35:56.123456Z"}]}"""
OHLC = """{"channel": "ohlc", "type": "update", "timestamp": "2023-10-04T16:26:30.524394914Z", "data": [{
  "symbol": "BTC/USD", "interval": 1, "interval_begin": "2023-10-04T16:25:00.000000000Z",
  "open": 106038.2, "high": 106044.3, "low": 106038.1, "close": 106040.1,
  "volume": 3.92768066, "vwap": 106039.6, "trades": 12, "timestamp": "2023-10-04T16:26:00.000000Z"}]}"""
PAIR = """{"symbol": "BTC/USD", "base": "BTC", "quote": "USD", "status": "online",
     "qty_precision": 8, "qty_increment": 1e-08, "price_precision": 1, "price_increment": 0.1,
     "cost_precision": 5, "cost_min": 0.5, "qty_min": 0.00005, "tick_size": 0.1,
     "marginable": true, "margin_initial": 0.2, "position_limit_long": 300, "position_limit_short": 240,
     "has_index": true}"""
INSTRUMENTS = (
    """{"channel": "instrument", "type": "snapshot", "data": {
  "assets": [
    {"id": "BTC", "status": "enabled", "precision": 10, "precision_display": 5, "borrowable": true,
     "collateral_value": 1.0, "margin_rate": 0.02},
    {"id": "USD", "status": "enabled", "precision": 4, "precision_display": 2, "borrowable": true,
     "collateral_value": 1.0, "margin_rate": 0.025}],
  "pairs": ["""
    + PAIR
    + "]}}"
)
HEARTBEAT = '{"channel":"heartbeat"}'
PONG = '{"method":"pong","req_id":42,"time_in":"2023-10-06T17:35:55.219022Z","time_out":"2023-10-06T17:35:55.219067Z"}'
DOCUMENTED = [
    STATUS,
    SNAPSHOT_A,
    UPDATE_B,
    SNAPSHOT_C,
    TICKER,
    TRADES,
    OHLC,
    INSTRUMENTS,
    HEARTBEAT,
    PONG,
    '{"method":"subscribe","result":{"channel":"book","symbol":"BTC/USD","depth":10,"snapshot":true},"success":true,'
    '"time_in":"2023-10-06T17:35:55.219022Z","time_out":"2023-10-06T17:35:55.219067Z","req_id":1}',
    '{"error":"Currency pair not supported XBT/USD","method":"subscribe","success":false,"symbol":"XBT/USD",'
    '"time_in":"2022-06-13T08:44:37.957435Z","time_out":"2022-06-13T08:44:37.957496Z","req_id":1}',
    '{"error":"Malformed request","method":"error","success":false,"time_in":"2022-06-13T08:44:37.957435Z"}',
]

Printed = list[tuple[str, str]]
"""Levels as text, best first: (price, quantity)."""


def checksum(asks: Printed, bids: Printed) -> int:
    """Of printed levels: the point and leading zeros removed, asks 1 to 10, then bids 1 to 10, CRC32."""
    return crc32(
        "".join(number.replace(".", "").lstrip("0") for level in asks[:10] + bids[:10] for number in level).encode()
    )


def printed(levels: list[tuple[float, float]], price_digits: int, size_digits: int) -> Printed:
    return [(f"{Decimal(repr(p)):.{price_digits}f}", f"{Decimal(repr(s)):.{size_digits}f}") for p, s in levels]
