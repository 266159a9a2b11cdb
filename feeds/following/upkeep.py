"""Work that is done again and again, part by part: whatever fails, the rest goes on."""

from collections.abc import Callable, Coroutine
from typing import Any

from structlog.typing import FilteringBoundLogger


class Upkeep:
    """Logs a part once when it breaks and once when it recovers. ``said`` tells an error without secrets."""

    def __init__(self, log: FilteringBoundLogger, said: Callable[[Exception], str]) -> None:
        self._log = log
        self._said = said
        self._failing: set[str] = set()

    async def of(self, part: str, work: Coroutine[Any, Any, object]) -> bool:
        """Did it work?"""
        try:
            await work
        except Exception as error:  # of the store, the exchange, or our own
            if part not in self._failing:
                self._log.error("orders not looked after", part=part, error=self._said(error))
            self._failing.add(part)
            return False
        if part in self._failing:
            self._log.info("orders looked after again", part=part)
        self._failing.discard(part)
        return True
