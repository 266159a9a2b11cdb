"""Recordings of exchange streams: reading the file, and finding out what a reader of it must know beforehand.

A recording is JSON lines, plain or gzip: first a header ``{"capture": 1, "venue": "binance", "product": "spot", ...}``,
then one line per frame, ``{"t": seconds, "via": "ws" or "rest", "conn": id, "raw": text as received}``, REST answers
with their ``"path"``, and ``"status"`` if it is not 200.

Our own recorder also tells what a reader could only guess: ``"began_ms"`` in the header, the time of day at ``t`` 0;
``"via": "closed"``, a connection ended, with its ``"reason"``; ``"via": "lost"``, so many ``"frames"`` of ``"conn"``
(of any, if that is empty) were received and not recorded.
"""

import gzip
import re
import zlib
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlsplit

from msgspec import DecodeError, Struct, json, structs

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

VIAS = ("ws", "rest", "closed", "lost")

_UNREADABLE = (OSError, EOFError, zlib.error)
_MALFORMED = (DecodeError, UnicodeDecodeError, RecursionError)


class RecordingError(Exception):
    """The file is no recording that can be used. The text is a sentence."""


class Header(Struct, frozen=True):
    """Line 1. What is not needed to read on may be missing."""

    capture: int | None = None  # the format's version
    venue: str | None = None
    product: str | None = None
    recorded: str | None = None
    began_ms: int | None = None
    simulated: bool = False
    private: bool = False  # an account's: there is no book in it


class Record(Struct):
    """One frame or REST answer. ``line`` is its number in the file."""

    t: float
    via: str
    raw: str
    conn: str | int = ""
    path: str = ""
    status: int = 200
    frames: int = 0
    reason: str = ""
    line: int = 0

    def when(self) -> tuple[float, int]:
        """Its place in the order of time."""
        return self.t, self.line


class BadLine(Struct, frozen=True):
    """A line that is no record, and why."""

    line: int
    reason: str


class Recording:
    """A file. Iterating it gives its records in the file's order; every time from the start.

    Raises RecordingError, when made, if the file or its header cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            first = next(self._lines(), b"")
        except _UNREADABLE as error:
            raise RecordingError(f"{path} cannot be read: {_reason(error)}.") from error
        if not first.strip():
            raise RecordingError(f"{path} does not begin with a header: the first line is empty.")
        try:
            self.header = json.decode(first, type=Header)
        except _MALFORMED as error:
            raise RecordingError(f"{path}: line 1 is not the header of a recording ({error}).") from error
        if self.header.capture != 1:
            raise RecordingError(f'{path}: the header says "capture": {self.header.capture}; only format 1 is known.')
        if not self.header.venue:
            raise RecordingError(f'{path}: the header (line 1) does not name the exchange: "venue" is missing.')
        self.venue = self.header.venue

    def __iter__(self) -> Iterator[Record | BadLine]:
        decode = json.Decoder(Record).decode
        number = 0
        try:
            for number, line in enumerate(self._lines(), start=1):
                if number == 1 or not line.strip():
                    continue
                try:
                    record = decode(line)
                except _MALFORMED as error:
                    yield BadLine(number, f"it is not a record ({error}).")
                    continue
                if record.via not in VIAS:
                    yield BadLine(number, f'"via" is {record.via!r}, none of {", ".join(VIAS)}.')
                    continue
                record.line = number
                yield record
        except _UNREADABLE as error:
            yield BadLine(number + 1, f"the file cannot be read on from here: {_reason(error)}.")

    def _lines(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(self.path) if packed else self.path.open("rb") as lines:
            yield from lines


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


class Products:
    """Which product each connection of a recording carries.

    The header tells: ``"product": "spot"`` for all, a sentence that names no other ("BTSE futures frames"), or each
    connection's: ``"linear (conn A) and spot (conn B)"``. A connection that is not named there may name its product
    itself (``"linear-1"``, or the address). Nobody needs to tell where the exchange has one product only, or each
    connection may carry all (``Facts.products_mixed``). Calling raises RecordingError if the product cannot be known.
    """

    def __init__(self, recording: Recording, exchange: Exchange) -> None:
        self._recording = recording
        self._known = exchange.products
        self._said = said = recording.header.product or ""
        self._mixed = exchange.facts.products_mixed
        self._named = {conn: each for each in self._known for conn in re.findall(rf"\b{each} \(conn ([^)]+)\)", said)}
        self._among = among = [each for each in self._known if each in said.lower().split()]
        only = said if said in self._known else among[0] if len(among) == 1 and not self._named else None
        self._only = only or (self._known[0] if self._mixed or len(self._known) == 1 else None)

    def __call__(self, conn: str) -> str:
        words = re.findall(r"[a-z]+", conn)
        product = self._only or self._named.get(conn) or next((each for each in self._known if each in words), None)
        if product is None:
            header = self._recording.header
            has = f"{header.venue} has: {', '.join(self._known)}{f'; connection {conn!r} names none' if conn else ''}"
            raise RecordingError(f'{self._recording.path}: the header\'s "product" is {header.product!r}; {has}.')
        return product

    def all(self) -> tuple[str, ...]:
        """Those that were recorded, in the order of their connections' first frames."""
        if self._mixed:
            return self._known
        if self._only is not None:
            return (self._only,)
        frames = (record for record in self._recording if isinstance(record, Record) and record.via == "ws")
        conns = dict.fromkeys(str(record.conn) for record in frames)
        if not conns and self._among:
            return tuple(self._among)  # a file that was begun just before the end: answers only
        return tuple(dict.fromkeys(map(self, conns or [""])))


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
        return [request for request in self._exchange.markets_requests() if request.product in self.products]

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
