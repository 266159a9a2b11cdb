"""``manage.py serve`` as people start it: the demo in one process."""

import asyncio
import http.cookiejar
import json
import re
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from feeds.config import load_config
from tests.dashboard.deployment import Child, Client, environment, free_port, in_time, manage, migrated

pytestmark = pytest.mark.slow

BOOKS = [
    *(f"book:binance:{symbol}" for symbol in ("BTC/USDT", "ETH/USDT", "BTC/USDT:USDT")),
    *(f"book:kraken:{symbol}" for symbol in ("BTC/USD", "ETH/USD", "BTC/USDT")),
]


def fresh(folder: Path) -> dict[str, str]:
    env = environment(folder / "var", None, HOST="127.0.0.1", PORT="0")
    migrated(env)
    return env


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return fresh(tmp_path)


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Child, dict[str, str]]]:
    """One for all tests that let it run, and its environment. Ctrl+C ends it."""
    folder = tmp_path_factory.mktemp("standing")
    env = fresh(folder)
    child = Child.manage(env, folder / "serve.log", "serve")
    try:
        yield child, env
        assert child.end(signal.SIGINT)[0] == 0
        assert "Traceback" not in child.output
    finally:
        child.close()


@pytest.fixture
def serve(env: dict[str, str], tmp_path: Path) -> Iterator[Child]:
    child = Child.manage(env, tmp_path / "serve.log", "serve")
    yield child
    child.close()


def port_of(serve: Child) -> int:
    found = re.search(r":(\d+)/", serve.wait_for("Spreadboard runs on"))
    assert found is not None
    return int(found[1])


async def test_the_demo_from_the_printed_lines_to_the_end(serve: Child, env: dict[str, str]) -> None:
    port = port_of(serve)
    serve.wait_for("Sign in")
    token = manage(env, "apitoken").split()[-1]
    async with Client.open(port, token, [*BOOKS, "streams", "balances:1", "fills:1"]) as client:
        assert {"binance", "kraken"} < set(client.hello["simulated"])
        await client.until(lambda: all(client.state(book) == "LIVE" for book in BOOKS), "six live books")
        first = {book: client.newest[book]["n"] for book in BOOKS}
        await client.until(lambda: all(client.newest[b]["n"] > n for b, n in first.items()), "six moving books")
        await client.until(lambda: {"balances:1", "fills:1"} <= client.newest.keys(), "the demo account")
        code, took_s = await asyncio.to_thread(serve.end)
        assert code == 0
        assert took_s < in_time(5)
        assert client.closed == (1001, "The server stops.")
    assert "Traceback" not in serve.output


def test_the_last_lines_are_the_address_and_a_link_that_signs_in_once(
    standing: tuple[Child, dict[str, str]],
) -> None:
    serve, _ = standing
    port = port_of(serve)
    serve.wait_for("Sign in")
    printed = [line for line in serve.output.splitlines() if not line.startswith("{")]
    assert f"http://127.0.0.1:{port}/" in printed[-2]
    link = re.search(r"http://\S+/signin/\S+", printed[-1])
    assert link is not None
    jar = http.cookiejar.CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    with browser.open(link[0], timeout=10) as answer:
        page = answer.read().decode()
    csrf = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert csrf is not None
    request = urllib.request.Request(link[0], f"csrfmiddlewaretoken={csrf[1]}".encode(), {"Referer": link[0]})
    with browser.open(request, timeout=10) as answer:
        assert answer.url == f"http://127.0.0.1:{port}/"
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(link[0], timeout=10)


async def test_orders_from_here_to_the_exchange_and_back(standing: tuple[Child, dict[str, str]]) -> None:
    serve, env = standing
    port, token = port_of(serve), manage(env, "apitoken").split()[-1]

    def ask(path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, headers)
        with urllib.request.urlopen(request, timeout=40) as answer:
            return json.loads(answer.read())

    def open_orders() -> set[str]:
        rows = ask(f"/api/orders/?account={account}")["orders"]
        return {row["id"] for row in rows if row["status"] in ("open", "partial")}

    async with Client.open(port, token, ["book:binance:BTC/USDT"]) as client:
        await client.until(lambda: client.state("book:binance:BTC/USDT") == "LIVE", "a live book")
        [account] = [row["id"] for row in ask("/api/accounts/")["accounts"] if row["exchange"] == "binance"]
        await client.until(lambda: ask(f"/api/accounts/{account}/")["state"] == "LIVE", "a live account")
        far = "20000.00"  # rests
        order = {"key": "click-0001", "symbol": "BTC/USDT", "side": "buy", "size": "0.001", "price": far}
        placed = await asyncio.to_thread(ask, f"/api/accounts/{account}/orders/", order)
        assert (placed["state"], placed["sentence"]) == ("placed", "")
        assert await asyncio.to_thread(ask, f"/api/accounts/{account}/orders/", order) == placed
        number = placed["order_id"]
        await client.until(lambda: number in open_orders(), "the order among the open ones")
        with pytest.raises(urllib.error.HTTPError) as refused:
            await asyncio.to_thread(
                ask, f"/api/accounts/{account}/orders/", {**order, "key": "click-0002", "size": "0"}
            )
        assert refused.value.code == 409
        assert "The size must be above zero, not 0." in json.loads(refused.value.read())["error"]["message"]
        cancelling = {"symbol": "BTC/USDT", "order_id": number}
        assert await asyncio.to_thread(ask, f"/api/accounts/{account}/orders/cancel/", cancelling) == {}
        await client.until(lambda: number not in open_orders(), "its end")
        outcome = await asyncio.to_thread(ask, "/api/cancel-all/", {})
        told = {row["account"]: row["sentence"] for row in outcome["accounts"]}
        assert told[account] == ""
        assert set(told) == {row["id"] for row in ask("/api/accounts/")["accounts"]}


async def test_every_demo_account_is_followed_and_all_that_it_holds_has_a_price(
    standing: tuple[Child, dict[str, str]],
) -> None:
    serve, env = standing
    port, token = port_of(serve), manage(env, "apitoken").split()[-1]

    async with Client.open(port, token, ["portfolio:1"]) as client:

        def told() -> dict[str, Any]:
            return client.newest.get("portfolio:1", {}).get("data", {})

        try:
            await client.until(lambda: told().get("complete"), "a complete portfolio", in_time(60))
        except AssertionError as error:
            lacks = {name: told().get(name) for name in ("accounts", "unpriced", "problems")}
            raise AssertionError(f"{error}; {lacks}") from None
        now = told()
        assert {each["exchange"] for each in now["accounts"]} >= {"binance", "bybit", "okx", "kraken", "krakenfutures"}
        assert {each["state"] for each in now["accounts"]} == {"LIVE"}
        assert (now["unpriced"], now["problems"]) == ([], [])
        assert {each["asset"] for each in now["assets"]} >= {"USDT", "USD", "BTC", "BNB"}


async def test_a_browser_hears_why_it_is_closed_by_daphne_too(standing: tuple[Child, dict[str, str]]) -> None:
    serve, env = standing
    port, token = port_of(serve), manage(env, "apitoken").split()[-1]
    async with Client.open(port, token, []) as client:
        await client.socket.send(b"binary")
        await client.until(lambda: client.closed, "the close")
        assert client.closed == (4400, "Binary messages are not understood.")
    async with Client.open(port, token, []) as client:
        for n in range(60):
            await client.socket.send(json.dumps({"type": "drawn", "bundle": 0, "id": n}))
        await client.until(lambda: client.closed, "the close")
        assert client.closed == (4429, "More than 50 messages in 5 s.")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("ends", ["the messages", "the worker"])
async def test_a_worker_that_hears_nothing_any_more_ends_the_process(
    ends: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the place of the reactor and the worker: pages that nobody answers would look alive."""
    from dashboard.management.commands import serve

    failed: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    class Worker:
        def __init__(self) -> None:
            self.failed = failed

        async def start(self) -> None:
            pass

    async def host_feeds() -> None:
        if ends == "the messages":
            raise RuntimeError("waits already")
        failed.set_result("The worker failed: so it is.")
        await asyncio.Event().wait()

    stopped: list[str] = []
    monkeypatch.setattr(serve, "host_feeds", host_feeds)
    monkeypatch.setattr(serve, "reactor", SimpleNamespace(stop=lambda: stopped.append(embedded._failure)))
    embedded = await asyncio.to_thread(serve.Embedded, serve.Command(), load_config(None, {}), "127.0.0.1", 1)
    monkeypatch.setattr(embedded, "make_worker", Worker)
    await asyncio.wait_for(embedded._work(), 5)
    why = "RuntimeError('waits already')." if ends == "the messages" else "so it is."
    assert stopped == [f"The worker failed: {why}"]
    for task in embedded._tasks:
        task.cancel()
    await asyncio.gather(*embedded._tasks, return_exceptions=True)


def test_a_killed_serve_starts_again_at_once(serve: Child, env: dict[str, str], tmp_path: Path) -> None:
    port_of(serve)
    serve.process.kill()
    serve.process.wait()
    again = Child.manage(env, tmp_path / "again.log", "serve")
    try:
        port_of(again)
        assert again.end()[0] == 0
    finally:
        again.close()


def test_a_second_serve_is_refused(standing: tuple[Child, dict[str, str]], tmp_path: Path) -> None:
    serve, env = standing
    port_of(serve)
    second = Child.manage(env, tmp_path / "second.log", "serve")
    assert second.exit_code() == 1
    assert f"A worker runs already on this database: process {serve.process.pid}" in second.output
    assert "Traceback" not in second.output
    assert serve.process.poll() is None


def test_an_address_in_use_is_said(env: dict[str, str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        child = Child.manage({**env, "PORT": str(port)}, tmp_path / "serve.log", "serve")
        assert child.exit_code() == 1
    assert f"127.0.0.1:{port}" in child.output
    assert "Traceback" not in child.output


def test_missing_migrations_are_said(tmp_path: Path) -> None:
    env = environment(tmp_path / "empty", None, PORT="0")
    for command in ("serve", "runfeeds"):
        child = Child.manage(env, tmp_path / f"{command}.log", command)
        assert child.exit_code() == 1
        assert "run manage.py migrate" in child.output
        assert "Traceback" not in child.output


def test_a_wrong_configuration_is_said(env: dict[str, str], tmp_path: Path) -> None:
    toml = tmp_path / "spreadboard.toml"
    for content, words in (
        ("[exchanges.binance]\nstale_s = 'x'\n", ("spreadboard.toml", "exchanges.binance.stale_s", '"x"')),
        ("[exchanges.nowhere]\n", ("spreadboard.toml", "nowhere", "binance, ")),
    ):
        toml.write_text(content)
        for command in ("serve", "runfeeds"):
            child = Child.manage({**env, "SPREADBOARD_CONFIG": str(toml)}, tmp_path / "log", command)
            assert child.exit_code() == 1
            assert all(word in child.output for word in words), child.output
            assert "Traceback" not in child.output


def test_an_open_address_without_tls_is_warned_of(env: dict[str, str], tmp_path: Path) -> None:
    child = Child.manage({**env, "HOST": "0.0.0.0"}, tmp_path / "serve.log", "serve")
    try:
        child.wait_for("without TLS")
        child.wait_for("Sign in")
        assert child.end()[0] == 0
    finally:
        child.close()


def test_a_signal_while_it_starts_ends_it(env: dict[str, str], tmp_path: Path) -> None:
    """Exchanges that do not answer make a start long; SIGTERM must not have to wait for it."""
    toml = tmp_path / "spreadboard.toml"
    port = free_port()
    toml.write_text(f'[exchanges.kraken]\npinned = ["BTC/USD"]\nws_url = "ws://127.0.0.1:{port}/v2"\n')
    for command in ("serve", "runfeeds"):
        log = tmp_path / f"{command}.log"
        child = Child.manage({**env, "SPREADBOARD_CONFIG": str(toml)}, log, command)
        try:
            child.wait_for("kraken")  # it tries to connect
            code, took_s = child.end()
            assert (code, took_s < in_time(5)) == (0, True), child.output
            assert "Traceback" not in child.output
        finally:
            child.close()
