"""Does a wallet's balance follow from what was told? Pure: told what streams and REST say, it says what does not agree.

A balance must follow from the last one and the fills, fees and transfers since. Every complete answer is held against
that, ``settle_ms`` later, when what happened before it has been told:

1. Movements up to a moment before the answer must be in it; those of that moment, and of the time in which it was
   made, may be, in the order of time. If several ways explain it (two fills of one size), all are kept in mind.
2. If it does not follow, everything is read again and the next answer is held against the same beginning. An exchange
   may serve balances or fills a moment late, and that is nobody's fault.
3. If that one does not follow either, with the transfers read once more, the difference is *unexplained*: a movement
   that the exchange tells nobody. It is named with both figures, and the new balance is the beginning from now on.

Transfers, funding and interest are in the balance from a moment on that nobody tells. So they are never expected; what
differs may be explained by them.

There is no tolerance but for rounding: one unit of the eighth decimal per fill, where an exchange cuts price times
size.

What was checked last is stored, so the next start goes on from there: what happened while nobody listened is held
against the balances, too.
"""

import itertools
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypeAlias

import msgspec

from feeds.account_domain import Balance, Checked, Fill, Finding, Transfer
from feeds.domain import Value
from feeds.following.reconcile import Outcome

SETTLE_MS = 10_000
MADE_MS = 1_000
"""An answer may hold what happened so long after it came: the clocks are not the same to the millisecond."""
LATE_MS = 3_000
"""An answer may lack what happened so long before it was asked for: it is made from a copy of the exchange's database
that is a moment late. On an account that trades all the time every answer may lack something."""
HOLDS_MS = 600_000
"""A balance that has followed for so long holds again."""

ROUNDING = Decimal("1e-8")
MOST_TRANSFERS = 8
"""Of so many transfers that wait to be seen in a balance, the newest, any combination is tried."""
MOST_WAYS = 64
"""So many ways in which a balance may have come about are followed until the next answers tell which it was."""
MOST_WAITING = 200
"""So many may wait: what was in a balance that we never saw before it waits in vain."""
ZERO = Decimal(0)
ANY = "*"

Key: TypeAlias = tuple[str, str]
"""Of a fill its symbol and id, of a transfer its kind and id."""


class Movement(Value, frozen=True, kw_only=True):
    """``amount`` came into (or, negative, left) the wallet; None: the exchange has not told how much (yet). ``asset``
    may be ``ANY`` where it does not even tell of what."""

    at_ms: int
    asset: str
    amount: Decimal | None


def movements(fill: Fill, base: str, quote: str, settle: str | None) -> list[Movement]:
    """What a fill does to the wallet. ``settle`` is None on spot."""
    moved: list[tuple[str, Decimal | None]] = []
    if settle is None:
        sign = 1 if fill.side == "buy" else -1
        moved = [(base, sign * fill.size), (quote, -sign * fill.size * fill.price)]
    else:
        moved = [(settle, fill.realised)]
    if fill.fee is None:
        moved += [(asset, None) for asset in {fill.fee_asset or quote, base if settle is None else settle}]
    elif fill.fee and fill.fee_asset:
        moved.append((fill.fee_asset, -fill.fee))
    return [Movement(at_ms=fill.exchange_ms, asset=asset, amount=amount) for asset, amount in moved]


class _Answer(msgspec.Struct):
    totals: dict[str, Decimal]
    asof_ms: int
    until_ms: int  # what happened later cannot be in it
    parts: int = 1  # answers to several questions, made one after the other


class _Asset:
    """One asset's state: what is unexplained of it, and since when it follows again."""

    __slots__ = ("follows_ms", "unexplained")

    def __init__(self) -> None:
        self.unexplained = ZERO
        self.follows_ms: int | None = None


class _Fit(msgspec.Struct):
    """One way in which an answer may have come about: the base held the first ``held`` of what is open, and ``keys``
    came since, with the transfers that ``explained`` names."""

    differences: dict[str, Decimal]
    held: frozenset[Key]
    keys: list[Key]
    explained: list[Key] = []

    @property
    def inside(self) -> frozenset[Key]:
        """All of what is open that the answer holds."""
        return self.held.union(self.keys)


class _Sums:
    """What is expected of an answer, movement by movement. ``differences``: asset -> found minus expected, where they
    are not the same. What is not known in full is not judged."""

    def __init__(self, base: _Answer, answer: _Answer) -> None:
        self.differences: dict[str, Decimal] = {}
        self._expected = dict(base.totals)
        self._found = answer.totals
        self._counts: dict[str, int] = {}
        self._unknown: set[str] = set()
        for asset in {*base.totals, *answer.totals}:
            self._look_at(asset)

    def add(self, told: Iterable[Movement]) -> None:
        for moved in told:
            if moved.asset == ANY:
                self._unknown.add(ANY)
                self.differences.clear()
            elif moved.amount is None:
                self._unknown.add(moved.asset)
                self.differences.pop(moved.asset, None)
            else:
                self._expected[moved.asset] = self._expected.get(moved.asset, ZERO) + moved.amount
                self._counts[moved.asset] = self._counts.get(moved.asset, 0) + 1
                self._look_at(moved.asset)

    def _look_at(self, asset: str) -> None:
        if asset in self._unknown or ANY in self._unknown:
            return
        difference = self._found.get(asset, ZERO) - self._expected.get(asset, ZERO)
        if abs(difference) > ROUNDING * self._counts.get(asset, 0):
            self.differences[asset] = difference
        else:
            self.differences.pop(asset, None)


class _Explanations:
    """What the transfers of an asset that wait may add up to, and which of them."""

    def __init__(self, transfers: Mapping[Key, Movement]) -> None:
        self._transfers = transfers
        self._sums: dict[str, list[tuple[Decimal, Sequence[Key]]]] = {}  # by asset, the smallest first

    def of(self, asset: str, difference: Decimal, slack: Decimal) -> list[Key]:
        """Those that add up to it, but for ``slack``; [] if none do."""
        if asset not in self._sums:
            self._sums[asset] = sorted(self._all(asset), key=lambda each: each[0])
        sums = self._sums[asset]
        place = bisect_left(sums, difference - slack, key=lambda each: each[0])
        return list(sums[place][1]) if place < len(sums) and sums[place][0] <= difference + slack else []

    def _all(self, asset: str) -> Iterator[tuple[Decimal, Sequence[Key]]]:
        """Of what follows one upon the other in time, since funding of many positions comes at once; and of any of the
        newest."""
        mine = [(key, moved) for key, moved in self._transfers.items() if moved.asset == asset]
        mine.sort(key=lambda each: each[1].at_ms)
        keys = [key for key, _ in mine]
        amounts = [moved.amount or ZERO for _, moved in mine]
        for first in range(len(keys)):
            total = ZERO
            for last in range(first, len(keys)):
                total += amounts[last]
                yield total, keys[first : last + 1]
        newest = list(zip(keys, amounts, strict=True))[-MOST_TRANSFERS:]
        for count in range(2, len(newest) + 1):
            for chosen in itertools.combinations(newest, count):
                yield sum((amount for _, amount in chosen), ZERO), [key for key, _ in chosen]


class BalanceCheck:
    """The wallet of one product. Times are the exchange's."""

    def __init__(self, product: str, *, settle_ms: int = SETTLE_MS) -> None:
        self._product = product
        self._settle_ms = settle_ms
        self._base: _Answer | None = None
        self._base_ms = 0  # of the base before this one
        self._begun_ms = 0
        self._next: _Answer | None = None
        self._doubted = False  # what happened about the time of the first answer may be in it, or not
        self._in_base = [frozenset[Key]()]  # of what is open, by each way in which the base may have come about
        self._suspected = False  # the last answer did not follow
        self._open: dict[Key, list[Movement]] = {}  # not in the base yet; by what they are of
        self._booked: dict[Key, int] = {}  # in the base, or before it; when they happened
        self._transfers: dict[Key, Movement] = {}  # seen, not in the base yet
        self._reasons: dict[str, None] = {}  # in the exchange's words, since the base
        self._assets: dict[str, _Asset] = {}

    # Across a stop

    def begin(self, checked: Checked) -> None:
        """Go on from there: everything since is to be told, from the store and by the exchange."""
        self._base = _Answer(dict(checked.totals), checked.asof_ms, checked.asof_ms)
        self._begun_ms = checked.asof_ms - LATE_MS
        self._booked = dict.fromkeys(checked.booked, checked.asof_ms)

    def checked(self) -> Checked | None:
        """From where to go on; None before there is anything that was checked."""
        base = self._base
        if base is None or self._doubted or len(self._in_base) > 1:
            return None
        lately = tuple(key for key, at_ms in self._booked.items() if at_ms > base.asof_ms - HOLDS_MS)
        return Checked(product=self._product, totals=base.totals, asof_ms=base.asof_ms, booked=lately)

    # What is told

    def moved(self, key: Key, told: Sequence[Movement]) -> None:
        """``key`` names the event: told again, with what lacked, it takes the place of what was told first."""
        if not told:
            self._open.pop(key, None)
        elif key not in self._booked and (self._base is None or told[0].at_ms > self._begun_ms):
            self._open[key] = list(told)

    def transferred(self, transfer: Transfer) -> None:
        """It is in the balance from an unknown moment on: when it is credited, or already when it is asked for; what
        is paid to or from everybody at the full hour takes its time, too."""
        key = transfer.kind, transfer.id
        if self._base is None or transfer.exchange_ms <= self._begun_ms - HOLDS_MS or key in self._booked:
            return
        if transfer.status == "failed" or (transfer.status == "pending" and transfer.amount > 0):
            self._transfers.pop(key, None)
            return
        amount = transfer.amount - (transfer.fee or ZERO)
        self._transfers[key] = Movement(at_ms=transfer.exchange_ms, asset=transfer.asset, amount=amount)
        if len(self._transfers) > MOST_WAITING:
            self._transfers.pop(next(iter(self._transfers)))

    def named(self, reason: str) -> None:
        """The exchange says that something changed, and why: a person may recognise what is unexplained."""
        self._reasons[reason] = None

    def told(self, balances: Iterable[Balance], asof_ms: int, until_ms: int, parts: int = 1) -> None:
        """A complete answer, put together from so many ``parts``."""
        answer = _Answer({b.asset: b.total - b.strategies for b in balances}, asof_ms, until_ms, parts)
        if self._base is None:
            self._base, self._begun_ms = answer, asof_ms - LATE_MS
            self._doubted = True
            for key in [key for key, told in self._open.items() if told[0].at_ms <= self._begun_ms]:
                self._book(key)
        elif self._next is None:
            self._next = answer

    # What follows

    def judge(self, now_ms: int, *, read: bool) -> Outcome:
        """Hold the waiting answer against its beginning. ``read``: every history has been read to the end."""
        base, answer = self._base, self._next
        if base is None or answer is None or not read or now_ms - answer.until_ms < self._settle_ms:
            return Outcome()
        horizon_ms = answer.until_ms + MADE_MS
        came = sorted((told[0].at_ms, key) for key, told in self._open.items())
        keys = [key for at_ms, key in came if at_ms <= horizon_ms]
        near = any(answer.asof_ms - LATE_MS < at_ms <= horizon_ms for at_ms, _ in came)
        fits = self._fits(base, answer, keys)
        differences = fits[0].differences
        self._next = None
        if differences and near and answer.parts > 1:
            return Outcome()  # one part may be from before a fill and another from after it: this answer tells nothing
        if differences and not self._suspected:
            self._suspected = True
            return Outcome(read_again=True)  # and the transfers stay unbooked: the same is tried again
        self._suspected = self._doubted = False
        ways = list(dict.fromkeys(fit.inside for fit in fits))[:MOST_WAYS]
        certain = frozenset.intersection(*ways)
        for key in sorted(certain):
            self._book(key)
        self._in_base = [way - certain for way in ways]
        for transfer in fits[0].explained:
            self._booked[transfer] = self._transfers.pop(transfer).at_ms
        self._base, self._base_ms = answer, base.asof_ms
        outcome = self._outcome(base, answer, differences)
        self._reasons.clear()
        return outcome

    def _fits(self, base: _Answer, answer: _Answer, keys: list[Key]) -> list[_Fit]:
        """All ways in which the answer follows from ``keys``, the open movements in the order of time; or the one way
        in which it does with transfers; or, alone, the one that leaves least."""
        must = sum(self._open[key][0].at_ms <= answer.asof_ms - LATE_MS for key in keys)
        fits: list[_Fit] = []
        for held in self._held_by(base, keys):
            sums, came = _Sums(base, answer), []
            for number in range(len(keys) + 1):
                if number and keys[number - 1] not in held:
                    came.append(keys[number - 1])
                    sums.add(self._open[came[-1]])
                if number >= must and held.issubset(keys[:number]):
                    fits.append(_Fit(dict(sums.differences), held, list(came)))
        if whole := [fit for fit in fits if not fit.differences]:
            return whole
        known = _Explanations(self._transfers)
        for fit in fits:
            slack = ROUNDING * len(fit.keys)
            for asset, difference in list(fit.differences.items()):
                if found := known.of(asset, difference, slack):
                    del fit.differences[asset]
                    fit.explained += found
            if not fit.differences:
                return [fit]
        return [min(fits, key=lambda fit: len(fit.differences))]

    def _held_by(self, base: _Answer, keys: list[Key]) -> list[frozenset[Key]]:
        """Which of the open movements the base may hold: what earlier answers left open, or for the first one any
        beginning of what happened about its time."""
        if not self._doubted:
            return self._in_base
        about = sum(self._open[key][0].at_ms <= base.until_ms + MADE_MS for key in keys)
        return [frozenset(keys[:number]) for number in range(about, -1, -1)]

    def _book(self, key: Key) -> None:
        self._booked[key] = self._open.pop(key)[0].at_ms
        if len(self._booked) > 20_000:
            self._booked.pop(next(iter(self._booked)))

    def _late_transfers(self, asset: str, unexplained: Decimal) -> bool:
        """Do transfers that were told since explain what was unexplained?"""
        keys = _Explanations(self._transfers).of(asset, unexplained, ZERO)
        for key in keys:
            self._booked[key] = self._transfers.pop(key).at_ms
        return bool(keys)

    def _outcome(self, base: _Answer, answer: _Answer, differences: dict[str, Decimal]) -> Outcome:
        found: list[Finding] = []
        resolved: list[tuple[str, str]] = []
        for asset, difference in differences.items():
            state = self._assets.setdefault(asset, _Asset())
            state.unexplained += difference
            state.follows_ms = None
            if state.unexplained:
                found.append(self._finding(asset, state.unexplained, answer))
            else:
                del self._assets[asset]
                resolved.append((self._cause(asset), "What was told later explains it."))
        for asset, state in list(self._assets.items()):
            if asset in differences:
                continue
            if state.unexplained and self._late_transfers(asset, state.unexplained):
                del self._assets[asset]
                resolved.append((self._cause(asset), "A transfer that was told later explains it."))
                continue
            state.follows_ms = base.asof_ms if state.follows_ms is None else state.follows_ms
            if answer.asof_ms - state.follows_ms >= HOLDS_MS:
                del self._assets[asset]
                resolved.append(
                    (self._cause(asset), "It has followed from fills, fees and transfers again since then.")
                )
        return Outcome(found, resolved)

    def _cause(self, asset: str) -> str:
        return f"balance:{self._product}:{asset}"

    def _finding(self, asset: str, unexplained: Decimal, answer: _Answer) -> Finding:
        total = answer.totals.get(asset, ZERO)
        base_ms = self._base_ms
        told = f" That balance is of {_utc(base_ms)}." if answer.asof_ms - base_ms > HOLDS_MS else ""
        named = f" The exchange named {', '.join(self._reasons)} in that time." if self._reasons else ""
        more = "more" if unexplained > 0 else "less"
        return Finding(
            kind="unexplained_balance",
            cause=self._cause(asset),
            sentence=f"There is {abs(unexplained).normalize():f} {asset} {more} ({self._product}) than the last "
            "balance and what was told since (fills, fees, transfers, funding, interest) explain." + told + named,
            expected=f"{(total - unexplained).normalize():f}",
            found=f"{total.normalize():f}",
            asof_ms=answer.asof_ms,
        )

    def take_over(self, causes: Iterable[str]) -> None:
        """Notices that were open when we began: they hold again when their balances have followed long enough."""
        prefix = self._cause("")
        for cause in causes:
            if cause.startswith(prefix):
                self._assets.setdefault(cause.removeprefix(prefix), _Asset())


def _utc(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"
