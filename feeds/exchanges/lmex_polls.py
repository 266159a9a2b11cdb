"""What LMEX has no stream for: 24 h figures, mark prices and funding, candles. The facts are in ``lmex.py``."""

from collections.abc import Callable, Iterable, Mapping

import structlog
from msgspec import Raw, Struct, ValidationError, json

from feeds.domain import Candle, Channel, Event, Market, Subscription
from feeds.errors import ParseError
from feeds.exchange import MarketIndex, Request
from feeds.exchanges import lmex_messages as messages
from feeds.exchanges.lmex_messages import MALFORMED, Contract

MINUTES = {"1m": "1", "5m": "5", "15m": "15", "1h": "60", "4h": "240", "1d": "1440"}
"""Our interval to LMEX's resolution."""
NEWEST_ROWS = 3
"""Of a polled answer: the running bar, and those that may just have been closed."""

_INTERVALS = {minutes: name for name, minutes in MINUTES.items()}

_decode_rows = json.Decoder(list[Raw]).decode
_decode_symbol = json.Decoder(messages.SymbolOnly).decode
_decode_day = json.Decoder(messages.DaySummary, strict=False).decode
_decode_marks = json.Decoder(list[messages.Mark], strict=False).decode
_decode_ohlc = json.Decoder(list[messages.OhlcRow], strict=False).decode

log = structlog.get_logger(__name__)


class RestCalls(Struct, frozen=True):
    """One product's public calls. ``version`` is that of its API; ``candle_volume`` the unit of a candle's volume."""

    product: str
    version: str
    candle_volume: str

    def request(self, method: str, *params: tuple[str, str]) -> Request:
        return Request(path=f"/{self.product}/api/{self.version}/{method}", params=params, product=self.product)

    def summary(self) -> Request:
        """All markets at once; futures with their funding."""
        full = (("listFullAttributes", "true"),) if self.product == "futures" else ()
        return self.request("market_summary", *full)

    def depth(self, market: Market, levels: int) -> Request:
        return self.request("orderbook/L2", ("symbol", market.native), ("depth", str(levels)))

    def marks(self, market: Market) -> Request:
        return self.request("price", ("symbol", market.native))

    def candles(self, market: Market, interval: str) -> Request:
        """The newest 300 bars. Whether start and end are seconds or milliseconds differs between versions: not sent."""
        return self.request("ohlcv", ("symbol", market.native), ("resolution", MINUTES[interval]))

    def parse_candles(self, market: Market, interval: str, raw: bytes) -> list[Candle]:
        """Oldest first; the last one runs."""
        try:
            rows = {row.time_s: row for row in _decode_ohlc(raw)}
            newest = max(rows, default=0)
            unit = self.candle_volume
            return [rows[at].candle(market, interval, unit, closed=at != newest) for at in sorted(rows)]
        except MALFORMED as error:
            raise ParseError(f"LMEX, candles of {market.symbol}: {error}", raw) from error


class LmexPolls:
    """The questions of one product."""

    def __init__(self, calls: RestCalls, markets: MarketIndex) -> None:
        self._calls = calls
        self._markets = markets
        self._wanted: set[Subscription] = set()
        self._funding: dict[str, messages.DaySummary] = {}  # by native name
        self._strange: set[str] = set()  # native names of rows that were not understood the last time

    def requests(self, subscriptions: Iterable[Subscription]) -> list[Request]:
        """The summary of all markets first: mark prices are told with the funding that it tells."""
        self._wanted = set(subscriptions)
        requests: dict[str, Request] = {}
        for subscription in sorted(self._wanted, key=str):
            market = self._markets.get(subscription.symbol)
            if market is None:
                continue  # not listed any more
            if subscription.channel in (Channel.TICKER, Channel.MARK):
                requests["summary"] = self._calls.summary()
            if subscription.channel is Channel.MARK:
                requests[str(subscription)] = self._calls.marks(market)
            elif subscription.channel is Channel.CANDLES and subscription.interval in MINUTES:
                requests[str(subscription)] = self._calls.candles(market, subscription.interval)
        return sorted(requests.values(), key=lambda request: request.path.rpartition("/")[2] != "market_summary")

    def parse(self, request: Request, raw: bytes) -> list[Event]:
        means: Mapping[str, Callable[[Request, bytes], list[Event]]] = {
            "market_summary": self._summary,
            "price": self._marks,
            "ohlcv": self._candles,
        }
        method = request.path.rpartition("/")[2]
        try:
            return means[method](request, raw)
        except MALFORMED as error:
            raise ParseError(f"LMEX, {method}: {error}", raw) from error

    def _summary(self, request: Request, raw: bytes) -> list[Event]:
        """Row by row: one that cannot be understood has no figures, and must not cost the others theirs. It is told to
        the log once. Raises ValidationError if there are such, and no other that was asked for."""
        events: list[Event] = []
        strange: dict[str, str] = {}
        understood = 0
        for row in _decode_rows(raw):
            native = ""
            try:
                native = _decode_symbol(row).symbol
                market = self._markets.native(self._calls.product, native)
                if market is not None:
                    events += self._figures(market, row)
                    understood += any(s.symbol == market.symbol for s in self._wanted)
            except MALFORMED as error:
                strange[native] = str(error)
        if strange and not understood:
            raise ValidationError(next(iter(strange.values())))
        for native in strange.keys() - self._strange:
            log.warning("24 h figures left out", exchange="lmex", market=native, error=strange[native])
        for native in self._strange - strange.keys():
            log.info("24 h figures understood again", exchange="lmex", market=native)
        self._strange = set(strange)
        return events

    def _figures(self, market: Market, row: Raw) -> list[Event]:
        """Of a market that is wanted; and its funding is remembered for its mark price."""
        ticker, mark = (Subscription(channel=c, symbol=market.symbol) for c in (Channel.TICKER, Channel.MARK))
        if ticker not in self._wanted and mark not in self._wanted:
            return []
        self._funding[market.native] = day = _decode_day(row)
        told = day.ticker(Contract(market.symbol, market.contract_size)) if ticker in self._wanted else None
        return [] if told is None else [told]

    def _marks(self, request: Request, raw: bytes) -> list[Event]:
        events: list[Event] = []
        for row in _decode_marks(raw):
            market = self._markets.native(self._calls.product, row.symbol)
            if market is not None and Subscription(channel=Channel.MARK, symbol=market.symbol) in self._wanted:
                events.append(row.event(market.symbol, self._funding.get(row.symbol)))
        return events

    def _candles(self, request: Request, raw: bytes) -> list[Event]:
        asked = dict(request.params)
        market = self._markets.native(self._calls.product, asked.get("symbol", ""))
        interval = _INTERVALS.get(asked.get("resolution", ""))
        if market is None or interval is None:
            raise ValidationError(f"an answer to {asked}, which was not asked")
        return [*self._calls.parse_candles(market, interval, raw)[-NEWEST_ROWS:]]
