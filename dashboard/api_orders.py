"""The REST API of orders: placing and cancelling, where the account allows it. docs/protocol.md section 3.

Only who owns an account, the first owner or one by sharing, orders on it. The worker does it
(``feeds.following.trader``); what is not answered in time may have been done all the same, so the same request, with
the same key, may be sent again.
"""

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse

from dashboard import access, live
from dashboard.api import ApiError, answer, bad_field, body_of, endpoint, owned_account, user_of
from dashboard.models import ExchangeAccount

ANSWER_S = 25.0
KEY = re.compile(r"[A-Za-z0-9-]{8,64}")
NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?")
"""Plain: a power of ten could stand for a text of any length."""
SIDES = ("buy", "sell")
IN_FORCE = ("GTC", "IOC", "FOK")
FLAGS = ("post_only", "reduce_only")
FIELDS = {"key", "symbol", "side", "size", "price", "time_in_force", *FLAGS}


@endpoint("POST")
async def place(request: HttpRequest, number: int) -> HttpResponse:
    account = await _trading_account(request, number)
    body = _object(request)
    if unknown := sorted(body.keys() - FIELDS):
        raise bad_field(unknown[0], f"is no field of an order; there are {', '.join(sorted(FIELDS))}.")
    key = _text(body, "key")
    if not KEY.fullmatch(key):
        raise bad_field("key", f"{key[:70]!r} must be 8 to 64 letters, digits and hyphens.")
    wish = {
        "symbol": _text(body, "symbol"),
        "side": _one_of(body, "side", SIDES),
        "size": _decimal(body, "size"),
        "price": None if body.get("price") is None else _decimal(body, "price"),
        "time_in_force": _one_of({"time_in_force": "GTC", **body}, "time_in_force", IN_FORCE),
        **{name: _flag(body, name) for name in FLAGS},
    }
    return answer(await _ask(account.pk, "place", {"key": key, "wish": wish}))


@endpoint("POST")
async def cancel(request: HttpRequest, number: int) -> HttpResponse:
    account = await _trading_account(request, number)
    body = _object(request)
    order = {name: _text(body, name) for name in ("symbol", "order_id")}
    return answer(await _ask(account.pk, "cancel", order))


@endpoint("POST")
async def cancel_all(request: HttpRequest, number: int) -> HttpResponse:
    account = await _trading_account(request, number)
    return answer(await _ask(account.pk, "cancel_all", {}))


@endpoint("POST")
async def cancel_everything(request: HttpRequest) -> HttpResponse:
    """On every account that the user owns and that may trade; each tells how it went."""
    user = await sync_to_async(user_of)(request)
    accounts = await sync_to_async(_trading_accounts)(user)
    outcomes = await asyncio.gather(*(_outcome(account) for account in accounts))
    return answer({"accounts": outcomes})


async def _outcome(account: int) -> dict[str, Any]:
    try:
        told = await _ask(account, "cancel_all", {})
    except ApiError as error:
        return {"account": account, "orders": None, "sentence": str(error)}
    return {"account": account, "orders": told["orders"], "sentence": ""}


def _trading_accounts(user: User) -> list[int]:
    accounts = list(access.visible(user.pk).filter(trading=True).order_by("pk"))
    roles = access.roles(user.pk, accounts)
    return [account.pk for account in accounts if roles.get(account.pk) == access.OWNER]


async def _trading_account(request: HttpRequest, number: int) -> ExchangeAccount:
    user = await sync_to_async(user_of)(request)
    account = await sync_to_async(owned_account)(user, number)
    if not account.trading:
        raise ApiError(409, "refused", "Trading is switched off for this account.")
    return account


async def _ask(account: int, action: str, body: dict[str, Any]) -> dict[str, Any]:
    try:
        return await live.trade(account, action, body, ANSWER_S)
    except live.Refused as refusal:
        raise ApiError(409, "refused", str(refusal)) from None
    except TimeoutError:
        sentence = "The worker has not answered yet: it may be done all the same. The same request may be sent again."
        raise ApiError(503, "unavailable", sentence) from None


# -- fields ----------------------------------------------------------------------------------------------------------


def _object(request: HttpRequest) -> dict[str, Any]:
    body = body_of(request)
    if not isinstance(body, dict):
        raise ApiError(400, "bad_json", "The body is no JSON object.")
    return body


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= 128:
        raise bad_field(name, f"{str(value)[:40]!r} must be a text of 1 to 128 characters.")
    return value


def _one_of(body: Mapping[str, Any], name: str, allowed: tuple[str, ...]) -> str:
    value = body.get(name)
    if value not in allowed:
        raise bad_field(name, f"{str(value)[:40]!r} is not one of {', '.join(allowed)}.")
    return str(value)


def _decimal(body: Mapping[str, Any], name: str) -> str:
    """A number as text: JSON's own numbers are binary fractions for most readers."""
    value = body.get(name)
    if not isinstance(value, str) or not NUMBER.fullmatch(value):
        raise bad_field(name, f"{str(value)[:40]!r} must be a number as text, like '0.01'.")
    return value


def _flag(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise bad_field(name, f"{str(value)[:40]!r} must be true or false.")
    return value
