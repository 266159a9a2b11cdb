"""Frames on their way through a connection: garbage, floods, slow owners, counters."""

import asyncio
import time
from typing import Any

import structlog.testing

from feeds.domain import Lost, StreamState
from tests.feeds.peer import (
    Client,
    Delays,
    Peer,
    Recorder,
    connected,
    data_and_kick,
    no_task_left,
    until,
)

__all__ = ["no_task_left"]

LIVE, SLOW, SYNCING, DOWN = StreamState.LIVE, StreamState.SLOW, StreamState.SYNCING, StreamState.DOWN


async def test_garbage_is_counted_and_told_and_logged_once() -> None:
    async def garbles(client: Client) -> None:
        await until(lambda: client.got)
        await client.send({"n": 1}, *["\x00{not json"] * 5, b"\xff\xfe", {"n": 2})

    with structlog.testing.capture_logs() as logs:
        async with Peer(garbles) as peer, connected(peer.url) as (connection, seen):
            await until(lambda: seen.numbers == [1, 2])
            assert connection.not_understood == 6
            assert len(seen.of("lost")) == 6
            assert connection.state is LIVE
            assert len(peer.clients) == 1
            await until(lambda: any(entry["event"] == "frames not understood" for entry in logs))
    assert [entry["event"] for entry in logs if "not understood" in entry["event"]] == [
        "frame not understood",
        "frames not understood",
    ]
    assert next(entry["count"] for entry in logs if entry["event"] == "frames not understood") == 6


async def test_missing_frames_are_told_and_are_no_data() -> None:
    """A hole says nothing for the connection: it stays as it was until something comes."""

    async def skips(client: Client) -> None:
        await until(lambda: client.got)
        await client.send({"lost": 3})
        await until(lambda: seen.of("event"))
        states.extend(seen.states)
        await client.send({"n": 1})

    seen, states = Recorder(), []
    async with Peer(skips) as peer, connected(peer.url, handler=seen) as (connection, _):
        await until(lambda: connection.state is LIVE)
        assert seen.of("event")[0] == Lost(frames=3)
    assert states == [SYNCING]


async def test_nothing_is_handed_on_past_a_hole_untold() -> None:
    """A slow owner and a fast exchange: every hole in the numbers is announced before the frame after it."""
    total, dawdle = 3000, True

    async def floods(client: Client) -> None:
        await until(lambda: client.got)
        for n in range(total):
            await client.send({"n": n})
        await until(lambda: not dawdle)
        await client.send({"n": total})

    seen = Recorder()
    seen.on_event = lambda _: time.sleep(0.0005) if dawdle else None
    async with Peer(floods) as peer, connected(peer.url, handler=seen, buffer_frames=100) as (connection, _):
        await until(lambda: connection.messages >= total and connection.buffered == 0, within_s=20)
        dawdle = False
        await until(lambda: total in seen.numbers)
        assert connection.dropped > 0
        assert sum(seen.of("overflow")) == connection.dropped
        assert len(seen.numbers) + connection.dropped == total + 1
        last, announced = -1, 0
        for kind, value in seen.log:
            if kind == "overflow":
                announced += value
            elif kind == "event" and hasattr(value, "id"):
                assert int(value.id) == last + 1 + announced
                last, announced = int(value.id), 0


async def test_slow_and_live_again() -> None:
    async def floods(client: Client) -> None:
        await until(lambda: client.got)
        for n in range(300):
            await client.send({"n": n})

    seen = Recorder()
    seen.on_event = lambda _: time.sleep(0.001)
    async with Peer(floods) as peer, connected(peer.url, handler=seen) as (connection, _):
        await until(lambda: len(seen.numbers) == 300)
        await until(lambda: connection.state is LIVE)
        assert seen.states[:3] == [SYNCING, LIVE, SLOW]
        assert set(seen.states) == {SYNCING, LIVE, SLOW}
        assert connection.dropped == 0


async def test_others_get_the_loop_while_frames_are_processed() -> None:
    async def floods(client: Client) -> None:
        await until(lambda: client.got)
        for n in range(400):
            await client.send({"n": n})

    seen = Recorder()
    turns_at: list[int] = []
    seen.on_event = lambda _: time.sleep(0.0005)
    async with Peer(floods) as peer, connected(peer.url, handler=seen) as (connection, _):
        while len(seen.numbers) < 400:
            if connection.buffered:
                turns_at.append(len(seen.numbers))
            await asyncio.sleep(0)
        assert len(set(turns_at)) > 20


async def test_an_owner_that_fails_costs_the_connection_and_is_logged() -> None:
    seen = Recorder()

    def fail(event: Any) -> None:
        raise ZeroDivisionError("bug")

    seen.on_event = fail
    delays = Delays(0.001)
    with structlog.testing.capture_logs() as logs:
        async with Peer(data_and_kick) as peer, connected(peer.url, handler=seen, delays=delays) as (connection, _):
            await until(lambda: len(peer.clients) >= 3)
            assert delays.begun == 1
            assert "ZeroDivisionError" in str(seen.of("state"))
            assert connection.state in (DOWN, SYNCING, LIVE)
    assert any(entry["event"] == "stream failed" for entry in logs)


async def test_counters() -> None:
    async with Peer() as peer, connected(peer.url) as (connection, seen):
        await until(lambda: seen.of("subscribed"))
        assert connection.last_frame_ns is None
        before_ns = time.time_ns()
        await peer.client.send({"n": 1}, {"n": 2})
        await until(lambda: seen.numbers == [1, 2])
        assert connection.messages == 3
        assert connection.bytes > 20
        assert connection.last_frame_ns is not None
        assert before_ns <= connection.last_frame_ns <= time.time_ns()
        assert connection.since_ns >= before_ns
        await until(lambda: connection.messages_per_s >= 0)
