"""The simulated Alpaca's trading API: account, holdings, orders, activities, clock. Key and secret are headers."""

import math
from bisect import bisect_right
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
from aiohttp import web

from feeds.simulator import filters
from feeds.simulator.accounts import Account, Accounts
from feeds.simulator.alpaca import rows
from feeds.simulator.alpaca.frames import stamp
from feeds.simulator.alpaca.listing import CRYPTO, NAME, STOCKS
from feeds.simulator.alpaca.terms import CASH, AlpacaError, refusal
from feeds.simulator.faults import Faults
from feeds.simulator.keys import ApiKey
from feeds.simulator.market import LiveMarket
from feeds.simulator.orders import OwnOrder, Rejected

_IN_FORCE = {CRYPTO: ("gtc", "ioc"), STOCKS: ("day", "gtc", "ioc", "fok")}
_MOST_ORDERS, _USUAL_ORDERS, _MOST_ACTIVITIES = 500, 50, 100
Handler = Callable[[ApiKey, Account, web.Request, dict[str, Any]], Any]


class AlpacaTradingApi:
    def __init__(self, accounts: Accounts, markets: rows.Markets, faults: Faults, clock_ms: Callable[[], int]) -> None:
        self._accounts = accounts
        self._markets = markets
        self._faults = faults
        self._clock_ms = clock_ms

    def routes(self, prefix: str) -> list[web.RouteDef]:
        table: tuple[tuple[str, str, Handler, int], ...] = (
            ("GET", "/v2/clock", self._clock, 200),
            ("GET", "/v2/account", self._account, 200),
            ("GET", "/v2/positions", self._positions, 200),
            ("GET", "/v2/account/activities", self._activities, 200),
            ("GET", "/v2/account/activities/{kind}", self._activities, 200),
            ("GET", "/v2/orders", self._orders, 200),
            ("GET", "/v2/orders:by_client_order_id", self._by_client_id, 200),
            ("GET", "/v2/orders/{id}", self._one, 200),
            ("POST", "/v2/orders", self._place, 200),
            ("DELETE", "/v2/orders", self._cancel_all, 207),
            ("DELETE", "/v2/orders/{id}", self._cancel, 204),
        )
        return [web.route(m, f"{prefix}{path}", self._wrap(handler, status)) for m, path, handler, status in table]

    def _wrap(self, handler: Handler, good: int) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.Response:
            fault = self._faults.strike(NAME, "status")
            retry_s = fault.retry_s if fault is not None else 1.0
            try:
                if fault is not None:
                    status = int(fault.number(503))
                    raise AlpacaError(status, None, "rate limit exceeded" if status == 429 else "internal server error")
                key = self._key(request)
                body = await _body(request)
                answer = handler(key, self._accounts.by_name[key.account], request, body)
            except AlpacaError as error:
                said: dict[str, Any] = {"message": str(error)}
                if error.code is not None:
                    said["code"] = error.code
                headers = (
                    {"X-RateLimit-Reset": str(self._clock_ms() // 1000 + math.ceil(retry_s))}
                    if error.status == 429
                    else {}
                )
                return web.json_response(said, status=error.status, headers=headers)
            return web.Response(status=204) if good == 204 else web.json_response(answer, status=good)

        return handle

    def _key(self, request: web.Request) -> ApiKey:
        text, secret = (request.headers.get(f"APCA-API-{name}") for name in ("KEY-ID", "SECRET-KEY"))
        key = self._accounts.keys.get(text or "")
        if key is None or key.secret != secret:
            raise AlpacaError(401, 40110000, "request is not authorized")
        return key

    # -- the account -----------------------------------------------------------------------------------------------

    def _clock(self, key: ApiKey, account: Account, request: web.Request, body: dict[str, Any]) -> Any:
        now = stamp(self._clock_ms())
        return {"timestamp": now, "is_open": True, "next_open": now, "next_close": now}

    def _account(self, key: ApiKey, account: Account, request: web.Request, body: dict[str, Any]) -> Any:
        return rows.account(account, self._markets, blocked=not key.trade)

    def _positions(self, key: ApiKey, account: Account, request: web.Request, body: dict[str, Any]) -> Any:
        return rows.holdings(account, self._markets)

    def _activities(self, key: ApiKey, account: Account, request: web.Request, body: dict[str, Any]) -> Any:
        """Rows of one millisecond in the order of their ids. ``page_token``: what comes after this row."""
        kinds = (
            {request.match_info["kind"]}
            if "kind" in request.match_info
            else {kind for kind in request.query.get("activity_types", "").split(",") if kind}
        )
        category = request.query.get("category", "")
        if category and (kinds or category not in ("trade_activity", "non_trade_activity")):
            raise AlpacaError(422, 40010001, "invalid category, or used with activity types")
        after_ms = _moment(request.query["after"]) if "after" in request.query else -1
        found: list[dict[str, Any]] = []
        if category != "non_trade_activity" and (not kinds or "FILL" in kinds):
            found += _fills_after(account, after_ms)
        if category != "trade_activity":
            moved = [each for each in account.movements if (each.asset == CASH or each.name) and each.ms > after_ms]
            told = [rows.booking(each) for each in moved]
            cash = {"CSD", "CSW"} if "TRANS" in kinds else set()
            found += [row for row in told if not kinds or row["activity_type"] in kinds | cash]
        if "until" in request.query:
            until = stamp(_moment(request.query["until"]))
            found = [row for row in found if row.get("transaction_time", row.get("created_at", "")) < until]
        oldest_first = request.query.get("direction", "desc") == "asc"
        found.sort(key=lambda row: str(row["id"]), reverse=not oldest_first)
        if token := request.query.get("page_token"):
            found = [row for row in found if (row["id"] > token if oldest_first else row["id"] < token)]
        return found[: _count(request, "page_size", _MOST_ACTIVITIES, _MOST_ACTIVITIES)]

    # -- orders ------------------------------------------------------------------------------------------------------

    def _orders(self, key: ApiKey, account: Account, request: web.Request, body: dict[str, Any]) -> Any:
        query = request.query
        status = query.get("status", "open")
        found = account.open_orders() if status == "open" else account.history()
        if status == "closed":
            found = [each for each in found if not rows.is_open(each)]
        if wanted := {name.replace("/", "") for name in query.get("symbols", "").split(",") if name}:
            found = [each for each in found if each.market.instrument.native.replace("/", "") in wanted]
        if "after" in query:
            after = _micros(query["after"])
            found = [each for each in found if each.created_ms * 1000 > after]
        if "until" in query:
            until = _micros(query["until"])
            found = [each for each in found if each.created_ms * 1000 < until]
        if query.get("direction", "desc") == "desc":
            found = found[::-1]
        return [rows.order(each) for each in found[: _count(request, "limit", _USUAL_ORDERS, _MOST_ORDERS)]]

    def _by_client_id(self, key: ApiKey, account: Account, request: web.Request, body: dict[str, Any]) -> Any:
        text = request.query.get("client_order_id", "")
        if (found := account.find(client_id=text)) is None:
            raise AlpacaError(404, 40410000, f"order not found for {text}")
        return rows.order(found)

    def _one(self, key: ApiKey, account: Account, request: web.Request, body: dict[str, Any]) -> Any:
        return rows.order(self._named(account, request))

    def _named(self, account: Account, request: web.Request) -> OwnOrder:
        text = request.match_info["id"]
        number = rows.order_number(text)
        found = None if number is None else account.find(order_id=number)
        if found is None:
            raise AlpacaError(404, 40410000, f"order not found for {text}")
        return found

    def _place(self, key: ApiKey, account: Account, request: web.Request, body: dict[str, Any]) -> Any:
        if not key.trade:
            raise AlpacaError(403, 40310000, "account is not allowed to trade")
        market = self._market(body)
        i = market.instrument
        side, kind, in_force = body.get("side"), body.get("type"), body.get("time_in_force")
        if side not in ("buy", "sell"):
            raise AlpacaError(422, 40010001, "invalid side")
        if kind not in ("market", "limit"):  # stop-limit and trailing orders are not simulated
            raise AlpacaError(
                422, 40010001, "invalid order type for crypto order" if i.product == CRYPTO else "invalid type"
            )
        if in_force not in _IN_FORCE[i.product]:
            raise AlpacaError(422, 42210000, f"invalid {i.product} time_in_force")
        client_id = str(body.get("client_order_id") or "")
        if len(client_id) > 128:
            raise AlpacaError(422, 40010001, "client_order_id must be no more than 128 characters")
        try:
            if client_id and account.find(client_id=client_id) is not None:
                raise Rejected("duplicate_client_id", "There was an order with that id.")
            price = filters.ticks(market, _amount(body, "limit_price")) if kind == "limit" else None
            size = filters.lots(market, _amount(body, "qty"))
            placed = account.desk_of(market).place(
                market,
                buy=side == "buy",
                size=size,
                price=price,
                type=str(kind).upper(),
                time_in_force="GTC" if in_force == "day" else str(in_force).upper(),
                client_id=client_id,
            )
        except Rejected as error:
            asset = i.quote if side == "buy" else i.base
            raise refusal(error, asset=asset, lot=i.lot, smallest=i.min_size) from error
        return rows.order(placed, accepted=True)

    def _market(self, body: dict[str, Any]) -> LiveMarket:
        symbol = str(body.get("symbol") or "")
        for product in (CRYPTO, STOCKS):
            for native, market in self._markets[product].items():
                if symbol in (native, native.replace("/", "")):
                    return market
        raise AlpacaError(422, 42210000, f'asset "{symbol}" not found')

    def _cancel(self, key: ApiKey, account: Account, request: web.Request, body: dict[str, Any]) -> Any:
        order = self._named(account, request)
        try:
            account.desk_of(order.market).cancel(order)
        except Rejected as error:
            state = rows.STATUSES[order.status]
            raise AlpacaError(422, 42210000, f'order is already in "{state}" state') from error
        return None

    def _cancel_all(self, key: ApiKey, account: Account, request: web.Request, body: dict[str, Any]) -> Any:
        return [{"id": rows.order_id(order.id), "status": 200} for order in account.cancel_all()]


def _fills_after(account: Account, after_ms: int) -> list[dict[str, Any]]:
    """Each with what of its order was filled with it: counted backwards from what is filled now."""
    begin = bisect_right(account.fills, after_ms, key=lambda each: each.ms)
    filled: dict[OwnOrder, int] = {}
    found = []
    for each in reversed(account.fills[begin:]):
        order = each.order
        now = filled.get(order, order.filled)
        filled[order] = now - int(each.size / order.market.instrument.lot)
        found.append(rows.fill(each, now))
    return found


async def _body(request: web.Request) -> dict[str, Any]:
    raw = await request.read()
    if not raw:
        return {}
    try:
        return msgspec.json.decode(raw, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise AlpacaError(400, 40010000, "request body format is invalid") from error


def _amount(body: dict[str, Any], name: str) -> Decimal:
    try:
        value = Decimal(str(body.get(name)))
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        raise AlpacaError(422, 40010001, f"{name} is required")
    return value


def _count(request: web.Request, name: str, usual: int, most: int) -> int:
    text = request.query.get(name, str(usual))
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= most):
        raise AlpacaError(422, 40010001, f"invalid {name}")
    return int(text)


def _micros(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise AlpacaError(422, 40010001, f"invalid time {text[:40]!r}") from error
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000_000)


def _moment(text: str) -> int:
    return _micros(text) // 1000
