"""The simulated Coinbase's signed REST: wallets, orders and fills of an account, and what its key may do."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias, TypeVar

import msgspec
from aiohttp import web

from feeds.simulator import filters
from feeds.simulator.accounts import Account, Accounts
from feeds.simulator.coinbase import account_rows as rows
from feeds.simulator.coinbase.auth import Gatekeeper, Unauthorized
from feeds.simulator.coinbase.rest import Meter, RestError, answer, integer, refused
from feeds.simulator.coinbase.terms import MAKER_FEE, TAKER_FEE, refusal
from feeds.simulator.faults import Faults
from feeds.simulator.keys import ApiKey
from feeds.simulator.market import LiveMarket
from feeds.simulator.orders import OPEN, OwnOrder, Rejected

BASE = "/api/v3/brokerage"
MOST_WALLETS, USUAL_WALLETS = 250, 49
USUAL_PAGE = 100
MOST_TRANSACTIONS, USUAL_TRANSACTIONS = 100, 25
MOST_ROWS = 1000
"""Of orders and fills in a page; what the real most is, is not published."""
MOST_CANCELLED = 100
TIMES = {"limit_limit_gtc": "GTC", "limit_limit_fok": "FOK", "sor_limit_ioc": "IOC"}
MARKETS = {"market_market_ioc": "IOC", "market_market_fok": "FOK"}

Asked: TypeAlias = Callable[[Account, web.Request], Any]
Changing: TypeAlias = Callable[[Account, Mapping[str, Any]], Any]
T = TypeVar("T")


class CoinbasePrivate:
    def __init__(
        self,
        accounts: Accounts,
        markets: Mapping[str, LiveMarket],
        faults: Faults,
        clock: Callable[[], float],
        clock_ms: Callable[[], int],
        requests_per_s: int,
    ) -> None:
        self.gatekeeper = Gatekeeper(accounts.keys, clock_ms)
        self._accounts = accounts
        self._markets = markets
        self._faults = faults
        self._meters = {name: Meter(requests_per_s, clock) for name in accounts.by_name}

    def routes(self, prefix: str) -> list[web.RouteDef]:
        base = f"{prefix}{BASE}"
        asked: dict[str, Asked] = {
            "/accounts": self._wallets,
            "/transaction_summary": self._fees,
            "/orders/historical/batch": self._orders,
            "/orders/historical/fills": self._fills,
            "/orders/historical/{order}": self._order,
        }
        changing: dict[str, Changing] = {"/orders": self._place, "/orders/batch_cancel": self._cancel}
        return [
            web.get(f"{base}/key_permissions", self._wrap(self._rights)),
            web.get(f"{prefix}/v2/accounts/{{wallet}}/transactions", self._wrap(self._asking(self._transactions))),
            *(web.get(base + path, self._wrap(self._asking(each))) for path, each in asked.items()),
            *(web.post(base + path, self._wrap(self._changing(each))) for path, each in changing.items()),
        ]

    # -- who asks ------------------------------------------------------------------------------------------------

    def _wrap(self, function: Callable[[ApiKey, web.Request], Any]) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.Response:
            try:
                key = self._key(request)
            except Unauthorized:
                return web.Response(status=401, text="Unauthorized")
            if (limited := refused(self._faults, self._meters[key.account])) is not None:
                return limited
            await request.read()
            try:
                told = function(key, request)
                return answer(await told if hasattr(told, "__await__") else told)
            except RestError as error:
                return answer(error.body, error.status)

        return handle

    def _key(self, request: web.Request) -> ApiKey:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind != "Bearer":
            raise Unauthorized("no token")
        return self.gatekeeper.check(token, f"{request.method} {request.host}{request.path}")

    def _asking(self, function: Asked) -> Callable[[ApiKey, web.Request], Any]:
        return lambda key, request: function(self._accounts.by_name[key.account], request)

    def _changing(self, function: Changing) -> Callable[[ApiKey, web.Request], Any]:
        async def change(key: ApiKey, request: web.Request) -> Any:
            if not key.trade:
                raise RestError(403, "PERMISSION_DENIED", "Missing required scopes")
            try:
                body = msgspec.json.decode(await request.read(), type=dict[str, Any])
            except msgspec.DecodeError as error:
                raise RestError(400, "INVALID_ARGUMENT", f"invalid body: {error}") from error
            return function(self._accounts.by_name[key.account], body)

        return change

    def _rights(self, key: ApiKey, request: web.Request) -> Any:
        rights = {"can_view": True, "can_trade": key.trade, "can_transfer": key.withdraw}
        return {**rights, "portfolio_uuid": rows.PORTFOLIO, "portfolio_type": "DEFAULT"}

    # -- what it has ---------------------------------------------------------------------------------------------

    def _wallets(self, account: Account, request: web.Request) -> Any:
        assets = sorted(account.spot.cash.assets())
        after = request.query.get("cursor", "")
        limit = min(MOST_WALLETS, integer(request, "limit", USUAL_WALLETS))
        left = [asset for asset in assets if asset > after]
        page = left[:limit]
        more = len(left) > limit
        found = [rows.wallet(account, asset) for asset in page]
        return {"accounts": found, "has_next": more, "cursor": page[-1] if more else "", "size": len(page)}

    def _transactions(self, account: Account, request: web.Request) -> Any:
        """Of one wallet, by the interface v2."""
        by_id = {rows.wallet_id(account, asset): asset for asset in account.spot.cash.assets()}
        asset = by_id.get(request.match_info["wallet"])
        if asset is None:
            raise RestError(404, "not_found", "Not found")
        found = rows.transactions(account, asset)
        limit = min(MOST_TRANSACTIONS, max(1, integer(request, "limit", USUAL_TRANSACTIONS)))
        after = request.query.get("starting_after")
        ids = [row["id"] for row in found]
        if after is not None and after not in ids:
            raise RestError(400, "validation_error", "starting_after is invalid")
        left = found[ids.index(after) + 1 :] if after is not None else found
        page = left[:limit]
        more = f"{request.path}?limit={limit}&starting_after={page[-1]['id']}" if len(left) > limit else None
        told = {"ending_before": None, "starting_after": after, "limit": limit, "order": "desc", "previous_uri": None}
        return {"pagination": {**told, "next_uri": more}, "data": page}

    def _fees(self, account: Account, request: web.Request) -> Any:
        rates = {"maker_fee_rate": f"{MAKER_FEE:f}", "taker_fee_rate": f"{TAKER_FEE:f}"}
        tier = {"pricing_tier": "Advanced 1", "usd_from": "0", "usd_to": "10000", **rates}
        return {"total_volume": 0, "total_fees": 0, "fee_tier": tier}

    def _orders(self, account: Account, request: web.Request) -> Any:
        """Newest first."""
        query = request.query
        states, products = set(query.getall("order_status", [])), set(query.getall("product_ids", []))
        begin_ms, end_ms = _moment(request, "start_date", 0), _moment(request, "end_date", 2**53)
        found = [
            order
            for order in reversed(account.history())
            if (not states or rows.status(order) in states)
            and (not products or order.market.instrument.native in products)
            and begin_ms <= order.created_ms < end_ms
        ]
        page, cursor = _page(request, found, lambda order: order.id)
        desk = account.desks["spot"]
        listed = [rows.listed(order, desk.fills_of_order(order)) for order in page]
        return {"orders": listed, "sequence": "0", "has_next": bool(cursor), "cursor": cursor}

    def _order(self, account: Account, request: web.Request) -> Any:
        number = rows.number_of(request.match_info["order"])
        order = account.find(number) if number is not None else None
        if order is None:
            raise RestError(404, "NOT_FOUND", "order with this orderID was not found")
        return {"order": rows.listed(order, account.desk_of(order.market).fills_of_order(order))}

    def _fills(self, account: Account, request: web.Request) -> Any:
        """Newest first. There is a cursor after the last one, too, and an empty page."""
        query = request.query
        products, orders = set(query.getall("product_ids", [])), set(query.getall("order_ids", []))
        products |= set(query.getall("product_id", []))
        orders |= set(query.getall("order_id", []))
        begin_ms = _moment(request, "start_sequence_timestamp", 0)
        end_ms = _moment(request, "end_sequence_timestamp", 2**53)
        found = [
            fill
            for fill in reversed(account.fills)
            if begin_ms <= fill.ms <= end_ms
            and (not products or fill.order.market.instrument.native in products)
            and (not orders or rows.order_id(fill.order) in orders)
        ]
        page, _ = _page(request, found, lambda fill: fill.number)
        return {"fills": [rows.fill(fill) for fill in page], "cursor": str(page[-1].number) if page else ""}

    # -- orders --------------------------------------------------------------------------------------------------

    def _place(self, account: Account, body: Mapping[str, Any]) -> Any:
        client_id, side = str(body.get("client_order_id") or ""), body.get("side")
        if not client_id or side not in ("BUY", "SELL"):
            raise RestError(400, "INVALID_ARGUMENT", "client_order_id or side is missing")
        market = self._markets.get(str(body.get("product_id")))
        if market is None:
            raise RestError(400, "INVALID_ARGUMENT", "Invalid product_id")
        known = account.find(client_id=client_id)
        if known is not None:
            return _placed(known)
        try:
            order = self._put(account, market, side == "BUY", client_id, body.get("order_configuration"))
        except Rejected as error:
            return {
                "success": False,
                "error_response": refusal(error),
                "order_configuration": body.get("order_configuration"),
            }
        return _placed(order)

    def _put(self, account: Account, market: LiveMarket, buy: bool, client_id: str, wanted: Any) -> OwnOrder:
        if not isinstance(wanted, dict) or len(wanted) != 1:
            raise RestError(400, "INVALID_ARGUMENT", "order_configuration must name one kind of order")
        [(kind, told)] = wanted.items()
        time_in_force = (TIMES | MARKETS).get(kind)
        if time_in_force is None or not isinstance(told, dict):
            raise Rejected("unknown_order", f"{kind} orders are not taken")
        value = _number(told, "quote_size") if kind in MARKETS and "quote_size" in told else Decimal(0)
        size = filters.affordable(market, buy, value) if value else filters.lots(market, _number(told, "base_size"))
        price = None if kind in MARKETS else filters.ticks(market, _number(told, "limit_price"))
        filters.check_value(market, size, price)
        return account.desk_of(market).place(
            market,
            buy=buy,
            size=size,
            price=price,
            type="MARKET" if price is None else "LIMIT",
            time_in_force="GTX" if told.get("post_only") is True else time_in_force,
            client_id=client_id,
            quote_size=value,
        )

    def _cancel(self, account: Account, body: Mapping[str, Any]) -> Any:
        ids = body.get("order_ids")
        if not isinstance(ids, list) or not 0 < len(ids) <= MOST_CANCELLED:
            raise RestError(400, "INVALID_ARGUMENT", f"order_ids must be 1 to {MOST_CANCELLED} ids")
        return {"results": [self._cancelled(account, str(each)) for each in ids]}

    def _cancelled(self, account: Account, text: str) -> dict[str, Any]:
        number = rows.number_of(text)
        order = account.find(number) if number is not None else None
        if order is None or order.status not in OPEN:
            return {"success": False, "failure_reason": "UNKNOWN_CANCEL_ORDER", "order_id": text}
        account.desk_of(order.market).cancel(order)
        return {"success": True, "failure_reason": "UNKNOWN_CANCEL_FAILURE_REASON", "order_id": text}


def _placed(order: OwnOrder) -> dict[str, Any]:
    named = {"order_id": rows.order_id(order), "product_id": order.market.instrument.native, "side": order.side}
    response = {**named, "client_order_id": order.client_id}
    return {"success": True, "success_response": response, "order_configuration": rows.configuration(order)}


def _page(request: web.Request, found: Iterable[T], number: Callable[[T], int]) -> tuple[list[T], str]:
    """A page of what is sorted newest first, and the cursor of what follows; "" if nothing does."""
    limit = min(MOST_ROWS, max(1, integer(request, "limit", USUAL_PAGE)))
    before = integer(request, "cursor", 2**53) if request.query.get("cursor") else 2**53
    left = [each for each in found if number(each) < before]
    page = left[:limit]
    return page, str(number(page[-1])) if len(left) > limit else ""


def _moment(request: web.Request, name: str, default: int) -> int:
    """Milliseconds of a moment in RFC 3339."""
    text = request.query.get(name)
    if not text:
        return default
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError as error:
        raise RestError(400, "INVALID_ARGUMENT", f"{name} is no moment: {text[:40]!r}") from error


def _number(told: Mapping[str, Any], name: str) -> Decimal:
    """Amounts are text."""
    value = told.get(name)
    try:
        number = Decimal(value) if isinstance(value, str) else Decimal("NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise RestError(400, "INVALID_ARGUMENT", f"{name} is no amount")
    return number
