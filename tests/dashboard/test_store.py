"""The account store: asynchronous, one thread, any number of processes.

``test_postgres.py`` runs this file on PostgreSQL too.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from structlog.testing import capture_logs

from dashboard import notes
from dashboard.models import ExchangeAccount, Fill
from dashboard.store import DjangoAccountStore
from feeds.account_domain import Checked, Finding, Transfer
from feeds.account_store import AccountStore
from tests.dashboard.values import balance, fill, order, position
from tests.shared import in_time

RECV_NS = 1_795_221_000_500_000_000

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def account(make_account: Callable[..., ExchangeAccount]) -> ExchangeAccount:
    return make_account()


@pytest.fixture
async def new_store(transactional_db: None) -> AsyncIterator[Callable[..., DjangoAccountStore]]:
    made: list[DjangoAccountStore] = []

    def make(**options: Any) -> DjangoAccountStore:
        made.append(DjangoAccountStore(**options))
        return made[-1]

    yield make
    for store in made:
        await store.close()


@pytest.fixture
def store(new_store: Callable[..., DjangoAccountStore]) -> DjangoAccountStore:
    return new_store()


@pytest.fixture
def other_account(make_account: Callable[..., ExchangeAccount]) -> ExchangeAccount:
    return make_account()


async def test_the_store_fits_the_feeds(store: DjangoAccountStore, account: ExchangeAccount) -> None:
    fits: AccountStore = store
    new = await fits.add_fills(account.pk, [fill("1"), fill("2")], source="stream", cursor=("BTC/USDT", "2"))
    assert [row["id"] for row in new] == ["1", "2"]
    assert await fits.cursors(account.pk) == {"BTC/USDT": "2"}
    assert await fits.fill_symbols(account.pk) == {"BTC/USDT"}
    await fits.put_balances(account.pk, [balance("BTC", "1.50", 100)], recv_ns=RECV_NS, complete="spot", asof_ms=100)
    await fits.put_positions(account.pk, [position("BTC/USDT:USDT", "-2", 100)], recv_ns=RECV_NS)
    await fits.put_orders(account.pk, [order("1", "open", 100)], recv_ns=RECV_NS)
    await fits.set_account_state(account.pk, "SLOW", "Frames wait.", recv_ns=RECV_NS)
    frames = {kind: await fits.account_frame(account.pk, kind) for kind in ("balances", "positions", "orders", "fills")}
    head = {
        "id": account.pk,
        "exchange": "binance",
        "label": account.label,
        "wallets": {product: product for product in account.products},
        "state": "SLOW",
        "sentence": "Frames wait.",
    }
    assert all(frame["account"] == head for frame in frames.values())
    assert [row["total"] for row in frames["balances"]["balances"]] == ["1.5"]
    assert [row["size"] for row in frames["positions"]["positions"]] == ["-2"]
    assert [row["id"] for row in frames["orders"]["orders"]] == ["1"]
    page = frames["fills"]
    assert [row["id"] for row in page["fills"]] == ["2", "1"]
    assert (page["first_row"], page["last_row"], page["more"]) == (new[0]["row"], new[1]["row"], False)


async def test_how_far_balances_were_checked(store: DjangoAccountStore, account: ExchangeAccount) -> None:
    """With all that is stored since, so that a check goes on where it ended."""
    fits: AccountStore = store
    assert await fits.checked(account.pk) == []
    booked = (("BTC/USDT", "1"),)
    held = Checked(product="spot", totals={"BTC": Decimal("1.50")}, asof_ms=100, booked=booked, only_here=True)
    later = msgspec.structs.replace(held, totals={"USDT": Decimal("-0.1")}, asof_ms=200, booked=())
    margin = msgspec.structs.replace(held, product="usdm")
    for checked in (held, later, held, margin):
        await fits.put_checked(account.pk, checked)
    assert await fits.checked(account.pk) == [later, margin]
    await fits.put_checked(account.pk + 999, held)  # an account that was just removed
    await sync_to_async(notes.begun_anew)(["kraken"], RECV_NS)
    assert await fits.checked(account.pk) == [later, margin]
    told = fill("2", exchange_ms=7000, maker=True, client_id="mine", margin=True)
    without = msgspec.structs.replace(told, margin=False)  # as its stream told it
    await fits.add_fills(account.pk, [fill("1", exchange_ms=6999), without], source="stream")
    await fits.add_fills(account.pk, [told], source="rest")
    paid = Transfer(product="usdm", id="9", kind="funding", asset="USDT", amount=Decimal("-0.5"), exchange_ms=7000)
    await fits.put_transfers(account.pk, [paid, msgspec.structs.replace(paid, id="8", exchange_ms=1)], recv_ns=RECV_NS)
    assert await fits.told_since(account.pk, 7000) == ([told], [paid])
    finding = Finding(kind="unexplained_balance", cause="balance:spot:BTC", sentence="Less.", asof_ms=1)
    await fits.put_finding(account.pk, finding, now_ns=RECV_NS)
    await sync_to_async(notes.begun_anew)([account.exchange], RECV_NS)  # a simulated exchange, started once more
    assert await fits.checked(account.pk) == []
    assert await fits.open_causes(account.pk) == set()


async def test_a_frame_holds_the_newest_fifty_fills(store: DjangoAccountStore, account: ExchangeAccount) -> None:
    new = await store.add_fills(account.pk, [fill(str(n)) for n in range(60)], source="rest")
    page = await store.account_frame(account.pk, "fills")
    assert [row["id"] for row in page["fills"]] == [str(n) for n in range(59, 9, -1)]
    assert (page["first_row"], page["last_row"], page["more"]) == (new[10]["row"], new[-1]["row"], True)


async def test_a_frame_of_a_removed_account_is_an_error(store: DjangoAccountStore) -> None:
    with pytest.raises(LookupError, match="no account 12345"):
        await store.account_frame(12345, "fills")


async def test_closing_waits_for_what_was_asked_before_and_may_be_repeated(
    store: DjangoAccountStore, account: ExchangeAccount
) -> None:
    writing = asyncio.create_task(store.add_fills(account.pk, [fill("1")], source="rest"))
    await asyncio.sleep(0)
    await store.close()
    await store.close()
    assert len(await writing) == 1
    with pytest.raises(RuntimeError, match="shutdown"):
        await store.cursors(account.pk)


async def test_closing_does_not_wait_for_a_database_that_hangs(new_store: Callable[..., DjangoAccountStore]) -> None:
    store, free = new_store(), threading.Event()
    writing = asyncio.create_task(store.run(free.wait))
    await asyncio.sleep(0)
    with capture_logs() as logs:
        await asyncio.wait_for(store.close(patience_s=0.1), in_time(2))
    assert [entry["event"] for entry in logs] == ["the database hangs, left alone"]
    assert not writing.done()
    free.set()
    assert await writing


async def test_a_lost_connection_is_made_anew(store: DjangoAccountStore, account: ExchangeAccount) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("SQLite's connection is an open file: it does not get lost")
    await store.cursors(account.pk)

    def lose() -> None:
        connection.connection.close()  # the driver's: Django does not know

    await store.run(lose)
    assert len(await store.add_fills(account.pk, [fill("1")], source="rest")) == 1


async def test_two_workers_with_the_same_fills_lose_and_double_nothing(
    new_store: Callable[..., DjangoAccountStore], account: ExchangeAccount
) -> None:
    """Each brings all of them, in pages of its own that overlap."""
    stores = [new_store(), new_store()]
    values = [fill(str(n)) for n in range(200)]
    reported: list[dict[str, Any]] = []

    async def write(store: DjangoAccountStore, step: int) -> None:
        for start in range(0, 200, step):
            page = values[max(0, start - 3) : start + step]
            reported.extend(await store.add_fills(account.pk, page, source="rest", cursor=("BTC/USDT", str(start))))

    async with asyncio.TaskGroup() as group:
        group.create_task(write(stores[0], 5))
        group.create_task(write(stores[1], 7))
    assert sorted(int(row["id"]) for row in reported) == list(range(200))
    assert await stores[0].run(Fill.objects.filter(account=account).count) == 200


async def test_who_reads_on_by_row_number_misses_nothing(
    new_store: Callable[..., DjangoAccountStore], account: ExchangeAccount, other_account: ExchangeAccount
) -> None:
    """Two workers write fills of two accounts: rows become visible in the order of their numbers."""
    reader = new_store()
    seen: list[int] = []

    def read_on() -> None:
        seen.extend(Fill.objects.filter(pk__gt=seen[-1] if seen else 0).order_by("pk").values_list("pk", flat=True))

    async def write(store: DjangoAccountStore, account: ExchangeAccount) -> None:
        for page in range(100):
            values = [fill(f"{page}-{n}") for n in range(10)]
            await store.add_fills(account.pk, values, source="rest", cursor=("BTC/USDT", str(page)))

    async def follow(writers: list[asyncio.Task[None]]) -> None:
        while not all(writer.done() for writer in writers):
            await reader.run(read_on)
        await reader.run(read_on)

    async with asyncio.TaskGroup() as group:
        writers = [group.create_task(write(new_store(), one)) for one in (account, other_account)]
        group.create_task(follow(writers))
    assert len(seen) == 2000
