"""REST of what several exchanges show together: docs/protocol.md sections 3 and 5.

Fees and the threshold belong to the installation: whoever is signed in sees and changes the same.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec
from django.http import HttpRequest, HttpResponse

from dashboard import live, spreads
from dashboard.api import OPENING_S, ApiError, answer, bad_field, endpoint, whole_number
from dashboard.models import ArbitrageThreshold, FeeRow, MarketRow
from feeds.across.arbitrage import HIGHEST_BPS, LONGEST_S, LOWEST_BPS
from feeds.across.consolidated import merge
from feeds.across.fees import read_bps
from feeds.topics import ACROSS, FEES, MATRIX, parse_topic

MOST_EVENTS = 1000

T = TypeVar("T")


# -- frames ------------------------------------------------------------------------------------------------------------


@endpoint("GET")
async def across(request: HttpRequest, symbol: str) -> HttpResponse:
    """The newest consolidated book with its rows merged; asking opens its streams."""
    await _symbol(symbol)
    step = request.GET.get("step")
    frame = await _frame(f"{ACROSS}{'' if step is None else f'@{step}'}:{symbol}", "step")
    legs = frame["data"]["legs"]
    wanted = _wanted(request, legs)
    frame["data"]["merged"] = {
        side: merge(
            [leg[side] for leg in legs], [leg["reach"][number] for leg in legs], falling=side == "bids", wanted=wanted
        )
        for number, side in enumerate(("bids", "asks"))
    }
    return answer(frame)


def _wanted(request: HttpRequest, legs: list[dict[str, Any]]) -> set[int]:
    """Numbers of the usable legs that ``?exchanges=`` names, or of all."""
    named = request.GET.get("exchanges")
    exchanges = {leg["exchange"] for leg in legs}
    chosen = exchanges if named is None else set(named.split(","))
    for name in sorted(chosen - exchanges):
        raise bad_field("exchanges", f"{name[:32]!r} is not one of {', '.join(sorted(exchanges))}.")
    return {number for number, leg in enumerate(legs) if leg["usable"] and leg["exchange"] in chosen}


@endpoint("GET")
async def matrix(request: HttpRequest, symbol: str) -> HttpResponse:
    """The newest spread matrix; asking opens its streams."""
    await _symbol(symbol)
    fees = request.GET.get("fees", FEES[0])
    if fees not in FEES:
        raise bad_field("fees", f"{fees[:20]!r} is not one of {', '.join(FEES)}.")
    if "size" not in request.GET:
        raise bad_field("size", "is missing; it is a size in base currency, like 0.5.")
    return answer(await _frame(f"{MATRIX}@{request.GET['size']},{fees}:{symbol}", "size"))


async def _symbol(symbol: str) -> None:
    if not await MarketRow.objects.filter(symbol=symbol).aexists():
        raise ApiError(404, "not_found", f"No exchange is known to have a market {symbol[:64]!r}.")


async def _frame(topic: str, field: str) -> dict[str, Any]:
    """The topic's newest frame; ``field`` names the parameter that can make it wrong."""
    try:
        name = str(parse_topic(topic))
    except ValueError as error:
        raise bad_field(field, str(error)) from None
    try:
        frame: dict[str, Any] = msgspec.json.decode(await live.newest_frame(name, OPENING_S))
    except TimeoutError:
        raise ApiError(503, "opening", "The streams are being opened. Ask again in a second.") from None
    except live.Refused as error:
        raise bad_field(field, str(error)) from None
    frame["age_ms"] = max(0, time.time_ns() // 1_000_000 - frame["recv_us"] // 1000) if frame["recv_us"] else None
    return frame


# -- events ------------------------------------------------------------------------------------------------------------


@endpoint("GET")
def arbitrage(request: HttpRequest) -> HttpResponse:
    """Stored events, the latest first."""
    page, more = spreads.events_page(
        symbol=request.GET.get("symbol"),
        exchange=request.GET.get("exchange"),
        open_only=bool(whole_number(request, "open", 0, 0, 1)),
        before=whole_number(request, "before", 0, 0, 2**63 - 1) if "before" in request.GET else None,
        limit=whole_number(request, "limit", 100, 1, MOST_EVENTS),
    )
    return answer({"events": spreads.event_rows(page, time.time_ns()), "more": more})


# -- settings ----------------------------------------------------------------------------------------------------------


@endpoint("GET", "PUT", "DELETE")
def arbitrage_settings(request: HttpRequest) -> HttpResponse:
    row: ArbitrageThreshold | None = spreads.threshold()
    if row is None:
        raise ApiError(503, "no_worker", "The worker has not written its settings yet. Is it running?")
    if request.method == "PUT":
        body = _body(request, ("threshold_bps", "duration_s"))
        bps = _field(body, "threshold_bps", lambda value: read_bps(value, LOWEST_BPS, HIGHEST_BPS))
        spreads.set_user_threshold(row, bps, _field(body, "duration_s", _duration))
    elif request.method == "DELETE":
        spreads.set_user_threshold(row, None, None)
    if request.method in ("PUT", "DELETE"):
        live.across_changed()
    return answer(spreads.threshold_row(row))


@endpoint("GET")
def fees(request: HttpRequest) -> HttpResponse:
    return answer({"fees": [spreads.fee_row(row) for row in FeeRow.objects.filter(followed=True)]})


@endpoint("GET", "PUT", "DELETE")
def fee(request: HttpRequest, exchange: str, product: str) -> HttpResponse:
    row = FeeRow.objects.filter(exchange=exchange, product=product, followed=True).first()
    if row is None:
        raise ApiError(404, "not_found", f"The worker follows no {product[:16]!r} of {exchange[:32]!r}.")
    if request.method == "PUT":
        body = _body(request, ("maker_bps", "taker_bps"))
        spreads.set_user_fee(row, _field(body, "maker_bps", read_bps), _field(body, "taker_bps", read_bps))
    elif request.method == "DELETE":
        spreads.set_user_fee(row, None, None)
    if request.method in ("PUT", "DELETE"):
        live.across_changed()
    return answer(spreads.fee_row(row))


def _body(request: HttpRequest, fields: tuple[str, ...]) -> Mapping[str, Any]:
    """The request's JSON object, which has these fields and no others."""
    try:
        body = msgspec.json.decode(request.body)
    except (msgspec.DecodeError, RecursionError):
        raise ApiError(400, "bad_json", "The body is not JSON.") from None
    if not isinstance(body, dict):
        raise bad_field("body", "must be a JSON object.")
    for name in body:
        if name not in fields:
            raise bad_field(str(name)[:50], f"is not a field; the fields are {', '.join(fields)}.")
    return body


def _field(body: Mapping[str, Any], name: str, read: Callable[[Any], T]) -> T:
    """A field that must be there, read and checked."""
    if name not in body:
        raise bad_field(name, "is missing.")
    try:
        return read(body[name])
    except ValueError as error:
        raise bad_field(name, f"{error}, not {str(body[name])[:30]!r}.") from None


def _duration(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LONGEST_S:
        raise ValueError(f"must be a number of seconds from 0 to {LONGEST_S:g}")
    return float(value)
