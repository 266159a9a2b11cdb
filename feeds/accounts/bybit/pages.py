"""Bybit's histories: fills, in windows of time that are told newest first, and how its lists are paged.

Facts (source: bybit-exchange.github.io/docs/v5: order/execution):

* ``/v5/execution/list`` tells a whole category, newest first, 100 a page, for at most seven days of the last two years.
  ``nextPageCursor`` continues; there may be one on the last page too. Rows of one millisecond have no order.

A fill list's progress is a moment in ms: what happened before it is stored. A window of several pages is asked as
``<begin>,<end>,<Bybit's cursor>``: reading it takes time, so it ends at what was settled when its first page came, and
fills after that are left to the window that follows. Its end is empty if that would be next to nothing: then it is read
as it is.
"""

import msgspec

from feeds.account import FillPage
from feeds.account_domain import Fill, UnknownMarket
from feeds.account_reading import Wire
from feeds.accounts.bybit.rows import WALLET, ExecutionRow
from feeds.accounts.bybit.wire import reading, result
from feeds.exchange import MarketIndex, Request

WINDOW_MS = 7 * 86_400_000
KEPT_MS = 729 * 86_400_000
"""Two years are told; a day less, as nobody knows how Bybit counts them."""

FILLS_PATH = "/v5/execution/list"
FILLS_A_PAGE = 100

LOG_PATH = "/v5/account/transaction-log"

LEAST_MS = 60_000
"""A window of several pages that would be shorter is read as it is."""


class _Executions(Wire, frozen=True):
    rows: list[ExecutionRow] = msgspec.field(name="list")
    nextPageCursor: str | None = None


class _Listed(Wire, frozen=True):
    rows: list[msgspec.Raw] = msgspec.field(name="list")
    nextPageCursor: str | None = None


def next_page(request: Request, raw: bytes) -> Request | None:
    """The request for the page after this answer; None if it was the last one."""
    with reading(raw, request.path):
        page = result(raw, _Listed)
    cursor = page.nextPageCursor
    if not page.rows or not cursor or ("cursor", cursor) in request.params:
        return None
    params = tuple((name, value) for name, value in request.params if name != "cursor")
    return Request(
        path=request.path, params=(*params, ("cursor", cursor)), product=request.product, about=request.about
    )


# Fills


class _Place:
    """Where in a history a cursor stands. ``until_ms``: the end of a window of several pages, None if it has none."""

    def __init__(self, cursor: str) -> None:
        begin, _, rest = cursor.partition(",")
        until, _, self.page = rest.partition(",")
        self.begin_ms = int(begin)
        self.until_ms = int(until) if until else None
        self.end_ms = self.begin_ms + WINDOW_MS

    def split(self, settled_ms: int) -> None:
        """It takes several pages."""
        if not self.page and (until_ms := min(settled_ms, self.end_ms)) >= self.begin_ms + LEAST_MS:
            self.until_ms = until_ms


def fills_request(category: str, cursor: str | None) -> Request:
    """Without a cursor nobody knows when the history began: the answer is asked for its clock alone."""
    params = {"category": category}
    if cursor is None:
        params["limit"] = "1"
    else:
        place = _Place(cursor)
        params |= {
            "startTime": str(place.begin_ms),
            "endTime": str(place.end_ms),
            "limit": str(FILLS_A_PAGE),
        }
        if place.page:
            params["cursor"] = place.page
    return Request(path=FILLS_PATH, params=tuple(params.items()), product=WALLET, about=category)


def parse_fills(category: str, cursor: str | None, raw: bytes, settled_ms: int, markets: MarketIndex) -> FillPage:
    if cursor is None:
        return FillPage(fills=[], next=str(max(0, settled_ms - KEPT_MS)), whole=False)
    place = _Place(cursor)
    with reading(raw, FILLS_PATH):
        page = result(raw, _Executions)
        told = [row.fill(category, markets) for row in reversed(page.rows)]
    fills = sorted((fill for fill in told if isinstance(fill, Fill)), key=lambda fill: fill.exchange_ms)
    unlisted = dict.fromkeys(each for each in told if isinstance(each, UnknownMarket))
    more = page.nextPageCursor if page.rows and page.nextPageCursor != place.page else None
    if more:
        place.split(settled_ms)
    reached = place.until_ms
    if reached is not None:
        fills = [fill for fill in fills if fill.exchange_ms <= reached]
    elif not place.page and place.end_ms <= settled_ms:
        reached = place.end_ms
    if more:
        return FillPage(
            fills=fills,
            next=f"{place.begin_ms},{place.until_ms or ''},{more}",
            whole=False,
            unlisted=tuple(unlisted),
        )
    end = None if reached is None else str(reached)
    return FillPage(fills=fills, next=end, reached=end, unlisted=tuple(unlisted))
