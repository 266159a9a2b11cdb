"""The REST API of what is a user's own: settings, portfolio and equity, and with whom accounts are shared.
docs/protocol.md sections 3 and 4."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse

from dashboard import access, live, preferences, records, rows, worth
from dashboard.api import (
    OPENING_S,
    ApiError,
    answer,
    bad_field,
    body_of,
    endpoint,
    owned_account,
    seen_accounts,
    user_of,
)
from dashboard.api_holdings import time_of
from dashboard.fields import canonical
from dashboard.forms import FieldError
from dashboard.models import ExchangeAccount
from dashboard.models_accounts import AccountShare, EquityPoint
from dashboard.rows import Moment
from feeds.worth.pricing import CURRENCIES

DAY_MS = 86_400_000
GRAINS = ((2 * DAY_MS, worth.MINUTE_S), (60 * DAY_MS, worth.HOUR_S))
"""A span up to so long is told in points of so many seconds; a longer one in days."""
MOST_TRANSFERS = 1000
"""With a curve; the newest."""


@endpoint("GET", "PUT")
def settings(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    if request.method != "PUT":
        return answer({**msgspec.structs.asdict(preferences.of(user.pk)), "currencies": CURRENCIES, "user": user.pk})
    try:
        changed = preferences.put(user.pk, body_of(request))
    except FieldError as error:
        raise ApiError(400, "bad_field", str(error), field=error.field) from None
    live.accounts_changed()
    return answer({**msgspec.structs.asdict(changed), "currencies": CURRENCIES, "user": user.pk})


@endpoint("GET")
async def portfolio(request: HttpRequest) -> HttpResponse:
    """The newest frame of the user's portfolio; asking opens it."""
    user = await request.auser()
    try:
        frame = msgspec.json.decode(await live.newest_frame(f"portfolio:{user.pk}", OPENING_S))
    except TimeoutError:
        raise ApiError(503, "opening", "The portfolio is being made. Ask again in a second.") from None
    except live.Refused as error:
        raise ApiError(404, "not_found", str(error)) from None
    frame["age_ms"] = Moment.of(None).age_here_ms(frame["recv_us"] * 1000)
    return answer(frame)


# -- equity ----------------------------------------------------------------------------------------------------------


@endpoint("GET")
def equity(request: HttpRequest) -> HttpResponse:
    """The curve of the chosen accounts together, with what was paid in and out."""
    accounts = seen_accounts(request)
    currency = request.GET.get("currency") or preferences.of(user_of(request).pk).currency
    if currency not in CURRENCIES:
        raise bad_field("currency", f"{currency[:20]!r} is not one of {', '.join(CURRENCIES)}.")
    now_ms = Moment.of(records.report()).now_ns // 1_000_000
    asked_to, asked_from = time_of(request, "to"), time_of(request, "from")
    to_ms = now_ms if asked_to is None else asked_to
    from_ms = to_ms - DAY_MS if asked_from is None else asked_from
    if from_ms >= to_ms:
        raise bad_field("from", f"{from_ms} is not before {to_ms}.")
    grain = next((grain for span_ms, grain in GRAINS if to_ms - from_ms <= span_ms), worth.DAY_S)
    points = _curve(worth.equity_of(accounts, from_ms, to_ms, grain), accounts, currency, grain)
    by_number = {account.pk: account for account in accounts}
    transfers = worth.moved(accounts, from_ms, to_ms)[-MOST_TRANSFERS:]
    for row in transfers:
        row.account = by_number[row.account_id]
    return answer(
        {
            "currency": currency,
            "from_ms": from_ms,
            "to_ms": to_ms,
            "grain_s": grain,
            "points": points,
            "transfers": rows.transfer_rows(transfers, Moment.of(records.report())),
        }
    )


def _curve(
    found: Sequence[EquityPoint], accounts: Sequence[ExchangeAccount], currency: str, grain: int
) -> list[dict[str, Any]]:
    """One point a minute, hour or day, the accounts together, each with what stands for that time: at another minute of
    it, where that of another account was not complete. An account that has none, though it had some before, is lacking;
    one that had none yet is not."""
    times: dict[int, dict[int, EquityPoint]] = {}
    for row in found:
        together = times.setdefault(worth.begin_ms(row.at_ms, grain), {})
        if row.account_id not in together or currency in together[row.account_id].reasons:
            together[row.account_id] = row
    labels = {account.pk: account.label for account in accounts}
    began = worth.first_points(accounts)
    points = []
    for at_ms, by_account in times.items():
        begun = {number for number, first_ms in began.items() if worth.begin_ms(first_ms, grain) <= at_ms}
        reasons = [row.reasons[currency] for row in by_account.values() if currency in row.reasons]
        lacking = [labels[number] for number, row in by_account.items() if currency not in row.values]
        lacking += [labels[number] for number in sorted(begun - by_account.keys())]
        reasons += [f"{label} has no value at this moment." for label in lacking]
        values = [Decimal(row.values[currency]) for row in by_account.values() if currency in row.values]
        points.append(
            {
                "at_ms": at_ms,
                "value": canonical(sum(values, Decimal(0))) if values else None,
                "complete": not reasons,
                "reason": " ".join(dict.fromkeys(reasons)),
            }
        )
    return points


# -- sharing ---------------------------------------------------------------------------------------------------------


@endpoint("GET", "PUT")
def shares(request: HttpRequest, number: int) -> HttpResponse:
    account = owned_account(user_of(request), number)
    if request.method == "PUT":
        body = body_of(request)
        if not isinstance(body, dict) or not isinstance(body.get("user"), str):
            raise bad_field("user", "must be the name of a user.")
        roles = AccountShare.Role.values
        if body.get("role") not in roles:
            raise bad_field("role", f"{str(body.get('role'))[:20]!r} is not one of {', '.join(roles)}.")
        try:
            access.share(account, body["user"], body["role"])
        except LookupError as error:
            raise bad_field("user", str(error)) from None
        live.accounts_changed()
    return answer({"shares": [_share_row(row) for row in account.shares.select_related("user")]})


@endpoint("GET", "DELETE")
def share(request: HttpRequest, number: int, user: int) -> HttpResponse:
    account = owned_account(user_of(request), number)
    row = account.shares.filter(user=user).select_related("user").first()
    if row is None:
        raise ApiError(404, "not_found", f"The account is not shared with user {user}.")
    if request.method != "DELETE":
        return answer(_share_row(row))
    row.delete()
    live.accounts_changed()
    return HttpResponse(status=204)


def _share_row(row: AccountShare) -> dict[str, Any]:
    assert isinstance(row.user, User)
    return {"user": row.user_id, "name": row.user.get_username(), "role": row.role}
