"""What a reader of a recording must know beforehand: instruments, products, REST answers, and what came of each market.

A first reading, by the exchange's own adapter; ``verify`` and ``replay`` are the second.
"""

from collections.abc import Sequence
from decimal import Decimal
from urllib.parse import parse_qs, parse_qsl, urlsplit

from msgspec import structs

from feeds.domain import (
    Bbo,
    BookDelta,
    BookSnapshot,
    Channel,
    Event,
    Level,
    Market,
    Markets,
    Subscription,
    Trade,
    decimals,
)
from feeds.errors import ParseError
from feeds.exchange import Exchange, MarketIndex, Request, Session
from feeds.recordings.products import Products
from feeds.recordings.recording import Record, Recording


def asks(request: Request, path: str, *, wholly: bool = True) -> bool:
    """Is this the path, with its query, of such a request? Numbers (limits, depths) may differ, and where it need not
    ask ``wholly``, parameters may be missing."""
    address = urlsplit(path)
    query = parse_qs(address.query)
    return request.path == address.path and all(
        query.get(name, [] if wholly else [value]) == [value] for name, value in request.params if not value.isdecimal()
    )


def probes(exchange: Exchange, market: Market, path: str) -> bool:
    """Is this the path of a probe, which asks for a few levels only and is no basis of a book?"""
    request = exchange.probe_request(market)
    if request == exchange.snapshot_request(market):
        return False
    address = urlsplit(path)
    return request.path == address.path and tuple(parse_qsl(address.query)) == request.params


class _LearningIndex(MarketIndex):
    """Takes any market for listed that an adapter asks for by its native name, which then serves as its symbol.

    ``ambiguous``: a name may mean another market in each product, so symbols tell the product too.
    """

    def __init__(self, exchange: str, *, ambiguous: bool) -> None:
        super().__init__()
        self._exchange = exchange
        self._ambiguous = ambiguous

    def native(self, product: str, native: str) -> Market | None:
        market = super().native(product, native)
        if market is None:
            market = self.unknown(product, native)
            self.update([market])
        return market

    def unknown(self, product: str, native: str) -> Market:
        return Market(
            exchange=self._exchange,
            symbol=f"{native} ({product})" if self._ambiguous else native,
            native=native,
            product=product,
            base="",
            quote="",
            tick=Decimal(1),
            lot=Decimal(1),
        )


class Scan:
    """A first reading of a recording, by the exchange's own adapter.

    ``markets``: the instruments. Where the recording holds none, a market is known by its native name alone, and its
    tick and lot are the digits that were printed. ``told``: only those that the recording itself holds.
    ``rest``: the REST answers. ``quoting``: the (connection, symbol) pairs that carry best prices with update ids.
    ``seen``: by symbol, the kinds of events that came. ``last_s``: when the last line was recorded.
    ``products``: those of its connections. Raises RecordingError if these cannot be known.
    """

    def __init__(self, recording: Recording, exchange: Exchange) -> None:
        self.told = MarketIndex()
        self.rest: list[Record] = []
        self.quoting: dict[tuple[str, str], None] = {}
        self.seen: dict[str, set[type]] = {}
        self.last_s = 0.0
        self._exchange = exchange
        self._product_of = Products(recording, exchange)
        self.products = self._product_of.all()
        mixed = exchange.facts.products_mixed
        self._learned = _LearningIndex(exchange.name, ambiguous=len(self.products) > 1 and not mixed)
        self._digits: dict[str, list[int]] = {}  # by symbol: digits after the point of prices, of sizes
        self._read(recording)
        self.markets = MarketIndex(self._with_digits(market) for market in self._learned)
        self.markets.update(self.told)

    def market(self, symbol: str) -> Market:
        """One that was seen. Where adapters need no list to know a symbol, it may be in none."""
        known = self.markets.get(symbol)
        if known is not None:
            return known
        base, _, quote = symbol.partition(":")[0].partition("/")
        unknown = self._learned.unknown(self.products[0], symbol)
        return structs.replace(self._with_digits(unknown), symbol=symbol, base=base if quote else "", quote=quote)

    def whole_books(self, symbol: str) -> bool:
        """Does its stream bring nothing but snapshots? Then each of them is the book, also where others begin with one
        by REST."""
        seen = self.seen.get(symbol, ())
        return BookSnapshot in seen and BookDelta not in seen

    def session(self, conn: str, markets: MarketIndex) -> Session:
        """One for a connection, by its product."""
        unknown = self._learned.unknown(self._product_of(conn), "")
        return self._exchange.session(
            self._exchange.route(Subscription(channel=Channel.BOOK, symbol=""), unknown), markets
        )

    def requests(self) -> list[Request]:
        """Those for the instruments of the recorded products."""
        return [request for request in self._exchange.markets_requests() if request.subject in self.products]

    def _read(self, recording: Recording) -> None:
        sessions: dict[str, Session] = {}
        for record in recording:
            if not isinstance(record, Record):
                continue
            self.last_s = max(self.last_s, record.t)
            if record.via == "closed":  # the next frame of that name is of another connection
                sessions = {conn: each for conn, each in sessions.items() if str(record.conn) not in ("", conn)}
            if record.via not in ("ws", "rest"):
                continue
            if record.via == "rest":
                self.rest.append(record)
                self._read_instruments(record)
                continue
            conn = str(record.conn)
            if conn not in sessions:
                sessions[conn] = self.session(conn, self._learned)
            try:
                events = sessions[conn].parse(record.raw)
            except ParseError:
                continue  # whoever reads the recording for its content will meet it again
            for event in events:
                self._learn(conn, event)

    def _read_instruments(self, record: Record) -> None:
        for request in self.requests():
            if asks(request, record.path, wholly=False):
                try:
                    self._tell(self._exchange.parse_markets(request, record.raw.encode()))
                except ParseError:
                    continue  # as above

    def _tell(self, markets: Sequence[Market]) -> None:
        self.told.update(markets)
        self._learned.update(market for market in markets if market.product in self.products)

    def _learn(self, conn: str, event: Event) -> None:
        if (symbol := getattr(event, "symbol", None)) is not None:
            self.seen.setdefault(symbol, set()).add(type(event))
        if isinstance(event, Markets):
            self._tell(event.markets)
        elif isinstance(event, Bbo):
            if event.seq is not None:
                self.quoting[conn, event.symbol] = None
            self._measure(event.symbol, [(event.bid, event.bid_size), (event.ask, event.ask_size)])
        elif isinstance(event, BookDelta | BookSnapshot):
            self._measure(event.symbol, event.bids)
            self._measure(event.symbol, event.asks)
        elif isinstance(event, Trade):
            self._measure(event.symbol, [(float(event.price), float(event.size))])

    def _measure(self, symbol: str, levels: Sequence[Level]) -> None:
        digits = self._digits.setdefault(symbol, [0, 0])
        for level in levels:
            for index, value in enumerate(level):
                text = repr(value)
                if len(text) - 1 > digits[index]:
                    digits[index] = max(digits[index], decimals(Decimal(text)))

    def _with_digits(self, market: Market) -> Market:
        price, size = self._digits.get(market.symbol, (0, 0))
        return structs.replace(market, tick=Decimal(1).scaleb(-price), lot=Decimal(1).scaleb(-size))
