"""Kraken Futures' account log: every change of every balance and position, with a number of its own.

Facts (docs.kraken.com: api-reference/account-history/get-account-log, futures-websocket/account_log, guides/futures/
ratelimits; support.kraken.com: Interpreting the logs, Fees & Charges for Multi-Collateral Futures):

* It stands on the history service, which has a budget of its own: 100 tokens of each key that come back within ten
  minutes. A question costs 1 for up to 25 entries asked for, 2 up to 50, 3 up to 1,000, 6 up to 5,000, 10 beyond.
  How many entries an answer has at most is not documented; 500 is what it has unless asked otherwise.
* ``id`` rises from 1 within an account; ``from`` is the first one wanted. ``since`` is a time in ms.
* **A trade has two entries**, one of the balance (``asset`` is a currency) and one of the position (``asset`` is the
  contract). Balances change by new less old, which has profit, fee and funding in it.
* ``funding rate change`` is funding paid at the end of a period, an hour. Funding is also realised when a position
  changes: then ``realized_funding`` of the trade's entry has it, and whether that is the entry of the balance, of the
  position or both is not documented. The balance's is read, so nothing can be told twice.
* What a trade did otherwise (profit, fee) its fill tells. Of inverse contracts no fill is told: there the rest of the
  change is, as a movement of another kind.
* ``transfer`` is between the holding wallet and those for futures, which are counted together: it changes nothing.
  ``cross-exchange transfer`` is from or to the spot wallet. ``conversion`` is one currency made another to cover what
  had to be paid in dollars, fees included; ``interest payment`` is interest on losses beyond 30,000 dollars. What else
  is named (``settlement``, ``kfee applied``, ``admin transfer``, ``tax withheld``) is not explained: other movements.
* ``liquidation_fee`` of a liquidation is not told: whether the fill's fee contains it is not documented.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import pairwise

from feeds.account import KeyLimits
from feeds.account_domain import Transfer, TransferKind
from feeds.account_reading import EXACT, Moment, Wire, ms_of, reading
from feeds.accounts.krakenfutures.wire import LABEL, PRODUCT, asset_of, decode, inverse, market_of
from feeds.exchange import MarketIndex, Request

PATH = "/api/history/v3/account-log"
FIRST, LATER, MORE = 5_000, 25, 1_000
"""Entries that are asked for at first, of what is new since, and where that was more."""
LEAST_PAGE = 500
"""An answer with as many may not be the last, whatever was asked for."""
COSTS = ((25, 1), (50, 2), (1_000, 3), (5_000, 6))
DEAREST = 10

LIMITS = KeyLimits(most=50, decay_per_s=100 / 600)
"""Half the pool at once: whoever else reads the log with this key has the other half."""

FUNDING = "funding rate change"
TRADES = frozenset(
    {
        "futures trade",
        "futures liquidation",
        "futures assignor",
        "futures assignee",
        "futures unwind counterparty",
        "futures unwind bankrupt",
        "covered liquidation",
    }
)
WITHIN = "transfer"
KINDS: Mapping[str, TransferKind] = {
    "interest payment": "interest",
    "cross-exchange transfer": "internal",
    "subaccount transfer": "internal",
}
"""What is none of these is another movement."""


class _Entry(Wire, frozen=True):
    """``{"asset":"usd","contract":"pf_dogeusd","booking_uid":"124f43a6-...","collateral":null,
    "date":"2026-09-17T12:00:00.000Z","execution":null,"fee":0,"funding_rate":9.288451412e-7,"id":16,
    "info":"funding rate change","margin_account":"flex","mark_price":null,"new_balance":0,"old_balance":0.0002,
    "realized_funding":-0.0002,"realized_pnl":null,"trade_price":null}``"""

    id: int
    date: Moment
    info: str
    old_balance: Decimal
    new_balance: Decimal
    asset: str | None = None
    contract: str | None = None
    realized_funding: Decimal | None = None

    @property
    def of_balance(self) -> bool:
        """Contracts are named like ``pf_xbtusd``; no currency is."""
        return bool(self.asset) and "_" not in (self.asset or "")

    def transfers(self, markets: MarketIndex) -> Iterator[Transfer]:
        if not self.of_balance or self.info == WITHIN:
            return
        changed = EXACT.subtract(self.new_balance, self.old_balance)
        if self.info == FUNDING:
            yield from self._told("funding", changed, "", markets)
        elif self.info in TRADES:
            paid = self.realized_funding or Decimal(0)
            yield from self._told("funding", paid, "", markets)
            if inverse(self.contract or ""):
                yield from self._told("other", EXACT.subtract(changed, paid), self.info, markets)
        else:
            kind = KINDS.get(self.info, "other")
            yield from self._told(kind, changed, "" if kind == "interest" else self.info, markets)

    def _told(self, kind: TransferKind, amount: Decimal, note: str, markets: MarketIndex) -> Iterator[Transfer]:
        """A contract that is not listed is named in the note."""
        if not amount:
            return
        contract = (self.contract or "").upper()
        market = market_of(markets, contract) if contract else None
        yield Transfer(
            product=PRODUCT,
            id=str(self.id),
            kind=kind,
            asset=asset_of(self.asset or ""),
            amount=amount,
            symbol=market.symbol if market is not None else None,
            note=note if market is not None else f"{note} {contract}".strip(),
            exchange_ms=ms_of(self.date),
        )


class _Log(Wire, frozen=True):
    logs: list[_Entry]


def cost(request: Request) -> float:
    """In tokens of the history service; 0 for what is asked elsewhere."""
    if request.path != PATH:
        return 0.0
    count = int(dict(request.params)["count"])
    return float(next((tokens for most, tokens in COSTS if count <= most), DEAREST))


class AccountLog:
    """Reads it once, and then what is new. How far that is, is known when all pages up to the end were understood."""

    def __init__(self, host: str, markets: MarketIndex) -> None:
        self._host = host
        self._markets = markets
        self._read_to: int | None = None

    def _request(self, begin: tuple[str, int], count: int) -> Request:
        params = ((begin[0], str(begin[1])), ("sort", "asc"), ("count", str(count)))
        return Request(path=PATH, params=params, product=self._host, about=PRODUCT)

    def request(self, since_ms: int) -> Request:
        if self._read_to is None:
            return self._request(("since", since_ms), FIRST)
        return self._request(("from", self._read_to + 1), LATER)

    def next_page(self, request: Request, raw: bytes) -> Request | None:
        if request.path != PATH:
            return None
        entries, count = self._entries(raw), int(dict(request.params)["count"])
        if len(entries) < min(count, LEAST_PAGE):
            return None
        return self._request(("from", entries[-1].id + 1), max(count, MORE))

    def parse(self, request: Request, raw: bytes) -> list[Transfer]:
        entries = self._entries(raw)
        if self.next_page(request, raw) is None:
            before = int(dict(request.params).get("from", "1")) - 1
            last = entries[-1].id if entries else before
            self._read_to = max(last, self._read_to or 0) or None
        return [transfer for entry in entries for transfer in entry.transfers(self._markets)]

    def _entries(self, raw: bytes) -> list[_Entry]:
        entries = decode(raw, _Log).logs
        with reading(raw, f"{LABEL}, account log"):
            for before, after in pairwise(entries):
                if after.id <= before.id:
                    raise ValueError(f"the entry {after.id} follows {before.id}")
        return entries
