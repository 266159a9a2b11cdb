"""One endless question to ccxt: what it returns is handed on, what goes wrong is told, and it is asked again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from feeds.longtail.library import ENDED, Trouble, trouble_of
from feeds.pacing import backoff

log = structlog.get_logger(__name__)

WAIT_S = 10.0
"""At least so long where the exchange asks us to wait."""


class Stream:
    """``ask`` is one of ccxt's ``watch…`` methods, which returns when something is new, or a ``fetch…`` method that is
    asked every ``every_s`` seconds. ``take`` reads its result; both may raise whatever they like.

    ``began`` is called when an answer is waited for without one before. ``failed`` gets the trouble and how many there
    were in a row, and says whether to go on, which happens after a backoff that grows until something comes.
    """

    def __init__(
        self,
        ask: Callable[[], Awaitable[Any]],
        take: Callable[[Any], None],
        failed: Callable[[Trouble, int], bool],
        *,
        began: Callable[[], None] = lambda: None,
        every_s: float = 0.0,
    ) -> None:
        self._ask = ask
        self._take = take
        self._failed = failed
        self._began = began
        self._every_s = every_s

    async def run(self) -> None:
        """Until cancelled, or until ``failed`` says so."""
        failures, delays = 0, backoff()
        self._began()
        while True:
            trouble = await self._once()
            if trouble is None:
                if failures:
                    failures, delays = 0, backoff()
                if self._every_s:
                    await asyncio.sleep(self._every_s)
                continue
            failures += 1
            if not self._failed(trouble, failures):
                return
            await asyncio.sleep(max(next(delays), WAIT_S if trouble.kind == "wait" else 0.0))
            self._began()

    async def _once(self) -> Trouble | None:
        """Ask and take once. No pause between the two: ccxt forgets what comes while nobody asks."""
        try:
            self._take(await self._ask())
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            return ENDED  # ccxt cancels what it gave us when it closes a socket by itself
        except Exception as error:  # ccxt raises errors of every kind
            trouble = trouble_of(error)
            if trouble.kind == "broken":
                log.warning("ccxt failed", error=repr(error), exc_info=error)
            return trouble
        return None
