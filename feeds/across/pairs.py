"""What a spread matrix is made of: its legs' figures, its pairs, and the largest of the last hour. See ``matrix``."""

from collections import deque
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

from msgspec import Raw, Struct
from msgspec.json import Encoder

from feeds.across.fees import Charged, Fee
from feeds.across.legs import Leg, RateNow
from feeds.across.walk import NOTHING, Taken, Walk
from feeds.domain import Market

if TYPE_CHECKING:
    from feeds.across.matrix import Matrix

HOUR_NS = 3600 * 10**9
BUCKET_NS = 10 * 10**9
BPS_STEP = Decimal("0.0001")
"""Basis points are rounded to this; and one of them is this part of a value."""
WITH_EXPONENT = -7
"""Numbers that begin at this place or a later one have an exponent as ``str``, which is what the encoder writes."""

_encode = Encoder(decimal_format="string").encode


class Judge(Protocol):
    """Who is told how a pair stands (``feeds.across.arbitrage``)."""

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


class Row(Struct):
    """A pair as it leaves the worker, docs/protocol.md section 2.8. Decimals become text when it is encoded."""

    buy: int
    sell: int
    gross_bps: Decimal | None = None
    net_bps: Decimal | None = None
    gross: Decimal | str | None = None
    net: Decimal | str | None = None
    positive_since_ms: int | None = None
    largest_bps: Decimal | None = None
    largest_ms: int | None = None
    reason: str = ""


class Pair:
    """Buy on one leg, sell on another."""

    __slots__ = ("bps", "buy", "encoded", "hot", "hour", "matrix", "net", "row", "sell")

    def __init__(self, matrix: "Matrix", buy: "Side", sell: "Side", row: Row) -> None:
        self.matrix = matrix
        self.buy = buy
        self.sell = sell
        self.row = row
        self.encoded: bytes | None = None  # the row, unless it was changed since
        self.net = Decimal(0)
        self.bps: Decimal | None = None  # of the net; None: it cannot be computed
        self.hour = HourMax()  # to be told of in the row: see tell
        self.hot = False  # at or above the threshold

    def tell(self) -> None:
        """Put the largest of the hour into the row."""
        top = self.hour.top
        self.row.largest_bps, self.row.largest_ms = (None, None) if top is None else (top[0], top[1] // 1_000_000)
        self.encoded = None


def encoded(pairs: list[Pair], at_once: bool) -> Raw:
    """The rows of all pairs. ``at_once``: most were changed, and many together take less time than one by one."""
    if at_once:
        return Raw(_encode([pair.row for pair in pairs]))
    for pair in pairs:
        if pair.encoded is None:
            pair.encoded = _encode(pair.row)
    return Raw(b"[%b]" % b",".join([pair.encoded or b"" for pair in pairs]))


class Side:
    """One leg of a matrix: what buying and selling the size comes to, with its fee."""

    __slots__ = (
        *("bought", "buy", "cost", "failed", "fee_bps", "fee_source", "leg", "less_fee", "market", "paid", "per_bps"),
        *("proceeds", "rate", "received", "refusal", "sell", "sold", "stamp", "walk", "why", "with_fee"),
    )

    def __init__(self, leg: Leg, walk: Walk, fee: Fee, charged: Charged) -> None:
        self.leg = leg
        self.walk = walk
        self.stamp = -1
        self.failed = False  # it could not be computed
        self.market: Market | None = None  # that the refusal is of
        self.refusal = ""  # why the exchange takes no order of the size
        self.why = ""  # why neither buying nor selling is possible
        self.rate: RateNow | None = None  # what follows came of these three
        self.bought: Taken = NOTHING
        self.sold: Taken = NOTHING
        self.cost: Decimal | None = None  # of buying; None: not possible
        self.proceeds: Decimal | None = None  # of selling
        self.per_bps = Decimal(1)  # a basis point of the cost
        self.paid = Decimal(0)  # cost with the fee
        self.received = Decimal(0)  # proceeds less the fee
        self.buy: Raw | None = None  # as shown, encoded
        self.sell: Raw | None = None
        self.charge(fee, charged)

    def charge(self, fee: Fee, charged: Charged) -> None:
        """This is the fee from now on."""
        bps = fee.bps(charged).normalize() + 0  # adding an exponent of 0 takes a positive one away
        self.fee_bps = f"{bps:f}"
        self.fee_source = fee.source
        self.with_fee, self.less_fee = 1 + bps * BPS_STEP, 1 - bps * BPS_STEP
        self.stamp = -1
        self.forget()

    def forget(self) -> None:
        """Whatever was computed is to be computed anew."""
        self.rate = self.cost = self.proceeds = self.buy = self.sell = None
        self.bought = self.sold = NOTHING
