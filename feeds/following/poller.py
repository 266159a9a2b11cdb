"""One source that is asked on a timer: balances of one product, positions of another.

Each poller is a task of its own, so one that fails or waits never slows another. It can be asked to hurry
(:meth:`Poller.soon`): any number of such wishes within the delay make one question.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from feeds.clock import SYSTEM, Clock
from feeds.errors import FeedError, RateLimited, Verdict

log = structlog.get_logger(__name__)

JITTER = 0.1  # of the interval, so that many accounts do not ask in step

RETRY_S = 10.0
"""A source that is asked rarely is asked again after so long when it has failed."""


class Poller:
    """Calls ``poll`` every ``every_s`` seconds, and sooner on demand, but never within ``gap_s`` of the last answer.

    A failure is logged once, and its end once. An error that is fatal by its verdict ends the polling and is handed to
    ``on_fatal``. ``labels`` go with every log line. ``on_change`` is called after every answer and failure.
    """

    def __init__(
        self,
        name: str,
        poll: Callable[[], Awaitable[None]],
        *,
        every_s: float,
        gap_s: float = 1.0,
        on_fatal: Callable[[FeedError], None],
        on_change: Callable[[], None] = lambda: None,
        labels: dict[str, Any] | None = None,
        clock: Clock = SYSTEM,
    ) -> None:
        self.name = name
        self.error: FeedError | None = None
        """Why the last question failed; None if it did not."""
        self.asked_s: float | None = None
        self.answered_s: float | None = None
        """When the last question that was answered well was asked, and answered; monotonic."""
        self._poll = poll
        self.every_s = every_s
        """May be changed; holds from the next question on."""
        self._gap_s = gap_s
        self._on_fatal = on_fatal
        self._on_change = on_change
        self._log = log.bind(source=name, **(labels or {}))
        self._clock = clock
        self._wanted = asyncio.Event()
        self._due_s = 0.0  # of what is wanted; monotonic
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; the first question is asked at once. Idempotent."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"poll {self.name}")

    async def stop(self) -> None:
        """End, also in the middle of a question. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @property
    def wanted(self) -> bool:
        """It was told to hurry, and has not asked since."""
        return self._wanted.is_set()

    def soon(self, delay_s: float = 0.0) -> None:
        """Ask within ``delay_s`` from now (and ``gap_s`` from the last answer); not earlier while the source fails."""
        due_s = self._clock.monotonic_s() + delay_s
        if not self._wanted.is_set() or due_s < self._due_s:
            self._due_s = due_s
            self._wanted.set()

    async def _run(self) -> None:
        while True:
            self._wanted.clear()  # before asking: what changes during the question is asked for again
            pause_s = await self._ask()
            if pause_s is None:
                return
            if self.error is not None:
                await asyncio.sleep(pause_s)
                continue
            await asyncio.sleep(min(self._gap_s, pause_s))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, pause_s - self._gap_s)):
                    await self._wanted.wait()
                    await asyncio.sleep(max(0.0, self._due_s - self._clock.monotonic_s()))

    async def _ask(self) -> float | None:
        """Ask once; seconds until the next time, None if there is none."""
        pause_s = self.every_s * random.uniform(1 - JITTER, 1 + JITTER)
        asked_s = self._clock.monotonic_s()
        try:
            await self._poll()
        except Exception as error:
            failure = error if isinstance(error, FeedError) else FeedError(f"internal error: {error!r}")
            if self.error is None:
                self._log.warning("poll failed", error=str(failure), exc_info=failure is not error)
            self.error = failure
            self._on_change()
            if failure.verdict is Verdict.FATAL:
                self._on_fatal(failure)
                return None
            pause_s = min(pause_s, RETRY_S)
            return max(pause_s, failure.retry_after_s) if isinstance(failure, RateLimited) else pause_s
        if self.error is not None:
            self._log.info("poll recovered")
            self.error = None
        self.asked_s, self.answered_s = asked_s, self._clock.monotonic_s()
        self._on_change()
        return pause_s
