"""The REST API of docs/protocol.md sections 3 and 4. (``api_across`` has that of several exchanges together.)

Signed in by session or API token (``dashboard.security``). Everything about accounts is asked through
:func:`_account` and :func:`_mine`, so that another user's account is 404 everywhere, like one that does not exist.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import msgspec
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import User
from django.db import DatabaseError, IntegrityError
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.views.decorators.gzip import gzip_page

from dashboard import holdings, live, records, rows
from dashboard.forms import FieldError, NewAccount, StaleKey, printable
from dashboard.models import ExchangeAccount, MarketRow
from dashboard.rows import Moment
from dashboard.security import error_answer
from feeds.domain import INTERVALS, StreamState

OPENING_S = 2.0
"""How long a request for a book waits for its stream to be opened."""

CANDLES_S = 10.0
MOST_FILLS = 1000
MOST_CANDLES = 1000


class ApiError(Exception):
    """An answer that is not the one asked for."""

    def __init__(self, status: int, code: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.more = more

    def answer(self) -> HttpResponse:
        answer = error_answer(self.status, self.code, str(self), **self.more)
        if self.status == 503:
            answer["Retry-After"] = "1"
        return answer


def bad_field(field: str, sentence: str) -> ApiError:
    return ApiError(400, "bad_field", f"{field}: {sentence}", field=field)


def answer(body: Any, status: int = 200) -> HttpResponse:
    return HttpResponse(msgspec.json.encode(body), content_type="application/json", status=status)


def endpoint(*methods: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A view that answers to these methods, and whose ApiError is its answer."""

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        def refused(request: HttpRequest) -> HttpResponse | None:
            if any(not printable(value) for value in (request.path_info, *map(str, request.GET.values()))):
                return error_answer(400, "bad_request", "The address holds characters that cannot be shown.")
            if request.method in methods or (request.method == "HEAD" and "GET" in methods):
                return None
            refusal = error_answer(405, "method_not_allowed", f"{request.method} is not one of {', '.join(methods)}.")
            refusal["Allow"] = ", ".join(methods)
            return refusal

        if inspect.iscoroutinefunction(view):

            @functools.wraps(view)
            async def run_async(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
                try:
                    return refused(request) or await view(request, *args, **kwargs)
                except ApiError as error:
                    return error.answer()

            return run_async

        @functools.wraps(view)
        def run(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            try:
                return refused(request) or view(request, *args, **kwargs)
            except ApiError as error:
                return error.answer()

        return run

    return decorate


# -- health and markets ----------------------------------------------------------------------------------------------


@login_not_required
@endpoint("GET")
def healthz(request: HttpRequest) -> HttpResponse:
    """200 while the worker reports and every pinned stream is usable, else 503. For load balancers: no sign-in."""
    try:
        report = records.report()
    except DatabaseError:
        return answer({"ok": False, "worker": {"age_ms": None}, "streams": [], "reason": "No database."}, 503)
    if report is None:
        return answer({"ok": False, "worker": {"age_ms": None}, "streams": []}, 503)
    moment = Moment.of(report)
    age_ms = moment.age_here_ms(report.recv_ns)
    silent = moment.silent_s is not None
    streams = [_aged(stream, age_ms, silent) for stream in report.body.get("streams", [])]
    ok = not silent and all(StreamState(stream["state"]).usable for stream in streams if stream["pinned"])
    worker = {"age_ms": age_ms, "started_ms": report.body.get("started_ms")}
    replay = {"replay": report.body["replay"]} if "replay" in report.body else {}
    return answer({"ok": ok, "worker": worker, "streams": streams, **replay}, 200 if ok else 503)


def _aged(stream: dict[str, Any], age_ms: int, silent: bool) -> dict[str, Any]:
    """A stream of the report, older by the report's age; STALE if there is nobody who could know."""
    aged = dict(stream)
    if aged.get("age_ms") is not None:
        aged["age_ms"] += age_ms
    if silent and StreamState(aged["state"]).usable:
        aged.update(state=StreamState.STALE, reason="The worker is silent.")
    return aged


@gzip_page  # up to a megabyte, the same for everybody: nothing that its size could betray
@endpoint("GET")
def markets(request: HttpRequest) -> HttpResponse:
    found = MarketRow.objects.all()
    exchange = request.GET.get("exchange")
    query = request.GET.get("query", "").strip()
    if exchange is not None:
        found = found.filter(exchange=exchange)
    for word in query.split():
        found = found.filter(Q(symbol__icontains=word) | Q(native__icontains=word) | Q(exchange__icontains=word))
    listed = rows.market_rows(found)
    return answer({"markets": listed, "first": rows.first_pinned(listed, records.report())})


@endpoint("GET")
async def book(request: HttpRequest, exchange: str, symbol: str) -> HttpResponse:
    """The newest frame of a market's book; asking opens its stream."""
    await _market(exchange, symbol)
    try:
        frame = msgspec.json.decode(await live.newest_frame(f"book:{exchange}:{symbol}", OPENING_S))
    except TimeoutError:
        raise ApiError(503, "opening", "The stream is being opened. Ask again in a second.") from None
    except live.Refused as error:
        raise ApiError(404, "not_found", str(error)) from None
    frame["age_ms"] = Moment.of(None).age_here_ms(frame["recv_us"] * 1000) if frame.get("recv_us") else None
    return answer(frame)


@endpoint("GET")
async def candles(request: HttpRequest, exchange: str, symbol: str) -> HttpResponse:
    await _market(exchange, symbol)
    interval = request.GET.get("interval", "1m")
    if interval not in INTERVALS:
        raise bad_field("interval", f"{interval[:20]!r} is not one of {', '.join(INTERVALS)}.")
    limit = whole_number(request, "limit", 500, 1, MOST_CANDLES)
    try:
        bars = await live.candles(exchange, symbol, interval, limit, CANDLES_S)
    except TimeoutError:
        raise ApiError(503, "no_answer", "The worker did not answer in time. Ask again in a second.") from None
    except live.Refused as error:
        raise ApiError(503, "refused", str(error)) from None
    return answer({"interval": interval, "bars": bars})


async def _market(exchange: str, symbol: str) -> None:
    if not await MarketRow.objects.filter(exchange=exchange, symbol=symbol).aexists():
        raise ApiError(404, "not_found", f"There is no market {symbol!r} of {exchange!r}.")


# -- accounts --------------------------------------------------------------------------------------------------------


@endpoint("GET", "POST")
def accounts(request: HttpRequest) -> HttpResponse:
    return _add_account(request) if request.method == "POST" else answer({"accounts": account_rows(_user(request))})


def account_rows(user: User) -> list[rows.Row]:
    """The user's accounts as /api/accounts/ shows them."""
    moment = Moment.of(records.report())
    simulated = records.simulated_exchanges()
    mine = ExchangeAccount.objects.filter(owner=user)
    return [rows.account_row(account, moment, account.exchange in simulated) for account in mine]


def _add_account(request: HttpRequest) -> HttpResponse:
    user = _user(request)
    key = records.sealing_key()
    if key is None:
        raise ApiError(503, "no_key", "The worker has not published its public key yet. Is it running?")
    try:
        body = msgspec.json.decode(request.body)
    except msgspec.DecodeError:
        raise ApiError(400, "bad_json", "The body is not JSON.") from None
    try:
        new = NewAccount.of(body, user, key)
        account = ExchangeAccount.objects.create(owner=user, **msgspec.structs.asdict(new))
    except FieldError as error:
        raise ApiError(400, "bad_field", str(error), field=error.field) from None
    except StaleKey as error:
        raise ApiError(409, "stale_key", str(error)) from None
    except IntegrityError:  # the same label twice at the same moment
        raise bad_field("label", "is the label of another of your accounts.") from None
    live.accounts_changed()
    simulated = account.exchange in records.simulated_exchanges()
    return answer(rows.account_row(account, Moment.of(records.report()), simulated), 201)


@endpoint("GET", "DELETE")
def account(request: HttpRequest, number: int) -> HttpResponse:
    row = _account(_user(request), number)
    if request.method == "DELETE":
        remove_account(row)
        return HttpResponse(status=204)
    return answer(rows.account_row(row, Moment.of(records.report()), row.exchange in records.simulated_exchanges()))


def remove_account(account: ExchangeAccount) -> None:
    """With its sealed key and all its rows; the worker is told to stop following it."""
    account.delete()
    live.accounts_changed()


@endpoint("GET")
def sealing_key(request: HttpRequest) -> HttpResponse:
    key = records.sealing_key()
    if key is None:
        raise ApiError(503, "no_key", "The worker has not published its public key yet. Is it running?")
    return answer({"public_key": key.public_key, "key_id": key.key_id, "exchanges": key.exchanges})


@endpoint("GET")
def balances(request: HttpRequest) -> HttpResponse:
    return answer({"balances": rows.balance_rows(holdings.balances_of(_mine(request)), Moment.of(records.report()))})


@endpoint("GET")
def positions(request: HttpRequest) -> HttpResponse:
    found = holdings.positions_of(_mine(request))
    return answer({"positions": rows.position_rows(found, Moment.of(records.report()))})


@endpoint("GET")
def orders(request: HttpRequest) -> HttpResponse:
    return answer({"orders": rows.order_rows(holdings.orders_of(_mine(request)), Moment.of(records.report()))})


@endpoint("GET")
def fills(request: HttpRequest) -> HttpResponse:
    """Newest first; after a row, oldest first. ``more``: there are further ones in that direction."""
    page, more = holdings.fills_of(
        _mine(request),
        limit=whole_number(request, "limit", 100, 1, MOST_FILLS),
        symbol=request.GET.get("symbol"),
        before=whole_number(request, "before", 0, 0, 2**63 - 1) if "before" in request.GET else None,
        after=whole_number(request, "after", 0, 0, 2**63 - 1) if "after" in request.GET else None,
    )
    return answer(rows.fills_page(rows.fill_rows(page, Moment.of(records.report())), more=more))


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # LoginRequiredMiddleware lets nobody else in
    return request.user


def _account(user: User, number: int) -> ExchangeAccount:
    found = ExchangeAccount.objects.filter(owner=user, pk=number).first()
    if found is None:
        raise ApiError(404, "not_found", f"There is no account {number}.")
    return found


def _mine(request: HttpRequest) -> list[ExchangeAccount]:
    """The account that ``?account=`` names, or all of the user's."""
    if "account" in request.GET:
        return [_account(_user(request), whole_number(request, "account", 0, 0, 2**63 - 1))]
    return list(ExchangeAccount.objects.filter(owner=_user(request)))


def whole_number(request: HttpRequest, name: str, default: int, low: int, high: int) -> int:
    text = request.GET.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 20 and low <= int(text) <= high):
        raise bad_field(name, f"{text[:30]!r} is not a whole number from {low} to {high}.")
    return int(text)
