"""From the board to the browsers: one task that brings every outbox up to date, in rounds.

The rounds are at least 20 ms apart, and further apart the longer they take: few browsers get every frame almost at
once, many share the process without taking it from everybody else.

The cost per browser and bundle decides how many browsers one process bears, so what can be shared is: browsers with
equal needs get the very same WebSocket frame, made once (see ``outbox``). Handing it to the transport never waits, so
one browser cannot hold up the others; how much may wait in the transport for one browser is what the outbox caps.
"""

import asyncio
from typing import Generic, Protocol, TypeVar

import structlog

from dashboard.outbox import INTERVAL_S, Board, Bundle, Need, Outbox

log = structlog.get_logger(__name__)

GATHER_S = 0.002
"""A first frame waits this long for those that come with it."""

SLICE_S = 0.005
"""After this long the other tasks of the process have their turn."""

SHARE = 0.5
"""Of the process's time, at most this much goes into the rounds."""


class Reader(Protocol):
    """Somebody to whom bundles are sent."""

    outbox: Outbox

    def deliver(self, bundle: Bundle) -> None:
        """Hand it over to the transport, without waiting. Raising ends the delivery to this reader alone."""


R = TypeVar("R", bound=Reader)


class Fanout(Generic[R]):
    """Serves all readers of one board. :meth:`run` is the task; the rest is called from the same event loop."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.bundles = 0  # sent, to all readers together
        self._readers: dict[R, None] = {}
        self._due = asyncio.Event()
        self._number = 0
        self._next_s = 0.0

    def __len__(self) -> int:
        return len(self._readers)

    def add(self, reader: R) -> None:
        self._readers[reader] = None

    def remove(self, reader: R) -> None:
        self._readers.pop(reader, None)

    def readers(self) -> list[R]:
        return list(self._readers)

    def wake(self) -> None:
        """Something may be due for somebody."""
        self._due.set()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._due.wait()
            await asyncio.sleep(max(GATHER_S, self._next_s - loop.time()))
            self._due.clear()
            began_s = max(loop.time(), self._next_s)
            busy_s = await self._serve_all(began_s)
            self._next_s = began_s + max(INTERVAL_S, busy_s / SHARE)

    async def _serve_all(self, now_s: float) -> float:
        """One round; how long it kept the process busy. ``now_s`` counts as the time of all its bundles."""
        loop = asyncio.get_running_loop()
        board, readers = self.board, self._readers
        self._number += 1
        shared: dict[Need, tuple[Bundle | None, int]] = {}  # the bundle, and the version that it was made at
        busy_s, slice_began_s = 0.0, loop.time()
        for count, reader in enumerate(list(readers)):
            if count % 16 == 0 and (slice_s := loop.time() - slice_began_s) >= SLICE_S:
                busy_s += slice_s
                await asyncio.sleep(0)
                slice_began_s = loop.time()
            if reader not in readers:
                continue  # left meanwhile
            outbox = reader.outbox
            need = outbox.offer(board, now_s)
            if need is None:
                continue
            known = shared.get(need)
            if known is None:
                known = shared[need] = (board.bundle(self._number, need), board.version)
            bundle, version = known
            if bundle is None:
                outbox.caught_up(version)
            elif outbox.take(bundle, now_s):
                self._send(reader, bundle)
        return busy_s + loop.time() - slice_began_s

    def _send(self, reader: R, bundle: Bundle) -> None:
        try:
            reader.deliver(bundle)
        except Exception as error:  # whatever a transport may raise: the others must get theirs
            log.info("browser cannot be reached, no more is sent to it", error=repr(error))
            self.remove(reader)
            return
        self.bundles += 1
        if bundle.left:
            self._due.set()

    def gave_up(self, now_s: float) -> list[R]:
        """Readers that have confirmed nothing for too long."""
        return [reader for reader in self._readers if reader.outbox.gave_up(now_s)]
