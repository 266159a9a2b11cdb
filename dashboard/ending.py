"""The end of tasks that talk to the channel layer."""

import asyncio
from collections.abc import Iterable
from typing import Any

AGAIN_S = 1.0
"""More than such a task needs for its last words."""


async def ended(tasks: Iterable[asyncio.Task[Any]]) -> list[Any]:
    """Cancel these tasks and wait until they have ended; returns what each of them returned or raised, in their order.

    Who does not end is cancelled again: before Python 3.12 ``asyncio.wait_for``, through which redis-py sends, loses a
    cancellation that comes in the moment in which it has its result
    (https://github.com/python/cpython/issues/86296). A task that lives on so would be waited for without end.
    """
    all_of_them = list(tasks)
    left = {task for task in all_of_them if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=AGAIN_S)
    return list(await asyncio.gather(*all_of_them, return_exceptions=True))
