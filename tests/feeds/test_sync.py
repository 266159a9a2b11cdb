"""Snapshot and updates give the exchange's book, whatever is lost, late, doubled or out of order on the way.

Two made-up exchanges keep the truth, one that numbers its updates (snapshot by REST) and one that proves its book by
checksums (snapshot by stream). Whenever :class:`BookSync` says that its book is ready, it must be the truth of that
moment; anything else it may only refuse.
"""

import random
import zlib

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import structs

from feeds.book import OrderBook
from feeds.domain import BookDelta, BookSnapshot, Level
from feeds.errors import ChecksumError, CrossedError, GapError, SyncError
from feeds.sync import THIN, BookSync, Need

Book = tuple[dict[float, float], dict[float, float]]  # bids, asks


def best(book: Book, n: int | None) -> tuple[list[Level], list[Level]]:
    bids, asks = book
    return sorted(bids.items(), reverse=True)[:n], sorted(asks.items())[:n]


def change(book: Book, draw: random.Random) -> Book:
    """The book after one to four changes; bids 1 to 20, asks 21 to 40, so it is never crossed."""
    bids, asks = dict(book[0]), dict(book[1])
    for _ in range(draw.randint(1, 4)):
        side, price = draw.choice([(bids, draw.randint(1, 20)), (asks, draw.randint(21, 40))])
        if draw.random() < 0.4:
            side.pop(float(price), None)
        else:
            side[float(price)] = draw.randint(1, 1000) / 8
    return bids, asks


def difference(old: dict[float, float], new: dict[float, float]) -> list[Level]:
    gone = [(price, 0.0) for price in old if price not in new]
    return gone + [(price, size) for price, size in new.items() if old.get(price) != size]


class NumberedMachine(RuleBasedStateMachine):
    """An exchange like Binance. ``at`` is the next update that the stream delivers."""

    pending_limit = 1000

    def __init__(self) -> None:
        super().__init__()
        self.seqs = [10]
        self.books: dict[int, Book] = {10: ({}, {})}
        self.stream: list[BookDelta] = []
        self.at = 0
        self.sync = BookSync(from_rest=True, pending_limit=self.pending_limit)
        self.sync.start()
        self.shown: int | None = None  # update id of the last book shown in this subscription

    # -- the exchange ------------------------------------------------------------------------------------------------

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        self.trade(seed, 30)
        self.at = len(self.stream)

    @rule(seed=st.integers(0, 2**32), count=st.integers(1, 12))
    def trade(self, seed: int, count: int) -> None:
        draw = random.Random(seed)
        for _ in range(count):
            prev = self.seqs[-1]
            seq = prev + draw.randint(1, 3)
            old, new = self.books[prev], change(self.books[prev], draw)
            self.seqs.append(seq)
            self.books[seq] = new
            self.stream.append(
                BookDelta(
                    symbol="X",
                    bids=difference(old[0], new[0]),
                    asks=difference(old[1], new[1]),
                    prev=prev,
                    seq=seq,
                )
            )

    # -- the way to us -----------------------------------------------------------------------------------------------

    def deliver(self, delta: BookDelta) -> None:
        try:
            self.sync.take_delta(delta)
        except SyncError as error:
            assert isinstance(error, GapError)
            assert not self.sync.ready

    @precondition(lambda self: self.at < len(self.stream))
    @rule(count=st.integers(1, 8))
    def arrive(self, count: int) -> None:
        for delta in self.stream[self.at : self.at + count]:
            self.deliver(delta)
        self.at = min(self.at + count, len(self.stream))

    @precondition(lambda self: self.at < len(self.stream))
    @rule()
    def lose(self) -> None:
        self.at += 1

    @precondition(lambda self: self.at + 1 < len(self.stream))
    @rule()
    def swap(self) -> None:
        self.deliver(self.stream[self.at + 1])
        self.deliver(self.stream[self.at])
        self.at += 2

    @precondition(lambda self: self.at > 0)
    @rule(back=st.integers(1, 6))
    def double(self, back: int) -> None:
        self.deliver(self.stream[max(0, self.at - back)])

    @rule(back=st.integers(0, 12), depth=st.none() | st.integers(1, 20), again=st.booleans())
    def answer(self, back: int, depth: int | None, again: bool) -> None:
        """By REST: of now, or older, since it may have been under way or in a cache."""
        self.snapshot(back, depth, again)

    def snapshot(self, back: int = 0, depth: int | None = None, again: bool = False) -> bool:
        seq = self.seqs[max(0, len(self.seqs) - 1 - back)]
        bids, asks = best(self.books[seq], depth)
        try:
            return self.sync.take_snapshot(
                BookSnapshot(symbol="X", bids=bids, asks=asks, seq=seq, depth=depth, again=again)
            )
        except SyncError as error:
            assert isinstance(error, GapError)
            assert not self.sync.ready
            return False

    @rule()
    def grow_thin(self) -> None:
        ready = self.sync.ready
        if self.sync.refresh():
            assert ready and self.sync.ready
            assert self.sync.needs is Need.SNAPSHOT
            assert not self.sync.refresh()

    @rule()
    def overflow(self) -> None:
        """Our own buffer dropped frames, and we know it."""
        self.at = len(self.stream)
        self.sync.drop()

    @rule()
    def reconnect(self) -> None:
        self.at = len(self.stream)
        self.sync.start()
        self.shown = None

    # -- what must hold ----------------------------------------------------------------------------------------------

    @invariant()
    def never_wrong(self) -> None:
        book = self.sync.book
        if not self.sync.ready:
            assert self.sync.needs is Need.SNAPSHOT
            assert book.bid is None and book.ask is None
            return
        assert book.seq is not None
        truth = self.books[book.seq]
        for ours, theirs in ((book.bids, truth[0]), (book.asks, truth[1])):
            known = {p: s for p, s in theirs.items() if ours.bound is None or ours.sign * p <= ours.bound}
            assert ours.levels == known

    @invariant()
    def never_back_in_time(self) -> None:
        if self.sync.ready:
            seq = self.sync.book.seq
            assert seq is not None
            assert self.shown is None or seq >= self.shown
            self.shown = seq

    def teardown(self) -> None:
        """When the way is clear again, the second snapshot at the latest brings the present."""
        self.arrive(len(self.stream))
        if self.sync.needs is Need.SNAPSHOT:
            assert self.snapshot() or self.snapshot()
        assert self.sync.ready
        assert self.sync.needs is Need.NOTHING
        if self.sync.book.seq != self.seqs[-1]:  # the last updates were lost: the next one tells
            self.trade(0, 1)
            self.arrive(1)
            assert not self.sync.ready
            assert self.snapshot()
        self.never_wrong()
        assert self.sync.book.seq == self.seqs[-1]


class FewPendingMachine(NumberedMachine):
    """The same with room for three updates while waiting for a snapshot."""

    pending_limit = 3


TestNumbered = NumberedMachine.TestCase
TestNumbered.settings = settings(max_examples=80, stateful_step_count=30)
TestFewPending = FewPendingMachine.TestCase
TestFewPending.settings = settings(max_examples=60, stateful_step_count=30)

WINDOW = 5


def crc(bids: list[Level], asks: list[Level]) -> int:
    return zlib.crc32(repr((asks[:WINDOW], bids[:WINDOW])).encode())


def verify(book: OrderBook) -> int:
    return crc(book.bids.top(WINDOW), book.asks.top(WINDOW))


class SummedMachine(RuleBasedStateMachine):
    """An exchange like Kraken: no numbers, a checksum with every message, a window of levels, and no word about the
    levels that leave it."""

    def __init__(self) -> None:
        super().__init__()
        self.book: Book = ({}, {})
        self.windows: list[tuple[list[Level], list[Level]]] = [([], [])]
        self.stream: list[BookDelta] = []
        self.at = 0
        self.sync = BookSync(from_rest=False, truncates=True, verify=verify)
        self.sync.start()
        self.arrived: int | None = None

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        self.trade(seed, 30)
        self.resubscribe()

    @rule(seed=st.integers(0, 2**32), count=st.integers(1, 12))
    def trade(self, seed: int, count: int) -> None:
        draw = random.Random(seed)
        for _ in range(count):
            self.book = change(self.book, draw)
            old, new = self.windows[-1], best(self.book, WINDOW)
            changes = []
            for before, now, whole in zip(old, new, self.book, strict=True):
                gone = [(price, 0.0) for price, _ in before if price not in whole]
                changes.append(gone + [level for level in now if level not in before])
            self.windows.append(new)
            self.stream.append(BookDelta(symbol="X", bids=changes[0], asks=changes[1], checksum=crc(*new)))

    def deliver(self, number: int) -> None:
        try:
            if self.sync.take_delta(self.stream[number]):
                self.arrived = number
        except SyncError as error:
            assert isinstance(error, ChecksumError | CrossedError)
            assert not self.sync.ready
            assert self.sync.needs is Need.RESUBSCRIBE

    @precondition(lambda self: self.at < len(self.stream))
    @rule(count=st.integers(1, 8))
    def arrive(self, count: int) -> None:
        for number in range(self.at, min(self.at + count, len(self.stream))):
            self.deliver(number)
        self.at = min(self.at + count, len(self.stream))

    @precondition(lambda self: self.at < len(self.stream))
    @rule()
    def lose(self) -> None:
        self.at += 1

    @precondition(lambda self: self.at + 1 < len(self.stream))
    @rule()
    def swap(self) -> None:
        self.deliver(self.at + 1)
        self.deliver(self.at)
        self.at += 2

    @precondition(lambda self: self.at > 0)
    @rule(back=st.integers(1, 6))
    def double(self, back: int) -> None:
        self.deliver(max(0, self.at - back))

    @rule()
    def resubscribe(self) -> None:
        """A new subscription begins with a snapshot, whatever was under way."""
        self.at = len(self.stream)
        self.sync.start()
        assert self.sync.needs is Need.NOTHING
        bids, asks = self.windows[-1]
        snapshot = BookSnapshot(symbol="X", bids=bids, asks=asks, depth=WINDOW, checksum=crc(bids, asks))
        assert self.sync.take_snapshot(snapshot)
        self.arrived = len(self.stream) - 1

    @invariant()
    def never_wrong(self) -> None:
        if self.sync.ready and self.arrived is not None:
            book = self.sync.book
            assert (book.bids.top(99), book.asks.top(99)) == self.windows[self.arrived + 1]

    @invariant()
    def never_thin(self) -> None:
        assert not self.sync.refresh()


TestSummed = SummedMachine.TestCase
TestSummed.settings = settings(max_examples=80, stateful_step_count=30)


def snapshot(seq: int | None = None, depth: int | None = None, **more: object) -> BookSnapshot:
    levels: dict[str, object] = {"bids": [(99.0, 1.0)], "asks": [(100.0, 1.0)], **more}
    return BookSnapshot(symbol="X", seq=seq, depth=depth, **levels)


def delta(prev: int, seq: int, bids: list[Level] | None = None) -> BookDelta:
    return BookDelta(symbol="X", bids=bids or [], asks=[], prev=prev, seq=seq)


class TestFromRest:
    def start(self) -> BookSync:
        sync = BookSync(from_rest=True)
        sync.start()
        return sync

    def test_waits_for_a_snapshot_and_applies_what_came_meanwhile(self) -> None:
        sync = self.start()
        assert sync.needs is Need.SNAPSHOT
        assert not sync.take_delta(delta(1, 2, [(99.0, 5.0)]))
        assert not sync.take_delta(delta(2, 3, [(98.0, 7.0)]))
        assert sync.take_snapshot(snapshot(2))
        assert sync.book.bids.top(9) == [(99.0, 1.0), (98.0, 7.0)]
        assert (sync.book.seq, sync.needs, sync.resyncs) == (3, Need.NOTHING, 0)

    def test_asks_again_when_the_snapshot_is_older_than_the_first_update(self) -> None:
        sync = self.start()
        sync.take_delta(delta(5, 6))
        assert not sync.take_snapshot(snapshot(4))
        assert sync.needs is Need.SNAPSHOT
        assert sync.take_snapshot(snapshot(5))

    def test_a_gap_drops_the_book_and_keeps_what_follows_it(self) -> None:
        sync = self.start()
        sync.take_snapshot(snapshot(1))
        with pytest.raises(GapError):
            sync.take_delta(delta(4, 5, [(98.0, 3.0)]))
        assert (sync.ready, sync.needs, sync.resyncs) == (False, Need.SNAPSHOT, 1)
        assert sync.take_snapshot(snapshot(4))
        assert sync.book.bids.top(9) == [(99.0, 1.0), (98.0, 3.0)]

    def test_a_gap_among_the_waiting_updates_keeps_what_follows_it(self) -> None:
        sync = self.start()
        for prev, seq in ((1, 2), (5, 6), (6, 7)):
            sync.take_delta(delta(prev, seq))
        with pytest.raises(GapError):
            sync.take_snapshot(snapshot(1))
        assert not sync.take_snapshot(snapshot(4))
        assert sync.take_snapshot(snapshot(5))
        assert sync.book.seq == 7

    def test_a_book_of_the_past_is_refused_after_lost_frames(self) -> None:
        sync = self.start()
        sync.take_snapshot(snapshot(8))
        sync.drop()
        assert not sync.take_snapshot(snapshot(7))
        assert sync.needs is Need.SNAPSHOT
        assert sync.take_snapshot(snapshot(8))

    def test_ids_may_begin_anew_with_a_new_subscription(self) -> None:
        sync = self.start()
        sync.take_snapshot(snapshot(8))
        sync.start()
        assert sync.take_snapshot(snapshot(1))

    def test_a_crossed_snapshot_is_dropped(self) -> None:
        sync = self.start()
        with pytest.raises(CrossedError):
            sync.take_snapshot(snapshot(1, bids=[(101.0, 1.0)]))
        assert (sync.ready, sync.needs, sync.resyncs) == (False, Need.SNAPSHOT, 1)


class TestRefresh:
    def wide(self, seq: int, levels: int, depth: int | None) -> BookSnapshot:
        bids = [(1000.0 - n, 1.0) for n in range(levels)]
        return snapshot(seq, depth, bids=bids, asks=[(2000.0 + n, 1.0) for n in range(levels)])

    def test_a_side_that_runs_out_is_fetched_while_the_book_stays_in_use(self) -> None:
        sync = BookSync(from_rest=True)
        sync.take_snapshot(self.wide(1, 2 * THIN, 2 * THIN))
        assert not sync.refresh()
        sync.take_delta(delta(1, 2, [(1000.0 - n, 0.0) for n in range(THIN + 1)]))
        assert sync.refresh()
        assert (sync.ready, sync.needs) == (True, Need.SNAPSHOT)
        sync.take_delta(delta(2, 3, [(999.0, 4.0)]))
        assert sync.book.bid == (999.0, 4.0)
        assert sync.take_snapshot(self.wide(2, 2 * THIN, 2 * THIN))
        assert sync.book.bids.top(2) == [(1000.0, 1.0), (999.0, 4.0)]
        assert sync.needs is Need.NOTHING
        assert not sync.refresh()

    def test_an_older_answer_does_not_replace_a_book_in_use(self) -> None:
        sync = BookSync(from_rest=True)
        sync.take_snapshot(self.wide(5, 1, 4))
        sync.take_delta(delta(5, 6))
        assert not sync.take_snapshot(self.wide(5, 1, 4))
        assert sync.book.seq == 6
        assert sync.ready
        assert sync.needs is Need.NOTHING, "the newer book is here: nothing has to be asked for"

    def test_whole_books_by_stream_and_one_by_rest_are_taken_in_their_order(self) -> None:
        """An exchange whose every message is a whole book: the first one by REST, which may be of before or after."""
        for order, taken in (((5, 6, 7), (True, True, True)), ((6, 5, 7), (True, False, True))):
            sync = BookSync(from_rest=True)
            sync.start()
            assert tuple(sync.take_snapshot(self.wide(seq, 3, 3)) for seq in order) == taken
            assert (sync.book.seq, sync.needs) == (7, Need.NOTHING)

    def test_an_update_that_came_twice_does_not_look_like_a_gap(self) -> None:
        """It is in the book, so it must not become the first of the updates kept for the new snapshot."""
        sync = BookSync(from_rest=True)
        sync.take_snapshot(self.wide(5, 3, 3))
        sync.take_delta(delta(5, 6, [(1000.0, 0.0), (999.0, 0.0), (998.0, 0.0)]))
        assert sync.refresh()
        sync.take_delta(delta(3, 4))
        sync.take_delta(delta(6, 7))
        assert not sync.take_snapshot(self.wide(5, 3, 3))
        assert sync.take_snapshot(self.wide(6, 3, 3))
        assert sync.resyncs == 0

    def test_a_short_snapshot_is_not_thin_by_itself(self) -> None:
        sync = BookSync(from_rest=True)
        sync.take_snapshot(self.wide(1, 20, 20))
        assert not sync.refresh()

    def test_a_whole_book_is_never_thin(self) -> None:
        sync = BookSync(from_rest=True)
        sync.take_snapshot(self.wide(1, 2, None))
        assert not sync.refresh()

    def test_nothing_to_refresh_before_the_first_snapshot(self) -> None:
        sync = BookSync(from_rest=True)
        assert not sync.refresh()


class TestByStream:
    def test_a_wrong_checksum_asks_for_a_new_subscription(self) -> None:
        sync = BookSync(from_rest=False, truncates=True, verify=lambda book: 1)
        sync.start()
        assert sync.needs is Need.NOTHING
        assert not sync.take_delta(BookDelta(symbol="X", bids=[], asks=[], checksum=2))  # before the snapshot
        assert sync.take_snapshot(snapshot(depth=10, checksum=1))
        with pytest.raises(ChecksumError):
            sync.take_delta(BookDelta(symbol="X", bids=[], asks=[], checksum=2))
        assert (sync.ready, sync.needs, sync.resyncs) == (False, Need.RESUBSCRIBE, 1)
        assert not sync.take_delta(BookDelta(symbol="X", bids=[(1.0, 1.0)], asks=[], checksum=1))
        assert sync.take_snapshot(snapshot(depth=10, checksum=1))
        assert sync.needs is Need.NOTHING

    def test_numbers_may_begin_anew_with_a_new_snapshot(self) -> None:
        """Exchanges that number their streams restart them with the service."""
        sync = BookSync(from_rest=False)
        sync.take_snapshot(snapshot(500))
        sync.take_delta(delta(500, 501))
        assert sync.take_snapshot(snapshot(1))
        assert sync.book.seq == 1

    def test_a_chain_that_goes_back_is_another_numbering(self) -> None:
        """Ignored as old, the update and all after it would leave a frozen book that looks alive."""
        sync = BookSync(from_rest=False)
        sync.take_snapshot(snapshot(500))
        with pytest.raises(GapError, match="follows 12, the book is at 500"):
            sync.take_delta(structs.replace(delta(12, 13), chained=True))
        assert (sync.ready, sync.needs) == (False, Need.RESUBSCRIBE)
        assert sync.take_snapshot(snapshot(14)), "what did not fit is not waited for"

    def test_an_update_of_a_chain_that_comes_twice_is_none(self) -> None:
        sync, update = BookSync(from_rest=False), structs.replace(delta(500, 501), chained=True)
        sync.take_snapshot(snapshot(500))
        sync.take_delta(update)
        assert not sync.take_delta(update)
        assert sync.ready

    def test_a_book_whose_known_levels_are_used_up_is_of_no_use(self) -> None:
        """The price has moved through what the snapshot covered; what lies beyond was never told."""
        levels = [(float(price), 1.0) for price in range(50, 0, -1)]
        sync = BookSync(from_rest=False)
        sync.take_snapshot(BookSnapshot(symbol="X", bids=levels, asks=[(60.0, 1.0)], seq=1, depth=50))
        for seq in range(2, 47):
            assert sync.take_delta(delta(seq - 1, seq, bids=[(float(52 - seq), 0.0)]))
        with pytest.raises(SyncError, match="fewer than 5 known levels"):
            sync.take_delta(delta(46, 47, bids=[(5.0, 0.0)]))
        assert (sync.ready, sync.needs) == (False, Need.RESUBSCRIBE)


def test_a_snapshot_by_stream_that_is_a_little_older_than_the_book_came_out_of_order():
    sync = BookSync(from_rest=False)
    sync.start()
    sync.take_snapshot(BookSnapshot(symbol="A/B", bids=[(1.0, 1.0)], asks=[(2.0, 1.0)], seq=200))
    sync.take_delta(BookDelta(symbol="A/B", bids=[(1.0, 2.0)], asks=[], prev=200, seq=201))
    with pytest.raises(GapError, match="a snapshot of 200 came when the book was at 201"):
        sync.take_snapshot(BookSnapshot(symbol="A/B", bids=[(1.0, 1.0)], asks=[(2.0, 1.0)], seq=200))
    assert not sync.ready
    assert sync.needs is Need.RESUBSCRIBE
    assert sync.take_snapshot(BookSnapshot(symbol="A/B", bids=[(1.0, 3.0)], asks=[(2.0, 1.0)], seq=202))


def test_numbers_that_begin_anew_with_a_snapshot_are_no_disorder():
    sync = BookSync(from_rest=False)
    sync.start()
    sync.take_snapshot(BookSnapshot(symbol="A/B", bids=[(1.0, 1.0)], asks=[(2.0, 1.0)], seq=5_000))
    assert sync.take_snapshot(BookSnapshot(symbol="A/B", bids=[(1.5, 1.0)], asks=[(2.0, 1.0)], seq=1))
    assert sync.book.seq == 1


@pytest.mark.parametrize(
    ("seq", "ms", "taken"),
    [
        (199, 5_001, True),  # a restart of the service
        (1, 5_001, True),
        (199, 5_000, False),  # of the same millisecond: the number tells
        (199, 4_999, False),
        (1, 4_999, False),  # however far behind it is
        (200, 4_999, True),  # the same book once more
        (201, 4_000, True),
    ],
)
def test_the_time_tells_whether_a_snapshot_of_a_lower_number_is_late(seq: int, ms: int, taken: bool) -> None:
    sync = BookSync(from_rest=False)
    sync.start()
    sync.take_snapshot(BookSnapshot(symbol="A/B", bids=[(1.0, 1.0)], asks=[(2.0, 1.0)], seq=200, exchange_ms=5_000))
    late = BookSnapshot(symbol="A/B", bids=[(1.5, 1.0)], asks=[(2.0, 1.0)], seq=seq, exchange_ms=ms)
    if taken:
        assert sync.take_snapshot(late)
        assert (sync.book.bid, sync.resyncs) == ((1.5, 1.0), 0)
    else:
        with pytest.raises(GapError):
            sync.take_snapshot(late)
        assert sync.needs is Need.RESUBSCRIBE


@pytest.mark.parametrize("ms", [None, 4_999, 5_000, 5_001])
def test_where_any_snapshot_is_the_book_its_number_does_not_matter(ms: int | None) -> None:
    sync = BookSync(from_rest=False, replaces=True)
    sync.start()
    sync.take_snapshot(BookSnapshot(symbol="A/B", bids=[(1.0, 1.0)], asks=[(2.0, 1.0)], seq=9, exchange_ms=5_000))
    for seq in (8, 1):
        assert sync.take_snapshot(
            BookSnapshot(symbol="A/B", bids=[(1.5, 1.0)], asks=[(2.0, 1.0)], seq=seq, exchange_ms=ms)
        )
    assert sync.take_delta(BookDelta(symbol="A/B", bids=[(1.6, 1.0)], asks=[], prev=1, seq=2))
    assert sync.book.bid == (1.6, 1.0)
