"""The simulated Bybit's signed REST: the unified account, its orders, executions and log; and what its key may do.

Every request is checked before: see ``auth``.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, quote, unquote

import msgspec
from aiohttp import web

from feeds.simulator import filters
from feeds.simulator.accounts import Account, Accounts
from feeds.simulator.bybit import rows
from feeds.simulator.bybit.auth import Gatekeeper, rights, whole
from feeds.simulator.bybit.rest import INVALID, BybitRest
from feeds.simulator.bybit.rows import Prices
from feeds.simulator.bybit.terms import BybitError, refusal
from feeds.simulator.market import LiveMarket
from feeds.simulator.orders import Hold, OwnOrder, Rejected

WEEK_MS = 7 * 86_400_000
MOST_CANCELLED = 500
MOST_LEVERAGE = 100
_MODE_REFUSALS = {
    "no_change": (110025, "Position mode is not modified"),
    "open_orders": (110028, "Cannot switch the position mode while there are open orders"),
    "open_positions": (110024, "Cannot switch the position mode while there are positions"),
}

Params: TypeAlias = Mapping[str, Any]
Signed: TypeAlias = Callable[[Account, Params], Any]


class BybitPrivate:
    def __init__(
        self,
        accounts: Accounts,
        rest: BybitRest,
        markets: Mapping[str, Mapping[str, LiveMarket]],
        clock: Callable[[], float],
        clock_ms: Callable[[], int],
    ) -> None:
        self._accounts = accounts
        self._rest = rest
        self._markets = markets
        self.gatekeeper = Gatekeeper(accounts.keys, clock, clock_ms)
        self._clock_ms = clock_ms
        self._prices = Prices(markets["spot"].values())

    def routes(self, prefix: str) -> list[web.RouteDef]:
        asking: dict[str, Signed] = {
            "account/info": lambda account, params: {
                "marginMode": "ISOLATED_MARGIN" if account.futures.mode.isolated else "REGULAR_MARGIN",
                "updatedTime": "1697078946000",
                "unifiedMarginStatus": 6,
                "isMasterTrader": False,
                "spotHedgingStatus": "OFF",
            },
            "account/wallet-balance": self._wallet,
            "account/transaction-log": self._log,
            "position/list": self._positions,
            "order/realtime": self._orders,
            "order/history": self._history,
            "execution/list": self._executions,
        }
        changing: dict[str, Signed] = {
            "order/create": self._create,
            "order/cancel": self._cancel,
            "order/cancel-all": self._cancel_all,
            "position/switch-mode": self._switch_mode,
            "position/set-leverage": self._set_leverage,
            "account/set-margin-mode": self._set_margin_mode,
        }
        return [
            web.get(f"{prefix}/v5/user/query-api", self._handler("user/query-api", None)),
            *(web.get(f"{prefix}/v5/{path}", self._handler(path, each)) for path, each in asking.items()),
            *(web.post(f"{prefix}/v5/{path}", self._handler(path, each)) for path, each in changing.items()),
        ]

    # -- who asks ------------------------------------------------------------------------------------------------

    def _handler(self, path: str, function: Signed | None) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.Response:
            if (refused := self._rest.refusal()) is not None:
                return refused
            body = (await request.read()).decode(errors="replace")
            if request.method == "GET" and body:
                return web.Response(status=403, text="a GET with a body")
            headers: dict[str, str] = {}
            try:
                key = self.gatekeeper.rest(request, body)
                params = self._params(request, body)
                headers = self.gatekeeper.count(key, path, str(params.get("category", "")))
                if function is None:
                    return self._rest.answer(0, "", rights(key), headers)
                if request.method == "POST" and not key.trade:
                    raise BybitError(10005, "Permission denied, please check your API key permissions.")
                return self._rest.answer(0, "OK", function(self._accounts.by_name[key.account], params), headers)
            except BybitError as error:
                return self._rest.answer(error.code, str(error), error.result, {**headers, **error.headers})

        return handle

    @staticmethod
    def _params(request: web.Request, body: str) -> Params:
        if request.method == "GET":
            return dict(parse_qsl(request.raw_path.partition("?")[2], keep_blank_values=True))
        try:
            return msgspec.json.decode(body, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise BybitError(INVALID, f"params error: {error}") from error

    # -- what it has ---------------------------------------------------------------------------------------------

    def _wallet(self, account: Account, params: Params) -> Any:
        if params.get("accountType") != "UNIFIED":
            raise BybitError(INVALID, "accountType only support UNIFIED.")
        coins = params["coin"].split(",") if params.get("coin") else None
        return {"list": [rows.wallet(account, self._prices, coins)]}

    def _positions(self, account: Account, params: Params) -> Any:
        if params.get("category") != "linear":
            raise BybitError(INVALID, "params error: Category is invalid")
        linear = account.desks["linear"].futures
        if "symbol" in params:
            held = linear.positions_of(self._market(params))
        elif "settleCoin" in params:
            held = [p for p in linear.open_positions() if p.market.instrument.settle == params["settleCoin"]]
        else:
            raise BybitError(INVALID, "params error: symbol or settleCoin is required")
        page = [rows.position(linear, each, stream=False) for each in held]
        return {"category": "linear", "nextPageCursor": "", "list": page}

    def _switch_mode(self, account: Account, params: Params) -> Any:
        """Of a symbol; or of all of a coin that have no position and no order."""
        if params.get("category") != "linear" or params.get("mode") not in (0, 3):
            raise BybitError(INVALID, "params error: category or mode invalid")
        desk, hedged = account.desks["linear"], params["mode"] == 3
        if "symbol" in params:
            try:
                desk.switch(self._market(params), hedged=hedged)
            except Rejected as error:
                raise BybitError(*_MODE_REFUSALS[error.reason]) from error
            return {}
        if not params.get("coin"):
            raise BybitError(INVALID, "params error: symbol or coin is required")
        for market in self._markets["linear"].values():
            if market.instrument.settle == params["coin"]:
                with suppress(Rejected):
                    desk.switch(market, hedged=hedged)
        return {}

    def _set_leverage(self, account: Account, params: Params) -> Any:
        """Of both sides alike, as it must be of cross margin and may be of isolated."""
        market, leverage = self._market(params), _number(params, "buyLeverage")
        if leverage != _number(params, "sellLeverage") or not 1 <= leverage <= MOST_LEVERAGE or leverage % 1:
            raise BybitError(INVALID, "params error: leverage invalid")
        linear = account.futures
        if linear.leverage_of(market) == leverage:
            raise BybitError(110043, "leverage not modified")
        linear.leverage[market] = int(leverage)
        return {}

    def _set_margin_mode(self, account: Account, params: Params) -> Any:
        """Of the whole account."""
        named = params.get("setMarginMode")
        if named not in ("ISOLATED_MARGIN", "REGULAR_MARGIN"):
            raise BybitError(INVALID, "params error: setMarginMode invalid")
        try:
            account.desks["linear"].switch(None, isolated=named == "ISOLATED_MARGIN")
        except Rejected as error:
            if error.reason != "no_change":
                reasons = [{"reasonCode": "3400000", "reasonMsg": error.text}]
                raise BybitError(3400045, "Set margin mode failed", result={"reasons": reasons}) from error
        return {"reasons": []}

    def _log(self, account: Account, params: Params) -> Any:
        """What moved the wallet: trades, too. There is no borrowing, and USDC contracts have no sessions."""
        begin_ms, end_ms = self._window(params, 86_400_000)
        kept = [rows.logged(moved) for moved in account.movements if begin_ms <= moved.ms <= end_ms]
        if params.get("type", "TRADE") == "TRADE":
            kept += [row for fill in account.fills if begin_ms <= fill.ms <= end_ms for row in rows.traded(fill)]
        for name in ("type", "currency", "category"):
            kept = [row for row in kept if params.get(name, row[name]) == row[name]]
        keys = [(int(row["transactionTime"]), int(row["id"].rpartition("_")[2])) for row in kept]
        return _page(kept, keys, params, 20, 50)

    def _executions(self, account: Account, params: Params) -> Any:
        category = self._category(params)
        begin_ms, end_ms = self._window(params, WEEK_MS)
        market = self._market(params) if "symbol" in params else None
        found = [
            (fill.ms, fill.number, rows.execution(fill, stream=False))
            for fill in account.desks[category].fills
            if begin_ms <= fill.ms <= end_ms
            and market in (None, fill.order.market)
            and params.get("orderId") in (None, rows.order_id(fill.order))
        ]
        found += [
            (moved.ms, moved.id, rows.funding(moved, stream=False))
            for moved in account.movements
            if moved.kind == "funding" and category == "linear" and begin_ms <= moved.ms <= end_ms
        ]
        kept = [row for row in found if params.get("execType") in (None, row[2]["execType"])]
        body = _page([row for *_, row in kept], [(ms, number) for ms, number, _ in kept], params, 50, 100)
        return {"category": category, **body}

    def _window(self, params: Params, usual_ms: int) -> tuple[int, int]:
        begin, end = params.get("startTime"), params.get("endTime")
        if begin is None and end is None:
            now_ms = self._clock_ms()
            return now_ms - usual_ms, now_ms
        begin_ms = whole(begin, "startTime") if begin is not None else whole(end, "endTime") - usual_ms
        end_ms = whole(end, "endTime") if end is not None else begin_ms + usual_ms
        if end_ms - begin_ms > WEEK_MS:
            raise BybitError(INVALID, "The time range between startTime and endTime cannot exceed 7 days")
        return begin_ms, end_ms

    # -- orders --------------------------------------------------------------------------------------------------

    def _category(self, params: Params) -> str:
        category = str(params.get("category", ""))
        if category not in self._markets:
            raise BybitError(INVALID, "params error: Category is invalid")
        return category

    def _market(self, params: Params) -> LiveMarket:
        category = self._category(params)
        market = self._markets[category].get(str(params.get("symbol", "")))
        if market is None:
            spot = category == "spot"
            raise BybitError(170121 if spot else INVALID, "Invalid symbol." if spot else "params error: symbol invalid")
        return market

    def _chosen(self, account: Account, params: Params, known: Sequence[OwnOrder]) -> list[OwnOrder]:
        """Those of a symbol or a settlement coin; an id names one whatever the rest says."""
        category = self._category(params)
        if "orderId" in params or "orderLinkId" in params:
            found = self._find(account, category, params)
            return [] if found is None else [found]
        if "symbol" in params:
            market = self._market(params)
            return [order for order in known if order.market is market]
        if category == "linear":
            if not params.get("settleCoin"):
                raise BybitError(INVALID, "params error: symbol, settleCoin or baseCoin is required")
            return [order for order in known if order.market.instrument.settle == params["settleCoin"]]
        if "settleCoin" in params:
            raise BybitError(INVALID, "params error: settleCoin is not supported")
        return list(known)

    def _find(self, account: Account, category: str, params: Params) -> OwnOrder | None:
        number = rows.number_of(str(params["orderId"])) if params.get("orderId") else None
        if params.get("orderId") and number is None:
            return None
        return account.desks[category].find(None, number, params.get("orderLinkId"))

    def _orders(self, account: Account, params: Params) -> Any:
        desk = account.desks[self._category(params)]
        ended = [order for order in desk.history() if order.status not in ("NEW", "PARTIALLY_FILLED")]
        known = ended[-500:] if params.get("openOnly", "0") == "1" else desk.open_orders()
        return self._listed(account, params, known)

    def _history(self, account: Account, params: Params) -> Any:
        desk = account.desks[self._category(params)]
        ended = [order for order in desk.history() if order.status not in ("NEW", "PARTIALLY_FILLED")]
        wanted = {"settleCoin": "USDT", **params} if desk.product == "linear" else params
        return self._listed(account, wanted, ended)

    def _listed(self, account: Account, params: Params, known: Sequence[OwnOrder]) -> Any:
        kept = self._chosen(account, params, known)
        keys = [(order.created_ms, order.id) for order in kept]
        body = _page([rows.order(order, stream=False) for order in kept], keys, params, 20, 50)
        return {"category": params["category"], **body}

    def _create(self, account: Account, params: Params) -> Any:
        market = self._market(params)
        spot = market.instrument.settle is None
        desk = account.desk_of(market)
        side, kind = params.get("side"), params.get("orderType")
        if side not in ("Buy", "Sell") or kind not in ("Limit", "Market"):
            raise BybitError(INVALID, "params error: side or orderType invalid")
        hold = None if spot else self._hold(account, market, params)
        times = {"GTC": "GTC", "IOC": "IOC", "FOK": "FOK", "PostOnly": "GTX"}
        told = params.get("timeInForce", "GTC") if kind == "Limit" else "IOC"
        if told not in times:
            raise BybitError(INVALID, "params error: timeInForce invalid")
        client_id = str(params.get("orderLinkId", ""))
        if len(client_id) > 36:
            raise BybitError(INVALID, "params error: OrderLinkID too long")
        buy, quantity, reduce_only = side == "Buy", _number(params, "qty"), params.get("reduceOnly") is True
        try:
            if client_id and desk.find(None, None, client_id) is not None:
                raise Rejected("duplicate_client_id", "such an id is used once")
            by_value = spot and kind == "Market" and params.get("marketUnit", "quoteCoin" if buy else "") == "quoteCoin"
            size = filters.affordable(market, buy, quantity) if by_value else filters.lots(market, quantity)
            price = None if kind == "Market" else filters.ticks(market, _number(params, "price"))
            filters.check_value(market, size, price, reduce_only=reduce_only)
            order = desk.place(
                market,
                buy=buy,
                size=size,
                price=price,
                type="MARKET" if price is None else "LIMIT",
                time_in_force=times[told],
                client_id=client_id,
                reduce_only=reduce_only,
                quote_size=quantity if by_value else Decimal(0),
                hold=hold,
            )
        except Rejected as error:
            raise refusal(market.instrument.product, error, market.instrument.min_notional) from error
        return _named(order)

    @staticmethod
    def _hold(account: Account, market: LiveMarket, params: Params) -> Hold:
        hold = rows.HOLDS.get(params.get("positionIdx", 0))
        if hold is None or (hold == "both") is account.desk_of(market).futures.mode_of(market).hedged:
            raise BybitError(INVALID, "position idx not match position mode")
        return hold

    def _cancel(self, account: Account, params: Params) -> Any:
        market = self._market(params)
        order = self._find(account, market.instrument.product, params)
        try:
            if order is None or order.market is not market:
                raise Rejected("unknown_order", "no such order")
            account.desk_of(market).cancel(order)
        except Rejected as error:
            raise refusal(market.instrument.product, error, Decimal(0)) from error
        return _named(order)

    def _cancel_all(self, account: Account, params: Params) -> Any:
        desk = account.desks[self._category(params)]
        kept = self._chosen(account, params, desk.open_orders())
        if params.get("orderFilter", "Order") not in ("Order", "OpenOrder"):
            kept = []  # there are no conditional orders here
        for order in kept[:MOST_CANCELLED]:
            desk.cancel(order)
        return {"list": [_named(order) for order in kept[:MOST_CANCELLED]], "success": "1"}


def _named(order: OwnOrder) -> dict[str, str]:
    return {"orderId": rows.order_id(order), "orderLinkId": order.client_id}


def _page(
    kept: list[dict[str, Any]], keys: list[tuple[int, int]], params: Params, usual: int, most: int
) -> dict[str, Any]:
    """Newest first. The cursor names the last row told; there is one on the last page too, and an empty page after."""
    limit = whole(params.get("limit", str(usual)), "limit")
    if not 1 <= limit <= most:
        raise BybitError(INVALID, f"params error: limit must be 1 to {most}")
    both = sorted(zip(keys, kept, strict=True), key=lambda row: row[0], reverse=True)
    if cursor := params.get("cursor"):
        ms, _, number = unquote(str(cursor)).partition(":")
        after = whole(ms, "cursor"), whole(number, "cursor")
        both = [row for row in both if row[0] < after]
    page = both[:limit]
    return {
        "list": [row for _, row in page],
        "nextPageCursor": quote(f"{page[-1][0][0]}:{page[-1][0][1]}", safe="") if page else "",
    }


def _number(params: Params, name: str) -> Decimal:
    """Numbers are text in bodies."""
    try:
        value = Decimal(params[name]) if isinstance(params.get(name), str) else Decimal("NaN")
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        raise BybitError(INVALID, f"params error: {name} invalid")
    return value
