"""Tasks that have to end, also when a library loses their cancellation."""

import asyncio

import pytest
from channels.layers import get_channel_layer

from dashboard import ending
from dashboard.ending import ended
from dashboard.relay import Relay
from tests.dashboard.realtime import fresh_layer


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "AGAIN_S", 0.05)


async def deaf(times: int) -> None:
    """Loses so many cancellations."""
    while times:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            times -= 1
    await asyncio.Event().wait()


async def fails() -> None:
    raise ValueError("so it is")


async def test_what_each_returned_or_raised() -> None:
    tasks = [asyncio.create_task(each) for each in (deaf(0), deaf(3), fails(), asyncio.sleep(0, "done"))]
    await asyncio.wait(tasks[2:])
    first, second, failed, done = await ended(tasks)
    assert all(isinstance(each, asyncio.CancelledError) for each in (first, second))
    assert (str(failed), done) == ("so it is", "done")
    assert await ended([]) == []


async def test_a_relay_whose_layer_loses_a_cancellation_stops() -> None:
    """As redis-py's does: before, every later request of the process waited for that relay without end."""
    fresh_layer()
    layer = get_channel_layer()
    send, sending, lost = layer.send, asyncio.Event(), []

    async def loses(channel: str, message: dict[str, object]) -> None:
        sending.set()
        try:
            await asyncio.sleep(0.2 if not lost else 0.0)  # under way when the relay ends
        except asyncio.CancelledError:
            lost.append(message["type"])
        await send(channel, message)

    layer.send = loses
    async with asyncio.timeout(10):
        async with Relay.running():
            await sending.wait()
        assert lost == ["feeds.lease"]
        async with Relay.running() as relay:
            assert relay.uplink.wanted == set()
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("relay")]
