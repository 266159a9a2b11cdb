"""A market's book as REST told it, for when its stream keeps failing."""

from feeds.book import OrderBook
from feeds.domain import BookSnapshot, StreamState
from feeds.markets.judgement import Verdict

OLD_AFTER = 3.0
"""An answer is shown for so many intervals."""


class PolledBook:
    """The newest answer. ``asof_ns`` is when it was asked for: the exchange made it then or later."""

    def __init__(self) -> None:
        self.book = OrderBook()
        self.asof_ns = 0
        self.recv_ns = 0
        self.every_s = 0.0

    def take(self, snapshot: BookSnapshot, asof_ns: int, recv_ns: int, every_s: float) -> None:
        """Raises SyncError if the answer is no book; the former one stays."""
        book = OrderBook()
        book.replace(snapshot)
        self.book, self.asof_ns, self.recv_ns, self.every_s = book, asof_ns, recv_ns, every_s

    def clear(self) -> None:
        """The stream is live again."""
        if self.book.ready:
            self.book = OrderBook()

    def fresh(self, then_ns: int, now_ns: int) -> bool:
        """Is something of that time young enough to be shown beside this book?"""
        return now_ns - then_ns <= self.every_s * OLD_AFTER * 1e9

    def instead_of(self, stream: Verdict, now_ns: int) -> Verdict:
        """What holds for a market whose stream is judged like this, and is not usable."""
        if not self.book.ready or not self.fresh(self.asof_ns, now_ns):
            return stream
        why = ": ".join(filter(None, stream))
        return StreamState.POLLED, f"By REST every {self.every_s:.3g} s, as the stream is {why}"
