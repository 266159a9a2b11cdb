"""The simulated LMEX's signed REST: wallets, positions, orders and fills; and who may ask.

What a key may do nobody tells: a call beyond it is answered with HTTP 403.
"""

import hmac
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal, InvalidOperation
from hashlib import sha384
from typing import Any, TypeAlias

import msgspec
from aiohttp import web

from feeds.simulator import filters
from feeds.simulator.accounts import Account, Accounts
from feeds.simulator.keys import ApiKey
from feeds.simulator.lmex import rows
from feeds.simulator.lmex.rest import QUERIES_PER_S, LmexError, LmexRest
from feeds.simulator.lmex.terms import NOT_FOUND, REFUSALS, REJECTED
from feeds.simulator.market import LiveMarket
from feeds.simulator.orders import Movement, OwnFill, OwnOrder, Rejected
from feeds.simulator.switches import Switches

ORDERS_PER_S = 75
WEEK_MS = 7 * 86_400_000
MOST_ROWS = 500
NONCE_MS = 60_000
"""A nonce may be so far from the time. How far it may be is not documented."""

Params: TypeAlias = Mapping[str, Any]
Signed: TypeAlias = Callable[[str, Account, Params], Any]
_TIMES = ("GTC", "IOC", "FOK")


class Gatekeeper:
    """Checks signatures. ``whole_path``: futures sign their path with the product before it, as one client does."""

    def __init__(self, keys: Mapping[str, ApiKey], clock_ms: Callable[[], int]) -> None:
        self.whole_path = False
        self._keys = keys
        self._clock_ms = clock_ms

    def rest(self, product: str, path: str, headers: Mapping[str, str], body: str) -> ApiKey:
        """``path`` begins with ``/api``. Raises LmexError 401."""
        signed = f"/{product}{path}" if product == "futures" and self.whole_path else path
        nonce = headers.get("request-nonce", "")
        text = f"{signed}{nonce}{body}"
        key = self.key(headers.get("request-api", ""), nonce, text, headers.get("request-sign", ""))
        if key is None:
            raise LmexError(401, "UNAUTHORIZED: Authentication Failed")
        return key

    def login(self, product: str, args: Any) -> ApiKey | None:
        """Whose a WebSocket's login is; None if nobody's."""
        if not isinstance(args, list) or len(args) != 3:
            return None
        key, nonce, signature = map(str, args)
        return self.key(key, nonce, f"/ws/{product}{nonce}", signature)

    def key(self, name: str, nonce: str, text: str, signature: str) -> ApiKey | None:
        key = self._keys.get(name)
        if key is None or not (nonce.isascii() and nonce.isdigit() and len(nonce) < 20):
            return None
        if abs(int(nonce) - self._clock_ms()) > NONCE_MS:
            return None
        expected = hmac.new(key.secret.encode(), text.encode(), sha384).hexdigest()
        return key if hmac.compare_digest(expected.encode(), signature.encode()) else None


class LmexPrivate:
    def __init__(
        self,
        accounts: Accounts,
        rest: LmexRest,
        markets: Mapping[str, Mapping[str, LiveMarket]],
        clock_ms: Callable[[], int],
    ) -> None:
        self.gatekeeper = Gatekeeper(accounts.keys, clock_ms)
        self.switches = Switches[tuple[Account, str]](clock_ms, lambda held: held[0].desks[held[1]].cancel_all())
        self._accounts = accounts
        self._rest = rest
        self._markets = markets
        self._clock_ms = clock_ms

    def routes(self, prefix: str) -> list[web.RouteDef]:
        found = []
        for product, version, wallet in (("spot", "v3.3", "v3.2"), ("futures", "v2.3", "v2.3")):
            calls: list[tuple[str, str, Signed, bool]] = [
                ("GET", f"{wallet}/user/wallet", self._wallet, False),
                ("GET", f"{wallet}/user/wallet_history", self._movements, False),
                ("GET", f"{version}/user/open_orders", self._open, product == "spot"),
                ("GET", f"{version}/user/trade_history", self._fills, False),
                ("GET", f"{version}/order", self._find_one, True),
                ("POST", f"{version}/order", self._place, True),
                ("DELETE", f"{version}/order", self._cancel, True),
                ("POST", f"{version}/order/cancelAllAfter", self._cancel_after, True),
            ]
            if product == "futures":
                calls.append(("GET", f"{version}/user/positions", self._positions, False))
            for method, path, function, trade in calls:
                handler = self._handler(product, f"/api/{path}", function, trade)
                found.append(web.route(method, f"{prefix}/{product}/api/{path}", handler))
        return found

    def _handler(
        self, product: str, path: str, function: Signed, trade: bool
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            async def work() -> str:
                body = (await request.read()).decode(errors="replace")
                key = self.gatekeeper.rest(product, path, request.headers, body)
                if trade and not key.trade:
                    raise LmexError(403, "FORBIDDEN: Trading permission is required")
                answer = function(product, self._accounts.by_name[key.account], _params(request, body))
                return "" if answer is None else rows.encode(answer).decode()

            asked = request.method == "GET"
            limit = QUERIES_PER_S if asked else ORDERS_PER_S
            return await self._rest.guarded(product, f"{request.method} {path}", work, limit)

        return handle

    # -- what it has ---------------------------------------------------------------------------------------------

    def _wallet(self, product: str, account: Account, params: Params) -> Any:
        if product == "spot":
            return rows.spot_wallet(account)
        if "wallet" not in params:
            raise LmexError(400, "BAD_REQUEST: Invalid parameter")
        return rows.futures_wallet(account) if params["wallet"] == rows.CROSS else []

    def _movements(self, product: str, account: Account, params: Params) -> Any:
        """Newest first. Futures tell the realised profit of fills, too, and only the cross wallet has any."""
        if product == "futures" and params.get("wallet", rows.CROSS) != rows.CROSS:
            return []
        begin_ms, end_ms = _whole(params, "startTime", 0), _whole(params, "endTime", 10**15)
        told: list[Movement | OwnFill] = [row for row in account.movements if row.wallet == product]
        if product == "futures":
            told += [fill for fill in account.desks[product].fills if fill.realised]
        kept = sorted((row for row in told if begin_ms <= row.ms <= end_ms), key=rows.number, reverse=True)
        most = min(_whole(params, "count", MOST_ROWS), MOST_ROWS)
        return [rows.movement(row) if isinstance(row, Movement) else rows.profit(row) for row in kept[:most]]

    def _positions(self, product: str, account: Account, params: Params) -> Any:
        wallet = account.futures
        market = self._market(product, params) if "symbol" in params else None
        return [rows.position(wallet, held) for held in wallet.open_positions() if market in (None, held.market)]

    def _open(self, product: str, account: Account, params: Params) -> Any:
        market = self._market(product, params) if "symbol" in params else None
        return [rows.order(each, listed=True) for each in account.desks[product].open_orders(market)]

    def _fills(self, product: str, account: Account, params: Params) -> Any:
        """Newest first; a window of seven days at most, of a longer one the last."""
        if product == "spot" and "symbol" not in params:
            raise LmexError(400, "BAD_REQUEST: symbol is required")
        market = self._market(product, params) if "symbol" in params else None
        start, end = (_whole(params, name, -1) for name in ("startTime", "endTime"))
        if end < 0:
            end = start + WEEK_MS if start >= 0 else self._clock_ms()
        start = max(start, end - WEEK_MS)
        before, after = _whole(params, "beforeSerialId", 10**18), _whole(params, "afterSerialId", -1)
        kept = [
            fill
            for fill in account.desks[product].fills
            if start <= fill.ms <= end and after < fill.number < before and market in (None, fill.order.market)
        ]
        most = min(_whole(params, "count", MOST_ROWS), MOST_ROWS)
        return [rows.fill(fill) for fill in kept[::-1][:most]]

    # -- orders --------------------------------------------------------------------------------------------------

    def _market(self, product: str, params: Params) -> LiveMarket:
        market = self._markets[product].get(str(params.get("symbol", "")))
        if market is None:
            raise LmexError(400, "BAD_REQUEST: Market pair is invalid")
        return market

    def _order(self, product: str, account: Account, params: Params) -> OwnOrder | None:
        number = rows.number_of(str(params["orderID"])) if params.get("orderID") else None
        if params.get("orderID") and number is None:
            return None
        return account.desks[product].find(None, number, None if number is not None else params.get("clOrderID"))

    def _find_one(self, product: str, account: Account, params: Params) -> Any:
        if not params.get("orderID") and not params.get("clOrderID"):
            raise LmexError(400, "BAD_REQUEST: orderID or clOrderID is required")
        found = self._order(product, account, params)
        if found is None:
            raise LmexError(404, "NOT_FOUND: Order not found")
        return rows.order(found, listed=False)

    def _place(self, product: str, account: Account, params: Params) -> Any:
        """What is refused for its figures is answered with HTTP 200, too."""
        market = self._market(product, params)
        side, kind = str(params.get("side", "")).upper(), params.get("type")
        in_force = params.get("time_in_force", "GTC")
        client_id = str(params.get("clOrderID", ""))
        post_only, reduce_only = params.get("postOnly") is True, params.get("reduceOnly") is True
        if side not in ("BUY", "SELL") or kind not in ("LIMIT", "MARKET") or in_force not in _TIMES:
            raise LmexError(400, "BAD_REQUEST: Invalid parameter")
        if len(client_id) > 36 or (product == "futures" and params.get("positionMode", "ONE_WAY") != "ONE_WAY"):
            raise LmexError(400, "BAD_REQUEST: Invalid parameter")
        buy = side == "BUY"
        try:
            price = None if kind == "MARKET" else filters.ticks(market, _number(params, "price"))
            size = self._lots(market, params, buy=buy, market_order=price is None)
            filters.check_value(market, size, price, reduce_only=reduce_only)
            placed = account.desks[product].place(
                market,
                buy=buy,
                size=size,
                price=price,
                type="MARKET" if price is None else "LIMIT",
                time_in_force="GTX" if post_only else in_force,
                client_id=client_id,
                reduce_only=reduce_only,
            )
        except Rejected as error:
            return [self._refused(market, params, REFUSALS.get(error.reason, REJECTED), error.text)]
        return [rows.placed(placed)]

    @staticmethod
    def _lots(market: LiveMarket, params: Params, *, buy: bool, market_order: bool) -> int:
        """A spot market purchase may be told by its value."""
        if rows.is_spot(market):
            if market_order and buy and "size" not in params:
                return filters.affordable(market, buy, _number(params, "price"))
            return filters.lots(market, _number(params, "size"))
        return filters.lots(market, _number(params, "size") * market.instrument.lot)

    def _refused(self, market: LiveMarket, params: Params, status: int, text: str) -> dict[str, Any]:
        return {
            "status": status,
            "symbol": market.instrument.native,
            "orderType": 77 if params.get("type") == "MARKET" else 76,
            "price": params.get("price", 0),
            "side": params.get("side", "BUY"),
            "orderID": params.get("orderID", ""),
            "clOrderID": params.get("clOrderID", ""),
            "timestamp": self._clock_ms(),
            "message": text,
        }

    def _cancel(self, product: str, account: Account, params: Params) -> Any:
        """Without an id all of the market."""
        market, desk = self._market(product, params), account.desks[product]
        if not params.get("orderID") and not params.get("clOrderID"):
            return [rows.placed(order) for order in desk.cancel_all(market)]
        found = self._order(product, account, params)
        try:
            if found is None or found.market is not market:
                raise Rejected("unknown_order", "Order is not found")
            desk.cancel(found)
        except Rejected as error:
            return [self._refused(market, params, NOT_FOUND, error.text)]
        return [rows.placed(found)]

    def _cancel_after(self, product: str, account: Account, params: Params) -> Any:
        self.switches.set((account, product), int(_number(params, "timeout")))


def _params(request: web.Request, body: str) -> Params:
    if request.method != "POST":
        return dict(request.query)
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise LmexError(400, f"BAD_REQUEST: {error}") from error


def _whole(params: Params, name: str, default: int) -> int:
    text = str(params.get(name, default))
    if not (text.lstrip("-").isdigit() and text.isascii() and len(text) < 20):
        raise LmexError(400, "BAD_REQUEST: Invalid parameter")
    return int(text)


def _number(params: Params, name: str) -> Decimal:
    """JSON numbers; their shortest text is what was meant."""
    try:
        value = Decimal(str(params.get(name, "")))
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or value < 0:
        raise LmexError(400, "BAD_REQUEST: Invalid parameter")
    return value
