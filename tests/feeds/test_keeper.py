"""What the keeper of a venue's books does by itself. With an engine around it: test_engine.py and the like."""

import asyncio
import socket
import threading
import time
from types import SimpleNamespace
from typing import Any

from feeds.clock import SYSTEM
from feeds.markets.keeper import LOOK_S, BookKeeper


async def test_what_came_while_the_loop_was_held_up_is_read_before_a_market_is_looked_at() -> None:
    """Else it were taken for a silence, and the market for STALE, however quick the exchange is."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    held_up_s, came, seen = 0.0, asyncio.Event(), asyncio.Queue[bool]()

    async def read() -> None:
        """As long a way as a frame's: the socket, a reader, a drainer."""
        loop, received = asyncio.get_running_loop(), asyncio.Event()

        async def drain() -> None:
            await received.wait()
            came.set()

        drainer = asyncio.create_task(drain())
        await loop.sock_recv(ours, 1)
        received.set()
        await drainer

    def look() -> None:
        if held_up_s:
            seen.put_nowait(came.is_set())

    feed: Any = SimpleNamespace(
        evaluate=look, sync=SimpleNamespace(ready=False), overdue_s=lambda: 0.0, silent_s=lambda: 0.0, stale_s=1.0
    )
    feed.book_link = SimpleNamespace(state=None)
    facts = SimpleNamespace(probe_s=None, probe_by_rest=False)
    venue: Any = SimpleNamespace(
        feeds={"BTC/USD": feed}, fresh_books=SimpleNamespace(tick=lambda _: None), adapter=SimpleNamespace(facts=facts)
    )
    watching = asyncio.create_task(BookKeeper(venue, SYSTEM, lambda work, name: work.close()).watch())
    reading = asyncio.create_task(read())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    sender = threading.Timer(LOOK_S, theirs.send, (b"x",))
    sender.start()
    held_up_s = 4 * LOOK_S
    time.sleep(held_up_s)  # noqa: ASYNC251 - this is what is tested
    async with asyncio.timeout(5):
        assert await seen.get(), "the market was looked at before its frame was read"
    watching.cancel()
    await asyncio.gather(watching, reading, return_exceptions=True)
    sender.join()
    ours.close()
    theirs.close()
