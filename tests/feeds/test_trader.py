"""Orders placed and cancelled at the simulated Binance over real sockets: never two of one click."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import msgspec
import pytest
import structlog

from feeds.account import AccountSpec, Credentials
from feeds.account_domain import Order
from feeds.accounts import REGISTRY
from feeds.domain import Market, StreamState
from feeds.errors import CredentialsError, ExchangeError, RateLimited, TransportError
from feeds.exchange import MarketIndex, Request
from feeds.exchanges import create
from feeds.following import trader as module
from feeds.following.journal import Journal
from feeds.following.signed_rest import SignedRest
from feeds.following.trader import Trader
from feeds.rest import RestClient, rest_bases
from feeds.simulator import endpoints
from feeds.simulator.desk import Desk
from feeds.simulator.faults import Fault
from feeds.simulator.keys import READ_KEY, READ_SECRET, TEST_KEY, TEST_SECRET
from feeds.simulator.market import LiveMarket
from feeds.tickets import Refused, Ticket, Wish, check
from feeds.trading import TradingApi
from tests.feeds.account_store import MemoryStore, StoreHandle
from tests.feeds.peer import no_task_left, until  # noqa: F401  # a fixture for every test here
from tests.feeds.simulator_help import Client, simulator

SPEC = AccountSpec(
    id=1,
    exchange="binance",
    label="Main",
    credentials=Credentials(TEST_KEY, TEST_SECRET),
    products=("spot", "usdm"),
    trading=True,
)


class Tickets:
    """A ticket store in memory, which outlives its trader."""

    def __init__(self) -> None:
        self.rows: dict[str, Ticket] = {}

    async def put_ticket(self, account: int, ticket: Ticket) -> None:
        self.rows[ticket.key] = ticket

    async def ticket(self, account: int, key: str) -> Ticket | None:
        return self.rows.get(key)

    async def open_tickets(self, account: int) -> list[Ticket]:
        return [ticket for ticket in self.rows.values() if ticket.state in ("sent", "unsure")]

    async def ordered(self, account: int) -> list[tuple[str, str, str]]:
        return [(ticket.client_id, ticket.wish.symbol, ticket.order_id) for ticket in self.rows.values()]

    async def stored_order(self, account: int, symbol: str, order_id: str) -> Order | None:
        rows = [ticket for ticket in self.rows.values() if (ticket.wish.symbol, ticket.order_id) == (symbol, order_id)]
        return order_of(rows[0]) if rows else None


class Bench:
    """A trader at the simulated exchange, and what that exchange says."""

    def __init__(self, client: Client, trader: Trader, tickets: Tickets, store: MemoryStore, markets: Any) -> None:
        self.client = client
        self.trader = trader
        self.tickets = tickets
        self.store = store
        self.markets = markets
        self.state = StreamState.LIVE

    def desk(self, product: str = "spot") -> Desk:
        return self.client.server.accounts["binance"].by_name["test"].desks[product]

    def market(self, product: str = "spot") -> LiveMarket:
        return self.client.server.market.of("binance", product)["BTCUSDT"]

    def wish(self, product: str = "spot", **more: Any) -> Wish:
        """A purchase far below the market, which rests."""
        market = self.market(product)
        price = (int(market.mid()) * 7 // 10) * market.instrument.tick
        symbol = "BTC/USDT" if product == "spot" else "BTC/USDT:USDT"
        return Wish(**{"symbol": symbol, "side": "buy", "size": Decimal("0.01"), "price": price, **more})

    async def fault(self, **more: Any) -> None:
        await self.client.post("/__sim/faults", {"exchange": "binance", **more})

    def placed(self, product: str = "spot") -> list[str]:
        """Client ids of all orders that the exchange ever had."""
        return [order.client_id for order in self.desk(product).history()]


@asynccontextmanager
async def trading(
    client: Client, tickets: Tickets | None = None, *, slow: bool = False, **spec: Any
) -> AsyncIterator[Bench]:
    adapter = create("binance", endpoints("127.0.0.1", client.server.port)["binance"])
    rest = RestClient("binance", rest_bases(adapter.endpoints), adapter.budgets(), adapter.error_of, timeout_s=2.0)
    markets = MarketIndex()
    for request in adapter.markets_requests():
        markets.update(adapter.parse_markets(request, (await rest.send(request)).raw))
    settings = msgspec.structs.replace(SPEC, **spec)
    api = REGISTRY["binance"](settings, markets, adapter.endpoints)
    signed = SignedRest("binance", api, rest)
    await signed.measure_all(api.clocks())
    store, tickets = MemoryStore(), tickets or Tickets()

    async def notify(account: int, kind: str) -> None:
        """Nobody looks."""

    journal = Journal(1, StoreHandle(store), notify)
    journal.start()
    made: list[Bench] = []
    trader = Trader(
        settings,
        api,
        signed,
        journal,
        markets,
        tickets,
        state=lambda: made[0].state,
        on_orders=lambda: None,
        delays=lambda: iter(lambda: 60.0 if slow else 0.05, None),
    )
    made.append(Bench(client, trader, tickets, store, markets))
    try:
        yield made[0]
    finally:
        await trader.stop()
        await journal.stop()
        await rest.close()


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with simulator() as client:
        yield client


@pytest.fixture
async def bench(client: Client) -> AsyncIterator[Bench]:
    async with trading(client) as bench:
        yield bench


@pytest.fixture
def soon_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not there half a second later does not come any more."""
    monkeypatch.setattr(module, "LATE_S", 0.5)


# -- placing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("product", ["spot", "usdm"])
@pytest.mark.parametrize(
    "more",
    [{}, {"post_only": True}, {"side": "sell", "price": None}, {"time_in_force": "IOC"}],
    ids=["limit", "post-only", "market", "ioc"],
)
async def test_an_order_is_placed_as_it_was_wished(bench: Bench, product: str, more: dict[str, Any]) -> None:
    wish = bench.wish(product, **more)
    ticket = await bench.trader.place("k1", wish)
    [order] = bench.desk(product).history()
    i = order.market.instrument
    assert (ticket.state, ticket.order_id, ticket.client_id) == ("placed", str(order.id), order.client_id)
    assert (order.buy, order.size * i.lot) == (wish.side == "buy", wish.size)
    assert order.price is None if wish.price is None else order.price * i.tick == wish.price
    assert order.post_only is wish.post_only
    assert order.time_in_force in ((wish.time_in_force,) if not wish.post_only else ("GTX", "GTC"))
    await until(lambda: (wish.symbol, ticket.order_id) in bench.store.orders)


async def test_the_same_click_twice_is_one_order(bench: Bench) -> None:
    wish = bench.wish()
    first, second = await asyncio.gather(bench.trader.place("k1", wish), bench.trader.place("k1", wish))
    third = await bench.trader.place("k1", wish)
    assert first == second == third
    assert bench.placed() == [first.client_id]
    with pytest.raises(Refused, match="with other figures"):
        await bench.trader.place("k1", bench.wish(size=Decimal("0.02")))
    other = await bench.trader.place("k2", wish)
    assert bench.placed() == [first.client_id, other.client_id]


async def test_a_lost_answer_is_asked_for(bench: Bench) -> None:
    await bench.fault(kind="unanswered", count=1)
    ticket = await bench.trader.place("k1", bench.wish())
    assert ticket.state == "placed"
    assert bench.placed() == [ticket.client_id]


async def test_a_lost_request_is_absent_and_may_be_sent_again(bench: Bench, soon_absent: None) -> None:
    await bench.fault(kind="unanswered", value="before", count=1)
    wish = bench.wish()
    ticket = await bench.trader.place("k1", wish)
    assert (ticket.state, bench.placed()) == ("absent", [])
    assert ticket.sentence == "The exchange does not have this order: it was not placed."
    again = await bench.trader.place("k1", wish)
    assert (again.state, again.client_id, bench.placed()) == ("placed", ticket.client_id, [ticket.client_id])


@pytest.mark.parametrize("arrives", [True, False])
async def test_a_worker_that_dies_finds_out_at_its_next_start(
    client: Client, soon_absent: None, monkeypatch: pytest.MonkeyPatch, arrives: bool
) -> None:
    monkeypatch.setattr(module, "LATER_S", 0.1)
    tickets = Tickets()
    async with trading(client, tickets, slow=True) as bench:
        await bench.fault(kind="unanswered", count=1, value="after" if arrives else "before")
        bench.trader.start()
        working = asyncio.create_task(bench.trader.place("k1", bench.wish()))
        await until(
            lambda: len(bench.placed()) == arrives and "k1" in tickets.rows and not client.server.faults.active()
        )
    assert working.cancelled() or working.exception() is not None
    assert tickets.rows["k1"].state == "sent"
    async with trading(client, tickets) as bench:
        bench.trader.start()
        await until(lambda: tickets.rows["k1"].state != "sent")
        assert (tickets.rows["k1"].state, len(bench.placed())) == ("placed" if arrives else "absent", arrives)


class Line:
    """What the trader sends goes through here. ``sends``: what happens to the next orders, one after the other."""

    def __init__(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []  # methods of what was sent about single orders
        self.sends: list[Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]] = []
        self.finds: list[Exception] = []
        ask = bench.trader._rest.ask

        async def through(request: Request, **more: Any) -> Any:
            if request.path != "/api/v3/order":
                return await ask(request, **more)
            self.asked.append(request.method)
            if request.method == "POST" and self.sends:
                return await self.sends.pop(0)(lambda: ask(request, **more))
            if request.method == "GET" and self.finds:
                raise self.finds.pop(0)
            return await ask(request, **more)

        monkeypatch.setattr(bench.trader._rest, "ask", through)


@pytest.fixture
def line(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Line:
    return Line(bench, monkeypatch)


async def test_a_late_order_is_not_denied(bench: Bench, line: Line, soon_absent: None) -> None:
    """The connection ends slowly, the order still arrives: absent counts from the end of our sending, not from when
    the ticket was written or the trader began."""
    late: list[asyncio.Task[Any]] = []
    await asyncio.sleep(module.LATE_S)  # the trader has been there for so long

    async def slowly(send: Callable[[], Awaitable[Any]]) -> Any:
        async def arrives() -> None:
            await asyncio.sleep(module.LATE_S * 0.6)
            await send()

        await asyncio.sleep(module.LATE_S * 1.2)
        late.append(asyncio.create_task(arrives()))
        raise TransportError("the connection ended without an answer")

    line.sends.append(slowly)
    ticket = await bench.trader.place("k1", bench.wish())
    await asyncio.gather(*late)
    assert (ticket.state, bench.placed()) == ("placed", [ticket.client_id])


async def test_what_is_ordered_here_is_known_before_it_is_sent(bench: Bench, line: Line) -> None:
    """So that an order which is streamed and filled before its placing was answered is nobody else's."""
    own, seen = bench.trader._own, []
    await bench.trader._load_own()

    async def streamed(send: Callable[[], Awaitable[Any]]) -> Any:
        [ticket] = bench.tickets.rows.values()
        seen.extend([own.has("BTC/USDT", "7", None), own.has("ETH/USDT", "7", None)])
        seen.append(own.has("BTC/USDT", "8", ticket.client_id))
        return await send()

    line.sends.append(streamed)
    ticket = await bench.trader.place("k1", bench.wish())
    assert seen == [None, False, True]
    assert own.has("BTC/USDT", ticket.order_id, None) and own.has("BTC/USDT", "7", None) is False
    async with trading(bench.client, bench.tickets) as other:  # another life
        assert other.trader._own.has("BTC/USDT", ticket.order_id, None) is None
        await other.trader._load_own()
        assert other.trader._own.has("BTC/USDT", ticket.order_id, None)


async def lost(send: Callable[[], Awaitable[Any]]) -> Any:
    raise TransportError("the connection ended without an answer")


async def test_an_absent_order_is_looked_for_before_it_is_sent_again(
    bench: Bench, line: Line, soon_absent: None
) -> None:
    """Binance's client ids are unique among open orders alone: what came too late and was filled would come twice."""
    market, wish = bench.market(), bench.wish(side="sell", size=Decimal("0.01"), price=None)
    line.sends.append(lost)
    ticket = await bench.trader.place("k1", wish)
    assert ticket.state == "absent"
    bench.desk().place(market, buy=False, size=1000, type="MARKET", client_id=ticket.client_id)  # arrived after all
    line.asked.clear()
    again = await bench.trader.place("k1", wish)
    assert (again.state, bench.placed(), line.asked) == ("placed", [ticket.client_id], ["GET"])


async def test_an_absent_order_is_not_sent_again_where_nobody_can_say(
    bench: Bench, line: Line, soon_absent: None
) -> None:
    line.sends.append(lost)
    wish = bench.wish()
    assert (await bench.trader.place("k1", wish)).state == "absent"
    for error, said in ((TransportError("no answer"), "is not certain"), (CredentialsError("no key", -2015), "no key")):
        line.finds.append(error)
        line.asked.clear()
        with pytest.raises(Refused, match=said):
            await bench.trader.place("k1", wish)
        assert (line.asked, bench.placed()) == (["GET"], [])
    assert (await bench.trader.place("k1", wish)).state == "placed"


async def test_a_resend_that_is_refused_is_looked_for(bench: Bench, line: Line, soon_absent: None) -> None:
    """The first one arrives between the look and the second: the exchange refuses the second as a duplicate."""
    line.sends.append(lost)
    wish = bench.wish()
    ticket = await bench.trader.place("k1", wish)
    assert ticket.state == "absent"

    async def twice(send: Callable[[], Awaitable[Any]]) -> Any:
        await send()
        return await send()

    line.sends.append(twice)
    again = await bench.trader.place("k1", wish)
    assert (again.state, bench.placed()) == ("placed", [ticket.client_id])

    async def refused(send: Callable[[], Awaitable[Any]]) -> Any:
        raise ExchangeError("Account has insufficient balance.", -2010)

    line.sends += [lost, refused]
    assert (await bench.trader.place("k2", wish)).state == "absent"
    other = await bench.trader.place("k2", wish)
    assert (other.state, len(bench.placed())) == ("refused", 1) and "insufficient" in other.sentence


async def test_refused_credentials_leave_the_outcome_open(bench: Bench, line: Line) -> None:
    """The order was sent and not answered; then the key is refused: nobody can tell."""

    async def unanswered(send: Callable[[], Awaitable[Any]]) -> Any:
        await send()
        raise TransportError("the connection ended without an answer")

    line.sends.append(unanswered)
    line.finds.append(CredentialsError(f"Invalid API-key {TEST_SECRET}, IP, or permissions", -2015))
    wish = bench.wish()
    ticket = await bench.trader.place("k1", wish)
    assert (ticket.state, len(bench.placed())) == ("unsure", 1)
    assert ticket.sentence.startswith("Whether the order stands is not known: Invalid API-key")
    assert ticket.sentence.endswith("Look before you order again.") and TEST_SECRET not in ticket.sentence
    assert (await bench.trader.place("k1", wish)).state == "placed"  # with the key put right
    assert len(bench.placed()) == 1


async def test_nobody_knows(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ASK_S", 0.3)
    desk, faults = bench.desk(), bench.client.server.faults
    desk.listeners.append(lambda event: faults.add(Fault(exchange="binance", kind="status")))  # from the order on
    await bench.fault(kind="unanswered", count=1)
    wish = bench.wish()
    ticket = await bench.trader.place("k1", wish)
    assert (ticket.state, len(bench.placed())) == ("unsure", 1)
    assert "not known" in ticket.sentence
    desk.listeners.clear()
    faults.clear()
    again = await bench.trader.place("k1", wish)
    assert (again.state, bench.placed()) == ("placed", [ticket.client_id])


async def test_refusals_are_in_the_exchanges_words(bench: Bench) -> None:
    ticket = await bench.trader.place("k1", bench.wish(size=Decimal("90")))
    assert ticket.state == "refused"
    assert "insufficient balance" in ticket.sentence
    assert TEST_SECRET not in ticket.sentence
    assert bench.placed() == []


async def test_a_key_that_may_only_read(client: Client) -> None:
    async with trading(client, credentials=Credentials(READ_KEY, READ_SECRET)) as bench:
        ticket = await bench.trader.place("k1", bench.wish())
        assert ticket.state == "refused"
        assert "permissions" in ticket.sentence


async def test_not_sent_where_it_must_not_be(client: Client) -> None:
    async with trading(client, trading=False) as bench:
        with pytest.raises(Refused, match="Trading is switched off"):
            await bench.trader.place("k1", bench.wish())
    async with trading(client) as bench:
        bench.state = StreamState.STALE
        with pytest.raises(Refused, match="The account is STALE"):
            await bench.trader.place("k1", bench.wish())
        assert (bench.placed(), bench.tickets.rows) == ([], {})


# -- cancelling ------------------------------------------------------------------------------------------------------


def order_of(ticket: Ticket) -> Order:
    wish = ticket.wish
    return Order(
        product="spot",
        symbol=wish.symbol,
        id=ticket.order_id,
        side=wish.side,
        type="limit",
        size=wish.size,
        filled=Decimal(0),
        status="open",
        updated_ms=0,
    )


async def test_one_is_cancelled_also_on_a_stale_account(bench: Bench) -> None:
    ticket = await bench.trader.place("k1", bench.wish())
    kept = await bench.trader.place("k2", bench.wish())
    bench.state = StreamState.STALE
    await bench.trader.cancel("BTC/USDT", ticket.order_id)
    assert [order.client_id for order in bench.desk().open_orders()] == [kept.client_id]
    with pytest.raises(Refused, match="Unknown order sent"):
        await bench.trader.cancel("BTC/USDT", ticket.order_id)
    with pytest.raises(Refused, match="There is no order 7 in BTC/USDT"):
        await bench.trader.cancel("BTC/USDT", "7")
    await bench.fault(kind="status", for_s=600.0)
    with pytest.raises((TransportError, Refused)):
        await bench.trader.cancel("BTC/USDT", kept.order_id)


async def test_all_are_cancelled(bench: Bench) -> None:
    for number, product in enumerate(["spot", "usdm", "spot"]):
        await bench.trader.place(f"k{number}", bench.wish(product))
    assert await bench.trader.cancel_all() == 3
    assert not bench.desk().open_orders() and not bench.desk("usdm").open_orders()
    assert await bench.trader.cancel_all() == 0


async def test_who_wants_out_waits_for_the_exchange(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that is one too many is no reason to leave orders open."""
    ask, refused = bench.trader._rest.ask, set[str]()
    ticket = await bench.trader.place("k1", bench.wish())
    await bench.trader.place("k2", bench.wish())

    async def through(request: Request, **more: Any) -> Any:
        if request.path not in refused:
            refused.add(request.path)
            raise RateLimited(f"{request}: HTTP 429, wait 0.1 s", 0.1)
        return await ask(request, **more)

    monkeypatch.setattr(bench.trader._rest, "ask", through)
    await bench.trader.cancel("BTC/USDT", ticket.order_id)
    refused.clear()
    assert await bench.trader.cancel_all() == 1
    assert not bench.desk().open_orders()
    assert {"/api/v3/openOrders", "/fapi/v1/openOrders"} <= refused


async def test_orders_go_at_a_stop_if_so_wished(client: Client) -> None:
    async with trading(client, cancel_on_stop=True) as bench:
        bench.trader.start()
        await bench.trader.place("k1", bench.wish())
        await bench.trader.stop()
        assert bench.desk().open_orders() == []
    async with trading(client) as bench:
        bench.trader.start()
        await bench.trader.place("k2", bench.wish())
        await bench.trader.stop()
        assert len(bench.desk().open_orders()) == 1
    async with trading(client, cancel_on_stop=True) as bench:
        await bench.trader.stop()  # before it began
        assert bench.desk().open_orders() == []


@pytest.mark.parametrize(
    ("then", "stays"),
    [({}, True), ({"label": "Renamed"}, True), ({"cancel_on_stop": False}, True), ({"trading": False}, False)],
)
async def test_settings_leave_orders_alone(client: Client, then: dict[str, Any], stays: bool) -> None:
    async with trading(client, cancel_on_stop=True) as bench:
        bench.trader.start()
        await bench.trader.place("k1", bench.wish())
        await bench.trader.stop(msgspec.structs.replace(SPEC, **{"cancel_on_stop": True, **then}))
        assert bool(bench.desk().open_orders()) is stays


@pytest.mark.parametrize("begun", [True, False])
async def test_an_account_that_does_not_go_on_after_all(client: Client, begun: bool) -> None:
    """It was ended to go on with these settings, and then removed; also where it had not begun yet."""
    async with trading(client, cancel_on_stop=True) as bench:
        await bench.trader.place("k1", bench.wish())
        if begun:
            bench.trader.start()
        goes_on = msgspec.structs.replace(SPEC, cancel_on_stop=True)
        await bench.trader.stop(msgspec.structs.replace(goes_on, cancel_on_stop=False))
        await bench.trader.stop()  # as was wished last
        await bench.trader.stop(goes_on)
        assert len(bench.desk().open_orders()) == 1
        bench.trader.start()
        await bench.trader.stop(goes_on)
        first, second = bench.trader.stop(), bench.trader.stop()
        await asyncio.gather(first, second)
        assert bench.desk().open_orders() == []


async def test_a_list_of_nothing_named_is_not_trusted(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    async with trading(client, cancel_on_stop=True) as bench:
        monkeypatch.setattr(bench.trader._api, "ready", lambda: False)
        with structlog.testing.capture_logs() as logs:
            await bench.trader.stop()
        assert "orders not cancelled at stop" in [each["event"] for each in logs]


# -- the market's rules ----------------------------------------------------------------------------------------------

MARKET = Market(
    exchange="binance",
    symbol="BTC/USDT",
    native="BTCUSDT",
    product="spot",
    base="BTC",
    quote="USDT",
    tick=Decimal("0.01"),
    lot=Decimal("0.001"),
    min_size=Decimal("0.002"),
    min_notional=Decimal("5"),
)


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ({"size": "0"}, "The size must be above zero, not 0."),
        ({"size": "NaN"}, "The size must be above zero, not NaN."),
        ({"size": "0.0025"}, "The size 0.0025 is no multiple of 0.001, the smallest step in BTC/USDT."),
        ({"size": "0.001"}, "The size 0.001 is below 0.002, the smallest order in BTC/USDT."),
        ({"price": "-1"}, "The price must be above zero, not -1."),
        ({"price": "60000.005"}, "The price 60000.005 is no multiple of 0.01, the tick of BTC/USDT."),
        ({"price": "100.00"}, "The notional 1.0000 is below 5, the least in BTC/USDT."),
        ({"price": None, "post_only": True}, "A market order always takes: it cannot be post-only."),
        ({"post_only": True, "time_in_force": "IOC"}, "A post-only order rests: it cannot be IOC."),
        ({"reduce_only": True}, "Reduce-only is for positions; BTC/USDT has none."),
    ],
)
def test_the_markets_rules(wish: dict[str, Any], sentence: str) -> None:
    given = {"size": "0.01", "price": "60000.00", **wish}
    numbers = {name: Decimal(given[name]) if given[name] else None for name in ("size", "price")}
    with pytest.raises(Refused) as caught:
        check(Wish(symbol="BTC/USDT", side="buy", **{**given, **numbers}), MARKET)
    assert str(caught.value) == caught.value.sentence == sentence


def test_a_market_that_is_closed_or_unknown() -> None:
    wish = Wish(symbol="BTC/USDT", side="buy", size=Decimal("0.01"))
    check(wish, MARKET)
    with pytest.raises(Refused, match="lists no market BTC/USDT"):
        check(wish, None)
    with pytest.raises(Refused, match="does not trade at the moment: the exchange says 'halt'"):
        check(wish, msgspec.structs.replace(MARKET, status="halt"))


UNTOLD = {
    "binance": -1007,
    "bybit": 10000,
    "coinbase": "UNKNOWN_FAILURE_REASON",
    "kraken": "EGeneral:Internal error",
    "krakenfutures": "placed",
    "lmex": -1,
    "okx": "50004",
}
"""By exchange: the code that says that it does not know itself what has become of an order. Alpaca has none: such
trouble is no answer of its own there, but HTTP 5xx."""


@pytest.mark.parametrize("exchange", sorted(REGISTRY))
def test_every_exchange_that_trades_says_what_its_errors_leave_open(exchange: str) -> None:
    told_by = create(exchange).endpoints
    api = REGISTRY[exchange](msgspec.structs.replace(SPEC, exchange=exchange), MarketIndex(), told_by)
    assert isinstance(api, TradingApi)
    assert api.leaves_open(ExchangeError("unknown", UNTOLD.get(exchange))) is (exchange in UNTOLD)
    assert not api.leaves_open(ExchangeError("refused", "1"))
    assert api.new_client_id() != api.new_client_id()
