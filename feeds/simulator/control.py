"""The simulator's own controls, ``/__sim/...``: for tests and measurements, on loopback only.

==========================  ==========================================================================================
``GET  /__sim/truth``       ``?account=demo``: balances, positions, orders and all fills, as the exchange knows them
``POST /__sim/fills``       ``{"account", "product", "symbol", "count", "per_s"}``: exactly so many executions; answers
                            at once, ``"wait": true``: when they are done
``POST /__sim/faults``      see ``faults.py``; ``GET`` tells those in force, ``DELETE`` ends them
``POST /__sim/pause``       ``{"bot": true}`` stops the demo trader, false lets it go on
``POST /__sim/transfer``    ``{"account", "product", "asset", "amount"}``: a deposit, or a withdrawal if negative
``POST /__sim/funding``     ``{"account"}``: settles funding now
``POST /__sim/keys``        ``{"key", "secret", "account", "trade", "withdraw"}``: another API key
``GET  /__sim/book``        ``?exchange=binance&product=spot&symbol=BTCUSDT&depth=25``: the true book and its update id
==========================  ==========================================================================================

``/__sim/fill`` and ``/__sim/fault`` are the same as their plurals.
"""

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from feeds.simulator.accounts import Account, Accounts, Desk
from feeds.simulator.bot import DemoTrader
from feeds.simulator.faults import ACTIONS, Fault, Faults
from feeds.simulator.keys import ApiKey
from feeds.simulator.market import LiveMarket, World
from feeds.simulator.orders import OwnFill, OwnOrder, Rejected
from feeds.simulator.place import SimulatedExchange

_BEAT_S = 0.01
Body = TypeVar("Body", bound=msgspec.Struct)


class FillsRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """``symbol`` is native. At most a few thousand a second can be had."""

    account: str = "demo"
    product: str = "spot"
    symbol: str = "BTCUSDT"
    count: int
    per_s: float = 100.0
    wait: bool = False


class PauseRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    bot: bool


class TransferRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    account: str = "test"
    product: str = "spot"
    asset: str = "USDT"
    amount: Decimal


class AccountRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    account: str = "test"


class KeyRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    key: str
    secret: str
    account: str = "test"
    trade: bool = True
    withdraw: bool = False


class Control:
    def __init__(
        self,
        world: World,
        accounts: Accounts,
        trader: DemoTrader,
        faults: Faults,
        exchanges: Mapping[str, SimulatedExchange],
    ) -> None:
        self._world = world
        self._accounts = accounts
        self._trader = trader
        self._faults = faults
        self._exchanges = exchanges
        self._jobs: set[asyncio.Task[int]] = set()

    def routes(self) -> list[web.RouteDef]:
        routes = [
            web.get("/__sim/truth", self._truth),
            web.get("/__sim/book", self._book),
            web.post("/__sim/pause", self._pause),
            web.post("/__sim/transfer", self._transfer),
            web.post("/__sim/funding", self._funding),
            web.post("/__sim/keys", self._add_key),
        ]
        for name in ("faults", "fault"):
            routes += [
                web.post(f"/__sim/{name}", self._add_fault),
                web.get(f"/__sim/{name}", self._list_faults),
                web.delete(f"/__sim/{name}", self._clear_faults),
            ]
        return [*routes, web.post("/__sim/fills", self._fills), web.post("/__sim/fill", self._fills)]

    async def stop(self) -> None:
        """End running fill jobs; may be called twice."""
        jobs = list(self._jobs)
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)

    # -- truth ---------------------------------------------------------------------------------------------------

    async def _truth(self, request: web.Request) -> web.Response:
        account = self._account(request.query.get("account", "demo"))
        return web.json_response(truth(account) | {"fills_to_come": len(self._jobs)})

    async def _book(self, request: web.Request) -> web.Response:
        query = request.query
        key = (query.get("exchange", "binance"), query.get("product", "spot"), query.get("symbol", ""))
        market = self._world.markets.get(key)
        if market is None:
            raise web.HTTPNotFound(text=f"no market {key}")
        depth, engine = int(query.get("depth", "25")), market.engine
        sides = {"bids": engine.bids.top(depth), "asks": engine.asks.top(depth)}
        rows = {n: [[market.price_text(p), market.size_text(s)] for p, s in levels] for n, levels in sides.items()}
        return web.json_response({"update_id": engine.update_id, **rows})

    # -- fills ---------------------------------------------------------------------------------------------------

    async def _fills(self, request: web.Request) -> web.Response:
        wanted = await _body(request, FillsRequest)
        market = self._world.markets.get(("binance", wanted.product, wanted.symbol))
        if market is None or wanted.count < 0 or wanted.per_s <= 0:
            raise web.HTTPBadRequest(text=f"no such market, or wrong count or rate: {wanted}")
        desk = self._account(wanted.account).desks[wanted.product]
        job = asyncio.create_task(self._produce(desk, market, wanted.count, wanted.per_s))
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)
        done = await asyncio.shield(job) if wanted.wait else 0
        return web.json_response({"count": wanted.count, "done": done})

    async def _produce(self, desk: Desk, market: LiveMarket, count: int, per_s: float) -> int:
        loop = asyncio.get_running_loop()
        begin_s, done = loop.time(), 0
        while done < count:
            due = min(count, int((loop.time() - begin_s) * per_s) + 1)
            for _ in range(due - done):
                execute_once(desk, market, buy=done % 2 == 0)
                done += 1
            await asyncio.sleep(_BEAT_S)
        return done

    # -- faults and the rest -------------------------------------------------------------------------------------

    async def _add_fault(self, request: web.Request) -> web.Response:
        fault = await _body(request, Fault)
        if fault.exchange not in self._exchanges:
            raise web.HTTPBadRequest(text=f"no exchange {fault.exchange!r}; there are {', '.join(self._exchanges)}")
        if fault.kind in ACTIONS:
            self._act(fault)
        else:
            self._faults.add(fault)
        return await self._list_faults(request)

    async def _list_faults(self, request: web.Request) -> web.Response:
        return web.json_response({"faults": msgspec.to_builtins(self._faults.active())})

    async def _clear_faults(self, request: web.Request) -> web.Response:
        self._faults.clear()
        return await self._list_faults(request)

    def _act(self, fault: Fault) -> None:
        exchange = self._exchanges[fault.exchange]
        if fault.kind == "cut":
            for socket in exchange.open_sockets():
                socket.abort()
        elif fault.kind == "close":
            for socket in exchange.open_sockets():
                socket.close(int(fault.number(1001)), "simulated")
        else:
            exchange.act(fault)

    def _account(self, name: str) -> Account:
        if name not in self._accounts.by_name:
            raise web.HTTPNotFound(text=f"no account {name!r}; there are {', '.join(self._accounts.by_name)}")
        return self._accounts.by_name[name]

    async def _pause(self, request: web.Request) -> web.Response:
        self._trader.paused = (await _body(request, PauseRequest)).bot
        return web.json_response({"paused": self._trader.paused})

    async def _transfer(self, request: web.Request) -> web.Response:
        wanted = await _body(request, TransferRequest)
        try:
            self._account(wanted.account).desks[wanted.product].transfer(wanted.asset, wanted.amount)
        except (Rejected, KeyError) as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        return web.json_response({})

    async def _funding(self, request: web.Request) -> web.Response:
        self._account((await _body(request, AccountRequest)).account).desks["usdm"].pay_funding()
        return web.json_response({})

    async def _add_key(self, request: web.Request) -> web.Response:
        wanted = await _body(request, KeyRequest)
        self._account(wanted.account)
        self._accounts.keys[wanted.key] = ApiKey(**msgspec.structs.asdict(wanted))
        return web.json_response({})


async def _body(request: web.Request, kind: type[Body]) -> Body:
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except msgspec.DecodeError as error:
        raise web.HTTPBadRequest(text=str(error)) from error


def execute_once(desk: Desk, market: LiveMarket, *, buy: bool) -> None:
    """Exactly one execution of the desk's account: a tiny order that takes from the first order of the other side.

    Own orders that stand there are cancelled first, as nobody trades with himself.
    """
    side = market.engine.asks if buy else market.engine.bids
    while (best := side.best()) is not None:
        own = [order for order in desk.open_orders(market) if order.buy != buy and order.price == best]
        for order in own:
            desk.cancel(order)
        if own:
            continue
        first = next(iter(side.queues[best].values()))
        least = max(1, int(market.instrument.min_size / market.instrument.lot))
        desk.place(market, buy=buy, size=min(first.left, least), price=best, time_in_force="IOC")
        return
    raise RuntimeError(f"{market.instrument.symbol}: nothing to trade with")


def truth(account: Account) -> dict[str, Any]:
    """Everything about an account; money as decimal text, symbols unified."""
    spot, futures = account.spot, account.futures
    return {
        "account": account.name,
        "balances": {
            "spot": {
                asset: {
                    "free": f"{spot.free.get(asset, Decimal(0)):f}",
                    "locked": f"{spot.locked.get(asset, Decimal(0)):f}",
                    "deposited": f"{spot.deposited.get(asset, Decimal(0)):f}",
                }
                for asset in spot.assets()
            },
            "usdm": {
                "USDT": {
                    "total": f"{futures.balance:f}",
                    "deposited": f"{futures.deposited:f}",
                    "funding": f"{futures.funding:f}",
                }
            },
        },
        "positions": [
            {
                "symbol": position.market.instrument.symbol,
                "size": f"{position.amount:f}",
                "entry": f"{position.entry:f}",
                "cost": f"{position.cost:f}",
                "realised": f"{position.realised:f}",
            }
            for position in futures.open_positions()
        ],
        "orders": [_order(order) for desk in account.desks.values() for order in desk.open_orders()],
        "fills": [_fill(fill) for desk in account.desks.values() for fill in desk.fills],
    }


def _order(order: OwnOrder) -> dict[str, Any]:
    i = order.market.instrument
    return {
        "product": i.product,
        "symbol": i.symbol,
        "id": str(order.id),
        "client_id": order.client_id,
        "side": order.side.lower(),
        "price": f"{(order.price or 0) * i.tick:f}",
        "size": f"{order.size * i.lot:f}",
        "filled": f"{order.filled * i.lot:f}",
        "status": order.status,
    }


def _fill(fill: OwnFill) -> dict[str, Any]:
    i = fill.order.market.instrument
    return {
        "product": i.product,
        "symbol": i.symbol,
        "native": i.native,
        "id": str(fill.id),
        "order_id": str(fill.order.id),
        "side": fill.order.side.lower(),
        "price": f"{fill.price:f}",
        "size": f"{fill.size:f}",
        "fee": f"{fill.fee:f}",
        "fee_asset": fill.fee_asset,
        "maker": fill.maker,
        "realised": None if fill.realised is None else f"{fill.realised:f}",
        "exchange_ms": fill.ms,
    }
