"""Sessions of the adapter against the simulator, without an engine: what they received, as it was received."""

import asyncio
import contextlib
import time
from typing import NamedTuple
from urllib.parse import urlsplit

import aiohttp
from websockets.asyncio.client import ClientConnection, connect
from yarl import URL

from feeds.domain import BookDelta, BookSnapshot, Channel, Event, LoggedIn, Markets, Subscription
from feeds.errors import ParseError
from feeds.exchange import Authorises, Exchange, MarketIndex, Request, Session, TellsDay
from feeds.rest import encode, rest_bases
from feeds.simulator.instruments import Instrument
from tests.conformance.grounds import Ground, adapter, chosen, simulated
from tests.conformance.subject import Subject
from tests.conformance.truth import Truth

SECONDS = 4.0
LATER_S = 1.5
BETWEEN_S = 0.6
BOOKS, LONGEST_S = 24, 20.0
"""A book is listened to on until it told so many snapshots and changes, but not for longer."""


class Answer(NamedTuple):
    """A REST answer and what was asked: "markets", "snapshot", "probe", "candles" or "day"."""

    what: str
    request: Request
    symbol: str
    raw: bytes


class Heard(NamedTuple):
    """One connection: its frames and what they mean. ``books`` are its book events, with the snapshots that REST gave
    meanwhile where they come by REST."""

    route: str
    subscriptions: list[Subscription]
    raw: list[bytes]
    events: list[Event]
    books: list[BookSnapshot | BookDelta]


class Tape(NamedTuple):
    subject: Subject
    adapter: Exchange
    markets: MarketIndex
    truth: Truth
    followed: list[Instrument]
    heard: list[Heard]  # per followed market: its book's connection, then a later one; then the other routes
    answers: list[Answer]
    refused: list[str]  # frames that the adapter did not understand: each a sentence


class _Recorder:
    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.adapter = adapter(ground)
        self.markets = MarketIndex()
        self.loaded = asyncio.Event()
        self.door = asyncio.Lock()
        self.answers: list[Answer] = []
        self.refused: list[str] = []

    async def run(self) -> Tape:
        ground = self.ground
        followed = [ground.of(product)[0] for product in ground.products]
        async with aiohttp.ClientSession() as self._client:
            by_stream = self.adapter.facts.markets_by_stream
            opening = [asyncio.create_task(self.listen(self.adapter.opening_route(), [], SECONDS))] if by_stream else []
            for request in self.adapter.markets_requests():
                raw = await self.ask("markets", request)
                self.markets.update(self.adapter.parse_markets(request, raw))
                self.loaded.set()
            await asyncio.wait_for(self.loaded.wait(), 10)
            parts = []
            for each in followed:
                book, *others = self.routes(each)
                later = self.listen(*book, SECONDS - LATER_S, each, LATER_S, account=1)
                parts += [self.listen(*book, SECONDS, each), later]
                parts += [self.listen(*other, SECONDS) for other in others]
            heard = list(await asyncio.gather(*parts, *opening))
            for each in followed:
                await self.questions(each)
        return Tape(
            ground.subject, self.adapter, self.markets, ground.truth, followed, heard, self.answers, self.refused
        )

    def routes(self, each: Instrument) -> list[tuple[str, list[Subscription]]]:
        """The routes of a market's streams, that of its book first, each with all that it carries."""
        market, found = self.markets[each.symbol], dict[str, list[Subscription]]()
        for channel in (Channel.BOOK, Channel.BBO, Channel.TICKER, Channel.TRADES, Channel.CANDLES, Channel.MARK):
            interval = "1m" if channel is Channel.CANDLES else None
            subscription = Subscription(channel=channel, symbol=each.symbol, interval=interval)
            if channel is not Channel.MARK or market.settle is not None:
                with contextlib.suppress(ValueError):  # a stream that this market does not have
                    route = self.adapter.route(subscription, market)
                    if self.adapter.url(route).startswith("ws"):  # else it is polled, and has no session
                        found.setdefault(route, []).append(subscription)
        return list(found.items())

    async def listen(
        self,
        route: str,
        subscriptions: list[Subscription],
        seconds: float,
        book: Instrument | None = None,
        wait: float = 0,
        account: int = 0,
    ) -> Heard:
        """``account``: whose connection it is, where market data need a key; each may be allowed one."""
        await asyncio.sleep(wait)
        heard = Heard(route, subscriptions, [], [], [])
        session = adapter(self.ground, account).session(route, self.markets)
        asking = None
        async with self.door:  # exchanges count attempts by the second, too
            per_s = self.adapter.facts.connects_per_s
            await asyncio.sleep(BETWEEN_S if per_s is None else max(BETWEEN_S, 1.1 / per_s))
        async with connect(self.adapter.url(route), compression=None, max_size=None, proxy=None) as socket:
            messages = session.opening()
            if self.adapter.facts.needs_key:
                await self.log_in(heard, session, socket, messages)
                messages = []
            for number, message in enumerate(messages + session.subscribe(subscriptions)):
                await asyncio.sleep(1.2 / self.adapter.facts.messages_per_s if number else 0)
                await socket.send(message)
            if book is not None and self.adapter.facts.snapshot_by_rest:
                asking = asyncio.create_task(self.snapshots(book, heard))
            began_s = time.monotonic()
            while (listened_s := time.monotonic() - began_s) < LONGEST_S:
                if listened_s > seconds and (book is None or len(heard.books) >= BOOKS):
                    break
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.25):
                        self.take(heard, session.parse, await socket.recv(decode=False))
        if asking is not None:
            await asking
        return heard

    async def log_in(self, heard: Heard, session: Session, socket: ClientConnection, messages: list[str]) -> None:
        for message in messages:
            await socket.send(message)
        while not any(isinstance(event, LoggedIn) for event in heard.events):
            self.take(heard, session.parse, await asyncio.wait_for(socket.recv(decode=False), 10))

    def take(self, heard: Heard, parse: object, raw: bytes) -> None:
        heard.raw.append(raw)
        try:
            events = parse(raw)
        except ParseError as error:
            self.refused.append(f"{error}: {raw[:100]!r}")
            return
        heard.events.extend(events)
        for event in events:
            if isinstance(event, Markets):
                self.markets.update(event.markets)
                if event.complete:
                    self.loaded.set()
            if isinstance(event, BookSnapshot | BookDelta):
                heard.books.append(event)

    async def snapshots(self, each: Instrument, heard: Heard) -> None:
        """A few, as the first may be older than the stream."""
        market = self.markets[each.symbol]
        for _ in range(3):
            await asyncio.sleep(0.4)
            raw = await self.ask("snapshot", self.adapter.snapshot_request(market), each.symbol)
            heard.books.append(self.adapter.parse_snapshot(market, raw))

    async def questions(self, each: Instrument) -> None:
        market = self.markets[each.symbol]
        await self.ask("snapshot", self.adapter.snapshot_request(market), each.symbol)
        if self.adapter.facts.probe_by_rest:
            await self.ask("probe", self.adapter.probe_request(market), each.symbol)
        await self.ask("candles", self.adapter.candles_request(market, "1m", 10), each.symbol)
        if isinstance(self.adapter, TellsDay):
            await self.ask("day", self.adapter.day_request(market.product), each.symbol)

    async def ask(self, what: str, request: Request, symbol: str = "") -> bytes:
        if isinstance(self.adapter, Authorises):
            request = self.adapter.authorise(request)
        base = rest_bases(self.adapter.endpoints)[request.product]
        query = encode(request.params)
        url = f"{base}{request.path}" + (f"?{query}" if query and not request.body else "")
        body = query.encode() if request.body else None
        async with self._client.request(
            request.method, URL(url, encoded=True), data=body, headers=dict(request.headers)
        ) as answer:
            raw = await answer.read()
            assert answer.status == 200, f"{urlsplit(url).path} is answered with HTTP {answer.status}: {raw[:100]!r}"
        self.answers.append(Answer(what, request, symbol, raw))
        return raw


async def record(subject: Subject) -> Tape:
    """A few seconds of one market of every product, by two connections of which one begins later."""
    ground = Ground(subject, chosen(subject, 1))
    async with simulated(ground):
        return await _Recorder(ground).run()
