"""The relay against a worker on the in-memory layer: leases, newest frames, lost frames, silence."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

import dashboard.relay
from dashboard import live
from dashboard.groups import WORKERS_GROUP, group_of
from dashboard.outbox import INTERVAL_S
from dashboard.relay import Refused, Relay
from feeds.staleness import as_stale
from tests.dashboard.realtime import FakeBrowser, FakeWorker, frame, fresh_layer, until

BOOK = "book:binance:BTC/USDT"
QUOTE = "quote:kraken:BTC/USD"


@pytest.fixture
async def worker() -> AsyncIterator[FakeWorker]:
    fresh_layer()
    async with FakeWorker().running() as worker:
        yield worker


@pytest.fixture
async def relay(worker: FakeWorker) -> AsyncIterator[Relay]:
    async with Relay.running() as relay:
        yield relay


@pytest.fixture
def browser(relay: Relay) -> FakeBrowser:
    browser = FakeBrowser()
    relay.attach(browser)
    return browser


@pytest.fixture
def soon_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard.relay, "SILENT_S", 1.5)
    monkeypatch.setattr(dashboard.relay, "LOOK_S", 0.05)


def other_tasks() -> set[str]:
    return {task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("relay")}


async def test_a_subscription_leases_the_topic_and_brings_its_newest_frame(
    worker: FakeWorker, relay: Relay, browser: FakeBrowser
) -> None:
    worker.frames[BOOK] = frame(BOOK, 7)
    relay.subscribe(browser, [BOOK])
    await until(lambda: browser.newest(BOOK), "the frame")
    assert [f["n"] for f in browser.frames] == [7]
    assert worker.leases[-1]["topics"] == [BOOK]
    assert worker.leases[-1]["ttl_s"] == 30


async def test_published_frames_come_and_the_last_one_always(
    worker: FakeWorker, relay: Relay, browser: FakeBrowser
) -> None:
    relay.subscribe(browser, [BOOK, QUOTE])
    await until(lambda: worker.leased == {BOOK, QUOTE}, "the lease")
    for n in range(1, 201):
        worker.publish(BOOK, frame(BOOK, n))
        worker.publish(QUOTE, frame(QUOTE, n))
        if n % 20 == 0:
            await asyncio.sleep(0.01)
            if browser.bundles:
                relay.confirmed(browser, browser.bundles[-1]["bundle"])
    for topic in (BOOK, QUOTE):
        await until(lambda topic=topic: (browser.newest(topic) or {}).get("n") == 200, f"the last frame of {topic}")
        numbers = [f["n"] for f in browser.frames if f["topic"] == topic]
        assert numbers == sorted(set(numbers))
    assert relay.lost == 0


async def test_the_second_browser_gets_the_held_frame_without_the_worker(
    worker: FakeWorker, relay: Relay, browser: FakeBrowser
) -> None:
    worker.frames[BOOK] = frame(BOOK)
    relay.subscribe(browser, [BOOK])
    await until(lambda: browser.newest(BOOK), "the first browser's frame")
    leases = len(worker.leases)
    second = FakeBrowser()
    relay.attach(second)
    relay.subscribe(second, [BOOK])
    await until(lambda: second.newest(BOOK), "the second browser's frame")
    assert len(worker.leases) == leases


async def test_what_nobody_watches_is_given_up_and_its_frame_forgotten(
    worker: FakeWorker, relay: Relay, browser: FakeBrowser
) -> None:
    worker.frames[BOOK] = frame(BOOK)
    relay.subscribe(browser, [BOOK, QUOTE])
    await until(lambda: browser.newest(BOOK), "the frame")
    relay.unsubscribe(browser, [BOOK])
    assert relay.board.get(BOOK) is None
    await until(lambda: worker.leased == {QUOTE}, "the smaller lease")
    relay.detach(browser)
    relay.detach(browser)
    await until(lambda: worker.leased == set(), "the empty lease")


async def test_a_topic_left_and_taken_again_at_once_is_sent_again(
    worker: FakeWorker, relay: Relay, browser: FakeBrowser
) -> None:
    worker.frames[BOOK] = frame(BOOK)
    relay.subscribe(browser, [BOOK])
    await until(lambda: browser.newest(BOOK), "the frame")
    relay.unsubscribe(browser, [BOOK])
    relay.subscribe(browser, [BOOK])  # before the worker was told: for it, nothing has changed
    await until(lambda: len(browser.frames) == 2, "the frame once more")


async def test_leases_are_sent_at_most_ten_times_a_second(
    worker: FakeWorker, relay: Relay, browser: FakeBrowser
) -> None:
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    for n in range(50):
        relay.subscribe(browser, [f"book:binance:C{n}/USDT"])
        await asyncio.sleep(0.01)
    await until(lambda: len(worker.leased) == 50, "all 50 topics")
    assert len(worker.leases) <= (loop.time() - began_s) * 10 + 2


async def test_a_frame_that_the_layer_lost_is_asked_for_again(
    worker: FakeWorker, relay: Relay, browser: FakeBrowser
) -> None:
    relay.subscribe(browser, [BOOK])
    await until(lambda: BOOK in worker.leased, "the lease")
    worker.publish(BOOK, frame(BOOK, 1))
    await until(lambda: browser.newest(BOOK), "the first frame")
    layer = worker.layer
    relay_channel = next(iter(layer.groups[group_of(BOOK)]))
    await layer.group_discard(group_of(BOOK), relay_channel)  # what is sent now comes nowhere
    worker.publish(BOOK, frame(BOOK, 2))
    await until(lambda: worker.sink._numbers.get(BOOK, 0) == 2, "the lost frame to be sent")
    await layer.group_add(group_of(BOOK), relay_channel)
    await until(lambda: (browser.newest(BOOK) or {}).get("n") == 2, "the lost frame")
    assert relay.lost >= 1


async def test_a_lost_lease_is_noticed_by_the_beat(worker: FakeWorker, relay: Relay, browser: FakeBrowser) -> None:
    worker.frames[BOOK] = frame(BOOK)
    relay.subscribe(browser, [BOOK])
    await until(lambda: browser.newest(BOOK), "the frame")
    worker.topics.clear()  # as if it had never got the lease
    worker.sink.leased = frozenset()
    leases = len(worker.leases)
    await until(lambda: len(worker.leases) > leases, "another lease")
    assert worker.leased == {BOOK}


async def test_what_a_living_worker_does_not_send_any_more_is_stale_until_a_frame_comes(
    worker: FakeWorker, relay: Relay, browser: FakeBrowser, soon_silent: None
) -> None:
    """The lease is lost for good: before, the last book stayed LIVE for ever."""
    worker.frames |= {BOOK: frame(BOOK, markets=[{"state": "LIVE", "reason": "", "age_ms": 0}]), QUOTE: frame(QUOTE)}
    relay.subscribe(browser, [BOOK, QUOTE])
    await until(lambda: browser.state(BOOK) == browser.state(QUOTE) == "LIVE", "live frames")
    relay.confirmed(browser, browser.bundles[-1]["bundle"])
    with patch.object(worker, "_lease", lambda message: None):
        worker.sink.leased = frozenset({QUOTE})
        began_s = asyncio.get_running_loop().time()
        await until(lambda: browser.state(BOOK) == "STALE", "the stale book")
        assert asyncio.get_running_loop().time() - began_s >= 1.4, "not at the first beat: a renewal mends most"
        [row] = (browser.newest(BOOK) or {})["data"]["markets"]
        assert (row["reason"], row["age_ms"] >= 1400) == ("The worker does not send this at the moment.", True)
        assert (relay.silent, browser.state(QUOTE)) == (False, "LIVE")
        assert json.loads(relay.board.get(BOOK) or "")["state"] == "STALE", "for browsers that come now, too"
        relay.confirmed(browser, browser.bundles[-1]["bundle"])
    await until(lambda: browser.state(BOOK) == "LIVE", "the book by the lease that is renewed")


async def test_a_stale_topic_is_asked_for_until_its_frame_comes(
    worker: FakeWorker, relay: Relay, browser: FakeBrowser, soon_silent: None
) -> None:
    """The lease stands again, but the answer got lost, and of a quiet topic nothing else would come."""
    worker.frames[BOOK] = frame(BOOK)
    relay.subscribe(browser, [BOOK])
    await until(lambda: browser.state(BOOK) == "LIVE", "a live frame")
    relay._fall_silent("the test says so")
    worker.frames.clear()
    await until(lambda: not relay.silent, "the beat")
    leases = len(worker.leases)
    await until(lambda: len(worker.leases) >= leases + 2, "two more questions")
    assert browser.state(BOOK) == "STALE"
    relay.confirmed(browser, browser.bundles[-1]["bundle"])
    worker.frames[BOOK] = frame(BOOK)
    await until(lambda: browser.state(BOOK) == "LIVE", "the answer")


class Fails:
    """A channel layer that raises what redis-py does while it reconnects, which is none of its own errors."""

    def __init__(self) -> None:
        self.tried: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def fails(*_: Any) -> Any:
            self.tried[name] += 1
            raise RuntimeError("readuntil() called while another coroutine is already waiting for incoming data")

        return fails


async def test_a_layer_that_raises_anything_ends_neither_hearing_nor_leases(
    worker: FakeWorker, relay: Relay, browser: FakeBrowser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.uplink.RETRY_S", 0.02)
    await until(lambda: worker.leases, "the first lease")
    worker.frames[BOOK] = frame(BOOK)
    fails = Fails()
    with capture_logs() as logs:
        relay.uplink.layer = fails
        relay.subscribe(browser, [BOOK])
        await until(lambda: fails.tried["receive"] > 2 and fails.tried["group_add"] > 2, "several tries of both")
        relay.uplink.layer = worker.layer
        await until(lambda: browser.state(BOOK) == "LIVE", "the frame")
    assert [line["event"] for line in logs].count("channel layer broken") == 2, "once for each of the two"


async def test_a_relay_that_cannot_say_farewell_begins_anew(worker: FakeWorker) -> None:
    """Before, an error of the layer there left the next relay out of the groups that it had been in."""
    worker.frames[BOOK] = frame(BOOK)
    for fails in (True, False):
        async with Relay.running() as relay:
            browser = FakeBrowser()
            relay.attach(browser)
            relay.subscribe(browser, [BOOK])
            await until(lambda browser=browser: browser.state(BOOK) == "LIVE", "the frame")
            assert len(worker.layer.groups[group_of(BOOK)]) == (1 if fails else 2)
            relay.detach(browser)
            if fails:
                relay.uplink.layer = Fails()


async def test_an_overtaken_frame_is_not_shown(worker: FakeWorker, relay: Relay, browser: FakeBrowser) -> None:
    relay.subscribe(browser, [BOOK])
    await until(lambda: BOOK in worker.leased, "the lease")
    group = group_of(BOOK)
    message = {"type": "relay.frame", "topic": BOOK, "worker": 1000}
    await worker.layer.group_send(group, {**message, "frame": frame(BOOK, 9), "number": 9})
    await worker.layer.group_send(group, {**message, "frame": frame(BOOK, 8), "number": 8})
    await worker.layer.group_send(group, {**message, "frame": frame(BOOK, 10), "number": 10})
    await until(lambda: (browser.newest(BOOK) or {}).get("n") == 10, "the newest frame")
    assert 8 not in [f["n"] for f in browser.frames]


async def test_a_message_that_is_not_understood_ends_nothing(
    worker: FakeWorker, relay: Relay, browser: FakeBrowser
) -> None:
    relay.subscribe(browser, [BOOK])
    await until(lambda: BOOK in worker.leased, "the lease")
    await worker.layer.group_send(WORKERS_GROUP, {"type": "relay.worker"})
    await worker.layer.group_send(WORKERS_GROUP, {"type": "relay.worker", "state": "up", "worker": 1, "numbers": []})
    await worker.layer.group_send(WORKERS_GROUP, {"type": "relay.unheard_of"})
    worker.publish(BOOK, frame(BOOK))
    await until(lambda: browser.newest(BOOK), "the frame")


async def test_a_refused_topic_is_told_and_no_longer_subscribed(
    worker: FakeWorker, relay: Relay, browser: FakeBrowser
) -> None:
    relay.subscribe(browser, [BOOK])
    await until(lambda: worker.leases, "the lease")
    worker.sink.refuse(worker.leases[-1]["relay"], BOOK, "There is no such market.")
    await until(lambda: browser.refusals, "the refusal")
    assert browser.refusals == [(BOOK, "There is no such market.")]
    assert browser.outbox.topics == frozenset()


async def test_a_silent_worker_makes_everything_stale_and_its_return_makes_it_good(
    worker: FakeWorker, relay: Relay, browser: FakeBrowser, soon_silent: None
) -> None:
    worker.frames[BOOK] = frame(BOOK, bids=[[1, 2]])
    worker.frames[QUOTE] = frame(QUOTE)
    relay.subscribe(browser, [BOOK, QUOTE])
    await until(lambda: browser.state(BOOK) == browser.state(QUOTE) == "LIVE", "live frames")
    await worker.die()
    await until(lambda: browser.state(BOOK) == browser.state(QUOTE) == "STALE", "stale frames")
    newest = browser.newest(BOOK)
    assert newest is not None
    assert newest["data"] == {"bids": [[1, 2]]}
    relay.confirmed(browser, browser.bundles[-1]["bundle"])
    async with FakeWorker(worker=2000).running() as again:
        again.frames = {BOOK: frame(BOOK, 1), QUOTE: frame(QUOTE, 1, state="SYNCING")}
        await until(lambda: browser.state(BOOK) == "LIVE", "the book from the new worker")
        await until(lambda: browser.state(QUOTE) == "SYNCING", "the quote from the new worker")


async def test_a_worker_that_was_only_cut_off_is_asked_for_everything_again(
    worker: FakeWorker, relay: Relay, browser: FakeBrowser, soon_silent: None
) -> None:
    """What changed meanwhile was lost, so the frame of before must not be shown as live again."""
    worker.frames[BOOK] = frame(BOOK, 1)
    relay.subscribe(browser, [BOOK])
    await until(lambda: browser.state(BOOK) == "LIVE", "a live frame")
    groups = dict(worker.layer.groups)
    worker.layer.groups.clear()
    await until(lambda: browser.state(BOOK) == "STALE", "the stale frame")
    worker.publish(BOOK, frame(BOOK, 2))
    relay.confirmed(browser, browser.bundles[-1]["bundle"])
    worker.layer.groups.update(groups)
    await until(lambda: browser.state(BOOK) == "LIVE", "a live frame again")
    assert [f["n"] for f in browser.frames if f["state"] == "LIVE"] == [1, 2]


async def test_a_worker_that_stops_makes_everything_stale_at_once(
    worker: FakeWorker, relay: Relay, browser: FakeBrowser
) -> None:
    worker.frames[BOOK] = frame(BOOK)
    relay.subscribe(browser, [BOOK])
    await until(lambda: browser.state(BOOK) == "LIVE", "a live frame")
    await worker.sink.stop()
    await until(lambda: browser.state(BOOK) == "STALE", "the stale frame", timeout_s=1.0)


async def test_a_browser_that_confirms_nothing_gets_little_and_is_let_go(
    worker: FakeWorker, relay: Relay, browser: FakeBrowser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.outbox.CAP_S", 0.2)
    monkeypatch.setattr("dashboard.outbox.PATIENCE_S", 0.5)
    relay.subscribe(browser, [BOOK])
    await until(lambda: BOOK in worker.leased, "the lease")
    loop = asyncio.get_running_loop()
    began_s, n = loop.time(), 0
    while not browser.let_go:
        assert loop.time() - began_s < 5
        n += 1
        worker.publish(BOOK, frame(BOOK, n))
        await asyncio.sleep(0.01)
    assert len(browser.bundles) <= 0.2 / INTERVAL_S + 1  # what fits into the cap, however much was published


async def test_a_browser_that_cannot_be_reached_does_not_stop_the_others(
    worker: FakeWorker, relay: Relay, browser: FakeBrowser, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = FakeBrowser()

    def fail(bundle: object) -> None:
        raise RuntimeError("gone")

    monkeypatch.setattr(broken, "deliver", fail)
    relay.attach(broken)
    for each in (broken, browser):
        relay.subscribe(each, [BOOK])
    await until(lambda: BOOK in worker.leased, "the lease")
    for n in (1, 2):
        worker.publish(BOOK, frame(BOOK, n))
        await until(lambda n=n: (browser.newest(BOOK) or {}).get("n") == n, f"frame {n}")
    relay.detach(broken)


async def test_views_get_a_frame_of_a_topic_that_nobody_watched(worker: FakeWorker) -> None:
    worker.frames[BOOK] = frame(BOOK, 5)
    assert json.loads(await live.newest_frame(BOOK, 2.0))["n"] == 5
    await until(lambda: worker.leased == set(), "the lease to end")
    assert other_tasks() == set()


async def test_views_get_nothing_in_time_from_a_dead_worker() -> None:
    fresh_layer()
    with pytest.raises(TimeoutError):
        await live.newest_frame(BOOK, 0.1)
    with pytest.raises(TimeoutError):
        await live.candles("binance", "BTC/USDT", "1m", 5, 0.1)


async def test_views_are_told_of_a_refusal(worker: FakeWorker) -> None:
    asking = asyncio.create_task(live.newest_frame(BOOK, 5.0))
    await until(lambda: worker.leases, "the lease")
    worker.sink.refuse(worker.leases[-1]["relay"], BOOK, "No such market.")
    with pytest.raises(Refused, match="No such market"):
        await asking


async def test_views_get_candles(worker: FakeWorker) -> None:
    asking = asyncio.create_task(live.candles("binance", "BTC/USDT", "1m", 2, 5.0))
    question = (await until(lambda: worker.questions, "the question"))[0]
    assert question["type"] == "feeds.candles"
    assert [question[k] for k in ("exchange", "symbol", "interval", "limit")] == ["binance", "BTC/USDT", "1m", 2]
    answer = {"type": "relay.answer", "question": question["question"], "result": [{"open_ms": 0}], "error": ""}
    await worker.layer.send(question["relay"], answer)
    assert await asking == [{"open_ms": 0}]


async def test_the_relay_ends_with_its_last_user_and_leaves_nothing_behind(worker: FakeWorker) -> None:
    async with Relay.running() as first:
        async with Relay.running() as second:
            assert second is first
        assert other_tasks() != set()
    assert other_tasks() == set()
    assert not any(name.startswith("topic.") or name == WORKERS_GROUP for name in worker.layer.groups)
    async with Relay.running() as third:
        browser = FakeBrowser()
        third.attach(browser)
        third.subscribe(browser, [BOOK])
        await until(lambda: BOOK in worker.leased, "the lease of the relay that came after")
        third.detach(browser)


def test_stale_marks_every_state_and_nothing_else() -> None:
    streams = {
        "topic": "streams",
        "n": 1,
        "data": {
            "worker": {"cpu": 0.5},
            "markets": [{"symbol": "BTC/USDT", "state": "LIVE", "reason": "", "age_ms": 60, "seq": 2**60}],
            "connections": [{"state": "LIVE", "reason": "", "last_data_age_ms": None}],
        },
    }
    changed = json.loads(as_stale(json.dumps(streams), 1000))
    market = {"symbol": "BTC/USDT", "state": "STALE", "reason": "The worker is silent.", "age_ms": 1060, "seq": 2**60}
    assert changed["data"]["markets"] == [market]
    assert changed["data"]["connections"][0]["state"] == "STALE"
    assert changed["data"]["worker"] == {"cpu": 0.5}
    assert "state" not in changed
    account = {"topic": "orders:7", "n": 1, "data": {"account": {"state": "LIVE", "sentence": ""}, "orders": []}}
    assert json.loads(as_stale(json.dumps(account)))["data"]["account"]["state"] == "STALE"


def test_a_text_that_only_looks_like_a_state_is_left_alone() -> None:
    text = json.dumps({"topic": "x", "state": "LIVE", "data": {"note": '"state":"LIVE"', "bids": [[1, 2]]}})
    assert json.loads(as_stale(text)) == {
        "topic": "x",
        "state": "STALE",
        "data": {"note": '"state":"LIVE"', "bids": [[1, 2]]},
    }


@given(st.text(max_size=200), st.text(max_size=200))
def test_group_names_are_allowed_and_different_for_different_topics(first: str, second: str) -> None:
    from channels.layers import InMemoryChannelLayer

    for topic in (first, second):
        try:
            topic.encode()
        except UnicodeEncodeError:
            return
    assert InMemoryChannelLayer().require_valid_group_name(group_of(first))
    assert (group_of(first) == group_of(second)) == (first == second)


def test_long_topics_get_group_names_of_their_own() -> None:
    topics = [f"book@10:binance:{'A' * 120}{n}/USDT" for n in range(50)]
    assert len({group_of(topic) for topic in topics}) == 50
    assert all(len(group_of(topic)) < 100 for topic in topics)
