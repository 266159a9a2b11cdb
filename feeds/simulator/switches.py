"""Dead man's switches: orders that are cancelled unless somebody says in time that he still lives. Pure."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Switches(Generic[K]):
    """One switch per key; ``strike`` is called with a key when its time is over. ``clock_ms`` is the exchange's."""

    def __init__(self, clock_ms: Callable[[], int], strike: Callable[[K], object]) -> None:
        self._clock_ms = clock_ms
        self._strike = strike
        self._due_ms: dict[K, int] = {}

    def set(self, key: K, countdown_ms: int) -> None:
        """Strike in so long, unless set anew before; 0 switches off."""
        if countdown_ms:
            self._due_ms[key] = self._clock_ms() + countdown_ms
        else:
            self._due_ms.pop(key, None)

    def tick(self) -> None:
        now_ms = self._clock_ms()
        for key in [key for key, due_ms in self._due_ms.items() if due_ms <= now_ms]:
            del self._due_ms[key]
            self._strike(key)
