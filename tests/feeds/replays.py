"""What the tests of replaying share: an engine that plays a recording, and all its frames."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from feeds.engine import Engine
from feeds.recordings.player import Player, Reel
from feeds.recordings.replay import PlayedVenue
from tests.feeds.test_engine import Sink, until


class Frames(Sink):
    """Keeps every frame."""

    def __init__(self) -> None:
        super().__init__()
        self.all: dict[str, list[dict[str, Any]]] = defaultdict(list)

    def publish(self, topic: str, frame: str) -> None:
        super().publish(topic, frame)
        self.all[topic].append(json.loads(frame))


@asynccontextmanager
async def replayed(
    path: Path, folder: Path, *, speed: float = 1.0, begin: bool = True
) -> AsyncIterator[tuple[Engine, Frames, Player]]:
    """An engine that plays a recording."""
    reel = Reel(path)
    player = Player(reel, speed)
    frames = Frames()
    engine = Engine(reel.config(folder / "state"), frames, venue_of=partial(PlayedVenue, player, at_once=begin))
    try:
        await engine.start()
        yield engine, frames, player
    finally:
        await engine.stop()


async def ended(player: Player, seconds: float = 60.0) -> None:
    await until(lambda: player.state == "ended", seconds)
    await asyncio.sleep(0.1)  # the last frames wait for the edge of their window
