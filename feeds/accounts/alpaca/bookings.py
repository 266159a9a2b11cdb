"""What changed the account beside fills, which Alpaca calls non-trade activities: dividends, interest, fees, transfers.

Facts (sources: docs.alpaca.markets, docs: account-activities, crypto-fees, activities (the newer stream of the same
bookings: samples of each, and what of them the older list calls how), mandatory- and voluntary-corporate-actions;
reference: get-v2-account-activities; change log of 2026-11-06):

* ``GET /v2/account/activities?category=non_trade_activity`` tells all of them, also of types that are new; a list of
  types (``activity_types``, not together with ``category``) would be refused for one that is not accepted. At most 100
  rows; ``after`` is about ``created_at``. The id begins with a time, as that of a fill does (see ``activities``), and
  the next page is asked for in the same way.
* ``net_amount`` is what came of cash, signed, in ``currency`` (older rows lack it: the account's). ``date`` is a day,
  here and there written as a moment; newer rows tell ``created_at``. What has only a day is taken for booked at its
  end: its fills come before, and nobody takes it for older than the account is followed.
* ``status`` is ``executed``, ``correct``, ``canceled``, in the stream ``pending`` too; older rows have none.
* Dividends are ``DIV`` and, adjusted or of another kind, ``DIV...``; what is withheld of them (``DIVNRA``, ``DIVFT``,
  ``DIVTW``, ``DIVWH``) is negative, and told as income as well: so the sum is what was got. Their ``qty`` is the number
  of shares that were paid for, and moves nothing, but for a dividend in shares (``activity_sub_type`` ``SDIV``).
* Interest is ``INT`` (margin: negative), withheld ``INTNRA`` and ``INTTW``. ``PTC`` is a charge that is passed on,
  ``PTR`` a rebate. ``FEE`` are those of authorities and the like, ``CFEE`` of crypto: bookings of their own, made at
  the end of the day, in the coin that was bought (``symbol`` and ``qty``) or in cash. They name neither order nor fill:
  what a fill cost is never told, what the account paid is. Of a fee in a coin only pairs with dollars are documented;
  which coin another pair's is in, nothing tells.
* ``CSD`` is cash deposited, ``CSW`` withdrawn (each of them also what came back of the other); ``ACATC``, ``ACATS``
  and ``FOPT`` come from and go to other brokers. ``JNLC`` and ``JNLS`` are cash and shares moved between accounts at
  Alpaca.
* Shares move by ``qty`` of ``symbol``, signed: a split, a merger, another name take the old shares out with one row and
  put the new ones in with another. That is shown for ``SPLIT``, ``SPIN``, ``MA``, ``NC``, ``REORG``, ``VOF``, ``JNLS``
  and ``ACATS``, and told as "other", a transfer or a deposit of the share. **Not documented**: whether an outgoing
  ``JNLS`` or ``ACATS`` is negative, and what ``qty`` is with options (``OPASN``, ``OPEXP``, ``OPTRD`` ...): of those
  the cash alone is told, and so of every type that is not named here, as "other".
* How deposits of coins are booked is not documented: they are not told, and show in the balances.
"""

import datetime
from collections.abc import Mapping
from decimal import Decimal

from msgspec import field, structs

from feeds.account_domain import Transfer, TransferKind
from feeds.account_reading import Moment, Wire, ms_of, reading
from feeds.accounts.alpaca.wire import ACCOUNT, CRYPTO, STOCKS, Names, decode, second
from feeds.exchange import Request
from feeds.exchanges.alpaca_messages import STOCK_SUFFIX

PATH = "/v2/account/activities"
PAGE = 100
LAST_MS = 86_400_000 - 1
"""Of a day."""
BROKERS = frozenset({"CSD", "CSW", "CSR", "TRANS", "ACATC", "ACATS", "FOPT"})
"""Between the account and the world."""
SHARES = frozenset({"ACATS", "FOPT", "JNLS", "MA", "NC", "REO", "REORG", "SPIN", "SPLIT", "VOF"})
KINDS: Mapping[str, TransferKind] = {
    **dict.fromkeys(("JNL", "JNLC", "JNLS"), "internal"),
    **dict.fromkeys(("CFEE", "DIVFEE", "FEE", "PTC"), "fee"),
    **dict.fromkeys(("INT", "INTNRA", "INTTW"), "interest"),
    **dict.fromkeys(("CGD", "DIV", "DIVCGL", "DIVCGS", "DIVFT", "DIVNRA", "DIVROC", "DIVTW", "DIVTXEX"), "income"),
    **dict.fromkeys(("DIVWH", "PTR"), "income"),
}
"""All else is "other", if it is not in ``BROKERS``."""
PLAIN = BROKERS | {"JNLC", "JNLS"}
"""Whose kind says all."""


class Row(Wire, frozen=True):
    """``{"activity_type":"DIV","id":"20190801011955195::5f596936-6f23-4cef-bdf1-3806aae57dbf","date":"2019-08-01",
    "net_amount":"1.02","symbol":"T","cusip":"C00206R102","qty":"2","per_share_amount":"0.51"}``,
    ``{"id":"20220812000000000::53be51ba-46f9-43de-b81f-576f241dc680","activity_type":"CFEE","date":"2022-08-12",
    "net_amount":"0","description":"Coin Pair Transaction Fee (Non USD)","symbol":"ETHUSD","qty":"-0.000195",
    "price":"1884.5","status":"executed"}``"""

    id: str
    activity_type: str
    day: str = field(name="date")
    net_amount: Decimal = Decimal(0)
    activity_sub_type: str | None = None
    status: str | None = None
    created_at: Moment | None = None
    currency: str | None = None
    symbol: str | None = None
    qty: Decimal | None = None

    def at_ms(self) -> int:
        """Raises ValueError."""
        if self.created_at is not None:
            return ms_of(self.created_at)
        day = datetime.date.fromisoformat(self.day[:10])
        return ms_of(datetime.datetime(day.year, day.month, day.day, tzinfo=datetime.UTC)) + LAST_MS

    def kind(self, amount: Decimal) -> TransferKind:
        if self.activity_type in BROKERS:
            return "deposit" if amount >= 0 else "withdrawal"
        return KINDS.get(self.activity_type, "other")

    def transfers(self, cash: str, names: Names) -> list[Transfer]:
        """What came of cash and what of something else; nothing where neither can be named. Raises ValueError."""
        found = []
        share, symbol = self._share(names)
        if self.net_amount:
            found.append(self._transfer(self.currency or cash, self.net_amount, symbol, self.id))
        elif self.activity_type == "CFEE" and self.qty and self.symbol:
            market = names.find(self.symbol, CRYPTO)
            if market is not None and market.quote == cash:
                found.append(self._transfer(market.base, self.qty, market.symbol, self.id))
        in_shares = self.activity_type in SHARES or (self.activity_type, self.activity_sub_type) == ("DIV", "SDIV")
        if in_shares and self.qty and share is not None:
            found.append(self._transfer(share, self.qty, symbol, f"{self.id}/{share}"))
        return found

    def _share(self, names: Names) -> tuple[str | None, str | None]:
        """The asset that ``symbol`` is, and its market; (None, None) for none, for a coin and for an option."""
        if not self.symbol or self.activity_type == "CFEE":
            return None, None
        market = names.find(self.symbol, STOCKS)
        if market is not None:
            return market.base, market.symbol
        product, symbol = names.by_rule(self.symbol) or ("", "")
        return (f"{self.symbol}{STOCK_SUFFIX}", symbol) if product == STOCKS else (None, None)

    def _transfer(self, asset: str, amount: Decimal, symbol: str | None, id: str) -> Transfer:
        name = f"{self.activity_type} {self.activity_sub_type or ''}".rstrip()
        return Transfer(
            product=ACCOUNT,
            id=id,
            kind=self.kind(amount),
            asset=asset,
            amount=amount,
            symbol=symbol,
            note="" if self.activity_type in PLAIN else name,
            status="failed" if self.status == "canceled" else "pending" if self.status == "pending" else "done",
            exchange_ms=self.at_ms(),
        )


def request(since_ms: int) -> Request:
    params = (("category", "non_trade_activity"), ("direction", "asc"), ("page_size", str(PAGE)))
    return Request(path=PATH, params=(*params, ("after", second(since_ms))), product=ACCOUNT)


def next_page(request: Request, raw: bytes) -> Request | None:
    """After the last row that is not of the last one's millisecond, so that none of that is left out."""
    rows = decode(raw, list[Row])
    if len(rows) < PAGE:
        return None
    last = rows[-1].id.partition("::")[0]
    token = next((row.id for row in reversed(rows) if row.id.partition("::")[0] != last), rows[-1].id)
    if ("page_token", token) in request.params:
        token = rows[-1].id
    params = tuple(param for param in request.params if param[0] != "page_token")
    return structs.replace(request, params=(*params, ("page_token", token)))


def parse(raw: bytes, cash: str, names: Names) -> list[Transfer]:
    """``cash``: what the account's cash is."""
    rows = decode(raw, list[Row])
    with reading(raw, "Alpaca"):
        return [transfer for row in rows for transfer in row.transfers(cash, names)]
