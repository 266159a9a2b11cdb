"""Kraken spot's ledger: every change of every balance, and which of them are told as movements of money.

Facts (docs.kraken.com: api-reference/account-data/get-ledgers-info, guides/spot-ratelimits; support.kraken.com: How to
interpret Ledger history fields, Differences between ledger and trades history):

* An entry is of one asset: ``balance`` is the old one with ``amount``, which has a sign, and less ``fee``.
* Entries come newest first, in pages of 50 behind ``ofs``; ``start`` (seconds) is exclusive. A question costs two.
* ``type`` of the question is one of few ({all, trade, deposit, withdrawal, transfer, margin, adjustment, rollover,
  credit, settled, staking, dividend, sale, nft_rebate}), not each of those that entries have (``earn``, ``reward``,
  ``conversion``, ``spend`` and ``receive``, which ``sale`` finds, and more).
* ``trade`` is told by fills. ``margin`` is what a fill on margin did: nothing but its fee where it opened a position,
  profit and fee where it closed one. It is told here, as income, and those fills move no balance (``Fill.margin``).
  ``deposit`` and ``withdrawal`` are told by calls of their own, with their status.
* ``rollover`` is what a margin position costs; its entry may have it as ``fee`` alone. ``staking``, ``reward`` and
  ``dividend`` are earned. ``earn`` is all that is done with what earns: its subtype ``reward`` is income, others move
  an asset from one place to another, of which both entries come.
* ``spend`` and ``receive`` are of the app and the buy button, ``conversion`` and ``adjustment`` make one asset another,
  ``settled`` is a margin position that was settled: no fill tells any of them, and no other call.

How it is read: the counter is scarce, and an active account has some thousand entries a day, nearly all of trades. So
each reading is one question for all that is new since the last answer, a minute before that included, page after page;
the first goes back through the newest 100 entries. What is older is found by the types that a question may name, one
of them more with each further reading, all its pages: after ten more the past is known, but for types that cannot be
asked for.
"""

from collections.abc import Mapping
from decimal import Decimal

from feeds.account_domain import Transfer, TransferKind
from feeds.account_reading import EXACT, Wire
from feeds.accounts.kraken.names import asset_of
from feeds.accounts.kraken.rest import PAGE, ZERO, result, sensible
from feeds.accounts.kraken.trading import private
from feeds.accounts.kraken.wire import PRODUCT
from feeds.exchange import Request

NAME = "Ledgers"
PATH = f"/0/private/{NAME}"
ALL = "all"
PAST = (
    "transfer",
    "margin",
    "rollover",
    "staking",
    "dividend",
    "adjustment",
    "settled",
    "credit",
    "sale",
    "nft_rebate",
)
"""By which types what is older is read, in this order."""
FIRST_ENTRIES = 100
"""So many of any type are read at first."""
AGAIN_S = 60
COST = 2

ELSEWHERE = frozenset({"trade", "deposit", "withdrawal"})
"""What fills tell, and what other calls do."""
KINDS: Mapping[str, TransferKind] = {
    "transfer": "internal",
    "custodytransfer": "internal",
    "margin": "income",
    "rollover": "interest",
    "staking": "income",
    "reward": "income",
    "dividend": "income",
    "invite bonus": "income",
    "nftrebate": "income",
    "earn reward": "income",
}
"""By type, or type and subtype. What is none of these is another movement."""


class _Entry(Wire, frozen=True):
    """``{"refid":"TJKLXF-PGMUI-4NTLXU","time":1688464484.1787,"type":"trade","subtype":"","aclass":"currency",
    "asset":"ZGBP","amount":"-24.5000","fee":"0.0490","balance":"459567.9171"}``"""

    time: Decimal
    type: str
    asset: str
    amount: Decimal
    subtype: str | None = None
    fee: Decimal = ZERO

    def transfer(self, number: str, exchange_ms: int) -> Transfer | None:
        """None: it is told elsewhere, or nothing changed."""
        if self.type in ELSEWHERE:
            return None
        name = f"{self.type} {self.subtype or ''}".rstrip()
        kind = KINDS.get(name) or KINDS.get(self.type, "other")
        within = kind == "internal"
        amount = self.amount if within else EXACT.subtract(self.amount, self.fee)
        if not amount and not self.fee:
            return None
        return Transfer(
            product=PRODUCT,
            id=number,
            kind=kind,
            asset=asset_of(self.asset)[0],
            amount=amount,
            note=(self.subtype or "") if name.startswith("transfer") else name,
            fee=self.fee if within else None,
            exchange_ms=exchange_ms,
        )


class _Ledger(Wire, frozen=True):
    ledger: dict[str, _Entry]
    count: int | None = None  # of all that were asked for


class Ledger:
    """How far it was read is known when all pages of a reading were understood."""

    def __init__(self) -> None:
        self._read_to_ms: int | None = None
        self._begun_s = 0  # how far back the first reading went
        self._past = list(PAST)  # not read yet
        self._newest_ms = 0  # of the pages of this reading

    def request(self, since_ms: int) -> Request:
        if self._read_to_ms is None:
            return _request(ALL, since_ms // 1000)
        return _request(ALL, self._read_to_ms // 1000 - AGAIN_S)

    def next_page(self, request: Request, raw: bytes) -> Request | None:
        """The page behind this one; behind the last one of any type what is older of one type."""
        if request.path != PATH:
            return None
        answer, asked = result(raw, _Ledger), dict(request.params)
        kind, start_s, first = asked["type"], int(asked["start"]), self._read_to_ms is None
        seen = int(asked.get("ofs", "0")) + len(answer.ledger)
        more = bool(answer.ledger) and (len(answer.ledger) >= PAGE if answer.count is None else seen < answer.count)
        if more and not (first and kind == ALL and seen >= FIRST_ENTRIES):
            return _request(kind, start_s, seen)
        if kind == ALL and not first and self._past:
            return _request(self._past[0], self._begun_s)
        return None

    def parse(self, request: Request, raw: bytes) -> list[Transfer]:
        told = []
        for number, entry in result(raw, _Ledger).ledger.items():
            exchange_ms = sensible(raw, entry.time)
            self._newest_ms = max(self._newest_ms, exchange_ms)
            told.append(entry.transfer(number, exchange_ms))
        if self.next_page(request, raw) is None:
            if self._read_to_ms is None:
                self._begun_s = int(dict(request.params)["start"])
            else:
                del self._past[:1]
            self._read_to_ms = max(self._begun_s * 1000, self._newest_ms)
        return [transfer for transfer in told if transfer is not None]


def _request(kind: str, start_s: int, offset: int = 0) -> Request:
    params = [("type", kind), ("start", str(start_s))]
    if offset:
        params.append(("ofs", str(offset)))
    return private(NAME, *params, weight=COST)
