"""Alpaca's documented messages and answers."""

CONNECTED = '[{"T":"success","msg":"connected"}]'
AUTHENTICATED = '[{"T":"success","msg":"authenticated"}]'
SUBSCRIBED = (
    '[{"T":"subscription","trades":["BTC/USD"],"quotes":["BTC/USD","ETH/USD"],"orderbooks":["BTC/USD"],'
    '"bars":["BTC/USD"],"updatedBars":[],"dailyBars":[]}]'
)
TRADE = (
    '[{"T": "t", "S": "BTC/USD", "p": 27540.12, "s": 0.0123, "t": "2023-03-18T13:31:44.932988033Z", "i": 1234567890,'
    ' "tks": "B"}]'
)
QUOTE = (
    '[{"T": "q", "S": "BTC/USD", "bp": 27511.78, "bs": 0.2627, "ap": 27539.49, "as": 0.2632,'
    ' "t": "2023-03-18T13:31:44.932988033Z"}]'
)
BAR = (
    '[{"T": "b", "S": "BTC/USD", "o": 27500.0, "h": 27540.5, "l": 27490.1, "c": 27539.4, "v": 1.6628,'
    ' "t": "2023-03-18T13:31:00Z", "n": 162, "vw": 27512.3}]'
)
WHOLE_BOOK = (
    '[{"T": "o", "S": "BTC/USD", "t": "2023-03-18T13:31:44.932988033Z", "r": true,'
    ' "b": [{"p": 27511.78, "s": 0.26265668}, {"p": 27510.00, "s": 1.5}], "a": [{"p": 27539.49, "s": 0.2632414}]}]'
)
CHANGES = '[{"T": "o", "S": "BTC/USD", "t": "2023-03-18T13:31:45.102988033Z", "b": [{"p": 27510.00, "s": 0}], "a": []}]'
STOCK_QUOTE = (
    '[{"T": "q", "S": "AMD", "bx": "U", "bp": 87.66, "bs": 1, "ax": "Q", "ap": 87.68, "as": 4,'
    ' "t": "2021-02-22T15:51:45.335689322Z", "c": ["R"], "z": "C"}]'
)
STOCK_TRADE = (
    '[{"T":"t","i":96921,"S":"AMD","x":"D","p":126.55,"s":1,"t":"2021-02-22T15:51:44.208Z","c":["@","I"],"z":"C"}]'
)
CRYPTO_FRAMES = [CONNECTED, AUTHENTICATED, SUBSCRIBED, TRADE, QUOTE, BAR, WHOLE_BOOK, CHANGES]
CRYPTO_FRAMES += [BAR.replace('"b"', '"u"'), BAR.replace('"b"', '"d"')]
STOCK_FRAMES = [STOCK_QUOTE, STOCK_TRADE]

ASSETS = """[{"id": "276e2673-764b-4ab6-a611-caf665ca6340", "class": "crypto", "exchange": "CRYPTO",
  "symbol": "BTC/USD", "name": "Bitcoin / US Dollar", "status": "active", "tradable": true, "marginable": false,
  "shortable": false, "easy_to_borrow": false, "fractionable": true, "min_order_size": "0.0001",
  "min_trade_increment": "0.0001", "price_increment": "1"}]"""
ORDERBOOKS = (
    '{"orderbooks": {"BTC/USD": {"a": [{"p": 27539.494, "s": 0.2632414}], "b": [{"p": 27511.78083, "s": 0.26265668}],'
    ' "t": "2023-03-18T13:31:44.932988033Z"}}}'
)
STOCK_QUOTES = (
    '{"quotes": {"AMD": {"ap": 87.68, "as": 4, "ax": "Q", "bp": 87.66, "bs": 1, "bx": "U", "c": ["R"],'
    ' "t": "2021-02-22T15:51:45.335689322Z", "z": "C"}}}'
)
BARS = """{"bars": {"BTC/USD": [
 {"c": 22887, "h": 22888, "l": 22873, "n": 11, "o": 22883, "t": "2022-07-21T05:00:00Z", "v": 1.1138,
  "vw": 22883.0155324116},
 {"c": 22895, "h": 22895, "l": 22884, "n": 6, "o": 22884, "t": "2022-07-21T05:01:00Z", "v": 0.001, "vw": 22889.5}
 ]}, "next_page_token": "QlRDL1VTRHxNfDIwMjItMDctMjFUMDU6MDE6MDAuMDAwMDAwMDAwWg=="}"""


def error(code: int, msg: str) -> str:
    return f'[{{"T":"error","code":{code},"msg":"{msg}"}}]'
