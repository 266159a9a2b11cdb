"""The REST API of docs/protocol.md sections 3 and 4: markets and accounts. (``api_holdings`` has what accounts hold,
``api_user`` settings, portfolio and sharing, ``api_across`` several exchanges together.)

Signed in by session or API token (``dashboard.security``). Everything about accounts is asked through
:func:`seen_account` and its sisters, and they ask ``dashboard.access``: so an account that is not the user's to see is
404 everywhere, like one that does not exist.
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

from dashboard import access, live, records, rows
from dashboard.forms import AccountChange, FieldError, NewAccount, StaleKey, printable
from dashboard.models import ExchangeAccount, MarketRow
from dashboard.rows import Moment
from dashboard.security import error_answer
from feeds.domain import INTERVALS, StreamState

OPENING_S = 2.0
"""How long a request for a book waits for its stream to be opened."""

CANDLES_S = 10.0
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
        raise ApiError(404, "not_found", f"No market {symbol!r} of {exchange!r} is known.")


# -- accounts --------------------------------------------------------------------------------------------------------


@endpoint("GET", "POST")
def accounts(request: HttpRequest) -> HttpResponse:
    return _add_account(request) if request.method == "POST" else answer({"accounts": account_rows(user_of(request))})


def account_rows(user: User) -> list[rows.Row]:
    """The accounts that the user may see, as /api/accounts/ shows them."""
    found = list(access.visible(user.pk).select_related("owner"))
    roles = access.roles(user.pk, found)
    moment = Moment.of(records.report())
    simulated = records.simulated_exchanges()
    return [rows.account_row(row, moment, roles[row.pk], row.exchange in simulated) for row in found if row.pk in roles]


def _add_account(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    key = records.sealing_key()
    if key is None:
        raise ApiError(503, "no_key", "The worker has not published its public key yet. Is it running?")
    body = body_of(request)
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
    return _account_answer(account, access.OWNER, 201)


@endpoint("GET", "PATCH", "DELETE")
def account(request: HttpRequest, number: int) -> HttpResponse:
    user = user_of(request)
    if request.method == "GET" or request.method == "HEAD":
        row, role = seen_account(user, number)
        return _account_answer(row, role)
    row = owned_account(user, number)
    if request.method == "DELETE":
        remove_account(row)
        return HttpResponse(status=204)
    try:
        change = AccountChange.of(body_of(request), row)
        change.apply(row)
    except FieldError as error:
        raise ApiError(400, "bad_field", str(error), field=error.field) from None
    except IntegrityError:
        raise bad_field("label", "is the label of another account of the same owner.") from None
    live.accounts_changed()
    return _account_answer(row, access.OWNER)


def _account_answer(row: ExchangeAccount, role: str, status: int = 200) -> HttpResponse:
    simulated = row.exchange in records.simulated_exchanges()
    return answer(rows.account_row(row, Moment.of(records.report()), role, simulated), status)


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


# -- who asks, and for what ------------------------------------------------------------------------------------------


def user_of(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # LoginRequiredMiddleware lets nobody else in
    return request.user


def body_of(request: HttpRequest) -> Any:
    try:
        return msgspec.json.decode(request.body)
    except msgspec.DecodeError:
        raise ApiError(400, "bad_json", "The body is not JSON.") from None


def seen_account(user: User, number: int) -> tuple[ExchangeAccount, str]:
    """An account that the user may see, and the user's role; 404 for everybody else."""
    found = access.visible(user.pk).filter(pk=number).first()
    role = access.role(user.pk, found) if found is not None else None
    if found is None or role is None:
        raise ApiError(404, "not_found", f"There is no account {number}.")
    return found, role


def owned_account(user: User, number: int) -> ExchangeAccount:
    """An account that the user may change: a viewer is told that this is not for viewers."""
    found, role = seen_account(user, number)
    if role != access.OWNER:
        raise ApiError(403, "viewer", "This account was shared with you to be looked at; only its owners change it.")
    return found


def seen_accounts(request: HttpRequest) -> list[ExchangeAccount]:
    """The account that ``?account=`` names, or all that the user may see."""
    user = user_of(request)
    if "account" in request.GET:
        return [seen_account(user, whole_number(request, "account", 0, 0, 2**63 - 1))[0]]
    return list(access.visible(user.pk))


def whole_number(request: HttpRequest, name: str, default: int, low: int, high: int) -> int:
    text = request.GET.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 20 and low <= int(text) <= high):
        raise bad_field(name, f"{text[:30]!r} is not a whole number from {low} to {high}.")
    return int(text)
