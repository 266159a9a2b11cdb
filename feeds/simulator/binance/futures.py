"""Binance's signed futures endpoints: wallet, positions, orders, own trades, listen keys, dead man's switch."""

from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from feeds.simulator.accounts import Account, Accounts
from feeds.simulator.binance import income, orders
from feeds.simulator.binance.algo import AlgoOrders
from feeds.simulator.binance.auth import Gatekeeper
from feeds.simulator.binance.private import HOUR_MS, Params, PrivateEndpoints, of_one_market
from feeds.simulator.binance.rest import BinanceError, Gate, answer, integer
from feeds.simulator.market import LiveMarket
from feeds.simulator.orders import Rejected
from feeds.simulator.switches import Switches

MOST_LEVERAGE = 75
_MODE_REFUSALS = {
    "no_change": (-4059, "No need to change position side."),
    "open_orders": (-4067, "Position side cannot be changed if there exists open orders."),
    "open_positions": (-4068, "Position side cannot be changed if there exists position."),
}
_MARGIN_REFUSALS = {
    "no_change": (-4046, "No need to change margin type."),
    "open_orders": (-4047, "Margin type cannot be changed if there exists open orders."),
    "open_positions": (-4048, "Margin type cannot be changed if there exists position."),
}
ALL_CANCELLED = {"code": 200, "msg": "The operation of cancel all open order is done."}


class FuturesEndpoints(PrivateEndpoints):
    """``/fapi``. Listen keys are made by ``listen_keys``: (key, method) -> listen key."""

    product = "usdm"

    def __init__(
        self, accounts: Accounts, gatekeeper: Gatekeeper, gate: Gate, markets: Mapping[str, LiveMarket]
    ) -> None:
        super().__init__(accounts, gatekeeper, gate, markets)
        self.algo = AlgoOrders(gate.clock_ms)
        self.switches = Switches[tuple[Account, LiveMarket]](
            gate.clock_ms, lambda held: self.desk(held[0]).cancel_all(held[1])
        )

    def routes(self, prefix: str, listen_keys: Callable[[Account, str], Any]) -> list[web.RouteDef]:
        self._listen_keys = listen_keys
        base, third = f"{prefix}/fapi/v1", f"{prefix}/fapi/v3"
        open_weight = of_one_market(1, otherwise=40)
        listen = self.gate.wrap(1, self._listen)
        return [
            self.route("GET", f"{third}/balance", 5, self._balance),
            self.route("GET", f"{third}/account", 5, self._account),
            self.route("GET", f"{third}/positionRisk", 5, self._risk),
            self.route("GET", f"{base}/openOrders", open_weight, self._open),
            self.route("GET", f"{base}/openAlgoOrders", open_weight, self._open_algo),
            self.route("DELETE", f"{base}/algoOpenOrders", 1, self._cancel_all_algo, trade=True),
            self.route("POST", f"{base}/algoOrder", 1, self._place_algo, trade=True),
            self.route("DELETE", f"{base}/algoOrder", 1, self.algo.cancel, trade=True),
            self.route("POST", f"{base}/countdownCancelAll", 10, self._countdown, trade=True),
            self.route("GET", f"{base}/userTrades", 5, self._trades),
            self.route("GET", f"{base}/income", income.WEIGHT, self._income),
            self.route("GET", f"{base}/order", 1, lambda a, p: orders.futures_order(self.query(a, p))),
            self.route("POST", f"{base}/order", 1, self._place, trade=True),
            self.route("DELETE", f"{base}/order", 1, self._cancel, trade=True),
            self.route("DELETE", f"{base}/allOpenOrders", 1, self._cancel_all, trade=True),
            self.route("GET", f"{base}/symbolConfig", 5, self._config),
            self.route("GET", f"{base}/leverageBracket", 1, self._brackets),
            self.route("GET", f"{base}/positionSide/dual", 30, self._mode),
            self.route("POST", f"{base}/positionSide/dual", 1, self._set_mode, trade=True),
            self.route("POST", f"{base}/marginType", 1, self._set_margin, trade=True),
            self.route("POST", f"{base}/leverage", 1, self._set_leverage, trade=True),
            *(web.route(method, f"{base}/listenKey", listen) for method in ("POST", "PUT", "DELETE")),
        ]

    def _listen(self, request: web.Request) -> web.Response:
        key = self._gatekeeper.key(request.headers.get("X-MBX-APIKEY"))
        return answer(self._listen_keys(self.account_of(key), request.method))

    def _chosen(self, params: Params) -> list[LiveMarket]:
        return [self.market(params)] if "symbol" in params else list(self._markets.values())

    def _balance(self, account: Account, params: Params) -> list[dict[str, Any]]:
        wallet = account.futures
        available, total = f"{wallet.available():.8f}", f"{wallet.balance:.8f}"
        cross = f"{wallet.balance - wallet.isolated_margin():.8f}"
        return [
            {
                "accountAlias": "SgsR",
                "asset": "USDT",
                "balance": total,
                "crossWalletBalance": cross,
                "crossUnPnl": f"{wallet.cross_unrealised():.8f}",
                "availableBalance": available,
                "maxWithdrawAmount": available,
                "marginAvailable": True,
                "updateTime": wallet.updated_ms,
            }
        ]

    def _account(self, account: Account, params: Params) -> dict[str, Any]:
        wallet = account.futures
        held = wallet.open_positions()
        position_margin = sum((wallet.initial_margin(p) for p in held), orders.ZERO)
        figures = {
            "walletBalance": wallet.balance,
            "unrealizedProfit": wallet.total_unrealised(),
            "marginBalance": wallet.balance + wallet.total_unrealised(),
            "maintMargin": sum((wallet.maintenance_margin(p) for p in held), orders.ZERO),
            "initialMargin": position_margin + wallet.order_margin(),
            "positionInitialMargin": position_margin,
            "openOrderInitialMargin": wallet.order_margin(),
            "crossWalletBalance": wallet.balance - wallet.isolated_margin(),
            "crossUnPnl": wallet.cross_unrealised(),
            "availableBalance": wallet.available(),
            "maxWithdrawAmount": wallet.available(),
        }
        texts = {name: f"{value:.8f}" for name, value in figures.items()}
        plain = ("availableBalance", "maxWithdrawAmount")
        totals = {n if n in plain else f"total{n[0].upper()}{n[1:]}": text for n, text in texts.items()}
        keep = ("symbol", "positionSide", "positionAmt", "isolatedMargin", "notional", "isolatedWallet")
        return totals | {
            "assets": [{"asset": "USDT", **texts, "updateTime": wallet.updated_ms}],
            "positions": [
                {name: row[name] for name in (*keep, "initialMargin", "maintMargin", "updateTime")}
                | {"unrealizedProfit": row["unRealizedProfit"]}
                for row in self._risk(account, {})
            ],
        }

    def _risk(self, account: Account, params: Params) -> list[dict[str, Any]]:
        """Only symbols with a position or open orders."""
        wallet, desk = account.futures, self.desk(account)
        rows = []
        chosen = [position for market in self._chosen(params) for position in wallet.positions_of(market)]
        for position in chosen:
            market = position.market
            if not position.amount and not any(order.hold == position.hold for order in desk.open_orders(market)):
                continue
            margin = f"{wallet.initial_margin(position):.8f}"
            isolated = wallet.is_isolated(position)
            with_profit = position.margin + wallet.unrealised(position) if isolated else orders.ZERO
            rows.append(
                {
                    "symbol": market.instrument.native,
                    "positionSide": position.hold.upper(),
                    "positionAmt": f"{position.amount:f}",
                    "entryPrice": f"{position.entry:f}",
                    "breakEvenPrice": f"{position.entry:f}",
                    "markPrice": f"{wallet.mark(market):f}",
                    "unRealizedProfit": f"{wallet.unrealised(position):.8f}",
                    "liquidationPrice": f"{wallet.liquidation_price(position):f}" if position.amount else "0",
                    "isolatedMargin": f"{with_profit:.8f}",
                    "notional": f"{wallet.notional(position):.8f}",
                    "marginAsset": "USDT",
                    "isolatedWallet": f"{position.margin:.8f}",
                    "initialMargin": margin,
                    "maintMargin": f"{wallet.maintenance_margin(position):.8f}",
                    "positionInitialMargin": margin,
                    "openOrderInitialMargin": "0",
                    "adl": 1,
                    "bidNotional": "0",
                    "askNotional": "0",
                    "updateTime": position.updated_ms,
                }
            )
        return rows

    def _open(self, account: Account, params: Params) -> list[dict[str, Any]]:
        return [orders.futures_order(order) for order in self.open_orders(account)(params)]

    def _trades(self, account: Account, params: Params) -> list[dict[str, Any]]:
        week = 7 * 24 * HOUR_MS
        return [orders.futures_trade(fill) for fill in self.trades(account, params, week, week)]

    def _income(self, account: Account, params: Params) -> list[dict[str, Any]]:
        market = self.market(params) if "symbol" in params else None
        return income.rows(account, params, market, self.gate.clock_ms())

    def _place(self, account: Account, params: Params) -> dict[str, Any]:
        return orders.futures_placed(orders.place(self.desk(account), self.market(params), params))

    def _cancel(self, account: Account, params: Params) -> dict[str, Any]:
        return orders.futures_placed(self.cancel(account, params)[0])

    def _cancel_all(self, account: Account, params: Params) -> dict[str, Any]:
        self.cancel_all(account, params)
        return dict(ALL_CANCELLED)

    def _open_algo(self, account: Account, params: Params) -> list[dict[str, Any]]:
        return self.algo.rows(account, self.market(params) if "symbol" in params else None)

    def _place_algo(self, account: Account, params: Params) -> dict[str, Any]:
        return self.algo.place(account, self.market(params), params)

    def _cancel_all_algo(self, account: Account, params: Params) -> dict[str, Any]:
        self.algo.cancel_all(account, self.market(params))
        return dict(ALL_CANCELLED)

    def _countdown(self, account: Account, params: Params) -> dict[str, Any]:
        """The dead man's switch of one market."""
        countdown_ms = integer(params, "countdownTime", 0)
        self.switches.set((account, self.market(params)), countdown_ms)
        return {"symbol": params["symbol"], "countdownTime": str(countdown_ms)}

    def _config(self, account: Account, params: Params) -> list[dict[str, Any]]:
        return [
            {
                "symbol": market.instrument.native,
                "marginType": "ISOLATED" if account.futures.mode_of(market).isolated else "CROSSED",
                "isAutoAddMargin": "false",
                "leverage": account.futures.leverage_of(market),
                "maxNotionalValue": "1000000",
            }
            for market in self._chosen(params)
        ]

    def _mode(self, account: Account, params: Params) -> dict[str, Any]:
        return {"dualSidePosition": account.futures.mode.hedged}

    def _set_mode(self, account: Account, params: Params) -> dict[str, Any]:
        """Of all symbols."""
        hedged = orders.required(params, "dualSidePosition").lower() == "true"
        return self._switched(account, None, _MODE_REFUSALS, hedged=hedged)

    def _set_margin(self, account: Account, params: Params) -> dict[str, Any]:
        named = orders.required(params, "marginType")
        if named not in ("ISOLATED", "CROSSED"):
            raise BinanceError(-4051, "Invalid marginType.")
        return self._switched(account, self.market(params), _MARGIN_REFUSALS, isolated=named == "ISOLATED")

    def _switched(
        self, account: Account, market: LiveMarket | None, refusals: Mapping[str, tuple[int, str]], **mode: bool
    ) -> dict[str, Any]:
        try:
            self.desk(account).switch(market, **mode)
        except Rejected as error:
            raise BinanceError(*refusals[error.reason]) from error
        return {"code": 200, "msg": "success"}

    def _set_leverage(self, account: Account, params: Params) -> dict[str, Any]:
        market, leverage = self.market(params), integer(params, "leverage", 0)
        if not 1 <= leverage <= MOST_LEVERAGE:
            raise BinanceError(-4028, f"Leverage {leverage} is not valid")
        account.futures.leverage[market] = leverage
        return {"leverage": leverage, "maxNotionalValue": "1000000", "symbol": market.instrument.native}

    def _brackets(self, account: Account, params: Params) -> list[dict[str, Any]]:
        bracket = {
            "bracket": 1,
            "initialLeverage": MOST_LEVERAGE,
            "notionalCap": 10_000_000,
            "notionalFloor": 0,
            "maintMarginRatio": 0.0065,
            "cum": 0,
        }
        return [{"symbol": m.instrument.native, "brackets": [bracket]} for m in self._chosen(params)]
