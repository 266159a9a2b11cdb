"""What a web process needs once per event loop: it runs while somebody uses it, and leaves nothing behind."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Self
from weakref import WeakKeyDictionary


class PerLoop(ABC):
    """Use by ``async with Subclass.running() as it``: the first inside starts it, the last one stops it."""

    _of_loop: ClassVar[WeakKeyDictionary[asyncio.AbstractEventLoop, dict[type, Any]]] = WeakKeyDictionary()

    def __init__(self) -> None:
        self._users = 0
        self._started = False
        self._turn = asyncio.Lock()  # starting and stopping, one at a time

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator[Self]:
        """The one of the running event loop, started."""
        mine = cls._of_loop.setdefault(asyncio.get_running_loop(), {})
        if cls not in mine:
            mine[cls] = cls()
        it: Self = mine[cls]
        it._users += 1
        try:
            async with it._turn:
                if not it._started:
                    try:
                        await it._start()
                    except BaseException:  # cancelled, too: who waits behind us must not get half of it
                        await it._stop()
                        raise
                    it._started = True
            yield it
        finally:
            it._users -= 1
            async with it._turn:
                if it._users == 0 and it._started:
                    it._started = False
                    await it._stop()
                if it._users == 0 and mine.get(cls) is it:  # still: nobody came while it stopped
                    del mine[cls]

    @abstractmethod
    async def _start(self) -> None: ...

    @abstractmethod
    async def _stop(self) -> None:
        """Undo :meth:`_start`, also one that failed half-way."""
