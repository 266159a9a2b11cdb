"""The dead man's switch: what is set is renewed whatever else fails, and put off by who goes."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest
import structlog

from feeds.account import Credentials
from feeds.accounts import REGISTRY
from feeds.clock import SYSTEM
from feeds.errors import TransportError
from feeds.exchange import MarketIndex, Request
from feeds.exchanges import create
from feeds.following import dead_man as module
from feeds.following import trader as trader_module
from feeds.following.upkeep import Upkeep
from feeds.tickets import Ticket
from tests.feeds.peer import no_task_left, until  # noqa: F401  # a fixture for every test here
from tests.feeds.simulator_help import Client, simulator
from tests.feeds.test_trader import SPEC, Bench, Tickets, trading

ETH = "ETH/USDT:USDT"
MUTE_S = 3.0


@pytest.fixture(autouse=True)
def soon_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OFF_S", 0.3)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with simulator() as client:
        yield client


class Switches:
    """What was asked of the futures' dead man's switches, in order, and what else was asked. ``stuck``: paths that are
    not answered, or with them a market's name."""

    def __init__(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        self.told: list[tuple[str, int]] = []
        self.asked: list[str] = []
        self.stuck: set[str] = set()
        self._due_ms = bench.client.server.exchanges["binance"]._futures.switches._due_ms
        ask = bench.trader._rest.ask

        async def through(request: Request, **more: Any) -> Any:
            params = dict(request.params)
            self.asked.append(request.path)
            if self.stuck & {request.path, f"{request.path} {params.get('symbol')}"}:
                await asyncio.sleep(MUTE_S)
                raise TransportError("no answer")
            if request.path == "/fapi/v1/countdownCancelAll":
                self.told.append((params["symbol"], int(params["countdownTime"])))
            return await ask(request, **more)

        monkeypatch.setattr(bench.trader._rest, "ask", through)

    @property
    def active(self) -> int:
        """So many are set at the exchange."""
        return len(self._due_ms)

    async def renewed(self, times: int = 2) -> set[str]:
        """The markets, when it was renewed so often from now on."""
        self.told.clear()
        await until(lambda: len(self.told) >= times, what="renewed")
        return {symbol for symbol, _ in self.told}


def eth(bench: Bench) -> Any:
    market = bench.client.server.market.of("binance", "usdm")["ETHUSDT"]
    price = (int(market.mid()) * 7 // 10) * market.instrument.tick
    return bench.wish("usdm", symbol=ETH, price=price, size=Decimal("0.1"))


def own(bench: Bench, client_id: str = "by-hand") -> None:
    """An order of the account that was placed elsewhere."""
    market = bench.market("usdm")
    bench.desk("usdm").place(market, buy=True, size=10, price=int(market.mid()) * 7 // 10, client_id=client_id)


@pytest.mark.parametrize(
    ("then", "off"),
    [
        (None, ["BTCUSDT", "ETHUSDT"]),
        ({"dead_man_s": 60}, []),
        ({"dead_man_s": 0}, ["BTCUSDT", "ETHUSDT"]),
        ({"dead_man_s": 60, "trading": False}, ["BTCUSDT", "ETHUSDT"]),
    ],
    ids=["stop", "goes on", "switched off", "trades no more"],
)
async def test_switches_are_armed_renewed_and_put_off(
    client: Client, monkeypatch: pytest.MonkeyPatch, then: dict[str, Any] | None, off: list[str]
) -> None:
    monkeypatch.setattr(module, "ROUNDS", 600)
    async with trading(client, dead_man_s=60) as bench:
        switches = Switches(bench, monkeypatch)
        bench.trader.start()
        await bench.trader.place("k1", bench.wish("usdm"))
        await until(lambda: ("BTCUSDT", 60_000) in switches.told, what="armed")
        assert {symbol for symbol, _ in switches.told} == {"BTCUSDT"}  # only where orders are open
        await bench.trader.place("k2", eth(bench))
        await until(lambda: ("ETHUSDT", 60_000) in switches.told, what="armed, too")
        assert await bench.trader.cancel_all() == 2
        assert await switches.renewed() == {"BTCUSDT", "ETHUSDT"}
        assert {ms for _, ms in switches.told} == {60_000}
        switches.told.clear()
        await bench.trader.stop(None if then is None else msgspec.structs.replace(SPEC, **then))
        assert sorted(symbol for symbol, ms in switches.told if ms == 0) == off
        assert switches.active == 2 - len(off)


async def test_the_exchange_cancels_when_it_hears_no_more(client: Client) -> None:
    async with trading(client, dead_man_s=1) as bench:
        ticket = await bench.trader.place("k1", bench.wish("usdm"))
        bench.trader.start()
        due_ms = client.server.exchanges["binance"]._futures.switches._due_ms
        await until(lambda: bool(due_ms), what="the switch")
        await asyncio.sleep(1.5)  # longer than the switch waits: it is held meanwhile
        assert [order.client_id for order in bench.desk("usdm").open_orders()] == [ticket.client_id]
        assert bench.trader._dead_man is not None
        await bench.trader._dead_man.stop()  # as if killed: nobody says goodbye
        await until(lambda: not bench.desk("usdm").open_orders(), what="the exchange's own cancelling")


@pytest.mark.parametrize("trouble", ["spot asks to wait", "spot is mute", "an order is looked for", "another market"])
async def test_a_living_worker_loses_no_order(client: Client, monkeypatch: pytest.MonkeyPatch, trouble: str) -> None:
    """Whatever else fails or waits, the switch is renewed in time."""
    tickets = Tickets()
    async with trading(client, tickets, dead_man_s=1) as bench:
        switches = Switches(bench, monkeypatch)
        if trouble == "spot asks to wait":
            await bench.fault(kind="status", product="spot", value=429, retry_s=60, for_s=600.0)
        elif trouble == "spot is mute":
            switches.stuck.add("/api/v3/openOrders")
        elif trouble == "an order is looked for":
            switches.stuck.add("/api/v3/order")
            lost = Ticket(key="k0", wish=bench.wish(), client_id="sb-lost", state="unsure", sent_ns=0)
            tickets.rows["k0"] = lost
        elif trouble == "another market":
            switches.stuck.add("/fapi/v1/countdownCancelAll ETHUSDT")
        bench.trader.start()
        ticket = await bench.trader.place("k1", bench.wish("usdm"))
        await bench.trader.place("k2", eth(bench))
        await until(lambda: switches.active > 0, what="the switch")
        await asyncio.sleep(2.0)  # twice as long as the exchange waits
        open_ids = [order.client_id for order in bench.desk("usdm").open_orders()]
        assert ticket.client_id in open_ids
        await bench.trader.stop()
        assert {("BTCUSDT", 0)} <= set(switches.told)
        assert not {symbol for symbol in switches._due_ms if "BTCUSDT" in str(symbol)}


async def test_what_was_placed_elsewhere_is_found(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the lists, each by itself; a market that is listed no more does not keep the others from being renewed."""
    monkeypatch.setattr(module, "ROUNDS", 600)
    monkeypatch.setattr(module, "LIST_S", 0.05)
    async with trading(client, dead_man_s=60) as bench:
        switches = Switches(bench, monkeypatch)
        switches.stuck.add("/api/v3/openOrders")
        own(bench)
        bench.trader.start()
        assert await switches.renewed() == {"BTCUSDT"}
        assert bench.trader._dead_man is not None
        bench.trader._dead_man.arm("GONE/USDT:USDT")
        assert await switches.renewed() == {"BTCUSDT"}


@pytest.mark.parametrize("begun", [True, False])
async def test_a_former_workers_switch_is_put_off(client: Client, monkeypatch: pytest.MonkeyPatch, begun: bool) -> None:
    async with trading(client, dead_man_s=60) as bench:
        own(bench)
        bench.trader.start()
        due_ms = client.server.exchanges["binance"]._futures.switches._due_ms
        await until(lambda: bool(due_ms), what="the switch")
        assert bench.trader._dead_man is not None and bench.trader._task is not None
        bench.trader._task.cancel()
        await bench.trader._dead_man.stop()
        bench.trader._task = None  # as if killed
    async with trading(client, dead_man_s=60) as bench:
        switches = Switches(bench, monkeypatch)
        if begun:
            bench.trader.start()
        await bench.trader.stop()  # before it had listed anything
        assert (switches.told, switches.active) == ([("BTCUSDT", 0)], 0)


@pytest.mark.parametrize("cancels", [True, False])
async def test_who_cancels_at_a_stop_puts_it_off_only_then(
    client: Client, monkeypatch: pytest.MonkeyPatch, cancels: bool
) -> None:
    """Orders that could not be cancelled are left to the exchange's switch."""
    async with trading(client, dead_man_s=60, cancel_on_stop=True) as bench:
        switches = Switches(bench, monkeypatch)
        bench.trader.start()
        await bench.trader.place("k1", bench.wish("usdm"))
        await until(lambda: switches.active == 1, what="armed")
        if not cancels:
            monkeypatch.setattr(trader_module, "LONGEST_WAIT_S", 0.0)
            await bench.fault(kind="status", product="spot", value=503, for_s=600.0)
        await bench.trader.stop()
        assert (len(bench.desk("usdm").open_orders()), switches.active) == ((0, 0) if cancels else (1, 1))


async def test_one_switch_of_a_whole_account_is_renewed_without_any_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kraken's key has few points: a renewal takes one of them, and nothing else is asked for it."""
    monkeypatch.setattr(module, "ROUNDS", 600)
    asked: list[Request] = []

    class Rest:
        async def ask(self, request: Request, **more: Any) -> None:
            asked.append(request)

    adapter = create("kraken")
    spec = msgspec.structs.replace(
        SPEC, exchange="kraken", products=("spot",), credentials=Credentials("k", "c2VjcmV0")
    )
    api: Any = REGISTRY["kraken"](spec, MarketIndex(), adapter.endpoints)
    log = structlog.get_logger()
    dead_man = module.DeadMan(60, api, api, Rest(), Upkeep(log, str), log=log, clock=SYSTEM)
    dead_man.start()
    dead_man.arm("BTC/USD")
    await until(lambda: len(asked) == 3, what="renewed")
    await dead_man.stop()
    await dead_man.put_off()
    assert {request.path for request in asked} == {"/0/private/CancelAllOrdersAfter"}
    assert [dict(request.params)["timeout"] for request in asked] == [*["60"] * (len(asked) - 1), "0"]
