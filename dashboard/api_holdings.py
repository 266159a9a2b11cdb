"""The REST API of what accounts hold and did: balances, positions, orders, fills, transfers, notices. docs/protocol.md
section 3."""

import csv
import io
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, get_args
from zoneinfo import ZoneInfo

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse

from dashboard import holdings, preferences, records, rows
from dashboard.api import answer, bad_field, endpoint, seen_accounts, user_of, whole_number
from dashboard.holdings import FillFilter, Place
from dashboard.models import ExchangeAccount, Fill
from dashboard.rows import Moment
from feeds.account_domain import TransferKind

MOST = 1000
LARGEST = 2**63 - 1
CSV_PAGE = 1000
SIDES = ("buy", "sell")
SORTS = ("-time", "time")
TRANSFER_KINDS: tuple[str, ...] = get_args(TransferKind)


def _moment() -> Moment:
    return Moment.of(records.report())


@endpoint("GET")
def balances(request: HttpRequest) -> HttpResponse:
    return answer({"balances": rows.balance_rows(holdings.balances_of(seen_accounts(request)), _moment())})


@endpoint("GET")
def positions(request: HttpRequest) -> HttpResponse:
    return answer({"positions": rows.position_rows(holdings.positions_of(seen_accounts(request)), _moment())})


@endpoint("GET")
def orders(request: HttpRequest) -> HttpResponse:
    """All open ones and the newest others; with ``history=1`` page by page through all, the latest change first."""
    accounts = seen_accounts(request)
    if request.GET.get("history") != "1":
        return answer({"orders": rows.order_rows(holdings.orders_of(accounts), _moment())})
    page, more = holdings.order_history(
        accounts, limit=_limit(request), symbol=request.GET.get("symbol"), after=_place(request)
    )
    following = f"{page[-1].updated_ms}-{page[-1].pk}" if more else None
    return answer({"orders": rows.order_rows(page, _moment()), "more": more, "next": following})


@endpoint("GET")
def fills(request: HttpRequest) -> HttpResponse:
    """By row (newest first; after a row, oldest first), or with ``sort`` by the exchange's time, through years."""
    accounts = seen_accounts(request)
    if "sort" in request.GET or "cursor" in request.GET:
        page, more = holdings.fills_by_time(
            accounts,
            _filter(request),
            limit=_limit(request),
            newest_first=_newest_first(request),
            after=_place(request),
        )
        following = f"{page[-1].exchange_ms}-{page[-1].pk}" if more else None
        content = rows.fills_page(rows.fill_rows(page, _moment()), more=more)
        return answer({**content, "next": following})
    by_time = [name for name in ("side", "from", "to") if name in request.GET]
    if by_time:
        raise bad_field(by_time[0], "needs sort=time or sort=-time beside it.")
    page, more = holdings.fills_of(
        accounts,
        limit=_limit(request),
        symbol=request.GET.get("symbol"),
        before=whole_number(request, "before", 0, 0, LARGEST) if "before" in request.GET else None,
        after=whole_number(request, "after", 0, 0, LARGEST) if "after" in request.GET else None,
    )
    return answer(rows.fills_page(rows.fill_rows(page, _moment()), more=more))


@endpoint("GET")
def transfers(request: HttpRequest) -> HttpResponse:
    page, more = holdings.transfers_of(
        seen_accounts(request), limit=_limit(request), kinds=_kinds(request), after=_place(request)
    )
    following = f"{page[-1].exchange_ms}-{page[-1].pk}" if more else None
    return answer({"transfers": rows.transfer_rows(page, _moment()), "more": more, "next": following})


@endpoint("GET")
def notices(request: HttpRequest) -> HttpResponse:
    page, more = holdings.notices_of(
        seen_accounts(request),
        only_open=request.GET.get("open") == "1",
        limit=_limit(request),
        before=whole_number(request, "before", 0, 0, LARGEST) if "before" in request.GET else None,
    )
    return answer({"notices": rows.notice_rows(page, _moment()), "more": more})


# -- as a table ------------------------------------------------------------------------------------------------------

COLUMNS = (
    *("time", "exchange", "account", "product", "symbol", "side", "price", "size", "notional", "fee", "fee_currency"),
    *("liquidity", "realised", "fill_id", "order_id", "client_id", "exchange_ms"),
)


@endpoint("GET")
async def fills_csv(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """All fills that the filters let through, as long as there are any; times in the user's zone."""
    accounts = await sync_to_async(seen_accounts)(request)
    settings = await sync_to_async(lambda: preferences.of(user_of(request).pk))()
    only, newest_first = _filter(request), _newest_first(request)
    lines = _csv_lines(accounts, only, newest_first, ZoneInfo(settings.zone))
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="fills.csv"'
    return response


async def _csv_lines(
    accounts: Sequence[ExchangeAccount], only: FillFilter, newest_first: bool, zone: ZoneInfo
) -> AsyncIterator[bytes]:
    yield _csv([COLUMNS])
    after: Place | None = None
    more = True
    while more:
        page, more = await sync_to_async(holdings.fills_by_time)(
            accounts, only, limit=CSV_PAGE, newest_first=newest_first, after=after
        )
        if page:
            after = page[-1].exchange_ms, page[-1].pk
            yield _csv(_csv_row(fill, row, zone) for fill, row in zip(page, rows.fill_rows(page, _now()), strict=True))


def _now() -> Moment:
    return Moment(now_ns=0)  # of these rows no age is shown


def _csv_row(fill: Fill, row: rows.Row, zone: ZoneInfo) -> list[str]:
    liquidity = {True: "maker", False: "taker", None: ""}[fill.maker]
    at = datetime.fromtimestamp(fill.exchange_ms / 1000, zone).isoformat(timespec="milliseconds")
    values = (at, row["exchange"], row["label"], row["product"], row["symbol"], row["side"], row["price"], row["size"])
    money = (row["notional"], row["fee"], row["fee_asset"], liquidity, row["realised"])
    numbers = (row["id"], row["order_id"], row["client_id"], str(fill.exchange_ms))
    return [_cell(value, number=index in (6, 7, 8, 9, 12)) for index, value in enumerate((*values, *money, *numbers))]


def _cell(value: str | None, *, number: bool) -> str:
    """A spreadsheet takes a text that begins like a formula for one."""
    text = value or ""
    return f"'{text}" if not number and text[:1] in ("=", "+", "-", "@", "\t") else text


def _csv(lines: Any) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(lines)
    return text.getvalue().encode()


# -- what is asked ---------------------------------------------------------------------------------------------------


def _limit(request: HttpRequest) -> int:
    return whole_number(request, "limit", 100, 1, MOST)


def _kinds(request: HttpRequest) -> list[str] | None:
    """One or several, with commas."""
    if "kind" not in request.GET:
        return None
    kinds = request.GET["kind"].split(",")
    for kind in kinds:
        if kind not in TRANSFER_KINDS:
            raise bad_field("kind", f"{kind[:20]!r} is not one of {', '.join(TRANSFER_KINDS)}.")
    return kinds


def _newest_first(request: HttpRequest) -> bool:
    sort = request.GET.get("sort", SORTS[0])
    if sort not in SORTS:
        raise bad_field("sort", f"{sort[:20]!r} is not one of {', '.join(SORTS)}.")
    return sort == SORTS[0]


def _filter(request: HttpRequest) -> FillFilter:
    side = request.GET.get("side")
    if side is not None and side not in SIDES:
        raise bad_field("side", f"{side[:20]!r} is not one of {', '.join(SIDES)}.")
    return FillFilter(
        symbol=request.GET.get("symbol"), side=side, from_ms=time_of(request, "from"), to_ms=time_of(request, "to")
    )


def time_of(request: HttpRequest, name: str) -> int | None:
    """Milliseconds since 1970, or ISO 8601 with an offset or Z."""
    text = request.GET.get(name)
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) < 16:
        return int(text)
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is not None:
            return round(at.timestamp() * 1000)
    except (ValueError, OverflowError):
        pass
    raise bad_field(name, f"{text[:40]!r} is neither milliseconds since 1970 nor like 2026-11-25T14:00:00Z.")


def _place(request: HttpRequest) -> Place | None:
    text = request.GET.get("cursor")
    if text is None:
        return None
    ms, _, row = text.partition("-")
    if not all(part.isascii() and part.isdigit() and len(part) < 19 for part in (ms, row)):
        raise bad_field("cursor", f"{text[:40]!r} is not the next of a page.")
    return int(ms), int(row)
