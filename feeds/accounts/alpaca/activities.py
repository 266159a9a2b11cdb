"""The account's fills, which Alpaca calls trade activities. All others: ``bookings``.

Facts (sources: docs.alpaca.markets, docs: account-activities; reference: get-v2-account-activities;
alpacahq/Alpaca-API issues 170 and 176):

* ``GET /v2/account/activities/FILL``: at most 100 rows; ``direction=asc`` is oldest first; ``after`` is a time (whole
  seconds are documented); ``page_token`` is the id of a row, after which the page begins.
* An id is ``<time>::<uuid>``, the time in milliseconds of New York. Rows of one millisecond come in no certain order,
  and paging by the last row's id has been seen to leave out rows of that millisecond (issues 170, 176). So the next
  page begins with the last page's last millisecond again, and every reading begins at least a whole second before what
  is stored. What is told twice is stored once.
* A fill has no fee, and does not tell maker from taker.
* **The stream's ``execution_id`` is not documented to be a part of this id**, so a fill has the id that is told here.
"""

import re
from decimal import Decimal

from feeds.account import FillPage
from feeds.account_domain import Fill, UnknownMarket
from feeds.account_reading import Moment, Wire, ms_of
from feeds.accounts.alpaca.wire import ACCOUNT, CRYPTO, STOCKS, Names, decode, second, side_of
from feeds.exchange import Request

FILLS_PATH = "/v2/account/activities/FILL"
PAGE = 100
"""Rows, the most there is."""
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


def fills_request(cursor: str | None) -> Request:
    """``cursor``: ``"<ms>"`` as stored, or ``"<ms>|<token>"`` of a next page; without the time from the beginning."""
    since, _, token = (cursor or "").partition("|")
    params = [("direction", "asc"), ("page_size", str(PAGE))]
    if since:
        params.append(("after", second(int(since) - 1000)))
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
