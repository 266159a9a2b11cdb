"""How Channels' tutorial would do it: every browser joins every market's group, every update is one ``group_send``.

The baseline of ``fanout``. In-memory layer with its defaults, JSON by the standard library, one message per update and
browser. Its client protocol is that of ``/ws/`` as far as ``bench.watchers`` needs it.
"""

import asyncio
import json
from typing import Any

from channels.generic.websocket import AsyncJsonWebsocketConsumer
from channels.layers import InMemoryChannelLayer, channel_layers, get_channel_layer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import path

from bench.live_server import TOPICS, publish
from dashboard.groups import group_of


class TextbookConsumer(AsyncJsonWebsocketConsumer):
    async def receive_json(self, content: Any, **kwargs: Any) -> None:
        if content["type"] == "subscribe":
            for topic in content["topics"]:
                await self.channel_layer.group_add(group_of(topic), self.channel_name)
            await self.send_json({"type": "subscribed"})

    async def market_update(self, event: dict[str, Any]) -> None:
        await self.send_json(event["frame"])


def application() -> Any:
    channel_layers.set("default", InMemoryChannelLayer())
    return ProtocolTypeRouter({"websocket": URLRouter([path("ws/", TextbookConsumer.as_asgi())])})


async def run() -> None:
    layer = get_channel_layer()

    async def market(topic: str) -> None:
        newest: asyncio.Queue[str] = asyncio.Queue(1000)
        task = asyncio.create_task(publish(topic, lambda _, frame: newest.put_nowait(frame)))
        try:
            while True:
                message = {"type": "market.update", "frame": json.loads(await newest.get())}
                await layer.group_send(group_of(topic), message)
        finally:
            task.cancel()

    await asyncio.gather(*(market(topic) for topic in TOPICS))
