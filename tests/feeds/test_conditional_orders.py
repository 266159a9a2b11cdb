"""Binance's conditional orders, a list apart from the others: ccxt places them, we see, cancel and follow them."""

from decimal import Decimal

import ccxt.async_support as ccxt
import pytest

from tests.feeds.peer import no_task_left, until  # noqa: F401 - a fixture
from tests.feeds.test_hedge_mode import PERP, PLACES, world

D = Decimal


async def test_stops_stand_among_the_open_orders() -> None:
    async with world(PLACES[0]) as at:
        algo = at.client.server.exchanges["binance"]._futures.algo
        tick = at.market.instrument.tick
        below, above = ((int(at.market.mid()) * share // 10) * tick for share in (7, 13))
        assert (await at.order("buy", "0.03")).state == "placed"
        stop = await at.peer.create_order(PERP, "market", "sell", 0.02, None, {"triggerPrice": float(below)})
        entry = {"triggerPrice": float(above), "timeInForce": "GTC"}
        other = await at.peer.create_order(PERP, "limit", "buy", 0.01, float(above), entry)
        with pytest.raises(ccxt.ExchangeError, match="would immediately trigger"):
            await at.peer.create_order(PERP, "market", "buy", 0.01, None, {"triggerPrice": float(below)})

        await until(lambda: len(at.open_orders()) == 2, what="both among the open orders, by stream")
        shown = {order.id: (order.type, order.side, order.price, order.size) for order in at.open_orders()}
        assert shown == {
            f"algo-{stop['id']}": ("stop_market", "sell", None, D("0.02")),
            f"algo-{other['id']}": ("stop", "buy", above, D("0.01")),
        }
        polled = at.follower.polls._pollers["orders", "usdm"]
        asked_s = polled.answered_s
        at.follower.polls.orders_again()
        await until(lambda: polled.answered_s != asked_s, what="the list of open orders")
        assert len(at.open_orders()) == 2  # REST lists them, too

        # The price comes: it becomes an order that fills.
        algo.price_of = lambda market: below - 1
        await until(lambda: at.held() == {"both": D("0.01")}, what="the stop's order")
        await at.must_hold(both="0.01")
        await until(lambda: [order.id for order in at.open_orders()] == [f"algo-{other['id']}"], what="one left")
        sent = next(order for order in at.desk.history() if not order.buy)
        assert at.store.orders[PERP, str(sent.id)].status == "filled"

        # Cancelling all takes these as well.
        assert await at.trader.cancel_all() == 1
        assert algo.rows(at.account, None) == []
        await until(lambda: not at.open_orders(), what="none open")
