"""What the tests of the live part share: a worker made of nothing, browsers, and waiting for a condition."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from channels.layers import channel_layers, get_channel_layer

from dashboard.bridge import ChannelSink
from dashboard.groups import FEEDS_CHANNEL
from dashboard.outbox import Bundle, Outbox

Message = dict[str, Any]


async def until(condition: Callable[[], Any], what: str, timeout_s: float = 5.0) -> Any:
    """Wait until the condition holds, and return its value."""
    deadline_s = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline_s, f"waited {timeout_s} s in vain for: {what}"
        await asyncio.sleep(0.005)
    return value


def frame(topic: str, n: int = 1, state: str | None = "LIVE", **data: Any) -> str:
    """A frame as the worker makes them."""
    head: Message = {"topic": topic, "n": n}
    if state is not None:
        head["state"] = state
    return json.dumps({**head, "seq": n, "exchange_ms": 1, "recv_us": 1, "sent_us": 1, "data": data})


def fresh_layer() -> None:
    """A channel layer that belongs to this test's event loop."""
    channel_layers.backends.clear()


class FakeWorker:
    """Takes leases and sends what the test says, through the real sink. ``lose`` are topics whose frames get lost."""

    def __init__(self, worker: int = 1000) -> None:
        self.layer = get_channel_layer()
        self.sink = ChannelSink(worker)
        self.leases: list[Message] = []
        self.questions: list[Message] = []
        self.frames: dict[str, str] = {}
        self.topics: dict[str, set[str]] = {}  # relay -> leased topics
        self._task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator["FakeWorker"]:
        self.sink.start()
        self._task = asyncio.create_task(self._receive())
        try:
            yield self
        finally:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            await self.sink.stop()

    async def die(self) -> None:
        """End without a word, as by kill -9."""
        assert self._task is not None
        self._task.cancel()
        for task in self.sink._tasks:
            task.cancel()
        await asyncio.gather(self._task, *self.sink._tasks, return_exceptions=True)
        self.sink._tasks = []

    async def _receive(self) -> None:
        while True:
            message = await self.layer.receive(FEEDS_CHANNEL)
            if message["type"] == "feeds.lease":
                self._lease(message)
            elif message["type"] == "feeds.release":
                self.topics.pop(message["relay"], None)
            else:
                self.questions.append(message)

    def _lease(self, message: Message) -> None:
        relay, topics = message["relay"], set(message["topics"])
        self.leases.append(message)
        new = topics - self.topics.get(relay, set())
        self.topics[relay] = topics
        self.sink.leased = frozenset().union(*self.topics.values())
        for topic in sorted(new | set(message["again"])):
            if topic in self.frames:
                self.sink.publish_to(relay, topic, self.frames[topic])

    def publish(self, topic: str, text: str) -> None:
        self.frames[topic] = text
        self.sink.publish(topic, text)

    @property
    def leased(self) -> set[str]:
        return set().union(*self.topics.values())


class FakeBrowser:
    """A browser that keeps what it gets, and confirms it by itself unless told otherwise."""

    def __init__(self) -> None:
        self.outbox = Outbox()
        self.bundles: list[Message] = []
        self.refusals: list[tuple[str, str]] = []
        self.let_go = False

    def deliver(self, bundle: Bundle) -> None:
        self.bundles.append(json.loads(bundle.text))

    def refused(self, topic: str, reason: str) -> None:
        self.refusals.append((topic, reason))

    def gave_up(self) -> None:
        self.let_go = True

    @property
    def frames(self) -> list[Message]:
        return [frame for bundle in self.bundles for frame in bundle["frames"]]

    def newest(self, topic: str) -> Message | None:
        return next((f for f in reversed(self.frames) if f["topic"] == topic), None)

    def state(self, topic: str) -> str | None:
        newest = self.newest(topic)
        return newest["state"] if newest else None
