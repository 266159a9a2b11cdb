"""One source on a timer, and the way into the store, by themselves, in virtual time."""

import asyncio
from decimal import Decimal

from structlog.testing import capture_logs

from feeds.account_domain import Balance, Fill
from feeds.errors import CredentialsError, FeedError, RateLimited, TransportError
from feeds.following.journal import BATCH, Journal
from feeds.following.poller import RETRY_S, Poller
from tests.feeds import warp
from tests.feeds.account_store import MemoryStore, StoreHandle
from tests.feeds.warp import LoopClock


class Source:
    """Counts when it is asked; answers after ``takes_s``, or fails with ``error``."""

    def __init__(self):
        self.asked_s = []
        self.takes_s = 0.0
        self.error = None
        self.fatal = []
        self.clock = LoopClock()

    async def poll(self):
        self.asked_s.append(self.clock.monotonic_s() - 1000)
        await asyncio.sleep(self.takes_s)
        if self.error:
            raise self.error

    def poller(self, every_s=5.0, gap_s=1.0):
        return Poller("it", self.poll, every_s=every_s, gap_s=gap_s, on_fatal=self.fatal.append, clock=self.clock)


def in_virtual_time(test):
    def run(self):
        warp.run(test(self))

    run.__name__ = test.__name__
    return run


class TestPoller:
    @in_virtual_time
    async def test_asks_at_once_and_then_about_every_interval(self):
        source = Source()
        poller = source.poller()
        poller.start()
        poller.start()
        await asyncio.sleep(52)
        await poller.stop()
        await poller.stop()
        assert source.asked_s[0] == 0
        assert 9 <= len(source.asked_s) <= 12
        assert len({b - a for a, b in zip(source.asked_s, source.asked_s[1:], strict=False)}) > 3  # jittered

    @in_virtual_time
    async def test_many_wishes_make_one_question(self):
        source = Source()
        poller = source.poller(every_s=100)
        poller.start()
        await asyncio.sleep(10)
        for _ in range(20):
            poller.soon(0.5)
            await asyncio.sleep(0.01)
        await asyncio.sleep(20)
        assert len(source.asked_s) == 2
        assert abs(source.asked_s[1] - 10.5) < 0.01
        await poller.stop()

    @in_virtual_time
    async def test_never_faster_than_the_gap(self):
        source = Source()
        poller = source.poller(every_s=100, gap_s=2)
        poller.start()
        for _ in range(200):
            poller.soon()
            await asyncio.sleep(0.1)
        assert len(source.asked_s) == 10
        await poller.stop()

    @in_virtual_time
    async def test_what_changes_during_a_question_is_asked_for_again(self):
        source = Source()
        source.takes_s = 3
        poller = source.poller(every_s=100)
        poller.start()
        await asyncio.sleep(1)
        poller.soon()
        await asyncio.sleep(5)
        assert source.asked_s == [0, 4]
        await poller.stop()

    @in_virtual_time
    async def test_a_rare_source_that_fails_is_asked_again_soon(self):
        source = Source()
        source.error = TransportError("away")
        poller = source.poller(every_s=600)
        with capture_logs() as logs:
            poller.start()
            await asyncio.sleep(100)
            poller.soon()  # does not help
            source.error = None
            await asyncio.sleep(RETRY_S)
            await asyncio.sleep(10)
        assert [entry["event"] for entry in logs] == ["poll failed", "poll recovered"]
        assert poller.error is None
        assert 8 <= len(source.asked_s) <= 13
        await poller.stop()

    @in_virtual_time
    async def test_waits_as_long_as_it_is_told(self):
        source = Source()
        source.error = RateLimited("too many", 77)
        poller = source.poller()
        poller.start()
        await asyncio.sleep(76)
        assert len(source.asked_s) == 1
        await asyncio.sleep(2)
        assert len(source.asked_s) == 2
        await poller.stop()

    @in_virtual_time
    async def test_a_fatal_error_ends_it(self):
        source = Source()
        source.error = CredentialsError("no such key")
        poller = source.poller()
        poller.start()
        await asyncio.sleep(100)
        assert len(source.asked_s) == 1
        assert source.fatal == [source.error]
        await poller.stop()

    @in_virtual_time
    async def test_a_mistake_of_ours_is_logged_and_does_not_end_it(self):
        source = Source()
        source.error = ZeroDivisionError("oops")
        poller = source.poller()
        with capture_logs() as logs:
            poller.start()
            await asyncio.sleep(30)
        assert [(entry["event"], entry["exc_info"]) for entry in logs] == [("poll failed", True)]
        assert isinstance(poller.error, FeedError)
        assert len(source.asked_s) > 3
        await poller.stop()

    @in_virtual_time
    async def test_stops_in_the_middle_of_a_question(self):
        source = Source()
        source.takes_s = 1000
        poller = source.poller()
        poller.start()
        await asyncio.sleep(1)
        await poller.stop()
        assert asyncio.all_tasks() == {asyncio.current_task()}


def fill(number: int) -> Fill:
    return Fill(
        product="spot",
        symbol="BTC/USDT",
        id=str(number),
        order_id="1",
        side="buy",
        price=Decimal(1),
        size=Decimal(1),
        exchange_ms=number,
    )


def balance(asof_ms: int) -> Balance:
    return Balance(product="spot", asset="BTC", total=Decimal(asof_ms), asof_ms=asof_ms)


class TestJournal:
    @in_virtual_time
    async def test_stream_and_history_in_their_order(self):
        store = MemoryStore()
        told = []

        async def notify(account, kind):
            told.append((kind, len(store.rows)))

        journal = Journal(1, StoreHandle(store), notify, clock=LoopClock())
        journal.start()
        journal.stream_fills([fill(3)])
        page = asyncio.create_task(journal.history_page([fill(1), fill(2), fill(3)], ("BTC/USDT", "2")))
        await asyncio.sleep(0)
        journal.stream_fills([fill(4)])
        assert [row["id"] for row in await page] == ["1", "2"]
        await asyncio.sleep(1)
        assert [row["id"] for row in store.rows] == ["3", "1", "2", "4"]
        assert store.kept_cursors == {"BTC/USDT": "2"}
        assert told and all(kind == "fills" and rows for kind, rows in told)  # never before they are stored
        await journal.stop()

    @in_virtual_time
    async def test_transactions_are_not_endless(self):
        handle = StoreHandle(MemoryStore())

        async def notify(account, kind):
            pass

        journal = Journal(1, handle, notify, clock=LoopClock())
        for number in range(2 * BATCH + 10):
            journal.stream_fills([fill(number)])
        assert journal.waiting_fills == 2 * BATCH + 10
        journal.start()
        await journal.stop()
        assert handle.calls == ["add_fills"] * 3
        assert len(handle.store.rows) == 2 * BATCH + 10

    @in_virtual_time
    async def test_an_outdated_complete_answer_is_dropped_while_the_store_is_away(self):
        handle = StoreHandle(MemoryStore())

        async def away(_):
            raise OSError("away")

        async def notify(account, kind):
            pass

        handle.before = away
        journal = Journal(1, handle, notify, clock=LoopClock())
        journal.start()
        for number in range(1000):
            journal.balances([balance(number)], recv_ns=1, complete="spot", asof_ms=number)
            await asyncio.sleep(1)
        assert len(journal._states["balances"]) == 1
        handle.before = None
        await journal.stop(flush_s=20)
        assert handle.store.balances["spot", "BTC"].asof_ms == 999

    @in_virtual_time
    async def test_who_waits_for_a_page_is_let_go_at_the_stop(self):
        handle = StoreHandle(MemoryStore())

        async def hang(_):
            await asyncio.sleep(10_000)

        async def notify(account, kind):
            pass

        handle.before = hang
        journal = Journal(1, handle, notify, clock=LoopClock())
        journal.start()
        page = asyncio.create_task(journal.history_page([fill(1)], None))
        await asyncio.sleep(1)
        with capture_logs() as logs:
            await journal.stop()
        await asyncio.wait([page])
        assert page.cancelled()
        assert [entry["fills"] for entry in logs] == [1]
