"""What an exchange adapter is: facts, requests, and one protocol session per connection. No I/O anywhere.

An adapter says *what* to send and *what came*; ``stream`` and ``rest`` own the sockets and ``engine`` the order of
things. So every adapter can be tested, and a recording verified, with bytes in and events out.

Adding one: docs/adding-an-exchange.md.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, Protocol, runtime_checkable

import msgspec

from feeds.book import Checksum
from feeds.domain import INTERVALS, Bbo, BookSnapshot, Candle, Channel, Event, Market, Notice, Subscription, Ticker
from feeds.errors import ParseError


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One REST call. ``product`` chooses the host, ``weight`` is what it costs of that host's budget.

    ``params`` are sent in this order, percent-encoded, as the query, or as a form body if ``body`` is set. ``json`` is
    a finished body of its own, sent as ``application/json``; ``params`` are the query then. ``about``: the product that
    the answer speaks of, where one host serves several.
    """

    path: str
    params: tuple[tuple[str, str], ...] = ()
    method: Literal["GET", "POST", "PUT", "DELETE"] = "GET"
    product: str = ""
    weight: int = 1
    body: bool = False
    json: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    about: str = ""

    @property
    def subject(self) -> str:
        """The product that the answer speaks of."""
        return self.about or self.product

    def __repr__(self) -> str:
        """Without parameters and headers: they may hold a key or a signature."""
        return f"Request({self.method} {self.product} {self.path})"


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """A REST budget: ``limit`` weight per ``per_s`` seconds (windows on the wall clock), and the response header that
    tells what is used. ``share`` is how much of it we allow ourselves: other programs use the same address."""

    limit: int
    per_s: int
    used_header: str | None = None
    share: float = 0.5


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the exchange documents about its connections."""

    streams_per_connection: int
    messages_per_s: float  # that we may send on one connection
    connects_per_minute: float  # per address
    heartbeat_s: float | None  # the exchange sends data or a heartbeat at least this often; None: it does not
    ping_s: float | None  # we send keepalive() this often; None: WebSocket pings of the exchange suffice
    max_life_s: float | None  # the exchange ends connections of this age
    snapshot_by_rest: bool  # the book's snapshot comes by REST (else as the stream's first message)
    truncates: bool  # the exchange keeps a window of levels and sends no removal for what leaves it
    markets_by_stream: bool  # instruments come by stream (see Exchange.opening)
    probe_by_rest: bool  # a quiet market is told from a mute one by a REST request; heartbeats cannot tell
    book_depths: tuple[int, ...] = ()  # levels a side that can be subscribed; (): the exchange decides, or all
    candle_intervals: tuple[str, ...] = tuple(INTERVALS)  # that come by stream; the others are put together from these
    messages_per_address: bool = False  # messages_per_s holds for all our connections together
    ids_per_connection: bool = False  # update ids count one connection's messages: of no meaning beside another's
    connects_per_s: float | None = None  # per address, where the exchange counts them by the second too
    silent_routes: tuple[str, ...] = ()  # silence says nothing there: only pongs tell that a connection lives
    pong: bytes | None = None  # what answers keepalive(), where WebSocket pings prove nothing: it is asked instead
    products_mixed: bool = False  # one connection may carry all products, and so may a recording
    polled_routes: tuple[str, ...] = ()  # what has no stream goes by these: see PolledExchange
    round_s: float = 5.0  # how often that is asked for
    candles_by_trades: bool = False  # no candle stream: polled candles are led on by the trades, see feeds.led_bars
    fresh_book_s: float | None = None  # a stream's book is compared with a fresh one this often: markets.fresh_books
    origin: str | None = None  # header "Origin" of WebSockets
    options: tuple[str, ...] = ()  # what the adapter's constructor takes from [exchanges.<name>.options]
    recorded_as: tuple[str, ...] = ()  # other names of this exchange in recordings, in small letters and digits alone
    recorded_products: Mapping[str, str] = {}  # other words for its products there
    needs_key: bool = False  # market data need a key: the adapter takes ``credentials``, sessions log in (LoggedIn)
    one_connection: bool = False  # per account and route: a second one beside it would be refused, or end the first
    cash_products: tuple[str, ...] = ("spot",)  # whose markets have no settlement asset
    probe_s: float | None = None  # least time between two probes of one silence, where REST is scarce
    probe_lag_s: float = 0.0  # the answers may be so old
    probe_size_step: float = 0.0  # their sizes are cut to multiples of this
    snapshots_replace: bool = False  # any snapshot by stream is the book from then on, whatever its number
    unstreamed: tuple[Channel, ...] = ()  # BBO: best prices are the book's; TICKER: figures by REST (see TellsDay)


class MarketIndex:
    """An exchange's instruments, by unified symbol and by (product, native name). ``version`` rises with every update:
    whoever keeps what he worked out of one looks at it."""

    def __init__(self, markets: Iterable[Market] = ()) -> None:
        self._by_symbol: dict[str, Market] = {}
        self._by_native: dict[tuple[str, str], Market] = {}
        self.version = 0
        self.update(markets)

    def update(self, markets: Iterable[Market]) -> list[Market]:
        """Add these, in the place of those of the same symbol; returns which of those were other before."""
        changed = []
        for market in markets:
            before = self._by_symbol.get(market.symbol)
            if before is not None and not same(before, market):
                changed.append(market)
                if self._by_native.get((before.product, before.native)) is before:
                    del self._by_native[before.product, before.native]
            self._by_symbol[market.symbol] = market
            self._by_native[market.product, market.native] = market
        self.version += 1
        return changed

    def get(self, symbol: str) -> Market | None:
        return self._by_symbol.get(symbol)

    def __getitem__(self, symbol: str) -> Market:
        return self._by_symbol[symbol]

    def native(self, product: str, native: str) -> Market | None:
        return self._by_native.get((product, native))

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._by_symbol

    def __iter__(self) -> Iterator[Market]:
        return iter(self._by_symbol.values())

    def __len__(self) -> int:
        return len(self._by_symbol)


def same(one: Market, other: Market) -> bool:
    """Are these the same to the last digit that was printed? A tick of 0.1 is not one of 0.10, where sums are made of
    printed digits."""
    return one == other and (str(one.tick), str(one.lot)) == (str(other.tick), str(other.lot))


class Session(Protocol):
    """One connection's side of the protocol: what to send, and what the received means. Made anew per connection."""

    def opening(self) -> list[str]:
        """Messages to send once connected, before any subscription (e.g. to get the instruments)."""

    def subscribe(self, subscriptions: Sequence[Subscription]) -> list[str]:
        """Messages that ask for these, in as few as the exchange allows."""

    def unsubscribe(self, subscriptions: Sequence[Subscription]) -> list[str]:
        """Messages that end these."""

    def keepalive(self) -> str | None:
        """Message to send every ``Facts.ping_s``, or None to send a WebSocket ping."""

    def parse(self, raw: bytes | str) -> list[Event]:
        """The events of one frame, in order; [] for one that is understood and says nothing we use, ``Unknown`` for a
        well-formed one of a channel or kind that is not known: it costs no book.

        Raises ParseError for anything else, never another exception.
        """


class PollSession(Protocol):
    """What is asked for on a timer instead of subscribed, and what the answers mean. Made anew per connection."""

    def requests(self, subscriptions: Iterable[Subscription]) -> list[Request]:
        """One round of questions that brings the news of all of these."""

    def parse(self, request: Request, raw: bytes) -> list[Event]:
        """The events of one good answer. Raises ParseError, never another exception."""


@runtime_checkable
class PolledExchange(Protocol):
    """What an exchange has besides, that has no streams for some of its data (``Facts.polled_routes``)."""

    facts: Facts

    def url(self, route: str) -> str: ...

    def poll_session(self, route: str, markets: MarketIndex) -> PollSession: ...


class Exchange(Protocol):
    """The public side of one exchange."""

    name: str
    facts: Facts
    products: tuple[str, ...]
    endpoints: Mapping[str, str]  # "<product>.ws", "<product>.rest" and the like -> base URL

    def budgets(self) -> Mapping[str, Budget]:
        """The REST budget of each product."""

    def markets_requests(self) -> list[Request]:
        """Requests that list all instruments; [] if they come by stream."""

    def parse_markets(self, request: Request, raw: bytes) -> list[Market]: ...

    def route(self, subscription: Subscription, market: Market) -> str:
        """Which kind of connection carries this subscription."""

    def opening_route(self) -> str:
        """The route whose session tells the instruments, where ``facts.markets_by_stream``."""

    def url(self, route: str) -> str:
        """Where a connection of this route is opened."""

    def session(self, route: str, markets: MarketIndex) -> Session: ...

    def checksum(self, market: Market | None) -> Checksum | None:
        """How the exchange sums a book; ``market`` None: not known, take the precision from what was printed."""

    def snapshot_request(self, market: Market) -> Request: ...

    def parse_snapshot(self, market: Market, raw: bytes) -> BookSnapshot: ...

    def probe_request(self, market: Market) -> Request:
        """One cheap request that shows whether our book is the exchange's present one."""

    def parse_probe(self, market: Market, raw: bytes) -> Bbo: ...

    def candles_request(self, market: Market, interval: str, limit: int) -> Request: ...

    def parse_candles(self, market: Market, interval: str, raw: bytes) -> list[Candle]:
        """Oldest first; the last one may still be open."""

    def error_of(self, status: int, raw: bytes, headers: Mapping[str, str]) -> Exception | None:
        """The error that a REST answer means, or None if it is good. Never raises."""


class OneProduct:
    """What is the same in every adapter of one product without checksums: to be built upon.

    ``defaults`` are the base URLs, of which ``endpoints`` replaces some. All streams come by one kind of connection,
    which has the product's name; candles by the first of ``facts.polled_routes``, where there is one. The probe is the
    whole book, for exchanges that have no smaller answer.
    """

    products: tuple[str, ...]
    facts: Facts
    defaults: Mapping[str, str]
    budget: Budget

    def __init__(self, endpoints: Mapping[str, str] | None = None) -> None:
        given = endpoints or {}
        self.endpoints: Mapping[str, str] = {key: given.get(key, url).rstrip("/") for key, url in self.defaults.items()}

    def budgets(self) -> Mapping[str, Budget]:
        return {self.products[0]: self.budget}

    def route(self, subscription: Subscription, market: Market) -> str:
        """Raises ValueError for what no stream has."""
        if subscription.channel in self.facts.unstreamed:
            raise ValueError(f"{subscription}: there is no such stream")
        polled = self.facts.polled_routes if subscription.channel is Channel.CANDLES else ()
        return polled[0] if polled else self.products[0]

    def opening_route(self) -> str:
        return self.products[0]

    def url(self, route: str) -> str:
        return self.endpoints[f"{self.products[0]}.{'rest' if route in self.facts.polled_routes else 'ws'}"]

    def checksum(self, market: Market | None) -> Checksum | None:
        return None

    def snapshot_request(self, market: Market) -> Request:
        raise NotImplementedError("the adapter's own")

    def parse_snapshot(self, market: Market, raw: bytes) -> BookSnapshot:
        raise NotImplementedError("the adapter's own")

    def probe_request(self, market: Market) -> Request:
        return self.snapshot_request(market)

    def parse_probe(self, market: Market, raw: bytes) -> Bbo:
        """Prices and sizes alone: the number of a whole book may rise by what our stream does not show."""
        book = self.parse_snapshot(market, raw)
        if not book.bids or not book.asks:
            raise ParseError(f"book of {market.symbol}: a side is empty", raw)
        (bid, bid_size), (ask, ask_size) = max(book.bids), min(book.asks)
        return Bbo(symbol=market.symbol, bid=bid, bid_size=bid_size, ask=ask, ask_size=ask_size)


class OneByOne:
    """What is the same in every session that sends one message for each subscription: to be built upon."""

    ping: str | None = None  # our keepalive

    def __init__(self, markets: MarketIndex) -> None:
        self._markets = markets

    def opening(self) -> list[str]:
        return []

    def subscribe(self, subscriptions: Sequence[Subscription]) -> list[str]:
        return [self.message(subscription, end=False) for subscription in subscriptions]

    def unsubscribe(self, subscriptions: Sequence[Subscription]) -> list[str]:
        return [self.message(subscription, end=True) for subscription in subscriptions]

    def keepalive(self) -> str | None:
        return self.ping

    def message(self, subscription: Subscription, *, end: bool) -> str:
        """Asks for it, or for its end."""
        raise NotImplementedError("the session's own")


@runtime_checkable
class Paged(Protocol):
    """What an exchange has besides, whose lists come in pages: of instruments (an adapter's), of balances, positions
    and open orders (an :class:`feeds.account.AccountApi`'s)."""

    def next_page(self, request: Request, raw: bytes) -> Request | None:
        """The request for what follows the page that answered ``request``; None if it was the last one."""


@runtime_checkable
class TellsStatus(Protocol):
    """What an exchange has besides, that tells its maintenance by REST and not on its market streams."""

    def status_request(self) -> Request: ...

    def parse_status(self, raw: bytes) -> list[Notice]:
        """What is the matter, and what is announced, each under its key; an empty text if nothing is."""


@runtime_checkable
class TellsDay(Protocol):
    """What an exchange has besides, that streams no 24 h figures: one REST answer with those of a whole product."""

    def day_request(self, product: str) -> Request: ...

    def parse_day(self, raw: bytes, markets: MarketIndex) -> list[Ticker]:
        """Of the markets that are listed. Raises ParseError."""


@runtime_checkable
class TellsProduct(Protocol):
    """An adapter of several products that can tell them by what a frame holds, for recordings that do not name them."""

    def product_in(self, frame: bytes) -> str | None:
        """None: it may be of any product, or is of none of ours. Never raises."""


@runtime_checkable
class TellsTime(Protocol):
    """An adapter whose exchange tells its clock by REST, in milliseconds; where there is none, streams must do."""

    def time_request(self, product: str) -> Request: ...

    def parse_time(self, raw: bytes) -> int:
        """Milliseconds since 1970, UTC. Raises ParseError."""


@runtime_checkable
class Authorises(Protocol):
    """What an exchange has besides, whose public REST calls carry a key."""

    def authorise(self, request: Request) -> Request:
        """The request with its key, made just before it is sent and not kept."""


@runtime_checkable
class PagesCandles(Protocol):
    """What an exchange has besides, whose histories of candles come in pages."""

    def next_candles(self, request: Request, raw: bytes) -> Request | None:
        """The request for the page that follows the answer to ``request``; None if it was the last one.
        Raises ParseError."""

    def join_candles(self, market: Market, interval: str, pages: Sequence[bytes]) -> list[Candle]:
        """What ``parse_candles`` is for a single page."""
