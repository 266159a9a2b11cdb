"""Real processes for the tests of ``serve`` and of the scaled-out way: they are started, watched and stopped here."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import websockets
from websockets.asyncio.client import ClientConnection

from tests.dashboard.realtime import Message
from tests.shared import in_time
from tests.system.processes import environment, free_port, manage, migrated

ROOT = Path(__file__).resolve().parents[2]

__all__ = ["Child", "Client", "environment", "free_port", "in_time", "manage", "migrated", "redis_server"]


class Child:
    """A child process; its output goes to a file, of which :meth:`wait_for` reads."""

    def __init__(self, command: list[str], env: dict[str, str], log: Path) -> None:
        self.log = log
        env = env | {"PYTHONFAULTHANDLER": "1"}  # so that it says where it hangs, see ``end``
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=env, stdout=out, stderr=out, stdin=subprocess.DEVNULL
            )

    @classmethod
    def manage(cls, env: dict[str, str], log: Path, *command: str) -> "Child":
        return cls([sys.executable, "manage.py", *command], env, log)

    @property
    def output(self) -> str:
        return self.log.read_text()

    def wait_for(self, text: str, timeout_s: float = 40.0) -> str:
        """The line with this text, once it is there."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            for line in self.output.splitlines():
                if text in line:
                    return line
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.output[-4000:]}"
            assert time.monotonic() < deadline_s, f"no {text!r} in {timeout_s} s:\n{self.output[-4000:]}"
            time.sleep(0.05)

    def wait_for_port(self, port: int, timeout_s: float = 40.0) -> None:
        """Until it listens there."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.output[-4000:]}"
            assert time.monotonic() < deadline_s, f"nothing listens on {port}:\n{self.output[-4000:]}"
            time.sleep(0.05)

    def end(self, number: int = signal.SIGTERM, timeout_s: float = 15.0) -> tuple[int, float]:
        """Send the signal; exit code and how long it took, in seconds. Who does not end tells where it is."""
        began_s = time.monotonic()
        self.process.send_signal(number)
        try:
            return self.process.wait(in_time(timeout_s)), time.monotonic() - began_s
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)
            self.process.wait()
            raise AssertionError(f"it does not end:\n{self.output[-8000:]}") from None

    def exit_code(self, timeout_s: float = 30.0) -> int:
        return self.process.wait(timeout_s)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


class Client:
    """A client of ``/ws/`` that keeps the newest frame of each topic, and confirms."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.newest: dict[str, Message] = {}
        self.count = 0
        self.closed: tuple[int, str] | None = None
        self._bundle = 0
        self._reading = asyncio.create_task(self._read())
        self._confirming = asyncio.create_task(self._confirm())

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, port: int, token: str, topics: list[str]) -> AsyncIterator["Client"]:
        headers = {"Authorization": f"Bearer {token}"}
        async with websockets.connect(f"ws://127.0.0.1:{port}/ws/", additional_headers=headers) as socket:
            hello = json.loads(await socket.recv())
            assert hello["type"] == "hello"
            await socket.send(json.dumps({"type": "subscribe", "id": 1, "topics": topics}))
            client = cls(socket)
            client.hello = hello
            try:
                yield client
            finally:
                for task in (client._reading, client._confirming):
                    task.cancel()
                await asyncio.gather(client._reading, client._confirming, return_exceptions=True)

    hello: Message

    async def _read(self) -> None:
        try:
            async for text in self.socket:
                message = json.loads(text)
                if message["type"] != "bundle":
                    assert message["type"] == "subscribed", message
                    continue
                for frame in message["frames"]:
                    self.newest[frame["topic"]] = frame
                    self.count += 1
                self._bundle = message["bundle"]
        finally:
            if self.socket.close_code is not None:
                self.closed = (self.socket.close_code, self.socket.close_reason or "")

    async def _confirm(self) -> None:
        """By a timer, so that the last bundle before a pause is confirmed too."""
        confirmed = 0
        while self.closed is None:
            await asyncio.sleep(0.5)
            if self._bundle != confirmed:
                confirmed = self._bundle
                await self.socket.send(json.dumps({"type": "drawn", "bundle": confirmed}))

    def state(self, topic: str) -> str | None:
        return self.newest.get(topic, {}).get("state")

    async def until(self, condition: Callable[[], Any], what: str, timeout_s: float = 20.0) -> Any:
        deadline_s = time.monotonic() + timeout_s
        while not (value := condition()):
            if self._reading.done() and self.closed is None:
                self._reading.result()  # raises what went wrong there
            states = {topic: frame.get("state") for topic, frame in self.newest.items()}
            assert time.monotonic() < deadline_s, f"waited {timeout_s} s in vain for {what}; {states}; {self.closed}"
            await asyncio.sleep(0.02)
        return value


@contextlib.contextmanager
def redis_server(folder: Path, port: int | None = None) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A Redis server of the test's own: its address and process. Skips where Redis is not installed."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("needs Redis: no redis-server on the PATH")
    port = port or free_port()
    folder.mkdir(exist_ok=True)
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with (folder / "redis.log").open("ab") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env={"PATH": os.environ["PATH"]})
    try:
        deadline_s = time.monotonic() + 10
        while "Ready to accept connections" not in (folder / "redis.log").read_text():
            assert server.poll() is None and time.monotonic() < deadline_s, (folder / "redis.log").read_text()
            time.sleep(0.02)
        yield f"redis://127.0.0.1:{port}/0", server
    finally:
        if server.poll() is None:
            server.terminate()
        server.wait(10)
