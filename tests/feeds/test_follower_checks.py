"""A followed account that does not agree: what becomes a notice, what does not, and when it closes. In virtual time."""

import asyncio
from decimal import Decimal
from unittest.mock import patch

from feeds.following.polls import TRANSFERS_S
from tests.feeds.account_world import World, scenario


def deposit(world: World, amount: str, status: int = 1, number: int = 1) -> None:
    world.exchange.deposits = [
        {
            "id": str(number),
            "amount": amount,
            "coin": "USDT",
            "status": status,
            "insertTime": world.exchange_ms(),
            "txId": "x",
            "walletType": 0,
        }
    ]


class TestBalances:
    @scenario
    async def test_an_ordinary_life_makes_no_notice(self, world: World):
        async with world.following():
            for number in range(30):
                world.exchange.trade("BTC/USDT", "0.1" if number % 3 else "-0.2", str(100 + number))
                world.exchange.trade("ADA/USDT:USDT", "3")
                await asyncio.sleep(1.7)
            world.connection("spot").cut()
            world.exchange.trade("BTC/USDT", "0.5", "111")
            await asyncio.sleep(120)
            assert world.agrees()
            assert (world.store.findings, world.store.resolved) == ({}, [])

    @scenario
    async def test_what_nothing_explains_is_named_once_and_closes_when_it_follows_again(self, world: World):
        async with world.following():
            await asyncio.sleep(30)
            world.exchange.wallet -= Decimal("12.5")  # funding, say
            await world.until(lambda: world.store.findings)
            (finding,) = world.store.findings.values()
            assert (finding.cause, finding.kind) == ("balance:usdm:USDT", "unexplained_balance")
            assert (finding.expected, finding.found) == ("50000", "49987.5")
            assert world.agrees()  # the balance itself is REST's
            assert world.handle.calls.count("put_finding") == 1
            await asyncio.sleep(60)
            assert world.handle.calls.count("put_finding") == 1
            await world.until(lambda: world.store.resolved, within_s=900)
            assert world.store.resolved[0][0] == "balance:usdm:USDT"
            assert "notices" in world.told

    @scenario
    async def test_a_deposit_explains_itself(self, world: World):
        async with world.following():
            await asyncio.sleep(30)
            deposit(world, "500", status=0)
            await asyncio.sleep(TRANSFERS_S + 60)
            assert world.store.transfers["deposit", "1"].status == "pending"
            world.exchange.deposits[0]["status"] = 1
            world.exchange.spot["USDT"] += 500
            await asyncio.sleep(TRANSFERS_S + 60)
            assert world.store.transfers["deposit", "1"].status == "done"
            assert world.agrees()
            assert [cause for cause, _ in world.store.resolved] in ([], ["balance:spot:USDT"])  # told late at most
            assert world.store.findings == {}

    @scenario
    async def test_what_only_the_stream_tells_explains_itself(self, world: World):
        """A transfer to the futures wallet: the spot side is told by the stream alone, the other in the income."""
        async with world.following():
            await asyncio.sleep(30)
            now_ms = world.exchange_ms()
            world.exchange.spot["USDT"] -= 100
            world.exchange.wallet += 100
            told = {"e": "balanceUpdate", "E": now_ms, "a": "USDT", "d": "-100.00000000", "T": now_ms}
            world.exchange.tell("spot", told)
            row = {
                "symbol": "",
                "incomeType": "TRANSFER",
                "income": "100",
                "asset": "USDT",
                "time": now_ms,
                "tranId": 0,
            }
            world.exchange.income = [row]
            changed = {"m": "DEPOSIT", "B": [{"a": "USDT", "wb": str(world.exchange.wallet)}], "P": []}
            world.exchange.tell("usdm", {"e": "ACCOUNT_UPDATE", "E": now_ms, "T": now_ms, "a": changed})
            await asyncio.sleep(120)
            assert world.store.findings == {}
            [transfer] = world.store.transfers.values()
            assert (transfer.kind, transfer.note, transfer.amount) == ("other", "TRANSFER", Decimal(100))
            world.exchange.spot["USDT"] -= Decimal("0.5")  # beside it
            world.exchange.tell("spot", {**told, "T": (now_ms := world.exchange_ms()), "E": now_ms})
            world.exchange.spot["USDT"] -= 100
            await world.until(lambda: world.store.findings)
            (finding,) = world.store.findings.values()
            assert finding.sentence.startswith("There is 0.5 USDT less (spot)")


class TestOverAStop:
    @scenario
    async def test_fills_and_deposits_of_a_stop_explain_the_balances(self, world: World):
        async with world.following():
            world.exchange.trade("BTC/USDT", "0.1", "100")
            await asyncio.sleep(90)
        world.exchange.trade("BTC/USDT", "0.2", "101")
        world.exchange.trade("ADA/USDT:USDT", "3")
        deposit(world, "500")
        world.exchange.spot["USDT"] += 500
        await asyncio.sleep(3600)
        async with world.following():
            await asyncio.sleep(TRANSFERS_S)
            assert world.agrees()
            assert (world.store.findings, world.store.resolved) == ({}, [])

    @scenario
    async def test_what_left_the_wallet_during_a_stop_is_named(self, world: World):
        async with world.following():
            await asyncio.sleep(90)
        world.exchange.wallet -= Decimal("12.5")
        await asyncio.sleep(3600)
        async with world.following():
            await world.until(lambda: world.store.findings)
            (finding,) = world.store.findings.values()
            assert (finding.cause, finding.found) == ("balance:usdm:USDT", "49987.5")
            assert "That balance is of " in finding.sentence

    @scenario
    async def test_a_contract_that_was_opened_and_closed_during_a_stop(self, world: World):
        """No position and no order tells of its market; the wallet's income does."""
        async with world.following():
            await asyncio.sleep(90)
        world.exchange.trade("ADA/USDT:USDT", "3")
        world.exchange.trade("ADA/USDT:USDT", "-3")
        paid = {"symbol": "ADAUSDT", "incomeType": "COMMISSION", "income": "-0.01", "asset": "USDT", "tranId": 1}
        world.exchange.income = [{**paid, "time": world.exchange_ms()}]
        await asyncio.sleep(3600)
        assert not world.store.fills
        async with world.following():
            await world.until(lambda: len(world.store.fills) == 2)
            await asyncio.sleep(60)
            assert world.agrees()
            assert world.store.findings == {}

    @scenario
    async def test_a_coin_that_was_sold_whole_during_a_stop(self, world: World):
        """Nothing is left of it by which its market would be known, but that it was held before."""
        world.exchange.spot["BTC"] = Decimal(1)
        async with world.following():
            await asyncio.sleep(90)
        for table in (world.store.kept_cursors, world.store.orders):
            table.clear()
        world.exchange.trade("BTC/USDT", "-1", "100")
        await asyncio.sleep(60)
        async with world.following():
            await asyncio.sleep(60)
            assert world.agrees()
            assert world.store.findings == {}


class TestFills:
    @scenario
    async def test_a_mute_stream_is_told_and_closes(self, world: World):
        async with world.following():
            world.exchange.trade("BTC/USDT", "0.1")
            await asyncio.sleep(30)
            world.exchange.mute.add("spot")
            world.exchange.trade("BTC/USDT", "0.1")
            await world.until(lambda: "fills:spot" in world.store.findings)
            finding = world.store.findings["fills:spot"]
            assert (finding.kind, finding.found, finding.count) == ("missed_fill", "1 fill by REST", 1)
            world.exchange.mute.clear()
            await world.until(lambda: world.store.resolved)
            assert "fills:spot" in dict(world.store.resolved)
            assert world.agrees()


class TestOrders:
    @scenario
    async def test_an_order_that_is_gone(self, world: World):
        world.exchange.orders["spot", 7] = {
            "symbol": "BTCUSDT", "orderId": 7, "clientOrderId": "x", "side": "BUY", "type": "LIMIT", "price": "90",
            "origQty": "1", "executedQty": "0", "cummulativeQuoteQty": "0", "status": "NEW", "timeInForce": "GTC",
            "time": 5, "updateTime": 5,
        }  # fmt: skip
        async with world.following():
            await asyncio.sleep(30)
            world.exchange.orders.clear()  # and the stream says nothing
            await world.until(lambda: "orders:spot" in world.store.findings)
            assert "BTC/USDT 7" in world.store.findings["orders:spot"].sentence
            assert world.store.orders["BTC/USDT", "7"].status == "closed"
            await world.until(lambda: world.store.resolved, within_s=200)
            assert world.store.findings == {}


class TestOnlyHere:
    @scenario
    async def test_what_nobody_here_has_ordered_is_told_and_stays(self, world: World):
        """Somebody sells at market: the order is never in any list."""
        world.only_here = True
        world.exchange.trade("BTC/USDT", "1")  # before the account is followed
        async with world.following():
            world.exchange.trade("BTC/USDT", "-1")
            (told,) = world.exchange.fills["spot", "BTCUSDT"][1:]
            await world.until(lambda: world.store.findings, within_s=5)
            finding = world.store.findings["foreign:spot"]
            assert (finding.kind, finding.count) == ("foreign_order", 1)
            assert f"BTC/USDT {told['orderId']}" in finding.sentence
            await asyncio.sleep(120)
            assert "foreign:spot" in world.store.findings
        with patch("feeds.following.foreign.STAYS_MS", 180_000):
            async with world.following():  # another worker
                await asyncio.sleep(150)
                assert "foreign:spot" in world.store.findings
                await world.until(lambda: world.store.resolved, within_s=60)
        assert [cause for cause, _ in world.store.resolved] == ["foreign:spot"]

    @scenario
    async def test_what_was_sold_while_no_worker_ran(self, world: World):
        world.only_here = True
        async with world.following():
            world.exchange.trade("BTC/USDT", "2")
            (bought,) = world.exchange.fills["spot", "BTCUSDT"]
            world.own.placed("", "BTC/USDT", str(bought["orderId"]))
            await asyncio.sleep(90)
        world.exchange.trade("BTC/USDT", "-1")
        (_, sold) = world.exchange.fills["spot", "BTCUSDT"]
        await asyncio.sleep(3600)
        async with world.following():
            await world.until(lambda: world.store.findings)
            finding = world.store.findings["foreign:spot"]
            assert finding.count == 1
            assert f"BTC/USDT {sold['orderId']}." in finding.sentence
            assert world.agrees()

    @scenario
    async def test_what_was_traded_before_others_were_shut_out_is_not(self, world: World):
        """The user says so only now: it is not said of the stop before."""
        async with world.following():
            await asyncio.sleep(90)
        world.exchange.trade("BTC/USDT", "-1")
        await asyncio.sleep(3600)
        world.only_here = True
        async with world.following():
            await asyncio.sleep(120)
            assert world.agrees()
            assert world.store.findings == {}

    @scenario
    async def test_what_only_rest_tells(self, world: World):
        world.only_here = True
        async with world.following():
            world.exchange.mute.add("spot")
            await asyncio.sleep(1)
            world.exchange.trade("BTC/USDT", "-1")
            await world.until(lambda: "foreign:spot" in world.store.findings)

    @scenario
    async def test_own_orders_and_those_of_a_shared_account_are_not(self, world: World):
        world.only_here = True
        async with world.following():
            number = world.exchange._ids + 1 + world.exchange._ids % 3 + 10_000
            world.own.sent(f"client-{number}", "BTC/USDT")
            world.exchange.trade("BTC/USDT", "-1")  # its placing was never answered
            await asyncio.sleep(60)
            assert world.store.findings == {}
        world.only_here = False
        async with world.following():
            world.exchange.trade("BTC/USDT", "-1")
            await asyncio.sleep(60)
            assert world.store.findings == {}


class TestStart:
    @scenario
    async def test_rights_are_kept_and_open_notices_taken_over(self, world: World):
        async with world.following():
            await asyncio.sleep(5)
            (rights,) = world.store.rights
            assert (rights.read, rights.trade, rights.withdraw) == (True, True, False)
            world.exchange.mute.add("spot")
            await asyncio.sleep(20)
            world.exchange.trade("BTC/USDT", "0.1")
            await world.until(lambda: "fills:spot" in world.store.findings)
        world.exchange.mute.clear()
        async with world.following():
            await world.until(lambda: not world.store.findings)

    @scenario
    async def test_an_exchange_that_cannot_be_asked(self, world: World):
        world.exchange.rights = None
        async with world.following():
            assert world.store.rights == [None]

    @scenario
    async def test_transfers_that_may_not_be_read_do_no_harm(self, world: World):
        refusal = world.exchange.error(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        world.exchange.faults["/sapi/v1/capital/deposit/hisrec"] = [refusal] * 50
        async with world.following() as follower:
            await asyncio.sleep(60)
            assert follower.state.usable
            assert world.store.transfers == {}
