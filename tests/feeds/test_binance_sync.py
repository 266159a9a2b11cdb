"""Binance's two recipes for a book, through the adapter and BookSync: frames in, book out."""

import pytest

from feeds.domain import BookDelta, Market
from feeds.errors import GapError
from feeds.exchange import Session
from feeds.exchanges.binance import Binance
from feeds.sync import BookSync, Need
from tests.feeds.binance_world import BTC, BTC_PERP, frame, session

BINANCE = Binance()


class Book:
    """A market's book, fed with frames and REST answers of that market."""

    def __init__(self, market: Market, connection: Session) -> None:
        self.market = market
        self.connection = connection
        self.sync = BookSync(from_rest=BINANCE.facts.snapshot_by_rest, truncates=BINANCE.facts.truncates)
        self.sync.start()

    def update(self, first: int, last: int, previous: int | None = None, *, bid: str = "99", size: str = "1") -> bool:
        payload = {"e": "depthUpdate", "E": 1, "s": self.market.native, "U": first, "u": last, "b": [[bid, size]]}
        more = {"a": [], "T": 1, "pu": previous} if previous is not None else {"a": []}
        (delta,) = self.connection.parse(frame("x@depth@100ms", {**payload, **more}))
        assert isinstance(delta, BookDelta)
        return self.sync.take_delta(delta)

    def snapshot(self, number: int) -> bool:
        raw = f'{{"lastUpdateId":{number},"bids":[["98","1"]],"asks":[["101","1"]]}}'
        return self.sync.take_snapshot(BINANCE.parse_snapshot(self.market, raw.encode()))

    @property
    def seq(self) -> int | None:
        return self.sync.book.seq if self.sync.ready else None

    @property
    def bids(self) -> list[tuple[float, float]]:
        return self.sync.book.bids.top(10)


@pytest.fixture
def spot() -> Book:
    return Book(BTC, session("spot"))


@pytest.fixture
def futures() -> Book:
    return Book(BTC_PERP, session("usdm-public"))


class TestSpot:
    """``U == previous u + 1``; of what was kept, all with ``u <= lastUpdateId`` is in the snapshot."""

    def test_kept_updates_continue_the_snapshot(self, spot: Book) -> None:
        assert spot.sync.needs is Need.SNAPSHOT
        spot.update(10, 12, bid="97")
        spot.update(13, 15, bid="99")
        assert spot.snapshot(12)
        assert (spot.seq, spot.bids) == (15, [(99.0, 1.0), (98.0, 1.0)])

    def test_an_update_that_overlaps_the_snapshot(self, spot: Book) -> None:
        spot.update(10, 15, bid="98", size="7")
        assert spot.snapshot(12)
        assert (spot.seq, spot.bids) == (15, [(98.0, 7.0)])

    def test_a_snapshot_that_ends_where_the_stream_begins(self, spot: Book) -> None:
        spot.update(13, 15)
        assert spot.snapshot(12)
        assert spot.seq == 15

    def test_a_snapshot_that_is_too_old(self, spot: Book) -> None:
        spot.update(13, 15)
        assert not spot.snapshot(11)
        assert (spot.seq, spot.sync.needs) == (None, Need.SNAPSHOT)
        assert spot.snapshot(15)
        assert spot.seq == 15

    def test_what_the_snapshot_holds_is_not_applied(self, spot: Book) -> None:
        spot.update(10, 12, bid="97", size="5")
        assert spot.snapshot(12)
        assert spot.bids == [(98.0, 1.0)]
        assert not spot.update(11, 12, bid="97", size="5")

    def test_a_gap(self, spot: Book) -> None:
        spot.update(10, 12)
        spot.snapshot(12)
        assert spot.update(13, 13)
        with pytest.raises(GapError, match="update follows 14, the book is at 13"):
            spot.update(15, 16)
        assert (spot.seq, spot.sync.needs) == (None, Need.SNAPSHOT)
        spot.update(17, 17)
        assert not spot.snapshot(13)
        assert spot.snapshot(16)
        assert spot.seq == 17


class TestFutures:
    """``pu == previous u``, while ``U`` skips; the update that leads to ``lastUpdateId`` is applied again."""

    def test_ids_may_skip(self, futures: Book) -> None:
        futures.update(10, 20, 5)
        assert futures.snapshot(15)
        assert futures.update(31, 40, 20)
        assert futures.update(77, 90, 40)
        assert futures.seq == 90

    def test_consecutive_ids_prove_nothing(self, futures: Book) -> None:
        futures.update(10, 20, 5)
        futures.snapshot(15)
        with pytest.raises(GapError):
            futures.update(21, 30, 25)
        assert futures.seq is None

    def test_an_update_that_continues_the_snapshot_exactly(self, futures: Book) -> None:
        futures.update(30, 40, 20)
        assert futures.snapshot(20)
        assert futures.seq == 40

    def test_a_snapshot_that_is_too_old(self, futures: Book) -> None:
        futures.update(30, 40, 20)
        assert not futures.snapshot(19)
        assert futures.seq is None

    def test_the_snapshots_own_update_comes_again_and_once(self, futures: Book) -> None:
        futures.update(10, 20, 5, bid="98", size="7")
        assert futures.snapshot(20)
        assert (futures.seq, futures.bids) == (20, [(98.0, 7.0)])
        assert not futures.update(10, 20, 5)

    def test_the_same_after_the_snapshot(self, futures: Book) -> None:
        assert futures.snapshot(20)
        assert futures.update(10, 20, 5, bid="98", size="7")
        assert not futures.update(10, 20, 5, bid="98", size="8")
        assert futures.bids == [(98.0, 7.0)]
