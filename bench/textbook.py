"""How Channels' tutorial would do it: every browser joins every market's group, every update is one ``group_send``.

The baseline of ``fanout`` and ``slowreader``. In-memory layer with its defaults, one message per update and browser. It
is given the frame as ready text: as a dictionary, the layer would copy all its levels for every browser, and it would
look many times worse. Its client protocol is that of ``/ws/`` as far as ``bench.watchers`` needs it.
"""

import asyncio
import json
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import InMemoryChannelLayer, channel_layers, get_channel_layer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import path

from bench.live_server import TOPICS, publish
from dashboard.groups import group_of


class TextbookConsumer(AsyncWebsocketConsumer):
    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        content = json.loads(text_data or "{}")
        if content.get("type") == "subscribe":
            for topic in content["topics"]:
                await self.channel_layer.group_add(group_of(topic), self.channel_name)
            await self.send(text_data='{"type":"subscribed"}')

    async def market_update(self, event: dict[str, Any]) -> None:
        await self.send(text_data=event["frame"])


def application() -> Any:
    channel_layers.set("default", InMemoryChannelLayer())
    return ProtocolTypeRouter({"websocket": URLRouter([path("ws/", TextbookConsumer.as_asgi())])})


async def run() -> None:
    layer = get_channel_layer()

    async def market(topic: str) -> None:
        frames: asyncio.Queue[str] = asyncio.Queue()
        task = asyncio.create_task(publish(topic, lambda _, frame: frames.put_nowait(frame)))
        try:
            while True:
                await layer.group_send(group_of(topic), {"type": "market.update", "frame": await frames.get()})
        finally:
            task.cancel()

    await asyncio.gather(*(market(topic) for topic in TOPICS))
