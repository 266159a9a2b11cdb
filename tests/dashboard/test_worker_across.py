"""Several exchanges together, from simulated exchanges through the worker to a browser's WebSocket and the REST API."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.test import AsyncClient

from dashboard import auth, simulated
from dashboard.models import ArbitrageEvent, FeeRow
from dashboard.worker import FeedsWorker, configuration, host_feeds
from feeds.across.arbitrage import ABANDONED
from feeds.config import Config
from feeds.simulator import SimulatorServer, endpoints, start_server
from feeds.simulator.faults import Fault
from tests.dashboard.realtime import fresh_layer
from tests.dashboard.test_consumers import Browser, Message, bearer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

ACROSS, MATRIX, ARBITRAGE = "across:BTC/USDT", "matrix@0.2:BTC/USDT", "arbitrage"
SETTINGS = "/api/arbitrage/settings/"


@pytest.fixture
async def server() -> AsyncIterator[SimulatorServer]:
    fresh_layer()
    server = await start_server()
    yield server
    await server.stop()


@pytest.fixture
def config(server: SimulatorServer, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Config:
    settings.VAR = tmp_path
    monkeypatch.setenv("SPREADBOARD_VAR", str(tmp_path))
    settings.SPREADBOARD_CONFIG = tmp_path / "spreadboard.toml"
    settings.SPREADBOARD_CONFIG.write_text(
        "[exchanges.binance]\nsimulated = true\nstale_s = 1.5\n"
        "[exchanges.kraken]\nsimulated = true\nstale_s = 1.5\n"
        f'[across]\nwatch = ["{MATRIX}"]\n'
        "[fees.kraken.spot]\nmaker_bps = 16\ntaker_bps = 26\n"
    )
    return simulated.at(configuration(), endpoints("127.0.0.1", server.port))


async def run(config: Config) -> AsyncIterator[FeedsWorker]:
    worker = FeedsWorker(config)
    await worker.start()
    hosting = asyncio.create_task(host_feeds())
    yield worker
    hosting.cancel()
    await asyncio.gather(hosting, return_exceptions=True)
    await worker.stop()


@pytest.fixture
async def worker(config: Config) -> AsyncIterator[FeedsWorker]:
    async for worker in run(config):
        yield worker


@pytest.fixture
async def token(worker: FeedsWorker) -> str:
    user = await sync_to_async(User.objects.create_user)("anna")
    return await sync_to_async(auth.new_api_token)(user)


@pytest.fixture
async def browser(token: str) -> AsyncIterator[Browser]:
    browser = Browser(bearer(token))
    assert (await browser.open())["type"] == "hello"
    yield browser
    await browser.disconnect()


async def frame(browser: Browser, topic: str, good: Callable[[Message], Any]) -> Message:
    """The next frame of a topic that is so."""
    async with asyncio.timeout(15):
        while True:
            found = await browser.frame(topic)
            if good(found):
                return found


def usable(found: Message) -> list[bool]:
    return [leg["usable"] for leg in found["data"]["legs"]]


async def put(token: str, path: str, body: Any) -> Any:
    answer = await AsyncClient().put(
        path, json.dumps(body), content_type="application/json", headers={"Authorization": f"Bearer {token}"}
    )
    assert answer.status_code == 200, answer.content
    return answer.json()


async def get(token: str, path: str) -> Any:
    answer = await AsyncClient().get(path, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.content
    return answer.json()


async def test_from_the_exchanges_to_a_browser(server: SimulatorServer, browser: Browser, token: str) -> None:
    assert (await browser.ask({"type": "subscribe", "topics": ["across:NO/SUCH"]}))["type"] == "subscribed"
    unknown = await browser.answer()
    assert unknown == {
        "type": "error",
        "code": "unknown_topic",
        "topic": "across:NO/SUCH",
        "message": "No exchange has a market 'NO/SUCH'.",
    }
    ours = await browser.ask({"type": "subscribe", "topics": ["leg:binance:BTC/USDT"]})
    assert ours["code"] == "unknown_topic", "a leg is nobody's to watch"
    answer = await browser.ask({"type": "subscribe", "topics": [ACROSS, "matrix@0.20,taker:BTC/USDT"]})
    assert answer["topics"] == [ACROSS, MATRIX]

    book = await frame(browser, ACROSS, lambda f: usable(f) == [True, True])
    assert book["data"]["bid"]["price"] == max(leg["bids"][0][0] for leg in book["data"]["legs"])
    matrix = await frame(browser, MATRIX, lambda f: all(pair["net"] for pair in f["data"]["pairs"]))
    fees = {leg["exchange"]: (leg["fee_bps"], leg["fee_source"]) for leg in matrix["data"]["legs"]}
    assert fees == {"binance": ("10", "default"), "kraken": ("26", "file")}
    check_nets(matrix)

    server.faults.add(Fault(exchange="kraken", kind="mute"))
    book = await frame(browser, ACROSS, lambda f: usable(f) == [True, False])
    assert book["data"]["legs"][1]["bids"] == book["data"]["legs"][1]["asks"] == []
    assert book["data"]["bid"]["legs"] == [0]
    matrix = await frame(browser, MATRIX, lambda f: usable(f) == [True, False])
    assert {(pair["net"], pair["net_bps"]) for pair in matrix["data"]["pairs"]} == {(None, None)}
    server.faults.clear()
    await frame(browser, ACROSS, lambda f: usable(f) == [True, True])

    shown = await get(token, "/api/across/BTC/USDT/?exchanges=kraken")
    assert {leg for row in shown["data"]["merged"]["bids"] for leg, _ in row[2]} <= {1}
    assert (await get(token, "/api/matrix/BTC/USDT/?size=0.2"))["topic"] == MATRIX


def check_nets(matrix: Message) -> None:
    """Every net follows from what else the frame says."""
    legs = matrix["data"]["legs"]
    for pair in matrix["data"]["pairs"]:
        buy, sell = legs[pair["buy"]], legs[pair["sell"]]
        cost, proceeds = D(buy["buy"]["cost"]), D(sell["sell"]["cost"])
        paid = cost * D(buy["fee_bps"]) / 10_000 + proceeds * D(sell["fee_bps"]) / 10_000
        assert D(pair["gross"]) == proceeds - cost
        assert D(pair["net"]) == proceeds - cost - paid


async def test_fees_that_a_user_enters_are_in_the_next_frame(browser: Browser, token: str) -> None:
    await browser.ask({"type": "subscribe", "topics": [MATRIX]})
    before = await frame(browser, MATRIX, lambda f: all(pair["net"] for pair in f["data"]["pairs"]))
    await put(token, "/api/fees/kraken/spot/", {"maker_bps": "0", "taker_bps": "1.25"})
    after = await frame(browser, MATRIX, lambda f: f["data"]["legs"][1]["fee_source"] == "user")
    assert after["data"]["legs"][1]["fee_bps"] == "1.25"
    assert after["data"]["since_ms"] > before["data"]["since_ms"]
    check_nets(await frame(browser, MATRIX, lambda f: all(pair["net"] for pair in f["data"]["pairs"])))


async def test_events_are_shown_live_listed_by_rest_and_end_with_a_stale_leg(
    server: SimulatorServer, browser: Browser, token: str
) -> None:
    """With a threshold far below zero every pair is above it."""
    await browser.ask({"type": "subscribe", "topics": [ARBITRAGE]})
    empty = await frame(browser, ARBITRAGE, lambda f: True)
    assert (empty["data"]["threshold_bps"], empty["data"]["events"]) == ("5", [])
    await put(token, SETTINGS, {"threshold_bps": "-1000", "duration_s": 0.1})
    shown = await frame(browser, ARBITRAGE, lambda f: len(f["data"]["events"]) == 2)
    assert shown["data"]["threshold_bps"] == "-1000"
    assert await ArbitrageEvent.objects.acount() == 2
    listed = await get(token, "/api/arbitrage/?symbol=BTC/USDT")
    assert {row["id"] for row in listed["events"]} == {row["id"] for row in shown["data"]["events"]}
    assert all(row["open"] and row["threshold_bps"] == "-1000" for row in listed["events"])

    server.faults.add(Fault(exchange="kraken", kind="mute"))
    ended = await frame(browser, ARBITRAGE, lambda f: not any(row["open"] for row in f["data"]["events"]))
    reasons = {row["reason"] for row in ended["data"]["events"]}
    assert all(reason.startswith("A leg went stale: ") for reason in reasons)
    assert any(reason.startswith("A leg went stale: kraken BTC/USDT is ") for reason in reasons)


async def test_what_a_killed_worker_left_open_is_closed_with_that_reason(config: Config) -> None:
    left = {
        "key": "1-1", "symbol": "BTC/USDT", "quote": "USDT", "size": D("0.2"), "fees": "taker",
        "buy_exchange": "binance", "buy_symbol": "BTC/USDT", "sell_exchange": "kraken", "sell_symbol": "BTC/USDT",
        "threshold_bps": D(5), "started_ns": 1_000, "first_bps": D(6), "largest_bps": D(7), "largest_net": D(1),
        "largest_ns": 2_000, "seen_ns": 3_000,
    }  # fmt: skip
    await ArbitrageEvent.objects.acreate(**left)
    async for _ in run(config):
        event = await ArbitrageEvent.objects.aget()
        deadline_s = time.monotonic() + 10
        while event.ended_ns is None:
            assert time.monotonic() < deadline_s
            await asyncio.sleep(0.02)
            await event.arefresh_from_db()
        assert (event.ended_ns, event.reason) == (3_000, ABANDONED)
        row = await FeeRow.objects.aget(exchange="kraken", product="spot")
        assert (row.taker_bps, row.source, row.user_taker_bps) == (D(26), "file", None)
