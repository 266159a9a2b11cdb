"""The order book against a naive one: plain dictionaries that are sorted whenever somebody asks."""

import random
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from feeds import book as book_module
from feeds.book import BookSide, OrderBook
from feeds.domain import BookDelta, BookSnapshot, Level
from feeds.errors import ChecksumError, CrossedError, GapError, SyncError, Verdict

BIDS, ASKS = -1, +1


def snapshot(bids: list[Level], asks: list[Level], **more: object) -> BookSnapshot:
    return BookSnapshot(symbol="BTC/USD", bids=bids, asks=asks, **more)


def delta(bids: list[Level], asks: list[Level], **more: object) -> BookDelta:
    return BookDelta(symbol="BTC/USD", bids=bids, asks=asks, **more)


class NaiveSide:
    """What a side of a book is, in the fewest words."""

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.levels: dict[float, float] = {}
        self.bound: float | None = None

    def replace(self, levels: list[Level], depth: int | None) -> None:
        self.levels, self.bound = {}, None
        self.update(levels)
        if depth is not None and len(self.levels) >= depth:
            self.bound = self.sorted()[-1][0]

    def update(self, changes: list[Level]) -> None:
        for price, size in changes:
            if not size:
                self.levels.pop(price, None)
            elif price in self.levels or self.bound is None or self.sign * price <= self.sign * self.bound:
                self.levels[price] = size

    def truncate(self, depth: int | None) -> None:
        self.levels = dict(self.sorted()[:depth])

    def sorted(self) -> list[Level]:
        return sorted(self.levels.items(), key=lambda level: self.sign * level[0])


class BookMachine(RuleBasedStateMachine):
    """Any snapshots and updates, in any order: both books say the same, or both refuse for the same reason.

    Prices 0.01 to 4.00. The seeds make more and deeper changes than lists drawn one by one could.
    """

    head = book_module.NEAR

    def __init__(self) -> None:
        super().__init__()
        self.was = book_module.NEAR
        book_module.NEAR = self.head
        self.book = OrderBook()
        self.naive = {BIDS: NaiveSide(BIDS), ASKS: NaiveSide(ASKS)}
        self.window: int | None = None
        self.seq: int | None = None
        self.ready = False

    def teardown(self) -> None:
        book_module.NEAR = self.was

    # -- what can happen ---------------------------------------------------------------------------------------------

    @initialize(seed=st.integers(0, 2**32), depth=st.none() | st.integers(1, 150), truncates=st.booleans())
    def begin(self, seed: int, depth: int | None, truncates: bool) -> None:
        self.take_snapshot(seed, depth, truncates, False)

    @rule(
        seed=st.integers(0, 2**32),
        depth=st.none() | st.integers(1, 150),
        truncates=st.booleans(),
        crossed=st.integers(0, 9).map(lambda n: n == 0),
    )
    def take_snapshot(self, seed: int, depth: int | None, truncates: bool, crossed: bool) -> None:
        draw = random.Random(seed)
        overlap = 10 if crossed else 0
        bids = [
            (n / 100, draw.choice([0.5, 1.0, 2.25])) for n in draw.sample(range(1, 200 + overlap), draw.randint(0, 190))
        ]
        asks = [(n / 100, draw.choice([0.5, 1.0, 2.25])) for n in draw.sample(range(200, 401), draw.randint(0, 190))]
        self.seq = draw.randint(0, 1000)
        self.window = depth if truncates else None
        for side, levels in ((BIDS, bids), (ASKS, asks)):
            self.naive[side].replace(levels, None if truncates else depth)
            self.naive[side].truncate(self.window)
        self._both(
            lambda: self.book.replace(snapshot(bids, asks, seq=self.seq, depth=depth), truncates=truncates), True
        )

    @precondition(lambda self: self.ready)
    @rule(seed=st.integers(0, 2**32), count=st.integers(0, 60), near_only=st.booleans(), removals=st.integers(0, 10))
    def update(self, seed: int, count: int, near_only: bool, removals: int) -> None:
        """Random changes; the nearer to the best price, the more removals empty the sorted head."""
        draw = random.Random(seed)
        changes: dict[int, list[Level]] = {}
        for side, (low, high) in ((BIDS, (1, 199)), (ASKS, (200, 400))):
            known = [price for price, _ in self.naive[side].sorted()]
            near = known[: max(1, count)] if near_only else known
            changes[side] = []
            for _ in range(draw.randint(0, count)):
                price = draw.choice(near) if near and draw.random() < 0.7 else draw.randint(low, high) / 100
                size = 0.0 if draw.random() < removals / 10 else draw.choice([0.5, 1.0, 2.25, 0.00000001])
                changes[side].append((price, size))
        self._apply(changes[BIDS], changes[ASKS])

    @precondition(lambda self: self.ready)
    @rule(level=st.integers(1, 400), bids=st.booleans())
    def cross(self, level: int, bids: bool) -> None:
        """One level anywhere, also beyond the other side's best."""
        change = [(level / 100, 1.5)]
        self._apply(change if bids else [], [] if bids else change)

    @precondition(lambda self: self.ready and self.seq is not None)
    @rule(back=st.integers(0, 50))
    def old(self, back: int) -> None:
        """An update that the book contains already changes nothing."""
        assert self.seq is not None
        assert not self.book.apply(delta([(1.99, 9.0)], [(2.01, 9.0)], prev=self.seq - back - 1, seq=self.seq - back))

    @precondition(lambda self: self.ready and self.seq is not None)
    @rule(missing=st.integers(1, 50))
    def gap(self, missing: int) -> None:
        assert self.seq is not None
        try:
            self.book.apply(delta([(1.99, 9.0)], [], prev=self.seq + missing, seq=self.seq + missing + 1))
        except GapError:
            self.ready = False
        else:
            raise AssertionError("a gap was not seen")

    def _apply(self, bids: list[Level], asks: list[Level]) -> None:
        before = self.seq
        self.seq = None if before is None else before + 1
        for side, changes in ((BIDS, bids), (ASKS, asks)):
            self.naive[side].update(changes)
            self.naive[side].truncate(self.window)
        self._both(lambda: self.book.apply(delta(bids, asks, prev=before, seq=self.seq)), True)

    def _both(self, do: Callable[[], object], expected: object) -> None:
        bids, asks = self.naive[BIDS].sorted(), self.naive[ASKS].sorted()
        if bids and asks and bids[0][0] >= asks[0][0]:
            try:
                do()
            except CrossedError:
                self.ready = False
            else:
                raise AssertionError("a crossed book was taken")
        else:
            assert do() in (expected, None)
            self.ready = True

    # -- what must hold ----------------------------------------------------------------------------------------------

    @invariant()
    def same(self) -> None:
        assert self.book.ready == self.ready
        for side, ours in ((BIDS, self.book.bids), (ASKS, self.book.asks)):
            theirs = self.naive[side].sorted()
            assert ours.levels == dict(theirs)
            for n in (0, 1, self.head - 1, self.head, self.head + 1, 1000):
                assert ours.top(n) == theirs[:n]
        for best, side in ((self.book.bid, BIDS), (self.book.ask, ASKS)):
            assert best == next(iter(self.naive[side].sorted()), None)


class SmallHeadMachine(BookMachine):
    """The same with a head of four prices, so that it is rebuilt, cut and emptied all the time."""

    head = 4


TestBook = BookMachine.TestCase
TestBook.settings = settings(max_examples=60, stateful_step_count=20)
TestSmallHead = SmallHeadMachine.TestCase
TestSmallHead.settings = settings(max_examples=60, stateful_step_count=20)


class TestOrderBook:
    def test_is_empty_at_first(self) -> None:
        book = OrderBook()
        assert not book.ready
        assert (book.bid, book.ask, book.seq) == (None, None, None)

    def test_best_prices_and_sizes(self) -> None:
        book = OrderBook()
        book.replace(snapshot([(99.5, 1.0), (99.9, 2.0)], [(100.2, 4.0), (100.1, 3.0)], seq=7, exchange_ms=5))
        assert book.ready
        assert (book.bid, book.ask) == ((99.9, 2.0), (100.1, 3.0))
        assert (book.seq, book.exchange_ms) == (7, 5)

    def test_a_price_that_comes_twice_in_a_snapshot_counts_as_it_came_last(self) -> None:
        book = OrderBook()
        book.replace(snapshot([(99.0, 1.0), (99.0, 0.0), (98.0, 1.0), (98.0, 3.0)], []))
        assert book.bids.levels == {98.0: 3.0}

    def test_a_price_that_comes_twice_in_an_update_counts_as_it_came_last(self) -> None:
        book = OrderBook()
        book.replace(snapshot([(99.0, 1.0)], [(100.0, 1.0)]))
        book.apply(delta([(99.0, 0.0), (99.0, 2.0)], [(100.0, 3.0), (100.0, 0.0), (101.0, 1.0)]))
        assert (book.bid, book.ask) == ((99.0, 2.0), (101.0, 1.0))

    def test_levels_beyond_a_snapshot_stay_unknown(self) -> None:
        """A snapshot of two levels: what changes further away is not the whole truth there, so it is left out."""
        book = OrderBook()
        book.replace(snapshot([(99.0, 1.0), (98.0, 1.0)], [(100.0, 1.0)], depth=2))
        book.apply(delta([(97.0, 5.0), (98.5, 5.0)], [(105.0, 5.0)]))
        assert book.bids.top(9) == [(99.0, 1.0), (98.5, 5.0), (98.0, 1.0)]
        assert book.asks.top(9) == [(100.0, 1.0), (105.0, 5.0)]  # one level only: the side ended there

    def test_a_window_is_kept_after_every_update(self) -> None:
        book = OrderBook()
        book.replace(snapshot([(99.0, 1.0), (98.0, 1.0)], [(100.0, 1.0), (101.0, 1.0)], depth=2), truncates=True)
        book.apply(delta([], [(100.5, 1.0)]))
        assert book.asks.top(9) == [(100.0, 1.0), (100.5, 1.0)]
        book.apply(delta([], [(100.0, 0.0)]))
        assert book.asks.top(9) == [(100.5, 1.0)]  # the exchange sends 101 again if it counts

    def test_a_snapshot_longer_than_the_window_is_cut(self) -> None:
        book = OrderBook()
        book.replace(snapshot([(float(n), 1.0) for n in range(1, 90)], [], depth=10), truncates=True)
        assert [price for price, _ in book.bids.top(99)] == [float(n) for n in range(89, 79, -1)]

    @pytest.mark.parametrize(("bid", "ask"), [(100.0, 100.0), (100.1, 100.0)])
    def test_a_crossed_or_locked_snapshot_is_refused(self, bid: float, ask: float) -> None:
        book = OrderBook()
        with pytest.raises(CrossedError, match=f"best bid {bid} is not below best ask {ask}"):
            book.replace(snapshot([(bid, 1.0)], [(ask, 1.0)]))
        assert not book.ready

    def test_a_gap_changes_nothing_and_names_both_numbers(self) -> None:
        book = OrderBook()
        book.replace(snapshot([(99.0, 1.0)], [(100.0, 1.0)], seq=5))
        with pytest.raises(GapError, match="BTC/USD: update follows 7, the book is at 5") as caught:
            book.apply(delta([(99.0, 0.0)], [], prev=7, seq=9))
        assert caught.value.verdict is Verdict.RESYNC
        assert not book.ready
        assert book.bids.levels == {99.0: 1.0}

    def test_an_update_that_overlaps_the_book_is_applied(self) -> None:
        book = OrderBook()
        book.replace(snapshot([(99.0, 1.0)], [(100.0, 1.0)], seq=5))
        assert book.apply(delta([(99.0, 2.0)], [], prev=3, seq=8, exchange_ms=1))
        assert (book.bid, book.seq, book.exchange_ms) == ((99.0, 2.0), 8, 1)

    def test_ids_that_begin_anew_continue_nothing(self) -> None:
        """By their numbers alone these updates would be old news for ever."""
        book = OrderBook()
        book.replace(snapshot([(1, 1)], [(2, 1)], seq=500, rank=7))
        assert book.apply(delta([(1, 5)], [], prev=499, seq=500)) is False
        with pytest.raises(GapError, match="follows 0, the book is at 500"):
            book.apply(delta([(1, 5)], [], prev=0, seq=1, chained=True))
        assert not book.ready

    def test_the_rank_is_that_of_the_last_message(self) -> None:
        book = OrderBook()
        book.replace(snapshot([(1, 1)], [(2, 1)], seq=5, rank=70))
        assert book.rank == 70
        book.apply(delta([(1, 2)], [], prev=5, seq=6, rank=85))
        assert book.rank == 85
        book.apply(delta([(1, 3)], [], prev=5, seq=6, rank=99))
        assert book.rank == 85, "an old update changes nothing"
        book.clear()
        assert book.rank is None

    def test_a_snapshot_may_ask_for_its_own_update_once_more(self) -> None:
        book = OrderBook()
        book.replace(snapshot([(99.0, 1.0)], [(100.0, 1.0)], seq=5, again=True))
        assert not book.apply(delta([(99.0, 9.0)], [], prev=3, seq=4))
        assert book.apply(delta([(99.0, 2.0)], [], prev=4, seq=5))
        assert (book.bid, book.seq) == ((99.0, 2.0), 5)
        assert not book.apply(delta([(99.0, 3.0)], [], prev=4, seq=5))
        assert book.apply(delta([(99.0, 4.0)], [], prev=5, seq=6))

    def test_once_more_is_too_late_when_the_book_went_on(self) -> None:
        book = OrderBook()
        book.replace(snapshot([(99.0, 1.0)], [(100.0, 1.0)], seq=5, again=True))
        assert book.apply(delta([(99.0, 4.0)], [], prev=5, seq=6))
        assert not book.apply(delta([(99.0, 2.0)], [], prev=4, seq=5))
        assert (book.bid, book.seq) == ((99.0, 4.0), 6)

    def test_checksums_are_compared_wherever_there_is_one(self) -> None:
        book = OrderBook(verify=lambda book: len(book.bids.levels))
        book.replace(snapshot([(99.0, 1.0)], [], checksum=1))
        assert book.checksum == 1
        book.apply(delta([(98.0, 1.0)], [], checksum=2))
        assert book.checksum == 2
        book.apply(delta([(97.0, 1.0)], []))
        assert book.checksum is None  # of another book than this one
        with pytest.raises(ChecksumError, match="checksum 9 by the exchange, 4 by us"):
            book.apply(delta([(96.0, 1.0)], [], checksum=9))
        assert not book.ready

    def test_a_wrong_checksum_of_a_snapshot_is_refused(self) -> None:
        book = OrderBook(verify=lambda book: 0)
        with pytest.raises(SyncError):
            book.replace(snapshot([(99.0, 1.0)], [], checksum=1))
        assert not book.ready

    def test_a_checksum_without_a_way_to_compute_it_is_kept(self) -> None:
        book = OrderBook()
        book.replace(snapshot([], [], checksum=77))
        assert book.checksum == 77

    def test_a_chain_follows_exactly_and_may_begin_anew(self) -> None:
        """From 10 to 15; 15 to 15: nothing changed; 15 to 3: the numbers begin anew; 3 to 5."""
        book = OrderBook()
        book.replace(BookSnapshot(symbol="X", bids=[(1.0, 1.0)], asks=[(9.0, 1.0)], seq=10))
        for prev, seq, bid, changed in [(10, 15, 2.0, True), (15, 15, 0, False), (15, 3, 3.0, True), (3, 5, 4.0, True)]:
            bids = [(bid, 1.0)] if bid else []
            assert book.apply(BookDelta(symbol="X", bids=bids, asks=[], prev=prev, seq=seq, chained=True)) is changed
            assert book.seq == seq
        assert book.bid == (4.0, 1.0)

    def test_a_chain_takes_the_same_update_twice_for_no_fault(self) -> None:
        book = OrderBook()
        book.replace(BookSnapshot(symbol="X", bids=[(1.0, 1.0)], asks=[(9.0, 1.0)], seq=10))
        delta = BookDelta(symbol="X", bids=[(2.0, 1.0)], asks=[], prev=10, seq=15, chained=True)
        assert book.apply(delta)
        assert not book.apply(delta)
        assert book.ready

    def test_a_chain_goes_on_by_another_connection(self) -> None:
        """Which is behind, and told the same changes in other parts; from the first that leads on, each must follow."""
        book = OrderBook()
        book.replace(BookSnapshot(symbol="X", bids=[(1.0, 1.0)], asks=[(9.0, 1.0)], seq=20))
        book.join()
        for prev, seq, bid, changed in [(5, 10, 5.0, False), (10, 18, 6.0, False), (18, 23, 2.0, True)]:
            bids = [(bid, 1.0)]
            assert book.apply(BookDelta(symbol="X", bids=bids, asks=[], prev=prev, seq=seq, chained=True)) is changed
        assert (book.bid, book.seq) == ((2.0, 1.0), 23)
        with pytest.raises(GapError):
            book.apply(BookDelta(symbol="X", bids=[], asks=[(8.0, 1.0)], prev=18, seq=30, chained=True))

    @pytest.mark.parametrize(("prev", "seq", "at_ms"), [(21, 25, 5), (2, 4, 6)], ids=["a hole", "began anew"])
    def test_a_chain_that_does_not_lead_on_by_another_connection(self, prev: int, seq: int, at_ms: int) -> None:
        book = OrderBook()
        book.replace(BookSnapshot(symbol="X", bids=[(1.0, 1.0)], asks=[(9.0, 1.0)], seq=20, exchange_ms=5))
        book.join()
        delta = BookDelta(symbol="X", bids=[(2.0, 1.0)], asks=[], prev=prev, seq=seq, chained=True, exchange_ms=at_ms)
        with pytest.raises(GapError):
            book.apply(delta)
        assert not book.ready

    @pytest.mark.parametrize(
        ("prev", "seq"),
        [(11, 12), (9, 12), (3, 5), (9, 10)],
        ids=["one is missing", "from before", "the numbers began anew unseen", "another way to where we are"],
    )
    def test_a_broken_chain_is_a_gap_whichever_way(self, prev: int, seq: int) -> None:
        book = OrderBook()
        book.replace(BookSnapshot(symbol="X", bids=[(1.0, 1.0)], asks=[(9.0, 1.0)], seq=10))
        with pytest.raises(GapError, match=f"update follows {prev}, the book is at 10"):
            book.apply(BookDelta(symbol="X", bids=[(2.0, 1.0)], asks=[], prev=prev, seq=seq, chained=True))
        assert not book.ready
        assert book.bids.levels == {1.0: 1.0}

    def test_clear_forgets_everything(self) -> None:
        book = OrderBook()
        book.replace(snapshot([(99.0, 1.0)], [(100.0, 1.0)], seq=5, depth=9, printed=(1, 8)), truncates=True)
        book.clear()
        assert not book.ready
        assert (book.bid, book.ask, book.seq, book.depth, book.printed) == (None, None, None, None, None)


class TestBookSide:
    def test_every_level_removed_within_one_update(self) -> None:
        """The sorted head runs empty while hundreds of levels are left beyond it."""
        side = BookSide(ASKS)
        side.replace([(float(n), 1.0) for n in range(1, 301)], None)
        side.update([(float(n), 0.0) for n in range(1, 201)] + [(150.0, 2.0)])
        assert side.top(2) == [(150.0, 2.0), (201.0, 1.0)]
        side.update([(float(n), 0.0) for n in range(1, 301)])
        assert side.top(2) == []

    def test_a_side_that_grows_from_nothing(self) -> None:
        side = BookSide(BIDS)
        side.update([(float(n), 1.0) for n in range(1, 1001)])
        assert side.top(1) == [(1000.0, 1.0)]
        assert [price for price, _ in side.top(300)] == [float(n) for n in range(1000, 700, -1)]

    def test_removing_what_is_not_there(self) -> None:
        side = BookSide(BIDS)
        side.update([(5.0, 0.0)])
        assert side.top(1) == []
