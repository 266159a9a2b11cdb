"""What a spread matrix is made of: its legs' walks, its pairs, and the largest of the last hour. See ``matrix``."""

from collections import deque
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from feeds.domain import Market
from feeds.fees import Fee
from feeds.legs import Leg
from feeds.walk import NOTHING, Taken

if TYPE_CHECKING:
    from feeds.matrix import Matrix

HOUR_NS = 3600 * 10**9
BUCKET_NS = 10 * 10**9


class Judge(Protocol):
    """Who is told how a pair stands (``feeds.arbitrage``)."""

    @property
    def threshold(self) -> Decimal: ...
    def above(self, pair: "Pair", now_ns: int) -> None: ...
    def below(self, pair: "Pair", reason: str, now_ns: int) -> None: ...


class HourMax:
    """The largest value of the last hour, in steps of ten seconds: ``top`` is (value, when ns), None if there is none.

    Time passes only when it is told of it, by :meth:`add` or :meth:`forget`.
    """

    __slots__ = ("_buckets", "bucket", "largest", "top")

    def __init__(self) -> None:
        self.top: tuple[Decimal, int] | None = None
        self.bucket = -1  # of the last value added, and the largest one in it
        self.largest = Decimal(0)
        self._buckets: deque[tuple[int, tuple[Decimal, int]]] = deque()  # what was largest in a bucket; these fall

    def add(self, value: Decimal, now_ns: int) -> None:
        bucket = now_ns // BUCKET_NS
        if bucket == self.bucket and value <= self.largest:
            return
        self.bucket, self.largest = bucket, value
        buckets = self._buckets
        while buckets and buckets[-1][1][0] <= value:
            buckets.pop()
        buckets.append((bucket, (value, now_ns)))
        self.forget(bucket)

    def forget(self, bucket: int) -> None:
        """It is ``bucket`` now: what is an hour old goes."""
        oldest = bucket - HOUR_NS // BUCKET_NS
        while self._buckets and self._buckets[0][0] <= oldest:
            self._buckets.popleft()
        self.top = self._buckets[0][1] if self._buckets else None


class Row(msgspec.Struct):
    """A pair as it leaves the worker, docs/protocol.md section 2.8. Decimals become text when it is encoded."""

    buy: int
    sell: int
    gross_bps: Decimal | None = None
    net_bps: Decimal | None = None
    gross: Decimal | str | None = None
    net: Decimal | str | None = None
    age_ms: int | None = None
    positive_since_ms: int | None = None
    largest_bps: Decimal | None = None
    largest_ms: int | None = None
    reason: str = ""


class Pair:
    """Buy on one leg, sell on another."""

    __slots__ = ("bps", "buy", "hot", "hour", "matrix", "net", "row", "sell", "shown")

    def __init__(self, matrix: "Matrix", buy: "Side", sell: "Side", row: Row) -> None:
        self.matrix = matrix
        self.buy = buy
        self.sell = sell
        self.row = row
        self.net = Decimal(0)
        self.bps: Decimal | None = None  # of the net; None: it cannot be computed
        self.hour = HourMax()
        self.shown: tuple[Decimal, int] | None = None  # the largest that the row tells
        self.hot = False  # at or above the threshold


class Side:
    """One leg of a matrix: its walks for the size, and what fees make of them."""

    __slots__ = (
        *("bought", "buy", "cost", "decimals", "fee", "leg", "market", "paid", "per_bps", "proceeds", "received"),
        *("refusal", "seen", "sell", "sold", "stamp", "why"),
    )

    def __init__(self, leg: Leg, fee: Fee) -> None:
        self.leg = leg
        self.fee = fee
        self.stamp = -1
        self.seen: Any = None  # what the walks came from
        self.market: Market | None = None  # that the next two are of
        self.decimals = (0, 0)  # of its prices and sizes
        self.refusal = ""  # why the exchange takes no order of the size
        self.why = ""  # why neither walk is possible
        self.bought: Taken = NOTHING
        self.sold: Taken = NOTHING
        self.cost: Decimal | None = None  # of buying; None: not possible
        self.proceeds: Decimal | None = None  # of selling
        self.per_bps = Decimal(1)  # a basis point of the cost
        self.paid = Decimal(0)  # cost with the fee
        self.received = Decimal(0)  # proceeds less the fee
        self.buy: dict[str, str | None] | None = None  # as shown
        self.sell: dict[str, str | None] | None = None
