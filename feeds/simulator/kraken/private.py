"""Kraken's private REST (``/0/private``): POST only. Answers are ``{"error": [...], "result": {...}}``, HTTP 200."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, TypeAlias

from aiohttp import web

from feeds.simulator.accounts import Account, Accounts
from feeds.simulator.faults import Faults
from feeds.simulator.keys import ApiKey
from feeds.simulator.kraken import ledger, orders
from feeds.simulator.kraken.auth import Gatekeeper
from feeds.simulator.kraken.rest import ASSETS, KrakenRest, KrakenRestError, answer, broken
from feeds.simulator.kraken.terms import fill_id, number_of, order_id, refusal, txid
from feeds.simulator.orders import OwnOrder, Rejected

PAGE = 50
_LONGEST_SWITCH_S = 86_400
_PERMISSIONS = ("query-funds", "query-open-trades", "query-closed-trades", "query-ledger", "create-ws-token")
Params: TypeAlias = Mapping[str, str]


class PrivateRest:
    """``public`` knows the pairs by their names."""

    def __init__(
        self,
        accounts: Accounts,
        gatekeeper: Gatekeeper,
        public: KrakenRest,
        faults: Faults,
        clock: Callable[[], float],
        clock_ms: Callable[[], int],
    ) -> None:
        self._accounts = accounts
        self._gatekeeper = gatekeeper
        self._public = public
        self._faults = faults
        self._clock = clock
        self._clock_ms = clock_ms
        self._switches: dict[str, float] = {}  # account: when everything is cancelled

    def routes(self, prefix: str) -> list[web.RouteDef]:
        table: dict[str, Callable[[Account, Params], Any]] = {
            "Balance": self._balance,
            "BalanceEx": self._extended,
            "OpenOrders": self._open,
            "ClosedOrders": self._closed,
            "QueryOrders": self._query,
            "OpenPositions": lambda account, params: {},  # there is no margin trading here
            "TradesHistory": self._trades,
            "Ledgers": self._ledgers,
            "DepositStatus": lambda account, params: self._movements(account, params, "deposit"),
            "WithdrawStatus": lambda account, params: self._movements(account, params, "withdrawal"),
            "AddOrder": self._add,
            "CancelOrder": self._cancel,
            "CancelAll": lambda account, params: {"count": len(account.cancel_all())},
            "CancelAllOrdersAfter": self._switch,
        }
        paths = {name: self._of_account(function) for name, function in table.items()}
        paths |= {"GetApiKeyInfo": self._rights, "GetWebSocketsToken": self._token}
        return [web.post(f"{prefix}/0/private/{name}", self._wrap(name, paths[name])) for name in paths]

    def _of_account(self, function: Callable[[Account, Params], Any]) -> Callable[[ApiKey, Params], Any]:
        return lambda key, params: function(self._accounts.by_name[key.account], params)

    def _wrap(self, name: str, function: Callable[[ApiKey, Params], Any]) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.Response:
            if (fault := self._faults.strike("kraken", "status")) is not None:
                return broken(fault)
            try:
                body = (await request.read()).decode(errors="replace")
                key, params = self._gatekeeper.admit(name, f"/0/private/{name}", request.headers, body)
                return answer({"error": [], "result": function(key, params)})
            except KrakenRestError as error:
                return answer({"error": [str(error)]})
            except Rejected as error:
                return answer({"error": [refusal(error)]})

        return handle

    def tick(self) -> None:
        """Dead man's switches whose time has come."""
        for name in [name for name, due_s in self._switches.items() if due_s <= self._clock()]:
            del self._switches[name]
            self._accounts.by_name[name].cancel_all()

    # -- the key -------------------------------------------------------------------------------------------------

    def _rights(self, key: ApiKey, params: Params) -> dict[str, Any]:
        more = [
            *(("modify-trades", "close-trades") if key.trade else ()),
            *(("withdraw-funds",) if key.withdraw else ()),
        ]
        return {
            "api_key_name": "simulated",
            "api_key": key.key,
            "nonce": str(self._clock_ms()),
            "nonce_window": "0",
            "permissions": [*_PERMISSIONS, *more],
            "valid_until": "0",
            "query_from": "0",
            "query_to": "0",
            "created_time": "1522132642",
            "modified_time": "1618230358",
            "ip_allowlist": [""],
            "last_used": str(self._clock_ms() // 1000),
        }

    def _token(self, key: ApiKey, params: Params) -> dict[str, Any]:
        return {"token": self._gatekeeper.token(key), "expires": 900}

    # -- what it has ---------------------------------------------------------------------------------------------

    def _balance(self, account: Account, params: Params) -> dict[str, Any]:
        return {name: row["balance"] for name, row in self._extended(account, params).items()}

    def _extended(self, account: Account, params: Params) -> dict[str, Any]:
        wallet = account.spot
        return {
            ASSETS[asset][0]: {
                "balance": f"{wallet.total(asset):f}",
                "hold_trade": f"{wallet.locked.get(asset, Decimal(0)):f}",
            }
            for asset in wallet.assets()
        }

    def _open(self, account: Account, params: Params) -> dict[str, Any]:
        return {"open": {order_id(o): orders.order_row(o) for o in account.open_orders() if _wanted(o, params)}}

    def _closed(self, account: Account, params: Params) -> dict[str, Any]:
        still = set(account.open_orders())
        rows = [o for o in account.history() if o not in still and _wanted(o, params)]
        page = sorted(rows, key=lambda o: o.updated_ms, reverse=True)[_integer(params, "ofs", 0) :][:PAGE]
        return {"closed": {order_id(o): orders.order_row(o) for o in page}, "count": len(rows)}

    def _query(self, account: Account, params: Params) -> dict[str, Any]:
        found = [self._find(account, text) for text in params.get("txid", "").split(",")]
        return {order_id(order): orders.order_row(order) for order in found}

    def _find(self, account: Account, text: str) -> OwnOrder:
        number = number_of("O", text)
        order = None if number is None else account.find(order_id=number)
        if order is None:
            raise KrakenRestError("EOrder:Unknown order")
        return order

    def _trades(self, account: Account, params: Params) -> dict[str, Any]:
        start_s, end_s = _integer(params, "start", -1), _integer(params, "end", 10**11)
        fills = [f for f in account.fills if f.ms > start_s * 1000 and f.ms <= end_s * 1000]
        if params.get("consolidate_taker", "true") != "false":
            rows = orders.consolidated(fills)
        else:
            rows = {fill_id(fill): orders.trade_row(fill) for fill in fills}
        offset = _integer(params, "ofs", 0)
        page = list(rows.items())[::-1][offset : offset + PAGE]
        count = {} if params.get("without_count") == "true" else {"count": len(rows)}
        return {"trades": dict(page), **count}

    def _ledgers(self, account: Account, params: Params) -> dict[str, Any]:
        start_s, end_s = _integer(params, "start", -1), _integer(params, "end", 10**11)
        rows = ledger.wanted(params.get("type", ledger.ALL), start_s, end_s, account)
        offset = _integer(params, "ofs", 0)
        count = {} if params.get("without_count") == "true" else {"count": len(rows)}
        return {"ledger": dict(list(rows.items())[offset : offset + PAGE]), **count}

    def _movements(self, account: Account, params: Params, kind: str) -> list[dict[str, Any]]:
        start_s = _integer(params, "start", 0)
        return [
            {
                "method": "Simulated",
                "aclass": "currency",
                "asset": ASSETS[movement.asset][0],
                "refid": txid("F", movement.id),
                "txid": f"{movement.id:064x}",
                "info": "simulated",
                "amount": f"{abs(movement.amount):f}",
                "fee": "0.0000",
                "time": movement.ms // 1000,
                "status": "Success",
            }
            for movement in reversed(account.movements)
            if movement.kind == kind and movement.ms >= start_s * 1000
        ]

    # -- orders --------------------------------------------------------------------------------------------------

    def _add(self, account: Account, params: Params) -> dict[str, Any]:
        market = self._public.market(params.get("pair", ""))
        if params.get("validate") == "true":
            raise KrakenRestError("EGeneral:Invalid arguments:validate")
        order = orders.place(account.desk_of(market), market, params)
        return {"descr": {"order": orders.described(order)}, "txid": [order_id(order)]}

    def _cancel(self, account: Account, params: Params) -> dict[str, Any]:
        client_id = params.get("cl_ord_id")
        order = account.find(client_id=client_id) if client_id else self._find(account, params.get("txid", ""))
        if order is None:
            raise KrakenRestError("EOrder:Unknown order")
        account.desk_of(order.market).cancel(order)
        return {"count": 1}

    def _switch(self, account: Account, params: Params) -> dict[str, Any]:
        timeout_s = _integer(params, "timeout", -1)
        if not 0 <= timeout_s < _LONGEST_SWITCH_S:
            raise KrakenRestError("EGeneral:Invalid arguments:timeout")
        now_ms = self._clock_ms()
        if not timeout_s:
            self._switches.pop(account.name, None)
            return {"currentTime": self._public.stamp(now_ms), "triggerTime": "0"}
        self._switches[account.name] = self._clock() + timeout_s
        return {
            "currentTime": self._public.stamp(now_ms),
            "triggerTime": self._public.stamp(now_ms + timeout_s * 1000),
        }


def _wanted(order: OwnOrder, params: Params) -> bool:
    return params.get("cl_ord_id", order.client_id) == order.client_id


def _integer(params: Params, name: str, default: int) -> int:
    text = params.get(name, str(default)).partition(".")[0]
    try:
        return int(text)
    except ValueError:
        raise KrakenRestError(f"EGeneral:Invalid arguments:{name}") from None
