"""From the engine to the relays: the sink of the frames, on the channel layer.

``publish`` must not wait, a channel layer does. So there is one sender, and before it one place per topic: while the
layer is slow, a newer frame takes the place of the older one. Order is kept otherwise.

Every frame goes out with a number, from one counter of this sink: so numbers rise per topic, and a relay knows an
overtaken frame. The beat, sent every second in line with the frames, carries the number of the last frame that was
sent of each leased topic: so a relay knows a lost one. See ``relay``.
"""

import asyncio
import time
from collections.abc import Collection
from typing import Any, Literal

import msgspec
import structlog
from channels.exceptions import ChannelFull
from channels.layers import get_channel_layer

from dashboard.ending import ended
from dashboard.groups import WORKERS_GROUP, group_of
from dashboard.outage import Outage

log = structlog.get_logger(__name__)

BEAT_S = 1.0
SEND_TIMEOUT_S = 5.0
RETRY_S = 0.5
FAREWELL_S = 1.0


class _Key(msgspec.Struct, frozen=True):
    """A place in the line. ``to`` is a relay's channel, or empty for the topic's group."""

    kind: Literal["frame", "refusal", "beat"]
    to: str = ""
    topic: str = ""


class ChannelSink:
    """``feeds.publisher.Sink`` on the default channel layer. ``worker`` tells this start of the worker from others.

    Only topics in :attr:`leased` are sent to groups: nobody listens for others.
    """

    def __init__(self, worker: int) -> None:
        self.worker = worker
        self.leased: Collection[str] = frozenset()
        self.sent = 0
        self.coalesced = 0  # frames that a newer one replaced, because the layer was slow
        self.dropped = 0  # frames for one relay whose channel was full
        self._layer = get_channel_layer()
        self._line: dict[_Key, dict[str, Any]] = {}
        self._number = 0
        self._numbers: dict[str, int] = {}  # topic -> number of the last frame that was sent to its group
        self._state = "up"
        self._waiting = asyncio.Event()
        self._idle = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._outage = Outage(log, "channel layer")

    # -- life --------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._send_all(), name="sink"),
            asyncio.create_task(self._beat(), name="beat"),
        ]

    async def stop(self) -> None:
        """Say goodbye, which makes the relays show everything as STALE at once, and end. Idempotent."""
        if not self._tasks:
            return
        tasks, self._tasks = self._tasks, []
        self._state = "stopping"
        self._put(_Key("beat"), {})
        try:
            async with asyncio.timeout(FAREWELL_S):
                await self._idle.wait()
        except TimeoutError:
            log.warning("relays not told that the worker stops", waiting=len(self._line))
        for result in await ended(tasks):
            if isinstance(result, Exception):
                log.error("sink task failed", error=repr(result))

    # -- feeds.publisher.Sink ----------------------------------------------------------------------------------------

    def publish(self, topic: str, frame: str) -> None:
        if topic not in self.leased:
            return
        self._number += 1
        key = _Key("frame", topic=topic)
        if key in self._line:
            self.coalesced += 1
        self._put(key, self._frame(topic, frame))

    def publish_to(self, holder: str, topic: str, frame: str) -> None:
        self._put(_Key("frame", holder, topic), self._frame(topic, frame))

    def refuse(self, holder: str, topic: str, reason: str) -> None:
        self._put(_Key("refusal", holder, topic), {"type": "relay.refused", "topic": topic, "reason": reason})

    def _frame(self, topic: str, frame: str) -> dict[str, Any]:
        return {"type": "relay.frame", "topic": topic, "frame": frame, "number": self._number, "worker": self.worker}

    # -- sending -----------------------------------------------------------------------------------------------------

    def _put(self, key: _Key, message: dict[str, Any]) -> None:
        """What is in the line already keeps its place and gets the newer content."""
        self._line[key] = message
        self._idle.clear()
        self._waiting.set()

    async def _beat(self) -> None:
        while True:
            self._put(_Key("beat"), {})
            await asyncio.sleep(BEAT_S)

    async def _send_all(self) -> None:
        while True:
            await self._waiting.wait()
            while self._line:
                key = next(iter(self._line))
                message = self._line[key]
                try:
                    async with asyncio.timeout(SEND_TIMEOUT_S):
                        await self._send(key, message)
                except Exception as error:  # a layer may raise anything; without this loop all would stay STALE
                    self._outage.broke(error)
                    await asyncio.sleep(RETRY_S)
                    continue  # with what is newest then
                self._outage.works()
                if self._line[key] is message:
                    del self._line[key]
            self._waiting.clear()
            self._idle.set()

    async def _send(self, key: _Key, message: dict[str, Any]) -> None:
        if key.kind == "beat":
            await self._layer.group_send(WORKERS_GROUP, self._sign_of_life())
        elif key.to:
            try:
                await self._layer.send(key.to, message)
            except ChannelFull:  # a relay that is dead, or so slow that it will miss this and ask again
                self.dropped += 1
        else:
            await self._layer.group_send(group_of(key.topic), message)
            self._numbers[key.topic] = message["number"]
            self.sent += 1

    def _sign_of_life(self) -> dict[str, Any]:
        self._numbers = {topic: self._numbers.get(topic, 0) for topic in self.leased}
        return {
            "type": "relay.worker",
            "state": self._state,
            "worker": self.worker,
            "sent_us": time.time_ns() // 1000,
            "numbers": self._numbers,
        }
