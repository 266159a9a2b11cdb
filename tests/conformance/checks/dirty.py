"""What the way does to frames: they come twice, in the wrong order, or as rubbish."""

import asyncio
import time
from collections.abc import Callable, Iterable

from feeds.domain import BookDelta, BookSnapshot, Channel, Event, Subscription
from feeds.errors import CrossedError, ParseError
from feeds.exchange import Session
from feeds.simulator.instruments import Instrument
from tests.conformance.between import Pipe
from tests.conformance.check import Where, check, waived
from tests.conformance.grounds import Ground
from tests.conformance.judge import until
from tests.conformance.malformed import KINDS, NO_BOOK, Sample, sample
from tests.conformance.sane import insane

BACK_S = 10.0
FRAMES = 20  # that come twice
HELD = 4  # that are turned round


class Reader:
    """Reads along as the adapter would, to tell which frame is what."""

    def __init__(self, ground: Ground, market: Instrument) -> None:
        self._ground = ground
        self._symbol = market.symbol
        known = ground.venue.markets
        self.route = ground.venue.adapter.route(
            Subscription(channel=Channel.BOOK, symbol=market.symbol), known[market.symbol]
        )
        self._path = ground.path(self.route)
        self._sessions: dict[Pipe, Session] = {}

    def carries(self, pipe: Pipe) -> bool:
        """Is this the kind of connection that the market's book comes by?"""
        return pipe.path.partition("?")[0] == self._path

    def session(self) -> Session:
        return self._ground.venue.adapter.session(self.route, self._ground.venue.markets)

    def events(self, pipe: Pipe, raw: bytes) -> list[Event]:
        if not self.carries(pipe):
            return []
        if pipe not in self._sessions:
            self._sessions[pipe] = self.session()
        try:
            return self._sessions[pipe].parse(raw)
        except ParseError:
            return []

    def is_book(self, pipe: Pipe, raw: bytes) -> bool:
        return any(_is_book(event) and event.symbol == self._symbol for event in self.events(pipe, raw))


def watched(ground: Ground) -> list[Instrument]:
    return [ground.of(product)[0] for product in ground.products]


async def tampered(ground: Ground, tamper: Callable[[Pipe, bytes], Iterable[bytes]], done: Callable[[], bool]) -> None:
    """Change frames on their way until it is done, then wait until all markets are in use and shown anew."""
    ground.proxy.tamper = tamper
    try:
        await until(done, "frames that could be changed")
    finally:
        ground.proxy.tamper = None
    await settled(ground)


async def settled(ground: Ground) -> None:
    """All markets are in use, and each has shown some further states."""
    markets = watched(ground)
    await ground.live(*markets, seconds=BACK_S)
    await asyncio.sleep(0.3)
    before = {each.symbol: len(ground.judge.seen[each.symbol]) for each in markets}
    for each in markets:
        await until(
            lambda each=each: (
                ground.judge.usable(each.symbol) and len(ground.judge.seen[each.symbol]) > before[each.symbol] + 2
            ),
            f"{each.symbol} goes on",
            BACK_S,
        )
    ground.right()


@check("duplicates", Where.DIRTY, "frames that come twice change nothing")
async def duplicates(ground: Ground) -> None:
    await ground.usable(*watched(ground))
    since_s, count = time.monotonic(), 0

    def twice(pipe: Pipe, raw: bytes) -> Iterable[bytes]:
        nonlocal count
        if not any(each.native.encode() in raw for each in ground.markets):
            return (raw,)
        count += 1
        return (raw, raw)

    await tampered(ground, twice, lambda: count >= FRAMES)
    if not waived(ground.subject, "duplicates.unnoticed"):
        for each in watched(ground):
            left = [state for state in ground.judge.changes(each.symbol, since_s) if not state.usable]
            assert not left, f"{each.symbol} became {left[0]} when frames came twice"


class Reversed:
    """Lets a few updates of a book come in the opposite order, once."""

    def __init__(self, reader: Reader) -> None:
        self.done = False
        self._reader = reader
        self._held: dict[Pipe, list[bytes]] = {}

    def __call__(self, pipe: Pipe, raw: bytes) -> Iterable[bytes]:
        if self.done or not self._reader.is_book(pipe, raw):
            return (raw,)
        held = self._held.setdefault(pipe, [])
        held.append(raw)
        self.done = len(held) == HELD
        return held[::-1] if self.done else ()


@check("disorder", Where.DIRTY, "updates in the wrong order never show a wrong book, and it is right again")
async def disorder(ground: Ground) -> None:
    await ground.usable(*watched(ground))
    for market in watched(ground):
        opposite, since_s = Reversed(Reader(ground, market)), time.monotonic()
        await tampered(ground, opposite, lambda opposite=opposite: opposite.done)
        by_chance = CrossedError.sentence in ground.judge.reasons(market.symbol, since_s)
        assert not by_chance, f"{market.symbol}: the order was not noticed, the book became crossed by it later"


@check("malformed", Where.DIRTY, "of twenty kinds of rubbish only ParseError comes, and the books stay right")
async def malformed(ground: Ground) -> None:
    await ground.usable(*watched(ground))
    for market in watched(ground):
        reader = Reader(ground, market)
        pipe, good = await _sample(ground, reader, market)
        for name, raw in _refused(reader, good).items():
            await pipe.inject(raw, binary=name == "binary")
    await settled(ground)


async def _sample(ground: Ground, reader: Reader, market: Instrument) -> tuple[Pipe, Sample]:
    """A book frame of this market that came by a connection that is still open."""
    found: list[tuple[Pipe, Sample]] = []

    def look() -> bool:
        for pipe in ground.proxy.open:
            for raw in list(pipe.received)[-50:] if reader.carries(pipe) else []:
                if market.native.encode() in raw and not found:
                    events = [event for event in reader.events(pipe, raw) if _is_book(event)]
                    if (good := sample(raw, events, market.native)) is not None:
                        found.append((pipe, good))
        return bool(found)

    await until(look, f"a book frame of {market.symbol} whose prices stand in it")
    return found[0]


def _is_book(event: Event) -> bool:
    return isinstance(event, BookDelta | BookSnapshot)


def _refused(reader: Reader, good: Sample) -> dict[str, bytes]:
    """What the adapter makes of each kind; returns those that it does not understand.

    Raises AssertionError for another exception than ParseError, and for an event that cannot be.
    """
    refused = {}
    for name, kind in KINDS.items():
        raw = kind(good)
        try:
            events = reader.session().parse(raw)
        except ParseError:
            refused[name] = raw
            continue
        except Exception as error:
            raise AssertionError(f"{name}: {type(error).__name__} came out of parse: {error}") from error
        assert not (wrong := insane(events)), f"{name}: {wrong}"
        books = [event for event in events if _is_book(event)]
        assert not (books and name in NO_BOOK), f"{name} is taken for a book: {books[:1]}"
    assert refused, "nothing is refused"
    return refused
