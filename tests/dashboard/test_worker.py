"""The worker around the real engine, against simulated exchanges: what it writes, answers, follows, leaves behind."""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from django.contrib.auth.models import User
from django.db import InterfaceError, OperationalError
from django.test import AsyncClient

from dashboard import auth, live, records, simulated
from dashboard.groups import FEEDS_CHANNEL
from dashboard.models import CheckedBalances, ExchangeAccount, Fill, MarketRow, SealingKey, WorkerReport
from dashboard.relay import Relay
from dashboard.worker import FeedsWorker, configuration, host_feeds
from dashboard.worker_lock import FileLock, WorkerRuns
from feeds.account import Credentials
from feeds.accounts import REGISTRY
from feeds.config import Config, ExchangeConfig, load_config
from feeds.errors import ConfigError
from feeds.keys import KeyPair, seal
from feeds.settings_table import NAME
from feeds.simulator import endpoints, start_server, venues
from feeds.simulator.keys import DATA_KEY, DATA_SECRET, READ_KEY, READ_SECRET
from tests.dashboard.deployment import in_time
from tests.dashboard.realtime import FakeBrowser, fresh_layer, until
from tests.dashboard.test_metrics import parse

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

BOOK = "book:binance:BTC/USDT"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
async def config(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Config]:
    """Both simulated exchanges, in this process, and an account with its key in the environment."""
    fresh_layer()
    settings.VAR = tmp_path
    monkeypatch.setenv("SPREADBOARD_MAIN_KEY", READ_KEY)
    monkeypatch.setenv("SPREADBOARD_MAIN_SECRET", READ_SECRET)
    server = await start_server()
    toml = tmp_path / "spreadboard.toml"
    toml.write_text(
        '[exchanges.binance]\nsimulated = true\npinned = ["BTC/USDT"]\n'
        '[exchanges.kraken]\nsimulated = true\npinned = ["BTC/USD"]\n'
        '[accounts.main]\nexchange = "binance"\nlabel = "Main"\npoll_s = 1\n'
    )
    settings.SPREADBOARD_CONFIG = toml
    monkeypatch.setenv("SPREADBOARD_VAR", str(tmp_path))
    yield simulated.at(configuration(), endpoints("127.0.0.1", server.port))
    await server.stop()


@pytest.fixture
async def worker(config: Config) -> AsyncIterator[FeedsWorker]:
    worker = FeedsWorker(config)
    await worker.start()
    hosting = asyncio.create_task(host_feeds())
    yield worker
    hosting.cancel()
    await asyncio.gather(hosting, return_exceptions=True)
    await worker.stop()


async def test_what_the_web_side_needs_is_written_down(worker: FeedsWorker) -> None:
    assert await MarketRow.objects.filter(exchange="binance", symbol="BTC/USDT", pinned=True, simulated=True).aexists()
    assert await MarketRow.objects.filter(exchange="kraken", symbol="BTC/USD", pinned=True).aexists()
    key = await SealingKey.objects.aget()
    assert key.exchanges["binance"]["products"] == ["spot", "usdm"]
    first = await WorkerReport.objects.afirst()
    later = await WorkerReport.objects.filter(recv_ns__gt=first.recv_ns if first else 0).afirst()
    deadline_s = time.monotonic() + 5
    while later is None or {s["state"] for s in later.body["streams"]} != {"LIVE"}:
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.1)
        later = await WorkerReport.objects.afirst()
    assert later.body["simulated"] == ["binance", "kraken"]
    assert first.body["pinned"] == ["binance:BTC/USDT", "kraken:BTC/USD"], "before the instruments"


async def test_prometheus_reads_what_it_reports(worker: FeedsWorker) -> None:
    client = AsyncClient()
    await client.aforce_login(await sync_to_async(auth.first_user)())
    deadline_s = time.monotonic() + 10
    name, labels = "spreadboard_stream_latency_seconds_count", {("exchange", "kraken"), ("route", "spot")}
    while True:
        answer = await client.get("/metrics")
        _, samples = parse(answer.content.decode())
        counts = [value for (sample, given), value in samples.items() if sample == name and labels <= set(given)]
        if counts and counts[0] > 0:
            break
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.2)
    assert samples["spreadboard_market_usable", (("exchange", "binance"), ("symbol", "BTC/USDT"))] == 1
    assert samples["spreadboard_rest_requests_total", (("exchange", "binance"), ("product", "spot"))] > 0
    assert any(sample == "spreadboard_worker_overhead_seconds_count" for sample, _ in samples)


async def test_browsers_get_live_books_by_lease_and_views_too(worker: FeedsWorker) -> None:
    topics = {BOOK, "book@10:binance:BTC/USDT", "quote:kraken:ETH/USD", "trades:kraken:BTC/USD", "streams"}
    async with Relay.running() as relay:
        browser = FakeBrowser()
        relay.attach(browser)
        relay.subscribe(browser, topics)
        await until(lambda: {f["topic"] for f in browser.frames} == topics, "a frame of each topic", 10)
        await until(
            lambda: browser.state("quote:kraken:ETH/USD") == "LIVE", "a market that is not pinned to be live", 10
        )
        book = await until(lambda: browser.state(BOOK) == "LIVE" and browser.newest(BOOK), "a live book")
        assert len(book["data"]["bids"]) == len(book["data"]["asks"]) == 25
        relay.detach(browser)
    frame = json.loads(await live.newest_frame("book:binance:ETH/USDT", 10))
    assert frame["topic"] == "book:binance:ETH/USDT"
    bars = await live.candles("binance", "BTC/USDT", "1m", 5, 10)
    assert len(bars) == 5
    for exchange, symbol in (("nowhere", "BTC/USDT"), ("binance", "NO/SUCH")):
        with pytest.raises(live.Refused):
            await live.candles(exchange, symbol, "1m", 5, 10)
    with pytest.raises(live.Refused, match="no market"):
        await live.newest_frame("book:binance:NO/SUCH", 10)


async def test_messages_that_make_no_sense_end_nothing(worker: FeedsWorker) -> None:
    layer = get_channel_layer()
    for message in ({"type": "feeds.lease"}, {"type": "feeds.nothing"}, {"type": "feeds.candles", "relay": "x"}):
        await layer.send(FEEDS_CHANNEL, message)
    assert json.loads(await live.newest_frame(BOOK, 10))["topic"] == BOOK


async def test_an_account_of_the_environment_is_followed(worker: FeedsWorker) -> None:
    account = await ExchangeAccount.objects.aget(name="main")
    assert account.source == "environment"
    deadline_s = time.monotonic() + 15
    while account.state != "LIVE":
        assert time.monotonic() < deadline_s, (account.state, account.sentence)
        await asyncio.sleep(0.1)
        await account.arefresh_from_db()
    topic = f"balances:{account.pk}"
    assert json.loads(await live.newest_frame(topic, 10))["data"]["balances"]
    await until(lambda: Fill.objects.filter(account=account).acount, "fills")


async def test_an_account_that_a_user_enters_and_removes(worker: FeedsWorker) -> None:
    user = await sync_to_async(User.objects.create_user)("anna")
    key = await SealingKey.objects.aget()
    sealed = seal(key.public_key, Credentials(READ_KEY, READ_SECRET))
    account = await ExchangeAccount.objects.acreate(
        owner=user, exchange="binance", label="Mine", products=["spot"], sealed=sealed, key_id=key.key_id, poll_s=1.0
    )
    lost = await ExchangeAccount.objects.acreate(
        owner=user,
        exchange="binance",
        label="Lost",
        products=["spot"],
        sealed=seal(KeyPair_other(), Credentials("k", "s")),
    )
    await sync_to_async(live.accounts_changed)()
    deadline_s = time.monotonic() + 15
    while account.state != "LIVE" or lost.state != "DOWN":
        assert time.monotonic() < deadline_s, (account.state, account.sentence, lost.state, lost.sentence)
        await asyncio.sleep(0.1)
        await account.arefresh_from_db()
        await lost.arefresh_from_db()
    assert "cannot be opened" in lost.sentence
    assert worker.engine is not None
    assert account.pk in set(worker.engine.followed())
    number = account.pk
    await account.adelete()
    await sync_to_async(live.accounts_changed)()
    await until(lambda: number not in set(worker.engine.followed()), "the end of following")


async def test_an_exchange_that_takes_its_time_with_an_account_that_goes_holds_up_nobody(
    worker: FeedsWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its orders are cancelled at the end: before, no lease, order or cancel of anybody was heard meanwhile."""
    assert worker.engine is not None and worker._roster is not None
    going, hang = [], asyncio.Event()

    async def unfollow(account: int) -> None:
        going.append(account)
        await hang.wait()

    monkeypatch.setattr(worker.engine, "unfollow", unfollow)
    worker._roster._followed |= dict.fromkeys((901, 902))  # two that the database does not have any more
    await sync_to_async(live.accounts_changed)()
    await until(lambda: sorted(going) == [901, 902], "the end of both, side by side")
    assert json.loads(await live.newest_frame("book:kraken:BTC/USD", 3))["topic"] == "book:kraken:BTC/USD"
    reloaded = asyncio.Event()
    monkeypatch.setattr(worker.engine.together._store, "user_fees", lambda: reloaded.set() or hang.wait())
    await sync_to_async(live.across_changed)()
    await asyncio.wait_for(reloaded.wait(), 3)
    hang.set()


async def test_a_query_that_hangs_in_the_process_stops_no_lease(worker: FeedsWorker) -> None:
    """Pages ask the database in the one thread that asgiref has for a process."""
    hang, hangs = threading.Event(), threading.Event()
    query = asyncio.create_task(sync_to_async(lambda: (hangs.set(), hang.wait(20)))())
    await until(hangs.is_set, "the query")
    try:
        assert json.loads(await live.newest_frame(BOOK, 3))["topic"] == BOOK
    finally:
        hang.set()
        await query


def KeyPair_other() -> str:
    from nacl.public import PrivateKey

    return KeyPair(PrivateKey.generate()).public_key


async def test_stopping_is_quick_leaves_nothing_and_may_be_done_twice(config: Config) -> None:
    before = asyncio.all_tasks()
    worker = FeedsWorker(config)
    await worker.start()
    hosting = asyncio.create_task(host_feeds())
    await asyncio.sleep(0.5)
    hosting.cancel()
    await asyncio.gather(hosting, return_exceptions=True)
    began_s = time.monotonic()
    await worker.stop()
    await worker.stop()
    assert time.monotonic() - began_s < in_time(5)
    assert {task.get_name() for task in asyncio.all_tasks() - before} == set()
    assert FeedsWorker.current is None
    assert list(config.state_dir.iterdir()), "the state is saved"


async def test_a_second_worker_is_refused_and_the_first_goes_on(worker: FeedsWorker, config: Config) -> None:
    other = FeedsWorker(config)
    with pytest.raises(WorkerRuns, match=f"process {os.getpid()}"):
        await other.start()
    FeedsWorker.current = worker
    assert json.loads(await live.newest_frame(BOOK, 10))["topic"] == BOOK


async def test_a_key_that_is_not_set_stops_the_start(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPREADBOARD_MAIN_SECRET")
    worker = FeedsWorker(config)
    with pytest.raises(ConfigError, match="SPREADBOARD_MAIN_SECRET"):
        await worker.start()
    again = FeedsWorker(config)
    monkeypatch.setenv("SPREADBOARD_MAIN_SECRET", READ_SECRET)
    await again.start()  # nothing of the first one is in the way
    await again.stop()


async def test_a_lock_lost_to_another_worker_ends_this_one(
    worker: FeedsWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken() -> None:
        raise WorkerRuns("A worker runs already: another one.")

    monkeypatch.setattr(worker._lock, "check", taken)
    assert await asyncio.wait_for(worker.failed, 5) == "A worker runs already: another one."


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
async def test_a_database_that_fails_for_a_while_is_no_end(
    worker: FeedsWorker, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise error("away")

    with monkeypatch.context() as patch:
        patch.setattr(records, "put_report", fails)
        await until(lambda: worker._database.lasting, "the outage")
    await until(lambda: not worker._database.lasting, "its end")
    assert not worker.failed.done()


def test_the_lock_of_a_killed_process_is_free_at_once(tmp_path: Path) -> None:
    path = tmp_path / "db.sqlite3.worker"
    code = (
        "import sys; from pathlib import Path; from dashboard.worker_lock import FileLock\n"
        "lock = FileLock(Path(sys.argv[1])); lock.acquire(); print('held', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    lock = FileLock(path)
    with pytest.raises(WorkerRuns, match=f"process {child.pid}"):
        lock.acquire()
    child.kill()
    child.wait()
    child.communicate()
    lock.acquire()
    lock.release()
    lock.release()


def test_the_demo_has_an_account_wherever_the_simulator_and_the_engine_have_one() -> None:
    from dashboard.roster import demo_accounts

    demo = load_config(None, {})
    found = {account.exchange: account for account in demo_accounts(demo)}
    assert set(found) >= {"binance", "bybit", "okx", "kraken", "krakenfutures"}
    assert set(found) == {name for name in demo.exchanges if name in REGISTRY and venues.REGISTRY[name].terms}
    for name, account in found.items():
        terms = venues.REGISTRY[name].terms
        assert terms is not None
        assert set(account.products) == set(terms.products) & set(demo.exchanges[name].products)
        assert NAME.fullmatch(account.name)
    assert len({account.label for account in found.values()}) == len(found)
    written = (ROOT / "static/js/exchanges.js").read_text()
    for name, account in found.items():
        assert f'{name}: ["{account.label}", ' in written


async def test_what_the_configuration_calls_simulated_is_simulated(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The simulator is started for it, anew, and ends with the worker."""
    fresh_layer()
    settings.VAR = tmp_path
    monkeypatch.setenv("SPREADBOARD_VAR", str(tmp_path))
    settings.SPREADBOARD_CONFIG = tmp_path / "spreadboard.toml"
    settings.SPREADBOARD_CONFIG.write_text(
        '[exchanges.alpaca]\nsimulated = true\npinned = ["BTC/USD"]\n[exchanges.binance]\nenabled = false\n'
    )
    owner = await sync_to_async(auth.first_user)()
    before = await ExchangeAccount.objects.acreate(owner=owner, exchange="alpaca", label="Before", products=["crypto"])
    real = await ExchangeAccount.objects.acreate(owner=owner, exchange="okx", label="Real", products=["spot"])
    for account in (before, real):
        await CheckedBalances.objects.acreate(account=account, product="x", totals={}, asof_ms=1)
    worker = FeedsWorker(configuration())
    await worker.start()
    try:
        engine, process = worker.engine, worker._simulator
        assert engine is not None and process is not None
        assert set(engine.venues["alpaca"].config.endpoints.values()) >= {
            f"http://{process.host}:{process.port}/alpaca"
        }
        await until(lambda: engine.venues["alpaca"].feeds["BTC/USD"].state == "LIVE", "a simulated book", 20)
        assert await MarketRow.objects.filter(exchange="alpaca", symbol="BTC/USD", simulated=True).aexists()
        kept = [row.account_id async for row in CheckedBalances.objects.filter(product="x")]
        assert kept == [real.pk], "balances of a former life are no beginning"
    finally:
        await worker.stop()
    assert process.process.returncode is not None


def test_exchanges_elsewhere_stay_where_they_are() -> None:
    there = {"spot.ws": "ws://127.0.0.1:9", "spot.rest": "http://127.0.0.1:9"}
    places = {
        "kraken": ExchangeConfig(name="kraken", simulated=True, products=("spot",), endpoints=there),
        "okx": ExchangeConfig(name="okx", products=("spot",)),
        "bybit": ExchangeConfig(name="bybit", simulated=True, replay=True, products=("spot",)),
    }
    config = Config(path=None, exchanges=places)
    assert simulated.at(config, endpoints("127.0.0.1", 1)) == config
    assert simulated.start(config) == (config, None)


def test_simulated_exchanges_get_the_key_of_their_market_data() -> None:
    places = {
        name: ExchangeConfig(name=name, simulated=True, products=products)
        for name, products in {"alpaca": ("crypto",), "kraken": ("spot",)}.items()
    }
    moved = simulated.at(Config(path=None, exchanges=places), endpoints("127.0.0.1", 1)).exchanges
    assert moved["alpaca"].credentials == Credentials(DATA_KEY, DATA_SECRET)
    assert moved["alpaca"].endpoints["crypto.trading"] == "http://127.0.0.1:1/alpaca"
    assert moved["kraken"].credentials is None
