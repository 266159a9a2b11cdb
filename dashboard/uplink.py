"""A relay's connection to the worker: its channel, the groups it is in, the leases it renews, what it asks again."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, KeysView
from typing import Any

import structlog
from channels.layers import get_channel_layer

from dashboard.ending import ended
from dashboard.groups import FEEDS_CHANNEL, RELAY_PREFIX, WORKERS_GROUP, group_of
from dashboard.outage import Outage

log = structlog.get_logger(__name__)

LEASE_S = 30.0
RENEW_S = 10.0
LEASE_EVERY_S = 0.1
RETRY_S = 1.0
FAREWELL_S = 2.0


class Uplink:
    """Keeps the worker told of what is wanted here, and hands every message that comes to ``take``.

    The channel layer may be out of order for any time, from the start on: it is tried again until :meth:`stop`. What
    it raises may be anything (redis-py, while it reconnects: a RuntimeError), so the loops go on after any error: a
    dead one would renew no lease, or hear nothing, and nobody would know why what is shown is old.
    """

    def __init__(self, take: Callable[[dict[str, Any]], None]) -> None:
        self.layer = get_channel_layer()
        self.leased: frozenset[str] = frozenset()  # what the worker was told last
        self._take = take
        self._wanted: Counter[str] = Counter()
        self._joined: set[str] = set()
        self._again: set[str] = set()
        self._changed = asyncio.Event()
        self._channel = ""
        self._open = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._outage = Outage(log, "channel layer")
        self._deaf = Outage(log, "channel layer", way="receiving")

    # -- life --------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._changed.set()  # a first lease at once, even of nothing: it wakes a worker that Channels' runworker hosts
        self._tasks = [
            asyncio.create_task(self._receive(), name="relay receive"),
            asyncio.create_task(self._keep_leased(), name="relay lease"),
        ]

    async def stop(self) -> None:
        """End the lease, leave the groups and the channel. Idempotent."""
        tasks, self._tasks = self._tasks, []
        for result in await ended(tasks):
            if isinstance(result, Exception):
                log.error("relay task failed", error=repr(result))
        channel, self._channel = self._channel, ""
        self._open.clear()
        if channel:
            try:
                async with asyncio.timeout(FAREWELL_S):
                    await self.layer.send(FEEDS_CHANNEL, {"type": "feeds.release", "relay": channel})
                    for group in [WORKERS_GROUP, *map(group_of, self._joined)]:
                        await self.layer.group_discard(group, channel)
            except Exception as error:  # see the class; the lease ends by itself
                self._outage.broke(error)
        self._joined.clear()
        self._again.clear()
        self.leased = frozenset()

    # -- what is wanted ----------------------------------------------------------------------------------------------

    @property
    def wanted(self) -> KeysView[str]:
        return self._wanted.keys()

    def want(self, topic: str) -> None:
        """Once more wanted. The worker is told, and sends the newest frame of what was not wanted before."""
        self._wanted[topic] += 1
        if self._wanted[topic] == 1:
            if topic in self.leased:  # for the worker it is not new, so it would send nothing by itself
                self._again.add(topic)
            self._changed.set()

    def unwant(self, topic: str) -> bool:
        """Once less wanted; True if not at all any more."""
        self._wanted[topic] -= 1
        if self._wanted[topic] > 0:
            return False
        del self._wanted[topic]
        self._changed.set()
        return True

    def ask_again(self, topics: Iterable[str]) -> None:
        """Ask the worker for the newest frames of these, though they are leased already."""
        self._again.update(topics)
        self._changed.set()

    async def ask(self, message: dict[str, Any]) -> None:
        """Send the worker a message to which it answers on our channel. May raise any of LAYER_ERRORS."""
        await self._open.wait()
        await self.layer.send(FEEDS_CHANNEL, {**message, "relay": self._channel})

    # -- tasks -------------------------------------------------------------------------------------------------------

    async def _receive(self) -> None:
        while not self._channel:
            try:
                channel = await self.layer.new_channel(RELAY_PREFIX)
                await self.layer.group_add(WORKERS_GROUP, channel)
            except Exception as error:  # a layer may raise anything, and a dead loop renews nothing
                self._deaf.broke(error)
                await asyncio.sleep(RETRY_S)
            else:
                self._deaf.works()
                self._channel = channel
                self._open.set()
        while True:
            try:
                message = await self.layer.receive(self._channel)
            except Exception as error:  # a layer may raise anything, and a dead loop renews nothing
                self._deaf.broke(error)
                await asyncio.sleep(RETRY_S)
            else:
                self._deaf.works()
                self._take(message)

    async def _keep_leased(self) -> None:
        """Tell the worker at every change, though not too often, and regularly."""
        await self._open.wait()
        while True:
            try:
                async with asyncio.timeout(RENEW_S):
                    await self._changed.wait()
            except TimeoutError:
                pass  # time to renew
            self._changed.clear()
            try:
                await self._lease()
            except Exception as error:  # a layer may raise anything, and a dead loop renews nothing
                self._outage.broke(error)
                self._changed.set()
                await asyncio.sleep(RETRY_S)
            else:
                self._outage.works()
                await asyncio.sleep(LEASE_EVERY_S)

    async def _lease(self) -> None:
        wanted = frozenset(self._wanted)
        for topic in wanted - self._joined:  # before the lease, so that nothing is missed after the worker's answer
            await self.layer.group_add(group_of(topic), self._channel)
            self._joined.add(topic)
        for topic in self._joined - wanted:
            await self.layer.group_discard(group_of(topic), self._channel)
            self._joined.discard(topic)
        again = self._again & wanted
        await self.layer.send(
            FEEDS_CHANNEL,
            {
                "type": "feeds.lease",
                "relay": self._channel,
                "topics": sorted(wanted),
                "again": sorted(again),
                "ttl_s": LEASE_S,
            },
        )
        self._again -= again
        self._again &= wanted
        self.leased = wanted
