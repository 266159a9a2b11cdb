"""What sessions received from the simulator, and what real exchanges sent, read again and changed: without sockets."""

from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feeds import levels
from feeds.book import OrderBook
from feeds.domain import BookDelta, BookSnapshot, Channel, Event, Market, Subscription
from feeds.errors import FeedError, ParseError, RateLimited, SyncError
from feeds.exchange import MarketIndex, TellsDay
from feeds.simulator.instruments import Instrument
from feeds.sync import BookSync, Need
from tests.conformance.check import Where, check, waived
from tests.conformance.drawn import undrawn
from tests.conformance.mutations import FIXED, changed, varied
from tests.conformance.recordings import recorded_frames
from tests.conformance.sane import insane
from tests.conformance.tape import Answer, Heard, Tape
from tests.conformance.truth import Side

EXAMPLES = 400
SAMPLED = 60
STATES = 8
STATUSES = (200, 201, 400, 401, 403, 404, 418, 429, 451, 500, 502, 503, 504)
HEADERS = (
    {},
    *({name: said} for name in ("Retry-After", "retry-after") for said in ("5", "Wed, 21 Oct 2026 07:28:00 GMT")),
    *({"Retry-After": said} for said in ("", "-1", "1.5", "9" * 400, "٣")),
)

quick = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


# -- snapshot + deltas == later snapshot -----------------------------------------------------------------------------


class Replay:
    """A connection's book, event by event. ``states`` are the numbers of the true states that it was in."""

    def __init__(self, tape: Tape, market: Instrument, heard: Heard) -> None:
        facts = tape.adapter.facts
        self.market = tape.markets[market.symbol]
        self.truth = tape.truth.books[market.symbol]
        self.verify = tape.adapter.checksum(self.market)
        self.truncates = facts.truncates
        self.states: list[int] = []
        self.steps: list[tuple[BookDelta | None, BookSnapshot, Side]] = []  # update, the book after it, its best levels
        self._sync = BookSync(from_rest=facts.snapshot_by_rest, verify=self.verify, truncates=facts.truncates)
        self._sync.start()
        self._depth: int | None = None
        self._whole = not any(isinstance(event, BookDelta) for event in heard.books)  # every message is a whole book
        self._window = waived(tape.subject, "replay.window")
        self._over = False
        for event in heard.books:
            if event.symbol == market.symbol and not self._over:
                self._take(event)

    def _take(self, event: BookSnapshot | BookDelta) -> None:
        sync = self._sync
        try:
            if isinstance(event, BookDelta):
                if sync.take_delta(event):
                    self._note(event)
            elif self._whole or not sync.from_rest or sync.needs is Need.SNAPSHOT:
                self._depth = event.depth
                if sync.take_snapshot(event):
                    self.steps.clear()
                    self._note(None)
        except SyncError as error:
            self._over = self._window and type(error) is SyncError and len(self.steps) > 3
            if self._over:
                return
            raise AssertionError(f"{event.symbol}: {error}, though nothing was lost") from error

    def _note(self, delta: BookDelta | None) -> None:
        book = self._sync.book
        bids, asks = self.shown(book)
        state = self.truth.find(bids, asks, seq=book.seq, after=self.states[-1] if self.states else -1)
        self.states.append(state.number)
        copy = BookSnapshot(
            symbol=self.market.symbol,
            bids=list(book.bids.levels.items()),
            asks=list(book.asks.levels.items()),
            seq=book.seq,
            depth=self._depth if self.truncates else None,
        )
        self.steps.append((delta, copy, bids + asks))

    def shown(self, book: OrderBook) -> tuple[Side, Side]:
        market = self.market
        digits, sizes, bids, asks = levels.scale(book, 20, market.price_decimals, market.size_decimals)
        return self.truth.units(bids, digits, sizes), self.truth.units(asks, digits, sizes)


def _books(tape: Tape, market: Instrument) -> list[Heard]:
    wanted = Subscription(channel=Channel.BOOK, symbol=market.symbol)
    return [heard for heard in tape.heard if wanted in heard.subscriptions]


@check("replay", Where.PAPER, "snapshot and updates give the same book as a later snapshot, from wherever one begins")
async def replay(tape: Tape) -> None:
    assert not tape.refused, f"{len(tape.refused)} frames were not understood, the first: {tape.refused[0]}"
    for market in (each for each in tape.followed if each.book):
        early, late = (Replay(tape, market, heard) for heard in _books(tape, market))
        assert len(early.states) >= STATES, f"{market.symbol}: only {len(early.states)} states were recorded"
        assert late.states, f"{market.symbol}: a later subscription gave no book"
        common = [number for number in late.states[1:] if number in early.states]
        assert common, f"{market.symbol}: the early and the later book were never the same"
        for begin, (_, snapshot, _) in enumerate(early.steps[:-1]):
            for overlap in (0, 1, 4) if tape.adapter.facts.snapshot_by_rest else (0,):
                _join(early, begin, snapshot, overlap)


def _join(replay: Replay, begin: int, snapshot: BookSnapshot, overlap: int) -> None:
    """A book that begins at that step ends as the whole one does; with snapshots by REST also if updates from
    ``overlap`` before it come once more, as they do when they were kept for it."""
    book = OrderBook(replay.verify)
    book.replace(snapshot, truncates=replay.truncates)
    try:
        for delta, _, _ in replay.steps[max(1, begin + 1 - overlap) :]:
            if delta is not None:
                book.apply(delta)
    except SyncError as error:
        raise AssertionError(f"{snapshot.symbol} from step {begin}, {overlap} updates overlapping: {error}") from error
    bids, asks = replay.shown(book)
    assert bids + asks == replay.steps[-1][2], f"{snapshot.symbol} from step {begin} does not end as the book did"


# -- mutations of frames ---------------------------------------------------------------------------------------------


@check("mutations", Where.PAPER, "of frames with anything changed only ParseError comes, and whatever is read is drawn")
async def mutations(tape: Tape) -> None:
    groups = [(each.route, tape.markets, each.subscriptions, varied(each.raw, SAMPLED)) for each in tape.heard]
    groups += [(each.route, each.markets, [], each.frames) for each in recorded_frames(tape.adapter)]
    corpus = [(group, raw) for group in groups for raw in group[3]]
    assert corpus, "no frame was recorded"

    def session(group: tuple[str, MarketIndex, list[Subscription], list[bytes]]) -> Callable[[bytes], list[Event]]:
        made = tape.adapter.session(group[0], group[1])
        made.opening()
        if group[2]:
            made.subscribe(group[2])
        return made.parse

    def only_parse_errors(parse: Callable[[bytes], list[Event]], raw: bytes) -> None:
        try:
            events = parse(raw)
        except ParseError:
            return
        except Exception as error:
            raise AssertionError(
                f"{type(error).__name__} came out of parse: {error}; the frame: {raw[:300]!r}"
            ) from error
        assert not (wrong := insane(events) or undrawn(events, tape.markets)), f"{wrong}; the frame: {raw[:300]!r}"

    for group in groups:
        for raw in FIXED:
            only_parse_errors(session(group), raw)

    @quick
    @given(st.data())
    def hold(data: st.DataObject) -> None:
        group, good = data.draw(st.sampled_from(corpus))
        parse = session(group)
        only_parse_errors(parse, data.draw(st.sampled_from(group[3])))
        only_parse_errors(parse, data.draw(changed(good, group[3])))
        only_parse_errors(parse, good)  # the session lives on

    hold()


# -- REST ------------------------------------------------------------------------------------------------------------


def _reader(tape: Tape, answer: Answer) -> Callable[[bytes], list[object]]:
    """What the adapter makes of such an answer, as a list of events."""
    adapter, market = tape.adapter, _market(tape, answer)
    if answer.what == "markets":
        return lambda raw: list(adapter.parse_markets(answer.request, raw))
    assert market is not None
    if answer.what == "candles":
        return lambda raw: list(adapter.parse_candles(market, "1m", raw))
    if answer.what == "day" and isinstance(adapter, TellsDay):
        return lambda raw: list(adapter.parse_day(raw, tape.markets))
    parse = adapter.parse_snapshot if answer.what == "snapshot" else adapter.parse_probe
    return lambda raw: [parse(market, raw)]


def _market(tape: Tape, answer: Answer) -> Market | None:
    return tape.markets.get(answer.symbol)


@check("rest", Where.PAPER, "of malformed answers only ParseError comes; error_of never raises, and knows a refusal")
async def rest(tape: Tape) -> None:
    kinds = {(answer.what, answer.request.product): answer for answer in tape.answers}
    for answer in kinds.values():
        read = _reader(tape, answer)
        assert read(answer.raw), f"{answer.what}: nothing was read from a good answer"
        assert tape.adapter.error_of(200, answer.raw, {}) is None, f"{answer.what}: a good answer is taken for an error"
    raws = varied([answer.raw for answer in kinds.values()], SAMPLED, 200_000)
    for raw in FIXED:
        for answer in kinds.values():
            _answer_holds(tape, answer, raw)
        _error_holds(tape, raw)

    @quick
    @given(st.data())
    def hold(data: st.DataObject) -> None:
        answer = data.draw(st.sampled_from(list(kinds.values())))
        raw = data.draw(changed(answer.raw[:20_000], raws))
        _answer_holds(tape, answer, raw)
        _error_holds(tape, raw)

    hold()


def _answer_holds(tape: Tape, answer: Answer, raw: bytes) -> None:
    try:
        found = _reader(tape, answer)(raw)
    except ParseError:
        return
    except Exception as error:
        raise AssertionError(f"{type(error).__name__} came out of {answer.what}: {error}; {raw[:300]!r}") from error
    assert not (wrong := insane(found)), f"{answer.what}: {wrong}; {raw[:300]!r}"


def _error_holds(tape: Tape, raw: bytes) -> None:
    for status in STATUSES:
        for headers in HEADERS:
            try:
                error = tape.adapter.error_of(status, raw, headers)
            except Exception as raised:
                raise AssertionError(f"error_of({status}, {raw[:200]!r}, {headers}) raised {raised!r}") from raised
            assert error is None or isinstance(error, FeedError), f"error_of returned {error!r}"
            assert status < 400 or error is not None, f"HTTP {status} is no error: {raw[:200]!r}"
            if status == 429:
                assert isinstance(error, RateLimited), f"HTTP 429 is {error!r}, not RateLimited"
            if isinstance(error, RateLimited):
                assert 0 <= error.retry_after_s < 10 * 86_400, f"to wait {error.retry_after_s} s"
