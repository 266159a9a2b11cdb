"""Binance's signed REST endpoints: what both products share, and those of spot; key rights."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from aiohttp import web

from feeds.simulator.accounts import Account, Accounts
from feeds.simulator.binance import capital, orders
from feeds.simulator.binance.auth import Gatekeeper
from feeds.simulator.binance.rest import BinanceError, Gate, Handler, Weight, answer, integer
from feeds.simulator.binance.terms import refusal
from feeds.simulator.desk import Desk
from feeds.simulator.keys import ApiKey
from feeds.simulator.market import LiveMarket
from feeds.simulator.orders import OwnFill, OwnOrder, Rejected

HOUR_MS = 3_600_000
Params: TypeAlias = Mapping[str, str]
Signed: TypeAlias = Callable[[Account, Params], Any]


def of_one_market(weight: int, *, otherwise: int) -> Weight:
    """The weight of a request that names a market, and of one that asks for all."""
    return lambda request: weight if "symbol" in request.query else otherwise


class PrivateEndpoints:
    """What spot and futures have in common. ``signed`` makes a handler of a function of account and parameters."""

    product = ""

    def __init__(
        self,
        accounts: Accounts,
        gatekeeper: Gatekeeper,
        gate: Gate,
        markets: Mapping[str, LiveMarket],
    ) -> None:
        self._accounts = accounts
        self._gatekeeper = gatekeeper
        self._markets = markets
        self.gate = gate
        self._clock_ms = gate.clock_ms

    def route(
        self, method: str, path: str, weight: Weight, function: Signed, *, trade: bool = False, free: bool = False
    ) -> web.RouteDef:
        handler = self.gate.wrap(weight, self._signed(function, trade), free_if_good=free)
        return web.route(method, path, handler)

    def _signed(self, function: Signed, trade: bool) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            key, params = await self._gatekeeper.rest(request, trade=trade)
            try:
                return answer(function(self.account_of(key), params))
            except Rejected as error:
                raise refusal(self.product, error, orders.ZERO) from error

        return handle

    def account_of(self, key: ApiKey) -> Account:
        return self._accounts.by_name[key.account]

    def desk(self, account: Account) -> Desk:
        return account.desks[self.product]

    def market(self, params: Params) -> LiveMarket:
        name = orders.required(params, "symbol")
        if name not in self._markets:
            raise BinanceError(-1121, "Invalid symbol.")
        return self._markets[name]

    # -- the same on both products -------------------------------------------------------------------------------

    def open_orders(self, account: Account) -> Callable[[Params], list[OwnOrder]]:
        def rows(params: Params) -> list[OwnOrder]:
            return self.desk(account).open_orders(self.market(params) if "symbol" in params else None)

        return rows

    def cancel(self, account: Account, params: Params) -> tuple[OwnOrder, str]:
        """Cancel; returns the order and the client id of the cancellation."""
        desk, market = self.desk(account), self.market(params)
        order = orders.order_of(desk, market, params, -2011, "Unknown order sent.")
        request_id = params.get("newClientOrderId", "") or f"cancel{order.id}"
        desk.cancel(order, request_id)
        return order, request_id

    def cancel_all(self, account: Account, params: Params) -> list[OwnOrder]:
        return self.desk(account).cancel_all(self.market(params))

    def query(self, account: Account, params: Params) -> OwnOrder:
        return orders.order_of(self.desk(account), self.market(params), params, -2013, "Order does not exist.")

    def trades(self, account: Account, params: Params, longest_ms: int, default_ms: int | None) -> list[OwnFill]:
        """Own fills of one symbol, oldest first: ``fromId``, or a window, or the most recent.

        ``longest_ms`` is the longest window, ``default_ms`` how far back it goes without parameters.
        """
        rows = self.desk(account).fills_of(self.market(params))
        limit = min(1000, integer(params, "limit", 500))
        start_ms, end_ms = (integer(params, name, -1) for name in ("startTime", "endTime"))
        if "orderId" in params:
            number = integer(params, "orderId", 0)
            rows = [fill for fill in rows if fill.order.id == number]
        if "fromId" in params:
            if start_ms >= 0 or end_ms >= 0:
                raise BinanceError(-1128, "Combination of optional parameters invalid.")
            first = integer(params, "fromId", 0)
            return [fill for fill in rows if fill.id >= first][:limit]
        if start_ms >= 0 and end_ms >= 0 and end_ms - start_ms > longest_ms:
            hours = longest_ms // HOUR_MS
            raise BinanceError(-1127, f"More than {hours} hours between startTime and endTime.")
        if start_ms >= 0:
            last_ms = end_ms if end_ms >= 0 else start_ms + longest_ms
            return [fill for fill in rows if start_ms <= fill.ms <= last_ms][:limit]
        if end_ms >= 0:
            rows = [fill for fill in rows if fill.ms <= end_ms]
        elif default_ms is not None:
            rows = [fill for fill in rows if fill.ms >= self._clock_ms() - default_ms]
        return rows[-limit:]


class SpotEndpoints(PrivateEndpoints):
    """``/api/v3`` and ``/sapi/v1``."""

    product = "spot"

    def routes(self, prefix: str) -> list[web.RouteDef]:
        base = f"{prefix}/api/v3"
        open_weight = of_one_market(6, otherwise=80)
        return [
            self.route("GET", f"{base}/account", 20, self._account),
            self.route("GET", f"{base}/openOrders", open_weight, self._open),
            self.route("GET", f"{base}/allOrders", 20, self._all_orders),
            self.route("GET", f"{base}/myTrades", lambda r: 5 if "orderId" in r.query else 20, self._trades),
            self.route("GET", f"{base}/order", 4, lambda a, p: orders.spot_order(self.query(a, p))),
            self.route("POST", f"{base}/order", 1, self._place, trade=True, free=True),
            self.route("DELETE", f"{base}/order", 1, self._cancel, trade=True, free=True),
            self.route("DELETE", f"{base}/openOrders", 1, self._cancel_all, trade=True, free=True),
            *capital.routes(self, f"{prefix}/sapi/v1/capital"),
            web.get(f"{prefix}/sapi/v1/account/apiRestrictions", self.gate.wrap(1, self._rights)),
        ]

    async def _rights(self, request: web.Request) -> web.Response:
        key, _ = await self._gatekeeper.rest(request, trade=False)
        return answer(
            {
                "ipRestrict": False,
                "createTime": 1698645219000,
                "enableReading": True,
                "enableSpotAndMarginTrading": key.trade,
                "enableFutures": key.trade,
                "enableWithdrawals": key.withdraw,
                "enableInternalTransfer": key.withdraw,
                "permitsUniversalTransfer": False,
                "enableMargin": False,
                "enableVanillaOptions": False,
                "enablePortfolioMarginTrading": False,
            }
        )

    def _account(self, account: Account, params: Params) -> dict[str, Any]:
        wallet, desk = account.spot, self.desk(account)
        skip = params.get("omitZeroBalances") == "true"
        return {
            "makerCommission": 10,
            "takerCommission": 10,
            "buyerCommission": 0,
            "sellerCommission": 0,
            "commissionRates": {
                "maker": "0.00100000",
                "taker": "0.00100000",
                "buyer": "0.00000000",
                "seller": "0.00000000",
            },
            "canTrade": True,
            "canWithdraw": True,
            "canDeposit": True,
            "brokered": False,
            "requireSelfTradePrevention": False,
            "preventSor": False,
            "updateTime": desk.fills[-1].ms if desk.fills else 0,
            "accountType": "SPOT",
            "balances": [
                {
                    "asset": asset,
                    "free": f"{wallet.free.get(asset, 0):.8f}",
                    "locked": f"{wallet.locked.get(asset, 0):.8f}",
                }
                for asset in wallet.assets()
                if wallet.total(asset) or not skip
            ],
            "permissions": ["SPOT"],
            "uid": 354937868,
        }

    def _open(self, account: Account, params: Params) -> list[dict[str, Any]]:
        return [orders.spot_order(order) for order in self.open_orders(account)(params)]

    def _all_orders(self, account: Account, params: Params) -> list[dict[str, Any]]:
        market, first = self.market(params), integer(params, "orderId", 0)
        rows = [o for o in self.desk(account).orders.values() if o.market is market and o.id >= first]
        limit = min(1000, integer(params, "limit", 500))
        return [orders.spot_order(order) for order in (rows[:limit] if first else rows[-limit:])]

    def _trades(self, account: Account, params: Params) -> list[dict[str, Any]]:
        return [orders.spot_trade(fill) for fill in self.trades(account, params, 24 * HOUR_MS, None)]

    def _place(self, account: Account, params: Params) -> dict[str, Any]:
        desk, market = self.desk(account), self.market(params)
        order = orders.place(desk, market, params)
        full = "ACK" if order.type == "LIMIT_MAKER" else "FULL"
        return orders.spot_placed(order, desk.fills_of_order(order), params.get("newOrderRespType", full))

    def _cancelled(self, order: OwnOrder, request_id: str) -> dict[str, Any]:
        row = orders.spot_placed(order, [], "RESULT")
        return row | {"origClientOrderId": order.client_id, "clientOrderId": request_id}

    def _cancel(self, account: Account, params: Params) -> dict[str, Any]:
        return self._cancelled(*self.cancel(account, params))

    def _cancel_all(self, account: Account, params: Params) -> list[dict[str, Any]]:
        rows = self.cancel_all(account, params)
        if not rows:
            raise BinanceError(-2011, "Unknown order sent.")
        return [self._cancelled(order, f"cancel{order.id}") for order in rows]
