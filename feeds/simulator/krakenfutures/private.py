"""Kraken Futures' private REST: below ``/derivatives/api/v3``, and the check of a key.

A refused order is answered with success, too.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias
from urllib.parse import parse_qsl
from uuid import NAMESPACE_DNS, uuid5

import msgspec
from aiohttp import web

from feeds.simulator import filters
from feeds.simulator.accounts import Account, Accounts
from feeds.simulator.faults import Faults
from feeds.simulator.krakenfutures.answers import KrakenFuturesRestError, answer, broken
from feeds.simulator.krakenfutures.auth import Gatekeeper
from feeds.simulator.krakenfutures.frames import stamp
from feeds.simulator.krakenfutures.terms import fill_id, number_of, order_id, refusal
from feeds.simulator.market import LiveMarket
from feeds.simulator.orders import OwnFill, OwnOrder, Rejected

CHECK_PATH = "/api/auth/v1/api-keys/v3/check"
MOST_FILLS = 100
_KINDS = ("lmt", "post", "ioc", "mkt")
_NAMES = {"BTC": "XBT"}
Params: TypeAlias = Mapping[str, str]


def number(value: Decimal) -> msgspec.Raw:
    return msgspec.Raw(f"{value:f}".encode())


def asset_name(asset: str) -> str:
    return _NAMES.get(asset, asset)


class PrivateRest:
    def __init__(
        self,
        accounts: Accounts,
        gatekeeper: Gatekeeper,
        markets: Mapping[str, LiveMarket],
        faults: Faults,
        clock: Callable[[], float],
        clock_ms: Callable[[], int],
    ) -> None:
        self._accounts = accounts
        self._gatekeeper = gatekeeper
        self._markets = markets
        self._faults = faults
        self._clock = clock
        self._clock_ms = clock_ms
        self._switches: dict[str, float] = {}  # account: when everything is cancelled

    def routes(self, prefix: str) -> list[web.RouteDef]:
        gets: dict[str, Callable[[Account, Params], dict[str, Any]]] = {
            "accounts": self._all,
            "openpositions": self._positions,
            "openorders": lambda account, params: {"openOrders": [order_row(o) for o in account.open_orders()]},
            "fills": self._fills,
            "leveragepreferences": lambda account, params: {"leveragePreferences": []},
        }
        posts: dict[str, Callable[[Account, Params], dict[str, Any]]] = {
            "sendorder": self._send,
            "cancelorder": self._cancel,
            "cancelallorders": self._cancel_all,
            "cancelallordersafter": self._switch,
        }
        base = f"{prefix}/derivatives/api/v3"
        return [
            web.get(f"{prefix}{CHECK_PATH}", self._check_key),
            *(web.get(f"{base}/{name}", self._wrap(name, function)) for name, function in gets.items()),
            *(web.post(f"{base}/{name}", self._wrap(name, function)) for name, function in posts.items()),
        ]

    def _wrap(self, name: str, function: Callable[[Account, Params], dict[str, Any]]) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.Response:
            now = {"serverTime": stamp(self._clock_ms())}
            if (fault := self._faults.strike("krakenfutures", "status", "futures")) is not None:
                return broken(fault, now)
            body = (await request.read()).decode(errors="replace")
            data = body or request.raw_path.partition("?")[2]
            try:
                key = self._gatekeeper.admit(name, f"/api/v3/{name}", request.headers, data)
                told = function(self._accounts.by_name[key.account], dict(parse_qsl(data)))
            except KrakenFuturesRestError as error:
                return answer({"result": "error", "error": str(error), **now})
            return answer({"result": "success", **told, **now})

        return handle

    async def _check_key(self, request: web.Request) -> web.Response:
        """What the key may do: a service of its own, with errors of its own, without a budget that is documented."""
        if (fault := self._faults.strike("krakenfutures", "status", "futures")) is not None:
            return broken(fault, {"serverTime": stamp(self._clock_ms())})
        try:
            key = self._gatekeeper.knows_signed(CHECK_PATH, request.headers, request.raw_path.partition("?")[2])
        except KrakenFuturesRestError as error:
            return answer({"error": str(error), "message": "API key is not found.", "suberror": None}, 401)
        return answer(
            {
                "apiKey": key.key,
                "accountUid": str(uuid5(NAMESPACE_DNS, key.account)),
                "iiban": "AA08 N84G CPAR UN7A",
                "createdAt": "2024-08-24T14:15:22Z",
                "permissions": {
                    "general": "FULL_ACCESS" if key.trade else "READ_ONLY",
                    "transfer": "FULL_ACCESS" if key.withdraw else "NO_ACCESS",
                },
                "allowedCidrBlock": None,
                "allowedCidrBlocks": [],
            }
        )

    def tick(self) -> None:
        """Dead man's switches whose time has come."""
        for name in [name for name, due_s in self._switches.items() if due_s <= self._clock()]:
            del self._switches[name]
            self._accounts.by_name[name].cancel_all()

    # -- what it has ---------------------------------------------------------------------------------------------

    def _all(self, account: Account, params: Params) -> dict[str, Any]:
        flex = flex_account(account)
        return {"accounts": {"cash": {"type": "cashAccount", "balances": {}}, "flex": flex}}

    def _positions(self, account: Account, params: Params) -> dict[str, Any]:
        rows = [
            {
                "side": "long" if position.amount > 0 else "short",
                "symbol": position.market.instrument.native,
                "price": number(position.entry),
                "fillTime": stamp(position.updated_ms),
                "size": number(abs(position.amount)),
                "unrealizedFunding": 0,
                "pnlCurrency": "USD",
            }
            for position in account.futures.open_positions()
        ]
        return {"openPositions": rows}

    def _fills(self, account: Account, params: Params) -> dict[str, Any]:
        """The last hundred, newest first; with ``lastFillTime`` those before it."""
        before = params.get("lastFillTime")
        rows = [fill for fill in account.fills if before is None or stamp(fill.ms) < before]
        return {"fills": [fill_row(fill) for fill in rows[-MOST_FILLS:][::-1]]}

    # -- orders --------------------------------------------------------------------------------------------------

    def _send(self, account: Account, params: Params) -> dict[str, Any]:
        market = self._markets.get(params.get("symbol", "").upper())
        kind, side = params.get("orderType", ""), params.get("side", "")
        if market is None or kind not in _KINDS or side not in ("buy", "sell"):
            raise KrakenFuturesRestError("invalidArgument")
        status: dict[str, Any] = {"receivedTime": stamp(self._clock_ms())}
        client_id = params.get("cliOrdId", "")
        if client_id:
            status["cliOrdId"] = client_id
        try:
            price = None if kind == "mkt" else filters.ticks(market, _decimal(params, "limitPrice"))
            order = account.desk_of(market).place(
                market,
                buy=side == "buy",
                size=filters.lots(market, _decimal(params, "size")),
                price=price,
                type="MARKET" if price is None else "LIMIT",
                time_in_force={"post": "GTX", "ioc": "IOC"}.get(kind, "GTC"),
                client_id=client_id,
                reduce_only=params.get("reduceOnly", "false") == "true",
            )
        except Rejected as error:
            return {"sendStatus": {**status, "status": refusal(error)}}
        events = _events(order, account.desk_of(market).fills_of_order(order))
        return {"sendStatus": {**status, "status": "placed", "order_id": order_id(order), "orderEvents": events}}

    def _cancel(self, account: Account, params: Params) -> dict[str, Any]:
        client_id = params.get("cliOrdId")
        order = account.find(client_id=client_id) if client_id else account.find(number_of(params.get("order_id", "")))
        status = {"receivedTime": stamp(self._clock_ms())}
        if order is None:
            return {"cancelStatus": {**status, "status": "notFound"}}
        try:
            account.desk_of(order.market).cancel(order)
        except Rejected:
            ended = "filled" if order.status == "FILLED" else "notFound"
            return {"cancelStatus": {**status, "status": ended, "order_id": order_id(order)}}
        return {"cancelStatus": {**status, "status": "cancelled", "order_id": order_id(order)}}

    def _cancel_all(self, account: Account, params: Params) -> dict[str, Any]:
        market = self._markets.get(params.get("symbol", "").upper())
        gone = account.desks["futures"].cancel_all(market)
        status = "cancelled" if gone else "noOrdersToCancel"
        rows = [{"order_id": order_id(order)} for order in gone]
        told = {"receivedTime": stamp(self._clock_ms()), "cancelOnly": params.get("symbol", "all")}
        return {"cancelStatus": {**told, "status": status, "cancelledOrders": rows, "orderEvents": []}}

    def _switch(self, account: Account, params: Params) -> dict[str, Any]:
        text, now_ms = params.get("timeout", ""), self._clock_ms()
        if not (text.isascii() and text.isdigit() and len(text) < 6):
            raise KrakenFuturesRestError("invalidArgument: timeout")
        if not int(text):
            self._switches.pop(account.name, None)
            return {"status": {"currentTime": stamp(now_ms), "triggerTime": "0"}}
        self._switches[account.name] = self._clock() + int(text)
        return {"status": {"currentTime": stamp(now_ms), "triggerTime": stamp(now_ms + int(text) * 1000)}}


def flex_account(account: Account) -> dict[str, Any]:
    """The multi-collateral account by REST."""
    wallet = account.futures
    unrealised = wallet.total_unrealised()
    margin = sum((wallet.initial_margin(p) for p in wallet.open_positions()), Decimal(0))
    currencies = {}
    for asset in wallet.cash.assets():
        total = wallet.cash.total(asset)
        free = wallet.cash.usable(asset)
        figures = {"quantity": total, "value": total, "collateral": total, "available": free}
        currencies[asset_name(asset)] = {name: number(value) for name, value in figures.items()}
    sums = {
        "initialMargin": margin,
        "initialMarginWithOrders": wallet.used(),
        "maintenanceMargin": sum((wallet.maintenance_margin(p) for p in wallet.open_positions()), Decimal(0)),
        "balanceValue": wallet.balance,
        "portfolioValue": wallet.balance + unrealised,
        "collateralValue": wallet.balance,
        "pnl": unrealised,
        "unrealizedFunding": Decimal(0),
        "totalUnrealized": unrealised,
        "totalUnrealizedAsMargin": unrealised,
        "marginEquity": wallet.balance + unrealised,
        "availableMargin": wallet.available(),
    }
    return {
        "type": "multiCollateralMarginAccount",
        "currencies": currencies,
        **{name: number(value) for name, value in sums.items()},
    }


def _price(order: OwnOrder) -> msgspec.Raw | None:
    return None if order.price is None else msgspec.Raw(order.market.price_text(order.price).encode())


def order_row(order: OwnOrder) -> dict[str, Any]:
    """An entry of openorders."""
    market = order.market
    row: dict[str, Any] = {
        "order_id": order_id(order),
        "symbol": market.instrument.native,
        "side": "buy" if order.buy else "sell",
        "orderType": "lmt",
        "limitPrice": _price(order),
        "unfilledSize": msgspec.Raw(market.size_text(order.left).encode()),
        "receivedTime": stamp(order.created_ms),
        "status": "partiallyFilled" if order.filled else "untouched",
        "filledSize": msgspec.Raw(market.size_text(order.filled).encode()),
        "reduceOnly": order.reduce_only,
        "lastUpdateTime": stamp(order.updated_ms),
    }
    return {**row, "cliOrdId": order.client_id} if order.client_id else row


def _events(order: OwnOrder, fills: list[OwnFill]) -> list[dict[str, Any]]:
    """What became of an order at once: its executions, and what of it rests."""
    events: list[dict[str, Any]] = []
    filled = Decimal(0)
    for fill in fills:
        event = {"type": "EXECUTION", "executionId": fill_id(fill), "price": number(fill.price)}
        prior = {**_event_row(order), "filled": number(filled)}
        nothing = {"orderPriorEdit": None, "takerReducedQuantity": None}
        events.append({**event, "amount": number(fill.size), "orderPriorExecution": prior, **nothing})
        filled += fill.size
    if order.status in ("NEW", "PARTIALLY_FILLED"):
        row = {**_event_row(order), "filled": number(filled)}
        events.append({"type": "PLACE", "order": row, "reducedQuantity": None})
    return events


def _event_row(order: OwnOrder) -> dict[str, Any]:
    return {
        "orderId": order_id(order),
        "cliOrdId": order.client_id or None,
        "type": "lmt",
        "symbol": order.market.instrument.native,
        "side": "buy" if order.buy else "sell",
        "quantity": msgspec.Raw(order.market.size_text(order.size).encode()),
        "filled": 0,
        "limitPrice": _price(order),
        "reduceOnly": order.reduce_only,
        "timestamp": stamp(order.created_ms),
        "lastUpdateTimestamp": stamp(order.created_ms),
    }


def fill_row(fill: OwnFill) -> dict[str, Any]:
    """An entry of fills."""
    return {
        "fill_id": fill_id(fill),
        "symbol": fill.order.market.instrument.native,
        "side": "buy" if fill.order.buy else "sell",
        "order_id": order_id(fill.order),
        "fillTime": stamp(fill.ms),
        "size": number(fill.size),
        "price": number(fill.price),
        "fillType": "maker" if fill.maker else "taker",
        "fee_paid": number(fill.fee),
        "fee_currency": fill.fee_asset,
    }


def _decimal(params: Params, name: str) -> Decimal:
    try:
        value = Decimal(params.get(name, ""))
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        raise KrakenFuturesRestError(f"invalidArgument: {name}")
    return value
