"""OKX's private REST: an account's figures, orders, and histories. Limits are per key and endpoint, in two seconds."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from feeds.simulator.accounts import Account, Accounts
from feeds.simulator.faults import Faults
from feeds.simulator.keys import ApiKey
from feeds.simulator.okx import orders, rows
from feeds.simulator.okx.auth import Gatekeeper, Unauthorised
from feeds.simulator.okx.frames import Quoted
from feeds.simulator.okx.orders import Refused
from feeds.simulator.okx.rest import RestError, answer, unavailable
from feeds.simulator.okx.terms import WALLET
from feeds.simulator.orders import OwnOrder, Rejected
from feeds.simulator.wallets import FuturesWallet

_PER_S = 2.0
_PAGE = 100
MOST_LEVERAGE = 100
_RECENT_MS = 3 * 86_400_000
_BILLED_MS, _ARCHIVED_MS = 7 * 86_400_000, 90 * 86_400_000
_ALGO_TYPES = ("conditional", "oco", "chase", "trigger", "move_order_stop", "iceberg", "twap")
_KINDS = ("SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION")

Params = Mapping[str, str]
Rows = list[dict[str, Any]]


class PrivateRest:
    def __init__(
        self,
        accounts: Accounts,
        gatekeeper: Gatekeeper,
        quoted: Mapping[str, Quoted],
        faults: Faults,
        clock: Callable[[], float],
        clock_ms: Callable[[], int],
    ) -> None:
        self._accounts = accounts
        self._gatekeeper = gatekeeper
        self._quoted = quoted
        self._faults = faults
        self._clock = clock
        self._clock_ms = clock_ms
        self._asked: dict[tuple[str, str], deque[float]] = {}
        self.switches: dict[Account, float] = {}  # dead man's: when it strikes

    def routes(self, prefix: str) -> list[web.RouteDef]:
        get: dict[str, tuple[int, Callable[[Account, Params], Rows]]] = {
            "account/balance": (10, self._balance),
            "account/positions": (10, self._positions),
            "asset/balances": (12, lambda account, params: []),
            "asset/deposit-history": (12, lambda account, params: self._moves(account, params, came=True)),
            "asset/withdrawal-history": (12, lambda account, params: self._moves(account, params, came=False)),
            "asset/bills": (12, self._funding_bills),
            "account/bills": (10, lambda account, params: self._bills(account, params, _BILLED_MS)),
            "account/bills-archive": (5, lambda account, params: self._bills(account, params, _ARCHIVED_MS)),
            "trade/orders-pending": (60, self._pending),
            "trade/orders-algo-pending": (20, self._algos),
            "trade/order": (60, self._order),
            "trade/fills": (60, lambda account, params: self._fills(account, params, _RECENT_MS)),
            "trade/fills-history": (10, self._old_fills),
        }
        post: dict[str, tuple[int, Callable[[Account, Any], Rows]]] = {
            "trade/order": (60, lambda account, body: self._each([body], self._place, account)),
            "trade/batch-orders": (300, lambda account, body: self._each(body, self._place, account)),
            "trade/cancel-order": (60, lambda account, body: self._each([body], self._cancel, account)),
            "trade/cancel-batch-orders": (300, lambda account, body: self._each(body, self._cancel, account)),
            "trade/cancel-algos": (20, lambda account, body: self._each(body, self._cancel_algo, account)),
            "trade/cancel-all-after": (2, self._switch),
            "account/set-position-mode": (5, self._set_mode),
            "account/set-leverage": (20, self._set_leverage),
        }
        base = f"{prefix}/api/v5"
        return [
            web.get(f"{base}/account/config", self._wrap("account/config", 5, self._config)),
            *(web.get(f"{base}/{path}", self._wrap(path, limit, self._reads(do))) for path, (limit, do) in get.items()),
            *(
                web.post(f"{base}/{path}", self._wrap(path, limit, self._acts(do)))
                for path, (limit, do) in post.items()
            ),
        ]

    def keep_house(self) -> None:
        for account, due_s in list(self.switches.items()):
            if due_s <= self._clock():
                del self.switches[account]
                account.cancel_all()

    # -- the frame of a call -----------------------------------------------------------------------------------------

    def _wrap(
        self, path: str, limit: int, handler: Callable[[ApiKey, web.Request, bytes], web.Response]
    ) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.Response:
            if (trouble := unavailable(self._faults)) is not None:
                return trouble
            body = await request.read()
            signed_path = request.raw_path.removeprefix(request.path.partition("/api/v5/")[0])
            try:
                key = self._gatekeeper.rest(request.headers, request.method, signed_path, body)
            except Unauthorised as error:
                return answer([], error.code, str(error), 401)
            now_s, asked = self._clock(), self._asked.setdefault((key.key, request.method + path), deque())
            asked.append(now_s)
            while asked[0] <= now_s - _PER_S:
                asked.popleft()
            if len(asked) > limit:
                return answer([], "50011", "Too Many Requests", 429)
            try:
                return handler(key, request, body)
            except (RestError, Refused) as error:
                return answer([], error.code, str(error))

        return handle

    def _reads(self, do: Callable[[Account, Params], Rows]) -> Callable[[ApiKey, web.Request, bytes], web.Response]:
        return lambda key, request, body: answer(do(self._accounts.by_name[key.account], request.query))

    def _acts(self, do: Callable[[Account, Any], Rows]) -> Callable[[ApiKey, web.Request, bytes], web.Response]:
        def act(key: ApiKey, request: web.Request, body: bytes) -> web.Response:
            if not key.trade:
                raise RestError("50120", "This API key doesn't have permission to use this function")
            try:
                content = msgspec.json.decode(body)
            except msgspec.DecodeError:
                raise RestError("50002", "JSON syntax error") from None
            done = do(self._accounts.by_name[key.account], content)
            failed = sum(row.get("sCode", "0") != "0" for row in done)
            if not failed:
                return answer(done)
            code, text = (
                ("1", "All operations failed") if failed == len(done) else ("2", "Bulk operation partially failed")
            )
            return answer(done, code, text)

        return act

    def _each(self, bodies: Any, do: Callable[[Account, dict[str, Any]], dict[str, Any]], account: Account) -> Rows:
        """Each is done for itself; what is refused has its own code and words."""
        if not isinstance(bodies, list) or not bodies or not all(isinstance(one, dict) for one in bodies):
            raise RestError("50002", "JSON syntax error")
        if len(bodies) > 20:
            raise RestError("51000", "Parameter args error")
        told = []
        for one in bodies:
            row = {"ordId": "", "clOrdId": one.get("clOrdId") or "", "tag": "", "ts": str(self._clock_ms())}
            try:
                told.append(row | do(account, one) | {"sCode": "0", "sMsg": ""})
            except Refused as error:
                named = {"ordId": one.get("ordId") or ""} if "ordId" in one else {}
                told.append(row | named | {"sCode": error.code, "sMsg": str(error)})
        return told

    # -- the account -------------------------------------------------------------------------------------------------

    def _config(self, key: ApiKey, request: web.Request, body: bytes) -> web.Response:
        rights = ["read_only", *(["withdraw"] if key.withdraw else []), *(["trade"] if key.trade else [])]
        mode = "long_short_mode" if self._accounts.by_name[key.account].futures.mode.hedged else "net_mode"
        fixed = {"acctLv": "2", "posMode": mode, "autoLoan": False, "acctStpMode": "cancel_maker", "level": "Lv1"}
        who = {"uid": "44705892343619584", "mainUid": "44705892343619584", "label": key.account, "ip": ""}
        return answer([{**fixed, **who, "greeksType": "PA", "perm": ",".join(rights)}])

    def _set_mode(self, account: Account, body: Any) -> Rows:
        named = body.get("posMode") if isinstance(body, dict) else None
        if named not in ("long_short_mode", "net_mode"):
            raise RestError("51000", "Parameter posMode error")
        try:
            account.desks["swap"].switch(None, hedged=named == "long_short_mode")
        except Rejected as error:
            if error.reason != "no_change":
                text = "Setting failed. Cancel any open orders, close positions, and stop trading bots first."
                raise RestError("59000", text) from error
        return [{"posMode": named}]

    def _set_leverage(self, account: Account, body: Any) -> Rows:
        """Of both margin modes and sides alike."""
        quoted = self._quoted.get(str(body.get("instId", ""))) if isinstance(body, dict) else None
        if quoted is None or not quoted.swap:
            raise RestError("51001", "Instrument ID doesn't exist.")
        text = str(body.get("lever", ""))
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:4]) <= MOST_LEVERAGE):
            raise RestError("51000", "Parameter lever error")
        rows.futures(account).leverage[quoted.market] = int(text)
        told = {"instId": quoted.native, "lever": text, "mgnMode": str(body.get("mgnMode", ""))}
        return [told | {"posSide": str(body.get("posSide") or "net")}]

    def _balance(self, account: Account, params: Params) -> Rows:
        chosen = [name for name in params.get("ccy", "").split(",") if name] or account.cash[WALLET].assets()
        return [rows.balance(account, chosen, self._clock_ms())]

    def _positions(self, account: Account, params: Params) -> Rows:
        if params.get("instType", "SWAP") != "SWAP":
            return []
        wallet: FuturesWallet = rows.futures(account)
        held = [(each, self._quoted[each.market.instrument.native]) for each in wallet.open_positions()]
        chosen = params.get("instId", "")
        now_ms = self._clock_ms()
        return [rows.position(account, each, q, now_ms) for each, q in held if chosen in ("", q.native)]

    # -- money from outside ------------------------------------------------------------------------------------------

    def _moves(self, account: Account, params: Params, *, came: bool) -> Rows:
        name = rows.deposit if came else rows.withdrawal
        chosen = [m for m in account.movements if m.kind == ("deposit" if came else "withdrawal")]
        return _by_time([name(row) for row in reversed(chosen)], params)

    def _funding_bills(self, account: Account, params: Params) -> Rows:
        moved = [row for row in reversed(account.movements) if row.kind in ("deposit", "withdrawal")]
        told = [bill for row in moved for bill in rows.funding_bills(row)]
        return _by_time([row for row in told if params.get("type", row["type"]) == row["type"]], params)

    def _bills(self, account: Account, params: Params, back_ms: int) -> Rows:
        """What moved the trading account: trades, too."""
        first, last = integer(params, "begin", 0), integer(params, "end", 2**62)
        first = max(first, self._clock_ms() - back_ms)
        told = [rows.bill(row, account) for row in account.movements if first <= row.ms <= last]
        if params.get("type", "2") == "2":
            fills = [row for row in account.fills if first <= row.ms <= last]
            told += [b for f in fills for b in rows.trade_bills(f, self._quoted[f.order.market.instrument.native])]
        told.sort(key=lambda row: int(row["billId"]), reverse=True)
        names = ("type", "subType", "ccy", "instType", "instId")
        kept = [row for row in told if all(params.get(name, row[name]) == row[name] for name in names)]
        return _page(kept, params, "billId")

    # -- orders and fills --------------------------------------------------------------------------------------------

    def _row(self, account: Account, own: OwnOrder) -> dict[str, Any]:
        return rows.order(account.desk_of(own.market), own, self._quoted[own.market.instrument.native])

    def _pending(self, account: Account, params: Params) -> Rows:
        told = _of_kind([self._row(account, own) for own in reversed(account.open_orders())], params)
        return _page(told, params, "ordId")

    def _algos(self, account: Account, params: Params) -> Rows:
        """There are none: they cannot be placed here."""
        if not set(params.get("ordType", "").split(",")) <= set(_ALGO_TYPES):
            raise RestError("51000", "Parameter ordType error")
        return []

    def _order(self, account: Account, params: Params) -> Rows:
        own = orders.find(account, self._quoted, params)
        if own is None:
            raise RestError("51603", "Order does not exist.")
        return [self._row(account, own)]

    def _fills(self, account: Account, params: Params, back_ms: int = 2**62) -> Rows:
        first = max(integer(params, "begin", 0), self._clock_ms() - back_ms)
        last = integer(params, "end", 2**62)
        chosen = [row for row in account.fills if first <= row.ms <= last]
        told = [rows.fill(row, self._quoted[row.order.market.instrument.native]) for row in reversed(chosen)]
        return _page(_of_kind(told, params), params, "billId")

    def _old_fills(self, account: Account, params: Params) -> Rows:
        if not params.get("instType"):
            raise RestError("50014", "Parameter instType can not be empty.")
        return self._fills(account, params)

    def _place(self, account: Account, body: dict[str, Any]) -> dict[str, Any]:
        own = orders.place(account, self._quoted, body)
        return {"ordId": str(own.id), "clOrdId": own.client_id}

    def _cancel(self, account: Account, body: dict[str, Any]) -> dict[str, Any]:
        own = orders.cancel(account, self._quoted, body)
        return {"ordId": str(own.id), "clOrdId": own.client_id}

    @staticmethod
    def _cancel_algo(account: Account, body: dict[str, Any]) -> dict[str, Any]:
        raise Refused("51400", "Order cancellation failed as the order has been filled, canceled or does not exist.")

    def _switch(self, account: Account, body: Any) -> Rows:
        text = str(body.get("timeOut", "")) if isinstance(body, dict) else ""
        if not (text.isascii() and text.isdigit()) or not (text == "0" or 10 <= int(text[:4]) <= 120):
            raise RestError("51000", "Parameter timeOut error")
        now_s, timeout_s = self._clock_ms() // 1000, int(text)
        self.switches.pop(account, None)
        if timeout_s:
            self.switches[account] = self._clock() + timeout_s
        return [{"triggerTime": str(now_s + timeout_s if timeout_s else 0), "tag": "", "ts": str(now_s)}]


def integer(params: Params, name: str, default: int) -> int:
    text = params.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise RestError("51000", f"Parameter {name} error")
    return int(text)


def _of_kind(told: Rows, params: Params) -> Rows:
    kind, chosen, order_id = (params.get(name, "") for name in ("instType", "instId", "ordId"))
    if kind and kind not in _KINDS:
        raise RestError("51000", "Parameter instType error")
    return [
        row
        for row in told
        if kind in ("", row["instType"]) and chosen in ("", row["instId"]) and order_id in ("", row["ordId"])
    ]


def _page(told: Rows, params: Params, by: str) -> Rows:
    """``after``: older than this number, ``before``: newer; both exclusive. ``told`` is newest first."""
    after, before = integer(params, "after", 2**62), integer(params, "before", -1)
    chosen: Iterable[dict[str, Any]] = (row for row in told if before < int(row[by]) < after)
    return list(chosen)[: max(1, min(_PAGE, integer(params, "limit", _PAGE)))]


def _by_time(told: Rows, params: Params) -> Rows:
    return _page(told, params, "ts")
