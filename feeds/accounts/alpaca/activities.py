"""The account's history: fills, fees, deposits and withdrawals, which Alpaca calls activities.

Facts (sources: docs.alpaca.markets, docs: account-activities, crypto-fees; reference: get-v2-account-activities;
alpacahq/Alpaca-API issues 170 and 176):

* ``GET /v2/account/activities/FILL``: at most 100 rows; ``direction=asc`` is oldest first; ``after`` is a time (whole
  seconds are documented); ``page_token`` is the id of a row, after which the page begins.
* An id is ``<time>::<uuid>``, the time in milliseconds of New York. Rows of one millisecond come in no certain order,
  and paging by the last row's id has been seen to leave out rows of that millisecond (issues 170, 176). So the next
  page begins with the last page's last millisecond again, and every reading begins at least a whole second before what
  is stored. What is told twice is stored once.
* A fill has no fee, and does not tell maker from taker. Fees of crypto are bookings of their own (``CFEE``), made at
  the end of the day, in the coin that was bought (``symbol`` and ``qty``) or in cash (``net_amount``); those of
  authorities on stocks too (``FEE``). They name neither order nor fill: what a fill cost is never told, what the
  account paid is.
  Of a fee in a coin only pairs with dollars are documented; which coin another pair's is in, nothing tells.
* **The stream's ``execution_id`` is not documented to be a part of this id**, so a fill has the id that is told here.
* ``CSD`` and ``CSW`` are cash deposited and withdrawn, ``TRANS`` either, ``JNLC`` is cash moved between accounts at
  Alpaca. ``net_amount`` is signed, ``date`` a day; newer rows tell ``created_at``. ``status`` is ``executed``,
  ``correct`` or ``canceled``. How deposits of coins are booked is not documented: they are not told, and show in the
  balances.
"""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from feeds.account import FillPage
from feeds.account_domain import Fill, Transfer, UnknownMarket
from feeds.account_reading import Moment, Wire, ms_of
from feeds.accounts.alpaca.wire import ACCOUNT, CRYPTO, STOCKS, Names, decode, side_of
from feeds.exchange import Request

FILLS_PATH = "/v2/account/activities/FILL"
ACTIVITIES_PATH = "/v2/account/activities"
PAGE = 100
"""Rows, the most there is."""
FEES = ("CFEE", "FEE")
MONEY = ("CSD", "CSW", "JNLC", "TRANS", *FEES)
LAST_MS = 86_400_000 - 1
"""Of a day: when its fees are booked."""
_OPTION = re.compile(r"[A-Z]{1,6}[0-9]{6,7}[CP][0-9]{8}")
"""The name of an option (OCC): root, day, kind, strike."""


class FillRow(Wire, frozen=True):
    """``{"activity_type":"FILL","id":"20190524113406977::8efc7b9a-8b2b-4000-9955-d36e7db0df74",
    "order_id":"904837e3-3b76-47ec-b432-046db621571b","symbol":"BTC/USD","side":"buy","type":"fill","price":"27540.1",
    "qty":"0.01","cum_qty":"0.01","leaves_qty":"0","transaction_time":"2019-05-24T15:34:06.977Z"}``"""

    id: str
    order_id: str
    symbol: str
    side: str
    price: Decimal
    qty: Decimal
    transaction_time: Moment

    def fill(self, product: str, symbol: str) -> Fill:
        return Fill(
            product=product,
            symbol=symbol,
            id=self.id,
            order_id=self.order_id,
            side=side_of(self.side),
            price=self.price,
            size=abs(self.qty),
            exchange_ms=ms_of(self.transaction_time),
        )


class MoneyRow(Wire, frozen=True):
    """``{"activity_type":"CSD","id":"20190801011955195::5f596936-6f23-4cef-bdf1-3806aae57dbf","date":"2019-08-01",
    "net_amount":"1500.00","status":"executed"}``, ``{"id":"20220812000000000::53be51ba-46f9-43de-b81f-576f241dc680",
    "activity_type":"CFEE","date":"2022-08-12","net_amount":"0","description":"Coin Pair Transaction Fee (Non USD)",
    "symbol":"ETHUSD","qty":"-0.000195","price":"1884.5","status":"executed"}``"""

    id: str
    activity_type: str
    date: date
    net_amount: Decimal = Decimal(0)
    status: str = "executed"
    created_at: Moment | None = None
    symbol: str = ""
    qty: Decimal = Decimal(0)

    def fee(self, cash: str, names: Names) -> Transfer | None:
        """None if it is of nothing that can be named."""
        market = names.find(self.symbol, CRYPTO) if self.symbol else None
        if self.net_amount:
            asset, amount = cash, self.net_amount
        elif self.qty and market is not None and market.quote == cash:
            asset, amount = market.base, self.qty
        else:
            return None
        day_ms = ms_of(datetime(self.date.year, self.date.month, self.date.day, tzinfo=UTC))
        return Transfer(
            product=ACCOUNT,
            id=self.id,
            kind="fee",
            asset=asset,
            amount=amount,
            status="failed" if self.status == "canceled" else "done",
            exchange_ms=day_ms + LAST_MS if self.created_at is None else ms_of(self.created_at),
        )

    def transfer(self, asset: str) -> Transfer:
        moment = self.created_at or datetime(self.date.year, self.date.month, self.date.day, tzinfo=UTC)
        came = self.net_amount >= 0
        return Transfer(
            product=ACCOUNT,
            id=self.id,
            kind="internal" if self.activity_type == "JNLC" else "deposit" if came else "withdrawal",
            asset=asset,
            amount=self.net_amount,
            status="failed" if self.status == "canceled" else "done",
            exchange_ms=ms_of(moment),
        )


def fills_request(cursor: str | None) -> Request:
    """``cursor``: ``"<ms>"`` as stored, or ``"<ms>|<token>"`` of a next page; without the time from the beginning."""
    since, _, token = (cursor or "").partition("|")
    params = [("direction", "asc"), ("page_size", str(PAGE))]
    if since:
        params.append(("after", _second(int(since) - 1000)))
    if token:
        params.append(("page_token", token))
    return Request(path=FILLS_PATH, params=tuple(params), product=ACCOUNT)


def parse_fills(cursor: str | None, raw: bytes, names: Names, products: tuple[str, ...]) -> FillPage:
    """All fills of the account, also of a product that is not followed: one wallet pays for all of them. What is
    followed and not listed yet is waited for; options, which nobody here can name, are passed over."""
    rows = decode(raw, list[FillRow])
    fills, unlisted = [], set()
    for row in rows:
        market = names.find(row.symbol)
        if market is not None:
            fills.append(row.fill(market.product, market.symbol))
        elif not _OPTION.fullmatch(row.symbol):
            product = CRYPTO if "/" in row.symbol else STOCKS
            if product in products:
                unlisted.add(UnknownMarket(product=product, native=row.symbol))
            elif (named := names.by_rule(row.symbol)) is not None:
                fills.append(row.fill(*named))
    fills.sort(key=lambda fill: fill.exchange_ms)
    return FillPage(fills=fills, next=_next(cursor, rows), unlisted=tuple(unlisted))


def _next(cursor: str | None, rows: list[FillRow]) -> str | None:
    """Of a full page: after its last row that is not of its last millisecond; if all are, after the very last."""
    if len(rows) < PAGE:
        return None
    last_ms = ms_of(rows[-1].transaction_time)
    token = next((row.id for row in reversed(rows) if ms_of(row.transaction_time) != last_ms), rows[-1].id)
    return f"{(cursor or '').partition('|')[0]}|{token}"


def transfers_request(since_ms: int) -> Request:
    params = (("activity_types", ",".join(MONEY)), ("direction", "asc"), ("page_size", str(PAGE)))
    return Request(path=ACTIVITIES_PATH, params=(*params, ("after", _second(since_ms))), product=ACCOUNT)


def next_transfers(request: Request, raw: bytes) -> Request | None:
    rows = decode(raw, list[MoneyRow])
    if len(rows) < PAGE:
        return None
    params = tuple(param for param in request.params if param[0] != "page_token")
    return Request(path=request.path, params=(*params, ("page_token", rows[-1].id)), product=ACCOUNT)


def parse_transfers(raw: bytes, asset: str, names: Names) -> list[Transfer]:
    """``asset``: what the account's cash is."""
    told: list[Transfer | None] = []
    for row in decode(raw, list[MoneyRow]):
        if row.activity_type in FEES:
            told.append(row.fee(asset, names))
        elif row.net_amount and row.activity_type in MONEY:
            told.append(row.transfer(asset))
    return [transfer for transfer in told if transfer is not None]


def _second(ms: int) -> str:
    """RFC 3339, rounded down to a whole second."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=max(0, ms) // 1000)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
