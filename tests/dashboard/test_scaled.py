"""Scaled out: worker and web in processes of their own, with a real Redis between them; and PostgreSQL below."""

import asyncio
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.dashboard.deployment import Child, Client, environment, free_port, in_time, manage, migrated, redis_server
from tests.postgres import postgres_server

pytestmark = [pytest.mark.slow, pytest.mark.redis]

BOOK, OTHER, STREAMS = "book:binance:BTC/USDT", "book:kraken:ETH/USD", "streams"
TOPICS = [BOOK, OTHER, STREAMS]


class Parts:
    """What a deployment consists of. Everything that is started here ends with the test."""

    def __init__(self, folder: Path, env: dict[str, str], stack: ExitStack) -> None:
        self.folder = folder
        self.env = env
        self._stack = stack
        self._count = 0
        self.token = manage(env, "apitoken").split()[-1]

    def _start(self, name: str, command: list[str]) -> Child:
        self._count += 1
        child = Child(command, self.env, self.folder / f"{name}{self._count}.log")
        self._stack.callback(child.close)
        return child

    def worker(self, *command: str) -> Child:
        child = self._start("worker", [sys.executable, "manage.py", *(command or ("runfeeds",))])
        if not command:
            child.wait_for("worker started")
        return child

    def background_worker(self, *command: str) -> Child:
        """As a shell starts its background jobs: with Ctrl+C ignored."""
        ignoring = ["sh", "-c", 'trap "" INT; exec "$@"', "sh"]
        return self._start("worker", [*ignoring, sys.executable, "manage.py", *command])

    def web(self) -> int:
        """A stock Daphne; its port."""
        port = free_port()
        daphne = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "-v", "0"]
        self._start("daphne", [*daphne, "dashboard.asgi:application"]).wait_for_port(port)
        return port


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    with ExitStack() as stack:
        url, _ = stack.enter_context(redis_server(tmp_path / "redis"))
        env = environment(tmp_path / "var", None, REDIS_URL=url, LOG_LEVEL="INFO")
        migrated(env)
        yield Parts(tmp_path, env, stack)


async def live(client: Client) -> None:
    await client.until(lambda: client.state(BOOK) == client.state(OTHER) == "LIVE", "live books")
    before = client.newest[BOOK]["sent_us"]
    await client.until(lambda: client.newest[BOOK]["sent_us"] > before, "a book that moves")
    await client.until(lambda: STREAMS in client.newest, "the streams")


async def test_a_worker_and_two_web_processes(parts: Parts) -> None:
    worker = parts.worker()
    ports = [parts.web(), parts.web()]
    async with (
        Client.open(ports[0], parts.token, TOPICS) as first,
        Client.open(ports[1], parts.token, TOPICS) as second,
    ):
        await asyncio.gather(live(first), live(second))
        code, took_s = await asyncio.to_thread(worker.end)
        assert (code, took_s < in_time(5)) == (0, True), worker.output[-2000:]
        for client in (first, second):
            await client.until(lambda client=client: client.state(BOOK) == "STALE", "the goodbye", in_time(2))


async def test_a_killed_worker_makes_books_stale_and_the_next_one_makes_them_live(parts: Parts) -> None:
    worker = parts.worker()
    port = parts.web()
    async with Client.open(port, parts.token, TOPICS) as client:
        await live(client)
        worker.process.kill()
        killed_s = time.monotonic()
        await client.until(lambda: client.state(BOOK) == client.state(OTHER) == "STALE", "stale books")
        assert time.monotonic() - killed_s < in_time(8)
        streams = await client.until(
            lambda: (s := client.newest[STREAMS]["data"])["markets"][0]["state"] == "STALE" and s, "stale streams"
        )
        assert {row["state"] for row in streams["markets"] + streams["connections"]} == {"STALE"}
        await asyncio.to_thread(parts.worker)
        await live(client)
        assert client.closed is None


async def test_redis_restarted_is_a_pause_and_nothing_else(parts: Parts, tmp_path: Path) -> None:
    with ExitStack() as stack:
        url, server = stack.enter_context(redis_server(tmp_path / "other"))
        parts.env["REDIS_URL"] = url
        parts.worker()
        port = parts.web()
        async with Client.open(port, parts.token, TOPICS) as client:
            await live(client)
            server.kill()
            server.wait()
            await client.until(lambda: client.state(BOOK) == "STALE", "stale books")
            redis_port = int(url.rsplit(":", 1)[1].split("/")[0])
            stack.enter_context(redis_server(tmp_path / "third", redis_port))
            await live(client)
            assert client.closed is None


async def test_a_worker_that_starts_before_redis_waits_for_it(parts: Parts, tmp_path: Path) -> None:
    redis_port = free_port()
    parts.env["REDIS_URL"] = f"redis://127.0.0.1:{redis_port}/0"
    worker = parts.worker()
    worker.wait_for("channel layer broken")
    with redis_server(tmp_path / "late", redis_port):
        async with Client.open(parts.web(), parts.token, TOPICS) as client:
            await live(client)
        assert worker.end()[0] == 0


async def test_channels_own_runworker_can_host_it(parts: Parts) -> None:
    worker = parts.background_worker("runworker", "feeds")
    port = parts.web()
    async with Client.open(port, parts.token, []):  # whoever comes first wakes it; no market is known yet
        await asyncio.to_thread(worker.wait_for, "worker started")
    async with Client.open(port, parts.token, TOPICS) as client:
        await live(client)
        code, took_s = await asyncio.to_thread(worker.end)
        assert (code, took_s < in_time(5)) == (0, True), worker.output[-2000:]
        assert "worker stopped" in worker.output
        await client.until(lambda: client.state(BOOK) == "STALE", "the goodbye")
        again = parts.worker("runworker", "feeds")
        await client.until(lambda: client.state(BOOK) == "LIVE", "live books again", 40)
        await live(client)
        assert (await asyncio.to_thread(again.end, signal.SIGINT))[0] == 0


def test_a_second_worker_is_refused(parts: Parts) -> None:
    first = parts.worker()
    second = parts.worker("runfeeds", "--no-color")
    assert second.exit_code() == 1
    assert f"A worker runs already on this database: process {first.process.pid}" in second.output
    assert "Traceback" not in second.output
    assert first.end(signal.SIGINT)[0] == 0


def test_serve_says_that_it_is_for_one_process(parts: Parts) -> None:
    serve = parts.worker("serve")
    assert serve.exit_code() == 1
    assert "runfeeds" in serve.output


@pytest.mark.postgres
async def test_on_postgresql_with_one_worker_only(tmp_path: Path) -> None:
    with ExitStack() as stack:
        database = stack.enter_context(postgres_server())
        url, _ = stack.enter_context(redis_server(tmp_path / "redis"))
        env = environment(tmp_path / "var", None, REDIS_URL=url, DATABASE_URL=database)
        migrated(env)
        parts = Parts(tmp_path, env, stack)
        first = parts.worker()
        second = parts.worker("runfeeds", "--no-color")
        assert second.exit_code() == 1
        assert f"process {first.process.pid}" in second.output
        port = parts.web()
        async with Client.open(port, parts.token, [*TOPICS, "balances:1", "fills:1"]) as client:
            await live(client)
            await client.until(lambda: {"balances:1", "fills:1"} <= client.newest.keys(), "the demo account")
            first.process.kill()
            first.process.wait()
            third = await asyncio.to_thread(parts.worker)  # at once: the server has seen the connection end
            await live(client)
        assert third.end()[0] == 0
