"""LMEX's frames and answers as its protocol notes and recordings have them, and a market index that fits."""

from decimal import Decimal

from feeds.domain import Market
from feeds.exchange import MarketIndex


def market(symbol: str, native: str, **columns: object) -> Market:
    base, _, rest = symbol.partition("/")
    quote, _, settle = rest.partition(":")
    given = {"tick": Decimal("0.1"), "lot": Decimal("0.00001"), "product": "futures" if settle else "spot", **columns}
    return Market(exchange="lmex", symbol=symbol, native=native, base=base, quote=quote, settle=settle or None, **given)


PERP = market("BTC/USDT:USDT", "BTC-PERP", contract_size=Decimal("0.00001"))
ETH = market("ETH/USDT:USDT", "ETH-PERP", contract_size=Decimal("0.0001"), lot=Decimal("0.0001"))
SPOT = market("BTC/USD", "BTC-USD")
MARKETS = MarketIndex([PERP, ETH, SPOT])

SNAPSHOT = """{"topic": "update:BTC-PERP_0", "data": {
    "bids": [["77054.5", "108350"], ["77054.3", "226150"], ["77054.0", "63050"]],
    "asks": [["77055.9", "1000"], ["77055.1", "78500"], ["77054.7", "98250"]],
    "seqNum": 628282, "prevSeqNum": 628281,
    "type": "snapshot", "timestamp": 1779800650027, "symbol": "BTC-PERP"}}"""
DELTA = """{"topic": "update:BTC-PERP", "data": {
    "bids": [], "asks": [["77054.9", "78500"], ["77055.1", "0"]],
    "seqNum": 628283, "prevSeqNum": 628282,
    "type": "delta", "timestamp": 1779800650127, "symbol": "BTC-PERP"}}"""
BEST = """{"topic": "snapshotL1:BTC-PERP_0",
 "data": {"bids": [["28064.9", "1268"]], "asks": [["28065.0", "1015"]],
          "type": "snapshotL1", "symbol": "BTC-PERP", "timestamp": 1680751558529}}"""
OLD_BOOK = """{"topic": "orderBookL2Api",
 "data": {"buyQuote": [{"price": 77054.5, "size": 108350}], "sellQuote": [{"price": 77054.7, "size": 98250}],
          "symbol": "BTCPFC", "depth": 0, "timestamp": 1565135165600}}"""
TRADE_SPOT = """{"topic": "tradeHistoryApi:BTC-USD",
 "data": [{"symbol": "BTC-USD", "side": "SELL", "size": 0.0145, "price": 76653.1,
           "tradeId": 31626447, "timestamp": 1779786372223}]}"""
TRADE_OLD = """{"topic": "tradeHistoryApi",
 "data": [{"price": 77099.9, "size": 6530, "side": "SELL", "symbol": "BTCPFC",
           "tradeId": 35993384, "timestamp": 1779800209269}]}"""
TRADE_NEW = """{"topic": "tradeHistoryApiV3:BTC-PERP",
 "data": [{"price": 111144.8, "size": 152, "side": "SELL", "symbol": "BTC-PERP",
           "tradeId": 927002515, "timestamp": 1752129545326}]}"""
ACK = '{"event": "subscribe", "channel": ["tradeHistoryApi:BTC-USD"]}'
ACK_OF_NOTHING = '{"event": "subscribe", "channel": []}'
ERRORS = (
    '{"severity":"ERROR","errors":[{"arg":"foo:BTC-PERP","error":{"code":1005,"message":"Topic provided does not '
    'exist."}},{"arg":"update:NOPE-PERP_0","error":{"code":1000,"message":"Market pair provided is currently not '
    'supported."}}]}'
)
ERROR = (
    '{"severity":"ERROR","errors":[{"error":{"code":1001,"message":"Operation provided is currently not supported"}}]}'
)
DOCUMENTED = [
    *(SNAPSHOT, DELTA, BEST, OLD_BOOK, TRADE_SPOT, TRADE_OLD, TRADE_NEW, ACK, ACK_OF_NOTHING, ERRORS, ERROR),
    *("pong", '{"event":"pong"}', '{"op":"pong"}', '{"status":400,"errorCode":400,"message":"BAD_REQUEST"}'),
]

SUMMARY_PERP = """{
    "symbol": "BTC-PERP", "last": 76731.9, "lowestAsk": 76732.0, "highestBid": 76731.8,
    "percentageChange": -0.61, "volume": 172418318.75, "high24Hr": 77480.0, "low24Hr": 75990.5,
    "base": "BTC", "quote": "USDT", "active": true, "size": 2247.0228,
    "minValidPrice": 0.1, "minPriceIncrement": 0.1,
    "minOrderSize": 1, "maxOrderSize": 1000000, "minSizeIncrement": 1,
    "openInterest": 15231345, "openInterestUSD": 11690123.4,
    "contractStart": 0, "contractEnd": 0, "timeBasedContract": false,
    "openTime": 0, "closeTime": 0, "startMatching": 0, "inactiveTime": 0,
    "fundingRate": 0.0000114, "contractSize": 0.00001,
    "maxPosition": 20000000, "minRiskLimit": 1000000, "maxRiskLimit": 20000000,
    "availableSettlement": ["USD", "USDT", "BTC"], "futures": true,
    "fundingIntervalMinutes": 480, "fundingTime": 1779811200000}"""
SUMMARY_SPOT = """{
    "symbol": "BTC-USD", "last": 76731.9, "lowestAsk": 76732.0, "highestBid": 76731.8, "percentageChange": 4.97,
    "volume": 1841565.6, "high24Hr": 77480.0, "low24Hr": 75990.5, "base": "BTC", "quote": "USD", "active": true,
    "size": 24.0, "minValidPrice": 0.1, "minPriceIncrement": 0.1, "minOrderSize": 1e-05, "maxOrderSize": 100,
    "minSizeIncrement": 1e-05, "contractSize": 0, "futures": false, "timeBasedContract": false, "fundingRate": 0,
    "isMarketOpenToOtc": false, "isMarketOpenToSpot": true}"""
PRICE = b'[{"symbol":"BTC-PERP","indexPrice":36288.949684967,"lastPrice":36286.5,"markPrice":36287.1}]'
OHLCV = b"""[[1624987440,36473.5,36480,36470,36475,0],[1624987380,36477,36477,36473.5,36473.5,693.049]]"""
DEPTH = b"""{"symbol": "BTC-PERP",
 "buyQuote":  [{"price": "77054.5", "size": "108350"}, {"price": 77054.0, "size": 63050}],
 "sellQuote": [{"price": "77055.1", "size": "1"}, {"price": "77054.7", "size": "98250"}],
 "timestamp": 1779800650027}"""
