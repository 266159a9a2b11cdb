"""A Kraken account followed over real sockets: our REST client, our connections, the simulated Kraken on loopback."""

import asyncio
from decimal import Decimal

import msgspec
import pytest
import pytest_asyncio

from feeds.domain import StreamState
from feeds.following.trader import Trader
from feeds.simulator.kraken.terms import READ, WITHDRAW, order_id
from feeds.tickets import Wish
from feeds.trading import NewOrder
from tests.feeds.kraken_account import followed
from tests.feeds.peer import no_task_left, until  # noqa: F401 - a fixture
from tests.feeds.simulator_help import simulator
from tests.feeds.test_trader import Tickets


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
        await shared.fills(10, symbol="DOGE/USD")
        await until(lambda: len(shared.store.rows) >= 50)
        await shared.must_agree()
        assert {row["source"] for row in shared.store.rows} == {"stream"}
        assert {row["fee_asset"] for row in shared.store.rows} == {"USD"}

    async def test_orders_as_they_are_placed_filled_and_cancelled(self, shared):
        desk = shared.account.desks["spot"]
        market = shared.client.server.market.markets["kraken", "spot", "BTC/USD"]
        order = desk.place(market, buy=True, size=200_000, price=market.top.bid - 5000, client_id="far-1")
        await until(lambda: order_id(order) in shared.open_orders())
        stored = shared.store.orders["BTC/USD", order_id(order)]
        assert (stored.client_id, stored.size, stored.side) == ("far-1", Decimal("0.002"), "buy")
        assert stored.price == order.price * market.instrument.tick
        held = order.size * order.price * market.instrument.tick * market.instrument.lot * Decimal("1.004")
        await until(lambda: shared.store.balances["spot", "USD"].locked == held)  # only REST tells
        desk.cancel(order)
        await until(lambda: shared.store.orders["BTC/USD", order_id(order)].status == "canceled")
        filled = [order for order in shared.store.orders.values() if order.status == "filled"]
        assert filled and all(order.filled == order.size and order.average for order in filled)

    async def test_cut_while_fills_come(self, shared):
        working = asyncio.create_task(shared.fills(120, per_s=80))
        for kind in ("cut", "close"):
            await asyncio.sleep(0.5)
            await shared.fault(kind)
        await working
        await shared.must_agree()
        await shared.live()

    async def test_an_expired_token_is_got_anew(self, shared):
        """The token is good for nothing when it comes to be used: refused, and the next attempt has its own."""
        [stream] = shared.follower.streams
        admit, given = shared.client.server.exchanges["kraken"]._gatekeeper, []
        key_of = admit.key_of

        def late_once(token):
            given.append(token)
            return None if len(given) == 1 else key_of(token)

        admit.key_of = late_once
        try:
            await shared.fault("cut")
            await until(lambda: len(set(given)) >= 2)
        finally:
            admit.key_of = key_of
        await shared.live()
        assert stream.state in (StreamState.LIVE, StreamState.QUIET)
        await shared.fills(2)
        await shared.must_agree()

    async def test_a_lost_message_is_noticed(self, shared):
        """One execution is swallowed; the next has a number too many."""
        before = len(shared.store.rows)
        await shared.fault("mute", value="private", for_s=0.3)
        await shared.fills(3)
        await asyncio.sleep(0.35)
        await shared.fills(3)
        await until(lambda: len(shared.store.rows) >= before + 6)
        await shared.must_agree()
        await shared.live()

    async def test_rest_is_away_and_comes_back(self, shared):
        await shared.fault("status", value=503)
        await until(lambda: shared.follower.state is StreamState.STALE, within_s=10)
        await shared.fills(5)
        await shared.heal()
        await shared.live(within_s=20)
        await shared.must_agree()

    async def test_a_deposit_shows(self, shared):
        body = {"exchange": "kraken", "account": "test", "product": "spot", "asset": "USD", "amount": "123.45"}
        await shared.client.post("/__sim/transfer", body)
        await shared.must_agree()

    async def test_trading(self, shared):
        """Placed, found, cancelled; unknown; all at once; the switch."""
        rest, api = shared.follower.rest, shared.api
        market = shared.client.server.market.markets["kraken", "spot", "BTC/USD"]
        price = (market.top.bid - 5000) * market.instrument.tick
        new = NewOrder(
            symbol="BTC/USD",
            side="buy",
            size=Decimal("0.001"),
            price=price,
            client_id=api.new_client_id(),
            post_only=True,
        )
        order = api.parse_placed(new, (await rest.ask(api.place_request(new))).raw, 1)
        found = api.parse_found(
            "BTC/USD", new.client_id, (await rest.ask(api.find_request("BTC/USD", new.client_id))).raw
        )
        assert (found.id, found.price, found.size, found.status) == (order.id, price, new.size, "open")
        await until(lambda: order.id in shared.open_orders())
        api.parse_cancelled(order, (await rest.ask(api.cancel_request(order))).raw)
        closed = (await rest.ask(api.find_closed_request("BTC/USD", new.client_id))).raw
        assert api.parse_found("BTC/USD", new.client_id, closed).status == "canceled"
        assert api.parse_found("BTC/USD", "nobody", closed) is None
        with pytest.raises(Exception, match="Unknown order") as refused:
            await rest.ask(api.cancel_request(order))
        assert api.unknown_order(refused.value)
        market_order = NewOrder(
            symbol="BTC/USD", side="sell", size=Decimal("0.0002"), price=None, client_id=api.new_client_id()
        )
        api.parse_placed(market_order, (await rest.ask(api.place_request(market_order))).raw, 1)
        for request in api.cancel_all_requests(("BTC/USD",)):
            api.parse_cancelled_all(request, (await rest.ask(request)).raw)
        [switch] = api.dead_man_requests(1, ("BTC/USD",))
        again = NewOrder(symbol="BTC/USD", side="buy", size=new.size, price=price, client_id=api.new_client_id())
        last = api.parse_placed(again, (await rest.ask(api.place_request(again))).raw, 1)
        await until(lambda: last.id in shared.open_orders())
        await rest.ask(switch)
        await until(lambda: last.id not in shared.open_orders(), within_s=5)
        await shared.must_agree()

    @pytest.mark.parametrize("arrives", [True, False])
    async def test_an_order_without_an_answer_is_looked_for_in_both_lists(self, shared, monkeypatch, arrives):
        """It was filled at once: the open orders do not have it, the closed ones do."""
        monkeypatch.setattr("feeds.following.trader.LATE_S", 0.5)
        rest, journal, tickets = shared.follower.rest, shared.follower.journal, Tickets()
        spec = msgspec.structs.replace(shared.follower.spec, trading=True)
        trader = Trader(
            spec,
            shared.api,
            rest,
            journal,
            shared.api._markets,
            tickets,
            state=lambda: StreamState.LIVE,
            on_orders=lambda: None,
            delays=lambda: iter(lambda: 0.05, None),
        )
        before = len(shared.account.history())
        await shared.fault("unanswered", symbol="AddOrder", value="after" if arrives else "before", count=1)
        wish = Wish(symbol="BTC/USD", side="sell", size=Decimal("0.0003"), price=None)
        try:
            ticket = await trader.place("one", wish)
        finally:
            await trader.stop()
        assert (ticket.state, len(shared.account.history()) - before) == ("placed" if arrives else "absent", arrives)
        if arrives:
            assert ticket.order_id == order_id(shared.account.history()[-1])
            assert shared.account.history()[-1].client_id == ticket.client_id
        await shared.must_agree()

    async def test_the_transfers_that_opened_the_account(self, shared):
        told = {}
        for page in shared.api.transfers_requests(0):
            while page is not None:
                raw = (await shared.follower.rest.ask(page)).raw
                for transfer in shared.api.parse_transfers(page, raw):
                    told.setdefault(transfer.asset, Decimal(0))
                    told[transfer.asset] += transfer.amount
                page = shared.api.next_page(page, raw)
        assert told == {asset: amount for asset, amount in shared.account.spot.deposited.items() if amount}


async def test_what_happened_before_is_read_page_by_page():
    async with simulator(weights={"kraken": 1000}) as client:
        body = {"exchange": "kraken", "account": "test", "product": "spot", "symbol": "BTC/USD", "count": 303}
        await client.post("/__sim/fills", body | {"per_s": 1e6, "wait": True})
        async with followed(client=client) as account:
            await account.live()
            await account.must_agree()
            assert {row["source"] for row in account.store.rows} == {"rest"}


async def test_the_documented_limits_are_kept():
    """The key's counter as the smallest tier has it, at both ends: nobody is told to wait, and it becomes LIVE."""
    async with simulator() as client, followed(client=client, limits=None, poll_s=5.0) as account:
        await account.live()
        await account.fills(3)
        await account.must_agree()
        assert account.rest.usage()["account"]["failures"] == 0


async def test_a_key_that_may_only_read_is_enough():
    async with followed(READ) as account:
        await account.live()


async def test_a_key_that_may_withdraw_and_a_wrong_secret_are_refused():
    async with followed(WITHDRAW) as account:
        await until(lambda: account.follower.state is StreamState.DOWN)
        assert "withdraw-funds" in account.follower.sentence
        assert not account.client.server.exchanges["kraken"].open_sockets()
        async with followed(client=account.client, secret="bm90IHRoaXM=") as wrong:
            await until(lambda: wrong.follower.state is StreamState.DOWN)
            assert "EAPI:Invalid signature" in wrong.follower.sentence
        async with followed(client=account.client, secret="no base64!") as wrong:
            await until(lambda: wrong.follower.state is StreamState.DOWN)
            assert "not base64" in wrong.follower.sentence
