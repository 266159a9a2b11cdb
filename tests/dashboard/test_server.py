"""What is added to Daphne, where it can be seen without one running."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from dashboard.server import kill_all_applications


async def ended(deferred: Any) -> None:
    """Wait for a Twisted Deferred."""
    await asyncio.wait_for(deferred.asFuture(asyncio.get_running_loop()), 2)


async def forever(cancelled: list[str], name: str) -> None:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await asyncio.sleep(0.01)  # as a consumer takes leave
        cancelled.append(name)
        raise


async def test_a_stop_cancels_all_though_some_connections_have_no_application() -> None:
    cancelled: list[str] = []
    tasks = [asyncio.create_task(forever(cancelled, name)) for name in ("a", "b")]
    done = asyncio.create_task(asyncio.sleep(0))
    await done  # the others have begun before it
    connections = {
        "request that has just ended": {"connected": 1.0, "disconnected": 2.0},
        "first": {"application_instance": tasks[0]},
        "finished": {"application_instance": done},
        "second": {"application_instance": tasks[1]},
    }
    await ended(kill_all_applications(SimpleNamespace(connections=connections)))
    assert sorted(cancelled) == ["a", "b"]
    assert all(task.cancelled() for task in tasks)


@pytest.mark.parametrize("connections", [{}, {"ended": {"connected": 1.0}}])
async def test_a_stop_with_nothing_running_ends(connections: dict[str, Any]) -> None:
    await ended(kill_all_applications(SimpleNamespace(connections=connections)))
