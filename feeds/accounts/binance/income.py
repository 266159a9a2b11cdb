"""Binance USD-M, what changed the wallet beside fills: ``GET /fapi/v1/income``.

Facts (source: developers.binance.com, USD-M futures, Account: Get Income History, English and Chinese; its older page
in Link and Trade; and the change log of binance/binance-connector-js where they are named):

* Weight 30. At most 1000 rows at once, from ``startTime`` on, oldest first (Link and Trade). ``page`` is accepted no
  longer since 2026-10-16 (release notes of sieblyio/binance 3.6.8; the page of the documentation that could be read is
  older and has it): one goes on by time. ``startTime`` and ``endTime`` are inclusive. Without times, the last 7 days;
  three months are kept, and no longest window is named.
* Without ``incomeType`` all kinds are told. There are kinds that the documentation does not list (in what is exported
  as a file, ``LIQUIDATION_FEE`` or ``FUTURES_PRESENT``), so that is how all are read: asking kind by kind would cost
  30 for each of twenty, and leave those out.
* ``income`` is signed: positive flowed in. ``tranId`` is said to be unique for a user within one ``incomeType``; it is
  a number in the newer examples and text in the older ones. Transfers whose ``tranId`` is 0 have been seen, so such a
  row is known by its time and amount, too. ``symbol`` and ``tradeId`` are "" where there is none.
* ``REALIZED_PNL`` and ``COMMISSION`` are what fills tell (``userTrades``), so they are left out here.
* ``SPECIAL_FUNDING_FEE`` (since September 2026, connector's change log): what the holders of contracts on shares pay
  each other for a dividend. It is funding, told under its name.
* ``TRANSFER`` is between this wallet and another of the owner's; which one, no field tells. ``INTERNAL_TRANSFER`` is
  "an internal account's transfer to an ordinary user". What ``INSURANCE_CLEAR``, ``DELIVERED_SETTELMENT``,
  ``AUTO_EXCHANGE`` and the options' kinds mean beyond their names is not documented: they are told under their names,
  as what changed the balance and not as a profit.

A transfer to or from the other wallets counts as money from outside only if the other wallet is not one that is
followed, too: between the spot wallet and this one nothing comes, and the spot side of it is told nowhere that a key
which may only read may ask. So where spot is followed as well, it is told as "other": as a change of the balance, and
neither as a profit nor as a deposit.

What is asked every time: funding since the time that is wanted, and all kinds since ten minutes before the newest row
that was seen, at the start of the last day. What is older follows piece by piece, one with every time, since all at
once would be too dear for accounts that begin together: transfers of 89 days, and all kinds in windows that become
longer, of each the first page. So of an account with more than a thousand rows in such a window, only funding and
transfers are told from before the last day.
"""

from collections.abc import Mapping
from decimal import Decimal

from msgspec import structs

from feeds.account_domain import Transfer, TransferKind
from feeds.account_reading import Ms, Wire
from feeds.accounts.binance.wire import decode, symbol_of
from feeds.errors import ParseError
from feeds.exchange import MarketIndex, Request

PATH = "/fapi/v1/income"
PRODUCT = "usdm"
WEIGHT = 30
PAGE = 1000
DAY_MS = 86_400_000
KEPT_MS = 89 * DAY_MS
OVERLAP_MS = 600_000
"""A row may be told so much later than its time says."""

TOLD_BY_FILLS = frozenset({"REALIZED_PNL", "COMMISSION"})
FUNDING, TRANSFER = "FUNDING_FEE", "TRANSFER"

KINDS: Mapping[str, TransferKind] = {
    FUNDING: "funding",
    "SPECIAL_FUNDING_FEE": "funding",
    TRANSFER: "internal",
    "CROSS_COLLATERAL_TRANSFER": "internal",
    "STRATEGY_UMFUTURES_TRANSFER": "internal",
    "WELCOME_BONUS": "income",
    "REFERRAL_KICKBACK": "income",
    "COMMISSION_REBATE": "income",
    "API_REBATE": "income",
    "CONTEST_REWARD": "income",
    "FEE_RETURN": "income",
    "BFUSD_REWARD": "income",
    "POSITION_LIMIT_INCREASE_FEE": "fee",
}
"""All else is "other"."""


class Row(Wire, frozen=True, rename="camel"):
    """``{"symbol":"","incomeType":"TRANSFER","income":"-0.37500000","asset":"USDT","info":"TRANSFER",
    "time":1570608000000,"tranId":9689322392,"tradeId":""}``"""

    income_type: str
    income: Decimal
    asset: str
    time: Ms
    tran_id: int | str
    symbol: str = ""

    def transfer(self, markets: MarketIndex, *, spot_too: bool) -> Transfer:
        kind = KINDS.get(self.income_type, "other")
        if self.income_type == TRANSFER and spot_too:
            kind = "other"
        plain = self.income_type == FUNDING or (kind, self.income_type) == ("internal", TRANSFER)
        parts = [self.income_type, str(self.tran_id), self.symbol, self.asset]
        if parts[1] in ("", "0"):
            parts += [str(self.time), f"{self.income.normalize():f}"]
        return Transfer(
            product=PRODUCT,
            id="/".join(part for part in parts if part),
            kind=kind,
            asset=self.asset,
            amount=self.income,
            symbol=symbol_of(markets, PRODUCT, self.symbol) if self.symbol else None,
            note="" if plain else self.income_type,
            exchange_ms=self.time,
        )


class Income:
    """What to ask of it next, and what the answers say. ``spot_too``: is the account's spot wallet followed as well?"""

    def __init__(self, markets: MarketIndex, *, spot_too: bool) -> None:
        self.now_ms: int | None = None
        """The exchange's time, as far as told."""
        self.traded: set[str] = set()
        """Symbols of all contracts that were met: of those with commissions fills can be asked."""
        self._markets = markets
        self._spot_too = spot_too
        self._newest_ms: int | None = None  # everything up to here was told, but for what comes late
        self._older: list[Request] = []  # still to be asked, one by one

    def requests(self, since_ms: int) -> list[Request]:
        begin_ms = since_ms = max(0, since_ms)
        if self._newest_ms is not None:
            begin_ms = max(since_ms, self._newest_ms - OVERLAP_MS)
        elif self.now_ms is not None:
            begin_ms = max(since_ms, self.now_ms - DAY_MS)
        return [_request(begin_ms), _request(since_ms, kind=FUNDING), *self._older[:1]]

    def next_page(self, request: Request, raw: bytes) -> Request | None:
        """From the last millisecond of this page on, whose other rows may be on the next one. A full page of one moment
        is an order that took from hundreds of others: what else there is of that moment is passed over, but a full one
        of funding raises ParseError."""
        params, rows = dict(request.params), decode(raw, list[Row])
        if "endTime" in params or len(rows) < PAGE:
            return None
        last_ms = max(row.time for row in rows)
        if params["startTime"] == str(last_ms):
            if "incomeType" in params:
                raise ParseError(f"Binance: {PAGE} rows of {params['incomeType']} are of one moment", raw)
            last_ms += 1
        return structs.replace(request, params=tuple({**params, "startTime": str(last_ms)}.items()))

    def parse(self, request: Request, raw: bytes) -> list[Transfer]:
        rows = decode(raw, list[Row])
        params = dict(request.params)
        if request in self._older:
            self._older.remove(request)
        elif "incomeType" not in params:
            if self._newest_ms is None and self.now_ms is not None:
                self._older = _older(self.now_ms, int(params["startTime"]))
            newest_ms = max((row.time for row in rows), default=int(params["startTime"]))
            if self.now_ms is not None:
                newest_ms = min(newest_ms, self.now_ms)
            self._newest_ms = max(self._newest_ms or 0, newest_ms)
        self.traded |= {symbol_of(self._markets, PRODUCT, row.symbol) for row in rows if row.symbol}
        told = (row for row in rows if row.income_type not in TOLD_BY_FILLS)
        return [row.transfer(self._markets, spot_too=self._spot_too) for row in told]


def _older(now_ms: int, until_ms: int) -> list[Request]:
    """What there may be before ``until_ms``."""
    since_ms, length_ms = max(0, now_ms - KEPT_MS), 2 * DAY_MS
    requests = [_request(since_ms, kind=TRANSFER)]
    while until_ms > since_ms:
        begin_ms = max(since_ms, until_ms - length_ms)
        requests.append(_request(begin_ms, until_ms=until_ms - 1))
        until_ms, length_ms = begin_ms, 2 * length_ms
    return requests


def _request(since_ms: int, *, until_ms: int | None = None, kind: str = "") -> Request:
    params = [("startTime", str(since_ms)), ("limit", str(PAGE))]
    if until_ms is not None:
        params.append(("endTime", str(until_ms)))
    if kind:
        params.append(("incomeType", kind))
    return Request(path=PATH, params=tuple(params), product=PRODUCT, weight=WEIGHT)
