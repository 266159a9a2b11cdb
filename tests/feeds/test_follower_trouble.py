"""An account followed through trouble: refused keys, wrong clocks, limits, outages, a database that is down."""

import asyncio
from decimal import Decimal

import pytest
from structlog.testing import capture_logs

from feeds.domain import StreamState
from tests.feeds.account_world import World, scenario
from tests.feeds.binance_examples import KEY


def fail_with(error: Exception):
    async def fail(_: int) -> None:
        await asyncio.sleep(0.001)
        raise error

    return fail


class TestKey:
    @scenario
    async def test_one_that_may_withdraw_is_not_used(self, world: World):
        world.exchange.rights = {"enableReading": True, "enableWithdrawals": True}
        await world.begin()
        await asyncio.sleep(600)
        assert world.follower.state is StreamState.DOWN
        assert world.store.states[-1] == (
            "DOWN",
            "This key may withdraw (enableWithdrawals at Binance) and is therefore not used. "
            "Switch that permission off, or enter a key that may only read.",
        )
        asked = {path for _, path in world.exchange.asked}
        assert asked == {"/api/v3/time", "/fapi/v1/time", "/sapi/v1/account/apiRestrictions"}
        await world.follower.stop()
        assert world.store.states[-1][0] == "DOWN"  # a stop does not change that

    @scenario
    async def test_where_nobody_can_be_asked_it_is_used_and_said(self, world: World):
        world.exchange.rights = None
        with capture_logs() as logs:
            async with world.following():
                pass
        assert [entry["event"] for entry in logs].count("key rights unknown") == 1

    @scenario
    async def test_an_outage_is_no_answer_to_what_it_may(self, world: World):
        world.exchange.faults["/sapi/v1/account/apiRestrictions"] = [(503, b"", {})] * 5
        world.exchange.rights = {"enableWithdrawals": True}
        await world.begin()
        await asyncio.sleep(2.5)
        assert world.follower.state is StreamState.CONNECTING
        assert world.follower.sentence == "The exchange cannot be reached at the moment."
        assert not world.exchange.listeners["spot"]
        await asyncio.sleep(20)
        assert world.follower.state is StreamState.DOWN
        await world.follower.stop()

    @pytest.mark.parametrize("when_s", [0, 30])
    def test_a_refused_key_ends_everything(self, when_s):
        @scenario
        async def run(_, world: World):
            await world.begin()
            await asyncio.sleep(when_s)
            world.exchange.secret = "another"
            await asyncio.sleep(30)
            follower = world.follower
            assert follower.state is StreamState.DOWN
            assert "Signature for this request is not valid." in follower.sentence
            assert KEY.secret not in follower.sentence and KEY.key not in follower.sentence
            assert world.store.states[-1] == ("DOWN", follower.sentence)
            asked = len(world.exchange.asked)
            await asyncio.sleep(3600)
            assert len(world.exchange.asked) == asked
            assert not any(world.exchange.listeners.values())
            await follower.stop()

        run(None)

    @scenario
    async def test_an_exchange_that_quotes_the_secret(self, world: World):
        await world.begin()
        await world.live()
        body = b'{"code": -2015, "msg": "Invalid: %s %s"}' % (KEY.secret.encode(), KEY.key.encode())
        world.exchange.faults["/api/v3/account"] = [(401, body, {})]
        await asyncio.sleep(10)
        assert world.follower.state is StreamState.DOWN
        assert "Invalid: … …" in world.follower.sentence
        await world.follower.stop()


class TestClock:
    @pytest.mark.parametrize("off_ms", [-3_600_000, 4_000, 3_600_000])
    def test_the_exchange_has_another_time(self, off_ms):
        @scenario
        async def run(_, world: World):
            world.clock_off_ms = off_ms
            world.exchange.trade("BTC/USDT", "1")
            async with world.following():
                assert world.agrees()
                world.exchange.trade("BTC/USDT", "1")
                await asyncio.sleep(3)
                assert world.agrees()

        run(None)

    @scenario
    async def test_our_wall_clock_is_set(self, world: World):
        """Figures must not come from the future: the next stream event would be taken for older."""
        async with world.following() as follower:
            for seconds in (7200.0, -7200.0):
                world.clock.wall_s = seconds
                await asyncio.sleep(10)
                world.exchange.trade("BTC/USDT", "1")
                await asyncio.sleep(0.1)
                assert world.store.totals()["spot", "BTC"] == world.exchange.spot["BTC"]  # by stream, at once
                assert follower.state is StreamState.LIVE

    @scenario
    async def test_a_question_refused_for_its_time_is_asked_again(self, world: World):
        async with world.following() as follower:
            world.clock_off_ms = 30_000
            with capture_logs() as logs:
                await asyncio.sleep(60)
            assert follower.state is StreamState.LIVE
            assert [e["event"] for e in logs].count("clock refused") <= 4  # questions that were on their way together
            assert not [e for e in logs if e["event"] == "poll failed"]
            world.exchange.trade("BTC/USDT", "1")
            await asyncio.sleep(3)
            assert world.agrees()

    @scenario
    async def test_an_answer_never_overrides_what_happened_after_its_question(self, world: World):
        async with world.following():
            await asyncio.sleep(3)
            world.rest.slow = {"/api/v3/account": 0.5, "/fapi/v3/positionRisk": 0.5, "/fapi/v3/balance": 0.5}
            for _ in range(40):
                world.exchange.trade("BTC/USDT", "1")
                world.exchange.trade("BTC/USDT:USDT", "1")
                await asyncio.sleep(0.05)
                assert world.store.totals()["spot", "BTC"] == world.exchange.spot["BTC"]
                assert world.store.sizes() == world.exchange.true_positions()


class TestLimits:
    @scenario
    async def test_429_waits_as_long_as_the_exchange_says(self, world: World):
        async with world.following() as follower:
            world.exchange.faults["/api/v3/account"] = [(429, b"", {"retry-after": "40"})]
            world.exchange.asked.clear()
            with capture_logs() as logs:
                await asyncio.sleep(39)
                assert world.exchange.asked.count(("GET", "/api/v3/account")) == 1
                assert follower.state is StreamState.STALE
                assert follower.sentence.endswith("The exchange asks us to wait.")
                await asyncio.sleep(20)
            events = [e["event"] for e in logs if e.get("source") == "balances spot"]
            assert events == ["poll failed", "poll recovered"]
            assert follower.state is StreamState.LIVE

    @scenario
    async def test_one_failing_source_does_not_slow_another(self, world: World):
        async with world.following():
            world.exchange.faults["/api/v3/account"] = [(503, b"", {})] * 1000
            world.exchange.asked.clear()
            await asyncio.sleep(300)
            assert 50 <= world.exchange.asked.count(("GET", "/fapi/v3/balance")) <= 70
            assert 50 <= world.exchange.asked.count(("GET", "/api/v3/account")) <= 70

    @scenario
    async def test_questions_in_an_hour_stay_within_the_budget(self, world: World):
        """Spot allows 6,000 weight a minute, of which we take half; futures 2,400."""
        async with world.following():
            world.rest.sent.clear()
            for _ in range(600):
                world.exchange.trade("BTC/USDT", "0.001")
                world.exchange.trade("BTC/USDT:USDT", "0.001")
                await asyncio.sleep(0.1)
            weight = {"spot": 0, "usdm": 0}
            for request in world.rest.sent:
                weight[request.product] += request.weight
            assert weight["spot"] <= 3000
            assert weight["usdm"] <= 1200


class TestOutage:
    @scenario
    async def test_a_store_that_lets_us_wait_is_told(self, world: World):
        """A locked database does not fail: it answers when it is free again."""
        async with world.following() as follower:
            free = asyncio.Event()

            async def wait(call: int) -> None:
                await free.wait()

            world.handle.before = wait
            world.exchange.trade("BTC/USDT", "1")
            await asyncio.sleep(3)
            assert follower.state is StreamState.STALE
            assert "database" in follower.sentence
            assert not world.store.fills
            free.set()
            await asyncio.sleep(0.2)
            assert follower.state is StreamState.LIVE
            assert world.store.fills == world.exchange.true_fills()

    @scenario
    async def test_rest_is_away(self, world: World):
        async with world.following() as follower:
            world.rest.down = True
            with capture_logs() as logs:
                await asyncio.sleep(20)
                assert follower.state is StreamState.STALE
                assert "cannot be reached" in follower.sentence
                world.exchange.trade("BTC/USDT", "1")  # the stream still stands
                await asyncio.sleep(0.2)
                assert world.store.fills == world.exchange.true_fills()
                await asyncio.sleep(300)
                world.rest.down = False
                await world.until(lambda: follower.state is StreamState.LIVE, within_s=15)
            for source in ("balances spot", "balances usdm", "positions usdm"):
                events = [e["event"] for e in logs if e.get("source") == source]
                assert events == ["poll failed", "poll recovered"]

    @scenario
    async def test_a_closed_order_is_open_no_longer(self, world: World):
        row = {
            "symbol": "BTCUSDT",
            "orderId": 5,
            "clientOrderId": "mine",
            "price": "90",
            "origQty": "1",
            "executedQty": "0",
            "cummulativeQuoteQty": "0",
            "status": "NEW",
            "timeInForce": "GTC",
            "type": "LIMIT",
            "side": "BUY",
            "time": 1,
            "updateTime": 1,
        }
        world.exchange.orders["spot", 5] = row
        async with world.following():
            assert world.store.orders["BTC/USDT", "5"].status == "open"
            assert world.store.orders["BTC/USDT", "5"].price == Decimal(90)
            world.exchange.orders.clear()
            await asyncio.sleep(70)
            assert world.store.orders["BTC/USDT", "5"].status == "closed"


class TestDatabase:
    @scenario
    async def test_one_that_is_down_loses_nothing_and_keeps_the_order(self, world: World):
        async with world.following() as follower:
            world.handle.before = fail_with(RuntimeError("database is locked"))
            with capture_logs() as logs:
                ids = []
                for _ in range(300):
                    ids.append(str(world.exchange.trade("BTC/USDT", "0.01")))
                    await asyncio.sleep(0.1)
                assert not world.store.fills
                assert follower.state is StreamState.STALE
                assert follower.sentence == "The database does not take the figures. They wait, and are tried again."
                world.handle.before = None
                await asyncio.sleep(10)
            assert [row["id"] for row in world.store.rows] == ids
            assert world.agrees()
            assert follower.state is StreamState.LIVE
            events = [e["event"] for e in logs if e["event"].startswith("store ")]
            assert events == ["store failed", "store recovered"]

    @scenario
    async def test_one_that_is_down_at_the_start(self, world: World):
        world.exchange.trade("BTC/USDT", "1")
        world.make()
        world.handle.before = fail_with(OSError("no such host"))
        await world.follower.start()
        await asyncio.sleep(5)
        assert world.follower.sentence == "The database does not answer."
        world.handle.before = None
        await world.live()
        assert world.agrees()
        await world.follower.stop()

    @scenario
    async def test_one_that_is_slow_gets_larger_pieces(self, world: World):
        async with world.following():

            async def slow(_: int) -> None:
                await asyncio.sleep(1)

            world.handle.before = slow
            world.handle.calls.clear()
            ids = []
            for _ in range(500):
                ids.append(str(world.exchange.trade("BTC/USDT", "0.001")))
                await asyncio.sleep(0.01)
            await asyncio.sleep(15)
            assert [row["id"] for row in world.store.rows] == ids
            assert world.handle.calls.count("add_fills") < 20

    @scenario
    async def test_somebody_who_cannot_be_told_does_not_hold_up_the_rows(self, world: World):
        async with world.following() as follower:

            async def broken(account: int, kind: str) -> None:
                raise RuntimeError("no channel layer")

            follower.journal._notify = broken
            for _ in range(3):
                world.exchange.trade("BTC/USDT", "1")
                await asyncio.sleep(1)
            assert world.store.fills == world.exchange.true_fills()
