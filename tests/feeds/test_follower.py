"""An account followed through an ordinary life: start, fills, reconnects, lost logins, clocks, in virtual time.

The exchange of these tests knows what is true, and the store has to say the same.
"""

import asyncio
from decimal import Decimal
from unittest.mock import patch

from feeds.domain import StreamState
from feeds.exchange import MarketIndex
from tests.feeds.account_world import World, scenario
from tests.feeds.binance_examples import MARKETS


class TestStart:
    @scenario
    async def test_everything_before_is_read(self, world: World):
        for number in range(25):
            world.exchange.trade("BTC/USDT", "0.1", str(100 + number))
        world.exchange.trade("ADA/USDT:USDT", "-7")
        with patch("feeds.accounts.binance.api.PAGE", 10):
            await world.begin()
            await world.live()
        assert world.agrees()
        assert [row["source"] for row in world.store.rows] == ["rest"] * 26
        assert {"fills", "balances", "positions", "orders"} <= set(world.told)
        assert world.store.balances["usdm", "USDT"].free == world.exchange.wallet - 1
        [position] = world.store.positions.values()
        assert (position.leverage, position.margin_mode, position.liquidation) == (Decimal(20), "cross", Decimal(50))
        assert world.follower.position_symbols() == {"ADA/USDT:USDT"}
        await world.follower.stop()

    @scenario
    async def test_the_streams_stand_before_anything_is_read(self, world: World):
        world.make()
        asked = world.rest.sent
        await world.follower.start()
        await world.until(lambda: world.exchange.listeners["spot"] and world.exchange.listeners["usdm"])
        read = {"/api/v3/account", "/fapi/v3/balance", "/fapi/v3/positionRisk", "/api/v3/myTrades"}
        assert not read & {request.path for request in asked}
        await world.live()
        assert {"/api/v3/account", "/fapi/v3/balance", "/fapi/v3/positionRisk"} <= {r.path for r in asked}
        await world.follower.stop()

    @scenario
    async def test_what_cannot_connect_is_polled_all_the_same(self, world: World):
        world.exchange.trade("BTC/USDT", "1")
        await world.begin()
        world.connection("spot").connects = False
        await asyncio.sleep(15)
        assert world.agrees()
        assert world.follower.state is StreamState.CONNECTING
        assert world.follower.sentence.startswith("The private spot stream is DOWN")
        await world.follower.stop()

    @scenario
    async def test_markets_are_found_by_what_is_held_and_by_what_is_named(self, world: World):
        world.exchange.trade("BTC/USDC", "1")  # BTC is held
        world.exchange.trade("LTC/BTC", "1")
        world.exchange.trade("LTC/BTC", "-1")  # gone without a trace, but named
        world.symbols = ("LTC/BTC",)
        async with world.following():
            assert world.store.fills == world.exchange.true_fills()

    @scenario
    async def test_a_named_market_that_does_not_exist_is_told_and_harms_nothing(self, world: World):
        world.symbols = ("NO/SUCH",)
        async with world.following() as follower:
            assert follower.sentence == "The fill history of NO/SUCH cannot be read: Binance lists no market NO/SUCH"
            world.exchange.trade("BTC/USDT", "1")
            await asyncio.sleep(3)
            assert world.agrees()


class TestStop:
    @scenario
    async def test_what_waits_is_stored_first(self, world: World):
        await world.begin()
        await world.live()

        async def slow(_: int) -> None:
            await asyncio.sleep(0.3)

        world.handle.before = slow
        world.exchange.trade("BTC/USDT", "1")
        await asyncio.sleep(0.1)
        await world.follower.stop()
        await world.follower.stop()
        assert world.store.fills == world.exchange.true_fills()
        assert [state for state, _ in world.store.states[-2:]] == ["LIVE", "CONNECTING"]  # no alarm on the way
        assert world.store.states[-1] == ("CONNECTING", "Not followed at the moment: the worker stopped.")

    @scenario
    async def test_a_store_that_hangs_does_not_hold_up_the_stop(self, world: World):
        await world.begin()
        await world.live()

        async def hang(_: int) -> None:
            await asyncio.sleep(3600)

        world.handle.before = hang
        world.exchange.trade("BTC/USDT", "1")
        await asyncio.sleep(0.1)
        begun_s = world.clock.monotonic_s()
        await world.follower.stop()
        assert world.clock.monotonic_s() - begun_s < 3
        assert not world.store.fills

    @scenario
    async def test_before_anything_was_answered(self, world: World):
        await world.begin()
        await world.follower.stop()
        await world.make().stop()  # never started


class TestStreams:
    @scenario
    async def test_fills_are_stored_when_they_come(self, world: World):
        async with world.following() as follower:
            world.exchange.trade("BTC/USDT", "0.1")
            world.exchange.trade("BTC/USDT:USDT", "0.5")
            await asyncio.sleep(0.2)
            assert [row["source"] for row in world.store.rows] == ["stream", "stream"]
            assert world.store.fills == world.exchange.true_fills()
            assert world.store.kept_cursors == {}  # a fill told by a stream never moves a cursor
            await asyncio.sleep(2)
            assert world.agrees()
            assert follower.position_symbols() == {"BTC/USDT:USDT"}
            [position] = world.store.positions.values()
            assert position.liquidation == Decimal(50)  # told by REST alone, asked again after the fill

    @scenario
    async def test_one_row_per_fill_whichever_way_it_comes(self, world: World):
        async with world.following():
            for _ in range(30):
                world.exchange.trade("BTC/USDT", "0.1")
                await asyncio.sleep(7)
            assert world.agrees()
            assert {row["source"] for row in world.store.rows} == {"stream"}
            reads = [1 for _, path in world.exchange.asked if path == "/api/v3/myTrades"]
            assert len(reads) >= 3  # by REST too
            assert world.store.kept_cursors  # and the cursor has moved behind them

    @scenario
    async def test_a_cut_stream_is_followed_by_everything_it_did_not_tell(self, world: World):
        async with world.following() as follower:
            for product in ("spot", "usdm"):
                world.connection(product).connects = False
                world.connection(product).cut()
            await asyncio.sleep(0.5)
            assert follower.state is StreamState.STALE
            world.exchange.trade("BTC/USDT", "1")
            world.exchange.trade("ETH/USDT:USDT", "-2")
            await asyncio.sleep(2)
            for product in ("spot", "usdm"):
                world.connection(product).connects = True
            await world.live()
            assert world.agrees()
            assert [row["source"] for row in world.store.rows] == ["rest", "rest"]

    @scenario
    async def test_a_history_that_lags_behind_is_read_a_second_time(self, world: World):
        """Fill 2 shows at once, fill 1 only after three seconds: the cursor must not have passed it by then."""
        async with world.following():
            world.connection("spot").connects = False
            world.connection("spot").cut()
            await asyncio.sleep(0.5)
            world.exchange.trade("BTC/USDT", "1", hidden_ms=3000)
            world.exchange.trade("BTC/USDT", "2")
            world.connection("spot").connects = True
            await world.live()
            assert len(world.store.fills) == 1
            assert world.store.kept_cursors == {}
            await asyncio.sleep(12)
            assert world.agrees()

    @scenario
    async def test_a_fill_by_stream_does_not_hide_an_older_one(self, world: World):
        """The trap of every cursor: a newer fill is stored already when the worker dies."""
        await world.begin()
        world.connection("spot").connects = False
        await asyncio.sleep(1)
        world.exchange.trade("BTC/USDT", "1")  # nobody listens
        world.connection("spot").connects = True
        await world.until(lambda: world.exchange.listeners["spot"], within_s=5)
        world.exchange.trade("BTC/USDT", "2")
        await world.until(lambda: len(world.store.rows) == 1)
        assert world.store.rows[0]["source"] == "stream"
        await world.kill()
        await world.begin()
        await world.live()
        assert world.agrees()
        await world.follower.stop()

    @scenario
    async def test_a_stream_that_stands_and_is_mute_is_replaced(self, world: World):
        async with world.following():
            world.exchange.trade("BTC/USDT", "1")
            await asyncio.sleep(1)
            connects = len(world.connection("spot").urls)
            world.exchange.mute.add("spot")
            world.exchange.trade("BTC/USDT", "1")
            await asyncio.sleep(90)
            assert world.agrees()
            assert len(world.connection("spot").urls) == connects + 1

    @scenario
    async def test_lost_frames_are_read_by_rest(self, world: World):
        async with world.following() as follower:
            world.exchange.mute.add("spot")
            world.exchange.trade("BTC/USDT", "1")
            world.exchange.mute.clear()
            stream = follower.streams[0]
            stream.on_lost(stream.connection, "damaged")
            await asyncio.sleep(3)
            assert world.agrees()

    @scenario
    async def test_a_flood_of_lost_frames_does_not_eat_the_budget(self, world: World):
        async with world.following() as follower:
            world.exchange.asked.clear()
            stream = follower.streams[0]
            for _ in range(200):
                stream.on_lost(stream.connection, "damaged")
                await asyncio.sleep(0.05)
            assert len(world.exchange.asked) < 100  # in ten seconds

    @scenario
    async def test_a_deposit_is_asked_for(self, world: World):
        async with world.following():
            await asyncio.sleep(2)
            world.exchange.spot["ETH"] = Decimal(3)
            world.exchange.tell("spot", {"e": "balanceUpdate", "E": 1, "a": "ETH", "d": "3", "T": 1})
            await asyncio.sleep(1.5)
            assert world.store.totals()["spot", "ETH"] == Decimal(3)

    @scenario
    async def test_a_margin_call_is_shown(self, world: World):
        async with world.following() as follower:
            world.exchange.tell("usdm", {"e": "MARGIN_CALL", "E": 1, "p": [{"s": "ETHUSDT", "ps": "LONG"}]})
            await asyncio.sleep(0.1)
            assert follower.state is StreamState.LIVE
            assert follower.sentence == "Binance calls for margin: ETH/USDT:USDT long may be liquidated."
            await asyncio.sleep(700)
            assert follower.sentence == ""


class TestLogin:
    @scenario
    async def test_the_listen_key_is_renewed(self, world: World):
        async with world.following():
            await asyncio.sleep(2 * 1800 + 60)
            assert world.exchange.asked.count(("PUT", "/fapi/v1/listenKey")) == 2
            assert world.exchange.asked.count(("POST", "/fapi/v1/listenKey")) == 1

    @scenario
    async def test_an_expired_listen_key_is_replaced(self, world: World):
        async with world.following():
            world.exchange.expire_listen_key()
            world.exchange.trade("BTC/USDT:USDT", "1")  # nobody is told
            await asyncio.sleep(5)
            await world.live()
            assert world.connection("usdm").urls[-1].endswith("listenKey=listen-key-2")
            assert world.agrees()
            world.exchange.trade("BTC/USDT:USDT", "1")
            await asyncio.sleep(0.2)
            assert world.store.rows[-1]["source"] == "stream"

    @scenario
    async def test_a_listen_key_that_cannot_be_renewed_is_replaced(self, world: World):
        """Its end was not told, the socket stays open and silent: the renewal finds out."""
        async with world.following():
            world.exchange.mute.add("usdm")
            world.exchange.expire_listen_key()
            world.exchange.mute.clear()
            await asyncio.sleep(1805)
            await world.live()
            assert world.connection("usdm").urls[-1].endswith("listenKey=listen-key-2")

    @scenario
    async def test_a_renewal_that_fails_is_tried_again(self, world: World):
        async with world.following():
            await asyncio.sleep(1750)
            world.exchange.faults["/fapi/v1/listenKey"] = [(503, b"busy", {}), (503, b"busy", {})]
            await asyncio.sleep(300)
            assert world.exchange.asked.count(("PUT", "/fapi/v1/listenKey")) == 3
            assert len(world.connection("usdm").urls) == 1

    @scenario
    async def test_a_login_that_came_too_late_is_done_again_by_a_new_clock(self, world: World):
        async with world.following():
            world.clock_off_ms = 20_000
            world.connection("spot").cut()
            await world.until(lambda: not world.exchange.listeners["spot"])
            await world.live()
            assert world.exchange.listeners["spot"]


class TestListing:
    @scenario
    async def test_nothing_is_named_before_the_instruments_are_there(self, world: World):
        world.exchange.trade("BTC/USDT", "1")
        world.markets = MarketIndex()
        await world.begin()
        await asyncio.sleep(20)
        assert world.follower.state is StreamState.CONNECTING
        assert world.follower.sentence == "The exchange's list of markets is not loaded yet."
        assert not world.store.rows
        world.markets.update(MARKETS)
        await world.live()
        assert world.agrees()
        await world.follower.stop()

    @scenario
    async def test_a_fill_in_a_market_that_was_listed_just_now(self, world: World):
        """Stored under a made-up name it would come a second time under the right one."""
        world.markets = MarketIndex(market for market in MARKETS if market.base != "LTC")
        async with world.following() as follower:
            for _ in range(3):
                world.exchange.trade("LTC/USDT", "1")
                await asyncio.sleep(1)
            assert not world.store.fills
            assert follower.sentence == "Fills in LTCUSDT (spot) cannot be shown yet: the list of markets lacks it."
            assert world.reloads == 1
            world.markets.update(MARKETS)
            await asyncio.sleep(5)
            assert follower.sentence == ""
            world.exchange.trade("LTC/USDT", "1")
            await asyncio.sleep(3)
            assert world.agrees()

    @scenario
    async def test_a_stored_market_that_is_listed_no_longer(self, world: World):
        world.exchange.trade("LTC/USDT", "1")
        world.symbols = ("LTC/USDT",)
        async with world.following():
            assert world.agrees()
        world.markets = MarketIndex(market for market in MARKETS if market.base != "LTC")
        world.symbols = ()
        async with world.following() as follower:
            assert follower.sentence == ""
            assert world.agrees()

    @scenario
    async def test_orders_and_positions_of_an_unlisted_market_are_shown_under_its_own_name(self, world: World):
        world.exchange.trade("ADA/USDT:USDT", "5")
        world.markets = MarketIndex(market for market in MARKETS if market.base != "ADA")
        async with world.following() as follower:
            assert world.store.sizes() == {"ADAUSDT@usdm": Decimal(5)}
            assert follower.position_symbols() == set()  # there is no mark to lease
            world.markets.update(MARKETS)
            await asyncio.sleep(8)
            assert world.store.sizes() == {"ADA/USDT:USDT": Decimal(5)}
            assert follower.position_symbols() == {"ADA/USDT:USDT"}
