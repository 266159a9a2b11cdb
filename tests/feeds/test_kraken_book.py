"""Kraken's books: the checksum in every documented example and recorded frame, the window, and garbage."""

import gzip
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from feeds.book import OrderBook
from feeds.domain import BookDelta, BookSnapshot, Channel, Event, Heartbeat, Level, Market, Subscription
from feeds.errors import ChecksumError, CrossedError, ParseError, SyncError
from feeds.exchange import MarketIndex
from feeds.exchanges.kraken import Kraken
from feeds.exchanges.kraken_session import DEPTHS
from feeds.sync import BookSync, Need
from tests.feeds import kraken_frames as frames
from tests.shared import SHARED, shared_file


def market(tick: str = "0.1", lot: str = "1E-8", symbol: str = "BTC/USD") -> Market:
    base, quote = symbol.split("/")
    return Market(
        exchange="kraken",
        symbol=symbol,
        native=symbol,
        product="spot",
        base=base,
        quote=quote,
        tick=Decimal(tick),
        lot=Decimal(lot),
    )


BTC = market()


class Reader:
    """A book read from frames, as the market does it; ``listed`` is the instrument, if it is known."""

    def __init__(self, listed: Market | None = BTC, depth: int = 10) -> None:
        exchange = Kraken(book_depth=depth)
        self.session = exchange.session("spot", MarketIndex([listed] if listed else []))
        self.sync = BookSync(from_rest=False, truncates=True, verify=exchange.checksum(listed))
        self.sync.start()
        self.right = 0

    @property
    def book(self) -> OrderBook:
        return self.sync.book

    def read(self, *raws: str | bytes) -> "Reader":
        """Raises SyncError."""
        for raw in raws:
            for event in self.session.parse(raw):
                self.take(event)
        return self

    def take(self, event: Event) -> None:
        if isinstance(event, BookSnapshot):
            self.right += self.sync.take_snapshot(event)
        elif isinstance(event, BookDelta):
            self.right += self.sync.take_delta(event)


def book_frame(kind: str, asks: frames.Printed, bids: frames.Printed, checksum: int, symbol: str = "BTC/USD") -> str:
    """A frame with the numbers printed as given."""
    sides = (",".join(f'{{"price":{price},"qty":{qty}}}' for price, qty in side) for side in (bids, asks))
    bid_rows, ask_rows = sides
    return (
        f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"{symbol}","bids":[{bid_rows}],"asks":[{ask_rows}],'
        f'"checksum":{checksum}}}]}}'
    )


def ack(depth: int, *, method: str = "subscribe", req_id: int | None = None) -> str:
    number = "" if req_id is None else f',"req_id":{req_id}'
    result = f'{{"channel":"book","depth":{depth},"snapshot":true,"symbol":"BTC/USD"}}'
    return f'{{"method":"{method}","result":{result},"success":true{number}}}'


@pytest.mark.parametrize("listed", [BTC, None], ids=["listed", "unlisted"])
class TestDocumentedChecksums:
    def test_example_a(self, listed: Market | None) -> None:
        book = Reader(listed).read(frames.SNAPSHOT_A).book
        assert book.checksum == 3388460544
        assert (book.bid, book.ask) == ((64009.9, 0.75), (64010.0, 0.005))
        assert book.exchange_ms == 1777975200000

    def test_example_b(self, listed: Market | None) -> None:
        book = Reader(listed).read(frames.SNAPSHOT_A, frames.UPDATE_B).book
        assert book.checksum == 3980408804
        assert (book.bid, book.ask) == ((64009.0, 0.02), (64010.0, 0.005))
        assert len(book.asks.levels) == len(book.bids.levels) == 10
        assert 64025.5 not in book.asks.levels  # pushed out, without a word from the server

    def test_example_c_of_a_short_book(self, listed: Market | None) -> None:
        book = Reader(listed, depth=100).read(frames.SNAPSHOT_C).book
        assert book.checksum == 2462463564
        assert book.exchange_ms is None

    def test_the_wrong_way_is_not_ours(self, listed: Market | None) -> None:
        """97954058 is what B gives when the zeros at the end are dropped, as ``str(float)`` does."""
        wrong = frames.UPDATE_B.replace("3980408804", "97954058")
        reader = Reader(listed).read(frames.SNAPSHOT_A)
        with pytest.raises(ChecksumError, match="checksum 97954058 by the exchange, 3980408804 by us"):
            reader.read(wrong)
        assert (reader.sync.ready, reader.sync.needs) == (False, Need.RESUBSCRIBE)

    def test_the_published_example(self, listed: Market | None) -> None:
        asks = (
            "45285.2/0.00100000 45286.4/1.54571953 45286.6/1.54571109 45289.6/1.54560911 45290.2/0.15890660 "
            "45291.8/1.54553491 45294.7/0.04454749 45296.1/0.35380000 45297.5/0.09945542 45299.5/0.18772827"
        )
        bids = (
            "45283.5/0.10000000 45283.4/1.54582015 45282.1/0.10000000 45281.0/0.10000000 45280.3/1.54592586 "
            "45279.0/0.07990000 45277.6/0.03310103 45277.5/0.30000000 45277.3/1.54602737 45276.6/0.15445238"
        )
        sides = [[(p, q) for p, _, q in (level.partition("/") for level in side.split())] for side in (asks, bids)]
        assert frames.checksum(*sides) == 3310070434
        assert Reader(listed).read(book_frame("snapshot", *sides, 3310070434)).book.checksum == 3310070434


class TestChecksum:
    """Against the documented recipe over the printed text, for any precision and any printing."""

    @given(
        data=st.data(),
        price_digits=st.integers(0, 10),
        size_digits=st.integers(0, 8),
        trimmed=st.booleans(),
        depth=st.sampled_from([10, 100]),
    )
    def test_any_book(
        self, data: st.DataObject, price_digits: int, size_digits: int, trimmed: bool, depth: int
    ) -> None:
        units = data.draw(st.lists(st.integers(1, 10**12), min_size=2, max_size=40, unique=True))
        sizes = data.draw(st.lists(st.integers(1, 10**15 - 1), min_size=len(units), max_size=len(units)))
        split = data.draw(st.integers(0, min(depth, len(units))))
        assume(len(units) - split <= depth)
        units.sort()

        def text(value: int, digits: int) -> str:
            return f"{Decimal(value).scaleb(-digits):.{digits}f}"

        levels = [(text(p, price_digits), text(s, size_digits)) for p, s in zip(units, sizes, strict=True)]
        bids, asks = levels[:split][::-1], levels[split:]
        wanted = frames.checksum(asks, bids)
        if trimmed:  # 0.05 for 0.05000000, and 5e-08 for 0.00000005
            asks, bids = ([(repr(float(p)), repr(float(s))) for p, s in side] for side in (asks, bids))
        listed = market(f"1E-{price_digits}", f"1E-{size_digits}")
        frame = book_frame("snapshot", asks, bids, wanted)
        assert Reader(listed, depth).read(frame).book.checksum == wanted
        if not trimmed:
            assert Reader(None, depth).read(frame).book.checksum == wanted

    def test_ticks_that_are_no_power_of_ten_are_printed_with_the_precision(self) -> None:
        """Steps of 0.5 with a precision of 2: the price is printed 12.50."""
        asks, bids = [("13.00", "1.0")], [("12.50", "2.5")]
        reader = Reader(market("0.50", "0.1")).read(book_frame("snapshot", asks, bids, frames.checksum(asks, bids)))
        assert reader.right == 1

    def test_sizes_of_sixteen_digits(self) -> None:
        """A float still tells them apart, but a multiplication would not give back the last digit."""
        asks, bids = [("0.00000900", "4503599627370.493")], [("0.00000899", "4503599627370.489")]
        reader = Reader(market("1E-8", "0.001")).read(book_frame("snapshot", asks, bids, frames.checksum(asks, bids)))
        assert reader.right == 1

    def test_prices_of_sixteen_digits(self) -> None:
        asks, bids = [("450359.9627370497", "1.0")], [("450359.9627370495", "1.0")]
        reader = Reader(market("1E-10", "0.1")).read(book_frame("snapshot", asks, bids, frames.checksum(asks, bids)))
        assert reader.right == 1

    def test_a_book_from_elsewhere_is_summed_by_the_digits_it_needs(self) -> None:
        book = OrderBook()
        book.replace(BookSnapshot(symbol="X", bids=[(64009.9, 0.75)], asks=[(64010.0, 0.12345678)]))
        verify = Kraken().checksum(None)
        assert verify(book) == frames.checksum([("64010.0", "0.12345678")], [("64009.9", "0.75000000")])

    def test_what_it_remembers_of_levels_is_bounded(self) -> None:
        verify = Kraken().checksum(BTC)
        book = OrderBook()
        for n in range(1, 1500):
            book.replace(BookSnapshot(symbol="X", bids=[(float(n), 0.5)], asks=[]))
            assert verify(book) == frames.checksum([], [(f"{n}.0", "0.50000000")])

    def test_jkorf_s_frame_with_trimmed_numbers(self) -> None:
        raw = shared_file("fixtures/kraken/Subscriptions/Spot/AggBook.txt").read_text()
        frame = raw.partition("= \n")[2]
        known = Reader(market("0.0001", "1E-8", "ETH/USDT")).read(frame)
        assert known.book.checksum == 2439117997
        assert (known.book.bid, known.book.ask) == ((0.5666, 4831.75496356), (0.5668, 4410.79769741))
        assert Reader(None).read(frame).book.printed == (4, 8)


ASKS: list[Level] = [(100.0 + n, 1.0 + n) for n in range(10)]
BIDS: list[Level] = [(99.0 - n, 1.0 + n) for n in range(10)]


class TestWindow:
    """Depth 10, best ten levels: the server's window, and levels that leave it without a word."""

    def snapshot(self, asks: list[Level], bids: list[Level], **how: Any) -> Reader:
        return Reader(**how).read(self.frame("snapshot", asks, bids, asks, bids))

    def frame(
        self,
        kind: str,
        asks: list[Level],
        bids: list[Level],
        asks_after: list[Level],
        bids_after: list[Level],
    ) -> str:
        after = (frames.printed(side, 1, 8) for side in (asks_after, bids_after))
        rows = (frames.printed(side, 1, 8) for side in (asks, bids))
        return book_frame(kind, *rows, frames.checksum(*after))

    def test_a_level_that_comes_back_comes_with_its_size(self) -> None:
        reader = self.snapshot(ASKS, BIDS)
        inside = [(99.5, 5.0), *ASKS[:9]]
        reader.read(self.frame("update", [(99.5, 5.0)], [], inside, BIDS))
        assert reader.book.asks.top(99) == inside  # 109 left
        back = [*ASKS[:9], (109.0, 0.25)]  # it changed while it was outside
        reader.read(self.frame("update", [(99.5, 0.0), (109.0, 0.25)], [], back, BIDS))
        assert reader.book.asks.top(99) == back

    def test_a_level_that_went_while_it_was_outside_does_not_come_back(self) -> None:
        """Without the cut the stale 109 would be the tenth again, and the checksum wrong."""
        reader = self.snapshot(ASKS, BIDS)
        reader.read(self.frame("update", [(99.5, 5.0)], [], [(99.5, 5.0), *ASKS[:9]], BIDS))
        reader.read(self.frame("update", [(99.5, 0.0)], [], ASKS[:9], BIDS))
        assert len(reader.book.asks.levels) == 9
        assert reader.right == 3

    def test_all_levels_of_a_message_count_before_the_cut(self) -> None:
        """A new best level and the removal of another: cut in between, the tenth would be lost."""
        reader = self.snapshot(ASKS, BIDS)
        after = [(99.5, 5.0), *ASKS[1:]]
        reader.read(self.frame("update", [(99.5, 5.0), (100.0, 0.0)], [], after, BIDS))
        assert reader.book.asks.top(99) == after

    def test_a_price_that_comes_twice_in_a_message_counts_as_it_came_last(self) -> None:
        reader = self.snapshot(ASKS, BIDS)
        gone = [(98.5, 3.0), *BIDS[1:]]
        reader.read(self.frame("update", [], [(99.0, 7.0), (98.5, 3.0), (99.0, 0.0)], ASKS, gone))
        assert reader.book.bid == (98.5, 3.0)
        back = [(99.0, 2.0), *gone[:9]]
        reader.read(self.frame("update", [], [(99.0, 0.0), (99.0, 2.0)], ASKS, back))
        assert reader.book.bid == (99.0, 2.0)

    def test_a_crossed_book_with_a_right_checksum_is_refused(self) -> None:
        reader = self.snapshot(ASKS, BIDS)
        bids = [(100.0, 1.0), *BIDS[:9]]
        with pytest.raises(CrossedError):
            reader.read(self.frame("update", [], [(100.0, 1.0)], ASKS, bids))

    def thick(self, reader: Reader, bids: int, asks: int) -> Reader:
        """A snapshot of so many levels."""
        levels = [(2000.0 + n, 1.0) for n in range(asks)], [(1999.0 - n, 1.0) for n in range(bids)]
        return reader.read(self.frame("snapshot", *levels, *levels))

    @pytest.mark.parametrize(
        ("subscribed", "bids", "asks", "window"),
        [
            (100, 10, 10, 10),  # a server that plays a recording of depth 10, whatever is asked for
            (100, 25, 25, 25),
            (1000, 100, 100, 100),
            (10, 10, 10, 10),
            (25, 25, 25, 25),
            (100, 10, 9, 100),  # a thin market
            (100, 9, 9, 100),
            (100, 11, 11, 100),
            (10, 25, 25, 25),  # played, and more than asked for
            (100, 500, 500, 500),
            (100, 1000, 970, 1000),
            (100, 0, 0, 100),
        ],
    )
    def test_which_window_a_snapshot_means(self, subscribed: int, bids: int, asks: int, window: int) -> None:
        reader = Reader(depth=subscribed)
        reader.session.subscribe([Subscription(channel=Channel.BOOK, symbol="BTC/USD")])
        assert self.thick(reader, bids, asks).book.depth == window
        reader.read(ack(subscribed, req_id=1))
        assert self.thick(reader, bids, asks).book.depth == window

    @pytest.mark.parametrize(
        ("acknowledged", "bids", "asks", "window"),
        [
            *((depth, depth, depth, depth) for depth in DEPTHS),
            *((depth, 4, 10, depth) for depth in DEPTHS),
            (1000, 100, 100, 1000),  # really a hundred
            (None, 10, 10, 10),
            (None, 10, 9, 10),  # one side is full
            (None, 500, 431, 500),
            (None, 1000, 1000, 1000),
            (None, 9, 9, 100),  # nothing tells: the usual one
            (None, 430, 250, 500),  # at least
        ],
    )
    def test_which_window_a_recording_means(self, acknowledged: int | None, bids: int, asks: int, window: int) -> None:
        reader = Reader(depth=100)
        if acknowledged is not None:
            reader.read(ack(acknowledged))
        assert self.thick(reader, bids, asks).book.depth == window

    def test_a_book_that_is_asked_for_anew_may_have_another_depth(self) -> None:
        reader = Reader(depth=100).read(ack(1000), ack(1000, method="unsubscribe"))
        assert self.thick(reader, 10, 10).book.depth == 10

    @pytest.mark.parametrize("acknowledged", [True, False])
    @pytest.mark.parametrize("depth", DEPTHS)
    def test_every_depth_stays_right_while_it_is_eaten(self, depth: int, acknowledged: bool) -> None:
        """A server of that depth: best asks go one by one, and a deeper one comes into its window each time."""
        market = [(2000.0 + n, 1.0) for n in range(depth + 150)]
        bids = [(1999.0 - n, 1.0) for n in range(depth)]
        reader = Reader(depth=100).read(*([ack(depth)] if acknowledged else []))
        reader.read(self.frame("snapshot", market[:depth], bids, market[:depth], bids))
        for eaten in range(1, 151):
            shown = market[eaten : eaten + depth]
            reader.read(self.frame("update", [(market[eaten - 1][0], 0.0), shown[-1]], [], shown, bids))
        assert reader.right == 151
        assert reader.book.asks.top(depth + 1) == market[150:]

    def test_a_wrong_guess_is_found_by_the_checksum(self) -> None:
        """A market that really has ten levels a side at depth 100: the eleventh is cut, and missed when it moves up."""
        reader = Reader(depth=100)
        reader.session.subscribe([Subscription(channel=Channel.BOOK, symbol="BTC/USD")])
        reader.read(self.frame("snapshot", ASKS, BIDS, ASKS, BIDS))
        eleven = [*ASKS, (110.0, 4.0)]
        reader.read(self.frame("update", [(110.0, 4.0)], [], eleven, BIDS))
        with pytest.raises(ChecksumError):
            reader.read(self.frame("update", [(100.0, 0.0)], [], eleven[1:], BIDS))
        assert reader.sync.needs is Need.RESUBSCRIBE


def recorded(name: str) -> list[str]:
    with gzip.open(shared_file(f"captures/{name}.jsonl.gz"), "rt", encoding="utf-8") as file:
        next(file)
        return [json.loads(line)["raw"] for line in file]


class TestRecordedBook:
    @pytest.mark.parametrize("listed", [BTC, None], ids=["listed", "unlisted"])
    @pytest.mark.parametrize("depth", [10, 100, 1000])
    def test_every_checksum_is_right(self, listed: Market | None, depth: int) -> None:
        raws = recorded("kraken-v2-book-2026-09")
        assert len(raws) == 88
        reader = Reader(listed, depth).read(*raws)
        assert reader.right == 78
        assert reader.book.checksum == 1907330995
        assert (reader.book.bid, reader.book.ask) == ((77362.6, 0.65773027), (77362.7, 0.13311041))
        assert reader.book.exchange_ms == 1789228120407
        assert len(reader.book.bids.levels) == len(reader.book.asks.levels) == 10
        assert reader.book.depth == 10

    def test_the_book_equals_one_made_of_text(self) -> None:
        """The same frames with the printed text kept as text, and nothing of our code but the parser."""
        reader = Reader()
        text: dict[str, dict[str, str]] = {"bids": {}, "asks": {}}
        for raw in recorded("kraken-v2-book-2026-09"):
            reader.read(raw)
            frame = json.loads(raw, parse_float=str, parse_int=str)
            if frame.get("channel") != "book":
                continue
            for side, reverse in (("bids", True), ("asks", False)):
                for level in frame["data"][0][side]:
                    text[side][level["price"]] = level["qty"]
                kept = [p for p, q in text[side].items() if float(q)]
                kept = sorted(kept, key=Decimal, reverse=reverse)[:10]
                text[side] = {price: text[side][price] for price in kept}
                ours = reader.book.bids if side == "bids" else reader.book.asks
                assert frames.printed(ours.top(99), 1, 8) == list(text[side].items())

    def test_what_else_it_says(self) -> None:
        reader = Reader()
        events = [event for raw in recorded("kraken-v2-book-2026-09") for event in reader.session.parse(raw)]
        assert sum(isinstance(event, Heartbeat) for event in events) == 8
        assert sum(isinstance(event, BookSnapshot) for event in events) == 1
        assert sum(isinstance(event, BookDelta) for event in events) == 77


def known_frames() -> list[bytes]:
    """Recorded frames where they are at hand, and the documented ones in any case."""
    found = [frame.encode() for frame in frames.DOCUMENTED]
    for name in ("kraken-v2-book-2026-09", "kraken-v2-trade-2026-09"):
        if (SHARED / f"captures/{name}.jsonl.gz").exists():
            found += [raw.encode() for raw in recorded(name)[:12]]
    return found


FRAMES = known_frames()
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**25), 10**25)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["NaN", "Infinity", "-1", "1e999999", "book", "snapshot", "update", "BTC/USD", ""]),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=6), children, max_size=3),
    max_leaves=5,
)


def replaced(value: Any, draw: st.DrawFn, path: int) -> Any:
    """``value`` with one of its parts, chosen on the way down, replaced by something else or left out."""
    if path == 0 or not isinstance(value, dict | list) or not value:
        return draw(JSON_VALUES)
    if isinstance(value, dict):
        key = draw(st.sampled_from(sorted(value)))
        if draw(st.integers(0, 9)) == 0:
            return {name: part for name, part in value.items() if name != key}
        return {**value, key: replaced(value[key], draw, path - 1)}
    at = draw(st.integers(0, len(value) - 1))
    return [*value[:at], replaced(value[at], draw, path - 1), *value[at + 1 :]]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A frame with bytes overwritten, taken out, put in, or cut off."""
    raw = bytearray(draw(st.sampled_from(FRAMES)))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(raw) - 1)))
        how = draw(st.integers(0, 3))
        if how == 0:
            raw[at : at + 1] = draw(st.binary(max_size=3))
        elif how == 1:
            del raw[at : at + draw(st.integers(1, 20))]
        elif how == 2:
            raw[at:at] = draw(st.sampled_from([b"0", b"9", b"-", b"e", b'"', b"[", b"{", b"null", b"\xff", b"9e99"]))
        else:
            del raw[at:]
    return bytes(raw)


@st.composite
def altered(draw: st.DrawFn) -> bytes:
    """A frame of right JSON, with another value somewhere."""
    frame = json.loads(draw(st.sampled_from(FRAMES)))
    return json.dumps(replaced(frame, draw, draw(st.integers(1, 5)))).encode()


class TestGarbage:
    @given(raw=damaged() | altered() | st.binary(max_size=40) | st.text(max_size=40), listed=st.booleans())
    def test_only_a_parse_error_comes_out(self, raw: bytes | str, listed: bool) -> None:
        """And what is understood can be applied, or refused as a book that cannot be trusted."""
        reader = Reader(BTC if listed else None).read(frames.SNAPSHOT_A)
        try:
            events = reader.session.parse(raw)
        except ParseError as error:
            assert str(error).startswith("Kraken")
            assert len(error.raw) <= 200
            return
        for event in events:
            try:
                reader.take(event)
            except SyncError:
                assert not reader.sync.ready

    @pytest.mark.parametrize(
        ("frame", "says"),
        [
            ("", "truncated"),
            ("[]", "array"),
            ("null", "null"),
            ("{}", "neither data nor a reply"),
            ('{"channel":"book","type":"update"}', "truncated"),
            ('{"channel":"book","type":"patch","data":[]}', "type of book is 'patch'"),
            ('{"channel":"book","data":[]}', "type of book is None"),
            (frames.UPDATE_B.replace("0.20000000", "-0.2"), r"data\[0\].asks\[0\].qty|\[0\].asks\[0\].qty"),
            (frames.UPDATE_B.replace("64010.3", "0"), r"asks\[0\].price"),
            (frames.UPDATE_B.replace("64010.3", "1e300"), r"asks\[0\].price"),
            (frames.UPDATE_B.replace("64010.3", '"64010.3"'), r"asks\[0\].price"),
            (frames.UPDATE_B.replace('"checksum": 3980408804, ', ""), "checksum"),
            (frames.UPDATE_B.replace("3980408804", "4294967296"), "checksum"),
            (frames.UPDATE_B.replace("2026-05-05T10:00:00.103412Z", "2026-05-05T10:00:00"), "timestamp"),
            (frames.TRADES.replace("105944.2", '"NaN"'), "price is NaN"),
            (frames.TRADES.replace("105944.2", "1e999999"), r"price is 1E\+999999"),
            (frames.TRADES.replace("105944.2", "-5"), "price is -5, which is negative"),
            (frames.TRADES.replace('"buy"', '"hold"'), "side"),
            ("[" * 100_000, "recursion|array"),
            (b'{"channel":"\xff"}', "utf-8|UTF-8"),
            ('{"channel":"\ud800"}', "utf-8|UTF-8"),
        ],
    )
    def test_errors_say_what_and_where(self, frame: bytes | str, says: str) -> None:
        with pytest.raises(ParseError, match=says):
            Kraken().session("spot", MarketIndex()).parse(frame)
