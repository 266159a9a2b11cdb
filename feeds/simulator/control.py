"""The simulator's own controls, ``/__sim/...``: for tests and measurements, on loopback only.

==========================  ==========================================================================================
``GET  /__sim/truth``       ``?exchange=binance&account=demo``: balances, positions, orders and all fills
``POST /__sim/fills``       ``{"exchange", "account", "product", "symbol", "count", "per_s"}``: exactly so many
                            executions; answers at once, ``"wait": true``: when they are done
``POST /__sim/faults``      see ``faults.py``; ``GET`` tells those in force, ``DELETE`` ends them
``POST /__sim/pause``       ``{"bot": true}`` stops the demo traders, false lets them go on
``POST /__sim/transfer``    ``{"exchange", "account", "product", "asset", "amount"}``: a deposit; negative: a
                            withdrawal; with ``"name"`` what the exchange's ledger calls so (a dividend, a rebate)
``POST /__sim/funding``     ``{"exchange", "account"}``: settles funding now
``POST /__sim/keys``        ``{"exchange", "key", "secret", "passphrase", "account", "trade", "withdraw"}``: another
                            API key
``GET  /__sim/book``        ``?exchange=binance&product=spot&symbol=BTCUSDT&depth=25``: the true book and its update id
==========================  ==========================================================================================

Without ``exchange`` Binance is meant. ``/__sim/fill`` and ``/__sim/fault`` are the same as their plurals.
"""

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import TypeVar

import msgspec
from aiohttp import web

from feeds.simulator.accounts import Account, Accounts
from feeds.simulator.bot import DemoTrader
from feeds.simulator.desk import Desk
from feeds.simulator.faults import ACTIONS, Fault, Faults
from feeds.simulator.keys import ApiKey
from feeds.simulator.market import LiveMarket, World
from feeds.simulator.orders import Rejected
from feeds.simulator.place import SimulatedExchange
from feeds.simulator.truth import truth

_BEAT_S = 0.01
Body = TypeVar("Body", bound=msgspec.Struct)


class FillsRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """``symbol`` is native. At most a few thousand a second can be had."""

    exchange: str = "binance"
    account: str = "demo"
    product: str = "spot"
    symbol: str = "BTCUSDT"
    count: int
    per_s: float = 100.0
    wait: bool = False


class PauseRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    bot: bool


class TransferRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    exchange: str = "binance"
    account: str = "test"
    product: str = "spot"
    asset: str = "USDT"
    amount: Decimal
    name: str = ""


class AccountRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    exchange: str = "binance"
    account: str = "test"


class KeyRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    exchange: str = "binance"
    key: str
    secret: str
    passphrase: str = ""
    account: str = "test"
    trade: bool = True
    withdraw: bool = False


class Control:
    def __init__(
        self,
        world: World,
        accounts: Mapping[str, Accounts],
        traders: Mapping[str, DemoTrader],
        faults: Faults,
        exchanges: Mapping[str, SimulatedExchange],
    ) -> None:
        self._world = world
        self._accounts = accounts
        self._traders = traders
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
        query = request.query
        account = self._account(query.get("exchange", "binance"), query.get("account", "demo"))
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
        market = self._world.markets.get((wanted.exchange, wanted.product, wanted.symbol))
        if market is None or wanted.count < 0 or wanted.per_s <= 0:
            raise web.HTTPBadRequest(text=f"no such market, or wrong count or rate: {wanted}")
        desk = self._desk(wanted.exchange, wanted.account, wanted.product)
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

    def _accounts_of(self, exchange: str) -> Accounts:
        if (kept := self._accounts.get(exchange)) is None or not kept.by_name:
            serving = ", ".join(name for name, each in self._accounts.items() if each.by_name)
            raise web.HTTPNotFound(text=f"{exchange!r} serves no accounts here; these do: {serving or 'none'}")
        return kept

    def _account(self, exchange: str, name: str) -> Account:
        by_name = self._accounts_of(exchange).by_name
        if name not in by_name:
            raise web.HTTPNotFound(text=f"no account {name!r} at {exchange}; there are {', '.join(by_name)}")
        return by_name[name]

    def _desk(self, exchange: str, account: str, product: str) -> Desk:
        desks = self._account(exchange, account).desks
        if product not in desks:
            raise web.HTTPBadRequest(text=f"no product {product!r} at {exchange}; there are {', '.join(desks)}")
        return desks[product]

    async def _pause(self, request: web.Request) -> web.Response:
        wanted = await _body(request, PauseRequest)
        for trader in self._traders.values():
            trader.paused = wanted.bot
        return web.json_response({"paused": wanted.bot})

    async def _transfer(self, request: web.Request) -> web.Response:
        wanted = await _body(request, TransferRequest)
        try:
            desk = self._desk(wanted.exchange, wanted.account, wanted.product)
            desk.transfer(wanted.asset, wanted.amount, wanted.name)
        except Rejected as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        return web.json_response({})

    async def _funding(self, request: web.Request) -> web.Response:
        wanted = await _body(request, AccountRequest)
        for desk in self._account(wanted.exchange, wanted.account).desks.values():
            desk.pay_funding()
        return web.json_response({})

    async def _add_key(self, request: web.Request) -> web.Response:
        wanted = await _body(request, KeyRequest)
        self._account(wanted.exchange, wanted.account)
        fields = msgspec.structs.asdict(wanted)
        del fields["exchange"]
        self._accounts_of(wanted.exchange).keys[wanted.key] = ApiKey(**fields)
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
