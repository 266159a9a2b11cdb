"""LMEX's histories of fills, in windows of time.

Facts (sources: btsecom/docs: spotV3_3 and futuresV2_3, Query User Trades Fills):

* ``trade_history`` tells one market's fills on spot, all markets' on futures, for at most seven days (of a longer span
  the beginning is left out without a word), 500 rows at most. In which order they come, and whether the bounds belong
  to the window, is not said. ``includeOld`` asks futures for what is older than seven days.
* There is no cursor. ``beforeSerialId`` (futures) goes on before a fill; spot has nothing but times.

A window is asked a millisecond wider on either side, and what is beyond is dropped. If its answer is full and goes
from new to old, as LMEX's public trades do, it is followed back to the window's beginning; in any other order, the
window is halved until its answer is not full. Progress is a moment in ms, the beginning of what is not read yet. Within
one reading it is ``<begin>,<until>`` for a narrowed window, ``<begin>,<until>,<serial>,<end>`` on the way back: what
lies between ``until`` (or ``serial``) and ``end`` is told. Reading takes time, so ``end`` is what was settled when it
began; 0 if that would be nothing: then it is read as it is.
"""

from itertools import pairwise

from feeds.account import FillPage
from feeds.account_domain import Fill, UnknownMarket
from feeds.accounts.lmex.rows import FillRow
from feeds.accounts.lmex.wire import decode_rows, reading
from feeds.domain import Market
from feeds.errors import ParseError
from feeds.exchange import MarketIndex, Request

DAY_MS = 86_400_000
WINDOW_MS = 7 * DAY_MS - 2
KEPT_MS = 180 * DAY_MS
"""How far back a first reading goes. LMEX does not say how much it keeps."""
PAGE = 500
WIDENING = 4
"""A narrowed window is followed by one so much wider."""

FILL_PATHS = {"spot": "/spot/api/v3.3/user/trade_history", "futures": "/futures/api/v2.3/user/trade_history"}


class _Place:
    """Where in a history a cursor stands: the window from ``begin_ms`` to ``until_ms``, both in it. ``end_ms``: on the
    way back; 0: without an end that is settled."""

    def __init__(self, cursor: str) -> None:
        begin, until, before, end, *_ = [*cursor.split(","), "", "", ""]
        self.begin_ms = int(begin)
        self.until_ms = int(until) if until else self.begin_ms + WINDOW_MS
        self.before = int(before) if before else None
        self.end_ms = int(end) if end else None

    @property
    def width_ms(self) -> int:
        return self.until_ms - self.begin_ms

    def after(self) -> str:
        """The window that follows."""
        begin_ms, width_ms = self.until_ms + 1, min((self.width_ms + 1) * WIDENING, WINDOW_MS)
        return f"{begin_ms},{begin_ms + width_ms}" if width_ms < WINDOW_MS else str(begin_ms)


def fills_request(product: str, market: Market | None, cursor: str | None) -> Request:
    """Of one market (spot) or all. Without a cursor nobody knows when the history began: the answer is asked for its
    clock alone."""
    params: dict[str, str] = {} if market is None else {"symbol": market.native, "isMatchSymbol": "true"}
    if cursor is None:
        params["count"] = "1"
    else:
        place = _Place(cursor)
        params["startTime"] = str(place.begin_ms - 1)
        params["endTime"] = str(place.until_ms + 1)
        params["count"] = str(PAGE)
        if product == "futures":
            params["includeOld"] = "true"
        if place.before is not None:
            params["beforeSerialId"] = str(place.before)
    return Request(path=FILL_PATHS[product], params=tuple(params.items()), product=product)


def parse_fills(
    product: str, market: Market | None, cursor: str | None, raw: bytes, settled_ms: int, markets: MarketIndex
) -> FillPage:
    if cursor is None:
        return FillPage(fills=[], next=str(max(1, settled_ms - KEPT_MS)), whole=False)
    place = _Place(cursor)
    with reading(raw, FILL_PATHS[product]):
        rows = decode_rows(raw, FillRow)
        inside = [row for row in rows if place.begin_ms <= row.timestamp <= place.until_ms]
        told = [row.fill(product, markets) for row in sorted(inside, key=lambda row: (row.timestamp, row.serialId))]
    fills = [each for each in told if isinstance(each, Fill) and market in (None, markets.get(each.symbol))]
    unlisted = tuple(dict.fromkeys(each for each in told if isinstance(each, UnknownMarket)))
    if len(rows) >= PAGE:
        if _goes_back(rows):
            return _back(product, place, rows, fills, unlisted, settled_ms)
        if place.end_ms is not None or not place.width_ms:
            raise ParseError(f"LMEX, fills: {len(rows)} at {place.until_ms} ms, and no way to ask for more", raw)
        newest_ms = max(row.timestamp for row in rows)
        middle_ms = (place.begin_ms + max(place.begin_ms, min(place.until_ms, newest_ms))) // 2
        return FillPage(fills=[], next=f"{place.begin_ms},{middle_ms}", whole=False)
    if place.end_ms is not None:
        end = str(place.end_ms + 1) if place.end_ms else None
        return FillPage(fills=fills, next=end, reached=end, unlisted=unlisted)
    settled = place.until_ms <= settled_ms
    return FillPage(
        fills=fills,
        next=place.after() if settled or place.width_ms < WINDOW_MS else None,
        reached=str(place.until_ms + 1) if settled else None,
        unlisted=unlisted,
    )


def _goes_back(rows: list[FillRow]) -> bool:
    """From new to old, and so far that it can be gone on with."""
    falling = all(new.timestamp >= old.timestamp for new, old in pairwise(rows))
    if falling and rows[0].timestamp == rows[-1].timestamp:
        return 0 < rows[-1].serialId < rows[0].serialId
    return falling


def _back(
    product: str,
    place: _Place,
    rows: list[FillRow],
    fills: list[Fill],
    unlisted: tuple[UnknownMarket, ...],
    settled_ms: int,
) -> FillPage:
    """The page before this one. Raises ParseError if there is no way to it."""
    end_ms = place.end_ms
    if end_ms is None:
        end_ms = min(place.until_ms, settled_ms) if settled_ms >= place.begin_ms else 0
    oldest_ms, serial = rows[-1].timestamp, rows[-1].serialId
    until_ms = place.until_ms
    if end_ms:
        fills = [fill for fill in fills if fill.exchange_ms <= end_ms]
        until_ms = min(until_ms, end_ms)
    if product == "futures":
        if serial <= 0 or (place.before is not None and serial >= place.before):
            raise ParseError(f"LMEX, fills: {serial} follows {place.before}, so there is no way to ask for more")
        way = f"{place.begin_ms},{until_ms},{serial},{end_ms}"
    elif oldest_ms < place.until_ms:  # what else lies in the oldest millisecond may have been cut off
        way = f"{place.begin_ms},{max(place.begin_ms, min(oldest_ms, until_ms))},,{end_ms}"
    else:
        raise ParseError(f"LMEX, fills: {len(rows)} at {oldest_ms} ms, and no way to ask for more")
    return FillPage(fills=fills, next=way, whole=False, unlisted=unlisted)
