"""An OKX account followed over real sockets, against the simulated OKX: every figure, and what goes wrong."""

import asyncio
import json
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from feeds.account import Credentials
from feeds.domain import StreamState
from feeds.simulator.okx.terms import KEYS
from tests.feeds.okx_world import FEW, TEST, Account, credentials, followed
from tests.feeds.peer import no_task_left, until  # noqa: F401 - a fixture
from tests.feeds.simulator_help import simulator


@pytest.fixture
async def account() -> AsyncIterator[Account]:
    async with followed() as account:
        await account.live()
        yield account


async def test_every_figure_is_the_exchanges(account):
    await account.fills(40)
    await account.fills(41, product="swap")
    await until(lambda: len(account.store.rows) == 81)
    assert "stream" in {row["source"] for row in account.store.rows}
    await account.must_agree()
    assert account.follower.position_symbols() == set(account.store.sizes()) == {"BTC/USDT:USDT"}
    await account.live()
    # each balance follows from the one before and the fills, though these name another product than the wallet
    checks = account.follower._checks
    assert [checks._wallet(product) for product in ("spot", "swap")] == [checks._balances["trading"]] * 2
    read = account.follower.rest.last_answer_ns
    await until(lambda: account.follower.rest.last_answer_ns > read + 3_500_000_000, within_s=30, what="three readings")
    assert account.store.findings == {}
    # cut while fills come: each of them once
    working = asyncio.create_task(account.fills(120, per_s=80))
    for _ in range(2):
        await asyncio.sleep(0.5)
        await account.fault("cut")
    await working
    await account.must_agree()
    # money that comes and goes
    move = {"exchange": "okx", "account": "test", "product": "spot", "asset": "USDT"}
    await account.client.post("/__sim/transfer", move | {"amount": "123.45"})
    await account.client.post("/__sim/funding", {"exchange": "okx", "account": "test"})
    await account.must_agree()
    await account.live()


async def test_what_isolated_positions_set_aside_is_still_the_accounts():
    """Each fill moves cash into the position or out of it; the wallet's total follows from fills all the same."""
    async with simulator(instruments=FEW, connects={"okx": 1000}) as client:
        desk = client.server.accounts["okx"].by_name["test"].desks["swap"]
        desk.switch(client.server.market.markets["okx", "swap", "BTC-USDT-SWAP"], isolated=True)
        async with followed(client=client) as account:
            await account.live()
            await account.fills(31, product="swap")
            await account.must_agree()
            (told,) = json.loads(await account.ask(account.api.balances_requests()[0]))["data"]
            (usdt,) = [row for row in told["details"] if row["ccy"] == "USDT"]
            total = desk.futures.cash.total("USDT")
            assert desk.futures.isolated_margin() > 0
            assert Decimal(usdt["cashBal"]) == total - desk.futures.isolated_margin()
            assert account.store.totals()["trading", "USDT"] == total
            rest, read = account.follower.rest, account.follower.rest.last_answer_ns
            await until(lambda: rest.last_answer_ns > read + 3_500_000_000, within_s=30, what="three readings")
            await account.fills(30, product="swap")
            await account.must_agree()
            assert {held.apart for held in account.store.positions.values()} == {"isolated"}
            assert account.store.findings == {}


async def test_what_happened_before_is_read_once():
    """More than a page of each list."""
    async with simulator(instruments=FEW, connects={"okx": 1000}) as client:
        for product, native in (("spot", "BTC-USDT"), ("swap", "BTC-USDT-SWAP")):
            wanted = {"exchange": "okx", "account": "test", "product": product, "symbol": native}
            await client.post("/__sim/fills", wanted | {"count": 230, "per_s": 1e6, "wait": True})
        desk = client.server.accounts["okx"].by_name["test"].desks["spot"]
        market = client.server.market.markets["okx", "spot", "BTC-USDT"]
        for n in range(130):
            desk.place(market, buy=True, size=2000, price=100_000 + n)
        async with followed(client=client) as account:
            await account.live(within_s=30)
            await account.must_agree()
            assert sum(order.status == "open" for order in account.store.orders.values()) == 130
            assert {row["source"] for row in account.store.rows} == {"rest"}
            assert set(account.store.kept_cursors) == {"SPOT", "MARGIN", "SWAP"}


@pytest.mark.parametrize("kind", ["close", "shutdown"])
async def test_an_ended_stream_is_opened_anew(account, kind):
    await account.fills(3, product="swap")
    await account.fault(kind)
    await account.fills(5)
    await account.must_agree()
    await account.live()
    before = len(account.store.rows)
    await account.fills(2)
    await account.fills(2, product="swap")
    await until(lambda: len(account.store.rows) == before + 4)
    assert [row["source"] for row in account.store.rows[-4:]] == ["stream"] * 4


async def test_trouble_passes(account):
    """REST out of order, too many requests, and a stream that tells nothing although its socket answers."""
    await account.fault("status", value=503)
    await until(lambda: account.follower.state is StreamState.STALE, within_s=10)
    await account.fills(5)
    await until(lambda: len(account.store.rows) == 5)
    await account.heal()
    await account.live()
    await account.fault("status", value=429, count=1)
    await account.fills(3)
    await account.must_agree(within_s=30)
    await account.live()
    assert account.follower.streams[0].connection.url_host


async def test_a_login_that_is_refused_for_a_while(account):
    await account.fault("reject", symbol="login")
    await account.fault("cut")
    await until(lambda: account.follower.state is StreamState.STALE, within_s=10)
    await account.heal()
    await account.live()
    await account.fills(2)
    await account.must_agree()


async def test_a_key_that_may_withdraw_is_refused():
    async with followed(credentials(KEYS.withdraw)) as account:
        await until(lambda: account.follower.state is StreamState.DOWN)
        assert "may withdraw (withdraw at Okx)" in account.follower.sentence
        assert not account.client.server.exchanges["okx"].open_sockets()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (Credentials(TEST.key, "wrong", TEST.passphrase), "Invalid Sign"),
        (Credentials(TEST.key, TEST.secret, "wrong"), "PASSPHRASE incorrect"),
        (Credentials("nobody", TEST.secret, TEST.passphrase), "Invalid OK-ACCESS-KEY"),
    ],
)
async def test_a_wrong_key_is_told_and_asked_for_no_more(wrong, words):
    async with followed(wrong) as account:
        await until(lambda: account.follower.state is StreamState.DOWN)
        assert words in account.follower.sentence


async def test_a_key_that_may_only_read_is_enough_and_nothing_is_left_of_a_stopped_one():
    async with simulator(instruments=FEW, connects={"okx": 1000}) as client:
        async with followed(credentials(KEYS.read), client=client) as account:
            await account.live()
            assert len(client.server.exchanges["okx"].open_sockets()) == 2
        await until(lambda: not client.server.exchanges["okx"].open_sockets())
