"""Bitstamp, public side: spot, WebSocket v2 and REST v2.

Facts as of September 2026: [W] is www.bitstamp.net/websocket/v2 and [R] www.bitstamp.net/api, as quoted by others: the
pages themselves could not be read. [O] was observed on the public servers and published, but is not documented. [?] is
confirmed by nobody.

* [W] ``order_book_btcusd`` sends the best hundred levels a side, whole, at every change, and ``diff_order_book_btcusd``
  what changed, both without numbers and checksums. **Nothing shows that a difference is missing**; a whole book that is
  missing is made up for by the next one. So we take whole ones, and our book is a hundred levels deep.
* [W] ``microtimestamp`` orders books, REST's too. [O] It is the time of the last change, and never repeats.
* [O] A subscription brings no book until something changes, up to 49 s later: so the first one comes by REST.
* [R] ``order_book?group=1`` is the whole book, a level a price. [O] It may come from a cache that is a second old.
* [W] A book may be crossed for one message. Such a one is not shown; the next one is right.
* [W] No stream has best prices, 24 h figures or candles. [?] ``ohlc`` has bars of times without prints, too.
* [W] A print's ``type`` is 0 for a buy, 1 for a sale, [?] the taker's. [O] Its ``id`` is greater than 2^53.
* [W] One channel a message, 1,024 a connection, which lives 90 days. Answers name the channel; **errors name nobody**.
  [O] A market that does not exist is accepted, and stays mute.
* [W] ``bts:heartbeat`` is answered: that proves the connection, but no market. Silent books are compared with REST's.
* [R] 10,000 requests in ten minutes; what is too much gets code 400.002, 400.067 or 400.068, [?] with HTTP 400. Limits
  of messages and of connections are not published: ours are guesses.
* Perpetuals are left out: mark price and funding are a channel of their own.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

from msgspec import Raw, Struct, field, json

from feeds import domain, reading
from feeds.bar_polls import BarPolls
from feeds.domain import INTERVALS, BookSnapshot, Channel, Event, Market, Side, Subscription
from feeds.errors import ParseError
from feeds.exchange import Budget, Facts, MarketIndex, OneByOne, OneProduct, Request
from feeds.reading import Levels, Micros, Number, Precision, Seconds, complaint, decode, error_for, listed

_CHANNELS = {Channel.BOOK: "order_book", Channel.TRADES: "live_trades"}
_KINDS = {name: channel for channel, name in _CHANNELS.items()}
_DEPTH = 100
_MOST_CANDLES = 1000
_TOO_MANY = ("400.002", "400.067", "400.068")


class Frame(Struct):
    """``{"event":"data","channel":"order_book_btcusd","data":{...}}``,
    ``{"event":"bts:subscription_succeeded","channel":"order_book_btcusd","data":{}}``"""

    event: str
    channel: str = ""
    data: Raw = Raw(b"{}")


class Book(Struct, gc=False):
    """``{"timestamp":"1789457617","microtimestamp":"1789457617906487","bids":[["77188","0.41122"]],
    "asks":[["77189","0.41124"]]}``, by stream and by REST."""

    microtimestamp: Micros
    bids: Levels
    asks: Levels

    def snapshot(self, symbol: str, depth: int | None = None) -> BookSnapshot:
        seq, bids, asks = self.microtimestamp, self.bids, self.asks
        return BookSnapshot(symbol=symbol, bids=bids, asks=asks, seq=seq, depth=depth, exchange_ms=seq // 1000)


class Trade(reading.Print):
    """``{"id":2001939623936278528,"type":0,"amount":0.00921,"amount_str":"0.00921","price":77204,"price_str":"77204",
    "microtimestamp":"1789456400586000","timestamp":"1789456400"}``, and the ids of both orders."""

    id: int
    type: Literal[0, 1]
    price: Number = field(name="price_str")
    size: Number = field(name="amount_str")
    microtimestamp: Micros


class Listed(Struct):
    """``{"name":"BTC/USD","market_symbol":"btcusd","base_currency":"BTC","base_decimals":8,"counter_currency":"USD",
    "counter_decimals":0,"minimum_order_value":"10","trading":"Enabled","market_type":"SPOT"}``"""

    market_symbol: str
    base_currency: str
    base_decimals: Precision
    counter_currency: str
    counter_decimals: Precision
    minimum_order_value: Number
    trading: str
    market_type: str

    def market(self) -> Market | None:
        if self.market_type != "SPOT":
            return None
        return Market(
            exchange="bitstamp",
            symbol=f"{self.base_currency}/{self.counter_currency}",
            native=self.market_symbol,
            product="spot",
            base=self.base_currency,
            quote=self.counter_currency,
            tick=Decimal(1).scaleb(-self.counter_decimals),
            lot=Decimal(1).scaleb(-self.base_decimals),
            min_notional=Decimal(self.minimum_order_value),
            status="trading" if self.trading == "Enabled" else self.trading.lower(),
        )


class Day(reading.Figures):
    """``{"timestamp":"1789455809","open":"78237","high":"79588","low":"77191","last":"77265","volume":"108.78361",
    "vwap":"78381","bid":"77239","ask":"77240","open_24":"77700","pair":"BTC/USD"}``"""

    pair: str
    timestamp: Seconds
    open: Number = field(name="open_24")


class Bar(reading.Ohlc):
    """``{"timestamp":"1505558814","open":"212.80","high":"213.50","low":"212.00","close":"213.20","volume":"1.23"}``"""

    timestamp: Seconds


class Bars(Struct):
    """``{"data":{"pair":"BTC/USD","ohlc":[...]}}``"""

    ohlc: list[Bar]


class Complaint(Struct):
    """By stream ``{"code":null,"message":"Bad subscription string."}``, by REST ``{"response_code":"400.002",
    "response_explanation":"Request rejected due to exceeded rate limit."}`` or ``{"message":"Not found."}``"""

    message: str = ""
    response_code: str | None = None
    response_explanation: str = ""


_frames = json.Decoder(Frame)
_books = json.Decoder(Book, strict=False)
_trades = json.Decoder(Trade, strict=False)
_decode_listed = json.Decoder(Listed).decode
_days = json.Decoder(Day, strict=False)
_bars = json.Decoder(reading.Data[Bars], strict=False)
_complaints = json.Decoder(Complaint)


class Bitstamp(OneProduct):
    """The adapter. ``endpoints`` replaces base URLs."""

    name = "bitstamp"
    products: tuple[str, ...] = ("spot",)
    defaults: Mapping[str, str] = {"spot.ws": "wss://ws.bitstamp.net", "spot.rest": "https://www.bitstamp.net"}
    budget = Budget(limit=10_000, per_s=600)
    facts = Facts(
        streams_per_connection=1024,
        messages_per_s=5,
        connects_per_minute=30,
        heartbeat_s=None,
        ping_s=15,
        max_life_s=90 * 86_400,
        snapshot_by_rest=True,
        truncates=False,
        markets_by_stream=False,
        probe_by_rest=True,
        polled_routes=("spot-rest",),
        unstreamed=(Channel.BBO, Channel.TICKER),
    )

    def session(self, route: str, markets: MarketIndex) -> "BitstampSession":
        return BitstampSession(markets)

    def poll_session(self, route: str, markets: MarketIndex) -> BarPolls:
        return BarPolls(markets, self.candles_request, self.parse_candles)

    def markets_requests(self) -> list[Request]:
        return [_request("markets")]

    def parse_markets(self, request: Request, raw: bytes) -> list[Market]:
        return listed(reading.rows(raw, "Bitstamp, markets"), lambda row: _decode_listed(row).market(), self.name)

    def snapshot_request(self, market: Market) -> Request:
        return _request(f"order_book/{market.native}", ("group", "1"))

    def parse_snapshot(self, market: Market, raw: bytes) -> BookSnapshot:
        return decode(_books, raw, f"Bitstamp, book of {market.symbol}").snapshot(market.symbol)

    def candles_request(self, market: Market, interval: str, limit: int) -> Request:
        count = max(1, min(limit, _MOST_CANDLES))
        return _request(f"ohlc/{market.native}", ("step", str(INTERVALS[interval] // 1000)), ("limit", str(count)))

    def parse_candles(self, market: Market, interval: str, raw: bytes) -> list[domain.Candle]:
        bars = decode(_bars, raw, f"Bitstamp, candles of {market.symbol}").data.ohlc
        return [bar.candle(market.symbol, interval, bar.timestamp * 1000, closed=bar is not bars[-1]) for bar in bars]

    def day_request(self, product: str) -> Request:
        return _request("ticker")

    def parse_day(self, raw: bytes, markets: MarketIndex) -> list[domain.Ticker]:
        days = reading.understood(reading.rows(raw, "Bitstamp, ticker"), _days, "Bitstamp, ticker")
        return [day.ticker(day.pair, day.timestamp * 1000) for day in days if day.pair in markets]

    def error_of(self, status: int, raw: bytes, headers: Mapping[str, str]) -> Exception | None:
        said = complaint(_complaints, status, raw) or Complaint()
        code, text = said.response_code, said.response_explanation or said.message
        return error_for("Bitstamp", status, headers, said=text, code=code, too_many=code in _TOO_MANY)


class BitstampSession(OneByOne):
    """One connection. It remembers nothing: a channel is one subscription of ours, and its name says which."""

    ping = '{"event":"bts:heartbeat"}'

    def message(self, subscription: Subscription, *, end: bool) -> str:
        channel = f"{_CHANNELS[subscription.channel]}_{self._markets[subscription.symbol].native}"
        return json.encode({"event": f"bts:{'un' * end}subscribe", "data": {"channel": channel}}).decode()

    def parse(self, raw: bytes | str) -> list[Event]:
        frame = decode(_frames, raw, "Bitstamp")
        name, _, native = frame.channel.rpartition("_")
        market, channel = self._markets.native("spot", native), _KINDS.get(name)
        match frame.event:
            case "bts:heartbeat":
                return [domain.Heartbeat()]
            case "bts:request_reconnect":
                return [domain.Closing(reason="Bitstamp asks for a new connection")]
            case "bts:error":
                said = decode(_complaints, frame.data, "Bitstamp, error")
                return [domain.Rejected(subscriptions=(), reason=said.message or "no reason given")]
            case _ if market is None or channel is None:
                return []  # about nothing that we asked for
            case "bts:subscription_succeeded" | "bts:unsubscription_succeeded":
                subscription = Subscription(channel=channel, symbol=market.symbol)
                return [domain.Ack(subscriptions=(subscription,), ended=frame.event.startswith("bts:un"))]
            case "data" if channel is Channel.BOOK:
                return [decode(_books, frame.data, f"Bitstamp, {frame.channel}").snapshot(market.symbol, _DEPTH)]
            case "trade":
                trade = decode(_trades, frame.data, f"Bitstamp, {frame.channel}")
                side: Side = "sell" if trade.type else "buy"
                return [trade.trade(market.symbol, trade.id, side, trade.microtimestamp // 1000)]
        if frame.event in ("data", "trade"):
            raise ParseError(f"Bitstamp: {frame.event!r} of {frame.channel}, where it does not belong", raw)
        return [domain.Unknown(what=f"event {frame.event} of {name}")]


def _request(path: str, *params: tuple[str, str]) -> Request:
    return Request(path=f"/api/v2/{path}/", params=params, product="spot")
