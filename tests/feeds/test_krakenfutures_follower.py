"""A Kraken Futures account followed over real sockets: our REST client, our connections, the simulated exchange."""

import asyncio
from decimal import Decimal

import pytest
import pytest_asyncio

from feeds.domain import StreamState
from feeds.errors import ExchangeError
from feeds.simulator.krakenfutures.terms import READ, order_id
from feeds.trading import NewOrder
from tests.feeds.krakenfutures_account import FEW, followed
from tests.feeds.peer import no_task_left, until  # noqa: F401 - a fixture
from tests.feeds.simulator_help import simulator

SYMBOL = "BTC/USD:USD"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def shared():
    """One follower for the tests that leave it as it was."""
    async with followed() as account:
        await account.live()
        yield account


@pytest.mark.asyncio(loop_scope="module")
class TestOne:
    async def test_every_figure_is_the_exchanges(self, shared):
        await shared.fills(40)
        await until(lambda: len(shared.store.rows) >= 40)
        await shared.must_agree()
        assert {row["source"] for row in shared.store.rows} == {"stream"}
        held = shared.account.futures.open_positions()
        assert shared.follower.position_symbols() == {p.market.instrument.symbol for p in held}

    async def test_a_position_as_it_is_opened_and_closed(self, shared):
        desk, market = (
            shared.account.desks["futures"],
            shared.client.server.market.markets["krakenfutures", "futures", "PF_ETHUSD"],
        )
        desk.place(market, buy=False, size=500, type="MARKET")
        symbol = market.instrument.symbol

        def told():
            return shared.store.positions.get((symbol, "both"))

        await until(lambda: told() and told().size == Decimal("-0.5"))
        await until(lambda: told().liquidation and told().margin and told().mark)
        position = shared.account.futures.position(market)
        assert told().entry == position.entry
        assert (told().margin_mode, told().leverage, told().settle) == ("cross", None, "USD")
        desk.place(market, buy=True, size=500, type="MARKET", reduce_only=True)
        await until(lambda: not told().size)
        await shared.must_agree()

    async def test_orders_as_they_are_placed_filled_and_cancelled(self, shared):
        desk = shared.account.desks["futures"]
        market = shared.client.server.market.markets["krakenfutures", "futures", "PF_XBTUSD"]
        order = desk.place(market, buy=True, size=10, price=market.top.bid - 900, client_id="far-1")
        await until(lambda: order_id(order) in shared.open_orders())
        stored = shared.store.orders[SYMBOL, order_id(order)]
        assert (stored.client_id, stored.size, stored.side, stored.filled) == ("far-1", Decimal("0.001"), "buy", 0)
        desk.cancel(order)
        await until(lambda: shared.store.orders[SYMBOL, order_id(order)].status == "canceled")
        taking = desk.place(market, buy=True, size=10, price=market.top.ask + 50)
        await until(lambda: (SYMBOL, order_id(taking)) in shared.store.orders)
        await until(lambda: shared.store.orders[SYMBOL, order_id(taking)].status == "filled")
        assert shared.store.orders[SYMBOL, order_id(taking)].filled == Decimal("0.001")

    async def test_cut_while_fills_come(self, shared):
        working = asyncio.create_task(shared.fills(120, per_s=80))
        for kind in ("cut", "close"):
            await asyncio.sleep(0.5)
            await shared.fault(kind)
        await working
        await shared.must_agree()
        await shared.live()

    async def test_a_refused_login_is_tried_again(self, shared):
        await shared.fault("reject", count=1)
        await shared.fault("cut")
        await until(lambda: shared.follower.state is not StreamState.LIVE)
        await shared.live()

    async def test_a_mute_stream_is_replaced(self, shared, monkeypatch):
        """What it does not tell, REST does."""
        monkeypatch.setattr("feeds.following.private_stream.MUTE_S", 1.0)
        [stream] = shared.follower.streams
        before = stream.connection.reconnects
        await shared.fault("mute", value="private")
        await asyncio.sleep(1.5)  # a fill within the first second may have been on its way when it began
        await shared.fills(3)
        await shared.heal()
        shared.follower._history.read_again("futures")
        await until(lambda: stream.connection.reconnects > before, within_s=12)
        await shared.must_agree()
        await shared.live()

    async def test_rest_is_away_and_comes_back(self, shared):
        await shared.fault("status", value=503)
        await until(lambda: shared.follower.state is StreamState.STALE, within_s=10)
        await shared.fills(5)
        await shared.heal()
        await shared.live(within_s=20)
        await shared.must_agree()

    async def test_funding_and_deposits_show(self, shared):
        await shared.client.post("/__sim/funding", {"exchange": "krakenfutures", "account": "test"})
        body = {"exchange": "krakenfutures", "account": "test", "product": "futures", "asset": "USD", "amount": "12.5"}
        await shared.client.post("/__sim/transfer", body)
        await shared.must_agree()

    async def test_trading(self, shared):
        """Placed, found, cancelled; refused; all at once; the switch."""
        rest, api = shared.follower.rest, shared.api
        market = shared.client.server.market.markets["krakenfutures", "futures", "PF_XBTUSD"]
        price = (market.top.bid - 900) * market.instrument.tick
        size = Decimal("0.001")

        def new(**more):
            usual = {"symbol": SYMBOL, "side": "buy", "size": size, "price": price, "client_id": api.new_client_id()}
            return NewOrder(**usual | more)

        async def place(order):
            return api.parse_placed(order, (await rest.ask(api.place_request(order))).raw, 1)

        wanted = new(post_only=True)
        order = await place(wanted)
        found = api.parse_found(
            SYMBOL, wanted.client_id, (await rest.ask(api.find_request(SYMBOL, wanted.client_id))).raw
        )
        assert (found.id, found.price, found.size, found.status) == (order.id, price, size, "open")
        with pytest.raises(ExchangeError, match="postWouldExecute"):
            await place(new(post_only=True, price=price * 2))
        with pytest.raises(ExchangeError, match="invalidSize"):
            await place(new(size=Decimal("0.00001")))
        api.parse_cancelled(order, (await rest.ask(api.cancel_request(order))).raw)
        with pytest.raises(ExchangeError) as gone:
            api.parse_cancelled(order, (await rest.ask(api.cancel_request(order))).raw)
        assert api.unknown_order(gone.value)
        await place(new(price=None))
        for request in api.cancel_all_requests((SYMBOL,)):
            api.parse_cancelled_all(request, (await rest.ask(request)).raw)
        last = await place(new())
        await until(lambda: last.id in shared.open_orders())
        [switch] = api.dead_man_requests(1, (SYMBOL,))
        await rest.ask(switch)
        await until(lambda: last.id not in shared.open_orders(), within_s=5)
        await shared.must_agree()


async def test_what_happened_before_is_read_page_by_page():
    async with simulator(instruments=FEW) as client:
        body = {"exchange": "krakenfutures", "account": "test", "product": "futures", "symbol": "PF_XBTUSD"}
        for _ in range(4):  # more than a hundred in one millisecond could not be told
            await client.post("/__sim/fills", body | {"count": 80, "per_s": 1e6, "wait": True})
            await asyncio.sleep(0.1)
        async with followed(client=client) as account:
            await account.live()
            await account.must_agree()
            assert "rest" in {row["source"] for row in account.store.rows}
        async with followed(READ, client=client) as reader:
            await reader.live()
        async with followed(client=client, secret="bm90IHRoaXM=") as wrong:
            await until(lambda: wrong.follower.state is StreamState.DOWN)
            assert "authenticationError" in wrong.follower.sentence
